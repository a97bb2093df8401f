/*
 * upload: files in parts.  A part goes through to an unnamed file as it
 * comes; whole files are in no memory of ours.
 */
#ifndef UPLOAD_H
#define UPLOAD_H

#include "err.h"
#include "kind.h"
#include "slice.h"

enum { UPLOADS_MAX = 64, UPLOAD_ID_MAX = 48, HEX_MAX = 41,
	MD5_10M = 10002432, UPLOAD_MAX = 200 << 20, PARTS_MAX = 10000, SHOWN_MAX = 4 << 20 };

struct evp_md_ctx_st;         /* libcrypto's digest under way */

struct part {
	bool     put, finished;
	char     md5[HEX_MAX];        /* of what was put */
};

struct upload {
	struct upload *next;          /* the newest first */
	char           id[UPLOAD_ID_MAX], sign[17];
	char           bot[33];
	enum scope     scope;
	char          *target, *name;
	int64_t        type, size, made_ms;
	uint64_t       block_size, index_base, url_life_ms;
	char           md5[HEX_MAX], sha1[HEX_MAX], md5_10m[HEX_MAX];
	struct part   *parts;
	size_t         nparts, hashed;   /* parts that the digests have */
	int            fd;
	struct evp_md_ctx_st *digests[3];       /* md5, sha1, md5_10m */
};

struct uploads {
	struct upload *first;
};

struct upload_new {
	const char  *bot, *id, *sign, *dir;
	enum scope   scope;
	struct slice target, name, md5, sha1, md5_10m;
	int64_t      type, size, now_ms;
	uint64_t     block_size, index_base, url_life_ms;
};
/* SYNTAX: a digest is not hexadecimal; TOO_LARGE; NOMEM; SYSTEM. */
enum err upload_new(struct uploads *, const struct upload_new *,
    struct upload **);
struct upload *upload_find(const struct uploads *, struct slice id);
void upload_drop(struct uploads *, struct upload *);
void uploads_close(struct uploads *);

/* How many bytes the part has that comes k-th, from 0. */
uint64_t upload_part_size(const struct upload *, size_t k);
/* The part has this number; false: there is none. */
bool upload_part_at(const struct upload *, int64_t index, size_t *k);
/* It is there and right; the digests go on as far as they can.  SYSTEM. */
enum err upload_part_finish(struct upload *, size_t k);
/* NULL: whole, and as it was said to be; else what is not. */
const char *upload_judge(struct upload *);

/* The bytes of one that is small enough to be shown, the caller's; or NULL. */
char *upload_base64(const struct upload *);

/* A part on its way in. */
struct sink {
	struct uploads *uploads;
	char            upload[UPLOAD_ID_MAX];  /* "": its bytes are dropped */
	size_t          k;
	uint64_t        bytes;
	bool            failed, cut;
	struct evp_md_ctx_st *md5;
	const char     *why;         /* it is not taken: static; or NULL */
	int             status;      /* and the HTTP status for that */
};
/* NULL: out of memory.  path: /storage/ID/K. */
struct sink *sink_new(struct uploads *, struct slice path, struct slice sign,
    int64_t now_ms);
/* false: the client is to be cut off here. */
bool sink_put(struct sink *, struct slice);
/* The part is kept; false: it was too short, too long, or not taken. */
bool sink_keep(struct sink *);
void sink_free(struct sink **);

#endif
