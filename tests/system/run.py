#!/usr/bin/env python3
# deadline: 300
"""The whole system as a black box: how much it takes, what it makes of every
event there is, what its commands say, and where its secrets are.

Unlike the stories of tests/cases this runs the programs of build/ (the first
argument names another folder).  Prints "ok NAME" or "not ok NAME", and at the
end "# N passed, M failed".
"""
import json
import os
import re
import shutil
import sys
import tempfile
import time
import traceback

sys.dont_write_bytecode = True
TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "cases"))
import rig as rigs                       # noqa: E402
from rig import Failed, Rig, until       # noqa: E402

PROGRAMS = sys.argv[1] if len(sys.argv) > 1 else os.path.join(TOP, "build")
NOBODY = 65534
SCOPES = ("c2c", "group", "channel", "dm")
EVENTS = 10000
QUIET = {"missing": 0, "doubled": 0, "out_of_order": 0, "lost": 0}


def expect(good, what):
    if not good:
        raise Failed(what)


def expect_clean(report):
    total = {k: report["total"][k] for k in QUIET}
    expect(total == QUIET, f"the ledger has {total}")
    expect(not report["violations"], f"violations: {report['violations']}")


# --- as much as there is ------------------------------------------------------

def load(rig, **wanted):
    for scope in SCOPES:
        rig.tell("POST", "load", {
            "count": EVENTS // len(SCOPES), "outstanding": 64, "scope": scope,
            "conversations": 100, "text": "ping"})
        rig.wait(["idle=1"], within=60)
    report = rig.report()
    for scope in SCOPES:
        got = report["scopes"][scope]["replied"]
        expect(got == EVENTS // len(SCOPES), f"{scope}: {got} replied")
    expect(report["total"]["accepted"] == EVENTS,
           f"{report['total']['accepted']} replies")
    expect_clean(report)
    for name, value in wanted.items():
        expect(report["counters"][name] == value,
               f"{name} is {report['counters'][name]}")


def test_ten_thousand_by_websocket(rig):
    rig.settings.update(ROOKERY_WORKERS="2", ROOKERY_LOG="info")
    rig.start()
    rig.wait(["live=1"])
    load(rig, identifies=1, connects=1)


def test_ten_thousand_by_webhook(rig):
    rig.settings.update(ROOKERY_WORKERS="2", ROOKERY_LOG="info",
                        ROOKERY_WEBSOCKET="no",
                        ROOKERY_WEBHOOK_LISTEN="127.0.0.1:0")
    rig.start()
    point_webhook(rig)
    load(rig, webhook_failed=0, webhook_acked=EVENTS)


def point_webhook(rig):
    rig.tell("POST", "webhook", {
        "url": f"http://127.0.0.1:{rig.webhook_port()}/"})


# --- every event there is -----------------------------------------------------

def fixtures():
    """The envelopes of the platform's events: (file, envelope)"""
    folder = os.path.join(TOP, "tests", "fixtures")
    found = []
    for name in sorted(os.listdir(folder)):
        if name.endswith(".json"):
            with open(os.path.join(folder, name), encoding="utf-8") as f:
                envelope = json.load(f)
            if envelope.get("op") == 0:
                found.append((name, envelope))
    expect(len(found) > 80, "the fixtures are there")
    return found


def types(skipped):
    """What handlers are to see of the fixtures, by gatewayd's own table."""
    with open(os.path.join(TOP, "gatewayd", "events.def"),
              encoding="utf-8") as f:
        table = dict(re.findall(r'(?m)^EVENT\("(\w+)", "([\w.]+)"', f.read()))
    return {table.get(e["t"], "raw." + e["t"]) for _, e in fixtures()
            if e["t"] not in skipped}


def queue(rig):
    return rig.child("gateway")["app"]["queue"]


def inject_all(rig, skipped):
    """How many went in."""
    n = 0
    for name, envelope in fixtures():
        if envelope["t"] in skipped:
            continue
        status, answer = rig.ask("POST", "/sim/event", {
            "t": envelope["t"], "d": envelope["d"], "expect": -1,
            **({"id": envelope["id"]} if "id" in envelope else {})})
        expect(status == 200, f"{name}: {status} {answer}")
        n += 1
    return n


def check_all_arrive(rig, skipped):
    rig.wait(["idle=1"])
    pids = [rig.pid(n) for n in ("gateway", "worker/1")]
    n = inject_all(rig, skipped)
    # Several fixtures show one event in several forms: same id, once taken.
    until(f"all {n} events arrive",
          lambda: queue(rig)["appended"] + queue(rig)["duplicates"] == n
          and queue(rig)["done"] == queue(rig)["appended"])
    q = queue(rig)
    taken = set(re.findall(r"event\.(?:in|duplicate) .*type=(\S+)", rig.log()))
    expect(taken == types(skipped), f"kinds: {taken ^ types(skipped)}")
    expect(q["dead"] == q["unparsable"] == q["refused"] == 0, f"queue: {q}")
    expect([rig.pid(n) for n in ("gateway", "worker/1")] == pids,
           "gatewayd and workerd live on")
    rig.tell("POST", "event", {"scope": "c2c", "user": "U1", "text": "ping"})
    rig.wait(["idle=1"])
    said = rig.tell("GET", "messages?conversation=u:U1")["messages"]
    expect([m["text"] for m in said] == ["收到消息: ping"], f"it said {said}")
    expect(not rig.report()["violations"],
           f"violations: {rig.report()['violations']}")


def test_every_event_by_websocket(rig):
    # All intents there are: the bot's rights are not what is tested here.
    rig.tell("POST", "bot", {"granted": 0x7FFFFFFF})
    rig.settings["QQ_INTENTS"] = every_intent()
    rig.start()
    rig.wait(["live=1"])
    check_all_arrive(rig, ("READY", "RESUMED"))
    expect(rig.report()["counters"]["connects"] == 1, "one connection")


def every_intent():
    with open(os.path.join(TOP, "common", "intents.def"),
              encoding="utf-8") as f:
        return ",".join(re.findall(r"(?m)^INTENT\(\d+, +(\w+)", f.read()))


def test_every_event_by_webhook(rig):
    rig.settings.update(ROOKERY_WEBSOCKET="no",
                        ROOKERY_WEBHOOK_LISTEN="127.0.0.1:0")
    rig.start()
    point_webhook(rig)
    check_all_arrive(rig, ("READY", "RESUMED"))
    expect(rig.report()["counters"]["webhook_failed"] == 0, "all were taken")


def test_every_frame_there_is(rig):
    """What is no event goes out as a frame as it is; the session may be
    replaced by it, and comes back."""
    rig.allowed.add("heartbeat_ahead")      # their s are made up
    rig.tell("POST", "bot", {"max_concurrency": 50})
    rig.start()
    folder = os.path.join(TOP, "tests", "fixtures")
    pids = [rig.pid(n) for n in ("gateway", "worker/1")]
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".json") or name == "op_reconnect.json" or \
                name.startswith("op_invalid"):      # those have their stories
            continue
        with open(os.path.join(folder, name), encoding="utf-8") as f:
            text = f.read()
        rig.wait(["live=1"])
        rig.tell("POST", "event", {"raw": text})
    rig.wait(["live=1"])
    expect([rig.pid(n) for n in ("gateway", "worker/1")] == pids,
           "gatewayd and workerd live on")


