/*
 * Uploads: a ring of rows.
 */
#include "files.h"

#include <stdio.h>
#include <stdlib.h>

static void
forget(struct files *f, struct file *row)
{
	f->bytes -= row->n;
	free(row->key);
	free(row->name);
	free(row->url);
	free(row->data);
	*row = (struct file){ 0 };
}

void
files_close(struct files *f)
{
	for (size_t i = 0; i < FILES_MAX; i++)
		forget(f, &f->rows[i]);
}

static void
make_room(struct files *f, size_t n)
{
	uint64_t from = f->last > FILES_MAX ? f->last - FILES_MAX : 0;

	forget(f, &f->rows[(f->last + 1) % FILES_MAX]);
	for (uint64_t i = from + 1;
	    i <= f->last && f->bytes + n > FILES_BYTES_MAX; i++)
		forget(f, &f->rows[i % FILES_MAX]);
}

static char *
key_of(struct slice bot, struct slice info)
{
	char *key;

	if (info.n == 0)
		return slice_dup(SLICE(""));
	if (asprintf(&key, "%.*s %.*s", (int)bot.n, bot.p, (int)info.n,
	        info.p) < 0)
		return NULL;
	return key;
}

enum err
files_keep(struct files *f, const struct file_new *new,
    const struct file **out)
{
	struct file *row;

	if (new->data.n > FILES_BYTES_MAX)
		return ERR_TOO_LARGE;
	make_room(f, new->data.n);
	row = &f->rows[(f->last + 1) % FILES_MAX];
	*row = (struct file){ .number = f->last + 1,
		.key = key_of(new->bot, new->info),
		.name = slice_dup(new->name), .url = slice_dup(new->url),
		.data = slice_dup(new->data), .type = files_type(new->data) };
	if (row->key == NULL || row->name == NULL || row->url == NULL ||
	    row->data == NULL) {
		forget(f, row);
		return ERR_NOMEM;
	}
	row->n = new->data.n;
	f->bytes += row->n;
	f->last++;
	*out = row;
	return ERR_OK;
}

const struct file *
files_at(const struct files *f, uint64_t number)
{
	const struct file *row = &f->rows[number % FILES_MAX];

	return number != 0 && row->number == number ? row : NULL;
}

const struct file *
files_by_info(const struct files *f, struct slice bot, struct slice info)
{
	char              *key = info.n > 0 ? key_of(bot, info) : NULL;
	const struct file *found = NULL;

	for (size_t i = 0; key != NULL && i < FILES_MAX; i++)
		if (f->rows[i].number != 0 &&
		    strcmp(f->rows[i].key, key) == 0)
			found = &f->rows[i];
	free(key);
	return found;
}

const char *
files_type(struct slice data)
{
	static const struct {
		size_t       at;
		struct slice bytes;
		const char  *type;
	} known[] = {
		{ 0, { "\x89PNG\r\n\x1a\n", 8 }, "image/png" },
		{ 0, { "\xff\xd8\xff", 3 }, "image/jpeg" },
		{ 0, { "GIF8", 4 }, "image/gif" },
		{ 8, { "WEBP", 4 }, "image/webp" },
		{ 0, { "BM", 2 }, "image/bmp" },
		{ 4, { "ftyp", 4 }, "video/mp4" },
		{ 0, { "\x1a\x45\xdf\xa3", 4 }, "video/webm" },
		{ 8, { "WAVE", 4 }, "audio/wav" },
		{ 0, { "OggS", 4 }, "audio/ogg" },
		{ 0, { "fLaC", 4 }, "audio/flac" },
		{ 0, { "ID3", 3 }, "audio/mpeg" },
		{ 0, { "\xff\xfb", 2 }, "audio/mpeg" },
		{ 0, { "#!SILK", 6 }, "audio/silk" },
		{ 1, { "#!SILK", 6 }, "audio/silk" },
		{ 0, { "#!AMR", 5 }, "audio/amr" },
	};

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (data.n >= known[i].at + known[i].bytes.n &&
		    memcmp(data.p + known[i].at, known[i].bytes.p,
		        known[i].bytes.n) == 0)
			return known[i].type;
	return "application/octet-stream";
}

const char *
files_attachment_type(const char *type)
{
	if (strncmp(type, "image/", 6) == 0 ||
	    strncmp(type, "video/", 6) == 0)
		return type;
	return strncmp(type, "audio/", 6) == 0 ? "voice" : "file";
}
