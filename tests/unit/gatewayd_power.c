// links: gatewayd/journal.c common
/*
 * The journal on a disk whose power is cut.  The disk is a VFS of SQLite in
 * memory that knows, of each file, what was synced and what was only written.
 * At a cut what was synced stays; of the rest any part may, in pieces of a
 * sector.  A thousand cuts, and after each the journal must be exactly what
 * it was after some commit: with durability power none that was acknowledged
 * may lack; with process the last ones may, at a cut, but not when only the
 * process died.
 *
 *   gatewayd_power [SEED]
 */
#include "test.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "journal.h"
#include "log.h"

enum { FILES = 8, OPS = 1 << 14, REGIONS = 64, SECTOR = 512 };

static uint64_t seed;

static uint64_t
draw(uint64_t below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (seed >> 33) % below;
}

/* --- the disk -------------------------------------------------------------------- */

struct image {
	unsigned char *p;
	size_t         n, cap;
};

struct op {
	size_t at, n, from;      /* from: in the written of its file */
	bool   is_size;          /* not a write: it is of at bytes now */
};

struct file {
	char         *name;             /* NULL: the slot is free */
	bool          exists, temporary;
	struct image  now, safe;
	/* Made or deleted, and the folder not synced since: what had this
	 * name before. */
	bool          moved, had;
	struct image  old;
	struct op     ops[OPS];         /* what safe lacks */
	size_t        nops;
	struct image  written;
	void         *shm[REGIONS];
};

static struct disk {
	struct file files[FILES];
	int64_t     countdown;          /* operations until the cut; < 0: none */
	bool        off, deaf;          /* deaf: it says it has synced */
	bool        kill;               /* the cut kills the process only */
	uint64_t    syncs;
} disk;

static void
image_size(struct image *m, size_t n)
{
	if (n > m->cap) {
		m->cap = n * 2 + (1 << 20);
		m->p = realloc(m->p, m->cap);
	}
	if (n > m->n)
		memset(m->p + m->n, 0, n - m->n);
	m->n = n;
}

/* Bytes from..to of it. */
static void
op_apply(const struct file *f, struct image *m, const struct op *o,
    size_t from, size_t to)
{
	if (o->is_size) {
		image_size(m, o->at);
		return;
	}
	if (m->n < o->at + to)
		image_size(m, o->at + to);
	memcpy(m->p + o->at + from, f->written.p + o->from + from, to - from);
}

static void
forget_ops(struct file *f)
{
	f->nops = 0;
	f->written.n = 0;
}

static void
sync_ops(struct file *f)
{
	for (size_t i = 0; i < f->nops; i++)
		op_apply(f, &f->safe, &f->ops[i], 0, f->ops[i].n);
	forget_ops(f);
}

static void
image_copy(struct image *to, const struct image *from)
{
	to->n = 0;
	image_size(to, from->n);
	if (from->n > 0)
		memcpy(to->p, from->p, from->n);
}

/* Before a file comes or goes. */
static void
folder_note(struct file *f)
{
	if (f->moved)
		return;
	f->moved = true;
	f->had = f->exists;
	image_copy(&f->old, &f->safe);
}

static void
folder_sync(void)
{
	for (size_t i = 0; i < FILES && !disk.deaf; i++)
		disk.files[i].moved = false;
}

/* Of what was not synced: nothing, all, the first part, or any pieces. */
static void
lose(struct file *f)
{
	uint64_t how = draw(4);
	size_t   kept = f->nops > 0 ? (size_t)draw(f->nops + 1) : 0;

	if (f->moved && draw(2) == 0) {
		f->exists = f->had;
		image_copy(&f->safe, &f->old);
		forget_ops(f);
	}
	f->moved = false;
	for (size_t i = 0; i < f->nops; i++) {
		struct op *o = &f->ops[i];
		size_t     size = o->is_size ? 1 : o->n;

		for (size_t at = 0; at < size;) {
			size_t to = o->is_size ? 1
			    : at + SECTOR - (o->at + at) % SECTOR;

			if (to > size)
				to = size;
			if (how == 1 || (how == 2 && i < kept) ||
			    (how == 3 && draw(2) == 0))
				op_apply(f, &f->safe, o, at, to);
			at = to;
		}
	}
	forget_ops(f);
}

