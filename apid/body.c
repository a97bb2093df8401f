/*
 * Users and groups are told a msg_type and, with an answer, a msg_seq, and
 * take pictures by their file_info; channels and direct conversations know
 * none of that, and undo &amp; &lt; &gt; in a text, whose < > are markup.
 */
#include "body.h"

#include <stdio.h>
#include <stdlib.h>

#include "shape.h"

enum { TYPE_OF_TEXT = 0, TYPE_OF_TYPING = 6, TYPE_OF_MEDIA = 7 };
/* Replies count 1, 2, ...: far above them streams have a range of numbers, and
 * typing signs have theirs. */
enum { TYPING_MAX_S = 60, STREAM_SEQ = 0x4000, TYPING_SEQ = 0x8000 };

/* What a message can be, besides a text: one of these. */
static const struct {
	const char *name;
	int64_t     msg_type;
	unsigned    file;       /* media_want.type; 0: none */
	bool        caption;    /* a text may go with it */
} contents[] = {
	{ "markdown", 2, 0, false }, { "ark", 3, 0, false },
	{ "embed", 4, 0, false },    { "image", TYPE_OF_MEDIA, 1, true },
	{ "video", TYPE_OF_MEDIA, 2, false },
	{ "audio", TYPE_OF_MEDIA, 3, false },
	{ "file", TYPE_OF_MEDIA, 4, true },
	{ "media", TYPE_OF_MEDIA, 0, true },
};

enum { CONTENTS = sizeof contents / sizeof *contents, NO_CONTENT = CONTENTS };

static bool
knows_types(const struct call *c)
{
	return c->scope == SCOPE_C2C || c->scope == SCOPE_GROUP;
}

static bool
is_reply(const struct call *c)
{
	return c->operation->needs & NEEDS_ANCHOR;
}

static bool
has_text(const struct call *c)
{
	return slice_trim(c->args->text).n > 0;
}

static enum result
no_memory(struct call *c)
{
	return call_wrong(c, RESULT_RATE_LIMITED, "out of memory");
}

/* --- text -------------------------------------------------------------------- */

static void
put_escaped(struct buf *out, struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		const char *as = s.p[i] == '&' ? "&amp;"
		    : s.p[i] == '<'            ? "&lt;"
		    : s.p[i] == '>'            ? "&gt;" : NULL;

		if (as != NULL)
			buf_puts(out, as);
		else
			buf_put(out, (struct slice){ s.p + i, 1 });
	}
}

static enum result
put_mention(struct call *c, struct buf *out, struct slice user)
{
	if (slice_is(user, "all")) {
		if (c->scope != SCOPE_CHANNEL)
			return call_wrong(c, RESULT_UNSUPPORTED,
			    "at: everyone can be mentioned in channels only");
		buf_puts(out, "<qqbot-at-everyone /> ");
		return RESULT_OK;
	}
	for (size_t i = 0; i < user.n; i++)
		if (strchr("<>\"&", user.p[i]) != NULL)
			return call_wrong(c, RESULT_BAD_ARG, "at: not an id");
	if (!call_is_id(user))
		return call_wrong(c, RESULT_BAD_ARG, "at: not an id");
	buf_puts(out, "<qqbot-at-user id=\"");
	buf_put(out, user);
	buf_puts(out, "\" /> ");
	return RESULT_OK;
}

/* A list, or text with commas. */
static enum result
put_mentions(struct call *c, struct buf *out)
{
	const struct json *at = json_get(c->with, "at");
	struct slice       s = json_text(at);
	enum result        result = RESULT_OK;

	for (size_t i = 0; result == RESULT_OK && i < json_count(at); i++)
		result = put_mention(c, out, json_text(json_at(at, i)));
	while (result == RESULT_OK && s.n > 0) {
		const char *comma = memchr(s.p, ',', s.n);
		size_t      len = comma != NULL ? (size_t)(comma - s.p) : s.n;

		result = put_mention(c, out, (struct slice){ s.p, len });
		s = slice_from(s, len + 1);
	}
	return result;
}

/* Mentions and text as `content`; nothing when there is neither. */
static enum result
put_content(struct call *c)
{
	bool escape = !knows_types(c) &&
	    !json_truth(json_get(c->with, "markup"));
	struct buf  out = { 0 };
	enum result result;

	if (!escape && json_get(c->with, "at") == NULL) {
		if (has_text(c))
			json_put_text(c->body, "content", c->args->text);
		return RESULT_OK;
	}
	result = put_mentions(c, &out);
	if (has_text(c) && escape)
		put_escaped(&out, c->args->text);
	else if (has_text(c))
		buf_put(&out, c->args->text);
	if (out.failed)
		result = no_memory(c);
	if (result == RESULT_OK && out.n > 0)
		json_put_text(c->body, "content", buf_slice(&out));
	buf_free(&out);
	return result;
}

