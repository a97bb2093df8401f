/*
 * Stand-ins by HMAC, and the walk through an event that puts them in.
 */
#include "scrub.h"

#include <sys/random.h>

#include <stdio.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "json.h"

enum {
	STAND_IN = 16,      /* bytes of one, of which nobody finds two alike */
	DIGITS_MIN = 5,     /* so many in a text may be a number of somebody */
	ID_DIGITS = 15,     /* and so many are an id, as elsewhere */
	ID_MIN = 16,        /* letters and digits in one word */
	MENTION_MAX = 64
};

enum how { KEEP, ID, NAME, TEXT, URL, CONV, EVENT };

static const struct {
	const char *key;
	enum how    how;
} rules[] = {
#define SCRUB(key, how) { key, how },
#include "scrub.def"
#undef SCRUB
};

enum err
scrub_open(struct scrub *s, bool drop_texts)
{
	*s = (struct scrub){ .drop_texts = drop_texts };
	return getrandom(s->key, sizeof s->key, 0) == sizeof s->key
	    ? ERR_OK
	    : ERR_SYSTEM;
}

void
scrub_close(struct scrub *s)
{
	explicit_bzero(s->key, sizeof s->key);
}

/* --- stand-ins ---------------------------------------------------------------- */

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static size_t
digits_of(struct slice s)
{
	size_t n = 0;

	while (n < s.n && is_digit(s.p[n]))
		n++;
	return n;
}

/* What: of which kind, so that a name and an id that are written alike have
 * not the same one. */
static void
hash(const struct scrub *s, char what, struct slice v,
    unsigned char out[STAND_IN], struct buf *to)
{
	unsigned char full[EVP_MAX_MD_SIZE];
	unsigned      n = 0;
	struct buf    b = { 0 };

	buf_put(&b, (struct slice){ &what, 1 });
	buf_put(&b, v);
	if (b.failed || HMAC(EVP_sha256(), s->key, sizeof s->key,
	                    (const unsigned char *)b.p, b.n, full, &n) == NULL)
		to->failed = true;
	else
		memcpy(out, full, STAND_IN);
	buf_free(&b);
}

static void
put_hex(struct buf *out, const unsigned char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_putf(out, "%02X", bytes[i]);
}

static uint64_t
number_of(const unsigned char h[STAND_IN])
{
	uint64_t v = 0;

	for (size_t i = 0; i < 8; i++)
		v = v << 8 | h[i];
	return v;
}

/* A number as long as it was. */
static void
put_digits(const struct scrub *s, struct slice v, struct buf *out)
{
	unsigned char h[STAND_IN] = { 0 };
	uint64_t      n;

	hash(s, 'd', v, h, out);
	n = number_of(h);
	buf_putf(out, "%u", (unsigned)(1 + n % 9));
	for (size_t i = 1; i < v.n; i++, n /= 10)
		buf_putf(out, "%u", (unsigned)(n / 9 % 10));
}

/* An id of digits stays one, within 63 bits; of another nothing is known. */
static void
put_id(const struct scrub *s, struct slice v, struct buf *out)
{
	unsigned char h[STAND_IN] = { 0 };

	hash(s, 'i', v, h, out);
	if (digits_of(v) == v.n)
		buf_putf(out, "%llu", (unsigned long long)(number_of(h) %
		    900000000000000000u + 100000000000000000u));
	else
		put_hex(out, h, STAND_IN);
}

/* GUILD_MEMBER_ADD:..., the form of the platform's event ids. */
static size_t
kind_of(struct slice v)
{
	size_t n = 0;

	while (n < v.n && ((v.p[n] >= 'A' && v.p[n] <= 'Z') || v.p[n] == '_' ||
	                      v.p[n] == '2'))
		n++;
	return n > 0 && n < v.n && v.p[n] == ':' ? n + 1 : 0;
}

void
scrub_id(const struct scrub *s, struct slice v, struct buf *out)
{
	size_t n = kind_of(v);

	buf_put(out, (struct slice){ v.p, n });
	v = slice_from(v, n);
	/* A role 4 or an emoji 128 is nobody's. */
	if (v.n == 0 || (digits_of(v) == v.n && v.n < DIGITS_MIN))
		buf_put(out, v);
	else
		put_id(s, v, out);
}

/* u:ID */
static void
put_conv(const struct scrub *s, struct slice v, struct buf *out)
{
	size_t n = v.n > 2 && v.p[1] == ':' ? 2 : 0;

	buf_put(out, (struct slice){ v.p, n });
	scrub_id(s, slice_from(v, n), out);
}

