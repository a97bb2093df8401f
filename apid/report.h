/*
 * report: what status shows of this program, told to the parent when it
 * changes, at most once a second.
 */
#ifndef REPORT_H
#define REPORT_H

#include "bot.h"
#include "fetch.h"
#include "media.h"
#include "proc.h"
#include "request.h"

enum { REPORT_MS = 1000 };

struct report {
	struct proc           *proc;
	struct loop           *loop;
	const struct http     *http;
	const struct media    *media;
	const struct fetch    *fetch;
	const struct bot      *bots;
	size_t                 nbots;
	struct requests       *requests;
	enum bot_state         state;    /* as told last */
	bool                   told;
	struct timer           timer;
};

/* Something has changed: soon; a state has changed: at once. */
void report_touch(struct report *);
void report_state(struct report *);
void report_close(struct report *);

/* The object that is told; the caller's.  NULL when out of memory. */
struct json *report_make(const struct report *);

#endif
