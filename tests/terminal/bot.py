#!/usr/bin/env python3
"""A handler that says everything a terminal has to show."""
import json
import sys

NUMBERS = iter(range(1, 1 << 62))
PICTURE = ("base64:iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+"
           "A8AAQUBAScY42YAAAAASUVORK5CYII=")


def send(**frame):
    print(json.dumps(frame, ensure_ascii=False), flush=True)


def read():
    return json.loads(sys.stdin.readline() or '{"op":"bye"}')


def result(**frame):
    """What became of it; one event at a time, so nothing else comes."""
    n = next(NUMBERS)
    send(id=n, **frame)
    while (f := read()).get("id") != n or f["op"] != "result":
        if f["op"] == "bye":
            sys.exit(0)
    if not f["ok"]:
        sys.exit(f["code"] + ": " + f["message"])
    return f["data"]


def call(ev, do, **args):
    return result(op="call", ev=ev["id"], do=do, **{"with": args})


def reply(ev, text, **more):
    return result(op="reply", ev=ev["id"], text=text, **more)


def button(number, label, kind, data, users=None, **more):
    return {"id": str(number), "render_data": {
        "label": label, "visited_label": label, "style": 1},
        "action": {"type": kind, "data": data, "unsupport_tips": "no",
                   "permission": {"type": 2} if users is None else
                   {"type": 0, "specify_user_ids": users}, **more}}


def keyboard(*buttons):
    return {"content": {"rows": [{"buttons": list(buttons[i:i + 3])}
                                 for i in range(0, len(buttons), 3)]}}


def stream(ev, *texts):
    more = {}
    for i, text in enumerate(texts):
        data = call(ev, "stream", index=i, text=text, format="text",
                    final=i == len(texts) - 1, **more)
        more = more or {"id": data.get("id") or data.get("msg")}


def answer(ev, word, rest):
    if word == "/lines":
        reply(ev, "one\ntwo\x1b[31m\nthree")
    elif word == "/two":
        reply(ev, "first")
        reply(ev, "second")
    elif word == "/md":
        reply(ev, None, markdown="# Title\n**bold**")
    elif word == "/picture":
        reply(ev, "look", image=PICTURE)
    elif word == "/recall":
        call(ev, "recall", msg=reply(ev, "never mind")["msg"])
    elif word == "/edit":
        board = keyboard(button(1, "Tea", 1, "tea"))
        msg = reply(ev, None, markdown="before", keyboard=board)["msg"]
        call(ev, "channel_message_edit", channel_id=ev["conv"][2:],
             message_id=msg, markdown={"content": "after"}, keyboard=board)
    elif word == "/stream":
        stream(ev, "Once", "Once upon a", "Once upon a time\nthere was 二")
    elif word == "/menu":
        reply(ev, None, markdown="choose", keyboard=keyboard(
            button(1, "Tea", 1, "tea"), button(2, "Site", 0, "https://a.b/c"),
            button(3, "Say", 2, "/echo said", enter=True),
            button(4, "Type", 2, "/echo typed"),
            button(5, "Mine", 1, "mine", ["nobody"]),
            button(6, "Bad", 1, "bad")))
    elif word == "/silent":
        pass
    elif word == "/who":
        reply(ev, f"{ev['conv']} {ev['user']} {ev['name']}")
    else:
        reply(ev, "heard " + (rest if word == "/echo" else word))


send(op="hello", v=1, name="terminal", events=["message.*", "interaction"])
while (f := read())["op"] != "bye":
    if f["op"] != "event":
        continue
    if f["type"] == "interaction":
        pressed = f["data"]["data"]["resolved"].get("button_data")
        call(f, "interaction", id=f["data"]["id"],
             code=1 if pressed == "bad" else 0)
    else:
        answer(f, *f["text"].partition(" ")[::2])
    send(op="ack", ev=f["id"])
