/*
 * MessagePack out by msgpack-c, in by a bounds-checked cursor.
 */
#include "pack.h"

enum { DEPTH_MAX = 32 };

static int
append(void *to, const char *p, size_t n)
{
	buf_put(to, (struct slice){ p, n });
	return 0;
}

void
pack_open(struct pack *p, struct buf *b)
{
	p->buf = b;
	msgpack_packer_init(&p->to, b, append);
}

void
pack_nil(struct pack *p)
{
	msgpack_pack_nil(&p->to);
}

void
pack_bool(struct pack *p, bool v)
{
	if (v)
		msgpack_pack_true(&p->to);
	else
		msgpack_pack_false(&p->to);
}

void
pack_int(struct pack *p, int64_t v)
{
	msgpack_pack_int64(&p->to, v);
}

void
pack_uint(struct pack *p, uint64_t v)
{
	msgpack_pack_uint64(&p->to, v);
}

void
pack_double(struct pack *p, double v)
{
	msgpack_pack_double(&p->to, v);
}

void
pack_str(struct pack *p, struct slice s)
{
	msgpack_pack_str(&p->to, s.n);
	buf_put(p->buf, s);
}

void
pack_bin(struct pack *p, struct slice s)
{
	msgpack_pack_bin(&p->to, s.n);
	buf_put(p->buf, s);
}

void
pack_array(struct pack *p, size_t n)
{
	msgpack_pack_array(&p->to, n);
}

void
pack_map(struct pack *p, size_t n)
{
	msgpack_pack_map(&p->to, n);
}

void
pack_raw(struct pack *p, struct slice s)
{
	buf_put(p->buf, s);
}

void
unpack_open(struct unpack *u, struct slice s)
{
	/* NULL + 0 is undefined in C. */
	u->p = (const unsigned char *)(s.p != NULL ? s.p : "");
	u->end = u->p + s.n;
}

bool
unpack_done(const struct unpack *u)
{
	return u->p == u->end;
}

static size_t
left(const struct unpack *u)
{
	return (size_t)(u->end - u->p);
}

/* A big-endian number of n bytes. */
static enum err
number(struct unpack *u, size_t n, uint64_t *v)
{
	if (left(u) < n)
		return ERR_SYNTAX;
	for (*v = 0; n > 0; n--)
		*v = *v << 8 | *u->p++;
	return ERR_OK;
}

static enum err
bytes(struct unpack *u, uint64_t n, struct unpack_item *it)
{
	if (n > left(u))
		return ERR_SYNTAX;
	it->bytes = (struct slice){ (const char *)u->p, (size_t)n };
	u->p += n;
	return ERR_OK;
}

/* Each element takes at least one byte, each pair two. */
static enum err
counted(struct unpack *u, uint64_t n, struct unpack_item *it)
{
	if (n > left(u) / (it->type == UNPACK_MAP ? 2 : 1))
		return ERR_SYNTAX;
	it->count = (size_t)n;
	return ERR_OK;
}

static enum err
sized(struct unpack *u, struct unpack_item *it, uint64_t n)
{
	if (it->type == UNPACK_STR || it->type == UNPACK_BIN)
		return bytes(u, n, it);
	return counted(u, n, it);
}

static void
set_signed(struct unpack_item *it, int64_t v)
{
	it->type = v < 0 ? UNPACK_INT : UNPACK_UINT;
	it->i = v;
	it->u = (uint64_t)v;
}

/* 0xc0 to 0xdf, by their first byte; width is that of the number that
 * follows.  Extension types (0 here) are not ours. */
