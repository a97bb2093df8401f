/*
 * reply: what the platform's answer to a request means.  Status and body go
 * in, a class (what to do) and a result (what to tell) come out; codes.def,
 * classes.def and results.def are the tables.  No I/O.
 */
#ifndef REPLY_H
#define REPLY_H

#include <stdint.h>

#include "http.h"
#include "json.h"

enum reply_class {
#define CLASS(name, meaning) CLASS_##name,
#include "classes.def"
#undef CLASS
	CLASS_COUNT
};

enum result {
	RESULT_OK = 0,
#define RESULT(name, meaning) RESULT_##name,
#include "results.def"
#undef RESULT
	RESULT_COUNT
};

/* "REPLY_EXPIRED"; "" for OK. */
const char *result_name(enum result);
const char *result_meaning(enum result);
const char *class_name(enum reply_class);

struct reply {
	enum reply_class cls;
	enum result      result;    /* if it ends here and is no success */
	unsigned         status;    /* HTTP; 0: no answer */
	uint64_t         code;      /* of the body: err_code, else code */
	struct slice     message;   /* of the body, else ours; for people */
	struct slice     trace;
	struct slice     msg, audit;
	int64_t          time_ms;
	struct slice     retry_after;
	struct json     *doc;       /* NULL: no JSON */
};

/* What came back, or did not.  Never fails.  The slices are loans from the
 * answer and from doc, which reply_free gives back. */
void reply_read(struct reply *, const struct http_answer *);
void reply_free(struct reply *);

/* What a Retry-After asks for, seconds or a date, as milliseconds from now;
 * 0 when it says nothing we understand, or more than an hour, which is a
 * mistake of somebody's.  At most REPLY_RETRY_MAX_MS. */
enum { REPLY_RETRY_MAX_MS = 60000 };
uint64_t reply_retry_ms(struct slice value, int64_t wall_ms);

/* The row for a body code; false: there is none.  For tests and tools. */
bool reply_code(uint64_t code, enum reply_class *, enum result *,
    const char **meaning);

#endif
