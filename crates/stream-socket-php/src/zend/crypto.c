/* TLS: what is served by the library, and what goes to the transports that were registered before
 * ours, whole. Those are asked for anything that they alone can do. */
#include "crypto.h"
#include "fibers.h"

#define PROTOCOLS 6

static const char *const names[PROTOCOLS] = {"ssl", "tls", "tlsv1.0", "tlsv1.1", "tlsv1.2", "tlsv1.3"};
static const uint8_t methods[PROTOCOLS] = {SS_TLS_SERVER, SS_TLS_SERVER, 8, 16, SS_TLS_1_2, SS_TLS_1_3};

/* Those that PHP's OpenSSL registered. */
static php_stream_transport_factory stock[PROTOCOLS];

/* ---- handing over ---- */

static php_stream *make_theirs(php_stream *stream, int protocol, const char *key)
{
	struct timeval connect_timeout;
	size_t length;
	const char *target = ss_target_of(stream->abstract, &length, &connect_timeout);

	if (protocol < 0) {
		return ss_stock_tcp(target, length, key, &connect_timeout, PHP_STREAM_CONTEXT(stream) STREAMS_CC);
	}
	return stock[protocol](names[protocol], strlen(names[protocol]), target, length, key, 0, 0,
		&connect_timeout, PHP_STREAM_CONTEXT(stream) STREAMS_CC);
}

/* Makes the stream one of a transport that was registered before ours, on the same socket: tcp's
 * where `protocol` is negative. */
static bool hand_over(php_stream *stream, int protocol)
{
	ss_socket *ours = stream->abstract;
	bool persistent = php_stream_is_persistent(stream);
	char key[64];

	if (ours->waiting > 0 || ours->closing) {
		/* A Fiber is in one of its operations, and goes on with it, or closes it. */
		return false;
	}
	snprintf(key, sizeof(key), "stream_socket__handed_over__%p", (void *) stream);
	php_stream *theirs = make_theirs(stream, protocol, persistent ? key : NULL);
	if (theirs == NULL) {
		return false;
	}
	php_netstream_data_t *net = theirs->abstract;
	ss_watch_leave(ours);
	*net = ours->netstream;
	net->socket = ss_released(ours);
	if (net->socket != -1 && !net->is_blocked) {
		php_set_sock_blocking(net->socket, 0);
	}
	const php_stream_ops *operations = theirs->ops;
	theirs->ops = stream->ops;
	theirs->abstract = ours;
	stream->ops = operations;
	stream->abstract = net;
	if (persistent) {
		php_stream_pclose(theirs);
	} else {
		php_stream_close(theirs);
	}
	return true;
}

/* ---- listeners ---- */

/* That of the transport's name, unless it leaves the choice to the context. */
static zend_long method_of(php_stream *stream, const ss_socket *socket)
{
	zval *chosen = ss_crypto_option(stream, "crypto_method");
	zend_long method = methods[socket->protocol];

	return method == SS_TLS_SERVER && chosen != NULL ? ss_context_long(chosen) : method;
}

/* The stream, which is no longer ours, stays, whatever a handler of this does. */
static void tell_who_serves(php_stream *stream, const char *reason)
{
	uint32_t flags = stream->flags;

	stream->flags |= PHP_STREAM_FLAG_NO_FCLOSE;
	php_error_docref(NULL, E_NOTICE, "TLS is left to OpenSSL, so that a silent client can hold up "
		"accept: %s", reason);
	stream->flags = flags;
}

enum ss_prepared ss_crypto_prepare(php_stream *stream, ss_socket *socket, bool is_new)
{
	ss_reading reading;
	ss_outcome outcome = {0};
	char reason[512];

