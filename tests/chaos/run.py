#!/usr/bin/env python3
# deadline: 300
"""Everything at once: kills, hangs, orders and faults, under a steady load.

  run.py [--seconds N] [--seed N] [--kinds A,B] [--programs FOLDER] [--rate N]
         [--handler builtin|exec|plugin|stream] [--keep WHICH] [--plan]

What happens and when follows from the seed (plan.py); the judge is qqsim's
ledger.  Without arguments: the short form for make test.  docs/testing.md
says what is promised and what is not.
"""
import argparse
import os
import re
import signal
import socket
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "cases"))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "soak"))
import backlog            # noqa: E402
import plan as plans      # noqa: E402
import rig as rigs        # noqa: E402
from rig import Failed, TOP, until    # noqa: E402

BUILD = os.path.join(TOP, "build")
SECOND_BOT, SECOND_SECRET = plans.BOTS[1], "0123456789abcdef0123456789abcdef"
HANDLERS = {
    "builtin": {"ROOKERY_HANDLER": "builtin:echo"},
    "exec": {"ROOKERY_HANDLER": "exec:" + os.path.join(
        os.path.dirname(HERE), "cases", "bot.py") + " wide",
             "ROOKERY_HANDLER_PROCS": "2"},
    # It crashes by itself, and its neighbours in the worker pay for it too.
    "plugin": {"ROOKERY_HANDLER": "plugin:" + os.path.join(
        BUILD, "chaos", "plugin.so"), "ROOKERY_ATTEMPTS": "20"},
    # Its messages to users grow.
    "stream": {"ROOKERY_HANDLER": "exec:" + os.path.join(HERE, "stream.py"),
               "ROOKERY_HANDLER_PROCS": "2", "ROOKERY_ATTEMPTS": "20"},
}
CONVERSATIONS = 64          # of each scope
CONNECTIONS = 16            # ROOKERY_SEND_CONNECTIONS
WEBHOOK_EVERY_S = 0.1       # an event for the second bot
SETTLE_S = 90               # for the last reply, when all faults are over
RELAUNCH_S = 0.1            # rookeryd's parent waits so long
SHOWN = 5                   # missing or doubled events, with their story
SCOPES = ("c2c", "group", "channel", "dm")
NUMBERED = ("c2c", "group")             # the platform refuses their doubles
UNNUMBERED = ("channel", "dm")          # no msg_seq: nobody does
CHILDREN = {"workerd": "worker", "apid": "api", "gatewayd": "gateway"}
STARTED = re.compile(r" child\.state name=(\w+).* to=starting ")
MESSAGE = re.compile(r"id=m:([^@ #]+)")
# The first part of a stream whose answer is lost together with its id.
FIRST_LOST = re.compile(r" call\.(?:done|repeated) id=m:([^@ ]+)\S*"
                        r"~\d+\.(?:0|end) .* code=TIMEOUT")
