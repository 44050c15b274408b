/* The loop: turns the engine and goes on with the tasks that it wakes. */
#include "fibers.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "ext/standard/file.h"

typedef struct {
	bool exists;
	bool is_running;
	/* The request is over: what it still runs, to close what is left, is to begin nothing. */
	bool is_over;
	/* A loop of the script's own watches ours: an epoll descriptor over it and a timer. */
	int foreign;
	int timer;
} ss_loop;

ZEND_TLS ss_loop loop = {.foreign = -1, .timer = -1};

int64_t ss_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

bool ss_loop_exists(void)
{
	return loop.exists;
}

bool ss_loop_ensure(void)
{
	ss_outcome outcome = {0};

	if (loop.exists) {
		return true;
	}
	if (loop.is_over) {
		zend_throw_error(NULL, "the request is over, and no task can begin");
		return false;
	}
	ss_loop_begin(ss_signal_descriptor(), &outcome);
	if (outcome.status != SS_OK) {
		ss_throw_failure("cannot make a loop", &outcome);
		return false;
	}
	loop.exists = true;
	return true;
}

/* ---- turning ---- */

static void hear_signals(void)
{
	if (ss_signals_silence() && ss_signals() > 0) {
		ss_servers_drain(ss_signals() > 1);
	}
}

static void go_on(ss_task *task, enum ss_waited waited)
{
	if (task->fiber->context.status == ZEND_FIBER_STATUS_INIT) {
		ss_task_begin(task);
	} else {
		ss_task_wake(task, waited);
	}
}

static bool is_task(uintptr_t key)
{
	return key != 0 && !SS_IS_SERVER(key);
}

static void foresee(const ss_event *event)
{
	const uintptr_t *coming = event->coming;

	if (is_task(coming[0])) {
		ss_task_foresee((const ss_task *) coming[0]);
	}
	for (size_t index = 1; index <= SS_AHEAD && coming[index] != 0; index++) {
		if (is_task(coming[index])) {
			ss_task_approach((const ss_task *) coming[index]);
		}
	}
	for (size_t index = 1 + SS_AHEAD; index < SS_COMING && coming[index] != 0; index++) {
		__builtin_prefetch((const char *) coming[index]);
		__builtin_prefetch((const char *) coming[index] + 64);
	}
}

static void handle(const ss_event *event)
{
	foresee(event);
	switch (event->kind) {
		case SS_WOKEN:
			if (SS_IS_SERVER(event->key)) {
				ss_server_due(event->key);
			} else {
				go_on((ss_task *) event->key, event->detail);
			}
			break;
		case SS_ARRIVED:
			ss_server_arrived((ss_server *) event->key, event->detail);
			break;
		case SS_SIGNAL:
			hear_signals();
			break;
	}
	ss_tasks_reap();
}

static void turn(int64_t timeout)
{
	ss_outcome outcome = {0};
	ss_event event;

	ss_loop_turn(timeout, &outcome);
	if (outcome.status != SS_OK) {
		ss_throw_failure("the loop cannot wait", &outcome);
		return;
	}
	ss_signals_run_handlers();
	/* What is given way to meanwhile has its turn when all others have had theirs. */
	for (size_t left = ss_loop_events(); left > 0 && EG(exception) == NULL && ss_loop_next(&event); left--) {
		handle(&event);
	}
}

void ss_loop_run(bool (*is_over)(void *), void *what)
{
	if (CG(unclean_shutdown)) {
		zend_throw_error(NULL, "a fatal error has ended all tasks");
		return;
	}
	if (loop.is_running) {
		zend_throw_error(NULL, "the loop is running already, and this place can't be left for it");
		return;
	}
	loop.is_running = true;
	while (EG(exception) == NULL && !is_over(what)) {
		if (ss_loop_is_idle()) {
			zend_throw_error(NULL, "what is waited for will never come: nothing that could wake it is awaited");
			break;
		}
		turn(-1);
	}
	loop.is_running = false;
}

void ss_loop_run_ready(void)
{
	if (loop.is_running || !loop.exists || CG(unclean_shutdown)) {
		return;
	}
	loop.is_running = true;
	turn(0);
	loop.is_running = false;
	ss_loop_arm();
}

/* ---- a part of a foreign loop ---- */

static bool watch(int set, int descriptor)
{
	struct epoll_event event = {.events = EPOLLIN};

	return epoll_ctl(set, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

int ss_loop_foreign(void)
{
	if (loop.foreign != -1) {
		return loop.foreign;
	}
	loop.foreign = epoll_create1(EPOLL_CLOEXEC);
	loop.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (loop.foreign == -1 || loop.timer == -1 || !watch(loop.foreign, loop.timer)
		|| !watch(loop.foreign, ss_loop_descriptor())) {
		return -1;
	}
	ss_loop_arm();
	return loop.foreign;
}

void ss_loop_arm(void)
{
	if (loop.timer == -1 || loop.is_running) {
		return;
	}
	int64_t next = ss_loop_next_turn();
	struct itimerspec when = {0};
	if (next >= 0) {
		when.it_value.tv_sec = next / 1000000000;
		when.it_value.tv_nsec = next % 1000000000 + (next == 0);
	}
	timerfd_settime(loop.timer, 0, &when, NULL);
}

static void close_foreign(void)
{
	if (loop.foreign != -1) {
		close(loop.foreign);
	}
	if (loop.timer != -1) {
		close(loop.timer);
	}
	if (loop.exists) {
		ss_loop_drop();
	}
	loop = (ss_loop) {.foreign = -1, .timer = -1};
}

void ss_loop_forsake(void)
{
	close_foreign();
	ss_signals_forsake();
}

void ss_loop_shut_down(void)
{
	ss_loop_forsake();
	ss_signals_shut_down();
	loop.is_over = true;
}

void ss_loop_reset(void)
{
	loop.is_over = false;
}
