/* Runs a script in several threads at once, each with requests of its own, as servers with threads
 * do: `threads SCRIPT THREADS REQUESTS`. What must exit 0 is each of them. The script finds the number
 * of threads in $THREADS. */
#include <sapi/embed/php_embed.h>

#include <pthread.h>

static const char *script;
static int requests;

static int request(void)
{
	zend_file_handle file;
	int status = 255;

	if (php_request_startup() == FAILURE) {
		return status;
	}
	SG(headers_sent) = 1;
	SG(request_info).no_headers = 1;
	zend_stream_init_filename(&file, script);
	zend_first_try {
		php_execute_script(&file);
		status = EG(exit_status);
	} zend_end_try();
	zend_destroy_file_handle(&file);
	php_request_shutdown(NULL);
	return status;
}

static void *serve(void *unused)
{
	intptr_t failed = 0;

	ts_resource(0);
	for (int count = 0; count < requests; count++) {
		failed += request() != 0;
	}
	ts_free_thread();
	return (void *) failed;
}

int main(int count, char **words)
{
	enum { MOST = 64 };
	pthread_t threads[MOST];
	intptr_t failed = 0;
	int wanted = count == 4 ? atoi(words[2]) : 0;

	if (wanted < 1 || wanted > MOST || php_embed_init(1, words) == FAILURE) {
		return 2;
	}
	setenv("THREADS", words[2], 1);
	script = words[1];
	requests = atoi(words[3]);
	for (int index = 0; index < wanted; index++) {
		if (pthread_create(&threads[index], NULL, serve, NULL) != 0) {
			return 2;
		}
	}
	for (int index = 0; index < wanted; index++) {
		void *result;
		pthread_join(threads[index], &result);
		failed += (intptr_t) result;
	}
	php_embed_shutdown();
	printf("%d requests, %d failed\n", wanted * requests, (int) failed);
	return failed != 0;
}
