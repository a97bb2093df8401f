/*
 * json-c behind our names.  struct json is json-c's json_object; NULL is JSON
 * null, as json-c has it.
 */
#include "json.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "pack.h"

/* CROWD_MAX: objects and arrays in one document; an empty one costs us a
 * thousand times the bytes it is written in.
 * STACK: one more than the depth json-c takes; it allocates 32 bytes for each,
 * and at 1 KiB malloc would tidy up all of its bins for every document. */
enum { DEPTH_MAX = 32, CROWD_MAX = 1 << 16, STACK = 31 };

static struct json_object *
in(const struct json *j)
{
	return (struct json_object *)(uintptr_t)j;
}

static struct json *
out(struct json_object *o)
{
	return (struct json *)(void *)o;
}

/* Two bytes no UTF-8 character begins with: overlong, a surrogate, or beyond
 * Unicode. */
static bool
is_no_character(unsigned char c, unsigned char next)
{
	return c == 0xc0 || c == 0xc1 || c > 0xf4 ||
	    (c == 0xe0 && next < 0xa0) || (c == 0xed && next >= 0xa0) ||
	    (c == 0xf0 && next < 0x90) || (c == 0xf4 && next >= 0x90);
}

static bool
is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

/* Outside strings: 1. 01 1e 1e+ and the comma before a closing bracket. */
static bool
is_loose(unsigned char before, unsigned char c, unsigned char next,
    unsigned char last)
{
	switch (c) {
	case '.':
		return !is_digit(next);
	case '0':
		return is_digit(next) && !is_digit(before) &&
		    (before == 0 || strchr(".eE+-", before) == NULL);
	case 'e':
	case 'E':
		return is_digit(before) && !is_digit(next) && next != '+' &&
		    next != '-';
	case '+':
	case '-':
		return (before == 'e' || before == 'E') && !is_digit(next);
	case ']':
	case '}':
		return last == ',';
	default:
		return false;
	}
}

/* What json-c takes and JSON is not: 'single quotes', comments, NaN, numbers
 * and commas as above, and in strings control characters and overlong UTF-8.
 * Its strict mode is no help: in 0.18 it refuses every character beyond
 * ASCII, and before that it let most of these pass. */
static bool
is_json_text(struct slice text)
{
	static const bool outside_strings[256] = {
		['{'] = true, ['}'] = true, ['['] = true, [']'] = true,
		[':'] = true, [','] = true, [' '] = true, ['\t'] = true,
		['\r'] = true, ['\n'] = true, ['0' ... '9'] = true,
		['+'] = true, ['-'] = true, ['.'] = true, ['e'] = true,
		['E'] = true, ['t'] = true, ['r'] = true, ['u'] = true,
		['f'] = true, ['a'] = true, ['l'] = true, ['s'] = true,
		['n'] = true,
	};
	size_t        crowd = 0;
	bool          quoted = false;
	unsigned char before = 0, last = 0;

	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		unsigned char next =
		    i + 1 < text.n ? (unsigned char)text.p[i + 1] : 0;

		if (quoted &&
		    (c < 0x20 || (c >= 0xc0 && is_no_character(c, next))))
			return false;
		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted) {
			if (!outside_strings[c] ||
			    is_loose(before, c, next, last))
				return false;
			crowd += c == '{' || c == '[';
		}
		before = c;
		if (c > ' ')
			last = c;
	}
	return crowd <= CROWD_MAX;
}

enum err
json_parse(struct json **doc, struct slice text)
{
	struct json_tokener *t;
	struct json_object  *o = NULL;
	enum json_tokener_error je;
	struct slice            rest;

	*doc = NULL;
	if (text.n == 0 || text.n > INT_MAX || !is_json_text(text))
		return ERR_SYNTAX;
	if ((t = json_tokener_new_ex(STACK)) == NULL)
		return ERR_NOMEM;
	json_tokener_set_flags(t, JSON_TOKENER_VALIDATE_UTF8);
	o = json_tokener_parse_ex(t, text.p, (int)text.n);
	je = json_tokener_get_error(t);
	rest = slice_trim(slice_from(text, json_tokener_get_parse_end(t)));
	/* A bare number at the end of the text waits for a byte that could
	 * continue it. */
	if (je == json_tokener_continue) {
		o = json_tokener_parse_ex(t, "", 1);
		je = json_tokener_get_error(t);
	}
	json_tokener_free(t);
	if (je != json_tokener_success || rest.n > 0) {
		json_object_put(o);
		return ERR_SYNTAX;
	}
	*doc = out(o);
	return ERR_OK;
}

