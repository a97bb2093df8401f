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
