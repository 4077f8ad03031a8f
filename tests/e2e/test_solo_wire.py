"""The SOLO client on the wire (contract 5, 7.3, 7.4, 8.4): flat objects whose lists are always there, /v1/api, runs with
`input`, and archives without an end."""
import pytest

import goclient
import harness

HELLO = 'def handle(ctx, payload):\n    print("seen")\n    return {"got": payload, "secrets": ctx["secrets"]}\n'
PROTOCOLS = ["http", "https"]


@pytest.fixture
def solo(server):
    client = goclient.GoClient(server.port, cookie="unset")
    yield client
    client.close()


def function_body(name, **more):
    return {"source": harness.pack({"hello.py": HELLO}, trailer=False), "image": "python3", "handler": "", "name": name,
            "reason": None, "schema": {}, "secrets": [], "services": [], "tags": [], **more}


def api_body(name, **more):
    return {"authentication": "public", "enabled": True, "function": name, "hosts": [], "methods": ["GET"], "name": name,
            "protocols": PROTOCOLS, "tags": [], "uris": [f"/{name}"], **more}


def assert_has(body, **fields):
    assert {key: body.get(key, "absent") for key in fields} == fields


def test_base_images_and_images(solo, name):
    status, made = solo.call("POST", "/v1/baseimage", {"dockerUrl": harness.PYTHON_BASE, "groups": None, "language": "python3",
                                                       "name": name, "reason": None, "tags": None})
    assert status == 201 and made["id"], made
    assert_has(made, name=name, kind="BaseImage", status="INITIALIZED", groups=None, reason=None, tags=None)
    status, made = solo.call("POST", "/v1/image", {"baseImageName": name, "groups": None, "name": name, "reason": None,
                                                   "runtimeDependencies": {}, "systemDependencies": {"packages": None},
                                                   "tags": None})
    assert status == 201, made
    assert_has(made, name=name, kind="Image", groups=None, reason=None, tags=None)
    found = solo.settled(f"/v1/image/{name}")
    assert found["language"] == "python3" and found["dockerUrl"]
    for kind, label in (("image", "image"), ("baseimage", "base image")):
        status, deleted = solo.call("DELETE", f"/v1/{kind}/{name}")
        assert status == 200 and deleted["name"] == name, deleted
        assert solo.call("GET", f"/v1/{kind}/{name}") == (404, {"code": 404, "message": f"{label} {name} not found"})


def test_functions_and_runs(solo, name):
    status, made = solo.call("POST", "/v1/function", function_body(name))
    assert status == 201 and made["id"] and made["faasId"] and "source" not in made, made
    assert_has(made, name=name, kind="Function", status="INITIALIZED", handler="", image="python3", reason=None, secrets=None,
               services=None, tags=None)
    assert solo.call("POST", "/v1/function", function_body(name)) == (
        409, {"code": 409, "message": f"function {name} already exists"})
    solo.settled(f"/v1/function/{name}")

    sent = {"blocking": True, "input": {"name": "Jon"}, "reason": None, "secrets": [], "services": None, "tags": None}
    status, run = solo.call("POST", f"/v1/runs?functionName={name}", sent)
    assert status == 200, run
    assert_has(run, status="READY", blocking=True, input={"name": "Jon"}, output={"got": {"name": "Jon"}, "secrets": {}},
               logs={"stdout": ["seen"], "stderr": None}, reason=None, secrets=None, services=None, tags=None,
               functionName=name, functionId=made["id"])
    del sent["blocking"]
    status, run = solo.call("POST", f"/v1/runs?functionName={name}", {**sent, "input": {}})
    assert status == 202 and run["status"] == "INITIALIZED" and run["name"], run
    def over():
        _, body = solo.call("GET", f"/v1/runs/{run['name']}?functionName={name}")
        return body["status"] == "READY" and body
    assert harness.poll(over, 20, "the run is READY")["output"]["got"] == {}

    status, deleted = solo.call("DELETE", f"/v1/function/{name}")
    assert status == 200 and deleted["name"] == name and deleted["status"] == "DELETING"
    assert solo.call("GET", f"/v1/runs?functionName={name}&since=0") == (200, [])
    assert solo.call("GET", f"/v1/runs/{run['name']}")[0] == 404


def test_runs_that_cannot_be(solo, name):
    assert solo.call("POST", "/v1/runs", {"input": {}}) == (
        400, {"code": 400, "message": "Bad Request: No function specified"})
    assert solo.call("POST", "/v1/runs?functionName=none", {"input": {}}) == (
        404, {"code": 404, "message": "function none not found"})
    assert solo.call("GET", "/v1/runs?functionName=none") == (200, [])
    assert solo.call("POST", "/v1/function", function_body(name, source=None)) == (
        400, {"code": 400, "message": "either source or sourceURL must be specified"})
    solo.call("POST", "/v1/function", function_body(name, source=harness.pack({"hello.py": "def handle(\n"})))
    solo.settled(f"/v1/function/{name}", "ERROR")
    status, refused = solo.call("POST", f"/v1/runs?functionName={name}", {"blocking": True, "input": {}})
    assert status == 409 and "SyntaxError" in refused["message"], refused


