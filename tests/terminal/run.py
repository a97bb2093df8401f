#!/usr/bin/env python3
# deadline: 180
"""rookery chat: a conversation in a pipe, and on a terminal.

Against `rookery up --sim` of build/asan (the first argument names another
folder).  Prints "ok NAME" or "not ok NAME", and at the end
"# N passed, M failed".
"""
import http.client
import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, "tests", "cases"))
import rig as rigs                       # noqa: E402
from rig import Failed, until            # noqa: E402

PROGRAMS = sys.argv[1] if len(sys.argv) > 1 else rigs.ASAN
WAIT_S = 30
STRIP = ("QQ_", "ROOKERY_", "MAKE", "MFLAGS")


def expect(good, what):
    if not good:
        raise Failed(str(what))


class System:
    """rookery up in a folder of its own."""

    def __init__(self, *argv, **settings):
        self.dir = tempfile.mkdtemp(prefix="rk-talk-")
        self.env = {k: v for k, v in os.environ.items()
                    if not k.startswith(STRIP)}
        self.env.update(ROOKERY_SIM_LISTEN="127.0.0.1:0", ROOKERY_ENV_FILE="",
                        NO_COLOR="", TERM="dumb",
                        ROOKERY_HANDLER="exec:" + os.path.join(HERE, "bot.py"),
                        **settings)
        self.up = self.port = None
        if argv:
            with open(os.path.join(self.dir, "log"), "wb") as out:
                self.up = subprocess.Popen(
                    [self.program("rookery"), *argv], cwd=self.dir,
                    env=self.env, stdin=subprocess.DEVNULL, stdout=out,
                    stderr=out, start_new_session=True)
            self.rookery(0, "wait")

    def program(self, name):
        return os.path.join(PROGRAMS, name)

    def log(self):
        return rigs.read(os.path.join(self.dir, "log"))

    def rookery(self, status, *argv, typed=""):
        """(what it printed, its standard error)"""
        p = subprocess.run([self.program("rookery"), *argv], cwd=self.dir,
                           env=self.env, input=typed.encode(), check=False,
                           capture_output=True, timeout=60)
        out, err = p.stdout.decode(), p.stderr.decode()
        expect(p.returncode == status, f"rookery {argv}: status "
               f"{p.returncode}\n{out}{err}\n{self.log()[-2000:]}")
        return out, err

    def chat(self, typed, *argv, status=0):
        return self.rookery(status, "chat", *argv, typed=typed)[0]

    def ask(self, method, path, body=None):
        if self.port is None:
            self.port = int(re.search(r"chat with the bot at "
                                      r"http://127\.0\.0\.1:(\d+)/",
                                      self.log())[1])
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        try:
            c.request(method, path, None if body is None else json.dumps(body),
                      {"Content-Type": "application/json"})
            answer = c.getresponse()
            data = answer.read()
        finally:
            c.close()
        expect(answer.status == 200, f"{path}: {answer.status} {data}")
        return json.loads(data)

    def stop(self):
        """The exit status."""
        if self.up is None:
            return 0
        self.up.terminate()
        return self.up.wait(WAIT_S)

    def close(self):
        if self.up is not None and self.up.poll() is None:
            self.up.kill()
            self.up.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


# --- in a pipe ------------------------------------------------------------------

def test_each_line_is_answered(s):
    expect(s.chat("/echo one\n\n  /echo zwei 二  \nhm") ==
           "bot: heard one\nbot: heard zwei 二\nbot: heard hm\n", "three")


def test_quit_leaves_with_the_answer(s):
    expect(s.chat("/echo one\n/quit\n/echo two\n") == "bot: heard one\n", "")


def test_nothing_said_is_nothing_to_wait_for(s):
    expect(s.chat("") == "", "silence")


def test_lines_stand_below_the_first_and_control_bytes_are_shown(s):
    expect(s.chat("/lines") == "bot: one\n     two?[31m\n     three\n", "")


def test_more_answers_than_one(s):
    expect(s.chat("/two") == "bot: first\nbot: second\n", "both")


def test_markdown_is_text(s):
    expect(s.chat("/md") == "bot: # Title\n     **bold**\n", "as it is")


