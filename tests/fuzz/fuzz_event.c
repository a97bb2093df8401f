// links: gatewayd/payload.c gatewayd/normal.c gatewayd/extra.c common
/*
 * A frame of the platform: read, made an event, encoded, decoded, and what
 * went in as JSON comes out as JSON again.
 */
#include <stdint.h>
#include <stdlib.h>

#include "date.h"
#include "normal.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
must(bool good)
{
	if (!good)
		abort();
}

static void
round_trip(struct slice packed)
{
	struct json *j = NULL;

	if (packed.n > 0)
		must(json_from_msgpack(&j, packed) == ERR_OK);
	json_free(&j);
}

static void
one_way(const struct payload *p, const char *user, const char *shard)
{
	static const struct normal_rules rules = { 1, 2, 3, 4 };
	struct normal_context ctx = { .rules = &rules, .bot = "1",
		.user = user, .shard = shard, .now_ms = 7 };
	struct normal_scratch scratch = { 0 };
	struct msg_event      ev, back;
	struct buf            body = { 0 };
	char                  head[MSG_HEAD];
	enum err              e;

	must(normal_event(p, &ctx, &scratch, &ev) == ERR_OK);
	must(ev.id.n > 0 && ev.conv.n > 0 && ev.type.n > 0);
	round_trip(ev.attachments);
	round_trip(ev.mentions);
	round_trip(ev.quote);
	round_trip(ev.data);
	e = msg_encode(MSG_event, &ev, head, &body);
	must(e == ERR_OK || e == ERR_TOO_LARGE);
	if (e == ERR_OK) {
		must(msg_decode(MSG_event, buf_slice(&body), &back) == ERR_OK);
		must(slice_eq(back.id, ev.id) && slice_eq(back.raw, ev.raw));
		must(slice_eq(back.data, ev.data));
	}
	buf_free(&body);
	normal_free(&scratch);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct payload p;

	if (payload_parse(&p, (struct slice){ (const char *)data, n }) ==
	    ERR_OK) {
		one_way(&p, "9000000000000000001", "0/1");
		one_way(&p, "", "webhook");
		date_ms(json_text_at(p.d, "timestamp"));
	}
	payload_free(&p);
	return 0;
}
