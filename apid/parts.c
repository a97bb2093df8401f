/*
 * The platform's pages and its own library differ in where things stand and
 * whether numbers are strings; both are read.  The k-th part in the order of
 * index is the k-th block of bytes, whatever number its index begins with
 * (routes of the platform, chunked upload).
 */
#include "parts.h"

#include <stdlib.h>

#include "conf.h"

/* Under upload_config, or beside the rest. */
static int64_t
option(const struct json *doc, const char *name, int64_t fallback)
{
	int64_t v;

	if (json_int(json_get(json_get(doc, "upload_config"), name), &v) ||
	    json_int(json_get(doc, name), &v))
		return v > 0 ? v : fallback;
	return fallback;
}

static int
by_order(const void *a, const void *b)
{
	int64_t x = ((const struct part *)a)->order;
	int64_t y = ((const struct part *)b)->order;

	return (x > y) - (x < y);
}

static const char *
read_part(struct part *p, struct json *o)
{
	*p = (struct part){ .object = o, .index = json_get(o, "index") };
	if (!json_int(p->index, &p->order))
		return "parts: one has no index";
	p->url = json_text(json_get(o, "presigned_url")).p;
	if (p->url == NULL || !conf_url_allowed(slice_of(p->url)))
		return "parts: one has no presigned_url that may be used";
	p->done = json_truth(json_get(o, "done"));
	return NULL;
}

static const char *
read_parts(struct parts *u, const struct json *list)
{
	const char *wrong = NULL;

	for (size_t i = 0; i < u->n && wrong == NULL; i++)
		wrong = read_part(&u->list[i], json_at(list, i));
	if (wrong != NULL)
		return wrong;
	qsort(u->list, u->n, sizeof *u->list, by_order);
	for (size_t i = 0; i < u->n; i++) {
		if (i > 0 && u->list[i].order == u->list[i - 1].order)
			return "parts: two have the same index";
		u->ndone += u->list[i].done;
	}
	return NULL;
}

static const char *
read_sizes(struct parts *u, const struct json *list)
{
	int64_t block = 0;

	u->id = json_text(json_get(u->doc, "upload_id"));
	u->n = json_count(list);
	if (u->id.n == 0)
		return "upload_id: is missing";
	if (u->n == 0 || u->n > PARTS_MAX)
		return "parts: none, or too many";
	if (!json_int(json_get(u->doc, "block_size"), &block) && u->n == 1)
		block = (int64_t)u->size;
	if (block <= 0)
		return "block_size: is missing";
	u->block = (uint64_t)block;
	if ((u->size + u->block - 1) / u->block != u->n)
		return "parts: so many blocks do not make the file";
	return NULL;
}

static void
read_options(struct parts *u)
{
	int64_t at_once = option(u->doc, "concurrency", 1);
	int64_t patience = option(u->doc, "retry_timeout", PARTS_RETRY_S);
	int64_t delay = option(u->doc, "retry_delay", 1);

	u->at_once = at_once < PARTS_AT_ONCE ? (unsigned)at_once
	                                     : PARTS_AT_ONCE;
	u->patience_ms = 1000 * (uint64_t)(patience < PARTS_RETRY_MAX_S
	    ? patience : PARTS_RETRY_MAX_S);
	u->delay_ms = 1000 * (uint64_t)(delay < 60 ? delay : 60);
}

enum err
parts_read(struct parts *u, struct slice text, uint64_t size,
    const char **why)
{
	const struct json *list;
	enum err           e;

	*u = (struct parts){ .size = size };
	*why = "is no JSON object";
	if ((e = json_parse(&u->doc, text)) != ERR_OK)
		return e;
	list = json_get(u->doc, "parts");
	if ((*why = read_sizes(u, list)) == NULL) {
		if ((u->list = calloc(u->n, sizeof *u->list)) == NULL) {
			parts_free(u);
			return ERR_NOMEM;
		}
		*why = read_parts(u, list);
	}
	if (*why != NULL) {
		parts_free(u);
		return ERR_SYNTAX;
	}
	read_options(u);
	return ERR_OK;
}

void
parts_free(struct parts *u)
{
	json_free(&u->doc);
	free(u->list);
	*u = (struct parts){ 0 };
}

struct part *
parts_next(struct parts *u)
{
	struct part *next = NULL;
	unsigned     busy = 0;

	for (size_t i = 0; i < u->n; i++) {
		busy += u->list[i].busy;
		if (next == NULL && !u->list[i].busy && !u->list[i].done)
			next = &u->list[i];
	}
	if (next == NULL || busy >= u->at_once)
		return NULL;
	next->busy = true;
	return next;
}

uint64_t
parts_offset(const struct parts *u, const struct part *p)
{
	return (uint64_t)(p - u->list) * u->block;
}

uint64_t
parts_length(const struct parts *u, const struct part *p)
{
	uint64_t left = u->size - parts_offset(u, p);

	return left < u->block ? left : u->block;
}

void
parts_done(struct parts *u, struct part *p)
{
	p->busy = false;
	if (p->done)
		return;
	p->done = true;
	u->ndone++;
	json_put_bool(p->object, "done", true);
}

void
parts_again(struct parts *u, struct part *p)
{
	(void)u;
	p->busy = false;
}

void
parts_save(const struct parts *u, struct buf *out)
{
	json_write(u->doc, out);
}
