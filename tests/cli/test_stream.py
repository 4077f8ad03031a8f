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
REVISED = ("baseimage", "image", "endpoint")  # update -f asks for their revision first


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
    assert api.lines == [f"{method} /v1/{collection}/{name}" for _, collection, name in PATHS
                         for method in (("GET", "PUT") if collection in REVISED else ("PUT",))] + \
        [f"DELETE /v1/{collection}/{name}" for _, collection, name in PATHS]
    assert all(request.body == b"" for request in api.requests[-5:])


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
    assert api.lines == ["POST /v1/image", "GET /v1/image/x/logs?offset=0&wait=1", "GET /v1/image/x"]


def test_help_without_a_file(api, dispatch):
    for verb in ("create", "update", "delete"):
        result = dispatch(verb, "nonsense")
        assert result.code == 0 and "Usage:" in result.out
        assert dispatch(verb, "nonsense", "-f", "x").code == 1
    assert api.requests == []


def test_update_takes_the_revision_that_is_there(api, dispatch, tmp_path):
    (tmp_path / "f.yaml").write_text("kind: Endpoint\nname: e\nfunction: f\n---\nkind: API\nname: a\nfunction: f\nrevision: '7'\n")
    api.reply("GET", "/v1/endpoint/e", {"name": "e", "id": "6d4a2b7e-8f5c-4f0e-9d59-0a3f0a0f3f11", "revision": "3"})
    api.reply("PUT", "/v1/endpoint/e", {"name": "e"})
    api.reply("PUT", "/v1/api/a", {"name": "a"})
    assert dispatch("update", "-f", "f.yaml").out == "Updated Endpoint: e\nUpdated API: a\n"
    assert api.lines == ["GET /v1/endpoint/e", "PUT /v1/endpoint/e", "PUT /v1/api/a"]
    assert api.requests[1].json == {"kind": "Endpoint", "name": "e", "function": "f", "revision": "3",
                                    "id": "6d4a2b7e-8f5c-4f0e-9d59-0a3f0a0f3f11"}
    assert api.requests[2].json["revision"] == "7"


def test_apply_changes_what_is_there_and_creates_the_rest(api, dispatch, app):
    for i, (_, collection, name) in enumerate(PATHS):
        if i % 2:
            api.reply("PUT", f"/v1/{collection}/{name}", {"name": name})
        else:
            api.reply("POST", f"/v1/{collection}", {"name": name}, status=201)
    result = dispatch("apply", "-f", app, "-w", "w")
    assert (result.err, result.code) == ("", 0)
    assert result.out == "".join(f"Applied {kind}: {name}\n" for kind, _, name in PATHS)
    expected = []
    for i, (_, collection, name) in enumerate(PATHS):
        expected += [f"PUT /v1/{collection}/{name}"] + ([] if i % 2 else [f"POST /v1/{collection}"])
    assert api.lines == expected
    assert api.requests[0].json == api.requests[1].json


def test_apply_creates_only_after_code_404(api, dispatch, tmp_path):
    (tmp_path / "f.yaml").write_text("kind: Image\nname: x\nbaseImageName: b\n---\nkind: Image\nname: y\nbaseImageName: b\n")
    api.reply("PUT", "/v1/image/x", {"code": 500, "message": "broken"}, status=404)
    api.reply("POST", "/v1/image", {"name": "x"}, status=201)
    result = dispatch("apply", "-f", "f.yaml")
    assert (result.code, result.out, result.err) == (1, "", "[Code: 500] broken\n") and api.lines == ["PUT /v1/image/x"]


@pytest.mark.parametrize("kind", ["Driver", "DriverType", "Subscription", "Policy", "ServiceAccount", "Organization", "ServiceInstance"])
def test_kinds_of_later_versions_say_so(api, dispatch, kind):
    result = dispatch("apply", "-f", "-", stdin=f"kind: {kind}\nname: x\n".encode())
    assert (result.code, result.err) == (1, f"-: document 1 (line 1): kind {kind} is not in this version of Dispatch\n")
    assert api.requests == []


def test_an_application_becomes_a_tag_of_each(api, dispatch, tmp_path):
    (tmp_path / "f.yaml").write_text("kind: Image\nname: x\nbaseImageName: b\ntags: [{key: a, value: b}, {key: Application, value: old}]\n")
    api.reply("POST", "/v1/image", {"name": "x"}, status=201)
    assert dispatch("create", "-f", "f.yaml", "-a", "shop").code == 0
    assert api.last.json["tags"] == [{"key": "a", "value": "b"}, {"key": "Application", "value": "shop"}]


