/*
 * The bots: which there are, and how many sessions each has.  Links never
 * move: they are in arrays made for as many as there can be, and an array is
 * freed when nothing of it is under way any more.
 */
#include "gateway.h"

#include <sys/mman.h>

#include <stdio.h>
#include <stdlib.h>

#include "log.h"

enum {
	SHARDS_MAX = 64,
	ASK_EVERY_MS = 3600 * 1000,   /* how many shards there are */
	OVERLAP_MS = 2000,            /* old sessions beside live ones */
	OVERLAP_MAX_MS = 600 * 1000,  /* ... that do not come to rest */
};

struct bot *
bots_find(struct gateway *g, struct slice app)
{
	for (size_t b = 0; b < g->nbots; b++)
		if (slice_is(app, g->bots[b]->conf.qq_app_id))
			return g->bots[b];
	return NULL;
}

struct link *
bot_link(const struct bot *bot, size_t i)
{
	if (i < bot->nlinks)
		return &bot->links[i];
	i -= bot->nlinks;
	return i < bot->nold ? &bot->old[i] : NULL;
}

struct link *
link_each(struct gateway *g, struct link_at *at)
{
	struct link *l;

	for (; at->bot < g->nbots; at->bot++, at->i = 0)
		if ((l = bot_link(g->bots[at->bot], at->i)) != NULL) {
			at->i++;
			return l;
		}
	return NULL;
}

/* --- shards --------------------------------------------------------------- */

static const size_t links_bytes = SHARDS_MAX * sizeof(struct link);

/* Straight from the system: what is not used of it takes no memory, and most
 * bots have one session.  NULL when there is none. */
static struct link *
make_links(void)
{
	void *links = mmap(NULL, links_bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return links != MAP_FAILED ? links : NULL;
}

static void
free_links(struct link **links, size_t n)
{
	for (size_t i = 0; i < n; i++)
		link_free(&(*links)[i]);
	if (*links != NULL)
		munmap(*links, links_bytes);
	*links = NULL;
}

static void
forget_old(struct bot *bot)
{
	if (bot->nold == 0)
		return;
	for (size_t i = 0; i < bot->nold; i++)
		link_tell(&bot->old[i], IN_STOP, 1);
	free_links(&bot->old, bot->nold);
	bot->nold = 0;
	bot->forget = true;
}

static enum err
new_links(struct gateway *g, struct bot *bot, unsigned shards)
{
	bot->links = make_links();
	bot->nlinks = 0;
	if (bot->links == NULL)
		return ERR_NOMEM;
	for (; bot->nlinks < shards; bot->nlinks++)
		link_init(&bot->links[bot->nlinks], g, bot,
		    (unsigned)bot->nlinks, shards);
	return ERR_OK;
}

static bool
is_started(const struct gateway *g)
{
	return g->opened_ms != 0 && !g->draining;
}

/* No session knows of a number yet. */
static void
resize(struct bot *bot, unsigned shards)
{
	struct gateway *g = bot->links[0].g;
	bool            started = is_started(g);
	size_t          had = bot->nlinks;

	for (size_t i = 0; i < had; i++) {
		struct link *l = &bot->links[i];

		l->session.shards = shards;
		snprintf(l->name, sizeof l->name, "%zu/%u", i, shards);
		if (i >= shards) {
			link_tell(l, IN_STOP, 1);
			link_free(l);
		} else if (l->session.state == SESSION_IDENTIFYING)
			link_tell(l, IN_ANEW, 0); /* it has said the other */
	}
	for (size_t i = had; i < shards; i++)
		link_init(&bot->links[i], g, bot, (unsigned)i, shards);
	bot->nlinks = shards;
	for (size_t i = had; started && i < shards; i++)
		link_tell(&bot->links[i], IN_START, 0);
}

static size_t
count_sessions(const struct link *links, size_t n)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += links[i].session.id[0] != '\0';
	return count;
}

static bool
has_session(const struct bot *bot)
{
	return count_sessions(bot->links, bot->nlinks) > 0;
}

