/*
 * The order of starting and stopping.
 */
#include "plan.h"

bool
plan_may_go(const struct plan_row *rows, size_t n, size_t i, uint64_t now_ms)
{
	size_t starting = 0;

	if (!service_wants_go(rows[i].service, now_ms))
		return false;
	for (size_t k = 0; k < n; k++) {
		const struct service *s = rows[k].service;

		starting += s->state == SERVICE_STARTING;
		if (rows[k].rank < rows[i].rank && s->wanted && !s->ever_ready)
			return false;
	}
	return starting < PLAN_STARTS_MAX;
}

bool
plan_stop(const struct plan_row *rows, size_t n, size_t i,
    enum service_input *input)
{
	const struct service *s = rows[i].service;
	bool                  last = true;

	for (size_t k = 0; k < n; k++)
		if (rows[k].rank > rows[i].rank &&
		    service_alive(rows[k].service))
			last = false;
	/* Nobody is spawned any more, whatever its rank. */
	*input = SERVICE_STOP;
	if (!service_alive(s))
		return s->wanted || s->state != SERVICE_STOPPED;
	if (last)
		return s->state != SERVICE_STOPPING || s->wanted ||
		    s->pressure == SERVICE_DRAINING;
	*input = SERVICE_RETIRE;
	return rows[i].retires && s->state != SERVICE_STOPPING;
}

enum plan_state
plan_state(const struct plan_row *rows, size_t n, bool stopping)
{
	bool starting = false, ill = false;

	if (stopping)
		return PLAN_STOPPING;
	for (size_t i = 0; i < n; i++) {
		const struct service *s = rows[i].service;

		if (!s->wanted)
			continue;
		if (s->state == SERVICE_FAILED)
			return PLAN_FAILED;
		if (s->state == SERVICE_READY)
			continue;
		if (s->restarts == 0 && !s->ever_ready)
			starting = true;
		else
			ill = true;
	}
	return ill ? PLAN_DEGRADED : starting ? PLAN_STARTING : PLAN_READY;
}

const char *
plan_state_name(enum plan_state state)
{
	static const char *const names[] = { "starting", "ready", "degraded",
		"failed", "stopping" };

	return names[state];
}

bool
plan_is_up(const struct plan_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (rows[i].service->wanted && !rows[i].service->ever_ready)
			return false;
	return true;
}

bool
plan_is_down(const struct plan_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (service_alive(rows[i].service))
			return false;
	return true;
}
