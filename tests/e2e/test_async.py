"""Several runs in one instance, and runs that end early.

Whether runs overlap is seen by gates: what waits at one goes on only when another run of the same instance opens it.
"""
import concurrent.futures
import json

import pytest

import harness

PYTHON = '''
import asyncio

gates, arrived, cancelled = {}, [], []

async def handle(context, payload):
    if "wait" in payload:
        arrived.append(payload["wait"])
        print("waits at", payload["wait"])
        try:
            await gates.setdefault(payload["wait"], asyncio.Event()).wait()
        except asyncio.CancelledError:
            cancelled.append(payload["wait"])
            raise
        while "spin" in payload:
            pass
        return "past " + payload["wait"]
    if "open" in payload:
        gates.setdefault(payload["open"], asyncio.Event()).set()
    return {"arrived": arrived, "cancelled": cancelled}
'''

NODE = '''
const gates = new Map(), arrived = [], cancelled = [];
const gate = (key) => {
    if (!gates.has(key)) {
        const one = {};
        one.passed = new Promise((resolve) => { one.open = resolve; });
        gates.set(key, one);
    }
    return gates.get(key);
};
module.exports = async ({ signal }, payload) => {
    if ('wait' in payload) {
        arrived.push(payload.wait);
        console.log('waits at', payload.wait);
        await Promise.race([gate(payload.wait).passed, new Promise((resolve, reject) => {
            signal.addEventListener('abort', () => { cancelled.push(payload.wait); reject(signal.reason); });
        })]);
        if ('spin' in payload) {
            await new Promise((resolve) => setImmediate(resolve)); // whoever opened the gate is answered first
            for (;;);
        }
        return 'past ' + payload.wait;
    }
    if ('open' in payload)
        gate(payload.open).open();
    return { arrived, cancelled };
};
'''

# One at a time; it goes on until it is ended.
WAITS = "import time\ndef handle(context, payload):\n    while payload:\n        time.sleep(0.05)\n    return 'done'\n"


@pytest.fixture(params=["python3", "nodejs"])
def several(request, server, name):
    """A function whose runs all are in one instance."""
    def make(concurrency=200, **fields):
        if request.param == "nodejs":
            server.image("nodejs", "dispatchframework/nodejs-base:0.0.13-knative")
            server.function(name, {"several.js": NODE}, image="nodejs", concurrency=concurrency, maxInstances=1, **fields)
        else:
            server.function(name, PYTHON, concurrency=concurrency, maxInstances=1, **fields)
        return name
    return make


def begin(server, function, payload):
    return server.run(function, payload, blocking=False)["name"]


def found(server, run):
    return server.api("GET", f"/v1/runs/{run}").json


def over(server, run):
    return harness.poll(lambda: (seen := found(server, run))["status"] in ("READY", "ERROR") and seen, 20, "the end of the run")


def arrived(server, function, *keys):
    harness.poll(lambda: set(keys) <= set(server.run(function, {})["output"]["arrived"]), 20, "runs at their gates")


def test_a_hundred_runs_wait_in_one_instance_together(server, several):
    function = several()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda number: begin(server, function, {"wait": "all"}), range(100)))
    harness.poll(lambda: server.run(function, {})["output"]["arrived"] == ["all"] * 100, 20, "a hundred at the gate")
    assert not any(found(server, run)["status"] in ("READY", "ERROR") for run in runs[::10])
    server.run(function, {"open": "all"})
    for run in runs:
        done = over(server, run)
        assert (done["status"], done["output"], done["logs"]["stdout"]) == ("READY", "past all", ["waits at all"])


def test_a_deleted_run_is_cancelled_and_the_others_go_on(server, several):
    function = several()
    goes, stays = begin(server, function, {"wait": "goes"}), begin(server, function, {"wait": "stays"})
    arrived(server, function, "goes", "stays")
    reply = server.api("DELETE", f"/v1/runs/{goes}?functionName={function}")
    assert reply.status == 200 and reply.json["name"] == goes and reply.json["status"] == "ERROR", reply
    assert "the run was cancelled" in reply.json["error"]["message"]
    assert found(server, goes)["status"] == "ERROR"
    harness.poll(lambda: server.run(function, {})["output"]["cancelled"] == ["goes"], 20, "the handler to hear of it")
    server.run(function, {"open": "stays"})
    assert over(server, stays)["output"] == "past stays"
    assert server.api("DELETE", f"/v1/runs/{goes}").status == 409
    assert server.api("DELETE", f"/v1/runs/{stays}").json["message"] == f"run {stays} is over"


