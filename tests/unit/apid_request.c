// links: apid/request.c apid/lines.c apid/forms.c apid/reviews.c apid/commits.c apid/attach.c apid/form.c apid/allowance.c apid/attempt.c apid/audit.c apid/body.c apid/call.c apid/fallback.c apid/limit.c apid/pace.c apid/params.c apid/reply.c apid/left.c apid/left.c apid/sent.c apid/shape.c apid/table.c common
/*
 * The life of calls against a bot and a platform of our own: order, waiting,
 * joining, repeating, leaving, and what an earlier run has left.  http.c and
 * bot.c are played here.
 */
#include "test.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "log.h"
#include "pack.h"
#include "life.h"

enum { RESULTS_MAX = 64, STARTED_MAX = 8192, CALLS = 3000 };

static struct {
	struct requests      rs;
	struct bot           bot;
	struct conf          conf;
	bool                 has_token, full;
	bool                 dies_when_told;
	int                  records;    /* times on_record was called */
	enum token_advice    advice;
	int                  doubts, refusals, taken, cancelled, forgotten;
	struct media_order  *orders[8];
	struct fetch_order  *fetches[8];
	size_t               norders, nfetches;
	struct http_request *started[STARTED_MAX];
	size_t               nstarted;
	struct {
		char     peer[16], id[32], code[32];
		bool     ok, has_data;
		char     data[96];
		uint64_t tries, platform_code;
	} results[RESULTS_MAX];
	size_t               nresults;
	unsigned             told[CALLS];   /* by the number in "#12" */
} w;

/* --- the played parts ----------------------------------------------------- */

enum err
http_start(struct http *h, struct http_request *r)
{
	(void)h;
	w.started[w.nstarted++] = r;
	return ERR_OK;
}

void
http_cancel(struct http *h, struct http_request *r)
{
	(void)h, (void)r;
}

bool
bot_may_send(const struct bot *b)
{
	(void)b;
	return w.has_token;
}

void
bot_refused(struct bot *b, bool config, uint64_t code, struct slice message)
{
	(void)b, (void)config, (void)code, (void)message;
	w.refusals++;
}

void
bot_taken(struct bot *b)
{
	(void)b;
	w.taken++;
}

void
bot_why(const struct bot *b, char *why, size_t size)
{
	(void)b;
	snprintf(why, size, "no access token");
}

struct http_headers *
bot_headers(struct bot *b, bool callback)
{
	static char some;

	(void)b, (void)callback;
	return (struct http_headers *)(void *)&some;
}

enum token_advice
bot_doubt(struct bot *b, uint64_t generation)
{
	(void)b, (void)generation;
	w.doubts++;
	if (w.advice == TOKEN_WAIT)
		w.has_token = false;
	return w.advice;
}

enum err
media_start(struct media *m, struct media_order *o)
{
	(void)m;
	w.orders[w.norders++] = o;
	return ERR_OK;
}

void
media_cancel(struct media *m, struct media_order *o)
{
	(void)m, (void)o;
	w.cancelled++;
}

void
media_forget(struct media *m, struct slice file_info)
{
	(void)m;
	w.forgotten += slice_is(file_info, "F1");
}

enum err
fetch_start(struct fetch *f, struct fetch_order *o)
{
	(void)f;
	w.fetches[w.nfetches++] = o;
	return ERR_OK;
}

void
fetch_cancel(struct fetch *f, struct fetch_order *o)
{
	(void)f, (void)o;
	w.cancelled++;
}

static struct bot *
find_bot(void *self, struct slice app)
{
	(void)self;
	return slice_is(app, "7") ? &w.bot : NULL;
}

static void
keep(char *to, size_t size, struct slice s)
{
	snprintf(to, size, "%.*s", (int)s.n, s.n > 0 ? s.p : "");
}

static enum err
take_result(void *self, msg_peer to, const struct msg_result *m)
{
	size_t             i = w.nresults;
	unsigned long long number;

	(void)self;
	if (w.full)
		return ERR_FULL;
	if (slice_starts(m->id, SLICE("#"))) {
		EXPECT(slice_u64(slice_from(m->id, 1), &number));
		w.told[number]++;
		return ERR_OK;
	}
	if (w.dies_when_told)
		kill(getpid(), SIGKILL);
	keep(w.results[i].peer, sizeof w.results[i].peer, to);
	keep(w.results[i].id, sizeof w.results[i].id, m->id);
	keep(w.results[i].code, sizeof w.results[i].code, m->code);
	w.results[i].ok = m->ok;
	w.results[i].has_data = m->data.n > 0;
	keep(w.results[i].data, sizeof w.results[i].data, m->data);
	w.results[i].tries = m->tries;
	w.results[i].platform_code = m->platform_code;
	w.nresults++;
	return ERR_OK;
}

static void
on_record(void *self)
{
	(void)self;
	w.records++;
}

static char dir[] = "/tmp/rk-request-XXXXXX";

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

/* One run of the program, with the record in the folder. */
static void
run_open(bool again)
{
	struct sent_guest allowances;

	memset(&w, 0, sizeof w);
	log_open("test", LOG_ERROR, false);
	signal(SIGXFSZ, SIG_IGN);
	w.has_token = true;
	w.bot.app = SLICE("7");
	w.bot.conf = &w.conf;
	w.bot.token.generation = 1;
	w.rs.again = again;
	w.rs.find_bot = find_bot;
	w.rs.send = take_result;
	w.rs.on_record = on_record;
	EXPECT_INT(loop_new(&w.rs.loop), ERR_OK);
	allowances_open(&w.rs.pace.allowances);
	allowances = allowances_guest(&w.rs.pace.allowances);
	if (sent_open(&w.rs.sent, dir, STORE_PROCESS, loop_wall_ms()) ==
	    ERR_OK)
		EXPECT_INT(sent_join(&w.rs.sent, &allowances), ERR_OK);
	else
		w.rs.sent.guest = allowances;
	EXPECT_INT(requests_open(&w.rs), ERR_OK);
}

static void
run_close(void)
{
	requests_close(&w.rs);
	EXPECT_INT(w.rs.n, 0);
	EXPECT_INT(w.rs.bytes, 0);
	EXPECT_INT(w.rs.lanes.n, 0);
	loop_free(&w.rs.loop);
}

static void
setup(bool again)
{
	strcpy(dir + sizeof dir - 7, "XXXXXX");
	EXPECT(mkdtemp(dir) != NULL);
	run_open(again);
}

