/*
 * Secrets in sealed memfds.
 */
#include "vault.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };

enum err
vault_seal(int *out, struct secret *secret)
{
	struct slice bytes = secret_reveal(secret);
	int          low, fd = -1;

	low = memfd_create("secret", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (low >= 0) {
		fd = fcntl(low, F_DUPFD_CLOEXEC, FD_OURS);
		close(low);
	}
	if (fd < 0)
		return ERR_SYSTEM;
	if (write(fd, bytes.p, bytes.n) != (ssize_t)bytes.n ||
	    fchmod(fd, 0400) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0) {
		close(fd);
		return ERR_SYSTEM;
	}
	secret_wipe(secret);
	*out = fd;
	return ERR_OK;
}

bool
vault_same(int a, int b)
{
	struct stat   sa, sb;
	struct secret va = { 0 };
	char          bytes[512];
	bool          same = false;

	if (a < 0 || b < 0)
		return a < 0 && b < 0;
	if (fstat(a, &sa) == 0 && fstat(b, &sb) == 0 &&
	    sa.st_size == sb.st_size && sa.st_size <= (off_t)sizeof bytes &&
	    pread(a, bytes, (size_t)sa.st_size, 0) == sa.st_size &&
	    secret_set(&va, (struct slice){ bytes, (size_t)sa.st_size }) ==
	        ERR_OK &&
	    pread(b, bytes, (size_t)sb.st_size, 0) == sb.st_size)
		same = secret_eq(&va,
		    (struct slice){ bytes, (size_t)sb.st_size });
	explicit_bzero(bytes, sizeof bytes);
	secret_wipe(&va);
	return same;
}

void
vault_scrub(const char *name)
{
	size_t n = strlen(name);

	for (char **e = environ; *e != NULL; e++)
		if (strncmp(*e, name, n) == 0 && (*e)[n] == '=')
			explicit_bzero(*e + n + 1, strlen(*e + n + 1));
	unsetenv(name);
}
