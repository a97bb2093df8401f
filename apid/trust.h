/*
 * trust: answers to gatewayd, which holds no secret: what a session needs to
 * begin, the key that verifies webhooks, the signature of a validation.
 * Every question is answered within seconds, if only with a no.
 */
#ifndef TRUST_H
#define TRUST_H

#include "bot.h"
#include "messages.h"

enum { TRUST_ASKS_MAX = 256, TRUST_ASK_MS = 5000, TRUST_AGAIN_MS = 1000 };

struct trust_ask;

struct trust {
	struct loop      *loop;
	struct http      *http;
	struct bot       *(*find_bot)(void *self, struct slice app);
	void             (*send)(void *self, msg_peer, enum msg_kind,
	    const void *);
	void             *self;
	struct trust_ask *first;
	size_t            n;
};

void trust_session_ask(struct trust *, msg_peer,
    const struct msg_session_ask *);
void trust_key_ask(struct trust *, msg_peer, const struct msg_key_ask *);
void trust_sign_ask(struct trust *, msg_peer, const struct msg_sign_ask *);
/* Takes note of it.  The bot whose sessions are live again by it; NULL: none
 * is. */
struct bot *trust_notice(struct trust *, const struct msg_notice *);

/* This bot's token has changed: questions that waited for it go on. */
void trust_on_token(struct trust *, struct bot *);
/* The bot goes: nobody waits for an answer about it. */
void trust_let_go(struct trust *, const struct bot *);
void trust_close(struct trust *);

#endif
