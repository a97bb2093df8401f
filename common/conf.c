/*
 * The reader of settings: .env and the environment, against the table.
 */
#include "conf.h"

#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "buf.h"
#include "log.h"

enum { FILE_MAX_BYTES = 1 << 20, LINES_MAX = 4096, WHERE_MAX = PATH_MAX };

/* Short names for the table's readers column. */
#define S CONF_S
#define G CONF_G
#define A CONF_A
#define W CONF_W
#define C CONF_C
#define Q CONF_Q
#define B CONF_B
#define N CONF_N
static const struct conf_info infos[CONF_COUNT] = {
#define CONF(type, NAME, member, fallback, min, max, check, readers, meaning) \
	{ #type, #NAME, fallback, #check, meaning, min, max, readers,        \
	  offsetof(struct conf, member) },
#include "conf.def"
#undef CONF
};
#undef S
#undef G
#undef A
#undef W
#undef C
#undef Q
#undef B
#undef N

const struct conf_info *
conf_info(enum conf_id id)
{
	return &infos[id];
}

/* --- .env ----------------------------------------------------------------- */

struct pair {
	char    *name, *value;
	unsigned line;
};

struct env {
	struct pair *pairs;
	size_t       n;
	const char  *file;
};

static void
wipe_free(char *p)
{
	if (p != NULL)
		explicit_bzero(p, strlen(p));
	free(p);
}

static void
env_free(struct env *env)
{
	for (size_t i = 0; i < env->n; i++) {
		free(env->pairs[i].name);
		wipe_free(env->pairs[i].value); /* may be a secret */
	}
	free(env->pairs);
	*env = (struct env){ 0 };
}

static void problem(struct conf *, const char *name, const char *value,
    const char *why, const char *remedy);
static void unreadable(struct conf *, const char *name, const char *path,
    enum err, const char *where, const char *remedy);

/* The whole file; NOT_FOUND, TOO_LARGE, SYNTAX, SYSTEM.  The caller's to
 * wipe. */
static enum err
read_file(const char *path, char **text)
{
	FILE    *f = fopen(path, "re");
	char    *p;
	size_t   n;
	enum err e = ERR_OK;

	*text = NULL;
	if (f == NULL)
		return errno == ENOENT ? ERR_NOT_FOUND : ERR_SYSTEM;
	/* No buffer of stdio's: it would keep a copy of a secret. */
	setvbuf(f, NULL, _IONBF, 0);
	if ((p = calloc(1, FILE_MAX_BYTES + 1)) == NULL) {
		fclose(f);
		return ERR_NOMEM;
	}
	n = fread(p, 1, FILE_MAX_BYTES, f);
	if (ferror(f))
		e = ERR_SYSTEM;
	else if (n == FILE_MAX_BYTES)
		e = ERR_TOO_LARGE;
	else if (memchr(p, '\0', n) != NULL)
		e = ERR_SYNTAX; /* what follows it would be lost in silence */
	fclose(f);
	if (e == ERR_OK && (*text = slice_dup((struct slice){ p, n })) == NULL)
		e = ERR_NOMEM;
	explicit_bzero(p, n);
	free(p);
	return e;
}

static bool
name_char(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	    (c >= '0' && c <= '9') || c == '_';
}

/* The value as a shell would see it: 'as is', "with \n \" \\ $ escapes", or
 * plain up to a blank and a #. */
static bool
unquote(struct slice in, struct buf *out)
{
	char   quote = in.n > 0 ? in.p[0] : '\0';
	size_t i = 1;

	if (quote != '\'' && quote != '"') {
		for (size_t h = 1; h < in.n; h++)
			if (in.p[h] == '#' &&
			    (in.p[h - 1] == ' ' || in.p[h - 1] == '\t'))
				in.n = h;
		if (quote != '#')
			buf_put(out, slice_trim(in));
		return true;
	}
	for (; i < in.n && in.p[i] != quote; i++) {
		char c = in.p[i];

		if (quote == '"' && c == '\\' && i + 1 < in.n) {
			c = in.p[++i];
			c = c == 'n' ? '\n' : c == 't' ? '\t' : c;
		}
		buf_put(out, (struct slice){ &c, 1 });
	}
	if (i >= in.n)
		return false;
	in = slice_trim(slice_from(in, i + 1));
	return in.n == 0 || in.p[0] == '#';
}

static enum err
env_line(struct env *env, struct slice line, unsigned number, bool *good)
{
	struct buf   value = { 0 };
	struct pair *grown;
	size_t       eq = 0;

	*good = true;
	line = slice_trim(line);
	if (slice_starts(line, SLICE("export ")))
		line = slice_trim(slice_from(line, 7));
	if (line.n == 0 || line.p[0] == '#')
		return ERR_OK;
	while (eq < line.n && name_char(line.p[eq]))
		eq++;
	*good = eq > 0 && eq < line.n && line.p[eq] == '=' &&
	    env->n < LINES_MAX &&
	    unquote(slice_trim(slice_from(line, eq + 1)), &value);
	if (!*good) {
		buf_free(&value);
		return ERR_OK;
	}
	if ((grown = realloc(env->pairs, (env->n + 1) * sizeof *grown)) == NULL)
		goto fail;
	env->pairs = grown;
	grown[env->n].name = slice_dup((struct slice){ line.p, eq });
	grown[env->n].value = value.p != NULL ? value.p : strdup("");
	grown[env->n].line = number;
	if (grown[env->n].name == NULL || grown[env->n].value == NULL)
		goto fail;
	env->n++;
	return ERR_OK;
fail:
	buf_free(&value);
	return ERR_NOMEM;
}

