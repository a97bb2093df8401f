/*
 * bus: one end of a ZeroMQ endpoint.  A server (ROUTER) binds, a client
 * (DEALER) connects; what may be said on it and in which direction is the
 * `carried` column of messages.def, everything else is refused and counted.
 *
 * Used as a pipe, not as a queue: a send that would wait fails with FULL, a
 * send to a peer that has gone fails with NOT_FOUND.  A client beats when it
 * has said nothing for 2.5 s; it replaces its socket after 10 s of silence.
 * A server answers beats by itself.  Whenever a client is connected anew its
 * on_open is called again: the server may be another run of it.
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

enum bus_side { BUS_SERVER, BUS_CLIENT };

enum { BUS_BEAT_MS = 2500, BUS_SILENCE_MS = 10000 };

struct bus_options {
	enum bus_side  side;
	const char    *url;        /* ipc://PATH or tcp://HOST:PORT */
	enum msg_way   sends, takes;
	const char    *keys_dir;   /* "" or NULL: no CURVE */
	const char    *name;       /* of our own key pair */
	const char    *server;     /* client: whose key the server must have */
	const char    *admit[4];   /* server: whose keys may connect */
	const struct msg_handlers *handlers;
	void          *self;
	/* client: say who you are and what is open. */
	void         (*on_open)(void *self);
	/* server: whatever came from this peer, before its handler. */
	void         (*on_heard)(void *self, msg_peer from);
};

struct bus_counts {
	uint64_t sent, received, refused, full, reopened;
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

const struct bus_counts *bus_counts(const struct bus *);

/* Makes a CURVE key pair; each buffer 41 bytes. */
enum err bus_keypair(char public_key[41], char secret_key[41]);

#endif
