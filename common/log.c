/*
 * Formats one line in a fixed buffer and writes whole lines with one
 * write(2), so lines of several processes sharing a pipe never mix (up to
 * PIPE_BUF, which the gathered lines keep to).  What does not fit is cut, and
 * the line says so.
 */
#include "log.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* ENDING: kept back for a quote, the word that the line was cut, its end. */
enum { LINE_MAX_BYTES = 2048, ENDING = 16, HELD_BYTES = 4096 };

static const char *const names[] = { "error", "warn", "info", "debug" };

/* The one piece of process-wide state: where the process's words go. */
static struct {
	const char    *program;
	enum log_level level;
	bool           json, hold;
	time_t         second;      /* that `when` tells; 0: none yet */
	char           when[24];
	size_t         held;
	char           lines[HELD_BYTES];
} out = { .program = "rookery", .level = LOG_INFO };

struct line {
	char   b[LINE_MAX_BYTES];
	size_t n;
	bool   cut;
};

void
log_open(const char *program, enum log_level level, bool json)
{
	out.program = program;
	out.level = level;
	out.json = json;
}

void
log_set_level(enum log_level level)
{
	out.level = level;
}

bool
log_enabled(enum log_level level)
{
	return level <= out.level;
}

bool
log_level_of(struct slice text, enum log_level *level)
{
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (slice_is(text, names[i])) {
			*level = (enum log_level)i;
			return true;
		}
	return false;
}

const char *
log_level_name(enum log_level level)
{
	return names[level];
}

/* Whole or not at all: half an escape or half a character is neither. */
static void
put(struct line *l, struct slice s)
{
	if (l->cut || l->n + s.n > sizeof l->b - ENDING) {
		l->cut = true;
		return;
	}
	if (s.n > 0)
		memcpy(l->b + l->n, s.p, s.n);
	l->n += s.n;
}

/* Length of the UTF-8 character s begins with; 0: it does not.  Who reads the
 * lines as JSON takes no over-long forms and no surrogates. */
static size_t
utf8_length(struct slice s)
{
	unsigned char c = (unsigned char)s.p[0];
	size_t        n = c < 0x80 ? 1 :
	           c < 0xc2        ? 0 :
	           c < 0xe0        ? 2 :
	           c < 0xf0        ? 3 :
	           c < 0xf5        ? 4 :
	                             0;
	unsigned char low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
	unsigned char high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;

	if (n > s.n)
		return 0;
	for (size_t i = 1; i < n; i++) {
		unsigned char more = (unsigned char)s.p[i];

		if (more < low || more > high)
			return 0;
		low = 0x80;
		high = 0xbf;
	}
	return n;
}

/* Control characters, those above 0x7f too: a terminal obeys them. */
static bool
is_control(struct slice one)
{
	unsigned char c = (unsigned char)one.p[0];

	return c < 0x20 || c == 0x7f ||
	    (c == 0xc2 && (unsigned char)one.p[1] < 0xa0);
}

/* Quotes, backslashes and control characters escaped as in JSON, in both
 * forms; what is not UTF-8 becomes the replacement character. */
static void
put_quoted(struct line *l, struct slice s)
{
	char esc[8];

	put(l, SLICE("\""));
	if (l->cut)
		return;
	while (s.n > 0 && !l->cut) {
		size_t       n = utf8_length(s);
		struct slice one = { s.p, n > 0 ? n : 1 };

		if (n == 0)
			put(l, SLICE("\\ufffd"));
		else if (one.p[0] == '"' || one.p[0] == '\\')
			put(l, (struct slice){ esc, (size_t)snprintf(esc,
			    sizeof esc, "\\%c", one.p[0]) });
		else if (is_control(one))
			put(l, (struct slice){ esc, (size_t)snprintf(esc,
			    sizeof esc, "\\u%04x",
			    (unsigned char)one.p[n - 1]) });
		else
			put(l, one);
		s = slice_from(s, one.n);
	}
	l->b[l->n++] = '"'; /* of the room kept back */
}

static bool
plain(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c <= 0x20 || c == '"' || c == '=' || c == '\\' ||
		    c >= 0x7f)
			return false;
	}
	return s.n > 0;
}