static void
teardown(void)
{
	run_close();
	nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* A run that does this and is killed. */
static void
killed_after(void (*doing)(void))
{
	pid_t pid = fork();
	int   status = -1;

	if (pid == 0) {
		run_open(false);
		doing();
		fflush(stdout);
		kill(getpid(), test_bad ? SIGTERM : SIGKILL);
	}
	EXPECT(pid > 0 && waitpid(pid, &status, 0) == pid);
	EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* --- steps ---------------------------------------------------------------- */

/* The end of a turn: what was held leaves. */
static void
turn(void)
{
	EXPECT_INT(loop_turn(w.rs.loop, 0, NULL), ERR_OK);
}

static void
reply_from(const char *peer, const char *id, const char *conv, uint64_t n,
    int64_t left_ms)
{
	struct msg_call m = { .id = slice_of(id), .bot = SLICE("7"),
		.do_ = SLICE("reply"), .ev = slice_of(conv), .n = n,
		.conv = slice_of(conv), .msg = SLICE("M"),
		.text = SLICE("hi"), .deadline = loop_wall_ms() + left_ms };

	requests_take(&w.rs, slice_of(peer), &m);
}

static void
reply(const char *id, const char *conv, uint64_t n)
{
	reply_from("p", id, conv, n, 60000);
	turn();
}

/* The i-th request is answered. */
static void
answer(size_t i, unsigned status, const char *body)
{
	struct http_answer a = { .status = status, .body = slice_of(body),
		.reached = true, .why = "broke off",
		.err = status == 0 ? ERR_CLOSED : ERR_OK };

	w.started[i]->on_done(w.started[i]->self, &a);
	turn();
}

static void
turn_until(size_t started, size_t results)
{
	uint64_t end = loop_clock_ms() + 5000;

	while ((w.nstarted < started || w.nresults < results) &&
	    loop_clock_ms() < end)
		loop_turn(w.rs.loop, 100, NULL);
	EXPECT_INT(w.nstarted, started);
	EXPECT_INT(w.nresults, results);
}

static void
limit(rlim_t bytes)
{
	struct rlimit l;

	getrlimit(RLIMIT_FSIZE, &l);
	l.rlim_cur = bytes == 0 ? l.rlim_max : bytes;
	EXPECT(setrlimit(RLIMIT_FSIZE, &l) == 0);
}

static void
notice(const char *what, const char *conv, const char *audit, const char *msg)
{
	struct msg_notice m = { .bot = SLICE("7"), .what = slice_of(what),
		.conv = slice_of(conv), .audit = slice_of(audit),
		.msg = slice_of(msg) };

	requests_on_notice(&w.rs, &m);
}

#define OK_BODY "{\"id\":\"R1\"}"

/* --- tests ---------------------------------------------------------------- */

TEST(one_conversation_goes_in_order)
{
	setup(false);
	reply("a1", "u:A", 1);
	reply("a2", "u:A", 2);
	reply("b1", "g:B", 1);
	reply("a3", "u:A", 3);
	EXPECT_INT(w.nstarted, 2); /* a1 and b1 */
	answer(1, 200, OK_BODY);
	EXPECT_STR(w.results[0].id, "b1");
	answer(0, 200, OK_BODY);
	EXPECT_INT(w.nstarted, 3);
	answer(2, 400, "{\"code\":304003}");
	EXPECT_INT(w.nstarted, 4);
	answer(3, 200, OK_BODY);
	EXPECT_INT(w.nresults, 4);
	EXPECT_STR(w.results[2].code, "REJECTED");
	EXPECT_INT(w.results[2].platform_code, 304003);
	EXPECT_STR(w.results[3].id, "a3");
	EXPECT_INT(w.rs.n, 0);
	teardown();
}

TEST(a_repeat_joins_then_gets_the_first_outcome)
{
	setup(false);
	reply_from("p", "x", "u:A", 1, 60000);
	reply_from("p", "x", "u:A", 1, 60000);
	reply_from("q", "y", "u:A", 1, 60000);
	EXPECT_INT(w.nstarted, 0); /* not before it is recorded */
	turn();
	EXPECT_INT(w.nstarted, 1);
	answer(0, 200, OK_BODY);
	EXPECT_INT(w.nresults, 2);
	EXPECT_STR(w.results[0].peer, "p");
	EXPECT_STR(w.results[1].peer, "q");
	EXPECT_STR(w.results[1].id, "y");
	reply_from("r", "z", "u:A", 1, 60000);
	EXPECT_INT(w.nstarted, 1);
	EXPECT_INT(w.nresults, 3);
	EXPECT(w.results[2].ok);
	teardown();
}

TEST(a_failure_may_be_tried_anew)
{
	setup(false);
	reply("x", "u:A", 1);
	answer(0, 400, "{\"code\":304003}");
	reply("x", "u:A", 1);
	EXPECT_INT(w.nstarted, 2);
	answer(1, 200, OK_BODY);
	EXPECT(w.results[1].ok);
	teardown();
}

TEST(unknown_outcome_of_a_channel_is_final)
{
	setup(false);
	reply("x", "c:A", 1);
	EXPECT(w.started[0]->once);
	answer(0, 0, "");
	EXPECT_STR(w.results[0].code, "TIMEOUT");
	reply("x", "c:A", 1);
	EXPECT_INT(w.nstarted, 1);
	EXPECT_STR(w.results[1].code, "TIMEOUT");
	teardown();
	setup(true);
	reply("x", "c:A", 1);
	EXPECT(!w.started[0]->once);
	answer(0, 0, "");
	EXPECT_INT(w.nresults, 0);
	teardown();
}

TEST(unknown_outcome_of_a_user_is_asked_again)
{
	setup(false);
	reply("x", "u:A", 1);
	EXPECT(!w.started[0]->once);
	answer(0, 0, "");
	turn_until(2, 0);
	EXPECT_SLICE(w.started[1]->body,
	    "{\"msg_type\":0,\"content\":\"hi\",\"msg_id\":\"M\","
	    "\"msg_seq\":1}");
	answer(1, 400, "{\"code\":40054005}");
	EXPECT(w.results[0].ok);
	EXPECT_INT(w.results[0].tries, 2);
	teardown();
}

TEST(waits_for_a_token_in_order)
{
	char conv[8];

	setup(false);
	w.has_token = false;
	for (int i = 0; i < 5; i++) {
		snprintf(conv, sizeof conv, "u:%d", i);
		reply(conv, conv, 1);
	}
	EXPECT_INT(w.nstarted, 0);
	requests_on_token(&w.rs, &w.bot); /* a failure: still none */
	EXPECT_INT(w.nstarted, 0);
	w.has_token = true;
	requests_on_token(&w.rs, &w.bot);
	turn();
	EXPECT_INT(w.nstarted, 5);
	for (size_t i = 0; i < 5; i++) {
		answer(i, 200, OK_BODY);
		EXPECT_INT(w.results[i].id[2], '0' + (int)i);
	}
	teardown();
}

TEST(a_refused_token_is_renewed_and_the_call_sent_once_more)
{
	setup(false);
	w.advice = TOKEN_WAIT;
	reply("x", "u:A", 1);
	answer(0, 401, "{\"code\":11244}");
	EXPECT_INT(w.doubts, 1);
	EXPECT_INT(w.nstarted, 1);
	/* The old token serves again, but the doubt is not settled. */
	w.has_token = true;
	requests_on_token(&w.rs, &w.bot);
	EXPECT_INT(w.nstarted, 1);
	w.bot.token.answers++;
	requests_on_token(&w.rs, &w.bot);
	turn();
	EXPECT_INT(w.nstarted, 2);
	answer(1, 401, "{\"code\":11244}");
	EXPECT_INT(w.doubts, 1);
	EXPECT_STR(w.results[0].code, "PLATFORM");
	EXPECT_INT(w.results[0].tries, 2);
	/* Somebody else has a newer one already. */
	w.advice = TOKEN_NEWER;
	reply("y", "u:A", 2);
	answer(2, 401, "");
	EXPECT_INT(w.nstarted, 4);
	answer(3, 200, OK_BODY);
	EXPECT(w.results[1].ok);
	teardown();
}

TEST(waits_for_a_session_where_it_is_asked_for)
{
	static const struct {
		enum requests_hold hold;
		size_t             leave;   /* of u: g: c: d: */
	} rows[] = { { HOLD_NONE, 4 }, { HOLD_GUILD, 2 }, { HOLD_ALL, 0 } };
	static const char *const convs[] = { "u:A", "g:B", "c:C", "d:D" };

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		setup(false);
		w.rs.hold = rows[i].hold;
		w.rs.hold_ms = 60000;
		w.bot.away_ms = loop_now(w.rs.loop);
		for (size_t k = 0; k < 4; k++)
			reply(convs[k], convs[k], 1);
		EXPECT_INT(w.nstarted, rows[i].leave);
		EXPECT_INT(w.rs.without_session, 4 - rows[i].leave);
		w.bot.away_ms = 0;
		requests_on_live(&w.rs, &w.bot);
		turn();
		EXPECT_INT(w.nstarted, 4);
		EXPECT_INT(w.rs.without_session, 0);
		for (size_t k = 0; k < 4; k++) /* first come, first gone */
			answer(k, 200, OK_BODY);
		EXPECT_STR(w.results[2].id, "c:C");
		teardown();
	}
}

TEST(a_session_that_stays_away_holds_nothing_for_long)
{
	setup(false);
	w.rs.hold = HOLD_ALL;
	w.rs.hold_ms = 500;
	w.bot.away_ms = loop_now(w.rs.loop);
	reply("x", "u:A", 1);
	EXPECT_INT(w.nstarted, 0);
	reply_from("p", "late", "u:B", 1, 20); /* its window is shorter */
	turn_until(1, 1);
	EXPECT_STR(w.results[0].code, "REPLY_EXPIRED");
	reply("y", "u:C", 1); /* it has been away for longer already */
	EXPECT_INT(w.nstarted, 2);
	EXPECT_INT(w.rs.without_session, 0);
	teardown();
}

/* Refused twice, or until a person has acted: the bot is told.  What had left
 * before that was known waits with the others. */
TEST(a_refusal_is_about_the_bot)
{
	setup(false);
	w.advice = TOKEN_SAME;
	reply("a", "u:A", 1);
	answer(0, 401, "{\"code\":11244}");
	EXPECT_INT(w.refusals, 0);
	answer(1, 401, "{\"code\":11244}");
	EXPECT_INT(w.refusals, 1);
	EXPECT_INT(w.nresults, 1);
	reply("b", "u:B", 1);
	answer(2, 400, "{\"code\":40023002}");
	EXPECT_INT(w.refusals, 2);
	EXPECT_INT(w.nresults, 2);
	EXPECT_INT(w.taken, 0);
	reply("c", "u:C", 1);
	w.bot.breaker.state = BREAKER_CONFIG;
	w.has_token = false;
	answer(3, 400, "{\"code\":40023002}");
	EXPECT_INT(w.nresults, 2);
	EXPECT_INT(w.nstarted, 4);
	w.bot.breaker.state = BREAKER_CLOSED;
	w.has_token = true;
	requests_on_token(&w.rs, &w.bot);
	turn();
	EXPECT_INT(w.nstarted, 5);
	answer(4, 200, OK_BODY);
	EXPECT(w.results[2].ok);
	EXPECT_INT(w.taken, 1);
	teardown();
}

/* Who is to wait for longer than he can is told so at once. */
TEST(the_platform_says_when)
{
	struct http_answer a = { .status = 429, .reached = true,
		.retry_after = SLICE("3") };

	setup(false);
	reply_from("p", "a", "u:A", 1, 2500);
	turn();
	w.started[0]->on_done(w.started[0]->self, &a);
	turn();
	EXPECT_INT(w.nresults, 1);
	EXPECT_STR(w.results[0].code, "RATE_LIMITED");
	teardown();
}

/* One that ends at once, when the session is back, takes the next with it. */
TEST(a_session_comes_back_and_nothing_may_go)
{
	setup(false);
	w.rs.replies[SCOPE_C2C] = 1;
	reply("a1", "u:A", 1);
	answer(0, 200, OK_BODY);
	w.rs.hold = HOLD_ALL;
	w.rs.hold_ms = 60000;
	w.bot.away_ms = loop_now(w.rs.loop);
	reply("a2", "u:A", 2);
	reply("a3", "u:A", 3);
	reply("b1", "u:B", 1);
	w.bot.away_ms = 0;
	requests_on_live(&w.rs, &w.bot);
	turn();
	EXPECT_INT(w.nresults, 3);
	EXPECT_STR(w.results[1].code, "QUOTA");
	EXPECT_STR(w.results[2].code, "QUOTA");
	EXPECT_INT(w.nstarted, 2);
	teardown();
}

/* The bot goes while a call of its is under way: that comes to its end, also
 * when it takes a second request, and those behind it are not begun. */
TEST(a_bot_goes_with_a_call_under_way)
{
	static const struct {
		unsigned    status;
		const char *body;
	} rows[] = { { 500, "{}" }, { 401, "{\"code\":11244}" } };

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		setup(false);
		w.advice = TOKEN_SAME;
		reply("a1", "u:A", 1);
		reply("a2", "u:A", 2);
		w.bot.leaving = true;
		requests_let_go(&w.rs, &w.bot);
		EXPECT_INT(w.rs.n, 1);
		answer(0, rows[i].status, rows[i].body);
		turn_until(2, 0);
		answer(1, 200, OK_BODY);
		EXPECT_INT(w.nresults, 1);
		EXPECT(w.results[0].ok);
		EXPECT(!requests_use(&w.rs, &w.bot));
		EXPECT_INT(w.rs.lanes.n, 0);
		teardown();
	}
}

