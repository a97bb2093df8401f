/*
 * bus: one end of a ZeroMQ endpoint.  A server (ROUTER) binds, a client
 * (DEALER) connects; a feed (XPUB) binds, an observer (SUB) connects.  What
 * may be said on it and in which direction is the `carried` column of
 * messages.def, everything else is refused and counted.
 *
 * Used as a pipe, not as a queue: a send that would wait fails with FULL, a
 * send to a peer that has gone fails with NOT_FOUND.  A client beats when it
 * has said nothing for 2.5 s; it replaces its socket after 10 s of silence.
 * A server answers beats by itself.  Whenever a client is connected anew its
 * on_open is called again: the server may be another run of it.
 *
 * A feed never waits and never hears: each message is [topic, head, body], and
 * goes to every observer that has asked for a beginning of that topic and has
 * room.  An observer with FEED_MESSAGES unread loses what comes next, alone.
 * All that wait for observers together are FEED_BYTES at most.
 *
 * tcp:// beyond loopback is CURVE only; the keys folder holds
 *   NAME.key   our own key pair (NAME: api, gateway, worker): two lines of
 *              40 characters Z85, public then secret, mode 0600
 *   NAME.pub   public keys of the others: one line
 * A server admits the names in `admit` and nobody else.
 */
#ifndef BUS_H
#define BUS_H

#include "loop.h"
#include "messages.h"

struct bus;

enum bus_side { BUS_SERVER, BUS_CLIENT, BUS_FEED, BUS_OBSERVER };

enum {
	BUS_BEAT_MS = 2500, BUS_SILENCE_MS = 10000,
	FEED_MESSAGES = 1000, FEED_BYTES = 16 << 20
};

struct bus_options {
	enum bus_side  side;
	const char    *url;        /* ipc://PATH or tcp://HOST:PORT */
	enum msg_way   sends, takes;
	const char    *keys_dir;   /* "" or NULL: no CURVE */
	const char    *name;       /* of our own key pair */
	const char    *server;     /* client, observer: whose key it must have */
	const char    *admit[4];   /* server, feed: whose keys may connect */
	/* observer: beginnings of topics, up to a NULL; "" is all. */
	const char *const *topics;
	const struct msg_handlers *handlers;
	void          *self;
	/* client: say who you are and what is open.  observer: connected. */
	void         (*on_open)(void *self);
	/* server: whatever came from this peer, before its handler. */
	void         (*on_heard)(void *self, msg_peer from);
};

struct bus_counts {
	uint64_t sent, received, refused, full, reopened;
	/* feed: topics that are asked for now; how often an observer was found
	 * with no room (what it misses from then on, only it can tell); what
	 * went to nobody for the sake of FEED_BYTES. */
	uint64_t topics, slow, dropped;
};

/* BUSY: the ipc path has another server alive (a lock file beside it says
 * so); CONFIG: bad url, missing keys, plain tcp beyond loopback; the reason
 * is logged.  The options are copied but for the strings, which must live. */
enum err bus_open(struct bus **, struct loop *, const struct bus_options *);
void bus_close(struct bus **);

/* to: the peer (server) or empty (client).  FULL: try again when the peer has
 * taken something; NOT_FOUND: the peer is gone; FORBIDDEN: this kind does not
 * go this way; TOO_LARGE; NOMEM. */
enum err bus_send(struct bus *, msg_peer to, enum msg_kind, const void *msg);

/* feed: a body as msg_encode() has made it, copied.  FULL: dropped for the
 * sake of FEED_BYTES; FORBIDDEN, TOO_LARGE, NOMEM. */
enum err bus_publish(struct bus *, struct slice topic, enum msg_kind,
    struct slice body);

const struct bus_counts *bus_counts(const struct bus *);

/* Makes a CURVE key pair; each buffer 41 bytes. */
enum err bus_keypair(char public_key[41], char secret_key[41]);

#endif
