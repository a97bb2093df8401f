// links: common
/*
 * handlers: the file of handlers, its problems, and who owns an event.
 */
#include "test.h"

#include <stdlib.h>

#include "handlers.h"

static char     told[2048];
static unsigned problems;

static void
on_problem(void *self, const char *where, const char *value, const char *why,
    const char *remedy)
{
	size_t n = strlen(told);

	(void)self;
	problems++;
	snprintf(told + n, sizeof told - n, "%s: %s %s\n", where, value, why);
	EXPECT(remedy[0] != '\0');
}

static enum err
parse(struct handlers *all, const char *text)
{
	told[0] = '\0';
	problems = 0;
	return handlers_parse(all, slice_of(text), "handlers", on_problem,
	    NULL);
}

TEST(a_file_of_handlers)
{
	struct handlers all;

	EXPECT_INT(parse(&all,
	    "# who answers what\n"
	    "\n"
	    "handler admin \"exec:/srv/bot/admin.py --all\" prefix /admin "
	    "users E4F4 E5  # two\n"
	    "handler quiz 'plugin:/srv/my bots/quiz.so' events message.group "
	    "message.c2c prefix '/quiz ' procs 4\r\n"
	    "handler rest builtin:echo timeout 500 convs g:1 bots 7\n"), ERR_OK);
	EXPECT_STR(told, "");
	if (all.n != 3) {
		EXPECT_INT(all.n, 3);
		return;
	}
	EXPECT_STR(all.rows[0].name, "admin");
	EXPECT_STR(all.rows[0].kind, "exec");
	EXPECT_STR(all.rows[0].arg, "/srv/bot/admin.py --all");
	EXPECT_STR(all.rows[0].prefix, "/admin");
	EXPECT_STR(all.rows[0].users, "E4F4 E5");
	EXPECT_STR(all.rows[1].arg, "/srv/my bots/quiz.so");
	EXPECT_STR(all.rows[1].events, "message.group message.c2c");
	EXPECT_STR(all.rows[1].prefix, "/quiz ");
	EXPECT_INT(all.rows[1].procs, 4);
	EXPECT_STR(all.rows[2].events, "");
	EXPECT_INT(all.rows[2].timeout_ms, 500);
	EXPECT_INT(all.rows[2].line, 5);
	handlers_free(&all);
}

TEST(problems_name_their_line)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "", "handlers:  names no handler" },
		{ "# nothing\n", "handlers:  names no handler" },
		{ "handler", "handlers line 1:  is no name" },
		{ "echo builtin:echo", "line 1: echo does not begin with" },
		{ "handler Echo builtin:echo", "line 1: Echo is no name" },
		{ "handler a builtin:none", "line 1: none is no handler" },
		{ "handler a onebot11", "line 1: onebot11 is no kind" },
		{ "handler a exec:", "line 1:  is no command" },
		{ "handler a 'exec:./b \"c'", "is no command" },
		{ "handler a \"exec:./b", "line 1" },
		{ "\nhandler a builtin:echo\nhandler a builtin:echo",
		    "line 3: a is the name of two" },
		{ "handler a builtin:echo evnts message.*",
		    "line 1: evnts is no option" },
		{ "handler a builtin:echo prefix", "prefix has no value" },
		{ "handler a builtin:echo prefix x y", "y is no option" },
		{ "handler a builtin:echo events m*ge", "is not a pattern" },
		{ "handler a builtin:echo procs 0", "0 is not a number" },
		{ "handler a plugin:a\nhandler b plugin:b",
		    "line 2: b is a second plugin" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct handlers all;

		EXPECT_INT(parse(&all, rows[i].text), ERR_CONFIG);
		if (strstr(told, rows[i].want) == NULL)
			EXPECT_STR(told, rows[i].want);
		EXPECT(all.rows == NULL && all.n == 0);
	}
	/* all at once, and not one per run */
	{
		struct handlers all;

		parse(&all, "handler a x:\nhandler b y:\nz\n");
		EXPECT_INT(problems, 3);
	}
}

static const char *
owner(const struct handlers *all, const char *type, const char *text,
    const char *user, const char *conv)
{
	const struct handlers_event ev = { slice_of(type), slice_of(text),
		slice_of(user), slice_of(conv), SLICE("7") };

	for (size_t i = 0; i < all->n; i++)
		if (handlers_match(&all->rows[i], &ev))
			return all->rows[i].name;
	return "nobody";
}

TEST(the_first_that_matches_owns)
{
	struct handlers all;

	EXPECT_INT(parse(&all,
	    "handler boss builtin:echo users BOSS CHIEF prefix /\n"
	    "handler quiz builtin:echo events message.group prefix /quiz\n"
	    "handler room builtin:echo convs g:9\n"
	    "handler click builtin:echo events interaction\n"
	    "handler other builtin:echo bots 8\n"
	    "handler rest builtin:echo events message.*\n"), ERR_OK);
	EXPECT_STR(owner(&all, "message.c2c", "/stop", "BOSS", "u:1"), "boss");
	EXPECT_STR(owner(&all, "message.c2c", "/stop", "BOS", "u:1"), "rest");
	EXPECT_STR(owner(&all, "message.c2c", "stop", "CHIEF", "u:1"), "rest");
	EXPECT_STR(owner(&all, "message.group", "/quiz 1", "A", "g:1"), "quiz");
	EXPECT_STR(owner(&all, "message.c2c", "/quiz 1", "A", "u:1"), "rest");
	EXPECT_STR(owner(&all, "friend.add", "", "A", "g:9"), "room");
	EXPECT_STR(owner(&all, "interaction", "", "A", "g:1"), "click");
	EXPECT_STR(owner(&all, "friend.add", "", "A", "u:1"), "nobody");
	handlers_free(&all);
}

TEST(commands_in_words)
{
	char **argv = handlers_argv("python3  'a b'.py \"c \\\" d\" \\e ''");

	EXPECT(argv != NULL);
	if (argv == NULL)
		return;
	EXPECT_STR(argv[0], "python3");
	EXPECT_STR(argv[1], "a b.py");
	EXPECT_STR(argv[2], "c \" d");
	EXPECT_STR(argv[3], "e");
	EXPECT_STR(argv[4], "");
	EXPECT(argv[5] == NULL);
	free(argv);
	EXPECT(handlers_argv("") == NULL);
	EXPECT(handlers_argv("a 'b") == NULL);
}

TEST(another_list_has_another_print)
{
	static const char *const lists[] = {
		"handler a builtin:echo\n",
		"# a word\n\nhandler a  builtin:echo\n",
		"handler a builtin:echo prefix /x\n",
		"handler a builtin:echo users /x\n",
		"handler a builtin:echo\nhandler b builtin:ping\n",
	};
	struct handlers all;
	uint64_t        print[5];

	for (size_t i = 0; i < 5; i++) {
		EXPECT_INT(handlers_parse(&all, slice_of(lists[i]), "f",
		    NULL, NULL), ERR_OK);
		print[i] = handlers_print(&all);
		handlers_free(&all);
	}
	EXPECT(print[0] == print[1]); /* it says the same */
	for (size_t i = 1; i < 5; i++)
		for (size_t k = i + 1; k < 5; k++)
			EXPECT(print[i] != print[k]);
}

int
main(void)
{
	RUN(a_file_of_handlers);
	RUN(problems_name_their_line);
	RUN(the_first_that_matches_owns);
	RUN(commands_in_words);
	RUN(another_list_has_another_print);
	return test_done();
}
