"""Upgrade (SIGUSR2) and stop (SIGTERM) while requests are under way: every request gets its answer, a new program that does
not start leaves the old one serving, and doing it again and again leaves nothing behind."""
import os
import shutil
import signal
import threading
import time

import pytest

import harness

ROUNDS = int(os.environ.get("FAULT_ROUNDS") or 5)
SLOW = "import time\ndef handle(ctx, payload):\n    time.sleep(payload.get('s', 0))\n    return payload\n"


@pytest.fixture
def installed(disk):
    """A server that runs from a folder of its own, where its program can be replaced."""
    folder = os.path.join(disk, "bin")
    os.mkdir(folder)
    for name in ("dispatch-server", "dispatch-spawn", "dispatch-init", "dispatch-build", "dispatch-dns", "dispatch-inside", "dispatch-system"):
        shutil.copy2(os.path.join(harness.BUILD, name), folder)
    own = [] if "--runtime-dir" in harness.SERVER_OPTIONS else ["--runtime-dir", os.path.join(harness.BUILD, "runtimes")]
    server = harness.Server(folder=disk, options=own)
    command = server.command
    server.command = lambda: [os.path.join(folder, "dispatch-server"), *command()[1:]]
    server.program = os.path.join(folder, "dispatch-server")
    try:
        server.start()
        prepare(server)
        yield server
    finally:
        server.finish()


def prepare(server):
    server.image("python3", harness.PYTHON_BASE)
    server.function("slow", SLOW, concurrency=1)
    server.endpoint("slow", "slow", ["/slow"], methods=["POST"])


def test_a_kept_connection_is_still_answered_after_an_upgrade_once(installed):
    installed.options += ["--drain-idle-ms", "60000"]
    installed.restart()
    kept = harness.connection(installed.gateway_port, timeout_s=60)
    headers = {"Host": harness.DEFAULT_HOST, "Content-Type": "application/json"}

    def call():
        kept.request("POST", "/slow", body="{}", headers=headers)
        reply = kept.getresponse()
        return reply.status, reply.read(), reply.getheader("Connection")
    assert call() == (200, b"{}", None)
    older = installed.server_pid()
    installed.process.send_signal(signal.SIGUSR2)
    harness.poll(lambda: "replaced: no new connections" in installed.log(100), 60, "the old server to be replaced")
    assert call() == (200, b"{}", "close")
    harness.poll(lambda: not harness.is_alive(older), 60, "the old server to end")
    assert installed.gateway("POST", "/slow", {}).status == 200


class Callers:
    """Threads that call the function by both faces until they are told to end, and keep what was not right."""

    def __init__(self, server, count=4, seconds=0.05):
        self.server, self.seconds = server, seconds
        self.stop, self.strange, self.good = threading.Event(), [], 0
        self.threads = [threading.Thread(target=self.call, args=(number,), daemon=True) for number in range(count)]

    def call(self, number):
        count = 0
        while not self.stop.is_set():
            count += 1
            payload = {"s": self.seconds, "n": number * 1000000 + count}
            try:
                reply = self.server.gateway("POST", "/slow", payload) if count % 2 else \
                    self.server.api("POST", "/v1/runs?functionName=slow", {"blocking": True, "input": payload})
                answer = reply.json if count % 2 else reply.json.get("output")
                if reply.status != 200 or answer != payload:
                    self.strange.append(reply)
                else:
                    self.good += 1
            except Exception as error:  # told at the end, in the test's own thread
                self.strange.append(repr(error))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join(60 * harness.PATIENCE)
            assert not thread.is_alive(), "a request without an answer"


def upgrade(server):
    """Waits until another process serves and the older one is gone."""
    before = servers(server)
    os.kill(server.process.pid, signal.SIGUSR2)
    harness.poll(lambda: (now := servers(server)) and not set(now) & set(before) and len(now) == 1, 60, "the upgrade")


def servers(server):
    return [pid for pid in harness.process_children(server.process.pid) if harness.process_name(pid) == "dispatch-server"]


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


REST_S = 2


def test_upgrades_under_load_lose_no_answer_and_leak_nothing(installed):
    def counts():
        return (len(harness.process_children(installed.process.pid)), descriptors(installed.process.pid))

    def settled():
        """Once what a new server makes by itself for its first run (a zygote, a template, what is kept ready) is there."""
        since, seen = time.monotonic(), counts()

        def at_rest():
            nonlocal since, seen
            now = counts()
            if now != seen:
                since, seen = time.monotonic(), now
            return time.monotonic() - since > REST_S
        metrics = (b'dispatch_pool_processes{pool="zygote"} 1\n', b'dispatch_pool_processes{pool="template"} 1\n')
        harness.poll(lambda: all(each in installed.api("GET", "/metrics").body for each in metrics), 20, "a zygote and a template")
        harness.poll(at_rest, 30, "nothing that changes")
        return seen
    with Callers(installed) as callers:
        harness.poll(lambda: callers.good > 4, 30, "answers")
        for _ in range(ROUNDS):
            upgrade(installed)
            seen = callers.good
            harness.poll(lambda: callers.good > seen + 4 or callers.strange, 30, "answers of the new server")
    assert not callers.strange, callers.strange[:3]
    upgrade(installed)
    installed.run("slow", {"s": 0})
    first = settled()
    for _ in range(ROUNDS):
        upgrade(installed)
        installed.run("slow", {"s": 0})
    harness.poll(lambda: settled() == first, 20, f"as much as before, {first}")


