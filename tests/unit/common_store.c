// links: common
/*
 * store: files that are new, ours, damaged, or somebody else's; transactions;
 * what is there after the writer was killed.
 */
#include "test.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <dirent.h>
#include <ftw.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

#include "log.h"
#include "store.h"

enum { OWNER = 0x52000001, OTHER = 0x72000002 };

static const char *const versions[] = {
	"CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB)",
	"ALTER TABLE t ADD COLUMN more TEXT; "
	"UPDATE t SET more = 'from version 1'",
};

static char          dir[] = "/tmp/rk-store-XXXXXX", path[80];
static struct store *s;

static int
remove_one(const char *name, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(name);
}

static void
setup(void)
{
	log_open("test", LOG_ERROR, false);
	strcpy(dir + sizeof dir - 7, "XXXXXX");
	EXPECT(mkdtemp(dir) != NULL);
	snprintf(path, sizeof path, "%s/t.db", dir);
}

static void
teardown(void)
{
	store_close(&s);
	EXPECT(s == NULL);
	nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static struct store_options
options(void)
{
	return (struct store_options){ .path = path, .owner = OWNER,
		.version = 1, .upgrades = versions,
		.durability = STORE_PROCESS };
}

static enum err
open_with(const struct store_options *o)
{
	return store_open(&s, o);
}

static void
open_plain(void)
{
	struct store_options o = options();

	EXPECT_INT(open_with(&o), ERR_OK);
}

static enum err
insert(const char *v)
{
	struct store_stmt *t;
	enum err           e;

	EXPECT_INT(store_prepare(s, &t, "INSERT INTO t (v) VALUES (?)"),
	    ERR_OK);
	store_bind_bytes(t, 1, slice_of(v));
	e = store_run(t);
	store_stmt_free(&t);
	return e;
}

static int64_t
number(const char *sql)
{
	struct store_stmt *t;
	int64_t            n = -1;

	EXPECT_INT(store_prepare(s, &t, sql), ERR_OK);
	if (store_row(t) == ERR_OK)
		n = store_int(t, 0);
	EXPECT_INT(store_row(t), ERR_NOT_FOUND);
	store_stmt_free(&t);
	return n;
}

static int64_t
rows(void)
{
	return number("SELECT count(*) FROM t");
}

/* Whose names have this in them; what SQLite puts beside them left out. */
static size_t
files_like(const char *part)
{
	DIR           *d = opendir(dir);
	struct dirent *f;
	size_t         n = 0;

	while (d != NULL && (f = readdir(d)) != NULL)
		n += strstr(f->d_name, part) != NULL &&
		    strstr(f->d_name, "-wal") == NULL &&
		    strstr(f->d_name, "-shm") == NULL;
	if (d != NULL)
		closedir(d);
	return n;
}

static void
write_file(const char *how, const char *what, size_t times)
{
	FILE *f = fopen(path, how);

	EXPECT(f != NULL);
	for (size_t i = 0; f != NULL && i < times; i++)
		fputs(what, f);
	if (f != NULL)
		fclose(f);
}

/* --- opening -------------------------------------------------------------- */

TEST(new_then_reopened)
{
	struct stat st;

	setup();
	open_plain();
	EXPECT(store_moved(s) == NULL);
	EXPECT_INT(number("PRAGMA application_id"), OWNER);
	EXPECT_INT(number("PRAGMA user_version"), 1);
	EXPECT_INT(insert("a"), ERR_OK);
	EXPECT(store_bytes_used(s) > 0);
	EXPECT(store_disk_free(s) > 0);
	EXPECT(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
	store_close(&s); /* commits */
	open_plain();
	EXPECT(store_moved(s) == NULL);
	EXPECT_INT(rows(), 1);
	EXPECT_INT(insert("b"), ERR_OK);
	teardown();
}

TEST(values_come_back)
{
	struct store_stmt *t;

	setup();
	open_plain();
	EXPECT_INT(store_prepare(s, &t, "INSERT INTO t VALUES (?, ?)"),
	    ERR_OK);
	store_bind_int(t, 1, INT64_MIN);
	store_bind_bytes(t, 2, (struct slice){ "a\0b", 3 });
	EXPECT_INT(store_run(t), ERR_OK);
	store_bind_int(t, 1, INT64_MAX);
	store_bind_bytes(t, 2, (struct slice){ NULL, 0 });
	EXPECT_INT(store_run(t), ERR_OK);
	store_bind_int(t, 1, 0);
	store_bind_null(t, 2);
	EXPECT_INT(store_run(t), ERR_OK);
	store_stmt_free(&t);
	EXPECT(t == NULL);
	EXPECT_INT(store_prepare(s, &t,
	    "SELECT id, v, v IS NULL FROM t ORDER BY id"), ERR_OK);
	for (int i = 0; i < 2; i++) {
		EXPECT_INT(store_row(t), ERR_OK);
		EXPECT(store_int(t, 0) == INT64_MIN);
		EXPECT(slice_eq(store_bytes(t, 1),
		    (struct slice){ "a\0b", 3 }));
		store_reset(t); /* from the beginning */
	}
	EXPECT_INT(store_row(t), ERR_OK);
	EXPECT_INT(store_row(t), ERR_OK);
	EXPECT_INT(store_int(t, 2), 1);
	EXPECT_INT(store_row(t), ERR_OK);
	EXPECT(store_int(t, 0) == INT64_MAX);
	EXPECT_INT(store_int(t, 2), 0); /* empty is not unknown */
	EXPECT_INT(store_bytes(t, 1).n, 0);
	EXPECT_INT(store_row(t), ERR_NOT_FOUND);
	store_stmt_free(&t);
	teardown();
}

TEST(an_older_version_is_upgraded)
{
	struct store_options o = options();

	setup();
	open_plain();
	EXPECT_INT(insert("a"), ERR_OK);
	store_close(&s);
	o.version = 2;
	EXPECT_INT(open_with(&o), ERR_OK);
	EXPECT(store_moved(s) == NULL);
	EXPECT_INT(number("PRAGMA user_version"), 2);
	EXPECT_INT(number("SELECT count(*) FROM t "
	                  "WHERE more = 'from version 1'"), 1);
	teardown();
}

/* What is moved aside is still what it was. */
TEST(a_later_version_is_moved_aside)
{
	struct store_options o = options();
	char                 moved[200];

	setup();
	o.version = 2;
	EXPECT_INT(open_with(&o), ERR_OK);
	EXPECT_INT(insert("later"), ERR_OK);
	store_close(&s);
	open_plain();
	EXPECT(store_moved(s) != NULL && files_like(".moved-") == 1);
	EXPECT_INT(rows(), 0);
	snprintf(moved, sizeof moved, "%s", store_moved(s));
	EXPECT(strncmp(moved, path, strlen(path)) == 0);
	store_close(&s);
	o.path = moved;
	EXPECT_INT(open_with(&o), ERR_OK);
	EXPECT(store_moved(s) == NULL);
	EXPECT_INT(rows(), 1);
	teardown();
}

TEST(of_another_program)
{
	struct store_options o = options();

	setup();
	o.owner = OTHER;
	EXPECT_INT(open_with(&o), ERR_OK);
	EXPECT_INT(insert("theirs"), ERR_OK);
	store_close(&s);
	open_plain();
	EXPECT(store_moved(s) != NULL);
	EXPECT_INT(rows(), 0);
	teardown();
}

TEST(a_text_file)
{
	setup();
	write_file("w", "what a person wrote\n", 100);
	open_plain();
	EXPECT(store_moved(s) != NULL && files_like(".moved-") == 1);
	EXPECT_INT(rows(), 0);
	teardown();
}

TEST(an_empty_file_is_new)
{
	setup();
	write_file("w", "", 0);
	open_plain();
	EXPECT(store_moved(s) == NULL);
	EXPECT_INT(rows(), 0);
	teardown();
}

static void
damage(long from, size_t n)
{
	FILE *f = fopen(path, "r+");

	EXPECT(f != NULL && fseek(f, from, SEEK_SET) == 0);
	for (size_t i = 0; f != NULL && i < n; i++)
		fputc(0x5a, f);
	if (f != NULL)
		fclose(f);
}

TEST(damaged_in_the_middle)
{
	setup();
	open_plain();
	for (int i = 0; i < 1000; i++)
		EXPECT_INT(insert("some row of the table"), ERR_OK);
	store_close(&s);
	damage(4096, 8192);
	open_plain();
	EXPECT(store_moved(s) != NULL);
	EXPECT_INT(rows(), 0);
	EXPECT_INT(insert("goes on"), ERR_OK);
	EXPECT_INT(store_commit(s), ERR_OK);
	teardown();
}

TEST(moved_files_are_never_replaced)
{
	setup();
	for (size_t i = 1; i <= 3; i++) {
		write_file("w", "not a database\n", 50);
		open_plain();
		EXPECT_INT(files_like(".moved-"), i);
		store_close(&s);
	}
	teardown();
}

TEST(a_folder_that_is_not_there)
{
	struct store_options o = options();

	setup();
	o.path = "/nonexistent/folder/t.db";
	EXPECT_INT(open_with(&o), ERR_SYSTEM);
	EXPECT(s == NULL);
	teardown();
}

/* --- one writer ----------------------------------------------------------- */

/* In a process of its own; its status is what the function returned. */
static int
elsewhere(int (*doing)(void), bool dies)
{
	pid_t pid = fork();
	int   status = -1;

	if (pid == 0) {
		int result = doing();

		fflush(stdout);
		if (dies && !test_bad)
			kill(getpid(), SIGKILL);
		_exit(test_bad ? 99 : result);
	}
	EXPECT(pid > 0 && waitpid(pid, &status, 0) == pid);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status)
	                           : WEXITSTATUS(status);
}

static int
try_to_open(void)
{
	struct store        *mine;
	struct store_options o = options();
	enum err             e = store_open(&mine, &o);

	store_close(&mine);
	return (int)e;
}

TEST(another_process_has_it)
{
	setup();
	open_plain();
	EXPECT_INT(elsewhere(try_to_open, false), ERR_BUSY);
	EXPECT_INT(insert("still ours"), ERR_OK);
	store_close(&s);
	EXPECT_INT(elsewhere(try_to_open, false), ERR_OK);
	teardown();
}

static int
commit_and_more(void)
{
	open_plain();
	EXPECT_INT(insert("committed"), ERR_OK);
	EXPECT_INT(insert("committed too"), ERR_OK);
	EXPECT_INT(store_commit(s), ERR_OK);
	EXPECT_INT(insert("not committed"), ERR_OK);
	return 0;
}

TEST(after_a_kill_what_was_committed_is_there)
{
	setup();
	EXPECT_INT(elsewhere(commit_and_more, true), 128 + SIGKILL);
	open_plain(); /* and the lock is free */
	EXPECT(store_moved(s) == NULL);
	EXPECT_INT(rows(), 2);
	teardown();
}

TEST(durabilities)
{
	static const struct {
		const char           *word;
		enum store_durability durability;
		int64_t               synchronous, kept;
	} all[] = {
		{ "process", STORE_PROCESS, 1, 1 },
		{ "power", STORE_POWER, 2, 1 },
		{ "none", STORE_NONE, 1, 0 },
		{ "", STORE_PROCESS, 1, 1 },
	};

	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		struct store_options o = options();

		setup();
		o.durability = store_durability_of(slice_of(all[i].word));
		EXPECT_INT(o.durability, all[i].durability);
		EXPECT_INT(open_with(&o), ERR_OK);
		EXPECT_INT(number("PRAGMA synchronous"), all[i].synchronous);
		EXPECT_INT(insert("x"), ERR_OK);
		EXPECT_INT(store_commit(s), ERR_OK);
		EXPECT_INT(rows(), 1);
		store_close(&s);
		EXPECT_INT(files_like("t.db") > 0, all[i].kept);
		EXPECT_INT(open_with(&o), ERR_OK);
		EXPECT_INT(rows(), all[i].kept);
		teardown();
	}
}

