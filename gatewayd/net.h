/*
 * net: WebSocket connections to the platform and the HTTP listener for its
 * callbacks, by libwebsockets, which is the process's one wait.  It
 * translates; no decision lives here.
 */
#ifndef NET_H
#define NET_H

#include "loop.h"
#include "webhook.h"

struct net;
struct net_conn;

struct net_handlers {
	/* One whole text message of this connection. */
	void (*on_frame)(void *owner, struct slice text);
	/* The connection is over, or could not be made: it is freed after.
	 * code: the peer's close code, 1006 without one. */
	void (*on_closed)(void *owner, unsigned code, struct slice reason);
	/* The headers of a request: how many bytes of its body to read; 0 =
	 * it is decided without one. */
	size_t (*on_head)(void *self, const struct webhook_request *);
	/* A whole request; answer it with net_answer(), now or later. */
	void (*on_request)(void *self, uint64_t request,
	    const struct webhook_request *);
};

struct net_options {
	const char *listen;         /* ADDRESS:PORT; "" = no listener */
	int         listener;       /* a socket that may be that one; -1:
	                               none.  net's, if it is; else closed */
	const char *ca_file;        /* "" = the system's */
	size_t      body_max;       /* of a request */
	const struct net_handlers *handlers;
	void       *self;           /* for on_head, on_request */
};

enum { NET_FRAME_MAX = 4 << 20 };   /* bytes of one message received */

/* BUSY: the address is taken, or not ours now; CONFIG: it is none; both
 * logged. */
enum err net_open(struct net **, struct loop *, const struct net_options *);
void net_close(struct net **);

/* The listening socket, a loan; -1: none.  And the port it really has, for
 * port 0; 0: none. */
int net_listener(const struct net *);
unsigned net_port(const struct net *);

/* Whoever calls is let in from the first of these on.  Shut: he waits, for the
 * next process if the socket is kept for it. */
void net_let_in(struct net *);
void net_shut(struct net *);
/* Somebody was let in and has not had his answer. */
bool net_has_callers(const struct net *);

/* One turn: the one wait, then our loop's work. */
enum err net_turn(struct net *);

/* Something was queued by net_send() in this turn; it leaves in the next. */
bool net_has_sent(const struct net *);
/* The next turn does not wait. */
void net_hurry(struct net *);

/* Turns until the close frames under way are out, at most so long. */
void net_finish(struct net *, uint64_t at_most_ms);

/* url: wss://, or ws:// to loopback; CONFIG otherwise.  proxy:
 * [user:password@]host:port of an HTTP proxy that leads there; "" = none.
 * owner: handed to the callbacks.  Failure to connect comes as on_closed(),
 * never from here. */
enum err net_connect(struct net *, const char *url, const char *proxy,
    void *owner, struct net_conn **);
/* Without what nobody is to see: host:port, a loan. */
struct slice net_proxy_name(const char *proxy);
/* Queues one text message; FULL when the peer does not take what we sent. */
enum err net_send(struct net_conn *, struct slice text);
/* No callback comes any more and conn is gone for the caller.  code 0: at
 * once, with a reset; else with a close frame. */
void net_drop(struct net_conn *, unsigned code);
/* Stops or resumes reading. */
void net_flow(struct net_conn *, bool read);

/* Requests that were cut off for others: too many were being read. */
uint64_t net_evicted(const struct net *);

/* Unknown requests (the peer has left) are ignored. */
void net_answer(struct net *, uint64_t request, unsigned status,
    struct slice body);

#endif
