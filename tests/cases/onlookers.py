#!/usr/bin/python3
"""Observers of the feed: one never reads, the other writes down what it gets.

onlookers.py FEED_URL FILE [TOPIC...]
"""
import json, sys, msgpack, zmq

def open_one(ctx, url, topics, room):
    sock = ctx.socket(zmq.SUB)
    sock.rcvhwm = room
    sock.rcvbuf = 4096
    for topic in topics:
        sock.subscribe(topic)
    sock.connect(url)
    return sock

def main(url, path, *topics):
    ctx = zmq.Context()
    lazy = open_one(ctx, url, ["message."], 1)
    sock = open_one(ctx, url, topics or [""], 100000)
    print(0, flush=True)
    with open(path, "w") as out:
        while lazy:
            topic, head, body = sock.recv_multipart()
            event = msgpack.unpackb(body)
            assert topic.decode() == event["type"] and head == b"RK1E", head
            event["raw"] = event["raw"].decode()
            out.write(json.dumps(event, ensure_ascii=False) + "\n")
            out.flush()

main(*sys.argv[1:])
