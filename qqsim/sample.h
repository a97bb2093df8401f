/*
 * sample: what an event looks like.  samples.def has d of every kind, with
 * words in it for what differs from one to the next; this puts them in, and
 * bends the outcome into the odd forms of odds.def.  No I/O, no clock.
 */
#ifndef SAMPLE_H
#define SAMPLE_H

#include "kind.h"

enum odd {
#define ODD(name, meaning) ODD_##name,
#include "odds.def"
#undef ODD
	ODDS
};

enum {
#define SAMPLE(type, scope, ...) SAMPLE_##type##_##scope,
#include "samples.def"
#undef SAMPLE
	SAMPLES
};

/* The parsed table; zero at first. */
struct samples {
	struct json *of[SAMPLES];
};
void samples_close(struct samples *);

/* All but text given, on loan.  person: the user, as guilds call one. */
struct sample_words {
	struct slice app, bot, botname;
	struct slice user, person, group, channel, guild, dm, name;
	struct slice role, grouprole;
	struct slice text, button, message, emoji;
	struct slice id, serial;     /* d.id; what makes other ids unique */
	struct slice time;           /* RFC 3339 */
	int64_t      seconds, emojitype;
	unsigned     odd;            /* 1 << enum odd */
};

/* d of this kind for this scope (OTHER: as it is usual); NULL: out of memory,
 * or a kind that is not in the table. */
struct json *sample_make(struct samples *, struct slice type, enum scope,
    const struct sample_words *);
/* Puts the members of `with` over those of d, objects member by member. */
void sample_over(struct json *d, const struct json *with);

/* One word; false: no such form. */
bool odd_of(struct slice name, enum odd *);
const char *odd_name(enum odd);
const char *odd_meaning(enum odd);

/* "REFIDX_..." of a message: what quotes it in c2c and groups. */
void sample_index(char *out, size_t size, struct slice message);

#endif
