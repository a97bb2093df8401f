/*
 * handlers: the list of handlers that a worker hosts side by side, and which
 * of them owns an event.  It is the text of ROOKERY_HANDLERS_FILE, or without
 * one the single line that ROOKERY_HANDLER makes.
 *
 *   # the first line that matches owns the event
 *   handler quiz  "exec:python3 quiz.py"  events message.group  prefix /quiz
 *   handler echo  builtin:echo
 *
 * Reading it starts nothing; workerd and `rookery check` share it.
 */
#ifndef HANDLERS_H
#define HANDLERS_H

#include "buf.h"
#include "conf.h"

enum { HANDLERS_MAX = 64, HANDLERS_ARGV_MAX = 64 };

/* One line.  Texts are owned; the lists are words with blanks, "" = any. */
struct handlers_row {
	char    *name, *kind, *arg;      /* quiz, exec, python3 quiz.py */
	char    *events, *prefix, *users, *convs, *bots;
	uint64_t procs, timeout_ms;      /* 0: the setting's */
	unsigned line;
};

struct handlers {
	struct handlers_row *rows;
	size_t               n;
};

/* What routing looks at; loans. */
struct handlers_event {
	struct slice type, text, user, conv, bot;
};

/* Called for each problem: where ("handlers line 3"), what stands there, why
 * not and what to do. */
typedef void handlers_problem_fn(void *self, const char *where,
    const char *value, const char *why, const char *remedy);

/* The list that these settings name.  CONFIG when there are problems (all of
 * them are told), NOMEM. */
enum err handlers_load(struct handlers *, const struct conf *,
    handlers_problem_fn *, void *self);
/* What its lines name is there and can be run; CONFIG: not so, and told. */
enum err handlers_check(const struct handlers *, const struct conf *,
    handlers_problem_fn *, void *self);
enum err handlers_parse(struct handlers *, struct slice text,
    const char *file, handlers_problem_fn *, void *self);
void handlers_free(struct handlers *);

/* A row's conditions hold for the event. */
bool handlers_match(const struct handlers_row *, const struct handlers_event *);
/* One of the patterns (words with blanks: exact, prefix.* or *) is its type. */
bool handlers_wants(const char *patterns, struct slice type);

/* The words of a command; quotes of both kinds join, a backslash takes the
 * next byte as it is.  One block, free(argv) frees all; NULL: out of memory,
 * none, too many, or a quote that does not end. */
char **handlers_argv(const char *command);
/* Where the program of a command is found, from dir ("": the working folder)
 * and PATH; false: nowhere, or it may not be run. */
bool handlers_find(const char *program, const char *dir, char *path,
    size_t size);
/* What keeps it from being run, for a person; why NULL: nothing that can be
 * seen without trying. */
struct handlers_fault {
	const char *why, *remedy;
};
struct handlers_fault handlers_fault(const char *program, const char *dir);

/* A number that is another one when the list says anything else. */
uint64_t handlers_print(const struct handlers *);

/* NAME=VALUE, each with its NUL, appended: the lines of
 * ROOKERY_HANDLER_ENV_FILE; and all that a handler's process gets.  bot: ""
 * when it is not known; run: by which what it leaves behind is known. */
void handlers_settings(const struct conf *, struct buf *env);
void handlers_environment(const struct conf *, const char *name,
    const char *bot, const char *run, struct buf *env);

/* A pair put in place of the one of that name, or at the end. */
void handlers_set(struct buf *env, const char *name, const char *value);

#endif
