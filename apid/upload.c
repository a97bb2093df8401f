/*
 * The order of things, and what becomes of each that goes wrong.  Which bytes
 * are which is parts.c's, when to ask the platform again errand.c's.
 */
#include "upload.h"

#include <sys/stat.h>

#include <stdlib.h>
#include <unistd.h>

#include "log.h"

enum {
	CODE_TRY_AGAIN = 40093001,
	SUM_TURN = 16               /* reads in one turn of the loop */
};

/* One of the parts under way. */
struct put {
	struct upload      *upload;
	struct part        *part;       /* NULL: free */
	struct http_request request;
	struct http_file    file;
	struct sum          md5;
	bool                torn;       /* md5 has not seen it in order */
	bool                numbers;    /* as it was told */
	bool                refused;    /* by the storage: is it finished? */
	char                sum[SUM_HEX];
	struct errand       finish;
	struct timer        timer;      /* until it is tried again */
	unsigned            tries;
	uint64_t            since_ms;   /* of being told to try again */
};

struct upload {
	struct upload_options o;
	struct http_headers  *headers;
	struct errand         talk;     /* prepare, files */
	struct parts          parts;
	struct put            puts[PARTS_AT_ONCE];
	struct timer          timer;
	unsigned              prepares;
	bool                  numbers, completed_once, ended;
	char                  why[200];
};

static const uint32_t put_ms[] = { 1000, 2000, 4000, 0 };

static void prepare(struct upload *);
static void go_on(struct upload *);
static void put_start(struct put *);
static void on_retry(void *);

uint64_t
upload_changed(int fd, uint64_t *size)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		memset(&st, 0, sizeof st);
	*size = (uint64_t)st.st_size;
	return (uint64_t)st.st_mtim.tv_sec * 1000000000u +
	    (uint64_t)st.st_mtim.tv_nsec;
}

/* --- the end -------------------------------------------------------------- */

static void
put_stop(struct put *p)
{
	struct upload *u = p->upload;

	if (p->part == NULL)
		return;
	http_cancel(u->o.http, &p->request);
	loop_cancel(u->o.loop, &p->timer);
	errand_close(&p->finish);
	parts_again(&u->parts, p->part);
	p->part = NULL;
}

static void
end(struct upload *u, const struct upload_end *e)
{
	u->ended = true;
	for (int i = 0; i < PARTS_AT_ONCE; i++)
		put_stop(&u->puts[i]);
	u->o.on_done(u->o.self, e);
}

static void
fail(struct upload *u, enum result result, const char *why)
{
	struct upload_end e = { .result = result, .message = slice_of(why) };

	end(u, &e);
}

static void
fail_as(struct upload *u, const struct errand_end *x)
{
	struct upload_end e = { .result = x->result, .message = x->message };

	if (x->reply != NULL) {
		e.status = x->reply->status;
		e.code = x->reply->code;
		e.trace = x->reply->trace;
	}
	end(u, &e);
}

/* The content, its target or the allowance is refused; not the upload. */
static bool
is_final(const struct errand_end *x)
{
	switch (x->result) {
	case RESULT_MEDIA:
	case RESULT_QUOTA:
	case RESULT_MUTED_OR_GONE:
	case RESULT_UNKNOWN_TARGET:
	case RESULT_RATE_LIMITED:
		return true;
	default:
		return x->reply == NULL || x->reply->cls != CLASS_PERMANENT;
	}
}

/* --- the shelf ------------------------------------------------------------ */

static void
keep(struct upload *u)
{
	int64_t    now = loop_wall_ms();
	struct buf text = { 0 };

	parts_save(&u->parts, &text);
	if (!text.failed && text.n > 0)
		shelf_put(u->o.shelf, u->o.key, buf_slice(&text),
		    now + UPLOAD_KEEP_MS, now);
	buf_free(&text);
}

/* An earlier try has come some way. */
static bool
find_earlier(struct upload *u)
{
	struct slice text;
	const char  *why;

	if (!shelf_find(u->o.shelf, u->o.key, loop_wall_ms(), &text) ||
	    parts_read(&u->parts, text, u->o.size, &why) != ERR_OK)
		return false;
	u->o.counts->resumed++;
	log_info("upload.resumed", KV("bot", u->o.bot->app),
	    KV("upload", u->parts.id), KV("bytes", u->o.size),
	    KV("parts", u->parts.n), KV("finished", u->parts.ndone));
	return true;
}

/* The platform or its storage knows it no more. */
static void
begin_anew(struct upload *u, const char *why)
{
	if (u->prepares >= UPLOAD_PREPARES) {
		fail(u, RESULT_PLATFORM, why);
		return;
	}
	log_warn("upload.anew", KV("bot", u->o.bot->app),
	    KV("upload", u->parts.id), KV("why", why));
	for (int i = 0; i < PARTS_AT_ONCE; i++)
		put_stop(&u->puts[i]);
	shelf_drop(u->o.shelf, u->o.key, loop_wall_ms());
	parts_free(&u->parts);
	prepare(u);
}

