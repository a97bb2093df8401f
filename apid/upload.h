/*
 * upload: one file to the platform in parts (its pages: chunked upload).
 *
 *   prepare -> for each part: PUT its bytes, part_finish -> files
 *
 * What is finished is kept on the shelf after every part, so that another try,
 * or another run of apid, goes on from there.  A part that fails is sent again
 * alone.  Addresses that have expired are asked for anew.  No part is ever in
 * memory.
 */
#ifndef UPLOAD_H
#define UPLOAD_H

#include "digest.h"
#include "errand.h"
#include "parts.h"
#include "shelf.h"

struct upload;

enum {
	UPLOAD_PART_MS = 300000,       /* for the bytes of one part */
	UPLOAD_STALL_S = 60,           /* of which none may come for so long */
	UPLOAD_TRIES = 3,              /* of one part, in a row */
	UPLOAD_PREPARES = 3,
	UPLOAD_KEEP_MS = 6 * 3600000   /* an unfinished one is worth going on */
};

struct upload_counts {
	uint64_t parts, bytes, retried, resumed;
};

struct upload_end {
	enum result  result;
	unsigned     status;
	uint64_t     code;
	struct slice message, trace;
	struct json *doc;              /* of a success: file_info, ttl */
};

struct upload_options {
	struct loop          *loop;
	struct http          *http;
	struct shelf         *shelf;
	struct pace          *pace;
	struct bot           *bot;
	struct upload_counts *counts;
	/* Shared by all: the platform wants sizes as numbers. */
	bool                 *numbers;
	enum call_scope       scope;
	struct slice          target, key, name;   /* stay; key: on the shelf */
	unsigned              type;
	int                   fd;
	uint64_t              size, changed_ns;    /* fstat's mtime */
	const struct sums    *sums;
	uint64_t              until_ms;
	/* From the loop; then only upload_free() may follow, later. */
	void                (*on_done)(void *self, const struct upload_end *);
	void                 *self;
};

/* NOMEM. */
enum err upload_start(struct upload **, const struct upload_options *);
/* Somebody waits for it for longer. */
void upload_until(struct upload *, uint64_t until_ms);
/* What is finished stays on the shelf. */
void upload_free(struct upload **);
/* One of its requests stands in a line of the platform's limits. */
bool upload_in_line(const struct upload *);

/* mtime of a file, as in changed_ns. */
uint64_t upload_changed(int fd, uint64_t *size);

#endif
