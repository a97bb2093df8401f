/*
 * resolve: the address of a host name.  A resolver that does not answer takes
 * its ten seconds and more, which nobody else here is to wait for: it is asked
 * by a thread that knows nothing but the name, and answers through a pipe.
 */
#ifndef RESOLVE_H
#define RESOLVE_H

#include "loop.h"

struct resolve;

/* address: of numbers, good until the return; NULL: there is none, and why
 * says why not.  The question is over and freed. */
typedef void resolve_fn(void *self, const char *address, const char *why);

/* Does it need no question at all? */
bool resolve_is_address(const char *host);

/* turn: which of several addresses, modulo their number, so that who fails
 * with one can ask for the next.  NOMEM, SYSTEM; else the answer comes later,
 * never from here. */
enum err resolve_start(struct resolve **, struct loop *, const char *host,
    unsigned turn, resolve_fn *, void *self);
/* No answer comes any more.  NULL is taken. */
void resolve_cancel(struct resolve **);

#endif