static void
disk_cut(void)
{
	disk.off = true;
	if (disk.kill)
		return;
	for (size_t i = 0; i < FILES; i++)
		if (disk.files[i].name != NULL)
			lose(&disk.files[i]);
}

/* True when the power is off by now. */
static bool
disk_counts(void)
{
	if (!disk.off && disk.countdown >= 0 && disk.countdown-- == 0)
		disk_cut();
	return disk.off;
}

static void
disk_on(void)
{
	for (size_t i = 0; i < FILES && !disk.kill; i++) {
		struct file *f = &disk.files[i];

		if (f->name != NULL)
			image_copy(&f->now, &f->safe);
	}
	disk.off = false;
	disk.countdown = -1;
}

/* Its memory is for the next. */
static void
file_wipe(struct file *f)
{
	free(f->name);
	f->name = NULL;
	f->exists = f->temporary = f->moved = false;
	f->now.n = f->safe.n = 0;
	forget_ops(f);
}

/* --- as SQLite sees it ----------------------------------------------------------- */

struct handle {
	sqlite3_file base;
	struct file *f;
	bool         is_log;    /* its first sync is one of the folder too */
};

static struct file *
file_of(sqlite3_file *h)
{
	return ((struct handle *)h)->f;
}

static struct file *
file_find(const char *name)
{
	for (size_t i = 0; i < FILES; i++)
		if (disk.files[i].name != NULL && name != NULL &&
		    strcmp(disk.files[i].name, name) == 0)
			return &disk.files[i];
	return NULL;
}

static int
on_close(sqlite3_file *h)
{
	if (file_of(h)->temporary)
		file_wipe(file_of(h));
	return SQLITE_OK;
}

static int
on_read(sqlite3_file *h, void *to, int n, sqlite3_int64 at)
{
	const struct image *m = &file_of(h)->now;
	size_t have = (size_t)at < m->n ? m->n - (size_t)at : 0;

	if (disk.off)
		return SQLITE_IOERR_READ;
	if (have >= (size_t)n) {
		memcpy(to, m->p + at, (size_t)n);
		return SQLITE_OK;
	}
	memset(to, 0, (size_t)n);
	if (have > 0)
		memcpy(to, m->p + at, have);
	return SQLITE_IOERR_SHORT_READ;
}

/* A cut at this very moment finds it among what was not synced. */
static int
note(struct file *f, struct op o, const void *bytes, int failure)
{
	if (disk.off)
		return failure;
	if (f->nops == OPS) /* long ago: the disk has had the time */
		sync_ops(f);
	o.from = f->written.n;
	image_size(&f->written, f->written.n + o.n);
	if (o.n > 0)
		memcpy(f->written.p + o.from, bytes, o.n);
	f->ops[f->nops++] = o;
	op_apply(f, &f->now, &o, 0, o.n);
	return disk_counts() ? failure : SQLITE_OK;
}

static int
on_write(sqlite3_file *h, const void *from, int n, sqlite3_int64 at)
{
	return note(file_of(h), (struct op){ .at = (size_t)at,
	    .n = (size_t)n }, from, SQLITE_IOERR_WRITE);
}

static int
on_truncate(sqlite3_file *h, sqlite3_int64 size)
{
	return note(file_of(h), (struct op){ .at = (size_t)size,
	    .is_size = true }, NULL, SQLITE_IOERR_TRUNCATE);
}

static int
on_sync(sqlite3_file *h, int flags)
{
	struct file *f = file_of(h);

	(void)flags;
	if (disk_counts())
		return SQLITE_IOERR_FSYNC;
	disk.syncs++;
	if (disk.deaf)
		return SQLITE_OK;
	sync_ops(f);
	if (((struct handle *)h)->is_log)
		folder_sync();
	((struct handle *)h)->is_log = false;
	return SQLITE_OK;
}

static int
on_size(sqlite3_file *h, sqlite3_int64 *size)
{
	*size = (sqlite3_int64)file_of(h)->now.n;
	return disk.off ? SQLITE_IOERR_FSTAT : SQLITE_OK;
}

/* Nobody else is there. */
static int
on_lock(sqlite3_file *h, int level)
{
	(void)h;
	(void)level;
	return SQLITE_OK;
}

static int
on_check(sqlite3_file *h, int *reserved)
{
	(void)h;
	*reserved = 0;
	return SQLITE_OK;
}

