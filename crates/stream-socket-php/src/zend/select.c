/* stream_select: as many descriptors as there are, and unread bytes of one stream do not hide what
 * others have. Large arrays are followed from call to call (watch.c), and what stands apart in them,
 * or is few, is polled. */
#include "crypto.h"
#include "fibers.h"
#include "watch.h"

#include <poll.h>

#include "ext/standard/file.h"

/* What select(2) calls ready in each of its sets. */
static const short wanted[SS_SETS] = {POLLIN, POLLOUT, POLLPRI};
static const short told[SS_SETS] = {
	POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR,
	POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR,
	POLLPRI,
};

#define NOT_POLLED UINT32_MAX

/* An element that is looked at by itself. */
typedef struct {
	uint32_t place;
	uint32_t polled;
	bool buffered;
	/* A listener of TLS: its descriptor tells of steps of handshakes, too. */
	bool shakes_hands;
} ss_member;

typedef struct {
	zval *array;
	/* Its table, held: an error handler may change the array in the middle of the call. */
	HashTable *table;
	ss_member *members;
	uint32_t count;
	/* How many of its elements have a descriptor. */
	uint32_t waited;
} ss_set;

typedef struct {
	ss_set sets[SS_SETS];
	/* The turn in which large arrays are followed, or 0. */
	uint32_t turn;
	struct pollfd *polled;
	uint32_t polled_count;
	int highest;
	/* Whether something is ready already. */
	bool buffered;
	ss_ready ready[SS_SETS];
} ss_selection;

/* ---- who is there ---- */

/* The descriptor to wait on, or -1. A connection of ours is spared the way round by Zend. */
static int descriptor_of(php_stream *stream, const ss_socket *socket)
{
	php_socket_t descriptor = -1;

	if (socket != NULL && socket->kind == SS_STREAM) {
		return socket->netstream.socket;
	}
	int cast = php_stream_cast(stream, PHP_STREAM_AS_FD_FOR_SELECT | PHP_STREAM_CAST_INTERNAL,
		(void *) &descriptor, 1);
	return cast == SUCCESS ? descriptor : -1;
}

/* Whether a read has something of which the descriptor does not know. */
static bool has_unread(const php_stream *stream, const ss_socket *socket)
{
	ss_outcome outcome = {0};

	if (stream->writepos > stream->readpos) {
		return true;
	}
	if (socket == NULL || (socket->kind != SS_PEER && socket->tls == SS_NO_TLS)) {
		return false;
	}
	bool pending = ss_has_pending(socket, &outcome);
	ss_settle(&outcome);
	return pending;
}

static uint32_t watch(ss_selection *selection, int descriptor, short events)
{
	selection->polled[selection->polled_count] = (struct pollfd) {descriptor, events, 0};
	if (descriptor > selection->highest) {
		selection->highest = descriptor;
	}
	return selection->polled_count++;
}

/* Looks at one element. What is no stream is a TypeError, and left out. */
static void look_at(ss_selection *selection, int which, uint32_t place)
{
	ss_set *set = &selection->sets[which];
	zval *element = ss_element(set->table, place);
	php_stream *stream;

	if (Z_ISUNDEF_P(element)) {
		return;
	}
	ZVAL_DEREF(element);
	php_stream_from_zval_no_verify(stream, element);
	if (stream == NULL) {
		return;
	}
	const ss_socket *socket = ss_socket_of(stream);
	ss_member member = {place, NOT_POLLED, false, socket != NULL && ss_shakes_hands(socket)};
	int descriptor = descriptor_of(stream, socket);
	/* What a cast has decrypted or decoded is in the buffer now. */
	member.buffered = which == SS_SET_READ && has_unread(stream, socket);
	selection->buffered |= member.buffered;
	if (descriptor != -1) {
		set->waited++;
		member.polled = watch(selection, descriptor, wanted[which]);
	}
	set->members[set->count++] = member;
}

/* How many elements of an array are looked at by themselves. */
static uint32_t apart_of(const ss_selection *selection, int which)
{
	uint32_t count;

	if (selection->turn == 0) {
		return selection->sets[which].table->nNumUsed;
	}
	ss_watch_apart(which, &count);
	return count;
}

