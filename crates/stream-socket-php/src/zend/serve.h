/* A server of stream_socket_serve, as serve.c runs it and workers.c multiplies it. */
#ifndef STREAM_SOCKET_SERVE_H
#define STREAM_SOCKET_SERVE_H

#include "fibers.h"

/* What it counts, in the order in which it is told. With workers these are in shared memory. */
typedef struct {
	uint64_t accepted;
	uint64_t finished;
	uint64_t failed;
	uint64_t ended;
	uint64_t peak;
	uint64_t exhausted;
	uint64_t lost;
} ss_counts;

struct ss_server {
	/* Its listeners, which stay open as long as it serves. */
	zval *listeners;
	uint32_t listener_count;
	ss_callable handler;
	ss_callable on_error;
	bool reports_by_call;
	/* Nanoseconds; -1 for none, and for the read timeout what the listener says. */
	int64_t drain;
	int64_t idle;
	int64_t read;
	int64_t write;
	zend_long most;
	zend_long limit;
	zend_long workers;
	/* Its handlers that have not finished. */
	ss_task *tasks;
	zend_long live;
	/* All that this process has begun with. */
	zend_long begun;
	ss_counts *counts;
	ss_counts own_counts;
	bool is_draining;
	/* The task that called stream_socket_serve, or 0. */
	uint64_t caller;
	ss_server *next;
};

/* Runs worker processes until they are to end. True in the parent, when they have; false in a
 * worker, which is to serve and then to end. */
bool ss_workers_run(ss_server *server, zend_long *restarts);

/* Has them end; false where there are none. */
bool ss_workers_stop(void);

/* At the end of a request. */
void ss_workers_shut_down(void);

/* Serves until it is drained. */
void ss_serve_here(ss_server *server);

#endif
