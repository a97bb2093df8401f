/*
 * gateway: the state of this program, and who does what with it:
 *   bots.c      bots that come, change and go
 *   link.c      sessions <-> connections, and what apid tells them
 *   intake.c    payloads in, events into the queue; callbacks of the webhook
 *   handout.c   the queue <-> workers
 *   feed.c      events -> those who only look on
 *   notice.c    what apid is told unasked
 *   keep.c      the queue and the sessions <-> the journal
 *   question.c  what a person asks: dead letters, what waits
 *   report.c    what the supervisor is told
 */
#ifndef GATEWAY_H
#define GATEWAY_H

#include "bus.h"
#include "conf.h"
#include "delivery.h"
#include "journal.h"
#include "net.h"
#include "normal.h"
#include "proc.h"
#include "session.h"
#include "wall.h"

struct gateway;
struct bot;

/* One session and its connection. */
struct link {
	struct gateway  *g;
	struct bot      *bot;
	struct session   session;
	struct net_conn *conn;       /* NULL: none */
	struct secret    token;      /* from the answer until it is sent */
	char            *url, *proxy; /* of the last answer; proxy "": none */
	struct timer     timer;
	uint64_t         asked;      /* number of the question under way */
	char             name[24];   /* "0/1" */
	bool             reading;
	bool             leaving;    /* among the bot's old: it resumes, but
	                                never begins another session */
	uint64_t         last_event_ms, last_dispatch_ms, events;
	uint64_t         kept;       /* version of its memory in the journal */
	int64_t          kept_seq;
};

struct bot {
	struct conf           conf;          /* its own */
	struct rights         rights;
	uint32_t              kept_dropped;  /* of them, in the journal */
	struct buf            remedy;        /* when some are dropped */
	struct link          *links;
	size_t                nlinks;
	/* Sessions that serve until those that replace them are live.  While
	 * there are any, they are what the journal holds. */
	struct link          *old;
	size_t                nold;
	uint64_t              old_ms;        /* since when */
	bool                  forget;        /* what the journal holds */
	bool                  looking;       /* for more intents, and only so */
	uint64_t              asked_ms;      /* how many shards there are */
	struct session_budget budget;
	uint64_t              kept;        /* version in the journal */
	unsigned              suggested;   /* shards, by the platform */
	bool                  auto_shards;
	/* What apid has been told of its sessions. */
	enum { TOLD_NOTHING, TOLD_LIVE, TOLD_AWAY } told;
};

/* A request of the webhook that waits for apid's signature. */
struct pending_sign {
	struct pending_sign *next;
	uint64_t             request, until_ms;
	char                 plain_token[129], bot[SESSION_BOT_MAX];
};

struct webhook_counts {
	uint64_t requests, events, duplicates, validations, refused;
	struct webhook_tally refusals;
};

struct feed {
	char        *url;
	struct bus  *bus;            /* NULL: cannot be opened yet */
	struct buf   waiting;        /* events for the commit */
	struct buf   hint;           /* for a person, while it is not open */
	uint64_t     retry_ms, dropped;
	struct timer retry;
};

struct gateway {
	struct conf          conf;
	struct loop         *loop;
	struct proc          proc;
	struct net          *net;
	struct bus          *events, *trust;
	struct feed          feed;
	struct delivery     *delivery;
	struct journal      *journal;          /* NULL: cannot be opened yet */
	enum err             journal_err;      /* the first failed write */
	enum err             shut;             /* why it cannot be opened */
	char                *moved;            /* a damaged one, found late */
	uint64_t             began_ms;         /* this run */
	uint64_t             opened_ms;        /* the journal, in this run */
	uint64_t             prune_ms;         /* old ids go then */
	struct wall          wall;
	uint64_t             gather_ms;        /* then what came is committed */
	uint64_t             gathered;         /* events, at the last look */
	bool                 old_ids;          /* some are of another form */
	bool                 filling;          /* the alarm is on */
	struct buf           acks;             /* requests to be answered after
	                                          the commit, uint64_t each */
	struct buf           away;             /* a body read back */
	struct bot         **bots;
	size_t               nbots;
	struct webhook_bot  *webhook_bots;     /* same order as bots */
	struct webhook_counts webhook;
	struct pending_sign *signs;
	struct normal_rules  rules;
	struct normal_scratch scratch;
	struct buf           body, conv;       /* scratch */
	struct timer         housekeeping, reporting, reopening;
	uint64_t             told_ms;   /* the last report's time */
	size_t               told;      /* and how many sessions it had */
	bool                 connected; /* a session has, or has lost it */
	uint64_t             asks;             /* numbers the questions */
	uint64_t             unparsable, stop_by_ms;
	char                 run[24];          /* names this run to workers */
	char                 api_run[40];      /* the run of apid we know */
	bool                 draining, unsent; /* handout_soon() */
};

/* bots.c */
enum err bots_open(struct gateway *);
void bots_close(struct gateway *);
/* Reads which bots there are: opens the new ones, ends those that are gone,
 * replaces the sessions of changed ones; the others notice nothing.  When
 * the settings have problems all stays as it is. */
void bots_reload(struct gateway *);
/* The platform says that there are so many shards. */
void bots_shards(struct bot *, uint64_t suggested);
/* Sessions that were replaced are ended; once in a while it is asked how many
 * shards there are. */
void bots_tick(struct gateway *);
/* Other sessions beside those there are, which end when the new ones are live;
 * where there are none, they begin now. */
void bots_renew(struct bot *);
/* The same, to see whether more intents are allowed by now. */
void bots_look(struct bot *);
/* After each turn: who waits for the old ones begins, and they end when they
 * have served. */
void bots_settle(struct gateway *);
/* A session of an earlier run, before link_start_all(); false: not taken.  One
 * that is not as it would be begun now is replaced. */
