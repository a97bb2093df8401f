/*
 * libcurl's multi interface on our loop.  Its callbacks only translate: the
 * descriptors it wants watched, the time it wants to be woken, the bytes that
 * came.  What an answer means is reply.c's.
 *
 * This is where most of a reply's cost arises, hence: handles, buffers and
 * header lists are used again, and the timer is only moved when it must ring
 * earlier.
 */
#include "http.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <stddef.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include <curl/curl.h>

#include "address.h"
#include "conf.h"
#include "log.h"
#include "proc.h"

enum {
	CURL_KEPT_BODY = 65536, CONNECTION_LIFE_S = 600,
	IDLE_S = 118,        /* libcurl's own */
	IDLE_ONCE_S = 3      /* the next second is over before 5 s are */
};
enum { HEAD_TRACE, HEAD_RETRY_AFTER, HEAD_TYPE, HEAD_LOCATION, HEADS };
enum { HEAD_MAX = 128, LOCATION_MAX = 2048 };

/* The header lines that are kept, and how much of them. */
static const struct {
	struct slice name;
	size_t       max;
} kept_heads[HEADS] = {
	[HEAD_TRACE] = { { "x-tps-trace-id:", 15 }, HEAD_MAX },
	[HEAD_RETRY_AFTER] = { { "retry-after:", 12 }, HEAD_MAX },
	[HEAD_TYPE] = { { "content-type:", 13 }, HEAD_MAX },
	[HEAD_LOCATION] = { { "location:", 9 }, LOCATION_MAX },
};

struct http_headers {
	struct curl_slist *list;
	unsigned           refs;
};

/* Which proxy is set. */
enum way { WAY_ENVIRONMENT, WAY_NONE, WAY_NAMED };

struct http_slot {
	CURL                *easy;
	struct http_request *request;
	struct http_headers *headers;
	struct http_slot    *next;
	struct buf           body;
	struct slice         upload;       /* what is left of a `once` body */
	const struct http_file *file;      /* what is sent of it */
	uint64_t             nread;
	curl_mime           *mime;
	uint64_t             nsunk;        /* what the sink has had */
	enum err             sunk;         /* what it said */
	uint64_t             timeout_ms;   /* as it is set */
	unsigned             stall_s;      /* as it is set */
	bool                 too_large, clear, scheme_set, spoiled;
	enum way             way;          /* as it is set */
	bool                 file_short, guarded;
	struct slice         heads[HEADS];
	char                 head[HEAD_MAX * 3 + LOCATION_MAX];
	char                 error[CURL_ERROR_SIZE];
};

struct http {
	struct loop         *loop;
	struct http_options  o;
	CURLM               *multi;
	struct http_slot    *free;
	struct http_request *first, *last;   /* waiting for a connection */
	size_t               running, nwaiting;
	struct timer         timer;
	uint64_t             wake_ms;        /* libcurl's wish; 0: none */
	uint64_t             heard_ms;       /* when anything was answered */
	uint64_t             deaf_ms;        /* older connections are dead */
	bool                 kick;           /* wants to be called at once */
	bool                 ended;          /* a request may have */
};

/* --- headers -------------------------------------------------------------- */

struct http_headers *
http_headers_new(const char *const *lines)
{
	struct http_headers *h = calloc(1, sizeof *h);

	if (h == NULL)
		return NULL;
	h->refs = 1;
	for (; *lines != NULL; lines++) {
		struct curl_slist *more = curl_slist_append(h->list, *lines);

		if (more == NULL) {
			http_headers_free(&h);
			return NULL;
		}
		h->list = more;
	}
	return h;
}

void
http_headers_free(struct http_headers **hp)
{
	struct http_headers *h = *hp;

	*hp = NULL;
	if (h == NULL || --h->refs > 0)
		return;
	for (struct curl_slist *l = h->list; l != NULL; l = l->next)
		explicit_bzero(l->data, strlen(l->data));
	curl_slist_free_all(h->list);
	free(h);
}

/* --- what libcurl calls --------------------------------------------------- */

