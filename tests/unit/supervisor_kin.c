// links: supervisor/kin.c supervisor/spawn.c supervisor/kept.c common
/*
 * Whose process is whose: nothing but a descendant of ours is ever named.
 */
#include "test.h"

#include <sys/wait.h>

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../supervisor/kin.h"

/* More than one page of /proc/PID/children; 8 KiB of stack for each. */
enum { MANY = 3000, STACK = 8192 };

static pid_t  ours[MANY];
static size_t strangers, seen;

__attribute__((no_sanitize("address", "undefined"))) static int
wait_for_the_end(void *self)
{
	(void)self;
	while (pause() < 0)
		;
	return 0;
}

static bool
is_one_of_them(void *self, pid_t pid)
{
	(void)self;
	for (size_t i = 0; i < MANY; i++)
		if (ours[i] == pid) {
			seen++;
			return true;
		}
	strangers++;
	return true;
}

TEST(many_children_are_named_whole)
{
	static const struct kin none;
	char *stacks = malloc((size_t)MANY * STACK);

	/* They share our memory: a copy for each would take long. */
	for (size_t i = 0; i < MANY; i++) {
		ours[i] = clone(wait_for_the_end, stacks + (i + 1) * STACK,
		    CLONE_VM | SIGCHLD, NULL);
		EXPECT(ours[i] > 0);
	}
	kin_kill_orphans(&none, is_one_of_them, NULL);
	EXPECT_INT(seen, MANY);
	EXPECT_INT(strangers, 0);
	for (size_t i = 0; i < MANY; i++)
		if (ours[i] > 0) {
			kill(ours[i], SIGKILL);
			waitpid(ours[i], NULL, 0);
		}
	free(stacks);
}

int
main(void)
{
	RUN(many_children_are_named_whole);
	return test_done();
}
