/*
 * address: which addresses of the network anybody may be sent to.  No I/O.
 */
#ifndef ADDRESS_H
#define ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

/* False for what is private, of this machine or link, multicast, reserved or
 * for documentation; IPv4 inside of IPv6 counts as what it is. */
bool address_is_public(const struct sockaddr *);

#endif
