/* Worker processes for stream_socket_serve: they share its listeners, and are replaced when they
 * end. */
#include "serve.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "zend_exceptions.h"

/* One that ends so soon after its start is not replaced at once, but after a wait that doubles. */
#define SOON INT64_C(1000000000)
#define FIRST_WAIT INT64_C(100000000)
#define LONGEST_WAIT INT64_C(5000000000)

typedef struct {
	pid_t process;
	/* Readable when it has ended; -1 while there is none. */
	int descriptor;
	int64_t started;
	/* When it is to be started, while there is none. */
	int64_t due;
	int64_t wait;
} ss_worker;

typedef struct {
	ss_server *server;
	ss_worker *workers;
	struct pollfd *polled;
	ss_counts *counts;
	zend_long count;
	zend_long restarts;
	/* Signals that have been passed on. */
	int heard;
} ss_crew;

ZEND_TLS bool is_supervising;

bool ss_workers_stop(void)
{
	if (is_supervising) {
		ss_signals_raise();
	}
	return is_supervising;
}

void ss_workers_shut_down(void)
{
	is_supervising = false;
}

static bool is_ending(const ss_crew *crew)
{
	return crew->heard > 0;
}

/* What a worker makes of what it has inherited. */
static void settle(ss_crew *crew, zend_long index, pid_t parent)
{
	struct sigaction ignored = {.sa_handler = SIG_IGN};

	for (zend_long other = 0; other < crew->count; other++) {
		if (crew->workers[other].descriptor != -1) {
			close(crew->workers[other].descriptor);
		}
	}
	ss_loop_forsake();
	/* A terminal interrupts all of its processes: the parent hears it and tells the workers. */
	sigemptyset(&ignored.sa_mask);
	zend_sigaction(SIGINT, &ignored, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	/* A signal may have come before it was this process's own to die of. */
	if (getppid() != parent || ss_signals() > 0) {
		kill(getpid(), SIGTERM);
	}
	crew->server->counts = &crew->counts[index];
}

/* True in the worker. */
static bool start(ss_crew *crew, zend_long index)
{
	ss_worker *worker = &crew->workers[index];
	pid_t parent = getpid(), process = fork();

	if (process == 0) {
		settle(crew, index, parent);
		return true;
	}
	worker->started = ss_now();
	worker->process = process;
	worker->descriptor = process == -1 ? -1 : (int) syscall(SYS_pidfd_open, process, 0);
	if (worker->descriptor == -1) {
		php_error_docref(NULL, E_WARNING, "A worker can't be started: %s", strerror(errno));
		if (process > 0) {
			kill(process, SIGKILL);
			waitpid(process, NULL, 0);
		}
		worker->due = worker->started + SOON;
	}
	return false;
}

static void report(int status)
{
	if (WIFSIGNALED(status)) {
		php_error_docref(NULL, E_WARNING, "A worker was ended by signal %d, and is replaced", WTERMSIG(status));
	} else if (WEXITSTATUS(status) != 0) {
		php_error_docref(NULL, E_WARNING, "A worker has ended with exit code %d, and is replaced",
			WEXITSTATUS(status));
	}
}

static void bury(ss_crew *crew, ss_worker *worker)
{
	int status = 0;

	pid_t ended = waitpid(worker->process, &status, WNOHANG);
	/* Where the script ignores or takes ends of children, nobody knows how it has ended. */
	if (ended != worker->process && !(ended == -1 && errno == ECHILD)) {
		return;
	}
	close(worker->descriptor);
	worker->descriptor = -1;
	int64_t now = ss_now();
	bool is_soon = now - worker->started < SOON && status != 0;
	worker->wait = !is_soon ? 0 : worker->wait == 0 ? FIRST_WAIT
		: worker->wait * 2 > LONGEST_WAIT ? LONGEST_WAIT : worker->wait * 2;
	worker->due = now + worker->wait;
	if (!is_ending(crew)) {
		report(status);
		crew->restarts++;
	}
}

/* Starts those that are due; true in a worker. */
static bool start_due(ss_crew *crew)
{
	int64_t now = ss_now();

	for (zend_long index = 0; index < crew->count && !is_ending(crew); index++) {
		ss_worker *worker = &crew->workers[index];
		if (worker->descriptor == -1 && worker->due <= now && start(crew, index)) {
			return true;
		}
	}
	return false;
}

static int patience(const ss_crew *crew)
{
	int64_t next = INT64_MAX, now = ss_now();

	for (zend_long index = 0; index < crew->count && !is_ending(crew); index++) {
		const ss_worker *worker = &crew->workers[index];
		if (worker->descriptor == -1 && worker->due < next) {
			next = worker->due;
		}
	}
	return next == INT64_MAX ? -1 : next <= now ? 0 : (int) ((next - now) / 1000000) + 1;
}

static void tell_to_end(ss_crew *crew)
{
	crew->heard++;
	for (zend_long index = 0; index < crew->count; index++) {
		if (crew->workers[index].descriptor != -1) {
			kill(crew->workers[index].process, SIGTERM);
		}
	}
}

static void pass_on_signals(ss_crew *crew)
{
	for (int count = ss_signals(); crew->heard < count;) {
		tell_to_end(crew);
	}
}

static bool is_deserted(const ss_crew *crew)
{
	for (zend_long index = 0; index < crew->count; index++) {
		if (crew->workers[index].descriptor != -1) {
			return false;
		}
	}
	return is_ending(crew);
}

static void await_ends(ss_crew *crew)
{
	for (zend_long index = 0; index < crew->count; index++) {
		/* A negative descriptor is passed over. */
		crew->polled[index] = (struct pollfd) {crew->workers[index].descriptor, POLLIN, 0};
	}
	crew->polled[crew->count] = (struct pollfd) {ss_signal_descriptor(), POLLIN, 0};
	if (poll(crew->polled, crew->count + 1, patience(crew)) <= 0) {
		return;
	}
	ss_signals_silence();
	for (zend_long index = 0; index < crew->count; index++) {
		if (crew->polled[index].revents != 0) {
			bury(crew, &crew->workers[index]);
		}
	}
}

/* In the parent until all have ended; true in a worker. */
static bool run(ss_crew *crew)
{
	while (!is_deserted(crew)) {
		if (start_due(crew)) {
			return true;
		}
		await_ends(crew);
		pass_on_signals(crew);
		ss_signals_run_handlers();
		if (EG(exception) != NULL && !is_ending(crew)) {
			/* Thrown by a handler of signals: on its way out it takes the workers along. */
			tell_to_end(crew);
		}
	}
	return false;
}

static void add_up(ss_crew *crew)
{
	ss_counts *sum = &crew->server->own_counts;

	for (zend_long index = 0; index < crew->count; index++) {
		const ss_counts *one = &crew->counts[index];
		sum->accepted += one->accepted;
		sum->finished += one->finished;
		sum->failed += one->failed;
		sum->ended += one->ended;
		sum->peak += one->peak;
		sum->exhausted += one->exhausted;
		sum->lost += one->lost;
	}
}

bool ss_workers_run(ss_server *server, zend_long *restarts)
{
	ss_crew crew = {.server = server, .count = server->workers};
	size_t size = crew.count * sizeof(ss_counts);

	crew.counts = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (crew.counts == MAP_FAILED) {
		zend_throw_error(NULL, "stream_socket_serve() has no memory for its workers: %s", strerror(errno));
		return true;
	}
	crew.workers = safe_emalloc(crew.count, sizeof(ss_worker), 0);
	crew.polled = safe_emalloc(crew.count + 1, sizeof(struct pollfd), 0);
	for (zend_long index = 0; index < crew.count; index++) {
		crew.workers[index] = (ss_worker) {.descriptor = -1};
	}
	ss_signals_take();
	is_supervising = true;
	bool is_worker = run(&crew);
	is_supervising = false;
	efree(crew.workers);
	efree(crew.polled);
	if (is_worker) {
		/* The counters go with the process. */
		return false;
	}
	ss_signals_give_back();
	add_up(&crew);
	munmap(crew.counts, size);
	*restarts = crew.restarts;
	return true;
}
