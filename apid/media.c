/*
 * From an order to a job, from a job to an answer.
 *
 *   open -> (a file) sum -> shelf, or wait -> send -> answer
 *
 * An address is a job under its own name; a file is one under the name of its
 * content, once that is known.  Large files wait for each other and not for
 * small ones.  A file is summed in slices, one a turn of the loop, so that
 * everything else goes on.  How large files travel is upload.c's.
 */
#include "media.h"

#include <sys/mman.h>
#include <sys/queue.h>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "beneath.h"
#include "digest.h"
#include "errand.h"
#include "format.h"
#include "log.h"
#include "table.h"
#include "upload.h"

enum {
	SLICE_BYTES = 256 << 10,      /* summed in one turn */
	SMALL_AT_ONCE = 8, LARGE_AT_ONCE = 2,
	CONNECTIONS = 16, JOBS_MAX = 256, BASE64_STEP = 3 << 10,
	MARGIN_MAX_MS = 60000,        /* a file_info is left before its end */
	URL_KEPT_MS = 60000           /* what an address leads to may change */
};

enum state { OPENED, SUMMING, WAITING, SENDING, ENDED };

struct media_job {
	struct table_entry   entry;       /* first: found by it; its key */
	TAILQ_ENTRY(media_job) list;      /* of its state */
	struct media        *media;
	enum state           state;
	bool                 known;       /* in the table */
	bool                 large, form;
	struct media_order  *orders;
	struct bot          *bot;
	enum call_scope      scope;
	unsigned             kind;        /* as what it goes */
	char                *target, *name, *url;
	const struct format *format;
	int                  fd;
	uint64_t             size, changed_ns, until_ms;
	struct digest        digest;
	struct sums          sums;
	struct buf           key, upload_key;
	struct errand        errand;
	struct upload       *upload;
	/* What became of it. */
	enum result          result;
	unsigned             status;
	uint64_t             code;
	struct buf           message, file_info;
	char                 trace[128];
};

TAILQ_HEAD(job_list, media_job);

struct media {
	struct media_options o;
	struct http         *http;
	struct shelf         shelf;
	struct table         jobs;
	struct job_list      summing, waiting, sending, ended;
	struct media_order  *lined, *lined_last;   /* too many have a job */
	size_t               orders, njobs, small, large;
	bool                 numbers;     /* as upload_options */
	struct media_counts  counts;
	struct upload_counts sent;
	char                *slice;       /* scratch for summing */
};

/* --- jobs ----------------------------------------------------------------- */

static struct job_list *
list_of(struct media_job *j)
{
	struct media *m = j->media;

	switch (j->state) {
	case SUMMING:
		return &m->summing;
	case WAITING:
		return &m->waiting;
	case SENDING:
		return &m->sending;
	case ENDED:
		return &m->ended;
	default:
		return NULL;
	}
}

static size_t *
places_of(struct media_job *j)
{
	return j->large ? &j->media->large : &j->media->small;
}

static void
job_enter(struct media_job *j, enum state state)
{
	struct job_list *from = list_of(j);

	if (from != NULL)
		TAILQ_REMOVE(from, j, list);
	if (j->state == SENDING)
		--*places_of(j);
	j->state = state;
	if (state == SENDING)
		++*places_of(j);
	TAILQ_INSERT_TAIL(list_of(j), j, list);
}

static void
job_hide(struct media_job *j)
{
	if (j->known)
		table_remove(&j->media->jobs, &j->entry);
	j->known = false;
}

static void
job_free(struct media_job *j)
{
	struct job_list *list = list_of(j);

	job_hide(j);
	if (list != NULL)
		TAILQ_REMOVE(list, j, list);
	if (j->state == SENDING)
		--*places_of(j);
	upload_free(&j->upload);
	errand_close(&j->errand);
	digest_close(&j->digest);
	if (j->fd >= 0)
		close(j->fd);
	buf_free(&j->key);
	buf_free(&j->upload_key);
	buf_free(&j->message);
	buf_free(&j->file_info);
	free(j->target);
	free(j->name);
	free(j->url);
	j->media->njobs--;
	free(j);
}

