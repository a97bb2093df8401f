/*
 * openat2 lets the kernel judge.  Where it is not to be had (old kernels,
 * sandboxes that refuse it) each folder is opened by itself and no link is
 * followed at all: fewer files, and none outside either.
 */
#include "beneath.h"

#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* A pipe in the folder must not hold us up. */
enum { FLAGS = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY };

static int
by_kernel(int dir, const char *path)
{
	struct open_how how = { .flags = FLAGS,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };

	return (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
}

static int
by_hand(int dir, const char *path)
{
	int at = dup(dir);

	while (at >= 0 && *path != '\0') {
		size_t n = strcspn(path, "/");
		bool   last = path[n + strspn(path + n, "/")] == '\0';
		char   name[256];
		int    next = -1;

		if (n >= sizeof name || (n == 2 && path[0] == '.' &&
		        path[1] == '.'))
			errno = EXDEV;
		else {
			memcpy(name, path, n);
			name[n] = '\0';
			next = openat(at, n == 0 ? "." : name,
			    FLAGS | O_NOFOLLOW | (last ? 0 : O_DIRECTORY));
		}
		close(at);
		at = next;
		path += n + strspn(path + n, "/");
	}
	return at;
}

static enum err
why_not(int error)
{
	switch (error) {
	case ENOENT:
	case ENOTDIR:
		return ERR_NOT_FOUND;
	case EXDEV:
	case ELOOP:
	case EACCES:
	case EPERM:
		return ERR_FORBIDDEN;
	case ENOMEM:
		return ERR_NOMEM;
	default:
		return ERR_SYSTEM;
	}
}

/* What is left of the path below dir; NULL: it is elsewhere. */
static const char *
below(const char *dir, const char *path)
{
	size_t n = strlen(dir);

	if (*path != '/')
		return path;
	while (n > 1 && dir[n - 1] == '/')
		n--;
	if (strncmp(path, dir, n) != 0 || path[n] != '/')
		return NULL;
	return path + n + strspn(path + n, "/");
}

static enum err
open_below(int dir, const char *path, int *fd)
{
	struct stat st;

	*fd = by_kernel(dir, path);
	if (*fd < 0 && (errno == ENOSYS || errno == EPERM || errno == EINVAL))
		*fd = by_hand(dir, path);
	if (*fd < 0)
		return why_not(errno);
	if (fstat(*fd, &st) == 0 && S_ISREG(st.st_mode))
		return ERR_OK;
	close(*fd);
	*fd = -1;
	return ERR_FORBIDDEN;
}

enum err
beneath_open(const char *dir, struct slice path, int *fd)
{
	char       *text, *real = NULL;
	const char *rest;
	enum err    e = ERR_FORBIDDEN;
	int         at;

	*fd = -1;
	if (path.n == 0 || memchr(path.p, '\0', path.n) != NULL)
		return ERR_NOT_FOUND;
	if ((text = slice_dup(path)) == NULL)
		return ERR_NOMEM;
	rest = below(dir, text);
	if (rest == NULL && (real = realpath(dir, NULL)) != NULL)
		rest = below(real, text);
	at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (at < 0)
		e = why_not(errno);
	else if (rest != NULL)
		e = open_below(at, *rest != '\0' ? rest : ".", fd);
	if (at >= 0)
		close(at);
	free(real);
	free(text);
	return e;
}
