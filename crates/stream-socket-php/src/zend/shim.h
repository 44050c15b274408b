/* What C and Rust say to each other. Sizes are asserted on both sides. */
#ifndef STREAM_SOCKET_SHIM_H
#define STREAM_SOCKET_SHIM_H

#include "php.h"
#include "php_network.h"

#include <signal.h>

/* The transports that this extension serves. What an inherited socket is, is known once it is taken. */
enum ss_transport { SS_TCP, SS_UDP, SS_UNIX, SS_UDG, SS_MPTCP, SS_VSOCK, SS_FD, SS_SYSTEMD };

/* An optional number of the context: absent, or what it is. */
typedef struct {
	int64_t value;
	bool given;
	/* It was something else, of which PHP has made a number. */
	bool odd;
} ss_number;

/* What the context's `socket` section says, converted by PHP's rules. Strings are borrowed. */
typedef struct {
	const char *bindto;
	size_t bindto_length;
	const char *unix_owner;
	size_t unix_owner_length;
	const char *unix_group;
	size_t unix_group_length;
	/* Of the section `proxy`; networks stand behind one another with commas. */
	const char *proxy_protocol;
	size_t proxy_protocol_length;
	const char *proxy_from;
	size_t proxy_from_length;
	ss_number backlog;
	ss_number reuse_address;
	ss_number reuse_port;
	ss_number broadcast;
	ss_number v6only;
	ss_number nodelay;
	ss_number keepalive;
	ss_number keepalive_idle;
	ss_number keepalive_interval;
	ss_number keepalive_count;
	ss_number linger;
	ss_number user_timeout;
	ss_number receive_buffer;
	ss_number send_buffer;
	ss_number fast_open;
	ss_number defer_accept;
	ss_number max_connections;
	ss_number max_connections_per_ip;
	ss_number close_when_full;
	ss_number max_peers;
	ss_number peer_idle_timeout;
	ss_number unix_mode;
	ss_number unix_unlink;
	ss_number proxy_timeout;
	ss_number happy_eyeballs;
} ss_options;

/* An address that the resolver found. */
typedef struct {
	uint8_t ip[16];
	uint32_t scope;
	bool v6;
} ss_ip;

/* How an operation ended. `text`, with a NUL behind it, belongs to Rust, until ss_text_free. */
typedef struct {
	int status;
	int number;
	char *text;
	size_t text_length;
} ss_outcome;

enum ss_status { SS_OK, SS_FAILED, SS_PANICKED, SS_TIMED_OUT };

/* host:port, taken apart as PHP does. `host` points into what was given. */
typedef struct {
	const char *host;
	size_t host_length;
	uint16_t port;
} ss_target;

/* What a stream has to tell about itself beside PHP's own meta data. */
typedef struct {
	uint64_t received;
	uint64_t sent;
	int32_t process;
	uint32_t user;
	uint32_t group;
	int last_error;
	bool connected;
	bool has_credentials;
} ss_facts;

/* Counters of the process. */
typedef struct {
	uint64_t bound;
	uint64_t accepted;
	uint64_t connected;
	uint64_t failed;
	uint64_t open;
	uint64_t handshakes_failed;
} ss_counters;

/* What the abstract of a stream is, for Rust to go on from. */
enum ss_kind { SS_EMPTY, SS_LISTENER, SS_DATAGRAMS, SS_STREAM, SS_PEER };

/* The part of a stream's data that C reads. ext/sockets and mysqlnd cast to its first member. */
typedef struct {
	php_netstream_data_t netstream;
	/* enum ss_transport, enum ss_kind */
	uint8_t transport;
	uint8_t kind;
	/* Whether a script has set a timeout: raw receives honour it only then. */
	bool timeout_given;
	/* Whether the last datagram was longer than what was asked for. */
	bool truncated;
	/* Whether its context is the one of its listener. */
	bool accepted;
	/* Whether a Fiber is closing it, and how many are in an operation that parks. */
	bool closing;
	uint16_t waiting;
	/* Whether its descriptor was told to others, who may close it. */
	bool shared;
	/* enum ss_tls, by which name of a transport, and the method with which it is to begin. */
	uint8_t tls;
	uint8_t protocol;
	uint8_t method;
	/* Its number among the streams that stream_select follows; 0: none. */
	uint32_t followed;
	/* Of a listener, whether its connections begin with a header of the PROXY protocol; of a stream,
	 * whether it did. */
	bool proxied;
	/* Whether it counts among the streams that are open (watch.c). */
	bool counted;
	/* How long a Fiber may wait in one write, in nanoseconds; -1: as long as in a read. */
	int64_t write_timeout;
} ss_socket;

