/*
 * http: requests to the platform, many at once, over connections that are
 * kept.  The one file that knows libcurl.
 *
 * https is always verified; http goes to loopback only and through no proxy;
 * nothing is redirected.  A request lives in its owner's struct; its end is
 * told from the loop, never from within http_start().
 */
#ifndef HTTP_H
#define HTTP_H

#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "loop.h"

struct http;
struct http_slot;

enum { HTTP_BODY_MAX = 4 << 20, HTTP_CONNECT_MS = 5000 };

struct http_options {
	size_t      connections;   /* requests under way at once */
	uint64_t    timeout_ms;    /* of one request */
	const char *ca_file;       /* "" or NULL: the system's */
	/* Only addresses that anybody may reach (address.h), and no proxy. */
	bool        guard;
};

/* Header lines, shared by any number of requests. */
struct http_headers;

struct http_answer {
	enum err     err;       /* OK: a whole answer */
	unsigned     status;    /* also of an answer that broke off; or 0 */
	bool         reached;   /* the peer may have seen the request */
	struct slice body, trace;
	/* Header values; empty when absent or longer than is kept. */
	struct slice retry_after, type, location;
	struct slice token;     /* what the request was authorised with */
	const char  *why;       /* with an error: the library's words */
};

/* A range of a file, read as it is sent: nothing of it stays in memory. */
struct http_file {
	int      fd;
	uint64_t at, n;
	/* May be NULL.  Bytes of the range from offset on, in order; offset 0
	 * again: it is sent anew. */
	void   (*on_read)(void *self, uint64_t offset, struct slice);
	void    *self;
};

/* A field of a multipart form: text, or a file with its name and type. */
struct http_field {
	const char             *name;
	struct slice            text;
	const struct http_file *file;        /* NULL: text */
	const char             *file_name, *mime;
};

struct http_form {
	const struct http_field *fields;
	size_t                   n;
};

/* Takes the body of a success as it comes; of other answers it is kept. */
struct http_sink {
	uint64_t   max;                      /* bytes; more is TOO_LARGE */
	enum err (*on_bytes)(void *self, struct slice);
	void      *self;
};

struct http_request {
	/* The owner's; all must stay until on_done. */
	const char          *method, *url;
	/* One of the three. */
	struct slice            body;
	const struct http_file *file;    /* with PUT */
	const struct http_form *form;    /* with POST; its own Content-Type */
	const struct http_sink *sink;    /* NULL: the answer's body is kept */
	struct http_headers *headers;    /* referenced while it runs */
	/* http://HOST:PORT; "": none; NULL: the environment's, but for what
	 * its no_proxy names.  Of https only. */
	const char          *proxy;
	uint64_t             until_ms;   /* not begun at or after; 0: always */
	uint64_t             most_ms;    /* shorter than others; 0: as they */
	uint64_t             slow_ms;    /* longer than others; 0: as they */
	unsigned             stall_s;    /* without a byte; 0: any time */
	bool                 once;       /* never sent twice by the library */
	bool                 urgent;     /* waits for no connection */
	/* May be NULL.  Its connection stands, and its first byte leaves now;
	 * again when the library sends it anew. */
	void               (*on_leave)(void *self);
	/* The answer's slices are good until it returns. */
	void               (*on_done)(void *self, const struct http_answer *);
	void                *self;
	/* Ours. */
	struct http_slot    *slot;
	struct http_request *next;
	bool                 waiting;
};

enum err http_new(struct http **, struct loop *, const struct http_options *);
void http_free(struct http **);

/* NOMEM, SYNTAX (an address that may not be asked).  on_done comes once for
 * each success here, unless it is cancelled.  FORBIDDEN there: the guard;
 * STALE: a file that has become shorter. */
enum err http_start(struct http *, struct http_request *);
void http_cancel(struct http *, struct http_request *);

/* What is under way, and what waits for a connection. */
size_t http_running(const struct http *);
size_t http_waiting(const struct http *);

/* Lines end with NULL.  They may hold a token: wiped when they go. */
struct http_headers *http_headers_new(const char *const *lines);
void http_headers_free(struct http_headers **);

#endif
