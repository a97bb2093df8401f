// links: supervisor/service.c common
/*
 * The state machine of one child: rows for its rules, and long random
 * histories against a model that is written the other way round, by what may
 * never happen.
 */
#include "test.h"

#include "../../supervisor/service.h"

static const struct service_limits limits = {
	.ready_ms = 3000, .watchdog_ms = 1000, .drain_ms = 2000,
	.stop_ms = 400, .ends_max = 10,
};
enum { HALF = 0x80000000u };    /* chance that spreads by nothing */

static struct service
fresh(void)
{
	struct service s;

	service_open(&s, &limits, 0);
	return s;
}

/* A service in any state, by inputs alone. */
static struct service
brought_to(enum service_state state)
{
	struct service s = fresh();

	if (state == SERVICE_STOPPED)
		return s;
	service_step(&s, SERVICE_START, 0);
	service_step(&s, SERVICE_GO, 0);
	if (state == SERVICE_BACKOFF)
		service_exited(&s, SERVICE_BY_CODE, 1, 0, HALF);
	else if (state == SERVICE_FAILED)
		service_exited(&s, SERVICE_BY_CODE, 78, 0, HALF);
	else if (state == SERVICE_STOPPING)
		service_step(&s, SERVICE_STOP, 0);
	if (state != SERVICE_READY && state != SERVICE_DEGRADED)
		return s;
	service_step(&s, SERVICE_UP, 0);
	if (state == SERVICE_DEGRADED)
		service_step(&s, SERVICE_ILL, 0);
	return s;
}

