/*
 * The WebSockets: one kind speaks the gateway's protocol with a bot, the
 * other looks on.  Translates between sockets and the core, no more.
 */
#include "sim.h"

#include <stdlib.h>

#include "log.h"

enum peer_kind { PEER_BOT, PEER_VIEWER };

struct peer {
	enum peer_kind kind;
	struct socket *socket;
	struct viewer *viewer;
	bool           paused;
	struct conn    conn;
};

static int64_t
now_ms(void)
{
	return sim_now_us() / 1000;
}

static struct json *
stream_object(const struct sim *s, const char *type, const struct conn *c)
{
	struct json *j = json_new_object();

	json_put_text(j, "type", slice_of(type));
	json_put_int(j, "at_ms", sim_wall_ms(s, sim_now_us()));
	json_put_int(j, "conn", (int64_t)c->number);
	if (c->session != NULL)
		json_put_text(j, "bot", slice_of(c->session->bot->app_id));
	return j;
}

static void
on_wake(void *self, struct conn *c)
{
	struct peer *peer = c->socket;

	(void)self;
	if (c->stalled != peer->paused) {
		peer->paused = c->stalled;
		socket_pause(peer->socket, peer->paused);
	}
	if (!c->stalled)
		socket_wake(peer->socket);
}

static void
on_frame_passed(void *self, const struct conn *c, bool from_bot,
    struct slice text)
{
	struct sim  *s = self;
	struct json *j;

	if (!stream_watched(&s->stream))
		return;
	j = stream_object(s, "frame", c);
	json_put_text(j, "way", from_bot ? SLICE("in") : SLICE("out"));
	stream_put_value(j, "data", text);
	stream_put(&s->stream, j);
}

static void
tell_socket(struct sim *s, const struct conn *c, const char *state, int code)
{
	struct json *j;

	if (!stream_watched(&s->stream))
		return;
	j = stream_object(s, "socket", c);
	json_put_text(j, "state", slice_of(state));
	json_put_int(j, "code", code);
	stream_put(&s->stream, j);
}

void
gateway_open(struct sim *s)
{
	s->platform.out.self = s;
	s->platform.out.wake = on_wake;
	s->platform.out.frame = on_frame_passed;
}

/* A page of another site may open a WebSocket to us; it may not look on. */
static bool
same_origin(struct slice origin, struct slice host)
{
	const char *at = origin.n > 0 ? memmem(origin.p, origin.n, "://", 3)
	                              : NULL;

	return origin.n == 0 || (at != NULL && slice_eq(slice_from(origin,
	    (size_t)(at + 3 - origin.p)), host));
}

static bool
is_gateway(struct slice path)
{
	return slice_is(path, "/websocket") || slice_is(path, "/websocket/");
}

int
gateway_on_upgrade(void *self, struct slice path, struct slice origin,
    struct slice host)
{
	struct sim  *s = self;
	struct fault f;

	if (slice_is(path, "/sim/stream"))
		return same_origin(origin, host) ? 0 : 403;
	if (!is_gateway(path)) {
		ledger_violation(&s->platform.ledger, VIOLATION_unknown_route);
		return 404;
	}
	if (faults_strike(&s->platform.faults, FAULT_refuse_connect, "", "",
	    now_ms(), &f))
		return f.status > 0 ? (int)f.status : -1;
	return 0;
}

void *
gateway_on_open(void *self, struct socket *socket, struct slice path)
{
	struct sim  *s = self;
	struct peer *peer = calloc(1, sizeof *peer);

	if (peer == NULL)
		return NULL;
	peer->socket = socket;
	if (!is_gateway(path)) {
		peer->kind = PEER_VIEWER;
		if ((peer->viewer = stream_join(&s->stream, socket)) != NULL)
			return peer;
		free(peer);
		return NULL;
	}
	peer->kind = PEER_BOT;
	peer->conn.socket = peer;
	peer->conn.number = ++s->conns;
	tell_socket(s, &peer->conn, "open", 0);
	gate_open(&s->platform, &peer->conn, now_ms());
	log_info("gateway.open", KV("conn", peer->conn.number));
	return peer;
}

void
gateway_on_frame(void *self, void *at, struct slice data, bool text)
{
	struct sim  *s = self;
	struct peer *peer = at;

	if (peer->kind != PEER_BOT)
		return;
	/* The platform knows only text; what is no JSON is refused. */
	gate_frame(&s->platform, &peer->conn, text ? data : SLICE(""),
	    now_ms());
}

static void
finish(struct sim *s, struct peer *peer)
{
	struct conn *c = &peer->conn;
	int          code = c->reset ? 0 : c->close_code;

	log_info("gateway.close", KV("conn", c->number), KV("code", code));
	tell_socket(s, c, "closed", code);
	gate_leave(&s->platform, c, now_ms());
	socket_close(peer->socket, code);
}

bool
gateway_on_writable(void *self, void *at, struct socket *socket)
{
	struct sim  *s = self;
	struct peer *peer = at;
	struct conn *c = &peer->conn;

	if (peer->kind == PEER_VIEWER)
		return stream_write(peer->viewer);
	while (gate_next(&s->platform, c, &s->frame))
		if (!socket_write(socket, buf_slice(&s->frame)))
			return gate_pending(c);
	if (c->state == CONN_CLOSING && c->close_code != 0 && !c->stalled)
		finish(s, peer);
	return false;
}

void
gateway_on_leave(void *self, void *at)
{
	struct sim  *s = self;
	struct peer *peer = at;

	if (peer->kind == PEER_BOT)
		gate_leave(&s->platform, &peer->conn, now_ms());
}

void
gateway_on_closed(void *self, void *at)
{
	struct sim  *s = self;
	struct peer *peer = at;

	if (peer->kind == PEER_VIEWER) {
		stream_leave(&s->stream, peer->viewer);
	} else {
		if (peer->conn.close_code == 0)
			tell_socket(s, &peer->conn, "closed", 1005);
		gate_closed(&s->platform, &peer->conn, now_ms());
	}
	free(peer);
}
