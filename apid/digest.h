/*
 * digest: the sums the platform wants of a file before it takes its parts.
 * Bytes go in in order, in any pieces; nothing is kept of them.
 */
#ifndef DIGEST_H
#define DIGEST_H

#include <stdint.h>

#include "err.h"
#include "slice.h"

/* The platform's md5_10m is over the first so many bytes, which is not 10 MiB. */
enum { DIGEST_10M = 10002432 };

struct digest {
	void    *md5, *sha1;     /* EVP_MD_CTX */
	uint64_t n;
	bool     failed;
	char     first[33];      /* md5_10m, once it is known */
};

/* Lower-case hex, NUL at the end. */
struct sums {
	char md5[33], sha1[41], md5_10m[33];
};

enum err digest_open(struct digest *);
void digest_add(struct digest *, struct slice);
/* NOMEM: it has failed on the way. */
enum err digest_end(struct digest *, struct sums *);
void digest_close(struct digest *);

/* A running sum alone: of a part, or for a name nobody can choose. */
enum sum_kind { SUM_MD5, SUM_SHA256 };
enum { SUM_HEX = 65 };

struct sum {
	void         *ctx;
	enum sum_kind kind;
	uint64_t      n;
};
enum err sum_open(struct sum *, enum sum_kind);
/* Begins anew. */
void sum_reset(struct sum *);
void sum_add(struct sum *, struct slice);
/* It may go on afterwards only after a reset. */
void sum_end(struct sum *, char hex[SUM_HEX]);
void sum_close(struct sum *);

#endif