/* Its orders are told in the loop's turn. */
static void
job_end(struct media_job *j, enum result result, struct slice message)
{
	j->result = result;
	if (message.n > 0 && message.p != j->message.p) {
		buf_reset(&j->message);
		buf_put(&j->message, message);
	}
	if (result != RESULT_OK) {
		j->media->counts.failed++;
		log_info("media.failed", KV("bot", j->bot->app),
		    KV("kind", kind_info(j->kind) != NULL
		        ? kind_info(j->kind)->word : "none"),
		    KV("bytes", j->size), KV("code", result_name(result)),
		    KV("status", j->status), KV("platform_code", j->code),
		    KV("trace", (const char *)j->trace),
		    KV("why", buf_slice(&j->message)));
	}
	job_hide(j);
	job_enter(j, ENDED);
}

static void
job_wrong(struct media_job *j, enum result result, const char *why)
{
	job_end(j, result, slice_of(why));
}

static void
note_reply(struct media_job *j, unsigned status, uint64_t code,
    struct slice trace)
{
	j->status = status;
	j->code = code;
	snprintf(j->trace, sizeof j->trace, "%.*s", (int)trace.n,
	    trace.n > 0 ? trace.p : "");
}

/* --- keys ----------------------------------------------------------------- */

static void
put_part(struct buf *key, struct slice s)
{
	buf_putf(key, "%zu:", s.n);
	buf_put(key, s);
}

/* What the platform would call by one name: the same content of the same kind
 * for the same kind of conversation (its pages on rich media). */
static void
make_key(struct media_job *j, struct slice content)
{
	buf_reset(&j->key);
	buf_putf(&j->key, "f%c%u", j->scope == SCOPE_GROUP ? 'g' : 'u',
	    j->kind);
	put_part(&j->key, j->bot->app);
	put_part(&j->key, j->kind == KIND_FILE ? slice_of(j->name)
	                                       : (struct slice){ "", 0 });
	put_part(&j->key, content);
}

static void
make_content_key(struct media_job *j)
{
	char text[160];

	snprintf(text, sizeof text, "%s %s %llu", j->sums.md5, j->sums.sha1,
	    (unsigned long long)j->size);
	make_key(j, slice_of(text));
	/* An upload belongs to its target too. */
	buf_reset(&j->upload_key);
	buf_puts(&j->upload_key, "u");
	put_part(&j->upload_key, slice_of(j->target));
	buf_put(&j->upload_key, buf_slice(&j->key));
}

/* --- one job for all who want the same ---------------------------------------- */

static void
job_extend(struct media_job *j, uint64_t until_ms)
{
	if (until_ms <= j->until_ms)
		return;
	j->until_ms = j->errand.until_ms = until_ms;
	if (j->upload != NULL)
		upload_until(j->upload, until_ms);
}

static void
add_order(struct media_job *j, struct media_order *o)
{
	struct media_order **at = &j->orders;

	while (*at != NULL)
		at = &(*at)->next;
	*at = o;
	o->next = NULL;
	o->job = j;
	job_extend(j, o->until_ms);
}

/* False: it is the first of its name, and known by it now. */
static bool
joined_other(struct media_job *j)
{
	struct table_entry *e = table_find(&j->media->jobs,
	    buf_slice(&j->key));
	struct media_job   *other = (struct media_job *)(void *)e;
	struct media_order *o;

	if (e == NULL) {
		j->entry.key = buf_slice(&j->key);
		table_put(&j->media->jobs, &j->entry);
		j->known = true;
		return false;
	}
	while ((o = j->orders) != NULL) {
		j->orders = o->next;
		j->media->counts.joined++;
		add_order(other, o);
	}
	job_free(j);
	return true;
}

/* The platform holds it already. */
static bool
is_on_shelf(struct media_job *j)
{
	struct slice info;

	if (!shelf_find(&j->media->shelf, buf_slice(&j->key), loop_wall_ms(),
	        &info))
		return false;
	buf_put(&j->file_info, info);
	j->media->counts.cached++;
	job_end(j, RESULT_OK, (struct slice){ NULL, 0 });
	return true;
}

/* --- sending -------------------------------------------------------------- */

