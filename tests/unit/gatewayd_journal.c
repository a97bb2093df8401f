// links: gatewayd/journal.c gatewayd/delivery.c common
/*
 * journal: what is written comes back as it was, in order, from the file and
 * not from memory; what is not a journal of ours is moved aside and kept.
 * What a power cut leaves is gatewayd_power.c's.
 */
#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "journal.h"
#include "log.h"

static char folder[64], file[96];

static enum err
open_with(struct journal **j, enum store_durability d, uint64_t dead_max)
{
	struct journal_options o = { folder, d, dead_max, 1000 };

	return journal_open(j, &o);
}

static struct journal *
opened(void)
{
	struct journal *j;

	EXPECT(open_with(&j, STORE_PROCESS, 3) == ERR_OK);
	return j;
}

/* A folder for each test; all that was in it goes. */
static void
begin(void)
{
	snprintf(folder, sizeof folder, "/tmp/journal-XXXXXX");
	EXPECT(mkdtemp(folder) != NULL);
	snprintf(file, sizeof file, "%s/gateway.db", folder);
}

static void
end(struct journal **j)
{
	char command[96];

	journal_close(j);
	snprintf(command, sizeof command, "rm -r %s", folder);
	EXPECT(system(command) == 0);
}

static enum err
append(struct journal *j, uint64_t no, const char *id, const char *body)
{
	return journal_append(j, no, slice_of(id), SLICE("u:a"),
	    SLICE("message.c2c"), slice_of(body), (int64_t)no * 10);
}

static enum err
ended(struct journal *j, uint64_t no, const char *id, bool dead)
{
	struct delivery_end e = { .no = no, .id = slice_of(id),
		.conv = SLICE("u:a"), .type = SLICE("message.c2c"),
		.why = dead ? SLICE("it said no") : SLICE(""),
		.worker = SLICE("worker/1"), .attempts = dead ? 5 : 1,
		.dead = dead };

	return journal_end(j, &e, (int64_t)no * 100);
}

/* --- what is there, as one text ---------------------------------------------------- */

static struct buf seen;

static enum err
see_done(void *self, uint64_t no, struct slice id)
{
	(void)self;
	buf_putf(&seen, "done %d ", (int)no);
	buf_put(&seen, id);
	buf_puts(&seen, "\n");
	return ERR_OK;
}

static enum err
see_event(void *self, const struct journal_event *e)
{
	(void)self;
	buf_putf(&seen, "%d ", (int)e->no);
	buf_put(&seen, e->id);
	buf_puts(&seen, " ");
	buf_put(&seen, e->conv);
	buf_puts(&seen, " ");
	buf_put(&seen, e->type);
	buf_putf(&seen, " %d %u %d\n", (int)e->body_n, e->attempt,
	    (int)e->came_wall_ms);
	return ERR_OK;
}

static void
see_dead(void *self, const struct journal_dead *d)
{
	const struct slice s[] = { d->id, d->conv, d->type, d->why, d->worker,
		d->body };

	(void)self;
	buf_putf(&seen, "dead %d", (int)d->no);
	for (size_t i = 0; i < sizeof s / sizeof *s; i++) {
		buf_puts(&seen, " ");
		buf_put(&seen, s[i]);
	}
	buf_putf(&seen, " %u %d\n", d->attempts, (int)d->at_wall_ms);
}

static void
see_session(void *self, const struct session_memory *m)
{
	(void)self;
	buf_putf(&seen, "%s %u/%u %x %s %d %s %d\n", m->bot, m->shard,
	    m->shards, m->intents, m->id, (int)m->seq, m->user,
	    (int)m->saved_wall_ms);
}

static const char *
text_seen(void)
{
	static char text[4096];

	snprintf(text, sizeof text, "%.*s", (int)seen.n,
	    seen.n > 0 ? seen.p : "");
	buf_free(&seen);
	return text;
}

