/*
 * session: one login on the platform's gateway, as a state machine.  No I/O
 * and no clock: inputs and the time go in, actions come out.  The rules are
 * those of the platform's WebSocket documentation; closes.def is its table of
 * close codes.
 *
 * The owner performs each action in the order given.  After CONNECT or CLOSE
 * nothing of an earlier connection may be fed in any more.
 */
#ifndef SESSION_H
#define SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "backoff.h"
#include "rights.h"
#include "slice.h"

enum session_state {
	SESSION_IDLE,         /* not started, or stopped */
	SESSION_WAITING,      /* until due, then ask */
	SESSION_ASKING,       /* for address and token */
	SESSION_CONNECTING,   /* until Hello */
	SESSION_IDENTIFYING,  /* until READY */
	SESSION_RESUMING,     /* until RESUMED; events come already */
	SESSION_LIVE,
	SESSION_PARKED,       /* a person must act; tried again slowly */
	SESSION_STATES
};

enum session_input {
	IN_START,        /* begin, or begin now instead of waiting */
	IN_ANSWER,       /* address and token are here */
	IN_NO_ANSWER,    /* not this time; number: ask again after so many
	                    ms, 0: not said */
	IN_FATAL,        /* credentials refused; text says why */
	IN_HELLO,        /* number: heartbeat interval, ms */
	IN_READY,        /* seq, text: session id, more: the bot's user id */
	IN_RESUMED,      /* seq */
	IN_DISPATCH,     /* seq, or 0 when the frame had none */
	IN_BEAT_ASKED,
	IN_ACK,
	IN_RECONNECT,
	IN_INVALID,      /* number: 1 when the session may be resumed */
	IN_CLOSED,       /* number: close code; text: the server's reason */
	IN_GARBAGE,      /* a frame that is none: once events flow, it is
	                    only skipped */
	IN_ASKABLE,      /* who could not answer may be able to now */
	IN_ANEW,         /* end this session, begin another */
	IN_DUE,          /* session_due() has come */
	IN_STOP,         /* number: 1 when it will not be resumed */
	SESSION_INPUTS
};

struct session_data {
	int64_t      seq, number;
	struct slice text, more;
	uint32_t     chance;    /* any 32 random bits */
	/* of an answer */
	uint64_t     total, remaining, reset_after_ms, max_concurrency, shards;
};

enum session_action_kind {
	DO_ASK,          /* fresh: the last token was refused */
	DO_CONNECT,
	DO_IDENTIFY,
	DO_RESUME,
	DO_BEAT,
	DO_DELIVER,      /* the dispatch that was fed in */
	DO_CLOSE,        /* code; 0 = abort, the peer is dead */
	DO_RESHARD,      /* ask how many shards; count is the platform's */
};

struct session_action {
	enum session_action_kind kind;
	bool                     fresh;
	unsigned                 code;
};

enum {
	SESSION_ACTIONS = 4, SESSION_ID_MAX = 256, SESSION_USER_MAX = 64,
	SESSION_BOT_MAX = 33,
};

/* What all sessions of one bot share: Identify is paced and counted. */
struct session_budget {
	uint64_t every_ms;       /* 5 s / max_concurrency */
	uint64_t next_ms;        /* no Identify before */
	uint64_t booked_ms;      /* when the last one that waits has its turn */
	uint64_t total, remaining;
	uint64_t resets_ms;      /* when remaining is total again; 0 unknown */
	uint64_t memory_version; /* changes with what budget_remember() gives */
};

struct session {
	/* set by the owner before IN_START, then left alone */
	const char            *bot;
	unsigned               shard, shards;
	uint32_t               intents;      /* of this session, or the next */
	struct session_budget *budget;
	struct rights         *rights;       /* of its bot; NULL: all or none */
	uint64_t               hello_timeout_ms, park_ms;
	uint64_t               age_ms;       /* of a connection; 0: no end */
	uint64_t               silent_ms;    /* see below; 0: never */
	bool                   auto_shards;

	enum session_state state;
	uint64_t           since_ms;         /* in this state */
	bool               connected;        /* a connection is ours to close */

	char     id[SESSION_ID_MAX];         /* "" = none */
	char     user[SESSION_USER_MAX];     /* the bot's own user id */
	int64_t  seq;                        /* largest received; 0 none */
	uint64_t ready_ms;                   /* when it began; 0 not yet */
	uint64_t memory_version;  /* changes with what session_remember() gives
	                             but for seq, and with each sign that it
	                             still holds */

