#!/usr/bin/env python3
# deadline: 600
"""The supervisor and rookery(1) against children of every kind.

Drives the binaries of build/asan in folders of their own, beside children
made from child.c.  Waits for events with a deadline, never for a time.

  run.py [--long] [PART OF A NAME...]

--long: every millisecond of a start, 10,000 connections, 1 GB of words ..."""

import concurrent.futures
import contextlib
import fcntl
import json
import multiprocessing
import os
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ASAN = os.path.join(ROOT, "build", "asan")
PLAIN = os.path.join(ROOT, "build")      # for what the sanitizers would hide: memory, LD_PRELOAD
LONG = "--long" in sys.argv              # the sweeps and soaks at full length
DEADLINE_S = 40
TEST_S = 100         # for one test, whatever it waits for
STOP_S = 4.5         # ROOKERY_STOP_MS of the default: what ends sooner ended by itself
DAEMONS = ("qqsim", "apid", "gatewayd", "workerd")


class Failed(Exception):
    pass


def expect(condition, what):
    if not condition:
        raise Failed(what)


def until(what, question, deadline_s=DEADLINE_S):
    """The first answer that is true."""
    end = time.monotonic() + deadline_s
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > end:
            raise Failed("not in time: " + what)
        time.sleep(0.01)


def build_child(folder):
    libs = subprocess.run(
        "pkg-config --libs --cflags json-c $(pkg-config --exists msgpack-c && echo msgpack-c || echo msgpack)",
        shell=True, check=True, capture_output=True, text=True).stdout.split()
    out = os.path.join(folder, "child")
    subprocess.run(
        [os.environ.get("CC", "gcc"), "-std=gnu11", "-D_GNU_SOURCE", "-g",
         "-Wall", "-Wextra", "-fsanitize=address,undefined",
         "-I" + os.path.join(ROOT, "common"), "-o", out,
         os.path.join(ROOT, "tests", "supervisor", "child.c"),
         os.path.join(ASAN, "common.a")] + libs, check=True)
    return out


class Status:
    """One connection to a status socket."""

    def __init__(self, path):
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.s.settimeout(DEADLINE_S)
        self.s.connect(path)
        self.f = self.s.makefile("rwb")

    def send(self, **request):
        self.f.write(json.dumps(request).encode() + b"\n")
        self.f.flush()

    def next(self):
        line = self.f.readline()
        return json.loads(line) if line else None

    def ask(self, **request):
        self.send(v=1, id=7, **request)
        return self.next()

    def close(self):
        self.f.close()
        self.s.close()


class System:
    """A rookeryd in a folder of its own."""

    def __init__(self, env=None, behave=None, args=(), bot=True, wait="ready",
                 without=(), program="rookeryd", stderr=None, under=(), binaries=ASAN, before=None):
        self.dir = tempfile.mkdtemp(prefix="rk-")
        self.bin = os.path.join(self.dir, "bin")
        os.mkdir(self.bin)
        for name in ("rookeryd", "rookery"):
            shutil.copy(os.path.join(binaries, name), self.bin)
        for name in DAEMONS:
            if name not in without:
                os.link(CHILD, os.path.join(self.bin, name))
        for name, words in (behave or {}).items():
            self.behave(name, words)
        self.env = {"PATH": os.environ["PATH"], "ROOKERY_RUN_DIR": os.path.join(self.dir, "run"),
                    "ROOKERY_STATE_DIR": os.path.join(self.dir, "state")}
        if bot:
            self.env["QQ_APP_ID"] = "102999999"
            self.env["QQ_CLIENT_SECRET"] = "very-secret-value"
        self.env.update(env or {})
        self.log = os.path.join(self.dir, "log")
        self.out = os.path.join(self.dir, "out")
        self.p = subprocess.Popen(
            list(under) + [os.path.join(self.bin, program)] + list(args), cwd=self.dir, env=self.env,
            stdin=subprocess.DEVNULL, stdout=open(self.out, "wb"), preexec_fn=before,
            stderr=stderr if stderr is not None else open(self.log, "wb"))
        SYSTEMS.append(self)
        if wait:
            self.wait_state(wait)

    def behave(self, name, words):
        with open(os.path.join(self.bin, name.replace("/", "-") + ".behave"), "w") as f:
            f.write("".join(w + "\n" for w in words))

    def file(self, name, kind):
        try:
            with open(os.path.join(self.bin, name.replace("/", "-") + "." + kind)) as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def status_path(self):
        return os.path.join(self.dir, "run", "status.sock")

    def connect(self):
        def attempt():
            try:
                return Status(self.status_path())
            except OSError:
                if self.p.poll() is not None:
                    raise Failed("rookeryd ended with %d:\n%s" % (self.p.returncode, self.said()))
                return None
        return until("status socket", attempt)

    def ask(self, **request):
        c = self.connect()
        try:
            return c.ask(**request)
        finally:
            c.close()

    def snapshot(self):
        return self.ask(cmd="status")

    def child(self, name):
        for c in self.snapshot()["children"]:
            if c["name"] == name:
                return c
        return None

    def wait_state(self, state):
        try:
            return until("state " + state, lambda: self.snapshot()["state"] == state)
        except Failed as e:
            raise Failed("%s\n%s\n%s" % (e, json.dumps(self.snapshot(), indent=1), self.said()))

    def wait_child(self, name, **want):
        def matches():
            c = self.child(name)
            return c if c and all(c.get(k) == v for k, v in want.items()) else None
        try:
            return until("%s %s" % (name, want), matches)
        except Failed as e:
            raise Failed("%s\n%s\n%s" % (e, self.child(name), self.said()))

    def said(self):
        try:
            with open(self.log, errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def cli(self, *args, env=None):
        return subprocess.run([os.path.join(self.bin, "rookery")] + list(args), cwd=self.dir,
                              env=dict(self.env, **(env or {})), capture_output=True, text=True,
                              timeout=DEADLINE_S)

    def stop(self, sig=signal.SIGTERM):
        """Signals, waits; returns (exit status, seconds)."""
        start = time.monotonic()
        if self.p.poll() is None:
            self.p.send_signal(sig)
        try:
            status = self.p.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.p.kill()
            self.p.wait()
            raise Failed("rookeryd did not stop:\n" + self.said())
        return status, time.monotonic() - start

    def clean(self):
        if self.p.poll() is None:
            self.stop()
        said = self.said()
        for word in ("AddressSanitizer", "LeakSanitizer", "runtime error"):
            expect(word not in said, "sanitizer:\n" + said)
        expect("very-secret-value" not in said, "the secret is in the log")
        left = processes_in(self.bin)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.dir)
        expect(not left, "processes are left: %s" % left)