TEST(windows_close)
{
	setup(false);
	reply_from("p", "late", "u:A", 1, -1);
	EXPECT_STR(w.results[0].code, "REPLY_EXPIRED");
	EXPECT_INT(w.nstarted, 0);
	w.has_token = false;
	reply_from("p", "t", "u:B", 1, 30);
	reply_from("p", "behind", "u:B", 2, 20);
	turn_until(0, 3);
	EXPECT_STR(w.results[1].id, "behind");
	EXPECT_STR(w.results[1].code, "REPLY_EXPIRED");
	EXPECT_STR(w.results[2].id, "t");
	EXPECT_STR(w.results[2].code, "REPLY_EXPIRED");
	EXPECT_INT(w.rs.n, 0);
	teardown();
}

/* A deadline that no clock of ours will ever show is over, too. */
TEST(a_window_from_the_beginning_of_time)
{
	struct msg_call m = { .id = SLICE("x"), .bot = SLICE("7"),
		.do_ = SLICE("reply"), .ev = SLICE("e"), .n = 1,
		.conv = SLICE("u:A"), .msg = SLICE("M"), .text = SLICE("hi"),
		.deadline = INT64_MIN };

	setup(false);
	requests_take(&w.rs, SLICE("p"), &m);
	m.n = 2;
	m.deadline = -1;
	requests_take(&w.rs, SLICE("p"), &m);
	turn();
	EXPECT_INT(w.nstarted, 0);
	EXPECT_INT(w.nresults, 2);
	EXPECT_STR(w.results[0].code, "REPLY_EXPIRED");
	EXPECT_STR(w.results[1].code, "REPLY_EXPIRED");
	teardown();
}

TEST(bounded)
{
	char id[16];

	setup(false);
	w.has_token = false;
	for (int i = 0; i < CALLS_MAX; i++) {
		snprintf(id, sizeof id, "u:%d", i % 100);
		reply(id, id, (uint64_t)i + 1);
	}
	EXPECT_INT(w.nresults, 0);
	EXPECT_INT(w.rs.n, CALLS_MAX);
	reply("over", "u:x", 1);
	EXPECT_STR(w.results[0].code, "RATE_LIMITED");
	teardown();
}

/* Whatever the bytes are in: here the ids, of calls and of those who join. */
TEST(bounded_by_bytes)
{
	enum { EACH = 1 << 20, TRIES = 80 };
	struct buf id = { 0 };

	setup(false);
	w.has_token = false;
	while (id.n < EACH)
		buf_puts(&id, "0123456789abcdef");
	for (int i = 0; i < TRIES; i++) {
		id.p[0] = (char)('0' + i);
		reply_from("p", id.p, "u:A", (uint64_t)i / 2 + 1, 60000);
	}
	EXPECT(w.rs.bytes >= CALLS_BYTES_MAX);
	EXPECT(w.rs.bytes < CALLS_BYTES_MAX + 2 * EACH);
	EXPECT(w.nresults > 0);
	EXPECT_STR(w.results[0].code, "RATE_LIMITED");
	buf_free(&id);
	teardown();
}

TEST(a_full_pipe_is_tried_again)
{
	setup(false);
	reply("x", "u:A", 1);
	reply("y", "u:A", 2);
	w.full = true;
	answer(0, 200, OK_BODY);
	EXPECT_INT(w.nstarted, 2); /* the next does not wait for that */
	EXPECT(!requests_idle(&w.rs));
	w.full = false;
	turn_until(2, 1);
	EXPECT_STR(w.results[0].id, "x");
	answer(1, 200, OK_BODY);
	EXPECT(requests_idle(&w.rs));
	teardown();
}

TEST(leaving)
{
	setup(false);
	reply("a1", "u:A", 1);
	reply("a2", "u:A", 2);
	reply("b1", "u:B", 1);
	requests_stop(&w.rs);
	reply("c1", "u:C", 1);
	EXPECT(!requests_idle(&w.rs));
	answer(0, 200, OK_BODY);
	answer(1, 429, "");
	EXPECT(requests_idle(&w.rs));
	EXPECT_INT(w.nstarted, 2);
	EXPECT_INT(w.nresults, 1); /* the others will be asked again */
	EXPECT_STR(w.results[0].id, "a1");
	teardown();
}

/* --- the run before was killed ---------------------------------------------- */

static const char *const convs[] = { "u:A", "g:A", "c:A", "d:A" };

static void
sending_to_all(void)
{
	for (int i = 0; i < 4; i++)
		reply(convs[i], convs[i], 1);
	EXPECT_INT(w.nstarted, 4);
}

TEST(killed_in_mid_request_the_platform_tells_or_the_setting)
{
	setup(false);
	run_close();
	killed_after(sending_to_all);
	run_open(false);
	EXPECT_INT(w.rs.sent.n, 4);
	reply("u", "u:A", 1);
	reply("g", "g:A", 1);
	EXPECT_INT(w.nstarted, 2);
	EXPECT_SLICE(w.started[0]->body,
	    "{\"msg_type\":0,\"content\":\"hi\",\"msg_id\":\"M\","
	    "\"msg_seq\":1}");
	answer(0, 400, "{\"code\":40054005}");
	EXPECT(w.results[0].ok);
	/* Refused by another name: whether it had arrived nobody knows. */
	answer(1, 400, "{\"code\":304003}");
	EXPECT_STR(w.results[1].code, "TIMEOUT");
	reply("c", "c:A", 1);
	reply("d", "d:A", 1);
	EXPECT_INT(w.nstarted, 2);
	EXPECT_STR(w.results[2].code, "TIMEOUT");
	EXPECT_STR(w.results[3].code, "TIMEOUT");
	/* The next numbers are not concerned. */
	reply("c2", "c:A", 2);
	EXPECT_INT(w.nstarted, 3);
	run_close();
	/* The same after another restart, and with the other setting. */
	run_open(true);
	reply("u", "u:A", 1);
	EXPECT(w.results[0].ok);
	EXPECT_INT(w.nstarted, 0);
	reply("d", "d:A", 1);
	EXPECT_INT(w.nstarted, 1);
	answer(0, 200, OK_BODY);
	EXPECT(w.results[1].ok);
	teardown();
}

TEST(killed_in_mid_request_and_the_window_is_over)
{
	setup(false);
	run_close();
	killed_after(sending_to_all);
	run_open(false);
	reply_from("p", "x", "u:A", 1, -1);
	EXPECT_STR(w.results[0].code, "TIMEOUT");
	reply_from("p", "y", "u:B", 1, -1);
	EXPECT_STR(w.results[1].code, "REPLY_EXPIRED");
	teardown();
}

static void
told_of_a_channel(void)
{
	w.dies_when_told = true;
	reply("x", "c:A", 1);
	answer(0, 200, OK_BODY);
	EXPECT(false);
}

/* Nobody is told of a message to a channel before it is on disk. */
TEST(an_outcome_that_was_told_is_known_to_the_next_run)
{
	setup(false);
	run_close();
	killed_after(told_of_a_channel);
	run_open(false);
	reply("x", "c:A", 1);
	EXPECT_INT(w.nstarted, 0);
	EXPECT_INT(w.rs.counts.repeated, 1);
	EXPECT(w.results[0].ok);
	EXPECT(w.results[0].has_data);
	teardown();
}

static void
told_of_a_user(void)
{
	uint64_t end = loop_clock_ms() + 5000, before;

	reply("x", "u:A", 1);
	before = w.rs.sent.commits;
	answer(0, 200, OK_BODY);
	EXPECT_INT(w.nresults, 1);
	EXPECT_INT(w.rs.sent.commits, before); /* is no reason to wait */
	while (w.rs.sent.commits == before && loop_clock_ms() < end)
		loop_turn(w.rs.loop, 100, NULL);
	EXPECT_INT(w.rs.sent.commits, before + 1);
}

