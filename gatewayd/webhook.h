/*
 * webhook: what to answer to one HTTP request that claims to be a callback of
 * the platform.  No I/O: a request goes in, a verdict comes out.
 */
#ifndef WEBHOOK_H
#define WEBHOOK_H

#include "payload.h"
#include "signature.h"

/* A request, all loans.  Absent headers are empty with p NULL. */
struct webhook_request {
	struct slice method, app_id, signature, timestamp, trace, body;
	bool         too_large;      /* the body was over the limit: not read */
	bool         broken;         /* its framing was */
	bool         busy;           /* no room for its body: not read */
	bool         unread;         /* over what webhook_worth() allowed */
};

struct webhook_bot {
	const char           *app_id;
	struct signature_key *key;   /* NULL: apid has not told it yet */
};

enum webhook_verdict {
	WEBHOOK_REFUSE,        /* status, why */
	WEBHOOK_ANSWER,        /* 200, body */
	WEBHOOK_EVENT,         /* take the dispatch, then answer with its ack */
	WEBHOOK_SIGN,          /* have plain_token and event_ts signed */
};

enum webhook_refusal {
#define REFUSAL(name, status, sentence) REFUSED_##name,
#include "refusals.def"
#undef REFUSAL
	REFUSED_COUNT
};

struct webhook_refusal_info {
	const char *name;
	unsigned    status;
	const char *why;
};
extern const struct webhook_refusal_info webhook_refusals[REFUSED_COUNT];

struct webhook_result {
	enum webhook_verdict verdict;
	enum webhook_refusal refusal;
	unsigned             status;
	const char          *why;         /* static, for the log */
	size_t               bot;         /* index; where known */
	struct payload       payload;     /* to be freed by the caller */
	struct slice         plain_token, event_ts;
	int64_t              skew_s;      /* |now - timestamp| when both known */
};

/* How many bytes of its body are worth being read, by the headers alone: 0 =
 * it will be refused whatever it says.  Who cannot sign is not listened to for
 * long. */
size_t webhook_worth(const struct webhook_request *,
    const struct webhook_bot *bots, size_t nbots, size_t body_max);

/* now_s: seconds since 1970.  skew_s: refused beyond; 0 = not at all.
 * answer: appended to for WEBHOOK_ANSWER. */
void webhook_decide(const struct webhook_request *,
    const struct webhook_bot *bots, size_t nbots, int64_t now_s,
    uint64_t skew_s, struct buf *answer, struct webhook_result *);

/* What was refused, and when to say so: of each reason the first at once, then
 * one line in ten seconds. */
struct webhook_tally {
	uint64_t count[REFUSED_COUNT];
	uint64_t told[REFUSED_COUNT], quiet_until_ms[REFUSED_COUNT];
};
/* Counts it; how many there were since the last line, 0 = say nothing now. */
uint64_t webhook_count(struct webhook_tally *, enum webhook_refusal,
    uint64_t now_ms);

/* Chunked transfer coding, undone as it comes.  Zero it before the first
 * byte. */
struct webhook_chunks {
	enum { CHUNK_SIZE, CHUNK_EXT, CHUNK_LF, CHUNK_DATA, CHUNK_CR,
	       CHUNK_END, CHUNK_TRAILER, CHUNK_DONE } state;
	unsigned long long left;
	unsigned           digits, line;  /* so far: of a size, a trailer */
	unsigned           extra;         /* bytes of extensions, trailers */
};
/* Appends the body's bytes; SYNTAX when it is not chunked coding. Done when
 * state is CHUNK_DONE. */
enum err webhook_unchunk(struct webhook_chunks *, struct slice in,
    struct buf *body);

#endif
