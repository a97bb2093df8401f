// links: cli/web.c common
/*
 * Addresses of the simulator, and what a WebSocket brings: the far end of a
 * pair of sockets is ours.
 */
#include "test.h"

#include <sys/socket.h>

#include <stdlib.h>
#include <unistd.h>

#include "web.h"

static const struct {
	const char *url, *host, *port;          /* host NULL: refused */
} addresses[] = {
	{ "http://127.0.0.1:8484/", "127.0.0.1", "8484" },
	{ "http://127.0.0.1:8484", "127.0.0.1", "8484" },
	{ "http://[::1]:80/x/y", "::1", "80" },
	{ "http://sim:8484/", "sim", "8484" },
	{ "https://127.0.0.1:8484/", NULL, NULL },
	{ "http://127.0.0.1/", NULL, NULL },
	{ "http://:8484/", NULL, NULL },
	{ "http://[]:8484/", NULL, NULL },
	{ "http://a:123456789/", NULL, NULL },
	{ "http://", NULL, NULL },
	{ "", NULL, NULL },
};

TEST(addresses)
{
	for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
		struct web w = { "", "" };
		bool       good = web_at(&w, slice_of(addresses[i].url));

		EXPECT_INT(good, addresses[i].host != NULL);
		if (good && addresses[i].host != NULL) {
			EXPECT_STR(w.host, addresses[i].host);
			EXPECT_STR(w.port, addresses[i].port);
		}
	}
}

#define BYTES(lit) { (lit), sizeof(lit) - 1 }

static const struct {
	struct slice bytes;
	const char  *texts;     /* each in brackets */
	enum err     end;       /* what the last question answers */
} streams[] = {
	{ BYTES(""), "", ERR_AGAIN },
	{ BYTES("\x81\x02hi"), "[hi]", ERR_AGAIN },
	{ BYTES("\x81\x02h"), "", ERR_AGAIN },
	{ BYTES("\x81"), "", ERR_AGAIN },
	{ BYTES("\x81\x00"), "[]", ERR_AGAIN },
	{ BYTES("\x81\x01" "a\x81\x01" "b"), "[a][b]", ERR_AGAIN },
	{ BYTES("\x01\x01" "a\x00\x01" "b\x80\x01" "c"), "[abc]", ERR_AGAIN },
	{ BYTES("\x01\x01" "a\x89\x01p\x80\x01" "c"), "[ac]", ERR_AGAIN },
	{ BYTES("\x81\x7e\x00\x02hi"), "[hi]", ERR_AGAIN },
	{ BYTES("\x81\x7f\0\0\0\0\0\0\x00\x02hi"), "[hi]", ERR_AGAIN },
	{ BYTES("\x81\x7f\0\0\0\0"), "", ERR_AGAIN },
	{ BYTES("\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff"), "",
	    ERR_TOO_LARGE },
	{ BYTES("\x81\x02hi\x88\x02\x03\xe8"), "[hi]", ERR_CLOSED },
	{ BYTES("\x81\x82\0\0\0\0hi"), "", ERR_CLOSED },
	{ BYTES("\x8a\x00\x81\x01" "a"), "[a]", ERR_AGAIN },
	{ BYTES("\x89\x7e\x00\x7e"), "", ERR_AGAIN },
};

/* Fed so many bytes at once. */
static enum err
hear(struct web_ear *ear, int far, struct slice bytes, size_t step,
    struct buf *texts)
{
	enum err e = ERR_AGAIN;

	for (size_t at = 0; at < bytes.n && e == ERR_AGAIN; at += step) {
		size_t       n = bytes.n - at < step ? bytes.n - at : step;
		struct slice text;

		EXPECT(write(far, bytes.p + at, n) == (ssize_t)n);
		e = web_read(ear);
		while (e == ERR_OK && (e = web_next(ear, &text)) == ERR_OK) {
			buf_puts(texts, "[");
			buf_put(texts, text);
			buf_puts(texts, "]");
		}
	}
	return e;
}

TEST(frames_in_any_pieces)
{
	for (size_t i = 0; i < sizeof streams / sizeof *streams; i++)
		for (size_t step = 1; step < 20; step += 6) {
			struct web_ear ear = { 0 };
			struct buf     texts = { 0 };
			int            fds[2];

			EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
			ear.fd = fds[0];
			EXPECT_INT(hear(&ear, fds[1], streams[i].bytes, step,
			    &texts), streams[i].end);
			EXPECT_STR(texts.p != NULL ? texts.p : "",
			    streams[i].texts);
			web_close(&ear);
			buf_free(&texts);
			close(fds[1]);
		}
}

TEST(a_ping_has_its_pong)
{
	static const char wanted[] = "\x8a\x82\0\0\0\0hi";
	struct web_ear    ear = { 0 };
	struct buf        texts = { 0 };
	char              got[32];
	int               fds[2];

	EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	ear.fd = fds[0];
	EXPECT_INT(hear(&ear, fds[1], SLICE("\x89\x02hi"), 4, &texts),
	    ERR_AGAIN);
	EXPECT_INT(read(fds[1], got, sizeof got), sizeof wanted - 1);
	EXPECT(memcmp(got, wanted, sizeof wanted - 1) == 0);
	close(fds[1]);
	EXPECT_INT(web_read(&ear), ERR_CLOSED);
	web_close(&ear);
	buf_free(&texts);
}

TEST(nobody_is_there)
{
	struct web     w = { "127.0.0.1", "1" };
	struct web_ear ear;
	struct json   *answer = NULL;
	int            status = 0;

	EXPECT_INT(web_ask(&w, "GET", "/", NULL, &status, &answer),
	    ERR_NOT_FOUND);
	EXPECT(answer == NULL);
	EXPECT_INT(web_listen(&ear, &w, "/"), ERR_NOT_FOUND);
}

int
main(void)
{
	RUN(addresses);
	RUN(frames_in_any_pieces);
	RUN(a_ping_has_its_pong);
	RUN(nobody_is_there);
	return test_done();
}
