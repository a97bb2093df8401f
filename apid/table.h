/*
 * table: things found by a key.  Entries live in their owners' structs, who
 * bound their number.  Zeroed it is empty.  A few entries take no memory of
 * the table's; of more, it has at most 16 bytes for each of the most there
 * were, until the last is removed: nothing is left to close.
 */
#ifndef TABLE_H
#define TABLE_H

#include "slice.h"

enum { TABLE_FEW = 8 };     /* a power of two */

struct table_entry {
	struct table_entry *next;
	struct slice        key;    /* the owner's bytes, unchanging */
	unsigned            hash;
};

struct table {
	struct table_entry **buckets;   /* NULL: all are in the one chain */
	struct table_entry  *chain;
	size_t               size, n;   /* buckets, a power of two; entries */
};

struct table_entry *table_find(const struct table *, struct slice key);
/* The entry's key is set; no other has it.  Without memory for more buckets
 * it is slower found, and found. */
void table_put(struct table *, struct table_entry *);
void table_remove(struct table *, struct table_entry *);

#endif
