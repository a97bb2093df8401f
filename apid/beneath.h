/*
 * beneath: files below a folder, and nowhere else, whatever their names or
 * links say.
 */
#ifndef BENEATH_H
#define BENEATH_H

#include "err.h"
#include "slice.h"

/* Opens a regular file for reading: relative to dir, or absolute with dir as
 * its beginning.  FORBIDDEN: it leads out of dir, or is no regular file;
 * NOT_FOUND; SYSTEM; NOMEM. */
enum err beneath_open(const char *dir, struct slice path, int *fd);

#endif