static const char *
recalled(struct journal *j)
{
	EXPECT(journal_recall(j, see_done, see_event, NULL) == ERR_OK);
	return text_seen();
}

static const char *
dead(struct journal *j, uint64_t after, unsigned max)
{
	EXPECT(journal_dead_list(j, after, max, see_dead, NULL) == ERR_OK);
	return text_seen();
}

/* --- events ------------------------------------------------------------------------ */

TEST(a_new_one_is_empty)
{
	struct journal      *j;
	struct budget_memory b;
	struct stat          st;
	struct buf           body = { 0 };
	int64_t              set_by;

	begin();
	j = opened();
	EXPECT_STR(recalled(j), "");
	EXPECT_STR(dead(j, 0, 9), "");
	EXPECT(journal_recall_sessions(j, see_session, NULL) == ERR_OK);
	EXPECT_STR(text_seen(), "");
	EXPECT(journal_recall_budget(j, "b", &b) == ERR_NOT_FOUND);
	EXPECT(journal_body(j, 1, &body, &set_by) == ERR_NOT_FOUND);
	EXPECT_INT(journal_dead_count(j), 0);
	EXPECT_STR(journal_info(j).file, file);
	EXPECT(journal_info(j).moved == NULL);
	EXPECT(journal_info(j).bytes > 0 && journal_info(j).disk_free > 0);
	/* users' words are in it */
	EXPECT(stat(file, &st) == 0 && (st.st_mode & 0777) == 0600);
	end(&j);
	EXPECT(j == NULL);
}

TEST(what_was_written_comes_back)
{
	struct journal *j;
	struct buf      body = { 0 };
	int64_t         set_by;

	begin();
	j = opened();
	EXPECT(append(j, 1, "one", "body") == ERR_OK);
	EXPECT(append(j, 2, "two", "") == ERR_OK);
	EXPECT(append(j, 7, "seven", "x") == ERR_OK);
	EXPECT(journal_append(j, 8, (struct slice){ "a\0b", 3 }, SLICE("c"),
	    SLICE("t"), (struct slice){ "\0\xff", 2 }, -5) == ERR_OK);
	EXPECT(append(j, 9, "nine", "y") == ERR_OK);
	EXPECT(journal_attempt(j, 7, 3) == ERR_OK);
	EXPECT(ended(j, 9, "nine", false) == ERR_OK);
	EXPECT(ended(j, 1, "one", false) == ERR_OK);
	journal_close(&j); /* commits */
	j = opened();
	EXPECT(journal_recall(j, see_done, see_event, NULL) == ERR_OK);
	EXPECT_SLICE(((struct slice){ seen.p, 40 }),
	    "done 1 one\ndone 9 nine\n2 two u:a message");
	EXPECT(memmem(seen.p, seen.n, "8 a\0b c t 2 0 -5\n", 17) != NULL);
	EXPECT(memmem(seen.p, seen.n, "\n7 seven u:a message.c2c 1 3 70\n",
	    32) != NULL);
	buf_free(&seen);
	EXPECT(journal_body(j, 7, &body, &set_by) == ERR_OK);
	EXPECT(journal_body(j, 8, &body, &set_by) == ERR_OK); /* after it */
	EXPECT(journal_body(j, 2, &body, &set_by) == ERR_OK);
	EXPECT(body.n == 3 && memcmp(body.p, "x\0\xff", 3) == 0);
	EXPECT(journal_body(j, 1, &body, &set_by) == ERR_NOT_FOUND); /* done */
	buf_free(&body);
	end(&j);
}

