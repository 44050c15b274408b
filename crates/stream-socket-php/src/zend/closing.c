/* fclose() and its kin, of a stream that another Fiber waits on: that one is woken, and leaves the operation that
 * it is in before the stream goes. */
#include "fibers.h"

#include "ext/standard/file.h"

static zif_handler stock_close;
static zif_handler stock_pclose;

/* What zlib and bz2 call fclose. */
static const char *const others[] = {"gzclose", "bzclose"};

/* ---- holding ---- */

void ss_hold_begin(ss_hold *hold, ss_socket *socket)
{
	ss_task *task = ss_current_task();

	if (task == NULL) {
		hold->number = 0;
		return;
	}
	*hold = (ss_hold) {task->number, socket, task->holds};
	task->holds = hold;
	ss_enter(socket);
}

void ss_hold_end(ss_hold *hold)
{
	if (hold->number == 0) {
		return;
	}
	ss_leave(hold->socket);
	ss_task *task = ss_task_numbered(hold->number);
	if (task == NULL) {
		return;
	}
	/* Not the first one, where Fibers of the script's own were left in between. */
	ss_hold **place = &task->holds;
	while (*place != hold) {
		place = &(*place)->next;
	}
	*place = hold->next;
}

/* ---- who is in an operation, and who waits for them to leave ---- */

/* They stand on the stacks of those who wait. */
ZEND_TLS ss_holder *holders;

/* Who closes a stream, parked until all others have left it. They stand on the stacks of those who close. */
typedef struct ss_closer {
	struct ss_closer *next;
	ss_task *task;
	const ss_socket *socket;
	const zend_resource *resource;
	bool is_woken;
	/* Whoever was about to open it has closed it. */
	bool is_gone;
} ss_closer;

ZEND_TLS ss_closer *closers;

static bool holds(const ss_holder *holder, const void *socket, const void *resource)
{
	for (uint32_t index = 0; index < holder->count; index++) {
		if (holder->held[index] == resource || (socket != NULL && holder->held[index] == socket)) {
			return true;
		}
	}
	return false;
}

static void wake(ss_closer *closer)
{
	if (!closer->is_woken) {
		closer->is_woken = true;
		ss_loop_wake((uintptr_t) closer->task);
	}
}

void ss_enter(ss_socket *socket)
{
	socket->waiting++;
}

void ss_leave(ss_socket *socket)
{
	if (--socket->waiting > 0 || !socket->closing) {
		return;
	}
	for (ss_closer *closer = closers; closer != NULL; closer = closer->next) {
		if (closer->socket == socket) {
			wake(closer);
		}
	}
}

void ss_closing_gone(const ss_socket *socket)
{
	for (ss_closer *closer = closers; closer != NULL; closer = closer->next) {
		if (closer->socket == socket) {
			closer->is_gone = true;
			wake(closer);
		}
	}
}

void ss_holder_enter(ss_holder *holder)
{
	holder->task = ss_current_task();
	holder->next = holders;
	holders = holder;
	for (const ss_closer *closer = closers; closer != NULL; closer = closer->next) {
		holder->is_closing |= holds(holder, closer->socket, closer->resource);
	}
}

void ss_holder_leave(ss_holder *holder)
{
	ss_holder **place = &holders;

	while (*place != holder) {
		place = &(*place)->next;
	}
	*place = holder->next;
	for (ss_closer *closer = closers; closer != NULL; closer = closer->next) {
		if (holds(holder, closer->socket, closer->resource)) {
			wake(closer);
		}
	}
}

/* After a fatal error the stacks are gone. */
void ss_closing_shut_down(void)
{
	holders = NULL;
	closers = NULL;
}

/* ---- closing ---- */

bool ss_holder_is_closing(const ss_holder *holder, const ss_socket *socket)
{
	return holder != NULL && holder->is_closing && holds(holder, socket, socket);
}

