/* Tasks beside those of connections, and our loop as a part of a script's own. */
#include "fibers.h"

#include <unistd.h>

#include "zend_exceptions.h"

/* Fibers whose tasks have failed while somebody holds them, who may yet ask for that. */
ZEND_TLS HashTable *unasked;

static void report_unasked(zend_fiber *fiber)
{
	zend_object *exception = Z_OBJ(fiber->result);

	GC_ADDREF(exception);
	ss_server_report(NULL, exception, NULL);
}

/* Whether a Fiber's task has failed and nobody has been told; then that is no longer so. */
static bool take_unasked(zend_fiber *fiber)
{
	return unasked != NULL && zend_hash_index_del(unasked, fiber->std.handle) == SUCCESS;
}

static void keep_unasked(zend_fiber *fiber)
{
	zval value;

	if (unasked == NULL) {
		ALLOC_HASHTABLE(unasked);
		zend_hash_init(unasked, 8, NULL, ZVAL_PTR_DTOR, 0);
	}
	ZVAL_OBJ_COPY(&value, &fiber->std);
	zend_hash_index_update(unasked, fiber->std.handle, &value);
}

/* Reports those that nobody but us holds any more. */
static void sweep_unasked(bool all)
{
	zval *value;

	if (unasked == NULL) {
		return;
	}
	ZEND_HASH_FOREACH_VAL(unasked, value) {
		zend_object *object = Z_OBJ_P(value);
		if (all || GC_REFCOUNT(object) == 1) {
			report_unasked((zend_fiber *) object);
			zend_hash_index_del(unasked, object->handle);
		}
	} ZEND_HASH_FOREACH_END();
}

/* ---- the end of a task ---- */

void ss_task_failed(ss_task *task, zend_object *exception)
{
	if (task->server != NULL) {
		ss_server_report(task->server, exception, task->peer);
		return;
	}
	/* The Fiber's result: who joins it throws it. */
	if (task->callee.call.retval != NULL) {
		ZVAL_OBJ(task->callee.call.retval, exception);
		task->has_failed = true;
	} else {
		ss_server_report(NULL, exception, NULL);
	}
}

void ss_task_finished(ss_task *task, bool was_ended)
{
	if (task->server != NULL) {
		ss_server_finished(task->server, task, was_ended);
		return;
	}
	ss_task *joiner = task->joiner ? ss_task_numbered(task->joiner) : NULL;
	if (joiner != NULL) {
		ss_loop_wake((uintptr_t) joiner);
		ss_loop_arm();
	}
}

void ss_spawned_reaped(ss_task *task)
{
	if (!task->has_failed) {
		return;
	}
	if (GC_REFCOUNT(&task->fiber->std) > 1) {
		keep_unasked(task->fiber);
	} else {
		report_unasked(task->fiber);
	}
	sweep_unasked(false);
}

void ss_spawned_shut_down(void)
{
	if (unasked == NULL) {
		return;
	}
	if (!CG(unclean_shutdown)) {
		sweep_unasked(true);
	}
	zend_hash_destroy(unasked);
	FREE_HASHTABLE(unasked);
	unasked = NULL;
}

/* ---- functions ---- */

ZEND_FUNCTION(stream_socket_spawn)
{
	zval *callable, *arguments;
	uint32_t count;

	ZEND_PARSE_PARAMETERS_START(1, -1)
		Z_PARAM_ZVAL(callable)
		Z_PARAM_VARIADIC('*', arguments, count)
	ZEND_PARSE_PARAMETERS_END();
	if (!ss_loop_ensure()) {
		RETURN_THROWS();
	}
	ss_task *task = ss_task_new(NULL);
	if (!ss_callable_take(&task->callee, callable)) {
		zend_argument_type_error(1, "must be a valid callback");
	}
	zend_fiber *fiber = EG(exception) == NULL ? ss_task_fiber(task) : NULL;
	if (fiber == NULL) {
		ss_task_discard(task);
		RETURN_THROWS();
	}
	task->arguments = safe_emalloc(count ? count : 1, sizeof(zval), 0);
	task->argument_count = count;
	for (uint32_t index = 0; index < count; index++) {
		ZVAL_COPY(&task->arguments[index], &arguments[index]);
	}
	/* It begins in its turn: this one goes on. */
	ss_loop_wake((uintptr_t) task);
	ss_loop_arm();
	RETURN_OBJ_COPY(&fiber->std);
}

