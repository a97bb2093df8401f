/*
 * audit: messages that are held for review until somebody decides.  No I/O.
 */
#ifndef AUDIT_H
#define AUDIT_H

#include "send.h"

enum { AUDITS_MAX = 256, AUDIT_ID_MAX = 64 };

struct audit {
	struct audit *next;
	char          id[AUDIT_ID_MAX];
	char          bot[33];
	enum scope    scope;
	char         *target, *text;     /* as in struct send */
	uint64_t      event;             /* serial; 0: active */
	int64_t       seq;
};

struct audits {
	struct audit *first;             /* the newest */
	size_t        n;
};

/* Holds it; the oldest goes when there are too many. */
void audit_hold(struct audits *, const struct send *, const char *bot,
    const char *id);
/* The caller's from now on; NULL: not held.  id empty: the newest. */
struct audit *audit_take(struct audits *, struct slice id);
void audit_free(struct audit **);
void audits_close(struct audits *);
struct json *audits_json(const struct audits *);

#endif
