/* Runs a server for the benchmark and answers for it. Usage: guard PROGRAM WORD...
 *
 * - Whatever the server leaves behind becomes a child of this process and is reaped by it, so that
 *   its processor time is not lost: it counts into the cutime of /proc/PID/stat here.
 * - When standard input ends, because the benchmark is done or dead, the server's process group is
 *   ended: nothing survives.
 * - Every server starts with as many descriptors as the system allows.
 * Ends with the server's own status if that goes first. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* How long the group may take to end of SIGTERM, then of SIGKILL, in milliseconds. */
#define PATIENCE 1000

static void fail(const char *call) {
    perror(call);
    exit(125);
}

static void become(char **words, const sigset_t *before) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigprocmask(SIG_SETMASK, before, NULL);
    int null = open("/dev/null", O_RDONLY);
    if (null < 0 || dup2(null, 0) < 0)
        fail("/dev/null");
    execvp(words[0], words);
    fail(words[0]);
}

/* Whether any child is left; `status` is set once `server` was among the reaped. */
static int reap(pid_t server, int *status) {
    for (;;) {
        int ended;
        pid_t child = waitpid(-1, &ended, WNOHANG);
        if (child == 0)
            return 1;
        if (child < 0)
            return 0;
        if (child == server)
            *status = ended;
    }
}

static int is_empty_soon(int signals, pid_t server, int *status) {
    struct signalfd_siginfo information;
    for (int waited = 0; reap(server, status); waited += 10) {
        if (waited >= PATIENCE)
            return 0;
        struct pollfd wait = {signals, POLLIN, 0};
        if (poll(&wait, 1, 10) > 0 && read(signals, &information, sizeof information) < 0)
            fail("signalfd");
    }
    return 1;
}

static int end(int signals, pid_t server, int *status) {
    kill(-server, SIGTERM);
    if (is_empty_soon(signals, server, status))
        return 1;
    kill(-server, SIGKILL);
    return is_empty_soon(signals, server, status);
}

int main(int count, char **words) {
    if (count < 2)
        return 125;
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        fail("prctl");
    sigset_t child_ended, before;
    sigemptyset(&child_ended);
    sigaddset(&child_ended, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child_ended, &before);
    int signals = signalfd(-1, &child_ended, SFD_CLOEXEC);
    pid_t server = fork();
    if (signals < 0 || server < 0)
        fail("fork");
    if (server == 0)
        become(words + 1, &before);
    setpgid(server, server);

    int status = -1;
    struct pollfd waits[] = {{0, POLLIN, 0}, {signals, POLLIN, 0}};
    while (poll(waits, 2, -1) >= 0 || errno == EINTR) {
        struct signalfd_siginfo information;
        if (waits[1].revents && read(signals, &information, sizeof information) < 0)
            fail("signalfd");
        reap(server, &status);
        if (status != -1 || waits[0].revents)
            break;
    }
    int is_asked = status == -1;
    if (!end(signals, server, &status))
        fprintf(stderr, "guard: a process of the group would not end\n");
    return is_asked ? 0 : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
