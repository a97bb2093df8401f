/*
 * journal: what gatewayd must know after its own death: events not yet done,
 * ids of those that are, dead letters, sessions and the budget of Identifies.
 * One store (store.h), gateway.db in the state folder.
 *
 * All writes of a turn of the loop, or of some that followed each other at
 * once, are one transaction: an event and the seq it came with are there
 * together or not at all.  Writers return the errors
 * of store_run(); after one the journal can no longer be trusted to hold what
 * memory holds, so that all further ones return it too and write nothing, and
 * its owner must begin anew from the file.
 */
#ifndef JOURNAL_H
#define JOURNAL_H

#include "buf.h"
#include "delivery.h"
#include "session.h"
#include "store.h"

struct journal;

struct journal_options {
	const char           *dir;          /* made by the caller */
	enum store_durability durability;
	uint64_t              dead_max;     /* the oldest goes beyond it */
	int64_t               wall_ms;      /* now */
};

/* Errors of store_open(); SYSTEM or FULL too when it cannot be written. */
enum err journal_open(struct journal **, const struct journal_options *);
/* Commits, unless a write has failed. */
void journal_close(struct journal **);
/* Closes it and moves the file aside: it turned out to be damaged.  *moved:
 * where it is, the caller's; or NULL. */
enum err journal_abandon(struct journal **, const char *why, char **moved);

/* --- what was there; once, before anything is written --- */

struct journal_event {
	uint64_t     no;
	struct slice id, conv, type;    /* loans */
	size_t       body_n;
	unsigned     attempt;
	int64_t      came_wall_ms;
};
/* Ids that are done, then unfinished events, both in order.  Ends early with
 * the first error of a callback, or of the store. */
enum err journal_recall(struct journal *,
    enum err (*on_done)(void *self, uint64_t no, struct slice id),
    enum err (*on_event)(void *self, const struct journal_event *),
    void *self);
/* Of all bots there ever were. */
enum err journal_recall_sessions(struct journal *,
    void (*fn)(void *self, const struct session_memory *), void *self);
/* NOT_FOUND: nothing is known of it. */
enum err journal_recall_budget(struct journal *, const char *bot,
    struct budget_memory *);

/* Intents that the platform refuses to the bot, and when that was found out.
 * NOT_FOUND: nothing is known. */
enum err journal_recall_rights(struct journal *, const char *bot,
    uint32_t *dropped, int64_t *wall_ms);

/* --- events --- */

enum err journal_append(struct journal *, uint64_t no, struct slice id,
    struct slice conv, struct slice type, struct slice body,
    int64_t came_wall_ms);
enum err journal_attempt(struct journal *, uint64_t no, unsigned attempt);
/* Kept with an unfinished event, in place of an earlier one; copied to its dead
 * letter. */
enum { JOURNAL_CAPSULE_MAX = 32768 };
enum err journal_capsule(struct journal *, uint64_t no, struct slice text);
/* Done, or dead: then it goes to the dead letters as well. */
enum err journal_end(struct journal *, const struct delivery_end *,
    int64_t wall_ms);
/* Appends the body of an unfinished event; and by how much the wall clock was
 * set since it came, over all runs.  NOT_FOUND. */
enum err journal_body(struct journal *, uint64_t no, struct buf *,
    int64_t *set_by_ms);
/* Ids of ended events below no need not be remembered any longer; removes a
 * bounded number. */
enum err journal_prune(struct journal *, uint64_t no);

/* --- sessions --- */

enum err journal_keep_session(struct journal *,
    const struct session_memory *);
/* All of a bot. */
enum err journal_forget_sessions(struct journal *, const char *bot);
/* The wall clock was set by so much: the sessions are no older for it, and
 * the events that wait remember it. */
enum err journal_set_clock(struct journal *, int64_t by_ms);
enum err journal_keep_budget(struct journal *, const char *bot,
    const struct budget_memory *);

enum err journal_keep_rights(struct journal *, const char *bot,
    uint32_t dropped, int64_t wall_ms);

/* --- dead letters --- */

struct journal_dead {
	uint64_t     no;                /* its own number, not the event's */
	struct slice id, conv, type, why, worker, body;     /* loans */
	struct slice capsule;           /* JSON, or empty; a loan */
	unsigned     attempts;
	int64_t      at_wall_ms;
};
/* Up to max of those after this number, oldest first. */
enum err journal_dead_list(struct journal *, uint64_t after, unsigned max,
    void (*fn)(void *self, const struct journal_dead *), void *self);
/* By number, or by id where no is 0; the latest of an id.  NOT_FOUND. */
enum err journal_dead_show(struct journal *, uint64_t no, struct slice id,
    void (*fn)(void *self, const struct journal_dead *), void *self);
enum err journal_dead_drop(struct journal *, uint64_t no);
uint64_t journal_dead_count(const struct journal *);
/* Dead letters that went because there were too many. */
uint64_t journal_dead_lost(const struct journal *);

/* --- the transaction --- */

/* Something was written that must not wait: see journal_commit(). */
bool journal_is_urgent(const struct journal *);
/* Ends of events may wait for a later turn (what is lost with them is only
 * that they go out again, and their replies are known); all else may not. */
enum err journal_commit(struct journal *);

struct journal_info {
	const char *file, *moved;      /* moved: where a damaged one is, or NULL */
	uint64_t    bytes, disk_free, commits;
};
struct journal_info journal_info(struct journal *);

#endif
