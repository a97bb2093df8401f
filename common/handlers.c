/*
 * The list of handlers: its text, its checks, and the match.
 */
#include "handlers.h"

#include <sys/stat.h>

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "buf.h"

enum { TEXT_MAX = 1 << 16, PROCS_MAX = 64, TIMEOUT_MAX_MS = 3600000 };

/* --- words ---------------------------------------------------------------- */

/* The next word of *in into out; false at the end, or with *bad set. */
static bool
next_word(const char **in, struct buf *out, bool *bad)
{
	const char *p = *in + strspn(*in, " \t\r");
	char        quote = '\0';

	buf_reset(out);
	*bad = false;
	if (*p == '\0' || *p == '#')
		return false;
	for (; *p != '\0' && (quote != '\0' || strchr(" \t\r", *p) == NULL);
	     p++) {
		if (quote == '\0' && (*p == '"' || *p == '\'')) {
			quote = *p;
			continue;
		}
		if (quote != '\0' && *p == quote) {
			quote = '\0';
			continue;
		}
		if (*p == '\\' && quote != '\'' && p[1] != '\0')
			p++;
		buf_put(out, (struct slice){ p, 1 });
	}
	buf_put(out, (struct slice){ "", 0 });
	*in = p;
	*bad = quote != '\0' || out->failed;
	return !*bad;
}

char **
handlers_argv(const char *command)
{
	size_t     n = 0, bytes = strlen(command) + 1;
	size_t     head = (HANDLERS_ARGV_MAX + 1) * sizeof(char *);
	char     **argv = calloc(1, head + bytes + HANDLERS_ARGV_MAX);
	char      *at = (char *)argv + head;
	struct buf word = { 0 };
	bool       bad = argv == NULL;

	while (!bad && next_word(&command, &word, &bad)) {
		if (n == HANDLERS_ARGV_MAX) {
			bad = true;
			break;
		}
		argv[n++] = at;
		if (word.n > 0)
			memcpy(at, word.p, word.n);
		at += word.n + 1;
	}
	buf_free(&word);
	if (bad || n == 0) {
		free(argv);
		return NULL;
	}
	return argv;
}

static bool
is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	    access(path, X_OK) == 0;
}

bool
handlers_find(const char *program, const char *dir, char *path, size_t size)
{
	const char *list = getenv("PATH");
	const char *base = dir[0] != '\0' ? dir : ".";

	if (strchr(program, '/') != NULL) {
		int n = program[0] == '/'
		    ? snprintf(path, size, "%s", program)
		    : snprintf(path, size, "%s/%s", base, program);

		return n > 0 && (size_t)n < size && is_program(path);
	}
	if (list == NULL)
		list = "/usr/local/bin:/usr/bin:/bin";
	while (*list != '\0') {
		size_t n = strcspn(list, ":");
		int    made = snprintf(path, size, "%.*s/%s", (int)n, list,
		       program);

		if (n > 0 && made > 0 && (size_t)made < size &&
		    is_program(path))
			return true;
		list += n + (list[n] == ':');
	}
	return false;
}

/* The kernel takes the end of the line, and a carriage return with it, for
 * the interpreter's name, and then says that the program is not there. */
static struct handlers_fault
first_line_fault(const char *path)
{
	char    head[256], *end;
	FILE   *f = fopen(path, "re");
	size_t  n = f != NULL ? fread(head, 1, sizeof head - 1, f) : 0;

	if (f != NULL)
		fclose(f);
	head[n] = '\0';
	if (strncmp(head, "#!", 2) != 0 || (end = strchr(head, '\n')) == NULL)
		return (struct handlers_fault){ 0 };
	*end = '\0';
	if (end[-1] == '\r')
		return (struct handlers_fault){
			"has the line ends of Windows",
			"save it with those of Unix, as "
			"sed -i 's/\\r$//' FILE does" };
	end = head + 2 + strspn(head + 2, " \t");
	end[strcspn(end, " \t")] = '\0';
	if (end[0] == '/' && access(end, X_OK) != 0)
		return (struct handlers_fault){
			"names an interpreter in its first line that is not "
			"there",
			"correct that line, or install it" };
	return (struct handlers_fault){ 0 };
}

