/*
 * A hash table, a list by age, and a list of what the file lacks.  A commit
 * writes the latter, each row once however often it changed since the last
 * one; when that fails the list is still there.  Rows are found by their id
 * alone and appended in its order, so that a write costs little: the file has
 * no index, and what goes, goes from its beginning.
 */
#include "sent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "log.h"

enum {
	OWNER = 0x526b6150,     /* "RkaP" */
	VERSION = 2,
	ROW_BYTES = 64,         /* of a row, beside key, data and trace */
};

/* What stands in the column; never given another meaning. */
enum {
	OUTCOME_UNDER_WAY = 0, OUTCOME_OK = 1, OUTCOME_TIMEOUT = 2,
	OUTCOME_NOTED = 3       /* under way; left.h knows whether it left */
};

static const char *const upgrades[VERSION] = {
	"CREATE TABLE sent ("
	"  id INTEGER PRIMARY KEY,"
	"  until_ms INTEGER NOT NULL,"  /* wall clock; then it may go */
	"  outcome INTEGER NOT NULL,"   /* OUTCOME_ */
	"  key BLOB NOT NULL,"          /* call.c */
	"  status INTEGER,"             /* HTTP */
	"  trace BLOB,"
	"  data BLOB)",                 /* msgpack, as the worker gets it */
	"CREATE TABLE allowance ("
	"  key BLOB PRIMARY KEY,"       /* allowance.c */
	"  day INTEGER NOT NULL,"       /* since 1970, Beijing */
	"  used INTEGER NOT NULL) WITHOUT ROWID",
};

enum { ID = 1, UNTIL, OUTCOME, KEY, STATUS, TRACE, DATA };

struct sent_entry {
	struct table_entry      entry;      /* first: found by it */
	TAILQ_ENTRY(sent_entry) age, save;
	int64_t                 id, until_ms;
	enum result             result;
	unsigned                status;
	bool                    ended, erased, unsaved, in_file;
	bool                    noted;      /* that it leaves, will be */
	size_t                  bytes, ndata, ntrace;
	char                   *told;       /* data, trace; until saved */
	char                    key[];
};

/* The calls to one message, say: how many of them are known. */
struct family {
	struct table_entry entry;           /* first: found by it */
	size_t             n;
	char               key[];
};

/* --- families ------------------------------------------------------------- */

static void
family_add(struct sent *s, struct slice key)
{
	struct slice   name = s->family_of != NULL ? s->family_of(key)
	                                           : (struct slice){ NULL, 0 };
	struct family *f = NULL;

	if (name.n == 0)
		return;
	f = (struct family *)(void *)table_find(&s->families, name);
	if (f == NULL && (f = calloc(1, sizeof *f + name.n)) != NULL) {
		memcpy(f->key, name.p, name.n);
		f->entry.key = (struct slice){ f->key, name.n };
		table_put(&s->families, &f->entry);
	}
	if (f != NULL)
		f->n++;
}

static void
family_drop(struct sent *s, struct slice key)
{
	struct slice   name = s->family_of != NULL ? s->family_of(key)
	                                           : (struct slice){ NULL, 0 };
	struct family *f = NULL;

	if (name.n > 0)
		f = (struct family *)(void *)table_find(&s->families, name);
	if (f == NULL || --f->n > 0)
		return;
	table_remove(&s->families, &f->entry);
	free(f);
}

size_t
sent_family(const struct sent *s, struct slice name)
{
	const struct table_entry *e = table_find(&s->families, name);

	return e != NULL ? ((const struct family *)(const void *)e)->n : 0;
}

void
sent_count_families(struct sent *s, struct slice (*family_of)(struct slice))
{
	struct sent_entry *e;

	s->family_of = family_of;
	TAILQ_FOREACH(e, &s->all, age)
		family_add(s, e->entry.key);
}

/* --- memory --------------------------------------------------------------- */