# What a breach in the ledger may come from, other than from us.
EXCUSES = {
    "heartbeat_missed": (
        "stop gateway", "a process that is stopped by SIGSTOP sends no "
        "heartbeat; the platform sees it as dead"),
}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Chaos:
    def __init__(self, options):
        self.options = options
        self.settings, self.steps = plans.make(
            options.seed, options.seconds, options.kinds)
        self.rig = rigs.Rig(options.programs, level="info")
        self.rig.deaths_expected = True
        self.wrong, self.counts, self.orders = [], {}, []
        self.held = None            # the pid that SIGSTOP has stopped
        self.relaunch_at = None
        self.killed_rookeryd = False
        self.struck = 0             # faults, before they were cleared
        self.told = 0               # events for the second bot
        self.fragments = 0          # of messages that grow, see judge_streams

    # --- what runs ---

    def start(self):
        rig, port = self.rig, free_port()
        if "clock" in self.options.kinds:
            self.rig.bend_clock()
        rig.settings.update({
            "ROOKERY_ENV_FILE": rig.path("env"),
            "ROOKERY_WORKERS": str(self.settings["workers"]),
            "ROOKERY_DURABILITY": self.options.durability,
            "ROOKERY_UNSURE_SENDS": self.settings["unsure"],
            "ROOKERY_WEBHOOK_LISTEN": f"127.0.0.1:{port}",
            "ROOKERY_SEND_TIMEOUT_MS": "1500",
            "ROOKERY_SEND_CONNECTIONS": str(CONNECTIONS),
            "ROOKERY_HELLO_TIMEOUT_MS": "2000",
            "ROOKERY_SIM_TLS": self.options.tls,
            **HANDLERS[self.options.handler],
        })
        if self.options.tls == "yes":
            rig.settings.pop("ROOKERY_CA_FILE")     # the simulator's own
        self.write_env(None)
        rig.start_sim()
        rig.tell("POST", "bot", {"heartbeat_ms": 5000})
        rig.tell("POST", "bot", {"bot": SECOND_BOT, "secret": SECOND_SECRET})
        rig.bots[SECOND_BOT] = SECOND_SECRET
        rig.secrets.add(SECOND_SECRET)
        with open(rig.path("bots", "second.env"), "w", encoding="ascii") as f:
            f.write(f"QQ_APP_ID={SECOND_BOT}\n"
                    f"QQ_CLIENT_SECRET={SECOND_SECRET}\n")
        rig.start()
        rig.webhook_port()
        rig.wait(["live=2"])
        answer = rig.tell("POST", "webhook", {
            "bot": SECOND_BOT, "url": f"http://127.0.0.1:{port}/qq",
            "validate": True, "tries": 1000, "spacing_ms": 200,
            "timeout_ms": 3000})
        if not answer["valid"]:
            raise Failed(f"the webhook was not validated: {answer}")

    def write_env(self, queue):
        with open(self.rig.path("env"), "w", encoding="ascii") as f:
            if queue is not None:
                f.write(f"ROOKERY_QUEUE_EVENTS={queue}\n")

    # --- what is done ---

    def count(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1

    def victim(self, name, n):
        """The pid of one process of this name, or None."""
        if name == "rookeryd":
            p = self.rig.system
            return p.pid if p is not None and p.poll() is None else None
        pids = self.pids_of(name)
        return pids[n % len(pids)] if pids else None

    def pids_of(self, name):
        if name != "handler":
            return sorted(p for p, who in rigs.family(os.getpid()).items()
                          if who == name)
        if self.options.handler not in ("exec", "stream"):
            return []
        return sorted(p for w in self.pids_of("workerd")
                      for p in rigs.family(w) if p != w)

    def send(self, what, pid, number):
        if pid is None:
            self.count(f"{what}, not there")
            return False
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return False
        self.count(what)
        return True

    def do_kill(self, name, n):
        if self.send(f"kill {name}", self.victim(name, n), signal.SIGKILL) \
                and name == "rookeryd":
            self.killed_rookeryd = True

    def do_hold(self, name, n):
        pid = self.victim(name, n)
        if self.send(f"stop {name}", pid, signal.SIGSTOP):
            self.held = pid

    def do_release(self):
        if self.held is not None and self.held in \
                rigs.family(os.getpid()):
            os.kill(self.held, signal.SIGCONT)
        self.held = None

    def do_rookery(self, *argv):
        rig = self.rig
        with open(rig.path("cli.log"), "ab") as out:
            self.orders.append((argv, subprocess.Popen(
                [os.path.join(rig.programs, "rookery"), *argv],
                env=rig.environment(rig.sim_env, rig.settings), cwd=rig.dir,
                stdin=subprocess.DEVNULL, stdout=out, stderr=out)))
        self.count("rookery " + " ".join(argv))

    def do_scale(self, n):
        self.do_rookery("scale", str(self.settings["workers"]
                                     if n is None else n))

    def do_queue(self, n):
        self.write_env(n)
        self.do_rookery("reload")

    def do_fault(self, body):
        if any(f["fault"] == "token_revoke" for f in body):
            self.rig.learn_tokens()
        self.rig.tell("POST", "fault", body)
        self.count("fault " + " ".join(f["fault"] for f in body))

    def do_clock(self, seconds):
        self.rig.set_clock(seconds)
        self.count("clock")

    def note(self, at, verb, args):
        with open(self.rig.path("timeline"), "a", encoding="utf-8") as f:
            f.write(f"{at:8.3f} {verb} {' '.join(map(str, args))}\n")

    # --- time passes ---

    def look_after(self):
        """What must go on whatever is being done."""
        rig = self.rig
        rigs.reap([p.pid for p in (rig.sim, rig.system,
                                   *(p for _, p in self.orders))
                   if p is not None])
        if rig.sim.poll() is not None:
            raise Failed(f"qqsim ended with status {rig.sim.returncode}")
        if rig.system is not None and rig.system.poll() is not None:
            if not self.killed_rookeryd:
                self.wrong.append("rookeryd ended by itself, with status "
                                  f"{rig.system.returncode}")
            self.killed_rookeryd = False
            rig.system = None
            self.relaunch_at = time.monotonic() + RELAUNCH_S
        if rig.system is None and time.monotonic() >= self.relaunch_at:
            rig.launch()
        for argv, p in self.orders:
            if p.poll() not in (None, 0, 1, 2, 3):
                self.wrong.append(f"rookery {' '.join(argv)} ended with "
                                  f"status {p.returncode}")
        self.orders = [o for o in self.orders if o[1].returncode is None]

    def tell_second(self):
        """An event that comes by webhook."""
        scope = SCOPES[self.told % len(SCOPES)]
        who = {"c2c": "user", "group": "group", "channel": "channel",
               "dm": "guild"}[scope]
        self.rig.tell("POST", "event", {
            "bot": SECOND_BOT, "scope": scope, "text": f"hook {self.told}",
            who: f"20000{self.told // len(SCOPES) % 16}"})
        self.told += 1

    def wreak(self):
        self.rig.tell("POST", "load", {
            "rate": self.options.rate, "count": 10**9, "scope": "all",
            "conversations": CONVERSATIONS, "text": "ping"})
        began = time.monotonic()
        steps = list(self.steps)
        while steps or time.monotonic() - began < self.options.seconds:
            at = time.monotonic() - began
            while steps and steps[0][0] <= at:
                _, verb, *args = steps.pop(0)
                self.note(at, verb, args)
                getattr(self, "do_" + verb)(*args)
            if at >= self.told * WEBHOOK_EVERY_S:
                self.tell_second()
            self.look_after()
            time.sleep(0.01)

    def settle(self):
        """All faults are over: everything given is to be answered."""
        rig = self.rig
        self.do_release()
        rig.tell("DELETE", "load")
        self.struck = sum(rig.report()["faults"].values())
        rig.tell("DELETE", "fault")
        until("rookeryd answers", lambda: self.look_after() or
              rig.system is not None and rig.snapshot())
        for argv in (("reload",),
                     ("scale", str(self.settings["workers"]))):
            self.write_env(None)
            if rig.rookery(*argv)[0] not in (0, 2):
                self.wrong.append(f"rookery {argv[0]}: {rig.said}")
        end = time.monotonic() + self.options.settle
        while time.monotonic() < end:
            self.look_after()
            now = self.rig.report()
            if now["total"]["kept"] == 0 and not self.judge_missing(now) and \
                    (now["total"]["missing"] == 0 and
                     now["counters"]["growing"] == 0 or self.queue_empty()):
                return
            time.sleep(0.1)

    def queue_empty(self):
        """gatewayd has nothing left: what is missing now will stay so."""
        app = (self.rig.child("gateway") or {}).get("app") or {}
        return app.get("queue", {}).get("events") == 0

    # --- the verdict ---

    def unsure_ends(self):
        """How often apid ended, or hung, with requests under way."""
        return sum(n for what, n in self.counts.items() if what in (
            "kill apid", "stop apid", "kill rookeryd", "rookery restart api",
            "rookery drain api"))

    def judge_missing(self, report):
        """A reply to a channel or direct conversation that was under way
        when apid ended may be missing (once) or double (again)."""
        wrong, unsure = [], self.settings["unsure"]
        may = self.unsure_ends() * CONNECTIONS
        for scope in SCOPES:
            missing = report["scopes"][scope]["missing"]
            if missing > (may if scope in UNNUMBERED and unsure == "once"
                          else 0):
                wrong.append(f"{scope}: {missing} missing")
        return wrong

    def judge(self, report):
        wrong, unsure = self.judge_missing(report), self.settings["unsure"]
        may = self.unsure_ends() * CONNECTIONS
        for scope in SCOPES:
            doubled = report["scopes"][scope]["doubled"]
            if doubled > (may if scope in UNNUMBERED and unsure == "again"
                          else self.lost_first() if scope == "c2c" else 0):
                wrong.append(f"{scope}: {doubled} doubled")
        wrong += self.judge_streams(report)
        total = report["total"]
        if total["out_of_order"]:
            wrong.append(f"{total['out_of_order']} out of order")
        if total["kept"]:
            wrong.append(f"{total['kept']} never fetched")
        again = report["counters"]["identifies"] - len(plans.BOTS)
        if (total["lost"] or again) and "fresh" not in self.options.kinds:
            wrong.append(f"{again} sessions were given up that the platform "
                         f"had kept; {total['lost']} events lost")
        for name, n in report["violations"].items():
            cause = EXCUSES.get(name, ("",))[0]
            if not any(what.startswith(cause) for what in self.counts if
                       cause):
                wrong.append(f"{n} times {name}")
        return wrong

    def first_parts_lost(self):
        """The messages whose answer's first part may be there, and nobody
        knows its id: the handler was told so, and has said the whole."""
        return set(FIRST_LOST.findall(self.rig.log()))

    def lost_first(self):
        return len(self.first_parts_lost()) \
            if self.options.handler == "stream" else 0

    def judge_streams(self, report):
        """What has begun to grow is at its end and whole, and there is one
        for each message; but for a first part that was lost."""
        if self.options.handler != "stream":
            return []
        lost, wrong, after, last = self.first_parts_lost(), [], 0, None
        growing = report["counters"]["growing"]
        if growing > len(lost):
            wrong.append(f"{growing} growing, {len(lost)} first parts lost")
        rows = self.rig.tell("GET", "report?events=doubled")["events"]
        for r in rows:
            if r["conversation"].startswith("u:") and \
                    (r["doubled"] > 1 or r["msg"] not in lost):
                wrong.append(f"doubled, and no first part lost: {r}")
        fragments = 0
        while last != after:
            last = after
            for m in self.rig.tell(
                    "GET", f"messages?after={after}&limit=1000")["messages"]:
                after = m["serial"]
                if m["conversation"].startswith("u:") and \
                        not m["text"].endswith("."):
                    fragments += 1
        if fragments > growing:
            wrong.append(f"{fragments} messages to users are not whole")
        self.fragments = fragments
        return wrong

    def judge_untold(self):
        """What is missing, and its worker was not told so."""
        told = [line for line in self.rig.log().splitlines()
                if " code=TIMEOUT " in line]
        told = {i for line in told for i in MESSAGE.findall(line)}
        rows = self.rig.tell("GET", "report?events=missing")["events"]
        untold = [r for r in rows if r["msg"] not in told]
        return [f"{len(untold)} missing without a TIMEOUT"] if untold else []

    def story_of(self, which):
        """What the log says of the first events that are missing, or
        doubled."""
        said, rows = [], self.rig.tell("GET", f"report?events={which}")
        log = self.rig.log().splitlines()
        for row in rows["events"][:SHOWN]:
            said.append(f"--- {which}: {row}")
            key = row["msg"] or row["event"]
            said += [line for line in log if key in line]
        return said

    def run(self):
        """(report or None, what is wrong, its story)"""
        report, story = None, []
        try:
            self.start()
            self.wreak()
            self.settle()
            report = self.rig.report()
            self.wrong += self.judge(report) + self.judge_untold()
            if self.wrong:
                story = self.story_of("missing") + self.story_of("doubled")
        except (Failed, OSError, ValueError, KeyError) as e:
            self.wrong.append(f"{type(e).__name__}: {e}")
        for _, p in self.orders:
            p.kill()
            p.wait()
        self.rig.allowed.update(EXCUSES)
        if self.settings["unsure"] == "again" or \
                self.options.handler == "stream":      # judged above
            self.rig.allowed.add("doubled")
        self.wrong += self.rig.finish()
        return report, self.wrong, story


# --- what a person sees -------------------------------------------------------

def command(options):
    return (f"make chaos SECONDS={options.seconds} SEED={options.seed} "
            f"RATE={options.rate} HANDLER={options.handler} "
            f"TLS={options.tls} KINDS={','.join(options.kinds)} "
            f"FROM={os.path.relpath(options.programs, TOP)}")


def show(chaos, report):
    started = STARTED.findall(chaos.rig.log())
    for what in sorted(chaos.counts):
        print(f"{chaos.counts[what]:8} {what}")
    for kind in CHILDREN.values():
        print(f"{started.count(kind):8} starts of {kind}")
    if report is None:
        return
    total, counters = report["total"], report["counters"]
    killed = sum(n for what, n in chaos.counts.items()
                 if what.startswith("kill ") and "," not in what)

    def of(scopes, what):
        return sum(report["scopes"][s][what] for s in scopes)
    rows = [("kills", killed),
            ("events given", total["sent"]), ("replied", total["replied"]),
            ("missing of users and groups", of(NUMBERED, "missing")),
            ("doubled of users and groups", of(NUMBERED, "doubled")),
            ("out of order", total["out_of_order"]),
            ("missing where apid died in mid-send and nobody can know",
             of(UNNUMBERED, "missing")),
            ("doubled for the same reason", of(UNNUMBERED, "doubled")),
            ("first parts of streams lost with their ids", chaos.fragments),
            ("doubles refused by the platform", total["deduped"]),
            ("lost by the platform", total["lost"]),
            ("identifies", counters["identifies"]),
            ("resumes", counters["resumes"]),
            ("replayed", counters["replayed"]),
            ("webhook tries", counters["webhook_posts"]),
            ("faults that struck", chaos.struck),
            ("longest latency ms", report["latency_us"]["max"] // 1000)]
    for name, n in rows:
        print(f"{n:8} {name}")
    for name, n in report["violations"].items():
        print(f"{n:8} {name}: {EXCUSES.get(name, ('', 'a violation'))[1]}")


def one_run(options):
    chaos = Chaos(options)
    print(f"# seed {options.seed}, {options.seconds} s, {options.rate} "
          f"events/s, {options.handler}, TLS {options.tls}, "
          f"{chaos.settings}",
          flush=True)
    try:
        report, wrong, story = chaos.run()
    except KeyboardInterrupt:
        rigs.kill_all()
        chaos.rig.remove()
        raise
    show(chaos, report)
    if wrong:
        print("\n".join(story))
        print("".join(f"WRONG: {w}\n" for w in wrong) +
              f"again: {command(options)}")
    if options.keep == "always" or wrong and options.keep == "failed":
        print("kept: " + chaos.rig.dir)
    else:
        chaos.rig.remove()
    return wrong


def read_options(argv):
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--seconds", type=int, default=600)
    p.add_argument("--seed", default=time.strftime("%Y%m%d"))
    p.add_argument("--kinds", default=",".join(plans.KINDS))
    p.add_argument("--programs", default=BUILD)
    p.add_argument("--durability", default="process")
    p.add_argument("--settle", type=float, default=SETTLE_S,
                   help="seconds for the last reply, once all faults are over")
    p.add_argument("--rate", type=int, default=200)
    p.add_argument("--handler", choices=plans.HANDLERS,
                   help="what answers; without it, by the seed")
    p.add_argument("--tls", choices=("yes", "no"),
                   help="https and wss; without it, by the seed")
    p.add_argument("--keep", choices=("never", "failed", "always"),
                   default="failed", help="the folder of a run")
    p.add_argument("--plan", action="store_true", help="print it only")
    o = p.parse_args(argv)
    o.kinds = sorted(o.kinds.split(","))
    o.handler = o.handler or plans.handler(o.seed)
    o.tls = o.tls or plans.tls(o.seed)
    o.programs = os.path.join(TOP, o.programs)
    if set(o.kinds) - set(plans.KINDS):
        p.error("kinds are " + " ".join(plans.KINDS))
    return o


# --- the short form -----------------------------------------------------------

def excuses_text():
    return "".join(f"| `{name}` | {cause} | {why} |\n"
                   for name, (cause, why) in EXCUSES.items())


def test_plan():
    """The same seed is the same plan, and every action is in some plan."""
    first, again = (plans.make(1, 3600, plans.KINDS) for _ in range(2))
    wrong = []
    if first != again:
        wrong.append("the same seed made another plan")
    if first == plans.make(2, 3600, plans.KINDS):
        wrong.append("another seed made the same plan")
    if first[1] != sorted(first[1], key=lambda s: s[0]):
        wrong.append("the steps are not in order")
    said = {" ".join(map(str, s[1:3])) for s in first[1]}
    wrong += [f"an hour without {what}" for what in (
        "kill workerd", "kill handler", "kill apid", "kill gatewayd", "kill rookeryd",
        "hold gatewayd", "clock 90", "queue 16", "scale 0")
        if what not in said]
    return wrong


def test_excuses():
    """docs/testing.md shows the table of excuses as it is."""
    page = rigs.read(os.path.join(TOP, "docs", "testing.md"))
    return [] if excuses_text() in page else ["another table"]


def test_backlog():
    return backlog.run(BUILD, 4000)[1]


def test_backlog_killed():
    return backlog.run(BUILD, 4000, kill=True)[1]


def test_judge():
    """Events that wait in a gatewayd without a journal die with it, and the
    verdict says so."""
    chaos = Chaos(read_options([
        "--seconds", "4", "--kinds", "gateway", "--durability", "none",
        "--settle", "1", "--handler", "builtin", "--tls", "no"]))
    chaos.steps = [(0, "scale", 0), (2.0, "kill", "gatewayd", 0),
                   (2.5, "scale", None)]
    _, wrong, _ = chaos.run()
    chaos.rig.remove()
    if any(w.endswith(" missing") for w in wrong):
        return []
    return ["a bot without a journal has passed", *wrong]


def chaos_test(seed, programs, rate, handler, tls):
    def test():
        return one_run(read_options([
            "--seconds", "35", "--seed", str(seed), "--programs", programs,
            "--rate", str(rate), "--handler", handler, "--tls", tls,
            "--keep", "never"]))
    return test


def short_form():
    passed = failed = 0
    for name, test in (
            ("the-same-seed-is-the-same-plan", test_plan),
            ("excuses-are-documented", test_excuses),
            ("the-judge-sees-a-loss", test_judge),
            ("backlog", test_backlog),
            ("backlog-killed", test_backlog_killed),
            ("chaos", chaos_test(1, "build", 200, "plugin", "yes")),
            ("chaos-sanitized", chaos_test(2, "build/asan", 60, "stream", "no"))):
        wrong = test()
        passed, failed = passed + (not wrong), failed + bool(wrong)
        print(f"{'not ok' if wrong else 'ok'} {name}", flush=True)
        for w in wrong:
            print("#   " + w)
    print(f"# {passed} passed, {failed} failed")
    return 1 if failed else 0


def main():
    options = read_options(sys.argv[1:])
    if options.plan:
        settings, steps = plans.make(options.seed, options.seconds,
                                     options.kinds)
        print(settings)
        for at, verb, *args in steps:
            print(f"{at:8.3f} {verb} {' '.join(map(str, args))}")
        return 0
    rigs.become_subreaper()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if len(sys.argv) == 1:
            return short_form()
        return 1 if one_run(options) else 0
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
