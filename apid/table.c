/*
 * A chained hash table of fixed width.
 */
#include "table.h"

struct table_entry *
table_find(const struct table *t, struct slice key)
{
	struct table_entry *e;
	unsigned            hash;

	if (t->n == 0)
		return NULL; /* as most are: nothing is hashed for them */
	hash = slice_hash(key);
	e = t->buckets[hash % TABLE_BUCKETS];
	while (e != NULL && (e->hash != hash || !slice_eq(e->key, key)))
		e = e->next;
	return e;
}

void
table_put(struct table *t, struct table_entry *e)
{
	struct table_entry **at;

	e->hash = slice_hash(e->key);
	at = &t->buckets[e->hash % TABLE_BUCKETS];
	e->next = *at;
	*at = e;
	t->n++;
}

void
table_remove(struct table *t, struct table_entry *e)
{
	struct table_entry **at = &t->buckets[e->hash % TABLE_BUCKETS];

	while (*at != NULL && *at != e)
		at = &(*at)->next;
	if (*at == NULL)
		return;
	*at = e->next;
	t->n--;
}