/* --- prepare, files ------------------------------------------------------- */

static void
put_size(struct json *o, const char *key, uint64_t n, bool number)
{
	char text[24];

	snprintf(text, sizeof text, "%llu", (unsigned long long)n);
	if (number)
		json_put_int(o, key, (int64_t)n);
	else
		json_put_text(o, key, slice_of(text));
}

static void
send_talk(struct upload *u, enum errand_to to, struct json **o,
    void (*on_done)(void *, const struct errand_end *))
{
	u->talk.on_done = on_done;
	buf_reset(&u->talk.body);
	json_write(*o, &u->talk.body);
	json_free(o);
	if (u->talk.body.n == 0 || errand_start(&u->talk, to, u->o.scope,
	        u->o.target) != ERR_OK)
		fail(u, RESULT_PLATFORM, "out of memory");
}

/* The pages say the sizes are strings, the platform's own library sends
 * numbers: when the one is not taken the other is tried. */
static bool
try_numbers(struct upload *u, const struct errand_end *x, bool were)
{
	if (were || is_final(x))
		return false;
	log_info("upload.numbers", KV("code", x->reply->code),
	    KV("why", x->message));
	*u->o.numbers = true;
	return true;
}

static void
on_prepared(void *self, const struct errand_end *x)
{
	struct upload *u = self;
	const char    *why;
	enum err       e;

	if (x->result != RESULT_OK) {
		if (try_numbers(u, x, u->numbers))
			prepare(u);
		else
			fail_as(u, x);
		return;
	}
	e = parts_read(&u->parts, json_print(x->reply->doc), u->o.size, &why);
	if (e != ERR_OK) {
		snprintf(u->why, sizeof u->why, "upload_prepare: %s",
		    e == ERR_SYNTAX ? why : err_text(e));
		fail(u, RESULT_PLATFORM, u->why);
		return;
	}
	log_info("upload.begun", KV("bot", u->o.bot->app),
	    KV("upload", u->parts.id), KV("bytes", u->o.size),
	    KV("parts", u->parts.n), KV("at_once", u->parts.at_once));
	keep(u);
	go_on(u);
}

static void
prepare(struct upload *u)
{
	struct json *o = json_new_object();

	u->prepares++;
	u->numbers = *u->o.numbers;
	json_put_int(o, "file_type", u->o.type);
	json_put_text(o, "file_name", u->o.name);
	put_size(o, "file_size", u->o.size, u->numbers);
	json_put_text(o, "md5", slice_of(u->o.sums->md5));
	json_put_text(o, "sha1", slice_of(u->o.sums->sha1));
	json_put_text(o, "md5_10m", slice_of(u->o.sums->md5_10m));
	send_talk(u, ERRAND_PREPARE, &o, on_prepared);
}

static void
on_completed(void *self, const struct errand_end *x)
{
	struct upload    *u = self;
	struct upload_end e = { 0 };

	if (x->result != RESULT_OK) {
		if (is_final(x) || u->completed_once)
			fail_as(u, x);
		else {
			u->completed_once = true;
			snprintf(u->why, sizeof u->why, "files: %.*s",
			    (int)x->message.n, x->message.p);
			begin_anew(u, u->why);
		}
		return;
	}
	shelf_drop(u->o.shelf, u->o.key, loop_wall_ms());
	e.status = x->reply->status;
	e.trace = x->reply->trace;
	e.doc = x->reply->doc;
	end(u, &e);
}

static void
complete(struct upload *u)
{
	struct json *o;
	uint64_t     size;

	if (upload_changed(u->o.fd, &size) != u->o.changed_ns ||
	    size != u->o.size) {
		shelf_drop(u->o.shelf, u->o.key, loop_wall_ms());
		fail(u, RESULT_MEDIA, "the file changed while it was sent");
		return;
	}
	o = json_new_object();
	json_put_int(o, "file_type", u->o.type);
	json_put_text(o, "file_name", u->o.name);
	json_put_text(o, "upload_id", u->parts.id);
	json_put_bool(o, "srv_send_msg", false);
	send_talk(u, ERRAND_FILES, &o, on_completed);
}

/* --- a part --------------------------------------------------------------- */

static void
on_read(void *self, uint64_t offset, struct slice bytes)
{
	struct put *p = self;

	if (offset == 0) {
		sum_reset(&p->md5);
		p->torn = false;
	}
	p->torn = p->torn || offset != p->md5.n;
	sum_add(&p->md5, bytes);
}

