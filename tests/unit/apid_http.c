// links: apid/http.c apid/address.c common
// libs: libcurl
/*
 * Requests over real sockets: a server that lives in the same loop answers,
 * hangs, floods, breaks off.
 */
#include "test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "http.h"
#include "log.h"

enum { PEERS = 16, ASKS = 8 };

/* One request of ours and how it ended. */
struct ask {
	struct http_request r;
	enum err            err;
	unsigned            status;
	bool                reached, done;
	size_t              nbody;
	char                body[64], trace[64], why[64];
	char                retry_after[16], type[16], location[64];
};

static struct {
	struct loop         *loop;
	struct http         *http;
	struct http_headers *headers;
	int                  listener;
	unsigned             port;
	size_t               accepted, seen, finished, deaf, drops;
	bool                 guard;
	struct buf           in[PEERS];
	char                 last[512], url[64];
	struct ask           asks[ASKS];
} w;

/* --- the server ----------------------------------------------------------- */

static void
hang_up(int fd, struct buf *in)
{
	loop_unwatch(w.loop, fd);
	close(fd);
	buf_free(in);
}

static void
say(int fd, const char *head, const char *body, size_t n)
{
	struct buf out = { 0 };

	buf_putf(&out, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n", head, n);
	buf_put(&out, (struct slice){ body, n });
	(void)!send(fd, out.p, out.n, MSG_NOSIGNAL);
	buf_free(&out);
}

/* Chunks without end. */
static void
on_flood(void *self, int fd, unsigned what)
{
	static char chunk[6 + 4096 + 2];

	(void)what;
	memset(chunk, 'x', sizeof chunk);
	memcpy(chunk, "1000\r\n", 6);
	memcpy(chunk + 6 + 4096, "\r\n", 2);
	if (send(fd, chunk, sizeof chunk, MSG_NOSIGNAL) < 0)
		hang_up(fd, self);
}

static void
serve(int fd, struct buf *in)
{
	char *path = strchr(in->p, ' ') + 1;

	w.seen++;
	snprintf(w.last, sizeof w.last, "%.500s", in->p);
	if (strncmp(path, "/ok", 3) == 0)
		say(fd, "200 OK\r\nx-tps-TRACE-id:  T1 ", "{}", 2);
	else if (strncmp(path, "/echo", 5) == 0)
		say(fd, "200 OK", strstr(in->p, "\r\n\r\n") + 4,
		    strlen(strstr(in->p, "\r\n\r\n") + 4));
	else if (strncmp(path, "/moved", 6) == 0)
		say(fd, "302 Found\r\nLocation: /ok", "", 0);
	else if (strncmp(path, "/head", 5) == 0)
		say(fd, "429 Slow\r\nRETRY-After: 7\r\nContent-Type: a/b\r\n"
		        "Location: https://x.example/y", "no", 2);
	else if (strncmp(path, "/part", 5) == 0 && w.drops > 0) {
		w.drops--;
		hang_up(fd, in);
	} else if (strncmp(path, "/part", 5) == 0)
		say(fd, "200 OK", strstr(in->p, "\r\n\r\n") + 4,
		    strlen(strstr(in->p, "\r\n\r\n") + 4));
	else if (strncmp(path, "/drop", 5) == 0)
		hang_up(fd, in);
	else if (strncmp(path, "/flood", 6) == 0) {
		static const char head[] = "HTTP/1.1 200 OK\r\n"
		                           "Transfer-Encoding: chunked\r\n\r\n";

		(void)!send(fd, head, sizeof head - 1, MSG_NOSIGNAL);
		loop_watch(w.loop, fd, LOOP_WRITE, on_flood, in);
	}
	if (in->p != NULL)
		in->n = 0; /* its bytes stay, for tests to look at */
}

static bool
is_whole(const struct buf *in)
{
	const char *end = in->n > 0 ? strstr(in->p, "\r\n\r\n") : NULL;
	const char *length = in->n > 0 ? strcasestr(in->p, "content-length:")
	                               : NULL;
	size_t      need;

	if (end == NULL)
		return false;
	need = (size_t)(end - in->p) + 4;
	if (length != NULL && length < end)
		need += strtoul(length + 15, NULL, 10);
	return in->n >= need;
}

static void
on_peer(void *self, int fd, unsigned what)
{
	struct buf *in = self;
	ssize_t     n;

	(void)what;
	if (in < &w.in[w.deaf]) { /* what was sent here is nowhere */
		loop_unwatch(w.loop, fd);
		return;
	}
	if (buf_room(in, 65536) == NULL ||
	    (n = recv(fd, in->p + in->n, 65535, MSG_DONTWAIT)) <= 0) {
		hang_up(fd, in);
		return;
	}
	in->n += (size_t)n;
	in->p[in->n] = '\0';
	if (is_whole(in))
		serve(fd, in);
}

static void
on_listener(void *self, int fd, unsigned what)
{
	int peer = accept(fd, NULL, NULL);

	(void)self, (void)what;
	EXPECT(peer >= 0 && w.accepted < PEERS);
	loop_watch(w.loop, peer, LOOP_READ, on_peer, &w.in[w.accepted++]);
}

/* --- a resolver that does not answer ---------------------------------------- */

static pthread_mutex_t resolver_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t  resolver_change = PTHREAD_COND_INITIALIZER;
static bool            resolver_mute;
static size_t          resolver_asked, resolver_left;

/* In place of the system's, for libcurl's threads.  Every name is unknown,
 * as soon as it is not mute. */
int
getaddrinfo(const char *node, const char *service,
    const struct addrinfo *hints, struct addrinfo **out)
{
	(void)node, (void)service, (void)hints;
	*out = NULL;
	pthread_mutex_lock(&resolver_lock);
	resolver_asked++;
	while (resolver_mute)
		pthread_cond_wait(&resolver_change, &resolver_lock);
	resolver_left++;
	pthread_cond_broadcast(&resolver_change);
	pthread_mutex_unlock(&resolver_lock);
	return EAI_NONAME;
}

static void *
resolver_speaks_after(void *ms)
{
	usleep(*(useconds_t *)ms * 1000);
	pthread_mutex_lock(&resolver_lock);
	resolver_mute = false;
	pthread_cond_broadcast(&resolver_change);
	pthread_mutex_unlock(&resolver_lock);
	return NULL;
}

/* --- a system that watches nothing more -------------------------------------- */

static bool watching_fails;

int
epoll_ctl(int epoll, int op, int fd, struct epoll_event *ev)
{
	if (watching_fails && op == EPOLL_CTL_ADD) {
		errno = ENOSPC;
		return -1;
	}
	return (int)syscall(SYS_epoll_ctl, epoll, op, fd, ev);
}

/* --- the client ----------------------------------------------------------- */

static void
on_done(void *self, const struct http_answer *a)
{
	struct ask *k = self;

	EXPECT(!k->done);
	k->done = true;
	k->err = a->err;
	k->status = a->status;
	k->reached = a->reached;
	/* as it was sent, whoever has a new one by now */
	if (a->reached)
		EXPECT_SLICE(a->token, "X");
	k->nbody = a->body.n;
	snprintf(k->body, sizeof k->body, "%.*s", (int)(a->body.n % 64),
	    a->body.n > 0 ? a->body.p : "");
	snprintf(k->trace, sizeof k->trace, "%.*s", (int)a->trace.n,
	    a->trace.p);
	snprintf(k->why, sizeof k->why, "%s", a->why);
	snprintf(k->retry_after, sizeof k->retry_after, "%.*s",
	    (int)a->retry_after.n, a->retry_after.p);
	snprintf(k->type, sizeof k->type, "%.*s", (int)a->type.n, a->type.p);
	snprintf(k->location, sizeof k->location, "%.*s", (int)a->location.n,
	    a->location.p);
	w.finished++;
}

static struct ask *
ask(size_t i, const char *method, const char *path, const char *body)
{
	struct ask *k = &w.asks[i];
	static char urls[ASKS][80];

	snprintf(urls[i], sizeof urls[i], "%s%s", w.url, path);
	*k = (struct ask){ .r = { .method = method, .url = urls[i],
		.body = slice_of(body), .headers = w.headers,
		.on_done = on_done, .self = k } };
	return k;
}

static void
start(struct ask *k)
{
	EXPECT_INT(http_start(w.http, &k->r), ERR_OK);
}

static void
turn_until(const size_t *what, size_t n)
{
	uint64_t end = loop_clock_ms() + 5000;

	while (*what < n && loop_clock_ms() < end)
		loop_turn(w.loop, 100, NULL);
	EXPECT_INT(*what, n);
}

static void
setup(size_t connections, uint64_t timeout_ms)
{
	static const char *const lines[] = { "Authorization: QQBot X",
		"Content-Type: application/json", "Expect:", NULL };
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t           n = sizeof a;
	struct http_options o = { connections, timeout_ms, NULL, w.guard };

	bool                guard = w.guard;

	memset(&w, 0, sizeof w);
	w.guard = guard;
	log_open("test", LOG_ERROR, false);
	EXPECT_INT(loop_new(&w.loop), ERR_OK);
	EXPECT_INT(http_new(&w.http, w.loop, &o), ERR_OK);
	w.headers = http_headers_new(lines);
	w.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	EXPECT(bind(w.listener, (struct sockaddr *)&a, sizeof a) == 0);
	EXPECT(listen(w.listener, 16) == 0);
	EXPECT(getsockname(w.listener, (struct sockaddr *)&a, &n) == 0);
	w.port = ntohs(a.sin_port);
	snprintf(w.url, sizeof w.url, "http://127.0.0.1:%u", w.port);
	loop_watch(w.loop, w.listener, LOOP_READ, on_listener, NULL);
}

static void
teardown(void)
{
	http_headers_free(&w.headers);
	http_free(&w.http);
	close(w.listener);
	for (size_t i = 0; i < PEERS; i++)
		buf_free(&w.in[i]);
	loop_free(&w.loop);
}

/* --- tests ---------------------------------------------------------------- */

TEST(answers_come_over_one_connection)
{
	struct ask *k;

	setup(8, 2000);
	start(k = ask(0, "GET", "/ok", NULL));
	turn_until(&w.finished, 1);
	EXPECT_INT(k->err, ERR_OK);
	EXPECT_INT(k->status, 200);
	EXPECT_STR(k->body, "{}");
	EXPECT_STR(k->trace, "T1");
	EXPECT(strstr(w.last, "Authorization: QQBot X\r\n") != NULL);
	EXPECT(strstr(w.last, "User-Agent: rookery/") != NULL);
	start(k = ask(1, "POST", "/echo", "{\"a\":1}"));
	turn_until(&w.finished, 2);
	EXPECT_STR(k->body, "{\"a\":1}");
	EXPECT_STR(k->trace, "");
	EXPECT(strstr(w.last, "Expect") == NULL);
	start(k = ask(2, "DELETE", "/ok/x%2Fy/../z", NULL));
	turn_until(&w.finished, 3);
	EXPECT(strncmp(w.last, "DELETE /ok/x%2Fy/../z HTTP/1.1", 30) == 0);
	start(k = ask(3, "GET", "/ok", NULL));
	turn_until(&w.finished, 4);
	EXPECT(strncmp(w.last, "GET /ok", 7) == 0);
	EXPECT_INT(w.accepted, 1);
	teardown();
}

TEST(a_once_body_arrives_whole)
{
	struct ask *k;

	setup(8, 2000);
	k = ask(0, "POST", "/echo", "0123456789");
	k->r.once = true;
	start(k);
	turn_until(&w.finished, 1);
	EXPECT_STR(k->body, "0123456789");
	EXPECT(strstr(w.last, "Content-Length: 10\r\n") != NULL);
	teardown();
}

/* A kept connection that breaks after the request has left: the library would
 * send it again by itself; a `once` request it must not. */
TEST(once_is_never_sent_twice)
{
	for (int once = 0; once < 2; once++) {
		struct ask *k;

		setup(8, 2000);
		start(ask(0, "GET", "/ok", NULL));
		turn_until(&w.finished, 1);
		k = ask(1, "POST", "/drop", "{}");
		k->r.once = once;
		start(k);
		turn_until(&w.finished, 2);
		EXPECT_INT(k->err, ERR_CLOSED);
		EXPECT(k->reached);
		EXPECT_INT(k->status, 0);
		EXPECT_INT(w.seen, once ? 2 : 3);
		teardown();
	}
}

TEST(nobody_there)
{
	struct ask *k;

	setup(8, 2000);
	loop_unwatch(w.loop, w.listener);
	close(w.listener);
	w.listener = -1;
	start(k = ask(0, "POST", "/ok", "{}"));
	turn_until(&w.finished, 1);
	EXPECT_INT(k->err, ERR_NETWORK);
	EXPECT(!k->reached);
	teardown();
}

TEST(no_answer)
{
	struct ask *k;

	setup(8, 200);
	start(k = ask(0, "POST", "/hang", "{}"));
	turn_until(&w.finished, 1);
	EXPECT_INT(k->err, ERR_TIMEOUT);
	EXPECT(k->reached);
	teardown();
}

TEST(no_answer_to_one_in_a_hurry)
{
	struct ask *k;
	uint64_t    began;

	setup(8, 600);
	began = loop_clock_ms();
	k = ask(0, "POST", "/hang", "{}");
	k->r.most_ms = 100;
	start(k);
	turn_until(&w.finished, 1);
	EXPECT_INT(k->err, ERR_TIMEOUT);
	EXPECT(loop_clock_ms() - began < 500);
	/* The next on the same handle has its time. */
	began = loop_clock_ms();
	start(ask(1, "POST", "/hang", "{}"));
	turn_until(&w.finished, 2);
	EXPECT(loop_clock_ms() - began >= 500);
	teardown();
}

/* LK06: the connections there are lead nowhere any more, new ones do. */
TEST(one_time_out_and_not_one_for_each)
{
	setup(8, 300);
	for (size_t i = 0; i < 4; i++)
		start(ask(i, "GET", "/ok", NULL));
	turn_until(&w.finished, 4);
	EXPECT_INT(w.accepted, 4);
	w.deaf = 4;
	start(ask(4, "GET", "/ok", NULL));
	turn_until(&w.finished, 5);
	EXPECT_INT(w.asks[4].err, ERR_TIMEOUT);
	for (size_t i = 5; i < 8; i++) {
		start(ask(i, "GET", "/ok", NULL));
		turn_until(&w.finished, i + 1);
		EXPECT_INT(w.asks[i].err, ERR_OK);
	}
	for (size_t i = 0; i < 4; i++)
		buf_free(&w.in[i]);
	teardown();
}

/* One request that is not answered says nothing about the connections. */
TEST(one_that_hangs_costs_no_connection)
{
	uint64_t end;

	setup(8, 300);
	start(ask(0, "GET", "/hang", NULL));
	end = loop_clock_ms() + 200;
	while (loop_clock_ms() < end)
		loop_turn(w.loop, 20, NULL);
	start(ask(1, "GET", "/ok", NULL));
	turn_until(&w.finished, 2);
	EXPECT_INT(w.asks[0].err, ERR_TIMEOUT);
	start(ask(2, "GET", "/ok", NULL));
	turn_until(&w.finished, 3);
	EXPECT_INT(w.accepted, 2);
	teardown();
}

TEST(a_flood_is_cut)
{
	struct ask *k;

	setup(8, 4000);
	start(k = ask(0, "GET", "/flood", NULL));
	turn_until(&w.finished, 1);
	EXPECT_INT(k->err, ERR_TOO_LARGE);
	EXPECT_INT(k->status, 200);
	EXPECT(k->nbody <= HTTP_BODY_MAX);
	teardown();
}

TEST(redirects_are_answers)
{
	struct ask *k;

	setup(8, 2000);
	start(k = ask(0, "GET", "/moved", NULL));
	turn_until(&w.finished, 1);
	EXPECT_INT(k->status, 302);
	EXPECT_INT(w.seen, 1);
	teardown();
}

TEST(clear_text_stays_on_this_machine)
{
	struct ask *k;

	setup(8, 2000);
	k = ask(0, "GET", "/ok", NULL);
	k->r.url = "http://192.0.2.1/";
	EXPECT_INT(http_start(w.http, &k->r), ERR_SYNTAX);
	k->r.url = "ftp://127.0.0.1/";
	EXPECT_INT(http_start(w.http, &k->r), ERR_SYNTAX);
	/* No proxy of the environment sees it either. */
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	start(k = ask(0, "GET", "/ok", NULL));
	turn_until(&w.finished, 1);
	EXPECT_INT(k->status, 200);
	unsetenv("http_proxy");
	teardown();
}

TEST(bounded_and_in_line)
{
	setup(2, 300);
	for (size_t i = 0; i < 5; i++)
		start(ask(i, "POST", "/hang", "{}"));
	EXPECT_INT(http_running(w.http), 2);
	EXPECT_INT(http_waiting(w.http), 3);
	w.asks[3].r.until_ms = loop_now(w.loop) + 1;
	http_cancel(w.http, &w.asks[4].r);
	EXPECT_INT(http_waiting(w.http), 2);
	ask(5, "GET", "/ok", NULL)->r.urgent = true;
	start(&w.asks[5]);
	turn_until(&w.finished, 1);
	EXPECT(w.asks[5].done);
	turn_until(&w.finished, 5);
	EXPECT(!w.asks[3].reached);
	EXPECT_INT(w.asks[3].err, ERR_TIMEOUT);
	EXPECT(w.asks[2].reached);
	EXPECT(!w.asks[4].done);
	teardown();
}

TEST(cancelled_under_way)
{
	setup(8, 2000);
	start(ask(0, "POST", "/hang", "{}"));
	turn_until(&w.seen, 1);
	http_cancel(w.http, &w.asks[0].r);
	EXPECT_INT(http_running(w.http), 0);
	start(ask(1, "GET", "/ok", NULL));
	turn_until(&w.finished, 1);
	EXPECT(!w.asks[0].done);
	teardown();
}

/* The last one under way is cancelled: who waits must not wait for ever. */
TEST(a_cancelled_one_gives_its_place)
{
	setup(1, 2000);
	ask(0, "GET", "/hang", NULL)->r.urgent = true;
	start(&w.asks[0]);
	turn_until(&w.seen, 1);
	start(ask(1, "GET", "/ok", NULL));
	EXPECT_INT(http_waiting(w.http), 1);
	http_cancel(w.http, &w.asks[0].r);
	turn_until(&w.finished, 1);
	EXPECT_INT(w.asks[1].status, 200);
	teardown();
}

/* A name server that is away takes its own time, but not ours. */
TEST(a_mute_resolver_holds_nobody_up)
{
	useconds_t late_ms = 1500;
	pthread_t  helper;
	uint64_t   began;

	setup(8, 100);
	resolver_mute = true;
	pthread_create(&helper, NULL, resolver_speaks_after, &late_ms);
	began = loop_clock_ms();
	ask(0, "GET", "/ok", NULL)->r.url = "https://api.example.org/";
	start(&w.asks[0]);
	turn_until(&w.finished, 1);
	EXPECT_INT(w.asks[0].err, ERR_TIMEOUT);
	EXPECT(!w.asks[0].reached);
	ask(1, "GET", "/ok", NULL)->r.url = "https://api.example.org/";
	start(&w.asks[1]);
	loop_turn(w.loop, 0, NULL);
	http_cancel(w.http, &w.asks[1].r);
	EXPECT(loop_clock_ms() - began < late_ms - 500);
	pthread_join(helper, NULL);
	pthread_mutex_lock(&resolver_lock);
	while (resolver_left < resolver_asked)
		pthread_cond_wait(&resolver_change, &resolver_lock);
	pthread_mutex_unlock(&resolver_lock);
	teardown();
}

/* libcurl gives all up, for ever, when a callback of ours fails once. */
TEST(a_connection_that_cannot_be_watched)
{
	setup(8, 300);
	watching_fails = true;
	start(ask(0, "GET", "/ok", NULL));
	turn_until(&w.finished, 1);
	EXPECT(w.asks[0].err != ERR_OK);
	watching_fails = false;
	start(ask(1, "GET", "/ok", NULL));
	turn_until(&w.finished, 2);
	EXPECT_INT(w.asks[1].status, 200);
	teardown();
}

/* A kept connection breaks after the request, and nobody listens any more:
 * the first try has arrived, whatever became of the library's second; and the
 * handle serves again. */
TEST(gone_after_the_request)
{
	for (int once = 0; once < 2; once++) {
		struct ask *k;

		setup(8, 2000);
		start(ask(0, "GET", "/ok", NULL));
		turn_until(&w.finished, 1);
		loop_unwatch(w.loop, w.listener);
		close(w.listener);
		w.listener = -1;
		k = ask(1, "POST", "/drop", "{}");
		k->r.once = once;
		start(k);
		turn_until(&w.finished, 2);
		EXPECT(k->reached);
		start(k = ask(2, "POST", "/ok", "{}"));
		turn_until(&w.finished, 3);
		EXPECT_INT(k->err, ERR_NETWORK);
		EXPECT(!k->reached);
		teardown();
	}
}

/* The sockets of this process that are connected to the server. */
static void
expect_given_up_after(unsigned ms)
{
	size_t seen = 0;

	for (int fd = 0; fd < 1024; fd++) {
		struct sockaddr_in a;
		socklen_t          n = sizeof a, nms = sizeof(unsigned);
		unsigned           after = 0;

		if (getpeername(fd, (struct sockaddr *)&a, &n) != 0 ||
		    a.sin_family != AF_INET || ntohs(a.sin_port) != w.port)
			continue;
		seen++;
		EXPECT(getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &after,
		           &nms) == 0);
		EXPECT_INT(after, ms);
	}
	EXPECT_INT(seen, 1);
}

