/* The operations of a stream in a task: what would block tries, parks, and tries again. */
#include "parked.h"
#include "crypto.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct timeval none;

/* The stream stays while somebody is in one of its operations, parked or not. */
static bool give_way_in(ss_socket *socket)
{
	ss_enter(socket);
	bool goes_on = ss_give_way();
	ss_leave(socket);
	return goes_on && !ss_is_closing(socket);
}

/* ---- a stream that waits holds no buffer ---- */

#define SPARE_SIZE 8192
#define MOST_SPARE 16

typedef struct {
	unsigned char *buffers[MOST_SPARE];
	uint32_t count;
} ss_spare;

ZEND_TLS ss_spare spare;

static void give_up_buffer(php_stream *stream)
{
	if (stream->readpos != stream->writepos || stream->is_persistent) {
		return;
	}
	if (stream->readbuflen == SPARE_SIZE && spare.count < MOST_SPARE) {
		spare.buffers[spare.count++] = stream->readbuf;
	} else {
		efree(stream->readbuf);
	}
	stream->readbuf = NULL;
	stream->readbuflen = 0;
	stream->readpos = stream->writepos = 0;
}

static void take_buffer(php_stream *stream)
{
	if (stream->readbuf != NULL) {
		return;
	}
	stream->readbuflen = stream->chunk_size;
	stream->readbuf = stream->chunk_size == SPARE_SIZE && spare.count > 0
		? spare.buffers[--spare.count]
		: emalloc(stream->chunk_size);
	stream->readpos = stream->writepos = 0;
}

void ss_parked_shut_down(void)
{
	while (spare.count > 0) {
		efree(spare.buffers[--spare.count]);
	}
}

/* ---- reading and writing ---- */

ssize_t ss_parked_read(php_stream *stream, ss_socket *socket, char *buffer, size_t count, bool look_once,
	bool *eof, ss_outcome *outcome)
{
	ss_patience patience = ss_patience_for(socket, SS_READ);
	bool into_stream = stream->readbuf != NULL && buffer == (char *) stream->readbuf + stream->writepos;

	if (!look_once) {
		socket->netstream.timeout_event = 0;
	}
	if (!give_way_in(socket)) {
		return -1;
	}
	for (;;) {
		if (into_stream) {
			/* Another Fiber may have moved the buffer meanwhile. */
			take_buffer(stream);
			size_t room = stream->readbuflen - stream->writepos;
			buffer = (char *) stream->readbuf + stream->writepos;
			count = count < room ? count : room;
		}
		ssize_t came = ss_try_read(socket, buffer, count, eof, outcome);
		if (came != SS_WOULD_WAIT || look_once) {
			return came == SS_WOULD_WAIT ? 0 : came;
		}
		if (ss_manner_now() != SS_PARKS) {
			return -1;
		}
		if (into_stream) {
			give_up_buffer(stream);
		}
		ss_current_task()->stream = stream;
		enum ss_waited waited = ss_await(socket, SS_READ, &patience);
		if (waited != SS_READY && waited != SS_IDLE) {
			socket->netstream.timeout_event = waited == SS_TOO_LATE;
			return -1;
		}
	}
}

static ssize_t unwritten(ss_socket *socket, enum ss_waited waited, ss_outcome *outcome)
{
	if (waited == SS_TOO_LATE || waited == SS_CLOSED) {
		socket->netstream.timeout_event = waited == SS_TOO_LATE;
		outcome->status = SS_FAILED;
		outcome->number = waited == SS_TOO_LATE ? EAGAIN : EBADF;
	}
	return -1;
}

ssize_t ss_parked_write(ss_socket *socket, const char *bytes, size_t count, ss_outcome *outcome)
{
	ss_patience patience = ss_patience_for(socket, SS_WRITE);

	if (!give_way_in(socket)) {
		return -1;
	}
	for (;;) {
		ssize_t sent = ss_try_write(socket, bytes, count, outcome);
		if (sent != 0 || count == 0) {
			return sent;
		}
		if (ss_manner_now() != SS_PARKS) {
			return unwritten(socket, SS_TOO_LATE, outcome);
		}
		enum ss_waited waited = ss_await(socket, SS_WRITE, &patience);
		if (waited != SS_READY && waited != SS_IDLE) {
			return unwritten(socket, waited, outcome);
		}
	}
}

