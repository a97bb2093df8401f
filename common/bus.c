/*
 * ZeroMQ endpoints behind our names: sockets, liveness, keys.  What arrives
 * is handed to the codec; nothing is queued here.
 */
#include "bus.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include <zmq.h>

#include "conf.h"
#include "log.h"

enum {
	PER_TURN = 256, HIGH_WATER = 1000, KEY = 40, ADMIT_MAX = 4,
	/* What is in the pipe when a program leaves (acks, a bye) still goes
	 * to a living peer; for a dead one we wait no longer than this. */
	LINGER_MS = 300,
	FEED_LINGER_MS = 50, /* an observer that reads nothing delays no stop */
	ASKS_MAX = 512       /* bytes of what an observer may say: a topic */
};

struct bus {
	struct bus_options o;
	struct bus_counts  counts;
	struct loop       *loop;
	void              *context, *socket, *zap, *monitor;
	char              *url;
	struct timer       beat;
	uint64_t           heard_ms, said_ms;
	int                lock;
	struct buf         body;
	char               public_key[KEY + 1], secret_key[KEY + 1];
	char               server_key[KEY + 1];
	unsigned char      admitted[ADMIT_MAX][32];
	size_t             nadmitted;
	bool               curve, met;   /* met: has been connected before */
	/* What may have come in: the descriptor has signalled, or a call of
	 * ours may have swallowed its signal. */
	bool               woken, touched;
	atomic_size_t      afloat;       /* bytes that wait for observers */
};

static bool
binds(const struct bus *b)
{
	return b->o.side == BUS_SERVER || b->o.side == BUS_FEED;
}

static void
set_int(void *socket, int option, int v)
{
	zmq_setsockopt(socket, option, &v, sizeof v);
}

/* --- keys ------------------------------------------------------------------- */

enum err
bus_keypair(char public_key[41], char secret_key[41])
{
	return zmq_curve_keypair(public_key, secret_key) == 0 ? ERR_OK
	                                                      : ERR_SYSTEM;
}

/* Reads up to two lines of 40 characters. */
static enum err
read_key(const char *dir, const char *name, const char *suffix,
    char first[KEY + 1], char *second)
{
	char  path[600], line[2][64] = { "", "" };
	FILE *f;

	snprintf(path, sizeof path, "%s/%s%s", dir, name, suffix);
	if ((f = fopen(path, "re")) == NULL) {
		log_error("bus.key.missing", KV("file", path),
		    KV("why", strerror(errno)),
		    KV("remedy", "make the keys with: rookery keys DIR"));
		return ERR_CONFIG;
	}
	setvbuf(f, NULL, _IONBF, 0);
	for (int i = 0; i < 2; i++) {
		if (fgets(line[i], sizeof line[i], f) == NULL)
			break;
		line[i][strcspn(line[i], "\r\n")] = '\0';
	}
	fclose(f);
	if (strlen(line[0]) != KEY ||
	    (second != NULL && strlen(line[1]) != KEY)) {
		log_error("bus.key.bad", KV("file", path),
		    KV("remedy", "make it anew with: rookery keys DIR"));
		return ERR_CONFIG;
	}
	memcpy(first, line[0], KEY + 1);
	if (second != NULL)
		memcpy(second, line[1], KEY + 1);
	explicit_bzero(line, sizeof line);
	return ERR_OK;
}

static enum err
load_keys(struct bus *b)
{
	char     key[KEY + 1];
	enum err e;

	if ((e = read_key(b->o.keys_dir, b->o.name, ".key", b->public_key,
	         b->secret_key)) != ERR_OK)
		return e;
	if (!binds(b))
		return read_key(b->o.keys_dir, b->o.server, ".pub",
		    b->server_key, NULL);
	for (size_t i = 0; i < ADMIT_MAX && b->o.admit[i] != NULL; i++) {
		if ((e = read_key(b->o.keys_dir, b->o.admit[i], ".pub", key,
		         NULL)) != ERR_OK)
			return e;
		if (zmq_z85_decode(b->admitted[b->nadmitted++], key) == NULL)
			return ERR_CONFIG;
	}
	return ERR_OK;
}