struct handlers_fault
handlers_fault(const char *program, const char *dir)
{
	struct stat st;
	char        path[PATH_MAX];

	if (handlers_find(program, dir, path, sizeof path))
		return first_line_fault(path);
	if (strchr(program, '/') == NULL)
		return (struct handlers_fault){ "is nowhere in PATH",
			"install it; what is in a folder is named with it, as "
			"in ./bot.py" };
	if (stat(path, &st) < 0)
		return (struct handlers_fault){
			errno == EACCES ? "is in a folder that may not be read"
			                : "is not there",
			"correct its path; it counts from "
			"ROOKERY_HANDLER_DIR, or else from the "
			"working folder" };
	if (!S_ISREG(st.st_mode))
		return (struct handlers_fault){ "is no file",
			"name the program itself" };
	return (struct handlers_fault){ "may not be run", "chmod +x it" };
}

/* --- a line --------------------------------------------------------------- */

struct reader {
	struct handlers     *all;
	const char          *file;
	unsigned             line;
	handlers_problem_fn *problem;
	void                *self;
	bool                 bad, nomem;
};

static void
complain(struct reader *r, const char *value, const char *why,
    const char *remedy)
{
	char where[PATH_MAX + 32];

	snprintf(where, sizeof where, r->line > 0 ? "%s line %u" : "%s",
	    r->file, r->line);
	r->problem(r->self, where, value, why, remedy);
	r->bad = true;
}

static void
row_free(struct handlers_row *row)
{
	free(row->name);
	free(row->kind);
	free(row->arg);
	free(row->events);
	free(row->prefix);
	free(row->users);
	free(row->convs);
	free(row->bots);
}

void
handlers_free(struct handlers *all)
{
	for (size_t i = 0; i < all->n; i++)
		row_free(&all->rows[i]);
	free(all->rows);
	*all = (struct handlers){ 0 };
}

static char *
copy(struct reader *r, struct slice s)
{
	char *p = slice_dup(s.p != NULL ? s : (struct slice){ "", 0 });

	r->nomem |= p == NULL;
	return p;
}

static bool
is_name(struct slice s)
{
	if (s.n == 0 || s.n > 32)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (strchr("abcdefghijklmnopqrstuvwxyz0123456789-_",
		        s.p[i]) == NULL)
			return false;
	return true;
}

/* kind:argument */
static void
read_spec(struct reader *r, struct handlers_row *row, struct slice spec)
{
	const char *colon = spec.n > 0 ? memchr(spec.p, ':', spec.n) : NULL;
	size_t      n = colon != NULL ? (size_t)(colon - spec.p) : spec.n;

	row->kind = copy(r, (struct slice){ spec.p, n });
	row->arg = copy(r, slice_from(spec, n + 1));
}

/* One more word to a list. */
static void
join(struct reader *r, char **list, struct slice word)
{
	struct buf b = { 0 };

	if (*list != NULL && (*list)[0] != '\0') {
		buf_puts(&b, *list);
		buf_puts(&b, " ");
	}
	buf_put(&b, word);
	if (b.failed || b.p == NULL) {
		r->nomem |= b.failed;
		buf_free(&b);
		return;
	}
	free(*list);
	*list = b.p;
}

enum option { EVENTS, PREFIX, USERS, CONVS, BOTS, PROCS, TIMEOUT, OPTIONS };
static const struct {
	const char *name;
	bool        many;
} row_options[OPTIONS] = {
	[EVENTS] = { "events", true }, [PREFIX] = { "prefix", false },
	[USERS] = { "users", true },   [CONVS] = { "convs", true },
	[BOTS] = { "bots", true },     [PROCS] = { "procs", false },
	[TIMEOUT] = { "timeout", false },
};

static enum option
option_of(struct slice word)
{
	for (int i = 0; i < OPTIONS; i++)
		if (slice_is(word, row_options[i].name))
			return (enum option)i;
	return OPTIONS;
}

static void
read_number(struct reader *r, struct slice word, uint64_t max, uint64_t *out)
{
	unsigned long long n;
	char              *shown;

	if (slice_u64(word, &n) && n >= 1 && n <= max) {
		*out = n;
		return;
	}
	shown = copy(r, word);
	complain(r, shown != NULL ? shown : "", "is not a number within its "
	    "bounds", "procs is 1 to 64, timeout 1 to 3600000 (ms)");
	free(shown);
}

