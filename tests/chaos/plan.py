"""What is done to the system, and when: a list that follows from a seed.

A plan is made before anything starts and looks at nothing that happens, so
that the same seed, length and kinds are the same plan on every machine.

An action occupies what it disturbs (its tracks) for a while; no other action
that needs one of these is begun meanwhile.  That is how a plan keeps away
from what no bot can survive: see ACTIONS, `busy`.
"""
import random

BOTS = ("102000001", "102000002")       # by WebSocket; and by webhook
GAP_S = (0.05, 1.0)     # between the beginnings of two actions
SOLID_S = 11            # rookeryd starts again at once what lived 10 s
# Close codes after which a session is resumed, and after which there is none.
RESUMED = (1000, 1001, 4000, 4008, 4009, 4009, 4009, 4321)
ENDED = (4006, 4007, 4900, 4901, 4910, 4913)


class Action:
    """kind: what it can be chosen by; weight: how often, beside the others;
    needs: the tracks that must be free; make(rng): (steps, busy), where
    steps are (seconds from its beginning, verb, arguments...) and busy is
    {track: seconds}."""

    def __init__(self, kind, weight, needs, make):
        self.kind, self.weight, self.needs = kind, weight, needs
        self.make = make


def again(rng, chance=0.3):
    """How long a killed process is left alone: sometimes it is hit while it
    comes back."""
    if rng.random() < chance:
        return rng.uniform(0.05, 1.5)
    return SOLID_S + rng.uniform(0, 4)


def kill(process, n=0):
    def make(rng):
        return [(0, "kill", process, n)], {f"{process}{n}": again(rng)}
    return make


def kill_together(rng):
    pair = rng.sample(["workerd", "apid", "gatewayd"], 2)
    return [(0, "kill", p, 0) for p in pair], \
        {p + "0": SOLID_S for p in pair}


def hold(process, shortest_s, longest_s, n=0):
    """SIGSTOP for a while.  Longer than ROOKERY_WATCHDOG_MS is a death."""
    def make(rng):
        s = rng.uniform(shortest_s, longest_s)
        return [(0, "hold", process, n), (s, "release")], \
            {f"{process}{n}": s + (1 if s < 9 else SOLID_S),
             "hold": s + 0.1}
    return make


def order(*choices):
    def make(rng):
        argv = rng.choice(choices)
        return [(0, "rookery", *argv)], {"orders": 1.0}
    return make


def scale(rng):
    n, s = rng.choice((0, 1, 1, 3, 4)), rng.uniform(0.5, 4)
    return [(0, "scale", n), (s, "scale", None)], {"orders": s + 1}


def queue(rng):
    s = rng.uniform(3, 8)
    return [(0, "queue", rng.choice((16, 64, 256))), (s, "queue", None)], \
        {"queue": s + 1, "gatewayd0": s + 3, "orders": 1.0}


def fault(busy_s, *choices):
    """choices: what is posted to /sim/fault at one instant, or functions of
    the generator that make it."""
    def make(rng):
        body = rng.choice(choices)
        body = body(rng) if callable(body) else body
        return [(0, "fault", body)], dict(busy_s)
    return make


def close(rng):
    return [{"fault": "close", "code": rng.choice(RESUMED)}]


def end(rng):
    if rng.random() < 0.5:
        return [{"fault": "op9", "d": False}]
    return [{"fault": "close", "code": rng.choice(ENDED)}]


def stall(rng):
    return [{"fault": "stall", "for_ms": rng.randrange(200, 3000)}]


def refused_once(rng):
    """A Resume refused, once, by a platform that keeps the session."""
    how = rng.choice(({"d": True}, {"code": 4009}, {"code": 4008}))
    return [*({"fault": "refuse_resume", "bot": b, "count": 1,
               "for_ms": 8000, **how} for b in BOTS),
            {"fault": "close", "code": 4009}]


def chat(rng):
    return {"scope": rng.choice(("c2c", "group")),
            "count": rng.randrange(1, 8)}


def slow(rng):
    return [{"fault": "send_slow", "ms": rng.randrange(50, 900),
             **chat(rng)}]


def of_sends(name):
    return lambda rng: [{"fault": name, **chat(rng)}]


def not_done(rng):
    """Errors after which nothing has happened."""
    how = rng.choice((
        {"fault": "api_status", "status": 500, "code": 11242},
        {"fault": "api_status", "status": 429, "code": 100001},
        {"fault": "send_status", "status": 500, "body": "html"},
        {"fault": "send_status", "status": 503, "body": "empty"}))
    return [{**how, "count": rng.randrange(1, 12)}]


def outage(name, *hows):
    def make(rng):
        return [{"fault": name, "for_ms": rng.randrange(300, 2500),
                 **rng.choice(hows)}, {"fault": "close", "code": 4009}]
    return make


def jump(rng):
    return [(0, "clock", rng.choice((-90, -30, -5, 5, 30, 90)))], \
        {"clock": 2}


SESSION_S = {"session": 4.0}
FRESH_S = {"session": 6.0, "gatewayd0": 4.0, "rookeryd0": 4.0, "queue": 4.0,
           "hold": 4.0, "token": 4.0, "apid0": 4.0}
ALL_S = {t: SOLID_S for t in ("rookeryd0", "workerd0", "workerd1", "workerd2",
                              "apid0", "gatewayd0", "orders")}
