/*
 * body: what a handler says in the words of operations.def as the platform's
 * message, for the four kinds of conversation; one message, or a refusal.
 */
#ifndef BODY_H
#define BODY_H

#include "call.h"

/* The call's body and media.  UNSUPPORTED: what this conversation cannot
 * carry; TOO_MUCH: more than one message; BAD_ARG; RATE_LIMITED: out of
 * memory. */
enum result body_message(struct call *);
enum result body_stream(struct call *);
enum result body_typing(struct call *);

#endif
