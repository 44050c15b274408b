/* What Rust can't say to Zend: the module entry, tables of operations, argument parsing, variadic
 * errors. Each callback unpacks what PHP hands over, calls Rust, which never calls back, and then
 * allocates and complains: no Rust frame is on the stack when Zend leaves by longjmp. */
#include "crypto.h"
#include "functions.h"
#include "parked.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ext/standard/file.h"
#include "ext/standard/info.h"
#include "php_ini.h"
#include "streams/php_streams_int.h"
#include "zend_smart_str.h"

ZEND_BEGIN_MODULE_GLOBALS(stream_socket)
	bool strict;
	char *transports;
	char *tls;
	/* The system's number of the last bind or listen that failed in this request. */
	int bind_errno;
	/* A socket that no stream holds yet. An allocation may end the request before one does. */
	ss_socket *unowned;
ZEND_END_MODULE_GLOBALS(stream_socket)

ZEND_DECLARE_MODULE_GLOBALS(stream_socket)
#define SSG(field) ZEND_MODULE_GLOBALS_ACCESSOR(stream_socket, field)

#if defined(ZTS) && defined(COMPILE_DL_STREAM_SOCKET)
ZEND_TSRMLS_CACHE_DEFINE()
#endif

#define TRANSPORTS 8

static const char *const names[TRANSPORTS] = {"tcp", "udp", "unix", "udg", "mptcp", "vsock", "fd", "systemd"};

/* The factories that were registered before ours: where work goes that we leave to them. NULL where
 * PHP has no such transport. */
static php_stream_transport_factory stock[TRANSPORTS];

/* In a task that is being ended nothing waits. */
static const struct timeval no_time;

static zif_handler stock_server;
static zif_handler stock_get_name;
static zif_handler stock_select;

extern const php_stream_ops *const ss_operations[TRANSPORTS];

/* ---- errors ---- */

void ss_forget(ss_outcome *outcome)
{
	if (outcome->text == NULL) {
		return;
	}
	ss_text_free(outcome->text, outcome->text_length);
	outcome->text = NULL;
	outcome->text_length = 0;
}

/* A panic of ours is PHP's Error, which `catch (Exception)` does not swallow. Where no script runs
 * that could catch it, as when PHP closes what is left open, it is a warning. */
void ss_settle(ss_outcome *outcome)
{
	char text[256];

	if (EXPECTED(outcome->status != SS_PANICKED)) {
		ss_forget(outcome);
		return;
	}
	/* To complain may leave by longjmp: nothing of Rust's is held by then. */
	snprintf(text, sizeof(text), "stream_socket: a fault of the extension: %.*s",
		(int) outcome->text_length, outcome->text ? outcome->text : "");
	ss_forget(outcome);
	if (EG(current_execute_data) != NULL) {
		zend_throw_error(NULL, "%s", text);
	} else {
		php_error_docref(NULL, E_WARNING, "%s", text);
	}
}

static int descriptor(ss_socket *socket, bool for_waiting)
{
	ss_outcome outcome = {0};
	int number = ss_descriptor(socket, for_waiting, &outcome);

	ss_settle(&outcome);
	return number;
}

int ss_released(ss_socket *socket)
{
	ss_outcome outcome = {0};
	int number = ss_release(socket, &outcome);

	ss_settle(&outcome);
	return number;
}

static void closed(ss_socket *socket)
{
	ss_outcome outcome = {0};

	ss_free(socket, &outcome);
	ss_settle(&outcome);
}

/* The text of a failure: the system's where there is a number and nothing better is known. */
static zend_string *words(const ss_outcome *outcome)
{
	if (outcome->text_length > 0) {
		return zend_string_init(outcome->text, outcome->text_length, 0);
	}
	const char *text = strerror(outcome->number);
	return zend_string_init(text, strlen(text), 0);
}

int ss_concluded(php_stream_xport_param *param, ss_outcome *outcome)
{
	if (outcome->status == SS_OK) {
		ss_forget(outcome);
		return 0;
	}
	param->outputs.error_code = outcome->number;
	if (param->want_errortext) {
		param->outputs.error_text = words(outcome);
	}
	ss_settle(outcome);
	return -1;
}

/* ---- contexts ---- */

static ss_number integer(php_stream *stream, const char *name)
{
	zval *value = ss_context_option(stream, "socket", name);
	ss_number number = {0, false};

	if (value != NULL) {
		number.value = ss_context_long(value);
		number.given = true;
	}
	return number;
}

static ss_number truth(php_stream *stream, const char *name)
{
	zval *value = ss_context_option(stream, "socket", name);
	ss_number number = {0, false};

	if (value != NULL) {
		number.value = zend_is_true(value);
		number.given = true;
	}
	return number;
}

/* A bool that stock PHP only looks at to turn something on. */
static ss_number turned_on(php_stream *stream, const char *name)
{
	ss_number number = truth(stream, name);
	number.given = number.value != 0;
	return number;
}

/* Milliseconds of an option in seconds, which may be a float as PHP's other timeouts. */
static ss_number milliseconds(php_stream *stream, const char *name)
{
	zval *value = ss_context_option(stream, "socket", name);
	ss_number number = {0, false};

	if (value != NULL) {
		double seconds = ss_context_double(value);
		number.value = seconds >= 9e12 ? INT64_MAX : (int64_t) (seconds * 1000.0);
		number.given = true;
	}
	return number;
}