ACTIONS = {
    # What dies.
    **{f"kill worker {n}": Action("worker", 4, [f"workerd{n}"],
                                  kill("workerd", n)) for n in range(3)},
    "kill api": Action("api", 12, ["apid0"], kill("apid")),
    "kill gateway": Action("gateway", 12, ["gatewayd0"], kill("gatewayd")),
    "kill rookeryd": Action("rookeryd", 5, ["rookeryd0"], lambda rng: (
        [(0, "kill", "rookeryd", 0)], ALL_S)),
    # Any one of the processes of exec handlers.
    "kill handler": Action("handler", 8, ["handler"], lambda rng: (
        [(0, "kill", "handler", rng.randrange(64))],
        {"handler": rng.uniform(0.1, 3)})),
    "kill two": Action("worker+api+gateway", 4,
                       ["workerd0", "apid0", "gatewayd0"], kill_together),
    # What hangs.
    "stop worker": Action("stop", 3, ["workerd1", "hold"],
                          hold("workerd", 0.1, 6, 1)),
    "stop api": Action("stop", 2, ["apid0", "hold"], hold("apid", 0.1, 4)),
    "stop gateway": Action("stop", 2, ["gatewayd0", "hold"],
                           hold("gatewayd", 0.1, 6)),
    "stop rookeryd": Action("stop", 1, ["rookeryd0", "hold", "orders"],
                            hold("rookeryd", 0.1, 5)),
    "stop for good": Action("stop+worker", 1, ["workerd0", "hold"],
                            hold("workerd", 12, 15)),
    # What an operator orders.
    "order": Action("orders", 4, ["orders", "rookeryd0"],
                    order(("restart", "worker"), ("restart", "worker/1"),
                          ("restart", "--rolling", "worker"),
                          ("drain", "worker/1"), ("drain", "worker"),
                          ("restart", "api"), ("drain", "api"))),
    "order gateway": Action("orders+gateway", 2, ["orders", "gatewayd0", "rookeryd0"],
                            order(("restart", "gateway"),
                                  ("drain", "gateway"))),
    "scale": Action("orders", 3, ["orders", "rookeryd0"], scale),
    "small queue": Action("queue+gateway", 2,
                          ["queue", "gatewayd0", "orders", "rookeryd0"],
                          queue),
    # What the platform and the network do.
    "close": Action("session", 4, ["session"], fault(SESSION_S, close)),
    "cut": Action("session", 4, ["session"], fault(
        SESSION_S, [{"fault": "reset"}], [{"fault": "op7"}],
        [{"fault": "op9", "d": True}], stall)),
    "trouble at resume": Action("session", 2, ["session"], fault(
        {"session": 12.0}, refused_once,
        [{"fault": "no_resumed", "for_ms": 3000}, {"fault": "op7"}],
        [{"fault": "no_hello", "for_ms": 3000}, {"fault": "reset"}])),
    "new session": Action("fresh", 1, list(FRESH_S), fault(
        FRESH_S, end)),
    "token": Action("token", 2, ["token", "apid0"], fault(
        {"token": 7.0}, [{"fault": "token_revoke"}],
        lambda rng: [{"fault": "token_outage", "status": 500,
                      "for_ms": rng.randrange(300, 2500)},
                     {"fault": "token_revoke"}])),
    "not done": Action("send", 4, ["send"], fault({"send": 1.0}, not_done)),
    "unsure": Action("send", 4, ["send"], fault(
        {"send": 1.0}, of_sends("send_half"), of_sends("send_half_before"),
        of_sends("send_mute"), slow)),
    "twice": Action("twice", 3, [], fault(
        {}, lambda rng: [{"fault": rng.choice(("duplicate",
                                               "duplicate_webhook")),
                          "count": rng.randrange(1, 6)}])),
    "outage": Action("outage", 2, ["session", "token"], fault(
        {"session": 6.0, "token": 3.0},
        outage("gateway_outage", {"status": 503}, {"how": "close"}),
        outage("refuse_connect", {"status": 503}, {"status": 0}))),
    "clock": Action("clock", 3, ["clock"], jump),
}
HANDLERS = ("builtin", "exec", "plugin", "stream")  # the last is asked for by name
KINDS = sorted({k for a in ACTIONS.values() for k in a.kind.split("+")})


def settings(rng):
    """What the system is started with."""
    return {"workers": rng.choice((2, 3, 4)),
            "unsure": rng.choice(("once", "again"))}


def handler(seed):
    """What answers, where nobody says."""
    return random.Random(f"handler/{seed}").choice(HANDLERS[:3])


def tls(seed):
    """Is there TLS, as in the field?  Where nobody says."""
    return random.Random(f"tls/{seed}").choice(("yes", "no"))


def make(seed, seconds, kinds):
    """(settings, steps): steps as (second, verb, arguments...), in order."""
    rng = random.Random(f"{seed}/{seconds}/{','.join(sorted(kinds))}")
    chosen = settings(rng)
    actions = {n: a for n, a in ACTIONS.items()
               if set(a.kind.split("+")) <= set(kinds)}
    free_at, steps, at = {}, [], 1.0
    while actions and at < seconds:
        able = [n for n, a in actions.items()
                if all(free_at.get(t, 0) <= at for t in a.needs)]
        if able:
            name = rng.choices(able, [actions[n].weight for n in able])[0]
            does, busy = actions[name].make(rng)
            steps += [(round(at + after, 3), verb, *args)
                      for after, verb, *args in does]
            for track, s in busy.items():
                free_at[track] = max(free_at.get(track, 0), at + s)
        at += rng.uniform(*GAP_S)
    return chosen, sorted(steps, key=lambda s: s[0])
