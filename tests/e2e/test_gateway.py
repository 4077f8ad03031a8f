"""Endpoints: which request reaches which function, what becomes of it as payload, and how errors look (contract 0.7,
7.4)."""
import json

import pytest

import harness
from harness import DEFAULT_HOST

ECHO = """
def handle(ctx, payload):
    if isinstance(payload, (bytes, bytearray)):
        return {"type": "bytes", "hex": bytes(payload).hex()}
    return {"type": type(payload).__name__, "value": payload}
"""
WHO = "def handle(ctx, payload):\n    return '%s'\n"
RAISES = """
import sys
def handle(ctx, payload):
    kind = payload.get("kind")
    if kind == "value":
        raise ValueError("not like this")
    if kind == "other":
        raise RuntimeError("broken inside")
    if kind == "exit":
        import os
        os._exit(3)
    if kind == "unserialisable":
        return object()
    return "fine"
"""


@pytest.fixture(scope="module")
def echo(server):
    server.function("echo", ECHO)
    server.endpoint("echo", "echo", ["/echo"], ["GET", "POST", "PUT", "DELETE"])
    return server


@pytest.fixture(scope="module")
def raises(server):
    server.function("raises", RAISES)
    server.endpoint("raises", "raises", ["/raises"])
    return server


@pytest.mark.parametrize("query, value", [
    ("", {}),
    ("?a=1&b=two", {"a": "1", "b": "two"}),
    ("?a=1&a=2", {"a": ["1", "2"]}),
    ("?a=b%20c%2Bd+e&%C3%BC=%E2%82%AC", {"a": "b c+d e", "ü": "€"}),
    ("?flag&empty=", {"flag": "", "empty": ""}),
])
def test_a_query_becomes_an_object_of_strings(echo, query, value):
    reply = echo.gateway("GET", "/echo" + query)
    assert reply.status == 200 and reply.headers["Content-Type"].startswith("application/json")
    assert reply.json == {"type": "dict", "value": value}


@pytest.mark.parametrize("content_type, body, expected", [
    ("application/json", '{"a": [1, 2.5, null, true, "x"]}', {"type": "dict", "value": {"a": [1, 2.5, None, True, "x"]}}),
    ("application/json; charset=utf-8", '"ü"', {"type": "str", "value": "ü"}),
    ("application/json", "7", {"type": "int", "value": 7}),
    ("application/x-www-form-urlencoded", "a=1&b=x+y", {"type": "dict", "value": {"a": "1", "b": "x y"}}),
    ("application/x-www-form-urlencoded; charset=utf-8", "a=1", {"type": "dict", "value": {"a": "1"}}),
    ("text/plain", "plain", {"type": "bytes", "hex": b"plain".hex()}),
    ("application/octet-stream", b"\x00\xff\x80", {"type": "bytes", "hex": "00ff80"}),
    ("image/png; x=y", b"\x89PNG", {"type": "bytes", "hex": "89504e47"}),
])
def test_a_body_becomes_the_payload_by_its_content_type(echo, content_type, body, expected):
    reply = echo.gateway("POST", "/echo", body, {"Content-Type": content_type})
    assert reply.status == 200, reply
    assert reply.json == expected


def test_no_body_and_no_content_type_is_an_empty_object(echo):
    assert echo.gateway("POST", "/echo").json == {"type": "dict", "value": {}}


def test_a_body_that_is_no_json(echo):
    reply = echo.gateway("POST", "/echo", "{", {"Content-Type": "application/json"})
    assert reply.status == 400 and reply.json["message"] == "request body is not json" and reply.json["code"] == 400


def test_a_content_type_that_is_none(echo):
    reply = echo.gateway("POST", "/echo", "x", {"Content-Type": "nonsense"})
    assert reply.status == 415, reply


def test_an_unknown_path_or_host_is_a_404(echo):
    for path, host in (("/nothing", DEFAULT_HOST), ("/echo", "elsewhere.example.com"), ("/echo/", DEFAULT_HOST)):
        reply = echo.gateway("GET", path, host=host)
        assert (reply.status, reply.json["code"]) == (404, 404)
        assert reply.json["message"] == "no API found with those values"