/* Past the string that begins at `at`. */
static size_t
skip_string(struct slice t, size_t at)
{
	const char *from = t.p + at + 1, *end = t.p + t.n, *quote, *p;

	while ((quote = memchr(from, '"', (size_t)(end - from))) != NULL) {
		for (p = quote; p > from && p[-1] == '\\'; p--)
			;
		if ((quote - p) % 2 == 0)
			return (size_t)(quote + 1 - t.p);
		from = quote + 1; /* it is escaped */
	}
	return t.n;
}

/* Past the value that begins at `at`; past what follows a scalar, too, up to
 * the comma or bracket that ends it. */
static size_t
skip_value(struct slice t, size_t at)
{
	size_t depth = 0;

	while (at < t.n) {
		switch (t.p[at]) {
		case '"':
			at = skip_string(t, at);
			continue;
		case '{':
		case '[':
			depth++;
			break;
		case '}':
		case ']':
			if (depth == 0)
				return at;
			depth--;
			break;
		case ',':
			if (depth == 0)
				return at;
			break;
		default:
			break;
		}
		at++;
	}
	return t.n;
}

static size_t
skip_blanks(struct slice t, size_t at)
{
	while (at < t.n && (t.p[at] == ' ' || t.p[at] == '\t' ||
	    t.p[at] == '\r' || t.p[at] == '\n'))
		at++;
	return at;
}

static bool
is_at(struct slice t, size_t at, char c)
{
	return at < t.n && t.p[at] == c;
}

struct slice
json_member_text(struct slice t, const char *key)
{
	const struct slice none = { NULL, 0 };
	struct slice       found = none;
	size_t             at = skip_blanks(t, 0);

	if (!is_at(t, at, '{'))
		return none;
	do {
		size_t       from = at = skip_blanks(t, at + 1);
		struct slice name;

		if (!is_at(t, at, '"'))
			break;
		at = skip_string(t, at);
		if (at - from < 2)
			break;
		name = (struct slice){ t.p + from + 1, at - from - 2 };
		if (name.n > 0 && memchr(name.p, '\\', name.n) != NULL)
			return none;
		at = skip_blanks(t, at);
		if (!is_at(t, at, ':'))
			break;
		from = at + 1;
		at = skip_value(t, from);
		if (slice_is(name, key))
			found = slice_trim((struct slice){ t.p + from,
			    at - from });
	} while (is_at(t, at, ','));
	return found;
}

void
json_free(struct json **doc)
{
	json_object_put(in(*doc));
	*doc = NULL;
}

struct json *
json_get(const struct json *j, const char *key)
{
	struct json_object *v = NULL;

	if (!json_is_object(j) || !json_object_object_get_ex(in(j), key, &v))
		return NULL;
	return out(v);
}

struct json *
json_path(const struct json *j, const char *dotted)
{
	char key[64];

	for (;;) {
		size_t n = strcspn(dotted, ".");

		if (n >= sizeof key)
			return NULL;
		memcpy(key, dotted, n);
		key[n] = '\0';
		j = json_get(j, key);
		if (dotted[n] == '\0' || j == NULL)
			return (struct json *)(uintptr_t)j;
		dotted += n + 1;
	}
}

bool
json_is_object(const struct json *j)
{
	return json_object_is_type(in(j), json_type_object);
}

bool
json_is_array(const struct json *j)
{
	return json_object_is_type(in(j), json_type_array);
}

bool
json_is_string(const struct json *j)
{
	return json_object_is_type(in(j), json_type_string);
}

bool
json_is_number(const struct json *j)
{
	return json_object_is_type(in(j), json_type_int) ||
	    json_object_is_type(in(j), json_type_double);
}

size_t
json_count(const struct json *j)
{
	return json_is_array(j) ? json_object_array_length(in(j)) : 0;
}

struct json *
json_at(const struct json *j, size_t i)
{
	return i < json_count(j) ? out(json_object_array_get_idx(in(j), i))
	                         : NULL;
}

void
json_each(const struct json *j,
    void (*fn)(void *, const char *, const struct json *), void *self)
{
	if (!json_is_object(j))
		return;
	json_object_object_foreach(in(j), key, value)
		fn(self, key, out(value));
}

