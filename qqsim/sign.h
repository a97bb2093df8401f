/*
 * sign: the platform's Ed25519 key of a bot, grown from its secret.
 */
#ifndef SIGN_H
#define SIGN_H

#include "err.h"
#include "slice.h"

enum { SIGNATURE_HEX = 128 };

struct sign_key;

/* CONFIG when the secret is empty. */
enum err sign_key_new(struct sign_key **, struct slice secret);
void sign_key_free(struct sign_key **);

/* Over a, then b; lower-case hex and a NUL. */
enum err sign(const struct sign_key *, struct slice a, struct slice b,
    char hex[SIGNATURE_HEX + 1]);
bool sign_verify(const struct sign_key *, struct slice a, struct slice b,
    struct slice hex);

#endif
