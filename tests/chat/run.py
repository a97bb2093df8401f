#!/usr/bin/env python3
# deadline: 240
"""A person at the chat page: the whole system from a browser.

Chromium, headless, told what to do by WebDriver; against `rookery up --sim`
of build/ (the first argument names another folder).  Prints "ok NAME" or
"not ok NAME", and at the end "# N passed, M failed".
"""
import base64
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

sys.dont_write_bytecode = True
TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "cases"))
import rig as rigs                       # noqa: E402
from rig import Failed, until            # noqa: E402
from browser import (Browser, Program, last_bubble, pick,  # noqa: E402
                     start_driver)

PROGRAMS = sys.argv[1] if len(sys.argv) > 1 else os.path.join(TOP, "build")
WAIT_S = 20
# What the simulator lets a bot have.
GRANTED = sum(1 << bit for bit in (0, 1, 10, 12, 18, 19, 23, 24, 25, 26, 27,
                                   29, 30))
KEYS = {"enter": "\ue007", "tab": "\ue004"}


def expect(good, what):
    if not good:
        raise Failed(what)


# --- the system and its page ---------------------------------------------------

def start_system(folder):
    """(program, address of the chat page)"""
    env = {k: v for k, v in os.environ.items()
           if not k.startswith(("QQ_", "ROOKERY_"))}
    env.update(ROOKERY_SIM_LISTEN="127.0.0.1:0", ROOKERY_ENV_FILE="",
               ROOKERY_LOG="debug", QQ_INTENTS=str(GRANTED))
    program = Program([os.path.join(PROGRAMS, "rookery"), "up", "--sim"],
                      folder, env)
    found = until("the address of the chat page is said", lambda: re.search(
        r"http://127\.0\.0\.1:\d+/", program.said().partition("chat with")[2]))
    return program, found[0]


def say(page, text, key=False):
    """Types it, sends it, and waits for what the bot makes of it."""
    page.write("#text", text + (KEYS["enter"] if key else ""))
    if not key:
        page.click("#send")
    until(f"the bot answers {text!r}",
          lambda: last_bubble(page) == "收到消息: " + text, WAIT_S)


# --- what a person does -------------------------------------------------------

def test_a_user_is_answered(page):
    until("the bot is online", lambda: "online" in page.texts("#state")[0])
    pick(page, "c2c")
    say(page, "hello")
    expect(page.texts("#log .bubble.user .body") == ["hello"],
           "one bubble of the user")
    expect(page.texts("#log .bubble.bot .body") == ["收到消息: hello"],
           "one bubble of the bot")


def test_enter_sends(page):
    say(page, "by the keyboard", key=True)
    expect(page.run("return document.activeElement.id") == "text",
           "the focus stays in the box")


def test_group_channel_and_direct_message(page):
    for scope in ("group", "channel", "dm"):
        pick(page, scope)
        say(page, f"to a {scope}")
        expect(page.texts("#log .bubble.user .body") == [f"to a {scope}"],
               "a conversation of its own")


def test_what_was_said_comes_back_with_its_conversation(page):
    pick(page, "c2c")
    until("both bubbles of before", lambda: page.texts(
        "#log .bubble.bot .body")[:2] == ["收到消息: hello",
                                          "收到消息: by the keyboard"])


def test_markup_is_text(page):
    pick(page, "c2c")
    evil = "<img src=x onerror=\"document.title='hit'\"><b>bold</b>&lt;"
    say(page, evil)
    expect(page.run("return document.querySelectorAll("
                    "'#log img, #log b, #frames img, #frames b').length") == 0,
           "no element is made of it")
    expect(page.run("return document.title") != "hit", "nothing of it is run")


def test_frames_are_shown(page):
    until("the event and the call are among the frames", lambda: all(
        any(word in t for t in page.texts("#frames > li"))
        for word in ("C2C_MESSAGE_CREATE", "POST /v2/users/")))
    shown = " ".join(page.texts("#frames > li"))
    for secret in page.secrets:
        expect(secret not in shown, "no secret and no token is shown")


