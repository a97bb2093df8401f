/*
 * date: the platform's dates, read as leniently as they are written.
 */
#ifndef DATE_H
#define DATE_H

#include <stdint.h>

#include "slice.h"

/* RFC 3339, "2026-01-02 03:04:05.6 +0800 CST ...", or seconds or milliseconds
 * since 1970, as text; -> ms since 1970, 0 when it is none of them, or
 * before. */
int64_t date_ms(struct slice);
/* "Wed, 21 Oct 2099 07:28:00 GMT", as RFC 9110 wants it; the same. */
int64_t date_http_ms(struct slice);

#endif
