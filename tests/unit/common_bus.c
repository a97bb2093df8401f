// links: common
/*
 * bus: what goes through an endpoint, what does not, and who notices.
 */
#include "test.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <arpa/inet.h>
#include <ftw.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <zmq.h>

#include "bus.h"
#include "log.h"

#define ROWS(a) (sizeof(a) / sizeof *(a))

/* Hours pass in no time: this program's clock, ahead of the kernel's. */
static time_t skew_s;

int
clock_gettime(clockid_t clock, struct timespec *ts)
{
	int r = (int)syscall(SYS_clock_gettime, clock, ts);

	if (clock == CLOCK_MONOTONIC)
		ts->tv_sec += skew_s;
	return r;
}

/* One end and what it has seen. */
struct end {
	struct bus *bus;
	size_t      acks, nacks, events, hellos, opened, heard;
	char        peer[300], last[64];
	size_t      peer_n;
	bool        in_order;
};

static void
note(struct end *e, msg_peer from, struct slice id)
{
	if (from.n > 0 && from.n < sizeof e->peer) {
		memcpy(e->peer, from.p, from.n);
		e->peer_n = from.n;
	}
	snprintf(e->last, sizeof e->last, "%.*s", (int)id.n,
	    id.n > 0 ? id.p : "");
}

static void
on_ack(void *self, msg_peer from, const struct msg_ack *m)
{
	struct end *e = self;
	char        want[24];

	snprintf(want, sizeof want, "%zu", e->acks++);
	e->in_order &= slice_is(m->ev, want);
	note(e, from, m->ev);
}

static void
on_event(void *self, msg_peer from, const struct msg_event *m)
{
	struct end *e = self;

	e->events++;
	note(e, from, m->id);
}

static void
on_hello(void *self, msg_peer from, const struct msg_hello *m)
{
	struct end *e = self;

	e->hellos++;
	note(e, from, m->session);
}

static void
on_open(void *self)
{
	((struct end *)self)->opened++;
}

static void
on_heard(void *self, msg_peer from)
{
	(void)from;
	((struct end *)self)->heard++;
}

static const struct msg_handlers server_takes = { .ack = on_ack };
static const struct msg_handlers client_takes = { .event = on_event,
	.hello = on_hello };

struct rig {
	struct loop *loop;
	struct end   server, client;
	char         url[128];
};

static struct bus_options
server_options(struct rig *r)
{
	return (struct bus_options){ .side = BUS_SERVER, .url = r->url,
		.sends = MSG_EVENTS_DOWN, .takes = MSG_EVENTS_UP,
		.handlers = &server_takes, .self = &r->server,
		.on_heard = on_heard };
}

static struct bus_options
client_options(struct rig *r)
{
	return (struct bus_options){ .side = BUS_CLIENT, .url = r->url,
		.sends = MSG_EVENTS_UP, .takes = MSG_EVENTS_DOWN,
		.handlers = &client_takes, .self = &r->client,
		.on_open = on_open };
}

static void
rig_open(struct rig *r, const char *path)
{
	*r = (struct rig){ .server.in_order = true };
	snprintf(r->url, sizeof r->url, "ipc://%s", path);
	EXPECT(loop_new(&r->loop) == ERR_OK);
}

static void
rig_close(struct rig *r)
{
	bus_close(&r->client.bus);
	bus_close(&r->server.bus);
	loop_free(&r->loop);
	skew_s = 0;
}

/* Turns until *counter has reached n; the deadline is on the kernel's clock. */
static void
turn_until(struct rig *r, const size_t *counter, size_t n)
{
	struct timespec now, end;

	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &end);
	end.tv_sec += 10;
	do {
		EXPECT(loop_turn(r->loop, 5, NULL) == ERR_OK);
		syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
	} while (*counter < n && now.tv_sec < end.tv_sec);
	EXPECT(*counter >= n);
}

static void
turn_until_count(struct rig *r, const uint64_t *counter, uint64_t n)
{
	for (int i = 0; i < 2000 && *counter < n; i++)
		loop_turn(r->loop, 5, NULL);
	EXPECT(*counter >= n);
}

