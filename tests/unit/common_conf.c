// links: common/conf.c common/buf.c common/slice.c common/secret.c common/err.c common/log.c
/*
 * conf: every check of the table, hostile files, and that a secret stays one.
 */
#include "test.h"

#include <sys/stat.h>

#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

#include "buf.h"
#include "conf.h"

#define ROWS(a) (sizeof(a) / sizeof *(a))
#define SECRET "s3cr3t-of-the-test"

static const enum conf_reader everybody = CONF_S | CONF_G | CONF_A | CONF_W |
    CONF_C | CONF_Q;

static void
write_bytes(const char *name, struct slice text)
{
	FILE *f = fopen(name, "w");

	EXPECT(f != NULL);
	if (f == NULL)
		return;
	EXPECT(fwrite(text.p, 1, text.n, f) == text.n);
	fclose(f);
}

static void
write_file(const char *name, const char *text)
{
	write_bytes(name, slice_of(text));
}

/* No setting in the environment, no file, no bots. */
static void
start_clean(void)
{
	for (char **e = environ; *e != NULL;)
		if (strncmp(*e, "QQ_", 3) == 0 ||
		    strncmp(*e, "ROOKERY_", 8) == 0) {
			char *name = strndup(*e, strcspn(*e, "="));

			unsetenv(name);
			free(name);
			e = environ;
		} else
			e++;
	unlink(".env");
	unlink("bots/a.env");
	unlink("bots/b.env");
}

static const struct conf_problem *
find_problem(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->nproblems; i++)
		if (strcmp(c->problems[i].name, name) == 0)
			return &c->problems[i];
	return NULL;
}

static bool
mentions(const struct conf *c, const char *word)
{
	for (size_t i = 0; i < c->nproblems; i++)
		if (strstr(c->problems[i].name, word) != NULL ||
		    strstr(c->problems[i].value, word) != NULL ||
		    strstr(c->problems[i].why, word) != NULL ||
		    strstr(c->problems[i].remedy, word) != NULL)
			return true;
	return false;
}

static enum conf_id
id_of(const char *name)
{
	for (int i = 0; i < CONF_COUNT; i++)
		if (strcmp(conf_info((enum conf_id)i)->name, name) == 0)
			return (enum conf_id)i;
	printf("# no setting %s\n", name);
	test_bad = true;
	return CONF_QQ_APP_ID;
}

TEST(the_table_is_sound)
{
	struct conf c;

	start_clean();
	EXPECT(conf_load(&c, everybody) == ERR_OK);
	EXPECT_INT(c.nproblems, 0);
	EXPECT_INT(c.nbots, 0);
	for (int i = 0; i < CONF_COUNT; i++) {
		const struct conf_info *info = conf_info((enum conf_id)i);
		char                   *v = conf_value(&c, (enum conf_id)i);

		/* every default passes its own check */
		EXPECT_STR(v, info->fallback);
		EXPECT_STR(c.from[i], "default");
		EXPECT(info->readers != 0 && info->readers != CONF_B);
		EXPECT(info->meaning[strlen(info->meaning) - 1] == '.');
		EXPECT(strncmp(info->name, "QQ_", 3) == 0 ||
		    strncmp(info->name, "ROOKERY_", 8) == 0);
		for (int k = 0; k < i; k++)
			EXPECT(strcmp(info->name,
			    conf_info((enum conf_id)k)->name) != 0);
		free(v);
	}
	conf_free(&c);
	conf_free(&c); /* twice does no harm */
}