	if (socket->tls != SS_TLS_LISTENER || socket->kind != SS_LISTENER) {
		return SS_PREPARED;
	}
	ss_crypto_read(stream, method_of(stream, socket), &reading);
	bool is_nameless = !reading.has_certificate && reading.options.identity_count == 0;
	if (reading.obstacle == NULL && reading.has_certificate) {
		ss_tls_serve(socket, &reading.options, &outcome);
	} else {
		outcome.status = SS_FAILED;
	}
	ss_crypto_forget(&reading);
	if (outcome.status == SS_OK || (is_new && is_nameless)) {
		/* A certificate may be told before the first accept. */
		return SS_PREPARED;
	}
	if (outcome.number != 0) {
		/* What can't be read, OpenSSL complains of as well, and what only OpenSSL has, its user knows. */
		ss_forget(&outcome);
	}
	/* What options ask for is known to who gave them, of a certificate nobody knows. */
	snprintf(reason, sizeof(reason), "%.*s", (int) outcome.text_length,
		outcome.text_length ? outcome.text : "");
	ss_settle(&outcome);
	/* Nobody there knows of the header that comes first. */
	if (EG(exception) != NULL || socket->proxied || !hand_over(stream, socket->protocol)) {
		return SS_UNPREPARED;
	}
	if (reason[0] != '\0') {
		tell_who_serves(stream, reason);
	}
	return SS_THEIRS;
}

/* ---- streams ---- */

static bool is_server(zend_long method)
{
	return !(method & 1);
}

/* A stream's session is resumed by OpenSSL alone; ours go on with those of their own kind by themselves. */
static bool is_resumable(php_stream *session)
{
	const ss_socket *socket = session != NULL ? ss_socket_of(session) : NULL;

	return session == NULL || (socket != NULL && socket->tls == SS_TLS_ON);
}

/* Notes with which methods TLS is to begin; 0, -1, or 1: it is not for us. */
static int set_up(php_stream *stream, ss_socket *socket, const php_stream_xport_crypto_param *param)
{
	ss_reading reading;

	if (socket->tls != SS_NO_TLS) {
		if (socket->netstream.is_blocked) {
			php_error_docref(NULL, E_WARNING, "SSL/TLS already set-up for this stream");
			return -1;
		}
		return 0;
	}
	zend_long method = param->inputs.method;
	bool is_ours = is_server(method) ? ss_crypto_is_ours() : ss_crypto_has_clients();
	if (!is_ours || !is_resumable(param->inputs.session) || socket->kind != SS_STREAM
		|| (method & ~(SS_ANY_SERVER | SS_CLIENT)) != 0) {
		return 1;
	}
	ss_crypto_read(stream, method, &reading);
	ss_crypto_examine(&reading);
	ss_crypto_forget(&reading);
	if (reading.obstacle != NULL || (is_server(method) && !reading.has_certificate)) {
		return 1;
	}
	socket->method = (uint8_t) method;
	return 0;
}

/* Warns, and tells it to who asks why. */
static void complain(ss_outcome *outcome, zend_string **why)
{
	bool is_late = outcome->status == SS_TIMED_OUT;
	char text[512];

	if (outcome->status == SS_PANICKED) {
		ss_settle(outcome);
		return;
	}
	if (outcome->text_length > 0) {
		snprintf(text, sizeof(text), "%.*s", (int) outcome->text_length, outcome->text);
	} else {
		snprintf(text, sizeof(text), "%s", strerror(outcome->number));
	}
	ss_forget(outcome);
	const char *reason = is_late ? "Handshake timed out" : text;
	if (why != NULL) {
		*why = zend_string_init(reason, strlen(reason), 0);
	}
	php_error_docref(NULL, E_WARNING, "SSL: %s", reason);
}

/* How long a handshake may take, in nanoseconds: what the context says, else of a client as long as connecting,
 * of a server as long as a read. */
static int64_t patience_of(php_stream *stream, const ss_socket *socket)
{
	int64_t given = ss_crypto_handshake_timeout(stream);
	if (given >= 0) {
		return given;
	}
	struct timeval timeout = socket->netstream.timeout;
	size_t length;

	if (socket->method & SS_CLIENT) {
		ss_target_of(socket, &length, &timeout);
		if (timeout.tv_sec == 0 && timeout.tv_usec == 0) {
			return INT64_MAX;
		}
	}
	return timeout.tv_sec < 0 || timeout.tv_sec > INT64_MAX / 2000000000
		? INT64_MAX
		: timeout.tv_sec * INT64_C(1000000000) + timeout.tv_usec * 1000;
}

