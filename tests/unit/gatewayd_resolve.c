// links: gatewayd/resolve.c common
/*
 * resolve: against a resolver of our own that answers when it is told to, so
 * that nobody waits for it but who asked.
 */
#include "test.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "log.h"
#include "resolve.h"

/* --- the resolver: instead of the C library's ---------------------------- */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static int             done;     /* under the gate */

static struct addrinfo *
one(int family, const char *text, struct addrinfo *next)
{
	struct addrinfo         *a = calloc(1, sizeof *a);
	struct sockaddr_storage *s = calloc(1, sizeof *s);

	a->ai_family = s->ss_family = (unsigned short)family;
	a->ai_addr = (struct sockaddr *)s;
	if (family == AF_INET) {
		a->ai_addrlen = sizeof(struct sockaddr_in);
		inet_pton(family, text, &((struct sockaddr_in *)s)->sin_addr);
	} else {
		a->ai_addrlen = sizeof(struct sockaddr_in6);
		inet_pton(family, text,
		    &((struct sockaddr_in6 *)s)->sin6_addr);
	}
	a->ai_next = next;
	return a;
}

int
getaddrinfo(const char *host, const char *service,
    const struct addrinfo *hints, struct addrinfo **out)
{
	(void)service, (void)hints;
	pthread_mutex_lock(&gate);
	done++;
	pthread_mutex_unlock(&gate);
	if (strcmp(host, "two") == 0)
		*out = one(AF_INET6, "2001:db8::1",
		    one(AF_INET, "192.0.2.7", NULL));
	return strcmp(host, "two") == 0 ? 0 : EAI_NONAME;
}

void
freeaddrinfo(struct addrinfo *a)
{
	while (a != NULL) {
		struct addrinfo *next = a->ai_next;

		free(a->ai_addr);
		free(a);
		a = next;
	}
}

/* --- who asks ------------------------------------------------------------- */

struct asked {
	unsigned answers;
	char     address[64], why[96];
	struct timer tick;
	unsigned     ticks;
};

static void
on_answer(void *self, const char *address, const char *why)
{
	struct asked *a = self;

	a->answers++;
	snprintf(a->address, sizeof a->address, "%s",
	    address != NULL ? address : "");
	snprintf(a->why, sizeof a->why, "%s", why);
}

static void
on_tick(void *self)
{
	struct asked *a = self;

	a->ticks++;
}

static struct loop *
open_loop(void)
{
	struct loop *loop = NULL;

	signal(SIGPIPE, SIG_IGN);
	log_open("test", LOG_ERROR, false);
	EXPECT_INT(loop_new(&loop), ERR_OK);
	return loop;
}

static void
until_answered(struct loop *loop, struct asked *a)
{
	while (a->answers == 0)
		if (loop_turn(loop, -1, NULL) != ERR_OK)
			break;
}

static unsigned
descriptors(void)
{
	DIR     *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (d != NULL && readdir(d) != NULL)
		n++;
	if (d != NULL)
		closedir(d);
	return n;
}

TEST(numbers_need_no_question)
{
	EXPECT(resolve_is_address("127.0.0.1"));
	EXPECT(resolve_is_address("::1"));
	EXPECT(!resolve_is_address("localhost"));
	EXPECT(!resolve_is_address("127.0.0.1.example"));
	EXPECT(!resolve_is_address(""));
}

TEST(each_address_has_its_turn)
{
	static const char *const want[] = { "2001:db8::1", "192.0.2.7",
		"2001:db8::1" };
	struct loop *loop = open_loop();

	for (unsigned turn = 0; turn < 3; turn++) {
		struct asked    a = { 0 };
		struct resolve *r = NULL;

		EXPECT_INT(resolve_start(&r, loop, "two", turn, on_answer,
		    &a), ERR_OK);
		until_answered(loop, &a);
		EXPECT_STR(a.address, want[turn]);
	}
	loop_free(&loop);
}

TEST(a_name_without_address_says_so)
{
	struct loop    *loop = open_loop();
	struct asked    a = { 0 };
	struct resolve *r = NULL;

	EXPECT_INT(resolve_start(&r, loop, "none", 0, on_answer, &a), ERR_OK);
	until_answered(loop, &a);
	EXPECT_STR(a.address, "");
	EXPECT(strstr(a.why, "no address for the name: ") == a.why);
	loop_free(&loop);
}

/* The resolver hangs; the loop goes on, and so does who has lost patience. */
TEST(a_hanging_resolver_holds_nobody_up)
{
	struct loop    *loop = open_loop();
	struct asked    a = { 0 };
	struct resolve *r = NULL, *other = NULL;
	unsigned        before = descriptors();
	int             now = 0;

	alarm(20); /* what hangs here, hangs for ever */
	pthread_mutex_lock(&gate);
	now = done;
	EXPECT_INT(resolve_start(&r, loop, "two", 0, on_answer, &a), ERR_OK);
	EXPECT_INT(resolve_start(&other, loop, "two", 0, on_answer, &a),
	    ERR_OK);
	for (int i = 0; i < 5; i++) {
		loop_after(loop, &a.tick, 1, on_tick, &a);
		EXPECT_INT(loop_turn(loop, -1, NULL), ERR_OK);
	}
	EXPECT(a.ticks > 0);
	EXPECT_INT(a.answers, 0);
	resolve_cancel(&other);
	EXPECT(other == NULL);
	resolve_cancel(&other);
	pthread_mutex_unlock(&gate);
	until_answered(loop, &a);
	EXPECT_STR(a.address, "2001:db8::1");
	/* the other's thread ends by itself, and answers nobody */
	for (bool ended = false; !ended;) {
		pthread_mutex_lock(&gate);
		ended = done == now + 2 && descriptors() <= before;
		pthread_mutex_unlock(&gate);
		sched_yield();
	}
	EXPECT_INT(a.answers, 1);
	alarm(0);
	loop_free(&loop);
}

int
main(void)
{
	RUN(numbers_need_no_question);
	RUN(each_address_has_its_turn);
	RUN(a_name_without_address_says_so);
	RUN(a_hanging_resolver_holds_nobody_up);
	return test_done();
}
