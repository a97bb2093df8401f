// links: common/messages.c common/pack.c common/buf.c common/slice.c
/*
 * messages, pack: every message of the table there and back, and every way a
 * stranger can get one wrong.
 */
#include "test.h"

#include <stdlib.h>

#include "messages.h"
#include "pack.h"

#define ROWS(a) (sizeof(a) / sizeof *(a))

union any_message {
#define MESSAGE(name, kind, ways, meaning) struct msg_##name name;
#include "messages.def"
#undef MESSAGE
};

/* A value for field i that is not its default. */
static void
fill_field(const struct msg_field *f, void *at, size_t i)
{
	static const char *const texts[] = { "a", "\xe6\x94\xb6", "x y",
		"0123456789012345678901234567890123456789" };

	switch (f->kind) {
	case FIELD_str:
	case FIELD_bin:
		*(struct slice *)at = slice_of(texts[i % ROWS(texts)]);
		break;
	case FIELD_any:
		*(struct slice *)at = SLICE("\x92\xa1x\x81\xa1k\xc0");
		break;
	case FIELD_u64:
		*(msg_u64 *)at = i % 2 ? UINT64_MAX : i + 1;
		break;
	case FIELD_i64:
		*(msg_i64 *)at = i % 2 ? INT64_MIN : INT64_MAX;
		break;
	case FIELD_flag:
		*(msg_flag *)at = true;
		break;
	case FIELD_yes:
		*(msg_yes *)at = false;
		break;
	}
}

static void
fill(const struct msg_info *info, void *msg)
{
	memset(msg, 0, sizeof(union any_message));
	for (size_t i = 0; i < info->nfields; i++)
		fill_field(&info->fields[i],
		    (char *)msg + info->fields[i].offset, i);
}

static bool
same_field(const struct msg_field *f, const void *a, const void *b)
{
	switch (f->kind) {
	case FIELD_u64:
		return *(const msg_u64 *)a == *(const msg_u64 *)b;
	case FIELD_i64:
		return *(const msg_i64 *)a == *(const msg_i64 *)b;
	case FIELD_flag:
	case FIELD_yes:
		return *(const msg_flag *)a == *(const msg_flag *)b;
	default:
		return slice_eq(*(const struct slice *)a,
		    *(const struct slice *)b);
	}
}

static void
expect_same(const struct msg_info *info, const void *a, const void *b)
{
	for (size_t i = 0; i < info->nfields; i++) {
		const struct msg_field *f = &info->fields[i];

		if (!same_field(f, (const char *)a + f->offset,
		        (const char *)b + f->offset)) {
			printf("# %s.%s differs\n", info->name, f->key);
			test_bad = true;
		}
	}
}

TEST(every_message_there_and_back)
{
	for (int k = 0; k < MSG_KINDS; k++) {
		const struct msg_info *info = msg_info((enum msg_kind)k);
		union any_message      in, out;
		struct buf             body = { 0 };
		char                   head[MSG_HEAD];

		fill(info, &in);
		memset(&out, 0xa5, sizeof out);
		EXPECT(msg_encode((enum msg_kind)k, &in, head, &body) ==
		    ERR_OK);
		EXPECT(memcmp(head, "RK1", 3) == 0 && head[3] == info->kind);
		EXPECT(msg_decode((enum msg_kind)k, buf_slice(&body), &out) ==
		    ERR_OK);
		expect_same(info, &in, &out);
		EXPECT_STR(msg_name((enum msg_kind)k), info->name);
		buf_free(&body);
	}
}