/* --- transactions --------------------------------------------------------- */

TEST(one_transaction_until_the_commit)
{
	setup();
	open_plain();
	EXPECT(!store_is_dirty(s));
	EXPECT_INT(store_commit(s), ERR_OK); /* there is none */
	EXPECT_INT(insert("a"), ERR_OK);
	EXPECT(store_is_dirty(s));
	EXPECT_INT(insert("b"), ERR_OK);
	EXPECT_INT(rows(), 2); /* the writer sees its own */
	EXPECT_INT(store_commit(s), ERR_OK);
	EXPECT(!store_is_dirty(s));
	teardown();
}

TEST(full_by_bytes_max_rolls_back)
{
	static char          big[8000];
	struct store_options o = options();
	enum err             e = ERR_OK;
	int64_t              committed;

	setup();
	memset(big, 'x', sizeof big - 1);
	o.bytes_max = 256 << 10;
	EXPECT_INT(open_with(&o), ERR_OK);
	EXPECT_INT(insert("a"), ERR_OK);
	EXPECT_INT(store_commit(s), ERR_OK);
	committed = rows();
	for (int i = 0; i < 1000 && e == ERR_OK; i++)
		e = insert(big);
	EXPECT_INT(e, ERR_FULL);
	EXPECT(!store_is_dirty(s));
	EXPECT_INT(rows(), committed);
	/* It serves on. */
	EXPECT_INT(insert("b"), ERR_OK);
	EXPECT_INT(store_commit(s), ERR_OK);
	EXPECT_INT(rows(), committed + 1);
	EXPECT(store_bytes_used(s) < o.bytes_max);
	teardown();
}

