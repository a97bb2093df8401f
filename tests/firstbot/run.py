#!/usr/bin/env python3
# deadline: 300
"""docs/first-bot.md, done as a reader would do it.

  tests/firstbot/run.py            in a copy of the sources with their build
  tests/firstbot/run.py --clone    in a clean clone, built there without
                                   ccache; says how long it took

The commands, the files, what is said to the bot and what is expected of it are
the page's, byte for byte; here stands only who does what with them.  Prints
"ok NAME" or "not ok NAME", and at the end "# N passed, M failed".
"""
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
for part in "cases", "chat":
    sys.path.insert(0, os.path.join(TOP, "tests", part))
import rig as rigs                       # noqa: E402
from rig import Failed, until            # noqa: E402
from browser import Browser, last_bubble, pick, start_driver  # noqa: E402

WAIT_S = 60
# What of build/ a build needs in order to find itself done.
BUILT = ("obj", "man", "common.a", "compiler", "config.mk", "flavour",
         "sources", "tables", "tests.mk", "rookery", "rookeryd", "gatewayd",
         "apid", "workerd", "qqsim")
PARTS = re.compile(
    r"^`(?P<file>[^`\n]+)`[^`\n]*:\n+```\w+\n(?P<content>.*?)^```$|"
    r"\b[wW]rite `(?P<say>[^`]+)`|"
    r"\banswers\s+`(?P<hear>[^`]+)`|"
    r"^```text\n(?P<output>.*?)^```$|"
    r"(?P<commands>(?:^ {4}[^\n]+\n)+)", re.M | re.S)


def parts_of(text):
    """[(what, its text)] in the order of the page.  A file's name may stand
    behind the words of a step."""
    text = re.sub(r"(?m)^(\*\*.*\*\*[^`\n]*)(`[^`\n]+`[^`\n]*:)$",
                  r"\1\n\2", text)
    parts = []
    for m in PARTS.finditer(text):
        what = m.lastgroup if m["file"] is None else "file"
        parts.append((what, (m["file"], m["content"]) if what == "file"
                      else m[what]))
    return parts


def pattern(expected):
    """… is anything, a line of it any lines; a port of loopback any port."""
    p = re.escape(expected.rstrip("\n"))
    p = re.sub(r"(?m)^…\n", r"(?:.*\n)*?", p.replace("\\\n", "\n"))
    p = re.sub(r"(?:\\ )*…(?:\\ )*", ".*", p)
    p = re.sub(r"127\\\.0\\\.0\\\.1:\d+", r"127\\.0\\.0\\.1:\\d+", p)
    return re.compile(p)