def test_a_slow_run_ends_on_the_server_that_began_it(installed):
    with Callers(installed, 1, 1.5) as callers:
        harness.poll(lambda: b"dispatch_instances_busy 1\n" in installed.api("GET", "/metrics").body, 20, "a run")
        upgrade(installed)
        harness.poll(lambda: callers.good > 1 or callers.strange, 20, "answers")
    assert not callers.strange


BROKEN = {
    "missing": lambda path: os.unlink(path),
    "no program": lambda path: replace(path, b"\0" * 64),
    "not executable": lambda path: os.chmod(path, 0o644),
    "one that ends at once": lambda path: (os.unlink(path), shutil.copy2("/bin/false", path)),
}


def replace(path, data):
    os.unlink(path)
    with open(path, "wb") as file:
        file.write(data)
    os.chmod(path, 0o755)


@pytest.mark.parametrize("cause", BROKEN)
def test_a_new_program_that_does_not_start_leaves_the_old_one(installed, cause):
    before = servers(installed)
    kept = installed.program + ".kept"
    shutil.copy2(installed.program, kept)
    with Callers(installed) as callers:
        harness.poll(lambda: callers.good, 30, "an answer")
        for count in (1, 2):
            BROKEN[cause](installed.program) if count == 1 else None
            os.kill(installed.process.pid, signal.SIGUSR2)
            harness.poll(lambda: installed.log(1000).count("before it was ready; the old one goes on") == count, 30, "the line")
        assert servers(installed) == before
        seen = callers.good
        harness.poll(lambda: callers.good > seen + 2 or callers.strange, 30, "answers of the old server")
    assert not callers.strange, callers.strange[:3]
    os.rename(kept, installed.program)
    upgrade(installed)
    assert installed.run("slow", {"s": 0})["status"] == "READY"


@pytest.mark.parametrize("victim", ["new", "old"])
def test_kill_9_in_the_middle_of_an_upgrade(installed, victim):
    accepted = [installed.run("slow", {"s": 0.2, "n": number}, blocking=False)["name"] for number in range(8)]
    before = servers(installed)
    os.kill(installed.process.pid, signal.SIGUSR2)
    new = harness.poll(lambda: [pid for pid in servers(installed) if pid not in before], 20, "the new server")
    os.kill(new[0] if victim == "new" else before[0], signal.SIGKILL)
    harness.poll(lambda: len(servers(installed)) == 1 and installed.is_ready(), 60, "one server")
    for number, name in enumerate(accepted):
        run = harness.poll(lambda: finished(installed, name), 60, "the end of a run")
        assert run["status"] == "READY" and run["output"] == {"s": 0.2, "n": number}, run


def finished(server, name):
    try:
        reply = server.api("GET", f"/v1/runs/{name}")
    except OSError:
        return None
    return reply.json if reply.status == 200 and reply.json["status"] in ("READY", "ERROR") else None


def busy(server):
    return b"dispatch_instances_busy 0\n" not in server.api("GET", "/metrics").body


def test_sigterm_answers_what_is_under_way_and_refuses_the_rest(fresh):
    prepare(fresh)
    replies = []
    callers = [threading.Thread(target=lambda: replies.append(fresh.gateway("POST", "/slow", {"s": 1.0}))) for _ in range(3)]
    for caller in callers:
        caller.start()
    harness.poll(lambda: busy(fresh), 20, "a run")
    harness.poll(lambda: b"dispatch_queued 0\n" in fresh.api("GET", "/metrics").body and
                 b"dispatch_instances_busy 3\n" in fresh.api("GET", "/metrics").body, 20, "three runs")
    assert fresh.stop() == 0
    for caller in callers:
        caller.join(30 * harness.PATIENCE)
    assert [(reply.status, reply.json) for reply in replies] == [(200, {"s": 1.0})] * 3


def test_a_second_sigterm_ends_at_once_and_accepted_runs_are_done_by_the_next(fresh):
    prepare(fresh)
    name = fresh.run("slow", {"s": 3}, blocking=False)["name"]
    harness.poll(lambda: busy(fresh), 20, "a run")
    tree = harness.process_tree(fresh.process.pid)
    fresh.process.terminate()
    harness.poll(lambda: "stopping: no new requests" in fresh.log(), 20, "the line")
    fresh.process.terminate()
    fresh.process.wait(20 * harness.PATIENCE)
    fresh.process = None
    harness.poll(lambda: not [pid for pid in tree if harness.is_alive(pid)], 10, "the end of all processes")
    fresh.start()
    assert harness.poll(lambda: finished(fresh, name), 60, "the end of the run")["output"] == {"s": 3}
