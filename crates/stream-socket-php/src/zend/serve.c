/* stream_socket_serve: accepts, and runs a handler in a task for each connection. */
#include "serve.h"
#include "crypto.h"

#include "ext/standard/file.h"
#include "zend_exceptions.h"

#define DEFAULT_MOST 10000
#define DEFAULT_DRAIN INT64_C(10000000000)

ZEND_TLS ss_server *servers;

/* ---- a connection ---- */

static void link_task(ss_server *server, ss_task *task)
{
	task->previous = NULL;
	task->next = server->tasks;
	if (task->next != NULL) {
		task->next->previous = task;
	}
	server->tasks = task;
	server->live++;
	server->begun++;
	server->counts->accepted++;
	if ((uint64_t) server->live > server->counts->peak) {
		server->counts->peak = server->live;
	}
}

static void unlink_task(ss_server *server, ss_task *task)
{
	if (task->previous != NULL) {
		task->previous->next = task->next;
	} else {
		server->tasks = task->next;
	}
	if (task->next != NULL) {
		task->next->previous = task->previous;
	}
	server->live--;
}

static php_stream *listener_of(const ss_server *server, int index)
{
	zval *listener = &server->listeners[index];

	/* A script may have closed it. */
	return Z_RES_P(listener)->type == php_file_le_stream() ? Z_RES_P(listener)->ptr : NULL;
}

static void drain(ss_server *server);

static bool is_at_limit(const ss_server *server)
{
	return server->limit > 0 && server->begun >= server->limit;
}

/* Runs the handler for a client of the listener `index`. */
static void serve_client(ss_server *server, php_stream *listener, ss_socket *client)
{
	ss_outcome outcome = {0};
	ss_task *task = ss_task_new(server);

	if (server->read >= 0) {
		client->netstream.timeout.tv_sec = server->read / 1000000000;
		client->netstream.timeout.tv_usec = server->read % 1000000000 / 1000;
		client->timeout_given = true;
	}
	php_stream *stream = ss_stream_around(listener, client STREAMS_CC);
	task->arguments = safe_emalloc(2, sizeof(zval), 0);
	task->argument_count = 2;
	php_stream_to_zval(stream, &task->arguments[0]);
	ss_name(client, true, &outcome);
	ZVAL_STRINGL(&task->arguments[1], outcome.text ? outcome.text : "", outcome.text_length);
	ss_forget(&outcome);
	if (task->peer != NULL) {
		zend_string_release(task->peer);
	}
	task->peer = zend_string_copy(Z_STR(task->arguments[1]));
	task->callee.call = server->handler.call;
	task->callee.callee = server->handler.callee;
	link_task(server, task);
	if (is_at_limit(server) && !server->is_draining) {
		drain(server);
	}
	ss_task_begin(task);
}

void ss_server_arrived(ss_server *server, int index)
{
	ss_outcome outcome = {0};
	php_stream *listener = listener_of(server, index);
	ss_socket *socket = listener != NULL ? ss_socket_of(listener) : NULL;

	if (socket == NULL) {
		return;
	}
	ss_socket *client = ss_take_arrived(socket, server->idle, server->write, &outcome);
	if (client != NULL) {
		serve_client(server, listener, client);
	}
	ss_forget(&outcome);
}

/* Accepts one by hand; false when there is nobody. */
static bool accept_one(ss_server *server, php_stream *listener)
{
	static const struct timeval none;
	ss_outcome outcome = {0};
	ss_socket *client = ss_accept(ss_socket_of(listener), &none, true, &outcome);

	if (client == NULL) {
		ss_forget(&outcome);
		return false;
	}
	ss_limit(client, server->idle, server->write);
	serve_client(server, listener, client);
	return true;
}

/* ---- the end of a handler ---- */

static void wake_caller(ss_server *server)
{
	ss_task *caller = server->caller ? ss_task_numbered(server->caller) : NULL;

	if (caller != NULL && server->live == 0 && server->is_draining) {
		ss_loop_wake((uintptr_t) caller);
	}
}