def processes_in(folder):
    """Pids whose program stands in this folder."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink("/proc/%s/exe" % pid).startswith(folder):
                found.append(int(pid))
        except OSError:
            pass
    return found


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def position(text, *words):
    at = [text.find(w) for w in words]
    expect(-1 not in at, "missing one of %s in:\n%s" % (words, text))
    return at


# --- starting ---------------------------------------------------------------------


def test_starts_in_order():
    s = System(env={"ROOKERY_WORKERS": "2"})
    at = position(s.said(), "name=api from=stopped to=starting", "name=api from=starting to=ready",
                  "name=gateway from=stopped to=starting", "name=gateway from=starting to=ready",
                  "name=worker/1 from=stopped to=starting")
    expect(at == sorted(at), "not in order")
    expect([c["name"] for c in s.snapshot()["children"]] == ["api", "gateway", "worker/1", "worker/2"], "names")


def test_simulator_without_credentials():
    s = System(bot=False)
    expect([c["name"] for c in s.snapshot()["children"]] == ["sim", "api", "gateway", "worker/1"], "children")
    with open(s.out) as f:
        expect("rookery: chat with the bot at http://127.0.0.1:8484/\n" == f.read(), "banner")
    given = s.file("api", "given")
    expect("QQ_APP_ID=102000001" in given and "secret 9" in given, given)
    expect("secret" not in s.file("gateway", "given").replace("secret 0", ""), "gateway has a secret")


def test_sim_option_hides_the_bot():
    s = System(args=["--sim"], env={"QQ_INTENTS": "GUILDS"})
    expect("QQ_APP_ID=102000001" in s.file("api", "given"), "not the simulator's id")
    expect("102999999" not in s.file("sim", "given") + s.file("gateway", "given"), "the real id is out")
    expect("QQ_INTENTS=GUILDS" in s.file("gateway", "given"), "a wish is lost")
    expect("secret 0" in s.file("sim", "given"), "the simulator has a secret")


def test_environment_is_from_scratch():
    s = System(env={"ROOKERY_WINDOW": "17", "LEAKED": "x", "LD_LIBRARY_PATH": "/nowhere", "TZ": "UTC"})
    api, gateway, worker = (s.file(n, "given") for n in ("api", "gateway", "worker/1"))
    for given in (api, gateway, worker):
        expect("LEAKED" not in given and "LD_LIBRARY_PATH" not in given, given)
        expect("TZ=UTC\n" in given and "ROOKERY_ENV_FILE=\n" in given, given)
        expect("ROOKERY_CHILD_FD=3\n" in given, given)
        expect("very-secret-value" not in given, given)
        for fd in range(5, 64):
            expect("fd %d\n" % fd not in given, "descriptor %d leaked" % fd)
    expect("ROOKERY_WINDOW=17\n" in worker and "ROOKERY_WINDOW" not in gateway, "wrong reader")
    expect("QQ_CLIENT_SECRET_FILE=/proc/self/fd/4\n" in api and "secret 17" in api, api)
    expect("SECRET" not in gateway + worker, "a secret where it must not be")
    expect("QQ_APP_ID" not in worker, "a worker knows the bot")
    expect("fd 4\n" not in worker, "a worker has a fifth descriptor")
    if os.geteuid() == 0:       # others may not even look
        with open("/proc/%d/environ" % s.p.pid, "rb") as f:
            expect(b"very-secret" not in f.read(), "the secret is in rookeryd's environment")


def test_secret_is_not_in_memory():
    # not by the environment, of which the sanitizer keeps a copy
    d = tempfile.mkdtemp(prefix="rk-")
    path = os.path.join(d, "env")
    with open(path, "w") as f:
        f.write("QQ_APP_ID=1\nQQ_CLIENT_SECRET=very-secret-value\n")
    s = System(bot=False, env={"ROOKERY_ENV_FILE": path})
    shutil.rmtree(d)
    expect("secret 17" in s.file("api", "given"), "apid has no secret")
    found = 0
    if os.geteuid() != 0:       # only root may look: that is proc_guard()'s work
        try:
            open("/proc/%d/mem" % s.p.pid, "rb").close()
        except PermissionError:
            return
        raise Failed("anybody may read its memory")
    with open("/proc/%d/maps" % s.p.pid) as maps, open("/proc/%d/mem" % s.p.pid, "rb", 0) as mem:
        for line in maps:
            span, perms = line.split()[:2]
            low, high = (int(x, 16) for x in span.split("-"))
            if not perms.startswith("rw") or high - low > 1 << 28:
                continue
            mem.seek(low)
            try:
                found += mem.read(high - low).count(b"very-secret-value")
            except OSError:
                pass
    expect(found == 0, "%d copies of the secret" % found)


def test_needless_simulator():
    s = System(env={"ROOKERY_SERVICES": "sim"}, wait=None)
    expect(s.p.wait(DEADLINE_S) == 0, "exit status")
    expect("no simulator is needed" in s.said(), s.said())


def test_awaits_a_simulator_elsewhere():
    s = System(bot=False, wait="starting", env={"ROOKERY_SERVICES": "api worker", "ROOKERY_SIM_DIR": "shared"})
    expect(s.child("api")["state"] == "stopped", "api runs too early")
    os.mkdir(os.path.join(s.dir, "shared"))
    with open(os.path.join(s.dir, "shared", "new"), "w") as f:
        f.write("QQ_APP_ID=55\nQQ_CLIENT_SECRET=sesame\nQQ_API_URL=http://127.0.0.1:1\n")
    os.rename(os.path.join(s.dir, "shared", "new"), os.path.join(s.dir, "shared", "sim.env"))
    s.wait_state("ready")
    expect("QQ_APP_ID=55" in s.file("api", "given") and "secret 6" in s.file("api", "given"), "credentials")


def test_no_simulator_comes():
    s = System(bot=False, wait=None, env={"ROOKERY_SERVICES": "api", "ROOKERY_READY_MS": "300"})
    expect(s.p.wait(DEADLINE_S) == 78, "exit status %s" % s.p.returncode)
    expect("set QQ_APP_ID and QQ_CLIENT_SECRET" in s.said(), s.said())


def test_worker_container_needs_no_bot():
    s = System(bot=False, env={"ROOKERY_SERVICES": "worker", "ROOKERY_WORKERS": "3"})
    expect(len(s.snapshot()["children"]) == 3, "three workers")


def test_configuration_problems_all_at_once():
    s = System(wait=None, env={"ROOKERY_WORKERS": "many", "QQ_SHARD": "3"})
    expect(s.p.wait(DEADLINE_S) == 78, "exit status")
    expect("ROOKERY_WORKERS" in s.said() and "QQ_SHARDS" in s.said(), s.said())


def test_second_instance_is_refused():
    s = System()
    p = subprocess.run([os.path.join(s.bin, "rookeryd")], env=s.env, cwd=s.dir, capture_output=True, text=True)
    expect(p.returncode != 0 and "pid=%d" % s.p.pid in p.stderr, p.stderr)
    expect(s.snapshot()["state"] == "ready", "the first one is disturbed")


def test_folders_that_cannot_be_used_are_named():
    """The setting, the folder and the true reason, before anything is started."""
    if os.geteuid() != 0:
        print("# skipped: needs root to become somebody else")
        return
    s = System()
    s.stop()
    os.chmod(s.dir, 0o755)
    place = tempfile.mkdtemp(prefix="rk-")
    os.chmod(place, 0o755)
    at = lambda *parts: os.path.join(place, *parts)
    open(at("file"), "w").close()
    for name in ("mine", "locked"):
        os.mkdir(at(name))
    for name in ("ours", "run"):
        os.mkdir(at(name))
        os.chown(at(name), 65534, 65534)
    os.chmod(at("locked"), 0o777)
    os.close(os.open(at("locked", "rookeryd.lock"), os.O_CREAT, 0o600))
    for settings, wanted in (
            ({"ROOKERY_STATE_DIR": at("file")}, ("ROOKERY_STATE_DIR", at("file"), "Not a directory")),
            ({"ROOKERY_STATE_DIR": at("mine")}, ("ROOKERY_STATE_DIR", at("mine"), "Permission denied")),
            ({"ROOKERY_STATE_DIR": at("mine", "below")}, ("ROOKERY_STATE_DIR", "below", "Permission denied")),
            ({"ROOKERY_STATE_DIR": "/proc/rookery"}, ("ROOKERY_STATE_DIR", "/proc/rookery", "No such file")),
            ({"ROOKERY_RUN_DIR": at("mine")}, ("ROOKERY_RUN_DIR", at("mine"), "Permission denied")),
            ({"ROOKERY_RUN_DIR": at("locked")}, ("ROOKERY_RUN_DIR", "rookeryd.lock", "Permission denied"))):
        env = dict(s.env, ROOKERY_STATE_DIR=at("ours"), ROOKERY_RUN_DIR=at("run"))
        p = subprocess.run([os.path.join(s.bin, "rookeryd")], env=dict(env, **settings), cwd=s.dir, user=65534,
                           group=65534, extra_groups=[], capture_output=True, text=True, timeout=DEADLINE_S)
        expect(p.returncode != 0 and all(w in p.stderr for w in wanted) and "child.state" not in p.stderr,
               "%s: %d %s" % (settings, p.returncode, p.stderr))
        other = {"ROOKERY_RUN_DIR", "ROOKERY_STATE_DIR"} - set(settings)
        expect(not any(n in p.stderr for n in other), p.stderr)
    shutil.rmtree(place)


def test_next_start_after_kill_is_clean():
    s = System()
    pids = [c["pid"] for c in s.snapshot()["children"]]
    s.stop(signal.SIGKILL)
    until("orphans leave", lambda: not any(alive(p) for p in pids))
    s.p = subprocess.Popen([os.path.join(s.bin, "rookeryd")], env=s.env, cwd=s.dir, stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=open(s.log, "ab"))
    s.wait_state("ready")


def test_options():
    for args, status in ((["--help"], 0), (["--version"], 0), (["--nonsense"], 64), (["extra"], 64)):
        p = subprocess.run([os.path.join(ASAN, "rookeryd")] + args, capture_output=True, text=True)
        expect(p.returncode == status, "%s: %d" % (args, p.returncode))


def test_notifies_systemd():
    d = tempfile.mkdtemp(prefix="rk-")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as n:
        n.bind(os.path.join(d, "n"))
        n.settimeout(DEADLINE_S)
        s = System(env={"NOTIFY_SOCKET": os.path.join(d, "n")})
        expect(n.recv(100) == b"READY=1", "no READY=1")
        expect("NOTIFY_SOCKET=%s\n" % os.path.join(d, "n") not in s.file("api", "given"), "handed on")
        s.stop()
        words = b""
        while b"STOPPING=1" not in words:
            words = n.recv(100)
    shutil.rmtree(d)


# --- dying --------------------------------------------------------------------------


def test_killed_child_is_replaced_at_once():
    s = System(env={"ROOKERY_WORKERS": "2"})
    for name in ("api", "gateway", "worker/2"):
        old = s.child(name)
        os.kill(old["pid"], signal.SIGKILL)
        until("a new " + name, lambda: s.child(name)["pid"] not in (0, old["pid"]))
        died = [w for w in s.said().splitlines() if "name=%s from=ready to=backoff" % name in w]
        expect([" delay_ms=0 " in w for w in died] == [True], "it waited: %s" % died)
        new = s.wait_child(name, state="ready")
        expect(new["generation"] == old["generation"] + 1 and new["restarts"] == 1, str(new))
        expect(new["last_exit"]["signal"] == 9 and new["last_exit"]["cause"] == "itself", str(new))


def test_gateway_hears_of_dead_workers():
    s = System()
    pid = s.child("worker/1")["pid"]
    os.kill(pid, signal.SIGKILL)
    until("gone message", lambda: "gone worker/1 %d: SIGKILL, itself\n" % pid in s.file("gateway", "heard"))


# SV03
def test_SV03_crash_loop_backs_off():
    s = System(behave={"worker/1": ["exit1"]}, wait=None)
    c = until("some restarts", lambda: (lambda c: c and c["restarts"] >= 4 and c)(s.child("worker/1")))
    expect(c["last_exit"]["code"] == 1, str(c))
    delays = [int(w.split("delay_ms=")[1].split()[0]) for w in s.said().splitlines()
              if "name=worker/1" in w and "to=backoff" in w]
    for got, base in zip(delays, (100, 200, 400, 800)):
        expect(base * 0.79 <= got <= base * 1.21, "delays %s" % delays)
    s.behave("worker/1", [])
    s.wait_state("ready")


# SV02
def test_SV02_dies_after_ready_is_delayed_too():
    s = System(behave={"worker/1": ["die-after-ready"]}, wait=None)
    until("some restarts", lambda: (lambda c: c and c["restarts"] >= 4 and c)(s.child("worker/1")))
    delays = [int(w.split("delay_ms=")[1].split()[0]) for w in s.said().splitlines()
              if "name=worker/1" in w and "to=backoff" in w]
    expect(delays[0] == 0 and delays[1] >= 80 and delays[2] > delays[1], "delays %s" % delays)


def test_parked_until_started():
    s = System(behave={"gateway": ["exit78"]}, wait="failed")
    c = s.wait_child("gateway", state="failed")
    expect("rookery start gateway" in c["remedy"] and "config.bad" in c["remedy"], c["remedy"])
    expect(s.child("worker/1")["state"] == "stopped", "a worker before its gateway")
    r = s.cli("wait", "--timeout", "5")
    expect(r.returncode == 1, "wait: %d %s" % (r.returncode, r.stderr))
    s.behave("gateway", [])
    expect(s.cli("start", "gateway").returncode == 0, "start")
    s.wait_state("ready")


def test_what_ends_the_whole_is_told():
    s = System(bot=False, behave={"sim": ["exit78"]}, wait=None)
    expect(s.p.wait(DEADLINE_S) == 78, "status %d" % s.p.returncode)
    line = next((x for x in s.said().splitlines() if "child.failed" in x), "")
    expect("name=sim" in line and "put right what it said" in line, line or s.said())


def test_ends_again_and_again_is_told():
    s = System(behave={"worker/1": ["exit1"]}, wait=None)
    c = until("why", lambda: (lambda c: c and c["state"] == "backoff" and c["remedy"] and c)(s.child("worker/1")))
    expect("rookery logs worker/1" in c["remedy"] and c["restarts"] >= 3, str(c))


def test_missing_program():
    s = System(without=["workerd"], wait=None)
    c = until("spawn failure", lambda: (lambda c: c and c.get("last_exit", {}).get("errno") == 2 and c)(s.child("worker/1")))
    expect("beside rookeryd" in c["remedy"] or c["state"] == "starting", str(c))
    os.link(CHILD, os.path.join(s.bin, "workerd"))
    s.wait_state("ready")


def test_never_ready_is_retried():
    s = System(behave={"api": ["never-ready"]}, env={"ROOKERY_READY_MS": "400"}, wait=None)
    c = until("a retry", lambda: (lambda c: c and c["restarts"] >= 2 and c)(s.child("api")))
    expect(c["last_exit"]["cause"] == "not ready in time", str(c))


def test_watchdog():
    for way in ("silent", "freeze"):
        s = System(behave={"gateway": [way]}, env={"ROOKERY_WATCHDOG_MS": "1500"}, wait=None)
        c = until("watchdog " + way, lambda: (lambda c: c and c["watchdogs"] >= 1 and c["restarts"] >= 1 and c)(s.child("gateway")))
        expect(c["last_exit"]["cause"] == "watchdog", str(c))
        expect(c["last_exit"]["signal"] == (6 if way == "silent" else 9), str(c))
        s.behave("gateway", [])
        s.wait_state("ready")
        s.clean()
        SYSTEMS.remove(s)


def test_nothing_of_the_old_generation_is_left():
    s = System(behave={"worker/1": ["orphan"]})
    orphan = int(until("orphan", lambda: s.file("worker/1", "orphan")).split()[0])
    s.behave("worker/1", [])
    os.kill(s.child("worker/1")["pid"], signal.SIGKILL)
    s.wait_child("worker/1", restarts=1, state="ready")
    until("orphan is dead", lambda: not alive(orphan))


# SV07
def test_SV07_strangers_are_reaped():
    s = System(behave={"worker/1": ["grandchild-exits"]})
    until("stranger counted", lambda: s.snapshot()["supervisor"]["strangers_reaped"] >= 1)


def test_daemonised_descendant_ends_with_the_system():
    s = System(behave={"worker/1": ["daemon"]})
    pid = int(until("daemon", lambda: s.file("worker/1", "orphan")).split()[0])
    s.stop()
    until("it is dead", lambda: not alive(pid))


def test_whoever_was_there_before_is_left_alone():
    """A shell that started something and then became rookeryd."""
    s = System(under=["sh", "-c", 'sleep 1000 & echo $! > guest; exec "$@"', "sh"],
               behave={"worker/1": ["daemon"]})
    orphan = int(until("daemon", lambda: s.file("worker/1", "orphan")).split()[0])
    with open(os.path.join(s.dir, "guest")) as f:
        guest = int(f.read())
    try:
        replace_program(s)
        expect(s.cli("upgrade").returncode == 0, s.said())
        s.stop()
        until("ours is dead", lambda: not alive(orphan))
        expect(alive(guest), "a process that is not ours was killed")
    finally:
        os.kill(guest, signal.SIGKILL)


# OB01
def test_OB01_what_a_child_lacks_is_seen():
    s = System(behave={"api": ["degraded"]}, wait="degraded")
    c = s.child("api")
    expect(c["word"] == "parked" and c["remedy"] == "set QQ_CLIENT_SECRET right", str(c))
    until("up all the same", lambda: "family.up" in s.said())
    r = s.cli("status")
    expect(r.returncode == 1 and "degraded: parked" in r.stdout and "set QQ_CLIENT_SECRET right" in r.stdout, r.stdout)


def test_garbage_from_a_child():
    s = System(behave={"worker/1": ["garbage"]})
    until("counted", lambda: "child.packet" in s.said())
    expect(s.snapshot()["state"] == "ready", "disturbed")


# --- children of every kind ---------------------------------------------------------------


# SV08
def test_SV08_no_zombies_of_a_pid_n():
    s = System(behave={"worker/%d" % i: ["grandchild-exits"] for i in range(1, 9)}, env={"ROOKERY_WORKERS": "8"})
    for _ in range(3):
        s.ask(cmd="restart", name="worker")
    until("all are counted", lambda: s.snapshot()["supervisor"]["strangers_reaped"] >= 32)

    def zombies():
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/stat" % pid) as f:
                    state, parent = f.read().rsplit(")", 1)[1].split()[:2]
            except OSError:
                continue
            if state == "Z" and int(parent) == s.p.pid:
                found.append(pid)
        return found
    until("none is left", lambda: not zombies())


# SV01
def test_SV01_failed_comes_back():
    """Ends before it is ready for a while; nobody has to do anything."""
    s = System(behave={"worker/1": ["exit1"]}, env={"ROOKERY_RESTARTS": "4"}, wait=None)
    c = s.wait_child("worker/1", state="failed")
    expect(c["restarts_recent"] == 4 and 40000 < c["next_restart_ms"] <= 72000, str(c))
    expect("tried once a minute" in c["remedy"] and s.snapshot()["state"] == "failed", str(c))
    expect("child.failed" in s.said(), "nobody is told")
    expect(s.child("gateway")["state"] == "ready", "the others go on")
    expect(s.cli("status").returncode == 1 and s.cli("wait").returncode == 1, "exit status")
    s.behave("worker/1", [])
    expect(s.cli("reset-failed", "worker/1").returncode == 0, "reset")
    c = s.wait_child("worker/1", state="ready")
    expect(c["restarts_recent"] == 0 and c["restarts"] == 4, str(c))


def test_failed_ends_the_whole_if_asked_to():
    s = System(behave={"worker/1": ["exit1"]}, env={"ROOKERY_RESTARTS": "3", "ROOKERY_ON_FAILED": "exit"}, wait=None)
    expect(s.p.wait(DEADLINE_S) == 75, "status %s" % s.p.returncode)
    s = System(behave={"api": ["exit78"]}, env={"ROOKERY_ON_FAILED": "exit"}, wait=None)
    expect(s.p.wait(DEADLINE_S) == 78, "status %s" % s.p.returncode)


def test_restart_types():
    s = System(env={"ROOKERY_RESTART": "on-failure", "ROOKERY_WORKERS": "2"})
    s.ask(cmd="signal", name="worker/1", signal="TERM")      # it ends with status 0, and by itself
    c = s.wait_child("worker/1", state="stopped")
    expect(c["desired"] == "down" and c["last_exit"]["cause"] == "itself", str(c))
    s.ask(cmd="signal", name="worker/2", signal="9")
    s.wait_child("worker/2", state="ready", generation=2)
    s = System(env={"ROOKERY_RESTART": "never"})
    s.ask(cmd="signal", name="worker/1", signal="SIGKILL")
    c = s.wait_child("worker/1", state="failed")
    expect("next_restart_ms" not in c, str(c))
    expect(s.ask(cmd="start", name="worker/1")["ok"], "start")
    # of each service its own
    s = System(env={"ROOKERY_RESTART": "on-failure gateway=never,api=always"})
    expect([c["restart"] for c in s.snapshot()["children"]] == ["always", "never", "on-failure"], str(s.snapshot()))
    s.ask(cmd="signal", name="api", signal="TERM")
    s.wait_child("api", state="ready", generation=2)
    s.ask(cmd="signal", name="worker/1", signal="TERM")
    s.wait_child("worker/1", state="stopped")
    s.ask(cmd="signal", name="gateway", signal="9")
    s.wait_child("gateway", state="failed")
    for value in ("worker=perhaps", "seldom", "nobody=always", "=always"):
        s = System(env={"ROOKERY_RESTART": value}, wait=None)
        expect(s.p.wait(DEADLINE_S) == 78 and "setting=ROOKERY_RESTART" in s.said(), value)


def test_signal():
    s = System(behave={"worker/1": ["orphan"]})
    orphan = int(until("orphan", lambda: s.file("worker/1", "orphan")).split()[0])
    for request, error in (({"name": "worker/1"}, "SYNTAX"), ({"name": "worker/1", "signal": "LOUD"}, "SYNTAX"),
                           ({"name": "worker/1", "signal": 65}, "SYNTAX"), ({"signal": "HUP"}, "NOT_FOUND")):
        expect(s.ask(cmd="signal", **request)["error"] == error, str(request))
    expect(s.cli("signal", "worker/1", "CONT").returncode == 0 and alive(orphan), "to the process")
    s.ask(cmd="stop", name="api")
    expect(s.ask(cmd="signal", name="api", signal="HUP")["error"] == "CLOSED", "to nobody")
    expect(s.cli("signal", "worker/1", "USR1", "--group").returncode == 0, "to the group")
    c = s.wait_child("worker/1", generation=2)
    expect(c["last_exit"]["signal"] == signal.SIGUSR1, str(c))


def test_stopped_child_is_reported():
    s = System(env={"ROOKERY_WATCHDOG_MS": "0"})
    pid = s.child("worker/1")["pid"]
    os.kill(pid, signal.SIGSTOP)
    c = until("it is seen", lambda: (lambda c: c["stuck"] and c)(s.child("worker/1")))
    expect("stopped by a signal" in c["remedy"] and c["state"] == "ready", str(c))
    expect(s.cli("restart", "api").returncode == 0, "the others are served")
    os.kill(pid, signal.SIGCONT)
    until("it goes on", lambda: not s.child("worker/1")["stuck"])


def test_limits():
    s = System(behave={"worker/1": ["eat-memory"], "worker/2": ["open-files"]}, wait=None,
               env={"ROOKERY_WORKERS": "2", "ROOKERY_CHILD_RSS_MIB": "100", "ROOKERY_CHILD_FDS": "100"})
    for name in ("worker/1", "worker/2"):
        c = until("over", lambda: (lambda c: c and c["restarts"] > 0 and c)(s.child(name)))
        expect(c["last_exit"]["cause"] == "over a limit" and c["last_exit"]["signal"] == 9, str(c))
        s.behave(name, [])
    s.wait_state("ready")
    expect("what=rss_kib" in s.said() and "what=fds" in s.said(), s.said())


def test_limit_of_processor_time():
    s = System(behave={"worker/1": ["spin"]}, wait=None,
               env={"ROOKERY_WORKERS": "2", "ROOKERY_CHILD_CPU": "10", "ROOKERY_CHILD_CPU_S": "1"})
    c = until("over", lambda: (lambda c: c and c["restarts"] > 0 and c)(s.child("worker/1")))
    expect(c["last_exit"]["cause"] == "over a limit" and "what=cpu_percent" in s.said(), str(c))
    s.behave("worker/1", [])
    s.wait_state("ready")
    expect(s.child("worker/2")["restarts"] == 0, "one that does nothing")
    # without a limit it is only shown
    s = System(behave={"worker/1": ["spin"]}, env={"ROOKERY_CHILD_CPU_S": "1"})
    c = until("a share", lambda: (lambda c: c["cpu_percent"] > 20 and c)(s.child("worker/1")))
    expect(c["restarts"] == 0, str(c))


def test_children_have_the_limit_of_files_we_were_given():
    def less():
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

    def soft(pid):
        with open("/proc/%d/limits" % pid) as f:
            return [line.split()[3] for line in f if line.startswith("Max open files")][0]
    s = System(before=less)
    expect(soft(s.child("worker/1")["pid"]) == "256" and soft(s.p.pid) != "256", "worker: " +
           soft(s.child("worker/1")["pid"]))
    expect(s.ask(cmd="upgrade")["ok"], "upgrade")
    s.ask(cmd="restart", name="worker/1")
    expect(soft(s.child("worker/1")["pid"]) == "256" and soft(s.p.pid) != "256", "after an upgrade")


def remove_group(top):
    """A control group with all below it, whoever is left in there."""
    for folder, _, files in os.walk(top, topdown=False):
        with open(os.path.join(folder, "cgroup.procs")) as f:
            for pid in f.read().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
        until("the group is empty", lambda: not open(os.path.join(folder, "cgroup.procs")).read())
        os.rmdir(folder)


def test_memory_that_runs_out_is_told():
    group = "/sys/fs/cgroup/memory/rk-%d" % os.getpid()
    try:
        os.mkdir(group)
        with open(group + "/memory.limit_in_bytes", "w") as f:
            f.write(str(300 << 20))
    except OSError as e:
        print("# skipped: no memory control group to be had (%s)" % e)
        return

    def join():
        with open(group + "/cgroup.procs", "w") as f:
            f.write("0")
    s = System(behave={"worker/1": ["eat-all-memory"]}, before=join, wait=None)
    try:
        c = until("it is killed", lambda: (lambda c: c and c["restarts"] > 0 and c)(s.child("worker/1")))
        expect(c["last_exit"]["oom"] and "out of memory" in c["last_exit"]["text"], str(c))
        os.kill(s.child("api")["pid"], signal.SIGKILL)
        c = s.wait_child("api", generation=2)
        expect(not c["last_exit"]["oom"], "any KILL is taken for it: %s" % c)
        s.stop()
    finally:
        remove_group(group)


def test_programs_that_cannot_be_run():
    s = System(wait="ready", env={"ROOKERY_WORKERS": "2"})
    path = os.path.join(s.bin, "workerd")
    for text, mode, number in ((b"\x7fELF of another world", 0o755, 8), (b"#!/bin/sh\n", 0o644, 13),
                               (b"#!/no/such/shell\n", 0o755, 2), (b"", 0o755, 8)):
        os.remove(path)
        with open(path, "wb") as f:
            f.write(text)
        os.chmod(path, mode)
        s.ask(cmd="restart", name="worker/1", timeout_ms=0)
        c = until("error %d" % number,
                  lambda: (lambda c: c.get("last_exit", {}).get("errno") == number and c)(s.child("worker/1")))
        expect(c["state"] in ("backoff", "starting") and s.child("worker/2")["state"] == "ready", str(c))
    os.remove(path)
    os.link(CHILD, path)
    s.ask(cmd="start", name="worker/1")
    s.wait_state("ready")


def test_ready_twice_and_other_oddities():
    s = System(behave={"worker/1": ["ready-twice"], "api": ["close-output"]})
    until("the second word", lambda: s.file("worker/1", "heard") == "" and s.child("worker/1")["state"] == "ready")
    expect(s.child("worker/1")["generation"] == 1 and s.child("api")["state"] == "ready", str(s.snapshot()))
    expect(s.cli("logs", "api").returncode == 0, "logs of one that is silent")
    s.ask(cmd="restart", name="api")
    expect(s.snapshot()["state"] == "ready", "not replaced")


def test_foreign_programs():
    """sd_notify(3), s6, or a shell's echo, without a word of ours."""
    ways = {"worker/1": "echo READY=1 >&3; echo STATUS=at work >&3; while sleep 0.2; do echo WATCHDOG=1 >&3; done",
            "worker/2": "echo >&3; exec sleep 1000",
            "worker/3": "exec python3 -c \"import os,socket,time; s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM); "
                        "s.connect(os.environ['NOTIFY_SOCKET']); s.send(b'READY=1\\nSTATUS=python'); "
                        "time.sleep(1000)\""}
    s = System(without=["workerd"], wait=None, env={"ROOKERY_WORKERS": "3", "ROOKERY_WATCHDOG_MS": "2500"})
    with open(os.path.join(s.bin, "new"), "w") as f:
        f.write("#!/bin/sh\ncase $ROOKERY_CHILD_NAME in\n" +
                "".join("%s) %s;;\n" % way for way in ways.items()) + "esac\n")
    os.chmod(os.path.join(s.bin, "new"), 0o755)
    os.rename(os.path.join(s.bin, "new"), os.path.join(s.bin, "workerd"))
    for name in ways:
        s.wait_child(name, state="ready")
    expect(s.child("worker/1")["word"] == "at work" and s.child("worker/3")["word"] == "python", "STATUS=")
    c = s.wait_child("worker/2", watchdogs=1)      # it says nothing more
    expect(c["watchdogs"] == 1 and s.child("worker/1")["watchdogs"] == 0, str(c))
    expect(oct(os.stat(os.path.join(s.dir, "run", "notify.sock")).st_mode)[-3:] == "600", "mode")
    nobody = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    nobody.connect(os.path.join(s.dir, "run", "notify.sock"))
    nobody.send(b"STOPPING=1\n")          # not a child's
    nobody.close()
    expect(s.child("worker/1")["state"] == "ready", "a stranger's word counts")
    replace_program(s)
    expect(s.ask(cmd="upgrade")["ok"] and s.child("worker/1")["word"] == "at work", "upgrade")
    s.ask(cmd="restart", name="worker/3")
    expect(s.child("worker/3")["state"] == "ready", "the socket after an upgrade")


