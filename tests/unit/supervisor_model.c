// links: supervisor/service.c common
/*
 * The state machine of one child against a second one that is written the
 * other way round: by event instead of by state, with a list of all ends
 * instead of a ring.  Every desired state with every actual state and every
 * event, and long random histories, with a clock of our own.
 */
#include "test.h"

#include "../../supervisor/service.h"

enum { HALF = 0x80000000u, STEPS = 150000 };  /* HALF: spreads by nothing */

static const struct service_limits limits = {
	.ready_ms = 3000, .watchdog_ms = 1000, .drain_ms = 2000,
	.stop_ms = 400, .ends_max = 5,
};

/* --- the model ---------------------------------------------------------- */

struct model {
	enum service_state    state;
	enum service_pressure pressure;
	enum service_cause    cause;
	bool     wanted, again, ill, ready, tripped;
	unsigned streak, step;
	uint64_t at, ready_at;          /* deadline; when it was ready */
	uint64_t ends[64];              /* of early ends, newest last */
	size_t   nends;
};

static bool
lives(const struct model *m)
{
	return m->state == SERVICE_STARTING || m->state == SERVICE_READY ||
	    m->state == SERVICE_DEGRADED || m->state == SERVICE_STOPPING;
}

static bool
works(const struct model *m)
{
	return m->state == SERVICE_READY || m->state == SERVICE_DEGRADED;
}

static void
rest(struct model *m, enum service_state state, uint64_t at)
{
	m->state = state;
	m->at = at;
}

static enum service_action
finish(struct model *m, enum service_cause cause, enum service_pressure how,
    uint64_t at)
{
	m->cause = cause;
	m->pressure = how;
	rest(m, SERVICE_STOPPING, at);
	return how == SERVICE_DRAINING ? SERVICE_DO_DRAIN
	    : how == SERVICE_TOLD      ? SERVICE_DO_TERM
	                               : SERVICE_DO_KILL;
}

static void
forgive(struct model *m)
{
	m->streak = m->step = 0;
	m->nends = 0;
	m->tripped = false;
}

static bool
may_go(const struct model *m, uint64_t now)
{
	return m->wanted && !lives(m) &&
	    (m->state == SERVICE_STOPPED ||
	        (m->at != SERVICE_NEVER && now >= m->at));
}

static enum service_action
told_to_end(struct model *m, enum service_input in, uint64_t now)
{
	bool gently = in == SERVICE_DRAIN || in == SERVICE_RETIRE;
	bool returns = in == SERVICE_RESTART || in == SERVICE_DRAIN;

	if (in != SERVICE_DRAIN)
		m->wanted = returns;
	if (!lives(m)) {
		if (in == SERVICE_RESTART)
			forgive(m);
		if (in != SERVICE_DRAIN)
			rest(m, SERVICE_STOPPED, SERVICE_NEVER);
		return SERVICE_NOTHING;
	}
	if (m->state == SERVICE_STOPPING && in == SERVICE_DRAIN)
		return SERVICE_NOTHING;
	m->again = returns;
	if (m->state != SERVICE_STOPPING)
		return finish(m, SERVICE_ASKED,
		    gently ? SERVICE_DRAINING : SERVICE_TOLD,
		    now + (gently ? limits.drain_ms : limits.stop_ms));
	if (returns)
		return SERVICE_NOTHING;
	m->cause = SERVICE_ASKED;
	return m->pressure == SERVICE_DRAINING
	    ? finish(m, SERVICE_ASKED, SERVICE_TOLD, now + limits.stop_ms)
	    : SERVICE_NOTHING;
}

static enum service_action
time_is_up(struct model *m, uint64_t now)
{
	if (m->state == SERVICE_STARTING)
		return finish(m, SERVICE_NOT_READY, SERVICE_FORCED,
		    now + SERVICE_KILL_MS);
	if (works(m)) {
		finish(m, SERVICE_WATCHDOG, SERVICE_TOLD,
		    now + SERVICE_KILL_MS);
		return SERVICE_DO_ABORT;
	}
	if (m->state != SERVICE_STOPPING)
		return SERVICE_NOTHING;
	return m->pressure == SERVICE_DRAINING
	    ? finish(m, m->cause, SERVICE_TOLD, now + limits.stop_ms)
	    : finish(m, m->cause, SERVICE_FORCED, now + SERVICE_KILL_MS);
}

/* What the child says of itself. */
static void
hear(struct model *m, enum service_input in, uint64_t now)
{
	if (in == SERVICE_UP && m->state == SERVICE_STARTING) {
		m->ready = true;
		m->ready_at = now;
		rest(m, m->ill ? SERVICE_DEGRADED : SERVICE_READY,
		    now + limits.watchdog_ms);
	} else if (in == SERVICE_BEAT && works(m)) {
		m->at = now + limits.watchdog_ms;
	} else if (in == SERVICE_LEAVING && lives(m) &&
	    m->state != SERVICE_STOPPING) {
		finish(m, SERVICE_ITSELF, SERVICE_TOLD, now + limits.stop_ms);
	} else if ((in == SERVICE_ILL || in == SERVICE_WELL) && lives(m) &&
	    m->state != SERVICE_STOPPING) {
		m->ill = in == SERVICE_ILL;
		if (works(m) && m->ill != (m->state == SERVICE_DEGRADED))
			rest(m, m->ill ? SERVICE_DEGRADED : SERVICE_READY,
			    now + limits.watchdog_ms);
	}
}

