"""A server that cannot start: each cause is exactly one line on standard error that says what to do, the exit status is 1,
nothing is started again and again, and nothing that is there is changed. Once the cause is gone it starts with all it had.
"""
import contextlib
import os
import shutil
import socket
import sqlite3
import subprocess

import pytest

import harness
from harness import Server

SECRETS = 40


@pytest.fixture
def stopped():
    server = Server()
    try:
        yield server
    finally:
        server.finish()
        while subprocess.run(["umount", "-l", os.path.join(server.folder, "state")], stderr=subprocess.DEVNULL).returncode == 0:
            pass
        shutil.rmtree(server.folder, ignore_errors=True)


@pytest.fixture
def used(stopped):
    """A server that has served: secrets and an image are in its store. It is stopped."""
    stopped.start()
    for number in range(SECRETS):
        reply = stopped.api("POST", "/v1/secret", {"name": f"s{number}", "secrets": {"k": "v" * 500}})
        assert reply.status == 201, reply
    stopped.stop()
    return stopped


def refusal(server):
    """The one line of a server that does not come up."""
    offset = os.path.getsize(server.log_path) if os.path.exists(server.log_path) else 0
    server.start(wait=False)
    try:
        status = server.process.wait(20 * harness.PATIENCE)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"it should have ended:\n{server.log()}") from None
    server.process = None
    with open(server.log_path, encoding="utf-8") as file:
        file.seek(offset)
        lines = file.read().splitlines()
    assert status == 1 and len(lines) == 1, (status, lines)
    return lines[0].replace(server.folder, "DIR")


def has_all(server):
    for number in range(SECRETS):
        assert server.api("GET", f"/v1/secret/s{number}").json["secrets"] == {"k": "v" * 500}


def inside(server, *parts):
    return os.path.join(server.state, *parts)


def overwrite(path, data, offset=0):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


def replace(path, make):
    """Puts something else at the place of a file or folder, with the owner of what was there."""
    owner = os.stat(path)
    os.rename(path, path + ".kept")
    make(path)
    os.chown(path, owner.st_uid, owner.st_gid)


def file_of(data):
    def make(path):
        with open(path, "wb") as file:
            file.write(data)
    return make


def database_of_another(path):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE x (y)")
        connection.commit()


def newer_schema(path):
    owner = os.stat(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 1000")
        connection.commit()
    os.chown(path, owner.st_uid, owner.st_gid)


# What is not there yet, or cannot be used, as the place of a new server.

FRESH = {
    "a file": (lambda server: file_of(b"")(server.state), "DIR/state is a file: remove it, or choose another with --state-dir"),
    "a dangling link": (lambda server: os.symlink("nowhere", server.state), "DIR/state is a link that leads nowhere"),
    "below a file": (lambda server: (file_of(b"")(server.state), setattr(server, "state", server.state + "/below")),
                     "DIR/state/below cannot be made: what is above DIR/state/below is not a folder; choose another"),
    "on a read-only mount": (lambda server: (os.mkdir(server.state), subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "ro", "none", server.state], check=True)),
        "DIR/state is on a read-only file system: mount it writable, or choose another with --state-dir"),
    "too long a name": (lambda server: setattr(server, "state", server.folder + "/" + "x" * 300),
                        "a name in the path of the state directory is too long: choose another with --state-dir"),
    "too long for a socket": (lambda server: setattr(server, "state", server.folder + "/" + "x" * 100),
                              "longer than 107 characters: name a shorter one with --socket, or none with --socket none"),
    "longer than any path": (lambda server: setattr(server, "state", server.folder + ("/" + "x" * 200) * 25),
                             "a path of an option is longer than 4095 characters"),
}


@pytest.mark.parametrize("cause", FRESH)
def test_a_state_directory_that_cannot_be_one_is_one_line(stopped, cause):
    prepare, expected = FRESH[cause]
    prepare(stopped)
    assert expected in refusal(stopped)


