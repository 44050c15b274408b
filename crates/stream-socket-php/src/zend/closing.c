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

/* They stand on the stacks of those who wait. */
ZEND_TLS ss_holder *holders;

void ss_holder_enter(ss_holder *holder)
{
	holder->task = ss_current_task();
	holder->next = holders;
	holders = holder;
}

void ss_holder_leave(ss_holder *holder)
{
	ss_holder **place = &holders;

	while (*place != holder) {
		place = &(*place)->next;
	}
	*place = holder->next;
}

/* After a fatal error the stacks are gone. */
void ss_closing_shut_down(void)
{
	holders = NULL;
}

static bool holds(const ss_holder *holder, const void *socket, const void *resource)
{
	for (uint32_t index = 0; index < holder->count; index++) {
		if (holder->held[index] == resource || (socket != NULL && holder->held[index] == socket)) {
			return true;
		}
	}
	return false;
}

/* How many hold it; they are woken. */
static uint32_t wake_holders(const ss_socket *socket, const zend_resource *resource)
{
	uint32_t count = 0;

	for (ss_holder *holder = holders; holder != NULL; holder = holder->next) {
		if (!holds(holder, socket, resource)) {
			continue;
		}
		count++;
		if (!holder->is_closing) {
			holder->is_closing = true;
			ss_loop_wake((uintptr_t) holder->task);
		}
	}
	return count;
}

static bool is_held(const ss_socket *socket, const zend_resource *resource)
{
	for (const ss_holder *holder = holders; holder != NULL; holder = holder->next) {
		if (holds(holder, socket, resource)) {
			return true;
		}
	}
	return socket != NULL && socket->waiting > 0;
}

/* Whether nobody is in an operation of the stream any more. Who is has its turn before this task. */
static bool is_left(ss_socket *socket, const zend_resource *resource)
{
	ss_task *task = ss_current_task();

	if (socket != NULL) {
		socket->closing = true;
		ss_wake_waiters(socket);
	}
	while (wake_holders(socket, resource) > 0 || (socket != NULL && socket->waiting > 0)) {
		ss_loop_wake((uintptr_t) task);
		if (ss_task_park(task) == SS_ENDED) {
			ss_loop_forget((uintptr_t) task);
			if (socket != NULL) {
				socket->closing = false;
			}
			return false;
		}
	}
	return true;
}

/* Waits until the stream may be closed; false after a warning, or where the task is to end. */
static bool may_close(zend_execute_data *execute_data)
{
	php_stream *stream = NULL;

	if (!ss_loop_exists()) {
		/* Nobody has ever parked. */
		return true;
	}
	if (ZEND_NUM_ARGS() == 1 && Z_TYPE_P(ZEND_CALL_ARG(execute_data, 1)) == IS_RESOURCE) {
		php_stream_from_zval_no_verify(stream, ZEND_CALL_ARG(execute_data, 1));
	}
	ss_socket *socket = stream != NULL ? ss_socket_of(stream) : NULL;
	if (socket != NULL && socket->closing) {
		php_error_docref(NULL, E_WARNING, "Another Fiber is closing this stream");
		return false;
	}
	if (stream == NULL || !is_held(socket, stream->res)) {
		return true;
	}
	ss_task *task = ss_current_task();
	if (task != NULL && socket != NULL && task->held == socket) {
		php_error_docref(NULL, E_WARNING, "An operation of this stream is not over yet");
		return false;
	}
	if (ss_manner_now() != SS_PARKS) {
		php_error_docref(NULL, E_WARNING, "A Fiber waits for this stream, and can't be woken from here");
		return false;
	}
	return is_left(socket, stream->res);
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
