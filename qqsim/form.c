/*
 * Lines of a table become rows; a document is held against the rows.
 */
#include "form.h"

#include <stdio.h>
#include <stdlib.h>

static bool
read_type(struct form_row *r)
{
	static const struct {
		const char    *word;
		enum form_type is;
	} words[] = {
		{ "strs", FORM_STRS }, { "str", FORM_STR }, { "id", FORM_ID },
		{ "int", FORM_INT }, { "num", FORM_NUM },
		{ "bool", FORM_BOOL }, { "obj", FORM_OBJ },
		{ "any", FORM_ANY }, { "arr", FORM_ARR },
	};
	const char        *dots = memmem(r->type.p, r->type.n, "..", 2);
	unsigned long long max = INT64_MAX, min = 0;
	struct slice       rest;

	r->max = INT64_MAX;
	if (r->type.n > 0 && r->type.p[0] == '=') {
		r->type_is = FORM_WORD;
		return true;
	}
	if (dots != NULL) {
		size_t at = (size_t)(dots - r->type.p);

		r->type_is = FORM_INT;
		if (!slice_u64((struct slice){ r->type.p, at }, &min) ||
		    !slice_u64(slice_from(r->type, at + 2), &max))
			return false;
		r->min = (int64_t)min;
		r->max = (int64_t)max;
		return true;
	}
	r->min = INT64_MIN;
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (!slice_starts(r->type, slice_of(words[i].word)))
			continue;
		r->type_is = words[i].is;
		rest = slice_from(r->type, strlen(words[i].word));
		if (rest.n == 0)
			return true;
		if (!slice_starts(rest, SLICE("<=")) ||
		    !slice_u64(slice_from(rest, 2), &max))
			return false;
		r->max = (int64_t)max;
		return true;
	}
	return false;
}

static bool
read_row(struct form_row *r, struct slice item)
{
	const char *colon = memchr(item.p, ':', item.n);

	if (colon == NULL)
		return false;
	*r = (struct form_row){ 0 };
	if (item.p[item.n - 1] == '!') {
		r->need = true;
		item.n--;
	}
	r->name = (struct slice){ item.p, (size_t)(colon - item.p) };
	r->type = slice_from(item, r->name.n + 1);
	for (size_t i = 0; i < r->name.n; i++)
		if (r->name.p[i] == '.')
			r->own = i + 1;
	return read_type(r);
}

static void
find_parents(struct form *f)
{
	for (size_t i = 0; i < f->n; i++)
		for (size_t k = 0; k < f->n; k++)
			if (f->rows[k].own == f->rows[i].name.n + 1 &&
			    slice_starts(f->rows[k].name, f->rows[i].name))
				f->rows[i].parent = true;
}

enum err
form_make(struct form *f, const char *line)
{
	size_t most = 1, at = 0, n = strlen(line);

	for (size_t i = 0; i < n; i++)
		most += line[i] == ' ';
	*f = (struct form){ .rows = calloc(most, sizeof *f->rows) };
	if (f->rows == NULL)
		return ERR_NOMEM;
	while (at < n) {
		size_t end = at;

		while (end < n && line[end] != ' ')
			end++;
		if (end > at && !read_row(&f->rows[f->n++],
		    (struct slice){ line + at, end - at })) {
			form_free(f);
			return ERR_SYNTAX;
		}
		at = end + 1;
	}
	find_parents(f);
	return ERR_OK;
}

void
form_free(struct form *f)
{
	free(f->rows);
	*f = (struct form){ 0 };
}

/* --- one value ---------------------------------------------------------- */

static bool
one_of(struct slice words, struct slice text)
{
	size_t at = 1;      /* behind the = */

	while (at <= words.n) {
		size_t end = at;

		while (end < words.n && words.p[end] != '|')
			end++;
		if (slice_eq((struct slice){ words.p + at, end - at }, text))
			return true;
		at = end + 1;
	}
	return false;
}

static int64_t
characters(struct slice text)
{
	int64_t n = 0;

	for (size_t i = 0; i < text.n; i++)
		n += ((unsigned char)text.p[i] & 0xc0) != 0x80;
	return n;
}

static bool
all_strings(const struct json *list)
{
	for (size_t i = 0; i < json_count(list); i++)
		if (!json_is_string(json_at(list, i)))
			return false;
	return true;
}

static bool
fits(const struct form_row *r, const struct json *v)
{
	struct slice       text = json_text(v);
	unsigned long long id;
	int64_t            n;

	switch (r->type_is) {
	case FORM_STR:
		return json_is_string(v) && characters(text) <= r->max;
	case FORM_ID:
		return json_is_string(v) && slice_u64(text, &id);
	case FORM_WORD:
		return json_is_string(v) && one_of(r->type, text);
	case FORM_INT:
		return json_is_number(v) && json_int(v, &n) && n >= r->min &&
		    n <= r->max;
	case FORM_NUM:
		return json_int(v, &n);
	case FORM_BOOL:
		return !json_is_string(v) &&
		    (slice_is(text, "true") || slice_is(text, "false"));
	case FORM_OBJ:
		return json_is_object(v);
	case FORM_ARR:
		return json_is_array(v) && (int64_t)json_count(v) <= r->max;
	case FORM_STRS:
		return json_is_array(v) &&
		    (int64_t)json_count(v) <= r->max && all_strings(v);
	default:
		return true;
	}
}

/* --- a document --------------------------------------------------------- */

