#!/usr/bin/env python3
"""What the system costs, beside a floor: docs/bench.md.

Needs build/ with all programs and build/bench/floor (make bench sees to it).
The exit status is 1 when a reply was missing, doubled or out of order.
"""
import argparse
import contextlib
import http.client
import json
import os
import platform
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "soak"))
from gauge import memory_kib    # noqa: E402

BUILD = os.path.join(TOP, "build")
LEVELS = (1, 16, 64, 256)       # events outstanding
CONVERSATIONS = 1024            # several times the highest level
SCOPES = ("c2c", "group")
READY_S = 20
SETTLE_S = 60                   # for the last reply of a load
RECOVER_S = 15                  # for the last reply after a kill
# Killed in this order: a new rookeryd has seen no death, and starts again at
# once what dies for the first time.
VICTIMS = ("workerd", "apid", "gatewayd", "rookeryd")
IDLE_US = 2000                  # CPU time of an idle gatewayd in 0.2 s, at most
INJECT_RATE = 200               # events a second: one every 5 ms
BEFORE_KILL, AFTER_KILL = 50, 50        # replies that are waited for
BOTS = 100                      # that are added to the first
IDLE_S = 5                      # over which idle processor time is counted
DURABLE_LEVEL = 64              # at which the journal's share is measured
# ROOKERY_DURABILITY of the sides; the floor keeps nothing.
SIDES = {"floor": "", "system": "process", "none": "none", "power": "power"}
HANDLERS_LEVEL = 64
HANDLERS = {                    # what answers; the first is the measure
    "builtin": "builtin:echo",
    "exec": "exec:" + os.path.join(TOP, "examples", "echo.py"),
    "plugin": "plugin:" + os.path.join(BUILD, "bench", "echo.so"),
}
LIMITS = {                      # of the ratios to the floor; of a sum
    "cpu_at_64": 3.5, "p50_at_1": 5.0, "pss_mib": 40.0, "bot_kib": 150.0,
}


class Broken(Exception):
    """Nothing could be measured."""


# --- processes --------------------------------------------------------------

