/*
 * The one file of gatewayd that knows libwebsockets.
 */
#include "net.h"

#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <libwebsockets.h>
#include <openssl/ssl.h>

#include "conf.h"
#include "log.h"
#include "resolve.h"

enum {
	HEADER_MAX = 16384, HEADER_VALUE = 512, SEND_MAX = 1 << 20,
	TLS_FAILED = 1015,        /* RFC 6455's code for it: never sent */
	HTTP_IDLE_S = 60, REQUESTS_MAX = 1024,
	ARRIVALS_PER_TURN = 16, REST_MS = 100,
	/* A callback is a few KiB.  Larger ones are few at once, and decided
	 * one per turn, so that they never stand before the others. */
	LARGE = 65536, LARGE_MAX = 8,
};

/* The library knows one proxy per vhost: so there is one for each that a bot
 * has had since we began, which is as often as somebody has changed it. */
struct way {
	struct way       *next;
	struct lws_vhost *vhost;
	char              proxy[];
};

struct net_conn {
	struct net_conn *next, **at;
	struct net      *net;
	struct lws      *wsi;
	void            *owner;       /* NULL: dropped by us */
	struct buf       in, out;     /* out: length-prefixed messages */
	unsigned         code;        /* the peer's, or ours to send */
	char             reason[512];
	struct timer     late;        /* tells of a failure during connect */
	bool             up, closing, calling, heard;
	struct resolve  *resolve;     /* its name is being asked for */
	unsigned         turn;        /* which of its addresses it has */
	struct way      *way;         /* through a proxy; NULL: directly */
	char             host[256], path[1024];
	int              port;
	bool             tls;
};

/* A request being read or answered, one per HTTP connection at a time. */
struct request {
	struct request *next;
	struct lws     *wsi;
	uint64_t        id;           /* 0 until it is whole */
	struct buf      body, answer;
	unsigned        status;
	bool            answered, chunked, broken, too_large, deciding;
	bool            large, busy, unread, waits, evicted;
	size_t          most;         /* bytes of the body worth reading */
	struct webhook_chunks chunks;
	unsigned long long length;    /* announced, when it is not chunked */
	char            method[8];
	char            app_id[HEADER_VALUE], signature[HEADER_VALUE];
	char            timestamp[HEADER_VALUE], trace[HEADER_VALUE];
};

struct net {
	struct net_options  o;
	struct loop        *loop;
	struct lws_context *context;
	struct lws_vhost   *client, *server;
	struct way         *ways;
	int                 listener; /* -1: none */
	struct timer        rest;     /* until it is watched again */
	bool                lets_in;
	size_t              callers;  /* let in, and still there */
	struct net_conn    *conns;
	struct request     *requests;
	size_t              nrequests, nlarge, nwaiting;
	uint64_t            evicted;
	unsigned            turn;     /* which address of a name is next */
	uint64_t            last_id;
	bool                more;     /* our loop has work left: do not sleep */
	bool                sent;     /* something, since the turn began */
};

static int on_http(struct lws *, enum lws_callback_reasons, void *, void *,
    size_t);
static int on_ws(struct lws *, enum lws_callback_reasons, void *, void *,
    size_t);
static int on_loop(struct lws *, enum lws_callback_reasons, void *, void *,
    size_t);
static void decide_waiting(struct net *);

static const struct lws_protocols protocols[] = {
	{ .name = "http", .callback = on_http,
	  .per_session_data_size = sizeof(struct request *) },
	{ .name = "gateway", .callback = on_ws, .rx_buffer_size = 4096 },
	{ .name = "loop", .callback = on_loop },
	{ 0 }
};

/* --- our loop, inside the library's wait ------------------------------------------- */

static int
on_loop(struct lws *wsi, enum lws_callback_reasons why, void *user, void *in,
    size_t n)
{
	/* It only wakes us: net_turn() does the work. */
	(void)wsi, (void)why, (void)user, (void)in, (void)n;
	return 0;
}

/* The wait comes first, so that whoever turns us sees what a turn has brought
 * before the next one sleeps. */
enum err
net_turn(struct net *net)
{
	enum err e;

	net->sent = false;
	if (lws_service(net->context, net->more ? -1 : 0) < 0)
		return ERR_SYSTEM;
	decide_waiting(net);
	e = loop_turn(net->loop, 0, &net->more);
	net->more |= net->nwaiting > 0;
	return e;
}

static void
on_finish(void *self)
{
	(void)self; /* it only ends the wait */
}

void
net_finish(struct net *net, uint64_t at_most_ms)
{
	uint64_t     until = loop_clock_ms() + at_most_ms;
	struct timer wake = { 0 };

	while (net->conns != NULL && loop_clock_ms() < until) {
		loop_after(net->loop, &wake, 10, on_finish, NULL);
		if (net_turn(net) != ERR_OK)
			break;
	}
	loop_cancel(net->loop, &wake);
}

