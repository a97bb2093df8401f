/*
 * link: the connection to the supervisor's status socket, one JSON object per
 * line each way.
 */
#ifndef LINK_H
#define LINK_H

#include "buf.h"
#include "json.h"

struct link {
	int        fd;
	struct buf in;
	size_t     seen;       /* bytes at the front that were handed out */
};

/* NOT_FOUND: nobody is there; FORBIDDEN: not for this user; TIMEOUT: somebody
 * is, and does not answer within wait_ms. */
enum err link_open(struct link *, const char *run_dir, int wait_ms);
void link_close(struct link *);
/* Takes the document. */
enum err link_send(struct link *, struct json *);
/* The next object, the caller's; wait_ms -1: for ever.  TIMEOUT, CLOSED. */
enum err link_next(struct link *, int wait_ms, struct json **);

#endif
