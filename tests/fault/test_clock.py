"""The wall clock jumps, back and forward, under a running server and between two starts: the order of things stays, nothing is
lost, and what is measured or limited in time goes by another clock."""
import os
import struct
import subprocess
import time

import pytest

import harness

HERE = os.path.dirname(os.path.abspath(__file__))
HOUR, YEAR = 3600, 365 * 86400
ECHO = "import time\ndef handle(ctx, payload):\n    time.sleep(payload.get('s', 0))\n    return payload\n"


class Shifted(harness.Server):
    """A server whose wall clock the test sets; all of its processes that are linked dynamically see it."""

    def prepare(self, library):
        self.library, self.shift_path = library, os.path.join(self.folder, "shift")
        self.shift(0)
        os.chmod(self.shift_path, 0o644)
        start = self.command
        self.command = lambda: ["/usr/bin/env", f"LD_PRELOAD={self.library}", f"CLOCK_SHIFT={self.shift_path}", *start()]

    def shift(self, seconds):
        with open(self.shift_path, "r+b" if os.path.exists(self.shift_path) else "wb", buffering=0) as file:
            file.write(struct.pack("=q", seconds))


@pytest.fixture
def shifted(disk):
    if any(word in harness.BUILD for word in ("-asan", "-tsan")):
        pytest.skip("a sanitizer wants to be the first library that is loaded")
    library = os.path.join(disk, "clock_shift.so")
    done = subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, os.path.join(HERE, "clock_shift.c")],
                          capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"no compiler for the clock: {done.stderr.strip()[:200]}")
    server = Shifted(folder=disk)
    server.prepare(library)
    try:
        server.start()
        server.image("python3", harness.PYTHON_BASE)
        server.function("echo", ECHO)
        yield server
    finally:
        server.finish()


def runs(server, **query):
    words = "&".join(f"{key}={value}" for key, value in {"functionName": "echo", **query}.items())
    reply = server.api("GET", f"/v1/runs?{words}")
    assert reply.status == 200, reply
    return [run["name"] for run in reply.json]


def recorded(server, names):
    harness.poll(lambda: set(names) <= set(runs(server)), 20, "the records")


JUMPS = {"back": -HOUR, "far back": -10 * YEAR, "forward": HOUR, "far forward": 10 * YEAR}


@pytest.mark.parametrize("jump", JUMPS)
def test_runs_keep_their_order_over_a_jump(shifted, jump):
    names = []
    for seconds in (0, JUMPS[jump], 0):
        shifted.shift(seconds)
        for number in range(3):
            names.append(shifted.run("echo", {"n": number})["name"])
            recorded(shifted, names)  # one after the other: the order is that of the records
    assert len(set(names)) == len(names)
    assert runs(shifted) == names[::-1], "newest first"
    shifted.restart()
    names.append(shifted.run("echo", {"n": 9})["name"])
    recorded(shifted, names)
    assert runs(shifted) == names[::-1]


@pytest.mark.parametrize("jump", JUMPS)
def test_a_resource_is_never_modified_before_it_was(shifted, jump):
    before = shifted.api("POST", "/v1/secret", {"name": "s", "secrets": {"k": "0"}}).json
    shifted.shift(JUMPS[jump])
    times, revisions = [modified(before)], [before["revision"]]
    for number in range(3):
        reply = shifted.api("PUT", "/v1/secret/s", {"name": "s", "secrets": {"k": str(number)}})
        assert reply.status in (200, 201), reply
        times.append(modified(reply.json))
        revisions.append(reply.json["revision"])
    assert times == sorted(times) and times[0] > 0, times
    assert [int(each) for each in revisions] == list(range(int(revisions[0]), int(revisions[0]) + 4))
    assert shifted.api("GET", "/v1/secret/s").json["secrets"] == {"k": "2"}


def modified(secret):
    return secret.get("modifiedTime") or secret["meta"]["modifiedTime"]


@pytest.mark.parametrize("jump", JUMPS)
def test_durations_and_deadlines_do_not_see_a_jump(shifted, jump):
    shifted.function("short", ECHO, timeout=1500)
    began = time.monotonic()
    name = shifted.run("echo", {"s": 0.5}, blocking=False)["name"]
    shifted.shift(JUMPS[jump])
    run = harness.poll(lambda: final(shifted, name), 30, "the end of the run")
    assert run["status"] == "READY" and run["output"] == {"s": 0.5}, run
    assert 400000 <= run["timing"]["handler"] <= (time.monotonic() - began) * 1e6, run["timing"]
    assert run["finishedTime"] >= run["executedTime"] and run["finishedAt"] >= run["executedAt"], run
    late = shifted.run("short", {"s": 30})
    assert "timeout" in late["error"]["message"].lower(), late
    assert shifted.run("short", {"s": 0})["output"] == {"s": 0}


def final(server, name):
    reply = server.api("GET", f"/v1/runs/{name}")
    return reply.json if reply.status == 200 and reply.json["status"] in ("READY", "ERROR") else None


def test_a_clock_that_was_set_back_between_two_starts_loses_nothing(shifted):
    names = [shifted.run("echo", {"n": number}, blocking=False)["name"] for number in range(3)]
    shifted.kill()
    shifted.shift(-10 * YEAR)
    shifted.start()
    for number, name in enumerate(names):
        assert harness.poll(lambda: final(shifted, name), 60, "the run")["output"] == {"n": number}
    again = [shifted.run("echo", {"n": number})["name"] for number in range(2)]
    assert not set(again) & set(names)
    os.kill(shifted.server_pid(), 9)
    harness.poll(shifted.is_ready, 30, "a server started anew")
    assert shifted.run("echo", {"n": 7})["output"] == {"n": 7}


def test_since_finds_what_is_recorded_after_the_clock_was_set_back(shifted):
    old = shifted.run("echo", {"n": 1})["name"]
    recorded(shifted, [old])
    since = int(time.time()) + 1
    harness.poll(lambda: time.time() > since + 1, 10, "the next second")
    shifted.shift(-HOUR)
    new = shifted.run("echo", {"n": 2})["name"]
    recorded(shifted, [new])
    assert old not in runs(shifted, since=since)
    shifted.shift(0)
    newest = shifted.run("echo", {"n": 3})["name"]
    recorded(shifted, [newest])
    assert newest in runs(shifted, since=since)
