// links: supervisor/plan.c supervisor/service.c common
/*
 * The order of starting and stopping.
 */
#include "test.h"

#include "../../supervisor/plan.h"

enum { API, GATEWAY, WORKER1, WORKER2, N };

static const struct service_limits limits = { .ready_ms = 1000,
	.watchdog_ms = 1000, .drain_ms = 1000, .stop_ms = 1000 };

struct house {
	struct service  service[N];
	struct plan_row row[N];
};

static void
build(struct house *h)
{
	static const unsigned rank[N] = { 1, 2, 3, 3 };

	for (int i = 0; i < N; i++) {
		service_open(&h->service[i], &limits, 0);
		service_step(&h->service[i], SERVICE_START, 0);
		h->row[i] = (struct plan_row){ &h->service[i], rank[i],
			i == GATEWAY };
	}
}

static void
up(struct house *h, int i)
{
	service_step(&h->service[i], SERVICE_GO, 0);
	service_step(&h->service[i], SERVICE_UP, 0);
}

/* Who may go now, as letters. */
static const char *
who_may(struct house *h)
{
	static char text[N + 1];
	size_t      n = 0;

	for (int i = 0; i < N; i++)
		if (plan_may_go(h->row, N, (size_t)i, 0))
			text[n++] = "agwv"[i];
	text[n] = '\0';
	return text;
}

TEST(starts_by_rank)
{
	struct house h;

	build(&h);
	EXPECT_STR(who_may(&h), "a");
	service_step(&h.service[API], SERVICE_GO, 0);
	EXPECT_STR(who_may(&h), "");            /* not ready yet */
	service_step(&h.service[API], SERVICE_UP, 0);
	EXPECT_STR(who_may(&h), "g");
	up(&h, GATEWAY);
	EXPECT_STR(who_may(&h), "wv");
	/* once ready is enough: a sick api does not hold up a worker */
	service_exited(&h.service[API], SERVICE_BY_SIGNAL, 9, 0, 0);
	EXPECT_STR(who_may(&h), "awv");
}

TEST(those_not_wanted_hold_up_nobody)
{
	struct house h;

	build(&h);
	service_step(&h.service[API], SERVICE_STOP, 0);
	EXPECT_STR(who_may(&h), "g");
}

TEST(few_at_once)
{
	enum { MANY = 100 };
	struct service  s[MANY];
	struct plan_row rows[MANY];
	size_t          started = 0;

	for (int i = 0; i < MANY; i++) {
		service_open(&s[i], &limits, 0);
		service_step(&s[i], SERVICE_START, 0);
		rows[i] = (struct plan_row){ &s[i], 3, false };
	}
	for (size_t i = 0; i < MANY; i++)
		if (plan_may_go(rows, MANY, i, 0)) {
			service_step(&s[i], SERVICE_GO, 0);
			started++;
		}
	EXPECT_INT(started, PLAN_STARTS_MAX);
	service_step(&s[0], SERVICE_UP, 0);
	EXPECT(plan_may_go(rows, MANY, 50, 0));
}

/* One pass over all; what was told to whom, as letters: d drain, s stop. */
static const char *
stop_pass(struct house *h)
{
	static char text[2 * N + 1];
	size_t      n = 0;

	for (int i = N; i-- > 0;) {
		enum service_input in;

		if (!plan_stop(h->row, N, (size_t)i, &in))
			continue;
		service_step(&h->service[i], in, 0);
		text[n++] = "agwv"[i];
		text[n++] = in == SERVICE_RETIRE ? 'd' : 's';
	}
	text[n] = '\0';
	return text;
}

static void
end(struct house *h, int i)
{
	service_exited(&h->service[i], SERVICE_BY_CODE, 0, 0, 0);
}