static size_t
to_sink(struct http_slot *s, const struct http_sink *k, struct slice bytes)
{
	curl_off_t whole = -1;

	if (s->nsunk == 0) /* what is known to be too large is not begun */
		curl_easy_getinfo(s->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T,
		    &whole);
	if (bytes.n > k->max - s->nsunk ||
	    (whole > 0 && (uint64_t)whole > k->max)) {
		s->too_large = true;
		return 0;
	}
	s->nsunk += bytes.n;
	s->sunk = k->on_bytes(k->self, bytes);
	return s->sunk == ERR_OK ? bytes.n : 0;
}

static size_t
on_body(char *p, size_t size, size_t n, void *self)
{
	struct http_slot *s = self;
	long              status = 0;

	n *= size;
	if (s->request->sink != NULL) {
		curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
		if (status >= 200 && status < 300)
			return to_sink(s, s->request->sink,
			    (struct slice){ p, n });
	}
	if (s->body.n + n > HTTP_BODY_MAX) {
		s->too_large = true;
		return 0;
	}
	buf_put(&s->body, (struct slice){ p, n });
	return s->body.failed ? 0 : n;
}

static void
forget_heads(struct http_slot *s)
{
	memset(s->heads, 0, sizeof s->heads);
}

/* One line; of several answers in a row (100, then 200) the last counts. */
static size_t
on_header(char *p, size_t size, size_t n, void *self)
{
	struct http_slot *s = self;
	struct slice      line = { p, n * size }, value;
	char             *to = s->head;

	if (slice_starts(line, SLICE("HTTP/"))) {
		forget_heads(s);
		return line.n;
	}
	for (int i = 0; i < HEADS; to += kept_heads[i++].max) {
		struct slice name = kept_heads[i].name;

		if (line.n < name.n || strncasecmp(p, name.p, name.n) != 0)
			continue;
		value = slice_trim(slice_from(line, name.n));
		if (value.n > kept_heads[i].max)
			value.n = 0;
		if (value.n > 0)
			memcpy(to, value.p, value.n);
		s->heads[i] = (struct slice){ to, value.n };
	}
	return line.n;
}

/* A body read this way cannot be rewound, so that libcurl does not send it
 * again by itself when a kept connection breaks. */
static size_t
on_upload(char *to, size_t size, size_t n, void *self)
{
	struct http_slot *s = self;

	n *= size;
	if (n > s->upload.n)
		n = s->upload.n;
	if (n > 0)
		memcpy(to, s->upload.p, n);
	s->upload = slice_from(s->upload, n);
	return n;
}

static size_t
on_file(char *to, size_t size, size_t n, void *self)
{
	struct http_slot       *s = self;
	const struct http_file *f = s->file;
	ssize_t                 got;

	n *= size;
	if (n > f->n - s->nread)
		n = (size_t)(f->n - s->nread);
	if (n == 0)
		return 0;
	got = pread(f->fd, to, n, (off_t)(f->at + s->nread));
	if (got <= 0) {
		s->file_short = true;
		return CURL_READFUNC_ABORT;
	}
	if (f->on_read != NULL)
		f->on_read(f->self, s->nread,
		    (struct slice){ to, (size_t)got });
	s->nread += (uint64_t)got;
	return (size_t)got;
}

/* A kept connection has broken: libcurl sends it again by itself. */
static int
on_file_seek(void *self, curl_off_t to, int whence)
{
	struct http_slot *s = self;

	if (whence != SEEK_SET || to < 0 || (uint64_t)to > s->file->n)
		return CURL_SEEKFUNC_FAIL;
	s->nread = (uint64_t)to;
	return CURL_SEEKFUNC_OK;
}

/* Asked for the address that is really connected to, whatever name, redirect
 * or second look-up has led there. */
