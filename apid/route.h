/*
 * route: the table of API routes and the filling of their paths.  Knows
 * nothing of HTTP.
 */
#ifndef ROUTE_H
#define ROUTE_H

#include "buf.h"
#include "err.h"

enum route {
#define ROUTE(name, method, path, meaning) ROUTE_##name,
#include "routes.def"
#undef ROUTE
	ROUTE_COUNT
};

struct route_info {
	const char *name, *method, *path, *meaning;
};
const struct route_info *route_info(enum route);

/* Appends base and path; every value is percent-encoded.  SYNTAX when a value
 * is empty, "." or "..": such a segment would make another path. */
enum err route_fill(enum route, struct slice base, struct slice target,
    struct slice message, struct buf *url);

#endif
