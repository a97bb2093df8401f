/*
 * libwebsockets as a server of HTTP/1.1 and WebSocket.  Our loop's descriptor
 * is adopted as a raw file, so that lws_service() is the one wait.  Answers
 * are written in one piece, head and body, which is what keeps a kept-alive
 * connection cheap.
 */
#include "server.h"

#include <sys/socket.h>

#include <libwebsockets.h>
#include <stdlib.h>

enum { HEAD_MAX = 2048, TEXT_MAX = 8192 };

enum answer { ANSWER_NONE, ANSWER_READY, ANSWER_DROP };

/* One connection, HTTP or WebSocket. */
struct socket {
	struct server   *server;
	struct lws      *wsi;
	struct exchange *exchange;      /* being answered */
	struct buf       body, out;     /* out: LWS_PRE bytes first */
	struct request   request;
	char             text[TEXT_MAX];  /* what the request's slices show */
	size_t           ntext;
	enum answer      answer;
	bool             in_callback, open, close, reset;
	int              close_code;
	void            *peer;          /* of an open WebSocket */
};

struct exchange {
	struct socket *socket;          /* NULL: the client has gone */
};

struct server {
	struct lws_context    *context;
	struct lws_vhost      *vhost;
	struct server_handlers handlers;
	struct lws_protocols   protocols[2];
	lws_retry_bo_t         no_pings;
};

/* --- requests ----------------------------------------------------------- */

struct slice
request_query(const struct request *r, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < r->nquery; i++) {
		struct slice q = r->query[i];

		if (q.n > n && memcmp(q.p, name, n) == 0 && q.p[n] == '=')
			return slice_from(q, n + 1);
	}
	return SLICE("");
}

/* Copies a header into the socket's text. */
static struct slice
keep(struct socket *s, struct slice v)
{
	char *at = s->text + s->ntext;

	if (v.n == 0 || s->ntext + v.n + 1 > sizeof s->text)
		return SLICE("");
	memcpy(at, v.p, v.n);
	at[v.n] = '\0';
	s->ntext += v.n + 1;
	return (struct slice){ at, v.n };
}

static struct slice
header(struct socket *s, enum lws_token_indexes which)
{
	char *at = s->text + s->ntext;
	int   room = (int)(sizeof s->text - s->ntext);
	int   n = lws_hdr_copy(s->wsi, at, room, which);

	if (n <= 0)
		return SLICE("");
	s->ntext += (size_t)n + 1;
	return (struct slice){ at, (size_t)n };
}

static struct slice
custom_header(struct socket *s, const char *name)
{
	char *at = s->text + s->ntext;
	int   room = (int)(sizeof s->text - s->ntext);
	int   n = lws_hdr_custom_length(s->wsi, name, (int)strlen(name));

	if (n <= 0 || n + 1 > room ||
	    lws_hdr_custom_copy(s->wsi, at, room, name,
	        (int)strlen(name)) < 0)
		return SLICE("");
	s->ntext += (size_t)n + 1;
	return (struct slice){ at, (size_t)n };
}

static enum method
method_of(struct lws *wsi)
{
	static const struct {
		enum lws_token_indexes token;
		enum method            method;
	} methods[] = {
		{ WSI_TOKEN_GET_URI, METHOD_GET },
		{ WSI_TOKEN_POST_URI, METHOD_POST },
		{ WSI_TOKEN_PUT_URI, METHOD_PUT },
		{ WSI_TOKEN_PATCH_URI, METHOD_PATCH },
		{ WSI_TOKEN_DELETE_URI, METHOD_DELETE },
	};

	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
		if (lws_hdr_total_length(wsi, methods[i].token) > 0)
			return methods[i].method;
	return METHOD_OTHER;
}

