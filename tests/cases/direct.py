#!/usr/bin/python3
"""Workers of one's own that look at what they are given.

    direct.py NAME EVENTS
"""
import sys
import time

import msgpack
import zmq

NAME, EVENTS = sys.argv[1:3]
WAIT_S, QUIET_S = 10, 0.5
CONTEXT = zmq.Context()


class Worker:
    """Never beats: it says something within four beats, or is over."""
    def __init__(self, name, window):
        self.name = name
        self.sock = CONTEXT.socket(zmq.DEALER)
        self.sock.connect(EVENTS)
        self.ready(window)

    def say(self, kind, **body):
        self.sock.send_multipart([b"RK1" + kind, msgpack.packb(body)])

    def ready(self, window):
        self.say(b"R", v=1, name=self.name, events=["message.*"],
                 window=window)

    def ack(self, event):
        self.say(b"A", ev=event["id"])

    def next(self, within=WAIT_S):
        """The next event, or None."""
        end = time.monotonic() + within
        while (left := end - time.monotonic()) > 0:
            if self.sock.poll(1000 * left):
                head, body = self.sock.recv_multipart()
                if head[3:] == b"E":
                    return msgpack.unpackb(body)
        return None

    def gets(self, count):
        """So many events, and no more."""
        found = [self.next() for _ in range(count)]
        assert None not in found, f"{found.index(None)} of {count} came"
        more = self.next(QUIET_S)
        assert more is None, f"more than {count} came: {more}"
        return found


def credit():
    """Thirty conversations of two events are there."""
    w = Worker("w", 3)
    held = w.gets(3)
    w.ack(held.pop())
    held += w.gets(1)
    w.say(b"N", ev=held.pop()["id"], drop=True, why="looks bad")
    held += w.gets(1)
    # returned to be tried later is closed too
    w.say(b"N", ev=held.pop()["id"], after_ms=60000)
    held += w.gets(1)
    w.ready(7)
    held += w.gets(4)
    w.ready(0)
    for event in held:
        w.ack(event)
    assert w.next(QUIET_S) is None, "a window of 0 pauses"
    w.ready(100)
    convs = [e["conv"] for e in iter(lambda: w.next(QUIET_S), None)]
    assert len(convs) > 20, f"only {len(convs)} came"
    assert len(convs) == len(set(convs)), "two of a conversation at once"


def stale():
    """One event; whoever has lost it may not close it any more."""
    first = Worker("w", 1)
    event = first.next()
    assert event["attempt"] == 1, event
    # its next life: another socket, the same name
    second = Worker("w", 1)
    again = second.next()
    assert (again["id"], again["attempt"]) == (event["id"], 2), again
    first.ack(event)
    assert second.next(QUIET_S) is None, "the late ack counts for nothing"
    first.say(b"N", ev=event["id"], drop=True)
    assert second.next(QUIET_S) is None, "nor does a late nack"
    second.ack(again)
    second.ack(again)
    after = second.next()
    assert after["text"] == "after", after
    second.ack(after)


def silent():
    """It says nothing, and is dead after four beats."""
    first, second = Worker("first", 1), None
    event = first.next()
    began = time.monotonic()
    second = Worker("second", 1)
    while (again := second.next(1)) is None:
        second.say(b"B")
        assert time.monotonic() - began < 15, "still the first one's"
    assert (again["id"], again["attempt"]) == (event["id"], 2), again
    first.ack(event)
    second.ack(again)
    second.next(QUIET_S)


def raw(*frames):
    sock = CONTEXT.socket(zmq.DEALER)
    sock.connect(EVENTS)
    sock.send_multipart(frames)
    return sock


def odd():
    """Who makes no sense is refused, stays without events and harms none."""
    for frames in ([b""], [b"RK1R"], [b"RK1R", b""], [b"RK1R", b"\xc1"],
                   [b"RK1R", b"\xdf\xff\xff\xff\xff"], [b"RK2R", b"\x80"],
                   [b"GET / HTTP/1.1", b"Host: x"], [b"RK1E", b"\x80"],
                   [b"RK1R", b"\x80", b"third"], [b"RK1A", b"\x81\xa2ev\x07"],
                   [b"RK1B" * 1000, b"\x80"], [b"RK1N", b"\x91" * 100000],
                   [b"RK1B", b"x" * (3 << 20)]):
        raw(*frames)
    for wrong in ({"v": 9}, {"v": "1"}, {"window": -1}, {"events": [7]},
                  {"events": "message.*"}, {"name": "n" * 70000},
                  {"events": ["message.*"] * 10000}, {"name": ""},
                  {"handler": "h" * 70000}):
        sock = raw(b"RK1R", msgpack.packb({
            "v": 1, "name": "odd", "window": 9, "events": ["message.*"],
            **wrong}))
        assert sock.poll(1000 * WAIT_S), wrong
    worker = Worker("w", (1 << 64) - 1)
    for _ in range(2):
        worker.ack(worker.next())


def leaving():
    """The last life of worker/1 finds the next gatewayd as it leaves."""
    w = Worker("worker/1", 0)
    w.say(b"B", reason="told to")
    w.say(b"R", v=9, name="x")      # the answer says that all has been read
    while w.sock.recv_multipart()[0][3:] != b"B":
        pass


{"credit": credit, "stale": stale, "silent": silent, "odd": odd,
 "leaving": leaving}[NAME]()
