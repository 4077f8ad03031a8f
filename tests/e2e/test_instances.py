"""How functions start, wait and share a host: what a run says about its start, what can be seen of it, and that one function
does not take what another needs."""
import contextlib
import glob
import http.client
import json
import os
import re
import subprocess
import threading

import pytest

import harness

HELLO = "def handle(ctx, payload):\n    return payload\n"
WAITS = "import time\ndef handle(ctx, payload):\n    time.sleep(float(payload.get('s', 0)))\n    return 'done'\n"
LEAVES = ("import os, time\ndef handle(ctx, payload):\n    if payload.get('leave') and os.fork() == 0:\n        while True:\n            pass\n"
          "    return 'left'\n")
SPINS = "import time\ndef handle(ctx, payload):\n    while time.process_time() < 0.5:\n        pass\n    return 1\n"
STAGES = re.compile(r"^queue;dur=[0-9.]+, (sandbox;dur=[0-9.]+, start;dur=[0-9.]+;desc=[a-z]+, import;dur=[0-9.]+, )?"
                    r"handler;dur=[0-9.]+(, start;desc=hot)?$")


def small(options):
    server = harness.Server(options=options)
    try:
        server.start()
        server.image("python3", harness.PYTHON_BASE)
        yield server
    finally:
        server.finish()


@pytest.fixture(scope="module")
def tight():
    """A host of two instances."""
    yield from small(["--instances-max", "2", "--loops", "2"])


def instances(server, function):
    return server.api("GET", f"/v1/instances?functionName={function}").json


def metric(server, name):
    found = re.search(rf"^{re.escape(name)} ([0-9]+)$", server.api("GET", "/metrics").text, re.M)
    assert found, name
    return int(found.group(1))


def test_a_run_says_which_start_it_had_and_how_long_each_stage_took(server, name):
    server.function(name, HELLO, isolation="run")
    server.endpoint(name, name, [f"/{name}"])
    for reply in (server.gateway("GET", f"/{name}"),
                  server.api("POST", f"/v1/runs?functionName={name}", {"blocking": True, "input": {}})):
        assert reply.status == 200 and STAGES.match(reply.headers["Server-Timing"]), reply.headers["Server-Timing"]
    run = server.run(name, {})
    assert run["start"] in ("hot", "ahead", "template", "zygote", "stem", "boot")
    assert set(run["timing"]) == {"queue", "sandbox", "start", "import", "handler"}


def test_the_second_run_in_an_instance_is_hot_and_counted(server, name):
    server.function(name, HELLO)
    before = metric(server, 'dispatch_run_starts_total{start="hot"}')
    server.run(name, {})
    assert server.run(name, {})["start"] == "hot"
    assert metric(server, 'dispatch_run_starts_total{start="hot"}') > before


def test_instances_are_listed_with_what_they_use(server, name):
    server.function(name, HELLO)
    for _ in range(3):
        server.run(name, {})
    row = next(row for row in instances(server, name) if row["kind"] == "instance")
    assert row["functionName"] == name and row["runs"] == 3 and row["running"] == 0 and row["state"] in ("idle", "frozen")
    assert row["memoryBytes"] > 0 and row["cpuMicros"] > 0 and row["memoryPeakBytes"] >= row["memoryBytes"] // 2
    table = server.cli("get", "instances", name).stdout
    assert table.split("\n")[0].split() == ["FUNCTION", "|", "ID", "|", "KIND", "|", "STATE", "|", "START", "|", "AGE", "|", "IDLE", "|",
                                            "RUNS", "|", "MEMORY", "|", "CPU"]
    assert row["id"] in table
    assert row["id"] in server.cli("get", "instances", name, "-o", "name").stdout.split()
    assert json.loads(server.cli("get", "instances", name, "-o", "json").stdout)[0]["functionName"] == name
    assert server.api("GET", "/v1/instances?functionName=none-such").status == 404


def test_a_function_is_described_with_its_pool_and_its_last_failures(server, name):
    server.function(name, WAITS, timeout=300)
    assert server.run(name, {"s": 30})["status"] == "ERROR"
    state = server.api("GET", f"/v1/function/{name}/pool").json
    assert state["name"] == name and "timeout of 300 ms" in state["failures"][0]["message"] and state["failures"][0]["what"] == "run"
    server.run(name, {})
    state = server.api("GET", f"/v1/function/{name}/pool").json
    assert state["pools"][0]["template"]["state"] in ("absent", "starting", "parked", "impossible")
    text = server.cli("describe", "function", name).stdout
    assert f"Function    {name}" in text and "Last failures" in text and "timeout of 300 ms" in text
    assert json.loads(server.cli("describe", "function", name, "-o", "json").stdout)["function"]["name"] == name
    assert server.cli("describe", "function", "none-such", check=False).returncode == 1


def test_what_a_handler_leaves_behind_costs_nothing_once_its_instance_is_idle(server, name):
    server.function(name, LEAVES)
    server.run(name, {"leave": True})

    def frozen():
        return [row for row in instances(server, name) if row["state"] == "frozen"]
    used = harness.poll(frozen, 20, "the instance to be frozen")[0]["cpuMicros"]
    server.function(name + "-spins", SPINS)
    server.run(name + "-spins", {})  # while this spends half a second of a processor, what is frozen spends nothing
    later = frozen()[0]["cpuMicros"]
    assert later - used < 100000, "it runs on"  # what it did until the last of its threads had stopped
    assert server.run(name, {})["output"] == "left"


