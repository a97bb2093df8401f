/*
 * The configuration of the system and of each of its children.  Reads the
 * settings, hides the secrets, builds environments; starts nothing.
 */
#include "settings.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "handlers.h"
#include "log.h"
#include "vault.h"

static const char secret_name[] = "QQ_CLIENT_SECRET";
static const char secret_file_name[] = "QQ_CLIENT_SECRET_FILE";

/* What of our own environment a child sees besides its settings. */
static const char *const passed_on[] = { "PATH", "HOME", "LANG", "LC_ALL",
	"TZ" };

/* And how apid, which alone sends requests, gets out of this network. */
static const char *const proxies[] = { "https_proxy", "HTTPS_PROXY",
	"no_proxy", "NO_PROXY" };

static const struct service_kind kinds[SERVICE_IDS] = {
#define SERVICE(id, program, reader, many, retires, stop_by, meaning)        \
	{ #id, program, reader, many, retires, stop_by, SERVICE_ID_##id,     \
	  meaning },
#include "services.def"
#undef SERVICE
};

const struct service_kind *
service_kind(enum service_id id)
{
	return &kinds[id];
}

static bool
has_word(const char *words, const char *word)
{
	size_t n = strlen(word);

	while (*words != '\0') {
		size_t w = strcspn(words, " ,");

		if (w == n && memcmp(words, word, n) == 0)
			return true;
		words += w + (words[w] != '\0');
	}
	return false;
}

/* --- secrets ------------------------------------------------------------ */

static void
wipe_secrets(struct conf *c)
{
	secret_wipe(&c->qq_client_secret);
	for (size_t i = 0; i < c->nbots; i++)
		wipe_secrets(&c->bots[i]);
}

/* From the settings, and from our own memory, into a vault. */
static enum err
hide_secret(struct conf *c, int *vault)
{
	enum err e = ERR_OK;

	*vault = -1;
	if (c->qq_client_secret.n > 0)
		e = vault_seal(vault, &c->qq_client_secret);
	wipe_secrets(c);
	if (e != ERR_OK)
		log_error("config.secret", KV("err", err_name(e)),
		    KV("why", "no sealed memory to keep the app secret in"));
	return e;
}

/* The value is gone from our environment after this; so that a reload finds
 * it all the same, the environment names the vault. */
static void
hide_environment(int vault)
{
	char path[40];

	if (getenv(secret_name) == NULL)
		return;
	vault_scrub(secret_name);
	if (vault < 0)
		return;
	snprintf(path, sizeof path, "/proc/self/fd/%d", vault);
	setenv(secret_file_name, path, 1);
}

