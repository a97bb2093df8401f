// links: supervisor/vault.c common
/*
 * A secret in sealed memory: readable by whoever is given it, by nobody else,
 * and not to be changed.
 */
#include "test.h"

#include <sys/mman.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../supervisor/vault.h"

static int
sealed(const char *text)
{
	struct secret s = { 0 };
	int           fd = -1;

	EXPECT_INT(secret_set(&s, slice_of(text)), ERR_OK);
	EXPECT_INT(vault_seal(&fd, &s), ERR_OK);
	EXPECT(s.p == NULL && s.n == 0);        /* moved, not copied */
	return fd;
}

TEST(holds_the_bytes)
{
	int   fd = sealed("sesame");
	char  path[40], text[16] = "";
	FILE *f;

	EXPECT(fd >= FD_OURS);
	EXPECT(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	/* as a child reads it: from the beginning, each time */
	for (int i = 0; i < 2; i++) {
		EXPECT((f = fopen(path, "r")) != NULL);
		if (f == NULL)
			return;
		EXPECT_INT(fread(text, 1, sizeof text - 1, f), 6);
		EXPECT_STR(text, "sesame");
		fclose(f);
	}
	close(fd);
}

TEST(nobody_changes_it)
{
	int fd = sealed("sesame");

	EXPECT(pwrite(fd, "x", 1, 0) < 0 && errno == EPERM);
	EXPECT(ftruncate(fd, 0) < 0 && errno == EPERM);
	EXPECT(ftruncate(fd, 100) < 0 && errno == EPERM);
	EXPECT(mmap(NULL, 6, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	EXPECT(fcntl(fd, F_ADD_SEALS, 0) < 0);
	close(fd);
}

TEST(comparing)
{
	int a = sealed("sesame"), b = sealed("sesame"), c = sealed("sesamE");
	int d = sealed("sesame2");

	EXPECT(vault_same(a, b));
	EXPECT(!vault_same(a, c));
	EXPECT(!vault_same(a, d));
	EXPECT(!vault_same(a, -1));
	EXPECT(!vault_same(-1, a));
	EXPECT(vault_same(-1, -1));
	close(a), close(b), close(c), close(d);
}

TEST(scrubbing)
{
	static char entry[] = "QQ_CLIENT_SECRET=sesame";
	static char other[] = "QQ_CLIENT_SECRETS=other";

	putenv(entry);
	putenv(other);
	vault_scrub("QQ_CLIENT_SECRET");
	EXPECT(getenv("QQ_CLIENT_SECRET") == NULL);
	EXPECT(memcmp(entry + 17, "\0\0\0\0\0\0", 6) == 0);
	EXPECT_STR(getenv("QQ_CLIENT_SECRETS"), "other");
	vault_scrub("QQ_CLIENT_SECRET");        /* not there: nothing */
	unsetenv("QQ_CLIENT_SECRETS");
}

int
main(void)
{
	RUN(holds_the_bytes);
	RUN(nobody_changes_it);
	RUN(comparing);
	RUN(scrubbing);
	return test_done();
}
