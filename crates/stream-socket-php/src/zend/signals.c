/* SIGTERM and SIGINT, which drain servers and end them. They are the process's, and every thread that
 * serves is to hear them, whichever the system interrupts. */
#include "fibers.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* What a thread has heard. A handler may be at it in another thread at any time: so it is never freed nor
 * its descriptor closed, but both are another's when this one is done with them. */
typedef struct ss_hearing {
	struct ss_hearing *next;
	atomic_bool is_owned;
	/* The process in which it is to hear, or 0. A child that a script forks has our handlers, and is
	 * none of the server's. */
	_Atomic pid_t process;
	atomic_int count;
	/* Readable when there is a signal, until it is silenced; -1 until somebody asks for it. */
	int descriptor;
	pid_t descriptor_of;
} ss_hearing;

static _Atomic(ss_hearing *) hearings;

ZEND_TLS ss_hearing *own;

static const int ending[] = {SIGTERM, SIGINT};
static struct sigaction before[2];

/* ---- the hearing of a thread ---- */

static ss_hearing *add_hearing(void)
{
	ss_hearing *added = pecalloc(1, sizeof(*added), true);

	added->is_owned = true;
	added->descriptor = -1;
	added->next = atomic_load(&hearings);
	while (!atomic_compare_exchange_weak(&hearings, &added->next, added)) {
		/* Another thread was quicker, and its own is the next. */
	}
	return added;
}

static ss_hearing *hearing(void)
{
	for (ss_hearing *one = atomic_load(&hearings); own == NULL && one != NULL; one = one->next) {
		if (!atomic_exchange(&one->is_owned, true)) {
			own = one;
		}
	}
	if (own == NULL) {
		own = add_hearing();
	}
	return own;
}

int ss_signal_descriptor(void)
{
	ss_hearing *mine = hearing();

	if (mine->descriptor == -1) {
		mine->descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		mine->descriptor_of = getpid();
	}
	return mine->descriptor;
}

static void hear(ss_hearing *by)
{
	uint64_t one = 1;

	by->count++;
	if (write(by->descriptor, &one, sizeof(one)) < 0) {
		/* It is readable already. */
	}
}

void ss_signals_raise(void)
{
	hear(hearing());
}

int ss_signals(void)
{
	return hearing()->count;
}

bool ss_signals_silence(void)
{
	uint64_t count;

	return read(hearing()->descriptor, &count, sizeof(count)) > 0;
}

/* ---- handlers ---- */

/* The next that is to hear in this process. */
static ss_hearing *hearer(ss_hearing *from)
{
	pid_t process = getpid();

	while (from != NULL && from->process != process) {
		from = from->next;
	}
	return from;
}

static bool is_awaited(void)
{
	return hearer(atomic_load(&hearings)) != NULL;
}

static void note_signal(int number)
{
	int error = errno;
	ss_hearing *by = hearer(atomic_load(&hearings));

	if (by == NULL) {
		signal(number, SIG_DFL);
		raise(number);
	}
	for (; by != NULL; by = hearer(by->next)) {
		hear(by);
	}
	errno = error;
}

/* Past Zend, whose handler asks what the interrupted thread has set, and ends the process where that is
 * nothing. Only what the script has left to the system: a handler of its own may call
 * stream_socket_serve_stop. */
static void install(void)
{
	struct sigaction ours = {.sa_handler = note_signal};

	sigemptyset(&ours.sa_mask);
	for (int index = 0; index < 2; index++) {
		struct sigaction set, replaced;
		zend_sigaction(ending[index], NULL, &set);
		if (set.sa_handler != SIG_DFL && set.sa_handler != note_signal) {
			continue;
		}
		sigaction(ending[index], &ours, &replaced);
		if (replaced.sa_handler != note_signal) {
			before[index] = replaced;
		}
	}
}

static void uninstall(void)
{
	for (int index = 0; index < 2; index++) {
		struct sigaction set;
		if (sigaction(ending[index], NULL, &set) == 0 && set.sa_handler == note_signal) {
			sigaction(ending[index], &before[index], NULL);
		}
	}
}

void ss_signals_take(void)
{
	ss_signal_descriptor();
	ss_signals_silence();
	own->count = 0;
	own->process = getpid();
	install();
}

void ss_signals_give_back(void)
{
	if (own == NULL || own->process == 0) {
		return;
	}
	own->process = 0;
	if (is_awaited()) {
		return;
	}
	uninstall();
	if (is_awaited()) {
		/* Another thread has found ours in their places meanwhile. */
		install();
	}
}

/* Where a request begins, Zend puts its own handlers before those that it finds. */
void ss_signals_reclaim(void)
{
#ifdef ZTS
	if (is_awaited()) {
		install();
	}
#endif
}

/* In a worker, whose parent's descriptor this is, and at the end of a request. */
void ss_signals_forsake(void)
{
	ss_signals_give_back();
	if (own != NULL && own->descriptor != -1 && own->descriptor_of != getpid()) {
		close(own->descriptor);
		own->descriptor = -1;
	}
}

void ss_signals_shut_down(void)
{
	ss_signals_forsake();
	if (own != NULL) {
		own->is_owned = false;
		own = NULL;
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