static void
needs_saving(struct sent *s, struct sent_entry *e)
{
	if (!e->unsaved)
		TAILQ_INSERT_TAIL(&s->unsaved, e, save);
	e->unsaved = true;
}

static void
saved(struct sent *s, struct sent_entry *e)
{
	if (e->unsaved)
		TAILQ_REMOVE(&s->unsaved, e, save);
	e->unsaved = false;
	free(e->told);
	e->told = NULL;
}

/* No longer known; it may still have to be erased from the file. */
static void
forget(struct sent *s, struct sent_entry *e)
{
	table_remove(&s->table, &e->entry);
	TAILQ_REMOVE(&s->all, e, age);
	family_drop(s, e->entry.key);
	s->n--;
	s->bytes -= e->bytes;
}

static void
drop_oldest(struct sent *s)
{
	struct sent_entry *e = TAILQ_FIRST(&s->all);

	forget(s, e);
	saved(s, e); /* its row is pruned */
	free(e);
}

static void
bound(struct sent *s, int64_t now_ms)
{
	struct sent_entry *e;

	while ((e = TAILQ_FIRST(&s->all)) != NULL &&
	    (s->n > SENT_MAX || e->until_ms <= now_ms ||
	        (s->bytes > SENT_BYTES_MAX && s->n > 1)))
		drop_oldest(s);
}

static struct sent_entry *
find(const struct sent *s, struct slice key)
{
	return (struct sent_entry *)(void *)table_find(&s->table, key);
}

static struct sent_entry *
add(struct sent *s, struct slice key, int64_t id)
{
	struct sent_entry *e = malloc(sizeof *e + key.n);

	if (e == NULL)
		return NULL;
	*e = (struct sent_entry){ .id = id,
		.bytes = sizeof *e + ROW_BYTES + key.n };
	if (key.n > 0)
		memcpy(e->key, key.p, key.n);
	e->entry.key = (struct slice){ e->key, key.n };
	table_put(&s->table, &e->entry);
	TAILQ_INSERT_TAIL(&s->all, e, age);
	family_add(s, e->entry.key);
	s->n++;
	s->bytes += e->bytes;
	if (id >= s->next_id)
		s->next_id = id + 1;
	return e;
}

enum err
sent_begin(struct sent *s, struct slice key, int64_t until_ms, int64_t now_ms)
{
	struct sent_entry *e;

	if (find(s, key) != NULL)
		return ERR_DUPLICATE;
	bound(s, now_ms);
	if ((e = add(s, key, s->next_id)) == NULL)
		return ERR_NOMEM;
	e->until_ms = now_ms + SENT_KEEP_MS;
	if (e->until_ms < until_ms)
		e->until_ms = until_ms;
	/* Ids are not final until the file was read. */
	e->noted = s->loaded && s->left.page != NULL;
	needs_saving(s, e);
	return ERR_OK;
}

void
sent_leaves(struct sent *s, struct slice key)
{
	const struct sent_entry *e = find(s, key);

	if (e != NULL && e->noted)
		left_mark(&s->left, e->id, LEFT_BEGUN);
}

/* Its data and trace, kept until they are in the file. */
static enum err
keep_told(struct sent *s, struct sent_entry *e, const struct sent_outcome *o)
{
	size_t n = o->data.n + o->trace.n;
	char  *told = NULL;

	if (n > 0 && (told = malloc(n)) == NULL)
		return ERR_NOMEM;
	if (o->data.n > 0)
		memcpy(told, o->data.p, o->data.n);
	if (o->trace.n > 0)
		memcpy(told + o->data.n, o->trace.p, o->trace.n);
	free(e->told);
	e->told = told;
	e->ndata = o->data.n;
	e->ntrace = o->trace.n;
	e->bytes += n;
	s->bytes += n;
	return ERR_OK;
}

