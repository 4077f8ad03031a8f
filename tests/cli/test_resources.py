"""Each command of each kind: the exact request, and the exact text."""
import base64
import gzip
import io
import json
import tarfile

import pytest

T = 1538689412  # Thu Oct  4 21:43:32 UTC 2018
META = {"id": "6d4a2b7e-8f5c-4f0e-9d59-0a3f0a0f3f11", "project": "default", "org": "dispatch-server", "createdTime": T,
        "modifiedTime": T, "revision": "1"}
BASE = {"kind": "BaseImage", "name": "base", **META, "dockerUrl": "reg/b:1", "imageURL": "reg/b:1", "groups": None,
        "language": "python3", "reason": None, "status": "READY"}
IMAGE = {"kind": "Image", "name": "python3", **META, "baseImageName": "base", "baseImage": "base", "dockerUrl": "reg/i:1",
         "imageURL": "reg/i:1", "imageDestination": "reg/i:1", "groups": None, "language": "python3", "reason": None,
         "status": "READY"}
FUNCTION = {"kind": "Function", "name": "hello", **META, "image": "python3", "functionImageURL": "reg/fn:1",
            "handler": "hello.handle", "schema": {"in": None, "out": None}, "status": "READY", "timeout": 500}
SECRET = {"meta": {"name": "s1", **META}, "id": META["id"], "kind": "Secret", "name": "s1", "secrets": {"a": "b"}}
ENDPOINT = {"kind": "Endpoint", "name": "ep1", **META, "enabled": True, "function": "hello",
            "hosts": ["a.example.com", "b.example.com"], "methods": ["GET", "POST"], "protocols": ["http", "https"],
            "uris": ["/a", "/b"]}

KINDS = [
    ("base-image", "baseimage", BASE, "Deleted base image: base"),
    ("image", "image", IMAGE, "Deleted image: python3"),
    ("function", "function", FUNCTION, "Deleted function: hello"),
    ("secret", "secret", SECRET, "Deleted secret: s1"),
    ("endpoint", "endpoint", ENDPOINT, "Deleted api: ep1"),
]

TABLES = {
    "base-image":
        "  NAME |   URL   | STATUS |         CREATED DATE          \n"
        "-----------------------------------------------------\n"
        "  base | reg/b:1 | READY  | Thu Oct  4 21:43:32 UTC 2018  \n",
    "image":
        "   NAME   | DESTINATION | BASEIMAGE | STATUS |         CREATED DATE          \n"
        "-----------------------------------------------------------------------\n"
        "  python3 | reg/i:1     | base      | READY  | Thu Oct  4 21:43:32 UTC 2018  \n",
    "function":
        "  NAME  | FUNCTIONIMAGE | STATUS |         CREATED DATE          \n"
        "------------------------------------------------------------\n"
        "  hello | reg/fn:1      | READY  | Thu Oct  4 21:43:32 UTC 2018  \n",
    "secret":
        "Note: secret values are hidden, please use --all flag to get them\n\n"
        "  NAME | CONTENT   \n"
        "----------------\n"
        "  s1   | <hidden>  \n",
    "endpoint":
        "  NAME | FUNCTION | PROTOCOL  | METHOD  |           DOMAIN           | PATH | ENABLED  \n"
        "---------------------------------------------------------------------------------------\n"
        "  ep1  | hello    | http      | GET     | a.example.com              | /a   | true     \n"
        "       |          | https     | POST    | b.example.com              | /b   |          \n"
        "---------------------------------------------------------------------------------------\n",
}


def check(result, out, code=0, err=""):
    assert (result.err, result.code) == (err, code)
    assert result.out == out


@pytest.mark.parametrize("kind,collection,document,_", KINDS)
def test_get_prints_the_table_of_one_and_of_all(api, dispatch, kind, collection, document, _):
    name = document["name"]
    api.reply("GET", f"/v1/{collection}/{name}", document)
    api.reply("GET", f"/v1/{collection}", [document])
    check(dispatch("get", kind, name), TABLES[kind])
    check(dispatch("get", kind), TABLES[kind])
    assert api.lines == [f"GET /v1/{collection}/{name}", f"GET /v1/{collection}"]
    assert "Content-Type" not in api.last.headers


