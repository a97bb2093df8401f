/*
 * multipart: a form with a picture in it, as the document that the same
 * message would be in JSON.  No I/O.
 */
#ifndef MULTIPART_H
#define MULTIPART_H

#include "send.h"

/* Text fields are strings, those of objects are read as JSON; the picture's
 * bytes are not kept: file_image is {"bytes", "type", "name"}.  NULL: read,
 * and *out is the caller's. */
const struct refusal *multipart_read(struct json **out, struct slice type,
    struct slice body, uint64_t image_max);

#endif
