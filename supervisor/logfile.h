/*
 * logfile: a file of our own instead of standard error, where that is asked
 * for: it takes the place of descriptor 2, for our words and our children's,
 * and is put aside when it is large.  Whatever is wrong with the disk costs
 * lines at most.
 */
#ifndef LOGFILE_H
#define LOGFILE_H

#include "conf.h"

struct logfile {
	char    *path;           /* NULL: standard error as it was given */
	int      given;          /* that one, while path is in its place; -1 */
	uint64_t bytes_max;      /* of one file; 0: it grows */
	unsigned kept;           /* PATH.1 to PATH.N */
	uint64_t look_at;        /* bytes; not before is it put aside again */
	uint64_t turned, failed; /* how often; and not */
};

/* As the settings say, again after a reload: a file that was moved away is
 * made anew.  CONFIG, and logged: it cannot be opened; all is as before.  Zero
 * it, but for given = -1, before the first time. */
enum err logfile_open(struct logfile *, const struct conf *);
/* Standard error is again what it was. */
void logfile_close(struct logfile *);
/* Puts the file aside if `more` bytes are too many for it; true: descriptor 2
 * is another file now. */
bool logfile_turn(struct logfile *, size_t more);

#endif