/* Only a commit keeps, and then all of the turn: the process dies twice. */
TEST(what_was_not_committed_has_never_been)
{
	struct session_memory s = { .bot = "b", .id = "s", .seq = 1 };
	struct journal       *j;

	begin();
	for (int i = 0; i < 2; i++) {
		pid_t child = fork();
		int   status = 1;

		if (child == 0) {
			if (open_with(&j, STORE_PROCESS, 3) != ERR_OK)
				_exit(1);
			append(j, 1 + 2 * (uint64_t)i, i ? "c" : "a", "x");
			journal_keep_session(j, &s);
			if (journal_commit(j) != ERR_OK)
				_exit(2);
			append(j, 2 + 2 * (uint64_t)i, i ? "d" : "b", "x");
			ended(j, 1, "a", false);
			s.seq = 2;
			journal_keep_session(j, &s);
			_exit(0);
		}
		EXPECT(waitpid(child, &status, 0) == child && status == 0);
	}
	j = opened();
	EXPECT_STR(recalled(j), "1 a u:a message.c2c 1 0 10\n"
	    "3 c u:a message.c2c 1 0 30\n");
	EXPECT(journal_recall_sessions(j, see_session, NULL) == ERR_OK);
	EXPECT_STR(text_seen(), "b 0/0 0 s 1  0\n");
	end(&j);
}

TEST(urgent_is_what_somebody_waits_for)
{
	struct session_memory s = { .bot = "b" };
	struct budget_memory  b = { 0 };
	struct journal       *j;
	uint64_t              commits;

	begin();
	j = opened();
	EXPECT(!journal_is_urgent(j));
	append(j, 1, "1", "x");
	EXPECT(journal_is_urgent(j));
	EXPECT(journal_commit(j) == ERR_OK && !journal_is_urgent(j));
	append(j, 2, "2", "x");
	journal_commit(j);
	ended(j, 1, "1", false); /* it goes out again, that is all */
	journal_attempt(j, 2, 2);
	journal_prune(j, 1);
	EXPECT(!journal_is_urgent(j));
	ended(j, 2, "2", true);
	EXPECT(journal_is_urgent(j));
	journal_commit(j);
	journal_keep_session(j, &s);
	EXPECT(journal_is_urgent(j));
	journal_commit(j);
	journal_keep_budget(j, "b", &b);
	EXPECT(journal_is_urgent(j));
	commits = journal_info(j).commits;
	EXPECT(journal_commit(j) == ERR_OK && journal_commit(j) == ERR_OK);
	EXPECT_INT(journal_info(j).commits, commits + 1); /* nothing: none */
	end(&j);
}

static enum err
stop_at_done(void *self, uint64_t no, struct slice id)
{
	(void)self;
	(void)no;
	(void)id;
	return ERR_NOMEM;
}

static enum err
stop_at_event(void *self, const struct journal_event *e)
{
	(void)self;
	(void)e;
	return ERR_DUPLICATE;
}

TEST(recalling_ends_with_the_first_error)
{
	struct journal *j;

	begin();
	j = opened();
	append(j, 1, "a", "x");
	append(j, 2, "b", "x");
	ended(j, 1, "a", false);
	EXPECT(journal_recall(j, stop_at_done, see_event, NULL) == ERR_NOMEM);
	EXPECT_STR(text_seen(), "");
	EXPECT(journal_recall(j, see_done, stop_at_event, NULL) ==
	    ERR_DUPLICATE);
	EXPECT_STR(text_seen(), "done 1 a\n");
	EXPECT_STR(recalled(j), "done 1 a\n2 b u:a message.c2c 1 0 20\n");
	end(&j);
}

/* --- done ---------------------------------------------------------------------------- */