@pytest.mark.parametrize("kind,collection,document,_", KINDS)
@pytest.mark.parametrize("empty", [b"[]", b"null", b""])
def test_get_of_nothing_prints_the_header(api, dispatch, kind, collection, document, _, empty):
    api.reply("GET", f"/v1/{collection}", empty)
    result = dispatch("get", kind)
    lines = result.out.splitlines()
    assert result.code == 0 and set(lines[-1]) == {"-"} and "NAME" in lines[-2]
    check(dispatch("get", kind, "-o", "json"), "[]\n")


@pytest.mark.parametrize("plural,collection", [
    ("base-images", "baseimage"), ("images", "image"), ("functions", "function"), ("secrets", "secret"),
    ("baseimage", "baseimage"), ("baseimages", "baseimage"), ("endpoints", "endpoint"), ("api", "api"), ("apis", "api"),
    ("run", "runs"), ("runs", "runs")])
def test_get_takes_plurals_and_aliases(api, dispatch, plural, collection):
    api.reply("GET", f"/v1/{collection}", [])
    assert dispatch("get", plural).code == 0
    assert api.last.path.split("?")[0] == f"/v1/{collection}"


@pytest.mark.parametrize("kind,collection,document,_", KINDS)
def test_json_is_in_seeds_form_with_4_blanks(api, dispatch, kind, collection, document, _):
    api.reply("GET", f"/v1/{collection}", [document])
    result = dispatch("get", kind, "-o", "json")
    shown = json.loads(result.out)
    assert isinstance(shown, list) and result.out.startswith("[\n    {\n        \"") and result.out.endswith("]\n")
    assert not {"imageURL", "baseImage", "revision", "authentication"} & set(shown[0])


def test_json_of_one_is_exact(api, dispatch):
    api.reply("GET", "/v1/baseimage/base", BASE)
    check(dispatch("get", "base-image", "base", "--output=json"), """{
    "kind": "BaseImage",
    "name": "base",
    "id": "6d4a2b7e-8f5c-4f0e-9d59-0a3f0a0f3f11",
    "project": "default",
    "org": "dispatch-server",
    "createdTime": 1538689412,
    "modifiedTime": 1538689412,
    "dockerUrl": "reg/b:1",
    "groups": null,
    "language": "python3",
    "reason": null,
    "status": "READY"
}
""")


def test_yaml_has_lower_case_keys_and_meta(api, dispatch):
    api.reply("GET", "/v1/baseimage/base", BASE)
    result = dispatch("get", "base-image", "base", "-o", "yaml")
    assert result.code == 0
    assert result.out.startswith("meta:\n")
    for line in ("dockerurl: reg/b:1", "  createdtime: 1538689412", "  name: base", "language: python3", "status: READY"):
        assert line in result.out.splitlines()


@pytest.mark.parametrize("kind,collection,document,_", KINDS)
def test_wide_has_more_columns_and_name_only_names(api, dispatch, kind, collection, document, _):
    api.reply("GET", f"/v1/{collection}", [document, document])
    wide = dispatch("get", kind, "-o", "wide").out
    assert wide.count("|") > TABLES[kind].count("|") and document["name"] in wide
    check(dispatch("get", kind, "-oname"), f"{document['name']}\n" * 2)


def test_get_secret_all_prints_values(api, dispatch):
    api.reply("GET", "/v1/secret/s1", SECRET)
    assert json.loads(dispatch("get", "secret", "s1", "--all").out)["secrets"] == {"a": "b"}
    assert "b" not in dispatch("get", "secret", "s1").out.split("<hidden>")[1]


