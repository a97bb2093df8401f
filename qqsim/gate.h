/*
 * gate: the platform's end of the WebSocket protocol: Hello, Identify,
 * Resume, heartbeats, the log of a session and its replay.  Frames in, frames
 * out, no I/O.
 */
#ifndef GATE_H
#define GATE_H

#include "platform.h"

void gate_open(struct platform *, struct conn *, int64_t now_ms);
void gate_frame(struct platform *, struct conn *, struct slice text,
    int64_t now_ms);
/* The next frame to be written; false when there is none now. */
bool gate_next(struct platform *, struct conn *, struct buf *out);
bool gate_pending(const struct conn *);
/* The peer has begun to close, or the socket is gone. */
void gate_leave(struct platform *, struct conn *, int64_t now_ms);
void gate_closed(struct platform *, struct conn *, int64_t now_ms);
/* Deadlines: call it a few times per second. */
void gate_tick(struct platform *, int64_t now_ms);

/* Strikes a fault of the kind NOW on every live socket. */
void gate_fault(struct platform *, const struct fault *, int64_t now_ms);
/* Ends every stall. */
void gate_heal(struct platform *, int64_t now_ms);

void gate_close(struct platform *, struct conn *, int code);
/* As it is, on every socket of the bot that has a session; how many. */
unsigned gate_raw(struct platform *, const struct bot *, struct slice text);

/* An event for this session; where it went. */
enum sent session_give(struct platform *, struct session *, struct payload *,
    int64_t now_ms);
void session_end(struct platform *, struct session **);

#endif