static enum service_action
model_step(struct model *m, enum service_input in, uint64_t now)
{
	switch (in) {
	case SERVICE_START:
		m->wanted = true;
		if (m->state == SERVICE_STOPPING) {
			m->again = true;
		} else if (!lives(m)) {
			forgive(m);
			rest(m, SERVICE_STOPPED, SERVICE_NEVER);
		}
		return SERVICE_NOTHING;
	case SERVICE_STOP: case SERVICE_RESTART: case SERVICE_DRAIN:
	case SERVICE_RETIRE:
		return told_to_end(m, in, now);
	case SERVICE_RESET:
		forgive(m);
		if (!lives(m))
			rest(m, SERVICE_STOPPED, SERVICE_NEVER);
		return SERVICE_NOTHING;
	case SERVICE_OVER:
		if (!works(m) || now - m->ready_at < SERVICE_FORGIVEN_MS)
			return SERVICE_NOTHING;
		m->again = true;
		return finish(m, SERVICE_OVER_LIMIT, SERVICE_DRAINING,
		    now + limits.drain_ms);
	case SERVICE_FAR_OVER:
		return lives(m) && m->state != SERVICE_STOPPING
		    ? finish(m, SERVICE_OVER_LIMIT, SERVICE_FORCED,
		          now + SERVICE_KILL_MS)
		    : SERVICE_NOTHING;
	case SERVICE_GO:
		if (!may_go(m, now))
			return SERVICE_NOTHING;
		m->again = m->ill = m->ready = false;
		m->cause = SERVICE_ITSELF;
		m->pressure = SERVICE_CALM;
		rest(m, SERVICE_STARTING, now + limits.ready_ms);
		return SERVICE_DO_SPAWN;
	case SERVICE_DUE:
		return time_is_up(m, now);
	default:
		hear(m, in, now);
		return SERVICE_NOTHING;
	}
}

/* How long until the next try, or whether it has tripped. */
static void
count_end(struct model *m, uint64_t now)
{
	static const unsigned steps[] = { 100, 200, 400, 800, 1600, 3200, 6400,
		12800, 25600, 30000 };
	uint64_t worked = m->ready ? now - m->ready_at : 0, wait = 0;
	size_t   recent = 0;

	if (worked >= SERVICE_FORGIVEN_MS)
		forgive(m);
	if (!(m->ready && (m->streak == 0 || worked >= SERVICE_SOLID_MS)))
		wait = steps[m->step < 9 ? m->step++ : 9];
	m->streak++;
	if (worked >= SERVICE_SOLID_MS) {
		m->tripped = false;
	} else {
		if (m->nends == 64)
			memmove(m->ends, m->ends + 1,
			    --m->nends * sizeof *m->ends);
		m->ends[m->nends++] = now;
	}
	for (size_t i = 0; i < m->nends; i++)
		recent += now - m->ends[i] <= SERVICE_WINDOW_MS;
	if (worked < SERVICE_SOLID_MS && recent >= limits.ends_max)
		m->tripped = true;
	if (m->tripped)
		rest(m, SERVICE_FAILED, now + SERVICE_PROBE_MS);
	else
		rest(m, SERVICE_BACKOFF, now + wait);
}

static void
model_end(struct model *m, enum service_end how, int number, uint64_t now)
{
	bool parks = how == SERVICE_BY_CODE && m->cause == SERVICE_ITSELF &&
	    (number == 64 || number == 78);

	if (!lives(m))
		return;
	if (!m->wanted || m->again)
		rest(m, SERVICE_STOPPED, SERVICE_NEVER);
	else if (parks)
		rest(m, SERVICE_FAILED, SERVICE_NEVER);
	else
		count_end(m, now);
}

/* --- both --------------------------------------------------------------- */

static bool
agree(const struct service *s, const struct model *m, uint64_t now)
{
	bool same = s->state == m->state && s->wanted == m->wanted &&
	    s->deadline_ms == m->at && s->tripped == m->tripped &&
	    service_alive(s) == lives(m) &&
	    service_wants_go(s, now) == may_go(m, now) &&
	    (!lives(m) || (s->again == m->again && s->cause == m->cause &&
	                      s->pressure == m->pressure && s->ill == m->ill));

	if (!same)
		printf("# state %d/%d wanted %d/%d deadline %llu/%llu "
		       "again %d/%d cause %d/%d pressure %d/%d tripped %d/%d\n",
		    s->state, m->state, s->wanted, m->wanted,
		    (unsigned long long)s->deadline_ms,
		    (unsigned long long)m->at, s->again, m->again, s->cause,
		    m->cause, s->pressure, m->pressure, s->tripped,
		    m->tripped);
	return same;
}

