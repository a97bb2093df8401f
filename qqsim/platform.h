/*
 * platform: the platform itself, without any I/O: its bots, what they may do,
 * their sessions, the events it has for them.  Time is handed in; what must
 * happen outside is told through `out`.
 */
#ifndef PLATFORM_H
#define PLATFORM_H

#include "fault.h"
#include "limit.h"
#include "route.h"
#include "secret.h"
#include "send.h"
#include "token.h"

enum { APP_ID_MAX = 32, SESSION_LOG_MAX = 200000,
	SESSION_LOG_BYTES = 64 << 20, BOTS_MAX = 1024, PACE_MAX = 64,
	PACE_WINDOW_MS = 5000, DAY_MS = 86400000, IDENTIFY_WITHIN_MS = 30000,
	FRAMES_QUEUED_MAX = 1024 };

/* Close codes of the gateway. */
enum {
	CLOSE_OPCODE = 4001, CLOSE_PAYLOAD = 4002, CLOSE_NOT_IDENTIFIED = 4003,
	CLOSE_TOKEN = 4004, CLOSE_IDENTIFIED = 4005, CLOSE_SESSION = 4006,
	CLOSE_SEQ = 4007, CLOSE_TOO_FAST = 4008, CLOSE_EXPIRED = 4009,
	CLOSE_SHARD = 4010, CLOSE_INTENTS = 4013, CLOSE_UNGRANTED = 4014,
	CLOSE_REPLACED = 4902, CLOSE_WITHDRAWN = 4914
};

/* One event as it is sent, but for its s; shared by those that get it. */
struct payload {
	unsigned refs;
	uint64_t event;       /* serial in the ledger; 0: READY, RESUMED */
	size_t   n;
	char     text[];      /* "t":"..","id":"..","d":{..}} */
};

struct bot;
struct conn;
struct talk;

/* How uploads go. */
struct media_rules {
	uint64_t block_size, index_base, ttl_s, concurrency, retry_timeout_s;
	uint64_t image_max, url_life_s;
	uint64_t numbers;         /* sizes as numbers, not as strings */
};

struct session {
	struct session  *next;           /* of its bot */
	struct bot      *bot;
	char             id[40];
	uint32_t         intents;
	unsigned         shard, shards;
	struct payload **log;            /* a ring: s = first_s onwards */
	size_t           cap, start, n, bytes;
	uint64_t         first_s, next_s; /* of the log; to be given next */
	uint64_t         cursor;          /* to be written next */
	uint64_t         sent_s;          /* highest ever written */
	struct conn     *conn;            /* NULL: away */
	int64_t          away_ms;
	bool             mute, forgotten;
};

enum conn_state { CONN_FRESH, CONN_GREETED, CONN_LIVE, CONN_CLOSING };

struct frame {
	struct frame *next;
	size_t        n;
	char          text[];
};

/* One WebSocket.  The owner zeroes it, sets number and socket. */
struct conn {
	struct conn    *next;            /* of the platform */
	uint64_t        number;
	void           *socket;
	enum conn_state state;
	struct session *session;
	uint64_t        known_s;         /* without one: a beat's s, at most */
	struct frame   *first, **end;    /* to be written before the log */
	size_t          nframes;
	int             close_code;      /* when CLOSING */
	bool            reset;           /* by RST instead */
	bool            stalled;
	int64_t         stall_ends_ms;   /* 0: until cleared */
	int64_t         hello_due_ms, since_ms, heard_ms;
	uint64_t        interval_ms;
	int64_t         rate_from_ms;
	unsigned        rate;
};

struct bot {
	char            app_id[APP_ID_MAX + 1], name[64], user_id[24];
	struct secret   secret;
	struct tokens   tokens;
	struct send_rules rules;
	struct media_rules media;
	struct world    world;
	struct window   route_windows[ROUTES], quota_windows[QUOTAS];
	struct talk    *talks;           /* streams, the newest first */
	uint64_t        stream_gap_ms;   /* between two parts, at least */
	uint32_t        granted;
	uint64_t        heartbeat_ms, frames_per_s, max_concurrency, shards;
	uint64_t        identify_total, identify_used, resume_window_ms;
	uint64_t        resume_refusal;  /* close code, 0: op 9 */
	int64_t         day_from_ms;
	bool            pace_op9;
	int64_t         paced_ms[PACE_MAX];  /* the latest Identifies */
	size_t          npaced;
	int64_t         limit_until_ms;  /* a gateway_limit struck */
	int64_t         sent_ms;         /* the latest send, for send_limit */
	struct session *sessions;
	struct hook    *hook;            /* its callback address; or NULL */
	bool            hook_and_socket;
};

/* What the world outside does for the platform; none may call back in. */
struct platform_out {
	void  *self;
	/* The connection has something to write, or is CLOSING. */
	void (*wake)(void *self, struct conn *);
	void (*frame)(void *self, const struct conn *, bool from_bot,
	    struct slice);
	/* Queue it for the bot's callback address; takes a reference. */
	void (*post)(void *self, struct bot *, struct payload *);
};

struct platform {
	struct ledger       ledger;
	struct faults       faults;
	struct bot         *bots[BOTS_MAX];
	size_t              nbots;
	struct conn        *conns;
	uint64_t            serial;      /* for ids that must be unique */
	char                salt[9];     /* so that they are over restarts */
	int64_t             wall_offset_ms;
	struct platform_out out;
};

enum err platform_open(struct platform *, int64_t wall_offset_ms);
void platform_close(struct platform *);

/* A bot with the platform's defaults; its secret is the caller's to set. */
enum err platform_bot_add(struct platform *, struct slice app_id,
    struct bot **);
/* app_id empty: the first. */
struct bot *platform_bot(const struct platform *, struct slice app_id);
/* Whose token is this?  *state tells what is wrong when it is nobody's. */
struct bot *platform_bot_by_token(const struct platform *, struct slice token,
    int64_t now_ms, enum token_state *state);
/* Identifies left today and until when. */
uint64_t bot_remaining(struct bot *, int64_t now_ms, int64_t *reset_ms);

/* "PREFIX" and a unique rest, made of the serial. */
void platform_id(struct platform *, char *out, size_t size,
    const char *prefix);
/* RFC 3339 at +08:00; 32 bytes. */
void platform_timestamp(const struct platform *, int64_t now_us, char *out);

enum sent { SENT_LIVE, SENT_KEPT, SENT_WEBHOOK, SENT_NOBODY };
const char *sent_name(enum sent);

struct event_ask {
	struct bot        *bot;
	const struct kind *kind;
	struct slice       type;          /* as written */
	struct slice       id;            /* outer; empty: made */
	struct json       *d;             /* may be NULL */
	int                expect;
};
struct event_told {
	struct event *event;
	enum sent     sent;
};
/* Something has happened that the bot shall know. */
enum err platform_event(struct platform *, const struct event_ask *,
    int64_t now_us, struct event_told *);

void payload_release(struct payload **);

#endif