TEST(empty_messages_read_as_defaults)
{
	for (int k = 0; k < MSG_KINDS; k++) {
		const struct msg_info *info = msg_info((enum msg_kind)k);
		union any_message      in, out;
		struct buf             body = { 0 };
		char                   head[MSG_HEAD];

		memset(&out, 0xa5, sizeof out);
		EXPECT(msg_decode((enum msg_kind)k, SLICE("\x80"), &out) ==
		    ERR_OK);
		memset(&in, 0, sizeof in);
		for (size_t i = 0; i < info->nfields; i++)
			if (info->fields[i].kind == FIELD_yes)
				*(msg_yes *)(void *)((char *)&in +
				    info->fields[i].offset) = true;
		expect_same(info, &in, &out);
		EXPECT(msg_encode((enum msg_kind)k, &in, head, &body) ==
		    ERR_OK);
		EXPECT(msg_decode((enum msg_kind)k, buf_slice(&body), &out) ==
		    ERR_OK);
		expect_same(info, &in, &out);
		buf_free(&body);
	}
}

/* On memory of exactly its length, so that a byte too far is seen. */
static enum err
decode_exact(enum msg_kind kind, const char *p, size_t n)
{
	union any_message m;
	char             *copy = malloc(n > 0 ? n : 1);
	enum err          e = ERR_NOMEM;

	if (copy != NULL) {
		if (n > 0)
			memcpy(copy, p, n);
		e = msg_decode(kind, (struct slice){ copy, n }, &m);
	}
	free(copy);
	return e;
}

TEST(truncations_are_refused)
{
	for (int k = 0; k < MSG_KINDS; k++) {
		union any_message in;
		struct buf        body = { 0 };
		char              head[MSG_HEAD];

		fill(msg_info((enum msg_kind)k), &in);
		msg_encode((enum msg_kind)k, &in, head, &body);
		for (size_t n = 0; n < body.n; n++)
			EXPECT(decode_exact((enum msg_kind)k, body.p, n) ==
			    ERR_SYNTAX);
		buf_puts(&body, "\xc0");
		EXPECT(decode_exact((enum msg_kind)k, body.p, body.n) ==
		    ERR_SYNTAX);
		buf_free(&body);
	}
}

/* Any single byte changed to anything: refused or taken, never read beyond. */
TEST(mutations_stay_inside)
{
	union any_message in;
	struct buf        body = { 0 };
	char              head[MSG_HEAD];
	size_t            taken = 0, refused = 0;

	fill(msg_info(MSG_event), &in);
	msg_encode(MSG_event, &in, head, &body);
	for (size_t i = 0; i < body.n; i++) {
		char was = body.p[i];

		for (int c = 0; c < 256; c += 5) {
			body.p[i] = (char)c;
			if (decode_exact(MSG_event, body.p, body.n) == ERR_OK)
				taken++;
			else
				refused++;
		}
		body.p[i] = was;
	}
	EXPECT(taken > 0 && refused > 0);
	buf_free(&body);
}