def test_descriptors_are_kept_for_the_next_process():
    s = System(env={"ROOKERY_WORKERS": "1"}, behave={"gateway": ["keep-door"]})
    port = int(until("a door", lambda: s.file("gateway", "door")))
    until("it is kept", lambda: s.child("gateway")["kept_fds"] == 1)

    def opens():
        try:
            socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S).close()
            return True
        except ConnectionRefusedError:
            return False
    stays = True
    for generation in range(2, 5):                  # the third waits for a while
        os.kill(s.child("gateway")["pid"], signal.SIGKILL)
        stays = stays and all(opens() for _ in range(20))
        s.wait_child("gateway", state="ready", generation=generation)
    expect(s.ask(cmd="upgrade")["ok"], "upgrade")
    s.ask(cmd="restart", name="gateway")
    s.wait_child("gateway", state="ready", generation=5)
    until("a door", lambda: s.file("gateway", "door").count("%d\n" % port) == 5)
    expect(stays and opens() and s.child("gateway")["kept_fds"] == 1, str(s.child("gateway")))
    s.ask(cmd="stop", name="gateway")
    expect(not opens() and s.child("gateway")["kept_fds"] == 0, "nobody will come to that door")
    # as many as may be, with names that are some
    s.behave("worker/1", ["keep-many"])
    fds = s.ask(cmd="dump")["dump"]["fds"]
    s.ask(cmd="restart", name="worker/1")
    until("the last", lambda: s.child("worker/1")["kept_fds"] == 8 and "err=FULL" in s.said())
    expect("err=SYNTAX" in s.said() and s.ask(cmd="dump")["dump"]["fds"] <= fds + 8, s.said())
    # another's program, by words of sd_notify(3)
    s.behave("worker/1", [])
    path = os.path.join(s.bin, "workerd")
    os.remove(path)
    with open(path, "w") as f:
        f.write("#!%s\n" % sys.executable + """
import os, socket, time
kept = dict(w.split("=") for w in os.environ.get("ROOKERY_CHILD_KEPT", "").split())
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(os.environ["NOTIFY_SOCKET"])
if "mine" in kept:
    said = os.pread(int(kept["mine"]), 100, 0)
    s.send(b"FDSTOREREMOVE=1\\nFDNAME=mine\\nREADY=1\\nSTATUS=" + said)
else:
    fd = os.memfd_create("x")
    os.write(fd, b"from before")
    socket.send_fds(s, [b"FDNAME=mine\\nFDSTORE=1\\nREADY=1"], [fd])
time.sleep(1000)
""")
    os.chmod(path, 0o755)
    s.ask(cmd="stop", name="worker/1")
    s.ask(cmd="start", name="worker/1")
    expect(s.child("worker/1")["kept_fds"] == 1, str(s.child("worker/1")))
    s.ask(cmd="restart", name="worker/1")
    until("its words", lambda: s.child("worker/1")["word"] == "from before")
    expect(s.child("worker/1")["kept_fds"] == 0, "removed")