/* --- markdown, cards, files ----------------------------------------------------- */

static enum result
put_shape(struct call *c, const char *name, const char *wrong)
{
	if (wrong != NULL)
		return call_wrong(c, RESULT_BAD_ARG, "%s: %s", name, wrong);
	json_put_ref(c->body, name, json_get(c->with, name));
	return RESULT_OK;
}

/* The mentions stand before the text of a markdown of its own. */
static enum result
put_markdown(struct call *c)
{
	const struct json *v = json_get(c->with, "markdown");
	struct json       *o;
	struct buf         text = { 0 };
	enum result        result;

	if (json_is_object(v) && json_get(c->with, "at") == NULL)
		return put_shape(c, "markdown", shape_markdown(v));
	if (json_is_object(v))
		return call_wrong(c, RESULT_UNSUPPORTED,
		    "at: goes with a markdown that is a text");
	if (slice_trim(json_text(v)).n == 0)
		return call_wrong(c, RESULT_BAD_ARG, "markdown: is empty");
	result = put_mentions(c, &text);
	buf_put(&text, json_text(v));
	o = json_new_object();
	json_put_text(o, "content", buf_slice(&text));
	json_put_take(c->body, "markdown", o);
	if (text.failed)
		result = no_memory(c);
	buf_free(&text);
	return result;
}

static enum result
put_keyboard(struct call *c)
{
	const struct json *v = json_get(c->with, "keyboard");
	struct json       *o;

	if (json_is_object(v))
		return put_shape(c, "keyboard", shape_keyboard(v));
	if (slice_trim(json_text(v)).n == 0)
		return call_wrong(c, RESULT_BAD_ARG, "keyboard: is empty");
	o = json_new_object();
	json_put_text(o, "id", json_text(v));
	json_put_take(c->body, "keyboard", o);
	return RESULT_OK;
}

static enum result
put_file(struct call *c, const char *name, unsigned type)
{
	struct slice source = json_text_at(c->with, name);
	struct json *media;

	if (slice_trim(source).n == 0)
		return call_wrong(c, RESULT_BAD_ARG, "%s: is empty", name);
	if (type > 0) {
		c->media = (struct media_want){ .wanted = true, .type = type,
			.source = source,
			.name = json_text_at(c->with, "name") };
		return RESULT_OK;
	}
	media = json_new_object();
	json_put_text(media, "file_info", source);
	json_put_take(c->body, "media", media);
	return RESULT_OK;
}

static enum result
put_kind(struct call *c, size_t kind)
{
	const char *name = kind < CONTENTS ? contents[kind].name : "";

	if (strcmp(name, "markdown") == 0)
		return put_markdown(c);
	if (strcmp(name, "ark") == 0)
		return put_shape(c, name, shape_ark(json_get(c->with, name)));
	if (strcmp(name, "embed") == 0)
		return put_shape(c, name,
		    shape_embed(json_get(c->with, name)));
	if (kind < CONTENTS)
		return put_file(c, name, contents[kind].file);
	return RESULT_OK;
}

/* --- one message ----------------------------------------------------------------- */

/* Which of contents it is; two of them are two messages. */
static enum result
find_kind(struct call *c, size_t *kind)
{
	*kind = NO_CONTENT;
	for (size_t i = 0; i < CONTENTS; i++) {
		if (json_get(c->with, contents[i].name) == NULL)
			continue;
		if (*kind != NO_CONTENT)
			return call_wrong(c, RESULT_TOO_MUCH,
			    "%s and %s: they are two messages",
			    contents[*kind].name, contents[i].name);
		*kind = i;
	}
	if (*kind == NO_CONTENT || !has_text(c) || contents[*kind].caption)
		return RESULT_OK;
	return call_wrong(c, RESULT_TOO_MUCH,
	    "text and %s: they are two messages", contents[*kind].name);
}

