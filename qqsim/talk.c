/*
 * The rules of streamed messages.
 */
#include "talk.h"

#include <stdio.h>
#include <stdlib.h>

enum { STATE_MORE = 1, STATE_LAST = 10 };

struct talk *
talk_find(struct talk *t, const struct conversation *with, struct slice id)
{
	while (t != NULL && (t->conversation != with ||
	    !slice_is(id, t->id)))
		t = t->next;
	return t;
}

struct talk *
talk_new(const char *id, struct conversation *with)
{
	struct talk *t = calloc(1, sizeof *t);

	if (t == NULL)
		return NULL;
	snprintf(t->id, sizeof t->id, "%s", id);
	t->conversation = with;
	t->index = -1;
	return t;
}

void
talk_free(struct talk **at)
{
	if (*at == NULL)
		return;
	buf_free(&(*at)->text);
	free(*at);
	*at = NULL;
}

void
talks_close(struct talk **first)
{
	while (*first != NULL) {
		struct talk *t = *first;

		*first = t->next;
		talk_free(&t);
	}
}

void
talk_keep(struct talk **first, struct talk *t)
{
	size_t n = 1;

	t->next = *first;
	*first = t;
	while (t->next != NULL && n++ < TALKS_MAX)
		t = t->next;
	if (t->next != NULL)
		talk_free(&t->next);
}

/* What the first part laid down stands for all. */
static const struct refusal *
judge_same(struct talk *t, const struct json *body)
{
	bool    replace = slice_is(json_text_at(body, "input_mode"),
	    "replace");
	bool    markdown = slice_is(json_text_at(body, "content_type"),
	    "markdown");
	int64_t seq = 1;

	json_int_at(body, "msg_seq", &seq);
	if (t->index < 0) {
		t->replace = replace;
		t->markdown = markdown;
		t->seq = seq;
		return NULL;
	}
	if (markdown != t->markdown)
		return &refusal_stream_type;
	if (seq != t->seq)
		return &refusal_stream_seq;
	return replace != t->replace ? &refusal_stream_mode : NULL;
}

static const struct refusal *
judge_text(const struct talk *t, struct slice raw)
{
	if (t->replace && !slice_starts(raw, buf_slice(&t->text)))
		return &refusal_stream_prefix;
	return raw.n + (t->replace ? 0 : t->text.n) > TALK_TEXT_MAX
	    ? &refusal_stream_long : NULL;
}

const struct refusal *
talk_add(struct talk *t, const struct json *body, uint64_t gap_ms,
    int64_t now_us)
{
	struct slice          raw = json_text_at(body, "content_raw");
	const struct refusal *r;
	int64_t               index = -1, state = 0;

	json_int_at(body, "index", &index);
	json_int_at(body, "input_state", &state);
	if (t->over)
		return &refusal_stream_over;
	if (state != STATE_MORE && state != STATE_LAST)
		return &refusal_stream_state;
	if (index != t->index + 1)
		return &refusal_stream_index;
	if (t->index >= 0 && now_us - t->at_us < (int64_t)gap_ms * 1000)
		return &refusal_stream_fast;
	if ((r = judge_same(t, body)) != NULL ||
	    (r = judge_text(t, raw)) != NULL)
		return r;
	if (t->replace)
		buf_reset(&t->text);
	buf_put(&t->text, raw);
	t->index = index;
	t->at_us = now_us;
	t->over = state == STATE_LAST;
	return t->text.failed ? &refusal_full : NULL;
}
