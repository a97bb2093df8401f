/*
 * Uploads: a ring of rows.
 */
#include "shelf.h"

#include <stdio.h>
#include <stdlib.h>

static void
forget(struct shelf *f, struct shelf_file *row)
{
	f->bytes -= row->n;
	free(row->key);
	free(row->name);
	free(row->url);
	free(row->data);
	*row = (struct shelf_file){ 0 };
}

void
shelf_close(struct shelf *f)
{
	for (size_t i = 0; i < SHELF_MAX; i++)
		forget(f, &f->rows[i]);
}

static void
make_room(struct shelf *f, size_t n)
{
	uint64_t from = f->last > SHELF_MAX ? f->last - SHELF_MAX : 0;

	forget(f, &f->rows[(f->last + 1) % SHELF_MAX]);
	for (uint64_t i = from + 1;
	    i <= f->last && f->bytes + n > SHELF_BYTES_MAX; i++)
		forget(f, &f->rows[i % SHELF_MAX]);
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
shelf_keep(struct shelf *f, const struct shelf_new *new,
    const struct shelf_file **out)
{
	struct shelf_file *row;

	if (new->data.n > SHELF_BYTES_MAX)
		return ERR_TOO_LARGE;
	make_room(f, new->data.n);
	row = &f->rows[(f->last + 1) % SHELF_MAX];
	*row = (struct shelf_file){ .number = f->last + 1,
		.key = key_of(new->bot, new->info),
		.name = slice_dup(new->name), .url = slice_dup(new->url),
		.data = slice_dup(new->data), .type = shelf_type(new->data) };
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

const struct shelf_file *
shelf_at(const struct shelf *f, uint64_t number)
{
	const struct shelf_file *row = &f->rows[number % SHELF_MAX];

	return number != 0 && row->number == number ? row : NULL;
}

const struct shelf_file *
shelf_by_info(const struct shelf *f, struct slice bot, struct slice info)
{
	char              *key = info.n > 0 ? key_of(bot, info) : NULL;
	const struct shelf_file *found = NULL;

	for (size_t i = 0; key != NULL && i < SHELF_MAX; i++)
		if (f->rows[i].number != 0 &&
		    strcmp(f->rows[i].key, key) == 0)
			found = &f->rows[i];
	free(key);
	return found;
}

const char *
shelf_type(struct slice data)
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
shelf_attachment_type(const char *type)
{
	if (strncmp(type, "image/", 6) == 0 ||
	    strncmp(type, "video/", 6) == 0)
		return type;
	return strncmp(type, "audio/", 6) == 0 ? "voice" : "file";
}
