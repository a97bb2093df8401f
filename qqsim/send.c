/*
 * The platform's rules for messages, as its pages on sending and its list of
 * error codes have them.
 */
#include "send.h"

#include <stdio.h>

#define REFUSAL(name, status, code, message)                                 \
	const struct refusal refusal_##name = { status, code, #name, message };
#include "refusals.def"
#undef REFUSAL

enum form { FORM_TEXT, FORM_INT, FORM_BOOL, FORM_OBJECT, FORM_ANY };
enum { CHAT = 1, GUILD = 2, ONE = 4 };  /* c2c and group; channel, dm; c2c */

static const struct {
	const char *name;
	enum form   form;
	unsigned    where;
} members[] = {
	{ "msg_type",          FORM_INT,    CHAT },
	{ "content",           FORM_TEXT,   CHAT | GUILD },
	{ "markdown",          FORM_OBJECT, CHAT | GUILD },
	{ "keyboard",          FORM_OBJECT, CHAT | GUILD },
	{ "ark",               FORM_OBJECT, CHAT | GUILD },
	{ "embed",             FORM_OBJECT, CHAT | GUILD },
	{ "media",             FORM_OBJECT, CHAT },
	{ "image",             FORM_TEXT,   GUILD },
	{ "message_reference", FORM_OBJECT, CHAT | GUILD },
	{ "msg_id",            FORM_TEXT,   CHAT | GUILD },
	{ "event_id",          FORM_TEXT,   CHAT | GUILD },
	{ "msg_seq",           FORM_INT,    CHAT },
	{ "is_wakeup",         FORM_BOOL,   ONE },
	{ "input_notify",      FORM_OBJECT, ONE },
	{ "prompt_keyboard",   FORM_OBJECT, CHAT },
	{ "action_button",     FORM_OBJECT, CHAT },
	{ "stream",            FORM_OBJECT, CHAT },
	{ "subscribe_id",      FORM_TEXT,   CHAT },
	{ "feature_id",        FORM_TEXT,   CHAT },
	{ "timestamp",         FORM_ANY,    CHAT },
};
enum { MEMBERS = sizeof members / sizeof members[0] };

struct form_check {
	unsigned where;
	bool     wrong, unknown;
};

static bool
has_form(const struct json *v, enum form form)
{
	struct slice text = json_text(v);
	int64_t      n;

	switch (form) {
	case FORM_TEXT:
		return json_is_string(v);
	case FORM_INT:
		return json_is_number(v) && json_int(v, &n);
	case FORM_BOOL:
		return !json_is_string(v) &&
		    (slice_is(text, "true") || slice_is(text, "false"));
	case FORM_OBJECT:
		return json_is_object(v);
	default:
		return true;
	}
}

static void
check_member(void *self, const char *key, const struct json *value)
{
	struct form_check *c = self;

	for (size_t i = 0; i < MEMBERS; i++) {
		if (strcmp(key, members[i].name) != 0)
			continue;
		if ((members[i].where & c->where) == 0)
			break;
		if (value != NULL && !has_form(value, members[i].form))
			c->wrong = true;
		return;
	}
	c->unknown = true;
}

static bool
is_chat(enum scope s)
{
	return s == SCOPE_C2C || s == SCOPE_GROUP;
}

static bool
has_text(const struct json *body, const char *key)
{
	return json_text(json_get(body, key)).n > 0;
}

static const struct refusal *
judge_form(struct ledger *l, struct send *s)
{
	struct form_check c = { .where = s->scope == SCOPE_C2C ? CHAT | ONE
		: s->scope == SCOPE_GROUP ? CHAT : GUILD };

	if (json_parse(&s->body, s->text) != ERR_OK ||
	    !json_is_object(s->body)) {
		ledger_violation(l, VIOLATION_bad_body);
		return &refusal_bad_body;
	}
	json_each(s->body, check_member, &c);
	if (c.unknown)
		ledger_violation(l, VIOLATION_unknown_member);
	if (c.wrong) {
		ledger_violation(l, VIOLATION_bad_body);
		return &refusal_bad_body;
	}
	return NULL;
}

static const struct refusal *
judge_markdown(const struct json *body)
{
	const struct json *md = json_get(body, "markdown");

	if (md == NULL)
		return &refusal_no_content;
	if (has_text(body, "content") || json_get(body, "ark") != NULL ||
	    json_get(body, "embed") != NULL)
		return &refusal_markdown_alone;
	if (has_text(md, "content") == (has_text(md, "custom_template_id") ||
	    has_text(md, "template_id")))
		return &refusal_markdown_form;
	return NULL;
}