TEST(an_outcome_nobody_waits_for_is_saved_soon)
{
	setup(false);
	run_close();
	killed_after(told_of_a_user);
	run_open(false);
	reply("x", "u:A", 1);
	EXPECT_INT(w.nstarted, 0);
	EXPECT(w.results[0].ok);
	teardown();
}

static void
waits_after_a_refusal(void)
{
	reply("x", "c:A", 1);
	answer(0, 429, "");
	EXPECT_INT(sent_commit(&w.rs.sent, loop_wall_ms()), ERR_OK);
}

/* Killed while it waited to be sent again: it had surely not been sent. */
TEST(what_was_refused_is_not_in_doubt)
{
	setup(false);
	run_close();
	killed_after(waits_after_a_refusal);
	run_open(false);
	reply("x", "c:A", 1);
	EXPECT_INT(w.nstarted, 1);
	teardown();
}

/* --- the record cannot be written ------------------------------------------- */

TEST(without_a_record_nothing_is_sent_that_could_double)
{
	setup(false);
	reply("under way", "c:W", 1);
	limit(1);
	reply("c1", "c:A", 1);
	reply("c2", "c:A", 2);
	EXPECT_INT(w.nstarted, 1);
	EXPECT_INT(w.records, 1);
	EXPECT(w.rs.sent.trouble != ERR_OK);
	/* The platform tells doubles of a user by itself: served at once. */
	reply("u", "u:A", 1);
	EXPECT_INT(w.nstarted, 2);
	answer(1, 200, OK_BODY);
	EXPECT_STR(w.results[0].id, "u");
	/* An outcome that is not on disk is not told; it can be asked for. */
	answer(0, 200, OK_BODY);
	reply("under way", "c:W", 1);
	EXPECT_INT(w.nresults, 1);
	/* The window of a call that waits may close. */
	reply_from("p", "late", "d:A", 1, 10);
	turn_until(2, 2);
	EXPECT_STR(w.results[1].id, "late");
	EXPECT_STR(w.results[1].code, "REPLY_EXPIRED");
	limit(0);
	turn_until(3, 3);
	EXPECT_STR(w.results[2].id, "under way");
	EXPECT_INT(w.records, 2);
	EXPECT_INT(w.rs.sent.trouble, ERR_OK);
	answer(2, 200, OK_BODY);
	EXPECT_STR(w.results[3].id, "c1");
	EXPECT_INT(w.nstarted, 4);
	answer(3, 200, OK_BODY);
	EXPECT_STR(w.results[4].id, "c2");
	run_close();
	/* All of it is there for the next run. */
	run_open(false);
	reply("u", "u:A", 1);
	reply("c2", "c:A", 2);
	reply("late", "d:A", 1);
	EXPECT_INT(w.rs.counts.repeated, 2);
	EXPECT_INT(w.nstarted, 1);
	teardown();
}

TEST(one_commit_for_a_turn)
{
	char     conv[8];
	uint64_t before;

	setup(false);
	before = w.rs.sent.commits;
	for (int i = 0; i < 30; i++) {
		snprintf(conv, sizeof conv, "c:%d", i);
		reply_from("p", conv, conv, 1, 60000);
	}
	turn();
	EXPECT_INT(w.nstarted, 30);
	EXPECT_INT(w.rs.sent.commits, before + 1);
	teardown();
}

/* --- at random -------------------------------------------------------------- */

static unsigned
below(unsigned n)
{
	static uint64_t x = 88172645463325252u; /* xorshift: the same each time */

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (unsigned)(x >> 32) % n;
}

static size_t answered; /* of w.started, all before it */

static void
answer_one(bool well)
{
	static const struct {
		unsigned    status;
		const char *body;
	} how[] = { { 200, OK_BODY }, { 200, OK_BODY }, { 400, "" },
		{ 400, "{\"code\":304003}" }, { 401, "" }, { 0, "" } };
	unsigned i = well ? 0 : below(sizeof how / sizeof *how);

	if (answered == w.nstarted)
		return;
	/* A number is sent again after a pause: not here. */
	if (how[i].status == 0 &&
	    strstr(w.started[answered]->url, "/v2/") != NULL)
		i = 0;
	answer(answered++, how[i].status, how[i].body);
}

static void
token_comes(void)
{
	w.has_token = true;
	w.bot.token.answers++;
	w.bot.token.generation++;
	requests_on_token(&w.rs, &w.bot);
}

static void
call_number(unsigned number, unsigned key)
{
	static const char kinds[] = "ugcd";
	char              id[16], conv[16], peer[8];

	snprintf(id, sizeof id, "#%u", number);
	snprintf(conv, sizeof conv, "%c:%u", kinds[key % 4], key % 12);
	snprintf(peer, sizeof peer, "p%u", number % 3);
	reply_from(peer, id, conv, key + 1, below(20) == 0 ? -1 : 60000);
}

/* RL03: whatever happens, each call that was taken is answered once. */
TEST(every_call_gets_one_answer)
{
	uint64_t end;
	unsigned asked = 0, wrong = 0;

	setup(false);
	w.advice = TOKEN_WAIT;
	w.rs.places = 5;
	w.rs.pace.limits.percent = 10000;
	answered = 0;
	while (asked < CALLS) {
		unsigned what = below(100);

		if (what < 40) {
			call_number(asked, asked);
			asked++;
		} else if (what < 45 && asked > 0) { /* again, by another */
			call_number(asked, asked - 1);
			asked++;
		} else if (what < 85)
			answer_one(false);
		else if (what < 90)
			w.full = !w.full;
		else if (what < 94)
			w.has_token = false;
		else if (what < 97)
			token_comes();
		else if (what < 98)
			limit_pause(&w.rs.pace.limits, SLICE("7"),
			    below(2) ? LIMIT_c2c_group_send
			             : LIMIT_channel_send, SLICE(""),
			    below(30), loop_now(w.rs.loop));
		else
			limit(below(2));
		turn();
	}
	w.full = false;
	limit(0);
	end = loop_clock_ms() + 10000;
	while (w.rs.n > 0 && loop_clock_ms() < end) {
		token_comes();
		if (answered < w.nstarted)
			answer_one(true);
		else
			loop_turn(w.rs.loop, 20, NULL);
	}
	EXPECT_INT(w.rs.n, 0);
	for (unsigned i = 0; i < CALLS; i++)
		if (w.told[i] != 1 && wrong++ < 10)
			printf("# call %u was answered %u times\n", i,
			    w.told[i]);
	EXPECT_INT(wrong, 0);
	teardown();
}

/* PR07: what is pushed unasked succeeds when the platform says so, only. */
TEST(a_push_that_is_refused_says_so)
{
	struct msg_call m = { .id = SLICE("x"), .bot = SLICE("7"),
		.do_ = SLICE("send"), .conv = SLICE("g:A"),
		.text = SLICE("hi") };

	setup(false);
	requests_take(&w.rs, SLICE("p"), &m);
	turn();
	answer(0, 400, "{\"code\":40034102}");
	EXPECT(!w.results[0].ok);
	EXPECT(w.results[0].code[0] != '\0');
	EXPECT_INT(w.results[0].platform_code, 40034102);
	/* Once is enough to know; a reply is another matter. */
	requests_take(&w.rs, SLICE("p"), &m);
	turn();
	EXPECT_INT(w.nstarted, 1);
	EXPECT_STR(w.results[1].code, "MUTED_OR_GONE");
	EXPECT_INT(w.results[1].tries, 0);
	reply("r", "g:A", 1);
	EXPECT_INT(w.nstarted, 2);
	answer(1, 200, OK_BODY);
	/* Until they say that it is welcome. */
	notice("push_on", "g:A", "", "");
	requests_take(&w.rs, SLICE("p"), &m);
	turn();
	answer(2, 0, "");
	EXPECT_STR(w.results[3].code, "TIMEOUT");
	notice("push_off", "g:B", "", "");
	m.conv = SLICE("g:B");
	m.id = SLICE("y");
	requests_take(&w.rs, SLICE("p"), &m);
	EXPECT_STR(w.results[4].code, "MUTED_OR_GONE");
	EXPECT_INT(w.nstarted, 3);
	teardown();
}

/* PR07 */
TEST(a_push_without_a_message_is_no_success)
{
	struct msg_call m = { .id = SLICE("x"), .bot = SLICE("7"),
		.do_ = SLICE("send"), .conv = SLICE("u:A"),
		.text = SLICE("hi") };

	setup(false);
	requests_take(&w.rs, SLICE("p"), &m);
	turn();
	answer(0, 200, "{}");
	EXPECT(!w.results[0].ok);
	EXPECT_STR(w.results[0].code, "TIMEOUT");
	/* It may be there, so it is not sent again. */
	requests_take(&w.rs, SLICE("p"), &m);
	turn();
	EXPECT_INT(w.nstarted, 1);
	EXPECT_STR(w.results[1].code, "TIMEOUT");
	teardown();
}

/* The caller's own name for a send: over another connection, and in another
 * run, it is the same one. */