static const struct {
	const char *name, *value;
	bool        good;
} values[] = {
	{ "QQ_APP_ID", "102072002", true },
	{ "QQ_APP_ID", "102 072", false },
	{ "QQ_APP_ID", "0x1f", false },
	{ "QQ_APP_ID", "123456789012345678901234567890123", false },
	{ "QQ_API_URL", "https://api.example.org", true },
	{ "QQ_API_URL", "http://127.0.0.1:8484", true },
	{ "QQ_API_URL", "http://localhost:1/x", true },
	{ "QQ_API_URL", "http://[::1]:8484", true },
	{ "QQ_API_URL", "http://api.example.org", false },
	{ "QQ_API_URL", "http://127.example.org/", false },
	{ "QQ_API_URL", "http://127.0.0.1.example.org/", false },
	{ "QQ_API_URL", "http://localhost.example.org/", false },
	{ "QQ_API_URL", "http://127.0.0.1@example.org/", false },
	{ "QQ_API_URL", "https://user:word@example.org/", false },
	{ "QQ_API_URL", "http://127.0.0.1:x@example.org/", false },
	{ "QQ_API_URL", "http://[::1]:x@example.org/", false },
	{ "QQ_API_URL", "http://[::1].example.org/", false },
	{ "QQ_API_URL", "https://example.org/?x=@y", true },
	{ "QQ_API_URL", "http://example.org#@127.0.0.1", false },
	{ "QQ_API_URL", "https://", false },
	{ "QQ_API_URL", "https://api.example.org/a b", false },
	{ "QQ_API_URL", "https://api.example.org/\r\nHost: x", false },
	{ "QQ_API_URL", "https://api.example.org/\x7f", false },
	{ "QQ_API_URL", "https://api.example.org/\xe5\x9b\xbe.png", true },
	{ "QQ_API_URL", "ftp://127.0.0.1/", false },
	{ "QQ_API_URL", "api.example.org", false },
	{ "QQ_API_URL", "HTTP://127.0.0.1", false },
	{ "QQ_PROXY", "", true },
	{ "QQ_PROXY", "none", true },
	{ "QQ_PROXY", "http://proxy.example.org:3128", true },
	{ "QQ_PROXY", "http://[::1]:3128", true },
	{ "QQ_PROXY", "http://proxy.example.org", false },
	{ "QQ_PROXY", "http://proxy.example.org:", false },
	{ "QQ_PROXY", "http://proxy.example.org:65536", false },
	{ "QQ_PROXY", "http://proxy.example.org:3128/", false },
	{ "QQ_PROXY", "http://me:word@proxy.example.org:3128", false },
	{ "QQ_PROXY", "https://proxy.example.org:3128", false },
	{ "QQ_PROXY", "socks5://proxy.example.org:1080", false },
	{ "QQ_PROXY", "proxy.example.org:3128", false },
	{ "QQ_GATEWAY_URL", "wss://gateway.example.org/", true },
	{ "QQ_GATEWAY_URL", "ws://127.0.0.1:1/", true },
	{ "QQ_GATEWAY_URL", "ws://10.0.0.1/", false },
	{ "QQ_SANDBOX", "yes", true },
	{ "QQ_SANDBOX", "off", true },
	{ "QQ_SANDBOX", "1", true },
	{ "QQ_SANDBOX", "Yes", false },
	{ "QQ_SANDBOX", "2", false },
	{ "QQ_INTENTS", "GUILDS,group_and_c2c_event", true },
	{ "QQ_INTENTS", "33554432", true },
	{ "QQ_INTENTS", "public INTERACTION", true },
	{ "QQ_INTENTS", "0", false },
	{ "QQ_INTENTS", "4294967296", false },
	{ "QQ_INTENTS", "GUILDS,NOPE", false },
	{ "QQ_INTENTS", ",,", false },
	{ "QQ_SHARDS", "auto", true },
	{ "QQ_SHARDS", "64", true },
	{ "QQ_SHARDS", "65", false },
	{ "QQ_SHARDS", "0", false },
	{ "QQ_SHARDS", "-1", false },
	{ "ROOKERY_HANDLER", "builtin:echo", true },
	{ "ROOKERY_HANDLER", "builtin:nothing", false },
	{ "ROOKERY_WORKERS", "0", true },
	{ "ROOKERY_WORKERS", "256", true },
	{ "ROOKERY_WORKERS", "257", false },
	{ "ROOKERY_WORKERS", "2x", false },
	{ "ROOKERY_WORKERS", "-1", false },
	{ "ROOKERY_WORKERS", "18446744073709551617", false },
	{ "ROOKERY_SERVICES", "api,gateway", true },
	{ "ROOKERY_SERVICES", "worker", true },
	{ "ROOKERY_SERVICES", "api workers", false },
	{ "ROOKERY_SERVICES", "a-very-long-service-name", false },
	{ "ROOKERY_WEBHOOK_LISTEN", ":8080", true },
	{ "ROOKERY_WEBHOOK_LISTEN", "8080", true },
	{ "ROOKERY_WEBHOOK_LISTEN", "[::1]:8080", true },
	{ "ROOKERY_WEBHOOK_LISTEN", "::1", false },
	{ "ROOKERY_WEBHOOK_LISTEN", "[::1]", false },
	{ "ROOKERY_WEBHOOK_LISTEN", "127.0.0.1:65536", false },
	{ "ROOKERY_WEBHOOK_LISTEN", "127.0.0.1:", false },
	{ "ROOKERY_WEBHOOK_LISTEN", "127.0.0.1", false },
	{ "ROOKERY_BUS_API", "ipc:///run/x.sock", true },
	{ "ROOKERY_BUS_API", "tcp://10.0.0.1:7000", true },
	{ "ROOKERY_BUS_API", "tcp://host", false },
	{ "ROOKERY_BUS_API", "ipc://", false },
	{ "ROOKERY_BUS_API", "inproc://x", false },
	{ "ROOKERY_LOG", "debug", true },
	{ "ROOKERY_LOG", "DEBUG", false },
	{ "ROOKERY_LOG_FORMAT", "json", true },
	{ "ROOKERY_LOG_FORMAT", "xml", false },
	{ "ROOKERY_UNSURE_SENDS", "again", true },
	{ "ROOKERY_UNSURE_SENDS", "never", false },
	{ "ROOKERY_STATE_DIR", "/var/lib/rookery", true },
	{ "ROOKERY_STATE_DIR", "/a\nb", false },
	{ "ROOKERY_ECHO_PREFIX", "", true },
};

