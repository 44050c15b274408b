/* The options `capture_peer_cert` and `capture_peer_cert_chain`: what the peer has shown, as objects of
 * ext/openssl in the stream's context. */
#include "crypto.h"
#include "fibers.h"

#include "ext/standard/base64.h"
#include "zend_smart_str.h"

#define LINE 64

/* RFC 7468. */
static zend_string *pem(const char *der, size_t length)
{
	zend_string *encoded = php_base64_encode((const unsigned char *) der, length);
	smart_str text = {0};

	smart_str_appends(&text, "-----BEGIN CERTIFICATE-----\n");
	for (size_t at = 0; at < ZSTR_LEN(encoded); at += LINE) {
		smart_str_appendl(&text, ZSTR_VAL(encoded) + at, MIN(LINE, ZSTR_LEN(encoded) - at));
		smart_str_appendc(&text, '\n');
	}
	smart_str_appends(&text, "-----END CERTIFICATE-----\n");
	zend_string_release(encoded);
	return smart_str_extract(&text);
}

/* One of those that were shown; false where there are no more. */
static bool certificate(const ss_socket *socket, size_t index, zval *into)
{
	zend_function *reader = zend_hash_str_find_ptr(EG(function_table), ZEND_STRL("openssl_x509_read"));
	ss_outcome outcome = {0};
	zval text;

	if (reader == NULL || EG(exception) != NULL || !ss_tls_certificate(socket, index, &outcome)) {
		ss_settle(&outcome);
		return false;
	}
	ZVAL_STR(&text, pem(outcome.text, outcome.text_length));
	ss_forget(&outcome);
	ZVAL_UNDEF(into);
	zend_call_known_function(reader, NULL, NULL, into, 1, &text, NULL);
	zval_ptr_dtor(&text);
	if (Z_TYPE_P(into) == IS_OBJECT) {
		return true;
	}
	zval_ptr_dtor(into);
	return false;
}

/* Those after the peer's own, as a server's OpenSSL tells them; a client's begins with it. */
static void chain(const ss_socket *socket, size_t first, zval *into)
{
	zval one;

	ZVAL_NULL(into);
	for (size_t index = first; certificate(socket, index, &one); index++) {
		if (Z_TYPE_P(into) == IS_NULL) {
			array_init(into);
		}
		add_next_index_zval(into, &one);
	}
}

static bool asks(php_stream *stream, const char *name)
{
	zval *value = ss_crypto_option(stream, name);

	return value != NULL && zend_is_true(value);
}

/* An earlier client's is not to be taken for this one's: all that a listener accepts shows in its
 * context. */
static void put(php_stream *stream, const char *name, zval *value)
{
	if (Z_TYPE_P(value) != IS_NULL || ss_crypto_option(stream, name) != NULL) {
		php_stream_context_set_option(PHP_STREAM_CONTEXT(stream), "ssl", name, value);
	}
	zval_ptr_dtor(value);
}

void ss_crypto_capture(php_stream *stream, ss_socket *socket)
{
	zval value;

	if (socket->tls != SS_TLS_ON) {
		return;
	}
	bool wants_own = asks(stream, "capture_peer_cert"), wants_chain = asks(stream, "capture_peer_cert_chain");
	if (!wants_own && !wants_chain) {
		return;
	}
	if (wants_own) {
		if (!certificate(socket, 0, &value)) {
			ZVAL_NULL(&value);
		}
		put(stream, "peer_certificate", &value);
	}
	if (wants_chain) {
		chain(socket, socket->method & SS_CLIENT ? 0 : 1, &value);
		put(stream, "peer_certificate_chain", &value);
	}
	ss_context_own(stream);
}
