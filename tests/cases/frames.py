#!/usr/bin/env python3
"""Somebody between us and the platform's gateway who says the same in other
frames, or spoils the connection: the first connection in the first way, the
second in the second; what comes after the last is passed on as it is.

    frames.py PORT WAY...

Who spoils lets READY or RESUMED pass, and strikes after it.
"""
import asyncio
import json
import struct
import sys

PORT, WAYS = int(sys.argv[1]), sys.argv[2:]
CONTINUED, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def frame(op, data=b"", fin=True, bits=0):
    n = len(data)
    size = bytes([n]) if n < 126 else struct.pack(">BH", 126, n) \
        if n < 65536 else struct.pack(">BQ", 127, n)
    return bytes([fin << 7 | bits | op]) + size + data


def parts(data, size, between=b""):
    """One message in fragments, with something between them."""
    pieces = [data[i:i + size] for i in range(0, len(data), size)] or [b""]
    return between.join(
        frame(TEXT if i == 0 else CONTINUED, piece, i == len(pieces) - 1)
        for i, piece in enumerate(pieces))


SAME = {
    "fragments": lambda d: parts(d, 7),
    "two": lambda d: parts(d, len(d) // 2 + 1),
    "letters": lambda d: parts(d, 1),
    "pings": lambda d: parts(d, 20, frame(PING, b"are you there")),
    "longest-pings": lambda d: frame(PING, b"\xff" * 125) * 20 + parts(d, 50),
    "pongs": lambda d: frame(PONG) + frame(PONG, b"x" * 125) + frame(TEXT, d),
    "empty-first": lambda d: frame(TEXT, b"", False) + parts_on(d),
    "empty-last": lambda d: frame(TEXT, d, False) + frame(CONTINUED),
    "empty-between": lambda d: parts(d, 30, frame(CONTINUED, b"", False)),
    "binary": lambda d: frame(BINARY, d),
    "blanks": lambda d: frame(TEXT, b"\r\n\t " + d + b" \n" * 40000),
    "dribble": lambda d: frame(TEXT, d),
}


def event(**d):
    return frame(TEXT, json.dumps({"op": 0, "t": "FRIEND_ADD", **d}).encode())


# Of no use, and no harm: the connection goes on.
IDLE = {
    "masked": b"\x81\x82\x01\x02\x03\x04zz",
    "compressed": frame(BINARY, b"\x78\x9c\xab\x56\xca\x2f\x50\xb2\x32"),
    "not-utf8": frame(TEXT, b'{"op":11,"d":"\xc3\x28\xff"}'),
    "zeros": frame(BINARY, bytes(70000)),
    "empty": frame(TEXT) + frame(BINARY) + frame(TEXT, b"", False)
    + frame(CONTINUED),
    "deep": frame(TEXT, b'{"op":0,"t":"X","d":' + b"[" * 200000),
    "deep-and-whole": frame(TEXT, b'{"op":0,"t":"X","d":' + b"[" * 200000
                            + b"]" * 200000 + b"}"),
    "deep-objects": frame(TEXT, b'{"op":0,"t":"X","d":' + b'{"d":' * 50000
                          + b"1" + b"}" * 50000 + b"}"),
    "many-members": frame(TEXT, b'{"op":11,' + b",".join(
        b'"m%d":0' % i for i in range(100000)) + b"}"),
    "long-number": frame(TEXT, b'{"op":11,"s":' + b"9" * 500000 + b"}"),
    "far-number": frame(TEXT, b'{"op":11,"s":1e999999999,"d":-1e-999999999}'),
    "long-type": event(t="T" * 300000, d={"a": 1}),
    "long-id": event(id="I" * 1000000, d={"openid": "U9"}),
    "long-member": event(d={"k" * 300000: 1}),
    "long-user": event(id="F1", d={"openid": "U" * 300000}),
    "odd-letters": event(id="\0\ud800\x1b[2J\n\U0001f600", d={
        "openid": "\udfff\0\r\nX: y"}),
    "many-beats": frame(TEXT, b'{"op":1,"d":1}') * 2000,
    "hello-again": frame(TEXT, b'{"op":10,"d":{"heartbeat_interval":900}}') * 99,
    "many-acks": frame(TEXT, b'{"op":11}') * 2000,
    "ours": b"".join(frame(TEXT, b'{"op":%d,"d":{"token":"QQBot x"}}' % op)
                     for op in (2, 3, 4, 5, 6, 8, 12, 13, 14, 999)),
}

# After this it cannot.
SPOILT = {
    "reserved-bit": frame(TEXT, b"{}", bits=0x40),
    "no-such-opcode": frame(5, b"{}"),
    "no-such-control": frame(12, b"{}"),
    "continues-nothing": frame(CONTINUED, b"{}"),
    "begins-twice": frame(TEXT, b"{", False) + frame(TEXT, b"}"),
    "endless": b"\x81\x7f\x7f\xff\xff\xff\xff\xff\xff\xff",
    "negative": b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
    "long-ping": frame(PING, b"x" * 126),
    "broken-ping": frame(PING, b"x", False),
    "half-a-frame": frame(TEXT, b'{"op":11,"d":null}')[:-5],
    "half-a-message": frame(TEXT, b'{"op":', False),
    "many-fragments": b"".join(frame(TEXT if i == 0 else CONTINUED,
                                     b"x" * 65000, False) for i in range(99)),
    "op7-often": frame(TEXT, b'{"op":7}') * 100,
    "close-of-one": frame(CLOSE, b"\x0f"),
    "close-of-none": frame(CLOSE),
    "close-0": frame(CLOSE, b"\x00\x00"),
    "close-1005": frame(CLOSE, b"\x03\xed"),
    "close-65535": frame(CLOSE, b"\xff\xff"),
    "close-not-utf8": frame(CLOSE, b"\x0f\xa9\xc3\x28\xff\xfe\x00\x1b[2J\n"),
    "close-too-long": frame(CLOSE, b"\x0f\xa9" + b"x" * 500),
    "close-longest": frame(CLOSE, b"\x0f\xa9" + b'"\\\n' * 41),
    "close-and-more": frame(CLOSE, b"\x0f\xa9") + frame(TEXT, b"{}") * 50,
}


STRIKES = IDLE | SPOILT


def parts_on(data):
    return frame(CONTINUED, data)


async def read_frame(reader):
    """(first byte, payload) of a server's frame, which has no mask."""
    first, n = await reader.readexactly(2)
    if n >= 126:
        size = await reader.readexactly(2 if n == 126 else 8)
        n = int.from_bytes(size, "big")
    return first, await reader.readexactly(n)


async def towards(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


def say(data, first, way):
    if first & 15 == TEXT and way in SAME:
        return SAME[way](data)
    return frame(first & 15, data)


async def back(reader, writer, way, greeted):
    writer.write(await reader.readuntil(b"\r\n\r\n"))
    while True:
        first, data = await read_frame(reader)
        said = say(data, first, way)
        step = 1 if way == "dribble" else len(said)
        for i in range(0, len(said), step):
            writer.write(said[i:i + step])
            await writer.drain()
        if b'"READY"' not in data and b'"RESUMED"' not in data:
            continue
        greeted.append(way)
        writer.write(STRIKES.get(way, b""))
        if way in SPOILT and way.startswith("half"):
            writer.close()


async def admit(reader, writer):
    way = WAYS.pop(0) if WAYS else None
    far = await asyncio.open_connection("127.0.0.1", PORT)
    greeted = []
    try:
        await asyncio.gather(towards(reader, far[1]),
                             back(far[0], writer, way, greeted))
    except (OSError, asyncio.IncompleteReadError):
        pass
    if way and not greeted:
        WAYS.append(way)
    for w in (writer, far[1]):
        w.close()


async def main():
    server = await asyncio.start_server(admit, "127.0.0.1", 0)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
