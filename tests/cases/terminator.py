#!/usr/bin/env python3
"""What stands before the platform in the field: it ends TLS, offers HTTP/2 and
HTTP/1.1, and passes on what comes.

  terminator.py PORT CERT KEY

The file `spoken` says what was chosen, a line for each connection."""
import select
import socket
import ssl
import sys
import threading

PORT, CERT, KEY = int(sys.argv[1]), sys.argv[2], sys.argv[3]
PART = 65536


def carry(here):
    with socket.create_connection(("127.0.0.1", PORT)) as there:
        while True:
            if here.pending() or here in select.select([here, there], [], [])[0]:
                data, to = here.recv(PART), there
            else:
                data, to = there.recv(PART), here
            if not data:
                return
            to.sendall(data)


def serve(raw, context):
    try:
        with context.wrap_socket(raw, server_side=True) as s:
            with open("spoken", "a", encoding="ascii") as f:
                print(s.selected_alpn_protocol(), file=f)
            carry(s)
    except OSError:
        pass                         # one of the two has gone


def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERT, KEY)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        print("port", server.getsockname()[1], flush=True)
        while True:
            threading.Thread(target=serve, args=(server.accept()[0], context),
                             daemon=True).start()


if __name__ == "__main__":
    main()