/* Which value a field of which kind takes. */
TEST(types_are_checked)
{
	enum { S = 1 << FIELD_str | 1 << FIELD_bin, U = 1 << FIELD_u64,
		I = 1 << FIELD_i64, F = 1 << FIELD_flag | 1 << FIELD_yes,
		ANY = 1 << FIELD_any };
	static const struct {
		struct slice value;
		unsigned     takes;
	} rows[] = {
#define ROW(value, takes) { SLICE(value), takes }
		ROW("\xc0", ANY | S | U | I | F),            /* nil */
		ROW("\xc3", ANY | F),
		ROW("\x00", ANY | U | I),
		ROW("\xff", ANY | I),                        /* -1 */
		ROW("\xd3\x00\x00\x00\x00\x00\x00\x00\x05", ANY | U | I),
		ROW("\xd3\xff\xff\xff\xff\xff\xff\xff\x00", ANY | I),
		ROW("\xcf\xff\xff\xff\xff\xff\xff\xff\xff", ANY | U),
		ROW("\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00", ANY), /* 1.0 */
		ROW("\xca\x3f\x80\x00\x00", ANY),
		ROW("\xa1x", ANY | S),
		ROW("\xc4\x01x", ANY | S),
		ROW("\xd9\x01x", ANY | S),
		ROW("\x90", ANY),
		ROW("\x81\x01\x02", ANY),
		ROW("\xc1", 0),                              /* never used */
		ROW("\xc7\x01\x01x", 0),                     /* extensions */
		ROW("\xd4\x01x", 0),
		ROW("\xd9\x02x", 0),                         /* too short */
		ROW("\xc6\xff\xff\xff\xff" "x", 0),
		ROW("\xdc\xff\xff\x01", 0),                  /* counts that lie */
		ROW("\xdd\xff\xff\xff\xff\x01", 0),
		ROW("\xde\x00\x02\x01\x01\x01", 0),
		ROW("\xdf\x80\x00\x00\x00\x01\x01", 0),
#undef ROW
	};

	for (size_t r = 0; r < ROWS(rows); r++)
		for (int k = 0; k < MSG_KINDS; k++) {
			const struct msg_info *info =
			    msg_info((enum msg_kind)k);

			for (size_t i = 0; i < info->nfields; i++) {
				const struct msg_field *f = &info->fields[i];
				size_t     n = strlen(f->key);
				struct buf b = { 0 };
				enum err   e;

				n -= f->key[n - 1] == '_';
				buf_putf(&b, "\x81%c%.*s", (int)(0xa0 + n),
				    (int)n, f->key);
				buf_put(&b, rows[r].value);
				e = decode_exact((enum msg_kind)k, b.p, b.n);
				if ((e == ERR_OK) !=
				    !!(rows[r].takes >> f->kind & 1)) {
					printf("# row %zu, %s.%s: %s\n", r,
					    info->name, f->key, e == ERR_OK
					        ? "taken" : "refused");
					test_bad = true;
				}
				buf_free(&b);
			}
		}
}

TEST(unknown_keys_are_ignored)
{
	struct msg_ack ack;
	char           deep[48];

	EXPECT(msg_decode(MSG_ack,
	    SLICE("\x83\xa3new\x92\x01\x81\xa1k\xc0\xa2" "ev\xa2" "E1\xa4more"
	          "\xcb\x00\x00\x00\x00\x00\x00\x00\x00"), &ack) == ERR_OK);
	EXPECT_SLICE(ack.ev, "E1");
	/* keys may come as bytes; the last of two wins */
	EXPECT(msg_decode(MSG_ack,
	    SLICE("\x82\xc4\x02" "ev\xa1" "a\xa2" "ev\xa1" "b"), &ack) ==
	    ERR_OK);
	EXPECT_SLICE(ack.ev, "b");
	/* a key that is no text; an unknown value too deep or cut off */
	EXPECT(msg_decode(MSG_ack, SLICE("\x81\x01\x02"), &ack) == ERR_SYNTAX);
	memset(deep, '\x91', sizeof deep);
	memcpy(deep, "\x81\xa1z", 3);
	deep[sizeof deep - 1] = '\xc0';
	EXPECT(msg_decode(MSG_ack, (struct slice){ deep, sizeof deep }, &ack) ==
	    ERR_SYNTAX);
	EXPECT(msg_decode(MSG_ack, SLICE("\x81\xa1z\xa5" "abc"), &ack) ==
	    ERR_SYNTAX);
	/* not a map at all */
	EXPECT(msg_decode(MSG_ack, SLICE("\x91\x01"), &ack) == ERR_SYNTAX);
	EXPECT(msg_decode(MSG_ack, SLICE("\xc0"), &ack) == ERR_SYNTAX);
	EXPECT(msg_decode(MSG_ack, (struct slice){ NULL, 0 }, &ack) ==
	    ERR_SYNTAX);
}

