/*
 * life: the inside of a call, for the files that its life is told in:
 * request.c (from its arrival to its end), lines.c (where it waits), forms.c
 * (in another form), reviews.c, commits.c (what is due once a turn), and
 * attach.c (files).
 */
#ifndef LIFE_H
#define LIFE_H

#include "attach.h"
#include "request.h"

enum state {
	IN_LINE, WANTS_SESSION, WANTS_TOKEN, WANTS_FILES, WANTS_LIMIT, WANTS_PLACE,
	WANTS_FILE, WANTS_RECORD, SENDING, PAUSING, WANTS_REVIEW, HANDING_OVER
};

/* One who waits for the outcome. */
struct asker {
	struct asker *next;
	size_t        npeer, nid;
	bool          told;
	char          bytes[];    /* peer, id */
};

/* The calls of one conversation, first to leave first. */
struct lane {
	struct table_entry entry;   /* first: found by it */
	struct request    *first, *last;
	char               name[];
};

struct request {
	struct table_entry    entry;   /* first: found by it */
	struct requests      *owner;
	struct request       *before, *after;            /* of all */
	struct request       *lane_next, *token_next, *place_next, *held_next;
	struct lane          *lane;
	struct bot           *bot;
	const struct call_operation *operation;
	const char           *scope;
	enum state            state;
	bool                  whole, known, refused;
	bool                  appears;    /* and is recorded, therefore */
	bool                  guild;      /* to a channel, or as dm */
	bool                  replies;    /* it answers something */
	bool                  begun;      /* the record says so */
	bool                  left;       /* this try is at the platform */
	bool                  held;       /* until a commit */
	const struct catalog_row *row;
	enum call_scope       to;
	struct pace_call      pace;
	uint64_t              audit_wait_ms;
	/* It is in another form than was asked for, and why. */
	bool                  plain, unasked;
	uint64_t              plain_after, unasked_after;
	char                  audit[128];   /* it is under review */
	struct buf            own_body;
	struct attachment     files;
	struct attempt        attempt;
	struct attempt_rules  rules;
	struct asker         *askers;
	uint64_t              began_ms, generation, answers;
	uint64_t              give_up_ms;
	int64_t               window_ms;  /* its end, by steady_ms(); 0: none */
	struct timer          timer;
	struct http_request   http;
	struct slice          body;
	size_t                bytes;
	/* What the last answer said. */
	enum result           result;
	unsigned              status;
	uint64_t              code;
	struct buf            data;
	char                  trace[128], message[256];
	const char           *url;
	char                  store[];      /* key, conv, url, body */
};


/* --- request.c --- */

/* What is said of a send that an earlier run had begun. */
extern const char request_unknown[];
/* Milliseconds since 1970 by a clock that nobody sets; the day in Beijing. */
int64_t requests_steady_ms(const struct requests *);
int64_t requests_today(void);

/* It is this call's turn. */
void request_go(struct request *);
/* Its timer. */
void request_wait_until(struct request *, uint64_t at_ms);
/* It has a token and a place: its tokens are taken, or it stands in line. */
void request_ask_limit(struct request *);
void request_submit(struct request *);
/* What became of a call in an earlier run, or before. */
enum sent_state request_was(struct requests *, struct slice key,
    enum attempt_part, struct sent_outcome *);
/* Nothing of it has reached anybody: the record need not say that it has. */
void request_unsay(struct request *);
/* It has come to this; then who asked is told, as soon as may be. */
void request_finish(struct request *, enum result);
void request_tell_all(struct request *);
void request_hand_over(struct request *);
/* As much as fits, whole characters. */
void request_copy(char *to, size_t size, struct slice);

/* --- lines.c --- */

struct lane *lane_of(struct requests *, struct slice name);
/* The one at its head has its outcome: the next may leave. */
void lane_leave(struct request *);
void token_enter(struct request *);
void token_leave(struct request *);
void held_enter(struct request *);
void held_leave(struct request *);
/* Among those under way. */
bool has_place(const struct requests *);
void place_enter(struct request *);
void place_leave(struct request *);

/* --- forms.c --- */

/* The body that it is sent with from now on; taken. */
void request_use_body(struct request *, struct buf *);
/* As a message that answers nothing, in time of its own; once.  code: what the
 * platform said, 0 when the window was over here.  False: that is not for
 * it. */
bool request_make_unasked(struct request *, uint64_t code);
/* As plain text; once. */
bool request_make_plain(struct request *, uint64_t code);
/* The platform has surely not sent it, and would not: it may be another now. */
bool request_change_form(struct request *, const struct reply *);

/* --- reviews.c --- */

/* The platform holds it under this id, if it is one. */
void request_note_audit(struct request *, struct slice id);

/* --- commits.c --- */

enum err requests_open_turns(struct requests *);
/* Nobody waits for it, but it shall not be lost either. */
void requests_commit_soon(struct requests *);

#endif