static enum err
send_ack(struct end *e, size_t i)
{
	char           id[24];
	struct msg_ack ack = { .ev = { id,
		(size_t)snprintf(id, sizeof id, "%zu", i) } };

	return bus_send(e->bus, (msg_peer){ NULL, 0 }, MSG_ack, &ack);
}

static msg_peer
peer_of(const struct end *e)
{
	return (msg_peer){ e->peer, e->peer_n };
}

TEST(messages_go_through)
{
	struct msg_event   ev = { .id = SLICE("E1"), .type = SLICE("t") };
	struct bus_options o;
	struct stat        st;
	struct rig         r;

	rig_open(&r, "go.sock");
	o = server_options(&r);
	EXPECT(bus_open(&r.server.bus, r.loop, &o) == ERR_OK);
	EXPECT(stat("go.sock", &st) == 0 && (st.st_mode & 007) == 0);
	o = client_options(&r);
	EXPECT(bus_open(&r.client.bus, r.loop, &o) == ERR_OK);
	EXPECT_INT(r.client.opened, 1);
	EXPECT(send_ack(&r.client, 0) == ERR_OK);
	turn_until(&r, &r.server.acks, 1);
	EXPECT_STR(r.server.last, "0");
	EXPECT(r.server.heard > 0 && r.server.peer_n > 0);
	EXPECT(bus_send(r.server.bus, peer_of(&r.server), MSG_event, &ev) ==
	    ERR_OK);
	turn_until(&r, &r.client.events, 1);
	EXPECT_STR(r.client.last, "E1");
	EXPECT_INT(r.client.peer_n, 0);
	EXPECT_INT(bus_counts(r.server.bus)->sent, 1);
	EXPECT_INT(bus_counts(r.server.bus)->refused, 0);
	/* what does not go this way does not even leave */
	EXPECT(bus_send(r.client.bus, (msg_peer){ NULL, 0 }, MSG_event, &ev) ==
	    ERR_FORBIDDEN);
	rig_close(&r);
}

/* Far more than one turn takes, and more than the pipe holds: none is lost,
 * none overtakes, and a full pipe says so. */
TEST(a_flood_arrives_whole)
{
	enum { FLOOD = 20000 };
	struct bus_options o;
	struct rig         r;
	size_t             full = 0;

	rig_open(&r, "flood.sock");
	o = server_options(&r);
	EXPECT(bus_open(&r.server.bus, r.loop, &o) == ERR_OK);
	o = client_options(&r);
	EXPECT(bus_open(&r.client.bus, r.loop, &o) == ERR_OK);
	for (size_t i = 0; i < FLOOD;) {
		enum err e = send_ack(&r.client, i);

		EXPECT(e == ERR_OK || e == ERR_FULL);
		i += e == ERR_OK;
		full += e == ERR_FULL;
		if (e == ERR_FULL)
			loop_turn(r.loop, 5, NULL);
		if (full > 2000) {
			EXPECT(full <= 2000);
			break;
		}
	}
	turn_until(&r, &r.server.acks, FLOOD);
	EXPECT_INT(r.server.acks, FLOOD);
	EXPECT(r.server.in_order);
	EXPECT(full > 0);
	EXPECT_INT(bus_counts(r.client.bus)->full, full);
	rig_close(&r);
}

