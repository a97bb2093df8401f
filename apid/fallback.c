/*
 * The members of a body that go, and the marks of markdown that a reader of
 * plain text does not need.
 */
#include "fallback.h"

#include "json.h"

enum { MSG_TEXT = 0, MSG_MARKDOWN = 2, MSG_TYPING = 6 };

static const struct {
	uint64_t code;
	bool     lasting;
} markdown_codes[] = {
	{ 40034012, true }, { 304041, true }, { 304036, true },
	{ 50056, true }, { 40034127, true }, { 40034090, true },
	{ 40034011, false }, { 50055, false },
};

bool
fallback_is_markdown(uint64_t code, bool *lasting)
{
	for (size_t i = 0;
	     i < sizeof markdown_codes / sizeof *markdown_codes; i++)
		if (markdown_codes[i].code == code) {
			*lasting = markdown_codes[i].lasting;
			return true;
		}
	return false;
}

bool
fallback_has_markdown(struct slice body)
{
	/* In a text of somebody's the quote would have a backslash. */
	static const char member[] = "\"markdown\":";

	return body.n > 0 &&
	    memmem(body.p, body.n, member, sizeof member - 1) != NULL;
}

/* --- marks ---------------------------------------------------------------- */

static size_t
find(struct slice s, size_t from, char c)
{
	for (size_t i = from; i < s.n && s.p[i] != '\n'; i++)
		if (s.p[i] == c)
			return i;
	return s.n;
}

/* [text](address), ![text #1px #2px](address): the text; 0: it is none. */
static size_t
put_link(struct slice s, size_t at, struct buf *out)
{
	size_t from = at + (s.p[at] == '!') + 1, end = find(s, from, ']');
	size_t close = end + 1 < s.n && s.p[end + 1] == '('
	    ? find(s, end + 1, ')')
	    : s.n;
	struct slice text = { s.p + from, end - from };
	const char  *size;

	if (close >= s.n)
		return 0;
	if (s.p[at] == '!' && (size = memmem(text.p, text.n, " #", 2)) != NULL)
		text.n = (size_t)(size - text.p);
	buf_put(out, text);
	return close + 1 - at;
}

/* What a line begins with, and nobody needs to see. */
static size_t
line_mark(struct slice s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] == '#')
		n++;
	if (n == 0 && s.n > 0 && s.p[0] == '>')
		n = 1;
	if (n == 0 || (n < s.n && s.p[n] != ' ' && s.p[0] == '#'))
		return 0;
	while (n < s.n && s.p[n] == ' ')
		n++;
	return n;
}

void
fallback_strip(struct slice s, struct buf *out)
{
	size_t i = 0, n;

	while (i < s.n) {
		struct slice rest = slice_from(s, i);

		if ((i == 0 || s.p[i - 1] == '\n') &&
		    (n = line_mark(rest)) > 0)
			i += n;
		else if (slice_starts(rest, SLICE("**")) ||
		    slice_starts(rest, SLICE("~~")))
			i += 2;
		else if ((rest.p[0] == '[' ||
		             slice_starts(rest, SLICE("!["))) &&
		    (n = put_link(s, i, out)) > 0)
			i += n;
		else {
			buf_put(out, (struct slice){ rest.p, 1 });
			i++;
		}
	}
}

/* --- bodies --------------------------------------------------------------- */

/* All members but those that are named. */
struct copying {
	struct json       *to;
	const char *const *without;
};

static void
copy_member(void *self, const char *key, const struct json *value)
{
	struct copying *c = self;

	for (const char *const *w = c->without; *w != NULL; w++)
		if (strcmp(*w, key) == 0)
			return;
	json_put_ref(c->to, key, value);
}

static struct json *
copy_without(const struct json *doc, const char *const *without)
{
	struct copying c = { json_new_object(), without };

	json_each(doc, copy_member, &c);
	return c.to;
}

static enum err
put(struct json **doc, struct json **made, struct buf *out)
{
	size_t before = out->n;

	json_write(*made, out);
	json_free(made);
	json_free(doc);
	return out->failed || out->n == before ? ERR_NOMEM : ERR_OK;
}

enum err
fallback_active(struct slice body, struct buf *out)
{
	static const char *const gone[] = { "msg_id", "event_id", "msg_seq",
		NULL };
	struct json *doc, *made;
	int64_t      type = 0;

	if (json_parse(&doc, body) != ERR_OK)
		return ERR_SYNTAX;
	if ((json_int_at(doc, "msg_type", &type) && type == MSG_TYPING) ||
	    json_get(doc, "input_mode") != NULL) {
		json_free(&doc);
		return ERR_SYNTAX;
	}
	made = copy_without(doc, gone);
	return put(&doc, &made, out);
}

enum err
fallback_plain(struct slice body, struct buf *out)
{
	static const char *const gone[] = { "markdown", "keyboard", "msg_type",
		"content", NULL };
	struct json *doc, *made;
	struct buf   text = { 0 };

	if (json_parse(&doc, body) != ERR_OK)
		return ERR_SYNTAX;
	fallback_strip(json_text_at(doc, "markdown.content"), &text);
	if (slice_trim(buf_slice(&text)).n == 0) {
		buf_free(&text);
		json_free(&doc);
		return ERR_SYNTAX;
	}
	made = copy_without(doc, gone);
	if (json_get(doc, "msg_type") != NULL)
		json_put_int(made, "msg_type", MSG_TEXT);
	json_put_text(made, "content", buf_slice(&text));
	buf_free(&text);
	return put(&doc, &made, out);
}

static void
put_flag(void *self, const char *key, const struct json *value)
{
	(void)value;
	json_put_int(self, key, 1);
}

enum err
fallback_role(struct slice body, struct buf *out)
{
	struct json *doc, *made, *filter;

	if (json_parse(&doc, body) != ERR_OK)
		return ERR_SYNTAX;
	if (json_get(doc, "info") != NULL) {
		json_free(&doc);
		return ERR_SYNTAX;
	}
	filter = json_new_object();
	json_each(doc, put_flag, filter);
	made = json_new_object();
	json_put_take(made, "filter", filter);
	json_put_ref(made, "info", doc);
	return put(&doc, &made, out);
}
