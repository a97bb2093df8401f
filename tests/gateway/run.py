#!/usr/bin/env python3
"""gatewayd's webhook over real sockets: whole, in pieces, chunked, broken.

Runs qqsim, apid and gatewayd of build/asan in a folder of its own and speaks
HTTP to the listener byte by byte."""
# deadline: 180

import hashlib
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ASAN = os.path.join(ROOT, "build", "asan")
DEADLINE_S = 30
BODY_MAX = 65536


class Failed(Exception):
    pass


def expect(condition, what):
    if not condition:
        raise Failed(what)


def until(what, question, deadline_s=DEADLINE_S):
    end = time.monotonic() + deadline_s
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > end:
            raise Failed("not in time: " + what)
        time.sleep(0.01)


# --- Ed25519 as in RFC 8032, slow and short ---------------------------------

Q = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, Q - 2, Q) % Q


def add(p, q):
    a = (p[1] - p[0]) * (q[1] - q[0]) % Q
    b = (p[1] + p[0]) * (q[1] + q[0]) % Q
    c = 2 * p[3] * q[3] * D % Q
    d = 2 * p[2] * q[2] % Q
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % Q, g * h % Q, f * g % Q, e * h % Q


def times(n, p):
    r = (0, 1, 1, 0)
    while n:
        if n & 1:
            r = add(r, p)
        p = add(p, p)
        n >>= 1
    return r


def packed(p):
    z = pow(p[2], Q - 2, Q)
    x, y = p[0] * z % Q, p[1] * z % Q
    return (y | (x & 1) << 255).to_bytes(32, "little")


