/*
 * What the environment says of proxies, read as libcurl reads it.
 */
#include "proxy.h"

#include <string.h>
#include <strings.h>

enum { PORT = 1080 };        /* where none is named: libcurl's */

static const char separators[] = " ,";

static bool
is_below(struct slice host, struct slice name)
{
	struct slice end;

	if (host.n < name.n)
		return false;
	end = slice_from(host, host.n - name.n);
	return strncasecmp(end.p, name.p, name.n) == 0 &&
	    (end.n == host.n || end.p[-1] == '.');
}

bool
proxy_is_excepted(const char *list, struct slice host)
{
	for (list += strspn(list, separators); *list != '\0';
	    list += strspn(list, separators)) {
		struct slice name = { list, strcspn(list, separators) };

		list += name.n;
		if (slice_is(name, "*"))
			return true;
		if (name.p[0] == '.')
			name = slice_from(name, 1);
		if (name.n > 0 && is_below(host, name))
			return true;
	}
	return false;
}

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 'a' - 'A';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A name or a password, with its %41s. */
static void
put_decoded(struct buf *out, struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '%' && i + 2 < s.n && hex(s.p[i + 1]) >= 0 &&
		    hex(s.p[i + 2]) >= 0) {
			c = (char)(hex(s.p[i + 1]) << 4 | hex(s.p[i + 2]));
			i += 2;
		}
		buf_put(out, (struct slice){ &c, 1 });
	}
}

static bool
is_port(struct slice s)
{
	unsigned long long n;

	return slice_u64(s, &n) && n > 0 && n < 65536;
}

/* host, host:port, [address] or [address]:port. */
static enum err
put_host(struct buf *out, struct slice at)
{
	const char  *end = at.n > 0 && at.p[0] == '['
	     ? memchr(at.p, ']', at.n) : NULL;
	size_t       n = end != NULL ? (size_t)(end - at.p) + 1 : 0;
	struct slice port;

	if (end == NULL) {
		const char *colon = at.n > 0 ? memchr(at.p, ':', at.n) : NULL;

		n = colon != NULL ? (size_t)(colon - at.p) : at.n;
	}
	port = slice_from(at, n);
	if (n == 0 || memchr(at.p, '@', n) != NULL ||
	    (port.n > 0 && (port.p[0] != ':' ||
	        !is_port(slice_from(port, 1)))))
		return ERR_SYNTAX;
	buf_put(out, at);
	if (port.n == 0)
		buf_putf(out, ":%d", PORT);
	return out->failed ? ERR_NOMEM : ERR_OK;
}

enum err
proxy_read(struct slice address, struct buf *out)
{
	static const char scheme[] = "http://";
	struct slice      at = address;
	const char       *mark;

	if (at.n >= sizeof scheme - 1 &&
	    strncasecmp(at.p, scheme, sizeof scheme - 1) == 0)
		at = slice_from(at, sizeof scheme - 1);
	else if (at.n > 0 && memmem(at.p, at.n, "://", 3) != NULL)
		return ERR_FORBIDDEN;
	if (at.n > 0 && (mark = memchr(at.p, '/', at.n)) != NULL)
		at.n = (size_t)(mark - at.p);
	if (at.n > 0 && (mark = memrchr(at.p, '@', at.n)) != NULL) {
		put_decoded(out, (struct slice){ at.p, (size_t)(mark - at.p) });
		buf_puts(out, "@");
		at = slice_from(at, (size_t)(mark - at.p) + 1);
	}
	return put_host(out, at);
}
