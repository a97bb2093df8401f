/*
 * The list of held messages.
 */
#include "audit.h"

#include <stdio.h>
#include <stdlib.h>

void
audit_free(struct audit **at)
{
	if (*at == NULL)
		return;
	free((*at)->target);
	free((*at)->text);
	free(*at);
	*at = NULL;
}

static void
forget_oldest(struct audits *all)
{
	struct audit **at = &all->first;

	while ((*at)->next != NULL)
		at = &(*at)->next;
	audit_free(at);
	all->n--;
}

void
audit_hold(struct audits *all, const struct send *s, const char *bot,
    const char *id)
{
	struct audit *a = calloc(1, sizeof *a);

	if (a == NULL)
		return;
	a->target = slice_dup(s->target);
	a->text = slice_dup(s->text);
	if (a->target == NULL || a->text == NULL) {
		audit_free(&a);
		return;
	}
	snprintf(a->id, sizeof a->id, "%s", id);
	snprintf(a->bot, sizeof a->bot, "%s", bot);
	a->scope = s->scope;
	a->event = s->event != NULL ? s->event->serial : 0;
	a->seq = s->seq;
	a->next = all->first;
	all->first = a;
	if (++all->n > AUDITS_MAX)
		forget_oldest(all);
}

struct audit *
audit_take(struct audits *all, struct slice id)
{
	struct audit **at = &all->first, *a;

	while (*at != NULL && id.n > 0 && !slice_is(id, (*at)->id))
		at = &(*at)->next;
	if ((a = *at) != NULL) {
		*at = a->next;
		all->n--;
	}
	return a;
}

void
audits_close(struct audits *all)
{
	struct audit *a;

	while ((a = audit_take(all, SLICE(""))) != NULL)
		audit_free(&a);
}

struct json *
audits_json(const struct audits *all)
{
	struct json *list = json_new_array();

	for (const struct audit *a = all->first; a != NULL; a = a->next) {
		struct json *j = json_new_object();

		json_put_text(j, "audit_id", slice_of(a->id));
		json_put_text(j, "bot", slice_of(a->bot));
		json_put_text(j, "scope", slice_of(scope_name(a->scope)));
		json_put_text(j, "target", slice_of(a->target));
		json_push_take(list, j);
	}
	return list;
}
