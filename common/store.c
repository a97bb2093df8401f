/*
 * The one file that knows SQLite.  WAL, because a commit then costs one write
 * and no wait; one lock file beside the database, because SQLite's own locks
 * would let a second writer in between two of our transactions.
 */
#include "store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "proc.h"

enum {
	CHECKED_WHOLE_MAX = 16 << 20,   /* a larger file is only looked at */
	WAL_KEPT = 8 << 20,             /* what a checkpoint leaves of the log */
};

struct store {
	sqlite3              *db;
	sqlite3_stmt         *begin, *end;   /* of a transaction */
	char                 *path, *moved;
	int                   lock;
	bool                  dirty;
	enum store_durability durability;
};

struct store_stmt {
	struct store *store;
	sqlite3_stmt *st;
};

enum store_durability
store_durability_of(struct slice word)
{
	if (slice_is(word, "none"))
		return STORE_NONE;
	return slice_is(word, "power") ? STORE_POWER : STORE_PROCESS;
}

/* --- errors --------------------------------------------------------------- */

const char *
store_why(enum err e)
{
	return e == ERR_FULL ? "the disk is full" : err_text(e);
}

static enum err
err_of(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return ERR_OK;
	case SQLITE_FULL:
		return ERR_FULL;
	case SQLITE_NOMEM:
		return ERR_NOMEM;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_FORMAT:
		return ERR_DAMAGED;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ERR_BUSY;
	default:
		return ERR_SYSTEM;
	}
}

static enum err
failed(struct store *s, int rc, const char *doing)
{
	enum err e = err_of(rc);

	log_error("store.failed", KV("file", s->path), KV("doing", doing),
	    KV("why", sqlite3_errmsg(s->db)), KV("err", err_name(e)));
	return e;
}

/* A transaction that failed is gone, in SQLite or by our hand. */
static enum err
broken(struct store *s, int rc, const char *doing)
{
	enum err e = failed(s, rc, doing);

	if (sqlite3_get_autocommit(s->db) == 0)
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	s->dirty = false;
	return e;
}

/* --- opening -------------------------------------------------------------- */

enum err
store_exec(struct store *s, const char *sql)
{
	int rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? ERR_OK : failed(s, rc, sql);
}

static enum err
pragma(struct store *s, const char *sql, int64_t *value, bool *is_ok)
{
	sqlite3_stmt *st = NULL;
	int           rc = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);
	enum err      e;

	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW && value != NULL)
		*value = sqlite3_column_int64(st, 0);
	if (rc == SQLITE_ROW && is_ok != NULL)
		*is_ok = slice_is((struct slice){
		    (const char *)sqlite3_column_text(st, 0),
		    (size_t)sqlite3_column_bytes(st, 0) }, "ok");
	e = rc == SQLITE_ROW || rc == SQLITE_DONE || rc == SQLITE_OK
	    ? ERR_OK : err_of(rc);
	sqlite3_finalize(st);
	return e;
}

static enum err
pragma_set(struct store *s, const char *name, int64_t value)
{
	char sql[80];

	snprintf(sql, sizeof sql, "PRAGMA %s=%lld", name, (long long)value);
	return store_exec(s, sql);
}

static enum err
connect_file(struct store *s)
{
	int rc = sqlite3_open_v2(s->durability == STORE_NONE ? ":memory:"
	                                                     : s->path,
	    &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
	        SQLITE_OPEN_NOMUTEX, NULL);
	enum err e = err_of(rc);

	if (e != ERR_OK)
		return e;
	sqlite3_extended_result_codes(s->db, 1);
	sqlite3_busy_timeout(s->db, 2000); /* somebody looks with sqlite3(1) */
	return ERR_OK;
}

