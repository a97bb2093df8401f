/*
 * sim: the simulator as a program: the platform and everything around it that
 * does I/O.  Shared by the files that do; the core knows none of it.
 */
#ifndef SIM_H
#define SIM_H

#include "audit.h"
#include "files.h"
#include "gate.h"
#include "proc.h"
#include "sample.h"
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
	struct samples   samples;
	struct files     files;
	struct load      load;
	struct webhooks *webhooks;
	struct wait     *waits;
	struct later    *laters;        /* answers that are due */
	struct route_forms *forms;
	struct wire     *wire;          /* the latest requests */
	struct audits    audits;        /* messages that wait for a verdict */
	struct uploads   uploads;
	uint64_t        *asked;         /* calls of each operation */
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
/* false: the client is to be cut off. */
bool rest_on_part(void *sink, struct slice);
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
	enum scope   scope;      /* OTHER: the kind says */
	struct slice type;       /* empty: a message, or with button a click */
	struct slice user, group, channel, guild, name, role, text, button;
	struct slice message, emoji;       /* what a reaction, recall is of */
	int64_t      emoji_type;
	struct slice id, event;            /* d.id; the outer id */
	const struct json *with;           /* put over the sample */
	unsigned     odd;
	int          expect;
	unsigned     load;
};
/* NOT_FOUND: there is no such kind. */
enum err inject_words(struct sim *, const struct words *, int64_t now_us,
    struct event_told *);
/* Any event; words as far as it was made from them, or NULL. */
enum err inject_event(struct sim *, const struct event_ask *,
    const struct words *, int64_t now_us, struct event_told *);
struct json *inject_sample(struct sim *, const struct words *,
    int64_t now_us);
void inject_defaults(struct sim *, struct bot *);

/* --- show.c: what the chat page is told; the files it shows -------------- */
void show_event(struct sim *, const struct event_ask *,
    const struct event *, const struct words *);
/* Again with the same id: it has grown. */
void show_sent(struct sim *, const struct send *, const char *id,
    const char *name);
void show_typing(struct sim *, const struct send *);
void show_recalled(struct sim *, const struct conversation *,
    const char *id);
void show_acknowledged(struct sim *, const struct event *, int64_t code);
/* Where its bytes are served. */
void show_file_url(const struct sim *, const struct file *, char *,
    size_t);
/* SYNTAX: not Base64.  Otherwise as files_keep(). */
enum err show_keep_file(struct sim *, const struct file_new *,
    struct slice base64, const struct file **);
/* false: no such file. */
bool show_on_request(struct sim *, struct exchange *,
    const struct request *);

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