/* --- gateway connections ------------------------------------------------------------- */

static void
conn_free(struct net_conn *c)
{
	loop_cancel(c->net->loop, &c->late);
	resolve_cancel(&c->resolve);
	*c->at = c->next;
	if (c->next != NULL)
		c->next->at = c->at;
	if (c->out.p != NULL) /* an Identify carries the token */
		explicit_bzero(c->out.p, c->out.cap);
	buf_free(&c->in);
	buf_free(&c->out);
	free(c);
}

/* Nothing was heard at this address, whatever happened there or did not:
 * perhaps another of the name does better.  Of many that have tried it, one
 * says so. */
static void
doubt_address(struct net_conn *c)
{
	if (!c->heard && c->net->turn == c->turn)
		c->net->turn++;
}

static void
conn_over(void *self)
{
	struct net_conn *c = self;
	void            *owner = c->owner;

	/* Inside the connect call the library still writes to us. */
	if (c->calling)
		return;
	doubt_address(c);
	c->wsi = NULL;
	c->owner = NULL;
	if (owner != NULL)
		c->net->o.handlers->on_closed(owner,
		    c->code != 0 ? c->code : 1006, slice_of(c->reason));
	conn_free(c);
}

static void
note_close(struct net_conn *c, const void *in, size_t n)
{
	const unsigned char *p = in;

	if (n < 2)
		return;
	c->code = (unsigned)p[0] << 8 | p[1];
	n -= 2;
	if (n >= sizeof c->reason)
		n = sizeof c->reason - 1;
	memcpy(c->reason, p + 2, n);
	c->reason[n] = '\0';
}

static int
conn_receive(struct net_conn *c, const void *in, size_t n)
{
	c->heard = true;
	if (c->owner == NULL)
		return 0;
	if (c->in.n + n > NET_FRAME_MAX) {
		snprintf(c->reason, sizeof c->reason, "message over %d bytes",
		    NET_FRAME_MAX);
		return -1;
	}
	if (c->in.n == 0 && lws_is_first_fragment(c->wsi) &&
	    lws_is_final_fragment(c->wsi) &&
	    lws_remaining_packet_payload(c->wsi) == 0) {
		c->net->o.handlers->on_frame(c->owner,
		    (struct slice){ in, n });
		return 0;
	}
	buf_put(&c->in, (struct slice){ in, n });
	if (c->in.failed)
		return -1;
	if (lws_is_final_fragment(c->wsi) &&
	    lws_remaining_packet_payload(c->wsi) == 0) {
		struct buf whole = c->in;

		c->in = (struct buf){ 0 };
		c->net->o.handlers->on_frame(c->owner, buf_slice(&whole));
		buf_free(&whole);
	}
	return 0;
}

/* The queue holds [4 bytes length][LWS_PRE room][text] per message. */
static int
conn_write(struct net_conn *c)
{
	uint32_t n;

	while (c->out.n > 0 && !lws_send_pipe_choked(c->wsi)) {
		memcpy(&n, c->out.p, sizeof n);
		if (lws_write(c->wsi, (unsigned char *)c->out.p + sizeof n +
		                  LWS_PRE,
		        n, LWS_WRITE_TEXT) < (int)n)
			return -1;
		buf_drop(&c->out, sizeof n + LWS_PRE + n);
		if (c->out.n == 0 && c->out.p != NULL)
			explicit_bzero(c->out.p, c->out.cap);
	}
	if (c->out.n > 0)
		lws_callback_on_writable(c->wsi);
	else if (c->closing) {
		lws_close_reason(c->wsi, (enum lws_close_status)c->code, NULL,
		    0);
		return -1;
	}
	return 0;
}

struct slice
net_proxy_name(const char *proxy)
{
	const char *mark = strrchr(proxy, '@');

	return slice_of(mark != NULL ? mark + 1 : proxy);
}

/* The library's words, or ours. */
static void
conn_failed(struct net_conn *c, const char *why)
{
	struct slice proxy = { NULL, 0 };

	if (c->way != NULL)
		proxy = net_proxy_name(c->way->proxy);
	if (c->code == TLS_FAILED) /* the library's words say less */
		return;
	snprintf(c->reason, sizeof c->reason, "%s%.*s%s%s",
	    c->way != NULL ? "through the proxy " : "", (int)proxy.n,
	    c->way != NULL ? proxy.p : "", c->way != NULL ? ": " : "",
	    why != NULL ? why : "could not connect");
	c->code = 1006;
}

/* What is wrong with a certificate is known here and nowhere later. */
static void
note_certificate(struct lws *wsi, X509_STORE_CTX *store)
{
	struct net_conn *c = lws_get_opaque_user_data(wsi);

	if (c == NULL)
		return;
	c->code = TLS_FAILED;
	snprintf(c->reason, sizeof c->reason, "the certificate of %s: %s",
	    c->host, X509_verify_cert_error_string(
	        X509_STORE_CTX_get_error(store)));
}