static curl_socket_t
on_open_socket(void *self, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct http_slot *s = self;

	(void)purpose;
	if (!address_is_public(&a->addr)) {
		s->guarded = true;
		return CURL_SOCKET_BAD;
	}
	return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

/* A request of HTTP/2 that times out leaves its connection to the others.  When
 * the path is dead the system would keep that for a quarter of an hour, and
 * every request on it would time out. */
static int
on_new_socket(void *self, curl_socket_t fd, curlsocktype purpose)
{
	const struct http *h = self;
	unsigned           ms = (unsigned)h->o.timeout_ms;

	(void)purpose;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
	return CURL_SOCKOPT_OK;
}

static void on_ready(void *, int, unsigned);

static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *self, void *known)
{
	struct http *h = self;
	unsigned want = (what & CURL_POLL_IN ? LOOP_READ : 0u) |
	    (what & CURL_POLL_OUT ? LOOP_WRITE : 0u);
	enum err e;

	(void)easy, (void)known;
	if (what == CURL_POLL_REMOVE) {
		loop_unwatch(h->loop, fd);
		return 0;
	}
	/* Were this to fail, libcurl would never do anything again.  As it is
	 * one request runs into its time-out. */
	if ((e = loop_watch(h->loop, fd, want, on_ready, h)) != ERR_OK)
		log_error("http.unwatched", KV("why", err_text(e)));
	return 0;
}

static void on_wake(void *);

static int
on_timer(CURLM *multi, long ms, void *self)
{
	struct http *h = self;
	uint64_t     at;

	(void)multi;
	h->wake_ms = 0;
	if (ms == 0)
		h->kick = true;
	if (ms <= 0)
		return 0;
	at = h->wake_ms = loop_clock_ms() + (uint64_t)ms;
	/* One that rings too early looks again (on_wake); most never ring. */
	if (h->timer.slot == 0 || h->timer.at_ms > at)
		h->kick |= loop_after(h->loop, &h->timer, (uint64_t)ms,
		    on_wake, h) != ERR_OK;
	return 0;
}

/* --- the end of a request ------------------------------------------------- */

static enum err
to_err(CURLcode code, const struct http_slot *s)
{
	switch (code) {
	case CURLE_OK:
		return ERR_OK;
	case CURLE_OUT_OF_MEMORY:
		return ERR_NOMEM;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_CONNECT:
		return s->guarded ? ERR_FORBIDDEN : ERR_NETWORK;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
		return ERR_TLS;
	case CURLE_OPERATION_TIMEDOUT:
		return ERR_TIMEOUT;
	case CURLE_WRITE_ERROR:
		if (s->sunk != ERR_OK)
			return s->sunk;
		return s->too_large ? ERR_TOO_LARGE : ERR_NOMEM;
	case CURLE_ABORTED_BY_CALLBACK:
		return s->file_short ? ERR_STALE : ERR_CLOSED;
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return ERR_SYNTAX;
	default:
		return ERR_CLOSED;
	}
}

/* The last word of the header that authorises; empty: none does. */
static struct slice
token_of(const struct http_headers *h)
{
	static const char name[] = "Authorization:";

	for (const struct curl_slist *l = h->list; l != NULL; l = l->next)
		if (strncmp(l->data, name, sizeof name - 1) == 0)
			return slice_of(strrchr(l->data, ' ') + 1);
	return (struct slice){ 0 };
}

static void
read_answer(struct http_slot *s, CURLcode code, struct http_answer *a)
{
	long status = 0, sent = 0;

	curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
	*a = (struct http_answer){ .err = to_err(code, s), .why = "",
		.body = buf_slice(&s->body),
		.trace = s->heads[HEAD_TRACE],
		.retry_after = s->heads[HEAD_RETRY_AFTER],
		.type = s->heads[HEAD_TYPE],
		.location = s->heads[HEAD_LOCATION],
		.token = token_of(s->headers) };
	if (status >= 200 && status <= 999)
		a->status = (unsigned)status;
	a->reached = true;
	if (code == CURLE_OK)
		return;
	/* Not a byte of the request has left: it has surely not arrived. */
	curl_easy_getinfo(s->easy, CURLINFO_REQUEST_SIZE, &sent);
	a->reached = sent > 0 || a->status != 0;
	a->why = s->error[0] != '\0' ? s->error : curl_easy_strerror(code);
	if (a->err == ERR_STALE)
		a->why = "the file ended early";
	if (a->err == ERR_FORBIDDEN)
		a->why = "it leads to a private or reserved address";
}