TEST(values_are_checked)
{
	for (size_t i = 0; i < ROWS(values); i++) {
		enum conf_id               id = id_of(values[i].name);
		const struct conf_problem *p;
		struct conf                c;
		char                      *v;

		start_clean();
		setenv("QQ_CLIENT_SECRET", SECRET, 1);
		setenv("QQ_APP_ID", "1", 1);
		setenv(values[i].name, values[i].value, 1);
		conf_load(&c, everybody);
		p = find_problem(&c, values[i].name);
		if ((p == NULL) != values[i].good) {
			printf("# %s=%s\n", values[i].name, values[i].value);
			test_bad = true;
		}
		v = conf_value(&c, id);
		if (p != NULL) {
			/* said, with a remedy, and the default in its place */
			EXPECT_STR(p->value, values[i].value);
			EXPECT(p->why[0] != '\0' && p->remedy[0] != '\0');
			EXPECT_STR(v, conf_info(id)->fallback);
		} else if (strcmp(conf_info(id)->type, "text") == 0)
			EXPECT_STR(v, values[i].value);
		free(v);
		conf_free(&c);
	}
}

/* A wrong flag must not switch off what is on by default. */
TEST(a_wrong_flag_changes_nothing)
{
	struct conf c;

	start_clean();
	setenv("ROOKERY_WEBSOCKET", "maybe", 1);
	EXPECT(conf_load(&c, everybody) == ERR_CONFIG);
	EXPECT(c.websocket);
	EXPECT_INT(c.nproblems, 1);
	conf_free(&c);
}

TEST(files_are_read_as_a_shell_would)
{
	static const struct {
		const char *line, *value;   /* of ROOKERY_ECHO_PREFIX */
	} rows[] = {
		{ "ROOKERY_ECHO_PREFIX=plain", "plain" },
		{ "  export ROOKERY_ECHO_PREFIX = \tx", NULL },
		{ "export ROOKERY_ECHO_PREFIX=x", "x" },
		{ "ROOKERY_ECHO_PREFIX=  two words  ", "two words" },
		{ "ROOKERY_ECHO_PREFIX=a # comment", "a" },
		{ "ROOKERY_ECHO_PREFIX=a#b", "a#b" },
		{ "ROOKERY_ECHO_PREFIX=# nothing", "" },
		{ "ROOKERY_ECHO_PREFIX=", "" },
		{ "ROOKERY_ECHO_PREFIX=\"a # b: \"", "a # b: " },
		{ "ROOKERY_ECHO_PREFIX=\"a\" # c", "a" },
		{ "ROOKERY_ECHO_PREFIX=\"q\\\"\\n\\t\\\\\\$\"",
		    "q\"\n\t\\$" },
		{ "ROOKERY_ECHO_PREFIX='$HOME \\n'", "$HOME \\n" },
		{ "ROOKERY_ECHO_PREFIX='x", NULL },
		{ "ROOKERY_ECHO_PREFIX=\"x", NULL },
		{ "ROOKERY_ECHO_PREFIX=\"x\\\"", NULL },
		{ "ROOKERY_ECHO_PREFIX='x'y", NULL },
		{ "ROOKERY_ECHO_PREFIX=x\r", "x" },
		{ "ROOKERY_ECHO_PREFIX", NULL },
		{ "ROOKERY_ECHO_PREFIX: x", NULL },
		{ "=x", NULL },
		{ "ROOKERY-ECHO=x", NULL },
		{ "ROOKERY_ECHO_PREFIX=\xe6\x94\xb6", "\xe6\x94\xb6" },
		{ "ROOKERY_ECHO_PREFIX=a=b", "a=b" },
		{ "# x\n\n\t\nROOKERY_ECHO_PREFIX=1\nROOKERY_ECHO_PREFIX=2",
		    "2" },
		{ "\xef\xbb\xbfROOKERY_ECHO_PREFIX=bom", "bom" },
		{ "SOMEBODY_ELSES=thing\nROOKERY_ECHO_PREFIX=x", "x" },
		{ "<html>\n", NULL },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct conf c;
		enum err    e;

		start_clean();
		write_file(".env", rows[i].line);
		e = conf_load(&c, CONF_W);
		if (rows[i].value == NULL ? e != ERR_CONFIG : e != ERR_OK)
			printf("# row %zu: %s\n", i, rows[i].line);
		EXPECT(e == (rows[i].value ? ERR_OK : ERR_CONFIG));
		EXPECT_STR(c.echo_prefix,
		    rows[i].value ? rows[i].value : "收到消息: ");
		if (e == ERR_CONFIG)
			EXPECT_STR(c.problems[0].name, ".env line 1");
		conf_free(&c);
	}
}

/* What stands after a NUL would be lost in silence; so would the end of a
 * file that is too long. */
