// links: common
/*
 * What a peer sends on a bus: the first byte picks the way, the next four are
 * the head, the rest is the body.  And MessagePack as such.
 */
#include <stdint.h>
#include <stdlib.h>

#include "json.h"
#include "messages.h"
#include "pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* Reads each byte of what was handed out. */
static void
touch(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		(void)*(const volatile char *)&s.p[i];
}

static void
on_event(void *self, msg_peer from, const struct msg_event *m)
{
	struct json *j = NULL;

	(void)self, (void)from;
	touch(m->id);
	touch(m->text);
	touch(m->raw);
	if (json_from_msgpack(&j, m->data) == ERR_OK)
		json_print(j);
	json_free(&j);
}

static void
on_ready(void *self, msg_peer from, const struct msg_ready *m)
{
	(void)self, (void)from;
	touch(m->name);
	touch(m->events);
	touch(m->want);
}

static void
on_call(void *self, msg_peer from, const struct msg_call *m)
{
	(void)self, (void)from;
	touch(m->do_);
	touch(m->text);
	touch(m->with);
}

static const struct msg_handlers handlers = { .event = on_event,
	.ready = on_ready, .call = on_call };

static void
one(struct slice in)
{
	struct json  *j = NULL;
	struct unpack u;
	struct slice  whole;

	if (json_from_msgpack(&j, in) == ERR_OK)
		json_print(j);
	json_free(&j);
	unpack_open(&u, in);
	while (unpack_skip(&u, &whole) == ERR_OK && whole.n > 0)
		touch(whole);
	if (in.n > 5)
		msg_dispatch((struct slice){ in.p + 1, 4 }, slice_from(in, 5),
		    (enum msg_way)(1 << (unsigned char)in.p[0] % 8), &handlers,
		    NULL, (msg_peer){ NULL, 0 });
	for (int kind = 0; kind < MSG_KINDS; kind++) {
		/* the largest of them */
		union {
#define MESSAGE(name, ...) struct msg_##name name;
#include "messages.def"
#undef MESSAGE
		} m;

		msg_decode((enum msg_kind)kind, in, &m);
	}
}

/* JSON as MessagePack, whole and with a bit changed here and there: so the
 * samples of frames serve as samples of bodies. */
static void
as_msgpack(struct slice text)
{
	struct json *j = NULL;
	struct buf   b = { 0 };
	unsigned     at = 1;

	if (json_parse(&j, text) == ERR_OK &&
	    json_to_msgpack(j, &b) == ERR_OK && b.n > 0) {
		one(buf_slice(&b));
		for (int i = 0; i < 8; i++) {
			at = at * 1103515245 + (unsigned)text.n * 12345 + 1;
			b.p[at % b.n] ^= (char)(1 << (at >> 16) % 8);
			one(buf_slice(&b));
		}
	}
	json_free(&j);
	buf_free(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = { (const char *)data, n };

	one(in);
	as_msgpack(in);
	return 0;
}