/* Some editors begin a file with it. */
#define MARK "\xef\xbb\xbf"
enum { MARK_N = sizeof MARK - 1 };

static enum err
env_parse(struct conf *c, struct env *env, const char *text)
{
	unsigned number = 0;
	enum err e = ERR_OK;

	if (strncmp(text, MARK, MARK_N) == 0)
		text += MARK_N;
	while (*text != '\0' && e == ERR_OK) {
		size_t n = strcspn(text, "\n");
		bool   good;

		number++;
		e = env_line(env, (struct slice){ text, n }, number, &good);
		if (!good) {
			char where[300];

			snprintf(where, sizeof where, "%.250s line %u",
			    env->file, number);
			problem(c, where, "", "is not NAME=value",
			    "write NAME=value, NAME=\"value\" or # comment");
		}
		text += n + (text[n] == '\n');
	}
	return e;
}

static enum err
env_read(struct conf *c, struct env *env, const char *file, bool may_lack,
    const char *setting)
{
	char    *text;
	enum err e;

	env->file = file;
	if (file[0] == '\0')
		return ERR_OK;
	e = read_file(file, &text);
	if (e == ERR_NOT_FOUND && may_lack)
		return ERR_OK;
	if (e == ERR_NOMEM)
		return e;
	if (e != ERR_OK) {
		unreadable(c, setting, file, e, "",
		    "name a file of NAME=value lines that can be read");
		return ERR_OK;
	}
	e = env_parse(c, env, text);
	wipe_free(text);
	return e;
}

static const struct pair *
env_get(const struct env *env, const char *name)
{
	for (size_t i = env->n; i-- > 0;) /* the last one wins */
		if (strcmp(env->pairs[i].name, name) == 0)
			return &env->pairs[i];
	return NULL;
}

/* --- problems --------------------------------------------------------------- */

static void
problem(struct conf *c, const char *name, const char *value, const char *why,
    const char *remedy)
{
	struct conf_problem *p;

	p = realloc(c->problems, (c->nproblems + 1) * sizeof *p);
	if (p == NULL)
		return;
	c->problems = p;
	p += c->nproblems++;
	*p = (struct conf_problem){ strdup(name), strdup(value), strdup(why),
		strdup(remedy) };
}

/* By read_file(), of which errno still is. */
static void
unreadable(struct conf *c, const char *name, const char *path, enum err e,
    const char *where, const char *remedy)
{
	char why[WHERE_MAX + 200];

	snprintf(why, sizeof why, "cannot be read: %s%s",
	    e == ERR_SYSTEM || e == ERR_NOT_FOUND ? strerror(errno)
	    : e == ERR_SYNTAX ? "a NUL is in it, so it is no UTF-8 text"
	                      : err_text(e),
	    where);
	problem(c, name, path, why, remedy);
}

/* Something was said of it already: what follows from that is not said. */
static bool
is_told(const struct conf *c, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < c->nproblems; i++)
		if (strncmp(c->problems[i].name, name, n) == 0 &&
		    (c->problems[i].name[n] == '\0' ||
		        strcmp(c->problems[i].name + n, "_FILE") == 0))
			return true;
	return false;
}

void
conf_log_problems(const struct conf *c)
{
	for (size_t i = 0; i < c->nproblems; i++)
		log_error("config.bad", KV("setting", c->problems[i].name),
		    KV("value", c->problems[i].value),
		    KV("why", c->problems[i].why),
		    KV("remedy", c->problems[i].remedy));
}

void
conf_tell_problem(const struct conf *c, struct buf *out)
{
	const struct conf_problem *p = c->problems;

	if (c->nproblems == 0)
		return;
	buf_putf(out, "%s%s%s %s: %s", p->name, p->value[0] != '\0' ? " = " : "",
	    p->value, p->why, p->remedy);
	if (c->nproblems > 1)
		buf_putf(out, " (and %zu more)", c->nproblems - 1);
}

/* --- checks: NULL is good, else why not --------------------------------------- */

static const char *
check_any(const struct conf_info *info, const char *v)
{
	(void)info, (void)v;
	return NULL;
}

static const char *
check_appid(const struct conf_info *info, const char *v)
{
	(void)info;
	return strspn(v, "0123456789") == strlen(v) ? NULL
	                                            : "is not decimal digits";
}

static bool
is_loopback(struct slice host)
{
	if (slice_is(host, "localhost") || slice_is(host, "::1") ||
	    slice_is(host, "[::1]"))
		return true;
	/* An address, not 127.example.org. */
	for (size_t i = 0; i < host.n; i++)
		if (host.p[i] != '.' && (host.p[i] < '0' || host.p[i] > '9'))
			return false;
	return slice_starts(host, SLICE("127."));
}

