/*
 * Parameters by the table: unknown ones, missing ones and wrong ones are
 * named, the others are put where they belong.  Lenient in form as the
 * platform is (a number may come as digits), strict in value.
 */
#include "params.h"

#include <stdio.h>
#include <stdlib.h>

#include "shape.h"

struct reading {
	struct call                *call;
	enum call_id                id;
	const struct catalog_param *params;
	size_t                      n;
	enum result                 result;
	char                        at[128];   /* path of what is looked at */
};

/* A member by its name, dots and all, or along its dots. */
static struct json *
lookup(const struct json *with, const char *name)
{
	struct json *v = json_get(with, name);

	return v != NULL ? v : json_path(with, name);
}

/* --- unknown names ---------------------------------------------------------- */

/* A parameter, or what some parameter is a member of? */
static bool
is_known(const struct reading *r, const char *name, bool *inner)
{
	size_t len = strlen(name);

	*inner = false;
	for (size_t i = 0; i < r->n; i++) {
		if (strcmp(r->params[i].name, name) == 0)
			return true;
		if (strncmp(r->params[i].name, name, len) == 0 &&
		    r->params[i].name[len] == '.')
			*inner = true;
	}
	return *inner;
}

static void
check_name(void *self, const char *key, const struct json *v)
{
	struct reading *r = self;
	size_t          before = strlen(r->at);
	bool            inner;

	if (r->result != RESULT_OK)
		return;
	snprintf(r->at + before, sizeof r->at - before, "%s%s",
	    before > 0 ? "." : "", key);
	if (!is_known(r, r->at, &inner))
		r->result = call_wrong(r->call, RESULT_BAD_ARG,
		    "%.80s: %s has no such parameter", r->at,
		    r->call->operation->name);
	else if (inner && v != NULL && !json_is_object(v))
		r->result = call_wrong(r->call, RESULT_BAD_ARG,
		    "%.80s: is an object", r->at);
	else if (inner)
		json_each(v, check_name, r);
	r->at[before] = '\0';
}

/* --- values ----------------------------------------------------------------- */

static bool
is_word(const char *words, struct slice s)
{
	while (*words != '\0') {
		size_t n = strcspn(words, " ");

		if (slice_eq(s, (struct slice){ words, n }))
			return true;
		words += n + (words[n] == ' ');
	}
	return false;
}

static bool
is_flag(const struct json *v)
{
	return is_word("true false 1 0", json_text(v));
}

static bool
is_scalar(const struct json *v)
{
	return json_is_string(v) || json_is_number(v);
}

/* A list of ids, or text with commas between them. */
static size_t
count_ids(const struct json *v, bool *good)
{
	struct slice s = json_text(v);
	size_t       n = 0;

	*good = true;
	if (json_is_array(v)) {
		for (size_t i = 0; i < json_count(v); i++)
			*good = *good && is_scalar(json_at(v, i)) &&
			    call_is_id(json_text(json_at(v, i)));
		return json_count(v);
	}
	*good = is_scalar(v);
	while (*good && s.n > 0) {
		const char *comma = memchr(s.p, ',', s.n);
		size_t      len = comma != NULL ? (size_t)(comma - s.p) : s.n;

		*good = call_is_id((struct slice){ s.p, len });
		n++;
		s = slice_from(s, len + 1);
	}
	return n;
}

static enum result
check_count(struct reading *r, const struct catalog_param *p, size_t n,
    const char *what)
{
	if (n >= (size_t)p->min && n <= (size_t)p->max)
		return RESULT_OK;
	return call_wrong(r->call, RESULT_BAD_ARG, "%s: %lld to %lld %s",
	    p->name, (long long)p->min, (long long)p->max, what);
}

static enum result
check_text(struct reading *r, const struct catalog_param *p,
    const struct json *v)
{
	struct slice s = json_text(v);
	size_t       n = shape_length(s);

	if (!is_scalar(v))
		return call_wrong(r->call, RESULT_BAD_ARG, "%s: is a text",
		    p->name);
	if (p->type == TYPE_ID)
		return call_is_id(s) ? RESULT_OK
		    : call_wrong(r->call, RESULT_BAD_ARG, "%s: not an id",
		          p->name);
	if (n < (size_t)p->min || (p->max > 0 && n > (size_t)p->max))
		return p->max > 0 ? check_count(r, p, n, "characters")
		    : call_wrong(r->call, RESULT_BAD_ARG, "%s: is empty",
		          p->name);
	return RESULT_OK;
}

static enum result
check_number(struct reading *r, const struct catalog_param *p,
    const struct json *v)
{
	int64_t n;

	if (!json_int(v, &n) || n < p->min || n > p->max)
		return call_wrong(r->call, RESULT_BAD_ARG,
		    "%s: an integer from %lld to %lld", p->name,
		    (long long)p->min, (long long)p->max);
	return RESULT_OK;
}

static const char *
check_shape(enum param_type type, const struct json *v)
{
	switch (type) {
	case TYPE_MARKDOWN:
		return shape_markdown(v);
	case TYPE_KEYBOARD:
		return shape_keyboard(v);
	case TYPE_ARK:
		return shape_ark(v);
	case TYPE_EMBED:
		return shape_embed(v);
	case TYPE_OBJECT:
		return json_is_object(v) ? NULL : "is an object";
	default:
		return NULL;
	}
}

