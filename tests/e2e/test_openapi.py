"""The description of the API: it is valid, whole, the same everywhere, and true of what the server does. Every exchange
of the other end-to-end tests is held to it too (tests/openapi.py)."""
import json
import os
import re
import subprocess

import pytest

import harness
import openapi

HELLO = "def handle(ctx, payload):\n    print('seen')\n    return payload\n"
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
NEEDS_JSONSCHEMA = pytest.mark.skipif(openapi.Draft202012Validator is None, reason="python3-jsonschema is not installed")


@pytest.fixture(scope="module")
def document(server):
    return server.api("GET", "/openapi.json").json


def operations(document):
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in METHODS:
                yield path, item, method, operation


def test_it_is_served_to_anybody_and_tagged(server):
    reply = server.api("GET", "/openapi.json", headers={"Cookie": "unset"})
    assert reply.status == 200 and reply.headers["Content-Type"] == "application/json"
    again = server.api("GET", "/openapi.json", headers={"If-None-Match": reply.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")


def test_the_program_prints_the_same(server):
    printed = subprocess.run([os.path.join(harness.BUILD, "dispatch-server"), "--openapi"], check=True, capture_output=True)
    assert printed.stdout == server.api("GET", "/openapi.json").body


def test_a_validator_finds_nothing(document, tmp_path):
    folder = os.path.join(harness.ROOT, "build", "openapi-validator")
    fetched = subprocess.run([os.path.join(harness.ROOT, "tools", "fetch-validator"), folder], capture_output=True, text=True)
    if fetched.returncode != 0:
        pytest.skip(fetched.stderr.strip())
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(document))
    done = subprocess.run(["/usr/bin/python3", "-m", "openapi_spec_validator", "--schema", "3.1.0", str(path)],
                          env={**os.environ, "PYTHONPATH": folder}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@NEEDS_JSONSCHEMA
def test_each_schema_is_one_and_each_reference_leads_somewhere(document):
    description = openapi.Description(document)
    for each in openapi.walk(document):
        if "schema" in each:
            openapi.Draft202012Validator.check_schema(each["schema"])
        if isinstance(each.get("$ref"), str):
            assert description.resolve(each)
    for name, schema in document["components"]["schemas"].items():
        openapi.Draft202012Validator.check_schema(schema)
        assert schema["properties"], name


def test_each_operation_is_whole(document):
    assert document["openapi"] == "3.1.0" and document["info"]["version"]
    ids = [operation["operationId"] for _, _, _, operation in operations(document)]
    assert len(set(ids)) == len(ids)
    for path, item, method, operation in operations(document):
        in_path = [each["name"] for each in item.get("parameters", []) if each["in"] == "path"]
        assert in_path == [part[1:-1] for part in path.split("/") if part.startswith("{")], path
        assert all(each["required"] is True for each in item.get("parameters", []))
        assert ("requestBody" in operation) == (method in ("post", "put")), (path, method)
        assert any(status < "300" for status in operation["responses"]), (path, method)
        assert all(response["description"] for response in operation["responses"].values())


def test_each_field_is_described(document):
    bare = [f"{name}.{field}" for name, schema in document["components"]["schemas"].items() if name != "Version"
            for field, rules in schema["properties"].items() if not rules.get("description")]
    assert bare == []


def test_rules_of_fields_are_those_that_are_checked(document):
    function = document["components"]["schemas"]["Function"]["properties"]
    assert function["memory"]["minimum"] == 16 and function["memory"]["default"] == 256
    assert function["isolation"]["enum"] == ["instance", "run", None] and function["isolation"]["default"] == "instance"
    assert function["status"]["readOnly"] is True and function["source"]["writeOnly"] is True
    assert function["name"]["maxLength"] == 64 and function["name"]["pattern"] == "^[\\w\\d][\\w\\d\\-]*$"
    assert document["components"]["schemas"]["API"]["required"] == ["function", "name"]
    assert {"anyOf": [{"required": ["baseImageName"]}, {"required": ["baseImage"]}]} \
        in document["components"]["schemas"]["Image"]["allOf"]


def test_each_path_of_the_server_is_there(server, document):
    for path in document["paths"]:
        target = re.sub(r"\{[^}]*\}", "none-such", path)
        reply = harness.request(server.port, "PATCH", target)
        assert reply.status == 405, (path, reply)
        listed = {method.upper() for method in document["paths"][path] if method in METHODS}
        assert {each.strip() for each in reply.headers["Allow"].split(",")} == listed, path


def conversation(server, name):
    """Every operation, and each kind of failure that a caller can bring about."""
    bodies = {
        "baseimage": {"name": name, "dockerUrl": harness.PYTHON_BASE, "language": "python3", "groups": None},
        "image": {"name": name, "baseImageName": harness.PYTHON_BASE, "tags": [{"key": "a", "value": "b"}]},
        "function": {"name": name, "source": harness.pack({"hello.py": HELLO}), "image": "python3", "secrets": [name]},
        "secret": {"name": name, "secrets": {"a": "b"}},
        "endpoint": {"name": name, "function": name, "uris": [f"/{name}"], "enabled": True},
        "api": {"name": f"{name}-api", "function": name, "uris": [f"/{name}"], "enabled": True, "methods": ["get"]},
    }
    for kind in ("baseimage", "image", "secret", "function", "endpoint", "api"):
        body = bodies[kind]
        one = f"/v1/{kind}/{body['name']}"
        call = server.api
        for sent, headers in ((body, None), (body, None), (body, {"If-None-Match": "*"}), ({}, None), ([], None)):
            call("POST", f"/v1/{kind}", sent, headers)
        for method, path in (("POST", f"/v1/{kind}"), ("PUT", one)):
            call(method, path, "{", {"Content-Type": "text/plain"})
            call(method, path, "{", {"Content-Type": "application/json"})
        call("GET", f"/v1/{kind}?limit=%zz")
        for method in ("GET", "DELETE"):
            call(method, f"/v1/{kind}/%zz")
            call(method, f"/v1/{kind}/!!")
        if kind in ("baseimage", "image", "function"):
            server.wait_status(kind, name)
        if kind in ("baseimage", "image"):
            call("POST", f"/v1/{kind}", {**body, "name": name + "-bad", "dockerUrl": "none/such", "baseImageName": "none/such"})
            server.wait_status(kind, name + "-bad", "ERROR")
            for view in ("logs", "packages", "sbom"):
                for path in (f"{one}/{view}", f"{one}-bad/{view}", f"/v1/{kind}/none-such/{view}", f"/v1/{kind}/%zz/{view}",
                             f"/v1/{kind}/!!/{view}"):
                    call("GET", path)
        got = call("GET", one)
        call("GET", one, headers={"If-None-Match": got.headers["ETag"]})
        call("GET", f"/v1/{kind}/none-such")
        call("GET", f"/v1/{kind}?limit=1")
        call("GET", f"/v1/{kind}?limit=x")
        call("PUT", one, got.json)
        call("PUT", one, got.json)
        call("PUT", one, body, {"If-Match": '"0"'})
        call("PUT", f"/v1/{kind}/none-such", body)
        call("PUT", one, {**body, "name": "other"})
        call("DELETE", one, headers={"If-Match": '"0"'})
    server.wait_status("function", name)
    run = f"/v1/runs?functionName={name}"
    done = server.api("POST", run, {"blocking": True, "input": {"x": 1}, "tags": [{"key": "a", "value": "b"}]})
    for path, body in ((run, {"blocking": False, "input": 1}), (run, {"blocking": True, "inputBytes": "e30="}),
                       (run, {"blocking": True, "secrets": ["none-such"]}), (run, []), (run, {"services": ["x"]}),
                       ("/v1/runs", {}), ("/v1/runs?functionName=none-such", {})):
        server.api("POST", path, body)
    for content_type in ("text/plain", "application/json"):
        server.api("POST", run, "{", {"Content-Type": content_type})
    server.api("POST", "/v1/image", {"name": "other", "baseImageName": "none-such"})
    server.api("POST", "/v1/function", {**bodies["function"], "name": "other", "image": "none-such"})
    server.function(name + "-bad", "def handle(", wanted="ERROR")
    server.api("POST", run + "-bad", {"blocking": True})
    image = f"/v1/function/{name}/image"
    for path in (image, image + "?tag=%2f", "/v1/function/none-such/image", "/v1/function/!!/image",
                 f"/v1/function/{name}-bad/image"):
        server.api("GET", path, timeout_s=120)
    for path, body in ((image, {}), (image, "{"), ("/v1/function/none-such/image", {"reference": "x.example/y"}),
                       (f"/v1/function/{name}-bad/image", {"reference": "x.example/y"})):
        server.api("POST", path, body, {"Content-Type": "application/json"})
    server.api("POST", image, "{", {"Content-Type": "text/plain"})
    for path in (run, "/v1/runs?since=x", "/v1/runs?since=%zz", "/v1/runs/%zz", f"/v1/runs/{done.json['name']}", "/v1/runs/x",
                 "/v1/runs/00000000-0000-4000-8000-000000000000"):
        server.api("GET", path)
    server.function(name + "-waits", "import time\ndef handle(context, payload):\n    while True:\n        time.sleep(0.05)\n")
    waiting = server.run(name + "-waits", blocking=False)["name"]
    for path in (f"/v1/runs/{waiting}", f"/v1/runs/{done.json['name']}", "/v1/runs/x", "/v1/runs/00000000-0000-4000-8000-000000000000",
                 f"/v1/runs/{waiting}?functionName=%zz"):
        server.api("DELETE", path)
    for path in ("/v1/instances", f"/v1/instances?functionName={name}", "/v1/instances?functionName=none-such", "/v1/instances?functionName=%zz",
                 f"/v1/function/{name}/pool", "/v1/function/none-such/pool", "/v1/function/%zz/pool", "/v1/function/!!/pool"):
        server.api("GET", path)
    server.api("GET", "/v1/instances", headers={"X-Dispatch-Org": "!!"})
    for path in ("/v1/version", "/healthz", "/readyz", "/metrics", "/openapi.json"):
        server.api("GET", path, headers={"If-None-Match": server.api("GET", path).headers["ETag"] or '""'})
    for method in ("GET", "POST"):
        harness.poll(lambda: server.api(method, "/v1/gc").status == 200, what="a collection of garbage")
    for kind in reversed(bodies):
        server.api("DELETE", f"/v1/{kind}/{bodies[kind]['name']}")
        server.api("DELETE", f"/v1/{kind}/none-such")


@NEEDS_JSONSCHEMA
def test_what_the_server_says_is_what_is_described(server, name, document):
    server.description = openapi.Description(document)
    conversation(server, name)
    seen = server.description.seen
    pushes = [("/v1/function/{functionName}/image", "post")]  # tests/images/test_export.py has a registry for them
    missing = [(path, method) for path, _, method, operation in operations(document) if (path, method) not in pushes
               for status in operation["responses"]
               if status < "300" and (path, method.upper(), int(status)) not in seen]
    assert missing == []
    # What only a broken, ending or crowded server or function store says, and what needs a body of ten megabytes or credentials.
    rare = {"401", "413", "429", "500", "502", "503"} | {"403", "504"}  # of registries, and of what takes too long
    unseen = {(path, method.upper(), status) for path, _, method, operation in operations(document)
              for status in operation["responses"] if status not in rare and (path, method.upper(), int(status)) not in seen
              and ((path, method) not in pushes or status != "200")}
    assert sorted(unseen) == []
