/*
 * upgrade: another rookeryd in the place of this one, in the same process.
 * The new program is tried first, with the state it would get; only one that
 * says it could go on replaces us.
 */
#ifndef UPGRADE_H
#define UPGRADE_H

#include "control.h"

struct upgrade {
	struct family  *family;
	struct control *control;
	int             lock;          /* of the run folder */
	char           *path;          /* the new program */
	struct timer    late;
	bool            refused;       /* for taking too long */
};

void upgrade_open(struct upgrade *, struct family *, struct control *,
    int lock);
void upgrade_close(struct upgrade *);
/* After each turn: begins what was asked for, and does it when the trial has
 * ended well; it does not return then. */
void upgrade_turn(struct upgrade *);

/* The trial itself, in the new program: its exit status. */
int upgrade_try(struct json *state);

#endif
