/*
 * delivery: which event goes to which worker, and when it is done.  No I/O
 * and no clock.  One queue per conversation: its events leave in order, one at
 * a time; different conversations take turns.  What is handed out stays ours
 * until it is acknowledged, and goes out again, attempt + 1, when its worker
 * is gone, too slow, or says no.
 *
 * The name of a conversation begins with its owner and a slash; several owners
 * share room and credit so that none can take all.
 *
 * append, offer, ack, nack and dead are all a store behind it ever needs.  A
 * store knows an event by its number, which grows by one with each append; it
 * is told how each one ended, and tells a later run what had not.
 */
#ifndef DELIVERY_H
#define DELIVERY_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "slice.h"

struct delivery;
struct delivery_worker;

struct delivery_limits {
	uint64_t events, bytes;     /* not yet done, at most */
	uint64_t body_bytes;        /* of these bytes, kept in memory */
	uint64_t remembered;        /* finished ids kept for deduplication */
	uint64_t attempts;          /* then dead */
	uint64_t timeout_ms;        /* for one delivery */
};

struct delivery_counts {
	uint64_t appended, duplicates, refused, offered, redelivered, done,
	    dead, stale, timeouts, unwanted;
	uint64_t events, bytes, body_bytes, in_flight, conversations; /* now */
};

/* Handed out by delivery_offer(); loans until the next call. */
struct delivery_item {
	uint64_t                no;
	struct slice            id, body;
	bool                    body_away;      /* the store has it, by no */
	unsigned                attempt;        /* from 1 */
	bool                    over;           /* given up: only to be told */
	uint64_t                came_ms;
	struct delivery_worker *worker;
};

/* How an event ended; loans.  Neither dead nor of any worker: unwanted. */
struct delivery_end {
	uint64_t     no;
	struct slice id, conv, type;
	struct slice body;          /* empty when the store has it */
	struct slice why;           /* empty: acknowledged */
	struct slice worker;        /* name of the last one; may be empty */
	unsigned     attempts;
	bool         dead;
};

/* NULL when out of memory. */
struct delivery *delivery_new(const struct delivery_limits *);
void delivery_free(struct delivery **);

/* Takes a copy; without the body when limits.body_bytes is reached.  no: the
 * event's number, set when OK.  DUPLICATE: known already (that is success for
 * whoever delivered it); FULL: read no further until there is room; NOMEM. */
enum err delivery_append(struct delivery *, struct slice id, struct slice conv,
    struct slice type, struct slice body, uint64_t now_ms, uint64_t *no);

/* What an earlier run had, in the order of no, before anything is appended;
 * numbers go on after the largest.  Of two with the same id the later counts.
 * DUPLICATE (not done, and there is one already), NOMEM; never FULL.
 * restore: not done; its body of body_n bytes is in the store.  attempt: how
 * often it was handed out; the last of its attempts is always to be had again,
 * since it was our own end that cut it off.  Its type counts as wanted until
 * a minute after the first worker came: the others have yet to come back.
 * remember: done, only its id. */
enum err delivery_restore(struct delivery *, uint64_t no, struct slice id,
    struct slice conv, struct slice type, size_t body_n, unsigned attempt,
    uint64_t came_ms);
enum err delivery_remember(struct delivery *, struct slice id, uint64_t no);
/* There was an earlier run: its workers are about to come back, and what they
 * want is not known yet.  Until ten seconds after the first of them came,
 * everything counts as wanted. */
void delivery_expect_workers(struct delivery *);
/* Finished or not. */
bool delivery_knows(const struct delivery *, struct slice id);
/* A finished event is no longer known: its id may come again as a new one. */
void delivery_forget(struct delivery *, struct slice id);
/* The smallest number whose finished event is remembered, or when there is
 * none, of the next event.  Walks through all of them. */
uint64_t delivery_oldest_remembered(const struct delivery *);

/* Room for more of this owner (empty: of anybody): a quarter below the bounds,
 * so that what a connection has already read still finds place. */
bool delivery_has_room(const struct delivery *, struct slice owner);
/* One more of so many bytes would not be FULL. */
bool delivery_takes(const struct delivery *, size_t bytes);

/* One owner more, or one less: what waits of it goes to the dead letters, and
 * what is handed out comes to its end.  Once any is named this counts for all
 * others that are not; but not for what names no owner. */
void delivery_owner(struct delivery *, struct slice name, bool here);
struct delivery_owner_info {
	uint64_t events, bytes, in_flight;
};
struct delivery_owner_info delivery_owner_info(const struct delivery *,
    struct slice name);

