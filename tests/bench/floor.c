/*
 * floor: the least program that takes the same events from the same session
 * and posts the same replies: one process, one loop, libwebsockets, libcurl
 * and json-c as in the system.  It is what the system's cost is compared
 * with, and promises nothing: no journal, no retries, no order, no second
 * token, no resume.  Whatever goes wrong ends it.
 */
#include <stdio.h>
#include <stdlib.h>

#include <curl/curl.h>
#include <libwebsockets.h>

#include "conf.h"
#include "json.h"
#include "log.h"
#include "loop.h"

enum { FRAME_MAX = 65536, URL_SIZE = 512, HEADER_SIZE = 512 };

/* One reply from the event to the platform's answer; used again after that. */
struct reply {
	struct reply *next;
	CURL         *easy;
	struct buf    body;
	char          url[URL_SIZE];
};

struct floor {
	struct conf         conf;
	struct loop        *loop;
	struct lws_context *lws;
	struct lws         *ws;
	CURLM              *multi;
	struct curl_slist  *headers;
	struct reply       *idle, *first, **last;   /* first..: waiting */
	struct buf          in, out;
	struct timer        beat, curl_timer;
	uint64_t            running, beat_ms;
	int64_t             seq;
	bool                kick, over;
	char                token[HEADER_SIZE];     /* "QQBot ..." */
};

static void
give_up(struct floor *f, const char *what, const char *why)
{
	log_error("floor.over", KV("what", what), KV("why", why));
	f->over = true;
}

/* --- replies -------------------------------------------------------------- */

static size_t
on_answer(char *p, size_t size, size_t n, void *self)
{
	(void)p, (void)self;
	return size * n;
}

static CURL *
easy_new(const struct floor *f)
{
	CURL *e = curl_easy_init();

	if (e == NULL)
		return NULL;
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_answer);
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION,
	    (long)CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(e, CURLOPT_PIPEWAIT, 1L);
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, f->headers);
	/* The folder of certificates would keep libcurl from parsing the file
	 * of them once for all connections. */
	curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
	if (f->conf.ca_file[0] != '\0')
		curl_easy_setopt(e, CURLOPT_CAINFO, f->conf.ca_file);
	return e;
}

static struct reply *
reply_new(struct floor *f)
{
	struct reply *r = f->idle;

	if (r != NULL) {
		f->idle = r->next;
		return r;
	}
	if ((r = calloc(1, sizeof *r)) == NULL)
		return NULL;
	if ((r->easy = easy_new(f)) != NULL) {
		curl_easy_setopt(r->easy, CURLOPT_PRIVATE, r);
		return r;
	}
	free(r);
	return NULL;
}

static void
start_waiting(struct floor *f)
{
	while (f->first != NULL && f->running < f->conf.send_connections) {
		struct reply *r = f->first;

		if ((f->first = r->next) == NULL)
			f->last = &f->first;
		f->running++;
		curl_easy_setopt(r->easy, CURLOPT_URL, r->url);
		curl_easy_setopt(r->easy, CURLOPT_POSTFIELDS, r->body.p);
		curl_easy_setopt(r->easy, CURLOPT_POSTFIELDSIZE,
		    (long)r->body.n);
		curl_multi_add_handle(f->multi, r->easy);
	}
}

static void
write_body(const struct floor *f, struct reply *r, const struct json *d)
{
	struct json *body = json_new_object();
	struct buf   text = { 0 };

	buf_puts(&text, f->conf.echo_prefix);
	buf_put(&text, slice_trim(json_text_at(d, "content")));
	json_put_int(body, "msg_type", 0);
	json_put_text(body, "content", buf_slice(&text));
	json_put_text(body, "msg_id", json_text_at(d, "id"));
	json_put_int(body, "msg_seq", 1);
	json_write(body, &r->body);
	buf_free(&text);
	json_free(&body);
}

static void
answer(struct floor *f, const char *scope, struct slice target,
    const struct json *d)
{
	struct reply *r = reply_new(f);

	if (r == NULL) {
		give_up(f, "reply", "out of memory");
		return;
	}
	snprintf(r->url, sizeof r->url, "%s/v2/%s/%.*s/messages",
	    f->conf.qq_api_url, scope, (int)target.n, target.p);
	buf_reset(&r->body);
	write_body(f, r, d);
	r->next = NULL;
	*f->last = r;
	f->last = &r->next;
	start_waiting(f);
}