def test_language(page):
    def words():
        return page.texts("#send")[0], page.run(
            "return document.documentElement.lang")
    before = words()
    page.click("#lang")
    after = words()
    expect(before[0] != after[0] and before[1] != after[1],
           f"it changes: {before} {after}")
    expect({before[0], after[0]} == {"Send", "发送"}, f"{before} {after}")
    page.click("#lang")
    expect(words() == before, "and back")


def test_a_fault_and_then_an_answer(page):
    page.click("#tab-faults")
    until("the faults are shown", lambda: page.texts("#faults button"))
    resumed = page.report()["counters"]["resumes"]
    press(page, "close")
    until("the session is resumed", lambda: page.report()["counters"][
        "resumes"] > resumed and page.report()["counters"]["live"] == 1)
    pick(page, "c2c")
    say(page, "after the close")
    press(page, "send_half")
    say(page, "with a lost answer")
    counters = page.report()
    expect(counters["total"]["doubled"] == 0, "nothing is doubled")
    expect(counters["total"]["deduped"] == 1, "the answer was lost")
    page.click("#tab-frames")


def press(page, fault):
    """Clicks the button of a fault, which names it."""
    pressed = page.run(
        "const b = [...document.querySelectorAll('#faults button')].find("
        "b => b.textContent.trim() === arguments[0] ||"
        " b.dataset.fault === arguments[0]);"
        "if (b) b.click(); return !!b", fault)
    expect(pressed, f"there is a button for {fault}")


def test_the_bot_goes_and_comes_back(page):
    page.rookery("restart", "gateway")
    until("the bot is back", lambda: page.report()["counters"]["live"] == 1)
    pick(page, "group")
    say(page, "after the restart")


# --- what a bot says ------------------------------------------------------------

# One pixel.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGA"
    "WjR9awAAAABJRU5ErkJggg==")
ROUTES = {"u": "/v2/users/", "g": "/v2/groups/", "c": "/channels/",
          "d": "/dms/"}


def route(value):
    """Of the conversation with this value in the list."""
    letter, target = value.partition("/")[2].split(":")
    return ROUTES[letter] + target


def bot_says(page, value, **body):
    """Past the system, straight to the simulator; the message's id."""
    if value.partition("/")[2][0] in "ug":
        body.setdefault("msg_type", 0)
    told = page.api("POST", route(value) + "/messages", body)
    until("the page shows it", lambda: has(page, bubble(told["id"])))
    return told["id"]


def bubble(ident, inner=""):
    return f'#log [data-id="{ident}"] {inner}'.strip()


def has(page, selector):
    return page.run("return !!document.querySelector(arguments[0])", selector)


def count(page, selector):
    return page.run("return document.querySelectorAll(arguments[0]).length",
                    selector)


def text(page, selector):
    return "\n".join(page.texts(selector))


def events(page, kind):
    """What d was in the events of this kind, as the traffic shows it."""
    return page.run(
        "return [...document.querySelectorAll('#frames > li')].map("
        "e => e.row.text).filter(x => x.startsWith(arguments[0] + ' s=')).map("
        "x => JSON.parse(x.slice(x.indexOf('{'))).data.d)", kind)


def next_event(page, kind, before):
    until(f"{kind} is given", lambda: len(events(page, kind)) > before)
    return events(page, kind)[-1]