def test_a_known_path_with_another_method_is_a_405_with_allow(echo):
    reply = echo.gateway("PATCH", "/echo")
    assert reply.status == 405 and reply.json["code"] == 405
    assert {method.strip() for method in reply.headers["Allow"].split(",")} >= {"GET", "POST", "PUT", "DELETE"}


def test_the_host_may_carry_a_port_and_any_case(echo):
    for host in (f"{DEFAULT_HOST}:{echo.gateway_port}", DEFAULT_HOST.upper()):
        assert echo.gateway("GET", "/echo", host=host).status == 200


def test_exact_before_the_longest_prefix_and_a_given_host_before_any(server):
    for name in ("exact", "short", "long", "hosted"):
        server.function("who-" + name, WHO % name)
    server.endpoint("who-exact", "who-exact", ["/tree/leaf"])
    server.endpoint("who-short", "who-short", ["/tree/*"])
    server.endpoint("who-long", "who-long", ["/tree/branch/*"])
    server.endpoint("who-hosted", "who-hosted", ["/tree/*"], hosts=["Given.example.com"])
    for path, host, expected in (("/tree/leaf", DEFAULT_HOST, "exact"), ("/tree/other", DEFAULT_HOST, "short"),
                                 ("/tree/branch/x/y", DEFAULT_HOST, "long"), ("/tree/leaf", "given.example.com", "hosted"),
                                 ("/tree/leaf?x=1", DEFAULT_HOST, "exact")):
        reply = server.gateway("GET", path, host=host)
        assert (reply.status, reply.json) == (200, expected), (path, host, reply)
    assert server.gateway("GET", "/treehouse").status == 404


def test_two_endpoints_for_the_same_requests_are_a_conflict(server, name):
    server.endpoint(name, "any", ["/contested"], ["GET", "POST"])
    body = {"name": name + "-b", "function": "any", "uris": ["/contested"], "methods": ["POST"], "protocols": ["http"],
            "enabled": True}
    reply = server.api("POST", "/v1/endpoint", body)
    assert reply.status == 409 and name in reply.json["message"] and "/contested" in reply.json["message"]
    assert server.api("GET", f"/v1/endpoint/{name}-b").status == 404
    assert server.api("POST", "/v1/endpoint", {**body, "methods": ["PUT"]}).status == 200
    assert server.api("PUT", f"/v1/endpoint/{name}-b", {**body, "methods": ["PUT", "GET"]}).status == 409


def test_a_change_of_an_endpoint_is_seen_by_the_next_request(server, name):
    server.function(name, WHO % "it")
    server.endpoint(name, name, [f"/{name}/a"])
    assert server.gateway("GET", f"/{name}/a").status == 200
    body = {"name": name, "function": name, "uris": [f"/{name}/b"], "methods": ["GET"], "protocols": ["http"], "enabled": True}
    assert server.api("PUT", f"/v1/endpoint/{name}", body).status == 200
    assert (server.gateway("GET", f"/{name}/a").status, server.gateway("GET", f"/{name}/b").status) == (404, 200)
    assert server.api("DELETE", f"/v1/endpoint/{name}").status == 200
    assert server.gateway("GET", f"/{name}/b").status == 404


def test_a_disabled_endpoint_is_not_there(server, name):
    server.endpoint(name, "any", [f"/{name}"], enabled=False)
    assert server.gateway("GET", f"/{name}").status == 404


def test_an_endpoint_of_a_missing_function(server, name):
    server.endpoint(name, "none-such", [f"/{name}"])
    reply = server.gateway("GET", f"/{name}")
    assert reply.status == 404 and reply.json["message"] == "function none-such not found"


def test_cors(server, name):
    server.function(name, WHO % "it")
    server.endpoint(name, name, [f"/{name}"], cors=True)
    reply = server.gateway("OPTIONS", f"/{name}")
    assert reply.status == 200 and reply.body == b""
    for reply in (reply, server.gateway("GET", f"/{name}")):
        for field in ("Origin", "Methods", "Headers"):
            assert reply.headers[f"Access-Control-Allow-{field}"] == "*"