struct slice
json_text(const struct json *j)
{
	switch (json_object_get_type(in(j))) {
	case json_type_string:
		return (struct slice){ json_object_get_string(in(j)),
		    (size_t)json_object_get_string_len(in(j)) };
	case json_type_int:
	case json_type_double:
	case json_type_boolean:
		return slice_of(json_object_to_json_string_ext(in(j),
		    JSON_C_TO_STRING_PLAIN));
	default:
		return (struct slice){ NULL, 0 };
	}
}

bool
json_int(const struct json *j, int64_t *v)
{
	struct slice       s = json_text(j);
	bool               minus = s.n > 0 && s.p[0] == '-';
	unsigned long long u;

	if (json_object_is_type(in(j), json_type_boolean) ||
	    !slice_u64(minus ? slice_from(s, 1) : s, &u) || u > INT64_MAX)
		return false;
	*v = minus ? -(int64_t)u : (int64_t)u;
	return true;
}

bool
json_truth(const struct json *j)
{
	struct slice s = json_text(j);

	return slice_is(s, "true") || slice_is(s, "1");
}

double
json_double(const struct json *j)
{
	return json_object_get_double(in(j));
}

struct slice
json_text_at(const struct json *j, const char *dotted)
{
	return json_text(json_path(j, dotted));
}

bool
json_int_at(const struct json *j, const char *dotted, int64_t *v)
{
	return json_int(json_path(j, dotted), v);
}

struct json *
json_new_object(void)
{
	return out(json_object_new_object());
}

struct json *
json_new_array(void)
{
	return out(json_object_new_array());
}

void
json_put_take(struct json *object, const char *key, struct json *value)
{
	if (object == NULL || value == NULL ||
	    json_object_object_add(in(object), key, in(value)) < 0)
		json_object_put(in(value));
}

void
json_put_ref(struct json *object, const char *key, const struct json *value)
{
	json_put_take(object, key, out(json_object_get(in(value))));
}

struct json *
json_share(const struct json *value)
{
	return out(json_object_get(in(value)));
}

static struct json *
new_text(struct slice s)
{
	return out(json_object_new_string_len(s.p != NULL ? s.p : "",
	    (int)s.n));
}

void
json_put_text(struct json *object, const char *key, struct slice s)
{
	json_put_take(object, key, new_text(s));
}

void
json_put_int(struct json *object, const char *key, int64_t v)
{
	json_put_take(object, key, out(json_object_new_int64(v)));
}

void
json_put_bool(struct json *object, const char *key, bool v)
{
	json_put_take(object, key, out(json_object_new_boolean(v)));
}

void
json_put_null(struct json *object, const char *key)
{
	if (object != NULL)
		json_object_object_add(in(object), key, NULL);
}

void
json_push_take(struct json *array, struct json *value)
{
	if (array == NULL || json_object_array_add(in(array), in(value)) < 0)
		json_object_put(in(value));
}

void
json_push_text(struct json *array, struct slice s)
{
	json_push_take(array, new_text(s));
}

void
json_push_int(struct json *array, int64_t v)
{
	json_push_take(array, out(json_object_new_int64(v)));
}

struct slice
json_print(const struct json *j)
{
	size_t      n = 0;
	const char *p;

	p = json_object_to_json_string_length(in(j),
	    JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &n);
	return (struct slice){ p, p != NULL ? n : 0 };
}

void
json_write(const struct json *j, struct buf *b)
{
	struct slice s = json_print(j);

	if (s.p == NULL)
		b->failed = true;
	else
		buf_put(b, s);
}

/* --- MessagePack --------------------------------------------------------- */

static void
pack_value(struct pack *p, struct json_object *o)
{
	switch (json_object_get_type(o)) {
	case json_type_null:
		pack_nil(p);
		break;
	case json_type_boolean:
		pack_bool(p, json_object_get_boolean(o));
		break;
	case json_type_double:
		/* 1e999: more than a double holds, and nobody would take it. */
		if (isfinite(json_object_get_double(o)))
			pack_double(p, json_object_get_double(o));
		else
			pack_nil(p);
		break;
	case json_type_int: {
		int64_t v = json_object_get_int64(o);

		/* json-c answers INT64_MAX for what only fits unsigned */
		if (v < 0)
			pack_int(p, v);
		else
			pack_uint(p, json_object_get_uint64(o));
		break;
	}
	case json_type_string:
		pack_str(p, (struct slice){ json_object_get_string(o),
		    (size_t)json_object_get_string_len(o) });
		break;
	case json_type_array: {
		size_t n = json_object_array_length(o);

		pack_array(p, n);
		for (size_t i = 0; i < n; i++)
			pack_value(p, json_object_array_get_idx(o, i));
		break;
	}
	case json_type_object:
		pack_map(p, (size_t)json_object_object_length(o));
		json_object_object_foreach(o, key, value) {
			pack_str(p, slice_of(key));
			pack_value(p, value);
		}
		break;
	}
}

