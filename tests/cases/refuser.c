/*
 * A worker that fails with every event it gets.
 *
 *   refuser EVENTS_URL
 */
#include <unistd.h>

#include "bus.h"
#include "log.h"
#include "pack.h"

static struct bus *bus;

static void
on_open(void *self)
{
	struct buf       list = { 0 };
	struct pack      p;
	struct msg_ready ready = { .v = 1, .name = SLICE("refuser"),
		.pid = (uint64_t)getpid(), .window = 8, .late = true,
		.handler = SLICE("none") };

	(void)self;
	pack_open(&p, &list);
	pack_array(&p, 1);
	pack_str(&p, SLICE("*"));
	ready.events = buf_slice(&list);
	bus_send(bus, (msg_peer){ NULL, 0 }, MSG_ready, &ready);
	buf_free(&list);
}

static void
on_event(void *self, msg_peer from, const struct msg_event *m)
{
	struct msg_nack no = { .ev = m->id, .after_ms = 50,
		.why = SLICE("TypeError: it is always so") };

	(void)self, (void)from;
	bus_send(bus, (msg_peer){ NULL, 0 }, MSG_nack, &no);
}

static const struct msg_handlers takes = { .event = on_event };

int
main(int argc, char *argv[])
{
	struct loop       *loop;
	struct bus_options o = { .side = BUS_CLIENT, .sends = MSG_EVENTS_UP,
		.takes = MSG_EVENTS_DOWN, .name = "worker",
		.server = "gateway", .handlers = &takes, .on_open = on_open };

	log_open("refuser", LOG_INFO, false);
	if (argc != 2 || loop_new(&loop) != ERR_OK)
		return 1;
	o.url = argv[1];
	if (bus_open(&bus, loop, &o) != ERR_OK)
		return 1;
	while (getppid() != 1 && loop_turn(loop, 200, NULL) == ERR_OK)
		;
	bus_close(&bus);
	loop_free(&loop);
	return 0;
}
