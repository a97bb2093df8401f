/*
 * A ring of ids in shared memory that is a file: what is stored there before
 * a system call is there after any kill, and costs no system call itself.
 */
#include "left.h"

#include <sys/mman.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"

enum { BOOT_MAX = 64, MAGIC = 0x4c65664d };  /* "LefM" */

struct left_page {
	uint32_t magic, marks;
	char     boot[BOOT_MAX];
	int64_t  since;                  /* the first id that was marked here */
	int64_t  mark[LEFT_MARKS];       /* by id modulo their number; the id
	                                  * of who has left, negative: done */
};

static bool
read_boot(char boot[BOOT_MAX])
{
	int     fd = open("/proc/sys/kernel/random/boot_id",
	        O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, boot, BOOT_MAX - 1) : -1;

	if (fd >= 0)
		close(fd);
	return n > 0;
}

/* Room is made first: a page that has none would be a deadly signal. */
static enum err
map(struct left *l, const char *path)
{
	int   fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int   e = fd >= 0 ? posix_fallocate(fd, 0, sizeof *l->page) : errno;
	void *p = MAP_FAILED;

	if (e == 0) {
		p = mmap(NULL, sizeof *l->page, PROT_READ | PROT_WRITE,
		    MAP_SHARED, fd, 0);
		e = errno;
	}
	if (fd >= 0)
		close(fd);
	if (p != MAP_FAILED)
		l->page = p;
	else
		errno = e;
	return p != MAP_FAILED ? ERR_OK
	    : e == ENOSPC || e == EDQUOT ? ERR_FULL : ERR_SYSTEM;
}

enum err
left_open(struct left *l, const char *dir, int64_t next_id)
{
	char     *path = conf_path(dir, "apid.left");
	char      boot[BOOT_MAX] = { 0 };
	enum err  e = ERR_NOMEM;

	*l = (struct left){ NULL };
	if (path != NULL)
		e = read_boot(boot) ? map(l, path) : ERR_SYSTEM;
	free(path);
	if (e != ERR_OK)
		return e;
	if (l->page->magic == MAGIC && l->page->marks == LEFT_MARKS &&
	    memcmp(l->page->boot, boot, sizeof boot) == 0 &&
	    l->page->since <= next_id)
		return ERR_OK;
	memset(l->page, 0, sizeof *l->page);
	memcpy(l->page->boot, boot, sizeof boot);
	l->page->since = next_id;
	l->page->marks = LEFT_MARKS;
	l->page->magic = MAGIC;
	return ERR_OK;
}

void
left_close(struct left *l)
{
	if (l->page != NULL)
		munmap(l->page, sizeof *l->page);
	l->page = NULL;
}

void
left_mark(struct left *l, int64_t id, enum left_state state)
{
	int64_t *mark;

	if (l->page == NULL)
		return;
	mark = &l->page->mark[id % LEFT_MARKS];
	if (state == LEFT_NEVER && *mark != id)
		return;
	/* The compiler may not put it off until after the system call. */
	__atomic_store_n(mark, state == LEFT_BEGUN ? id
	    : state == LEFT_DONE ? -id : 0, __ATOMIC_SEQ_CST);
}

enum left_state
left_state(const struct left *l, int64_t id)
{
	int64_t mark;

	if (l->page == NULL || id < l->page->since)
		return LEFT_UNKNOWN;
	mark = l->page->mark[id % LEFT_MARKS];
	if (mark == id || mark == -id)
		return mark == id ? LEFT_BEGUN : LEFT_DONE;
	return mark < id && -mark < id ? LEFT_NEVER : LEFT_UNKNOWN;
}