/* Makes a handshake to its end, a step at a time, in a task; -1 where it is not to be finished. */
static int shake_parked(ss_socket *socket, int shaking, int64_t time, ss_outcome *outcome)
{
	ss_patience patience = {time == INT64_MAX ? -1 : time, 0};

	while (shaking == SS_SHAKE_READS || shaking == SS_SHAKE_WRITES) {
		enum ss_direction direction = shaking == SS_SHAKE_READS ? SS_READ : SS_WRITE;
		ss_exhausted(socket, direction);
		enum ss_waited waited = ss_manner_now() == SS_PARKS ? ss_await(socket, direction, &patience) : SS_ENDED;
		if (waited != SS_READY) {
			outcome->status = waited == SS_TOO_LATE ? SS_TIMED_OUT : SS_FAILED;
			outcome->number = ECANCELED;
			return SS_SHAKE_FAILED;
		}
		shaking = ss_tls_shake(socket, false, outcome);
	}
	return shaking;
}

static int begin(php_stream *stream, ss_socket *socket, bool waits, ss_outcome *outcome)
{
	ss_reading reading;

	if (socket->tls == SS_TLS_BEGUN) {
		return ss_tls_shake(socket, waits, outcome);
	}
	if (stream->writepos > stream->readpos) {
		static const char refusal[] = "bytes came ahead of TLS, which anybody may have put there";
		php_error_docref(NULL, E_WARNING, "SSL: %s", refusal);
		return SS_SHAKE_FAILED;
	}
	ss_crypto_read(stream, socket->method, &reading);
	reading.options.handshake_timeout = patience_of(stream, socket);
	if (reading.obstacle != NULL && reading.options.is_client) {
		/* The context has changed meanwhile. */
		ss_crypto_forget(&reading);
		outcome->status = SS_FAILED;
		outcome->number = EOPNOTSUPP;
		return SS_SHAKE_FAILED;
	}
	ss_watch_leave(socket);
	int shaking = ss_tls_start(socket, &reading.options, waits, outcome);
	ss_crypto_forget(&reading);
	return shaking;
}

/* Makes the stream one of OpenSSL, which begins TLS as ours was to. */
static int leave(php_stream *stream, ss_socket *socket, int protocol)
{
	zend_long method = socket->method;

	if (!hand_over(stream, protocol) || php_stream_xport_crypto_setup(stream, method, NULL) < 0) {
		return -1;
	}
	return php_stream_xport_crypto_enable(stream, 1);
}

/* As stream_socket_enable_crypto: 1, 0 for "call again", or -1. What the library can't do as a client becomes a
 * stream of the protocol's, or of tcp where that is negative. */
static int turn_on(php_stream *stream, ss_socket *socket, int protocol, zend_string **why)
{
	ss_outcome outcome = {0};
	enum ss_manner manner = ss_manner_now();
	bool parks = socket->netstream.is_blocked && manner == SS_PARKS;

	if (socket->tls == SS_TLS_ON) {
		return -1;
	}
	int shaking = begin(stream, socket, socket->netstream.is_blocked && manner == SS_BLOCKS, &outcome);
	if (parks && shaking != SS_SHAKE_FAILED) {
		shaking = shake_parked(socket, shaking, patience_of(stream, socket), &outcome);
	}
	bool is_lacking = outcome.status == SS_FAILED && outcome.number == EOPNOTSUPP && socket->tls == SS_NO_TLS;
	if (shaking == SS_SHAKE_FAILED && is_lacking && (socket->method & SS_CLIENT)) {
		ss_forget(&outcome);
		return leave(stream, socket, protocol);
	}
	if (shaking == SS_SHAKE_FAILED && outcome.status != SS_OK) {
		complain(&outcome, why);
	}
	ss_forget(&outcome);
	if (shaking == SS_SHAKE_DONE) {
		ss_crypto_capture(stream, socket);
	}
	return shaking == SS_SHAKE_DONE ? 1 : shaking == SS_SHAKE_FAILED ? -1 : 0;
}

/* As stream_socket_enable_crypto: of no use to tell, since stock PHP always says false. */
static int turn_off(ss_socket *socket)
{
	ss_outcome outcome = {0};
	ss_patience patience = ss_patience_for(socket, SS_READ);
	enum ss_manner manner = ss_manner_now();
	bool parks = socket->netstream.is_blocked && manner == SS_PARKS;

	if (socket->tls != SS_TLS_ON) {
		return -1;
	}
	do {
		ss_forget(&outcome);
		outcome = (ss_outcome) {0};
		ss_tls_stop(socket, socket->netstream.is_blocked && manner == SS_BLOCKS, &outcome);
		if (outcome.status == SS_OK) {
			socket->method = 0;
			return -1;
		}
		ss_exhausted(socket, SS_READ);
	} while (parks && outcome.number == EAGAIN && ss_await(socket, SS_READ, &patience) == SS_READY);
	if (outcome.number == EAGAIN && !socket->netstream.is_blocked) {
		ss_forget(&outcome);
		return 0;
	}
	complain(&outcome, NULL);
	return -1;
}