struct checking {
	const struct form *form;
	struct slice       prefix;     /* "a.b." of the object looked at */
	enum form_verdict  verdict;
	char              *why;
};

static void
say(struct checking *c, enum form_verdict v, struct slice name,
    const char *what, struct slice type)
{
	c->verdict = v;
	snprintf(c->why, FORM_WHY_MAX, "%.*s %s%.*s", (int)name.n,
	    name.n > 0 ? name.p : "", what, (int)type.n,
	    type.n > 0 ? type.p : "");
}

static const struct form_row *
find_row(const struct form *f, struct slice prefix, struct slice own)
{
	for (size_t i = 0; i < f->n; i++) {
		const struct form_row *r = &f->rows[i];

		if (r->own == prefix.n &&
		    slice_starts(r->name, prefix) &&
		    slice_eq(slice_from(r->name, r->own), own))
			return r;
	}
	return NULL;
}

static void check_object(struct checking *, struct slice, const struct json *);

static void
check_inside(struct checking *c, const struct form_row *r,
    const struct json *v)
{
	char         text[FORM_WHY_MAX];
	int          n = snprintf(text, sizeof text, "%.*s.",
	             (int)r->name.n, r->name.p);
	struct slice prefix = { text, (size_t)n };

	if (json_is_object(v)) {
		check_object(c, prefix, v);
		return;
	}
	for (size_t i = 0; i < json_count(v) && c->verdict == FORM_FITS; i++)
		if (json_is_object(json_at(v, i)))
			check_object(c, prefix, json_at(v, i));
		else
			say(c, FORM_WRONG, r->name, "must be a list of ",
			    SLICE("objects"));
}

static void
check_member(void *self, const char *key, const struct json *value)
{
	struct checking       *c = self;
	const struct form_row *r;
	char                   name[FORM_WHY_MAX];
	int                    n;

	if (c->verdict != FORM_FITS)
		return;
	r = find_row(c->form, c->prefix, slice_of(key));
	if (r == NULL) {
		n = snprintf(name, sizeof name, "%.*s%.64s",
		    (int)c->prefix.n, c->prefix.n > 0 ? c->prefix.p : "",
		    key);
		say(c, FORM_UNKNOWN, (struct slice){ name, (size_t)n },
		    "is not a member the platform knows", SLICE(""));
		return;
	}
	if (value == NULL)
		return;
	if (!fits(r, value))
		say(c, FORM_WRONG, r->name, "must be ", r->type);
	else if (r->parent)
		check_inside(c, r, value);
}

static void
check_object(struct checking *c, struct slice prefix, const struct json *doc)
{
	struct slice before = c->prefix;

	c->prefix = prefix;
	json_each(doc, check_member, c);
	for (size_t i = 0; i < c->form->n && c->verdict == FORM_FITS; i++) {
		const struct form_row *r = &c->form->rows[i];
		char                   own[FORM_WHY_MAX];

		if (!r->need || r->own != prefix.n ||
		    !slice_starts(r->name, prefix))
			continue;
		snprintf(own, sizeof own, "%.*s", (int)(r->name.n - r->own),
		    r->name.p + r->own);
		if (json_get(doc, own) == NULL)
			say(c, FORM_MISSING, r->name, "is missing",
			    SLICE(""));
	}
	c->prefix = before;
}

enum form_verdict
form_check(const struct form *f, const struct json *doc,
    char why[FORM_WHY_MAX])
{
	struct checking c = { .form = f, .why = why };

	check_object(&c, SLICE(""), doc);
	return c.verdict;
}

/* --- a query ------------------------------------------------------------ */

static bool
fits_text(const struct form_row *r, struct slice text)
{
	unsigned long long n;

	switch (r->type_is) {
	case FORM_WORD:
		return one_of(r->type, text);
	case FORM_INT:
		return slice_u64(text, &n) && (int64_t)n >= r->min &&
		    n <= (unsigned long long)r->max;
	case FORM_ID:
	case FORM_NUM:
		return slice_u64(text, &n);
	case FORM_BOOL:
		return slice_is(text, "true") || slice_is(text, "false");
	default:
		return characters(text) <= r->max;
	}
}

static bool
in_query(const struct form_row *r, const struct slice *items, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (items[i].n > r->name.n && items[i].p[r->name.n] == '=' &&
		    slice_starts(items[i], r->name))
			return true;
	return false;
}

enum form_verdict
form_check_query(const struct form *f, const struct slice *items, size_t n,
    char why[FORM_WHY_MAX])
{
	struct checking c = { .form = f, .why = why };

	for (size_t i = 0; i < n && c.verdict == FORM_FITS; i++) {
		const char  *is = memchr(items[i].p, '=', items[i].n);
		size_t       len = is != NULL ? (size_t)(is - items[i].p)
		                              : items[i].n;
		struct slice name = { items[i].p, len };
		const struct form_row *r = find_row(f, SLICE(""), name);

		if (r == NULL)
			say(&c, FORM_UNKNOWN, name, "is not a parameter the "
			    "platform knows", SLICE(""));
		else if (!fits_text(r, slice_from(items[i], len + 1)))
			say(&c, FORM_WRONG, r->name, "must be ", r->type);
	}
	for (size_t i = 0; i < f->n && c.verdict == FORM_FITS; i++)
		if (f->rows[i].need && !in_query(&f->rows[i], items, n))
			say(&c, FORM_MISSING, f->rows[i].name, "is missing",
			    SLICE(""));
	return c.verdict;
}