static int
on_ws(struct lws *wsi, enum lws_callback_reasons why, void *user, void *in,
    size_t n)
{
	struct net_conn *c = lws_get_opaque_user_data(wsi);

	/* Sessions are silent for most of their time: no buffers meanwhile. */
	if (why == LWS_CALLBACK_OPENSSL_LOAD_EXTRA_CLIENT_VERIFY_CERTS)
		SSL_CTX_set_mode(user, SSL_MODE_RELEASE_BUFFERS);
	if (c == NULL)
		return 0;
	switch (why) {
	case LWS_CALLBACK_CLIENT_ESTABLISHED:
		c->wsi = wsi;
		c->up = true;
		if (c->owner == NULL)
			return -1;
		break;
	case LWS_CALLBACK_CLIENT_RECEIVE:
		return conn_receive(c, in, n);
	case LWS_CALLBACK_CLIENT_WRITEABLE:
		return conn_write(c);
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
		note_close(c, in, n);
		break;
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
		conn_failed(c, in);
		lws_set_opaque_user_data(wsi, NULL);
		conn_over(c);
		break;
	case LWS_CALLBACK_CLIENT_CLOSED:
	case LWS_CALLBACK_WSI_DESTROY: /* killed before it was up */
		lws_set_opaque_user_data(wsi, NULL);
		conn_over(c);
		break;
	default:
		break;
	}
	return 0;
}

static const char *
system_cas(void)
{
	return "/etc/ssl/certs/ca-certificates.crt";
}

static struct lws_vhost *
new_client(struct net *net)
{
	struct lws_vhost                *v;
	struct lws_context_creation_info info = { 0 };

	info.vhost_name = "gateway";
	info.port = CONTEXT_PORT_NO_LISTEN;
	info.protocols = protocols;
	/* The file named below and nothing else is trusted. */
	info.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT |
	    LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS;
	info.client_ssl_ca_filepath = net->o.ca_file[0] != '\0'
	    ? net->o.ca_file
	    : system_cas();
	if ((v = lws_create_vhost(net->context, &info)) != NULL)
		return v;
	log_error("net.client", KV("ca_file", info.client_ssl_ca_filepath),
	    KV("why", "the certificates to trust cannot be loaded"),
	    KV("remedy", "install ca-certificates, or set ROOKERY_CA_FILE"));
	return NULL;
}

/* Where its name leads now. */
static bool
way_lead(struct way *w, const char *address)
{
	struct slice name = net_proxy_name(w->proxy);
	struct buf   b = { 0 };
	bool         ok, six = strchr(address, ':') != NULL;

	buf_put(&b, (struct slice){ w->proxy, (size_t)(name.p - w->proxy) });
	buf_putf(&b, six ? "[%s]%s" : "%s%s", address,
	    (const char *)memrchr(name.p, ':', name.n));
	ok = !b.failed && lws_set_proxy(w->vhost, b.p) == 0;
	if (b.p != NULL)
		explicit_bzero(b.p, b.cap);
	buf_free(&b);
	return ok;
}

/* CONFIG: it names no port, or no certificates can be loaded, as logged. */
static enum err
way_find(struct net *net, const char *proxy, struct way **out)
{
	size_t      n = strlen(proxy);
	struct way *w = net->ways;

	while (w != NULL && strcmp(w->proxy, proxy) != 0)
		w = w->next;
	*out = w;
	if (w != NULL)
		return ERR_OK;
	if (strchr(net_proxy_name(proxy).p, ':') == NULL)
		return ERR_CONFIG;
	if ((w = calloc(1, sizeof *w + n + 1)) == NULL)
		return ERR_NOMEM;
	memcpy(w->proxy, proxy, n);
	if ((w->vhost = new_client(net)) == NULL) {
		free(w);
		return ERR_CONFIG;
	}
	w->next = net->ways;
	*out = net->ways = w;
	return ERR_OK;
}

static struct net_conn *
conn_new(struct net *net, void *owner)
{
	struct net_conn *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->net = net;
	c->owner = owner;
	c->next = net->conns;
	c->at = &net->conns;
	if (c->next != NULL)
		c->next->at = &c->next;
	net->conns = c;
	return c;
}

/* Failure comes as on_closed(), on the next turn at the earliest. */
static void
conn_open(struct net_conn *c, const char *address)
{
	struct lws_client_connect_info info = {
		.context = c->net->context,
		.vhost = c->way != NULL ? c->way->vhost : c->net->client,
		.address = address, .host = c->host, .origin = c->host,
		.port = c->port, .path = c->path,
		.local_protocol_name = "gateway", .alpn = "http/1.1",
		.opaque_user_data = c, .pwsi = &c->wsi,
		/* The token goes where we were told to go and nowhere else;
		 * nor is a name looked up behind our back. */
		.ssl_connection = LCCSCF_HTTP_NO_FOLLOW_REDIRECT |
		    (c->tls ? LCCSCF_USE_SSL : 0),
	};

	c->calling = true;
	if (lws_client_connect_via_info(&info) == NULL) {
		c->wsi = NULL;
		loop_after(c->net->loop, &c->late, 0, conn_over, c);
	}
	c->calling = false;
}