# --- what a person types ------------------------------------------------------

COMMANDS = (        # arguments, exit status, patterns
    (("help",), 0, ("up", "status", "scale")),
    (("help", "scale"), 0, ("workers",)),
    (("help", "nothing"), 64, ("nothing",)),
    (("nonsense",), 64, ("nonsense",)),
    (("status", "--nonsense"), 64, ()),
    (("scale",), 64, ()),
    (("scale", "x"), 64, ()),
    (("version",), 0, (r"\d+\.\d+",)),
    (("check",), 0, ()),
    (("config",), 0, ("QQ_APP_ID", "ROOKERY_WORKERS")),
    (("config", "--json"), 0, ("QQ_APP_ID",)),
    (("wait", "--timeout", "20"), 0, ()),
    (("status",), 0, ("gateway", "worker/1", "live")),
    (("status", "--json"), 0, ('"children"',)),
    (("scale", "3"), 0, ()),
    (("status",), 0, ("worker/3",)),
    (("drain", "worker/2"), 0, ()),
    (("restart", "worker", "--rolling"), 0, ()),
    (("restart", "nobody"), 1, ("no child",)),
    (("stop", "worker/3"), 0, ()),
    (("start", "worker/3"), 0, ()),
    (("log-level", "debug"), 0, ()),
    (("log-level", "loud"), 1, ("debug",)),
    (("logs",), 0, ("worker.start",)),
    (("logs", "gateway", "-n", "5"), 0, ("gatewayd",)),
    (("reload",), 0, ()),
    (("stop",), 0, ()),
    (("status",), 3, ("rookery up",)),
    (("logs",), 3, ()),
    (("scale", "2"), 3, ()),
    (("wait", "--timeout", "1"), 3, ()),
)


def test_commands(rig):
    rig.deaths_expected = True
    rig.start()
    rig.learn_tokens()
    wrong = []
    for argv, status, patterns in COMMANDS:
        got, said = rig.rookery(*argv)
        line = "rookery " + " ".join(argv)
        if got != status:
            wrong.append(f"{line}: status {got}, not {status}: {said}")
        wrong += [f"{line}: does not say {p}: {said}" for p in patterns
                  if not re.search(p, said)]
        rig.look_for_secrets(line, said)
    rig.await_end(0)
    expect(not wrong, "\n".join(wrong))