TEST(ids_are_kept_from_a_number_on)
{
	enum { MANY = 20005 };
	struct journal *j;
	char            id[16];
	sqlite3        *db;
	sqlite3_stmt   *st;

	begin();
	j = opened();
	append(j, 1, "waits", "x");
	for (uint64_t no = 2; no <= 4; no++) {
		snprintf(id, sizeof id, "%d", (int)no);
		append(j, no, id, "x");
		ended(j, no, id, no == 3);
	}
	EXPECT(journal_prune(j, 4) == ERR_OK);
	EXPECT_STR(recalled(j), "done 4 4\n1 waits u:a message.c2c 1 0 10\n");
	EXPECT_INT(journal_dead_count(j), 1); /* that is for a person */
	/* a bounded number at once */
	for (uint64_t no = 5; no < 5 + MANY; no++)
		ended(j, no, "d", false);
	EXPECT(journal_prune(j, 5 + MANY) == ERR_OK);
	EXPECT(journal_commit(j) == ERR_OK);
	EXPECT(sqlite3_open(file, &db) == SQLITE_OK);
	EXPECT(sqlite3_prepare_v2(db, "SELECT count(*), min(no) FROM done",
	    -1, &st, NULL) == SQLITE_OK);
	EXPECT(sqlite3_step(st) == SQLITE_ROW);
	EXPECT_INT(sqlite3_column_int(st, 0), 1 + MANY - 20000);
	EXPECT_INT(sqlite3_column_int(st, 1), 4 + 20000);
	sqlite3_finalize(st);
	sqlite3_close(db);
	EXPECT(journal_prune(j, 5 + MANY) == ERR_OK);
	EXPECT_STR(recalled(j), "1 waits u:a message.c2c 1 0 10\n");
	end(&j);
}

static enum err
remember(void *self, uint64_t no, struct slice id)
{
	return delivery_remember(self, id, no);
}

static enum err
restore(void *self, const struct journal_event *e)
{
	return delivery_restore(self, e->no, e->id, e->conv, e->type,
	    e->body_n, e->attempt, 0);
}

/* An id that was forgotten and came again: its first end is no end of it. */
TEST(the_queue_takes_back_what_the_journal_has)
{
	static const struct delivery_limits limits = { .events = 9,
		.bytes = 99, .remembered = 9, .attempts = 5,
		.timeout_ms = 9 };
	struct delivery     *d = delivery_new(&limits);
	struct delivery_item item;
	struct journal      *j;
	uint64_t             no;

	begin();
	j = opened();
	append(j, 1, "a", "x");
	ended(j, 1, "a", false);
	append(j, 2, "b", "x");
	ended(j, 2, "b", false);
	append(j, 5, "a", "again");
	journal_close(&j);
	j = opened();
	EXPECT(journal_recall(j, remember, restore, d) == ERR_OK);
	EXPECT(delivery_append(d, SLICE("b"), SLICE("c"), SLICE("t"),
	    SLICE(""), 0, &no) == ERR_DUPLICATE);
	EXPECT(delivery_append(d, SLICE("c"), SLICE("c"), SLICE("t"),
	    SLICE(""), 0, &no) == ERR_OK && no == 6);
	delivery_worker_set(d, SLICE("w"), SLICE("w"), 1, SLICE("h"),
	    SLICE("*"), 1, 0, false, true, 0);
	EXPECT(delivery_offer(d, 0, &item) && item.no == 5 &&
	    slice_is(item.id, "a") && item.body_away);
	delivery_free(&d);
	end(&j);
}

/* --- dead letters ---------------------------------------------------------------------- */

