"""A load over many functions while things are killed, frozen, filled and slowed at random: what tools/fault-load and
test_load.py do.

Each request carries a number of its own. It gets one answer: its own number back, or an error of the API's form. A connection
may end without an answer only where the server or spawn, which held it, was killed in its life.
"""
import collections
import contextlib
import fcntl
import http.client
import json
import os
import random
import select
import signal
import subprocess
import sys
import threading
import time

import harness

NS_GET_PARENT = 0xb702
NODE_BASE = "dispatchframework/nodejs-base:0.0.13-knative"
PYTHON = "VERSION = %d\n\ndef handle(context, payload):\n    return [VERSION, payload]\n"
ASYNC = "import asyncio\n\nasync def handle(context, payload):\n    await asyncio.sleep(0)\n    return [0, payload]\n"
NODE = "module.exports = (context, payload) => [0, payload];\n"
NATIVE = "#!/bin/sh\nprintf '[0,%s]' \"$(cat)\"\n"
TROUBLE = """import os, time

kept = []

def fill():
    with open("/tmp/full", "ab", buffering=0) as file:
        while True:
            file.write(bytes(1 << 20))

def fork():
    while True:
        if os.fork() == 0:
            while True:
                time.sleep(60)

def open_all():
    while True:
        kept.append(os.open("/dev/null", os.O_RDONLY))

def handle(context, payload):
    try:
        {"tmp": fill, "pids": fork, "descriptors": open_all}.get(payload.get("do"), int)()
    except OSError:
        pass
    return [0, payload]
"""
KINDS = ("python", "python", "trouble", "native", "nodejs", "async", "updated", "python", "python", "native")
OWN = ("dispatch-server", "dispatch-spawn", "dispatch-init", "dispatch-build", "dispatch-dns", "dispatch-inside", "dispatch-system")
VICTIMS = ("instance", "init", "template", "zygote", "stem", "server", "spawn", "freeze", "tmp", "pids", "descriptors", "store", "update")
TRUE_ERRORS = {429, 500, 502, 503, 504}
ERROR_TYPES = {"FunctionError", "SystemError", "InputError"}
HOLD = """import sqlite3, sys
store = sqlite3.connect(sys.argv[1], timeout=10, isolation_level=None)
store.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


class Function:
    def __init__(self, number):
        self.name, self.kind, self.version = f"f{number}", KINDS[number % len(KINDS)], 0
        self.settled = 0  # the version that each request gets at the least

    def fields(self):
        more = {"async": {"concurrency": 8}, "native": {"handler": "./run.sh"}}.get(self.kind, {})
        image = {"native": "native", "nodejs": "nodejs"}.get(self.kind, "python3")
        return {"image": image, "timeout": 10000, **more}

    def files(self):
        return {"trouble": {"h.py": TROUBLE}, "native": {"run.sh": (NATIVE, 0o755)}, "nodejs": {"h.js": NODE},
                "async": {"h.py": ASYNC}}.get(self.kind, {"h.py": PYTHON % self.version})

    def accepts(self, answer, payload, since):
        """Any version between the one at the request's beginning and the one that is being made."""
        return isinstance(answer, list) and len(answer) == 2 and answer[1] == payload and since <= answer[0] <= self.version


class Outages:
    """When the processes that hold connections were gone."""

    def __init__(self):
        self.lock, self.spans = threading.Lock(), []

    @contextlib.contextmanager
    def one(self):
        with self.lock:
            span = [time.monotonic(), float("inf")]
            self.spans.append(span)
        try:
            yield
        finally:
            span[1] = time.monotonic()

    def touch(self, begin, end):
        with self.lock:
            return any(begin <= over and end >= since for since, over in self.spans)