static void gather(ss_selection *selection, int which)
{
	ss_set *set = &selection->sets[which];
	uint32_t count = apart_of(selection, which);

	set->count = 0;
	set->waited = selection->turn ? ss_watch_followed(which) : 0;
	set->members = safe_emalloc(count, sizeof(ss_member), 0);
	if (selection->turn == 0) {
		for (uint32_t place = 0; place < count; place++) {
			look_at(selection, which, place);
		}
		return;
	}
	/* A cast may run PHP code, in which another call follows arrays of its own. */
	uint32_t *places = safe_emalloc(count, sizeof(uint32_t), 0);
	memcpy(places, ss_watch_apart(which, &count), count * sizeof(uint32_t));
	for (uint32_t index = 0; index < count; index++) {
		look_at(selection, which, places[index]);
	}
	efree(places);
}

static void gather_all(ss_selection *selection)
{
	uint32_t elements = 1;

	for (int which = 0; which < SS_SETS; which++) {
		elements += selection->sets[which].table ? apart_of(selection, which) : 0;
	}
	selection->polled = safe_emalloc(elements, sizeof(struct pollfd), 0);
	for (int which = 0; which < SS_SETS; which++) {
		if (selection->sets[which].table != NULL) {
			gather(selection, which);
		}
	}
}

static void scatter(ss_selection *selection)
{
	for (int which = 0; which < SS_SETS; which++) {
		if (selection->sets[which].members != NULL) {
			efree(selection->sets[which].members);
			selection->sets[which].members = NULL;
		}
	}
	efree(selection->polled);
	selection->polled_count = 0;
}

static void begin(ss_selection *selection)
{
	HashTable *tables[SS_SETS] = {NULL};

	for (int which = 0; which < SS_SETS; which++) {
		ss_set *set = &selection->sets[which];
		if (set->array != NULL) {
			set->table = Z_ARRVAL_P(set->array);
			GC_TRY_ADDREF(set->table);
			tables[which] = set->table;
		}
	}
	/* While a task is parked others select. */
	selection->turn = ss_manner_now() == SS_BLOCKS ? ss_watch_follow(tables) : 0;
	gather_all(selection);
	if (selection->turn != 0 && selection->turn != ss_watch_turn()) {
		scatter(selection);
		selection->turn = 0;
		gather_all(selection);
	}
	selection->buffered |= selection->turn != 0 && ss_watch_has_ready();
}

static void end(ss_selection *selection)
{
	scatter(selection);
	for (int which = 0; which < SS_SETS; which++) {
		if (selection->ready[which].places != NULL) {
			efree(selection->ready[which].places);
		}
		if (selection->sets[which].table != NULL) {
			zend_array_release(selection->sets[which].table);
		}
	}
}

/* ---- waiting ---- */

static const struct timespec no_time;

/* Parks, and holds the streams meanwhile: an array may be the script's to change. */
static int park(ss_selection *selection, const struct timespec *timeout)
{
	uint32_t count = 0, most = 1;

	for (int which = 0; which < SS_SETS; which++) {
		most += selection->sets[which].count;
	}
	zend_resource **held = safe_emalloc(most, sizeof(*held), 0);
	for (int which = 0; which < SS_SETS; which++) {
		const ss_set *set = &selection->sets[which];
		for (uint32_t index = 0; index < set->count; index++) {
			zval *element = ss_element(set->table, set->members[index].place);
			ZVAL_DEREF(element);
			if (Z_TYPE_P(element) == IS_RESOURCE) {
				held[count++] = Z_RES_P(element);
				Z_ADDREF_P(element);
			}
		}
	}
	int ready = ss_parked_poll(selection->polled, selection->polled_count, (const void *const *) held, count, timeout);
	int error = errno;
	while (count > 0) {
		zend_list_delete(held[--count]);
	}
	efree(held);
	errno = error;
	return ready;
}

/* Waits, until one is ready or may be. A signal ends it, so that its handler gets its turn. */
static int wait_for(ss_selection *selection, const struct timespec *timeout)
{
	enum ss_manner manner = selection->buffered ? SS_BLOCKS : ss_manner_now();

	if (manner == SS_PARKS) {
		return park(selection, timeout);
	}
	if (selection->buffered || manner == SS_FAILS) {
		timeout = &no_time;
	}
	if (selection->turn == 0) {
		return ppoll(selection->polled, selection->polled_count, timeout, NULL);
	}
	if (selection->polled_count == 0) {
		int count = ss_watch_wait(timeout);
		if (count >= 0 || errno != ENOSYS) {
			return count;
		}
	}
	struct pollfd *set = &selection->polled[selection->polled_count];
	*set = (struct pollfd) {ss_watch_descriptor(), POLLIN, 0};
	int count = ppoll(selection->polled, selection->polled_count + 1, timeout, NULL);
	if (count > 0 && set->revents != 0 && ss_watch_wait(&no_time) < 0) {
		return -1;
	}
	/* What the set had to tell may be gone again, which is not the end of the time. */
	return count;
}