/* Many requests share a connection of HTTP/2, and one that times out leaves it
 * open for the next: the system must notice that its peer is gone. */
TEST(a_dead_path_is_noticed)
{
	setup(8, 2000);
	start(ask(0, "GET", "/ok", NULL));
	turn_until(&w.finished, 1);
	expect_given_up_after(2000);
	teardown();
}

/* --- files, forms, sinks ------------------------------------------------------ */

struct flow {
	size_t    starts, n;
	char      last;
	struct http_file file;
	struct http_sink sink;
};

static void
on_read(void *self, uint64_t offset, struct slice bytes)
{
	struct flow *f = self;

	f->starts += offset == 0;
	f->n = offset + bytes.n;
	f->last = bytes.p[bytes.n - 1];
}

static enum err
on_bytes(void *self, struct slice bytes)
{
	struct flow *f = self;

	f->n += bytes.n;
	f->last = bytes.p[bytes.n - 1];
	return ERR_OK;
}

/* "abc...": the range begins at its second letter. */
static void
open_file(struct flow *f, size_t n)
{
	*f = (struct flow){ .file = { .fd = fileno(tmpfile()), .at = 1,
		.n = n, .on_read = on_read, .self = f },
		.sink = { .max = n, .on_bytes = on_bytes, .self = f } };
	for (size_t i = 0; i <= n; i++)
		EXPECT(pwrite(f->file.fd, &"abcdefghij"[i % 10], 1,
		           (off_t)i) == 1);
}