TEST(a_send_with_a_key)
{
	/* {"key": "k1"} */
	struct msg_call m = { .id = SLICE("x"), .bot = SLICE("7"),
		.do_ = SLICE("send"), .conv = SLICE("u:A"),
		.text = SLICE("hi"), .with = SLICE("\x81\xa3key\xa2k1") };

	setup(false);
	requests_take(&w.rs, SLICE("p"), &m);
	turn();
	answer(0, 200, OK_BODY);
	m.id = SLICE("y");
	requests_take(&w.rs, SLICE("q"), &m);
	turn();
	EXPECT_INT(w.nstarted, 1);
	EXPECT_STR(w.results[1].id, "y");
	EXPECT(w.results[1].ok);
	run_close();
	run_open(false);
	requests_take(&w.rs, SLICE("r"), &m);
	turn();
	EXPECT_INT(w.nstarted, 0);
	EXPECT(w.results[0].ok);
	m.with = SLICE("\x81\xa3key\xa2k2");
	requests_take(&w.rs, SLICE("r"), &m);
	turn();
	EXPECT_INT(w.nstarted, 1);
	teardown();
}

TEST(so_many_replies_to_one_message)
{
	char id[8];

	setup(false);
	w.rs.replies[SCOPE_C2C] = 4;
	for (uint64_t n = 1; n <= 3; n++) {
		snprintf(id, sizeof id, "%d", (int)n);
		reply(id, "u:A", n);
		answer(w.nstarted - 1, 200, OK_BODY);
	}
	run_close();
	run_open(false);
	w.rs.replies[SCOPE_C2C] = 4;
	reply("4", "u:A", 4);
	answer(0, 200, OK_BODY);
	/* The fifth is not sent; who asks for the fourth again gets it. */
	reply("5", "u:A", 5);
	EXPECT_INT(w.nstarted, 1);
	EXPECT_STR(w.results[1].code, "QUOTA");
	EXPECT_INT(w.results[1].tries, 0);
	reply("4", "u:A", 4);
	EXPECT(w.results[2].ok);
	reply("b", "u:B", 1);
	EXPECT_INT(w.nstarted, 2);
	for (uint64_t n = 1; n <= 6; n++) /* channels: any number */
		reply("c", "c:C", n);
	EXPECT_INT(w.nresults, 3);
	teardown();
}

/* Of thousands that end at once each ends, on a stack of ordinary size. */
TEST(a_long_line_that_is_refused)
{
	setup(false);
	w.rs.replies[SCOPE_C2C] = 1;
	reply("first", "u:0", 1);
	for (unsigned i = 0; i < CALLS; i++) {
		char            id[16];
		struct msg_call m = { .id = SLICE("#0"), .bot = SLICE("7"),
			.do_ = SLICE("reply"), .ev = SLICE("u:0"),
			.n = i + 2, .conv = SLICE("u:0"), .msg = SLICE("M"),
			.text = SLICE("hi"),
			.deadline = loop_wall_ms() + 60000 };

		snprintf(id, sizeof id, "#%u", i);
		m.id = slice_of(id);
		requests_take(&w.rs, SLICE("p"), &m);
	}
	answer(0, 200, OK_BODY);
	for (int i = 0; i < 2000 && w.rs.n > 0; i++)
		loop_turn(w.rs.loop, 10, NULL);
	EXPECT_INT(w.rs.n, 0);
	EXPECT_INT(w.rs.counts.results[RESULT_QUOTA], CALLS);
	teardown();
}

/* {"audit_wait_ms": 60000} and 100 */
#define LONG_WAIT SLICE("\x81\xad""audit_wait_ms\xcd\xea\x60")
#define SHORT_WAIT SLICE("\x81\xad""audit_wait_ms\x64")
#define HELD(id) "{\"code\":304023,\"data\":{\"message_audit\":"             \
	"{\"audit_id\":\"" id "\"}}}"

static void
push(const char *conv, const char *id, struct slice with)
{
	struct msg_call m = { .id = slice_of(id), .bot = SLICE("7"),
		.do_ = SLICE("send"), .conv = slice_of(conv),
		.text = SLICE("hi"), .with = with };

	requests_take(&w.rs, SLICE("p"), &m);
	turn();
}

TEST(who_waits_for_a_review_is_told)
{
	setup(false);
	push("c:A", "none", SLICE("\x80"));
	answer(0, 202, HELD("a1"));
	EXPECT_INT(w.nresults, 1);
	EXPECT(w.results[0].ok);
	push("c:A", "long", LONG_WAIT);
	answer(1, 202, HELD("a2"));
	EXPECT_INT(w.nresults, 1);
	/* The conversation goes on meanwhile. */
	push("c:A", "short", SHORT_WAIT);
	EXPECT_INT(w.nstarted, 3);
	answer(2, 202, HELD("a3"));
	EXPECT_INT(w.rs.audits.pending, 3);
	notice("audit_pass", "c:A", "a2", "M2");
	turn();
	EXPECT_INT(w.nresults, 2);
	EXPECT_STR(w.results[1].id, "long");
	EXPECT(strstr(w.results[1].data, "passed\xc3") != NULL);
	EXPECT(strstr(w.results[1].data, "msg\xa2M2") != NULL);
	turn_until(3, 3); /* nothing comes for the third */
	EXPECT_STR(w.results[2].id, "short");
	EXPECT(w.results[2].ok);
	EXPECT(strstr(w.results[2].data, "a3") != NULL);
	EXPECT(strstr(w.results[2].data, "passed") == NULL);
	/* The word comes before the answer. */
	push("c:A", "early", LONG_WAIT);
	notice("audit_reject", "c:A", "a4", "");
	answer(3, 202, HELD("a4"));
	turn();
	EXPECT_INT(w.nresults, 4);
	EXPECT(strstr(w.results[3].data, "passed\xc2") != NULL);
	EXPECT_INT(w.rs.audits.rejected, 1);
	/* Who asks again is told the same as who waited, also later. */
	push("c:A", "long", LONG_WAIT);
	EXPECT_INT(w.nresults, 5);
	EXPECT(strstr(w.results[4].data, "msg\xa2M2") != NULL);
	run_close();
	run_open(false);
	push("c:A", "long", LONG_WAIT);
	EXPECT_INT(w.nstarted, 0);
	EXPECT(w.nresults == 1 &&
	    strstr(w.results[0].data, "passed\xc3") != NULL);
	teardown();
}

TEST(waits_for_its_tokens_in_nobodys_way)
{
	char id[8];

	setup(false);
	w.rs.places = 8;
	w.rs.pace.limits.percent = 100;
	for (uint64_t n = 1; n <= 6; n++) {
		snprintf(id, sizeof id, "c%d", (int)n);
		reply_from("p", id, "c:A", n, n == 6 ? 300 : 60000);
		turn();
		if (n <= 5)
			answer(w.nstarted - 1, 200, OK_BODY);
	}
	EXPECT_INT(w.nstarted, 5);
	EXPECT_INT(w.rs.pace.limits.waiting, 1);
	reply("b", "c:B", 1); /* another channel */
	EXPECT_INT(w.nstarted, 6);
	turn_until(6, 6);
	EXPECT_STR(w.results[5].id, "c6");
	EXPECT_STR(w.results[5].code, "RATE_LIMITED");
	EXPECT_INT(w.results[5].tries, 0);
	EXPECT_INT(w.rs.pace.limits.waiting, 0);
	reply("c7", "c:A", 7);
	EXPECT_INT(w.nstarted, 6);
	turn_until(7, 6);
	answer(6, 200, OK_BODY);
	teardown();
}

/* It waits anew, as what it is then. */
TEST(late_in_the_line_and_then_unasked)
{
	char id[8];

	setup(false);
	w.rs.pace.limits.percent = 100;
	w.rs.expired_active = true;
	for (uint64_t n = 1; n <= 6; n++) {
		snprintf(id, sizeof id, "c%d", (int)n);
		reply_from("p", id, "c:A", n, n == 6 ? 200 : 60000);
		turn();
		if (n <= 5)
			answer(w.nstarted - 1, 200, OK_BODY);
	}
	EXPECT_INT(w.nstarted, 5);
	turn_until(6, 5);
	EXPECT_INT(w.rs.counts.unasked, 1);
	EXPECT_INT(w.rs.pace.limits.waiting, 0);
	answer(5, 200, OK_BODY);
	EXPECT(w.results[5].ok);
	teardown();
}

/* With nothing else to wake us, they leave when their tokens come back. */
TEST(tokens_come_back_to_who_sleeps)
{
	struct msg_call m = { .id = SLICE("#0"), .bot = SLICE("7"),
		.do_ = SLICE("me") };
	char            id[8];
	uint64_t        began;

	setup(false);
	w.rs.places = 64;
	w.rs.pace.limits.percent = 100;
	for (unsigned i = 0; i <= 50; i++) {
		snprintf(id, sizeof id, "#%u", i);
		m.id = slice_of(id);
		requests_take(&w.rs, SLICE("p"), &m);
	}
	EXPECT_INT(w.nstarted, 50);
	began = loop_clock_ms();
	for (int i = 0; i < 4 && w.nstarted == 50; i++)
		loop_turn(w.rs.loop, 4000, NULL);
	EXPECT_INT(w.nstarted, 51);
	EXPECT(loop_clock_ms() - began < 3000);
	teardown();
}

