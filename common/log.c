/*
 * Formats one line in a fixed buffer and writes it with one write(2), so
 * lines of several processes sharing a pipe never mix.  What does not fit is
 * cut, and the line says so.
 */
#include "log.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 2048 };

static const char *const names[] = { "error", "warn", "info", "debug" };

/* The one piece of process-wide state: where the process's words go. */
static struct {
	const char    *program;
	enum log_level level;
	bool           json;
} out = { "rookery", LOG_INFO, false };

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

static void
put(struct line *l, struct slice s)
{
	size_t room = sizeof l->b - 16 - l->n;

	if (s.n > room) {
		l->cut = true;
		s.n = room;
	}
	if (s.n > 0)
		memcpy(l->b + l->n, s.p, s.n);
	l->n += s.n;
}

/* Quotes, backslashes and control bytes escaped as in JSON, in both forms. */
static void
put_quoted(struct line *l, struct slice s)
{
	char esc[8];

	put(l, SLICE("\""));
	for (size_t i = 0; i < s.n && !l->cut; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '"' || c == '\\')
			put(l, (struct slice){ esc,
			    (size_t)snprintf(esc, sizeof esc, "\\%c", c) });
		else if (c < 0x20 || c == 0x7f)
			put(l, (struct slice){ esc,
			    (size_t)snprintf(esc, sizeof esc, "\\u%04x", c) });
		else
			put(l, (struct slice){ s.p + i, 1 });
	}
	put(l, SLICE("\""));
}

static bool
plain(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c <= 0x20 || c == '"' || c == '=' || c == '\\' ||
		    c == 0x7f)
			return false;
	}
	return s.n > 0;
}

static void
put_value(struct line *l, const struct kv *v)
{
	char num[24];
	int  n = 0;

	switch (v->type) {
	case KV_TEXT:
		if (!out.json && plain(v->text))
			put(l, v->text);
		else
			put_quoted(l, v->text);
		return;
	case KV_BOOL:
		put(l, v->u ? SLICE("true") : SLICE("false"));
		return;
	case KV_INT:
		n = snprintf(num, sizeof num, "%lld", (long long)v->i);
		break;
	case KV_UINT:
		n = snprintf(num, sizeof num, "%llu", (unsigned long long)v->u);
		break;
	}
	put(l, (struct slice){ num, (size_t)n });
}

static void
put_pair(struct line *l, const struct kv *v)
{
	put(l, out.json ? SLICE(",\"") : SLICE(" "));
	put(l, slice_of(v->key));
	put(l, out.json ? SLICE("\":") : SLICE("="));
	put_value(l, v);
}

static void
put_head(struct line *l, enum log_level level, const char *name)
{
	struct timespec ts;
	struct tm       tm;
	char            when[40], head[160];
	int             n;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
	n = snprintf(head, sizeof head,
	    out.json
	        ? "{\"time\":\"%s.%03ldZ\",\"level\":\"%s\",\"program\":\"%s\","
	          "\"pid\":%d,\"event\":\"%s\""
	        : "%s.%03ldZ %-5s %s[%d] %s",
	    when, ts.tv_nsec / 1000000, names[level], out.program,
	    (int)getpid(), name);
	put(l, (struct slice){ head, n > 0 ? (size_t)n : 0 });
}

void
log_write(enum log_level level, const char *name, const struct kv *kv)
{
	struct line l;
	ssize_t     ignored;

	l.n = 0;
	l.cut = false;
	put_head(&l, level, name);
	for (; kv->key != NULL && !l.cut; kv++)
		put_pair(&l, kv);
	/* put() keeps 16 bytes back for this end. */
	if (l.cut && !out.json) {
		memcpy(l.b + l.n, "...", 3);
		l.n += 3;
	} else if (out.json) {
		if (l.cut)
			l.b[l.n++] = '"';
		l.b[l.n++] = '}';
	}
	l.b[l.n++] = '\n';
	ignored = write(STDERR_FILENO, l.b, l.n);
	(void)ignored; /* a log that cannot be written cannot be complained of */
}
