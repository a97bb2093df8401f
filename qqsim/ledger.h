/*
 * ledger: what was told to bots and what they said.  Events, conversations,
 * messages, and every count that a verdict rests on.  No I/O; time is handed
 * in, in microseconds of a monotonic clock.
 *
 * The latest events and messages are remembered, older ones go when there is
 * no room; whoever holds a serial asks again and may be told that it is gone.
 */
#ifndef LEDGER_H
#define LEDGER_H

#include "kind.h"
#include "map.h"

enum { LEDGER_EVENTS = 200000, LEDGER_MESSAGES = 100000,
	LEDGER_CONVERSATIONS = 100000, LEDGER_ID_MAX = 512,
	LEDGER_BODY_MAX = 65536 };

enum tally {
#define SCOPED(name, meaning) TALLY_##name,
#define COUNTER(name, meaning)
#define VIOLATION(name, meaning)
#include "counters.def"
#undef SCOPED
#undef COUNTER
#undef VIOLATION
	TALLIES
};

enum count {
#define SCOPED(name, meaning)
#define COUNTER(name, meaning) COUNT_##name,
#define VIOLATION(name, meaning)
#include "counters.def"
#undef SCOPED
#undef COUNTER
#undef VIOLATION
	COUNTS
};

enum violation {
#define SCOPED(name, meaning)
#define COUNTER(name, meaning)
#define VIOLATION(name, meaning) VIOLATION_##name,
#include "counters.def"
#undef SCOPED
#undef COUNTER
#undef VIOLATION
	VIOLATIONS
};

struct window;

struct conversation {
	char       *key;            /* "APPID/u:ID" */
	const char *id;             /* in the key */
	char        bot[33];
	enum scope  scope;
	uint64_t    events;         /* made in it so far */
	uint64_t    answered;       /* place of the newest one replied to */
	int64_t     answered_seq;   /* msg_seq of that reply */
	int64_t     heard_us;       /* its latest event, if any */
	unsigned    woken;          /* periods since then with a wakeup, bits */
	bool        gone;           /* its channel was deleted */
	struct window *windows;     /* of quotas; NULL until they are counted */
	char        name[64];       /* for people */
};

enum event_state { EVENT_NEW, EVENT_KEPT, EVENT_GIVEN, EVENT_LOST };

struct event_reply {
	int64_t  seq;
	unsigned body_hash;
};

struct event {
	uint64_t             serial;      /* 0: a free row */
	char                *ids;         /* the block that holds: */
	const char          *event, *msg, *interaction;   /* ids; or "" */
	const struct kind   *kind;
	struct conversation *conversation;
	uint64_t             place;       /* in its conversation, from 1 */
	int64_t              made_us, replied_us;
	enum event_state     state;
	int                  expect;      /* visible replies; -1: any number */
	unsigned             dispatched, accepted, doubled;
	bool                 acknowledged;   /* an interaction's PUT */
	unsigned             load;        /* the load it is of; 0: none */
	struct event_reply  *replies;     /* accepted or held, visible or not */
	unsigned             nreplies;
};

struct message {                          /* accepted from a bot */
	uint64_t             serial;      /* 0: a free row */
	char                *key;         /* "APPID:ID" */
	const char          *id;
	struct conversation *conversation;
	uint64_t             event;       /* serial; 0: active */
	int64_t              seq, at_us, at_wall_ms;
	char                *body;        /* as sent; NULL when too large */
	bool                 recalled;
};

/* Durations: counts in buckets 1/64 wide, relative. */
enum { HISTOGRAM_BUCKETS = 64 * 40 };
struct histogram {
	uint64_t count, max_us;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

enum { LEDGER_NO_ORDER = -1 };

struct ledger {
	struct event   *events;           /* LEDGER_EVENTS rows, by serial */
	struct message *messages;         /* LEDGER_MESSAGES rows */
	uint64_t        next_event, next_message;
	struct map      by_msg, by_event, by_interaction;
	struct map      message_ids, conversations;
	uint64_t        tallies[SCOPES][TALLIES];
	uint64_t        counts[COUNTS];
	uint64_t        violations[VIOLATIONS];
	struct histogram latency;
	uint64_t        changes;          /* grows with every change */
};

enum err ledger_open(struct ledger *);
void ledger_close(struct ledger *);
/* Forgets everything but conversations; serials go on. */
void ledger_reset(struct ledger *);

void ledger_count(struct ledger *, enum count);
void ledger_drop(struct ledger *, enum count);
void ledger_tally(struct ledger *, enum scope, enum tally, int by);
void ledger_violation(struct ledger *, enum violation);
uint64_t ledger_total(const struct ledger *, enum tally);
/* A counter or the total of a tally by name; false when there is none. */
bool ledger_value(const struct ledger *, struct slice name, uint64_t *);

/* The conversation, made when it is new; NULL: none, or no room. */
struct conversation *ledger_conversation(struct ledger *, const char *bot,
    enum scope, struct slice id, bool make);

struct event_new {
	struct conversation *conversation;
	const struct kind   *kind;
	struct slice         event, msg, interaction;
	int                  expect;
	int64_t              now_us;
};
/* A new event, or the one that has this msg id (or this event id, where
 * there is no msg id) already: *known.  NOMEM, TOO_LARGE. */
enum err ledger_event(struct ledger *, const struct event_new *,
    struct event **, bool *known);
/* NULL when it was forgotten. */
struct event *ledger_event_at(const struct ledger *, uint64_t serial);
struct event *ledger_by_msg(const struct ledger *, const char *bot,
    struct slice id);
struct event *ledger_by_event(const struct ledger *, const char *bot,
    struct slice id);
struct event *ledger_by_interaction(const struct ledger *, const char *bot,
    struct slice id);

/* What became of it on its way to the bot. */
void ledger_state(struct ledger *, struct event *, enum event_state);
/* A visible message in answer to it was accepted; seq LEDGER_NO_ORDER: one
 * that may come before or after others to the same event. */
void ledger_replied(struct ledger *, struct event *, int64_t seq,
    int64_t now_us);
/* Has this msg_seq been used?  NULL: not yet. */
const struct event_reply *ledger_seq_used(const struct event *, int64_t seq);
enum err ledger_seq_use(struct event *, int64_t seq, unsigned body_hash);

struct message_new {
	struct conversation *conversation;
	struct slice         id, body;
	uint64_t             event;
	int64_t              seq, now_us, wall_ms;
};
enum err ledger_message(struct ledger *, const struct message_new *,
    struct message **);
/* Another body, of an edit or of a stream that goes on. */
enum err ledger_message_edit(struct message *, struct slice body);
struct message *ledger_message_by_id(const struct ledger *, const char *bot,
    struct slice id);

/* The smallest duration that this share (of 10000) does not exceed. */
uint64_t histogram_quantile(const struct histogram *, unsigned of_10000);
void histogram_add(struct histogram *, uint64_t us);

struct json *ledger_json(const struct ledger *);
enum ledger_rows { ROWS_ALL, ROWS_MISSING, ROWS_DOUBLED, ROWS_KEPT };
struct json *ledger_rows_json(const struct ledger *, enum ledger_rows,
    size_t limit);

#endif
