/*
 * The rules of the platform's callbacks, in the order in which a request is
 * held to them.  The platform's key also signs our answer to a validation
 * (op 13), so what we have signed must never be able to pass for a callback:
 * a timestamp is digits, a token is letters, digits, - and _.
 */
#include "webhook.h"

#include <string.h>

enum {
	TOKEN_MAX = 128, TIMESTAMP_MAX = 20, EXTRA_MAX = 8192,
	UNSIGNED_MAX = 4096,      /* a validation is a tenth of it */
	TELL_MS = 10000,
};

const struct webhook_refusal_info webhook_refusals[REFUSED_COUNT] = {
#define REFUSAL(name, status, sentence)                                      \
	[REFUSED_##name] = { #name, status, sentence },
#include "refusals.def"
#undef REFUSAL
};

static void
refuse(struct webhook_result *r, enum webhook_refusal refusal)
{
	r->verdict = WEBHOOK_REFUSE;
	r->refusal = refusal;
	r->status = webhook_refusals[refusal].status;
	r->why = webhook_refusals[refusal].why;
}

/* By the header; without it only when there is no choice. */
static bool
find_bot(const struct webhook_request *q, const struct webhook_bot *bots,
    size_t nbots, struct webhook_result *r)
{
	if (q->app_id.n == 0 && nbots == 1)
		return true;
	for (r->bot = 0; r->bot < nbots; r->bot++)
		if (slice_is(q->app_id, bots[r->bot].app_id))
			return true;
	r->bot = 0;
	return false;
}

static bool
only(struct slice s, const char *alphabet, size_t max)
{
	if (s.n == 0 || s.n > max)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '\0' || strchr(alphabet, s.p[i]) == NULL)
			return false;
	return true;
}

static void
decide_validation(struct webhook_result *r)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                              "abcdefghijklmnopqrstuvwxyz0123456789_-";
	struct json *token = json_get(r->payload.d, "plain_token");
	struct json *ts = json_get(r->payload.d, "event_ts");

	if (!json_is_string(token) || !json_is_string(ts) ||
	    !only(json_text(token), letters, TOKEN_MAX) ||
	    !only(json_text(ts), "0123456789", TIMESTAMP_MAX)) {
		refuse(r, REFUSED_token);
		return;
	}
	r->plain_token = json_text(token);
	r->event_ts = json_text(ts);
	r->verdict = WEBHOOK_SIGN;
}

static void
decide_op(bool with_signature, struct buf *answer, struct webhook_result *r)
{
	struct payload *p = &r->payload;

	if (p->op == OP_VALIDATION)
		decide_validation(r);
	else if (!with_signature)
		refuse(r, REFUSED_unsigned);
	else if (p->op == OP_DISPATCH && p->type.n == 0)
		refuse(r, REFUSED_no_type);
	else if (p->op == OP_DISPATCH)
		r->verdict = WEBHOOK_EVENT;
	else if (p->op == OP_HEARTBEAT) {
		r->verdict = WEBHOOK_ANSWER;
		payload_heartbeat_ack(answer, p->d);
	} else
		refuse(r, REFUSED_opcode);
}

static bool
is_signed(const struct webhook_request *q)
{
	return q->signature.n > 0 || q->timestamp.n > 0;
}

/* What the headers alone decide. */
static void
check_head(const struct webhook_request *q, const struct webhook_bot *bots,
    size_t nbots, struct webhook_result *r)
{
	if (!slice_is(q->method, "POST"))
		refuse(r, REFUSED_method);
	else if (q->too_large)
		refuse(r, REFUSED_too_large);
	else if (q->broken)
		refuse(r, REFUSED_framing);
	else if (!find_bot(q, bots, nbots, r))
		refuse(r, REFUSED_bot);
	else if (!is_signed(q))
		return;
	/* Digits only, so that nothing signed can be cut elsewhere than
	 * between the two. */
	else if (!only(q->timestamp, "0123456789", TIMESTAMP_MAX))
		refuse(r, REFUSED_timestamp);
	else if (bots[r->bot].key == NULL)
		refuse(r, REFUSED_no_key);
	else if (!signature_form(q->signature))
		refuse(r, REFUSED_form);
}

size_t
webhook_worth(const struct webhook_request *q, const struct webhook_bot *bots,
    size_t nbots, size_t body_max)
{
	struct webhook_result r = { .verdict = WEBHOOK_ANSWER };

	check_head(q, bots, nbots, &r);
	if (r.verdict == WEBHOOK_REFUSE)
		return 0;
	return is_signed(q) || body_max < UNSIGNED_MAX ? body_max
	                                               : UNSIGNED_MAX;
}

