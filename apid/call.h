/*
 * call: what a worker asks for, checked: operation, scope, arguments, and the
 * address and body that follow from them.  No I/O.
 */
#ifndef CALL_H
#define CALL_H

#include "attempt.h"
#include "catalog.h"
#include "json.h"
#include "messages.h"
#include "reply.h"

enum {
	CALL_ID_MAX = 512,       /* bytes of an id that goes into a path */
	CALL_SEGMENTS = 4,       /* of a path, that are filled in */
	CALL_AUDIT_MAX_MS = 600000   /* one may wait for the end of a review */
};

/* What is done for it. */
enum call_work {
	WORK_REQUEST,            /* one request, its row's */
	WORK_UPLOAD,             /* `media` is uploaded, and that is all */
	WORK_DOWNLOAD            /* `media.source` is fetched */
};

/* A file the platform must hold before the message can leave. */
struct media_want {
	bool         wanted;
	unsigned     type;     /* 1 picture, 2 video, 3 voice, 4 file */
	struct slice source;   /* https URL, path below ROOKERY_MEDIA_DIR, or
	                          base64:... */
	struct slice name;     /* shown; may be empty */
};

/* All slices are loans from the message or from what is ours below: good
 * until call_free(). */
struct call {
	const struct msg_call       *args;
	const struct call_operation *operation;
	/* Method, limit, statuses; NULL for a download.  Static. */
	const struct catalog_row    *row;
	enum call_work               work;
	enum call_scope              scope;
	/* The conversation it belongs to; empty: none. */
	struct slice                 target;
	/* A message to the conversation; if it answers something it is
	 * passive, else active. */
	bool                         speaks, passive;
	/* A number the platform tells doubles by: it may be sent again. */
	bool                         has_seq;
	/* Of a message that grows. */
	enum attempt_part            part;
	/* It makes something appear: a double would be seen. */
	bool                         appears;
	/* What came back is the answer's whole object. */
	bool                         whole;
	/* It only asks what became of an earlier one. */
	bool                         known;
	/* It calls its user back. */
	bool                         wakeup;
	/* The caller's own name for it, by which a repeat is known. */
	struct slice                 own_key;
	/* How long the caller waits for the end of a review. */
	uint64_t                     audit_wait_ms;
	struct media_want            media;
	/* Ours. */
	struct slice                 segments[CALL_SEGMENTS];
	struct json                 *with;      /* NULL: no arguments */
	struct json                 *body;      /* NULL: the request has none */
	char                         wrong[200];
};

/* OK, UNSUPPORTED, BAD_ARG, TOO_MUCH, or RATE_LIMITED when out of memory;
 * *wrong names the argument and what is wrong with it, a loan from the call.
 * raw: requests that are in no table are allowed.  To be freed in any case. */
enum result call_read(struct call *, const struct msg_call *, bool raw,
    const char **wrong);
void call_free(struct call *);

/* Appends the address and the body.  SYNTAX: an id that makes no path. */
enum err call_url(const struct call *, struct slice base, struct buf *url);
enum err call_body(const struct call *, struct buf *body);

/* The body with what has become of the wanted file: its file_info to users
 * and groups, its address to channels and direct conversations.  Appends. */
enum err call_put_media(enum call_scope, struct slice body,
    struct slice value, struct buf *out);

/* What is the same call: repeats of it have this key, nothing else has.  Made
 * of the bot, the event and n for replies, of the event and the id for what
 * else belongs to an event, else of the peer and the id. */
void call_key(const struct call *, struct slice peer, struct buf *key);

/* The conversation it belongs to, as events name it ("u:..."); appends nothing
 * when there is none. */
void call_conv(const struct call *, struct buf *conv);

/* The line it waits in: of its bot and conversation.  Appends nothing when it
 * belongs to no conversation. */
void call_lane(const struct call *, struct buf *lane);

/* "c2c"; "none" for an operation without conversation. */
const char *call_scope_name(const struct call *);

/* --- for the parts of it: params.c, body.c --- */

/* Keeps the words; returns the result. */
enum result call_wrong(struct call *, enum result, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
bool call_is_id(struct slice);
/* As a part of a path it would lead out of its place. */
bool call_climbs(struct slice id);
bool call_is_utf8(struct slice);

#endif
