#!/usr/bin/env python3
"""A long steady load, with a reconnect every ten seconds: what grows?

  soak.py [--minutes N] [--rate N] [--programs FOLDER]

Prints memory, descriptors and threads of every process at the start, after the
warm-up, in the middle and at the end, and by how much memory grows in an hour.  Fails
when a process has more descriptors or threads at the end than after the
warm-up, or more memory than docs/testing.md allows, or when anything was
missing, doubled or out of order.
"""
import argparse
import os
import signal
import statistics
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "cases"))
sys.path.insert(0, HERE)
import gauge              # noqa: E402
import rig as rigs        # noqa: E402
from rig import Failed, TOP    # noqa: E402

RECONNECT_S = 10
SAMPLES = 100           # over the whole time
WARM_UP_S = 240         # until tables and caches are full: apid's record of
                        # what was sent takes longest, 32768 rows
CALM_S = 2              # between a reconnect and a sample: nothing half open
SETTLE_S = 90           # for the last reply
GROWTH_KIB = 1024       # of a process, from the warm-up to the end, at most
PROCESSES = ("rookeryd", "gatewayd", "apid", "workerd", "qqsim")
# It remembers every event and message: it grows, and that is its business.
MAY_GROW = ("qqsim",)
RECONNECTS = ([{"fault": "close", "code": 4009}], [{"fault": "op7"}],
              [{"fault": "reset"}])


def start(rig, rate):
    # Small tables, and the few connections to the platform, are full before
    # the warm-up is over.
    rig.settings.update({"ROOKERY_WORKERS": "2",
                         "ROOKERY_SEND_CONNECTIONS": "8",
                         "ROOKERY_DEDUP_EVENTS": "1024"})
    rig.start()
    rig.wait(["live=1"])
    rig.tell("POST", "load", {"rate": rate, "count": 10**9, "scope": "all",
                              "conversations": 64, "text": "ping"})


def watch(rig, seconds):
    """{(pid, name): [(second, sample)]}"""
    series, began = {}, time.monotonic()
    pids = {p: n for p, n in rigs.family(os.getpid()).items()
            if n in PROCESSES}
    next_cut, cuts, next_look = RECONNECT_S, 0, CALM_S
    while (at := time.monotonic() - began) < seconds:
        if at >= next_cut:
            rig.tell("POST", "fault", RECONNECTS[cuts % len(RECONNECTS)])
            cuts, next_cut = cuts + 1, next_cut + RECONNECT_S
            next_look = max(next_look, at + CALM_S)
        if at >= next_look:
            for pid, name in pids.items():
                if (now := gauge.sample(pid)) is None:
                    raise Failed(f"{name} has ended")
                series.setdefault((pid, name), []).append((at, now))
            next_look = at + max(seconds / SAMPLES, 0.2)
        time.sleep(0.05)
    return series


def part(points, what, begin):
    """The median of a tenth of the series."""
    at = int(len(points) * begin)
    return statistics.median(s[what] for _, s in
                             points[at:at + max(len(points) // 10, 1)])


def judge(series):
    """(rows of the table, what is wrong)"""
    rows, wrong = [["process", "what", "start", "warm", "middle", "end",
                    "an hour"]], []
    for (pid, name), points in sorted(series.items(), key=lambda x: x[0][1]):
        warm = [p for p in points if p[0] >= WARM_UP_S]
        for what in points[0][1]:
            first, last = part(warm, what, 0), part(warm, what, 0.9)
            hour = gauge.slope([(t, s[what]) for t, s in warm]) * 3600
            rows.append([f"{name}[{pid}]", what, f"{points[0][1][what]}",
                         f"{first:.0f}", f"{part(warm, what, 0.45):.0f}",
                         f"{last:.0f}", f"{hour:+.0f}"])
            bound = GROWTH_KIB if what == "memory KiB" else 0
            if last > first + bound and name not in MAY_GROW:
                wrong.append(f"{name}: {what} from {first:.0f} to {last:.0f}")
    return rows, wrong


def run(programs, seconds, rate):
    """(rows, report, what is wrong)"""
    rig, rows, report = rigs.Rig(programs, level="warn"), [], None
    wrong = []
    try:
        start(rig, rate)
        rows, wrong = judge(watch(rig, seconds))
        rig.tell("DELETE", "load")
        report = rig.wait(["idle=1"], SETTLE_S)
        for name in ("missing", "doubled", "out_of_order", "lost"):
            if report["total"][name]:
                wrong.append(f"{report['total'][name]} {name}")
    except (Failed, OSError, ValueError) as e:
        wrong.append(f"{type(e).__name__}: {e}")
    except KeyboardInterrupt:
        rigs.kill_all()
        rig.remove()
        raise
    wrong += rig.finish()
    rig.remove()
    return rows, report, wrong


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--minutes", type=float, default=20)
    p.add_argument("--rate", type=int, default=200)
    p.add_argument("--programs", default=os.path.join(TOP, "build"))
    o = p.parse_args()
    if o.minutes * 60 < 2 * WARM_UP_S:
        p.error(f"at least {2 * WARM_UP_S // 60} minutes")
    rigs.become_subreaper()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        rows, report, wrong = run(o.programs, o.minutes * 60, o.rate)
    except KeyboardInterrupt:
        return 130
    for r in rows:
        print(f"{r[0]:16} {r[1]:12}" + "".join(f"{c:>10}" for c in r[2:]))
    if report:
        print(f"{report['total']['replied']} replies, "
              f"{report['counters']['resumes']} resumes, longest latency "
              f"{report['latency_us']['max'] // 1000} ms")
    for w in wrong:
        print("WRONG:", w)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