ssize_t ss_parked_peek(ss_socket *socket, char *buffer, size_t count, const struct timeval *wait, ss_outcome *outcome)
{
	ss_patience patience = ss_patience_of_time(wait);

	socket->netstream.timeout_event = 0;
	for (;;) {
		ssize_t length = ss_try_peek(socket, buffer, count, outcome);
		if (length != SS_WOULD_WAIT) {
			return length;
		}
		if (patience.timeout == 0 || ss_manner_now() != SS_PARKS) {
			return SS_WOULD_WAIT;
		}
		enum ss_waited waited = ss_await(socket, SS_READ, &patience);
		if (waited != SS_READY) {
			socket->netstream.timeout_event = waited == SS_TOO_LATE;
			return SS_WOULD_WAIT;
		}
	}
}

bool ss_parked_is_alive(ss_socket *socket, const struct timeval *wait)
{
	bool timed_out = socket->netstream.timeout_event;
	ss_outcome outcome = {0};
	char byte;
	ssize_t length = ss_parked_peek(socket, &byte, 1, wait, &outcome);

	/* Of this nothing is told. */
	socket->netstream.timeout_event = timed_out;
	ss_forget(&outcome);
	return length == SS_WOULD_WAIT || length > 0 || (length == 0 && ss_is_datagram(socket));
}

/* Whether handshakes can go on at once, or somebody is there to begin one. */
static bool has_news(ss_socket *socket)
{
	struct pollfd polled = {.events = POLLIN};
	ss_outcome outcome = {0};

	if (!ss_shakes_hands(socket)) {
		return false;
	}
	polled.fd = ss_descriptor(socket, true, &outcome);
	ss_settle(&outcome);
	return poll(&polled, 1, 0) > 0;
}

ss_socket *ss_parked_accept(ss_socket *socket, const struct timeval *timeout, ss_outcome *outcome)
{
	ss_patience patience = ss_patience_of_time(timeout);

	for (;;) {
		ss_socket *client = ss_accept(socket, &none, true, outcome);
		if (client != NULL || outcome->status != SS_TIMED_OUT) {
			return client;
		}
		enum ss_waited waited;
		if (has_news(socket)) {
			waited = give_way_in(socket) ? SS_READY : SS_ENDED;
		} else if (ss_has_room(socket)) {
			ss_exhausted(socket, SS_READ);
			waited = ss_await(socket, SS_READ, &patience);
		} else {
			/* The backlog is readable, and of a place no descriptor tells. */
			waited = ss_await_moment(socket, &patience);
		}
		if (waited != SS_READY) {
			return NULL;
		}
		ss_forget(outcome);
		*outcome = (ss_outcome) {0};
	}
}

static bool becomes_ready(ss_socket *socket, enum ss_direction direction, ss_patience *patience)
{
	ss_exhausted(socket, direction);
	enum ss_waited waited = ss_manner_now() == SS_PARKS ? ss_await(socket, direction, patience) : SS_ENDED;
	socket->netstream.timeout_event = waited == SS_TOO_LATE;
	return waited == SS_READY;
}

bool ss_parked_readable(ss_socket *socket, ss_patience *patience)
{
	return becomes_ready(socket, SS_READ, patience);
}

bool ss_parked_writable(ss_socket *socket, ss_patience *patience)
{
	return becomes_ready(socket, SS_WRITE, patience);
}

/* ---- connecting ---- */

static void give_up(ss_socket *socket)
{
	ss_outcome outcome = {0};
	int descriptor = ss_release(socket, &outcome);

	ss_settle(&outcome);
	if (descriptor != -1) {
		close(descriptor);
	}
}