def stat_of(pid):
    """(name, parent), or None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8",
                  errors="replace") as f:
            name, rest = f.read().split("(", 1)[1].rsplit(")", 1)
    except OSError:
        return None
    state, parent = rest.split()[:2]
    return None if state == "Z" else (name, int(parent))


def family(root):
    """{pid: name} of a living process and all below it."""
    stats = {int(p): stat_of(p) for p in os.listdir("/proc") if p.isdigit()}
    found, more = {}, {root}
    while more:
        found.update((p, stats[p][0]) for p in more if stats.get(p))
        more = {p for p, s in stats.items()
                if s and s[1] in found and p not in found}
    return found


def cpu_us(pid):
    """User and system time of all threads so far: clock_getcpuclockid(3)."""
    return time.clock_gettime_ns((~pid << 3) | 2) / 1000


class Program:
    """One of ours, with an environment of its own and a log file."""

    def __init__(self, path, folder, settings):
        self.name = os.path.basename(path)
        self.log = os.path.join(folder, self.name + ".log")
        env = {k: os.environ[k] for k in ("PATH", "HOME", "LANG")
               if k in os.environ}
        env.update(settings, ROOKERY_ENV_FILE="")
        self.path, self.env, self.folder = path, env, folder
        self.start()

    def start(self):
        """Again, too: what its parent does when it has been killed."""
        with open(self.log, "ab") as out:
            self.p = subprocess.Popen(
                [self.path], env=self.env, cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                start_new_session=True)
        self.pid = self.p.pid

    def check(self):
        if self.p.poll() is not None:
            raise Broken(f"{self.name} ended with status {self.p.returncode}"
                         f":\n{self.tail()}")

    def tail(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return "".join(f.readlines()[-15:])

    def stop(self):
        """Ends it and what it started; kills what does not go."""
        below = family(self.pid)
        if self.p.poll() is None:
            self.p.terminate()
        try:
            self.p.wait(8)
        except subprocess.TimeoutExpired:
            self.p.kill()
            self.p.wait()
        until = time.monotonic() + 3
        while any(stat_of(pid) for pid in below):
            if time.monotonic() > until:
                for pid in below:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)


# --- the simulator ----------------------------------------------------------

class Simulator:
    """A qqsim, told what to do over its control interface."""

    def __init__(self, folder, tls):
        self.folder = os.path.join(folder, "sim")
        os.makedirs(self.folder)
        notify = os.path.join(self.folder, "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.bind(notify)
            self.program = Program(
                os.path.join(BUILD, "qqsim"), self.folder,
                {"ROOKERY_SIM_LISTEN": "127.0.0.1:0",
                 "ROOKERY_SIM_DIR": self.folder,
                 "ROOKERY_SIM_TLS": "yes" if tls else "no",
                 "ROOKERY_LOG": "warn", "NOTIFY_SOCKET": notify})
            try:
                self._await_ready(s)
                self._connect()
            except BaseException:
                self.program.stop()
                raise

    def _await_ready(self, s):
        s.settimeout(0.2)
        until = time.monotonic() + READY_S
        while time.monotonic() < until:
            self.program.check()
            with contextlib.suppress(socket.timeout):
                if b"READY=1" in s.recv(4096):
                    return
        raise Broken("qqsim is not ready:\n" + self.program.tail())

    def _connect(self):
        self.bot = {}       # the settings of a bot that uses it
        with open(os.path.join(self.folder, "sim.env"),
                  encoding="utf-8") as f:
            for line in f:
                key, equals, value = line.strip().partition("=")
                if equals and not key.startswith("#"):
                    self.bot[key] = value.strip("'\"")
        scheme, _, rest = self.bot["QQ_API_URL"].partition("://")
        address = rest.split("/")[0]
        if scheme == "https":
            trust = ssl.create_default_context(
                cafile=self.bot["ROOKERY_CA_FILE"])
            self.http = http.client.HTTPSConnection(
                address, timeout=SETTLE_S + 10, context=trust)
        else:
            self.http = http.client.HTTPConnection(
                address, timeout=SETTLE_S + 10)

    def ask(self, method, path, body=None):
        """(status, answer)"""
        self.program.check()
        text = None if body is None else json.dumps(body)
        head = {} if body is None else {"Content-Type": "application/json"}
        self.http.request(method, "/sim/" + path, text, head)
        answer = self.http.getresponse()
        return answer.status, json.load(answer)

    def tell(self, method, path, body=None):
        status, answer = self.ask(method, path, body)
        if status != 200:
            raise Broken(f"qqsim: {method} {path}: {status} {answer}")
        return answer

    def wait(self, conditions, timeout_s=SETTLE_S):
        """The report, and whether the conditions hold."""
        status, report = self.ask(
            "GET", f"wait?timeout_ms={timeout_s * 1000}&{conditions}")
        if status not in (200, 408):
            raise Broken(f"qqsim: wait: {status} {report}")
        return report, status == 200

    def stop(self):
        self.http.close()
        self.program.stop()


# --- the two sides ----------------------------------------------------------

def start_side(side, folder, sim, options, services=None, handler=None):
    """Starts it and waits until it has a session and, unless services are
    named, has answered a little."""
    home = os.path.join(folder, side)
    os.makedirs(home)
    settings = dict(sim.bot)
    if side == "floor":
        path = os.path.join(BUILD, "bench", "floor")
    else:
        path = os.path.join(BUILD, "rookeryd")
        settings.update(
            ROOKERY_STATE_DIR=os.path.join(home, "state"),
            ROOKERY_RUN_DIR=os.path.join(home, "run"),
            ROOKERY_DURABILITY=SIDES[side],
            ROOKERY_LIMITS="0",
            ROOKERY_WORKERS=str(options.workers))
        if services:
            settings["ROOKERY_SERVICES"] = services
        if handler:
            settings["ROOKERY_HANDLER"] = handler
    program = Program(path, home, settings)
    try:
        if not sim.wait("live=1", READY_S)[1]:
            program.check()
            raise Broken(f"{side}: no session:\n{program.tail()}")
        for scope in () if services else SCOPES:
            if not run_load(sim, scope, outstanding=64, count=500)[1]:
                raise Broken(f"{side}: no replies:\n{program.tail()}")
    except BaseException:
        program.stop()
        raise
    return program


def run_load(sim, scope, **load):
    """All that answer know this text; who does not look at it, too."""
    sim.tell("POST", "load", dict(load, scope=scope, text="/echo ping",
                                  conversations=CONVERSATIONS))
    return sim.wait("idle=1")


def faults_of(report, side):
    """What must not have happened, in words."""
    total = report["total"]
    wrong = ["missing", "doubled"]
    if side != "floor":          # it promises no order
        wrong.append("out_of_order")
    found = [f"{total[w]} {w}" for w in wrong if total[w]]
    found += [f"{n} times {v}" for v, n in report["violations"].items()]
    return found


def measure_level(sim, program, side, outstanding, count):
    sim.tell("POST", "reset", {})
    pids = family(program.pid)
    before = {p: cpu_us(p) for p in pids}
    replied = elapsed = 0
    for scope in SCOPES:
        report, _ = run_load(sim, scope, outstanding=outstanding,
                             count=count // len(SCOPES))
        replied += report["load"]["replied"]
        elapsed += report["load"]["elapsed_us"]
    program.check()
    cpu = {}
    for p, name in pids.items():
        cpu[name] = cpu.get(name, 0) + (cpu_us(p) - before[p])
    replied = max(replied, 1)
    return {
        "replies_per_s": replied * 1e6 / max(elapsed, 1),
        "cpu_us": sum(cpu.values()) / replied,
        "cpu_us_by_process": {n: us / replied for n, us in cpu.items()},
        **{f"{k}_us": report["latency_us"][k] for k in ("p50", "p99", "max")},
    }, faults_of(report, side)


def measure_memory(program):
    found, kinds = {}, set()
    for pid, name in family(program.pid).items():
        kind, kib = memory_kib(pid)
        found[name] = found.get(name, 0) + kib
        kinds.add(kind)
    return {"kind": "/".join(sorted(kinds)), "kib": found,
            "total_kib": sum(found.values())}


def measure_round(side, options, faults):
    """One side, once, with a simulator of its own."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        sim = Simulator(folder, options.tls)
        try:
            program = start_side(side, folder, sim, options)
            try:
                levels = {}
                for n in LEVELS if side in ("floor", "system") else \
                        (DURABLE_LEVEL,):
                    count = options.count if n > 1 else options.count // 5
                    levels[n], wrong = measure_level(
                        sim, program, side, n, count)
                    faults += [f"{side}, {n} outstanding: {w}" for w in wrong]
                return {"levels": levels, "memory": measure_memory(program)}
            finally:
                program.stop()
        finally:
            sim.stop()


