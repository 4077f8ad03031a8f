"""Organizations and projects: names are unique in each, and nothing of one is seen, changed or used from another."""
import json
import os

import pytest

import harness

WHO = "def handle(ctx, payload):\n    return [{word!r}, ctx['secrets'].get('k')]\n"


def scope(organization=None, project=None):
    return {"X-Dispatch-Org": organization or "o" + os.urandom(4).hex(), "X-Dispatch-Project": project or "p" + os.urandom(4).hex()}


def ready(server, kind, name, headers, wanted="READY"):
    def settled():
        body = server.api("GET", f"/v1/{kind}/{name}", headers=headers).json
        return body if body["status"] in ("READY", "ERROR") else None
    found = harness.poll(settled, 30, f"{kind} {name} {wanted}")
    assert found["status"] == wanted, found
    return found


def bodies(name, function=None):
    return {
        "secret": {"name": name, "secrets": {"k": function or name}},
        "image": {"name": name, "baseImageName": harness.PYTHON_BASE},
        "function": {"name": name, "image": name, "secrets": [name],
                     "source": harness.pack({"f.py": WHO.format(word=function or name)})},
        "endpoint": {"name": name, "function": name, "uris": [f"/{name}"], "methods": ["GET"], "enabled": True},
    }


def make(server, headers, name, word):
    for kind, body in bodies(name, word).items():
        reply = server.api("POST", f"/v1/{kind}", body, headers)
        assert reply.status in (200, 201), reply
        assert (reply.json["meta"] if kind == "secret" else reply.json)["project"] == headers["X-Dispatch-Project"]
    ready(server, "function", name, headers)


def test_the_same_names_in_each_project(server, name):
    first = scope()
    scopes = [first, scope(organization=first["X-Dispatch-Org"]), scope(project=first["X-Dispatch-Project"])]
    for number, headers in enumerate(scopes):
        make(server, headers, name, f"word-{number}")
    for number, headers in enumerate(scopes):
        word = [f"word-{number}"] * 2
        run = server.api("POST", f"/v1/runs?functionName={name}", {"blocking": True, "input": {}}, headers)
        assert run.json["output"] == word
        host = f"{headers['X-Dispatch-Project']}.{headers['X-Dispatch-Org']}.dispatch.local"
        assert server.gateway("GET", f"/{name}", host=host).json == word
        for kind in ("secret", "image", "function", "endpoint", "api"):
            assert [each["name"] for each in server.api("GET", f"/v1/{kind}", headers=headers).json] == [name]
            assert server.api("POST", f"/v1/{kind}", {**bodies(name)["endpoint" if kind == "api" else kind]},
                              headers).status == 409
        runs = harness.poll(lambda h=headers: (got := server.api("GET", "/v1/runs", headers=h).json)[1:] and got, 20, "two runs")
        assert {json.dumps(each["output"]) for each in runs} == {json.dumps(word)}
    # what goes from one stays in the others
    for kind in ("endpoint", "function", "image", "secret"):
        assert server.api("DELETE", f"/v1/{kind}/{name}", headers=scopes[0]).status in (200, 204)
    assert server.api("GET", "/v1/runs", headers=scopes[0]).json == []
    for headers in scopes[1:]:
        assert server.api("POST", f"/v1/runs?functionName={name}", {"blocking": True}, headers).status == 200
        assert len(server.api("GET", "/v1/runs", headers=headers).json) == 3


@pytest.mark.parametrize("other", [scope(), {"X-Dispatch-Org": "", "X-Dispatch-Project": ""}, {}])
def test_what_is_in_another_project_is_not_there(server, name, other):
    mine = scope()
    make(server, mine, name, "mine")
    run = server.api("POST", f"/v1/runs?functionName={name}", {"blocking": True}, mine).json["name"]
    for kind, body in bodies(name).items():
        for method, sent in (("GET", None), ("PUT", body), ("DELETE", None)):
            assert server.api(method, f"/v1/{kind}/{name}", sent, other).status == 404, (method, kind)
        assert name not in [each["name"] for each in server.api("GET", f"/v1/{kind}", headers=other).json]
    assert server.api("GET", f"/v1/runs/{run}", headers=other).status == 404
    assert server.api("GET", f"/v1/runs/{run}", headers=mine).status == 200
    assert run not in [each["name"] for each in server.api("GET", "/v1/runs", headers=other).json]
    reply = server.api("POST", f"/v1/runs?functionName={name}", {"blocking": True}, other)
    assert (reply.status, reply.json["message"]) == (404, f"function {name} not found")
    reply = server.api("POST", "/v1/function", bodies(name)["function"], other)
    assert (reply.status, reply.json["message"]) == (404, f"image {name} not found")


def test_what_another_project_has_cannot_be_used(server, name):
    mine, other = scope(), scope()
    make(server, mine, name, "mine")
    assert server.api("POST", "/v1/image", bodies(name)["image"], other).status == 201
    # its secret, from a function and from a run
    reply = server.api("POST", "/v1/function", bodies(name)["function"], other)
    assert reply.status == 201
    assert f"secret {name} not found" in "\n".join(ready(server, "function", name, other, "ERROR")["reason"])
    body = {key: value for key, value in bodies(f"{name}-2")["function"].items() if key != "secrets"}
    assert server.api("POST", "/v1/function", {**body, "image": name}, other).status == 201
    ready(server, "function", f"{name}-2", other)
    run = server.api("POST", f"/v1/runs?functionName={name}-2", {"blocking": True, "secrets": [name]}, other).json
    assert run["status"] == "ERROR" and f"secret {name} not found" in run["error"]["message"]
    # its function, from an endpoint
    assert server.api("POST", "/v1/endpoint", {**bodies(f"{name}-e")["endpoint"], "function": f"{name}-none"}, other).status == 200
    host = f"{other['X-Dispatch-Project']}.{other['X-Dispatch-Org']}.dispatch.local"
    assert server.gateway("GET", f"/{name}-e", host=host).status == 404


def test_base_images_belong_to_the_organization(server, name):
    one = scope()
    same = scope(organization=one["X-Dispatch-Org"])
    body = {"name": name, "dockerUrl": harness.PYTHON_BASE, "language": "python3"}
    assert server.api("POST", "/v1/baseimage", body, one).status == 201
    assert server.api("POST", "/v1/baseimage", body, same).status == 409
    assert [each["name"] for each in server.api("GET", "/v1/baseimage", headers=same).json] == [name]
    assert server.api("POST", "/v1/image", {"name": name, "baseImageName": name}, same).status == 201
    ready(server, "image", name, same)
    for other in (scope(), scope(project=one["X-Dispatch-Project"])):
        assert server.api("GET", f"/v1/baseimage/{name}", headers=other).status == 404
        assert server.api("DELETE", f"/v1/baseimage/{name}", headers=other).status == 404
        reply = server.api("POST", "/v1/image", {"name": name, "baseImageName": name}, other)
        assert (reply.status, reply.json["message"]) == (404, f"base image {name} not found")
        assert server.api("POST", "/v1/baseimage", body, other).status == 201


@pytest.mark.parametrize("header", ["X-Dispatch-Org", "X-Dispatch-Project"])
def test_names_of_scopes(server, header):
    assert server.api("GET", "/v1/secret", headers={header: "!!"}).json["code"] == 605
    assert server.api("GET", "/v1/secret", headers={header: "x" * 65}).json["code"] == 603
    assert server.api("GET", "/v1/secret", headers={header: ""}).status == 200