static void string(php_stream *stream, const char *name, const char **text, size_t *length)
{
	zval *value = ss_context_option(stream, "socket", name);

	*text = NULL;
	*length = 0;
	if (value != NULL && Z_TYPE_P(value) == IS_STRING) {
		*text = Z_STRVAL_P(value);
		*length = Z_STRLEN_P(value);
	}
}

static void collect(php_stream *stream, ss_options *options, bool server)
{
	memset(options, 0, sizeof(*options));
	if (PHP_STREAM_CONTEXT(stream) == NULL) {
		return;
	}
	options->keepalive = truth(stream, "so_keepalive");
	options->keepalive_idle = integer(stream, "tcp_keepidle");
	options->keepalive_interval = integer(stream, "tcp_keepintvl");
	options->keepalive_count = integer(stream, "tcp_keepcnt");
	options->linger = integer(stream, "so_linger");
	options->user_timeout = integer(stream, "tcp_user_timeout");
	options->receive_buffer = integer(stream, "so_rcvbuf");
	options->send_buffer = integer(stream, "so_sndbuf");
	options->broadcast = turned_on(stream, "so_broadcast");
	if (!server) {
		options->nodelay = turned_on(stream, "tcp_nodelay");
		options->happy_eyeballs = truth(stream, "happy_eyeballs");
		string(stream, "bindto", &options->bindto, &options->bindto_length);
		return;
	}
	options->backlog = integer(stream, "backlog");
	options->reuse_address = truth(stream, "so_reuseaddr");
	options->reuse_port = turned_on(stream, "so_reuseport");
	options->v6only = truth(stream, "ipv6_v6only");
	options->fast_open = truth(stream, "tcp_fastopen");
	options->defer_accept = integer(stream, "tcp_defer_accept");
	options->max_connections = integer(stream, "max_connections");
	options->max_connections_per_ip = integer(stream, "max_connections_per_ip");
	options->close_when_full = truth(stream, "close_when_full");
	options->max_peers = integer(stream, "max_peers");
	options->peer_idle_timeout = milliseconds(stream, "peer_idle_timeout");
	options->unix_mode = integer(stream, "unix_mode");
	options->unix_unlink = truth(stream, "unix_unlink");
	string(stream, "unix_owner", &options->unix_owner, &options->unix_owner_length);
	string(stream, "unix_group", &options->unix_group, &options->unix_group_length);
	ss_proxy_collect(stream, options);
}

/* Whether its addresses are those of IP. */
static bool is_inet(const ss_socket *socket)
{
	return socket->transport == SS_UDP || ss_is_tcp(socket);
}

bool ss_is_tcp(const ss_socket *socket)
{
	return socket->transport == SS_TCP || socket->transport == SS_MPTCP;
}

bool ss_is_datagram(const ss_socket *socket)
{
	return socket->transport == SS_UDP || socket->transport == SS_UDG;
}

/* ---- inherited sockets ---- */

#define INHERITABLE 1024

/* The descriptors that PHP was started with. Those that scripts open are open across exec as well, so
 * that nothing else tells them apart. */
static uint64_t inherited[INHERITABLE / 64];

static void note_inherited(void)
{
	struct pollfd all[INHERITABLE];
	long limit = sysconf(_SC_OPEN_MAX);
	int count = limit > 0 && limit < INHERITABLE ? (int) limit : INHERITABLE;

	for (int number = 0; number < count; number++) {
		all[number] = (struct pollfd) {number, 0, 0};
	}
	if (poll(all, count, 0) < 0) {
		return;
	}
	for (int number = 0; number < count; number++) {
		if (!(all[number].revents & POLLNVAL)) {
			inherited[number / 64] |= UINT64_C(1) << (number % 64);
		}
	}
}

static bool is_inherited(const ss_socket *socket)
{
	return socket->transport == SS_FD || socket->transport == SS_SYSTEMD;
}

/* Whether a descriptor is not one that a script has opened. What is none is told by Rust. */
static bool may_take(const ss_socket *socket, php_stream_xport_param *param)
{
	char *end;

	if (socket->transport != SS_FD) {
		return true;
	}
	unsigned long number = strtoul(param->inputs.name, &end, 10);
	bool came = number < INHERITABLE && (inherited[number / 64] >> (number % 64) & 1);
	if (came || *end != '\0' || fcntl((int) number, F_GETFD) == -1) {
		return true;
	}
	if (param->want_errortext) {
		param->outputs.error_text = strpprintf(0, "descriptor %lu was opened by this process, not inherited", number);
	}
	return false;
}

/* An inherited socket has told what it is. */
static void found_out(php_stream *stream, const ss_socket *socket)
{
	stream->ops = ss_operations[socket->transport];
	if (ss_is_datagram(socket)) {
		stream->chunk_size = 65536;
	}
}

/* ---- the transport API ---- */

