/* What the Fiber of a task runs, in place of Fiber::start(): Zend's stack for PHP code begins within C's.
 * What a connection that waits takes of both is one page of memory, and one that the processor has to
 * find again when it goes on. */
#include "fibers.h"

#include "zend_exceptions.h"
#include "zend_ini.h"

/* Of PHP's stack, the part on C's: a few calls of user functions. What needs more gets pages as everywhere. */
#define FIRST_SIZE 1024
#define PAGE (1024 * sizeof(zval))

typedef union {
	struct _zend_vm_stack page;
	char room[FIRST_SIZE];
} ss_first;

/* The frame at the bottom is of no function that has a name. */
static zend_function bottom = {ZEND_INTERNAL_FUNCTION};

static void set_up(zend_fiber *fiber, zend_vm_stack first)
{
	zend_execute_data *frame = (zend_execute_data *) ZEND_VM_STACK_ELEMENTS(first);

	first->top = (zval *) frame;
	first->end = (zval *) ((char *) first + FIRST_SIZE);
	first->prev = NULL;
	EG(vm_stack) = first;
	EG(vm_stack_top) = first->top + ZEND_CALL_FRAME_SLOT;
	EG(vm_stack_end) = first->end;
	EG(vm_stack_page_size) = PAGE;
	memset(frame, 0, sizeof(*frame));
	frame->func = &bottom;
	frame->prev_execute_data = EG(current_execute_data);
	fiber->execute_data = fiber->stack_bottom = frame;
	EG(current_execute_data) = frame;
	EG(jit_trace_num) = 0;
}

/* As at the start of a request. */
static int reported_errors(void)
{
	zend_long errors = INI_INT("error_reporting");

	return errors == 0 && INI_STR("error_reporting") == NULL ? E_ALL : (int) errors;
}

/* What is left at the end of a task: an exception that is on its way out, if it concerns anybody. */
static void hand_over(zend_fiber *fiber, zend_fiber_transfer *transfer)
{
	zend_object *exception = EG(exception);

	if (exception == NULL) {
		return;
	}
	zval_ptr_dtor(&fiber->result);
	ZVAL_UNDEF(&fiber->result);
	bool is_ended = fiber->flags & ZEND_FIBER_FLAG_DESTROYED;
	if (!is_ended || !(zend_is_graceful_exit(exception) || zend_is_unwind_exit(exception))) {
		fiber->flags |= ZEND_FIBER_FLAG_THREW;
		transfer->flags = ZEND_FIBER_TRANSFER_FLAG_ERROR;
		ZVAL_OBJ_COPY(&transfer->value, exception);
	}
	zend_clear_exception();
}

/* Leaves nothing that refers to stacks on which others run from now on. */
static void clean_up(zend_fiber *fiber)
{
	zend_vm_stack page = EG(vm_stack);

	/* After a fatal error, pages are left. */
	while (page != NULL && page->prev != NULL) {
		zend_vm_stack previous = page->prev;
		efree(page);
		page = previous;
	}
	EG(vm_stack) = NULL;
	EG(current_execute_data) = NULL;
	fiber->execute_data = NULL;
	fiber->stack_bottom = NULL;
	fiber->caller = NULL;
}

static ZEND_STACK_ALIGNED void run(zend_fiber_transfer *transfer)
{
	zend_fiber *fiber = EG(active_fiber);
	ss_first first;

	EG(vm_stack) = NULL;
	zend_first_try {
		EG(error_reporting) = reported_errors();
#ifdef ZEND_CHECK_STACK_LIMIT
		EG(stack_base) = zend_fiber_stack_base(fiber->context.stack);
		EG(stack_limit) = zend_fiber_stack_limit(fiber->context.stack);
#endif
		set_up(fiber, &first.page);
		ss_task_run(ss_task_of(fiber), &fiber->result);
		hand_over(fiber, transfer);
	} zend_catch {
		fiber->flags |= ZEND_FIBER_FLAG_BAILOUT;
		transfer->flags = ZEND_FIBER_TRANSFER_FLAG_BAILOUT;
	} zend_end_try();
	transfer->context = fiber->caller;
	clean_up(fiber);
}

bool ss_coroutine_make(zend_fiber *fiber)
{
	if (zend_fiber_switch_blocked()) {
		zend_throw_error(NULL, "a task can't begin here, where Fibers can't be switched");
		return false;
	}
	/* What it returns is true in some versions of PHP where it is false in others. */
	zend_fiber_init_context(&fiber->context, zend_ce_fiber, run, EG(fiber_stack_size));
	if (fiber->context.stack == NULL) {
		return false;
	}
	fiber->previous = &fiber->context;
	return true;
}
