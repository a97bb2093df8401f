/*
 * Messages: sends and what the faults make of them, recalls, edits, what was
 * sent shown again; and the acknowledgement of interactions.  What may be said
 * is judged by the core.
 */
#include "call.h"

#include <stdio.h>
#include <stdlib.h>

#include "log.h"

enum { RECALL_US = 120 * 1000000 };

/* --- sends -------------------------------------------------------------- */

void
message_show(struct call *c, const struct message *m, const struct json *body)
{
	struct send s = { .bot = c->bot->app_id, .body = body,
		.scope = m->conversation->scope, .type = SEND_TYPE_NONE,
		.conversation = m->conversation,
		.event = ledger_event_at(&c->sim->platform.ledger, m->event) };

	show_sent(c->sim, &s, m->id, c->bot->name);
}

static struct json *
send_answer(struct call *c, const struct send *s, const char *id)
{
	struct json *j = json_new_object(), *part = json_new_object();
	char         at[32], ref[64];

	platform_timestamp(&c->sim->platform, c->now_us, at);
	json_put_text(j, "id", slice_of(id));
	json_put_text(j, "timestamp", slice_of(at));
	if (s->scope == SCOPE_C2C || s->scope == SCOPE_GROUP) {
		sample_index(ref, sizeof ref, slice_of(id));
		json_put_text(part, "ref_idx", slice_of(ref));
		json_put_take(j, "ext_info", part);
		return j;
	}
	json_put_text(j, s->scope == SCOPE_DM ? "guild_id" : "channel_id",
	    s->target);
	json_put_text(j, "content", send_words(s->body));
	json_put_text(part, "id", slice_of(c->bot->user_id));
	json_put_text(part, "username", slice_of(c->bot->name));
	json_put_bool(part, "bot", true);
	json_put_take(j, "author", part);
	return j;
}

/* What the faults leave of the answer to a send that was made.  Takes it. */
void
message_done(struct call *c, struct json *j)
{
	struct fault f;

	if (call_strike(c, FAULT_send_half, &f)) {
		call_drop(c, false);
	} else if (call_strike(c, FAULT_send_mute, &f)) {
		call_drop(c, true);
	} else if (call_strike(c, FAULT_send_empty, &f)) {
		call_answer_text(c, f.status > 0 ? (int)f.status : 204, CALL_JSON,
		    SLICE(""));
	} else if (call_strike(c, FAULT_send_slow, &f)) {
		call_answer_later(c, f.ms, 200, j);
		return;
	} else if (!call_says(c, FAULT_send_says)) {
		call_answer(c, 200, j);
		return;
	}
	json_free(&j);
}

static void
hold_for_audit(struct call *c, struct send *s)
{
	struct json *j = json_new_object(), *data = json_new_object();
	struct json *audit = json_new_object();
	char         id[64];

	if (s->event != NULL && s->seq > 0)
		ledger_seq_use(s->event, s->seq, slice_hash(s->text));
	platform_id(&c->sim->platform, id, sizeof id, "audit-");
	audit_hold(&c->sim->audits, s, c->bot->app_id, id);
	json_put_int(j, "code", s->event != NULL ? 304024 : 304023);
	json_put_text(j, "message",
	    SLICE("push message is waiting for audit now"));
	json_put_text(audit, "audit_id", slice_of(id));
	json_put_take(data, "message_audit", audit);
	json_put_take(j, "data", data);
	call_answer(c, 202, j);
}

/* true: refused, because there were too many. */
static bool
over_quota(struct call *c, const struct send *s)
{
	struct conversation *with = s->conversation;
	const struct quota  *q;
	struct fault         f;

	if (!s->visible || faults_find(&c->sim->platform.faults,
	        FAULT_message_limits, c->bot->app_id, scope_name(s->scope),
	        c->now_us / 1000) == NULL)
		return false;
	if (with->windows == NULL && (with->windows = calloc(QUOTAS,
	        sizeof *with->windows)) == NULL)
		return false;
	q = quota_take(s->scope, s->event == NULL, c->bot->quota_windows,
	    with->windows, c->now_us);
	if (q == NULL || !call_strike(c, FAULT_message_limits, &f))
		return false;
	ledger_tally(&c->sim->platform.ledger, s->scope, TALLY_refused, 1);
	call_error(c, 429, q->code, q->message);
	return true;
}

