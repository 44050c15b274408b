/* A Fiber for each connection: what the operations of streams need to park one, and what the files
 * that run them share.
 *
 * A task is a Fiber that we started. It parks by switching straight to whoever resumed it, and is
 * woken by a switch to where it parked, which may be a Fiber that its code has started itself. No
 * frame of Rust is ever on the stack then: Rust notes what is waited for and what has come. */
#ifndef STREAM_SOCKET_FIBERS_H
#define STREAM_SOCKET_FIBERS_H

#include "shim.h"

#include <poll.h>
#include <time.h>

#include "php_output.h"
#include "zend_fibers.h"

/* ---- for operations that may have to wait: awaiting.c, switching.c ---- */

enum ss_direction { SS_READ, SS_WRITE };

/* How a wait ended. */
enum ss_waited {
	SS_READY,
	/* The patience is at its end. */
	SS_TOO_LATE,
	/* Nothing has moved on the connection for as long as its server allows. */
	SS_IDLE,
	/* Another Fiber closed the stream. */
	SS_CLOSED,
	/* Another Fiber waits for the same; a warning was given. */
	SS_BUSY,
	/* Between C and Rust alone: it has begun. */
	SS_BEGUN,
	/* The Fiber is to end: an exception is on its way, return at once. */
	SS_ENDED,
};

/* What an operation does where it would have to wait. */
enum ss_manner {
	/* Block, as everywhere in PHP: this is no task, or Zend forbids to switch. */
	SS_BLOCKS,
	/* Park by one of the calls below. */
	SS_PARKS,
	/* Fail at once: the task is being ended. */
	SS_FAILS,
};

/* How long an operation may wait in all: nanoseconds, -1 for ever. `until` is zero at first, and
 * kept by the waits of one operation. */
typedef struct {
	int64_t timeout;
	int64_t until;
} ss_patience;

/* What it is where Fibers run. */
enum ss_manner ss_manner_in_fiber(void);
static zend_always_inline enum ss_manner ss_manner_now(void)
{
	return EG(current_fiber_context) == EG(main_fiber_context) ? SS_BLOCKS : ss_manner_in_fiber();
}
ss_patience ss_patience_for(const ss_socket *socket, enum ss_direction direction);
ss_patience ss_patience_of_time(const struct timeval *timeout);

/* Parks until a stream's socket may be ready. What is tried next may still find that it is not, and
 * comes back with the same patience. Its first attempt must have found that it would wait. */
enum ss_waited ss_await(ss_socket *socket, enum ss_direction direction, ss_patience *patience);
/* Parks for a moment, to look again then: not everything is told by a descriptor. */
enum ss_waited ss_await_moment(ss_socket *socket, ss_patience *patience);
/* Parks until any other descriptor is readable, or, with -1, for the time alone. */
enum ss_waited ss_await_descriptor(int descriptor, ss_patience *patience);
/* The same in an operation of a stream, which stays meanwhile: who closes it ends the wait. */
enum ss_waited ss_await_beside(ss_socket *socket, int descriptor, ss_patience *patience);
/* Lets other tasks go on, if this one has been at it for long. False: as SS_ENDED. */
bool ss_give_way(void);

/* What ss_try_read and ss_try_peek return where they would wait. */
#define SS_WOULD_WAIT (-2)

ssize_t ss_try_read(ss_socket *socket, char *buffer, size_t count, bool *eof, ss_outcome *outcome);
ssize_t ss_try_peek(ss_socket *socket, char *buffer, size_t count, ss_outcome *outcome);
ssize_t ss_try_write(ss_socket *socket, const char *bytes, size_t count, ss_outcome *outcome);
/* Notes that an attempt by other means found that it would wait. */
void ss_exhausted(ss_socket *socket, int direction);

/* ---- tasks: fibers.c, switching.c ---- */

typedef struct ss_server ss_server;
typedef struct ss_task ss_task;

/* A callable of the script's. */
typedef struct {
	zend_fcall_info call;
	zend_fcall_info_cache callee;
	zval value;
} ss_callable;

bool ss_callable_take(ss_callable *callable, zval *value);

struct ss_task {
	/* Where it goes on, while it is parked, and where on the stacks of C and PHP that is. What each wait
	 * needs stands first: two lines of the processor's caches. */
	zend_fiber_context *parked;
	void *frame;
	zend_execute_data *execute_data;
	/* Owned until the task is reaped. */
	zend_fiber *fiber;
	/* What it waits on, so that the wait can be ended. */
	ss_socket *socket;
	enum ss_direction direction;
	enum ss_waited waited;
	/* The stream that it waits to read, while it is parked. */
	const php_stream *stream;
	/* Its operations since the clock was looked at, and since when it has been running. */
	uint32_t steps;
	/* How many output buffers were there before its own. */
	int level;
	int64_t since;
	uint64_t number;
	/* Output buffers that it has opened, while it is parked. */
	php_output_handler **buffers;
	uint32_t buffer_count;
	uint32_t argument_count;
	zval *arguments;
	/* What it copies from one stream to another. */
	struct ss_holder *copies;
	bool visits;
	/* The forks that were before it went on, and whether it has forked this process. */
	sig_atomic_t forks;
	bool is_child;
	/* What a task of stream_socket_spawn threw. */
	bool has_failed;
	bool is_done;
	/* The operations of streams of which handlers of the script's run. */
	struct ss_hold *holds;
	/* What it runs. */
	ss_server *server;
	ss_callable callee;
	zend_string *peer;
	/* In the list of all of its server's. */
	ss_task *next, *previous;
	ss_task *next_idle;
	/* The task that waits for its end. */
	uint64_t joiner;
};

