/*
 * table: things found by a key.  Entries live in their owners' structs.  The
 * owners bound their number, so the buckets are as many as they will be.
 */
#ifndef TABLE_H
#define TABLE_H

#include "slice.h"

enum { TABLE_BUCKETS = 4096 };

struct table_entry {
	struct table_entry *next;
	struct slice        key;    /* the owner's bytes, unchanging */
	unsigned            hash;
};

struct table {
	struct table_entry *buckets[TABLE_BUCKETS];
	size_t              n;
};

struct table_entry *table_find(const struct table *, struct slice key);
/* The entry's key is set; no other has it. */
void table_put(struct table *, struct table_entry *);
void table_remove(struct table *, struct table_entry *);

#endif
