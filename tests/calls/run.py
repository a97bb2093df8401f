#!/usr/bin/env python3
# deadline: 240
"""Calls every operation of the catalog by `rookery call` and looks at the wire.

  run.py [NAME...]        operations, or parts of their names

apid runs alone against qqsim, which refuses what its own table does not know
and keeps what it was sent.  What must have been sent is in expected.json,
written by hand from the platform's routes: a third source beside the catalog
and the simulator's table.  What an operation needs is there before: the test
lays it into the simulator's world, tells it to the bot or makes it by calls;
so each operation must be carried out, and none may be refused.  Prints "ok NAME" or "not ok NAME",
how many operations were tried, passed and refused, and "# N passed, M failed".
"""
import concurrent.futures
import hashlib
import itertools
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

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, "tests", "cases"))
import rig as rigs          # noqa: E402
ASAN = os.path.join(TOP, "build", "asan")
APP = "102000001"
WAIT_S = 20


class Failed(Exception):
    pass


class Refused(Failed):
    """By the platform, though the wire was as expected."""


def expect(what, got, wanted):
    if got != wanted:
        raise Failed(f"{what}: {got!r}, not {wanted!r}")


# --- the platform -------------------------------------------------------------

GUILD, CHANNEL, FORUM = "4700000000000000001", "1600001", "1600003"
USER, DM = "0A1B2C3D4E5F60718293A4B5C6D7E8F1", "1870000000000000001"
GROUP = "3D4E5F60718293A4B5C6D7E8F10A1B2C"
# What expected.json speaks of and the simulator's world has not by itself:
# kind, parent, id, object.
WORLD = [
    ("channel", GUILD, "1600099", {"id": "1600099", "guild_id": GUILD}),
    ("member", GUILD, "1440000000000000009", {"nick": "n"}),
    ("role", GUILD, "9", {"id": "9"}), ("role", GUILD, "8", {"id": "8"}),
    ("role", GUILD, "5", {"id": "5"}), ("role", GUILD, "2", {"id": "2"}),
    ("group_member", GROUP, "MM", {"member_openid": "MM"}),
    ("group_member", GROUP, "M1", {"member_openid": "M1"}),
    ("join_request", GROUP, "MM", {"join_request_id": "J1"}),
    ("strategy", "", "S1", {"strategy_id": "S1"}),
    ("strategy", "", "S2", {"strategy_id": "S2"}),
    ("panel", "", "P1", {"panel_id": "P1", "target_type": "specific"}),
    ("panel", "", "P2", {"panel_id": "P2", "target_type": "specific"}),
    ("schedule", CHANNEL, "S1", {"id": "S1"}),
    ("schedule", CHANNEL, "S2", {"id": "S2"}),
    ("thread", FORUM, "T2", {"thread_info": {"thread_id": "T2"}}),
    ("announce", CHANNEL, "M1", {"message_id": "M1"}),
]
# What the bot was told, for the operations that answer it: type, the event's
# id, d.
TOLD = [
    ("C2C_MESSAGE_CREATE", "EV0",
     {"id": "ROBOT1.0_a", "author": {"user_openid": USER}}),
    ("GROUP_ADD_ROBOT", "EV1", {"group_openid": GROUP}),
    ("INTERACTION_CREATE", "EV2", {"id": "I1", "group_openid": GROUP}),
    ("MESSAGE_REACTION_ADD", "E1", {"channel_id": CHANNEL}),
    ("DIRECT_MESSAGE_CREATE", "EV3", {"id": "D1", "guild_id": DM}),
]
# What is done before, and of the answer the member that ${NAME} stands for in
# expected.json; None: none.
CHANNEL_MESSAGE = ("channel_message_send", "channel_id=" + CHANNEL,
                   "content=x", 'keyboard={"id":"K1"}')
DM_MESSAGE = ("dm_message_send", "guild_id=" + DM, "content=x")
DONE = [
    ("c2c_message", "id", ("c2c_message_send", "openid=" + USER,
                           "msg_type=0", "content=x")),
    ("group_message", "id", ("group_message_send", "group_openid=" + GROUP,
                             "msg_type=0", "content=x")),
    ("group_file", "file_info", ("group_file_upload", "file_type=1",
                                 "group_openid=" + GROUP, "file_data=AAAA")),
    ("channel_message", "id", CHANNEL_MESSAGE),
    ("channel_recalled", "id", CHANNEL_MESSAGE),
    ("dm_message", "id", DM_MESSAGE), ("dm_recalled", "id", DM_MESSAGE),
    ("reaction", None, ("reaction_add", "channel_id=" + CHANNEL,
                        "message_id=M1", "type=1", "id=4")),
]
# Files whose one part lies in storage: scope, whose, the file, the index of
# the first part.  ${SCOPE_upload} waits for the part to be finished,
# ${SCOPE_uploaded} to be completed.
UPLOADS = [("c2c", "openid=" + USER, b"twelve bytes", 0),
           ("group", "group_openid=" + GROUP, b"7" * 77, 1)]
RECALLED = ("c2c_message", "group_message", "channel_recalled", "dm_recalled")


