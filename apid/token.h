/*
 * token: one bot's access token: when to ask for it, what an answer means,
 * how long it serves.  No I/O and no clock: what is to be asked is asked by
 * bot.c, times and chance are handed in.
 *
 * One question at a time, however many calls wait.  The old token serves
 * until its last moment; only one that the platform has refused is held back
 * while we ask again.  There is no last try.
 */
#ifndef TOKEN_H
#define TOKEN_H

#include <stdint.h>

#include "backoff.h"
#include "err.h"
#include "secret.h"

enum {
	TOKEN_EARLY_MS = 50000,  /* the platform renews in the last 60 s only */
	TOKEN_JITTER_MS = 5000,
	TOKEN_BUSY_MS = 60000,   /* what 100001 asks for */
	TOKEN_SAME_MS = 5000     /* a forced answer settles doubts so long */
};

/* A code of the token endpoint that no retry will mend. */
struct token_refusal {
	int64_t     code;
	const char *why, *remedy;
};

enum token_kind {
	TOKEN_GIVEN,    /* value and lasts_ms are there */
	TOKEN_BUSY,     /* asked too often */
	TOKEN_REFUSED,  /* a person must act */
	TOKEN_BROKEN    /* no answer, or none we understand */
};

struct token_reply {
	enum token_kind             kind;
	struct secret               value;
	uint64_t                    lasts_ms;
	int64_t                     code;
	const char                 *why;      /* static */
	const struct token_refusal *refusal;  /* REFUSED */
};

/* Reads the endpoint's answer; status 0: there was none.  It never fails: what
 * cannot be read is BROKEN.  The body is the caller's to wipe. */
void token_read(struct token_reply *, unsigned status, struct slice body);

struct token {
	struct secret               value;
	uint64_t                    expires_ms, next_ms;
	uint64_t                    generation;  /* one more per new value */
	uint64_t                    answers;     /* values given, new or not */
	uint64_t                    same_until_ms, park_ms;
	bool                        asking, failing, forced;
	struct backoff              backoff;
	const struct token_refusal *refusal;     /* parked */
};

void token_open(struct token *, uint64_t now_ms, uint64_t park_ms);
void token_close(struct token *);

/* The caller asks the platform when this says so (and only then), and then
 * hands in the answer, whose value is taken. */
bool token_ask(struct token *, uint64_t now_ms);
void token_answer(struct token *, struct token_reply *, uint64_t now_ms,
    uint32_t chance);
/* When to call token_ask next; 0 while an answer is awaited. */
uint64_t token_next_ms(const struct token *);

bool token_usable(const struct token *, uint64_t now_ms);
/* Milliseconds it lives on; 0: there is none. */
uint64_t token_left_ms(const struct token *, uint64_t now_ms);

enum token_advice {
	TOKEN_NEWER,   /* there is a newer one: use that */
	TOKEN_WAIT,    /* wait until `answers` has grown, then look again */
	TOKEN_SAME     /* asked a moment ago, it is the same one */
};
/* The platform has refused the token of this generation. */
enum token_advice token_doubt(struct token *, uint64_t generation,
    uint64_t now_ms);

#endif