static int
on_control(sqlite3_file *h, int op, void *arg)
{
	(void)h;
	(void)op;
	(void)arg;
	return SQLITE_NOTFOUND;
}

static int
on_sector(sqlite3_file *h)
{
	(void)h;
	return SECTOR;
}

static int
on_character(sqlite3_file *h)
{
	(void)h;
	return SQLITE_IOCAP_POWERSAFE_OVERWRITE; /* as on Linux */
}

static int
on_shm_map(sqlite3_file *h, int region, int size, int extend,
    void volatile **at)
{
	struct file *f = file_of(h);

	if (region >= REGIONS)
		return SQLITE_IOERR_SHMMAP;
	if (f->shm[region] == NULL && extend)
		f->shm[region] = calloc(1, (size_t)size);
	*at = f->shm[region];
	return SQLITE_OK;
}

static int
on_shm_lock(sqlite3_file *h, int offset, int n, int flags)
{
	(void)h;
	(void)offset;
	(void)n;
	(void)flags;
	return SQLITE_OK;
}

static void
on_shm_barrier(sqlite3_file *h)
{
	(void)h;
}

static int
on_shm_unmap(sqlite3_file *h, int delete)
{
	(void)delete;
	for (size_t i = 0; i < REGIONS; i++) {
		free(file_of(h)->shm[i]);
		file_of(h)->shm[i] = NULL;
	}
	return SQLITE_OK;
}

static const sqlite3_io_methods methods = { 2, on_close, on_read, on_write,
	on_truncate, on_sync, on_size, on_lock, on_lock, on_check, on_control,
	on_sector, on_character, on_shm_map, on_shm_lock, on_shm_barrier,
	on_shm_unmap, NULL, NULL };

static int
on_open(sqlite3_vfs *v, const char *name, sqlite3_file *h, int flags,
    int *out_flags)
{
	struct file *f = file_find(name);

	(void)v;
	h->pMethods = NULL;
	if (disk.off || (f == NULL && !(flags & SQLITE_OPEN_CREATE)) ||
	    (f != NULL && !f->exists && !(flags & SQLITE_OPEN_CREATE)))
		return SQLITE_CANTOPEN;
	for (size_t i = 0; f == NULL && i < FILES; i++)
		if (disk.files[i].name == NULL) {
			f = &disk.files[i];
			f->name = strdup(name != NULL ? name : "");
			f->temporary = name == NULL;
		}
	if (f == NULL)
		return SQLITE_CANTOPEN;
	if (!f->exists)
		folder_note(f);
	f->exists = true;
	*(struct handle *)h = (struct handle){ .f = f,
		.is_log = flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL) };
	h->pMethods = &methods;
	if (out_flags != NULL)
		*out_flags = flags;
	return SQLITE_OK;
}

static int
on_delete(sqlite3_vfs *v, const char *name, int sync_folder)
{
	struct file *f = file_find(name);

	(void)v;
	if (disk_counts())
		return SQLITE_IOERR_DELETE;
	if (f == NULL || !f->exists)
		return SQLITE_IOERR_DELETE_NOENT;
	folder_note(f);
	forget_ops(f);
	f->now.n = f->safe.n = 0;
	f->exists = false;
	if (sync_folder)
		folder_sync();
	return SQLITE_OK;
}

static int
on_access(sqlite3_vfs *v, const char *name, int flags, int *there)
{
	struct file *f = file_find(name);

	(void)v;
	(void)flags;
	*there = f != NULL && f->exists;
	return disk.off ? SQLITE_IOERR_ACCESS : SQLITE_OK;
}

static int
on_full_name(sqlite3_vfs *v, const char *name, int n, char *out)
{
	(void)v;
	snprintf(out, (size_t)n, "%s", name);
	return SQLITE_OK;
}

static void
disk_plug(void)
{
	static sqlite3_vfs vfs;

	vfs = *sqlite3_vfs_find(NULL); /* its clock and its chance */
	vfs.zName = "powerless";
	vfs.szOsFile = sizeof(struct handle);
	vfs.xOpen = on_open;
	vfs.xDelete = on_delete;
	vfs.xAccess = on_access;
	vfs.xFullPathname = on_full_name;
	sqlite3_vfs_register(&vfs, 1);
}

/* --- what should be in it --------------------------------------------------------- */