TEST(a_range_of_a_file)
{
	struct flow f;
	struct ask *k;

	setup(8, 2000);
	open_file(&f, 20000);
	k = ask(0, "PUT", "/part", NULL);
	k->r.file = &f.file;
	start(k);
	turn_until(&w.finished, 1);
	EXPECT_INT(k->status, 200);
	EXPECT_INT(k->nbody, 20000);
	EXPECT(strncmp(k->body, "bcdefghij", 9) == 0);
	EXPECT_INT(f.n, 20000);
	EXPECT(strstr(w.last, "PUT /part HTTP/1.1\r\n") != NULL);
	EXPECT(strstr(w.last, "Content-Length: 20000\r\n") != NULL);
	/* The handle does other things afterwards. */
	start(k = ask(1, "POST", "/echo", "{}"));
	turn_until(&w.finished, 2);
	EXPECT_STR(k->body, "{}");
	start(k = ask(2, "GET", "/ok", NULL));
	turn_until(&w.finished, 3);
	EXPECT_STR(k->body, "{}");
	EXPECT_INT(w.accepted, 1);
	teardown();
}

/* The kept connection breaks when the range has been read: it begins anew. */
TEST(a_range_is_sent_again)
{
	struct flow f;
	struct ask *k;

	setup(8, 2000);
	open_file(&f, 5000);
	start(ask(0, "GET", "/ok", NULL));
	turn_until(&w.finished, 1);
	w.drops = 1;
	k = ask(1, "PUT", "/part", NULL);
	k->r.file = &f.file;
	start(k);
	turn_until(&w.finished, 2);
	EXPECT_INT(k->status, 200);
	EXPECT_INT(k->nbody, 5000);
	EXPECT_INT(f.starts, 2);
	EXPECT_INT(f.n, 5000);
	teardown();
}

