"""What the client packs of a folder that somebody else filled: links, sockets, what cannot be read, too much. One clear line or an
archive that holds what the folder does, and never a file from outside."""
import base64
import gzip
import io
import os
import re
import socket
import subprocess
import tarfile

import pytest

import harness


def create(server, folder, name, **more):
    done = server.cli("create", "function", "--image", "python3", name, str(folder), "--handler", "handler.handle", check=False, timeout_s=120, **more)
    return done


def assert_refused(done, pattern):
    assert done.returncode == 1 and done.stdout == "", done
    assert len(done.stderr.strip().splitlines()) == 1 and re.search(pattern, done.stderr), done.stderr


@pytest.fixture
def folder(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "handler.py").write_text("import os\ndef handle(ctx, payload):\n"
                                       "    return sorted(os.path.join(t, f)[len('/function/'):] for t, _, fs in os.walk('/function') for f in fs if '__pycache__' not in t)\n")
    (tmp_path / "secret.txt").write_text("outside")
    return source


def packed(server, folder, name):
    done = create(server, folder, name)
    assert done.returncode == 0, done
    server.wait_status("function", name)
    return server.run(name)["output"]


@pytest.mark.parametrize("target", ["../secret.txt", "/etc/passwd", "..", "/", "/proc/self/environ"])
def test_a_link_out_of_the_folder_is_refused(server, folder, name, target):
    os.symlink(target, folder / "out")
    assert_refused(create(server, folder, name), "out")
    assert server.api("GET", f"/v1/function/{name}").status == 404


def test_a_link_out_through_another_is_refused(server, folder, name):
    os.symlink("..", folder / "up")
    (folder / "deep").mkdir()
    os.symlink("../up/secret.txt", folder / "deep" / "out")
    assert_refused(create(server, folder, name), "up|out")


def test_a_link_inside_is_packed_as_what_it_leads_to(server, folder, name):
    (folder / "data").mkdir()
    (folder / "data" / "a.txt").write_text("x")
    os.symlink("data/a.txt", folder / "b.txt")
    assert "b.txt" in packed(server, folder, name)


@pytest.mark.parametrize("how", ["itself", "a circle", "a folder above"])
def test_links_in_a_circle_are_refused(server, folder, name, how):
    if how == "itself":
        os.symlink("me", folder / "me")
    elif how == "a circle":
        os.symlink("b", folder / "a")
        os.symlink("a", folder / "b")
    else:
        (folder / "sub").mkdir()
        os.symlink("..", folder / "sub" / "above")
    assert_refused(create(server, folder, name), "me|a|b|above")


def test_a_link_to_nothing_is_refused(server, folder, name):
    os.symlink("nowhere", folder / "gone")
    assert_refused(create(server, folder, name), "gone")


def test_sockets_pipes_and_devices_are_left_out(server, folder, name):
    os.mkfifo(folder / "pipe")
    os.mknod(folder / "null", 0o20666, os.makedev(1, 3))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "sock"))
        assert packed(server, folder, name) == ["handler.py"]


@pytest.mark.parametrize("what", ["pipe", "device"])
def test_a_source_that_is_no_file_is_refused_and_never_waited_for(server, folder, name, what):
    if what == "pipe":
        os.mkfifo(folder / "handler2.py")
        assert_refused(create(server, folder / "handler2.py", name), "handler2.py")
    else:
        assert_refused(create(server, "/dev/zero", name), "/dev/zero")


def test_a_file_that_cannot_be_read_is_refused(server, folder, name):
    (folder / "locked").write_text("x")
    (folder / "locked").chmod(0)
    os.chmod(folder.parent, 0o755)
    os.chmod(folder, 0o755)
    for part in folder.parents:
        if str(part).startswith("/tmp/pytest"):
            os.chmod(part, 0o755)
    if not os.path.exists("/usr/bin/setpriv") or not os.access(os.path.join(harness.BUILD, "dispatch"), os.X_OK):
        pytest.skip("there is no setpriv to run the client as another user")
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", os.path.join(harness.BUILD, "dispatch"), "--config",
                           "/dev/null", "create", "function", "--image", "python3", name, str(folder), "--handler", "handler.handle"],
                          capture_output=True, text=True, check=False, env=harness.clean_environment(HOME="/nonexistent"), cwd="/", timeout=60)
    assert done.returncode != 0 and len(done.stderr.strip().splitlines()) == 1, done


def test_too_many_files_are_refused_and_the_limit_named(server, folder, name):
    for number in range(20001):
        (folder / f"f{number}").touch()
    assert_refused(create(server, folder, name), "limit of 20000 files")


def test_too_many_bytes_are_refused_and_the_limit_named(server, folder, name):
    with open(folder / "big", "wb") as file:
        for _ in range(65):
            file.write(os.urandom(1 << 20))
    assert_refused(create(server, folder, name), "limit of 64 MiB")


def test_a_sparse_gigabyte_is_refused(server, folder, name):
    with open(folder / "big", "wb") as file:
        file.truncate(1 << 30)
    assert_refused(create(server, folder, name), "limit of [0-9]+ MiB")


def test_a_tree_without_a_bottom_is_refused(server, folder, name):
    deep = os.fsencode(folder)
    old = os.getcwd()
    os.chdir(deep)
    try:
        for _ in range(300):
            os.mkdir("d")
            os.chdir("d")
        open("x", "wb").close()
    finally:
        os.chdir(old)
    assert_refused(create(server, folder, name), "deep|long|limit")


def test_names_that_are_no_utf_8_and_control_characters_are_packed_as_they_are(server, folder, name):
    for each in (b"\xff\xfe", b"a\nb", b"\x1b[31m", b"-rf", b" ", "\u00e9".encode(), "e\u0301".encode(), b"n" * 255):
        with open(os.path.join(os.fsencode(folder), each), "wb"):
            pass
    done = create(server, folder, name)
    if done.returncode == 0:
        server.wait_status("function", name)
        assert len(server.run(name)["output"]) in (9, 8), server.run(name)
    else:
        assert_refused(done, "UTF-8|name")


def test_setuid_bits_are_not_packed(server, folder, name, tmp_path):
    (folder / "tool").write_text("x")
    (folder / "tool").chmod(0o6755)
    assert create(server, folder, name).returncode == 0
    server.wait_status("function", name)
    sources = os.path.join(server.state, "server", "sources")
    newest = max((os.path.join(sources, each) for each in os.listdir(sources)), key=os.path.getmtime)
    with open(newest, "rb") as file:
        data = file.read()
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(data))) as archive:
        assert all(member.mode & 0o7000 == 0 and member.isreg() for member in archive)
        assert not any(".." in member.name or member.name.startswith("/") for member in archive)
    assert base64.b64encode(data[:2]) == b"H4s="
