/* The `ssl` section of a context, as far as a server of ours goes by it. */
#include "crypto.h"

#include "ext/standard/file.h"

/* Options whose meaning only OpenSSL knows, or whose work only it does. */
static const char *const left_to_openssl[] = {
	"allow_self_signed", "cafile", "capath", "capture_peer_cert",
	"capture_peer_cert_chain", "dh_param", "no_ticket", "peer_fingerprint",
	"reneg_limit", "reneg_limit_callback", "reneg_window", "rsa_key_size", "security_level",
	"verify_peer", "verify_peer_name", "psk_server_cb", "session_id_context", "session_cache",
	"session_get_cb", "session_new_cb", "num_tickets", "max_early_data",
};

zval *ss_crypto_option(php_stream *stream, const char *name)
{
	php_stream_context *context = PHP_STREAM_CONTEXT(stream);
	zval *value = context ? php_stream_context_get_option(context, "ssl", name) : NULL;

	if (value == NULL) {
		return NULL;
	}
	ZVAL_DEREF(value);
	return Z_TYPE_P(value) == IS_NULL ? NULL : value;
}

/* Whether an option that is there asks for nothing. */
static bool is_off(const char *name, zval *value)
{
	static const char *const truths[] = {
		"allow_self_signed", "capture_peer_cert", "capture_peer_cert_chain", "no_ticket", "verify_peer",
		"verify_peer_name",
	};

	for (size_t index = 0; index < sizeof(truths) / sizeof(truths[0]); index++) {
		if (strcmp(name, truths[index]) == 0) {
			return !zend_is_true(value);
		}
	}
	return false;
}

static void look_for_obstacles(php_stream *stream, ss_reading *reading)
{
	for (size_t index = 0; index < sizeof(left_to_openssl) / sizeof(left_to_openssl[0]); index++) {
		const char *name = left_to_openssl[index];
		zval *value = ss_crypto_option(stream, name);
		if (value != NULL && !is_off(name, value)) {
			reading->obstacle = name;
		}
	}
}

/* A file that PHP may read; the path of it in `path`. */
static bool file(php_stream *stream, const char *name, char *path, ss_reading *reading)
{
	zval *value = ss_crypto_option(stream, name);

	if (value == NULL) {
		return false;
	}
	if (Z_TYPE_P(value) != IS_STRING || strlen(Z_STRVAL_P(value)) != Z_STRLEN_P(value)
		|| expand_filepath(Z_STRVAL_P(value), path) == NULL || php_check_open_basedir_ex(path, 0) != 0) {
		reading->obstacle = name;
	}
	return true;
}

/* The versions between the ends of a mask, gaps in it filled. To ask for all is to ask for those that
 * are safe, as OpenSSL's own defaults do. */
static void read_versions(php_stream *stream, zend_long method, ss_reading *reading)
{
	zval *least = ss_crypto_option(stream, "min_proto_version"), *most = ss_crypto_option(stream, "max_proto_version");
	zend_long versions = method & SS_ANY_SERVER;
	bool is_all = (versions & SS_TLS_SERVER) == SS_TLS_SERVER;
	zend_long oldest = is_all ? SS_TLS_1_2 : versions & -versions;
	zend_long newest = versions & SS_TLS_1_3 ? SS_TLS_1_3 : versions & SS_TLS_1_2;

	oldest = least != NULL ? zval_get_long(least) : oldest;
	newest = most != NULL ? zval_get_long(most) : newest;
	if (oldest < SS_TLS_1_2 || newest < oldest || newest > SS_TLS_1_3) {
		reading->obstacle = "crypto_method";
		return;
	}
	reading->options.oldest = oldest == SS_TLS_1_2 ? 2 : 3;
	reading->options.newest = newest == SS_TLS_1_2 ? 2 : 3;
}

/* A text that Rust understands: absent, or not empty. */
static void text(php_stream *stream, const char *name, const char **into, size_t *length, ss_reading *reading)
{
	zval *value = ss_crypto_option(stream, name);

	if (value == NULL) {
		return;
	}
	if (Z_TYPE_P(value) != IS_STRING || Z_STRLEN_P(value) == 0) {
		reading->obstacle = name;
		return;
	}
	*into = Z_STRVAL_P(value);
	*length = Z_STRLEN_P(value);
}

