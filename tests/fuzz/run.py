#!/usr/bin/env python3
"""Bytes from outside, changed at random, for each parser that meets them.

  tests/fuzz/run.py [SECONDS] [NAME...]

Each entry (build/fuzz/fuzz_NAME) runs so long (default 2) over the fixtures
and its own samples in tests/fuzz/NAME/, two entries at a time.  One that
fails is run again from its seed to leave the input it failed at in
build/fuzz/NAME.input; the command that repeats it is printed.
"""
import concurrent.futures
import glob
import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
AT_ONCE = 2
LONGER = 20     # leaving each input in a file is so many times as slow


def samples(name):
    return sorted(glob.glob("tests/fixtures/*.json") +
                  glob.glob(f"tests/fuzz/{name}/*"))


def fuzz(name, seconds, seed=(), leave=None):
    env = dict(os.environ, **({"FUZZ_LEAVE": leave} if leave else {}))
    return subprocess.run(
        [f"build/fuzz/fuzz_{name}", str(seconds), *seed, *samples(name)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=TOP, env=env,
        check=False)


def lines(name, seconds):
    """(passed, what to print)"""
    done = fuzz(name, seconds)
    text = done.stdout.decode("utf-8", "replace")
    if done.returncode == 0:
        return True, text + f"ok {name}"
    seed = text.split("# seed ", 1)[-1].split("\n", 1)[0]
    leave = f"build/fuzz/{name}.input"
    fuzz(name, seconds * LONGER, (seed,), leave)
    return False, (text + f"# the input is in {leave}, from: "
                   f"build/fuzz/fuzz_{name} {seconds} {seed} "
                   f"tests/fixtures/*.json\nnot ok {name}")


def main():
    args = sys.argv[1:]
    seconds = int(args.pop(0)) if args and args[0].isdigit() else 2
    os.chdir(TOP)
    names = args or sorted(
        os.path.basename(p)[len("fuzz_"):-len(".c")]
        for p in glob.glob("tests/fuzz/fuzz_*.c"))
    passed = 0
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for good, text in pool.map(lambda n: lines(n, seconds), names):
            print(text, flush=True)
            passed += good
    print(f"# {passed} passed, {len(names) - passed} failed")
    return 0 if passed == len(names) else 1


if __name__ == "__main__":
    sys.exit(main())