TEST(files_that_are_no_text_are_refused)
{
	struct conf c;
	char       *big = malloc((1 << 20) + 1);

	start_clean();
	write_bytes(".env", SLICE("ROOKERY_LOG=debug\n\0\nROOKERY_WORKERS=3\n"));
	EXPECT(conf_load(&c, everybody) == ERR_CONFIG);
	EXPECT_INT(c.nproblems, 1);
	EXPECT(find_problem(&c, "ROOKERY_ENV_FILE") != NULL);
	conf_free(&c);
	if (big == NULL)
		return;
	memset(big, '\n', (1 << 20) + 1);
	write_bytes(".env", (struct slice){ big, (1 << 20) + 1 });
	EXPECT(conf_load(&c, everybody) == ERR_CONFIG);
	conf_free(&c);
	write_bytes(".env", (struct slice){ big, 1 << 19 });
	memset(big, 'x', 1 << 19);
	EXPECT(conf_load(&c, everybody) == ERR_OK);
	conf_free(&c);
	write_bytes(".env", (struct slice){ big, 1 << 19 });
	EXPECT(conf_load(&c, everybody) == ERR_CONFIG);
	conf_free(&c);
	free(big);
	unlink(".env");
	mkdir(".env", 0755);
	EXPECT(conf_load(&c, everybody) == ERR_CONFIG);
	conf_free(&c);
	rmdir(".env");
}

TEST(the_environment_wins)
{
	struct conf c;

	start_clean();
	write_file(".env", "ROOKERY_WORKERS=3\nROOKERY_WINDOW=5\n"
	                   "ROOKERY_LOG=warn\n");
	setenv("ROOKERY_WORKERS", "4", 1);
	setenv("ROOKERY_LOG", "", 1); /* empty: as if it were not there */
	EXPECT(conf_load(&c, everybody) == ERR_OK);
	EXPECT_INT(c.workers, 4);
	EXPECT_INT(c.window, 5);
	EXPECT_STR(c.log_level, "warn");
	EXPECT_STR(c.from[CONF_ROOKERY_WORKERS], "environment");
	EXPECT_STR(c.from[CONF_ROOKERY_WINDOW], ".env");
	EXPECT_STR(c.from[CONF_ROOKERY_STATE_DIR], "default");
	conf_free(&c);
}

TEST(another_file_must_exist)
{
	struct conf c;

	start_clean();
	write_file("other", "ROOKERY_WORKERS=7\n");
	setenv("ROOKERY_ENV_FILE", "other", 1);
	EXPECT(conf_load(&c, everybody) == ERR_OK);
	EXPECT_INT(c.workers, 7);
	conf_free(&c);
	setenv("ROOKERY_ENV_FILE", "absent", 1);
	EXPECT(conf_load(&c, everybody) == ERR_CONFIG);
	EXPECT(find_problem(&c, "ROOKERY_ENV_FILE") != NULL);
	EXPECT(mentions(&c, "absent"));
	conf_free(&c);
	setenv("ROOKERY_ENV_FILE", "", 1); /* none */
	write_file(".env", "ROOKERY_WORKERS=9\n");
	EXPECT(conf_load(&c, everybody) == ERR_OK);
	EXPECT_INT(c.workers, 1);
	conf_free(&c);
	unlink("other");
}

TEST(values_may_come_from_files)
{
	struct conf c;

	start_clean();
	setenv("QQ_APP_ID", "102072002", 1);
	setenv("QQ_CLIENT_SECRET_FILE", "secret", 1);
	write_file("secret", SECRET "\r\n\n");
	EXPECT(conf_load(&c, everybody) == ERR_OK);
	EXPECT(secret_eq(&c.qq_client_secret, SLICE(SECRET)));
	EXPECT_STR(c.from[CONF_QQ_CLIENT_SECRET], "secret");
	EXPECT(conf_secret_of(&c, CONF_QQ_CLIENT_SECRET) ==
	    &c.qq_client_secret);
	conf_free(&c);
	/* the mark of some editors is no part of it */
	write_file("secret", "\xef\xbb\xbf" SECRET "\r\n");
	EXPECT(conf_load(&c, everybody) == ERR_OK);
	EXPECT(secret_eq(&c.qq_client_secret, SLICE(SECRET)));
	conf_free(&c);
	write_file("secret", SECRET "\nand more\n");
	EXPECT(conf_load(&c, everybody) == ERR_CONFIG);
	EXPECT(find_problem(&c, "QQ_CLIENT_SECRET") != NULL);
	conf_free(&c);
	unlink("secret");
	EXPECT(conf_load(&c, everybody) == ERR_CONFIG);
	EXPECT(find_problem(&c, "QQ_CLIENT_SECRET_FILE") != NULL);
	conf_free(&c);
	write_bytes("secret", SLICE("a\0b"));
	EXPECT(conf_load(&c, everybody) == ERR_CONFIG);
	conf_free(&c);
	/* the name itself wins over its file */
	setenv("QQ_CLIENT_SECRET", SECRET, 1);
	EXPECT(conf_load(&c, everybody) == ERR_OK);
	conf_free(&c);
	unlink("secret");
}