#define S(name) SERVICE_##name
#define NONE S(NOTHING)
#define SAME(name) S(name), NONE
/* Every cell: what becomes of each state by each input, at time 0. */
static const struct {
	enum service_state state;
	struct { enum service_state next; enum service_action action; }
	    by[SERVICE_INPUT_COUNT];
} cells[] = {
	{ S(STOPPED), {
		[S(START)] = { SAME(STOPPED) }, [S(STOP)] = { SAME(STOPPED) },
		[S(RESTART)] = { SAME(STOPPED) },
		[S(DRAIN)] = { SAME(STOPPED) },
		[S(RETIRE)] = { SAME(STOPPED) },
		[S(GO)] = { SAME(STOPPED) },     /* not wanted */
		[S(SPAWN_FAILED)] = { SAME(STOPPED) },
		[S(UP)] = { SAME(STOPPED) }, [S(WELL)] = { SAME(STOPPED) },
		[S(ILL)] = { SAME(STOPPED) }, [S(BEAT)] = { SAME(STOPPED) },
		[S(LEAVING)] = { SAME(STOPPED) },
		[S(EXITED)] = { SAME(STOPPED) },
		[S(RESET)] = { SAME(STOPPED) },
		[S(OVER)] = { SAME(STOPPED) },
		[S(FAR_OVER)] = { SAME(STOPPED) },
		[S(DUE)] = { SAME(STOPPED) } } },
	{ S(STARTING), {
		[S(START)] = { SAME(STARTING) },
		[S(STOP)] = { S(STOPPING), S(DO_TERM) },
		[S(RESTART)] = { S(STOPPING), S(DO_TERM) },
		[S(DRAIN)] = { S(STOPPING), S(DO_DRAIN) },
		[S(RETIRE)] = { S(STOPPING), S(DO_DRAIN) },
		[S(GO)] = { SAME(STARTING) },
		[S(SPAWN_FAILED)] = { SAME(BACKOFF) },
		[S(UP)] = { SAME(READY) }, [S(WELL)] = { SAME(STARTING) },
		[S(ILL)] = { SAME(STARTING) }, [S(BEAT)] = { SAME(STARTING) },
		[S(LEAVING)] = { SAME(STOPPING) },
		[S(EXITED)] = { SAME(BACKOFF) },
		[S(RESET)] = { SAME(STARTING) },
		[S(OVER)] = { SAME(STARTING) },
		[S(FAR_OVER)] = { S(STOPPING), S(DO_KILL) },
		[S(DUE)] = { S(STOPPING), S(DO_KILL) } } },
	{ S(READY), {
		[S(START)] = { SAME(READY) },
		[S(STOP)] = { S(STOPPING), S(DO_TERM) },
		[S(RESTART)] = { S(STOPPING), S(DO_TERM) },
		[S(DRAIN)] = { S(STOPPING), S(DO_DRAIN) },
		[S(RETIRE)] = { S(STOPPING), S(DO_DRAIN) },
		[S(GO)] = { SAME(READY) }, [S(SPAWN_FAILED)] = { SAME(READY) },
		[S(UP)] = { SAME(READY) }, [S(WELL)] = { SAME(READY) },
		[S(ILL)] = { SAME(DEGRADED) }, [S(BEAT)] = { SAME(READY) },
		[S(LEAVING)] = { SAME(STOPPING) },
		[S(EXITED)] = { SAME(BACKOFF) },
		[S(RESET)] = { SAME(READY) },
		[S(OVER)] = { SAME(READY) },
		[S(FAR_OVER)] = { S(STOPPING), S(DO_KILL) },
		[S(DUE)] = { S(STOPPING), S(DO_ABORT) } } },
	{ S(DEGRADED), {
		[S(START)] = { SAME(DEGRADED) },
		[S(STOP)] = { S(STOPPING), S(DO_TERM) },
		[S(RESTART)] = { S(STOPPING), S(DO_TERM) },
		[S(DRAIN)] = { S(STOPPING), S(DO_DRAIN) },
		[S(RETIRE)] = { S(STOPPING), S(DO_DRAIN) },
		[S(GO)] = { SAME(DEGRADED) },
		[S(SPAWN_FAILED)] = { SAME(DEGRADED) },
		[S(UP)] = { SAME(DEGRADED) }, [S(WELL)] = { SAME(READY) },
		[S(ILL)] = { SAME(DEGRADED) }, [S(BEAT)] = { SAME(DEGRADED) },
		[S(LEAVING)] = { SAME(STOPPING) },
		[S(EXITED)] = { SAME(BACKOFF) },
		[S(RESET)] = { SAME(DEGRADED) },
		[S(OVER)] = { SAME(DEGRADED) },
		[S(FAR_OVER)] = { S(STOPPING), S(DO_KILL) },
		[S(DUE)] = { S(STOPPING), S(DO_ABORT) } } },
	{ S(STOPPING), {
		[S(START)] = { SAME(STOPPING) },
		[S(STOP)] = { SAME(STOPPING) },
		[S(RESTART)] = { SAME(STOPPING) },
		[S(DRAIN)] = { SAME(STOPPING) },
		[S(RETIRE)] = { SAME(STOPPING) },
		[S(GO)] = { SAME(STOPPING) },
		[S(SPAWN_FAILED)] = { SAME(STOPPING) },
		[S(UP)] = { SAME(STOPPING) }, [S(WELL)] = { SAME(STOPPING) },
		[S(ILL)] = { SAME(STOPPING) }, [S(BEAT)] = { SAME(STOPPING) },
		[S(LEAVING)] = { SAME(STOPPING) },
		[S(EXITED)] = { SAME(STOPPED) },
		[S(RESET)] = { SAME(STOPPING) },
		[S(OVER)] = { SAME(STOPPING) },
		[S(FAR_OVER)] = { SAME(STOPPING) },
		[S(DUE)] = { S(STOPPING), S(DO_KILL) } } },
	{ S(BACKOFF), {
		[S(START)] = { SAME(STOPPED) }, [S(STOP)] = { SAME(STOPPED) },
		[S(RESTART)] = { SAME(STOPPED) },
		[S(DRAIN)] = { SAME(BACKOFF) },
		[S(RETIRE)] = { SAME(STOPPED) },
		[S(GO)] = { SAME(BACKOFF) },     /* not yet */
		[S(SPAWN_FAILED)] = { SAME(BACKOFF) },
		[S(UP)] = { SAME(BACKOFF) }, [S(WELL)] = { SAME(BACKOFF) },
		[S(ILL)] = { SAME(BACKOFF) }, [S(BEAT)] = { SAME(BACKOFF) },
		[S(LEAVING)] = { SAME(BACKOFF) },
		[S(EXITED)] = { SAME(BACKOFF) },
		[S(RESET)] = { SAME(STOPPED) },
		[S(OVER)] = { SAME(BACKOFF) },
		[S(FAR_OVER)] = { SAME(BACKOFF) },
		[S(DUE)] = { SAME(BACKOFF) } } },
	{ S(FAILED), {
		[S(START)] = { SAME(STOPPED) }, [S(STOP)] = { SAME(STOPPED) },
		[S(RESTART)] = { SAME(STOPPED) },
		[S(DRAIN)] = { SAME(FAILED) },
		[S(RETIRE)] = { SAME(STOPPED) },
		[S(GO)] = { SAME(FAILED) },
		[S(SPAWN_FAILED)] = { SAME(FAILED) },
		[S(UP)] = { SAME(FAILED) }, [S(WELL)] = { SAME(FAILED) },
		[S(ILL)] = { SAME(FAILED) }, [S(BEAT)] = { SAME(FAILED) },
		[S(LEAVING)] = { SAME(FAILED) },
		[S(EXITED)] = { SAME(FAILED) }, [S(RESET)] = { SAME(STOPPED) },
		[S(OVER)] = { SAME(FAILED) },
		[S(FAR_OVER)] = { SAME(FAILED) },
		[S(DUE)] = { SAME(FAILED) } } },
};

