#!/usr/bin/env python3
"""A worker of your own: answers "/echo TEXT" with TEXT.

    ROOKERY_WORKERS=0 rookery up
    examples/worker.py ipc://.rookery/run/events.sock ipc://.rookery/run/api.sock
"""
import os, sys, time, msgpack, zmq

HELLO, READY, EVENT, ACK, WAITS, CALL, RESULT, BEAT = b"HREAWCSB"

class Link:
    """One DEALER with beats; a silent peer means a new socket."""
    def __init__(self, ctx, url, present):
        self.ctx, self.url, self.present, self.sock = ctx, url, present, None
        self.open()
    def open(self):
        if self.sock:
            self.sock.close(0)
        self.sock = self.ctx.socket(zmq.DEALER)
        self.sock.connect(self.url)
        self.heard = self.said = time.monotonic()
        self.present(self)
    def send(self, kind, **body):
        head = b"RK1" + bytes([kind])
        self.sock.send_multipart([head, msgpack.packb(body)])
        self.said = time.monotonic()
    def recv(self):
        head, body = self.sock.recv_multipart()
        self.heard = time.monotonic()
        if head[3] == HELLO:
            self.present(self)
        return head[3], msgpack.unpackb(body)
    def tick(self):
        now = time.monotonic()
        if now - self.heard > 10:
            self.open()
        elif now - min(self.said, self.heard) > 2.5:
            self.send(BEAT)

def main(events_url, api_url):
    ctx, waiting, told = zmq.Context(), {}, 0       # waiting: call id -> call
    def present(link):
        link.send(READY, v=1, name="echo.py/%d" % os.getpid(),
                  events=["message.*"], window=16)
    def again(link):
        for call in waiting.values():
            link.send(CALL, **call)
    links = Link(ctx, events_url, present), Link(ctx, api_url, again)
    events, api = links
    while True:
        poller = zmq.Poller()
        for link in links:
            link.tick()
            poller.register(link.sock, zmq.POLLIN)
        if time.monotonic() - told > 1:     # their turn is still to come
            for call in waiting.values():
                events.send(WAITS, ev=call["ev"])
            told = time.monotonic()
        ready = dict(poller.poll(500))
        if events.sock in ready:
            kind, ev = events.recv()
            if kind == EVENT and ev["text"].startswith("/echo "):
                call = dict(id=ev["id"] + "#1", bot=ev["bot"], do="reply",
                            ev=ev["id"], n=1, conv=ev["conv"], msg=ev["msg"],
                            event=ev["event"], text=ev["text"][6:],
                            deadline=ev.get("deadline", 0))
                waiting[call["id"]] = call
                api.send(CALL, **call)
            elif kind == EVENT:
                events.send(ACK, ev=ev["id"])
        if api.sock in ready:
            kind, result = api.recv()
            if kind == RESULT and result["id"] in waiting:
                call = waiting.pop(result["id"])
                events.send(ACK, ev=call["ev"])

main(*sys.argv[1:3])
