/*
 * Parts, where they go and what they must be.
 */
#include "upload.h"

#include <openssl/evp.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { READ_MAX = 65536 };

/* --- digests ------------------------------------------------------------ */

static void
digest_hex(EVP_MD_CTX *ctx, char out[HEX_MAX])
{
	unsigned char raw[EVP_MAX_MD_SIZE];
	unsigned      n = 0;

	out[0] = '\0';
	EVP_DigestFinal_ex(ctx, raw, &n);
	for (unsigned i = 0; i < n && 2 * i + 2 < HEX_MAX; i++)
		snprintf(out + 2 * i, 3, "%02x", raw[i]);
}

static EVP_MD_CTX *
digest_new(const EVP_MD *md)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (ctx != NULL && EVP_DigestInit_ex(ctx, md, NULL) != 1) {
		EVP_MD_CTX_free(ctx);
		ctx = NULL;
	}
	return ctx;
}

static bool
take_hex(char out[HEX_MAX], struct slice text, size_t n)
{
	if (text.n != n || n >= HEX_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if (strchr("0123456789abcdef", text.p[i]) == NULL)
			return false;
	memcpy(out, text.p, n);
	out[n] = '\0';
	return true;
}

/* --- uploads ------------------------------------------------------------ */

static void
upload_free(struct upload *u)
{
	for (size_t i = 0; i < 3; i++)
		EVP_MD_CTX_free(u->digests[i]);
	if (u->fd >= 0)
		close(u->fd);
	free(u->parts);
	free(u->target);
	free(u->name);
	free(u);
}

void
upload_drop(struct uploads *all, struct upload *u)
{
	struct upload **at = &all->first;

	while (*at != u)
		at = &(*at)->next;
	*at = u->next;
	upload_free(u);
}

void
uploads_close(struct uploads *all)
{
	while (all->first != NULL)
		upload_drop(all, all->first);
}

struct upload *
upload_find(const struct uploads *all, struct slice id)
{
	struct upload *u = all->first;

	while (u != NULL && !slice_is(id, u->id))
		u = u->next;
	return u;
}

/* A file that has no name, and goes with its descriptor. */
static int
open_unnamed(const char *dir)
{
	char path[512];
	int  fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0)
		return fd;
	snprintf(path, sizeof path, "%s/upload-XXXXXX", dir);
	if ((fd = mkostemp(path, O_CLOEXEC)) >= 0)
		unlink(path);
	return fd;
}

static void
forget_oldest(struct uploads *all)
{
	struct upload *last = all->first;
	size_t         n = 0;

	for (struct upload *u = all->first; u != NULL; u = u->next) {
		last = u;
		n++;
	}
	if (n > UPLOADS_MAX)
		upload_drop(all, last);
}

static enum err
fill(struct upload *u, const struct upload_new *n)
{
	if (!take_hex(u->md5, n->md5, 32) ||
	    !take_hex(u->sha1, n->sha1, 40) ||
	    !take_hex(u->md5_10m, n->md5_10m, 32))
		return ERR_SYNTAX;
	u->parts = calloc(u->nparts, sizeof *u->parts);
	u->target = slice_dup(n->target);
	u->name = slice_dup(n->name);
	u->digests[0] = digest_new(EVP_md5());
	u->digests[1] = digest_new(EVP_sha1());
	u->digests[2] = digest_new(EVP_md5());
	if (u->parts == NULL || u->target == NULL || u->name == NULL ||
	    u->digests[0] == NULL || u->digests[1] == NULL ||
	    u->digests[2] == NULL)
		return ERR_NOMEM;
	u->fd = open_unnamed(n->dir);
	return u->fd >= 0 ? ERR_OK : ERR_SYSTEM;
}

enum err
upload_new(struct uploads *all, const struct upload_new *n,
    struct upload **out)
{
	uint64_t       parts = ((uint64_t)n->size + n->block_size - 1) /
	    n->block_size;
	struct upload *u;
	enum err       e;

	if (n->size <= 0 || n->size > UPLOAD_MAX || parts > PARTS_MAX)
		return ERR_TOO_LARGE;
	if ((u = calloc(1, sizeof *u)) == NULL)
		return ERR_NOMEM;
	u->fd = -1;
	u->scope = n->scope;
	u->type = n->type;
	u->size = n->size;
	u->made_ms = n->now_ms;
	u->block_size = n->block_size;
	u->index_base = n->index_base;
	u->url_life_ms = n->url_life_ms;
	u->nparts = (size_t)parts;
	snprintf(u->id, sizeof u->id, "%s", n->id);
	snprintf(u->sign, sizeof u->sign, "%s", n->sign);
	snprintf(u->bot, sizeof u->bot, "%s", n->bot);
	if ((e = fill(u, n)) != ERR_OK) {
		upload_free(u);
		return e;
	}
	u->next = all->first;
	all->first = u;
	forget_oldest(all);
	*out = u;
	return ERR_OK;
}

uint64_t
upload_part_size(const struct upload *u, size_t k)
{
	uint64_t from = (uint64_t)k * u->block_size;
	uint64_t left = (uint64_t)u->size - from;

	return left < u->block_size ? left : u->block_size;
}