/* What a connect has come to: 0, or the system's number. */
static int come_out(ss_socket *socket)
{
	int error = 0;
	socklen_t length = sizeof(error);

	if (getsockopt(socket->netstream.socket, SOL_SOCKET, SO_ERROR, &error, &length) != 0) {
		return errno;
	}
	if (error == 0) {
		php_set_sock_blocking(socket->netstream.socket, 1);
	}
	return error;
}

/* Without time it may still have come out at once. */
static enum ss_waited come_so_far(const ss_socket *socket)
{
	struct pollfd polled = {.fd = socket->netstream.socket, .events = POLLOUT};

	return poll(&polled, 1, 0) > 0 ? SS_READY : SS_TOO_LATE;
}

/* Waits for a connect that has begun. */
static bool settle(ss_socket *socket, ss_patience *patience, ss_outcome *outcome)
{
	if (outcome->status != SS_OK) {
		return false;
	}
	enum ss_waited waited = patience->timeout == 0 ? come_so_far(socket) : ss_await(socket, SS_WRITE, patience);
	bool is_late = waited == SS_TOO_LATE;
	int error = waited == SS_READY ? come_out(socket) : is_late ? ETIMEDOUT : ECANCELED;
	if (error == 0) {
		*outcome = (ss_outcome) {0};
		return true;
	}
	give_up(socket);
	outcome->status = is_late ? SS_TIMED_OUT : SS_FAILED;
	outcome->number = error;
	return false;
}

/* Whether the time was up, or somebody ended the wait: then no other address is tried. */
static bool is_over(const ss_outcome *outcome)
{
	return outcome->status == SS_TIMED_OUT || outcome->number == ECANCELED || EG(exception) != NULL;
}

static void race(ss_socket *socket, const ss_ip *ips, size_t count, uint16_t port,
	const struct timeval *timeout, const ss_options *options, ss_outcome *outcome)
{
	struct timeval pause = {0};

	ss_race_begin(socket, ips, count, port, timeout, options, &pause, outcome);
	while (outcome->status == SS_OK && outcome->number == EINPROGRESS) {
		ss_patience patience = ss_patience_of_time(&pause);
		enum ss_waited waited = ss_await_descriptor(socket->netstream.socket, &patience);
		ss_forget(outcome);
		*outcome = (ss_outcome) {0};
		if (waited != SS_READY && waited != SS_TOO_LATE) {
			give_up(socket);
			outcome->status = SS_FAILED;
			outcome->number = ECANCELED;
			return;
		}
		ss_race_on(socket, &pause, outcome);
	}
}

void ss_parked_connect_inet(ss_socket *socket, const ss_ip *ips, size_t count, uint16_t port,
	const struct timeval *timeout, const ss_options *options, ss_outcome *outcome)
{
	ss_patience patience = ss_patience_of_time(timeout);

	if (options->happy_eyeballs.given && options->happy_eyeballs.value) {
		race(socket, ips, count, port, timeout, options, outcome);
		return;
	}

	for (size_t index = 0; index < count; index++) {
		ss_forget(outcome);
		*outcome = (ss_outcome) {0};
		ss_connect_inet(socket, &ips[index], 1, port, NULL, true, options, outcome);
		if (settle(socket, &patience, outcome) || is_over(outcome)) {
			return;
		}
	}
}

void ss_parked_connect_named(ss_socket *socket, const char *name, size_t length,
	const struct timeval *timeout, const ss_options *options, ss_outcome *outcome)
{
	const int64_t look_again = 5000000;
	ss_patience patience = ss_patience_of_time(timeout);
	int64_t until = timeout == NULL ? INT64_MAX : ss_now() + patience.timeout;

	for (;;) {
		ss_connect_named(socket, name, length, NULL, true, options, outcome);
		if (outcome->status == SS_OK || outcome->number != EAGAIN || ss_now() >= until) {
			settle(socket, &patience, outcome);
			return;
		}
		/* Its backlog is full, and no descriptor tells when that is over. */
		ss_patience span = {look_again, 0};
		if (ss_await_descriptor(-1, &span) != SS_TOO_LATE) {
			return;
		}
		ss_forget(outcome);
		*outcome = (ss_outcome) {0};
	}
}
