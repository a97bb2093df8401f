/*
 * A hash table with a queue through it, oldest first.
 */
#include "sent.h"

#include <stdlib.h>

struct sent_entry {
	struct table_entry   entry;     /* first: found by it */
	struct sent_entry   *newer;
	struct sent_outcome  outcome;
	size_t               bytes;
	char                 store[];   /* key, data, trace */
};

static void
drop_oldest(struct sent *s)
{
	struct sent_entry *e = s->oldest;

	s->oldest = e->newer;
	if (s->oldest == NULL)
		s->newest = NULL;
	table_remove(&s->table, &e->entry);
	s->n--;
	s->bytes -= e->bytes;
	free(e);
}

void
sent_close(struct sent *s)
{
	while (s->oldest != NULL)
		drop_oldest(s);
}

bool
sent_find(const struct sent *s, struct slice key, struct sent_outcome *o)
{
	const struct table_entry *e = table_find(&s->table, key);

	if (e == NULL)
		return false;
	*o = ((const struct sent_entry *)(const void *)e)->outcome;
	return true;
}

/* Copies into the store at *at and moves on. */
static struct slice
keep(char **at, struct slice s)
{
	struct slice kept = { *at, s.n };

	if (s.n > 0)
		memcpy(*at, s.p, s.n);
	*at += s.n;
	return kept;
}

enum err
sent_put(struct sent *s, struct slice key, const struct sent_outcome *o)
{
	size_t             n = key.n + o->data.n + o->trace.n;
	struct sent_entry *e;
	char              *at;

	if (table_find(&s->table, key) != NULL)
		return ERR_DUPLICATE;
	if ((e = malloc(sizeof *e + n)) == NULL)
		return ERR_NOMEM;
	at = e->store;
	e->newer = NULL;
	e->bytes = sizeof *e + n;
	e->entry.key = keep(&at, key);
	e->outcome = *o;
	e->outcome.data = keep(&at, o->data);
	e->outcome.trace = keep(&at, o->trace);
	table_put(&s->table, &e->entry);
	if (s->newest != NULL)
		s->newest->newer = e;
	else
		s->oldest = e;
	s->newest = e;
	s->n++;
	s->bytes += e->bytes;
	while (s->n > SENT_MAX || (s->bytes > SENT_BYTES_MAX && s->n > 1))
		drop_oldest(s);
	return ERR_OK;
}
