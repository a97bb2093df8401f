/*
 * What senders write is copied with bounds: depth and number of lines of a
 * record, length of a face.
 */
#include "extra.h"

#include <stdio.h>

enum { RECORD_DEEP = 8, RECORD_LINES = 200, FACE_MAX = 1024, FACE_TEXT = 96 };

/* --- faces ---------------------------------------------------------------- */

/* The value of key="..." or key=... between < and >. */
static struct slice
face_value(struct slice tag, const char *key)
{
	const char *p = memmem(tag.p, tag.n, key, strlen(key));
	const char *end = tag.p + tag.n, *q;

	if (p == NULL)
		return (struct slice){ NULL, 0 };
	p += strlen(key);
	if (p < end && *p == '"') {
		q = memchr(p + 1, '"', (size_t)(end - p - 1));
		return q == NULL ? (struct slice){ NULL, 0 }
		                 : (struct slice){ p + 1, (size_t)(q - p - 1) };
	}
	for (q = p; q < end && *q != ',' && *q != '>'; q++)
		continue;
	return (struct slice){ p, (size_t)(q - p) };
}

static int
digit64(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                             "abcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at == NULL ? -1 : (int)(at - digits);
}

static bool
undo_base64(struct slice s, struct buf *out)
{
	unsigned bits = 0, n = 0;

	while (s.n > 0 && s.p[s.n - 1] == '=')
		s.n--;
	for (size_t i = 0; i < s.n; i++) {
		int v = digit64(s.p[i]);

		if (v < 0)
			return false;
		bits = (bits << 6 | (unsigned)v) & 0xffffff;
		if ((n += 6) >= 8) {
			char c = (char)(bits >> (n -= 8) & 0xff);

			buf_put(out, (struct slice){ &c, 1 });
		}
	}
	return !out->failed;
}

size_t
extra_face(struct buf *out, struct slice s)
{
	struct slice tag = { s.p, s.n < FACE_MAX ? s.n : FACE_MAX };
	struct slice name;
	const char  *end;
	struct buf   ext = { 0 };
	struct json *j = NULL;
	bool         ok = false;

	if (!slice_starts(s, SLICE("<faceType=")) ||
	    (end = memchr(tag.p, '>', tag.n)) == NULL)
		return 0;
	tag.n = (size_t)(end - tag.p) + 1;
	if (undo_base64(face_value(tag, "ext="), &ext) &&
	    json_parse(&j, buf_slice(&ext)) == ERR_OK) {
		name = json_text_at(j, "text");
		ok = name.n > 0 && name.n <= FACE_TEXT;
		if (ok) {
			buf_puts(out, "[");
			buf_put(out, name);
			buf_puts(out, "]");
		}
	}
	json_free(&j);
	buf_free(&ext);
	return ok ? tag.n : 0;
}

/* --- message_scene -------------------------------------------------------- */

struct slice
extra_ext(const struct json *d, const char *key)
{
	const struct json *list = json_path(d, "message_scene.ext");
	size_t             n = strlen(key);

	for (size_t i = 0; i < json_count(list); i++) {
		struct slice s = json_text(json_at(list, i));

		if (s.n > n && slice_starts(s, slice_of(key)) && s.p[n] == '=')
			return slice_from(s, n + 1);
	}
	return (struct slice){ NULL, 0 };
}

/* Whatever else stands there, but for auth_token: that is nobody's. */
static struct json *
other_exts(const struct json *d)
{
	static const char *const taken[] = { "msg_idx", "ref_msg_idx",
		"auth_token" };
	const struct json *list = json_path(d, "message_scene.ext");
	struct json       *out = NULL;
	char               key[64];

	for (size_t i = 0; i < json_count(list); i++) {
		struct slice s = json_text(json_at(list, i));
		const char  *eq = s.n > 0 ? memchr(s.p, '=', s.n) : NULL;
		size_t       n = eq == NULL ? 0 : (size_t)(eq - s.p);
		bool         ours = n == 0 || n >= sizeof key;

		for (size_t k = 0; k < sizeof taken / sizeof *taken; k++)
			ours |= slice_is((struct slice){ s.p, n }, taken[k]);
		if (ours)
			continue;
		snprintf(key, sizeof key, "%.*s", (int)n, s.p);
		if (out == NULL)
			out = json_new_object();
		json_put_text(out, key, slice_from(s, n + 1));
	}
	return out;
}

/* --- attachments ---------------------------------------------------------- */

static void
copy_text(struct json *to, const char *key, const struct json *from,
    const char *path)
{
	struct slice v = json_text_at(from, path);

	if (v.n > 0)
		json_put_text(to, key, v);
}

static void
copy_int(struct json *to, const char *key, const struct json *from,
    const char *path)
{
	int64_t v;

	if (json_int_at(from, path, &v))
		json_put_int(to, key, v);
}

static bool
ends_in(struct slice name, const char *ending)
{
	size_t n = strlen(ending);

	return name.n > n &&
	    strncasecmp(name.p + name.n - n, ending, n) == 0;
}