void ss_server_finished(ss_server *server, ss_task *task, bool was_ended)
{
	unlink_task(server, task);
	/* Workers share what they count, and a child of one counts nothing. */
	if (!ss_task_is_child(task)) {
		server->counts->finished++;
		server->counts->ended += was_ended;
	}
	ss_server_add_room((uintptr_t) server, 1);
	wake_caller(server);
}

static void warn_of(zend_object *exception, const char *what, zend_string *peer)
{
	zval rv, *message = zend_read_property_ex(zend_get_exception_base(exception), exception,
		ZSTR_KNOWN(ZEND_STR_MESSAGE), 1, &rv);
	zval rv_file, *file = zend_read_property_ex(zend_get_exception_base(exception), exception,
		ZSTR_KNOWN(ZEND_STR_FILE), 1, &rv_file);
	zval rv_line, *line = zend_read_property_ex(zend_get_exception_base(exception), exception,
		ZSTR_KNOWN(ZEND_STR_LINE), 1, &rv_line);
	zend_string *text = zval_get_string(message), *where = zval_get_string(file);

	zend_error(E_WARNING, "%s %s%sended by an uncaught %s: %s in %s:" ZEND_LONG_FMT, what,
		peer ? ZSTR_VAL(peer) : "", peer ? " " : "", ZSTR_VAL(exception->ce->name), ZSTR_VAL(text),
		ZSTR_VAL(where), zval_get_long(line));
	zend_string_release(text);
	zend_string_release(where);
}

void ss_server_report(ss_server *server, zend_object *exception, zend_string *peer)
{
	if (server != NULL) {
		server->counts->failed++;
	}
	if (server != NULL && server->reports_by_call) {
		zval arguments[2], ignored;

		ZVAL_OBJ(&arguments[0], exception);
		ZVAL_STR(&arguments[1], peer ? peer : ZSTR_EMPTY_ALLOC());
		ZVAL_UNDEF(&ignored);
		zend_fcall_info call = server->on_error.call;
		call.params = arguments;
		call.param_count = 2;
		call.retval = &ignored;
		zend_call_function(&call, NULL);
		zval_ptr_dtor(&ignored);
	} else {
		warn_of(exception, server ? "The handler of the connection from" : "A task was", peer);
	}
	OBJ_RELEASE(exception);
	if (EG(exception) != NULL && !zend_is_unwind_exit(EG(exception))
		&& !zend_is_graceful_exit(EG(exception))) {
		/* What the report itself threw has nobody left to hear of it but the log. */
		zend_object *second = EG(exception);
		GC_ADDREF(second);
		zend_clear_exception();
		zend_exception_error(second, E_WARNING);
		zend_clear_exception();
	}
}

/* ---- draining ---- */

/* Those of datagrams go on for the peers that there are, until the end. */
static void leave_listeners(ss_server *server, bool for_good)
{
	for (uint32_t index = 0; index < server->listener_count; index++) {
		php_stream *listener = listener_of(server, index);
		ss_socket *socket = listener != NULL ? ss_socket_of(listener) : NULL;
		if (socket != NULL && (for_good || !ss_is_datagram(socket))) {
			ss_server_leave(socket);
		}
	}
}

/* Those who are in the backlog have connected in good faith; workers leave them to one another. */
static void accept_last(ss_server *server)
{
	for (uint32_t index = 0; index < server->listener_count && server->workers == 0; index++) {
		php_stream *listener = listener_of(server, index);
		while (listener != NULL && ss_socket_of(listener) != NULL && EG(exception) == NULL
			&& !ss_is_datagram(ss_socket_of(listener)) && ss_server_take_room((uintptr_t) server) && accept_one(server, listener)) {
			listener = listener_of(server, index);
		}
	}
}

/* Under which its time to drain is waited for, among the tasks. */
static uintptr_t key_of(const ss_server *server)
{
	return (uintptr_t) server | 1;
}