/* Our place among the data that extensions keep with a Fiber. */
extern int ss_task_slot;
/* The task that a Fiber is of, until it is done. */
static zend_always_inline ss_task *ss_task_of(const zend_fiber *fiber)
{
	return fiber->context.reserved[ss_task_slot];
}

/* The task that the running code is part of, or NULL. */
ss_task *ss_outer_task(void);
static zend_always_inline ss_task *ss_current_task(void)
{
	ss_task *task = EG(current_fiber_context)->reserved[ss_task_slot];

	return EXPECTED(task != NULL) ? task : ss_outer_task();
}
ss_task *ss_task_numbered(uint64_t number);
/* A task to run `callable`, which is begun by ss_task_begin. */
ss_task *ss_task_new(ss_server *server);
void ss_task_begin(ss_task *task);
zend_fiber *ss_task_fiber(ss_task *task);
/* It will go on next, and in a few turns. */
void ss_task_foresee(const ss_task *task);
void ss_task_approach(const ss_task *task);
/* Goes into its Fiber, whose context was just made. */
void ss_task_enter(ss_task *task);
/* Goes on with one that is parked. */
void ss_task_wake(ss_task *task, enum ss_waited waited);
/* Parks the current task until it is woken by hand. */
enum ss_waited ss_task_park(ss_task *task);
/* Ends one that is parked: its finally blocks and destructors run. */
void ss_task_end(ss_task *task);
/* Whether this process is a child that it has forked. */
static zend_always_inline bool ss_task_is_child(const ss_task *task)
{
	return task->is_child || task->forks != ss_forks;
}
/* Gives its arguments up, unless it has done so. */
void ss_task_release_arguments(ss_task *task);
/* Gives up the memory of those that are done. */
void ss_tasks_reap(void);
void ss_tasks_release_idle(void);
void ss_tasks_shut_down(void);
/* A task that was never begun. */
void ss_task_discard(ss_task *task);
void ss_tasks_set_up(void);

/* spawn.c: a task has thrown, which is taken; it is done; its memory is given up. */
void ss_task_failed(ss_task *task, zend_object *exception);
void ss_task_finished(ss_task *task, bool was_ended);
void ss_spawned_reaped(ss_task *task);
void ss_spawned_shut_down(void);

/* What its Fiber runs, from beginning to end. */
void ss_task_run(ss_task *task, zval *result);
/* coroutine.c: makes a Fiber's context, in which that runs; false after an Error. */
bool ss_coroutine_make(zend_fiber *fiber);

/* What a Fiber of ours shows as its callable. */
ZEND_NAMED_FUNCTION(ss_task_main);
#define SS_TASK_MAIN "{stream_socket task}"

/* output.c: sets the buffers that a task has opened aside, puts them back, and flushes them. */
void ss_output_set_aside(ss_task *task);
void ss_output_take_back(ss_task *task);
void ss_output_flush(const ss_task *task);

/* ---- the loop: loop.c ---- */

/* How many tasks are approached at a time. */
#define SS_AHEAD 4
#define SS_COMING (1 + 2 * SS_AHEAD)

typedef struct {
	int kind;
	int detail;
	uintptr_t key;
	/* What has the next turns: tasks, servers, or 0. All of them are told of once in SS_AHEAD events, else
	 * the first. */
	uintptr_t coming[SS_COMING];
} ss_event;

enum ss_event_kind { SS_WOKEN, SS_ARRIVED, SS_SIGNAL };

/* Makes the loop if there is none; false after an Error. */
bool ss_loop_ensure(void);
/* Turns until `is_over` says so, or an exception is on its way. */
void ss_loop_run(bool (*is_over)(void *), void *what);
/* Does what is ready, without waiting. */
void ss_loop_run_ready(void);
/* Sees to it that a foreign loop comes back in time. */
void ss_loop_arm(void);
/* A descriptor for a foreign loop, or -1. */
int ss_loop_foreign(void);
/* In a worker: nothing of what its parent waits for is its own. */
void ss_loop_forsake(void);
/* At the end of a request; there is none again before the reset. */
void ss_loop_shut_down(void);
void ss_loop_reset(void);
bool ss_loop_exists(void);
int64_t ss_now(void);