static void
put_on_shelf(struct media_job *j, const struct json *doc)
{
	int64_t ttl, margin, now = loop_wall_ms(), until = 0;

	if (!json_int(json_get(doc, "ttl"), &ttl) || ttl < 0)
		return; /* how long it is good nobody has said */
	if (ttl > INT32_MAX)
		ttl = INT32_MAX;
	margin = ttl * 1000 / 5;
	if (margin > MARGIN_MAX_MS)
		margin = MARGIN_MAX_MS;
	if (ttl > 0)
		until = now + ttl * 1000 - margin;
	if (j->url != NULL && (until == 0 || until > now + URL_KEPT_MS))
		until = now + URL_KEPT_MS;
	shelf_put(&j->media->shelf, buf_slice(&j->key),
	    buf_slice(&j->file_info), until, now);
}

static void
take_info(struct media_job *j, const struct json *doc)
{
	struct slice info = json_text(json_get(doc, "file_info"));

	if (info.n == 0) {
		job_wrong(j, RESULT_PLATFORM,
		    "files: the answer has no file_info");
		return;
	}
	buf_put(&j->file_info, info);
	j->media->counts.uploads++;
	log_info("media.uploaded", KV("bot", j->bot->app),
	    KV("kind", kind_info(j->kind)->word), KV("bytes", j->size),
	    KV("large", j->large), KV("trace", (const char *)j->trace));
	put_on_shelf(j, doc);
	job_end(j, RESULT_OK, (struct slice){ NULL, 0 });
}

static void
on_upload(void *self, const struct upload_end *e)
{
	struct media_job *j = self;

	note_reply(j, e->status, e->code, e->trace);
	if (e->result == RESULT_OK) {
		take_info(j, e->doc);
		return;
	}
	if (e->result == RESULT_QUOTA && e->code != 0)
		log_warn("media.quota", KV("bot", j->bot->app),
		    KV("code", e->code));
	job_end(j, e->result, e->message);
}

static void
send_parts(struct media_job *j)
{
	struct media         *m = j->media;
	struct upload_options o = { .loop = m->o.loop, .http = m->http,
		.shelf = &m->shelf, .pace = m->o.pace, .bot = j->bot,
		.counts = &m->sent,
		.numbers = &m->numbers, .scope = j->scope,
		.target = slice_of(j->target),
		.key = buf_slice(&j->upload_key), .name = slice_of(j->name),
		.type = j->kind, .fd = j->fd, .size = j->size,
		.changed_ns = j->changed_ns, .sums = &j->sums,
		.until_ms = j->until_ms,
		.on_done = on_upload, .self = j };

	if (upload_start(&j->upload, &o) != ERR_OK)
		job_wrong(j, RESULT_PLATFORM, "out of memory");
}

/* Bytes in the body are in no newer page of the platform: where it refuses the
 * request, and not the media, they go in parts. */
static bool
must_go_in_parts(const struct media_job *j, const struct errand_end *x)
{
	return j->fd >= 0 && (x->result == RESULT_BAD_ARG ||
	    x->result == RESULT_UNSUPPORTED || x->result == RESULT_REJECTED);
}

static void
on_files(void *self, const struct errand_end *x)
{
	struct media_job *j = self;

	if (x->reply != NULL)
		note_reply(j, x->reply->status, x->reply->code,
		    x->reply->trace);
	if (x->result == RESULT_OK) {
		j->media->counts.bytes += j->size;
		take_info(j, x->reply->doc);
	} else if (must_go_in_parts(j, x)) {
		buf_free(&j->errand.body);
		send_parts(j);
	} else
		job_end(j, x->result, x->message);
}

/* Appends base64 of the file; read in steps, so that only one copy is ever in
 * memory. */
static bool
put_base64(struct buf *out, int fd, uint64_t size)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned char in[BASE64_STEP];
	char          text[BASE64_STEP / 3 * 4];

	for (uint64_t at = 0; at < size; at += sizeof in) {
		size_t want = size - at < sizeof in ? (size_t)(size - at)
		                                    : sizeof in, n = 0;

		memset(in, 0, sizeof in);
		if (pread(fd, in, want, (off_t)at) != (ssize_t)want)
			return false;
		for (size_t i = 0; i < want; i += 3, n += 4) {
			unsigned v = (unsigned)in[i] << 16 |
			    (unsigned)in[i + 1] << 8 | in[i + 2];

			for (int k = 0; k < 4; k++)
				text[n + (size_t)k] =
				    digits[v >> (18 - 6 * k) & 63];
			if (i + 1 >= want)
				text[n + 2] = '=';
			if (i + 2 >= want)
				text[n + 3] = '=';
		}
		buf_put(out, (struct slice){ text, n });
	}
	return !out->failed;
}

