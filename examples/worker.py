#!/usr/bin/env python3
"""A worker of your own: takes events from gatewayd and has apid answer them,
over ZeroMQ and MessagePack, as rookery-messages(7) describes.

  examples/worker.py [RUN_FOLDER]          (.rookery/run by default)

It answers "/echo TEXT" with TEXT.  Start the system without workers of its
own:  ROOKERY_WORKERS=0 rookery up

Debian: apt-get install python3-zmq python3-msgpack
"""
import os
import socket
import sys
import time

import msgpack
import zmq

HELLO, READY, EVENT, ACK, NACK, CALL, RESULT, BEAT, BYE = b"HREANCSBX"


class Link:
    """One socket with beats; after ten silent seconds it is made anew."""

    def __init__(self, ctx, url, on_open):
        self.ctx, self.url, self.on_open, self.sock = ctx, url, on_open, None
        self.open()

    def open(self):
        if self.sock:
            self.sock.close(0)
        self.sock = self.ctx.socket(zmq.DEALER)
        self.sock.connect(self.url)
        self.heard = self.said = time.monotonic()
        self.on_open(self)

    def send(self, kind, **body):
        self.sock.send_multipart([b"RK1" + bytes([kind]), msgpack.packb(body)])
        self.said = time.monotonic()

    def recv(self):
        head, body = self.sock.recv_multipart()
        self.heard = time.monotonic()
        return head[3], msgpack.unpackb(body)

    def tick(self):
        now = time.monotonic()
        if now - self.heard > 10:
            self.open()
        elif now - self.said > 2.5 or now - self.heard > 2.5:
            self.send(BEAT)


def main(run_folder):
    ctx = zmq.Context()
    waiting = {}                                # call id -> (event id, call)
    name = f"worker.py@{socket.gethostname()}.{os.getpid()}"

    def register(link):
        link.send(READY, v=1, name=name, handler="worker.py",
                  events=["message.*"], window=16)

    def call_again(link):
        for _, call in waiting.values():
            link.send(CALL, **call)

    api = Link(ctx, f"ipc://{run_folder}/api.sock", call_again)
    events = Link(ctx, f"ipc://{run_folder}/events.sock", register)
    while True:
        for link in (events, api):
            link.tick()
        poller = zmq.Poller()
        for link in (events, api):
            poller.register(link.sock, zmq.POLLIN)
        ready = dict(poller.poll(500))
        if events.sock in ready:
            kind, ev = events.recv()
            if kind == EVENT and ev["text"].startswith("/echo "):
                # The first reply to this event; a redelivery of the event
                # numbers it the same, so it appears once.
                call = dict(id=ev["id"] + "#1", do="reply", ev=ev["id"], n=1,
                            bot=ev["bot"], conv=ev["conv"], msg=ev["msg"],
                            event=ev["event"], deadline=ev.get("deadline", 0),
                            text=ev["text"][6:])
                waiting[call["id"]] = (ev["id"], call)
                api.send(CALL, **call)
            elif kind == EVENT:
                events.send(ACK, ev=ev["id"])
            elif kind == HELLO:                 # another run of gatewayd
                register(events)
        if api.sock in ready:
            kind, result = api.recv()
            if kind == RESULT and result["id"] in waiting:
                if not result["ok"]:
                    print("worker.py:", result["code"], result["message"],
                          file=sys.stderr)
                events.send(ACK, ev=waiting.pop(result["id"])[0])
            elif kind == HELLO:                 # another run of apid
                call_again(api)


if __name__ == "__main__":
    try:
        main(*(sys.argv[1:] or [".rookery/run"]))
    except KeyboardInterrupt:
        pass
