/* Tasks: Fibers that we start, park, wake and end. */
#include "fibers.h"

#include "zend_exceptions.h"
#include "zend_extensions.h"
#include "zend_weakrefs.h"

/* Finished Fibers that wait to be used again: enough for a burst, and little memory. */
#define MOST_IDLE 64
/* Operations of a task between looks at the clock, and how long it may go on while others wait. */
#define STEPS_PER_LOOK 16
#define SLICE 1000000

typedef struct {
	/* All that are not reaped, by their numbers. */
	HashTable tasks;
	bool is_set_up;
	uint64_t last_number;
	ss_task *idle;
	uint32_t idle_count;
	ss_task *done;
} ss_tasks;

ZEND_TLS ss_tasks tasks;

/* Our place among the data that extensions keep with a Fiber. */
static int slot = -1;

void ss_tasks_set_up(void)
{
	slot = zend_get_resource_handle("stream_socket");
}

/* ---- who is running ---- */

/* The task under a Fiber and those that resumed it, and whether one of them is being ended. */
static ss_task *task_under(zend_fiber_context *context, bool *is_ending)
{
	while (context != NULL && context->kind == zend_ce_fiber) {
		zend_fiber *fiber = zend_fiber_from_context(context);
		ss_task *task = context->reserved[slot];

		*is_ending |= (fiber->flags & ZEND_FIBER_FLAG_DESTROYED) != 0;
		if (task != NULL) {
			return task;
		}
		context = fiber->caller;
	}
	return NULL;
}

ss_task *ss_current_task(void)
{
	bool is_ending = false;

	return task_under(EG(current_fiber_context), &is_ending);
}

ss_task *ss_task_numbered(uint64_t number)
{
	return tasks.is_set_up ? zend_hash_index_find_ptr(&tasks.tasks, number) : NULL;
}

enum ss_manner ss_manner_now(void)
{
	bool is_ending = false;

	if (EG(current_fiber_context) == EG(main_fiber_context)
		|| task_under(EG(current_fiber_context), &is_ending) == NULL) {
		return SS_BLOCKS;
	}
	if (is_ending) {
		return SS_FAILS;
	}
	/* A handler of output that parks would have others run within it. */
	if (zend_fiber_switch_blocked() || EG(exception) != NULL || OG(running) != NULL) {
		return SS_BLOCKS;
	}
	return SS_PARKS;
}

/* ---- output buffers: each task sees its own, and those that were there before it ---- */

static php_output_handler *top_buffer(void)
{
	php_output_handler **top = zend_stack_top(&OG(handlers));

	return top ? *top : NULL;
}

static void set_buffers_aside(ss_task *task)
{
	int own = zend_stack_count(&OG(handlers)) - task->level;

	if (own <= 0) {
		return;
	}
	task->buffers = safe_emalloc(own, sizeof(php_output_handler *), 0);
	task->buffer_count = own;
	while (own > 0) {
		task->buffers[--own] = top_buffer();
		zend_stack_del_top(&OG(handlers));
	}
	OG(active) = top_buffer();
}

static void take_buffers_back(ss_task *task)
{
	task->level = zend_stack_count(&OG(handlers));
	if (task->buffers == NULL) {
		return;
	}
	for (uint32_t index = 0; index < task->buffer_count; index++) {
		zend_stack_push(&OG(handlers), &task->buffers[index]);
	}
	OG(active) = top_buffer();
	efree(task->buffers);
	task->buffers = NULL;
	task->buffer_count = 0;
}

static void flush_buffers(const ss_task *task)
{
	while (zend_stack_count(&OG(handlers)) > task->level) {
		if (php_output_end() != SUCCESS) {
			return;
		}
	}
}

/* ---- parking and waking ---- */

static void release_arguments(ss_task *task)
{
	zval *arguments = task->arguments;
	uint32_t count = task->argument_count;

	task->arguments = NULL;
	task->argument_count = 0;
	for (uint32_t index = 0; index < count; index++) {
		zval_ptr_dtor(&arguments[index]);
	}
	if (arguments != NULL) {
		efree(arguments);
	}
}

/* What came along with a switch: nothing, a value that is of no use, an exception, or that the
 * request is over. */
