// links: apid/address.c
/* What is public, and the neighbours of what is not. */
#include "test.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "address.h"

static bool
is_public(const char *text)
{
	struct sockaddr_storage a = { 0 };
	struct sockaddr_in     *four = (struct sockaddr_in *)&a;
	struct sockaddr_in6    *six = (struct sockaddr_in6 *)&a;

	if (inet_pton(AF_INET, text, &four->sin_addr) == 1)
		a.ss_family = AF_INET;
	else {
		EXPECT(inet_pton(AF_INET6, text, &six->sin6_addr) == 1);
		a.ss_family = AF_INET6;
	}
	return address_is_public((struct sockaddr *)&a);
}

TEST(public)
{
	static const char *const rows[] = { "1.1.1.1", "9.255.255.255",
		"11.0.0.1", "100.63.255.255", "100.128.0.0", "126.1.1.1",
		"128.0.0.1", "169.253.1.1", "172.15.255.255", "172.32.0.0",
		"192.0.1.1", "192.167.1.1", "198.17.0.1", "198.20.0.1",
		"223.255.255.255", "2400:cb00::1", "2001:200::1",
		"2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8",
		"2002:808:808::1" };

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (!is_public(rows[i])) {
			printf("# %s\n", rows[i]);
			EXPECT(false);
		}
}

TEST(not_public)
{
	static const char *const rows[] = { "0.0.0.0", "0.1.2.3", "10.0.0.1",
		"10.255.255.255", "100.64.0.1", "100.127.255.255",
		"127.0.0.1", "127.255.255.254", "169.254.169.254",
		"172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1",
		"192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255",
		"198.51.100.7", "203.0.113.7", "224.0.0.1", "240.0.0.1",
		"255.255.255.255", "::", "::1", "::127.0.0.1",
		"::ffff:127.0.0.1", "::ffff:10.1.2.3", "64:ff9b::10.0.0.1",
		"64:ff9b:1::1", "100::1", "2001::1", "2001:1ff::1",
		"2001:db8::1", "2002:7f00:1::1", "3fff::1", "fc00::1",
		"fd12::1", "fe80::1", "fec0::1", "ff02::1", "4000::1" };

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (is_public(rows[i])) {
			printf("# %s\n", rows[i]);
			EXPECT(false);
		}
	EXPECT(!address_is_public(
	    &(struct sockaddr){ .sa_family = AF_UNIX }));
}

int
main(void)
{
	RUN(public);
	RUN(not_public);
	return test_done();
}