static bool
put_bytes(struct media_job *j, struct buf *body)
{
	uint64_t size;

	/* Room for all, or growing would hold two of it. */
	if (buf_room(body, (size_t)j->size / 3 * 4 + 64) == NULL)
		return false;
	body->n--; /* the closing brace */
	buf_puts(body, ",\"file_data\":\"");
	if (!put_base64(body, j->fd, j->size) ||
	    upload_changed(j->fd, &size) != j->changed_ns || size != j->size)
		return false;
	buf_puts(body, "\"}");
	return !body->failed;
}

static void
send_whole(struct media_job *j)
{
	struct json *o = json_new_object();
	struct buf  *body = &j->errand.body;

	json_put_int(o, "file_type", j->kind);
	json_put_bool(o, "srv_send_msg", false);
	if (j->kind == KIND_FILE)
		json_put_text(o, "file_name", slice_of(j->name));
	if (j->url != NULL)
		json_put_text(o, "url", slice_of(j->url));
	json_write(o, body);
	json_free(&o);
	if (body->n == 0 || (j->url == NULL && !put_bytes(j, body))) {
		job_wrong(j, RESULT_MEDIA,
		    "the file cannot be read, or has changed meanwhile");
		return;
	}
	if (errand_start(&j->errand, ERRAND_FILES, j->scope,
	        slice_of(j->target)) != ERR_OK)
		job_wrong(j, RESULT_PLATFORM, "out of memory");
}

static void
job_send(struct media_job *j)
{
	struct media *m = j->media;

	job_enter(j, SENDING);
	if (loop_now(m->o.loop) >= j->until_ms)
		job_wrong(j, RESULT_PLATFORM,
		    "its turn did not come in time");
	else if (j->large)
		send_parts(j);
	else
		send_whole(j);
}

static bool
has_place(const struct media *m, bool large)
{
	return large ? m->large < LARGE_AT_ONCE : m->small < SMALL_AT_ONCE;
}

static struct media_job *
next_to_send(struct media *m)
{
	struct media_job *j;

	TAILQ_FOREACH(j, &m->waiting, list)
		if (has_place(m, j->large))
			return j;
	return NULL;
}

/* --- summing -------------------------------------------------------------- */

static void
summed(struct media_job *j)
{
	enum err e = digest_end(&j->digest, &j->sums);

	digest_close(&j->digest);
	if (e != ERR_OK) {
		job_wrong(j, RESULT_PLATFORM, err_text(e));
		return;
	}
	make_content_key(j);
	if (j->key.failed || j->upload_key.failed)
		job_wrong(j, RESULT_PLATFORM, "out of memory");
	else if (!is_on_shelf(j) && !joined_other(j))
		job_enter(j, WAITING);
}

static void
sum_slice(struct media_job *j)
{
	struct media *m = j->media;
	uint64_t      at = j->digest.n, left = j->size - at;
	size_t        want = left < SLICE_BYTES ? (size_t)left : SLICE_BYTES;
	ssize_t       n = pread(j->fd, m->slice, want, (off_t)at);

	if (n <= 0) {
		job_wrong(j, RESULT_MEDIA, n < 0 ? "the file cannot be read"
		                                 : "the file ended early");
		return;
	}
	digest_add(&j->digest, (struct slice){ m->slice, (size_t)n });
	if (j->digest.n == j->size)
		summed(j);
	else
		job_enter(j, SUMMING); /* behind the others */
}

/* --- opening -------------------------------------------------------------- */

static const char base64_is[] = "base64:";

static int
base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

static bool
write_base64(int fd, struct slice text)
{
	unsigned char out[BASE64_STEP];
	unsigned      bits = 0, value = 0;
	size_t        n = 0, end = text.n;

	while (end > 0 && text.p[end - 1] == '=')
		end--;
	if (text.n - end > 2 || end % 4 == 1)
		return false;
	for (size_t i = 0; i < end; i++) {
		int v = base64_value(text.p[i]);

		if (v < 0)
			return false;
		value = value << 6 | (unsigned)v;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			out[n++] = (unsigned char)(value >> bits);
		}
		if (n == sizeof out || (i + 1 == end && n > 0)) {
			if (write(fd, out, n) != (ssize_t)n)
				return false;
			n = 0;
		}
	}
	return true;
}