struct slice
conf_url_host(struct slice url)
{
	struct slice h = { NULL, 0 };

	for (size_t i = 0; i + 2 < url.n; i++)
		if (memcmp(url.p + i, "://", 3) == 0) {
			h = slice_from(url, i + 3);
			break;
		}
	for (size_t i = 0; i < h.n; i++)
		if (strchr("/?#", h.p[i]) != NULL)
			h.n = i;
	/* 127.0.0.1:x@example.org is at example.org: no user, no password */
	if (h.n > 0 && memchr(h.p, '@', h.n) != NULL)
		return (struct slice){ NULL, 0 };
	for (size_t i = 0; i < h.n; i++)
		if (h.p[i] == ':' && (h.p[0] != '[' || h.p[i - 1] == ']'))
			h.n = i;
	return h;
}

bool
conf_url_allowed(struct slice url)
{
	struct slice host = conf_url_host(url);

	if (host.n == 0)
		return false;
	/* In a request's head a blank or the end of a line ends it. */
	for (size_t i = 0; i < url.n; i++)
		if ((unsigned char)url.p[i] <= ' ' || url.p[i] == 0x7f)
			return false;
	if (slice_starts(url, SLICE("https://")) ||
	    slice_starts(url, SLICE("wss://")))
		return true;
	return (slice_starts(url, SLICE("http://")) ||
	           slice_starts(url, SLICE("ws://"))) &&
	    is_loopback(host);
}

static const char *
check_url(const struct conf_info *info, const char *v)
{
	(void)info;
	if (v[0] == '\0' || conf_url_allowed(slice_of(v)))
		return NULL;
	return "is not an https:// or wss:// address (plain http:// and ws:// "
	       "are for loopback only)";
}

static const char *
check_proxy(const struct conf_info *info, const char *v)
{
	struct slice host = conf_url_host(slice_of(v));
	size_t       scheme = sizeof "http://" - 1;
	unsigned long long port;

	(void)info;
	if (v[0] == '\0' || strcmp(v, "none") == 0)
		return NULL;
	if (memchr(v, '@', strlen(v)) != NULL)
		return "holds a password, which is not for a setting that is "
		       "shown: https_proxy in the environment may";
	if (host.n == 0 || !slice_starts(slice_of(v), SLICE("http://")) ||
	    v[scheme + host.n] != ':' ||
	    !slice_u64(slice_of(v + scheme + host.n + 1), &port) ||
	    port == 0 || port > 65535)
		return "is neither http://HOST:PORT nor none";
	return NULL;
}

bool
conf_listen(const char *text, char *host, size_t host_size, unsigned *port)
{
	const char        *colon = strrchr(text, ':');
	struct slice       h = { text, 0 };
	struct slice       p = slice_of(colon != NULL ? colon + 1 : text);
	unsigned long long n;

	if (!slice_u64(p, &n) || n > 65535)
		return false;
	if (colon != NULL)
		h.n = (size_t)(colon - text);
	if (h.n > 1 && h.p[0] == '[' && h.p[h.n - 1] == ']')
		h = (struct slice){ h.p + 1, h.n - 2 };
	else if (h.n > 0 && memchr(h.p, ':', h.n) != NULL)
		return false; /* ::1 without brackets: which is the port? */
	if (slice_is(h, "*"))
		h.n = 0; /* every address, as others write it */
	if (h.n >= host_size)
		return false;
	if (h.n > 0)
		memcpy(host, h.p, h.n);
	host[h.n] = '\0';
	*port = (unsigned)n;
	return true;
}

static const char *
check_listen(const struct conf_info *info, const char *v)
{
	char     host[128];
	unsigned port;

	(void)info;
	return v[0] == '\0' || conf_listen(v, host, sizeof host, &port)
	    ? NULL
	    : "is not ADDRESS:PORT";
}

static const char *
one_of(const char *v, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strcmp(v, *words) == 0)
			return NULL;
	return "is none of the words it may be";
}

static const char *
check_level(const struct conf_info *info, const char *v)
{
	static const char *const words[] = { "error", "warn", "info", "debug",
		NULL };

	(void)info;
	return one_of(v, words);
}

static const char *
check_format(const struct conf_info *info, const char *v)
{
	static const char *const words[] = { "text", "json", NULL };

	(void)info;
	return one_of(v, words);
}

static const char *
check_unsure(const struct conf_info *info, const char *v)
{
	static const char *const words[] = { "once", "again", NULL };

	(void)info;
	return one_of(v, words);
}

static const char *
check_expired(const struct conf_info *info, const char *v)
{
	static const char *const words[] = { "fail", "active", NULL };

	(void)info;
	return one_of(v, words);
}

static const char *
check_hold(const struct conf_info *info, const char *v)
{
	static const char *const words[] = { "none", "guild", "all", NULL };

	(void)info;
	return one_of(v, words);
}

static const char *
check_durability(const struct conf_info *info, const char *v)
{
	static const char *const words[] = { "none", "process", "power",
		NULL };

	(void)info;
	return one_of(v, words);
}

static const char *
check_failed(const struct conf_info *info, const char *v)
{
	static const char *const words[] = { "probe", "exit", NULL };

	(void)info;
	return one_of(v, words);
}

static const struct {
	const char *name;
	uint32_t    bit;
	enum { PUBLIC, PRIVATE, RARE } who;
} intents[] = {
#define INTENT(n, name, who, meaning) { #name, 1u << (n), who },
#include "intents.def"
#undef INTENT
};
enum { INTENTS = sizeof intents / sizeof *intents };