class Platform:
    """qqsim, which judges each request by its own table, and has kept it."""
    def __init__(self):
        self.rig = rigs.Rig(ASAN)
        self.rig.start_sim()
        self.lock, self.routes = threading.Lock(), {}
        self.taken = set()
        for kind, parent, name, thing in WORLD:
            self.rig.tell("POST", "world", {"kind": kind, "parent": parent,
                                            "id": name, "object": thing})
        for kind, name, d in TOLD:
            self.rig.tell("POST", "event", {"t": kind, "id": name, "d": d})

    def all(self):
        with self.lock:
            return [r for r in self.rig.tell("GET", "requests")["requests"]
                    if r["serial"] not in self.taken
                    and r["op"] != "token_get"]

    def take(self, path, method="GET"):
        """What came to this route, taken out; path as qqsim has it."""
        found = [r for r in self.all()
                 if (r["path"], r["method"]) == (path, method)]
        with self.lock:
            self.taken |= {r["serial"] for r in found}
        return found

    def put(self, url, data):
        """One part, into storage."""
        at = urllib.parse.urlsplit(url)
        link = self.rig.connection(WAIT_S)
        try:
            link.request("PUT", at.path + "?" + at.query, data)
            expect("storage's answer", link.getresponse().status, 200)
        finally:
            link.close()

    def route(self, method, path):
        with self.lock:
            return self.routes.setdefault((method, path), threading.Lock())

    def forget(self):
        """What came till now was no test."""
        with self.lock:
            self.taken |= {r["serial"] for r in self.rig.tell(
                "GET", "requests")["requests"]}

    def count(self):
        return len(self.all())

    def operations(self):
        return {o["op"]: o for o in
                self.rig.tell("GET", "operations")["operations"]}

    def close(self):
        self.rig.stop_sim()
        shutil.rmtree(self.rig.dir, ignore_errors=True)


# --- our side -----------------------------------------------------------------