/* A file like others, but in memory; a call is small. */
static const char *
open_base64(struct media_job *j, struct slice text)
{
	j->fd = memfd_create("media", MFD_CLOEXEC);
	if (j->fd < 0)
		return "out of memory";
	return write_base64(j->fd, text) ? NULL : "is no base64";
}

static const char *
open_path(struct media_job *j, struct slice path)
{
	const char *dir = j->media->o.dir;

	if (dir == NULL || dir[0] == '\0')
		return "files of this machine are not sent: "
		       "ROOKERY_MEDIA_DIR is empty";
	switch (beneath_open(dir, path, &j->fd)) {
	case ERR_OK:
		return NULL;
	case ERR_NOT_FOUND:
		return "no such file below ROOKERY_MEDIA_DIR";
	case ERR_FORBIDDEN:
		return "is no file below ROOKERY_MEDIA_DIR, or may not be "
		       "read";
	default:
		return "cannot be opened";
	}
}

static struct slice
base_name(struct slice path)
{
	size_t n = path.n, from;

	for (size_t i = 0; i < path.n; i++)
		if (path.p[i] == '?' || path.p[i] == '#') {
			n = i;
			break;
		}
	for (from = n; from > 0 && path.p[from - 1] != '/'; from--)
		;
	return (struct slice){ path.p + from, n - from };
}

/* Shown to people, and wanted for every upload in parts. */
static bool
name_job(struct media_job *j, const struct media_want *w, bool bytes)
{
	struct slice name = w->name;
	char         made[32];

	if (name.n == 0 && !bytes)
		name = base_name(w->source);
	if (name.n == 0 || name.n > 255) {
		snprintf(made, sizeof made, "%s%s%s",
		    kind_info(w->type)->word, j->format != NULL ? "." : "",
		    j->format != NULL ? j->format->name : "");
		name = slice_of(made);
	}
	return (j->name = slice_dup(name)) != NULL;
}

static void
read_head(struct media_job *j)
{
	char    head[FORMAT_HEAD];
	ssize_t n = pread(j->fd, head, sizeof head, 0);

	j->changed_ns = upload_changed(j->fd, &j->size);
	if (n > 0)
		j->format = format_of((struct slice){ head, (size_t)n });
}

/* What is wrong with it is said here, or it is on its way to be summed. */
static void
check_file(struct media_job *j)
{
	if (format_wrong(j->kind, j->format, j->size, &j->message)) {
		job_end(j, RESULT_MEDIA, buf_slice(&j->message));
		return;
	}
	if (j->form) {
		if (j->format->form)
			job_end(j, RESULT_OK, (struct slice){ NULL, 0 });
		else {
			buf_putf(&j->message, "image: is %s, and there only "
			    "png and jpg go", j->format->name);
			job_end(j, RESULT_MEDIA, buf_slice(&j->message));
		}
		return;
	}
	if (j->size > kind_info(j->kind)->soft) {
		log_info("media.as_file", KV("bot", j->bot->app),
		    KV("kind", kind_info(j->kind)->word),
		    KV("bytes", j->size));
		j->kind = KIND_FILE;
	}
	j->large = j->size > j->media->o.inline_max;
	if (digest_open(&j->digest) != ERR_OK)
		job_wrong(j, RESULT_PLATFORM, "out of memory");
	else
		job_enter(j, SUMMING);
}

static void
begin_url(struct media_job *j, const struct media_want *w)
{
	if (!conf_url_allowed(w->source)) {
		job_wrong(j, RESULT_BAD_ARG,
		    "only https addresses are sent");
		return;
	}
	if (j->form) {
		job_end(j, RESULT_OK, (struct slice){ NULL, 0 });
		return;
	}
	j->url = slice_dup(w->source);
	make_key(j, w->source);
	if (j->url == NULL || !name_job(j, w, false) || j->key.failed) {
		job_wrong(j, RESULT_PLATFORM, "out of memory");
		return;
	}
	make_key(j, w->source); /* now with its name */
	if (!is_on_shelf(j) && !joined_other(j))
		job_enter(j, WAITING);
}

