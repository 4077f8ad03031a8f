"""kill -9 at random moments: what was acknowledged is there afterwards, runs that were accepted complete, and nothing is
left behind. FAULT_ROUNDS sets how often (default 5), FAULT_SEED repeats a run."""
import contextlib
import http.client
import json
import os
import random
import signal
import threading
import time

import pytest

import harness

ROUNDS = int(os.environ.get("FAULT_ROUNDS") or 5)
SEED = int(os.environ.get("FAULT_SEED") or random.randrange(1 << 30))
WHO = "def handle(ctx, payload):\n    return {'who': %d, 'payload': payload}\n"


class Worker(threading.Thread):
    """Creates secrets and functions, runs them, and remembers each thing that the server acknowledged."""

    def __init__(self, server, number):
        super().__init__(daemon=True)
        self.server, self.number = server, number
        self.done = threading.Event()
        self.secrets, self.functions, self.accepted = {}, {}, []
        self.wrong = []

    def call(self, *arguments, **more):
        """None when the server went away under the call: then nothing was promised."""
        try:
            return self.server.api(*arguments, **more)
        except (OSError, http.client.HTTPException):
            return None

    def step(self, count):
        name = f"w{self.number}-{count}-{os.urandom(2).hex()}"
        reply = self.call("POST", "/v1/secret", {"name": name, "secrets": {"k": name}})
        if reply is not None and reply.status == 201:
            self.secrets[name] = name
        if count % 4 == 0:
            reply = self.call("POST", "/v1/function", {"name": name, "image": "python3", "source": harness.pack(
                {"h.py": WHO % count})})
            if reply is not None and reply.status == 201:
                self.functions[name] = count
        reply = self.call("POST", "/v1/runs?functionName=steady", {"blocking": False, "input": count})
        if reply is not None and reply.status == 202:
            self.accepted.append((reply.json["name"], count))
        reply = self.call("POST", "/v1/runs?functionName=steady", {"blocking": True, "input": count})
        if reply is not None and reply.status == 200:
            run = reply.json
            if run["status"] == "READY" and run["output"] != {"who": 0, "payload": count}:
                self.wrong.append(run)

    def run(self):
        count = 0
        while not self.done.is_set():
            try:
                self.step(count)
            except Exception as error:  # told at the end, in the test's own thread
                self.wrong.append(repr(error))
            count += 1


def prepare(server):
    server.image("python3", harness.PYTHON_BASE)
    server.function("steady", WHO % 0)


def check_acknowledged(server, workers, instances_die):
    for worker in workers:
        assert not worker.wrong, worker.wrong[:3]
        for name, value in worker.secrets.items():
            reply = server.api("GET", f"/v1/secret/{name}")
            assert reply.status == 200 and reply.json["secrets"] == {"k": value}, (name, reply)
        for name in worker.functions:
            reply = server.api("GET", f"/v1/function/{name}")
            assert reply.status == 200, (name, reply)
        for run_id, count in worker.accepted:
            run = harness.poll(lambda: finished(server, run_id), 60, f"run {run_id}")
            killed = instances_die and run["status"] == "ERROR" and "killed" in run["error"]["message"]
            assert killed or run["status"] == "READY" and run["output"] == {"who": 0, "payload": count}, run


def finished(server, run_id):
    reply = server.api("GET", f"/v1/runs/{run_id}")
    if reply.status == 503:
        return None
    assert reply.status == 200, (run_id, reply)
    return reply.json if reply.json["status"] in ("READY", "ERROR") else None


