/* What PHP does with a stream of ours: reads, writes, closes, casts and asks. */
#include "module.h"
#include "crypto.h"
#include "parked.h"

#include <poll.h>

#include "ext/standard/file.h"

static zend_never_inline void notify(php_stream *stream, php_stream_context *context, ssize_t moved)
{
	ss_hold hold;

	ss_hold_begin(&hold, stream->abstract);
	php_stream_notify_progress_increment(context, moved, 0);
	ss_hold_end(&hold);
}

static void tell_progress(php_stream *stream, ssize_t moved)
{
	php_stream_context *context = PHP_STREAM_CONTEXT(stream);

	if (context != NULL && context->notifier != NULL) {
		notify(stream, context, moved);
	}
}

static ssize_t op_write(php_stream *stream, const char *bytes, size_t count)
{
	ss_socket *socket = stream->abstract;
	ss_outcome outcome = {0};

	if (socket->kind == SS_EMPTY) {
		return 0;
	}
	ssize_t sent = socket->netstream.is_blocked && ss_manner_now() != SS_BLOCKS
		? ss_parked_write(socket, bytes, count, &outcome)
		: ss_write(socket, bytes, count, &outcome);
	bool failed = outcome.status == SS_FAILED || outcome.status == SS_TIMED_OUT;
	ss_settle(&outcome);
	if (failed && !(stream->flags & PHP_STREAM_FLAG_SUPPRESS_ERRORS)) {
		ss_hold hold;
		ss_hold_begin(&hold, socket);
		php_error_docref(NULL, E_NOTICE, "Send of " ZEND_LONG_FMT " bytes failed with errno=%d %s",
			(zend_long) count, outcome.number, strerror(outcome.number));
		ss_hold_end(&hold);
	}
	if (sent > 0) {
		tell_progress(stream, sent);
	}
	return sent;
}

/* Whether a read may only look: since 8.3 PHP has it do so where it holds data already, and where
 * it is given no time at all. It does not come too late then, as it did before. */
static bool looks_once(php_stream *stream)
{
#if PHP_VERSION_ID >= 80300
	const struct timeval *timeout = &((ss_socket *) stream->abstract)->netstream.timeout;
	return stream->has_buffered_data || (timeout->tv_sec == 0 && timeout->tv_usec == 0);
#else
	return false;
#endif
}

static ssize_t op_read(php_stream *stream, char *buffer, size_t count)
{
	ss_socket *socket = stream->abstract;
	ss_outcome outcome = {0};
	bool eof = false;

	if (socket->kind == SS_EMPTY) {
		return -1;
	}
	/* One datagram a read: what is left of one in PHP's buffer is not to be joined by another. */
	if (ss_is_datagram(socket) && stream->writepos > stream->readpos) {
		return 0;
	}
	ssize_t came = socket->netstream.is_blocked && ss_manner_now() != SS_BLOCKS
		? ss_parked_read(stream, socket, buffer, count, looks_once(stream), &eof, &outcome)
		: ss_read(socket, buffer, count, looks_once(stream), &eof, &outcome);
	ss_watch_read(stream, socket);
	if (eof) {
		stream->eof = 1;
	}
	ss_settle(&outcome);
	if (came > 0) {
		tell_progress(stream, came);
	}
	return came;
}

static int op_close(php_stream *stream, int close_handle)
{
	ss_socket *socket = stream->abstract;

	if (socket == NULL) {
		return 0;
	}
	ss_watch_close(socket);
	ss_closing_gone(socket);
	ss_fgetss_forget(stream);
	if (!close_handle) {
		/* Whoever cast the stream to a descriptor goes on with it. */
		ss_released(socket);
	}
	stream->abstract = NULL;
	ss_closed(socket);
	return 0;
}

static int op_flush(php_stream *stream)
{
	return 0;
}

static int op_stat(php_stream *stream, php_stream_statbuf *buffer)
{
	return zend_fstat(((ss_socket *) stream->abstract)->netstream.socket, &buffer->sb);
}

static int op_cast(php_stream *stream, int as, void **result)
{
	ss_socket *socket = stream->abstract;

	if (result != NULL && as != PHP_STREAM_AS_FD_FOR_SELECT) {
		socket->shared = true;
		ss_watch_leave(socket);
	}
	switch (as) {
		case PHP_STREAM_AS_STDIO: {
			if (result == NULL) {
				return SUCCESS;
			}
			*(FILE **) result = fdopen(ss_number_of(socket, false), stream->mode);
			return *result ? SUCCESS : FAILURE;
		}
		case PHP_STREAM_AS_FD_FOR_SELECT:
		case PHP_STREAM_AS_FD:
		case PHP_STREAM_AS_SOCKETD:
			if (result != NULL) {
				if (as == PHP_STREAM_AS_FD_FOR_SELECT) {
					ss_crypto_uncover(stream, socket);
				}
				*(php_socket_t *) result = ss_number_of(socket, as == PHP_STREAM_AS_FD_FOR_SELECT);
			}
			return SUCCESS;
		default:
			return FAILURE;
	}
}

