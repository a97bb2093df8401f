/*
 * attach: the files of calls: a message waits until the platform holds what
 * goes along with it (media.h), or carries it as a form; an upload and a
 * download are calls of their own.  Both are done while nothing of the call
 * is recorded and no place is taken.
 */
#ifndef ATTACH_H
#define ATTACH_H

#include "fetch.h"
#include "form.h"
#include "media.h"

struct request;

/* A member of the call's. */
struct attachment {
	/* Set with the call; want's slices live as long as it. */
	enum call_work     work;
	struct media_want  want;
	/* Ours. */
	bool               ready, renewed, waits;
	struct media_order order;
	struct fetch_order fetch;
	struct form       *form;        /* NULL: a body */
	struct buf         file_info;   /* that it is sent with */
};

/* It cannot leave before attach_start() has brought it here again. */
bool attach_is_due(const struct request *);
/* Ends the call, or brings it back to its turn, from the loop. */
void attach_start(struct request *);
void attach_cancel(struct request *);
/* The platform does not know the file any more: once more from the beginning,
 * if that has not been tried. */
bool attach_renew(struct request *, uint64_t code);
/* The body is another one: a form is made of it anew. */
void attach_renew_form(struct request *);
void attach_free(struct request *);

#endif
