/* The large, mostly idle arrays of stream_select, in an epoll set that outlives the call.
 *
 * A script passes the same streams turn after turn. So the arrays are compared with those of the
 * last call, place by place, and only what has changed is looked at and told to the kernel. What is
 * remembered of an array are the addresses of its streams' resources, and of a list the bytes of its
 * elements, which memcmp(3) compares at once: no table and no stream is held, so that streams end when
 * the script lets go of them, and arrays are changed without a copy. An address is the same stream for
 * as long as that has not been closed, and a stream of ours tells when it is (ss_watch_leave). Others
 * can't, and are polled one by one: they stand apart. */
#include "watch.h"

#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "ext/standard/file.h"

/* Fewer are polled as quickly, and a connection that comes and goes need not be told to the kernel
 * twice. */
#define FEWEST 64
/* What is no resource. */
#define NO_RESOURCE ((zend_resource *) 1)

/* A stream that is followed. */
typedef struct {
	php_stream *stream;
	ss_socket *socket;
	/* Where it stands in each array first, plus one; 0 in each once it has been let go. */
	uint32_t first[SS_SETS];
	/* For what it is in the epoll set. */
	uint32_t events;
	/* The last turn in which it was told of as readable. */
	uint32_t told;
	/* Whether these lists have its number. */
	bool is_touched;
	bool may_have_unread;
} ss_followed;

/* What an array was. Each list has an item for each place of its table. */
typedef struct {
	zend_resource **known;
	/* Of a packed table, the elements as they stood when nothing had changed, and how many; 0: none. */
	zval *image;
	uint32_t imaged;
	/* The number of the stream that is followed, or 0. */
	uint32_t *number;
	/* Where the same stream stands next, plus one. */
	uint32_t *next;
	uint32_t used;
	uint32_t capacity;
	uint32_t followed;
	/* The places of what stands apart. */
	uint32_t *apart;
	uint32_t apart_count;
} ss_list;

typedef struct {
	uint32_t *numbers;
	uint32_t count;
	uint32_t capacity;
} ss_numbers;

typedef struct {
	bool is_open;
	int descriptor;
	/* The forks that were before it was opened: an epoll set belongs to one process. */
	sig_atomic_t forks;
	/* Counts calls, so that one within another is noticed. */
	uint32_t turn;
	/* How many calls in a row had arrays unlike those that are known. */
	uint32_t strange;
	ss_list lists[SS_SETS];
	/* By number; the first is no stream. */
	ss_followed *followed;
	uint32_t followed_count;
	uint32_t followed_capacity;
	ss_numbers free;
	/* Whose events may have changed. */
	ss_numbers touched;
	/* What was read from since it was last seen to have nothing unread. */
	ss_numbers unread;
	struct epoll_event *events;
	uint32_t events_capacity;
	uint32_t events_count;
} ss_watch;

static const uint32_t wanted[SS_SETS] = {EPOLLIN, EPOLLOUT, EPOLLPRI};
/* What select(2) calls ready in each of its sets. */
static const uint32_t told[SS_SETS] = {
	EPOLLIN | EPOLLRDNORM | EPOLLRDBAND | EPOLLHUP | EPOLLERR,
	EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND | EPOLLERR,
	EPOLLPRI,
};

ZEND_TLS ss_watch watch;

static volatile sig_atomic_t forks;

static void count_fork(void)
{
	forks++;
}

void ss_watch_begin(void)
{
	pthread_atfork(NULL, NULL, count_fork);
}

/* ---- lists ---- */

/* PHP's own memory has a limit, at which it would leave in the middle of a change. */
static void *enlarged(void *items, uint32_t count, size_t size)
{
	return safe_perealloc(items, count, size, 0, true);
}

static void push(ss_numbers *list, uint32_t number)
{
	if (list->count == list->capacity) {
		list->capacity = list->capacity ? 2 * list->capacity : FEWEST;
		list->numbers = enlarged(list->numbers, list->capacity, sizeof(uint32_t));
	}
	list->numbers[list->count++] = number;
}

static void touch(uint32_t number)
{
	ss_followed *followed = &watch.followed[number];

	if (!followed->is_touched) {
		followed->is_touched = true;
		push(&watch.touched, number);
	}
}

static void reserve(ss_list *list, uint32_t used)
{
	if (used <= list->capacity) {
		return;
	}
	uint32_t capacity = list->capacity ? list->capacity : FEWEST;
	while (capacity < used) {
		capacity *= 2;
	}
	list->known = enlarged(list->known, capacity, sizeof(*list->known));
	list->image = enlarged(list->image, capacity, sizeof(*list->image));
	list->number = enlarged(list->number, capacity, sizeof(*list->number));
	list->next = enlarged(list->next, capacity, sizeof(*list->next));
	list->apart = enlarged(list->apart, capacity, sizeof(*list->apart));
	list->capacity = capacity;
}

