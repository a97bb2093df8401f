#!/usr/bin/env python3
# deadline: 240
"""What is promised of sizes, against qqsim: replies offered all at once, a
large video, many bots in one deployment, many conversations with handlers
that answer after random times.

  tests/scale/run.py [--long] [NAME...]

The short form has a tenth of the sizes; --long (make scale) has the whole:
10,000 replies, 200 MiB, 50,000 events.  Runs the programs of build/.  Prints the figures,
"ok NAME" or "not ok NAME", and "# N passed, M failed".
"""
import os
import struct
import subprocess
import sys
import time
import traceback

sys.dont_write_bytecode = True
TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "cases"))
import rig as rigs                       # noqa: E402
from rig import Failed, Rig, until       # noqa: E402

LONG = "--long" in sys.argv
MIB = 1 << 20
REPLIES = 10000 if LONG else 1000
RATE, BURST = 100, 100      # of messages to users and groups, as documented
VIDEO, BLOCK = (200 * MIB, 5 * MIB) if LONG else (12 * MIB, 512 * 1024)
PSS_MAX_KIB = 40 * 1024
BOTS, EACH = 100, 10
TALKS, LINES = (1000, 50) if LONG else (100, 20)
LOOPING, WRONG = "102001000", "102001001"


def expect(good, what):
    if not good:
        raise Failed(what)


def figure(text):
    print("# " + text, flush=True)


def api(rig):
    return (rig.child("api") or {}).get("app") or {}


# --- more replies than the platform lets through ------------------------------

def offer(rig, count, conversations):
    """All at once, half from users and half from groups."""
    rig.tell("POST", "fault", [{"fault": "route_limits", "count": 0},
                               {"fault": "message_limits", "count": 0}])
    for scope in ("c2c", "group"):
        rig.tell("POST", "load", {
            "count": count // 2, "outstanding": count // 2, "scope": scope,
            "conversations": conversations, "text": "x"})


