/*
 * The table of operations, and how a path is found in it.
 */
#include "route.h"

#include <stdlib.h>

const struct route routes[ROUTES] = {
#define ROUTE(op, method, path, scope, family, calls, seconds, status, fn,   \
    kind, query, body)                                                       \
	{ ROUTE_##op, #op, path, METHOD_##method, SCOPE_##scope,             \
	    FAMILY_##family, calls, seconds, status, WORLD_##kind, query,    \
	    body },
#include "routes.def"
#undef ROUTE
};

static const struct {
	unsigned wrong, missing;
} families[FAMILIES] = {
#define FAMILY(name, wrong, missing) { wrong, missing },
#include "families.def"
#undef FAMILY
};

enum err
route_forms_new(struct route_forms **out)
{
	struct route_forms *f = calloc(1, sizeof *f);
	enum err            e = f != NULL ? ERR_OK : ERR_NOMEM;

	for (size_t i = 0; i < ROUTES && e == ERR_OK; i++) {
		e = form_make(&f->query[i], routes[i].query);
		if (e == ERR_OK && route_takes_json(&routes[i]))
			e = form_make(&f->body[i], routes[i].body);
	}
	if (e != ERR_OK)
		route_forms_free(&f);
	*out = f;
	return e;
}

void
route_forms_free(struct route_forms **at)
{
	struct route_forms *f = *at;

	if (f == NULL)
		return;
	*at = NULL;
	for (size_t i = 0; i < ROUTES; i++) {
		form_free(&f->query[i]);
		form_free(&f->body[i]);
	}
	free(f);
}

static bool
path_fits(const char *pattern, struct slice path,
    struct slice args[ROUTE_ARGS_MAX])
{
	size_t at = 0, nargs = 0;

	while (*pattern != '\0') {
		if (pattern[0] == '{') {
			size_t from = at;

			while (at < path.n && path.p[at] != '/')
				at++;
			if (at == from)
				return false;
			args[nargs++] = (struct slice){ path.p + from,
				at - from };
			pattern += 2;
		} else if (at < path.n && path.p[at] == *pattern) {
			at++;
			pattern++;
		} else {
			return false;
		}
	}
	if (at != path.n)
		return false;
	/* What a path that did not fit has left. */
	while (nargs < ROUTE_ARGS_MAX)
		args[nargs++] = SLICE("");
	return true;
}

/* A path without a segment that varies stands above one with. */
const struct route *
route_find(enum method m, struct slice path,
    struct slice args[ROUTE_ARGS_MAX], bool *path_known)
{
	*path_known = false;
	for (size_t i = 0; i < ROUTES; i++) {
		if (!path_fits(routes[i].path, path, args))
			continue;
		if (routes[i].method == m)
			return &routes[i];
		*path_known = true;
	}
	return NULL;
}

bool
route_takes_json(const struct route *r)
{
	return r->body[0] != '-';
}

unsigned
route_code(const struct route *r, enum form_verdict v)
{
	return v == FORM_MISSING ? families[r->family].missing
	                         : families[r->family].wrong;
}