TEST(dead_letters_are_listed_shown_and_dropped)
{
	struct journal *j;

	begin();
	j = opened();
	append(j, 1, "a", "body a");
	append(j, 2, "b", "body b");
	append(j, 3, "c", "body c");
	ended(j, 2, "b", true);
	ended(j, 1, "a", true);
	ended(j, 3, "c", false);
	journal_close(&j);
	j = opened();
	EXPECT_INT(journal_dead_count(j), 2);
	EXPECT_STR(dead(j, 0, 9),
	    "dead 1 b u:a message.c2c it said no worker/1 body b 5 200\n"
	    "dead 2 a u:a message.c2c it said no worker/1 body a 5 100\n");
	EXPECT_STR(dead(j, 0, 1),
	    "dead 1 b u:a message.c2c it said no worker/1 body b 5 200\n");
	EXPECT_STR(dead(j, 1, 9),
	    "dead 2 a u:a message.c2c it said no worker/1 body a 5 100\n");
	EXPECT_STR(dead(j, 2, 9), "");
	/* their ids are known all the same */
	EXPECT_STR(recalled(j), "done 1 a\ndone 2 b\ndone 3 c\n");
	append(j, 4, "b", "body b"); /* tried again, and dead again */
	ended(j, 4, "b", true);
	EXPECT(journal_dead_show(j, 0, SLICE("b"), see_dead, NULL) == ERR_OK);
	EXPECT(journal_dead_show(j, 1, SLICE(""), see_dead, NULL) == ERR_OK);
	EXPECT_STR(text_seen(),
	    "dead 3 b u:a message.c2c it said no worker/1 body b 5 400\n"
	    "dead 1 b u:a message.c2c it said no worker/1 body b 5 200\n");
	EXPECT(journal_dead_show(j, 9, SLICE(""), see_dead, NULL) ==
	    ERR_NOT_FOUND);
	EXPECT(journal_dead_show(j, 0, SLICE("c"), see_dead, NULL) ==
	    ERR_NOT_FOUND);
	EXPECT(journal_dead_drop(j, 3) == ERR_OK);
	EXPECT_INT(journal_dead_count(j), 2);
	EXPECT(journal_dead_show(j, 3, SLICE(""), see_dead, NULL) ==
	    ERR_NOT_FOUND);
	EXPECT_STR(text_seen(), "");
	end(&j);
}

TEST(the_oldest_dead_letter_goes_beyond_the_bound)
{
	struct journal *j;
	char            id[8];

	begin();
	j = opened();
	for (uint64_t no = 1; no <= 5; no++) {
		snprintf(id, sizeof id, "%d", (int)no);
		append(j, no, id, "x");
		EXPECT(ended(j, no, id, true) == ERR_OK);
	}
	EXPECT_INT(journal_dead_count(j), 3);
	EXPECT_INT(journal_dead_lost(j), 2);
	journal_close(&j);
	j = opened();
	EXPECT_INT(journal_dead_count(j), 3);
	EXPECT_STR(dead(j, 0, 1),
	    "dead 3 3 u:a message.c2c it said no worker/1 x 5 300\n");
	end(&j);
}

/* --- sessions -------------------------------------------------------------------------- */

TEST(sessions_and_budgets_are_rows_of_their_own)
{
	struct session_memory s = { .bot = "b1", .id = "s1", .seq = 7,
		.user = "u1", .shard = 0, .shards = 2, .intents = 0xffffffff,
		.saved_wall_ms = 123 };
	struct budget_memory  b = { 1000, 3, 456, 789 }, got;
	struct journal       *j;
	sqlite3              *db;

	begin();
	j = opened();
	EXPECT(journal_keep_session(j, &s) == ERR_OK);
	s.shard = 1;
	s.id[0] = '\0';
	EXPECT(journal_keep_session(j, &s) == ERR_OK);
	s.seq = 8;
	EXPECT(journal_keep_session(j, &s) == ERR_OK); /* in its place */
	snprintf(s.bot, sizeof s.bot, "b2");
	EXPECT(journal_keep_session(j, &s) == ERR_OK);
	EXPECT(journal_keep_budget(j, "b1", &b) == ERR_OK);
	b.remaining = 2;
	EXPECT(journal_keep_budget(j, "b1", &b) == ERR_OK);
	journal_close(&j);

	/* an id longer than any of ours cannot be resumed */
	EXPECT(sqlite3_open(file, &db) == SQLITE_OK);
	EXPECT(sqlite3_exec(db, "INSERT INTO session VALUES(x'6233', 0, 1, 1,"
	    " hex(zeroblob(2500)), 9, x'', 0)", NULL, NULL, NULL) == SQLITE_OK);
	sqlite3_close(db);
	j = opened();
	EXPECT(journal_set_clock(j, 1000) == ERR_OK);
	EXPECT(journal_set_clock(j, -1000) == ERR_OK);
	EXPECT(journal_set_clock(j, 100) == ERR_OK);
	EXPECT(journal_recall_sessions(j, see_session, NULL) == ERR_OK);
	EXPECT_STR(text_seen(), "b1 0/2 ffffffff s1 7 u1 223\n"
	    "b1 1/2 ffffffff  8 u1 223\n"
	    "b2 1/2 ffffffff  8 u1 223\n"
	    "b3 0/1 1  9  100\n");
	EXPECT(journal_recall_budget(j, "b1", &got) == ERR_OK);
	EXPECT(got.total == 1000 && got.remaining == 2 &&
	    got.resets_wall_ms == 456 && got.next_wall_ms == 789);
	EXPECT(journal_recall_budget(j, "b2", &got) == ERR_NOT_FOUND);
	end(&j);
}

