/* poll(2) in a task: it parks, and others go on meanwhile. */
#include "fibers.h"

#include <poll.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

/* Adds the `index`th descriptor to a set. One that is waited for twice is watched for both. */
static void add(int set, const struct pollfd *polled, uint32_t index)
{
	struct epoll_event event = {.data.fd = polled[index].fd};
	short events = polled[index].events;

	for (int operation = EPOLL_CTL_ADD;; operation = EPOLL_CTL_MOD) {
		event.events = (events & POLLIN ? EPOLLIN : 0) | (events & POLLOUT ? EPOLLOUT : 0)
			| (events & POLLPRI ? EPOLLPRI : 0);
		if (epoll_ctl(set, operation, polled[index].fd, &event) == 0 || errno != EEXIST) {
			return;
		}
		for (uint32_t before = 0; before < index; before++) {
			events |= polled[before].fd == polled[index].fd ? polled[before].events : 0;
		}
	}
}

/* Parks until one of them may be ready: a set of their own stands for them all. */
static enum ss_waited park(const struct pollfd *polled, uint32_t count, ss_patience *patience)
{
	int set = epoll_create1(EPOLL_CLOEXEC);

	if (set == -1) {
		return SS_CLOSED;
	}
	for (uint32_t index = 0; index < count; index++) {
		add(set, polled, index);
	}
	enum ss_waited waited = ss_await_descriptor(set, patience);
	close(set);
	return waited;
}

/* As ppoll(2), with the reason in errno: EBADF where somebody closes one of what is held. */
int ss_parked_poll(struct pollfd *polled, uint32_t count, const void *const *held,
	uint32_t held_count, const struct timespec *timeout)
{
	static const struct timespec none;
	ss_patience patience = {-1, 0};
	ss_holder holder = {.held = held, .count = held_count};

	if (timeout != NULL && timeout->tv_sec < INT64_MAX / 2000000000) {
		patience.timeout = timeout->tv_sec * INT64_C(1000000000) + timeout->tv_nsec;
	}
	for (;;) {
		int ready = ppoll(polled, count, &none, NULL);
		if (ready != 0 || patience.timeout == 0) {
			return ready;
		}
		ss_holder_enter(&holder);
		enum ss_waited waited = holder.is_closing ? SS_READY : park(polled, count, &patience);
		ss_holder_leave(&holder);
		if (waited == SS_TOO_LATE) {
			return 0;
		}
		if (waited != SS_READY || holder.is_closing) {
			errno = waited == SS_READY ? EBADF : ECANCELED;
			return -1;
		}
	}
}
