#!/usr/bin/env python3
# deadline: 240
"""Media against a platform that is played here, oddities and all: sources,
limits, the cache, uploads in parts that are interrupted in every way, and what
is fetched for handlers.

  tests/media/run.py            with build/media-client and build/asan
  tests/media/run.py --large    the same with 200 MiB where 24 would do
  tests/media/run.py NAME...    those tests alone

Prints "ok NAME" or "not ok NAME", and at the end "# N passed, M failed".
"""
import base64
import contextlib
import hashlib
import json
import os
import shutil
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
MIB = 1 << 20
FIRST = 10002432
PNG = b"\x89PNG\r\n\x1a\n" + b"p" * 200
GIF = b"GIF89a" + b"g" * 200
MP4 = b"\0\0\0\x20ftypisom" + b"v" * 200
LARGE = "--large" in sys.argv
PSS_MAX_KIB = 40 * 1024


class Failed(Exception):
    pass


def expect(good, what):
    if not good:
        raise Failed(what)


def equal(got, want, what=""):
    expect(got == want, f"{what}: {got!r}, not {want!r}")


# --- the platform --------------------------------------------------------------

class Platform:
    """What it answers is decided by attributes; what it saw is in lists."""
    def __init__(self):
        self.lock = threading.Lock()
        self.block, self.base, self.at_once = MIB, 0, 1
        self.ttl, self.delay_s, self.numbers = 3600, 0, False
        self.flat = False           # as the platform's own library has it
        self.uploads, self.seen, self.puts = {}, [], []
        self.once, self.untold = False, None
        self.times = []             # of each in seen
        self.open = threading.Event()       # uploads are answered
        self.open.set()
        # (path's end, status, body[, headers]) that come first
        self.answers = []
        self.cuts = {}              # part -> how often its connection is cut
        self.statuses = {}          # part -> statuses that come first
        self.again = {}             # part -> how often 40093001
        self.part_s, self.tokens, self.muted = 0, 0, set()
        self.served = {}            # path -> (status, headers, body)
        server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        # Those who hang up, or are killed, are what this is about.
        server.handle_error = lambda *args: None
        server.daemon_threads = True
        self.server, self.port = server, server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=server.serve_forever, daemon=True,
                         kwargs={"poll_interval": 0.05}).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def handler(self):
        platform = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *args):
                pass

            def do_POST(self):
                n = int(self.headers.get("Content-Length", 0))
                platform.post(self, self.rfile.read(n))

            def do_PUT(self):
                platform.put(self)

            def do_GET(self):
                platform.get(self)

            def say(self, status, body, **headers):
                if not isinstance(body, bytes):
                    body = json.dumps(body).encode()
                self.send_response(status)
                for k, v in headers.items():
                    self.send_header(k.replace("_", "-"), v)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
        return Handler

    def count(self, end):
        with self.lock:
            return sum(1 for path, _ in self.seen if path.endswith(end))

    def post(self, h, raw):
        if h.path == "/token":
            with self.lock:
                self.tokens += 1
                n = self.tokens
            h.say(200, {"access_token": f"T{n}", "expires_in": "7200"})
            return
        body = json.loads(raw)
        with self.lock:
            self.seen.append((h.path, body))
            self.times.append(time.monotonic())
            first = next((a for a in self.answers if h.path.endswith(a[0])),
                         None)
            if first:
                self.answers.remove(first)
        if not h.headers.get("Authorization", "").startswith("QQBot T"):
            h.say(401, {"code": 11241, "message": "no token"})
        elif first:
            h.say(first[1], first[2], **(first[3:] or ({},))[0])
        elif h.path.endswith("/upload_prepare"):
            self.prepare(h, body)
        elif h.path.endswith("/upload_part_finish"):
            self.finish(h, body)
        else:
            self.files(h, body)

    def right_type(self, h, value):
        if isinstance(value, int if self.numbers else str):
            return True
        h.say(400, {"code": 50015, "message": "parameter type"})
        return False

    def prepare(self, h, body):
        if not self.right_type(h, body["file_size"]):
            return
        size = int(body["file_size"])
        n = (size + self.block - 1) // self.block
        with self.lock:
            name = f"up{len(self.uploads) + 1}"
            self.uploads[name] = {"meta": body, "size": size, "n": n,
                                  "parts": {}, "md5": {}, "finished": set()}
        parts = [{"index": i + self.base,
                  "presigned_url": f"{self.url}/cos/{name}/{i}?sign=x"}
                 for i in range(n)]
        parts = parts[1::2] + parts[::2]
        options = {"concurrency": self.at_once, "retry_timeout": 30,
                   "retry_delay": 1}
        answer = {"upload_id": name, "parts": parts,
                  "block_size": self.block if self.flat else str(self.block)}
        h.say(200, {**answer, **(options if self.flat
                                 else {"upload_config": options})})

    def put(self, h):
        _, _, name, part = h.path.split("?")[0].split("/")
        part, n = int(part), int(h.headers["Content-Length"])
        up = self.uploads[name]
        with self.lock:
            self.puts.append((name, part, n, dict(h.headers)))
            status = (self.statuses.get(part) or [200]).pop(0)
            if self.once and part in up["finished"]:
                status = 403
            cut = self.cuts.get(part, 0) > 0
            if cut:
                self.cuts[part] -= 1
        if cut:
            h.rfile.read(n // 2)
            h.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                    struct.pack("ii", 1, 0))
            h.close_connection = True
            h.connection.close()
            return
        md5, left, data = hashlib.md5(), n, []
        while left > 0:
            piece = h.rfile.read(min(left, 65536))
            if not piece:
                return
            md5.update(piece)
            if not LARGE:
                data.append(piece)
            left -= len(piece)
        time.sleep(self.part_s)
        if status == 200:
            with self.lock:
                up["md5"][part] = md5.hexdigest()
                up["parts"][part] = b"".join(data)
        h.say(status, b"", ETag=md5.hexdigest())

    def finish(self, h, body):
        up = self.uploads.get(body["upload_id"])
        if up is None:
            h.say(400, {"code": 40093003, "message": "no such upload"})
            return
        if not self.right_type(h, body["block_size"]):
            return
        part = body["part_index"] - self.base
        with self.lock:
            again = self.again.get(part, 0)
            self.again[part] = again - 1
            good = up["md5"].get(part) == body["md5"]
        if again > 0:
            h.say(200, {"code": 40093001, "message": "again"})
        elif not good:
            h.say(400, {"code": 40093004, "message": "md5"})
        else:
            up["finished"].add(part)
            if part == self.untold:
                self.untold = None
                return
            h.say(200, {})

    def files(self, h, body):
        target = h.path.split("/")[3]
        if self.delay_s:
            time.sleep(self.delay_s)
        self.open.wait(30)
        if target in self.muted:
            h.say(400, {"code": 850018, "message": "muted"})
            return
        if "upload_id" in body:
            up = self.uploads[body["upload_id"]]
            if len(up["finished"]) != up["n"]:
                h.say(400, {"code": 40093005, "message": "parts missing"})
                return
        with self.lock:
            n = sum(1 for p, _ in self.seen if p.endswith("/files"))
        h.say(200, {"file_uuid": "u", "file_info": f"info{n}",
                    "ttl": self.ttl, "id": ""})

    def get(self, h):
        status, headers, body = self.served.get(h.path, (404, {}, b"no"))
        if callable(body):
            body(h)
            return
        h.say(status, body, **headers)


