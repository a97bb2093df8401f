/*
 * A request with a sink: the bytes go to a file without a name worth knowing,
 * which gets the name of its content when all of it is there.  Redirects are
 * followed here, one request each, so that each is looked at like the first.
 */
#include "fetch.h"

#include <sys/file.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "backoff.h"
#include "conf.h"
#include "digest.h"
#include "format.h"
#include "log.h"

enum {
	AT_ONCE = 4, HOPS = 3, STALL_S = 20, URL_MAX = 4096,
	INBOX_FILES = 10000, FILE_MODE = 0640, DIR_MODE = 0750
};

/* Locked by whom it belongs to: several of us may share the folder. */
static const char part[] = ".part-";

struct fetch_job {
	LIST_ENTRY(fetch_job) list;
	struct fetch       *fetch;
	struct fetch_order *order;
	struct http_request request;
	struct http_sink    sink;
	struct timer        timer;       /* an end that is known at once */
	const char         *wrong;
	uint64_t            until_ms;
	unsigned            hops;
	char               *url;
	char                temporary[32];
	int                 fd, error;
	uint64_t            n;
	size_t              nhead;
	char                head[FORMAT_HEAD];
	struct sum          sum;
};

struct fetch {
	struct fetch_options  o;
	struct http          *http;
	struct http_headers  *headers;
	LIST_HEAD(, fetch_job) jobs;
	int                   inbox;     /* -1: not opened yet */
	char                 *path;      /* of it, absolute */
	struct fetch_counts   counts;
};

/* --- the inbox ------------------------------------------------------------ */

static bool
is_part(const char *name)
{
	return strncmp(name, part, sizeof part - 1) == 0;
}

static DIR *
list_inbox(const struct fetch *f)
{
	int  fd = openat(f->inbox, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

	if (d == NULL && fd >= 0)
		close(fd);
	return d;
}

static void
remove_part(const struct fetch *f, const char *name)
{
	int fd = openat(f->inbox, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW |
	    O_NONBLOCK);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		unlinkat(f->inbox, name, 0);
	if (fd >= 0)
		close(fd);
}

/* What an earlier run has left in the middle. */
static void
remove_parts(const struct fetch *f)
{
	DIR           *d = list_inbox(f);
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL)
		if (is_part(e->d_name))
			remove_part(f, e->d_name);
	if (d != NULL)
		closedir(d);
}

