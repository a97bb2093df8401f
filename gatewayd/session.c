/*
 * The session's state machine: a table of steps by state and input, a table
 * of close codes, and the one function that changes the state.  It decides;
 * others do.
 */
#include "session.h"

#include <stdio.h>
#include <string.h>

#include "log.h"

enum {
	ASK_TIMEOUT_MS = 15000,
	INTERVAL_MIN_MS = 200, INTERVAL_MAX_MS = 120000,
	INTERVAL_USUAL_MS = 45000,
	IDENTIFY_WINDOW_MS = 5250, /* the platform's 5 s, and a late frame */
	CALM_MS = 60000,           /* live so long: the backoff starts anew */
	STEADY_MS = 5000,          /* live so long: may be replaced at once */
	QUIET_MS = 2000,           /* no event for so long: a quiet moment */
	USUAL_EVENTS = 20,         /* so many tell how often they come */
	USUAL_GAPS = 20,           /* so many gaps without one are odd */
	SLOW_MS = 60000,
	SEARCH_MS = 1000,          /* look again whether another's is over */
	SPARE_SESSIONS = 2 * RIGHTS_TRIALS, /* left for what is not a search */
	ASK_PARKED_MS = 5000,      /* apid answers from memory: asking is free */
	ACKS_MISSED_MAX = 3,
	ASKED_APART_MS = 1000,     /* beats that the platform asks for */
	RESUME_FAILURES_MAX = 3,
	CLOSE_TO_RESUME = 4000,    /* 1000 and 1001 would end the session */
	CLOSE_FOR_GOOD = 1000,
	DAY_MS = 24 * 60 * 60 * 1000,
};

struct step {
	struct session            *s;
	const struct session_data *in;
	uint64_t                   now;
	struct session_action     *out;
	size_t                     nout;
};

typedef void step_fn(struct step *);

static const uint32_t steps_ms[] = { 1000, 2000, 5000, 10000, 30000, 60000,
	0 };

static const char *const state_names[SESSION_STATES] = {
	[SESSION_IDLE] = "idle",
	[SESSION_WAITING] = "waiting",
	[SESSION_ASKING] = "asking",
	[SESSION_CONNECTING] = "connecting",
	[SESSION_IDENTIFYING] = "identifying",
	[SESSION_RESUMING] = "resuming",
	[SESSION_LIVE] = "live",
	[SESSION_PARKED] = "parked",
};

const char *
session_state_name(enum session_state s)
{
	return state_names[s];
}

/* --- small parts -------------------------------------------------------------- */

static void
act(struct step *st, struct session_action a)
{
	if (st->nout < SESSION_ACTIONS)
		st->out[st->nout++] = a;
}

/* It is used, or will not be.  Who fails before it is used keeps it: the
 * next attempt is as good. */
static void
give_up_turn(struct session *s)
{
	if (s->turn_ms != 0 && s->budget->booked_ms == s->turn_ms)
		s->budget->booked_ms = 0;
	s->turn_ms = 0;
}

/* The only place where the state changes. */
static void
become(struct step *st, enum session_state to, const char *why)
{
	struct session *s = st->s;
	static const enum log_level levels[SESSION_STATES] = {
		[SESSION_IDLE] = LOG_INFO,       [SESSION_WAITING] = LOG_WARN,
		[SESSION_ASKING] = LOG_DEBUG,    [SESSION_CONNECTING] = LOG_DEBUG,
		[SESSION_IDENTIFYING] = LOG_INFO, [SESSION_RESUMING] = LOG_INFO,
		[SESSION_LIVE] = LOG_INFO,       [SESSION_PARKED] = LOG_ERROR,
	};

	LOG_AT(levels[to], "session.state", KV("bot", s->bot),
	    KV("shard", s->shard), KV("from", state_names[s->state]),
	    KV("to", state_names[to]), KV("why", why), KV("seq", s->seq),
	    KV("remedy", s->remedy));
	if (to == SESSION_IDENTIFYING || to == SESSION_PARKED ||
	    to == SESSION_IDLE)
		give_up_turn(s);
	s->state = to;
	s->unanswered = s->renewing = false;
	s->since_ms = st->now;
	s->why = why;
	s->deadline_ms = s->retry_ms = 0;
}

static void
forget_session(struct session *s)
{
	s->memory_version++;
	s->id[0] = '\0';
	s->seq = 0;
	s->ready_ms = s->events = 0;
	s->resume_once = false;
	s->resume_failures = 0;
}

static void
drop_connection(struct step *st, unsigned code)
{
	if (st->s->connected)
		act(st, (struct session_action){ .kind = DO_CLOSE,
		    .code = code });
	st->s->connected = false;
	st->s->beat_ms = 0;
	st->s->beat_pending = false;
}

