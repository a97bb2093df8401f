/*
 * server: HTTP and WebSocket on one port.  The only part that knows
 * libwebsockets; it translates and decides nothing.
 */
#ifndef SERVER_H
#define SERVER_H

#include "buf.h"
#include "err.h"
#include "loop.h"

struct server;
struct socket;       /* one WebSocket */
struct exchange;     /* one request that is to be answered */

enum method { METHOD_GET, METHOD_POST, METHOD_PUT, METHOD_PATCH,
	METHOD_DELETE, METHOD_OTHER };

enum { QUERY_MAX = 16, BODY_MAX = 32 << 20, FRAME_MAX = 1 << 20 };

/* On loan during the call. */
struct request {
	enum method  method;
	struct slice path, body;
	struct slice query[QUERY_MAX];      /* "name=value", decoded */
	size_t       nquery;
	struct slice authorization, content_type, union_appid, callback_appid;
	struct slice user_agent;
	bool         no_length, too_large;  /* there is a body we do not have */
	void        *sink;                  /* that has taken the body */
};

/* The value of a member of the query; empty when it is not there. */
struct slice request_query(const struct request *, const char *name);

struct server_handlers {
	void *self;
	/* The exchange is the callee's until it is answered. */
	void (*on_request)(void *self, struct exchange *,
	    const struct request *);
	/* Where a body goes that shall not be held; NULL: it is held.  on_gone
	 * in place of on_request when the client left before its end. */
	void *(*on_head)(void *self, const struct request *);
	/* false: the connection is cut here. */
	bool (*on_part)(void *self, void *sink, struct slice);
	void (*on_gone)(void *self, void *sink);
	/* 0: welcome; an HTTP status: refused; -1: dropped. */
	int  (*on_upgrade)(void *self, struct slice path, struct slice origin,
	    struct slice host);
	/* Returns what the others get as peer; NULL drops the socket. */
	void *(*on_open)(void *self, struct socket *, struct slice path);
	void (*on_frame)(void *self, void *peer, struct slice, bool text);
	/* Write until socket_write() says no; true: call again. */
	bool (*on_writable)(void *self, void *peer, struct socket *);
	void (*on_leave)(void *self, void *peer);
	void (*on_closed)(void *self, void *peer);
};

struct server_options {
	const char  *host;             /* numeric */
	unsigned     port;             /* 0: any free */
	const char  *cert, *key;       /* files; NULL: no TLS */
	struct server_handlers handlers;
};

/* BUSY: the port is taken. */
enum err server_open(struct server **, struct loop *,
    const struct server_options *);
void server_close(struct server **);
unsigned server_port(const struct server *);
/* Waits for anything of its own or of the loop, and serves its own. */
enum err server_turn(struct server *, bool wait);

/* --- answering: each of these takes the exchange ------------------------ */

/* head: further header lines, each with its CR LF; may be empty. */
void exchange_answer(struct exchange *, int status, const char *type,
    struct slice head, struct slice body);
/* The connection ends without an answer. */
void exchange_drop(struct exchange *);
/* The connection stays, without an answer. */
void exchange_hang(struct exchange *);
/* The client is still there. */
bool exchange_alive(const struct exchange *);

/* --- WebSockets --------------------------------------------------------- */

void socket_wake(struct socket *);
/* false: it went out, but the socket takes no more now. */
bool socket_write(struct socket *, struct slice text);
/* In on_writable only: close with this code, or by RST for code 0. */
void socket_close(struct socket *, int code);
/* Reads no more, or again. */
void socket_pause(struct socket *, bool paused);

#endif