@pytest.mark.parametrize("victim", ["server", "spawn", "instance"])
def test_what_was_acknowledged_survives_kill_9(fresh, victim):
    source = random.Random(SEED)
    print("FAULT_SEED", SEED)
    prepare(fresh)
    for _ in range(ROUNDS):
        workers = [Worker(fresh, number) for number in range(3)]
        for worker in workers:
            worker.start()
        time.sleep(source.uniform(0.02, 0.8))  # the random moment itself
        strike(fresh, victim, source)
        if victim == "spawn":
            fresh.start()
        else:
            harness.poll(fresh.is_ready, 20, "ready again")
        for worker in workers:
            worker.done.set()
        for worker in workers:
            worker.join(60 * harness.PATIENCE)
            assert not worker.is_alive()
        check_acknowledged(fresh, workers, victim == "instance")
    for worker in workers:
        for name, count in worker.functions.items():
            fresh.wait_status("function", name)
            assert fresh.run(name, 1)["output"] == {"who": count, "payload": 1}


def strike(server, victim, source):
    if victim == "spawn":
        server.kill()
    elif victim == "server":
        pid = harness.poll(server.server_pid, 10, "the server process")
        os.kill(pid, signal.SIGKILL)
    else:
        own = {server.process.pid, server.server_pid()}
        tree = [pid for pid in harness.process_tree(server.process.pid) if pid not in own]
        for pid in source.sample(tree, min(2, len(tree))):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_accepted_runs_complete_after_kill_9(fresh):
    prepare(fresh)
    fresh.function("slow", "import time\ndef handle(ctx, payload):\n    time.sleep(0.3)\n    return payload\n")
    accepted = [fresh.run("slow", number, blocking=False)["name"] for number in range(20)]
    os.kill(fresh.server_pid(), signal.SIGKILL)
    for number, run_id in enumerate(accepted):
        run = harness.poll(lambda: again(lambda: finished(fresh, run_id)), 60, "the run")
        assert run["status"] == "READY" and run["output"] == number


def again(ask):
    """None while the server is away."""
    try:
        return ask()
    except (OSError, http.client.HTTPException):
        return None


def test_a_synchronous_run_is_recorded_within_100_ms(fresh):
    prepare(fresh)
    runs = [fresh.run("steady", number)["name"] for number in range(10)]
    time.sleep(0.1)  # the window that may be lost
    os.kill(fresh.server_pid(), signal.SIGKILL)
    harness.poll(lambda: fresh.server_pid() and fresh.is_ready(), 20, "ready again")
    for run_id in runs:
        assert fresh.api("GET", f"/v1/runs/{run_id}").status == 200


def test_every_synchronous_request_gets_one_answer_while_instances_die(fresh):
    prepare(fresh)
    fresh.endpoint("steady", "steady", ["/steady"])
    stop, strange = threading.Event(), []

    def call():
        while not stop.is_set():
            reply = fresh.gateway("GET", "/steady?x=1")
            if reply.status != 200 and not (reply.status in (500, 502, 503) and reply.json["code"] == reply.status):
                strange.append(reply)
    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    source = random.Random(SEED)
    for _ in range(ROUNDS * 3):
        strike(fresh, "instance", source)
        time.sleep(0.05)  # the pace of the strikes
    stop.set()
    for caller in callers:
        caller.join(60 * harness.PATIENCE)
        assert not caller.is_alive(), "a request without an answer"
    assert not strange, strange[:3]
    assert harness.poll(lambda: fresh.gateway("GET", "/steady?x=1").status == 200, 10, "a good answer")


def test_nothing_is_left_behind_by_kill_9_in_a_row(fresh):
    prepare(fresh)
    for _ in range(ROUNDS):
        fresh.run("steady", 1)
        tree = harness.process_tree(fresh.process.pid)
        fresh.kill()
        fresh.start()
        harness.poll(lambda: not [pid for pid in tree if harness.is_alive(pid)], 10, "the end of the old processes")
    leftovers = [entry for entry in os.listdir(fresh.state) if "tmp" in entry or "new" in entry]
    assert fresh.run("steady", 1)["output"] == {"who": 0, "payload": 1}
    fresh.stop()
    harness.poll(lambda: not [each for each in harness.left_behind() if fresh.state in each], 10, "nothing left behind")
    assert not [entry for entry in leftovers if os.path.isdir(os.path.join(fresh.state, entry)) and
                os.listdir(os.path.join(fresh.state, entry))]