static void
wait_for(struct step *st, uint64_t ms, const char *why)
{
	become(st, SESSION_WAITING, why);
	st->s->retry_ms = st->now + ms;
}

static void
park(struct step *st, uint64_t ms, const char *why, const char *remedy)
{
	drop_connection(st, 0);
	st->s->remedy = remedy;
	become(st, SESSION_PARKED, why);
	st->s->retry_ms = st->now + ms;
}

static uint64_t
next_backoff(struct step *st)
{
	return backoff_next(&st->s->backoff, st->in->chance);
}

/* A connection that had become live may be replaced at once, once: a moment
 * of jitter, so that a thousand bots do not return together. */
static uint64_t
first_or_backoff(struct step *st)
{
	struct session *s = st->s;

	if (s->state == SESSION_LIVE && s->backoff.at == 0) {
		s->backoff.at = 1;
		return 50 + backoff_spread(100, 50, st->in->chance);
	}
	return next_backoff(st);
}

/* --- connecting ------------------------------------------------------------------ */

static bool
budget_spent(const struct session_budget *b)
{
	return b->total > 0 && b->remaining == 0;
}

/* How long until this bot may identify again; 0 = now. */
static uint64_t
budget_wait(const struct session_budget *b, uint64_t now)
{
	if (budget_spent(b) && b->resets_ms > now)
		return b->resets_ms - now;
	return b->next_ms > now ? b->next_ms - now : 0;
}

/* One session finds out what the bot may have; the others of it wait. */
static bool
others_search(const struct session *s)
{
	return s->id[0] == '\0' && s->rights != NULL &&
	    rights_searching(s->rights) && s->rights->searcher != NULL &&
	    s->rights->searcher != s;
}

static void
begin_because(struct step *st, const char *why)
{
	struct session *s = st->s;
	uint64_t        wait;

	if (others_search(s)) {
		wait_for(st, SEARCH_MS, "another shard tries the intents");
		return;
	}
	if (s->id[0] == '\0' && (wait = budget_wait(s->budget, st->now)) > 0) {
		wait_for(st, wait, wait > IDENTIFY_WINDOW_MS
		        ? "the day's sessions are used up"
		        : "identify is paced");
		return;
	}
	become(st, SESSION_ASKING, why);
	s->deadline_ms = st->now + ASK_TIMEOUT_MS;
	act(st, (struct session_action){ .kind = DO_ASK, .fresh = s->fresh });
}

static void
begin(struct step *st)
{
	begin_because(st, "to connect");
}

/* The platform counts by days: whatever it says, the next one is not far. */
static uint64_t
resets_after(const struct session_data *in)
{
	return in->reset_after_ms < DAY_MS ? in->reset_after_ms : DAY_MS;
}

static void
note_budget(struct session_budget *b, const struct session_data *in,
    uint64_t now)
{
	uint64_t at_once = in->max_concurrency > 0 ? in->max_concurrency : 1;

	b->memory_version++;
	if (in->max_concurrency > 0 || b->every_ms == 0) /* told, or new */
		b->every_ms = IDENTIFY_WINDOW_MS / at_once;
	if (in->total == 0) /* the platform did not tell */
		return;
	b->total = in->total;
	b->remaining = in->remaining;
	b->resets_ms = now + resets_after(in);
}

/* How long until it is this session's turn to identify.  Each one that waits
 * has its own: those that begin together would all connect, one of them would
 * identify, and the others had come for nothing. */
static uint64_t
await_turn(struct step *st)
{
	struct session        *s = st->s;
	struct session_budget *b = s->budget;

	if (s->turn_ms == 0) {
		s->turn_ms = b->next_ms > st->now ? b->next_ms : st->now;
		if (b->booked_ms != 0 &&
		    s->turn_ms < b->booked_ms + b->every_ms)
			s->turn_ms = b->booked_ms + b->every_ms;
		b->booked_ms = s->turn_ms;
	}
	return s->turn_ms > st->now ? s->turn_ms - st->now : 0;
}

static void
connect_to(struct step *st, const char *why)
{
	struct session *s = st->s;

	s->fresh = false;
	s->connects++;
	become(st, SESSION_CONNECTING, why);
	s->connected = true;
	s->heard_ms = st->now;
	s->acks_missed = 0;
	s->asked_ms = 0;
	s->held = false;
	s->deadline_ms = st->now + s->hello_timeout_ms;
	act(st, (struct session_action){ .kind = DO_CONNECT });
}

static void
connect_now(struct step *st)
{
	struct session *s = st->s;
	uint64_t        wait;

	note_budget(s->budget, st->in, st->now);
	if (s->id[0] == '\0' && budget_spent(s->budget)) {
		s->remedy = "the platform allows no more sessions today; "
		            "it is tried again when the count starts anew";
		wait_for(st, st->in->reset_after_ms > 0
		        ? resets_after(st->in)
		        : SLOW_MS,
		    "the day's sessions are used up");
		return;
	}
	if (s->id[0] == '\0' && (wait = await_turn(st)) > 0)
		wait_for(st, wait, "identify is paced");
	else
		connect_to(st, "address and token are here");
}

