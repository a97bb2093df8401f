// links: common/file.c
/*
 * What is read of a file, and what of none.
 */
#include "test.h"

#include <stdlib.h>
#include <unistd.h>

#include "file.h"

TEST(begins_with)
{
	char path[] = "/tmp/rookery-file-XXXXXX", text[8];
	int  fd = mkstemp(path);

	EXPECT(fd >= 0);
	EXPECT(file_read(path, text, sizeof text) == 0);
	EXPECT_STR(text, "");
	EXPECT(write(fd, "0123456789", 10) == 10);
	EXPECT(file_read(path, text, sizeof text) == 7);
	EXPECT_STR(text, "0123456");
	EXPECT(ftruncate(fd, 3) == 0);
	EXPECT(file_read(path, text, sizeof text) == 3);
	EXPECT_STR(text, "012");
	close(fd);
	unlink(path);
	EXPECT(file_read(path, text, sizeof text) == 0);
	EXPECT_STR(text, "");
}

/* A file of /proc has no size, and says a page at a time. */
TEST(of_a_process)
{
	char text[64];

	EXPECT(file_read("/proc/self/comm", text, sizeof text) > 0);
	EXPECT_STR(text, "common_file\n");
	EXPECT(file_read("/proc", text, sizeof text) == 0);
}

int
main(void)
{
	RUN(begins_with);
	RUN(of_a_process);
	return test_done();
}
