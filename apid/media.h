/*
 * media: pictures, voices, videos and files on their way to the platform: a
 * source goes in, what the platform calls it (file_info) comes out.
 *
 * What is wrong with a source is said before anything is sent.  Orders for the
 * same content share one upload; what the platform already holds is not sent
 * again (shelf.h).  Uploading twice does no harm, so all of it is repeated as
 * its time allows.  Channels and direct conversations know no upload: for them
 * a file is only checked and opened.
 */
#ifndef MEDIA_H
#define MEDIA_H

#include "bot.h"
#include "call.h"
#include "store.h"

struct media;
struct media_job;

struct media_options {
	struct loop          *loop;
	struct pace          *pace;        /* what uploads count against */
	const char           *dir;         /* of the handlers; "" none */
	const char           *state_dir;
	enum store_durability durability;
	const char           *ca_file;     /* as http_options */
	uint64_t              timeout_ms;  /* of one request with bytes in it */
	uint64_t              inline_max;  /* larger files go in parts */
};

/* An opened file; the descriptor is on loan like all slices. */
struct media_file {
	int          fd;           /* -1: none */
	uint64_t     size;
	struct slice name, mime;
};

struct media_answer {
	enum result  result;
	unsigned     status;       /* HTTP, of the last answer; 0: none */
	uint64_t     code;         /* the platform's */
	struct slice message, trace;
	struct slice file_info;    /* c2c and group */
	/* Channel and dm: what the form (form.h) takes; without a descriptor
	 * the source is an address, for the member `image`. */
	struct media_file file;
};

struct media_order {
	/* The owner's; all must stay until on_done. */
	struct bot       *bot;
	enum call_scope   scope;
	struct slice      target;
	struct media_want want;
	uint64_t          until_ms;   /* loop_now(): nothing begins after it */
	/* From the loop, never from within media_start(); what it is handed
	 * is good until it returns. */
	void            (*on_done)(void *self, const struct media_answer *);
	void             *self;
	/* Ours. */
	struct media_job   *job;
	struct media_order *next;
};

/* What the report tells. */
struct media_counts {
	uint64_t uploads, parts, bytes;   /* that the platform has taken */
	uint64_t cached, joined, failed, retried, resumed;
	size_t   held;      /* now: uploads in a line of the limits */
};

/* NOMEM, SYSTEM.  A store that cannot be opened costs memory over restarts,
 * and nothing else. */
enum err media_new(struct media **, const struct media_options *);
void media_free(struct media **);

/* NOMEM.  on_done comes once for each success here, unless cancelled. */
enum err media_start(struct media *, struct media_order *);
void media_cancel(struct media *, struct media_order *);

/* The platform refuses this file_info (304080): the next order for its content
 * uploads anew. */
void media_forget(struct media *, struct slice file_info);

/* Orders that are not answered yet. */
size_t media_orders(const struct media *);
struct media_counts media_counts(const struct media *);

#endif
