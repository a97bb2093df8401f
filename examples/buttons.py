#!/usr/bin/env python3
"""Commands, and a menu with buttons.

    ROOKERY_HANDLER=exec:examples/buttons.py rookery up

/help lists the commands; /menu shows two buttons.  A press of one comes as an
event of its own, `interaction`: the person's client waits until somebody has
said how it went, so that is said first.
"""
import datetime
import json
import sys

COMMANDS = {}


def command(name, meaning):
    def register(fn):
        COMMANDS[name] = fn, meaning
        return fn
    return register


def send(**frame):
    print(json.dumps(frame, ensure_ascii=False), flush=True)


def reply(ev, text=None, **more):
    if text is not None:
        more["text"] = text
    send(op="reply", ev=ev["id"], **more)


def button(number, label, data):
    return {"id": str(number),
            "render_data": {"label": label, "visited_label": label,
                            "style": 1},
            "action": {"type": 1, "permission": {"type": 2}, "data": data,
                       "unsupport_tips": label}}


@command("/help", "what I can do")
def on_help(ev, _rest):
    reply(ev, "\n".join(f"{name}: {meaning}"
                        for name, (_, meaning) in COMMANDS.items()))


@command("/time", "what time it is")
def on_time(ev, _rest):
    reply(ev, datetime.datetime.now().strftime("%H:%M"))


@command("/menu", "buttons to press")
def on_menu(ev, _rest):
    rows = [{"buttons": [button(1, "Tea", "tea"),
                         button(2, "Coffee", "coffee")]}]
    reply(ev, markdown="**What would you like?**",
          keyboard={"content": {"rows": rows}})


def on_message(ev):
    name, _, rest = ev["text"].partition(" ")
    if name in COMMANDS:
        COMMANDS[name][0](ev, rest)


def on_press(ev):
    data = ev["data"]
    # 0: done.  The platform shows a failure when nobody says so in time.
    send(op="call", do="interaction", ev=ev["id"],
         **{"with": {"id": data["id"], "code": 0}})
    pressed = data.get("data", {}).get("resolved", {}).get("button_data", "?")
    reply(ev, f"One {pressed}, coming up")


send(op="hello", v=1, name="buttons", events=["message.*", "interaction"])
for line in sys.stdin:
    f = json.loads(line)
    if f["op"] == "bye":
        break
    if f["op"] != "event":
        continue
    try:
        on_press(f) if f["type"] == "interaction" else on_message(f)
        send(op="ack", ev=f["id"])
    except Exception as e:
        print("buttons:", e, file=sys.stderr)
        send(op="nack", ev=f["id"], why=str(e))
