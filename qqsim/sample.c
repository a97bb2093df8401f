/*
 * Samples: a walk over the parsed table that copies, and replaces on the way.
 */
#include "sample.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const struct {
	const char *type;
	enum scope  scope;
	const char *d;
} table[SAMPLES] = {
#define SAMPLE(type, scope, ...) { #type, SCOPE_##scope, #__VA_ARGS__ },
#include "samples.def"
#undef SAMPLE
};

static const struct {
	const char *name, *meaning;
} odds[ODDS] = {
#define ODD(name, meaning) { #name, meaning },
#include "odds.def"
#undef ODD
};

bool
odd_of(struct slice name, enum odd *out)
{
	for (unsigned i = 0; i < ODDS; i++)
		if (slice_is(name, odds[i].name)) {
			*out = (enum odd)i;
			return true;
		}
	return false;
}

const char *
odd_name(enum odd o)
{
	return odds[o].name;
}

const char *
odd_meaning(enum odd o)
{
	return odds[o].meaning;
}

void
samples_close(struct samples *s)
{
	for (size_t i = 0; i < SAMPLES; i++)
		json_free(&s->of[i]);
}

void
sample_index(char *out, size_t size, struct slice message)
{
	static const char prefix[] = "ROBOT1.0_";

	if (slice_starts(message, slice_of(prefix)))
		message = slice_from(message, sizeof prefix - 1);
	snprintf(out, size, "REFIDX_%.*s", (int)message.n,
	    message.n > 0 ? message.p : "");
}

/* --- words -------------------------------------------------------------- */

/* What a value is to be: a string, or (text empty) a number. */
struct value {
	struct buf text;
	bool       number;
	int64_t    n;
};

static bool
is_odd(const struct sample_words *w, enum odd o)
{
	return (w->odd & 1u << o) != 0;
}

/* Guild text arrives with &, < and > escaped. */
static void
escape(struct buf *out, struct slice text)
{
	for (size_t i = 0; i < text.n; i++)
		switch (text.p[i]) {
		case '&':
			buf_puts(out, "&amp;");
			break;
		case '<':
			buf_puts(out, "&lt;");
			break;
		case '>':
			buf_puts(out, "&gt;");
			break;
		default:
			buf_put(out, (struct slice){ text.p + i, 1 });
		}
}

static void
set_number(struct value *v, int64_t n)
{
	v->number = true;
	v->n = n;
}

static void
put_time(struct value *v, const struct sample_words *w, bool number)
{
	time_t    at = (time_t)w->seconds + 8 * 3600;
	struct tm tm;
	char      text[40];

	if (is_odd(w, ODD_time_go)) {
		gmtime_r(&at, &tm);
		strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
		buf_putf(&v->text, "%s.1 +0800 CST m=+12.0", text);
	} else if (is_odd(w, ODD_time_text)) {
		buf_putf(&v->text, "%lld", (long long)w->seconds);
	} else if (number != is_odd(w, ODD_time_swap)) {
		set_number(v, w->seconds);
	} else {
		buf_put(&v->text, w->time);
	}
}

static void
put_rich(struct value *v, const struct sample_words *w)
{
	struct json *j = json_new_array(), *part = json_new_object();
	struct json *info = json_new_object();

	json_put_text(info, "text", w->text);
	json_put_int(part, "type", 1);
	json_put_take(part, "text_info", info);
	json_push_take(j, part);
	json_write(j, &v->text);
	json_free(&j);
}

static bool
simple_word(struct slice name, const struct sample_words *w,
    struct slice *out)
{
	static const struct {
		const char *name;
		size_t      at;
	} words[] = {
#define WORD(name) { "$" #name, offsetof(struct sample_words, name) }
		WORD(app), WORD(bot), WORD(botname), WORD(user), WORD(person),
		WORD(group), WORD(channel), WORD(guild), WORD(dm), WORD(name),
		WORD(role), WORD(grouprole), WORD(text), WORD(button),
		WORD(message), WORD(emoji), WORD(id),
#undef WORD
	};

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (slice_is(name, words[i].name)) {
			memcpy(out, (const char *)w + words[i].at,
			    sizeof *out);
			return true;
		}
	return false;
}

/* Ids that nobody gives: a prefix and the serial, or always the same. */
static bool
made_word(struct slice name, const struct sample_words *w, struct value *v)
{
	static const struct {
		const char *name, *text;
		bool        serial;
	} made[] = {
		{ "$union", "4E5F60718293A4B5C6D7E8F10A1B2C3D", false },
		{ "$dmchannel", "1880000000000001", false },
		{ "$srcguild", "4700000000000000001", false },
		{ "$request", "jr-", true }, { "$audit", "audit-", true },
		{ "$subscription", "sub-", true },
	};

	for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) {
		if (!slice_is(name, made[i].name))
			continue;
		buf_puts(&v->text, made[i].text);
		if (made[i].serial)
			buf_put(&v->text, w->serial);
		return true;
	}
	return false;
}