def test_markdown_is_rendered(page):
    value = pick(page, "c2c")
    held = page.hold("dot.png", PNG)
    ident = bot_says(page, value, msg_type=2, markdown={"content": (
        "# Title\n## Second\nplain **bold** *italic* ~~gone~~ ***both***\n"
        "snake_case_name and 2 * 3 * 4\n\u200b\n"
        "- one\n    - inner\n- two\n\n3. three\n4. four\n\n"
        "> said\n> before\n\n***\n```c\nint *x = \"<b>\";\n```\n"
        "| a | b |\n|---|---|\n| 1 | 2 |\n\n"
        "[ok](https://a.example/x) [bad](javascript:alert(1)) "
        "<https://b.example/>\n"
        f"![dot #20px #30px]({held}) ![far](https://c.example/y.png)\n"
        "<script>document.title='hit'</script><img src=x onerror=alert(1)>\n"
        "<qqbot-cmd-input text=\"%2Fhelp\" show=\"help\" />")})
    for selector, n in (
            ("h3", 1), ("h4", 1), ("strong", 2), ("em", 2), ("s", 1),
            ("ul", 2), ("ul ul li", 1), ("ol[start='3'] li", 2),
            ("blockquote br", 1), ("hr", 1), ("pre code", 1), ("th", 2),
            ("td", 2), ("a[target=_blank][rel~=noopener]", 3),
            ("a[href^='javascript']", 0), ("script", 0), ("img", 1),
            ("img[width='20'][height='30'][alt=dot]", 1)):
        expect(count(page, bubble(ident, ".markdown " + selector)) == n,
               f"{n} of {selector}")
    said = text(page, bubble(ident, ".markdown"))
    for part in ("snake_case_name", "2 * 3 * 4", "<script>", 'int *x = "<b>";',
                 "<img src=x onerror=alert(1)>"):
        expect(part in said, f"{part} is text")
    expect(page.run("return document.title") != "hit", "nothing of it is run")
    page.click(bubble(ident, ".command"))
    expect(page.run("return document.querySelector('#text').value") ==
           "/help", "a command fills the box")
    page.run("fillBox('')")


def test_mentions_and_faces(page):
    value = pick(page, "channel")
    me = page.state()["bots"][0]
    ident = bot_says(page, value, content=(
        f"<@!{me['user_id']}> <#1600001> <emoji:4> <emoji:99999> @everyone "
        "&lt;b&gt; &amp;lt; https://a.example/?q=1"))
    expect(text(page, bubble(ident, ".body")) == (
        f"@{me['name']} #1600001 [得意] [emoji 99999] @everyone "
        "<b> &lt; https://a.example/?q=1"), text(page, bubble(ident, ".body")))
    expect(count(page, bubble(ident, ".mention")) == 3, "three mentions")
    expect(count(page, bubble(ident, ".face")) == 2, "two faces")
    expect(count(page, bubble(ident, "a")) == 1, "one link")


def key(ident, label, **action):
    action.setdefault("permission", {"type": 2})
    return {"id": ident, "render_data": {
        "label": label, "visited_label": label + "!", "style": 1},
        "action": {"data": "data of " + ident, **action}}


def board(*rows):
    return {"content": {"rows": [{"buttons": list(row)} for row in rows]}}


def press_key(page, ident, button):
    """What the click made of it: d of the INTERACTION_CREATE."""
    before = len(events(page, "INTERACTION_CREATE"))
    page.click(bubble(ident, f'[data-button="{button}"]'))
    return next_event(page, "INTERACTION_CREATE", before)


def test_buttons_are_pressed_and_acknowledged(page):
    value = pick(page, "c2c")
    first, second = key("b1", "One", type=1), key("b2", "Two", type=1)
    first["group_id"] = second["group_id"] = "g"
    ident = bot_says(
        page, value, msg_type=2, markdown={"content": "choose"},
        keyboard=board([first, second, key("b3", "Three", type=1)], [
            key("b4", "Web", type=0, data="https://a.example/"),
            key("b5", "Odd", type=0, data="javascript:alert(1)")]))
    d = press_key(page, ident, "b1")
    expect(d["data"]["resolved"] == {
        "button_data": "data of b1", "button_id": "b1", "message_id": ident},
        f"{d}")
    expect(d["scene"] == "c2c" and d["user_openid"] == value[-32:], f"{d}")
    state = bubble(ident, '[data-button="{}"][data-press={}]')
    until("it waits", lambda: has(page, state.format("b1", "waiting")))
    expect(page.run("return document.querySelector(arguments[0]).disabled",
                    bubble(ident, '[data-button=b2]')), "the other is grey")
    page.api("PUT", "/interactions/" + d["id"], {"code": 0})
    until("it is done", lambda: has(page, state.format("b1", "done")))
    expect(text(page, bubble(ident, "[data-button=b1]")).startswith("One!"),
           "the label of a visited button")
    d = press_key(page, ident, "b3")
    page.api("PUT", "/interactions/" + d["id"], {"code": 4})
    until("it has failed", lambda: has(page, state.format("b3", "failed")))
    expect("no right" in text(page, bubble(ident, "[data-button=b3]")),
           "and it says why")
    expect(count(page, bubble(ident, "a.key")) == 1, "one link among them")


