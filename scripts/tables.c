/*
 * Prints the tables the programs are made of: as .env.example, and as mdoc
 * for the manual pages, where a line @name@ stands for a table.  It says
 * nothing of its own: every sentence is the table's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog.h"
#include "conf.h"
#include "err.h"
#include "messages.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* --- words in mdoc -------------------------------------------------------- */

/* One character that mdoc would not print as it is; returns its length. */
static size_t
put_special(const unsigned char *p)
{
	unsigned code;
	size_t   n = *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : 2;

	if (*p == '\\') {
		fputs("\\e", stdout);
		return 1;
	}
	code = *p & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++)
		code = code << 6 | (p[i] & 0x3f);
	printf("\\[u%04X]", code);
	return n;
}

static void
put_words(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	while (*p != '\0')
		if (*p == '\\' || *p >= 0x80)
			p += put_special(p);
		else
			putchar(*p++);
}

/* Sentences, each on a line of its own, ending in a full stop. */
static void
put_sentences(const char *text)
{
	size_t n = strlen(text);

	while (n > 0) {
		const char *end = strstr(text, ". ");
		size_t      len = end != NULL ? (size_t)(end - text) + 1 : n;
		char       *one = strndup(text, len);

		if (one == NULL)
			exit(1);
		if (one[0] == '.' || one[0] == '\'')
			fputs("\\&", stdout);
		put_words(one);
		free(one);
		text += len;
		n -= len;
		for (; n > 0 && *text == ' '; text++)
			n--;
		if (n > 0)
			putchar('\n');
	}
	puts(text[-1] == '.' ? "" : ".");
}

/* A word of a macro's line; "" inside quotes is one quote. */
static void
put_argument(const char *text)
{
	putchar('"');
	for (; *text != '\0'; text++) {
		char one[5] = { *text };

		if ((unsigned char)*text >= 0x80) {
			size_t n = (unsigned char)*text >= 0xe0 ? 3 : 2;

			memcpy(one, text, n);
			text += n - 1;
		}
		put_words(*text == '"' ? "\"\"" : one);
	}
	putchar('"');
}

static void
item(const char *macro, const char *name)
{
	printf(".It %s ", macro);
	put_argument(name);
}

/* --- settings --------------------------------------------------------------- */

static const struct {
	unsigned    bit;
	const char *name;
} readers[] = {
	{ CONF_S, "rookeryd" }, { CONF_G, "gatewayd" }, { CONF_A, "apid" },
	{ CONF_W, "workerd" },  { CONF_C, "rookery" },  { CONF_Q, "qqsim" },
};

/* A child's own settings and the file's own name do not belong in a file. */
static bool
belongs_in_file(enum conf_id id)
{
	return (conf_info(id)->readers & CONF_C) != 0 &&
	    id != CONF_ROOKERY_ENV_FILE;
}

static void
put_comment(const char *text)
{
	size_t column = 0;

	while (*text != '\0') {
		size_t n = strcspn(text, " ");

		if (column > 0 && column + 1 + n > 78) {
			putchar('\n');
			column = 0;
		}
		column += (size_t)printf(column == 0 ? "# %.*s" : " %.*s",
		    (int)n, text);
		text += n + strspn(text + n, " ");
	}
	putchar('\n');
}

/* What has no default is ready to be filled in; the rest shows its own. */
static void
print_env(void)
{
	puts("# Settings of Rookery.  Copy this file to .env and fill in what "
	     "you need; the\n"
	     "# environment wins over it.  NAME_FILE=path reads NAME from a "
	     "file.  See\n"
	     "# rookery.env(5).");
	for (size_t i = 0; i < CONF_COUNT; i++) {
		const struct conf_info *info = conf_info((enum conf_id)i);
		const char *v = info->fallback;
		bool        quoted = strpbrk(v, " #'\"") != NULL;

		if (!belongs_in_file((enum conf_id)i))
			continue;
		putchar('\n');
		put_comment(info->meaning);
		printf(quoted ? "%s%s=\"%s\"\n" : "%s%s=%s\n",
		    v[0] != '\0' ? "#" : "", info->name, v);
	}
}