class Reader:
    """Who follows the page in this folder."""

    def __init__(self, folder, env, browser):
        self.dir, self.env, self.browser = folder, env, browser
        self.up = None           # what runs in the first terminal
        self.log = os.path.join(folder, "terminal.log")
        self.command = self.said = ""    # the last one, and what it said
        self.opened = None       # address of the chat page
        self.done = set()        # kinds of parts
        self.answered_at = self.built_at = self.built_cpu = None

    # --- terminals ---

    def run(self, command):
        if re.search(r"\brookery up\b", command):
            return self.begin(command)
        p = subprocess.run(["sh", "-c", command], cwd=self.dir, env=self.env,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, timeout=3600, check=False)
        self.said = p.stdout.decode()
        if p.returncode != 0 and "rookery status" not in command:
            raise Failed(f"{command}: status {p.returncode}\n{self.said}")
        if command.endswith("rookery stop"):
            self.end()
        return None

    def begin(self, command):
        self.end()
        with open(self.log, "wb") as out:
            # The reader's Ctrl-C meets rookeryd, not the shell.
            self.up = subprocess.Popen(
                ["sh", "-c", re.sub(r"^((?:\w+=\S+ )*)", r"\1exec ", command)],
                cwd=self.dir, env=self.env, stdin=subprocess.DEVNULL,
                stdout=out, stderr=out, start_new_session=True)

    def end(self):
        """Ctrl-C, or whatever has ended it already."""
        if self.up is None:
            return
        if self.said == "" and self.up.poll() is None:
            self.up.send_signal(signal.SIGINT)
        status = self.up.wait(WAIT_S)
        self.up = None
        if status != 0:
            raise Failed(f"rookery up ended with status {status}")

    def look(self, expected):
        """What the last command says, or the first terminal comes to say."""
        p = pattern(expected)
        if self.up is not None and self.said == "":
            def shown():
                if self.up.poll() is not None:
                    raise Failed("rookery up has ended:\n"
                                 + rigs.read(self.log)[-2000:])
                return p.search(rigs.read(self.log))
            until(expected, shown, WAIT_S)
            return

        def said():
            if p.fullmatch(self.said.rstrip("\n")):
                return True
            if "rookery dead" in self.command:    # not yet, it may be
                self.run(self.command)
            return False
        try:
            until("it says so", said, WAIT_S if "dead" in self.command else 0)
        except Failed:
            raise Failed(f"expected\n{expected}\nand it said\n"
                         f"{self.said}") from None

    # --- the chat page, in the reader's browser ---

    def open_page(self, address):
        self.browser.ask("POST", "/url", {"url": address})
        until("the bot is online",
              lambda: "online" in self.browser.texts("#state")[0], WAIT_S)
        pick(self.browser, "c2c")
        self.opened = address

    def say(self, text):
        if self.opened is None:
            self.open_page(re.search(r"chat with the bot at (\S+)",
                                     rigs.read(self.log))[1])
        self.browser.write("#text", text)
        self.browser.click("#send")

    def hear(self, text):
        until(f"the bot answers {text!r}",
              lambda: last_bubble(self.browser) == text, WAIT_S)
        self.answered_at = self.answered_at or time.monotonic()

    # --- the page ---

    def write(self, name, content):
        with open(os.path.join(self.dir, name), "w", encoding="utf-8") as f:
            f.write(content)

    def follow(self, what, part):
        self.done.add(what)
        if what == "file":
            self.write(*part)
        elif what == "commands":
            for line in part.splitlines():
                self.said = ""
                self.command = line.strip()
                ready = self.readies()
                self.run(self.command)
                if self.up is not None and "sed -i" in line:
                    until("the new file runs",
                          lambda n=ready: self.readies() > n, WAIT_S)
        else:
            getattr(self, {"output": "look"}.get(what, what))(part)

    def readies(self):
        return rigs.read(self.log).count(" handler.ready ")


def steps_of(text):
    """[(title, parts)]: what stands before the first is no step."""
    pieces = re.split(r"(?m)^(?=\*\*\d+\. )", text)[1:]
    return [(re.match(r"\*\*(\d+\. .*?)\.?\*\*", p)[1], parts_of(p))
            for p in pieces]


# --- where --------------------------------------------------------------------

