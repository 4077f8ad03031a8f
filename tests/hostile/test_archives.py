"""Source archives that are not what they should be: each is refused with a reason, or unpacked to what it says and no more;
nothing is written elsewhere, nothing is left, and the server and other builds do not notice."""
import base64
import os
import re

import pytest

import archives
import harness

CASES = archives.cases()
OUTSIDE = ("/tmp/dispatch-escaped", "/tmp/escaped", "/escaped")


def kb_of(pid, field):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return int(next(line for line in file if line.startswith(field)).split()[1])


def names_below(folder):
    found = []
    for top, folders, files in os.walk(folder):
        found += [os.path.join(top, name) for name in folders + files]
    return found


def staging(server):
    return [path for path in names_below(server.state) if "/staging/" in path or "/.staging/" in path]


@pytest.fixture(scope="module")
def neighbour(server):
    server.function("neighbour", "def handle(ctx, payload):\n    return 'here'\n")
    return server


def create(server, name, archive):
    source = base64.b64encode(archive).decode()
    return server.api("POST", "/v1/function", {"name": name, "source": source, "image": "python3", "handler": "handler.handle"},
                      timeout_s=60)


@pytest.mark.parametrize("case", CASES)
def test_an_archive_gets_its_answer(neighbour, name, case):
    server = neighbour
    archive, reason = CASES[case]
    reply = create(server, name, archive)
    if not archive:
        assert reply.status in (400, 422) and "source" in reply.json["message"], reply
        return
    assert reply.status == 201, reply
    if reason is None:
        server.wait_status("function", name, "READY", timeout_s=60)
        assert server.run(name)["output"] == "fine"
    else:
        found = server.wait_status("function", name, "ERROR", timeout_s=60)
        text = " ".join(found["reason"])
        assert re.search(reason, text), text
        assert "\n" not in text.strip() and len(text) < 600, text
        assert "/var/" not in text and server.state not in text and os.path.dirname(harness.BUILD) not in text, text
        assert server.run(name, status=409)
    assert server.run("neighbour")["output"] == "here"
    assert server.api("DELETE", f"/v1/function/{name}").status == 200
    harness.poll(lambda: not staging(server), 30, "an empty staging folder")
    assert not [path for path in OUTSIDE if os.path.lexists(path)]


def test_nothing_is_left_of_any_of_them(neighbour):
    server = neighbour
    names = names_below(server.state)
    assert not [path for path in names if "escaped" in path]
    for function in server.api("GET", "/v1/function").json:
        if function["name"] != "neighbour":
            assert server.api("DELETE", f"/v1/function/{function['name']}").status == 200
    assert len(os.listdir(os.path.join(server.state, "server", "sources"))) == 1  # the neighbour's
    harness.poll(lambda: sum(path.startswith("fn-") for path in os.listdir(os.path.join(server.state, "layers"))) == 1,
                 what="the other layers to go")


def test_bits_owners_and_attributes_of_an_archive_do_not_count(neighbour, name):
    server = neighbour
    code = (b"import os, stat\ndef handle(ctx, payload):\n    found = {}\n    for each in sorted(os.listdir('/function')):\n"
            b"        st = os.lstat('/function/' + each)\n"
            b"        found[each] = [oct(st.st_mode & 0o7777), sorted(os.listxattr('/function/' + each, follow_symlinks=False))]\n"
            b"    return found\n")
    archive = archives.tgz(archives.pax({"SCHILY.xattr.user.a": "b", "SCHILY.acl.access": "user::rwx,user:0:rwx,mask::rwx,other::rwx"}),
                           archives.file("handler.py", code, mode=0o6777), archives.file("tool", b"x", mode=0o4711),
                           archives.file("data", b"x", mode=0o7600), archives.folder("sub"))
    assert create(server, name, archive).status == 201
    server.wait_status("function", name)
    assert server.run(name)["output"] == {"data": ["0o644", []], "handler.py": ["0o755", []], "sub": ["0o755", []],
                                          "tool": ["0o755", []]}


def test_many_bombs_at_once_leave_the_server_small(neighbour, name):
    server = neighbour
    before = kb_of(server.server_pid(), "VmRSS:")
    bomb = CASES["a gigabyte of zeros"][0]
    for number in range(6):
        assert create(server, f"{name}-{number}", bomb[:-1] + bytes([number])).status == 201
    assert server.run("neighbour")["output"] == "here"
    for number in range(6):
        server.wait_status("function", f"{name}-{number}", "ERROR", timeout_s=60)
    if "-asan" not in harness.BUILD and "-tsan" not in harness.BUILD:
        assert kb_of(server.server_pid(), "VmHWM:") < before + (128 << 10)


def test_a_source_past_its_limit_is_refused_and_named(neighbour, name):
    reply = create(neighbour, name, os.urandom(65 << 20))
    assert reply.status == 413 and re.search("source|source-bytes-max", reply.json["message"]), reply