TEST(a_statement_that_failed_can_run_again)
{
	struct store_stmt *t;

	setup();
	open_plain();
	EXPECT_INT(store_prepare(s, &t, "INSERT INTO t VALUES (?, 'x')"),
	    ERR_OK);
	store_bind_int(t, 1, 1);
	EXPECT_INT(store_run(t), ERR_OK);
	EXPECT(store_run(t) != ERR_OK); /* the same id: all of it is lost */
	EXPECT(!store_is_dirty(s));
	EXPECT_INT(rows(), 0);
	EXPECT_INT(store_run(t), ERR_OK);
	EXPECT_INT(store_commit(s), ERR_OK);
	EXPECT_INT(rows(), 1);
	store_stmt_free(&t);
	teardown();
}

static void
limit(rlim_t bytes)
{
	struct rlimit l;

	getrlimit(RLIMIT_FSIZE, &l);
	l.rlim_cur = bytes == 0 ? l.rlim_max : bytes;
	EXPECT(setrlimit(RLIMIT_FSIZE, &l) == 0);
}

TEST(a_disk_that_takes_no_more)
{
	setup();
	signal(SIGXFSZ, SIG_IGN);
	open_plain();
	EXPECT_INT(insert("a"), ERR_OK);
	EXPECT_INT(store_commit(s), ERR_OK);
	limit(1);
	EXPECT_INT(insert("b"), ERR_OK);
	EXPECT(store_commit(s) != ERR_OK);
	EXPECT(!store_is_dirty(s));
	limit(0);
	EXPECT_INT(rows(), 1);
	EXPECT_INT(insert("c"), ERR_OK);
	EXPECT_INT(store_commit(s), ERR_OK);
	EXPECT_INT(rows(), 2);
	teardown();
}