static void
begin_file(struct media_job *j, const struct media_want *w)
{
	bool         bytes = slice_starts(w->source, slice_of(base64_is));
	const char  *wrong = bytes
	     ? open_base64(j, slice_from(w->source, sizeof base64_is - 1))
	     : open_path(j, w->source);

	if (wrong != NULL) {
		buf_putf(&j->message, "%s: %s", kind_info(j->kind)->word,
		    wrong);
		job_end(j, RESULT_MEDIA, buf_slice(&j->message));
		return;
	}
	read_head(j);
	if (!name_job(j, w, bytes))
		job_wrong(j, RESULT_PLATFORM, "out of memory");
	else
		check_file(j);
}

static void
begin(struct media_job *j, const struct media_want *w)
{
	if (kind_info(w->type) == NULL)
		job_wrong(j, RESULT_BAD_ARG, "type: 1 picture, 2 video, "
		    "3 voice or 4 file");
	else if (w->source.n == 0)
		job_wrong(j, RESULT_BAD_ARG, "source: is empty");
	else if (j->form && w->type != KIND_PICTURE)
		job_wrong(j, RESULT_UNSUPPORTED, "channels and direct "
		    "conversations take pictures only");
	else if (slice_starts(w->source, SLICE("https://")) ||
	    slice_starts(w->source, SLICE("http://")))
		begin_url(j, w);
	else
		begin_file(j, w);
}

static enum err
job_new(struct media *m, struct media_order *o)
{
	struct media_job *j = calloc(1, sizeof *j);

	if (j == NULL || (j->target = slice_dup(o->target)) == NULL) {
		free(j);
		return ERR_NOMEM;
	}
	m->njobs++;
	j->media = m;
	j->fd = -1;
	j->bot = o->bot;
	j->scope = o->scope;
	j->kind = o->want.type;
	j->form = o->scope != SCOPE_C2C && o->scope != SCOPE_GROUP;
	j->errand = (struct errand){ .loop = m->o.loop, .http = m->http,
		.bot = o->bot, .pace = m->o.pace,
		.on_done = on_files, .self = j };
	add_order(j, o);
	begin(j, &o->want);
	return ERR_OK;
}

/* A job holds a file open; orders alone hold nothing. */
static void
line_up(struct media *m, struct media_order *o)
{
	o->job = NULL;
	o->next = NULL;
	if (m->lined != NULL)
		m->lined_last->next = o;
	else
		m->lined = o;
	m->lined_last = o;
}

static bool
leave_line(struct media *m, struct media_order *o)
{
	struct media_order **at = &m->lined, *last = NULL;

	for (; *at != NULL && *at != o; at = &(*at)->next)
		last = *at;
	if (*at == NULL)
		return false;
	*at = o->next;
	if (m->lined_last == o)
		m->lined_last = last;
	return true;
}

/* --- answers -------------------------------------------------------------- */

static bool
is_of_target(enum result r)
{
	return r == RESULT_MUTED_OR_GONE || r == RESULT_UNKNOWN_TARGET ||
	    r == RESULT_REJECTED;
}

static void
answer(struct media_job *j, struct media_order *o)
{
	struct media_answer a = { .result = j->result, .status = j->status,
		.code = j->code, .message = buf_slice(&j->message),
		.trace = slice_of(j->trace),
		.file_info = buf_slice(&j->file_info), .file.fd = -1 };

	if (j->form && j->fd >= 0 && j->result == RESULT_OK)
		a.file = (struct media_file){ j->fd, j->size,
			slice_of(j->name), slice_of(j->format->mime) };
	j->media->orders--;
	o->on_done(o->self, &a);
}

/* Who only shared in it must not fail for another's conversation. */
static bool
starts_over(struct media_job *j, struct media_order *o)
{
	if (!is_of_target(j->result) || slice_is(o->target, j->target))
		return false;
	j->media->orders--;
	return media_start(j->media, o) == ERR_OK;
}

static void
tell(struct media_job *j)
{
	struct media_order *o;

	while ((o = j->orders) != NULL) {
		j->orders = o->next;
		o->next = NULL;
		o->job = NULL;
		if (!starts_over(j, o))
			answer(j, o);
	}
	job_free(j);
}

/* --- the loop ------------------------------------------------------------- */