static void
slot_free(struct http_slot *s)
{
	curl_easy_cleanup(s->easy);
	buf_free(&s->body);
	free(s);
}

static void
slot_release(struct http *h, struct http_slot *s)
{
	curl_easy_setopt(s->easy, CURLOPT_HTTPHEADER, NULL);
	http_headers_free(&s->headers);
	if (s->spoiled) {
		slot_free(s);
		return;
	}
	if (s->body.cap > CURL_KEPT_BODY)
		buf_free(&s->body);
	buf_reset(&s->body);
	s->next = h->free;
	h->free = s;
}

/* A request has waited in vain, and so did all others meanwhile: the network
 * has changed, and each kept connection would cost as long a wait. */
static void
note_life(struct http *h, CURLcode code, const struct http_answer *a)
{
	uint64_t now = loop_clock_ms();

	if (a->status != 0)
		h->heard_ms = now;
	else if (code == CURLE_OPERATION_TIMEDOUT &&
	    now - h->heard_ms >= h->o.timeout_ms)
		h->deaf_ms = now;
}

/* What is sent is its owner's, who may free it now. */
static void
slot_unset_body(struct http_slot *s)
{
	if (s->mime != NULL) {
		curl_easy_setopt(s->easy, CURLOPT_HTTPGET, 1L);
		curl_easy_setopt(s->easy, CURLOPT_MIMEPOST, NULL);
		curl_mime_free(s->mime);
	}
	if (s->file != NULL) {
		curl_easy_setopt(s->easy, CURLOPT_READFUNCTION, on_upload);
		curl_easy_setopt(s->easy, CURLOPT_SEEKFUNCTION, NULL);
		curl_easy_setopt(s->easy, CURLOPT_INFILESIZE_LARGE,
		    (curl_off_t)-1);
	}
	s->mime = NULL;
	s->file = NULL;
}

/* Takes the request out of libcurl; the slot is not free yet. */
static struct http_request *
slot_detach(struct http *h, struct http_slot *s)
{
	struct http_request *r = s->request;

	curl_multi_remove_handle(h->multi, s->easy);
	slot_unset_body(s);
	s->request = NULL;
	r->slot = NULL;
	h->running--;
	return r;
}

static void start_waiting(struct http *);

static void
take_finished(struct http *h)
{
	CURLMsg *m;
	int      left;

	h->ended = false;
	while ((m = curl_multi_info_read(h->multi, &left)) != NULL) {
		struct http_slot    *s;
		struct http_request *r;
		struct http_answer   a;
		CURLcode             code = m->data.result;
		char                *private;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &private);
		s = (struct http_slot *)(void *)private;
		read_answer(s, code, &a);
		note_life(h, code, &a);
		/* libcurl 8 remembers that a body could not be sent again,
		 * and fails whatever the handle is used for next. */
		s->spoiled = code == CURLE_SEND_FAIL_REWIND;
		r = slot_detach(h, s);
		r->on_done(r->self, &a);
		slot_release(h, s);
	}
	start_waiting(h);
}

static void
drive(struct http *h, curl_socket_t fd, int what)
{
	int running;

	h->kick = false;
	curl_multi_socket_action(h->multi, fd, what, &running);
	h->ended = true;
}

static void
on_ready(void *self, int fd, unsigned what)
{
	struct http *h = self;

	drive(h, fd,
	    (what & LOOP_READ ? CURL_CSELECT_IN : 0) |
	        (what & LOOP_WRITE ? CURL_CSELECT_OUT : 0) |
	        (what & LOOP_HANGUP ? CURL_CSELECT_ERR : 0));
}

