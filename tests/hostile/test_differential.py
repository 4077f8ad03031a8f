"""The same bytes to Dispatch's gateway, to nginx and to Node.js: where those two disagree about where a message ends, ours
refuses; what ours takes, it takes as they do.

HOSTILE_SEED and HOSTILE_COUNT choose the requests (more of them: HOSTILE_COUNT=100000); HOSTILE_FOUND=FILE collects what is
found as Python literals, to become cases of http/.
"""
import concurrent.futures
import json
import os
import random
import shutil
import subprocess
import time

import pytest

import corpus
import harness
import mutate

SEED = int(os.environ.get("HOSTILE_SEED") or 2026)
COUNT = int(os.environ.get("HOSTILE_COUNT") or 600)
SECONDS = float(os.environ.get("HOSTILE_SECONDS") or 20)
ENDS = 40  # requests behind each sample: what swallows some of them shows where the message ended
ECHO = ("import json\ndef handle(ctx, payload):\n"
        "    body = payload if isinstance(payload, (bytes, bytearray)) else b''\n"
        "    return {'m': ctx['request']['method'], 'b': bytes(body).hex()}\n")


class Peers:
    """nginx and Node.js on ports of their own."""

    def __init__(self, folder, nginx):
        self.node_port, backend, self.nginx_port = (harness.free_port() for _ in range(3))
        here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers")
        with open(os.path.join(here, "nginx.conf"), encoding="utf-8") as file:
            text = file.read().replace("FOLDER", str(folder)).replace("PORT", str(self.nginx_port)).replace("BACKEND", str(backend))
        conf = os.path.join(folder, "nginx.conf")
        with open(conf, "w", encoding="utf-8") as file:
            file.write("user root;\n" + text if os.geteuid() == 0 else text)
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.processes = [subprocess.Popen(["node", os.path.join(here, "echo.js"), str(self.node_port), str(backend)], **quiet),
                          subprocess.Popen([nginx, "-p", str(folder), "-c", conf], **quiet)]
        for port in (self.node_port, backend, self.nginx_port):
            harness.poll(lambda port=port: self.answers(port), 20, f"a peer on port {port}")

    @staticmethod
    def answers(port):
        try:
            return harness.request(port, "GET", "/", timeout_s=2).status == 200
        except OSError:
            return False

    def stop(self):
        for process in self.processes:
            process.terminate()
            process.wait(10)


@pytest.fixture(scope="module")
def peers(tmp_path_factory):
    if shutil.which("node") is None:
        pytest.skip("there is no node to compare with; tools/install-deps bench installs it")
    found = subprocess.run([os.path.join(harness.ROOT, "bench", "fetch-nginx"), os.path.join(harness.ROOT, "build", "nginx")],
                           capture_output=True, text=True, check=False)
    if found.returncode != 0:
        pytest.skip(f"there is no nginx to compare with: {found.stderr.strip()[:200]}")
    running = Peers(tmp_path_factory.mktemp("peers"), found.stdout.strip().splitlines()[-1])
    yield running
    running.stop()


@pytest.fixture(scope="module")
def echo_server(server):
    server.function("differ", ECHO)
    server.endpoint("differ", "differ", ["/echo", "/in", "/end"], ["GET", "POST", "PUT"])
    return server


def outcome(port, data, host):
    """What a server took: [(method, body)] of the requests that it answered with 200, and whether it then refused something."""
    data = data.replace(b"HOST", host)
    end = b"GET /end HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"
    last = end.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    taken, refused = [], False
    try:
        received = corpus.exchange(port, [data + end * (ENDS - 1) + last], 2 * harness.PATIENCE)
    except TimeoutError:  # a message that is not over: it waits for more
        return None
    for status, _, body in corpus.responses(received, strict=False):
        if status != 200:
            refused = True
            break
        seen = json.loads(body)
        taken.append((seen["m"], seen["b"]))
    return taken, refused


def judge(ours, nginx, node):
    """None, or what is wrong with what ours made of the bytes."""
    if ours is None:
        return "ours waits for more" if nginx is not None and node is not None else None
    mine, _ = ours
    others = [("nginx", nginx), ("node", node)]
    for name, other in others:
        if other is None:
            continue
        theirs, _ = other
        for at in range(min(len(mine), len(theirs))):
            if mine[at] != theirs[at]:
                return f"ours and {name} see another message at {at}: {mine[at]} and {theirs[at]}"
    if nginx is None or node is None:
        return None
    shortest = min(len(nginx[0]), len(node[0]))
    if len(mine) > max(len(nginx[0]), len(node[0])):
        return f"ours takes {len(mine)} messages, nginx {len(nginx[0])}, node {len(node[0])}"
    for at in range(shortest):
        if nginx[0][at] != node[0][at] and len(mine) > at:
            return f"nginx and node disagree at {at} and ours refuses nothing"
    return None


def three(pool, data, ports):
    futures = [pool.submit(outcome, port, data, host) for port, host in ports]
    return [future.result() for future in futures]


def test_ours_sees_no_other_message_than_nginx_and_node_do(echo_server, peers):
    source = random.Random(SEED)
    host = harness.DEFAULT_HOST.encode()
    ports = [(echo_server.gateway_port, host), (peers.nginx_port, host), (peers.node_port, host)]
    found, seen, taken, apart, until = [], 0, 0, 0, time.monotonic() + SECONDS * harness.PATIENCE
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        while seen < COUNT and time.monotonic() < until:
            data = mutate.sample(source)
            ours, nginx, node = three(pool, data, ports)
            seen += 1
            taken += ours is not None and len(ours[0]) > 0
            apart += nginx != node
            wrong = judge(ours, nginx, node)
            if wrong:
                found.append((wrong, data))
    if os.environ.get("HOSTILE_FOUND"):
        with open(os.environ["HOSTILE_FOUND"], "a", encoding="utf-8") as file:
            file.writelines(f"{wrong} | {data!r}\n" for wrong, data in found)
    print(f"{seen} samples, of which ours took {taken}; nginx and Node.js differ in {apart}, ours from both in "
          f"{len(found)} (seed {SEED})")
    assert not found, f"seed {SEED}, {len(found)} of {seen}; the first: {found[0]}"
    assert taken * 20 > seen, f"ours took {taken} of {seen}: the generator makes too little that is right"