/* Has it go on, and see that one of its streams is about to be closed. */
static void interrupt(const ss_holder *holder)
{
	ss_task *task = holder->task;

	if (holder->spans) {
		if (task->socket == NULL || !holds(holder, task->socket, task->socket)) {
			/* It does not wait, or for something else, and will see. */
			return;
		}
		ss_wait_cancel(task->socket, task->direction, (uintptr_t) task);
		ss_loop_forget((uintptr_t) task);
	}
	ss_loop_wake((uintptr_t) task);
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
			interrupt(holder);
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

/* Whether a task is in an operation of the stream, of which a handler of the script's runs. */
static bool is_in(const ss_task *task, const ss_socket *socket, const zend_resource *resource)
{
	for (const ss_hold *hold = task->holds; socket != NULL && hold != NULL; hold = hold->next) {
		if (hold->socket == socket) {
			return true;
		}
	}
	for (const ss_holder *holder = holders; holder != NULL; holder = holder->next) {
		if (holder->task == task && holds(holder, socket, resource)) {
			return true;
		}
	}
	return false;
}

/* Whether who closes the stream would wait for a task that waits for it, or does so itself. */
static bool is_held_by(const ss_task *task, const ss_socket *socket, const zend_resource *resource)
{
	if (is_in(task, socket, resource)) {
		return true;
	}
	for (const ss_closer *closer = closers; closer != NULL; closer = closer->next) {
		if (is_in(closer->task, socket, resource) && is_held_by(task, closer->socket, closer->resource)) {
			return true;
		}
	}
	return false;
}

enum ss_closes { SS_MAY_CLOSE, SS_MAY_NOT_CLOSE, SS_IS_CLOSED };

static void leave_closers(ss_closer *closer)
{
	ss_closer **place = &closers;

	while (*place != closer) {
		place = &(*place)->next;
	}
	*place = closer->next;
	ss_loop_forget((uintptr_t) closer->task);
}

/* Wakes all who are in an operation of the stream, and parks until they have left. */
static enum ss_closes see_off(ss_socket *socket, const zend_resource *resource)
{
	ss_closer closer = {.next = closers, .task = ss_current_task(), .socket = socket, .resource = resource};
	bool goes_on = true;

	closers = &closer;
	if (socket != NULL) {
		socket->closing = true;
		ss_wake_waiters(socket);
	}
	while (goes_on && !closer.is_gone
		&& (wake_holders(socket, resource) > 0 || (socket != NULL && socket->waiting > 0))) {
		closer.is_woken = false;
		goes_on = ss_task_park(closer.task) != SS_ENDED;
	}
	leave_closers(&closer);
	if (closer.is_gone) {
		return SS_IS_CLOSED;
	}
	if (!goes_on && socket != NULL) {
		socket->closing = false;
	}
	return goes_on ? SS_MAY_CLOSE : SS_MAY_NOT_CLOSE;
}

/* Waits until the stream may be closed, which it may not after a warning, or where the task is to end. */
static enum ss_closes may_close(zend_execute_data *execute_data)
{
	php_stream *stream = NULL;

	if (!ss_loop_exists() || CG(unclean_shutdown)) {
		/* Nobody has ever parked, or the stacks of who did are gone. */
		return SS_MAY_CLOSE;
	}
	if (ZEND_NUM_ARGS() == 1 && Z_TYPE_P(ZEND_CALL_ARG(execute_data, 1)) == IS_RESOURCE) {
		php_stream_from_zval_no_verify(stream, ZEND_CALL_ARG(execute_data, 1));
	}
	ss_socket *socket = stream != NULL ? ss_socket_of(stream) : NULL;
	if (socket != NULL && socket->closing) {
		php_error_docref(NULL, E_WARNING, "Another Fiber is closing this stream");
		return SS_MAY_NOT_CLOSE;
	}
	if (stream == NULL || !is_held(socket, stream->res)) {
		return SS_MAY_CLOSE;
	}
	ss_task *task = ss_current_task();
	if (task != NULL && is_held_by(task, socket, stream->res)) {
		php_error_docref(NULL, E_WARNING, "An operation of this stream is not over yet");
		return SS_MAY_NOT_CLOSE;
	}
	if (ss_manner_now() != SS_PARKS) {
		php_error_docref(NULL, E_WARNING, "A Fiber waits for this stream, and can't be woken from here");
		return SS_MAY_NOT_CLOSE;
	}
	return see_off(socket, stream->res);
}

static ZEND_NAMED_FUNCTION(close_)
{
	enum ss_closes closes = may_close(execute_data);

	if (closes != SS_MAY_CLOSE) {
		RETURN_BOOL(closes == SS_IS_CLOSED);
	}
	stock_close(INTERNAL_FUNCTION_PARAM_PASSTHRU);
}

static ZEND_NAMED_FUNCTION(pclose_)
{
	enum ss_closes closes = may_close(execute_data);

	if (closes != SS_MAY_CLOSE) {
		RETURN_LONG(closes == SS_IS_CLOSED ? 0 : -1);
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