static bool
is_signalled(const struct loop *l)
{
	struct pollfd p = { .fd = loop_fd(l), .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

/* Sending looks at what has come in, and takes the signal of it away. */
TEST(a_signal_that_a_send_has_swallowed)
{
	struct msg_event   ev = { .id = SLICE("E1"), .type = SLICE("t") };
	struct bus_options o;
	struct loop       *theirs;
	struct rig         r;
	time_t             end;

	rig_open(&r, "swallow.sock");
	EXPECT(loop_new(&theirs) == ERR_OK);
	o = server_options(&r);
	EXPECT(bus_open(&r.server.bus, r.loop, &o) == ERR_OK);
	o = client_options(&r);
	EXPECT(bus_open(&r.client.bus, theirs, &o) == ERR_OK);
	EXPECT(send_ack(&r.client, 0) == ERR_OK);
	turn_until(&r, &r.server.acks, 1);
	while (is_signalled(r.loop))
		EXPECT(loop_turn(r.loop, 0, NULL) == ERR_OK);
	EXPECT(send_ack(&r.client, 1) == ERR_OK);
	end = time(NULL) + 10;
	while (!is_signalled(r.loop) && time(NULL) < end)
		;
	/* It looks once in a millisecond; and few are sent, lest the room
	 * they make again be signalled too. */
	for (size_t i = 0; is_signalled(r.loop) && i < 400000; i++)
		if (i % 1000 == 0)
			EXPECT(bus_send(r.server.bus, peer_of(&r.server),
			           MSG_event, &ev) == ERR_OK);
	EXPECT(!is_signalled(r.loop));
	EXPECT(loop_turn(r.loop, 0, NULL) == ERR_OK);
	EXPECT_INT(r.server.acks, 2);
	bus_close(&r.client.bus);
	loop_free(&theirs);
	rig_close(&r);
}

TEST(nobody_there)
{
	struct msg_event   ev = { .id = SLICE("E1") };
	struct bus_options o;
	struct rig         r;
	enum err           e = ERR_OK;
	size_t             sent = 0;

	rig_open(&r, "nobody.sock");
	o = client_options(&r);
	EXPECT(bus_open(&r.client.bus, r.loop, &o) == ERR_OK);
	for (; sent < 5000 && e == ERR_OK; sent += e == ERR_OK)
		e = send_ack(&r.client, sent);
	EXPECT(e == ERR_FULL && sent > 0 && sent < 5000);
	bus_close(&r.client.bus);
	/* and a server without that peer, or without it any more */
	o = server_options(&r);
	EXPECT(bus_open(&r.server.bus, r.loop, &o) == ERR_OK);
	EXPECT(bus_send(r.server.bus, SLICE("stranger"), MSG_event, &ev) ==
	    ERR_NOT_FOUND);
	EXPECT(bus_send(r.server.bus, (msg_peer){ NULL, 0 }, MSG_event, &ev) ==
	    ERR_NOT_FOUND);
	o = client_options(&r);
	EXPECT(bus_open(&r.client.bus, r.loop, &o) == ERR_OK);
	EXPECT(send_ack(&r.client, 0) == ERR_OK);
	turn_until(&r, &r.server.acks, 1);
	bus_close(&r.client.bus);
	for (int i = 0; i < 1000; i++) {
		e = bus_send(r.server.bus, peer_of(&r.server), MSG_event, &ev);
		if (e == ERR_NOT_FOUND)
			break;
		loop_turn(r.loop, 5, NULL);
	}
	EXPECT(e == ERR_NOT_FOUND);
	rig_close(&r);
}

TEST(one_server_per_path)
{
	struct bus_options o;
	struct bus        *second = NULL;
	struct rig         r;

	rig_open(&r, "one.sock");
	o = server_options(&r);
	EXPECT(bus_open(&r.server.bus, r.loop, &o) == ERR_OK);
	EXPECT(bus_open(&second, r.loop, &o) == ERR_BUSY);
	EXPECT(second == NULL);
	/* the first is still the one that is heard */
	o = client_options(&r);
	EXPECT(bus_open(&r.client.bus, r.loop, &o) == ERR_OK);
	EXPECT(send_ack(&r.client, 0) == ERR_OK);
	turn_until(&r, &r.server.acks, 1);
	bus_close(&r.server.bus);
	/* what a killed server leaves behind is in nobody's way */
	EXPECT(access("one.sock.lock", F_OK) == 0);
	o = server_options(&r);
	EXPECT(bus_open(&r.server.bus, r.loop, &o) == ERR_OK);
	rig_close(&r);
}

/* A server that cannot have its path says so, once, with the path. */
TEST(why_a_path_cannot_be_had)
{
	static const char *const paths[] = { "taken", "no-folder/a.sock" };
	int saved = dup(STDERR_FILENO);

	mkdir("taken", 0700);
	for (size_t i = 0; i < ROWS(paths); i++) {
		char       words[2048] = "", *found;
		FILE      *f = tmpfile();
		struct bus_options o;
		struct rig         r;

		rig_open(&r, paths[i]);
		o = server_options(&r);
		dup2(fileno(f), STDERR_FILENO);
		EXPECT(bus_open(&r.server.bus, r.loop, &o) == ERR_CONFIG);
		rig_close(&r);
		dup2(saved, STDERR_FILENO);
		EXPECT(pread(fileno(f), words, sizeof words - 1, 0) >= 0);
		fclose(f);
		found = strstr(words, paths[i]);
		EXPECT(found != NULL);
		EXPECT(found == NULL || strstr(found + 1, paths[i]) == NULL);
	}
	close(saved);
}

TEST(a_new_server_is_noticed)
{
	struct bus_options o;
	struct rig         r;

	rig_open(&r, "new.sock");
	o = server_options(&r);
	EXPECT(bus_open(&r.server.bus, r.loop, &o) == ERR_OK);
	o = client_options(&r);
	EXPECT(bus_open(&r.client.bus, r.loop, &o) == ERR_OK);
	EXPECT(send_ack(&r.client, 0) == ERR_OK);
	turn_until(&r, &r.server.acks, 1);
	bus_close(&r.server.bus);
	o = server_options(&r);
	EXPECT(bus_open(&r.server.bus, r.loop, &o) == ERR_OK);
	turn_until(&r, &r.client.opened, 2);
	EXPECT(send_ack(&r.client, 1) == ERR_OK);
	turn_until(&r, &r.server.acks, 2);
	rig_close(&r);
}

/* --- strangers with a plain socket ---------------------------------------------- */

struct stranger {
	void *context, *socket;
};

static void
stranger_open(struct stranger *s, int type, const char *url)
{
	int linger = 0;

	s->context = zmq_ctx_new();
	s->socket = zmq_socket(s->context, type);
	zmq_setsockopt(s->socket, ZMQ_LINGER, &linger, sizeof linger);
	if (type == ZMQ_ROUTER)
		EXPECT(zmq_bind(s->socket, url) == 0);
	else
		EXPECT(zmq_connect(s->socket, url) == 0);
}

static void
stranger_close(struct stranger *s)
{
	zmq_close(s->socket);
	zmq_ctx_term(s->context);
}

TEST(nonsense_is_refused_and_counted)
{
	static const struct {
		struct slice parts[4];
		bool         refused;
	} rows[] = {
		{ { { "RK1A", 4 } }, true },
		{ { { "RK1A", 4 }, { "", 0 } }, true },
		{ { { "RK1A", 4 }, { "\x80", 1 }, { "x", 1 } }, true },
		{ { { "RK1A", 4 }, { "\x80", 1 }, { "x", 1 }, { "y", 1 } },
		    true },
		{ { { "RK1A", 4 }, { "\xc1", 1 } }, true },
		{ { { "RK2A", 4 }, { "\x80", 1 } }, true },
		{ { { "hello", 5 }, { "\x80", 1 } }, true },
		{ { { "RK1E", 4 }, { "\x80", 1 } }, true },  /* wrong way */
		{ { { "RK1C", 4 }, { "\x80", 1 } }, true },  /* wrong socket */
		{ { { "RK1I", 4 }, { "\x80", 1 } }, true },  /* trust */
		{ { { "RK1N", 4 }, { "\x80", 1 } }, true },  /* not taken */
		{ { { "RK1q", 4 }, { "\x80", 1 } }, false }, /* newer */
	};
	struct bus_options o;
	struct stranger    s;
	struct rig         r;
	uint64_t           refused = 0;

	rig_open(&r, "nonsense.sock");
	o = server_options(&r);
	EXPECT(bus_open(&r.server.bus, r.loop, &o) == ERR_OK);
	stranger_open(&s, ZMQ_DEALER, r.url);
	for (size_t i = 0; i < ROWS(rows); i++) {
		size_t n = 1;

		while (n < 4 && rows[i].parts[n].p != NULL)
			n++;
		for (size_t k = 0; k < n; k++)
			zmq_send(s.socket, rows[i].parts[k].p,
			    rows[i].parts[k].n, k + 1 < n ? ZMQ_SNDMORE : 0);
		refused += rows[i].refused;
	}
	/* after all that, it still listens */
	zmq_send(s.socket, "RK1A", 4, ZMQ_SNDMORE);
	zmq_send(s.socket, "\x81\xa2" "ev\xa1" "0", 6, 0);
	turn_until(&r, &r.server.acks, 1);
	EXPECT_INT(bus_counts(r.server.bus)->refused, refused);
	EXPECT_INT(r.server.acks, 1);
	stranger_close(&s);
	rig_close(&r);
}

TEST(beats_are_answered)
{
	struct bus_options o;
	struct stranger    s;
	struct rig         r;
	char               head[8], body[64];
	int                n = -1, ms = 20;

	rig_open(&r, "beat.sock");
	o = server_options(&r);
	EXPECT(bus_open(&r.server.bus, r.loop, &o) == ERR_OK);
	stranger_open(&s, ZMQ_DEALER, r.url);
	zmq_setsockopt(s.socket, ZMQ_RCVTIMEO, &ms, sizeof ms);
	zmq_send(s.socket, "RK1B", 4, ZMQ_SNDMORE);
	zmq_send(s.socket, "\x81\xa1t\xcd\x12\x34", 6, 0);
	for (int i = 0; i < 300 && n < 0; i++) {
		loop_turn(r.loop, 5, NULL);
		n = zmq_recv(s.socket, head, sizeof head, 0);
	}
	EXPECT(n == 4 && memcmp(head, "RK1B", 4) == 0);
	n = zmq_recv(s.socket, body, sizeof body, 0);
	EXPECT(n == 6 && memcmp(body, "\x81\xa1t\xcd\x12\x34", 6) == 0);
	stranger_close(&s);
	rig_close(&r);
}

/* A server that takes everything and says nothing: after 10 s the client
 * throws its socket away and presents itself again. */
TEST(a_silent_server_is_left)
{
	struct bus_options o;
	struct stranger    s;
	struct rig         r;

	rig_open(&r, "silent.sock");
	stranger_open(&s, ZMQ_ROUTER, r.url);
	o = client_options(&r);
	EXPECT(bus_open(&r.client.bus, r.loop, &o) == ERR_OK);
	for (int i = 0; i < 3; i++) {
		skew_s += 3; /* 9 s: beats, but patience */
		loop_turn(r.loop, 5, NULL);
	}
	EXPECT_INT(bus_counts(r.client.bus)->reopened, 0);
	EXPECT_INT(bus_counts(r.client.bus)->sent, 3);
	skew_s += 3;
	loop_turn(r.loop, 5, NULL);
	EXPECT_INT(bus_counts(r.client.bus)->reopened, 1);
	EXPECT(r.client.opened >= 2);
	EXPECT(send_ack(&r.client, 0) == ERR_OK);
	stranger_close(&s);
	rig_close(&r);
}

/* The same with a server that answers: the socket lives for ever. */
TEST(a_beating_server_is_kept)
{
	struct bus_options o;
	struct rig         r;

	rig_open(&r, "beating.sock");
	o = server_options(&r);
	EXPECT(bus_open(&r.server.bus, r.loop, &o) == ERR_OK);
	o = client_options(&r);
	EXPECT(bus_open(&r.client.bus, r.loop, &o) == ERR_OK);
	for (size_t i = 1; i <= 8; i++) {
		skew_s += 3;
		turn_until_count(&r, &bus_counts(r.client.bus)->received, i);
	}
	EXPECT_INT(bus_counts(r.client.bus)->reopened, 0);
	EXPECT_INT(r.client.opened, 1);
	rig_close(&r);
}

/* --- the feed --------------------------------------------------------------------- */

static const char *const all_topics[] = { "", NULL };

static void
feed_open_both(struct rig *r, const char *const *topics)
{
	struct bus_options feed = { .side = BUS_FEED, .url = r->url,
		.sends = MSG_FEED, .handlers = &server_takes,
		.self = &r->server };
	struct bus_options observer = { .side = BUS_OBSERVER, .url = r->url,
		.takes = MSG_FEED, .handlers = &client_takes,
		.self = &r->client, .on_open = on_open, .topics = topics };

	EXPECT(bus_open(&r->server.bus, r->loop, &feed) == ERR_OK);
	EXPECT(bus_open(&r->client.bus, r->loop, &observer) == ERR_OK);
	EXPECT_INT(r->client.opened, 0);
	turn_until_count(r, &bus_counts(r->server.bus)->topics, 1);
	turn_until(r, &r->client.opened, 1);
}

static enum err
publish(struct rig *r, const char *type, const char *id, struct slice raw)
{
	struct msg_event ev = { .id = slice_of(id), .type = slice_of(type),
		.raw = raw };
	struct buf       body = { 0 };
	char             head[MSG_HEAD];
	enum err         e = msg_encode(MSG_event, &ev, head, &body);

	if (e == ERR_OK)
		e = bus_publish(r->server.bus, ev.type, MSG_event,
		    buf_slice(&body));
	buf_free(&body);
	return e;
}

TEST(an_observer_gets_what_it_asked_for)
{
	static const char *const topics[] = { "message.", NULL };
	struct msg_ack           ack = { .ev = SLICE("E1") };
	struct rig               r;

	rig_open(&r, "feed.sock");
	feed_open_both(&r, topics);
	EXPECT(publish(&r, "friend.add", "E0", SLICE("")) == ERR_OK);
	EXPECT(publish(&r, "message.c2c", "E1", SLICE("")) == ERR_OK);
	turn_until(&r, &r.client.events, 1);
	EXPECT_STR(r.client.last, "E1");
	EXPECT(slice_is(peer_of(&r.client), "message.c2c"));
	EXPECT_INT(bus_counts(r.server.bus)->sent, 2);
	/* nothing else goes there, and nothing at all back */
	EXPECT(bus_publish(r.server.bus, SLICE("x"), MSG_ack, SLICE("\x80")) ==
	    ERR_FORBIDDEN);
	EXPECT(bus_send(r.client.bus, (msg_peer){ NULL, 0 }, MSG_ack, &ack) ==
	    ERR_FORBIDDEN);
	bus_close(&r.client.bus);
	for (int i = 0; i < 2000 && bus_counts(r.server.bus)->topics > 0; i++)
		loop_turn(r.loop, 5, NULL);
	EXPECT_INT(bus_counts(r.server.bus)->topics, 0);
	EXPECT(publish(&r, "message.c2c", "E2", SLICE("")) == ERR_OK);
	rig_close(&r);
}

/* Connected, and never to be read. */
static void
lazy_open(struct stranger *s, const char *url)
{
	int little = 1, small = 8192;

	s->context = zmq_ctx_new();
	s->socket = zmq_socket(s->context, ZMQ_SUB);
	zmq_setsockopt(s->socket, ZMQ_RCVHWM, &little, sizeof little);
	zmq_setsockopt(s->socket, ZMQ_RCVBUF, &small, sizeof small);
	zmq_setsockopt(s->socket, ZMQ_SUBSCRIBE, "m", 1);
	EXPECT(zmq_connect(s->socket, url) == 0);
}

/* One that never reads is found out, holds no more than it may, and takes
 * nothing from the one that does. */
TEST(a_slow_observer_is_alone_with_it)
{
	enum { EVENTS = 20000 };
	static char      large[4096];
	struct stranger  slow;
	struct rig       r;
	size_t           sent = 0;

	rig_open(&r, "slow.sock");
	feed_open_both(&r, all_topics);
	lazy_open(&slow, r.url);
	turn_until_count(&r, &bus_counts(r.server.bus)->topics, 2);
	memset(large, 'x', sizeof large);
	while (sent < EVENTS && bus_counts(r.server.bus)->slow == 0) {
		EXPECT(publish(&r, "message.c2c", "E",
		           (struct slice){ large, sizeof large }) == ERR_OK);
		if (++sent % 100 == 0)
			turn_until(&r, &r.client.events, sent);
	}
	for (int i = 0; i < 500; i++, sent++)
		EXPECT(publish(&r, "message.c2c", "E",
		           (struct slice){ large, 100 }) == ERR_OK);
	turn_until(&r, &r.client.events, sent);
	EXPECT(bus_counts(r.server.bus)->slow > 0);
	EXPECT_INT(bus_counts(r.server.bus)->dropped, 0);
	stranger_close(&slow);
	rig_close(&r);
}

/* Large ones are bounded by their bytes, and their room comes back. */
TEST(what_waits_for_observers_is_bounded)
{
	static char     large[MSG_MAX - 1000];
	struct stranger lazy;
	struct rig      r;
	size_t          taken = 0;
	enum err        e = ERR_FULL;

	rig_open(&r, "bytes.sock");
	feed_open_both(&r, (const char *const[]){ "other", NULL });
	lazy_open(&lazy, r.url);
	turn_until_count(&r, &bus_counts(r.server.bus)->topics, 2);
	memset(large, 'x', sizeof large);
	while (taken < 1000 && publish(&r, "message.c2c", "E",
	           (struct slice){ large, sizeof large }) == ERR_OK)
		taken++;
	EXPECT(taken >= FEED_BYTES / MSG_MAX && taken < 1000);
	EXPECT_INT(bus_counts(r.server.bus)->dropped, 1);
	stranger_close(&lazy);
	for (int i = 0; i < 2000 && e == ERR_FULL; i++) {
		loop_turn(r.loop, 5, NULL);
		e = publish(&r, "other", "E",
		    (struct slice){ large, sizeof large });
	}
	EXPECT(e == ERR_OK);
	turn_until(&r, &r.client.events, 1);
	rig_close(&r);
}

/* --- tcp and keys -------------------------------------------------------------------- */

static void
free_port(struct rig *r)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t          n = sizeof a;
	int                fd = socket(AF_INET, SOCK_STREAM, 0);

	EXPECT(bind(fd, (struct sockaddr *)&a, n) == 0);
	getsockname(fd, (struct sockaddr *)&a, &n);
	close(fd);
	snprintf(r->url, sizeof r->url, "tcp://127.0.0.1:%d",
	    ntohs(a.sin_port));
}

/* DIR/NAME.key with both keys; NAME.pub in each of the other folders. */
static void
make_key(const char *dir, const char *name, const char *publish[3])
{
	char  public_key[41], secret_key[41], path[200];
	FILE *f;

	EXPECT(bus_keypair(public_key, secret_key) == ERR_OK);
	snprintf(path, sizeof path, "%s/%s.key", dir, name);
	if ((f = fopen(path, "w")) != NULL) {
		fprintf(f, "%s\n%s\n", public_key, secret_key);
		fclose(f);
	}
	for (size_t i = 0; i < 3 && publish[i] != NULL; i++) {
		snprintf(path, sizeof path, "%s/%s.pub", publish[i], name);
		if ((f = fopen(path, "w")) != NULL) {
			fprintf(f, "%s\n", public_key);
			fclose(f);
		}
	}
}

static void
make_keys(void)
{
	mkdir("k-server", 0700);
	mkdir("k-client", 0700);
	mkdir("k-thief", 0700);
	mkdir("k-lost", 0700);
	make_key("k-server", "gateway",
	    (const char *[3]){ "k-client", "k-thief" });
	make_key("k-client", "worker", (const char *[3]){ "k-server" });
	/* the thief has a pair of its own, and the server's public key */
	make_key("k-thief", "worker", (const char *[3]){ NULL });
	/* the lost one is admitted, but has another server's key */
	make_key("k-lost", "worker", (const char *[3]){ NULL });
	make_key("k-thief", "gateway", (const char *[3]){ "k-lost" });
}

static void
with_keys(struct bus_options *o, const char *dir)
{
	o->keys_dir = dir;
	o->name = o->side == BUS_SERVER ? "gateway" : "worker";
	o->server = "gateway";
	o->admit[0] = "worker";
}

TEST(keys_open_the_door)
{
	struct msg_hello   hello = { .session = SLICE("S1") };
	struct bus_options o;
	struct rig         r;

	rig_open(&r, "");
	free_port(&r);
	o = server_options(&r);
	with_keys(&o, "k-server");
	EXPECT(bus_open(&r.server.bus, r.loop, &o) == ERR_OK);
	o = client_options(&r);
	with_keys(&o, "k-client");
	EXPECT(bus_open(&r.client.bus, r.loop, &o) == ERR_OK);
	EXPECT(send_ack(&r.client, 0) == ERR_OK);
	turn_until(&r, &r.server.acks, 1);
	EXPECT(bus_send(r.server.bus, peer_of(&r.server), MSG_hello, &hello) ==
	    ERR_OK);
	turn_until(&r, &r.client.hellos, 1);
	EXPECT_STR(r.client.last, "S1");
	EXPECT_INT(bus_counts(r.server.bus)->refused, 0);
	rig_close(&r);
}

/* Who has no admitted key is not heard; the honest one beside it is. */
static void
expect_stranger_out(const char *keys, bool refused_by_key)
{
	struct bus_options o;
	struct end         thief = { 0 };
	struct rig         r;

	rig_open(&r, "");
	free_port(&r);
	o = server_options(&r);
	with_keys(&o, "k-server");
	EXPECT(bus_open(&r.server.bus, r.loop, &o) == ERR_OK);
	o = client_options(&r);
	o.self = &thief;
	if (keys != NULL)
		with_keys(&o, keys);
	EXPECT(bus_open(&thief.bus, r.loop, &o) == ERR_OK);
	EXPECT(send_ack(&thief, 77) == ERR_OK);
	if (refused_by_key)
		turn_until_count(&r, &bus_counts(r.server.bus)->refused, 1);
	o = client_options(&r);
	with_keys(&o, "k-client");
	EXPECT(bus_open(&r.client.bus, r.loop, &o) == ERR_OK);
	EXPECT(send_ack(&r.client, 0) == ERR_OK);
	turn_until(&r, &r.server.acks, 1);
	EXPECT_STR(r.server.last, "0");
	EXPECT_INT(r.server.acks, 1);
	bus_close(&thief.bus);
	rig_close(&r);
}

TEST(unknown_keys_stay_outside)
{
	expect_stranger_out("k-thief", true);
	expect_stranger_out("k-lost", false);
	expect_stranger_out(NULL, false);
}

TEST(keys_must_be_there_and_whole)
{
	struct bus_options o;
	struct rig         r;
	FILE              *f;

	rig_open(&r, "");
	free_port(&r);
	o = server_options(&r);
	with_keys(&o, "no-such-folder");
	EXPECT(bus_open(&r.server.bus, r.loop, &o) == ERR_CONFIG);
	mkdir("k-bad", 0700);
	with_keys(&o, "k-bad");
	if ((f = fopen("k-bad/gateway.key", "w")) != NULL) {
		fputs("too short\n", f);
		fclose(f);
	}
	EXPECT(bus_open(&r.server.bus, r.loop, &o) == ERR_CONFIG);
	EXPECT(r.server.bus == NULL);
	rig_close(&r);
}

TEST(plain_tcp_stays_at_home)
{
	static const struct {
		const char *url;
		enum err    want;
	} rows[] = {
		{ "tcp://10.0.0.1:7000", ERR_CONFIG },
		{ "tcp://0.0.0.0:7000", ERR_CONFIG },
		{ "tcp://*:7000", ERR_CONFIG },
		{ "tcp://[::]:7000", ERR_CONFIG },
		{ "tcp://example.org:7000", ERR_CONFIG },
		{ "tcp://127.example.org:7000", ERR_CONFIG },
		{ "tcp://127.0.0.1.example.org:7000", ERR_CONFIG },
		{ "tcp://localhost.example.org:7000", ERR_CONFIG },
		{ "nonsense", ERR_CONFIG },
	};
	struct rig r;

	rig_open(&r, "");
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct bus_options o = server_options(&r);

		o.url = rows[i].url;
		EXPECT(bus_open(&r.server.bus, r.loop, &o) == rows[i].want);
		EXPECT(r.server.bus == NULL);
		o.side = BUS_CLIENT;
		EXPECT(bus_open(&r.client.bus, r.loop, &o) == rows[i].want);
	}
	rig_close(&r);
}

static int
on_left(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

int
main(void)
{
	char dir[] = "/tmp/rookery-bus-XXXXXX";

	if (mkdtemp(dir) == NULL || chdir(dir) < 0)
		return 1;
	make_keys();
	RUN(messages_go_through);
	RUN(a_flood_arrives_whole);
	RUN(a_signal_that_a_send_has_swallowed);
	RUN(nobody_there);
	RUN(one_server_per_path);
	RUN(why_a_path_cannot_be_had);
	RUN(a_new_server_is_noticed);
	RUN(nonsense_is_refused_and_counted);
	RUN(an_observer_gets_what_it_asked_for);
	RUN(a_slow_observer_is_alone_with_it);
	RUN(what_waits_for_observers_is_bounded);
	RUN(beats_are_answered);
	RUN(a_silent_server_is_left);
	RUN(a_beating_server_is_kept);
	RUN(keys_open_the_door);
	RUN(unknown_keys_stay_outside);
	RUN(keys_must_be_there_and_whole);
	RUN(plain_tcp_stays_at_home);
	nftw(dir, on_left, 8, FTW_DEPTH | FTW_PHYS);
	return test_done();
}
