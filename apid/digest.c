/*
 * OpenSSL's EVP.  MD5 and SHA-1 are what the platform asks for; nothing of
 * ours is safe by them.  The sum of the first bytes is taken from the running
 * one as it passes there, so that nothing is summed twice.
 */
#include "digest.h"

#include <openssl/evp.h>

static void
to_hex(char *out, const unsigned char *p, unsigned n)
{
	static const char digits[] = "0123456789abcdef";

	for (unsigned i = 0; i < n; i++) {
		*out++ = digits[p[i] >> 4];
		*out++ = digits[p[i] & 15];
	}
	*out = '\0';
}

static bool
finish(EVP_MD_CTX *ctx, char *hex)
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned      n;

	if (EVP_DigestFinal_ex(ctx, sum, &n) != 1)
		return false;
	to_hex(hex, sum, n);
	return true;
}

enum err
digest_open(struct digest *d)
{
	*d = (struct digest){ .md5 = EVP_MD_CTX_new(),
		.sha1 = EVP_MD_CTX_new() };
	if (d->md5 == NULL || d->sha1 == NULL ||
	    EVP_DigestInit_ex(d->md5, EVP_md5(), NULL) != 1 ||
	    EVP_DigestInit_ex(d->sha1, EVP_sha1(), NULL) != 1) {
		digest_close(d);
		return ERR_NOMEM;
	}
	return ERR_OK;
}

static void
add(struct digest *d, struct slice s)
{
	if (s.n == 0)
		return;
	if (EVP_DigestUpdate(d->md5, s.p, s.n) != 1 ||
	    EVP_DigestUpdate(d->sha1, s.p, s.n) != 1)
		d->failed = true;
	d->n += s.n;
}

static void
note_first(struct digest *d)
{
	EVP_MD_CTX *copy = EVP_MD_CTX_new();

	if (copy == NULL || EVP_MD_CTX_copy_ex(copy, d->md5) != 1 ||
	    !finish(copy, d->first))
		d->failed = true;
	EVP_MD_CTX_free(copy);
}

void
digest_add(struct digest *d, struct slice s)
{
	size_t to_first;

	if (d->n < DIGEST_10M && d->n + s.n >= DIGEST_10M) {
		to_first = (size_t)(DIGEST_10M - d->n);
		add(d, (struct slice){ s.p, to_first });
		note_first(d);
		s = slice_from(s, to_first);
	}
	add(d, s);
}

enum err
digest_end(struct digest *d, struct sums *out)
{
	if (d->n < DIGEST_10M)
		note_first(d);
	memcpy(out->md5_10m, d->first, sizeof out->md5_10m);
	if (!finish(d->md5, out->md5) || !finish(d->sha1, out->sha1))
		d->failed = true;
	return d->failed ? ERR_NOMEM : ERR_OK;
}

void
digest_close(struct digest *d)
{
	EVP_MD_CTX_free(d->md5);
	EVP_MD_CTX_free(d->sha1);
	d->md5 = d->sha1 = NULL;
}

enum err
sum_open(struct sum *s, enum sum_kind kind)
{
	*s = (struct sum){ .ctx = EVP_MD_CTX_new(), .kind = kind };
	if (s->ctx == NULL)
		return ERR_NOMEM;
	sum_reset(s);
	return ERR_OK;
}

void
sum_reset(struct sum *s)
{
	EVP_DigestInit_ex(s->ctx,
	    s->kind == SUM_MD5 ? EVP_md5() : EVP_sha256(), NULL);
	s->n = 0;
}

void
sum_add(struct sum *s, struct slice bytes)
{
	EVP_DigestUpdate(s->ctx, bytes.p, bytes.n);
	s->n += bytes.n;
}

void
sum_end(struct sum *s, char hex[SUM_HEX])
{
	if (!finish(s->ctx, hex))
		hex[0] = '\0';
}

void
sum_close(struct sum *s)
{
	EVP_MD_CTX_free(s->ctx);
	s->ctx = NULL;
}
