"""The errors of the API: statuses, codes and messages of contract 6.1, and what 0.2 says of duplicates and what is
missing."""
import re

import pytest

import harness

FRIENDLY = "name should start with letter or number and may only contain letters, numbers, underscores and dashes"
HELLO = "def handle(ctx, payload):\n    return 1\n"
JSON = {"Content-Type": "application/json"}


def assert_error(reply, status, code, message):
    assert reply.status == status, reply
    assert reply.json["code"] == code, reply
    if isinstance(message, re.Pattern):
        assert message.search(reply.json["message"]), reply
    else:
        assert reply.json["message"] == message, reply


def bodies(name):
    return {
        "baseimage": {"name": name, "dockerUrl": harness.PYTHON_BASE, "language": "python3"},
        "image": {"name": name, "baseImageName": harness.PYTHON_BASE},
        "function": {"name": name, "source": harness.pack({"hello.py": HELLO}), "image": "python3"},
        "secret": {"name": name, "secrets": {"a": "b"}},
        "endpoint": {"name": name, "function": "any", "uris": [f"/{name}"], "methods": ["GET"],
                     "protocols": ["http"], "enabled": True},
    }


LABELS = {"baseimage": "base image", "image": "image", "function": "function", "secret": "secret", "endpoint": "endpoint"}


@pytest.mark.parametrize("kind, field", [("baseimage", "name"), ("baseimage", "dockerUrl"), ("baseimage", "language"),
                                         ("image", "name"), ("image", "baseImageName"), ("function", "name"),
                                         ("endpoint", "name"), ("endpoint", "function")])
@pytest.mark.parametrize("as_null", [False, True])
def test_a_required_field_is_missing(server, name, kind, field, as_null):
    body = bodies(name)[kind]
    if as_null:
        body[field] = None
    else:
        del body[field]
    assert_error(server.api("POST", f"/v1/{kind}", body), 422, 602, f"{field} in body is required")


@pytest.mark.parametrize("kind", LABELS)
def test_the_body_is_missing(server, kind):
    assert_error(server.api("POST", f"/v1/{kind}", headers=JSON), 422, 602, re.compile(r"^\w+ in body is required$"))


@pytest.mark.parametrize("kind", ["baseimage", "image", "function", "endpoint"])
@pytest.mark.parametrize("bad", ["a b", "-a", "a/b", ""])
def test_a_name_that_is_none(server, kind, bad):
    assert_error(server.api("POST", f"/v1/{kind}", bodies(bad)[kind]), 422, 605, FRIENDLY)


@pytest.mark.parametrize("kind", LABELS)
def test_a_path_name_that_is_none(server, kind):
    assert_error(server.api("GET", f"/v1/{kind}/!!"), 422, 605, re.compile(r" in path should match '"))


def test_an_organization_that_is_none(server):
    reply = server.api("GET", "/v1/function", headers={"X-Dispatch-Org": "!!"})
    assert_error(reply, 422, 605, re.compile(r"^X-Dispatch-Org in header should match '"))


def test_a_parameter_of_the_wrong_type(server):
    assert_error(server.api("GET", "/v1/runs?since=abc"), 422, 601, 'since in query must be of type int64: "abc"')
    assert_error(server.api("GET", "/v1/runs/notuuid"), 422, 601, 'runName in path must be of type uuid: "notuuid"')


@pytest.mark.parametrize("kind", LABELS)
def test_a_body_that_is_no_json(server, kind):
    what = "secret" if kind == "secret" else "body"
    assert_error(server.api("POST", f"/v1/{kind}", "{", JSON), 400, 400,
                 re.compile(f'^parsing {what} body from "" failed, because '))


def test_a_field_of_the_wrong_json_type(server, name):
    body = {**bodies(name)["function"], "timeout": "soon"}
    assert_error(server.api("POST", "/v1/function", body), 400, 400, re.compile('^parsing body body from "" failed, because '))


def test_a_source_that_is_no_base64(server, name):
    body = {**bodies(name)["function"], "source": "!!!!"}
    assert_error(server.api("POST", "/v1/function", body), 400, 400,
                 re.compile("because illegal base64 data at input byte 0$"))


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded"])
def test_a_content_type_that_is_not_json(server, content_type):
    assert_error(server.api("POST", "/v1/function", "{}", {"Content-Type": content_type}), 415, 415,
                 f'unsupported media type "{content_type}", only [application/json] are allowed')


@pytest.mark.parametrize("kind", LABELS)
def test_a_method_that_is_not_there(server, kind):
    reply = server.api("PATCH", f"/v1/{kind}/x", {})
    assert_error(reply, 405, 405, re.compile(r"^method PATCH is not allowed, but \[[A-Z,]+\] are$"))
    assert set(re.findall("[A-Z]+", reply.headers["Allow"])) >= {"GET", "PUT", "DELETE"}