/* m:MESSAGE@BOT/u:ID; elsewhere an id is an id. */
static void
put_event(const struct scrub *s, struct slice v, struct buf *out)
{
	const char *at = v.n > 0 ? memrchr(v.p, '@', v.n) : NULL;
	const char *slash = at == NULL ? NULL
	    : memchr(at, '/', v.n - (size_t)(at - v.p));

	if (slash == NULL) {
		put_conv(s, v, out);
		return;
	}
	put_conv(s, (struct slice){ v.p, (size_t)(at - v.p) }, out);
	buf_put(out, (struct slice){ at, (size_t)(slash + 1 - at) });
	put_conv(s, slice_from(v, (size_t)(slash + 1 - v.p)), out);
}

/* file: its kind is kept. */
static void
put_name(const struct scrub *s, struct slice v, bool file, struct buf *out)
{
	unsigned char h[STAND_IN] = { 0 };
	const char   *dot = file && v.n > 0 ? memrchr(v.p, '.', v.n) : NULL;
	size_t        end = dot != NULL ? v.n - (size_t)(dot - v.p) : 0;

	if (v.n == 0)
		return;
	hash(s, 'n', v, h, out);
	buf_puts(out, "name-");
	put_hex(out, h, 4);
	if (end > 1 && end <= 5)
		buf_put(out, (struct slice){ dot, end });
}

/* --- texts ----------------------------------------------------------------------- */

/* A word of letters and digits: an id as a whole, or some of its digits. */
static void
put_word(const struct scrub *s, struct slice w, struct buf *out)
{
	size_t digits = 0;

	for (size_t i = 0; i < w.n; i++)
		digits += is_digit(w.p[i]);
	if (w.n >= ID_MIN && digits > 0 && digits < w.n) {
		put_id(s, w, out);
		return;
	}
	while (w.n > 0) {
		size_t       n = digits_of(w);
		struct slice run = { w.p, n > 0 ? n : 1 };

		if (n >= ID_DIGITS)
			put_id(s, run, out);
		else if (n >= DIGITS_MIN)
			put_digits(s, run, out);
		else
			buf_put(out, run);
		w = slice_from(w, run.n);
	}
}

static size_t
word_of(struct slice s)
{
	size_t n = 0;

	while (n < s.n && (is_digit(s.p[n]) || is_letter(s.p[n])))
		n++;
	return n;
}

/* <@ID>, <@!ID>, <#ID> at the beginning: how much of it there is. */
static size_t
put_mention(const struct scrub *s, struct slice t, struct buf *out)
{
	size_t from = t.n > 2 && t.p[1] == '@' && t.p[2] == '!' ? 3 : 2;
	size_t end = from;

	if (t.n < 4 || t.p[0] != '<' || (t.p[1] != '@' && t.p[1] != '#'))
		return 0;
	while (end < t.n && end < MENTION_MAX && t.p[end] != '>' &&
	    t.p[end] != ' ')
		end++;
	if (end == from || end >= t.n || t.p[end] != '>')
		return 0;
	buf_put(out, (struct slice){ t.p, from });
	if (slice_is((struct slice){ t.p + from, end - from }, "everyone"))
		buf_puts(out, "everyone");
	else
		put_id(s, (struct slice){ t.p + from, end - from }, out);
	buf_puts(out, ">");
	return end + 1;
}

/* @NAME of somebody whom the event names. */
static size_t
put_named(const struct scrub *s, const struct json *event, struct slice t,
    struct buf *out)
{
	const struct json *list = json_get(event, "mentions");
	struct slice       rest = slice_from(t, 1), best = { NULL, 0 };

	for (size_t i = 0; i <= json_count(list); i++) {
		struct slice name = json_text_at(i < json_count(list)
		        ? json_at(list, i) : event, "name");

		if (name.n > best.n && slice_starts(rest, name))
			best = name;
	}
	if (t.p[0] != '@' || best.n == 0)
		return 0;
	buf_puts(out, "@");
	put_name(s, best, false, out);
	return 1 + best.n;
}

static void
put_text(const struct scrub *s, const struct json *event, struct slice t,
    struct buf *out)
{
	while (t.n > 0) {
		size_t n = word_of(t);

		if (n > 0) {
			put_word(s, (struct slice){ t.p, n }, out);
		} else if ((n = put_mention(s, t, out)) == 0 &&
		    (n = put_named(s, event, t, out)) == 0) {
			n = 1;
			buf_put(out, (struct slice){ t.p, 1 });
		}
		t = slice_from(t, n);
	}
}

void
scrub_text(const struct scrub *s, struct slice t, struct buf *out)
{
	put_text(s, NULL, t, out);
}

void
scrub_url(const struct scrub *s, struct slice v, struct buf *out)
{
	size_t n = 0;

	while (n < v.n && v.p[n] != '?' && v.p[n] != '#')
		n++;
	put_text(s, NULL, (struct slice){ v.p, n }, out);
}

/* --- the walk ------------------------------------------------------------------------ */

