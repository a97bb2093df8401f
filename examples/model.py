#!/usr/bin/env python3
"""A bot that asks a language model, and shows the answer while it grows.

    printf 'MODEL_URL=http://127.0.0.1:8099/v1/chat/completions\n' > handler.env
    examples/stand-in.py 8099 &                 # or a model of your own
    ROOKERY_HANDLER=exec:examples/model.py rookery up

MODEL_URL is any address that speaks the usual streaming form; MODEL_KEY and
MODEL_NAME belong to it.  They stand in handler.env, which no other process
reads.  In a conversation with one user the answer is a stream: its first part
opens it, each further part replaces the text, the last one closes it.  In
groups the platform knows no streams, and some bots may not use them: then the
answer is one reply.

Each event is a task of its own: slots says how many there may be at once, and
timeout_ms how long one may take.
"""
import asyncio
import json
import os
import sys
import urllib.request

URL = os.environ.get("MODEL_URL", "http://127.0.0.1:8099/v1/chat/completions")
PART_S = 0.5                  # between two parts of a stream
waiting = {}                  # id of a call: its future
numbers = iter(range(1, 1 << 62))


def send(**frame):
    print(json.dumps(frame, ensure_ascii=False), flush=True)


async def call(ev, do, **args):
    """What became of it."""
    n = next(numbers)
    waiting[n] = asyncio.get_running_loop().create_future()
    send(op="call", id=n, ev=ev["id"], do=do, **{"with": args})
    try:
        return await waiting[n]
    finally:
        del waiting[n]


def ask_model(text, put):
    """Blocks; put is called with each piece of the answer."""
    body = {"model": os.environ.get("MODEL_NAME", "any"), "stream": True,
            "messages": [{"role": "user", "content": text}]}
    request = urllib.request.Request(
        URL, json.dumps(body).encode(),
        {"Content-Type": "application/json",
         "Authorization": "Bearer " + os.environ.get("MODEL_KEY", "none")})
    with urllib.request.urlopen(request, timeout=200) as answer:
        for line in answer:
            data = line.decode().removeprefix("data: ").strip()
            if data and data != "[DONE]":
                delta = json.loads(data)["choices"][0]["delta"]
                put(delta.get("content") or "")


async def pieces(text):
    loop, queue = asyncio.get_running_loop(), asyncio.Queue()

    def put(piece):
        loop.call_soon_threadsafe(queue.put_nowait, piece)

    work = loop.run_in_executor(None, ask_model, text, put)
    work.add_done_callback(lambda _: queue.put_nowait(None))
    while (piece := await queue.get()) is not None:
        yield piece
    await work                # what went wrong, if anything


async def stream(ev):
    """Parts of one message, each the whole text so far."""
    text, index, stream_id, last = "", 0, None, 0.0
    loop = asyncio.get_running_loop()

    async def put(final):
        nonlocal last
        await asyncio.sleep(last + PART_S - loop.time())
        args = {"index": index, "text": text, "format": "text", "final": final}
        if stream_id:
            args["id"] = stream_id
        result = await call(ev, "stream", **args)
        last = loop.time()
        return result

    async def part(final):
        """False: no stream can be had, or gone on with."""
        nonlocal index, stream_id
        result = await put(final)
        if not result["ok"] and stream_id:
            raise RuntimeError(result["code"] + ": " + result["message"])
        index += 1
        data = result.get("data") or {}
        stream_id = stream_id or data.get("id") or data.get("msg")
        return bool(stream_id)

    may = True
    async for piece in pieces(ev["text"]):
        text += piece
        if may and text.strip() and loop.time() - last > PART_S:
            may = await part(False)
    if not may or not await part(True):
        send(op="reply", ev=ev["id"], text=text)


async def answer(ev):
    try:
        if ev["type"] == "message.c2c":
            await stream(ev)
        else:
            text = "".join([p async for p in pieces(ev["text"])])
            send(op="reply", ev=ev["id"], text=text)
        send(op="ack", ev=ev["id"])
    except Exception as e:
        print("model:", e, file=sys.stderr)
        send(op="nack", ev=ev["id"], after_ms=2000, why=str(e))


async def main():
    loop, tasks = asyncio.get_running_loop(), set()
    lines = asyncio.StreamReader(limit=1 << 21)
    await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    send(op="hello", v=1, name="model", events=["message.*"], slots=8,
         timeout_ms=240000)
    while line := await lines.readline():
        f = json.loads(line)
        if f["op"] == "event":
            task = asyncio.create_task(answer(f))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        elif f["op"] == "result" and f["id"] in waiting:
            waiting[f["id"]].set_result(f)
        elif f["op"] == "bye":
            break
    if tasks:
        await asyncio.wait(tasks)


asyncio.run(main())
