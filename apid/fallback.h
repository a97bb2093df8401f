/*
 * fallback: a message in another form, when the platform will not have it in
 * the first: without what it answers, or without its markdown; a role as it
 * was told before.  Bodies in, bodies out.  No I/O.
 */
#ifndef FALLBACK_H
#define FALLBACK_H

#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "slice.h"

/* As an unasked message.  SYNTAX: it cannot be one (a sign of typing, a part
 * of a stream).  Appends, as below. */
enum err fallback_active(struct slice body, struct buf *out);
/* As plain text, its keyboard left out.  SYNTAX: it has no markdown, or none
 * that holds a text. */
enum err fallback_plain(struct slice body, struct buf *out);
/* A role in the older form: {filter: {name: 1, ...}, info: {name, ...}}, the
 * first naming what of the second is set.  SYNTAX: it has it already. */
enum err fallback_role(struct slice body, struct buf *out);
/* Quick: does it hold markdown? */
bool fallback_has_markdown(struct slice body);
/* Does this code refuse markdown?  lasting: the bot may not send any there;
 * else this one is not liked. */
bool fallback_is_markdown(uint64_t code, bool *lasting);

/* The marks of markdown taken away: headings, quotes, stress, addresses of
 * links and pictures.  Appends. */
void fallback_strip(struct slice markdown, struct buf *out);

#endif
