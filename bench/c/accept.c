/* The floor of the row `accept`: epoll, accept4, send, close. Usage: accept PORT [last]
 * With `last` the line and the end go in one segment: send with MSG_MORE, shutdown, close. */
#define _GNU_SOURCE
#include "floor.h"
#include <stdbool.h>
#include <sys/epoll.h>

static const char line[] = "The local time is 11/22/2026 10:06 pm\n";

/* Everything that waits in the backlog. */
static void drain(int listener, bool last) {
    int flags = MSG_NOSIGNAL | (last ? MSG_MORE : 0);
    for (;;) {
        int connection = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (connection < 0) {
            if (errno == EAGAIN)
                return;
            if (errno == ECONNABORTED || errno == EINTR)
                continue;
            check(-1, "accept4");
        }
        /* A client that is gone already is no concern of the others. */
        if (send(connection, line, sizeof line - 1, flags) < 0 && errno != EPIPE &&
            errno != ECONNRESET)
            check(-1, "send");
        if (last && shutdown(connection, SHUT_WR) < 0 && errno != ENOTCONN)
            check(-1, "shutdown");
        close(connection);
    }
}

int main(int count, char **words) {
    if (count != 2 && (count != 3 || strcmp(words[2], "last") != 0))
        return 2;
    int listener = bound(SOCK_STREAM | SOCK_NONBLOCK, words[1]);
    int epoll = check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    check(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event), "epoll_ctl");
    for (;;) {
        if (epoll_wait(epoll, &event, 1, -1) < 0 && errno != EINTR)
            check(-1, "epoll_wait");
        drain(listener, count == 3);
    }
}
