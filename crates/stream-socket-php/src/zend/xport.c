/* The transport API: bind, listen, connect, accept, names, sendto and recvfrom, shutdown. */
#include "module.h"
#include "crypto.h"
#include "parked.h"

#include <sys/socket.h>

/* In a task that is being ended nothing waits. */
static const struct timeval no_time;

static int bind_to(php_stream *stream, ss_socket *socket, php_stream_xport_param *param)
{
	ss_outcome outcome = {0};
	ss_options options;
	int result;

	SSG(bind_errno) = 0;
	if (!ss_inherited_may_take(socket, param)) {
		return -1;
	}
	if (!ss_is_inet(socket)) {
		ss_options_collect(stream, &options, true);
		ss_bind_named(socket, param->inputs.name, param->inputs.namelen, &options, &outcome);
		ss_inherited_found_out(stream, socket);
	} else {
		ss_ip ips[SS_MOST_ADDRESSES];
		size_t count;
		uint16_t port;

		if (!ss_addresses(socket, param, NULL, ips, &count, &port)) {
			return -1;
		}
		/* Only now: another Fiber may have changed the context meanwhile. */
		ss_options_collect(stream, &options, true);
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
	zval *bindto = !ss_is_inet(socket) || PHP_STREAM_CONTEXT(stream) == NULL
		? NULL
		: php_stream_context_get_option(PHP_STREAM_CONTEXT(stream), "socket", "bindto");

	if (bindto != NULL && Z_TYPE_P(bindto) != IS_STRING) {
		if (param->want_errortext) {
			param->outputs.error_text =
				zend_string_init(ZEND_STRL("local_addr context option is not a string."), 0);
		}
		return -1;
	}
	ss_options_collect(stream, &options, false);
	bool parks = !begin && !ss_is_datagram(socket) && ss_manner_now() == SS_PARKS;
	if (!ss_inherited_may_take(socket, param)) {
		return -1;
	}
	if (ss_is_inherited(socket)) {
		/* There is nothing to wait for. */
		options.bindto = NULL;
		ss_connect_named(socket, param->inputs.name, param->inputs.namelen, param->inputs.timeout,
			false, &options, &outcome);
		ss_inherited_found_out(stream, socket);
	} else if (!ss_is_inet(socket) && parks) {
		options.bindto = NULL;
		ss_parked_connect_named(socket, param->inputs.name, param->inputs.namelen, param->inputs.timeout,
			&options, &outcome);
	} else if (!ss_is_inet(socket)) {
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

php_stream *ss_stream_around(php_stream *listener, ss_socket *client STREAMS_DC)
{
	ss_options_give(listener, client);
	SSG(unowned) = client;
	php_stream *made = php_stream_alloc_rel(listener->ops, client, NULL, "r+");
	SSG(unowned) = NULL;
	ss_watch_open(client);
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

	enum ss_prepared prepared = socket->tls == SS_TLS_LISTENER ? ss_crypto_prepare(stream, socket, false)
		: SS_PREPARED;
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
		: ss_accept(socket, manner == SS_FAILS ? &no_time : param->inputs.timeout, param->want_textaddr,
			&outcome);

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
	if (param->want_addr || (socket->kind != SS_PEER && ss_is_inet(socket) && !is_told)) {
		int (*tell)(php_socket_t, zend_string **, struct sockaddr **, socklen_t *) =
			peer ? php_network_get_peer_name : php_network_get_sock_name;
		return tell(ss_number_of(socket, false),
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
	bool looks = param->inputs.flags & STREAM_PEEK;
	ssize_t length = parks && looks ? ss_parked_peek(socket, into, room, &socket->netstream.timeout, &outcome)
		: parks ? ss_parked_read(stream, socket, into, room, false, &eof, &outcome)
		: looks ? ss_peek(socket, into, room, &outcome)
		: ss_read(socket, into, room, false, &eof, &outcome);

	ss_settle(&outcome);
	if (length >= 0 && param->want_textaddr) {
		tell_name(socket, true, param);
	}
	return length < 0 ? -1 : (int) length;
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
	ss_number_of(socket, false);
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

	if (ss_is_datagram(socket) && (socket->kind == SS_DATAGRAMS || socket->kind == SS_LISTENER)) {
		return shutdown(socket->netstream.socket, param->how);
	}
	ss_shutdown(socket, param->how, &outcome);
	return ss_concluded(param, &outcome);
}

int ss_xport_operation(php_stream *stream, ss_socket *socket, php_stream_xport_param *param)
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