TEST(stops_in_reverse)
{
	struct house h;

	build(&h);
	for (int i = 0; i < N; i++)
		up(&h, i);
	EXPECT_STR(stop_pass(&h), "vswsgd");    /* intake first, at once */
	EXPECT_STR(stop_pass(&h), "");          /* told once */
	end(&h, WORKER1);
	EXPECT_STR(stop_pass(&h), "");
	end(&h, WORKER2);
	EXPECT_STR(stop_pass(&h), "gs");
	EXPECT_STR(stop_pass(&h), "");
	end(&h, GATEWAY);
	EXPECT_STR(stop_pass(&h), "as");
	EXPECT(!plan_is_down(h.row, N));
	end(&h, API);
	EXPECT_STR(stop_pass(&h), "");
	EXPECT(plan_is_down(h.row, N));
}

TEST(stop_finds_any_state)
{
	struct house h;

	build(&h);
	up(&h, API);
	service_step(&h.service[GATEWAY], SERVICE_GO, 0);
	service_exited(&h.service[GATEWAY], SERVICE_BY_CODE, 78, 0, 0);
	service_step(&h.service[WORKER1], SERVICE_GO, 0);
	service_exited(&h.service[WORKER1], SERVICE_BY_CODE, 1, 0, 0);
	service_step(&h.service[WORKER2], SERVICE_GO, 0);
	stop_pass(&h);
	end(&h, WORKER2);
	stop_pass(&h);
	end(&h, API);
	EXPECT(plan_is_down(h.row, N));
	for (int i = 0; i < N; i++) {
		EXPECT(!service_wants_go(&h.service[i], SERVICE_NEVER));
		EXPECT_INT(h.service[i].state, SERVICE_STOPPED);
	}
	EXPECT_STR(stop_pass(&h), "");
}

/* A worker that was being restarted, or drained, when the stop came. */
TEST(stop_overrules_restart)
{
	struct house h;

	build(&h);
	for (int i = 0; i < N; i++)
		up(&h, i);
	service_step(&h.service[WORKER1], SERVICE_RESTART, 0);
	service_step(&h.service[GATEWAY], SERVICE_DRAIN, 0);
	EXPECT_STR(stop_pass(&h), "vsws");
	end(&h, WORKER1);
	end(&h, WORKER2);
	stop_pass(&h);
	end(&h, GATEWAY);
	stop_pass(&h);
	end(&h, API);
	for (int i = 0; i < N; i++)
		EXPECT(!service_wants_go(&h.service[i], SERVICE_NEVER));
}

TEST(overall_state)
{
	struct house h;

	build(&h);
	EXPECT_INT(plan_state(h.row, N, false), PLAN_STARTING);
	for (int i = 0; i < N; i++) {
		EXPECT(!plan_is_up(h.row, N));
		up(&h, i);
	}
	EXPECT_INT(plan_state(h.row, N, false), PLAN_READY);
	EXPECT(plan_is_up(h.row, N));
	service_step(&h.service[API], SERVICE_ILL, 0);
	EXPECT(plan_is_up(h.row, N));
	EXPECT_INT(plan_state(h.row, N, false), PLAN_DEGRADED);
	service_step(&h.service[API], SERVICE_WELL, 0);
	service_exited(&h.service[WORKER1], SERVICE_BY_SIGNAL, 9, 0, 0);
	EXPECT_INT(plan_state(h.row, N, false), PLAN_DEGRADED);
	service_exited(&h.service[WORKER2], SERVICE_BY_CODE, 78, 0, 0);
	EXPECT_INT(plan_state(h.row, N, false), PLAN_FAILED);
	EXPECT_INT(plan_state(h.row, N, true), PLAN_STOPPING);
	service_step(&h.service[WORKER1], SERVICE_STOP, 0);
	service_step(&h.service[WORKER2], SERVICE_STOP, 0);
	EXPECT_INT(plan_state(h.row, N, false), PLAN_READY); /* as wished */
	EXPECT_INT(plan_state(h.row, 0, false), PLAN_READY);
}

int
main(void)
{
	RUN(starts_by_rank);
	RUN(those_not_wanted_hold_up_nobody);
	RUN(few_at_once);
	RUN(stops_in_reverse);
	RUN(stop_finds_any_state);
	RUN(stop_overrules_restart);
	RUN(overall_state);
	return test_done();
}
