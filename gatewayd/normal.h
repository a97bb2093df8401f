/*
 * normal: the platform's event -> ours, by events.def.  The same for both
 * ways in.  Lenient: whatever is missing or of another type is left out; an
 * event is never refused for what it holds.
 */
#ifndef NORMAL_H
#define NORMAL_H

#include "messages.h"
#include "payload.h"

struct normal_rules {
	uint64_t c2c_window_ms, group_window_ms;
	uint64_t c2c_replies, group_replies;
};

struct normal_context {
	const struct normal_rules *rules;
	const char *bot;          /* app id */
	const char *user;         /* the bot's own user id in guilds, or "" */
	const char *shard;        /* "0/1" or "webhook" */
	int64_t     now_ms;       /* since 1970: windows count from arrival */
};

/* Where the parts that had to be made live; reuse it, free it at the end. */
struct normal_scratch {
	struct buf id, type, conv, text, attachments, mentions, quote, data;
};

/* p: a dispatch.  The event's loans are good as long as p, its text and the
 * scratch are left alone.  NOMEM. */
enum err normal_event(const struct payload *p, const struct normal_context *,
    struct normal_scratch *, struct msg_event *);
void normal_free(struct normal_scratch *);

/* READY and RESUMED are the session's own, not events. */
bool normal_is_session(struct slice type);

/* The table, for tests and pages. */
struct normal_row {
	const char *name, *type, *conv, *user;
	enum { TEXT_NO, TEXT_PLAIN, TEXT_GUILD } text;
	enum { REPLY_NO, REPLY_MSG, REPLY_EVENT } reply;
	size_t nname;
};
const struct normal_row *normal_row(struct slice name);
size_t normal_rows(const struct normal_row **);

#endif