static void drain(ss_server *server)
{
	ss_outcome outcome = {0};
	ss_patience patience = {server->drain, 0};
	bool is_limited = is_at_limit(server);

	if (server->is_draining) {
		return;
	}
	server->is_draining = true;
	leave_listeners(server, false);
	if (!is_limited) {
		accept_last(server);
	}
	ss_server_close((uintptr_t) server);
	ss_visit_begin(-1, key_of(server), &patience, &outcome);
	ss_forget(&outcome);
	wake_caller(server);
}

/* Ends its handlers: their finally blocks run. */
static void end_tasks(ss_server *server)
{
	while (server->tasks != NULL) {
		ss_task *task = server->tasks;

		ss_task_end(task);
		if (server->tasks == task) {
			/* It runs right now: this is called from within it. It ends by itself. */
			unlink_task(server, task);
			task->server = NULL;
		}
	}
	wake_caller(server);
}

void ss_servers_drain(bool at_once)
{
	for (ss_server *server = servers, *next; server != NULL; server = next) {
		next = server->next;
		drain(server);
		if (at_once) {
			end_tasks(server);
		}
	}
}

void ss_server_due(uintptr_t key)
{
	for (ss_server *server = servers; server != NULL; server = server->next) {
		if (key_of(server) == key) {
			ss_visit_end(key);
			end_tasks(server);
			return;
		}
	}
}

static bool is_over(void *what)
{
	const ss_server *server = what;

	return server->is_draining && server->live == 0;
}

/* ---- serving ---- */

static bool listen_all(ss_server *server)
{
	for (uint32_t index = 0; index < server->listener_count; index++) {
		ss_outcome outcome = {0};
		php_stream *stream = listener_of(server, index);

		if (ss_crypto_prepare(stream, ss_socket_of(stream), false) != SS_PREPARED) {
			if (EG(exception) == NULL) {
				zend_throw_error(NULL, "stream_socket_serve() cannot serve TLS on server %u by itself", index);
			}
			return false;
		}
		ss_server_listen(ss_socket_of(stream), (uintptr_t) server, index, &outcome);
		if (outcome.status != SS_OK) {
			char what[80];
			snprintf(what, sizeof(what), "stream_socket_serve() cannot accept from server %u", index);
			ss_throw_failure(what, &outcome);
			return false;
		}
	}
	return true;
}

static void enlist(ss_server *server)
{
	if (servers == NULL) {
		ss_signals_take();
	}
	server->next = servers;
	servers = server;
}

static void delist(ss_server *server)
{
	for (ss_server **place = &servers; *place != NULL; place = &(*place)->next) {
		if (*place == server) {
			*place = server->next;
			break;
		}
	}
	if (servers == NULL) {
		ss_signals_give_back();
	}
}

/* After a fatal error the memory of servers goes without a word to them. */
void ss_servers_shut_down(void)
{
	servers = NULL;
	ss_workers_shut_down();
}

static void wait_until_over(ss_server *server)
{
	ss_task *task = ss_current_task();

	if (task == NULL || ss_manner_now() != SS_PARKS) {
		ss_loop_run(is_over, server);
		return;
	}
	server->caller = task->number;
	while (!is_over(server) && ss_task_park(task) != SS_ENDED) {
		/* Woken when it may be over. */
	}
	ss_loop_forget((uintptr_t) task);
	server->caller = 0;
}

/* The loop's, less those that were before. */
static void count_losses(ss_server *server, uint64_t exhausted, uint64_t lost)
{
	uint64_t exhausted_now, lost_now;

	ss_losses(&exhausted_now, &lost_now);
	server->counts->exhausted += exhausted_now - exhausted;
	server->counts->lost += lost_now - lost;
}

void ss_serve_here(ss_server *server)
{
	uint64_t exhausted, lost;

	if (!ss_loop_ensure()) {
		return;
	}
	ss_losses(&exhausted, &lost);
	enlist(server);
	ss_server_add_room((uintptr_t) server, server->most);
	if (listen_all(server)) {
		ss_loop_arm();
		wait_until_over(server);
	}
	/* An exception is on its way out: nobody would go on with those that are left. */
	zend_object *exception = EG(exception);
	EG(exception) = NULL;
	leave_listeners(server, true);
	end_tasks(server);
	ss_visit_end(key_of(server));
	ss_server_end((uintptr_t) server);
	ss_tasks_reap();
	delist(server);
	if (servers == NULL) {
		ss_tasks_release_idle();
	}
	EG(exception) = exception;
	count_losses(server, exhausted, lost);
}