SEEDED = [("BaseImage", f"{name}-base") for name in ("nodejs", "python3", "powershell", "java")] + \
    [("Image", name) for name in ("nodejs", "python3", "powershell", "java")]


@pytest.mark.parametrize("command", [("create", "seed-images"), ("create", "seed"), ("apply", "seed-images"), ("apply", "seed")])
def test_seed_images(api, dispatch, command):
    for collection in ("baseimage", "image"):
        api.reply("POST", f"/v1/{collection}", {"name": "x"}, status=201)
    result = dispatch(*command)
    done = "Created" if command[0] == "create" else "Applied"
    assert (result.err, result.code) == ("", 0)
    assert result.out == "".join(f"{done} {kind}: {name}\n" for kind, name in SEEDED)
    sent = [request.json for request in api.requests if request.method == "POST"]
    assert [(document["kind"], document["name"]) for document in sent] == SEEDED
    assert [document["dockerUrl"] for document in sent[:4]] == [
        "dispatchframework/nodejs-base:0.0.12", "dispatchframework/python3-base:0.0.12",
        "dispatchframework/powershell-base:0.0.13", "dispatchframework/java-base:0.0.13"]
    assert [document["language"] for document in sent[:4]] == ["nodejs", "python3", "powershell", "java"]
    assert sent[5]["runtimeDependencies"]["manifest"].strip() == "requests"


def test_seed_images_are_deleted_and_written(api, dispatch, tmp_path):
    result = dispatch("create", "seed-images", "-O", "seed.yaml")
    assert (result.code, result.out, result.err) == (0, "", "") and api.requests == []
    for kind, name in SEEDED:
        api.reply("DELETE", f"/v1/{kind.lower()}/{name}", b"")
    expected = "".join(f"Deleted {kind}: {name}\n" for kind, name in SEEDED)
    assert dispatch("delete", "seed-images").out == expected
    assert dispatch("delete", "-f", "seed.yaml").out == expected


def test_a_dry_run_shows_each_request_and_sends_none(api, dispatch, app):
    result = dispatch("create", "-f", app, "-w", "w", "--dry-run")
    assert (result.err, result.code) == ("", 0) and api.requests == []
    assert [line for line in result.out.splitlines() if line.startswith("POST")] == [f"POST /v1/{path}" for _, path, _ in PATHS]
    assert '"manifest": "requests\\n"' in result.out
    deleted = dispatch("delete", "-f", app, "--dry-run")
    assert deleted.out == "".join(f"DELETE /v1/{path}/{name}\n" for _, path, name in PATHS)
    bad = dispatch("apply", "-f", "-", "--dry-run", stdin=b"kind: Image\nname: 'a b'\nbaseImageName: x\n")
    assert bad.code == 1 and bad.err.startswith("[Code: 605] name should start with letter or number") and api.requests == []


class Web:
    """Files over HTTP, beside the recorded API."""

    def __init__(self, files):
        import http.server
        import threading
        web = self
        self.asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                web.asked.append((self.path, dict(self.headers)))
                body = files.get(self.path)
                if isinstance(body, str):
                    self.send_response(302)
                    self.send_header("Location", body)
                    self.end_headers()
                    return
                self.send_response(200 if body is not None else 404)
                self.end_headers()
                try:
                    self.wfile.write(body or b"")
                except OSError:
                    pass

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"


def function(path):
    return f"kind: Function\nname: f\nimage: i\nsourcePath: \"{path}\"\n".encode()


def names_in(request):
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(base64.b64decode(request.json["source"])))) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar.getmembers()}


