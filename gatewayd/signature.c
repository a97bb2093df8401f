/*
 * The one file of gatewayd that knows OpenSSL.
 */
#include "signature.h"

#include <stdlib.h>

#include <openssl/evp.h>

#include "buf.h"

enum { SIGNATURE_BYTES = SIGNATURE_HEX / 2 };

struct signature_key {
	EVP_PKEY *pkey;
};

enum err
signature_key_new(struct signature_key **out, struct slice public_key)
{
	struct signature_key *k;

	if (public_key.n != SIGNATURE_KEY)
		return ERR_SYNTAX;
	if ((k = calloc(1, sizeof *k)) == NULL)
		return ERR_NOMEM;
	k->pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL,
	    (const unsigned char *)public_key.p, public_key.n);
	if (k->pkey == NULL) {
		free(k);
		return ERR_SYNTAX;
	}
	*out = k;
	return ERR_OK;
}

void
signature_key_free(struct signature_key **kp)
{
	if (*kp == NULL)
		return;
	EVP_PKEY_free((*kp)->pkey);
	free(*kp);
	*kp = NULL;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool
from_hex(struct slice hex, unsigned char out[SIGNATURE_BYTES])
{
	if (hex.n != SIGNATURE_HEX)
		return false;
	for (size_t i = 0; i < SIGNATURE_BYTES; i++) {
		int high = hex_digit(hex.p[2 * i]);
		int low = hex_digit(hex.p[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

/* The top three bits are zero in every valid one. */
static bool
has_form(struct slice hex, unsigned char sig[SIGNATURE_BYTES])
{
	return from_hex(hex, sig) && (sig[SIGNATURE_BYTES - 1] & 0xe0) == 0;
}

bool
signature_form(struct slice hex)
{
	unsigned char sig[SIGNATURE_BYTES];

	return has_form(hex, sig);
}

bool
signature_verify(const struct signature_key *k, struct slice timestamp,
    struct slice body, struct slice hex)
{
	unsigned char sig[SIGNATURE_BYTES];
	struct buf    signed_bytes = { 0 };
	EVP_MD_CTX   *ctx;
	bool          good = false;

	if (timestamp.n == 0 || !has_form(hex, sig))
		return false;
	buf_put(&signed_bytes, timestamp);
	buf_put(&signed_bytes, body);
	ctx = EVP_MD_CTX_new();
	if (ctx != NULL && !signed_bytes.failed &&
	    EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, k->pkey) == 1)
		good = EVP_DigestVerify(ctx, sig, sizeof sig,
		    (const unsigned char *)signed_bytes.p,
		    signed_bytes.n) == 1;
	EVP_MD_CTX_free(ctx);
	buf_free(&signed_bytes);
	return good;
}