static enum result
check_whole(struct call *c, size_t kind)
{
	bool keys = json_get(c->with, "keyboard") != NULL;
	bool at = json_get(c->with, "at") != NULL;
	bool markdown = kind == 0;

	if (keys && (has_text(c) || at) && !markdown)
		return call_wrong(c, RESULT_UNSUPPORTED,
		    "keyboard: goes with markdown, not with text");
	if (keys && kind != NO_CONTENT && !markdown)
		return call_wrong(c, RESULT_UNSUPPORTED,
		    "keyboard: goes with markdown, not with %s",
		    contents[kind].name);
	if (at && kind != NO_CONTENT && !markdown && !contents[kind].caption)
		return call_wrong(c, RESULT_UNSUPPORTED,
		    "at: goes with text or markdown, not with %s",
		    contents[kind].name);
	if (kind == NO_CONTENT && !keys && !at && !has_text(c))
		return call_wrong(c, RESULT_BAD_ARG, "text: is empty");
	return RESULT_OK;
}

/* What is quoted; to users and groups by an index of the platform's. */
static enum result
put_quote(struct call *c)
{
	const struct json *quote = json_get(c->with, "quote");
	const struct json *given = json_get(c->with, "reference");
	struct slice       id = json_text(quote);
	bool               this_one = json_truth(quote);
	struct json       *o;

	if (quote != NULL && given != NULL)
		return call_wrong(c, RESULT_BAD_ARG,
		    "quote, reference: one of them");
	if (given != NULL && json_text_at(given, "message_id").n == 0)
		return call_wrong(c, RESULT_BAD_ARG,
		    "reference: has message_id");
	json_put_ref(c->body, "message_reference", given);
	if (quote == NULL || slice_is(id, "false") || slice_is(id, "0"))
		return RESULT_OK;
	if (this_one && !is_reply(c))
		return call_wrong(c, RESULT_BAD_ARG,
		    "quote: a send names what it quotes");
	if (this_one)
		id = !knows_types(c) ? c->args->msg
		    : json_get(c->with, "ref") != NULL
		    ? json_text_at(c->with, "ref") : c->args->ref;
	if (this_one && id.n == 0)
		return RESULT_OK; /* there is nothing it could be named by */
	if (!call_is_id(id) ||
	    (knows_types(c) && !slice_starts(id, SLICE("REFIDX_"))))
		return call_wrong(c, RESULT_BAD_ARG, "quote: not %s",
		    knows_types(c) ? "an index REFIDX_..., as users and groups "
		                     "want it"
		                   : "an id");
	o = json_new_object();
	json_put_text(o, "message_id", id);
	json_put_bool(o, "ignore_get_message_error", true);
	json_put_take(c->body, "message_reference", o);
	return RESULT_OK;
}

static enum result
put_extras(struct call *c)
{
	static const char *const plain[] = { "subscribe_id", "feature_id" };
	enum result              result = RESULT_OK;

	for (size_t i = 0; i < 2; i++)
		json_put_ref(c->body, plain[i], json_get(c->with, plain[i]));
	if (json_get(c->with, "prompt_keyboard") != NULL)
		result = put_shape(c, "prompt_keyboard",
		    shape_prompt(json_get(c->with, "prompt_keyboard")));
	if (result == RESULT_OK && json_get(c->with, "action_button") != NULL)
		result = put_shape(c, "action_button",
		    shape_action(json_get(c->with, "action_button")));
	if (!json_truth(json_get(c->with, "wakeup")))
		return result;
	if (is_reply(c))
		return call_wrong(c, RESULT_BAD_ARG,
		    "wakeup: answers nothing; it is for send");
	json_put_bool(c->body, "is_wakeup", true);
	return result;
}

/* The message answered wins over the event: the platform takes one of them. */
static void
put_anchor(struct call *c)
{
	const struct msg_call *m = c->args;

	if (m->msg.n > 0)
		json_put_text(c->body, "msg_id", m->msg);
	else if (m->event.n > 0)
		json_put_text(c->body, "event_id", m->event);
	c->passive = m->msg.n > 0 || m->event.n > 0;
}

enum result
body_message(struct call *c)
{
	size_t      kind;
	enum result result;

	if ((result = find_kind(c, &kind)) != RESULT_OK ||
	    (result = check_whole(c, kind)) != RESULT_OK)
		return result;
	if ((c->body = json_new_object()) == NULL)
		return no_memory(c);
	c->speaks = true;
	if (knows_types(c))
		json_put_int(c->body, "msg_type",
		    kind < CONTENTS                              ? contents[kind].msg_type
		    : json_get(c->with, "keyboard") != NULL ? 2
		                                            : TYPE_OF_TEXT);
	result = kind == 0 ? RESULT_OK : put_content(c);
	if (result == RESULT_OK)
		result = put_kind(c, kind);
	if (result == RESULT_OK && json_get(c->with, "keyboard") != NULL)
		result = put_keyboard(c);
	if (result == RESULT_OK)
		result = put_quote(c);
	if (result == RESULT_OK)
		result = put_extras(c);
	if (is_reply(c))
		put_anchor(c);
	c->has_seq = is_reply(c) && knows_types(c);
	if (c->has_seq)
		json_put_int(c->body, "msg_seq", (int64_t)c->args->n);
	return result;
}

