/*
 * Tables of what is not public, from the registries of special addresses
 * (RFC 6890 and what came after).  Of IPv6 only what is given out as global is
 * taken at all.
 */
#include "address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <stdint.h>
#include <string.h>

static const struct {
	uint32_t net;
	unsigned bits;
} v4[] = {
	{ 0x00000000, 8 },    /* this network */
	{ 0x0a000000, 8 },    /* private */
	{ 0x64400000, 10 },   /* between carrier and customer */
	{ 0x7f000000, 8 },    /* this machine */
	{ 0xa9fe0000, 16 },   /* this link; where clouds keep credentials */
	{ 0xac100000, 12 },   /* private */
	{ 0xc0000000, 24 },   /* protocols */
	{ 0xc0000200, 24 },   /* documentation */
	{ 0xc0586300, 24 },   /* relays of 6to4 */
	{ 0xc0a80000, 16 },   /* private */
	{ 0xc6120000, 15 },   /* benchmarks */
	{ 0xc6336400, 24 },   /* documentation */
	{ 0xcb007100, 24 },   /* documentation */
	{ 0xe0000000, 3 },    /* multicast, reserved, broadcast */
};

static const struct {
	unsigned char net[16];
	unsigned      bits;
	bool          public;
	int           inner;    /* where an IPv4 address stands; 0: none */
} v6[] = {                                  /* the first that fits counts */
	{ { [10] = 0xff, 0xff }, 96, true, 12 },
	{ { 0x00, 0x64, 0xff, 0x9b }, 96, true, 12 },
	{ { 0x20, 0x02 }, 16, true, 2 },
	{ { 0x20, 0x01, 0x0d, 0xb8 }, 32, false, 0 },
	{ { 0x20, 0x01, 0x00 }, 23, false, 0 },
	{ { 0x3f, 0xff, 0x00 }, 20, false, 0 },
	{ { 0x20 }, 3, true, 0 },
};

static bool
v4_is_public(const unsigned char *p)
{
	uint32_t a = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	    (uint32_t)p[2] << 8 | p[3];

	for (size_t i = 0; i < sizeof v4 / sizeof *v4; i++)
		if ((a ^ v4[i].net) >> (32 - v4[i].bits) == 0)
			return false;
	return true;
}

static bool
is_in(const unsigned char *a, const unsigned char *net, unsigned bits)
{
	unsigned rest = bits % 8;

	if (memcmp(a, net, bits / 8) != 0)
		return false;
	return rest == 0 ||
	    (a[bits / 8] ^ net[bits / 8]) >> (8 - rest) == 0;
}

static bool
v6_is_public(const unsigned char *p)
{
	for (size_t i = 0; i < sizeof v6 / sizeof *v6; i++)
		if (is_in(p, v6[i].net, v6[i].bits))
			return v6[i].public && (v6[i].inner == 0 ||
			    v4_is_public(p + v6[i].inner));
	return false;
}

bool
address_is_public(const struct sockaddr *a)
{
	struct sockaddr_in  four;
	struct sockaddr_in6 six;

	if (a->sa_family == AF_INET) {
		memcpy(&four, a, sizeof four);
		return v4_is_public((const unsigned char *)&four.sin_addr);
	}
	if (a->sa_family != AF_INET6)
		return false;
	memcpy(&six, a, sizeof six);
	return v6_is_public(six.sin6_addr.s6_addr);
}
