/* What an operation in a task waits for: its stream, another descriptor, the time. */
#include "fibers.h"

#include "zend_exceptions.h"

ss_patience ss_patience_of_time(const struct timeval *timeout)
{
	if (timeout == NULL || timeout->tv_sec < 0) {
		return (ss_patience) {-1, 0};
	}
	if (timeout->tv_sec > INT64_MAX / 2000000000) {
		return (ss_patience) {-1, 0};
	}
	return (ss_patience) {timeout->tv_sec * INT64_C(1000000000) + timeout->tv_usec * INT64_C(1000), 0};
}

ss_patience ss_patience_for(const ss_socket *socket, enum ss_direction direction)
{
	return direction == SS_WRITE && socket->write_timeout >= 0 ? (ss_patience) {socket->write_timeout, 0}
		: ss_patience_of_time(&socket->netstream.timeout);
}

enum ss_waited ss_await_descriptor(int descriptor, ss_patience *patience)
{
	ss_task *task = ss_current_task();
	uint64_t number = task->number;
	ss_outcome outcome = {0};

	ss_visit_begin(descriptor, (uintptr_t) task, patience, &outcome);
	if (outcome.status != SS_OK) {
		ss_settle(&outcome);
		ss_visit_end((uintptr_t) task);
		return SS_CLOSED;
	}
	ss_loop_arm();
	task->visits = true;
	enum ss_waited waited = ss_task_park(task);
	if (waited != SS_ENDED || ss_task_numbered(number) != NULL) {
		task->visits = false;
		ss_visit_end((uintptr_t) task);
	}
	return waited;
}

static enum ss_waited await(ss_socket *socket, enum ss_direction direction, ss_patience *patience)
{
	ss_task *task = ss_current_task();
	uint64_t number = task->number;
	ss_outcome outcome = {0};
	enum ss_waited waited = ss_wait_begin(socket, direction, (uintptr_t) task, patience, &outcome);

	if (outcome.status != SS_OK) {
		ss_settle(&outcome);
		return SS_CLOSED;
	}
	if (waited == SS_BUSY) {
		ss_hold hold;
		ss_hold_begin(&hold, socket);
		php_error_docref(NULL, E_WARNING, "Another Fiber is %s this stream",
			direction == SS_READ ? "reading from" : "writing to");
		ss_hold_end(&hold);
	}
	if (waited != SS_BEGUN) {
		return waited;
	}
	ss_loop_arm();
	ss_enter(socket);
	task->socket = socket;
	task->direction = direction;
	waited = ss_task_park(task);
	ss_leave(socket);
	if (waited == SS_ENDED) {
		ss_wait_cancel(socket, direction, (uintptr_t) task);
	}
	if (waited != SS_ENDED || ss_task_numbered(number) != NULL) {
		task->socket = NULL;
		task->stream = NULL;
	}
	if (waited == SS_IDLE) {
		ss_idle_out(socket);
	}
	return waited;
}

static int64_t left_of(const ss_patience *patience)
{
	return patience->timeout < 0 ? INT64_MAX : patience->timeout;
}

#define LOOK_AGAIN INT64_C(20000000)

/* A part of the patience, after which to look again. */
static ss_patience moment_of(const ss_patience *patience)
{
	return (ss_patience) {MIN(left_of(patience), LOOK_AGAIN), 0};
}

/* What is tried next once a moment is over. */
static enum ss_waited after_moment(enum ss_waited waited, ss_patience *patience)
{
	if (waited != SS_TOO_LATE || left_of(patience) <= LOOK_AGAIN) {
		return waited;
	}
	patience->timeout -= patience->timeout < 0 ? 0 : LOOK_AGAIN;
	return SS_READY;
}

enum ss_waited ss_await_beside(ss_socket *socket, int descriptor, ss_patience *patience)
{
	const void *held[] = {socket};
	ss_holder holder = {.held = held, .count = 1};

	ss_enter(socket);
	ss_holder_enter(&holder);
	enum ss_waited waited = holder.is_closing ? SS_CLOSED : ss_await_descriptor(descriptor, patience);
	ss_holder_leave(&holder);
	ss_leave(socket);
	return waited != SS_ENDED && ss_is_closing(socket) ? SS_CLOSED : waited;
}

/* Whether it is about to be closed, or another stream that the operation is about. */
static bool is_closing(const ss_socket *socket)
{
	return ss_is_closing(socket) || ss_copy_is_closing(ss_current_task(), socket);
}

enum ss_waited ss_await_moment(ss_socket *socket, ss_patience *patience)
{
	ss_patience moment = moment_of(patience);

	return is_closing(socket) ? SS_CLOSED : after_moment(ss_await_beside(socket, -1, &moment), patience);
}

/* A peer's datagrams may be brought by whoever reads another descriptor, without a word. */
static enum ss_waited await_looking(ss_socket *socket, enum ss_direction direction, ss_patience *patience)
{
	ss_patience moment = moment_of(patience);
	enum ss_waited waited = await(socket, direction, &moment);

	if (waited == SS_CLOSED && !ss_is_closing(socket) && EG(exception) == NULL) {
		/* It has no descriptor of its own, and the shared one is watched for another. */
		waited = ss_await_beside(socket, -1, &moment);
	}
	return after_moment(waited, patience);
}

enum ss_waited ss_await(ss_socket *socket, enum ss_direction direction, ss_patience *patience)
{
	if (is_closing(socket)) {
		return SS_CLOSED;
	}
	return ss_is_to_be_looked_at(socket) ? await_looking(socket, direction, patience)
		: await(socket, direction, patience);
}
