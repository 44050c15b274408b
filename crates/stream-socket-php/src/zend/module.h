/* What Rust can't say to Zend: the module entry, tables of operations, argument parsing, variadic
 * errors. Each callback unpacks what PHP hands over, calls Rust, which never calls back, and then
 * allocates and complains: no Rust frame is on the stack when Zend leaves by longjmp. */
#ifndef STREAM_SOCKET_MODULE_H
#define STREAM_SOCKET_MODULE_H

#include "shim.h"

ZEND_BEGIN_MODULE_GLOBALS(stream_socket)
	bool strict;
	char *transports;
	char *tls;
	/* The system's number of the last bind or listen that failed in this request. */
	int bind_errno;
	/* A socket that no stream holds yet. An allocation may end the request before one does. */
	ss_socket *unowned;
ZEND_END_MODULE_GLOBALS(stream_socket)

ZEND_EXTERN_MODULE_GLOBALS(stream_socket)
#define SSG(field) ZEND_MODULE_GLOBALS_ACCESSOR(stream_socket, field)

#define TRANSPORTS 8

/* outcome.c */
/* The descriptor of a socket, or what stands for it where one waits. */
int ss_number_of(ss_socket *socket, bool for_waiting);
void ss_closed(ss_socket *socket);

/* options.c */
void ss_options_begin(void);
void ss_options_collect(php_stream *stream, ss_options *options, bool server);
void ss_options_give(php_stream *listener, const ss_socket *client);

/* inherited.c */
void ss_inherited_note(void);
bool ss_is_inherited(const ss_socket *socket);
bool ss_inherited_may_take(const ss_socket *socket, php_stream_xport_param *param);
void ss_inherited_found_out(php_stream *stream, const ss_socket *socket);

/* xport.c */
int ss_xport_operation(php_stream *stream, ss_socket *socket, php_stream_xport_param *param);

/* stream.c */
void ss_operations_label(const char *label);

/* transports.c */
/* Whether its addresses are those of IP. */
bool ss_is_inet(const ss_socket *socket);
/* Says which settings name what is not there. */
void ss_transports_check(void);
void ss_transports_begin(void);
void ss_transports_end(void);
/* A row of phpinfo(). */
void ss_transports_tell(const char *row, int flags);

#endif