TEST(secrets_are_nowhere_to_be_read)
{
	static const char long_secret[] =
	    "0123456789012345678901234567890123456789012345678901234567890123"
	    "0123456789012345678901234567890123456789012345678901234567890123"
	    "0123456789012345678901234567890123456789012345678901234567890123"
	    "0123456789012345678901234567890123456789012345678901234567890123"
	    "x";
	struct conf c;
	char       *v;

	start_clean();
	setenv("QQ_CLIENT_SECRET", long_secret, 1);
	EXPECT(conf_load(&c, everybody) == ERR_CONFIG);
	EXPECT(find_problem(&c, "QQ_CLIENT_SECRET") != NULL);
	EXPECT(!mentions(&c, "0123456789"));
	conf_free(&c);
	setenv("QQ_CLIENT_SECRET", SECRET, 1);
	EXPECT(conf_load(&c, everybody) == ERR_CONFIG); /* no app id */
	EXPECT(find_problem(&c, "QQ_APP_ID") != NULL);
	EXPECT(!mentions(&c, SECRET));
	v = conf_value(&c, CONF_QQ_CLIENT_SECRET);
	EXPECT_STR(v, "(set)");
	free(v);
	conf_free(&c);
	/* a line that is none of ours is not repeated either */
	start_clean();
	write_file(".env", "QQ_CLIENT_SECRET \"" SECRET "\n");
	EXPECT(conf_load(&c, everybody) == ERR_CONFIG);
	EXPECT(!mentions(&c, SECRET));
	conf_free(&c);
	/* and who may not have it has not got it */
	start_clean();
	write_file(".env", "QQ_APP_ID=1\nQQ_CLIENT_SECRET=" SECRET "\n");
	EXPECT(conf_load(&c, CONF_W) == ERR_OK);
	EXPECT(c.qq_client_secret.n == 0);
	conf_free(&c);
	EXPECT(conf_load(&c, CONF_G) == ERR_OK);
	EXPECT(c.qq_client_secret.n == 0 && c.bots[0].qq_client_secret.n == 0);
	EXPECT_STR(c.qq_app_id, "1");
	conf_free(&c);
}

TEST(unknown_names_are_told_their_neighbour)
{
	static const struct {
		const char *name, *nearest;    /* NULL: not a problem */
	} rows[] = {
		{ "QQ_APPID", "QQ_APP_ID" },
		{ "QQ_SECRET_FILE", "QQ_SANDBOX" },
		{ "ROOKERY_WORKER", "ROOKERY_WORKERS" },
		{ "ROOKERY_LOGFORMAT", "ROOKERY_LOG_FORMAT" },
		{ "ROOKERY_WORKERS_FILE", NULL },
		{ "QQX_APP", NULL },
		{ "rookery_workers", NULL },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct conf_problem *p;
		struct conf                c;

		for (int in_file = 0; in_file < 2; in_file++) {
			char line[100];

			start_clean();
			snprintf(line, sizeof line, "%s=\n", rows[i].name);
			if (in_file)
				write_file(".env", line);
			else
				setenv(rows[i].name, "", 1);
			conf_load(&c, CONF_W);
			p = find_problem(&c, rows[i].name);
			EXPECT((p == NULL) == (rows[i].nearest == NULL));
			EXPECT(p == NULL || i == 1 ||
			    strstr(p->remedy, rows[i].nearest) != NULL);
			conf_free(&c);
		}
	}
}

TEST(all_problems_at_once)
{
	struct conf c;

	start_clean();
	setenv("QQ_APP_ID", "abc", 1);
	setenv("ROOKERY_WORKERS", "many", 1);
	setenv("ROOKERY_FOO", "1", 1);
	setenv("ROOKERY_CA_FILE_FILE", "/nonexistent", 1);
	write_file(".env", "nonsense\nROOKERY_LOG=loud\nQQ_BAR=1\n");
	EXPECT(conf_load(&c, everybody) == ERR_CONFIG);
	EXPECT_INT(c.nproblems, 7);
	EXPECT(find_problem(&c, "QQ_APP_ID") != NULL);
	EXPECT(find_problem(&c, "ROOKERY_WORKERS") != NULL);
	EXPECT(find_problem(&c, "ROOKERY_FOO") != NULL);
	EXPECT(find_problem(&c, "ROOKERY_CA_FILE_FILE") != NULL);
	EXPECT(find_problem(&c, "ROOKERY_LOG") != NULL);
	EXPECT(find_problem(&c, "QQ_BAR") != NULL);
	EXPECT(find_problem(&c, ".env line 1") != NULL);
	conf_free(&c);
}