/* ---- what a script says ---- */

static bool add_listener(ss_server *server, zval *value)
{
	php_stream *stream = NULL;

	ZVAL_DEREF(value);
	if (Z_TYPE_P(value) == IS_RESOURCE) {
		php_stream_from_zval_no_verify(stream, value);
	}
	ss_socket *socket = stream != NULL ? ss_socket_of(stream) : NULL;
	if (socket == NULL || (socket->kind != SS_LISTENER && socket->kind != SS_DATAGRAMS)) {
		zend_argument_value_error(1, "must be sockets that stream_socket_server() of this extension has opened");
		return false;
	}
	ZVAL_COPY(&server->listeners[server->listener_count++], value);
	return true;
}

static bool take_listeners(ss_server *server, zval *given)
{
	if (Z_TYPE_P(given) != IS_ARRAY) {
		server->listeners = safe_emalloc(1, sizeof(zval), 0);
		return add_listener(server, given);
	}
	zval *value;
	uint32_t count = zend_hash_num_elements(Z_ARRVAL_P(given));
	if (count == 0) {
		zend_argument_value_error(1, "must not be empty");
		return false;
	}
	server->listeners = safe_emalloc(count, sizeof(zval), 0);
	ZEND_HASH_FOREACH_VAL(Z_ARRVAL_P(given), value) {
		if (!add_listener(server, value)) {
			return false;
		}
	} ZEND_HASH_FOREACH_END();
	return true;
}

bool ss_callable_take(ss_callable *callable, zval *value)
{
	char *error = NULL;

	if (zend_fcall_info_init(value, 0, &callable->call, &callable->callee, NULL, &error) != SUCCESS) {
		if (error != NULL) {
			efree(error);
		}
		return false;
	}
	ZVAL_COPY(&callable->value, value);
	ZVAL_COPY_VALUE(&callable->call.function_name, &callable->value);
	zend_release_fcall_info_cache(&callable->callee);
	return true;
}

static bool take_count(zend_string *key, zval *value, zend_long least, zend_long *into)
{
	if (Z_TYPE_P(value) != IS_LONG || Z_LVAL_P(value) < least) {
		zend_argument_value_error(3, "option \"%s\" must be an integer of at least " ZEND_LONG_FMT,
			ZSTR_VAL(key), least);
		return false;
	}
	*into = Z_LVAL_P(value);
	return true;
}

static bool take_seconds(zend_string *key, zval *value, int64_t *into)
{
	double seconds = Z_TYPE_P(value) == IS_LONG ? (double) Z_LVAL_P(value)
		: Z_TYPE_P(value) == IS_DOUBLE ? Z_DVAL_P(value) : -1.0;

	if (!(seconds >= 0.0)) {
		zend_argument_value_error(3, "option \"%s\" must be a number of seconds", ZSTR_VAL(key));
		return false;
	}
	/* Longer than anybody waits. Less than nothing means that the option is not given. */
	*into = (int64_t) (MIN(seconds, 9e9) * 1e9);
	return true;
}

static bool take_on_error(ss_server *server, zval *value)
{
	if (Z_TYPE_P(value) == IS_NULL) {
		return true;
	}
	if (!ss_callable_take(&server->on_error, value)) {
		zend_argument_value_error(3, "option \"on_error\" must be callable");
		return false;
	}
	server->reports_by_call = true;
	return true;
}

