/*
 * Ed25519 over OpenSSL.  The key is made once and kept: making it costs as
 * much as a signature.  Verifying is gatewayd's, with the public key alone.
 */
#include "signature.h"

#include <stdlib.h>

#include <openssl/evp.h>

enum { SEED = 32, SIGNED = 64, TS_MAX = 20, TOKEN_MAX = 128 };

struct signature {
	EVP_PKEY *key;
};

/* The secret repeated until it is long enough, then cut. */
static void
make_seed(struct slice secret, unsigned char seed[SEED])
{
	for (size_t i = 0; i < SEED; i++)
		seed[i] = (unsigned char)secret.p[i % secret.n];
}

enum err
signature_new(struct signature **out, struct slice secret)
{
	struct signature *s;
	unsigned char     seed[SEED];

	if (secret.n == 0)
		return ERR_CONFIG;
	if ((s = calloc(1, sizeof *s)) == NULL)
		return ERR_NOMEM;
	make_seed(secret, seed);
	s->key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed,
	    SEED);
	explicit_bzero(seed, sizeof seed);
	if (s->key == NULL) {
		free(s);
		return ERR_SYSTEM;
	}
	*out = s;
	return ERR_OK;
}

void
signature_free(struct signature **sp)
{
	if (*sp == NULL)
		return;
	EVP_PKEY_free((*sp)->key);
	free(*sp);
	*sp = NULL;
}

enum err
signature_public_key(const struct signature *s,
    unsigned char key[SIGNATURE_KEY])
{
	size_t n = SIGNATURE_KEY;

	return EVP_PKEY_get_raw_public_key(s->key, key, &n) == 1 &&
	        n == SIGNATURE_KEY
	    ? ERR_OK
	    : ERR_SYSTEM;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_token_char(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') ||
	    (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

static bool
is_all(struct slice s, size_t max, bool (*fits)(char))
{
	for (size_t i = 0; i < s.n; i++)
		if (!fits(s.p[i]))
			return false;
	return s.n > 0 && s.n <= max;
}

enum err
signature_sign(const struct signature *s, struct slice event_ts,
    struct slice plain_token, char hex[SIGNATURE_HEX + 1])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char     text[TS_MAX + TOKEN_MAX], signature[SIGNED];
	size_t            n = SIGNED;
	EVP_MD_CTX       *context;
	bool              ok;

	if (!is_all(event_ts, TS_MAX, is_digit) ||
	    !is_all(plain_token, TOKEN_MAX, is_token_char))
		return ERR_FORBIDDEN;
	memcpy(text, event_ts.p, event_ts.n);
	memcpy(text + event_ts.n, plain_token.p, plain_token.n);
	if ((context = EVP_MD_CTX_new()) == NULL)
		return ERR_NOMEM;
	ok = EVP_DigestSignInit(context, NULL, NULL, NULL, s->key) == 1 &&
	    EVP_DigestSign(context, signature, &n, text,
	        event_ts.n + plain_token.n) == 1 &&
	    n == SIGNED;
	EVP_MD_CTX_free(context);
	if (!ok)
		return ERR_SYSTEM;
	for (size_t i = 0; i < SIGNED; i++) {
		hex[2 * i] = digits[signature[i] >> 4];
		hex[2 * i + 1] = digits[signature[i] & 15];
	}
	hex[SIGNATURE_HEX] = '\0';
	return ERR_OK;
}