static bool has_ended(void *what)
{
	const zend_fiber *fiber = what;

	/* One that there was no memory for has not begun, and never will. */
	return fiber->context.status == ZEND_FIBER_STATUS_DEAD || ss_task_of(fiber) == NULL;
}

/* Whether a task waits for the end of another, or for one that does. */
static bool awaits(const ss_task *task, const ss_task *other)
{
	while (other != NULL && other != task) {
		other = other->joiner != 0 ? ss_task_numbered(other->joiner) : NULL;
	}
	return other == task;
}

static bool await_end(zend_fiber *fiber, ss_task *joined)
{
	ss_task *task = ss_current_task();

	if (has_ended(fiber)) {
		return true;
	}
	if (task != NULL && awaits(joined, task)) {
		zend_throw_error(NULL, "a task cannot wait for its own end");
		return false;
	}
	if (task == NULL || ss_manner_now() != SS_PARKS) {
		ss_loop_run(has_ended, fiber);
		return EG(exception) == NULL;
	}
	if (joined->joiner != 0 && ss_task_numbered(joined->joiner) != NULL) {
		zend_throw_error(NULL, "another task waits for the end of this one");
		return false;
	}
	joined->joiner = task->number;
	bool goes_on = true;
	while (goes_on && !has_ended(fiber)) {
		goes_on = ss_task_park(task) != SS_ENDED;
	}
	ss_loop_forget((uintptr_t) task);
	return goes_on;
}

ZEND_FUNCTION(stream_socket_join)
{
	zend_object *object;

	ZEND_PARSE_PARAMETERS_START(1, 1)
		Z_PARAM_OBJ_OF_CLASS(object, zend_ce_fiber)
	ZEND_PARSE_PARAMETERS_END();
	zend_fiber *fiber = (zend_fiber *) object;
	ss_task *joined = ss_task_of(fiber);
	if (joined == NULL && fiber->context.status != ZEND_FIBER_STATUS_DEAD) {
		zend_argument_value_error(1, "must be a Fiber of stream_socket_spawn()");
		RETURN_THROWS();
	}
	GC_ADDREF(object);
	if (joined == NULL || await_end(fiber, joined)) {
		/* Done with, it may not have been looked at yet. */
		ss_tasks_reap();
		if (take_unasked(fiber)) {
			zend_object *exception = Z_OBJ(fiber->result);
			GC_ADDREF(exception);
			zend_throw_exception_internal(exception);
		} else if (fiber->context.status == ZEND_FIBER_STATUS_INIT
			|| fiber->flags & (ZEND_FIBER_FLAG_THREW | ZEND_FIBER_FLAG_DESTROYED)) {
			zend_throw_error(NULL, "the task was ended before it was done");
		} else if (!Z_ISUNDEF(fiber->result)) {
			RETVAL_COPY(&fiber->result);
		}
	}
	OBJ_RELEASE(object);
}

ZEND_FUNCTION(stream_socket_loop_fd)
{
	ZEND_PARSE_PARAMETERS_NONE();
	int descriptor = ss_loop_ensure() ? ss_loop_foreign() : -1;
	if (EG(exception) != NULL) {
		RETURN_THROWS();
	}
	int own = descriptor == -1 ? -1 : dup(descriptor);
	php_stream *stream = own == -1 ? NULL : php_stream_fopen_from_fd(own, "r", NULL);
	if (stream == NULL) {
		php_error_docref(NULL, E_WARNING, "No descriptor for the loop: %s", strerror(errno));
		RETURN_FALSE;
	}
	stream->flags |= PHP_STREAM_FLAG_NO_BUFFER;
	php_stream_to_zval(stream, return_value);
}

ZEND_FUNCTION(stream_socket_loop_run)
{
	ZEND_PARSE_PARAMETERS_NONE();
	ss_loop_run_ready();
}
