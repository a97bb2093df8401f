/*
 * fetch: files of the world for handlers, above all what users have attached:
 * an address goes in, a file in ROOKERY_MEDIA_DIR/inbox comes out.
 *
 * Addresses come from strangers: nothing private is asked, wherever names and
 * redirects lead, nothing larger or slower than allowed is taken, and the
 * oldest files go when the inbox is full.  Equal contents are one file.
 */
#ifndef FETCH_H
#define FETCH_H

#include "http.h"
#include "reply.h"

struct fetch;
struct fetch_job;

struct fetch_options {
	struct loop *loop;
	const char  *dir;           /* "" or NULL: nothing is fetched */
	uint64_t     max;           /* bytes of a file */
	uint64_t     timeout_ms;    /* of a file */
	uint64_t     inbox_bytes;   /* of all files */
	bool         private;       /* no guard */
	const char  *ca_file;
};

struct fetch_answer {
	enum result  result;
	unsigned     status;        /* HTTP; 0: none */
	struct slice message;
	struct slice path, type;    /* of a success; type: image/png */
	uint64_t     size;
};

struct fetch_order {
	/* The owner's; all must stay until on_done. */
	struct slice  url;
	uint64_t      until_ms;     /* loop_now(): no longer than that */
	/* From the loop; what it is handed is good until it returns. */
	void        (*on_done)(void *self, const struct fetch_answer *);
	void         *self;
	/* Ours. */
	struct fetch_job *job;
};

struct fetch_counts {
	uint64_t fetched, failed, bytes, removed;
};

/* NOMEM, SYSTEM. */
enum err fetch_new(struct fetch **, const struct fetch_options *);
void fetch_free(struct fetch **);

/* NOMEM.  on_done comes once for each success here, unless cancelled. */
enum err fetch_start(struct fetch *, struct fetch_order *);
void fetch_cancel(struct fetch *, struct fetch_order *);

struct fetch_counts fetch_counts(const struct fetch *);

#endif
