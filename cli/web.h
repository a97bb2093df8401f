/*
 * web: how rookery chat talks with the simulator: one request and its answer,
 * and a WebSocket to listen on.  Plain HTTP to an address that rookeryd names,
 * nothing else; it waits, as the rest of rookery may.
 */
#ifndef WEB_H
#define WEB_H

#include "buf.h"
#include "err.h"
#include "json.h"

struct web {
	char host[128], port[8];
};

/* http://HOST:PORT/; false: not of this form, as https:// is not. */
bool web_at(struct web *, struct slice url);

/* body: NULL or an object, which stays the caller's.  *answer is the caller's.
 * NOT_FOUND: nobody is there; TIMEOUT, CLOSED; SYNTAX: it is no JSON. */
enum err web_ask(const struct web *, const char *method, const char *path,
    const struct json *body, int *status, struct json **answer);

struct web_ear {
	int        fd;
	struct buf in, text;
	size_t     taken;      /* bytes of in that were handed out */
	bool       whole;      /* text was handed out */
};

/* Errors as of web_ask(). */
enum err web_listen(struct web_ear *, const struct web *, const char *path);
/* Once the descriptor is readable.  CLOSED, NOMEM. */
enum err web_read(struct web_ear *);
/* The next text, a loan until the next call of either.  AGAIN: none is
 * complete; CLOSED; TOO_LARGE. */
enum err web_next(struct web_ear *, struct slice *);
void web_close(struct web_ear *);

#endif