/* The platform wants a pause: what would be over before it ends need not
 * wait for that; the rest leaves one by one. */
TEST(a_pause_is_everybodys)
{
	setup(false);
	reply("a", "u:A", 1);
	answer(0, 429, "<html>");
	reply("b", "u:B", 1);
	reply_from("p", "c", "u:C", 1, 300);
	turn();
	EXPECT_INT(w.nstarted, 1);
	EXPECT_INT(w.nresults, 1);
	EXPECT_STR(w.results[0].id, "c");
	EXPECT_STR(w.results[0].code, "RATE_LIMITED");
	reply("x", "c:X", 1); /* another limit */
	EXPECT_INT(w.nstarted, 2);
	turn_until(4, 1);
	teardown();
}

TEST(refused_markdown_and_late_replies_change_their_form_once)
{
	setup(false);
	w.rs.expired_active = true;
	reply("a", "g:A", 1);
	EXPECT(strstr(w.started[0]->body.p, "msg_id") != NULL);
	answer(0, 400, "{\"code\":304027}");
	turn();
	EXPECT_INT(w.nstarted, 2);
	EXPECT(memmem(w.started[1]->body.p, w.started[1]->body.n, "msg_",
	    4) != NULL);
	EXPECT(memmem(w.started[1]->body.p, w.started[1]->body.n, "msg_id",
	    6) == NULL);
	answer(1, 400, "{\"code\":304027}");
	EXPECT_INT(w.nstarted, 2);
	EXPECT_STR(w.results[0].code, "REPLY_EXPIRED");
	/* What may have been sent never changes its form. */
	reply("b", "g:B", 1);
	answer(2, 0, "");
	turn_until(4, 1);
	answer(3, 400, "{\"code\":304027}");
	EXPECT_STR(w.results[1].code, "TIMEOUT");
	EXPECT_INT(w.nstarted, 4);
	/* Over before it began. */
	reply_from("p", "c", "g:C", 1, -5);
	turn();
	EXPECT_INT(w.nstarted, 5);
	answer(4, 200, OK_BODY);
	EXPECT(w.results[2].ok);
	EXPECT(strstr(w.results[2].data, "unasked") != NULL);
	teardown();
}

/* A map of two texts. */
static void
ask(const char *op, const char *conv, const char *k1, const char *v1,
    const char *k2, const char *v2)
{
	struct buf      with = { 0 };
	struct pack     k;
	struct msg_call m = { .id = slice_of(v1), .bot = SLICE("7"),
		.do_ = slice_of(op), .conv = slice_of(conv) };

	pack_open(&k, &with);
	pack_map(&k, 1 + (k2 != NULL));
	pack_str(&k, slice_of(k1));
	pack_str(&k, slice_of(v1));
	if (k2 != NULL) {
		pack_str(&k, slice_of(k2));
		pack_str(&k, slice_of(v2));
	}
	m.with = buf_slice(&with);
	requests_take(&w.rs, SLICE("p"), &m);
	turn();
	buf_free(&with);
}

static void
file_is(size_t i, enum result result, const char *file_info)
{
	struct media_answer a = { .result = result, .file = { .fd = -1 },
		.file_info = slice_of(file_info), .status = 400,
		.message = SLICE("no such file") };

	w.orders[i]->on_done(w.orders[i]->self, &a);
	turn();
}

static bool
body_has(size_t i, const char *text)
{
	struct slice b = w.started[i]->body;

	return memmem(b.p, b.n, text, strlen(text)) != NULL;
}

static void
reply_in_markdown(const char *id, const char *conv)
{
	struct msg_call m = { .id = slice_of(id), .bot = SLICE("7"),
		.do_ = SLICE("reply"), .ev = slice_of(conv), .n = 1,
		.conv = slice_of(conv), .msg = SLICE("M"),
		.with = SLICE("\x81\xa8markdown\xa1x"),
		.deadline = loop_wall_ms() + 60000 };

	requests_take(&w.rs, SLICE("p"), &m);
	turn();
}

/* What may have been sent is sent again as it was, whatever another call has
 * learnt meanwhile. */
TEST(markdown_that_may_have_been_sent_stays_markdown)
{
	setup(false);
	w.rs.markdown_plain = true;
	reply_in_markdown("a", "g:A");
	answer(0, 0, "");
	reply_in_markdown("b", "g:B");
	answer(1, 400, "{\"code\":304041}");
	EXPECT_INT(w.nstarted, 3);
	EXPECT(!body_has(2, "markdown"));
	turn_until(4, 0);
	EXPECT(body_has(3, "markdown"));
	reply_in_markdown("c", "g:C"); /* this one knows it */
	EXPECT_INT(w.nstarted, 5);
	EXPECT(!body_has(4, "markdown"));
	teardown();
}

/* A refusal that another form would answer, while we leave: not the end. */
TEST(another_form_is_left_to_the_next_run)
{
	setup(false);
	w.rs.markdown_plain = w.rs.expired_active = true;
	reply_in_markdown("a", "g:A");
	reply("b", "g:B", 1);
	requests_stop(&w.rs);
	answer(0, 400, "{\"code\":304041}");
	answer(1, 400, "{\"code\":304027}");
	EXPECT(requests_idle(&w.rs));
	EXPECT_INT(w.nstarted, 2);
	EXPECT_INT(w.nresults, 0);
	run_close();
	run_open(false);
	w.rs.markdown_plain = w.rs.expired_active = true;
	reply_in_markdown("a", "g:A");
	EXPECT_INT(w.nstarted, 1);
	answer(0, 400, "{\"code\":304041}");
	answer(1, 200, OK_BODY);
	EXPECT(w.results[0].ok);
	teardown();
}

/* Neither does it when its time is over while it waits to be sent again. */
TEST(unsure_and_late_is_not_sent_unasked)
{
	setup(false);
	w.rs.expired_active = true;
	reply_from("p", "a", "g:A", 1, 1500);
	turn();
	answer(0, 0, "");
	w.has_token = false;
	turn_until(1, 1);
	EXPECT_STR(w.results[0].code, "TIMEOUT");
	EXPECT_INT(w.rs.counts.unasked, 0);
	teardown();
}

/* The library sends a request anew when its connection breaks: what refuses
 * the second may have taken the first. */
TEST(sent_anew_by_the_library)
{
	setup(false);
	w.rs.expired_active = true;
	reply("a", "u:A", 1);
	w.started[0]->on_leave(w.started[0]->self);
	w.started[0]->on_leave(w.started[0]->self);
	answer(0, 400, "{\"code\":40034005}");
	EXPECT_STR(w.results[0].code, "TIMEOUT");
	EXPECT_INT(w.nstarted, 1);
	/* A try of ours is no such case. */
	reply("b", "u:B", 1);
	w.started[1]->on_leave(w.started[1]->self);
	answer(1, 503, "");
	turn_until(3, 1);
	w.started[2]->on_leave(w.started[2]->self);
	answer(2, 400, "{\"code\":40034005}");
	EXPECT_INT(w.nstarted, 4);
	EXPECT_INT(w.rs.counts.unasked, 1);
	teardown();
}

static void
part(const char *id, const char *index, const char *stream)
{
	struct buf      with = { 0 };
	struct pack     k;
	struct msg_call m = { .id = slice_of(id), .bot = SLICE("7"),
		.do_ = SLICE("stream"), .ev = SLICE("e"), .n = 1,
		.conv = SLICE("u:A"), .msg = SLICE("M"), .text = SLICE("so"),
		.deadline = loop_wall_ms() + 60000 };

	pack_open(&k, &with);
	pack_map(&k, stream != NULL ? 2 : 1);
	pack_str(&k, SLICE("index"));
	pack_str(&k, slice_of(index));
	if (stream != NULL) {
		pack_str(&k, SLICE("id"));
		pack_str(&k, slice_of(stream));
	}
	m.with = buf_slice(&with);
	requests_take(&w.rs, SLICE("p"), &m);
	turn();
	buf_free(&with);
}

/* The answer to a part was lost, and the next try is refused for its place:
 * it was taken.  What is told then is the stream, and none of the refusal. */
TEST(a_part_that_is_refused_for_its_place)
{
	setup(false);
	part("a", "1", "S");
	answer(0, 0, "");
	turn_until(2, 0);
	answer(1, 400, "{\"code\":12002,\"message\":\"index\"}");
	EXPECT(w.results[0].ok);
	EXPECT_STR(w.results[0].data, "\x82\xa2id\xa1S\xa5shown\xa2so");
	part("b", "3", "S"); /* it never was the next */
	answer(2, 400, "{\"code\":12002,\"message\":\"index\"}");
	EXPECT_STR(w.results[1].code, "BAD_ARG");
	teardown();
}

/* Its id was lost: no part can follow. */
TEST(a_first_part_that_comes_twice)
{
	setup(false);
	part("a", "0", NULL);
	answer(0, 0, "");
	turn_until(2, 0);
	answer(1, 400, "{\"code\":40054005}");
	EXPECT_STR(w.results[0].code, "TIMEOUT");
	teardown();
}