/* More than half of either bound is used. */
bool delivery_is_filling(const struct delivery *);

/* The next event and the worker it is to be sent to, which counts as handed
 * out from now on; false when nothing can go.  When the send fails, call
 * delivery_unsend() with the item. */
bool delivery_offer(struct delivery *, uint64_t now_ms, struct delivery_item *);
void delivery_unsend(struct delivery *, const struct delivery_item *);

/* STALE: not, or no longer, with this worker; NOT_FOUND. */
enum err delivery_ack(struct delivery *, struct delivery_worker *,
    struct slice id, uint64_t now_ms);
enum err delivery_nack(struct delivery *, struct delivery_worker *,
    struct slice id, uint64_t after_ms, bool drop, struct slice why,
    uint64_t now_ms);
/* It is at work on it, and what it waits for is not its own: the time it has
 * begins anew.  STALE, NOT_FOUND. */
enum err delivery_waits(struct delivery *, struct delivery_worker *,
    struct slice id, uint64_t now_ms);
/* Its number, while it is with this worker: STALE, NOT_FOUND as above. */
enum err delivery_number(struct delivery *, const struct delivery_worker *,
    struct slice id, uint64_t *no);
/* As nack, for an event that no handler has had: the attempt does not count. */
enum err delivery_return(struct delivery *, struct delivery_worker *,
    struct slice id, uint64_t after_ms, uint64_t now_ms);

/* Registers a peer, or changes its window, patterns and limit.  patterns:
 * words with blanks: exact type, prefix.* or *.  NULL when out of memory. */
struct delivery_worker *delivery_worker_set(struct delivery *, struct slice peer,
    struct slice name, uint64_t pid, struct slice handler,
    struct slice patterns, uint64_t window, uint64_t timeout_ms,
    bool want_raw, bool late, uint64_t now_ms);
/* NULL: not known. */
struct delivery_worker *delivery_worker_find(struct delivery *,
    struct slice peer);
/* By name and pid (0: any); NULL: not known. */
struct delivery_worker *delivery_worker_named(struct delivery *,
    struct slice name, uint64_t pid);
/* Its events go to others.  Frees it. */
void delivery_worker_gone(struct delivery *, struct delivery_worker *,
    const char *why, uint64_t now_ms);
/* It keeps what has failed apart from the rest by itself: nothing need go to
 * it alone. */
void delivery_worker_apart(struct delivery_worker *, bool apart);
/* It takes events that are given up (item.over), and ends what they have begun.
 * While there is such a worker no event goes to the dead letters that has not
 * been with one; its ack or nack is the end then. */
void delivery_worker_ends(struct delivery_worker *, bool ends);
void delivery_worker_heard(struct delivery_worker *, uint64_t now_ms);

struct delivery_worker_info {
	struct slice peer, name, handler;
	uint64_t     pid, window, in_flight, done, since_ms, heard_ms;
	bool         want_raw, late;
};
struct delivery_worker_info delivery_worker_info(
    const struct delivery_worker *);
/* The first, and the one after; NULL ends. */
struct delivery_worker *delivery_worker_next(struct delivery *,
    struct delivery_worker *);

/* Time-outs and delays; to be called a few times a second while there are
 * events. */
void delivery_tick(struct delivery *, uint64_t now_ms);

/* Nothing is waiting or handed out. */
bool delivery_idle(const struct delivery *);

/* Called for each event that ends, before it is forgotten: acknowledged, dead,
 * or unwanted: no worker of now or of the last minute has asked for its type,
 * nor may one that is expected.
 * Nothing of delivery may be called from it. */
void delivery_on_end(struct delivery *,
    void (*fn)(void *self, const struct delivery_end *), void *self);

const struct delivery_counts *delivery_counts(const struct delivery *);
/* ms the oldest event not yet done has been here; 0 = none. */
uint64_t delivery_oldest_ms(const struct delivery *, uint64_t now_ms);

/* A conversation with events not yet done; loans until the next call. */
struct delivery_conv_info {
	struct slice conv, head_id;
	struct slice worker;            /* its head is, or was last, with */
	uint64_t     queued, oldest_ms_ago;
	unsigned     attempt;           /* of the head; 0: none yet */
	bool         in_flight;
};
/* Up to max of them, those with the oldest heads first; only_conv, unless
 * empty: that one.  How many. */
size_t delivery_convs(const struct delivery *, struct slice only_conv,
    struct delivery_conv_info *, size_t max, uint64_t now_ms);

#endif
