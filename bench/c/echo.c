/* The floor of the rows `echo` and `idle`: edge-triggered epoll, one buffer for all connections and
 * nothing kept for any. What a client doesn't take at once is its end: the load sends nothing more
 * before it has its answer. Usage: echo PORT */
#define _GNU_SOURCE
#include "floor.h"
#include <sys/epoll.h>

#define EVENTS 256

/* 65,483-byte segments of loopback leave a tail behind 64 KiB. */
static char buffer[60 * 1024];

static void add(int epoll, int socket_, unsigned events) {
    struct epoll_event event = {.events = events, .data.fd = socket_};
    check(epoll_ctl(epoll, EPOLL_CTL_ADD, socket_, &event), "epoll_ctl");
}

static void drain(int epoll, int listener) {
    for (;;) {
        int connection = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (connection >= 0)
            add(epoll, connection, EPOLLIN | EPOLLRDHUP | EPOLLET);
        else if (errno == EAGAIN)
            return;
        else if (errno != ECONNABORTED && errno != EINTR)
            check(-1, "accept4");
    }
}

static void echo(int connection, unsigned events) {
    for (;;) {
        ssize_t length = recv(connection, buffer, sizeof buffer, 0);
        if (length < 0 && errno == EAGAIN)
            return;
        if (length <= 0 || send(connection, buffer, length, MSG_NOSIGNAL) != length) {
            close(connection);
            return;
        }
        /* A short read took all there was, unless the end stands behind it. */
        if ((size_t)length < sizeof buffer && !(events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
            return;
    }
}

int main(int count, char **words) {
    if (count != 2)
        return 2;
    int listener = bound(SOCK_STREAM | SOCK_NONBLOCK, words[1]);
    int epoll = check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    add(epoll, listener, EPOLLIN);
    struct epoll_event events[EVENTS];
    for (;;) {
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        if (ready < 0 && errno != EINTR)
            check(-1, "epoll_wait");
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd == listener)
                drain(epoll, listener);
            else
                echo(events[i].data.fd, events[i].events);
        }
    }
}
