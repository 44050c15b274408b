/* stream_copy_to_stream() in a task: while it waits for one stream, the other one stays. */
#include "fibers.h"

static zif_handler stock_copy;

static const void *socket_in(zval *argument)
{
	php_stream *stream = NULL;

	php_stream_from_zval_no_verify(stream, argument);
	return stream != NULL ? (const void *) ss_socket_of(stream) : NULL;
}

/* Not the task's first one, where Fibers of the script's own were left in between. */
static void forget(const ss_holder *copy)
{
	ss_task *task = ss_task_numbered(copy->task);

	if (task == NULL) {
		return;
	}
	ss_holder **place = &task->copies;
	while (*place != copy) {
		place = &(*place)->next_copy;
	}
	*place = copy->next_copy;
}

bool ss_copy_is_closing(const ss_task *task, const ss_socket *socket)
{
	for (const ss_holder *copy = task->copies; copy != NULL; copy = copy->next_copy) {
		if (copy->is_closing && (copy->held[2] == socket || copy->held[3] == socket)) {
			return true;
		}
	}
	return false;
}

static ZEND_NAMED_FUNCTION(copy)
{
	ss_task *task = ss_current_task();

	if (task == NULL || ZEND_NUM_ARGS() < 2 || Z_TYPE_P(ZEND_CALL_ARG(execute_data, 1)) != IS_RESOURCE
		|| Z_TYPE_P(ZEND_CALL_ARG(execute_data, 2)) != IS_RESOURCE) {
		stock_copy(INTERNAL_FUNCTION_PARAM_PASSTHRU);
		return;
	}
	zval *from = ZEND_CALL_ARG(execute_data, 1), *to = ZEND_CALL_ARG(execute_data, 2);
	const void *held[] = {Z_RES_P(from), Z_RES_P(to), socket_in(from), socket_in(to)};
	ss_holder holder = {.held = held, .count = 4, .spans = true};

	ss_holder_enter(&holder);
	holder.next_copy = task->copies;
	task->copies = &holder;
	stock_copy(INTERNAL_FUNCTION_PARAM_PASSTHRU);
	forget(&holder);
	ss_holder_leave(&holder);
}

void ss_copying_begin(void)
{
	stock_copy = ss_take_over("stream_copy_to_stream", copy);
}

void ss_copying_end(void)
{
	ss_give_back("stream_copy_to_stream", stock_copy);
}