ss_socket *ss_new(int transport, const struct timeval *timeout, const struct timeval *connect_timeout, const char *target, size_t length, ss_outcome *outcome);
void ss_free(ss_socket *socket, ss_outcome *outcome);
void ss_text_free(char *text, size_t length);
void ss_parse_inet(const char *target, size_t length, ss_target *parsed, ss_outcome *outcome);
/* Both tell getaddrinfo's code of a name that has no address. With 0 addresses and no code it is PHP's own
 * resolver's to say. */
size_t ss_resolve(const char *host, size_t length, struct timeval *timeout, ss_ip *ips, size_t room, int *code, ss_outcome *outcome);
size_t ss_lookup_end(ss_socket *socket, ss_ip *ips, size_t room, int *code, ss_outcome *outcome);
/* Looks a name up beside; a descriptor that is readable when that is over, or -1 where there is none. */
int ss_lookup_begin(ss_socket *socket, const char *host, size_t length, ss_outcome *outcome);
void ss_bind_inet(ss_socket *socket, const ss_ip *ips, size_t count, uint16_t port, const ss_options *options, ss_outcome *outcome);
void ss_bind_named(ss_socket *socket, const char *name, size_t length, const ss_options *options, ss_outcome *outcome);
void ss_listen(ss_socket *socket, ss_outcome *outcome);
void ss_race_begin(ss_socket *socket, const ss_ip *ips, size_t count, uint16_t port, const struct timeval *timeout, const ss_options *options, struct timeval *pause, ss_outcome *outcome);
void ss_race_on(ss_socket *socket, struct timeval *pause, ss_outcome *outcome);
void ss_connect_inet(ss_socket *socket, const ss_ip *ips, size_t count, uint16_t port, const struct timeval *timeout, bool begin, const ss_options *options, ss_outcome *outcome);
void ss_connect_named(ss_socket *socket, const char *name, size_t length, const struct timeval *timeout, bool begin, const ss_options *options, ss_outcome *outcome);
/* Over tcp ss_name() knows the peer only if it was accepted `named`, or is counted or trusted by its address. */
ss_socket *ss_accept(ss_socket *socket, const struct timeval *timeout, bool named, ss_outcome *outcome);
ssize_t ss_read(ss_socket *socket, char *buffer, size_t length, bool look_once, bool *eof, ss_outcome *outcome);
ssize_t ss_peek(ss_socket *socket, char *buffer, size_t length, ss_outcome *outcome);
ssize_t ss_write(ss_socket *socket, const char *bytes, size_t length, ss_outcome *outcome);
bool ss_is_alive(ss_socket *socket, ss_outcome *outcome);
void ss_shutdown(ss_socket *socket, int how, ss_outcome *outcome);
void ss_name(ss_socket *socket, bool peer, ss_outcome *outcome);
int ss_descriptor(ss_socket *socket, bool for_waiting, ss_outcome *outcome);
bool ss_has_pending(const ss_socket *socket, ss_outcome *outcome);
int ss_release(ss_socket *socket, ss_outcome *outcome);
const char *ss_target_of(const ss_socket *socket, size_t *length, struct timeval *connect_timeout);
void ss_tell(const ss_socket *socket, ss_facts *facts, ss_outcome *outcome);
void ss_count(ss_counters *counters);

typedef struct ss_stripper ss_stripper;

ss_stripper *ss_stripper_new(bool at_start);
void ss_stripper_free(ss_stripper *stripper);
bool ss_strip(ss_stripper *stripper, const char *piece, size_t length, const char *allowed, size_t allowed_length, ss_outcome *outcome);

/* outcome.c */
void ss_forget(ss_outcome *outcome);
/* Tells of a panic, and frees the text. */
void ss_settle_told(ss_outcome *outcome);
/* Ends an operation of which only a panic is told: it is PHP's Error. */
static zend_always_inline void ss_settle(ss_outcome *outcome)
{
	if (UNEXPECTED(outcome->status != SS_OK || outcome->text != NULL)) {
		ss_settle_told(outcome);
	}
}
/* Throws an Error that says what failed, and why. */
void ss_throw_failure(const char *what, ss_outcome *outcome);
/* Ends an operation of the transport API: 0, or -1 with the text that PHP shows. */
int ss_concluded(php_stream_xport_param *param, ss_outcome *outcome);
/* The descriptor of a socket, which from now on is the caller's. */
int ss_released(ss_socket *socket);

