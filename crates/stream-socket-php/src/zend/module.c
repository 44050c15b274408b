/* The module: its settings, the functions that it takes over, and what begins and ends with it. */
#include "module.h"
#include "crypto.h"
#include "functions.h"
#include "parked.h"

#include "ext/standard/info.h"
#include "php_ini.h"

ZEND_DECLARE_MODULE_GLOBALS(stream_socket)

#if defined(ZTS) && defined(COMPILE_DL_STREAM_SOCKET)
ZEND_TSRMLS_CACHE_DEFINE()
#endif

static zif_handler stock_server;
static zif_handler stock_get_name;
static zif_handler stock_select;

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
	if (ss_socket_of(stream) == NULL) {
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
	REGISTER_INI_ENTRIES();
	ss_inherited_note();
	ss_transports_check();
	if (ss_crypto_begin()) {
		/* Crypto can be switched on later, and scripts look for that in the label. */
		ss_operations_label("tcp_socket/ssl");
	}
	ss_options_begin();
	ss_transports_begin();
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
	ss_transports_end();
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
		ss_closed(SSG(unowned));
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

static PHP_MINFO_FUNCTION(stream_socket)
{
	ss_counters counters;

	ss_count(&counters);
	php_info_print_table_start();
	php_info_print_table_row(2, "stream_socket", "enabled");
	php_info_print_table_row(2, "Version", STREAM_SOCKET_VERSION);
	php_info_print_table_row(2, "Built for PHP", PHP_VERSION);
	ss_transports_tell("Transports of servers", STREAM_XPORT_BIND | STREAM_XPORT_SERVER);
	ss_transports_tell("Transports of clients", STREAM_XPORT_CONNECT | STREAM_XPORT_CLIENT);
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