static void
put_word(struct slice name, const struct sample_words *w, struct value *v)
{
	struct slice text;
	char         index[600];

	if (simple_word(name, w, &text)) {
		buf_put(&v->text, text);
	} else if (slice_is(name, "$time")) {
		put_time(v, w, false);
	} else if (slice_is(name, "$seconds")) {
		put_time(v, w, true);
	} else if (slice_is(name, "$escaped")) {
		escape(&v->text, w->text);
	} else if (slice_is(name, "$called")) {
		buf_putf(&v->text, "<@!%.*s> ", (int)w->bot.n, w->bot.p);
		escape(&v->text, w->text);
	} else if (slice_is(name, "$mentioned")) {
		/* The mention is cut out of the text; a blank is left. */
		buf_puts(&v->text, " ");
		buf_put(&v->text, w->text);
	} else if (slice_is(name, "$index")) {
		sample_index(index, sizeof index, w->id);
		buf_putf(&v->text, "msg_idx=%s", index);
	} else if (slice_is(name, "$rich")) {
		put_rich(v, w);
	} else if (slice_is(name, "$emojitype")) {
		set_number(v, w->emojitype);
	} else if (slice_is(name, "$target")) {
		if (is_odd(w, ODD_named))
			buf_puts(&v->text, "ReactionTargetType_MSG");
		else
			set_number(v, 0);
	} else {
		made_word(name, w, v);
	}
}

/* --- the walk ----------------------------------------------------------- */

struct walk {
	const struct sample_words *words;
	struct json               *out;
};

static struct json *fill(const struct json *, const struct sample_words *);

static bool
ends_in(const char *key, const char *end)
{
	size_t n = strlen(key), m = strlen(end);

	return n >= m && strcmp(key + n - m, end) == 0;
}

/* An id made of digits that fits an integer. */
static bool
as_number(const char *key, struct slice text, int64_t *n)
{
	unsigned long long u;

	if (!ends_in(key, "id") || !slice_u64(text, &u) || u > INT64_MAX)
		return false;
	*n = (int64_t)u;
	return true;
}

static void
put_value(struct json *out, const char *key, const struct json *v,
    const struct sample_words *w)
{
	struct slice  name = json_text(v);
	struct value  value = { 0 };
	struct json  *array;
	int64_t       n;

	if (!json_is_string(v)) {
		if (is_odd(w, ODD_strings))
			json_put_text(out, key, name);
		else
			json_put_ref(out, key, v);
		return;
	}
	if (name.n > 0 && name.p[0] == '$') {
		put_word(name, w, &value);
		if (value.number && is_odd(w, ODD_strings)) {
			value.number = false;
			buf_putf(&value.text, "%lld", (long long)value.n);
		}
		if (slice_is(name, "$rich") && is_odd(w, ODD_arrays) &&
		    json_parse(&array, buf_slice(&value.text)) == ERR_OK) {
			json_put_take(out, key, array);
			goto out;
		}
		name = buf_slice(&value.text);
	}
	if (value.number)
		json_put_int(out, key, value.n);
	else if (is_odd(w, ODD_numbers) && as_number(key, name, &n))
		json_put_int(out, key, n);
	else
		json_put_text(out, key, name);
out:
	buf_free(&value.text);
}

static void
fill_member(void *self, const char *key, const struct json *v)
{
	struct walk *walk = self;
	char         name[40];
	bool         optional = ends_in(key, "?");

	snprintf(name, sizeof name, "%.*s",
	    (int)(strlen(key) - (optional ? 1 : 0)), key);
	if (optional && is_odd(walk->words, ODD_missing))
		return;
	if (optional && is_odd(walk->words, ODD_null))
		json_put_null(walk->out, name);
	else if (json_is_object(v) || json_is_array(v))
		json_put_take(walk->out, name, fill(v, walk->words));
	else
		put_value(walk->out, name, v, walk->words);
}

/* A word of an array is always a string. */
static void
push_word(struct json *array, struct slice name, const struct sample_words *w)
{
	struct value v = { 0 };

	put_word(name, w, &v);
	json_push_text(array, buf_slice(&v.text));
	buf_free(&v.text);
}

static struct json *
fill(const struct json *from, const struct sample_words *w)
{
	struct walk walk = { w, NULL };

	if (json_is_object(from)) {
		if ((walk.out = json_new_object()) != NULL)
			json_each(from, fill_member, &walk);
		return walk.out;
	}
	walk.out = json_new_array();
	for (size_t i = 0; i < json_count(from); i++) {
		const struct json *v = json_at(from, i);

		if (json_is_object(v) || json_is_array(v))
			json_push_take(walk.out, fill(v, w));
		else
			push_word(walk.out, json_text(v), w);
	}
	return walk.out;
}

static size_t
find(struct slice type, enum scope scope)
{
	size_t first = SAMPLES;

	for (size_t i = 0; i < SAMPLES; i++) {
		if (!slice_is(type, table[i].type))
			continue;
		if (table[i].scope == scope)
			return i;
		if (first == SAMPLES)
			first = i;
	}
	return first;
}

struct json *
sample_make(struct samples *s, struct slice type, enum scope scope,
    const struct sample_words *w)
{
	size_t       i = find(type, scope);
	struct json *d, *what;

	if (i == SAMPLES || (s->of[i] == NULL &&
	    json_parse(&s->of[i], slice_of(table[i].d)) != ERR_OK))
		return NULL;
	d = fill(s->of[i], w);
	if (d != NULL && is_odd(w, ODD_unknown)) {
		what = json_new_object();
		json_put_bool(what, "new", true);
		json_put_take(d, "unheard_of", what);
	}
	return d;
}

/* --- given members ------------------------------------------------------ */

static void
over_member(void *self, const char *key, const struct json *v)
{
	struct json *d = self, *old = json_get(d, key);

	if (v == NULL)
		json_put_null(d, key);
	else if (json_is_object(v) && json_is_object(old))
		sample_over(old, v);
	else
		json_put_ref(d, key, v);
}

void
sample_over(struct json *d, const struct json *with)
{
	if (with != NULL)
		json_each(with, over_member, d);
}