@pytest.mark.parametrize("through", ["api", "gateway"])
def test_a_caller_that_goes_takes_its_run_along_and_no_other(server, several, through):
    function = several()
    server.endpoint(function, function, [f"/{function}"], methods=["POST"])
    stays = begin(server, function, {"wait": "stays"})
    if through == "api":
        port, path, body = server.port, f"/v1/runs?functionName={function}", {"blocking": True, "input": {"wait": "goes"}}
    else:
        port, path, body = server.gateway_port, f"/{function}", {"wait": "goes"}
    text = json.dumps(body)
    with harness.dial(port) as caller:
        caller.sendall(f"POST {path} HTTP/1.1\r\nHost: {harness.DEFAULT_HOST}\r\nCookie: unset\r\n"
                       f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())
        arrived(server, function, "goes", "stays")
    harness.poll(lambda: server.run(function, {})["output"]["cancelled"] == ["goes"], 20, "the handler to hear of it")
    runs = harness.poll(lambda: [each for each in server.api("GET", f"/v1/runs?functionName={function}").json
                                 if each["status"] == "ERROR"], 20, "the record")
    assert "the run was cancelled" in runs[0]["error"]["message"]
    server.run(function, {"open": "stays"})
    assert over(server, stays)["output"] == "past stays"


def test_a_run_that_hangs_is_ended_with_its_instance_and_the_others_are_told_why(server, several):
    function = several()
    waits = begin(server, function, {"wait": "gate"})
    arrived(server, function, "gate")
    hangs = begin(server, function, {"wait": "spin", "spin": 1})
    arrived(server, function, "spin")
    server.run(function, {"open": "spin"})
    assert server.api("DELETE", f"/v1/runs/{hangs}").status == 200
    told = over(server, waits)
    assert told["status"] == "ERROR"
    assert "kept it from doing anything else" in told["error"]["message"], told["error"]
    assert server.run(function, {})["output"] == {"arrived": [], "cancelled": []}


def test_a_run_of_one_at_a_time_is_cancelled_in_each_of_its_states(server, name):
    server.function(name, WAITS, maxInstances=1)
    hot, queued, behind = (begin(server, name, payload) for payload in (1, 2, 0))
    assert server.api("DELETE", f"/v1/runs/{queued}").status == 200
    assert found(server, queued)["status"] == "ERROR"
    assert found(server, behind)["status"] not in ("READY", "ERROR")
    shown = server.cli("delete", "run", hot)
    assert shown.stdout == f"Cancelled run: {hot}\n"
    assert found(server, hot)["status"] == "ERROR"
    assert over(server, behind)["output"] == "done"


def test_a_run_whose_instance_is_starting_is_cancelled(server, name):
    code = "import sys, time\nif len(sys.argv):\n    time.sleep(1)\n" + WAITS
    server.function(name, code, isolation="run", maxInstances=1)
    starting, behind = begin(server, name, 1), begin(server, name, 0)
    reply = server.api("DELETE", f"/v1/runs/{starting}")
    assert (reply.status, reply.json["status"]) == (200, "ERROR"), reply
    assert over(server, behind)["output"] == "done"


def test_what_cannot_be_cancelled(server, name):
    server.function(name, WAITS)
    done = server.run(name, 0)["name"]
    assert server.api("DELETE", f"/v1/runs/{done}").status == 409
    assert server.api("DELETE", "/v1/runs/00000000-0000-4000-8000-000000000000").status == 404
    assert server.api("DELETE", "/v1/runs/x").status == 422
    running = begin(server, name, 1)
    assert server.api("DELETE", f"/v1/runs/{running}", headers={"X-Dispatch-Org": "other"}).status == 404
    assert server.api("DELETE", f"/v1/runs/{running}?functionName=other").status == 404
    assert server.cli("delete", "run", done, check=False).stderr.strip().endswith(f"run {done} is over")
    assert server.api("DELETE", f"/v1/runs/{running}?functionName={name}").status == 200


def test_a_cancelled_run_is_not_run_again_by_the_next_server(fresh, name):
    server = fresh
    server.image("python3", harness.PYTHON_BASE)
    server.function(name, WAITS)
    run = begin(server, name, 1)
    assert server.api("DELETE", f"/v1/runs/{run}").status == 200
    server.restart()
    assert over(server, run)["status"] == "ERROR" and "cancelled" in found(server, run)["error"]["message"]


def test_a_handler_of_one_at_a_time_with_a_concurrency_is_in_error_and_says_why(server, name):
    shown = server.function(name, WAITS, concurrency=2, wanted="ERROR")
    assert "it takes one run at a time, and the function asks for 2" in "\n".join(shown["reason"])
    reply = server.api("POST", "/v1/function", {"name": name + "-b", "image": "python3", "source": harness.pack({"f.py": WAITS}),
                                                "concurrency": 2, "isolation": "run"})
    assert (reply.status, reply.json["message"]) == (
        422, "concurrency in body must be 1 with isolation run: each run has a process of its own")
