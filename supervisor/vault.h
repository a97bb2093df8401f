/*
 * vault: a secret as a sealed file in memory, to be handed to a child as a
 * descriptor.  It has no path, is never in an argv or an environment, and
 * nobody can change it.
 */
#ifndef VAULT_H
#define VAULT_H

#include "secret.h"

/* The lowest descriptor number of ours that a child may be given: those below
 * are where the child finds them. */
enum { FD_OURS = 10 };

/* Moves the secret into a new vault (close-on-exec) and wipes it. */
enum err vault_seal(int *fd, struct secret *);
/* Both empty (-1), or the same bytes. */
bool vault_same(int a, int b);
/* Overwrites the value of NAME in this process's environment and drops it. */
void vault_scrub(const char *name);

#endif