/* --- ZAP: who may connect; CURVE without it admits any key --------------------- */

static bool
zap_pending(void *self)
{
	struct bus *b = self;
	int         events = 0;
	size_t      n = sizeof events;

	return zmq_getsockopt(b->zap, ZMQ_EVENTS, &events, &n) == 0 &&
	    (events & ZMQ_POLLIN) != 0;
}

static bool
is_admitted(const struct bus *b, const void *key, size_t n)
{
	for (size_t i = 0; n == 32 && i < b->nadmitted; i++)
		if (memcmp(b->admitted[i], key, 32) == 0)
			return true;
	return false;
}

/* A request is version, id, domain, address, identity, mechanism, key. */
static void
zap_serve(void *self)
{
	struct bus *b = self;
	char        part[8][256];
	size_t      size[8] = { 0 }, n = 0, more_size = sizeof(int);
	int         more = 1;
	bool        ok;

	while (more) {
		char  spill[256];
		char *to = n < 8 ? part[n] : spill;
		int   got = zmq_recv(b->zap, to, 256, ZMQ_DONTWAIT);

		if (got < 0)
			return;
		if (n < 8)
			size[n++] = got > 256 ? 256 : (size_t)got;
		zmq_getsockopt(b->zap, ZMQ_RCVMORE, &more, &more_size);
	}
	ok = n == 7 && size[5] == 5 && memcmp(part[5], "CURVE", 5) == 0 &&
	    is_admitted(b, part[6], size[6]);
	if (!ok) {
		b->counts.refused++;
		log_warn("bus.refused", KV("url", b->url),
		    KV("peer", ((struct slice){ part[3], size[3] })),
		    KV("why", "its key is not among those admitted"));
	}
	zmq_send(b->zap, "1.0", 3, ZMQ_SNDMORE);
	zmq_send(b->zap, part[1], size[1], ZMQ_SNDMORE);
	zmq_send(b->zap, ok ? "200" : "400", 3, ZMQ_SNDMORE);
	zmq_send(b->zap, ok ? "OK" : "NO", 2, ZMQ_SNDMORE);
	zmq_send(b->zap, "", 0, ZMQ_SNDMORE);
	zmq_send(b->zap, "", 0, 0);
}

static void
on_wake(void *self, int fd, unsigned what)
{
	struct bus *b = self;

	(void)fd, (void)what;
	b->woken = true; /* the loop asks for the state */
}

static enum err
watch(struct bus *b, void *socket, const struct loop_source *src)
{
	int      fd;
	size_t   n = sizeof fd;
	enum err e;

	if (zmq_getsockopt(socket, ZMQ_FD, &fd, &n) < 0)
		return ERR_SYSTEM;
	if ((e = loop_watch(b->loop, fd, LOOP_READ, on_wake, b)) != ERR_OK)
		return e;
	return loop_add_source(b->loop, src);
}

static void
unwatch(struct bus *b, void *socket)
{
	int    fd;
	size_t n = sizeof fd;

	if (zmq_getsockopt(socket, ZMQ_FD, &fd, &n) == 0)
		loop_unwatch(b->loop, fd);
}

static enum err
zap_open(struct bus *b)
{
	struct loop_source src = { zap_pending, zap_serve, b };

	if ((b->zap = zmq_socket(b->context, ZMQ_REP)) == NULL ||
	    zmq_bind(b->zap, "inproc://zeromq.zap.01") < 0)
		return ERR_SYSTEM;
	return watch(b, b->zap, &src);
}

/* --- reconnects: the server at the other end may be another run of it ------------ */

/* Nothing else is done with this socket and it is read until it is empty, so
 * its descriptor can be believed. */