	uint64_t interval_ms, beat_ms, beat_sent_ms, heard_ms;
	uint64_t asked_ms;                   /* asked for a beat: not before */
	bool     beat_pending;               /* sent, not acknowledged */
	bool     held;                       /* see session_hold() */
	unsigned acks_missed;

	uint64_t deadline_ms, retry_ms;      /* 0 = none */
	uint64_t turn_ms;                    /* its turn to identify; 0: none */
	struct backoff backoff;
	bool     fresh;                      /* ask for a new token */
	bool     resume_once;                /* the next failure clears */
	bool     unanswered;                 /* waits because nobody answered */
	unsigned auth_failures, invalids, repeats, resume_failures;

	const char *why;                     /* for people; static */
	const char *remedy;                  /* "" = none needed; static */
	char        told[200];               /* a reason from outside */
	unsigned    last_close;
	uint64_t    identifies, resumes, connects, closes;

	/* A connection is renewed when it has become old, at a moment without
	 * events, and not before the next one's address and token are here.
	 * And one that was resumed, is answered, and yet brings none of the
	 * events that the session used to have, is replaced. */
	uint64_t live_ms;                    /* since */
	uint64_t renew_ms, renew_late_ms;    /* not before, not after */
	bool     renewing;                   /* has asked, and serves on */
	uint64_t event_ms, events;           /* the last; of this session */
	uint64_t silent_at_ms;               /* replaced then; 0: not watched */
	uint64_t renewals, replacements;
};

/* Zeroes and sets the defaults; the owner's fields come after. */
void session_init(struct session *);

/* Returns how many actions were put into out. */
size_t session_step(struct session *, enum session_input,
    const struct session_data *, uint64_t now_ms,
    struct session_action out[SESSION_ACTIONS]);

/* Any frame at all counts as a sign of life. */
void session_heard(struct session *, uint64_t now_ms);

/* The owner has stopped (or resumed) reading: what it does not read cannot
 * be missed, and no failure then counts against the session. */
void session_hold(struct session *, bool held, uint64_t now_ms);

/* When IN_DUE is wanted; 0 = never. */
uint64_t session_due(const struct session *);

/* LIVE, but nothing heard for longer than a heartbeat should take, or since
 * one that has waited half an interval for its answer. */
bool session_stale(const struct session *, uint64_t now_ms);

/* LIVE, but suspected of bringing no events any more. */
bool session_silent(const struct session *, uint64_t now_ms);

const char *session_state_name(enum session_state);

/* --- what outlives a run: plain values, for whoever keeps them ---------------- */

struct session_memory {
	char     bot[SESSION_BOT_MAX];
	char     id[SESSION_ID_MAX];     /* "" = there is none to resume */
	int64_t  seq;
	char     user[SESSION_USER_MAX];
	unsigned shard, shards;
	uint32_t intents;
	int64_t  saved_wall_ms;          /* it was good then */
};

void session_remember(const struct session *, int64_t wall_ms,
    struct session_memory *out);
/* Young enough to be resumed at all. */
bool session_memory_good(const struct session_memory *, int64_t wall_ms,
    uint64_t resume_s);
/* Before IN_START.  False, and nothing has changed: it is of another bot,
 * shard, number of shards or intents, or older than resume_s (0: always).  A
 * wall clock that went backwards makes nothing old: a Resume in vain costs
 * seconds, a new session the events of the gap. */
bool session_recall(struct session *, const struct session_memory *,
    int64_t wall_ms, uint64_t resume_s);

struct budget_memory {
	uint64_t total, remaining;
	int64_t  resets_wall_ms, next_wall_ms;  /* 0 = unknown, at once */
};

/* now_ms and wall_ms: the same instant by both clocks. */
void budget_remember(const struct session_budget *, uint64_t now_ms,
    int64_t wall_ms, struct budget_memory *out);
/* Before the first IN_START.  Whatever the wall clock did in between: no wait
 * for the next Identify is longer than a window, none for new sessions longer
 * than a day and a window. */
void budget_recall(struct session_budget *, const struct budget_memory *,
    uint64_t now_ms, int64_t wall_ms);

/* The row of closes.def for a code; never NULL. */
struct session_close {
	unsigned    first, last;
	const char *action, *meaning, *remedy;
};
const struct session_close *session_close_row(unsigned code);

#endif