def test_a_run_that_failed_is_a_200(solo, name):
    code = "def handle(ctx, payload):\n    raise Exception('no way')\n"
    solo.call("POST", "/v1/function", function_body(name, source=harness.pack({"f.py": code}, trailer=False)))
    solo.settled(f"/v1/function/{name}")
    status, run = solo.call("POST", f"/v1/runs?functionName={name}", {"blocking": True, "input": {}})
    assert status == 200 and run["status"] == "ERROR" and run["reason"] == [f"error running function: {name}: no way"]
    assert run["error"]["type"] == "FunctionError" and run["error"]["message"] == "no way" and run["error"]["stacktrace"]


def test_secrets_are_flat(solo, name):
    one, two = f"{name}-one", f"{name}-two"
    for secret, values in ((one, {"a": "1", "same": "one"}), (two, {"b": "2", "same": "two"})):
        status, made = solo.call("POST", "/v1/secret", {"name": secret, "secrets": values, "tags": None})
        assert status == 201 and made["id"], made
        assert_has(made, name=secret, kind="Secret", secrets=values, tags=None)
    solo.call("POST", "/v1/function", function_body(name, secrets=[one]))
    assert solo.settled(f"/v1/function/{name}")["secrets"] == [one]
    status, run = solo.call("POST", f"/v1/runs?functionName={name}", {"blocking": True, "input": {}, "secrets": [two]})
    seen = run["output"]["secrets"]
    assert status == 200 and (seen["a"], seen["b"], seen["same"]) == ("1", "2", "two"), run
    assert run["secrets"] == [one, two]
    status, changed = solo.call("PUT", f"/v1/secret/{one}", {"name": one, "secrets": {"a": "3"}, "tags": None})
    assert status == 201 and changed["secrets"] == {"a": "3"}
    assert solo.call("DELETE", f"/v1/secret/{one}") == (204, None)
    assert solo.call("DELETE", f"/v1/secret/{one}") == (404, {"code": 404, "message": f"secret {one} not found"})


def test_a_secret_that_is_missing_is_the_runs_failure(solo, name):
    solo.call("POST", "/v1/function", function_body(name))
    solo.settled(f"/v1/function/{name}")
    status, run = solo.call("POST", f"/v1/runs?functionName={name}", {"blocking": True, "input": {}, "secrets": ["gone"]})
    assert status == 200 and run["status"] == "ERROR"
    assert run["error"]["message"] == "error when retrieving secrets from secret store: [Code: 404] secret gone not found"


def test_apis(server, solo, name):
    server.function(name, HELLO)
    status, made = solo.call("POST", "/v1/api", api_body(name, methods=["get", "POST"], uris=[f"/{name}", "no-slash"], cors=True))
    assert status == 200 and made["id"], made
    assert_has(made, kind="API", name=name, status="CREATING", authentication="public", cors=True, enabled=True, function=name,
               hosts=None, methods=["GET", "POST"], protocols=PROTOCOLS, tags=None,
               uris=[f"/dispatch-server/{name}", "/dispatch-server/no-slash"])
    assert "project" not in made and "org" not in made
    status, got = solo.call("GET", f"/v1/api/{name}")
    assert status == 200 and got == {**made, "status": "READY", "conditions": got["conditions"]}
    assert name in [each["name"] for each in solo.call("GET", "/v1/api")[1]]
    assert solo.call("POST", "/v1/api", api_body(name)) == (409, {"code": 409, "message": f"API {name} already exists"})
    for host in ("localhost:8081", "127.0.0.1", "anything.example"):
        reply = server.gateway("GET", f"/dispatch-server/{name}?a=1", host=host)
        assert reply.status == 200 and reply.json["got"] == {"a": "1"}, reply
    assert server.gateway("GET", f"/{name}").status == 404

    status, changed = solo.call("PUT", f"/v1/api/{name}", {**got, "methods": ["put"]})
    assert status == 200 and (changed["status"], changed["methods"]) == ("UPDATING", ["PUT"]), changed
    assert changed["uris"] == made["uris"], "a path that came back has its prefix already"
    assert server.gateway("GET", f"/dispatch-server/{name}").status == 405
    status, changed = solo.call("PUT", f"/v1/api/{name}", api_body(name, uris=["/other"]))
    assert status == 200 and changed["uris"] == ["/dispatch-server/other"]

    status, deleted = solo.call("DELETE", f"/v1/api/{name}")
    assert status == 200 and (deleted["name"], deleted["status"]) == (name, "DELETING")
    for method, body in (("GET", None), ("DELETE", None), ("PUT", api_body(name))):
        assert solo.call(method, f"/v1/api/{name}", body) == (404, {"code": 404, "message": f"API {name} not found"})
    assert server.gateway("GET", "/dispatch-server/other").status == 404