static void
on_monitor(void *self, int fd, unsigned what)
{
	struct bus *b = self;
	char        event[16], address[256];

	(void)fd, (void)what;
	while (b->monitor != NULL &&
	    zmq_recv(b->monitor, event, sizeof event, ZMQ_DONTWAIT) >= 0) {
		zmq_recv(b->monitor, address, sizeof address, ZMQ_DONTWAIT);
		if (b->met)
			log_info("bus.reconnected", KV("url", b->url));
		if (b->o.on_open != NULL &&
		    (b->met || b->o.side == BUS_OBSERVER))
			b->o.on_open(b->o.self);
		b->met = true;
	}
}

static enum err
monitor_open(struct bus *b)
{
	char     name[64];
	int      fd;
	size_t   n = sizeof fd;
	enum err e;

	b->met = false;
	snprintf(name, sizeof name, "inproc://monitor-%p", b->socket);
	if (zmq_socket_monitor(b->socket, name,
	        ZMQ_EVENT_HANDSHAKE_SUCCEEDED) < 0 ||
	    (b->monitor = zmq_socket(b->context, ZMQ_PAIR)) == NULL)
		return ERR_SYSTEM;
	set_int(b->monitor, ZMQ_LINGER, 0);
	if (zmq_connect(b->monitor, name) < 0 ||
	    zmq_getsockopt(b->monitor, ZMQ_FD, &fd, &n) < 0)
		return ERR_SYSTEM;
	if ((e = loop_watch(b->loop, fd, LOOP_READ, on_monitor, b)) == ERR_OK)
		on_monitor(b, fd, LOOP_READ); /* nothing is signalled to a
		                                 reader that never found it
		                                 empty */
	return e;
}

/* --- sending ------------------------------------------------------------------- */

static enum err
send_error(struct bus *b)
{
	switch (errno) {
	case EAGAIN:
		b->counts.full++;
		return ERR_FULL;
	case EHOSTUNREACH:
		return ERR_NOT_FOUND;
	default:
		return ERR_SYSTEM;
	}
}

