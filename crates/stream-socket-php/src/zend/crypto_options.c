/* The `ssl` section of a context, as far as a server or client of ours goes by it. */
#include "crypto.h"

#include "ext/standard/file.h"

/* Options whose meaning only OpenSSL knows, or whose work only it does. */
static const char *const left_to_openssl[] = {
	"dh_param", "rsa_key_size", "reneg_limit_callback", "psk_server_cb", "psk_client_cb", "session_data",
	"session_get_cb", "session_new_cb", "session_remove_cb", "early_data", "max_early_data",
};

zval *ss_crypto_option(php_stream *stream, const char *name)
{
	return ss_context_option(stream, "ssl", name);
}

/* Whether an option is there and true. */
static bool is_on(php_stream *stream, const char *name)
{
	zval *value = ss_crypto_option(stream, name);

	return value != NULL && zend_is_true(value);
}

static void look_for_obstacles(php_stream *stream, ss_reading *reading)
{
	for (size_t index = 0; index < sizeof(left_to_openssl) / sizeof(left_to_openssl[0]); index++) {
		const char *name = left_to_openssl[index];
		if (ss_crypto_option(stream, name) != NULL) {
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
	/* A client that takes older ones as well gets none of those from Debian's OpenSSL. */
	bool is_lenient = method & SS_CLIENT;
	zval *least = ss_crypto_option(stream, "min_proto_version"), *most = ss_crypto_option(stream, "max_proto_version");
	zend_long versions = method & SS_ANY_SERVER;
	bool has_older = versions & (SS_TLS_1_2 - 1);
	bool is_all = (versions & SS_TLS_SERVER) == SS_TLS_SERVER
		|| (is_lenient && has_older && versions >= SS_TLS_1_2);
	zend_long oldest = is_all ? SS_TLS_1_2 : versions & -versions;
	zend_long newest = versions & SS_TLS_1_3 ? SS_TLS_1_3 : versions & SS_TLS_1_2;

	reading->takes_older = is_all && least == NULL;
	oldest = least != NULL ? ss_context_long(least) : oldest;
	newest = most != NULL ? ss_context_long(most) : newest;
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

/* ---- the peer's certificate ---- */

/* The authorities of the context, else those of the settings of ext/openssl; false where there are none. A
 * file and a folder at once only OpenSSL can take. */
static bool read_authorities(php_stream *stream, ss_reading *reading)
{
	bool has_file = ss_crypto_option(stream, "cafile") != NULL, has_folder = ss_crypto_option(stream, "capath") != NULL;
	const char *set = NULL;

	if (!has_file) {
		set = zend_ini_string("openssl.cafile", strlen("openssl.cafile"), 0);
		has_file = set != NULL && *set != '\0';
	}
	if (!has_folder) {
		const char *folder = zend_ini_string("openssl.capath", strlen("openssl.capath"), 0);
		has_folder = folder != NULL && *folder != '\0';
		set = has_folder ? folder : set;
	}
	if (has_file && has_folder) {
		reading->obstacle = "capath";
		return false;
	}
	const char *name = has_file ? "cafile" : "capath", *authorities = set;
	if (file(stream, name, reading->authorities, reading)) {
		authorities = reading->authorities;
	} else if (!has_file && !has_folder) {
		return false;
	}
	reading->options.authorities = authorities;
	reading->options.authorities_length = strlen(authorities);
	return true;
}

static void add_fingerprint(ss_tls_options *options, const char *algorithm, zval *digest)
{
	ss_tls_fingerprint *fingerprint = &options->fingerprints[options->fingerprint_count++];

	fingerprint->algorithm = algorithm;
	fingerprint->algorithm_length = strlen(algorithm);
	fingerprint->digest = Z_STRVAL_P(digest);
	fingerprint->digest_length = Z_STRLEN_P(digest);
}

/* A digest of MD5 or SHA-1, told apart by its length, or an array of digests by their algorithms; of
 * anything else OpenSSL complains. */
static bool read_fingerprints(php_stream *stream, ss_reading *reading)
{
	zval *value = ss_crypto_option(stream, "peer_fingerprint"), *digest;
	php_stream_context *context = PHP_STREAM_CONTEXT(stream);
	ss_tls_options *options = &reading->options;
	zend_string *algorithm;

	if (value == NULL) {
		bool is_given = context != NULL && php_stream_context_get_option(context, "ssl", "peer_fingerprint") != NULL;
		reading->obstacle = is_given ? "peer_fingerprint" : reading->obstacle;
		return is_given;
	}
	if (Z_TYPE_P(value) == IS_STRING && (Z_STRLEN_P(value) == 32 || Z_STRLEN_P(value) == 40)) {
		options->fingerprints = ecalloc(1, sizeof(ss_tls_fingerprint));
		add_fingerprint(options, Z_STRLEN_P(value) == 32 ? "md5" : "sha1", value);
		return true;
	}
	if (Z_TYPE_P(value) != IS_ARRAY || zend_hash_num_elements(Z_ARRVAL_P(value)) == 0) {
		reading->obstacle = "peer_fingerprint";
		return true;
	}
	options->fingerprints = ecalloc(zend_hash_num_elements(Z_ARRVAL_P(value)), sizeof(ss_tls_fingerprint));
	ZEND_HASH_FOREACH_STR_KEY_VAL(Z_ARRVAL_P(value), algorithm, digest) {
		ZVAL_DEREF(digest);
		if (algorithm == NULL || Z_TYPE_P(digest) != IS_STRING) {
			reading->obstacle = "peer_fingerprint";
			return true;
		}
		add_fingerprint(options, ZSTR_VAL(algorithm), digest);
	} ZEND_HASH_FOREACH_END();
	return true;
}

/* What a server asks of clients. It asks them for a certificate where the context gives it something to
 * judge that by; one that is shown has to be good, and where it is to be verified it has to be shown. */
static void read_client_verification(php_stream *stream, ss_reading *reading)
{
	ss_tls_options *options = &reading->options;
	zval *verify = ss_crypto_option(stream, "verify_peer"), *depth = ss_crypto_option(stream, "verify_depth");
	bool is_refused = verify != NULL && !zend_is_true(verify);
	bool has_fingerprints = read_fingerprints(stream, reading);
	bool has_name = is_on(stream, "verify_peer_name");

	options->accepts_self_signed = is_on(stream, "allow_self_signed");
	options->must_show = has_fingerprints || has_name || is_on(stream, "verify_peer");
	options->depth = depth != NULL ? ss_context_long(depth) : -1;
	options->is_asked = !is_refused && (options->must_show || options->accepts_self_signed
		|| ss_crypto_option(stream, "cafile") != NULL || ss_crypto_option(stream, "capath") != NULL);
	if (!options->is_asked) {
		/* Who is not asked shows nothing, and so is refused by OpenSSL, whatever is wanted of him. */
		reading->obstacle = options->must_show ? "verify_peer" : reading->obstacle;
		return;
	}
	bool has_authorities = read_authorities(stream, reading);
	if (!has_authorities && !options->accepts_self_signed) {
		/* Nobody would be let in; OpenSSL knows what to say. */
		reading->obstacle = "verify_peer";
	}
	if (has_name) {
		text(stream, "peer_name", &options->peer_name, &options->peer_name_length, reading);
		reading->obstacle = options->peer_name == NULL ? "verify_peer_name" : reading->obstacle;
	}
}

/* The host that a stream was made for, without what makes an address a URL's. */
static void read_host(php_stream *stream, ss_tls_options *options)
{
	struct timeval connect_timeout;
	size_t length;
	const char *target = ss_target_of(stream->abstract, &length, &connect_timeout);
	ss_outcome outcome = {0};
	ss_target parsed = {0};

	ss_parse_inet(target, length, &parsed, &outcome);
	if (outcome.status == SS_OK && parsed.host_length > 0) {
		options->host = parsed.host;
		options->host_length = parsed.host_length;
	}
	ss_settle(&outcome);
}

/* Whether an option is true, where it is so unless the context says otherwise. */
static bool is_left_on(php_stream *stream, const char *name)
{
	return ss_crypto_option(stream, name) == NULL || is_on(stream, name);
}

/* What a client asks of the server. */
static void read_server_verification(php_stream *stream, ss_reading *reading)
{
	ss_tls_options *options = &reading->options;
	zval *depth = ss_crypto_option(stream, "verify_depth");

	text(stream, "peer_name", &options->host, &options->host_length, reading);
	if (options->host == NULL) {
		read_host(stream, options);
	}
	options->tells_host = is_left_on(stream, "SNI_enabled");
	if (is_left_on(stream, "verify_peer_name")) {
		options->peer_name = options->host;
		options->peer_name_length = options->host_length;
	}
	read_fingerprints(stream, reading);
	options->depth = depth != NULL ? ss_context_long(depth) : -1;
	options->accepts_self_signed = is_on(stream, "allow_self_signed");
	options->is_asked = is_left_on(stream, "verify_peer");
	if (options->is_asked) {
		read_authorities(stream, reading);
	}
	if (options->host == NULL) {
		reading->obstacle = "peer_name";
	}
	/* Sessions are resumed of themselves, as far as the library does that. */
	if (is_on(stream, "no_ticket")) {
		reading->obstacle = "no_ticket";
	}
}

/* OpenSSL's level 2, the default of Debian's, is kept here. Lower ones let in weaker certificates and older
 * versions, which only OpenSSL does, and higher ones ask for more. */
static void read_security_level(php_stream *stream, ss_reading *reading)
{
	zval *value = ss_crypto_option(stream, "security_level");
	zend_long level = value != NULL ? ss_context_long(value) : 2;

	bool would_be_weaker = reading->takes_older || reading->options.is_asked || reading->options.is_client;
	if (level < 0 || level > 2 || (level < 2 && would_be_weaker)) {
		reading->obstacle = "security_level";
	}
}

/* PHP 8.6 has the second. */
static void read_tickets(php_stream *stream, ss_reading *reading)
{
	zval *value = ss_crypto_option(stream, "num_tickets");
	zend_long count = value != NULL ? ss_context_long(value) : -1;

	if (value != NULL && (count < 0 || count > 100)) {
		reading->obstacle = "num_tickets";
	}
	reading->options.tickets = is_on(stream, "no_ticket") ? 0 : count;
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
	if (options->fingerprints != NULL) {
		efree(options->fingerprints);
	}
	options->fingerprints = NULL;
	options->fingerprint_count = 0;
}

int64_t ss_crypto_handshake_timeout(php_stream *stream)
{
	zval *timeout = ss_crypto_option(stream, "handshake_timeout");
	double seconds = timeout != NULL ? ss_context_double(timeout) : -1.0;

	return seconds >= 0.0 && seconds < 9e9 ? (int64_t) (seconds * 1e9) : -1;
}

void ss_crypto_examine(ss_reading *reading)
{
	ss_outcome outcome = {0};
	bool may_be_unknown = reading->options.ciphers != NULL || reading->options.fingerprint_count > 0;

	if (may_be_unknown && reading->obstacle == NULL && !ss_tls_knows(&reading->options, &outcome)) {
		reading->obstacle = "ciphers";
	}
	ss_settle(&outcome);
}

void ss_crypto_read(php_stream *stream, zend_long method, ss_reading *reading)
{
	ss_tls_options *options = &reading->options;

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
	options->is_client = method & SS_CLIENT;
	if (options->is_client) {
		read_server_verification(stream, reading);
	} else {
		read_identities(stream, reading);
		read_client_verification(stream, reading);
		read_tickets(stream, reading);
	}
	read_security_level(stream, reading);
	options->handshake_timeout = ss_crypto_handshake_timeout(stream);
}