static bool
is_pattern(struct slice p)
{
	const char *star = p.n > 0 ? memchr(p.p, '*', p.n) : NULL;

	return p.n > 0 && (star == NULL || p.n == 1 ||
	    (star == p.p + p.n - 1 && p.n > 2 && star[-1] == '.'));
}

static void
take_option(struct reader *r, struct handlers_row *row, enum option o,
    struct slice word)
{
	switch (o) {
	case EVENTS:
		if (!is_pattern(word))
			complain(r, "events", "is not a pattern",
			    "write a type (message.group), a beginning "
			    "(message.*) or *");
		join(r, &row->events, word);
		break;
	case PREFIX:
		free(row->prefix);
		row->prefix = copy(r, word);
		break;
	case USERS:
		join(r, &row->users, word);
		break;
	case CONVS:
		join(r, &row->convs, word);
		break;
	case BOTS:
		join(r, &row->bots, word);
		break;
	case PROCS:
		read_number(r, word, PROCS_MAX, &row->procs);
		break;
	default:
		read_number(r, word, TIMEOUT_MAX_MS, &row->timeout_ms);
		break;
	}
}

static void
read_options(struct reader *r, struct handlers_row *row, const char *rest)
{
	struct buf  word = { 0 };
	enum option now = OPTIONS;
	size_t      values = 0;
	bool        bad;

	while (next_word(&rest, &word, &bad)) {
		enum option o = option_of(buf_slice(&word));

		/* After a value that stands alone, or in a list. */
		if (o != OPTIONS && (now == OPTIONS || values > 0)) {
			now = o;
			values = 0;
			continue;
		}
		if (now == OPTIONS || (values > 0 && !row_options[now].many)) {
			complain(r, word.p, "is no option",
			    "options are events, prefix, users, convs, bots, "
			    "procs and timeout");
			break;
		}
		take_option(r, row, now, buf_slice(&word));
		values++;
	}
	if (bad)
		complain(r, "", "a quote does not end", "close it");
	else if (now != OPTIONS && values == 0)
		complain(r, row_options[now].name, "has no value",
		    "write one behind it");
	buf_free(&word);
}

static void
check_row(struct reader *r, const struct handlers_row *row)
{
	char **argv;

	for (size_t i = 0; i + 1 < r->all->n; i++)
		if (strcmp(r->all->rows[i].name, row->name) == 0)
			complain(r, row->name, "is the name of two handlers",
			    "names tell handlers apart in status and log");
	if (strcmp(row->kind, "builtin") == 0) {
		if (strcmp(row->arg, "echo") != 0 &&
		    strcmp(row->arg, "ping") != 0)
			complain(r, row->arg, "is no handler known here",
			    "builtin:echo and builtin:ping are");
		return;
	}
	if (strcmp(row->kind, "exec") != 0 &&
	    strcmp(row->kind, "plugin") != 0) {
		complain(r, row->kind, "is no kind of handler",
		    "write builtin:NAME, exec:COMMAND or plugin:FILE");
		return;
	}
	for (size_t i = 0; i + 1 < r->all->n; i++)
		if (strcmp(row->kind, "plugin") == 0 &&
		    strcmp(r->all->rows[i].kind, "plugin") == 0)
			complain(r, row->name, "is a second plugin",
			    "one process hosts one; run another as exec, or "
			    "join them");
	argv = handlers_argv(row->arg);
	if (argv == NULL)
		complain(r, row->arg, "is no command or file",
		    "write exec:COMMAND or plugin:FILE; quote what has "
		    "blanks");
	free(argv);
}

static struct handlers_row *
add_row(struct reader *r)
{
	struct handlers_row *rows = realloc(r->all->rows,
	    (r->all->n + 1) * sizeof *rows);

	if (rows == NULL) {
		r->nomem = true;
		return NULL;
	}
	r->all->rows = rows;
	rows += r->all->n++;
	*rows = (struct handlers_row){ .line = r->line };
	rows->events = copy(r, SLICE(""));
	rows->prefix = copy(r, SLICE(""));
	rows->users = copy(r, SLICE(""));
	rows->convs = copy(r, SLICE(""));
	rows->bots = copy(r, SLICE(""));
	return rows;
}

