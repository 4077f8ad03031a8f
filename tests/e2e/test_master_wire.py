"""The MASTER client on the wire (contract 4): its names of fields, its revisions, and its update, which sends back the
whole object that it got."""
import base64
import json

import pytest

import goclient
import harness

HELLO = 'def handle(ctx, payload):\n    return {"myField": "Hello, " + (payload or {}).get("name", "Noone")}\n'
META = ("kind", "name", "id", "project", "org", "createdTime", "modifiedTime", "revision")


@pytest.fixture
def master(server):
    client = goclient.GoClient(server.port, cookie="unset")
    yield client
    client.close()


def as_master(body, fields):
    """What the client keeps of a reply: its own fields, all of its metadata with revision always there."""
    return {key: body[key] for key in (*META, "tags", *fields) if key in body}


def test_base_images(master, name):
    status, made = master.call("POST", "/v1/baseimage", {
        "name": name, "revision": "", "imageURL": harness.PYTHON_BASE, "language": "python3", "reason": None})
    assert status == 201 and (made["name"], made["imageURL"]) == (name, harness.PYTHON_BASE), made
    assert isinstance(made["revision"], str) and made["revision"]
    master.settled(f"/v1/baseimage/{name}")
    # update -f without a revision: GET, then PUT of what it said with the file's fields in it
    _, got = master.call("GET", f"/v1/baseimage/{name}")
    body = as_master(got, ("imageURL", "language", "reason", "spec", "status"))
    status, changed = master.call("PUT", f"/v1/baseimage/{name}", {**body, "imageURL": "builtin:python3"})
    assert status == 200 and changed["imageURL"] == changed["dockerUrl"] == "builtin:python3"
    assert changed["revision"] != got["revision"]
    status, refused = master.call("PUT", f"/v1/baseimage/{name}", body)
    assert status == 409 and refused["code"] == 409
    status, deleted = master.call("DELETE", f"/v1/baseimage/{name}")
    assert status == 200 and deleted["name"] == name


def test_images(master, name):
    body = {"name": name, "revision": "", "baseImage": harness.PYTHON_BASE, "reason": None, "runtimeDependencies": {},
            "systemDependencies": {"packages": None}}
    status, made = master.call("POST", "/v1/image", body)
    assert status == 201 and made["baseImage"] == made["baseImageName"] == harness.PYTHON_BASE, made
    assert made["imageURL"] == made["imageDestination"] == made["dockerUrl"]
    found = master.settled(f"/v1/image/{name}")
    sent = as_master(found, ("baseImage", "imageURL", "language", "reason", "runtimeDependencies", "status"))
    status, changed = master.call("PUT", f"/v1/image/{name}", {**sent, "baseImage": harness.NATIVE_BASE})
    assert status == 200 and changed["baseImageName"] == harness.NATIVE_BASE, changed
    assert changed["imageURL"] == made["imageURL"]
    assert master.settled(f"/v1/image/{name}")["language"] == "native"
    assert master.call("DELETE", f"/v1/image/{name}")[0] == 200


def test_functions_and_runs(master, name):
    status, made = master.call("POST", "/v1/function", {
        "name": name, "revision": "", "source": harness.pack({"hello.py": HELLO}), "image": "python3",
        "handler": "hello.handle", "schema": {"in": None, "out": None}})
    assert status == 201 and made["revision"] == "1", made
    found = master.settled(f"/v1/function/{name}")
    sent = as_master(found, ("image", "functionImageURL", "handler", "reason", "schema", "sourceURL", "status", "timeout"))
    status, changed = master.call("PUT", f"/v1/function/{name}", {**sent, "timeout": 5000})
    assert status == 200 and changed["timeout"] == 5000 and changed["id"] == made["id"], changed
    master.settled(f"/v1/function/{name}")
    status, run = master.call("POST", f"/v1/runs?functionName={name}", {
        "blocking": True, "httpContext": {"Accept": "application/json", "Content-Type": "application/json"},
        "inputBytes": base64.b64encode(b'{"name": "Jon"}').decode()})
    assert status == 200, run
    assert json.loads(base64.b64decode(run["outputBytes"]))["payload"] == {"myField": "Hello, Jon"}
    assert master.call("GET", f"/v1/runs/{run['name']}?functionName={name}&since=-62135596800")[0] == 200
    assert master.call("DELETE", f"/v1/function/{name}")[0] == 200
    status, gone = master.call("GET", f"/v1/function/{name}")
    assert (status, gone["message"]) == (404, f"function {name} not found")


def test_secrets(master, name):
    status, made = master.call("POST", "/v1/secret", {"meta": {"name": name, "revision": ""}, "secrets": {"a": "b"}})
    assert status == 201 and made["name"] == made["meta"]["name"] == name
    assert made["meta"]["revision"] == made["revision"] == "1"
    status, changed = master.call("PUT", f"/v1/secret/{name}", {"name": name, "meta": made["meta"], "secrets": {"a": "c"}})
    assert status == 201 and changed["secrets"] == {"a": "c"}
    assert master.call("PUT", f"/v1/secret/{name}", {"name": name, "meta": made["meta"], "secrets": {}})[0] == 409
    assert master.call("DELETE", f"/v1/secret/{name}") == (204, None)


def test_endpoints(master, name):
    body = {"kind": "Endpoint", "name": name, "revision": "", "cors": True, "enabled": True, "function": name, "hosts": [],
            "methods": ["GET"], "protocols": ["http", "https"], "uris": [f"/{name}"]}
    status, made = master.call("POST", "/v1/endpoint", body)
    assert status == 200 and made["revision"] == "1", made
    _, got = master.call("GET", f"/v1/endpoint/{name}")
    status, changed = master.call("PUT", f"/v1/endpoint/{name}", {**got, "methods": ["GET", "POST"]})
    assert status == 200 and changed["methods"] == ["GET", "POST"]
    status, deleted = master.call("DELETE", f"/v1/endpoint/{name}")
    assert status == 200 and deleted["name"] == name


@pytest.mark.parametrize("kind, required, names, values", [
    ("baseimage", {"language": "python3"}, ("dockerUrl", "imageURL"), (harness.PYTHON_BASE, "builtin:python3")),
    ("image", {}, ("baseImageName", "baseImage"), (harness.PYTHON_BASE, "builtin:python3")),
    ("image", {"baseImageName": harness.PYTHON_BASE}, ("imageDestination", "imageURL", "dockerUrl"), ("r/one", "r/two")),
])
def test_a_field_under_each_of_its_names(server, name, kind, required, names, values):
    for field in names:
        one = f"{name}-{names.index(field)}"
        reply = server.api("POST", f"/v1/{kind}", {"name": one, **required, field: values[0]})
        assert reply.status == 201 and {reply.json[each] for each in names} == {values[0]}, reply
        # the whole object with one of its names changed: that one is meant
        got = server.api("GET", f"/v1/{kind}/{one}").json
        reply = server.api("PUT", f"/v1/{kind}/{one}", {**got, field: values[1]})
        assert reply.status == 200 and {reply.json[each] for each in names} == {values[1]}, reply
    reply = server.api("PUT", f"/v1/{kind}/{one}", {**required, names[0]: "r/x:1", names[1]: "r/y:1"})
    assert reply.status == 422 and "two names" in reply.json["message"], reply
    reply = server.api("POST", f"/v1/{kind}", {"name": name, **required, names[0]: "r/x:1", names[1]: "r/y:1"})
    assert reply.status == 422, reply