static enum result
check_items(struct reading *r, const struct catalog_param *p,
    const struct json *v)
{
	const char *wrong = NULL;

	for (size_t i = 0; wrong == NULL && i < json_count(v); i++)
		if (p->type == TYPE_PANEL)
			wrong = shape_panel_item(json_at(v, i));
		else if (p->type == TYPE_MENU)
			wrong = shape_menu_item(json_at(v, i));
	if (wrong != NULL)
		return call_wrong(r->call, RESULT_BAD_ARG, "%s: %s", p->name,
		    wrong);
	return check_count(r, p, json_count(v), "objects");
}

static enum result
check_list(struct reading *r, const struct catalog_param *p,
    const struct json *v)
{
	bool   good;
	size_t n;

	if (p->type == TYPE_IDS) {
		n = count_ids(v, &good);
		return good ? check_count(r, p, n, "ids")
		    : call_wrong(r->call, RESULT_BAD_ARG, "%s: a list of ids",
		          p->name);
	}
	good = json_is_array(v);
	for (size_t i = 0; good && i < json_count(v); i++)
		good = json_is_object(json_at(v, i));
	if (!good)
		return call_wrong(r->call, RESULT_BAD_ARG,
		    "%s: a list of objects", p->name);
	return check_items(r, p, v);
}

static enum result
check_value(struct reading *r, const struct catalog_param *p,
    const struct json *v)
{
	const char *wrong;

	switch (p->type) {
	case TYPE_ID:
	case TYPE_TEXT:
		return check_text(r, p, v);
	case TYPE_INT:
	case TYPE_DIGITS:
		return check_number(r, p, v);
	case TYPE_FLAG:
		return is_flag(v) ? RESULT_OK
		    : call_wrong(r->call, RESULT_BAD_ARG, "%s: true or false",
		          p->name);
	case TYPE_CHOICE:
	case TYPE_NUMBER:
		return is_scalar(v) && is_word(p->choices, json_text(v))
		    ? RESULT_OK
		    : call_wrong(r->call, RESULT_BAD_ARG, "%s: one of %s",
		          p->name, p->choices);
	case TYPE_IDS:
	case TYPE_OBJECTS:
	case TYPE_PANEL:
	case TYPE_MENU:
		return check_list(r, p, v);
	default:
		wrong = check_shape(p->type, v);
		return wrong == NULL ? RESULT_OK
		    : call_wrong(r->call, RESULT_BAD_ARG, "%s: %s", p->name,
		          wrong);
	}
}

/* --- what must be there ------------------------------------------------------ */

/* "a, b or c": those of this need. */
static void
list_names(const struct reading *r, enum param_need need, char *text,
    size_t size)
{
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < r->n; i++)
		if (r->params[i].need == need)
			n += (size_t)snprintf(text + n, n < size ? size - n : 0,
			    "%s%s", n > 0 ? ", " : "", r->params[i].name);
}

static enum result
check_needs(struct reading *r)
{
	const struct json *with = r->call->with;
	size_t             given[NEED_MOST + 1] = { 0 };
	size_t             known[NEED_MOST + 1] = { 0 };
	char               names[120];

	for (size_t i = 0; i < r->n; i++) {
		const struct catalog_param *p = &r->params[i];

		known[p->need]++;
		if (lookup(with, p->name) != NULL)
			given[p->need]++;
		else if (p->need == NEED_MUST)
			return call_wrong(r->call, RESULT_BAD_ARG,
			    "%s: is missing (%s)", p->name, p->meaning);
	}
	if (known[NEED_ONE] > 0 && given[NEED_ONE] != 1) {
		list_names(r, NEED_ONE, names, sizeof names);
		return call_wrong(r->call, RESULT_BAD_ARG,
		    "%s: exactly one of them", names);
	}
	if (known[NEED_SOME] > 0 && given[NEED_SOME] == 0) {
		list_names(r, NEED_SOME, names, sizeof names);
		return call_wrong(r->call, RESULT_BAD_ARG,
		    "%s: at least one of them", names);
	}
	if (given[NEED_MOST] > 1) {
		list_names(r, NEED_MOST, names, sizeof names);
		return call_wrong(r->call, RESULT_BAD_ARG,
		    "%s: at most one of them", names);
	}
	return RESULT_OK;
}

static enum result
check_rules(struct reading *r)
{
	size_t                     n;
	const struct catalog_rule *rules = catalog_rules(&n);

	for (size_t i = 0; i < n; i++) {
		const struct json *v;

		if (rules[i].call != r->id ||
		    (v = lookup(r->call->with, rules[i].name)) == NULL ||
		    (rules[i].value[0] != '\0' &&
		        !slice_is(json_text(v), rules[i].value)) ||
		    lookup(r->call->with, rules[i].needs) != NULL)
			continue;
		return call_wrong(r->call, RESULT_BAD_ARG,
		    "%s: is missing, as %s%s%s is given", rules[i].needs,
		    rules[i].name, rules[i].value[0] != '\0' ? " " : "",
		    rules[i].value);
	}
	return RESULT_OK;
}

