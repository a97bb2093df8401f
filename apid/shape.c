/*
 * The platform's own objects: what is certain to be refused is refused here,
 * in words, before anything is sent.
 */
#include "shape.h"

enum {
	ROWS_MAX = 5, BUTTONS_MAX = 5, MODAL_MAX = 40, MODAL_WORD_MAX = 4,
	CALLBACK_MAX = 128, PANEL_NAME_MAX = 14, PANEL_DESC_MAX = 30,
	MENU_NAME_MAX = 10, SUB_ITEMS_MAX = 5
};

size_t
shape_length(struct slice s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

static bool
has(const struct json *o, const char *key)
{
	return json_get(o, key) != NULL;
}

static bool
is_blank(const struct json *v)
{
	return slice_trim(json_text(v)).n == 0;
}

/* --- markdown --------------------------------------------------------------- */

static const char *
check_markdown_params(const struct json *params)
{
	if (params == NULL)
		return NULL;
	if (!json_is_array(params))
		return "params is a list of {key, values}";
	for (size_t i = 0; i < json_count(params); i++) {
		const struct json *one = json_at(params, i);
		const struct json *values = json_get(one, "values");

		if (is_blank(json_get(one, "key")))
			return "each of params has a key";
		if (!json_is_array(values) || json_count(values) == 0)
			return "each of params has values, a list";
		for (size_t k = 0; k < json_count(values); k++)
			if (is_blank(json_at(values, k)))
				return "an empty value is refused";
	}
	return NULL;
}

const char *
shape_markdown(const struct json *o)
{
	bool content = has(o, "content");
	bool template = has(o, "custom_template_id") || has(o, "template_id");

	if (!json_is_object(o))
		return "is an object";
	if (content && template)
		return "has content or a template, not both";
	if (!content && !template)
		return "has content, or custom_template_id";
	if (content && (!json_is_string(json_get(o, "content")) ||
	                   is_blank(json_get(o, "content"))))
		return "content is empty";
	if (content && has(o, "params"))
		return "params belong to a template";
	return check_markdown_params(json_get(o, "params"));
}

/* --- keyboard --------------------------------------------------------------- */

static bool
in_range(const struct json *v, int64_t min, int64_t max)
{
	int64_t n;

	return json_int(v, &n) && n >= min && n <= max;
}

static const char *
check_modal(const struct json *modal)
{
	struct slice text = json_text(json_get(modal, "content"));

	if (modal == NULL)
		return NULL;
	if (shape_length(text) > MODAL_MAX)
		return "content of a modal is 40 characters at most";
	if (memmem(text.p != NULL ? text.p : "", text.n, "://", 3) != NULL)
		return "content of a modal may have no address";
	if (shape_length(json_text(json_get(modal, "confirm_text"))) >
	        MODAL_WORD_MAX ||
	    shape_length(json_text(json_get(modal, "cancel_text"))) >
	        MODAL_WORD_MAX)
		return "words of a modal's buttons are 4 characters at most";
	return NULL;
}

static const char *
check_button(const struct json *b)
{
	const struct json *action = json_get(b, "action");
	const struct json *who = json_get(action, "permission");

	if (!json_is_object(b))
		return "a button is an object";
	if (is_blank(json_path(b, "render_data.label")))
		return "a button has render_data.label";
	if (!in_range(json_get(action, "type"), 0, 4))
		return "a button has action.type, 0 to 4";
	if (who != NULL && !in_range(json_get(who, "type"), 0, 3))
		return "action.permission.type is 0 to 3";
	return check_modal(json_get(action, "modal"));
}

/* Ids are told apart: they come back with a click. */
static bool
is_id_used(const struct json *rows, size_t row, size_t at, struct slice id)
{
	for (size_t i = 0; i <= row; i++) {
		const struct json *buttons = json_get(json_at(rows, i),
		    "buttons");
		size_t n = i < row ? json_count(buttons) : at;

		for (size_t k = 0; k < n; k++)
			if (slice_eq(json_text(json_get(json_at(buttons, k),
			                 "id")), id))
				return true;
	}
	return false;
}

static const char *
check_rows(const struct json *rows)
{
	const char *wrong = NULL;

	if (!json_is_array(rows) || json_count(rows) == 0)
		return "content has rows, a list";
	if (json_count(rows) > ROWS_MAX)
		return "has 5 rows at most";
	for (size_t i = 0; i < json_count(rows); i++) {
		const struct json *buttons = json_get(json_at(rows, i),
		    "buttons");

		if (!json_is_array(buttons) || json_count(buttons) == 0)
			return "each row has buttons, a list";
		if (json_count(buttons) > BUTTONS_MAX)
			return "a row has 5 buttons at most";
		for (size_t k = 0; k < json_count(buttons); k++) {
			const struct json *b = json_at(buttons, k);
			struct slice       id = json_text(json_get(b, "id"));

			if ((wrong = check_button(b)) != NULL)
				return wrong;
			if (id.n > 0 && is_id_used(rows, i, k, id))
				return "two buttons have the same id";
		}
	}
	return NULL;
}

const char *
shape_keyboard(const struct json *o)
{
	if (!json_is_object(o))
		return "is an object";
	if (has(o, "id") == has(o, "content"))
		return "has id or content, one of them";
	if (has(o, "id"))
		return is_blank(json_get(o, "id")) ? "id is empty" : NULL;
	return check_rows(json_path(o, "content.rows"));
}

const char *
shape_prompt(const struct json *o)
{
	const struct json *rows = json_path(o, "keyboard.content.rows");

	if (rows == NULL)
		return "has keyboard.content.rows";
	return check_rows(rows);
}

const char *
shape_action(const struct json *o)
{
	if (!json_is_object(o))
		return "is an object";
	if (json_text(json_get(o, "callback_data")).n > CALLBACK_MAX)
		return "callback_data is 128 bytes at most";
	return NULL;
}

/* --- panels and menus -------------------------------------------------------- */

/* As the platform counts: a Chinese character is as wide as two letters. */
static size_t
width(const struct json *v)
{
	struct slice s = json_text(v);
	size_t       n = 0;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		n += (c & 0xc0) == 0x80 ? 0 : c >= 0xe0 ? 2 : 1;
	}
	return n;
}

