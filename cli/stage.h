/*
 * stage: a workerd of our own with a handler in it, for trying: in a folder
 * that goes with it, between two sockets whose other ends we are.  The caller
 * plays gatewayd and apid.
 */
#ifndef STAGE_H
#define STAGE_H

#include "bus.h"
#include "cli.h"
#include "frame.h"
#include "piped.h"

struct stage_options {
	struct cli                *cli;
	struct loop               *loop;
	const char                *handler;   /* exec:..., as ROOKERY_HANDLER */
	const struct msg_handlers *events, *api;
	void                      *self;
	/* From whatever the worker sends, either way. */
	void (*on_heard)(void *self, msg_peer from);
	/* What the handler says on its standard error. */
	void (*on_words)(void *self, struct slice line);
	/* The worker warns; broken: the handler will not be started again. */
	void (*on_trouble)(void *self, struct slice event, struct slice why,
	    bool broken);
	/* It has ended; not called for stage_close(). */
	void (*on_end)(void *self, int status);
};

struct stage {
	struct stage_options o;
	struct bus          *events, *api;
	struct piped         worker;      /* pid 0: none */
	struct lines         log;
	char                 dir[64];     /* "": none */
};

/* What is wrong with the handler is said on standard error.  FAILED, CONFIG. */
enum status stage_open(struct stage *, const struct stage_options *);
/* Lets it end, or after some seconds kills it. */
void stage_close(struct stage *);

#endif