static uint32_t
intent_of(struct slice word)
{
	uint32_t mask = 0;

	for (size_t i = 0; i < INTENTS; i++) {
		if (word.n == strlen(intents[i].name) &&
		    strncasecmp(word.p, intents[i].name, word.n) == 0)
			return intents[i].bit;
		if (intents[i].who == PUBLIC)
			mask |= intents[i].bit;
	}
	return word.n == 6 && strncasecmp(word.p, "public", 6) == 0 ? mask : 0;
}

bool
conf_intents(const char *text, uint32_t *mask, struct slice *unknown)
{
	struct slice       rest = slice_trim(slice_of(text));
	unsigned long long number;

	*mask = 0;
	if (unknown != NULL)
		*unknown = rest;
	if (slice_u64(rest, &number)) {
		*mask = (uint32_t)number;
		return number > 0 && number <= UINT32_MAX;
	}
	while (rest.n > 0) {
		size_t   n = 0;
		uint32_t bit;

		while (n < rest.n && strchr(", |\t", rest.p[n]) == NULL)
			n++;
		if (n > 0) {
			bit = intent_of((struct slice){ rest.p, n });
			if (bit == 0) {
				if (unknown != NULL)
					*unknown = (struct slice){ rest.p, n };
				return false;
			}
			*mask |= bit;
		}
		rest = slice_from(rest, n + 1);
	}
	return *mask != 0;
}

static const char *
check_intents(const struct conf_info *info, const char *v)
{
	uint32_t mask;

	(void)info;
	return conf_intents(v, &mask, NULL)
	    ? NULL
	    : "names an unknown intent; they are in rookery.env(5)";
}

static const char *
check_shards(const struct conf_info *info, const char *v)
{
	unsigned long long n;

	(void)info;
	if (strcmp(v, "auto") == 0 ||
	    (slice_u64(slice_of(v), &n) && n >= 1 && n <= 64))
		return NULL;
	return "is neither auto nor a number from 1 to 64";
}

static const char *
check_handler(const struct conf_info *info, const char *v)
{
	static const char *const words[] = { "builtin:echo", "builtin:ping",
		NULL };

	(void)info;
	if (one_of(v, words) == NULL || (strncmp(v, "exec:", 5) == 0 && v[5]) ||
	    (strncmp(v, "plugin:", 7) == 0 && v[7]))
		return NULL;
	return "is no handler known here";
}

/* The next of words with commas or blanks between them; false: no more. */
static bool
next_word(const char **v, struct slice *word)
{
	*v += strspn(*v, " ,");
	*word = (struct slice){ *v, strcspn(*v, " ,") };
	*v += word->n;
	return word->n > 0;
}

static bool
is_service(struct slice word)
{
	return slice_is(word, "api") || slice_is(word, "gateway") ||
	    slice_is(word, "worker") || slice_is(word, "sim");
}

static const char *
check_services(const struct conf_info *info, const char *v)
{
	struct slice word;

	(void)info;
	while (next_word(&v, &word))
		if (!is_service(word))
			return "names an unknown service";
	return NULL;
}

/* worker=never: its two halves; without the sign all is the second. */
static struct slice
split_restart(struct slice word, struct slice *service)
{
	const char *eq = memchr(word.p, '=', word.n);

	*service = (struct slice){ word.p, eq != NULL
	        ? (size_t)(eq - word.p) : 0 };
	return eq != NULL ? slice_from(word, service->n + 1) : word;
}

static const char *
check_restart(const struct conf_info *info, const char *v)
{
	struct slice word, service;

	(void)info;
	while (next_word(&v, &word)) {
		word = split_restart(word, &service);
		if (service.p + service.n != word.p && !is_service(service))
			return "names an unknown service";
		if (!slice_is(word, "always") &&
		    !slice_is(word, "on-failure") && !slice_is(word, "never"))
			return "is not always, on-failure or never, nor one "
			       "of them as SERVICE=WORD";
	}
	return NULL;
}

struct slice
conf_restart(const char *text, const char *service)
{
	struct slice said = SLICE("always"), word, whose;
	bool         own = false;

	while (next_word(&text, &word)) {
		word = split_restart(word, &whose);
		if (slice_is(whose, service))
			own = true;
		else if (own || whose.n > 0)
			continue;
		said = word;
	}
	return said;
}

static const char *
check_bus(const struct conf_info *info, const char *v)
{
	struct slice s = slice_of(v);

	(void)info;
	if (s.n > 6 && slice_starts(s, SLICE("ipc://")))
		return s.n - 6 <= 107 ? NULL
		                      : "is longer than a Unix socket's path "
		                        "may be (107 bytes)";
	return s.n == 0 ||
	        (s.n > 6 && slice_starts(s, SLICE("tcp://")) &&
	            strrchr(v, ':') > v + 5)
	    ? NULL
	    : "is neither ipc://PATH nor tcp://HOST:PORT";
}

static const char *
check_path(const struct conf_info *info, const char *v)
{
	(void)info;
	return strchr(v, '\n') == NULL ? NULL : "is not a path";
}

