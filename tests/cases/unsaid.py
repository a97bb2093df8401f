#!/usr/bin/env python3
"""Passes connections on to PORT until the file `stall` is there: then those
that stand are cut, new ones are taken and nothing of them is passed on, and
the first of them makes the file `stalled`."""
import os
import select
import socket
import sys
import threading

PORT = int(sys.argv[1])


def carry(here):
    with here, socket.create_connection(("127.0.0.1", PORT)) as there:
        ends = {here: there, there: here}
        while not os.path.exists("stall"):
            for end in select.select(list(ends), [], [], 0.02)[0]:
                data = end.recv(65536)
                if not data:
                    return
                ends[end].sendall(data)


def keep(here):
    """Takes what comes, answers nothing, until its peer goes."""
    with open("stalled", "w", encoding="ascii"), here:
        while here.recv(65536):
            pass


def main():
    with socket.create_server(("127.0.0.1", 0)) as server:
        print("port", server.getsockname()[1], flush=True)
        while True:
            here, _ = server.accept()
            what = keep if os.path.exists("stall") else carry
            threading.Thread(target=what, args=(here,), daemon=True).start()


if __name__ == "__main__":
    main()