def test_daemonised_kin_is_gone_before_the_next_start():
    s = System(behave={"worker/1": ["daemon"], "worker/2": ["daemon"]}, env={"ROOKERY_WORKERS": "2"})
    one, two = (int(until("daemon", lambda: s.file(n, "orphan")).split()[0]) for n in ("worker/1", "worker/2"))
    s.behave("worker/1", [])
    os.kill(s.child("worker/1")["pid"], signal.SIGKILL)
    s.wait_child("worker/1", state="ready", generation=2)
    expect(not alive(one), "of the old generation")
    expect(alive(two), "another child's")


def test_control_groups():
    root = next((d for d in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified") if os.path.exists(d + "/cgroup.procs")
                 and os.access(d, os.W_OK)), None)
    group = "%s/rk-%d" % (root, os.getpid())
    try:
        os.mkdir(group)
    except OSError as e:
        print("# skipped: no control groups to be had (%s)" % e)
        return

    def join():
        with open(group + "/cgroup.procs", "w") as f:
            f.write("0")
    s = System(behave={"worker/1": ["daemon"]}, before=join)
    try:
        base = s.ask(cmd="dump")["dump"]["groups"]
        expect(base.startswith(group + "/rookery-"), base)
        pid = s.child("worker/1")["pid"]
        orphan = int(until("daemon", lambda: s.file("worker/1", "orphan")).split()[0])
        with open(base + "/worker-1/cgroup.procs") as f:
            expect(str(pid) in f.read().split(), "who is in it")
        # as one that it started before it was moved there itself
        with open(group + "/cgroup.procs", "w") as f:
            f.write(str(orphan))
        s.behave("worker/1", [])
        os.kill(pid, signal.SIGKILL)
        s.wait_child("worker/1", state="ready", generation=2)
        expect(not alive(orphan), "its kin")
        # what a run that was killed has left is killed by the next
        s.behave("worker/1", ["silent"])
        s.ask(cmd="restart", name="worker/1")
        hung = s.child("worker/1")["pid"]
        os.kill(hung, signal.SIGSTOP)
        s.stop(signal.SIGKILL)
        s.behave("worker/1", [])
        s.p = subprocess.Popen([os.path.join(s.bin, "rookeryd")], env=s.env, cwd=s.dir, preexec_fn=join,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(s.log, "ab"))
        until("a stopped one is gone", lambda: not alive(hung))
        s.wait_state("ready")
        expect(s.stop()[0] == 0 and not os.path.exists(base), "the groups are left")
    finally:
        remove_group(group)


# --- where it runs ------------------------------------------------------------------------


def test_process_1():
    if os.geteuid() != 0 or subprocess.run(["unshare", "-pf", "--mount-proc", "true"], capture_output=True).returncode:
        print("# skipped: no pid namespace to be had")
        return
    s = System(under=["unshare", "-pf", "--mount-proc", "--kill-child"], behave={"worker/1": ["grandchild-exits", "daemon"]})
    snapshot = s.snapshot()
    expect(snapshot["supervisor"]["pid"] == 1 and snapshot["children"][0]["rss_kib"] > 0, str(snapshot["supervisor"]))
    until("strangers", lambda: s.snapshot()["supervisor"]["strangers_reaped"] >= 1)
    s.ask(cmd="signal", name="worker/1", signal="KILL")
    s.wait_child("worker/1", state="ready", generation=2)
    replace_program(s)
    expect(s.ask(cmd="upgrade")["ok"], "upgrade of process 1")
    expect(s.cli("stop").returncode == 0 and s.p.wait(DEADLINE_S) == 0, "stop")


def test_as_nobody_without_a_writable_world():
    """Another user, no write access but to its own folders, descriptors and processes at the edge."""
    if os.geteuid() != 0:
        print("# skipped: needs root to become somebody else")
        return
    import resource

    def become():
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    s = System(wait=None, without=DAEMONS)
    s.stop()
    for name in DAEMONS:
        os.link(CHILD, os.path.join(s.bin, name))
    shutil.rmtree(os.path.join(s.dir, "run"), ignore_errors=True)
    shutil.rmtree(os.path.join(s.dir, "state"), ignore_errors=True)
    for d in ("run", "state"):
        os.mkdir(os.path.join(s.dir, d))
        os.chown(os.path.join(s.dir, d), 65534, 65534)
    os.chmod(s.dir, 0o755)
    s.p = subprocess.Popen([os.path.join(s.bin, "rookeryd")], env=s.env, cwd=s.dir, preexec_fn=become,
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(s.log, "wb"))
    s.wait_state("ready")
    # more than there are descriptors for
    answer = s.ask(cmd="scale", workers=20, timeout_ms=0)
    expect(s.child("worker/1")["state"] == "ready" and s.snapshot()["children"], "it has not survived that: %s" % answer)
    expect(s.ask(cmd="scale", workers=1, timeout_ms=0) is not None, "scale back")
    until("one worker", lambda: len(s.snapshot()["children"]) == 3)
    s.wait_state("ready")
    expect(s.stop()[0] == 0, "stop")


def test_no_process_to_be_had():
    """fork(2) is refused: failed starts, and nothing else."""
    if os.geteuid() != 0:
        print("# skipped: needs root to become somebody else")
        return
    import resource

    def become():
        resource.setrlimit(resource.RLIMIT_NPROC, (6, 6))
        os.setgroups([])
        os.setgid(54321)
        os.setuid(54321)
    s = System(wait=None, without=["workerd"], binaries=PLAIN)
    s.stop()
    for d in ("run", "state"):
        shutil.rmtree(os.path.join(s.dir, d), ignore_errors=True)
        os.mkdir(os.path.join(s.dir, d))
        os.chown(os.path.join(s.dir, d), 54321, 54321)
    os.link(CHILD, os.path.join(s.bin, "workerd"))
    os.chmod(s.dir, 0o755)
    s.p = subprocess.Popen([os.path.join(s.bin, "rookeryd")], env=s.env, cwd=s.dir, preexec_fn=become,
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(s.log, "wb"))
    s.wait_state("ready")
    s.ask(cmd="scale", workers=6, timeout_ms=0)
    c = until("refused", lambda: next((c for c in s.snapshot()["children"]
                                       if c.get("last_exit", {}).get("errno") == 11), None))
    expect(s.child("worker/1")["state"] == "ready", str(c))
    s.ask(cmd="scale", workers=2, timeout_ms=0)
    until("two workers", lambda: len(s.snapshot()["children"]) == 4)
    s.wait_state("ready")


def test_killed_at_any_moment():
    """kill -9 of rookeryd: nothing survives it, and the next start is clean."""
    s = System(wait=None, env={"ROOKERY_WORKERS": "4"})
    for i in range(60 if LONG else 8):
        time.sleep(i % 12 * 0.025)          # the moment is what is tested
        s.p.kill()
        s.p.wait()
        until("nothing is left", lambda: not processes_in(s.bin))
        s.p = subprocess.Popen([os.path.join(s.bin, "rookeryd")], env=s.env, cwd=s.dir, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=open(s.log, "ab"))
    s.wait_state("ready")


def test_a_child_that_hangs_does_not_outlive_us():
    s = System(behave={"worker/1": ["silent"]})
    pid = s.child("worker/1")["pid"]
    s.stop(signal.SIGKILL)
    until("it is gone", lambda: not alive(pid), 12)


# SV14
def test_SV14_jumps_of_the_clock():
    """The wall clock goes an hour forth and back at every reading."""
    d = tempfile.mkdtemp(prefix="rk-")
    with open(os.path.join(d, "jump.c"), "w") as f:
        f.write("""
            #define _GNU_SOURCE
            #include <sys/syscall.h>
            #include <sys/time.h>
            #include <time.h>
            #include <unistd.h>
            static long jump(void) { static unsigned n; n = n * 1103515245 + 12345; return (n >> 16) % 2 ? 3600 : -3600; }
            int clock_gettime(clockid_t c, struct timespec *t)
            { int r = syscall(SYS_clock_gettime, c, t); if (c == CLOCK_REALTIME) t->tv_sec += jump(); return r; }
            time_t time(time_t *t)
            { struct timespec s; clock_gettime(CLOCK_REALTIME, &s); if (t) *t = s.tv_sec; return s.tv_sec; }
            int gettimeofday(struct timeval *restrict t, void *restrict z)
            { struct timespec s; clock_gettime(CLOCK_REALTIME, &s); t->tv_sec = s.tv_sec; t->tv_usec = 0; return 0; }
            """)
    lib = os.path.join(d, "jump.so")
    subprocess.run(["gcc", "-w", "-shared", "-fPIC", "-o", lib, os.path.join(d, "jump.c")], check=True)
    s = System(binaries=PLAIN, env={"LD_PRELOAD": lib, "ROOKERY_WATCHDOG_MS": "3000"},
               behave={"worker/1": ["exit1"]}, wait=None)
    until("some restarts", lambda: (lambda c: c and c["restarts"] >= 4 and c)(s.child("worker/1")))
    lines = [w for w in s.said().splitlines() if " child.state " in w and "to=backoff" in w]
    delays = [int(w.split("delay_ms=")[1].split()[0]) for w in lines]
    for got, base in zip(delays, (100, 200, 400, 800)):
        expect(base * 0.79 <= got <= base * 1.21, "delays %s" % delays)
    expect(len({w[:13] for w in s.said().splitlines()}) > 1, "the clock did not jump:\n" + s.said())
    s.behave("worker/1", [])
    s.wait_state("ready")
    c = s.child("api")
    expect(c["watchdogs"] == 0 and 0 <= c["since_ms"] < 60000 and 0 <= c["beat_age_ms"] < 3000, str(c))
    status, seconds = s.stop()
    expect(status == 0 and seconds < STOP_S, "status %d after %.1f s" % (status, seconds))
    shutil.rmtree(d)


def test_100_children():
    s = System(env={"ROOKERY_WORKERS": "98"}, wait=None, binaries=PLAIN)
    until("all are ready", lambda: s.snapshot()["state"] == "ready", 60)
    first = s.ask(cmd="dump")["dump"]
    expect(len(first["children"]) == 100, "children")
    rounds = 100 if LONG else 2
    for i in range(rounds):
        before = pids(s)
        expect(s.ask(cmd="signal", name="worker", signal="KILL")["ok"], "signal")
        until("round %d" % i, lambda: (lambda now: all(now[n] not in (0, before[n]) for n in now if n[0] == "w"))(pids(s)), 60)
        s.ask(cmd="wait", name="worker", timeout_ms=60000)
        s.ask(cmd="reset-failed", name="worker")
    s.wait_state("ready")
    last = s.ask(cmd="dump")["dump"]
    expect(last["fds"] <= first["fds"] + 2, "descriptors: %d, %d" % (first["fds"], last["fds"]))
    expect(last["rss_kib"] < first["rss_kib"] + 16384, "memory: %d, %d KiB" % (first["rss_kib"], last["rss_kib"]))
    starting = [w for w in s.said().splitlines() if "child.state" in w]
    now = most = 0
    for w in starting:
        now += ("to=starting" in w) - ("from=starting" in w)
        most = max(most, now)
    expect(most == 8, "%d starts at once" % most)
    c = s.connect()
    costs = []
    for _ in range(3):
        cpu = s.ask(cmd="dump")["dump"]["cpu_ms"]
        start = time.monotonic()
        for _ in range(200):
            c.ask(cmd="status")
        costs.append((s.ask(cmd="dump")["dump"]["cpu_ms"] - cpu) / 200)
        print("# status of 100 children: %.2f ms to an answer, %.2f ms of the supervisor" % (
            (time.monotonic() - start) * 5, costs[-1]))
    # 0.6 ms where this was written; what grows with the square of the children takes far more
    expect(min(costs) < 5, "a status takes %s ms of processor time" % costs)
    c.close()
    expect(s.stop()[0] == 0, "stop")


# --- stopping ---------------------------------------------------------------------------


# SD01
def test_SD01_stops_in_order():
    s = System(env={"ROOKERY_WORKERS": "2"})
    status, seconds = s.stop()
    expect(status == 0, "status %d" % status)
    expect(seconds < STOP_S, "took %.3f s" % seconds)
    at = position(s.said(), "name=worker/1 from=stopping to=stopped", "name=gateway from=stopping to=stopped",
                  "name=api from=ready to=stopping", "name=api from=stopping to=stopped")
    expect(at == sorted(at), "not in order:\n" + s.said())
    expect(s.file("gateway", "heard").startswith("drain\n"), "gateway was not drained first")
    expect(not os.path.exists(s.status_path()), "the socket is left")


# SD02
def test_SD02_deaf_children_are_killed_in_time():
    s = System(behave={n: ["deaf"] for n in ("api", "gateway", "worker/1")}, env={"ROOKERY_STOP_MS": "2500"})
    status, seconds = s.stop()
    # one after another, each with all of that time, would be 7.5 s
    expect(status == 0 and seconds < 5, "status %d after %.3f s" % (status, seconds))


def test_second_signal_hurries():
    s = System(behave={n: ["deaf"] for n in ("api", "gateway", "worker/1")}, env={"ROOKERY_STOP_MS": "20000"})
    s.p.send_signal(signal.SIGTERM)
    until("stopping", lambda: "family.stop" in s.said())
    status, seconds = s.stop(signal.SIGINT)
    expect(status == 0 and seconds < 10, "status %d after %.3f s" % (status, seconds))


# SD07
def test_SD07_signal_and_command_at_once():
    for i in range(1000 if LONG else 8):
        s = System(wait="ready" if i % 3 else None)
        c = s.connect()
        c.send(v=1, cmd="shutdown")
        if i % 2:
            c.send(v=1, cmd="stop", name="all")
        status, seconds = s.stop()
        expect(status == 0 and seconds < STOP_S, "status %d after %.3f s" % (status, seconds))
        c.close()
        s.clean()
        SYSTEMS.remove(s)


