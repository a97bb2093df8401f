/*
 * route: which operation a request asks for, and whether its query and body
 * are as the operation's page says.  routes.def is the table.  No I/O.
 */
#ifndef ROUTE_H
#define ROUTE_H

#include "form.h"
#include "kind.h"
#include "server.h"
#include "world.h"

enum { ROUTE_ARGS_MAX = 4 };

enum route_id {
#define ROUTE(op, method, path, scope, family, calls, seconds, status, fn,   \
    kind, query, body) ROUTE_##op,
#include "routes.def"
#undef ROUTE
	ROUTES
};

enum family {
#define FAMILY(name, wrong, missing) FAMILY_##name,
#include "families.def"
#undef FAMILY
	FAMILIES
};

struct route {
	enum route_id   id;
	const char     *op, *path;
	enum method     method;
	enum scope      scope;
	enum family     family;
	unsigned        calls, seconds;   /* let through; 0: any number */
	int             status;           /* of success */
	enum world_kind kind;
	const char     *query, *body;
};
extern const struct route routes[ROUTES];

/* The forms of all routes, made once. */
struct route_forms {
	struct form query[ROUTES], body[ROUTES];
};
enum err route_forms_new(struct route_forms **);
void route_forms_free(struct route_forms **);

/* NULL: none; *path_known tells whether another method would do. */
const struct route *route_find(enum method, struct slice path,
    struct slice args[ROUTE_ARGS_MAX], bool *path_known);
/* Does this route read its body as JSON? */
bool route_takes_json(const struct route *);
/* The platform's code for such a fault in a request of this route. */
unsigned route_code(const struct route *, enum form_verdict);

#endif