def test_get_endpoint_of_one_function_filters_here(api, dispatch):
    other = {**ENDPOINT, "name": "ep2", "function": "other"}
    api.reply("GET", "/v1/endpoint", [ENDPOINT, other])
    check(dispatch("get", "endpoint", "-f", "other", "-o", "name"), "ep2\n")
    assert api.last.line == "GET /v1/endpoint"


@pytest.mark.parametrize("kind,collection,document,text", KINDS)
def test_delete_prints_one_line(api, dispatch, kind, collection, document, text):
    name = document["name"]
    body = (b"", 204) if kind == "secret" else (document, 200)
    api.reply("DELETE", f"/v1/{collection}/{name}", body[0], status=body[1])
    check(dispatch("delete", kind, name), text + "\n")
    request = api.last
    assert request.line == f"DELETE /v1/{collection}/{name}" and request.body == b""
    assert request.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("kind,collection,document,text", KINDS)
def test_delete_with_an_empty_200_is_a_success(api, dispatch, kind, collection, document, text):
    api.reply("DELETE", f"/v1/{collection}/{document['name']}", b"")
    check(dispatch("delete", kind, document["name"]), text + "\n")


@pytest.mark.parametrize("kind,collection,stub", [
    ("image", "image", '{\n    "name": "n",\n    "baseImageName": null,\n    "groups": null,\n    "reason": null\n}\n'),
    ("function", "function", '{\n    "name": "n"\n}\n'),
    ("secret", "secret", '{\n    "meta": {\n        "name": "n"\n    }\n}\n')])
def test_delete_as_json_prints_a_stub(api, dispatch, kind, collection, stub):
    api.reply("DELETE", f"/v1/{collection}/n", b"", status=204 if kind == "secret" else 200)
    check(dispatch("delete", kind, "n", "-o", "json"), stub)


def test_create_base_image(api, dispatch):
    api.reply("POST", "/v1/baseimage", BASE, status=201)
    check(dispatch("create", "base-image", "base", "reg/b:1", "--language", "python3"), "Created base image: base\n")
    assert api.last.body == b'{"name":"base","dockerUrl":"reg/b:1","groups":null,"language":"python3","reason":null}'
    assert dispatch("create", "base-image", "base", "reg/b:1").code == 0
    assert api.last.json["language"] == ""


def test_create_image(api, dispatch, tmp_path):
    api.reply("POST", "/v1/image", IMAGE, status=201)
    check(dispatch("create", "image", "python3", "base"), "Created image: python3\n")
    assert api.last.body == (b'{"name":"python3","baseImageName":"base","groups":null,"reason":null,'
                             b'"runtimeDependencies":{},"systemDependencies":{"packages":null}}')
    (tmp_path / "r.txt").write_text("requests\n")
    (tmp_path / "s.json").write_text('{"packages": [{"name": "curl", "version": "1"}, {"name": "jq"}]}')
    check(dispatch("create", "image", "python3", "base", "--runtime-deps", "r.txt", "--system-deps=s.json"),
          "Created image: python3\n")
    assert api.last.json["runtimeDependencies"] == {"manifest": "requests\n"}
    assert api.last.json["systemDependencies"] == {"packages": [{"name": "curl", "version": "1"}, {"name": "jq"}]}


def test_create_image_with_a_missing_file_sends_nothing(api, dispatch, tmp_path):
    check(dispatch("create", "image", "i", "b", "--runtime-deps", "F"), "", 1,
          "failed to read runtime dependencies file: open F: no such file or directory\n")
    (tmp_path / "bad").write_text("{")
    result = dispatch("create", "image", "i", "b", "--system-deps", "bad")
    assert result.code == 1 and result.err.startswith("failed to unmarshal system dependencies file: ")
    assert api.requests == []


def members(request):
    packed = gzip.decompress(base64.b64decode(request.json["source"], validate=True))
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        return {member.name: (member, tar.extractfile(member).read()) for member in tar.getmembers()}


