/* SIGTERM and SIGINT, which drain servers and end them. They are the process's: the first thread that
 * serves takes them, until it is done. */
#include "fibers.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* What a thread has heard. */
typedef struct {
	volatile sig_atomic_t count;
	/* Readable when there is a signal, until it is silenced; -1 until somebody asks for it. */
	int descriptor;
	/* A child that a script forks has our handlers, and is none of the server's. */
	pid_t process;
} ss_hearing;

ZEND_TLS ss_hearing hearing = {.descriptor = -1};

static _Atomic(ss_hearing *) taker;

static const int ending[] = {SIGTERM, SIGINT};
static struct sigaction before[2];
static bool is_taken[2];

int ss_signal_descriptor(void)
{
	if (hearing.descriptor == -1) {
		hearing.descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	}
	return hearing.descriptor;
}

static void hear(ss_hearing *by)
{
	uint64_t one = 1;

	by->count++;
	if (write(by->descriptor, &one, sizeof(one)) < 0) {
		/* It is readable already. */
	}
}

static void note_signal(int number)
{
	int before = errno;
	ss_hearing *by = atomic_load(&taker);

	if (by != NULL && by->process == getpid()) {
		hear(by);
	} else {
		signal(number, SIG_DFL);
		raise(number);
	}
	errno = before;
}

/* Only what the script has left to the system: a handler of its own may call
 * stream_socket_serve_stop. */
void ss_signals_take(void)
{
	struct sigaction ours = {.sa_handler = note_signal};
	ss_hearing *nobody = NULL;

	ss_signal_descriptor();
	ss_signals_silence();
	hearing.count = 0;
	hearing.process = getpid();
	if (!atomic_compare_exchange_strong(&taker, &nobody, &hearing)) {
		return;
	}
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
	if (atomic_load(&taker) != &hearing) {
		return;
	}
	for (int index = 0; index < 2; index++) {
		if (is_taken[index]) {
			zend_sigaction(ending[index], &before[index], NULL);
			is_taken[index] = false;
		}
	}
	atomic_store(&taker, NULL);
}

void ss_signals_raise(void)
{
	hear(&hearing);
}

int ss_signals(void)
{
	return hearing.count;
}

bool ss_signals_silence(void)
{
	uint64_t count;

	return read(hearing.descriptor, &count, sizeof(count)) > 0;
}

/* In a worker, whose parent's descriptor this is, and at the end of a request. */
void ss_signals_forsake(void)
{
	ss_signals_give_back();
	if (hearing.descriptor != -1) {
		close(hearing.descriptor);
		hearing.descriptor = -1;
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
