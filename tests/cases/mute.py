#!/usr/bin/env python3
"""Somebody at an address who lets everybody in, and then says nothing, hangs
up, or says 503; what he was told is of no interest.

    mute.py ADDRESS PORT mute|close|503
"""
import socket
import sys

HOW = sys.argv[3]
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("port", listener.getsockname()[1], flush=True)
kept = []
while True:
    s, _ = listener.accept()
    if HOW == "503":
        s.recv(4096)
        s.sendall(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
    if HOW == "mute":
        kept.append(s)
    else:
        s.close()
