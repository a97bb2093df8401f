/*
 * One interpreter over events.def.
 */
#include "normal.h"

#include "date.h"
#include "extra.h"

#include <stdio.h>
#include <stdlib.h>

static const struct normal_row rows[] = {
#define EVENT(name, type, conv, user, text, reply)                           \
	{ name, type, conv, user, TEXT_##text, REPLY_##reply,               \
	  sizeof name - 1 },
#include "events.def"
#undef EVENT
};
enum { ROWS = sizeof rows / sizeof *rows };

/* Where the name of who did it, and the time, may stand. */
#define NAMES "member.nick|author.username|nick|user.username|username"
#define TIMES                                                                \
	"timestamp|apply_at|audit_time|date_time|thread_info.date_time|"     \
	"post_info.date_time|reply_info.date_time"

const struct normal_row *
normal_row(struct slice name)
{
	size_t i = 0;

	while (i < ROWS - 1 && !slice_eq(name,
	           (struct slice){ rows[i].name, rows[i].nname }))
		i++;
	return &rows[i]; /* the last row is for what no other names */
}

size_t
normal_rows(const struct normal_row **out)
{
	*out = rows;
	return ROWS;
}

bool
normal_is_session(struct slice type)
{
	return slice_is(type, "READY") || slice_is(type, "RESUMED");
}

/* --- paths --------------------------------------------------------------------------- */

/* The first of path|path that holds a text; up to the end or a blank. */
static struct slice
first_text(const struct json *d, const char *paths)
{
	char path[64];

	while (*paths != '\0' && *paths != ' ') {
		size_t       n = strcspn(paths, "| ");
		struct slice v;

		if (n < sizeof path) {
			memcpy(path, paths, n);
			path[n] = '\0';
			v = json_text_at(d, path);
			if (v.n > 0)
				return v;
		}
		paths += n + (paths[n] == '|');
	}
	return (struct slice){ NULL, 0 };
}

/* A conversation of its own for what names none: still in order. */
static void
put_conv(struct buf *out, const struct json *d, const char *spec,
    const char *bot)
{
	while (*spec != '\0') {
		size_t       n = strcspn(spec, " ");
		struct slice id = first_text(d, spec + 2);

		if (id.n > 0) {
			buf_put(out, (struct slice){ spec, 2 });
			buf_put(out, id);
			return;
		}
		spec += n + (spec[n] == ' ');
	}
	buf_putf(out, "b:%s", bot);
}

static uint64_t
hash64(struct slice s, uint64_t h)
{
	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * 1099511628211ull;
	return h;
}

/* Equal ids are one event.  An event without any id is what it says.  Two
 * bots in one channel both see a message: that is two events; so are two
 * conversations in which the platform has used one id. */
static void
put_id(struct buf *out, const struct payload *p, const struct normal_row *row,
    const char *bot, struct slice conv)
{
	struct slice msg = json_text_at(p->d, "id");

	if (row->text != TEXT_NO && msg.n > 0) {
		buf_puts(out, "m:");
		buf_put(out, msg);
	} else if (p->id.n > 0)
		buf_put(out, p->id);
	else
		buf_putf(out, "h:%016llx", (unsigned long long)hash64(
		    json_print(p->d),
		    hash64(p->type, 14695981039346656037ull)));
	buf_putf(out, "@%s/", bot);
	buf_put(out, conv);
}

/* --- text ---------------------------------------------------------------------------- */

static const struct {
	struct slice from;
	char         to;
} entities[] = {
	{ SLICE("&lt;"), '<' }, { SLICE("&gt;"), '>' }, { SLICE("&amp;"), '&' },
};

/* Length of a mention of this id at the start of s: <@id> or <@!id>. */
static size_t
mention_of(struct slice s, struct slice id)
{
	size_t at = slice_starts(s, SLICE("<@!")) ? 3
	    : slice_starts(s, SLICE("<@"))        ? 2
	                                          : 0;

	if (at == 0 || id.n == 0 || s.n < at + id.n + 1 ||
	    !slice_starts(slice_from(s, at), id) || s.p[at + id.n] != '>')
		return 0;
	return at + id.n + 1;
}

/* One piece of text, undone: returns how much of s it was. */
static size_t
put_piece(struct buf *out, struct slice s, bool guild)
{
	size_t face = guild || s.p[0] != '<' ? 0 : extra_face(out, s);

	if (face > 0)
		return face;
	for (size_t i = 0; guild && i < sizeof entities / sizeof *entities; i++)
		if (slice_starts(s, entities[i].from)) {
			buf_put(out, (struct slice){ &entities[i].to, 1 });
			return entities[i].from.n;
		}
	buf_put(out, (struct slice){ s.p, 1 });
	return 1;
}