static void
told_of_a_first_part(void)
{
	w.dies_when_told = true;
	sent_watch(&w.rs.sent);
	part("x", "0", NULL);
	w.started[0]->on_leave(w.started[0]->self);
	answer(0, 200, "{\"id\":\"S\"}");
	EXPECT(false);
}

/* The platform has taken it, so much is known; its id went with the answer. */
TEST(killed_with_the_id_of_a_first_part)
{
	setup(false);
	run_close();
	killed_after(told_of_a_first_part);
	run_open(false);
	sent_watch(&w.rs.sent);
	part("x", "0", NULL);
	EXPECT_INT(w.nstarted, 0);
	EXPECT_STR(w.results[0].code, "TIMEOUT");
	teardown();
	/* And one that is answered, but without one. */
	setup(false);
	part("a", "0", NULL);
	answer(0, 200, "{}");
	EXPECT_STR(w.results[0].code, "TIMEOUT");
	part("b", "1", "S");
	answer(1, 200, "{}");
	EXPECT(w.results[1].ok);
	teardown();
}

TEST(a_message_waits_for_its_file)
{
	setup(false);
	w.rs.places = 1;
	ask("send", "u:A", "image", "https://x/a.png", NULL, NULL);
	EXPECT_INT(w.norders, 1);
	EXPECT_INT(w.nstarted, 0);
	EXPECT_SLICE(w.orders[0]->target, "A");
	EXPECT_SLICE(w.orders[0]->want.source, "https://x/a.png");
	reply("b", "u:B", 1); /* it takes no place meanwhile */
	EXPECT_INT(w.nstarted, 1);
	answer(0, 200, OK_BODY);
	file_is(0, RESULT_OK, "F1");
	EXPECT_INT(w.nstarted, 2);
	EXPECT(body_has(1, "{\"file_info\":\"F1\"}"));
	/* The platform does not know it any more: once more. */
	answer(1, 400, "{\"code\":304080}");
	EXPECT_INT(w.forgotten, 1);
	EXPECT_INT(w.norders, 2);
	file_is(1, RESULT_OK, "F2");
	EXPECT(body_has(2, "{\"file_info\":\"F2\"}"));
	answer(2, 400, "{\"code\":304080}");
	EXPECT_STR(w.results[1].code, "MEDIA");
	EXPECT_INT(w.norders, 2);
	ask("send", "u:A", "image", "https://x/b.png", NULL, NULL);
	file_is(2, RESULT_MEDIA, "");
	EXPECT_STR(w.results[2].code, "MEDIA");
	EXPECT_INT(w.nstarted, 3);
	ask("send", "c:A", "image", "https://x/c.png", NULL, NULL);
	file_is(3, RESULT_OK, "");
	EXPECT(body_has(3, "\"image\":\"https://x/c.png\""));
	/* One that is still waited for when we leave. */
	ask("send", "u:C", "image", "https://x/d.png", NULL, NULL);
	teardown();
	EXPECT_INT(w.cancelled, 1);
}

static bool
form_has(size_t i, const char *name)
{
	const struct http_form *f = w.started[i]->form;

	for (size_t k = 0; f != NULL && k < f->n; k++)
		if (strcmp(f->fields[k].name, name) == 0)
			return true;
	return false;
}

/* A picture of ours goes along as a form, also when the reply goes unasked. */
TEST(a_role_in_the_older_form)
{
	setup(false);
	ask("role_create", "", "guild_id", "G", "name", "n");
	EXPECT(!body_has(0, "filter"));
	answer(0, 400, "{\"code\":10013}");
	EXPECT_INT(w.nstarted, 2);
	EXPECT(body_has(1, "\"filter\":{\"name\":1}"));
	answer(1, 400, "{\"code\":10013}"); /* once */
	EXPECT_INT(w.nstarted, 2);
	EXPECT_INT(w.nresults, 1);
	ask("role_create", "", "guild_id", "H", "name", "n");
	answer(2, 403, "{\"code\":11253}"); /* that is not about its form */
	EXPECT_INT(w.nstarted, 3);
	ask("role_create", "", "guild_id", "I", "name", "n");
	answer(3, 0, ""); /* it may be there: no second one */
	EXPECT_INT(w.nstarted, 4);
	EXPECT_STR(w.results[2].code, "TIMEOUT");
	ask("channel_message_send", "", "channel_id", "C", "content", "x");
	answer(4, 400, "{\"code\":10013}");
	EXPECT_INT(w.nstarted, 5);
	teardown();
}

/* It may have been sent with the first: there is no second. */
TEST(an_unsure_message_has_no_other_file)
{
	setup(true);
	ask("send", "u:A", "image", "https://x/a.png", NULL, NULL);
	file_is(0, RESULT_OK, "F1");
	answer(0, 0, "");
	turn_until(2, 0);
	answer(1, 400, "{\"code\":304080}");
	EXPECT_INT(w.norders, 1);
	EXPECT_INT(w.nstarted, 2);
	EXPECT_STR(w.results[0].code, "TIMEOUT");
	teardown();
}

/* Other orders may join an upload, and outlive the bot that it is begun by. */
TEST(a_bot_that_goes_begins_no_upload)
{
	setup(false);
	ask("send", "u:A", "image", "https://x/a.png", NULL, NULL);
	file_is(0, RESULT_OK, "F1");
	EXPECT_INT(w.nstarted, 1);
	w.bot.leaving = true;
	requests_let_go(&w.rs, &w.bot);
	answer(0, 400, "{\"code\":304080}");
	EXPECT_INT(w.norders, 1);
	EXPECT_INT(w.nresults, 1);
	EXPECT_STR(w.results[0].code, "MEDIA");
	EXPECT(!requests_use(&w.rs, &w.bot));
	teardown();
}

TEST(a_form_in_another_form)
{
	struct media_answer a = { .result = RESULT_OK,
		.file = { .name = SLICE("a.png"), .mime = SLICE("image/png") } };
	struct buf          with = { 0 };
	struct pack         k;
	struct msg_call     m = { .id = SLICE("x"), .bot = SLICE("7"),
		.do_ = SLICE("reply"), .ev = SLICE("e"), .n = 1,
		.conv = SLICE("c:A"), .msg = SLICE("M"),
		.deadline = loop_wall_ms() + 60000 };

	setup(false);
	w.rs.expired_active = true;
	pack_open(&k, &with);
	pack_map(&k, 1);
	pack_str(&k, SLICE("image"));
	pack_str(&k, SLICE("a.png"));
	m.with = buf_slice(&with);
	requests_take(&w.rs, SLICE("p"), &m);
	turn();
	EXPECT_INT(w.norders, 1);
	a.file.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	for (size_t i = 0; i < 2; i++) {
		w.orders[i]->on_done(w.orders[i]->self, &a);
		turn();
		EXPECT_INT(w.nstarted, i + 1);
		EXPECT(form_has(i, "file_image"));
		EXPECT_INT(form_has(i, "msg_id"), i == 0);
		answer(i, i == 0 ? 400 : 200, i == 0 ? "{\"code\":304027}"
		                                     : OK_BODY);
		EXPECT_INT(w.norders, 2);
	}
	EXPECT(w.results[0].ok);
	close(a.file.fd);
	buf_free(&with);
	teardown();
}

TEST(files_by_themselves)
{
	struct fetch_answer f = { .result = RESULT_OK,
		.path = SLICE("inbox/a"), .type = SLICE("image/png"),
		.size = 7 };

	setup(false);
	ask("upload", "g:A", "source", "https://x/a.png", "type", "image");
	EXPECT_INT(w.norders, 1);
	file_is(0, RESULT_OK, "F1");
	EXPECT(w.results[0].ok);
	EXPECT(strstr(w.results[0].data, "F1") != NULL);
	w.has_token = false; /* what anybody may have needs none */
	/* As the platform's events have it now and then. */
	ask("download", "", "url", "gchat.qpic.cn/a.png", NULL, NULL);
	EXPECT_INT(w.nfetches, 1);
	EXPECT_SLICE(w.fetches[0]->url, "gchat.qpic.cn/a.png");
	w.fetches[0]->on_done(w.fetches[0]->self, &f);
	turn();
	EXPECT(w.results[1].ok);
	EXPECT(strstr(w.results[1].data, "inbox/a") != NULL);
	EXPECT_INT(w.nstarted, 0);
	EXPECT_INT(w.rs.n, 0);
	teardown();
}

/* The folder cannot be written when we start. */
TEST(starts_without_its_record)
{
	char away[sizeof dir + 8];

	setup(false);
	reply("a", "c:A", 1);
	answer(0, 200, OK_BODY);
	reply("b", "c:B", 1); /* under way when that run ends */
	w.rs.closed = true;
	run_close();
	snprintf(away, sizeof away, "%s-away", dir);
	EXPECT(rename(dir, away) == 0);
	run_open(false);
	EXPECT(!w.rs.sent.loaded);
	reply("u", "u:U", 1); /* its double would be refused */
	EXPECT_INT(w.nstarted, 1);
	reply("a", "c:A", 1);
	reply("c", "c:C", 1);
	EXPECT_INT(w.nstarted, 1);
	answer(0, 200, OK_BODY);
	EXPECT(rename(away, dir) == 0);
	turn_until(2, 2);
	EXPECT_STR(w.results[1].id, "a");
	EXPECT(w.results[1].ok);
	EXPECT(strstr(w.started[1]->url, "/C/") != NULL);
	run_close();
	run_open(false);
	reply("u", "u:U", 1); /* and it has been recorded */
	EXPECT_INT(w.nstarted, 0);
	EXPECT(w.results[0].ok);
	teardown();
}