/* Whose file it is, and whether it can be read.  NOT_FOUND: it is new. */
static enum err
examine(struct store *s, const struct store_options *o, const char **why)
{
	int64_t  owner = 0, version = 0, tables = 0, pages = 0, size = 0;
	bool     fine = true;
	enum err e;

	*why = "it cannot be read as a database";
	if ((e = pragma(s, "PRAGMA application_id", &owner, NULL)) != ERR_OK ||
	    (e = pragma(s, "PRAGMA user_version", &version, NULL)) != ERR_OK ||
	    (e = pragma(s, "SELECT count(*) FROM sqlite_schema", &tables,
	         NULL)) != ERR_OK ||
	    (e = pragma(s, "PRAGMA page_count", &pages, NULL)) != ERR_OK ||
	    (e = pragma(s, "PRAGMA page_size", &size, NULL)) != ERR_OK)
		return e;
	if (tables == 0 && owner == 0 && version == 0)
		return ERR_NOT_FOUND;
	*why = "it belongs to another program";
	if ((uint32_t)owner != o->owner)
		return ERR_DAMAGED;
	*why = "it was written by a later version";
	if (version > o->version || version < 1)
		return ERR_DAMAGED;
	*why = "it is damaged";
	if (pages * size <= CHECKED_WHOLE_MAX &&
	    (e = pragma(s, "PRAGMA quick_check(1)", NULL, &fine)) != ERR_OK)
		return e;
	return fine ? ERR_OK : ERR_DAMAGED;
}

static void
disconnect(struct store *s)
{
	sqlite3_finalize(s->begin);
	sqlite3_finalize(s->end);
	s->begin = s->end = NULL;
	if (s->db != NULL)
		sqlite3_close(s->db);
	s->db = NULL;
}

/* As it is: closing must not work its log into it. */
static void
disconnect_untouched(struct store *s)
{
	if (s->db != NULL)
		sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1,
		    NULL);
	disconnect(s);
}

/* A name that nothing has: PATH.moved-TIME, with -2, -3 ... where needed. */
static void
free_name(const struct store *s, char *to, size_t size)
{
	char        stamp[40];
	time_t      now = time(NULL);
	struct tm   tm;
	struct stat st;
	int         n;

	gmtime_r(&now, &tm);
	strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &tm);
	n = snprintf(to, size, "%s.moved-%s", s->path, stamp);
	for (unsigned i = 2; lstat(to, &st) == 0 && i < 1000; i++)
		snprintf(to + n, size - (size_t)n, "-%u", i);
}

static enum err
move_aside(struct store *s, const char *why)
{
	static const char *const suffixes[] = { "", "-wal", "-shm" };
	char from[1200], to[1200], name[1100];

	free_name(s, name, sizeof name);
	for (size_t i = 0; i < 3; i++) {
		snprintf(from, sizeof from, "%s%s", s->path, suffixes[i]);
		snprintf(to, sizeof to, "%s%s", name, suffixes[i]);
		if (rename(from, to) != 0 && (i == 0 || errno != ENOENT)) {
			log_error("store.stuck", KV("file", from),
			    KV("why", strerror(errno)), KV("damage", why),
			    KV("remedy", "move it away by hand"));
			return ERR_SYSTEM;
		}
	}
	s->moved = strdup(name);
	log_error("store.moved", KV("file", s->path), KV("why", why),
	    KV("kept_as", s->moved != NULL ? s->moved : ""),
	    KV("remedy", "a new one is begun; what the old one held is not "
	                 "lost, but a person must look at it"));
	return ERR_OK;
}

static enum err
upgrade(struct store *s, const struct store_options *o)
{
	int64_t  version = 0;
	enum err e = pragma(s, "PRAGMA user_version", &version, NULL);

	if (e != ERR_OK || version == o->version)
		return e;
	if ((e = store_exec(s, "BEGIN IMMEDIATE")) != ERR_OK)
		return e;
	for (; version < o->version && e == ERR_OK; version++)
		e = store_exec(s, o->upgrades[version]);
	if (e != ERR_OK ||
	    (e = pragma_set(s, "application_id", (int32_t)o->owner)) !=
	        ERR_OK ||
	    (e = pragma_set(s, "user_version", o->version)) != ERR_OK ||
	    (e = store_exec(s, "COMMIT")) != ERR_OK)
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	return e;
}

