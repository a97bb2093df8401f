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

enum { DAY_S = 86400, ARKS = 3 };

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

size_t
send_file_info(char *out, size_t size, enum scope scope, uint64_t serial,
    int64_t ends_ms)
{
	return (size_t)snprintf(out, size, "FILE_%s_%llu_%lld",
	    scope_name(scope), (unsigned long long)serial,
	    (long long)ends_ms);
}

/* file_info as send_file_info() makes it. */
static const struct refusal *
judge_media(const struct send *s, const struct send_rules *rules)
{
	struct slice       info = json_text_at(s->body, "media.file_info");
	const char        *last = memrchr(info.p, '_', info.n);
	unsigned long long serial, ends_ms;
	char               head[16];

	snprintf(head, sizeof head, "FILE_%s_", scope_name(s->scope));
	if (last == NULL || !slice_starts(info, slice_of(head)) ||
	    (size_t)(last - info.p) < strlen(head) ||
	    !slice_u64(slice_from(info, (size_t)(last - info.p) + 1),
	        &ends_ms) ||
	    !slice_u64((struct slice){ info.p + strlen(head),
	        (size_t)(last - info.p) - strlen(head) }, &serial) ||
	    serial == 0 || serial > rules->files ||
	    (ends_ms > 0 && s->now_us / 1000 >= (int64_t)ends_ms))
		return &refusal_file_info;
	return NULL;
}

/* The templates that are granted to any bot that may send an ark. */
static const struct refusal *
judge_ark(const struct json *body)
{
	static const int64_t known[ARKS] = { 23, 24, 37 };
	const struct json   *ark = json_get(body, "ark");
	int64_t              id = 0;

	if (ark == NULL)
		return NULL;
	json_int_at(ark, "template_id", &id);
	for (size_t i = 0; i < ARKS; i++)
		if (known[i] == id)
			return NULL;
	return &refusal_ark_template;
}

static const struct refusal *
judge_keyboard(const struct json *body)
{
	const struct json *rows = json_path(body, "keyboard.content.rows");

	if (json_get(body, "keyboard") != NULL &&
	    (json_path(body, "keyboard.content") != NULL) ==
	        has_text(json_get(body, "keyboard"), "id"))
		return &refusal_keyboard_form;
	if (json_count(rows) > 5)
		return &refusal_keyboard;
	for (size_t i = 0; i < json_count(rows); i++)
		if (json_count(json_get(json_at(rows, i), "buttons")) > 5)
			return &refusal_keyboard;
	return NULL;
}

/* What belongs to one msg_type only. */
static const struct refusal *
judge_type(const struct send *s)
{
	static const struct {
		const char *member;
		int64_t     type;
	} rows[] = {
		{ "markdown", SEND_MARKDOWN }, { "ark", SEND_ARK },
		{ "media", SEND_MEDIA }, { "input_notify", SEND_INPUT },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		bool there = json_get(s->body, rows[i].member) != NULL;

		if (there != (s->type == rows[i].type) &&
		    s->type != SEND_MARKDOWN && s->type != SEND_INPUT)
			return &refusal_no_content;
	}
	return json_get(s->body, "embed") != NULL && s->type != SEND_MARKDOWN
	    ? &refusal_no_content : NULL;
}

static const struct refusal *
judge_chat_content(struct send *s, const struct send_rules *rules)
{
	const struct json    *body = s->body;
	const struct refusal *r;

	if (!json_int_at(body, "msg_type", &s->type))
		return &refusal_no_type;
	s->visible = s->type != SEND_INPUT;
	if ((r = judge_type(s)) != NULL)
		return r;
	switch (s->type) {
	case SEND_TEXT:
		return has_text(body, "content") ? NULL : &refusal_empty;
	case SEND_MARKDOWN:
		return judge_markdown(body);
	case SEND_ARK:
		return judge_ark(body);
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
	static const char *const any[] = { "embed", "ark", "markdown",
		"file_image" };
	const struct refusal *r;

	s->type = SEND_TYPE_NONE;
	s->visible = true;
	if ((r = judge_ark(s->body)) != NULL)
		return r;
	if (json_get(s->body, "markdown") != NULL)
		return judge_markdown(s->body);
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
	return s->conversation != NULL && !s->conversation->gone
	    ? NULL : unknown[s->scope];
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
	if (s->event == NULL || s->event->kind->reply != REPLY_MSG) {
		if (is_chat(s->scope))
			return &refusal_msg_id;
		return ledger_message_by_id(l, s->bot, id) != NULL
		    ? &refusal_own_message : &refusal_msg_id_guild;
	}
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
	if (msg.n > 0 && event.n > 0 &&
	    !(s->stream && slice_eq(msg, event))) {
		ledger_violation(l, VIOLATION_both_ids);
		return &refusal_both_ids;
	}
	if (msg.n > 0)
		return judge_msg_id(l, rules, s, msg);
	if (event.n > 0)
		return judge_event_id(l, rules, s, event);
	return NULL;
}

/* One in each of four periods since the user's last word. */
static const struct refusal *
judge_wakeup(struct send *s)
{
	static const int64_t ends_s[] = { DAY_S, 3 * DAY_S, 7 * DAY_S,
		30 * DAY_S };
	int64_t silent_s = (s->now_us - s->conversation->heard_us) / 1000000;

	if (!json_truth(json_get(s->body, "is_wakeup")))
		return NULL;
	if (has_text(s->body, "msg_id") || has_text(s->body, "event_id"))
		return &refusal_wakeup_reply;
	if (s->conversation->events == 0)
		return &refusal_wakeup_late;
	for (unsigned i = 0; i < 4; i++) {
		if (silent_s >= ends_s[i])
			continue;
		s->wakes = 1u << i;
		return s->conversation->woken & s->wakes
		    ? &refusal_wakeup_again : NULL;
	}
	return &refusal_wakeup_late;
}

const struct refusal *
send_judge(struct ledger *l, const struct send_rules *rules, struct send *s)
{
	const struct refusal *r = NULL;

	s->wakes = 0;
	s->visible = true;
	if (!s->stream &&
	    (r = is_chat(s->scope) ? judge_chat_content(s, rules)
	                           : judge_guild_content(s)) == NULL)
		r = judge_keyboard(s->body);
	if (r == NULL && (r = judge_target(l, s)) == NULL &&
	    (r = judge_wakeup(s)) == NULL)
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
	s->conversation->woken |= s->wakes;
	if (s->event != NULL)
		ledger_replied(l, s->event, s->stream ? LEDGER_NO_ORDER
		                                      : s->seq, s->now_us);
	return ERR_OK;
}

struct slice
send_words(const struct json *body)
{
	struct slice s = json_text_at(body, "content");

	if (s.n == 0)
		s = json_text_at(body, "markdown.content");
	if (s.n == 0)
		s = json_text_at(body, "content_raw");
	if (s.n == 0)
		s = json_text_at(body, "embed.title");
	if (s.n == 0)
		s = json_text_at(body, "ark.kv");
	return s;
}