/* Of two sets the one that has lost less serves on; of equals the elder. */
static void
make_old(struct bot *bot, struct link *links, size_t n)
{
	if (bot->nold == 0 ||
	    count_sessions(links, n) > count_sessions(bot->old, bot->nold)) {
		forget_old(bot);
		bot->old = links;
		bot->nold = n;
		bot->old_ms = loop_clock_ms();
		for (size_t i = 0; i < n; i++)
			link_leave(&links[i]);
		return;
	}
	for (size_t i = 0; i < n; i++)
		link_tell(&links[i], IN_STOP, 1);
	free_links(&links, n);
}

/* The old sessions serve until all the new ones do: an event that comes to
 * both is one event, and none comes to nobody.  The new ones begin once the
 * old ones are live: where the number is the same, the platform ends each of
 * these in favour of the new one, and what it kept for it with it. */
static void
replace(struct bot *bot, unsigned shards)
{
	struct gateway *g = bot->links[0].g;
	struct link    *links = bot->links;
	size_t          n = bot->nlinks;

	if (new_links(g, bot, shards) != ERR_OK) {
		bot->links = links;
		bot->nlinks = n;
		return; /* the next answer, or reload, tells it again */
	}
	make_old(bot, links, n);
	bot->looking = false;
}

void
bots_look(struct bot *bot)
{
	bots_renew(bot);
	bot->looking = bot->nold > 0;
}

void
bots_renew(struct bot *bot)
{
	if (has_session(bot)) {
		replace(bot, (unsigned)bot->nlinks);
		return;
	}
	for (size_t i = 0; i < bot->nlinks; i++)
		link_tell(&bot->links[i], IN_ANEW, 0);
}

static void
set_shards(struct bot *bot, unsigned shards)
{
	if (bot->nlinks == 0 || shards == bot->nlinks)
		return;
	log_info("session.shards", KV("bot", bot->conf.qq_app_id),
	    KV("from", bot->nlinks), KV("shards", shards));
	if (has_session(bot))
		replace(bot, shards);
	else
		resize(bot, shards);
}

void
bots_shards(struct bot *bot, uint64_t suggested)
{
	bot->asked_ms = loop_clock_ms();
	if (!bot->auto_shards || suggested == 0 || suggested > SHARDS_MAX)
		return;
	bot->suggested = (unsigned)suggested;
	if (bot->nold > 0 && has_session(bot))
		return; /* one change at a time; it is asked again */
	set_shards(bot, (unsigned)suggested);
}

/* --- sessions of an earlier run ------------------------------------------- */

/* Other settings, or we ended while it was being replaced. */
static bool
recall_old(struct bot *bot, const struct session_memory *m, int64_t wall_ms)
{
	struct gateway *g = bot->links[0].g;
	struct link    *l;

	if (m->shards == 0 || m->shards > SHARDS_MAX ||
	    m->shard >= m->shards ||
	    (bot->nold > 0 && bot->nold != m->shards))
		return false;
	if (bot->nold == 0) {
		if ((bot->old = make_links()) == NULL)
			return false;
		bot->old_ms = loop_clock_ms();
		for (; bot->nold < m->shards; bot->nold++) {
			l = &bot->old[bot->nold];
			link_init(l, g, bot, (unsigned)bot->nold, m->shards);
			link_leave(l);
		}
	}
	l = &bot->old[m->shard];
	l->session.intents = m->intents;
	bot->rights.granted |= m->intents & bot->rights.wanted;
	return session_recall(&l->session, m, wall_ms, g->conf.resume_s);
}

bool
bots_recall(struct gateway *g, const struct session_memory *m, int64_t wall_ms)
{
	struct bot *bot = bots_find(g, slice_of(m->bot));

	if (bot == NULL || bot->nlinks == 0 ||
	    !session_memory_good(m, wall_ms, g->conf.resume_s))
		return false;
	/* The memory says it before the platform does: all come back at
	 * once. */
	if (bot->auto_shards && m->shards > bot->nlinks &&
	    m->shards <= SHARDS_MAX && !has_session(bot))
		resize(bot, m->shards);
	return (m->shard < bot->nlinks &&
	           session_recall(&bot->links[m->shard].session, m, wall_ms,
	               g->conf.resume_s)) ||
	    recall_old(bot, m, wall_ms);
}

