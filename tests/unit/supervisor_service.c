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
	.stop_ms = 400,
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
		[S(EXITED)] = { SAME(FAILED) }, [S(DUE)] = { SAME(FAILED) } } },
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

TEST(delays_grow_and_are_forgiven)
{
	static const unsigned want[] = { 0, 100, 200, 400, 800, 1600, 3200,
		6400, 12800, 25600, 30000, 30000, 30000 };
	struct service s = fresh();
	uint64_t       now = 0;

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
	else if (m->wanted && s->state != SERVICE_FAILED)
		EXPECT(service_wants_go(s, UINT64_MAX));
	else
		EXPECT(!service_wants_go(s, UINT64_MAX));
	EXPECT(s->state != SERVICE_BACKOFF ||
	    s->deadline_ms - s->since_ms <= 36000);
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
			EXPECT(s.state != SERVICE_FAILED || parks);
			EXPECT(s.state != SERVICE_BACKOFF || m.wanted);
		} else if (in == SERVICE_DUE && now < s.deadline_ms) {
			continue;
		} else {
			if (in == SERVICE_START || in == SERVICE_RESTART)
				m.wanted = true;
			if (in == SERVICE_STOP || in == SERVICE_RETIRE)
				m.wanted = false;
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