/* --- the file -------------------------------------------------------------------------- */

static void
put_file(const char *path, const char *bytes, size_t n)
{
	FILE *f = fopen(path, "w");

	EXPECT(f != NULL && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
}

/* A journal with an event, and then the pragma or damage. */
static void
make_file(const char *pragma)
{
	struct journal *j = opened();
	char            body[3000];
	sqlite3        *db;

	memset(body, 'x', sizeof body - 1);
	body[sizeof body - 1] = '\0';
	for (uint64_t no = 1; no <= 20; no++)
		append(j, no, "id", body);
	journal_close(&j);
	if (pragma == NULL)
		return;
	EXPECT(sqlite3_open(file, &db) == SQLITE_OK);
	EXPECT(sqlite3_exec(db, pragma, NULL, NULL, NULL) == SQLITE_OK);
	sqlite3_close(db);
}

static size_t
get_file(const char *path, char *out, size_t max)
{
	FILE  *f = fopen(path, "r");
	size_t n = f != NULL ? fread(out, 1, max, f) : 0;

	EXPECT(f != NULL);
	if (f != NULL)
		fclose(f);
	return n;
}

/* What is not ours, or damaged, is moved aside as it is; a new one begins. */
TEST(what_is_not_a_journal_of_ours_is_kept)
{
	static const struct {
		const char *what, *pragma;
		bool        moved;
	} rows[] = {
		{ "ours", NULL, false },
		{ "text", NULL, true },
		{ "empty", NULL, false },
		{ "of another program", "PRAGMA application_id=7", true },
		{ "of no program", "PRAGMA application_id=0", true },
		{ "of a later version", "PRAGMA user_version=99", true },
		{ "half of it", NULL, true },
		{ "a page overwritten", NULL, true },
		{ "its head overwritten", NULL, true },
	};
	static char before[200000], after[200000];

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct journal *j = NULL;
		const char     *moved;
		size_t          n, m;

		begin();
		make_file(rows[i].pragma);
		n = get_file(file, before, sizeof before);
		if (slice_is(slice_of(rows[i].what), "text"))
			n = (size_t)snprintf(before, sizeof before,
			    "%2000s", "once upon a time");
		else if (strcmp(rows[i].what, "empty") == 0)
			n = 0;
		else if (strcmp(rows[i].what, "half of it") == 0)
			n = n / 2 / 4096 * 4096;
		else if (strcmp(rows[i].what, "a page overwritten") == 0)
			memset(before + 3 * 4096, 0xa5, 4096);
		else if (strcmp(rows[i].what, "its head overwritten") == 0)
			memset(before, 0xa5, 100);
		put_file(file, before, n);
		EXPECT(open_with(&j, STORE_PROCESS, 3) == ERR_OK);
		if (j == NULL)
			continue;
		moved = journal_info(j).moved;
		if ((moved != NULL) != rows[i].moved)
			printf("# %s: %s\n", rows[i].what,
			    moved != NULL ? "moved" : "not moved");
		EXPECT((moved != NULL) == rows[i].moved);
		if (moved != NULL) {
			m = get_file(moved, after, sizeof after);
			EXPECT(m == n && memcmp(before, after, n) == 0);
			EXPECT_STR(recalled(j), "");
		}
		EXPECT(append(j, 21, "new", "x") == ERR_OK);
		EXPECT(journal_commit(j) == ERR_OK);
		end(&j);
	}
}

