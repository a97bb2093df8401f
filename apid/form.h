/*
 * form: a message with a picture in it, as channels and direct conversations
 * take one that is no address: the members of its JSON body as fields, the
 * file as file_image.
 */
#ifndef FORM_H
#define FORM_H

#include "http.h"
#include "json.h"
#include "media.h"

enum { FORM_FIELDS = 24 };

struct form {
	struct http_form  http;     /* for a request; good until form_free() */
	struct http_field fields[FORM_FIELDS];
	struct http_file  file;
	struct json      *doc;
	char             *name, *mime;
};

/* body: a JSON object.  The file is kept open by itself.  NOMEM, SYSTEM,
 * SYNTAX, TOO_LARGE (more members than any message has). */
enum err form_make(struct form *, struct slice body,
    const struct media_file *);
void form_free(struct form *);

#endif
