/*
 * Which rows a call has, by its scope and kind.
 */
#include "pace.h"

#include <stdio.h>

enum pause { NO_PAUSE, ROUTE, CONV, ACTIVE_CONV, DAY, BOT_DAY, REFUSING };

static const struct {
	uint64_t   code;
	enum pause what;
} pauses[] = {
#define PAUSE(code, what, meaning) { code, what },
#include "pauses.def"
#undef PAUSE
};

enum { STATUS_LIMITED = 429, CODE_UPLOADS = 40093002,
	CODE_WAKEUP = 40034122 };

/* --- limits --------------------------------------------------------------- */

static void
use(struct pace_call *c, enum limit row)
{
	if (row == LIMIT_none)
		return;
	c->waiter.uses[c->waiter.nuses++] = row;
}

static void
use_active(struct pace_call *c)
{
	if (c->scope == PACE_C2C) {
		use(c, c->verified ? LIMIT_active_c2c
		                   : LIMIT_active_c2c_plain);
		if (!c->verified)
			use(c, LIMIT_active_c2c_plain_minute);
		use(c, LIMIT_active_user);
	} else if (c->scope == PACE_GROUP) {
		use(c, c->verified ? LIMIT_active_groups
		                   : LIMIT_active_groups_plain);
		use(c, LIMIT_active_group);
	}
}

void
pace_prepare(struct pace_call *c)
{
	c->waiter.bot = c->bot;
	c->waiter.target = c->conv;
	c->waiter.single = c->conv.n == 0;
	c->waiter.sandbox = c->sandbox;
	c->waiter.nuses = 0;
	use(c, c->row);
	if (c->active)
		use_active(c);
}

void
pace_why(const struct pace_call *c, char *why, size_t size)
{
	const struct limit_bucket *b = c->waiter.in;
	const struct limit_info   *i;

	if (b == NULL) {
		snprintf(why, size, "its turn did not come in time");
		return;
	}
	i = limit_info(b->row);
	snprintf(why, size,
	    "its turn did not come in time: the platform allows %u in %llu s "
	    "(%s: %s)", i->count, (unsigned long long)i->per_ms / 1000,
	    i->name, i->meaning);
}

/* --- allowances ----------------------------------------------------------- */

enum { ROWS_MAX = 4 };

static size_t
rows_of(const struct pace_call *c, enum allowance rows[ROWS_MAX])
{
	size_t n = 0;

	if (c->row == LIMIT_upload_prepare)
		rows[n++] = ALLOWANCE_upload_day;
	if (!c->active)
		return n;
	if (c->scope == PACE_C2C)
		rows[n++] = ALLOWANCE_user_day;
	if (c->scope == PACE_GROUP)
		rows[n++] = ALLOWANCE_group_day;
	if (c->scope == PACE_CHANNEL)
		rows[n++] = ALLOWANCE_channel_day;
	if (c->scope == PACE_DM) {
		rows[n++] = ALLOWANCE_dm_user_day;
		rows[n++] = ALLOWANCE_dm_day;
	}
	if (c->wakeup)
		rows[n++] = ALLOWANCE_wakeup_day;
	return n;
}

static struct allowance_of
of(const struct pace_call *c)
{
	return (struct allowance_of){ c->bot, c->conv };
}

enum result
pace_check(struct pace *p, struct pace_call *c, int64_t day, char *why,
    size_t size)
{
	struct allowance_of who = of(c);
	bool counts = p->limits.percent > 0 && !c->sandbox;
	enum allowance rows[ROWS_MAX];
	size_t         n = rows_of(c, rows);

	if (n == 0 || c->counted)
		return RESULT_OK;
	if (c->active && !c->wakeup &&
	    allowance_refused(&p->allowances, &who, day)) {
		snprintf(why, size, "refused here: unasked messages are not "
		    "wanted there (replies are); the platform has said so");
		return RESULT_MUTED_OR_GONE;
	}
	for (size_t i = 0; i < n; i++) {
		const struct allowance_info *a = allowance_info(rows[i]);

		if (allowance_left(&p->allowances, rows[i], &who, day,
		        counts) > 0)
			continue;
		snprintf(why, size, "refused here: nothing is left of today's "
		    "allowance (%s: %s); it is renewed at midnight in "
		    "Beijing", a->name, a->meaning);
		return RESULT_QUOTA;
	}
	return RESULT_OK;
}

