/*
 * scrub: an event's frame without whom it is about.  Ids and names become
 * stand-ins, always the same for the same one under one key, and never to be
 * told from it without that key, which is made for one run and kept nowhere.
 * What becomes of the value of which key is scrub.def; no I/O.
 */
#ifndef SCRUB_H
#define SCRUB_H

#include <stdbool.h>

#include "buf.h"
#include "err.h"

struct scrub {
	unsigned char key[32];
	bool          drop_texts;   /* "" in place of what people wrote */
};

/* A new key.  SYSTEM: there is no chance to be had. */
enum err scrub_open(struct scrub *, bool drop_texts);
void scrub_close(struct scrub *);

/* A frame of an event, as one line: appended, scrubbed, with its end.  SYNTAX:
 * not a JSON object; NOMEM. */
enum err scrub_event(const struct scrub *, struct slice line, struct buf *out);

/* Parts of it, for who tests them: all append. */
void scrub_id(const struct scrub *, struct slice, struct buf *out);
void scrub_text(const struct scrub *, struct slice, struct buf *out);
void scrub_url(const struct scrub *, struct slice, struct buf *out);

#endif