/* Who must correct it need not search; and what only follows is not said. */
TEST(a_problem_tells_where_it_stands)
{
	static const struct {
		const char *lines, *name, *why;
	} rows[] = {
		{ "\nROOKERY_STOP_MS=10s\n", "ROOKERY_STOP_MS",
		    "is not a number within its bounds (in .env line 2)" },
		{ "#\nROOKERY_LOG=info\nROOKERY_LOG=loud", "ROOKERY_LOG",
		    "is none of the words it may be (in .env line 3)" },
		{ "ROOKERY_HANDLR=exec:./x", "ROOKERY_HANDLR",
		    "is not a setting (in .env line 1)" },
		{ "QQ_APP_ID=102 3\nQQ_CLIENT_SECRET=" SECRET, "QQ_APP_ID",
		    "is not decimal digits (in .env line 1)" },
		{ "QQ_APP_ID=1\nQQ_CLIENT_SECRET_FILE=/nowhere",
		    "QQ_CLIENT_SECRET_FILE", "cannot be read: No such file or "
		    "directory (in .env line 2)" },
		{ "QQ_APP_ID=1\nQQ_CLIENT_SECRET_FILE=two",
		    "QQ_CLIENT_SECRET", "has more than one line, or a tab in "
		    "it (in two)" },
	};
	struct conf c;

	for (size_t i = 0; i < ROWS(rows); i++) {
		start_clean();
		write_file("two", SECRET "\n" SECRET "\n");
		write_file(".env", rows[i].lines);
		EXPECT(conf_load(&c, everybody) == ERR_CONFIG);
		EXPECT_INT(c.nproblems, 1);
		EXPECT_STR(c.problems[0].name, rows[i].name);
		EXPECT_STR(c.problems[0].why, rows[i].why);
		conf_free(&c);
	}
	unlink("two");
	start_clean();
	setenv("ROOKERY_WORKERS", "many", 1);
	EXPECT(conf_load(&c, everybody) == ERR_CONFIG);
	EXPECT_STR(c.problems[0].why,
	    "is not a number within its bounds (in the environment)");
	conf_free(&c);
}

/* A folder of bots that cannot be read is not one without bots, nor is a file
 * there that cannot be read a setting of the whole. */
TEST(bots_that_cannot_be_read_are_told)
{
	struct conf c;

	start_clean();
	mkdir("bots", 0755);
	write_file("bots/a.env", "QQ_APP_ID=1x\nQQ_CLIENT_SECRET=s\n");
	EXPECT(conf_load(&c, everybody) == ERR_CONFIG);
	EXPECT_INT(c.nproblems, 1);
	EXPECT_STR(c.problems[0].name, "QQ_APP_ID (bot a)");
	EXPECT_STR(c.problems[0].why,
	    "is not decimal digits (in bots/a.env line 1)");
	conf_free(&c);
	unlink("bots/a.env");
	mkdir("bots/a.env", 0755);
	EXPECT(conf_load(&c, everybody) == ERR_CONFIG);
	EXPECT_INT(c.nproblems, 1);
	EXPECT_STR(c.problems[0].name, "ROOKERY_BOTS_DIR (bot a)");
	EXPECT_STR(c.problems[0].value, "bots/a.env");
	conf_free(&c);
	rmdir("bots/a.env");
	if (symlink("loop", "loop") < 0)
		test_bad = true;
	setenv("ROOKERY_BOTS_DIR", "loop", 1);
	EXPECT(conf_load(&c, everybody) == ERR_CONFIG);
	EXPECT_STR(c.problems[0].name, "ROOKERY_BOTS_DIR");
	EXPECT_STR(c.problems[0].why,
	    "cannot be read: Too many levels of symbolic links");
	conf_free(&c);
	unlink("loop");
}

TEST(settings_are_held_against_each_other)
{
	struct conf c;

	start_clean();
	setenv("QQ_APP_ID", "1", 1);
	EXPECT(conf_load(&c, CONF_A) == ERR_CONFIG);
	EXPECT(find_problem(&c, "QQ_CLIENT_SECRET") != NULL);
	conf_free(&c);
	EXPECT(conf_load(&c, CONF_G) == ERR_OK);
	conf_free(&c);
	setenv("ROOKERY_WEBSOCKET", "no", 1);
	EXPECT(conf_load(&c, CONF_G) == ERR_CONFIG);
	conf_free(&c);
	setenv("ROOKERY_WEBHOOK_LISTEN", ":8080", 1);
	EXPECT(conf_load(&c, CONF_G) == ERR_OK);
	conf_free(&c);
}

/* --- bots ---------------------------------------------------------------------- */

