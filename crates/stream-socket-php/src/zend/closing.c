/* fclose() and its kin, of a stream that another Fiber waits on: that one is woken, and leaves the operation that
 * it is in before the stream goes. */
#include "fibers.h"

#include "ext/standard/file.h"

static zif_handler stock_close;
static zif_handler stock_pclose;

/* What zlib and bz2 call fclose. */
static const char *const others[] = {"gzclose", "bzclose"};

/* ---- holding ---- */

/* Of what runs in no task. */
ZEND_TLS ss_hold *holds_outside;

/* NULL, where the task is over. */
static ss_hold **holds_of(uint64_t number)
{
	ss_task *task = ss_task_numbered(number);

	return number == 0 ? &holds_outside : task != NULL ? &task->holds : NULL;
}

void ss_hold_begin(ss_hold *hold, ss_socket *socket)
{
	ss_task *task = ss_current_task();
	ss_hold **list = task != NULL ? &task->holds : &holds_outside;

	*hold = (ss_hold) {task != NULL ? task->number : 0, socket, *list};
	*list = hold;
	ss_enter(socket);
}

void ss_hold_end(ss_hold *hold)
{
	ss_hold **place = holds_of(hold->number);

	ss_leave(hold->socket);
	if (place == NULL) {
		return;
	}
	/* Not the first one, where Fibers of the script's own were left in between. */
	while (*place != hold) {
		place = &(*place)->next;
	}
	*place = hold->next;
}

/* ---- who is in an operation, and who waits for them to leave ---- */

/* They stand on the stacks of those who wait. */
ZEND_TLS ss_holder *holders;

/* Who closes a stream: first parked until all others have left it, then writing what filters still have. They
 * stand on the stacks of those who close. */
typedef struct ss_closer {
	struct ss_closer *next;
	/* The number of its task, which a Fiber of the script's own may outlive in it; 0 where it is none, and
	 * nobody has to know. */
	uint64_t task;
	ss_socket *socket;
	const zend_resource *resource;
	/* Whether others have still to leave; and whether it is parked for that, and nobody has woken it yet. */
	bool waits;
	bool rests;
	/* It is closed, if only by whoever was about to open it. */
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
	ss_task *task = closer->rests ? ss_task_numbered(closer->task) : NULL;

	closer->rests = false;
	if (task != NULL) {
		ss_loop_wake((uintptr_t) task);
	}
}

