"""The server as an operator meets it: starting, stopping, a second one, and a clear line for each way it can fail."""
import glob
import os
import signal
import socket
import sqlite3
import stat
import subprocess

import pytest

import harness
from harness import BUILD, Server, clean_environment


def fails_with(server, timeout_s=15):
    """Starts a server that must not come up: its exit status and what it wrote."""
    offset = os.path.getsize(server.log_path) if os.path.exists(server.log_path) else 0
    server.start(wait=False)
    try:
        status = server.process.wait(timeout_s * harness.PATIENCE)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"it should have ended:\n{server.log()}") from None
    server.process = None
    with open(server.log_path, encoding="utf-8") as file:
        file.seek(offset)
        return status, file.read()


@pytest.fixture
def stopped():
    server = Server()
    yield server
    server.finish()


def test_ready_is_a_line_and_readyz(fresh):
    assert fresh.api("GET", "/readyz").status == 200
    assert fresh.api("GET", "/healthz").status == 200
    log = fresh.log()
    assert f"http://127.0.0.1:{fresh.port}" in log and f"http://127.0.0.1:{fresh.gateway_port}" in log


@pytest.mark.smoke
def test_it_stops_on_sigterm_and_leaves_nothing(stopped):
    before = harness.left_behind()
    stopped.start()
    stopped.image("python3", harness.PYTHON_BASE)
    stopped.function("hello", "def handle(ctx, payload):\n    return 1\n")
    assert stopped.run("hello")["output"] == 1
    tree = harness.process_tree(stopped.process.pid)
    assert stopped.stop() == 0
    harness.poll(lambda: not [pid for pid in tree if harness.is_alive(pid)], 5, "the end of all its processes")
    harness.poll(lambda: not mine(stopped, harness.left_behind() - before), 5, "nothing left behind")


def mine(server, found):
    """Of what is left, that which names this server's folder, or no folder at all."""
    return {each for each in found if server.state in each}


def test_it_ends_by_itself_after_kill_9_of_its_first_process(fresh):
    fresh.image("python3", harness.PYTHON_BASE)
    fresh.function("hello", "def handle(ctx, payload):\n    return 1\n")
    fresh.run("hello")
    tree = harness.process_tree(fresh.process.pid)
    fresh.kill()
    harness.poll(lambda: not [pid for pid in tree if harness.is_alive(pid)], 10, "the end of its children")


def test_sigterm_lets_a_run_finish(fresh):
    import threading
    fresh.image("python3", harness.PYTHON_BASE)
    fresh.function("slow", "import time\ndef handle(ctx, payload):\n    time.sleep(1)\n    return 'finished'\n")
    fresh.endpoint("slow", "slow", ["/slow"])
    replies = []
    caller = threading.Thread(target=lambda: replies.append(fresh.gateway("GET", "/slow")))
    caller.start()
    harness.poll(lambda: "dispatch_instances_busy 1" in fresh.api("GET", "/metrics").text, what="the run to be under way")
    status = fresh.stop()
    caller.join()
    assert status == 0 and (replies[0].status, replies[0].json) == (200, "finished")


def test_the_server_process_is_an_ordinary_user_without_capabilities(fresh):
    pid = fresh.server_pid()
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    assert "0" not in status["Uid"].split() and "0" not in status["Gid"].split()
    assert int(status["CapEff"], 16) == 0 and int(status["CapPrm"], 16) == 0
    assert status["NoNewPrivs"] == "1"


def test_a_second_server_beside_the_first(fresh):
    second = Server()
    try:
        second.start()
        assert fresh.api("POST", "/v1/secret", {"name": "s", "secrets": {}}).status == 201
        assert second.api("GET", "/v1/secret/s").status == 404
        second.image("python3", harness.PYTHON_BASE)
        second.function("hello", "def handle(ctx, payload):\n    return 2\n")
        assert second.run("hello")["output"] == 2
    finally:
        second.finish()
    assert fresh.api("GET", "/v1/secret/s").status == 200


def test_the_same_state_directory_twice_is_one_clear_line(fresh, stopped):
    stopped.state = fresh.state
    status, text = fails_with(stopped)
    assert status != 0
    errors = [line for line in text.splitlines() if "error" in line.lower()]
    assert len(errors) == 1 and fresh.state in errors[0], text
    assert fresh.api("GET", "/v1/version").status == 200


@pytest.mark.parametrize("which", ["port", "gateway_port"])
def test_a_port_that_is_taken_is_one_clear_line(stopped, which):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        setattr(stopped, which, taken.getsockname()[1])
        status, text = fails_with(stopped)
    assert status != 0
    errors = [line for line in text.splitlines() if "error" in line.lower()]
    assert len(errors) == 1 and str(getattr(stopped, which)) in errors[0], text


@pytest.mark.parametrize("options, word", [(["--no-such-flag"], "no-such-flag"), (["--port", "nonsense"], "port"),
                                           (["--port", "70000"], "port"), (["stray"], "stray")])
