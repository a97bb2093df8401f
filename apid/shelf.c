/*
 * A table by key, a list by age, and a database that follows them: few writes
 * a second at most, each committed at once.
 */
#include "shelf.h"

#include <stdlib.h>

#include "conf.h"
#include "log.h"

enum { OWNER = 0x526b4d65, VERSION = 1 };   /* "RkMe" */

static const char *const upgrades[VERSION] = {
	"CREATE TABLE shelf ("
	"  key BLOB PRIMARY KEY,"           /* media.c makes it */
	"  until_ms INTEGER NOT NULL,"      /* wall clock; 0: for long */
	"  value BLOB NOT NULL) WITHOUT ROWID"
};

struct shelf_entry {
	struct table_entry       entry;     /* first: found by it */
	TAILQ_ENTRY(shelf_entry) age;
	int64_t                  until_ms;
	size_t                   nvalue;
	char                     bytes[];   /* key, value */
};

static struct slice
value_of(const struct shelf_entry *e)
{
	return (struct slice){ e->bytes + e->entry.key.n, e->nvalue };
}

static struct shelf_entry *
find(const struct shelf *s, struct slice key)
{
	return (struct shelf_entry *)(void *)table_find(&s->table, key);
}

/* --- the file ------------------------------------------------------------- */

static void
close_file(struct shelf *s)
{
	store_stmt_free(&s->save);
	store_stmt_free(&s->drop);
	store_close(&s->store);
}

static void
file_failed(struct shelf *s, enum err e, int64_t now_ms)
{
	log_warn("shelf.failed", KV("file", (const char *)s->path),
	    KV("why", store_why(e)));
	close_file(s);
	s->failed_ms = now_ms;
}

static enum err
save_entry(struct shelf *s, const struct shelf_entry *e)
{
	store_bind_bytes(s->save, 1, e->entry.key);
	store_bind_int(s->save, 2, e->until_ms);
	store_bind_bytes(s->save, 3, value_of(e));
	return store_run(s->save);
}

static enum err
open_file(struct shelf *s)
{
	enum err e = store_open(&s->store, &s->options);

	if (e == ERR_OK)
		e = store_prepare(s->store, &s->save,
		    "INSERT OR REPLACE INTO shelf (key, until_ms, value)"
		    " VALUES (?, ?, ?)");
	if (e == ERR_OK)
		e = store_prepare(s->store, &s->drop,
		    "DELETE FROM shelf WHERE key = ?");
	return e;
}

/* A file that failed is made what memory is. */
static bool
file_serves(struct shelf *s, int64_t now_ms)
{
	struct shelf_entry *e;
	enum err            x;

	if (s->store != NULL)
		return true;
	if (now_ms >= s->failed_ms && now_ms - s->failed_ms < SHELF_AGAIN_MS)
		return false;
	if ((x = open_file(s)) == ERR_OK)
		x = store_exec(s->store, "DELETE FROM shelf");
	if (x == ERR_OK)
		TAILQ_FOREACH(e, &s->all, age)
			if ((x = save_entry(s, e)) != ERR_OK)
				break;
	if (x == ERR_OK)
		x = store_commit(s->store);
	if (x != ERR_OK)
		file_failed(s, x, now_ms);
	return x == ERR_OK;
}

static void
erase(struct shelf *s, struct slice key, int64_t now_ms)
{
	enum err x;

	if (!file_serves(s, now_ms))
		return;
	store_bind_bytes(s->drop, 1, key);
	if ((x = store_run(s->drop)) != ERR_OK)
		file_failed(s, x, now_ms);
}

static void
commit(struct shelf *s, int64_t now_ms)
{
	enum err x;

	if (s->store != NULL && (x = store_commit(s->store)) != ERR_OK)
		file_failed(s, x, now_ms);
}

/* --- memory --------------------------------------------------------------- */

static void
forget(struct shelf *s, struct shelf_entry *e)
{
	table_remove(&s->table, &e->entry);
	TAILQ_REMOVE(&s->all, e, age);
	s->n--;
	s->bytes -= sizeof *e + e->entry.key.n + e->nvalue;
	free(e);
}

static void
throw_away(struct shelf *s, struct shelf_entry *e, int64_t now_ms)
{
	erase(s, e->entry.key, now_ms);
	forget(s, e);
}

static struct shelf_entry *
add(struct shelf *s, struct slice key, struct slice value, int64_t until_ms)
{
	struct shelf_entry *e = malloc(sizeof *e + key.n + value.n);

	if (e == NULL)
		return NULL;
	*e = (struct shelf_entry){ .until_ms = until_ms, .nvalue = value.n };
	memcpy(e->bytes, key.p, key.n);
	if (value.n > 0)
		memcpy(e->bytes + key.n, value.p, value.n);
	e->entry.key = (struct slice){ e->bytes, key.n };
	table_put(&s->table, &e->entry);
	TAILQ_INSERT_TAIL(&s->all, e, age);
	s->n++;
	s->bytes += sizeof *e + key.n + value.n;
	return e;
}