static void
part_failed(struct put *p, const char *why)
{
	struct upload *u = p->upload;

	if (p->tries >= UPLOAD_TRIES ||
	    loop_now(u->o.loop) >= u->o.until_ms) {
		snprintf(u->why, sizeof u->why, "part %lld: %s",
		    (long long)p->part->order, why);
		fail(u, RESULT_PLATFORM, u->why);
		return;
	}
	u->o.counts->retried++;
	log_warn("upload.part_again", KV("bot", u->o.bot->app),
	    KV("upload", u->parts.id), KV("part", p->part->order),
	    KV("why", why), KV("try", p->tries));
	loop_after(u->o.loop, &p->timer, put_ms[p->tries - 1], on_retry, p);
}

static void
on_finished(void *self, const struct errand_end *x)
{
	struct put    *p = self;
	struct upload *u = p->upload;
	uint64_t       now = loop_now(u->o.loop);
	bool           later = x->reply != NULL &&
	             x->reply->code == CODE_TRY_AGAIN;

	if (x->result == RESULT_OK) {
		u->o.counts->parts++;
		u->o.counts->bytes += p->file.n;
		parts_done(&u->parts, p->part);
		p->part = NULL;
		keep(u);
		go_on(u);
		return;
	}
	if (p->since_ms == 0)
		p->since_ms = now;
	if (later && !p->refused &&
	    now - p->since_ms < u->parts.patience_ms &&
	    now < u->o.until_ms) {
		u->o.counts->retried++;
		loop_after(u->o.loop, &p->timer, u->parts.delay_ms, on_retry,
		    p);
	} else if (later && !p->refused)
		fail_as(u, x);
	else if (!p->refused && try_numbers(u, x, p->numbers))
		loop_after(u->o.loop, &p->timer, 0, on_retry, p);
	else if (!later && is_final(x))
		fail_as(u, x);
	else {
		snprintf(u->why, sizeof u->why, "part %lld: %.*s",
		    (long long)p->part->order, (int)x->message.n,
		    x->message.p);
		begin_anew(u, u->why);
	}
}

static void
finish_part(struct put *p)
{
	struct upload *u = p->upload;
	struct json   *o = json_new_object();

	p->finish.loop = u->o.loop;
	p->finish.http = u->o.http;
	p->finish.bot = u->o.bot;
	p->finish.pace = u->o.pace;
	p->finish.until_ms = u->o.until_ms;
	p->finish.told_code = CODE_TRY_AGAIN;
	p->finish.on_done = on_finished;
	p->finish.self = p;
	p->numbers = *u->o.numbers;
	json_put_text(o, "upload_id", u->parts.id);
	json_put_ref(o, "part_index", p->part->index);
	put_size(o, "block_size", p->file.n, p->numbers);
	json_put_text(o, "md5", slice_of(p->sum));
	buf_reset(&p->finish.body);
	json_write(o, &p->finish.body);
	json_free(&o);
	if (p->finish.body.n == 0 || errand_start(&p->finish, ERRAND_FINISH,
	        u->o.scope, u->o.target) != ERR_OK)
		fail(u, RESULT_PLATFORM, "out of memory");
}

/* Its bytes, summed without being sent: some at a time, others wait. */
static void
on_sum(void *self)
{
	struct put    *p = self;
	struct upload *u = p->upload;
	char           bytes[1 << 16];
	uint64_t       left = p->file.n - p->md5.n;
	ssize_t        n;

	for (int i = 0; i < SUM_TURN && left > 0; i++, left -= (uint64_t)n) {
		n = pread(p->file.fd, bytes,
		    left < sizeof bytes ? (size_t)left : sizeof bytes,
		    (off_t)(p->file.at + p->md5.n));
		if (n <= 0) {
			fail(u, RESULT_MEDIA, "the file cannot be read");
			return;
		}
		sum_add(&p->md5, (struct slice){ bytes, (size_t)n });
	}
	if (left > 0) {
		loop_after(u->o.loop, &p->timer, 0, on_sum, p);
		return;
	}
	sum_end(&p->md5, p->sum);
	finish_part(p);
}

/*
 * Its address is too old, or the part was finished by a process that died
 * before it could note it: a storage that takes no part twice says the same
 * of both.  The platform knows.
 */
static void
ask_finished(struct put *p, unsigned status)
{
	struct upload *u = p->upload;

	log_info("upload.part_refused", KV("bot", u->o.bot->app),
	    KV("upload", u->parts.id), KV("part", p->part->order),
	    KV("status", status));
	p->refused = true;
	p->tries = 0;
	sum_reset(&p->md5);
	loop_after(u->o.loop, &p->timer, 0, on_sum, p);
}

