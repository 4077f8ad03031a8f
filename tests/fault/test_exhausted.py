"""Descriptors, processes and memory that run out: a request is answered, refused or waits, nothing spins, and with room again
everything works without a restart."""
import contextlib
import http.client
import json
import os
import socket
import subprocess
import threading

import pytest

import harness

ECHO = "def handle(ctx, payload):\n    return payload\n"
GET = b"GET /v1/version HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def made(fresh):
    fresh.image("python3", harness.PYTHON_BASE)
    fresh.function("echo", ECHO)
    fresh.endpoint("echo", "echo", ["/echo"], methods=["POST"])
    return fresh


def limit(pid, soft):
    """Sets how many descriptors a running process may have, and says what it was; those beyond stay open. As the user of that process, for
    root may lack the capability to do it for others."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        ids = {line.split()[0]: line.split()[1] for line in file if line.startswith(("Uid:", "Gid:"))}
    with open(f"/proc/{pid}/limits", encoding="utf-8") as file:
        before = next(line.split()[3] for line in file if line.startswith("Max open files"))
    subprocess.run(["setpriv", "--reuid", ids["Uid:"], "--regid", ids["Gid:"], "--clear-groups", "prlimit", "--pid", str(pid),
                    f"--nofile={soft}:"], check=True)
    return before


def ticks(pid):
    """Processor time of a process, in clock ticks."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def connect(server):
    sock = socket.create_connection(("127.0.0.1", server.port), timeout=20 * harness.PATIENCE)
    return sock


def ask(sock):
    sock.sendall(GET)
    return sock.recv(65536).startswith(b"HTTP/1.1 200")


def test_without_descriptors_the_oldest_idle_connection_makes_room(made):
    pid = made.server_pid()
    idle = [connect(made) for _ in range(30)]  # each loop has a few of them
    assert all(ask(sock) for sock in idle)
    before = limit(pid, 1 + max(map(int, os.listdir(f"/proc/{pid}/fd"))))
    more = [connect(made) for _ in range(3)]
    assert all(ask(sock) for sock in more), "a new connection is served in place of an old one"
    limit(pid, before)
    for sock in idle + more:
        sock.close()
    assert made.run("echo", 1)["output"] == 1


def test_without_descriptors_and_idle_connections_callers_wait_and_nothing_spins(made):
    pid = made.server_pid()
    busy = [connect(made) for _ in range(8)]
    for sock in busy:
        sock.sendall(GET[:-2])  # a head that is not over: not idle
    harness.poll(lambda: accepted(made, pid, busy), 20, "all connections to be taken")
    before = limit(pid, 3)
    waiting = [connect(made) for _ in range(8)]
    for sock in waiting:
        sock.sendall(GET)
    spent = ticks(pid)
    assert ask_more(busy[0]), "those who have a connection are served"
    probe = threading.Event()
    probe.wait(1.0)  # the time in which a spinning loop would use a hundred ticks
    assert ticks(pid) - spent < 50
    limit(pid, before)
    assert all(sock.recv(65536).startswith(b"HTTP/1.1 200") for sock in waiting)
    for sock in busy + waiting:
        sock.close()


def ask_more(sock):
    sock.sendall(b"\r\n")
    return sock.recv(65536).startswith(b"HTTP/1.1 200")