def test_create_function_from_a_file(api, dispatch, tmp_path):
    api.reply("POST", "/v1/function", FUNCTION, status=201)
    (tmp_path / "hello.py").write_text("def handle(ctx, payload): pass\n")
    check(dispatch("create", "function", "--image", "python3", "hello", "./hello.py"), "Created function: hello\n")
    assert list(api.last.json) == ["name", "source", "image", "schema"]
    assert api.last.json["schema"] == {"in": None, "out": None}
    found = members(api.last)
    assert list(found) == ["./hello.py"] and found["./hello.py"][1] == b"def handle(ctx, payload): pass\n"
    assert found["./hello.py"][0].isreg()


def test_create_function_from_a_directory_keeps_modes_and_times(api, dispatch, tmp_path):
    import os
    api.reply("POST", "/v1/function", FUNCTION, status=201)
    (tmp_path / "src" / "sub").mkdir(parents=True)
    (tmp_path / "src" / "empty").mkdir()
    (tmp_path / "src" / "sub" / "x.txt").write_text("x")
    (tmp_path / "src" / "run").write_text("#!/bin/sh\n")
    (tmp_path / "src" / "run").chmod(0o755)
    os.utime(tmp_path / "src" / "run", (1000, 1000))
    (tmp_path / "src" / "link").symlink_to("sub/x.txt")
    (tmp_path / "src" / "dirlink").symlink_to("sub")
    for path in ("src", "src/", str(tmp_path / "src")):
        assert dispatch("create", "function", "hello", path, "--handler=./run").code == 0
        found = members(api.last)
        assert list(found) == ["./dirlink/x.txt", "./link", "./run", "./sub/x.txt"]
        assert found["./run"][0].mode == 0o755 and found["./run"][0].mtime == 1000
        assert found["./link"][0].isreg() and found["./link"][1] == b"x"
    assert api.requests[0].json["source"] == api.requests[2].json["source"]


@pytest.mark.parametrize("target", ["/etc/hostname", "../outside", "sub/../../outside"])
def test_a_link_out_of_the_source_is_named(api, dispatch, tmp_path, target):
    (tmp_path / "src" / "sub").mkdir(parents=True)
    (tmp_path / "outside").write_text("no")
    (tmp_path / "src" / "a.py").write_text("")
    (tmp_path / "src" / "sneaky").symlink_to(target)
    result = dispatch("create", "function", "f", "src", "--handler", "a.handle")
    assert result.code == 1 and "the link 'src/sneaky' leads out of the source directory" in result.err
    assert result.err.count("\n") == 1 and api.requests == []


def test_create_function_rejects_what_it_cannot_pack(api, dispatch, tmp_path):
    (tmp_path / "src").mkdir()
    check(dispatch("create", "function", "N", "src"), "", 1,
          "error creating function N: handler is required, source path src is a directory\n")
    check(dispatch("create", "function", "N", "P"), "", 1,
          "failed to determine if path is dir: 'P': stat P: no such file or directory\n")
    (tmp_path / "src" / "loop").symlink_to(".")
    result = dispatch("create", "function", "N", "src", "--handler", "x")
    assert result.code == 1 and "src/loop" in result.err
    assert api.requests == []


def test_create_function_with_every_flag(api, dispatch, tmp_path):
    api.reply("POST", "/v1/function", FUNCTION, status=201)
    (tmp_path / "f.py").write_text("")
    (tmp_path / "in.json").write_text('{"type": "object"}')
    result = dispatch("create", "function", "f", "f.py", "--image=python3", "--handler", "f.handle", "--schema-in", "in.json",
                      "--secret", "a,b", "--secret", "c", "--service", "db", "--timeout", "1500", "--memory", "512", "--cpu=250",
                      "--env", "A=1", "--env", "B=x=y", "--network", "egress", "--network-allow", "example.com,10.0.0.0/8",
                      "--isolation", "run", "--concurrency", "4", "--min-instances", "1", "--max-instances", "9",
                      "--idle-timeout", "1000")
    check(result, "Created function: hello\n")
    body = api.last.json
    del body["source"]
    assert body == {"name": "f", "image": "python3", "handler": "f.handle", "schema": {"in": {"type": "object"}, "out": None},
                    "secrets": ["a", "b", "c"], "services": ["db"], "timeout": 1500, "memory": 512, "cpu": 250,
                    "env": {"A": "1", "B": "x=y"}, "network": {"mode": "egress", "allow": ["example.com", "10.0.0.0/8"]},
                    "isolation": "run", "concurrency": 4, "minInstances": 1, "maxInstances": 9, "idleTimeout": 1000}


