#!/usr/bin/env python3
# deadline: 240
"""Calls every operation of the catalog by `rookery call` and looks at the wire.

  run.py [NAME...]        operations, or parts of their names

apid runs alone against a server of ours that keeps what it was sent.  What
must have been sent is in expected.json, written by hand from the platform's
routes: a second source beside the catalog.  Prints "ok NAME" or "not ok NAME",
how many operations were tried and passed, and "# N passed, M failed".
"""
import concurrent.futures
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
ASAN = os.path.join(TOP, "build", "asan")
APP, SECRET, TOKEN = "102000001", "calls-secret", "calls-token"
WAIT_S = 20


class Failed(Exception):
    pass


def expect(what, got, wanted):
    if got != wanted:
        raise Failed(f"{what}: {got!r}, not {wanted!r}")


# --- the platform -------------------------------------------------------------

class Platform(http.server.ThreadingHTTPServer):
    """Gives out a token, answers everything, and keeps what it was asked."""
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        self.seen, self.routes = [], {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def take(self, path, method="GET"):
        """What came to this route, taken out."""
        with self.lock:
            found = [s for s in self.seen
                     if (s["path"], s["method"]) == (path, method)]
            self.seen = [s for s in self.seen if s not in found]
        return found

    def route(self, method, path):
        with self.lock:
            return self.routes.setdefault((method, path), threading.Lock())

    def count(self):
        with self.lock:
            return len(self.seen)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        path, _, query = self.path.partition("?")
        if path == "/token":
            doc = {"access_token": TOKEN, "expires_in": "7200"}
        else:
            with self.server.lock:
                self.server.seen.append({
                    "method": self.command, "path": path, "query": query,
                    "headers": self.headers, "body": body})
            doc = {"id": "NEW1", "timestamp": 1764547200, "path": path}
        text = json.dumps(doc).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer


# --- our side -----------------------------------------------------------------

class Api:
    """One apid, in a folder of its own."""

    def __init__(self, platform, **settings):
        self.folder = tempfile.mkdtemp(prefix="rookery-calls.")
        self.env = dict(os.environ)
        self.env.update({
            "QQ_APP_ID": APP, "QQ_CLIENT_SECRET": SECRET,
            "QQ_API_URL": platform.url,
            "QQ_TOKEN_URL": platform.url + "/token",
            "ROOKERY_RUN_DIR": os.path.join(self.folder, "run"),
            "ROOKERY_STATE_DIR": os.path.join(self.folder, "state"),
            "ROOKERY_ENV_FILE": "/dev/null",
            "ROOKERY_DURABILITY": "none"})
        self.env.update(settings)
        self.log = os.path.join(self.folder, "log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [os.path.join(ASAN, "apid")], env=self.env, cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + WAIT_S
        while not self.said("apid.ready"):
            if time.monotonic() > end or self.process.poll() is not None:
                self.close()
                raise Failed("apid does not start")
            time.sleep(0.02)

    def said(self, text):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return text in f.read()

    def call(self, *words, stdin=None, status=0):
        done = subprocess.run(
            [os.path.join(ASAN, "rookery"), "call", *words], env=self.env,
            cwd=self.folder, timeout=WAIT_S, check=False,
            input=stdin if stdin is not None else "",
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            encoding="utf-8")
        if done.returncode != status:
            raise Failed(f"rookery call {' '.join(words)} ends with "
                         f"{done.returncode}, not {status}: "
                         f"{done.stdout}{done.stderr}")
        return done

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(WAIT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        text = ""
        with open(self.log, encoding="utf-8", errors="replace") as f:
            text = f.read()
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.process.returncode != 0:
            raise Failed(f"apid ended with {self.process.returncode}: "
                         + text[-3000:])
        for secret in (SECRET, TOKEN):
            if secret in text:
                raise Failed("apid has logged a secret")


# --- what is known ------------------------------------------------------------

def listed():
    """The catalog's operations, as rookery call --list prints them."""
    text = subprocess.run([os.path.join(ASAN, "rookery"), "call", "--list"],
                          check=True, stdout=subprocess.PIPE,
                          encoding="utf-8").stdout
    return re.findall(r"(?m)^(\w+) +\w+ +(?:GET|POST|PUT|PATCH|DELETE) /",
                      text)


def words_of(give):
    return [f"{k}={v if isinstance(v, str) else json.dumps(v)}"
            for k, v in give.items()]


def check_wire(seen, method, query, body, callback):
    expect("method", seen["method"], method)
    expect("query", dict(urllib.parse.parse_qsl(
        seen["query"], keep_blank_values=True, strict_parsing=bool(
            seen["query"]))), query)
    h = seen["headers"]
    expect("Authorization", h.get("Authorization"), "QQBot " + TOKEN)
    expect("X-Union-Appid", h.get("X-Union-Appid"), APP)
    expect("X-Callback-AppID", h.get("X-Callback-AppID"),
           APP if callback else None)
    if body is None:
        expect("body", seen["body"], b"")
        return
    expect("Content-Type", h.get("Content-Type"), "application/json")
    got = json.loads(seen["body"])
    # 1 and true are the same to Python, and not to the platform.
    expect("body", json.dumps(got, sort_keys=True),
           json.dumps(body, sort_keys=True))


def one_operation(api, platform, row):
    name, give, method, path, query, body = row
    with platform.route(method, path):    # some share theirs
        if len(name) % 2:
            done = api.call(name, *words_of(give))
        else:
            done = api.call(name, "--json", stdin=json.dumps(give))
        seen = platform.take(path, method)
    expect("requests to " + path, len(seen), 1)
    check_wire(seen[0], method, query, body, name == "interaction_ack")
    answer = json.loads(done.stdout)
    if "data" in answer:
        answer = answer["data"]
    expect("what came back", answer["path"], path)


# --- what is refused ----------------------------------------------------------

REFUSED = [
    # words, exit status, what the complaint names
    (["members_mute", "guild_id=G1", "mute_seconds=1"], "user_ids"),
    (["member_get", "guild_id=G1"], "user_id"),
    (["member_get", "guild_id=G1", "user_id=U1", "who=x"], "who"),
    (["members_list", "guild_id=G1", "limit=401"], "limit"),
    (["members_list", "guild_id=G1", "limit=many"], "limit"),
    (["panel_list", "scope=all"], "scope"),
    (["join_strategy_create", "is_enable=on"], "group_openids, group_ids"),
    (["join_strategy_create", "group_ids=1", "group_openids=2"],
     "group_openids, group_ids"),
    (["member_role_add", "guild_id=G", "user_id=U", "role_id=5"],
     "channel.id"),
    (["guild_announce_create", "guild_id=G", "message_id=M"], "channel_id"),
    (["group_members_remove", "group_openid=G",
      "member_openids=" + ",".join(map(str, range(21)))], "member_openids"),
    (["schedule_create", "channel_id=C", 'schedule={"name":"t","colour":1}'],
     "schedule.colour"),
    (["c2c_message_send", "openid=U", "msg_type=0", "content=x", "msg_id=M",
      "event_id=E"], "msg_id, event_id"),
    (["send", "conv=x:1", "text=hi"], "conv"),
    (["send", "conv=u:1"], "text"),
    (["send", "conv=g:1", 'embed={"title":"t"}'], "embed"),
    (["send", "conv=u:1", "markdown=# x", 'keyboard={"content":{"rows":[]}}'],
     "keyboard"),
    (["typing", "conv=g:1", "msg=M1"], "conv"),
    (["token_get"], "token_get"),
    (["raw", "method=GET", "path=/x"], "ROOKERY_RAW_CALLS"),
    (["guild_get", "guild_id=.."], "id"),
]


def refusals(api, platform):
    for words, names in REFUSED:
        done = api.call(*words, status=64)
        if names not in done.stderr:
            raise Failed(f"{words}: does not name {names}: {done.stderr}")
    expect("requests sent", platform.count(), 0)


def refused_in_the_shell(api, platform):
    for words, names in ((["no_such_operation"], "no_such_operation"),
                         (["http_session_list"], "http_session_list"),
                         (["me_get", "novalue"], "KEY=VALUE"),
                         (["me_get", "a=1", "a=2"], "twice"),
                         (["menu_set", "menu={"], "JSON"), ([], "operation")):
        done = api.call(*words, status=64)
        if names not in done.stderr:
            raise Failed(f"{words}: does not name {names}: {done.stderr}")
    done = api.call("me_get", "--bot", "999", status=1)
    if "UNKNOWN_TARGET" not in done.stderr:
        raise Failed(done.stderr)
    expect("requests sent", platform.count(), 0)


def results_as_json(api, platform):
    done = api.call("me", "--json", "{}")
    doc = json.loads(done.stdout)
    expect("ok", doc["ok"], True)
    expect("data", doc["data"]["id"], "NEW1")
    expect("tries", doc["tries"], 1)
    doc = json.loads(api.call("member_get", "--json", '{"guild_id":"G"}',
                              status=64).stdout)
    expect("code", doc["code"], "BAD_ARG")
    platform.take("/users/@me")


def raw_calls(api, platform):
    done = api.call("raw", "method=PATCH", "path=/v9/new/thing?a=b%20c",
                    'body={"x":[1,null]}')
    seen = platform.take("/v9/new/thing", "PATCH")
    expect("requests", len(seen), 1)
    check_wire(seen[0], "PATCH", {"a": "b c"}, {"x": [1, None]}, False)
    expect("answer", json.loads(done.stdout)["path"], "/v9/new/thing")
    for path in ("x", "//example.org/x", "/a/../b", "/a b", "/a#b"):
        if "path" not in api.call("raw", "method=GET", "path=" + path,
                                  status=64).stderr:
            raise Failed(f"path {path} is not refused by name")
    expect("requests sent", platform.count(), 0)


def nobody_there(api, _platform):
    api.env = dict(api.env, ROOKERY_RUN_DIR=os.path.join(api.folder, "no"))
    done = api.call("me", status=3)
    if "apid" not in done.stderr:
        raise Failed(done.stderr)
    doc = json.loads(api.call("me", "--json", "{}", status=3).stdout)
    expect("code", doc["code"], "NO_API")


def over_tcp(platform):
    keys = tempfile.mkdtemp(prefix="rookery-keys.")
    try:
        subprocess.run([os.path.join(ASAN, "rookery"), "keys", keys],
                       check=True, stdout=subprocess.DEVNULL)
        port = free_port()
        api = Api(platform, ROOKERY_BUS_API=f"tcp://127.0.0.1:{port}",
                  ROOKERY_KEYS_DIR=os.path.join(keys, "api"))
        try:
            api.env["ROOKERY_KEYS_DIR"] = os.path.join(keys, "worker")
            expect("answer", json.loads(api.call("me").stdout)["id"], "NEW1")
            platform.take("/users/@me")
        finally:
            api.close()
    finally:
        shutil.rmtree(keys, ignore_errors=True)


def free_port():
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def help_of_all():
    for name in listed() + ["send", "reply", "raw", "stream"]:
        text = subprocess.run(
            [os.path.join(ASAN, "rookery"), "call", name, "--help"],
            check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout
        if f"rookery call {name}" not in text:
            raise Failed(text)


# --- the whole ----------------------------------------------------------------

class Count:
    passed = failed = 0

    def run(self, name, function, *args):
        try:
            function(*args)
        except (Failed, OSError, ValueError, KeyError,
                subprocess.SubprocessError) as e:
            self.failed += 1
            print(f"not ok {name}\n# {type(e).__name__}: {e}", flush=True)
            return False
        self.passed += 1
        print(f"ok {name}", flush=True)
        return True


def every_operation(count, platform, wanted):
    with open(os.path.join(HERE, "expected.json"), encoding="utf-8") as f:
        rows = {row[0]: row for row in json.load(f)}
    names = listed()
    picked = [n for n in names
              if not wanted or any(w in n for w in wanted)]
    api = Api(platform)
    try:
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            work = {n: pool.submit(one_operation, api, platform, rows[n])
                    for n in picked if n in rows}

            def result(name):
                if name not in work:
                    raise Failed("is not in expected.json")
                work[name].result()
            good = sum(count.run(n, result, n) for n in picked)
        print(f"operations tried {len(picked)}, passed {good}", flush=True)
        if wanted:
            return
        count.run("nothing else is expected", expect, "operations",
                  sorted(rows), sorted(names))
        count.run("refusals", refusals, api, platform)
        count.run("refused_in_the_shell", refused_in_the_shell, api, platform)
        count.run("results_as_json", results_as_json, api, platform)
        count.run("nobody_there", nobody_there, api, platform)
    finally:
        count.run("apid ends well", api.close)


def main():
    count = Count()
    platform = Platform()
    every_operation(count, platform, sys.argv[1:])
    if not sys.argv[1:]:
        count.run("help_of_all", help_of_all)
        count.run("over_tcp", over_tcp, platform)
        api = Api(platform, ROOKERY_RAW_CALLS="yes")
        count.run("raw_calls", raw_calls, api, platform)
        count.run("apid ends well again", api.close)
    platform.shutdown()
    print(f"# {count.passed} passed, {count.failed} failed")
    return 1 if count.failed else 0


if __name__ == "__main__":
    sys.exit(main())