def test_a_request_that_does_not_block(server, name):
    server.function(name, "def handle(ctx, payload):\n    return 1\n")
    server.endpoint(name, name, [f"/{name}"])
    reply = server.gateway("GET", f"/{name}", headers={"X-Dispatch-Blocking": "false"})
    assert reply.status == 200 and reply.body == b""
    harness.poll(lambda: [run for run in server.api("GET", f"/v1/runs?functionName={name}").json
                          if run["status"] == "READY"], 10, "the run that was started")


@pytest.mark.parametrize("kind, status, error_type, text", [
    ("value", 400, "InputError", "not like this"), ("other", 500, "FunctionError", "broken inside")])
def test_errors_of_the_handler(raises, kind, status, error_type, text):
    reply = raises.gateway("GET", f"/raises?kind={kind}")
    assert (reply.status, reply.json["code"]) == (status, status), reply
    error = reply.json["error"]
    assert error["type"] == error_type and text in error["message"]
    assert "stacktrace" not in error, "a stranger sees the code"
    reply = raises.gateway("GET", f"/raises?kind={kind}", headers={"X-Dispatch-Org": "dispatch-server"})
    assert any("handler.py" in line for line in reply.json["error"]["stacktrace"]), reply


def test_a_handler_that_ends_its_process_fails_that_run_alone(raises):
    reply = raises.gateway("GET", "/raises?kind=exit")
    assert reply.status in (500, 502), reply
    assert raises.gateway("GET", "/raises?kind=none").json == "fine"


def test_a_result_that_cannot_be_sent_is_a_function_error(raises):
    reply = raises.gateway("GET", "/raises?kind=unserialisable")
    assert reply.status == 500 and reply.json["error"]["type"] == "FunctionError"


def test_a_failing_run_leaves_the_connection_usable(raises):
    received = harness.raw(raises.gateway_port, b"".join(
        b"GET /raises?kind=%s HTTP/1.1\r\nHost: %s\r\n%s\r\n" % (kind, DEFAULT_HOST.encode(), close)
        for kind, close in ((b"other", b""), (b"none", b"Connection: close\r\n"))))
    assert received.count(b"HTTP/1.1 ") == 2 and received.startswith(b"HTTP/1.1 500") and received.rstrip().endswith(b'"fine"')


def test_a_large_body_goes_both_ways(echo):
    text = "x" * (5 << 20)
    reply = echo.gateway("POST", "/echo", json.dumps(text), {"Content-Type": "application/json"}, timeout_s=60)
    assert reply.status == 200 and reply.json["value"] == text


def test_a_body_past_the_limit_is_a_413(echo):
    reply = echo.gateway("POST", "/echo", b"x" * (11 << 20), {"Content-Type": "application/octet-stream"}, timeout_s=60)
    assert reply.status == 413 and reply.json["code"] == 413


def test_the_same_path_in_two_projects(server, name):
    for project in ("blue", "green"):
        headers = {"X-Dispatch-Project": project}
        assert server.api("POST", "/v1/image", {"name": "python3", "baseImageName": harness.PYTHON_BASE},
                          headers).status in (201, 409)
        body = {"name": name, "source": harness.pack({"h.py": WHO % project}), "image": "python3"}
        assert server.api("POST", "/v1/function", body, headers).status == 201
        harness.poll(lambda: server.api("GET", f"/v1/function/{name}", headers=headers).json["status"] == "READY", 30)
        body = {"name": name, "function": name, "uris": [f"/{name}"], "methods": ["GET"], "protocols": ["http"],
                "enabled": True}
        assert server.api("POST", "/v1/endpoint", body, headers).status == 200
    for project in ("blue", "green"):
        reply = server.gateway("GET", f"/{name}", host=f"{project}.dispatch-server.dispatch.local")
        assert (reply.status, reply.json) == (200, project)