static enum err
prepare_both(struct store *s)
{
	int rc = sqlite3_prepare_v3(s->db, "BEGIN IMMEDIATE", -1,
	    SQLITE_PREPARE_PERSISTENT, &s->begin, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v3(s->db, "COMMIT", -1,
		    SQLITE_PREPARE_PERSISTENT, &s->end, NULL);
	return rc == SQLITE_OK ? ERR_OK : failed(s, rc, "prepare");
}

static enum err
set_up(struct store *s, const struct store_options *o)
{
	int64_t  page = 4096;
	enum err e;

	if ((e = store_exec(s, "PRAGMA journal_mode=WAL")) != ERR_OK ||
	    (e = store_exec(s, s->durability == STORE_POWER
	             ? "PRAGMA synchronous=FULL"
	             : "PRAGMA synchronous=NORMAL")) != ERR_OK ||
	    (e = pragma_set(s, "journal_size_limit", WAL_KEPT)) != ERR_OK ||
	    (e = upgrade(s, o)) != ERR_OK ||
	    (e = pragma(s, "PRAGMA page_size", &page, NULL)) != ERR_OK)
		return e;
	if (o->bytes_max > 0 &&
	    (e = pragma_set(s, "max_page_count",
	         (int64_t)(o->bytes_max / (uint64_t)page) + 1)) != ERR_OK)
		return e;
	return prepare_both(s);
}

static enum err
open_file(struct store *s, const struct store_options *o)
{
	const char *why = "it cannot be opened";
	enum err    e = connect_file(s);

	if (e == ERR_OK)
		e = examine(s, o, &why);
	if (e == ERR_DAMAGED) {
		disconnect_untouched(s);
		if ((e = move_aside(s, why)) == ERR_OK)
			e = connect_file(s);
	} else if (e == ERR_NOT_FOUND)
		e = ERR_OK;
	if (e == ERR_OK)
		e = set_up(s, o);
	if (e != ERR_OK)
		log_error("store.open", KV("file", s->path),
		    KV("why", s->db != NULL ? sqlite3_errmsg(s->db) : why),
		    KV("err", err_name(e)));
	return e;
}

static enum err
take_lock(struct store *s)
{
	char     path[1200];
	enum err e;

	if (s->durability == STORE_NONE)
		return ERR_OK;
	snprintf(path, sizeof path, "%s.lock", s->path);
	if ((e = proc_lock(path, &s->lock)) != ERR_OK)
		log_error("store.lock", KV("file", path),
		    KV("why", e == ERR_BUSY
		        ? "another process has the store open"
		        : strerror(errno)));
	return e;
}

enum err
store_open(struct store **out, const struct store_options *o)
{
	struct store *s = calloc(1, sizeof *s);
	mode_t        before;
	enum err      e = ERR_NOMEM;

	*out = NULL;
	if (s == NULL)
		return ERR_NOMEM;
	s->lock = -1;
	s->durability = o->durability;
	before = umask(077); /* users' words are in it */
	if ((s->path = strdup(o->path)) != NULL &&
	    (e = take_lock(s)) == ERR_OK)
		e = open_file(s, o);
	umask(before);
	if (e != ERR_OK)
		store_close(&s);
	*out = s;
	return e;
}

void
store_close(struct store **sp)
{
	struct store *s = *sp;

	if (s == NULL)
		return;
	*sp = NULL;
	if (s->db != NULL)
		store_commit(s);
	disconnect(s);
	if (s->lock >= 0)
		close(s->lock);
	free(s->path);
	free(s->moved);
	free(s);
}

enum err
store_abandon(struct store **sp, const char *why, char **moved)
{
	struct store *s = *sp;
	enum err      e = ERR_OK;

	if (moved != NULL)
		*moved = NULL;
	if (s == NULL)
		return ERR_OK;
	s->dirty = false; /* closing rolls back */
	disconnect(s);
	if (s->durability != STORE_NONE)
		e = move_aside(s, why);
	if (moved != NULL) {
		*moved = s->moved;
		s->moved = NULL;
	}
	store_close(sp);
	return e;
}

const char *
store_moved(const struct store *s)
{
	return s->moved;
}

/* --- statements ----------------------------------------------------------- */

enum err
store_prepare(struct store *s, struct store_stmt **out, const char *sql)
{
	struct store_stmt *t = calloc(1, sizeof *t);
	int                rc;

	*out = NULL;
	if (t == NULL)
		return ERR_NOMEM;
	t->store = s;
	rc = sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT,
	    &t->st, NULL);
	if (rc != SQLITE_OK) {
		enum err e = failed(s, rc, sql);

		free(t);
		assert((rc & 0xff) != SQLITE_ERROR);
		return e;
	}
	*out = t;
	return ERR_OK;
}

