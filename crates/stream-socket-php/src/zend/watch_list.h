/* What an array of stream_select was at the last call. */
#ifndef STREAM_SOCKET_WATCH_LIST_H
#define STREAM_SOCKET_WATCH_LIST_H

#include "watch.h"

/* What is no resource. */
#define SS_NO_RESOURCE ((zend_resource *) 1)

/* Fewer are polled as quickly, and a connection that comes and goes need not be told to the kernel
 * twice. */
#define SS_FEWEST 64

/* By what a table is recognised without a look at its elements. */
typedef struct {
	/* NULL: by nothing. */
	const HashTable *table;
	uint32_t used;
	uint32_t elements;
	zend_long next_key;
	/* The number that the next resource gets. */
	zend_long next_resource;
} ss_likeness;

/* Each list has an item for each place of the array's table. */
typedef struct {
	zend_resource **known;
	/* The number of the stream that is followed, or 0. */
	uint32_t *number;
	/* Where the same stream stands next, plus one. */
	uint32_t *next;
	uint32_t used;
	uint32_t capacity;
	/* At how many places there are streams that are followed, and how many those are. */
	uint32_t followed;
	uint32_t streams;
	/* The places of what stands apart. */
	uint32_t *apart;
	uint32_t apart_count;
	ss_likeness likeness;
	/* The place from which the next slice is compared. */
	uint32_t slice;
} ss_list;

/* The resource of an element: NULL where there is none, SS_NO_RESOURCE of what is something else. */
static zend_always_inline zend_resource *ss_resource_of(const zval *element)
{
	if (EXPECTED(Z_TYPE_P(element) == IS_RESOURCE)) {
		return Z_RES_P(element);
	}
	ZVAL_DEREF(element);
	if (Z_TYPE_P(element) == IS_RESOURCE) {
		return Z_RES_P(element);
	}
	return Z_ISUNDEF_P(element) ? NULL : SS_NO_RESOURCE;
}

/* Whether a place of a table has what it had. */
static zend_always_inline bool ss_list_has(const ss_list *list, const HashTable *table, uint32_t place)
{
	return ss_resource_of(ss_element(table, place)) == list->known[place];
}

static zend_always_inline uint32_t ss_used_of(const HashTable *table)
{
	return table ? table->nNumUsed : 0;
}

/* PHP's own memory has a limit, at which it would leave in the middle of a change. */
void *ss_enlarged(void *items, uint32_t count, size_t size);
void ss_list_reserve(ss_list *list, uint32_t used);
void ss_list_free(ss_list *list);
uint32_t ss_list_differences(const ss_list *list, const HashTable *table);
void ss_list_changes(ss_list *list);
void ss_list_learn(ss_list *list, HashTable *table, uint32_t open);
bool ss_list_recognises(ss_list *list, const HashTable *table);

#endif