def test_first_signals_are_out_at_once():
    """Half of all children ignore it: those that do not are gone long before."""
    s = System(env={"ROOKERY_WORKERS": "20", "ROOKERY_STOP_MS": "20000"},
               behave={"worker/%d" % i: ["deaf"] for i in range(1, 20, 2)})
    watcher = s.connect()
    watcher.ask(cmd="watch")
    s.p.send_signal(signal.SIGTERM)
    gone = set()
    while len(gone) < 10:
        change = watcher.next()
        if change.get("child", {}).get("state") == "stopped":
            gone.add(change["child"]["name"])
    expect(all(int(n.split("/")[1]) % 2 == 0 for n in gone), str(gone))
    watcher.close()
    expect(s.stop(signal.SIGINT)[0] == 0, "the second signal")


# SV12
def test_SV12_stop_at_any_moment_of_the_start():
    for ms in range(0, 300, 1) if LONG else range(0, 300, 25):
        s = System(wait=None)
        time.sleep(ms / 1000)    # the moment is what is tested
        status, seconds = s.stop()
        # before the handler stands the signal itself ends it
        expect(status in (0, -15), "status %d at %d ms:\n%s" % (status, ms, s.said()))
        expect(seconds < STOP_S, "%.3f s at %d ms" % (seconds, ms))
        until("nothing left", lambda: not processes_in(s.bin))
        s.clean()
        SYSTEMS.remove(s)


# --- the status socket ---------------------------------------------------------------------


def test_requests():
    s = System()
    c = s.connect()
    for line, error in ((b"nonsense\n", "SYNTAX"), (b"[1]\n", "SYNTAX"), (b'{"v":2,"cmd":"status"}\n', "SYNTAX"),
                        (b'{"cmd":"dance"}\n', "NOT_FOUND"), (b'{"cmd":7}\n', "NOT_FOUND"),
                        (b'{"cmd":"stop"}\n', "NOT_FOUND"), (b'{"cmd":"stop","name":"nobody"}\n', "NOT_FOUND"),
                        (b'{"cmd":"scale","workers":-1}\n', "SYNTAX"), (b'{"cmd":"scale","workers":257}\n', "SYNTAX"),
                        (b'{"cmd":"log-level","level":"loud"}\n', "SYNTAX")):
        c.f.write(line)
        c.f.flush()
        answer = c.next()
        expect(answer["ok"] is False and answer["error"] == error, "%s: %s" % (line, answer))
    answer = c.ask(cmd="help")
    expect(answer["id"] == 7 and len(answer["commands"]) >= 13, "help")
    # several lines in one write, ids of any kind
    c.f.write(b'{"id":"a","cmd":"help"}\n{"id":{"b":1},"cmd":"help"}\n{"cmd":"help"}\n')
    c.f.flush()
    ids = [c.next().get("id") for _ in range(3)]
    expect(ids == ["a", {"b": 1}, None], str(ids))
    c.close()
    mode = os.stat(s.status_path()).st_mode & 0o777
    expect(mode == 0o600, "mode %o" % mode)


def test_hostile_clients():
    s = System()
    fds = s.ask(cmd="dump")["dump"]["fds"]
    for i in range(10000 if LONG else 1000):
        c = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        c.connect(s.status_path())
        c.send(b'{"cmd":"sta'[:i % 11])
        c.close()
    until("their places are free", lambda: s.ask(cmd="dump")["dump"]["fds"] <= fds + 1)
    long = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    long.connect(s.status_path())
    try:
        long.sendall(b"x" * 100000)
        expect(long.recv(10) == b"", "a long line is not cut off")
    except OSError:
        pass
    long.close()
    many = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(40)]
    for m in many:
        m.connect(s.status_path())
    many[-1].settimeout(5)
    last = many[-1].makefile("rb")
    expect(b'"FULL"' in last.readline() and last.readline() == b"", "client 40 is served")
    last.close()
    for m in many:
        m.close()

    def served():
        try:
            return s.snapshot()["state"] == "ready"
        except (OSError, KeyError, TypeError):     # those 40 are still on their way out
            return False
    until("an answer", served)


def test_idle_clients_give_way():
    s = System()
    watcher = s.connect()
    watcher.ask(cmd="watch")
    idle = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(31)]
    for c in idle:
        c.connect(s.status_path())
    idle[7].send(b'{"cmd":')      # half a request is none

    def served():
        try:
            return s.ask(cmd="ping")["ok"]
        except OSError:           # turned away
            return False
    expect(not served(), "32 places, and more")
    until("a place", served)
    idle[0].settimeout(DEADLINE_S)
    expect(idle[0].recv(10) == b"", "it was another's place")
    s.ask(cmd="restart", name="worker/1")
    expect(watcher.next()["child"]["name"] == "worker/1", "who waits for something has gone")
    for c in idle:
        c.close()
    watcher.close()


def test_slow_watcher_is_cut_off():
    s = System(behave={"worker/%d" % i: ["flood"] for i in (1, 2, 3)})
    slow = s.connect()
    slow.send(v=1, id=1, cmd="logs", lines=500, follow=True)
    s.ask(cmd="scale", workers=3)
    until("cut off", lambda: "status.cut_off" in s.said())
    expect(s.ask(cmd="status")["ok"], "disturbed")
    slow.close()


def test_watch():
    s = System()
    c = s.connect()
    first = c.ask(cmd="watch")
    expect(first["state"] == "ready" and "children" in first, "no snapshot")
    os.kill(s.child("worker/1")["pid"], signal.SIGKILL)
    seq, seen = first["seq"], []
    while "ready" not in seen:
        change = c.next()
        expect(change["seq"] == seq + 1, "a gap in %s" % change)
        seq = change["seq"]
        if "child" in change:
            seen.append(change["child"]["state"])
    expect(seen == ["backoff", "starting", "ready"], str(seen))
    expect(c.ask(cmd="status") is not None, "")
    c.close()


def test_operations():
    s = System(env={"ROOKERY_WORKERS": "2"})
    expect(s.ask(cmd="stop", name="worker/2")["ok"], "stop")
    c = s.child("worker/2")
    expect(c["state"] == "stopped" and c["desired"] == "down", str(c))
    expect(s.ask(cmd="stop", name="worker/2")["ok"], "stop again")
    expect(s.ask(cmd="start", name="worker/2")["ok"], "start")
    expect(s.child("worker/2")["state"] == "ready", "not started")
    expect(s.ask(cmd="start", name="worker/2")["ok"], "start again")
    before = {c["name"]: c["pid"] for c in s.snapshot()["children"]}
    expect(s.ask(cmd="restart", name="worker")["ok"], "restart")
    after = {c["name"]: c["pid"] for c in s.snapshot()["children"]}
    expect(all((before[n] != after[n]) == n.startswith("worker") for n in before), "%s %s" % (before, after))
    expect(s.ask(cmd="drain", name="worker/1")["ok"], "drain")
    expect("drain\nend\n" in s.file("worker/1", "heard"), s.file("worker/1", "heard"))
    expect(s.child("worker/1")["state"] == "ready", "not replaced")


def test_scale():
    s = System()
    expect(s.ask(cmd="scale", workers=20)["ok"], "up")
    names = [c["name"] for c in s.snapshot()["children"]]
    expect(names == ["api", "gateway"] + ["worker/%d" % i for i in range(1, 21)], str(names))
    expect(s.ask(cmd="scale", workers=1)["ok"], "down")
    until("19 go", lambda: len(s.snapshot()["children"]) == 3)
    expect(s.ask(cmd="scale", workers=2)["ok"] and s.child("worker/2")["state"] == "ready", "up again")
    expect(s.cli("scale", "x").returncode == 64, "usage")


def test_rolling_restart():
    s = System(env={"ROOKERY_WORKERS": "3"})
    before = [c["pid"] for c in s.snapshot()["children"]]
    c = s.connect()
    c.ask(cmd="watch")
    d = s.connect()
    d.send(v=1, id=9, cmd="restart", name="worker", rolling=True)
    down, most, fresh = set(), 0, set()
    while len(fresh) < 3:
        change = c.next()
        if "child" not in change:
            continue
        name, state = change["child"]["name"], change["child"]["state"]
        (down.discard if state == "ready" else down.add)(name)
        most = max(most, len(down))
        if state == "ready":
            fresh.add(name)
    expect(most == 1, "%d at once" % most)
    expect(d.next()["ok"], "answer")
    after = [x["pid"] for x in s.snapshot()["children"]]
    expect([a == b for a, b in zip(before, after)] == [True, True, False, False, False], "pids")
    c.close()
    d.close()


def test_rolling_restart_stops_at_a_bad_one():
    s = System(env={"ROOKERY_WORKERS": "3"}, behave={})
    last = s.child("worker/3")["pid"]
    s.behave("worker/1", ["exit1"])
    r = s.cli("restart", "worker", "--rolling", "--timeout", "20")
    expect(r.returncode == 1, "exit %d %s" % (r.returncode, r.stderr))
    expect(s.child("worker/3")["pid"] == last, "the others were touched")


def test_wait_and_timeout():
    s = System(behave={"api": ["never-ready"]}, wait="starting")
    expect(s.ask(cmd="wait", timeout_ms=200)["error"] == "TIMEOUT", "wait")
    expect(s.ask(cmd="wait", stopped=True, timeout_ms=200)["error"] == "TIMEOUT", "wait for a stop")
    expect(s.cli("wait", "--timeout", "1").returncode == 2, "exit 2")


def test_wait_until_stopped():
    s = System(env={"ROOKERY_WORKERS": "2"})
    waiting = subprocess.Popen([os.path.join(s.bin, "rookery"), "wait", "worker", "--stopped"], cwd=s.dir, env=s.env)
    for name in ("worker/1", "worker/2"):
        expect(waiting.poll() is None, "too early")
        s.ask(cmd="stop", name=name)
    expect(waiting.wait(DEADLINE_S) == 0, "status")
    s.ask(cmd="start", name="worker/1")
    c = s.connect()
    c.send(v=1, id=1, cmd="wait", name="worker", stopped=True)
    s.ask(cmd="scale", workers=0)          # it is no more
    expect(c.next()["ok"], "gone is stopped")
    c.close()


def test_dump():
    s = System()
    doc = json.loads(s.cli("dump").stdout)
    expect(doc["ok"] and doc["dump"]["children"][0]["pidfd"] > 0 and doc["dump"]["fds"] > 10, str(doc["dump"]))
    for key in ("restarts_recent", "since", "instance", "fds", "cpu_ms"):
        expect(key in doc["children"][0], key)
    expect(abs(doc["children"][0]["since"] / 1000 - time.time()) < 60, "since")


def test_reload():
    d = tempfile.mkdtemp(prefix="rk-")
    path = os.path.join(d, "env")
    with open(path, "w") as f:
        f.write("ROOKERY_WORKERS=1\n")
    s = System(env={"ROOKERY_ENV_FILE": path})
    before = {c["name"]: c["pid"] for c in s.snapshot()["children"]}
    with open(path, "w") as f:
        f.write("ROOKERY_WORKERS=2\nROOKERY_ECHO_PREFIX=changed\n")
    expect(s.cli("reload").returncode == 0, "reload")
    s.wait_state("ready")
    until("two workers", lambda: s.child("worker/2") and s.child("worker/2")["state"] == "ready")
    s.wait_child("worker/1", state="ready", generation=2)
    after = {c["name"]: c["pid"] for c in s.snapshot()["children"]}
    expect(before["api"] == after["api"] and before["gateway"] == after["gateway"], "untouched ones")
    expect("ROOKERY_ECHO_PREFIX=changed" in s.file("worker/1", "given"), "new value")
    expect("reload\n" in s.file("gateway", "heard"), "told")
    with open(path, "w") as f:
        f.write("ROOKERY_WORKERS=lots\n")
    expect(s.snapshot()["supervisor"]["remedy"] == "", "nothing is to do")
    bad = s.cli("reload")
    expect(bad.returncode == 1 and "ROOKERY_WORKERS = lots" in bad.stderr, bad.stderr)
    expect("ROOKERY_WORKERS = lots" in s.snapshot()["supervisor"]["remedy"], "what is to do")
    expect("rookeryd: ROOKERY_WORKERS = lots" in s.cli("status").stdout, s.cli("status").stdout)
    expect(len(s.snapshot()["children"]) == 4, "nothing has changed")
    s.p.send_signal(signal.SIGHUP)
    until("SIGHUP", lambda: s.said().count("family.reload") >= 3)
    os.remove(path)
    os.rmdir(d)