static void
take_finished(struct floor *f)
{
	CURLMsg *m;
	int      left;

	while ((m = curl_multi_info_read(f->multi, &left)) != NULL) {
		struct reply *r;
		char         *private;
		long          status = 0;
		CURLcode      code = m->data.result;

		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &private);
		r = (struct reply *)(void *)private;
		curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
		curl_multi_remove_handle(f->multi, r->easy);
		f->running--;
		r->next = f->idle;
		f->idle = r;
		if (code != CURLE_OK)
			give_up(f, "reply", curl_easy_strerror(code));
		else if (status != 200)
			give_up(f, "reply", "the status is not 200");
	}
	start_waiting(f);
}

/* --- libcurl on the loop ----------------------------------------------- */

static void
drive(struct floor *f, curl_socket_t fd, int what)
{
	int running;

	f->kick = false;
	curl_multi_socket_action(f->multi, fd, what, &running);
	take_finished(f);
}

static void
on_ready(void *self, int fd, unsigned what)
{
	drive(self, fd,
	    (what & LOOP_READ ? CURL_CSELECT_IN : 0) |
	        (what & LOOP_WRITE ? CURL_CSELECT_OUT : 0) |
	        (what & LOOP_HANGUP ? CURL_CSELECT_ERR : 0));
}

static void
on_curl_due(void *self)
{
	drive(self, CURL_SOCKET_TIMEOUT, 0);
}

static int
on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *self, void *known)
{
	struct floor *f = self;
	unsigned      want = (what & CURL_POLL_IN ? LOOP_READ : 0u) |
	    (what & CURL_POLL_OUT ? LOOP_WRITE : 0u);

	(void)easy, (void)known;
	if (what == CURL_POLL_REMOVE) {
		loop_unwatch(f->loop, fd);
		return 0;
	}
	return loop_watch(f->loop, fd, want, on_ready, f) == ERR_OK ? 0 : -1;
}

static int
on_curl_timer(CURLM *multi, long ms, void *self)
{
	struct floor *f = self;

	(void)multi;
	f->kick = ms == 0;
	if (ms > 0)
		loop_after(f->loop, &f->curl_timer, (uint64_t)ms, on_curl_due,
		    f);
	else
		loop_cancel(f->loop, &f->curl_timer);
	return 0;
}

/* --- the session ------------------------------------------------------- */

static void
send_text(struct floor *f, struct json **take)
{
	static const char room[LWS_PRE];

	buf_reset(&f->out);
	buf_put(&f->out, (struct slice){ room, sizeof room });
	json_write(*take, &f->out);
	json_free(take);
	lws_callback_on_writable(f->ws);
}

static void
on_beat(void *self)
{
	struct floor *f = self;
	struct json  *beat = json_new_object();

	json_put_int(beat, "op", 1);
	json_put_int(beat, "d", f->seq);
	send_text(f, &beat);
	loop_after(f->loop, &f->beat, f->beat_ms, on_beat, f);
}

static void
on_hello(struct floor *f, const struct json *hello)
{
	struct json *identify = json_new_object(), *d = json_new_object();
	struct json *shard = json_new_array();
	int64_t      beat_ms = 45000;
	uint32_t     intents = 0;

	json_int_at(hello, "d.heartbeat_interval", &beat_ms);
	conf_intents(f->conf.qq_intents, &intents, NULL);
	json_push_int(shard, 0);
	json_push_int(shard, 1);
	json_put_text(d, "token", slice_of(f->token));
	json_put_int(d, "intents", intents);
	json_put_take(d, "shard", shard);
	json_put_take(d, "properties", json_new_object());
	json_put_int(identify, "op", 2);
	json_put_take(identify, "d", d);
	send_text(f, &identify);
	f->beat_ms = (uint64_t)beat_ms;
	loop_after(f->loop, &f->beat, f->beat_ms, on_beat, f);
}

