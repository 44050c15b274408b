/* Who is running, and how a task parks and goes on. */
#include "fibers.h"

#include "zend_exceptions.h"

/* Operations of a task between looks at the clock, and how long it may go on while others wait. */
#define STEPS_PER_LOOK 16
#define SLICE 1000000

/* ---- who is running ---- */

/* The task under a Fiber and those that resumed it, and whether one of them is being ended. */
static ss_task *task_under(zend_fiber_context *context, bool *is_ending)
{
	while (context != NULL && context->kind == zend_ce_fiber) {
		zend_fiber *fiber = zend_fiber_from_context(context);
		ss_task *task = ss_task_of(fiber);

		*is_ending |= (fiber->flags & ZEND_FIBER_FLAG_DESTROYED) != 0;
		if (task != NULL) {
			return task;
		}
		context = fiber->caller;
	}
	return NULL;
}

ss_task *ss_outer_task(void)
{
	bool is_ending = false;

	return task_under(EG(current_fiber_context), &is_ending);
}

enum ss_manner ss_manner_in_fiber(void)
{
	bool is_ending = false;

	if (task_under(EG(current_fiber_context), &is_ending) == NULL) {
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

/* ---- parking and waking ---- */

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
	ss_task_release_arguments(task);
	ss_output_set_aside(task);
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
	ss_output_take_back(task);
	return goes_on ? task->waited : SS_ENDED;
}

/* The stacks of a thousand tasks don't stay in the processor's caches. What one will need is fetched while
 * those before it run: of C's stack what is between the switch and the interpreter, of PHP's the frames
 * of the operation and of its caller. */
static zend_always_inline void fetch(const void *from, size_t size)
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
	fetch(task->socket, 256);
	fetch(task->stream, sizeof(*task->stream));
}

/* Where the pages stand is as cold, and to find one takes longer than to fetch from it. For several at a
 * time that takes no longer than for one. */
void ss_task_approach(const ss_task *task)
{
	if (task->parked == NULL) {
		return;
	}
	__builtin_prefetch(task->frame);
	__builtin_prefetch(task->fiber);
	__builtin_prefetch(task->socket);
	__builtin_prefetch(task->stream);
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
	task->forks = ss_forks;
	EG(active_fiber) = fiber;
	ZVAL_NULL(&transfer.value);
	zend_fiber_switch_context(&transfer);
	EG(active_fiber) = active;
	task->is_child = ss_task_is_child(task);
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

void ss_task_enter(ss_task *task)
{
	switch_to(task, &task->fiber->context, task->fiber);
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