static void
on_wake(void *self)
{
	struct http *h = self;
	uint64_t     now = loop_clock_ms();

	if (h->wake_ms == 0)
		return;
	if (now < h->wake_ms) {
		loop_after(h->loop, &h->timer, h->wake_ms - now, on_wake, h);
		return;
	}
	h->wake_ms = 0;
	drive(h, CURL_SOCKET_TIMEOUT, 0);
}

/* The answers of a turn are handed on together, after all of its reading, so
 * that the results leave together and wake whoever waits for them once. */
static bool
is_due(void *self)
{
	const struct http *h = self;

	return h->kick || h->ended;
}

static void
serve(void *self)
{
	struct http *h = self;

	if (h->ended)
		take_finished(h);
	if (h->kick)
		drive(h, CURL_SOCKET_TIMEOUT, 0);
}

/* --- the beginning -------------------------------------------------------- */

static int
on_leaving(void *self, char *to, char *from, int to_port, int from_port)
{
	struct http_request *r = ((struct http_slot *)self)->request;

	(void)to, (void)from, (void)to_port, (void)from_port;
	if (r != NULL && r->on_leave != NULL)
		r->on_leave(r->self);
	return CURL_PREREQFUNC_OK;
}

static bool
slot_set(struct http_slot *s, struct http *h)
{
	const struct http_options *o = &h->o;
	CURL                      *e = s->easy;
	CURLcode                   c = CURLE_OK;

	c |= curl_easy_setopt(e, CURLOPT_PRIVATE, s);
	c |= curl_easy_setopt(e, CURLOPT_ERRORBUFFER, s->error);
	c |= curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	c |= curl_easy_setopt(e, CURLOPT_TCP_NODELAY, 1L);
	c |= curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
	c |= curl_easy_setopt(e, CURLOPT_SOCKOPTFUNCTION, on_new_socket);
	c |= curl_easy_setopt(e, CURLOPT_SOCKOPTDATA, h);
	if (o->guard) {
		c |= curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION,
		    on_open_socket);
		c |= curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, s);
	}
	/* Whose time is over must not wait, with the whole loop, for the
	 * thread that looks its name up. */
	c |= curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
	c |= curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	c |= curl_easy_setopt(e, CURLOPT_WRITEDATA, s);
	c |= curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	c |= curl_easy_setopt(e, CURLOPT_HEADERDATA, s);
	c |= curl_easy_setopt(e, CURLOPT_READFUNCTION, on_upload);
	c |= curl_easy_setopt(e, CURLOPT_READDATA, s);
	c |= curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_leaving);
	c |= curl_easy_setopt(e, CURLOPT_PREREQDATA, s);
	c |= curl_easy_setopt(e, CURLOPT_USERAGENT, "rookery/" ROOKERY_VERSION);
	c |= curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	c |= curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	c |= curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
	c |= curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
	c |= curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
	/* Not HTTP/2: its connection would take all that is under way with it,
	 * and leave nobody knowing what became of it. */
	c |= curl_easy_setopt(e, CURLOPT_HTTP_VERSION,
	    (long)CURL_HTTP_VERSION_1_1);
	c |= curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS,
	    (long)HTTP_CONNECT_MS);
	/* One file is trusted and nothing beside it; with a folder of them
	 * libcurl would also read all anew for each connection. */
	c |= curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
	if (o->ca_file != NULL && o->ca_file[0] != '\0')
		c |= curl_easy_setopt(e, CURLOPT_CAINFO, o->ca_file);
	return c == CURLE_OK;
}

static struct http_slot *
slot_get(struct http *h)
{
	struct http_slot *s = h->free;

	if (s != NULL) {
		h->free = s->next;
		return s;
	}
	if ((s = calloc(1, sizeof *s)) == NULL)
		return NULL;
	if ((s->easy = curl_easy_init()) != NULL && slot_set(s, h))
		return s;
	curl_easy_cleanup(s->easy);
	free(s);
	return NULL;
}