def test_reload_of_bots():
    """What knows its bots takes them in place; nobody is replaced for them."""
    s = System(wait="ready")
    bots = os.path.join(s.dir, "bots")
    os.mkdir(bots)

    def hash_now():
        return s.snapshot()["supervisor"]["config"]

    def told(times):
        until("all are told", lambda: all(s.file(n, "heard").count("reload\n") == times
                                          for n in ("api", "gateway", "worker/1")))
    first, before = hash_now(), pids(s)
    with open(os.path.join(bots, "second.env"), "w") as f:
        f.write("QQ_APP_ID=102000002\nQQ_CLIENT_SECRET=another-secret\n")
    expect(s.cli("reload").returncode == 0, s.said())
    told(1)
    second = hash_now()
    expect(second != first and pids(s) == before, "a bot more")
    with open(os.path.join(bots, "second.env"), "w") as f:
        f.write("QQ_APP_ID=a bot\n")
    expect(s.cli("reload").returncode == 1 and "(bot second)" in s.said() and hash_now() == second, s.said())
    os.remove(os.path.join(bots, "second.env"))
    expect(s.cli("reload").returncode == 0, s.said())
    told(2)
    expect(hash_now() == first and pids(s) == before, "a bot less")
    # a setting of its own as well: told first, and replaced then
    s.ask(cmd="stop", name="worker/1")
    with open(os.path.join(bots, "second.env"), "w") as f:
        f.write("QQ_APP_ID=102000002\nQQ_CLIENT_SECRET=another-secret\n")
    with open(os.path.join(s.dir, ".env"), "w") as f:
        f.write("ROOKERY_DEAD_MAX=77\n")
    expect(s.cli("reload").returncode == 0, s.said())
    s.wait_child("gateway", state="ready", generation=2)
    until("both are told", lambda: all(s.file(n, "heard").count("reload\n") == 3 for n in ("api", "gateway")))
    expect(s.child("api")["generation"] == 1 and "ROOKERY_DEAD_MAX=77" in s.file("gateway", "given"), "what changed")


def test_hangup_without_a_terminal_of_its_own():
    """A terminal that is written to, in a session that has none: setsid rookeryd."""
    master, slave = os.openpty()
    s = System(stderr=slave, before=os.setsid)
    s.p.send_signal(signal.SIGHUP)
    until("reloaded", lambda: "reload\n" in s.file("gateway", "heard") or s.p.poll() is not None)
    expect(s.p.poll() is None, "it has stopped")
    s.stop()
    os.close(slave)
    os.close(master)


def test_reload_is_taken_back():
    d = tempfile.mkdtemp(prefix="rk-")
    path = os.path.join(d, "env")
    write = lambda text: open(path, "w").write(text)
    write("ROOKERY_ECHO_PREFIX=good\nROOKERY_WORKERS=3\n")
    s = System(env={"ROOKERY_ENV_FILE": path})
    before = {c["name"]: c["pid"] for c in s.snapshot()["children"]}
    config = s.snapshot()["supervisor"]["config"]
    # worker/1 takes it, worker/2 does not: worker/3 never hears of it
    s.behave("worker/2", ["bad-prefix"])
    write("ROOKERY_ECHO_PREFIX=bad\nROOKERY_WORKERS=3\nROOKERY_READY_MS=29000\n")
    expect(s.cli("reload").returncode == 0, "reload")
    expect(s.snapshot()["supervisor"]["config"] != config, "another number")
    until("taken back", lambda: "family.taken_back" in s.said())
    until("the old one", lambda: s.snapshot()["supervisor"]["config"] == config)
    expect("worker/2 did not become ready" in s.snapshot()["supervisor"]["remedy"], "not told")
    s.wait_state("ready")
    until("it is over", lambda: s.snapshot()["supervisor"]["rolling"] == "")
    s.wait_state("ready")
    prefixes = lambda n: [x for x in s.file(n, "given").splitlines() if "PREFIX" in x]
    good, bad = "ROOKERY_ECHO_PREFIX=good", "ROOKERY_ECHO_PREFIX=bad"
    expect(prefixes("worker/1") == [good, bad, good], str(prefixes("worker/1")))
    expect(prefixes("worker/2") == [good, bad, bad, good], str(prefixes("worker/2")))
    expect(prefixes("worker/3") == [good] and before["worker/3"] == s.child("worker/3")["pid"], "the others")
    os.kill(s.child("api")["pid"], signal.SIGKILL)
    s.wait_child("api", state="ready", generation=2)
    expect(s.file("api", "given").count("secret 17") == 2, "the secret is lost")
    s.behave("worker/2", [])
    expect(s.cli("reload").returncode == 0, "once more")
    expect(s.snapshot()["supervisor"]["remedy"] == "", "told for ever")
    until("all have it", lambda: all(prefixes("worker/%d" % i)[-1] == bad for i in (1, 2, 3)))
    shutil.rmtree(d)


def test_secret_survives_reload():
    s = System()
    pid = s.child("api")["pid"]
    expect(s.cli("reload").returncode == 0, s.said())
    expect(s.child("api")["pid"] == pid, "api was replaced without need")
    os.kill(pid, signal.SIGKILL)
    s.wait_child("api", state="ready", generation=2)
    expect(s.file("api", "given").count("secret 17") == 2, "the secret is lost")


# --- questions to a child -----------------------------------------------------------------


def unclaimed(s):
    return s.snapshot()["supervisor"]["unclaimed_answers"]


def test_ask():
    s = System()
    ask = lambda **r: s.ask(cmd="ask", **r)
    for request, error in (({}, "SYNTAX"), ({"what": "dead"}, "NOT_FOUND"), ({"name": "gateway"}, "SYNTAX"),
                           ({"name": "nobody", "what": "dead"}, "NOT_FOUND"),
                           ({"name": "worker", "what": "dead"}, "NOT_FOUND"),
                           ({"name": "gateway", "what": "dead", "with": [1]}, "SYNTAX"),
                           ({"name": "gateway", "what": "dead", "with": {"do": "show", "no": 1}}, "NOT_FOUND"),
                           ({"name": "gateway", "what": "end"}, "CLOSED")):
        answer = ask(**request)
        expect(answer["ok"] is False and answer["error"] == error and answer["message"], "%s: %s" % (request, answer))
    s.wait_child("gateway", state="ready", generation=2)
    # a program without questions says so itself
    answer = ask(name="api", what="dead")
    expect(answer["error"] == "NOT_FOUND" and "no questions" in answer["message"], str(answer))
    # as much as there may be, and more
    answer = ask(name="gateway", what="bytes", **{"with": {"bytes": 130000}})
    expect(answer["ok"] and len(answer["data"]["text"]) == 130000, str(answer)[:200])
    expect(ask(name="gateway", what="bytes", **{"with": {"bytes": 140000}})["error"] == "FULL", "too long an answer")
    c = s.connect()
    c.f.write(b'{"cmd":"ask","name":"gateway","what":"bytes","with":{"x":[%s1]}}\n' % (b"0.5," * 900))
    c.f.flush()
    expect(c.next()["error"] == "TOO_LARGE", "too long a question")
    c.close()
    s.ask(cmd="stop", name="gateway")
    expect(ask(name="gateway", what="dead")["error"] == "CLOSED", "a stopped child")


def test_answers_nobody_waits_for():
    s = System()
    # an older child: it keeps silent about what it does not know
    answer = s.ask(cmd="ask", name="gateway", what="unknown", timeout_ms=150)
    expect(answer["error"] == "TIMEOUT", str(answer))
    answer = s.ask(cmd="ask", name="gateway", what="other", timeout_ms=150)
    expect(answer["error"] == "TIMEOUT" and unclaimed(s) == 1, "an answer to another question: %s" % answer)
    expect(s.ask(cmd="ask", name="gateway", what="twice") == {"v": 1, "id": 7, "ok": True, "data": {}}, "twice")
    until("the second", lambda: unclaimed(s) == 2)
    # the client goes while the child thinks
    pid = s.child("gateway")["pid"]
    os.kill(pid, signal.SIGSTOP)
    c = s.connect()
    c.send(v=1, id=1, cmd="ask", name="gateway", what="dead", **{"with": {"do": "list"}})
    c.close()
    expect(s.snapshot() and s.snapshot(), "the end of the client has been seen by then")
    os.kill(pid, signal.SIGCONT)
    until("the answer", lambda: unclaimed(s) == 3)
    # killed while it thinks
    os.kill(pid, signal.SIGSTOP)
    c = s.connect()
    c.send(v=1, id=1, cmd="ask", name="gateway", what="dead")
    until("it is sent", lambda: s.ask(cmd="status"))
    os.kill(pid, signal.SIGKILL)
    expect(c.next()["error"] == "CLOSED", "its end")
    c.close()


def test_cli_dead():
    s = System(behave={"gateway": ["dead-letters"]})
    r = s.cli("dead")
    expect(r.returncode == 0 and "200 dead letters" in r.stdout, r.stdout + r.stderr)
    lines = r.stdout.splitlines()
    expect(lines[0].split() == ["NO", "ID", "BOT", "CONVERSATION", "TYPE", "ATTEMPTS", "FOR", "WORKER", "WHY"], lines[0])
    expect(len(lines) == 203 and "C2C_MESSAGE_CREATE:200" in lines[200] and "1 m 5 s" in lines[1], r.stdout)
    expect("no answer?[31m in time" in lines[1] and "\033" not in r.stdout, "not cleaned")
    doc = json.loads(s.cli("dead", "list", "--json").stdout)
    expect(doc["total"] == 200 and [d["no"] for d in doc["dead"]] == list(range(1, 201)), "json")
    for which in ("7", "C2C_MESSAGE_CREATE:7"):
        r = s.cli("dead", "show", which)
        expect(r.returncode == 0 and "hello" in r.stdout and "C2C_MESSAGE_CREATE:7" in r.stdout, r.stdout + r.stderr)
        expect(json.loads(s.cli("dead", "show", which, "--json").stdout)["event"] == {"text": "hello"}, "json")
    expect("1 dead letter given back" in s.cli("dead", "retry", "7").stdout, "retry")
    expect(json.loads(s.cli("dead", "drop", "C2C_MESSAGE_CREATE:8", "--json").stdout) == {"count": 1}, "drop by id")
    for args in (("show", "7"), ("retry", "7"), ("drop", "C2C_MESSAGE_CREATE:8")):
        r = s.cli("dead", *args)
        expect(r.returncode == 1 and "no such dead letter" in r.stderr and not r.stdout, "%s: %s" % (args, r))
    expect("198 dead letters dropped" in s.cli("dead", "drop", "--all").stdout, "all")
    expect(s.cli("dead", "retry", "--all").returncode == 1, "none is left")
    expect(s.cli("dead").stdout == "no dead letters\n", "empty list")
    for args in (("bury",), ("show",), ("retry",), ("retry", "1", "--all"), ("list", "1"), ("show", "1", "--all")):
        expect(s.cli("dead", *args).returncode == 64, "usage of %s" % (args,))
    s.ask(cmd="stop", name="gateway")
    r = s.cli("dead")
    expect(r.returncode == 1 and "not running" in r.stderr, r.stderr)


def test_cli_events():
    s = System()
    r = s.cli("events")
    expect(r.returncode == 0, r.stderr)
    first, _, title, row = r.stdout.splitlines()
    expect(first == "events 4, in flight 1, conversations 1, bytes 4096, oldest 1 m 1 s", first)
    expect(title.split() == ["BOT", "CONVERSATION", "QUEUED", "IN", "FLIGHT", "WORKER", "ATTEMPT", "OLDEST", "HEAD"], title)
    expect(row.split() == ["102000001", "g:7", "3", "1", "worker/1", "2", "1", "m", "1", "s", "m:abc"], row)
    expect(s.cli("events", "g:7").stdout == r.stdout, "one conversation")
    expect(json.loads(s.cli("events", "--json").stdout)["rows"][0]["head"] == "m:abc", "json")
    r = s.cli("events", "g:8")
    expect(r.returncode == 1 and "g:8" in r.stderr and not r.stdout, str(r))


# --- another program in our place ---------------------------------------------------------


def replace_program(s, text=None):
    """Another rookeryd in the place of the one that runs: itself, or a script."""
    new = os.path.join(s.bin, "new")
    if text is None:
        shutil.copy(os.path.join(ASAN, "rookeryd"), new)
    else:
        with open(new, "w") as f:
            f.write("#!/bin/sh\n" + text)
        os.chmod(new, 0o755)
    os.rename(new, os.path.join(s.bin, "rookeryd"))


def pids(s):
    return {c["name"]: c["pid"] for c in s.snapshot()["children"]}


def test_upgrade():
    s = System(env={"ROOKERY_WORKERS": "2"}, behave={"worker/1": ["talk"], "api": ["degraded"]}, wait="degraded")
    for name in ("worker/1", "worker/2"):
        s.wait_child(name, state="ready")
    s.ask(cmd="stop", name="worker/2")
    os.kill(s.child("gateway")["pid"], signal.SIGKILL)
    s.wait_child("gateway", state="ready", generation=2)
    before = {c["name"]: c for c in s.snapshot()["children"]}
    first = s.snapshot()["supervisor"]
    watcher = s.connect()
    watcher.ask(cmd="watch")
    replace_program(s)
    answer = s.ask(cmd="upgrade")
    expect(answer["ok"] and answer["id"] == 7 and answer["supervisor"]["generation"] == 2, str(answer))
    while watcher.next():
        pass
    watcher.close()
    if os.geteuid() == 0:       # others may not even look
        expect(os.path.samefile("/proc/%d/exe" % s.p.pid, os.path.join(s.bin, "rookeryd")), "the old program runs")
    after = {c["name"]: c for c in s.snapshot()["children"]}
    same = ("pid", "state", "desired", "generation", "restarts", "last_exit", "word", "remedy", "dropped_log_lines")
    for name in before:
        for key in same:
            expect(before[name].get(key) == after[name].get(key), "%s of %s: %s" % (key, name, after[name]))
        expect(after[name]["since_ms"] >= before[name]["since_ms"], "age of " + name)
    expect(s.snapshot()["supervisor"]["uptime_ms"] >= first["uptime_ms"], "age")
    expect("far/7" in s.cli("status").stdout, "what gatewayd reported")
    expect("plain words" in s.cli("logs", "worker/1").stdout, "the last lines")
    # everything works as before
    for name in ("api", "gateway", "worker/1"):
        os.kill(after[name]["pid"], signal.SIGKILL)
        s.wait_child(name, generation=after[name]["generation"] + 1, ready=True)
    expect("no line end" in s.cli("logs", "worker/1").stdout, "what had no line end yet")
    expect(s.file("api", "given").count("secret 17") == 2, "the secret is lost")
    expect(s.cli("start", "worker/2").returncode == 0, "start")
    expect(s.ask(cmd="ask", name="gateway", what="twice")["ok"], "ask")
    expect(s.cli("reload").returncode == 0 and s.cli("upgrade").returncode == 0, s.said())
    expect(s.snapshot()["supervisor"]["generation"] == 3, "a second time")
    second = subprocess.run([os.path.join(s.bin, "rookeryd")], env=s.env, cwd=s.dir, capture_output=True, text=True)
    expect(second.returncode == 75 and "pid=%d" % s.p.pid in second.stderr, "the lock is lost")
    expect(s.stop()[0] == 0 and not os.path.exists(s.status_path()), "stop")


