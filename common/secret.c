/*
 * Pages for secrets.
 */
#include "secret.h"

#include <sys/mman.h>

#include <unistd.h>

/* At least one byte more than n: the value always ends in NUL. */
static size_t
pages(size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (n / page + 1) * page;
}

enum err
secret_set(struct secret *s, struct slice v)
{
	void *p;

	secret_wipe(s);
	if (v.n == 0)
		return ERR_OK;
	p = mmap(NULL, pages(v.n), PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return ERR_NOMEM;
	madvise(p, pages(v.n), MADV_DONTDUMP);
	(void)mlock(p, pages(v.n)); /* RLIMIT_MEMLOCK may be 0: then unlocked */
	memcpy(p, v.p, v.n);
	s->p = p;
	s->n = v.n;
	return ERR_OK;
}

void
secret_move(struct secret *to, struct secret *from)
{
	secret_wipe(to);
	*to = *from;
	*from = (struct secret){ 0 };
}

void
secret_wipe(struct secret *s)
{
	if (s->p != NULL) {
		explicit_bzero(s->p, s->n);
		munmap(s->p, pages(s->n));
	}
	*s = (struct secret){ 0 };
}

bool
secret_eq(const struct secret *s, struct slice v)
{
	unsigned diff = s->n != v.n;

	for (size_t i = 0; i < s->n && i < v.n; i++)
		diff |= (unsigned char)s->p[i] ^ (unsigned char)v.p[i];
	return diff == 0;
}