/* Whether what a listener of TLS was found ready for is a connection. Its handshakes go on first. */
static bool has_connection(ss_selection *selection, const ss_set *set, const ss_member *member)
{
	zval *element = ss_element(set->table, member->place);
	ss_outcome outcome = {0};

	ZVAL_DEREF(element);
	/* A script may have closed it while a task was parked. */
	bool is_open = Z_TYPE_P(element) == IS_RESOURCE && Z_RES_P(element)->type == php_file_le_stream();
	const ss_socket *socket = is_open ? ss_socket_of(Z_RES_P(element)->ptr) : NULL;
	if (socket == NULL) {
		return true;
	}
	bool has = ss_tls_has_arrival(socket, &outcome);
	ss_settle(&outcome);
	if (!has && member->polled != NOT_POLLED) {
		selection->polled[member->polled].revents = 0;
	}
	return has;
}

/* Adds what is ready of what was polled, and counts it as select(2) does: each descriptor once. */
static void collect(ss_selection *selection, int which)
{
	ss_set *set = &selection->sets[which];
	ss_ready *ready = &selection->ready[which];
	HashTable counted;

	zend_hash_init(&counted, 0, NULL, NULL, 0);
	for (uint32_t index = 0; index < set->count; index++) {
		const ss_member *member = &set->members[index];
		const struct pollfd *polled =
			member->polled == NOT_POLLED ? NULL : &selection->polled[member->polled];

		bool is_ready = member->buffered || (polled != NULL && (polled->revents & told[which]));
		if (is_ready && (!member->shakes_hands || has_connection(selection, set, member))) {
			ss_ready_add(ready, member->place);
			ready->descriptors +=
				polled == NULL || zend_hash_index_add_empty_element(&counted, polled->fd) != NULL;
		}
	}
	zend_hash_destroy(&counted);
}

/* Leaves out what ended the wait and is ready for nobody: a hang-up, say, where only urgent bytes are
 * waited for. */
static void ignore_unasked(ss_selection *selection)
{
	for (uint32_t index = 0; index < selection->polled_count; index++) {
		struct pollfd *polled = &selection->polled[index];
		if (polled->revents != 0) {
			polled->fd = -1;
			polled->revents = 0;
		}
	}
}

static bool names_closed(const ss_selection *selection)
{
	for (uint32_t index = 0; index < selection->polled_count; index++) {
		if (selection->polled[index].revents & POLLNVAL) {
			return true;
		}
	}
	return false;
}

static void reduce(struct timespec *left, const struct timespec *began, const struct timespec *whole)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	left->tv_sec = whole->tv_sec - (now.tv_sec - began->tv_sec);
	left->tv_nsec = whole->tv_nsec - (now.tv_nsec - began->tv_nsec);
	while (left->tv_nsec < 0) {
		left->tv_nsec += 1000000000;
		left->tv_sec--;
	}
	while (left->tv_nsec >= 1000000000) {
		left->tv_nsec -= 1000000000;
		left->tv_sec++;
	}
	if (left->tv_sec < 0) {
		*left = no_time;
	}
}

/* Waits until something is ready or the time is up; how many are ready, or -1 with errno. */
static zend_long ready_of(ss_selection *selection, const struct timespec *timeout)
{
	struct timespec began, left = timeout ? *timeout : no_time;

	clock_gettime(CLOCK_MONOTONIC, &began);
	for (;;) {
		int count = wait_for(selection, timeout ? &left : NULL);
		if (count < 0) {
			return -1;
		}
		if (count > 0 && names_closed(selection)) {
			errno = EBADF;
			return -1;
		}
		if (selection->turn != 0) {
			ss_watch_collect(selection->ready);
		}
		zend_long ready = 0;
		for (int which = 0; which < SS_SETS; which++) {
			collect(selection, which);
			ready += selection->ready[which].descriptors;
		}
		if (ready > 0 || count == 0 || (timeout && left.tv_sec == 0 && left.tv_nsec == 0)) {
			return ready;
		}
		ignore_unasked(selection);
		if (timeout != NULL) {
			reduce(&left, &began, timeout);
		}
	}
}

