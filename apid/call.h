/*
 * call: what a worker asks for, checked: operation, scope, arguments, and the
 * address and body that follow from them.  No I/O.
 */
#ifndef CALL_H
#define CALL_H

#include "messages.h"
#include "reply.h"
#include "route.h"

enum call_scope { SCOPE_C2C, SCOPE_GROUP, SCOPE_CHANNEL, SCOPE_DM, SCOPES };

enum call_needs {
	NEEDS_EV = 1, NEEDS_N = 2, NEEDS_CONV = 4, NEEDS_ANCHOR = 8,
	NEEDS_TEXT = 16, NEEDS_MSG = 32
};

struct call_operation {
	const char *name, *meaning;
	unsigned    needs;
	bool        has_body;
	enum route  routes[SCOPES];
};

/* A file the platform must hold before the message can leave. */
struct media_want {
	bool         wanted;
	unsigned     type;     /* 1 picture, 2 video, 3 voice, 4 file */
	struct slice source;   /* https URL, path below ROOKERY_MEDIA_DIR, or
	                          base64:... */
	struct slice name;     /* shown; may be empty */
};

enum { CALL_ID_MAX = 512 };   /* bytes of an id that goes into a path */

/* All slices are loans from the message. */
struct call {
	const struct msg_call       *args;
	const struct call_operation *operation;
	enum call_scope              scope;
	struct slice                 target;
	enum route                   route;
	/* A number the platform tells doubles by: it may be sent again. */
	bool                         has_seq;
	/* It makes something appear: a double would be seen. */
	bool                         appears;
	/* What came back is the answer's whole object. */
	bool                         whole;
	/* The caller's own name for it, by which a repeat is known. */
	struct slice                 own_key;
	/* How long the caller waits for the end of a review. */
	uint64_t                     audit_wait_ms;
	/* It calls its user back. */
	bool                         wakeup;
};

/* OK, UNSUPPORTED or BAD_ARG; *wrong names the argument and what it lacks,
 * static. */
enum result call_read(struct call *, const struct msg_call *,
    const char **wrong);

/* Appends the address and the body.  SYNTAX: an id that makes no path. */
enum err call_url(const struct call *, struct slice base, struct buf *url);
enum err call_body(const struct call *, struct buf *body);

/* What is the same call: repeats of it have this key, nothing else has.  Made
 * of the bot, the event and n for replies, of the event and the id for what
 * else belongs to an event, else of the peer and the id. */
void call_key(const struct call *, struct slice peer, struct buf *key);

/* "c2c"; "none" for an operation without conversation. */
const char *call_scope_name(const struct call *);

const struct call_operation *call_operations(size_t *n);

#endif