def test_buttons_of_a_group(page):
    value = pick(page, "group")
    ident = bot_says(
        page, value, msg_type=2, markdown={"content": "choose"},
        keyboard=board([
            key("all", "All", type=1),
            key("few", "Few", type=1, permission={
                "type": 0, "specify_user_ids": ["SOMEBODY"]}),
            key("top", "Top", type=1, permission={"type": 1})], [
            key("cmd", "Command", type=2, data="/roll", reply=True),
            key("app", "App", type=3, unsupport_tips="get the app")]))
    d = press_key(page, ident, "all")
    expect(d["chat_type"] == 1 and d["group_openid"] == value[-32:] and
           "message_id" not in d["data"]["resolved"], f"{d}")
    for button in ("few", "top"):
        page.click(bubble(ident, f"[data-button={button}]"))
        until("it is refused", lambda: "not for you" in text(
            page, "#problem"))
        page.run("problem('')")
    page.click('#role option[value="admin"]')
    press_key(page, ident, "top")
    page.click('#role option[value="member"]')
    page.click(bubble(ident, "[data-button=cmd]"))
    expect(page.run("return document.querySelector('#text').value") ==
           "/roll", "the command stands in the box")
    expect(not has(page, "#quoting[hidden]"), "and quotes the message")
    page.run("fillBox('')")
    page.click("#unquote")
    page.click(bubble(ident, "[data-button=app]"))
    expect(text(page, "#problem") == "get the app", "what old clients say")
    page.run("problem('')")


def test_a_button_asks_first_and_sends(page):
    value = pick(page, "c2c")
    ident = bot_says(
        page, value, msg_type=2, markdown={"content": "choose"},
        keyboard=board([
            key("ask", "Ask", type=1, modal={
                "content": "Really?", "confirm_text": "yes",
                "cancel_text": "no"}),
            key("cmd", "Command", type=2, data="/go", enter=True)]))
    before = len(events(page, "INTERACTION_CREATE"))
    page.click(bubble(ident, "[data-button=ask]"))
    until("it asks", lambda: has(page, "#ask[open]"))
    expect(text(page, "#ask-what") == "Really?", "in its own words")
    page.click("#ask-no")
    until("it is gone", lambda: not has(page, "#ask[open]"))
    page.click(bubble(ident, "[data-button=ask]"))
    until("it asks again", lambda: has(page, "#ask[open]"))
    page.click("#ask-yes")
    next_event(page, "INTERACTION_CREATE", before)
    expect(len(events(page, "INTERACTION_CREATE")) == before + 1,
           "a no is no click")
    page.click(bubble(ident, "[data-button=cmd]"))
    until("the command is sent and answered",
          lambda: last_bubble(page) == "收到消息: /go")


def test_cards(page):
    value = pick(page, "channel")
    ident = bot_says(page, value, embed={
        "title": "T", "prompt": "p", "fields": [{"name": "l1"},
                                                {"name": "<i>"}]})
    expect(text(page, bubble(ident, ".card")) == "Tl1<i>", "the embed")
    for template, kv, said in (
            (23, [{"key": "#DESC#", "value": "d"}, {"key": "#LIST#", "obj": [
                {"obj_kv": [{"key": "desc", "value": "x"},
                            {"key": "link", "value": "https://a.example"}]},
                {"obj_kv": [{"key": "desc", "value": "y"}]}]}], "dxy"),
            (24, [{"key": "#TITLE#", "value": "t"},
                  {"key": "#METADESC#", "value": "m"}], "tm"),
            (37, [{"key": "#METATITLE#", "value": "big"},
                  {"key": "#METAURL#", "value": "https://b.example/"}],
             "bighttps://b.example/")):
        ident = bot_says(page, value, ark={"template_id": template,
                                           "kv": kv})
        expect(text(page, bubble(ident, ".card")) == said,
               f"ark {template}: " + text(page, bubble(ident, ".card")))