/* MB04: each call says which bot it is for; none is anybody's by default. */
TEST(a_call_is_for_the_bot_it_names)
{
	static const char *const bots[] = { "", "8", "77", "7 " };

	setup(false);
	for (size_t i = 0; i < sizeof bots / sizeof *bots; i++) {
		struct msg_call m = { .id = SLICE("x"),
			.bot = slice_of(bots[i]), .do_ = SLICE("send"),
			.conv = SLICE("g:A"), .text = SLICE("hi") };

		requests_take(&w.rs, SLICE("p"), &m);
		turn();
		EXPECT(!w.results[i].ok);
		EXPECT_STR(w.results[i].code, "UNKNOWN_TARGET");
	}
	EXPECT_INT(w.nstarted, 0);
	EXPECT_INT(w.rs.n, 0);
	teardown();
}

TEST(leaving_with_a_call_held)
{
	setup(false);
	reply_from("p", "x", "c:A", 1, 60000);
	requests_stop(&w.rs);
	turn();
	EXPECT_INT(w.nstarted, 0);
	reply_from("p", "y", "c:A", 1, 60000);
	run_close();
	run_open(false);
	EXPECT_INT(w.rs.sent.n, 0); /* it is not in doubt */
	teardown();
}

/* Closed without having got a connection: it has surely not left. */
TEST(leaving_with_a_call_that_waits_for_a_connection)
{
	setup(false);
	reply("x", "c:A", 1);
	reply("y", "c:B", 1);
	EXPECT_INT(w.nstarted, 2);
	w.started[0]->waiting = true;
	requests_stop(&w.rs);
	run_close();
	run_open(false);
	EXPECT_INT(w.rs.sent.n, 1); /* y is in doubt, x is not */
	reply("x", "c:A", 1);
	EXPECT_INT(w.nstarted, 1);
	answer(0, 200, OK_BODY);
	EXPECT(w.results[0].ok);
	reply("y", "c:B", 1);
	EXPECT_STR(w.results[1].code, "TIMEOUT");
	teardown();
}

static void
one_goes_one_waits(void)
{
	w.rs.places = 1;
	reply("x", "c:A", 1);
	reply("y", "c:B", 1);
	EXPECT_INT(w.nstarted, 1);
}

/* What only waits for its place is in nobody's doubt. */
TEST(killed_with_a_call_that_waits_for_a_place)
{
	setup(false);
	run_close();
	killed_after(one_goes_one_waits);
	run_open(false);
	EXPECT_INT(w.rs.sent.n, 1);
	reply("x", "c:A", 1);
	EXPECT_STR(w.results[0].code, "TIMEOUT");
	reply("y", "c:B", 1);
	EXPECT_INT(w.nstarted, 1);
	answer(0, 200, OK_BODY);
	EXPECT(w.results[1].ok);
	teardown();
}

TEST(places_are_given_in_order)
{
	setup(false);
	w.rs.places = 2;
	reply("a", "u:A", 1);
	reply("b", "c:B", 1);
	reply("c", "c:C", 1);
	reply_from("p", "late", "u:D", 1, 30);
	reply("e", "g:E", 1);
	EXPECT_INT(w.nstarted, 2);
	turn_until(2, 1);
	EXPECT_STR(w.results[0].id, "late");
	EXPECT_STR(w.results[0].code, "REPLY_EXPIRED");
	answer(1, 200, OK_BODY);
	EXPECT_INT(w.nstarted, 3);
	EXPECT(strstr(w.started[2]->url, "/C/") != NULL);
	/* Without a token the line stands, and goes on with it. */
	w.has_token = false;
	answer(0, 200, OK_BODY);
	EXPECT_INT(w.nstarted, 3);
	w.has_token = true;
	requests_on_token(&w.rs, &w.bot);
	turn();
	EXPECT_INT(w.nstarted, 4);
	answer(2, 200, OK_BODY);
	answer(3, 200, OK_BODY);
	EXPECT_INT(w.nresults, 5);
	/* One that is not begun yet leaves the line with its run. */
	reply("f", "c:F", 1);
	reply("g", "c:G", 1);
	reply("h", "c:H", 1);
	teardown();
}

/* A head without its body may be that of an error with status 200; one that
 * says no needs no body. */
TEST(an_answer_that_broke_off)
{
	struct http_answer cut = { .status = 200, .reached = true,
		.why = "broke off", .err = ERR_CLOSED };

	setup(false);
	reply("u", "u:A", 1);
	w.started[0]->on_done(w.started[0]->self, &cut);
	turn();
	EXPECT_INT(w.nresults, 0);
	turn_until(2, 0);
	answer(1, 400, "{\"code\":40054005}");
	EXPECT(w.results[0].ok);
	reply("c", "c:A", 1);
	w.started[2]->on_done(w.started[2]->self, &cut);
	turn();
	EXPECT_STR(w.results[1].code, "TIMEOUT");
	reply("d", "c:B", 1);
	cut.status = 403;
	w.started[3]->on_done(w.started[3]->self, &cut);
	turn();
	EXPECT_STR(w.results[2].code, "REJECTED");
	teardown();
}

/* More than a message of ours holds would never arrive. */
TEST(an_answer_too_long_to_hand_on)
{
	struct msg_call m = { .id = SLICE("m"), .bot = SLICE("7"),
		.do_ = SLICE("me") };
	struct buf      body = { 0 };

	setup(false);
	buf_puts(&body, "{\"id\":\"1\",\"username\":\"");
	while (body.n < MSG_MAX)
		buf_puts(&body, "0123456789abcdef");
	buf_puts(&body, "\"}");
	requests_take(&w.rs, SLICE("p"), &m);
	turn();
	answer(0, 200, body.p);
	EXPECT_INT(w.nresults, 1);
	EXPECT(w.results[0].ok);
	EXPECT(!w.results[0].has_data);
	buf_free(&body);
	teardown();
}

int
main(void)
{
	RUN(one_conversation_goes_in_order);
	RUN(a_repeat_joins_then_gets_the_first_outcome);
	RUN(a_failure_may_be_tried_anew);
	RUN(unknown_outcome_of_a_channel_is_final);
	RUN(unknown_outcome_of_a_user_is_asked_again);
	RUN(waits_for_a_token_in_order);
	RUN(a_refused_token_is_renewed_and_the_call_sent_once_more);
	RUN(waits_for_a_session_where_it_is_asked_for);
	RUN(a_session_that_stays_away_holds_nothing_for_long);
	RUN(a_refusal_is_about_the_bot);
	RUN(the_platform_says_when);
	RUN(a_session_comes_back_and_nothing_may_go);
	RUN(a_bot_goes_with_a_call_under_way);
	RUN(windows_close);
	RUN(a_window_from_the_beginning_of_time);
	RUN(bounded);
	RUN(bounded_by_bytes);
	RUN(a_full_pipe_is_tried_again);
	RUN(leaving);
	RUN(every_call_gets_one_answer);
	RUN(a_push_that_is_refused_says_so);
	RUN(a_push_without_a_message_is_no_success);
	RUN(a_send_with_a_key);
	RUN(so_many_replies_to_one_message);
	RUN(a_long_line_that_is_refused);
	RUN(who_waits_for_a_review_is_told);
	RUN(waits_for_its_tokens_in_nobodys_way);
	RUN(late_in_the_line_and_then_unasked);
	RUN(tokens_come_back_to_who_sleeps);
	RUN(a_pause_is_everybodys);
	RUN(refused_markdown_and_late_replies_change_their_form_once);
	RUN(markdown_that_may_have_been_sent_stays_markdown);
	RUN(another_form_is_left_to_the_next_run);
	RUN(unsure_and_late_is_not_sent_unasked);
	RUN(sent_anew_by_the_library);
	RUN(a_part_that_is_refused_for_its_place);
	RUN(a_first_part_that_comes_twice);
	RUN(killed_with_the_id_of_a_first_part);
	RUN(a_message_waits_for_its_file);
	RUN(a_role_in_the_older_form);
	RUN(an_unsure_message_has_no_other_file);
	RUN(a_bot_that_goes_begins_no_upload);
	RUN(a_form_in_another_form);
	RUN(files_by_themselves);
	RUN(starts_without_its_record);
	RUN(a_call_is_for_the_bot_it_names);
	RUN(leaving_with_a_call_held);
	RUN(leaving_with_a_call_that_waits_for_a_connection);
	RUN(killed_with_a_call_that_waits_for_a_place);
	RUN(places_are_given_in_order);
	RUN(an_answer_that_broke_off);
	RUN(an_answer_too_long_to_hand_on);
	RUN(one_commit_for_a_turn);
	RUN(killed_in_mid_request_the_platform_tells_or_the_setting);
	RUN(killed_in_mid_request_and_the_window_is_over);
	RUN(an_outcome_that_was_told_is_known_to_the_next_run);
	RUN(an_outcome_nobody_waits_for_is_saved_soon);
	RUN(what_was_refused_is_not_in_doubt);
	RUN(without_a_record_nothing_is_sent_that_could_double);
	return test_done();
}
