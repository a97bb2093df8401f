/*
 * Those who wait for a condition: their requests are answered when it holds,
 * so that a test never sleeps.
 */
#include "sim.h"

#include <stdlib.h>

enum { CONDITIONS_MAX = 8, WAIT_MS = 10000 };

struct wait {
	struct wait     *next;
	struct sim      *sim;
	struct exchange *exchange;
	struct timer     timer;
	bool             idle;
	size_t           n;
	struct {
		char     name[32];
		uint64_t value;
		bool     exactly;
	} conditions[CONDITIONS_MAX];
};

static bool
is_idle(const struct sim *s)
{
	const struct ledger *l = &s->platform.ledger;

	return ledger_total(l, TALLY_missing) == 0 &&
	    ledger_total(l, TALLY_kept) == 0 && !s->load.running &&
	    webhooks_idle(s);
}

static bool
holds(const struct wait *w)
{
	const struct ledger *l = &w->sim->platform.ledger;

	for (size_t i = 0; i < w->n; i++) {
		uint64_t now = 0;

		ledger_value(l, slice_of(w->conditions[i].name), &now);
		if (w->conditions[i].exactly
		        ? now != w->conditions[i].value
		        : now < w->conditions[i].value)
			return false;
	}
	return !w->idle || is_idle(w->sim);
}

static void
finish(struct wait *w, int status)
{
	struct wait **at = &w->sim->waits;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	loop_cancel(w->sim->loop, &w->timer);
	control_answer(w->exchange, status, sim_report(w->sim));
	free(w);
}

static void
on_deadline(void *self)
{
	finish(self, 408);
}

/* Faults strike in many places; the ledger hears of it here. */
static void
count_faults(struct platform *p)
{
	while (p->ledger.counts[COUNT_faults] < p->faults.strikes)
		ledger_count(&p->ledger, COUNT_faults);
}

void
wait_look(struct sim *s)
{
	struct wait *w = s->waits, *next;

	count_faults(&s->platform);
	if (w == NULL || s->seen_changes == s->platform.ledger.changes)
		return;
	s->seen_changes = s->platform.ledger.changes;
	for (; w != NULL; w = next) {
		next = w->next;
		if (!exchange_alive(w->exchange) || holds(w))
			finish(w, 200);
	}
}

void
wait_close(struct sim *s)
{
	while (s->waits != NULL)
		finish(s->waits, 408);
}

/* "timeout_ms=N", "idle=1", "COUNTER=N" or "COUNTER=!N". */
static bool
read_condition(struct wait *w, struct slice pair, uint64_t *timeout_ms)
{
	const char        *equals = memchr(pair.p, '=', pair.n);
	struct slice       name, value;
	unsigned long long n;
	uint64_t           now;
	bool               exactly;

	if (equals == NULL)
		return false;
	name = (struct slice){ pair.p, (size_t)(equals - pair.p) };
	value = slice_from(pair, name.n + 1);
	exactly = value.n > 0 && value.p[0] == '!';
	if (!slice_u64(slice_from(value, exactly), &n))
		return false;
	if (slice_is(name, "timeout_ms")) {
		*timeout_ms = n;
		return n <= 3600000;
	}
	if (slice_is(name, "idle")) {
		w->idle = n == 1;
		return n <= 1;
	}
	if (w->n == CONDITIONS_MAX ||
	    name.n >= sizeof w->conditions[0].name ||
	    !ledger_value(&w->sim->platform.ledger, name, &now))
		return false;
	memcpy(w->conditions[w->n].name, name.p, name.n);
	w->conditions[w->n].value = n;
	w->conditions[w->n++].exactly = exactly;
	return true;
}

void
wait_on_request(struct sim *s, struct exchange *x, const struct request *r)
{
	struct wait *w = calloc(1, sizeof *w);
	uint64_t     timeout_ms = WAIT_MS;

	if (w == NULL) {
		control_failed(x, 500, "out of memory");
		return;
	}
	w->sim = s;
	w->exchange = x;
	for (size_t i = 0; i < r->nquery; i++)
		if (!read_condition(w, r->query[i], &timeout_ms)) {
			control_failed(x, 400, "no such condition, or not "
			    "a number");
			free(w);
			return;
		}
	w->next = s->waits;
	s->waits = w;
	if (holds(w))
		finish(w, 200);
	else if (loop_after(s->loop, &w->timer, timeout_ms, on_deadline,
	             w) != ERR_OK)
		finish(w, 408);
}