def test_a_long_path_starts_without_a_socket(stopped):
    stopped.state = os.path.join(stopped.folder, "x" * 100)
    stopped.options = ["--socket", "none"]
    stopped.start()
    assert stopped.api("GET", "/v1/version").status == 200


def test_a_state_directory_of_another_user_is_taken_over(stopped):
    os.mkdir(stopped.state, 0o700)
    os.chown(stopped.state, 4321, 4321)
    stopped.start()
    assert os.stat(stopped.state).st_uid == 0


# What may have become of a state directory that was in use: how it is broken, what is said, and how it is mended.

DB, WAL, KEY = "server/dispatch.db", "server/dispatch.db-wal", "server/secret.key"


def put_back(*names):
    def mend(server):
        for name in names:
            path = inside(server, name)
            shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.path.lexists(path) and os.unlink(path)
            os.rename(path + ".kept", path)
    return mend


def keeping(name, change):
    """Changes a file of which a copy is kept."""
    def breaks(server):
        path = inside(server, name)
        subprocess.run(["cp", "-a", path, path + ".kept"], check=True)
        change(path)
    return breaks


def swap(name, make):
    return lambda server: replace(inside(server, name), make)


def remove_wal(server):
    os.unlink(inside(server, WAL))


def wal_of(data):
    def breaks(server):
        file_of(data)(inside(server, WAL))
        owner = os.stat(inside(server, DB))
        os.chown(inside(server, WAL), owner.st_uid, owner.st_gid)
    return breaks


def own(name, uid):
    """uid None: that of its folder."""
    def change(server):
        path = inside(server, name)
        wanted = os.stat(os.path.dirname(path)).st_uid if uid is None else uid
        os.chown(path, wanted, wanted)
    return change