/* file_info as files makes it: FILE_c2c_7 */
static const struct refusal *
judge_media(const struct send *s, const struct send_rules *rules)
{
	struct slice       info = json_text_at(s->body, "media.file_info");
	unsigned long long serial;
	char               head[16];

	snprintf(head, sizeof head, "FILE_%s_", scope_name(s->scope));
	if (json_get(s->body, "media") == NULL)
		return &refusal_no_content;
	if (!slice_starts(info, slice_of(head)) ||
	    !slice_u64(slice_from(info, strlen(head)), &serial) ||
	    serial == 0 || serial > rules->files)
		return &refusal_file_info;
	return NULL;
}

static const struct refusal *
judge_keyboard(const struct json *body)
{
	const struct json *rows = json_path(body, "keyboard.content.rows");

	if (json_count(rows) > 5)
		return &refusal_keyboard;
	for (size_t i = 0; i < json_count(rows); i++)
		if (json_count(json_get(json_at(rows, i), "buttons")) > 5)
			return &refusal_keyboard;
	return NULL;
}

static const struct refusal *
judge_chat_content(struct send *s, const struct send_rules *rules)
{
	const struct json *body = s->body;

	if (!json_int_at(body, "msg_type", &s->type))
		return &refusal_no_type;
	s->visible = s->type != SEND_INPUT;
	switch (s->type) {
	case SEND_TEXT:
		return has_text(body, "content") ? NULL : &refusal_empty;
	case SEND_MARKDOWN:
		return judge_markdown(body);
	case SEND_ARK:
		return json_get(body, "ark") != NULL ? NULL
		                                     : &refusal_no_content;
	case SEND_MEDIA:
		return judge_media(s, rules);
	case SEND_INPUT:
		return s->scope == SCOPE_C2C && has_text(body, "msg_id") &&
		    json_get(body, "input_notify") != NULL
		        ? NULL : &refusal_input_notify;
	default:
		return &refusal_no_type;
	}
}

static const struct refusal *
judge_guild_content(struct send *s)
{
	static const char *const any[] = { "embed", "ark", "markdown" };

	s->type = SEND_TYPE_NONE;
	s->visible = true;
	if (has_text(s->body, "content") || has_text(s->body, "image"))
		return NULL;
	for (size_t i = 0; i < sizeof any / sizeof any[0]; i++)
		if (json_get(s->body, any[i]) != NULL)
			return NULL;
	return &refusal_empty;
}

static const struct refusal *
judge_target(struct ledger *l, struct send *s)
{
	static const struct refusal *const unknown[SCOPES] = {
		[SCOPE_C2C] = &refusal_unknown_openid,
		[SCOPE_GROUP] = &refusal_unknown_openid,
		[SCOPE_CHANNEL] = &refusal_unknown_channel,
		[SCOPE_DM] = &refusal_unknown_dm,
		[SCOPE_OTHER] = &refusal_unknown_channel,
	};

	s->conversation = ledger_conversation(l, s->bot, s->scope, s->target,
	    false);
	return s->conversation != NULL ? NULL : unknown[s->scope];
}

static bool
too_old(const struct send *s, const struct send_rules *rules)
{
	uint64_t window_s = s->scope == SCOPE_C2C ? rules->c2c_window_s
	                                          : rules->group_window_s;

	return s->now_us - s->event->made_us > (int64_t)window_s * 1000000;
}

/* A refused double comes before all else: the message is there already,
 * whatever has become of its window since. */
static const struct refusal *
judge_double(struct ledger *l, struct send *s)
{
	const struct event_reply *used;

	s->seq = 0;
	if (!is_chat(s->scope))
		return NULL;
	if (!json_int_at(s->body, "msg_seq", &s->seq))
		s->seq = 1;
	if (!s->visible || (used = ledger_seq_used(s->event, s->seq)) == NULL)
		return NULL;
	if (used->body_hash != slice_hash(s->text))
		ledger_violation(l, VIOLATION_seq_reused);
	return &refusal_deduped;
}

static const struct refusal *
judge_count(const struct send *s, const struct send_rules *rules)
{
	uint64_t most = s->scope == SCOPE_C2C ? rules->c2c_replies
	                                      : rules->group_replies;

	return is_chat(s->scope) && s->visible && s->event->nreplies >= most
	    ? &refusal_too_many : NULL;
}