bool
shelf_find(struct shelf *s, struct slice key, int64_t now_ms,
    struct slice *value)
{
	struct shelf_entry *e = find(s, key);

	if (e == NULL)
		return false;
	if (e->until_ms != 0 && e->until_ms <= now_ms) {
		throw_away(s, e, now_ms);
		commit(s, now_ms);
		return false;
	}
	*value = value_of(e);
	return true;
}

enum err
shelf_put(struct shelf *s, struct slice key, struct slice value,
    int64_t until_ms, int64_t now_ms)
{
	struct shelf_entry *old = find(s, key), *e;
	enum err            x;

	/* Before the old one goes: the value may lie in it. */
	if (old != NULL)
		table_remove(&s->table, &old->entry);
	e = add(s, key, value, until_ms);
	if (old != NULL) {
		if (e == NULL)
			table_put(&s->table, &old->entry);
		else {
			TAILQ_REMOVE(&s->all, old, age);
			s->n--;
			s->bytes -= sizeof *old + old->entry.key.n +
			    old->nvalue;
			free(old);
		}
	}
	if (e == NULL)
		return ERR_NOMEM;
	while (s->n > 1 && (s->n > SHELF_MAX || s->bytes > SHELF_BYTES_MAX))
		throw_away(s, TAILQ_FIRST(&s->all), now_ms);
	if (file_serves(s, now_ms) && (x = save_entry(s, e)) != ERR_OK)
		file_failed(s, x, now_ms);
	commit(s, now_ms);
	return ERR_OK;
}

void
shelf_drop(struct shelf *s, struct slice key, int64_t now_ms)
{
	struct shelf_entry *e = find(s, key);

	if (e == NULL)
		return;
	throw_away(s, e, now_ms);
	commit(s, now_ms);
}

size_t
shelf_drop_value(struct shelf *s, char kind, struct slice value,
    int64_t now_ms)
{
	struct shelf_entry *e = TAILQ_FIRST(&s->all), *next;
	size_t              n = 0;

	for (; e != NULL; e = next) {
		next = TAILQ_NEXT(e, age);
		if (e->bytes[0] != kind || !slice_eq(value_of(e), value))
			continue;
		throw_away(s, e, now_ms);
		n++;
	}
	commit(s, now_ms);
	return n;
}

/* --- life ----------------------------------------------------------------- */

static enum err
load(struct shelf *s, int64_t now_ms)
{
	struct store_stmt *rows;
	enum err           e = store_prepare(s->store, &rows,
	              "SELECT key, until_ms, value FROM shelf");

	while (e == ERR_OK && (e = store_row(rows)) == ERR_OK) {
		int64_t until = store_int(rows, 1);

		if (until != 0 && until <= now_ms)
			continue;
		if (s->n >= SHELF_MAX || s->bytes >= SHELF_BYTES_MAX)
			break;
		if (add(s, store_bytes(rows, 0), store_bytes(rows, 2),
		        until) == NULL)
			e = ERR_NOMEM;
	}
	store_stmt_free(&rows);
	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* What is over goes from the file too; a new one is not asked. */
static enum err
clear_old(struct shelf *s, int64_t now_ms)
{
	struct store_stmt *old;
	enum err           e = store_prepare(s->store, &old,
	              "DELETE FROM shelf WHERE until_ms <> 0"
	                        " AND until_ms <= ?");

	if (e != ERR_OK)
		return e;
	store_bind_int(old, 1, now_ms);
	e = store_run(old);
	store_stmt_free(&old);
	return e == ERR_OK ? store_commit(s->store) : e;
}

enum err
shelf_open(struct shelf *s, const char *dir, enum store_durability durability,
    int64_t now_ms)
{
	enum err e;

	*s = (struct shelf){ .options = { .owner = OWNER, .version = VERSION,
		.upgrades = upgrades, .durability = durability } };
	TAILQ_INIT(&s->all);
	if ((s->path = conf_path(dir, "media.db")) == NULL)
		return ERR_NOMEM;
	s->options.path = s->path;
	if ((e = open_file(s)) != ERR_OK || (e = load(s, now_ms)) != ERR_OK ||
	    (e = clear_old(s, now_ms)) != ERR_OK)
		file_failed(s, e, now_ms);
	return e == ERR_NOMEM ? e : ERR_OK;
}

void
shelf_close(struct shelf *s)
{
	if (s->path == NULL)
		return;
	close_file(s);
	while (!TAILQ_EMPTY(&s->all))
		forget(s, TAILQ_FIRST(&s->all));
	free(s->path);
	s->path = NULL;
}