static const struct {
	unsigned char width, what;
} longs[32] = {
#define IS(type) (1 + (type))
	[0x00] = { 0, IS(UNPACK_NIL) },
	[0x02] = { 0, IS(UNPACK_BOOL) },   [0x03] = { 0, IS(UNPACK_BOOL) },
	[0x04] = { 1, IS(UNPACK_BIN) },    [0x05] = { 2, IS(UNPACK_BIN) },
	[0x06] = { 4, IS(UNPACK_BIN) },
	[0x0a] = { 4, IS(UNPACK_DOUBLE) }, [0x0b] = { 8, IS(UNPACK_DOUBLE) },
	[0x0c] = { 1, IS(UNPACK_UINT) },   [0x0d] = { 2, IS(UNPACK_UINT) },
	[0x0e] = { 4, IS(UNPACK_UINT) },   [0x0f] = { 8, IS(UNPACK_UINT) },
	[0x10] = { 1, IS(UNPACK_INT) },    [0x11] = { 2, IS(UNPACK_INT) },
	[0x12] = { 4, IS(UNPACK_INT) },    [0x13] = { 8, IS(UNPACK_INT) },
	[0x19] = { 1, IS(UNPACK_STR) },    [0x1a] = { 2, IS(UNPACK_STR) },
	[0x1b] = { 4, IS(UNPACK_STR) },
	[0x1c] = { 2, IS(UNPACK_ARRAY) },  [0x1d] = { 4, IS(UNPACK_ARRAY) },
	[0x1e] = { 2, IS(UNPACK_MAP) },    [0x1f] = { 4, IS(UNPACK_MAP) },
#undef IS
};

static void
set_double(struct unpack_item *it, uint64_t v, size_t width)
{
	if (width == 4) {
		uint32_t v32 = (uint32_t)v;
		float    f;

		memcpy(&f, &v32, sizeof f);
		it->d = (double)f;
	} else
		memcpy(&it->d, &v, sizeof it->d);
}

static enum err
long_form(struct unpack *u, unsigned head, struct unpack_item *it)
{
	size_t   width = longs[head & 0x1f].width;
	uint64_t v;
	enum err e;

	if (longs[head & 0x1f].what == 0)
		return ERR_SYNTAX;
	it->type = longs[head & 0x1f].what - 1u;
	if ((e = number(u, width, &v)) != ERR_OK)
		return e;
	switch (it->type) {
	case UNPACK_NIL:
		break;
	case UNPACK_BOOL:
		it->u = head & 1;
		break;
	case UNPACK_UINT:
		it->u = v;
		break;
	case UNPACK_INT: /* sign-extend from width bytes */
		set_signed(it, (int64_t)(v << (64 - 8 * width)) >>
		    (64 - 8 * width));
		break;
	case UNPACK_DOUBLE:
		set_double(it, v, width);
		break;
	default:
		return sized(u, it, v);
	}
	return ERR_OK;
}

enum err
unpack_next(struct unpack *u, struct unpack_item *it)
{
	unsigned head;

	*it = (struct unpack_item){ 0 };
	if (u->p == u->end)
		return ERR_SYNTAX;
	head = *u->p++;
	if (head < 0x80 || head >= 0xe0) {
		set_signed(it, head < 0x80 ? (int64_t)head
		                           : (int64_t)head - 0x100);
		return ERR_OK;
	}
	if (head >= 0xc0)
		return long_form(u, head, it);
	it->type = head < 0x90 ? UNPACK_MAP :
	    head < 0xa0        ? UNPACK_ARRAY :
	                         UNPACK_STR;
	return sized(u, it, head & (it->type == UNPACK_STR ? 0x1f : 0x0f));
}

enum err
unpack_skip(struct unpack *u, struct slice *whole)
{
	size_t               open[DEPTH_MAX];   /* values still to come */
	unsigned             depth = 0;
	const unsigned char *from = u->p;
	struct unpack_item   it;
	enum err             e;

	for (;;) {
		if ((e = unpack_next(u, &it)) != ERR_OK)
			return e;
		if (it.count > 0) {
			if (depth == DEPTH_MAX)
				return ERR_SYNTAX;
			open[depth++] = it.type == UNPACK_MAP ? 2 * it.count
			                                      : it.count;
			continue;
		}
		while (depth > 0 && --open[depth - 1] == 0)
			depth--;
		if (depth == 0)
			break;
	}
	*whole = (struct slice){ (const char *)from, (size_t)(u->p - from) };
	return ERR_OK;
}