/* The absolute path of a file that PHP may read, in its memory; NULL where there is none. */
static char *path_of(zval *value)
{
	ZVAL_DEREF(value);
	if (Z_TYPE_P(value) != IS_STRING || strlen(Z_STRVAL_P(value)) != Z_STRLEN_P(value)) {
		return NULL;
	}
	char *path = expand_filepath(Z_STRVAL_P(value), NULL);
	if (path != NULL && php_check_open_basedir_ex(path, 0) != 0) {
		efree(path);
		return NULL;
	}
	return path;
}

/* One entry of SNI_server_certs: a file, or an array that names two. */
static bool read_identity(zend_string *name, zval *value, ss_tls_identity *identity)
{
	zval *certificate = value, *key = NULL;

	ZVAL_DEREF(value);
	if (Z_TYPE_P(value) == IS_ARRAY) {
		certificate = zend_hash_str_find(Z_ARRVAL_P(value), ZEND_STRL("local_cert"));
		key = zend_hash_str_find(Z_ARRVAL_P(value), ZEND_STRL("local_pk"));
		if (certificate == NULL || key == NULL) {
			return false;
		}
	}
	identity->name = ZSTR_VAL(name);
	identity->name_length = ZSTR_LEN(name);
	identity->certificate = path_of(certificate);
	identity->certificate_length = identity->certificate ? strlen(identity->certificate) : 0;
	identity->key = key ? path_of(key) : NULL;
	identity->key_length = identity->key ? strlen(identity->key) : 0;
	return identity->certificate != NULL && (key == NULL || identity->key != NULL);
}

/* What is wrong with them is OpenSSL's to say. */
static void read_identities(php_stream *stream, ss_reading *reading)
{
	zval *enabled = ss_crypto_option(stream, "SNI_enabled"), *value = ss_crypto_option(stream, "SNI_server_certs"), *entry;
	ss_tls_options *options = &reading->options;
	zend_string *name;

	if (value == NULL || (enabled != NULL && !zend_is_true(enabled))) {
		return;
	}
	if (Z_TYPE_P(value) != IS_ARRAY || zend_hash_num_elements(Z_ARRVAL_P(value)) == 0) {
		reading->obstacle = "SNI_server_certs";
		return;
	}
	options->identities = ecalloc(zend_hash_num_elements(Z_ARRVAL_P(value)), sizeof(ss_tls_identity));
	ZEND_HASH_FOREACH_STR_KEY_VAL(Z_ARRVAL_P(value), name, entry) {
		ss_tls_identity *identity = &options->identities[options->identity_count++];
		if (name == NULL || !read_identity(name, entry, identity)) {
			reading->obstacle = "SNI_server_certs";
		}
	} ZEND_HASH_FOREACH_END();
}

/* Gives up what reading has allocated. */
void ss_crypto_forget(ss_reading *reading)
{
	ss_tls_options *options = &reading->options;

	for (size_t index = 0; index < options->identity_count; index++) {
		ss_tls_identity *identity = &options->identities[index];
		if (identity->certificate != NULL) {
			efree((char *) identity->certificate);
		}
		if (identity->key != NULL) {
			efree((char *) identity->key);
		}
	}
	if (options->identities != NULL) {
		efree(options->identities);
	}
	options->identities = NULL;
	options->identity_count = 0;
}

void ss_crypto_read(php_stream *stream, zend_long method, ss_reading *reading)
{
	ss_tls_options *options = &reading->options;
	zval *timeout = ss_crypto_option(stream, "handshake_timeout");

	memset(options, 0, sizeof(*options));
	reading->obstacle = NULL;
	look_for_obstacles(stream, reading);
	read_versions(stream, method, reading);
	reading->has_certificate = file(stream, "local_cert", reading->certificate, reading);
	if (reading->has_certificate) {
		options->certificate = reading->certificate;
		options->certificate_length = strlen(reading->certificate);
	}
	if (file(stream, "local_pk", reading->key, reading)) {
		options->key = reading->key;
		options->key_length = strlen(reading->key);
	}
	text(stream, "alpn_protocols", &options->protocols, &options->protocols_length, reading);
	text(stream, "passphrase", &options->passphrase, &options->passphrase_length, reading);
	text(stream, "ciphers", &options->ciphers, &options->ciphers_length, reading);
	read_identities(stream, reading);
	options->handshake_timeout = -1;
	if (timeout != NULL) {
		double seconds = zval_get_double(timeout);
		options->handshake_timeout = seconds >= 0.0 && seconds < 9e9 ? (int64_t) (seconds * 1e9) : -1;
	}
}