static void
on_dispatch(struct floor *f, const struct json *frame)
{
	const struct json *d = json_get(frame, "d");
	struct slice       t = json_text_at(frame, "t");

	json_int_at(frame, "s", &f->seq);
	if (slice_is(t, "C2C_MESSAGE_CREATE"))
		answer(f, "users", json_text_at(d, "author.user_openid"), d);
	else if (slice_is(t, "GROUP_AT_MESSAGE_CREATE"))
		answer(f, "groups", json_text_at(d, "group_openid"), d);
}

static void
on_frame(struct floor *f, struct slice text)
{
	struct json *frame;
	int64_t      op = -1;

	if (json_parse(&frame, text) != ERR_OK) {
		give_up(f, "frame", "is not JSON");
		return;
	}
	json_int_at(frame, "op", &op);
	switch (op) {
	case 0:
		on_dispatch(f, frame);
		break;
	case 10:
		on_hello(f, frame);
		break;
	case 11:
		break;
	default:
		give_up(f, "frame", "an opcode that ends the session");
	}
	json_free(&frame);
}

static int
on_receive(struct floor *f, struct slice in)
{
	bool whole = lws_is_final_fragment(f->ws) &&
	    lws_remaining_packet_payload(f->ws) == 0;

	if (whole && f->in.n == 0)
		on_frame(f, in);
	else if (buf_put(&f->in, in), f->in.failed || f->in.n > FRAME_MAX)
		give_up(f, "frame", "too large");
	else if (whole) {
		on_frame(f, buf_slice(&f->in));
		buf_reset(&f->in);
	}
	return f->over ? -1 : 0;
}

static int
on_ws(struct lws *wsi, enum lws_callback_reasons why, void *user, void *in,
    size_t n)
{
	struct floor *f = lws_context_user(lws_get_context(wsi));
	size_t        size;

	(void)user;
	switch (why) {
	case LWS_CALLBACK_CLIENT_ESTABLISHED:
		f->ws = wsi;
		break;
	case LWS_CALLBACK_CLIENT_RECEIVE:
		return on_receive(f, (struct slice){ in, n });
	case LWS_CALLBACK_CLIENT_WRITEABLE:
		if (f->out.n <= LWS_PRE)
			break;
		size = f->out.n - LWS_PRE;
		if (lws_write(wsi, (unsigned char *)f->out.p + LWS_PRE, size,
		        LWS_WRITE_TEXT) < (int)size)
			return -1;
		buf_reset(&f->out);
		break;
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
		give_up(f, "connect", in != NULL ? in : "failed");
		break;
	case LWS_CALLBACK_CLIENT_CLOSED:
		give_up(f, "session", "closed by the platform");
		break;
	default:
		break;
	}
	return 0;
}

/* Our loop, inside the library's wait: it only wakes us. */
static int
on_loop(struct lws *wsi, enum lws_callback_reasons why, void *user, void *in,
    size_t n)
{
	(void)wsi, (void)why, (void)user, (void)in, (void)n;
	return 0;
}

static const struct lws_protocols protocols[] = {
	{ .name = "gateway", .callback = on_ws, .rx_buffer_size = 16384 },
	{ .name = "loop", .callback = on_loop },
	{ 0 }
};

static bool
session_connect(struct floor *f, struct slice gateway)
{
	char       *url = slice_dup(gateway), path[URL_SIZE];
	const char *scheme, *host, *rest;
	int         port;
	struct lws_client_connect_info info = { 0 };
	bool        ok = false;

	if (url == NULL || lws_parse_uri(url, &scheme, &host, &port, &rest))
		goto out;
	snprintf(path, sizeof path, "/%s", rest);
	info.context = f->lws;
	info.address = info.host = info.origin = host;
	info.port = port;
	info.path = path;
	info.local_protocol_name = "gateway";
	info.alpn = "http/1.1";
	if (strcmp(scheme, "wss") == 0)
		info.ssl_connection = LCCSCF_USE_SSL;
	ok = lws_client_connect_via_info(&info) != NULL;
out:
	free(url);
	return ok;
}

/* --- the beginning ------------------------------------------------------ */

static size_t
on_body(char *p, size_t size, size_t n, void *self)
{
	buf_put(self, (struct slice){ p, size * n });
	return size * n;
}