/* Who waits for a token is told when to ask again; behind an address that
 * cannot be had is the platform, which is to be spared. */
static void
no_answer(struct step *st)
{
	uint64_t ms = st->in->number > 0
	    ? backoff_spread((uint64_t)st->in->number, 20, st->in->chance)
	    : next_backoff(st);

	wait_for(st, ms, "apid has no token or address yet");
	st->s->unanswered = true;
}

static void
ask_late(struct step *st)
{
	wait_for(st, next_backoff(st), "apid does not answer");
	st->s->unanswered = true;
}

static void
ask_again(struct step *st)
{
	if (st->s->unanswered)
		begin_because(st, "apid can be asked again");
}

static void
park_refused(struct step *st)
{
	struct session *s = st->s;

	snprintf(s->told, sizeof s->told, "%.*s", (int)st->in->text.n,
	    st->in->text.n > 0 ? st->in->text.p : "");
	s->fresh = false;
	park(st, ASK_PARKED_MS, "the platform refuses the credentials",
	    s->told[0] != '\0' ? s->told
	                       : "check QQ_APP_ID and QQ_CLIENT_SECRET");
	s->unanswered = true;
}

static uint64_t
clamp(uint64_t v, uint64_t low, uint64_t high)
{
	return v < low ? low : v > high ? high : v;
}

/* What Hello says of it; what is no interval leaves the one there was. */
static void
note_interval(struct step *st)
{
	struct session *s = st->s;

	if (st->in->number > 0)
		s->interval_ms = clamp((uint64_t)st->in->number,
		    INTERVAL_MIN_MS, INTERVAL_MAX_MS);
}

/* Hello once more: only the interval is news.  A beat may come earlier for
 * it, and none later, however often it is said. */
static void
hello_again(struct step *st)
{
	struct session *s = st->s;

	note_interval(st);
	if (s->beat_ms > st->now + s->interval_ms)
		s->beat_ms = st->now + s->interval_ms;
}

static void
introduce(struct step *st)
{
	struct session *s = st->s;
	bool            resume = s->id[0] != '\0' && s->seq > 0;

	s->interval_ms = INTERVAL_USUAL_MS;
	note_interval(st);
	s->beat_ms = st->now + 1 + (s->interval_ms * st->in->chance >> 32);
	if (!resume) {
		uint64_t wait = budget_wait(s->budget, st->now);

		/* Another shard was faster between asking and Hello.  With
		 * nothing left only a new answer tells of new sessions. */
		if (wait > 0 || budget_spent(s->budget)) {
			drop_connection(st, CLOSE_TO_RESUME);
			give_up_turn(s);
			wait_for(st, wait > 0 ? wait : s->budget->every_ms,
			    "identify is paced");
			return;
		}
		if (others_search(s)) {
			drop_connection(st, CLOSE_TO_RESUME);
			wait_for(st, SEARCH_MS,
			    "another shard tries the intents");
			return;
		}
		forget_session(s);
		if (s->rights != NULL) {
			s->intents = rights_mask(s->rights);
			if (rights_searching(s->rights))
				s->rights->searcher = s;
		}
		s->budget->memory_version++;
		s->budget->next_ms = st->now + s->budget->every_ms;
		if (s->budget->remaining > 0)
			s->budget->remaining--;
		s->identifies++;
	} else
		s->resumes++;
	become(st, resume ? SESSION_RESUMING : SESSION_IDENTIFYING, "hello");
	s->deadline_ms = st->now + s->hello_timeout_ms;
	act(st, (struct session_action){
	    .kind = resume ? DO_RESUME : DO_IDENTIFY });
}

/* --- serving -------------------------------------------------------------------- */

static void
note_seq(struct session *s, int64_t seq)
{
	if (seq > s->seq)
		s->seq = seq;
}

static void
go_live(struct step *st, const char *why)
{
	struct session *s = st->s;

	if (s->state != SESSION_LIVE) {
		s->live_ms = st->now;
		s->renew_ms = st->now + s->age_ms +
		    ((s->age_ms / 8) * st->in->chance >> 32);
		s->renew_late_ms = st->now + s->age_ms + s->age_ms / 4;
	}
	s->silent_at_ms = 0;
	s->remedy = "";
	s->auth_failures = s->invalids = s->repeats = s->resume_failures = 0;
	s->resume_once = false;
	s->memory_version++;
	become(st, SESSION_LIVE, why);
}

/* The day's sessions are for better things than a search. */
static bool
is_poor(const struct session_budget *b)
{
	return b->total > 0 && b->remaining < SPARE_SESSIONS;
}

