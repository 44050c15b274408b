/* How a call of Rust ended: what PHP is told of it, and what is freed. */
#include "module.h"

void ss_forget(ss_outcome *outcome)
{
	if (outcome->text == NULL) {
		return;
	}
	ss_text_free(outcome->text, outcome->text_length);
	outcome->text = NULL;
	outcome->text_length = 0;
}

/* A panic of ours is PHP's Error, which `catch (Exception)` does not swallow. Where no script runs
 * that could catch it, as when PHP closes what is left open, it is a warning. */
void ss_settle_told(ss_outcome *outcome)
{
	char text[256];

	if (EXPECTED(outcome->status != SS_PANICKED)) {
		ss_forget(outcome);
		return;
	}
	/* To complain may leave by longjmp: nothing of Rust's is held by then. */
	snprintf(text, sizeof(text), "stream_socket: a fault of the extension: %.*s",
		(int) outcome->text_length, outcome->text ? outcome->text : "");
	ss_forget(outcome);
	if (EG(current_execute_data) != NULL) {
		zend_throw_error(NULL, "%s", text);
	} else {
		php_error_docref(NULL, E_WARNING, "%s", text);
	}
}

int ss_number_of(ss_socket *socket, bool for_waiting)
{
	ss_outcome outcome = {0};
	int number = ss_descriptor(socket, for_waiting, &outcome);

	ss_settle(&outcome);
	return number;
}

int ss_released(ss_socket *socket)
{
	ss_outcome outcome = {0};
	int number = ss_release(socket, &outcome);

	ss_settle(&outcome);
	return number;
}

void ss_closed(ss_socket *socket)
{
	ss_outcome outcome = {0};

	ss_free(socket, &outcome);
	ss_settle(&outcome);
}

/* The text of a failure: the system's where there is a number and nothing better is known. */
static zend_string *words(const ss_outcome *outcome)
{
	if (outcome->text_length > 0) {
		return zend_string_init(outcome->text, outcome->text_length, 0);
	}
	const char *text = strerror(outcome->number);
	return zend_string_init(text, strlen(text), 0);
}

/* To throw may leave by longjmp: nothing of Rust's is held by then. */
void ss_throw_failure(const char *what, ss_outcome *outcome)
{
	char text[256];

	if (outcome->text_length > 0) {
		snprintf(text, sizeof(text), "%s: %.*s", what, (int) outcome->text_length, outcome->text);
	} else {
		snprintf(text, sizeof(text), "%s: %s", what, strerror(outcome->number));
	}
	ss_forget(outcome);
	zend_throw_error(NULL, "%s", text);
}

int ss_concluded(php_stream_xport_param *param, ss_outcome *outcome)
{
	if (outcome->status == SS_OK) {
		ss_forget(outcome);
		return 0;
	}
	param->outputs.error_code = outcome->number;
	if (param->want_errortext) {
		param->outputs.error_text = words(outcome);
	}
	ss_settle(outcome);
	return -1;
}