enum { EVENTS = 4096, CHANGES = 8 * EVENTS, DEAD_MAX = 1000000 };
enum state { ABSENT, WAITING, DONE, DEAD };

/* A change of one event in one commit. */
struct change {
	unsigned no, commit;
	enum state to;
	unsigned attempt;
};

struct world {
	char            dir[64];
	struct journal *j;
	enum store_durability durability;
	unsigned char   state[EVENTS], attempt[EVENTS];
	struct change   changes[CHANGES];       /* since the disk was new */
	size_t          nchanges;
	unsigned        last, commit, acked;
	unsigned long   cuts, commits, lost;
	const char     *wrong;
};

static bool
wrong(struct world *w, const char *what)
{
	if (w->wrong == NULL)
		w->wrong = what;
	return false;
}

static struct slice
id_of(unsigned no, char out[32])
{
	snprintf(out, 32, "m:%u", no);
	return slice_of(out);
}

/* A body that only this event can have; some are longer than a page. */
static struct slice
body_of(unsigned no)
{
	static char bytes[6000 + 251];
	size_t      n = no % 7 == 0 ? 500 + no * 37 % 5500 : no * 13 % 900;

	for (size_t i = 0; bytes[1] == 0 && i < sizeof bytes; i++)
		bytes[i] = (char)(i % 251);
	return (struct slice){ bytes + no % 251, n };
}

static void
plan(struct world *w, unsigned no, enum state to, unsigned attempt)
{
	w->state[no] = (unsigned char)to;
	w->attempt[no] = (unsigned char)attempt;
	w->changes[w->nchanges++] = (struct change){ no, w->commit, to,
		attempt };
}

/* --- what is in it ---------------------------------------------------------------- */

struct found {
	struct world *w;
	unsigned char state[EVENTS], attempt[EVENTS];
	unsigned      dead;
};

static enum err
on_done(void *self, uint64_t no, struct slice id)
{
	struct found *f = self;
	char          name[32];

	if (no >= EVENTS || !slice_eq(id, id_of((unsigned)no, name)))
		wrong(f->w, "a done event has another id");
	else
		f->state[no] = DONE;
	return ERR_OK;
}

static enum err
on_event(void *self, const struct journal_event *e)
{
	struct found *f = self;
	char          name[32];
	struct slice  body;

	if (e->no >= EVENTS ||
	    !slice_eq(e->id, id_of((unsigned)e->no, name))) {
		wrong(f->w, "an event has another id");
		return ERR_OK;
	}
	body = body_of((unsigned)e->no);
	if (f->state[e->no] != ABSENT)
		wrong(f->w, "a done event is to be done again");
	if (e->body_n != body.n || !slice_is(e->conv, "u:a") ||
	    !slice_is(e->type, "message.c2c"))
		wrong(f->w, "an event came back otherwise");
	f->state[e->no] = WAITING;
	f->attempt[e->no] = (unsigned char)e->attempt;
	return ERR_OK;
}

static void
on_dead(void *self, const struct journal_dead *d)
{
	struct found      *f = self;
	unsigned long long no = 0;

	slice_u64(slice_from(d->id, 2), &no);
	if (no == 0 || no >= EVENTS || f->state[no] == WAITING ||
	    !slice_eq(d->body, body_of((unsigned)no)) ||
	    !slice_is(d->why, "no")) {
		wrong(f->w, "a dead letter is of no event that is over");
		return;
	}
	f->state[no] = DEAD;
	f->dead++;
}

static void
on_session(void *self, const struct session_memory *m)
{
	*(unsigned *)self = (unsigned)m->seq;
}

static void
read_bodies(struct world *w, const struct found *f)
{
	struct buf b = { 0 };
	int64_t    set_by;

	for (unsigned no = 1; no < EVENTS; no++) {
		if (f->state[no] != WAITING)
			continue;
		buf_reset(&b);
		if (journal_body(w->j, no, &b, &set_by) != ERR_OK ||
		    !slice_eq(buf_slice(&b), body_of(no)))
			wrong(w, "a body is not what it was");
	}
	buf_free(&b);
}

