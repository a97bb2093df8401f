/*
 * settings: which configuration rules, and what each child is told of it.
 *
 * The simulator, where it is used, leaves its address and credentials in
 * sim.env; they stand in for the QQ_* settings then.  App secrets are kept in
 * a vault from the first moment; no child finds one in its environment.
 */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "buf.h"
#include "conf.h"

enum service_id {
#define SERVICE(id, ...) SERVICE_ID_##id,
#include "services.def"
#undef SERVICE
	SERVICE_IDS
};

struct service_kind {
	const char      *name, *program;
	enum conf_reader reader;
	bool             many, retires;
	unsigned         stop_by, rank;
	const char      *meaning;
};
const struct service_kind *service_kind(enum service_id);

struct settings {
	struct conf conf;
	struct conf sim;           /* of sim.env; valid when has_sim */
	char       *sim_env;       /* its path */
	int         secret, sim_secret;    /* vaults, or -1 */
	bool        asked_sim;     /* --sim */
	bool        runs_sim;      /* a child of ours */
	bool        needs_sim;     /* ours or another's: wait for its file */
	bool        has_sim;
	uint64_t    hash;          /* of all settings but secrets */
	char        handlers_print[20];    /* of the list of handlers */
	bool        has_unseen;    /* a secret that no child was told of */
	bool        has_was;       /* a reload may still be taken back */
	struct conf was;
	int         was_secret;
	struct buf  trouble;       /* what was read last is not in force, and
	                              why; empty: it is */
};

/* CONFIG: the problems are logged, and nothing must be started. */
enum err settings_open(struct settings *, bool asked_sim);
void settings_close(struct settings *);
/* Reads everything again; on CONFIG nothing has changed.  *secret_changed: the
 * children that hold it must be replaced. */
enum err settings_reload(struct settings *, bool *secret_changed);

/* A reload has proved good, and cannot be taken back any more; or is: what was
 * in force before it is again. */
void settings_keep(struct settings *);
void settings_take_back(struct settings *, bool *secret_changed);
/* why: a sentence of what was read last. */
void settings_note_trouble(struct settings *, const char *why);

/* Is the simulator's file there? */
bool settings_sim_is_there(const struct settings *);
enum err settings_load_sim(struct settings *, bool *secret_changed);

/* Is this service part of the system?  A simulator alone beside real
 * credentials is not. */
bool settings_runs(const struct settings *, enum service_id);
/* All that its environment depends on is known. */
bool settings_know(const struct settings *, enum service_id);
/* A bot's credentials are configured. */
bool settings_have_bot(const struct settings *);

/* NAME=value strings, each ending in NUL, for this child.  secret_fd: where it
 * finds its vault, or -1. */
void settings_environment(const struct settings *, enum service_id,
    const char *child_name, int socket_fd, int secret_fd, struct buf *);
/* The vault that our own environment names, for a program in our place; -1:
 * none.  And in that program: the old vaults, this one and the one the children
 * were given, are let go. */
int settings_named_vault(const struct settings *);
void settings_resume(struct settings *, int given);
/* The vault this service is given; -1: none. */
int settings_vault(const struct settings *, enum service_id);
/* Where a person chats with the bot; the caller's to free; NULL: nowhere. */
char *settings_chat_url(const struct settings *);

#endif
