/*
 * A table of names and descriptors.
 */
#include "kept.h"

#include <fcntl.h>
#include <unistd.h>

#include "vault.h"

static bool
is_name(struct slice name)
{
	if (name.n == 0 || name.n >= KEPT_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
		    c != '.' && c != '_' && c != '-')
			return false;
	}
	return true;
}

enum err
kept_put(struct kept *k, struct slice name, int fd)
{
	/* out of the way of those that a child finds where it expects them */
	int high = fcntl(fd, F_DUPFD_CLOEXEC, FD_OURS);

	close(fd);
	if (high < 0)
		return ERR_SYSTEM;
	if (!is_name(name)) {
		close(high);
		return ERR_SYNTAX;
	}
	kept_remove(k, name);
	if (k->n == KEPT_MAX) {
		close(high);
		return ERR_FULL;
	}
	memcpy(k->row[k->n].name, name.p, name.n);
	k->row[k->n].name[name.n] = '\0';
	k->row[k->n++].fd = high;
	return ERR_OK;
}

void
kept_remove(struct kept *k, struct slice name)
{
	for (size_t i = 0; i < k->n; i++)
		if (slice_is(name, k->row[i].name)) {
			close(k->row[i].fd);
			k->row[i] = k->row[--k->n];
			return;
		}
}

void
kept_clear(struct kept *k)
{
	while (k->n > 0)
		close(k->row[--k->n].fd);
}

void
kept_print(const struct kept *k, int first, struct buf *to)
{
	for (size_t i = 0; i < k->n; i++)
		buf_putf(to, "%s%s=%d", i > 0 ? " " : "", k->row[i].name,
		    first + (int)i);
}