# RL03, PR03
def test_all_replies_at_once(rig):
    """The platform enforces what it documents, and has next to nothing to
    enforce: our own count keeps below it, and yet uses it."""
    rig.settings.update(ROOKERY_LIMITS="100", ROOKERY_WORKERS="2",
                        ROOKERY_WINDOW="900")
    rig.start()
    rig.wait(["live=1"])
    offer(rig, REPLIES, REPLIES // 20)
    rig.wait(["idle=1"], within=REPLIES / RATE * 1.5 + 10)
    report, calls = rig.report(), api(rig)
    total, refused = report["total"], report["counters"]["faults"]
    # All were made at the same instant: the longest wait is the whole time.
    took = report["latency_us"]["max"] / 1e6
    share = (REPLIES - BURST) / RATE / took
    figure(f"{REPLIES} replies in {took:.1f} s: {share:.0%} of what the limit "
           f"lets through, {refused} refused")
    expect(total["replied"] == total["accepted"] == REPLIES, f"{total}")
    for what in ("missing", "doubled", "out_of_order", "lost", "active"):
        expect(total[what] == 0, f"{what}: {total[what]}")
    # Where either side is held up on the way, more of them may arrive in one
    # second than were sent in one.
    expect(refused <= REPLIES // 200, f"{refused} refused")
    expect(calls["codes"] == {}, f"{calls['codes']}")
    expect(0.9 <= share <= 1.02, f"{share:.0%} of the limit")


# RL03, PR03, RL07
def test_replies_whose_time_is_too_short(rig):
    """What cannot be sent in its window has a named result: none is late,
    and none is neither sent nor named."""
    rig.tell("POST", "bot", {"c2c_window_s": 4, "group_window_s": 4})
    rig.settings.update(ROOKERY_LIMITS="100", ROOKERY_WINDOW="900",
                        ROOKERY_C2C_WINDOW_S="3", ROOKERY_GROUP_WINDOW_S="3")
    rig.start()
    rig.wait(["live=1"])
    offer(rig, 1000, 50)

    def all_ended():
        calls = api(rig).get("calls", {})
        return calls.get("done", 0) + calls.get("failed", 0) >= 1000 and \
            not calls["waiting"] and not calls["running"]
    until("each has a result", all_ended)
    calls, total = api(rig), rig.report()["total"]
    named = {k: calls["codes"].get(k, 0)
             for k in ("REPLY_EXPIRED", "RATE_LIMITED")}
    figure(f"1000 replies with 3 s to go: {total['accepted']} sent, {named}")
    expect(total["accepted"] + sum(named.values()) == 1000,
           f"{total['accepted']} sent, {calls['codes']}")
    expect(total["accepted"] >= 3 * RATE * 0.9, f"{total['accepted']} sent")
    expect(total["out_of_order"] == total["doubled"] == 0, f"{total}")


# --- a large video ------------------------------------------------------------

def video(rig):
    """Sparse, and yet no two blocks are alike."""
    folder = rig.path("media")
    os.makedirs(folder)
    with open(os.path.join(folder, "v.mp4"), "wb") as f:
        f.truncate(VIDEO)
        f.write(b"\0\0\0\x20ftypisom")
        for at in range(BLOCK // 2, VIDEO, BLOCK):
            f.seek(at)
            f.write(struct.pack(">Q", at))


def pss_kib(pid):
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
            return next((int(line.split()[1]) for line in f
                         if line.startswith("Pss:")), 0)
    except OSError:
        return 0


def order(rig):
    env = rig.environment(rig.sim_env, rig.settings)
    with open(rig.path("cli.log"), "ab") as out:
        return subprocess.Popen(
            [os.path.join(rig.programs, "rookery"), "call", "send",
             "conv=u:U1", "video=v.mp4", "key=the-video"], env=env,
            cwd=rig.dir, stdin=subprocess.DEVNULL, stdout=out, stderr=out)


# MU03, MU06, MU07
def test_video_over_kill_and_failed_parts(rig):
    """A part fails, another is to be ended again, apid is killed in the
    middle, and events flow meanwhile."""
    rig.deaths_expected = True
    video(rig)
    rig.tell("POST", "bot", {"block_size": BLOCK, "index_base": 1,
                             "upload_retry_s": 1})
    rig.settings.update(ROOKERY_MEDIA_DIR=rig.path("media"))
    rig.start()
    rig.wait(["live=1"])
    rig.tell("POST", "event", {"scope": "c2c", "user": "U1", "text": "hi"})
    rig.wait(["replied=1"])
    parts = (VIDEO + BLOCK - 1) // BLOCK
    # None meets a part that has failed already: after three it is given up.
    faults = [(0.7, {"fault": "part_again"}),
              (0.2, {"fault": "part_status", "status": 500}),
              (0, {"fault": "part_slow", "ms": 20, "count": 4 * parts})]
    rig.tell("POST", "load", {"rate": 50, "count": 1000 if LONG else 100,
                              "conversations": 20})
    began, most = time.monotonic(), 0
    call, killed, before = order(rig), False, 0
    while call.poll() is None or not killed:
        most = max(most, pss_kib(rig.pid("api")))
        sent = rig.report()["counters"]["parts"]
        while faults and sent >= faults[-1][0] * parts:
            rig.tell("POST", "fault", faults.pop()[1])
        if not killed and sent >= parts // 2:
            killed, before = True, sent
            os.kill(rig.pid("api"), 9)
            call.kill()         # who asked is gone too
            call.wait()
            until("apid is back", lambda: (rig.child("api") or {}).get(
                "generation", 1) > 1 and api(rig))
            call = order(rig)
        elif call.poll() is not None and not killed:
            raise Failed("it ended before apid was killed")
        expect(time.monotonic() < began + 150, "it takes too long")
        time.sleep(0.02)
    expect(call.returncode == 0, f"rookery call: {call.returncode}")
    took = time.monotonic() - began
    rig.wait(["idle=1"])
    report, media = rig.report(), api(rig)["media"]
    sent = report["counters"]["parts"]
    figure(f"{VIDEO // MIB} MiB in {parts} parts, {took:.1f} s: apid at most "
           f"{most} KiB PSS; {before} parts stored before the kill, "
           f"{sent - before} after")
    expect(0 < most < PSS_MAX_KIB, f"{most} KiB")
    expect(media["resumed"] == 1, f"{media}")
    # Those under way at the kill, and those that were to fail, may come
    # again; those that were stored do not.
    expect(not faults and parts <= sent <= parts + 6,
           f"{sent} parts for {parts}")
    prepared = [r for r in rig.tell("GET", "operations")["operations"]
                if r["op"] == "c2c_upload_prepare"]
    expect(prepared[0]["asked"] == 1, "prepared once")
    expect(report["total"]["missing"] == report["total"]["doubled"] == 0,
           f"{report['total']}")


# --- many bots ----------------------------------------------------------------

LOOP = """import json, sys
print(json.dumps({"op": "hello", "v": 1, "name": "loop"}), flush=True)
for line in sys.stdin:
    while json.loads(line)["op"] == "event":
        pass
"""


def add_bot(rig, app, secret=None):
    answer = rig.tell("POST", "bot", {"bot": app, "max_concurrency": 50})
    rig.bots[app] = answer["secret"]
    rig.secrets.add(answer["secret"])
    with open(rig.path("bots", f"b{app}.env"), "w", encoding="ascii") as f:
        f.write(f"QQ_APP_ID={app}\n"
                f"QQ_CLIENT_SECRET={secret or answer['secret']}\n"
                f"QQ_API_URL={rig.sim_env['QQ_API_URL']}\n"
                f"QQ_TOKEN_URL={rig.sim_env['QQ_TOKEN_URL']}\n")
    os.chmod(rig.path("bots", f"b{app}.env"), 0o600)


# MB01
def test_hundred_bots_and_two_bad_ones(rig):
    """One has a wrong secret, the handler of one is in an endless loop: the
    others answer everything, and no token is taken for another's."""
    good = [str(102000100 + i) for i in range(BOTS - 2)]
    rig.start_sim()
    for app in good + [LOOPING]:
        add_bot(rig, app)
    add_bot(rig, WRONG, "not-its-secret-at-all")
    with open(rig.path("loop.py"), "w", encoding="ascii") as f:
        f.write(LOOP)
    with open(rig.path("handlers"), "w", encoding="ascii") as f:
        f.write(f'handler loop "exec:python3 {rig.path("loop.py")}" '
                f"bots {LOOPING}\nhandler rest builtin:echo\n")
    # The first of all, whose settings are in the environment, is good too.
    good.append(rig.sim_env["QQ_APP_ID"])
    rig.settings.update(ROOKERY_HANDLERS_FILE=rig.path("handlers"),
                        ROOKERY_HANDLER_TIMEOUT_MS="60000")
    began = time.monotonic()
    rig.start()
    rig.wait([f"live={BOTS}"], within=60)
    up = time.monotonic() - began
    rig.tell("POST", "load", {"bot": LOOPING, "count": 40, "outstanding": 40,
                              "conversations": 40, "text": "loop"})
    until("the loop has its event", lambda: any(
        h.get("in_flight") or h.get("open") or h.get("waiting")
        for h in (rig.child("worker/1") or {}).get("app", {}).get(
            "handlers", ())))
    began = time.monotonic()
    for app in good:
        rig.tell("POST", "load", {"bot": app, "count": EACH,
                                  "outstanding": EACH, "text": "ping",
                                  "conversations": 5})
    rig.wait([f"replied={len(good) * EACH}"], within=40)
    took = time.monotonic() - began
    report = rig.report()
    total = report["total"]
    figure(f"{BOTS} sessions after {up:.1f} s; {len(good)} bots x {EACH} "
           f"events beside a bot in a loop and one refused: all answered in "
           f"{took:.1f} s")
    expect(total["doubled"] == total["out_of_order"] == 0, f"{total}")
    expect(total["replied"] == len(good) * EACH, "of the others alone")
    bots = api(rig)["bots"]
    expect(bots[WRONG]["state"] != "ready", f"{WRONG}: {bots[WRONG]}")
    expect(all(b["state"] == "ready" for a, b in bots.items() if a != WRONG),
           "the others are ready")


# --- many conversations, each in its order -------------------------------------

def test_conversations_in_order(rig):
    """Every reply comes at some time within 0.2 s of its event; two events of
    a conversation at once are an error to the handler, which ends then."""
    rig.settings.update({
        "ROOKERY_HANDLER":
            f"exec:{TOP}/tests/cases/bot.py slots=200,timeout_ms=60000",
        "ROOKERY_HANDLER_PROCS": "2", "ROOKERY_WINDOW": "512"})
    rig.start()
    rig.wait(["live=1"])
    count = TALKS * LINES
    began = time.monotonic()
    rig.tell("POST", "load", {
        "count": count, "outstanding": 5 * TALKS, "conversations": TALKS,
        "scope": "group"})
    rig.wait(["idle=1", f"replied={count}"],
             within=600 if LONG else 60)
    took = time.monotonic() - began
    total = rig.report()["total"]
    expect(not (total["missing"] or total["doubled"] or
                total["out_of_order"]), f"of {count}: {total}")
    expect(total["deduped"] == 0, f"sent twice: {total['deduped']}")
    ends = rig.log().count(" handler.end ")
    expect(ends == 0, f"{ends} handlers ended")
    figure(f"{TALKS} conversations of {LINES} events, answered after 0 to "
           f"0.2 s: all {count} once and in order, {took:.1f} s, "
           f"{count / took:.0f} a second")


# --- all of them --------------------------------------------------------------

def run(name, test):
    rig, wrong = Rig(os.path.join(TOP, "build"), level="info"), []
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
    print(f"{'not ok' if wrong else 'ok'} {name} "
          f"({time.monotonic() - began:.1f} s)", flush=True)
    for line in "\n".join(wrong).splitlines():
        print("#   " + line, flush=True)
    return not wrong


def main():
    rigs.become_subreaper()
    names = [a for a in sys.argv[1:] if not a.startswith("-")]
    tests = [(n[5:].replace("_", "-"), t) for n, t in globals().items()
             if n.startswith("test_")]
    results = [run(n, t) for n, t in tests
               if not names or any(x in n for x in names)]
    print(f"# {sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