# --- handlers ---------------------------------------------------------------

def measure_handler(name, options, faults):
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        sim = Simulator(folder, options.tls)
        try:
            program = start_side("system", folder, sim, options,
                                 handler=HANDLERS[name])
            try:
                level, wrong = measure_level(sim, program, "system",
                                             HANDLERS_LEVEL, options.count)
                faults += [f"handler {name}: {w}" for w in wrong]
                return level
            finally:
                program.stop()
        finally:
            sim.stop()


def measure_handlers(options, faults):
    """The same level with each, in turns; and as a ratio to the first of the
    same round."""
    rows = {name: [] for name in HANDLERS}
    for _ in range(options.rounds):
        for name, found in rows.items():
            found.append(measure_handler(name, options, faults))
    first = next(iter(rows.values()))
    return {name: {**{k: statistics.median(r[k] for r in found)
                      for k in ("replies_per_s", "cpu_us", "p50_us")},
                   "ratios": {k: statistics.median(
                       mine[k] / max(one[k], 1e-9)
                       for mine, one in zip(found, first))
                              for k in ("replies_per_s", "cpu_us", "p50_us")}}
            for name, found in rows.items()}


# --- recovery ---------------------------------------------------------------

def recover(sim, program, name):
    """Kills one process under a steady rate of events.  Milliseconds from
    the kill to the first reply to an event made after it, the longest that
    any event waited for its reply, and how many were never answered: given
    to the bot, or kept for a session that did not come back."""
    sim.tell("POST", "reset", {})
    sim.tell("POST", "load", {
        "rate": INJECT_RATE, "count": 10**9, "scope": "c2c",
        "conversations": CONVERSATIONS, "text": "ping"})
    sim.wait(f"replied={BEFORE_KILL}")
    victim = min(p for p, n in family(program.pid).items() if n == name)
    killed_ms = time.monotonic_ns() / 1e6
    os.kill(victim, signal.SIGKILL)
    if name == "rookeryd":
        program.p.wait()
        program.start()
    sent = sim.tell("GET", "report")["load"]["sent"]
    sim.wait(f"replied={sent + AFTER_KILL}", RECOVER_S)
    sim.tell("DELETE", "load")
    report, _ = sim.wait("idle=1", RECOVER_S)
    program.check()
    rows = sim.tell("GET", "report?events=1")["events"]
    after = [r["made_ms"] + r["latency_us"] / 1000 for r in rows
             if r["latency_us"] >= 0 and r["made_ms"] >= killed_ms]
    if not after:
        raise Broken(f"no reply after the kill of {name}:\n{program.tail()}")
    found = faults_of(report, "system")
    if report["total"]["lost"]:
        found.append(f"{report['total']['lost']} lost")
    return {"next_reply_ms": min(after) - killed_ms,
            "longest_ms": max(r["latency_us"] for r in rows) / 1000,
            "missing": report["total"]["missing"],
            "lost": report["total"]["lost"]}, found