static int bind_to(php_stream *stream, ss_socket *socket, php_stream_xport_param *param)
{
	ss_outcome outcome = {0};
	ss_options options;
	int result;

	SSG(bind_errno) = 0;
	if (!may_take(socket, param)) {
		return -1;
	}
	if (!is_inet(socket)) {
		collect(stream, &options, true);
		ss_bind_named(socket, param->inputs.name, param->inputs.namelen, &options, &outcome);
		found_out(stream, socket);
	} else {
		ss_ip ips[SS_MOST_ADDRESSES];
		size_t count;
		uint16_t port;

		if (!ss_addresses(socket, param, NULL, ips, &count, &port)) {
			return -1;
		}
		/* Only now: another Fiber may have changed the context meanwhile. */
		collect(stream, &options, true);
		ss_bind_inet(socket, ips, count, port, &options, &outcome);
	}
	result = ss_concluded(param, &outcome);
	SSG(bind_errno) = result == 0 ? 0 : param->outputs.error_code;
	return result;
}

static int listen_on(php_stream *stream, ss_socket *socket, php_stream_xport_param *param)
{
	ss_outcome outcome = {0};

	ss_listen(socket, &outcome);
	int result = ss_concluded(param, &outcome);
	SSG(bind_errno) = result == 0 ? 0 : param->outputs.error_code;
	if (result == 0) {
		ss_crypto_prepare(stream, socket, true);
	}
	return result;
}

/* False where the name has no address, which has been told. */
static bool connect_inet(ss_socket *socket, php_stream_xport_param *param, ss_options *options, zval *bindto,
	ss_outcome *outcome)
{
	/* Another Fiber may change the context meanwhile. */
	zend_string *held = options->bindto != NULL ? zend_string_copy(Z_STR_P(bindto)) : NULL;
	bool begin = param->op == STREAM_XPORT_OP_CONNECT_ASYNC;
	enum ss_manner manner = ss_manner_now();
	struct timeval *timeout = NULL, left;
	ss_ip ips[SS_MOST_ADDRESSES];
	size_t count;
	uint16_t port;

	if (manner == SS_FAILS || param->inputs.timeout != NULL) {
		left = manner == SS_FAILS ? no_time : *param->inputs.timeout;
		timeout = &left;
	}
	bool found = ss_addresses(socket, param, timeout, ips, &count, &port);
	if (found && !begin && !ss_is_datagram(socket) && ss_manner_now() == SS_PARKS) {
		ss_parked_connect_inet(socket, ips, count, port, timeout, options, outcome);
	} else if (found) {
		ss_connect_inet(socket, ips, count, port, timeout, begin, options, outcome);
	}
	if (held != NULL) {
		zend_string_release(held);
	}
	return found;
}

static int connect_to(php_stream *stream, ss_socket *socket, php_stream_xport_param *param)
{
	ss_outcome outcome = {0};
	ss_options options;
	bool begin = param->op == STREAM_XPORT_OP_CONNECT_ASYNC;

	if (!ss_crypto_may_connect(stream, socket)) {
		stream->ops->set_option(stream, PHP_STREAM_OPTION_XPORT_API, 0, param);
		return param->outputs.returncode;
	}
	zval *bindto = !is_inet(socket) || PHP_STREAM_CONTEXT(stream) == NULL
		? NULL
		: php_stream_context_get_option(PHP_STREAM_CONTEXT(stream), "socket", "bindto");

	if (bindto != NULL && Z_TYPE_P(bindto) != IS_STRING) {
		if (param->want_errortext) {
			param->outputs.error_text =
				zend_string_init(ZEND_STRL("local_addr context option is not a string."), 0);
		}
		return -1;
	}
	collect(stream, &options, false);
	bool parks = !begin && !ss_is_datagram(socket) && ss_manner_now() == SS_PARKS;
	if (!may_take(socket, param)) {
		return -1;
	}
	if (is_inherited(socket)) {
		/* There is nothing to wait for. */
		options.bindto = NULL;
		ss_connect_named(socket, param->inputs.name, param->inputs.namelen, param->inputs.timeout,
			false, &options, &outcome);
		found_out(stream, socket);
	} else if (!is_inet(socket) && parks) {
		options.bindto = NULL;
		ss_parked_connect_named(socket, param->inputs.name, param->inputs.namelen, param->inputs.timeout,
			&options, &outcome);
	} else if (!is_inet(socket)) {
		options.bindto = NULL;
		ss_connect_named(socket, param->inputs.name, param->inputs.namelen, param->inputs.timeout,
			begin, &options, &outcome);
	} else if (!connect_inet(socket, param, &options, bindto, &outcome)) {
		return -1;
	}
	if (outcome.status == SS_OK && outcome.number == EINPROGRESS) {
		param->outputs.error_code = EINPROGRESS;
		ss_forget(&outcome);
		return 1;
	}
	int result = ss_concluded(param, &outcome);
	return result == 0 ? ss_crypto_connected(stream, socket, param) : result;
}

