/* The large, mostly idle arrays of stream_select, which are followed from call to call.
 *
 * A script passes the same streams turn after turn. So the arrays are compared with those of the last
 * call (watch_list.c), and only what has changed is looked at and told to an epoll set (watch_set.c).
 * An address of a resource is the same stream for as long as that has not been closed, and a stream of
 * ours tells when it is (ss_watch_leave). Others can't, and are polled one by one: they stand apart. */
#include "watch.h"
#include "watch_list.h"
#include "watch_set.h"

#include "ext/standard/file.h"

/* What select(2) calls ready in each of its sets. */
static const uint32_t told[SS_SETS] = {
	EPOLLIN | EPOLLRDNORM | EPOLLRDBAND | EPOLLHUP | EPOLLERR,
	EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND | EPOLLERR,
	EPOLLPRI,
};

typedef struct {
	/* Counts calls, so that one within another is noticed. */
	uint32_t turn;
	/* Whether this turn's answer stands on what was found ready, in a table that was not compared. */
	bool is_settled;
	/* How many calls in a row had arrays unlike those that are known. */
	uint32_t strange;
	ss_list lists[SS_SETS];
} ss_watch;

ZEND_TLS ss_watch watch;

/* How many streams of ours there are that a script may have. They outlive requests. */
ZEND_TLS uint32_t open_streams;

void ss_ready_add(ss_ready *ready, uint32_t place)
{
	if (ready->count == ready->capacity) {
		ready->capacity = ready->capacity ? 2 * ready->capacity : 16;
		ready->places = safe_erealloc(ready->places, ready->capacity, sizeof(uint32_t), 0);
	}
	ready->places[ready->count++] = place;
}

static uint32_t next_turn(void)
{
	return ++watch.turn == 0 ? ++watch.turn : watch.turn;
}

void ss_watch_end(void)
{
	for (int which = 0; which < SS_SETS; which++) {
		ss_list_free(&watch.lists[which]);
	}
	ss_set_end();
	watch.strange = 0;
	watch.is_settled = false;
	next_turn();
}

/* ---- following ---- */

/* The stream, if it is one of ours that tells when it is closed and whose descriptor is nobody
 * else's to close. */
static php_stream *followable(zend_resource *resource)
{
	if (resource == SS_NO_RESOURCE || resource->type != php_file_le_stream()) {
		return NULL;
	}
	php_stream *stream = resource->ptr;
	ss_socket *socket = ss_socket_of(stream);
	/* What TLS has decrypted, the descriptor does not tell of. */
	bool is_ours = socket != NULL && socket->kind == SS_STREAM && !socket->shared && socket->tls == 0;
	return is_ours && stream->res == resource && !php_stream_is_persistent(stream)
			&& !(stream->flags & PHP_STREAM_FLAG_NO_RSCR_DTOR_CLOSE)
		? stream
		: NULL;
}

static void enter(int which, uint32_t place, zend_resource *resource)
{
	ss_list *list = &watch.lists[which];
	php_stream *stream = resource ? followable(resource) : NULL;

	list->known[place] = resource;
	list->number[place] = 0;
	if (stream == NULL) {
		return;
	}
	uint32_t number = ss_set_number(stream);
	uint32_t *first = &ss_set_stream(number)->first[which];
	list->number[place] = number;
	list->next[place] = *first;
	list->followed++;
	list->streams += *first == 0;
	*first = place + 1;
	ss_set_touch(number);
	if (which == SS_SET_READ) {
		ss_set_note_unread(number);
	}
}

static void leave(int which, uint32_t place)
{
	ss_list *list = &watch.lists[which];
	uint32_t number = list->number[place];

	ss_list_changes(list);
	list->known[place] = NULL;
	list->number[place] = 0;
	if (number == 0) {
		return;
	}
	uint32_t *first = &ss_set_stream(number)->first[which];
	uint32_t *link = first;
	while (*link != place + 1) {
		link = &list->next[*link - 1];
	}
	*link = list->next[place];
	list->followed--;
	list->streams -= *first == 0;
	ss_set_touch(number);
}

