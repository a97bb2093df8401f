/*
 * The tables of the journal, and a prepared statement for everything that is
 * done with them.  Rows are found by number only: an index by id would cost
 * more than all the rest, and who needs one has it in memory.
 */
#include "journal.h"

#include <stdio.h>
#include <stdlib.h>

#include "log.h"

enum { OWNER = 0x526b4a31 /* RkJ1 */, VERSION = 4, PRUNE_ROWS = 20000 };

static const char *const upgrades[VERSION] = {
	("CREATE TABLE event(no INTEGER PRIMARY KEY, id, conv, type, body,"
	"  came INTEGER, attempt INTEGER);"
	"CREATE TABLE done(no INTEGER PRIMARY KEY, id);"
	"CREATE TABLE dead(no INTEGER PRIMARY KEY, id, conv, type, body, why,"
	"  worker, attempts INTEGER, at INTEGER);"
	"CREATE TABLE session(bot, shard INTEGER, shards INTEGER,"
	"  intents INTEGER, id, seq INTEGER, user, saved INTEGER,"
	"  PRIMARY KEY(bot, shard)) WITHOUT ROWID;"
	"CREATE TABLE budget(bot PRIMARY KEY, total INTEGER,"
	"  remaining INTEGER, resets INTEGER, next INTEGER) WITHOUT ROWID;"
	"CREATE TABLE opened(one INTEGER PRIMARY KEY, at INTEGER);"),
	("CREATE TABLE rights(bot PRIMARY KEY, dropped INTEGER,"
	"  at INTEGER) WITHOUT ROWID;"),
	"ALTER TABLE event ADD COLUMN set_by INTEGER DEFAULT 0;",
	("ALTER TABLE event ADD COLUMN capsule;"
	"ALTER TABLE dead ADD COLUMN capsule;"),
};

/* name, SQL */
#define STATEMENTS(S)                                                        \
	S(recall_done,  "SELECT no, id FROM done ORDER BY no")                \
	S(recall_event, "SELECT no, id, conv, type, length(body), attempt,"   \
	    " came FROM event ORDER BY no")                                   \
	S(sessions,     "SELECT bot, shard, shards, intents, id, seq, user,"  \
	    " saved FROM session")                                            \
	S(budget,       "SELECT total, remaining, resets, next FROM budget"   \
	    " WHERE bot = ?")                                                 \
	S(rights,       "SELECT dropped, at FROM rights WHERE bot = ?")       \
	S(keep_rights,  "INSERT OR REPLACE INTO rights VALUES(?, ?, ?)")      \
	S(append,       "INSERT INTO event VALUES(?, ?, ?, ?, ?, ?, 0, 0,"   \
	    " NULL)")                                                       \
	S(attempt,      "UPDATE event SET attempt = ? WHERE no = ?")          \
	S(done,         "INSERT OR REPLACE INTO done VALUES(?, ?)")           \
	S(end,          "DELETE FROM event WHERE no = ?")                     \
	S(die,          "INSERT INTO dead SELECT NULL, id, conv, type, body," \
	    " ?, ?, ?, ?, capsule FROM event WHERE no = ?")                   \
	S(capsule,      "UPDATE event SET capsule = ? WHERE no = ?")          \
	S(body,         "SELECT body, set_by FROM event WHERE no = ?")        \
	S(prune,        "DELETE FROM done WHERE no IN"                        \
	    " (SELECT no FROM done WHERE no < ? ORDER BY no LIMIT ?)")        \
	S(keep_session, "INSERT OR REPLACE INTO session"                      \
	    " VALUES(?, ?, ?, ?, ?, ?, ?, ?)")                                \
	S(forget,       "DELETE FROM session WHERE bot = ?")                  \
	S(set_clock,    "UPDATE session SET saved = saved + ?")               \
	S(set_events,   "UPDATE event SET set_by = set_by + ?")               \
	S(keep_budget,  "INSERT OR REPLACE INTO budget VALUES(?, ?, ?, ?, ?)") \
	S(dead_count,   "SELECT count(*) FROM dead")                          \
	S(dead_after,   "SELECT no, id, conv, type, body, why, worker,"       \
	    " attempts, at, NULL FROM dead WHERE no > ? ORDER BY no LIMIT ?") \
	S(dead_no,      "SELECT no, id, conv, type, body, why, worker,"       \
	    " attempts, at, capsule FROM dead WHERE no = ?")                  \
	S(dead_id,      "SELECT no, id, conv, type, body, why, worker,"       \
	    " attempts, at, capsule FROM dead WHERE id = ?"                   \
	    " ORDER BY no DESC LIMIT 1")                                      \
	S(dead_drop,    "DELETE FROM dead WHERE no = ?")                      \
	S(dead_oldest,  "DELETE FROM dead WHERE no ="                         \
	    " (SELECT min(no) FROM dead)")                                    \
	S(opened,       "INSERT OR REPLACE INTO opened VALUES(1, ?)")