def test_pictures_and_files_of_the_bot(page):
    value = pick(page, "c2c")
    for number, data, name, shown in (
            (1, PNG, "", ".media img"), (3, b"RIFF\0\0\0\0WAVE", "",
                                         ".media audio[controls]"),
            (2, b"\0\0\0\x18ftypmp42", "", ".media video[controls]"),
            (4, b"text", "a.txt", ".media a.file[download='a.txt']")):
        info = page.api("POST", route(value) + "/files", {
            "file_type": number, "srv_send_msg": False, "file_name": name,
            "file_data": base64.b64encode(data).decode()})["file_info"]
        ident = bot_says(page, value, msg_type=7, content="a caption",
                         media={"file_info": info})
        expect(has(page, bubble(ident, shown)), f"{shown} of {number}")
        expect(text(page, bubble(ident, ".body")) == "a caption", "words")
        if number == 1:
            until("the picture is there", lambda at=bubble(
                ident, "img"): page.run("return document.querySelector("
                                        "arguments[0]).naturalWidth", at))
    info = page.api("POST", route(value) + "/files", {
        "file_type": 1, "url": "https://a.example/p.png"})["file_info"]
    ident = bot_says(page, value, msg_type=7, media={"file_info": info})
    expect(count(page, bubble(ident, "img")) == 0 and has(page, bubble(
        ident, 'a[href="https://a.example/p.png"]')), "elsewhere: a link")


def test_typing_and_growing(page):
    value = pick(page, "c2c")
    say(page, "think about it")
    ident = page.run("return state.chats.filter(m => m.who === 'user')"
                     ".pop().id")
    page.api("POST", route(value) + "/messages", {
        "msg_type": 6, "msg_id": ident, "msg_seq": 9,
        "input_notify": {"input_type": 1, "input_second": 60}})
    until("it is typing", lambda: has(page, "#log .typing"))
    stream = {"msg_id": ident, "msg_seq": 8, "input_mode": "replace",
              "content_type": "markdown"}
    for n, over in ((1, False), (2, False), (3, True)):
        told = page.api("POST", route(value) + "/stream_messages", {
            **stream, "index": n - 1, "input_state": 10 if over else 1,
            "content_raw": " ".join(["**word**"] * n)})
        stream["stream_msg_id"] = told["id"]
        until("it grows", lambda at=bubble(told["id"], "strong"), n=n:
              count(page, at) == n)
        expect(not has(page, "#log .typing"), "it types no more")
        expect(has(page, bubble(told["id"]) + ".growing") == (not over),
               "and it is seen whether there is more to come")


def test_quotes(page):
    value = pick(page, "c2c")
    say(page, "first")
    ident = bot_says(page, value, content="as you said",
                     message_reference={"message_id": page.run(
                         "return indexOf(state.chats.filter("
                         "m => m.who === 'user').pop().id)")})
    expect(text(page, bubble(ident, ".quote")).endswith(": first"),
           "the bot quotes it")
    before = len(events(page, "C2C_MESSAGE_CREATE"))
    page.click(bubble(ident, '[data-act="quote"]'))
    expect("as you said" in text(page, "#quoting"), "it is to be quoted")
    say(page, "what do you mean")
    d = next_event(page, "C2C_MESSAGE_CREATE", before)
    index = "REFIDX_" + ident[len("ROBOT1.0_"):]
    expect(d["message_type"] == 103 and
           d["msg_elements"][0]["content"] == "as you said" and
           "ref_msg_idx=" + index in d["message_scene"]["ext"], f"{d}")
    expect(text(page, bubble(d["id"], ".quote")).endswith("as you said"),
           "and shown")
    value = pick(page, "channel")
    ident = bot_says(page, value, content="in a channel")
    before = len(events(page, "AT_MESSAGE_CREATE"))
    page.click(bubble(ident, '[data-act="quote"]'))
    say(page, "yes")
    expect(next_event(page, "AT_MESSAGE_CREATE", before)[
        "message_reference"] == {"message_id": ident}, "by its own id")


