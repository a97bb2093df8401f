/*
 * A growing byte buffer; doubles, never shrinks but by buf_free().
 */
#include "buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

char *
buf_room(struct buf *b, size_t n)
{
	size_t want = b->n + n + 1, cap = b->cap > 0 ? b->cap : 256;
	char  *p;

	if (want < n || want > SIZE_MAX / 2)
		goto fail;
	while (cap < want)
		cap *= 2;
	if (cap != b->cap) {
		if ((p = realloc(b->p, cap)) == NULL)
			goto fail;
		b->p = p;
		b->cap = cap;
	}
	return b->p + b->n;
fail:
	b->failed = true;
	return NULL;
}

void
buf_put(struct buf *b, struct slice s)
{
	char *to = buf_room(b, s.n);

	if (to == NULL)
		return;
	if (s.n > 0)
		memcpy(to, s.p, s.n);
	b->n += s.n;
	b->p[b->n] = '\0';
}

void
buf_puts(struct buf *b, const char *z)
{
	buf_put(b, slice_of(z));
}

void
buf_putf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int     n;
	char   *to;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || (to = buf_room(b, (size_t)n)) == NULL) {
		b->failed = true;
		return;
	}
	va_start(ap, fmt);
	vsnprintf(to, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->n += (size_t)n;
}

void
buf_drop(struct buf *b, size_t n)
{
	if (n >= b->n) {
		buf_reset(b);
		return;
	}
	memmove(b->p, b->p + n, b->n - n + 1);
	b->n -= n;
}

void
buf_reset(struct buf *b)
{
	b->n = 0;
	b->failed = false;
	if (b->p != NULL)
		b->p[0] = '\0';
}

void
buf_free(struct buf *b)
{
	free(b->p);
	*b = (struct buf){ 0 };
}
