/*
 * sent: the record of what was sent, so that a call that comes again gets the
 * first outcome and no second message, also from a later run of this program.
 *
 * Whoever sends says so first (sent_begin), lets the request leave only when
 * sent_commit() has returned OK, and then says what became of it.  The index
 * is in memory and decides; apid.db is its image, for the next run.  What is
 * not on disk yet is kept here until it is, also over a full disk.
 *
 * Bounded by count and bytes: the oldest go first, and what is over
 * SENT_KEEP_MS or the window of its reply, whichever is longer.  "Now" is
 * milliseconds since 1970 by a clock that nobody sets while a run lasts: what
 * was sent a minute ago is not forgotten because the time of day was mended.
 * For the same reason a row of an earlier run is believed for another day.
 *
 * What else must be in the same commits is a guest of the file.
 */
#ifndef SENT_H
#define SENT_H

#include <stdint.h>
#include <sys/queue.h>

#include "left.h"
#include "reply.h"
#include "store.h"
#include "table.h"

enum {
	SENT_MAX = 32768,
	SENT_BYTES_MAX = 32 << 20,
	SENT_KEEP_MS = 3600000,
	SENT_BELIEVE_MS = 86400000,
	SENT_PRUNE = 256         /* rows that are deleted at once */
};

struct sent_outcome {
	enum result  result;     /* OK, or TIMEOUT: nobody knows */
	unsigned     status;
	struct slice data, trace;
};

enum sent_state {
	SENT_NOT,        /* no such thing was sent, as far as is known */
	SENT_UNDER_WAY,  /* begun, no outcome yet; by an earlier run: unknown */
	SENT_ENDED
};

/* Who keeps tables of its own in the file (the schema is sent.c's). */
struct sent_guest {
	enum err (*open)(void *self, struct store *);  /* also again */
	void     (*close)(void *self);                 /* statements freed */
	bool     (*is_unsaved)(void *self);
	enum err (*save)(void *self);
	void     (*saved)(void *self);                 /* and committed */
	void      *self;
};

struct sent_entry;
TAILQ_HEAD(sent_list, sent_entry);

struct sent {
	struct store_options options;
	char                *path;      /* of the file */
	struct store        *store;     /* NULL: it failed, see trouble */
	struct store_stmt   *save, *erase, *prune, *fetch;
	enum err             trouble;   /* OK while the store serves */
	bool                 loaded;    /* what earlier runs left is known */
	bool                 watched;   /* sent_watch() */
	struct left          left;
	struct sent_guest    guest;
	/* What a key has in common with others of its family, for
	 * sent_family(); nothing: it has none. */
	struct slice       (*family_of)(struct slice key);
	struct table         families;
	char                *moved;     /* a damaged file, kept under this name */
	struct table         table;
	struct sent_list     all;       /* by id, oldest first */
	struct sent_list     unsaved;
	int64_t              next_id, pruned;
	size_t               n, bytes;
	uint64_t             commits;
	struct buf           found;
};

/* Opens apid.db in this folder and reads what an earlier run has left.  Errors
 * as store_open(); after FULL and SYSTEM it can be used, and sent_reopen() is
 * to be called in a moment. */
enum err sent_open(struct sent *, const char *dir, enum store_durability,
    int64_t now_ms);
/* After sent_open(), once. */
enum err sent_join(struct sent *, const struct sent_guest *);
/* After sent_open(), once: from now on it is noted which calls have begun to
 * leave, and which were done; what an earlier run has begun and surely not sent
 * is forgotten, and what was done has ended with OK, now or as soon as the file
 * can be read.  A folder where nothing can be noted
 * is logged, and served without. */
void sent_watch(struct sent *);
/* Before anything is begun. */
void sent_count_families(struct sent *, struct slice (*)(struct slice key));
/* Commits first. */
void sent_close(struct sent *);

/* The outcome (ENDED) is on loan until the next call of any of these. */
enum sent_state sent_find(struct sent *, struct slice key,
    struct sent_outcome *);
/* How many of this family are known, under way or ended. */
size_t sent_family(const struct sent *, struct slice family);
/* Copies the key.  until: when the window of the reply ends, 0 without one.
 * NOMEM; DUPLICATE: it is there. */
enum err sent_begin(struct sent *, struct slice key, int64_t until_ms,
    int64_t now_ms);
/* Its first byte is about to leave, committed or not.  May come again. */
void sent_leaves(struct sent *, struct slice key);
/* It has come to this.  Copies; a key that is not there is begun first. */
enum err sent_end(struct sent *, struct slice key,
    const struct sent_outcome *, int64_t now_ms);
/* What it has come to is known better: told from now on.  Copies. */
void sent_amend(struct sent *, struct slice key, const struct sent_outcome *);
/* It surely was not sent: as if it had never been begun. */
void sent_undo(struct sent *, struct slice key);

/* Something is not on disk yet. */
bool sent_is_unsaved(const struct sent *);
/* OK: all that was said so far is on disk.  Else it is not, the store is
 * closed, and sent_reopen() is to be called in a moment. */
enum err sent_commit(struct sent *, int64_t now_ms);
/* Opens a store that failed anew and saves what it lacks. */
enum err sent_reopen(struct sent *, int64_t now_ms);

/* Bytes of the file; 0 while it is closed. */
uint64_t sent_file_bytes(struct sent *);

#endif
