/*
 * payload: frames of the gateway, JSON <-> C.  Frames come from outside:
 * whatever they hold, the worst that comes of it is an error.
 */
#ifndef PAYLOAD_H
#define PAYLOAD_H

#include "buf.h"
#include "err.h"
#include "json.h"

enum payload_op {
#define OPCODE(number, NAME, meaning) OP_##NAME = number,
#include "opcodes.def"
#undef OPCODE
};

struct payload {
	struct json *doc;          /* owns what the others lend */
	int          op;
	int64_t      seq;          /* s; 0 when absent or not positive */
	struct slice type;         /* t; may be empty */
	struct slice id;           /* may be empty */
	struct json *d;            /* may be NULL */
	struct slice raw;          /* d as it came: a loan from the text */
};

/* SYNTAX: not a JSON object with a small integer op.  Free it in any case. */
enum err payload_parse(struct payload *, struct slice text);
void payload_free(struct payload *);

/* Appended to buf; NOMEM is remembered there.  seq 0 is null. */
void payload_heartbeat(struct buf *, int64_t seq);
void payload_identify(struct buf *, struct slice token, uint32_t intents,
    unsigned shard, unsigned shards);
void payload_resume(struct buf *, struct slice token, const char *session_id,
    int64_t seq);
/* The webhook's answers. */
void payload_callback_ack(struct buf *, bool taken);
void payload_heartbeat_ack(struct buf *, const struct json *d);
void payload_validation(struct buf *, struct slice plain_token,
    struct slice signature);

#endif