def measure_recovery(options, faults):
    folds = {"next_reply_ms": statistics.median,
             "longest_ms": statistics.median, "worst_ms": max,
             "missing": sum, "lost": sum}
    found = {v: [] for v in VICTIMS}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        sim = Simulator(folder, options.tls)
        try:
            program = start_side("system", folder, sim, options)
            try:
                for _ in range(options.kills):
                    for v in VICTIMS:
                        row, wrong = recover(sim, program, v)
                        row["worst_ms"] = row["longest_ms"]
                        found[v].append(row)
                        faults += [f"kill -9 {v}: {w}" for w in wrong]
            finally:
                program.stop()
        finally:
            sim.stop()
    return {v: {"kills": rows,
                **{k: fold([r[k] for r in rows]) for k, fold in folds.items()}}
            for v, rows in found.items()}


# --- gatewayd alone ---------------------------------------------------------

def measure_intake(options):
    """CPU time of gatewayd for taking one event in, no worker being there."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        sim = Simulator(folder, options.tls)
        try:
            program = start_side("system", folder, sim, options,
                                 services="api gateway")
            try:
                pid = min(p for p, n in family(program.pid).items()
                          if n == "gatewayd")
                before = now = cpu_us(pid)
                sim.tell("POST", "load", {
                    "outstanding": options.count, "count": options.count,
                    "scope": "c2c", "conversations": CONVERSATIONS,
                    "text": "ping"})
                sim.wait(f"sent={options.count}")
                last = -IDLE_US
                while now - last >= IDLE_US:    # still at it
                    last = now
                    time.sleep(0.2)
                    now = cpu_us(pid)
                program.check()
            finally:
                program.stop()
        finally:
            sim.stop()
    us = (now - before) / options.count
    return {"cpu_us": us, "events_per_cpu_s": 1e6 / us}


# --- many bots ----------------------------------------------------------------

def add_bots(sim, home, n):
    """bots/NAME.env of n more bots that the simulator knows."""
    os.makedirs(os.path.join(home, "bots"))
    for i in range(n):
        app = str(103000000 + i)
        secret = sim.tell("POST", "bot", {"bot": app})["secret"]
        with open(os.path.join(home, "bots", f"b{i}.env"), "w",
                  encoding="utf-8") as f:
            f.write(f"QQ_APP_ID={app}\nQQ_CLIENT_SECRET={secret}\n")
            f.writelines(f"{k}={v}\n" for k, v in sim.bot.items()
                         if k in ("QQ_API_URL", "QQ_TOKEN_URL"))


def measure_with_bots(options, more):
    """KiB of gatewayd and apid, and their idle processor time as a share of
    a core, with so many more bots than one, over TLS."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        sim = Simulator(folder, True)
        try:
            home = os.path.join(folder, "bots-home")
            os.makedirs(home)
            add_bots(sim, home, more)
            program = Program(os.path.join(BUILD, "rookeryd"), home, {
                **sim.bot, "ROOKERY_STATE_DIR": os.path.join(home, "state"),
                "ROOKERY_RUN_DIR": os.path.join(home, "run"),
                "ROOKERY_BOTS_DIR": os.path.join(home, "bots"),
                "ROOKERY_WORKERS": str(options.workers)})
            try:
                began = time.monotonic()
                if not sim.wait(f"live={more + 1}", READY_S + more)[1]:
                    raise Broken(f"{more + 1} bots: not all have a session:"
                                 f"\n{program.tail()}")
                took = time.monotonic() - began
                # apid's connections are for all: open with one bot too
                run_load(sim, "c2c", outstanding=64, count=1000)
                pids = [p for p, n in family(program.pid).items()
                        if n in ("gatewayd", "apid")]
                time.sleep(1)                   # what follows the connect
                before = sum(map(cpu_us, pids))
                time.sleep(IDLE_S)
                idle = sum(map(cpu_us, pids)) - before
                program.check()
                return {"kib": sum(memory_kib(p)[1] for p in pids),
                        "idle_share": idle / (IDLE_S * 1e6),
                        "connect_s": took}
            finally:
                program.stop()
        finally:
            sim.stop()