/* What lies behind a proxy is the proxy's to look up. */
static bool
conn_go(struct net_conn *c, const char *address)
{
	if (c->way != NULL && !way_lead(c->way, address))
		return false;
	conn_open(c, c->way != NULL ? c->host : address);
	return true;
}

static void
on_resolved(void *self, const char *address, const char *why)
{
	struct net_conn *c = self;

	c->resolve = NULL;
	if (address != NULL && conn_go(c, address))
		return;
	conn_failed(c, address != NULL ? "out of memory" : why);
	conn_over(c);
}

/* The host of a way's proxy, without brackets. */
static bool
way_host(const struct way *w, char *to, size_t size)
{
	struct slice name = net_proxy_name(w->proxy);

	name.n = (size_t)((const char *)memrchr(name.p, ':', name.n) - name.p);
	if (name.n > 2 && name.p[0] == '[')
		name = (struct slice){ name.p + 1, name.n - 2 };
	if (name.n == 0 || name.n >= size)
		return false;
	memcpy(to, name.p, name.n);
	to[name.n] = '\0';
	return true;
}

static enum err
conn_begin(struct net_conn *c)
{
	char        proxy[256];
	const char *host = c->way != NULL ? proxy : c->host;

	if (c->way != NULL && !way_host(c->way, proxy, sizeof proxy))
		return ERR_CONFIG;
	c->turn = c->net->turn;
	if (!resolve_is_address(host))
		return resolve_start(&c->resolve, c->net->loop, host,
		    c->turn, on_resolved, c);
	return conn_go(c, host) ? ERR_OK : ERR_NOMEM;
}

enum err
net_connect(struct net *net, const char *url, const char *proxy, void *owner,
    struct net_conn **out)
{
	char            *copy = strdup(url);
	const char      *scheme, *host, *rest;
	int              port;
	struct net_conn *c;
	enum err         e = ERR_NOMEM;

	if (copy == NULL)
		return ERR_NOMEM;
	if (!conf_url_allowed(slice_of(url)) ||
	    lws_parse_uri(copy, &scheme, &host, &port, &rest) != 0 ||
	    strlen(host) >= sizeof c->host || strlen(rest) + 1 >=
	        sizeof c->path) {
		log_error("gateway.url", KV("url", url),
		    KV("why", "is no wss:// address"));
		free(copy);
		return ERR_CONFIG;
	}
	if ((c = conn_new(net, owner)) != NULL) {
		snprintf(c->host, sizeof c->host, "%s", host);
		snprintf(c->path, sizeof c->path, "/%s", rest);
		c->port = port;
		c->tls = strcmp(scheme, "wss") == 0 ||
		    strcmp(scheme, "https") == 0;
		*out = c;
		e = proxy[0] == '\0' ? ERR_OK : way_find(net, proxy, &c->way);
		if (e == ERR_OK)
			e = conn_begin(c);
		if (e != ERR_OK)
			conn_free(c);
	}
	free(copy);
	return e;
}

enum err
net_send(struct net_conn *c, struct slice text)
{
	static const char pre[LWS_PRE];
	uint32_t          n = (uint32_t)text.n;

	if (!c->up || c->closing)
		return ERR_CLOSED;
	if (c->out.n + text.n > SEND_MAX)
		return ERR_FULL;
	buf_put(&c->out, (struct slice){ (const char *)&n, sizeof n });
	buf_put(&c->out, (struct slice){ pre, sizeof pre });
	buf_put(&c->out, text);
	if (c->out.failed)
		return ERR_NOMEM;
	lws_callback_on_writable(c->wsi);
	c->net->sent = true;
	return ERR_OK;
}

bool
net_has_sent(const struct net *net)
{
	return net->sent;
}

void
net_hurry(struct net *net)
{
	net->more = true;
}

void
net_drop(struct net_conn *c, unsigned code)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	c->owner = NULL;
	doubt_address(c);
	if (c->resolve != NULL) {
		conn_free(c);
		return;
	}
	if (c->wsi == NULL)
		return; /* c->late frees it */
	if (code != 0 && c->up) {
		c->closing = true;
		c->code = code;
		lws_rx_flow_control(c->wsi, 1);
		lws_callback_on_writable(c->wsi);
		lws_set_timeout(c->wsi, PENDING_TIMEOUT_CLOSE_ACK, 2);
		return;
	}
	if (lws_get_socket_fd(c->wsi) != LWS_SOCK_INVALID)
		setsockopt(lws_get_socket_fd(c->wsi), SOL_SOCKET, SO_LINGER,
		    &now, sizeof now);
	lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_REASON_BASE,
	    LWS_TO_KILL_ASYNC);
}