def sources():
    """What a clone has, and what is about to be in one."""
    told = subprocess.run(
        ["git", "-C", TOP, "ls-files", "-co", "--exclude-standard", "-z"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    if told.returncode == 0:
        return [n for n in told.stdout.decode().split("\0")
                if n and os.path.exists(os.path.join(TOP, n))]
    return [os.path.relpath(os.path.join(folder, name), TOP)
            for folder, _, names in os.walk(TOP) for name in names
            if os.path.relpath(folder, TOP).split(os.sep)[0]
            not in ("build", "bots", ".rookery", ".git") and name != ".env"]


def copy(folder):
    """With their times, so that make finds its work done."""
    for name in sources():
        to = os.path.join(folder, name)
        os.makedirs(os.path.dirname(to), exist_ok=True)
        shutil.copy2(os.path.join(TOP, name), to, follow_symlinks=False)
    for name in BUILT:
        at, to = (os.path.join(d, "build", name) for d in (TOP, folder))
        if os.path.isdir(at):
            shutil.copytree(at, to)
        else:
            os.makedirs(os.path.dirname(to), exist_ok=True)
            shutil.copy2(at, to)


def environment(clean):
    env = {k: v for k, v in os.environ.items()
           if not k.startswith(("QQ_", "ROOKERY_", "MAKE", "MFLAGS"))}
    env["ROOKERY_SIM_LISTEN"] = "127.0.0.1:0"
    if clean:
        env["CCACHE_DISABLE"] = "1"
    return env


def start_platform(folder, env):
    """A simulator as the platform that knows the bot of .env: its process, and
    its address."""
    bot = rigs.settings_of(os.path.join(folder, ".env"))
    home = os.path.join(folder, "platform")
    with open(os.path.join(folder, "platform.log"), "wb") as out:
        sim = subprocess.Popen(
            [os.path.join(folder, "build", "qqsim")], cwd=folder,
            env=dict(env, ROOKERY_SIM_DIR=home, ROOKERY_ENV_FILE="",
                     QQ_APP_ID=bot["QQ_APP_ID"],
                     QQ_CLIENT_SECRET=bot["QQ_CLIENT_SECRET"]),
            stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            start_new_session=True)
    try:
        told = until("the platform is there", lambda: rigs.settings_of(
            os.path.join(home, "sim.env")), WAIT_S)
    except Failed:
        sim.kill()
        sim.wait()
        raise
    env.update(QQ_API_URL=told["QQ_API_URL"],
               QQ_TOKEN_URL=told["QQ_TOKEN_URL"])
    return sim, told["QQ_API_URL"]


# --- the steps ----------------------------------------------------------------

def make_it_real(reader, parts):
    """The platform is a simulator here, the rest is as the page says; and
    what was said first is said once more."""
    sim = None
    first = next(p for _, ps in reader.steps for w, p in ps if w == "say")
    try:
        for what, part in parts:
            if what == "commands" and sim is None:
                sim, address = start_platform(reader.dir, reader.env)
            reader.follow(what, part)
        reader.open_page(address)
        reader.say(first)
        reader.hear("Good day! You said: " + first)
        reader.said = ""
        reader.end()
    finally:
        if sim is not None:
            sim.terminate()
            sim.wait(WAIT_S)


def do_step(reader, title, parts):
    if "real" in title:
        make_it_real(reader, parts)
        return
    for what, part in parts:
        reader.follow(what, part)
    if "Build" in title:
        reader.built_at = time.monotonic()
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        reader.built_cpu = used.ru_utime + used.ru_stime


def follow_page(reader):
    """[good] of the steps, until one is not."""
    results = []
    for title, parts in reader.steps:
        began, wrong = time.monotonic(), ""
        try:
            do_step(reader, title, parts)
        except (Failed, subprocess.SubprocessError, OSError) as e:
            wrong = f"{e}\n{rigs.read(reader.log)[-3000:]}"
        results.append(not wrong)
        print(f"{'not ok' if wrong else 'ok'} {title} "
              f"({time.monotonic() - began:.1f} s)", flush=True)
        if wrong:
            print("#   " + wrong.replace("\n", "\n#   "), flush=True)
            return results
    whole = reader.done == {"file", "commands", "output", "say", "hear"}
    print(f"{'ok' if whole else 'not ok'} the page has all there is to it")
    return results + [whole]


def follow(folder, tools, clean):
    """[good] of what was done in this folder, with a browser of the other."""
    driver, port = start_driver(tools)
    browser = Browser(port, tools)
    began = time.monotonic()
    if clean:
        subprocess.run(["git", "clone", "-q", TOP, folder], check=True)
    else:
        copy(folder)
    reader = Reader(folder, environment(clean), browser)
    with open(os.path.join(folder, "docs", "first-bot.md"),
              encoding="utf-8") as f:
        reader.steps = steps_of(f.read())
    results = follow_page(reader)
    browser.close()
    driver.stop()
    if clean and reader.answered_at:
        print(f"# from the clone to the first answer "
              f"{reader.answered_at - began:.0f} s; of it clone and build "
              f"{reader.built_at - began:.0f} s, with "
              f"{reader.built_cpu:.0f} s of processor time, on "
              f"{len(os.sched_getaffinity(0))} processors")
    return results


def main():
    rigs.become_subreaper()
    folder = tempfile.mkdtemp(prefix="rk-first-")
    tools = tempfile.mkdtemp(prefix="rk-reader-")
    results = []
    try:
        results = follow(folder, tools, sys.argv[1:] == ["--clone"])
    except Exception as e:          # there is nothing to follow it with
        results.append(False)
        print(f"not ok a clone and a browser\n#   {e}", flush=True)
    finally:
        rigs.kill_all()
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(tools, ignore_errors=True)
    print(f"# {sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
