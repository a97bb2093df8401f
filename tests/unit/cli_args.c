// links: cli/args.c common
/*
 * A command line against the tables of commands and options.
 */
#include "test.h"

#include "../../cli/args.h"

/* The commands themselves are not under test. */
#define COMMAND(id, ...)                                                     \
	enum status command_##id(struct cli *cli)                            \
	{                                                                    \
		(void)cli;                                                   \
		return STATUS_DONE;                                          \
	}
#include "../../cli/commands.def"
#undef COMMAND

static const struct {
	const char *line;       /* words, one blank between */
	const char *name;       /* NULL: refused */
	unsigned    given;
	const char *arg;
	uint64_t    timeout_s, lines;
} rows[] = {
	{ "", NULL, 0, NULL, 0, 0 },
	{ "dance", NULL, 0, NULL, 0, 0 },
	{ "Status", NULL, 0, NULL, 0, 0 },
	{ "status", "status", 0, NULL, 0, 0 },
	{ "status --json", "status", OPT_JSON, NULL, 0, 0 },
	{ "status --jso", NULL, 0, NULL, 0, 0 },
	{ "status --jsonx", NULL, 0, NULL, 0, 0 },
	{ "status --json=yes", NULL, 0, NULL, 0, 0 },
	{ "status x", NULL, 0, NULL, 0, 0 },
	{ "status --rolling", NULL, 0, NULL, 0, 0 },
	{ "chat --as U1 --in group:G --timeout 3", "chat",
	    OPT_AS | OPT_IN | OPT_TIMEOUT, NULL, 3, 0 },
	{ "chat --in", NULL, 0, NULL, 0, 0 },
	{ "chat hello", NULL, 0, NULL, 0, 0 },
	{ "start", NULL, 0, NULL, 0, 0 },
	{ "start api", "start", 0, "api", 0, 0 },
	{ "start api gateway", NULL, 0, NULL, 0, 0 },
	{ "stop", "stop", 0, NULL, 0, 0 },
	{ "restart --rolling worker", "restart", OPT_ROLLING, "worker", 0, 0 },
	{ "restart worker --rolling", "restart", OPT_ROLLING, "worker", 0, 0 },
	{ "restart -- --rolling", "restart", 0, "--rolling", 0, 0 },
	{ "restart -", "restart", 0, "-", 0, 0 },
	{ "wait --timeout 5", "wait", OPT_TIMEOUT, NULL, 5, 0 },
	{ "wait --timeout=5", "wait", OPT_TIMEOUT, NULL, 5, 0 },
	{ "wait -t 5", "wait", OPT_TIMEOUT, NULL, 5, 0 },
	{ "wait -t5", "wait", OPT_TIMEOUT, NULL, 5, 0 },
	{ "wait -t0", "wait", OPT_TIMEOUT, NULL, 0, 0 },
	{ "wait --timeout", NULL, 0, NULL, 0, 0 },
	{ "wait --timeout=", NULL, 0, NULL, 0, 0 },
	{ "wait --timeout x", NULL, 0, NULL, 0, 0 },
	{ "wait --timeout -1", NULL, 0, NULL, 0, 0 },
	{ "wait --timeout 99999999999999999999", NULL, 0, NULL, 0, 0 },
	{ "wait --timeout 1000001", NULL, 0, NULL, 0, 0 },
	{ "logs -f -n 7 api", "logs", OPT_FOLLOW | OPT_LINES, "api", 0, 7 },
	{ "logs -n7 -f", "logs", OPT_FOLLOW | OPT_LINES, NULL, 0, 7 },
	{ "logs -fx", NULL, 0, NULL, 0, 0 },
	{ "logs -x", NULL, 0, NULL, 0, 0 },
	{ "up --sim", "up", OPT_SIM, NULL, 0, 0 },
	{ "wait worker --stopped", "wait", OPT_STOPPED, "worker", 0, 0 },
	{ "signal worker HUP --group", "signal", OPT_GROUP, "worker", 0, 0 },
	{ "signal worker", NULL, 0, NULL, 0, 0 },
	{ "reset-failed", NULL, 0, NULL, 0, 0 },
	{ "upgrade x", NULL, 0, NULL, 0, 0 },
	{ "dead", "dead", 0, NULL, 0, 0 },
	{ "dead list --json", "dead", OPT_JSON, "list", 0, 0 },
	{ "dead retry --all", "dead", OPT_ALL, "retry", 0, 0 },
	{ "dead drop 3 4", NULL, 0, NULL, 0, 0 },
	{ "dead --all=yes", NULL, 0, NULL, 0, 0 },
	{ "events u:1 -n 9", "events", OPT_LINES, "u:1", 0, 9 },
	{ "events u:1 u:2", NULL, 0, NULL, 0, 0 },
	{ "log-level debug", "log-level", 0, "debug", 0, 0 },
	{ "--help", "help", 0, NULL, 0, 0 },
	{ "logs api -f --help", "help", OPT_FOLLOW, "logs", 0, 0 },
	{ "stop -h", "help", 0, "stop", 0, 0 },
	{ "stop help", "stop", 0, "help", 0, 0 },
	{ "stop -- -h", "stop", 0, "-h", 0, 0 },
	{ "-h", "help", 0, NULL, 0, 0 },
	{ "--version", "version", 0, NULL, 0, 0 },
};

static int
split(const char *line, char *space, char *argv[16])
{
	int n = 1;

	strcpy(space, line);
	for (char *w = strtok(space, " "); w != NULL; w = strtok(NULL, " "))
		argv[n++] = w;
	argv[n] = NULL;
	return n;
}

TEST(lines)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct cli            cli = { 0 };
		char                  space[128], program[] = "rookery";
		char                 *argv[16] = { program };
		char                  why[160] = "";
		int                   argc = split(rows[i].line, space, argv);
		const struct command *c = args_read(&cli, argc, argv, why);

		if (test_bad || (c == NULL) != (rows[i].name == NULL))
			printf("# %s\n", rows[i].line);
		if (rows[i].name == NULL) {
			EXPECT(c == NULL);
			EXPECT(why[0] != '\0');
			continue;
		}
		EXPECT(c != NULL);
		if (c == NULL)
			continue;
		EXPECT_STR(c->name, rows[i].name);
		EXPECT_INT(cli.given, rows[i].given);
		EXPECT_STR(cli.arg[0] != NULL ? cli.arg[0] : "",
		    rows[i].arg != NULL ? rows[i].arg : "");
		EXPECT_INT(cli.number[OPT_NUMBER_TIMEOUT], rows[i].timeout_s);
		EXPECT_INT(cli.number[OPT_NUMBER_LINES], rows[i].lines);
	}
}

TEST(tables_are_sound)
{
	for (size_t i = 0; i < commands_count; i++) {
		const struct command *c = &commands[i];

		EXPECT(c->least <= c->most);
		EXPECT((c->most > 0) == (c->arguments[0] != '\0'));
		EXPECT((c->least < c->most) == (c->arguments[0] == '['));
		EXPECT(c->options < 1u << OPT_COUNT);
		EXPECT(c->meaning[strlen(c->meaning) - 1] == '.');
		EXPECT(args_command(c->name) == c);     /* names are unique */
	}
	for (size_t i = 0; i < OPT_COUNT; i++)
		for (size_t k = 0; k < i; k++) {
			EXPECT(strcmp(options[i].name, options[k].name) != 0);
			EXPECT(options[i].letter[0] == '\0' ||
			    strcmp(options[i].letter, options[k].letter) != 0);
		}
}

int
main(void)
{
	RUN(lines);
	RUN(tables_are_sound);
	return test_done();
}
