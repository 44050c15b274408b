/* The streams that stream_select follows, by number, and the epoll set that they are in. */
#ifndef STREAM_SOCKET_WATCH_SET_H
#define STREAM_SOCKET_WATCH_SET_H

#include "watch.h"

#include <sys/epoll.h>

/* A stream that is followed. */
typedef struct {
	php_stream *stream;
	ss_socket *socket;
	/* Where it stands in each array first, plus one; 0 in each once it has been let go. */
	uint32_t first[SS_SETS];
	/* For what it is in the epoll set. */
	uint32_t events;
	/* The last turn in which it was told of as readable. */
	uint32_t told;
	/* Whether its events may have changed. */
	bool is_touched;
	bool may_have_unread;
} ss_followed;

typedef struct {
	uint32_t *numbers;
	uint32_t count;
	uint32_t capacity;
} ss_numbers;

bool ss_set_is_open(void);
bool ss_set_is_inherited(void);
void ss_set_end(void);
ss_followed *ss_set_stream(uint32_t number);
uint32_t ss_set_number(php_stream *stream);
void ss_set_touch(uint32_t number);
bool ss_set_has_changes(void);
bool ss_set_tell_changes(void);
void ss_set_leave_out(uint32_t number);
void ss_set_remove(uint32_t number);
void ss_set_note_unread(uint32_t number);
const ss_numbers *ss_set_unread(void);
const struct epoll_event *ss_set_events(uint32_t *count);
void ss_set_forget_events(void);

#endif