/* A file that may be sent once only gets no way back to its beginning. */
static CURLcode
set_part(struct http_slot *s, curl_mimepart *p, const struct http_field *f,
    bool once)
{
	CURLcode c = CURLE_OK;

	if (p == NULL)
		return CURLE_OUT_OF_MEMORY;
	c |= curl_mime_name(p, f->name);
	if (f->file == NULL)
		return c | curl_mime_data(p, f->text.n > 0 ? f->text.p : "",
		               f->text.n);
	s->file = f->file;
	s->nread = 0;
	c |= curl_mime_data_cb(p, (curl_off_t)f->file->n, on_file,
	    once ? NULL : on_file_seek, NULL, s);
	c |= curl_mime_filename(p, f->file_name);
	c |= curl_mime_type(p, f->mime);
	return c;
}

static bool
set_form(struct http_slot *s, const struct http_request *r)
{
	CURLcode c = CURLE_OK;

	if ((s->mime = curl_mime_init(s->easy)) == NULL)
		return false;
	for (size_t i = 0; i < r->form->n; i++)
		c |= set_part(s, curl_mime_addpart(s->mime),
		    &r->form->fields[i], r->once);
	c |= curl_easy_setopt(s->easy, CURLOPT_CUSTOMREQUEST, NULL);
	c |= curl_easy_setopt(s->easy, CURLOPT_MIMEPOST, s->mime);
	return c == CURLE_OK;
}

static bool
set_file(struct http_slot *s, const struct http_request *r)
{
	CURL    *e = s->easy;
	CURLcode c = CURLE_OK;

	s->file = r->file;
	s->nread = 0;
	c |= curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, NULL);
	c |= curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
	c |= curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE,
	    (curl_off_t)r->file->n);
	c |= curl_easy_setopt(e, CURLOPT_READFUNCTION, on_file);
	c |= curl_easy_setopt(e, CURLOPT_SEEKFUNCTION, on_file_seek);
	c |= curl_easy_setopt(e, CURLOPT_SEEKDATA, s);
	return c == CURLE_OK;
}

static bool
set_method(struct http_slot *s, const struct http_request *r)
{
	bool     get = strcmp(r->method, "GET") == 0;
	CURL    *e = s->easy;
	CURLcode c = CURLE_OK;

	if (r->form != NULL)
		return set_form(s, r);
	if (r->file != NULL)
		return set_file(s, r);
	/* What may have a body says how long it is, also when it has none. */
	if (get || (r->body.n == 0 && strcmp(r->method, "DELETE") == 0)) {
		c |= curl_easy_setopt(e, CURLOPT_HTTPGET, 1L);
		c |= curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST,
		    get ? NULL : r->method);
		return c == CURLE_OK;
	}
	s->upload = r->body;
	c |= curl_easy_setopt(e, CURLOPT_POST, 1L);
	c |= curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST,
	    strcmp(r->method, "POST") == 0 ? NULL : r->method);
	c |= curl_easy_setopt(e, CURLOPT_POSTFIELDS,
	    r->body.n == 0 ? "" : r->once ? NULL : r->body.p);
	c |= curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE, (long)r->body.n);
	return c == CURLE_OK;
}

/* http: no proxy, which would carry it off this machine. */
static bool
set_scheme(struct http_slot *s, bool clear, const char *proxy)
{
	enum way way = proxy == NULL ? WAY_ENVIRONMENT
	    : proxy[0] == '\0'       ? WAY_NONE
	                             : WAY_NAMED;

	if (s->scheme_set && s->clear == clear && s->way == way &&
	    way != WAY_NAMED)
		return true;
	s->scheme_set = true;
	s->clear = clear;
	s->way = way;
	return curl_easy_setopt(s->easy, CURLOPT_PROXY, proxy) == CURLE_OK &&
	    curl_easy_setopt(s->easy, CURLOPT_NOPROXY,
	        way == WAY_NAMED ? "" : NULL) == CURLE_OK;
}

