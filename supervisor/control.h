/*
 * control: what the lines on the status socket mean; commands.def is the
 * table.  A request is {"v":1,"id":..,"cmd":"status", ...}, its answer repeats
 * v and id and says ok, or error and message.
 */
#ifndef CONTROL_H
#define CONTROL_H

#include "family.h"
#include "status.h"

struct control {
	struct family  *family;
	struct status   status;
	char           *path;
	uint64_t        seq, questions;
	enum plan_state shown;        /* overall state last told to watchers */
};

/* state: what another program has left (handover.h), or NULL. */
enum err control_open(struct control *, struct family *, struct loop *,
    const char *run_dir, const struct json *state);
/* Puts what control_open() takes. */
void control_put(const struct control *, struct json *state);
void control_close(struct control *);
/* Somebody has asked for another program in our place, and waits. */
bool control_wants_upgrade(const struct control *);
/* Why that could not be; the new program answers itself if it could. */
void control_upgraded(struct control *, const char *why_not);
/* After family_turn(): answers those who waited for what has happened. */
void control_turn(struct control *);

#endif
