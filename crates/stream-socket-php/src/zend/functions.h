/* The functions of stream_socket_serve and its kin, for the module's entry. */
#ifndef STREAM_SOCKET_FUNCTIONS_H
#define STREAM_SOCKET_FUNCTIONS_H

#include "fibers.h"

ZEND_FUNCTION(stream_socket_serve);
ZEND_FUNCTION(stream_socket_serve_stop);
ZEND_FUNCTION(stream_socket_spawn);
ZEND_FUNCTION(stream_socket_join);
ZEND_FUNCTION(stream_socket_loop_fd);
ZEND_FUNCTION(stream_socket_loop_run);

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(ss_serve_arguments, 0, 2, IS_ARRAY, 0)
	ZEND_ARG_INFO(0, servers)
	ZEND_ARG_TYPE_INFO(0, handler, IS_CALLABLE, 0)
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, options, IS_ARRAY, 0, "[]")
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(ss_nothing_arguments, 0, 0, IS_VOID, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_OBJ_INFO_EX(ss_spawn_arguments, 0, 1, Fiber, 0)
	ZEND_ARG_TYPE_INFO(0, task, IS_CALLABLE, 0)
	ZEND_ARG_VARIADIC_TYPE_INFO(0, arguments, IS_MIXED, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(ss_join_arguments, 0, 1, IS_MIXED, 0)
	ZEND_ARG_OBJ_INFO(0, fiber, Fiber, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_INFO_EX(ss_loop_fd_arguments, 0, 0, 0)
ZEND_END_ARG_INFO()

#define SS_FIBER_FUNCTIONS \
	ZEND_FE(stream_socket_serve, ss_serve_arguments) \
	ZEND_FE(stream_socket_serve_stop, ss_nothing_arguments) \
	ZEND_FE(stream_socket_spawn, ss_spawn_arguments) \
	ZEND_FE(stream_socket_join, ss_join_arguments) \
	ZEND_FE(stream_socket_loop_fd, ss_loop_fd_arguments) \
	ZEND_FE(stream_socket_loop_run, ss_nothing_arguments) \
	{SS_TASK_MAIN, ss_task_main, ss_loop_fd_arguments, 0, 0},

#endif
