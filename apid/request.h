/*
 * request: the calls of workers, each from its arrival to its result.
 *
 * Calls of one conversation go one after the other: the next leaves when the
 * one before has its outcome.  A call that comes again while it is under way
 * joins the first; after its end it gets the first outcome (sent.h).  A call
 * waits for a token, a connection or a better moment only while its reply
 * window is open, and all that wait are bounded by count and by bytes.
 *
 * What the platform limits is paced (pace.h): a call takes its tokens when it
 * leaves, waits in line for them in no other's way, and takes no place among
 * those under way meanwhile.  A reply whose message has had all its replies is
 * refused here.  A message that is refused as it is may leave once more in
 * another form (fallback.h), if it is sure that it was not sent.
 *
 * A message that the platform holds for review is sent; who asks for it is
 * told when the review is over.
 *
 * Where the settings say so, what makes a message appear waits while its bot
 * has no live session, since the platform may accept it then and show nothing.
 *
 * What makes a message appear is held until the record on disk says that it
 * is about to leave; so is the outcome of one whose double the platform would
 * not refuse, until the record says how it ended.  One commit per turn of the
 * loop serves all that is held.
 */
#ifndef REQUEST_H
#define REQUEST_H

#include "attempt.h"
#include "audit.h"
#include "bot.h"
#include "call.h"
#include "pace.h"
#include "sent.h"
#include "table.h"

enum {
	CALLS_MAX = 10000,
	CALLS_BYTES_MAX = 64 << 20,
	CALL_PATIENCE_MS = 60000,    /* of a call without a window */
	CALL_FILE_PATIENCE_MS = 600000,   /* of one with a file */
	CALL_WINDOW_MAX_MS = 86400000,
	CALL_ASKERS_MAX = 8,         /* who wait for the same outcome */
	CALL_DATA_MAX = MSG_MAX / 2, /* of what came back, packed */
	CALL_HAND_OVER_MS = 20,      /* a worker's pipe was full: try again */
	CALL_GIVE_UP_MS = 10000,     /* and then it has a new pipe anyway */
	CALL_PLAIN_MS = 600000,      /* refused markdown is not tried again */
	RECORD_LATE_MS = 100         /* an outcome nobody waits for is on disk */
};

struct request_counts {
	uint64_t done, failed;
	uint64_t results[RESULT_COUNT];
	uint64_t joined, repeated, retried;
	uint64_t plain, unasked;     /* in another form than was asked for */
	/* The last answer that was an error. */
	uint64_t error_code, error_status;
	int64_t  error_wall_ms;
	char     error_trace[64], error_message[128];
};

/* What waits for a live session. */
enum requests_hold { HOLD_NONE, HOLD_GUILD, HOLD_ALL };

struct requests {
	struct loop     *loop;
	struct http     *http;
	struct media    *media;
	struct fetch    *fetch;
	uint64_t         slow_ms;    /* what takes the platform long may take */
	bool             again;      /* sends of unknown outcome are repeated */
	bool             expired_active;   /* late replies go unasked */
	bool             markdown_plain;   /* refused markdown goes as text */
	unsigned         replies[SCOPE_APP + 1];  /* to one message; 0: any number */
	bool             raw;        /* requests that are in no table, too */
	bool             closed;     /* nothing new is begun */
	enum requests_hold hold;
	uint64_t         hold_ms;    /* at most, since the session went */
	struct bot      *(*find_bot)(void *self, struct slice app);
	enum err         (*send)(void *self, msg_peer,
	    const struct msg_result *);
	/* The record cannot be written any more, or can again. */
	void             (*on_record)(void *self);
	void            *self;
	struct table     calls, lanes;
	struct request  *all;
	struct request  *walk;       /* the next of a walk through all */
	struct sent      sent;
	struct pace      pace;
	struct audits    audits;
	int64_t          born_wall_ms;      /* what time it was then */
	uint64_t         born_boot_ms;
	size_t           places;            /* sends under way at once; 0:
	                                       any number */
	struct request  *lined, *lined_last; /* who wait for a place */
	struct request  *held, *held_last;  /* until the next commit */
	struct timer     commit;            /* due without one, or reopening */
	struct timer     limit;             /* somebody's tokens come back */
	struct backoff   reopen;
	size_t           n, bytes, running, waiting;
	unsigned         depth;             /* of calls that ended at once */
	size_t           without_session;   /* wait for a live one */
	struct request_counts counts;
	struct buf       key, url, body, conv;   /* scratch */
};

/* loop, sent (opened, if it could be), pace.limits.percent and what stands
 * before them are set; after the sockets whose calls it takes, so that one
 * turn serves both. */
enum err requests_open(struct requests *);
void requests_take(struct requests *, msg_peer, const struct msg_call *);
/* The bot's token has changed, or a doubt about it is settled. */
void requests_on_token(struct requests *, struct bot *);
/* The platform has said something that matters to sends: whether a conversation
 * wants messages unasked, what became of an audit. */
void requests_on_notice(struct requests *, const struct msg_notice *);
/* The bot goes, or another takes its place: what has not left for the platform
 * is dropped without an answer, so that its worker asks again; what has, comes
 * to its end.  Its leaving is set. */
void requests_let_go(struct requests *, struct bot *);
/* Some request refers to the bot. */
bool requests_use(const struct requests *, const struct bot *);
/* The bot has a live session again: what waited for it leaves. */
void requests_on_live(struct requests *, struct bot *);
/* Takes nothing new and begins nothing; what is under way goes on. */
void requests_stop(struct requests *);
/* Under way at the platform, or with a result nobody has taken yet. */
bool requests_idle(const struct requests *);
void requests_close(struct requests *);

#endif