def test_pictures_are_their_address(s):
    out = s.chat("/picture")
    found = re.fullmatch(r"bot: look\n     \[image/png\] "
                         r"http://127\.0\.0\.1:\d+(/files/\d+)\n", out)
    expect(found, out)


def test_a_recall_is_said(s):
    expect(s.chat("/recall") == "bot: never mind\n"
           "(the bot has recalled: never mind)\n", "recalled")


def test_an_edit_is_said(s):
    out = s.chat("/edit", "--in", "channel")
    expect(out == "bot: before\n     [1] Tea\nbot, edited: after\n"
           "     [1] Tea\n", out)


def test_a_stream_is_one_message(s):
    out = s.chat("/stream\n")
    expect(out == "bot: Once upon a time\n     there was 二\n", out)


def test_buttons_are_numbered_and_pressed(s):
    out = s.chat("/press 1\n/menu\n/press 1\n/press 2\n/press 3\n/press 4\n"
                 "/press 5\n/press 6\n/press 7\n/press x\n")
    expect(out == "(no button has been shown)\nbot: choose\n"
           "     [1] Tea [2] Site [3] Say [4] Type [5] Mine [6] Bad\n"
           "(the button: done)\n(the button opens https://a.b/c)\n"
           "bot: heard said\n(the button would have you type: /echo typed)\n"
           "(this button is not for you)\n(the button: failed)\n"
           "(there is no such button)\n(there is no such button)\n", out)


def test_what_has_no_answer_is_waited_for_so_long(s):
    began = time.monotonic()
    out, err = s.rookery(2, "chat", "--timeout", "1",
                         typed="/echo one\n/silent\n")
    expect(out == "bot: heard one\n" and "1 message without an answer" in err,
           out + err)
    expect(time.monotonic() - began < 10, "a second and a bit")


def test_in_every_kind_of_place(s):
    hong = "1B2C3D4E5F60718293A4B5C6D7E8F10A"
    for argv, want in (
            ((), "u:0A1B2C3D4E5F60718293A4B5C6D7E8F1"),
            (("--as", "小红 Hong"), f"u:{hong} {hong} 小红 Hong"),
            (("--as", hong, "--in=c2c"), f"u:{hong} {hong} 小红 Hong"),
            (("--as", "U9"), "u:U9 U9 U9"),
            (("--in", "group:G7", "--as", "U9"), "g:G7 U9 U9"),
            (("--in", "group"), "g:"),
            (("--in", "channel:1600001"), "c:1600001 "),
            (("--in", "dm"), "d:")):
        out = s.chat("/who", *argv)
        expect(out.startswith("bot: " + want), f"{argv}: {out}")