def measure_bots(options):
    one, many = (measure_with_bots(options, n) for n in (0, BOTS))
    return {"bots": BOTS + 1, "kib_per_bot": (many["kib"] - one["kib"]) / BOTS,
            "idle_share": many["idle_share"],
            "idle_share_of_one": one["idle_share"],
            "connect_s": many["connect_s"]}


# --- figures ----------------------------------------------------------------

def median_of(rows):
    """The same shape, each number the median of its column."""
    first = rows[0]
    if isinstance(first, dict):
        return {k: median_of([r[k] for r in rows if k in r]) for k in first}
    return statistics.median(rows) if not isinstance(first, str) else first


def ratio(rounds, pick):
    """Median over the rounds of system / floor of the same round."""
    return statistics.median(pick(s) / max(pick(f), 1e-9)
                             for f, s in zip(rounds["floor"],
                                             rounds["system"]))


def durability(rounds):
    """What the journal and the record of what was sent cost: the same level
    with each setting, and beside the floor of the same round."""
    def of(side):
        level = median_of([r["levels"][DURABLE_LEVEL] for r in rounds[side]])
        return {**{k: level[k] for k in ("cpu_us", "replies_per_s", "p50_us",
                                         "p99_us")},
                "ratio": statistics.median(
                    mine["levels"][DURABLE_LEVEL]["cpu_us"] /
                    floor["levels"][DURABLE_LEVEL]["cpu_us"]
                    for mine, floor in zip(rounds[side], rounds["floor"]))}
    return {SIDES[s]: of(s) for s in ("none", "system", "power")}


