/*
 * The codec: one interpreter over the field tables that messages.def makes.
 */
#include "messages.h"

#include "pack.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

#define FIELD_ROW(M, type, key, meaning)                                     \
	{ FIELD_##type, #type, #key, meaning, sizeof(#key) - 1,              \
	  offsetof(struct msg_##M, key) },
#define MESSAGE(name, kind, ways, meaning)                                   \
	static const struct msg_field name##_fields[] = {                    \
		MESSAGE_##name(FIELD_ROW, name)                              \
	};
#include "messages.def"
#undef MESSAGE

static const struct msg_info infos[MSG_KINDS] = {
#define MESSAGE(name, kind, ways, meaning)                                   \
	{ #name, meaning, kind, ways, sizeof(struct msg_##name),             \
	  COUNT(name##_fields), name##_fields },
#include "messages.def"
#undef MESSAGE
};

const struct msg_info *
msg_info(enum msg_kind kind)
{
	return &infos[kind];
}

const char *
msg_name(enum msg_kind kind)
{
	return infos[kind].name;
}

/* A key that would be a C keyword is declared with a trailing '_'. */
static struct slice
wire_key(const struct msg_field *f)
{
	struct slice key = { f->key, f->nkey };

	if (key.p[key.n - 1] == '_')
		key.n--;
	return key;
}

static void
encode_field(struct pack *p, const struct msg_field *f, const void *at)
{
	const struct slice *s = at;

	switch (f->kind) {
	case FIELD_str:
		pack_str(p, *s);
		break;
	case FIELD_bin:
		pack_bin(p, *s);
		break;
	case FIELD_any:
		pack_raw(p, *s);
		break;
	case FIELD_u64:
		pack_uint(p, *(const msg_u64 *)at);
		break;
	case FIELD_i64:
		pack_int(p, *(const msg_i64 *)at);
		break;
	case FIELD_flag:
	case FIELD_yes:
		pack_bool(p, *(const msg_flag *)at);
		break;
	}
}

/* Texts and flags are always written, so that a reader in another language
 * need not ask whether the key is there; the rest only where there is some. */
static bool
is_left_out(const struct msg_field *f, const void *at)
{
	switch (f->kind) {
	case FIELD_u64:
		return *(const msg_u64 *)at == 0;
	case FIELD_i64:
		return *(const msg_i64 *)at == 0;
	case FIELD_any:
	case FIELD_bin:
		return ((const struct slice *)at)->n == 0;
	default:
		return false;
	}
}

enum err
msg_encode(enum msg_kind kind, const void *msg, char head[MSG_HEAD],
    struct buf *body)
{
	const struct msg_info *info = &infos[kind];
	const char            *base = msg;
	size_t                 n = 0, from = body->n;
	struct pack            p;

	memcpy(head, "RK1", 3);
	head[3] = info->kind;
	for (size_t i = 0; i < info->nfields; i++)
		n += !is_left_out(&info->fields[i],
		    base + info->fields[i].offset);
	pack_open(&p, body);
	pack_map(&p, n);
	for (size_t i = 0; i < info->nfields; i++) {
		const struct msg_field *f = &info->fields[i];

		if (is_left_out(f, base + f->offset))
			continue;
		pack_str(&p, wire_key(f));
		encode_field(&p, f, base + f->offset);
	}
	if (body->failed)
		return ERR_NOMEM;
	return body->n - from > MSG_MAX ? ERR_TOO_LARGE : ERR_OK;
}

static enum err
decode_field(struct unpack *u, const struct msg_field *f, void *at)
{
	struct unpack      ahead = *u;
	struct unpack_item it;
	struct slice       whole;
	enum err           e;

	if ((e = unpack_skip(u, &whole)) != ERR_OK ||
	    (e = unpack_next(&ahead, &it)) != ERR_OK)
		return e;
	if (it.type == UNPACK_NIL)
		return ERR_OK;
	switch (f->kind) {
	case FIELD_str:
	case FIELD_bin:
		if (it.type != UNPACK_STR && it.type != UNPACK_BIN)
			return ERR_SYNTAX;
		*(struct slice *)at = it.bytes;
		break;
	case FIELD_any:
		*(struct slice *)at = whole;
		break;
	case FIELD_u64:
		if (it.type != UNPACK_UINT)
			return ERR_SYNTAX;
		*(msg_u64 *)at = it.u;
		break;
	case FIELD_i64:
		if (it.type == UNPACK_UINT && it.u <= INT64_MAX)
			it.i = (int64_t)it.u;
		else if (it.type != UNPACK_INT)
			return ERR_SYNTAX;
		*(msg_i64 *)at = it.i;
		break;
	case FIELD_flag:
	case FIELD_yes:
		if (it.type != UNPACK_BOOL)
			return ERR_SYNTAX;
		*(msg_flag *)at = it.u != 0;
		break;
	}
	return ERR_OK;
}

/* Begins at *next, where a sender that follows the table has put it. */
static const struct msg_field *
find_field(const struct msg_info *info, struct slice key, size_t *next)
{
	for (size_t n = 0; n < info->nfields; n++) {
		size_t i = (*next + n) % info->nfields;

		if (slice_eq(wire_key(&info->fields[i]), key)) {
			*next = i + 1;
			return &info->fields[i];
		}
	}
	return NULL;
}

static void
set_defaults(const struct msg_info *info, char *base)
{
	memset(base, 0, info->size);
	for (size_t i = 0; i < info->nfields; i++)
		if (info->fields[i].kind == FIELD_yes)
			*(msg_yes *)(void *)(base + info->fields[i].offset) =
			    true;
}

enum err
msg_decode(enum msg_kind kind, struct slice body, void *msg)
{
	const struct msg_info *info = &infos[kind];
	char                  *base = msg;
	struct unpack          u;
	struct unpack_item     it;
	size_t                 next = 0;
	enum err               e;

	if (body.n > MSG_MAX)
		return ERR_TOO_LARGE;
	set_defaults(info, base);
	unpack_open(&u, body);
	if ((e = unpack_next(&u, &it)) != ERR_OK)
		return e;
	if (it.type != UNPACK_MAP)
		return ERR_SYNTAX;
	for (size_t left = it.count; left > 0; left--) {
		const struct msg_field *f;
		struct slice            unknown;

		if ((e = unpack_next(&u, &it)) != ERR_OK)
			return e;
		if (it.type != UNPACK_STR && it.type != UNPACK_BIN)
			return ERR_SYNTAX;
		if ((f = find_field(info, it.bytes, &next)) == NULL)
			e = unpack_skip(&u, &unknown);
		else
			e = decode_field(&u, f, base + f->offset);
		if (e != ERR_OK)
			return e;
	}
	return unpack_done(&u) ? ERR_OK : ERR_SYNTAX;
}

/* --- dispatch: one typed caller per message ------------------------------ */

#define MESSAGE(name, kind, ways, meaning)                                   \
	static enum err call_##name(struct slice body,                       \
	    const struct msg_handlers *h, void *self, msg_peer from)         \
	{                                                                    \
		struct msg_##name m;                                         \
		enum err          e;                                         \
									     \
		if (h->name == NULL)                                         \
			return ERR_FORBIDDEN;                                \
		if ((e = msg_decode(MSG_##name, body, &m)) == ERR_OK)        \
			h->name(self, from, &m);                             \
		return e;                                                    \
	}
#include "messages.def"
#undef MESSAGE

static enum err (*const callers[MSG_KINDS])(struct slice,
    const struct msg_handlers *, void *, msg_peer) = {
#define MESSAGE(name, kind, ways, meaning) call_##name,
#include "messages.def"
#undef MESSAGE
};

enum err
msg_dispatch(struct slice head, struct slice body, enum msg_way way,
    const struct msg_handlers *h, void *self, msg_peer from)
{
	if (head.n != MSG_HEAD || memcmp(head.p, "RK1", 3) != 0)
		return ERR_SYNTAX;
	for (size_t i = 0; i < MSG_KINDS; i++)
		if (infos[i].kind == head.p[3]) {
			if (!(infos[i].ways & way))
				return ERR_FORBIDDEN;
			return callers[i](body, h, self, from);
		}
	return ERR_NOT_FOUND;
}