enum err
sent_end(struct sent *s, struct slice key, const struct sent_outcome *o,
    int64_t now_ms)
{
	struct sent_entry *e = find(s, key);
	enum err           x;

	if (e == NULL) {
		if ((x = sent_begin(s, key, 0, now_ms)) != ERR_OK)
			return x;
		e = find(s, key);
	}
	if (e->ended)
		return ERR_DUPLICATE; /* the first stays */
	e->ended = true;
	e->result = o->result;
	e->status = o->status;
	if (e->noted && o->result == RESULT_OK)
		left_mark(&s->left, e->id, LEFT_DONE);
	needs_saving(s, e);
	return keep_told(s, e, o);
}

void
sent_amend(struct sent *s, struct slice key, const struct sent_outcome *o)
{
	struct sent_entry *e = find(s, key);

	/* Its old data may be in the file only: the new takes its room. */
	if (e == NULL || !e->ended || keep_told(s, e, o) != ERR_OK)
		return;
	s->bytes -= e->bytes;
	e->bytes = sizeof *e + ROW_BYTES + key.n + e->ndata + e->ntrace;
	s->bytes += e->bytes;
	needs_saving(s, e);
}

void
sent_undo(struct sent *s, struct slice key)
{
	struct sent_entry *e = find(s, key);

	if (e == NULL || e->ended)
		return;
	if (e->noted)
		left_mark(&s->left, e->id, LEFT_NEVER);
	forget(s, e);
	if (e->in_file) {
		e->erased = true;
		needs_saving(s, e);
		return;
	}
	saved(s, e);
	free(e);
}

/* --- the file ------------------------------------------------------------- */

static void
free_statements(struct sent *s)
{
	store_stmt_free(&s->save);
	store_stmt_free(&s->erase);
	store_stmt_free(&s->prune);
	store_stmt_free(&s->fetch);
	if (s->guest.close != NULL)
		s->guest.close(s->guest.self);
}

/* A file that turns out to be damaged will not be better the next time: it is
 * moved aside, so that the next one is new. */
static enum err
fail(struct sent *s, enum err e)
{
	free_statements(s);
	s->trouble = e;
	if (e != ERR_DAMAGED || s->store == NULL) {
		store_close(&s->store);
		return e;
	}
	free(s->moved);
	store_abandon(&s->store, "it cannot be read or written", &s->moved);
	return e;
}

static enum err
open_store(struct sent *s)
{
	enum err e = store_open(&s->store, &s->options);

	if (e != ERR_OK ||
	    (e = store_prepare(s->store, &s->save,
	         "INSERT OR REPLACE INTO sent (id, until_ms, outcome, key,"
	         " status, trace, data) VALUES (?, ?, ?, ?, ?, ?, ?)")) !=
	        ERR_OK ||
	    (e = store_prepare(s->store, &s->erase,
	         "DELETE FROM sent WHERE id = ?")) != ERR_OK ||
	    (e = store_prepare(s->store, &s->prune,
	         "DELETE FROM sent WHERE id < ?")) != ERR_OK ||
	    (e = store_prepare(s->store, &s->fetch,
	         "SELECT trace, data FROM sent WHERE id = ?")) != ERR_OK ||
	    (s->guest.open != NULL &&
	        (e = s->guest.open(s->guest.self, s->store)) != ERR_OK))
		return fail(s, e);
	s->trouble = ERR_OK;
	if (store_moved(s->store) != NULL) {
		free(s->moved);
		s->moved = strdup(store_moved(s->store));
	}
	return ERR_OK;
}

