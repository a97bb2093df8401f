/*
 * messages: what our processes say to each other; messages.def is the table.
 * It makes a struct msg_NAME for each message, one codec for all, and a typed
 * dispatch.
 *
 * Text, bytes and values of a decoded message are loans from the frame, good
 * until the handler returns.
 */
#ifndef MESSAGES_H
#define MESSAGES_H

#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "slice.h"

enum { MSG_HEAD = 4, MSG_MAX = 1 << 20 };   /* bytes: first frame; body */

enum msg_way {
	MSG_EVENTS_UP = 1, MSG_EVENTS_DOWN = 2,   /* worker -> gatewayd, back */
	MSG_API_UP = 4, MSG_API_DOWN = 8,         /* worker -> apid, back */
	MSG_TRUST_UP = 16, MSG_TRUST_DOWN = 32,   /* gatewayd -> apid, back */
	MSG_CHILD_UP = 64, MSG_CHILD_DOWN = 128,  /* child -> supervisor, back */
	MSG_FEED = 256,                           /* gatewayd -> observers */
};

typedef struct slice msg_str;
typedef struct slice msg_bin;
typedef struct slice msg_any;   /* MessagePack bytes; json.h reads them */
typedef uint64_t     msg_u64;
typedef int64_t      msg_i64;
typedef bool         msg_flag;
typedef bool         msg_yes;

#define MESSAGE_MEMBER(M, type, key, meaning) msg_##type key;
#define MESSAGE(name, kind, ways, meaning)                                   \
	struct msg_##name {                                                  \
		MESSAGE_##name(MESSAGE_MEMBER, name)                         \
	};
#include "messages.def"
#undef MESSAGE

enum msg_kind {
#define MESSAGE(name, kind, ways, meaning) MSG_##name,
#include "messages.def"
#undef MESSAGE
	MSG_KINDS
};

/* Who sent it: a ROUTER's name for the peer, empty elsewhere.  A loan. */
typedef struct slice msg_peer;

/* What a program takes.  What it does not name it refuses. */
struct msg_handlers {
#define MESSAGE(name, kind, ways, meaning)                                   \
	void (*name)(void *self, msg_peer from, const struct msg_##name *);
#include "messages.def"
#undef MESSAGE
};

/* The two frames of a message.  head: MSG_HEAD bytes.  body: appended; its
 * failure is NOMEM.  TOO_LARGE when the body is over MSG_MAX. */
enum err msg_encode(enum msg_kind, const void *msg, char head[MSG_HEAD],
    struct buf *body);

/* Checks the head, decodes the body and calls the handler.  FORBIDDEN: a kind
 * that may not come this way, or that handlers do not name; SYNTAX: not a
 * message, or a field of a wrong type; TOO_LARGE. NOT_FOUND: a kind newer than
 * this program, to be ignored. */
enum err msg_dispatch(struct slice head, struct slice body, enum msg_way way,
    const struct msg_handlers *, void *self, msg_peer from);

/* Decodes a body alone into a struct msg_NAME. */
enum err msg_decode(enum msg_kind, struct slice body, void *msg);

const char *msg_name(enum msg_kind);

/* The table, for those who print or test it. */
enum msg_field_kind {
	FIELD_str, FIELD_bin, FIELD_any, FIELD_u64, FIELD_i64, FIELD_flag,
	FIELD_yes
};
struct msg_field {
	enum msg_field_kind kind;
	const char         *type, *key, *meaning;
	size_t              nkey, offset;
};
struct msg_info {
	const char             *name, *meaning;
	char                    kind;
	unsigned                ways;
	size_t                  size, nfields;
	const struct msg_field *fields;
};
const struct msg_info *msg_info(enum msg_kind);

#endif