static bool
read_form_data(struct call *c)
{
	const struct refusal *r;

	if (c->body != NULL || !slice_starts(c->request->content_type,
	        SLICE("multipart/form-data")))
		return true;
	r = c->route->scope == SCOPE_CHANNEL || c->route->scope == SCOPE_DM
	    ? multipart_read(&c->body, c->request->content_type,
	        c->request->body, c->bot->media.image_max)
	    : &refusal_multipart;
	if (r == NULL)
		return true;
	ledger_tally(&c->sim->platform.ledger, c->route->scope,
	    TALLY_refused, 1);
	call_refuse(c, r);
	return false;
}

static bool
has_live_session(const struct bot *b)
{
	const struct session *s = b->sessions;

	while (s != NULL && s->conn == NULL)
		s = s->next;
	return s != NULL;
}

static void
perform_send(struct call *c)
{
	struct platform     *p = &c->sim->platform;
	struct send          s = { .bot = c->bot->app_id,
		.scope = c->route->scope, .target = c->args[0],
		.text = c->request->body, .now_us = c->now_us };
	const struct refusal *r;
	struct message      *m;
	struct fault         f;
	char                 id[64];

	if (!call_check_body(c)) {
		ledger_tally(&p->ledger, s.scope, TALLY_refused, 1);
		return;
	}
	s.body = c->body;
	if (json_get(s.body, "file_image") != NULL)
		s.text = json_print(s.body);
	if ((r = send_judge(&p->ledger, &c->bot->rules, &s)) != NULL) {
		call_refuse(c, r);
		return;
	}
	if (over_quota(c, &s))
		return;
	if (call_strike(c, FAULT_send_audit, &f)) {
		hold_for_audit(c, &s);
		return;
	}
	platform_id(p, id, sizeof id, "ROBOT1.0_");
	if (!has_live_session(c->bot) &&
	    call_strike(c, FAULT_send_unshown, &f)) {
		call_answer(c, 200, send_answer(c, &s, id));
		return;
	}
	if (send_take(&p->ledger, &s, slice_of(id),
	        sim_wall_ms(c->sim, c->now_us), &m) != ERR_OK) {
		call_refuse(c, &refusal_full);
		return;
	}
	if (m == NULL)
		show_typing(c->sim, &s);
	else if (s.event == NULL || s.event->load == 0)
		show_sent(c->sim, &s, id, c->bot->name);
	if (m != NULL && s.event != NULL && s.event->load != 0)
		load_replied(c->sim, s.event, c->now_us);
	message_done(c, send_answer(c, &s, id));
}

static bool
too_soon(struct call *c)
{
	const struct fault *f = faults_find(&c->sim->platform.faults,
	    FAULT_send_limit, c->bot->app_id, scope_name(c->route->scope),
	    c->now_us / 1000);
	struct fault struck;
	int64_t      before = c->bot->sent_ms;

	c->bot->sent_ms = c->now_us / 1000;
	if (f == NULL || c->bot->sent_ms - before >= f->ms)
		return false;
	/* Only what is let through starts the time anew. */
	c->bot->sent_ms = before;
	return call_strike(c, FAULT_send_limit, &struck);
}

bool
message_fault(struct call *c)
{
	struct ledger *l = &c->sim->platform.ledger;
	struct fault   f;

	if (call_strike(c, FAULT_send_half_before, &f))
		call_drop(c, false);
	else if (too_soon(c))
		call_refuse(c, &refusal_limited);
	else if (call_strike(c, FAULT_send_status, &f))
		call_answer_fault(c, &f, 500, 1100300);
	else if (call_strike(c, FAULT_send_code, &f))
		call_answer_fault(c, &f, 200, refusal_too_many.code);
	else
		return false;
	ledger_tally(l, c->route->scope, TALLY_refused, 1);
	return true;
}