struct journal {
	struct store *store;
	char         *file;
	uint64_t      dead_max, dead_n, dead_lost, commits;
	bool          urgent;
	enum err      failed;           /* the first failure ends all writing */
#define AS_MEMBER(name, sql) struct store_stmt *name;
	struct {
		STATEMENTS(AS_MEMBER)
	} q;
#undef AS_MEMBER
};

/* --- opening -------------------------------------------------------------- */

static enum err
prepare(struct journal *j)
{
	enum err e;

#define AS_PREPARE(name, sql)                                                \
	if ((e = store_prepare(j->store, &j->q.name, sql)) != ERR_OK)        \
		return e;
	STATEMENTS(AS_PREPARE)
#undef AS_PREPARE
	return ERR_OK;
}

/* A store that cannot be written is found out before anything is promised. */
static enum err
try_writing(struct journal *j, int64_t wall_ms)
{
	enum err e;

	store_bind_int(j->q.opened, 1, wall_ms);
	if ((e = store_run(j->q.opened)) != ERR_OK)
		return e;
	return store_commit(j->store);
}

static enum err
count_dead(struct journal *j)
{
	enum err e = store_row(j->q.dead_count);

	if (e != ERR_OK)
		return e;
	j->dead_n = (uint64_t)store_int(j->q.dead_count, 0);
	store_reset(j->q.dead_count);
	return ERR_OK;
}

enum err
journal_open(struct journal **out, const struct journal_options *o)
{
	struct journal      *j = calloc(1, sizeof *j);
	struct buf           path = { 0 };
	struct store_options so = { .owner = OWNER, .version = VERSION,
		.upgrades = upgrades, .durability = o->durability };
	enum err e = ERR_NOMEM;

	*out = NULL;
	buf_putf(&path, "%s/gateway.db", o->dir);
	if (j == NULL || path.failed ||
	    (j->file = slice_dup(buf_slice(&path))) == NULL)
		goto out;
	so.path = j->file;
	j->dead_max = o->dead_max;
	if ((e = store_open(&j->store, &so)) == ERR_OK &&
	    (e = prepare(j)) == ERR_OK && (e = try_writing(j, o->wall_ms)) == ERR_OK)
		e = count_dead(j);
out:
	buf_free(&path);
	if (e != ERR_OK)
		journal_close(&j);
	*out = j;
	return e;
}

static void
free_statements(struct journal *j)
{
#define AS_FREE(name, sql) store_stmt_free(&j->q.name);
	STATEMENTS(AS_FREE)
#undef AS_FREE
}

void
journal_close(struct journal **jp)
{
	struct journal *j = *jp;

	if (j == NULL)
		return;
	*jp = NULL;
	if (j->store != NULL)
		store_commit(j->store);
	free_statements(j);
	store_close(&j->store);
	free(j->file);
	free(j);
}

enum err
journal_abandon(struct journal **jp, const char *why, char **moved)
{
	enum err e = ERR_OK;

	*moved = NULL;
	if (*jp != NULL) {
		free_statements(*jp);
		e = store_abandon(&(*jp)->store, why, moved);
	}
	journal_close(jp);
	return e;
}

