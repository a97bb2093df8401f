/*
 * Which address a request goes to.  What it carries is call.c's, how it
 * travels http.c's.
 */
#include "route.h"

static const struct route_info routes[ROUTE_COUNT] = {
#define ROUTE(name, method, path, meaning)                                   \
	[ROUTE_##name] = { #name, #method, path, meaning },
#include "routes.def"
#undef ROUTE
};

const struct route_info *
route_info(enum route r)
{
	return &routes[r];
}

/* RFC 3986: letters, digits, - . _ ~ stand for themselves. */
static bool
is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
	    c == '~';
}

static enum err
put_segment(struct buf *url, struct slice value)
{
	static const char hex[] = "0123456789ABCDEF";

	if (value.n == 0 || slice_is(value, ".") || slice_is(value, ".."))
		return ERR_SYNTAX;
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];
		char          code[3] = { '%', hex[c >> 4], hex[c & 15] };

		if (is_unreserved(value.p[i]))
			buf_put(url, (struct slice){ value.p + i, 1 });
		else
			buf_put(url, (struct slice){ code, 3 });
	}
	return ERR_OK;
}

enum err
route_fill(enum route r, struct slice base, struct slice target,
    struct slice message, struct buf *url)
{
	const char *p = routes[r].path;

	buf_put(url, base);
	while (*p != '\0') {
		size_t   n = strcspn(p, "{");
		enum err e;

		buf_put(url, (struct slice){ p, n });
		if (p[n] == '\0')
			break;
		e = put_segment(url, p[n + 1] == 't' ? target : message);
		if (e != ERR_OK)
			return e;
		p += n + strcspn(p + n, "}") + 1;
	}
	return url->failed ? ERR_NOMEM : ERR_OK;
}