static bool
set_timeout(struct http_slot *s, uint64_t ms, const struct http_request *r)
{
	if (r->slow_ms > ms)
		ms = r->slow_ms;
	if (r->most_ms != 0 && r->most_ms < ms)
		ms = r->most_ms;
	if (s->stall_s != r->stall_s) {
		s->stall_s = r->stall_s;
		if (curl_easy_setopt(s->easy, CURLOPT_LOW_SPEED_LIMIT,
		        s->stall_s > 0 ? 1L : 0L) != CURLE_OK ||
		    curl_easy_setopt(s->easy, CURLOPT_LOW_SPEED_TIME,
		        (long)s->stall_s) != CURLE_OK)
			return false;
	}
	if (s->timeout_ms == ms)
		return true;
	s->timeout_ms = ms;
	return curl_easy_setopt(s->easy, CURLOPT_TIMEOUT_MS, (long)ms) ==
	    CURLE_OK;
}

/* No connection is for ever, so that a name that has moved is noticed; and
 * none from before the network changed is used.  libcurl counts in seconds. */
static bool
set_life(struct http *h, struct http_slot *s, const struct http_request *r)
{
	uint64_t ms = h->deaf_ms == 0 ? UINT64_MAX
	                              : loop_clock_ms() - h->deaf_ms;
	long     life = ms / 1000 < CONNECTION_LIFE_S ? (long)(ms / 1000)
	                                              : CONNECTION_LIFE_S;

	/* Servers end connections that have been idle for 5 s or longer: what
	 * meets that end on its way may have arrived or not. */
	return curl_easy_setopt(s->easy, CURLOPT_FRESH_CONNECT,
	           life == 0 ? 1L : 0L) == CURLE_OK &&
	    curl_easy_setopt(s->easy, CURLOPT_MAXAGE_CONN,
	        r->once ? (long)IDLE_ONCE_S : (long)IDLE_S) == CURLE_OK &&
	    curl_easy_setopt(s->easy, CURLOPT_MAXLIFETIME_CONN, life) ==
	        CURLE_OK;
}

/* A form says by itself what it is. */
static struct http_headers *
headers_for(const struct http_request *r)
{
	struct http_headers *h = r->headers, *form;

	if (r->form == NULL) {
		h->refs++;
		return h;
	}
	if ((form = calloc(1, sizeof *form)) == NULL)
		return NULL;
	form->refs = 1;
	for (struct curl_slist *l = h->list; l != NULL; l = l->next) {
		struct curl_slist *more;

		if (strncasecmp(l->data, "content-type:", 13) == 0)
			continue;
		if ((more = curl_slist_append(form->list, l->data)) == NULL) {
			http_headers_free(&form);
			return NULL;
		}
		form->list = more;
	}
	return form;
}

static void
slot_reset(struct http_slot *s)
{
	forget_heads(s);
	s->too_large = s->file_short = s->guarded = false;
	s->sunk = ERR_OK;
	s->nsunk = 0;
	s->error[0] = '\0';
}

static enum err
begin(struct http *h, struct http_request *r)
{
	struct http_slot *s = slot_get(h);
	bool clear = strncmp(r->url, "http://", 7) == 0;

	if (s == NULL)
		return ERR_NOMEM;
	slot_reset(s);
	if ((s->headers = headers_for(r)) == NULL || !set_method(s, r) ||
	    !set_scheme(s, clear, clear || h->o.guard ? "" : r->proxy) ||
	    !set_life(h, s, r) ||
	    !set_timeout(s, h->o.timeout_ms, r) ||
	    curl_easy_setopt(s->easy, CURLOPT_URL, r->url) != CURLE_OK ||
	    curl_easy_setopt(s->easy, CURLOPT_HTTPHEADER, s->headers->list) !=
	        CURLE_OK ||
	    curl_multi_add_handle(h->multi, s->easy) != CURLM_OK) {
		slot_unset_body(s);
		slot_release(h, s);
		return ERR_NOMEM;
	}
	s->request = r;
	r->slot = s;
	h->running++;
	return ERR_OK;
}