def digest(rounds):
    names = ("replies_per_s", "cpu_us", "p50_us", "p99_us", "max_us")
    ratios = {n: {k: ratio(rounds, lambda r, n=n, k=k: r["levels"][n][k])
                  for k in names} for n in LEVELS}
    system = median_of(rounds["system"])
    return {
        "floor": median_of(rounds["floor"]), "system": system,
        "ratios": ratios,
        "durability": durability(rounds),
        "limits": [
            {"what": "CPU per reply at 64, system : floor",
             "value": ratios[64]["cpu_us"], "limit": LIMITS["cpu_at_64"]},
            {"what": "latency p50 at 1, system : floor",
             "value": ratios[1]["p50_us"], "limit": LIMITS["p50_at_1"]},
            {"what": f"{system['memory']['kind']} of the system, MiB",
             "value": system["memory"]["total_kib"] / 1024,
             "limit": LIMITS["pss_mib"]},
        ],
    }


def print_rows(rows):
    """First column to the left, the others to the right."""
    widths = [max(len(r[i]) for r in rows if i < len(r))
              for i in range(max(map(len, rows)))]
    for r in rows:
        line = [c.rjust(w) for c, w in zip(r, widths)]
        line[0] = r[0].ljust(widths[0])
        print("  ".join(line).rstrip())
    print()


def number(x):
    return f"{x:.0f}" if abs(x) >= 100 else f"{x:.1f}"


def print_levels(d):
    rows = [["events outstanding", ""] + [str(n) for n in LEVELS]]
    for key, title in (("replies_per_s", "replies/s"),
                       ("cpu_us", "CPU us/reply"),
                       ("p50_us", "latency p50 us"),
                       ("p99_us", "latency p99 us"),
                       ("max_us", "latency max us")):
        for side in ("floor", "system"):
            rows.append([title if side == "floor" else "", side] +
                        [number(d[side]["levels"][n][key]) for n in LEVELS])
        rows.append(["", "ratio"] +
                    [f"{d['ratios'][n][key]:.2f}x" for n in LEVELS])
    print_rows(rows)


def print_durability(d):
    rows = [["durability", *d["durability"]]]
    for key, title in (("cpu_us", f"CPU us/reply at {DURABLE_LEVEL}"),
                       ("replies_per_s", "replies/s"),
                       ("p50_us", "latency p50 us"),
                       ("p99_us", "latency p99 us")):
        rows.append([title] + [number(r[key])
                               for r in d["durability"].values()])
    rows.append(["CPU, ratio to the floor"] + [
        f"{r['ratio']:.2f}x" for r in d["durability"].values()])
    print_rows(rows)


def print_handlers(found):
    rows = [["handler", *found, *(f"{n}, ratio" for n in list(found)[1:])]]
    for key, title in (("replies_per_s", f"replies/s at {HANDLERS_LEVEL}"),
                       ("cpu_us", "CPU us/reply"),
                       ("p50_us", "latency p50 us")):
        rows.append([title, *(number(r[key]) for r in found.values()),
                     *(f"{r['ratios'][key]:.2f}x"
                       for r in list(found.values())[1:])])
    print_rows(rows)


def print_processes(d):
    memory = d["system"]["memory"]
    cpu = d["system"]["levels"][64]["cpu_us_by_process"]
    rows = [["process", "CPU us/reply at 64", memory["kind"] + " KiB"]]
    for name, kib in sorted(memory["kib"].items()):
        rows.append([name, number(cpu.get(name, 0)), number(kib)])
    rows.append(["system", number(d["system"]["levels"][64]["cpu_us"]),
                 number(memory["total_kib"])])
    rows.append(["floor", number(d["floor"]["levels"][64]["cpu_us"]),
                 number(d["floor"]["memory"]["total_kib"])])
    print_rows(rows)


def print_recovery(found):
    columns = {"next_reply_ms": "ms to the next reply",
               "longest_ms": "longest wait ms", "worst_ms": "worst of all ms",
               "missing": "missing", "lost": "lost"}
    rows = [["kill -9 of"] + list(columns.values())]
    rows += [[name] + [number(r[c]) for c in columns]
             for name, r in found.items()]
    print_rows(rows)