/* --- once in a while ------------------------------------------------------ */

/* For a moment, so that what was sent to the old ones before has come. */
static bool
is_taken_over(const struct bot *bot, uint64_t now)
{
	for (size_t i = 0; i < bot->nlinks; i++)
		if (bot->links[i].session.state != SESSION_LIVE ||
		    now - bot->links[i].session.since_ms < OVERLAP_MS)
			return false;
	return true;
}

/* What was kept for it while it was away, or has not been read, is not lost
 * with it; but it is not waited for without end. */
static bool
may_go(const struct link *old)
{
	const struct session *s = &old->session;

	return s->state == SESSION_IDLE ||
	    (s->state == SESSION_LIVE && !s->held);
}

static void
end_overlap(struct bot *bot, uint64_t now)
{
	bool over = is_taken_over(bot, now);

	for (size_t i = 0; i < bot->nold; i++)
		over &= may_go(&bot->old[i]) ||
		    now - bot->old_ms >= OVERLAP_MAX_MS;
	if (over)
		forget_old(bot);
}

/* Nothing more than before is allowed: the old ones go on. */
static bool
is_in_vain(const struct bot *bot)
{
	if (!bot->looking || rights_searching(&bot->rights) ||
	    has_session(bot) || bot->nold != bot->nlinks)
		return false;
	for (size_t i = 0; i < bot->nold; i++)
		if (bot->old[i].session.id[0] == '\0' ||
		    bot->old[i].session.intents != rights_mask(&bot->rights))
			return false;
	return true;
}

static void
take_back(struct bot *bot)
{
	free_links(&bot->links, bot->nlinks);
	bot->links = bot->old;
	bot->old = NULL;
	bot->nold = 0;
	for (size_t i = 0; i < bot->nlinks; i++)
		link_stay(&bot->links[i]);
}

static bool
are_ready(const struct bot *bot)
{
	for (size_t i = 0; i < bot->nold; i++)
		if (bot->old[i].session.id[0] != '\0' &&
		    bot->old[i].session.state != SESSION_LIVE)
			return false;
	return true;
}

static void
settle(struct bot *bot)
{
	bool begin = are_ready(bot);

	if (count_sessions(bot->old, bot->nold) == 0)
		forget_old(bot);
	else if (is_in_vain(bot))
		take_back(bot);
	for (size_t i = 0; begin && i < bot->nlinks; i++)
		if (bot->links[i].session.state == SESSION_IDLE)
			link_tell(&bot->links[i], IN_START, 0);
}

void
bots_settle(struct gateway *g)
{
	for (size_t b = 0; b < g->nbots; b++)
		if (g->bots[b]->nold > 0 && is_started(g))
			settle(g->bots[b]);
}

void
bots_tick(struct gateway *g)
{
	uint64_t now = loop_clock_ms();

	for (size_t b = 0; b < g->nbots; b++) {
		struct bot *bot = g->bots[b];

		if (bot->nold > 0)
			end_overlap(bot, now);
		if (bot->auto_shards && bot->nlinks > 0 &&
		    bot->links[0].session.state == SESSION_LIVE &&
		    now - bot->asked_ms >= ASK_EVERY_MS) {
			bot->asked_ms = now;
			link_ask(&bot->links[0]);
		}
	}
}

/* --- one bot -------------------------------------------------------------- */

static unsigned
shards_of(const struct conf *c)
{
	unsigned long long n = 1;

	slice_u64(slice_of(c->qq_shards), &n); /* auto: 1, until it is told */
	return n >= 1 && n <= SHARDS_MAX ? (unsigned)n : 1;
}

