/* The streams that stream_select follows, by number, and the epoll set that they are in, which outlives
 * the call. What has changed is told to the kernel at once, before a wait. */
#include "watch_list.h"
#include "watch_set.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

static const uint32_t wanted[SS_SETS] = {EPOLLIN, EPOLLOUT, EPOLLPRI};

typedef struct {
	bool is_open;
	int descriptor;
	/* The forks that were before it was opened: an epoll set belongs to one process. */
	sig_atomic_t forks;
	/* By number; the first is no stream. */
	ss_followed *followed;
	uint32_t followed_count;
	uint32_t followed_capacity;
	ss_numbers free;
	ss_numbers touched;
	/* What was read from since it was last seen to have nothing unread. */
	ss_numbers unread;
	struct epoll_event *events;
	uint32_t events_capacity;
	/* How many a wait has found that nobody has taken. */
	uint32_t events_count;
} ss_watch_set;

ZEND_TLS ss_watch_set set;

volatile sig_atomic_t ss_forks;

static void count_fork(void)
{
	ss_forks++;
}

void ss_watch_begin(void)
{
	pthread_atfork(NULL, NULL, count_fork);
}

/* ---- the set ---- */

/* Whether it is one that a fork has copied. */
bool ss_set_is_inherited(void)
{
	return set.is_open && set.forks != ss_forks;
}

/* Forgets all. Of a set that a fork has copied only the descriptor is closed: the parent's stays. */
void ss_set_end(void)
{
	for (uint32_t number = 1; number < set.followed_count; number++) {
		if (set.followed[number].socket != NULL) {
			set.followed[number].socket->followed = 0;
		}
	}
	free(set.followed);
	free(set.free.numbers);
	free(set.touched.numbers);
	free(set.unread.numbers);
	free(set.events);
	if (set.is_open) {
		close(set.descriptor);
	}
	memset(&set, 0, sizeof(set));
}

/* False where there can be no set. */
bool ss_set_is_open(void)
{
	if (!set.is_open) {
		set.descriptor = epoll_create1(EPOLL_CLOEXEC);
		set.is_open = set.descriptor != -1;
		set.forks = ss_forks;
	}
	return set.is_open;
}

int ss_watch_descriptor(void)
{
	return set.descriptor;
}

int ss_watch_highest(void)
{
	int highest = -1;

	for (uint32_t number = 1; number < set.followed_count; number++) {
		const ss_socket *socket = set.followed[number].socket;
		if (socket != NULL && socket->netstream.socket > highest) {
			highest = socket->netstream.socket;
		}
	}
	return highest;
}

/* ---- numbers ---- */

static void push(ss_numbers *list, uint32_t number)
{
	if (list->count == list->capacity) {
		list->capacity = list->capacity ? 2 * list->capacity : SS_FEWEST;
		list->numbers = ss_enlarged(list->numbers, list->capacity, sizeof(uint32_t));
	}
	list->numbers[list->count++] = number;
}

ss_followed *ss_set_stream(uint32_t number)
{
	return &set.followed[number];
}

static uint32_t new_number(void)
{
	if (set.free.count > 0) {
		return set.free.numbers[--set.free.count];
	}
	if (set.followed_count == set.followed_capacity) {
		set.followed_capacity = set.followed_capacity ? 2 * set.followed_capacity : SS_FEWEST;
		set.followed = ss_enlarged(set.followed, set.followed_capacity, sizeof(ss_followed));
	}
	if (set.followed_count == 0) {
		set.followed_count = 1;
	}
	memset(&set.followed[set.followed_count], 0, sizeof(ss_followed));
	return set.followed_count++;
}

/* The number of a stream of ours; a new one if it has none. */
uint32_t ss_set_number(php_stream *stream)
{
	ss_socket *socket = stream->abstract;

	if (socket->followed == 0) {
		/* The lists may still have it, as what it was before. */
		uint32_t number = new_number();
		set.followed[number].stream = stream;
		set.followed[number].socket = socket;
		set.followed[number].events = 0;
		socket->followed = number;
	}
	return socket->followed;
}