static bool received(zend_fiber_transfer *transfer)
{
	if (UNEXPECTED(transfer->flags & ZEND_FIBER_TRANSFER_FLAG_BAILOUT)) {
		EG(active_fiber) = NULL;
		zend_bailout();
	}
	if (UNEXPECTED(transfer->flags & ZEND_FIBER_TRANSFER_FLAG_ERROR)) {
		zend_throw_exception_internal(Z_OBJ(transfer->value));
		return false;
	}
	zval_ptr_dtor(&transfer->value);
	return true;
}

enum ss_waited ss_task_park(ss_task *task)
{
	uint64_t number = task->number;
	zend_fiber *active = EG(active_fiber);
	zend_fiber_transfer transfer = {.context = task->fiber->caller};

	/* The handler has its own hold on them; ours would keep open what it gives up. */
	release_arguments(task);
	set_buffers_aside(task);
	task->parked = EG(current_fiber_context);
	task->frame = __builtin_frame_address(0);
	task->execute_data = EG(current_execute_data)->prev_execute_data;
	ZVAL_NULL(&transfer.value);
	zend_fiber_switch_context(&transfer);
	EG(active_fiber) = active;
	bool goes_on = received(&transfer);
	/* One that is ended from under a Fiber of its own may be gone before that Fiber is. */
	if (!goes_on && ss_task_numbered(number) == NULL) {
		return SS_ENDED;
	}
	task->parked = NULL;
	task->since = 0;
	take_buffers_back(task);
	return goes_on ? task->waited : SS_ENDED;
}

/* The stacks of a thousand tasks don't stay in the processor's caches. What one will need is fetched while
 * those before it run: of C's stack what is between the switch and the interpreter, of PHP's the frames
 * of the operation and of its caller. */
static void fetch(const void *from, size_t size)
{
	for (size_t offset = 0; offset < size; offset += 64) {
		__builtin_prefetch((const char *) from + offset);
	}
}

#define BELOW_FRAME 320

void ss_task_foresee(const ss_task *task)
{
	if (task->parked == NULL) {
		return;
	}
	fetch((const char *) task->frame - BELOW_FRAME, BELOW_FRAME + 960);
	fetch(task->execute_data, 384);
	fetch(task->fiber, sizeof(*task->fiber));
	fetch(task->socket, 320);
}

/* Switches there, until it comes back. */
static void switch_to(ss_task *task, zend_fiber_context *context, zend_fiber *fiber)
{
	zend_fiber *active = EG(active_fiber);
	zend_fiber_transfer transfer = {.context = context};

	if (active != NULL) {
		active->execute_data = EG(current_execute_data);
	}
	task->fiber->caller = EG(current_fiber_context);
	EG(active_fiber) = fiber;
	ZVAL_NULL(&transfer.value);
	zend_fiber_switch_context(&transfer);
	EG(active_fiber) = active;
	received(&transfer);
}

void ss_task_wake(ss_task *task, enum ss_waited waited)
{
	zend_fiber_context *context = task->parked;

	if (context == NULL) {
		return;
	}
	task->waited = waited;
	task->parked = NULL;
	/* What called it when it parked is not there any more, and the collector walks this way. */
	task->fiber->stack_bottom->prev_execute_data = EG(current_execute_data);
	switch_to(task, context, EG(active_fiber));
}

bool ss_give_way(void)
{
	ss_task *task = ss_current_task();

	if (task == NULL || ++task->steps % STEPS_PER_LOOK != 0) {
		return true;
	}
	int64_t now = ss_now();
	if (task->since == 0) {
		task->since = now;
		return true;
	}
	if (now - task->since < SLICE) {
		return true;
	}
	ss_loop_wake((uintptr_t) task);
	if (ss_task_park(task) != SS_ENDED) {
		return true;
	}
	/* Ended ahead of its turn, it is not to have that any more. */
	ss_loop_forget((uintptr_t) task);
	return false;
}