static void
read_line(struct reader *r, const char *line)
{
	struct buf           word = { 0 };
	struct handlers_row *row;
	bool                 bad;

	if (!next_word(&line, &word, &bad) && !bad)
		goto out;
	if (bad || !slice_is(buf_slice(&word), "handler")) {
		complain(r, word.p != NULL ? word.p : "",
		    "does not begin with handler",
		    "write handler NAME KIND:WHAT [OPTIONS], or a # comment");
		goto out;
	}
	if (r->all->n == HANDLERS_MAX) {
		complain(r, "", "is one handler too many", "64 is the most");
		goto out;
	}
	if ((row = add_row(r)) == NULL)
		goto out;
	if (!next_word(&line, &word, &bad) || !is_name(buf_slice(&word)))
		complain(r, word.p != NULL ? word.p : "", "is no name",
		    "a name is up to 32 of a-z, 0-9, - and _");
	row->name = copy(r, buf_slice(&word));
	if (!next_word(&line, &word, &bad))
		buf_reset(&word);
	read_spec(r, row, buf_slice(&word));
	if (r->nomem)
		goto out;
	check_row(r, row);
	read_options(r, row, line);
out:
	buf_free(&word);
}

enum err
handlers_parse(struct handlers *all, struct slice text, const char *file,
    handlers_problem_fn *problem, void *self)
{
	struct reader r = { .all = all, .file = file, .problem = problem,
		.self = self };

	*all = (struct handlers){ 0 };
	while (text.n > 0 && !r.nomem) {
		const char *nl = memchr(text.p, '\n', text.n);
		size_t      n = nl != NULL ? (size_t)(nl - text.p) : text.n;
		char       *line = copy(&r, (struct slice){ text.p, n });

		r.line++;
		if (line != NULL)
			read_line(&r, line);
		free(line);
		text = slice_from(text, n + 1);
	}
	r.line = 0;
	if (all->n == 0 && !r.bad && !r.nomem)
		complain(&r, "", "names no handler",
		    "write handler NAME KIND:WHAT, or remove the file");
	if (!r.bad && !r.nomem)
		return ERR_OK;
	handlers_free(all);
	return r.nomem ? ERR_NOMEM : ERR_CONFIG;
}

/* --- the whole ------------------------------------------------------------ */

/* ROOKERY_HANDLER as the one row there is. */
static enum err
one_handler(struct handlers *all, const char *spec,
    handlers_problem_fn *problem, void *self)
{
	struct reader r = { .all = all, .file = "ROOKERY_HANDLER",
		.problem = problem, .self = self };
	struct handlers_row *row = add_row(&r);

	if (row != NULL) {
		read_spec(&r, row, slice_of(spec));
		row->name = copy(&r, SLICE("main"));
		if (!r.nomem)
			check_row(&r, row);
	}
	if (!r.bad && !r.nomem)
		return ERR_OK;
	handlers_free(all);
	return r.nomem ? ERR_NOMEM : ERR_CONFIG;
}

static bool
check_plugin(const struct handlers_row *row, const struct conf *c,
    handlers_problem_fn *problem, void *self)
{
	const char *dir = c->handler_dir[0] != '\0' ? c->handler_dir : ".";
	char        path[PATH_MAX], where[64];
	bool        whole = row->arg[0] == '/';
	struct stat st;

	snprintf(path, sizeof path, "%s%s%s", whole ? "" : dir,
	    whole ? "" : "/", row->arg);
	if (access(path, R_OK) == 0 && stat(path, &st) == 0 &&
	    S_ISREG(st.st_mode))
		return true;
	snprintf(where, sizeof where, "handler %s", row->name);
	problem(self, where, row->arg, "cannot be read",
	    "correct its path; it is a shared object made with rookery.h");
	return false;
}

