/*
 * params: the parameters of an operation of catalog.def, checked against its
 * rows, and what they become: path, query, body.
 */
#ifndef PARAMS_H
#define PARAMS_H

#include "call.h"

/* From the call's `with`: segments, media and body.  BAD_ARG names the
 * parameter; RATE_LIMITED: out of memory. */
enum result params_read(struct call *, enum call_id);

/* Appends a percent-encoded value. */
void params_encode(struct buf *, struct slice);
/* Appends ?name=value&... */
void params_query(const struct json *with, enum call_id, struct buf *url);

#endif