bool bots_recall(struct gateway *, const struct session_memory *,
    int64_t wall_ms);
/* NULL: not known. */
struct bot *bots_find(struct gateway *, struct slice app);

/* All links of a bot, those that are replaced last; i counts from 0. */
struct link *bot_link(const struct bot *, size_t i);
/* All links there are: zero it, then until NULL comes. */
struct link_at {
	size_t bot, i;
};
struct link *link_each(struct gateway *, struct link_at *);

/* link.c */
void link_init(struct link *, struct gateway *, struct bot *, unsigned shard,
    unsigned shards);
/* From now on it is one of the bot's old. */
void link_leave(struct link *);
/* It is none of them any more. */
void link_stay(struct link *);
/* Its session has ended, or never began. */
void link_free(struct link *);
/* Feeds an input that has no data but number. */
void link_tell(struct link *, enum session_input, int64_t number);
/* How many shards are there?  The answer goes to bots_shards(). */
void link_ask(struct link *);
/* What an earlier run has found out of the bot's rights. */
void link_recall_rights(struct bot *, uint32_t dropped, int64_t wall_ms);
/* Whoever lacks a right looks whether it has been given. */
void link_retry_rights(struct gateway *);
/* Whoever waits or is parked begins now. */
void link_start_all(struct gateway *);
void link_stop_all(struct gateway *);
void link_on_answer(void *self, msg_peer, const struct msg_session_answer *);
/* Questions that may have been lost with apid's last run are asked again, and
 * who waits because there was no answer asks now. */
void link_ask_again(struct gateway *);
/* Stops or resumes reading, by the room there is. */
void link_flow_all(struct gateway *);
extern const struct net_handlers link_net_handlers;

/* intake.c */
/* OK, DUPLICATE (both: it is ours), FULL, NOMEM. */
enum err intake_event(struct gateway *, const struct bot *, const char *user,
    const char *shard, const struct payload *);
size_t intake_on_head(void *self, const struct webhook_request *);
void intake_on_request(void *self, uint64_t request,
    const struct webhook_request *);
void intake_on_key(void *self, msg_peer, const struct msg_key_answer *);
void intake_on_sign(void *self, msg_peer, const struct msg_sign_answer *);
void intake_ask_keys(struct gateway *);
/* Requests that waited too long for apid are answered without it. */
void intake_tick(struct gateway *);
void intake_close(struct gateway *);

/* handout.c */
enum err handout_open(struct gateway *);
void handout_close(struct gateway *);
/* Something may be ready to go: it is sent at the end of this turn. */
void handout_soon(struct gateway *);
void handout_tick(struct gateway *);
void handout_on_gone(void *self, msg_peer, const struct msg_gone *);

/* feed.c */
/* NOMEM; where it cannot be opened it is tried again by itself. */
enum err feed_open(struct gateway *);
void feed_close(struct gateway *);
/* A new event, and its body as it is encoded: shown after the commit. */
void feed_event(struct gateway *, const struct msg_event *,
    struct slice body);
/* The commit is made. */
void feed_settle(struct gateway *);
/* What a person should know; "". */
const char *feed_hint(const struct gateway *);
/* For status. */
struct json *feed_json(const struct gateway *);

/* notice.c */
/* Tells apid when it is news whether any session of the bot is live. */
void notice_sessions(struct gateway *, struct bot *);
/* To another run of apid: all bots, news or not. */
void notice_again(struct gateway *);
/* d: of the event as it came; tells what matters to sends. */
void notice_event(struct gateway *, const struct msg_event *,
    const struct json *d);

/* keep.c */
/* Opens the journal, takes back what it holds, and starts the sessions; when
 * it cannot be opened, tries again by itself.  NOMEM. */
enum err keep_open(struct gateway *);
/* Tries to open it now, when it is not open. */
void keep_try(struct gateway *);
void keep_close(struct gateway *);
/* What is known of a bot that comes while we run. */
void keep_recall_bot(struct gateway *, struct bot *);
/* After each turn of the loop: what came in it is committed, or gathers for a
 * moment while more comes.  Callbacks are acknowledged behind the commit.  An
 * error ends this process: the next one begins with what the journal holds. */
enum err keep_settle(struct gateway *);
/* The same, now. */
enum err keep_commit(struct gateway *);
/* Once in a while: ends of events are committed, old ids go, alarms. */
void keep_tick(struct gateway *);
/* Looks whether the wall clock was set.  Before what was noted by it is used,
 * or anything is noted anew. */
void keep_clock(struct gateway *);
/* The result of a write. */
void keep_note(struct gateway *, enum err);
/* The journal is there, and what is put into it is there for the next run. */
bool keep_outlives(const struct gateway *);
/* An answer that waits for the commit. */
enum err keep_ack(struct gateway *, uint64_t request);
/* What is wrong with the journal, for status; "" when nothing is. */
const char *keep_trouble(struct gateway *);
/* What nothing suffers from, and yet somebody must look at; "". */
const char *keep_hint(struct gateway *);
/* The app id in an event's id, ...@BOT/CONV; empty: there is none, an earlier
 * version has given it. */
struct slice keep_bot_of(struct slice id);
/* Known by the id that an earlier version gave it. */
bool keep_knows_old(const struct gateway *, const struct msg_event *);
/* A conversation of the journal, with its body: the queue's name for it, on
 * loan.  NOMEM. */
enum err keep_conv(struct gateway *, struct slice body, struct slice *conv);
/* An empty one, by the settings; NULL: out of memory. */
struct delivery *keep_new_queue(struct gateway *);

/* question.c */
void question_on_ask(void *self, msg_peer, const struct msg_ask *);

/* report.c */
void report_send(struct gateway *);

#endif
