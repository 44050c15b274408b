/* The addresses of host:port: taken apart as PHP does, and looked up. */
#include "fibers.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

static size_t copy_addresses(struct sockaddr **found, int count, ss_ip *ips)
{
	size_t kept = 0;

	for (int index = 0; index < count && kept < SS_MOST_ADDRESSES; index++) {
		ss_ip *ip = &ips[kept];
		memset(ip, 0, sizeof(*ip));
		if (found[index]->sa_family == AF_INET) {
			memcpy(ip->ip, &((struct sockaddr_in *) found[index])->sin_addr, 4);
			kept++;
		} else if (found[index]->sa_family == AF_INET6) {
			struct sockaddr_in6 *v6 = (struct sockaddr_in6 *) found[index];
			memcpy(ip->ip, &v6->sin6_addr, 16);
			ip->scope = v6->sin6_scope_id;
			ip->v6 = true;
			kept++;
		}
	}
	return kept;
}

/* PHP's own resolver, which knows no time, for what is no name: an address, however it is written. */
static size_t ask_stock(ss_socket *socket, php_stream_xport_param *param, const char *host, ss_ip *ips)
{
	struct sockaddr **found;
	ss_hold hold;
	ss_hold_begin(&hold, socket);
	int count = php_network_getaddresses(host, ss_is_datagram(socket) ? SOCK_DGRAM : SOCK_STREAM, &found,
		param->want_errortext ? &param->outputs.error_text : NULL);
	ss_hold_end(&hold);

	if (count == 0) {
		return 0;
	}
	size_t kept = copy_addresses(found, count, ips);
	php_network_freeaddresses(found);
	return kept;
}

/* Of a name that has no address, in PHP's words. */
static void complain(ss_socket *socket, php_stream_xport_param *param, const char *host, int code)
{
	zend_string *text = strpprintf(0, "php_network_getaddresses: getaddrinfo for %s failed: %s", host,
		gai_strerror(code));
	ss_hold hold;
	ss_hold_begin(&hold, socket);

	php_error_docref(NULL, E_WARNING, "%s", ZSTR_VAL(text));
	ss_hold_end(&hold);
	if (param->want_errortext) {
		param->outputs.error_text = text;
	} else {
		zend_string_release(text);
	}
}

/* Takes what has passed since then. */
static void shorten(struct timeval *timeout, int64_t since)
{
	if (timeout == NULL || timeout->tv_sec < 0) {
		return;
	}
	struct timeval passed = {.tv_sec = (ss_now() - since) / 1000000000,
		.tv_usec = (ss_now() - since) / 1000 % 1000000};
	if (timercmp(timeout, &passed, >)) {
		timersub(timeout, &passed, timeout);
	} else {
		*timeout = (struct timeval) {0};
	}
}

/* Looks a name up while other tasks go on. One that is to end does not wait for it. */
static size_t look_up_parked(ss_socket *socket, const ss_target *target, struct timeval *timeout, ss_ip *ips,
	int *code, ss_outcome *outcome)
{
	/* Without time PHP looks names up all the same, and connects to what answers at once. */
	bool is_bounded = timeout != NULL && (timeout->tv_sec != 0 || timeout->tv_usec != 0);
	ss_patience patience = ss_patience_of_time(is_bounded ? timeout : NULL);
	int64_t began = ss_now();
	int descriptor = ss_lookup_begin(socket, target->host, target->host_length, outcome);

	if (descriptor == -1) {
		return 0;
	}
	enum ss_waited waited = ss_manner_now() == SS_PARKS ? ss_await_beside(socket, descriptor, &patience) : SS_ENDED;
	if (waited != SS_READY) {
		ss_lookup_end(socket, ips, 0, code, outcome);
		ss_forget(outcome);
		*code = 0;
		*outcome = (ss_outcome) {.status = SS_FAILED, .number = waited == SS_TOO_LATE ? ETIMEDOUT : ECANCELED};
		return 0;
	}
	shorten(timeout, began);
	return ss_lookup_end(socket, ips, SS_MOST_ADDRESSES, code, outcome);
}

bool ss_addresses(ss_socket *socket, php_stream_xport_param *param, struct timeval *timeout, ss_ip *ips,
	size_t *count, uint16_t *port)
{
	ss_outcome outcome = {0};
	ss_target target = {0};
	int code = 0;

	*count = 0;
	ss_parse_inet(param->inputs.name, param->inputs.namelen, &target, &outcome);
	if (ss_concluded(param, &outcome) != 0) {
		return false;
	}
	*port = target.port;
	memset(ips, 0, SS_MOST_ADDRESSES * sizeof(ss_ip));
	if (ss_manner_now() != SS_BLOCKS) {
		*count = look_up_parked(socket, &target, timeout, ips, &code, &outcome);
	} else if (timeout != NULL) {
		*count = ss_resolve(target.host, target.host_length, timeout, ips, SS_MOST_ADDRESSES, &code, &outcome);
	}
	if (ss_concluded(param, &outcome) != 0) {
		return false;
	}
	if (*count > 0) {
		return true;
	}
	char *host = estrndup(target.host, target.host_length);
	if (code != 0) {
		complain(socket, param, host, code);
	} else {
		*count = ask_stock(socket, param, host, ips);
	}
	efree(host);
	return *count > 0;
}