static const struct refusal *
judge_msg_id(struct ledger *l, const struct send_rules *rules,
    struct send *s, struct slice id)
{
	const struct refusal *r;

	s->event = ledger_by_msg(l, s->bot, id);
	if (s->event != NULL && s->event->conversation != s->conversation) {
		ledger_violation(l, VIOLATION_wrong_target);
		s->event = NULL;
	}
	if (s->event == NULL || s->event->kind->reply != REPLY_MSG)
		return is_chat(s->scope) ? &refusal_msg_id
		                         : &refusal_msg_id_guild;
	if ((r = judge_double(l, s)) != NULL)
		return r;
	if (too_old(s, rules))
		return is_chat(s->scope) ? &refusal_msg_old
		                         : &refusal_msg_old_guild;
	return judge_count(s, rules);
}

static const struct refusal *
judge_event_id(struct ledger *l, const struct send_rules *rules,
    struct send *s, struct slice id)
{
	const struct conversation *c;
	const struct refusal      *r;

	if ((s->event = ledger_by_event(l, s->bot, id)) == NULL)
		return &refusal_event_id;
	/* An event of a whole guild may be answered in any channel. */
	c = s->event->conversation;
	if (c != s->conversation &&
	    !(c->scope == SCOPE_OTHER && s->scope == SCOPE_CHANNEL)) {
		ledger_violation(l, VIOLATION_wrong_target);
		return &refusal_event_id;
	}
	if (s->event->kind->reply != REPLY_EVENT)
		return &refusal_event_kind;
	if ((r = judge_double(l, s)) != NULL)
		return r;
	if (too_old(s, rules))
		return &refusal_event_old;
	return judge_count(s, rules);
}

static const struct refusal *
judge_passive(struct ledger *l, const struct send_rules *rules,
    struct send *s)
{
	struct slice msg = json_text_at(s->body, "msg_id");
	struct slice event = json_text_at(s->body, "event_id");

	s->event = NULL;
	s->seq = 0;
	if (msg.n > 0 && event.n > 0) {
		ledger_violation(l, VIOLATION_both_ids);
		return &refusal_both_ids;
	}
	if (msg.n > 0)
		return judge_msg_id(l, rules, s, msg);
	if (event.n > 0)
		return judge_event_id(l, rules, s, event);
	return NULL;
}

const struct refusal *
send_judge(struct ledger *l, const struct send_rules *rules, struct send *s)
{
	const struct refusal *r;

	if ((r = judge_form(l, s)) == NULL &&
	    (r = is_chat(s->scope) ? judge_chat_content(s, rules)
	                           : judge_guild_content(s)) == NULL &&
	    (r = judge_keyboard(s->body)) == NULL &&
	    (r = judge_target(l, s)) == NULL)
		r = judge_passive(l, rules, s);
	if (r != NULL)
		ledger_tally(l, s->scope,
		    r == &refusal_deduped ? TALLY_deduped : TALLY_refused, 1);
	return r;
}

enum err
send_take(struct ledger *l, const struct send *s, struct slice id,
    int64_t wall_ms, struct message **out)
{
	struct message_new n = { .conversation = s->conversation, .id = id,
		.body = s->text,
		.event = s->event != NULL ? s->event->serial : 0,
		.seq = s->seq, .now_us = s->now_us, .wall_ms = wall_ms };
	enum err e;

	*out = NULL;
	if (!s->visible)
		return ERR_OK;
	if (s->event != NULL && is_chat(s->scope) &&
	    (e = ledger_seq_use(s->event, s->seq, slice_hash(s->text))) !=
	        ERR_OK)
		return e;
	if ((e = ledger_message(l, &n, out)) != ERR_OK)
		return e;
	if (s->event != NULL)
		ledger_replied(l, s->event, s->seq, s->now_us);
	return ERR_OK;
}

void
send_done(struct send *s)
{
	json_free(&s->body);
}

struct slice
send_words(const struct json *body)
{
	struct slice s = json_text_at(body, "content");

	if (s.n == 0)
		s = json_text_at(body, "markdown.content");
	if (s.n == 0)
		s = json_text_at(body, "embed.title");
	if (s.n == 0)
		s = json_text_at(body, "ark.kv");
	return s;
}