void
net_flow(struct net_conn *c, bool read)
{
	if (c->wsi != NULL && c->up)
		lws_rx_flow_control(c->wsi, read);
}

/* --- callbacks of the platform ---------------------------------------------------------- */

static void
header(struct lws *wsi, const char *name, char out[HEADER_VALUE])
{
	struct slice v;

	/* Too long a value is there, and is wrong. */
	if (lws_hdr_custom_copy(wsi, out, HEADER_VALUE, name,
	        (int)strlen(name)) < 0)
		strcpy(out, lws_hdr_custom_length(wsi, name,
		    (int)strlen(name)) > 0 ? "?" : "");
	v = slice_trim(slice_of(out)); /* the blanks around it are not it */
	if (v.n > 0)
		memmove(out, v.p, v.n);
	out[v.n] = '\0';
}

/* Who asks first whether he may send the body waits for this.  An answer
 * that is decided already comes instead of it. */
static void
tell_to_go_on(struct lws *wsi)
{
	static const char words[] = "HTTP/1.1 100 Continue\r\n\r\n";
	unsigned char     room[LWS_PRE + sizeof words];
	char              value[32];

	if (lws_hdr_copy(wsi, value, sizeof value,
	        WSI_TOKEN_HTTP_EXPECT) <= 0 ||
	    strcasecmp(value, "100-continue") != 0)
		return;
	memcpy(room + LWS_PRE, words, sizeof words - 1);
	lws_write(wsi, room + LWS_PRE, sizeof words - 1,
	    LWS_WRITE_HTTP_HEADERS);
}

static void
read_method(struct lws *wsi, char out[8])
{
	static const struct {
		enum lws_token_indexes token;
		const char            *name;
	} methods[] = {
		{ WSI_TOKEN_POST_URI, "POST" }, { WSI_TOKEN_GET_URI, "GET" },
		{ WSI_TOKEN_PUT_URI, "PUT" }, { WSI_TOKEN_HEAD_URI, "HEAD" },
	};

	strcpy(out, "OTHER");
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
		if (lws_hdr_total_length(wsi, methods[i].token) > 0)
			strcpy(out, methods[i].name);
}

/* Who has been slowest to say what he wants gives way: real callbacks come
 * in one piece. */
static bool
evict_slowest(struct net *net)
{
	struct request *oldest = NULL;

	for (struct request *q = net->requests; q != NULL; q = q->next)
		if (q->id == 0 && !q->evicted)
			oldest = q;
	if (oldest == NULL)
		return false;
	oldest->evicted = true;
	net->evicted++;
	lws_set_timeout(oldest->wsi, PENDING_TIMEOUT_USER_REASON_BASE,
	    LWS_TO_KILL_ASYNC);
	return true;
}

static struct request *
request_new(struct net *net, struct lws *wsi)
{
	struct request *q;

	if ((net->nrequests >= REQUESTS_MAX && !evict_slowest(net)) ||
	    (q = calloc(1, sizeof *q)) == NULL)
		return NULL;
	q->wsi = wsi;
	q->next = net->requests;
	net->requests = q;
	net->nrequests++;
	read_method(wsi, q->method);
	header(wsi, "x-bot-appid:", q->app_id);
	header(wsi, "x-signature-ed25519:", q->signature);
	header(wsi, "x-signature-timestamp:", q->timestamp);
	header(wsi, "x-tps-trace-id:", q->trace);
	return q;
}

static void
request_free(struct net *net, struct request *q)
{
	struct request **at = &net->requests;

	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	net->nrequests--;
	net->nlarge -= q->large;
	net->nwaiting -= q->waits;
	buf_free(&q->body);
	buf_free(&q->answer);
	free(q);
}

static struct webhook_request
request_view(const struct request *q)
{
	return (struct webhook_request){ .method = slice_of(q->method),
		.app_id = slice_of(q->app_id),
		.signature = slice_of(q->signature),
		.timestamp = slice_of(q->timestamp),
		.trace = slice_of(q->trace), .body = buf_slice(&q->body),
		.too_large = q->too_large, .broken = q->broken,
		.busy = q->busy, .unread = q->unread };
}

static void
request_decide(struct net *net, struct request *q)
{
	struct webhook_request r = request_view(q);

	net->o.handlers->on_request(net->o.self, q->id, &r);
}

/* The body is whole, or will not be read: decide.  An answer ends its
 * connection: a second request that came with the first (pipelined) sends the
 * library into a loop without end, and behind a proxy a connection costs
 * little.  While the answer waits, nothing more is read, for the same reason. */
static void
request_whole(struct net *net, struct request *q)
{
	if (q->id != 0)
		return;
	q->id = ++net->last_id;
	if (q->large) {
		q->waits = true;
		net->nwaiting++;
	} else {
		q->deciding = true;
		request_decide(net, q);
		q->deciding = false;
	}
	if (!q->answered)
		lws_rx_flow_control(q->wsi, 0);
}

