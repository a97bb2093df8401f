/*
 * wire: the latest requests to the platform's API as they came, for a test
 * that wants to see what a client really sends.  No I/O.
 */
#ifndef WIRE_H
#define WIRE_H

#include "server.h"

struct json;

enum { WIRE_SLOTS = 512, WIRE_BODY_MAX = 16384 };

struct wire_slot {
	uint64_t    serial;        /* 0: free */
	int64_t     at_ms;
	enum method method;
	const char *op;            /* static; "": no such operation */
	int         status;        /* 0: not answered (yet) */
	char        bot[33];
	size_t      nbody;         /* as it came; text may hold less */
	size_t      parts[8];      /* where each text ends */
	struct buf  text;          /* path, query, headers, body */
};

struct wire {
	struct wire_slot slots[WIRE_SLOTS];
	uint64_t         last;
};

enum err wire_new(struct wire **);
void wire_free(struct wire **);
/* Returns its serial.  The token of the Authorization header is left out. */
uint64_t wire_put(struct wire *, const struct request *, int64_t at_ms);
/* What became of it.  op is static; bot may be NULL. */
void wire_note(struct wire *, uint64_t serial, const char *op,
    const char *bot, int status);
void wire_reset(struct wire *);
/* Those after this serial, oldest first; op empty: of any operation. */
struct json *wire_json(const struct wire *, uint64_t after, size_t limit,
    struct slice op);

const char *method_name(enum method);

#endif
