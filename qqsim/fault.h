/*
 * fault: what shall go wrong.  A list of armed faults; whoever comes to a
 * point asks whether one strikes.  faults.def is the table.  No I/O, time
 * handed in.
 */
#ifndef FAULT_H
#define FAULT_H

#include <stdint.h>

#include "json.h"

enum fault_point {
	POINT_NOW, POINT_CONNECT, POINT_IDENTIFY, POINT_RESUME, POINT_BEAT,
	POINT_EVENT, POINT_GATEWAY, POINT_TOKEN, POINT_API, POINT_SEND,
	POINT_FILE, POINT_WEBHOOK
};

enum fault_name {
#define FAULT(name, point, arguments, meaning) FAULT_##name,
#include "faults.def"
#undef FAULT
	FAULT_COUNT
};

struct fault_info {
	const char      *name;
	enum fault_point point;
	const char      *point_name, *arguments, *meaning;
};
extern const struct fault_info fault_infos[FAULT_COUNT];

enum fault_d { FAULT_D_FALSE, FAULT_D_TRUE, FAULT_D_ABSENT };

struct fault {
	struct fault   *next;
	enum fault_name name;
	uint64_t        left;       /* strikes; 0: until ends_ms or cleared */
	int64_t         ends_ms;    /* 0: never */
	uint64_t        for_ms;     /* as asked for */
	int64_t         code, status, ms, port, shard;  /* -1: not given */
	enum fault_d    d;
	char            how[16], scope[16], body[16];
	char            text[512];  /* what is said, as it is */
	char            bot[33];    /* "": any */
};

enum { FAULTS_MAX = 256 };

struct faults {
	struct fault *list;
	size_t        n;
	uint64_t      armed;        /* a bit per name: most calls end here */
	uint64_t      struck[FAULT_COUNT];
	uint64_t      strikes;
};

/* One fault from its JSON object.  SYNTAX: *why is a sentence, static. */
enum err fault_parse(struct fault *, const struct json *, int64_t now_ms,
    const char **why);
/* Copies.  NOMEM, FULL. */
enum err faults_arm(struct faults *, const struct fault *);
/* Does it strike?  It has then.  scope, bot: "" matches any. */
bool faults_strike(struct faults *, enum fault_name, const char *bot,
    const char *scope, int64_t now_ms, struct fault *out);
/* The same without a strike: what would strike, or NULL. */
const struct fault *faults_find(const struct faults *, enum fault_name,
    const char *bot, const char *scope, int64_t now_ms);
void faults_note(struct faults *, enum fault_name);
void faults_clear(struct faults *);
struct json *faults_json(const struct faults *, int64_t now_ms);

#endif
