#!/usr/bin/env python3
"""A handler that leaves as it is told to, with its last words."""
import json
import os
import sys
import time


def say(**frame):
    print(json.dumps(frame, ensure_ascii=False), flush=True)


say(op="hello", v=1, name="last words")
for line in sys.stdin:
    frame = json.loads(line)
    if frame["op"] != "event":
        continue
    word = frame["text"]
    say(op="log", ev=frame["id"], level="info", text=f"关于 {word}")
    print("about to", word, file=sys.stderr)
    if word == "flood":
        for n in range(5000):
            print("line", n, "x" * 300, file=sys.stderr)
    elif word == "tell":
        print("the key is", os.environ["KEY"], file=sys.stderr)
        say(op="log", ev=frame["id"], level="info", text=os.environ["KEY"])
    elif word == "hang":
        time.sleep(600)
    sys.stderr.flush()
    os._exit(3)
