/* What the floors share: they end at the first failure, and say at which call. */
#ifndef FLOOR_H
#define FLOOR_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096

static inline int check(int result, const char *call) {
    if (result < 0) {
        perror(call);
        exit(1);
    }
    return result;
}

/* A socket on 127.0.0.1 and the port given as text, listening if it is a stream. */
static inline int bound(int type, const char *port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int socket_ = check(socket(AF_INET, type | SOCK_CLOEXEC, 0), "socket");
    check(bind(socket_, (struct sockaddr *)&address, sizeof address), "bind");
    if ((type & SOCK_STREAM) && !(type & SOCK_DGRAM))
        check(listen(socket_, BACKLOG), "listen");
    return socket_;
}

#endif
