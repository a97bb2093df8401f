/*
 * The few operations on slices that are longer than a line.
 */
#include "slice.h"

#include <limits.h>
#include <stdlib.h>

static bool
blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

struct slice
slice_trim(struct slice s)
{
	while (s.n > 0 && blank(s.p[0]))
		s = (struct slice){ s.p + 1, s.n - 1 };
	while (s.n > 0 && blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

char *
slice_dup(struct slice s)
{
	char *z = malloc(s.n + 1);

	if (z == NULL)
		return NULL;
	if (s.n > 0)
		memcpy(z, s.p, s.n);
	z[s.n] = '\0';
	return z;
}

bool
slice_u64(struct slice s, unsigned long long *out)
{
	unsigned long long v = 0;

	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned d = (unsigned char)s.p[i] - '0';

		if (d > 9 || v > (ULLONG_MAX - d) / 10)
			return false;
		v = v * 10 + d;
	}
	*out = v;
	return true;
}

unsigned
slice_hash(struct slice s)
{
	unsigned h = 2166136261u;

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * 16777619u;
	return h;
}

size_t
slice_utf8(struct slice s)
{
	const unsigned char *p = (const unsigned char *)s.p, *end = p + s.n;

	while (p < end) {
		unsigned char c = *p;
		unsigned      more = c < 0x80 ? 0 : c < 0xe0 ? 1
		                              : c < 0xf0     ? 2
		                                             : 3;
		unsigned char low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
		unsigned char high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;

		if ((c >= 0x80 && c < 0xc2) || c > 0xf4 ||
		    (size_t)(end - p) <= more)
			break;
		for (unsigned i = 1; i <= more; i++) {
			if (p[i] < low || p[i] > high)
				return s.n - (size_t)(end - p);
			low = 0x80;
			high = 0xbf;
		}
		p += 1 + more;
	}
	return s.n - (size_t)(end - p);
}
