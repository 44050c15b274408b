/* fclose() and its kin, of a stream that another Fiber waits on: that one is woken, and leaves the operation that
 * it is in before the stream goes. */
#include "fibers.h"

#include "ext/standard/file.h"

static zif_handler stock_close;
static zif_handler stock_pclose;

/* What zlib and bz2 call fclose. */
static const char *const others[] = {"gzclose", "bzclose"};

/* ---- holding ---- */

ss_hold ss_hold_begin(ss_socket *socket)
{
	ss_task *task = ss_current_task();

	if (task == NULL) {
		return (ss_hold) {0};
	}
	ss_hold hold = {task->number, task->held};
	task->held = socket;
	socket->waiting++;
	return hold;
}

void ss_hold_end(ss_socket *socket, ss_hold hold)
{
	if (hold.number == 0) {
		return;
	}
	socket->waiting--;
	ss_task *task = ss_task_numbered(hold.number);
	if (task != NULL) {
		task->held = hold.before;
	}
}

/* ---- closing ---- */

/* Whether nobody is in an operation of the stream any more. */
static bool is_left(ss_socket *socket)
{
	socket->closing = true;
	ss_wake_waiters(socket);
	ss_task *task = ss_current_task();
	while (socket->waiting > 0) {
		ss_loop_wake((uintptr_t) task);
		if (ss_task_park(task) == SS_ENDED) {
			ss_loop_forget((uintptr_t) task);
			socket->closing = false;
			return false;
		}
	}
	return true;
}

/* Waits until the stream may be closed; false after a warning, or where the task is to end. */
static bool may_close(zend_execute_data *execute_data)
{
	php_stream *stream = NULL;

	if (ZEND_NUM_ARGS() == 1 && Z_TYPE_P(ZEND_CALL_ARG(execute_data, 1)) == IS_RESOURCE) {
		php_stream_from_zval_no_verify(stream, ZEND_CALL_ARG(execute_data, 1));
	}
	ss_socket *socket = stream != NULL ? ss_socket_of(stream) : NULL;
	if (socket != NULL && socket->closing) {
		php_error_docref(NULL, E_WARNING, "Another Fiber is closing this stream");
		return false;
	}
	if (socket == NULL || socket->waiting == 0) {
		return true;
	}
	ss_task *task = ss_current_task();
	if (task != NULL && task->held == socket) {
		php_error_docref(NULL, E_WARNING, "An operation of this stream is not over yet");
		return false;
	}
	if (ss_manner_now() != SS_PARKS) {
		php_error_docref(NULL, E_WARNING, "A Fiber waits for this stream, and can't be woken from here");
		return false;
	}
	return is_left(socket);
}

static ZEND_NAMED_FUNCTION(close_)
{
	if (!may_close(execute_data)) {
		RETURN_FALSE;
	}
	stock_close(INTERNAL_FUNCTION_PARAM_PASSTHRU);
}

static ZEND_NAMED_FUNCTION(pclose_)
{
	if (!may_close(execute_data)) {
		RETURN_LONG(-1);
	}
	stock_pclose(INTERNAL_FUNCTION_PARAM_PASSTHRU);
}

void ss_closing_begin(void)
{
	stock_close = ss_take_over("fclose", close_);
	stock_pclose = ss_take_over("pclose", pclose_);
	for (int index = 0; index < 2; index++) {
		ss_take_over(others[index], close_);
	}
}

void ss_closing_end(void)
{
	ss_give_back("fclose", stock_close);
	ss_give_back("pclose", stock_pclose);
	for (int index = 0; index < 2; index++) {
		ss_give_back(others[index], stock_close);
	}
}