/* Somebody looks meanwhile, as sqlite3(1) would. */
static int
read_it(void)
{
	sqlite3      *db = NULL;
	sqlite3_stmt *st = NULL;
	int           n = 98;

	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) ==
	        SQLITE_OK &&
	    sqlite3_prepare_v2(db, "SELECT count(*) FROM t", -1, &st, NULL) ==
	        SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return n;
}

TEST(others_may_read_it)
{
	setup();
	open_plain();
	EXPECT_INT(insert("a"), ERR_OK);
	EXPECT_INT(store_commit(s), ERR_OK);
	EXPECT_INT(insert("not committed"), ERR_OK);
	EXPECT_INT(elsewhere(read_it, false), 1);
	teardown();
}

int
main(void)
{
	RUN(new_then_reopened);
	RUN(values_come_back);
	RUN(an_older_version_is_upgraded);
	RUN(a_later_version_is_moved_aside);
	RUN(of_another_program);
	RUN(a_text_file);
	RUN(an_empty_file_is_new);
	RUN(damaged_in_the_middle);
	RUN(moved_files_are_never_replaced);
	RUN(a_folder_that_is_not_there);
	RUN(another_process_has_it);
	RUN(after_a_kill_what_was_committed_is_there);
	RUN(durabilities);
	RUN(one_transaction_until_the_commit);
	RUN(full_by_bytes_max_rolls_back);
	RUN(a_statement_that_failed_can_run_again);
	RUN(a_disk_that_takes_no_more);
	RUN(others_may_read_it);
	return test_done();
}