def read_only(server):
    subprocess.run(["mount", "--bind", server.state, server.state], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", server.state], check=True)


USED = {
    "store without its head": (keeping(DB, lambda path: overwrite(path, b"no database at all")), put_back(DB),
                               f"'DIR/state/{DB}' is damaged (file is not a database): stop the server, keep a copy"),
    "store with a bad page in the middle": (keeping(DB, lambda path: overwrite(path, os.urandom(4096), 8192)),
                                            put_back(DB), f"'DIR/state/{DB}' is damaged ("),
    "store that was cut": (keeping(DB, lambda path: os.truncate(path, 8192)), put_back(DB), f"'DIR/state/{DB}' is damaged ("),
    "store of length zero": (keeping(DB, lambda path: os.truncate(path, 0)), put_back(DB),
                             f"the store 'DIR/state/{DB}' is missing or empty, but this state directory was in use: restore"),
    "store that is gone": (keeping(DB, os.unlink), put_back(DB),
                           f"the store 'DIR/state/{DB}' is missing or empty, but this state directory was in use: restore"),
    "store of another program": (swap(DB, database_of_another), put_back(DB),
                                 f"'DIR/state/{DB}' is a database of another program (application id 0): name another"),
    "store of a newer program": (keeping(DB, newer_schema), put_back(DB),
                                 "has schema version 1000, and this program knows versions up to"),
    "store that is a folder": (swap(DB, os.mkdir), put_back(DB), f"open the store 'DIR/state/{DB}': Is a directory"),
    "store of another user": (own(DB, 4321), own(DB, None), f"the store 'DIR/state/{DB}' belongs to user 4321, not to the "),
    "log that is garbage": (wal_of(b"\xa5" * 9000), remove_wal, f"'DIR/state/{WAL}' is damaged (it is no write-ahead log)"),
    "key that is missing": (keeping(KEY, os.unlink), put_back(KEY), f"'DIR/state/{KEY}' is missing, and nothing else can open"),
    "key that is another": (keeping(KEY, lambda path: overwrite(path, b"0123456789")), put_back(KEY),
                            "secret.key in the state directory is not the key that its secrets were sealed with"),
    "key that is none": (keeping(KEY, lambda path: overwrite(path, b"zz")), put_back(KEY),
                         f"'DIR/state/{KEY}' is no key (64 hexadecimal digits and a newline): restore it from a backup"),
    "key that others can read": (lambda server: os.chmod(inside(server, KEY), 0o644),
                                 lambda server: os.chmod(inside(server, KEY), 0o600),
                                 "has mode 0644, so others may have read it: chmod 600 it"),
    "sources that are a file": (swap("server/sources", file_of(b"")), put_back("server/sources"),
                                "open the folder of sources 'DIR/state/server/sources': Not a directory"),
    "layers that are a file": (swap("layers", file_of(b"")), put_back("layers"), "DIR/state/layers must be a folder"),
    "layers that are a link": (swap("layers", lambda path: os.symlink("layers.kept", path)), put_back("layers"),
                               "DIR/state/layers must be a folder, and neither a file nor a link: move it away"),
    "lock that is a folder": (swap("lock", os.mkdir), put_back("lock"), "open DIR/state/lock: Is a directory"),
    "socket that is a file": (lambda server: file_of(b"")(inside(server, "dispatch.sock")),
                              lambda server: os.unlink(inside(server, "dispatch.sock")),
                              "DIR/state/dispatch.sock is in the way of the API's socket: move it away"),
    "read-only mount": (read_only, lambda server: subprocess.run(["umount", server.state], check=True),
                        "DIR/state is on a read-only file system: mount it writable, or choose another"),
}


@pytest.mark.parametrize("cause", USED)
def test_what_became_of_a_state_directory_is_one_line_and_can_be_mended(used, cause):
    breaks, mend, expected = USED[cause]
    breaks(used)
    assert expected in refusal(used)
    assert expected in refusal(used)  # the refusal changed nothing
    mend(used)
    used.start()
    has_all(used)


def test_a_missing_key_without_secrets_is_made_again(stopped):
    stopped.start()
    stopped.stop()
    os.unlink(inside(stopped, KEY))
    stopped.start()
    assert stopped.api("POST", "/v1/secret", {"name": "s", "secrets": {"k": "v"}}).status == 201
    stopped.restart()
    assert stopped.api("GET", "/v1/secret/s").json["secrets"] == {"k": "v"}


@pytest.mark.parametrize("name, data", [("lock", bytes(range(255, 191, -1))), ("cgroups", bytes(range(191, 127, -1))),
                                        ("server/runs.counters", b"xx"), (WAL, b""), (WAL, bytes(4096))])
def test_what_a_crash_may_leave_behind_does_not_matter(used, name, data):
    file_of(data)(inside(used, name))
    owner = os.stat(inside(used, DB))
    if name.startswith("server/"):
        os.chown(inside(used, name), owner.st_uid, owner.st_gid)
    used.start()
    has_all(used)
    assert b"dispatch_run_records_lost_total 0\n" in used.api("GET", "/metrics").body


def test_a_socket_that_another_process_serves_is_one_line(used):
    with socket.socket(socket.AF_UNIX) as other:
        path = os.path.join(used.folder, "other.sock")
        other.bind(path)
        other.listen(1)
        used.options = ["--socket", path]
        assert "another process listens on DIR/other.sock, which is in use; stop it, or choose another" in refusal(used)
    used.start()  # the listener is gone, what it left is replaced
    has_all(used)


@pytest.mark.parametrize("options, expected", [
    (["--user", "root"], "the server must not run as root: choose another user with --user"),
    (["--runtime-dir", "/nowhere"], "open the folder of the runtimes /nowhere: No such file or directory"),
    (["--helper-dir", "/nowhere"], "start '/nowhere/dispatch-spawn' (is the installation complete?)"),
    (["--gateway-host", "192.0.2.1", "--skip-auth"], "no network interface has the address 192.0.2.1: name another with"),
    (["--socket", "/nowhere/at.sock"], "listen on /nowhere/at.sock (--socket): No such file or directory"),
])
def test_an_option_that_leads_nowhere_is_one_line(stopped, options, expected):
    stopped.options = options
    assert expected in refusal(stopped)