static void
anew_because(struct step *st, const char *why)
{
	forget_session(st->s);
	drop_connection(st, CLOSE_FOR_GOOD);
	begin_because(st, why);
}

static void
anew(struct step *st)
{
	anew_because(st, "another session is wanted");
}

static void
serve(struct step *st)
{
	struct session *s = st->s;

	snprintf(s->id, sizeof s->id, "%.*s", (int)st->in->text.n,
	    st->in->text.n > 0 ? st->in->text.p : "");
	snprintf(s->user, sizeof s->user, "%.*s", (int)st->in->more.n,
	    st->in->more.n > 0 ? st->in->more.p : "");
	/* A truncated id would be refused at each Resume: better none. */
	if (st->in->text.n >= sizeof s->id)
		s->id[0] = '\0';
	s->seq = 0;
	note_seq(s, st->in->seq);
	s->ready_ms = st->now;
	s->events = 0;
	go_live(st, "ready");
	if (s->rights != NULL &&
	    rights_taken(s->rights, s->intents, is_poor(s->budget)))
		anew_because(st, "to try the other intents");
}

/* When a session that used to have events must have had one: none if there
 * were too few to tell. */
static uint64_t
silent_after(const struct session *s)
{
	uint64_t usual;

	if (s->silent_ms == 0 || s->ready_ms == 0 || s->events < USUAL_EVENTS)
		return 0;
	usual = USUAL_GAPS * ((s->event_ms - s->ready_ms) / s->events);
	return usual > s->silent_ms ? usual : s->silent_ms;
}

static void
serve_again(struct step *st)
{
	struct session *s = st->s;
	uint64_t        after = silent_after(s);

	note_seq(s, st->in->seq);
	go_live(st, "resumed");
	if (after != 0)
		s->silent_at_ms = st->now + after;
}

static void
pass_on(struct step *st)
{
	struct session *s = st->s;

	note_seq(s, st->in->seq);
	s->events++;
	s->event_ms = st->now;
	s->silent_at_ms = 0;
	if (s->state != SESSION_LIVE) /* a long replay is not a silence */
		s->deadline_ms = st->now + s->hello_timeout_ms;
	act(st, (struct session_action){ .kind = DO_DELIVER });
}

/* Before READY there is no session it belongs to, and no seq to note. */
static void
pass_on_early(struct step *st)
{
	act(st, (struct session_action){ .kind = DO_DELIVER });
}

static void
beat(struct step *st)
{
	struct session *s = st->s;

	s->beat_sent_ms = st->now;
	s->beat_ms = st->now + s->interval_ms;
	s->beat_pending = true;
	act(st, (struct session_action){ .kind = DO_BEAT });
}

/* The platform asks for a beat: at once, but not as often as it may ask, for
 * it counts our frames; and the beats that are due are due nonetheless. */
static void
beat_asked(struct step *st)
{
	struct session *s = st->s;

	if (st->now < s->asked_ms)
		return;
	s->asked_ms = st->now + ASKED_APART_MS;
	act(st, (struct session_action){ .kind = DO_BEAT });
}

static void
note_ack(struct step *st)
{
	st->s->beat_pending = false;
	st->s->acks_missed = 0;
	st->s->memory_version++; /* it was good until now, at least */
}

/* --- leaving -------------------------------------------------------------------- */

/* Resumes that fail again and again end the session too: it is dead, whatever
 * the codes say.  When it is we who do not read, nothing has failed.  What may
 * be resumed once ends with an answer; a connection that is lost before there
 * was one says nothing of the session. */
static void
note_failed_resume(struct session *s, bool answered)
{
	if (s->state != SESSION_RESUMING || s->held)
		return;
	if ((answered && s->resume_once) ||
	    ++s->resume_failures >= RESUME_FAILURES_MAX)
		forget_session(s);
}

/* A connection that is cut every few seconds, but never at once, is a bad
 * network, not a platform that wants to be left alone: waiting longer and
 * longer would keep us away most of the time.  Only a session that is older
 * than that is so excused; a new one has cost an Identify. */
static bool
is_steady(const struct step *st)
{
	const struct session *s = st->s;

	return s->state == SESSION_LIVE &&
	    st->now - s->live_ms >= STEADY_MS &&
	    (s->ready_ms == 0 || st->now - s->ready_ms >= CALM_MS);
}

/* The session stays ours; the connection does not. */
static void
leave(struct step *st, unsigned code, const char *why, bool answered)
{
	struct session *s = st->s;
	uint64_t        ms;

	if (is_steady(st))
		backoff_reset(&s->backoff);
	ms = first_or_backoff(st);
	note_failed_resume(s, answered);
	drop_connection(st, code);
	wait_for(st, ms, why);
}

/* The peer is dead or behaves as if: no farewell. */
static void
lost(struct step *st, const char *why)
{
	leave(st, 0, why, false);
}

