"""Deadlines and limits hold, say what was exceeded, and the next run works."""
import json
import time

import pytest

import harness

SLEEPS = "import time\ndef handle(ctx, payload):\n    time.sleep(float(payload.get('s', 0)))\n    return 'awake'\n"
SPINS = "def handle(ctx, payload):\n    while payload.get('spin'):\n        pass\n    return 'still'\n"
EATS = ("def handle(ctx, payload):\n    kept = []\n    for _ in range(int(payload.get('mib', 0))):\n"
        "        kept.append(bytearray(b'x' * (1 << 20)))\n    return len(kept)\n")


@pytest.mark.parametrize("code, query", [(SLEEPS, "s=60"), (SPINS, "spin=1")])
def test_past_its_deadline_a_run_is_a_504_that_names_the_limit(server, name, code, query):
    server.function(name, code, timeout=500)
    server.endpoint(name, name, [f"/{name}"])
    before = time.monotonic()
    reply = server.gateway("GET", f"/{name}?{query}")
    assert (reply.status, reply.json["code"]) == (504, 504), reply
    assert "500" in reply.json["message"] and "timeout" in reply.json["message"].lower()
    assert time.monotonic() - before < 5 * harness.PATIENCE
    reply = server.gateway("GET", f"/{name}")
    assert reply.status == 200, reply


def test_past_its_deadline_a_run_of_the_api_is_a_200_with_the_error_inside(server, name):
    server.function(name, SLEEPS, timeout=500)
    run = server.run(name, {"s": 60})
    assert run["status"] == "ERROR" and "timeout" in run["error"]["message"].lower()
    error = server.message(name, '{"s": 60}')["context"]["error"]
    assert error["type"] == "FunctionError" and "timeout" in error["message"].lower()
    done = server.cli("exec", name, input='{"s": 60}')
    assert done.returncode == 0 and "timeout" in json.loads(done.stdout)["context"]["error"]["message"].lower()
    assert server.run(name, {})["output"] == "awake"


def test_over_its_memory_a_run_is_a_500_that_names_the_limit(server, name):
    server.function(name, EATS, memory=64)
    server.endpoint(name, name, [f"/{name}"])
    reply = server.gateway("GET", f"/{name}?mib=200")
    assert (reply.status, reply.json["code"]) == (500, 500), reply
    assert "memory" in reply.json["message"].lower() and "64" in reply.json["message"]
    assert server.gateway("GET", f"/{name}?mib=5").json == 5
    run = server.run(name, {"mib": 200})
    assert run["status"] == "ERROR" and "memory" in run["error"]["message"].lower()
    assert server.run(name, {"mib": 5})["output"] == 5


def test_memory_of_one_function_does_not_harm_another(server, name):
    server.function(name, EATS, memory=64)
    server.function(name + "-b", SLEEPS)
    assert server.run(name, {"mib": 300})["status"] == "ERROR"
    assert server.run(name + "-b", {})["output"] == "awake"


def test_a_fork_bomb_stays_in_its_sandbox(server, name):
    code = ("import os\ndef handle(ctx, payload):\n    made = 0\n    try:\n        for _ in range(5000):\n"
            "            if os.fork() == 0:\n                import time; time.sleep(30); os._exit(0)\n"
            "            made += 1\n    except OSError:\n        pass\n    return made\n")
    server.function(name, code, timeout=20000)
    run = server.run(name, {})
    assert run["status"] == "ERROR" or run["output"] < 2000
    assert server.api("GET", "/v1/version").status == 200
    server.function(name + "-next", SLEEPS)
    assert server.run(name + "-next", {})["output"] == "awake"


def test_tmp_has_a_limit(server, name):
    code = ("def handle(ctx, payload):\n    written = 0\n    try:\n        with open('/tmp/big', 'wb') as file:\n"
            "            while written < 4096:\n                file.write(b'x' * (1 << 20))\n                file.flush()\n"
            "                written += 1\n    except OSError as error:\n        return [written, error.errno]\n"
            "    return [written, None]\n")
    server.function(name, code, memory=1024)
    run = server.run(name, {})
    assert run["status"] == "ERROR" or (run["output"][1] == 28 and run["output"][0] < 1024), run


def test_a_reply_past_its_limit_is_a_clear_error(server, name):
    server.function(name, "def handle(ctx, payload):\n    return 'x' * (12 << 20)\n")
    server.endpoint(name, name, [f"/{name}"])
    reply = server.gateway("GET", f"/{name}", timeout_s=60)
    assert reply.status in (500, 502) and "reply-bytes-max" in reply.json["message"], reply


def test_max_instances_queues_and_answers_all(server, name):
    import concurrent.futures
    server.function(name, "import os, time\ndef handle(ctx, payload):\n    time.sleep(0.02)\n    return os.urandom(4).hex()\n",
                    maxInstances=1)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: server.run(name), range(24)))
    assert all(run["status"] == "READY" for run in runs)


def test_a_caller_that_leaves_does_not_disturb_the_next(server, name):
    import socket
    server.function(name, SLEEPS, maxInstances=1, timeout=10000)
    server.endpoint(name, name, [f"/{name}"])
    with socket.create_connection(("127.0.0.1", server.gateway_port)) as leaving:
        leaving.sendall(f"GET /{name}?s=1 HTTP/1.1\r\nHost: {harness.DEFAULT_HOST}\r\n\r\n".encode())
        time.sleep(0.1)  # the request is under way, not waited for
    assert server.gateway("GET", f"/{name}").json == "awake"
