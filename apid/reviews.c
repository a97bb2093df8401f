/*
 * Messages under review, and what gatewayd tells that matters to sends.
 */
#include "life.h"

#include "log.h"
#include "pack.h"

/* {audit passed msg why}: the review is over. */
static void
pack_review(struct request *r, const struct audit *a)
{
	struct pack k;

	buf_reset(&r->data);
	pack_open(&k, &r->data);
	pack_map(&k, 2 + (a->msg != NULL) + (size_t)(a->why != NULL));
	pack_str(&k, SLICE("audit"));
	pack_str(&k, slice_of(r->audit));
	pack_str(&k, SLICE("passed"));
	pack_bool(&k, a->state == AUDIT_PASSED);
	if (a->msg != NULL) {
		pack_str(&k, SLICE("msg"));
		pack_str(&k, slice_of(a->msg));
	}
	if (a->why != NULL) {
		pack_str(&k, SLICE("why"));
		pack_str(&k, slice_of(a->why));
	}
	if (r->data.failed)
		buf_free(&r->data);
}

/* The event may have come before the answer. */
void
request_note_audit(struct request *r, struct slice id)
{
	const struct audit *a;

	if (id.n == 0 || id.n >= sizeof r->audit)
		return;
	request_copy(r->audit, sizeof r->audit, id);
	a = audit_held(&r->owner->audits, r->bot->app, id);
	if (a != NULL && a->state != AUDIT_PENDING) {
		pack_review(r, a);
		r->audit_wait_ms = 0;
	}
}

/* Who asks again is told what the first is told. */
static void
amend(struct request *r)
{
	struct sent_outcome o = { .result = r->result, .status = r->status,
		.data = buf_slice(&r->data), .trace = slice_of(r->trace) };

	sent_amend(&r->owner->sent, r->entry.key, &o);
	requests_commit_soon(r->owner);
}

static void
on_audit(struct requests *rs, const struct msg_notice *m, bool passed)
{
	const struct audit *a = audit_done(&rs->audits, m->bot, m->audit,
	    passed, m->msg, m->why);
	struct request     *r = rs->all, *next;

	log_info("audit.done", KV("bot", m->bot), KV("audit", m->audit),
	    KV("passed", passed), KV("msg", m->msg), KV("why", m->why));
	for (; r != NULL && a != NULL; r = next) {
		next = r->after;
		if (r->state != WANTS_REVIEW ||
		    !slice_eq(r->bot->app, m->bot) ||
		    !slice_is(m->audit, r->audit))
			continue;
		pack_review(r, a);
		amend(r);
		loop_cancel(rs->loop, &r->timer);
		request_tell_all(r);
	}
}

void
requests_on_notice(struct requests *rs, const struct msg_notice *m)
{
	struct allowance_of of = { m->bot, m->conv };
	bool                off = slice_is(m->what, "push_off");

	if (slice_is(m->what, "audit_pass") && m->audit.n > 0)
		on_audit(rs, m, true);
	else if (slice_is(m->what, "audit_reject") && m->audit.n > 0)
		on_audit(rs, m, false);
	else if ((off || slice_is(m->what, "push_on")) && m->conv.n > 0) {
		allowance_refuse(&rs->pace.allowances, &of, requests_today(),
		    off ? REFUSING_TOLD_DAYS : 0);
		log_info("push.changed", KV("bot", m->bot),
		    KV("conv", m->conv), KV("what", m->what));
		requests_commit_soon(rs);
	}
}
