#!/usr/bin/env python3
"""A pool of workers that is down while events come.

  backlog.py [--events N] [--rate N] [--kill] [--programs FOLDER]

With --rate they come at so many a second, else as fast as the simulator can
make them.  While no worker runs gatewayd takes them in; its memory is looked
at when it has all of them; with --kill it is then killed, and has them again
from its journal; then two workers are started.  Every event must be answered,
once and in order.
"""
import argparse
import os
import signal
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "cases"))
sys.path.insert(0, HERE)
import gauge              # noqa: E402
import rig as rigs        # noqa: E402
from rig import Failed, TOP, until    # noqa: E402

LIMIT_MIB = 64              # of gatewayd, with the whole backlog
CONVERSATIONS = 1024        # of each scope
BACK_S = 120                # for the last reply
WINDOW_S = 3600             # for a reply, wherever it goes


def queued(rig):
    app = (rig.child("gateway") or {}).get("app") or {}
    return app.get("queue", {}).get("events", 0)


def await_queue(rig, events, within):
    until(f"gatewayd has {events} events", lambda: queued(rig) >= events,
          within)


def come_and_go(rig, events, rate, kill):
    """{figure: value} of a backlog of so many events."""
    rig.settings.update({"ROOKERY_WORKERS": "0",
                         "ROOKERY_GROUP_WINDOW_S": str(WINDOW_S)})
    rig.start()
    rig.tell("POST", "bot", {"group_window_s": WINDOW_S})
    rig.wait(["live=1"])
    pid = rig.pid("gateway")
    before = gauge.memory_kib(pid)
    load = {"rate": rate} if rate else {"outstanding": events}
    rig.tell("POST", "load", {**load, "count": events, "scope": "all",
                              "conversations": CONVERSATIONS, "text": "ping"})
    taking = time.monotonic()
    await_queue(rig, events, 30 + events / (rate or 2000))
    figures = {"seconds to take them in":
               round(time.monotonic() - taking, 1)}
    held = gauge.memory_kib(pid)
    if kill:
        began = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        until("gatewayd is another", lambda: rig.pid("gateway") != pid)
        pid = rig.pid("gateway")
        await_queue(rig, events, 30)
        figures["seconds to have them again"] = \
            round(time.monotonic() - began, 1)
        held = max(held, gauge.memory_kib(pid))
    status, said = rig.rookery("scale", "2")
    if status != 0:
        raise Failed(f"rookery scale: {said}")
    answering = time.monotonic()
    report = rig.wait(["idle=1", f"replied={events}"], BACK_S)
    total = report["total"]
    if rig.pid("gateway") != pid:
        raise Failed("gatewayd is another process now")
    for name in ("missing", "doubled", "out_of_order", "lost"):
        if total[name]:
            raise Failed(f"{total[name]} {name}")
    if held[1] > LIMIT_MIB * 1024:
        raise Failed(f"gatewayd takes {held[1]} KiB ({held[0]}) with "
                     f"{events} events, more than {LIMIT_MIB} MiB")
    figures.update({
        "seconds to answer them": round(time.monotonic() - answering, 1),
        f"{held[0]} of gatewayd before, KiB": before[1],
        f"{held[0]} of gatewayd with all, KiB": held[1]})
    return figures


def run(programs, events, rate=0, kill=False):
    """({figure: value}, what is wrong)"""
    rig, wrong, figures = rigs.Rig(programs, level="warn"), [], {}
    try:
        figures = come_and_go(rig, events, rate, kill)
    except (Failed, OSError, ValueError) as e:
        wrong.append(f"{type(e).__name__}: {e}")
    except KeyboardInterrupt:
        rigs.kill_all()
        rig.remove()
        raise
    rig.deaths_expected = True      # scale makes a second generation
    wrong += rig.finish()
    rig.remove()
    return figures, wrong


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--events", type=int, default=60000)
    p.add_argument("--rate", type=int, default=0)
    p.add_argument("--kill", action="store_true")
    p.add_argument("--programs", default=os.path.join(TOP, "build"))
    o = p.parse_args()
    rigs.become_subreaper()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        figures, wrong = run(o.programs, o.events, o.rate, o.kill)
    except KeyboardInterrupt:
        return 130
    for name, value in figures.items():
        print(f"{value:10} {name}")
    for w in wrong:
        print("WRONG:", w)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