struct walk {
	const struct scrub *s;
	const struct json  *event;
	struct json        *to;
	const char         *key;    /* whose value this is within */
	bool                top, file;
	bool               *failed;
};

static struct json *copy(const struct walk *, enum how, const struct json *);

static enum how
how_of(const struct walk *w, const char *key)
{
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
		if (strcmp(rules[i].key, key) == 0)
			return rules[i].how == EVENT && !w->top ? ID
			                                        : rules[i].how;
	return ID;
}

static void
copy_member(void *self, const char *key, const struct json *v)
{
	struct walk *w = self;
	struct walk  in = *w;

	in.top = false;
	in.file = strcmp(key, "attachments") == 0 ||
	    (w->file && !json_is_object(v));
	json_put_take(w->to, key, copy(&in, how_of(w, key), v));
}

static struct json *
copy_object(const struct walk *w, const struct json *v)
{
	struct walk in = *w;

	in.to = json_new_object();
	json_each(v, copy_member, &in);
	return in.to;
}

static struct json *
copy_list(const struct walk *w, enum how how, const struct json *v)
{
	struct json *to = json_new_array();

	for (size_t i = 0; i < json_count(v); i++)
		json_push_take(to, copy(w, how, json_at(v, i)));
	return to;
}

/* Values have makers as members of something. */
static struct json *
text_value(struct slice text)
{
	struct json *o = json_new_object(), *v;

	json_put_text(o, "v", text.n > 0 ? text : SLICE(""));
	v = json_share(json_get(o, "v"));
	json_free(&o);
	return v;
}

static struct json *
number_value(int64_t n)
{
	struct json *o = json_new_object(), *v;

	json_put_int(o, "v", n);
	v = json_share(json_get(o, "v"));
	json_free(&o);
	return v;
}

/* Posts are JSON in a text. */
static bool
copy_inner(const struct walk *w, struct slice text, struct buf *out)
{
	struct json *doc = NULL, *to;

	if (text.n == 0 || (text.p[0] != '{' && text.p[0] != '[') ||
	    json_parse(&doc, text) != ERR_OK)
		return false;
	to = copy(w, ID, doc);
	json_write(to, out);
	json_free(&to);
	json_free(&doc);
	return true;
}

static struct json *
copy_text(const struct walk *w, enum how how, struct slice v)
{
	struct buf   out = { 0 };
	struct json *to;

	if (how == TEXT && w->s->drop_texts)
		return text_value(SLICE(""));
	switch (how) {
	case KEEP:
		buf_put(&out, v);
		break;
	case ID:
		scrub_id(w->s, v, &out);
		break;
	case NAME:
		put_name(w->s, v, w->file, &out);
		break;
	case TEXT:
		if (!copy_inner(w, v, &out))
			put_text(w->s, w->event, v, &out);
		break;
	case URL:
		scrub_url(w->s, v, &out);
		break;
	case CONV:
		put_conv(w->s, v, &out);
		break;
	case EVENT:
		put_event(w->s, v, &out);
		break;
	}
	*w->failed |= out.failed;
	to = text_value(buf_slice(&out));
	buf_free(&out);
	return to;
}

static struct json *
copy(const struct walk *w, enum how how, const struct json *v)
{
	unsigned long long n;
	struct buf         digits = { 0 };
	struct json       *to = NULL;

	if (json_is_object(v))
		return copy_object(w, v);
	if (json_is_array(v))
		return copy_list(w, how, v);
	if (json_is_string(v))
		return copy_text(w, how, json_text(v));
	if (!json_is_number(v) || how == KEEP || json_text(v).n < DIGITS_MIN)
		return json_share(v);
	/* A large number may be somebody's. */
	scrub_id(w->s, json_text(v), &digits);
	if (slice_u64(buf_slice(&digits), &n) && n <= INT64_MAX)
		to = number_value((int64_t)n);
	else if (digits_of(json_text(v)) != json_text(v).n)
		to = number_value(0);   /* neither whole nor positive */
	buf_free(&digits);
	return to != NULL ? to : json_share(v);
}

enum err
scrub_event(const struct scrub *s, struct slice line, struct buf *out)
{
	struct json *doc = NULL, *to;
	bool         failed = false;
	struct walk  w = { .s = s, .top = true, .failed = &failed };
	enum err     e;

	if ((e = json_parse(&doc, line)) != ERR_OK)
		return e;
	if (!json_is_object(doc)) {
		json_free(&doc);
		return ERR_SYNTAX;
	}
	w.event = doc;
	to = copy_object(&w, doc);
	failed |= to == NULL;
	json_write(to, out);
	buf_puts(out, "\n");
	json_free(&to);
	json_free(&doc);
	return failed || out->failed ? ERR_NOMEM : ERR_OK;
}