static uint64_t current(void)
{
	const ss_task *task = ss_current_task();

	return task != NULL ? task->number : 0;
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

bool ss_is_closing(const ss_socket *socket)
{
	const ss_closer *closer = closers;

	while (socket->closing && closer != NULL && closer->socket != socket) {
		closer = closer->next;
	}
	return socket->closing && (closer == NULL || closer->task != current());
}

void ss_closing_gone(const ss_socket *socket)
{
	if (!socket->closing || CG(unclean_shutdown)) {
		return;
	}
	for (ss_closer *closer = closers; closer != NULL; closer = closer->next) {
		if (closer->socket == socket) {
			closer->is_gone = true;
			wake(closer);
		}
	}
}

void ss_holder_enter(ss_holder *holder)
{
	holder->task = current();
	holder->next = holders;
	holders = holder;
	for (const ss_closer *closer = closers; closer != NULL; closer = closer->next) {
		holder->is_closing |= closer->task != holder->task && holds(holder, closer->socket, closer->resource);
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
	holds_outside = NULL;
	holders = NULL;
	closers = NULL;
}

/* ---- closing ---- */

/* Has it go on, and see that one of its streams is about to be closed. */
static void interrupt(const ss_holder *holder)
{
	ss_task *task = ss_task_numbered(holder->task);

	if (task == NULL) {
		return;
	}
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

/* Whether a task, or with 0 what runs in none, is in an operation of the stream, of which a handler of the script's
 * runs. */
static bool is_in(uint64_t number, const ss_socket *socket, const zend_resource *resource)
{
	ss_hold **list = holds_of(number);

	for (const ss_hold *hold = list ? *list : NULL; socket != NULL && hold != NULL; hold = hold->next) {
		if (hold->socket == socket) {
			return true;
		}
	}
	for (const ss_holder *holder = holders; holder != NULL; holder = holder->next) {
		if (holder->task == number && holds(holder, socket, resource)) {
			return true;
		}
	}
	return false;
}

/* Whether who closes the stream would wait for a task that waits for it, or does so itself. Of those who are
 * closing only the ones that wait count: they wait for others, so that this comes to an end. */
static bool is_held_by(uint64_t number, const ss_socket *socket, const zend_resource *resource)
{
	if (is_in(number, socket, resource)) {
		return true;
	}
	for (const ss_closer *closer = closers; closer != NULL; closer = closer->next) {
		if (closer->waits && is_in(closer->task, socket, resource)
			&& is_held_by(number, closer->socket, closer->resource)) {
			return true;
		}
	}
	return false;
}

enum ss_closes { SS_MAY_CLOSE, SS_MAY_NOT_CLOSE, SS_IS_CLOSED };

static void end(ss_closer *closer)
{
	ss_closer **place = &closers;

	if (closer->task == 0) {
		return;
	}
	while (*place != closer) {
		place = &(*place)->next;
	}
	*place = closer->next;
	if (closer->socket != NULL && !closer->is_gone) {
		closer->socket->closing = false;
	}
}

/* Keeps others from beginning an operation of the stream, wakes all who are in one, and parks until they have
 * left. */
static enum ss_closes see_off(ss_closer *closer, ss_task *task)
{
	ss_socket *socket = closer->socket;
	bool goes_on = true;

	closer->next = closers;
	closers = closer;
	if (socket != NULL) {
		socket->closing = true;
		if (socket->waiting > 0) {
			ss_wake_waiters(socket);
		}
	}
	closer->waits = true;
	while (goes_on && !closer->is_gone
		&& (wake_holders(socket, closer->resource) > 0 || (socket != NULL && socket->waiting > 0))) {
		closer->rests = true;
		goes_on = ss_task_park(task) != SS_ENDED;
		closer->rests = false;
	}
	closer->waits = false;
	if (!goes_on) {
		ss_loop_forget((uintptr_t) task);
	}
	return closer->is_gone ? SS_IS_CLOSED : goes_on ? SS_MAY_CLOSE : SS_MAY_NOT_CLOSE;
}

/* Waits until the stream may be closed, which it may not after a warning, or where the task is to end. */
static enum ss_closes begin(ss_closer *closer, zend_execute_data *execute_data)
{
	php_stream *stream = NULL;

	*closer = (ss_closer) {0};
	if (CG(unclean_shutdown)) {
		/* The stacks of who parked are gone. */
		return SS_MAY_CLOSE;
	}
	if (ZEND_NUM_ARGS() == 1 && Z_TYPE_P(ZEND_CALL_ARG(execute_data, 1)) == IS_RESOURCE) {
		php_stream_from_zval_no_verify(stream, ZEND_CALL_ARG(execute_data, 1));
	}
	if (stream == NULL) {
		return SS_MAY_CLOSE;
	}
	ss_socket *socket = ss_socket_of(stream);
	ss_task *task = ss_current_task();
	bool parks = ss_manner_now() == SS_PARKS;
	if (socket != NULL && socket->closing) {
		php_error_docref(NULL, E_WARNING, "Another Fiber is closing this stream");
		return SS_MAY_NOT_CLOSE;
	}
	if (is_held(socket, stream->res)) {
		if (is_in(0, socket, stream->res) || is_held_by(current(), socket, stream->res)) {
			php_error_docref(NULL, E_WARNING, "An operation of this stream is not over yet");
			return SS_MAY_NOT_CLOSE;
		}
		if (!parks) {
			php_error_docref(NULL, E_WARNING, "A Fiber waits for this stream, and can't be woken from here");
			return SS_MAY_NOT_CLOSE;
		}
	}
	if (!parks) {
		return SS_MAY_CLOSE;
	}
	closer->task = task->number;
	closer->socket = socket;
	closer->resource = stream->res;
	return see_off(closer, task);
}

/* Whether no stream is in use but by who closes it: nobody has ever parked, and no handler runs. */
static bool is_nobodys(void)
{
	return !ss_loop_exists() && holds_outside == NULL;
}

static ZEND_NAMED_FUNCTION(close_)
{
	ss_closer closer;

	if (is_nobodys()) {
		stock_close(INTERNAL_FUNCTION_PARAM_PASSTHRU);
		return;
	}
	enum ss_closes closes = begin(&closer, execute_data);

	if (closes == SS_MAY_CLOSE) {
		stock_close(INTERNAL_FUNCTION_PARAM_PASSTHRU);
	} else {
		RETVAL_BOOL(closes == SS_IS_CLOSED);
	}
	end(&closer);
}

static ZEND_NAMED_FUNCTION(pclose_)
{
	ss_closer closer;

	if (is_nobodys()) {
		stock_pclose(INTERNAL_FUNCTION_PARAM_PASSTHRU);
		return;
	}
	enum ss_closes closes = begin(&closer, execute_data);

	if (closes == SS_MAY_CLOSE) {
		stock_pclose(INTERNAL_FUNCTION_PARAM_PASSTHRU);
	} else {
		RETVAL_LONG(closes == SS_IS_CLOSED ? 0 : -1);
	}
	end(&closer);
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
