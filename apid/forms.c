/*
 * Messages that go in another form than was asked for.
 */
#include "life.h"

#include "fallback.h"
#include "log.h"

enum { STATUS_BAD = 400 };

/* The body that it is sent with from now on; taken. */
void
request_use_body(struct request *r, struct buf *body)
{
	struct requests *rs = r->owner;

	r->bytes -= r->own_body.n;
	rs->bytes -= r->own_body.n;
	buf_free(&r->own_body);
	r->own_body = *body;
	r->body = buf_slice(&r->own_body);
	r->bytes += r->own_body.n;
	rs->bytes += r->own_body.n;
}

/* As a message that answers nothing, in time of its own; once.  code: what the
 * platform said, 0 when the window was over here.  False: that is not for it. */
bool
request_make_unasked(struct request *r, uint64_t code)
{
	struct requests *rs = r->owner;
	struct buf       body = { 0 };

	if (!rs->expired_active || r->unasked || !r->appears ||
	    r->pace.active || !r->replies ||
	    fallback_active(r->body, &body) != ERR_OK) {
		buf_free(&body);
		return false;
	}
	request_use_body(r, &body);
	attach_renew_form(r);
	r->unasked = r->pace.active = true;
	r->unasked_after = code;
	r->rules.has_seq = r->rules.window = false;
	r->rules.again = rs->again;
	r->rules.until_ms = loop_now(rs->loop) + CALL_PATIENCE_MS;
	r->window_ms = 0;
	pace_prepare(&r->pace);
	rs->counts.unasked++;
	log_info("call.unasked", KV("bot", r->bot->app),
	    KV("scope", r->scope), KV("code", code));
	return true;
}

/* As plain text; once. */
bool
request_make_plain(struct request *r, uint64_t code)
{
	struct requests *rs = r->owner;
	struct buf       body = { 0 };

	if (!rs->markdown_plain || r->plain ||
	    !fallback_has_markdown(r->body) ||
	    fallback_plain(r->body, &body) != ERR_OK) {
		buf_free(&body);
		return false;
	}
	request_use_body(r, &body);
	attach_renew_form(r);
	r->plain = true;
	r->plain_after = code;
	rs->counts.plain++;
	log_info("call.plain", KV("bot", r->bot->app), KV("scope", r->scope),
	    KV("code", code));
	return true;
}

/* A role in the older form, where the newer is not understood: the platform's
 * pages show the one, its own libraries send the other.  Once, as the body is
 * then of that form. */
static bool
make_older(struct request *r, const struct reply *p)
{
	struct buf body = { 0 };

	if (p->status != STATUS_BAD || p->cls != CLASS_PERMANENT ||
	    (r->row != catalog_row(CALL_role_create) &&
	        r->row != catalog_row(CALL_role_update)) ||
	    fallback_role(r->body, &body) != ERR_OK) {
		buf_free(&body);
		return false;
	}
	request_use_body(r, &body);
	log_info("call.older_form", KV("bot", r->bot->app),
	    KV("op", r->operation->name), KV("code", p->code));
	return true;
}

/* The platform has surely not sent it, and would not. */
bool
request_change_form(struct request *r, const struct reply *p)
{
	struct bot *b = r->bot;
	bool        lasting;

	if (r->attempt.unsure)
		return false;
	if (make_older(r, p))
		return true;
	if (p->result == RESULT_REPLY_EXPIRED)
		return request_make_unasked(r, p->code);
	if (!fallback_is_markdown(p->code, &lasting) ||
	    !request_make_plain(r, p->code))
		return false;
	if (lasting) {
		b->plain_until_ms[r->to] = loop_now(r->owner->loop) +
		    CALL_PLAIN_MS;
		b->plain_code[r->to] = p->code;
	}
	return true;
}