static void set_nodelay(php_stream *stream, const ss_socket *client)
{
	if (ss_is_tcp(client) && turned_on(stream, "tcp_nodelay").given) {
		int on = 1;
		setsockopt(client->netstream.socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	}
}

php_stream *ss_stream_around(php_stream *listener, ss_socket *client STREAMS_DC)
{
	set_nodelay(listener, client);
	SSG(unowned) = client;
	php_stream *made = php_stream_alloc_rel(listener->ops, client, NULL, "r+");
	SSG(unowned) = NULL;
	if (ss_is_datagram(client)) {
		made->chunk_size = 65536;
	}
	made->ctx = listener->ctx;
	if (listener->ctx) {
		GC_ADDREF(listener->ctx);
	}
	ss_crypto_capture(made, client);
	return made;
}

/* The name of this end or the peer's; empty where there is none. */
static int tell_name(ss_socket *socket, bool peer, php_stream_xport_param *param)
{
	ss_outcome outcome = {0};

	ss_name(socket, peer, &outcome);
	if (outcome.status == SS_OK && param->want_textaddr) {
		param->outputs.textaddr = zend_string_init(outcome.text ? outcome.text : "", outcome.text_length, 0);
	}
	return ss_concluded(param, &outcome);
}

static int accept_from(php_stream *stream, ss_socket *socket, php_stream_xport_param *param STREAMS_DC)
{
	ss_outcome outcome = {0};

	enum ss_prepared prepared = ss_crypto_prepare(stream, socket, false);
	if (prepared == SS_THEIRS) {
		stream->ops->set_option(stream, PHP_STREAM_OPTION_XPORT_API, 0, param);
		return param->outputs.returncode;
	}
	if (prepared == SS_UNPREPARED) {
		if (param->want_errortext) {
			param->outputs.error_text = strpprintf(0, "%s TLS is not left to OpenSSL",
				socket->proxied ? "behind a proxy" : "while a Fiber waits");
		}
		return -1;
	}
	enum ss_manner manner = ss_manner_now();
	ss_socket *client = manner == SS_PARKS
		? ss_parked_accept(socket, param->inputs.timeout, &outcome)
		: ss_accept(socket, manner == SS_FAILS ? &no_time : param->inputs.timeout, &outcome);

	param->outputs.client = NULL;
	if (client == NULL) {
		return ss_concluded(param, &outcome);
	}
	param->outputs.client = ss_stream_around(stream, client STREAMS_REL_CC);
	if (param->want_textaddr) {
		tell_name(client, true, param);
	}
	return 0;
}

static int name_of(ss_socket *socket, php_stream_xport_param *param)
{
	bool peer = param->op == STREAM_XPORT_OP_GET_PEER_NAME;
	bool is_told = socket->proxied && socket->kind == SS_STREAM;
	if (param->want_addr || (socket->kind != SS_PEER && is_inet(socket) && !is_told)) {
		int (*tell)(php_socket_t, zend_string **, struct sockaddr **, socklen_t *) =
			peer ? php_network_get_peer_name : php_network_get_sock_name;
		return tell(descriptor(socket, false),
			param->want_textaddr ? &param->outputs.textaddr : NULL,
			param->want_addr ? &param->outputs.addr : NULL,
			param->want_addr ? &param->outputs.addrlen : NULL);
	}
	return tell_name(socket, peer, param);
}

/* Waits as long as a script asked for; false when the time is up. Only timeouts that were asked
 * for count: a server that waits for ever in stock PHP must not end after a minute. */
static bool may_receive(ss_socket *socket, int flags)
{
	php_netstream_data_t *net = &socket->netstream;
	int ready;

	if (!net->is_blocked || !socket->timeout_given || net->timeout.tv_sec == -1 || (flags & MSG_OOB)) {
		return true;
	}
	net->timeout_event = 0;
	do {
		ready = php_pollfd_for(net->socket, PHP_POLLREADABLE, &net->timeout);
	} while (ready < 0 && errno == EINTR);
	net->timeout_event = ready == 0;
	return ready != 0;
}

static int receive_of_peer(php_stream *stream, ss_socket *socket, php_stream_xport_param *param)
{
	ss_outcome outcome = {0};
	char *into = param->inputs.buf;
	size_t room = param->inputs.buflen;
	bool eof = false, parks = socket->netstream.is_blocked && ss_manner_now() != SS_BLOCKS;
	ssize_t length = parks && (param->inputs.flags & STREAM_PEEK) && !ss_parked_is_alive(socket, &socket->netstream.timeout)
		? 0
		: param->inputs.flags & STREAM_PEEK ? ss_peek(socket, into, room, &outcome)
		: parks ? ss_parked_read(stream, socket, into, room, false, &eof, &outcome)
		: ss_read(socket, into, room, false, &eof, &outcome);

	ss_settle(&outcome);
	if (length >= 0 && param->want_textaddr) {
		tell_name(socket, true, param);
	}
	return (int) length;
}

/* recvfrom(2) past PHP's buffer, as stock; but a datagram cut to pieces is remembered. */
static int receive_from(php_stream *stream, ss_socket *socket, php_stream_xport_param *param)
{
	php_sockaddr_storage sender;
	socklen_t length = sizeof(sender);
	int flags = (param->inputs.flags & STREAM_OOB ? MSG_OOB : 0)
		| (param->inputs.flags & STREAM_PEEK ? MSG_PEEK : 0);

	if (socket->tls != SS_NO_TLS && (flags & MSG_OOB)) {
		return -1;
	}
	if ((socket->kind == SS_PEER && !(flags & MSG_OOB)) || socket->tls != SS_NO_TLS) {
		return receive_of_peer(stream, socket, param);
	}
	bool parks = socket->netstream.is_blocked && !(flags & MSG_OOB) && ss_manner_now() != SS_BLOCKS;
	if (!parks && !may_receive(socket, flags)) {
		return -1;
	}
	ss_patience patience = ss_patience_of_time(socket->timeout_given ? &socket->netstream.timeout : NULL);
	descriptor(socket, false);
	flags |= (ss_is_datagram(socket) ? MSG_TRUNC : 0) | (parks ? MSG_DONTWAIT : 0);
	ssize_t came;
	do {
		came = recvfrom(socket->netstream.socket, param->inputs.buf, param->inputs.buflen, flags,
			(struct sockaddr *) &sender, &length);
	} while (came < 0 && parks && errno == EAGAIN && ss_parked_readable(socket, &patience));
	if (came < 0) {
		return -1;
	}
	socket->truncated = (size_t) came > param->inputs.buflen;
	if (param->want_textaddr && length > sizeof(sa_family_t)) {
		php_network_populate_name_from_sockaddr((struct sockaddr *) &sender, length,
			&param->outputs.textaddr, NULL, NULL);
	} else if (param->want_textaddr) {
		param->outputs.textaddr = ZSTR_EMPTY_ALLOC();
	}
	return (int) (socket->truncated ? param->inputs.buflen : (size_t) came);
}

static int send_to(ss_socket *socket, php_stream_xport_param *param)
{
	bool parks = socket->netstream.is_blocked && ss_manner_now() != SS_BLOCKS;
	if (socket->tls != SS_NO_TLS && (param->inputs.flags & STREAM_OOB)) {
		php_error_docref(NULL, E_WARNING, "TLS has no bytes out of band");
		return -1;
	}
	if ((socket->kind == SS_PEER && !(param->inputs.flags & STREAM_OOB)) || socket->tls != SS_NO_TLS) {
		ss_outcome outcome = {0};
		ssize_t sent = parks
			? ss_parked_write(socket, param->inputs.buf, param->inputs.buflen, &outcome)
			: ss_write(socket, param->inputs.buf, param->inputs.buflen, &outcome);
		bool failed = outcome.status == SS_FAILED || outcome.status == SS_TIMED_OUT;
		ss_settle(&outcome);
		if (failed) {
			php_error_docref(NULL, E_WARNING, "%s\n", strerror(outcome.number));
		}
		return (int) sent;
	}
	int flags = MSG_NOSIGNAL | (param->inputs.flags & STREAM_OOB ? MSG_OOB : 0) | (parks ? MSG_DONTWAIT : 0);
	ss_patience patience = ss_patience_for(socket, SS_WRITE);
	ssize_t sent;
	do {
		sent = param->inputs.addr
			? sendto(socket->netstream.socket, param->inputs.buf, param->inputs.buflen, flags,
				param->inputs.addr, param->inputs.addrlen)
			: send(socket->netstream.socket, param->inputs.buf, param->inputs.buflen, flags);
	} while (sent < 0 && parks && errno == EAGAIN && ss_parked_writable(socket, &patience));
	if (sent < 0) {
		php_error_docref(NULL, E_WARNING, "%s\n", strerror(errno));
	}
	return (int) sent;
}

static int shut_down(ss_socket *socket, php_stream_xport_param *param)
{
	ss_outcome outcome = {0};

	ss_shutdown(socket, param->how, &outcome);
	return ss_concluded(param, &outcome);
}

static int transport_operation(php_stream *stream, ss_socket *socket, php_stream_xport_param *param)
{
	int *result = &param->outputs.returncode;

	switch (param->op) {
		case STREAM_XPORT_OP_BIND:
			*result = bind_to(stream, socket, param);
			break;
		case STREAM_XPORT_OP_LISTEN:
			*result = listen_on(stream, socket, param);
			break;
		case STREAM_XPORT_OP_CONNECT:
		case STREAM_XPORT_OP_CONNECT_ASYNC:
			*result = connect_to(stream, socket, param);
			break;
		case STREAM_XPORT_OP_ACCEPT:
			*result = accept_from(stream, socket, param STREAMS_CC);
			break;
		case STREAM_XPORT_OP_GET_NAME:
		case STREAM_XPORT_OP_GET_PEER_NAME:
			*result = name_of(socket, param);
			break;
		case STREAM_XPORT_OP_SEND:
			*result = send_to(socket, param);
			break;
		case STREAM_XPORT_OP_RECV:
			*result = receive_from(stream, socket, param);
			break;
		case STREAM_XPORT_OP_SHUTDOWN:
			*result = shut_down(socket, param);
			break;
		default:
			return PHP_STREAM_OPTION_RETURN_NOTIMPL;
	}
	return PHP_STREAM_OPTION_RETURN_OK;
}

/* ---- operations of a stream ---- */

static void tell_progress(php_stream *stream, ssize_t moved)
{
	php_stream_context *context = PHP_STREAM_CONTEXT(stream);

	if (context != NULL && context->notifier != NULL) {
		ss_hold hold;
		ss_hold_begin(&hold, stream->abstract);
		php_stream_notify_progress_increment(context, moved, 0);
		ss_hold_end(&hold);
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
	ss_watch_read(socket);
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
	ss_watch_leave(socket);
	ss_closing_gone(socket);
	if (!close_handle) {
		/* Whoever cast the stream to a descriptor goes on with it. */
		ss_released(socket);
	}
	stream->abstract = NULL;
	closed(socket);
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
			*(FILE **) result = fdopen(descriptor(socket, false), stream->mode);
			return *result ? SUCCESS : FAILURE;
		}
		case PHP_STREAM_AS_FD_FOR_SELECT:
		case PHP_STREAM_AS_FD:
		case PHP_STREAM_AS_SOCKETD:
			if (result != NULL) {
				if (as == PHP_STREAM_AS_FD_FOR_SELECT) {
					ss_crypto_uncover(stream, socket);
				}
				*(php_socket_t *) result = descriptor(socket, as == PHP_STREAM_AS_FD_FOR_SELECT);
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
	if (value != 0 && !pending && php_pollfd_for(descriptor(socket, true), PHP_POLLREADABLE | POLLPRI, &wait) <= 0) {
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
			return transport_operation(stream, socket, parameter);
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

ss_socket *ss_socket_of(const php_stream *stream)
{
	for (int index = 0; index < TRANSPORTS; index++) {
		if (stream->ops == ss_operations[index]) {
			return stream->abstract;
		}
	}
	return NULL;
}

/* ---- factories ---- */

static bool is_name(const char *name, size_t length, const char *text)
{
	return strlen(text) == length && memcmp(text, name, length) == 0;
}

static int transport_named(const char *name, size_t length)
{
	for (int index = 0; index < TRANSPORTS; index++) {
		if (is_name(name, length, names[index])) {
			return index;
		}
	}
	return -1;
}

/* The next name of a list, or NULL at its end. */
static const char *next_name(const char **list, size_t *length)
{
	const char *name = *list + strspn(*list, ", \t");

	*length = strcspn(name, ", \t");
	*list = name + *length;
	return *length > 0 ? name : NULL;
}

/* Whether `stream_socket.transports` lists a name. */
static bool lists(const char *list, const char *name)
{
	size_t length;

	for (const char *listed; (listed = next_name(&list, &length)) != NULL;) {
		if (is_name(listed, length, name)) {
			return true;
		}
	}
	return false;
}

/* A name of nothing is told at the start, as it would leave its transport to stock PHP. */
static void check_list(const char *list)
{
	size_t length;

	for (const char *name; (name = next_name(&list, &length)) != NULL;) {
		if (!is_name(name, length, "all") && !is_name(name, length, "server")
			&& transport_named(name, length) == -1 && !ss_crypto_names(name, length)
			&& !ss_tls_over_names(name, length)) {
			php_error_docref(NULL, E_WARNING, "stream_socket.transports names \"%.*s\", which is neither"
				" a transport of the extension nor \"all\" or \"server\"", (int) length, name);
		}
	}
}

static void check_tls(const char *setting)
{
	/* php.ini makes nothing of `off`. */
	if (strcmp(setting, "server") != 0 && strcmp(setting, "all") != 0 && strcmp(setting, "off") != 0
		&& *setting != '\0') {
		php_error_docref(NULL, E_WARNING, "stream_socket.tls is \"%s\", which is none of \"server\","
			" \"all\" and \"off\"", setting);
	}
}

bool ss_serves(const char *transport)
{
	const char *list = SSG(transports);

	return SSG(strict) && list != NULL
		&& (lists(list, "all") || lists(list, transport) || lists(list, "server"));
}

bool ss_connects(const char *transport)
{
	const char *list = SSG(transports);

	return SSG(strict) && list != NULL && (lists(list, "all") || lists(list, transport));
}

static bool is_ours(int transport, int flags)
{
	const char *list = SSG(transports);
	bool opens = flags & (STREAM_XPORT_CONNECT | STREAM_XPORT_CONNECT_ASYNC | STREAM_XPORT_BIND);

	if (stock[transport] == NULL) {
		/* Registered only where the settings have it. */
		return true;
	}
	if (!SSG(strict) || !opens || list == NULL) {
		/* ext/sockets puts a socket of its own into a stream that opened none. */
		return false;
	}
	return (flags & STREAM_XPORT_SERVER) ? ss_serves(names[transport]) : ss_connects(names[transport]);
}

bool ss_crypto_is_ours(void)
{
	return SSG(strict) && SSG(tls) != NULL && (strcmp(SSG(tls), "server") == 0 || strcmp(SSG(tls), "all") == 0);
}

bool ss_crypto_has_clients(void)
{
	return SSG(strict) && SSG(tls) != NULL && strcmp(SSG(tls), "all") == 0;
}

php_stream *ss_stock_tcp(const char *target, size_t length, const char *persistent_id,
	struct timeval *timeout, php_stream_context *context STREAMS_DC)
{
	return stock[SS_TCP]("tcp", 3, target, length, persistent_id, 0, 0, timeout, context STREAMS_REL_CC);
}

php_stream *ss_make_stream(int transport, const char *target, size_t length,
	const char *persistent_id, struct timeval *timeout STREAMS_DC)
{
	struct timeval read_timeout = {FG(default_socket_timeout), 0};
	ss_outcome outcome = {0};
	ss_socket *socket = ss_new(transport, &read_timeout, timeout, target, length, &outcome);

	ss_settle(&outcome);
	if (socket == NULL) {
		return NULL;
	}
	SSG(unowned) = socket;
	php_stream *stream = php_stream_alloc_rel(ss_operations[transport], socket, persistent_id, "r+");
	SSG(unowned) = NULL;
	if (stream == NULL) {
		closed(socket);
		return NULL;
	}
	if (ss_is_datagram(socket)) {
		/* The largest datagram over UDP comes whole in one read. */
		stream->chunk_size = 65536;
	}
	return stream;
}

static php_stream *factory(const char *protocol, size_t protocol_length, const char *target,
	size_t length, const char *persistent_id, int options, int flags, struct timeval *timeout,
	php_stream_context *context STREAMS_DC)
{
	int transport = transport_named(protocol, protocol_length);

	if (!is_ours(transport, flags)) {
		return stock[transport](protocol, protocol_length, target, length, persistent_id, options, flags,
			timeout, context STREAMS_REL_CC);
	}
	return ss_make_stream(transport, target,
		(transport == SS_TCP || transport == SS_MPTCP) && !(flags & STREAM_XPORT_SERVER) ? length : 0, persistent_id, timeout STREAMS_REL_CC);
}

/* ---- functions ---- */

/* stream_socket_server, whose $error_code then carries the system's number. */
static ZEND_NAMED_FUNCTION(server)
{
	SSG(bind_errno) = 0;
	stock_server(INTERNAL_FUNCTION_PARAM_PASSTHRU);
	if (Z_TYPE_P(return_value) == IS_FALSE && SSG(bind_errno) != 0 && ZEND_NUM_ARGS() >= 2) {
		zval *code = ZEND_CALL_ARG(execute_data, 2);
		if (Z_ISREF_P(code)) {
			ZEND_TRY_ASSIGN_REF_LONG(code, SSG(bind_errno));
		}
	}
}

/* stream_socket_get_name, which tells abstract names too. */
static ZEND_NAMED_FUNCTION(get_name)
{
	zval *resource;
	bool remote;
	php_stream *stream;
	zend_string *name = NULL;

	ZEND_PARSE_PARAMETERS_START(2, 2)
		Z_PARAM_RESOURCE(resource)
		Z_PARAM_BOOL(remote)
	ZEND_PARSE_PARAMETERS_END();
	php_stream_from_zval(stream, resource);
	if (stream->ops->set_option != op_set_option) {
		stock_get_name(INTERNAL_FUNCTION_PARAM_PASSTHRU);
		return;
	}
	if (php_stream_xport_get_name(stream, remote, &name, NULL, NULL) != 0 || name == NULL) {
		RETURN_FALSE;
	}
	if (ZSTR_LEN(name) == 0) {
		zend_string_release(name);
		RETURN_FALSE;
	}
	RETURN_STR(name);
}

zif_handler ss_take_over(const char *name, zif_handler ours)
{
	zend_function *function = zend_hash_str_find_ptr(CG(function_table), name, strlen(name));

	if (function == NULL || function->type != ZEND_INTERNAL_FUNCTION) {
		return NULL;
	}
	zif_handler before = function->internal_function.handler;
	function->internal_function.handler = ours;
	return before;
}

void ss_give_back(const char *name, zif_handler before)
{
	if (before != NULL) {
		ss_take_over(name, before);
	}
}

/* ---- the module ---- */

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_MASK_EX(fgetss_arguments, 0, 1, MAY_BE_STRING | MAY_BE_FALSE)
	ZEND_ARG_INFO(0, stream)
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, length, IS_LONG, 1, "null")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, allowed_tags, IS_STRING, 1, "null")
ZEND_END_ARG_INFO()

static const zend_function_entry functions[] = {
	ZEND_NAMED_FE(fgetss, ss_fgetss, fgetss_arguments)
	SS_FIBER_FUNCTIONS
	ZEND_FE_END
};

PHP_INI_BEGIN()
	STD_PHP_INI_BOOLEAN("stream_socket.strict", "1", PHP_INI_SYSTEM, OnUpdateBool, strict,
		zend_stream_socket_globals, stream_socket_globals)
	STD_PHP_INI_ENTRY("stream_socket.tls", "server", PHP_INI_SYSTEM, OnUpdateString, tls,
		zend_stream_socket_globals, stream_socket_globals)
	STD_PHP_INI_ENTRY("stream_socket.transports", "all", PHP_INI_SYSTEM, OnUpdateString, transports,
		zend_stream_socket_globals, stream_socket_globals)
PHP_INI_END()

static PHP_MINIT_FUNCTION(stream_socket)
{
	HashTable *registered = php_stream_xport_get_hash();

	REGISTER_INI_ENTRIES();
	note_inherited();
	check_list(SSG(transports) ? SSG(transports) : "");
	check_tls(SSG(tls) ? SSG(tls) : "");
	if (ss_crypto_begin()) {
		/* Crypto can be switched on later, and scripts look for that in the label. */
		tcp_operations.label = "tcp_socket/ssl";
	}
	for (int index = 0; index < TRANSPORTS; index++) {
		stock[index] = zend_hash_str_find_ptr(registered, names[index], strlen(names[index]));
		if (stock[index] != NULL || ss_serves(names[index])) {
			php_stream_xport_register(names[index], factory);
		}
	}
	ss_tls_over_begin();
	if (SSG(strict)) {
		stock_server = ss_take_over("stream_socket_server", server);
		stock_get_name = ss_take_over("stream_socket_get_name", get_name);
		stock_select = ss_take_over("stream_select", ss_select);
		ss_watch_begin();
		ss_contexts_begin();
		ss_sleeping_begin();
		ss_copying_begin();
		ss_closing_begin();
	}
	ss_tasks_set_up();
	return SUCCESS;
}

static PHP_MSHUTDOWN_FUNCTION(stream_socket)
{
	for (int index = 0; index < TRANSPORTS; index++) {
		if (stock[index] != NULL) {
			php_stream_xport_register(names[index], stock[index]);
		} else {
			php_stream_xport_unregister(names[index]);
		}
	}
	ss_tls_over_end();
	ss_crypto_end();
	ss_give_back("stream_socket_server", stock_server);
	ss_give_back("stream_socket_get_name", stock_get_name);
	ss_give_back("stream_select", stock_select);
	ss_contexts_end();
	ss_sleeping_end();
	ss_closing_end();
	ss_copying_end();
	UNREGISTER_INI_ENTRIES();
	return SUCCESS;
}

static PHP_RINIT_FUNCTION(stream_socket)
{
	ss_signals_reclaim();
	return SUCCESS;
}

static PHP_RSHUTDOWN_FUNCTION(stream_socket)
{
	ss_fgetss_end();
	ss_proxy_end();
	ss_spawned_shut_down();
	ss_servers_shut_down();
	ss_tasks_shut_down();
	ss_closing_shut_down();
	ss_loop_shut_down();
	ss_watch_end();
	if (SSG(unowned) != NULL) {
		closed(SSG(unowned));
		SSG(unowned) = NULL;
	}
	ss_parked_shut_down();
	return SUCCESS;
}

/* After streams that were left open have been closed, which may run code of the script. */
static ZEND_MODULE_POST_ZEND_DEACTIVATE_D(stream_socket)
{
	ss_loop_reset();
	return SUCCESS;
}

static void info_row(const char *name, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long) value);
	php_info_print_table_row(2, name, text);
}