void ss_ready_add(ss_ready *ready, uint32_t place)
{
	if (ready->count == ready->capacity) {
		ready->capacity = ready->capacity ? 2 * ready->capacity : 16;
		ready->places = safe_erealloc(ready->places, ready->capacity, sizeof(uint32_t), 0);
	}
	ready->places[ready->count++] = place;
}

/* ---- the set ---- */

/* Forgets all. Of a set that a fork has copied only the descriptor is closed: the parent's stays. */
void ss_watch_end(void)
{
	uint32_t turn = watch.turn;

	for (uint32_t number = 1; number < watch.followed_count; number++) {
		if (watch.followed[number].socket != NULL) {
			watch.followed[number].socket->followed = 0;
		}
	}
	for (int which = 0; which < SS_SETS; which++) {
		ss_list *list = &watch.lists[which];
		free(list->known);
		free(list->image);
		free(list->number);
		free(list->next);
		free(list->apart);
	}
	free(watch.followed);
	free(watch.free.numbers);
	free(watch.touched.numbers);
	free(watch.unread.numbers);
	free(watch.events);
	if (watch.is_open) {
		close(watch.descriptor);
	}
	memset(&watch, 0, sizeof(watch));
	watch.turn = turn + 1;
}

/* False where there can be no set. */
static bool is_usable(void)
{
	if (watch.is_open && watch.forks != forks) {
		ss_watch_end();
	}
	if (!watch.is_open) {
		watch.descriptor = epoll_create1(EPOLL_CLOEXEC);
		watch.is_open = watch.descriptor != -1;
		watch.forks = forks;
	}
	return watch.is_open;
}

static bool tell(uint32_t number, uint32_t events)
{
	ss_followed *followed = &watch.followed[number];
	struct epoll_event event = {.events = events, .data.u32 = number};
	int operation = events == 0 ? EPOLL_CTL_DEL
		: followed->events == 0 ? EPOLL_CTL_ADD
		: EPOLL_CTL_MOD;

	followed->events = events;
	return epoll_ctl(watch.descriptor, operation, followed->socket->netstream.socket, &event) == 0;
}

static void let_go(uint32_t number)
{
	ss_followed *followed = &watch.followed[number];

	followed->socket->followed = 0;
	followed->socket = NULL;
	followed->stream = NULL;
	push(&watch.free, number);
}

/* Tells the kernel what has changed; false where it takes no more. */
static bool tell_changes(void)
{
	bool taken = true;

	for (uint32_t index = 0; index < watch.touched.count; index++) {
		uint32_t number = watch.touched.numbers[index];
		ss_followed *followed = &watch.followed[number];
		uint32_t events = 0;

		followed->is_touched = false;
		if (followed->socket == NULL) {
			continue;
		}
		for (int which = 0; which < SS_SETS; which++) {
			events |= followed->first[which] ? wanted[which] : 0;
		}
		if (events != followed->events) {
			taken = tell(number, events) && taken;
		}
		if (events == 0) {
			let_go(number);
		}
	}
	watch.touched.count = 0;
	return taken;
}

/* ---- following ---- */

/* The resource of an element: NULL where there is none, NO_RESOURCE of what is something else. */
static zend_always_inline zend_resource *resource_of(const zval *element)
{
	if (EXPECTED(Z_TYPE_P(element) == IS_RESOURCE)) {
		return Z_RES_P(element);
	}
	ZVAL_DEREF(element);
	if (Z_TYPE_P(element) == IS_RESOURCE) {
		return Z_RES_P(element);
	}
	return Z_ISUNDEF_P(element) ? NULL : NO_RESOURCE;
}

static uint32_t used_of(const HashTable *table)
{
	return table ? table->nNumUsed : 0;
}

/* Whether a table is byte for byte as it was: twice as quick as a look at each element. */
static zend_never_inline bool is_as_imaged(const ss_list *list, const HashTable *table)
{
	uint32_t used = used_of(table);

	return used > 0 && list->imaged == used && HT_IS_PACKED(table)
		&& memcmp(table->arPacked, list->image, used * sizeof(zval)) == 0;
}

/* Takes the image of a table in which nothing has changed. What a reference stands for may change
 * without it. */