def test_an_api_with_hosts_has_its_paths_as_they_are(server, solo, name):
    server.function(name, HELLO)
    status, made = solo.call("POST", "/v1/api", api_body(name, hosts=["A.example.com"], uris=[name]))
    assert status == 200 and made["hosts"] == ["a.example.com"] and made["uris"] == [f"/{name}"], made
    assert server.gateway("GET", f"/{name}", host="a.example.com:8081").status == 200
    assert server.gateway("GET", f"/{name}", host="b.example.com").status == 404


def test_an_api_whose_organization_is_its_path(server, name):
    """POST puts the organization in front whatever the path is; only an update can be a path that came back."""
    client = goclient.GoClient(server.port, organization=name, cookie="unset")
    status, made = client.call("POST", "/v1/api", api_body("a", uris=[f"/{name}", f"/{name}/x"]))
    assert status == 200 and made["uris"] == [f"/{name}/{name}", f"/{name}/{name}/x"], made
    client.close()


def test_one_view_shows_what_the_other_made(server, solo, name):
    server.function(name, HELLO)
    solo.call("POST", "/v1/api", api_body(name, uris=[f"/{name}"]))
    shown = server.api("GET", f"/v1/endpoint/{name}").json
    assert shown["kind"] == "Endpoint" and shown["hosts"] == ["*"] and shown["uris"] == [f"/dispatch-server/{name}"]
    # what SEED's client sends back changes nothing that it does not know
    sent = {key: shown[key] for key in ("name", "cors", "enabled", "function", "hosts", "protocols", "uris") if key in shown}
    assert server.api("PUT", f"/v1/endpoint/{name}", {**sent, "methods": ["GET", "POST"]}).status == 200
    _, got = solo.call("GET", f"/v1/api/{name}")
    assert_has(got, hosts=None, methods=["GET", "POST"], authentication="public", uris=[f"/dispatch-server/{name}"])
    assert server.gateway("POST", f"/dispatch-server/{name}", {}, host="any.example").status == 200

    other = f"{name}-2"
    server.endpoint(other, name, [f"/{other}"])
    _, got = solo.call("GET", f"/v1/api/{other}")
    assert_has(got, kind="API", hosts=[harness.DEFAULT_HOST], uris=[f"/{other}"], status="READY")
    status, changed = solo.call("PUT", f"/v1/api/{other}", {**got, "methods": ["POST"]})
    assert status == 200 and changed["hosts"] == [harness.DEFAULT_HOST] and changed["uris"] == [f"/{other}"]
    assert server.gateway("POST", f"/{other}", {}).status == 200
    reply = server.api("POST", "/v1/endpoint", {"name": other, "function": name, "uris": ["/x"]})
    assert reply.status == 409 and reply.json["message"] == f"endpoint {other} already exists"
    assert {name, other} <= {each["name"] for each in server.api("GET", "/v1/endpoint").json}
    assert {name, other} <= {each["name"] for each in solo.call("GET", "/v1/api")[1]}
    assert solo.call("DELETE", f"/v1/api/{other}")[0] == 200
    assert server.api("GET", f"/v1/endpoint/{other}").status == 404


@pytest.mark.parametrize("fields, message", [
    ({"authentication": "basic"}, "authentication 'basic' is not available"),
    ({"tls": "my-certificate"}, "tls is not available"),
    ({"methods": ["FETCH"]}, "methods in body should be one of"),
    ({"protocols": ["gopher"]}, "protocols in body should be one of [http https]"),
])
def test_an_api_that_cannot_be(solo, name, fields, message):
    status, refused = solo.call("POST", "/v1/api", api_body(name, **fields))
    assert status == 422 and message in refused["message"], refused


def test_apply_is_a_put_and_then_a_post(solo, name):
    for kind, body in (("secret", {"name": name, "secrets": {"a": "b"}}), ("api", api_body(name)),
                       ("function", function_body(name)),
                       ("image", {"name": name, "baseImageName": harness.PYTHON_BASE}),
                       ("baseimage", {"name": name, "dockerUrl": harness.PYTHON_BASE, "language": "python3"})):
        status, refused = solo.call("PUT", f"/v1/{kind}/{name}", body)
        assert status == 404 and refused["code"] == 404, refused
        assert solo.call("POST", f"/v1/{kind}", body)[0] in (200, 201)
        assert solo.call("PUT", f"/v1/{kind}/{name}", body)[0] in (200, 201)
