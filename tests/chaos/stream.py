#!/usr/bin/env python3
"""A handler that answers users with messages that grow, all others at once.

What it says ends with a full stop, and nothing before that has one.  The
number of parts, one to five, follows from the event; so does the crash of one
event of two hundred, at its first attempt, behind its second part.  As a bot
should it says the whole as a reply when no stream can be had.
"""
import heapq
import json
import os
import select
import signal
import time
import zlib

GAP_S = 0.11            # the platform takes a part every 0.1 s
CRASHES_OF = 200
jobs = {}               # id of an event: its Answer
due = []                # (when, id), of the next parts


def send(**frame):
    os.write(1, json.dumps(frame).encode() + b"\n")


class Answer:
    def __init__(self, ev):
        self.ev, self.stream, self.index = ev["id"], None, 0
        number = zlib.crc32(self.ev.encode())
        self.dies = ev["attempt"] == 1 and number // 5 % CRASHES_OF == 0
        said = ev["text"] + " has parts:"
        self.texts = [said + "".join(f" {i}" for i in range(1, n + 2))
                      for n in range(number % 5 + 1)]
        self.texts[-1] += "."

    def reply(self):
        send(op="reply", ev=self.ev, text=self.texts[-1])
        self.close()

    def close(self):
        send(op="ack", ev=self.ev)
        del jobs[self.ev]

    def part(self):
        args = {"index": self.index, "text": self.texts[self.index],
                "format": "text",
                "final": self.index + 1 == len(self.texts)}
        if self.stream:
            args["id"] = self.stream
        send(op="call", id=self.ev, ev=self.ev, do="stream", **{"with": args})

    def on_result(self, r):
        if not r["ok"]:
            send(op="log", level="warn",
                 msg=f"part {self.index} of {self.ev}: {r['code']}")
            self.reply()
            return
        self.stream = self.stream or r["data"]["id"]
        self.index += 1
        if self.dies and self.index == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.index == len(self.texts):
            self.close()
        else:
            heapq.heappush(due, (time.monotonic() + GAP_S, self.ev))


def on_frame(f):
    if f["op"] == "event":
        jobs[f["id"]] = answer = Answer(f)
        if f["conv"].startswith("u:"):
            answer.part()
        else:
            answer.reply()
    elif f["op"] == "result" and f["id"] in jobs:
        jobs[f["id"]].on_result(f)
    return f["op"] != "bye"


def main():
    rest, on = b"", True
    send(op="hello", v=1, name="stream", events=["message.*"], slots=16)
    while on or jobs:
        wait = max(0, due[0][0] - time.monotonic()) if due else None
        if select.select([0], [], [], wait)[0]:
            got = os.read(0, 1 << 16)
            if not got:
                return
            *lines, rest = (rest + got).split(b"\n")
            for line in lines:
                on &= on_frame(json.loads(line))
        while due and due[0][0] <= time.monotonic():
            jobs[heapq.heappop(due)[1]].part()


main()
