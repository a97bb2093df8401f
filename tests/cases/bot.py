#!/usr/bin/env python3
"""A handler that does what it is told, much of it badly.

    /echo TEXT   replies, then acks         /numbers N   N replies, then acks
    /kill-before /kill-reply /kill-result /kill-between /kill-ack TEXT
                                            kill -9 of itself, or of its worker
                                            (WHOM=worker), before the reply,
                                            after it, when its result is there,
                                            between two, after the ack: on the
                                            first attempt
    /stream TEXT a message that grows, and its kinds: see streams()
    /exit N      ends with this status      /where       its pid and attempt
    /do NAME JSON    calls it, and replies what came of it: the names of what
                     is in its data, or the code; "LAST" in the JSON is the
                     message last sent
    /tell JSON       replies this, and then what came of that; "FILE" is what
                     the last upload gave
    /write BYTES     writes these and nothing else, as in a Python string; EV
                     is the event
    /ask BYTES       the same, then replies the id and code of the result
    /last BYTES      the same, and ends
    /every FILE      calls all that this file names, with nothing; replies
                     which codes came, when all results have
    and the words of DOES, each a way to misbehave.
"""
import heapq
import json
import os
import random
import select
import signal
import sys
import time

MODE = sys.argv[1] if len(sys.argv) > 1 else ""


KNOWN = {}