static int check_liveness(php_stream *stream, ss_socket *socket, int value)
{
	struct timeval wait = {value, 0};
	ss_outcome outcome = {0};

	if (socket->kind == SS_LISTENER || socket->kind == SS_EMPTY) {
		return php_stream_socket_ops.set_option(stream, PHP_STREAM_OPTION_CHECK_LIVENESS, value, NULL);
	}
	if (value == -1) {
		wait = socket->netstream.timeout;
		wait.tv_sec = wait.tv_sec == -1 ? FG(default_socket_timeout) : wait.tv_sec;
	}
	if (socket->kind == SS_STREAM || socket->kind == SS_PEER) {
		static const struct timeval none;
		if (ss_manner_now() == SS_PARKS) {
			const struct timeval *patience = value != 0 && socket->netstream.is_blocked ? &wait : &none;
			return ss_parked_is_alive(socket, patience) ? PHP_STREAM_OPTION_RETURN_OK
				: PHP_STREAM_OPTION_RETURN_ERR;
		}
	}
	bool pending = socket->tls != SS_NO_TLS && ss_has_pending(socket, &outcome);
	if (value != 0 && !pending && php_pollfd_for(ss_number_of(socket, true), PHP_POLLREADABLE | POLLPRI, &wait) <= 0) {
		return PHP_STREAM_OPTION_RETURN_OK;
	}
	bool alive = ss_is_alive(socket, &outcome);
	ss_settle(&outcome);
	return alive ? PHP_STREAM_OPTION_RETURN_OK : PHP_STREAM_OPTION_RETURN_ERR;
}

static int set_blocking(ss_socket *socket, int blocking)
{
	int before = socket->netstream.is_blocked;

	if (socket->kind == SS_EMPTY) {
		return PHP_STREAM_OPTION_RETURN_ERR;
	}
	/* A listener stays non-blocking, so that accept ends by its deadline; to wait is our matter. */
	if (socket->kind != SS_LISTENER && socket->netstream.socket != -1
		&& php_set_sock_blocking(socket->netstream.socket, blocking) != SUCCESS) {
		return PHP_STREAM_OPTION_RETURN_ERR;
	}
	socket->netstream.is_blocked = blocking;
	return before;
}

static void add_facts(ss_socket *socket, zval *into)
{
	ss_facts facts = {0};
	ss_outcome outcome = {0};
	zval section;

	ss_tell(socket, &facts, &outcome);
	ss_settle(&outcome);
	array_init(&section);
	add_assoc_long(&section, "bytes_received", (zend_long) facts.received);
	add_assoc_long(&section, "bytes_sent", (zend_long) facts.sent);
	if (ss_is_datagram(socket)) {
		add_assoc_bool(&section, "truncated", socket->truncated);
	}
	if (facts.last_error != 0) {
		add_assoc_long(&section, "error", facts.last_error);
		add_assoc_string(&section, "error_message", strerror(facts.last_error));
	}
	if (facts.has_credentials) {
		add_assoc_long(&section, "peer_pid", facts.process);
		add_assoc_long(&section, "peer_uid", facts.user);
		add_assoc_long(&section, "peer_gid", facts.group);
	}
	add_assoc_zval(into, "socket", &section);
}

static int op_set_option(php_stream *stream, int what, int value, void *parameter)
{
	ss_socket *socket = stream->abstract;

	if (socket == NULL) {
		return PHP_STREAM_OPTION_RETURN_NOTIMPL;
	}
	switch (what) {
		case PHP_STREAM_OPTION_XPORT_API:
			return ss_xport_operation(stream, socket, parameter);
		case PHP_STREAM_OPTION_CRYPTO_API:
			return ss_crypto_operation(stream, socket, value, parameter);
		case PHP_STREAM_OPTION_CHECK_LIVENESS:
			return check_liveness(stream, socket, value);
		case PHP_STREAM_OPTION_BLOCKING:
			return set_blocking(socket, value);
		case PHP_STREAM_OPTION_READ_TIMEOUT:
			socket->netstream.timeout = *(struct timeval *) parameter;
			socket->netstream.timeout_event = 0;
			socket->timeout_given = true;
			return PHP_STREAM_OPTION_RETURN_OK;
		case PHP_STREAM_OPTION_META_DATA_API:
			ss_crypto_tell(socket, parameter);
			add_assoc_bool((zval *) parameter, "timed_out", socket->netstream.timeout_event);
			add_assoc_bool((zval *) parameter, "blocked", socket->netstream.is_blocked);
			add_assoc_bool((zval *) parameter, "eof", stream->eof);
			if (socket->kind != SS_EMPTY) {
				add_facts(socket, parameter);
				ss_proxy_tell(socket, parameter);
			}
			return PHP_STREAM_OPTION_RETURN_OK;
		default:
			return PHP_STREAM_OPTION_RETURN_NOTIMPL;
	}
}

/* Scripts know a stream's kind by its label. */
#define OPERATIONS(variable, label) \
	static php_stream_ops variable = {op_write, op_read, op_close, op_flush, label, NULL, op_cast, \
		op_stat, op_set_option}

OPERATIONS(tcp_operations, "tcp_socket");
OPERATIONS(udp_operations, "udp_socket");
OPERATIONS(unix_operations, "unix_socket");
OPERATIONS(udg_operations, "udg_socket");
OPERATIONS(vsock_operations, "vsock_socket");

const php_stream_ops *const ss_operations[TRANSPORTS] = {
	&tcp_operations, &udp_operations, &unix_operations, &udg_operations, &tcp_operations,
	&vsock_operations, &tcp_operations, &tcp_operations,
};

void ss_operations_label(const char *label)
{
	tcp_operations.label = label;
}

ss_socket *ss_socket_of(const php_stream *stream)
{
	for (int index = 0; index < TRANSPORTS; index++) {
		if (stream->ops == ss_operations[index]) {
			return stream->abstract;
		}
	}
	return NULL;
}
