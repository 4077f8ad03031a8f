"""edit: the object in an editor, sent back with its revision; what cannot be sent is kept."""
import os
import re

import pytest

FUNCTION = {"kind": "Function", "name": "hello", "id": "6d4a2b7e-8f5c-4f0e-9d59-0a3f0a0f3f11", "createdTime": 1, "revision": "5",
            "image": "python3", "functionImageURL": "u", "handler": "hello.handle", "reason": None, "status": "READY", "timeout": 500,
            "memory": 256, "schema": {"in": None, "out": None}, "env": {"A": "1"}}


@pytest.fixture
def editor(tmp_path):
    """Makes an editor that runs a line of shell on its file, "$1"."""
    def make(line):
        path = tmp_path / "my editor"
        path.write_text(f"#!/bin/sh\ncp \"$1\" {tmp_path}/seen\n{line}\n")
        path.chmod(0o755)
        return {"EDITOR": f"'{path}'", "VISUAL": "", "TMPDIR": str(tmp_path)}
    return make


def drafts(tmp_path):
    return [name for name in os.listdir(tmp_path) if name.endswith(".yaml")]


def test_an_edit_is_put_with_the_revision(api, dispatch, editor, tmp_path):
    api.reply("GET", "/v1/function/hello", FUNCTION)
    api.reply("PUT", "/v1/function/hello", FUNCTION)
    result = dispatch("edit", "function", "hello", env=editor("sed -i 's/timeout: 500/timeout: 900/' \"$1\""))
    assert (result.out, result.err) == ("Updated function: hello\n", "")
    assert api.last.json == {"kind": "Function", "name": "hello", "image": "python3", "handler": "hello.handle", "timeout": 900,
                             "schema": {"in": None, "out": None}, "env": {"A": "1"}, "revision": "5"}
    seen = (tmp_path / "seen").read_text()
    assert seen.startswith("# ") and "status" not in seen and "createdTime" not in seen and drafts(tmp_path) == []


def test_visual_comes_first(api, dispatch, editor):
    api.reply("GET", "/v1/function/hello", FUNCTION)
    environment = editor("true")
    assert dispatch("edit", "function", "hello", env={**environment, "VISUAL": environment["EDITOR"], "EDITOR": "false"}).code == 0


def test_no_change_is_a_cancel(api, dispatch, editor, tmp_path):
    api.reply("GET", "/v1/function/hello", FUNCTION)
    result = dispatch("edit", "functions", "hello", env=editor("true"))
    assert (result.out, result.err, result.code) == ("Edit cancelled, no changes made.\n", "", 0)
    assert len(api.requests) == 1 and drafts(tmp_path) == []


@pytest.mark.parametrize("line,words", [
    ("echo 'nonsense: 1' >> \"$1\"", 'unknown key "nonsense"'), ("echo '  : {' >> \"$1\"", "yaml: line"),
    ("sed -i 's/name: hello/name: other/' \"$1\"", "kind and name cannot be changed"), ("exit 3", "the editor "),
    ("rm \"$1\"; exit 0", "no such file")])
def test_a_bad_edit_is_kept_and_named(api, dispatch, editor, tmp_path, line, words):
    api.reply("GET", "/v1/function/hello", FUNCTION)
    result = dispatch("edit", "function", "hello", env=editor(line))
    assert result.code == 1 and words in result.err and len(api.requests) == 1
    kept = re.search(r"Your changes are in (\S+)\n", result.err).group(1)
    assert os.path.dirname(kept) == str(tmp_path)
    assert line.startswith("rm") or (os.path.exists(kept) and os.stat(kept).st_mode & 0o077 == 0)


@pytest.mark.parametrize("status", [409, 412])
def test_a_crossing_change_is_told_and_the_edit_kept(api, dispatch, editor, tmp_path, status):
    api.reply("GET", "/v1/function/hello", FUNCTION)
    api.reply("PUT", "/v1/function/hello", {"code": status, "message": "revision 5 is not the newest"}, status=status)
    result = dispatch("edit", "function", "hello", env=editor("sed -i 's/500/900/' \"$1\""))
    assert result.code == 1 and result.err.startswith(f"[Code: {status}] revision 5 is not the newest\nYour changes are in ")
    assert len(drafts(tmp_path)) == 1


def test_a_secret_is_edited_by_its_values(api, dispatch, editor):
    api.reply("GET", "/v1/secret/s", {"meta": {"name": "s", "revision": "2"}, "name": "s", "secrets": {"a": "b"}})
    api.reply("PUT", "/v1/secret/s", {"name": "s"}, status=201)
    assert dispatch("edit", "secret", "s", env=editor("sed -i 's/a: b/a: 2/' \"$1\"")).out == "Updated secret: s\n"
    assert api.last.json == {"kind": "Secret", "name": "s", "secrets": {"a": "2"}, "revision": "2"}


def test_what_is_not_there_opens_no_editor(api, dispatch, editor, tmp_path):
    assert dispatch("edit", "api", "x", env=editor("true")).err == "[Code: 404] nothing here\n"
    assert not (tmp_path / "seen").exists()