static bool take_option(ss_server *server, zend_string *key, zval *value)
{
	ZVAL_DEREF(value);
	if (key == NULL) {
		zend_argument_value_error(3, "must have names as keys");
		return false;
	}
	if (zend_string_equals_literal(key, "max_connections")) {
		return take_count(key, value, 1, &server->most);
	}
	if (zend_string_equals_literal(key, "limit")) {
		return take_count(key, value, 1, &server->limit);
	}
	if (zend_string_equals_literal(key, "workers")) {
		return take_count(key, value, 0, &server->workers);
	}
	if (zend_string_equals_literal(key, "drain")) {
		return take_seconds(key, value, &server->drain);
	}
	if (zend_string_equals_literal(key, "idle_timeout")) {
		return take_seconds(key, value, &server->idle);
	}
	if (zend_string_equals_literal(key, "read_timeout")) {
		return take_seconds(key, value, &server->read);
	}
	if (zend_string_equals_literal(key, "write_timeout")) {
		return take_seconds(key, value, &server->write);
	}
	if (zend_string_equals_literal(key, "on_error")) {
		return take_on_error(server, value);
	}
	zend_argument_value_error(3, "has no option \"%s\": there are max_connections, limit, workers, drain, "
		"idle_timeout, read_timeout, write_timeout and on_error", ZSTR_VAL(key));
	return false;
}

static bool take_options(ss_server *server, HashTable *options)
{
	zend_string *key;
	zval *value;

	if (options == NULL) {
		return true;
	}
	ZEND_HASH_FOREACH_STR_KEY_VAL(options, key, value) {
		if (!take_option(server, key, value)) {
			return false;
		}
	} ZEND_HASH_FOREACH_END();
	return true;
}

static void free_server(ss_server *server)
{
	for (uint32_t index = 0; index < server->listener_count; index++) {
		zval_ptr_dtor(&server->listeners[index]);
	}
	if (server->listeners != NULL) {
		efree(server->listeners);
	}
	zval_ptr_dtor(&server->handler.value);
	zval_ptr_dtor(&server->on_error.value);
	efree(server);
}

static void tell_counts(const ss_server *server, zend_long restarts, zval *into)
{
	const ss_counts *counts = server->counts;

	array_init(into);
	add_assoc_long(into, "accepted", (zend_long) counts->accepted);
	add_assoc_long(into, "finished", (zend_long) counts->finished);
	add_assoc_long(into, "failed", (zend_long) counts->failed);
	add_assoc_long(into, "ended", (zend_long) counts->ended);
	add_assoc_long(into, "peak", (zend_long) counts->peak);
	add_assoc_long(into, "exhausted", (zend_long) counts->exhausted);
	add_assoc_long(into, "lost", (zend_long) counts->lost);
	if (server->workers > 0) {
		add_assoc_long(into, "restarts", restarts);
	}
}

static void serve(ss_server *server, zend_long *restarts)
{
	if (server->workers == 0) {
		ss_serve_here(server);
		return;
	}
	if (ss_loop_exists()) {
		zend_throw_error(NULL, "workers are to be started before any task");
		return;
	}
	if (ss_workers_run(server, restarts)) {
		return;
	}
	ss_serve_here(server);
	if (EG(exception) == NULL) {
		/* The rest of the script is its parent's. */
		EG(exit_status) = 0;
		zend_throw_unwind_exit();
	}
}

ZEND_FUNCTION(stream_socket_serve)
{
	zval *given, *handler;
	HashTable *options = NULL;
	zend_long restarts = 0;
	ss_server *server = ecalloc(1, sizeof(*server));

	*server = (ss_server) {.drain = DEFAULT_DRAIN, .idle = -1, .read = -1, .write = -1, .most = DEFAULT_MOST};
	server->counts = &server->own_counts;
	if (zend_parse_parameters(ZEND_NUM_ARGS(), "zz|h", &given, &handler, &options) == FAILURE) {
		efree(server);
		RETURN_THROWS();
	}
	bool is_taken = take_listeners(server, given);
	if (is_taken && !ss_callable_take(&server->handler, handler)) {
		zend_argument_type_error(2, "must be a valid callback");
		is_taken = false;
	}
	if (is_taken && take_options(server, options)) {
		serve(server, &restarts);
		if (EG(exception) == NULL) {
			tell_counts(server, restarts, return_value);
		}
	}
	free_server(server);
}

ZEND_FUNCTION(stream_socket_serve_stop)
{
	ZEND_PARSE_PARAMETERS_NONE();
	if (!ss_workers_stop()) {
		ss_servers_drain(false);
	}
}
