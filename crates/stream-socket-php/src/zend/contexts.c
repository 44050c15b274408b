/* What a stream's context says, and whose it is. In stock PHP a stream that was opened without one
 * writes its options into the default context, and all accepted streams write into their listener's.
 * Here a stream of ours that is written to gets a copy first: what others read stays theirs. */
#include "shim.h"

#include "ext/standard/file.h"

static const char *const writers[] = {
	"stream_context_set_option", "stream_context_set_options", "stream_context_set_params",
};
#define WRITERS (sizeof(writers) / sizeof(writers[0]))

static zif_handler stock[WRITERS];

zval *ss_context_option(php_stream *stream, const char *section, const char *name)
{
	php_stream_context *context = PHP_STREAM_CONTEXT(stream);
	zval *value = context ? php_stream_context_get_option(context, section, name) : NULL;

	if (value == NULL) {
		return NULL;
	}
	ZVAL_DEREF(value);
	return Z_TYPE_P(value) == IS_NULL ? NULL : value;
}

zend_long ss_context_long(zval *value)
{
	return Z_TYPE_P(value) == IS_OBJECT ? 1 : zval_get_long(value);
}

double ss_context_double(zval *value)
{
	return Z_TYPE_P(value) == IS_OBJECT ? 1.0 : zval_get_double(value);
}

/* Whether the context came to the stream without anybody having asked for it. */
static bool is_borrowed(const php_stream *stream)
{
	const ss_socket *socket = stream->abstract;

	return socket->accepted
		|| (FG(default_context) != NULL && stream->ctx == FG(default_context)->res);
}

void ss_context_own(php_stream *stream)
{
	if (stream->ctx == NULL || !is_borrowed(stream)) {
		return;
	}
	php_stream_context *shared = PHP_STREAM_CONTEXT(stream);
	php_stream_context *own = php_stream_context_alloc();

	zval_ptr_dtor(&own->options);
	ZVAL_COPY(&own->options, &shared->options);
	SEPARATE_ARRAY(&own->options);
	zend_list_delete(stream->ctx);
	stream->ctx = own->res;
	((ss_socket *) stream->abstract)->accepted = false;
}

static void before_writing(zend_execute_data *execute_data)
{
	php_stream *stream;
	zval *argument;

	if (ZEND_NUM_ARGS() < 1) {
		return;
	}
	argument = ZEND_CALL_ARG(execute_data, 1);
	ZVAL_DEREF(argument);
	if (Z_TYPE_P(argument) != IS_RESOURCE) {
		return;
	}
	stream = zend_fetch_resource2_ex(argument, NULL, php_file_le_stream(), php_file_le_pstream());
	if (stream != NULL && ss_socket_of(stream) != NULL) {
		ss_context_own(stream);
	}
}

#define WRITER(name, index) \
	static ZEND_NAMED_FUNCTION(name) \
	{ \
		before_writing(execute_data); \
		stock[index](INTERNAL_FUNCTION_PARAM_PASSTHRU); \
	}

WRITER(set_option, 0)
WRITER(set_options, 1)
WRITER(set_params, 2)

static const zif_handler ours[WRITERS] = {set_option, set_options, set_params};

void ss_contexts_begin(void)
{
	for (size_t index = 0; index < WRITERS; index++) {
		stock[index] = ss_take_over(writers[index], ours[index]);
	}
}

void ss_contexts_end(void)
{
	for (size_t index = 0; index < WRITERS; index++) {
		if (stock[index] != NULL) {
			ss_take_over(writers[index], stock[index]);
		}
	}
}
