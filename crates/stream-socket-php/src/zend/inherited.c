/* Sockets that PHP was started with: fd and systemd. */
#include "module.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#define INHERITABLE 1024

/* The descriptors that PHP was started with. Those that scripts open are open across exec as well, so
 * that nothing else tells them apart. */
static uint64_t inherited[INHERITABLE / 64];

void ss_inherited_note(void)
{
	struct pollfd all[INHERITABLE];
	long limit = sysconf(_SC_OPEN_MAX);
	int count = limit > 0 && limit < INHERITABLE ? (int) limit : INHERITABLE;

	for (int number = 0; number < count; number++) {
		all[number] = (struct pollfd) {number, 0, 0};
	}
	if (poll(all, count, 0) < 0) {
		return;
	}
	for (int number = 0; number < count; number++) {
		if (!(all[number].revents & POLLNVAL)) {
			inherited[number / 64] |= UINT64_C(1) << (number % 64);
		}
	}
}

bool ss_is_inherited(const ss_socket *socket)
{
	return socket->transport == SS_FD || socket->transport == SS_SYSTEMD;
}

/* Whether a descriptor is not one that a script has opened. What is none is told by Rust. */
bool ss_inherited_may_take(const ss_socket *socket, php_stream_xport_param *param)
{
	char *end;

	if (socket->transport != SS_FD) {
		return true;
	}
	unsigned long number = strtoul(param->inputs.name, &end, 10);
	bool came = number < INHERITABLE && (inherited[number / 64] >> (number % 64) & 1);
	if (came || *end != '\0' || fcntl((int) number, F_GETFD) == -1) {
		return true;
	}
	if (param->want_errortext) {
		param->outputs.error_text = strpprintf(0, "descriptor %lu was opened by this process, not inherited", number);
	}
	return false;
}

/* An inherited socket has told what it is. */
void ss_inherited_found_out(php_stream *stream, const ss_socket *socket)
{
	stream->ops = ss_operations[socket->transport];
	if (ss_is_datagram(socket)) {
		stream->chunk_size = 65536;
	}
}