def accepted(server, pid, socks):
    """Every one of the connections has its descriptor in the server."""
    ports = {sock.getsockname()[1] for sock in socks}
    inodes = {os.readlink(f"/proc/{pid}/fd/{fd}")[8:-1] for fd in os.listdir(f"/proc/{pid}/fd")
              if os.path.islink(f"/proc/{pid}/fd/{fd}") and os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:")}
    with open("/proc/net/tcp", encoding="ascii") as file:
        rows = [line.split() for line in file.readlines()[1:]]
    return ports <= {int(row[2].split(":")[1], 16) for row in rows if row[9] in inodes}


def test_an_instance_that_finds_no_descriptor_is_an_error_and_the_next_works(made):
    made.function("other", ECHO + "# other\n")
    made.restart()  # without instances
    pid = made.server_pid()
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", made.port, timeout=60 * harness.PATIENCE)) as caller:
        caller.request("GET", "/v1/version")
        caller.getresponse().read()
        before = limit(pid, 3)
        caller.request("POST", "/v1/runs?functionName=other", json.dumps({"blocking": True, "input": 1}),
                       {"Content-Type": "application/json", "Cookie": "unset"})
        reply = caller.getresponse()
        body = json.loads(reply.read())
    assert reply.status in (429, 500, 503) or reply.status == 200 and body["error"]["type"] == "SystemError", body
    limit(pid, before)
    harness.poll(lambda: (reply := made.api("POST", "/v1/runs?functionName=other", {"blocking": True, "input": 1})).status ==
                 200 and reply.json.get("output") == 1, 30, "a good run")
    assert made.server_pid() == pid, "the server went on"


def test_spawn_without_descriptors_refuses_and_goes_on(made):
    spawn, server = made.process.pid, made.server_pid()
    made.function("other", ECHO + "# other\n")
    made.restart()
    spawn, server = made.process.pid, made.server_pid()
    before = limit(spawn, 3)
    run = made.api("POST", "/v1/runs?functionName=other", {"blocking": True, "input": 1})
    assert run.status in (429, 500, 503) or run.json["error"]["type"] == "SystemError", run
    limit(spawn, before)
    harness.poll(lambda: made.run("other", 1).get("output") == 1, 30, "a good run")
    assert (made.process.pid, made.server_pid()) == (spawn, server)


@pytest.fixture
def pids_limit(made):
    """Sets how many processes spawn and all below it may have, by a cgroup of the test's own; None gives it back."""
    folder = next((top for top in ("/sys/fs/cgroup/pids", "/sys/fs/cgroup") if os.path.exists(os.path.join(top, "cgroup.procs"))), None)
    group = os.path.join(folder, f"test-{os.path.basename(made.folder)}") if folder else None
    try:
        os.mkdir(group)
        if not os.path.exists(os.path.join(group, "pids.max")):
            raise OSError("no pids controller")
    except (OSError, TypeError) as error:
        pytest.skip(f"no cgroup to limit processes with: {error}")

    def set_limit(value):
        with open(os.path.join(group, "pids.max"), "w", encoding="ascii") as file:
            file.write(str(value))
    made.stop()
    set_limit("max")
    start = made.command
    made.command = lambda: ["/bin/sh", "-c", f"echo 0 > {group}/cgroup.procs; exec \"$@\"", "sh", *start()]
    made.start()
    yield set_limit
    made.command = start
    made.stop()
    harness.poll(lambda: not open(os.path.join(group, "cgroup.procs"), encoding="ascii").read(), 20, "an empty cgroup")
    os.rmdir(group)


def test_spawn_that_cannot_fork_says_so_and_goes_on(made, pids_limit):
    made.function("other", ECHO + "# other\n")
    made.restart()
    pids_limit(1)
    run = made.api("POST", "/v1/runs?functionName=other", {"blocking": True, "input": 1})
    assert run.status in (429, 500, 503) or run.json["error"]["type"] == "SystemError", run
    reply = made.api("POST", "/v1/function", {"name": "new", "image": "python3", "source": harness.pack({"h.py": ECHO + "# new"})})
    assert reply.status == 201, reply
    assert made.api("GET", "/readyz").status == 200
    pids_limit("max")
    harness.poll(lambda: made.run("other", 1).get("output") == 1, 30, "a good run")
    found = harness.poll(lambda: settled(made, "new"), 60, "a status")
    if found["status"] == "ERROR":
        assert "Resource temporarily unavailable" in found["reason"][0], found
        made.update("new", ECHO + "# new again")
    assert made.run("new", 2)["output"] == 2


def settled(server, name):
    found = server.api("GET", f"/v1/function/{name}").json
    return found if found["status"] in ("READY", "ERROR") else None


def test_the_memory_of_many_large_requests_is_bounded(made):
    """Each is answered or refused; what the server may hold at once is limited, so it never gets near a real limit."""
    pid, body = made.server_pid(), b'"' + b"x" * (3 << 20) + b'"'
    statuses = []

    def call():
        try:
            statuses.append(made.api("POST", "/v1/runs?functionName=echo", b'{"blocking":true,"input":' + body + b"}",
                                     headers={"Content-Type": "application/json"}).status)
        except OSError as error:
            statuses.append(repr(error))
    callers = [threading.Thread(target=call) for _ in range(12)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(120 * harness.PATIENCE)
        assert not caller.is_alive()
    assert set(statuses) <= {200, 413, 429, 503}, statuses
    assert made.server_pid() == pid
    assert made.run("echo", 1)["output"] == 1