TEST(one_found_damaged_later_is_moved_too)
{
	struct journal *j;
	char           *moved = NULL;
	char            command[128];

	begin();
	j = opened();
	append(j, 1, "a", "x");
	EXPECT(journal_commit(j) == ERR_OK);
	append(j, 2, "b", "x");
	EXPECT(journal_abandon(&j, "a test says so", &moved) == ERR_OK);
	EXPECT(j == NULL && moved != NULL && access(moved, F_OK) == 0);
	free(moved);
	j = opened();
	EXPECT_STR(recalled(j), "");
	EXPECT(journal_info(j).moved == NULL);
	snprintf(command, sizeof command, "ls %s/gateway.db.moved-* > /dev/null",
	    folder);
	EXPECT(system(command) == 0);
	EXPECT(journal_abandon(&j, "", &moved) == ERR_OK);
	free(moved);
	EXPECT(journal_abandon(&j, "", &moved) == ERR_OK); /* none */
	EXPECT(moved == NULL);
	end(&j);
}

TEST(there_is_one_writer)
{
	struct journal *j, *second;

	begin();
	j = opened();
	EXPECT(open_with(&second, STORE_PROCESS, 3) == ERR_BUSY);
	EXPECT(second == NULL);
	EXPECT(append(j, 1, "a", "x") == ERR_OK);
	EXPECT(journal_commit(j) == ERR_OK);
	journal_close(&j);
	EXPECT(open_with(&second, STORE_PROCESS, 3) == ERR_OK);
	end(&second);
}

/* A disk that takes no more: what was committed stays, what was not has never
 * been, and a journal that cannot be written is not opened. */
static bool
disk_is_full(rlim_t at)
{
	struct rlimit limit = { at, at };

	signal(SIGXFSZ, SIG_IGN);
	return setrlimit(RLIMIT_FSIZE, &limit) == 0;
}

/* 100 + the number of the first event that was refused; without an end. */
static int
fill_the_disk(void)
{
	struct journal *j;
	char            body[1001];
	uint64_t        no = 1;

	memset(body, 'x', sizeof body - 1);
	body[1000] = '\0';
	if (open_with(&j, STORE_PROCESS, 3) != ERR_OK || !disk_is_full(100000))
		return 1;
	while (append(j, no, "a", body) == ERR_OK &&
	    journal_commit(j) == ERR_OK)
		no++;
	/* the next turn does not pretend */
	if (append(j, no, "a", body) == ERR_OK && journal_commit(j) == ERR_OK)
		return 2;
	return no > 1 && no < 150 ? 100 + (int)no : 3;
}

static int
open_on_a_full_disk(void)
{
	struct journal *j;
	enum err        e = ERR_OK;

	if (disk_is_full(80000))
		e = open_with(&j, STORE_PROCESS, 3);
	return e == ERR_SYSTEM || e == ERR_FULL ? 0 : 1;
}

static int
in_a_child(int (*fn)(void))
{
	pid_t child = fork();
	int   status = 0;

	if (child == 0)
		_exit(fn());
	EXPECT(waitpid(child, &status, 0) == child && WIFEXITED(status));
	return WEXITSTATUS(status);
}

TEST(a_full_disk_is_told_of)
{
	struct journal *j;
	struct buf      body = { 0 };
	uint64_t        no;
	int64_t         set_by;

	begin();
	no = (uint64_t)in_a_child(fill_the_disk) - 100;
	EXPECT(no < 150);
	EXPECT_INT(in_a_child(open_on_a_full_disk), 0);
	j = opened();
	EXPECT(journal_info(j).moved == NULL);
	EXPECT(journal_body(j, no - 1, &body, &set_by) == ERR_OK);
	EXPECT(body.n == 1000 && set_by == 0);
	EXPECT(journal_body(j, no, &body, &set_by) == ERR_NOT_FOUND);
	EXPECT(append(j, no, "a", "x") == ERR_OK);
	EXPECT(journal_commit(j) == ERR_OK);
	buf_free(&body);
	end(&j);
}