static void
close_vault(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* A reload that read the secret from our own old vault points the environment
 * at the new one. */
static void
point_at_vault(int old, int new)
{
	char        was[40], is[40];
	const char *named = getenv(secret_file_name);

	snprintf(was, sizeof was, "/proc/self/fd/%d", old);
	snprintf(is, sizeof is, "/proc/self/fd/%d", new);
	if (named != NULL && old >= 0 && new >= 0 && strcmp(named, was) == 0)
		setenv(secret_file_name, is, 1);
}

static int
named_vault(void)
{
	const char *named = getenv(secret_file_name);
	int         fd;

	return named != NULL && sscanf(named, "/proc/self/fd/%d", &fd) == 1
	    ? fd : -1;
}

int
settings_named_vault(const struct settings *s)
{
	return s->secret >= 0 && named_vault() == s->secret ? s->secret : -1;
}

void
settings_resume(struct settings *s, int given)
{
	int old = named_vault();

	if (!vault_same(given, s->secret))
		s->has_unseen = true;
	if (given != old)
		close_vault(&given);
	if (old >= 0 && old != s->secret) {
		point_at_vault(old, s->secret);
		close_vault(&old);
	}
}

/* --- which simulator, if any -------------------------------------------- */

static bool
from_default(const struct conf *c, enum conf_id id)
{
	return c->from[id] != NULL && strcmp(c->from[id], "default") == 0;
}

static bool
conf_has_bot(const struct conf *c)
{
	return c->qq_app_id[0] != '\0' || c->nbots > 0;
}

bool
settings_have_bot(const struct settings *s)
{
	return conf_has_bot(&s->conf);
}

static void
choose_sim(struct settings *s)
{
	const struct conf *c = &s->conf;
	bool               bot = conf_has_bot(c);

	s->runs_sim = s->asked_sim || has_word(c->services, "sim") ||
	    (!bot && from_default(c, CONF_ROOKERY_SERVICES));
	s->needs_sim = s->runs_sim ||
	    (!bot && (has_word(c->services, "api") ||
	                 has_word(c->services, "gateway")));
}

bool
settings_runs(const struct settings *s, enum service_id id)
{
	if (id == SERVICE_ID_sim)
		return s->runs_sim;
	return has_word(s->conf.services, kinds[id].name);
}

static bool
reads_bot(enum service_id id)
{
	return id == SERVICE_ID_api || id == SERVICE_ID_gateway;
}

bool
settings_know(const struct settings *s, enum service_id id)
{
	return !reads_bot(id) || !s->needs_sim || s->has_sim;
}

bool
settings_sim_is_there(const struct settings *s)
{
	return access(s->sim_env, R_OK) == 0;
}

enum err
settings_load_sim(struct settings *s, bool *secret_changed)
{
	struct conf sim;
	int         vault = -1;
	enum err    e;

	if ((e = conf_load_file(&sim, CONF_S, s->sim_env)) != ERR_OK) {
		conf_log_problems(&sim);
		log_error("sim.env", KV("file", s->sim_env),
		    KV("err", err_name(e)));
	} else {
		e = hide_secret(&sim, &vault);
	}
	if (e != ERR_OK) {
		conf_free(&sim);
		return e;
	}
	*secret_changed = s->has_sim && !vault_same(s->sim_secret, vault);
	if (s->has_sim)
		conf_free(&s->sim);
	close_vault(&s->sim_secret);
	s->sim = sim;
	s->sim_secret = vault;
	s->has_sim = true;
	return ERR_OK;
}

/* --- open, reload, close ------------------------------------------------ */

/* FNV-1a: two systems with one configuration have one number. */
static uint64_t
hash_of(const struct conf *c, uint64_t hash)
{
	for (size_t i = 0; i < CONF_COUNT; i++) {
		char *value = conf_value(c, (enum conf_id)i);

		for (const char *p = value; p != NULL && *p != '\0'; p++)
			hash = (hash ^ (unsigned char)*p) * 1099511628211u;
		hash = (hash ^ 0xff) * 1099511628211u;
		free(value);
	}
	for (size_t i = 0; i < c->nbots; i++)
		if (c->bots[i].bot_name[0] != '\0')
			hash = hash_of(&c->bots[i], hash);
	return hash;
}

static char *
sim_env_path(const struct conf *c)
{
	char *path;
	int   n;

	n = c->sim_dir[0] != '\0'
	    ? asprintf(&path, "%s/sim.env", c->sim_dir)
	    : asprintf(&path, "%s/sim/sim.env", c->state_dir);
	return n < 0 ? NULL : path;
}

/* Of the handlers: the first in words, and how many. */
struct told {
	struct buf first;
	size_t     n;
};

static void
on_problem(void *self, const char *where, const char *value, const char *why,
    const char *remedy)
{
	struct told *told = self;

	log_error("config.bad", KV("setting", where), KV("value", value),
	    KV("why", why), KV("remedy", remedy));
	if (told->n++ == 0)
		buf_putf(&told->first, "%s: %s%s%s: %s", where, value,
		    value[0] != '\0' ? " " : "", why, remedy);
}

static void
on_nothing(void *self, const char *where, const char *value, const char *why,
    const char *remedy)
{
	(void)self, (void)where, (void)value, (void)why, (void)remedy;
}

static void
note_handlers(struct settings *s, const struct handlers *all)
{
	snprintf(s->handlers_print, sizeof s->handlers_print, "%016llx",
	    (unsigned long long)handlers_print(all));
}

/* At the start the worker itself says what is wrong with them. */
static void
look_at_handlers(struct settings *s)
{
	struct handlers all;

	if (handlers_load(&all, &s->conf, on_nothing, NULL) != ERR_OK)
		return;
	note_handlers(s, &all);
	handlers_free(&all);
}

/* With a problem in them they are part of what is not taken; where no worker
 * runs they need not be there. */
static enum err
take_handlers(struct settings *s, const struct conf *fresh)
{
	struct handlers all = { 0 };
	struct told     told = { 0 };
	enum err        e;

	if (strstr(fresh->services, "worker") == NULL)
		return ERR_OK;
	e = handlers_load(&all, fresh, on_problem, &told);
	if (e == ERR_OK)
		e = handlers_check(&all, fresh, on_problem, &told);
	if (e == ERR_OK)
		note_handlers(s, &all);
	if (told.n > 1)
		buf_putf(&told.first, " (and %zu more)", told.n - 1);
	if (told.first.n > 0)
		settings_note_trouble(s, told.first.p);
	buf_free(&told.first);
	handlers_free(&all);
	return e;
}

enum err
settings_open(struct settings *s, bool asked_sim)
{
	enum err e;

	*s = (struct settings){ .secret = -1, .sim_secret = -1,
		.was_secret = -1, .asked_sim = asked_sim };
	e = conf_load(&s->conf, CONF_S);
	if (e == ERR_CONFIG)
		conf_log_problems(&s->conf);
	if (e != ERR_OK || (e = hide_secret(&s->conf, &s->secret)) != ERR_OK)
		return e;
	hide_environment(s->secret);
	s->hash = hash_of(&s->conf, 14695981039346656037u);
	choose_sim(s);
	look_at_handlers(s);
	s->sim_env = sim_env_path(&s->conf);
	return s->sim_env != NULL ? ERR_OK : ERR_NOMEM;
}

void
settings_close(struct settings *s)
{
	if (s->has_sim)
		conf_free(&s->sim);
	conf_free(&s->conf);
	free(s->sim_env);
	settings_keep(s);
	buf_free(&s->trouble);
	close_vault(&s->secret);
	close_vault(&s->sim_secret);
}

void
settings_keep(struct settings *s)
{
	if (s->has_was)
		conf_free(&s->was);
	close_vault(&s->was_secret);
	s->has_was = false;
}

/* One reload upon another: the configuration that is known to be good stays
 * the one to go back to. */
static void
put_aside(struct settings *s)
{
	if (s->has_was) {
		conf_free(&s->conf);
		close_vault(&s->secret);
		return;
	}
	s->was = s->conf;
	s->was_secret = s->secret;
	s->has_was = true;
}

static void
swap(char **a, char **b)
{
	char *was = *a;

	*a = *b;
	*b = was;
}

/* The lock and the status socket are there, and the children meet there. */
static void
keep_run_dir(struct conf *old, struct conf *fresh)
{
	enum conf_id id = CONF_ROOKERY_RUN_DIR;

	if (strcmp(old->run_dir, fresh->run_dir) == 0)
		return;
	log_warn("config.kept", KV("setting", conf_info(id)->name),
	    KV("value", old->run_dir),
	    KV("why", "another run folder needs another start"));
	swap(&old->run_dir, &fresh->run_dir);
	swap(&old->from[id], &fresh->from[id]);
}

void
settings_note_trouble(struct settings *s, const char *why)
{
	buf_reset(&s->trouble);
	buf_putf(&s->trouble, "%s; the configuration before it stays in force: "
	    "correct it, then rookery reload", why);
}

static void
note_problems(struct settings *s, const struct conf *fresh)
{
	struct buf why = { 0 };

	conf_tell_problem(fresh, &why);
	if (why.n > 0)
		settings_note_trouble(s, why.p);
	buf_free(&why);
}

enum err
settings_reload(struct settings *s, bool *secret_changed)
{
	struct conf fresh;
	int         vault = -1;
	char       *path = NULL;
	enum err    e = conf_load(&fresh, CONF_S);

	if (e == ERR_CONFIG) {
		conf_log_problems(&fresh);
		note_problems(s, &fresh);
	}
	if (e == ERR_OK && (path = sim_env_path(&fresh)) == NULL)
		e = ERR_NOMEM;
	if (e == ERR_OK)
		e = take_handlers(s, &fresh);
	if (e == ERR_OK)
		e = hide_secret(&fresh, &vault);
	if (e != ERR_OK) {
		free(path);
		conf_free(&fresh);
		return e;
	}
	buf_reset(&s->trouble);
	keep_run_dir(&s->conf, &fresh);
	*secret_changed = s->has_unseen || !vault_same(s->secret, vault);
	s->has_unseen = false;
	free(s->sim_env);
	s->sim_env = path;
	point_at_vault(s->secret, vault);
	put_aside(s);
	s->conf = fresh;
	s->secret = vault;
	s->hash = hash_of(&s->conf, 14695981039346656037u);
	choose_sim(s);
	return ERR_OK;
}

void
settings_take_back(struct settings *s, bool *secret_changed)
{
	char *path = s->has_was ? sim_env_path(&s->was) : NULL;

	if (path == NULL)
		return;
	free(s->sim_env);
	s->sim_env = path;
	*secret_changed = !vault_same(s->secret, s->was_secret);
	point_at_vault(s->secret, s->was_secret);
	close_vault(&s->secret);
	conf_free(&s->conf);
	s->conf = s->was;
	s->secret = s->was_secret;
	s->was_secret = -1;
	s->has_was = false;
	s->hash = hash_of(&s->conf, 14695981039346656037u);
	choose_sim(s);
}

/* --- a child's environment ---------------------------------------------- */

/* The simulator's word counts for what belongs to a bot, but which events it
 * is asked for, and by how many sessions, stays a wish of ours. */
static const struct conf *
source_of(const struct settings *s, enum conf_id id)
{
	bool wish = id == CONF_QQ_INTENTS || id == CONF_QQ_SHARDS;

	if (!s->needs_sim || !s->has_sim)
		return &s->conf;
	if (s->sim.from[id] != NULL &&
	    strcmp(s->sim.from[id], s->sim_env) == 0)
		return &s->sim;
	return (conf_info(id)->readers & CONF_B) && !wish ? &s->sim : &s->conf;
}

static void
put_pair(struct buf *env, const char *name, const char *value)
{
	buf_putf(env, "%s=%s", name, value);
	buf_put(env, (struct slice){ "", 1 });
}

static bool
is_ours_to_set(enum conf_id id)
{
	return id == CONF_ROOKERY_CHILD_FD || id == CONF_ROOKERY_CHILD_NAME ||
	    id == CONF_ROOKERY_CHILD_KEPT || id == CONF_ROOKERY_ENV_FILE ||
	    id == CONF_ROOKERY_HANDLERS_PRINT ||
	    id == CONF_QQ_CLIENT_SECRET;
}

static void
put_setting(const struct settings *s, enum service_id service,
    enum conf_id id, struct buf *env)
{
	const struct conf_info *info = conf_info(id);
	const struct conf      *from = source_of(s, id);
	char                   *value;

	if (!(info->readers & kinds[service].reader) || is_ours_to_set(id))
		return;
	/* The simulator makes credentials of its own: real ones would end up
	 * in its files. */
	if (service == SERVICE_ID_sim && (info->readers & CONF_B))
		return;
	if (id == CONF_ROOKERY_BOTS_DIR && s->needs_sim) {
		put_pair(env, info->name, "/dev/null");
		return;
	}
	if (from_default(from, id))
		return;
	if ((value = conf_value(from, id)) == NULL)
		env->failed = true;
	else
		put_pair(env, info->name, value);
	free(value);
}

int
settings_vault(const struct settings *s, enum service_id id)
{
	if (id != SERVICE_ID_api)
		return -1;
	return s->needs_sim ? s->sim_secret : s->secret;
}

/* For a program that knows sd_notify(3) and not our messages. */
static void
put_notify(const struct settings *s, struct buf *env)
{
	char *path = conf_path(s->conf.run_dir, "notify.sock");
	char *full = path != NULL ? realpath(path, NULL) : NULL;
	char  text[32];

	if (full != NULL)
		put_pair(env, "NOTIFY_SOCKET", full);
	free(full);
	free(path);
	if (s->conf.watchdog_ms == 0)
		return;
	snprintf(text, sizeof text, "%llu",
	    (unsigned long long)s->conf.watchdog_ms * 1000);
	put_pair(env, "WATCHDOG_USEC", text);
}

static void
pass_on(const char *const *names, size_t n, struct buf *env)
{
	for (size_t i = 0; i < n; i++)
		if (getenv(names[i]) != NULL)
			put_pair(env, names[i], getenv(names[i]));
}

void
settings_environment(const struct settings *s, enum service_id service,
    const char *child_name, int socket_fd, int secret_fd, struct buf *env)
{
	char text[40];

	pass_on(passed_on, sizeof passed_on / sizeof *passed_on, env);
	if (service == SERVICE_ID_api)
		pass_on(proxies, sizeof proxies / sizeof *proxies, env);
	for (size_t i = 0; i < CONF_COUNT; i++)
		put_setting(s, service, (enum conf_id)i, env);
	/* Everything is said here: a child reads no file of settings. */
	put_pair(env, "ROOKERY_ENV_FILE", "");
	put_pair(env, "ROOKERY_CHILD_NAME", child_name);
	if (service == SERVICE_ID_worker)
		put_pair(env, "ROOKERY_HANDLERS_PRINT", s->handlers_print);
	snprintf(text, sizeof text, "%d", socket_fd);
	put_pair(env, "ROOKERY_CHILD_FD", text);
	put_notify(s, env);
	if (secret_fd < 0)
		return;
	snprintf(text, sizeof text, "/proc/self/fd/%d", secret_fd);
	put_pair(env, secret_file_name, text);
}

char *
settings_chat_url(const struct settings *s)
{
	char        host[128];
	unsigned    port;
	const char *base;
	size_t      n;
	char       *url;

	if (!s->runs_sim || !s->has_sim)
		return NULL;
	/* Where it listens everywhere, its name may be known to other
	 * containers only; its port is published on loopback. */
	if (conf_listen(s->conf.sim_listen, host, sizeof host, &port) &&
	    port != 0 && (host[0] == '\0' || strcmp(host, "0.0.0.0") == 0))
		return asprintf(&url, "http://127.0.0.1:%u/", port) < 0 ? NULL
		                                                        : url;
	base = conf_api_url(&s->sim);
	n = strlen(base);
	while (n > 0 && base[n - 1] == '/')
		n--;
	return asprintf(&url, "%.*s/", (int)n, base) < 0 ? NULL : url;
}
