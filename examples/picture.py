#!/usr/bin/env python3
"""Answers "/colour NAME" with a picture of that colour, made on the spot.

    ROOKERY_HANDLER=exec:examples/picture.py rookery up

A picture may be an address (https://...), a path below ROOKERY_MEDIA_DIR, or,
as here, its bytes.  The upload is apid's work: here it is one key of a reply.
"""
import base64
import json
import struct
import sys
import zlib

COLOURS = {"red": (200, 30, 30), "green": (30, 160, 60),
           "blue": (40, 80, 200)}
SIZE = 64


def chunk(kind, data):
    return (struct.pack(">I", len(data)) + kind + data +
            struct.pack(">I", zlib.crc32(kind + data)))


def png(rgb):
    """A square of one colour."""
    rows = (b"\0" + bytes(rgb) * SIZE) * SIZE
    return (b"\x89PNG\r\n\x1a\n" +
            chunk(b"IHDR", struct.pack(">IIBBBBB", SIZE, SIZE, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def send(**frame):
    print(json.dumps(frame, ensure_ascii=False), flush=True)


def on_message(ev):
    name, _, colour = ev["text"].partition(" ")
    if name != "/colour":
        return
    if colour not in COLOURS:
        send(op="reply", ev=ev["id"], text="I know " + ", ".join(COLOURS))
        return
    picture = base64.b64encode(png(COLOURS[colour])).decode()
    send(op="reply", ev=ev["id"], text=colour, image="base64:" + picture)


send(op="hello", v=1, name="picture", events=["message.*"])
for line in sys.stdin:
    f = json.loads(line)
    if f["op"] == "bye":
        break
    if f["op"] != "event":
        continue
    try:
        on_message(f)
        send(op="ack", ev=f["id"])
    except Exception as e:
        print("picture:", e, file=sys.stderr)
        send(op="nack", ev=f["id"], why=str(e))
