/*
 * Reads until the file or the room ends; /proc gives a page at a time.
 */
#include "file.h"

#include <fcntl.h>
#include <unistd.h>

size_t
file_read(const char *path, char *text, size_t size)
{
	int     fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t  n = 0;
	ssize_t got;

	while (fd >= 0 && n < size - 1 &&
	    (got = read(fd, text + n, size - 1 - n)) > 0)
		n += (size_t)got;
	if (fd >= 0)
		close(fd);
	text[n] = '\0';
	return n;
}