static void
give_up(struct http_request *r, enum err e)
{
	struct http_answer a = { .err = e, .why = err_text(e) };

	r->on_done(r->self, &a);
}

static struct http_request *
pop(struct http *h)
{
	struct http_request *r = h->first;

	h->first = r->next;
	if (h->first == NULL)
		h->last = NULL;
	h->nwaiting--;
	r->waiting = false;
	return r;
}

static void
start_waiting(struct http *h)
{
	while (h->first != NULL && h->running < h->o.connections) {
		struct http_request *r = pop(h);
		enum err             e = ERR_TIMEOUT;

		if (r->until_ms == 0 || loop_now(h->loop) < r->until_ms)
			e = begin(h, r);
		if (e != ERR_OK)
			give_up(r, e);
	}
}

enum err
http_start(struct http *h, struct http_request *r)
{
	r->slot = NULL;
	r->next = NULL;
	r->waiting = false;
	if (!conf_url_allowed(slice_of(r->url)))
		return ERR_SYNTAX;
	if (r->urgent || (h->first == NULL && h->running < h->o.connections))
		return begin(h, r);
	r->waiting = true;
	if (h->last != NULL)
		h->last->next = r;
	else
		h->first = r;
	h->last = r;
	h->nwaiting++;
	return ERR_OK;
}

static void
unqueue(struct http *h, struct http_request *r)
{
	struct http_request **at = &h->first, *before = NULL;

	for (; *at != NULL && *at != r; at = &(*at)->next)
		before = *at;
	if (*at == NULL)
		return;
	*at = r->next;
	if (h->last == r)
		h->last = before;
	h->nwaiting--;
	r->waiting = false;
}

void
http_cancel(struct http *h, struct http_request *r)
{
	struct http_slot *s = r->slot;

	if (s != NULL) {
		slot_detach(h, s);
		slot_release(h, s);
		h->ended = true; /* its place is free */
	} else if (r->waiting)
		unqueue(h, r);
}

size_t
http_running(const struct http *h)
{
	return h->running;
}

size_t
http_waiting(const struct http *h)
{
	return h->nwaiting;
}

/* --- life ----------------------------------------------------------------- */

static bool
multi_set(struct http *h)
{
	CURLM    *m = h->multi;
	CURLMcode c = CURLM_OK;

	c |= curl_multi_setopt(m, CURLMOPT_SOCKETFUNCTION, on_socket);
	c |= curl_multi_setopt(m, CURLMOPT_SOCKETDATA, h);
	c |= curl_multi_setopt(m, CURLMOPT_TIMERFUNCTION, on_timer);
	c |= curl_multi_setopt(m, CURLMOPT_TIMERDATA, h);
	c |= curl_multi_setopt(m, CURLMOPT_MAXCONNECTS,
	    (long)h->o.connections + 4);
	return c == CURLM_OK;
}

enum err
http_new(struct http **out, struct loop *loop, const struct http_options *o)
{
	struct http       *h;
	struct loop_source src;
	enum err           e = ERR_SYSTEM;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return ERR_SYSTEM;
	if ((h = calloc(1, sizeof *h)) == NULL) {
		curl_global_cleanup();
		return ERR_NOMEM;
	}
	h->loop = loop;
	h->o = *o;
	src = (struct loop_source){ is_due, serve, h };
	if ((h->multi = curl_multi_init()) == NULL || !multi_set(h) ||
	    (e = loop_add_source(loop, &src)) != ERR_OK) {
		http_free(&h);
		return e;
	}
	*out = h;
	return ERR_OK;
}

/* The owners have cancelled what was under way. */
void
http_free(struct http **hp)
{
	struct http *h = *hp;

	if (h == NULL)
		return;
	*hp = NULL;
	while (h->free != NULL) {
		struct http_slot *s = h->free;

		h->free = s->next;
		slot_free(s);
	}
	curl_multi_cleanup(h->multi);
	loop_remove_source(h->loop, h);
	loop_cancel(h->loop, &h->timer);
	free(h);
	curl_global_cleanup();
}