/* The platform wants another connection and nothing is wrong: at once, so that
 * events wait for no longer than they must.  When it wants one every few
 * seconds, something is wrong. */
static void
move(struct step *st, unsigned code, const char *why)
{
	struct session *s = st->s;
	bool            steady = st->now - s->live_ms >= STEADY_MS;

	if (s->state != SESSION_LIVE || (!steady && s->backoff.at > 0)) {
		leave(st, code, why, false);
		return;
	}
	if (!steady)
		s->backoff.at = 1;
	log_info("session.move", KV("bot", s->bot), KV("shard", s->shard),
	    KV("why", why));
	drop_connection(st, code);
	begin_because(st, why);
}

static void
reconnect(struct step *st)
{
	move(st, CLOSE_TO_RESUME, "the platform asks to reconnect");
}

static void
garbage(struct step *st)
{
	leave(st, CLOSE_TO_RESUME,
	    "the platform sent a frame that is none", false);
}

/* What the platform's pages ask for after a refusal: 1 to 5 s. */
static uint64_t
moment(const struct step *st)
{
	return 1000 + ((uint64_t)4000 * st->in->chance >> 32);
}

static void
start_over(struct step *st)
{
	struct session *s = st->s;
	bool            identifying = s->state == SESSION_IDENTIFYING;
	uint64_t        ms = moment(st);

	/* Ready and refused, ready and refused: each costs a session. */
	if (s->state == SESSION_LIVE && s->backoff.at > 1)
		ms += next_backoff(st);
	else if (s->state == SESSION_LIVE)
		s->backoff.at++;

	if (st->in->number == 1 && s->id[0] != '\0' && !s->resume_once) {
		s->resume_once = true;
		drop_connection(st, CLOSE_TO_RESUME);
		wait_for(st, ms, "session refused, may be resumed once");
		return;
	}
	forget_session(s);
	if (identifying) {
		s->fresh = true;
		s->invalids++;
	}
	if (s->invalids >= 2) {
		ms = SLOW_MS;
		s->remedy = "the platform refuses to identify: check "
		            "QQ_INTENTS, QQ_SHARDS and the bot's rights";
	}
	drop_connection(st, CLOSE_TO_RESUME);
	wait_for(st, ms, "session refused");
}

/* --- closes: one function per action of closes.def ------------------------------- */

typedef void close_fn(struct step *, const struct session_close *);

static void
close_RESUME(struct step *st, const struct session_close *row)
{
	st->s->remedy = row->remedy;
	lost(st, row->meaning);
}

static void
close_MOVE(struct step *st, const struct session_close *row)
{
	move(st, 0, row->meaning);
}

static void
close_ONCE(struct step *st, const struct session_close *row)
{
	struct session *s = st->s;

	leave(st, 0, row->meaning, true);
	if (s->id[0] != '\0')
		s->resume_once = true;
}

/* Not before the window in which sends are counted is over, and longer when
 * it happens again. */
static void
close_SLOW(struct step *st, const struct session_close *row)
{
	uint64_t ms = backoff_spread(IDENTIFY_WINDOW_MS, 20, st->in->chance);
	uint64_t again = next_backoff(st);

	drop_connection(st, 0);
	wait_for(st, again > ms ? again : ms, row->meaning);
}

/* A refused Resume is a definite answer and comes once per session, so the
 * Identify follows soon; a refused Identify backs off, and may be the token's
 * fault. */
static void
close_IDENTIFY(struct step *st, const struct session_close *row)
{
	uint64_t ms = st->s->state == SESSION_RESUMING
	    ? moment(st)
	    : first_or_backoff(st);

	if (st->s->state == SESSION_IDENTIFYING)
		st->s->fresh = true;
	forget_session(st->s);
	drop_connection(st, 0);
	wait_for(st, ms, row->meaning);
}

static void
close_TOKEN(struct step *st, const struct session_close *row)
{
	struct session *s = st->s;
	uint64_t        ms = first_or_backoff(st);

	s->fresh = true;
	if (++s->auth_failures >= 2)
		forget_session(s);
	if (s->auth_failures >= 3) {
		ms = backoff_spread(SLOW_MS, 20, st->in->chance);
		s->remedy = row->remedy;
	}
	drop_connection(st, 0);
	wait_for(st, ms, row->meaning);
}

static void
close_PARK(struct step *st, const struct session_close *row)
{
	forget_session(st->s);
	park(st, st->s->park_ms, row->meaning, row->remedy);
}

static void
close_INTENTS(struct step *st, const struct session_close *row)
{
	struct session *s = st->s;

	if (s->rights == NULL ||
	    !rights_refused(s->rights, s->intents, is_poor(s->budget))) {
		close_PARK(st, row);
		return;
	}
	s->rights->searcher = s;
	log_warn("session.intents", KV("bot", s->bot), KV("shard", s->shard),
	    KV("refused", s->intents), KV("next", rights_mask(s->rights)),
	    KV("why", "the bot may not have all of them: others are tried"));
	anew_because(st, "to try fewer intents");
}