/* Whose mentions are ours: the id we were told at READY, those marked
 * is_you, and, not told yet, in a message that came because it addresses us
 * (AT_...) the bot it mentions. */
static bool
is_me(const struct payload *p, const struct json *mention, const char *user)
{
	if (json_truth(json_get(mention, "is_you")))
		return true;
	if (user[0] != '\0')
		return slice_is(json_text_at(mention, "id"), user);
	return slice_starts(p->type, SLICE("AT_")) &&
	    json_truth(json_get(mention, "bot"));
}

static size_t
own_mention(struct slice s, const struct payload *p, const char *user)
{
	const struct json *list = json_get(p->d, "mentions");
	size_t             n = mention_of(s, slice_of(user));

	for (size_t i = 0; n == 0 && i < json_count(list); i++) {
		const struct json *m = json_at(list, i);

		if (!is_me(p, m, user))
			continue;
		n = mention_of(s, json_text_at(m, "member_openid"));
		if (n == 0)
			n = mention_of(s, json_text_at(m, "id"));
	}
	return n;
}

static struct slice
put_text(struct buf *out, const struct payload *p,
    const struct normal_row *row, const char *user)
{
	struct slice s = json_text_at(p->d, "content");
	bool         guild = row->text == TEXT_GUILD;

	while (s.n > 0) {
		size_t n = s.p[0] == '<' ? own_mention(s, p, user) : 0;

		s = slice_from(s, n > 0 ? n : put_piece(out, s, guild));
	}
	return slice_trim(buf_slice(out));
}

static bool
addresses_me(const struct payload *p, const struct normal_row *row,
    const char *user)
{
	const struct json *list = json_get(p->d, "mentions");

	/* the names of events that come only when the bot is spoken to */
	if (slice_starts(p->type, SLICE("AT_")) ||
	    slice_starts(p->type, SLICE("GROUP_AT_")) ||
	    strcmp(row->type, "message.c2c") == 0 ||
	    strcmp(row->type, "message.dm") == 0)
		return true;
	for (size_t i = 0; i < json_count(list); i++)
		if (is_me(p, json_at(list, i), user))
			return true;
	return false;
}

/* --- lists ----------------------------------------------------------------------------- */

static void
copy_text(struct json *to, const char *key, const struct json *from,
    const char *paths)
{
	struct slice v = first_text(from, paths);

	if (v.n > 0)
		json_put_text(to, key, v);
}

/* How guilds tell it, in the form of groups. */
static struct json *
everyone(void)
{
	struct json *o = json_new_object();

	json_put_bool(o, "bot", false);
	json_put_bool(o, "all", true);
	json_put_bool(o, "me", false);
	return o;
}

static struct json *
mentions(const struct payload *p, const char *user)
{
	const struct json *list = json_get(p->d, "mentions");
	bool               all = json_truth(json_get(p->d,
	    "mention_everyone"));
	struct json       *out;

	if (json_count(list) == 0 && !all)
		return NULL;
	out = json_new_array();
	for (size_t i = 0; i < json_count(list); i++) {
		const struct json *m = json_at(list, i);
		struct json       *o = json_new_object();

		copy_text(o, "user", m, "member_openid|user_openid|id");
		copy_text(o, "name", m, "nickname|username");
		json_put_bool(o, "bot", json_truth(json_get(m, "bot")));
		json_put_bool(o, "all",
		    slice_is(json_text_at(m, "scope"), "all"));
		json_put_bool(o, "me", is_me(p, m, user));
		json_push_take(out, o);
	}
	if (all)
		json_push_take(out, everyone());
	return out;
}

/* Guilds quote by message id; groups and users by an index, and they carry
 * what is quoted. */
static struct json *
quote(const struct json *d)
{
	const struct json *first = json_at(json_get(d, "msg_elements"), 0);
	struct slice       ref = json_text_at(d,
	    "message_reference.message_id");
	bool               quoted = slice_is(json_text_at(d, "message_type"),
	    "103");
	struct json       *q, *list;

	if (ref.n == 0)
		ref = extra_ext(d, "ref_msg_idx");
	if (ref.n == 0 && !(quoted && first != NULL))
		return NULL;
	q = json_new_object();
	if (ref.n > 0)
		json_put_text(q, "msg", ref);
	if (quoted) {
		copy_text(q, "msg", first, "msg_idx");
		copy_text(q, "text", first, "content");
		copy_text(q, "user", first,
		    "author.member_openid|author.user_openid|author.id");
		if ((list = extra_attachments(first)) != NULL)
			json_put_take(q, "attachments", list);
	}
	return q;
}

