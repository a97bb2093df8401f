/*
 * call: one request to the platform's API on its way to an answer.  Shared by
 * the files that answer: rest.c, message.c, stream_send.c,
 * upload_calls.c, things.c, guild.c, content.c, group.c.
 */
#ifndef CALL_H
#define CALL_H

#include "audit.h"
#include "multipart.h"
#include "route.h"
#include "sim.h"

enum { TRACE_LEN = 32 };
#define CALL_JSON "application/json"

struct call {
	struct sim           *sim;
	struct exchange      *exchange;
	const struct request *request;
	const struct route   *route;
	struct bot           *bot;
	struct slice          args[ROUTE_ARGS_MAX];
	struct json          *body;       /* an object that has its form */
	int64_t               now_us;
	uint64_t              wire;       /* its serial there */
	char                  head[64];   /* a further header line, CR LF */
	char                  trace[TRACE_LEN + 1];
};

typedef void route_fn(struct call *);

/* --- answers: each ends the call ---------------------------------------- */

void call_answer_text(struct call *, int status, const char *type,
    struct slice body);
/* Takes the document. */
void call_answer(struct call *, int status, struct json *);
/* With the route's status of success, and nothing but that for NULL and for
 * 204.  Takes the document. */
void call_done(struct call *, struct json *);
/* The same with an object that stays its owner's. */
void call_show(struct call *, const struct json *);
void call_error(struct call *, int status, int64_t code, const char *message);
void call_refuse(struct call *, const struct refusal *);
/* A refusal in the words of the route's family. */
void call_wrong(struct call *, enum form_verdict, const char *why);
/* There is no such object. */
void call_missing(struct call *);
void call_drop(struct call *, bool hang);

/* --- what comes later --------------------------------------------------- */

void call_answer_later(struct call *, int64_t ms, int status, struct json *);
/* The whole call again after that time, with another function. */
void call_again_later(struct call *, int64_t ms, route_fn *);
/* Nobody is answered any more. */
void call_forget_all(struct sim *);

/* --- faults ------------------------------------------------------------- */

bool call_strike(struct call *, enum fault_name, struct fault *);
/* An HTTP status of a server that has no more to say about it. */
void call_answer_fault(struct call *, const struct fault *, int64_t status,
    int64_t code);
/* status, close or hang. */
bool call_outage(struct call *, enum fault_name, int64_t status);
/* An answer in the fault's own words. */
bool call_says(struct call *, enum fault_name);

/* A Retry-After header in the form that the fault asks for. */
void call_retry_after(struct call *, const struct fault *, unsigned seconds);

/* --- shared ------------------------------------------------------------- */

/* The platform tells the bot of a change.  Takes d. */
void call_tell(struct call *, const char *type, struct json *d);
/* The value of a parameter of the query; empty when it is not there. */
struct slice call_query(const struct call *, const char *name);
/* The same as a number, or what it is without. */
uint64_t call_query_number(const struct call *, const char *name,
    uint64_t otherwise);
/* A member of the body as text; empty when it is not there. */
struct slice call_text(const struct call *, const char *name);
/* false: it has not its form, and was refused. */
bool call_check_body(struct call *);
/* The world of the call's bot. */
struct world *call_world(const struct call *);
/* Now, RFC 3339. */
struct slice call_time(const struct call *, char out[32]);

/* --- message.c ---------------------------------------------------------- */

/* The chat page has the message again, which reads like this now. */
void message_show(struct call *, const struct message *,
    const struct json *body);
/* What the faults make of a request to send, before it is performed (true:
 * it is answered), and of its answer afterwards; takes the answer. */
bool message_fault(struct call *);
void message_done(struct call *, struct json *answer);

/* --- what each operation does: one per fn of routes.def ------------------ */

/* rest.c */
route_fn on_token, on_gateway, on_gateway_bot, on_me;
/* message.c */
route_fn on_send, on_recall, on_message_get, on_messages_list,
    on_message_edit, on_setting_guide, on_interaction;
/* stream_send.c */
route_fn on_stream;
/* upload_calls.c */
route_fn on_files, on_upload_prepare, on_upload_part_finish, on_part_put;
/* things.c */
route_fn on_get, on_list, on_page, on_update, on_delete, on_touch;
/* guild.c */
route_fn on_guilds, on_dm_create, on_url_link, on_channel_create,
    on_online_nums, on_members, on_role_members, on_roles, on_role_set,
    on_member_role, on_permissions_get, on_permissions_set, on_mute,
    on_audio, on_grants, on_grant_demand;
/* content.c */
route_fn on_schedules, on_schedule_set, on_threads, on_thread_get,
    on_thread_create, on_thread_comment, on_reaction_add,
    on_reaction_remove, on_reaction_users, on_pin_add, on_pin_delete,
    on_pins_get, on_announce, on_unannounce;
/* group.c */
route_fn on_group_members_v1, on_group_members_remove, on_blacklist_update,
    on_join_decide, on_restrict_set, on_strategy_create, on_strategy_update,
    on_strategy_whitelist, on_menu_get, on_menu_set, on_panels,
    on_panel_create, on_panel_update, on_panel_target;

#endif