/* What was planned after that commit has never been. */
static void
go_back(struct world *w, unsigned commit)
{
	size_t n = 0;

	memset(w->state, 0, sizeof w->state);
	memset(w->attempt, 0, sizeof w->attempt);
	w->last = 0;
	while (n < w->nchanges && w->changes[n].commit <= commit) {
		struct change *c = &w->changes[n++];

		w->state[c->no] = (unsigned char)c->to;
		w->attempt[c->no] = (unsigned char)c->attempt;
		if (c->no > w->last)
			w->last = c->no;
	}
	w->nchanges = n;
	w->commit = w->acked = commit;
}

/* Which commit it is, and that it is exactly that. */
static bool
compare(struct world *w, unsigned least)
{
	static struct found  f;
	struct budget_memory budget;
	unsigned             commit = 0;
	enum err             e;

	f = (struct found){ .w = w };
	if (journal_recall(w->j, on_done, on_event, &f) != ERR_OK ||
	    journal_dead_list(w->j, 0, DEAD_MAX, on_dead, &f) != ERR_OK ||
	    journal_recall_sessions(w->j, on_session, &commit) != ERR_OK)
		return wrong(w, "it cannot be read");
	e = journal_recall_budget(w->j, "b", &budget);
	if ((e == ERR_OK ? budget.remaining : 0) != commit)
		return wrong(w, "session and budget are of two commits");
	if (commit < least)
		return wrong(w, "what was acknowledged is missing");
	if (commit > w->commit)
		return wrong(w, "it is of no commit that was");
	w->lost += w->acked > commit;
	go_back(w, commit);
	if (memcmp(w->state, f.state, sizeof f.state) != 0)
		return wrong(w, "events are not as after that commit");
	if (memcmp(w->attempt, f.attempt, sizeof f.attempt) != 0)
		return wrong(w, "attempts are not as after it");
	if (f.dead != journal_dead_count(w->j))
		return wrong(w, "dead letters are miscounted");
	read_bodies(w, &f);
	return w->wrong == NULL;
}

/* --- a life ------------------------------------------------------------------------ */

static enum err
end_one(struct world *w, unsigned no)
{
	char                name[32];
	bool                dead = draw(4) == 0;
	struct delivery_end end = { .no = no, .id = id_of(no, name),
		.conv = SLICE("u:a"), .type = SLICE("message.c2c"),
		.why = dead ? SLICE("no") : SLICE(""),
		.worker = SLICE("worker/1"), .attempts = 1, .dead = dead };

	plan(w, no, dead ? DEAD : DONE, 0);
	return journal_end(w->j, &end, 1);
}

static enum err
write_one(struct world *w)
{
	unsigned no = 1 + (unsigned)draw(w->last + 1);
	char     name[32];

	if (no <= w->last && w->state[no] == WAITING) {
		if (draw(4) != 0)
			return end_one(w, no);
		plan(w, no, WAITING, w->attempt[no] + 1u);
		return journal_attempt(w->j, no, w->attempt[no]);
	}
	if (w->last + 1 >= EVENTS)
		return ERR_OK;
	no = ++w->last;
	plan(w, no, WAITING, 0);
	return journal_append(w->j, no, id_of(no, name), SLICE("u:a"),
	    SLICE("message.c2c"), body_of(no), 1);
}

/* What a turn of the loop does: all of it is one commit, with its number. */
static enum err
turn(struct world *w)
{
	struct session_memory m = { .bot = "b", .shards = 1, .id = "s" };
	struct budget_memory  b = { .total = 1 };
	enum err              e = ERR_OK;

	w->commit++;
	for (uint64_t n = draw(10); n > 0 && e == ERR_OK; n--)
		e = write_one(w);
	m.seq = w->commit;
	b.remaining = w->commit;
	if (e != ERR_OK || (e = journal_keep_session(w->j, &m)) != ERR_OK ||
	    (e = journal_keep_budget(w->j, "b", &b)) != ERR_OK ||
	    (e = journal_commit(w->j)) != ERR_OK)
		return e;
	w->acked = w->commit;
	w->commits++;
	return ERR_OK;
}

static enum err
world_open(struct world *w)
{
	struct journal_options o = { w->dir, w->durability, DEAD_MAX, 1 };

	return journal_open(&w->j, &o);
}

