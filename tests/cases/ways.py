#!/usr/bin/env python3
"""Another way to the platform, which notes what takes it: as an address of
its own (the requests) and as a proxy (the CONNECTs, all of which lead there).

    ways.py PORT FILE
"""
import asyncio
import sys

PORT, FILE = int(sys.argv[1]), sys.argv[2]


def note(data):
    with open(FILE, "ab") as f:
        f.write(b"".join(line + b"\n" for line in data.split(b"\r\n")
                         if line.endswith(b" HTTP/1.1")))


async def carry(reader, writer, noted):
    while data := await reader.read(65536):
        if noted:
            note(data)
        writer.write(data)
        await writer.drain()
    writer.close()


async def admit(reader, writer):
    far = await asyncio.open_connection("127.0.0.1", PORT)
    first = await reader.readuntil(b"\r\n\r\n")
    note(first)
    proxy = first.startswith(b"CONNECT ")
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