TEST(every_cell)
{
	EXPECT_INT(sizeof cells / sizeof *cells, SERVICE_STATE_COUNT);
	for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
		for (int in = 0; in < SERVICE_INPUT_COUNT; in++) {
			struct service s = brought_to(cells[i].state);
			enum service_action a;

			EXPECT_INT(s.state, cells[i].state);
			a = service_step(&s, (enum service_input)in, 0);
			if (s.state != cells[i].by[in].next ||
			    a != cells[i].by[in].action)
				printf("# state %d input %d\n",
				    cells[i].state, in);
			EXPECT_INT(s.state, cells[i].by[in].next);
			EXPECT_INT(a, cells[i].by[in].action);
		}
}

/* How long after an end the next start may come; -1: never by itself. */
static long
delay_after(enum service_end end, int number, uint64_t worked_ms, bool ready)
{
	struct service s = brought_to(SERVICE_STARTING);

	if (ready)
		service_step(&s, SERVICE_UP, 0);
	service_exited(&s, end, number, worked_ms, HALF);
	if (s.state == SERVICE_FAILED)
		return -1;
	return (long)(s.deadline_ms - worked_ms);
}

TEST(ends)
{
	static const struct {
		enum service_end end;
		int              number;
		uint64_t         worked_ms;
		bool             ready;
		long             delay_ms;
	} rows[] = {
		{ SERVICE_BY_CODE, 78, 0, false, -1 },
		{ SERVICE_BY_CODE, 78, 90000, true, -1 },
		{ SERVICE_BY_CODE, 64, 0, false, -1 },
		{ SERVICE_BY_CODE, 0, 0, false, 100 },
		{ SERVICE_BY_CODE, 75, 0, false, 100 },
		{ SERVICE_BY_CODE, 75, 1, true, 0 },
		{ SERVICE_BY_SIGNAL, 9, 500, true, 0 },
		{ SERVICE_BY_SIGNAL, 78, 0, false, 100 },
		{ SERVICE_BY_SIGNAL, 9, 999999, true, 0 },
		{ SERVICE_BY_SPAWN, 2, 0, false, 100 },
		{ SERVICE_BY_SPAWN, 78, 0, false, 100 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		EXPECT_INT(delay_after(rows[i].end, rows[i].number,
		    rows[i].worked_ms, rows[i].ready), rows[i].delay_ms);
}

/* By itself it would trip before the delays have grown to their end. */
static const struct service_limits patient = {
	.ready_ms = 3000, .watchdog_ms = 1000, .drain_ms = 2000,
	.stop_ms = 400,
};

TEST(delays_grow_and_are_forgiven)
{
	static const unsigned want[] = { 0, 100, 200, 400, 800, 1600, 3200,
		6400, 12800, 25600, 30000, 30000, 30000 };
	struct service s = fresh();
	uint64_t       now = 0;

	s.limits = &patient;
	service_step(&s, SERVICE_START, now);
	for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
		EXPECT_INT(service_step(&s, SERVICE_GO, now),
		    SERVICE_DO_SPAWN);
		service_step(&s, SERVICE_UP, now);
		service_exited(&s, SERVICE_BY_CODE, 1, ++now, HALF);
		EXPECT_INT(s.deadline_ms - now, want[i]);
		if (want[i] > 0)
			EXPECT(!service_wants_go(&s, s.deadline_ms - 1));
		EXPECT(service_wants_go(&s, now = s.deadline_ms));
	}
	/* 10 s of work: at once; the growth is not forgotten */
	service_step(&s, SERVICE_GO, now);
	service_step(&s, SERVICE_UP, now);
	service_exited(&s, SERVICE_BY_SIGNAL, 9, now += 10000, HALF);
	EXPECT_INT(s.deadline_ms, now);
	service_step(&s, SERVICE_GO, now);
	service_exited(&s, SERVICE_BY_CODE, 1, now, HALF);
	EXPECT_INT(s.deadline_ms - now, 30000);
	/* 60 s of work: forgotten */
	service_step(&s, SERVICE_GO, now = s.deadline_ms);
	service_step(&s, SERVICE_UP, now);
	service_exited(&s, SERVICE_BY_SIGNAL, 9, now += 60000, HALF);
	EXPECT_INT(s.deadline_ms, now);
	service_step(&s, SERVICE_GO, now);
	service_exited(&s, SERVICE_BY_CODE, 1, now, HALF);
	EXPECT_INT(s.deadline_ms - now, 100);
	/* 60 s before it was ready are no work */
	service_step(&s, SERVICE_GO, now = s.deadline_ms);
	service_exited(&s, SERVICE_BY_CODE, 1, now += 60000, HALF);
	EXPECT_INT(s.deadline_ms - now, 200);
}

/* SV01, SV03: a loop of crashes is bounded, is seen as failed, and comes back
 * by itself when what it lacks is there again. */
TEST(SV01_SV03_trips_and_probes)
{
	struct service s = fresh();
	uint64_t       now = 0;
	unsigned       starts = 0;

	service_step(&s, SERVICE_START, now);
	while (s.state != SERVICE_FAILED && starts < 1000) {
		EXPECT_INT(service_step(&s, SERVICE_GO, now), SERVICE_DO_SPAWN);
		starts++;
		service_exited(&s, SERVICE_BY_CODE, 1, ++now, HALF);
		if (s.state == SERVICE_BACKOFF)
			now = s.deadline_ms;
	}
	EXPECT_INT(starts, 10);
	EXPECT_INT(service_recent_ends(&s, now), 10);
	EXPECT_INT(s.deadline_ms - now, SERVICE_PROBE_MS);
	EXPECT(!service_wants_go(&s, s.deadline_ms - 1));
	/* a probe that fails is one more end, not a new series */
	for (int i = 0; i < 5; i++) {
		now = s.deadline_ms;
		EXPECT_INT(service_step(&s, SERVICE_GO, now), SERVICE_DO_SPAWN);
		service_exited(&s, SERVICE_BY_CODE, 1, ++now, HALF);
		EXPECT_INT(s.state, SERVICE_FAILED);
	}
	/* one that works for a while closes the circuit */
	now = s.deadline_ms;
	service_step(&s, SERVICE_GO, now);
	service_step(&s, SERVICE_UP, now);
	EXPECT_INT(s.state, SERVICE_READY);
	service_exited(&s, SERVICE_BY_CODE, 1, now += SERVICE_SOLID_MS, HALF);
	EXPECT_INT(s.state, SERVICE_BACKOFF);
	EXPECT(!s.tripped);
	/* and a word of an operator */
	s.tripped = true;
	service_step(&s, SERVICE_RESET, now);
	EXPECT_INT(s.state, SERVICE_STOPPED);
	EXPECT(!s.tripped && service_wants_go(&s, now));
	EXPECT_INT(service_recent_ends(&s, now), 0);
}

TEST(early_ends_leave_the_window)
{
	struct service s = fresh();
	uint64_t       now = 0;

	service_step(&s, SERVICE_START, now);
	for (int i = 0; i < 200; i++) {
		now += 20000;      /* six a window */
		service_step(&s, SERVICE_GO, now);
		service_exited(&s, SERVICE_BY_SIGNAL, 11, now, HALF);
		EXPECT_INT(s.state, SERVICE_BACKOFF);
		now = now > s.deadline_ms ? now : s.deadline_ms;
	}
	EXPECT(service_recent_ends(&s, now) < 10);
}

/* Permanent, transient, temporary; with every status and every signal. */
TEST(restart_types)
{
	for (int type = SERVICE_ALWAYS; type <= SERVICE_NOT_AGAIN; type++)
		for (int how = 0; how < 256 + 64; how++) {
			struct service_limits l = limits;
			struct service s = brought_to(SERVICE_STARTING);
			bool code = how < 256, clean = how == 0;
			bool parks = code && (how == 78 || how == 64);
			bool again = type == SERVICE_ALWAYS ||
			    (type == SERVICE_ON_FAILURE && !clean);

			l.restart = (enum service_restart)type;
			s.limits = &l;
			service_step(&s, SERVICE_UP, 0);
			service_exited(&s, code ? SERVICE_BY_CODE
			            : SERVICE_BY_SIGNAL, code ? how : how - 255,
			    1, HALF);
			EXPECT_INT(s.state, parks ? SERVICE_FAILED
			        : again ? SERVICE_BACKOFF
			        : clean ? SERVICE_STOPPED : SERVICE_FAILED);
			EXPECT(s.wanted == !(clean && !again));
			EXPECT(service_wants_go(&s, 1 << 30) ==
			    (again && !parks));
		}
}

/* Exactly as long as it takes to be taken for solid, and a millisecond less
 * and more. */
TEST(just_solid)
{
	for (int off = -1; off <= 1; off++) {
		struct service s = brought_to(SERVICE_READY);
		uint64_t       at = (uint64_t)(SERVICE_SOLID_MS + off);

		s.streak = 1;
		service_exited(&s, SERVICE_BY_CODE, 1, at, HALF);
		EXPECT_INT(s.deadline_ms - at, off < 0 ? 100 : 0);
		EXPECT_INT(service_recent_ends(&s, at), off < 0 ? 1 : 0);
	}
}

TEST(over_a_limit)
{
	struct service s = brought_to(SERVICE_READY);

	EXPECT_INT(service_step(&s, SERVICE_OVER, SERVICE_FORGIVEN_MS - 1),
	    SERVICE_NOTHING);
	EXPECT_INT(service_step(&s, SERVICE_OVER, SERVICE_FORGIVEN_MS),
	    SERVICE_DO_DRAIN);
	service_exited(&s, SERVICE_BY_CODE, 0, SERVICE_FORGIVEN_MS + 9, HALF);
	EXPECT_INT(s.last.cause, SERVICE_OVER_LIMIT);
	EXPECT_INT(s.state, SERVICE_STOPPED);
	EXPECT(service_wants_go(&s, SERVICE_FORGIVEN_MS + 9));
	s = brought_to(SERVICE_READY);
	EXPECT_INT(service_step(&s, SERVICE_FAR_OVER, 5), SERVICE_DO_KILL);
	service_exited(&s, SERVICE_BY_SIGNAL, 9, 6, HALF);
	EXPECT_INT(s.last.cause, SERVICE_OVER_LIMIT);
	EXPECT_INT(s.state, SERVICE_BACKOFF);
}

TEST(jitter_stays_within_a_fifth)
{
	for (uint64_t chance = 0; chance <= UINT32_MAX; chance += 0x1234567) {
		struct service s = brought_to(SERVICE_STARTING);

		service_exited(&s, SERVICE_BY_CODE, 1, 0, (uint32_t)chance);
		EXPECT(s.deadline_ms >= 80 && s.deadline_ms <= 120);
	}
}

TEST(watchdog)
{
	struct service s = brought_to(SERVICE_READY);

	EXPECT_INT(s.deadline_ms, 1000);
	service_step(&s, SERVICE_BEAT, 700);
	EXPECT_INT(s.deadline_ms, 1700);
	EXPECT_INT(service_step(&s, SERVICE_DUE, 1700),
	    SERVICE_DO_ABORT);
	EXPECT_INT(s.deadline_ms, 2700);
	EXPECT_INT(service_step(&s, SERVICE_DUE, 2700),
	    SERVICE_DO_KILL);
	EXPECT(!s.stuck);
	EXPECT_INT(service_step(&s, SERVICE_DUE, 3700),
	    SERVICE_DO_KILL);
	EXPECT(s.stuck);
	service_exited(&s, SERVICE_BY_SIGNAL, 9, 3800, HALF);
	EXPECT_INT(s.last.cause, SERVICE_WATCHDOG);
	EXPECT_INT(s.watchdogs, 1);
	EXPECT_INT(s.state, SERVICE_BACKOFF);
	EXPECT(!s.stuck);
}

TEST(no_watchdog)
{
	static const struct service_limits none = { .ready_ms = 1 };
	struct service s;

	service_open(&s, &none, 0);
	service_step(&s, SERVICE_START, 0);
	service_step(&s, SERVICE_GO, 0);
	service_step(&s, SERVICE_UP, 0);
	EXPECT(s.deadline_ms == SERVICE_NEVER);
	service_step(&s, SERVICE_BEAT, 5);
	EXPECT(s.deadline_ms == SERVICE_NEVER);
}

TEST(not_ready_in_time)
{
	struct service s = brought_to(SERVICE_STARTING);

	EXPECT_INT(s.deadline_ms, 3000);
	EXPECT_INT(service_step(&s, SERVICE_DUE, 3000), SERVICE_DO_KILL);
	/* too late: it is being killed */
	service_step(&s, SERVICE_UP, 3001);
	EXPECT_INT(s.state, SERVICE_STOPPING);
	service_exited(&s, SERVICE_BY_SIGNAL, 9, 3002, HALF);
	EXPECT_INT(s.last.cause, SERVICE_NOT_READY);
	EXPECT_INT(s.deadline_ms, 3102);
	/* 78 of one we killed says nothing */
	s = brought_to(SERVICE_STARTING);
	service_step(&s, SERVICE_DUE, 3000);
	service_exited(&s, SERVICE_BY_CODE, 78, 3002, HALF);
	EXPECT_INT(s.state, SERVICE_BACKOFF);
}

TEST(drain_then_term_then_kill)
{
	struct service s = brought_to(SERVICE_READY);

	EXPECT_INT(service_step(&s, SERVICE_DRAIN, 10),
	    SERVICE_DO_DRAIN);
	EXPECT_INT(s.deadline_ms, 2010);
	EXPECT_INT(service_step(&s, SERVICE_DUE, 2010), SERVICE_DO_TERM);
	EXPECT_INT(s.deadline_ms, 2410);
	EXPECT_INT(service_step(&s, SERVICE_DUE, 2410), SERVICE_DO_KILL);
	service_exited(&s, SERVICE_BY_SIGNAL, 9, 2411, HALF);
	EXPECT_INT(s.state, SERVICE_STOPPED);
	EXPECT(service_wants_go(&s, 2411));     /* replaced at once */
	EXPECT_INT(s.last.cause, SERVICE_ASKED);

	s = brought_to(SERVICE_READY);
	service_step(&s, SERVICE_RETIRE, 10);
	EXPECT_INT(service_step(&s, SERVICE_STOP, 20), SERVICE_DO_TERM);
	EXPECT_INT(service_step(&s, SERVICE_STOP, 30), SERVICE_NOTHING);
	service_exited(&s, SERVICE_BY_CODE, 0, 40, HALF);
	EXPECT(!service_wants_go(&s, 1 << 30));
}

TEST(last_word_counts)
{
	/* stop, then start before it is down: it comes back */
	struct service s = brought_to(SERVICE_STOPPING);

	service_step(&s, SERVICE_START, 1);
	service_exited(&s, SERVICE_BY_CODE, 0, 2, HALF);
	EXPECT(service_wants_go(&s, 2));
	/* restart, then stop: it stays down */
	s = brought_to(SERVICE_READY);
	service_step(&s, SERVICE_RESTART, 1);
	service_step(&s, SERVICE_STOP, 2);
	service_exited(&s, SERVICE_BY_CODE, 0, 3, HALF);
	EXPECT(!service_wants_go(&s, 1 << 30));
	/* ill before ready is not forgotten */
	s = brought_to(SERVICE_STARTING);
	service_step(&s, SERVICE_ILL, 1);
	service_step(&s, SERVICE_UP, 2);
	EXPECT_INT(s.state, SERVICE_DEGRADED);
}

TEST(hasten)
{
	struct service s = brought_to(SERVICE_STOPPING);

	service_hasten(&s, 500);
	EXPECT_INT(s.deadline_ms, 400);         /* never later */
	service_hasten(&s, 100);
	EXPECT_INT(s.deadline_ms, 100);
	s = brought_to(SERVICE_READY);
	service_hasten(&s, 1);
	EXPECT_INT(s.deadline_ms, 1000);        /* only an end under way */
}

/* --- random histories --------------------------------------------------- */

static uint32_t dice = 1;

static uint32_t
roll(uint32_t n)
{
	dice = dice * 1664525u + 1013904223u;
	return (dice >> 8) % n;
}

/* What a process and an operator remember, independently of the machine. */
struct model {
	bool     process, wanted;
	bool     parked;        /* until a person speaks */
	unsigned spawned, ended;
	uint64_t told_ms;       /* since when it is told to end; 0: not */
};

static void
check(const struct service *s, const struct model *m)
{
	EXPECT(service_alive(s) == m->process);
	EXPECT(s->wanted == m->wanted);
	EXPECT_INT(s->generation, m->spawned);
	EXPECT(m->spawned - m->ended == (m->process ? 1u : 0u));
	/* a state without a way on would be for ever */
	if (service_alive(s))
		EXPECT(s->deadline_ms != SERVICE_NEVER);
	else
		EXPECT(service_wants_go(s, UINT64_MAX) ==
		    (m->wanted && !m->parked));
	EXPECT(s->state != SERVICE_BACKOFF ||
	    s->deadline_ms - s->since_ms <= 36000);
	EXPECT(s->state != SERVICE_FAILED || m->parked ||
	    s->deadline_ms - s->since_ms <= 72000);
}

static void
follow(struct model *m, enum service_action a)
{
	if (a == SERVICE_DO_SPAWN) {
		EXPECT(!m->process);            /* never two at once */
		EXPECT(m->wanted);
		m->process = true;
		m->spawned++;
	} else if (a != SERVICE_NOTHING) {
		EXPECT(m->process);             /* never a signal to nobody */
	}
}

TEST(random_histories)
{
	struct service s = fresh();
	struct model   m = { 0 };
	uint64_t       now = 0;

	for (long i = 0; i < 200000 && !test_bad; i++) {
		enum service_input in = (enum service_input)roll(
		    SERVICE_INPUT_COUNT);

		now += roll(4) == 0 ? roll(70000) : roll(50);
		if (in == SERVICE_EXITED || in == SERVICE_SPAWN_FAILED) {
			static const int codes[] = { 0, 1, 64, 70, 75, 78 };
			bool parks, code = roll(2);
			int  number = code ? codes[roll(6)] : 1 + (int)roll(31);

			if (!m.process)
				continue;
			parks = code && (number == 78 || number == 64);
			service_exited(&s, code ? SERVICE_BY_CODE
			            : SERVICE_BY_SIGNAL, number, now, dice);
			m.process = false;
			m.ended++;
			m.parked = s.state == SERVICE_FAILED && parks;
			EXPECT(s.state != SERVICE_FAILED || parks || s.tripped);
			EXPECT(s.state != SERVICE_BACKOFF || m.wanted);
		} else if (in == SERVICE_DUE && now < s.deadline_ms) {
			continue;
		} else {
			if (in == SERVICE_START || in == SERVICE_RESTART)
				m.wanted = true;
			if (in == SERVICE_STOP || in == SERVICE_RETIRE)
				m.wanted = false;
			if (in == SERVICE_START || in == SERVICE_RESTART ||
			    in == SERVICE_STOP || in == SERVICE_RETIRE ||
			    in == SERVICE_RESET)
				m.parked = false;
			follow(&m, service_step(&s, in, now));
		}
		check(&s, &m);
	}
	EXPECT(m.spawned > 1000);
}

/* From wherever it is: told to stop, a process that ignores everything but
 * KILL is gone within the limits. */
TEST(every_stop_ends)
{
	for (int state = 0; state < SERVICE_STATE_COUNT; state++) {
		struct service s = brought_to((enum service_state)state);
		enum service_action a = service_step(&s, SERVICE_STOP, 0);

		while (service_alive(&s) && s.deadline_ms < 10000) {
			uint64_t at = s.deadline_ms;

			a = service_step(&s, SERVICE_DUE, at);
			if (a == SERVICE_DO_KILL)
				service_exited(&s, SERVICE_BY_SIGNAL, 9, at,
				    HALF);
		}
		EXPECT_INT(s.state, SERVICE_STOPPED);
	}
}

int
main(void)
{
	RUN(every_cell);
	RUN(ends);
	RUN(delays_grow_and_are_forgiven);
	RUN(SV01_SV03_trips_and_probes);
	RUN(early_ends_leave_the_window);
	RUN(restart_types);
	RUN(just_solid);
	RUN(over_a_limit);
	RUN(jitter_stays_within_a_fifth);
	RUN(watchdog);
	RUN(no_watchdog);
	RUN(not_ready_in_time);
	RUN(drain_then_term_then_kill);
	RUN(last_word_counts);
	RUN(hasten);
	RUN(random_histories);
	RUN(every_stop_ends);
	return test_done();
}
