#!/usr/bin/env python3
"""Acknowledges an event when the result of its reply is there."""
import json
import sys


def say(**frame):
    print(json.dumps(frame), flush=True)


say(op="hello", v=1, name="asks", slots=8)
for line in sys.stdin:
    frame = json.loads(line)
    if frame["op"] == "event":
        say(op="reply", ev=frame["id"], id=frame["id"], text=frame["text"])
    elif frame["op"] == "result":
        say(op="ack", ev=frame["id"])