TEST(sizes_are_bounded)
{
	char          *big = calloc(1, MSG_MAX + 1);
	struct buf     body = { 0 };
	char           head[MSG_HEAD];
	struct msg_bye bye = { .reason = { big, MSG_MAX - 64 } };

	EXPECT(msg_encode(MSG_bye, &bye, head, &body) == ERR_OK);
	EXPECT(msg_decode(MSG_bye, buf_slice(&body), &bye) == ERR_OK);
	EXPECT_INT(bye.reason.n, MSG_MAX - 64);
	buf_reset(&body);
	bye.reason = (struct slice){ big, MSG_MAX };
	EXPECT(msg_encode(MSG_bye, &bye, head, &body) == ERR_TOO_LARGE);
	EXPECT(msg_decode(MSG_bye, buf_slice(&body), &bye) == ERR_TOO_LARGE);
	buf_free(&body);
	free(big);
}

/* --- dispatch ----------------------------------------------------------------- */

static int called[MSG_KINDS];

#define MESSAGE(name, kind, ways, meaning)                                   \
	static void on_##name(void *self, msg_peer from,                     \
	    const struct msg_##name *m)                                      \
	{                                                                    \
		(void)m;                                                     \
		EXPECT(self == called && slice_is(from, "peer"));            \
		called[MSG_##name]++;                                        \
	}
#include "messages.def"
#undef MESSAGE

static const struct msg_handlers all = {
#define MESSAGE(name, kind, ways, meaning) .name = on_##name,
#include "messages.def"
#undef MESSAGE
};
static const struct msg_handlers none = { 0 };

TEST(dispatch_obeys_the_table)
{
	for (int k = 0; k < MSG_KINDS; k++) {
		const struct msg_info *info = msg_info((enum msg_kind)k);
		char  head[MSG_HEAD] = { 'R', 'K', '1', info->kind };
		struct slice h = { head, MSG_HEAD };

		EXPECT(info->ways != 0 && info->nfields > 0);
		for (unsigned way = 1; way <= MSG_CHILD_DOWN; way <<= 1) {
			bool     may = (info->ways & way) != 0;
			int      before = called[k];
			enum err e = msg_dispatch(h, SLICE("\x80"),
			    (enum msg_way)way, &all, called, SLICE("peer"));

			EXPECT(e == (may ? ERR_OK : ERR_FORBIDDEN));
			EXPECT_INT(called[k], before + may);
			EXPECT(msg_dispatch(h, SLICE("\x80"),
			    (enum msg_way)way, &none, called, SLICE("peer")) ==
			    ERR_FORBIDDEN);
			e = msg_dispatch(h, SLICE("\x81"), (enum msg_way)way,
			    &all, called, SLICE("peer"));
			EXPECT(e == (may ? ERR_SYNTAX : ERR_FORBIDDEN));
			EXPECT_INT(called[k], before + may);
		}
	}
}

TEST(heads_are_checked)
{
	static const struct {
		struct slice head;
		enum err     want;
	} rows[] = {
		{ { "RK1E", 4 }, ERR_OK },
		{ { "RK1e", 4 }, ERR_NOT_FOUND },  /* newer than we are */
		{ { "RK1\0", 4 }, ERR_NOT_FOUND },
		{ { "RK2E", 4 }, ERR_SYNTAX },
		{ { "RK1", 3 }, ERR_SYNTAX },
		{ { "RK1EE", 5 }, ERR_SYNTAX },
		{ { "rk1E", 4 }, ERR_SYNTAX },
		{ { "", 0 }, ERR_SYNTAX },
		{ { NULL, 0 }, ERR_SYNTAX },
	};

	for (size_t i = 0; i < ROWS(rows); i++)
		EXPECT(msg_dispatch(rows[i].head, SLICE("\x80"),
		    MSG_EVENTS_DOWN, &all, called, SLICE("peer")) ==
		    rows[i].want);
}

TEST(the_table_is_sound)
{
	for (int k = 0; k < MSG_KINDS; k++) {
		const struct msg_info *a = msg_info((enum msg_kind)k);

		for (int j = 0; j < k; j++) {
			const struct msg_info *b = msg_info((enum msg_kind)j);

			EXPECT(a->kind != b->kind);
			EXPECT(strcmp(a->name, b->name) != 0);
		}
		for (size_t i = 0; i < a->nfields; i++) {
			EXPECT(a->fields[i].meaning[0] != '\0');
			EXPECT(strlen(a->fields[i].key) < 32);
			for (size_t j = 0; j < i; j++)
				EXPECT(strcmp(a->fields[i].key,
				    a->fields[j].key) != 0);
		}
	}
}

/* --- pack ----------------------------------------------------------------------- */

TEST(scalars_unpack_to_what_was_packed)
{
	static const int64_t rows[] = { 0, 1, 127, 128, 255, 256, 65535, 65536,
		INT32_MAX, (int64_t)UINT32_MAX + 1, INT64_MAX, -1, -32, -33,
		-128, -129, -32768, -32769, INT32_MIN, INT64_MIN };

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct buf         b = { 0 };
		struct pack        p;
		struct unpack      u;
		struct unpack_item it;

		pack_open(&p, &b);
		pack_int(&p, rows[i]);
		unpack_open(&u, buf_slice(&b));
		EXPECT(unpack_next(&u, &it) == ERR_OK && unpack_done(&u));
		EXPECT(it.type == (rows[i] < 0 ? UNPACK_INT : UNPACK_UINT));
		EXPECT_INT(rows[i] < 0 ? it.i : (int64_t)it.u, rows[i]);
		EXPECT(unpack_next(&u, &it) == ERR_SYNTAX);
		buf_free(&b);
	}
}

