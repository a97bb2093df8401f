/*
 * frame: the JSON lines between us and an exec handler: bytes into lines,
 * lines into frames, events into frames.  No I/O; docs/handlers.md is what
 * users read of it.
 */
#ifndef FRAME_H
#define FRAME_H

#include "buf.h"
#include "json.h"
#include "messages.h"

enum { FRAME_MAX = 1 << 20 };   /* bytes of a line, its line feed included */

/* --- bytes into lines --------------------------------------------------------- */

struct lines {
	struct buf bytes;
	size_t     at, looked;   /* where the next line begins; no \n before */
};

/* NOMEM.  No bound here: read no more while a line can be had. */
enum err lines_put(struct lines *, struct slice);
/* The next line without its end, a loan until the next call of either.
 * AGAIN: none is complete; TOO_LARGE: longer than FRAME_MAX. */
enum err lines_next(struct lines *, struct slice *);
/* Bytes that no line_next() has taken. */
size_t lines_left(const struct lines *);
void lines_free(struct lines *);

/* --- lines into frames -------------------------------------------------------- */

enum verb {
	VERB_HELLO, VERB_REPLY, VERB_CALL, VERB_ACK, VERB_NACK, VERB_LOG,
	VERB_PONG, VERB_UNKNOWN,    /* to be ignored, for ever */
	VERB_STRAY,                 /* no frame: does not begin with { */
};

struct frame {
	enum verb    verb;
	struct json *doc;           /* NULL: stray */
	struct slice line;          /* on loan, without a byte order mark */
};

/* SYNTAX: begins with { and is no JSON object; NOMEM. */
enum err frame_read(struct frame *, struct slice line);
void frame_free(struct frame *);

/* What a reply or call asks for, from its frame; loans from it, but for the
 * buffers, which are the caller's to free with frame_order_free(). */
struct frame_order {
	struct slice do_, text, conv, msg, bot, key, ref;
	uint64_t     n;                 /* 0: not said */
	struct buf   with;              /* a packed map; empty: none */
	struct buf   texts;
};
/* What is wrong with it, or NULL.  of: a VERB_REPLY or VERB_CALL frame; ref:
 * its id as JSON, for the result; "" when it has none. */
const char *frame_order(struct frame_order *, const struct frame *of);
void frame_order_free(struct frame_order *);

/* The events of a hello as words with blanks, appended. false: not a list of
 * texts. */
bool frame_words(const struct json *list, struct buf *words);

/* --- to the handler: each is one line and its end ------------------------------- */

/* An event as section "The event" of docs/handlers.md has it. */
void frame_event(const struct msg_event *, bool raw, struct buf *);
/* A result; ref: the handler's own id, as JSON. */
void frame_result(const struct msg_result *, struct slice ref, struct buf *);
/* Takes the document. */
void frame_put(struct json *doc, struct buf *);

#endif
