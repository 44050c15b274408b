/* Servers of TLS over what is no address of IP: PHP has no such transports. */
#include "crypto.h"

#define CARRIERS 4

static const struct {
	const char *name;
	int carrier;
} carried[CARRIERS] = {
	{"tls+unix", SS_UNIX}, {"tls+vsock", SS_VSOCK}, {"tls+fd", SS_FD}, {"tls+systemd", SS_SYSTEMD},
};

static bool registered[CARRIERS];

static int carrier_named(const char *name, size_t length)
{
	for (int index = 0; index < CARRIERS; index++) {
		if (strlen(carried[index].name) == length && memcmp(carried[index].name, name, length) == 0) {
			return index;
		}
	}
	return -1;
}

bool ss_tls_over_names(const char *name, size_t length)
{
	return carrier_named(name, length) != -1;
}

static php_stream *factory(const char *protocol, size_t protocol_length, const char *target,
	size_t length, const char *persistent_id, int options, int flags, struct timeval *timeout,
	php_stream_context *context STREAMS_DC)
{
	int index = carrier_named(protocol, protocol_length);

	if (!(flags & STREAM_XPORT_SERVER)) {
		php_error_docref(NULL, E_WARNING, "%s is for servers", carried[index].name);
		return NULL;
	}
	php_stream *stream =
		ss_make_stream(carried[index].carrier, target, 0, persistent_id, timeout STREAMS_REL_CC);
	if (stream != NULL) {
		ss_socket *socket = stream->abstract;
		socket->tls = SS_TLS_LISTENER;
		socket->protocol = SS_PROTOCOL_TLS;
	}
	return stream;
}

void ss_tls_over_begin(void)
{
	for (int index = 0; index < CARRIERS; index++) {
		registered[index] = ss_crypto_is_ours() && ss_serves(carried[index].name);
		if (registered[index]) {
			php_stream_xport_register(carried[index].name, factory);
		}
	}
}

void ss_tls_over_end(void)
{
	for (int index = 0; index < CARRIERS; index++) {
		if (registered[index]) {
			php_stream_xport_unregister(carried[index].name);
		}
	}
}
