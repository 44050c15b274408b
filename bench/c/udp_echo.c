/* The floors of the row `udp-echo`. Usage: udp_echo single|batch|gso PORT
 *   single  recvfrom, sendto
 *   batch   recvmmsg, sendmmsg, 64 datagrams at most
 *   gso     recvmsg with UDP_GRO, sendmsg with UDP_SEGMENT: as many as the sender sent at once */
#define _GNU_SOURCE
#include "floor.h"
#include <netinet/udp.h>

#define BATCH 64
#define LARGEST 2048
#define GSO_LARGEST 65536

static void single(int socket_) {
    char datagram[LARGEST];
    for (;;) {
        struct sockaddr_in peer;
        socklen_t size = sizeof peer;
        ssize_t length =
            recvfrom(socket_, datagram, sizeof datagram, 0, (struct sockaddr *)&peer, &size);
        check(length, "recvfrom");
        check(sendto(socket_, datagram, length, 0, (struct sockaddr *)&peer, size), "sendto");
    }
}

static void batch(int socket_) {
    static char datagrams[BATCH][LARGEST];
    static struct sockaddr_in peers[BATCH];
    struct iovec parts[BATCH];
    struct mmsghdr messages[BATCH];
    memset(messages, 0, sizeof messages);
    for (int i = 0; i < BATCH; i++) {
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
        messages[i].msg_hdr.msg_name = &peers[i];
        parts[i].iov_base = datagrams[i];
    }
    for (;;) {
        for (int i = 0; i < BATCH; i++) {
            parts[i].iov_len = LARGEST;
            messages[i].msg_hdr.msg_namelen = sizeof peers[i];
        }
        /* Without MSG_WAITFORONE a blocking call waits for all 64. */
        int count = check(recvmmsg(socket_, messages, BATCH, MSG_WAITFORONE, NULL), "recvmmsg");
        for (int i = 0; i < count; i++)
            parts[i].iov_len = messages[i].msg_len;
        for (int sent = 0; sent < count;)
            sent += check(sendmmsg(socket_, messages + sent, count - sent, 0), "sendmmsg");
    }
}

/* The size of the datagrams that arrived as one: 0 if it was a single one. */
static int segment(struct msghdr *message) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
            int size;
            memcpy(&size, CMSG_DATA(c), sizeof size);
            return size;
        }
    }
    return 0;
}

static void gso(int socket_) {
    static char datagrams[GSO_LARGEST];
    int on = 1;
    check(setsockopt(socket_, SOL_UDP, UDP_GRO, &on, sizeof on), "UDP_GRO");
    for (;;) {
        struct sockaddr_in peer;
        char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
        struct iovec part = {datagrams, sizeof datagrams};
        struct msghdr message = {&peer, sizeof peer, &part, 1, control, sizeof control, 0};
        ssize_t length = recvmsg(socket_, &message, 0);
        part.iov_len = check(length, "recvmsg");
        unsigned short size = segment(&message);
        message.msg_controllen = 0;
        if (size != 0 && size < length) {
            message.msg_controllen = CMSG_SPACE(sizeof size);
            struct cmsghdr *c = CMSG_FIRSTHDR(&message);
            c->cmsg_level = SOL_UDP;
            c->cmsg_type = UDP_SEGMENT;
            c->cmsg_len = CMSG_LEN(sizeof size);
            memcpy(CMSG_DATA(c), &size, sizeof size);
        }
        check(sendmsg(socket_, &message, 0), "sendmsg");
    }
}

int main(int count, char **words) {
    if (count != 3)
        return 2;
    int socket_ = bound(SOCK_DGRAM, words[2]);
    if (strcmp(words[1], "single") == 0)
        single(socket_);
    if (strcmp(words[1], "batch") == 0)
        batch(socket_);
    if (strcmp(words[1], "gso") == 0)
        gso(socket_);
    return 2;
}
