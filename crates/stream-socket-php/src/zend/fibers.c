/* A task's life: from its making to its memory's next use, and what its Fiber runs. */
#include "fibers.h"

#include "zend_exceptions.h"
#include "zend_extensions.h"
#include "zend_weakrefs.h"

/* Finished Fibers that wait to be used again: enough for a burst, and little memory. */
#define MOST_IDLE 64

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

int ss_task_slot = -1;

void ss_tasks_set_up(void)
{
	ss_task_slot = zend_get_resource_handle("stream_socket");
}

ss_task *ss_task_numbered(uint64_t number)
{
	return tasks.is_set_up ? zend_hash_index_find_ptr(&tasks.tasks, number) : NULL;
}

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
	task->forks = ss_forks;
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
	task->fiber->context.reserved[ss_task_slot] = task;
	return EG(exception) == NULL;
}

zend_fiber *ss_task_fiber(ss_task *task)
{
	return task->fiber != NULL || make_fiber(task) ? task->fiber : NULL;
}

void ss_task_release_arguments(ss_task *task)
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

static void finish(ss_task *task)
{
	ss_task_release_arguments(task);
	if (task->fiber != NULL) {
		task->fiber->context.reserved[ss_task_slot] = NULL;
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
		ss_task_enter(task);
	} else {
		not_begun(task);
	}
}

void ss_task_end(ss_task *task)
{
	if (task->parked == NULL && task->fiber->context.status != ZEND_FIBER_STATUS_SUSPENDED) {
		return;
	}
	if (OBJ_FLAGS(&task->fiber->std) & IS_OBJ_DESTRUCTOR_CALLED) {
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

/* Those whose turn has not come never begin. */
static void give_up_unbegun(void)
{
	ss_task *task;

	ZEND_HASH_FOREACH_PTR(&tasks.tasks, task) {
		if (!task->is_done && task->fiber != NULL && task->fiber->context.status == ZEND_FIBER_STATUS_INIT) {
			finish(task);
		}
	} ZEND_HASH_FOREACH_END();
}

/* At the end of a request Zend has ended what was parked, or, after a fatal error, gives the memory
 * up without a word to anybody. */
void ss_tasks_shut_down(void)
{
	if (!tasks.is_set_up) {
		return;
	}
	if (!CG(unclean_shutdown)) {
		give_up_unbegun();
		ss_tasks_release_idle();
	}
	zend_hash_destroy(&tasks.tasks);
	memset(&tasks, 0, sizeof(tasks));
}

/* ---- in a child that a task has forked ---- */

/* Keeps Zend from ending a parked task, and Fibers of the script's own in it. */
static void abandon(ss_task *task)
{
	zend_fiber_context *context = task->parked;

	while (context != NULL && context->kind == zend_ce_fiber) {
		zend_fiber *fiber = zend_fiber_from_context(context);

		GC_ADD_FLAGS(&fiber->std, IS_OBJ_DESTRUCTOR_CALLED);
		context = fiber != task->fiber ? fiber->caller : NULL;
	}
}

/* What others wait for is the parent's, and so is what they would still say: the child ends without them,
 * by exit() unless something is on its way out already. */
static void end_child(void)
{
	ss_task *task;

	ZEND_HASH_FOREACH_PTR(&tasks.tasks, task) {
		abandon(task);
	} ZEND_HASH_FOREACH_END();
	if (EG(exception) == NULL) {
		EG(exit_status) = 0;
		zend_throw_unwind_exit();
	}
}

/* ---- what the Fiber of a task runs ---- */

static bool is_unwinding(void)
{
	return EG(exception) != NULL
		&& (zend_is_unwind_exit(EG(exception)) || zend_is_graceful_exit(EG(exception)));
}

/* What is on its way out, or NULL. */
static zend_object *take_exception(void)
{
	zend_object *exception = EG(exception);

	if (exception != NULL) {
		GC_ADDREF(exception);
		zend_clear_exception();
	}
	return exception;
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
	ss_task_release_arguments(task);
	if (!is_unwinding()) {
		zend_object *exception = take_exception();
		ss_output_flush(task);
		/* A callback of a buffer may throw as well. */
		zend_object *of_output = is_unwinding() ? NULL : take_exception();
		if (exception != NULL && of_output != NULL) {
			zend_exception_set_previous(exception, of_output);
		} else if (of_output != NULL) {
			exception = of_output;
		}
		if (exception != NULL) {
			zval_ptr_dtor(result);
			ZVAL_NULL(result);
			ss_task_failed(task, exception);
		}
	}
	if (task->server != NULL) {
		/* Of a handler it is of no use. */
		zval_ptr_dtor(result);
		ZVAL_NULL(result);
	}
	bool was_ended = is_unwinding();
	if (ss_task_is_child(task)) {
		end_child();
	}
	ss_task_finished(task, was_ended);
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