TEST(a_file_that_shrank)
{
	struct flow f;
	struct ask *k;

	setup(8, 2000);
	open_file(&f, 5000);
	EXPECT(ftruncate(f.file.fd, 1000) == 0);
	k = ask(0, "PUT", "/part", NULL);
	k->r.file = &f.file;
	start(k);
	turn_until(&w.finished, 1);
	EXPECT_INT(k->err, ERR_STALE);
	EXPECT_STR(k->why, "the file ended early");
	teardown();
}

TEST(a_form)
{
	struct flow f;
	struct ask *k;

	setup(8, 2000);
	open_file(&f, 9);
	for (int once = 0; once < 2; once++) {
		struct http_field fields[] = {
			{ .name = "content", .text = SLICE("hi") },
			{ .name = "msg_id", .text = SLICE("") },
			{ .name = "file_image", .file = &f.file,
			    .file_name = "a.png", .mime = "image/png" },
		};
		struct http_form form = { fields, 3 };

		k = ask((size_t)once, "POST", "/part", NULL);
		k->r.form = &form;
		k->r.once = once;
		start(k);
		turn_until(&w.finished, (size_t)once + 1);
		EXPECT_INT(k->status, 200);
		EXPECT(strstr(w.last, "Content-Type: multipart/form-data; "
		                      "boundary=") != NULL);
		EXPECT(strstr(w.last, "application/json") == NULL);
		EXPECT(strstr(w.last, "Authorization: QQBot X") != NULL);
		EXPECT(strstr(w.in[0].p, "name=\"content\"\r\n\r\nhi\r\n"));
		EXPECT(strstr(w.in[0].p, "name=\"file_image\"; "
		              "filename=\"a.png\"\r\nContent-Type: "
		              "image/png\r\n\r\nbcdefghij\r\n"));
	}
	start(k = ask(2, "GET", "/ok", NULL));
	turn_until(&w.finished, 3);
	EXPECT_STR(k->body, "{}");
	teardown();
}