static void
read_query(struct socket *s)
{
	struct request *r = &s->request;

	while (r->nquery < QUERY_MAX) {
		char *at = s->text + s->ntext;
		int   room = (int)(sizeof s->text - s->ntext);
		int   n = lws_hdr_copy_fragment(s->wsi, at, room,
		    WSI_TOKEN_HTTP_URI_ARGS, (int)r->nquery);

		if (n < 0 || n >= room)
			return;
		r->query[r->nquery++] = (struct slice){ at, (size_t)n };
		s->ntext += (size_t)n + 1;
	}
}

static void
read_head(struct socket *s, struct slice path)
{
	struct request *r = &s->request;

	s->ntext = 0;
	*r = (struct request){ .method = method_of(s->wsi) };
	r->path = keep(s, path);
	r->authorization = header(s, WSI_TOKEN_HTTP_AUTHORIZATION);
	r->content_type = header(s, WSI_TOKEN_HTTP_CONTENT_TYPE);
	r->union_appid = custom_header(s, "x-union-appid:");
	r->callback_appid = custom_header(s, "x-callback-appid:");
	r->user_agent = header(s, WSI_TOKEN_HTTP_USER_AGENT);
	read_query(s);
	buf_reset(&s->body);
}

/* --- answers ------------------------------------------------------------ */

/* Sends what is ready.  -1 ends the connection. */
static int
flush_answer(struct socket *s)
{
	enum answer now = s->answer;
	size_t      n = s->out.n - LWS_PRE;

	s->answer = ANSWER_NONE;
	if (now == ANSWER_NONE)
		return 0;
	if (now == ANSWER_DROP)
		return -1;
	if (lws_write(s->wsi, (unsigned char *)s->out.p + LWS_PRE, n,
	        LWS_WRITE_HTTP_HEADERS) != (int)n)
		return -1;
	return lws_http_transaction_completed(s->wsi) ? -1 : 0;
}

static int
ask(struct socket *s)
{
	struct server   *v = s->server;
	struct exchange *x = malloc(sizeof *x);

	if (x == NULL)
		return -1;
	x->socket = s;
	s->exchange = x;
	s->in_callback = true;
	v->handlers.on_request(v->handlers.self, x, &s->request);
	s->request.sink = NULL;
	s->in_callback = false;
	if (s->answer != ANSWER_NONE)
		return flush_answer(s);
	lws_set_timeout(s->wsi, NO_PENDING_TIMEOUT, 0);
	return 0;
}

static void
answer_is(struct exchange *x, enum answer what)
{
	struct socket *s = x->socket;

	free(x);
	if (s == NULL)
		return;
	s->exchange = NULL;
	s->answer = what;
	if (!s->in_callback)
		lws_callback_on_writable(s->wsi);
}

static const char *
reason_of(int status)
{
	static const struct {
		int         status;
		const char *reason;
	} reasons[] = {
		{ 200, "OK" }, { 201, "Created" }, { 202, "Accepted" },
		{ 204, "No Content" },
		{ 400, "Bad Request" }, { 401, "Unauthorized" },
		{ 403, "Forbidden" }, { 404, "Not Found" },
		{ 405, "Method Not Allowed" }, { 408, "Request Timeout" },
		{ 411, "Length Required" }, { 413, "Content Too Large" },
		{ 415, "Unsupported Media Type" },
		{ 429, "Too Many Requests" },
		{ 500, "Internal Server Error" }, { 502, "Bad Gateway" },
		{ 503, "Service Unavailable" }, { 504, "Gateway Timeout" },
	};

	for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Status";
}

void
exchange_answer(struct exchange *x, int status, const char *type,
    struct slice head, struct slice body)
{
	struct buf *out;

	if (x->socket == NULL) {
		free(x);
		return;
	}
	out = &x->socket->out;
	buf_reset(out);
	if (buf_room(out, LWS_PRE) != NULL)
		out->n += LWS_PRE;
	buf_putf(out, "HTTP/1.1 %d %s\r\n", status, reason_of(status));
	if (status != 204)
		buf_putf(out, "Content-Type: %s\r\nContent-Length: %zu\r\n",
		    type, body.n);
	buf_put(out, head);
	buf_puts(out, "\r\n");
	if (status != 204)
		buf_put(out, body);
	answer_is(x, out->failed ? ANSWER_DROP : ANSWER_READY);
}

