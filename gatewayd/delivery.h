/*
 * delivery: which event goes to which worker, and when it is done.  No I/O
 * and no clock.  One queue per conversation: its events leave in order, one at
 * a time; different conversations take turns.  What is handed out stays ours
 * until it is acknowledged, and goes out again, attempt + 1, when its worker
 * is gone, too slow, or says no.
 *
 * append, offer, ack, nack and dead are all a store behind it ever needs.
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
	uint64_t events, bytes;     /* held at most */
	uint64_t remembered;        /* finished ids kept for deduplication */
	uint64_t attempts;          /* then dead */
	uint64_t timeout_ms;        /* for one delivery */
};

struct delivery_counts {
	uint64_t appended, duplicates, refused, offered, redelivered, done,
	    dead, stale, timeouts, unwanted;
	uint64_t events, bytes, in_flight;      /* now */
};

/* Handed out by delivery_offer(); loans until the next call. */
struct delivery_item {
	struct slice            id, body;
	unsigned                attempt;        /* from 1 */
	struct delivery_worker *worker;
};

/* Why an event died; loans. */
struct delivery_dead {
	struct slice id, conv, type, why;
	unsigned     attempts;
};

/* NULL when out of memory. */
struct delivery *delivery_new(const struct delivery_limits *);
void delivery_free(struct delivery **);

/* Takes a copy.  DUPLICATE: known already (that is success for whoever
 * delivered it); FULL: read no further until there is room; NOMEM. */
enum err delivery_append(struct delivery *, struct slice id, struct slice conv,
    struct slice type, struct slice body, uint64_t now_ms);

/* Room for more: a quarter below the bounds, so that what a connection has
 * already read still finds place. */
bool delivery_has_room(const struct delivery *);

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

/* Called for each event that dies. */
void delivery_on_dead(struct delivery *,
    void (*fn)(void *self, const struct delivery_dead *), void *self);

const struct delivery_counts *delivery_counts(const struct delivery *);
/* ms the oldest event not yet done has been here, about; 0 = none. */
uint64_t delivery_oldest_ms(const struct delivery *, uint64_t now_ms);

#endif