def send(**frame):
    sys.stdout.write(json.dumps(frame, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def die():
    if os.environ.get("WHOM") == "worker":
        worker = os.getppid()
        os.kill(worker, signal.SIGKILL)
        while os.getppid() == worker:
            time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGKILL)


def endless(fd, piece):
    while True:
        os.write(fd, piece)


def eat():
    kept = []
    while True:
        kept.append(bytearray(16 << 20))


def leave_others():
    """A process in our group, with our pipes, that nothing else is known of."""
    pid = os.fork()
    if pid == 0:
        os.execve("/bin/sleep", ["sleep", "600"], {})
    with open("left", "w", encoding="ascii") as f:
        f.write(str(pid))
    os._exit(3)


def leave_group():
    """A process that has left everything of ours behind it but its name."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            with open("left", "w", encoding="ascii") as f:
                f.write(str(os.getpid()))
            for fd in range(3):
                os.close(fd)
            time.sleep(600)
        os._exit(0)
    os.wait()
    sys.exit(5)


def close_output():
    os.close(1)
    time.sleep(600)


def flood():
    line = b"a line of many " * 6 + b"\n"
    end = time.monotonic() + 1
    while time.monotonic() < end:
        os.write(2, line * 500)
    sys.exit(4)


DOES = {
    "hang": lambda: time.sleep(600),
    "stubborn": lambda: (signal.signal(signal.SIGTERM, signal.SIG_IGN),
                         time.sleep(600)),
    "garbage": lambda: (os.write(1, b'{"op":"reply",,}\n'), time.sleep(600)),
    "binary": lambda: endless(1, bytes(range(10, 250)) * 100),
    "long": lambda: endless(1, b"{" + b"x" * 65536),
    "calls": lambda: endless(1, b'{"op":"call","do":"me","id":1}\n' * 500),
    "eat": eat,
    "fork": leave_others,
    "setsid": leave_group,
    "mute": close_output,
    "flood": flood,
    "leave": lambda: sys.exit(0),
}


def ask(**frame):
    """Its result; with one event at a time nothing else comes meanwhile."""
    send(id="mine", **frame)
    while (got := json.loads(sys.stdin.readline())).get("id") != "mine":
        pass
    data = got.get("data")
    if frame.get("do", "send") == "send" and got["ok"]:
        KNOWN["last"] = data["msg"]
    if isinstance(data, dict) and "file_info" in data:
        KNOWN["file"] = data["file_info"]
    if not got["ok"]:
        return got["code"]
    return " ".join(["ok"] + sorted(data or {}))


def write(text, i):
    text = text.encode("latin-1", "backslashreplace").decode("unicode_escape")
    os.write(1, text.replace("EV", i).encode("utf-8", "surrogatepass"))


def every(file, i):
    with open(file, encoding="ascii") as f:
        names = f.read().split()
    for name in names:
        send(op="call", id=name, ev=i, do=name, **{"with": {}})
    left, codes = set(names), set()
    while left:
        got = json.loads(sys.stdin.readline())
        left.discard(got.get("id"))
        codes.add("ok" if got["ok"] else got["code"])
    return "all: " + " ".join(sorted(codes))


def part(ev, **args):
    """A part of a stream, and what became of it."""
    send(op="call", id=1, ev=ev["id"], do="stream", **{"with": args})
    for line in sys.stdin:
        f = json.loads(line)
        if f["op"] == "result" and f["id"] == 1:
            return f
    sys.exit(0)


def stream(ev, text, whole=True):
    """Each word is a part; without its end if it is not to be whole.  MODE
    append: each part has its word only."""
    words, got = text.split(" "), None
    for i in range(len(words)):
        args = {"index": i, "format": "text", "text": " ".join(words[:i + 1])}
        if MODE == "append":
            args.update(append=True, text=words[i] + " ")
        if got:
            args["id"] = got
        if whole and i == len(words) - 1:
            args["final"] = True
        r = part(ev, **args)
        if not r["ok"]:
            send(op="log", level="warn", msg="part " + r["code"])
            return False
        got = got or r["data"]["id"]
        time.sleep(float(os.environ.get("PAUSE", "0.12")))
    return True


def streams(name, ev, text):
    first = ev["attempt"] == 1
    if name == "stream-kill" and first:     # in the middle of it
        stream(ev, text, whole=False)
        die()
    if name == "stream-poison":             # and says no more of it
        if first:
            stream(ev, text, whole=False)
        die()
    if name == "stream-drop":               # and gives the event up
        stream(ev, text, whole=False)
        return send(op="nack", ev=ev["id"], drop=True, why="cannot do that")
    if name == "stream-forgot" and first:   # and says it otherwise
        stream(ev, text, whole=False)
        die()
    if name == "stream-forgot":
        send(op="reply", ev=ev["id"], text="another time")
        return send(op="ack", ev=ev["id"])
    if name == "stream-other" and first:    # and says something else then
        stream(ev, text.split("/")[0], whole=False)
        die()
    if name == "stream-other":
        stream(ev, text.split("/")[1])
    elif name == "stream-half":               # and never ends it
        stream(ev, text, whole=False)
    elif name == "stream-again" and first:  # ends it, then is not done
        stream(ev, text)
        die()
    elif name == "stream-two":
        for piece in text.split("/"):
            stream(ev, piece)
            if first and os.environ.get("WHOM"):
                die()
    elif name == "stream-reply":
        send(op="reply", ev=ev["id"], text="before")
        stream(ev, text)
        send(op="reply", ev=ev["id"], text="after")
    elif not stream(ev, text + (" more" if name == "stream-kill" else "")):
        send(op="reply", ev=ev["id"], text=text)
    return send(op="ack", ev=ev["id"])


def command(ev):
    word, _, rest = ev["text"].partition(" ")
    name, first, i = word[1:], ev["attempt"] == 1, ev["id"]
    if name.startswith("stream"):
        return streams(name, ev, rest)
    if name == "kill-before" and first:
        die()
    if name == "kill-result" and first:
        send(op="reply", ev=i, text=rest, id="mine")
        while json.loads(sys.stdin.readline()).get("id") != "mine":
            pass            # what has come beside comes again
        die()
    if name == "kill-between":
        send(op="reply", ev=i, text="first of " + rest)
        if first:
            time.sleep(float(os.environ.get("PAUSE", "0")))
            die()
    if name == "numbers":
        for n in range(int(rest)):
            send(op="reply", ev=i, text=f"{n + 1}")
    elif name == "where":
        send(op="reply", ev=i, text=f"pid {os.getpid()}")
    elif name == "raw":
        raw = ev.get("raw", {})
        send(op="reply", ev=i, text=str(raw.get("d", raw).get("content")))
    elif name == "count":       # what this process remembers
        KNOWN[ev["conv"]] = KNOWN.get(ev["conv"], 0) + 1
        send(op="reply", ev=i, text=str(KNOWN[ev["conv"]]))
    elif name == "do":
        do, _, given = rest.partition(" ")
        given = (given or "{}").replace("LAST", KNOWN.get("last", ""))
        send(op="reply", ev=i, text=ask(op="call", do=do, ev=i,
                                        **{"with": json.loads(given)}))
    elif name == "tell":
        send(op="reply", ev=i,
             text=ask(op="reply", ev=i, **json.loads(
                 rest.replace("FILE", KNOWN.get("file", "")))))
    elif name == "every":
        send(op="reply", ev=i, text=every(rest, i))
    elif name == "write":
        return write(rest, i)
    elif name == "last":
        write(rest, i)
        sys.exit(0)
    elif name == "ask":
        write(rest, i)
        got = json.loads(sys.stdin.readline())
        send(op="reply", ev=i, n=9,
             text=f"{got['id']!r} {got.get('code', 'ok')}")
    elif name == "slow":
        time.sleep(float(rest))
        send(op="reply", ev=i, text=rest)
    elif name == "nack":
        return send(op="nack", ev=i, drop=not first, why="cannot do that")
    elif name == "exit":
        sys.exit(int(rest))
    elif name == "env":
        send(op="reply", ev=i, text=" ".join(
            n for n in sorted(os.environ) if n not in ("TZ", "LANG")
            and not n.startswith("LC_")))
    elif name == "fds":
        send(op="reply", ev=i, text=" ".join(sorted(os.listdir("/proc/self/fd"))))
    elif name in DOES:
        print(f"about to {name}", file=sys.stderr, flush=True)
        DOES[name]()
    else:
        send(op="reply", ev=i, text=rest or ev["text"])
    if name == "kill-reply" and first:
        time.sleep(float(os.environ.get("PAUSE", "0")))
        die()
    send(op="ack", ev=i)
    if name == "kill-ack" and first:
        die()
    return None


def dawdle(fd):
    """Every event has its reply and ack at some time within 0.2 s, in no
    order; two of a conversation at once are an error of the host."""
    held, rest = [], b""
    while True:
        wait = max(0, held[0][0] - time.monotonic()) if held else None
        if select.select([fd], [], [], wait)[0]:
            got = os.read(fd, 1 << 16)
            if not got:
                return
            *lines, rest = (rest + got).split(b"\n")
            for ev in map(json.loads, lines):
                if ev["op"] != "event":
                    continue
                if any(ev["conv"] == h["conv"] for _, _, h in held):
                    sys.exit(f"two of {ev['conv']} at once")
                heapq.heappush(held, (
                    time.monotonic() + random.uniform(0, 0.2), ev["id"], ev))
        while held and held[0][0] <= time.monotonic():
            _, i, ev = heapq.heappop(held)
            send(op="reply", ev=i, text=ev["text"])
            send(op="ack", ev=i)


if MODE == "silent":
    time.sleep(600)
if MODE == "marked":        # as some languages begin every output
    os.write(1, b"\xef\xbb\xbf")
if MODE == "config":
    print("no key is set", file=sys.stderr)
    sys.exit(78)
# What it asks for beside: want=raw,ping=500,late=0.
wishes = {}
for word in MODE.split(",") if "=" in MODE else ():
    name, _, value = word.partition("=")
    wishes[name] = [value] if name == "want" else \
        value == "1" if name == "late" else int(value)
send(op="hello", v=2 if MODE == "future" else 1, name="bot",
     events=["message.*"],
     **{"slots": 4 if MODE == "wide" else 1, **wishes})
if "slots" in wishes:
    dawdle(0)
    sys.exit(0)
if MODE == "deaf" or "deaf" in wishes:
    time.sleep(600)
for line in sys.stdin:
    f = json.loads(line)
    if f["op"] == "bye":
        break
    if f["op"] == "ping":
        send(op="pong", t=f["t"])
    if f["op"] == "event":
        command(f)
