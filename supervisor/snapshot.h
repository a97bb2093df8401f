/*
 * snapshot: the system and its children as JSON, for the status socket.
 */
#ifndef SNAPSHOT_H
#define SNAPSHOT_H

#include "family.h"

/* Looks at the process again if that was long ago. */
struct json *snapshot_child(struct child *, uint64_t now_ms);
/* Puts supervisor. */
void snapshot_put_supervisor(struct json *answer, struct family *);
/* Puts state, supervisor, chat and children. */
void snapshot_put(struct json *answer, struct family *);
/* For whoever looks for a fault in the supervisor: what it goes by. */
void snapshot_put_dump(struct json *answer, struct family *);

#endif
