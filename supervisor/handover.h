/*
 * handover: what one program of ours leaves to the next that takes its place
 * in the same process (rookery upgrade): the children with their descriptors,
 * the lock, the status socket, and every counter, as JSON in a memory file.
 * The children notice nothing.
 */
#ifndef HANDOVER_H
#define HANDOVER_H

#include "control.h"

/* Another number: the programs do not understand each other. */
enum { HANDOVER_FORMAT = 1 };

/* A memory file with the whole state (close-on-exec, at its beginning). */
enum err handover_write(const struct family *, const struct control *,
    int lock, int *fd);
/* Reads it from a descriptor that was inherited, and closes that.  SYNTAX: it
 * is none, or of another format. */
enum err handover_read(int fd, struct json **state);

/* Descriptors of the state are close-on-exec, or not. */
void handover_keep(const struct json *state, bool keep);

/* The children and numbers of a state that was read. */
enum err handover_family(struct family *, const struct json *state);

#endif