static void
close_REPEAT(struct step *st, const struct session_close *row)
{
	if (++st->s->repeats >= 3)
		close_PARK(st, row);
	else
		close_IDENTIFY(st, row);
}

static void
close_SHARDS(struct step *st, const struct session_close *row)
{
	if (!st->s->auto_shards) {
		close_PARK(st, row);
		return;
	}
	close_IDENTIFY(st, row);
	act(st, (struct session_action){ .kind = DO_RESHARD });
}

static void
close_BAN(struct step *st, const struct session_close *row)
{
	forget_session(st->s);
	park(st, 6 * st->s->park_ms, row->meaning, row->remedy);
}

static const struct {
	struct session_close row;
	close_fn            *fn;
} closes[] = {
#define CLOSE(first, last, action, meaning, remedy)                          \
	{ { first, last, #action, meaning, remedy }, close_##action },
#include "closes.def"
#undef CLOSE
	/* What no row names: resume, but only once. */
	{ { 0, ~0u, "ONCE", "closed with a code we do not know", "" },
	  close_ONCE },
};

static size_t
close_index(unsigned code)
{
	size_t i = 0;

	while (code < closes[i].row.first || code > closes[i].row.last)
		i++;
	return i;
}

const struct session_close *
session_close_row(unsigned code)
{
	return &closes[close_index(code)].row;
}

static void
closed(struct step *st)
{
	struct session *s = st->s;
	size_t          i;

	s->last_close = (unsigned)st->in->number;
	i = close_index(s->last_close);
	s->closes++;
	s->connected = false;
	log_warn("session.closed", KV("bot", s->bot), KV("shard", s->shard),
	    KV("code", s->last_close), KV("meaning", closes[i].row.meaning),
	    KV("action", closes[i].row.action), KV("reason", st->in->text));
	closes[i].fn(st, &closes[i].row);
}

/* --- time ------------------------------------------------------------------------ */

static void
silent(struct step *st)
{
	lost(st, "nothing came before the deadline");
}

/* A beat is due.  Any frame since the last one shows life; yet when several
 * beats in a row stay without their ACK, ours do not arrive. */
static void
beat_due(struct step *st)
{
	struct session *s = st->s;

	if (s->beat_pending) {
		if (s->heard_ms <= s->beat_sent_ms ||
		    ++s->acks_missed >= ACKS_MISSED_MAX) {
			lost(st, "heartbeat without answer");
			return;
		}
	}
	beat(st);
}

/* When an old connection is left for a new one: 0 = not at all. */
static uint64_t
renew_at(const struct session *s)
{
	uint64_t quiet = s->event_ms + QUIET_MS;
	uint64_t at = s->renew_ms > quiet ? s->renew_ms : quiet;

	/* Without an id there is nothing to resume; and what we do not read
	 * now would only be replayed. */
	if (s->state != SESSION_LIVE || s->age_ms == 0 || s->held ||
	    s->id[0] == '\0')
		return 0;
	return at < s->renew_late_ms ? at : s->renew_late_ms;
}

/* A good connection is not left before the next one can be made: when there
 * is no answer, it lives on, and it is tried again later. */
static void
renew(struct step *st)
{
	struct session *s = st->s;

	s->renewing = true;
	s->renew_ms = st->now + SLOW_MS;
	s->renew_late_ms = s->renew_ms + s->age_ms / 4;
	act(st, (struct session_action){ .kind = DO_ASK });
}

static void
renew_now(struct step *st)
{
	struct session *s = st->s;

	if (!s->renewing || s->id[0] == '\0')
		return;
	note_budget(s->budget, st->in, st->now);
	s->renewals++;
	drop_connection(st, CLOSE_TO_RESUME);
	connect_to(st, "the connection has become old");
}

static void
renew_later(struct step *st)
{
	st->s->renewing = false;
}

static uint64_t
silent_at(const struct session *s)
{
	return s->state == SESSION_LIVE && !s->held ? s->silent_at_ms : 0;
}

/* With the last sessions of the day this is no time for doubts. */
static void
replace(struct step *st)
{
	struct session *s = st->s;

	if (budget_wait(s->budget, st->now) > 0 ||
	    (s->budget->total > 0 && s->budget->remaining <= 1)) {
		s->silent_at_ms = st->now + s->silent_ms;
		return;
	}
	log_warn("session.silent", KV("bot", s->bot), KV("shard", s->shard),
	    KV("events", s->events),
	    KV("why", "resumed, and no event since: replaced"));
	s->replacements++;
	forget_session(s);
	drop_connection(st, CLOSE_FOR_GOOD);
	begin_because(st, "to replace a silent session");
}

static bool
has_come(uint64_t at_ms, uint64_t now_ms)
{
	return at_ms != 0 && at_ms <= now_ms;
}

static void
tick(struct step *st)
{
	struct session *s = st->s;

	if (s->held) { /* what we do not read cannot be missed */
		s->heard_ms = st->now;
		s->beat_pending = false;
		s->memory_version++; /* nor can its signs of life */
		if (s->deadline_ms != 0)
			s->deadline_ms = st->now + s->hello_timeout_ms;
	}
	if (has_come(s->deadline_ms, st->now)) {
		silent(st);
		return;
	}
	if (has_come(s->beat_ms, st->now))
		beat_due(st);
	if (has_come(silent_at(s), st->now))
		replace(st);
	if (has_come(renew_at(s), st->now))
		renew(st);
}

static void
halt(struct step *st)
{
	if (st->in->number == 1)
		forget_session(st->s);
	drop_connection(st, st->in->number == 1 ? CLOSE_FOR_GOOD
	                                        : CLOSE_TO_RESUME);
	become(st, SESSION_IDLE, "stopped");
}

/* --- the table: an empty cell is logged, counted and otherwise nothing ------------ */

static step_fn *const steps[SESSION_STATES][SESSION_INPUTS] = {
	[SESSION_IDLE] = { [IN_START] = begin },
	[SESSION_WAITING] = { [IN_DUE] = begin, [IN_START] = begin,
	    [IN_ANEW] = anew,
	    [IN_ASKABLE] = ask_again, [IN_STOP] = halt },
	[SESSION_ASKING] = { [IN_ANSWER] = connect_now, [IN_ANEW] = anew,
	    [IN_NO_ANSWER] = no_answer, [IN_FATAL] = park_refused,
	    [IN_DUE] = ask_late, [IN_STOP] = halt },
	[SESSION_CONNECTING] = { [IN_HELLO] = introduce, [IN_CLOSED] = closed,
	    [IN_ANEW] = anew,
	    [IN_RECONNECT] = reconnect, [IN_INVALID] = start_over,
	    [IN_GARBAGE] = garbage, [IN_DUE] = tick, [IN_STOP] = halt },
	[SESSION_IDENTIFYING] = { [IN_READY] = serve, [IN_ANEW] = anew,
	    [IN_HELLO] = hello_again,
	    [IN_DISPATCH] = pass_on_early, [IN_INVALID] = start_over,
	    [IN_CLOSED] = closed, [IN_RECONNECT] = reconnect,
	    [IN_BEAT_ASKED] = beat_asked, [IN_ACK] = note_ack,
	    [IN_GARBAGE] = garbage, [IN_DUE] = tick, [IN_STOP] = halt },
	[SESSION_RESUMING] = { [IN_RESUMED] = serve_again, [IN_READY] = serve,
	    [IN_ANEW] = anew, [IN_HELLO] = hello_again,
	    [IN_DISPATCH] = pass_on, [IN_INVALID] = start_over,
	    [IN_CLOSED] = closed, [IN_RECONNECT] = reconnect,
	    [IN_BEAT_ASKED] = beat_asked, [IN_ACK] = note_ack,
	    [IN_DUE] = tick, [IN_STOP] = halt },
	[SESSION_LIVE] = { [IN_DISPATCH] = pass_on, [IN_RESUMED] = serve_again,
	    [IN_ANEW] = anew, [IN_HELLO] = hello_again,
	    [IN_ANSWER] = renew_now, [IN_NO_ANSWER] = renew_later,
	    [IN_FATAL] = renew_later,
	    [IN_INVALID] = start_over, [IN_CLOSED] = closed,
	    [IN_RECONNECT] = reconnect, [IN_BEAT_ASKED] = beat_asked,
	    [IN_ACK] = note_ack, [IN_DUE] = tick, [IN_STOP] = halt },
	[SESSION_PARKED] = { [IN_DUE] = begin, [IN_START] = begin,
	    [IN_ANEW] = anew,
	    [IN_ASKABLE] = ask_again, [IN_STOP] = halt },
};

void
session_init(struct session *s)
{
	*s = (struct session){
		.backoff = { .steps_ms = steps_ms },
		.why = "not started",
		.remedy = "",
		.bot = "",
		.hello_timeout_ms = 20000,
		.park_ms = 600000,
		.shards = 1,
	};
}

size_t
session_step(struct session *s, enum session_input input,
    const struct session_data *in, uint64_t now_ms,
    struct session_action out[SESSION_ACTIONS])
{
	struct step st = { s, in, now_ms, out, 0 };
	step_fn    *fn = steps[s->state][input];

	if (s->state == SESSION_LIVE && now_ms - s->since_ms >= CALM_MS)
		backoff_reset(&s->backoff);
	if (fn != NULL)
		fn(&st);
	else
		log_debug("session.unexpected", KV("bot", s->bot),
		    KV("shard", s->shard), KV("state", state_names[s->state]),
		    KV("input", (int)input));
	return st.nout;
}

void
session_heard(struct session *s, uint64_t now_ms)
{
	s->heard_ms = now_ms;
}

void
session_hold(struct session *s, bool held, uint64_t now_ms)
{
	if (s->held && !held) {
		s->heard_ms = now_ms;
		s->beat_pending = false;
		s->acks_missed = 0;
		if (s->deadline_ms != 0)
			s->deadline_ms = now_ms + s->hello_timeout_ms;
	}
	s->held = held;
}

uint64_t
session_due(const struct session *s)
{
	uint64_t at[] = { s->deadline_ms, s->retry_ms,
		s->connected ? s->beat_ms : 0, renew_at(s), silent_at(s) };
	uint64_t due = 0;

	for (size_t i = 0; i < sizeof at / sizeof *at; i++)
		if (at[i] != 0 && (due == 0 || at[i] < due))
			due = at[i];
	return due;
}

bool
session_stale(const struct session *s, uint64_t now_ms)
{
	bool unanswered = s->beat_pending && s->heard_ms <= s->beat_sent_ms &&
	    now_ms - s->beat_sent_ms > s->interval_ms / 2;

	return s->state == SESSION_LIVE && !s->held &&
	    (unanswered ||
	        now_ms - s->heard_ms > s->interval_ms + s->interval_ms / 10);
}

bool
session_silent(const struct session *s, uint64_t now_ms)
{
	uint64_t at = silent_at(s);

	return at != 0 && now_ms - s->live_ms >= (at - s->live_ms) / 2;
}

/* --- what outlives a run ------------------------------------------------------------ */

void
session_remember(const struct session *s, int64_t wall_ms,
    struct session_memory *out)
{
	*out = (struct session_memory){ .seq = s->seq, .shard = s->shard,
		.shards = s->shards, .intents = s->intents,
		.saved_wall_ms = wall_ms };
	snprintf(out->bot, sizeof out->bot, "%s", s->bot);
	snprintf(out->id, sizeof out->id, "%s", s->id);
	snprintf(out->user, sizeof out->user, "%s", s->user);
}

bool
session_memory_good(const struct session_memory *m, int64_t wall_ms,
    uint64_t resume_s)
{
	return m->id[0] != '\0' && m->seq > 0 && resume_s > 0 &&
	    m->saved_wall_ms >= wall_ms - (int64_t)resume_s * 1000;
}

bool
session_recall(struct session *s, const struct session_memory *m,
    int64_t wall_ms, uint64_t resume_s)
{
	if (s->state != SESSION_IDLE ||
	    !session_memory_good(m, wall_ms, resume_s) ||
	    strcmp(m->bot, s->bot) != 0 || m->shard != s->shard ||
	    m->shards != s->shards || m->intents != s->intents)
		return false;
	snprintf(s->id, sizeof s->id, "%s", m->id);
	snprintf(s->user, sizeof s->user, "%s", m->user);
	s->seq = m->seq;
	return true;
}

/* An instant of ours on the other clock; 0 stays 0. */
static int64_t
wall_of(uint64_t at_ms, uint64_t now_ms, int64_t wall_ms)
{
	return at_ms == 0 ? 0 : wall_ms + ((int64_t)at_ms - (int64_t)now_ms);
}

void
budget_remember(const struct session_budget *b, uint64_t now_ms,
    int64_t wall_ms, struct budget_memory *out)
{
	*out = (struct budget_memory){ .total = b->total,
		.remaining = b->remaining,
		.resets_wall_ms = wall_of(b->resets_ms, now_ms, wall_ms),
		.next_wall_ms = wall_of(b->next_ms, now_ms, wall_ms) };
}

/* Ours again: no later than so far from now, and now when it has passed. */
static uint64_t
ours_of(int64_t at_wall_ms, int64_t wall_ms, uint64_t now_ms, uint64_t most)
{
	if (at_wall_ms == 0)
		return 0;
	if (at_wall_ms <= wall_ms)
		return now_ms;
	return now_ms + clamp((uint64_t)at_wall_ms - (uint64_t)wall_ms, 0,
	    most);
}

void
budget_recall(struct session_budget *b, const struct budget_memory *m,
    uint64_t now_ms, int64_t wall_ms)
{
	b->total = m->total;
	b->remaining = m->remaining < m->total ? m->remaining : m->total;
	b->resets_ms = ours_of(m->resets_wall_ms, wall_ms, now_ms,
	    DAY_MS + IDENTIFY_WINDOW_MS);
	b->next_ms = ours_of(m->next_wall_ms, wall_ms, now_ms,
	    IDENTIFY_WINDOW_MS);
}