static int hand_over_and_repeat(php_stream *stream, ss_socket *socket, int value, void *parameter)
{
	if (socket->proxied) {
		/* OpenSSL's stream would have the proxy's address for the client's. */
		php_error_docref(NULL, E_WARNING, "SSL: behind a proxy TLS is not left to OpenSSL");
		((php_stream_xport_crypto_param *) parameter)->outputs.returncode = -1;
		return PHP_STREAM_OPTION_RETURN_OK;
	}
	if (!ss_is_tcp(socket) || socket->tls != SS_NO_TLS || !hand_over(stream, -1)) {
		return PHP_STREAM_OPTION_RETURN_NOTIMPL;
	}
	return stream->ops->set_option(stream, PHP_STREAM_OPTION_CRYPTO_API, value, parameter);
}

int ss_crypto_operation(php_stream *stream, ss_socket *socket, int value, void *parameter)
{
	php_stream_xport_crypto_param *param = parameter;

	if (socket->waiting > 0) {
		php_error_docref(NULL, E_WARNING, "A Fiber waits for this stream");
		return PHP_STREAM_OPTION_RETURN_ERR;
	}
	if (!ss_is_tcp(socket) || socket->kind == SS_EMPTY) {
		return PHP_STREAM_OPTION_RETURN_NOTIMPL;
	}
	if (param->op == STREAM_XPORT_CRYPTO_OP_SETUP) {
		int result = set_up(stream, socket, param);
		if (result > 0) {
			return hand_over_and_repeat(stream, socket, value, parameter);
		}
		param->outputs.returncode = result;
		return PHP_STREAM_OPTION_RETURN_OK;
	}
	if (socket->tls == SS_NO_TLS && socket->method == 0) {
		return hand_over_and_repeat(stream, socket, value, parameter);
	}
	param->outputs.returncode = param->inputs.activate ? turn_on(stream, socket, -1, NULL) : turn_off(socket);
	return PHP_STREAM_OPTION_RETURN_OK;
}

/* ---- clients ---- */

bool ss_crypto_may_connect(php_stream *stream, ss_socket *socket)
{
	ss_reading reading;

	if (socket->tls != SS_TLS_DUE) {
		return true;
	}
	ss_crypto_read(stream, method_of(stream, socket) | SS_CLIENT, &reading);
	ss_crypto_examine(&reading);
	ss_crypto_forget(&reading);
	return reading.obstacle == NULL || !hand_over(stream, socket->protocol);
}

int ss_crypto_connected(php_stream *stream, ss_socket *socket, php_stream_xport_param *param)
{
	zend_string **why = param->want_errortext ? &param->outputs.error_text : NULL;

	if (socket->tls != SS_TLS_DUE) {
		return 0;
	}
	socket->tls = SS_NO_TLS;
	socket->method = (uint8_t) (method_of(stream, socket) | SS_CLIENT);
	if (turn_on(stream, socket, socket->protocol, why) == 1) {
		return 0;
	}
	php_error_docref(NULL, E_WARNING, "Failed to enable crypto");
	return -1;
}

/* ---- what is told ---- */

static void tell_handshakes(const ss_socket *socket, zval *into)
{
	ss_handshakes handshakes;
	ss_outcome outcome = {0};
	zval section, failures;

	if (!ss_tls_tell_handshakes(socket, &handshakes, &outcome)) {
		ss_settle(&outcome);
		return;
	}
	array_init(&section);
	add_assoc_long(&section, "finished", (zend_long) handshakes.finished);
	add_assoc_long(&section, "failed", (zend_long) handshakes.failed);
	add_assoc_long(&section, "timed_out", (zend_long) handshakes.timed_out);
	add_assoc_long(&section, "evicted", (zend_long) handshakes.evicted);
	array_init(&failures);
	for (const char *line = outcome.text, *end = line + outcome.text_length; line < end;) {
		const char *stop = memchr(line, '\n', end - line);
		stop = stop ? stop : end;
		add_next_index_stringl(&failures, line, stop - line);
		line = stop + 1;
	}
	ss_settle(&outcome);
	add_assoc_zval(&section, "failures", &failures);
	add_assoc_zval(into, "handshakes", &section);
}