def test_check_names_every_problem(rig):
    rig.start_sim()
    rig.settings.update(ROOKERY_WORKERS="-1", ROOKERY_WRONG="1",
                        ROOKERY_LOG_FORMAT="xml", QQ_APP_ID="abc")
    for command in ("check", "up"):
        got, said = rig.rookery(command)
        expect(got == 78, f"{command}: status {got}: {said}")
        for name in ("ROOKERY_WORKERS", "ROOKERY_WRONG",
                     "ROOKERY_LOG_FORMAT", "QQ_APP_ID"):
            expect(name in said, f"{command} does not name {name}: {said}")
        rig.look_for_secrets(command, said)


# --- where the secrets are ----------------------------------------------------

def memory(pid):
    """Everything that a process has in its memory."""
    with open(f"/proc/{pid}/maps", encoding="ascii", errors="replace") as f:
        areas = [line.split() for line in f]
    with open(f"/proc/{pid}/mem", "rb") as f:
        for area in areas:
            if "r" not in area[1] or area[-1] in ("[vvar]", "[vsyscall]",
                                                  "[vvar_vclock]"):
                continue
            begin, end = (int(a, 16) for a in area[0].split("-"))
            try:
                f.seek(begin)
                yield f.read(end - begin)
            except (OSError, ValueError):
                continue


def in_memory(pid, what):
    return any(what.encode() in part for part in memory(pid))


# LG01, LG03; the rig looks for them in the logs of every story as well
def test_secrets_stay_where_they_belong(rig):
    """After a connect, a resume, a dead token and a thousand answers."""
    rig.start()
    rig.wait(["live=1"])
    rig.tell("POST", "fault", {"fault": "close", "code": 4009})
    rig.wait(["resumes=1", "live=1"])
    rig.learn_tokens()
    rig.tell("POST", "fault", {"fault": "token_revoke"})
    rig.tell("POST", "load", {"count": 1000, "outstanding": 64})
    rig.wait(["idle=1"])
    rig.learn_tokens()
    expect(len(rig.secrets) == 3, "a secret and two tokens are known")
    secret = rig.sim_env["QQ_CLIENT_SECRET"]
    for s in rig.secrets:
        expect(not in_memory(rig.pid("worker/1"), s),
               "workerd has a secret or token in its memory")
    if os.geteuid() == 0:       # others may not look into those
        expect(any(in_memory(rig.pid("api"), s) for s in rig.secrets),
               "the search finds what is there")
        for name in ("gateway", "rookeryd"):
            expect(not in_memory(rig.pid(name), secret),
                   f"{name} has the app secret in its memory")
    rig.look_for_secrets_in_processes()
    with open(f"/proc/{rig.pid('gateway')}/environ", "rb") as f:
        expect(b"QQ_CLIENT_SECRET" not in f.read(),
               "gatewayd is told nothing of the secret")


def test_who_has_secrets_cannot_be_dumped(rig):
    """Of a process that must not be dumped the kernel gives /proc to root."""
    rig.start()
    rig.wait(["live=1"])
    until("all is ready", lambda: rig.snapshot()["state"] == "ready")
    me = rig.user if rig.user is not None else os.geteuid()
    owners = {name: os.stat(f"/proc/{rig.pid(name)}/mem").st_uid
              for name in ("rookeryd", "api", "gateway", "worker/1", "sim")}
    expect(me != 0, "this needs another user than root")
    expect(owners == {"rookeryd": 0, "api": 0, "gateway": 0, "sim": 0,
                      "worker/1": me}, f"owners of /proc/PID/mem: {owners}")


# --- all of them --------------------------------------------------------------

def run(name, test):
    user = NOBODY if "dumped" in name and os.geteuid() == 0 else None
    folder = None
    if user is not None:        # our own folders may be closed to them
        folder = tempfile.mkdtemp(prefix="rk-bin-")
        os.chmod(folder, 0o755)
        for program in ("rookery", "rookeryd", "gatewayd", "apid", "workerd",
                        "qqsim"):
            shutil.copy(os.path.join(PROGRAMS, program), folder)
    rig, wrong = Rig(folder or PROGRAMS, user=user), []
    began = time.monotonic()
    try:
        test(rig)
    except Exception as e:      # whatever it is, the test has failed
        wrong.append(str(e) if isinstance(e, Failed)
                     else traceback.format_exc())
    wrong += rig.finish()
    if wrong:
        wrong += ["--- log"] + rig.log().splitlines()[-40:]
    rig.remove()
    if folder:
        shutil.rmtree(folder)
    print(f"{'not ok' if wrong else 'ok'} {name} "
          f"({time.monotonic() - began:.1f} s)", flush=True)
    for line in "\n".join(wrong).splitlines():
        print("#   " + line, flush=True)
    return not wrong


def main():
    rigs.become_subreaper()
    tests = [(n[5:].replace("_", "-"), t) for n, t in globals().items()
             if n.startswith("test_")]
    results = [run(n, t) for n, t in tests]
    print(f"# {sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
