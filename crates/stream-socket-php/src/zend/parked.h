/* The operations of a stream in a task, in place of those that block. */
#ifndef STREAM_SOCKET_PARKED_H
#define STREAM_SOCKET_PARKED_H

#include "fibers.h"

ssize_t ss_parked_read(php_stream *stream, ss_socket *socket, char *buffer, size_t count, bool look_once,
	bool *eof, ss_outcome *outcome);
ssize_t ss_parked_write(ss_socket *socket, const char *bytes, size_t count, ss_outcome *outcome);
void ss_parked_shut_down(void);
/* What is there, without taking it; SS_WOULD_WAIT where nothing comes in time. */
ssize_t ss_parked_peek(ss_socket *socket, char *buffer, size_t count, const struct timeval *wait, ss_outcome *outcome);
bool ss_parked_is_alive(ss_socket *socket, const struct timeval *wait);
ss_socket *ss_parked_accept(ss_socket *socket, const struct timeval *timeout, ss_outcome *outcome);
/* After an attempt to receive that would have waited; false when nothing came in time. */
bool ss_parked_readable(ss_socket *socket, ss_patience *patience);
/* The same of one to send. */
bool ss_parked_writable(ss_socket *socket, ss_patience *patience);
void ss_parked_connect_inet(ss_socket *socket, const ss_ip *ips, size_t count, uint16_t port,
	const struct timeval *timeout, const ss_options *options, ss_outcome *outcome);
void ss_parked_connect_named(ss_socket *socket, const char *name, size_t length,
	const struct timeval *timeout, const ss_options *options, ss_outcome *outcome);

#endif
