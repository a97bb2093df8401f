// links: gatewayd/webhook.c gatewayd/signature.c gatewayd/payload.c common
// libs: libcrypto
/*
 * A request that claims to come from the platform.  The first byte says how it
 * is put; the coding must come out the same wherever it is cut, and nothing
 * unsigned may become an event.
 */
#include <stdint.h>
#include <stdlib.h>

#include "webhook.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
must(bool good)
{
	if (!good)
		abort();
}

static enum err
unchunk(struct slice in, size_t step, struct buf *body,
    struct webhook_chunks *c)
{
	enum err e = ERR_OK;

	for (size_t at = 0; at < in.n && e == ERR_OK; at += step)
		e = webhook_unchunk(c, (struct slice){ in.p + at,
		    in.n - at < step ? in.n - at : step }, body);
	return e;
}

static void
chunks(struct slice in)
{
	struct webhook_chunks a = { 0 }, b = { 0 };
	struct buf            whole = { 0 }, pieces = { 0 };
	enum err              e = unchunk(in, in.n + 1, &whole, &a);

	must(unchunk(in, 3, &pieces, &b) == e);
	must(e != ERR_OK || a.state == b.state);
	must(slice_eq(buf_slice(&whole), buf_slice(&pieces)));
	must(whole.n <= in.n);
	buf_free(&whole);
	buf_free(&pieces);
}

static void
decide(struct slice in, unsigned how)
{
	static const char      key_bytes[SIGNATURE_KEY] = "0123456789abcdef";
	struct webhook_bot     bots[2] = { { .app_id = "1" },
		{ .app_id = "2" } };
	struct webhook_request q = { .method = SLICE("POST"),
		.app_id = how & 1 ? SLICE("2") : SLICE("1"), .body = in };
	struct webhook_result  r;
	struct buf             answer = { 0 };

	must(signature_key_new(&bots[0].key,
	    (struct slice){ key_bytes, sizeof key_bytes }) == ERR_OK);
	if (how & 2 && in.n > SIGNATURE_HEX + 10) {
		q.signature = (struct slice){ in.p, SIGNATURE_HEX };
		q.timestamp = (struct slice){ in.p + SIGNATURE_HEX, 10 };
		q.body = slice_from(in, SIGNATURE_HEX + 10);
	}
	webhook_decide(&q, bots, 2, 1700000000, how & 4 ? 300 : 0, &answer,
	    &r);
	must(r.verdict != WEBHOOK_EVENT && r.verdict != WEBHOOK_ANSWER);
	if (r.verdict == WEBHOOK_SIGN) {
		must(memchr(r.plain_token.p, '{', r.plain_token.n) == NULL);
		must(r.plain_token.n <= 128);
	}
	payload_free(&r.payload);
	buf_free(&answer);
	signature_key_free(&bots[0].key);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = { (const char *)data, n };

	chunks(in);
	decide(in, 0);
	if (n > 0)
		decide(slice_from(in, 1), data[0]);
	return 0;
}
