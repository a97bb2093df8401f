/*
 * Two rings.
 */
#include "capsule.h"

#include <string.h>

#include "json.h"

enum { ROOM = 1024, VALUE_MAX = ROOM - CAPSULE_FRAME };

void
capsule_open(struct capsule *c, struct slice hidden)
{
	c->nframes = c->nwords = 0;
	c->hidden = hidden;
}

/* Every place where the value is; what is left of a long one counts as it. */
static size_t
cover(char *text, size_t n, struct slice value)
{
	char *at = text;

	if (value.n > VALUE_MAX)
		value.n = VALUE_MAX;
	if (value.n < CAPSULE_HIDDEN_MIN)
		return n;
	while ((at = memmem(at, n - (size_t)(at - text), value.p, value.n)) !=
	    NULL) {
		char *rest = at + value.n;

		memmove(at + 3, rest, n - (size_t)(rest - text));
		memcpy(at, "***", 3);
		n -= value.n - 3;
		at += 3;
	}
	return n;
}

static size_t
cover_all(const struct capsule *c, char *text, size_t n)
{
	struct slice rest = c->hidden;

	while (rest.n > 0) {
		size_t      len = strnlen(rest.p, rest.n);
		const char *eq = memchr(rest.p, '=', len);

		if (eq != NULL)
			n = cover(text, n, (struct slice){ eq + 1,
			    len - (size_t)(eq + 1 - rest.p) });
		rest = slice_from(rest, len + 1);
	}
	return n;
}

/* Bytes of the character that it begins with; 0: none that can be shown. */
static size_t
character(struct slice s)
{
	for (size_t n = 1; n <= 4 && n <= s.n; n++)
		if (slice_utf8((struct slice){ s.p, n }) == n)
			return n == 1 && ((unsigned char)s.p[0] < 0x20 ||
			    s.p[0] == 0x7f) ? 0 : n;
	return 0;
}

/* More than is kept is looked at, so that a secret is found that is cut. */
static void
keep(const struct capsule *c, struct capsule_line *l, char *to, size_t max,
    struct slice line)
{
	char   text[ROOM];
	size_t n = line.n < sizeof text ? line.n : sizeof text;

	if (n > 0)
		memcpy(text, line.p, n);
	n = cover_all(c, text, n);
	l->cut = n > max || line.n > sizeof text;
	l->n = 0;
	for (size_t at = 0; at < n && l->n < max;) {
		struct slice rest = { text + at, n - at };
		size_t       good = character(rest);

		if (l->n + (good > 0 ? good : 1) > max)
			break;
		if (good > 0)
			memcpy(to + l->n, text + at, good);
		else
			to[l->n] = '?';
		l->n += (uint16_t)(good > 0 ? good : 1);
		at += good > 0 ? good : 1;
	}
}

void
capsule_frame(struct capsule *c, bool from, struct slice line, uint64_t now_ms)
{
	size_t i = c->nframes++ % CAPSULE_FRAMES;

	c->frames[i].line.at_ms = now_ms;
	c->frames[i].line.from = from;
	keep(c, &c->frames[i].line, c->frames[i].text, CAPSULE_FRAME, line);
}

void
capsule_words(struct capsule *c, struct slice line, uint64_t now_ms)
{
	size_t i = c->nwords++ % CAPSULE_WORDS;

	c->words[i].line.at_ms = now_ms;
	keep(c, &c->words[i].line, c->words[i].text, CAPSULE_WORD, line);
}

static struct json *
line_json(const struct capsule_line *l, const char *text, uint64_t since_ms)
{
	struct json *o = json_new_object();

	json_put_int(o, "ms", (int64_t)(l->at_ms - since_ms));
	json_put_text(o, "text", (struct slice){ text, l->n });
	if (l->cut)
		json_put_bool(o, "cut", true);
	return o;
}

static size_t
first_of(size_t n, size_t kept)
{
	return n > kept ? n - kept : 0;
}

enum err
capsule_write(const struct capsule *c, const char *end, uint64_t since_ms,
    struct buf *out)
{
	struct json *o = json_new_object();
	struct json *frames = json_new_array(), *words = json_new_array();

	for (size_t i = first_of(c->nframes, CAPSULE_FRAMES); i < c->nframes;
	     i++) {
		size_t       at = i % CAPSULE_FRAMES;
		struct json *l = line_json(&c->frames[at].line,
		    c->frames[at].text, since_ms);

		json_put_bool(l, "from", c->frames[at].line.from);
		json_push_take(frames, l);
	}
	for (size_t i = first_of(c->nwords, CAPSULE_WORDS); i < c->nwords; i++)
		json_push_take(words, line_json(&c->words[i % CAPSULE_WORDS].line,
		    c->words[i % CAPSULE_WORDS].text, since_ms));
	json_put_text(o, "end", slice_of(end));
	json_put_take(o, "frames", frames);
	json_put_take(o, "stderr", words);
	json_write(o, out);
	json_free(&o);
	return out->failed ? ERR_NOMEM : ERR_OK;
}