def test_create_secret(api, dispatch, tmp_path):
    api.reply("POST", "/v1/secret", SECRET, status=201)
    (tmp_path / "s.json").write_text('{"a": "b"}')
    check(dispatch("create", "secret", "s1", "s.json"), "Created secret: s1\n")
    assert api.last.body == b'{"meta":{"name":"s1"},"secrets":{"a":"b"}}'
    (tmp_path / "n.json").write_text('{"a": 1}')
    check(dispatch("create", "secret", "s1", "n.json"), "", 1,
          "Error when parsing JSON from n.json: json: cannot unmarshal number into Go value of type string\n")
    check(dispatch("create", "secret", "s1", "none"), "", 1,
          "error when reading content of none: open none: no such file or directory\n")
    assert len(api.requests) == 1


def test_create_endpoint(api, dispatch):
    api.reply("POST", "/v1/endpoint", ENDPOINT)
    check(dispatch("create", "endpoint", "ep1", "hello"), "Created endpoint: ep1\n")
    assert api.last.body == (b'{"kind":"Endpoint","name":"ep1","enabled":true,"function":"hello","hosts":[],"methods":["GET"],'
                             b'"protocols":["http","https"],"uris":["/"]}')
    check(dispatch("create", "endpoint", "ep1", "hello", "-m", "GET", "-mPOST,PUT", "-p", "/a", "-d=h.example.com", "--https-only",
                   "--cors", "--disable", "--auth", "x"), "Created endpoint: ep1\n")
    assert api.last.body == (b'{"kind":"Endpoint","name":"ep1","cors":true,"function":"hello","hosts":["h.example.com"],'
                             b'"methods":["GET","POST","PUT"],"protocols":["https"],"uris":["/a"]}')


def test_create_as_json_yaml_and_name(api, dispatch):
    api.reply("POST", "/v1/endpoint", ENDPOINT)
    assert json.loads(dispatch("create", "endpoint", "ep1", "hello", "-o", "json").out)["uris"] == ["/a", "/b"]
    assert dispatch("create", "endpoint", "ep1", "hello", "-o", "yaml").out.startswith("meta:\n")
    check(dispatch("create", "endpoint", "ep1", "hello", "-o", "name"), "ep1\n")
    check(dispatch("create", "endpoint", "ep1", "hello", "-o", "wide"), "Created endpoint: ep1\n")


def test_update_is_get_change_put(api, dispatch, tmp_path):
    api.reply("GET", "/v1/function/hello", FUNCTION)
    api.reply("PUT", "/v1/function/hello", FUNCTION)
    check(dispatch("update", "function", "hello", "--memory", "512", "--env", "A=1"), "Updated function: hello\n")
    assert api.lines == ["GET /v1/function/hello", "PUT /v1/function/hello"]
    assert api.last.json == {**FUNCTION, "memory": 512, "env": {"A": "1"}}
    (tmp_path / "new.py").write_text("new")
    check(dispatch("update", "function", "hello", "new.py", "--handler="), "Updated function: hello\n")
    assert members(api.last)["./new.py"][1] == b"new"
    assert "handler" not in api.last.json and api.last.json["revision"] == "1"


