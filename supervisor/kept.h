/*
 * kept: descriptors that a child has left with us, to be given to the process
 * that comes after it.  As with sd_notify(3): FDSTORE=1 with the descriptors,
 * FDNAME= their name; a name holds one, and the last one counts.
 */
#ifndef KEPT_H
#define KEPT_H

#include <stddef.h>

#include "buf.h"
#include "err.h"

enum { KEPT_MAX = 8, KEPT_NAME_MAX = 32 };

struct kept {
	struct {
		char name[KEPT_NAME_MAX];
		int  fd;
	} row[KEPT_MAX];
	size_t n;
};

/* The descriptor is ours from now on, whatever is answered.  SYNTAX: no name
 * (1 to 31 of a-z 0-9 . _ -); FULL. */
enum err kept_put(struct kept *, struct slice name, int fd);
/* An unknown name is ignored. */
void kept_remove(struct kept *, struct slice name);
void kept_clear(struct kept *);
/* "webhook=5 other=6", for where they are in the child from first on. */
void kept_print(const struct kept *, int first, struct buf *);

#endif
