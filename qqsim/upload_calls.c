/*
 * Files as calls: by address, in the body, or in parts.
 */
#include "call.h"
#include "upload.h"

#include <stdio.h>
#include <stdlib.h>

#include "log.h"

enum { SOFT_TYPES = 4, RETRY_DELAY_S = 1 };

/* true: a fault has answered. */
static bool
fault_first(struct call *c)
{
	struct fault f;

	if (!call_strike(c, FAULT_file_status, &f))
		return false;
	call_answer_fault(c, &f, 500, 850026);
	return true;
}

static bool
target_known(struct call *c)
{
	if (ledger_conversation(&c->sim->platform.ledger, c->bot->app_id,
	        c->route->scope, c->args[0], false) != NULL)
		return true;
	call_refuse(c, &refusal_unknown_openid);
	return false;
}

static void
put_size(struct call *c, struct json *j, const char *name, uint64_t n)
{
	char text[24];

	if (c->bot->media.numbers != 0) {
		json_put_int(j, name, (int64_t)n);
		return;
	}
	snprintf(text, sizeof text, "%llu", (unsigned long long)n);
	json_put_text(j, name, slice_of(text));
}

/* --- a file is there ---------------------------------------------------- */

struct arrived {
	const char  *source;
	struct slice where, name, md5;   /* where: an address, or an upload */
	struct slice base64;             /* the bytes, for the chat page */
	int64_t      type, bytes;        /* -1: not known */
};

static void
remember(struct call *c, const struct arrived *a, const char *info)
{
	struct json       *j = json_new_object();
	bool               by_url = strcmp(a->source, "url") == 0;
	struct file_new    n = { .bot = slice_of(c->bot->app_id),
		.info = slice_of(info), .name = a->name,
		.url = by_url ? a->where : SLICE("") };
	const struct file *kept;

	/* The chat page shows what it can; without, the file is one still. */
	if (show_keep_file(c->sim, &n, a->base64, &kept) != ERR_OK)
		log_warn("file.unshown", KV("bytes", a->bytes));

	json_put_text(j, "file_info", slice_of(info));
	json_put_text(j, "scope", slice_of(scope_name(c->route->scope)));
	json_put_text(j, "target", c->args[0]);
	json_put_text(j, "source", slice_of(a->source));
	json_put_text(j, "where", a->where);
	json_put_text(j, "file_name", a->name);
	json_put_text(j, "md5", a->md5);
	json_put_int(j, "file_type", a->type);
	json_put_int(j, "bytes", a->bytes);
	world_put_take(call_world(c), WORLD_file, SLICE(""), slice_of(info),
	    j);
	ledger_count(&c->sim->platform.ledger, COUNT_files);
}

/* The file goes out as an active message.  The message's id; "" when that
 * was refused, which was answered. */
static bool
send_at_once(struct call *c, const char *info, char id[64])
{
	struct platform      *p = &c->sim->platform;
	struct json          *body = json_new_object();
	struct json          *media = json_new_object();
	struct message       *m;
	struct send           s = { .bot = c->bot->app_id,
		.scope = c->route->scope, .target = c->args[0],
		.body = body, .now_us = c->now_us };
	const struct refusal *r;

	json_put_text(media, "file_info", slice_of(info));
	json_put_int(body, "msg_type", SEND_MEDIA);
	json_put_take(body, "media", media);
	s.text = json_print(body);
	platform_id(p, id, 64, "ROBOT1.0_");
	ledger_count(&p->ledger, COUNT_sends);
	if ((r = send_judge(&p->ledger, &c->bot->rules, &s)) == NULL &&
	    send_take(&p->ledger, &s, slice_of(id),
	        sim_wall_ms(c->sim, c->now_us), &m) != ERR_OK)
		r = &refusal_full;
	if (r != NULL)
		call_refuse(c, r);
	else
		show_sent(c->sim, &s, id, c->bot->name);
	json_free(&body);
	return r == NULL;
}