class Api:
    """One apid, in a folder of its own."""

    def __init__(self, platform, **settings):
        self.folder = tempfile.mkdtemp(prefix="rookery-calls.")
        self.rig = platform.rig
        self.env = self.rig.environment(self.rig.sim_env, {
            "ROOKERY_CA_FILE": self.rig.settings["ROOKERY_CA_FILE"],
            "ROOKERY_LIMITS": "0", "ROOKERY_HEALTH_S": "0",
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

    def run(self, *words, stdin=""):
        return subprocess.run(
            [os.path.join(ASAN, "rookery"), "call", *words], env=self.env,
            cwd=self.folder, timeout=WAIT_S, check=False, input=stdin,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            encoding="utf-8")

    def call(self, *words, status=0):
        done = self.run(*words)
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
        self.rig.learn_tokens()
        for secret in self.rig.secrets:
            if secret in text:
                raise Failed("apid has logged a secret")


# --- what must be there before -------------------------------------------------

def upload(api, platform, scope, whose, data, index):
    """One upload with its part put: its id."""
    sums = [f"{name}={getattr(hashlib, kind)(data).hexdigest()}"
            for name, kind in (("md5", "md5"), ("sha1", "sha1"),
                               ("md5_10m", "md5"))]
    platform.rig.tell("POST", "bot", {"index_base": index})
    done = json.loads(api.call(
        scope + "_upload_prepare", whose, "file_type=2", "file_name=a.mp4",
        f"file_size={len(data)}", *sums).stdout)
    expect("parts", [p["index"] for p in done["parts"]], [index])
    platform.put(done["parts"][0]["presigned_url"], data)
    return done["upload_id"]


def prepare(api, platform, made):
    """made: {name: what expected.json has as ${name}}"""
    for name, member, words in DONE:
        said = api.call(*words).stdout
        if member is not None:
            made[name] = json.loads(said)[member]
    for scope, whose, data, index in UPLOADS:
        made[scope + "_upload"] = upload(api, platform, scope, whose, data,
                                         index)
        made[scope + "_uploaded"] = name = upload(
            api, platform, scope, whose, data, index)
        api.call(scope + "_upload_part_finish", whose, "upload_id=" + name,
                 f"part_index={index}", f"block_size={len(data)}",
                 "md5=" + hashlib.md5(data).hexdigest())
    platform.forget()


def filled(value, made):
    """With what was made in the place of its name."""
    if isinstance(value, dict):
        return {k: filled(v, made) for k, v in value.items()}
    if isinstance(value, list):
        return [filled(v, made) for v in value]
    if isinstance(value, str):
        return re.sub(r"\$\{(\w+)\}", lambda m: made[m[1]], value)
    return value


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
    # qqsim shows it decoded, and has refused what was not encoded.
    if seen["query"] not in ["&".join(f"{k}={v}" for k, v in order)
                             for order in itertools.permutations(
                                 query.items())]:
        raise Failed(f"query: {seen['query']!r}, not {query!r}")
    h = seen["headers"]
    # The token itself is judged by qqsim, which does not show it.
    expect("Authorization", h.get("authorization"), "QQBot")
    expect("X-Union-Appid", h.get("x-union-appid"), APP)
    expect("X-Callback-AppID", h.get("x-callback-appid"),
           APP if callback else None)
    if body is None:
        expect("body's length", seen["bytes"], 0)
        return
    expect("Content-Type", h.get("content-type"), "application/json")
    # 1 and true are the same to Python, and not to the platform.
    expect("body", json.dumps(seen["body"], sort_keys=True),
           json.dumps(body, sort_keys=True))


def one_operation(api, platform, row):
    name, give, method, path, query, body = row
    path = urllib.parse.unquote(path)
    words = words_of(give) if len(name) % 2 else ["--json"]
    with platform.route(method, path):    # some share theirs
        done = api.run(name, *words, stdin=json.dumps(give))
        seen = platform.take(path, method)
    expect("requests to " + path, len(seen), 1)
    check_wire(seen[0], method, query, body, name == "interaction_ack")
    if not 200 <= seen[0]["status"] < 300:
        raise Refused(f"{seen[0]['status']}: {done.stdout}{done.stderr}")
    if done.returncode != 0:
        raise Failed(f"{done.returncode}: {done.stdout}{done.stderr}")


def what_became(platform, made):
    """Of what was there before, on the other side."""
    tell = platform.rig.tell
    expect("recalled", {m["id"] for m in tell("GET", "messages")["messages"]
                        if m["recalled"]}, {made[n] for n in RECALLED})
    expect("edited", [m["text"] for m in tell("GET", "messages")["messages"]
                      if m["id"] == made["channel_message"]], ["new"])
    expect("reactions", [r["object"]["users"] for r in tell(
        "GET", "world?kind=reaction")["objects"] if "/1/4/" in r["id"]],
           [[]])
    report = tell("GET", "report")
    expect("interactions", report["counters"]["interactions"], 1)
    expect("violations", report["violations"], {})


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
    (["schedule_update", "channel_id=C", "schedule_id=S",
      'schedule={"name":"t"}'], "schedule.start_timestamp"),
    (["schedule_update", "channel_id=C", "schedule_id=S",
      'schedule={"name":"t","start_timestamp":"4764547200000",'
      '"end_timestamp":"4764550800000"}'], "schedule.remind_type"),
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
    expect("data", doc["data"]["bot"], True)
    expect("tries", doc["tries"], 1)
    doc = json.loads(api.call("member_get", "--json", '{"guild_id":"G"}',
                              status=64).stdout)
    expect("code", doc["code"], "BAD_ARG")
    platform.take("/users/@me")


def raw_calls(api, platform):
    api.call("raw", "method=PUT", "path=/v2/menu",
             'body={"menu":{"items":[]}}')
    seen = platform.take("/v2/menu", "PUT")
    expect("requests", len(seen), 1)
    check_wire(seen[0], "PUT", {}, {"menu": {"items": []}}, False)
    api.call("raw", "method=GET", "path=/users/@me/guilds?limit=1")
    seen = platform.take("/users/@me/guilds")
    check_wire(seen[0], "GET", {"limit": "1"}, None, False)
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
            expect("answer", json.loads(api.call("me").stdout)["bot"], True)
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
    made, refused = {}, []
    try:
        if not count.run("what must be there before", prepare, api, platform,
                         made):
            return
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            work = {n: pool.submit(one_operation, api, platform,
                                   filled(rows[n], made))
                    for n in picked if n in rows}

            def result(name):
                if name not in work:
                    raise Failed("is not in expected.json")
                try:
                    work[name].result()
                except Refused:
                    refused.append(name)
                    raise
            good = sum(count.run(n, result, n) for n in picked)
        print(f"operations tried {len(picked)}, passed {good}, refused "
              f"{len(refused)}", flush=True)
        if wanted:
            return
        count.run("what became of it", what_became, platform, made)
        count.run("qqsim knows no other", all_are_asked, platform)
        count.run("nothing else is expected", expect, "operations",
                  sorted(rows), sorted(names))
        count.run("refusals", refusals, api, platform)
        count.run("refused_in_the_shell", refused_in_the_shell, api, platform)
        count.run("results_as_json", results_as_json, api, platform)
        count.run("nobody_there", nobody_there, api, platform)
    finally:
        count.run("apid ends well", api.close)


def all_are_asked(platform):
    """Each operation of the simulator's table was asked for by ours."""
    expect("not asked for", [o for o, row in platform.operations().items()
                             if row["asked"] == 0], [])


def main():
    rigs.become_subreaper()
    count = Count()
    platform = Platform()
    every_operation(count, platform, sys.argv[1:])
    if not sys.argv[1:]:
        count.run("help_of_all", help_of_all)
        count.run("over_tcp", over_tcp, platform)
        api = Api(platform, ROOKERY_RAW_CALLS="yes")
        count.run("raw_calls", raw_calls, api, platform)
        count.run("apid ends well again", api.close)
    count.run("qqsim ends well", platform.close)
    print(f"# {count.passed} passed, {count.failed} failed")
    return 1 if count.failed else 0


if __name__ == "__main__":
    sys.exit(main())