static void take_image(ss_list *list, const HashTable *table)
{
	list->imaged = 0;
	if (!HT_IS_PACKED(table)) {
		return;
	}
	for (uint32_t place = 0; place < list->used; place++) {
		if (Z_ISREF(table->arPacked[place])) {
			return;
		}
	}
	memcpy(list->image, table->arPacked, list->used * sizeof(zval));
	list->imaged = list->used;
}

/* How many places are not as they were. This is all that is done where nothing has changed. */
static uint32_t differences(ss_list *list, const HashTable *table)
{
	if (is_as_imaged(list, table)) {
		return 0;
	}
	uint32_t used = used_of(table);
	uint32_t common = MIN(used, list->used);
	uint32_t count = MAX(used, list->used) - common;

	if (common == 0) {
		return count;
	}
	if (HT_IS_PACKED(table)) {
		for (uint32_t place = 0; place < common; place++) {
			count += resource_of(&table->arPacked[place]) != list->known[place];
		}
	} else {
		for (uint32_t place = 0; place < common; place++) {
			count += resource_of(&table->arData[place].val) != list->known[place];
		}
	}
	if (count == 0) {
		take_image(list, table);
	}
	return count;
}

/* The stream, if it is one of ours that tells when it is closed and whose descriptor is nobody
 * else's to close. */
