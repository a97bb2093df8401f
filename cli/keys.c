/*
 * rookery keys: key pairs for the daemons that talk over tcp, and for those who
 * look on, laid out so that each container mounts one folder and finds in it
 * its own secret key and the public keys of those it talks to.  The formats
 * are bus.h's.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bus.h"
#include "cli.h"
#include "proc.h"

enum { KEY_TEXT = 40, PARTIES = 4 };

static const char *const parties[PARTIES] = { "api", "gateway", "worker",
	"observer" };

static bool
is_key(struct slice s)
{
	if (s.n != KEY_TEXT)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= 0x20 ||
		    (unsigned char)s.p[i] >= 0x7f)
			return false;
	return true;
}

static bool
complain(const char *path, const char *why)
{
	fprintf(stderr, "rookery: %s: %s\n", path, why);
	return false;
}

/* A new file with just this text, in one step. */
static bool
write_file(const char *path, const char *text)
{
	char   *temporary;
	size_t  n = strlen(text);
	int     fd;
	bool    good;

	if (asprintf(&temporary, "%s.new", path) < 0)
		return complain(path, strerror(ENOMEM));
	unlink(temporary);
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	good = fd >= 0 && write(fd, text, n) == (ssize_t)n &&
	    fsync(fd) == 0 && rename(temporary, path) == 0;
	if (!good)
		complain(path, strerror(errno));
	if (fd >= 0)
		close(fd);
	free(temporary);
	return good;
}

/* The public key of a pair that is there; *there false: no such file. */
static bool
read_pair(const char *path, char public_key[KEY_TEXT + 1], bool *there)
{
	char    text[2 * KEY_TEXT + 8];
	int     fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;
	bool    good;

	*there = fd >= 0 || errno != ENOENT;
	if (fd < 0)
		return *there ? complain(path, strerror(errno)) : true;
	n = read(fd, text, sizeof text);
	close(fd);
	good = n >= 2 * KEY_TEXT + 1 && text[KEY_TEXT] == '\n' &&
	    is_key((struct slice){ text, KEY_TEXT }) &&
	    is_key((struct slice){ text + KEY_TEXT + 1, KEY_TEXT });
	if (good)
		memcpy(public_key, text, KEY_TEXT);
	public_key[KEY_TEXT] = '\0';
	explicit_bzero(text, sizeof text);
	return good || complain(path, "is there, but is no key pair; move it "
	                              "away to have a new one");
}

static bool
make_pair(const char *path, char public_key[KEY_TEXT + 1])
{
	char secret[KEY_TEXT + 1], text[2 * KEY_TEXT + 8];
	bool good = bus_keypair(public_key, secret) == ERR_OK;

	if (!good)
		complain(path, "libzmq has no CURVE keys");
	snprintf(text, sizeof text, "%.*s\n%.*s\n", KEY_TEXT, public_key,
	    KEY_TEXT, secret);
	good = good && write_file(path, text);
	explicit_bzero(secret, sizeof secret);
	explicit_bzero(text, sizeof text);
	return good;
}

/* DIR/NAME/NAME.key, made or kept. */
static bool
own_pair(const char *dir, const char *name, char public_key[KEY_TEXT + 1])
{
	char *folder = conf_path(dir, name), *path = NULL;
	bool  there = false, good;

	good = folder != NULL && asprintf(&path, "%s/%s.key", folder, name) > 0;
	if (good && proc_make_dir("FOLDER", folder, 0700) != ERR_OK)
		good = false;
	good = good && read_pair(path, public_key, &there);
	if (good && !there)
		good = make_pair(path, public_key);
	if (good)
		printf("%s %s\n", there ? "kept" : "made", path);
	free(folder);
	free(path);
	return good;
}

/* DIR/NAME/OF.pub */
static bool
hand_out(const char *dir, const char *name, const char *of,
    const char public_key[KEY_TEXT + 1])
{
	char  text[KEY_TEXT + 2];
	char *path;
	bool  good;

	if (asprintf(&path, "%s/%s/%s.pub", dir, name, of) < 0)
		return false;
	snprintf(text, sizeof text, "%.*s\n", KEY_TEXT, public_key);
	good = write_file(path, text);
	free(path);
	return good;
}

enum status
command_keys(struct cli *cli)
{
	char        keys[PARTIES][KEY_TEXT + 1];
	const char *dir = cli->arg[0];

	umask(0077);
	for (size_t i = 0; i < PARTIES; i++)
		if (!own_pair(dir, parties[i], keys[i]))
			return STATUS_FAILED;
	for (size_t i = 0; i < PARTIES; i++)
		for (size_t k = 0; k < PARTIES; k++)
			if (i != k &&
			    !hand_out(dir, parties[i], parties[k], keys[k]))
				return STATUS_FAILED;
	printf("give each container its own folder as ROOKERY_KEYS_DIR: "
	       "%s/api, %s/gateway, %s/worker\n", dir, dir, dir);
	return STATUS_DONE;
}