static void
put_number(struct line *l, uint64_t v, bool minus)
{
	char  digits[24], *end = digits + sizeof digits, *p = end;

	do
		*--p = (char)('0' + v % 10);
	while ((v /= 10) > 0);
	if (minus)
		*--p = '-';
	put(l, (struct slice){ p, (size_t)(end - p) });
}

static void
put_value(struct line *l, const struct kv *v)
{
	switch (v->type) {
	case KV_TEXT:
		if (!out.json && v->text.n < LINE_MAX_BYTES / 2 &&
		    plain(v->text))
			put(l, v->text);
		else
			put_quoted(l, v->text);
		return;
	case KV_BOOL:
		put(l, v->u ? SLICE("true") : SLICE("false"));
		return;
	case KV_INT:
		/* Not -v->i, which the least of them has none of. */
		put_number(l, v->i < 0 ? 0 - (uint64_t)v->i : (uint64_t)v->i,
		    v->i < 0);
		return;
	case KV_UINT:
		put_number(l, v->u, false);
		return;
	}
}

/* A pair whose value cannot even begin is left out whole. */
static void
put_pair(struct line *l, const struct kv *v)
{
	size_t from = l->n, value;

	put(l, out.json ? SLICE(",\"") : SLICE(" "));
	put(l, slice_of(v->key));
	put(l, out.json ? SLICE("\":") : SLICE("="));
	value = l->n;
	put_value(l, v);
	if (l->n == value)
		l->n = from;
}

static void
put_time(struct line *l)
{
	struct timespec ts;
	struct tm       tm;
	unsigned        ms;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (ts.tv_sec != out.second) {
		gmtime_r(&ts.tv_sec, &tm);
		strftime(out.when, sizeof out.when, "%Y-%m-%dT%H:%M:%S", &tm);
		out.second = ts.tv_sec;
	}
	ms = (unsigned)(ts.tv_nsec / 1000000);
	put(l, slice_of(out.when));
	put(l, (struct slice){ (const char[]){ '.', (char)('0' + ms / 100),
	    (char)('0' + ms / 10 % 10), (char)('0' + ms % 10), 'Z' }, 5 });
}

static void
put_head(struct line *l, enum log_level level, const char *name)
{
	const bool json = out.json;

	if (json)
		put(l, SLICE("{\"time\":\""));
	put_time(l);
	put(l, json ? SLICE("\",\"level\":\"") : SLICE(" "));
	put(l, slice_of(names[level]));
	if (!json && (level == LOG_WARN || level == LOG_INFO))
		put(l, SLICE(" ")); /* as wide as the others */
	put(l, json ? SLICE("\",\"program\":\"") : SLICE(" "));
	put(l, slice_of(out.program));
	put(l, json ? SLICE("\",\"pid\":") : SLICE("["));
	put_number(l, (uint64_t)getpid(), false);
	put(l, json ? SLICE(",\"event\":\"") : SLICE("] "));
	put(l, slice_of(name));
	if (json)
		put(l, SLICE("\""));
}

/* Of the room kept back. */
static void
put_ending(struct line *l)
{
	struct slice cut = !l->cut ? SLICE("")
	    : out.json             ? SLICE(",\"cut\":true")
	                           : SLICE(" ...");
	struct slice end = out.json ? SLICE("}\n") : SLICE("\n");

	memcpy(l->b + l->n, cut.p, cut.n);
	memcpy(l->b + l->n + cut.n, end.p, end.n);
	l->n += cut.n + end.n;
}

void
log_flush(void)
{
	/* a log that cannot be written cannot be complained of */
	if (out.held > 0)
		(void)!write(STDERR_FILENO, out.lines, out.held);
	out.held = 0;
}

void
log_hold(bool hold)
{
	log_flush();
	out.hold = hold;
}

static void
put_out(const struct line *l)
{
	if (out.held + l->n > sizeof out.lines)
		log_flush();
	memcpy(out.lines + out.held, l->b, l->n);
	out.held += l->n;
}

void
log_write(enum log_level level, const char *name, const struct kv *kv)
{
	struct line l;

	l.n = 0;
	l.cut = false;
	put_head(&l, level, name);
	for (; kv->key != NULL && !l.cut; kv++)
		put_pair(&l, kv);
	put_ending(&l);
	put_out(&l);
	if (!out.hold || level <= LOG_WARN)
		log_flush();
}