void
pace_count(struct pace *p, struct pace_call *c, int64_t day)
{
	struct allowance_of who = of(c);
	enum allowance      rows[ROWS_MAX];
	size_t              n = rows_of(c, rows);

	if (c->counted)
		return;
	for (size_t i = 0; i < n; i++)
		allowance_take(&p->allowances, rows[i], &who, day);
	c->counted = n > 0;
	c->day = day;
}

void
pace_uncount(struct pace *p, struct pace_call *c)
{
	struct allowance_of who = of(c);
	enum allowance      rows[ROWS_MAX];
	size_t              n = rows_of(c, rows);

	if (!c->counted)
		return;
	for (size_t i = 0; i < n; i++)
		allowance_give_back(&p->allowances, rows[i], &who, c->day);
	c->counted = false;
}

void
pace_heard(struct pace *p, const struct pace_call *c, int64_t day)
{
	struct allowance_of who = of(c);

	if (c->scope == PACE_C2C && !c->active && p->allowances.n > 0)
		allowance_renew(&p->allowances, ALLOWANCE_wakeup_day, &who,
		    day);
}

/* --- refusals ------------------------------------------------------------- */

static enum pause
pause_of(const struct reply *r)
{
	for (size_t i = 0; i < sizeof pauses / sizeof *pauses; i++)
		if (r->code != 0 && pauses[i].code == r->code &&
		    !(r->result == RESULT_RATE_LIMITED &&
		        pauses[i].what == DAY))
			return pauses[i].what;
	return r->status == STATUS_LIMITED ? ROUTE : NO_PAUSE;
}

static void
exhaust(struct pace *p, const struct pace_call *c, uint64_t code,
    bool of_bot, int64_t day)
{
	struct allowance_of who = of(c);
	enum allowance      rows[ROWS_MAX];
	size_t              n = rows_of(c, rows);

	if (code == CODE_UPLOADS)
		allowance_exhaust(&p->allowances, ALLOWANCE_upload_day, &who,
		    day);
	else if (code == CODE_WAKEUP)
		allowance_exhaust(&p->allowances, ALLOWANCE_wakeup_day, &who,
		    day);
	else if (c->active)
		allowance_exhaust(&p->allowances, rows[of_bot ? n - 1 : 0],
		    &who, day);
}

void
pace_refused(struct pace *p, const struct pace_call *c, const struct reply *r,
    uint64_t wait_ms, uint64_t now_ms, int64_t day)
{
	static const struct slice nobody = { NULL, 0 };
	struct allowance_of       who = of(c);
	size_t                    n = c->waiter.nuses;
	struct limits            *ls = &p->limits;

	switch (pause_of(r)) {
	case NO_PAUSE:
		break;
	case ROUTE:
		limit_pause(ls, c->bot, c->row,
		    limit_info(c->row)->by_target ? c->conv : nobody, wait_ms,
		    now_ms);
		break;
	case CONV:
		limit_pause(ls, c->bot, c->row, c->conv, wait_ms, now_ms);
		break;
	case ACTIVE_CONV:
		limit_pause(ls, c->bot,
		    c->active && n > 0 ? c->waiter.uses[n - 1] : c->row,
		    c->conv, wait_ms, now_ms);
		break;
	case DAY:
		exhaust(p, c, r->code, false, day);
		break;
	case BOT_DAY:
		exhaust(p, c, r->code, true, day);
		break;
	case REFUSING:
		if (c->active)
			allowance_refuse(&p->allowances, &who, day,
			    REFUSING_MET_DAYS);
		break;
	}
}