/* One of the large ones, the longest here. */
static void
decide_waiting(struct net *net)
{
	struct request *first = NULL;

	for (struct request *q = net->requests; q != NULL; q = q->next)
		if (q->waits && (first == NULL || q->id < first->id))
			first = q;
	if (first == NULL)
		return;
	first->waits = false;
	net->nwaiting--;
	request_decide(net, first);
}

/* May a body of this size be read?  If not, the request is decided so. */
static bool
may_read(struct net *net, struct request *q, unsigned long long n)
{
	q->too_large = n > net->o.body_max;
	q->unread = n > q->most;
	if (n > LARGE && !q->too_large && !q->unread && !q->large) {
		q->busy = net->nlarge >= LARGE_MAX;
		q->large = !q->busy;
		net->nlarge += q->large;
	}
	return !q->too_large && !q->unread && !q->busy;
}

static int
request_begin(struct net *net, struct lws *wsi, struct request **slot)
{
	struct request *q = request_new(net, wsi);
	char            value[32];
	int             n;
	unsigned long long     length = 0;
	struct webhook_request head;

	*slot = q;
	if (q == NULL)
		return -1;
	n = lws_hdr_copy(wsi, value, sizeof value,
	    WSI_TOKEN_HTTP_CONTENT_LENGTH);
	if (n < 0 || (n > 0 && !slice_u64(slice_of(value), &length)))
		length = ULLONG_MAX;
	q->chunked = lws_hdr_total_length(wsi,
	    WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0;
	q->length = length;
	head = request_view(q);
	q->most = net->o.handlers->on_head(net->o.self, &head);
	/* Where no body comes, none is announced to us either. */
	if (!may_read(net, q, length) || q->most == 0 ||
	    (!q->chunked && length == 0))
		request_whole(net, q);
	else
		tell_to_go_on(wsi);
	return 0;
}

static void
request_body(struct net *net, struct request *q, struct slice in)
{
	enum err e = ERR_OK;

	if (q->id != 0)
		return;
	if (q->chunked)
		e = webhook_unchunk(&q->chunks, in, &q->body);
	else {
		if (in.n > q->length - q->body.n)
			in.n = (size_t)(q->length - q->body.n);
		buf_put(&q->body, in);
	}
	/* What follows the last chunk is another matter: not read. */
	q->broken = (e != ERR_OK && q->chunks.state != CHUNK_DONE) ||
	    q->body.failed;
	/* The library tells of the end only when nothing follows it. */
	if (!may_read(net, q, q->body.n) || q->broken ||
	    (q->chunked ? q->chunks.state == CHUNK_DONE
	                : q->body.n == q->length))
		request_whole(net, q);
}

/* Returns -1: the connection is over, whether all went well or not. */
static int
request_write(struct net *net, struct request *q, struct request **slot)
{
	unsigned char head[LWS_PRE + 512];
	unsigned char *start = head + LWS_PRE, *p = start;
	unsigned char *end = head + sizeof head - 1;
	struct lws    *wsi = q->wsi;
	size_t         n = q->answer.n - LWS_PRE;

	if (lws_add_http_common_headers(wsi, q->status, "application/json", n,
	        &p, end) == 0 &&
	    lws_add_http_header_by_token(wsi, WSI_TOKEN_CONNECTION,
	        (const unsigned char *)"close", 5, &p, end) == 0 &&
	    lws_finalize_write_http_header(wsi, start, &p, end) == 0 && n > 0)
		lws_write(wsi, (unsigned char *)q->answer.p + LWS_PRE, n,
		    LWS_WRITE_HTTP_FINAL);
	request_free(net, q);
	*slot = NULL;
	return -1;
}

static bool
is_request(enum lws_callback_reasons why)
{
	return why == LWS_CALLBACK_HTTP || why == LWS_CALLBACK_HTTP_BODY ||
	    why == LWS_CALLBACK_HTTP_BODY_COMPLETION;
}

static int
on_http(struct lws *wsi, enum lws_callback_reasons why, void *user, void *in,
    size_t n)
{
	struct net      *net = lws_context_user(lws_get_context(wsi));
	struct request **slot = user;

	switch (why) {
	case LWS_CALLBACK_HTTP:
		if (request_begin(net, wsi, slot) != 0)
			return -1;
		break;
	case LWS_CALLBACK_HTTP_BODY:
		if (*slot != NULL)
			request_body(net, *slot, (struct slice){ in, n });
		break;
	case LWS_CALLBACK_HTTP_BODY_COMPLETION:
		if (*slot != NULL)
			request_whole(net, *slot);
		break;
	case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
	case LWS_CALLBACK_RAW_RX: /* after CONNECT */
		return -1; /* no limit knows it, and it would stay */
	case LWS_CALLBACK_CLOSED_HTTP:
		if (slot != NULL && *slot != NULL)
			request_free(net, *slot);
		if (slot != NULL)
			*slot = NULL;
		break;
	case LWS_CALLBACK_OPENSSL_PERFORM_SERVER_CERT_VERIFICATION:
		if (n == 0) /* asked of the first protocol, whose ever it is */
			note_certificate(wsi, user);
		break;
	case LWS_CALLBACK_WSI_DESTROY:
		net->callers -= net->callers > 0 &&
		    lws_get_vhost(wsi) == net->server;
		break;
	default:
		break;
	}
	/* Here and not from a writable callback: before anything that followed
	 * the request is looked at. */
	if (is_request(why) && *slot != NULL && (*slot)->answered)
		return request_write(net, *slot, slot);
	return 0;
}

void
net_answer(struct net *net, uint64_t id, unsigned status, struct slice body)
{
	static const char pre[LWS_PRE];
	struct request   *q = net->requests;
	struct lws       *wsi;

	while (q != NULL && q->id != id)
		q = q->next;
	if (q == NULL || q->answered)
		return;
	q->answered = true;
	q->status = status;
	buf_put(&q->answer, (struct slice){ pre, sizeof pre });
	buf_put(&q->answer, body);
	if (q->deciding)
		return; /* the callback that asked writes it */
	wsi = q->wsi;
	request_write(net, q, lws_wsi_user(wsi));
	lws_set_timeout(wsi, PENDING_TIMEOUT_USER_REASON_BASE,
	    LWS_TO_KILL_ASYNC);
}

/* --- opening -------------------------------------------------------------------------------- */

static void
on_lws_log(int level, const char *line)
{
	struct slice text = slice_trim(slice_of(line));

	LOG_AT(level == LLL_ERR ? LOG_WARN : LOG_DEBUG, "net.lws",
	    KV("text", text));
}

static void
close_given(struct net *net)
{
	if (net->o.listener >= 0)
		close(net->o.listener);
	net->o.listener = -1;
}

/* --- the listener ------------------------------------------------------- */

static void on_arrival(void *, int fd, unsigned what);

/* Out of descriptors or memory: those who wait are still there later. */
static void
on_rested(void *self)
{
	struct net *net = self;

	loop_watch(net->loop, net->listener, LOOP_READ, on_arrival, net);
}

static void
on_arrival(void *self, int listener, unsigned what)
{
	struct net *net = self;
	int         fd, on = 1;

	(void)what;
	for (int i = 0; i < ARRIVALS_PER_TURN; i++) {
		fd = accept4(listener, NULL, NULL,
		    SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0)
			break;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		net->callers += lws_adopt_socket_vhost(net->server, fd) != NULL;
	}
	if (fd >= 0 || errno == EAGAIN || errno == EINTR ||
	    errno == ECONNABORTED)
		return;
	loop_unwatch(net->loop, listener);
	loop_after(net->loop, &net->rest, REST_MS, on_rested, net);
}

static bool
is_same(const struct sockaddr *is, const struct addrinfo *want)
{
	const struct sockaddr_in  *a4 = (const void *)is;
	const struct sockaddr_in  *b4 = (const void *)want->ai_addr;
	const struct sockaddr_in6 *a6 = (const void *)is;
	const struct sockaddr_in6 *b6 = (const void *)want->ai_addr;

	if (is->sa_family != want->ai_family)
		return false;
	if (is->sa_family == AF_INET)
		return a4->sin_addr.s_addr == b4->sin_addr.s_addr &&
		    (b4->sin_port == 0 || a4->sin_port == b4->sin_port);
	return memcmp(&a6->sin6_addr, &b6->sin6_addr,
	           sizeof a6->sin6_addr) == 0 &&
	    (b6->sin6_port == 0 || a6->sin6_port == b6->sin6_port);
}

/* Does the one that was left to us listen where we shall? */
static bool
fits(int fd, const struct addrinfo *want)
{
	struct sockaddr_storage is;
	socklen_t               n = sizeof is, m = sizeof(int);
	int                     listens = 0;

	return fd >= 0 &&
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &m) == 0 &&
	    listens && getsockname(fd, (struct sockaddr *)&is, &n) == 0 &&
	    is_same((struct sockaddr *)&is, want);
}

