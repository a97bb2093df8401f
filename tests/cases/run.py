#!/usr/bin/env python3
# deadline: 900
"""Runs stories: tests/cases/NAME.case, each against the real programs.

  run.py [--jobs N] [--programs FOLDER] [--keep] [NAME...]
  run.py --steps

Without a name all of them; a name may be a part of one.  The programs are
those of build/asan.  Prints "ok NAME" or "not ok NAME" and what went wrong,
and at the end "# N passed, M failed".  --keep leaves the folders of failed
cases.  --steps prints what a story can say.
"""
import argparse
import concurrent.futures
import http.client
import itertools
import json
import os
import re
import resource
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import ed25519            # noqa: E402
import rig as rigs        # noqa: E402
from rig import Failed, TOP, WAIT_S, until    # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
CASE_S = 90
LOG_LINES = 60
STEPS = {}       # name: (arguments, meaning, function)
IDS = {"c2c": "user", "group": "group", "channel": "channel", "dm": "guild"}


def step(name, arguments, meaning):
    def enter(function):
        assert name not in STEPS, name
        STEPS[name] = (arguments, meaning, function)
        return function
    return enter


def value_of(text):
    """A word as JSON: a number, true, false, an object; else a text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def pairs(words):
    """NAME=VALUE words as a dict of texts."""
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise Failed(f"not NAME=VALUE: {word}")
        found[name] = value
    return found


def seconds(found):
    """Takes within=SECONDS out."""
    return float(found.pop("within", WAIT_S))


# --- the system ---------------------------------------------------------------

@step("set", "NAME=VALUE...",
      "Settings for what is started from now on; NAME= empties one.")
def do_set(rig, *words):
    for name, value in pairs(words).items():
        rig.settings[name] = value
        if name.endswith("SECRET") and len(value) > 7:
            rig.secrets.add(value)


@step("unset", "NAME...", "The settings are those of the simulator, or the defaults.")
def do_unset(rig, *names):
    for name in names:
        rig.settings.pop(name, None)


@step("file", "PATH TEXT", "Writes a file in the folder of the case; \\n begins a line.")
def do_file(rig, path, text):
    os.makedirs(os.path.dirname(rig.path(path)), exist_ok=True)
    with open(rig.path(path), "w", encoding="utf-8") as f:
        f.write(text.replace("\\n", "\n") + "\n")


@step("remove", "PATH", "Removes a file in the folder of the case.")
def do_remove(rig, path):
    os.remove(rig.path(path))


@step("sh", "COMMAND...", "Runs a command, which must end with status 0.")
def do_sh(rig, *words):
    done = subprocess.run(words, cwd=rig.dir, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)
    rig.said = done.stdout + done.stderr
    if done.returncode != 0:
        raise Failed(f"status {done.returncode}: {rig.said}")


@step("serve", "COMMAND...",
      "Starts a program that says last in its first line on which port it "
      "listens: $SERVED; it ends with the case.")
def do_serve(rig, *words):
    rig.server = subprocess.Popen(
        words, cwd=rig.dir, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True)
    rig.served = rig.server.stdout.readline().split()[-1]


@step("repeat", "TIMES STEP...", "Does a step so often; $N counts from 1.")
def do_repeat(rig, times, name, *words):
    for n in range(1, int(times) + 1):
        STEPS[name][2](rig, *[w.replace("$N", str(n)) for w in words])


@step("bot", "[APP_ID] [file=NAME] [NAME=VALUE...]",
      "Changes the simulator's bot, or adds one; file= also writes its "
      "bots/NAME.env for us, with the settings whose names are in capitals.")
def do_bot(rig, *words):
    rig.start_sim()
    body = {}
    if words and "=" not in words[0]:
        body["bot"], words = words[0], words[1:]
    found = pairs(words)
    name = found.pop("file", None)
    ours = {k: found.pop(k) for k in list(found) if k.isupper()}
    body.update({k: value_of(v) if k != "secret" else v
                 for k, v in found.items()})
    answer = rig.tell("POST", "bot", body)
    bot = body.get("bot", rig.sim_env["QQ_APP_ID"])
    secret = body.get("secret") or answer.get("secret")
    if secret:
        rig.bots[bot] = secret
        rig.secrets.add(secret)
    if name:
        # The addresses are a bot's own: without them it would go to the
        # real platform.
        do_file(rig, f"bots/{name}.env", "\n".join(
            [f"QQ_APP_ID={bot}", f"QQ_CLIENT_SECRET={rig.bots[bot]}"]
            + [f"{k}={v}" for k, v in rig.sim_env.items() if "_URL" in k]
            + [f"{k}={v}" for k, v in ours.items()]))


@step("start", "", "Starts rookeryd; it can be asked how it is.")
def do_start(rig):
    rig.start()


@step("launch", "", "Starts rookeryd and waits for its first child only.")
def do_launch(rig):
    rig.launch()
    until("rookeryd starts something", lambda: len(rig.others()) > 1)


@step("refuse", "STATUS", "Starts rookeryd, which must end with this status.")
def do_refuse(rig, status):
    rig.launch()
    rig.await_end(int(status))


@step("second", "STATUS",
      "Starts another rookeryd beside the first, which must end so.")
def do_second(rig, status):
    other = rig.spawn("rookeryd", rig.environment(rig.sim_env, rig.settings),
                      rig.path("log"))
    try:
        got = other.wait(WAIT_S)
    except subprocess.TimeoutExpired:
        other.kill()
        other.wait()
        raise Failed("the second rookeryd runs") from None
    if got != int(status):
        raise Failed(f"the second rookeryd ended with status {got}")


@step("stop", "[within=SECONDS]",
      "SIGTERM: it ends with status 0, and all its processes with it.")
def do_stop(rig, *words):
    rig.stop(float(pairs(words).get("within", rigs.STOP_S)))


@step("ended", "STATUS [within=SECONDS]", "It ends by itself, with this status.")
def do_ended(rig, status, *words):
    rig.await_end(int(status), within=seconds(pairs(words)))


@step("platform", "off-or-on", "Stops the simulator, or starts it on its port.")
def do_platform(rig, word):
    if word == "off":
        rig.stop_sim()
    else:
        rig.start_sim()


@step("kill", "NAME [SIGNAL]",
      "Signals a child, rookeryd or sim; with KILL (the default) it is gone "
      "when the next step begins.")
def do_kill(rig, name, word="KILL"):
    rig.deaths_expected = True
    pid = rig.pid(name)
    os.kill(pid, getattr(signal, "SIG" + word))
    if word == "KILL":
        until(f"{name} is gone", lambda: not alive(rig, pid))


@step("killchildren", "NAME", "Kills -9 every process that it has started.")
def do_killchildren(rig, name):
    pid = rig.pid(name)
    children = set(rigs.family(pid)) - {pid}
    if not children:
        raise Failed(f"{name} has started nothing")
    for child in children:
        os.kill(child, signal.SIGKILL)


def alive(rig, pid):
    if rig.system is not None:
        rig.system.poll()
    rigs.reap([p.pid for p in (rig.sim, rig.system) if p is not None])
    return pid in rigs.family(os.getpid())


@step("limit", "NAME BYTES",
      "No file it writes may grow beyond this any more, as on a full disk; "
      "0: no limit.")
def do_limit(rig, name, most):
    pid = rig.pid(name)
    hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(pid, resource.RLIMIT_FSIZE,
                     (int(most) if int(most) else hard, hard))


@step("clock", "SECONDS",
      "Our wall clock, but not the simulator's, is set so far from the true "
      "time; the first time before the simulator is started.")
def do_clock(rig, seconds):
    if not os.path.exists(rig.path("clock")):
        rig.bend_clock()
    rig.set_clock(int(seconds))


@step("names", "NAME ADDRESS...",
      "Ours, but not the simulator, find these addresses under this name, in "
      "this order; before the simulator is started, and not with clock.")
def do_names(rig, *words):
    rig.bend_names(" ".join(words))


@step("deaths", "", "A child may end or be parked in this story.")
def do_deaths(rig):
    rig.deaths_expected = True


@step("note", "NAME...", "Remembers which process it is.")
def do_note(rig, *names):
    for name in names:
        rig.noted[name] = rig.pid(name)


@step("same", "NAME...", "It is still the process that was noted.")
def do_same(rig, *names):
    for name in names:
        if rig.pid(name) != rig.noted[name]:
            raise Failed(f"{name} is another process now")


@step("other", "NAME...", "It is another process than the one noted.")
def do_other(rig, *names):
    for name in names:
        until(f"{name} is another process",
              lambda n=name: rig.pid(n) != rig.noted[n])


@step("descriptors", "NAME [most=N]",
      "Remembers how many it has open; from the second time on, waits until "
      "it has at most N (8) more than that.")
def do_descriptors(rig, name, *words):
    folder = f"/proc/{rig.pid(name)}/fd"
    key = "descriptors of " + name
    if key not in rig.noted:
        rig.noted[key] = len(os.listdir(folder))
        return
    most = rig.noted[key] + int(pairs(words).get("most", 8))
    until(f"{name} has at most {most} descriptors, and not "
          f"{len(os.listdir(folder))}", lambda: len(os.listdir(folder)) <= most)


@step("rookery", "STATUS ARGUMENTS...",
      "Runs rookery(1), which must end with this status.")
def do_rookery(rig, status, *argv):
    if argv and argv[0] in ("restart", "drain", "scale", "stop", "reload"):
        rig.deaths_expected = True
    got, said = rig.rookery(*argv)
    if got != int(status):
        raise Failed(f"rookery ended with status {got}:\n{said}")


@step("says", "PATTERN...",
      "The last rookery command, or sh, said all these.")
def do_says(rig, *patterns):
    for p in patterns:
        if not re.search(p, rig.said):
            raise Failed(f"it did not say {p}, but:\n{rig.said}")


TESTS = {"=": lambda a, b: str(a) == b, "~": lambda a, b: re.search(b, str(a)),
         ">": lambda a, b: float(a) > float(b),
         "<": lambda a, b: float(a) < float(b)}


@step("status", "NAME FIELD[=~<>]VALUE... [within=SECONDS]",
      "Waits until `rookery status --json` shows it of this child (or "
      "rookeryd: the whole); fields inside others by dots; ~ is a pattern.")
def do_status(rig, name, *words):
    within = WAIT_S
    tests = []
    for word in words:
        field, how, want = re.match(r"([\w.]+)([=~<>])(.*)", word,
                                    re.S).groups()
        if field == "within":
            within = float(want)
        else:
            tests.append((field.split("."), how, want))
    seen = {}

    def shown():
        for path, how, want in tests:
            at = rig.child(name)
            for part in path:
                if isinstance(at, list):
                    at = at[int(part)] if int(part) < len(at) else None
                else:
                    at = at.get(part) if at else None
            seen[".".join(path)] = at
            if at is None or not TESTS[how](spelled(at), want):
                return False
        return True
    try:
        until("", shown, within)
    except Failed:
        raise Failed(f"not within {within:g} s: {name} shows {seen}") from None


def spelled(value):
    return {True: "true", False: "false"}.get(value, value) \
        if isinstance(value, bool) else value


@step("log", "PATTERN [within=SECONDS]", "Waits for a line in the log.")
def do_log(rig, pattern, *words):
    until(f"{pattern} in the log",
          lambda: re.search(pattern, rig.log()), seconds(pairs(words)))


@step("nolog", "PATTERN", "No line of the log so far is like this.")
def do_nolog(rig, pattern):
    if found := re.search(pattern, rig.log()):
        raise Failed(f"the log has: {found[0]}")


@step("secrets", "",
      "No secret and no token so far, among them the present ones, is in a "
      "file, log, command line or environment of what runs.")
def do_secrets(rig):
    rig.look_for_secrets_in_processes()
    rig.look_for_secrets_in_files()


@step("refuser", "", "Starts a worker that fails with every event.")
def do_refuser(rig):
    rig.start_refuser()


# --- the platform -------------------------------------------------------------

@step("fault", "NAME [NAME=VALUE...]",
      "Arms a fault of qqsim(1), or lets it strike at once.")
def do_fault(rig, name, *words):
    body = {"fault": name}
    body.update({k: value_of(v) if k != "text" else v
                 for k, v in pairs(words).items()})
    if name == "token_revoke":
        rig.learn_tokens()
    rig.tell("POST", "fault", body)


@step("faults", "NAME[,NAME=VALUE]... ...",
      "Several at the same instant; commas join what belongs to one.")
def do_faults(rig, *words):
    body = []
    for word in words:
        name, *more = word.split(",")
        body.append({"fault": name, **{k: value_of(v) for k, v in
                                       pairs(more).items()}})
    rig.tell("POST", "fault", body)


@step("clear", "", "No fault is armed any more; stalls end.")
def do_clear(rig):
    rig.tell("DELETE", "fault")


@step("between", "PATH TEXT [times=N] [how=open] [fill=N] [performed=yes]",
      "Somebody between us and the platform, at port $BETWEEN: requests for "
      "what begins with PATH are answered by these bytes (\\r and \\n are "
      "understood, and AUTHORIZATION is that of the request) and fill more, "
      "N (1) times; then the connection is closed, "
      "or left open. performed: the platform hears of them. All else passes.")
def do_between(rig, path, text, *words):
    found = pairs(words)
    rig.start_sim()
    rig.stand_between().rules.append(
        [path, text.encode().decode("unicode_escape").encode("latin-1"),
         int(found.get("times", 1)), found])


@step("struck", "[within=SECONDS]",
      "Waits until all that `between` was to answer has been.")
def do_struck(rig, *words):
    until("all answered between", lambda: rig.between.left() == 0,
          seconds(pairs(words)))


@step("say", "SCOPE WHO TEXT [NAME=VALUE...]",
      "Somebody says something: a user (c2c), in a group or channel, or in a "
      "direct conversation (dm).")
def do_say(rig, scope, who, text, *words):
    body = {"scope": scope, IDS[scope]: who, "text": text}
    body.update({k: value_of(v) if k in ("count", "expect") else v
                 for k, v in pairs(words).items()})
    rig.tell("POST", "event", body)


@step("event", "TYPE D [id=ID] [expect=N] [big=N]",
      "Any event; D is a JSON object, or a file of tests/fixtures by name "
      "whose d is taken; with so many bytes of content.")
def do_event(rig, kind, d, *words):
    if d.startswith("{") or d == "null":
        data = json.loads(d)
    else:
        with open(os.path.join(TOP, "tests", "fixtures", d + ".json"),
                  encoding="utf-8") as f:
            data = json.load(f)["d"]
    found = pairs(words)
    if "big" in found:
        data["content"] = "x" * int(found.pop("big"))
    body = {"t": kind, "d": data}
    body.update({k: value_of(v) if k == "expect" else v
                 for k, v in found.items()})
    rig.tell("POST", "event", body)


@step("make", "TYPE [WORD=VALUE...] [with=D]",
      "An event of any kind, filled as the platform fills it: scope, user, "
      "group, channel, odd and the other words of POST /sim/event in qqsim(1); "
      "with= is a JSON object put over it.")
def do_make(rig, kind, *words):
    body = {"t": kind}
    body.update({k: json.loads(v) if k == "with" else
                 value_of(v) if k in ("count", "expect", "emoji_type") else v
                 for k, v in pairs(words).items()})
    rig.tell("POST", "event", body)


@step("raw", "TEXT", "A frame to every live session, as it is.")
def do_raw(rig, text):
    if rig.tell("POST", "event", {"raw": text})["sockets"] == 0:
        raise Failed("no session got it")


@step("load", "NAME=VALUE...", "Starts a load: see POST /sim/load in qqsim(1).")
def do_load(rig, *words):
    rig.tell("POST", "load", {k: value_of(v) if k not in ("text", "scope")
                              else v for k, v in pairs(words).items()})


@step("wait", "[idle] [COUNTER=[!]N...] [SCOPE.TOTAL=N...] [within=SECONDS]",
      "Waits until the ledger has at least N, or exactly (!N); idle: nothing "
      "is unanswered or under way.")
def do_wait(rig, *words):
    found = pairs([w if w != "idle" else "idle=1" for w in words])
    within = seconds(found)
    scoped = {k: found.pop(k) for k in list(found) if "." in k}
    if "token_requests" in found:
        exact, n = re.match(r"(!?)(\d+)", found["token_requests"]).groups()
        found["token_requests"] = f"{exact}{int(n) + rig.asked_tokens}"
    if found:
        rig.wait([f"{k}={v}" for k, v in found.items()], within)
    for name, n in scoped.items():
        scope, total = name.split(".")
        until(f"{name}={n}", lambda s=scope, t=total, n=n:
              rig.report()["scopes"][s][t] >= int(n), within)


@step("expect", "NAME[=<>]N...",
      "What the ledger has now: a total, a counter, SCOPE.total, a "
      "violation, or violations, all of them.")
def do_expect(rig, *words):
    report = rig.report()
    known = {**report["total"], **report["counters"], **report["violations"],
             "violations": sum(report["violations"].values())}
    for scope, totals in report["scopes"].items():
        known.update({f"{scope}.{k}": v for k, v in totals.items()})
    known["token_requests"] -= rig.asked_tokens
    for word in words:
        name, how, want = re.match(r"([\w.]+)([=<>])(\d+)$", word).groups()
        if not TESTS[how](known.get(name, 0), want):
            raise Failed(f"{name} is {known.get(name, 0)}, not {how} {want}")


@step("allow", "NAME...",
      "Violations (or doubled) that belong to the story: any other in the "
      "ledger is a failure at its end.")
def do_allow(rig, *names):
    rig.allowed.update(names)


@step("reply", "CONVERSATION TEXT...",
      "What the bot said there, all of it, in this order; u:ID g:ID c:ID d:ID; "
      "\\n begins a line.")
def do_reply(rig, conversation, *texts):
    texts = [t.replace("\\n", "\n") for t in texts]
    said = [m["text"] for m in rig.tell(
        "GET", f"messages?conversation={conversation}")["messages"]]
    if said != list(texts):
        raise Failed(f"the bot said {said}")


# --- the webhook --------------------------------------------------------------

@step("webhook", "[BOT] [NAME=VALUE...]",
      "The simulator calls back to our listener: see POST /sim/webhook.")
def do_webhook(rig, *words):
    body = {"url": f"http://127.0.0.1:{rig.webhook_port()}/qq"}
    if words and "=" not in words[0]:
        body["bot"], words = words[0], words[1:]
    body.update({k: value_of(v) for k, v in pairs(words).items()})
    answer = rig.tell("POST", "webhook", body)
    if body.get("validate") and not answer["valid"]:
        raise Failed(f"the address was not validated: {answer}")


NUMBERS = itertools.count(1)


def callback_body(o):
    if "body" in o:
        return o["body"].encode()
    if "op13" in o:
        d = {"plain_token": value_of(o["op13"]),
             "event_ts": o.get("event_ts", str(int(time.time())))}
        return json.dumps({"op": 13, "d": d}).encode()
    n = o.get("id") or next(NUMBERS)
    return json.dumps({
        "op": 0, "s": next(NUMBERS), "id": o.get("id", f"FRIEND_ADD:case{n}"),
        "t": o.get("t", "FRIEND_ADD"),
        "d": {"openid": f"OPENID{n}", "timestamp": int(time.time())}}).encode()


def callback_headers(rig, o, body):
    app = o.get("appid", rig.sim_env["QQ_APP_ID"])
    ts = str(int(time.time()) + int(o.get("ts", 0)))
    head = [("Host", "localhost"), ("Content-Type", "application/json")]
    how = o.get("sign", "yes")
    if app != "none":
        head.append(("X-Bot-Appid", app))
    if how == "no":
        return head
    by = rig.bots[how if how.isdigit() else rig.sim_env["QQ_APP_ID"]]
    signature = o.get("signature") or "0" * 128
    if how != "zeros" and "signature" not in o:
        signature = ed25519.bot_sign(by, ts.encode() + body)
    if how == "tampered":
        signature = ("1" if signature[0] == "0" else "0") + signature[1:]
    if how == "late":      # signed for one time, sent with another
        ts = str(int(ts) + 1)
    return head + [("X-Signature-Timestamp", ts),
                   ("X-Signature-Ed25519", signature)]


def chunks_of(body, size):
    return b"".join(b"%x\r\n%s\r\n" % (len(body[i:i + size]), body[i:i + size])
                    for i in range(0, len(body), size)) + b"0\r\n\r\n"


def request_bytes(o, head, body):
    how = o.get("how", "whole")
    if how == "chunked":
        head = head + [("Transfer-Encoding", "chunked")]
        body = chunks_of(body, int(o.get("size", 7)))
    else:
        head = head + [("Content-Length", o.get("length", str(len(body))))]
    if how == "asks":
        head = head + [("Expect", "100-Continue")]
    if "head" in o:
        head = head + [tuple(o["head"].split(": ", 1))]
    name = getattr(str, o.get("names", "title"))
    path = o.get("path", "/qq")
    text = (f"{o.get('method', 'POST')} {path} HTTP/{o.get('http', '1.1')}\r\n"
            + "".join(f"{name(k)}: {v}\r\n" for k, v in head))
    return text.encode() + b"\r\n" + body


def exchange(s, data, how):
    """Sends a request and reads its answer: (status, body)."""
    pieces = [data]
    if how == "pipelined":    # both in one packet; the first is answered
        pieces = [data + data]
    if how == "split":        # each piece its own segment
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pieces = [data[i:i + 11] for i in range(0, len(data), 11)]
    if how == "asks":         # may the body be sent?
        end = data.index(b"\r\n\r\n") + 4
        s.sendall(data[:end])
        if not s.recv(4096).startswith(b"HTTP/1.1 100 "):
            raise Failed("it was not told to go on")
        pieces = [data[end:]]
    for piece in pieces:
        s.sendall(piece)
    answer = http.client.HTTPResponse(s, method="POST")
    answer.begin()
    return answer.status, answer.read()


@step("callback", "STATUS [NAME=VALUE...]",
      "Posts to our listener by hand and expects this status. body= or "
      "op13=TOKEN or t= and id= for an event; appid=, none; sign=yes, no, "
      "tampered, zeros, late or the app id whose key; ts= seconds from now; "
      "how=whole, split, chunked, pipelined, asks (and waits for 100 "
      "Continue); size= of a chunk; length= claimed; big=N bytes; path=; "
      "head=\"Name: value\" one more; names=title, lower, upper; http=1.1; "
      "times=N; answer=PATTERN.")
def do_callback(rig, status, *words):
    o = pairs(words)
    at = "127.0.0.1", rig.webhook_port()
    for _ in range(int(o.get("times", 1))):
        body = callback_body(o)
        if "big" in o:
            body += b" " * (int(o["big"]) - len(body))
        data = request_bytes(o, callback_headers(rig, o, body), body)
        with socket.create_connection(at, timeout=WAIT_S) as s:
            got, said = exchange(s, data, o.get("how"))
        if got != int(status):
            raise Failed(f"answered with status {got}: {said!r}")
        check_answer(rig, o, body, got, said.decode())


def check_answer(rig, o, body, status, said):
    if "answer" in o and not re.search(o["answer"], said):
        raise Failed(f"answered with {said!r}")
    if "op13" not in o or status != 200:
        return
    d, answer = json.loads(body)["d"], json.loads(said)
    app = o.get("appid", rig.sim_env["QQ_APP_ID"])
    want = ed25519.bot_sign(
        rig.bots[app], (d["event_ts"] + d["plain_token"]).encode())
    if answer != {"plain_token": d["plain_token"], "signature": want}:
        raise Failed(f"answered with {said!r}, not signature {want}")


def flood(rig, o, at, counts):
    """One client of many: what it was answered, "cut" without an answer."""
    for _ in range(counts["each"]):
        body = callback_body(o)
        body += b" " * (int(o.get("big", 0)) - len(body))
        data = request_bytes(o, callback_headers(rig, o, body), body)
        try:
            with socket.create_connection(at, timeout=WAIT_S) as s:
                if o.get("how") == "slow":     # the last byte never comes
                    s.sendall(data[:-1])
                    got = s.recv(1) and "answered" or "cut"
                else:
                    got = str(exchange(s, data, None)[0])
        except (OSError, http.client.HTTPException):
            got = "cut"
        with rig.lock:
            counts[got] = counts.get(got, 0) + 1


@step("flood", "CLIENTS [times=N] [NAME=VALUE...]",
      "So many clients post at once, each N (1) times, while the story goes "
      "on; as for callback, and how=slow for one byte too few.")
def do_flood(rig, clients, *words):
    o = pairs(words)
    rig.flood = {"each": int(o.pop("times", 1))}, []
    at = "127.0.0.1", rig.webhook_port()
    for _ in range(int(clients)):
        thread = threading.Thread(target=flood, daemon=True,
                                  args=(rig, o, at, rig.flood[0]))
        rig.flood[1].append(thread)
        thread.start()


@step("flooded", "[ANSWER=N...]",
      "The clients are done, and none had another answer than these (a "
      "status, or cut), each at least N times.")
def do_flooded(rig, *words):
    counts, threads = rig.flood
    for thread in threads:
        thread.join(WAIT_S)
        if thread.is_alive():
            raise Failed("a client of the flood is not done")
    want = pairs(words)
    got = {k: v for k, v in counts.items() if k != "each"}
    if set(got) - set(want) or any(got.get(k, 0) < int(n)
                                   for k, n in want.items()):
        raise Failed(f"the flood was answered {got}")


@step("wire", "STATUS TEXT",
      "Bytes to our listener, as they are (\\r and \\n are understood); the "
      "status may be `closed`.")
def do_wire(rig, want, text):
    data = text.encode().decode("unicode_escape").encode("latin-1")
    with socket.create_connection(("127.0.0.1", rig.webhook_port()),
                                  timeout=WAIT_S) as s:
        try:
            s.sendall(data)
            got = s.recv(4096)
        except ConnectionError:
            got = b""
    first = got.split(b" ")[1].decode() if got.startswith(b"HTTP/") else \
        "closed" if not got else repr(got)
    if first != want:
        raise Failed(f"answered with {first}")


@step("knock", "NAME",
      "Kills it as kill does; and until its next process is ready, clients "
      "connect to our listener: all are let in, and have an answer.")
def do_knock(rig, name):
    at = "127.0.0.1", rig.webhook_port()
    was = rig.child(name)["generation"]
    waiting = []
    do_kill(rig, name)
    while True:
        child = rig.child(name)
        try:
            waiting.append(socket.create_connection(at, timeout=WAIT_S))
        except ConnectionRefusedError as e:
            raise Failed(f"client {len(waiting) + 1} was refused") from e
        if child["generation"] > was and child["ready"]:
            break
    for n, s in enumerate(waiting):
        s.sendall(b"GET /qq HTTP/1.1\r\nHost: x\r\n\r\n")
        if not s.recv(4096).startswith(b"HTTP/1.1 "):
            raise Failed(f"client {n + 1} of {len(waiting)} had no answer")
        s.close()


# --- a story ------------------------------------------------------------------

def read_case(path):
    """(title, {parameter: values}, [(line number, text)])"""
    with open(path, encoding="utf-8") as f:
        lines = f.read().splitlines()
    title, params, story = lines[0], {}, []
    for n, line in enumerate(lines[1:], 2):
        text = line.strip()
        if text.startswith("with "):
            name, _, values = text[5:].partition("=")
            params[name] = values.split(",")
        elif text and not text.startswith("#"):
            story.append((n, text))
    return title, params, story


def variants(name, params):
    """One test for each value of `with`: (test name, {parameter: value})"""
    if not params:
        return [(name, {})]
    keys = list(params)
    return [(name + "." + ".".join(v), dict(zip(keys, v)))
            for v in itertools.product(*params.values())]


def run_line(rig, text, values):
    values = {**values, "DIR": rig.dir, "TOP": TOP, "SERVED": rig.served, "PROGRAMS": rig.programs, "PORT": str(rig.port),
              "URL": rig.sim_env.get("QQ_API_URL", ""),
              "BETWEEN": str(rig.between.port if rig.between else 0)}
    for name, value in values.items():
        text = text.replace("$" + name, value)
    name, *words = shlex.split(text)
    if name not in STEPS:
        raise Failed(f"there is no step {name}")
    try:
        STEPS[name][2](rig, *words)
    except TypeError as e:
        if not re.search(r"do_\w+\(\)", str(e)):
            raise
        raise Failed(f"usage: {name} {STEPS[name][0]}") from None


def tail_of(rig, name):
    lines = rigs.read(rig.path(name)).splitlines()
    # the cause is often long before the end
    told = [x for x in lines[:-LOG_LINES] if re.match(r"\S+ (warn|error) ", x)]
    lines = told[-LOG_LINES:] + lines[-LOG_LINES:]
    return [f"--- {name}"] + lines if lines else []


def account(rig):
    """What a person wants to see of a failure."""
    shown = []
    try:
        if rig.sim is None:     # it would be started for this
            raise Failed("the simulator has ended")
        report = rig.report()
        shown.append("--- ledger")
        for part in ("total", "counters", "violations", "faults"):
            shown.append(f"{part}: " + " ".join(
                f"{k}={v}" for k, v in report[part].items() if v))
        shown.append("--- status")
        shown.append(json.dumps(rig.snapshot(), ensure_ascii=False))
    except (Failed, OSError, KeyError, ValueError) as e:
        shown.append(f"no report: {e}")
    return shown + tail_of(rig, "sim.log") + tail_of(rig, "log")


def on_alarm(_signum, _frame):
    raise Failed(f"the case is not done after {CASE_S} s")


def run_case(name, values, programs, keep):
    """Exit status of the process that runs this one test."""
    rigs.become_subreaper()
    title, _, story = read_case(os.path.join(HERE, name + ".case"))
    rig, wrong, shown = rigs.Rig(programs), [], []
    at = 0, title
    signal.signal(signal.SIGALRM, on_alarm)
    signal.alarm(CASE_S)
    try:
        for at in story:
            run_line(rig, at[1], values)
    except Exception as e:      # whatever it is, the test has failed
        if not isinstance(e, (Failed, OSError)):
            shown = traceback.format_exc().splitlines()
        wrong.append(f"line {at[0]}: {at[1]}\n{e or type(e).__name__}")
        shown += account(rig)
    signal.alarm(0)
    ending = rig.finish()
    if ending and not shown:
        shown = account(rig)
    wrong += ending
    print(title if not wrong else "\n".join([title, *wrong, *shown]))
    if wrong and keep:
        print("kept: " + rig.dir)
    else:
        rig.remove()
    return 1 if wrong else 0


# --- all of them --------------------------------------------------------------

def run_apart(test, options):
    """Each test is a process: its orphans are its own."""
    name, case, values = test
    argv = [sys.executable, os.path.abspath(__file__), "--one", case,
            "--values", json.dumps(values), "--programs", options.programs]
    began = time.monotonic()
    p = subprocess.Popen(argv + ["--keep"] * options.keep,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, start_new_session=True)
    said = p.communicate()[0].decode("utf-8", "replace").rstrip()
    return name, p.returncode == 0, said, time.monotonic() - began


def documented():
    """docs/testing.md shows the table of steps as it is."""
    with open(os.path.join(TOP, "docs", "testing.md"), encoding="utf-8") as f:
        return steps_text() in f.read()


def steps_text():
    return "".join(f"| `{name}{' ' + args if args else ''}` | {meaning} |\n"
                   for name, (args, meaning, _) in STEPS.items())


def all_tests(names):
    found = []
    for f in sorted(os.listdir(HERE)):
        case, dot, kind = f.rpartition(".")
        if kind == "case" and dot:
            params = read_case(os.path.join(HERE, f))[1]
            found += [(n, case, v) for n, v in variants(case, params)]
    return [t for t in found if not names or any(w in t[0] for w in names)]


def options_of(argv):
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("names", nargs="*", metavar="NAME")
    p.add_argument("--jobs", type=int, default=3 * (os.cpu_count() or 1))
    p.add_argument("--programs", default=rigs.ASAN)
    p.add_argument("--keep", action="store_true")
    p.add_argument("--steps", action="store_true")
    p.add_argument("--one", help=argparse.SUPPRESS)
    p.add_argument("--values", default="{}", help=argparse.SUPPRESS)
    return p.parse_args(argv)


def main():
    options = options_of(sys.argv[1:])
    if options.steps:
        print(steps_text(), end="")
        return 0
    if options.one:
        return run_case(options.one, json.loads(options.values),
                        options.programs, options.keep)
    passed = failed = 0
    if not options.names:
        good = documented()
        passed, failed = passed + good, failed + (not good)
        print(("ok" if good else "not ok") + " steps-are-documented")
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for name, good, said, took in pool.map(
                lambda t: run_apart(t, options), all_tests(options.names)):
            passed, failed = passed + good, failed + (not good)
            print(f"{'ok' if good else 'not ok'} {name} ({took:.1f} s)",
                  flush=True)
            if not good:
                print("".join(f"#   {line}\n" for line in said.splitlines()),
                      end="", flush=True)
    print(f"# {passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
