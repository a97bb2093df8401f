/*
 * capsule: the last that a handler's process was told and said, for whoever
 * finds an event among the dead letters that it has killed or hung.  Of fixed
 * size, no I/O.  What is secret in it (the values of ROOKERY_HANDLER_ENV_FILE)
 * is covered before anything is cut off or kept.
 */
#ifndef CAPSULE_H
#define CAPSULE_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "slice.h"

enum {
	CAPSULE_FRAMES = 8, CAPSULE_FRAME = 512,    /* bytes of each */
	CAPSULE_WORDS = 20, CAPSULE_WORD = 256,     /* lines of its stderr */
	CAPSULE_HIDDEN_MIN = 4    /* a shorter value is no secret, and everywhere */
};

struct capsule_line {
	uint64_t at_ms;
	bool     from, cut;
	uint16_t n;
};

struct capsule {
	struct {
		struct capsule_line line;
		char                text[CAPSULE_FRAME];
	} frames[CAPSULE_FRAMES];
	struct {
		struct capsule_line line;
		char                text[CAPSULE_WORD];
	} words[CAPSULE_WORDS];
	size_t nframes, nwords;     /* all so far; the newest are kept */
	struct slice hidden;        /* the owner's: NAME=VALUE, each with its NUL */
};

/* Empty, as for a new process. */
void capsule_open(struct capsule *, struct slice hidden);

/* from: it has said it, else it was told.  Without the line feed. */
void capsule_frame(struct capsule *, bool from, struct slice line,
    uint64_t now_ms);
void capsule_words(struct capsule *, struct slice line, uint64_t now_ms);

/* JSON, appended: {end, frames: [{ms from text cut}], stderr: [{ms text cut}]}.
 * ms counts from since_ms, when it was given the event.  NOMEM. */
enum err capsule_write(const struct capsule *, const char *end,
    uint64_t since_ms, struct buf *);

#endif