/* ---- waiting ---- */

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
		ss_hold hold = ss_hold_begin(socket);
		php_error_docref(NULL, E_WARNING, "Another Fiber is %s this stream",
			direction == SS_READ ? "reading from" : "writing to");
		ss_hold_end(socket, hold);
	}
	if (waited != SS_BEGUN) {
		return waited;
	}
	ss_loop_arm();
	socket->waiting++;
	task->socket = socket;
	task->direction = direction;
	waited = ss_task_park(task);
	socket->waiting--;
	if (waited == SS_ENDED) {
		ss_wait_cancel(socket, direction, (uintptr_t) task);
	}
	if (waited != SS_ENDED || ss_task_numbered(number) != NULL) {
		task->socket = NULL;
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

/* Waits for the time alone, while the stream stays. */
static enum ss_waited await_time(ss_socket *socket, ss_patience *patience)
{
	const void *held[] = {socket};
	ss_holder holder = {.held = held, .count = 1};

	socket->waiting++;
	ss_holder_enter(&holder);
	enum ss_waited waited = ss_await_descriptor(-1, patience);
	ss_holder_leave(&holder);
	socket->waiting--;
	return waited != SS_ENDED && socket->closing ? SS_CLOSED : waited;
}

enum ss_waited ss_await_moment(ss_socket *socket, ss_patience *patience)
{
	ss_patience moment = moment_of(patience);

	return socket->closing ? SS_CLOSED : after_moment(await_time(socket, &moment), patience);
}

/* A peer's datagrams may be brought by whoever reads another descriptor, without a word. */
static enum ss_waited await_looking(ss_socket *socket, enum ss_direction direction, ss_patience *patience)
{
	ss_patience moment = moment_of(patience);
	enum ss_waited waited = await(socket, direction, &moment);

	if (waited == SS_CLOSED && !socket->closing && EG(exception) == NULL) {
		/* It has no descriptor of its own, and the shared one is watched for another. */
		waited = await_time(socket, &moment);
	}
	return after_moment(waited, patience);
}

enum ss_waited ss_await(ss_socket *socket, enum ss_direction direction, ss_patience *patience)
{
	if (socket->closing) {
		return SS_CLOSED;
	}
	return ss_is_to_be_looked_at(socket) ? await_looking(socket, direction, patience)
		: await(socket, direction, patience);
}

/* ---- a task's life ---- */

ss_task *ss_task_new(ss_server *server)
{
	if (!tasks.is_set_up) {
		zend_hash_init(&tasks.tasks, 64, NULL, NULL, 0);
		tasks.is_set_up = true;
	}
	ss_task *task = server != NULL ? tasks.idle : NULL;
	if (task != NULL) {
		tasks.idle = task->next_idle;
		tasks.idle_count--;
	} else {
		task = ecalloc(1, sizeof(*task));
		task->number = ++tasks.last_number;
		zend_hash_index_add_ptr(&tasks.tasks, task->number, task);
	}
	task->server = server;
	return task;
}

static bool make_fiber(ss_task *task)
{
	zval fiber, callable;

	object_init_ex(&fiber, zend_ce_fiber);
	ZVAL_STRINGL(&callable, SS_TASK_MAIN, sizeof(SS_TASK_MAIN) - 1);
	zend_call_known_function(zend_ce_fiber->constructor, Z_OBJ(fiber), zend_ce_fiber, NULL, 1,
		&callable, NULL);
	zval_ptr_dtor(&callable);
	task->fiber = (zend_fiber *) Z_OBJ(fiber);
	task->fiber->context.reserved[slot] = task;
	return EG(exception) == NULL;
}

zend_fiber *ss_task_fiber(ss_task *task)
{
	return task->fiber != NULL || make_fiber(task) ? task->fiber : NULL;
}

static void finish(ss_task *task)
{
	release_arguments(task);
	if (task->fiber != NULL) {
		task->fiber->context.reserved[slot] = NULL;
	}
	task->is_done = true;
	task->next_idle = tasks.done;
	tasks.done = task;
}

/* There was no memory for its stack: the connection ends, the server goes on. */
static void not_begun(ss_task *task)
{
	zend_object *exception = EG(exception);

	if (exception != NULL) {
		GC_ADDREF(exception);
		zend_clear_exception();
		ss_task_failed(task, exception);
	}
	ss_task_finished(task, false);
	finish(task);
}

void ss_task_begin(ss_task *task)
{
	if (task->parked != NULL) {
		ss_task_wake(task, SS_READY);
	} else if (ss_task_fiber(task) != NULL && ss_coroutine_make(task->fiber)) {
		switch_to(task, &task->fiber->context, task->fiber);
	} else {
		not_begun(task);
	}
}

void ss_task_end(ss_task *task)
{
	if (task->parked == NULL && task->fiber->context.status != ZEND_FIBER_STATUS_SUSPENDED) {
		return;
	}
	if (task->socket != NULL) {
		ss_wait_cancel(task->socket, task->direction, (uintptr_t) task);
	} else if (task->visits) {
		ss_visit_end((uintptr_t) task);
	}
	ss_loop_forget((uintptr_t) task);
	/* As Zend does with a Fiber that nobody holds any more. */
	zend_object *object = &task->fiber->std;
	GC_ADD_FLAGS(object, IS_OBJ_DESTRUCTOR_CALLED);
	GC_ADDREF(object);
	object->handlers->dtor_obj(object);
	OBJ_RELEASE(object);
}

void ss_task_discard(ss_task *task)
{
	finish(task);
	ss_tasks_reap();
}

ss_task *ss_task_of(const zend_fiber *fiber)
{
	return fiber->context.reserved[slot];
}

void ss_tasks_reap(void)
{
	while (tasks.done != NULL) {
		ss_task *task = tasks.done;

		tasks.done = task->next_idle;
		zend_hash_index_del(&tasks.tasks, task->number);
		zval_ptr_dtor(&task->callee.value);
		if (task->peer != NULL) {
			zend_string_release(task->peer);
		}
		if (task->fiber != NULL) {
			ss_spawned_reaped(task);
			OBJ_RELEASE(&task->fiber->std);
		}
		efree(task);
	}
}

void ss_tasks_release_idle(void)
{
	while (tasks.idle != NULL) {
		ss_task *task = tasks.idle;

		tasks.idle = task->next_idle;
		tasks.idle_count--;
		ss_task_end(task);
	}
	ss_tasks_reap();
}

/* At the end of a request Zend has ended what was parked, or, after a fatal error, gives the memory
 * up without a word to anybody. */
void ss_tasks_shut_down(void)
{
	if (!tasks.is_set_up) {
		return;
	}
	if (!CG(unclean_shutdown)) {
		ss_tasks_release_idle();
	}
	zend_hash_destroy(&tasks.tasks);
	memset(&tasks, 0, sizeof(tasks));
}

/* ---- what the Fiber of a task runs ---- */

static bool is_unwinding(void)
{
	return EG(exception) != NULL
		&& (zend_is_unwind_exit(EG(exception)) || zend_is_graceful_exit(EG(exception)));
}

/* Calls the handler. What it throws is reported; only exit() and a forced end go through. */
static void run(ss_task *task, zval *result)
{
	ZVAL_NULL(result);
	task->level = zend_stack_count(&OG(handlers));
	task->since = 0;
	task->callee.call.params = task->arguments;
	task->callee.call.param_count = task->argument_count;
	task->callee.call.retval = result;
	zend_call_function(&task->callee.call,
		task->callee.callee.function_handler ? &task->callee.callee : NULL);
	release_arguments(task);
	if (!is_unwinding()) {
		zend_object *exception = EG(exception);

		if (exception != NULL) {
			GC_ADDREF(exception);
			zend_clear_exception();
		}
		flush_buffers(task);
		if (exception != NULL) {
			ss_task_failed(task, exception);
		}
	}
	if (task->server != NULL) {
		/* Of a handler it is of no use. */
		zval_ptr_dtor(result);
		ZVAL_NULL(result);
	}
	ss_task_finished(task, is_unwinding());
}

/* Waits to be used again; false when it is not to be. Only one of which nobody can know is. */
static bool rests(ss_task *task)
{
	zend_object *fiber = &task->fiber->std;

	if (task->server == NULL || tasks.idle_count >= MOST_IDLE || GC_REFCOUNT(fiber) > 1
		|| (OBJ_FLAGS(fiber) & IS_OBJ_WEAKLY_REFERENCED) || ss_manner_now() != SS_PARKS) {
		return false;
	}
	task->server = NULL;
	task->next_idle = tasks.idle;
	tasks.idle = task;
	tasks.idle_count++;
	return ss_task_park(task) != SS_ENDED;
}

/* A script has started its Fiber, or calls by itself what stands for a task. */
static void refuse_start(ss_task *task)
{
	if (task != NULL && task->callee.call.retval == NULL
		&& &task->fiber->context == EG(current_fiber_context)) {
		ss_loop_forget((uintptr_t) task);
		ss_task_finished(task, true);
		finish(task);
	}
	zend_throw_error(NULL, "a task begins by itself, in its turn");
}

ZEND_NAMED_FUNCTION(ss_task_main)
{
	ZEND_PARSE_PARAMETERS_NONE();
	refuse_start(ss_current_task());
}

void ss_task_run(ss_task *task, zval *result)
{
	do {
		run(task, result);
	} while (EG(exception) == NULL && rests(task));
	finish(task);
}
