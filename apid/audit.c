/*
 * A table of audits by bot and id, and a list by their age.
 */
#include "audit.h"

#include <stdlib.h>

static void
audit_free(struct audits *as, struct audit *a)
{
	as->pending -= a->state == AUDIT_PENDING;
	table_remove(&as->table, &a->entry);
	*(a->older != NULL ? &a->older->newer : &as->oldest) = a->newer;
	*(a->newer != NULL ? &a->newer->older : &as->newest) = a->older;
	free(a->msg);
	free(a->why);
	free(a);
}

static struct audit *
find_or_make(struct audits *as, struct slice bot, struct slice id)
{
	struct slice  key;
	struct audit *a;

	buf_reset(&as->scratch);
	buf_put(&as->scratch, bot);
	buf_puts(&as->scratch, " ");
	buf_put(&as->scratch, id);
	key = buf_slice(&as->scratch);
	if (as->scratch.failed)
		return NULL;
	a = (struct audit *)(void *)table_find(&as->table, key);
	if (a != NULL || (a = calloc(1, sizeof *a + key.n)) == NULL)
		return a;
	memcpy(a->key, key.p, key.n);
	a->entry.key = (struct slice){ a->key, key.n };
	table_put(&as->table, &a->entry);
	a->older = as->newest;
	*(as->newest != NULL ? &as->newest->newer : &as->oldest) = a;
	as->newest = a;
	as->pending++;
	if (as->table.n > AUDITS_MAX)
		audit_free(as, as->oldest);
	return a;
}

const struct audit *
audit_held(struct audits *as, struct slice bot, struct slice id)
{
	return find_or_make(as, bot, id);
}

const struct audit *
audit_done(struct audits *as, struct slice bot, struct slice id, bool passed,
    struct slice msg, struct slice why)
{
	struct audit *a = find_or_make(as, bot, id);

	if (a == NULL || a->state != AUDIT_PENDING)
		return a;
	a->state = passed ? AUDIT_PASSED : AUDIT_REJECTED;
	*(passed ? &as->passed : &as->rejected) += 1;
	as->pending--;
	a->msg = msg.n > 0 ? slice_dup(msg) : NULL;
	a->why = why.n > 0 ? slice_dup(why) : NULL;
	return a;
}

void
audits_close(struct audits *as)
{
	while (as->oldest != NULL)
		audit_free(as, as->oldest);
	buf_free(&as->scratch);
}
