/*
 * talk: a message that comes in parts.  Whether a part follows those before it
 * is judged here; what may be replied to, by send.  No I/O.
 */
#ifndef TALK_H
#define TALK_H

#include "send.h"

enum { TALKS_MAX = 4096, TALK_ID_MAX = 64, TALK_TEXT_MAX = 10000 };

struct talk {
	struct talk *next;          /* of its bot, the newest first */
	char         id[TALK_ID_MAX];
	struct conversation *conversation;
	int64_t      index, at_us, seq;
	bool         replace, markdown, over;
	struct buf   text;          /* so far */
};

/* NULL: not of this conversation, or forgotten. */
struct talk *talk_find(struct talk *first, const struct conversation *,
    struct slice id);
/* The text of a part: NULL, and the talk has it; body has its form.  A talk
 * without an index begins: index -1. */
const struct refusal *talk_add(struct talk *, const struct json *body,
    uint64_t gap_ms, int64_t now_us);
/* Puts it first; the oldest goes when there are too many. */
void talk_keep(struct talk **first, struct talk *);
struct talk *talk_new(const char *id, struct conversation *);
void talk_free(struct talk **);
void talks_close(struct talk **first);

#endif
