/*
 * Text as it is, objects as their JSON text (the platform's pages on sending
 * a local picture).
 */
#include "form.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct making {
	struct form *form;
	enum err     err;
};

static void
add(void *self, const char *key, const struct json *value)
{
	struct making *m = self;
	struct form   *f = m->form;
	bool           whole = json_is_object(value) || json_is_array(value);

	if (f->http.n + 1 >= FORM_FIELDS) {
		m->err = ERR_TOO_LARGE;
		return;
	}
	f->fields[f->http.n++] = (struct http_field){ .name = key,
		.text = whole ? json_print(value) : json_text(value) };
}

enum err
form_make(struct form *f, struct slice body, const struct media_file *file)
{
	struct making m = { f, ERR_OK };

	*f = (struct form){ .http.fields = f->fields,
		.file = { .fd = fcntl(file->fd, F_DUPFD_CLOEXEC, 3),
		    .n = file->size },
		.name = slice_dup(file->name),
		.mime = slice_dup(file->mime) };
	if (f->file.fd < 0)
		m.err = ERR_SYSTEM;
	else if (f->name == NULL || f->mime == NULL)
		m.err = ERR_NOMEM;
	else if ((m.err = json_parse(&f->doc, body)) == ERR_OK)
		json_each(f->doc, add, &m);
	if (m.err != ERR_OK) {
		form_free(f);
		return m.err;
	}
	f->fields[f->http.n++] = (struct http_field){ .name = "file_image",
		.file = &f->file, .file_name = f->name, .mime = f->mime };
	return ERR_OK;
}

void
form_free(struct form *f)
{
	if (f->http.fields != NULL && f->file.fd >= 0)
		close(f->file.fd);
	json_free(&f->doc);
	free(f->name);
	free(f->mime);
	*f = (struct form){ .file.fd = -1 };
}
