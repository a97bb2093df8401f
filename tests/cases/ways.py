#!/usr/bin/env python3
"""Another way to the platform, which notes what takes it: as an address of
its own (the requests) and as a proxy (the CONNECTs, all of which lead there).

    ways.py PORT FILE

The proxy refuses, or hangs, while there is a file of this name.
"""
import asyncio
import os
import sys

PORT, FILE = int(sys.argv[1]), sys.argv[2]


def note(data):
    with open(FILE, "ab") as f:
        f.write(b"".join(line + b"\n" for line in data.split(b"\r\n")
                         if line.endswith(b" HTTP/1.1")))


async def carry(reader, writer, noted):
    try:
        while data := await reader.read(65536):
            if noted:
                note(data)
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


async def admit(reader, writer):
    first = await reader.readuntil(b"\r\n\r\n")
    proxy = first.startswith(b"CONNECT ")
    if proxy:
        with open(FILE, "ab") as f:     # its headers, in one line
            f.write(b" ".join(first.lower().split(b"\r\n")) + b"\n")
    else:
        note(first)
    while proxy and os.path.exists("hangs"):
        await asyncio.sleep(0.05)
    if proxy and os.path.exists("refuses"):
        writer.write(b"HTTP/1.1 407 who are you\r\ncontent-length: 0\r\n\r\n")
        writer.close()
        return
    far = await asyncio.open_connection("127.0.0.1", PORT)
    if proxy:
        writer.write(b"HTTP/1.1 200 ok\r\n\r\n")
    else:
        far[1].write(first)
    await asyncio.gather(carry(reader, far[1], not proxy),
                         carry(far[0], writer, False), return_exceptions=True)


async def main():
    server = await asyncio.start_server(admit, "127.0.0.1", 0)
    open(FILE, "ab").close()
    print("port", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