static void
take_conf(struct bot *bot)
{
	const struct conf *c = &bot->conf;

	bot->auto_shards = strcmp(c->qq_shards, "auto") == 0;
	bot->rights.strict = c->intents_strict;
}

static void
bot_free(struct bot *bot)
{
	free_links(&bot->links, bot->nlinks);
	free_links(&bot->old, bot->nold);
	buf_free(&bot->remedy);
	conf_free(&bot->conf);
	free(bot);
}

/* Takes the settings. */
static enum err
add(struct gateway *g, struct conf *c)
{
	struct bot         *bot = calloc(1, sizeof *bot), **bots;
	struct webhook_bot *hooks;
	enum err            e = ERR_OK;

	bots = realloc(g->bots, (g->nbots + 1) * sizeof *bots);
	if (bots != NULL)
		g->bots = bots;
	hooks = realloc(g->webhook_bots, (g->nbots + 1) * sizeof *hooks);
	if (hooks != NULL)
		g->webhook_bots = hooks;
	if (bot == NULL || bots == NULL || hooks == NULL) {
		free(bot);
		return ERR_NOMEM;
	}
	bot->conf = *c;
	*c = (struct conf){ 0 };
	take_conf(bot);
	if (!conf_intents(bot->conf.qq_intents, &bot->rights.wanted, NULL))
		e = ERR_CONFIG;
	else if (g->conf.websocket)
		e = new_links(g, bot, shards_of(&bot->conf));
	if (e != ERR_OK) {
		bot_free(bot);
		return e;
	}
	g->bots[g->nbots] = bot;
	g->webhook_bots[g->nbots] = (struct webhook_bot){
		.app_id = bot->conf.qq_app_id };
	g->nbots++;
	return ERR_OK;
}

/* What waits of it goes to the dead letters, and can be tried again from there
 * when the bot is back. */
static void
drop(struct gateway *g, size_t b)
{
	struct bot *bot = g->bots[b];

	log_info("bot.removed", KV("bot", bot->conf.qq_app_id),
	    KV("events", delivery_owner_info(g->delivery,
	        slice_of(bot->conf.qq_app_id)).events));
	for (size_t i = 0; i < bot->nlinks; i++)
		link_tell(&bot->links[i], IN_STOP, 1);
	forget_old(bot);
	delivery_owner(g->delivery, slice_of(bot->conf.qq_app_id), false);
	signature_key_free(&g->webhook_bots[b].key);
	if (g->journal != NULL)
		keep_note(g, journal_forget_sessions(g->journal,
		    bot->conf.qq_app_id));
	g->nbots--;
	memmove(&g->bots[b], &g->bots[b + 1],
	    (g->nbots - b) * sizeof *g->bots);
	memmove(&g->webhook_bots[b], &g->webhook_bots[b + 1],
	    (g->nbots - b) * sizeof *g->webhook_bots);
	bot_free(bot);
}

