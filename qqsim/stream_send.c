/*
 * Streamed messages as calls: the first part is a reply like any other, the
 * others go on with it.
 */
#include "call.h"
#include "talk.h"

#include <stdio.h>

/* The message reads as far as it is known. */
static void
show_text(struct call *c, const struct talk *t)
{
	struct message *m = ledger_message_by_id(&c->sim->platform.ledger,
	    c->bot->app_id, slice_of(t->id));
	struct json    *j = json_new_object(), *inner = j;

	if (t->markdown) {
		inner = json_new_object();
		json_put_take(j, "markdown", inner);
	}
	json_put_text(inner, "content", buf_slice(&t->text));
	json_put_bool(j, "stream_over", t->over);
	if (m != NULL && ledger_message_edit(m, json_print(j)) == ERR_OK)
		message_show(c, m, j);
	json_free(&j);
}

static void
part_done(struct call *c, const struct talk *t)
{
	struct json *j = json_new_object(), *info = json_new_object();
	char         at[32], ref[64];

	json_put_text(j, "id", slice_of(t->id));
	json_put_text(j, "timestamp", call_time(c, at));
	sample_index(ref, sizeof ref, slice_of(t->id));
	json_put_text(info, "ref_idx", slice_of(ref));
	json_put_take(j, "ext_info", info);
	json_put_int(j, "remain_msg_len",
	    (int64_t)(TALK_TEXT_MAX - t->text.n));
	message_done(c, j);
}

static void
begin(struct call *c)
{
	struct platform      *p = &c->sim->platform;
	struct send           s = { .bot = c->bot->app_id,
		.scope = SCOPE_C2C, .target = c->args[0],
		.text = c->request->body, .body = c->body, .stream = true,
		.now_us = c->now_us };
	const struct refusal *r = send_judge(&p->ledger, &c->bot->rules, &s);
	struct talk          *t = NULL;
	struct message       *m = NULL;
	char                  id[TALK_ID_MAX];

	if (r == NULL) {
		platform_id(p, id, sizeof id, "STREAM_");
		t = talk_new(id, s.conversation);
		r = t == NULL ? &refusal_full
		              : talk_add(t, c->body, 0, c->now_us);
	}
	if (r == NULL && send_take(&p->ledger, &s, slice_of(id),
	        sim_wall_ms(c->sim, c->now_us), &m) != ERR_OK)
		r = &refusal_full;
	if (r != NULL) {
		call_refuse(c, r);
		talk_free(&t);
		return;
	}
	talk_keep(&c->bot->talks, t);
	if (!t->over)
		ledger_count(&p->ledger, COUNT_growing);
	show_text(c, t);
	part_done(c, t);
}

void
on_stream(struct call *c)
{
	struct ledger        *l = &c->sim->platform.ledger;
	struct slice          id = call_text(c, "stream_msg_id");
	struct talk          *t;
	const struct refusal *r;

	ledger_count(l, COUNT_sends);
	if (message_fault(c))
		return;
	if (id.n == 0) {
		begin(c);
		return;
	}
	t = talk_find(c->bot->talks, ledger_conversation(l, c->bot->app_id,
	    SCOPE_C2C, c->args[0], false), id);
	r = t == NULL ? &refusal_stream_unknown
	    : talk_add(t, c->body, c->bot->stream_gap_ms, c->now_us);
	if (r != NULL) {
		ledger_tally(l, SCOPE_C2C, TALLY_refused, 1);
		call_refuse(c, r);
		return;
	}
	if (t->over)
		ledger_drop(l, COUNT_growing);
	show_text(c, t);
	part_done(c, t);
}