static void let_go(uint32_t number)
{
	ss_followed *followed = &set.followed[number];

	followed->socket->followed = 0;
	followed->socket = NULL;
	followed->stream = NULL;
	push(&set.free, number);
}

/* ---- what the kernel is told ---- */

/* Its events may have changed. */
void ss_set_touch(uint32_t number)
{
	ss_followed *followed = &set.followed[number];

	if (!followed->is_touched) {
		followed->is_touched = true;
		push(&set.touched, number);
	}
}

static bool tell(uint32_t number, uint32_t events)
{
	ss_followed *followed = &set.followed[number];
	struct epoll_event event = {.events = events, .data.u32 = number};
	int operation = events == 0 ? EPOLL_CTL_DEL
		: followed->events == 0 ? EPOLL_CTL_ADD
		: EPOLL_CTL_MOD;

	followed->events = events;
	return epoll_ctl(set.descriptor, operation, followed->socket->netstream.socket, &event) == 0;
}

bool ss_set_has_changes(void)
{
	return set.touched.count > 0;
}

/* Tells the kernel what has changed; false where it takes no more. */
bool ss_set_tell_changes(void)
{
	bool taken = true;

	for (uint32_t index = 0; index < set.touched.count; index++) {
		uint32_t number = set.touched.numbers[index];
		ss_followed *followed = &set.followed[number];
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
	set.touched.count = 0;
	return taken;
}

/* Has the kernel say nothing of it until changes are told the next time. */
void ss_set_leave_out(uint32_t number)
{
	tell(number, 0);
	ss_set_touch(number);
}

/* Takes a stream out that stands in no array any more. */
void ss_set_remove(uint32_t number)
{
	if (set.followed[number].events != 0) {
		/* A child may have it open still, and the set would go on to tell of it. */
		tell(number, 0);
	}
	let_go(number);
}

/* ---- what is unread ---- */

/* PHP may have more of it than the script has taken. */
void ss_set_note_unread(uint32_t number)
{
	ss_followed *followed = &set.followed[number];

	if (!followed->may_have_unread) {
		followed->may_have_unread = true;
		push(&set.unread, number);
	}
}

/* The streams followed for reading that have bytes in PHP's buffer. */
const ss_numbers *ss_set_unread(void)
{
	uint32_t kept = 0;

	for (uint32_t index = 0; index < set.unread.count; index++) {
		uint32_t number = set.unread.numbers[index];
		ss_followed *followed = &set.followed[number];

		if (followed->stream != NULL && followed->first[SS_SET_READ] != 0
			&& followed->stream->writepos > followed->stream->readpos) {
			set.unread.numbers[kept++] = number;
		} else {
			followed->may_have_unread = false;
		}
	}
	set.unread.count = kept;
	return &set.unread;
}

/* ---- waiting ---- */

/* Waits, unless a wait has found what nobody has taken; -1 with ENOSYS where the system has no clock as
 * fine as select(2)'s. */
int ss_watch_wait(const struct timespec *timeout)
{
	int count;

	if (set.events_count > 0) {
		return (int) set.events_count;
	}
	if (set.events_capacity < set.followed_count) {
		set.events_capacity = set.followed_capacity;
		set.events = ss_enlarged(set.events, set.events_capacity, sizeof(*set.events));
	}
	/* At least one is needed to wait at all. */
	int room = set.events_capacity > 0 ? (int) set.events_capacity : 1;
	if (timeout != NULL && timeout->tv_sec == 0 && timeout->tv_nsec == 0) {
		count = epoll_wait(set.descriptor, set.events, room, 0);
	} else {
		count = epoll_pwait2(set.descriptor, set.events, room, timeout, NULL);
	}
	set.events_count = count > 0 ? (uint32_t) count : 0;
	return count;
}

const struct epoll_event *ss_set_events(uint32_t *count)
{
	*count = set.events_count;
	return set.events;
}

void ss_set_forget_events(void)
{
	set.events_count = 0;
}