class Caller(threading.Thread):
    """Sends its share of the requests on a kept connection and holds each answer to what was sent."""

    def __init__(self, load, number, rate):
        super().__init__(daemon=True)
        self.load, self.number, self.rate = load, number, rate
        self.source = random.Random(f"{load.seed} {number}")
        self.counts, self.strange, self.first_errors = collections.Counter(), [], {}
        self.asked, self.born, self.port = None, 0.0, None

    def run(self):
        due, count = time.monotonic(), 0
        while not self.load.over.is_set():
            count += 1
            due = max(due + 1 / self.rate, time.monotonic() - 1)
            self.load.over.wait(max(0.0, due - time.monotonic()))
            try:
                self.one(f"{self.number}-{count}")
            except Exception as error:  # told at the end, in the test's own thread
                self.strange.append(repr(error))
        self.drop()

    def drop(self):
        if self.asked is not None:
            self.asked.close()
        self.asked = None

    def one(self, unique, do=None, function=None):
        function = function or self.source.choice(self.load.functions)
        payload = {"id": unique, "do": do} if do else {"id": unique}
        by_api, since = self.source.random() < 0.2, function.settled
        port = self.load.server.port if by_api else self.load.server.gateway_port
        try:
            reply = self.exchange(port, by_api, function, payload)
        except (OSError, http.client.HTTPException) as error:
            self.drop()
            self.ended(function, error)
            return
        self.judge(function, by_api, payload, since, reply)

    def exchange(self, port, by_api, function, payload):
        if self.asked is None or self.port != port:
            self.drop()
            self.born, self.port = time.monotonic(), port
            self.asked = harness.connection(port, 120)
        path = f"/v1/runs?functionName={function.name}" if by_api else f"/{function.name}"
        body = {"blocking": True, "input": payload} if by_api else payload
        self.asked.request("POST", path, json.dumps(body), {"Content-Type": "application/json", "Host": harness.DEFAULT_HOST})
        reply = self.asked.getresponse()
        found = harness.Reply(reply.status, reply.headers, reply.read())
        if reply.will_close:
            self.drop()
        elif select.select([self.asked.sock], [], [], 0)[0]:
            more = self.asked.sock.recv(4096)
            if more:
                self.strange.append(("more than one answer", function.name, found, more))
            self.drop()
        return found

    def ended(self, function, error):
        if self.load.outages.touch(self.born, time.monotonic()):
            self.counts["ended"] += 1
        else:
            self.strange.append(("a connection ended while nothing that holds it was killed", function.name, repr(error)))

    def judge(self, function, by_api, payload, since, reply):
        try:
            told = reply.json
        except ValueError:
            self.strange.append(("no JSON", function.name, reply))
            return
        if reply.status == 200 and by_api and told.get("status") == "ERROR":
            self.error(function, told["error"], "run", told["error"]["type"] in ERROR_TYPES)
        elif reply.status == 200:
            right = function.accepts(told.get("output") if by_api else told, payload, since)
            self.counts["right"] += right
            if not right:
                self.strange.append(("not its answer", function.name, payload, reply))
        else:
            self.error(function, told, reply.status, reply.status in TRUE_ERRORS and told.get("code") == reply.status)

    def error(self, function, told, what, true):
        self.counts[str(what)] += 1
        self.first_errors.setdefault(f"{what} {function.kind} {str(told.get('message'))[:90]}", function.name)
        if not true or not told.get("message"):
            self.strange.append(("an error that is not of the API's form", function.name, what, told))


def pid_space(pid, parent=False):
    """The inode of a process's pid namespace, or of that above it; None where there is none to be seen."""
    try:
        with open(f"/proc/{pid}/ns/pid", "rb") as file:
            if not parent:
                return os.fstat(file.fileno()).st_ino
            above = fcntl.ioctl(file, NS_GET_PARENT)
    except OSError:
        return None
    try:
        return os.fstat(above).st_ino
    finally:
        os.close(above)


def control_groups(pid):
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
            return file.read()
    return ""


def victims(server, kind):
    """The processes of a kind. Templates are those in whose pid namespace the others' ones are; zygotes and stems, which have no code
    of a function, are known by their group."""
    names = [(pid, harness.process_name(pid)) for pid in harness.process_tree(server.process.pid)]
    if kind == "init":
        return [pid for pid, name in names if name == "dispatch-init"]
    tenants = [(pid, name) for pid, name in names if name and name not in OWN]
    without_code = {pid for pid, _ in tenants if "/fn-image/" in control_groups(pid)}
    if kind == "template":
        above = {pid_space(pid, parent=True) for pid, _ in names} - {None}
        return [pid for pid, _ in tenants if pid not in without_code and pid_space(pid) in above]
    if kind in ("zygote", "stem"):
        return [pid for pid, name in tenants if pid in without_code and (name == "node") == (kind == "stem")]
    return [pid for pid, _ in tenants]