def print_limits(d):
    rows = [["", "value", "limit", ""]]
    for row in d["limits"]:
        rows.append([row["what"], f"{row['value']:.2f}",
                     f"{row['limit']:g}",
                     "OVER" if row["value"] > row["limit"] else "ok"])
    print_rows(rows)


def setting(options):
    return {
        "rounds": options.rounds, "count": options.count,
        "kills": options.kills, "workers": options.workers,
        "tls": options.tls, "conversations": CONVERSATIONS,
        "log": "info, to a file", "cores": os.cpu_count(),
        "kernel": platform.release(), "machine": platform.machine(),
    }


def read_options():
    p = argparse.ArgumentParser(
        prog="tests/bench/run.py",
        description="What the system costs, beside a floor; docs/bench.md.")
    p.add_argument("--quick", action="store_true",
                   help="one short round: does it run, not what it costs")
    p.add_argument("--rounds", type=int, help="floor, system; default 3")
    p.add_argument("--count", type=int,
                   help="events a level, a fifth with 1 outstanding; "
                        "default 10000")
    p.add_argument("--kills", type=int,
                   help="of each process, for the recovery; default 5")
    p.add_argument("--workers", type=int, default=1)
    p.add_argument("--tls", action="store_true", help="https and wss")
    p.add_argument("--json", metavar="FILE", help="the figures as JSON too")
    o = p.parse_args()
    usual = (1, 1000, 1) if o.quick else (3, 10000, 5)
    for name, value in zip(("rounds", "count", "kills"), usual):
        if getattr(o, name) is None:
            setattr(o, name, value)
    if o.rounds < 1 or o.count < 10 or o.kills < 0 or o.workers < 1:
        p.error("too small a number")
    return o


def measure(options, faults):
    rounds = {side: [] for side in SIDES}
    for i in range(options.rounds):
        for side, rows in rounds.items():
            print(f"round {i + 1} of {options.rounds}: {side}",
                  file=sys.stderr)
            rows.append(measure_round(side, options, faults))
    result = {"setting": setting(options), **digest(rounds), "rounds": rounds}
    print("handlers", file=sys.stderr)
    result["handlers"] = measure_handlers(options, faults)
    print("gatewayd alone", file=sys.stderr)
    result["intake"] = measure_intake(options)
    print(f"{BOTS + 1} bots", file=sys.stderr)
    result["bots"] = measure_bots(options)
    result["limits"].append(
        {"what": "KiB for each bot that is added, over TLS",
         "value": result["bots"]["kib_per_bot"], "limit": LIMITS["bot_kib"]})
    if options.kills > 0:
        print("recovery", file=sys.stderr)
        result["recovery"] = measure_recovery(options, faults)
    result["faults"] = faults
    return result


def main():
    options = read_options()
    for name in ("qqsim", "rookeryd", "gatewayd", "apid", "workerd",
                 "bench/floor"):
        if not shutil.which(os.path.join(BUILD, name)):
            print(f"build/{name} is missing: make bench", file=sys.stderr)
            return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    faults = []
    try:
        result = measure(options, faults)
    except Broken as e:
        print(e, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(", ".join(f"{k} {v}" for k, v in result["setting"].items()) + "\n")
    print_levels(result)
    print_durability(result)
    print_handlers(result["handlers"])
    print_processes(result)
    print("gatewayd alone: {cpu_us:.1f} us CPU per event taken in, "
          "{events_per_cpu_s:.0f} events per second of CPU\n"
          .format(**result["intake"]))
    print("{bots} bots over TLS, all with a session after {connect_s:.1f} s: "
          "{kib_per_bot:.0f} KiB each in gatewayd and apid, idle "
          "{idle_share:.2%} of a core (one bot: {idle_share_of_one:.2%})\n"
          .format(**result["bots"]))
    if "recovery" in result:
        print_recovery(result["recovery"])
    print_limits(result)
    for f in faults:
        print("WRONG:", f)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as f:
            json.dump(result, f, indent=1)
            f.write("\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
