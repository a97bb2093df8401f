#!/usr/bin/python3
"""examples/worker.py, killed -9 at a point of the event with this text, once.

    own.py TOP before-call|after-call|before-ack|after-ack TEXT EVENTS API

This process starts it, and again when it has been killed, as its parent would.
"""
import ctypes
import os
import runpy
import signal
import subprocess
import sys

TOP, WHEN, TEXT, EVENTS, API = sys.argv[1:6]
DONE = "own-was-killed"


def die():
    with open(DONE, "w", encoding="ascii"):
        pass
    signal.raise_signal(signal.SIGKILL)


def be_killed():
    """Before a frame is given away, or when the peer has surely got it: the
    next frame that comes from there says so."""
    import msgpack
    import zmq
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)      # ends with its parent
    send, recv = zmq.Socket.send_multipart, zmq.Socket.recv_multipart
    when, what = WHEN.split("-")
    kind = {"call": b"C", "ack": b"A"}[what]
    ours, gone = set(), []

    def sends(self, frames, *args, **more):
        body = msgpack.unpackb(frames[1])
        if body.get("text") == TEXT:
            ours.add(body["ev"])
        hit = frames[0][3:] == kind and body["ev"] in ours
        if hit and when == "before":
            die()
        send(self, frames, *args, **more)
        if hit:
            gone.append(self)

    def receives(self, *args, **more):
        frames = recv(self, *args, **more)
        if self in gone:
            die()
        return frames

    if not os.path.exists(DONE):
        zmq.Socket.send_multipart = sends
        zmq.Socket.recv_multipart = receives
    # The next has the name of the one before, which need not be waited for.
    os.getpid = lambda: 1
    sys.argv = ["worker.py", EVENTS, API]
    runpy.run_path(os.path.join(TOP, "examples", "worker.py"))


def look_after():
    print("worker 0", flush=True)
    while True:
        subprocess.run([sys.executable, *sys.argv, "child"], check=False)


if sys.argv[-1] == "child":
    be_killed()
else:
    look_after()