enum err
bus_send(struct bus *b, msg_peer to, enum msg_kind kind, const void *msg)
{
	char     head[MSG_HEAD];
	enum err e;

	if (!(msg_info(kind)->ways & b->o.sends))
		return ERR_FORBIDDEN;
	buf_reset(&b->body);
	if ((e = msg_encode(kind, msg, head, &b->body)) != ERR_OK)
		return e;
	b->touched = true;
	/* Once the first part is taken, the others are: the library keeps a
	 * message together.  Before it nothing has been sent. */
	if (b->o.side == BUS_SERVER &&
	    zmq_send(b->socket, to.p, to.n, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
		return send_error(b);
	if (zmq_send(b->socket, head, sizeof head,
	        ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
		return send_error(b);
	if (zmq_send(b->socket, b->body.p, b->body.n, ZMQ_DONTWAIT) < 0)
		return send_error(b);
	b->counts.sent++;
	b->said_ms = loop_now(b->loop);
	return ERR_OK;
}

/* --- the feed: a body is freed when the last observer has had it ----------------- */

struct afloat {
	atomic_size_t *counted;
	size_t         n;
	char           body[];
};

/* Called by the library, from a thread of its own. */
static void
sink(void *body, void *hint)
{
	struct afloat *a = hint;

	(void)body;
	atomic_fetch_sub(a->counted, a->n);
	free(a);
}

static enum err
float_body(struct bus *b, struct slice body, zmq_msg_t *m)
{
	struct afloat *a;

	if (atomic_load(&b->afloat) + body.n > FEED_BYTES) {
		b->counts.dropped++;
		return ERR_FULL;
	}
	if ((a = malloc(sizeof *a + body.n)) == NULL)
		return ERR_NOMEM;
	a->counted = &b->afloat;
	a->n = body.n;
	memcpy(a->body, body.p, body.n);
	if (zmq_msg_init_data(m, a->body, body.n, sink, a) < 0) {
		free(a);
		return ERR_NOMEM;
	}
	atomic_fetch_add(&b->afloat, body.n);
	return ERR_OK;
}

/* The first part decides who gets the message.  Without leave to drop it fails
 * when one of them has no room: that is counted, and the others have it all
 * the same. */
static bool
begin_post(struct bus *b, struct slice topic)
{
	int flags = ZMQ_SNDMORE | ZMQ_DONTWAIT;

	set_int(b->socket, ZMQ_XPUB_NODROP, 1);
	if (zmq_send(b->socket, topic.p, topic.n, flags) >= 0)
		return true;
	if (errno != EAGAIN)
		return false;
	b->counts.slow++;
	set_int(b->socket, ZMQ_XPUB_NODROP, 0);
	return zmq_send(b->socket, topic.p, topic.n, flags) >= 0;
}

enum err
bus_publish(struct bus *b, struct slice topic, enum msg_kind kind,
    struct slice body)
{
	const struct msg_info *info = msg_info(kind);
	char                   head[MSG_HEAD] = { 'R', 'K', '1', info->kind };
	zmq_msg_t              m;
	enum err               e;

	if (b->o.side != BUS_FEED || !(info->ways & b->o.sends))
		return ERR_FORBIDDEN;
	if (body.n > MSG_MAX)
		return ERR_TOO_LARGE;
	if ((e = float_body(b, body, &m)) != ERR_OK)
		return e;
	b->touched = true;
	if (!begin_post(b, topic) ||
	    zmq_send(b->socket, head, sizeof head,
	        ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0 ||
	    zmq_msg_send(&m, b->socket, ZMQ_DONTWAIT) < 0) {
		zmq_msg_close(&m);
		return ERR_SYSTEM;
	}
	b->counts.sent++;
	return ERR_OK;
}

/* An observer asks for a topic, or no longer: one byte, then the topic. */
static void
note_topic(struct bus *b, struct slice said)
{
	if (said.n > 0 && said.p[0] == 1)
		b->counts.topics++;
	else if (said.n > 0 && said.p[0] == 0 && b->counts.topics > 0)
		b->counts.topics--;
}

/* --- receiving ------------------------------------------------------------------ */

struct frames {
	zmq_msg_t part[3];
	size_t    n;
	bool      whole;     /* as many parts as a message of ours has */
};

static bool
receive(struct bus *b, struct frames *f)
{
	static const size_t parts[] = { [BUS_SERVER] = 3, [BUS_CLIENT] = 2,
		[BUS_FEED] = 1, [BUS_OBSERVER] = 3 };
	size_t want = parts[b->o.side];
	bool   more = true;

	f->n = 0;
	f->whole = true;
	while (more) {
		zmq_msg_t m;

		zmq_msg_init(&m);
		if (zmq_msg_recv(&m, b->socket, ZMQ_DONTWAIT) < 0) {
			if (errno == EAGAIN) /* found empty */
				b->woken = b->touched = false;
			zmq_msg_close(&m);
			f->whole = false;
			break;
		}
		more = zmq_msg_more(&m);
		if (f->n == want) {
			f->whole = false;
			zmq_msg_close(&m);
		} else
			f->part[f->n++] = m;
	}
	f->whole &= f->n == want;
	return f->n > 0;
}

static struct slice
part_slice(struct frames *f, size_t i)
{
	return (struct slice){ zmq_msg_data(&f->part[i]),
		zmq_msg_size(&f->part[i]) };
}

static void
note_refused(struct bus *b, enum err e, struct slice head)
{
	char kind[2] = { head.n == MSG_HEAD ? head.p[3] : '?', '\0' };

	/* Newer kinds are to be ignored, not complained of. */
	if (e == ERR_OK || e == ERR_NOT_FOUND)
		return;
	b->counts.refused++;
	log_warn("bus.refused", KV("url", b->url), KV("kind", kind),
	    KV("why", err_text(e)));
}

/* A beat is the bus's own affair on every socket but the child's. */
static bool
is_beat(struct bus *b, msg_peer from, struct slice head, struct slice body)
{
	struct msg_beat beat;

	if (head.n != MSG_HEAD || memcmp(head.p, "RK1B", MSG_HEAD) != 0)
		return false;
	if (b->o.side == BUS_SERVER &&
	    msg_decode(MSG_beat, body, &beat) == ERR_OK)
		bus_send(b, from, MSG_beat, &beat);
	return true;
}

static void
take(struct bus *b, struct frames *f)
{
	msg_peer from = { NULL, 0 };   /* to an observer: the topic */
	struct slice head, body;
	enum err     e = ERR_SYNTAX;

	if (!f->whole) {
		note_refused(b, e, (struct slice){ NULL, 0 });
		return;
	}
	if (b->o.side == BUS_FEED) {
		note_topic(b, part_slice(f, 0));
		return;
	}
	if (f->n == 3)
		from = part_slice(f, 0);
	head = part_slice(f, f->n - 2);
	body = part_slice(f, f->n - 1);
	b->heard_ms = loop_now(b->loop);
	b->counts.received++;
	if (b->o.on_heard != NULL)
		b->o.on_heard(b->o.self, from);
	if (is_beat(b, from, head, body))
		return;
	e = msg_dispatch(head, body, b->o.takes, b->o.handlers, b->o.self,
	    from);
	note_refused(b, e, head);
}

/* Asking costs a call of the kernel.  A socket that was found empty stays so
 * until its descriptor signals, unless we use it in between. */
static bool
socket_pending(void *self)
{
	struct bus *b = self;
	int         events = 0;
	size_t      n = sizeof events;

	if (b->woken)
		return true;
	if (b->touched)
		b->touched = zmq_getsockopt(b->socket, ZMQ_EVENTS, &events,
		                 &n) == 0 &&
		    (events & ZMQ_POLLIN) != 0;
	return b->touched;
}

static void
socket_serve(void *self)
{
	struct bus   *b = self;
	struct frames f;

	for (int left = PER_TURN; left > 0 && receive(b, &f); left--) {
		take(b, &f);
		for (size_t i = 0; i < f.n; i++)
			zmq_msg_close(&f.part[i]);
	}
}

/* --- opening --------------------------------------------------------------------- */

static bool
is_loopback_url(const char *url)
{
	/* An address, not 127.example.org. */
	if (strncmp(url, "tcp://127.", 10) == 0)
		return url[6 + strspn(url + 6, "0123456789.")] == ':';
	return strncmp(url, "tcp://localhost:", 16) == 0 ||
	    strncmp(url, "tcp://[::1]:", 12) == 0;
}

static void
set_curve(struct bus *b)
{
	set_int(b->socket, ZMQ_CURVE_SERVER, binds(b));
	zmq_setsockopt(b->socket, ZMQ_CURVE_SECRETKEY, b->secret_key,
	    KEY + 1);
	if (binds(b)) {
		zmq_setsockopt(b->socket, ZMQ_ZAP_DOMAIN, "rookery", 7);
		return;
	}
	zmq_setsockopt(b->socket, ZMQ_CURVE_PUBLICKEY, b->public_key, KEY + 1);
	zmq_setsockopt(b->socket, ZMQ_CURVE_SERVERKEY, b->server_key, KEY + 1);
}

/* ipc: a second bind would silently steal the path, so a lock beside it says
 * whose it is; and only the umask decides who may connect. */
static enum err
bind_ipc(struct bus *b)
{
	char     path[128];
	mode_t   mask;
	int      r;

	snprintf(path, sizeof path, "%s.lock", b->url + 6);
	b->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (b->lock < 0 || flock(b->lock, LOCK_EX | LOCK_NB) < 0) {
		log_error("bus.bind", KV("url", b->url),
		    KV("why", errno == EWOULDBLOCK
		            ? "another process serves it"
		            : strerror(errno)),
		    KV("remedy", "stop it, or set another ROOKERY_RUN_DIR"));
		return errno == EWOULDBLOCK ? ERR_BUSY : ERR_CONFIG;
	}
	mask = umask(0007);
	r = zmq_bind(b->socket, b->url);
	umask(mask);
	if (r == 0)
		return ERR_OK;
	log_error("bus.bind", KV("url", b->url),
	    KV("why", zmq_strerror(errno)),
	    KV("remedy", "remove what is in its place, or set another "
	                 "ROOKERY_RUN_DIR"));
	return ERR_CONFIG;
}

static enum err
attach(struct bus *b)
{
	enum err e = ERR_OK;

	if (binds(b) && strncmp(b->url, "ipc://", 6) == 0)
		return bind_ipc(b);
	if (!binds(b))
		e = zmq_connect(b->socket, b->url) == 0 ? ERR_OK : ERR_CONFIG;
	else if (zmq_bind(b->socket, b->url) < 0)
		e = errno == EADDRINUSE ? ERR_BUSY : ERR_CONFIG;
	if (e != ERR_OK)
		log_error("bus.open", KV("url", b->url),
		    KV("why", zmq_strerror(errno)));
	return e;
}

/* What one side has and the others have not. */
static void
set_side(struct bus *b)
{
	switch (b->o.side) {
	case BUS_SERVER:
		set_int(b->socket, ZMQ_ROUTER_MANDATORY, 1);
		break;
	case BUS_CLIENT:
		break;
	case BUS_FEED:
		set_int(b->socket, ZMQ_SNDHWM, FEED_MESSAGES);
		zmq_setsockopt(b->socket, ZMQ_MAXMSGSIZE,
		    &(int64_t){ ASKS_MAX }, sizeof(int64_t));
		break;
	case BUS_OBSERVER: /* nothing is said on it, so the library beats */
		set_int(b->socket, ZMQ_HEARTBEAT_IVL, BUS_BEAT_MS);
		set_int(b->socket, ZMQ_HEARTBEAT_TIMEOUT, BUS_SILENCE_MS);
		for (size_t i = 0; b->o.topics[i] != NULL; i++)
			zmq_setsockopt(b->socket, ZMQ_SUBSCRIBE,
			    b->o.topics[i], strlen(b->o.topics[i]));
		break;
	}
}

static enum err
open_socket(struct bus *b)
{
	static const int types[] = { [BUS_SERVER] = ZMQ_ROUTER,
		[BUS_CLIENT] = ZMQ_DEALER, [BUS_FEED] = ZMQ_XPUB,
		[BUS_OBSERVER] = ZMQ_SUB };
	struct loop_source src = { socket_pending, socket_serve, b };
	enum err           e;

	b->socket = zmq_socket(b->context, types[b->o.side]);
	if (b->socket == NULL)
		return ERR_SYSTEM;
	set_int(b->socket, ZMQ_LINGER, 0);
	set_int(b->socket, ZMQ_SNDHWM, HIGH_WATER);
	set_int(b->socket, ZMQ_RCVHWM, HIGH_WATER);
	set_int(b->socket, ZMQ_RECONNECT_IVL, 10);
	set_int(b->socket, ZMQ_RECONNECT_IVL_MAX, 500);
	set_int(b->socket, ZMQ_HANDSHAKE_IVL, 5000);
	zmq_setsockopt(b->socket, ZMQ_MAXMSGSIZE, &(int64_t){ MSG_MAX + 64 },
	    sizeof(int64_t));
	set_side(b);
	if (b->curve)
		set_curve(b);
	b->heard_ms = b->said_ms = loop_clock_ms();
	b->touched = true;
	if ((!binds(b) && (e = monitor_open(b)) != ERR_OK) ||
	    (e = attach(b)) != ERR_OK)
		return e;
	return watch(b, b->socket, &src);
}

static void
close_socket(struct bus *b, int linger_ms)
{
	if (b->socket == NULL)
		return;
	set_int(b->socket, ZMQ_LINGER, linger_ms);
	unwatch(b, b->socket);
	loop_remove_source(b->loop, b);
	if (b->monitor != NULL) {
		zmq_socket_monitor(b->socket, NULL, 0);
		unwatch(b, b->monitor);
		zmq_close(b->monitor);
		b->monitor = NULL;
	}
	zmq_close(b->socket);
	b->socket = NULL;
}

static void
on_beat(void *self)
{
	struct bus     *b = self;
	uint64_t        now = loop_now(b->loop);
	struct msg_beat beat = { .t = now };

	if (now - b->heard_ms >= BUS_SILENCE_MS) {
		log_warn("bus.silent", KV("url", b->url),
		    KV("ms", now - b->heard_ms));
		close_socket(b, 0);
		b->counts.reopened++;
		if (open_socket(b) == ERR_OK && b->o.on_open != NULL)
			b->o.on_open(b->o.self);
	} else if (now - b->said_ms >= BUS_BEAT_MS ||
	    now - b->heard_ms >= BUS_BEAT_MS)
		bus_send(b, (msg_peer){ NULL, 0 }, MSG_beat, &beat);
	loop_after(b->loop, &b->beat, BUS_BEAT_MS, on_beat, b);
}

static enum err
check_url(struct bus *b)
{
	bool keys = b->o.keys_dir != NULL && b->o.keys_dir[0] != '\0';

	b->curve = strncmp(b->url, "tcp://", 6) == 0 && keys;
	if (b->curve || strncmp(b->url, "tcp://", 6) != 0 ||
	    is_loopback_url(b->url))
		return ERR_OK;
	log_error("bus.plain", KV("url", b->url),
	    KV("why", "tcp beyond loopback goes encrypted or not at all"),
	    KV("remedy", "set ROOKERY_KEYS_DIR (rookery keys makes keys)"));
	return ERR_CONFIG;
}

enum err
bus_open(struct bus **out, struct loop *loop, const struct bus_options *o)
{
	struct bus *b = calloc(1, sizeof *b);
	enum err    e = ERR_NOMEM;

	if (b == NULL)
		return ERR_NOMEM;
	b->o = *o;
	b->loop = loop;
	b->lock = -1;
	if ((b->url = strdup(o->url)) == NULL)
		goto out;
	if ((e = check_url(b)) != ERR_OK ||
	    (b->curve && (e = load_keys(b)) != ERR_OK))
		goto out;
	e = ERR_SYSTEM;
	if ((b->context = zmq_ctx_new()) == NULL)
		goto out;
	zmq_ctx_set(b->context, ZMQ_IPV6, 1);
	if (b->curve && binds(b) && (e = zap_open(b)) != ERR_OK)
		goto out;
	if ((e = open_socket(b)) != ERR_OK)
		goto out;
	*out = b; /* on_open sends already */
	if (o->side == BUS_CLIENT) {
		loop_after(loop, &b->beat, BUS_BEAT_MS, on_beat, b);
		if (o->on_open != NULL)
			o->on_open(o->self);
	}
	return ERR_OK;
out:
	bus_close(&b);
	return e;
}

void
bus_close(struct bus **bp)
{
	struct bus *b = *bp;

	if (b == NULL)
		return;
	*bp = NULL;
	loop_cancel(b->loop, &b->beat);
	close_socket(b, b->o.side == BUS_FEED ? FEED_LINGER_MS : LINGER_MS);
	if (b->zap != NULL) {
		unwatch(b, b->zap);
		loop_remove_source(b->loop, b);
		zmq_close(b->zap);
	}
	if (b->context != NULL)
		zmq_ctx_term(b->context);
	if (b->lock >= 0)
		close(b->lock);
	explicit_bzero(b->secret_key, sizeof b->secret_key);
	buf_free(&b->body);
	free(b->url);
	free(b);
}

const struct bus_counts *
bus_counts(const struct bus *b)
{
	return &b->counts;
}