static enum err
save_entry(struct sent *s, struct sent_entry *e)
{
	struct slice key = e->entry.key;

	if (e->erased) {
		store_bind_int(s->erase, 1, e->id);
		return store_run(s->erase);
	}
	store_bind_int(s->save, ID, e->id);
	store_bind_int(s->save, UNTIL, e->until_ms);
	store_bind_int(s->save, OUTCOME,
	    !e->ended ? (e->noted ? OUTCOME_NOTED : OUTCOME_UNDER_WAY)
	        : e->result == RESULT_OK ? OUTCOME_OK
	                                 : OUTCOME_TIMEOUT);
	store_bind_bytes(s->save, KEY, key);
	store_bind_null(s->save, STATUS);
	store_bind_null(s->save, TRACE);
	store_bind_null(s->save, DATA);
	if (e->ended)
		store_bind_int(s->save, STATUS, e->status);
	if (e->told != NULL) {
		store_bind_bytes(s->save, DATA,
		    (struct slice){ e->told, e->ndata });
		store_bind_bytes(s->save, TRACE,
		    (struct slice){ e->told + e->ndata, e->ntrace });
	}
	return store_run(s->save);
}

/* Rows of entries that are gone, some hundreds in one statement. */
static enum err
prune_rows(struct sent *s)
{
	struct sent_entry *e = TAILQ_FIRST(&s->all);
	int64_t            first = e != NULL ? e->id : s->next_id;
	enum err           x;

	if (first - s->pruned < SENT_PRUNE)
		return ERR_OK;
	store_bind_int(s->prune, 1, first);
	if ((x = store_run(s->prune)) == ERR_OK)
		s->pruned = first;
	return x;
}

static bool
guest_is_unsaved(const struct sent *s)
{
	return s->guest.open != NULL && s->guest.is_unsaved(s->guest.self);
}

bool
sent_is_unsaved(const struct sent *s)
{
	return !TAILQ_EMPTY(&s->unsaved) || guest_is_unsaved(s);
}

static enum err
save_all(struct sent *s)
{
	struct sent_entry *e;
	enum err           x = ERR_OK;

	TAILQ_FOREACH(e, &s->unsaved, save)
		if ((x = save_entry(s, e)) != ERR_OK)
			return x;
	if (guest_is_unsaved(s))
		x = s->guest.save(s->guest.self);
	return x;
}

enum err
sent_commit(struct sent *s, int64_t now_ms)
{
	struct sent_entry *e;
	int64_t            pruned = s->pruned;
	enum err           x;

	if (!sent_is_unsaved(s))
		return ERR_OK;
	if (s->store == NULL)
		return s->trouble;
	bound(s, now_ms);
	if ((x = save_all(s)) != ERR_OK || (x = prune_rows(s)) != ERR_OK ||
	    (x = store_commit(s->store)) != ERR_OK) {
		s->pruned = pruned;
		return fail(s, x);
	}
	while ((e = TAILQ_FIRST(&s->unsaved)) != NULL) {
		saved(s, e);
		e->in_file = true;
		if (e->erased)
			free(e);
	}
	if (s->guest.open != NULL)
		s->guest.saved(s->guest.self);
	s->commits++;
	return ERR_OK;
}

/* A new file, after a damaged one or one that was removed, lacks all. */
static enum err
compare(struct sent *s)
{
	struct sent_entry *e;
	struct store_stmt *any;
	enum err           x;

	if ((x = store_prepare(s->store, &any, "SELECT id FROM sent LIMIT 1"))
	    != ERR_OK)
		return x;
	x = store_row(any);
	store_stmt_free(&any);
	if (x == ERR_NOT_FOUND)
		TAILQ_FOREACH(e, &s->all, age)
			needs_saving(s, e);
	return x == ERR_NOT_FOUND ? ERR_OK : x;
}

/* --- reading -------------------------------------------------------------- */

static void
fetch(struct sent *s, const struct sent_entry *e, struct sent_outcome *o)
{
	struct slice trace, data;

	buf_reset(&s->found);
	if (s->store == NULL)
		return; /* that it was sent is known, and must do */
	store_bind_int(s->fetch, 1, e->id);
	if (store_row(s->fetch) != ERR_OK)
		return;
	trace = store_bytes(s->fetch, 0);
	data = store_bytes(s->fetch, 1);
	buf_put(&s->found, trace);
	buf_put(&s->found, data);
	if (!s->found.failed) {
		o->trace = (struct slice){ s->found.p, trace.n };
		o->data = slice_from(buf_slice(&s->found), trace.n);
	}
	store_reset(s->fetch);
}

