// links: apid/proxy.c common
/* Proxies as the environment names them. */
#include "test.h"

#include "proxy.h"

TEST(which_hosts_go_without)
{
	static const struct {
		const char *list, *host;
		bool        excepted;
	} rows[] = {
		{ "", "a.example.org", false },
		{ " , ", "a.example.org", false },
		{ "*", "a.example.org", true },
		{ "a.example.org", "a.example.org", true },
		{ "A.Example.ORG", "a.example.org", true },
		{ "example.org", "a.example.org", true },
		{ ".example.org", "a.example.org", true },
		{ ".example.org", "example.org", true },
		{ "ample.org", "a.example.org", false },
		{ "a.example.org", "example.org", false },
		{ "localhost,127.0.0.1 , example.org", "a.example.org", true },
		{ "localhost,127.0.0.1", "127.0.0.1", true },
		{ "127.0.0.1", "127.0.0.10", false },
		{ ".", "example.org", false },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		bool got = proxy_is_excepted(rows[i].list,
		    slice_of(rows[i].host));

		if (got != rows[i].excepted)
			printf("# %s %s\n", rows[i].list, rows[i].host);
		EXPECT_INT(got, rows[i].excepted);
	}
}

TEST(what_an_address_means)
{
	static const struct {
		const char *address;
		enum err    e;
		const char *is;
	} rows[] = {
		{ "http://proxy.example:3128", ERR_OK, "proxy.example:3128" },
		{ "HTTP://proxy.example:3128/", ERR_OK, "proxy.example:3128" },
		{ "proxy.example:3128/x?y", ERR_OK, "proxy.example:3128" },
		{ "http://proxy.example", ERR_OK, "proxy.example:1080" },
		{ "http://[::1]:8080", ERR_OK, "[::1]:8080" },
		{ "http://[::1]", ERR_OK, "[::1]:1080" },
		{ "http://me:word@p:1", ERR_OK, "me:word@p:1" },
		{ "me:w%40r%2Fd%3a%zz%4@p:1", ERR_OK, "me:w@r/d:%zz%4@p:1" },
		{ "http://me:w@rd@p:1", ERR_OK, "me:w@rd@p:1" },
		{ "socks5://p:1", ERR_FORBIDDEN, NULL },
		{ "https://p:1", ERR_FORBIDDEN, NULL },
		{ "", ERR_SYNTAX, NULL },
		{ "http://", ERR_SYNTAX, NULL },
		{ "http://:3128", ERR_SYNTAX, NULL },
		{ "http://p:", ERR_SYNTAX, NULL },
		{ "http://p:0", ERR_SYNTAX, NULL },
		{ "http://p:65536", ERR_SYNTAX, NULL },
		{ "http://p:1x", ERR_SYNTAX, NULL },
		{ "http://[::1", ERR_SYNTAX, NULL },
		{ "http://[::1]x", ERR_SYNTAX, NULL },
		{ "me@", ERR_SYNTAX, NULL },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf b = { 0 };
		enum err   e = proxy_read(slice_of(rows[i].address), &b);

		if (e != rows[i].e)
			printf("# %s\n", rows[i].address);
		EXPECT_INT(e, rows[i].e);
		if (e == ERR_OK)
			EXPECT_SLICE(buf_slice(&b), rows[i].is);
		buf_free(&b);
	}
}

int
main(void)
{
	RUN(which_hosts_go_without);
	RUN(what_an_address_means);
	return test_done();
}