/* value (taken, may be NULL) as MessagePack. */
static struct slice
packed(struct buf *out, struct json *value)
{
	if (value != NULL)
		json_to_msgpack(value, out);
	json_free(&value);
	return buf_slice(out);
}

/* --- the whole --------------------------------------------------------------------------- */

static void
fill_message(const struct payload *p, const struct normal_row *row,
    const struct normal_context *c, struct normal_scratch *s,
    struct msg_event *ev)
{
	ev->msg = json_text_at(p->d, "id");
	ev->role = json_text_at(p->d, "author.member_role");
	ev->from_bot = json_truth(json_path(p->d, "author.bot"));
	ev->to_me = addresses_me(p, row, c->user);
	ev->text = put_text(&s->text, p, row, c->user);
	ev->attachments = packed(&s->attachments, extra_attachments(p->d));
	ev->mentions = packed(&s->mentions, mentions(p, c->user));
	ev->quote = packed(&s->quote, quote(p->d));
	ev->data = packed(&s->data, extra_data(p->d));
}

static void
fill_reply(const struct normal_row *row, const struct normal_context *c,
    struct msg_event *ev)
{
	const struct normal_rules *r = c->rules;
	bool                       c2c = slice_starts(ev->conv, SLICE("u:"));
	bool                       group = slice_starts(ev->conv, SLICE("g:"));

	if (row->reply == REPLY_NO ||
	    (row->reply == REPLY_MSG ? ev->msg.n : ev->event.n) == 0)
		return;
	/* From arrival, not from the platform's time stamp: clocks differ,
	 * and a refusal costs less than a reply not tried. */
	ev->deadline = c->now_ms +
	    (int64_t)(c2c ? r->c2c_window_ms : r->group_window_ms);
	ev->replies_left = c2c ? r->c2c_replies
	    : group            ? r->group_replies
	                       : 100;
}

static void
reset(struct normal_scratch *s)
{
	struct buf *all[] = { &s->id, &s->type, &s->conv, &s->text,
		&s->attachments, &s->mentions, &s->quote, &s->data };

	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		buf_reset(all[i]);
}

static bool
failed(const struct normal_scratch *s)
{
	return s->id.failed || s->type.failed || s->conv.failed ||
	    s->text.failed || s->attachments.failed || s->mentions.failed ||
	    s->quote.failed || s->data.failed;
}

/* Names by which others know an event again are C strings in places: what one
 * of those would end at is no part of any name of the platform's. */
static void
put_no_nul(struct buf *b)
{
	for (char *at = b->p; b->n > 0 &&
	     (at = memchr(at, '\0', b->n - (size_t)(at - b->p))) != NULL;)
		*at = '?';
}

#define NIL "\xc0"   /* as good as nothing, on the wire */

enum err
normal_event(const struct payload *p, const struct normal_context *c,
    struct normal_scratch *s, struct msg_event *ev)
{
	const struct normal_row *row = normal_row(p->type);

	reset(s);
	*ev = (struct msg_event){ .attempt = 1, .event = p->id,
		.bot = slice_of(c->bot), .shard = slice_of(c->shard) };
	buf_puts(&s->type, row->type);
	if (row->name[0] == '\0')
		buf_put(&s->type, p->type);
	put_conv(&s->conv, p->d, row->conv, c->bot);
	put_id(&s->id, p, row, c->bot, buf_slice(&s->conv));
	put_no_nul(&s->type);
	put_no_nul(&s->conv);
	put_no_nul(&s->id);
	ev->id = buf_slice(&s->id);
	ev->type = buf_slice(&s->type);
	ev->conv = buf_slice(&s->conv);
	ev->user = first_text(p->d, row->user);
	ev->name = first_text(p->d, NAMES);
	ev->time = date_ms(first_text(p->d, TIMES));
	if (ev->time == 0)
		ev->time = c->now_ms;
	if (row->text != TEXT_NO)
		fill_message(p, row, c, s, ev);
	else if (p->d != NULL && json_to_msgpack(p->d, &s->data) == ERR_OK &&
	    !slice_is(buf_slice(&s->data), NIL))
		ev->data = buf_slice(&s->data);
	fill_reply(row, c, ev);
	ev->raw = p->raw;
	return failed(s) ? ERR_NOMEM : ERR_OK;
}

void
normal_free(struct normal_scratch *s)
{
	struct buf *all[] = { &s->id, &s->type, &s->conv, &s->text,
		&s->attachments, &s->mentions, &s->quote, &s->data };

	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		buf_free(all[i]);
}