static void
print_conf_row(const struct conf_info *info)
{
	const char *comma = "";

	item("Ev", info->name);
	putchar('\n');
	put_sentences(info->meaning);
	if (strcmp(info->type, "num") == 0)
		printf("A number from %llu to %llu.\n",
		    (unsigned long long)info->min,
		    (unsigned long long)info->max);
	else if (strcmp(info->type, "flag") == 0)
		puts(".Cm yes\nor\n.Cm no .");
	if (info->fallback[0] != '\0') {
		fputs("Default:\n.Ql ", stdout);
		put_argument(info->fallback);
		puts(" .");
	}
	if (info->readers & CONF_B)
		puts(info->readers & CONF_N
		        ? "Each bot may have its own; else it is that of all."
		        : "Each bot may have its own.");
	fputs("Read by", stdout);
	for (size_t i = 0; i < COUNT(readers); i++)
		if (info->readers & readers[i].bit) {
			printf("%s %s", comma, readers[i].name);
			comma = ",";
		}
	puts(".");
}

static void
print_conf(void)
{
	puts(".Bl -tag -width Ds");
	for (size_t i = 0; i < CONF_COUNT; i++)
		print_conf_row(conf_info((enum conf_id)i));
	puts(".El");
}

static void
print_intents(void)
{
	static const struct {
		int         bit;
		const char *name, *who, *meaning;
	} intents[] = {
#define INTENT(bit, name, who, meaning) { bit, #name, #who, meaning },
#include "intents.def"
#undef INTENT
	};

	puts(".Bl -tag -width Ds");
	for (size_t i = 0; i < COUNT(intents); i++) {
		item("Cm", intents[i].name);
		printf("\nBit %d", intents[i].bit);
		if (strcmp(intents[i].who, "PRIVATE") == 0)
			fputs(", private bots only", stdout);
		else if (strcmp(intents[i].who, "RARE") == 0)
			fputs(", not in the platform's documentation", stdout);
		fputs(":\n", stdout);
		put_sentences(intents[i].meaning);
	}
	puts(".El");
}

/* --- messages ----------------------------------------------------------------- */

static const struct {
	unsigned    way;
	const char *text;
} ways[] = {
	{ MSG_EVENTS_UP, "events, worker to gatewayd" },
	{ MSG_EVENTS_DOWN, "events, gatewayd to worker" },
	{ MSG_API_UP, "api, worker to apid" },
	{ MSG_API_DOWN, "api, apid to worker" },
	{ MSG_TRUST_UP, "trust, gatewayd to apid" },
	{ MSG_TRUST_DOWN, "trust, apid to gatewayd" },
	{ MSG_CHILD_UP, "child, child to supervisor" },
	{ MSG_CHILD_DOWN, "child, supervisor to child" },
	{ MSG_FEED, "feed, gatewayd to observers" },
};

static const char *
type_name(const struct msg_field *f)
{
	return f->kind == FIELD_yes ? "flag" : f->type;
}

static void
print_message(const struct msg_info *m)
{
	const char *between = "On";

	printf(".Ss %s: kind %c\n", m->name, m->kind);
	put_sentences(m->meaning);
	for (size_t i = 0; i < COUNT(ways); i++)
		if (m->ways & ways[i].way) {
			printf("%s %s", between, ways[i].text);
			between = ";";
		}
	puts(".\n.Bl -tag -width Ds");
	for (size_t i = 0; i < m->nfields; i++) {
		const struct msg_field *f = &m->fields[i];
		size_t                  n = strlen(f->key);

		n -= f->key[n - 1] == '_';
		printf(".It Cm %.*s Pq Vt %s\n", (int)n, f->key, type_name(f));
		put_sentences(f->meaning);
	}
	puts(".El");
}

static void
print_messages(void)
{
	for (size_t i = 0; i < MSG_KINDS; i++)
		print_message(msg_info((enum msg_kind)i));
}

/* --- errors, closes, refusals ---------------------------------------------------- */