TEST(several_bots)
{
	struct conf c;

	start_clean();
	mkdir("bots", 0755);
	write_file(".env", "QQ_APP_ID=1\nQQ_CLIENT_SECRET=one\n"
	                   "QQ_API_URL=https://one.example\n"
	                   "ROOKERY_WINDOW=9\nROOKERY_LOG=warn\n");
	write_file("bots/b.env", "QQ_APP_ID=3\nQQ_CLIENT_SECRET=three\n");
	write_file("bots/a.env", "QQ_APP_ID=2\nQQ_CLIENT_SECRET=two\n"
	                         "QQ_API_URL=https://two.example\n"
	                         "QQ_INTENTS=GUILDS\nQQ_SANDBOX=yes\n");
	setenv("QQ_SHARDS", "2", 1); /* the environment's bot is the first */
	EXPECT(conf_load(&c, everybody) == ERR_OK);
	EXPECT_INT(c.nbots, 3);
	if (c.nbots == 3) {
		EXPECT_STR(c.bots[0].bot_name, "");
		EXPECT_STR(c.bots[1].bot_name, "a");
		EXPECT_STR(c.bots[2].bot_name, "b");
		EXPECT_STR(c.bots[0].qq_app_id, "1");
		EXPECT_STR(c.bots[1].qq_app_id, "2");
		EXPECT_STR(c.bots[2].qq_app_id, "3");
		EXPECT(secret_eq(&c.bots[1].qq_client_secret, SLICE("two")));
		EXPECT(c.bots[1].qq_sandbox && !c.bots[2].qq_sandbox);
		EXPECT_STR(c.bots[1].qq_intents, "GUILDS");
		EXPECT_STR(c.bots[2].qq_intents, "public");
		EXPECT_STR(c.bots[0].qq_shards, "2");
		EXPECT_STR(c.bots[1].qq_shards, "1");
		/* where the platform is need not be said again */
		EXPECT_STR(c.bots[0].qq_api_url, "https://one.example");
		EXPECT_STR(c.bots[1].qq_api_url, "https://two.example");
		EXPECT_STR(c.bots[2].qq_api_url, "https://one.example");
		/* all else is as for the whole system */
		for (size_t i = 0; i < 3; i++) {
			EXPECT_INT(c.bots[i].window, 9);
			EXPECT_STR(c.bots[i].log_level, "warn");
			EXPECT_STR(c.bots[i].from[CONF_ROOKERY_WINDOW],
			    ".env");
		}
	}
	conf_free(&c);
	/* a worker has no bots and reads no secret of theirs */
	EXPECT(conf_load(&c, CONF_W) == ERR_OK);
	EXPECT_INT(c.nbots, 0);
	conf_free(&c);
}

TEST(bots_with_mistakes)
{
	struct conf c;

	start_clean();
	write_file("bots/a.env", "QQ_CLIENT_SECRET=x\nROOKERY_WINDOW=5\n"
	                         "QQ_SHARD=2\n");
	write_file("bots/b.env", "QQ_APP_ID=7\nQQ_CLIENT_SECRET=y\n");
	setenv("QQ_APP_ID", "7", 1);
	setenv("QQ_CLIENT_SECRET", "z", 1);
	setenv("ROOKERY_FOO", "1", 1);
	EXPECT(conf_load(&c, everybody) == ERR_CONFIG);
	EXPECT(find_problem(&c, "QQ_APP_ID (bot a)") != NULL);
	EXPECT(find_problem(&c, "ROOKERY_WINDOW (bot a)") != NULL);
	EXPECT(find_problem(&c, "QQ_SHARD (bot a)") != NULL);
	EXPECT(find_problem(&c, "ROOKERY_FOO") != NULL);
	EXPECT(find_problem(&c, "ROOKERY_FOO (bot a)") == NULL);
	EXPECT(mentions(&c, "is used by two bots (in environment and bots/b.env)"));
	conf_free(&c);
}

/* What the simulator left behind replaces what the environment says. */
TEST(a_given_file_stands_for_the_environment)
{
	struct conf c;

	start_clean();
	write_file("sim.env", "QQ_APP_ID=102000001\nQQ_CLIENT_SECRET=sim\n"
	                      "QQ_API_URL=http://127.0.0.1:8484\n");
	setenv("QQ_APP_ID", "5", 1);
	setenv("QQ_SHARDS", "4", 1);
	setenv("ROOKERY_WINDOW", "8", 1);
	EXPECT(conf_load_file(&c, everybody, "sim.env") == ERR_OK);
	EXPECT_STR(c.qq_app_id, "102000001");
	EXPECT_STR(conf_api_url(&c), "http://127.0.0.1:8484");
	EXPECT_STR(c.qq_shards, "1");
	EXPECT_INT(c.window, 8);
	EXPECT_INT(c.nbots, 1);
	EXPECT_STR(c.bots[0].qq_app_id, "102000001");
	EXPECT_STR(c.bots[0].qq_shards, "1");
	conf_free(&c);
	EXPECT(conf_load_file(&c, everybody, "absent.env") == ERR_CONFIG);
	conf_free(&c);
}

/* --- single readers --------------------------------------------------------------- */

