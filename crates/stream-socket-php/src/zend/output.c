/* Output buffers: each task sees its own, and those that were there before it. */
#include "fibers.h"

static php_output_handler *top_buffer(void)
{
	php_output_handler **top = zend_stack_top(&OG(handlers));

	return top ? *top : NULL;
}

void ss_output_set_aside(ss_task *task)
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

void ss_output_take_back(ss_task *task)
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

void ss_output_flush(const ss_task *task)
{
	while (zend_stack_count(&OG(handlers)) > task->level) {
		if (php_output_end() != SUCCESS) {
			return;
		}
	}
}
