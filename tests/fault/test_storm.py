"""kill -9 of every kind of process at random moments while definitions of all kinds are created, updated and deleted, functions
built and run by every way there is. Afterwards the server has exactly what it acknowledged, each accepted run has ended,
and nothing is left of what was killed. FAULT_ROUNDS and FAULT_SEED as in test_kill.py."""
import contextlib
import http.client
import os
import random
import signal
import subprocess
import threading

import pytest

import harness

ROUNDS = int(os.environ.get("FAULT_ROUNDS") or 3)
SEED = int(os.environ.get("FAULT_SEED") or random.randrange(1 << 30))
SOURCE = "def handle(ctx, payload):\n    return [%d, payload]\n"
KINDS = ("secret", "function", "endpoint", "image")
VICTIMS = ("server", "spawn", "agent", "init", "build", "client")


def body(kind, name, count):
    """A definition that carries `count` where it can be seen again."""
    tags = [{"key": "count", "value": str(count)}]
    return {
        "secret": {"name": name, "secrets": {"count": str(count)}},
        "function": {"name": name, "image": "python3", "source": harness.pack({"h.py": SOURCE % count}), "tags": tags},
        "endpoint": {"name": name, "function": "steady", "uris": [f"/{name}"], "methods": ["POST"], "protocols": ["http"],
                     "enabled": True, "tags": tags},
        "image": {"name": name, "baseImageName": harness.PYTHON_BASE, "tags": tags},
    }[kind]


def count_of(kind, document):
    if kind == "secret":
        return int(document["secrets"]["count"])
    return int(next(tag["value"] for tag in document["tags"] if tag["key"] == "count"))


class Worker(threading.Thread):
    """Changes definitions of its own and runs functions. `sure` is what was acknowledged: {(kind, name): count, None when it was
    deleted}; an answer that did not come makes more than one outcome possible until the next one that does."""

    def __init__(self, server, number, source):
        super().__init__(daemon=True)
        self.server, self.number, self.source = server, number, source
        self.stop, self.possible, self.accepted, self.strange = threading.Event(), {}, {}, []

    def call(self, *arguments, **more):
        """None when the server went away under the call: then nothing was promised."""
        try:
            return self.server.api(*arguments, **more)
        except (OSError, http.client.HTTPException):
            return None

    def change(self, count):
        kind = self.source.choice(KINDS)
        name = f"w{self.number}-{kind}-{self.source.randrange(3)}"
        before = self.possible.get((kind, name), {None})
        if before == {None}:
            verb, path, sent, after = "POST", f"/v1/{kind}", body(kind, name, count), count
        elif self.source.random() < 0.3:
            verb, path, sent, after = "DELETE", f"/v1/{kind}/{name}", None, None
        else:
            verb, path, sent, after = "PUT", f"/v1/{kind}/{name}", body(kind, name, count), count
        reply = self.call(verb, path, sent)
        if reply is None or reply.status in (500, 503):
            self.possible[kind, name] = before | {after}
        elif reply.status < 300:
            self.possible[kind, name] = {after}
        elif reply.status in (404, 409) and len(before) == 1:
            self.strange.append((verb, path, reply))
        else:
            self.settle(kind, name)

    def settle(self, kind, name):
        """What came of calls without an answer is looked up."""
        reply = self.call("GET", f"/v1/{kind}/{name}")
        if reply is not None and reply.status in (200, 404):
            found = count_of(kind, reply.json) if reply.status == 200 else None
            if found not in self.possible[kind, name]:
                self.strange.append((kind, name, found, self.possible[kind, name]))
            self.possible[kind, name] = {found}

    def run_one(self, count):
        blocking = self.source.random() < 0.5
        reply = self.call("POST", "/v1/runs?functionName=steady", {"blocking": blocking, "input": count})
        if reply is not None and reply.status == 202:
            self.accepted[reply.json["name"]] = count
        elif reply is not None and reply.status == 200 and reply.json["status"] == "READY" and reply.json["output"] != [0, count]:
            self.strange.append(reply)

    def gateway_one(self, count):
        with contextlib.suppress(OSError, http.client.HTTPException):
            reply = self.server.gateway("POST", "/steady", {"n": count})
            if reply.status == 200 and reply.json != [0, {"n": count}] or reply.status not in (200, 404, 429, 500, 502, 503, 504):
                self.strange.append(reply)

    def run(self):
        count = self.number * 1000000
        while not self.stop.is_set():
            count += 1
            try:
                self.change(count)
                self.run_one(count)
                self.gateway_one(count)
            except Exception as error:  # told at the end, in the test's own thread
                self.strange.append(repr(error))


def prepare(server):
    server.image("python3", harness.PYTHON_BASE)
    server.function("steady", SOURCE % 0)
    server.endpoint("steady", "steady", ["/steady"], methods=["POST"])