enum err
handlers_check(const struct handlers *all, const struct conf *c,
    handlers_problem_fn *problem, void *self)
{
	bool good = true;

	for (size_t i = 0; i < all->n; i++) {
		struct handlers_row  *row = &all->rows[i];
		struct handlers_fault fault;
		char                  where[64], **argv;

		if (strcmp(row->kind, "plugin") == 0)
			good &= check_plugin(row, c, problem, self);
		if (strcmp(row->kind, "exec") != 0 ||
		    (argv = handlers_argv(row->arg)) == NULL)
			continue;
		fault = handlers_fault(argv[0], c->handler_dir);
		if (fault.why != NULL) {
			snprintf(where, sizeof where, "handler %s", row->name);
			problem(self, where, argv[0], fault.why, fault.remedy);
			good = false;
		}
		free(argv);
	}
	return good ? ERR_OK : ERR_CONFIG;
}

enum err
handlers_load(struct handlers *all, const struct conf *c,
    handlers_problem_fn *problem, void *self)
{
	const char *file = c->handlers_file;
	bool        may_lack = strcmp(file,
	    conf_info(CONF_ROOKERY_HANDLERS_FILE)->fallback) == 0;
	char       *text = NULL;
	struct stat st;
	FILE       *f = NULL;
	enum err    e = ERR_NOMEM;

	*all = (struct handlers){ 0 };
	if (stat(file, &st) == 0 && S_ISREG(st.st_mode))
		f = fopen(file, "re");
	if (f == NULL && may_lack) {
		e = one_handler(all, c->handler, problem, self);
	} else if (f == NULL) {
		problem(self, "ROOKERY_HANDLERS_FILE", file,
		    "cannot be read", "name a file of handler lines");
		return ERR_CONFIG;
	} else if ((text = calloc(1, TEXT_MAX + 1)) != NULL) {
		struct slice read = { text, fread(text, 1, TEXT_MAX, f) };

		/* some editors begin a file with it */
		if (slice_starts(read, SLICE("\xef\xbb\xbf")))
			read = (struct slice){ read.p + 3, read.n - 3 };
		e = handlers_parse(all, read, file, problem, self);
	}
	if (f != NULL)
		fclose(f);
	free(text);
	return e;
}

static void
add_text(uint64_t *print, const char *text)
{
	/* the end too, so that what moves from one to the next is seen */
	for (size_t i = 0; i <= strlen(text); i++)
		*print = (*print ^ (unsigned char)text[i]) * 1099511628211u;
}

uint64_t
handlers_print(const struct handlers *all)
{
	uint64_t print = 14695981039346656037u;

	for (size_t i = 0; i < all->n; i++) {
		const struct handlers_row *r = &all->rows[i];
		const char *const texts[] = { r->name, r->kind, r->arg,
			r->events, r->prefix, r->users, r->convs, r->bots };
		char numbers[48];

		for (size_t n = 0; n < sizeof texts / sizeof *texts; n++)
			add_text(&print, texts[n]);
		snprintf(numbers, sizeof numbers, "%llu %llu",
		    (unsigned long long)r->procs,
		    (unsigned long long)r->timeout_ms);
		add_text(&print, numbers);
	}
	return print;
}

/* --- the match ------------------------------------------------------------ */

bool
handlers_wants(const char *patterns, struct slice type)
{
	while (*patterns != '\0') {
		size_t       n = strcspn(patterns, " ");
		struct slice p = { patterns, n };

		if (slice_is(p, "*") || slice_eq(p, type))
			return true;
		if (n > 2 && p.p[n - 1] == '*' && p.p[n - 2] == '.' &&
		    slice_starts(type, (struct slice){ p.p, n - 1 }))
			return true;
		patterns += n + (patterns[n] == ' ');
	}
	return false;
}

static bool
is_among(const char *list, struct slice word)
{
	if (list[0] == '\0')
		return true;
	while (*list != '\0') {
		size_t n = strcspn(list, " ");

		if (slice_eq((struct slice){ list, n }, word))
			return true;
		list += n + (list[n] == ' ');
	}
	return false;
}

bool
handlers_match(const struct handlers_row *row, const struct handlers_event *ev)
{
	return (row->events[0] == '\0' ||
	           handlers_wants(row->events, ev->type)) &&
	    slice_starts(ev->text, slice_of(row->prefix)) &&
	    is_among(row->users, ev->user) && is_among(row->convs, ev->conv) &&
	    is_among(row->bots, ev->bot);
}