static php_stream *followable(zend_resource *resource)
{
	if (resource == NO_RESOURCE || resource->type != php_file_le_stream()) {
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

static uint32_t new_number(void)
{
	if (watch.free.count > 0) {
		return watch.free.numbers[--watch.free.count];
	}
	if (watch.followed_count == watch.followed_capacity) {
		watch.followed_capacity = watch.followed_capacity ? 2 * watch.followed_capacity : FEWEST;
		watch.followed = enlarged(watch.followed, watch.followed_capacity, sizeof(ss_followed));
	}
	if (watch.followed_count == 0) {
		watch.followed_count = 1;
	}
	memset(&watch.followed[watch.followed_count], 0, sizeof(ss_followed));
	return watch.followed_count++;
}

static uint32_t number_of(php_stream *stream)
{
	ss_socket *socket = stream->abstract;

	if (socket->followed == 0) {
		/* The lists may still have it, as what it was before. */
		uint32_t number = new_number();
		watch.followed[number].stream = stream;
		watch.followed[number].socket = socket;
		watch.followed[number].events = 0;
		socket->followed = number;
	}
	return socket->followed;
}

static void note_unread(uint32_t number)
{
	ss_followed *followed = &watch.followed[number];

	if (!followed->may_have_unread) {
		followed->may_have_unread = true;
		push(&watch.unread, number);
	}
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
	uint32_t number = number_of(stream);
	list->number[place] = number;
	list->next[place] = watch.followed[number].first[which];
	watch.followed[number].first[which] = place + 1;
	list->followed++;
	touch(number);
	if (which == SS_SET_READ) {
		note_unread(number);
	}
}

static void leave(int which, uint32_t place)
{
	ss_list *list = &watch.lists[which];
	uint32_t number = list->number[place];

	list->imaged = 0;
	list->known[place] = NULL;
	list->number[place] = 0;
	if (number == 0) {
		return;
	}
	uint32_t *link = &watch.followed[number].first[which];
	while (*link != place + 1) {
		link = &list->next[*link - 1];
	}
	*link = list->next[place];
	list->followed--;
	touch(number);
}

static void pursue(int which, const HashTable *table)
{
	ss_list *list = &watch.lists[which];
	uint32_t used = used_of(table);

	list->imaged = 0;
	reserve(list, used);
	for (uint32_t place = used; place < list->used; place++) {
		leave(which, place);
	}
	for (uint32_t place = 0; place < used; place++) {
		zend_resource *resource = resource_of(ss_element(table, place));
		if (place < list->used && resource == list->known[place]) {
			continue;
		}
		if (place < list->used) {
			leave(which, place);
		}
		enter(which, place, resource);
	}
	list->used = used;
	list->apart_count = 0;
	for (uint32_t place = 0; place < used; place++) {
		if (list->number[place] == 0 && list->known[place] != NULL) {
			list->apart[list->apart_count++] = place;
		}
	}
}

/* Follows the arrays of a call; the number of its turn, or 0: all are to be polled. */
uint32_t ss_watch_follow(HashTable *const tables[SS_SETS])
{
	uint32_t elements = 0, different = 0, known = 0;
	uint32_t differ[SS_SETS];

	for (int which = 0; which < SS_SETS; which++) {
		elements += tables[which] ? zend_hash_num_elements(tables[which]) : 0;
	}
	if (elements < FEWEST || !is_usable()) {
		return 0;
	}
	for (int which = 0; which < SS_SETS; which++) {
		differ[which] = differences(&watch.lists[which], tables[which]);
		different += differ[which];
		known += watch.lists[which].used;
	}
	/* Arrays of another kind may be a single call's, on the way from one turn to the next. */
	if (different > (elements + known) / 2 && watch.strange++ == 0) {
		return 0;
	}
	watch.strange = 0;
	/* A call that failed may have left some. */
	watch.events_count = 0;
	for (int which = 0; which < SS_SETS; which++) {
		if (differ[which] > 0) {
			pursue(which, tables[which]);
		}
	}
	if (!tell_changes()) {
		ss_watch_end();
		return 0;
	}
	return ++watch.turn == 0 ? ++watch.turn : watch.turn;
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

int ss_watch_descriptor(void)
{
	return watch.descriptor;
}

int ss_watch_highest(void)
{
	int highest = -1;

	for (uint32_t number = 1; number < watch.followed_count; number++) {
		const ss_socket *socket = watch.followed[number].socket;
		if (socket != NULL && socket->netstream.socket > highest) {
			highest = socket->netstream.socket;
		}
	}
	return highest;
}

/* ---- what streams tell ---- */

/* It is about to be closed, or to become something else. */
void ss_watch_leave(ss_socket *socket)
{
	uint32_t number = socket->followed;

	if (number == 0) {
		return;
	}
	if (watch.forks != forks) {
		ss_watch_end();
		return;
	}
	for (int which = 0; which < SS_SETS; which++) {
		while (watch.followed[number].first[which] != 0) {
			leave(which, watch.followed[number].first[which] - 1);
		}
	}
	if (watch.followed[number].events != 0) {
		/* A child may have it open still, and the set would go on to tell of it. */
		tell(number, 0);
	}
	let_go(number);
}

/* It has been read from: PHP may have more of it than the script has taken. */
void ss_watch_read(const ss_socket *socket)
{
	if (socket->followed != 0) {
		note_unread(socket->followed);
	}
}

/* Whether a stream that is followed for reading has bytes in PHP's buffer. */
bool ss_watch_has_unread(void)
{
	uint32_t kept = 0;

	for (uint32_t index = 0; index < watch.unread.count; index++) {
		uint32_t number = watch.unread.numbers[index];
		ss_followed *followed = &watch.followed[number];

		if (followed->stream != NULL && followed->first[SS_SET_READ] != 0
			&& followed->stream->writepos > followed->stream->readpos) {
			watch.unread.numbers[kept++] = number;
		} else {
			followed->may_have_unread = false;
		}
	}
	watch.unread.count = kept;
	return kept > 0;
}

/* ---- waiting ---- */

/* Waits; -1 with ENOSYS where the system has no clock as fine as select(2)'s. */
int ss_watch_wait(const struct timespec *timeout)
{
	int count;

	if (watch.events_capacity < watch.followed_count) {
		watch.events_capacity = watch.followed_capacity;
		watch.events = enlarged(watch.events, watch.events_capacity, sizeof(*watch.events));
	}
	/* At least one is needed to wait at all. */
	int room = watch.events_capacity > 0 ? (int) watch.events_capacity : 1;
	if (timeout != NULL && timeout->tv_sec == 0 && timeout->tv_nsec == 0) {
		count = epoll_wait(watch.descriptor, watch.events, room, 0);
	} else {
		count = epoll_pwait2(watch.descriptor, watch.events, room, timeout, NULL);
	}
	watch.events_count = count > 0 ? (uint32_t) count : 0;
	return count;
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
	for (uint32_t index = 0; index < watch.unread.count; index++) {
		ss_followed *followed = &watch.followed[watch.unread.numbers[index]];
		followed->told = watch.turn;
		add_places(&ready[SS_SET_READ], SS_SET_READ, followed);
	}
	for (uint32_t index = 0; index < watch.events_count; index++) {
		uint32_t number = watch.events[index].data.u32;
		ss_followed *followed = &watch.followed[number];
		bool asked = false;

		for (int which = 0; which < SS_SETS; which++) {
			if (followed->first[which] == 0 || !(watch.events[index].events & told[which])) {
				continue;
			}
			asked = true;
			if (which != SS_SET_READ || followed->told != watch.turn) {
				add_places(&ready[which], which, followed);
			}
		}
		if (!asked && followed->socket != NULL) {
			tell(number, 0);
			touch(number);
		}
	}
	watch.events_count = 0;
}