static void
check_signature(const struct webhook_request *q, const struct webhook_bot *bot,
    int64_t now_s, uint64_t skew_s, struct webhook_result *r)
{
	unsigned long long ts;

	if (!signature_verify(bot->key, q->timestamp, q->body, q->signature))
		refuse(r, REFUSED_signature);
	else if (slice_u64(q->timestamp, &ts) && ts < INT64_MAX) {
		r->skew_s = now_s > (int64_t)ts ? now_s - (int64_t)ts
		                                : (int64_t)ts - now_s;
		if (skew_s > 0 && (uint64_t)r->skew_s > skew_s)
			refuse(r, REFUSED_late);
	}
}

void
webhook_decide(const struct webhook_request *q, const struct webhook_bot *bots,
    size_t nbots, int64_t now_s, uint64_t skew_s, struct buf *answer,
    struct webhook_result *r)
{
	*r = (struct webhook_result){ .verdict = WEBHOOK_ANSWER,
		.status = 200 };
	check_head(q, bots, nbots, r);
	if (r->verdict == WEBHOOK_REFUSE)
		return;
	if (q->unread)
		refuse(r, REFUSED_unsigned);
	else if (q->busy)
		refuse(r, REFUSED_busy);
	else if (is_signed(q))
		check_signature(q, &bots[r->bot], now_s, skew_s, r);
	if (r->verdict == WEBHOOK_REFUSE)
		return;
	if (payload_parse(&r->payload, q->body) != ERR_OK)
		refuse(r, is_signed(q) ? REFUSED_syntax : REFUSED_unsigned);
	else
		decide_op(is_signed(q), answer, r);
}

uint64_t
webhook_count(struct webhook_tally *t, enum webhook_refusal refusal,
    uint64_t now_ms)
{
	uint64_t since = ++t->count[refusal] - t->told[refusal];

	if (now_ms < t->quiet_until_ms[refusal])
		return 0;
	t->told[refusal] = t->count[refusal];
	t->quiet_until_ms[refusal] = now_ms + TELL_MS;
	return since;
}

/* --- chunked transfer coding ------------------------------------------------------ */

static int
hex_digit(char c)
{
	const char *digits = "0123456789abcdef";
	const char *at = c == '\0' ? NULL : strchr(digits, c | 0x20);

	return at == NULL || (c >= 0x10 && c < 0x20) ? -1
	                                             : (int)(at - digits);
}

static enum err
size_byte(struct webhook_chunks *c, char b)
{
	int digit = hex_digit(b);

	if (digit >= 0) {
		if (++c->digits > 8)
			return ERR_SYNTAX;
		c->left = c->left << 4 | (unsigned)digit;
		return ERR_OK;
	}
	if (c->digits == 0)
		return ERR_SYNTAX;
	if (b == '\r')
		c->state = CHUNK_LF;
	else if (b == ';' || b == ' ')
		c->state = CHUNK_EXT;
	else
		return ERR_SYNTAX;
	return ERR_OK;
}

static enum err
line_end(struct webhook_chunks *c, char b)
{
	if (b != '\n')
		return ERR_SYNTAX;
	c->digits = 0;
	c->state = c->left > 0 ? CHUNK_DATA : CHUNK_TRAILER;
	return ERR_OK;
}

/* Trailer lines are read over, up to an empty one. */
static enum err
trailer_byte(struct webhook_chunks *c, char b)
{
	if (b == '\n') {
		if (c->line == 0)
			c->state = CHUNK_DONE;
		c->line = 0;
	} else if (b != '\r')
		c->line++;
	return ++c->extra > EXTRA_MAX ? ERR_SYNTAX : ERR_OK;
}

static enum err
one_byte(struct webhook_chunks *c, char b)
{
	switch (c->state) {
	case CHUNK_SIZE:
		return size_byte(c, b);
	case CHUNK_EXT:
		if (b == '\r')
			c->state = CHUNK_LF;
		return ++c->extra > EXTRA_MAX ? ERR_SYNTAX : ERR_OK;
	case CHUNK_LF:
		return line_end(c, b);
	case CHUNK_CR:
		c->state = CHUNK_END;
		return b == '\r' ? ERR_OK : ERR_SYNTAX;
	case CHUNK_END:
		c->state = CHUNK_SIZE;
		return b == '\n' ? ERR_OK : ERR_SYNTAX;
	case CHUNK_TRAILER:
		return trailer_byte(c, b);
	case CHUNK_DATA:
	case CHUNK_DONE:
		break;
	}
	return ERR_SYNTAX; /* bytes after the end */
}

enum err
webhook_unchunk(struct webhook_chunks *c, struct slice in, struct buf *body)
{
	enum err e = ERR_OK;

	while (in.n > 0 && e == ERR_OK) {
		size_t n = 1;

		if (c->state == CHUNK_DATA) {
			n = in.n < c->left ? in.n : (size_t)c->left;
			buf_put(body, (struct slice){ in.p, n });
			c->left -= n;
			if (c->left == 0)
				c->state = CHUNK_CR;
		} else
			e = one_byte(c, in.p[0]);
		in = slice_from(in, n);
	}
	return body->failed ? ERR_NOMEM : e;
}
