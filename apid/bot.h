/*
 * bot: one bot: its settings, its token, its key, the headers of its
 * requests.  Asks the platform for the token whenever token.c says so, and who
 * the bot is now and then: a token alone does not say that its calls are
 * taken.  When they are not, breaker.c says when to ask once more, while all
 * calls wait.
 */
#ifndef BOT_H
#define BOT_H

#include "breaker.h"
#include "conf.h"
#include "http.h"
#include "signature.h"
#include "token.h"

struct request;

/* Patience with the token's endpoint: a second try must still come before the
 * old token ends, however long a send may take. */
enum { BOT_ASK_MS = 10000, BOT_FIRST_LOOK_MS = 30000, BOT_LOOK_AGAIN_MS = 1000,
	BOT_SCOPES = 8 };

/* What /users/@me was answered last. */
struct bot_health {
	bool     known, ok;
	unsigned status;      /* 0: no answer */
	uint64_t code, at_ms;
};

struct bot {
	const struct conf   *conf;
	struct loop         *loop;
	struct http         *http;
	struct slice         app;           /* its id */
	struct slice         api;           /* base address, no last slash */
	const char          *proxy;         /* as in struct http_request */
	struct token         token;
	struct timer         timer;
	struct http_request  ask;
	struct secret        question;      /* body of ask, while it runs */
	bool                 leaving;       /* nothing new is begun for it */
	uint64_t             away_ms;       /* its sessions are, since; 0: live,
	                                       or nobody has said */
	struct http_headers *ask_headers;
	struct http_headers *headers[2];    /* the second: with its id for
	                                       answers to buttons */
	uint64_t             headers_of[2]; /* generation of its token */
	struct signature    *signature;
	const char          *trouble;       /* why there is no token; static */
	int64_t              trouble_code;
	struct breaker       breaker;
	char                 refused_why[200];  /* while it is not closed */
	uint64_t             refused_code;
	struct bot_health    health;
	struct timer         look_timer;
	struct http_request  look;          /* at itself */
	char                *look_url;
	uint64_t             looked_with;   /* generation of the token */
	bool                 looking, doubted;
	/* The token has changed, or is worse or better off than before; or
	 * calls are taken again, or no more. */
	void               (*on_token)(void *self, struct bot *);
	void                *self;
	/* Request.c's: in which kinds of conversation markdown was refused, until
	 * when, and how; and calls that wait for the token, first come first. */
	uint64_t             plain_until_ms[BOT_SCOPES], plain_code[BOT_SCOPES];
	struct request      *first, *last;
};

enum err bot_open(struct bot *, const struct conf *, struct loop *,
    struct http *, void (*on_token)(void *, struct bot *), void *self);
void bot_close(struct bot *);

bool bot_has_token(const struct bot *);
/* And the platform takes its calls, as far as is known. */
bool bot_may_send(const struct bot *);
/* The platform has refused a call's authorisation for good (config: as only a
 * person can mend it), or has taken a call. */
void bot_refused(struct bot *, bool config, uint64_t code,
    struct slice message);
void bot_taken(struct bot *);
/* Somebody has mended something: it is tried now. */
void bot_wake(struct bot *);
/* Why its calls wait, in words; "" when they do not. */
void bot_why(const struct bot *, char *why, size_t size);
/* gatewayd says whether the bot has a live session; true: it is news. */
bool bot_set_away(struct bot *, bool away);
/* For requests with the token of now; callback: with X-Callback-AppID too.  On
 * loan, NULL when out of memory. */
struct http_headers *bot_headers(struct bot *, bool callback);
/* The platform has refused the token of this generation. */
enum token_advice bot_doubt(struct bot *, uint64_t generation);

enum bot_state { BOT_READY, BOT_DEGRADED, BOT_PARKED };
enum bot_state bot_state(const struct bot *);
/* What a person must do while it is parked; appended. */
void bot_remedy(const struct bot *, struct buf *);

#endif
