/*
 * The seed is the secret, said again until it fills 32 bytes.  OpenSSL does
 * the rest.
 */
#include "sign.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "buf.h"

enum { SEED = 32, SIGNATURE = 64 };

enum err
sign_key_new(struct sign_key **out, struct slice secret)
{
	unsigned char seed[SEED];
	EVP_PKEY     *key;

	if (secret.n == 0)
		return ERR_CONFIG;
	for (size_t i = 0; i < SEED; i++)
		seed[i] = (unsigned char)secret.p[i % secret.n];
	key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, SEED);
	OPENSSL_cleanse(seed, sizeof seed);
	*out = (struct sign_key *)(void *)key;
	return key != NULL ? ERR_OK : ERR_NOMEM;
}

static EVP_PKEY *
pkey(const struct sign_key *k)
{
	return (EVP_PKEY *)(uintptr_t)k;
}

void
sign_key_free(struct sign_key **k)
{
	EVP_PKEY_free(pkey(*k));
	*k = NULL;
}

enum err
sign(const struct sign_key *k, struct slice a, struct slice b,
    char hex[SIGNATURE_HEX + 1])
{
	static const char digits[] = "0123456789abcdef";
	EVP_MD_CTX   *ctx = EVP_MD_CTX_new();
	unsigned char raw[SIGNATURE];
	size_t        n = sizeof raw;
	struct buf    both = { 0 };
	bool          ok;

	buf_put(&both, a);
	buf_put(&both, b);
	ok = ctx != NULL && !both.failed &&
	    EVP_DigestSignInit(ctx, NULL, NULL, NULL, pkey(k)) == 1 &&
	    EVP_DigestSign(ctx, raw, &n, (const unsigned char *)both.p,
	        both.n) == 1 && n == SIGNATURE;
	for (size_t i = 0; ok && i < SIGNATURE; i++) {
		hex[2 * i] = digits[raw[i] >> 4];
		hex[2 * i + 1] = digits[raw[i] & 15];
	}
	hex[SIGNATURE_HEX] = '\0';
	EVP_MD_CTX_free(ctx);
	buf_free(&both);
	return ok ? ERR_OK : ERR_NOMEM;
}

/* Ed25519 signatures are one for each key and message. */
bool
sign_verify(const struct sign_key *k, struct slice a, struct slice b,
    struct slice hex)
{
	char right[SIGNATURE_HEX + 1];

	return sign(k, a, b, right) == ERR_OK && slice_is(hex, right);
}