/* Opens, writes until the cut (or an end in order), opens again and looks. */
static bool
life(struct world *w)
{
	bool in_order = draw(8) == 0, only_killed = draw(4) == 0;

	disk.kill = only_killed;
	disk.countdown = in_order ? -1
	    : (int64_t)draw(draw(2) == 0 ? 40 : 500);
	if (w->j != NULL || world_open(w) == ERR_OK)
		while (w->nchanges < CHANGES - 10 &&
		    (!in_order || draw(100) != 0) && turn(w) == ERR_OK)
			;
	journal_close(&w->j);
	if (!disk.off) /* the end in order has synced everything */
		disk_cut();
	w->cuts++;
	disk_on();
	if (world_open(w) != ERR_OK)
		return wrong(w, "it cannot be opened");
	if (journal_info(w->j).moved != NULL)
		return wrong(w, "it is said to be damaged");
	if (!compare(w, w->durability == STORE_POWER || in_order || only_killed
	        ? w->acked : 0))
		return false;
	/* The next may be cut while it opens, after this or that end. */
	if (draw(3) != 0)
		return true;
	if (draw(3) == 0)
		disk_cut();
	journal_close(&w->j);
	disk_on();
	return true;
}

static void
new_disk(struct world *w)
{
	journal_close(&w->j);
	for (size_t i = 0; i < FILES; i++)
		if (disk.files[i].name != NULL)
			file_wipe(&disk.files[i]);
	go_back(w, 0);
}

/* Until so many cuts, or the first that is not as it should be. */
static void
lives(struct world *w, enum store_durability d, bool deaf, unsigned long cuts)
{
	char path[96];

	*w = (struct world){ .durability = d };
	disk.deaf = deaf;
	disk.syncs = 0;
	disk.countdown = -1;
	snprintf(w->dir, sizeof w->dir, "/tmp/power-XXXXXX");
	if (mkdtemp(w->dir) == NULL)
		wrong(w, "no folder");
	for (unsigned n = 0; w->cuts < cuts && w->wrong == NULL; n++) {
		if (n % 20 == 0 || w->last > EVENTS / 4 * 3 ||
		    w->nchanges > CHANGES / 4 * 3)
			new_disk(w);
		if (!life(w))
			break;
	}
	new_disk(w);
	snprintf(path, sizeof path, "%s/gateway.db.lock", w->dir);
	unlink(path);
	rmdir(w->dir);
}

static void
tell(const struct world *w)
{
	printf("# %lu cuts, %lu commits, %llu syncs, lost something %lu times\n",
	    w->cuts, w->commits, (unsigned long long)disk.syncs, w->lost);
	if (w->wrong != NULL)
		printf("# after %lu cuts: %s\n", w->cuts, w->wrong);
}

static struct world world;

TEST(nothing_acknowledged_is_lost_with_the_power)
{
	lives(&world, STORE_POWER, false, 1000);
	tell(&world);
	EXPECT(world.wrong == NULL);
	EXPECT(world.commits > 5000);
}

TEST(a_cut_leaves_some_commit_whole)
{
	lives(&world, STORE_PROCESS, false, 1000);
	tell(&world);
	EXPECT(world.wrong == NULL);
	EXPECT(world.commits > 5000 && world.lost > 100);
}

/* The test can fail: this disk keeps nothing, whatever it says. */
TEST(a_disk_that_does_not_sync_is_found_out)
{
	lives(&world, STORE_POWER, true, 1000);
	tell(&world);
	EXPECT(world.wrong != NULL);
}

/* The sanitizers', while the log of so many failures goes nowhere. */
void __sanitizer_set_report_fd(void *);

/* Or the sanitizer's malloc would be what is measured. */
enum { PAGE = 4096 + 512, PAGES = 4000 };
static _Alignas(8) char pages[PAGES * PAGE];

int
main(int argc, char *argv[])
{
	int             null = open("/dev/null", O_WRONLY);
	intptr_t        report = dup(STDERR_FILENO);
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	seed = argc > 1 ? strtoull(argv[1], NULL, 10)
	                : (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
	printf("# seed %llu\n", (unsigned long long)seed);
	__sanitizer_set_report_fd((void *)report);
	dup2(null, STDERR_FILENO);
	close(null);
	log_open("test", LOG_ERROR, false);
	sqlite3_config(SQLITE_CONFIG_PAGECACHE, pages, PAGE, PAGES);
	disk_plug();
	RUN(nothing_acknowledged_is_lost_with_the_power);
	RUN(a_cut_leaves_some_commit_whole);
	RUN(a_disk_that_does_not_sync_is_found_out);
	return test_done();
}
