/*
 * The simulator's folder: the secret it made, and sim.env, by which others
 * find it.
 */
#include "sim.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "log.h"

static const char default_app_id[] = "102000001";

enum err
home_write(const char *dir, const char *name, struct slice text)
{
	char *to = conf_path(dir, name), *from = NULL;
	int   fd = -1;
	enum err e = ERR_SYSTEM;

	if (to == NULL || asprintf(&from, "%s.new", to) < 0) {
		from = NULL;
		e = ERR_NOMEM;
		goto out;
	}
	fd = open(from, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
	    0600);
	if (fd < 0 || fchmod(fd, 0600) < 0 ||
	    write(fd, text.p, text.n) != (ssize_t)text.n ||
	    rename(from, to) < 0)
		goto out;
	e = ERR_OK;
out:
	if (e == ERR_SYSTEM)
		log_error("sim.write", KV("path", to),
		    KV("why", strerror(errno)));
	if (fd >= 0)
		close(fd);
	free(from);
	free(to);
	return e;
}

/* The secret of the last run; NOT_FOUND when there is none. */
static enum err
read_secret(const char *dir, struct secret *secret)
{
	char    *path = conf_path(dir, "secret");
	char     text[257];
	ssize_t  n = -1;
	int      fd;
	enum err e;

	if (path == NULL)
		return ERR_NOMEM;
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) >= 0) {
		n = read(fd, text, sizeof text - 1);
		close(fd);
	}
	free(path);
	if (n < 16)
		return ERR_NOT_FOUND;
	e = secret_set(secret, slice_trim((struct slice){ text, (size_t)n }));
	explicit_bzero(text, sizeof text);
	return e;
}

static enum err
make_secret(const char *dir, struct secret *secret)
{
	char     text[33];
	enum err e = token_random(text, 32);

	if (e == ERR_OK)
		e = home_write(dir, "secret", slice_of(text));
	if (e == ERR_OK)
		e = secret_set(secret, slice_of(text));
	explicit_bzero(text, sizeof text);
	return e;
}

enum err
home_open(struct sim *s)
{
	const struct secret *given = &s->conf.qq_client_secret;
	const char          *app = s->conf.qq_app_id;
	struct bot          *b;
	enum err             e;

	s->dir = s->conf.sim_dir[0] != '\0'
	    ? slice_dup(slice_of(s->conf.sim_dir))
	    : conf_path(s->conf.state_dir, "sim");
	if (s->dir == NULL)
		return ERR_NOMEM;
	if ((e = proc_make_dir(s->conf.sim_dir[0] != '\0'
	             ? "ROOKERY_SIM_DIR"
	             : "ROOKERY_STATE_DIR", s->dir, 0700)) != ERR_OK)
		return e;
	e = platform_bot_add(&s->platform,
	    slice_of(app[0] != '\0' ? app : default_app_id), &b);
	if (e != ERR_OK)
		return e;
	inject_defaults(s, b);
	if (given->n > 0)
		return secret_set(&b->secret, secret_reveal(given));
	e = read_secret(s->dir, &b->secret);
	return e == ERR_NOT_FOUND ? make_secret(s->dir, &b->secret) : e;
}

enum err
home_announce(const struct sim *s, const char *ca)
{
	const struct bot *b = platform_bot(&s->platform, SLICE(""));
	struct slice      secret = secret_reveal(&b->secret);
	struct buf        text = { 0 };
	char             *whole = ca != NULL ? realpath(ca, NULL) : NULL;
	enum err          e = ERR_NOMEM;

	buf_putf(&text, "QQ_APP_ID=%s\nQQ_CLIENT_SECRET=%.*s\n", b->app_id,
	    (int)secret.n, secret.p);
	buf_putf(&text, "QQ_API_URL=%s\n"
	                "QQ_TOKEN_URL=%s/app/getAppAccessToken\n",
	    s->origin, s->origin);
	if (whole != NULL)
		buf_putf(&text, "ROOKERY_CA_FILE=%s\n", whole);
	if (!text.failed)
		e = home_write(s->dir, "sim.env", buf_slice(&text));
	if (text.p != NULL)
		explicit_bzero(text.p, text.n);
	buf_free(&text);
	free(whole);
	return e;
}
