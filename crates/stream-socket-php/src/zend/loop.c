/* The loop: turns the engine and goes on with the tasks that it wakes. */
#include "fibers.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "ext/standard/file.h"

typedef struct {
	bool exists;
	bool is_running;
	/* A loop of the script's own watches ours: an epoll descriptor over it and a timer. */
	int foreign;
	int timer;
} ss_loop;

ZEND_TLS ss_loop loop = {.foreign = -1, .timer = -1};

/* Signals are the process's, and so are these. */
static volatile sig_atomic_t signals;
static int signal_descriptor = -1;

int64_t ss_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

int ss_signal_descriptor(void)
{
	if (signal_descriptor == -1) {
		signal_descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	}
	return signal_descriptor;
}

bool ss_loop_exists(void)
{
	return loop.exists;
}

/* To throw may leave by longjmp: nothing of Rust's is held by then. */
static void throw_failure(const char *what, ss_outcome *outcome)
{
	char text[256];

	if (outcome->text != NULL) {
		snprintf(text, sizeof(text), "%s: %.*s", what, (int) outcome->text_length, outcome->text);
	} else {
		snprintf(text, sizeof(text), "%s: %s", what, strerror(outcome->number));
	}
	ss_forget(outcome);
	zend_throw_error(NULL, "%s", text);
}

bool ss_loop_ensure(void)
{
	ss_outcome outcome = {0};

	if (loop.exists) {
		return true;
	}
	ss_loop_begin(ss_signal_descriptor(), &outcome);
	if (outcome.status != SS_OK) {
		throw_failure("cannot make a loop", &outcome);
		return false;
	}
	loop.exists = true;
	return true;
}

/* ---- signals ---- */

static void note_signal(int number)
{
	uint64_t one = 1;
	int before = errno;

	(void) number;
	signals++;
	if (write(signal_descriptor, &one, sizeof(one)) < 0) {
		/* It is readable already. */
	}
	errno = before;
}

static const int ending[] = {SIGTERM, SIGINT};
static struct sigaction before[2];
static bool is_taken[2];

/* Only what the script has left to the system: a handler of its own may call
 * stream_socket_serve_stop. */
void ss_signals_take(void)
{
	struct sigaction ours = {.sa_handler = note_signal};

	ss_signal_descriptor();
	signals = 0;
	sigemptyset(&ours.sa_mask);
	for (int index = 0; index < 2; index++) {
		zend_sigaction(ending[index], &ours, &before[index]);
		is_taken[index] = before[index].sa_handler == SIG_DFL;
		if (!is_taken[index]) {
			zend_sigaction(ending[index], &before[index], NULL);
		}
	}
}

void ss_signals_give_back(void)
{
	for (int index = 0; index < 2; index++) {
		if (is_taken[index]) {
			zend_sigaction(ending[index], &before[index], NULL);
			is_taken[index] = false;
		}
	}
}

void ss_signals_raise(void)
{
	note_signal(0);
}

int ss_signals(void)
{
	return signals;
}

bool ss_signals_silence(void)
{
	uint64_t count;

	return read(signal_descriptor, &count, sizeof(count)) > 0;
}

static void hear_signals(void)
{
	if (ss_signals_silence()) {
		ss_servers_drain(signals > 1);
	}
}

/* Handlers that a script has set run between two opcodes, and while the loop waits there is none. */
void ss_signals_run_handlers(void)
{
#if PHP_VERSION_ID >= 80200
	if (!zend_atomic_bool_exchange_ex(&EG(vm_interrupt), false)) {
		return;
	}
	if (zend_atomic_bool_load_ex(&EG(timed_out))) {
		zend_timeout();
	}
#else
	if (!EG(vm_interrupt)) {
		return;
	}
	EG(vm_interrupt) = 0;
	if (EG(timed_out)) {
		zend_timeout();
	}
#endif
	if (zend_interrupt_function != NULL) {
		zend_interrupt_function(EG(current_execute_data));
	}
}

/* ---- turning ---- */

static void go_on(ss_task *task, enum ss_waited waited)
{
	if (task->fiber->context.status == ZEND_FIBER_STATUS_INIT) {
		ss_task_begin(task);
	} else {
		ss_task_wake(task, waited);
	}
}

static void handle(const ss_event *event)
{
	switch (event->kind) {
		case SS_WOKEN:
			if (!ss_server_due(event->key)) {
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
		throw_failure("the loop cannot wait", &outcome);
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
	if (loop.is_running || !loop.exists) {
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
	if (signal_descriptor != -1) {
		close(signal_descriptor);
		signal_descriptor = -1;
	}
}

void ss_loop_shut_down(void)
{
	ss_signals_give_back();
	close_foreign();
}
