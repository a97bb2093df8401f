#!/usr/bin/env python3
"""seen.py FILE COUNT: waits for so many lines of events, and sums them up."""
import json, sys, time

path, count = sys.argv[1], int(sys.argv[2])
until = time.monotonic() + 20
lines = []
while len(lines) < count and time.monotonic() < until:
    with open(path) as f:
        lines = f.read().split("\n")[:-1]
    time.sleep(0.02)
events = [json.loads(line) for line in lines]
words = lambda key: " ".join(sorted({str(e[key]) for e in events}))
print(f"{len(events)} events, {len({e['id'] for e in events})} ids, types "
      f"{words('type')}, attempts {words('attempt')}")
