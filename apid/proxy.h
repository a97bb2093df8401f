/*
 * proxy: the way out of this network, for the sessions, which libcurl does not
 * make: what it would do with the same settings.  Rules only.
 */
#ifndef PROXY_H
#define PROXY_H

#include "buf.h"
#include "err.h"

/* Does a list like no_proxy name this host?  Names and addresses, separated by
 * commas or spaces; a name also stands for all below it; * for every host. */
bool proxy_is_excepted(const char *list, struct slice host);

/* Appends [user:password@]host:port of an address like that in https_proxy,
 * its scheme left out or http.  SYNTAX: it is none; FORBIDDEN: another kind of
 * proxy, which only requests can take.  NOMEM. */
enum err proxy_read(struct slice address, struct buf *);

#endif
