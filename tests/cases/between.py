"""Somebody between us and the platform: a proxy that answers some requests
in words of its own and passes on the others, WebSockets too."""
import http.client
import re
import socket
import threading

HEAD_MAX = 1 << 16
PART = 65536


def read_head(s):
    """(what came up to the empty line, what came after it)."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = s.recv(PART)
        if not more or len(data) > HEAD_MAX:
            return data, b""
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n", rest


def pipe(a, b):
    try:
        while data := a.recv(PART):
            b.sendall(data)
    except OSError:
        pass
    for s in (a, b):
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Between:
    def __init__(self, port):
        self.port_behind = port
        self.rules = []          # [path, bytes, times left, options]
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(s,),
                             daemon=True).start()

    def _take(self, path):
        with self.lock:
            for rule in self.rules:
                if path.startswith(rule[0]) and rule[2] > 0:
                    rule[2] -= 1
                    return rule
        return None

    def left(self):
        with self.lock:
            return sum(rule[2] for rule in self.rules)

    def _serve(self, s):
        try:
            with s:
                head, rest = read_head(s)
                if not head.endswith(b"\r\n\r\n"):
                    return
                path = head.split(b" ", 2)[1].decode()
                rule = self._take(path)
                if re.search(rb"(?im)^upgrade:", head) and rule is None:
                    self._tunnel(s, head + rest)
                    return
                self._request(s, head, rest, path, rule)
        except OSError:
            pass                 # whoever has hung up needs no answer

    def _tunnel(self, s, first):
        with socket.create_connection(("127.0.0.1", self.port_behind)) as far:
            far.sendall(first)
            back = threading.Thread(target=pipe, args=(far, s), daemon=True)
            back.start()
            pipe(s, far)
            back.join()

    def _request(self, s, head, rest, path, rule):
        found = re.search(rb"(?im)^content-length: *(\d+)", head)
        size = int(found[1]) if found else 0
        while len(rest) < size and (more := s.recv(PART)):
            rest += more
        if rule is None or rule[3].get("performed") == "yes":
            answer = self._ask(head, path, rest)
        if rule is None:
            s.sendall(answer)
            return
        by = re.search(rb"(?im)^authorization: *([^\r]*)", head)
        s.sendall(rule[1].replace(b"AUTHORIZATION", by[1] if by else b""))
        fill = int(rule[3].get("fill", 0))
        while fill > 0:
            s.sendall(b"x" * min(fill, PART))
            fill -= PART
        if rule[3].get("how") == "open":
            while s.recv(PART):
                pass

    def _ask(self, head, path, body):
        """What the platform says, as bytes; one request a connection."""
        lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        c = http.client.HTTPConnection("127.0.0.1", self.port_behind)
        try:
            c.request(lines[0].split(" ")[0], path, body or None, headers)
            a = c.getresponse()
            text = a.read()
        except http.client.HTTPException:
            return b""
        finally:
            c.close()
        return (f"HTTP/1.1 {a.status} {a.reason}\r\nContent-Length: "
                f"{len(text)}\r\nConnection: close\r\n\r\n").encode() + text

    def close(self):
        self.listener.close()
