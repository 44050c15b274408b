/* Which transports are ours, as the settings have it, and the factories that PHP makes streams by. */
#include "module.h"
#include "crypto.h"

#include "ext/standard/file.h"
#include "ext/standard/info.h"
#include "streams/php_streams_int.h"
#include "zend_smart_str.h"

static const char *const names[TRANSPORTS] = {"tcp", "udp", "unix", "udg", "mptcp", "vsock", "fd", "systemd"};

/* The factories that were registered before ours: where work goes that we leave to them. NULL where
 * PHP has no such transport. */
static php_stream_transport_factory stock[TRANSPORTS];

/* Whether its addresses are those of IP. */
bool ss_is_inet(const ss_socket *socket)
{
	return socket->transport == SS_UDP || ss_is_tcp(socket);
}

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
		ss_closed(socket);
		return NULL;
	}
	ss_watch_open(socket);
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

void ss_transports_check(void)
{
	check_list(SSG(transports) ? SSG(transports) : "");
	check_tls(SSG(tls) ? SSG(tls) : "");
}

void ss_transports_begin(void)
{
	HashTable *registered = php_stream_xport_get_hash();

	for (int index = 0; index < TRANSPORTS; index++) {
		stock[index] = zend_hash_str_find_ptr(registered, names[index], strlen(names[index]));
		if (stock[index] != NULL || ss_serves(names[index])) {
			php_stream_xport_register(names[index], factory);
		}
	}
}

void ss_transports_end(void)
{
	for (int index = 0; index < TRANSPORTS; index++) {
		if (stock[index] != NULL) {
			php_stream_xport_register(names[index], stock[index]);
		} else {
			php_stream_xport_unregister(names[index]);
		}
	}
}

/* Which of the transports are ours, as the settings have it. */
void ss_transports_tell(const char *row, int flags)
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