static void pursue(int which, const HashTable *table)
{
	ss_list *list = &watch.lists[which];
	uint32_t used = ss_used_of(table);

	ss_list_changes(list);
	ss_list_reserve(list, used);
	for (uint32_t place = used; place < list->used; place++) {
		leave(which, place);
	}
	for (uint32_t place = 0; place < used; place++) {
		if (place < list->used && ss_list_has(list, table, place)) {
			continue;
		}
		if (place < list->used) {
			leave(which, place);
		}
		enter(which, place, ss_resource_of(ss_element(table, place)));
	}
	list->used = used;
	list->apart_count = 0;
	for (uint32_t place = 0; place < used; place++) {
		if (list->number[place] == 0 && list->known[place] != NULL) {
			list->apart[list->apart_count++] = place;
		}
	}
}

/* ---- what is ready ---- */

/* Whether a stream stands, in one of the arrays, where it stood when that was compared. */
static bool stands(const ss_followed *followed, int which, const HashTable *table)
{
	const ss_list *list = &watch.lists[which];

	for (uint32_t at = followed->first[which]; at != 0; at = list->next[at - 1]) {
		if (!ss_list_has(list, table, at - 1)) {
			return false;
		}
	}
	return true;
}

/* Looks, without a wait, whether something is ready, all of which stands where it stood. */
static bool finds_ready(HashTable *const tables[SS_SETS])
{
	static const struct timespec no_time;
	const ss_numbers *unread = ss_set_unread();
	uint32_t count, found = unread->count;

	for (uint32_t index = 0; index < unread->count; index++) {
		if (!stands(ss_set_stream(unread->numbers[index]), SS_SET_READ, tables[SS_SET_READ])) {
			return false;
		}
	}
	if (ss_watch_wait(&no_time) < 0) {
		return false;
	}
	const struct epoll_event *events = ss_set_events(&count);
	for (uint32_t index = 0; index < count; index++) {
		const ss_followed *followed = ss_set_stream(events[index].data.u32);
		for (int which = 0; which < SS_SETS; which++) {
			if (followed->first[which] != 0 && (events[index].events & told[which])) {
				found++;
				if (!stands(followed, which, tables[which])) {
					return false;
				}
			}
		}
	}
	return found > 0;
}

/* Whether something is known to be ready, so that nothing is to be waited for. */
bool ss_watch_has_ready(void)
{
	return watch.is_settled || ss_set_unread()->count > 0;
}

static void add_places(ss_ready *ready, int which, const ss_followed *followed)
{
	for (uint32_t at = followed->first[which]; at != 0; at = watch.lists[which].next[at - 1]) {
		ss_ready_add(ready, at - 1);
	}
	ready->descriptors++;
}

/* Adds what is ready. One that nobody asked of, a hang-up, say, where only urgent bytes are waited for,
 * would end each wait at once, and is left out of the set until the next call. */
void ss_watch_collect(ss_ready ready[SS_SETS])
{
	const ss_numbers *unread = ss_set_unread();
	uint32_t count;
	const struct epoll_event *events = ss_set_events(&count);

	for (uint32_t index = 0; index < unread->count; index++) {
		ss_followed *followed = ss_set_stream(unread->numbers[index]);
		followed->told = watch.turn;
		add_places(&ready[SS_SET_READ], SS_SET_READ, followed);
	}
	for (uint32_t index = 0; index < count; index++) {
		uint32_t number = events[index].data.u32;
		ss_followed *followed = ss_set_stream(number);
		bool asked = false;

		for (int which = 0; which < SS_SETS; which++) {
			if (followed->first[which] == 0 || !(events[index].events & told[which])) {
				continue;
			}
			asked = true;
			if (which != SS_SET_READ || followed->told != watch.turn) {
				add_places(&ready[which], which, followed);
			}
		}
		if (!asked && followed->socket != NULL) {
			ss_set_leave_out(number);
		}
	}
	ss_set_forget_events();
	watch.is_settled = false;
}

/* ---- a call ---- */

static uint32_t elements_of(HashTable *const tables[SS_SETS])
{
	uint32_t elements = 0;

	for (int which = 0; which < SS_SETS; which++) {
		elements += tables[which] ? zend_hash_num_elements(tables[which]) : 0;
	}
	return elements;
}

/* How many places of the arrays are not as they were. Those that can be recognised are compared only
 * where nothing else answers the call. */