/* The event is too large for what is left of the disk, what comes after it is
 * not: the seq, and the ends of events that never were. */
static int
seq_after_a_failed_event(void)
{
	struct session_memory s = { .bot = "b1", .id = "s1", .seq = 8,
		.shards = 1 };
	struct journal       *j;
	char                  body[60001];
	bool                  bad;

	memset(body, 'x', sizeof body - 1);
	body[sizeof body - 1] = '\0';
	if (open_with(&j, STORE_PROCESS, 3) != ERR_OK ||
	    append(j, 1, "a", "x") != ERR_OK || journal_commit(j) != ERR_OK ||
	    !disk_is_full(80000))
		return 1;
	if (append(j, 2, "b", body) == ERR_OK && journal_commit(j) == ERR_OK)
		return 2;
	/* closing, too, would write what it may */
	bad = journal_keep_session(j, &s) == ERR_OK ||
	    ended(j, 2, "b", true) == ERR_OK;
	journal_close(&j);
	return bad ? 3 : 0;
}

TEST(nothing_is_written_after_a_failure)
{
	struct journal *j;

	begin();
	EXPECT_INT(in_a_child(seq_after_a_failed_event), 0);
	j = opened();
	EXPECT_INT(journal_recall_sessions(j, see_session, NULL), ERR_OK);
	EXPECT_STR(text_seen(), "");
	EXPECT_STR(recalled(j), "1 a u:a message.c2c 1 0 10\n");
	end(&j);
}

TEST(a_folder_that_is_not_there_is_an_error)
{
	struct journal_options o = { "/nowhere/at/all", STORE_PROCESS, 3, 0 };
	struct journal        *j;

	EXPECT(journal_open(&j, &o) == ERR_SYSTEM);
	EXPECT(j == NULL);
}

TEST(in_memory_there_is_no_file)
{
	struct journal *j, *second;
	struct buf      body = { 0 };
	int64_t         set_by;

	begin();
	EXPECT(open_with(&j, STORE_NONE, 3) == ERR_OK);
	EXPECT(open_with(&second, STORE_NONE, 3) == ERR_OK);
	append(j, 1, "a", "body");
	EXPECT(journal_commit(j) == ERR_OK);
	EXPECT(journal_body(j, 1, &body, &set_by) == ERR_OK);
	EXPECT_SLICE(buf_slice(&body), "body");
	EXPECT_STR(recalled(second), "");
	journal_close(&j);
	EXPECT(open_with(&j, STORE_NONE, 3) == ERR_OK);
	EXPECT_STR(recalled(j), "");
	EXPECT(rmdir(folder) == 0 && mkdir(folder, 0700) == 0);
	buf_free(&body);
	journal_close(&second);
	end(&j);
}

int
main(void)
{
	log_open("test", LOG_ERROR, false);
	RUN(a_new_one_is_empty);
	RUN(what_was_written_comes_back);
	RUN(what_was_not_committed_has_never_been);
	RUN(urgent_is_what_somebody_waits_for);
	RUN(recalling_ends_with_the_first_error);
	RUN(ids_are_kept_from_a_number_on);
	RUN(the_queue_takes_back_what_the_journal_has);
	RUN(dead_letters_are_listed_shown_and_dropped);
	RUN(the_oldest_dead_letter_goes_beyond_the_bound);
	RUN(sessions_and_budgets_are_rows_of_their_own);
	RUN(what_is_not_a_journal_of_ours_is_kept);
	RUN(one_found_damaged_later_is_moved_too);
	RUN(there_is_one_writer);
	RUN(a_full_disk_is_told_of);
	RUN(nothing_is_written_after_a_failure);
	RUN(a_folder_that_is_not_there_is_an_error);
	RUN(in_memory_there_is_no_file);
	return test_done();
}