TEST(intents_by_name_and_number)
{
	static const struct {
		const char *text, *unknown;    /* NULL: good */
		uint32_t    mask;
	} rows[] = {
		{ "GUILDS", NULL, 1 },
		{ " guilds , INTERACTION ", NULL, 1 | 1 << 26 },
		{ "GUILD_MESSAGES|GUILDS", NULL, 1 | 1 << 9 },
		{ "4294967295", NULL, UINT32_MAX },
		{ "GUILDS,nope,INTERACTION", "nope", 0 },
		{ "GUILD", "GUILD", 0 },
		{ "-1", "-1", 0 },
		{ "0", "0", 0 },
		{ "", "", 0 },
	};
	uint32_t mask;

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct slice unknown;
		bool         ok = conf_intents(rows[i].text, &mask, &unknown);

		EXPECT(ok == (rows[i].unknown == NULL));
		if (ok)
			EXPECT_INT(mask, rows[i].mask);
		else
			EXPECT_SLICE(unknown, rows[i].unknown);
	}
	/* public: what a public bot may have, and no private right */
	EXPECT(conf_intents("public", &mask, NULL));
	EXPECT((mask & 1u << 25) && (mask & 1u << 30) && (mask & 1u << 12));
	EXPECT(!(mask & 1u << 9) && !(mask & 1u << 28) && !(mask & 1u << 23));
}

TEST(addresses_to_listen_on)
{
	static const struct {
		const char *text, *host;      /* NULL: refused */
		unsigned    port;
	} rows[] = {
		{ "127.0.0.1:80", "127.0.0.1", 80 },
		{ ":80", "", 80 },
		{ "*:80", "", 80 },
		{ "80", "", 80 },
		{ "localhost:0", "localhost", 0 },
		{ "[::1]:65535", "::1", 65535 },
		{ "[::]:1", "::", 1 },
		{ "::1:80", NULL, 0 },
		{ "x:65536", NULL, 0 },
		{ "x:", NULL, 0 },
		{ "x", NULL, 0 },
		{ "", NULL, 0 },
		{ "x:-1", NULL, 0 },
		{ "a-host-name-too-long-for-it:1", NULL, 0 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		char     host[16];
		unsigned port = 4711;
		bool     ok = conf_listen(rows[i].text, host, sizeof host,
		    &port);

		EXPECT(ok == (rows[i].host != NULL));
		if (ok) {
			EXPECT_STR(host, rows[i].host);
			EXPECT_INT(port, rows[i].port);
		}
	}
}

TEST(restarts_by_service)
{
	static const struct {
		const char *text, *service, *said;
	} rows[] = {
		{ "never", "api", "never" },
		{ "never worker=always", "api", "never" },
		{ "never worker=always", "worker", "always" },
		{ "worker=on-failure never", "worker", "on-failure" },
		{ "worker=on-failure,api=never", "gateway", "always" },
		{ " , worker=on-failure,, api=never", "api", "never" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		EXPECT(slice_is(conf_restart(rows[i].text, rows[i].service),
		    rows[i].said));
}

TEST(endpoints_have_defaults)
{
	struct conf c;
	char       *url;

	start_clean();
	EXPECT(conf_load(&c, everybody) == ERR_OK);
	url = conf_bus(&c, c.bus_api, "api.sock");
	EXPECT_STR(url, "ipc://.rookery/run/api.sock");
	free(url);
	url = conf_bus(&c, "tcp://h:1", "api.sock");
	EXPECT_STR(url, "tcp://h:1");
	free(url);
	url = conf_path("a", "b");
	EXPECT_STR(url, "a/b");
	free(url);
	EXPECT_STR(conf_api_url(&c), "https://api.sgroup.qq.com");
	c.qq_sandbox = true;
	EXPECT_STR(conf_api_url(&c), "https://sandbox.api.sgroup.qq.com");
	conf_free(&c);
}

static int
on_left(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

int
main(void)
{
	char dir[] = "/tmp/rookery-conf-XXXXXX";

	if (mkdtemp(dir) == NULL || chdir(dir) < 0)
		return 1;
	RUN(the_table_is_sound);
	RUN(values_are_checked);
	RUN(a_wrong_flag_changes_nothing);
	RUN(files_are_read_as_a_shell_would);
	RUN(files_that_are_no_text_are_refused);
	RUN(the_environment_wins);
	RUN(another_file_must_exist);
	RUN(values_may_come_from_files);
	RUN(secrets_are_nowhere_to_be_read);
	RUN(unknown_names_are_told_their_neighbour);
	RUN(all_problems_at_once);
	RUN(a_problem_tells_where_it_stands);
	RUN(bots_that_cannot_be_read_are_told);
	RUN(settings_are_held_against_each_other);
	RUN(several_bots);
	RUN(bots_with_mistakes);
	RUN(a_given_file_stands_for_the_environment);
	RUN(intents_by_name_and_number);
	RUN(addresses_to_listen_on);
	RUN(restarts_by_service);
	RUN(endpoints_have_defaults);
	nftw(dir, on_left, 8, FTW_DEPTH | FTW_PHYS);
	return test_done();
}
