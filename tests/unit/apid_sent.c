// links: apid/left.c apid/left.c apid/sent.c apid/peers.c apid/reply.c apid/table.c common
/*
 * The memories: what was sent, on disk too, and who was heard.  Earlier runs
 * are children that end without a word.
 */
#include "test.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "log.h"
#include "peers.h"
#include "sent.h"

enum { NOW = 1000000, HOUR = SENT_KEEP_MS };

static char        dir[] = "/tmp/rk-sent-XXXXXX";
static struct sent s;

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void
setup(void)
{
	log_open("test", LOG_ERROR, false);
	strcpy(dir + sizeof dir - 7, "XXXXXX");
	EXPECT(mkdtemp(dir) != NULL);
}

static void
teardown(void)
{
	sent_close(&s);
	EXPECT_INT(s.n, 0);
	EXPECT_INT(s.bytes, 0);
	EXPECT_INT(s.table.n, 0);
	nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void
open_at(int64_t now)
{
	EXPECT_INT(sent_open(&s, dir, STORE_PROCESS, now), ERR_OK);
}

/* An earlier run, which opens the record, does this and is killed. */
static void
killed_after(void (*doing)(void))
{
	pid_t pid = fork();
	int   status = -1;

	if (pid == 0) {
		open_at(NOW);
		doing();
		fflush(stdout);
		kill(getpid(), test_bad ? SIGTERM : SIGKILL);
	}
	EXPECT(pid > 0 && waitpid(pid, &status, 0) == pid);
	EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static struct slice
key(char *to, size_t i)
{
	return (struct slice){ to, (size_t)sprintf(to, "key %zu", i) };
}

static const struct sent_outcome good = { RESULT_OK, 200, { "one", 3 },
	{ "t", 1 } };
static const struct sent_outcome unknown = { .result = RESULT_TIMEOUT };

static enum sent_state
state_of(const char *k)
{
	struct sent_outcome got;

	return sent_find(&s, slice_of(k), &got);
}

static void
begin(const char *k)
{
	EXPECT_INT(sent_begin(&s, slice_of(k), 0, NOW), ERR_OK);
}

static void
commit(void)
{
	EXPECT_INT(sent_commit(&s, NOW), ERR_OK);
	EXPECT(!sent_is_unsaved(&s));
}

/* --- one run -------------------------------------------------------------- */

TEST(first_outcome_stays)
{
	struct sent_outcome b = { .status = 500, .data = SLICE("two") }, got;

	setup();
	EXPECT_INT(sent_open(&s, dir, STORE_NONE, NOW), ERR_OK);
	EXPECT_INT(state_of("k"), SENT_NOT);
	begin("k");
	EXPECT_INT(sent_begin(&s, SLICE("k"), 0, NOW), ERR_DUPLICATE);
	EXPECT_INT(state_of("k"), SENT_UNDER_WAY);
	EXPECT_INT(sent_end(&s, SLICE("k"), &good, NOW), ERR_OK);
	EXPECT_INT(sent_end(&s, SLICE("k"), &b, NOW), ERR_DUPLICATE);
	for (int i = 0; i < 2; i++) { /* from memory, then from the file */
		EXPECT_INT(sent_find(&s, SLICE("k"), &got), SENT_ENDED);
		EXPECT_SLICE(got.data, "one");
		EXPECT_SLICE(got.trace, "t");
		EXPECT_INT(got.status, 200);
		commit();
	}
	EXPECT_INT(state_of("kk"), SENT_NOT);
	teardown();
}

TEST(what_was_not_sent_may_be_sent)
{
	setup();
	open_at(NOW);
	begin("k");
	sent_undo(&s, SLICE("k"));
	EXPECT(!sent_is_unsaved(&s)); /* nothing of it is in the file */
	begin("k");
	commit();
	sent_undo(&s, SLICE("k"));
	EXPECT_INT(state_of("k"), SENT_NOT);
	begin("k");
	EXPECT_INT(state_of("k"), SENT_UNDER_WAY);
	commit();
	EXPECT_INT(sent_end(&s, SLICE("k"), &good, NOW), ERR_OK);
	sent_undo(&s, SLICE("k")); /* too late */
	EXPECT_INT(state_of("k"), SENT_ENDED);
	teardown();
}

TEST(one_commit_for_many)
{
	char     k[32];
	uint64_t before;

	setup();
	open_at(NOW);
	before = s.commits;
	for (size_t i = 0; i < 100; i++)
		EXPECT_INT(sent_begin(&s, key(k, i), 0, NOW), ERR_OK);
	commit();
	commit();
	EXPECT_INT(s.commits - before, 1);
	teardown();
}

TEST(the_oldest_goes)
{
	char   k[32];
	size_t n = SENT_MAX + 1000;

	setup();
	open_at(NOW);
	for (size_t i = 0; i < n; i++) {
		EXPECT_INT(sent_begin(&s, key(k, i), 0, NOW), ERR_OK);
		if (i % 500 == 0)
			commit();
	}
	commit();
	EXPECT_INT(s.n, SENT_MAX);
	EXPECT_INT(state_of("key 999"), SENT_NOT);
	EXPECT_INT(state_of("key 1000"), SENT_UNDER_WAY);
	/* The file has no more than a few rows that are not needed. */
	EXPECT(s.pruned + SENT_PRUNE > 1000);
	sent_close(&s);
	open_at(NOW);
	EXPECT_INT(s.n, SENT_MAX);
	EXPECT_INT(state_of("key 999"), SENT_NOT);
	EXPECT_INT(state_of("key 1000"), SENT_UNDER_WAY);
	teardown();
}

TEST(bytes_are_bounded)
{
	static char         big[1 << 20];
	struct sent_outcome o = { .data = { big, sizeof big } };
	char                k[32];
	size_t              most = SENT_BYTES_MAX / sizeof big;

	setup();
	open_at(NOW);
	for (size_t i = 0; i < 2 * most; i++) {
		EXPECT_INT(sent_end(&s, key(k, i), &o, NOW), ERR_OK);
		if (i % 8 == 0)
			commit();
	}
	commit();
	EXPECT(s.bytes <= SENT_BYTES_MAX);
	EXPECT(s.n >= most - 1 && s.n <= most);
	sent_close(&s);
	open_at(NOW);
	EXPECT(s.bytes <= SENT_BYTES_MAX && s.n >= most - 1);
	teardown();
}

TEST(kept_as_long_as_its_window)
{
	setup();
	open_at(NOW);
	EXPECT_INT(sent_begin(&s, SLICE("hour"), NOW + 5, NOW), ERR_OK);
	EXPECT_INT(sent_begin(&s, SLICE("long"), NOW + 2 * HOUR, NOW), ERR_OK);
	EXPECT_INT(sent_begin(&s, SLICE("x"), 0, NOW + HOUR - 1), ERR_OK);
	EXPECT_INT(state_of("hour"), SENT_UNDER_WAY);
	EXPECT_INT(sent_begin(&s, SLICE("y"), 0, NOW + HOUR), ERR_OK);
	EXPECT_INT(state_of("hour"), SENT_NOT);
	EXPECT_INT(state_of("long"), SENT_UNDER_WAY);
	commit();
	sent_close(&s);
	/* The time of day may have been set meanwhile: for another day. */
	open_at(NOW + 2 * HOUR + SENT_BELIEVE_MS - 1);
	EXPECT_INT(state_of("long"), SENT_UNDER_WAY);
	EXPECT_INT(state_of("x"), SENT_NOT);
	EXPECT_INT(state_of("y"), SENT_UNDER_WAY);
	sent_close(&s);
	open_at(NOW + 2 * HOUR + SENT_BELIEVE_MS);
	EXPECT_INT(s.n, 0);
	EXPECT(s.next_id == 5); /* ids are not used again */
	teardown();
}

static struct slice
family_of(struct slice key)
{
	return (struct slice){ key.p, key.n > 1 ? 1 : 0 };
}

TEST(families_are_counted)
{
	setup();
	open_at(NOW);
	EXPECT_INT(sent_begin(&s, SLICE("a1"), 0, NOW), ERR_OK);
	sent_count_families(&s, family_of);
	EXPECT_INT(sent_begin(&s, SLICE("a2"), 0, NOW), ERR_OK);
	EXPECT_INT(sent_begin(&s, SLICE("b1"), 0, NOW), ERR_OK);
	EXPECT_INT(sent_begin(&s, SLICE("-"), 0, NOW), ERR_OK);
	EXPECT_INT(sent_family(&s, SLICE("a")), 2);
	sent_undo(&s, SLICE("a1"));
	EXPECT_INT(sent_family(&s, SLICE("a")), 1);
	EXPECT_INT(sent_family(&s, SLICE("b")), 1);
	sent_undo(&s, SLICE("b1"));
	EXPECT_INT(sent_family(&s, SLICE("b")), 0);
	EXPECT_INT(sent_family(&s, SLICE("-")), 0);
	teardown();
}

/* The folder cannot be written when the program starts: what is begun
 * meanwhile is younger than what the file turns out to hold. */
TEST(a_file_that_is_read_late)
{
	char away[sizeof dir + 8];

	setup();
	open_at(NOW);
	EXPECT_INT(sent_begin(&s, SLICE("old"), 0, NOW), ERR_OK);
	EXPECT_INT(sent_begin(&s, SLICE("both"), 0, NOW), ERR_OK);
	commit();
	sent_close(&s);
	snprintf(away, sizeof away, "%s-away", dir);
	EXPECT(rename(dir, away) == 0);
	EXPECT_INT(sent_open(&s, dir, STORE_PROCESS, NOW), ERR_SYSTEM);
	EXPECT_INT(state_of("old"), SENT_NOT);
	EXPECT(!s.loaded);
	EXPECT_INT(sent_begin(&s, SLICE("both"), 0, NOW), ERR_OK);
	EXPECT_INT(sent_begin(&s, SLICE("new"), 0, NOW), ERR_OK);
	EXPECT_INT(sent_reopen(&s, NOW), ERR_SYSTEM);
	EXPECT(rename(away, dir) == 0);
	EXPECT_INT(sent_reopen(&s, NOW), ERR_OK);
	EXPECT(s.loaded);
	EXPECT_INT(s.n, 3);
	sent_close(&s);
	open_at(NOW);
	EXPECT_INT(state_of("old"), SENT_UNDER_WAY);
	EXPECT_INT(state_of("new"), SENT_UNDER_WAY);
	EXPECT_INT(s.n, 3);
	teardown();
}

/* --- the run before was killed --------------------------------------------- */

static void
half_done(void)
{
	begin("under way");
	begin("done");
	begin("unknown");
	begin("refused");
	commit();
	EXPECT_INT(sent_end(&s, SLICE("done"), &good, NOW), ERR_OK);
	EXPECT_INT(sent_end(&s, SLICE("unknown"), &unknown, NOW), ERR_OK);
	sent_undo(&s, SLICE("refused"));
	commit();
	EXPECT_INT(sent_end(&s, SLICE("under way"), &good, NOW), ERR_OK);
	begin("not committed");
}

TEST(what_was_committed_is_there_after_a_kill)
{
	struct sent_outcome got;

	setup();
	killed_after(half_done);
	open_at(NOW);
	EXPECT_INT(s.n, 3);
	EXPECT_INT(state_of("under way"), SENT_UNDER_WAY);
	EXPECT_INT(state_of("refused"), SENT_NOT);
	EXPECT_INT(state_of("not committed"), SENT_NOT);
	EXPECT_INT(sent_find(&s, SLICE("unknown"), &got), SENT_ENDED);
	EXPECT_INT(got.result, RESULT_TIMEOUT);
	EXPECT_INT(sent_find(&s, SLICE("done"), &got), SENT_ENDED);
	EXPECT_INT(got.result, RESULT_OK);
	EXPECT_INT(got.status, 200);
	EXPECT_SLICE(got.data, "one");
	EXPECT_SLICE(got.trace, "t");
	/* What is unknown can still be settled. */
	EXPECT_INT(sent_end(&s, SLICE("under way"), &good, NOW), ERR_OK);
	sent_close(&s);
	open_at(NOW);
	EXPECT_INT(state_of("under way"), SENT_ENDED);
	EXPECT_INT(s.n, 3);
	teardown();
}

static void
again_and_again(void)
{
	begin("k");
	commit();
	sent_undo(&s, SLICE("k"));
	begin("k");
	commit();
	EXPECT_INT(sent_end(&s, SLICE("k"), &good, NOW), ERR_OK);
	commit();
}

TEST(the_last_row_of_a_key_counts)
{
	setup();
	killed_after(again_and_again);
	open_at(NOW);
	EXPECT_INT(s.n, 1);
	EXPECT_INT(state_of("k"), SENT_ENDED);
	teardown();
}

/* --- what had not left ------------------------------------------------------ */

static void
leaves(const char *k)
{
	begin(k);
	commit();
	sent_leaves(&s, slice_of(k));
}

static void
one_of_two_leaves(void)
{
	sent_watch(&s);
	leaves("left");
	begin("never");
	begin("done");
	commit();
	EXPECT_INT(sent_end(&s, SLICE("done"), &good, NOW), ERR_OK);
	commit();
	leaves("refused");
	leaves("answered");
	leaves("nobody knows");
	sent_undo(&s, SLICE("refused"));
	EXPECT_INT(sent_end(&s, SLICE("answered"), &good, NOW), ERR_OK);
	EXPECT_INT(sent_end(&s, SLICE("nobody knows"), &unknown, NOW), ERR_OK);
}

static void
watch_after_kill(void)
{
	open_at(NOW);
	sent_watch(&s);
}

TEST(what_has_not_left_may_be_sent)
{
	struct sent_outcome got;

	setup();
	killed_after(one_of_two_leaves);
	watch_after_kill();
	EXPECT_INT(state_of("left"), SENT_UNDER_WAY);
	EXPECT_INT(state_of("done"), SENT_ENDED);
	EXPECT_INT(state_of("never"), SENT_NOT);
	EXPECT_INT(state_of("refused"), SENT_NOT);
	EXPECT_INT(state_of("nobody knows"), SENT_UNDER_WAY);
	EXPECT_INT(sent_find(&s, SLICE("answered"), &got), SENT_ENDED);
	EXPECT_INT(got.result, RESULT_OK);
	EXPECT_INT(got.data.n, 0);
	commit(); /* of the file, too */
	sent_close(&s);
	watch_after_kill();
	EXPECT_INT(s.n, 4);
	leaves("never");
	sent_close(&s);
	watch_after_kill();
	EXPECT_INT(state_of("never"), SENT_UNDER_WAY);
	teardown();
}

static void
not_watched(void)
{
	begin("unwatched");
	commit();
}

TEST(nothing_is_said_of_a_run_that_noted_nothing)
{
	setup();
	killed_after(not_watched);
	watch_after_kill();
	EXPECT_INT(state_of("unwatched"), SENT_UNDER_WAY);
	teardown();
}

static void
mark_file(size_t at, const char *bytes, size_t n)
{
	char  path[80];
	FILE *f;

	snprintf(path, sizeof path, "%s/apid.left", dir);
	f = fopen(path, "r+");
	EXPECT(f != NULL && fseek(f, (long)at, SEEK_SET) == 0);
	EXPECT(fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
}

TEST(marks_of_another_boot_say_nothing)
{
	setup();
	killed_after(one_of_two_leaves);
	mark_file(8, "another", 7);
	watch_after_kill();
	EXPECT_INT(state_of("left"), SENT_UNDER_WAY);
	EXPECT_INT(state_of("never"), SENT_UNDER_WAY);
	teardown();
}

TEST(marks_that_were_removed_say_nothing)
{
	char path[80];

	setup();
	killed_after(one_of_two_leaves);
	snprintf(path, sizeof path, "%s/apid.left", dir);
	EXPECT(unlink(path) == 0);
	watch_after_kill();
	EXPECT_INT(state_of("left"), SENT_UNDER_WAY);
	EXPECT_INT(state_of("never"), SENT_UNDER_WAY);
	teardown();
}

static void
many_leave_after_two(void)
{
	char k[32];

	one_of_two_leaves();
	for (size_t i = 0; i < LEFT_MARKS; i++)
		EXPECT_INT(sent_begin(&s, key(k, i), 0, NOW), ERR_OK);
	commit();
	for (size_t i = 0; i < LEFT_MARKS; i++)
		sent_leaves(&s, key(k, i));
}

TEST(a_mark_that_was_written_over_says_nothing)
{
	setup();
	killed_after(many_leave_after_two);
	watch_after_kill();
	EXPECT_INT(state_of("never"), SENT_UNDER_WAY);
	EXPECT_INT(state_of("left"), SENT_UNDER_WAY);
	EXPECT_INT(state_of("key 0"), SENT_UNDER_WAY);
	teardown();
}

TEST(without_room_for_marks_it_serves)
{
	char path[80];

	setup();
	snprintf(path, sizeof path, "%s/apid.left", dir);
	EXPECT(mkdir(path, 0700) == 0);
	open_at(NOW);
	sent_watch(&s);
	EXPECT(s.left.page == NULL);
	leaves("k");
	sent_close(&s);
	watch_after_kill();
	EXPECT_INT(state_of("k"), SENT_UNDER_WAY);
	teardown();
}

/* --- the disk is full, the file damaged ------------------------------------- */

static void
limit(rlim_t bytes)
{
	struct rlimit l;

	getrlimit(RLIMIT_FSIZE, &l);
	l.rlim_cur = bytes == 0 ? l.rlim_max : bytes;
	EXPECT(setrlimit(RLIMIT_FSIZE, &l) == 0);
}

TEST(a_full_disk_loses_nothing)
{
	struct sent_outcome got;

	setup();
	signal(SIGXFSZ, SIG_IGN);
	open_at(NOW);
	begin("before");
	commit();
	EXPECT_INT(sent_end(&s, SLICE("before"), &good, NOW), ERR_OK);
	begin("during");
	limit(1);
	EXPECT(sent_commit(&s, NOW) != ERR_OK);
	EXPECT(s.trouble != ERR_OK);
	EXPECT(sent_is_unsaved(&s));
	/* Memory serves on. */
	EXPECT_INT(sent_find(&s, SLICE("before"), &got), SENT_ENDED);
	EXPECT_SLICE(got.data, "one");
	EXPECT_INT(state_of("during"), SENT_UNDER_WAY);
	begin("gone again");
	sent_undo(&s, SLICE("gone again"));
	EXPECT(sent_commit(&s, NOW) != ERR_OK);
	EXPECT(sent_reopen(&s, NOW) != ERR_OK);
	limit(0);
	EXPECT_INT(sent_reopen(&s, NOW), ERR_OK);
	EXPECT_INT(s.trouble, ERR_OK);
	EXPECT(!sent_is_unsaved(&s));
	EXPECT(s.moved == NULL);
	sent_close(&s);
	open_at(NOW);
	EXPECT_INT(s.n, 2);
	EXPECT_INT(sent_find(&s, SLICE("before"), &got), SENT_ENDED);
	EXPECT_SLICE(got.data, "one");
	EXPECT_INT(state_of("during"), SENT_UNDER_WAY);
	teardown();
}

static void
overwrite(const char *name)
{
	char  path[80];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	if ((f = fopen(path, "r+")) == NULL)
		return;
	for (int i = 0; i < 8192; i++)
		fputc('x', f);
	fclose(f);
}

/* Damaged while it was closed: a new file gets what memory knows. */
TEST(a_damaged_file_is_replaced_from_memory)
{
	setup();
	open_at(NOW);
	begin("a");
	begin("b");
	EXPECT_INT(sent_end(&s, SLICE("b"), &good, NOW), ERR_OK);
	commit();
	limit(1);
	begin("c");
	EXPECT(sent_commit(&s, NOW) != ERR_OK);
	limit(0);
	overwrite("apid.db");
	overwrite("apid.db-wal");
	EXPECT_INT(sent_reopen(&s, NOW), ERR_OK);
	EXPECT(s.moved != NULL && access(s.moved, F_OK) == 0);
	sent_close(&s);
	open_at(NOW);
	EXPECT_INT(s.n, 3);
	EXPECT_INT(state_of("a"), SENT_UNDER_WAY);
	EXPECT_INT(state_of("b"), SENT_ENDED);
	EXPECT_INT(state_of("c"), SENT_UNDER_WAY);
	teardown();
}

/* Too large to be looked at as a whole when it is opened: the damage shows
 * when it is read.  What came before it is not lost. */
TEST(damage_is_found_while_reading)
{
	static char k[700];
	char        path[80];
	FILE       *f;
	size_t      kept;

	setup();
	open_at(NOW);
	memset(k, 'k', sizeof k);
	for (size_t i = 0; i < 30000; i++) {
		k[sprintf(k, "%zu", i)] = ' ';
		EXPECT_INT(sent_begin(&s, (struct slice){ k, sizeof k }, 0,
		    NOW), ERR_OK);
	}
	commit();
	sent_close(&s);
	snprintf(path, sizeof path, "%s/apid.db", dir);
	f = fopen(path, "r+");
	EXPECT(f != NULL && fseek(f, 10 << 20, SEEK_SET) == 0);
	for (int i = 0; f != NULL && i < 8 * 4096; i++)
		fputc('x', f);
	if (f != NULL)
		fclose(f);
	open_at(NOW);
	EXPECT(s.moved != NULL);
	EXPECT_INT(s.trouble, ERR_OK);
	EXPECT(s.n > 5000 && s.n < 30000);
	kept = s.n;
	commit();
	sent_close(&s);
	open_at(NOW);
	EXPECT(s.moved == NULL);
	EXPECT_INT(s.n, kept);
	teardown();
}

TEST(one_record_one_writer)
{
	static struct sent other;

	setup();
	open_at(NOW);
	EXPECT_INT(sent_open(&other, dir, STORE_PROCESS, NOW), ERR_BUSY);
	sent_close(&other);
	teardown();
}

TEST(newcomers_and_the_silent)
{
	static struct peers p;
	char                k[32];

	EXPECT(peers_heard(&p, SLICE("a"), 0));
	EXPECT(!peers_heard(&p, SLICE("a"), 5000));
	EXPECT(peers_heard(&p, SLICE("b"), 5000));
	EXPECT(!peers_heard(&p, SLICE("a"), 14000));
	EXPECT(peers_heard(&p, SLICE("b"), 15000)); /* silent for 10 s */
	for (size_t i = 0; i < 3 * PEERS_MAX; i++)
		EXPECT(peers_heard(&p, key(k, i), 15000));
	EXPECT(p.table.n <= PEERS_MAX + 1);
	EXPECT(!peers_heard(&p, key(k, 3 * PEERS_MAX - 1), 15000));
	EXPECT(peers_heard(&p, key(k, 0), 15000));
	peers_close(&p);
	EXPECT_INT(p.table.n, 0);
}

int
main(void)
{
	RUN(first_outcome_stays);
	RUN(what_was_not_sent_may_be_sent);
	RUN(one_commit_for_many);
	RUN(the_oldest_goes);
	RUN(bytes_are_bounded);
	RUN(kept_as_long_as_its_window);
	RUN(families_are_counted);
	RUN(a_file_that_is_read_late);
	RUN(what_was_committed_is_there_after_a_kill);
	RUN(the_last_row_of_a_key_counts);
	RUN(what_has_not_left_may_be_sent);
	RUN(nothing_is_said_of_a_run_that_noted_nothing);
	RUN(marks_of_another_boot_say_nothing);
	RUN(marks_that_were_removed_say_nothing);
	RUN(a_mark_that_was_written_over_says_nothing);
	RUN(without_room_for_marks_it_serves);
	RUN(a_full_disk_loses_nothing);
	RUN(a_damaged_file_is_replaced_from_memory);
	RUN(damage_is_found_while_reading);
	RUN(one_record_one_writer);
	RUN(newcomers_and_the_silent);
	return test_done();
}