/* stream.c */
extern const php_stream_ops *const ss_operations[];
/* The data of a stream of ours, or NULL. */
ss_socket *ss_socket_of(const php_stream *stream);

/* xport.c */
/* A stream around what a listener has accepted. */
php_stream *ss_stream_around(php_stream *listener, ss_socket *client STREAMS_DC);

/* transports.c */
static inline bool ss_is_datagram(const ss_socket *socket)
{
	return socket->transport == SS_UDP || socket->transport == SS_UDG;
}

static inline bool ss_is_tcp(const ss_socket *socket)
{
	return socket->transport == SS_TCP || socket->transport == SS_MPTCP;
}

/* Whether the settings have servers, or clients too, of a transport by us. */
bool ss_serves(const char *transport);
bool ss_connects(const char *transport);
/* The same of TLS: `stream_socket.tls`. */
bool ss_crypto_is_ours(void);
bool ss_crypto_has_clients(void);
php_stream *ss_make_stream(int transport, const char *target, size_t length,
	const char *persistent_id, struct timeval *timeout STREAMS_DC);
php_stream *ss_stock_tcp(const char *target, size_t length, const char *persistent_id,
	struct timeval *timeout, php_stream_context *context STREAMS_DC);

/* module.c */
/* Puts a function of ours in the place of PHP's, and tells that; NULL where PHP has none. */
zif_handler ss_take_over(const char *name, zif_handler ours);
void ss_give_back(const char *name, zif_handler before);

/* addresses.c: those of host:port, looked up within `timeout`, if there is one, of which it leaves what is
 * left. False where there are none, which has been told. */
#define SS_MOST_ADDRESSES 64
bool ss_addresses(ss_socket *socket, php_stream_xport_param *param, struct timeval *timeout, ss_ip *ips,
	size_t *count, uint16_t *port);

/* contexts.c */
void ss_contexts_begin(void);
void ss_contexts_end(void);
/* An option of a stream's context, or NULL: null counts as nothing said. */
zval *ss_context_option(php_stream *stream, const char *section, const char *name);
/* Numbers as PHP converts them, but of an object 1 and no warning: a handler of that could change the
 * context while texts of it are borrowed. */
zend_long ss_context_long(zval *value);
double ss_context_double(zval *value);
/* Milliseconds of an option in seconds, which may be a float as PHP's other timeouts. */
ss_number ss_milliseconds(zval *value);
/* Has a stream of ours a context that nobody else has. */
void ss_context_own(php_stream *stream);

/* select.c */
ZEND_NAMED_FUNCTION(ss_select);

/* watch_set.c: how many forks were between the first process and this one. */
extern volatile sig_atomic_t ss_forks;

/* watch.c */
void ss_watch_begin(void);
void ss_watch_end(void);
/* What streams tell: that they are made, read from, something else now, and closed. */
void ss_watch_open(ss_socket *socket);
void ss_watch_read(const php_stream *stream, ss_socket *socket);
void ss_watch_leave(ss_socket *socket);
void ss_watch_close(ss_socket *socket);

/* proxy.c */
void ss_proxy_collect(php_stream *stream, ss_options *options);
void ss_proxy_tell(const ss_socket *socket, zval *into);
void ss_proxy_end(void);
/* The version of a stream's header and, in the highest bit, whether the proxy spoke for itself; 0:
 * there is none. */
uint8_t ss_proxy_version(const ss_socket *socket, ss_outcome *outcome);
/* Its client, the address the client wrote to, the proxy, and then its extensions, of which the type
 * is told; -1: there is none. */
int ss_proxy_part(const ss_socket *socket, size_t part, ss_outcome *outcome);
/* Whether a listener has first to receive something of what comes before it can be accepted. */
bool ss_shakes_hands(const ss_socket *socket);

/* fgetss.c */
ZEND_NAMED_FUNCTION(ss_fgetss);
/* Of a stream that is closed. */
void ss_fgetss_forget(const php_stream *stream);
void ss_fgetss_end(void);

_Static_assert(sizeof(php_netstream_data_t) == 40, "NetStream in head.rs mirrors it");
_Static_assert(sizeof(ss_number) == 16, "ss_number");
_Static_assert(sizeof(ss_ip) == 24, "ss_ip");
_Static_assert(sizeof(ss_outcome) == 24, "ss_outcome");

_Static_assert(sizeof(ss_socket) == 72, "Head in head.rs mirrors it");

zend_module_entry *ss_module(void);

#endif
