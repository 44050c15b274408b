/* stream_select by poll(2): as many descriptors as there are, and unread bytes of one stream do not
 * hide what others have. */
#include "fibers.h"

#include <poll.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "ext/standard/file.h"

#define SETS 3
enum { READ, WRITE, EXCEPT };

/* What select(2) calls ready in each of its sets. */
static const short wanted[SETS] = {POLLIN, POLLOUT, POLLPRI};
static const short told[SETS] = {
	POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR,
	POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR,
	POLLPRI,
};

/* An element that can be waited on: its place in the array is its place here. */
typedef struct {
	struct pollfd *polled;
	bool buffered;
	bool ready;
} ss_member;

typedef struct {
	zval *array;
	/* What is in it, kept while others may change it. */
	HashTable *elements;
	ss_member *members;
	uint32_t count;
} ss_set;

typedef struct {
	ss_set sets[SETS];
	struct pollfd *polled;
	uint32_t polled_count;
	int highest;
	bool buffered;
} ss_selection;

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
	if (socket == NULL || socket->kind != SS_PEER) {
		return false;
	}
	bool pending = ss_has_pending(socket, &outcome);
	ss_settle(&outcome);
	return pending;
}

static struct pollfd *watch(ss_selection *selection, int descriptor, short events)
{
	struct pollfd *polled = &selection->polled[selection->polled_count++];

	*polled = (struct pollfd) {descriptor, events, 0};
	if (descriptor > selection->highest) {
		selection->highest = descriptor;
	}
	return polled;
}

/* Looks at every element once. What is no stream is a TypeError, and left out. */
static void gather(ss_selection *selection, int which)
{
	ss_set *set = &selection->sets[which];
	uint32_t place = 0;
	zval *element;

	ZEND_HASH_FOREACH_VAL(set->elements, element) {
		ss_member *member = &set->members[place++];
		php_stream *stream;

		ZVAL_DEREF(element);
		php_stream_from_zval_no_verify(stream, element);
		if (stream == NULL) {
			continue;
		}
		const ss_socket *socket = ss_socket_of(stream);
		int descriptor = descriptor_of(stream, socket);
		/* What a cast has decrypted or decoded is in the buffer now. */
		member->buffered = which == READ && has_unread(stream, socket);
		selection->buffered |= member->buffered;
		if (descriptor != -1) {
			set->count++;
			member->polled = watch(selection, descriptor, wanted[which]);
		}
	} ZEND_HASH_FOREACH_END();
}

static void gather_all(ss_selection *selection)
{
	uint32_t elements = 0;

	for (int which = 0; which < SETS; which++) {
		ss_set *set = &selection->sets[which];
		if (set->array != NULL) {
			set->elements = Z_ARRVAL_P(set->array);
			GC_TRY_ADDREF(set->elements);
			uint32_t count = zend_hash_num_elements(set->elements);
			set->members = ecalloc(count ? count : 1, sizeof(ss_member));
			elements += count;
		}
	}
	selection->polled = safe_emalloc(elements ? elements : 1, sizeof(struct pollfd), 0);
	for (int which = 0; which < SETS; which++) {
		if (selection->sets[which].array != NULL) {
			gather(selection, which);
		}
	}
}

static void release(ss_selection *selection)
{
	for (int which = 0; which < SETS; which++) {
		if (selection->sets[which].members != NULL) {
			efree(selection->sets[which].members);
			zend_array_release(selection->sets[which].elements);
		}
	}
	efree(selection->polled);
}

/* Adds the `index`th descriptor to a set. One that is waited for twice is watched for both. */
static void add(int set, const ss_selection *selection, uint32_t index)
{
	const struct pollfd *polled = &selection->polled[index];
	struct epoll_event event = {.data.fd = polled->fd};
	short events = polled->events;

	for (int operation = EPOLL_CTL_ADD;; operation = EPOLL_CTL_MOD) {
		event.events = (events & POLLIN ? EPOLLIN : 0) | (events & POLLOUT ? EPOLLOUT : 0)
			| (events & POLLPRI ? EPOLLPRI : 0);
		if (epoll_ctl(set, operation, polled->fd, &event) == 0 || errno != EEXIST) {
			return;
		}
		for (uint32_t before = 0; before < index; before++) {
			events |= selection->polled[before].fd == polled->fd ? selection->polled[before].events : 0;
		}
	}
}

/* Parks until one of them may be ready: a set of their own stands for them all. */
static enum ss_waited park(const ss_selection *selection, ss_patience *patience)
{
	int set = epoll_create1(EPOLL_CLOEXEC);

