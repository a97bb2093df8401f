/*
 * store: one embedded database (SQLite, WAL) with one writer.  What a program
 * writes goes into one transaction, opened by the first write and ended by
 * store_commit(), once per turn of the loop.
 *
 * A file that is damaged, of another program, or of a later version is moved
 * aside (its name gets ".moved-" and the time) and a new one begun; neither it
 * nor one that was moved before is ever written to.  While a store is open,
 * others may read it with sqlite3(1).
 */
#ifndef STORE_H
#define STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "slice.h"

struct store;
struct store_stmt;

/* What a commit survives. */
enum store_durability {
	STORE_NONE,       /* nothing: in memory only, no file */
	STORE_PROCESS,    /* the death of any process; after a power cut the
	                     file is whole, but the last commits may lack */
	STORE_POWER,      /* a power cut: synced before store_commit() returns */
};

struct store_options {
	const char           *path;      /* of the file; its folder is there */
	uint32_t              owner;     /* application_id: whose file it is */
	int                   version;   /* user_version, from 1 */
	/* upgrades[i]: SQL from version i to i + 1. */
	const char *const    *upgrades;
	enum store_durability durability;
	uint64_t              bytes_max; /* 0: none; FULL beyond it */
};

/* "none", "process", "power"; the default is process. */
enum store_durability store_durability_of(struct slice);

/* BUSY: another process has it open for writing; SYSTEM, FULL (the disk),
 * NOMEM.  The reason is logged. */
enum err store_open(struct store **, const struct store_options *);
/* Commits first.  Statements must have been freed. */
void store_close(struct store **);

/* Closes it and moves the file aside: it turned out to be damaged.  SYSTEM
 * when it cannot be moved.  Statements must have been freed.  *moved, unless
 * NULL: where it is, the caller's; or NULL. */
enum err store_abandon(struct store **, const char *why, char **moved);

/* The file was moved aside when it was opened: where to, else NULL. */
const char *store_moved(const struct store *);

/* sql: one statement, static.  NOMEM; a mistake in it is ours: asserted. */
enum err store_prepare(struct store *, struct store_stmt **, const char *sql);
void store_stmt_free(struct store_stmt **);

/* Parameters from 1.  Bytes are on loan until the next step has returned. */
void store_bind_int(struct store_stmt *, int at, int64_t);
void store_bind_bytes(struct store_stmt *, int at, struct slice);
void store_bind_null(struct store_stmt *, int at);

/* Runs a writing statement, in the open transaction or a new one.  FULL: the
 * disk or bytes_max; DAMAGED; SYSTEM; NOMEM.  After any of these the
 * transaction is lost: what it held is as if it had never been written. */
enum err store_run(struct store_stmt *);
/* The next row of a reading statement: OK, or NOT_FOUND after the last, which
 * also makes it ready for another run; DAMAGED, SYSTEM, NOMEM. */
enum err store_row(struct store_stmt *);
/* Ends a reading early. */
void store_reset(struct store_stmt *);
/* Columns from 0; bytes are a loan until the next step. */
int64_t store_int(struct store_stmt *, int at);
struct slice store_bytes(struct store_stmt *, int at);

/* Several statements without parameters or rows. */
enum err store_exec(struct store *, const char *sql);

/* An error of these in words for a person; FULL is the disk here. */
const char *store_why(enum err);
/* Ends the open transaction, if there is one.  Errors as store_run(). */
enum err store_commit(struct store *);
bool store_is_dirty(const struct store *);

/* Bytes in use, and bytes free on the disk it lies on (0: unknown). */
uint64_t store_bytes_used(struct store *);
uint64_t store_disk_free(const struct store *);

#endif