/* By its type; without one, as guilds may have it, by its name. */
const char *
extra_kind(struct slice type, struct slice name)
{
	static const struct {
		const char *word, *kind;
	} types[] = {
		{ "image", "image" }, { "video", "video" },
		{ "voice", "audio" }, { "audio", "audio" },
	}, names[] = {
		{ ".png", "image" },  { ".jpg", "image" },
		{ ".jpeg", "image" }, { ".gif", "image" },
		{ ".webp", "image" }, { ".bmp", "image" },
		{ ".mp4", "video" },  { ".mov", "video" },
		{ ".amr", "audio" },  { ".silk", "audio" },
		{ ".wav", "audio" },  { ".mp3", "audio" },
	};

	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (slice_starts(type, slice_of(types[i].word)))
			return types[i].kind;
	for (size_t i = 0; type.n == 0 && i < sizeof names / sizeof *names;
	     i++)
		if (ends_in(name, names[i].word))
			return names[i].kind;
	return "file";
}

/* Addresses of guilds may lack the scheme. */
static void
put_url(struct json *a, struct slice url)
{
	struct buf full = { 0 };

	if (url.n > 0 && memmem(url.p, url.n, "://", 3) == NULL)
		buf_puts(&full, slice_starts(url, SLICE("//")) ? "https:"
		                                               : "https://");
	buf_put(&full, url);
	json_put_text(a, "url", buf_slice(&full));
	buf_free(&full);
}

static struct json *
attachment(const struct json *from)
{
	struct json *a = json_new_object();
	struct slice url = json_text_at(from, "url");
	struct slice name = json_text_at(from, "filename");

	json_put_text(a, "kind",
	    slice_of(extra_kind(json_text_at(from, "content_type"),
	        name.n > 0 ? name : url)));
	put_url(a, url);
	copy_text(a, "mime", from, "content_type");
	copy_text(a, "name", from, "filename");
	copy_int(a, "size", from, "size");
	copy_int(a, "w", from, "width");
	copy_int(a, "h", from, "height");
	copy_text(a, "wav", from, "voice_wav_url");
	copy_text(a, "text", from, "asr_refer_text");
	return a;
}

struct json *
extra_attachments(const struct json *d)
{
	const struct json *list = json_get(d, "attachments");
	struct json       *out;

	if (json_count(list) == 0)
		return NULL;
	out = json_new_array();
	for (size_t i = 0; i < json_count(list); i++)
		json_push_take(out, attachment(json_at(list, i)));
	return out;
}

/* --- forwarded records ------------------------------------------------------ */

static const char *
first_path(const struct json *m, const char *const *paths)
{
	while (paths[1] != NULL && json_text_at(m, *paths).n == 0)
		paths++;
	return *paths;
}

static struct json *
record(const struct json *list, int deep, int *lines)
{
	static const char *const users[] = { "author.member_openid",
		"author.user_openid", "author.id", NULL };
	struct json *out;

	if (json_count(list) == 0 || deep == 0)
		return NULL;
	out = json_new_array();
	for (size_t i = 0; i < json_count(list) && *lines > 0; i++) {
		const struct json *m = json_at(list, i);
		struct json       *o = json_new_object(), *more;

		--*lines;
		copy_text(o, "msg", m, "msg_idx");
		copy_text(o, "user", m, first_path(m, users));
		copy_text(o, "name", m, "author.username");
		copy_text(o, "text", m, "content");
		if ((more = extra_attachments(m)) != NULL)
			json_put_take(o, "attachments", more);
		if (json_is_object(json_get(m, "ark_data")))
			json_put_ref(o, "ark", json_get(m, "ark_data"));
		more = record(json_get(m, "msg_elements"), deep - 1, lines);
		if (more != NULL)
			json_put_take(o, "record", more);
		json_push_take(out, o);
	}
	return out;
}

/* --- the whole ------------------------------------------------------------ */

static bool
put_whole(struct json *o, const char *key, const struct json *d,
    const char *path)
{
	const struct json *v = json_path(d, path);

	if (!json_is_object(v) && json_count(v) == 0)
		return false;
	json_put_ref(o, key, v);
	return true;
}

static void
put_scene(struct json *o, const struct json *d)
{
	struct slice ref = extra_ext(d, "msg_idx");
	struct json *ext = other_exts(d);

	if (ref.n > 0)
		json_put_text(o, "ref", ref);
	copy_text(o, "scene", d, "message_scene.source");
	copy_text(o, "callback", d, "message_scene.callback_data");
	if (ext != NULL)
		json_put_take(o, "ext", ext);
}

struct json *
extra_data(const struct json *d)
{
	struct json *o = json_new_object(), *list;
	int          lines = RECORD_LINES;
	int64_t      type;

	if (json_int_at(d, "message_type", &type) && type != 0)
		json_put_int(o, "type", type);
	put_scene(o, d);
	copy_text(o, "guild", d, json_text_at(d, "src_guild_id").n > 0
	        ? "src_guild_id" : "guild_id");
	put_whole(o, "roles", d, "member.roles");
	if (!put_whole(o, "ark", d, "ark_data"))
		put_whole(o, "ark", d, "ark");
	put_whole(o, "embeds", d, "embeds");
	put_whole(o, "parallel", d, "parallel_message");
	if (json_int_at(d, "message_type", &type) && type == 102 &&
	    (list = record(json_get(d, "msg_elements"), RECORD_DEEP,
	         &lines)) != NULL)
		json_put_take(o, "record", list);
	if (slice_is(json_print(o), "{}"))
		json_free(&o);
	return o;
}