def base():
    y = 4 * pow(5, Q - 2, Q) % Q
    xx = (y * y - 1) * pow(D * y * y + 1, Q - 2, Q)
    x = pow(xx, (Q + 3) // 8, Q)
    if (x * x - xx) % Q:
        x = x * pow(2, (Q - 1) // 4, Q) % Q
    x = Q - x if x & 1 else x
    return x, y, 1, x * y % Q


BASE = base()


def sign(secret, message):
    """In hex, with the key the platform makes of an app secret."""
    seed = (secret.encode() * 32)[:32]
    h = hashlib.sha512(seed).digest()
    a = int.from_bytes(h[:32], "little") & (1 << 254) - 8 | 1 << 254
    r = int.from_bytes(hashlib.sha512(h[32:] + message).digest(),
                       "little") % ORDER
    big_r = packed(times(r, BASE))
    k = int.from_bytes(hashlib.sha512(
        big_r + packed(times(a, BASE)) + message).digest(), "little")
    s = (r + k * a) % ORDER
    return (big_r + s.to_bytes(32, "little")).hex()


# --- the system ----------------------------------------------------------------

class System:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="rk-gw-")
        self.children = {}
        self.env = {"PATH": os.environ["PATH"], "HOME": self.dir,
                    "ROOKERY_STATE_DIR": self.dir + "/state",
                    "ROOKERY_RUN_DIR": self.dir + "/run",
                    "ROOKERY_SIM_LISTEN": "127.0.0.1:0",
                    "ROOKERY_WEBHOOK_LISTEN": "127.0.0.1:0",
                    "ROOKERY_WEBHOOK_BODY_MAX": str(BODY_MAX)}
        self.env.update({k: v for k, v in os.environ.items()
                         if k.endswith("SAN_OPTIONS")})

    def start(self, program, *args, name=None, **settings):
        name = name or program
        log = open(f"{self.dir}/{name}.log", "ab")
        self.children[name] = subprocess.Popen(
            [os.path.join(ASAN, program), *args], cwd=self.dir,
            env={**self.env, **settings},
            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()

    def log(self, name):
        with open(f"{self.dir}/{name}.log", encoding="utf-8",
                  errors="replace") as f:
            return f.read()

    def logged(self, name, pattern):
        return until(f"{name} logs {pattern}",
                     lambda: re.search(pattern, self.log(name)))

    def cpu(self, name):
        """Seconds it has run."""
        with open(f"/proc/{self.children[name].pid}/stat",
                  encoding="utf-8") as f:
            return sum(map(int, f.read().split()[13:15])) / 100

    def open(self):
        self.start("qqsim", "--dir", self.dir + "/sim")
        self.logged("qqsim", r"sim\.listen")
        with open(self.dir + "/sim/sim.env", encoding="utf-8") as f:
            self.env.update(line.strip().split("=", 1) for line in f
                            if "=" in line and line[0] != "#")
        self.app_id = self.env["QQ_APP_ID"]
        self.secret = self.env["QQ_CLIENT_SECRET"]
        self.start("apid")
        self.start("gatewayd")
        self.port = int(self.logged(
            "gatewayd", r"webhook\.listen .*port=(\d+)")[1])
        self.logged("gatewayd", r"webhook\.key")

    def close(self):
        """Every child stops by itself, and cleanly."""
        wrong = []
        for name in ("workerd", "gatewayd", "apid", "qqsim"):
            p = self.children.get(name)
            if p is None:
                continue
            p.send_signal(signal.SIGCONT)
            p.terminate()
            try:
                status = p.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:
                p.kill()
                status = p.wait()
            if status != 0 or "Sanitizer" in self.log(name):
                wrong.append(f"{name}: status {status}\n{self.log(name)}")
        shutil.rmtree(self.dir, ignore_errors=True)
        if wrong:
            raise Failed("\n".join(wrong))

    # --- requests ---------------------------------------------------------------

    def head(self, body, method="POST", framing=None, signed=True, app_id=None,
             more=""):
        lines = f"{method} /callback HTTP/1.1\r\nHost: x\r\n"
        if app_id != "":
            lines += f"X-Bot-Appid: {app_id or self.app_id}\r\n"
        if signed:
            ts = str(int(time.time()))
            lines += (f"X-Signature-Timestamp: {ts}\r\n"
                      "X-Signature-Ed25519: "
                      f"{sign(self.secret, ts.encode() + body)}\r\n")
        if framing is None:
            framing = f"Content-Length: {len(body)}\r\n"
        return (lines + framing + more + "\r\n").encode()

    def connect(self):
        s = socket.create_connection(("127.0.0.1", self.port), DEADLINE_S)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def settle(self):
        """Until the gateway has read what was sent: it answers another."""
        with self.connect() as s:
            s.sendall(self.head(b"", method="GET", signed=False))
            answer(s.makefile("rb"))

    def ask(self, *parts, **how):
        """Sends the parts, each by itself; the answer's status and body."""
        with self.connect() as s:
            for part in parts:
                s.sendall(part)
                if how.get("apart"):
                    self.settle()
            return answer(s.makefile("rb"))


def answer(f):
    line = f.readline()
    m = re.match(rb"HTTP/1\.[01] (\d+)", line)
    if not m:
        raise Failed(f"no answer but {line!r}")
    length = 0
    while (line := f.readline().strip()):
        key, _, value = line.partition(b":")
        if key.lower() == b"content-length":
            length = int(value)
    return int(m[1]), f.read(length)


number = 0


def event(size=0):
    """Another event each time."""
    global number
    number += 1
    return json.dumps({"id": f"FRIEND_ADD:{number}", "op": 0, "s": number,
                       "t": "FRIEND_ADD", "d": {"openid": "A" * size}}).encode()


TAKEN = (200, b'{"op":12,"d":0}')
CHUNKED = "Transfer-Encoding: chunked\r\n"


def chunks(body, size):
    out = b""
    for i in range(0, len(body), size):
        part = body[i:i + size]
        out += b"%x\r\n" % len(part) + part + b"\r\n"
    return out + b"0\r\n\r\n"


# --- tests ----------------------------------------------------------------------

def test_an_event_is_acknowledged(s):
    body = event()
    expect(s.ask(s.head(body) + body) == TAKEN, "whole")
    expect(s.ask(s.head(body), body) == TAKEN, "the same again")
    s.logged("gatewayd", "event.duplicate")


def test_pieces_make_no_difference(s):
    body = event()
    whole = s.head(body) + body
    expect(s.ask(*(whole[i:i + 1] for i in range(len(whole)))) == TAKEN,
           "byte by byte")
    head = len(s.head(body))
    for cut in (1, 5, 40, head - 3, head - 1, head, head + 1, len(whole) - 1):
        got = s.ask(whole[:cut], whole[cut:], apart=True)
        expect(got == TAKEN, f"cut at {cut}: {got}")
    body = event(BODY_MAX - 200)
    expect(s.ask(s.head(body) + body) == TAKEN, "as large as may be")


def test_chunks_are_joined(s):
    for size in (1, 7, 64, 100000):
        body = event()
        got = s.ask(s.head(body, framing=CHUNKED), chunks(body, size))
        expect(got == TAKEN, f"chunks of {size}: {got}")
    body = event()
    coded = chunks(body, 9)
    got = s.ask(s.head(body, framing=CHUNKED),
                *(coded[i:i + 1] for i in range(len(coded))))
    expect(got == TAKEN, f"byte by byte: {got}")
    got = s.ask(s.head(body, framing=CHUNKED) + coded)
    expect(got == TAKEN, f"with its head: {got}")


def test_broken_framing_is_refused(s):
    body = event()
    for bad in (b"zz\r\n", b"-1\r\nx", body, b"5\r\nabcdefgh\r\n"):
        status, text = s.ask(s.head(body, framing=CHUNKED), bad)
        expect(status == 400 and text == b"", f"{bad[:20]}: {status}")
    both = f"Content-Length: {len(body)}\r\n" + CHUNKED
    status, _ = s.ask(s.head(body, framing=both), body)
    expect(status == 400, f"both framings: {status}")
    status, _ = s.ask(s.head(body, framing="Content-Length: 5x\r\n"), body)
    expect(status in (400, 413), f"length that is none: {status}")


def test_a_body_is_bounded(s):
    for length in (BODY_MAX + 1, 2 << 30, 1 << 70):
        got = s.ask(s.head(b"", framing=f"Content-Length: {length}\r\n",
                           signed=False))
        expect(got[0] == 413, f"{length} announced: {got}")
    body = b"x" * (BODY_MAX + 1)
    sent = chunks(body, 4096)[:BODY_MAX + 200]
    got = s.ask(s.head(body, framing=CHUNKED), sent)
    expect(got[0] == 413, f"in chunks: {got}")
    # who does not sign is not listened to for so long
    got = s.ask(s.head(b"", framing=CHUNKED, signed=False), sent)
    expect(got[0] == 401, f"unsigned, in chunks: {got}")


def test_only_post(s):
    for method in ("GET", "PUT", "DELETE", "OPTIONS", "PATCH"):
        with s.connect() as c:
            c.sendall(s.head(b"", method=method, signed=False))
            f = c.makefile("rb")
            line = f.readline()
            # a method the library does not know ends the connection
            expect(line == b"" or b" 405 " in line or b" 403 " in line,
                   f"{method}: {line}")
    expect(s.ask(s.head(b"", method="GET", signed=False))[0] == 405, "GET")


def test_who_may_not(s):
    body = event()
    rows = [(401, {"signed": False}), (403, {"app_id": "7"}),
            (403, {"app_id": "9" * 600})]
    for status, how in rows:
        got = s.ask(s.head(body, **how), body)
        expect(got == (status, b""), f"{how}: {got}")
    got = s.ask(s.head(body), body[:-1] + b" ")
    expect(got == (401, b""), f"tampered: {got}")
    expect(s.ask(s.head(body, app_id=""), body) == TAKEN, "the only bot")


def test_an_answer_ends_its_connection(s):
    """A second request in the same bytes is not read, and does no harm."""
    def post(signed=True):
        body = event()
        return s.head(body, signed=signed) + body

    body = event()
    coded = s.head(body, framing=CHUNKED) + chunks(body, 9)
    rows = [(post() + post(), TAKEN), (post() + b"x" * 5000, TAKEN),
            (post() + post()[:50], TAKEN), (coded + post(), TAKEN),
            (post(signed=False) + post(), (401, b""))]
    for sent, want in rows:
        with s.connect() as c:
            c.sendall(sent)
            f = c.makefile("rb")
            got = answer(f)
            expect(got == want, f"{got}")
            try:
                expect(f.read() == b"", "something follows")
            except ConnectionError:
                pass # what was not read resets the connection
    expect(s.ask(post()) == TAKEN, "afterwards")


def test_an_address_is_validated(s):
    ts, token = "1725442341", "Arq0D5A61EgUu4OxUvOp"
    body = json.dumps({"op": 13, "d": {"plain_token": token,
                                       "event_ts": ts}}).encode()
    want = {"plain_token": token,
            "signature": sign(s.secret, (ts + token).encode())}
    for signed in (True, False):
        status, text = s.ask(s.head(body, signed=signed), body)
        expect(status == 200 and json.loads(text) == want, f"{status} {text}")
    body = body.replace(b"Arq0", b"{\\\"o")
    expect(s.ask(s.head(body), body)[0] == 400, "to be signed: JSON")


def test_a_validation_that_apid_does_not_answer(s):
    body = b'{"op":13,"d":{"plain_token":"x","event_ts":"1"}}'
    s.children["apid"].send_signal(signal.SIGSTOP)
    try:
        with s.connect() as gone:
            gone.sendall(s.head(body) + body)
        before = s.cpu("gatewayd")
        got = s.ask(s.head(body) + body + b"and more")
        expect(got[0] == 503, f"{got}")
        # it has waited, not turned in circles
        expect(s.cpu("gatewayd") - before < 1, "waits in a busy loop")
        # events need no apid
        other = event()
        expect(s.ask(s.head(other), other) == TAKEN, "an event meanwhile")
    finally:
        s.children["apid"].send_signal(signal.SIGCONT)
    until("validated again", lambda: s.ask(s.head(body), body)[0] == 200)


def test_a_heartbeat(s):
    body = b'{"op":1,"d":7}'
    expect(s.ask(s.head(body), body) == (200, b'{"op":11,"d":7}'), "op 1")


def test_those_who_leave_do_no_harm(s):
    body = event()
    whole = s.head(body) + body
    for cut in range(0, len(whole), 37):
        with s.connect() as c:
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                         b"\1\0\0\0\0\0\0\0")
            c.sendall(whole[:cut])
    idle = [s.connect() for _ in range(200)]
    for c in idle[::2]:
        c.sendall(b"POST /callback HTT")
    expect(s.ask(whole) == TAKEN, "among 200 who say nothing")
    for c in idle:
        c.close()


def test_nonsense_does_no_harm(s):
    for junk in (b"\r\n\r\n", b"\0" * 100, b"GET", b"GET / HTTP/9\r\n\r\n",
                 b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
                 b"POST / HTTP/1.1\r\n" + b"X: " + b"y" * 100000 + b"\r\n\r\n",
                 b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                 b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"):
        with s.connect() as c:
            try:
                c.sendall(junk)
                c.shutdown(socket.SHUT_WR)
                while c.recv(4096):
                    pass
            except (ConnectionError, BrokenPipeError):
                pass
    body = event()
    expect(s.ask(s.head(body), body) == TAKEN, "afterwards")


def test_a_state_folder_may_come_later(s):
    name, state = "late", s.dir + "/late"
    with open(state, "w", encoding="ascii") as f:
        f.write("in its place\n")
    s.start("gatewayd", name=name, ROOKERY_STATE_DIR=state,
            ROOKERY_RUN_DIR=s.dir + "/late-run")
    p = s.children[name]
    try:
        s.logged(name, r"(?s)proc\.dir.*proc\.dir")
        os.unlink(state)
        s.logged(name, r"journal\.open")
    finally:
        p.terminate()
        expect(p.wait(DEADLINE_S) == 0, f"status {p.returncode}")


def test_a_body_that_cannot_be_read(s):
    """A disk may turn a bit, and the database does not notice."""
    body = event()
    expect(s.ask(s.head(body), body) == TAKEN, "one that is whole")
    p = s.children["gatewayd"]
    p.terminate()
    expect(p.wait(DEADLINE_S) == 0, f"status {p.returncode}")
    with sqlite3.connect(s.dir + "/state/gateway.db") as db:
        no, n = db.execute("SELECT min(no), count(*) FROM event").fetchone()
        expect(n > 1, f"{n} events wait")
        db.execute("UPDATE event SET body = x'c1' WHERE no = ?", (no,))
    db.close()
    s.start("gatewayd")
    s.start("workerd")
    s.logged("gatewayd", r"event\.dead .*body")

    def rest():
        with sqlite3.connect(s.dir + "/state/gateway.db") as db:
            found = [db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                     for table in ("event", "dead")]
        db.close()
        return found == [0, 1]
    until("all others are done", rest)


def main():
    tests = [(n[5:], f) for n, f in globals().items() if n.startswith("test_")]
    passed = failed = 0
    s = System()
    try:
        s.open()
        for name, test in tests:
            try:
                test(s)
                print("ok", name, flush=True)
                passed += 1
            except (Failed, OSError) as e:
                print(f"not ok {name}\n# {type(e).__name__}: {e}", flush=True)
                failed += 1
    except Failed as e:
        print(f"not ok start\n# {e}")
        failed += 1
    if failed and "gatewayd" in s.children:
        print("# gatewayd said\n" + s.log("gatewayd")[-6000:])
    try:
        s.close()
        print("ok all_end_cleanly")
        passed += 1
    except Failed as e:
        print(f"not ok all_end_cleanly\n# {e}")
        failed += 1
    print(f"# {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
