#!/usr/bin/env python3
# deadline: 240
"""A person at the chat page: the whole system from a browser.

Chromium, headless, told what to do by WebDriver; against `rookery up --sim`
of build/ (the first argument names another folder).  Prints "ok NAME" or
"not ok NAME", and at the end "# N passed, M failed".
"""
import http.client
import json
import os
import re
import shutil
import signal
import socket
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

PROGRAMS = sys.argv[1] if len(sys.argv) > 1 else os.path.join(TOP, "build")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WAIT_S = 20
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
         "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync",
         "--disable-dev-shm-usage", "--window-size=1200,900", "--lang=en-GB")
KEYS = {"enter": "\ue007", "tab": "\ue004"}


def expect(good, what):
    if not good:
        raise Failed(what)


# --- processes ----------------------------------------------------------------

class Program:
    """A process in a session of its own; what it says goes to a file."""

    def __init__(self, argv, folder, env=None):
        self.log = os.path.join(folder, os.path.basename(argv[0]) + ".log")
        with open(self.log, "wb") as out:
            self.p = subprocess.Popen(
                argv, cwd=folder, env=env, stdin=subprocess.DEVNULL,
                stdout=out, stderr=out, start_new_session=True)

    def said(self):
        if self.p.poll() is not None:
            raise Failed(f"ended with status {self.p.returncode}:\n"
                         + rigs.read(self.log)[-2000:])
        return rigs.read(self.log)

    def stop(self):
        """The exit status."""
        if self.p.poll() is None:
            self.p.terminate()
        try:
            return self.p.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            os.killpg(self.p.pid, signal.SIGKILL)
            return self.p.wait()


def start_system(folder):
    """(program, address of the chat page)"""
    env = {k: v for k, v in os.environ.items()
           if not k.startswith(("QQ_", "ROOKERY_"))}
    env.update(ROOKERY_SIM_LISTEN="127.0.0.1:0", ROOKERY_ENV_FILE="",
               ROOKERY_LOG="debug")
    program = Program([os.path.join(PROGRAMS, "rookery"), "up", "--sim"],
                      folder, env)
    found = until("the address of the chat page is said", lambda: re.search(
        r"http://127\.0\.0\.1:\d+/", program.said().partition("chat with")[2]))
    return program, found[0]


def start_driver(folder):
    """(program, port)"""
    path = shutil.which("chromedriver") or shutil.which(
        "chromedriver", path="/usr/lib/chromium:/usr/lib/chromium-browser")
    if path is None:
        raise Failed("chromedriver is missing: apt-get install "
                     "chromium-driver")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    program = Program([path, f"--port={port}"], folder)
    until("chromedriver answers", lambda: program.said() and answers(port))
    return program, port


def answers(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    except OSError:
        return False


# --- the browser --------------------------------------------------------------

class Browser:
    def __init__(self, port, folder):
        self.port, self.session = port, None
        binary = next(filter(None, map(shutil.which, BROWSERS)), None)
        if binary is None:
            raise Failed("chromium is missing: apt-get install chromium")
        profile = os.path.join(folder, "profile")
        options = {"binary": binary,
                   "args": [*FLAGS, f"--user-data-dir={profile}"],
                   "prefs": {"intl.accept_languages": "en-GB"}}
        told = self.ask("POST", "", {"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"}}}})
        self.session = told["sessionId"]

    def ask(self, method, path, body=None):
        base = f"/session/{self.session}" if self.session else "/session"
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=90)
        try:
            c.request(method, base + path,
                      None if body is None else json.dumps(body),
                      {"Content-Type": "application/json"})
            answer = c.getresponse()
            value = json.loads(answer.read())["value"]
        finally:
            c.close()
        if answer.status != 200:
            raise Failed(f"browser: {path}: {value.get('message', value)}")
        return value

    def close(self):
        self.ask("DELETE", "")

    def run(self, script, *args):
        return self.ask("POST", "/execute/sync",
                        {"script": script, "args": list(args)})

    def find(self, selector):
        return self.ask("POST", "/element", {
            "using": "css selector", "value": selector})[ELEMENT]

    def click(self, selector):
        self.ask("POST", f"/element/{self.find(selector)}/click", {})

    def write(self, selector, text):
        self.ask("POST", f"/element/{self.find(selector)}/value",
                 {"text": text})

    def texts(self, selector):
        return self.run("return [...document.querySelectorAll(arguments[0])]"
                        ".map(e => e.textContent)", selector)


def pick(page, scope):
    """The first of this kind in the list of conversations."""
    value = page.run(
        "return document.querySelector('#who optgroup[data-scope=' +"
        " arguments[0] + '] option').value", scope)
    page.click(f'#who option[value="{value}"]')
    return value


def last_bubble(page):
    return (page.texts("#log .bubble.bot .body") or [""])[-1]


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

def equip(page, url, folder):
    """What tests need beside the page itself."""
    port = int(url.rsplit(":", 1)[1].strip("/"))

    def report():
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
        try:
            c.request("GET", "/sim/report")
            return json.loads(c.getresponse().read())
        finally:
            c.close()

    def rookery(*argv):
        done = subprocess.run([os.path.join(PROGRAMS, "rookery"), *argv],
                              cwd=folder, stdout=subprocess.PIPE, timeout=60,
                              stderr=subprocess.STDOUT, check=False)
        expect(done.returncode == 0, done.stdout.decode())
    env = rigs.settings_of(os.path.join(folder, ".rookery", "state", "sim",
                                        "sim.env"))
    page.report, page.rookery = report, rookery
    page.secrets = [env["QQ_CLIENT_SECRET"]]
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
