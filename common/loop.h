/*
 * loop: the one wait of a process.  An epoll descriptor that watches file
 * descriptors, timers on CLOCK_MONOTONIC, signals, and sources that must be
 * asked.  All callbacks run inside loop_turn(), on the caller's thread.
 *
 * A loop is itself a descriptor, readable when a turn would find work: a
 * library with a loop of its own takes loop_fd() as a source and calls
 * loop_turn(loop, 0) after each of its own turns.
 */
#ifndef LOOP_H
#define LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"

struct loop;

enum { LOOP_READ = 1, LOOP_WRITE = 2, LOOP_HANGUP = 4 };

/* what: LOOP_* bits that are true now.  HANGUP (the peer is gone, or an error
 * is pending) is reported unasked, together with READ. */
typedef void loop_fd_fn(void *self, int fd, unsigned what);
typedef void loop_timer_fn(void *self);
typedef void loop_signal_fn(void *self, int signal);

/* A timer lives in its owner's struct; zero it before first use. */
struct timer {
	uint64_t       at_ms;
	size_t         slot;      /* heap position + 1; 0 = not armed */
	loop_timer_fn *fn;
	void          *self;
};

enum err loop_new(struct loop **);
void loop_free(struct loop **);
int loop_fd(const struct loop *);

/* Milliseconds on CLOCK_MONOTONIC, read once per turn. */
uint64_t loop_now(const struct loop *);
/* The same clock, read now. */
uint64_t loop_clock_ms(void);
/* Milliseconds since 1970. */
int64_t loop_wall_ms(void);
/* Since the boot, the time asleep included; nobody can set it. */
uint64_t loop_boot_ms(void);

/* wait_ms: -1 until something happens, 0 not at all.  *more (may be NULL):
 * work is left that no descriptor will announce; turn again without sleeping.
 */
enum err loop_turn(struct loop *, int wait_ms, bool *more);

/* what: LOOP_READ, LOOP_WRITE or both; a second call for the same fd replaces
 * the first.  FULL or SYSTEM on failure. */
enum err loop_watch(struct loop *, int fd, unsigned what, loop_fd_fn *,
    void *self);
/* Before the descriptor is closed.  Unknown descriptors are ignored. */
void loop_unwatch(struct loop *, int fd);

/* A source whose readiness no descriptor tells for sure (ZeroMQ: its
 * descriptor only signals edges, and any call may swallow one; so watch the
 * descriptor as a mere wake-up, and let the loop ask for the true state).
 * pending() is asked before each sleep; serve() is called while it says yes,
 * and may do a bounded part of the work. */
struct loop_source {
	bool (*pending)(void *self);
	void (*serve)(void *self);
	void  *self;
};
enum err loop_add_source(struct loop *, const struct loop_source *);
/* By its self. */
void loop_remove_source(struct loop *, const void *self);

/* Arms or re-arms; due after_ms from now. */
enum err loop_after(struct loop *, struct timer *, uint64_t after_ms,
    loop_timer_fn *, void *self);
void loop_cancel(struct loop *, struct timer *);

/* Blocks the signal in this process and delivers it here instead. */
enum err loop_signal(struct loop *, int signal, loop_signal_fn *, void *self);

#endif