def test_a_url_is_downloaded_with_the_sources_beside_it(api, dispatch, tmp_path):
    image = b"kind: Image\nname: i\nbaseImageName: b\nruntimeDependencies: {manifest: '@deps.txt'}\n---\n"
    web = Web({"/app/a.yaml": image + function("src/my hello.py"), "/app/src/my%20hello.py": b"#!x\n", "/app/deps.txt": b"requests\n",
               "/moved": "/app/a.yaml"})
    api.reply("POST", "/v1/function", {"name": "f"}, status=201)
    api.reply("POST", "/v1/image", {"name": "i"}, status=201)
    result = dispatch("create", "-f", f"{web.url}/app/a.yaml?raw=1/2", "-w", "down", env={"DISPATCH_TOKEN": "hush"})
    assert result.code == 1 and "HTTP status 404" in result.err
    result = dispatch("create", "-f", f"{web.url}/app/a.yaml", "-w", "down", env={"DISPATCH_TOKEN": "hush"})
    assert (result.err, result.out) == ("", "Created Image: i\nCreated Function: f\n")
    assert api.requests[0].json["runtimeDependencies"]["manifest"] == "requests\n"
    assert names_in(api.last) == {"./my hello.py": b"#!x\n"}
    assert (tmp_path / "down" / "src" / "my hello.py").stat().st_mode & 0o111
    assert sorted(path.name for path in (tmp_path / "down").rglob("*")) == ["deps.txt", "my hello.py", "src"]
    assert not any("hush" in str(headers) for _, headers in web.asked)


def test_a_file_url_works_too(api, dispatch, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "a.yaml").write_bytes(function("hello.py"))
    (tmp_path / "there" / "hello.py").write_text("x")
    api.reply("PUT", "/v1/function/f", {"name": "f"})
    assert dispatch("apply", "-f", f"file://{tmp_path}/there/a.yaml", "-w", "here").out == "Applied Function: f\n"
    assert (tmp_path / "here" / "hello.py").read_text() == "x"


@pytest.mark.parametrize("path", ["../x.py", "/etc/passwd", "a/../../x.py", ".bashrc", "a/.ssh/keys", "a\\\\..\\\\x", ".", ""])
def test_a_url_never_writes_outside_the_work_directory(api, dispatch, tmp_path, path):
    web = Web({"/d/a.yaml": function(path), "/x.py": b"evil", "/d/.bashrc": b"evil", "/etc/passwd": b"evil", "/d/a/.ssh/keys": b"evil"})
    (tmp_path / "w").mkdir()
    result = dispatch("create", "-f", f"{web.url}/d/a.yaml", "-w", "w")
    assert list((tmp_path / "w").iterdir()) == [] and not (tmp_path / "x.py").exists()
    if path:
        assert result.code == 1 and api.requests == [] and result.err.count("\n") == 1


def test_a_url_never_writes_through_a_link(api, dispatch, tmp_path):
    web = Web({"/a.yaml": function("sub/x.py"), "/sub/x.py": b"evil", "/b.yaml": function("x.py"), "/x.py": b"evil"})
    (tmp_path / "w").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "w" / "sub").symlink_to(tmp_path / "out")
    (tmp_path / "w" / "x.py").symlink_to(tmp_path / "out" / "y")
    assert dispatch("create", "-f", f"{web.url}/a.yaml", "-w", "w").code == 1
    dispatch("create", "-f", f"{web.url}/b.yaml", "-w", "w")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_url_replaces_files_only_in_a_directory_that_was_named(api, dispatch, tmp_path):
    web = Web({"/a.yaml": function("x.py"), "/x.py": b"new"})
    api.reply("PUT", "/v1/function/f", {"name": "f"})
    (tmp_path / "x.py").write_text("mine")
    result = dispatch("apply", "-f", f"{web.url}/a.yaml")
    assert result.code == 1 and "./x.py is there with other content" in result.err and api.requests == []
    assert (tmp_path / "x.py").read_text() == "mine"
    assert dispatch("apply", "-f", f"{web.url}/a.yaml", "-w", ".").code == 0
    assert (tmp_path / "x.py").read_text() == "new"
    assert dispatch("apply", "-f", f"{web.url}/a.yaml").code == 0


def test_downloads_are_bounded_and_do_not_turn_to_files(api, dispatch, tmp_path):
    (tmp_path / "f.yaml").write_text("kind: Secret\nname: s\n")
    web = Web({"/big": b"#" * (5 << 20), "/loop": "/loop", "/file": f"file://{tmp_path}/f.yaml"})
    assert "larger than" in dispatch("create", "-f", f"{web.url}/big").err
    for path in ("loop", "file", "none"):
        result = dispatch("create", "-f", f"{web.url}/{path}")
        assert result.code == 1 and result.err.startswith(f"downloading {web.url}/{path}: ") and result.err.count("\n") == 1
    assert api.requests == []


def test_a_hostile_kind_is_shown_harmless(dispatch):
    result = dispatch("create", "-f", "-", stdin=b'kind: "a\\u001b[2J\\n\\u202e"\n')
    assert result.err.startswith('-: document 1 (line 1): unknown kind "a\\x1b[2J\\n\\u202e": must be BaseImage')
