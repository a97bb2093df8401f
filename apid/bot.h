/*
 * bot: one bot: its settings, its token, its key, the headers of its
 * requests.  Asks the platform for the token whenever token.c says so.
 */
#ifndef BOT_H
#define BOT_H

#include "conf.h"
#include "http.h"
#include "signature.h"
#include "token.h"

struct request;

/* Patience with the token's endpoint: a second try must still come before the
 * old token ends, however long a send may take. */
enum { BOT_ASK_MS = 10000 };

struct bot {
	const struct conf   *conf;
	struct loop         *loop;
	struct http         *http;
	struct slice         app;           /* its id */
	struct slice         api;           /* base address, no last slash */
	struct token         token;
	struct timer         timer;
	struct http_request  ask;
	struct secret        question;      /* body of ask, while it runs */
	struct http_headers *ask_headers, *headers;
	uint64_t             headers_of;    /* generation of its token */
	uint64_t             away_ms;       /* its sessions are, since; 0: live,
	                                       or nobody has said */
	struct signature    *signature;
	const char          *trouble;       /* why there is no token; static */
	int64_t              trouble_code;
	/* The token has changed, or is worse or better off than before. */
	void               (*on_token)(void *self, struct bot *);
	void                *self;
	/* Calls that wait for the token, first come first; request.c's. */
	struct request      *first, *last;
};

enum err bot_open(struct bot *, const struct conf *, struct loop *,
    struct http *, void (*on_token)(void *, struct bot *), void *self);
void bot_close(struct bot *);

bool bot_has_token(const struct bot *);
/* gatewayd says whether the bot has a live session; true: it is news. */
bool bot_set_away(struct bot *, bool away);
/* For requests with the token of now; on loan, NULL when out of memory. */
struct http_headers *bot_headers(struct bot *);
/* The platform has refused the token of this generation. */
enum token_advice bot_doubt(struct bot *, uint64_t generation);

enum bot_state { BOT_READY, BOT_DEGRADED, BOT_PARKED };
enum bot_state bot_state(const struct bot *);
/* What a person must do while it is parked; appended. */
void bot_remedy(const struct bot *, struct buf *);

#endif
