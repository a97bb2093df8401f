#!/usr/bin/env python3
"""What the documents say is what the programs do."""
import json
import os
import re
import select
import subprocess
import sys
import tempfile
import time
import urllib.request

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
PROGRAMS = {"rookery": 1, "qqsim": 1, "rookeryd": 8, "gatewayd": 8,
            "apid": 8, "workerd": 8}
PYTHON = "/usr/bin/python3"      # the one with Debian's zmq and msgpack
DEADLINE_S = 60


def path(*parts):
    return os.path.join(TOP, *parts)


def read(*parts):
    with open(path(*parts), encoding="utf-8") as f:
        return f.read()


def output(*argv):
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=DEADLINE_S,
                          stdin=subprocess.DEVNULL).stdout.decode()


def page(name):
    return read("build", "man", name)


def env_example_is_the_table():
    assert read(".env.example") == output(path("build", "tables"), "env"), \
        "renew it: build/tables env > .env.example"


def env_example_is_a_good_file():
    with tempfile.TemporaryDirectory() as d:
        with open(os.path.join(d, ".env"), "w", encoding="utf-8") as f:
            f.write(re.sub(r"(?m)^#(?=[A-Z])", "", read(".env.example")))
        done = subprocess.run([path("build", "rookery"), "check"], cwd=d,
                              stdout=subprocess.PIPE, timeout=DEADLINE_S,
                              stderr=subprocess.STDOUT, check=False)
        assert done.returncode == 0, done.stdout.decode()


def pages_know_every_option():
    for name, section in PROGRAMS.items():
        text = page(f"{name}.{section}").replace("\\-", "-")
        for option in re.findall(r"(?<![\w-])--([a-z][a-z-]+)",
                                 output(path("build", name), "--help")):
            # Fl already says one dash
            assert re.search(rf"-{option}\b", text), f"{name} --{option}"


def pages_know_every_setting():
    text = page("rookery.env.5")
    names = re.findall(r"(?m)^CONF\(\w+, (\w+),", read("common", "conf.def"))
    assert len(names) > 20
    for name in names:
        assert f'.It Ev "{name}"' in text, name


# What a container has a way of its own to say, see docs/containers.md.
NOT_IN_COMPOSE = {"ROOKERY_RUN_DIR", "ROOKERY_CA_FILE", "ROOKERY_BOTS_DIR",
                  "ROOKERY_ENV_FILE", "ROOKERY_CHILD_FD", "ROOKERY_CHILD_KEPT",
                  "ROOKERY_CHILD_NAME",
                  "ROOKERY_LOG_PATH", "ROOKERY_LOG_KIB", "ROOKERY_LOG_KEPT"}


def settings_of(reader):
    rows = re.findall(r"(?m)^CONF\(\w+, (\w+), .*, ([A-Z|]+),$",
                      read("common", "conf.def"))
    assert len(rows) > 20
    return {name for name, readers in rows if reader in readers.split("|")}


def pages_name_the_settings_that_are_read():
    ours = {"ROOKERY_ENV_FILE", "ROOKERY_CHILD_FD", "ROOKERY_CHILD_KEPT",
            "ROOKERY_CHILD_NAME", "ROOKERY_HANDLERS_PRINT"}
    for name, reader in (("gatewayd.8", "G"), ("apid.8", "A"),
                         ("workerd.8", "W"), ("qqsim.1", "Q")):
        part = page(name).split(".Sh ENVIRONMENT")[1].split("\n.Sh ")[0]
        named = set(re.findall(r"\b(?:QQ|ROOKERY)_[A-Z0-9_]+", part))
        assert named == settings_of(reader) - ours, \
            (name, named ^ (settings_of(reader) - ours))