void
exchange_drop(struct exchange *x)
{
	answer_is(x, ANSWER_DROP);
}

void
exchange_hang(struct exchange *x)
{
	answer_is(x, ANSWER_NONE);
}

bool
exchange_alive(const struct exchange *x)
{
	return x->socket != NULL;
}

/* --- WebSockets --------------------------------------------------------- */

void
socket_wake(struct socket *s)
{
	lws_callback_on_writable(s->wsi);
}

bool
socket_write(struct socket *s, struct slice text)
{
	buf_reset(&s->out);
	if (buf_room(&s->out, LWS_PRE + text.n) == NULL)
		return false;
	s->out.n = LWS_PRE;
	buf_put(&s->out, text);
	if (lws_write(s->wsi, (unsigned char *)s->out.p + LWS_PRE, text.n,
	        LWS_WRITE_TEXT) < (int)text.n) {
		s->close = s->reset = true;
		return false;
	}
	return !lws_send_pipe_choked(s->wsi);
}

void
socket_close(struct socket *s, int code)
{
	s->close = true;
	s->reset = code == 0;
	s->close_code = code;
}

void
socket_pause(struct socket *s, bool paused)
{
	lws_rx_flow_control(s->wsi, paused ? 0 : 1);
	if (!paused)
		lws_callback_on_writable(s->wsi);
}

/* A connected TCP socket that is connected to nowhere is cut off with RST. */
static void
cut_off(struct lws *wsi)
{
	struct sockaddr nowhere = { .sa_family = AF_UNSPEC };

	if (connect(lws_get_socket_fd(wsi), &nowhere, sizeof nowhere) < 0)
		return;
}

static int
on_socket_writable(struct socket *s)
{
	struct server_handlers *h = &s->server->handlers;

	if (s->peer == NULL)
		return -1;
	if (h->on_writable(h->self, s->peer, s))
		lws_callback_on_writable(s->wsi);
	if (!s->close)
		return 0;
	if (s->reset)
		cut_off(s->wsi);
	else
		lws_close_reason(s->wsi,
		    (enum lws_close_status)s->close_code, NULL, 0);
	return -1;
}

static int
on_socket_frame(struct socket *s, struct slice part)
{
	struct server_handlers *h = &s->server->handlers;

	if (s->peer == NULL)
		return -1;
	if (s->body.n + part.n > FRAME_MAX) {
		lws_close_reason(s->wsi, LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE,
		    NULL, 0);
		return -1;
	}
	buf_put(&s->body, part);
	if (!lws_is_final_fragment(s->wsi) ||
	    lws_remaining_packet_payload(s->wsi) > 0)
		return 0;
	h->on_frame(h->self, s->peer, buf_slice(&s->body),
	    !lws_frame_is_binary(s->wsi));
	buf_reset(&s->body);
	return 0;
}

static int
on_upgrade(struct socket *s)
{
	struct server_handlers *h = &s->server->handlers;
	int status;

	s->ntext = 0;
	s->request = (struct request){ 0 };
	s->request.path = header(s, WSI_TOKEN_GET_URI);
	status = h->on_upgrade(h->self, s->request.path,
	    header(s, WSI_TOKEN_ORIGIN), header(s, WSI_TOKEN_HOST));
	if (status > 0)
		lws_return_http_status(s->wsi, (unsigned)status, NULL);
	return status == 0 ? 0 : -1;
}

static int
on_socket_open(struct socket *s)
{
	struct server_handlers *h = &s->server->handlers;

	s->open = true;
	buf_reset(&s->body);
	s->peer = h->on_open(h->self, s, s->request.path);
	return s->peer != NULL ? 0 : -1;
}

/* --- what libwebsockets tells us ---------------------------------------- */

