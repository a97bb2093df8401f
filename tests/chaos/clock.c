/*
 * A wall clock that jumps: preloaded, it adds what a file says to the time of
 * day, and leaves the monotonic clock alone, as a step of NTP or of a person
 * does.  The file, named by CHAOS_CLOCK, holds nanoseconds as an int64_t; it
 * is mapped once, so that a jump reaches every process at the same instant.
 */
#include <sys/mman.h>
#include <sys/time.h>

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { NS = 1000000000 };

static const volatile int64_t *offset_ns;

__attribute__((constructor)) static void
map_offset(void)
{
	const char *path = getenv("CHAOS_CLOCK");
	int         fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void       *at = MAP_FAILED;

	if (fd >= 0) {
		at = mmap(NULL, sizeof *offset_ns, PROT_READ, MAP_SHARED, fd,
		    0);
		close(fd);
	}
	if (at != MAP_FAILED)
		offset_ns = at;
}

int
clock_gettime(clockid_t clock, struct timespec *t)
{
	int     r = (int)syscall(SYS_clock_gettime, clock, t);
	int64_t ns;

	if (r != 0 || offset_ns == NULL ||
	    (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
		return r;
	ns = (int64_t)t->tv_sec * NS + t->tv_nsec + *offset_ns;
	t->tv_sec = ns / NS;
	t->tv_nsec = ns % NS;
	return 0;
}

int
gettimeofday(struct timeval *restrict t, void *restrict zone)
{
	struct timespec now;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	t->tv_sec = now.tv_sec;
	t->tv_usec = now.tv_nsec / 1000;
	return 0;
}

time_t
time(time_t *t)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (t != NULL)
		*t = now.tv_sec;
	return now.tv_sec;
}
