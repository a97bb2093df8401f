/*
 * signature: the Ed25519 key that belongs to an app secret, and the one thing
 * it may sign for: the answer to a callback validation.
 */
#ifndef SIGNATURE_H
#define SIGNATURE_H

#include "err.h"
#include "slice.h"

struct signature;

enum { SIGNATURE_KEY = 32, SIGNATURE_HEX = 128 };

/* CONFIG when the secret is empty; SYSTEM. */
enum err signature_new(struct signature **, struct slice secret);
void signature_free(struct signature **);

enum err signature_public_key(const struct signature *,
    unsigned char key[SIGNATURE_KEY]);

/* event_ts and plain_token, one after the other, as lower-case hex digits.
 * FORBIDDEN unless event_ts is 1 to 20 digits and plain_token 1 to 128
 * letters, digits, - and _: nothing that passes can be the beginning of an
 * event, so nobody gets the signature of a forged one from us. */
enum err signature_sign(const struct signature *, struct slice event_ts,
    struct slice plain_token, char hex[SIGNATURE_HEX + 1]);

#endif