/* --- parts of a message that grows --------------------------------------------------- */

static enum result
check_stream(struct call *c, int64_t *at, bool *markdown)
{
	const struct json *index = json_get(c->with, "index");
	struct slice       format = json_text_at(c->with, "format");
	bool first, final = json_truth(json_get(c->with, "final"));
	bool append = json_truth(json_get(c->with, "append"));
	bool named = json_text_at(c->with, "id").n > 0;

	c->known = json_truth(json_get(c->with, "known"));

	if (!json_int(index, at) || *at < 0 || *at > INT32_MAX)
		return call_wrong(c, RESULT_BAD_ARG,
		    "index: 0, then one more each time");
	first = *at == 0;
	if (first && named)
		return call_wrong(c, RESULT_BAD_ARG,
		    "id: the first part has none; the answer to it tells it");
	if (!first && !named)
		return call_wrong(c, RESULT_BAD_ARG,
		    "id: which stream (the answer to the first part tells)");
	if (format.n > 0 && !slice_is(format, "text") &&
	    !slice_is(format, "markdown"))
		return call_wrong(c, RESULT_BAD_ARG,
		    "format: text or markdown");
	*markdown = !slice_is(format, "text");
	if (!has_text(c) && !(final && append) && !c->known)
		return call_wrong(c, RESULT_BAD_ARG, "text: is empty");
	return RESULT_OK;
}

/* A part that replaces the whole may come twice.  All parts have one number,
 * that of their stream within what it answers. */
enum result
body_stream(struct call *c)
{
	const struct msg_call *m = c->args;
	bool        append = json_truth(json_get(c->with, "append"));
	bool        markdown = true, wakeup = json_truth(json_get(c->with, "wakeup"));
	int64_t     at;
	enum result result = check_stream(c, &at, &markdown);

	if (result != RESULT_OK)
		return result;
	if (m->n >= STREAM_SEQ)
		return call_wrong(c, RESULT_BAD_ARG, "n: streams are numbered "
		    "1, 2, ...");
	if (wakeup && (m->msg.n > 0 || m->event.n > 0))
		return call_wrong(c, RESULT_BAD_ARG,
		    "wakeup: answers nothing");
	if ((c->body = json_new_object()) == NULL)
		return no_memory(c);
	json_put_text(c->body, "input_mode",
	    append ? SLICE("append") : SLICE("replace"));
	json_put_int(c->body, "input_state",
	    json_truth(json_get(c->with, "final")) ? 10 : 1);
	json_put_int(c->body, "index", at);
	json_put_text(c->body, "content_type",
	    markdown ? SLICE("markdown") : SLICE("text"));
	json_put_text(c->body, "content_raw",
	    m->text.n > 0 ? m->text : SLICE(""));
	put_anchor(c);
	json_put_ref(c->body, "stream_msg_id", json_get(c->with, "id"));
	json_put_int(c->body, "msg_seq", STREAM_SEQ + (m->n > 0 ? (int64_t)m->n
	                                                       : 1));
	if (wakeup)
		json_put_bool(c->body, "is_wakeup", true);
	c->part = at == 0 ? PART_FIRST : PART_LATER;
	c->speaks = at == 0;
	c->has_seq = !append;
	return RESULT_OK;
}

/* It takes a msg_seq like any other answer: one that no reply has, as nobody
 * gives more than a few to one message. */
enum result
body_typing(struct call *c)
{
	const struct json *seconds = json_get(c->with, "seconds");
	int64_t            s = TYPING_MAX_S;
	struct json       *o;

	if (seconds != NULL &&
	    (!json_int(seconds, &s) || s < 1 || s > TYPING_MAX_S))
		return call_wrong(c, RESULT_BAD_ARG, "seconds: 1 to 60");
	o = json_new_object();
	json_put_int(o, "input_type", 1);
	json_put_int(o, "input_second", s);
	c->body = json_new_object();
	json_put_int(c->body, "msg_type", TYPE_OF_TYPING);
	json_put_take(c->body, "input_notify", o);
	put_anchor(c);
	json_put_int(c->body, "msg_seq", (int64_t)(TYPING_SEQ |
	    (slice_hash(c->args->id) & (TYPING_SEQ - 1))));
	c->has_seq = true;
	return c->body != NULL ? RESULT_OK : no_memory(c);
}