@pytest.mark.parametrize("path", ["/v2/function", "/v1/nothing", "/nothing"])
def test_a_path_outside_the_api(server, path):
    assert_error(server.api("GET", path), 404, 404, "resource does not exist")


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_what_is_missing_is_a_404(server, kind, method):
    body = bodies("none-such")[kind] if method == "PUT" else None
    reply = server.api(method, f"/v1/{kind}/none-such", body, JSON)
    assert_error(reply, 404, 404, f"{LABELS[kind]} none-such not found")


def test_a_run_that_is_missing_is_a_404(server):
    reply = server.api("GET", "/v1/runs/00000000-0000-4000-8000-000000000000")
    assert_error(reply, 404, 404, re.compile("not found"))


@pytest.mark.parametrize("kind", LABELS)
def test_a_duplicate_is_a_409(server, name, kind):
    first = server.api("POST", f"/v1/{kind}", bodies(name)[kind])
    assert first.status == (200 if kind == "endpoint" else 201), first
    assert_error(server.api("POST", f"/v1/{kind}", bodies(name)[kind]), 409, 409, f"{LABELS[kind]} {name} already exists")


def test_an_unknown_image_at_function_creation_is_a_404(server, name):
    body = {**bodies(name)["function"], "image": "none-such"}
    assert_error(server.api("POST", "/v1/function", body), 404, 404, re.compile("image none-such not found"))


def test_a_base_image_name_that_is_neither_name_nor_reference_is_a_404(server, name):
    assert_error(server.api("POST", "/v1/image", {"name": name, "baseImageName": "nobase"}), 404, 404,
                 re.compile("nobase"))


def test_a_reference_that_nothing_resolves_is_an_error_that_says_what_to_do(server, name):
    reply = server.api("POST", "/v1/image", {"name": name, "baseImageName": "example.com/other/thing:1"})
    assert reply.status == 201
    found = server.wait_status("image", name, "ERROR")
    assert found["reason"] and "example.com/other/thing" in found["reason"][0]


def test_a_run_of_a_function_that_is_missing(server):
    reply = server.api("POST", "/v1/runs?functionName=none-such", {"blocking": True, "input": {}})
    assert_error(reply, 404, 404, "function none-such not found")


def test_unknown_keys_and_a_trailing_slash_are_accepted(server, name):
    body = {**bodies(name)["image"], "fromTheFuture": [1]}
    assert server.api("POST", "/v1/image/", body).status == 201
    assert server.api("GET", "/v1/image/").status == 200


def test_another_accept_header_is_not_refused(server):
    assert server.api("GET", "/v1/image", headers={"Accept": "text/html"}).status == 200


def test_an_old_revision_is_a_conflict(server, name):
    body = bodies(name)["baseimage"]
    made = server.api("POST", "/v1/baseimage", body).json
    assert isinstance(made["revision"], str) and made["revision"]
    old = {**body, "revision": made["revision"]}
    assert server.api("PUT", f"/v1/baseimage/{name}", old).status == 200
    assert server.api("PUT", f"/v1/baseimage/{name}", old).status == 409
    assert server.api("PUT", f"/v1/baseimage/{name}", {**body, "revision": ""}).status == 200
    reply = server.api("PUT", f"/v1/baseimage/{name}", body, {"If-Match": f'"{made["revision"]}"'})
    assert reply.status == 412, reply


def test_an_old_revision_of_a_secret_is_a_conflict(server, name):
    made = server.api("POST", "/v1/secret", bodies(name)["secret"]).json
    body = {"meta": {"name": name, "revision": made["meta"]["revision"]}, "name": name, "secrets": {}}
    assert server.api("PUT", f"/v1/secret/{name}", body).status == 201
    assert server.api("PUT", f"/v1/secret/{name}", body).status == 409


def test_organizations_do_not_see_each_other(server, name):
    assert server.api("POST", "/v1/secret", bodies(name)["secret"], {"X-Dispatch-Org": "other"}).status == 201
    assert server.api("GET", f"/v1/secret/{name}").status == 404
    assert server.api("GET", f"/v1/secret/{name}", headers={"X-Dispatch-Org": "other"}).status == 200
    assert server.api("POST", "/v1/secret", bodies(name)["secret"]).status == 201


def test_a_body_past_the_limit_is_refused_and_named(server, name):
    body = {**bodies(name)["secret"], "secrets": {"big": "x" * (100 << 20)}}
    reply = server.api("POST", "/v1/secret", body)
    assert reply.status == 413 and "limit" in reply.json["message"].lower()
