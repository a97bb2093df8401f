/*
 * format: what some bytes are, by how they begin, and what the platform takes
 * of it.  formats.def is the table.  No I/O.
 */
#ifndef FORMAT_H
#define FORMAT_H

#include <stdint.h>

#include "slice.h"

enum kind { KIND_NONE, KIND_PICTURE, KIND_VIDEO, KIND_VOICE, KIND_FILE, KINDS };

struct kind_info {
	const char *word, *meaning;
	uint64_t    soft, hard;     /* bytes */
};

struct format {
	const char *name, *mime;
	enum kind   kind;
	bool        form;
};

enum { FORMAT_HEAD = 16 };   /* bytes from the beginning that tell */

/* By the platform's number, NULL for no kind. */
const struct kind_info *kind_info(unsigned kind);
/* NULL: none of those we know. */
const struct format *format_of(struct slice head);
/* "png jpg gif webp bmp", appended; for a FILE nothing. */
struct buf;
void format_names(enum kind, struct buf *);

/* What is wrong with sending this many bytes of this format (may be NULL) as
 * this kind, appended to why; false, and nothing: it is well. */
bool format_wrong(enum kind, const struct format *, uint64_t size,
    struct buf *why);

#endif
