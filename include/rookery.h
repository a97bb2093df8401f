/*
 * rookery.h: what a program needs to know to be a direct worker: a process of
 * its own that takes events from gatewayd and makes calls to apid over
 * ZeroMQ.  C99, no dependencies; rookery-messages(7) has the rest.
 */
#ifndef ROOKERY_H
#define ROOKERY_H

/* First frame of every message: these three bytes and the kind. */
#define ROOKERY_MAGIC "RK1"
#define ROOKERY_VERSION_OF_CONTRACT 1

/* Second frame: one MessagePack map of at most so many bytes. */
#define ROOKERY_BODY_MAX (1 << 20)

/* On the events socket (DEALER, to gatewayd) and the api socket (to apid). */
enum rookery_kind {
	ROOKERY_READY = 'R',    /* worker -> events: name, events, window */
	ROOKERY_HELLO = 'H',    /* -> worker: you are not known, register */
	ROOKERY_EVENT = 'E',    /* events -> worker */
	ROOKERY_ACK = 'A',      /* worker -> events: ev */
	ROOKERY_NACK = 'N',     /* worker -> events: ev, after_ms, drop, why */
	ROOKERY_CALL = 'C',     /* worker -> api */
	ROOKERY_RESULT = 'S',   /* api -> worker */
	ROOKERY_BEAT = 'B',     /* both ways */
	ROOKERY_BYE = 'X',      /* both ways: reason */
};

/* Beat when nothing else was said for so long; a peer silent for four beats
 * is dead. */
#define ROOKERY_BEAT_MS 2500
#define ROOKERY_SILENCE_MS 10000

#endif