def processes(server, victim):
    tree = [(pid, harness.process_name(pid)) for pid in harness.process_tree(server.process.pid)]
    if victim == "server":
        return [pid for pid in (server.server_pid(),) if pid]
    if victim == "init":
        return [pid for pid, name in tree if name == "dispatch-init"]
    if victim == "build":
        return [pid for pid, name in tree if name == "dispatch-build"]
    own = ("dispatch-server", "dispatch-spawn", "dispatch-init", "dispatch-build", "dispatch-dns", "dispatch-inside", "dispatch-system")
    return [pid for pid, name in tree if name and name not in own]


def strike(server, victim, source, client):
    if victim == "spawn":
        server.kill()
        server.start()
    elif victim == "client":
        client.kill()
    else:
        found = processes(server, victim)
        if victim == "build" and not found:  # one that is not there now may be in a moment
            with contextlib.suppress(AssertionError):
                found = harness.poll(lambda: processes(server, victim), 2, "a build")
        for pid in source.sample(found, min(2, len(found))):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def client_run(server):
    return subprocess.Popen([os.path.join(harness.BUILD, "dispatch"), "exec", "steady", "--wait", "--input", "7"],
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                            env=harness.clean_environment(DISPATCH_CONFIG=server.config, HOME=server.folder))


def moment(source, limit_s):
    threading.Event().wait(source.uniform(0.01, limit_s))  # the random moment itself


def check(server, workers):
    for worker in workers:
        assert not worker.strange, worker.strange[:3]
        for (kind, name), possible in worker.possible.items():
            reply = server.api("GET", f"/v1/{kind}/{name}")
            found = count_of(kind, reply.json) if reply.status == 200 else None
            assert reply.status in (200, 404) and found in possible, (kind, name, found, possible)
            if found is not None and kind in ("function", "image"):
                server.wait_status(kind, name, timeout_s=60)
            if found is not None and kind == "function":
                assert server.run(name, 1)["output"] == [found, 1]
        for run_id, count in worker.accepted.items():
            run = harness.poll(lambda: final(server, run_id), 60, f"the end of run {run_id}")
            assert run["status"] == "ERROR" or run["output"] == [0, count], run


def final(server, run_id):
    reply = server.api("GET", f"/v1/runs/{run_id}")
    assert reply.status == 200, (run_id, reply)
    return reply.json if reply.json["status"] in ("READY", "ERROR") else None


def mine(server):
    """What of this server is on the host: its processes, its tree of cgroups, mounts below its folder, sockets and staging."""
    found = {each for each in harness.left_behind() if server.state in each}
    record = os.path.join(server.state, "cgroups")
    if os.path.exists(record):
        with open(record, encoding="utf-8") as file:
            for top in file.read().split():
                found.update(path for path, folders, _ in os.walk(top) if os.path.basename(path).startswith("i-"))
    found.update("staging " + name for name in os.listdir(os.path.join(server.state, "staging")))
    return found


@pytest.mark.parametrize("victims", [("agent", "init"), ("build",), VICTIMS], ids="-".join)
def test_what_was_acknowledged_is_there_whatever_was_killed(fresh, victims):
    print("FAULT_SEED", SEED)
    source = random.Random(f"{SEED} {victims}")
    prepare(fresh)
    seen = []
    for _ in range(ROUNDS):
        seen += harness.process_tree(fresh.process.pid)
        workers = [Worker(fresh, number, random.Random(source.random())) for number in range(3)]
        for worker in workers:
            worker.start()
        client = client_run(fresh)
        moment(source, 0.6)
        strike(fresh, source.choice(victims), source, client)
        harness.poll(fresh.is_ready, 30, "ready again")
        moment(source, 0.2)
        for worker in workers:
            worker.stop.set()
        for worker in workers:
            worker.join(90 * harness.PATIENCE)
            assert not worker.is_alive(), "a request without an answer"
        client.wait(60 * harness.PATIENCE)
        check(fresh, workers)
        for worker in workers:
            for kind, name in worker.possible:
                fresh.api("DELETE", f"/v1/{kind}/{name}")
    harness.poll(lambda: not [each for each in mine(fresh) if each.startswith("staging")], 20, "an empty staging folder")
    seen += harness.process_tree(fresh.process.pid)
    fresh.stop()
    harness.poll(lambda: not [pid for pid in seen if harness.is_alive(pid) and harness.process_name(pid).startswith("dispatch-") and
                              belongs(fresh, pid)], 20, "the end of all processes")
    harness.poll(lambda: not mine(fresh), 20, "nothing left")


def belongs(server, pid):
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return server.state.encode() in file.read()
    return False