/* Which of the transports are ours, as the settings have it. */
static void info_transports(const char *row, int flags)
{
	smart_str list = {0};

	for (int index = 0; index < TRANSPORTS; index++) {
		if (zend_hash_str_exists(php_stream_xport_get_hash(), names[index], strlen(names[index]))
			&& is_ours(index, flags)) {
			if (list.s != NULL) {
				smart_str_appends(&list, ", ");
			}
			smart_str_appends(&list, names[index]);
		}
	}
	smart_str_0(&list);
	php_info_print_table_row(2, row, list.s == NULL ? "PHP's own" : ZSTR_VAL(list.s));
	smart_str_free(&list);
}

static PHP_MINFO_FUNCTION(stream_socket)
{
	ss_counters counters;

	ss_count(&counters);
	php_info_print_table_start();
	php_info_print_table_row(2, "stream_socket", "enabled");
	php_info_print_table_row(2, "Version", STREAM_SOCKET_VERSION);
	php_info_print_table_row(2, "Built for PHP", PHP_VERSION);
	info_transports("Transports of servers", STREAM_XPORT_BIND | STREAM_XPORT_SERVER);
	info_transports("Transports of clients", STREAM_XPORT_CONNECT | STREAM_XPORT_CLIENT);
	php_info_print_table_row(2, "TLS", ss_crypto_has_clients() ? "by rustls" : ss_crypto_is_ours() ? "servers by rustls, clients by PHP's OpenSSL"
		: "by PHP's OpenSSL");
	info_row("Listeners bound", counters.bound);
	info_row("Streams accepted", counters.accepted);
	info_row("Streams connected", counters.connected);
	info_row("Binds and connects failed", counters.failed);
	info_row("TLS handshakes failed after enable_crypto", counters.handshakes_failed);
	info_row("Sockets open", counters.open);
	php_info_print_table_end();
	DISPLAY_INI_ENTRIES();
}