def test_update_of_each_other_kind(api, dispatch, tmp_path):
    for collection, document in (("baseimage", BASE), ("image", IMAGE), ("secret", SECRET), ("endpoint", ENDPOINT)):
        api.reply("GET", f"/v1/{collection}/{document['name']}", document)
        api.reply("PUT", f"/v1/{collection}/{document['name']}", document, status=201 if collection == "secret" else 200)
    check(dispatch("update", "base-image", "base", "--url", "reg/b:2"), "Updated base image: base\n")
    assert api.last.json == {**BASE, "dockerUrl": "reg/b:2"}
    check(dispatch("update", "image", "python3", "--base-image", "other"), "Updated image: python3\n")
    assert api.last.json["baseImageName"] == "other"
    (tmp_path / "s.json").write_text('{"c": "d"}')
    check(dispatch("update", "secret", "s1", "s.json"), "Updated secret: s1\n")
    assert api.last.json == {**SECRET, "secrets": {"c": "d"}}
    check(dispatch("update", "endpoint", "ep1", "--disable", "-m", "PUT", "--cors"), "Updated endpoint: ep1\n")
    assert api.last.json == {**ENDPOINT, "enabled": False, "methods": ["PUT"], "cors": True}
    check(dispatch("update", "endpoint", "ep1", "--enable"), "Updated endpoint: ep1\n")
    assert api.last.json["enabled"] is True


def test_update_without_a_change_is_refused(api, dispatch):
    result = dispatch("update", "function", "hello", "--wait")
    assert result.code == 1 and "nothing to change" in result.err and api.requests == []


def test_names_are_percent_encoded(api, dispatch):
    dispatch("get", "function", "a/b ?#%ü")
    assert api.last.path == "/v1/function/a%2Fb%20%3F%23%25%C3%BC"
    dispatch("get", "function", "..")
    assert api.last.path == "/v1/function/.."
    count = len(api.requests)
    check(dispatch("delete", "secret", ""), "", 1, "the name must not be empty\n")
    assert len(api.requests) == count


@pytest.mark.parametrize("kind,collection,args", [
    ("image", "image", ["b"]), ("base-image", "baseimage", ["u"]), ("endpoint", "endpoint", ["f"])])
def test_wait_polls_until_ready(api, dispatch, kind, collection, args):
    api.reply("POST", f"/v1/{collection}", {"name": "x", "status": "INITIALIZED"}, status=201)
    api.reply("GET", f"/v1/{collection}/x", {"name": "x", "status": "CREATING"})
    api.reply("GET", f"/v1/{collection}/x", {"name": "x", "status": "READY"})
    label = kind.replace("-", " ")
    check(dispatch("create", kind, "x", *args, "--wait"), f"Created {label}: x\n")
    # What is built has a log; a server that knows none is asked once.
    log = [] if kind == "endpoint" else [f"GET /v1/{collection}/x/logs?offset=0&wait=1"]
    assert api.lines == [f"POST /v1/{collection}", *log, f"GET /v1/{collection}/x", f"GET /v1/{collection}/x"]


def test_wait_reports_an_error_on_one_line(api, dispatch):
    api.reply("POST", "/v1/image", {"name": "x", "status": "INITIALIZED"}, status=201)
    api.reply("GET", "/v1/image/x", {"name": "x", "status": "ERROR", "reason": ["no such base", "Traceback:\n  line 1\x1b[2J\n"]})
    check(dispatch("create", "image", "x", "b", "--wait"), "", 1,
          "image x is in ERROR: no such base, Traceback: / line 1\\x1b[2J\n")


def test_wait_has_a_bound(api, dispatch):
    api.reply("POST", "/v1/image", {"name": "x", "status": "CREATING"}, status=201)
    api.reply("GET", "/v1/image/x", {"name": "x", "status": "CREATING"})
    result = dispatch("create", "image", "x", "b", "--wait", "--wait-timeout", "200ms")
    assert result.code == 1 and result.out == "" and "still CREATING" in result.err