def test_a_frozen_instance_ends_with_its_function_and_nothing_is_left(server, name):
    server.function(name, LEAVES)
    server.run(name, {"leave": True})
    harness.poll(lambda: any(row["state"] == "frozen" for row in instances(server, name)), 20, "the instance to be frozen")
    assert server.api("DELETE", f"/v1/function/{name}").status == 200
    harness.poll(lambda: not any(row["functionName"] == name for row in server.api("GET", "/v1/instances").json), 20, "its end")


def test_a_flood_to_one_function_does_not_starve_another(tight):
    tight.function("flooded", WAITS)
    tight.function("other", HELLO)
    over = threading.Event()
    answers = []

    def flood():
        while not over.is_set():
            answers.append(tight.api("POST", "/v1/runs?functionName=flooded", {"blocking": True, "input": {"s": 0.02}}, timeout_s=120).status)
    threads = [threading.Thread(target=flood) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        harness.poll(lambda: len(answers) > 8, 60, "the flood")
        for _ in range(5):
            reply = tight.api("POST", "/v1/runs?functionName=other", {"blocking": True, "input": 7}, timeout_s=120)
            assert reply.status == 200 and reply.json["output"] == 7, reply
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert set(answers) == {200}


def test_organizations_share_a_full_host(tight):
    tight.function("ours", WAITS)
    theirs = {"X-Dispatch-Org": "acme"}
    assert tight.api("POST", "/v1/image", {"name": "python3", "baseImageName": harness.PYTHON_BASE}, theirs).status == 201

    def ready(kind, what):
        return tight.api("GET", f"/v1/{kind}/{what}", headers=theirs).json["status"] == "READY"
    harness.poll(lambda: ready("image", "python3"), 60, "the image")
    body = {"name": "theirs", "source": harness.pack({"handler.py": HELLO}), "image": "python3"}
    assert tight.api("POST", "/v1/function", body, theirs).status == 201
    over = threading.Event()

    def flood():
        while not over.is_set():
            tight.api("POST", "/v1/runs?functionName=ours", {"blocking": True, "input": {"s": 0.05}}, timeout_s=120)
    threads = [threading.Thread(target=flood) for _ in range(6)]
    for thread in threads:
        thread.start()
    try:
        harness.poll(lambda: ready("function", "theirs"), 60, "their function")
        for _ in range(3):
            reply = tight.api("POST", "/v1/runs?functionName=theirs", {"blocking": True, "input": 1}, theirs, timeout_s=120)
            assert reply.status == 200, reply
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_a_full_queue_says_where_one_would_have_stood_and_when_to_come_back():
    for server in small(["--queue-requests", "1"]):
        server.function("busy", WAITS, maxInstances=1)
        server.endpoint("busy", "busy", ["/busy"])

        def occupy():
            with contextlib.suppress(OSError, http.client.HTTPException):  # the server ends with it
                server.gateway("GET", "/busy?s=20", timeout_s=120)
        threads = [threading.Thread(target=occupy) for _ in range(2)]
        threads[0].start()
        harness.poll(lambda: metric(server, "dispatch_instances_busy") == 1, 30, "the first to run")
        threads[1].start()
        harness.poll(lambda: metric(server, "dispatch_queued") == 1, 30, "the second to wait")
        refused = server.gateway("GET", "/busy")
        assert refused.status == 429 and refused.headers["Dispatch-Queue-Position"] == "2", refused.headers
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        refused = server.api("POST", "/v1/runs?functionName=busy", {"blocking": True, "input": {}})
        assert refused.status == 429 and refused.headers["Dispatch-Queue-Position"] == "2", refused
        server.api("DELETE", "/v1/function/busy")
        server.kill()
        for thread in threads:
            thread.join()


def test_minimum_instances_are_there_and_a_first_run_finds_one(server, name):
    server.function(name, HELLO, minInstances=2)
    harness.poll(lambda: len([row for row in instances(server, name) if row["kind"] == "instance" and
                              row["state"] in ("idle", "frozen")]) >= 2, 30, "two instances")
    assert server.run(name, {})["start"] in ("hot", "ahead")


def test_what_a_run_uses_is_counted_by_the_kernel_with_processes_that_nobody_waits_for(server, name):
    code = ("import os, time\ndef handle(ctx, payload):\n    if payload.get('work'):\n        ours, theirs = os.pipe()\n        if os.fork() == 0:\n"
            "            while time.process_time() < 0.3:\n                pass\n            os.write(theirs, b'x')\n            os._exit(0)\n"
            "        os.read(ours, 1)\n    return 1\n")
    server.function(name, code)
    usage = server.run(name, {"work": True})["usage"]
    assert usage["cpuMicros"] >= 250000, usage  # a child that was not waited for is in no rusage
    assert usage["memoryPeakBytes"] > 1 << 20 and usage["ioReadBytes"] >= 0 and usage["ioWriteBytes"] >= 0


def test_an_organization_has_its_limits_as_a_whole():
    for server in small(["--organization-limits", "acme:memory=64:processes=40, dispatch-server:cpu=500"]):
        server.function("mine", HELLO)
        assert server.run("mine", 1)["output"] == 1
        found = sorted(glob.glob("/sys/fs/cgroup/**/org-dispatch-server", recursive=True))
        quota = [open(os.path.join(folder, file), encoding="utf-8").read().split()[0] for folder in found
                 for file in ("cpu.cfs_quota_us", "cpu.max") if os.path.exists(os.path.join(folder, file))]
        assert "50000" in quota, (found, quota)
    refused = subprocess.run([os.path.join(harness.BUILD, "dispatch-server"), "--organization-limits", "acme:disk=1"], capture_output=True,
                             text=True, check=False)
    assert refused.returncode != 0 and "'disk=1' is none of memory=MIB" in refused.stderr
