#!/usr/bin/env python3
"""Answers "/echo TEXT" with TEXT, and "/ping" with pong.

    ROOKERY_HANDLER=exec:examples/echo.py rookery up
"""
import json
import sys


def send(**frame):
    print(json.dumps(frame, ensure_ascii=False), flush=True)


def on_message(ev):
    if ev["text"].startswith("/echo "):
        send(op="reply", ev=ev["id"], text=ev["text"][6:])
    elif ev["text"] == "/ping":
        send(op="reply", ev=ev["id"], text="pong")


send(op="hello", v=1, name="echo", events=["message.*"])
for line in sys.stdin:
    f = json.loads(line)
    if f["op"] == "bye":
        break
    if f["op"] != "event":          # a result, or a frame of the future
        continue
    try:
        on_message(f)
        send(op="ack", ev=f["id"])
    except Exception as e:          # this event again, later
        print("echo:", e, file=sys.stderr)
        send(op="nack", ev=f["id"], why=str(e))