	if (set == -1) {
		return SS_CLOSED;
	}
	for (uint32_t index = 0; index < selection->polled_count; index++) {
		add(set, selection, index);
	}
	enum ss_waited waited = ss_await_descriptor(set, patience);
	close(set);
	return waited;
}

/* Waits in a task; -1 as ppoll(2), with the reason in errno. */
static int wait_parked(ss_selection *selection, const struct timespec *timeout)
{
	static const struct timespec none;
	ss_patience patience = {-1, 0};

	if (timeout != NULL && timeout->tv_sec < INT64_MAX / 2000000000) {
		patience.timeout = timeout->tv_sec * INT64_C(1000000000) + timeout->tv_nsec;
	}
	for (;;) {
		int ready = ppoll(selection->polled, selection->polled_count, &none, NULL);
		if (ready != 0 || patience.timeout == 0) {
			return ready;
		}
		switch (park(selection, &patience)) {
			case SS_READY:
				break;
			case SS_TOO_LATE:
				return 0;
			default:
				errno = ECANCELED;
				return -1;
		}
	}
}

/* Waits. A signal ends it, so that its handler gets its turn. */
static int wait_for(ss_selection *selection, const struct timespec *timeout)
{
	static const struct timespec none;
	enum ss_manner manner = selection->buffered ? SS_BLOCKS : ss_manner_now();

	if (manner == SS_PARKS) {
		return wait_parked(selection, timeout);
	}
	return ppoll(selection->polled, selection->polled_count,
		selection->buffered || manner == SS_FAILS ? &none : timeout, NULL);
}

/* Marks what is ready of one set, and counts it as select(2) does: each descriptor once. */
static zend_long mark(ss_set *set, short events)
{
	uint32_t count = set->array ? zend_hash_num_elements(set->elements) : 0;
	zend_long ready = 0;
	HashTable counted;

	zend_hash_init(&counted, 0, NULL, NULL, 0);
	for (uint32_t place = 0; place < count; place++) {
		ss_member *member = &set->members[place];
		const struct pollfd *polled = member->polled;

		member->ready = member->buffered || (polled != NULL && (polled->revents & events) != 0);
		if (member->ready) {
			ready += polled == NULL || zend_hash_index_add_empty_element(&counted, polled->fd) != NULL;
		}
	}
	zend_hash_destroy(&counted);
	return ready;
}

/* The array with what is ready in it, under the same keys. */
static void keep_ready(ss_set *set)
{
	HashTable *kept = zend_new_array(0);
	uint32_t place = 0;
	zend_ulong number;
	zend_string *key;
	zval *element;

	ZEND_HASH_FOREACH_KEY_VAL(set->elements, number, key, element) {
		if (!set->members[place++].ready) {
			continue;
		}
		ZVAL_DEREF(element);
		Z_TRY_ADDREF_P(element);
		if (key != NULL) {
			zend_hash_update(kept, key, element);
		} else {
			zend_hash_index_update(kept, number, element);
		}
	} ZEND_HASH_FOREACH_END();
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
	if (wait_for(selection, timeout) < 0) {
		int error = errno;
		if (EG(exception) != NULL) {
			RETURN_FALSE;
		}
		php_error_docref(NULL, E_WARNING, "Unable to select [%d]: %s (max_fd=%d)", error,
			strerror(error), selection->highest);
		RETURN_FALSE;
	}
	zend_long ready = 0;
	for (int which = 0; which < SETS; which++) {
		ready += mark(&selection->sets[which], told[which]);
		if (selection->sets[which].array != NULL) {
			keep_ready(&selection->sets[which]);
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
		Z_PARAM_ARRAY_EX2(selection.sets[READ].array, 1, 1, 0)
		Z_PARAM_ARRAY_EX2(selection.sets[WRITE].array, 1, 1, 0)
		Z_PARAM_ARRAY_EX2(selection.sets[EXCEPT].array, 1, 1, 0)
		Z_PARAM_LONG_OR_NULL(seconds, for_ever)
		Z_PARAM_OPTIONAL
		Z_PARAM_LONG_OR_NULL(microseconds, no_microseconds)
	ZEND_PARSE_PARAMETERS_END();

	gather_all(&selection);
	bool any = selection.sets[READ].count || selection.sets[WRITE].count || selection.sets[EXCEPT].count;
	if (!any) {
		zend_value_error("No stream arrays were passed");
	} else if (times(seconds, for_ever, microseconds, no_microseconds, &timeout)) {
		answer(&selection, for_ever ? NULL : &timeout, return_value);
	}
	release(&selection);
}
