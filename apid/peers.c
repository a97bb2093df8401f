/*
 * A hash table with a list through it, ordered by when each was heard.
 */
#include "peers.h"

#include <stdlib.h>

struct peer {
	struct table_entry entry;   /* first: found by it */
	struct peer       *older, *newer;
	uint64_t           heard_ms;
	char               name[];
};

static void
unlink_peer(struct peers *ps, struct peer *p)
{
	*(p->older != NULL ? &p->older->newer : &ps->oldest) = p->newer;
	*(p->newer != NULL ? &p->newer->older : &ps->newest) = p->older;
}

static void
link_newest(struct peers *ps, struct peer *p, uint64_t now_ms)
{
	p->heard_ms = now_ms;
	p->newer = NULL;
	p->older = ps->newest;
	*(ps->newest != NULL ? &ps->newest->newer : &ps->oldest) = p;
	ps->newest = p;
}

static void
forget(struct peers *ps, struct peer *p)
{
	unlink_peer(ps, p);
	table_remove(&ps->table, &p->entry);
	free(p);
}

bool
peers_heard(struct peers *ps, struct slice name, uint64_t now_ms)
{
	struct table_entry *e;
	struct peer        *p;

	while (ps->oldest != NULL &&
	    (ps->table.n > PEERS_MAX ||
	        now_ms - ps->oldest->heard_ms >= PEERS_SILENT_MS))
		forget(ps, ps->oldest);
	if ((e = table_find(&ps->table, name)) != NULL) {
		p = (struct peer *)(void *)e;
		unlink_peer(ps, p);
		link_newest(ps, p, now_ms);
		return false;
	}
	if ((p = malloc(sizeof *p + name.n)) == NULL)
		return true;
	memcpy(p->name, name.p, name.n);
	p->entry.key = (struct slice){ p->name, name.n };
	table_put(&ps->table, &p->entry);
	link_newest(ps, p, now_ms);
	return true;
}

void
peers_close(struct peers *ps)
{
	while (ps->oldest != NULL)
		forget(ps, ps->oldest);
}