def test_upgrade_loses_no_line():
    r, w = os.pipe()
    s = System(stderr=w, behave={"worker/1": ["count-aloud"]})     # more than the pipe holds
    os.close(w)
    until("more than the pipe holds", lambda: s.ask(cmd="dump")["dump"]["unwritten"] > 0)
    expect(s.ask(cmd="upgrade")["ok"], "upgrade")
    said = b""
    while b"number 003999" not in said:
        expect(select.select([r], [], [], DEADLINE_S)[0], "not in time: the last line")
        said += os.read(r, 65536)
    numbers = [int(line.split()[-1]) for line in said.decode().splitlines() if "number 00" in line]
    expect(numbers == list(range(4000)), "%d lines of 4000" % len(numbers))
    expect(s.snapshot()["supervisor"]["dropped_log_lines"] == 0, "counted")
    os.set_blocking(r, False)
    s.ask(cmd="shutdown")
    os.close(r)


def test_upgrade_to_nothing_good():
    s = System(env={"ROOKERY_READY_MS": "1500"})
    before = pids(s)
    for text, word in (("exit 3\n", "status 3"), ("kill -SEGV $$\n", "signal 11"), ("exec sleep 1000\n", "did not end"),
                       # good on trial, and gone when it counts
                       ('chmod -x "$0"; exit 0\n', "Permission denied"), (None, "No such file")):
        replace_program(s, text or "")
        if text is None:
            os.remove(os.path.join(s.bin, "rookeryd"))
        r = s.cli("upgrade")
        expect(r.returncode == 1 and word in r.stderr, "%r: %s" % (text, r))
        expect(pids(s) == before and s.snapshot()["supervisor"]["generation"] == 1, "disturbed by %r" % text)
    # a configuration that would not do
    replace_program(s)
    with open(os.path.join(s.dir, ".env"), "w") as f:
        f.write("ROOKERY_WORKERS=lots\n")
    r = s.cli("upgrade", env={"ROOKERY_ENV_FILE": ""})
    expect(r.returncode == 1 and "status 78" in r.stderr, str(r))
    os.remove(os.path.join(s.dir, ".env"))
    expect(s.cli("upgrade").returncode == 0 and pids(s) == before, "a good one in the end")
    # one that was read and is not in force
    with open(os.path.join(s.dir, ".env"), "w") as f:
        f.write("ROOKERY_WORKERS=lots\n")
    env = {"ROOKERY_ENV_FILE": ""}
    expect(s.cli("reload", env=env).returncode != 0, "taken")
    os.remove(os.path.join(s.dir, ".env"))
    r = s.cli("upgrade", env=env)
    expect(r.returncode != 0 and "ROOKERY_WORKERS" in r.stderr, str(r))
    expect(s.cli("reload", env=env).returncode == 0 and s.cli("upgrade", env=env).returncode == 0, s.said())
    # whoever calls it by hand
    p = subprocess.run([os.path.join(s.bin, "rookeryd"), "--resume", "0"], stdin=subprocess.DEVNULL, cwd=s.dir,
                       env=s.env, capture_output=True, text=True)
    expect(p.returncode == 75 and "rookeryd.state" in p.stderr, str(p))


def test_upgrade_with_the_simulator():
    for more in ({"args": ["--sim"]}, {"bot": False}):
        s = System(**more)
        before = pids(s)
        replace_program(s)
        expect(s.ask(cmd="upgrade")["supervisor"]["simulator"], "it forgets the simulator")
        expect(pids(s) == before and s.snapshot()["chat"] == "http://127.0.0.1:8484/", str(s.snapshot()))
        os.kill(before["api"], signal.SIGKILL)
        s.wait_child("api", state="ready", generation=2)
        expect(s.file("api", "given").count("secret 9") == 2, "credentials")
        expect("102999999" not in s.file("api", "given"), "the real bot")


def test_upgrade_and_stop_at_once():
    for ms in range(0, 200, 2 if LONG else 25):
        s = System()
        replace_program(s)
        c = s.connect()
        c.send(v=1, id=1, cmd="upgrade")
        time.sleep(ms / 1000)    # the moment is what is tested
        status, seconds = s.stop()
        expect(status == 0 and seconds < STOP_S, "status %d after %.1f s at %d ms:\n%s" % (status, seconds, ms, s.said()))
        c.close()
        s.clean()
        SYSTEMS.remove(s)


def test_upgrade_while_children_come_and_go():
    """A death that nobody has been told of, and a start that is not over."""
    s = System(env={"ROOKERY_WORKERS": "3"}, behave={"worker/2": ["never-ready"]}, wait="starting")
    s.wait_child("worker/1", state="ready")
    s.wait_child("worker/2", state="starting")
    old = s.child("worker/1")["pid"]
    # dies while the new program is on its way
    replace_program(s, 'case $1 in --try) kill -9 %d;; esac\nexec %s/rookeryd "$@"\n' % (old, ASAN))
    expect(s.ask(cmd="upgrade")["ok"], s.said())
    s.wait_child("worker/1", state="ready", generation=2)
    s.behave("worker/2", [])
    s.ask(cmd="restart", name="worker/2")
    s.wait_state("ready")


def test_upgrade_with_another_secret():
    """What api was given is older than the program that is asked to reload."""
    s = System(bot=False, wait=None, env={"QQ_APP_ID": "102999999", "QQ_CLIENT_SECRET_FILE": "secret"},
               before=lambda: open("secret", "w").write("first"))
    s.wait_state("ready")
    with open(os.path.join(s.dir, "secret"), "w") as f:
        f.write("another one")
    for _ in range(2):
        replace_program(s)
        expect(s.cli("upgrade").returncode == 0, s.said())
    expect(s.child("api")["generation"] == 1, "children are not touched")
    expect(s.cli("reload").returncode == 0, s.said())
    s.wait_child("api", state="ready", generation=2)
    expect("secret 11" in s.file("api", "given"), "the new one")
    expect(s.cli("reload").returncode == 0, s.said())
    s.wait_state("ready")
    expect(s.child("api")["generation"] == 2, "api was replaced without need")


def test_upgrade_waits_for_no_roll():
    """A roll that began during the trial would be forgotten."""
    s = System(behave={"worker/2": ["never-ready"]}, wait="starting", env={"ROOKERY_WORKERS": "2"})
    s.wait_child("worker/1", state="ready")
    replace_program(s, 'while [ ! -e go ]; do sleep 0.05; done\nexec %s/rookeryd "$@"\n' % ASAN)
    c = s.connect()
    c.send(v=1, id=1, cmd="upgrade")
    until("the trial", lambda: "upgrade.try" in s.said())
    expect(s.ask(cmd="restart", name="worker/2", rolling=True, timeout_ms=0)["ok"], "roll")
    until("it rolls", lambda: s.snapshot()["supervisor"]["rolling"])
    open(os.path.join(s.dir, "go"), "w").close()
    answer = c.next()
    c.close()
    expect(not answer["ok"] and "rolling" in answer["message"], str(answer))
    expect(s.snapshot()["supervisor"]["rolling"] == "worker/2", "it is forgotten")


# --- words of children ----------------------------------------------------------------------------


def test_output_of_children():
    s = System(behave={"worker/1": ["talk"]})
    until("words", lambda: "worker/1: plain words\n" in s.said())
    expect("worker/1: ?[31mred?[0m\n" in s.said(), "not cleaned")
    expect("worker/1: 2" not in s.said(), "our own lines are prefixed")
    os.kill(s.child("worker/1")["pid"], signal.SIGKILL)
    try:
        until("last words", lambda: "worker/1: no line end\n" in s.said())
    except Failed as e:
        raise Failed("%s\n%s" % (e, s.said()))
    r = s.cli("logs", "worker/1", "-n", "400")
    expect("plain words" in r.stdout and "fake.ready" in r.stdout and r.returncode == 0, r.stdout)
    expect("plain words" not in s.cli("logs", "api").stdout, "of the wrong child")
    expect(len(s.cli("logs", "-n3").stdout.splitlines()) == 3, "three lines")
    expect(s.cli("logs", "nobody").returncode == 1, "nobody")


def test_follow():
    s = System()
    until("a line", lambda: "fake.ready" in s.cli("logs", "worker").stdout)
    p = subprocess.Popen([os.path.join(s.bin, "rookery"), "logs", "-f", "worker", "-n", "1"], cwd=s.dir, env=s.env,
                         stdout=subprocess.PIPE, text=True)
    p.stdout.readline()    # what was there comes when the follower stands
    s.ask(cmd="restart", name="worker/1")
    line = ""
    while "fake.ready" not in line:
        line = p.stdout.readline()
    expect(line.startswith("worker/1"), line)
    s.stop()
    while p.stdout.readline():
        pass
    expect(p.wait(DEADLINE_S) == 3, "exit status of the follower")


def test_flood_is_bounded():
    s = System(behave={"worker/1": ["flood"]}, wait=None)
    until("dropped lines", lambda: (lambda c: c and c["dropped_log_lines"] > 0)(s.child("worker/1")))
    s.wait_state("ready")
    expect(os.path.getsize(s.log) < 10 << 20, "everything was passed on")
    s.behave("worker/1", [])


def test_blocked_stderr_stops_nothing():
    r, w = os.pipe()
    s = System(behave={"worker/1": ["flood"]}, wait=None, stderr=w)
    os.close(w)
    s.wait_state("ready")        # nobody reads the pipe
    os.kill(s.child("api")["pid"], signal.SIGKILL)
    s.wait_child("api", state="ready", generation=2)
    expect(s.stop()[0] == 0, "stop")
    os.close(r)


# SV10
def test_SV10_the_log_is_removed_or_its_disk_full():
    s = System()
    os.remove(s.log)
    s.behave("worker/1", ["flood"])
    s.ask(cmd="restart", name="worker/1")
    expect(s.snapshot()["state"] == "ready", "a removed file")
    s.stop()
    s = System(stderr=open("/dev/full", "wb"), behave={"worker/1": ["talk"]})
    os.kill(s.child("worker/1")["pid"], signal.SIGKILL)
    s.wait_child("worker/1", state="ready", generation=2)
    expect(s.snapshot()["supervisor"]["dropped_log_lines"] > 0, "not counted")
    expect("plain words" in s.cli("logs", "worker/1").stdout, "the last words")
    expect(s.stop()[0] == 0, "a full disk")
    r, w = os.pipe()
    s = System(stderr=w, behave={"worker/1": ["flood"]})
    os.close(w)
    os.close(r)
    s.ask(cmd="restart", name="worker/1")
    expect(s.snapshot()["state"] == "ready" and s.stop()[0] == 0, "a reader that has gone")


def test_log_file():
    d = tempfile.mkdtemp(prefix="rk-")
    path = os.path.join(d, "log")

    def read(name=path):
        try:
            with open(name) as f:
                return f.read()
        except FileNotFoundError:    # it is being put aside
            return ""
    s = System(env={"ROOKERY_LOG_PATH": path, "ROOKERY_LOG_KIB": "16", "ROOKERY_LOG_KEPT": "2"})
    expect("event=family.up" in read() or "family.up" in read(), read())
    expect("child.state" not in s.said(), "it is said twice: " + s.said())
    s.behave("worker/1", ["count-aloud"])           # 80 KB
    s.ask(cmd="restart", name="worker/1")
    until("the files are put aside", lambda: "number 003999" in "".join(read(os.path.join(d, n))
                                                                        for n in sorted(os.listdir(d), reverse=True)))
    # one write may be larger than a file should be
    s.ask(cmd="restart", name="worker/1")
    until("no more are kept than asked for", lambda: sorted(os.listdir(d)) == ["log", "log.1", "log.2"])
    expect(s.ask(cmd="dump")["dump"]["log_files_put_aside"] > 0, "not counted")
    expect(s.snapshot()["supervisor"]["dropped_log_lines"] == 0, "lines are lost")
    # moved away by another; the same again by the next program
    for deed in ("reload", "upgrade"):
        os.rename(path, path + ".away")
        expect(s.cli(deed).returncode == 0 and os.path.exists(path), deed)
    os.kill(s.child("api")["pid"], signal.SIGKILL)
    s.wait_child("api", state="ready", generation=2)
    expect(any("name=api" in read(os.path.join(d, n)) for n in os.listdir(d)), read())
    # a folder that goes away stops nothing
    os.rename(d, d + "-away")
    s.ask(cmd="restart", name="worker/1")
    expect(s.snapshot()["state"] == "ready", "without a folder")
    answer = s.ask(cmd="reload")
    expect(answer["error"] == "CONFIG" and "ROOKERY_LOG_PATH" in answer["message"], "no such folder")
    os.rename(d + "-away", d)
    expect(s.ask(cmd="reload")["ok"], "the folder is there again")
    expect(s.stop()[0] == 0 and any("family.stop" in read(os.path.join(d, n))
                                    for n in os.listdir(d)), read())
    shutil.rmtree(d)
    s = System(env={"ROOKERY_LOG_PATH": "/dev/full"}, behave={"worker/1": ["talk"]})
    s.ask(cmd="restart", name="worker/1")
    expect(s.snapshot()["supervisor"]["dropped_log_lines"] > 0 and s.stop()[0] == 0, "a full disk")
    s = System(env={"ROOKERY_LOG_PATH": "/no/such/folder/log"}, wait=None)
    expect(s.p.wait(DEADLINE_S) == 78 and "setting=ROOKERY_LOG_PATH" in s.said(), s.said())