static const char *
open_inbox(struct fetch *f)
{
	char *inbox;

	if (f->inbox >= 0)
		return NULL;
	if (f->o.dir == NULL || f->o.dir[0] == '\0')
		return "nothing is fetched: ROOKERY_MEDIA_DIR is empty";
	if ((inbox = conf_path(f->o.dir, "inbox")) == NULL)
		return "out of memory";
	(void)!mkdir(f->o.dir, DIR_MODE);
	(void)!mkdir(inbox, DIR_MODE);
	f->inbox = open(inbox, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	f->path = realpath(inbox, NULL);
	free(inbox);
	if (f->inbox < 0 || f->path == NULL)
		return "ROOKERY_MEDIA_DIR: inbox cannot be made there";
	remove_parts(f);
	return NULL;
}

struct old {
	int64_t  changed_ns;
	uint64_t size;
	char    *name;
};

static int
by_age(const void *a, const void *b)
{
	int64_t x = ((const struct old *)a)->changed_ns;
	int64_t y = ((const struct old *)b)->changed_ns;

	return (x > y) - (x < y);
}

static size_t
read_inbox(const struct fetch *f, struct old **out)
{
	DIR           *d = list_inbox(f);
	struct dirent *e;
	struct old    *list = NULL, *more;
	size_t         n = 0, cap = 0;

	while (d != NULL && (e = readdir(d)) != NULL) {
		struct stat st;

		if (fstatat(f->inbox, e->d_name, &st, AT_SYMLINK_NOFOLLOW) !=
		        0 || !S_ISREG(st.st_mode) || is_part(e->d_name))
			continue;
		if (n == cap) {
			cap = cap == 0 ? 64 : cap * 2;
			more = realloc(list, cap * sizeof *list);
			if (more == NULL)
				break;
			list = more;
		}
		list[n++] = (struct old){ (int64_t)st.st_mtim.tv_sec *
			    1000000000 + st.st_mtim.tv_nsec,
			(uint64_t)st.st_size, strdup(e->d_name) };
	}
	if (d != NULL)
		closedir(d);
	*out = list;
	return n;
}

/* The oldest go, the one that has just come stays. */
static void
bound_inbox(struct fetch *f)
{
	struct old *list;
	size_t      n = read_inbox(f, &list), left = n;
	uint64_t    bytes = 0;

	for (size_t i = 0; i < n; i++)
		bytes += list[i].size;
	if (n > 0)
		qsort(list, n, sizeof *list, by_age);
	for (size_t i = 0; i + 1 < n && list[i].name != NULL &&
	     (bytes > f->o.inbox_bytes || left > INBOX_FILES); i++) {
		if (unlinkat(f->inbox, list[i].name, 0) != 0)
			continue;
		bytes -= list[i].size;
		left--;
		f->counts.removed++;
	}
	for (size_t i = 0; i < n; i++)
		free(list[i].name);
	free(list);
}

/* --- the end of a job ----------------------------------------------------- */

static void
job_free(struct fetch_job *j)
{
	struct fetch *f = j->fetch;

	LIST_REMOVE(j, list);
	loop_cancel(f->o.loop, &j->timer);
	http_cancel(f->http, &j->request);
	sum_close(&j->sum);
	if (j->fd >= 0) {
		close(j->fd);
		unlinkat(f->inbox, j->temporary, 0);
	}
	free(j->url);
	free(j);
}

static void
end(struct fetch_job *j, const struct fetch_answer *a)
{
	struct fetch_order *o = j->order;

	o->job = NULL;
	if (a->result == RESULT_OK) {
		j->fetch->counts.fetched++;
		j->fetch->counts.bytes += a->size;
		log_info("fetch.done", KV("bytes", a->size),
		    KV("type", a->type));
	} else {
		j->fetch->counts.failed++;
		log_info("fetch.failed", KV("code", result_name(a->result)),
		    KV("status", a->status), KV("why", a->message));
	}
	o->on_done(o->self, a);
	job_free(j);
}

static void
fail(struct fetch_job *j, enum result result, unsigned status,
    const char *why)
{
	struct fetch_answer a = { .result = result, .status = status,
		.message = slice_of(why) };

	end(j, &a);
}

/* Letters and digits behind the last dot of the address. */
static void
extension(const struct fetch_job *j, char out[10])
{
	const char *p = strstr(j->url, "://") + 3, *dot = NULL;
	size_t      n = 0;

	for (; *p != '\0' && *p != '?' && *p != '#'; p++)
		dot = *p == '.' ? p : *p == '/' ? NULL : dot;
	snprintf(out, 10, "bin");
	if (dot == NULL)
		return;
	while (n < 9 && isalnum((unsigned char)dot[1 + n]))
		n++;
	if (n > 0 && n < 9 && dot + 1 + n == p)
		snprintf(out, 10, "%.*s", (int)n, dot + 1);
}

static void
keep(struct fetch_job *j, const struct http_answer *h)
{
	const struct format *format = format_of((struct slice){ j->head,
	    j->nhead });
	char                 sum[SUM_HEX], ending[10], path[PATH_MAX], *name;
	struct fetch_answer  a = { .status = h->status, .size = j->n };

	sum_end(&j->sum, sum);
	extension(j, ending);
	snprintf(path, sizeof path, "%s/%s.%s", j->fetch->path, sum,
	    format != NULL ? format->name : ending);
	name = strrchr(path, '/') + 1;
	if (renameat(j->fetch->inbox, j->temporary, j->fetch->inbox, name) !=
	    0) {
		fail(j, RESULT_MEDIA, h->status,
		    "ROOKERY_MEDIA_DIR: the file cannot be kept");
		return;
	}
	close(j->fd);
	j->fd = -1;
	bound_inbox(j->fetch);
	a.path = slice_of(path);
	a.type = format != NULL ? slice_of(format->mime)
	    : h->type.n > 0     ? h->type
	                        : SLICE("application/octet-stream");
	end(j, &a);
}

/* --- the request ---------------------------------------------------------- */

static void job_ask(struct fetch_job *);

/* Relative ones are rare here: of them only those from the root on. */
static bool
follow(struct fetch_job *j, struct slice to)
{
	const char *rest = strstr(j->url, "://");
	struct buf  url = { 0 };

	if (++j->hops > HOPS || to.n == 0 || to.n > URL_MAX)
		return false;
	if (slice_starts(to, SLICE("//")))
		buf_put(&url, (struct slice){ j->url,
		    (size_t)(rest + 1 - j->url) });
	else if (to.p[0] == '/')
		buf_put(&url, (struct slice){ j->url, (size_t)(rest + 3 +
		    strcspn(rest + 3, "/?#") - j->url) });
	buf_put(&url, to);
	if (url.failed || !conf_url_allowed(buf_slice(&url))) {
		buf_free(&url);
		return false;
	}
	free(j->url);
	j->url = url.p;
	return true;
}

static void
failed(struct fetch_job *j, const struct http_answer *a)
{
	char why[160];

	switch (a->err) {
	case ERR_FORBIDDEN:
		snprintf(why, sizeof why, "url: %s", a->why);
		fail(j, RESULT_BAD_ARG, 0, why);
		break;
	case ERR_TOO_LARGE:
		snprintf(why, sizeof why, "has more than %llu bytes "
		    "(ROOKERY_FETCH_MAX)", (unsigned long long)j->sink.max);
		fail(j, RESULT_MEDIA, a->status, why);
		break;
	case ERR_SYSTEM:
		snprintf(why, sizeof why, "ROOKERY_MEDIA_DIR: %s",
		    strerror(j->error));
		fail(j, RESULT_MEDIA, a->status, why);
		break;
	case ERR_TIMEOUT:
		fail(j, RESULT_MEDIA, a->status,
		    "too slow (ROOKERY_FETCH_TIMEOUT_MS)");
		break;
	default:
		snprintf(why, sizeof why, "%s", a->why);
		fail(j, RESULT_MEDIA, a->status, why);
	}
}

static void
on_answer(void *self, const struct http_answer *a)
{
	struct fetch_job *j = self;
	char              why[80];

	if (a->err != ERR_OK)
		failed(j, a);
	else if (a->status / 100 == 3 && a->status != 304) {
		if (follow(j, a->location))
			job_ask(j);
		else
			fail(j, RESULT_MEDIA, a->status,
			    "redirected to where we do not go");
	} else if (a->status / 100 != 2) {
		snprintf(why, sizeof why, "its server answers %u", a->status);
		fail(j, RESULT_MEDIA, a->status, why);
	} else if (j->n == 0)
		fail(j, RESULT_MEDIA, a->status, "is empty");
	else
		keep(j, a);
}

static enum err
open_temporary(struct fetch_job *j)
{
	struct fetch *f = j->fetch;

	snprintf(j->temporary, sizeof j->temporary, "%s%08x%08x", part,
	    (unsigned)backoff_chance(), (unsigned)backoff_chance());
	j->fd = openat(f->inbox, j->temporary, O_WRONLY | O_CREAT | O_EXCL |
	    O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
	j->error = errno;
	if (j->fd < 0)
		return ERR_SYSTEM;
	(void)flock(j->fd, LOCK_EX | LOCK_NB);
	return ERR_OK;
}

static enum err
on_bytes(void *self, struct slice bytes)
{
	struct fetch_job *j = self;
	size_t            more = sizeof j->head - j->nhead;
	ssize_t           n;

	if (j->fd < 0 && open_temporary(j) != ERR_OK)
		return ERR_SYSTEM;
	if (more > bytes.n)
		more = bytes.n;
	memcpy(j->head + j->nhead, bytes.p, more);
	j->nhead += more;
	sum_add(&j->sum, bytes);
	j->n += bytes.n;
	while (bytes.n > 0) {
		if ((n = write(j->fd, bytes.p, bytes.n)) < 0) {
			j->error = errno;
			return ERR_SYSTEM;
		}
		bytes = slice_from(bytes, (size_t)n);
	}
	return ERR_OK;
}

static void
on_wrong(void *self)
{
	struct fetch_job *j = self;

	fail(j, j->hops == 0 ? RESULT_BAD_ARG : RESULT_MEDIA, 0, j->wrong);
}

static void
wrong(struct fetch_job *j, const char *why)
{
	j->wrong = why;
	loop_after(j->fetch->o.loop, &j->timer, 0, on_wrong, j);
}

static void
job_ask(struct fetch_job *j)
{
	struct fetch *f = j->fetch;
	uint64_t      now = loop_now(f->o.loop);
	enum err      e;

	j->sink = (struct http_sink){ .max = f->o.max, .on_bytes = on_bytes,
		.self = j };
	j->request = (struct http_request){ .method = "GET", .url = j->url,
		.headers = f->headers, .sink = &j->sink,
		.until_ms = j->until_ms, .stall_s = STALL_S,
		.most_ms = j->until_ms > now ? j->until_ms - now : 1,
		.on_done = on_answer, .self = j };
	if ((e = http_start(f->http, &j->request)) != ERR_OK)
		wrong(j, e == ERR_SYNTAX ? "url: only https addresses are "
		                           "fetched" : err_text(e));
}

/* --- from outside --------------------------------------------------------- */

/* The platform's events name attachments without a scheme now and then. */
static char *
whole_url(struct slice url)
{
	struct buf b = { 0 };

	if (memmem(url.p, url.n, "://", 3) == NULL)
		buf_puts(&b, slice_starts(url, SLICE("//")) ? "https:"
		                                            : "https://");
	buf_put(&b, url);
	return b.p;
}

enum err
fetch_start(struct fetch *f, struct fetch_order *o)
{
	struct fetch_job *j = calloc(1, sizeof *j);
	uint64_t          until = loop_now(f->o.loop) + f->o.timeout_ms;
	const char       *why = NULL;

	o->job = NULL;
	if (j == NULL)
		return ERR_NOMEM;
	if (sum_open(&j->sum, SUM_SHA256) != ERR_OK) {
		free(j);
		return ERR_NOMEM;
	}
	j->fetch = f;
	j->fd = -1;
	j->order = o;
	j->until_ms = o->until_ms < until ? o->until_ms : until;
	o->job = j;
	LIST_INSERT_HEAD(&f->jobs, j, list);
	if (o->url.n == 0 || o->url.n > URL_MAX ||
	    memchr(o->url.p, '\0', o->url.n) != NULL)
		why = "url: is no address";
	else if ((j->url = whole_url(o->url)) == NULL)
		why = "out of memory";
	else if (conf_url_allowed(slice_of(j->url)))
		why = open_inbox(f);
	if (why != NULL)
		wrong(j, why);
	else
		job_ask(j);
	return ERR_OK;
}

void
fetch_cancel(struct fetch *f, struct fetch_order *o)
{
	(void)f;
	if (o->job != NULL)
		job_free(o->job);
	o->job = NULL;
}

struct fetch_counts
fetch_counts(const struct fetch *f)
{
	return f->counts;
}

/* --- life ----------------------------------------------------------------- */

enum err
fetch_new(struct fetch **out, const struct fetch_options *o)
{
	static const char *const lines[] = { "Accept: */*", NULL };
	struct fetch       *f = calloc(1, sizeof *f);
	struct http_options http = { .connections = AT_ONCE,
		.timeout_ms = o->timeout_ms, .ca_file = o->ca_file,
		.guard = !o->private };
	enum err            e;

	if (f == NULL)
		return ERR_NOMEM;
	f->o = *o;
	f->inbox = -1;
	LIST_INIT(&f->jobs);
	e = http_new(&f->http, o->loop, &http);
	if (e == ERR_OK && (f->headers = http_headers_new(lines)) == NULL)
		e = ERR_NOMEM;
	if (e != ERR_OK)
		fetch_free(&f);
	else
		(void)open_inbox(f); /* tried, and told, again by a fetch */
	*out = f;
	return e;
}

void
fetch_free(struct fetch **fp)
{
	struct fetch *f = *fp;

	*fp = NULL;
	if (f == NULL)
		return;
	while (!LIST_EMPTY(&f->jobs))
		job_free(LIST_FIRST(&f->jobs));
	http_headers_free(&f->headers);
	http_free(&f->http);
	if (f->inbox >= 0)
		close(f->inbox);
	free(f->path);
	free(f);
}