def test_wait_works_on_update(api, dispatch):
    api.reply("GET", "/v1/image/x", {"name": "x", "status": "READY", "revision": "1"})
    api.reply("PUT", "/v1/image/x", {"name": "x", "status": "UPDATING"})
    check(dispatch("update", "image", "x", "--base-image", "b", "--wait"), "Updated image: x\n")
    assert api.lines == ["GET /v1/image/x", "PUT /v1/image/x", "GET /v1/image/x/logs?offset=0&wait=1", "GET /v1/image/x"]


def test_an_image_can_be_the_whole_function(dispatch, api):
    api.reply("POST", "/v1/function", FUNCTION, status=201)
    check(dispatch("create", "function", "web", "--function-image", "r.example:5000/web:1", "--registry-secret", "pull",
                   "--protocol", "dispatch"), "Created function: hello\n")
    body = api.last.json
    assert body["functionImage"] == "r.example:5000/web:1"
    assert (body["registrySecret"], body["protocol"]) == ("pull", "dispatch")
    assert not {"source", "image", "handler"} & set(body)
    result = dispatch("create", "function", "web", "f.py", "--function-image", "web")
    assert result.code == 1 and result.err.startswith("Error: accepts 1 arg(s), received 2\n")


def test_an_update_moves_from_a_source_to_an_image(dispatch, api):
    api.reply("GET", "/v1/function/f", {"name": "f", "image": "python3", "handler": "f.handle", "sourceURL": "file:///x"})
    api.reply("PUT", "/v1/function/f", FUNCTION)
    dispatch("update", "function", "f", "--function-image", "web:2")
    assert api.last.json == {"name": "f", "functionImage": "web:2"}


def test_an_update_moves_from_an_image_to_a_source(dispatch, api, tmp_path):
    (tmp_path / "f.py").write_text("")
    api.reply("GET", "/v1/function/f", {"name": "f", "functionImage": "web:2", "registrySecret": "s", "protocol": "http"})
    api.reply("PUT", "/v1/function/f", FUNCTION)
    dispatch("update", "function", "f", "f.py", "--image", "python3")
    body = api.last.json
    assert body.pop("source") and body == {"name": "f", "image": "python3"}
    result = dispatch("update", "function", "f", "f.py", "--function-image", "web")
    assert result.code == 1 and "leave the path out" in result.err


def test_the_secret_of_a_registry(api, dispatch):
    for kind, collection, document, base in (("base-image", "baseimage", BASE, "url"), ("image", "image", IMAGE, "base-image")):
        name, kept = document["name"], {**document, "registrySecret": "pull"}
        api.reply("POST", f"/v1/{collection}", kept, status=201)
        assert dispatch("create", kind, name, "r.example/b:1", "--registry-secret", "pull").code == 0
        assert api.last.json["registrySecret"] == "pull"
        api.reply("GET", f"/v1/{collection}/{name}", kept)
        api.reply("PUT", f"/v1/{collection}/{name}", kept)
        assert dispatch("update", kind, name, f"--{base}", "r.example/b:2").code == 0
        assert api.last.json["registrySecret"] == "pull"
        assert dispatch("update", kind, name, "--registry-secret", "other").code == 0
        assert api.last.json["registrySecret"] == "other"
        assert dispatch("update", kind, name, "--registry-secret", "").code == 0
        assert "registrySecret" not in api.last.json
        assert '"registrySecret": "pull"' in dispatch("get", kind, name, "-o", "json").out
        wide = dispatch("get", kind, name, "-o", "wide").out
        assert "REGISTRY SECRET" in wide and "pull" in wide


def test_a_manifest_names_the_secret_of_a_registry(api, dispatch, tmp_path):
    (tmp_path / "m.yaml").write_text("kind: BaseImage\nname: base\ndockerUrl: r.example/b:1\nlanguage: python3\nregistrySecret: pull\n")
    api.reply("POST", "/v1/baseimage", BASE, status=201)
    result = dispatch("create", "-f", "m.yaml")
    assert result.code == 0, result
    assert api.last.json["registrySecret"] == "pull"
