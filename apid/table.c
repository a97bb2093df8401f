/*
 * A chained hash table whose buckets double, all at once: for the most that an
 * owner keeps it is a millisecond or two, once in as many puts as there are.
 */
#include "table.h"

#include <stdlib.h>

static struct table_entry **
bucket(struct table *t, unsigned hash)
{
	return t->buckets != NULL ? &t->buckets[hash & (t->size - 1)]
	                          : &t->chain;
}

static void
link_in(struct table *t, struct table_entry *e)
{
	struct table_entry **at = bucket(t, e->hash);

	e->next = *at;
	*at = e;
}

static void
link_all(struct table *t, struct table_entry *e)
{
	struct table_entry *next;

	for (; e != NULL; e = next) {
		next = e->next;
		link_in(t, e);
	}
}

/* Without memory it stays as it is until twice as many are there. */
static void
grow(struct table *t)
{
	struct table         old = *t;
	size_t               size = 2 * t->n;
	struct table_entry **buckets = calloc(size, sizeof *buckets);

	if (buckets == NULL)
		return;
	t->buckets = buckets;
	t->size = size;
	t->chain = NULL;
	link_all(t, old.chain);
	for (size_t i = 0; i < old.size; i++)
		link_all(t, old.buckets[i]);
	free(old.buckets);
}

struct table_entry *
table_find(const struct table *t, struct slice key)
{
	struct table_entry *e;
	unsigned            hash;

	if (t->n == 0)
		return NULL; /* as most are: nothing is hashed for them */
	hash = slice_hash(key);
	e = t->buckets != NULL ? t->buckets[hash & (t->size - 1)] : t->chain;
	while (e != NULL && (e->hash != hash || !slice_eq(e->key, key)))
		e = e->next;
	return e;
}

void
table_put(struct table *t, struct table_entry *e)
{
	e->hash = slice_hash(e->key);
	link_in(t, e);
	t->n++;
	if (t->n >= TABLE_FEW && t->n >= t->size && (t->n & (t->n - 1)) == 0)
		grow(t);
}

void
table_remove(struct table *t, struct table_entry *e)
{
	struct table_entry **at = bucket(t, e->hash);

	while (*at != NULL && *at != e)
		at = &(*at)->next;
	if (*at == NULL)
		return;
	*at = e->next;
	if (--t->n > 0)
		return;
	free(t->buckets);
	t->buckets = NULL;
	t->size = 0;
}
