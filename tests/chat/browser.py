"""A browser, headless, told what to do by WebDriver; and what a person finds on
the chat page.
"""
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess

import rig as rigs
from rig import Failed, until

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WAIT_S = 20
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
         "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync",
         "--disable-dev-shm-usage", "--window-size=1200,900", "--lang=en-GB")


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
