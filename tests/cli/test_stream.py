"""create, update and delete -f: real YAML streams, checked whole before the first request."""
import base64
import gzip
import io
import json
import tarfile

import pytest

APP = """\
# --- a comment is no separator
kind: BaseImage
name: base
dockerUrl: "reg/b:1"
language: python3
---
kind: Image
name: python3
baseImageName: base
runtimeDependencies:
  manifest: "@deps.txt"
---
kind: Function
name: hello
image: python3
handler: hello.handle
sourcePath: src
timeout: "500"
env:
  DIGITS: 007
---
kind: Secret
name: s1
secrets:
  value: 2
  text: |
    a
    ---
    b
---
kind: Endpoint
name: ep1
function: hello
uris: [/a]
enabled: yes
"""
PATHS = [("BaseImage", "baseimage", "base"), ("Image", "image", "python3"), ("Function", "function", "hello"),
         ("Secret", "secret", "s1"), ("Endpoint", "endpoint", "ep1")]


@pytest.fixture
def app(tmp_path):
    (tmp_path / "w" / "src").mkdir(parents=True)
    (tmp_path / "w" / "src" / "hello.py").write_text("x")
    (tmp_path / "w" / "deps.txt").write_text("requests\n")
    (tmp_path / "app.yaml").write_text(APP)
    return "app.yaml"


def test_create_sends_each_document_with_its_kind(api, dispatch, app):
    for _, collection, name in PATHS:
        api.reply("POST", f"/v1/{collection}", {"name": name}, status=201)
    result = dispatch("create", "-f", app, "-w", "w")
    assert (result.err, result.code) == ("", 0)
    assert result.out == "".join(f"Created {kind}: {name}\n" for kind, _, name in PATHS)
    assert api.lines == [f"POST /v1/{collection}" for _, collection, _ in PATHS]
    base, image, function, secret, endpoint = (request.json for request in api.requests)
    assert base == {"kind": "BaseImage", "name": "base", "dockerUrl": "reg/b:1", "language": "python3"}
    assert image["runtimeDependencies"] == {"manifest": "requests\n"}
    assert function["timeout"] == 500 and function["env"] == {"DIGITS": "007"} and function["sourcePath"] == "src"
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(base64.b64decode(function["source"])))) as tar:
        assert tar.getnames() == ["./hello.py"]
    assert secret["secrets"] == {"value": "2", "text": "a\n---\nb\n"}
    assert endpoint["enabled"] is True and endpoint["uris"] == ["/a"]


def test_update_and_delete_address_each_by_name(api, dispatch, app):
    for _, collection, name in PATHS:
        api.reply("PUT", f"/v1/{collection}/{name}", {"name": name})
        api.reply("DELETE", f"/v1/{collection}/{name}", b"")
    result = dispatch("update", "--file", app, "--work-dir=w")
    assert result.out == "".join(f"Updated {kind}: {name}\n" for kind, _, name in PATHS)
    result = dispatch("delete", "-f", app)
    assert result.out == "".join(f"Deleted {kind}: {name}\n" for kind, _, name in PATHS)
    assert api.lines[5:] == [f"DELETE /v1/{collection}/{name}" for _, collection, name in PATHS]
    assert all(request.body == b"" for request in api.requests[5:])


def test_a_secret_may_be_named_in_meta_and_json_is_yaml(api, dispatch):
    api.reply("DELETE", "/v1/secret/s1", b"", status=204)
    document = json.dumps({"kind": "Secret", "meta": {"name": "s1"}, "secrets": {"a": "b"}})
    assert dispatch("delete", "-f", "-", stdin=document.encode()).out == "Deleted Secret: s1\n"


def test_it_stops_at_the_first_refusal(api, dispatch, app):
    api.reply("POST", "/v1/baseimage", {"name": "base"}, status=201)
    api.reply("POST", "/v1/image", {"code": 409, "message": "image python3 already exists"}, status=409)
    result = dispatch("create", "-f", app, "-w", "w")
    assert (result.code, result.out, result.err) == (1, "Created BaseImage: base\n", "[Code: 409] image python3 already exists\n")
    assert len(api.requests) == 2


@pytest.mark.parametrize("text,words", [
    ("kind: Application\nname: a\n", 'f.yaml: document 1 (line 1): unknown kind "Application"'),
    ("kind: Run\n", 'f.yaml: document 1 (line 1): unknown kind "Run"'),
    ("name: x\n", "f.yaml: document 1 (line 1): kind is missing"),
    ("- 1\n", "f.yaml: document 1 (line 1): not a mapping"),
    ("kind: Function\nimage: x\n", "f.yaml: document 1 (line 1): name is missing"),
    ("kind: BaseImage\nname: a\ndockerUrl: u\nlanguage: l\n---\nkind: Function\nname: f\nhandlr: x\n", "handlr"),
    ("kind: BaseImage\nname: a\n---\na: [\n", "f.yaml: "),
    ("kind: BaseImage\nkind: Image\n", "f.yaml: ")])
def test_a_slip_anywhere_sends_nothing(api, dispatch, tmp_path, text, words):
    (tmp_path / "f.yaml").write_text(text)
    result = dispatch("create", "-f", "f.yaml")
    assert result.code == 1 and result.out == "" and api.requests == []
    assert words in result.err and result.err.count("\n") == 1
    if "handlr" in text:
        assert result.err.startswith("f.yaml: document 2 (line ")


def test_files_that_are_missing(api, dispatch, tmp_path):
    assert dispatch("create", "-f", "none").err == "Error reading file: open none: no such file or directory\n"
    (tmp_path / "f.yaml").write_text("kind: Function\nname: f\nsourcePath: gone\n")
    assert "f.yaml: document 1 (line 1): failed to determine if path is dir: 'gone'" in dispatch("create", "-f", "f.yaml").err
    (tmp_path / "f.yaml").write_text("kind: Function\nname: f\nsourcePath: .\n")
    assert "error creating function f: handler is required, source path . is a directory" in dispatch("create", "-f", "f.yaml").err
    assert api.requests == []


def test_wait_applies_to_each_document(api, dispatch, tmp_path):
    (tmp_path / "f.yaml").write_text("kind: Image\nname: x\nbaseImageName: b\n")
    api.reply("POST", "/v1/image", {"name": "x", "status": "CREATING"}, status=201)
    api.reply("GET", "/v1/image/x", {"name": "x", "status": "READY"})
    assert dispatch("create", "-f", "f.yaml", "--wait").out == "Created Image: x\n"
    assert api.lines == ["POST /v1/image", "GET /v1/image/x"]


def test_help_without_a_file(api, dispatch):
    for verb in ("create", "update", "delete"):
        result = dispatch(verb, "nonsense")
        assert result.code == 0 and "Usage:" in result.out
        assert dispatch(verb, "nonsense", "-f", "x").code == 1
    assert api.requests == []