enum sent_state
sent_find(struct sent *s, struct slice key, struct sent_outcome *o)
{
	const struct sent_entry *e = find(s, key);

	if (e == NULL || !e->ended)
		return e == NULL ? SENT_NOT : SENT_UNDER_WAY;
	*o = (struct sent_outcome){ .result = e->result,
		.status = e->status };
	if (e->told != NULL) {
		o->data = (struct slice){ e->told, e->ndata };
		o->trace = (struct slice){ e->told + e->ndata, e->ntrace };
	} else
		fetch(s, e, o);
	return SENT_ENDED;
}

static enum err
load_row(struct sent *s, struct store_stmt *rows, int64_t now_ms)
{
	int64_t            id = store_int(rows, 0), until = store_int(rows, 1);
	int64_t            outcome = store_int(rows, 2);
	struct slice       key = store_bytes(rows, 3);
	struct sent_entry *e;

	if (id >= s->next_id)
		s->next_id = id + 1;
	if (until + SENT_BELIEVE_MS <= now_ms)
		return ERR_OK;
	/* What was begun anew counts as it was the last time. */
	if ((e = find(s, key)) != NULL) {
		if (!e->in_file)
			return ERR_OK;
		forget(s, e);
		free(e);
	}
	if ((e = add(s, key, id)) == NULL)
		return ERR_NOMEM;
	e->in_file = true;
	e->until_ms = until > now_ms + SENT_KEEP_MS ? until
	                                            : now_ms + SENT_KEEP_MS;
	e->noted = outcome == OUTCOME_NOTED;
	e->ended = !e->noted && outcome != OUTCOME_UNDER_WAY;
	e->result = outcome == OUTCOME_OK ? RESULT_OK : RESULT_TIMEOUT;
	e->status = (unsigned)store_int(rows, 4);
	e->bytes += (size_t)store_int(rows, 5);
	s->bytes += (size_t)store_int(rows, 5);
	bound(s, now_ms);
	return ERR_OK;
}