def another_compiler_must_be_there():
    """The check is made again for it, though a build has been there before."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    with tempfile.TemporaryDirectory(prefix="rk-") as folder:
        for name in os.listdir(TOP):
            if name != "build" and not name.startswith("."):
                os.symlink(path(name), os.path.join(folder, name))

        def make(*words):
            return subprocess.run(
                ["make", "build/config.mk", *words], cwd=folder, env=env,
                capture_output=True, text=True, timeout=DEADLINE_S)
        first = make()
        assert first.returncode == 0, first.stderr
        other = make("CC=no-such-compiler")
        assert other.returncode != 0 and "gcc" in other.stdout + other.stderr,\
            other
        again = make()
        assert again.returncode == 0, again.stderr


def compose_passes_every_setting_on():
    text = read("docker-compose.yml")
    for name in settings_of("S") - NOT_IN_COMPOSE:
        assert re.search(rf"(?m)^ +(?:# )?{name}:", text), name


def containers_are_what_their_page_says():
    """Names on the page are in docker-compose.yml, and the way of a handler
    into its container is what the page says."""
    text, said = read("docker-compose.yml"), read("docs", "containers.md")
    services = dict(re.findall(
        r"(?ms)^  ([a-z]+):\n(    .*?)(?=^\S|^  [a-z#]|\Z)", text))
    assert {"keys", "sim", "api", "gateway", "worker"} <= set(services)
    for name in re.findall(r"(?m)^\| `([a-z]+)` \|", said) + re.findall(
            r"(?m)^ +docker compose (?:exec|logs -f|build|kill -s HUP) (\w+)",
            said):
        assert name in services, name
    for port in re.findall(r"(?m)^\| (\d{4}) ", said):
        assert f":{port}" in text, port
    worker = services["worker"]
    folder = re.search(r"\$\{BOT_DIR:-\./(\w+)\}:(/\S+):ro", worker)
    assert folder and f"working_dir: {folder[2]}\n" in worker, worker
    assert f"`{folder[2]}`" in said and f"it is `{folder[1]}`" in said
    assert f"COPY {folder[1]}/ {folder[2]}/\n" in read("Dockerfile")
    assert re.search(r"(?m)^ .* python3\b", read("Dockerfile"))
    program = re.search(r"ROOKERY_HANDLER=exec:\./(\S+) docker compose up",
                        said)[1]
    assert os.access(path(folder[1], program), os.X_OK), program
    first = read(folder[1], program).splitlines()[0]
    assert f"`{first}`" in said, first
    size = re.search(r"- /tmp:\S*size=(\d+)m", worker)[1]
    assert f"`/tmp` ({size} MiB" in said, size
    # nothing but the folder's mount may be missing for it outside either
    for name in ("ROOKERY_HANDLER", "ROOKERY_HANDLERS_FILE",
                 "ROOKERY_HANDLER_ENV_FILE", "ROOKERY_HANDLER_WATCH"):
        assert re.search(rf"(?m)^  {name}:$", text), name
    for name in ("ROOKERY_HANDLERS_FILE", "ROOKERY_HANDLER_ENV_FILE"):
        default = re.search(rf'CONF\(text, {name}, \w+, "([\w.]+)"',
                            read("common", "conf.def"))[1]
        assert f"`{default}`" in said, default


def handlers_on_the_page_work():
    """Those of handlers.md are the examples, byte for byte, and they answer."""
    said = read("docs", "handlers.md")
    for name in ("echo.py", "echo.sh"):
        block = said.split(f"[examples/{name}](../examples/{name}):\n\n")[1]
        source = re.match(r"(?:    .*\n|\n)+", block)[0].rstrip("\n") + "\n"
        source = re.sub(r"(?m)^    ", "", source)
        assert source == read("examples", name), name
        with tempfile.TemporaryDirectory(prefix="rookery-docs-") as d:
            program = os.path.join(d, name)
            with open(program, "w", encoding="utf-8") as f:
                f.write(source)
            os.chmod(program, 0o755)
            done = subprocess.run(
                [path("build", "rookery"), "exec", program], cwd=d,
                input="/echo it's `id` $(id)\n", encoding="utf-8",
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                timeout=DEADLINE_S, check=True)
            assert "\nbot: it's `id` $(id)\n" in done.stdout, done.stdout


def commands_that_make_a_plugin_work():
    """In a clone, as they stand on the page and above the example."""
    for page_of in ("docs/handlers.md", "examples/echo.c"):
        text = re.sub(r"\\\n[ *]*", "", read(page_of))
        found = re.findall(r"(?m)^[ *]+(cc .*)$", text)
        assert found, page_of
        for command in found:
            with tempfile.TemporaryDirectory() as d:
                for name in ("include", "examples"):
                    os.symlink(path(name), os.path.join(d, name))
                made = subprocess.run(
                    command.split(), cwd=d, stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT, timeout=DEADLINE_S, check=False)
                assert made.returncode == 0, \
                    f"{page_of}: {command}: {made.stdout.decode()}"


def frames_on_the_page_are_json():
    """What is left out of one says so by its dots."""
    frames = re.findall(r"(?m)^    (?:(?:host|child) +)?(\{\"op\".*(?:\n     .*)*)$",
                        read("docs", "handlers.md"))
    assert len(frames) > 10
    for text in frames:
        frame = json.loads(text.replace(",...}", "}"))
        assert frame["op"] in ("hello", "event", "reply", "call", "result",
                               "ack", "bye"), text


def pages_know_every_error_line():
    """What a person may have to act upon is in DIAGNOSTICS."""
    for name, section, folder in (("rookeryd", 8, "supervisor"),
                                  ("gatewayd", 8, "gatewayd"),
                                  ("apid", 8, "apid"),
                                  ("workerd", 8, "workerd")):
        part = page(f"{name}.{section}").split(".Sh DIAGNOSTICS")[1]
        said = set()
        for file in os.listdir(path(folder)):
            if file.endswith(".c"):
                said |= set(re.findall(r'log_(?:error|warn)\(\s*"([\w.]+)"',
                                       read(folder, file)))
        for event in sorted(said):
            assert re.search(rf"\b{re.escape(event)}\b", part), \
                (name, event)


def pages_quote_one_thing_at_a_time():
    """mandoc quotes to the end of the line what groff quotes to the next
    macro: what is no part of a literal stands on a line of its own."""
    for name in sorted(os.listdir(path("build", "man"))):
        for line in page(name).splitlines():
            quoted = re.match(r"\.(?:.* )?Ql (.*)", line)
            assert not quoted or not re.search(
                r"(^| )(No|Ql) | [,:;] \S", quoted.group(1)), \
                f"{name}: {line}"


def pages_know_every_message():
    text = page("rookery-messages.7")
    names = re.findall(r"(?m)^MESSAGE\((\w+), '(.)'",
                       read("common", "messages.def"))
    assert len(names) > 10
    for name, kind in names:
        assert f".Ss {name}: kind {kind}" in text, name
    for name in re.findall(r"(?m)^RESULT\((\w+),",
                           read("apid", "results.def")):
        assert re.search(rf"\b{name}\b", text), name


def pages_know_every_event():
    text = page("rookery-events.7")
    rows = re.findall(r'(?m)^EVENT\("(\w+)", "([\w.]+)"',
                      read("gatewayd", "events.def"))
    assert len(rows) > 50
    for name, kind in rows:
        assert f".It Li {kind}\nFrom\n.Li {name} .\n" in text, name


def versions_agree():
    said = {output(path("build", name), "--version").split()[-1]
            for name in PROGRAMS}
    assert len(said) == 1, said


class System:
    """rookeryd with the simulator and no worker of its own."""

    def __init__(self, folder):
        self.folder = folder
        env = dict(os.environ, ROOKERY_SIM_LISTEN="127.0.0.1:0",
                   ROOKERY_WORKERS="0",
                   ROOKERY_SERVICES="sim api gateway")
        self.log = open(os.path.join(folder, "log"), "wb")
        self.daemon = subprocess.Popen(
            [path("build", "asan", "rookeryd"), "--sim"], cwd=folder,
            env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=self.log)
        try:
            self.url = self.wait_for_banner()
        except BaseException:
            self.close()
            raise

    def wait_for_banner(self):
        end, text = time.monotonic() + DEADLINE_S, b""
        while time.monotonic() < end:
            if not select.select([self.daemon.stdout], [], [], 1)[0]:
                continue
            more = os.read(self.daemon.stdout.fileno(), 4096)
            text += more
            found = re.search(rb"(http://127\.0\.0\.1:\d+)/", text)
            if found:
                return found[1].decode()
            assert more, "rookeryd ended: " + self.tail()
        raise AssertionError("rookeryd is not ready: " + self.tail())

    def tail(self):
        return read(self.folder, "log")[-3000:]

    def ask(self, method, what, body=None):
        request = urllib.request.Request(
            self.url + what, method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
            return json.load(answer)

    def say(self, text, **more):
        return self.ask("POST", "/sim/event",
                        dict(scope="c2c", text=text, **more))

    def wait(self, **counters):
        query = "&".join(f"{k}={v}" for k, v in counters.items())
        try:
            return self.ask("GET", f"/sim/wait?timeout_ms=30000&{query}")
        except urllib.error.HTTPError as e:
            raise AssertionError(f"{query}: {e.read()[:2000]}"
                                 f"\n{self.tail()}") from e

    def close(self):
        self.daemon.terminate()
        self.daemon.wait(DEADLINE_S)
        self.daemon.stdout.close()
        self.log.close()


def example():
    """The worker of rookery-messages(7), byte for byte."""
    text = page("rookery-messages.7")
    start = text.index("#!/usr/bin/env python3\n")
    source = text[start:text.index(".Ed", start)]
    return source.replace("\\e", "\\")


def the_example_worker_works():
    with tempfile.TemporaryDirectory(prefix="rookery-docs-") as d:
        with open(os.path.join(d, "worker.py"), "w",
                  encoding="utf-8") as f:
            f.write(example())
        system = System(d)
        worker = None
        try:
            run = os.path.join(".rookery", "run")
            worker = subprocess.Popen(
                [PYTHON, "worker.py", f"ipc://{run}/events.sock",
                 f"ipc://{run}/api.sock"], cwd=d, stdin=subprocess.DEVNULL,
                stderr=system.log)
            system.wait(identifies=1)
            system.say("/echo one")
            system.wait(replied=1, idle=1)
            # another gatewayd and another apid: it presents itself again
            system.ask("POST", "/sim/bot", {"max_concurrency": 2})
            for service in ("gateway", "api"):
                output("env", "-C", d, path("build", "asan", "rookery"),
                       "restart", service)
            system.wait(resumes=1, live=1)
            system.say("not for it", expect=0)
            system.say("/echo two")
            report = system.wait(replied=2, idle=1)
            assert report["total"]["doubled"] == 0, report
            messages = json.dumps(system.ask("GET", "/sim/messages"))
            assert '"one"' in messages and '"two"' in messages, messages
            assert worker.poll() is None, system.tail()
        finally:
            if worker:
                worker.kill()
                worker.wait()
            system.close()


TESTS = (another_compiler_must_be_there,
         env_example_is_the_table, env_example_is_a_good_file,
         pages_know_every_option, pages_know_every_setting,
         pages_name_the_settings_that_are_read,
         compose_passes_every_setting_on,
         containers_are_what_their_page_says,
         handlers_on_the_page_work, commands_that_make_a_plugin_work,
         frames_on_the_page_are_json,
         pages_know_every_error_line,
         pages_quote_one_thing_at_a_time, pages_know_every_message,
         pages_know_every_event, versions_agree,
         the_example_worker_works)


def main():
    passed = failed = 0
    for test in TESTS:
        try:
            test()
        except Exception as e:        # whatever goes wrong is a failure
            failed += 1
            print(f"not ok {test.__name__}\n# {type(e).__name__}: {e}",
                  flush=True)
            continue
        passed += 1
        print(f"ok {test.__name__}", flush=True)
    print(f"# {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