static const char *
run_check(const struct conf_info *info, const char *v)
{
	static const struct {
		const char *name;
		const char *(*fn)(const struct conf_info *, const char *);
	} checks[] = {
		{ "any", check_any },         { "appid", check_appid },
		{ "url", check_url },         { "proxy", check_proxy },
		{ "listen", check_listen },
		{ "level", check_level },     { "format", check_format },
		{ "intents", check_intents }, { "shards", check_shards },
		{ "handler", check_handler }, { "services", check_services },
		{ "bus", check_bus },         { "path", check_path },
		{ "unsure", check_unsure },   { "hold", check_hold },
		{ "expired", check_expired },
		{ "durability", check_durability },
		{ "restart", check_restart }, { "failed", check_failed },
	};

	for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
		if (strcmp(info->check, checks[i].name) == 0)
			return checks[i].fn(info, v);
	return "has no check of that name";
}

/* --- one value ------------------------------------------------------------------ */

static bool
parse_flag(const char *v, bool *out)
{
	static const char *const on[] = { "yes", "true", "1", "on", NULL };
	static const char *const off[] = { "no", "false", "0", "off", NULL };

	*out = one_of(v, on) == NULL;
	return *out || one_of(v, off) == NULL;
}

static void *
member(struct conf *c, const struct conf_info *info)
{
	return (char *)c + info->offset;
}

/* NULL, or why the value cannot be it.  Nothing is stored then. */
static const char *
store(struct conf *c, const struct conf_info *info, const char *v)
{
	void              *at = member(c, info);
	size_t             n = strlen(v);
	unsigned long long number;
	bool               flag;
	const char        *why;
	char              *copy;

	if (strcmp(info->type, "flag") == 0) {
		if (!parse_flag(v, &flag))
			return "is neither yes nor no";
		*(conf_flag *)at = flag;
		return NULL;
	}
	if (strcmp(info->type, "num") == 0) {
		if (!slice_u64(slice_of(v), &number) || number < info->min ||
		    number > info->max)
			return "is not a number within its bounds";
		*(conf_num *)at = number;
		return NULL;
	}
	if (n < info->min || n > info->max)
		return "is too short or too long";
	if ((why = run_check(info, v)) != NULL)
		return why;
	if (strcmp(info->type, "secret") == 0 &&
	    v[strcspn(v, "\r\n\t")] != '\0')
		return "has more than one line, or a tab in it";
	if (strcmp(info->type, "secret") == 0)
		return secret_set(at, slice_of(v)) == ERR_OK ? NULL
		                                             : "out of memory";
	if ((copy = strdup(v)) == NULL)
		return "out of memory";
	free(*(conf_text *)at);
	*(conf_text *)at = copy;
	return NULL;
}

/* NAME_FILE: the file's text without its last line end, and without the mark
 * that some editors begin a file with. */
static char *
value_of_file(struct conf *c, const struct conf_info *info, const char *path,
    const char *where)
{
	char    *text = NULL;
	enum err e = read_file(path, &text);
	size_t   n;

	if (e != ERR_OK) {
		char name[80];

		snprintf(name, sizeof name, "%s_FILE", info->name);
		unreadable(c, name, path, e, where,
		    "name a file that this program may read");
		return NULL;
	}
	for (n = strlen(text); n > 0 && (text[n - 1] == '\n' ||
	     text[n - 1] == '\r'); n--)
		text[n - 1] = '\0';
	if (strncmp(text, MARK, MARK_N) == 0) {
		memmove(text, text + MARK_N, n - MARK_N + 1);
		explicit_bzero(text + n - MARK_N + 1, MARK_N);
	}
	return text;
}

static bool
empty_means_unset(const struct conf_info *info)
{
	return strcmp(info->name, "ROOKERY_ECHO_PREFIX") != 0 &&
	    strcmp(info->name, "ROOKERY_ENV_FILE") != 0;
}

static void
remedy_of(const struct conf_info *info, char *text, size_t size)
{
	if (strcmp(info->type, "num") == 0)
		snprintf(text, size, "a number from %llu to %llu. %s",
		    (unsigned long long)info->min,
		    (unsigned long long)info->max, info->meaning);
	else
		snprintf(text, size, "%s", info->meaning);
}

/* A value and where it stands, as in ".env line 3". */
struct place {
	const char *value;
	char        where[WHERE_MAX];
};

/* Of this file, or (NULL) of the environment; NULL: it does not stand there. */
static const char *
look(struct place *at, const struct env *env, const char *name)
{
	const struct pair *pair = env != NULL ? env_get(env, name) : NULL;

	at->value = env == NULL ? getenv(name) : NULL;
	snprintf(at->where, sizeof at->where, " (in the environment)");
	if (pair != NULL) {
		at->value = pair->value;
		snprintf(at->where, sizeof at->where, " (in %s line %u)",
		    env->file, pair->line);
	}
	return at->value;
}

static void
bad_value(struct conf *c, const struct conf_info *info, const char *v,
    const char *why, const char *where)
{
	char text[WHERE_MAX + 200], remedy[512];

	remedy_of(info, remedy, sizeof remedy);
	snprintf(text, sizeof text, "%s%s", why, where);
	problem(c, info->name, strcmp(info->type, "secret") == 0 ? "(hidden)"
	                                                         : v,
	    text, remedy);
}