static struct socket *
socket_of(struct lws *wsi)
{
	struct socket *s = lws_get_opaque_user_data(wsi);

	if (s == NULL && (s = calloc(1, sizeof *s)) != NULL) {
		s->server = lws_context_user(lws_get_context(wsi));
		s->wsi = wsi;
		lws_set_opaque_user_data(wsi, s);
	}
	return s;
}

static void
socket_free(struct lws *wsi)
{
	struct socket *s = lws_get_opaque_user_data(wsi);

	if (s == NULL)
		return;
	lws_set_opaque_user_data(wsi, NULL);
	if (s->exchange != NULL)
		s->exchange->socket = NULL;
	if (s->request.sink != NULL)
		s->server->handlers.on_gone(s->server->handlers.self,
		    s->request.sink);
	if (s->peer != NULL)
		s->server->handlers.on_closed(s->server->handlers.self,
		    s->peer);
	buf_free(&s->body);
	buf_free(&s->out);
	free(s);
}

static int
on_head(struct socket *s, struct slice path)
{
	struct server_handlers *h = &s->server->handlers;
	enum method             m;

	read_head(s, path);
	m = s->request.method;
	if (lws_hdr_total_length(s->wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) > 0) {
		/* Of these libwebsockets tells no end when there is none. */
		if (m != METHOD_POST && slice_is(header(s,
		        WSI_TOKEN_HTTP_CONTENT_LENGTH), "0"))
			return ask(s);
		s->request.sink = h->on_head(h->self, &s->request);
		return 0;       /* the body follows, be it empty */
	}
	if (m == METHOD_GET || m == METHOD_DELETE)
		return ask(s);
	/* What follows cannot be told from a body: the last word. */
	s->request.no_length = m != METHOD_OTHER;
	ask(s);
	return -1;
}

static int
on_body(struct socket *s, struct slice part)
{
	struct server_handlers *h = &s->server->handlers;

	if (s->request.sink != NULL) {
		if (h->on_part(h->self, s->request.sink, part))
			return 0;
		/* Closed in good order it would wait for the client, which
		 * waits for an answer. */
		cut_off(s->wsi);
		return -1;
	}
	if (s->body.n + part.n > BODY_MAX)
		s->request.too_large = true;
	else
		buf_put(&s->body, part);
	return 0;
}

static int
on_body_end(struct socket *s)
{
	s->request.body = buf_slice(&s->body);
	if (s->body.failed)
		return -1;
	return ask(s);
}

static int
on_http(struct socket *s, enum lws_callback_reasons why, struct slice in)
{
	switch (why) {
	case LWS_CALLBACK_HTTP:
		return on_head(s, in);
	case LWS_CALLBACK_HTTP_BODY:
		return on_body(s, in);
	case LWS_CALLBACK_HTTP_BODY_COMPLETION:
		return on_body_end(s);
	default:
		return flush_answer(s);
	}
}

static int
on_websocket(struct socket *s, enum lws_callback_reasons why, struct slice in)
{
	struct server_handlers *h = &s->server->handlers;

	switch (why) {
	case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
		return on_upgrade(s);
	case LWS_CALLBACK_ESTABLISHED:
		return on_socket_open(s);
	case LWS_CALLBACK_RECEIVE:
		return on_socket_frame(s, in);
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
		if (s->peer != NULL)
			h->on_leave(h->self, s->peer);
		return 0;
	default:
		return on_socket_writable(s);
	}
}

static int
on_lws(struct lws *wsi, enum lws_callback_reasons why, void *user, void *in,
    size_t n)
{
	struct slice   data = { in, in != NULL ? n : 0 };
	struct socket *s;

	(void)user;
	switch (why) {
	case LWS_CALLBACK_HTTP:
	case LWS_CALLBACK_HTTP_BODY:
	case LWS_CALLBACK_HTTP_BODY_COMPLETION:
	case LWS_CALLBACK_HTTP_WRITEABLE:
		s = socket_of(wsi);
		return s != NULL ? on_http(s, why, data) : -1;
	case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
	case LWS_CALLBACK_ESTABLISHED:
	case LWS_CALLBACK_RECEIVE:
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
	case LWS_CALLBACK_SERVER_WRITEABLE:
		s = socket_of(wsi);
		return s != NULL ? on_websocket(s, why, data) : -1;
	case LWS_CALLBACK_CLOSED:
	case LWS_CALLBACK_CLOSED_HTTP:
	case LWS_CALLBACK_WSI_DESTROY:
		socket_free(wsi);
		return 0;
	default:
		return 0;
	}
}

