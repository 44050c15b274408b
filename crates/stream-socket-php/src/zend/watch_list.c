/* What the arrays of stream_select were at the last call, and whether they still are.
 *
 * What is remembered of an array are the addresses of its streams' resources: no table and no stream is
 * held, so that streams end when the script lets go of them, and arrays are changed without a copy.
 *
 * Even that costs more, on many thousands, than all the rest of a call. So it is left out where it
 * could find nothing of ours: in a table that is the same one, of the same size, that held every stream
 * of ours there is, with no resource made since. Nothing of ours is left then to be put into it, and
 * that streams have changed their places shows where one of them is ready (watch.c). What could be
 * missed is a stream that was there already, or that is not ours, put in the place of one that goes on
 * elsewhere. A slice of the table is compared all the same, the next one at each call, and all of it
 * before a call waits. */
#include "watch_list.h"

#include "ext/standard/file.h"

/* In so many calls all of a table is compared. */
#define SLICES 32
/* Where more are polled one by one, comparing is what costs least. */
#define MOST_APART 16
/* In a byte of a table's flags that Zend doesn't use, and clears in those that are made or copied: as
 * long as it is there, the table at an address is the one that it was. */
#define MARK 1

void *ss_enlarged(void *items, uint32_t count, size_t size)
{
	return safe_perealloc(items, count, size, 0, true);
}

void ss_list_reserve(ss_list *list, uint32_t used)
{
	if (used <= list->capacity) {
		return;
	}
	uint32_t capacity = list->capacity ? list->capacity : SS_FEWEST;
	while (capacity < used) {
		capacity *= 2;
	}
	list->known = ss_enlarged(list->known, capacity, sizeof(*list->known));
	list->number = ss_enlarged(list->number, capacity, sizeof(*list->number));
	list->next = ss_enlarged(list->next, capacity, sizeof(*list->next));
	list->apart = ss_enlarged(list->apart, capacity, sizeof(*list->apart));
	list->capacity = capacity;
}

void ss_list_free(ss_list *list)
{
	free(list->known);
	free(list->number);
	free(list->next);
	free(list->apart);
	memset(list, 0, sizeof(*list));
}

/* ---- comparing ---- */

/* So many elements are compared before it is asked whether they are the same. */
#define BLOCK 16

/* Whether elements are streams that stand where they stood: no branch at each, as on many thousands
 * that would cost more than all the rest of a call. */
static zend_always_inline bool is_same_block(const zval *elements, zend_resource *const *known)
{
	uintptr_t differing = 0;

	for (int index = 0; index < BLOCK; index++) {
		differing |= (uintptr_t) Z_RES(elements[index]) ^ (uintptr_t) known[index];
		differing |= Z_TYPE_INFO(elements[index]) ^ IS_RESOURCE_EX;
	}
	return differing == 0;
}

static uint32_t differences_packed(const ss_list *list, const zval *elements, uint32_t from, uint32_t to)
{
	uint32_t count = 0, place = from;

	while (place < to) {
		if (to - place >= BLOCK && is_same_block(&elements[place], &list->known[place])) {
			place += BLOCK;
			continue;
		}
		for (uint32_t end = MIN(place + BLOCK, to); place < end; place++) {
			count += ss_resource_of(&elements[place]) != list->known[place];
		}
	}
	return count;
}

static uint32_t differences_within(const ss_list *list, const HashTable *table, uint32_t from, uint32_t to)
{
	uint32_t count = 0;

	if (HT_IS_PACKED(table)) {
		return differences_packed(list, table->arPacked, from, to);
	}
	for (uint32_t place = from; place < to; place++) {
		count += ss_resource_of(&table->arData[place].val) != list->known[place];
	}
	return count;
}

/* How many places are not as they were. */
uint32_t ss_list_differences(const ss_list *list, const HashTable *table)
{
	uint32_t used = ss_used_of(table);
	uint32_t common = MIN(used, list->used);
	uint32_t count = MAX(used, list->used) - common;

	return common == 0 ? count : count + differences_within(list, table, 0, common);
}

/* ---- recognising ---- */

/* What was compared is not to be taken for what it was. */
void ss_list_changes(ss_list *list)
{
	list->likeness.table = NULL;
}

static ss_likeness likeness_of(const HashTable *table)
{
	return (ss_likeness) {table, table->nNumUsed, table->nNumOfElements, table->nNextFreeElement,
		EG(regular_list).nNextFreeElement};
}

/* Whether a resource is a stream of ours that counts among those that are open. */
static bool is_open_stream(const zend_resource *resource)
{
	const ss_socket *socket = resource != SS_NO_RESOURCE && resource->type == php_file_le_stream()
		? ss_socket_of(resource->ptr)
		: NULL;

	return socket != NULL && socket->counted;
}

/* How many streams of ours there are in an array. */
static uint32_t streams_in(const ss_list *list)
{
	uint32_t count = list->streams;

	for (uint32_t index = 0; index < list->apart_count; index++) {
		const zend_resource *resource = list->known[list->apart[index]];
		uint32_t before = 0;

		while (before < index && list->known[list->apart[before]] != resource) {
			before++;
		}
		count += before == index && is_open_stream(resource);
	}
	return count;
}

/* Learns to recognise a table that has just been compared, where that has every stream of ours. */
void ss_list_learn(ss_list *list, HashTable *table, uint32_t open)
{
	list->likeness.table = NULL;
	if (ss_used_of(table) == 0 || (GC_FLAGS(table) & GC_IMMUTABLE) || list->apart_count > MOST_APART
		|| streams_in(list) != open) {
		return;
	}
	table->u.v._unused2 |= MARK;
	list->likeness = likeness_of(table);
}

static bool is_like(const ss_likeness *known, const HashTable *table)
{
	if (table == NULL || known->table != table || !(table->u.v._unused2 & MARK)) {
		return false;
	}
	ss_likeness now = likeness_of(table);
	return now.used == known->used && now.elements == known->elements
		&& now.next_key == known->next_key && now.next_resource == known->next_resource;
}

/* Compares the next slice. */
static bool is_slice_as_known(ss_list *list, const HashTable *table)
{
	uint32_t from = list->slice < list->used ? list->slice : 0;
	uint32_t to = MIN(from + list->used / SLICES + 1, list->used);

	list->slice = to;
	return differences_within(list, table, from, to) == 0;
}

/* Whether a table may be taken for what it was, if what is ready in it stands where it stood. */
bool ss_list_recognises(ss_list *list, const HashTable *table)
{
	if (!is_like(&list->likeness, table)) {
		return false;
	}
	for (uint32_t index = 0; index < list->apart_count; index++) {
		if (!ss_list_has(list, table, list->apart[index])) {
			return false;
		}
	}
	return is_slice_as_known(list, table);
}
