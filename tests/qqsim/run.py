#!/usr/bin/env python3
"""The simulator over real sockets: HTTP, WebSocket, TLS, webhook, control.

What the platform's rules are is the unit tests' business (qqsim_*.c); this
looks at what only shows on the wire.  Standard library only.
"""
import base64
import hashlib
import http.client
import http.server
import json
import os
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
PROGRAM = os.path.join(ROOT, "build/asan/qqsim")
WAIT_S = 20
INTENTS = 1 << 25 | 1 << 30 | 1 << 12 | 1 << 26


class Closed(Exception):
    """The other side closed; args: the close code, or None without one."""


class Ws:
    """A WebSocket client of the least kind."""

    def __init__(self, sim, path="/websocket", headers=()):
        self.sock = sim.dial()
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", f"Host: {sim.host}:{sim.port}",
                 "Upgrade: websocket", "Connection: Upgrade",
                 "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}",
                 *headers, "", ""]
        self.sock.sendall("\r\n".join(lines).encode())
        self.buf = b""
        while b"\r\n\r\n" not in self.buf:
            self.more()
        head, self.buf = self.buf.split(b"\r\n\r\n", 1)
        self.status = int(head.split()[1])
        if self.status != 101:
            raise Closed(self.status)

    def more(self):
        data = self.sock.recv(65536)
        if not data:
            raise Closed(None)
        self.buf += data

    def take(self, n):
        while len(self.buf) < n:
            self.more()
        data, self.buf = self.buf[:n], self.buf[n:]
        return data

    def recv(self):
        whole = b""
        while True:
            first, length = self.take(2)
            if length == 126:
                length, = struct.unpack(">H", self.take(2))
            elif length == 127:
                length, = struct.unpack(">Q", self.take(8))
            data = self.take(length)
            if first & 15 == 8:
                raise Closed(struct.unpack(">H", data[:2])[0])
            whole += data
            if first & 128:
                return json.loads(whole)

    def send(self, message, op=1):
        data = (message if isinstance(message, str)
                else json.dumps(message)).encode()
        mask = os.urandom(4)
        size = (bytes([128 | len(data)]) if len(data) < 126
                else bytes([254]) + struct.pack(">H", len(data))
                if len(data) < 65536
                else bytes([255]) + struct.pack(">Q", len(data)))
        self.sock.sendall(bytes([128 | op]) + size + mask + bytes(
            c ^ mask[i & 3] for i, c in enumerate(data)))

    def close_code(self):
        try:
            while True:
                self.recv()
        except Closed as e:
            return e.args[0]


