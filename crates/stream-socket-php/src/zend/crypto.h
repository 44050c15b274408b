/* TLS: what crypto.c has for the operations of streams, and what it asks of Rust. */
#ifndef STREAM_SOCKET_CRYPTO_H
#define STREAM_SOCKET_CRYPTO_H

#include "shim.h"

/* What TLS is to a stream. */
enum ss_tls { SS_NO_TLS, SS_TLS_LISTENER, SS_TLS_BEGUN, SS_TLS_ON, SS_TLS_DUE };

/* A certificate for one name: SNI. Texts are the context's and, of paths, PHP's memory. */
typedef struct {
	const char *name;
	size_t name_length;
	const char *certificate;
	size_t certificate_length;
	const char *key;
	size_t key_length;
} ss_tls_identity;

/* A digest in hexadecimal, and the name of how it is made. */
typedef struct {
	const char *algorithm;
	size_t algorithm_length;
	const char *digest;
	size_t digest_length;
} ss_tls_fingerprint;

/* What the context's `ssl` section says. Texts are borrowed for the call. */
typedef struct {
	const char *certificate;
	size_t certificate_length;
	const char *key;
	size_t key_length;
	const char *protocols;
	size_t protocols_length;
	const char *passphrase;
	size_t passphrase_length;
	/* A list of OpenSSL's, for TLS 1.2. */
	const char *ciphers;
	size_t ciphers_length;
	ss_tls_identity *identities;
	size_t identity_count;
	/* Who may vouch for the peer: a file or a folder. */
	const char *authorities;
	size_t authorities_length;
	const char *peer_name;
	size_t peer_name_length;
	ss_tls_fingerprint *fingerprints;
	size_t fingerprint_count;
	/* Nanoseconds; negative: the default. */
	int64_t handshake_timeout;
	/* Negative: any. */
	int64_t depth;
	/* Negative: the default. */
	int64_t tickets;
	/* Of TLS 1.2 and 1.3 what follows the dot. */
	uint8_t oldest;
	uint8_t newest;
	/* Whether a client is asked for a certificate, and has to show one; whether a server's is verified. */
	bool is_asked;
	bool must_show;
	bool accepts_self_signed;
	bool is_client;
	/* Of a client, whether the server is told the name that is asked for, and which that is. */
	bool tells_host;
	const char *host;
	size_t host_length;
} ss_tls_options;

/* What a stream has agreed upon with its peer. The name of the cipher is a static. */
typedef struct {
	const char *cipher;
	size_t cipher_length;
	uint16_t bits;
	uint8_t minor;
	bool is_truncated;
	bool is_resumed;
} ss_tls_facts;

/* STREAM_CRYPTO_PROTO_* and the bits of STREAM_CRYPTO_METHOD_*. */
#define SS_TLS_1_2 32
#define SS_TLS_1_3 64
#define SS_ANY_SERVER 126
#define SS_CLIENT 1
#define SS_TLS_SERVER 120

/* What `ssl` options come to, with room for the paths in them. */
typedef struct {
	ss_tls_options options;
	char certificate[MAXPATHLEN];
	char key[MAXPATHLEN];
	char authorities[MAXPATHLEN];
	/* The option because of which OpenSSL is to do it, or NULL. */
	const char *obstacle;
	bool has_certificate;
	/* Whether older versions of TLS would do, if there were any. */
	bool takes_older;
} ss_reading;

/* How many handshakes of a listener came to what. */
typedef struct {
	uint64_t finished;
	uint64_t failed;
	uint64_t timed_out;
	uint64_t evicted;
} ss_handshakes;

/* How far a handshake is: what it waits to do is an enum ss_direction. */
enum ss_shaking { SS_SHAKE_FAILED = -1, SS_SHAKE_READS, SS_SHAKE_WRITES, SS_SHAKE_DONE };

/* As before where files can't be read that these very options name. */
void ss_tls_serve(ss_socket *socket, const ss_tls_options *options, ss_outcome *outcome);
int ss_tls_start(ss_socket *socket, const ss_tls_options *options, bool waits, ss_outcome *outcome);
int ss_tls_shake(ss_socket *socket, bool waits, ss_outcome *outcome);
/* Goes on in plain. */
void ss_tls_stop(ss_socket *socket, bool waits, ss_outcome *outcome);
/* Whether there are these ciphers and kinds of fingerprints. */
bool ss_tls_knows(const ss_tls_options *options, ss_outcome *outcome);
bool ss_tls_has_arrival(const ss_socket *socket, ss_outcome *outcome);
bool ss_tls_tell(const ss_socket *socket, ss_tls_facts *facts, ss_outcome *outcome);
/* One of those that the peer showed, in DER: the outcome's text. */
bool ss_tls_certificate(const ss_socket *socket, size_t index, ss_outcome *outcome);
bool ss_tls_tell_handshakes(const ss_socket *socket, ss_handshakes *handshakes, ss_outcome *outcome);

/* ---- crypto_options.c ---- */

/* One that is there and not null. */
zval *ss_crypto_option(php_stream *stream, const char *name);
/* With a method of either end. What was read is to be forgotten. */
void ss_crypto_read(php_stream *stream, zend_long method, ss_reading *reading);
/* In nanoseconds; negative where the context has none. */
int64_t ss_crypto_handshake_timeout(php_stream *stream);
/* Notes as an obstacle what there is only in OpenSSL. */
void ss_crypto_examine(ss_reading *reading);
void ss_crypto_forget(ss_reading *reading);

/* ---- crypto.c ---- */

/* Registers the factories of TLS; false where PHP has none. */
bool ss_crypto_begin(void);
void ss_crypto_end(void);
/* Whether it is the name of one of them. */
bool ss_crypto_names(const char *name, size_t length);
int ss_crypto_operation(php_stream *stream, ss_socket *socket, int value, void *parameter);
/* Whether a listener serves by certificates and options as they are by now, has become a stream of the
 * transport that was registered before, or neither. */
enum ss_prepared { SS_PREPARED, SS_THEIRS, SS_UNPREPARED };
enum ss_prepared ss_crypto_prepare(php_stream *stream, ss_socket *socket, bool is_new);
/* Before a stream is connected, as the one above. */
bool ss_crypto_may_connect(php_stream *stream, ss_socket *socket);
/* Begins TLS where it is due: as a result of connecting. */
int ss_crypto_connected(php_stream *stream, ss_socket *socket, php_stream_xport_param *param);
/* The `crypto` section of the meta data, or that of a listener's handshakes. */
void ss_crypto_tell(const ss_socket *socket, zval *into);
/* Puts the certificates of the peer into the stream's context, where that asks for them. */
void ss_crypto_capture(php_stream *stream, ss_socket *socket);
/* Decrypted bytes are put into PHP's buffer: whoever waits for the descriptor does not see them. */
void ss_crypto_uncover(php_stream *stream, ss_socket *socket);

/* The place of `tls` among the names of transports. */
#define SS_PROTOCOL_TLS 1

/* ---- tls_over.c ---- */

void ss_tls_over_begin(void);
void ss_tls_over_end(void);
/* Whether it is the name of one of them. */
bool ss_tls_over_names(const char *name, size_t length);

_Static_assert(sizeof(ss_tls_options) == 192, "Options in securing.rs mirrors it");
_Static_assert(sizeof(ss_tls_facts) == 24, "Facts in securing.rs mirrors it");

#endif
