/*
 * Reads the envelope all frames and callbacks share, and writes ours.
 */
#include "payload.h"

enum err
payload_parse(struct payload *p, struct slice text)
{
	int64_t  op;
	enum err e;

	*p = (struct payload){ 0 };
	if ((e = json_parse(&p->doc, text)) != ERR_OK)
		return e;
	if (!json_is_object(p->doc) || !json_int_at(p->doc, "op", &op) ||
	    op < 0 || op > 1000)
		return ERR_SYNTAX;
	p->op = (int)op;
	if (!json_int_at(p->doc, "s", &p->seq) || p->seq < 0)
		p->seq = 0;
	p->type = json_text_at(p->doc, "t");
	p->id = json_text_at(p->doc, "id");
	p->d = json_get(p->doc, "d");
	p->raw = json_member_text(text, "d");
	return ERR_OK;
}

void
payload_free(struct payload *p)
{
	json_free(&p->doc);
	*p = (struct payload){ 0 };
}

static struct json *
frame(int op)
{
	struct json *f = json_new_object();

	json_put_int(f, "op", op);
	return f;
}

static void
finish(struct buf *out, struct json *f)
{
	if (f == NULL)
		out->failed = true;
	else
		json_write(f, out);
	json_free(&f);
}

void
payload_heartbeat(struct buf *out, int64_t seq)
{
	struct json *f = frame(OP_HEARTBEAT);

	if (seq > 0)
		json_put_int(f, "d", seq);
	else
		json_put_null(f, "d");
	finish(out, f);
}

static void
put_token(struct json *d, struct slice token)
{
	struct buf b = { 0 };

	buf_puts(&b, "QQBot ");
	buf_put(&b, token);
	json_put_text(d, "token", buf_slice(&b));
	if (b.p != NULL)
		explicit_bzero(b.p, b.cap);
	buf_free(&b);
}

void
payload_identify(struct buf *out, struct slice token, uint32_t intents,
    unsigned shard, unsigned shards)
{
	struct json *f = frame(OP_IDENTIFY), *d = json_new_object();
	struct json *pair = json_new_array(), *about = json_new_object();

	json_push_int(pair, shard);
	json_push_int(pair, shards);
	json_put_text(about, "$os", SLICE("linux"));
	json_put_text(about, "$browser", SLICE("rookery"));
	json_put_text(about, "$device", SLICE("rookery"));
	put_token(d, token);
	json_put_int(d, "intents", intents);
	json_put_take(d, "shard", pair);
	json_put_take(d, "properties", about);
	json_put_take(f, "d", d);
	finish(out, f);
}

void
payload_resume(struct buf *out, struct slice token, const char *session_id,
    int64_t seq)
{
	struct json *f = frame(OP_RESUME), *d = json_new_object();

	put_token(d, token);
	json_put_text(d, "session_id", slice_of(session_id));
	json_put_int(d, "seq", seq);
	json_put_take(f, "d", d);
	finish(out, f);
}

void
payload_callback_ack(struct buf *out, bool taken)
{
	struct json *f = frame(OP_CALLBACK_ACK);

	json_put_int(f, "d", taken ? 0 : 1);
	finish(out, f);
}

void
payload_heartbeat_ack(struct buf *out, const struct json *d)
{
	struct json *f = frame(OP_HEARTBEAT_ACK);

	if (json_is_number(d))
		json_put_ref(f, "d", d);
	finish(out, f);
}

void
payload_validation(struct buf *out, struct slice plain_token,
    struct slice signature)
{
	struct json *f = json_new_object();

	json_put_text(f, "plain_token", plain_token);
	json_put_text(f, "signature", signature);
	finish(out, f);
}
