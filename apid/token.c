/*
 * The life of an access token.  The rules are the platform's: a new token is
 * given in the last 60 s of the old one and not before, both are good in that
 * minute, errors may come with status 200, expires_in may be a string.
 */
#include "token.h"

#include "json.h"

enum { LASTS_MAX_S = 86400, ASK_AGAIN_MS = 1000, TOKEN_MAX = 4096 };

static const uint32_t steps_ms[] = { 1000, 2000, 5000, 0 };

static const struct token_refusal refusals[] = {
	{ 100016, "invalid app id or secret",
	    "QQ_CLIENT_SECRET is not the secret of QQ_APP_ID: take both from "
	    "the platform's console" },
	{ 100007, "the app id is not valid: the bot is banned or deleted",
	    "look at the bot in the platform's console, or correct QQ_APP_ID" },
	{ 10004, "there is no such bot",
	    "correct QQ_APP_ID: no bot has this app id" },
};

enum { CODE_BUSY = 100001, STATUS_BUSY = 429 };

/* --- the answer ----------------------------------------------------------- */

/* 7200, "7200" and 7200.0 have all been seen. */
static bool
read_lasts(const struct json *doc, uint64_t *ms)
{
	const struct json *v = json_get(doc, "expires_in");
	int64_t            s;

	if (!json_int(v, &s)) {
		double d = json_is_number(v) ? json_double(v) : 0;

		s = d >= 1 && d <= LASTS_MAX_S ? (int64_t)d : 0;
	}
	if (s <= 0)
		return false;
	*ms = (uint64_t)(s < LASTS_MAX_S ? s : LASTS_MAX_S) * 1000;
	return true;
}

/* It goes into a header: what could end that, or begin another, is none. */
static bool
is_token(struct slice s)
{
	if (s.n == 0 || s.n > TOKEN_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~')
			return false;
	return true;
}

static void
read_error(struct token_reply *r, unsigned status, const struct json *doc)
{
	if ((!json_int_at(doc, "err_code", &r->code) || r->code == 0) &&
	    !json_int_at(doc, "code", &r->code))
		r->code = 0;
	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
		if (refusals[i].code == r->code) {
			r->kind = TOKEN_REFUSED;
			r->refusal = &refusals[i];
			r->why = refusals[i].why;
			return;
		}
	if (r->code == CODE_BUSY || status == STATUS_BUSY) {
		r->kind = TOKEN_BUSY;
		r->why = "asked too often";
	}
}

void
token_read(struct token_reply *r, unsigned status, struct slice body)
{
	struct json *doc;
	struct slice value;

	*r = (struct token_reply){ .kind = TOKEN_BROKEN,
		.why = "the answer is not JSON" };
	if (status == 0)
		r->why = "no answer";
	if (json_parse(&doc, body) != ERR_OK) {
		read_error(r, status, NULL);
		return;
	}
	r->why = "the answer has no access_token";
	value = json_text(json_get(doc, "access_token"));
	if (!json_is_string(json_get(doc, "access_token")) || value.n == 0)
		read_error(r, status, doc);
	else if (!is_token(value))
		r->why = "access_token is none: too long, or not all of it "
		         "printable ASCII";
	else if (!read_lasts(doc, &r->lasts_ms))
		r->why = "expires_in is not a number of seconds";
	else if (secret_set(&r->value, value) != ERR_OK)
		r->why = "out of memory";
	else
		r->kind = TOKEN_GIVEN;
	/* The document's copy must not stay behind in freed memory. */
	if (value.n > 0)
		explicit_bzero((void *)(uintptr_t)value.p, value.n);
	json_free(&doc);
}

/* --- its life ------------------------------------------------------------- */

void
token_open(struct token *t, uint64_t now_ms, uint64_t park_ms)
{
	*t = (struct token){ .next_ms = now_ms, .park_ms = park_ms,
		.backoff = { .steps_ms = steps_ms } };
}

void
token_close(struct token *t)
{
	secret_wipe(&t->value);
}

bool
token_ask(struct token *t, uint64_t now_ms)
{
	if (t->asking || now_ms < t->next_ms)
		return false;
	t->asking = true;
	return true;
}

uint64_t
token_next_ms(const struct token *t)
{
	return t->asking ? 0 : t->next_ms;
}

bool
token_usable(const struct token *t, uint64_t now_ms)
{
	return token_left_ms(t, now_ms) > 0 && !t->forced;
}

uint64_t
token_left_ms(const struct token *t, uint64_t now_ms)
{
	return t->value.n > 0 && now_ms < t->expires_ms
	    ? t->expires_ms - now_ms
	    : 0;
}

/* How long before its end a token that lasts so long is renewed.  One that
 * lasts a minute or less is in its last minute already. */
static uint64_t
early_ms(uint64_t lasts_ms, uint32_t chance)
{
	uint64_t jitter = (uint64_t)TOKEN_JITTER_MS * chance >> 32;

	return lasts_ms > 60000 ? TOKEN_EARLY_MS - jitter : lasts_ms / 2;
}

static void
take(struct token *t, struct token_reply *r, uint64_t now_ms, uint32_t chance)
{
	bool same = secret_eq(&t->value, secret_reveal(&r->value));

	if (same && t->forced)
		t->same_until_ms = now_ms + TOKEN_SAME_MS;
	if (!same)
		t->generation++;
	secret_move(&t->value, &r->value);
	t->answers++;
	t->expires_ms = now_ms + r->lasts_ms;
	t->next_ms = t->expires_ms - early_ms(r->lasts_ms, chance);
	if (t->next_ms < now_ms + ASK_AGAIN_MS)
		t->next_ms = now_ms + ASK_AGAIN_MS;
	t->failing = false;
	t->refusal = NULL;
	backoff_reset(&t->backoff);
}

void
token_answer(struct token *t, struct token_reply *r, uint64_t now_ms,
    uint32_t chance)
{
	t->asking = false;
	t->failing = true;
	switch (r->kind) {
	case TOKEN_GIVEN:
		take(t, r, now_ms, chance);
		break;
	case TOKEN_BUSY:
		t->next_ms = now_ms + TOKEN_BUSY_MS;
		break;
	case TOKEN_REFUSED:
		t->refusal = r->refusal;
		t->next_ms = now_ms + t->park_ms;
		break;
	case TOKEN_BROKEN:
		t->next_ms = now_ms + backoff_next(&t->backoff, chance);
		break;
	}
	/* Nothing better to be had: what there is serves again. */
	t->forced = false;
}

enum token_advice
token_doubt(struct token *t, uint64_t generation, uint64_t now_ms)
{
	if (generation != t->generation)
		return TOKEN_NEWER;
	if (now_ms < t->same_until_ms)
		return TOKEN_SAME;
	/* While the endpoint fails, its own schedule stands. */
	if (!t->failing) {
		t->forced = true;
		if (!t->asking)
			t->next_ms = now_ms;
	}
	return TOKEN_WAIT;
}
