/*
 * The handlers a worker can host.
 */
#include "worker.h"

#include "log.h"

/* Says what it was told, with a prefix.  Nothing to say: nothing is said;
 * and other bots are left alone, for two that echo never end. */
static void
echo(struct worker *w, struct job *j, const struct msg_event *ev)
{
	struct buf text = { 0 };

	if (!slice_starts(ev->type, SLICE("message.")) || ev->from_bot) {
		log_debug("echo.ignored", KV("id", ev->id),
		    KV("type", ev->type));
		return;
	}
	buf_puts(&text, w->conf.echo_prefix);
	buf_put(&text, ev->text);
	if (slice_trim(buf_slice(&text)).n > 0 && !text.failed)
		job_reply(w, j, buf_slice(&text));
	buf_free(&text);
}

static const struct handler handlers[] = {
	{ "builtin:echo", "*", echo,
	  "Repeats the text of a message after ROOKERY_ECHO_PREFIX." },
};

size_t
handler_all(const struct handler **out)
{
	*out = handlers;
	return sizeof handlers / sizeof *handlers;
}

const struct handler *
handler_find(const char *name)
{
	for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++)
		if (strcmp(handlers[i].name, name) == 0)
			return &handlers[i];
	return NULL;
}