/* A count that the rest cannot hold is refused before anybody makes room. */
TEST(counts_are_not_believed)
{
	static const struct {
		struct slice bytes;
		bool         good;
	} rows[] = {
		{ { "\x92\x01\x02", 3 }, true },
		{ { "\x93\x01\x02", 3 }, false },
		{ { "\x81\x01\x02", 3 }, true },
		{ { "\x82\x01\x02", 3 }, false },
		{ { "\x82\x01\x02\x03", 4 }, false },
		{ { "\xdd\x00\x00\x00\x02\x01\x01", 7 }, true },
		{ { "\xdd\xff\xff\xff\xff\x01\x01", 7 }, false },
		{ { "\xdf\x7f\xff\xff\xff\x01\x01", 7 }, false },
		{ { "\xdc\x00\x01", 3 }, false },
		{ { "\xdb\xff\xff\xff\xff" "a", 6 }, false },
		{ { "\xa2" "a", 2 }, false },
		{ { "\xc6\x00\x00\x00\x01", 5 }, false },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct unpack      u;
		struct unpack_item it;

		unpack_open(&u, rows[i].bytes);
		EXPECT((unpack_next(&u, &it) == ERR_OK) == rows[i].good);
	}
}

TEST(skipping_goes_32_deep)
{
	for (size_t deep = 30; deep < 36; deep++) {
		char          p[64];
		struct unpack u;
		struct slice  whole;

		memset(p, '\x91', sizeof p);
		p[deep] = '\x01';
		unpack_open(&u, (struct slice){ p, deep + 1 });
		EXPECT((unpack_skip(&u, &whole) == ERR_OK) == (deep <= 32));
		EXPECT(deep > 32 || (unpack_done(&u) && whole.n == deep + 1));
	}
}

int
main(void)
{
	RUN(every_message_there_and_back);
	RUN(empty_messages_read_as_defaults);
	RUN(truncations_are_refused);
	RUN(mutations_stay_inside);
	RUN(types_are_checked);
	RUN(unknown_keys_are_ignored);
	RUN(sizes_are_bounded);
	RUN(dispatch_obeys_the_table);
	RUN(heads_are_checked);
	RUN(the_table_is_sound);
	RUN(scalars_unpack_to_what_was_packed);
	RUN(counts_are_not_believed);
	RUN(skipping_goes_32_deep);
	return test_done();
}