TEST(a_form_once_is_sent_once)
{
	struct flow       f;
	struct ask       *k;
	struct http_field field = { .name = "file_image", .file = &f.file,
		.file_name = "a.png", .mime = "image/png" };
	struct http_form  form = { &field, 1 };

	for (int once = 0; once < 2; once++) {
		setup(8, 2000);
		open_file(&f, 9);
		start(ask(0, "GET", "/ok", NULL));
		turn_until(&w.finished, 1);
		w.drops = 1;
		k = ask(1, "POST", "/part", NULL);
		k->r.form = &form;
		k->r.once = once;
		start(k);
		turn_until(&w.finished, 2);
		EXPECT_INT(k->err, once ? ERR_CLOSED : ERR_OK);
		EXPECT_INT(w.seen, once ? 2 : 3);
		teardown();
	}
}

TEST(a_sink_takes_what_comes)
{
	struct flow f;
	struct ask *k;

	setup(8, 4000);
	open_file(&f, 1000000);
	k = ask(0, "GET", "/flood", NULL);
	k->r.sink = &f.sink;
	start(k);
	turn_until(&w.finished, 1);
	EXPECT_INT(k->err, ERR_TOO_LARGE);
	EXPECT_INT(k->nbody, 0);
	EXPECT(f.n > 0 && f.n <= 1000000);
	/* What is no success is kept as ever. */
	f.n = 0;
	k = ask(1, "GET", "/head", NULL);
	k->r.sink = &f.sink;
	start(k);
	turn_until(&w.finished, 2);
	EXPECT_STR(k->body, "no");
	EXPECT_INT(f.n, 0);
	teardown();
}