void
on_send(struct call *c)
{
	struct fault f;

	ledger_count(&c->sim->platform.ledger, COUNT_sends);
	if (message_fault(c) || !read_form_data(c))
		return;
	if (call_strike(c, FAULT_send_late, &f))
		call_again_later(c, f.ms, perform_send);
	else
		perform_send(c);
}

/* --- recall, uploads, interactions -------------------------------------- */

/* A bot that is admin takes back what ordinary members have said. */
static bool
recall_of_member(struct call *c)
{
	enum scope     s = c->route->scope;
	struct event  *e = ledger_by_msg(&c->sim->platform.ledger,
	    c->bot->app_id, c->args[1]);
	struct slice   role;

	if ((s != SCOPE_GROUP && s != SCOPE_CHANNEL) || e == NULL ||
	    e->conversation->scope != s ||
	    !slice_is(c->args[0], e->conversation->id))
		return false;
	role = json_text(json_get(world_object(call_world(c),
	    WORLD_bot_state, SLICE(""), c->args[0]), "member_role"));
	if (s == SCOPE_GROUP && !slice_is(role, "admin"))
		call_refuse(c, &refusal_recall_foreign);
	else if (s == SCOPE_GROUP && c->now_us - e->made_us > RECALL_US)
		call_refuse(c, &refusal_recall_old);
	else
		call_show(c, NULL);
	return true;
}

void
on_recall(struct call *c)
{
	struct ledger  *l = &c->sim->platform.ledger;
	struct message *m = ledger_message_by_id(l, c->bot->app_id,
	    c->args[1]);
	bool chat = c->route->scope == SCOPE_C2C ||
	    c->route->scope == SCOPE_GROUP;

	if (m == NULL && recall_of_member(c))
		return;
	if (m == NULL || m->recalled ||
	    m->conversation->scope != c->route->scope ||
	    !slice_is(c->args[0], m->conversation->id)) {
		call_refuse(c, chat ? &refusal_recall_id
		                    : &refusal_recall_id_guild);
		return;
	}
	if (chat && c->now_us - m->at_us > RECALL_US) {
		call_refuse(c, &refusal_recall_old);
		return;
	}
	m->recalled = true;
	ledger_tally(l, c->route->scope, TALLY_recalled, 1);
	show_recalled(c->sim, m->conversation, m->id);
	call_done(c, chat ? json_new_object() : NULL);
}

/* --- messages shown again, and changed ---------------------------------- */

static struct json *
message_object(struct call *c, const struct message *m)
{
	struct json *body = NULL, *j;
	struct send  s = { .scope = m->conversation->scope,
		.target = slice_of(m->conversation->id) };

	if (m->body != NULL &&
	    json_parse(&body, slice_of(m->body)) != ERR_OK)
		body = NULL;
	s.body = body;
	j = send_answer(c, &s, m->id);
	if (json_get(body, "keyboard") != NULL)
		json_put_ref(j, "keyboard", json_get(body, "keyboard"));
	json_free(&body);
	return j;
}

static struct message *
own_message(struct call *c, struct slice id)
{
	struct message *m = ledger_message_by_id(&c->sim->platform.ledger,
	    c->bot->app_id, id);

	return m != NULL && !m->recalled &&
	    m->conversation->scope == c->route->scope &&
	    slice_is(c->args[0], m->conversation->id) ? m : NULL;
}

