/*
 * errand: a request to the platform whose repetition does no harm, from its
 * first try to an answer: waits for a token and for its turn in the platform's
 * limits, asks again what may work in a moment, and stops at its time or after
 * so many tries.
 */
#ifndef ERRAND_H
#define ERRAND_H

#include "attempt.h"
#include "bot.h"
#include "call.h"
#include "pace.h"

enum {
	ERRAND_TRIES = 4,           /* of what fails; being too quick aside */
	ERRAND_TOKEN_MS = 200       /* between looks for a token */
};

enum errand_to { ERRAND_FILES, ERRAND_PREPARE, ERRAND_FINISH };

/* What has become of it.  Slices are loans until on_done returns. */
struct errand_end {
	enum result         result;
	const struct reply *reply;   /* NULL: not a single answer */
	struct slice        message;
	unsigned            tries;
};

struct errand {
	/* The owner's. */
	struct loop   *loop;
	struct http   *http;
	struct bot    *bot;
	struct pace   *pace;         /* somebody calls limit_next() */
	uint64_t       until_ms;
	uint64_t       told_code;    /* a code that ends it at once; 0: none */
	struct buf     body;         /* JSON */
	/* From the loop; it may start the next one. */
	void         (*on_done)(void *self, const struct errand_end *);
	void          *self;
	/* Ours. */
	struct attempt      attempt;
	struct pace_call    count;       /* what it counts against */
	bool                paid;        /* its token of that is taken */
	struct timer        timer;
	struct http_request request;
	struct buf          url;
	uint64_t            generation, answers;
	bool                under_way, refused;
	char                why[160];
};

/* With body, to this route of this target.  NOMEM; SYNTAX: no id. */
enum err errand_start(struct errand *, enum errand_to, enum call_scope,
    struct slice target);
/* It stands in a line of the platform's limits. */
bool errand_in_line(const struct errand *);
/* No on_done any more; memory given back. */
void errand_close(struct errand *);

#endif