def test_what_others_say_there_is_shown(s):
    with subprocess.Popen([s.program("rookery"), "chat", "--in", "group:G8"],
                          cwd=s.dir, env=s.env, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as p:
        try:
            p.stdin.write(b"/echo me\n")
            p.stdin.flush()
            first = p.stdout.readline()
            for group, text in (("G9", "elsewhere"), ("G8", "here")):
                s.ask("POST", "/sim/event", {
                    "scope": "group", "group": group, "user": "U5",
                    "name": "Li", "t": "GROUP_AT_MESSAGE_CREATE",
                    "text": "/echo " + text, "expect": 1})
            s.ask("GET", "/sim/wait?timeout_ms=10000&idle=1")
            p.stdin.close()
            rest = p.stdout.read()
            status = p.wait(WAIT_S)
        finally:
            p.kill()
    expect(first == b"bot: heard me\n", first)
    expect(rest == b"Li: /echo here\nbot: heard here\n" and status == 0, rest)


def test_many_lines_at_once(s):
    out = s.chat("".join(f"/echo {i}\n" for i in range(100)), "--as", "Many",
                 "--timeout", "60")
    expect(out.splitlines() == [f"bot: heard {i}" for i in range(100)], out)


def test_wrong_words(s):
    for argv, why in ((("--in", "space"), "is c2c, dm, group:ID"),
                      (("--in", "c2c:U1"), "--as says which user"),
                      (("--in", "group:"), "is c2c, dm, group:ID"),
                      (("--bot", "77"), "has no such bot; --bot is one of"),
                      (("--as",), "--as needs USER"),
                      (("hello",), "is too much")):
        _, err = s.rookery(64, "chat", *argv)
        expect(why in err, err)


# --- on a terminal ----------------------------------------------------------------

def test_on_a_terminal(s):
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(s.dir)
        os.execve(s.program("rookery"), ["rookery", "chat"], s.env)
    said = b""

    def seen(what):
        nonlocal said
        if select.select([fd], [], [], 0)[0]:
            said += os.read(fd, 4096)
        return re.search(what, said)
    until("it says who I am",
          lambda: seen("you are 小明 Ming in c2c 0A1B".encode()), WAIT_S)
    os.write(fd, b"/echo hi\n")
    until("an answer in colour",
          lambda: seen(rb"\x1b\[32mbot:\x1b\[0m heard hi\r\n"), WAIT_S)
    os.write(fd, b"/quit\n")
    _, status = os.waitpid(pid, 0)
    os.close(fd)
    expect(status == 0, status)


# --- nobody to talk to ----------------------------------------------------------------

def test_a_bot_that_is_away(s):
    s.rookery(0, "stop", "gateway")
    out, _ = s.rookery(2, "chat", "--timeout", "1", typed="/echo kept\n")
    expect(out == "(the bot is away: kept until it resumes)\n", out)
    replied = s.ask("GET", "/sim/report")["total"]["replied"]
    s.rookery(0, "start", "gateway")
    s.ask("GET", f"/sim/wait?timeout_ms=20000&replied={replied + 1}")
    out = s.chat("/echo back")
    expect(out == "bot: heard back\n", out)


def test_the_simulator_goes(s):
    with subprocess.Popen([s.program("rookery"), "chat"], cwd=s.dir,
                          env=s.env, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as p:
        try:
            p.stdin.write(b"/echo me\n")
            p.stdin.flush()
            first = p.stdout.readline()
            expect(s.stop() == 0, "rookery up ends with 0")
            status, err = p.wait(WAIT_S), p.stderr.read().decode()
        finally:
            p.kill()
    expect(first == b"bot: heard me\n" and status == 3 and
           "the simulator has gone" in err and "rookery up --sim" in err, err)


def elsewhere(*argv, **settings):
    """What rookery chat says there."""
    other = System(*argv, **settings)
    try:
        return other.rookery(3 if settings.get("ROOKERY_SIM_TLS") != "yes"
                             else 1, "chat", typed="hi\n")[1]
    finally:
        other.stop()
        other.close()


def test_no_system_runs(_):
    err = elsewhere()
    expect("no supervisor runs here" in err and "rookery up" in err, err)


def test_the_platform_is_no_simulator(_):
    err = elsewhere("up", QQ_APP_ID="102000009", QQ_CLIENT_SECRET="none",
                    QQ_API_URL="http://127.0.0.1:9",
                    QQ_TOKEN_URL="http://127.0.0.1:9/app/getAppAccessToken",
                    ROOKERY_SERVICES="worker", ROOKERY_WORKERS="0")
    expect("no simulator runs here" in err and "rookery up --sim" in err, err)


def test_https_is_not_spoken(_):
    err = elsewhere("up", "--sim", ROOKERY_SIM_TLS="yes")
    expect("plain http only (ROOKERY_SIM_TLS=no)" in err, err)


def main():
    rigs.become_subreaper()
    results, s = [], None
    try:
        s = System("up", "--sim")
        s.ask("POST", "/sim/bot", {"stream_gap_ms": 0})
        for name, test in list(globals().items()):
            if not name.startswith("test_"):
                continue
            began, wrong = time.monotonic(), ""
            try:
                test(s)
            except Exception as e:      # whatever it is, the test has failed
                wrong = str(e) if isinstance(e, Failed) else \
                    traceback.format_exc()
            results.append(not wrong)
            print(f"{'not ok' if wrong else 'ok'} "
                  f"{name[5:].replace('_', '-')} "
                  f"({time.monotonic() - began:.1f} s)", flush=True)
            for line in wrong.splitlines():
                print("#   " + line, flush=True)
        clean = not rigs.SANITIZER.search(s.log().encode())
        results.append(clean)
        print(f"{'ok' if clean else 'not ok'} no-sanitizer-has-spoken")
    finally:
        if s is not None:
            s.close()
        rigs.kill_all()
    print(f"# {sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