class Sim:
    """One simulator of our own, and what is said to it."""

    def __init__(self, **settings):
        self.dir = tempfile.TemporaryDirectory()
        env = {k: v for k, v in os.environ.items()
               if not k.startswith(("QQ_", "ROOKERY_"))}
        env |= settings | {"ROOKERY_ENV_FILE": os.devnull}
        with open(self.path("log"), "wb") as log:
            self.process = subprocess.Popen(
                [PROGRAM, "--listen", "127.0.0.1:0", "--dir", self.dir.name],
                env=env, stderr=log, cwd=self.dir.name)
        self.wait_for_file("sim.env")
        with open(self.path("sim.env"), encoding="utf-8") as f:
            self.env = dict(line.strip().split("=", 1) for line in f)
        scheme, rest = self.env["QQ_API_URL"].split("://")
        self.host, port = rest.split(":")
        self.port = int(port)
        self.tls = None
        if scheme == "https":
            self.tls = ssl.create_default_context(
                cafile=self.env["ROOKERY_CA_FILE"])
        self.kept = None
        self.bot = self.env["QQ_APP_ID"]
        self.must("POST", "/sim/bot", {"max_concurrency": 60})

    def path(self, name):
        return os.path.join(self.dir.name, name)

    def wait_for_file(self, name):
        deadline = time.monotonic() + WAIT_S
        while not os.path.exists(self.path(name)):
            if self.process.poll() is not None or \
                    time.monotonic() > deadline:
                raise RuntimeError("qqsim did not start: " + self.log())
            time.sleep(0.01)

    def log(self):
        with open(self.path("log"), encoding="utf-8") as f:
            return f.read()

    def end(self):
        """It leaves in peace, with nothing left behind."""
        if self.kept:
            self.kept.close()
        self.process.terminate()
        status = self.process.wait(WAIT_S)
        log = self.log()
        self.dir.cleanup()
        assert status == 0, (status, log[-3000:])

    def dial(self):
        sock = socket.create_connection((self.host, self.port), WAIT_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.tls.wrap_socket(sock, server_hostname=self.host) \
            if self.tls else sock

    def ask(self, method, path, body=None, headers=None):
        """Status and body, over one kept-alive connection; (0, None) when
        it is dropped."""
        if self.kept is None:
            self.kept = http.client.HTTPConnection(self.host, self.port)
            self.kept.sock = self.dial()
        text = json.dumps(body) if isinstance(body, (dict, list)) else body
        try:
            self.kept.request(method, path, text, {
                "Content-Type": "application/json", **(headers or {})})
            answer = self.kept.getresponse()
            data = answer.read()
        except (ConnectionError, http.client.HTTPException):
            self.kept.close()
            self.kept = None
            return 0, None
        try:
            return answer.status, json.loads(data)
        except ValueError:
            return answer.status, data

    def must(self, method, path, body=None):
        status, answer = self.ask(method, path, body)
        assert status == 200, (method, path, status, answer)
        return answer

    def token(self):
        return self.must("POST", "/app/getAppAccessToken", {
            "appId": self.bot,
            "clientSecret": self.env["QQ_CLIENT_SECRET"]})["access_token"]

    def api(self, method, path, body=None, **headers):
        return self.ask(method, path, body, {
            "Authorization": "QQBot " + self.token(), **headers})

    def live(self, intents=INTENTS):
        ws = Ws(self)
        assert ws.recv()["op"] == 10
        ws.send({"op": 2, "d": {"token": "QQBot " + self.token(),
                                "intents": intents, "shard": [0, 1]}})
        ws.session = ws.recv()["d"]["session_id"]
        return ws

    def event(self, **words):
        return self.must("POST", "/sim/event", {"scope": "c2c", **words})

    def fault(self, *faults):
        self.must("POST", "/sim/fault", list(faults))

    def wait(self, query):
        return self.must("GET", f"/sim/wait?{query}&timeout_ms=15000")

    def report(self):
        return self.must("GET", "/sim/report")

    def raw(self, data):
        """What comes back on a connection of its own until it is closed or
        one answer is whole."""
        with self.dial() as sock:
            sock.sendall(data)
            got = b""
            while not got.endswith(b"}"):
                try:
                    part = sock.recv(65536)
                except ConnectionError:
                    break
                if not part:
                    break
                got += part
            return got


# --- Ed25519, from RFC 8032 --------------------------------------------------

P = 2**255 - 19
Q = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def point_add(a, b):
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = f - e, h - g, h + g, f + e
    return e * f % P, g * h % P, f * g % P, e * h % P


def point_mul(n, a):
    out = (0, 1, 1, 0)
    while n > 0:
        if n & 1:
            out = point_add(out, a)
        a = point_add(a, a)
        n >>= 1
    return out


def base_point():
    y = 4 * pow(5, P - 2, P) % P
    xx = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(xx, (P + 3) // 8, P)
    if (x * x - xx) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    x = P - x if x & 1 else x
    return x, y, 1, x * y % P


def compress(a):
    inverse = pow(a[2], P - 2, P)
    x, y = a[0] * inverse % P, a[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def sha512_number(data):
    return int.from_bytes(hashlib.sha512(data).digest(), "little") % Q


def sign(secret, message):
    seed = (secret.encode() * 32)[:32]
    h = hashlib.sha512(seed).digest()
    a = int.from_bytes(h[:32], "little") & (2**254 - 8) | 2**254
    public = compress(point_mul(a, base_point()))
    r = sha512_number(h[32:] + message)
    big_r = compress(point_mul(r, base_point()))
    s = (r + sha512_number(big_r + public + message) * a) % Q
    return (big_r + s.to_bytes(32, "little")).hex()


# --- a bot's callback address ------------------------------------------------

class Callback(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """The tests speak."""

    def genuine(self, body):
        sim = self.server.sim
        at = self.headers.get("X-Signature-Timestamp", "")
        return self.headers.get("X-Bot-Appid") == sim.bot and \
            self.headers.get("X-Signature-Ed25519") == sign(
                sim.env["QQ_CLIENT_SECRET"], at.encode() + body)

    def verdict(self, message, body):
        if self.server.fail > 0:
            self.server.fail -= 1
            return 500, {}
        if self.server.strict and not self.genuine(body):
            return 401, {}
        if message["op"] == 13:
            d = message["d"]
            return 200, {"plain_token": d["plain_token"], "signature": sign(
                self.server.secret,
                (d["event_ts"] + d["plain_token"]).encode())}
        return 200, {"op": 12, "d": 0}

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        message = json.loads(body)
        self.server.seen.append(message)
        status, answer = self.verdict(message, body)
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


def callback_server(sim):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Callback)
    server.sim, server.seen, server.fail, server.strict = sim, [], 0, True
    server.secret = sim.env["QQ_CLIENT_SECRET"]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.url = f"http://127.0.0.1:{server.server_port}/cb"
    return server


# --- the tests ---------------------------------------------------------------

def test_a_conversation(sim):
    ws = sim.live()
    for scope, path, target in (
            ("c2c", "/v2/users/{}/messages", ("author", "user_openid")),
            ("group", "/v2/groups/{}/messages", ("group_openid",)),
            ("channel", "/channels/{}/messages", ("channel_id",)),
            ("dm", "/dms/{}/messages", ("guild_id",))):
        told = sim.event(scope=scope, text="a<b>&c")
        assert told["sent"] == "live", told
        d = ws.recv()["d"]
        assert d["id"] == told["msg"], (d, told)
        assert d["content"].endswith(
            "a<b>&c" if scope in ("c2c", "group") else "a&lt;b&gt;&amp;c")
        to = d
        for member in target:
            to = to[member]
        body = {"content": "yes", "msg_id": d["id"]}
        if scope in ("c2c", "group"):
            body |= {"msg_type": 0, "msg_seq": 1}
        status, sent = sim.api("POST", path.format(to), body)
        assert status == 200 and sent["id"], (scope, status, sent)
        status, _ = sim.api("DELETE", path.format(to) + "/" + sent["id"])
        assert status in (200, 204), (scope, status)
    report = sim.wait("replied=4&recalled=4&idle=1")
    assert report["violations"] == {}, report
    assert report["total"]["doubled"] == 0, report
    messages = sim.must("GET", "/sim/messages?conversation=c:1600001")
    assert [m["text"] for m in messages["messages"]] == ["yes"], messages
    assert messages["messages"][0]["recalled"], messages


def test_a_click(sim):
    ws = sim.live()
    told = sim.event(user="U", button="data")
    event = ws.recv()
    assert event["d"]["data"]["resolved"]["button_data"] == "data", event
    path = "/interactions/" + told["interaction"]
    assert sim.api("PUT", path, {"code": 0})[0] == 200
    assert sim.api("PUT", path, {"code": 0})[1]["code"] == 630008
    status, _ = sim.api("POST", "/v2/users/U/messages", {
        "msg_type": 0, "content": "x", "event_id": event["id"]})
    assert status == 200
    assert sim.report()["counters"]["interactions"] == 1


def test_resume(sim):
    ws = sim.live()
    sim.event(text="one")
    assert ws.recv()["s"] == 2
    ws.sock.close()
    sim.wait("live=!0")
    assert sim.event(text="two")["sent"] == "kept"
    again = Ws(sim)
    again.recv()
    again.send({"op": 6, "d": {"token": "QQBot " + sim.token(),
                               "session_id": ws.session, "seq": 1}})
    got = [again.recv() for _ in range(3)]
    assert [g["s"] for g in got] == [2, 3, 4], got
    assert got[2]["t"] == "RESUMED" and got[2]["d"] == "", got
    report = sim.wait("resumes=1")
    assert report["counters"]["replayed"] == 1, report
    assert report["violations"] == {}, report


def test_close_reset_stall(sim):
    ws = sim.live()
    sim.fault({"fault": "close", "code": 4915})
    assert ws.close_code() == 4915
    ws = sim.live()
    sim.fault({"fault": "reset"})
    try:
        ws.recv()
        raise AssertionError("not reset")
    except ConnectionResetError:
        pass
    ws = sim.live()
    sim.fault({"fault": "stall"})
    assert sim.event(text="held")["sent"] == "kept"
    ws.send({"op": 1, "d": None})
    state = sim.must("GET", "/sim/state")["bots"][0]["sessions"][0]
    assert state["stalled"] and state["waiting"] == 1, state
    assert sim.report()["counters"]["heartbeats"] == 0
    sim.must("DELETE", "/sim/fault")
    assert sorted(ws.recv()["op"] for _ in range(2)) == [0, 11]


def test_frames_of_every_size(sim):
    ws = sim.live()
    for size in (0, 1, 100, 200, 65000, 70000, 900000):
        sim.event(text="x" * size)
        assert len(ws.recv()["d"]["content"]) == size
    ws.send("x" * (1 << 20) + "xx")
    assert ws.close_code() == 1009
    ws = sim.live()
    ws.send('{"op":1,"d":null}', op=2)
    assert ws.close_code() == 4002


def test_raw_frames(sim):
    ws = sim.live()
    for raw in ('{"op":0,"t":"X","d":null}', '{"op":99}'):
        told = sim.must("POST", "/sim/event", {"raw": raw})
        assert told == {"sockets": 1}, told
        assert ws.recv() == json.loads(raw)
    told = sim.must("POST", "/sim/event", {
        "t": "SOME_FUTURE_EVENT", "id": "E1", "d": {"a": 1}})
    assert told["sent"] == "live" and told["event"] == "E1", told
    assert ws.recv()["d"] == {"a": 1}


def test_refused_upgrades(sim):
    def refused(path="/websocket", *headers):
        try:
            Ws(sim, path, headers)
        except Closed as e:
            return e.args[0]
        except ConnectionError:
            return None
        return 101

    assert refused("/nope") == 404
    assert refused("/sim/stream", "Origin: http://evil.example") == 403
    assert refused("/sim/stream",
                   f"Origin: http://{sim.host}:{sim.port}") == 101
    sim.fault({"fault": "refuse_connect", "status": 503})
    assert refused() == 503
    sim.fault({"fault": "refuse_connect", "status": 0})
    assert refused() is None


def test_faults_of_sends(sim):
    sim.live()
    msg = sim.event(user="U", text="x")["msg"]

    def send(seq):
        return sim.api("POST", "/v2/users/U/messages", {
            "msg_type": 0, "content": "y", "msg_id": msg, "msg_seq": seq})

    sim.fault({"fault": "send_half"})
    assert send(1) == (0, None)
    assert send(1)[1]["code"] == 40054005
    sim.fault({"fault": "send_half_before"})
    assert send(2) == (0, None)
    assert send(2)[0] == 200
    sim.fault({"fault": "send_status", "status": 502, "body": "html"})
    status, body = send(3)
    assert status == 502 and b"<html>" in body, (status, body)
    sim.fault({"fault": "send_code", "code": 40034128})
    status, body = send(3)
    assert status == 200 and body["err_code"] == 40034128, body
    sim.fault({"fault": "send_audit"})
    status, body = send(3)
    assert status == 202 and body["data"]["message_audit"]["audit_id"], body
    began = time.monotonic()
    sim.fault({"fault": "send_late", "ms": 120})
    assert send(4)[0] == 200
    assert time.monotonic() - began >= 0.12
    sim.fault({"fault": "send_empty", "status": 204, "scope": "dm"},
              {"fault": "api_status", "status": 401})
    status, body = send(5)
    assert status == 401 and body["code"] == 11244, body
    assert sim.report()["total"]["accepted"] == 3


def test_faults_of_tokens(sim):
    ask = {"appId": sim.bot, "clientSecret": sim.env["QQ_CLIENT_SECRET"]}
    path = "/app/getAppAccessToken"
    first = sim.token()
    forms = {"number": int, "fraction": str, "zero": "0", "negative": "-1",
             "text": "soon", "empty": ""}
    for how, want in forms.items():
        sim.fault({"fault": "token_form", "how": how})
        got = sim.must("POST", path, ask)["expires_in"]
        assert isinstance(got, want) if isinstance(want, type) \
            else got == want, (how, got)
    sim.fault({"fault": "token_form", "how": "absent"})
    assert "expires_in" not in sim.must("POST", path, ask)
    sim.fault({"fault": "token_error", "code": 100007})
    assert sim.must("POST", path, ask)["code"] == 100007
    sim.fault({"fault": "token_outage", "how": "close"})
    assert sim.ask("POST", path, ask) == (0, None)
    sim.fault({"fault": "token_outage"})
    assert sim.ask("POST", path, ask)[0] == 500
    sim.fault({"fault": "token_revoke"})
    status, body = sim.ask("GET", "/users/@me", None,
                           {"Authorization": "QQBot " + first})
    assert status == 401 and body["code"] == 11244, body
    assert sim.token() != first
    for wrong, code in (({}, 100007), ({"appId": 1}, 100007), ("x", 100001),
                        ({"appId": sim.bot, "clientSecret": "x"}, 100016)):
        assert sim.must("POST", path, wrong)["code"] == code, wrong


def test_authorization(sim):
    def me(**headers):
        status, body = sim.ask("GET", "/users/@me", None, headers)
        return status, body.get("code")

    token = "QQBot " + sim.token()
    assert me() == (401, 11241)
    assert me(Authorization="QQBot x") == (401, 11243)
    assert me(Authorization="Bot 1.x") == (401, 11243)
    assert me(Authorization="Bearer x") == (401, 11273)
    assert me(Authorization=token) == (200, None)
    assert me(Authorization=token, **{"X-Union-Appid": sim.bot}) == \
        (200, None)
    assert me(Authorization=token, **{"X-Union-Appid": "5"}) == (401, 11251)
    assert sim.api("POST", "/v2/channels/1/messages", {})[0] == 404
    assert sim.api("GET", "/v2/users/1/messages")[0] == 405


def test_hostile_http(sim):
    def first_line(data):
        return sim.raw(data).split(b"\r\n")[0]

    post = b"POST /sim/event HTTP/1.1\r\nHost: x\r\n"
    assert b" 411 " in first_line(post + b"\r\n")
    assert b" 411 " in first_line(post + b"Transfer-Encoding: chunked\r\n\r\n"
                                  b"2\r\n{}\r\n0\r\n\r\n")
    assert b" 415 " in first_line(post + b"Content-Length: 0\r\n\r\n")
    assert b" 400 " in first_line(
        post + b"Content-Type: application/json\r\nContent-Length: 1\r\n\r\n{")
    assert b" 404 " in first_line(b"GET /../x HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b" 404 " in first_line(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b" 200 " not in first_line(b"NONSENSE\r\n\r\n")
    assert b" 200 " not in first_line(b"GET /" + b"a" * 20000 +
                                      b" HTTP/1.1\r\nHost: x\r\n\r\n")
    half = sim.dial()
    half.sendall(post + b"Content-Length: 100\r\n\r\nhalf")
    half.close()
    assert sim.ask("POST", "/sim/event", "[]")[0] == 400
    assert sim.ask("POST", "/sim/event", {"scope": "c2c",
                                          "user": "x" * 600})[0] == 400
    assert sim.ask("POST", "/sim/fault", [{"fault": "close"}, {}])[0] == 400
    assert sim.ask("GET", "/sim/wait?nonsense=1")[0] == 400
    assert sim.ask("PUT", "/sim/event", {})[0] == 405
    assert sim.ask("GET", "/sim/stream")[0] == 400


def test_waits(sim):
    began = time.monotonic()
    assert sim.ask("GET", "/sim/wait?replied=1&timeout_ms=50")[0] == 408
    assert time.monotonic() - began >= 0.049    # it counts whole ms
    assert sim.ask("GET", "/sim/wait?live=!0")[0] == 200
    # Somebody who waits and goes away is no trouble.
    gone = sim.dial()
    gone.sendall(b"GET /sim/wait?replied=9 HTTP/1.1\r\nHost: x\r\n\r\n")
    gone.close()
    ws = sim.live()      # held: it closes when it is forgotten
    sim.wait("live=1")
    ws.sock.close()


def all_rights(sim):
    kinds = sim.must("GET", "/sim/event")["kinds"]
    mask = 0
    for kind in kinds:
        mask |= kind["intent"]
    sim.must("POST", "/sim/bot", {"granted": mask})
    return kinds, mask


def sample_of(kind):
    path = os.path.join(ROOT, "tests", "fixtures", kind.lower() + ".json")
    if not os.path.exists(path):     # one of several scopes
        path = path.replace(".json", "_c2c.json")
    with open(path, encoding="utf-8") as f:
        return json.load(f)["d"]


def unlike(want, got, where="d"):
    """What `got` lacks of the members of `want`, or has in another form."""
    if type(want) is not type(got):
        return [where]
    if isinstance(want, dict):
        return [bad for key in want for bad in (
            unlike(want[key], got[key], f"{where}.{key}") if key in got
            else [f"{where}.{key}"])]
    if isinstance(want, list) and want:
        return unlike(want[0], got[0], where + "[]") if got else [where]
    return []


# What a sample of the documents has and ours needs not.
NOT_ALWAYS = {"d.mention_everyone", "d.mentions"}


def test_every_kind(sim):
    kinds, mask = all_rights(sim)
    assert len(kinds) == 57, len(kinds)
    server = callback_server(sim)
    sim.must("POST", "/sim/webhook", {"url": server.url, "websocket": True})
    ws = sim.live(mask)
    for n, kind in enumerate(kinds):
        told = sim.must("POST", "/sim/event", {"t": kind["t"]})
        frame = ws.recv()
        assert (frame["op"], frame["t"], frame["id"], frame["s"]) == (
            0, kind["t"], told["event"], n + 2), frame
        bad = set(unlike(sample_of(kind["t"]), frame["d"])) - NOT_ALWAYS
        assert not bad, (kind["t"], bad, frame)
        if told["msg"] or told["interaction"]:
            assert frame["d"]["id"] == (told["msg"] or told["interaction"])
    sim.wait("idle=1")
    told = sim.must("GET", "/sim/report?events=1")["events"]
    assert sorted((e["t"], e["id"]) for e in server.seen) == sorted(
        (e["t"], e["event"]) for e in told)
    assert sim.report()["violations"] == {}
    server.shutdown()


def test_kinds_by_intent(sim):
    kinds, mask = all_rights(sim)
    for bit in range(31):
        if not mask & 1 << bit:
            continue
        ws = sim.live(1 << bit)
        mine = [k["t"] for k in kinds if k["intent"] == 1 << bit]
        for kind in kinds:
            told = sim.must("POST", "/sim/event", {"t": kind["t"]})
            assert (told["sent"] == "live") == (kind["t"] in mine), told
        assert [ws.recv()["t"] for _ in mine] == mine
        ws.sock.close()
        sim.wait("live=!0")


def test_given_members(sim):
    _, mask = all_rights(sim)
    ws = sim.live(mask)

    def made(**words):
        sim.must("POST", "/sim/event", words)
        return ws.recv()
    e = made(t="GROUP_ADD_ROBOT", group="G", user="M", id="outer-1")
    assert e["id"] == "outer-1" and e["d"]["group_openid"] == "G", e
    assert e["d"]["op_member_openid"] == "M", e
    e = made(t="MESSAGE_REACTION_ADD", channel="7", message="m1",
             emoji="128516", emoji_type=2)
    assert e["d"]["target"] == {"id": "m1", "type": 0}, e
    assert e["d"]["emoji"] == {"id": "128516", "type": 2}, e
    e = made(t="C2C_MESSAGE_CREATE", text="hi", **{"with": {
        "author": {"username": None}, "attachments": [{"url": "u"}],
        "message_type": 103}})
    assert e["d"]["author"]["username"] is None, e
    assert e["d"]["author"]["user_openid"], e
    assert e["d"]["attachments"] == [{"url": "u"}], e
    assert (e["d"]["message_type"], e["d"]["content"]) == (103, "hi"), e
    e = made(t="INTERACTION_CREATE", scope="group", group="G", button="b",
             **{"with": {"data": {"resolved": {"button_id": "9"}}}})
    assert e["d"]["data"]["resolved"] == {"button_data": "b",
                                          "button_id": "9"}, e
    assert e["d"]["chat_type"] == 1 and e["d"]["group_openid"] == "G", e
    e = made(t="GROUP_MESSAGE_CREATE", role="owner", text="<b>")
    assert e["d"]["author"]["member_role"] == "owner", e
    assert e["d"]["content"] == "<b>", e
    assert made(t="MESSAGE_CREATE", text="<b>")["d"]["content"] == \
        "&lt;b&gt;"
    for bad in ({"t": "NEW_THING"}, {"t": "FRIEND_ADD", "with": []},
                {"t": "FRIEND_ADD", "odd": "strange"},
                {"t": "FRIEND_ADD", "scope": "x"},
                {"scope": "c2c", "emoji_type": 3}):
        assert sim.ask("POST", "/sim/event", bad)[0] == 400, bad


def test_odd_forms(sim):
    _, mask = all_rights(sim)
    ws = sim.live(mask)

    def made(kind, odd):
        sim.must("POST", "/sim/event", {"t": kind, "odd": odd,
                                        "channel": "5"})
        return ws.recv()["d"]
    d = made("C2C_MESSAGE_CREATE", "missing")
    assert set(d) == {"id", "author", "content", "timestamp"}, d
    assert set(d["author"]) == {"user_openid"}, d
    d = made("C2C_MESSAGE_CREATE", "null")
    assert d["message_scene"] is None and d["content"] == "", d
    d = made("FORUM_THREAD_CREATE", "numbers,arrays")
    assert d["guild_id"] == 4700000000000000001 and d["channel_id"] == 5, d
    assert d["thread_info"]["thread_id"] == "B_1", d
    assert d["thread_info"]["title"][0]["type"] == 1, d
    assert isinstance(made("FORUM_THREAD_CREATE", "")["thread_info"]["title"],
                      str)
    d = made("GUILD_CREATE", "strings")
    assert d["max_members"] == "300", d
    d = made("MESSAGE_REACTION_ADD", "named")
    assert d["target"]["type"] == "ReactionTargetType_MSG", d
    assert isinstance(made("FRIEND_ADD", "")["timestamp"], int)
    assert "T" in made("FRIEND_ADD", "time_swap")["timestamp"]
    assert isinstance(made("C2C_MESSAGE_CREATE", "time_swap")["timestamp"],
                      int)
    assert made("FRIEND_ADD", "time_text")["timestamp"].isdigit()
    assert " CST m=+" in made("C2C_MESSAGE_CREATE", "time_go")["timestamp"]
    assert made("FRIEND_ADD", "unknown missing")["unheard_of"] == {
        "new": True}


def test_files(sim):
    picture = bytes.fromhex("89504e470d0a1a0a") + b"rest"

    def kept(name, data):
        told = sim.must("POST", "/sim/file", {
            "name": name, "data": base64.b64encode(data).decode()})
        got = sim.raw(b"GET " + told["url"].split(str(sim.port))[1].encode() +
                      b" HTTP/1.0\r\nHost: x\r\n\r\n")
        return told, got.split(b"\r\n\r\n", 1)
    told, (head, body) = kept("p.png", picture)
    assert (told["content_type"], told["size"], told["filename"]) == (
        "image/png", len(picture), "p.png"), told
    assert body == picture and b"image/png" in head, head
    told, (head, _) = kept("evil.html", b"<script>alert(1)</script>")
    assert told["content_type"] == "file", told
    assert b"octet-stream" in head and b"nosniff" in head and \
        b"sandbox" in head, head
    assert kept("v.wav", b"RIFF....WAVE")[0]["content_type"] == "voice"
    assert sim.ask("POST", "/sim/file", {"name": "x", "data": "?"})[0] == 400
    assert sim.ask("POST", "/sim/file", {"data": ""})[0] == 400
    for _ in range(256):
        sim.must("POST", "/sim/file", {"name": "x", "data": "eA=="})
    assert sim.ask("GET", "/files/1")[0] == 404
    assert sim.raw(b"GET /files/258 HTTP/1.0\r\nHost: x\r\n\r\n"
                   ).endswith(b"\r\n\r\nx")


def test_stream(sim):
    viewer = Ws(sim, "/sim/stream")
    bot = sim.live()
    sim.event(text="seen by all")
    types = []
    while "chat" not in types:
        o = viewer.recv()
        types.append(o["type"])
        text = json.dumps(o)
        assert sim.env["QQ_CLIENT_SECRET"] not in text, o
        assert sim.token() not in text, o
    assert {"socket", "call", "frame"} <= set(types), types
    later = Ws(sim, "/sim/stream")
    assert later.recv()["text"] == "seen by all"
    bot.sock.close()
    # One that never reads is cut off and hinders nobody.
    for _ in range(60):
        sim.event(text="y" * 300000)
    assert sim.must("GET", "/sim/state")


def test_load(sim):
    ws = sim.live()
    sim.must("POST", "/sim/load", {"count": 50, "outstanding": 4,
                                   "conversations": 3})
    for _ in range(50):
        d = ws.recv()["d"]
        status, _ = sim.api("POST", "/v2/users/%s/messages" %
                            d["author"]["user_openid"], {
                                "msg_type": 0, "content": "x",
                                "msg_id": d["id"]})
        assert status == 200
    report = sim.wait("idle=1")
    assert report["load"]["replied"] == 50, report
    assert report["total"]["out_of_order"] == 0, report
    assert report["latency_us"]["count"] == 50, report
    sim.must("POST", "/sim/load", {"count": 20, "rate": 1000})
    for _ in range(20):
        ws.recv()
    assert sim.wait("missing=20")["load"]["running"]
    assert not sim.must("DELETE", "/sim/load")["running"]
    rows = sim.must("GET", "/sim/report?events=missing")["events"]
    assert len(rows) == 20, rows
    sim.must("POST", "/sim/reset", {})
    sim.must("POST", "/sim/load", {"count": 16, "outstanding": 16,
                                   "conversations": 2, "scope": "all"})
    for _ in range(16):
        ws.recv()
    report = sim.must("GET", "/sim/report?events=1")
    assert all(report["scopes"][s]["sent"] == 4
               for s in ("c2c", "group", "channel", "dm")), report
    assert len({r["conversation"] for r in report["events"]}) == 8, report


def test_webhook(sim):
    back = callback_server(sim)
    setup = {"url": back.url, "spacing_ms": 20, "tries": 3}
    verdict = sim.must("POST", "/sim/webhook", {**setup, "validate": True})
    assert verdict == {"valid": True, "status": 200}, verdict
    back.secret = "another"
    verdict = sim.must("POST", "/sim/webhook", {"validate": True})
    assert verdict["valid"] is False, verdict
    sim.must("POST", "/sim/reset", {})
    back.seen.clear()
    back.fail = 2
    assert sim.event(user="U", text="x", count=3)["sent"] == "webhook"
    report = sim.wait("webhook_acked=3&idle=0")
    assert report["counters"]["webhook_failed"] == 2, report
    assert [m["s"] for m in back.seen] == [1, 1, 1, 2, 3], back.seen
    for how in ("signature", "body", "timestamp", "appid", "nosig"):
        sim.fault({"fault": "webhook_tamper", "how": how})
        sim.event(user="U", text=how)
    report = sim.wait("webhook_acked=8")
    assert report["violations"] == {}, report
    back.seen.clear()
    sim.fault({"fault": "duplicate_webhook"})
    sim.event(user="U", text="twice")
    sim.wait("webhook_acked=10")
    assert len(back.seen) == 2 and back.seen[0] == back.seen[1], back.seen
    back.strict = False
    sim.fault({"fault": "webhook_tamper"})
    sim.event(user="U", text="taken")
    report = sim.wait("webhook_accepted_tampered=1&webhook_acked=11")
    assert report["violations"] == {"tampered_accepted": 1}, report
    back.fail = 3
    sim.event(user="U", text="given up")
    assert sim.wait("webhook_given_up=1")["total"]["lost"] == 1
    sim.event(user="U", text="x", count=100)
    sim.must("POST", "/sim/webhook", {"url": ""})
    sim.wait("kept=!0")
    back.shutdown()
    back.server_close()


def test_bots(sim):
    other = sim.must("POST", "/sim/bot", {"bot": "7"})
    token = sim.must("POST", "/app/getAppAccessToken", {
        "appId": "7", "clientSecret": other["secret"]})["access_token"]
    msg = sim.event(user="U", text="x")["msg"]
    status, body = sim.ask("POST", "/v2/users/U/messages", {
        "msg_type": 0, "content": "x", "msg_id": msg},
        {"Authorization": "QQBot " + token})
    assert status == 400 and body["code"] == 11255, body
    assert sim.ask("POST", "/sim/bot", {"bot": "x"})[0] == 400
    assert sim.ask("POST", "/sim/event", {"bot": "8"})[0] == 400
    sim.must("POST", "/sim/bot", {"identify_remaining": 5})
    limit = sim.api("GET", "/gateway/bot")[1]["session_start_limit"]
    assert limit["remaining"] == 5, limit
    sim.live()
    limit = sim.api("GET", "/gateway/bot")[1]["session_start_limit"]
    assert limit["remaining"] == 4, limit


def test_the_page(sim):
    for path, kind in (("/", "text/html"), ("/chat.js", "text/javascript"),
                       ("/show.js", "text/javascript"),
                       ("/chat.css", "text/css"),
                       ("/icon.svg", "image/svg+xml")):
        answer = sim.raw(f"GET {path} HTTP/1.0\r\nHost: x\r\n\r\n".encode())
        head = answer.split(b"\r\n\r\n")[0].decode()
        assert head.startswith("HTTP/1.1 200"), head
        assert kind in head and "default-src 'self'" in head, head
    assert sim.report()["violations"] == {}


def test_left_in_the_middle(sim):
    """It ends in peace while answers are due and sockets are open."""
    sim.live()
    Ws(sim, "/sim/stream")
    sim.fault({"fault": "token_slow", "ms": 60000})
    for path in (b"GET /sim/wait?replied=9", b"GET /sim/state"):
        sim.dial().sendall(path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    body = json.dumps({"appId": sim.bot, "clientSecret":
                       sim.env["QQ_CLIENT_SECRET"]}).encode()
    sim.dial().sendall(b"POST /app/getAppAccessToken HTTP/1.1\r\nHost: x\r\n"
                       b"Content-Length: %d\r\n\r\n" % len(body) + body)
    sim.wait("token_requests=2")


def tls_test():
    sim = Sim(ROOKERY_SIM_TLS="yes")
    try:
        assert sim.api("GET", "/gateway")[1]["url"].startswith("wss://")
        ws = sim.live()
        for _ in range(50):
            sim.event(text="z" * 20000)
        assert sum(len(ws.recv()["d"]["content"]) for _ in range(50)) == \
            1000000
        sim.fault({"fault": "close", "code": 4014})
        assert ws.close_code() == 4014
        for name in ("sim.env", "secret", "ca.pem", "key.pem"):
            assert os.stat(sim.path(name)).st_mode & 0o77 == 0, name
    finally:
        sim.end()


def exit_test():
    def status(*args):
        done = subprocess.run([PROGRAM, *args], capture_output=True,
                              timeout=WAIT_S, check=False)
        return done.returncode, done.stderr.decode()

    assert status("--help")[0] == 0
    assert status("--version")[0] == 0
    assert status("--nonsense")[0] == 64
    assert status("extra")[0] == 64
    with socket.create_server(("127.0.0.1", 0)) as taken, \
            tempfile.TemporaryDirectory() as folder:
        where = "127.0.0.1:%d" % taken.getsockname()[1]
        code, said = status("--listen", where, "--dir", folder)
        assert code == 78 and "ROOKERY_SIM_LISTEN" in said, (code, said)
        assert not os.path.exists(folder + "/sim.env")
        assert status("--listen", "nonsense", "--dir", folder)[0] == 78


def main():
    tests = [(name[5:], lambda f=f: one(f)) for name, f in globals().items()
             if name.startswith("test_")]
    tests += [("tls", tls_test), ("exit_statuses", exit_test)]
    passed = failed = 0

    def one(f):
        sim = Sim()
        try:
            f(sim)
        finally:
            sim.end()

    for name, run in tests:
        try:
            run()
            print("ok", name, flush=True)
            passed += 1
        except Exception as e:  # pylint: disable=broad-except
            line = e.__traceback__
            while line.tb_next:
                line = line.tb_next
            print(f"not ok {name}\n# line {line.tb_lineno}: "
                  f"{type(e).__name__} {e}", flush=True)
            failed += 1
    print(f"# {passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