static int
listen_at(const struct addrinfo *at)
{
	int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0);
	int on = 1;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, at->ai_addr, at->ai_addrlen) == 0 &&
	    listen(fd, SOMAXCONN) == 0)
		return fd;
	close(fd);
	return -1;
}

static enum err
open_listener(struct net *net)
{
	struct addrinfo  hints = { .ai_family = AF_UNSPEC,
		 .ai_socktype = SOCK_STREAM,
		 .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
	struct addrinfo *at = NULL;
	char             host[128], service[8];
	unsigned         port;

	if (!conf_listen(net->o.listen, host, sizeof host, &port))
		return ERR_CONFIG;
	snprintf(service, sizeof service, "%u", port);
	if (host[0] == '\0')
		hints.ai_family = AF_INET;
	if (getaddrinfo(host[0] != '\0' ? host : NULL, service, &hints,
	        &at) == 0) {
		if (fits(net->o.listener, at)) {
			net->listener = net->o.listener;
			net->o.listener = -1;
		} else {
			/* before we ask for what it may hold */
			close_given(net);
			net->listener = listen_at(at);
		}
		freeaddrinfo(at);
	}
	if (net->listener >= 0)
		return ERR_OK;
	log_error("webhook.listen", KV("address", net->o.listen),
	    KV("why", "the address is taken or not ours"),
	    KV("remedy", "it is tried again; or set another "
	                 "ROOKERY_WEBHOOK_LISTEN"));
	return ERR_BUSY; /* it may be freed, or ours in a moment */
}

/* The library serves what comes, and listens for nothing: the socket is ours,
 * so that it may outlive us. */
static enum err
open_server(struct net *net)
{
	struct lws_context_creation_info info = { 0 };

	if (net->o.listen[0] == '\0')
		return ERR_OK;
	info.vhost_name = "webhook";
	info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
	info.protocols = protocols;
	info.keepalive_timeout = HTTP_IDLE_S;
	info.timeout_secs = 15;
	net->server = lws_create_vhost(net->context, &info);
	return net->server != NULL ? open_listener(net) : ERR_SYSTEM;
}

static enum err
adopt_loop(struct net *net)
{
	lws_sock_file_fd_type fd;

	fd.filefd = (lws_filefd_type)(long long)loop_fd(net->loop);
	return lws_adopt_descriptor_vhost(net->client, LWS_ADOPT_RAW_FILE_DESC,
	           fd, "loop", NULL) != NULL
	    ? ERR_OK
	    : ERR_SYSTEM;
}

enum err
net_open(struct net **out, struct loop *loop, const struct net_options *o)
{
	struct net *net = calloc(1, sizeof *net);
	struct lws_context_creation_info info = { 0 };
	enum err e = ERR_SYSTEM;

	if (net == NULL)
		return ERR_NOMEM;
	net->o = *o;
	net->loop = loop;
	net->listener = -1;
	net->more = true; /* nothing has been armed yet */
	lws_set_log_level(LLL_ERR | LLL_WARN, on_lws_log);
	info.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
	    LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
	info.user = net;
	info.max_http_header_data = HEADER_MAX;
	info.pt_serv_buf_size = 16384;
	if ((net->context = lws_create_context(&info)) == NULL)
		goto fail;
	e = ERR_CONFIG;
	if ((net->client = new_client(net)) == NULL ||
	    (e = open_server(net)) != ERR_OK || (e = adopt_loop(net)) != ERR_OK)
		goto fail;
	close_given(net); /* no longer asked for */
	*out = net;
	return ERR_OK;
fail:
	net_close(&net);
	return e;
}

void
net_let_in(struct net *net)
{
	if (net->listener < 0 || net->lets_in)
		return;
	net->lets_in = true;
	on_rested(net);
}

void
net_shut(struct net *net)
{
	net->lets_in = false;
	loop_cancel(net->loop, &net->rest);
	if (net->listener >= 0)
		loop_unwatch(net->loop, net->listener);
}

bool
net_has_callers(const struct net *net)
{
	return net->callers > 0;
}

uint64_t
net_evicted(const struct net *net)
{
	return net->evicted;
}

int
net_listener(const struct net *net)
{
	return net->listener;
}

unsigned
net_port(const struct net *net)
{
	struct sockaddr_storage at = { 0 };
	socklen_t               n = sizeof at;

	if (net->listener < 0 ||
	    getsockname(net->listener, (struct sockaddr *)&at, &n) < 0)
		return 0;
	return ntohs(at.ss_family == AF_INET6
	        ? ((struct sockaddr_in6 *)&at)->sin6_port
	        : ((struct sockaddr_in *)&at)->sin_port);
}

void
net_close(struct net **np)
{
	struct net *net = *np;
	struct way *w;

	if (net == NULL)
		return;
	*np = NULL;
	for (struct net_conn *c = net->conns; c != NULL; c = c->next)
		c->owner = NULL;
	loop_cancel(net->loop, &net->rest);
	if (net->listener >= 0) {
		loop_unwatch(net->loop, net->listener);
		close(net->listener);
	}
	close_given(net);
	if (net->context != NULL)
		lws_context_destroy(net->context);
	while (net->conns != NULL)
		conn_free(net->conns);
	while (net->requests != NULL)
		request_free(net, net->requests);
	while ((w = net->ways) != NULL) {
		net->ways = w->next;
		explicit_bzero(w->proxy, strlen(w->proxy));
		free(w);
	}
	free(net);
}