static bool
pending(void *self)
{
	struct media *m = self;

	return !TAILQ_EMPTY(&m->ended) || !TAILQ_EMPTY(&m->summing) ||
	    next_to_send(m) != NULL ||
	    (m->lined != NULL && m->njobs < JOBS_MAX);
}

static void
serve(void *self)
{
	struct media       *m = self;
	struct media_job   *j;
	struct media_order *o;

	while ((o = m->lined) != NULL && m->njobs < JOBS_MAX) {
		leave_line(m, o);
		if (job_new(m, o) != ERR_OK) {
			line_up(m, o);
			break;
		}
	}
	if (!TAILQ_EMPTY(&m->summing))
		sum_slice(TAILQ_FIRST(&m->summing));
	while ((j = next_to_send(m)) != NULL)
		job_send(j);
	/* Those that end meanwhile have their turn. */
	for (j = TAILQ_LAST(&m->ended, job_list); j != NULL;) {
		struct media_job *first = TAILQ_FIRST(&m->ended);

		tell(first);
		if (first == j)
			break;
	}
}

/* --- from outside --------------------------------------------------------- */

enum err
media_start(struct media *m, struct media_order *o)
{
	enum err e = ERR_OK;

	o->job = NULL;
	if (m->njobs >= JOBS_MAX)
		line_up(m, o);
	else
		e = job_new(m, o);
	m->orders += e == ERR_OK;
	return e;
}

void
media_cancel(struct media *m, struct media_order *o)
{
	struct media_job    *j = o->job;
	struct media_order **at;

	if (j == NULL) {
		m->orders -= leave_line(m, o);
		return;
	}
	for (at = &j->orders; *at != o; at = &(*at)->next)
		;
	*at = o->next;
	o->job = NULL;
	m->orders--;
	if (j->orders == NULL && j->state != ENDED)
		job_free(j);
}

void
media_forget(struct media *m, struct slice file_info)
{
	size_t n = shelf_drop_value(&m->shelf, 'f', file_info,
	    loop_wall_ms());

	log_info("media.forgotten", KV("entries", n));
}

size_t
media_orders(const struct media *m)
{
	return m->orders;
}

struct media_counts
media_counts(const struct media *m)
{
	struct media_counts     c = m->counts;
	const struct media_job *j;

	c.parts = m->sent.parts;
	c.bytes += m->sent.bytes;
	c.retried = m->sent.retried;
	c.resumed = m->sent.resumed;
	TAILQ_FOREACH(j, &m->sending, list)
		c.held += errand_in_line(&j->errand) ||
		    (j->upload != NULL && upload_in_line(j->upload));
	return c;
}

/* --- life ----------------------------------------------------------------- */

enum err
media_new(struct media **out, const struct media_options *o)
{
	struct media       *m = calloc(1, sizeof *m);
	struct http_options http = { .connections = CONNECTIONS,
		.timeout_ms = o->timeout_ms, .ca_file = o->ca_file };
	struct loop_source  src = { pending, serve, m };
	enum err            e = ERR_NOMEM;

	if (m == NULL)
		return ERR_NOMEM;
	m->o = *o;
	TAILQ_INIT(&m->summing);
	TAILQ_INIT(&m->waiting);
	TAILQ_INIT(&m->sending);
	TAILQ_INIT(&m->ended);
	if ((m->slice = malloc(SLICE_BYTES)) == NULL ||
	    (e = shelf_open(&m->shelf, o->state_dir, o->durability,
	         loop_wall_ms())) != ERR_OK ||
	    (e = http_new(&m->http, o->loop, &http)) != ERR_OK ||
	    (e = loop_add_source(o->loop, &src)) != ERR_OK)
		media_free(&m);
	*out = m;
	return e;
}

static void
free_all(struct job_list *list)
{
	while (!TAILQ_EMPTY(list))
		job_free(TAILQ_FIRST(list));
}

void
media_free(struct media **mp)
{
	struct media *m = *mp;

	*mp = NULL;
	if (m == NULL)
		return;
	free_all(&m->summing);
	free_all(&m->waiting);
	free_all(&m->sending);
	free_all(&m->ended);
	loop_remove_source(m->o.loop, m);
	http_free(&m->http);
	shelf_close(&m->shelf);
	free(m->slice);
	free(m);
}
