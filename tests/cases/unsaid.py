#!/usr/bin/env python3
"""Passes connections on to PORT until the file `stall` is there: then those
that stand are cut, and when they are the file `cut` is made; new ones are taken
and nothing of them is passed on, and the first of them makes `stalled`."""
import os
import select
import socket
import sys
import threading
import time

PORT = int(sys.argv[1])


def carry(here):
    with here, socket.create_connection(("127.0.0.1", PORT)) as there:
        ends = {here: there, there: here}
        while not os.path.exists("stall"):
            for end in select.select(list(ends), [], [], 0.02)[0]:
                data = end.recv(65536)
                if not data or os.path.exists("stall"):
                    return
                ends[end].sendall(data)


def tell():
    while not os.path.exists("stall") or any(
            t.name == "carry" for t in threading.enumerate()):
        time.sleep(0.005)
    with open("cut", "w", encoding="ascii"):
        pass


def keep(here):
    """Takes what comes, answers nothing, until its peer goes."""
    with open("stalled", "w", encoding="ascii"), here:
        while here.recv(65536):
            pass


def main():
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=tell, daemon=True).start()
        print("port", server.getsockname()[1], flush=True)
        while True:
            here, _ = server.accept()
            what = keep if os.path.exists("stall") else carry
            threading.Thread(target=what, name=what.__name__, args=(here,),
                             daemon=True).start()


if __name__ == "__main__":
    main()
