/*
 * sim: the simulator as a program: the platform and everything around it that
 * does I/O.  Shared by the files that do; the core knows none of it.
 */
#ifndef SIM_H
#define SIM_H

#include "audit.h"
#include "gate.h"
#include "proc.h"
#include "server.h"
#include "stream.h"
#include "upload.h"
#include "wire.h"

struct webhooks;
struct wait;
struct later;

/* The simulator's own bot traffic. */
struct load {
	bool           running;
	unsigned       number;          /* of this load; marks its events */
	struct bot    *bot;
	enum scope     scope;           /* OTHER: the four in turn */
	char          *text;
	char           prefix[33];      /* of its conversations' ids */
	uint64_t       count, sent, replied, outstanding, rate, conversations;
	int64_t        began_us, ended_us;
	struct timer   timer;
};

struct sim {
	struct loop     *loop;
	struct conf      conf;
	struct proc      proc;
	struct server   *server;
	struct platform  platform;
	struct stream    stream;
	struct load      load;
	struct webhooks *webhooks;
	struct wait     *waits;
	struct later    *laters;        /* answers that are due */
	struct route_forms *forms;
	struct wire     *wire;          /* the latest requests */
	struct audits    audits;        /* messages that wait for a verdict */
	struct uploads   uploads;
	uint64_t         seen_changes;  /* of the ledger, at the last look */
	struct timer     tick;
	uint64_t         conns;         /* ever; numbers them */
	char            *dir;
	char             origin[320];   /* http://HOST:PORT */
	struct buf       frame;         /* for writing frames */
};

int64_t sim_now_us(void);
int64_t sim_wall_ms(const struct sim *, int64_t now_us);

/* --- gateway.c: WebSocket -> gate --------------------------------------- */
void gateway_open(struct sim *);        /* sets up what the platform calls */
int gateway_on_upgrade(void *self, struct slice path, struct slice origin,
    struct slice host);
void *gateway_on_open(void *self, struct socket *, struct slice path);
void gateway_on_frame(void *self, void *peer, struct slice, bool text);
bool gateway_on_writable(void *self, void *peer, struct socket *);
void gateway_on_leave(void *self, void *peer);
void gateway_on_closed(void *self, void *peer);

/* --- rest.c: HTTP -> platform ------------------------------------------- */
void rest_on_request(struct sim *, struct exchange *, const struct request *);
enum err rest_open(struct sim *);
/* Nobody is answered any more. */
void rest_stop(struct sim *);
void rest_close(struct sim *);
/* A body that is not held, but goes where the path says. */
void *rest_on_head(struct sim *, const struct request *);
void rest_on_part(void *sink, struct slice);
void rest_on_gone(void *sink);

/* --- control.c: /sim/ --------------------------------------------------- */
void control_on_request(struct sim *, struct exchange *,
    const struct request *);
struct json *sim_report(const struct sim *);
void control_failed(struct exchange *, int status, const char *why);
void control_answer(struct exchange *, int status, struct json *take);

/* --- wait.c: those who wait for a condition ----------------------------- */
void wait_on_request(struct sim *, struct exchange *, const struct request *);
void wait_look(struct sim *);           /* once per turn */
void wait_close(struct sim *);

/* --- inject.c: events made from a few words ----------------------------- */
struct words {
	struct bot  *bot;
	enum scope   scope;
	struct slice user, group, channel, guild, name, text, button, id;
	int          expect;
	unsigned     load;
};
enum err inject_words(struct sim *, const struct words *, int64_t now_us,
    struct event_told *);
void inject_defaults(struct sim *, struct bot *);

/* --- load.c ------------------------------------------------------------- */
enum err load_start(struct sim *, const struct load *);
void load_stop(struct sim *);
void load_replied(struct sim *, const struct event *, int64_t now_us);
struct json *load_json(const struct sim *);

/* --- webhook.c ---------------------------------------------------------- */
struct hook_options {
	struct slice url;
	uint64_t     tries, spacing_ms, timeout_ms, parallel;
	bool         websocket;
};
enum err webhooks_open(struct sim *);
void webhooks_close(struct sim *);
/* SYNTAX: not an address. An empty url ends it. */
enum err webhook_set(struct sim *, struct bot *, const struct hook_options *);
/* Posts an op 13; takes the exchange and answers it with the verdict. */
void webhook_validate(struct sim *, struct bot *, struct exchange *);
bool webhooks_idle(const struct sim *);
const char *webhook_url(const struct bot *);

/* --- www.c: the chat page ----------------------------------------------- */
/* false: no such file. */
bool www_on_request(struct exchange *, const struct request *);

/* --- tls.c: an authority and a certificate of our own ------------------- */
enum err tls_make(const char *dir, const char *name, char **ca, char **cert,
    char **key);

/* --- home.c: the simulator's folder ------------------------------------- */
enum err home_open(struct sim *);
/* sim.env, by rename. */
enum err home_announce(const struct sim *, const char *ca);
enum err home_write(const char *dir, const char *name, struct slice text);

#endif
