"""A disk without room, at each kind of write: the one who asked hears of it, reads go on, what was accepted stays, and once
there is room the server goes on by itself. The state directory is a small file system of its own."""
import contextlib
import os
import subprocess

import pytest

import harness
from harness import Server

ONE = "def handle(ctx, payload):\n    return payload\n"
FULL = "is full: free some"
DEFINITIONS = 120  # more than the room that a log may still have holds


class Disk:
    """Takes the room of a folder's file system, all or all but some, and gives it back."""

    def __init__(self, folder):
        self.folder, self.filler = folder, os.path.join(folder, "filler")

    def fill(self, but_kib=0):
        with open(self.filler, "ab", buffering=0) as file:
            for size in (1 << 20, 4096):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(b"x" * size)
            file.truncate(max(0, file.tell() - but_kib * 1024))

    def use_inodes(self):
        os.makedirs(self.filler + ".d", exist_ok=True)
        with contextlib.suppress(OSError):
            for number in range(1 << 20):
                os.mknod(os.path.join(self.filler + ".d", str(number)))

    def free(self):
        subprocess.run(["rm", "-rf", self.filler, self.filler + ".d"], check=True)


@pytest.fixture
def small(tmp_path):
    """A running server whose state directory is 256 MiB and 12,000 inodes, with the image native; and its disk."""
    server = Server(folder=str(tmp_path))
    os.mkdir(server.state)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m,nr_inodes=12000", "none", server.state], check=True)
    try:
        server.start()
        server.image("python3", harness.PYTHON_BASE)
        server.function("echo", ONE)
        server.endpoint("echo", "echo", ["/echo"])
        yield server, Disk(server.state)
    finally:
        server.finish()
        subprocess.run(["umount", "-l", server.state], check=False)


