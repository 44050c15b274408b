/* The PROXY protocol: the section `proxy` of contexts, and that of the meta data. */
#include "crypto.h"
#include "fibers.h"

#include "zend_smart_str.h"

#define ITSELF 0x80

enum { CLIENT, SERVER, PROXY, EXTENSIONS };

/* The networks of the context that is being read. */
ZEND_TLS zend_string *networks;

void ss_proxy_end(void)
{
	if (networks != NULL) {
		zend_string_release(networks);
		networks = NULL;
	}
}

/* What is no text is its type's name, which is refused as a network. */
static void append_network(smart_str *joined, const zval *network)
{
	if (Z_TYPE_P(network) == IS_STRING) {
		smart_str_append(joined, Z_STR_P(network));
	} else {
		smart_str_appends(joined, zend_zval_type_name(network));
	}
}

/* A network, or an array of them. */
static void collect_networks(zval *from)
{
	smart_str joined = {0};

	if (Z_TYPE_P(from) == IS_ARRAY) {
		zval *network;
		ZEND_HASH_FOREACH_VAL(Z_ARRVAL_P(from), network) {
			ZVAL_DEREF(network);
			if (joined.s != NULL) {
				smart_str_appendc(&joined, ',');
			}
			append_network(&joined, network);
		} ZEND_HASH_FOREACH_END();
	} else {
		append_network(&joined, from);
	}
	networks = smart_str_extract(&joined);
}

void ss_proxy_collect(php_stream *stream, ss_options *options)
{
	zval *protocol = ss_context_option(stream, "proxy", "protocol"), *from = ss_context_option(stream, "proxy", "from");
	zval *timeout = ss_context_option(stream, "proxy", "timeout");

	ss_proxy_end();
	if (protocol != NULL) {
		bool is_text = Z_TYPE_P(protocol) == IS_STRING;
		options->proxy_protocol = is_text ? Z_STRVAL_P(protocol) : "";
		options->proxy_protocol_length = is_text ? Z_STRLEN_P(protocol) : 0;
	}
	if (from != NULL) {
		collect_networks(from);
		options->proxy_from = ZSTR_VAL(networks);
		options->proxy_from_length = ZSTR_LEN(networks);
	}
	options->proxy_timeout = ss_milliseconds(timeout);
}

bool ss_shakes_hands(const ss_socket *socket)
{
	return socket->tls == SS_TLS_LISTENER || (socket->kind == SS_LISTENER && socket->proxied);
}

static void add_part(const ss_socket *socket, size_t part, const char *name, zval *section)
{
	ss_outcome outcome = {0};

	if (ss_proxy_part(socket, part, &outcome) != -1) {
		add_assoc_stringl(section, name, outcome.text ? outcome.text : "", outcome.text_length);
	}
	ss_settle(&outcome);
}

static void add_extensions(const ss_socket *socket, zval *section)
{
	ss_outcome outcome = {0};
	zval extensions;
	int type;

	array_init(&extensions);
	for (size_t part = EXTENSIONS; (type = ss_proxy_part(socket, part, &outcome)) != -1; part++) {
		zval *known = zend_hash_index_find(Z_ARRVAL(extensions), type);
		if (known == NULL) {
			add_index_stringl(&extensions, type, outcome.text ? outcome.text : "", outcome.text_length);
		}
		ss_forget(&outcome);
		outcome = (ss_outcome) {0};
	}
	ss_settle(&outcome);
	add_assoc_zval(section, "extensions", &extensions);
}

void ss_proxy_tell(const ss_socket *socket, zval *into)
{
	ss_outcome outcome = {0};
	zval section;

	if (!socket->proxied || (socket->kind != SS_STREAM && socket->kind != SS_PEER)) {
		return;
	}
	uint8_t version = ss_proxy_version(socket, &outcome);
	ss_settle(&outcome);
	array_init(&section);
	add_assoc_long(&section, "version", version & ~ITSELF);
	add_assoc_bool(&section, "local", version & ITSELF);
	add_part(socket, CLIENT, "client", &section);
	add_part(socket, SERVER, "server", &section);
	add_part(socket, PROXY, "proxy", &section);
	add_extensions(socket, &section);
	add_assoc_zval(into, "proxy", &section);
}