/* ---- the answer ---- */

static int by_place(const void *left, const void *right)
{
	uint32_t one = *(const uint32_t *) left, other = *(const uint32_t *) right;

	return (one > other) - (one < other);
}

/* The array with what is ready in it, under the same keys and in the same order. */
static void keep_ready(const ss_set *set, ss_ready *ready)
{
	const HashTable *table = set->table;
	HashTable *kept = zend_new_array(ready->count);

	qsort(ready->places, ready->count, sizeof(uint32_t), by_place);
	for (uint32_t index = 0; index < ready->count; index++) {
		uint32_t place = ready->places[index];
		zval *element = ss_element(table, place);
		ZVAL_DEREF(element);
		Z_TRY_ADDREF_P(element);
		if (HT_IS_PACKED(table)) {
			zend_hash_index_update(kept, place, element);
		} else if (table->arData[place].key == NULL) {
			zend_hash_index_update(kept, table->arData[place].h, element);
		} else {
			zend_hash_update(kept, table->arData[place].key, element);
		}
	}
	zval_ptr_dtor(set->array);
	ZVAL_ARR(set->array, kept);
}

/* False after a ValueError. */
static bool times(zend_long seconds, bool for_ever, zend_long microseconds, bool no_microseconds,
	struct timespec *timeout)
{
	if (for_ever) {
		if (!no_microseconds && microseconds != 0) {
			zend_argument_value_error(5, "must be null when argument #4 ($seconds) is null");
			return false;
		}
		return true;
	}
	if (seconds < 0) {
		zend_argument_value_error(4, "must be greater than or equal to 0");
		return false;
	}
	if (microseconds < 0) {
		zend_argument_value_error(5, "must be greater than or equal to 0");
		return false;
	}
	timeout->tv_sec = seconds > ZEND_LONG_MAX / 2 ? ZEND_LONG_MAX / 2 : seconds;
	timeout->tv_sec += microseconds / 1000000;
	timeout->tv_nsec = (microseconds % 1000000) * 1000;
	return true;
}

static void answer(ss_selection *selection, const struct timespec *timeout, zval *return_value)
{
	zend_long ready = ready_of(selection, timeout);

	if (ready < 0) {
		int error = errno;
		if (EG(exception) != NULL) {
			RETURN_FALSE;
		}
		int followed = selection->turn ? ss_watch_highest() : -1;
		php_error_docref(NULL, E_WARNING, "Unable to select [%d]: %s (max_fd=%d)", error,
			strerror(error), MAX(selection->highest, followed));
		RETURN_FALSE;
	}
	for (int which = 0; which < SS_SETS; which++) {
		if (selection->sets[which].table != NULL) {
			keep_ready(&selection->sets[which], &selection->ready[which]);
		}
	}
	RETURN_LONG(ready);
}

ZEND_NAMED_FUNCTION(ss_select)
{
	ss_selection selection = {0};
	struct timespec timeout = {0};
	zend_long seconds, microseconds = 0;
	bool for_ever, no_microseconds = true;

	ZEND_PARSE_PARAMETERS_START(4, 5)
		Z_PARAM_ARRAY_EX2(selection.sets[SS_SET_READ].array, 1, 1, 0)
		Z_PARAM_ARRAY_EX2(selection.sets[SS_SET_WRITE].array, 1, 1, 0)
		Z_PARAM_ARRAY_EX2(selection.sets[SS_SET_EXCEPT].array, 1, 1, 0)
		Z_PARAM_LONG_OR_NULL(seconds, for_ever)
		Z_PARAM_OPTIONAL
		Z_PARAM_LONG_OR_NULL(microseconds, no_microseconds)
	ZEND_PARSE_PARAMETERS_END();

	begin(&selection);
	const ss_set *sets = selection.sets;
	if (!sets[SS_SET_READ].waited && !sets[SS_SET_WRITE].waited && !sets[SS_SET_EXCEPT].waited) {
		zend_value_error("No stream arrays were passed");
	} else if (times(seconds, for_ever, microseconds, no_microseconds, &timeout)) {
		answer(&selection, for_ever ? NULL : &timeout, return_value);
	}
	end(&selection);
}
