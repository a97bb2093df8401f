/*
 * Orders to media.c and fetch.c, and what their answers make of a call.
 */
#include "life.h"

#include <stdlib.h>

#include "log.h"
#include "pack.h"

enum { CODE_STALE_FILE = 304080 };

bool
attach_is_due(const struct request *r)
{
	const struct attachment *a = &r->files;

	return a->work != WORK_REQUEST || (a->want.wanted && !a->ready);
}

static bool
is_held_by_platform(const struct request *r)
{
	return r->to == SCOPE_C2C || r->to == SCOPE_GROUP;
}

static void
fail(struct request *r, enum result result, struct slice message)
{
	if (message.n > 0)
		request_copy(r->message, sizeof r->message, message);
	request_finish(r, r->attempt.unsure ? RESULT_TIMEOUT : result);
}

/* --- uploads -------------------------------------------------------------- */

static void
pack_file_info(struct request *r, struct slice file_info)
{
	struct pack k;

	pack_open(&k, &r->data);
	pack_map(&k, 1);
	pack_str(&k, SLICE("file_info"));
	pack_str(&k, file_info);
	if (r->data.failed)
		buf_free(&r->data);
}

static void
drop_form(struct request *r)
{
	if (r->files.form != NULL)
		form_free(r->files.form);
	free(r->files.form);
	r->files.form = NULL;
}

static enum err
put_form(struct request *r, const struct media_answer *m)
{
	enum err e = ERR_NOMEM;

	drop_form(r);
	if ((r->files.form = calloc(1, sizeof *r->files.form)) != NULL &&
	    (e = form_make(r->files.form, r->body, &m->file)) != ERR_OK) {
		free(r->files.form);
		r->files.form = NULL;
	}
	return e;
}

/* The body names the file from now on, or is a form that holds it. */
static enum err
put_file(struct request *r, const struct media_answer *m)
{
	struct attachment *a = &r->files;
	struct buf         body = { 0 };
	bool               held = is_held_by_platform(r);
	enum err           e;

	if (!held && m->file.fd >= 0)
		return put_form(r, m);
	buf_reset(&a->file_info);
	buf_put(&a->file_info, m->file_info);
	e = call_put_media(r->to, r->body,
	    held ? m->file_info : a->want.source, &body);
	if (e == ERR_OK)
		request_use_body(r, &body);
	else
		buf_free(&body);
	return e;
}

static void
on_media(void *self, const struct media_answer *m)
{
	struct request    *r = self;
	struct attachment *a = &r->files;
	enum err           e;

	a->waits = false;
	loop_cancel(r->owner->loop, &r->timer);
	r->state = PAUSING;
	if (m->result == RESULT_QUOTA && sent_is_unsaved(&r->owner->sent))
		requests_commit_soon(r->owner);
	if (r->owner->closed)
		return; /* unanswered: it will be asked of the next of us */
	r->status = m->status;
	r->code = m->code;
	request_copy(r->trace, sizeof r->trace, m->trace);
	if (m->result != RESULT_OK) {
		fail(r, m->result, m->message);
	} else if (a->work == WORK_UPLOAD) {
		pack_file_info(r, m->file_info);
		request_finish(r, RESULT_OK);
	} else if ((e = put_file(r, m)) != ERR_OK) {
		fail(r, e == ERR_NOMEM ? RESULT_RATE_LIMITED : RESULT_MEDIA,
		    slice_of(err_text(e)));
	} else {
		a->ready = true;
		r->message[0] = '\0';
		request_go(r);
	}
}

/* --- downloads ------------------------------------------------------------ */

static void
on_fetch(void *self, const struct fetch_answer *f)
{
	struct request *r = self;
	struct pack     k;

	r->files.waits = false;
	loop_cancel(r->owner->loop, &r->timer);
	r->state = PAUSING;
	if (r->owner->closed)
		return;
	r->status = f->status;
	if (f->result != RESULT_OK) {
		fail(r, f->result, f->message);
		return;
	}
	pack_open(&k, &r->data);
	pack_map(&k, 3);
	pack_str(&k, SLICE("path"));
	pack_str(&k, f->path);
	pack_str(&k, SLICE("type"));
	pack_str(&k, f->type);
	pack_str(&k, SLICE("size"));
	pack_uint(&k, f->size);
	request_finish(r, RESULT_OK);
}

/* --- both ----------------------------------------------------------------- */

void
attach_start(struct request *r)
{
	struct requests   *rs = r->owner;
	struct attachment *a = &r->files;
	enum err           e;

	/* An upload that others join may outlive the bot. */
	if (r->bot->leaving) {
		fail(r, RESULT_MEDIA,
		    SLICE("its bot has been changed or removed meanwhile"));
		return;
	}
	r->state = WANTS_FILES;
	if (a->work == WORK_DOWNLOAD) {
		a->fetch = (struct fetch_order){ .url = a->want.source,
			.until_ms = r->rules.until_ms, .on_done = on_fetch,
			.self = r };
		e = fetch_start(rs->fetch, &a->fetch);
	} else {
		a->order = (struct media_order){ .bot = r->bot,
			.scope = r->to, .target = slice_from(r->pace.conv, 2),
			.want = a->want, .until_ms = r->rules.until_ms,
			.on_done = on_media, .self = r };
		e = media_start(rs->media, &a->order);
	}
	a->waits = e == ERR_OK;
	if (a->waits)
		request_wait_until(r, r->rules.until_ms);
	else
		fail(r, RESULT_RATE_LIMITED, slice_of(err_text(e)));
}

void
attach_cancel(struct request *r)
{
	struct attachment *a = &r->files;

	if (!a->waits)
		return;
	a->waits = false;
	if (a->work == WORK_DOWNLOAD)
		fetch_cancel(r->owner->fetch, &a->fetch);
	else
		media_cancel(r->owner->media, &a->order);
}

bool
attach_renew(struct request *r, uint64_t code)
{
	struct attachment *a = &r->files;

	if (code != CODE_STALE_FILE || !a->ready || a->renewed ||
	    a->file_info.n == 0 || r->attempt.unsure)
		return false;
	media_forget(r->owner->media, buf_slice(&a->file_info));
	a->ready = false;
	a->renewed = true;
	log_info("call.file_again", KV("bot", r->bot->app),
	    KV("scope", r->scope));
	return true;
}

void
attach_renew_form(struct request *r)
{
	if (r->files.form == NULL)
		return;
	drop_form(r);
	r->files.ready = false;
}

void
attach_free(struct request *r)
{
	attach_cancel(r);
	drop_form(r);
	buf_free(&r->files.file_info);
}
