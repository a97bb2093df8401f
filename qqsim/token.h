/*
 * token: the platform's access tokens of one bot.  Within its lifetime the
 * same token is given out; in the last minute a new one, and both are valid
 * until the old one ends.  No I/O, time handed in.
 */
#ifndef TOKEN_H
#define TOKEN_H

#include <stdint.h>

#include "err.h"
#include "slice.h"

enum { TOKEN_SIZE = 48, TOKEN_OVERLAP_MS = 60000, TOKENS_KEPT = 8 };

struct token {
	char    text[TOKEN_SIZE + 1];   /* "" : none */
	int64_t ends_ms;
};

struct tokens {
	struct token kept[TOKENS_KEPT];  /* the newest first */
	uint64_t     life_ms;
};

enum token_state { TOKEN_VALID, TOKEN_WRONG, TOKEN_EXPIRED };

/* The token to be given out now and the seconds it has left.  *made tells
 * that it is new.  SYSTEM when there is no randomness. */
enum err tokens_ask(struct tokens *, int64_t now_ms, const char **text,
    uint64_t *left_s, bool *made);
enum token_state tokens_check(const struct tokens *, struct slice text,
    int64_t now_ms);
/* All that were given out end now. */
void tokens_revoke(struct tokens *, int64_t now_ms);

/* n characters, letters and digits, and a NUL; SYSTEM. */
enum err token_random(char *out, size_t n);

#endif