/* One request before the loop runs; body NULL: GET. */
static struct json *
ask(struct floor *f, const char *url, const char *body)
{
	CURL        *e = easy_new(f);
	struct buf   text = { 0 };
	struct json *doc = NULL;

	if (e == NULL)
		return NULL;
	curl_easy_setopt(e, CURLOPT_URL, url);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, &text);
	if (body != NULL)
		curl_easy_setopt(e, CURLOPT_POSTFIELDS, body);
	if (curl_easy_perform(e) != CURLE_OK ||
	    json_parse(&doc, buf_slice(&text)) != ERR_OK)
		log_error("floor.ask", KV("url", url));
	curl_easy_cleanup(e);
	buf_free(&text);
	return doc;
}

static bool
get_token(struct floor *f)
{
	struct json *want = json_new_object(), *doc;
	struct buf   body = { 0 };
	struct slice token;
	char         header[HEADER_SIZE + 16];

	json_put_text(want, "appId", slice_of(f->conf.qq_app_id));
	json_put_text(want, "clientSecret",
	    secret_reveal(&f->conf.qq_client_secret));
	json_write(want, &body);
	json_free(&want);
	f->headers = curl_slist_append(NULL, "Content-Type: application/json");
	doc = ask(f, f->conf.qq_token_url, body.p);
	token = json_text_at(doc, "access_token");
	snprintf(f->token, sizeof f->token, "QQBot %.*s", (int)token.n,
	    token.p != NULL ? token.p : "");
	snprintf(header, sizeof header, "Authorization: %s", f->token);
	curl_slist_append(f->headers, header);
	json_free(&doc);
	buf_free(&body);
	return token.n > 0;
}

static bool
open_gateway(struct floor *f)
{
	struct json *doc;
	char         url[URL_SIZE];
	bool         ok;

	snprintf(url, sizeof url, "%s/gateway/bot", f->conf.qq_api_url);
	doc = ask(f, url, NULL);
	ok = session_connect(f, json_text_at(doc, "url"));
	json_free(&doc);
	return ok;
}

static bool
open_libraries(struct floor *f)
{
	struct lws_context_creation_info info = { 0 };
	lws_sock_file_fd_type            fd;

	curl_global_init(CURL_GLOBAL_DEFAULT);
	if (loop_new(&f->loop) != ERR_OK ||
	    (f->multi = curl_multi_init()) == NULL)
		return false;
	curl_multi_setopt(f->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
	curl_multi_setopt(f->multi, CURLMOPT_SOCKETDATA, f);
	curl_multi_setopt(f->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
	curl_multi_setopt(f->multi, CURLMOPT_TIMERDATA, f);
	curl_multi_setopt(f->multi, CURLMOPT_MAXCONNECTS,
	    (long)f->conf.send_connections + 1);
	lws_set_log_level(LLL_ERR, NULL);
	info.port = CONTEXT_PORT_NO_LISTEN;
	info.protocols = protocols;
	info.user = f;
	info.pt_serv_buf_size = 16384;
	info.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
	if (f->conf.ca_file[0] != '\0') {
		info.options |= LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS;
		info.client_ssl_ca_filepath = f->conf.ca_file;
	}
	if ((f->lws = lws_create_context(&info)) == NULL)
		return false;
	fd.filefd = (lws_filefd_type)(long long)loop_fd(f->loop);
	return lws_adopt_descriptor_vhost(
	           lws_get_vhost_by_name(f->lws, "default"),
	           LWS_ADOPT_RAW_FILE_DESC, fd, "loop", NULL) != NULL;
}

int
main(void)
{
	struct floor f = { 0 };
	bool         more = false;

	f.last = &f.first;
	log_open("floor", LOG_INFO, false);
	if (conf_load(&f.conf, (enum conf_reader)(CONF_G | CONF_A | CONF_W)) !=
	    ERR_OK) {
		conf_log_problems(&f.conf);
		return 78;
	}
	if (!open_libraries(&f) || !get_token(&f) || !open_gateway(&f)) {
		log_error("floor.start", KV("why", "no token or no gateway"));
		return 1;
	}
	while (!f.over && loop_turn(f.loop, 0, &more) == ERR_OK) {
		if (f.kick)
			drive(&f, CURL_SOCKET_TIMEOUT, 0);
		if (lws_service(f.lws, more || f.kick ? -1 : 0) < 0)
			break;
	}
	return 1;
}