static const char *
check_link(const struct json *item)
{
	struct slice link = json_text(json_get(item, "link"));

	if (link.n > 0 && !slice_starts(link, SLICE("https://")))
		return "link of an item begins with https://";
	if (link.n == 0 && slice_is(json_text(json_get(item, "type")), "link"))
		return "an item of type link has link";
	return NULL;
}

const char *
shape_panel_item(const struct json *item)
{
	struct slice type = json_text(json_get(item, "type"));

	if (is_blank(json_get(item, "name")))
		return "an item has name";
	if (width(json_get(item, "name")) > PANEL_NAME_MAX)
		return "name of an item is 14 wide at most (Chinese: 7)";
	if (width(json_get(item, "desc")) > PANEL_DESC_MAX)
		return "desc of an item is 30 wide at most (Chinese: 15)";
	if (!slice_is(type, "command") && !slice_is(type, "link"))
		return "type of an item is command or link";
	return check_link(item);
}

static const char *
check_sub_items(const struct json *items)
{
	if (items == NULL)
		return NULL;
	if (!json_is_array(items) || json_count(items) > SUB_ITEMS_MAX)
		return "sub_menu_items is a list of 5 at most";
	for (size_t i = 0; i < json_count(items); i++) {
		const struct json *item = json_at(items, i);
		struct slice       type = json_text(json_get(item, "type"));

		if (is_blank(json_get(item, "name")))
			return "an item has name";
		if (width(json_get(item, "name")) > PANEL_NAME_MAX)
			return "name of an inner item is 14 wide at most "
			       "(Chinese: 7)";
		if (!slice_is(type, "send_message") && !slice_is(type, "link"))
			return "type of an inner item is send_message or link";
		if (check_link(item) != NULL)
			return check_link(item);
	}
	return NULL;
}

const char *
shape_menu_item(const struct json *item)
{
	struct slice type = json_text(json_get(item, "type"));

	if (is_blank(json_get(item, "name")))
		return "an item has name";
	if (width(json_get(item, "name")) > MENU_NAME_MAX)
		return "name of an item is 10 wide at most (Chinese: 5)";
	if (!slice_is(type, "switch") && !slice_is(type, "send_message") &&
	    !slice_is(type, "link") && !slice_is(type, "menu"))
		return "type of an item is switch, send_message, link or menu";
	if (check_link(item) != NULL)
		return check_link(item);
	return check_sub_items(json_get(item, "sub_menu_items"));
}

/* --- cards ------------------------------------------------------------------ */

static const char *
check_ark_obj(const struct json *obj)
{
	if (!json_is_array(obj))
		return "obj is a list of {obj_kv}";
	for (size_t i = 0; i < json_count(obj); i++) {
		const struct json *kv = json_get(json_at(obj, i), "obj_kv");

		if (!json_is_array(kv))
			return "obj is a list of {obj_kv}";
		for (size_t k = 0; k < json_count(kv); k++)
			if (is_blank(json_get(json_at(kv, k), "key")))
				return "each of obj_kv has a key";
	}
	return NULL;
}

const char *
shape_ark(const struct json *o)
{
	const struct json *kv = json_get(o, "kv");
	const char        *wrong;

	if (!json_is_object(o))
		return "is an object";
	if (!in_range(json_get(o, "template_id"), 1, INT32_MAX))
		return "has template_id, a number";
	if (!json_is_array(kv) || json_count(kv) == 0)
		return "has kv, a list";
	for (size_t i = 0; i < json_count(kv); i++) {
		const struct json *one = json_at(kv, i);

		if (is_blank(json_get(one, "key")))
			return "each of kv has a key";
		if (has(one, "value") == has(one, "obj"))
			return "each of kv has value or obj, one of them";
		if (has(one, "obj") &&
		    (wrong = check_ark_obj(json_get(one, "obj"))) != NULL)
			return wrong;
	}
	return NULL;
}

const char *
shape_embed(const struct json *o)
{
	const struct json *fields = json_get(o, "fields");

	if (!json_is_object(o))
		return "is an object";
	if (is_blank(json_get(o, "title")) && is_blank(json_get(o, "prompt")) &&
	    fields == NULL)
		return "has title, prompt or fields";
	if (has(o, "thumbnail") && is_blank(json_path(o, "thumbnail.url")))
		return "thumbnail has url";
	if (fields != NULL && !json_is_array(fields))
		return "fields is a list of {name}";
	for (size_t i = 0; i < json_count(fields); i++)
		if (!has(json_at(fields, i), "name"))
			return "each of fields has name";
	return NULL;
}
