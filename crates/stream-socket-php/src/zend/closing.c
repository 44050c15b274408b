/* fclose() of a stream that another Fiber waits on: that one is woken, and leaves the operation that
 * it is in before the stream goes. */
#include "fibers.h"

#include "ext/standard/file.h"

static zif_handler stock_close;

/* Whether nobody is in an operation of the stream any more. */
static bool is_left(ss_socket *socket)
{
	socket->closing = true;
	ss_wake_waiters(socket);
	ss_task *task = ss_current_task();
	while (socket->waiting > 0) {
		ss_loop_wake((uintptr_t) task);
		if (ss_task_park(task) == SS_ENDED) {
			socket->closing = false;
			return false;
		}
	}
	return true;
}

static ZEND_NAMED_FUNCTION(close_)
{
	php_stream *stream = NULL;

	if (ZEND_NUM_ARGS() == 1 && Z_TYPE_P(ZEND_CALL_ARG(execute_data, 1)) == IS_RESOURCE) {
		php_stream_from_zval_no_verify(stream, ZEND_CALL_ARG(execute_data, 1));
	}
	ss_socket *socket = stream != NULL ? ss_socket_of(stream) : NULL;
	if (socket != NULL && socket->closing) {
		php_error_docref(NULL, E_WARNING, "Another Fiber is closing this stream");
		RETURN_FALSE;
	}
	if (socket != NULL && socket->waiting > 0) {
		if (ss_manner_now() != SS_PARKS) {
			php_error_docref(NULL, E_WARNING, "A Fiber waits for this stream, and can't be woken from here");
			RETURN_FALSE;
		}
		if (!is_left(socket)) {
			RETURN_FALSE;
		}
	}
	stock_close(INTERNAL_FUNCTION_PARAM_PASSTHRU);
}

void ss_closing_begin(void)
{
	stock_close = ss_take_over("fclose", close_);
}

void ss_closing_end(void)
{
	ss_give_back("fclose", stock_close);
}