# --- the client ------------------------------------------------------------------

class Client:
    def __init__(self, rig, asan=True, inline=524288, timeout=10000,
                 private="yes", fetch_max=100000, inbox=MIB, limits=0):
        program = os.path.join(TOP, "build", "asan" if asan else "",
                               "media-client")
        env = dict(os.environ, ASAN_OPTIONS="detect_leaks=1")
        self.log = open(os.path.join(rig.dir, "log"), "ab")
        self.proc = subprocess.Popen(
            [program, rig.platform.url, rig.platform.url + "/token",
             rig.state, rig.media, str(inline), str(timeout), private,
             str(fetch_max), str(inbox), str(limits)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
            env=env)
        self.lines, self.changed = [], threading.Condition()
        self.tags = 0
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.proc.stdout:
            with self.changed:
                self.lines.append(line.decode().rstrip("\n").split("\t"))
                self.changed.notify_all()

    def tell(self, *words):
        self.proc.stdin.write(("\t".join(map(str, words)) + "\n").encode())
        self.proc.stdin.flush()

    def wait(self, tag, within=20):
        end = time.monotonic() + within
        with self.changed:
            while True:
                for i, line in enumerate(self.lines):
                    if line[0] == tag:
                        return self.lines.pop(i)[1:]
                left = end - time.monotonic()
                if left <= 0 or (self.proc.poll() is not None and left <
                                 within - 2):
                    raise Failed(f"{tag} is not answered")
                self.changed.wait(min(left, 0.5))

    def order(self, source, kind=1, scope="u", target="U1", name="",
              for_ms=60000):
        self.tags += 1
        tag = f"t{self.tags}"
        self.tell("media", tag, scope, target, kind, for_ms, name, source)
        return tag

    def send(self, source, within=20, **how):
        return self.wait(self.order(source, **how), within)

    def fetch(self, url, for_ms=20000):
        self.tags += 1
        tag = f"t{self.tags}"
        self.tell("fetch", tag, for_ms, url)
        return self.wait(tag)

    def ask(self, what):
        self.tell(what)
        return [int(x) for x in self.wait(what)]

    def kill(self):
        self.proc.kill()
        self.proc.wait()
        self.log.close()

    def close(self):
        if self.proc.poll() is None:
            self.proc.stdin.close()
            try:
                self.proc.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
                raise Failed("the client does not end") from None
        self.log.close()
        equal(self.proc.returncode, 0, "the client's status")


class Rig:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="rookery-media-")
        self.state, self.media = (os.path.join(self.dir, d)
                                  for d in ("state", "media"))
        os.mkdir(self.state)
        os.mkdir(self.media)
        self.platform, self.clients = Platform(), []

    def client(self, **how):
        self.clients.append(Client(self, **how))
        return self.clients[-1]

    def file(self, name, data, size=None):
        path = os.path.join(self.media, name)
        with open(path, "wb") as f:
            f.write(data)
            if size:
                f.truncate(size)
        return path

    def video(self, name, size):
        """Sparse but for its beginning and a mark in each MiB."""
        path = self.file(name, MP4, size)
        with open(path, "r+b") as f:
            for at in range(MIB // 2, size, MIB):
                f.seek(at)
                f.write(struct.pack(">Q", at))
        return path

    def close(self, failed):
        try:
            for c in self.clients:
                if c.proc.poll() is None or not failed:
                    if c.proc.returncode != -9:
                        c.close()
        finally:
            self.platform.close()
            if failed:
                with open(os.path.join(self.dir, "log"), "rb") as f:
                    for line in f.read().decode().splitlines()[-25:]:
                        print("#  ", line)
            shutil.rmtree(self.dir)


# --- sources and limits ---------------------------------------------------------

def test_by_address(rig):
    c, p = rig.client(), rig.platform
    equal(c.send("https://x.example/a.png"), ["OK", "200", "0", "info1", ""])
    equal(p.seen[0], ("/v2/users/U1/files", {
        "file_type": 1, "srv_send_msg": False,
        "url": "https://x.example/a.png"}))
    equal(c.send("https://x.example/b/r.pdf?x=1", kind=4, scope="g",
                 target="G1")[0], "OK")
    equal(p.seen[1], ("/v2/groups/G1/files", {
        "file_type": 4, "srv_send_msg": False, "file_name": "r.pdf",
        "url": "https://x.example/b/r.pdf?x=1"}))
    equal(c.send("http://x.example/a.png")[0], "BAD_ARG")
    equal(len(p.seen), 2, "requests")


def test_by_bytes(rig):
    c, p = rig.client(), rig.platform
    for data in (PNG, PNG + b"1", PNG + b"12", PNG + b"x" * 5000):
        text = base64.b64encode(data).decode()
        equal(c.send("base64:" + text)[0], "OK")
        equal(base64.b64decode(p.seen[-1][1]["file_data"]), data)
        equal(c.send("base64:" + text.rstrip("="), scope="g")[0], "OK")
        equal(base64.b64decode(p.seen[-1][1]["file_data"]), data)
    for bad in ("base64:", "base64:!!!!", "base64:QUJD=QUJD", "base64:A"):
        equal(c.send(bad)[0], "MEDIA", bad)
    equal(p.count("/files"), 8)


def test_by_path(rig):
    c, p = rig.client(), rig.platform
    path = rig.file("a.png", PNG)
    equal(c.send("a.png")[0], "OK")
    equal(base64.b64decode(p.seen[0][1]["file_data"]), PNG)
    equal(c.send(path)[3], "info1", "the cached one")
    with open(os.path.join(rig.dir, "secret.png"), "wb") as f:
        f.write(PNG)
    os.symlink("../secret.png", os.path.join(rig.media, "out.png"))
    os.symlink("..", os.path.join(rig.media, "up"))
    os.symlink("a.png", os.path.join(rig.media, "in.png"))
    os.mkfifo(os.path.join(rig.media, "pipe.png"))
    os.mkdir(os.path.join(rig.media, "folder"))
    equal(c.send("in.png")[3], "info1", "a link that stays inside")
    for bad in ("../secret.png", "out.png", "/etc/passwd", "none.png",
                "up/secret.png", "folder/../../secret.png", "folder",
                "pipe.png", ".", "/", "//etc/passwd", "/proc/self/environ",
                os.path.join(rig.media, "..", "secret.png"),
                os.path.join(rig.dir, "secret.png")):
        got = c.send(bad)
        equal(got[0], "MEDIA", bad)
        expect("ROOKERY_MEDIA_DIR" in got[4], f"{bad}: {got}")
    equal(len(p.seen), 1, "requests")


def test_limits_before_the_upload(rig):
    c, p = rig.client(), rig.platform
    rig.file("large.mp4", MP4, 200 * MIB + 1)
    rig.file("empty.png", b"")
    rig.file("a.gif", GIF)
    rig.file("a.txt", b"hello")
    for source, kind, result, words in (
            ("large.mp4", 2, "MEDIA", "209715201 bytes, the platform takes"),
            ("large.mp4", 4, "MEDIA", "209715201 bytes, the platform takes"),
            ("empty.png", 1, "MEDIA", "image: is empty"),
            ("a.gif", 2, "MEDIA", "video: is gif, not mp4"),
            ("a.txt", 3, "MEDIA", "not silk wav ogg flac mp3"),
            ("a.txt", 9, "BAD_ARG", "type"), ("", 1, "BAD_ARG", "source")):
        got = c.send(source, kind=kind)
        equal(got[0], result, source)
        expect(words in got[4], got)
    equal(p.seen, [], "requests")
    # Larger than shown in place: as a file.
    rig.file("a.png", PNG, 20 * MIB + 1)
    p.block = 8 * MIB
    equal(c.send("a.png")[0], "OK")
    meta = p.uploads["up1"]["meta"]
    equal((meta["file_type"], meta["file_name"]), (4, "a.png"))


def test_pictures_of_channels(rig):
    c, p = rig.client(), rig.platform
    rig.file("a.png", PNG)
    rig.file("a.gif", GIF)
    rig.file("a.mp4", MP4)
    equal(c.send("a.png", scope="c")[3], "file 208 image/png")
    equal(c.send("base64:" + base64.b64encode(PNG).decode(), scope="d")[3],
          "file 208 image/png")
    equal(c.send("https://x.example/a.png", scope="d")[:4],
          ["OK", "0", "0", ""])
    equal(c.send("a.gif", scope="c")[0], "MEDIA")
    equal(c.send("a.mp4", scope="c", kind=2)[0], "UNSUPPORTED")
    equal(p.seen, [], "requests")


# --- what is kept -----------------------------------------------------------------

def test_MU05_kept_by_scope_and_ttl(rig):
    c, p = rig.client(), rig.platform
    rig.file("a.png", PNG)
    rig.file("b.png", PNG)
    p.ttl = 5
    equal(c.send("a.png")[3], "info1")
    equal(c.send("b.png", target="U2")[3], "info1", "equal content")
    equal(c.send("a.png", scope="g")[3], "info2", "another scope")
    equal(c.send("a.png", kind=4)[3], "info3", "another kind")
    time.sleep(4.1)
    p.ttl = 0
    equal(c.send("a.png")[3], "info4", "after its time")
    c.close()
    c = rig.client()
    equal(c.send("a.png")[3], "info4", "another run")
    c.tell("forget", "info4")
    equal(c.send("a.png")[3], "info5", "refused by the platform")
    equal(c.ask("counts")[2], 1, "cached")


def test_what_an_address_leads_to_may_change(rig):
    """Its content is not known here: what is kept of it is kept for a minute,
    even where the platform says for ever."""
    c, p = rig.client(), rig.platform
    p.ttl = 0
    equal(c.send("https://x.example/now.png")[3], "info1")
    equal(c.send("https://x.example/now.png", target="U2")[3], "info1")
    rig.file("a.png", PNG)
    equal(c.send("a.png")[3], "info2")
    c.close()
    with contextlib.closing(sqlite3.connect(
            os.path.join(rig.state, "media.db"))) as db:
        until_ms = dict(db.execute("SELECT CAST(value AS TEXT), until_ms "
                                   "FROM shelf"))
    equal(until_ms["info2"], 0)
    left = until_ms["info1"] / 1000 - time.time()
    expect(40 < left <= 60, f"{left} s")


def test_small_ones_do_not_wait_for_sums(rig):
    c, p = rig.client(), rig.platform
    rig.file("a.png", PNG)
    tag = c.order(rig.video("l.mp4", 190 * MIB), kind=2)
    equal(c.send("a.png")[0], "OK")
    equal(p.count("/upload_prepare"), 0, "the large one is summed already")
    c.tell("cancel", tag)


def test_one_for_all(rig):
    c, p = rig.client(), rig.platform
    p.delay_s = 0.5
    rig.file("a.png", PNG)
    tags = [c.order("a.png", target=f"U{i}") for i in range(5)]
    tags += [c.order("https://x.example/a.png") for _ in range(5)]
    equal({c.wait(t)[0] for t in tags}, {"OK"})
    equal(p.count("/files"), 2)


def test_one_for_all_but_the_muted(rig):
    c, p = rig.client(), rig.platform
    p.delay_s, p.muted = 0.3, {"U0"}
    rig.file("a.png", PNG)
    tags = [c.order("a.png", target=f"U{i}") for i in (0, 1, 1, 0)]
    equal([c.wait(t)[0] for t in tags],
          ["MUTED_OR_GONE", "OK", "OK", "MUTED_OR_GONE"])
    equal(p.count("U1/files"), 1)


def test_more_than_have_a_job(rig):
    c, p = rig.client(), rig.platform
    tags = []
    for i in range(400):
        rig.file(f"{i}.png", PNG + str(i).encode())
        tags.append(c.order(f"{i}.png"))
    for t in tags[380:]:
        c.tell("cancel", t)
    equal({c.wait(t)[0] for t in tags[:380]}, {"OK"})
    expect(p.count("/files") <= 400, "requests")


# --- failures ---------------------------------------------------------------------

def test_tried_again(rig):
    c, p = rig.client(), rig.platform
    p.answers = [("/files", 500, {"code": 850027, "message": "slow"}),
                 ("/files", 401, {"code": 11243, "message": "token"})]
    equal(c.send("https://x.example/a.png")[0], "OK")
    equal(p.tokens, 2)
    p.answers = [("/files", 400, {"code": 850019, "message": "format"})]
    equal(c.send("https://x.example/b.png")[:3], ["MEDIA", "400", "850019"])
    p.answers = [("/files", 200, {"code": 40034004})] * 9
    got = c.send("https://x.example/c.png", within=20)
    equal(got[:3], ["MEDIA", "200", "40034004"])
    equal(p.count("/files"), 3 + 1 + 4)


def test_MU07_slow_answer(rig):
    c, p = rig.client(timeout=1500), rig.platform
    p.delay_s = 1
    equal(c.send("https://x.example/a.png")[0], "OK")
    equal(p.count("/files"), 1)
    p.delay_s = 2.5
    tag = c.order("https://x.example/b.png")
    time.sleep(2)
    p.delay_s = 0
    equal(c.wait(tag)[0], "OK")


def test_the_limits_of_uploads_are_kept(rig):
    """... also of those that messages need; what is kept costs nothing."""
    c, p = rig.client(limits=100), rig.platform
    for i in range(60):
        rig.file(f"{i}.png", PNG + str(i).encode())
    for _ in range(2):
        tags = [c.order(f"{i}.png") for i in range(60)]
        equal({c.wait(t)[0] for t in tags}, {"OK"})
    equal(p.count("/files"), 60)
    expect(p.times[50] - p.times[0] > 0.98,
           f"51 in {p.times[50] - p.times[0]:.2f} s")
    # 429 is about the route: who comes later waits, too.
    p.answers = [("/files", 429, {"code": 22009}, {"Retry_After": "2"})]
    rig.file("x.png", PNG + b"x")
    rig.file("y.png", PNG + b"y")
    x = c.order("x.png")
    until(lambda: p.count("/files") == 61)
    y = c.order("y.png", for_ms=1000)
    got = c.wait(y)
    equal(got[0], "RATE_LIMITED")
    expect("a pause" in got[4], got)
    equal(c.wait(x)[0], "OK")
    expect(p.times[61] - p.times[60] > 1.9, "Retry-After")
    # Ten uploads in parts begin in a second, and no more.
    p.block = MIB
    tags = [c.order(rig.video(f"{i}.mp4", MIB + i), kind=2)
            for i in range(12)]
    until(lambda: c.ask("counts")[6] > 0)
    equal({c.wait(t)[0] for t in tags}, {"OK"})
    equal(c.ask("counts")[6], 0, "held")
    for end, most in (("upload_prepare", 10), ("part_finish", 10)):
        at = [t for t, s in zip(p.times, p.seen) if s[0].endswith(end)]
        equal(min(b - a > 0.98 for a, b in zip(at, at[most:])), True, end)


# --- parts ------------------------------------------------------------------------

def whole(upload):
    return b"".join(upload["parts"][i] for i in range(upload["n"]))


def check_upload(rig, name, path):
    up = rig.platform.uploads[name]
    if not LARGE:
        with open(path, "rb") as f:
            data = f.read()
        expect(whole(up) == data, "the content differs")
        meta = up["meta"]
        equal(meta["md5"], hashlib.md5(data).hexdigest())
        equal(meta["sha1"], hashlib.sha1(data).hexdigest())
        equal(meta["md5_10m"], hashlib.md5(data[:FIRST]).hexdigest())
    equal(len(up["finished"]), up["n"], "finished")


def test_MU03_parts(rig):
    c, p = rig.client(), rig.platform
    for base, flat in ((0, False), (1, True)):
        p.base, p.flat, p.numbers = base, flat, flat
        for n in (1, 4, 7):
            before = len(p.uploads)
            path = rig.video(f"{base}-{n}.mp4", n * MIB - 77 - base)
            p.again = {2: 2} if n == 4 and not base else {}
            equal(c.send(path, kind=2)[0], "OK", path)
            check_upload(rig, f"up{len(p.uploads)}", path)
            equal(len(p.uploads), before + 1, "uploads")
    equal(len(p.puts), 24, "parts sent")
    for _, _, n, headers in p.puts:
        expect("Authorization" not in headers, "the token is sent away")
        equal(headers["Content-Length"], str(n))


def test_MU04_quota(rig):
    c, p = rig.client(), rig.platform
    path = rig.video("a.mp4", 3 * MIB)
    p.answers = [("/upload_prepare", 200, {"code": 40093002})]
    equal(c.send(path, kind=2)[:3:2], ["QUOTA", "40093002"])
    c.close()
    c = rig.client()
    got = c.send(path, kind=2)
    equal(got[0], "QUOTA")
    expect("today" in got[4], got)
    equal(len(p.seen), 1, "requests")
    rig.file("a.png", PNG)
    equal(c.send("a.png")[0], "OK", "small ones need no upload")


def test_a_part_that_fails(rig):
    c, p = rig.client(), rig.platform
    path = rig.video("a.mp4", 6 * MIB)
    p.at_once = 3
    p.cuts, p.statuses = {1: 1}, {3: [500, 503]}
    equal(c.send(path, kind=2)[0], "OK")
    check_upload(rig, "up1", path)
    equal(len(p.puts), 6 + 1 + 2, "parts sent")


def test_given_up_and_gone_on_with(rig):
    c, p = rig.client(), rig.platform
    path = rig.video("a.mp4", 6 * MIB)
    p.statuses = {4: [500, 500, 500]}
    got = c.send(path, kind=2)
    equal(got[0], "PLATFORM")
    expect("part 4: the storage answers 500" in got[4], got)
    equal(c.send(path, kind=2)[0], "OK")
    check_upload(rig, "up1", path)
    equal(len(p.puts), 6 + 3, "parts sent")
    equal(c.ask("counts")[5], 1, "resumed")


def test_addresses_expire(rig):
    c, p = rig.client(), rig.platform
    path = rig.video("a.mp4", 4 * MIB)
    p.statuses = {2: [403]}
    equal(c.send(path, kind=2)[0], "OK")
    check_upload(rig, "up2", path)
    p.statuses = {0: [403] * 9}
    got = c.send(rig.video("b.mp4", 3 * MIB), kind=2)
    equal(got[0], "PLATFORM")
    equal(len(p.uploads), 5, "prepared")


def test_finished_and_not_noted(rig):
    """Killed while the platform's answer is on its way: the storage takes
    the part no second time, and nothing of the others is sent again."""
    p = rig.platform
    path = rig.video("a.mp4", 6 * MIB)
    p.at_once, p.once, p.untold = 1, True, 2
    c = rig.client()
    c.order(path, kind=2)
    until(lambda: p.untold is None)
    c.kill()
    equal(sorted(p.uploads["up1"]["finished"]), [0, 1, 2], "finished")
    sent = len(p.puts)
    c = rig.client()
    equal(c.send(path, kind=2)[0], "OK")
    check_upload(rig, "up1", path)
    equal(len(p.uploads), 1, "prepared")
    equal([x[1] for x in p.puts[sent:]], [2, 3, 4, 5], "parts sent")


def test_forgotten_by_the_platform(rig):
    c, p = rig.client(), rig.platform
    path = rig.video("a.mp4", 4 * MIB)
    p.answers = [("/files", 400, {"code": 40093005, "message": "expired"})]
    equal(c.send(path, kind=2)[0], "OK")
    check_upload(rig, "up2", path)


def test_a_file_that_changes(rig):
    c, p = rig.client(), rig.platform
    path = rig.video("a.mp4", 4 * MIB)
    p.part_s = 0.3
    tag = c.order(path, kind=2)
    until(lambda: len(p.puts) > 1)
    with open(path, "r+b") as f:
        f.write(MP4 + b"!")
    equal(c.wait(tag)[::4], ["MEDIA", "the file changed while it was sent"])
    p.part_s = 0
    equal(c.send(path, kind=2)[0], "OK")


def test_a_small_file_that_changes(rig):
    """... between its sum and its turn: what is sent is not what was summed,
    and must not be kept under its name."""
    c, p = rig.client(), rig.platform
    p.open.clear()
    tags = []
    for i in range(9):
        path = rig.file(f"{i}.png", PNG + bytes([i]))
        tags.append(c.order(path))
    until(lambda: p.count("/files") == 8)
    rig.file("8.png", PNG + b"other")
    p.open.set()
    got = c.wait(tags[8])
    equal(got[0], "MEDIA")
    expect("changed" in got[4], got)
    equal({c.wait(t)[0] for t in tags[:8]}, {"OK"})


def test_cancelled_and_ordered_again(rig):
    c, p = rig.client(), rig.platform
    path = rig.video("a.mp4", 5 * MIB)
    p.part_s = 0.1
    tag = c.order(path, kind=2)
    until(lambda: p.count("part_finish") > 2)
    c.tell("cancel", tag)
    equal(c.send(path, kind=2)[0], "OK")
    expect(len(p.puts) <= 6, f"{len(p.puts)} parts sent")


def test_bytes_in_the_body_are_not_wanted(rig):
    c, p = rig.client(), rig.platform
    rig.file("a.png", PNG)
    p.answers = [("/files", 400, {"code": 50015, "message": "file_data"})]
    equal(c.send("a.png")[0], "OK")
    check_upload(rig, "up1", os.path.join(rig.media, "a.png"))


def until(what, within=20):
    end = time.monotonic() + within
    while not what():
        expect(time.monotonic() < end, "it does not come")
        time.sleep(0.01)


def test_killed_in_the_middle(rig):
    """... with every third part failing once, and little memory all along."""
    p = rig.platform
    size = 200 * MIB if LARGE else 24 * MIB
    p.block = 5 * MIB if LARGE else MIB
    path = rig.video("v.mp4", size)
    n = (size + p.block - 1) // p.block
    p.statuses = {i: [500] for i in range(0, n, 3)}
    p.part_s = 0.05
    c = rig.client(asan=False)
    tag = c.order(path, kind=2, for_ms=300000)
    most, slowest = 0, 0
    while p.count("part_finish") < n // 2:
        began = time.monotonic()
        most = max(most, c.ask("pss")[0])
        slowest = max(slowest, time.monotonic() - began)
        time.sleep(0.02)
    c.kill()
    finished = len(p.uploads["up1"]["finished"])
    sent = len(p.puts)
    c = rig.client(asan=False)
    tag = c.order(path, kind=2, for_ms=300000)
    while "OK" not in "".join("".join(l) for l in c.lines if l[0] == tag):
        began = time.monotonic()
        most = max(most, c.ask("pss")[0])
        slowest = max(slowest, time.monotonic() - began)
        expect(not any(l[0] == tag and l[1] != "OK" for l in c.lines),
               "the second run fails")
        time.sleep(0.02)
    equal(c.wait(tag)[0], "OK")
    check_upload(rig, "up1", path)
    equal(len(p.uploads), 1, "prepared")
    again = [x for x in p.puts[sent:]]
    print(f"# {size >> 20} MiB in {n} parts: at most {most} KiB PSS, slowest "
          f"answer {slowest * 1000:.0f} ms, {finished} finished before the "
          f"kill, {len(again)} sent after it")
    expect(most < PSS_MAX_KIB, f"{most} KiB PSS")
    expect(slowest < 1, f"the loop was held up for {slowest:.2f} s")
    expect(len({x[1] for x in again}) <= n - finished + 1,
           "finished parts are sent again")


# --- what is fetched ---------------------------------------------------------------

def test_fetched(rig):
    c, p = rig.client(), rig.platform
    p.served = {
        "/a": (200, {}, PNG), "/b.txt": (200, {"Content_Type": "text/plain"},
                                         b"hello"),
        "/moved": (302, {"Location": "/a"}, b""),
        "/loop": (302, {"Location": "/loop"}, b""),
        "/away": (302, {"Location": "http://192.0.2.1/"}, b""),
        "/large": (200, {}, b"x" * 100001), "/exact": (200, {}, b"x" * 100000),
        "/empty": (200, {}, b"")}
    name = hashlib.sha256(PNG).hexdigest() + ".png"
    path = os.path.join(os.path.realpath(rig.media), "inbox", name)
    equal(c.fetch(p.url + "/a")[3], f"{path} {len(PNG)} image/png")
    with open(path, "rb") as f:
        equal(f.read(), PNG)
    equal(c.fetch(p.url + "/moved")[3].split()[0], path)
    got = c.fetch(p.url + "/b.txt")[3].split()
    expect(got[0].endswith(".txt") and got[1:] == ["5", "text/plain"], got)
    equal(c.send(got[0], kind=4)[0], "OK", "sent on")
    for bad, result, words in (
            ("/large", "MEDIA", "more than 100000 bytes (ROOKERY_FETCH_MAX)"),
            ("/empty", "MEDIA", "empty"), ("/none", "MEDIA", "answers 404"),
            ("/loop", "MEDIA", "redirected"), ("/away", "MEDIA", "redirected")):
        got = c.fetch(p.url + bad)
        equal(got[0], result, bad)
        expect(words in got[4], got)
    equal(c.fetch(p.url + "/exact")[0], "OK")
    equal(c.fetch("http://192.0.2.1/a")[0], "BAD_ARG")
    equal(c.fetch("file:///etc/passwd")[0], "BAD_ARG")
    equal(c.fetch("")[0], "BAD_ARG")
    left = os.listdir(os.path.join(rig.media, "inbox"))
    expect(not any(x.startswith(".") for x in left), left)


def test_nothing_private(rig):
    c, p = rig.client(private="no"), rig.platform
    p.served = {"/a": (200, {}, PNG)}
    for url in (p.url, f"http://localhost:{p.port}", f"https://[::1]:{p.port}",
                f"https://[::ffff:127.0.0.1]:{p.port}",
                "https://169.254.169.254", "https://10.0.0.1"):
        got = c.fetch(url + "/a")
        equal(got[0], "BAD_ARG", url)
        expect("private" in got[4], got)
    equal(os.listdir(os.path.join(rig.media, "inbox")), [])


def test_slow_servers(rig):
    c, p = rig.client(timeout=1500), rig.platform

    def drip(h):
        h.send_response(200)
        h.send_header("Content-Length", "1000")
        h.end_headers()
        try:
            for _ in range(40):
                h.wfile.write(b"x")
                time.sleep(0.1)
        except OSError:
            pass
    p.served = {"/drip": (200, {}, drip)}
    got = c.fetch(p.url + "/drip")
    equal(got[0], "MEDIA")
    expect("ROOKERY_FETCH_TIMEOUT_MS" in got[4], got)
    equal(os.listdir(os.path.join(rig.media, "inbox")), [])


def test_too_large_is_known_at_once(rig):
    c, p = rig.client(), rig.platform
    over = threading.Event()

    def large(h):
        h.send_response(200)
        h.send_header("Content-Length", "100001")
        h.end_headers()
        h.wfile.write(b"x")
        h.wfile.flush()
        over.wait(20)
    p.served = {"/large": (200, {}, large)}
    got = c.fetch(p.url + "/large", for_ms=15000)
    over.set()
    equal(got[0], "MEDIA")
    expect("ROOKERY_FETCH_MAX" in got[4], got)


def test_half_a_file_does_not_stay(rig):
    """Killed while it fetches, and another that shares the folder."""
    p, go = rig.platform, threading.Event()
    inbox = os.path.join(rig.media, "inbox")

    def half(h):
        h.send_response(200)
        h.send_header("Content-Length", "2000")
        h.end_headers()
        try:
            h.wfile.write(b"x" * 1000)
            h.wfile.flush()
            go.wait(20)
            h.wfile.write(b"x" * 1000)
        except OSError:
            pass
    p.served = {"/half": (200, {}, half), "/a": (200, {}, PNG)}

    def parts():
        return [x for x in os.listdir(inbox) if x.startswith(".part-")]
    first = rig.client()
    first.tell("fetch", "first", 20000, p.url + "/half")
    until(lambda: os.path.isdir(inbox) and len(parts()) == 1)
    rig.state += "2"
    os.mkdir(rig.state)
    second = rig.client()
    second.tell("fetch", "second", 20000, p.url + "/half")
    until(lambda: len(parts()) == 2)
    second.kill()
    equal(len(parts()), 2)
    third = rig.client()
    third.ask("counts")
    equal(len(parts()), 1, "what is left of the killed one, and no other")
    go.set()
    equal(first.wait("first")[0], "OK")
    equal(parts(), [])


def test_the_inbox_is_bounded(rig):
    c, p = rig.client(fetch_max=MIB, inbox=MIB), rig.platform
    for i in range(8):
        p.served[f"/{i}"] = (200, {}, bytes([i]) * 300000)
        equal(c.fetch(f"{p.url}/{i}")[0], "OK")
    left = os.listdir(os.path.join(rig.media, "inbox"))
    equal(len(left), 3)
    expect(hashlib.sha256(bytes([7]) * 300000).hexdigest() + ".bin" in left,
           "the newest is gone")


# ------------------------------------------------------------------------------------

def main():
    names = [a for a in sys.argv[1:] if not a.startswith("-")]
    tests = [(n[5:], f) for n, f in globals().items()
             if n.startswith("test_") and
             (not names or any(x in n for x in names))]
    passed = failed = 0
    for name, test in tests:
        rig, wrong = Rig(), []
        try:
            test(rig)
        except Exception as e:          # noqa: BLE001: any is a failure
            wrong.append(str(e) if isinstance(e, Failed) else
                         traceback.format_exc())
        try:
            rig.close(wrong)
        except Failed as e:
            wrong.append(str(e))
        passed, failed = passed + (not wrong), failed + bool(wrong)
        print(("not ok " if wrong else "ok ") + name, flush=True)
        for line in "\n".join(wrong).splitlines():
            print("# " + line, flush=True)
    print(f"# {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
