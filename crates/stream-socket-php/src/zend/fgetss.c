/* fgetss, which PHP had until 8.0: a line of a stream without its tags. */
#include "shim.h"

#include "ext/standard/file.h"

/* The unfinished tags of this request's streams, by the streams' numbers, which are not used
 * again. */
ZEND_TLS HashTable *unfinished;

static void forget_stripper(zval *stripper)
{
	ss_stripper_free(Z_PTR_P(stripper));
}

static ss_stripper *stripper_of(php_stream *stream, bool at_start)
{
	ss_stripper *stripper;

	if (unfinished == NULL) {
		ALLOC_HASHTABLE(unfinished);
		zend_hash_init(unfinished, 8, NULL, forget_stripper, 0);
	}
	stripper = zend_hash_index_find_ptr(unfinished, stream->res->handle);
	if (stripper == NULL) {
		stripper = ss_stripper_new(at_start);
		zend_hash_index_add_new_ptr(unfinished, stream->res->handle, stripper);
	}
	return stripper;
}

ZEND_NAMED_FUNCTION(ss_fgetss)
{
	zval *resource;
	php_stream *stream;
	zend_long length = 0;
	bool unlimited = true;
	zend_string *allowed = NULL;
	ss_outcome outcome = {0};
	size_t came;

	ZEND_PARSE_PARAMETERS_START(1, 3)
		Z_PARAM_RESOURCE(resource)
		Z_PARAM_OPTIONAL
		Z_PARAM_LONG_OR_NULL(length, unlimited)
		Z_PARAM_STR_OR_NULL(allowed)
	ZEND_PARSE_PARAMETERS_END();
	if (!unlimited && length <= 0) {
		zend_argument_value_error(2, "must be greater than 0");
		RETURN_THROWS();
	}
	php_stream_from_zval(stream, resource);
	bool at_start = stream->position == 0;
	char *buffer = unlimited ? NULL : emalloc(length + 1);
	char *line = php_stream_get_line(stream, buffer, unlimited ? 0 : length, &came);
	if (line == NULL) {
		if (buffer != NULL) {
			efree(buffer);
		}
		RETURN_FALSE;
	}
	zend_string *lower = allowed ? zend_string_tolower(allowed) : NULL;
	bool idle = ss_strip(stripper_of(stream, at_start), line, came, lower ? ZSTR_VAL(lower) : NULL,
		lower ? ZSTR_LEN(lower) : 0, &outcome);
	if (idle) {
		zend_hash_index_del(unfinished, stream->res->handle);
	}
	efree(line);
	if (lower != NULL) {
		zend_string_release(lower);
	}
	RETVAL_STRINGL(outcome.text ? outcome.text : "", outcome.text_length);
	ss_settle(&outcome);
}

void ss_fgetss_forget(const php_stream *stream)
{
	if (unfinished != NULL && stream->res != NULL) {
		zend_hash_index_del(unfinished, stream->res->handle);
	}
}

void ss_fgetss_end(void)
{
	if (unfinished != NULL) {
		zend_hash_destroy(unfinished);
		FREE_HASHTABLE(unfinished);
		unfinished = NULL;
	}
}