void
store_stmt_free(struct store_stmt **tp)
{
	if (*tp == NULL)
		return;
	sqlite3_finalize((*tp)->st);
	free(*tp);
	*tp = NULL;
}

void
store_bind_int(struct store_stmt *t, int at, int64_t v)
{
	sqlite3_bind_int64(t->st, at, v);
}

void
store_bind_bytes(struct store_stmt *t, int at, struct slice v)
{
	/* A NULL pointer would bind NULL, and empty is not unknown. */
	sqlite3_bind_blob64(t->st, at, v.n > 0 ? v.p : "", v.n,
	    SQLITE_STATIC);
}

void
store_bind_null(struct store_stmt *t, int at)
{
	sqlite3_bind_null(t->st, at);
}

enum err
store_run(struct store_stmt *t)
{
	struct store *s = t->store;
	int           rc;

	if (!s->dirty) {
		rc = sqlite3_step(s->begin);
		sqlite3_reset(s->begin);
		if (rc != SQLITE_DONE)
			return broken(s, rc, "begin");
		s->dirty = true;
	}
	rc = sqlite3_step(t->st);
	sqlite3_reset(t->st);
	return rc == SQLITE_DONE || rc == SQLITE_ROW
	    ? ERR_OK : broken(s, rc, sqlite3_sql(t->st));
}

enum err
store_row(struct store_stmt *t)
{
	int rc = sqlite3_step(t->st);

	if (rc == SQLITE_ROW)
		return ERR_OK;
	sqlite3_reset(t->st);
	return rc == SQLITE_DONE
	    ? ERR_NOT_FOUND : failed(t->store, rc, sqlite3_sql(t->st));
}

void
store_reset(struct store_stmt *t)
{
	sqlite3_reset(t->st);
}

int64_t
store_int(struct store_stmt *t, int at)
{
	return sqlite3_column_int64(t->st, at);
}

struct slice
store_bytes(struct store_stmt *t, int at)
{
	const void *p = sqlite3_column_blob(t->st, at);

	return (struct slice){ p, p != NULL
	    ? (size_t)sqlite3_column_bytes(t->st, at) : 0 };
}

/* --- transactions --------------------------------------------------------- */

enum err
store_commit(struct store *s)
{
	int rc;

	if (!s->dirty)
		return ERR_OK;
	rc = sqlite3_step(s->end);
	sqlite3_reset(s->end);
	if (rc != SQLITE_DONE)
		return broken(s, rc, "commit");
	s->dirty = false;
	return ERR_OK;
}

bool
store_is_dirty(const struct store *s)
{
	return s->dirty;
}

/* --- size ----------------------------------------------------------------- */

uint64_t
store_bytes_used(struct store *s)
{
	int64_t pages = 0, unused = 0, size = 0;

	pragma(s, "PRAGMA page_count", &pages, NULL);
	pragma(s, "PRAGMA freelist_count", &unused, NULL);
	pragma(s, "PRAGMA page_size", &size, NULL);
	return (uint64_t)((pages - unused) * size);
}

uint64_t
store_disk_free(const struct store *s)
{
	char           folder[1200];
	char          *slash;
	struct statvfs v;

	if (s->durability == STORE_NONE)
		return 0;
	snprintf(folder, sizeof folder, "%s", s->path);
	if ((slash = strrchr(folder, '/')) != NULL)
		*slash = '\0';
	if (statvfs(slash != NULL ? folder : ".", &v) != 0)
		return 0;
	return (uint64_t)v.f_bavail * v.f_frsize;
}