enum err
json_to_msgpack(const struct json *j, struct buf *b)
{
	struct pack p;

	pack_open(&p, b);
	pack_value(&p, in(j));
	return b->failed ? ERR_NOMEM : ERR_OK;
}

struct reading {
	struct unpack u;
	size_t        crowd;   /* maps and arrays so far */
};

static enum err unpack_value(struct reading *, struct json_object **,
    unsigned depth);

static enum err
unpack_array(struct reading *r, size_t n, struct json_object *array,
    unsigned depth)
{
	struct json_object *v;
	enum err            e;

	while (n-- > 0) {
		if ((e = unpack_value(r, &v, depth + 1)) != ERR_OK)
			return e;
		if (json_object_array_add(array, v) < 0) {
			json_object_put(v);
			return ERR_NOMEM;
		}
	}
	return ERR_OK;
}

static enum err
unpack_map(struct reading *r, size_t n, struct json_object *object,
    unsigned depth)
{
	struct json_object *v;
	struct unpack_item  key;
	enum err            e;

	while (n-- > 0) {
		char *k;
		int   added;

		if ((e = unpack_next(&r->u, &key)) != ERR_OK)
			return e;
		if (key.type != UNPACK_STR)
			return ERR_SYNTAX;
		if ((e = unpack_value(r, &v, depth + 1)) != ERR_OK)
			return e;
		if ((k = slice_dup(key.bytes)) == NULL) {
			json_object_put(v);
			return ERR_NOMEM;
		}
		added = json_object_object_add(object, k, v);
		free(k);
		if (added < 0) {
			json_object_put(v);
			return ERR_NOMEM;
		}
	}
	return ERR_OK;
}

static enum err
unpack_value(struct reading *r, struct json_object **o, unsigned depth)
{
	struct unpack_item it;
	enum err           e;

	*o = NULL;
	if (depth > DEPTH_MAX)
		return ERR_SYNTAX;
	if ((e = unpack_next(&r->u, &it)) != ERR_OK)
		return e;
	if ((it.type == UNPACK_ARRAY || it.type == UNPACK_MAP) &&
	    ++r->crowd > CROWD_MAX)
		return ERR_SYNTAX;
	switch (it.type) {
	case UNPACK_NIL:
		return ERR_OK;
	case UNPACK_BOOL:
		*o = json_object_new_boolean(it.u != 0);
		break;
	case UNPACK_UINT:
		*o = json_object_new_uint64(it.u);
		break;
	case UNPACK_INT:
		*o = json_object_new_int64(it.i);
		break;
	case UNPACK_DOUBLE:
		/* JSON knows neither infinity nor what is no number. */
		if (!isfinite(it.d))
			return ERR_SYNTAX;
		*o = json_object_new_double(it.d);
		break;
	case UNPACK_STR:
	case UNPACK_BIN:
		*o = json_object_new_string_len(
		    it.bytes.p != NULL ? it.bytes.p : "", (int)it.bytes.n);
		break;
	case UNPACK_ARRAY:
		if ((*o = json_object_new_array()) != NULL)
			e = unpack_array(r, it.count, *o, depth);
		break;
	case UNPACK_MAP:
		if ((*o = json_object_new_object()) != NULL)
			e = unpack_map(r, it.count, *o, depth);
		break;
	}
	if (e == ERR_OK && *o == NULL)
		e = ERR_NOMEM;
	if (e != ERR_OK) {
		json_object_put(*o);
		*o = NULL;
	}
	return e;
}

enum err
json_from_msgpack(struct json **doc, struct slice bytes)
{
	struct reading      r = { .crowd = 0 };
	struct json_object *o;
	enum err            e;

	unpack_open(&r.u, bytes);
	if ((e = unpack_value(&r, &o, 0)) == ERR_OK && !unpack_done(&r.u)) {
		json_object_put(o);
		o = NULL;
		e = ERR_SYNTAX;
	}
	*doc = out(o);
	return e;
}
