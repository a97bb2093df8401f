// links: apid/beneath.c common
/* A folder with ways out of it, by the kernel's judgement and without it. */
#include "test.h"

#include <sys/stat.h>
#include <sys/syscall.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "beneath.h"

static char top[] = "/tmp/rookery-beneath-XXXXXX", dir[64];
static bool old_kernel;

/* In place of the C library's. */
long
syscall(long number, ...)
{
	static long (*real)(long, ...);
	va_list      ap;
	long         a[4];

	if (number == SYS_openat2 && old_kernel) {
		errno = ENOSYS;
		return -1;
	}
	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "syscall");
	va_start(ap, number);
	for (int i = 0; i < 4; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	return real(number, a[0], a[1], a[2], a[3]);
}

static enum err
opens(const char *path)
{
	int      fd;
	enum err e = beneath_open(dir, slice_of(path), &fd);

	EXPECT((fd >= 0) == (e == ERR_OK));
	if (fd >= 0)
		close(fd);
	return e;
}

static void
make(const char *name)
{
	char path[128];

	snprintf(path, sizeof path, "%s/%s", top, name);
	close(open(path, O_CREAT | O_WRONLY, 0600));
}

static void
join(const char *to, const char *name)
{
	char path[128];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	EXPECT(symlink(to, path) == 0);
}

static void
setup(void)
{
	char path[128];

	snprintf(dir, sizeof dir, "%s/media", top);
	mkdir(dir, 0700);
	snprintf(path, sizeof path, "%s/sub", dir);
	mkdir(path, 0700);
	make("secret");
	make("media/a.png");
	make("media/sub/b.png");
	snprintf(path, sizeof path, "%s/pipe", dir);
	mkfifo(path, 0600);
	join("sub/b.png", "inner");
	join("../secret", "out");
	join("..", "up");
	join("/etc/passwd", "abs");
	join("/proc/self/root", "magic");
	snprintf(path, sizeof path, "%s-more", dir);
	mkdir(path, 0700);
	make("media-more/c");
}

static void
rows(void)
{
	char path[160];

	EXPECT_INT(opens("a.png"), ERR_OK);
	EXPECT_INT(opens("sub/b.png"), ERR_OK);
	EXPECT_INT(opens("./sub//b.png"), ERR_OK);
	snprintf(path, sizeof path, "%s/sub/b.png", dir);
	EXPECT_INT(opens(path), ERR_OK);
	EXPECT_INT(opens("none"), ERR_NOT_FOUND);
	EXPECT_INT(opens(""), ERR_NOT_FOUND);
	EXPECT_INT(beneath_open(dir, (struct slice){ "a.png\0x", 7 },
	    &(int){ 0 }), ERR_NOT_FOUND);
	EXPECT_INT(opens("../secret"), ERR_FORBIDDEN);
	EXPECT_INT(opens("sub/../../secret"), ERR_FORBIDDEN);
	EXPECT_INT(opens("out"), ERR_FORBIDDEN);
	EXPECT_INT(opens("up/secret"), old_kernel ? ERR_NOT_FOUND
	                                          : ERR_FORBIDDEN);
	EXPECT_INT(opens("abs"), ERR_FORBIDDEN);
	EXPECT_INT(opens("magic/etc/passwd"), old_kernel ? ERR_NOT_FOUND
	                                                 : ERR_FORBIDDEN);
	EXPECT_INT(opens("/etc/passwd"), ERR_FORBIDDEN);
	EXPECT_INT(opens("pipe"), ERR_FORBIDDEN);
	EXPECT_INT(opens("sub"), ERR_FORBIDDEN);
	EXPECT_INT(opens(dir), ERR_FORBIDDEN);
	snprintf(path, sizeof path, "%s-more/c", dir);
	EXPECT_INT(opens(path), ERR_FORBIDDEN);
}

TEST(by_the_kernel)
{
	rows();
	EXPECT_INT(opens("inner"), ERR_OK);
}

TEST(by_hand)
{
	old_kernel = true;
	rows();
	EXPECT_INT(opens("inner"), ERR_FORBIDDEN);
	old_kernel = false;
}

int
main(void)
{
	char command[80];

	if (mkdtemp(top) == NULL)
		return 1;
	setup();
	RUN(by_the_kernel);
	RUN(by_hand);
	snprintf(command, sizeof command, "rm -rf '%s'", top);
	if (system(command) != 0)
		return 1;
	return test_done();
}
