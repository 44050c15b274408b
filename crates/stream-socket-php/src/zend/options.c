/* The section `socket` of a context, as the library is told it. */
#include "module.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/* What every accept asks for: hashed once, and interned as what a script writes is. */
static zend_string *section_name;
static zend_string *nodelay_name;

void ss_options_begin(void)
{
	section_name = zend_string_init_interned(ZEND_STRL("socket"), true);
	nodelay_name = zend_string_init_interned(ZEND_STRL("tcp_nodelay"), true);
}

/* The digits of options that are being read. */
ZEND_TLS char owner[MAX_LENGTH_OF_LONG];
ZEND_TLS char group[MAX_LENGTH_OF_LONG];

/* Whether a value is a whole number: where PHP makes one of it, "0660" is 660, and much else 0. */
static bool is_whole(const zval *value)
{
	zend_long whole;

	switch (Z_TYPE_P(value)) {
		case IS_LONG:
		case IS_TRUE:
		case IS_FALSE:
			return true;
		case IS_DOUBLE:
			return (double) zend_dval_to_lval(Z_DVAL_P(value)) == Z_DVAL_P(value);
		case IS_STRING:
			return is_numeric_string(Z_STRVAL_P(value), Z_STRLEN_P(value), &whole, NULL, false) == IS_LONG;
		default:
			return false;
	}
}

static ss_number integer(php_stream *stream, const char *name)
{
	zval *value = ss_context_option(stream, "socket", name);
	ss_number number = {0};

	if (value != NULL) {
		number.value = ss_context_long(value);
		number.given = true;
		number.odd = !is_whole(value);
	}
	return number;
}

/* A mode, which text would say in octal. */
static ss_number mode(php_stream *stream, const char *name)
{
	zval *value = ss_context_option(stream, "socket", name);
	ss_number number = integer(stream, name);

	number.odd |= value != NULL && Z_TYPE_P(value) != IS_LONG;
	return number;
}

static ss_number truth(php_stream *stream, const char *name)
{
	zval *value = ss_context_option(stream, "socket", name);
	ss_number number = {0};

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

ss_number ss_milliseconds(zval *value)
{
	ss_number number = {0};

	if (value != NULL) {
		bool is_text = Z_TYPE_P(value) == IS_STRING;
		double seconds = ss_context_double(value);
		number.value = seconds >= 9e12 ? INT64_MAX : seconds >= 0.0 ? (int64_t) (seconds * 1000.0) : -1;
		number.given = true;
		number.odd = Z_TYPE_P(value) > IS_STRING || zend_isnan(seconds)
			|| (is_text && !is_numeric_string(Z_STRVAL_P(value), Z_STRLEN_P(value), NULL, NULL, false));
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

/* A name or a number, whose digits stand in a buffer. What is neither is a name that nobody has. */
static void name_or_number(php_stream *stream, const char *name, char digits[MAX_LENGTH_OF_LONG],
	const char **text, size_t *length)
{
	zval *value = ss_context_option(stream, "socket", name);

	string(stream, name, text, length);
	if (value != NULL && *text == NULL) {
		bool is_number = Z_TYPE_P(value) == IS_LONG;
		*length = is_number ? snprintf(digits, MAX_LENGTH_OF_LONG, ZEND_LONG_FMT, Z_LVAL_P(value)) : 0;
		*text = digits;
	}
}

void ss_options_collect(php_stream *stream, ss_options *options, bool server)
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
	options->peer_idle_timeout = ss_milliseconds(ss_context_option(stream, "socket", "peer_idle_timeout"));
	options->unix_mode = mode(stream, "unix_mode");
	options->unix_unlink = truth(stream, "unix_unlink");
	name_or_number(stream, "unix_owner", owner, &options->unix_owner, &options->unix_owner_length);
	name_or_number(stream, "unix_group", group, &options->unix_group, &options->unix_group_length);
	ss_proxy_collect(stream, options);
}

static bool wants_nodelay(const php_stream *stream)
{
	php_stream_context *context = PHP_STREAM_CONTEXT(stream);
	zval *section = context ? zend_hash_find_known_hash(Z_ARRVAL(context->options), section_name) : NULL;
	zval *value = section ? zend_hash_find_known_hash(Z_ARRVAL_P(section), nodelay_name) : NULL;

	return value != NULL && zend_is_true(value);
}

/* What a listener's context has for a connection. */
void ss_options_give(php_stream *stream, const ss_socket *client)
{
	if (ss_is_tcp(client) && wants_nodelay(stream)) {
		int on = 1;
		setsockopt(client->netstream.socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	}
}