static bool
same(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* fresh: taken, or left to its owner. */
static void
change(struct gateway *g, size_t b, struct conf *fresh)
{
	struct bot  *bot = g->bots[b];
	struct conf  was = bot->conf;
	struct link *l;
	bool intents = !same(was.qq_intents, fresh->qq_intents) ||
	    was.intents_strict != fresh->intents_strict;
	bool shards = !same(was.qq_shards, fresh->qq_shards);
	bool place = !same(was.qq_api_url, fresh->qq_api_url) ||
	    !same(was.qq_gateway_url, fresh->qq_gateway_url) ||
	    was.qq_sandbox != fresh->qq_sandbox;

	if (!intents && !shards && !place) {
		bot->conf.bot_name = fresh->bot_name; /* it may be renamed */
		fresh->bot_name = was.bot_name;
		return;
	}
	log_info("bot.changed", KV("bot", was.qq_app_id),
	    KV("intents", intents), KV("shards", shards), KV("place", place));
	bot->conf = *fresh;
	*fresh = (struct conf){ 0 };
	for (size_t i = 0; (l = bot_link(bot, i)) != NULL; i++)
		l->session.bot = bot->conf.qq_app_id;
	g->webhook_bots[b].app_id = bot->conf.qq_app_id;
	conf_free(&was);
	if (intents) {
		uint32_t had = bot->nlinks > 0 && has_session(bot)
		    ? bot->links[0].session.intents : 0;

		bot->rights = (struct rights){ 0 };
		conf_intents(bot->conf.qq_intents, &bot->rights.wanted, NULL);
		bot->rights.granted = had & bot->rights.wanted;
		buf_reset(&bot->remedy);
	}
	take_conf(bot);
	for (size_t i = 0; (l = bot_link(bot, i)) != NULL; i++)
		l->session.auto_shards = bot->auto_shards;
	if (shards && !bot->auto_shards)
		set_shards(bot, shards_of(&bot->conf));
	else if (shards && bot->nlinks > 0)
		link_ask(&bot->links[0]);
	if ((intents || place) && bot->nlinks > 0)
		bots_renew(bot);
}

/* --- all ------------------------------------------------------------------ */

static struct conf *
conf_of(struct conf *c, const char *app)
{
	for (size_t i = 0; i < c->nbots; i++)
		if (c->bots[i].qq_app_id != NULL &&
		    same(c->bots[i].qq_app_id, app))
			return &c->bots[i];
	return NULL;
}

static void
add_new(struct gateway *g, struct conf *c)
{
	struct bot *bot;

	if (add(g, c) != ERR_OK)
		return;
	bot = g->bots[g->nbots - 1];
	log_info("bot.added", KV("bot", bot->conf.qq_app_id),
	    KV("file", bot->conf.bot_name));
	delivery_owner(g->delivery, slice_of(bot->conf.qq_app_id), true);
	if (g->journal == NULL)
		return; /* its sessions begin with the others' */
	keep_recall_bot(g, bot);
	for (size_t i = 0; i < bot->nlinks; i++)
		link_tell(&bot->links[i], IN_START, 0);
}

void
bots_reload(struct gateway *g)
{
	struct conf fresh;
	enum err    e = conf_load(&fresh, CONF_G);

	if (e != ERR_OK) {
		conf_log_problems(&fresh);
		log_error("bots.kept", KV("err", err_name(e)),
		    KV("why", "the settings have problems; the bots stay as "
		              "they are"),
		    KV("remedy", "correct them, then rookery reload"));
		conf_free(&fresh);
		return;
	}
	for (size_t b = g->nbots; b-- > 0;) {
		struct conf *c = conf_of(&fresh, g->bots[b]->conf.qq_app_id);

		if (c == NULL)
			drop(g, b);
		else
			change(g, b, c);
	}
	for (size_t i = 0; i < fresh.nbots; i++)
		if (fresh.bots[i].qq_app_id != NULL &&
		    bots_find(g, slice_of(fresh.bots[i].qq_app_id)) == NULL)
			add_new(g, &fresh.bots[i]);
	conf_free(&fresh);
	for (size_t b = 0; b < g->nbots; b++)
		if (g->bots[b]->auto_shards && g->bots[b]->nlinks > 0)
			link_ask(&g->bots[b]->links[0]);
	intake_ask_keys(g);
	handout_soon(g);
}

enum err
bots_open(struct gateway *g)
{
	enum err e = ERR_OK;

	if (g->conf.nbots == 0) {
		log_error("config.bad", KV("setting", "QQ_APP_ID"),
		    KV("why", "is missing"),
		    KV("remedy", "set it, or start rookery up --sim"));
		return ERR_CONFIG;
	}
	for (size_t i = 0; i < g->conf.nbots && e == ERR_OK; i++)
		e = add(g, &g->conf.bots[i]);
	return e;
}

void
bots_close(struct gateway *g)
{
	for (size_t b = 0; b < g->nbots; b++) {
		signature_key_free(&g->webhook_bots[b].key);
		bot_free(g->bots[b]);
	}
	g->nbots = 0;
	free(g->bots);
	free(g->webhook_bots);
}