static void
file_done(struct call *c, const struct arrived *a)
{
	uint64_t     ttl_s = c->bot->media.ttl_s;
	struct fault f;
	struct json *j;
	char         info[96], id[64] = "";

	send_file_info(info, sizeof info, c->route->scope,
	    ++c->bot->rules.files, ttl_s == 0 ? 0
	        : c->now_us / 1000 + (int64_t)ttl_s * 1000);
	remember(c, a, info);
	if (json_truth(json_get(c->body, "srv_send_msg")) &&
	    !send_at_once(c, info, id))
		return;
	j = json_new_object();
	json_put_text(j, "file_uuid", slice_of(c->trace));
	json_put_text(j, "file_info", slice_of(info));
	json_put_int(j, "ttl", (int64_t)ttl_s);
	json_put_text(j, "id", slice_of(id));
	if (strcmp(a->source, "upload_id") == 0 && a->type < SOFT_TYPES)
		json_put_text(j, "raw_url", slice_of(c->sim->origin));
	if (call_strike(c, FAULT_file_slow, &f))
		call_answer_later(c, f.ms, 200, j);
	else
		call_done(c, j);
}

/* --- three ways --------------------------------------------------------- */

/* -1: this is not base64. */
static int64_t
base64_bytes(struct slice text)
{
	size_t pad = 0;

	while (pad < 2 && pad < text.n && text.p[text.n - 1 - pad] == '=')
		pad++;
	if (text.n == 0 || text.n % 4 != 0)
		return -1;
	for (size_t i = 0; i < text.n - pad; i++) {
		char ch = text.p[i];

		if (!((ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z') ||
		        (ch >= '0' && ch <= '9') || ch == '+' || ch == '/'))
			return -1;
	}
	return (int64_t)(text.n / 4 * 3 - pad);
}

static void
from_upload(struct call *c, struct arrived *a)
{
	struct upload *u = upload_find(&c->sim->uploads, a->where);
	const char    *why;
	char          *shown;

	if (u == NULL || strcmp(u->bot, c->bot->app_id) != 0 ||
	    u->scope != c->route->scope ||
	    !slice_is(c->args[0], u->target)) {
		call_wrong(c, FORM_WRONG, "upload_id is of no upload here");
		return;
	}
	if ((why = upload_judge(u)) != NULL) {
		call_wrong(c, FORM_WRONG, why);
		if (strcmp(why, "parts are missing") != 0)
			upload_drop(&c->sim->uploads, u);
		return;
	}
	a->type = u->type;
	a->bytes = u->size;
	a->md5 = slice_of(u->md5);
	if (a->name.n == 0)
		a->name = slice_of(u->name);
	shown = upload_base64(u);
	a->base64 = slice_of(shown);
	file_done(c, a);
	free(shown);
	upload_drop(&c->sim->uploads, u);
}

/* Exactly one of them. */
static bool
read_source(struct call *c, struct arrived *a)
{
	static const char *const sources[] = { "url", "file_data",
		"upload_id" };
	size_t n = 0;

	for (size_t i = 0; i < 3; i++) {
		struct slice text = call_text(c, sources[i]);

		if (text.n == 0)
			continue;
		n++;
		a->source = sources[i];
		a->where = text;
	}
	return n == 1;
}

void
on_files(struct call *c)
{
	struct arrived a = { .bytes = -1, .name = call_text(c, "file_name") };

	if (fault_first(c) || !target_known(c))
		return;
	if (!read_source(c, &a)) {
		call_refuse(c, &refusal_file_source);
		return;
	}
	if (strcmp(a.source, "upload_id") == 0) {
		from_upload(c, &a);
		return;
	}
	if (!json_int_at(c->body, "file_type", &a.type) || a.type < 1 ||
	    a.type > SOFT_TYPES) {
		call_refuse(c, &refusal_file_type);
		return;
	}
	if (strcmp(a.source, "file_data") == 0) {
		a.bytes = base64_bytes(a.where);
		a.base64 = a.where;
		a.where = SLICE("");
		if (a.bytes < 0) {
			call_wrong(c, FORM_WRONG, "file_data is not base64");
			return;
		}
	} else if (!slice_starts(a.where, SLICE("http://")) &&
	    !slice_starts(a.where, SLICE("https://"))) {
		call_refuse(c, &refusal_file_source);
		return;
	}
	file_done(c, &a);
}

/* --- in parts ----------------------------------------------------------- */

static void
put_parts(struct call *c, const struct upload *u, struct json *j)
{
	struct json *list = json_new_array(), *conf = json_new_object();
	char         url[512];

	for (size_t k = 0; k < u->nparts; k++) {
		struct json *part = json_new_object();

		snprintf(url, sizeof url, "%s/storage/%s/%zu?sign=%s",
		    c->sim->origin, u->id, k, u->sign);
		json_put_int(part, "index", (int64_t)(k + u->index_base));
		json_put_text(part, "presigned_url", slice_of(url));
		put_size(c, part, "block_size", upload_part_size(u, k));
		json_push_take(list, part);
	}
	json_put_take(j, "parts", list);
	json_put_int(conf, "concurrency", (int64_t)c->bot->media.concurrency);
	json_put_int(conf, "retry_timeout",
	    (int64_t)c->bot->media.retry_timeout_s);
	json_put_int(conf, "retry_delay", RETRY_DELAY_S);
	json_put_take(j, "upload_config", conf);
}

static void
prepare(struct call *c, int64_t size, int64_t type)
{
	const struct media_rules *m = &c->bot->media;
	char                      id[UPLOAD_ID_MAX], sign[17];
	struct upload_new         n = { .bot = c->bot->app_id, .id = id,
		.sign = sign, .dir = c->sim->dir, .scope = c->route->scope,
		.target = c->args[0], .name = call_text(c, "file_name"),
		.md5 = call_text(c, "md5"), .sha1 = call_text(c, "sha1"),
		.md5_10m = call_text(c, "md5_10m"), .type = type,
		.size = size, .now_ms = c->now_us / 1000,
		.block_size = m->block_size, .index_base = m->index_base,
		.url_life_ms = m->url_life_s * 1000 };
	struct upload            *u;
	struct json              *j;

	platform_id(&c->sim->platform, id, sizeof id, "UPLOAD_");
	if (token_random(sign, 16) != ERR_OK) {
		call_refuse(c, &refusal_full);
		return;
	}
	switch (upload_new(&c->sim->uploads, &n, &u)) {
	case ERR_OK:
		break;
	case ERR_SYNTAX:
		call_wrong(c, FORM_WRONG, "md5, sha1 and md5_10m must be "
		    "hexadecimal in lower case");
		return;
	case ERR_TOO_LARGE:
		call_refuse(c, &refusal_file_large);
		return;
	default:
		call_refuse(c, &refusal_full);
		return;
	}
	j = json_new_object();
	json_put_text(j, "upload_id", slice_of(u->id));
	put_size(c, j, "block_size", u->block_size);
	put_parts(c, u, j);
	call_done(c, j);
}

void
on_upload_prepare(struct call *c)
{
	struct fault f;
	int64_t      size = 0, type = 0;

	if (fault_first(c) || !target_known(c))
		return;
	if (call_strike(c, FAULT_file_quota, &f)) {
		call_refuse(c, &refusal_file_quota);
		return;
	}
	json_int_at(c->body, "file_size", &size);
	json_int_at(c->body, "file_type", &type);
	prepare(c, size, type);
}

/* What is said of the part is what was put. */
static const char *
judge_part(struct call *c, const struct upload *u, size_t k)
{
	int64_t size = 0;

	json_int_at(c->body, "block_size", &size);
	if ((uint64_t)size != upload_part_size(u, k))
		return "block_size is not the size of the part";
	return slice_is(call_text(c, "md5"), u->parts[k].md5)
	    ? NULL : "md5 is not that of the part";
}

void
on_upload_part_finish(struct call *c)
{
	struct upload *u = upload_find(&c->sim->uploads,
	    call_text(c, "upload_id"));
	struct fault   f;
	const char    *why = NULL;
	int64_t        index = -1;
	size_t         k;

	if (fault_first(c))
		return;
	json_int_at(c->body, "part_index", &index);
	if (u == NULL || u->scope != c->route->scope ||
	    !slice_is(c->args[0], u->target))
		why = "upload_id is of no upload here";
	else if (!upload_part_at(u, index, &k))
		why = "part_index is of no part";
	if (why != NULL) {
		call_wrong(c, FORM_WRONG, why);
		return;
	}
	if (call_strike(c, FAULT_part_again, &f) || !u->parts[k].put) {
		call_refuse(c, &refusal_part_again);
		return;
	}
	if ((why = judge_part(c, u, k)) != NULL)
		call_wrong(c, FORM_WRONG, why);
	else if (upload_part_finish(u, k) != ERR_OK)
		call_refuse(c, &refusal_full);
	else
		call_done(c, json_new_object());
}

/* --- storage ------------------------------------------------------------ */

static void
storage_says(struct call *c, int status, const char *why)
{
	struct buf xml = { 0 };

	buf_putf(&xml, "<Error><Message>%s</Message></Error>\n", why);
	call_answer_text(c, status, "application/xml", buf_slice(&xml));
	buf_free(&xml);
}

static void
part_kept(struct call *c)
{
	struct sink   *s = c->request->sink;
	struct upload *u = upload_find(&c->sim->uploads, slice_of(s->upload));
	struct fault   f;

	if (call_strike(c, FAULT_part_slow, &f)) {
		/* Nobody reads the body of storage's answer. */
		call_answer_later(c, f.ms, 200, json_new_object());
		return;
	}
	snprintf(c->head, sizeof c->head, "ETag: \"%s\"\r\n",
	    u->parts[s->k].md5);
	call_answer_text(c, 200, "application/xml", SLICE(""));
}

void
on_part_put(struct call *c)
{
	struct sink  *s = c->request->sink;
	struct fault  f;

	if (s == NULL) {
		storage_says(c, 411, "a part needs a Content-Length");
		return;
	}
	if (c->request->authorization.n > 0) {
		ledger_violation(&c->sim->platform.ledger,
		    VIOLATION_storage_auth);
		storage_says(c, 400, "an Authorization header is not for a "
		    "signed address");
	} else if (s->why != NULL) {
		storage_says(c, s->status, s->why);
	} else if (call_strike(c, FAULT_part_status, &f)) {
		storage_says(c, f.status > 0 ? (int)f.status : 500,
		    "fault asked for");
	} else if (!sink_keep(s)) {
		storage_says(c, 400, "the part has another size");
	} else {
		ledger_count(&c->sim->platform.ledger, COUNT_parts);
		part_kept(c);
	}
}

void *
rest_on_head(struct sim *s, const struct request *r)
{
	struct slice         args[ROUTE_ARGS_MAX] = { 0 };
	int64_t              now_ms = sim_now_us() / 1000;
	const struct upload *u;
	struct fault         f;
	struct sink         *sink;
	const struct route  *route;
	bool                 known;

	route = route_find(r->method, r->path, args, &known);
	if (route == NULL || route->id != ROUTE_upload_part_put ||
	    (sink = sink_new(&s->uploads, r->path, request_query(r, "sign"),
	        now_ms)) == NULL)
		return NULL;
	u = upload_find(&s->uploads, slice_of(sink->upload));
	if (u != NULL)
		sink->cut = faults_strike(&s->platform.faults,
		    FAULT_part_cut, u->bot, scope_name(u->scope), now_ms, &f);
	return sink;
}

bool
rest_on_part(void *sink, struct slice data)
{
	return sink_put(sink, data);
}

void
rest_on_gone(void *sink)
{
	struct sink *s = sink;

	sink_free(&s);
}