def test_recalls(page):
    value = pick(page, "channel")
    ident = bot_says(page, value, content="never mind")
    page.api("DELETE", f"{route(value)}/messages/{ident}")
    until("the bot's is recalled",
          lambda: has(page, bubble(ident) + ".recalled"))
    for scope, kind in (("channel", "PUBLIC_MESSAGE_DELETE"),
                        ("dm", "DIRECT_MESSAGE_DELETE")):
        value = pick(page, scope)
        say(page, "oops")
        ident = page.run("return state.chats.filter(m => m.who === 'user')"
                         ".pop().id")
        before = len(events(page, kind))
        page.click(bubble(ident, '[data-act="recall"]'))
        d = next_event(page, kind, before)
        expect(d["message"]["id"] == ident and
               d["op_user"]["id"] == d["message"]["author"]["id"], f"{d}")
        until("it is shown as recalled",
              lambda at=ident: has(page, bubble(at) + ".recalled"))
    pick(page, "c2c")
    expect(not has(page, '#log [data-act="recall"]'),
           "users and groups have no such event")


def test_reactions(page):
    value = pick(page, "channel")
    ident = bot_says(page, value, content="do you like it")
    page.click(bubble(ident, '[data-act="react"]'))
    for kind, pressed in (("MESSAGE_REACTION_ADD", "true"),
                          ("MESSAGE_REACTION_REMOVE", "false")):
        before = len(events(page, kind))
        page.click(bubble(ident, '[data-act="react-128077"]'))
        d = next_event(page, kind, before)
        expect(d["target"]["id"] == ident and
               d["emoji"] == {"id": "128077", "type": 2}, f"{d}")
        until("it is shown", lambda p=pressed: has(page, bubble(
            ident, f'[data-act="react-128077"][aria-pressed={p}]')))


def test_files_of_a_person(page):
    for scope, kind in (("c2c", "C2C_MESSAGE_CREATE"),
                        ("channel", "AT_MESSAGE_CREATE")):
        pick(page, scope)
        before = len(events(page, kind))
        page.write("#file", page.file("dot.png", PNG) + "\n" +
                   page.file("notes.txt", b"some words"))
        until("both are picked", lambda: count(page, "#picked li") == 2)
        page.click("#send")
        d = next_event(page, kind, before)
        first, second = d["attachments"]
        expect((first["content_type"], first["filename"], first["width"],
                first["size"]) == ("image/png", "dot.png", 1, len(PNG)),
               f"{first}")
        expect(second["content_type"] == "file", f"{second}")
        expect(page.fetch(first["url"]) == PNG and
               page.fetch(second["url"]) == b"some words", "its bytes")
        until("it is shown", lambda at=bubble(d["id"], "img"): page.run(
            "const e = document.querySelector(arguments[0]);"
            "return e && e.naturalWidth", at))
        expect(has(page, bubble(d["id"], "a.file")), "and the file")
        expect(has(page, "#picked[hidden]"), "nothing is left picked")


def test_coming_and_going(page):
    page.click("#more")
    for scope in ("c2c", "group", "channel"):
        pick(page, scope)
        kinds = page.run("return [...document.querySelectorAll('#deeds .act')]"
                         ".map(e => e.dataset.act)")
        expect(len(kinds) >= 4, f"{kinds}")
        for kind in kinds:
            before = len(events(page, kind))
            page.click(f'#deeds [data-act="{kind}"]')
            next_event(page, kind, before)
        if scope != "channel":      # what is of a guild is in no chat
            until("each is in the chat", lambda all=kinds: set(all) <= set(
                page.run("return [...document.querySelectorAll('#log .notice')"
                         "].map(e => e.dataset.t)")))
    page.click("#more")


def test_any_event(page):
    page.click("#tab-events")
    until("the kinds are there", lambda: count(page, "#kind option") == 57)
    pick(page, "channel")
    page.click('#kind option[value="AUDIO_START"]')
    expect("audio_url" in text(page, "#sample"), "a sample is shown")
    page.run("document.querySelector('#with').value = arguments[0]",
             '{"text": "a given song"}')
    page.click('#odd input[value="missing"]')
    page.click("#give")
    until("it is given", lambda: "Sent" in text(page, "#given"))
    d = next_event(page, "AUDIO_START", 0)
    expect(d["text"] == "a given song" and "audio_url" not in d, f"{d}")
    page.run("document.querySelector('#with').value = '['")
    page.click("#give")
    until("it is refused", lambda: "JSON" in text(page, "#given"))
    page.click("#tab-frames")


# --- and still -------------------------------------------------------------------