void ss_crypto_tell(const ss_socket *socket, zval *into)
{
	ss_tls_facts facts;
	ss_outcome outcome = {0};
	zval section;

	if (ss_shakes_hands(socket)) {
		tell_handshakes(socket, into);
		return;
	}
	if (socket->tls != SS_TLS_ON || !ss_tls_tell(socket, &facts, &outcome)) {
		ss_settle(&outcome);
		return;
	}
	array_init(&section);
	add_assoc_string(&section, "protocol", facts.minor == 2 ? "TLSv1.2" : "TLSv1.3");
	add_assoc_stringl(&section, "cipher_name", facts.cipher, facts.cipher_length);
	add_assoc_long(&section, "cipher_bits", facts.bits);
	add_assoc_string(&section, "cipher_version", facts.minor == 2 ? "TLSv1.2" : "TLSv1.3");
	if (outcome.text_length > 0) {
		add_assoc_stringl(&section, "alpn_protocol", outcome.text, outcome.text_length);
	}
	add_assoc_bool(&section, "session_reused", facts.is_resumed);
	if (facts.is_truncated) {
		add_assoc_bool(&section, "truncated", true);
	}
	ss_settle(&outcome);
	add_assoc_zval(into, "crypto", &section);
}

void ss_crypto_uncover(php_stream *stream, ss_socket *socket)
{
	ss_outcome outcome = {0};

	if (socket->tls != SS_TLS_ON || stream->writepos > stream->readpos) {
		return;
	}
	bool pending = ss_has_pending(socket, &outcome);
	ss_settle(&outcome);
	if (pending) {
		php_stream_fill_read_buffer(stream, stream->chunk_size);
	}
}

/* ---- factories ---- */

static int protocol_named(const char *name, size_t length)
{
	for (int index = 0; index < PROTOCOLS; index++) {
		if (strlen(names[index]) == length && memcmp(names[index], name, length) == 0) {
			return index;
		}
	}
	return -1;
}

bool ss_crypto_names(const char *name, size_t length)
{
	return protocol_named(name, length) != -1;
}

static php_stream *factory(const char *protocol, size_t protocol_length, const char *target,
	size_t length, const char *persistent_id, int options, int flags, struct timeval *timeout,
	php_stream_context *context STREAMS_DC)
{
	int index = protocol_named(protocol, protocol_length);
	bool serves = (flags & STREAM_XPORT_SERVER) && (flags & STREAM_XPORT_BIND) && ss_crypto_is_ours()
		&& ss_serves(names[index]);
	/* What connects without waiting has its handshake made by OpenSSL, which waits all the same. */
	bool connects = !(flags & (STREAM_XPORT_SERVER | STREAM_XPORT_CONNECT_ASYNC)) && (flags & STREAM_XPORT_CONNECT)
		&& ss_crypto_has_clients() && ss_connects(names[index]);

	if (!(methods[index] & (SS_TLS_1_2 | SS_TLS_1_3)) || (!serves && !connects)) {
		return stock[index](protocol, protocol_length, target, length, persistent_id, options, flags, timeout,
			context STREAMS_REL_CC);
	}
	php_stream *stream = ss_make_stream(SS_TCP, target, connects ? length : 0, persistent_id, timeout STREAMS_REL_CC);
	if (stream != NULL) {
		ss_socket *socket = stream->abstract;
		socket->tls = connects ? SS_TLS_DUE : SS_TLS_LISTENER;
		socket->protocol = (uint8_t) index;
	}
	return stream;
}

bool ss_crypto_begin(void)
{
	HashTable *registered = php_stream_xport_get_hash();
	bool any = false;

	for (int index = 0; index < PROTOCOLS; index++) {
		stock[index] = zend_hash_str_find_ptr(registered, names[index], strlen(names[index]));
		if (stock[index] != NULL) {
			php_stream_xport_register(names[index], factory);
			any = true;
		}
	}
	return any;
}

void ss_crypto_end(void)
{
	for (int index = 0; index < PROTOCOLS; index++) {
		if (stock[index] != NULL) {
			php_stream_xport_register(names[index], stock[index]);
		}
	}
}
