/*
 * pack: MessagePack, one value at a time.  Packing is msgpack-c's.  Unpacking
 * is ours: a cursor that hands out loans into the frame and never believes a
 * count that the remaining bytes cannot hold (the library allocates what a
 * header claims, before it has seen the elements).
 */
#ifndef PACK_H
#define PACK_H

#include <stdint.h>

#include <msgpack.h>

#include "buf.h"
#include "err.h"

struct pack {
	msgpack_packer to;
	struct buf    *buf;
};

/* Appends to buf; failures are remembered there. */
void pack_open(struct pack *, struct buf *);
void pack_nil(struct pack *);
void pack_bool(struct pack *, bool);
void pack_int(struct pack *, int64_t);
void pack_uint(struct pack *, uint64_t);
void pack_double(struct pack *, double);
void pack_str(struct pack *, struct slice);
void pack_bin(struct pack *, struct slice);
void pack_array(struct pack *, size_t n);
void pack_map(struct pack *, size_t n);
/* Bytes that are one packed value already. */
void pack_raw(struct pack *, struct slice);

enum unpack_type {
	UNPACK_NIL, UNPACK_BOOL, UNPACK_INT, UNPACK_UINT, UNPACK_DOUBLE,
	UNPACK_STR, UNPACK_BIN, UNPACK_ARRAY, UNPACK_MAP
};

struct unpack_item {
	enum unpack_type type;
	uint64_t         u;       /* BOOL, UINT */
	int64_t          i;       /* INT: negative numbers */
	double           d;
	struct slice     bytes;   /* STR, BIN: a loan from the frame */
	size_t           count;   /* ARRAY: elements; MAP: pairs */
};

struct unpack {
	const unsigned char *p, *end;
};

void unpack_open(struct unpack *, struct slice);
bool unpack_done(const struct unpack *);
/* The next header or scalar.  SYNTAX when the bytes end early, when a count
 * cannot fit the bytes that are left, or on an extension type. */
enum err unpack_next(struct unpack *, struct unpack_item *);
/* Skips one whole value, nested at most 32 deep, and lends its bytes. */
enum err unpack_skip(struct unpack *, struct slice *whole);

#endif
