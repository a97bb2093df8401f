/*
 * shelf: what is kept of media over a restart, in media.db: what the platform
 * calls the files it holds, and uploads that are not finished.  A value lies
 * under its key until its time is over, or until there are too many: the
 * oldest goes.  Memory is the truth; a file that cannot be written costs the
 * values of the next run, and is tried again later.
 */
#ifndef SHELF_H
#define SHELF_H

#include <sys/queue.h>

#include "buf.h"
#include "store.h"
#include "table.h"

enum {
	SHELF_MAX = 4096, SHELF_BYTES_MAX = 4 << 20,
	SHELF_AGAIN_MS = 30000      /* between tries of a file that failed */
};

TAILQ_HEAD(shelf_list, shelf_entry);

struct shelf {
	struct store_options options;
	char                *path;
	struct store        *store;      /* NULL: it failed */
	struct store_stmt   *save, *drop;
	int64_t              failed_ms;  /* wall clock, of the last try */
	struct table         table;
	struct shelf_list    all;        /* oldest first */
	size_t               n, bytes;
};

/* NOMEM alone; what else goes wrong is logged.  now: the wall clock, here and
 * below. */
enum err shelf_open(struct shelf *, const char *dir, enum store_durability,
    int64_t now_ms);
void shelf_close(struct shelf *);

/* False: there is none, or its time is over.  The value is on loan until the
 * next call of any of these. */
bool shelf_find(struct shelf *, struct slice key, int64_t now_ms,
    struct slice *value);
/* Copies, in place of what was there.  until_ms 0: for long.  NOMEM. */
enum err shelf_put(struct shelf *, struct slice key, struct slice value,
    int64_t until_ms, int64_t now_ms);
void shelf_drop(struct shelf *, struct slice key, int64_t now_ms);
/* All whose key begins with this letter and whose value is this; how many. */
size_t shelf_drop_value(struct shelf *, char kind, struct slice value,
    int64_t now_ms);

#endif
