// links: common
/*
 * piped: whose process it is.
 */
#include "test.h"

#include <sys/wait.h>

#include <stdlib.h>
#include <unistd.h>

#include "piped.h"

/* The ids that a process started for the user says it has. */
static void
ids_of(const struct piped_user *user, char *text, size_t size)
{
	char  name[] = "sh", c[] = "-c",
	      command[] = "echo $(id -u) $(id -g) $(id -G)";
	char *argv[] = { name, c, command, NULL };
	struct buf env = { 0 };
	struct piped p;
	struct piped_order o = { .path = "/bin/sh", .argv = argv, .env = &env,
		.dir = "", .user = user };
	size_t  n = 0;
	ssize_t got;

	text[0] = '\0';
	buf_put(&env, (struct slice){ "PATH=/usr/bin:/bin", 19 });
	EXPECT_INT(piped_start(&o, &p), ERR_OK);
	waitpid(p.pid, NULL, 0);
	while ((got = read(p.from, text + n, size - 1 - n)) > 0)
		n += (size_t)got;
	text[n] = '\0';
	close(p.pidfd);
	close(p.to);
	close(p.from);
	close(p.err);
	buf_free(&env);
}

TEST(another_user)
{
	struct piped_user u;
	char              text[200], want[64];
	enum err          e = piped_user_find("nobody", &u);

	if (geteuid() != 0) { /* told, and not tried */
		EXPECT_INT(e, ERR_SYSTEM);
		return;
	}
	EXPECT_INT(e, ERR_OK);
	ids_of(&u, text, sizeof text);
	snprintf(want, sizeof want, "%u %u %u\n", u.uid, u.gid, u.gid);
	EXPECT_STR(text, want);
}

TEST(nobody_of_that_name)
{
	struct piped_user u;

	EXPECT_INT(piped_user_find("no-such-user", &u), ERR_NOT_FOUND);
}

int
main(void)
{
	RUN(another_user);
	RUN(nobody_of_that_name);
	return test_done();
}