TEST(lines_that_are_kept)
{
	struct ask *k;

	setup(8, 2000);
	start(k = ask(0, "GET", "/head", NULL));
	turn_until(&w.finished, 1);
	EXPECT_STR(k->retry_after, "7");
	EXPECT_STR(k->type, "a/b");
	EXPECT_STR(k->location, "https://x.example/y");
	start(k = ask(1, "GET", "/ok", NULL));
	turn_until(&w.finished, 2);
	EXPECT_STR(k->retry_after, "");
	teardown();
}

TEST(the_guard)
{
	struct ask *k;

	w.guard = true;
	setup(8, 2000);
	start(k = ask(0, "GET", "/ok", NULL));
	turn_until(&w.finished, 1);
	EXPECT_INT(k->err, ERR_FORBIDDEN);
	EXPECT(!k->reached);
	EXPECT_INT(w.accepted, 0);
	teardown();
	w.guard = false;
}

TEST(slow_ones_have_their_time)
{
	struct ask *k;
	uint64_t    began;

	setup(8, 100);
	began = loop_clock_ms();
	k = ask(0, "POST", "/hang", "{}");
	k->r.slow_ms = 400;
	start(k);
	turn_until(&w.finished, 1);
	EXPECT_INT(k->err, ERR_TIMEOUT);
	EXPECT(loop_clock_ms() - began >= 400);
	began = loop_clock_ms();
	k = ask(1, "POST", "/hang", "{}");
	k->r.slow_ms = 4000;
	k->r.stall_s = 1;
	start(k);
	turn_until(&w.finished, 2);
	EXPECT_INT(k->err, ERR_TIMEOUT);
	EXPECT(loop_clock_ms() - began < 3500);
	teardown();
}

