/*
 * status: the clients of the status socket: a Unix stream in the run folder,
 * for this user and root, one JSON object per line each way.  It frames lines
 * and bounds everything; what a line means is control.c's business.
 */
#ifndef STATUS_H
#define STATUS_H

#include "json.h"
#include "loop.h"

enum {
	STATUS_CLIENTS_MAX = 32, STATUS_LINE_MAX = 4096,
	/* What a client leaves unread; one that leaves more is cut off. */
	STATUS_UNREAD_MAX = 4 << 20,
	/* One that has asked nothing for so long gives way to a newcomer
	 * when all places are taken. */
	STATUS_IDLE_MS = 5000,
};

struct status;

struct client {
	struct status *status;
	int            fd;              /* -1: free place */
	struct buf     in, out;
	bool           dead, waits_to_write;
	void          *job;             /* control.c's; NULL: waits for none */
	uint64_t       spoke_ms;        /* when it last came with something */
};

struct status {
	struct loop  *loop;
	int           fd;
	const char   *path;
	struct client clients[STATUS_CLIENTS_MAX];
	uint64_t      refused, cut_off, gave_way;
	void        (*on_line)(void *self, struct client *, struct slice);
	void        (*on_gone)(void *self, struct client *);
	void         *self;
};

/* path must live.  The caller holds the lock of the run folder: a socket that
 * is there already is a dead one's.  listener: one that listens there
 * already, or -1. */
enum err status_open(struct status *, struct loop *, const char *path,
    int listener);
/* A connection that was accepted elsewhere; NULL: no room. */
struct client *status_take(struct status *, int fd);
/* Nobody new comes in, and the path is another's; those who are in stay. */
void status_hide(struct status *);
void status_close(struct status *);
/* Closes those that went or were cut off; after each turn. */
void status_sweep(struct status *);
/* Takes the document. */
void client_send(struct client *, struct json *);

#endif