static uint32_t differences(HashTable *const tables[SS_SETS], uint32_t differ[SS_SETS])
{
	bool recognised[SS_SETS], any = false, may_recognise = !ss_set_has_changes();
	uint32_t different = 0;

	for (int which = 0; which < SS_SETS; which++) {
		ss_list *list = &watch.lists[which];
		recognised[which] = may_recognise && ss_list_recognises(list, tables[which]);
		differ[which] = recognised[which] ? 0 : ss_list_differences(list, tables[which]);
		any |= recognised[which];
		different += differ[which];
	}
	if (!any) {
		return different;
	}
	if (different == 0 && finds_ready(tables)) {
		watch.is_settled = true;
		return 0;
	}
	ss_set_forget_events();
	for (int which = 0; which < SS_SETS; which++) {
		if (recognised[which]) {
			differ[which] = ss_list_differences(&watch.lists[which], tables[which]);
			different += differ[which];
		}
	}
	return different;
}

/* Follows the arrays of a call; the number of its turn, or 0: all are to be polled. */
uint32_t ss_watch_follow(HashTable *const tables[SS_SETS])
{
	uint32_t differ[SS_SETS], elements = elements_of(tables), known = 0;

	if (ss_set_is_inherited()) {
		ss_watch_end();
	}
	if (elements < SS_FEWEST || !ss_set_is_open()) {
		return 0;
	}
	/* A call that failed may have left some. */
	ss_set_forget_events();
	watch.is_settled = false;
	uint32_t different = differences(tables, differ);
	if (watch.is_settled) {
		return next_turn();
	}
	for (int which = 0; which < SS_SETS; which++) {
		known += watch.lists[which].used;
	}
	/* Arrays of another kind may be a single call's, on the way from one turn to the next. */
	if (different > (elements + known) / 2 && watch.strange++ == 0) {
		return 0;
	}
	watch.strange = 0;
	for (int which = 0; which < SS_SETS; which++) {
		if (differ[which] > 0) {
			pursue(which, tables[which]);
		}
	}
	if (!ss_set_tell_changes()) {
		ss_watch_end();
		return 0;
	}
	for (int which = 0; which < SS_SETS; which++) {
		ss_list_learn(&watch.lists[which], tables[which], open_streams);
	}
	return next_turn();
}

uint32_t ss_watch_turn(void)
{
	return watch.turn;
}

/* The places of an array whose elements are to be polled one by one. */
const uint32_t *ss_watch_apart(int which, uint32_t *count)
{
	*count = watch.lists[which].apart_count;
	return watch.lists[which].apart;
}

uint32_t ss_watch_followed(int which)
{
	return watch.lists[which].followed;
}

/* ---- what streams tell ---- */

/* What a call has found ready may not be so any more, and it has to begin anew. */
static void unsettle(void)
{
	if (watch.is_settled) {
		watch.is_settled = false;
		next_turn();
	}
}

void ss_watch_open(ss_socket *socket)
{
	socket->counted = true;
	open_streams++;
}

static void uncount(ss_socket *socket)
{
	open_streams -= socket->counted;
	socket->counted = false;
}

/* It is about to become something else, or to have its descriptor closed by others. */
void ss_watch_leave(ss_socket *socket)
{
	uint32_t number = socket->followed;

	if (number == 0) {
		return;
	}
	if (ss_set_is_inherited()) {
		ss_watch_end();
		return;
	}
	unsettle();
	for (int which = 0; which < SS_SETS; which++) {
		while (ss_set_stream(number)->first[which] != 0) {
			leave(which, ss_set_stream(number)->first[which] - 1);
		}
	}
	ss_set_remove(number);
}

/* It is about to be closed. */
void ss_watch_close(ss_socket *socket)
{
	ss_watch_leave(socket);
	uncount(socket);
}

/* It has been read from: PHP may have more of it than the script has taken. */
void ss_watch_read(const php_stream *stream, ss_socket *socket)
{
	if (socket->followed != 0) {
		unsettle();
		ss_set_note_unread(socket->followed);
	} else if (stream->res == NULL) {
		/* An extension keeps it to itself, as those for databases do. */
		uncount(socket);
	}
}