/* What the bot was told: no more of it is kept than its id. */
static struct json *
told_object(struct call *c)
{
	const struct event *e = ledger_by_msg(&c->sim->platform.ledger,
	    c->bot->app_id, c->args[1]);
	struct json        *j;

	if (e == NULL || e->conversation->scope != c->route->scope ||
	    !slice_is(c->args[0], e->conversation->id))
		return NULL;
	j = json_new_object();
	json_put_text(j, "id", c->args[1]);
	json_put_text(j, c->route->scope == SCOPE_DM ? "guild_id"
	    : "channel_id", c->args[0]);
	json_put_text(j, "content", SLICE(""));
	return j;
}

void
on_message_get(struct call *c)
{
	struct message *m = own_message(c, c->args[1]);
	struct json    *j = m != NULL ? message_object(c, m) : told_object(c);

	if (j == NULL)
		call_refuse(c, &refusal_no_message);
	else
		call_done(c, j);
}

/* The newest first. */
void
on_messages_list(struct call *c)
{
	const struct ledger *l = &c->sim->platform.ledger;
	struct slice         before = call_query(c, "before");
	struct slice         after = call_query(c, "after");
	uint64_t             left = call_query_number(c, "limit", 20);
	struct json         *list = json_new_array();
	const struct message *m = own_message(c, before);
	uint64_t             i = m != NULL ? m->serial : l->next_message;
	uint64_t             end = i > LEDGER_MESSAGES ? i - LEDGER_MESSAGES
	                                               : 0;

	if ((m = own_message(c, after)) != NULL)
		end = m->serial;
	while (--i > end && left > 0) {
		m = &l->messages[i % LEDGER_MESSAGES];
		if (m->serial != i || m != own_message(c, slice_of(m->id)) ||
		    strcmp(m->conversation->bot, c->bot->app_id) != 0)
			continue;
		json_push_take(list, message_object(c, m));
		left--;
	}
	call_done(c, list);
}

void
on_message_edit(struct call *c)
{
	struct message *m = own_message(c, c->args[1]);
	struct json    *before = NULL;
	bool            buttons;

	if (m == NULL) {
		call_refuse(c, &refusal_edit_foreign);
		return;
	}
	buttons = m->body != NULL &&
	    json_parse(&before, slice_of(m->body)) == ERR_OK &&
	    json_get(before, "keyboard") != NULL;
	json_free(&before);
	if (!buttons)
		call_refuse(c, &refusal_edit_plain);
	else if (json_get(c->body, "keyboard") == NULL)
		call_refuse(c, &refusal_edit_no_keyboard);
	else if (ledger_message_edit(m, c->request->body) != ERR_OK)
		call_refuse(c, &refusal_full);
	else {
		message_show(c, m, c->body);
		call_done(c, message_object(c, m));
	}
}

/* A message that asks the admins to allow active messages. */
void
on_setting_guide(struct call *c)
{
	struct send s = { .scope = c->route->scope, .target = c->args[0],
		.body = c->body };
	char        id[64];

	if (ledger_conversation(&c->sim->platform.ledger, c->bot->app_id,
	        c->route->scope, c->args[0], false) == NULL) {
		call_refuse(c, c->route->scope == SCOPE_DM
		    ? &refusal_unknown_dm : &refusal_unknown_channel);
		return;
	}
	platform_id(&c->sim->platform, id, sizeof id, "GUIDE_");
	call_done(c, send_answer(c, &s, id));
}

/* --- interactions ------------------------------------------------------- */

void
on_interaction(struct call *c)
{
	struct ledger *l = &c->sim->platform.ledger;
	struct event  *e = ledger_by_interaction(l, c->bot->app_id,
	    c->args[0]);
	struct slice   app = c->request->callback_appid;
	int64_t        code = 0;

	if (app.n > 0 && !slice_is(app, c->bot->app_id)) {
		call_refuse(c, &refusal_callback_appid);
	} else if (e == NULL || e->acknowledged) {
		call_refuse(c, &refusal_interaction);
	} else {
		e->acknowledged = true;
		ledger_count(l, COUNT_interactions);
		json_int_at(c->body, "code", &code);
		show_acknowledged(c->sim, e, code);
		call_done(c, json_new_object());
	}
}