def test_a_flag_that_is_none_is_named(stopped, options, word):
    stopped.options = options
    status, text = fails_with(stopped)
    assert status != 0 and word in text and len(text.strip().splitlines()) <= 3, text


def test_help_and_version_need_no_root_and_no_state():
    for flag in ("--help", "--version"):
        done = subprocess.run([os.path.join(BUILD, "dispatch-server"), flag], capture_output=True, text=True, timeout=10,
                              env=clean_environment())
        assert done.returncode == 0 and done.stdout, done
    assert "--state-dir" in subprocess.run([os.path.join(BUILD, "dispatch-server"), "--help"], capture_output=True,
                                           text=True, timeout=10, env=clean_environment()).stdout


def test_an_address_beyond_this_machine_needs_skip_auth(stopped):
    stopped.options = ["--host", "0.0.0.0"]
    status, text = fails_with(stopped)
    assert status != 0 and "--skip-auth" in text, text
    stopped.options = ["--host", "0.0.0.0", "--skip-auth"]
    stopped.start()


def test_an_unknown_key_of_the_configuration_is_named(stopped, tmp_path):
    path = tmp_path / "dispatch.yaml"
    path.write_text("no-such-key: 1\n")
    stopped.options = ["--config", str(path)]
    status, text = fails_with(stopped)
    assert status != 0 and "no-such-key" in text, text


def test_not_root_is_one_line_that_says_what_to_do(stopped):
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *stopped.command()],
                          capture_output=True, text=True, timeout=20, env=clean_environment())
    if done.returncode == 126:
        pytest.skip("the build folder cannot be read by another user")
    assert done.returncode != 0 and "root" in done.stderr and len(done.stderr.strip().splitlines()) == 1, done


def database(server):
    found = [path for path in glob.glob(server.state + "/**/*", recursive=True)
             if os.path.isfile(path) and open(path, "rb").read(16) == b"SQLite format 3\0"]
    assert len(found) == 1, found
    return found[0]


def test_a_store_that_is_newer_is_refused(stopped):
    stopped.start()
    stopped.stop()
    path = database(stopped)
    owner = os.stat(path)
    with sqlite3.connect(path) as connection:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        connection.execute(f"PRAGMA user_version = {version + 1000}")
    connection.close()
    os.chown(path, owner.st_uid, owner.st_gid)
    status, text = fails_with(stopped)
    assert status != 0 and "newer" in text, text


def test_a_store_that_is_damaged_is_refused_with_what_to_do(stopped):
    stopped.start()
    for number in range(40):
        stopped.api("POST", "/v1/secret", {"name": f"s{number}", "secrets": {"k": "v" * 500}})
    stopped.stop()
    path = database(stopped)
    with open(path, "r+b") as file:
        size = os.path.getsize(path)
        assert size > 8192
        for offset in range(4096, size, 4096):
            file.seek(offset)
            file.write(os.urandom(2048))
    status, text = fails_with(stopped)
    assert status != 0 and ("damaged" in text or "corrupt" in text), text
    assert path in text or stopped.state in text


def test_a_server_that_cannot_come_up_does_not_spin(stopped):
    """spawn restarts a server that fell over, but not one that refuses to start."""
    os.makedirs(stopped.state)
    with open(os.path.join(stopped.folder, "blocker"), "w", encoding="utf-8") as file:
        file.write("x")
    stopped.state = os.path.join(stopped.folder, "blocker")
    status, text = fails_with(stopped)
    assert status != 0 and len(text.splitlines()) <= 5, text


def test_state_is_for_nobody_else(fresh):
    fresh.image("python3", harness.PYTHON_BASE)
    for top, folders, files in os.walk(fresh.state):
        if os.stat(top).st_mode & 0o007 == 0:
            folders.clear()  # nothing below can be reached by others
            continue
        for each in files:
            status = os.lstat(os.path.join(top, each))
            # The bits of a link are always the same, and mean nothing.
            assert stat.S_ISLNK(status.st_mode) or status.st_mode & 0o002 == 0, os.path.join(top, each)
    assert os.stat(fresh.state).st_mode & 0o002 == 0


def test_the_unix_socket_speaks_the_api(fresh):
    paths = [path for path in glob.glob(fresh.state + "/**/*.sock", recursive=True)]
    assert paths, "no socket in the state directory"
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(paths[0])
        client.sendall(b"GET /v1/version HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200")


def test_it_restarts_a_server_that_fell_over_and_keeps_answering(fresh):
    for _ in range(3):
        pid = harness.poll(fresh.server_pid, 10, "the server process")
        os.kill(pid, signal.SIGKILL)
        harness.poll(lambda: fresh.server_pid() not in (None, pid) and fresh.is_ready(), 15, "a server started anew")


def test_metrics_are_openmetrics_to_the_last_line(server):
    reply = server.api("GET", "/metrics")
    assert reply.status == 200 and reply.body.endswith(b"# EOF\n")
    assert b"\ndispatch_instances " in reply.body and b"\ndispatch_run_records_lost_total " in reply.body
