/* What stream_select and watch.c say to each other. */
#ifndef STREAM_SOCKET_WATCH_H
#define STREAM_SOCKET_WATCH_H

#include "shim.h"

#include <time.h>

enum { SS_SET_READ, SS_SET_WRITE, SS_SET_EXCEPT, SS_SETS };

/* The elements of an array that are ready: where they stand in its table, and how many descriptors
 * they are. */
typedef struct {
	uint32_t *places;
	uint32_t count;
	uint32_t capacity;
	zend_long descriptors;
} ss_ready;

/* The element at a place of a table. */
static zend_always_inline zval *ss_element(const HashTable *table, uint32_t place)
{
	return HT_IS_PACKED(table) ? &table->arPacked[place] : &table->arData[place].val;
}

void ss_ready_add(ss_ready *ready, uint32_t place);

uint32_t ss_watch_follow(HashTable *const tables[SS_SETS]);
uint32_t ss_watch_turn(void);
const uint32_t *ss_watch_apart(int which, uint32_t *count);
uint32_t ss_watch_followed(int which);
bool ss_watch_has_ready(void);
void ss_watch_collect(ss_ready ready[SS_SETS]);

/* watch_set.c */
int ss_watch_descriptor(void);
int ss_watch_highest(void);
int ss_watch_wait(const struct timespec *timeout);

#endif