/* LK04: parts lie on many hosts, whose servers close when they like. */
TEST(many_hosts_and_few_connections)
{
	static char urls[12][64];
	size_t      open = 0;

	setup(2, 2000);
	loop_unwatch(w.loop, w.listener);
	close(w.listener);
	w.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	EXPECT(bind(w.listener, (struct sockaddr *)&(struct sockaddr_in){
		.sin_family = AF_INET }, sizeof(struct sockaddr_in)) == 0);
	EXPECT(listen(w.listener, 16) == 0);
	w.port = 0;
	for (size_t i = 0; i < 12; i++) {
		struct sockaddr_in a;
		socklen_t          n = sizeof a;

		if (i == 0)
			loop_watch(w.loop, w.listener, LOOP_READ, on_listener,
			    NULL);
		getsockname(w.listener, (struct sockaddr *)&a, &n);
		snprintf(urls[i], sizeof urls[i], "http://127.0.0.%zu:%u/ok",
		    i + 1, ntohs(a.sin_port));
		ask(0, "GET", "", NULL)->r.url = urls[i];
		start(&w.asks[0]);
		turn_until(&w.finished, i + 1);
		EXPECT_INT(w.asks[0].status, 200);
	}
	EXPECT_INT(w.accepted, 12);
	/* The client's ends: those that listen no more have our port. */
	for (int fd = 3; fd < 256; fd++) {
		struct sockaddr_in a;
		socklen_t          n = sizeof a;

		if (fd != w.listener &&
		    getpeername(fd, (struct sockaddr *)&a, &n) == 0 &&
		    a.sin_family == AF_INET) {
			struct sockaddr_in me;

			n = sizeof me;
			getsockname(w.listener, (struct sockaddr *)&me, &n);
			open += a.sin_port == me.sin_port;
		}
	}
	EXPECT(open <= 2 + 4);
	teardown();
}

int
main(void)
{
	RUN(answers_come_over_one_connection);
	RUN(a_once_body_arrives_whole);
	RUN(once_is_never_sent_twice);
	RUN(nobody_there);
	RUN(no_answer);
	RUN(no_answer_to_one_in_a_hurry);
	RUN(one_time_out_and_not_one_for_each);
	RUN(one_that_hangs_costs_no_connection);
	RUN(a_flood_is_cut);
	RUN(redirects_are_answers);
	RUN(clear_text_stays_on_this_machine);
	RUN(bounded_and_in_line);
	RUN(cancelled_under_way);
	RUN(a_cancelled_one_gives_its_place);
	RUN(a_mute_resolver_holds_nobody_up);
	RUN(a_connection_that_cannot_be_watched);
	RUN(gone_after_the_request);
	RUN(a_dead_path_is_noticed);
	RUN(a_range_of_a_file);
	RUN(a_range_is_sent_again);
	RUN(a_file_that_shrank);
	RUN(a_form);
	RUN(a_form_once_is_sent_once);
	RUN(a_sink_takes_what_comes);
	RUN(lines_that_are_kept);
	RUN(the_guard);
	RUN(slow_ones_have_their_time);
	RUN(many_hosts_and_few_connections);
	return test_done();
}
