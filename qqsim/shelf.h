/*
 * shelf: what people and bots have uploaded, kept for a while: the latest
 * SHELF_MAX of them, SHELF_BYTES_MAX in all.  Older ones go.  No I/O.
 */
#ifndef SHELF_H
#define SHELF_H

#include "err.h"
#include "slice.h"

#include <stdint.h>

enum { SHELF_MAX = 256, SHELF_BYTES_MAX = 128 << 20 };

struct shelf_file {
	uint64_t    number;        /* 0: a free row */
	char       *key;           /* "BOT FILE_INFO"; "": a person's */
	char       *name, *url;    /* url: "" when the bytes are here */
	const char *type;          /* what the bytes are; see shelf_type() */
	char       *data;
	size_t      n;
};

struct shelf {
	struct shelf_file rows[SHELF_MAX];
	uint64_t    last;
	size_t      bytes;
};

struct shelf_new {
	struct slice bot, info;    /* info empty: a person's */
	struct slice name, url, data;
};

void shelf_close(struct shelf *);
/* NOMEM, TOO_LARGE.  *out lasts until as many have come as there is room. */
enum err shelf_keep(struct shelf *, const struct shelf_new *,
    const struct shelf_file **out);
const struct shelf_file *shelf_at(const struct shelf *, uint64_t number);
const struct shelf_file *shelf_by_info(const struct shelf *, struct slice bot,
    struct slice info);

/* What the first bytes say it is; application/octet-stream when they do not.
 * Nothing that a browser would run. */
const char *shelf_type(struct slice data);
/* As attachments have it: the type of a picture or video, voice, or file. */
const char *shelf_attachment_type(const char *type);

#endif
