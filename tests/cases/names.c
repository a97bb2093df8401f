/*
 * A name with the addresses that a story wants: preloaded, it answers for the
 * name that begins NAMES with those that follow it there, in this order.
 */
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int look_fn(const char *, const char *, const struct addrinfo *,
    struct addrinfo **);

int
getaddrinfo(const char *restrict host, const char *restrict service,
    const struct addrinfo *restrict hints, struct addrinfo **restrict out)
{
	look_fn          *look = (look_fn *)dlsym(RTLD_NEXT, "getaddrinfo");
	char              names[256], *rest = names, *word;
	struct addrinfo **at = out;
	int               e = EAI_NONAME;

	snprintf(names, sizeof names, "%s", getenv("NAMES"));
	word = strtok_r(names, " ", &rest);
	if (host == NULL || word == NULL || strcmp(host, word) != 0)
		return look(host, service, hints, out);
	while ((word = strtok_r(NULL, " ", &rest)) != NULL &&
	    (e = look(word, service, hints, at)) == 0)
		at = &(*at)->ai_next;
	return e;
}