static enum err
load(struct sent *s, int64_t now_ms)
{
	struct store_stmt *rows;
	enum err           e = store_prepare(s->store, &rows,
	              "SELECT id, until_ms, outcome, key, status,"
	                        " coalesce(length(trace), 0) +"
	                        " coalesce(length(data), 0)"
	                        " FROM sent ORDER BY id");

	while (e == ERR_OK && (e = store_row(rows)) == ERR_OK)
		e = load_row(s, rows, now_ms);
	store_stmt_free(&rows);
	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* What the file calls under way; this run has sent nothing of it yet.  What the
 * platform said of what is done is lost, but not that it is. */
static void
settle(struct sent *s)
{
	struct sent_entry *e = TAILQ_FIRST(&s->all), *next;
	size_t             n[LEFT_DONE + 1] = { 0 };

	for (; e != NULL; e = next) {
		enum left_state state = left_state(&s->left, e->id);

		next = TAILQ_NEXT(e, age);
		if (!e->in_file || e->ended || !e->noted)
			continue;
		n[state]++;
		if (state == LEFT_NEVER)
			sent_undo(s, e->entry.key);
		if (state != LEFT_DONE)
			continue;
		e->ended = true;
		e->result = RESULT_OK;
		e->status = 200;
		needs_saving(s, e);
	}
	if (n[LEFT_NEVER] + n[LEFT_BEGUN] + n[LEFT_DONE] > 0)
		log_info("record.settled", KV("unsent", n[LEFT_NEVER]),
		    KV("done", n[LEFT_DONE]), KV("in_doubt", n[LEFT_BEGUN]));
}

static void
watch(struct sent *s)
{
	char     *end = strrchr(s->path, '/');
	enum err  e;

	if (!s->watched || s->left.page != NULL)
		return;
	*end = '\0';
	e = left_open(&s->left, s->path, s->next_id);
	*end = '/';
	if (e != ERR_OK)
		log_warn("record.unwatched", KV("file", (const char *)s->path),
		    KV("err", err_name(e)), KV("errno", strerror(errno)));
	settle(s);
}

void
sent_watch(struct sent *s)
{
	s->watched = true;
	if (s->loaded)
		watch(s);
}

/* What was begun before the file could be read is younger than all in it. */
static enum err
load_late(struct sent *s, int64_t now_ms)
{
	size_t             mine = 0;
	struct sent_entry *e;
	enum err           x;

	TAILQ_FOREACH(e, &s->all, age)
		mine += !e->in_file;
	x = load(s, now_ms);
	s->loaded = x == ERR_OK;
	for (; s->loaded && mine > 0; mine--) {
		e = TAILQ_FIRST(&s->all);
		if (e == NULL || e->in_file)
			break;
		TAILQ_REMOVE(&s->all, e, age);
		TAILQ_INSERT_TAIL(&s->all, e, age);
		e->id = s->next_id++;
	}
	if (s->loaded)
		watch(s);
	return x;
}

enum err
sent_reopen(struct sent *s, int64_t now_ms)
{
	enum err x;

	if (s->store == NULL && ((x = open_store(s)) != ERR_OK ||
	        (x = s->loaded ? compare(s) : load_late(s, now_ms)) !=
	            ERR_OK))
		return fail(s, x);
	return sent_commit(s, now_ms);
}

/* --- life ----------------------------------------------------------------- */

enum err
sent_open(struct sent *s, const char *dir, enum store_durability durability,
    int64_t now_ms)
{
	enum err e;

	*s = (struct sent){ .next_id = 1,
		.options = { .owner = OWNER, .version = VERSION,
		    .upgrades = upgrades, .durability = durability } };
	TAILQ_INIT(&s->all);
	TAILQ_INIT(&s->unsaved);
	if ((s->path = conf_path(dir, "apid.db")) == NULL)
		return ERR_NOMEM;
	s->options.path = s->path;
	if ((e = open_store(s)) == ERR_OK && (e = load(s, now_ms)) != ERR_OK)
		fail(s, e);
	if (e == ERR_DAMAGED && (e = open_store(s)) == ERR_OK)
		e = compare(s); /* what could be read is saved again */
	s->loaded = e == ERR_OK;
	if (e != ERR_OK) {
		log_error("record.failed", KV("file", (const char *)s->path),
		    KV("err", err_name(e)), KV("remedy", e == ERR_BUSY
		        ? "give each apid a ROOKERY_STATE_DIR of its own"
		        : "make room in ROOKERY_STATE_DIR, or mend its rights"));
		return fail(s, e);
	}
	log_info("record.open", KV("file", (const char *)s->path),
	    KV("rows", s->n));
	return ERR_OK;
}

enum err
sent_join(struct sent *s, const struct sent_guest *guest)
{
	enum err e = ERR_OK;

	s->guest = *guest;
	if (s->store != NULL &&
	    (e = guest->open(guest->self, s->store)) != ERR_OK)
		fail(s, e);
	return e;
}

void
sent_close(struct sent *s)
{
	struct sent_entry *e;

	if (s->path == NULL)
		return;
	sent_commit(s, 0);
	free_statements(s);
	store_close(&s->store);
	while (!TAILQ_EMPTY(&s->all))
		drop_oldest(s);
	while ((e = TAILQ_FIRST(&s->unsaved)) != NULL) {
		saved(s, e);
		free(e);
	}
	buf_free(&s->found);
	left_close(&s->left);
	free(s->path);
	free(s->moved);
	s->path = s->moved = NULL;
}

uint64_t
sent_file_bytes(struct sent *s)
{
	return s->store != NULL ? store_bytes_used(s->store) : 0;
}