static PHP_GINIT_FUNCTION(stream_socket)
{
#if defined(COMPILE_DL_STREAM_SOCKET) && defined(ZTS)
	ZEND_TSRMLS_CACHE_UPDATE();
#endif
	memset(stream_socket_globals, 0, sizeof(*stream_socket_globals));
}

/* After openssl, whose start replaces "tcp". */
static const zend_module_dep dependencies[] = {
	ZEND_MOD_OPTIONAL("openssl")
	ZEND_MOD_OPTIONAL("sockets")
	ZEND_MOD_END
};

static zend_module_entry entry = {
	STANDARD_MODULE_HEADER_EX,
	NULL,
	dependencies,
	"stream_socket",
	functions,
	PHP_MINIT(stream_socket),
	PHP_MSHUTDOWN(stream_socket),
	PHP_RINIT(stream_socket),
	PHP_RSHUTDOWN(stream_socket),
	PHP_MINFO(stream_socket),
	STREAM_SOCKET_VERSION,
	PHP_MODULE_GLOBALS(stream_socket),
	PHP_GINIT(stream_socket),
	NULL,
	ZEND_MODULE_POST_ZEND_DEACTIVATE_N(stream_socket),
	STANDARD_MODULE_PROPERTIES_EX,
};

zend_module_entry *ss_module(void)
{
	return &entry;
}
