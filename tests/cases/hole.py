#!/usr/bin/env python3
"""A way to the platform, of which one end moves: connections that are there
when a file appears stay open and carry nothing any more; new ones do.

    hole.py PORT FILE
"""
import asyncio
import os
import sys

PORT, FILE = int(sys.argv[1]), sys.argv[2]


async def carry(reader, writer, new):
    while data := await reader.read(65536):
        if not new and os.path.exists(FILE):
            await asyncio.Event().wait()
        writer.write(data)
        await writer.drain()
    writer.close()


async def admit(reader, writer):
    new = os.path.exists(FILE)
    far = await asyncio.open_connection("127.0.0.1", PORT)
    await asyncio.gather(carry(reader, far[1], new),
                         carry(far[0], writer, new), return_exceptions=True)


async def main():
    server = await asyncio.start_server(admit, "127.0.0.1", 0)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
