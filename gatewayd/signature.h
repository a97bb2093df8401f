/*
 * signature: Ed25519 over timestamp and body, as the platform signs its
 * callbacks.  Verifying only: the private half stays in apid.
 */
#ifndef SIGNATURE_H
#define SIGNATURE_H

#include "err.h"
#include "slice.h"

struct signature_key;

enum { SIGNATURE_KEY = 32, SIGNATURE_HEX = 128 };

/* public_key: SIGNATURE_KEY bytes, else SYNTAX. */
enum err signature_key_new(struct signature_key **, struct slice public_key);
void signature_key_free(struct signature_key **);

/* Could it be one at all?  Costs nothing. */
bool signature_form(struct slice hex);
/* hex: exactly SIGNATURE_HEX digits of either case. */
bool signature_verify(const struct signature_key *, struct slice timestamp,
    struct slice body, struct slice hex);

#endif