class Load:
    """The server under load. `strikes` counts what was done to it."""

    def __init__(self, server, seed, rate, functions, callers=8, kinds=VICTIMS):
        self.server, self.seed, self.source, self.kinds = server, seed, random.Random(seed), kinds
        self.functions = [Function(number) for number in range(functions)]
        self.outages, self.over, self.strikes = Outages(), threading.Event(), collections.Counter()
        self.callers = [Caller(self, number, rate / callers) for number in range(callers)]
        self.trouble = Caller(self, "trouble", 1)

    def prepare(self):
        self.server.image("python3", harness.PYTHON_BASE)
        self.server.image("native", harness.NATIVE_BASE)
        self.server.image("nodejs", NODE_BASE)
        for function in self.functions:
            self.server.function(function.name, function.files(), wanted=None, **function.fields())
        for function in self.functions:
            self.server.wait_status("function", function.name, timeout_s=120)
            self.server.endpoint(function.name, function.name, [f"/{function.name}"], methods=["POST"])

    def every_function_answers(self):
        """Each of them, by itself and with nothing else going on."""
        for function in self.functions:
            payload = {"id": "after"}

            def answered():
                with contextlib.suppress(OSError, http.client.HTTPException):
                    reply = self.server.gateway("POST", f"/{function.name}", payload, timeout_s=60)
                    return reply.status == 200 and function.accepts(reply.json, payload, 0)
                return False
            harness.poll(answered, 60, f"a right answer of {function.name} ({function.kind})")

    def run(self, seconds, pause_s):
        """Strikes at random moments until the time is over; then everybody is waited for."""
        end = time.monotonic() + seconds
        for caller in self.callers:
            caller.start()
        order = []
        while time.monotonic() < end:
            self.over.wait(self.source.uniform(0.1, 2 * pause_s))  # the random moment itself
            if not order:
                order = self.source.sample(self.kinds, len(self.kinds))
            self.strike(order.pop())
        self.over.set()
        for caller in self.callers:
            caller.join(180 * harness.PATIENCE)
            assert not caller.is_alive(), "a request without an answer"

    def strike(self, what):
        if what in ("tmp", "pids", "descriptors"):
            done = self.exhaust(what)
        else:
            way = {"server": self.kill_server, "spawn": self.kill_spawn, "store": self.hold_store, "update": self.update,
                   "freeze": self.freeze}.get(what)
            done = way() if way else self.kill_some(what)
        self.strikes[what] += done

    def kill_some(self, kind):
        found = victims(self.server, kind)
        struck = self.source.sample(found, min(2, len(found)))
        for pid in struck:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(struck)

    def kill_server(self):
        """The server alone; spawn starts the next."""
        pid = self.server.server_pid()
        with self.outages.one():
            os.kill(pid, signal.SIGKILL)
            harness.poll(lambda: self.server.server_pid() not in (None, pid), 60, "the next server")
            harness.poll(self.server.is_ready, 60, "ready again")
        return 1

    def kill_spawn(self):
        with self.outages.one():
            self.server.kill()
            self.server.start(wait=False)
            self.server.wait_ready(60)
        return 1

    def freeze(self):
        """A process of a tenant stops for a while, and goes on."""
        found = victims(self.server, "instance")
        struck = self.source.sample(found, min(1, len(found)))
        for pid in struck:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        self.over.wait(self.source.uniform(0.2, 3))  # the while
        for pid in struck:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        return len(struck)

    def exhaust(self, what):
        target = self.source.choice([function for function in self.functions if function.kind == "trouble"])
        self.trouble.one(f"{what}-{sum(self.strikes.values())}", what, target)
        return 1

    def hold_store(self):
        """Another process holds the lock of those who write, for a second: all that is to be recorded waits."""
        pid = self.server.server_pid()
        folder = os.path.join(self.server.state, "server")
        path = next(os.path.join(top, name) for top, _, names in os.walk(folder) for name in names if name + "-wal" in names)
        uid = os.stat(path).st_uid
        with subprocess.Popen(["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups", sys.executable, "-c", HOLD, path],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            held = holder.stdout.readline() == b"held\n"
            self.over.wait(self.source.uniform(0.2, 1))  # how long it is slow
            holder.stdin.close()
        assert pid == self.server.server_pid(), "the server went on"
        return int(held)

    def update(self):
        """The functions of that kind get another version each."""
        target = self.source.choice([function for function in self.functions if function.kind == "updated"])
        target.version += 1
        sent = {"name": target.name, "source": harness.pack(target.files()), **target.fields()}
        reply = self.server.api("PUT", f"/v1/function/{target.name}", sent, timeout_s=120)
        assert reply.status == 200, reply
        self.server.wait_status("function", target.name, timeout_s=120)
        target.settled = target.version
        return 1

    def tally(self):
        total = sum((caller.counts for caller in [*self.callers, self.trouble]), collections.Counter())
        return dict(sorted(total.items()))

    def strange(self):
        return [each for caller in [*self.callers, self.trouble] for each in caller.strange]

    def errors(self):
        found = {}
        for caller in [*self.callers, self.trouble]:
            found.update(caller.first_errors)
        return found


def count_mounts(server):
    """Those of the host; spawn's are in a namespace of its own and end with it."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        return sum(f" {server.folder}/" in line for line in file)


def count_groups(server):
    """What spawn made in its tree of cgroups for instances and builds, in the hierarchy that has most."""
    with contextlib.suppress(FileNotFoundError):
        with open(os.path.join(server.state, "cgroups"), encoding="utf-8") as file:
            return max((sum(os.path.basename(path).startswith("i-") for path, _, _ in os.walk(top)) for top in file.read().split()),
                       default=0)
    return 0


def pss_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pss:"))


def rest(server):
    """What the server has of the host, when only what it keeps ready for later is there."""
    own = (server.process.pid, server.server_pid())
    tree = harness.process_tree(server.process.pid)
    return {"instances": len(server.api("GET", "/v1/instances").json),
            "inits": sum(harness.process_name(pid) == "dispatch-init" for pid in tree),
            "mounts": count_mounts(server), "groups": count_groups(server),
            "staging": len(os.listdir(os.path.join(server.state, "staging"))),
            "descriptors": sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in own), "pss_kib": sum(map(pss_kib, own))}


def returned(server, before, margin_kib):
    """Whether all is as it was: what instances are there (a zygote, a stem) may have what an instance has, and not more."""
    now = rest(server)
    more = max(0, now["instances"] - before["instances"])
    good = (all(now[what] <= before[what] + more for what in ("inits", "groups")) and now["mounts"] <= before["mounts"] and
            now["staging"] == 0 and now["descriptors"] <= before["descriptors"] + 8 * (more + 1) and
            now["pss_kib"] <= before["pss_kib"] + margin_kib)
    return good, now


def remove_all(load):
    """The endpoints and functions go, and with them what ran them."""
    for function in load.functions:
        for kind in ("endpoint", "function"):
            reply = load.server.api("DELETE", f"/v1/{kind}/{function.name}", timeout_s=60)
            assert reply.status in (200, 204, 404), reply
    kinds = ("instance", "template")
    harness.poll(lambda: not [each for each in load.server.api("GET", "/v1/instances").json if each["kind"] in kinds], 60,
                 "the end of all instances")


def belongs(server, pid):
    """Whether a process that the server had is still that one: spawn or a server of this state, or in a sandbox of it. A number that was
    given to somebody else meanwhile is not."""
    if harness.process_name(pid) == "dispatch-init":
        return True
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            line = file.read()
        return server.state.encode() in line or b"/runtime/" in line
    return False


def leaves(under, before, margin_kib):
    """Removes all that the load made, holds what is left to what was there before, stops the server and looks for what it left
    on the host. What was counted comes back."""
    server, found = under.server, {}
    remove_all(under)

    def at_rest():
        good, found["now"] = returned(server, before, margin_kib)
        return good
    try:
        harness.poll(at_rest, 60, "as much as before")
    except AssertionError as error:
        raise AssertionError(f"{error}: before {before}, after {found['now']}") from None
    seen = harness.process_tree(server.process.pid)
    server.stop()
    harness.poll(lambda: count_mounts(server) == 0 and count_groups(server) == 0, 30, "no mount and no cgroup")
    harness.poll(lambda: not [pid for pid in seen if harness.is_alive(pid) and belongs(server, pid)], 30, "no process")
    return found["now"]