/* --- what they become --------------------------------------------------------- */

static struct json *
ids_of(const struct json *v)
{
	struct json *out = json_new_array();
	struct slice s = json_text(v);

	for (size_t i = 0; json_is_array(v) && i < json_count(v); i++)
		json_push_text(out, json_text(json_at(v, i)));
	while (!json_is_array(v) && s.n > 0) {
		const char *comma = memchr(s.p, ',', s.n);
		size_t      len = comma != NULL ? (size_t)(comma - s.p) : s.n;

		json_push_text(out, (struct slice){ s.p, len });
		s = slice_from(s, len + 1);
	}
	return out;
}

static void
put_value(struct json *o, const char *key, const struct catalog_param *p,
    const struct json *v)
{
	int64_t n;
	char    digits[24];

	switch (p->type) {
	case TYPE_ID:
	case TYPE_TEXT:
	case TYPE_CHOICE:
		json_put_text(o, key, json_text(v));
		break;
	case TYPE_INT:
	case TYPE_NUMBER:
		if (json_int(v, &n))
			json_put_int(o, key, n);
		break;
	case TYPE_DIGITS:
		if (json_int(v, &n)) {
			snprintf(digits, sizeof digits, "%lld", (long long)n);
			json_put_text(o, key, slice_of(digits));
		}
		break;
	case TYPE_FLAG:
		json_put_bool(o, key, json_truth(v));
		break;
	case TYPE_IDS:
		json_put_take(o, key, ids_of(v));
		break;
	default:
		json_put_ref(o, key, v);
	}
}

/* schedule.name goes into the object schedule. */
static void
put_nested(struct json *body, const struct catalog_param *p,
    const struct json *v)
{
	const char  *key = p->name, *dot;
	struct json *o = body, *inner;

	while ((dot = strchr(key, '.')) != NULL) {
		char part[64];

		snprintf(part, sizeof part, "%.*s", (int)(dot - key), key);
		if ((inner = json_get(o, part)) == NULL) {
			json_put_take(o, part, json_new_object());
			inner = json_get(o, part);
		}
		o = inner;
		key = dot + 1;
	}
	put_value(o, key, p, v);
}

static bool
has_body(const struct catalog_row *row)
{
	return row->form != FORM_NONE && row->form != FORM_BYTES;
}

static void
place(struct reading *r)
{
	struct call *c = r->call;
	size_t       segment = 0;

	for (size_t i = 0; i < r->n; i++) {
		const struct catalog_param *p = &r->params[i];
		const struct json          *v = lookup(c->with, p->name);

		if (v == NULL)
			continue;
		if (p->place == PLACE_PATH)
			c->segments[segment++] = json_text(v);
		else if (p->place == PLACE_BODY)
			put_nested(c->body, p, v);
		else if (p->place == PLACE_FILE)
			c->media = (struct media_want){ .wanted = true,
				.type = 1, .source = json_text(v) };
	}
}

enum result
params_read(struct call *c, enum call_id id)
{
	struct reading r = { .call = c, .id = id };
	enum result    result;

	r.params = catalog_params(id, &r.n);
	json_each(c->with, check_name, &r);
	if (r.result != RESULT_OK ||
	    (result = check_needs(&r)) != RESULT_OK ||
	    (result = check_rules(&r)) != RESULT_OK)
		return r.result != RESULT_OK ? r.result : result;
	for (size_t i = 0; i < r.n; i++) {
		const struct json *v = lookup(c->with, r.params[i].name);

		if (v != NULL &&
		    (result = check_value(&r, &r.params[i], v)) != RESULT_OK)
			return result;
	}
	if (has_body(c->row) && (c->body = json_new_object()) == NULL)
		return call_wrong(c, RESULT_RATE_LIMITED, "out of memory");
	place(&r);
	return RESULT_OK;
}

/* --- addresses ------------------------------------------------------------------ */

/* RFC 3986: letters, digits, - . _ ~ stand for themselves. */
static bool
is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
	    c == '~';
}

void
params_encode(struct buf *url, struct slice value)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];
		char          code[3] = { '%', hex[c >> 4], hex[c & 15] };

		if (is_unreserved(value.p[i]))
			buf_put(url, (struct slice){ value.p + i, 1 });
		else
			buf_put(url, (struct slice){ code, 3 });
	}
}

void
params_query(const struct json *with, enum call_id id, struct buf *url)
{
	size_t                      n;
	const struct catalog_param *p = catalog_params(id, &n);
	const char                 *sign = "?";

	for (size_t i = 0; i < n; i++) {
		const struct json *v;

		if (p[i].place != PLACE_QUERY ||
		    (v = lookup(with, p[i].name)) == NULL)
			continue;
		buf_puts(url, sign);
		buf_puts(url, p[i].name);
		buf_puts(url, "=");
		if (p[i].type == TYPE_FLAG)
			buf_puts(url, json_truth(v) ? "true" : "false");
		else
			params_encode(url, json_text(v));
		sign = "&";
	}
}