/* --- what was there ------------------------------------------------------- */

enum err
journal_recall(struct journal *j,
    enum err (*on_done)(void *, uint64_t, struct slice),
    enum err (*on_event)(void *, const struct journal_event *), void *self)
{
	struct store_stmt *q = j->q.recall_done;
	enum err           e;

	while ((e = store_row(q)) == ERR_OK)
		if ((e = on_done(self, (uint64_t)store_int(q, 0),
		         store_bytes(q, 1))) != ERR_OK)
			break;
	store_reset(q);
	if (e != ERR_NOT_FOUND)
		return e;
	q = j->q.recall_event;
	while ((e = store_row(q)) == ERR_OK) {
		struct journal_event ev = { (uint64_t)store_int(q, 0),
			store_bytes(q, 1), store_bytes(q, 2),
			store_bytes(q, 3), (size_t)store_int(q, 4),
			(unsigned)store_int(q, 5), store_int(q, 6) };

		if ((e = on_event(self, &ev)) != ERR_OK)
			break;
	}
	store_reset(q);
	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static void
copy_text(char *to, size_t size, struct slice s)
{
	size_t n = s.n < size ? s.n : 0; /* half an id is none */

	if (n > 0)
		memcpy(to, s.p, n);
	to[n] = '\0';
}

enum err
journal_recall_sessions(struct journal *j,
    void (*fn)(void *, const struct session_memory *), void *self)
{
	struct store_stmt    *q = j->q.sessions;
	struct session_memory m;
	enum err              e;

	while ((e = store_row(q)) == ERR_OK) {
		m = (struct session_memory){
			.shard = (unsigned)store_int(q, 1),
			.shards = (unsigned)store_int(q, 2),
			.intents = (uint32_t)store_int(q, 3),
			.seq = store_int(q, 5),
			.saved_wall_ms = store_int(q, 7) };
		copy_text(m.bot, sizeof m.bot, store_bytes(q, 0));
		copy_text(m.id, sizeof m.id, store_bytes(q, 4));
		copy_text(m.user, sizeof m.user, store_bytes(q, 6));
		fn(self, &m);
	}
	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err
journal_recall_budget(struct journal *j, const char *bot, struct budget_memory *m)
{
	struct store_stmt *q = j->q.budget;
	enum err           e;

	*m = (struct budget_memory){ 0 };
	store_bind_bytes(q, 1, slice_of(bot));
	if ((e = store_row(q)) != ERR_OK)
		return e;
	m->total = (uint64_t)store_int(q, 0);
	m->remaining = (uint64_t)store_int(q, 1);
	m->resets_wall_ms = store_int(q, 2);
	m->next_wall_ms = store_int(q, 3);
	store_reset(q);
	return ERR_OK;
}

enum err
journal_recall_rights(struct journal *j, const char *bot, uint32_t *dropped,
    int64_t *wall_ms)
{
	struct store_stmt *q = j->q.rights;
	enum err           e;

	store_bind_bytes(q, 1, slice_of(bot));
	if ((e = store_row(q)) != ERR_OK)
		return e;
	*dropped = (uint32_t)store_int(q, 0);
	*wall_ms = store_int(q, 1);
	store_reset(q);
	return ERR_OK;
}

/* --- writing -------------------------------------------------------------- */

/* A failure takes the whole transaction with it.  Were the next write let
 * through, a seq could be kept whose event was lost just before. */
static enum err
run(struct journal *j, struct store_stmt *q)
{
	if (j->failed == ERR_OK)
		j->failed = store_run(q);
	return j->failed;
}

/* --- events --------------------------------------------------------------- */

enum err
journal_append(struct journal *j, uint64_t no, struct slice id,
    struct slice conv, struct slice type, struct slice body,
    int64_t came_wall_ms)
{
	struct store_stmt *q = j->q.append;

	j->urgent = true;
	store_bind_int(q, 1, (int64_t)no);
	store_bind_bytes(q, 2, id);
	store_bind_bytes(q, 3, conv);
	store_bind_bytes(q, 4, type);
	store_bind_bytes(q, 5, body);
	store_bind_int(q, 6, came_wall_ms);
	return run(j, q);
}

enum err
journal_attempt(struct journal *j, uint64_t no, unsigned attempt)
{
	store_bind_int(j->q.attempt, 1, attempt);
	store_bind_int(j->q.attempt, 2, (int64_t)no);
	return run(j, j->q.attempt);
}

enum err
journal_capsule(struct journal *j, uint64_t no, struct slice text)
{
	store_bind_bytes(j->q.capsule, 1, text);
	store_bind_int(j->q.capsule, 2, (int64_t)no);
	return run(j, j->q.capsule);
}

static enum err
die(struct journal *j, const struct delivery_end *end, int64_t wall_ms)
{
	struct store_stmt *q = j->q.die;
	enum err           e;

	j->urgent = true;
	store_bind_bytes(q, 1, end->why);
	store_bind_bytes(q, 2, end->worker);
	store_bind_int(q, 3, end->attempts);
	store_bind_int(q, 4, wall_ms);
	store_bind_int(q, 5, (int64_t)end->no);
	if ((e = run(j, q)) != ERR_OK)
		return e;
	if (++j->dead_n <= j->dead_max)
		return ERR_OK;
	j->dead_n--;
	j->dead_lost++;
	log_error("dead.dropped", KV("kept", j->dead_n),
	    KV("why", "there are too many dead letters; the oldest is gone"),
	    KV("remedy", "look at them with rookery dead, or raise "
	                 "ROOKERY_DEAD_MAX"));
	return run(j, j->q.dead_oldest);
}

enum err
journal_end(struct journal *j, const struct delivery_end *end,
    int64_t wall_ms)
{
	enum err e;

	if (end->dead && (e = die(j, end, wall_ms)) != ERR_OK)
		return e;
	store_bind_int(j->q.end, 1, (int64_t)end->no);
	if ((e = run(j, j->q.end)) != ERR_OK)
		return e;
	store_bind_int(j->q.done, 1, (int64_t)end->no);
	store_bind_bytes(j->q.done, 2, end->id);
	return run(j, j->q.done);
}

enum err
journal_body(struct journal *j, uint64_t no, struct buf *body,
    int64_t *set_by_ms)
{
	struct store_stmt *q = j->q.body;
	enum err           e;

	store_bind_int(q, 1, (int64_t)no);
	if ((e = store_row(q)) != ERR_OK)
		return e;
	buf_put(body, store_bytes(q, 0));
	*set_by_ms = store_int(q, 1);
	store_reset(q);
	return body->failed ? ERR_NOMEM : ERR_OK;
}

enum err
journal_prune(struct journal *j, uint64_t no)
{
	store_bind_int(j->q.prune, 1, (int64_t)no);
	store_bind_int(j->q.prune, 2, PRUNE_ROWS);
	return run(j, j->q.prune);
}

/* --- sessions ------------------------------------------------------------- */

enum err
journal_keep_session(struct journal *j, const struct session_memory *m)
{
	struct store_stmt *q = j->q.keep_session;

	j->urgent = true;
	store_bind_bytes(q, 1, slice_of(m->bot));
	store_bind_int(q, 2, m->shard);
	store_bind_int(q, 3, m->shards);
	store_bind_int(q, 4, m->intents);
	store_bind_bytes(q, 5, slice_of(m->id));
	store_bind_int(q, 6, m->seq);
	store_bind_bytes(q, 7, slice_of(m->user));
	store_bind_int(q, 8, m->saved_wall_ms);
	return run(j, q);
}

enum err
journal_forget_sessions(struct journal *j, const char *bot)
{
	j->urgent = true;
	store_bind_bytes(j->q.forget, 1, slice_of(bot));
	return run(j, j->q.forget);
}

enum err
journal_set_clock(struct journal *j, int64_t by_ms)
{
	j->urgent = true;
	store_bind_int(j->q.set_clock, 1, by_ms);
	store_bind_int(j->q.set_events, 1, by_ms);
	return run(j, j->q.set_clock) == ERR_OK ? run(j, j->q.set_events)
	                                        : j->failed;
}

enum err
journal_keep_budget(struct journal *j, const char *bot,
    const struct budget_memory *m)
{
	struct store_stmt *q = j->q.keep_budget;

	j->urgent = true;
	store_bind_bytes(q, 1, slice_of(bot));
	store_bind_int(q, 2, (int64_t)m->total);
	store_bind_int(q, 3, (int64_t)m->remaining);
	store_bind_int(q, 4, m->resets_wall_ms);
	store_bind_int(q, 5, m->next_wall_ms);
	return run(j, q);
}

enum err
journal_keep_rights(struct journal *j, const char *bot, uint32_t dropped,
    int64_t wall_ms)
{
	struct store_stmt *q = j->q.keep_rights;

	j->urgent = true;
	store_bind_bytes(q, 1, slice_of(bot));
	store_bind_int(q, 2, dropped);
	store_bind_int(q, 3, wall_ms);
	return run(j, q);
}

/* --- dead letters --------------------------------------------------------- */

static struct journal_dead
dead_of(struct store_stmt *q)
{
	return (struct journal_dead){ .no = (uint64_t)store_int(q, 0),
		.id = store_bytes(q, 1), .conv = store_bytes(q, 2),
		.type = store_bytes(q, 3), .body = store_bytes(q, 4),
		.why = store_bytes(q, 5), .worker = store_bytes(q, 6),
		.attempts = (unsigned)store_int(q, 7),
		.at_wall_ms = store_int(q, 8), .capsule = store_bytes(q, 9) };
}

enum err
journal_dead_list(struct journal *j, uint64_t after, unsigned max,
    void (*fn)(void *, const struct journal_dead *), void *self)
{
	struct store_stmt *q = j->q.dead_after;
	enum err           e;

	store_bind_int(q, 1, (int64_t)after);
	store_bind_int(q, 2, max);
	while ((e = store_row(q)) == ERR_OK) {
		struct journal_dead d = dead_of(q);

		fn(self, &d);
	}
	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err
journal_dead_show(struct journal *j, uint64_t no, struct slice id,
    void (*fn)(void *, const struct journal_dead *), void *self)
{
	struct store_stmt  *q = no != 0 ? j->q.dead_no : j->q.dead_id;
	struct journal_dead d;
	enum err            e;

	if (no != 0)
		store_bind_int(q, 1, (int64_t)no);
	else
		store_bind_bytes(q, 1, id);
	if ((e = store_row(q)) != ERR_OK)
		return e;
	d = dead_of(q);
	fn(self, &d);
	store_reset(q);
	return ERR_OK;
}

enum err
journal_dead_drop(struct journal *j, uint64_t no)
{
	enum err e;

	j->urgent = true;
	store_bind_int(j->q.dead_drop, 1, (int64_t)no);
	if ((e = run(j, j->q.dead_drop)) == ERR_OK && j->dead_n > 0)
		j->dead_n--;
	return e;
}

uint64_t
journal_dead_count(const struct journal *j)
{
	return j->dead_n;
}

uint64_t
journal_dead_lost(const struct journal *j)
{
	return j->dead_lost;
}

/* --- the transaction ------------------------------------------------------ */

bool
journal_is_urgent(const struct journal *j)
{
	return j->urgent;
}

enum err
journal_commit(struct journal *j)
{
	j->urgent = false;
	j->commits += store_is_dirty(j->store);
	if (j->failed == ERR_OK)
		j->failed = store_commit(j->store);
	return j->failed;
}

struct journal_info
journal_info(struct journal *j)
{
	return (struct journal_info){ j->file, store_moved(j->store),
		store_bytes_used(j->store), store_disk_free(j->store),
		j->commits };
}