/* A value from one source, by name or by NAME_FILE; true when it was there. */
static bool
take(struct conf *c, const struct conf_info *info, const struct env *env)
{
	const char  *from = env != NULL ? env->file : "environment", *why;
	char         name[96], *loaded = NULL;
	struct place at;
	const char  *v = look(&at, env, info->name);

	if (v != NULL && v[0] == '\0' && empty_means_unset(info))
		v = NULL;
	snprintf(name, sizeof name, "%s_FILE", info->name);
	if (v == NULL && look(&at, env, name) != NULL && at.value[0] != '\0') {
		loaded = value_of_file(c, info, at.value, at.where);
		if (loaded == NULL)
			return true; /* there, and reported as wrong */
		from = at.value;
		snprintf(at.where, sizeof at.where, " (in %s)", from);
		v = loaded;
	}
	if (v == NULL)
		return false;
	if ((why = store(c, info, v)) != NULL)
		bad_value(c, info, v, why, at.where);
	free(c->from[info - infos]);
	c->from[info - infos] = strdup(from);
	if (strcmp(info->type, "secret") == 0)
		wipe_free(loaded);
	else
		free(loaded);
	return true;
}

/* --- unknown names ------------------------------------------------------------- */

static unsigned
distance(const char *a, const char *b)
{
	unsigned row[80], n = (unsigned)strlen(b);

	if (n >= 79)
		return 1000;
	for (unsigned j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned i = 1; *a != '\0'; a++, i++) {
		unsigned corner = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= n; j++) {
			unsigned best = corner + (*a != b[j - 1]);

			corner = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[n];
}

static void
check_name(struct conf *c, const char *name, size_t n, const char *where)
{
	char     base[80], remedy[200], why[WHERE_MAX + 40];
	size_t   best = 0;
	unsigned least = 1000;

	if (n >= sizeof base || (strncmp(name, "QQ_", 3) != 0 &&
	                            strncmp(name, "ROOKERY_", 8) != 0))
		return;
	memcpy(base, name, n);
	base[n] = '\0';
	for (size_t i = 0; i < CONF_COUNT; i++)
		if (strcmp(infos[i].name, base) == 0)
			return;
	if (n > 5 && strcmp(base + n - 5, "_FILE") == 0)
		base[n - 5] = '\0';
	for (size_t i = 0; i < CONF_COUNT; i++) {
		unsigned d = distance(base, infos[i].name);

		if (d == 0)
			return;
		if (d < least) {
			least = d;
			best = i;
		}
	}
	snprintf(remedy, sizeof remedy, "the nearest known setting is %s",
	    infos[best].name);
	snprintf(why, sizeof why, "is not a setting (in %s)", where);
	problem(c, name, "", why, remedy);
}

static void
check_names(struct conf *c, const struct env *env, bool environment)
{
	for (char **e = environ; environment && *e != NULL; e++) {
		size_t n = strcspn(*e, "=");
		char  *name = slice_dup((struct slice){ *e, n });

		if (name != NULL)
			check_name(c, name, n, "the environment");
		free(name);
	}
	for (size_t i = 0; i < env->n; i++) {
		char where[WHERE_MAX];

		snprintf(where, sizeof where, "%s line %u", env->file,
		    env->pairs[i].line);
		check_name(c, env->pairs[i].name, strlen(env->pairs[i].name),
		    where);
	}
}

/* --- the whole ---------------------------------------------------------------- */

struct source {
	const struct env  *file;
	bool               environment;   /* QQ_* from there count */
	const struct conf *base;          /* of a bot: what is not its own */
};

/* As the whole system, or the first bot, has it. */
static enum err
inherit(struct conf *c, const struct conf_info *info, const struct source *src)
{
	size_t      id = (size_t)(info - infos);
	const void *from = (const char *)src->base + info->offset;
	void       *at = member(c, info);

	free(c->from[id]);
	if ((c->from[id] = strdup(src->base->from[id])) == NULL)
		return ERR_NOMEM;
	if (strcmp(info->type, "num") == 0)
		*(conf_num *)at = *(const conf_num *)from;
	else if (strcmp(info->type, "flag") == 0)
		*(conf_flag *)at = *(const conf_flag *)from;
	else {
		free(*(conf_text *)at);
		*(conf_text *)at = strdup(*(const conf_text *)from);
		if (*(conf_text *)at == NULL)
			return ERR_NOMEM;
	}
	return ERR_OK;
}

static void
check_not_here(struct conf *c, const struct conf_info *info,
    const struct source *src)
{
	struct place at;
	char         why[WHERE_MAX + 40];

	if (look(&at, src->file, info->name) == NULL)
		return;
	snprintf(why, sizeof why, "is not a setting of a single bot%s",
	    at.where);
	problem(c, info->name, "", why,
	    "move it to ROOKERY_ENV_FILE or the environment");
}

static enum err
take_all(struct conf *c, enum conf_reader who, const struct source *src)
{
	enum err e = ERR_OK;

	for (size_t i = 0; i < CONF_COUNT && e == ERR_OK; i++) {
		const struct conf_info *info = &infos[i];
		bool own = (info->readers & CONF_B) == 0 || src->environment;

		if (!(info->readers & (unsigned)who))
			continue;
		if (src->base != NULL && (info->readers & CONF_B) == 0) {
			check_not_here(c, info, src);
			e = inherit(c, info, src);
			continue;
		}
		if (own && take(c, info, NULL))
			continue;
		if (!take(c, info, src->file) && src->base != NULL &&
		    (info->readers & CONF_N))
			e = inherit(c, info, src);
	}
	return e;
}

/* What no single setting can know. */
static void
check_together(struct conf *c, enum conf_reader who)
{
	/* Where apid does not run, as in a container for another program, the
	 * secret has no business. */
	bool holds = (who & CONF_A) ||
	    ((who & (CONF_S | CONF_C)) && strstr(c->services, "api") != NULL);

	if (holds && c->qq_app_id[0] != '\0' && c->qq_client_secret.n == 0 &&
	    !is_told(c, "QQ_CLIENT_SECRET"))
		problem(c, "QQ_CLIENT_SECRET", "", "is missing",
		    "set it (or QQ_CLIENT_SECRET_FILE) to the app secret of "
		    "QQ_APP_ID, from the platform's console");
	if (holds && c->qq_app_id[0] == '\0' && c->qq_client_secret.n > 0 &&
	    !is_told(c, "QQ_APP_ID"))
		problem(c, "QQ_APP_ID", "", "is missing",
		    "set it to the app id that belongs to QQ_CLIENT_SECRET");
	if ((who & CONF_G) && !c->websocket && c->webhook_listen[0] == '\0')
		problem(c, "ROOKERY_WEBSOCKET", "no", "leaves no way in",
		    "set ROOKERY_WEBHOOK_LISTEN, or ROOKERY_WEBSOCKET=yes");
}

static enum err
defaults(struct conf *c)
{
	*c = (struct conf){ 0 };
	for (size_t i = 0; i < CONF_COUNT; i++) {
		store(c, &infos[i], infos[i].fallback);
		c->from[i] = strdup("default");
		if (c->from[i] == NULL ||
		    (strcmp(infos[i].type, "text") == 0 &&
		        *(conf_text *)member(c, &infos[i]) == NULL))
			return ERR_NOMEM;
	}
	c->bot_name = strdup("");
	return c->bot_name != NULL ? ERR_OK : ERR_NOMEM;
}

static enum err
load_one(struct conf *c, enum conf_reader who, const char *file, bool may_lack,
    bool environment, const struct conf *base)
{
	struct env    env = { 0 };
	struct source src = { &env, environment, base };
	enum err      e;

	if ((e = defaults(c)) == ERR_OK &&
	    (e = env_read(c, &env, file, may_lack, base != NULL
	              ? "ROOKERY_BOTS_DIR" : "ROOKERY_ENV_FILE")) == ERR_OK &&
	    (e = take_all(c, who, &src)) == ERR_OK) {
		check_names(c, &env, environment);
		check_together(c, who);
	}
	env_free(&env);
	return e;
}

/* --- bots --------------------------------------------------------------------- */

static int
is_env_file(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return d->d_name[0] != '.' && n > 4 &&
	    strcmp(d->d_name + n - 4, ".env") == 0;
}

static void
take_problems(struct conf *to, struct conf *bot)
{
	for (size_t i = 0; i < bot->nproblems; i++) {
		struct conf_problem *p = &bot->problems[i];
		char                 name[200];

		snprintf(name, sizeof name, "%s (bot %s)", p->name,
		    bot->bot_name);
		problem(to, name, p->value, p->why, p->remedy);
	}
}

static enum err
load_bot(struct conf *c, enum conf_reader who, const char *file,
    const char *name, bool environment)
{
	struct conf *bots, *b;
	enum err     e;

	bots = realloc(c->bots, (c->nbots + 1) * sizeof *bots);
	if (bots == NULL)
		return ERR_NOMEM;
	c->bots = bots;
	b = &bots[c->nbots];
	e = load_one(b, who, file, false, environment,
	    name[0] != '\0' ? c : NULL);
	c->nbots++;
	if (e != ERR_OK)
		return e;
	free(b->bot_name);
	if ((b->bot_name = strdup(name)) == NULL)
		return ERR_NOMEM;
	if (name[0] == '\0')
		return ERR_OK;
	if (b->qq_app_id[0] == '\0' && !is_told(b, "QQ_APP_ID") &&
	    !is_told(b, "ROOKERY_BOTS_DIR"))
		problem(b, "QQ_APP_ID", "", "is missing",
		    "each file of ROOKERY_BOTS_DIR names one bot");
	take_problems(c, b);
	return ERR_OK;
}

static void
check_twins(struct conf *c)
{
	for (size_t i = 0; i < c->nbots; i++)
		for (size_t k = 0; k < i; k++) {
			const struct conf *a = &c->bots[k], *b = &c->bots[i];
			char               why[2 * PATH_MAX + 40];

			if (b->qq_app_id[0] == '\0' ||
			    strcmp(a->qq_app_id, b->qq_app_id) != 0)
				continue;
			snprintf(why, sizeof why, "is used by two bots (in "
			    "%s and %s)", a->from[CONF_QQ_APP_ID],
			    b->from[CONF_QQ_APP_ID]);
			problem(c, "QQ_APP_ID", b->qq_app_id, why,
			    "give each bot one file");
			break;
		}
}

static enum err
load_bots(struct conf *c, enum conf_reader who, const char *main_file,
    bool environment)
{
	struct dirent **list = NULL;
	enum err        e = ERR_OK;
	int             n;

	if (!(who & (CONF_S | CONF_G | CONF_A | CONF_C)))
		return ERR_OK;
	if (c->qq_app_id[0] != '\0')
		e = load_bot(c, who, main_file, "", environment);
	n = scandir(c->bots_dir, &list, is_env_file, alphasort);
	/* Bots may be there, for all we know: that is not to be without. */
	if (n < 0 && errno != ENOENT && errno != ENOTDIR)
		unreadable(c, "ROOKERY_BOTS_DIR", c->bots_dir, ERR_SYSTEM, "",
		    "name a folder that can be read");
	for (int i = 0; i < n; i++) {
		char *path = conf_path(c->bots_dir, list[i]->d_name);
		char *name = slice_dup((struct slice){ list[i]->d_name,
		    strlen(list[i]->d_name) - 4 });

		if (e == ERR_OK)
			e = path != NULL && name != NULL
			    ? load_bot(c, who, path, name, false)
			    : ERR_NOMEM;
		free(path);
		free(name);
		free(list[i]);
	}
	free(list);
	check_twins(c);
	return e;
}

static enum err
load(struct conf *c, enum conf_reader who, const char *file, bool may_lack,
    bool environment)
{
	enum err e = load_one(c, who, file, may_lack, environment, NULL);

	if (e == ERR_OK)
		e = load_bots(c, who,
		    may_lack && access(file, F_OK) != 0 ? "" : file,
		    environment);
	if (e == ERR_OK && c->nproblems > 0)
		e = ERR_CONFIG;
	return e;
}

enum err
conf_load(struct conf *c, enum conf_reader who)
{
	const char *file = getenv("ROOKERY_ENV_FILE");

	return load(c, who, file != NULL ? file : ".env", file == NULL, true);
}

enum err
conf_load_file(struct conf *c, enum conf_reader who, const char *env_file)
{
	return load(c, who, env_file, false, false);
}

static bool
same_value(const struct conf_info *info, const void *a, const void *b)
{
	if (strcmp(info->type, "num") == 0)
		return *(const conf_num *)a == *(const conf_num *)b;
	if (strcmp(info->type, "flag") == 0)
		return *(const conf_flag *)a == *(const conf_flag *)b;
	if (strcmp(info->type, "secret") == 0)
		return slice_eq(secret_reveal(a), secret_reveal(b));
	return strcmp(*(char *const *)a, *(char *const *)b) == 0;
}

bool
conf_same_bot(const struct conf *a, const struct conf *b,
    enum conf_reader who)
{
	for (size_t i = 0; i < CONF_COUNT; i++) {
		const struct conf_info *info = &infos[i];

		if ((info->readers & CONF_B) == 0 ||
		    (info->readers & (unsigned)who) == 0)
			continue;
		if (!same_value(info, (const char *)a + info->offset,
		        (const char *)b + info->offset))
			return false;
	}
	return true;
}

void
conf_free(struct conf *c)
{
	for (size_t i = 0; i < CONF_COUNT; i++) {
		if (strcmp(infos[i].type, "text") == 0)
			free(*(conf_text *)member(c, &infos[i]));
		else if (strcmp(infos[i].type, "secret") == 0)
			secret_wipe(member(c, &infos[i]));
		free(c->from[i]);
	}
	for (size_t i = 0; i < c->nproblems; i++) {
		free(c->problems[i].name);
		free(c->problems[i].value);
		free(c->problems[i].why);
		free(c->problems[i].remedy);
	}
	free(c->problems);
	for (size_t i = 0; i < c->nbots; i++)
		conf_free(&c->bots[i]);
	free(c->bots);
	free(c->bot_name);
	*c = (struct conf){ 0 };
}

/* --- for those who ask ----------------------------------------------------------- */

char *
conf_path(const char *dir, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}

char *
conf_bus(const struct conf *c, const char *setting, const char *socket_name)
{
	char *url;

	if (setting[0] != '\0')
		return strdup(setting);
	return asprintf(&url, "ipc://%s/%s", c->run_dir, socket_name) < 0
	    ? NULL
	    : url;
}

const char *
conf_api_url(const struct conf *c)
{
	if (c->qq_api_url[0] != '\0')
		return c->qq_api_url;
	return c->qq_sandbox ? "https://sandbox.api.sgroup.qq.com"
	                     : "https://api.sgroup.qq.com";
}

char *
conf_value(const struct conf *c, enum conf_id id)
{
	const struct conf_info *info = &infos[id];
	const void             *at = (const char *)c + info->offset;
	char                   *text;

	if (strcmp(info->type, "text") == 0)
		return strdup(*(const conf_text *)at);
	if (strcmp(info->type, "flag") == 0)
		return strdup(*(const conf_flag *)at ? "yes" : "no");
	if (strcmp(info->type, "secret") == 0)
		return strdup(((const struct secret *)at)->n > 0 ? "(set)"
		                                                 : "");
	return asprintf(&text, "%llu",
	           (unsigned long long)*(const conf_num *)at) < 0
	    ? NULL
	    : text;
}

const struct secret *
conf_secret_of(const struct conf *c, enum conf_id id)
{
	return (const struct secret *)(const void *)((const char *)c +
	    infos[id].offset);
}
