/*
 * snapshot: the system and its children as JSON, for the status socket.
 */
#ifndef SNAPSHOT_H
#define SNAPSHOT_H

#include "family.h"

struct json *snapshot_child(const struct child *, uint64_t now_ms);
/* Puts state, supervisor, chat and children. */
void snapshot_put(struct json *answer, struct family *);

#endif
