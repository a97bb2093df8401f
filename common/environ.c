/*
 * The environment of a handler: a short list of ours, and the lines of
 * ROOKERY_HANDLER_ENV_FILE, which only who starts a handler reads, so that a
 * key of somebody's service is in no other process.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "handlers.h"
#include "log.h"

enum { ENV_FILE_MAX = 1 << 16 };

static void
put_pair(struct buf *env, const char *name, struct slice value)
{
	buf_puts(env, name);
	buf_puts(env, "=");
	buf_put(env, value);
	buf_put(env, (struct slice){ "", 1 });
}

void
handlers_set(struct buf *env, const char *name, const char *value)
{
	struct buf kept = { 0 };
	size_t     len = strlen(name);

	for (size_t at = 0, n; at < env->n; at += n) {
		n = strlen(env->p + at) + 1;
		if (strncmp(env->p + at, name, len) != 0 ||
		    env->p[at + len] != '=')
			buf_put(&kept, (struct slice){ env->p + at, n });
	}
	put_pair(&kept, name, slice_of(value));
	kept.failed |= env->failed;
	if (env->n > 0)
		explicit_bzero(env->p, env->n);
	buf_free(env);
	*env = kept;
}

static bool
is_ours(struct slice line)
{
	return slice_starts(line, SLICE("QQ_")) ||
	    slice_starts(line, SLICE("ROOKERY_"));
}

/* NAME=VALUE; the value as it is, or in quotes. */
static void
put_line(const struct conf *c, struct slice line, struct buf *env)
{
	const char  *eq;
	struct slice name, value;
	char         text[128];

	line = slice_trim(line);
	if (slice_starts(line, SLICE("export ")))
		line = slice_trim(slice_from(line, 7));
	if (line.n == 0 || line.p[0] == '#')
		return;
	eq = memchr(line.p, '=', line.n);
	name = (struct slice){ line.p, eq != NULL ? (size_t)(eq - line.p) : 0 };
	if (name.n == 0 || name.n >= sizeof text || is_ours(line)) {
		log_warn("handler.env", KV("file", c->handler_env_file),
		    KV("why", is_ours(line)
		        ? "QQ_ and ROOKERY_ names are not for handlers"
		        : "a line is not NAME=VALUE"));
		return;
	}
	memcpy(text, name.p, name.n);
	text[name.n] = '\0';
	value = slice_trim(slice_from(line, name.n + 1));
	if (value.n >= 2 && (value.p[0] == '"' || value.p[0] == '\'') &&
	    value.p[value.n - 1] == value.p[0])
		value = (struct slice){ value.p + 1, value.n - 2 };
	put_pair(env, text, value);
}

void
handlers_settings(const struct conf *c, struct buf *env)
{
	FILE        *f = fopen(c->handler_env_file, "re");
	char        *text = f != NULL ? calloc(1, ENV_FILE_MAX) : NULL;
	struct slice rest = { text, 0 };

	if (text != NULL)
		rest.n = fread(text, 1, ENV_FILE_MAX, f);
	while (rest.n > 0) {
		const char *nl = memchr(rest.p, '\n', rest.n);
		size_t      n = nl != NULL ? (size_t)(nl - rest.p) : rest.n;

		put_line(c, (struct slice){ rest.p, n }, env);
		rest = slice_from(rest, n + 1);
	}
	if (text != NULL)
		explicit_bzero(text, ENV_FILE_MAX);
	free(text);
	if (f != NULL)
		fclose(f);
}

/* Whole, since a handler may work in another folder; it need not be there. */
static void
put_media_dir(const struct conf *c, struct buf *env)
{
	char        here[PATH_MAX];
	const char *dir = c->media_dir;

	if (dir[0] == '\0')
		return;
	buf_puts(env, "ROOKERY_MEDIA_DIR=");
	if (dir[0] != '/' && getcwd(here, sizeof here) != NULL)
		buf_putf(env, "%s/", here);
	buf_puts(env, dir);
	buf_put(env, (struct slice){ "", 1 });
}

/* Neither our settings nor anything else that happens to be in ours. */
void
handlers_environment(const struct conf *c, const char *name, const char *bot,
    const char *run, struct buf *env)
{
	static const char *const names[] = { "PATH", "HOME", "LANG", "LC_ALL",
		"TZ" };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (getenv(names[i]) != NULL)
			put_pair(env, names[i], slice_of(getenv(names[i])));
	put_pair(env, "ROOKERY_HANDLER", slice_of(name));
	if (bot[0] != '\0')
		put_pair(env, "ROOKERY_BOT", slice_of(bot));
	put_media_dir(c, env);
	put_pair(env, "ROOKERY_HANDLER_RUN", slice_of(run));
	if (c->child_name[0] != '\0')
		put_pair(env, "ROOKERY_CHILD_NAME", slice_of(c->child_name));
	/* What Python prints is a frame: it may not lie in a buffer. */
	put_pair(env, "PYTHONUNBUFFERED", SLICE("1"));
	handlers_settings(c, env);
}