def test_narrow_screen(page):
    page.ask("POST", "/window/rect", {"width": 500, "height": 800})
    wide = page.run("return document.documentElement.scrollWidth > "
                    "window.innerWidth")
    expect(not wide, "nothing sticks out on the right")
    pick(page, "c2c")
    say(page, "on a telephone")
    page.ask("POST", "/window/rect", {"width": 1200, "height": 900})


def test_the_console_is_quiet(page):
    said = [e["message"] for e in page.ask("POST", "/se/log",
                                           {"type": "browser"})
            if e["level"] == "SEVERE"]
    expect(not said, f"errors in the console: {said}")


# --- all of them --------------------------------------------------------------

def ask(port, method, path, body=None, headers=None):
    """Bytes of the answer, which must be a good one."""
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
    try:
        c.request(method, path, None if body is None else json.dumps(body),
                  {"Content-Type": "application/json", **(headers or {})})
        answer = c.getresponse()
        data = answer.read()
    finally:
        c.close()
    expect(answer.status < 300, f"{method} {path}: {answer.status} {data}")
    return data


def equip(page, url, folder):
    """What tests need beside the page itself."""
    port = int(url.rsplit(":", 1)[1].strip("/"))

    def rookery(*argv):
        done = subprocess.run([os.path.join(PROGRAMS, "rookery"), *argv],
                              cwd=folder, stdout=subprocess.PIPE, timeout=60,
                              stderr=subprocess.STDOUT, check=False)
        expect(done.returncode == 0, done.stdout.decode())
    env = rigs.settings_of(os.path.join(folder, ".rookery", "state", "sim",
                                        "sim.env"))

    def api(method, path, body=None):
        told = json.loads(ask(port, "POST", "/app/getAppAccessToken", {
            "appId": env["QQ_APP_ID"],
            "clientSecret": env["QQ_CLIENT_SECRET"]}))
        return json.loads(ask(port, method, path, body, {
            "Authorization": "QQBot " + told["access_token"]}) or b"null")

    def file(name, data):
        path = os.path.join(folder, name)
        with open(path, "wb") as f:
            f.write(data)
        return path

    def hold(name, data):
        return json.loads(ask(port, "POST", "/sim/file", {
            "name": name, "data": base64.b64encode(data).decode()}))["url"]
    page.report = lambda: json.loads(ask(port, "GET", "/sim/report"))
    page.state = lambda: json.loads(ask(port, "GET", "/sim/state"))
    page.fetch = lambda at: ask(port, "GET", "/" + at.split("/", 3)[3])
    page.rookery, page.api, page.file, page.hold = rookery, api, file, hold
    page.secrets = [env["QQ_CLIENT_SECRET"]]
    ask(port, "POST", "/sim/bot", {"stream_gap_ms": 0})
    page.ask("POST", "/url", {"url": url})


def run_all(page):
    results = []
    for name, test in list(globals().items()):
        if not name.startswith("test_"):
            continue
        began, wrong = time.monotonic(), ""
        try:
            test(page)
        except Exception as e:      # whatever it is, the test has failed
            wrong = str(e) if isinstance(e, Failed) else \
                traceback.format_exc()
        results.append(not wrong)
        print(f"{'not ok' if wrong else 'ok'} {name[5:].replace('_', '-')} "
              f"({time.monotonic() - began:.1f} s)", flush=True)
        for line in wrong.splitlines():
            print("#   " + line, flush=True)
    return results


def main():
    rigs.become_subreaper()
    folder = tempfile.mkdtemp(prefix="rk-chat-")
    running, results, page = [], [], None
    try:
        driver, port = start_driver(folder)
        running.append(driver)
        page = Browser(port, folder)
        system, url = start_system(folder)
        running.append(system)
        equip(page, url, folder)
        results = run_all(page)
        page.close()
        page = None
        status = system.stop()
        results.append(status == 0)
        print(f"{'ok' if status == 0 else 'not ok'} the-system-ends", flush=True)
    except Exception as e:          # there is nothing to be tested with
        results.append(False)
        print(f"not ok browser-and-system\n#   {e}", flush=True)
    finally:
        for program in running:
            program.stop()
        rigs.kill_all()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"# {sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
