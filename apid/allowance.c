/*
 * A hash table of counters with their days.  Names stand in the keys as they
 * stand in the file: "user_day 102000001 u:...".
 */
#include "allowance.h"

#include <limits.h>
#include <stdlib.h>

enum { BOT = 0, TARGET = 1 };

static const struct allowance_info infos[ALLOWANCES] = {
#define ALLOWANCE(name, count, by, meaning)                                  \
	{ #name, meaning, count, by == TARGET },
#include "allowances.def"
#undef ALLOWANCE
};

enum { DAY_MS = 86400000, BEIJING_MS = 8 * 3600000 };
enum { ALL_USED = 1000000000 };

struct allowance_entry {
	struct table_entry           entry;     /* first: found by it */
	TAILQ_ENTRY(allowance_entry) age, save;
	enum allowance               row;
	struct slice                 bot;       /* in key */
	int64_t                      day;       /* the last it holds for */
	unsigned                     used;
	bool                         unsaved, erased, in_file;
	char                         key[];
};

const struct allowance_info *
allowance_info(enum allowance row)
{
	return &infos[row];
}

int64_t
allowance_day(int64_t wall_ms)
{
	return (wall_ms + BEIJING_MS) / DAY_MS;
}

/* --- memory --------------------------------------------------------------- */

static struct slice
key_of(struct allowances *as, enum allowance row,
    const struct allowance_of *of)
{
	buf_reset(&as->scratch);
	buf_puts(&as->scratch, infos[row].name);
	buf_puts(&as->scratch, " ");
	buf_put(&as->scratch, of->bot);
	if (infos[row].by_target) {
		buf_puts(&as->scratch, " ");
		buf_put(&as->scratch, of->conv);
	}
	return as->scratch.failed ? SLICE("") : buf_slice(&as->scratch);
}

static struct allowance_entry *
find(struct allowances *as, enum allowance row, const struct allowance_of *of)
{
	return (struct allowance_entry *)(void *)table_find(&as->table,
	    key_of(as, row, of));
}

static void
changed(struct allowances *as, struct allowance_entry *e)
{
	if (!e->unsaved)
		TAILQ_INSERT_TAIL(&as->unsaved, e, save);
	e->unsaved = true;
}

static void
entry_free(struct allowances *as, struct allowance_entry *e)
{
	if (e->unsaved)
		TAILQ_REMOVE(&as->unsaved, e, save);
	free(e);
}

/* It is gone, and shall go from the file, if it is there: however long that
 * cannot be written, no more wait to be erased than it holds. */
static void
forget(struct allowances *as, struct allowance_entry *e)
{
	table_remove(&as->table, &e->entry);
	TAILQ_REMOVE(&as->all, e, age);
	as->n--;
	if (!e->in_file) {
		entry_free(as, e);
		return;
	}
	e->erased = true;
	as->erased++;
	changed(as, e);
}

static void
bound(struct allowances *as, int64_t day)
{
	struct allowance_entry *e = TAILQ_FIRST(&as->all), *next;
	size_t                  most = ALLOWANCES_MAX;

	/* Past days first, and some of them at once. */
	for (; as->n >= most && e != NULL; e = next) {
		next = TAILQ_NEXT(e, age);
		if (e->day < day)
			forget(as, e);
	}
	if (as->n >= most)
		forget(as, TAILQ_FIRST(&as->all));
}

/* The name and the bot are in the key. */
static bool
read_key(struct allowance_entry *e)
{
	struct slice key = e->entry.key;
	const char  *end;

	for (int i = 0; i < ALLOWANCES; i++) {
		struct slice name = slice_of(infos[i].name);

		if (!slice_starts(key, name) || key.n < name.n + 2 ||
		    key.p[name.n] != ' ')
			continue;
		e->row = (enum allowance)i;
		e->bot = slice_from(key, name.n + 1);
		end = memchr(e->bot.p, ' ', e->bot.n);
		if (end != NULL)
			e->bot.n = (size_t)(end - e->bot.p);
		return true;
	}
	return false;
}

static struct allowance_entry *
add(struct allowances *as, struct slice key)
{
	struct allowance_entry *e = calloc(1, sizeof *e + key.n + 1);

	if (e == NULL || key.n == 0) {
		free(e);
		return NULL;
	}
	memcpy(e->key, key.p, key.n);
	e->entry.key = (struct slice){ e->key, key.n };
	if (!read_key(e)) {
		free(e);
		return NULL;
	}
	table_put(&as->table, &e->entry);
	TAILQ_INSERT_TAIL(&as->all, e, age);
	as->n++;
	return e;
}

/* Is it about this day?  A clock that was set back over midnight makes no new
 * day; but one that had been far ahead must not hold anybody up until then. */
static bool
holds(const struct allowance_entry *e, int64_t day)
{
	return e->day >= day && e->day - day <= (e->row == ALLOWANCE_refusing
	        ? REFUSING_TOLD_DAYS : 1);
}

/* Of today; it is to hold until `day`. */
static struct allowance_entry *
make(struct allowances *as, enum allowance row, const struct allowance_of *of,
    int64_t today, int64_t day)
{
	struct allowance_entry *e = find(as, row, of);

	if (e == NULL) {
		bound(as, today);
		if ((e = add(as, key_of(as, row, of))) == NULL)
			return NULL;
	} else {
		TAILQ_REMOVE(&as->all, e, age);
		TAILQ_INSERT_TAIL(&as->all, e, age);
	}
	if (!holds(e, today) || e->day < day) {
		e->day = day;
		e->used = 0;
	}
	changed(as, e);
	return e;
}

/* --- counting ------------------------------------------------------------- */

static unsigned
used(const struct allowance_entry *e, int64_t day)
{
	return e != NULL && holds(e, day) ? e->used : 0;
}

unsigned
allowance_left(struct allowances *as, enum allowance row,
    const struct allowance_of *of, int64_t day, bool counts)
{
	unsigned n = used(find(as, row, of), day), count = infos[row].count;

	if (n >= ALL_USED)
		return 0;
	if (count == 0 || !counts)
		return UINT_MAX;
	return n < count ? count - n : 0;
}

void
allowance_take(struct allowances *as, enum allowance row,
    const struct allowance_of *of, int64_t day)
{
	struct allowance_entry *e = make(as, row, of, day, day);

	if (e != NULL && e->used < ALL_USED)
		e->used++;
}

void
allowance_give_back(struct allowances *as, enum allowance row,
    const struct allowance_of *of, int64_t day)
{
	struct allowance_entry *e = find(as, row, of);

	if (e == NULL || e->day != day || e->used == 0 || e->used >= ALL_USED)
		return;
	e->used--;
	changed(as, e);
}

void
allowance_exhaust(struct allowances *as, enum allowance row,
    const struct allowance_of *of, int64_t day)
{
	struct allowance_entry *e = make(as, row, of, day, day);

	if (e != NULL)
		e->used = ALL_USED;
}

void
allowance_renew(struct allowances *as, enum allowance row,
    const struct allowance_of *of, int64_t day)
{
	struct allowance_entry *e = find(as, row, of);

	if (used(e, day) > 0)
		forget(as, e);
}

void
allowance_refuse(struct allowances *as, const struct allowance_of *of,
    int64_t day, unsigned days)
{
	struct allowance_entry *e;

	if (days == 0) {
		if ((e = find(as, ALLOWANCE_refusing, of)) != NULL)
			forget(as, e);
		return;
	}
	e = make(as, ALLOWANCE_refusing, of, day, day + days - 1);
	if (e != NULL)
		e->used = ALL_USED;
}

bool
allowance_refused(struct allowances *as, const struct allowance_of *of,
    int64_t day)
{
	return used(find(as, ALLOWANCE_refusing, of), day) > 0;
}

void
allowance_sum(const struct allowances *as, struct slice bot, int64_t day,
    struct allowance_sum *sum)
{
	const struct allowance_entry *e;

	*sum = (struct allowance_sum){ { 0 }, { 0 } };
	TAILQ_FOREACH(e, &as->all, age) {
		unsigned n = used(e, day), count = infos[e->row].count;

		if (n == 0 || !slice_eq(e->bot, bot))
			continue;
		sum->used[e->row] += n >= ALL_USED ? count : n;
		sum->empty[e->row] += n >= ALL_USED ||
		    (count > 0 && n >= count);
	}
}

/* --- the file ------------------------------------------------------------- */

static void
guest_close(void *self)
{
	struct allowances *as = self;

	store_stmt_free(&as->save);
	store_stmt_free(&as->erase);
}

static enum err
load(struct allowances *as, struct store *store)
{
	struct store_stmt      *rows;
	struct allowance_entry *e;
	enum err x = store_prepare(store, &rows, "SELECT key, day, used FROM"
	                                         " allowance ORDER BY day");

	while (x == ERR_OK && (x = store_row(rows)) == ERR_OK) {
		if (as->n >= ALLOWANCES_MAX)
			forget(as, TAILQ_FIRST(&as->all));
		if (table_find(&as->table, store_bytes(rows, 0)) != NULL ||
		    (e = add(as, store_bytes(rows, 0))) == NULL)
			continue;
		e->in_file = true;
		e->day = store_int(rows, 1);
		e->used = (unsigned)store_int(rows, 2);
	}
	store_stmt_free(&rows);
	as->loaded = x == ERR_NOT_FOUND;
	return as->loaded ? ERR_OK : x;
}

/* A file that is opened anew may be a new one: it gets all. */
static enum err
guest_open(void *self, struct store *store)
{
	struct allowances      *as = self;
	struct allowance_entry *e;
	enum err                x;

	if ((x = store_prepare(store, &as->save,
	         "INSERT OR REPLACE INTO allowance (key, day, used)"
	         " VALUES (?, ?, ?)")) != ERR_OK ||
	    (x = store_prepare(store, &as->erase,
	         "DELETE FROM allowance WHERE key = ?")) != ERR_OK)
		return x;
	if (!as->loaded)
		return load(as, store);
	TAILQ_FOREACH(e, &as->all, age)
		changed(as, e);
	return ERR_OK;
}

static bool
guest_is_unsaved(void *self)
{
	return !TAILQ_EMPTY(&((struct allowances *)self)->unsaved);
}

static enum err
guest_save(void *self)
{
	struct allowances      *as = self;
	struct allowance_entry *e;
	enum err                x = ERR_OK;

	TAILQ_FOREACH(e, &as->unsaved, save) {
		struct store_stmt *stmt = e->erased ? as->erase : as->save;

		store_bind_bytes(stmt, 1, e->entry.key);
		if (!e->erased) {
			store_bind_int(stmt, 2, e->day);
			store_bind_int(stmt, 3, e->used);
		}
		if ((x = store_run(stmt)) != ERR_OK)
			break;
	}
	return x;
}

static void
guest_saved(void *self)
{
	struct allowances      *as = self;
	struct allowance_entry *e;

	while ((e = TAILQ_FIRST(&as->unsaved)) != NULL) {
		TAILQ_REMOVE(&as->unsaved, e, save);
		e->unsaved = false;
		e->in_file = true;
		as->erased -= e->erased;
		if (e->erased)
			free(e);
	}
}

struct sent_guest
allowances_guest(struct allowances *as)
{
	return (struct sent_guest){ guest_open, guest_close, guest_is_unsaved,
		guest_save, guest_saved, as };
}

void
allowances_open(struct allowances *as)
{
	*as = (struct allowances){ .loaded = false };
	TAILQ_INIT(&as->all);
	TAILQ_INIT(&as->unsaved);
}

void
allowances_close(struct allowances *as)
{
	struct allowance_entry *e;

	if (as->all.tqh_last == NULL)
		return;
	while ((e = TAILQ_FIRST(&as->all)) != NULL)
		forget(as, e);
	while ((e = TAILQ_FIRST(&as->unsaved)) != NULL)
		entry_free(as, e);
	buf_free(&as->scratch);
}