static const struct {
	enum service_end how;
	int              number;
} ends[] = {
	{ SERVICE_BY_CODE, 0 }, { SERVICE_BY_CODE, 1 }, { SERVICE_BY_CODE, 64 },
	{ SERVICE_BY_CODE, 75 }, { SERVICE_BY_CODE, 78 },
	{ SERVICE_BY_SIGNAL, 9 }, { SERVICE_BY_SIGNAL, 11 },
	{ SERVICE_BY_SIGNAL, 78 }, { SERVICE_BY_SPAWN, 2 },
};
enum { NENDS = sizeof ends / sizeof *ends,
	EVENTS = SERVICE_INPUT_COUNT + NENDS };

/* One event for both; false: they differ. */
static bool
both(struct service *s, struct model *m, unsigned event, uint64_t now)
{
	enum service_action a = SERVICE_NOTHING, b = SERVICE_NOTHING;

	if (event >= SERVICE_INPUT_COUNT) {
		enum service_end how = ends[event - SERVICE_INPUT_COUNT].how;
		int number = ends[event - SERVICE_INPUT_COUNT].number;

		/* what never ran has not been ready, nor told anything */
		if (how == SERVICE_BY_SPAWN && s->state != SERVICE_STARTING)
			return true;
		service_exited(s, how, number, now, HALF);
		model_end(m, how, number, now);
	} else if (event != SERVICE_EXITED && event != SERVICE_SPAWN_FAILED) {
		a = service_step(s, (enum service_input)event, now);
		b = model_step(m, (enum service_input)event, now);
	}
	if (a != b)
		printf("# event %u: action %d, model %d\n", event, a, b);
	return agree(s, m, now) && a == b;
}

/* To each state, then any three events, at three ages. */
TEST(every_state_with_every_event)
{
	static const unsigned ways[][5] = {
		{ EVENTS }, { SERVICE_START, EVENTS },
		{ SERVICE_START, SERVICE_GO, EVENTS },
		{ SERVICE_START, SERVICE_GO, SERVICE_UP, EVENTS },
		{ SERVICE_START, SERVICE_GO, SERVICE_UP, SERVICE_ILL, EVENTS },
		{ SERVICE_START, SERVICE_GO, SERVICE_INPUT_COUNT + 1, EVENTS },
		{ SERVICE_START, SERVICE_GO, SERVICE_INPUT_COUNT + 4, EVENTS },
		{ SERVICE_START, SERVICE_GO, SERVICE_DRAIN, EVENTS },
		{ SERVICE_START, SERVICE_GO, SERVICE_STOP, EVENTS },
		{ SERVICE_START, SERVICE_GO, SERVICE_DUE, EVENTS },
	};
	static const uint64_t ages[] = { 0, SERVICE_SOLID_MS,
		SERVICE_FORGIVEN_MS };
	unsigned long tried = 0;

	for (size_t w = 0; w < sizeof ways / sizeof *ways; w++)
	for (unsigned a = 0; a < EVENTS; a++)
	for (unsigned b = 0; b < EVENTS; b++)
	for (unsigned c = 0; c < EVENTS; c++) {
		uint64_t       now = 1000, age = ages[(a + b + c) % 3];
		struct service s;
		struct model   m = { .at = SERVICE_NEVER };

		service_open(&s, &limits, now);
		for (size_t i = 0; ways[w][i] != EVENTS; i++)
			both(&s, &m, ways[w][i], now);
		if (!both(&s, &m, a, now) || !both(&s, &m, b, now + 5) ||
		    !both(&s, &m, c, now + age)) {
			printf("# way %zu, events %u %u %u\n", w, a, b, c);
			EXPECT(!"they agree");
			return;
		}
		tried++;
	}
	EXPECT(tried == sizeof ways / sizeof *ways * EVENTS * EVENTS * EVENTS);
}

static uint32_t dice = 7;

static uint32_t
roll(uint32_t n)
{
	dice = dice * 1664525u + 1013904223u;
	return (dice >> 8) % n;
}

TEST(random_histories)
{
	struct service s;
	struct model   m = { .at = SERVICE_NEVER };
	uint64_t       now = 1000;
	unsigned long  seen[SERVICE_STATE_COUNT] = { 0 };

	service_open(&s, &limits, now);
	for (long i = 0; i < STEPS; i++) {
		/* what moves it on comes more often than the rest */
		static const unsigned often[] = { SERVICE_START, SERVICE_GO,
			SERVICE_UP, SERVICE_BEAT, SERVICE_INPUT_COUNT + 1,
			SERVICE_INPUT_COUNT + 5 };
		unsigned event = roll(2) ? often[roll(6)] : roll(EVENTS);

		now += roll(4) == 0 ? roll(30000) : roll(200);
		if (!both(&s, &m, event, now)) {
			printf("# step %ld, event %u\n", i, event);
			EXPECT(!"they agree");
			return;
		}
		seen[s.state]++;
	}
	for (int i = 0; i < SERVICE_STATE_COUNT; i++)
		EXPECT(seen[i] > 100);
}

int
main(void)
{
	RUN(every_state_with_every_event);
	RUN(random_histories);
	return test_done();
}