bool
upload_part_at(const struct upload *u, int64_t index, size_t *k)
{
	index -= (int64_t)u->index_base;
	*k = (size_t)index;
	return index >= 0 && (size_t)index < u->nparts;
}

static enum err
hash_part(struct upload *u, size_t k)
{
	off_t    at = (off_t)((uint64_t)k * u->block_size);
	uint64_t left = upload_part_size(u, k);
	char     text[READ_MAX];

	while (left > 0) {
		ssize_t n = pread(u->fd, text,
		    left < READ_MAX ? (size_t)left : READ_MAX, at);
		off_t   first = MD5_10M - at;

		if (n <= 0)
			return ERR_SYSTEM;
		EVP_DigestUpdate(u->digests[0], text, (size_t)n);
		EVP_DigestUpdate(u->digests[1], text, (size_t)n);
		if (first > 0)
			EVP_DigestUpdate(u->digests[2], text,
			    (size_t)(n < first ? n : first));
		at += n;
		left -= (uint64_t)n;
	}
	return ERR_OK;
}

enum err
upload_part_finish(struct upload *u, size_t k)
{
	enum err e = ERR_OK;

	u->parts[k].finished = true;
	while (e == ERR_OK && u->hashed < u->nparts &&
	    u->parts[u->hashed].finished)
		e = hash_part(u, u->hashed++);
	return e;
}

const char *
upload_judge(struct upload *u)
{
	static const char *const why[] = { "md5 is not that of the parts",
		"sha1 is not that of the parts",
		"md5_10m is not that of the parts" };
	const char *const said[] = { u->md5, u->sha1, u->md5_10m };

	if (u->hashed < u->nparts)
		return "parts are missing";
	for (size_t i = 0; i < 3; i++) {
		char hex[HEX_MAX];

		digest_hex(u->digests[i], hex);
		if (strcmp(hex, said[i]) != 0)
			return why[i];
	}
	return NULL;
}

char *
upload_base64(const struct upload *u)
{
	size_t n = (size_t)u->size;
	char  *raw, *out;

	if (n > SHOWN_MAX)
		return NULL;
	raw = malloc(n);
	out = malloc(n / 3 * 4 + 5);
	if (raw == NULL || out == NULL ||
	    pread(u->fd, raw, n, 0) != (ssize_t)n) {
		free(out);
		out = NULL;
	} else {
		EVP_EncodeBlock((unsigned char *)out,
		    (const unsigned char *)raw, (int)n);
	}
	free(raw);
	return out;
}

/* --- a part on its way in ----------------------------------------------- */

static void
aim(struct sink *s, struct slice path, struct slice sign, int64_t now_ms)
{
	struct slice       rest = slice_from(path, strlen("/storage/"));
	const char        *slash = memchr(rest.p, '/', rest.n);
	struct slice       id = { rest.p, (size_t)(slash - rest.p) };
	struct upload     *u = upload_find(s->uploads, id);
	unsigned long long k;

	s->status = 404;
	if (u == NULL || !slice_u64(slice_from(rest, id.n + 1), &k) ||
	    k >= u->nparts) {
		s->why = "no such upload or part";
		return;
	}
	s->status = 403;
	if (!slice_is(sign, u->sign))
		s->why = "the signature is wrong";
	else if (now_ms - u->made_ms > (int64_t)u->url_life_ms)
		s->why = "the address has expired";
	else if (u->parts[k].finished)
		s->why = "the part is finished";
	if (s->why != NULL)
		return;
	s->k = (size_t)k;
	memcpy(s->upload, u->id, sizeof s->upload);
	u->parts[k].put = false;
}

struct sink *
sink_new(struct uploads *all, struct slice path, struct slice sign,
    int64_t now_ms)
{
	struct sink *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->uploads = all;
	if ((s->md5 = digest_new(EVP_md5())) == NULL) {
		free(s);
		return NULL;
	}
	aim(s, path, sign, now_ms);
	return s;
}

bool
sink_put(struct sink *s, struct slice data)
{
	struct upload *u = s->upload[0] != '\0'
	    ? upload_find(s->uploads, slice_of(s->upload)) : NULL;
	off_t          at;

	if (u == NULL || s->bytes + data.n > upload_part_size(u, s->k)) {
		s->failed = true;
		s->bytes += data.n;
		return true;
	}
	at = (off_t)((uint64_t)s->k * u->block_size + s->bytes);
	if (s->cut && s->bytes + data.n > upload_part_size(u, s->k) / 2)
		return false;
	if (pwrite(u->fd, data.p, data.n, at) != (ssize_t)data.n)
		s->failed = true;
	EVP_DigestUpdate(s->md5, data.p, data.n);
	s->bytes += data.n;
	return true;
}

bool
sink_keep(struct sink *s)
{
	struct upload *u = upload_find(s->uploads, slice_of(s->upload));

	if (s->failed || u == NULL ||
	    s->bytes != upload_part_size(u, s->k))
		return false;
	digest_hex(s->md5, u->parts[s->k].md5);
	u->parts[s->k].put = true;
	return true;
}

void
sink_free(struct sink **at)
{
	if (*at == NULL)
		return;
	EVP_MD_CTX_free((*at)->md5);
	free(*at);
	*at = NULL;
}