static void
print_errors(void)
{
	static const char *const actions[] = {
		[ERR_RETRY] = "Tried again.",
		[ERR_DROP] = "This input, call or peer is given up.",
		[ERR_STOP] = "A person must act.",
	};

	puts(".Bl -tag -width Ds");
	for (size_t i = ERR_OK + 1; i < ERR_COUNT; i++) {
		item("Er", err_name((enum err)i));
		putchar('\n');
		put_sentences(err_text((enum err)i));
		puts(actions[err_action((enum err)i)]);
	}
	puts(".El");
}

static void
print_closes(void)
{
	static const struct {
		int         first, last;
		const char *action, *text[2];   /* meaning, remedy */
	} closes[] = {
#define CLOSE(first, last, action, ...)                                      \
	{ first, last, #action, { __VA_ARGS__ } },
#include "../gatewayd/closes.def"
#undef CLOSE
	};

	puts(".Bl -tag -width Ds");
	for (size_t i = 0; i < COUNT(closes); i++) {
		printf(".It %d", closes[i].first);
		if (closes[i].last != closes[i].first)
			printf(" to %d", closes[i].last);
		printf(" Cm %s\n", closes[i].action);
		put_sentences(closes[i].text[0]);
		if (closes[i].text[1] != NULL && closes[i].text[1][0] != '\0')
			put_sentences(closes[i].text[1]);
	}
	puts(".El");
}

static void
print_refusals(void)
{
	static const struct {
		const char *name;
		int         status;
		const char *sentence;
	} refusals[] = {
#define REFUSAL(name, status, sentence) { #name, status, sentence },
#include "../gatewayd/refusals.def"
#undef REFUSAL
	};

	puts(".Bl -tag -width too_large -compact");
	for (size_t i = 0; i < COUNT(refusals); i++) {
		printf(".It Li %s Pq %d\n", refusals[i].name,
		    refusals[i].status);
		put_sentences(refusals[i].sentence);
	}
	puts(".El");
}

/* "g:group_openid|group_id c:id" as words. */
static void
put_conversations(const char *spec)
{
	const char *between = "";

	for (; *spec != '\0'; spec += *spec == ' ') {
		size_t n = strcspn(spec, " ");

		printf("%s\n.Li %.2s Ns Va ", between, spec);
		for (size_t i = 2; i < n; i++)
			if (spec[i] == '|')
				fputs(" , ", stdout);
			else
				putchar(spec[i]);
		spec += n;
		between = " ;";
	}
	puts(" .");
}

static void
print_events(void)
{
	static const struct {
		const char *name, *type, *conv, *user;
		enum { TEXT_NO, TEXT_PLAIN, TEXT_GUILD } text;
		enum { REPLY_NO, REPLY_MSG, REPLY_EVENT } reply;
	} events[] = {
#define EVENT(NAME, type, conv, user, text, reply)                           \
	{ NAME, type, conv, user, TEXT_##text, REPLY_##reply },
#include "../gatewayd/events.def"
#undef EVENT
	};
	static const char *const replies[] = {
		[REPLY_NO] = "It cannot be answered.",
		[REPLY_MSG] = "It is answered by its message.",
		[REPLY_EVENT] = "It is answered by its event.",
	};

	puts(".Bl -tag -width Ds");
	for (size_t i = 0; i < COUNT(events); i++) {
		bool named = events[i].name[0] != '\0';

		printf(".It Li %s%s\nFrom\n.Li %s .\n", events[i].type,
		    named ? "" : "NAME",
		    named ? events[i].name : "any other NAME");
		fputs("Conversation", stdout);
		put_conversations(events[i].conv);
		if (events[i].user[0] != '\0')
			printf("User by\n.Va %s .\n", events[i].user);
		puts(replies[events[i].reply]);
	}
	puts(".El");
}

/* --- calls ------------------------------------------------------------------------ */

static const char *const needs[] = {
	[NEED_MUST] = "", [NEED_MAY] = ", optional",
	[NEED_ONE] = ", exactly one of these",
	[NEED_SOME] = ", at least one of these",
	[NEED_MOST] = ", at most one of these",
};

static void
print_bounds(const struct catalog_param *p)
{
	bool counted = p->type == TYPE_IDS || p->type == TYPE_OBJECTS ||
	    p->type == TYPE_INT || p->type == TYPE_DIGITS;

	fputs(catalog_type_name(p->type), stdout);
	if (counted)
		printf(" %lld to %lld", (long long)p->min, (long long)p->max);
	else if (p->type == TYPE_TEXT && p->max > 0)
		printf(" of %s%lld characters", p->min == p->max ? ""
		    : "up to ", (long long)p->max);
	else if (p->choices[0] != '\0')
		printf(" of %s", p->choices);
}

static void
print_param(const struct catalog_param *p)
{
	static const char *const places[] = { [PLACE_PATH] = "path",
		[PLACE_QUERY] = "query", [PLACE_BODY] = "body",
		[PLACE_FILE] = "file" };

	printf(".It Cm %s\n(%s, ", p->name, places[p->place]);
	print_bounds(p);
	printf("%s)\n", needs[p->need]);
	put_sentences(p->meaning);
}

static const char *
status_words(enum call_status s)
{
	static const char *const words[] = {
		[STATUS_CURRENT] = "",
		[STATUS_SDK] = "The platform does not document it: it may fail.",
		[STATUS_OLD] = "Replaced by a newer form.",
		[STATUS_DEPRECATED] = "Deprecated by the platform.",
		[STATUS_OURS] = "Only apid asks for it: it cannot be called.",
	};

	return words[s];
}

static const char *
form_words(enum call_form f)
{
	static const char *const words[] = {
		[FORM_NONE] = "", [FORM_JSON] = "Its body is JSON.",
		[FORM_FILE] = "Its body is JSON; it may take minutes.",
		[FORM_PICTURE] = "Its body is JSON, or a form with a picture.",
		[FORM_CALLBACK] = "Its body is JSON; X-Callback-AppID is set.",
		[FORM_BYTES] = "Its body are bytes.",
	};

	return words[f];
}

static void
print_call(enum call_id id)
{
	const struct catalog_row   *r = catalog_row(id);
	size_t                      n;
	const struct catalog_param *p = catalog_params(id, &n);

	printf(".Ss %s\n.Li %s\n.Li ", r->name, r->method);
	put_argument(r->path);
	putchar('\n');
	puts(".br");
	put_sentences(r->meaning);
	if (form_words(r->form)[0] != '\0')
		puts(form_words(r->form));
	if (status_words(r->status)[0] != '\0')
		puts(status_words(r->status));
	printf("Scope %s; limit %s; answers %s.\n",
	    catalog_scope_name(r->scope), r->limit, r->success);
	if (n == 0)
		return;
	puts(".Bl -tag -width Ds -compact");
	for (size_t i = 0; i < n; i++)
		print_param(&p[i]);
	puts(".El");
}

static void
print_catalog(void)
{
	for (int i = 0; i < CALL_COUNT; i++)
		print_call((enum call_id)i);
}

static void
print_withdrawn(void)
{
	size_t                          n;
	const struct catalog_withdrawn *w = catalog_withdrawn(&n);

	puts(".Bl -tag -width Ds -compact");
	for (size_t i = 0; i < n; i++) {
		printf(".It Cm %s\n.Li %s\n.Li ", w[i].name, w[i].method);
		put_argument(w[i].path);
		puts(" :");
		put_sentences(w[i].meaning);
	}
	puts(".El");
}

/* "u: g:" for those it can be asked in. */
static void
print_scopes(const char *scopes)
{
	for (; *scopes != '\0'; scopes++)
		printf(" %c:", *scopes);
}

static void
print_arguments(const struct call_operation *o)
{
	size_t                      n;
	const struct call_argument *a = call_arguments(&n);
	bool                        any = false;

	for (size_t i = 0; i < n; i++) {
		if (a[i].makes != o->makes)
			continue;
		if (!any)
			puts(".Bl -tag -width Ds -compact");
		any = true;
		printf(".It Cm %s Pq %s", a[i].name, a[i].type);
		if (o->needs & NEEDS_CONV && strcmp(a[i].scopes, "ugcd") != 0)
			print_scopes(a[i].scopes);
		putchar('\n');
		put_sentences(a[i].meaning);
	}
	if (any)
		puts(".El");
}

static void
print_operation(const struct call_operation *o, bool same)
{
	char scopes[SCOPES + 1] = "";
	int  n = 0;

	printf(".Ss %s\n", o->name);
	put_sentences(o->meaning);
	for (int i = 0; i < SCOPES; i++)
		if (o->requests[i] != CALL_none)
			scopes[n++] = "ugcd"[i];
	if (o->needs & NEEDS_CONV) {
		fputs("In", stdout);
		print_scopes(scopes);
		puts(" conversations.");
	}
	if (same)
		puts("Its arguments are those of the operation before.");
	else
		print_arguments(o);
}

static void
print_operations(void)
{
	size_t                       n;
	const struct call_operation *o = call_operations(&n);

	for (size_t i = 0; i < n && o[i].makes != MAKES_PARAMS; i++)
		print_operation(&o[i], i > 0 && o[i].makes == o[i - 1].makes);
}

/* --- results and the platform's codes ----------------------------------------------- */

static void
print_named(const char *const rows[][2], size_t n)
{
	puts(".Bl -tag -width Ds -compact");
	for (size_t i = 0; i < n; i++) {
		printf(".It Er %s\n", rows[i][0]);
		put_sentences(rows[i][1]);
	}
	puts(".El");
}

static void
print_results(void)
{
	static const char *const rows[][2] = {
#define RESULT(name, meaning) { #name, meaning },
#include "../apid/results.def"
#undef RESULT
	};

	print_named(rows, COUNT(rows));
}

static void
print_classes(void)
{
	static const char *const rows[][2] = {
#define CLASS(name, meaning) { #name, meaning },
#include "../apid/classes.def"
#undef CLASS
	};

	print_named(rows, COUNT(rows));
}

struct code_row {
	unsigned long long first, last;
	const char        *cls, *result, *meaning;
};

static void
print_code_rows(const struct code_row *rows, size_t n)
{
	puts(".Bl -tag -width Ds -compact");
	for (size_t i = 0; i < n; i++) {
		printf(".It Li %llu", rows[i].first);
		if (rows[i].last != rows[i].first)
			printf(" to %llu", rows[i].last);
		printf(" Cm %s", rows[i].cls);
		if (strcmp(rows[i].cls, "DONE") != 0 &&
		    strcmp(rows[i].cls, "NEEDS_AUDIT") != 0)
			printf(" Er %s", rows[i].result);
		putchar('\n');
		put_sentences(rows[i].meaning);
	}
	puts(".El");
}

static void
print_statuses(void)
{
	static const struct code_row rows[] = {
#define STATUS(first, last, cls, result, meaning)                            \
	{ first, last, #cls, #result, meaning },
#include "../apid/codes.def"
	};

	print_code_rows(rows, COUNT(rows));
}

static void
print_codes(void)
{
	static const struct code_row codes[] = {
#define CODE(code, cls, result, meaning)                                     \
	{ code, code, #cls, #result, meaning },
#include "../apid/codes.def"
	};
	static const struct code_row ranges[] = {
#define RANGE(first, last, cls, result, meaning)                             \
	{ first, last, #cls, #result, meaning },
#include "../apid/codes.def"
	};

	print_code_rows(codes, COUNT(codes));
	puts(".Pp\nCodes without a row of their own are judged by these:");
	print_code_rows(ranges, COUNT(ranges));
}

/* Not a table, but a fact with one home all the same. */
static void
print_worker(void)
{
	FILE *f = fopen("examples/worker.py", "r");
	int   c;

	if (f == NULL) {
		fputs("tables: run me in the top folder\n", stderr);
		return;
	}
	while ((c = getc(f)) != EOF)
		if (c == '\\')
			fputs("\\e", stdout);
		else
			putchar(c);
	fclose(f);
}

/* --- which ------------------------------------------------------------------------ */

/* --- what the platform allows ------------------------------------------------ */

static void
print_limits(void)
{
	enum { BOT, TARGET, KEPT, FREE };
	static const struct {
		const char *name;
		unsigned    count, per_ms;
		int         by, sandbox;
		const char *meaning;
	} limits[] = {
#define LIMIT(name, count, per_ms, by, sandbox, meaning)                     \
	{ #name, count, per_ms, by, sandbox, meaning },
#include "../apid/limits.def"
#undef LIMIT
	};

	puts(".Bl -tag -width Ds");
	for (size_t i = 0; i < COUNT(limits); i++) {
		if (limits[i].count == 0)
			continue;
		printf(".It Cm %s , No %u a %s%s%s\n", limits[i].name,
		    limits[i].count,
		    limits[i].per_ms == 1000 ? "second" : "minute",
		    limits[i].by == TARGET ? " each" : "",
		    limits[i].sandbox == FREE ? ", not in the sandbox" : "");
		put_sentences(limits[i].meaning);
	}
	puts(".El");
}

static void
print_allowances(void)
{
	enum { BOT, TARGET };
	static const struct {
		const char *name;
		unsigned    count;
		int         by;
		const char *meaning;
	} rows[] = {
#define ALLOWANCE(name, count, by, meaning) { #name, count, by, meaning },
#include "../apid/allowances.def"
#undef ALLOWANCE
	};

	puts(".Bl -tag -width Ds");
	for (size_t i = 0; i < COUNT(rows); i++) {
		printf(".It Cm %s", rows[i].name);
		if (rows[i].count > 0)
			printf(" , No %u a day%s", rows[i].count,
			    rows[i].by == TARGET ? " each" : "");
		putchar('\n');
		put_sentences(rows[i].meaning);
	}
	puts(".El");
}

/* Kinds of files: as what each goes, up to where, and what it may be. */
static void
print_media(void)
{
	enum { NONE, PICTURE, VIDEO, VOICE, FILE };
	static const struct {
		int         kind;
		const char *word, *meaning;
		unsigned    soft, hard;
	} kinds[] = {
#define KIND(NAME, number, word, soft, hard, meaning)                        \
	{ NAME, word, meaning, soft, hard },
#include "../apid/formats.def"
	};

	puts(".Bl -tag -width Ds");
	for (size_t i = 0; i < COUNT(kinds); i++) {
		printf(".It Cm %s , No up to %u MiB", kinds[i].word,
		    kinds[i].hard >> 20);
		if (kinds[i].soft < kinds[i].hard)
			printf("; above %u MiB as a file",
			    kinds[i].soft >> 20);
		putchar('\n');
		put_sentences(kinds[i].meaning);
	}
	puts(".El");
}

static const struct {
	const char *name;
	void      (*print)(void);
} tables[] = {
	{ "env", print_env },           { "conf", print_conf },
	{ "intents", print_intents },   { "messages", print_messages },
	{ "errors", print_errors },     { "closes", print_closes },
	{ "refusals", print_refusals }, { "events", print_events },
	{ "limits", print_limits },     { "allowances", print_allowances },
	{ "media", print_media },
	{ "operations", print_operations },
	{ "catalog", print_catalog },   { "withdrawn", print_withdrawn },
	{ "results", print_results },   { "classes", print_classes },
	{ "statuses", print_statuses }, { "codes", print_codes },
	{ "worker", print_worker },
};

static bool
print_table(struct slice name)
{
	for (size_t i = 0; i < COUNT(tables); i++)
		if (slice_is(name, tables[i].name)) {
			tables[i].print();
			return true;
		}
	fprintf(stderr, "tables: no table %.*s\n", (int)name.n, name.p);
	return false;
}

/* A manual page from stdin, its @name@ lines replaced. */
static bool
print_page(void)
{
	char  *line = NULL;
	size_t cap = 0;
	bool   ok = true;

	while (ok && getline(&line, &cap, stdin) > 0) {
		struct slice s = slice_trim(slice_of(line));

		if (s.n > 2 && s.p[0] == '@' && s.p[s.n - 1] == '@')
			ok = print_table((struct slice){ s.p + 1, s.n - 2 });
		else
			fputs(line, stdout);
	}
	free(line);
	return ok;
}

int
main(int argc, char *argv[])
{
	bool ok;

	if (argc != 2) {
		fprintf(stderr, "usage: tables page < PAGE.in | tables NAME\n");
		return 64;
	}
	ok = strcmp(argv[1], "page") == 0 ? print_page()
	                                  : print_table(slice_of(argv[1]));
	return ok && fflush(stdout) == 0 ? 0 : 1;
}
