#!/usr/bin/env python3
"""Looks on: prints every event as a line of JSON, and can slow nothing.

    examples/observer.py ipc://.rookery/run/feed.sock message. friend.add

Whoever reads more slowly than events come loses some; nobody else notices.
"""
import json, sys, msgpack, zmq

def main(url, *topics):
    sock = zmq.Context().socket(zmq.SUB)
    sock.setsockopt(zmq.HEARTBEAT_IVL, 2500)    # a peer that is gone is left
    for topic in topics or [""]:
        sock.subscribe(topic)
    sock.connect(url)
    while True:
        topic, head, body = sock.recv_multipart()
        if head != b"RK1E":
            continue                            # a newer kind
        event = msgpack.unpackb(body)
        event.pop("raw", None)                  # the platform's own bytes
        print(json.dumps(event, ensure_ascii=False), flush=True)

try:
    main(*sys.argv[1:])
except KeyboardInterrupt:
    pass
