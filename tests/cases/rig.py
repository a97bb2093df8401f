"""The whole system in a folder of its own, against a qqsim that outlives it.

What every user of the rig gets without asking for it: at the end no process
is left, every program ended with status 0, no sanitizer has said anything,
none ended that nobody killed, neither a secret nor a token is in a log, a
command line, an environment or a status line, and the platform's ledger has
no breach of its rules and no double reply.
"""
import ctypes
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time

import between

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
ASAN = os.path.join(TOP, "build", "asan")
CLOCK = os.path.join(TOP, "build", "chaos", "clock.so")
BENT = ("workerd", "apid", "gatewayd")    # what a bent clock is for
WAIT_S = 20          # for anything, unless said otherwise
STOP_S = 5           # for the whole system to stop
POLL_S = 0.02
PR_SET_CHILD_SUBREAPER = 36
SANITIZER = re.compile(rb"AddressSanitizer|LeakSanitizer|"
                       rb"UndefinedBehaviorSanitizer|runtime error:")
ENDED = re.compile(r"child\.state .*( to=(backoff|failed) | generation=[2-9])"
                   r".*")
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?"
                         r"-----END CERTIFICATE-----\n", re.S)


class Failed(Exception):
    """What the system did was not what it should do."""


def become_subreaper():
    """Orphans of ours become children of ours: none goes unnoticed."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def until(what, question, within=WAIT_S):
    """The first answer that is true."""
    end = time.monotonic() + within
    while not (answer := question()):
        if time.monotonic() > end:
            raise Failed(f"not within {within} s: {what}")
        time.sleep(POLL_S)
    return answer


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except FileNotFoundError:
        return ""


def family(root):
    """{pid: name} of the living processes below this one."""
    parents, names = {}, {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8",
                      errors="replace") as f:
                name, rest = f.read().split("(", 1)[1].rsplit(")", 1)
        except OSError:
            continue
        state, parent = rest.split()[:2]
        if state not in "ZX":
            parents[int(pid)], names[int(pid)] = int(parent), name
    found, more = set(), {root}
    while more:
        more = {p for p, pp in parents.items() if pp in more} - found
        found |= more
    return {p: names[p] for p in found}


def settings_of(path):
    """A file of NAME=VALUE lines."""
    found = {}
    for line in read(path).splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            found[name] = value.strip("'\"")
    return found


class Rig:
    def __init__(self, programs=ASAN, level="debug", user=None):
        self.programs = programs
        self.user = user         # who runs it; None: who runs us
        self.dir = tempfile.mkdtemp(prefix="rk-")
        os.chmod(self.dir, 0o755)
        self.settings = {
            "ROOKERY_ENV_FILE": "",
            "ROOKERY_RUN_DIR": self.path("run"),
            "ROOKERY_STATE_DIR": self.path("state"),
            "ROOKERY_BOTS_DIR": self.path("bots"),
            "ROOKERY_CA_FILE": self._one_authority(),
            "ROOKERY_LOG": level,
            # Stories about these say so; the others are to be quick, and
            # their faults are to strike what they are about.
            "ROOKERY_LIMITS": "0",
            "ROOKERY_HEALTH_S": "0",
        }
        os.mkdir(self.path("bots"))
        if user is not None:
            os.chown(self.dir, user, user)
        self.sim = self.system = None
        self.between = None      # a proxy before the simulator
        self.refuser = None      # a worker that is not rookeryd's
        self.server, self.served = None, ""    # of `serve`, and its port
        self.sim_env = {}
        self.port = 0            # of the simulator, kept over its restarts
        self.bots = {}           # app id: secret
        self.secrets = set()
        self.asked_tokens = 0    # token requests that were ours
        self.deaths_expected = False
        self.allowed = set()     # violations that belong to the story
        self.said = ""           # by the last rookery command
        self.noted = {}          # pids by name
        self.flood = {}, []      # answers by kind, threads
        self.lock = threading.Lock()

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def _one_authority(self):
        """A bundle of one: reading all of them takes a second under ASan,
        and loopback needs none."""
        path = self.path("one-ca.pem")
        first = CERTIFICATE.search(read(AUTHORITIES))
        with open(path, "w", encoding="ascii") as f:
            f.write(first[0] if first else "")
        return path

    def environment(self, *more):
        env = {k: v for k, v in os.environ.items()
               if not k.startswith(("QQ_", "ROOKERY_"))
               and not k.lower().endswith("_proxy")
               and k != "NOTIFY_SOCKET"}
        for settings in more:
            env.update(settings)
        return env

    def spawn(self, program, env, log, argv=()):
        with open(log, "ab") as out:
            return subprocess.Popen(
                [os.path.join(self.programs, program), *argv], env=env,
                cwd=self.dir, stdin=subprocess.DEVNULL, stdout=out,
                stderr=out, start_new_session=True, user=self.user,
                group=self.user, extra_groups=[] if self.user else None)

    # --- the wall clock ---

    def preload(self, library, **env):
        """From now on ours, and not the simulator, have this library.  The
        children are started by wrappers: rookeryd hands on its own list of
        the environment, and this is not in it."""
        folder = self.path("programs")
        os.mkdir(folder)
        env["LD_PRELOAD"] = library
        given = " ".join(f"{k}='{v}'" for k, v in env.items())
        for name in ("rookery", "qqsim", *BENT):
            real = os.path.join(self.programs, name)
            if name not in BENT:
                os.symlink(real, os.path.join(folder, name))
                continue
            path = os.path.join(folder, name)
            with open(path, "w", encoding="utf-8") as f:
                f.write("#!/bin/sh\nexport ASAN_OPTIONS="
                        "verify_asan_link_order=0\n"
                        f"{given} exec '{real}' \"$@\"\n")
            os.chmod(path, 0o755)
        os.link(os.path.join(self.programs, "rookeryd"),
                os.path.join(folder, "rookeryd"))
        self.programs = folder
        self.settings.update(env)
        self.settings["ASAN_OPTIONS"] = "verify_asan_link_order=0:" \
            + os.environ.get("ASAN_OPTIONS", "")

    def bend_clock(self):
        """From now on set_clock() is theirs and not the simulator's."""
        offset = self.path("clock")
        with open(offset, "wb") as f:
            f.write(struct.pack("=q", 0))
        self.preload(CLOCK, CHAOS_CLOCK=offset)

    def bend_names(self, names):
        library = self.path("names.so")
        subprocess.run(
            [os.environ.get("CC", "gcc"), "-std=gnu11", "-D_GNU_SOURCE",
             "-fPIC", "-shared", "-o", library,
             os.path.join(TOP, "tests", "cases", "names.c")], check=True)
        self.preload(library, NAMES=names)

    def set_clock(self, seconds):
        """So far from the true time."""
        with open(self.path("clock"), "r+b") as f:
            f.write(struct.pack("=q", seconds * 10**9))

    # --- the simulator ---

    def start_sim(self):
        if self.sim is not None:
            return
        own = {k: v for k, v in self.settings.items()
               if k.startswith(("ROOKERY_SIM_", "ROOKERY_LOG"))}
        own.update({"ROOKERY_SIM_LISTEN": f"127.0.0.1:{self.port}",
                    "ROOKERY_SIM_DIR": self.path("sim"),
                    "ROOKERY_STATE_DIR": self.path("state"),
                    "ROOKERY_ENV_FILE": "",
                    "NOTIFY_SOCKET": self.path("notify")})
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.bind(self.path("notify"))
            os.chmod(self.path("notify"), 0o666)
            s.settimeout(POLL_S)
            self.sim = self.spawn("qqsim", self.environment(own),
                                  self.path("sim.log"))
            until("qqsim is ready", lambda: self._notified(s))
        os.unlink(self.path("notify"))
        self.sim_env = settings_of(self.path("sim", "sim.env"))
        self.bots.setdefault(self.sim_env["QQ_APP_ID"],
                             self.sim_env["QQ_CLIENT_SECRET"])
        self.secrets.add(self.sim_env["QQ_CLIENT_SECRET"])
        self.port = int(self.sim_env["QQ_API_URL"].rsplit(":", 1)[1])

    def stand_between(self):
        if self.between is None:
            self.between = between.Between(self.port)
        return self.between

    def _notified(self, s):
        if self.sim.poll() is not None:
            raise Failed(f"qqsim ended with status {self.sim.returncode}")
        try:
            return b"READY=1" in s.recv(4096)
        except socket.timeout:
            return False

    def stop_sim(self):
        self.learn_tokens()
        self.sim.terminate()
        try:
            status = self.sim.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            raise Failed("qqsim does not stop") from None
        self.sim = None
        if status != 0:
            raise Failed(f"qqsim ended with status {status}")

    def connection(self, timeout):
        if self.sim_env["QQ_API_URL"].startswith("https"):
            trust = ssl.create_default_context(
                cafile=self.sim_env["ROOKERY_CA_FILE"])
            return http.client.HTTPSConnection(
                "127.0.0.1", self.port, timeout=timeout, context=trust)
        return http.client.HTTPConnection("127.0.0.1", self.port,
                                          timeout=timeout)

    def ask(self, method, path, body=None, timeout=WAIT_S):
        """(status, answer) of the simulator."""
        self.start_sim()
        c = self.connection(timeout)
        try:
            if body is None:
                c.request(method, path)
            else:
                c.request(method, path, json.dumps(body),
                          {"Content-Type": "application/json"})
            answer = c.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            c.close()

    def tell(self, method, path, body=None):
        status, answer = self.ask(method, "/sim/" + path, body)
        if status != 200:
            raise Failed(f"qqsim: {method} {path}: {status} {answer}")
        return answer

    def report(self):
        return self.tell("GET", "report")

    def wait(self, conditions, within=WAIT_S):
        """conditions: texts as /sim/wait takes them."""
        query = "&".join([f"timeout_ms={int(within * 1000)}", *conditions])
        status, answer = self.ask("GET", "/sim/wait?" + query,
                                  timeout=within + 5)
        if status not in (200, 408):
            raise Failed(f"qqsim: wait {conditions}: {status} {answer}")
        if status == 408:
            raise Failed(f"not within {within} s: " + " ".join(conditions))
        return answer

    def learn_tokens(self):
        """The tokens in use now, so that they can be looked for."""
        if self.sim is None or self.sim.poll() is not None:
            return
        for bot, secret in self.bots.items():
            _, answer = self.ask("POST", "/app/getAppAccessToken",
                                 {"appId": bot, "clientSecret": secret})
            self.asked_tokens += 1
            if answer.get("access_token"):
                self.secrets.add(answer["access_token"])

    # --- the system ---

    def start(self):
        """Starts it and waits until it can be asked how it is."""
        self.launch()

        def answers():
            if self.system.poll() is not None:
                raise Failed("rookeryd ended with status "
                             f"{self.system.returncode}")
            return self.snapshot()
        until("the status socket answers", answers)

    def launch(self):
        self.start_sim()
        if self.system is not None and self.system.poll() is None:
            raise Failed("it runs already")
        self.system = self.spawn(
            "rookeryd", self.environment(self.sim_env, self.settings),
            self.path("log"))

    def start_refuser(self):
        """Ours and not rookeryd's; it ends with us at the latest."""
        libs = subprocess.run(
            "pkg-config --libs --cflags libzmq json-c $(pkg-config --exists "
            "msgpack-c && echo msgpack-c || echo msgpack)", shell=True,
            check=True, capture_output=True, text=True).stdout.split()
        subprocess.run(
            [os.environ.get("CC", "gcc"), "-std=gnu11", "-D_GNU_SOURCE", "-g",
             "-Wall", "-Wextra", "-fsanitize=address,undefined",
             "-I" + os.path.join(TOP, "common"), "-o", self.path("refuser"),
             os.path.join(TOP, "tests", "cases", "refuser.c"),
             os.path.join(ASAN, "common.a")] + libs, check=True)
        with open(self.path("refuser.log"), "ab") as out:
            self.refuser = subprocess.Popen(
                [self.path("refuser"),
                 "ipc://" + self.path("run", "events.sock")],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def stop_server(self):
        self.server.kill()
        self.server.wait(WAIT_S)
        self.server.stdout.close()
        self.server = None

    def stop_refuser(self):
        self.refuser.kill()
        self.refuser.wait(WAIT_S)
        self.refuser = None

    def ask_system(self, **request):
        """One answer of the status socket, or None when nobody is there."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(WAIT_S)
            try:
                s.connect(self.path("run", "status.sock"))
                s.sendall(json.dumps({"v": 1, "id": 1, **request}).encode()
                          + b"\n")
                with s.makefile("rb") as f:
                    line = f.readline()
            except (FileNotFoundError, ConnectionError):
                return None
        return json.loads(line) if line else None

    def snapshot(self):
        return self.ask_system(cmd="status")

    def child(self, name):
        """What the snapshot shows of it; all of the system: rookeryd."""
        shot = self.snapshot() or {}
        if name == "rookeryd":
            return shot
        return next((c for c in shot.get("children", ())
                     if c["name"] == name), None)

    def pid(self, name):
        if name == "rookeryd":
            return self.system.pid
        if name == "sim":
            return self.sim.pid
        # one that was killed a moment ago is shown until it is reaped
        def living():
            pid = (self.child(name) or {}).get("pid")
            return pid if pid in family(os.getpid()) else None
        return until(f"{name} runs", living)

    def webhook_port(self):
        """Once it listens and knows the keys: before, it answers 503."""
        def port():
            lives = (self.child("gateway") or {}).get("generation", 1)
            parts = re.split(r" webhook\.listen .*?\bport=(\d+)", self.log())
            keys = parts[-1].count(" webhook.key ")
            return len(parts) > 2 * lives and int(parts[-2]) if \
                keys >= 1 + len(os.listdir(self.path("bots"))) else 0
        return until("the webhook listens", port)

    def stop(self, within=STOP_S):
        """SIGTERM; returns how long it took."""
        if self.system is None:
            raise Failed("it does not run")
        self.look_for_secrets_in_processes()
        began = time.monotonic()
        if self.system.poll() is None:
            self.system.terminate()
        return self.await_end(0, began, within)

    def await_end(self, want, began=None, within=WAIT_S):
        began = began or time.monotonic()
        try:
            status = self.system.wait(within)
        except subprocess.TimeoutExpired:
            raise Failed(f"rookeryd has not ended after {within} s") from None
        took = time.monotonic() - began
        self.system = None
        until("all its processes have ended", lambda: not self.others(), 3)
        if status != want:
            raise Failed(f"rookeryd ended with status {status}, not {want}")
        return took

    def others(self):
        """Processes below us but the simulator: {pid: name}."""
        reap([p.pid for p in (self.sim, self.system) if p is not None])
        mine = family(os.getpid())
        if self.sim is not None:
            mine.pop(self.sim.pid, None)
        return mine

    def rookery(self, *argv, stdin=None):
        """(exit status, output) of rookery(1), errors and all."""
        self.start_sim()
        done = subprocess.run(
            [os.path.join(self.programs, "rookery"), *argv],
            env=self.environment(self.sim_env, self.settings), cwd=self.dir,
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
            check=False)
        with open(self.path("cli.log"), "ab") as f:
            f.write(done.stdout)
        self.said = done.stdout.decode("utf-8", "replace")
        return done.returncode, self.said

    def log(self):
        return read(self.path("log"))

    # --- what must never be ---

    # LG01, LG03
    def look_for_secrets(self, where, data):
        if isinstance(data, str):
            data = data.encode()
        for secret in self.secrets:
            if secret and secret.encode() in data:
                raise Failed(f"a secret or token is in {where}")

    def look_for_secrets_in_processes(self):
        self.learn_tokens()
        # rookeryd itself is given the secret in its environment, and has
        # wiped it there when it answers.
        fresh = self.snapshot() is None
        for pid, name in family(os.getpid()).items():
            for part in ("cmdline", "environ"):
                try:
                    with open(f"/proc/{pid}/{part}", "rb") as f:
                        data = f.read()
                except OSError:
                    continue
                if fresh and name == "rookeryd" and part == "environ":
                    continue
                self.look_for_secrets(f"/proc/PID/{part} of {name}", data)

    def look_for_secrets_in_files(self):
        """What we have written, but for the bots' files, where they belong."""
        for top in ("state", "run"):
            for folder, _, names in os.walk(self.path(top)):
                for name in names:
                    try:
                        with open(os.path.join(folder, name), "rb") as f:
                            self.look_for_secrets(f"{top}/{name}", f.read())
                    except OSError:       # a socket, or gone by now
                        continue
        for name in ("log", "sim.log", "cli.log"):
            self.look_for_secrets(name, read(self.path(name)))

    def look_at_ledger(self):
        report = self.report()
        found = set(report["violations"]) - self.allowed
        if report["total"]["doubled"]:
            found.add("doubled")
        if found - self.allowed:
            raise Failed("in the ledger: " + " ".join(sorted(found)))

    def finish(self):
        """Ends what runs, and looks at what is left.  What is wrong, a
        list of sentences."""
        wrong = []

        def attempt(what, *args):
            try:
                what(*args)
            except Exception as e:   # the next is to be looked at all the same
                wrong.append(str(e) or type(e).__name__)
        if self.sim is not None and self.sim.poll() is None:
            attempt(self.look_at_ledger)
            attempt(self.tell, "DELETE", "fault")
        if self.system is not None and self.system.poll() is None:
            attempt(self.rookery, "status")
            attempt(self.rookery, "status", "--json")
        if self.refuser is not None:
            attempt(self.stop_refuser)
        if self.server is not None:
            attempt(self.stop_server)
        if self.system is not None:
            attempt(self.stop)
        if self.sim is not None:
            attempt(self.stop_sim)
        wrong += [f"left behind: {name}" for name in
                  family(os.getpid()).values()]
        kill_all()
        attempt(self.look_for_secrets_in_files)
        for name in ("log", "sim.log", "cli.log", "refuser.log"):
            text = read(self.path(name)).encode()
            attempt(self.look_for_secrets, name, text)
            if SANITIZER.search(text):
                wrong.append(f"a sanitizer report is in {name}")
        if not self.deaths_expected and (died := ENDED.search(self.log())):
            wrong.append(f"ended by itself: {died[0]}")
        return wrong

    def remove(self):
        shutil.rmtree(self.path(), ignore_errors=True)


def reap(but=()):
    """Collects orphans that have ended; `but` are subprocess's own."""
    for pid in os.listdir("/proc"):
        if not pid.isdigit() or int(pid) in but:
            continue
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8",
                      errors="replace") as f:
                state, parent = f.read().rsplit(")", 1)[1].split()[:2]
            if state == "Z" and int(parent) == os.getpid():
                os.waitpid(int(pid), os.WNOHANG)
        except (OSError, ChildProcessError):
            continue


def kill_all():
    until_s = time.monotonic() + 5
    while (left := family(os.getpid())) and time.monotonic() < until_s:
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        reap()
        time.sleep(POLL_S)
