/*
 * send: would the platform take this message?  What goes with what, the rules
 * for replies, the refusal of doubles; that the body has its form is known.
 * Judges, and on acceptance writes it into the ledger.  No I/O.
 */
#ifndef SEND_H
#define SEND_H

#include "ledger.h"

struct refusal {
	int         status;
	unsigned    code;
	const char *name, *message;
};

#define REFUSAL(name, status, code, message)                                 \
	extern const struct refusal refusal_##name;
#include "refusals.def"
#undef REFUSAL

struct send_rules {
	uint64_t c2c_window_s, group_window_s, c2c_replies, group_replies;
	uint64_t files;           /* uploads made so far: known file_infos */
};

enum { SEND_TYPE_NONE = -1, SEND_TEXT = 0, SEND_MARKDOWN = 2, SEND_ARK = 3,
	SEND_EMBED = 4, SEND_INPUT = 6, SEND_MEDIA = 7 };

struct send {
	/* in */
	const char        *bot;
	enum scope         scope;
	struct slice       target, text;  /* text: the body as it came */
	const struct json *body;          /* the same; its form was checked */
	bool               stream;        /* the first part of one */
	int64_t            now_us;
	/* out */
	struct conversation *conversation;
	struct event      *event;         /* NULL: active */
	int64_t            type, seq;     /* seq 0: the scope has none */
	bool               visible;
	unsigned           wakes;         /* the period of a wakeup, a bit */
};

/* NULL: the platform would take it.  Counts refusals and violations. */
const struct refusal *send_judge(struct ledger *, const struct send_rules *,
    struct send *);
/* Takes it: the ledger knows the reply, its msg_seq and the message, which
 * has this id.  *out is NULL for what nobody sees. */
enum err send_take(struct ledger *, const struct send *, struct slice id,
    int64_t wall_ms, struct message **out);
/* A file_info that judges will know until then; 0: for ever. */
size_t send_file_info(char *out, size_t size, enum scope, uint64_t serial,
    int64_t ends_ms);

/* What a person reads of a body; a loan from it. */
struct slice send_words(const struct json *body);

#endif