static void
on_put(void *self, const struct http_answer *a)
{
	struct put    *p = self;
	struct upload *u = p->upload;
	char           why[120];

	if (a->err == ERR_STALE) {
		shelf_drop(u->o.shelf, u->o.key, loop_wall_ms());
		fail(u, RESULT_MEDIA, "the file changed while it was sent");
		return;
	}
	if (a->err == ERR_OK && a->status / 100 == 2 && !p->torn &&
	    p->md5.n == p->file.n) {
		sum_end(&p->md5, p->sum);
		p->tries = 0;
		finish_part(p);
		return;
	}
	if (a->err == ERR_OK && (a->status == 403 || a->status == 404 ||
	        a->status == 410)) {
		ask_finished(p, a->status);
		return;
	}
	if (a->err == ERR_OK)
		snprintf(why, sizeof why, "the storage answers %u",
		    a->status);
	else
		snprintf(why, sizeof why, "%s", a->why);
	part_failed(p, why);
}

/* Its bytes have arrived, or they have not. */
static void
on_retry(void *self)
{
	struct put *p = self;

	if (p->sum[0] != '\0')
		finish_part(p);
	else
		put_start(p);
}

static void
put_start(struct put *p)
{
	struct upload *u = p->upload;
	enum err       e;

	p->tries++;
	p->sum[0] = '\0';
	p->torn = false;
	sum_reset(&p->md5);
	p->file = (struct http_file){ .fd = u->o.fd,
		.at = parts_offset(&u->parts, p->part),
		.n = parts_length(&u->parts, p->part), .on_read = on_read,
		.self = p };
	p->request = (struct http_request){ .method = "PUT",
		.url = p->part->url, .file = &p->file,
		.headers = u->headers, .proxy = u->o.bot->proxy,
		.until_ms = u->o.until_ms,
		.slow_ms = UPLOAD_PART_MS, .stall_s = UPLOAD_STALL_S,
		.on_done = on_put, .self = p };
	if ((e = http_start(u->o.http, &p->request)) != ERR_OK)
		part_failed(p, err_text(e));
}

static struct put *
free_put(struct upload *u)
{
	for (int i = 0; i < PARTS_AT_ONCE; i++)
		if (u->puts[i].part == NULL)
			return &u->puts[i];
	return NULL;
}

static void
go_on(struct upload *u)
{
	struct part *part;

	if (u->parts.ndone == u->parts.n) {
		complete(u);
		return;
	}
	while (!u->ended && (part = parts_next(&u->parts)) != NULL) {
		struct put *p = free_put(u);

		p->part = part;
		p->tries = 0;
		p->since_ms = 0;
		p->refused = false;
		put_start(p);
	}
}

/* --- life ----------------------------------------------------------------- */

static void
on_begin(void *self)
{
	struct upload *u = self;

	if (find_earlier(u))
		go_on(u);
	else
		prepare(u);
}

enum err
upload_start(struct upload **out, const struct upload_options *o)
{
	/* Its address is its right: nothing of the bot's goes there. */
	static const char *const lines[] = {
		"Content-Type: application/octet-stream", "Expect:", NULL };
	struct upload *u = calloc(1, sizeof *u);
	enum err       e = ERR_NOMEM;

	if (u == NULL)
		return ERR_NOMEM;
	u->o = *o;
	u->talk = (struct errand){ .loop = o->loop, .http = o->http,
		.bot = o->bot, .pace = o->pace,
		.until_ms = o->until_ms, .self = u };
	u->headers = http_headers_new(lines);
	for (int i = 0; i < PARTS_AT_ONCE; i++) {
		u->puts[i].upload = u;
		if (sum_open(&u->puts[i].md5, SUM_MD5) != ERR_OK)
			goto out;
	}
	if (u->headers != NULL)
		e = loop_after(o->loop, &u->timer, 0, on_begin, u);
out:
	if (e != ERR_OK)
		upload_free(&u);
	*out = u;
	return e;
}

void
upload_until(struct upload *u, uint64_t until_ms)
{
	if (until_ms <= u->o.until_ms)
		return;
	u->o.until_ms = u->talk.until_ms = until_ms;
	for (int i = 0; i < PARTS_AT_ONCE; i++)
		u->puts[i].finish.until_ms = until_ms;
}

bool
upload_in_line(const struct upload *u)
{
	for (int i = 0; i < PARTS_AT_ONCE; i++)
		if (errand_in_line(&u->puts[i].finish))
			return true;
	return errand_in_line(&u->talk);
}

void
upload_free(struct upload **up)
{
	struct upload *u = *up;

	*up = NULL;
	if (u == NULL)
		return;
	loop_cancel(u->o.loop, &u->timer);
	for (int i = 0; i < PARTS_AT_ONCE; i++) {
		put_stop(&u->puts[i]);
		errand_close(&u->puts[i].finish);
		sum_close(&u->puts[i].md5);
	}
	errand_close(&u->talk);
	http_headers_free(&u->headers);
	parts_free(&u->parts);
	free(u);
}