/* --- the server --------------------------------------------------------- */

/* The raw file: our loop has something to do, which its own turn will. */
static enum err
adopt_loop(struct server *v, struct loop *loop)
{
	lws_sock_file_fd_type fd = { .filefd = loop_fd(loop) };

	return lws_adopt_descriptor_vhost(v->vhost, LWS_ADOPT_RAW_FILE_DESC,
	           fd, v->protocols[0].name, NULL) != NULL
	    ? ERR_OK : ERR_SYSTEM;
}

static void
fill_info(struct lws_context_creation_info *info, struct server *v,
    const struct server_options *o)
{
	info->port = (int)o->port;
	info->iface = strcmp(o->host, "0.0.0.0") == 0 ||
	    strcmp(o->host, "::") == 0 || o->host[0] == '\0' ? NULL : o->host;
	info->protocols = v->protocols;
	info->user = v;
	info->gid = (gid_t)-1;
	info->uid = (uid_t)-1;
	info->vhost_name = "default";
	info->server_string = "qqsim";
	info->max_http_header_pool2 = 512;
	info->max_http_header_data = 8192;
	info->pt_serv_buf_size = 65536;
	info->keepalive_timeout = 3600;
	info->timeout_secs = 60;
	info->retry_and_idle_policy = &v->no_pings;
	info->alpn = "http/1.1";
	info->options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
	    LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND |
	    LWS_SERVER_OPTION_SKIP_SERVER_CANONICAL_NAME;
	if (strchr(o->host, ':') == NULL)
		info->options |= LWS_SERVER_OPTION_DISABLE_IPV6;
	if (o->cert != NULL) {
		/* Plain http too: no browser trusts our authority. */
		info->options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT |
		    LWS_SERVER_OPTION_ALLOW_NON_SSL_ON_SSL_PORT |
		    LWS_SERVER_OPTION_ALLOW_HTTP_ON_HTTPS_LISTENER;
		info->ssl_cert_filepath = o->cert;
		info->ssl_private_key_filepath = o->key;
	}
}

enum err
server_open(struct server **out, struct loop *loop,
    const struct server_options *o)
{
	struct lws_context_creation_info info = { 0 };
	struct server *v = calloc(1, sizeof *v);
	enum err       e = ERR_NOMEM;

	if (v == NULL)
		return ERR_NOMEM;
	v->handlers = o->handlers;
	v->protocols[0] = (struct lws_protocols){ .name = "qqsim",
		.callback = on_lws, .rx_buffer_size = 65536 };
	fill_info(&info, v, o);
	lws_set_log_level(0, NULL);
	if ((v->context = lws_create_context(&info)) == NULL)
		goto fail;
	e = ERR_BUSY;
	if ((v->vhost = lws_create_vhost(v->context, &info)) == NULL)
		goto fail;
	if ((e = adopt_loop(v, loop)) != ERR_OK)
		goto fail;
	*out = v;
	return ERR_OK;
fail:
	server_close(&v);
	return e;
}

void
server_close(struct server **at)
{
	struct server *v = *at;

	if (v == NULL)
		return;
	*at = NULL;
	if (v->context != NULL)
		lws_context_destroy(v->context);
	free(v);
}

unsigned
server_port(const struct server *v)
{
	return (unsigned)lws_get_vhost_listen_port(v->vhost);
}

enum err
server_turn(struct server *v, bool wait)
{
	return lws_service(v->context, wait ? 0 : -1) < 0 ? ERR_SYSTEM
	                                                  : ERR_OK;
}
