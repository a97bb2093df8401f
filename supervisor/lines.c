/*
 * Framing, rate and memory of a child's words.
 */
#include "lines.h"

#include <stdlib.h>

void
lines_open(struct lines *l, uint64_t now_ms)
{
	memset(l, 0, sizeof *l);
	l->allowance = LINES_BURST_BYTES;
	l->filled_ms = now_ms;
}

void
lines_close(struct lines *l)
{
	buf_free(&l->partial);
	free(l->bytes);
	memset(l, 0, sizeof *l);
}

/* --- the last lines ----------------------------------------------------- */

static const struct lines_kept *
oldest(const struct lines *l)
{
	return &l->kept[l->first];
}

static void
forget_oldest(struct lines *l)
{
	l->first = (l->first + 1) % LINES_KEPT;
	l->count--;
}

/* Drops what lies in [from, to); the oldest lies first behind the head. */
static void
make_room(struct lines *l, size_t from, size_t to)
{
	while (l->count > 0 && oldest(l)->at < to &&
	    oldest(l)->at + oldest(l)->n > from)
		forget_oldest(l);
}

void
lines_keep(struct lines *l, struct slice line, uint64_t number)
{
	struct lines_kept *k;

	if (l->bytes == NULL &&
	    (l->bytes = malloc(LINES_KEPT_BYTES)) == NULL)
		return;
	if (l->head + line.n > LINES_KEPT_BYTES) {
		make_room(l, l->head, LINES_KEPT_BYTES);
		l->head = 0;
	}
	make_room(l, l->head, l->head + line.n);
	if (l->count == LINES_KEPT)
		forget_oldest(l);
	k = &l->kept[(l->first + l->count++) % LINES_KEPT];
	*k = (struct lines_kept){ (uint32_t)l->head, (uint32_t)line.n,
		number };
	if (line.n > 0)
		memcpy(l->bytes + l->head, line.p, line.n);
	l->head += line.n;
}

bool
lines_from_end(const struct lines *l, size_t i, struct slice *line,
    uint64_t *number)
{
	const struct lines_kept *k;

	if (i >= l->count)
		return false;
	k = &l->kept[(l->first + l->count - 1 - i) % LINES_KEPT];
	*line = (struct slice){ l->bytes + k->at, k->n };
	*number = k->number;
	return true;
}

void
lines_last(const struct lines *l, size_t n, lines_fn *fn, void *self)
{
	struct slice line;
	uint64_t     number;

	for (size_t i = n < l->count ? n : l->count; i-- > 0;)
		if (lines_from_end(l, i, &line, &number))
			fn(self, line, number);
}

/* --- rate --------------------------------------------------------------- */

static bool
allowed(struct lines *l, size_t bytes, uint64_t now_ms)
{
	uint64_t gained = (now_ms - l->filled_ms) * LINES_RATE_BYTES_S / 1000;

	if (gained > 0) {
		l->allowance += gained;
		l->filled_ms = now_ms;
	}
	if (l->allowance > LINES_BURST_BYTES)
		l->allowance = LINES_BURST_BYTES;
	if (l->allowance < bytes + 1)
		return false;
	l->allowance -= bytes + 1;
	return true;
}

uint64_t
lines_newly_dropped(struct lines *l)
{
	uint64_t n = l->dropped - l->dropped_told;

	l->dropped_told = l->dropped;
	return n;
}

/* --- framing ------------------------------------------------------------ */

/* Length of the UTF-8 sequence at p, 0 when there is none. */
static size_t
sequence(const unsigned char *p, size_t n)
{
	size_t want = p[0] < 0x80 ? 1
	    : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
	    : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
	    : p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : 0;

	if (want == 0 || want > n)
		return 0;
	for (size_t i = 1; i < want; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return want;
}

/* Words of a child must not steer a terminal, nor spoil the JSON that quotes
 * them. */
void
lines_clean(char *text, size_t n)
{
	unsigned char *p = (unsigned char *)text;

	for (size_t i = 0, len; i < n; i += len) {
		bool control = (p[i] < 0x20 && p[i] != '\t') || p[i] == 0x7f;

		len = sequence(p + i, n - i);
		/* C1 controls are two bytes in UTF-8 */
		control = control || (len == 2 && p[i] == 0xc2 &&
		    p[i + 1] < 0xa0);
		if (len == 0 || control) {
			len = len > 0 ? len : 1;
			memset(p + i, '?', len);
		}
	}
}

static void
finish(struct lines *l, uint64_t now_ms, uint64_t *number, lines_fn *fn,
    void *self)
{
	struct slice line = buf_slice(&l->partial);

	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	if (allowed(l, line.n, now_ms)) {
		lines_clean(l->partial.p, line.n);
		++*number;
		lines_keep(l, line, *number);
		fn(self, line, *number);
	} else {
		l->dropped++;
	}
	buf_reset(&l->partial);
}

void
lines_feed(struct lines *l, struct slice bytes, uint64_t now_ms,
    uint64_t *number, lines_fn *fn, void *self)
{
	while (bytes.n > 0) {
		const char *nl = memchr(bytes.p, '\n', bytes.n);
		size_t      n = nl != NULL ? (size_t)(nl - bytes.p) : bytes.n;
		size_t      room = LINES_LINE_MAX - l->partial.n;
		bool        whole = nl != NULL && n <= room;

		if (n > room)
			n = room;
		buf_put(&l->partial, (struct slice){ bytes.p, n });
		if (l->partial.failed) {
			l->dropped++;
			buf_reset(&l->partial);
		} else if (whole || l->partial.n == LINES_LINE_MAX) {
			finish(l, now_ms, number, fn, self);
		}
		bytes = slice_from(bytes, n + whole);
	}
}

void
lines_end(struct lines *l, uint64_t now_ms, uint64_t *number, lines_fn *fn,
    void *self)
{
	if (l->partial.n > 0)
		finish(l, now_ms, number, fn, self);
}

/* --- whose line --------------------------------------------------------- */

/* 2025-01-31T12:00:00.000Z, a 0 standing for any digit. */
static bool
is_time(struct slice s)
{
	static const char form[] = "0000-00-00T00:00:00.000Z ";

	if (s.n < sizeof form - 1)
		return false;
	for (size_t i = 0; i < sizeof form - 1; i++)
		if (form[i] == '0' ? s.p[i] < '0' || s.p[i] > '9'
		                   : s.p[i] != form[i])
			return false;
	return true;
}

bool
lines_is_log(struct slice line)
{
	return is_time(line) || slice_starts(line, SLICE("{\"time\":\""));
}