def create(server, kind, name, size=1000):
    """Asks for one definition of a kind that takes some room; the reply."""
    tags = [{"key": f"k{number}", "value": "v" * 100} for number in range(size // 100)]
    bodies = {
        "baseimage": {"name": name, "dockerUrl": harness.PYTHON_BASE, "language": "python3", "tags": tags},
        "image": {"name": name, "baseImageName": harness.PYTHON_BASE, "tags": tags},
        "secret": {"name": name, "secrets": {"k": "v" * size}},
        "endpoint": {"name": name, "function": "echo", "uris": ["/" + name], "methods": ["GET"], "protocols": ["http"],
                     "enabled": True, "tags": tags},
    }
    bodies["function"] = {"name": name, "image": "python3", "source": harness.pack({"h.py": ONE + "# " + name}), "tags": tags}
    return server.api("POST", f"/v1/{kind}", bodies[kind])


def reads_go_on(server):
    assert server.api("GET", "/v1/function/echo").json["status"] == "READY"
    assert server.api("GET", "/readyz").status == 200
    assert len(server.api("GET", "/v1/image").json) >= 1
    assert server.gateway("POST", "/echo", {"a": 1}).status in (200, 405)


@pytest.mark.parametrize("kind", ["baseimage", "image", "function", "secret", "endpoint"])
def test_a_definition_that_finds_no_room_is_refused_and_what_was_accepted_stays(small, kind):
    server, disk = small
    disk.fill()
    accepted, refused = [], None
    for number in range(DEFINITIONS):
        reply = create(server, kind, f"d{number}", 20000)
        if reply.status >= 400:
            refused = reply
            break
        accepted.append(f"d{number}")
    assert refused is not None, "the disk was not full"
    assert refused.status == 503 and FULL in refused.json["message"], refused
    assert server.api("GET", f"/v1/{kind}/d{len(accepted)}").status == 404
    reads_go_on(server)
    for name in accepted:
        assert server.api("GET", f"/v1/{kind}/{name}").status == 200
    disk.free()
    assert create(server, kind, "after", 20000).status in (200, 201)
    server.kill()
    server.start()
    for name in [*accepted, "after"]:
        assert server.api("GET", f"/v1/{kind}/{name}").status == 200
    if kind not in ("secret", "endpoint"):
        server.wait_status(kind, "after")


def test_updates_and_deletions_without_room_change_nothing(small):
    server, disk = small
    assert create(server, "secret", "s", 10).status == 201
    disk.fill()
    content = server.api("GET", "/v1/secret/s").json["secrets"]
    for number in range(DEFINITIONS):
        reply = server.api("PUT", "/v1/secret/s", {"name": "s", "secrets": {"k": f"{number}" * 20000}})
        if reply.status != 200:
            break
        content = {"k": f"{number}" * 20000}
    assert reply.status == 503 and FULL in reply.json["message"], reply
    assert server.api("GET", "/v1/secret/s").json["secrets"] == content
    disk.free()
    assert server.api("DELETE", "/v1/secret/s").status in (200, 204)
    assert server.api("GET", "/v1/secret/s").status == 404


def test_a_source_that_finds_no_room_is_refused_and_leaves_no_piece(small):
    server, disk = small
    sources = os.path.join(server.state, "server", "sources")
    before = sorted(os.listdir(sources))
    disk.fill(but_kib=600)
    noise = os.urandom(2 << 20)  # does not get smaller when it is packed
    reply = server.api("POST", "/v1/function", {"name": "large", "image": "python3",
                                                "source": harness.pack({"h.py": ONE, "noise": noise})})
    assert reply.status == 503 and FULL in reply.json["message"], reply
    assert sorted(os.listdir(sources)) == before
    assert server.api("GET", "/v1/function/large").status == 404
    disk.free()
    server.function("large", {"h.py": ONE, "noise": noise})
    assert server.run("large", 5)["output"] == 5


def pending(server, kind, name):
    found = server.api("GET", f"/v1/{kind}/{name}").json
    assert found["status"] not in ("READY", "ERROR"), found
    return found if found.get("reason") else None


def staging(server):
    return [name for name in os.listdir(os.path.join(server.state, "staging"))]


def test_a_layer_that_finds_no_room_waits_with_its_reason_and_is_made_once_there_is(small):
    server, disk = small
    zeros = b"\0" * (8 << 20)  # small as a source, large as a layer
    disk.fill(but_kib=2048)
    reply = server.api("POST", "/v1/function", {"name": "large", "image": "python3",
                                                "source": harness.pack({"h.py": ONE, "zeros": zeros})})
    assert reply.status == 201, reply
    found = harness.poll(lambda: pending(server, "function", "large"), 30, "a reason")
    assert FULL in found["reason"][0], found
    reads_go_on(server)
    disk.free()
    assert server.wait_status("function", "large", timeout_s=60)["reason"] is None
    assert server.run("large", 5)["output"] == 5
    harness.poll(lambda: not staging(server), 10, "an empty staging folder")


def test_a_base_image_that_finds_no_room_waits_with_its_reason_and_is_made_once_there_is(tmp_path):
    server = Server(folder=str(tmp_path))
    os.mkdir(server.state)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m", "none", server.state], check=True)
    disk = Disk(server.state)
    try:
        server.start()
        disk.fill(but_kib=20 * 1024)
        assert server.api("POST", "/v1/image", {"name": "python3", "baseImageName": harness.PYTHON_BASE}).status == 201
        found = harness.poll(lambda: pending(server, "image", "python3"), 60, "a reason")
        assert FULL in found["reason"][0], found
        disk.free()
        server.wait_status("image", "python3", timeout_s=90)
        server.function("echo", ONE)
        harness.poll(lambda: not staging(server), 10, "an empty staging folder")
    finally:
        server.finish()
        subprocess.run(["umount", "-l", server.state], check=False)


def test_runs_without_room_are_refused_or_recorded_later(small):
    server, disk = small
    disk.fill()
    accepted, refused, answered = [], None, []
    for number in range(400):
        reply = server.api("POST", "/v1/runs?functionName=echo", {"blocking": False, "input": "x" * 20000})
        if reply.status != 202:
            refused = reply
            break
        accepted.append(reply.json["name"])
    assert refused is not None and refused.status == 503 and FULL in refused.json["message"], refused
    for number in range(5):  # a synchronous run needs no room to be answered
        run = server.run("echo", "x" * 20000)
        assert run["status"] == "READY" and run["output"] == "x" * 20000
        answered.append(run["name"])
    assert "records of runs wait" in harness.poll(lambda: "records of runs wait" in server.log() and server.log(), 20, "a line")
    reads_go_on(server)
    disk.free()
    for name in [*answered, *accepted]:
        harness.poll(lambda: final(server, name), 60, f"the record of run {name}")
    assert "records of runs are written again" in server.log()
    assert b"dispatch_run_records_lost_total 0\n" in server.api("GET", "/metrics").body


def final(server, name):
    reply = server.api("GET", f"/v1/runs/{name}")
    return reply.status == 200 and reply.json["status"] in ("READY", "ERROR")


def test_a_start_without_room_says_so_and_a_later_one_has_everything(small):
    server, disk = small
    assert create(server, "secret", "s", 10).status == 201
    server.stop()
    disk.fill()
    server.start(wait=False)
    outcome = harness.poll(lambda: server.is_ready() and "ready" or server.process.poll() is not None and "ended", 30, "an end")
    if outcome == "ended":
        assert server.process.returncode == 1
        server.process = None
        assert "full" in server.log().splitlines()[-1], server.log()
        disk.free()
        server.start()
    disk.free()
    assert server.api("GET", "/v1/secret/s").json["secrets"] == {"k": "v" * 10}
    assert server.run("echo", 1)["output"] == 1


def test_a_first_start_without_room_is_one_line(tmp_path):
    server = Server(folder=str(tmp_path))
    os.mkdir(server.state)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", server.state], check=True)
    disk = Disk(server.state)
    try:
        for but_kib in (0, 4, 8, 16, 28, 40, 60, 80, 120, 200):
            disk.free()
            for left in os.listdir(server.state):
                subprocess.run(["rm", "-rf", os.path.join(server.state, left)], check=True)
            disk.fill(but_kib)
            offset = os.path.getsize(server.log_path) if os.path.exists(server.log_path) else 0
            server.start(wait=False)
            outcome = harness.poll(lambda: server.is_ready() and "ready" or server.process.poll() is not None and "ended", 30,
                                   f"an end with {but_kib} KiB")
            if outcome == "ended":
                status, server.process = server.process.returncode, None
                with open(server.log_path, encoding="utf-8") as file:
                    file.seek(offset)
                    lines = file.read().splitlines()
                assert status == 1 and len(lines) == 1 and "full" in lines[0], (but_kib, status, lines)
                disk.free()
                server.start()  # what the first one has left is no obstacle
            server.stop()
    finally:
        server.finish()
        subprocess.run(["umount", "-l", server.state], check=False)


def test_without_inodes_sources_and_layers_wait_and_then_go_on(small):
    server, disk = small
    disk.use_inodes()
    reply = create(server, "function", "none")
    assert reply.status == 503 and FULL in reply.json["message"], reply
    assert create(server, "secret", "s", 10).status == 201  # rows need none
    reads_go_on(server)
    disk.free()
    server.function("some", ONE + "# some")
    assert server.run("some", 1)["output"] == 1


def test_a_log_file_without_room_does_not_stop_the_server(tmp_path):
    server = Server(folder=str(tmp_path))
    folder = os.path.join(server.folder, "log")
    os.mkdir(folder)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", folder], check=True)
    server.log_path = os.path.join(folder, "server.log")
    try:
        server.start()
        Disk(folder).fill()
        os.kill(server.server_pid(), 9)
        harness.poll(server.is_ready, 20, "a server started anew, whose lines nobody can keep")
        assert create(server, "secret", "s", 10).status == 201
    finally:
        server.finish()
        subprocess.run(["umount", "-l", folder], check=False)
