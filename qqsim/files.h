/*
 * files: what people and bots have uploaded, kept for a while: the latest
 * FILES_MAX of them, FILES_BYTES_MAX in all.  Older ones go.  No I/O.
 */
#ifndef FILES_H
#define FILES_H

#include "err.h"
#include "slice.h"

#include <stdint.h>

enum { FILES_MAX = 256, FILES_BYTES_MAX = 128 << 20 };

struct file {
	uint64_t    number;        /* 0: a free row */
	char       *key;           /* "BOT FILE_INFO"; "": a person's */
	char       *name, *url;    /* url: "" when the bytes are here */
	const char *type;          /* what the bytes are; see files_type() */
	char       *data;
	size_t      n;
};

struct files {
	struct file rows[FILES_MAX];
	uint64_t    last;
	size_t      bytes;
};

struct file_new {
	struct slice bot, info;    /* info empty: a person's */
	struct slice name, url, data;
};

void files_close(struct files *);
/* NOMEM, TOO_LARGE.  *out lasts until as many have come as there is room. */
enum err files_keep(struct files *, const struct file_new *,
    const struct file **out);
const struct file *files_at(const struct files *, uint64_t number);
const struct file *files_by_info(const struct files *, struct slice bot,
    struct slice info);

/* What the first bytes say it is; application/octet-stream when they do not.
 * Nothing that a browser would run. */
const char *files_type(struct slice data);
/* As attachments have it: the type of a picture or video, voice, or file. */
const char *files_attachment_type(const char *type);

#endif