void ss_loop_begin(int signal, ss_outcome *outcome);
void ss_loop_turn(int64_t timeout, ss_outcome *outcome);
bool ss_loop_next(ss_event *event);
bool ss_loop_is_idle(void);
int64_t ss_loop_next_turn(void);
int ss_loop_descriptor(void);
void ss_loop_wake(uintptr_t fiber);
void ss_loop_forget(uintptr_t fiber);
size_t ss_loop_events(void);
void ss_loop_drop(void);
int ss_wait_begin(ss_socket *socket, int direction, uintptr_t fiber, ss_patience *patience, ss_outcome *outcome);
void ss_wait_cancel(const ss_socket *socket, int direction, uintptr_t fiber);
void ss_wake_waiters(const ss_socket *socket);
void ss_visit_begin(int descriptor, uintptr_t fiber, ss_patience *patience, ss_outcome *outcome);
void ss_visit_end(uintptr_t fiber);
void ss_idle_out(ss_socket *socket);

/* ---- signals.c ---- */

void ss_signals_take(void);
void ss_signals_give_back(void);
void ss_signals_reclaim(void);
void ss_signals_forsake(void);
void ss_signals_shut_down(void);
int ss_signals(void);
void ss_signals_raise(void);
/* Readable when a signal has come, until it is silenced; whether it was. */
int ss_signal_descriptor(void);
bool ss_signals_silence(void);
void ss_signals_run_handlers(void);

/* ---- servers: serve.c ---- */

/* An event for a server: a client of its `index`th listener has arrived, or its time to drain is
 * over. */
void ss_server_arrived(ss_server *server, int index);
/* The key of an event that is of no task. */
#define SS_IS_SERVER(key) ((key) & 1)
void ss_server_due(uintptr_t key);
void ss_servers_drain(bool at_once);
void ss_servers_shut_down(void);
/* A task of it is done, or was ended. */
void ss_server_finished(ss_server *server, ss_task *task, bool was_ended);
/* Reports what a handler threw, which it takes. */
void ss_server_report(ss_server *server, zend_object *exception, zend_string *peer);

void ss_server_listen(ss_socket *socket, uintptr_t server, int index, ss_outcome *outcome);
void ss_server_leave(ss_socket *socket);
void ss_server_add_room(uintptr_t server, size_t more);
bool ss_server_take_room(uintptr_t server);
void ss_server_close(uintptr_t server);
void ss_server_end(uintptr_t server);
ss_socket *ss_take_arrived(const ss_socket *listener, int64_t idle, int64_t write, ss_outcome *outcome);
void ss_limit(ss_socket *socket, int64_t idle, int64_t write);
bool ss_has_room(const ss_socket *socket);
bool ss_is_to_be_looked_at(const ss_socket *socket);
void ss_losses(uint64_t *exhausted, uint64_t *lost);

/* A wait of which the loop does not know that it is for streams: for the time alone, or for several at
 * once. Who closes one of them ends it. */
typedef struct ss_holder {
	struct ss_holder *next;
	/* The number of its task, which a Fiber of the script's own may outlive in it. */
	uint64_t task;
	/* Sockets, or resources of streams. */
	const void *const *held;
	uint32_t count;
	/* It is for operations that wait for themselves, one after the other. */
	bool spans;
	/* One of them is about to be closed. */
	bool is_closing;
	/* The next of the copies of its task. */
	struct ss_holder *next_copy;
} ss_holder;

/* Whether that stream is copied from or to, and the other one of the copy is about to be closed. */
bool ss_copy_is_closing(const ss_task *task, const ss_socket *socket);

/* An operation of a stream that may park, from its beginning to its end: who closes the stream waits for that. */
void ss_enter(ss_socket *socket);
void ss_leave(ss_socket *socket);
/* Whether another Fiber is closing it. */
bool ss_is_closing(const ss_socket *socket);
/* The stream has been closed, whoever else was about to do it. */
void ss_closing_gone(const ss_socket *socket);
/* One of them may be about to be closed already. */
void ss_holder_enter(ss_holder *holder);
void ss_holder_leave(ss_holder *holder);

/* sleeping.c, copying.c, closing.c: functions of PHP's that park a task. */
void ss_sleeping_begin(void);
void ss_sleeping_end(void);
void ss_copying_begin(void);
void ss_copying_end(void);
void ss_closing_begin(void);
void ss_closing_end(void);
void ss_closing_shut_down(void);

/* Keeps a stream open while an operation of it calls a handler of the script's, which in a task may park. */
typedef struct ss_hold {
	/* Of the task; 0: of what runs in none. */
	uint64_t number;
	ss_socket *socket;
	struct ss_hold *next;
} ss_hold;

void ss_hold_begin(ss_hold *hold, ss_socket *socket);
void ss_hold_end(ss_hold *hold);

/* ---- parked_poll.c ---- */

int ss_parked_poll(struct pollfd *polled, uint32_t count, const void *const *held, uint32_t held_count,
	const struct timespec *timeout);

_Static_assert(sizeof(ss_event) == 16 + 8 * SS_COMING, "Happened in parking.rs mirrors it");
_Static_assert(sizeof(ss_patience) == 16, "Patience in parking.rs mirrors it");

#endif