# SV13
def test_SV13_words_of_children_do_not_make_us_grow():
    s = System(binaries=PLAIN, env={"ROOKERY_WORKERS": "6"})
    first = s.ask(cmd="dump")["dump"]["rss_kib"]
    for i in range(1, 7):
        s.behave("worker/%d" % i, ["flood"])
    for _ in range(20 if LONG else 2):         # 12 MB each
        s.ask(cmd="restart", name="worker")
    last = s.ask(cmd="dump")["dump"]["rss_kib"]
    expect(last < first + 8192, "from %d to %d KiB" % (first, last))
    expect(s.snapshot()["state"] == "ready", "disturbed")


def test_json_log():
    s = System(env={"ROOKERY_LOG_FORMAT": "json"}, behave={"worker/1": ["talk"]})
    until("words", lambda: "plain words" in s.said())
    for line in s.said().splitlines():
        if "fake.ready" not in line:       # the children of these tests log text
            json.loads(line)
    s.behave("worker/1", ["talk-json"])
    s.ask(cmd="restart", name="worker/1")
    until("its own line", lambda: '"event":"x"' in s.said())
    line = next(json.loads(x) for x in s.said().splitlines() if '"event":"x"' in x)
    expect(line["child"] == "worker/1" and line["pid"] == 5, str(line))


def test_log_level():
    s = System()
    expect(s.cli("log-level", "error").returncode == 0, "log-level")
    whole = len(s.said())

    def is_told():
        # "proc.signal" is info; a stop that overtakes the message is no proof
        s.ask(cmd="restart", name="worker/1")
        size = len(s.said())
        s.ask(cmd="stop", name="worker/1")
        return "proc.signal" not in s.said()[size:]
    until("a new child that is told", is_told)
    expect("child.state" not in s.said()[whole:], "rookeryd still talks")
    expect(s.cli("log-level", "loud").returncode == 1, "bad level")


# --- rookery(1) -----------------------------------------------------------------------------------


def test_cli_status():
    s = System()
    r = s.cli("status")
    expect(r.returncode == 0, r.stderr)
    for word in ("rookery is ready", "worker/1", "NAME", "MEMORY", "102000001", "far/7", "elsewhere"):
        expect(word in r.stdout, "%s is not in\n%s" % (word, r.stdout))
    expect("\033" not in r.stdout, "colours without a terminal")
    doc = json.loads(s.cli("status", "--json").stdout)
    expect(doc["state"] == "ready" and doc["children"][0]["rss_kib"] > 0, "json")


def test_cli_without_supervisor():
    d = tempfile.mkdtemp(prefix="rk-")
    for args in (["status"], ["stop"], ["logs"], ["restart", "api"], ["wait", "--timeout", "0"]):
        p = subprocess.run([os.path.join(ASAN, "rookery")] + args, cwd=d, capture_output=True, text=True,
                           env={"PATH": os.environ["PATH"], "ROOKERY_RUN_DIR": d})
        expect(p.returncode == 3 and "rookery up" in p.stderr, "%s: %d %s" % (args, p.returncode, p.stderr))
    for args in (["status"], ["watch"], ["dead"], ["events"]):
        p = subprocess.run([os.path.join(ASAN, "rookery")] + args + ["--json"], cwd=d, capture_output=True, text=True,
                           env={"PATH": os.environ["PATH"], "ROOKERY_RUN_DIR": d})
        expect(p.returncode == 3 and json.loads(p.stdout)["error"] == "NO_SUPERVISOR", "%s: %s" % (args, p))
    # perhaps it runs where the settings say that cannot be read
    p = subprocess.run([os.path.join(ASAN, "rookery"), "status"], cwd=d, capture_output=True, text=True,
                       env={"PATH": os.environ["PATH"], "ROOKERY_RUN_DIR": d, "ROOKERY_ENV_FILE": d + "/none"})
    expect(p.returncode == 3 and "rookery check" in p.stderr, str(p))
    with open("/dev/full", "w") as full:
        p = subprocess.run([os.path.join(ASAN, "rookery"), "help"], stdout=full, stderr=subprocess.PIPE, text=True)
    expect(p.returncode == 1 and "standard output" in p.stderr, str(p))
    # a dead one's socket
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(os.path.join(d, "status.sock"))
    p = subprocess.run([os.path.join(ASAN, "rookery"), "status"], cwd=d, capture_output=True, text=True,
                       env={"PATH": os.environ["PATH"], "ROOKERY_RUN_DIR": d})
    expect(p.returncode == 3, "dead socket: %d" % p.returncode)
    shutil.rmtree(d)


def test_cli_ends_where_nothing_can_be_written():
    s = System(behave={"worker/1": ["talk"]})
    with open("/dev/full", "w") as full:
        for args in (["status"], ["status", "--json"], ["dump"], ["logs"], ["watch", "--json"], ["logs", "-f"]):
            p = subprocess.run([os.path.join(ASAN, "rookery")] + args, stdout=full, stderr=subprocess.PIPE, text=True,
                               timeout=20, env=s.env)
            expect(p.returncode == 1 and "standard output" in p.stderr, "%s: %s" % (args, p))


def test_cli_is_told_of_a_stopped_supervisor():
    s = System()
    os.kill(s.p.pid, signal.SIGSTOP)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        asked = {args: pool.submit(s.cli, *args) for args in
                 (("restart", "worker"), ("status",), ("start", "api", "--timeout", "1"), ("stop",))}
        for args, p in asked.items():
            p = p.result()
            expect(p.returncode == 2 and "SIGSTOP" in p.stderr, "%s: %s" % (args, p))
    os.kill(s.p.pid, signal.SIGCONT)
    expect(s.cli("restart", "worker").returncode == 0, "it goes on")


def test_cli_usage():
    for args in ([], ["dance"], ["status", "x"], ["start"], ["wait", "--timeout"], ["wait", "--timeout", "soon"],
                 ["status", "--rolling"], ["status", "--json=1"], ["help", "dance"]):
        p = subprocess.run([os.path.join(ASAN, "rookery")] + args, capture_output=True, text=True,
                           env={"PATH": os.environ["PATH"]})
        expect(p.returncode == 64 and p.stderr, "%s: %d" % (args, p.returncode))
    for args in (["help"], ["help", "logs"], ["--help"], ["version"], ["--version"]):
        p = subprocess.run([os.path.join(ASAN, "rookery")] + args, capture_output=True, text=True,
                           env={"PATH": os.environ["PATH"]})
        expect(p.returncode == 0 and p.stdout, "%s: %d" % (args, p.returncode))


def test_cli_up_and_stop():
    s = System(program="rookery", args=["up"])
    with open(s.out) as f:
        expect("bot 102999999" in f.read(), "banner")
    r = s.cli("stop")
    expect(r.returncode == 0, r.stderr)
    expect(s.p.wait(DEADLINE_S) == 0, "status")
    s = System(program="rookery", args=["up"], env={"ROOKERY_WORKERS": "-1", "ROOKERY_WINDOW": "x"}, wait=None)
    expect(s.p.wait(DEADLINE_S) == 78, "status")
    expect("2 problems" in s.said(), s.said())


def test_cli_stop_is_a_stop():
    s = System()
    held = [s.connect() for _ in range(32)]
    for c in held:
        expect(c.ask(cmd="help")["ok"], "served")
    for args in (["stop"], ["status"]):
        r = s.cli(*args)
        expect(r.returncode == 1 and "connections" in r.stderr, str(r))
    expect(s.p.poll() is None, "it has stopped all the same")
    for c in held:
        c.close()
    until("served again", lambda: s.cli("status").returncode == 0)
    expect(s.cli("stop").returncode == 0, s.said())
    # the next one may start at once
    with open(os.path.join(s.dir, "run", "rookeryd.lock")) as f:
        fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
    expect(os.listdir(os.path.join(s.dir, "run")) == ["rookeryd.lock"], "what is left")


def test_cli_check_and_config():
    d = tempfile.mkdtemp(prefix="rk-")
    env = {"PATH": os.environ["PATH"], "QQ_APP_ID": "123", "QQ_CLIENT_SECRET": "very-secret-value"}
    run = lambda *a, **more: subprocess.run([os.path.join(ASAN, "rookery")] + list(a), cwd=d, capture_output=True,
                                            text=True, env=dict(env, **more))
    p = run("check")
    expect(p.returncode == 0 and "1 bot" in p.stdout, p.stdout + p.stderr)
    p = run("check", QQ_INTENTS="EVERYTHING", ROOKERY_WROKERS="1", QQ_CLIENT_SECRET="")
    expect(p.returncode == 78, "exit %d" % p.returncode)
    for word in ("QQ_INTENTS = EVERYTHING", "ROOKERY_WORKERS", "QQ_CLIENT_SECRET", "3 problems"):
        expect(word in p.stderr, "%s: %s" % (word, p.stderr))
    p = run("config")
    expect(p.returncode == 0 and "(set)" in p.stdout and "very-secret" not in p.stdout, p.stdout)
    doc = json.loads(run("config", "--json").stdout)
    expect(doc["settings"]["QQ_APP_ID"] == {"value": "123", "from": "environment"}, str(doc["settings"]["QQ_APP_ID"]))
    shutil.rmtree(d)


def test_cli_keys():
    d = tempfile.mkdtemp(prefix="rk-")
    keys = os.path.join(d, "k")
    run = lambda: subprocess.run([os.path.join(ASAN, "rookery"), "keys", keys], capture_output=True, text=True,
                                 env={"PATH": os.environ["PATH"]})
    expect(run().returncode == 0, "keys")
    read = lambda *p: open(os.path.join(keys, *p)).read()
    pairs = {n: read(n, n + ".key").splitlines() for n in ("api", "gateway", "worker", "observer")}
    for name, pair in pairs.items():
        expect(len(pair) == 2 and all(len(x) == 40 for x in pair), "format")
        mode = os.stat(os.path.join(keys, name, name + ".key")).st_mode & 0o777
        expect(mode == 0o600, "mode %o" % mode)
        for other in pairs:
            if other != name:
                expect(read(name, other + ".pub") == pairs[other][0] + "\n", "%s of %s" % (other, name))
    os.remove(os.path.join(keys, "api", "worker.pub"))
    expect(run().returncode == 0 and pairs["api"] == read("api", "api.key").splitlines(), "kept")
    expect(read("api", "worker.pub") == pairs["worker"][0] + "\n", "made good")
    with open(os.path.join(keys, "api", "api.key"), "w") as f:
        f.write("half a key\n")
    expect(run().returncode == 1, "a broken key is not replaced")
    expect(read("api", "api.key") == "half a key\n", "it is overwritten")
    shutil.rmtree(d)


def test_manuals_name_every_command():
    s = System()
    with open(os.path.join(ROOT, "supervisor", "rookeryd.8")) as f:
        page = f.read()
    for c in s.ask(cmd="help")["commands"]:
        line = (".It Ic %s" % c["cmd"]) + (" Ar " + c["arguments"] if c["arguments"] else "")
        expect(line + "\n" in page, "rookeryd.8 lacks: " + line)
    for key in list(s.child("api")) + list(s.snapshot()["supervisor"]):
        expect(key in page, "rookeryd.8 lacks the key " + key)
    with open(os.path.join(ROOT, "cli", "rookery.1")) as f:
        page = f.read()
    for line in s.cli("help").stdout.splitlines():
        if line.startswith("  "):
            expect(".It Ic %s" % line.split()[0] in page, "rookery.1 lacks " + line)


# --- the runner ----------------------------------------------------------------------------------------


def on_late(_signal, _frame):
    raise Failed("not done after %d s" % TEST_S)


def run_one(name, test):
    del SYSTEMS[:]
    problem = None
    try:
        signal.alarm(TEST_S)
        test()
    except Exception as e:    # a test that breaks has failed
        problem = "%s: %s" % (type(e).__name__, e)
    signal.alarm(0)
    for s in SYSTEMS:
        try:
            s.clean()
        except Exception as e:
            problem = problem or str(e)
    lines = [("not ok " if problem else "ok ") + name] + ["#   " + x for x in (problem or "").splitlines()]
    print("\n".join(lines), flush=True)
    return problem is None


def main():
    global CHILD
    signal.signal(signal.SIGALRM, on_late)
    wanted = [a for a in sys.argv[1:] if a != "--long"]
    with tempfile.TemporaryDirectory(prefix="rk-") as folder:
        CHILD = build_child(folder)
        tests = [(n[5:], t) for n, t in list(globals().items()) if n.startswith("test_")]
        tests = [(n, t) for n, t in tests if not wanted or any(w in n for w in wanted)]
        # they wait more than they work
        with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
            results = list(pool.map(run_one, *zip(*tests))) if tests else []
    print("# %d passed, %d failed" % (results.count(True), results.count(False)))
    return 0 if all(results) else 1


SYSTEMS = []
CHILD = None
if __name__ == "__main__":
    sys.exit(main())
