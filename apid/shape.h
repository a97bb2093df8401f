/*
 * shape: markdown, keyboard, ark, embed, panel and menu against the platform's
 * limits.
 * What they do not know they let pass: the platform may have learnt it.
 */
#ifndef SHAPE_H
#define SHAPE_H

#include "json.h"

/* What is wrong, static; NULL: nothing. */
const char *shape_markdown(const struct json *);
const char *shape_keyboard(const struct json *);
const char *shape_ark(const struct json *);
const char *shape_embed(const struct json *);
/* {keyboard: {content: {rows}}} */
const char *shape_prompt(const struct json *);
const char *shape_action(const struct json *);

/* One of the items of a panel, of a menu. */
const char *shape_panel_item(const struct json *);
const char *shape_menu_item(const struct json *);

/* Characters of well-formed UTF-8. */
size_t shape_length(struct slice);

#endif
