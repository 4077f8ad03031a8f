"""The SEED client on the wire (contract 1.2, 1.3, 2): what it sends, byte for byte where that matters, and that every
answer has the one status and the fields it does not crash on. Spoken over a raw socket, because no library sends an
empty header or a DELETE with a Content-Type the way it does."""
import base64
import json

import pytest

import harness

HELLO = 'def handle(ctx, payload):\n    return {"myField": "Hello, " + (payload or {}).get("name", "Noone")}\n'


class Seed:
    """One keep-alive connection, as Go's http client makes it."""

    def __init__(self, port):
        self.port = port
        self.socket = harness.dial(port)
        self.file = self.socket.makefile("rb")

    def close(self):
        self.file.close()
        self.socket.close()

    def call(self, method, path, body=None, cookie=False, project=False, org=True):
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", "User-Agent: Go-http-client/1.1"]
        data = b""
        if body is not None:
            data = json.dumps(body).encode() + b"\n"
            # The client streams its bodies: chunked, length unknown.
            lines.append("Transfer-Encoding: chunked")
        lines.append("Accept: application/json")
        if method in ("POST", "PUT", "DELETE"):
            lines.append("Content-Type: application/json")
        if cookie:
            lines.append("Cookie: unset")
        if org:
            lines.append("X-Dispatch-Org: ")
        if project:
            lines.append("X-Dispatch-Project: ")
        lines.append("Accept-Encoding: gzip")
        head = "\r\n".join(lines) + "\r\n\r\n"
        chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data) if body is not None else b""
        self.socket.sendall(head.encode() + chunks)
        return self.read()

    def read(self):
        status = int(self.file.readline().split()[1])
        headers = {}
        while (line := self.file.readline().strip()):
            key, value = line.decode().split(":", 1)
            headers[key.lower()] = value.strip()
        body = b""
        if status != 204:
            if headers.get("transfer-encoding") == "chunked":
                while (size := int(self.file.readline(), 16)):
                    body += self.file.read(size)
                    self.file.readline()
                self.file.readline()
            else:
                body = self.file.read(int(headers.get("content-length", 0)))
        if body:
            assert headers["content-type"].startswith("application/json"), headers
        assert "content-encoding" not in headers
        return status, json.loads(body) if body else None


@pytest.fixture
def seed(server):
    client = Seed(server.port)
    yield client
    client.close()


def function_body(name, **more):
    return {"name": name, "source": harness.pack({"hello.py": HELLO}), "schema": {"in": None, "out": None}, **more}


def test_version_carries_no_organization(seed):
    status, body = seed.call("GET", "/v1/version", org=False)
    assert status == 200 and body["version"]


def test_base_images(seed, name):
    status, body = seed.call("POST", "/v1/baseimage", {
        "name": name, "dockerUrl": harness.PYTHON_BASE, "groups": None, "language": "python3", "reason": None})
    assert status == 201 and (body["name"], body["dockerUrl"]) == (name, harness.PYTHON_BASE)
    assert "groups" in body and "reason" in body
    status, body = seed.call("GET", f"/v1/baseimage/{name}")
    assert status == 200 and body["name"] == name
    status, body = seed.call("GET", "/v1/baseimage")
    assert status == 200 and name in [each["name"] for each in body]
    status, body = seed.call("PUT", f"/v1/baseimage/{name}", {
        "name": name, "dockerUrl": harness.PYTHON_BASE, "groups": None, "language": "python3", "reason": None,
        "kind": "BaseImage"})
    assert status == 200
    status, body = seed.call("DELETE", f"/v1/baseimage/{name}")
    assert status == 200 and body["name"] == name
    status, body = seed.call("GET", f"/v1/baseimage/{name}")
    assert (status, body["code"], body["message"]) == (404, 404, f"base image {name} not found")


def test_images(server, seed, name):
    body = {"name": name, "baseImageName": harness.PYTHON_BASE, "groups": None, "reason": None,
            "runtimeDependencies": {}, "systemDependencies": {"packages": None}}
    status, made = seed.call("POST", "/v1/image", body)
    assert status == 201 and (made["name"], made["baseImageName"]) == (name, harness.PYTHON_BASE)
    assert "groups" in made and "reason" in made
    server.wait_status("image", name)
    status, made = seed.call("GET", f"/v1/image/{name}")
    assert status == 200 and made["status"] == "READY" and made["language"] == "python3"
    assert seed.call("PUT", f"/v1/image/{name}", {**body, "kind": "Image"})[0] == 200
    status, listed = seed.call("GET", "/v1/image")
    assert status == 200 and name in [each["name"] for each in listed]
    assert seed.call("DELETE", f"/v1/image/{name}")[0] == 200
    status, body = seed.call("GET", f"/v1/image/{name}")
    assert (status, body["message"]) == (404, f"image {name} not found")


def test_functions_and_runs(server, seed, name):
    status, made = seed.call("POST", "/v1/function", function_body(name, image="python3", handler="hello.handle"))
    assert status == 201 and made["name"] == name and "source" not in made
    server.wait_status("function", name)

    run = {"blocking": True, "httpContext": {"Accept": "application/json", "Content-Type": "application/json"},
           "inputBytes": base64.b64encode(b'{"name": "user"}').decode()}
    status, body = seed.call("POST", f"/v1/runs?functionName={name}", run)
    assert status == 200 and body["httpContext"]["Content-Type"].startswith("application/json")
    message = json.loads(base64.b64decode(body["outputBytes"]))
    assert message["payload"] == {"myField": "Hello, user"}
    assert list(message["context"]["logs"]) == ["stdout", "stderr"]

    for query in ("?since=-62135596800", f"?functionName={name}&since=-62135596800"):
        status, listed = seed.call("GET", "/v1/runs" + query)
        assert status == 200 and [each for each in listed if each["functionName"] == name]
    one = [each for each in listed if each["functionName"] == name][0]
    assert 1_500_000_000 < one["executedTime"] <= one["finishedTime"] + 1
    status, body = seed.call("GET", f"/v1/runs/{one['name']}?functionName={name}&since=-62135596800")
    assert status == 200 and body["name"] == one["name"] and body["status"] == "READY"

    assert seed.call("PUT", f"/v1/function/{name}", function_body(name, image="python3", handler="hello.handle",
                                                                 kind="Function"))[0] == 200
    server.wait_status("function", name)
    assert seed.call("DELETE", f"/v1/function/{name}", project=True)[0] == 200
    status, body = seed.call("GET", f"/v1/function/{name}")
    assert (status, body["message"]) == (404, f"function {name} not found")


def test_an_empty_standard_input_leaves_input_bytes_out(server, seed, name):
    server.function(name, "def handle(ctx, payload):\n    return [payload]\n")
    status, body = seed.call("POST", f"/v1/runs?functionName={name}", {
        "blocking": True, "httpContext": {"Accept": "application/json", "Content-Type": "application/json"}})
    assert status == 200
    assert json.loads(base64.b64decode(body["outputBytes"]))["payload"] == [None]


def test_secrets_have_both_names_and_their_own_statuses(seed, name):
    status, body = seed.call("POST", "/v1/secret", {"meta": {"name": name}, "secrets": {"user": "white-rabbit"}})
    assert status == 201 and body["name"] == name and body["meta"]["name"] == name
    status, body = seed.call("GET", f"/v1/secret/{name}")
    assert status == 200 and body["secrets"] == {"user": "white-rabbit"}
    status, body = seed.call("PUT", f"/v1/secret/{name}", {"meta": {"name": ""}, "kind": "Secret", "name": name,
                                                           "secrets": {"user": "im-late"}})
    assert status == 201 and body["name"] == name
    status, body = seed.call("GET", "/v1/secret")
    assert status == 200 and name in [each["name"] for each in body]
    assert seed.call("DELETE", f"/v1/secret/{name}") == (204, None)
    status, body = seed.call("GET", f"/v1/secret/{name}")
    assert (status, body["message"]) == (404, f"secret {name} not found")


def test_deleting_the_secret_without_a_name_is_refused(seed):
    status, body = seed.call("DELETE", "/v1/secret/")
    assert status == 405 and body["code"] == 405


def test_endpoints(server, seed, name):
    server.function(name, HELLO)
    sent = {"kind": "Endpoint", "name": name, "enabled": True, "function": name, "hosts": [], "methods": ["GET"],
            "protocols": ["http", "https"], "uris": [f"/{name}"]}
    status, body = seed.call("POST", "/v1/endpoint", sent, cookie=True)
    assert status == 200 and (body["name"], body["function"]) == (name, name)
    assert seed.call("PUT", f"/v1/endpoint/{name}", sent, cookie=True)[0] == 200
    status, listed = seed.call("GET", "/v1/endpoint", cookie=True)
    assert status == 200 and name in [each["name"] for each in listed]
    status, body = seed.call("DELETE", f"/v1/endpoint/{name}", cookie=True)
    assert status == 200 and body["name"] == name
    status, body = seed.call("GET", f"/v1/endpoint/{name}", cookie=True)
    assert (status, body["message"]) == (404, f"endpoint {name} not found")


@pytest.mark.parametrize("path", ["/v1/event", "/v1/event/subscriptions", "/v1/event/drivers", "/v1/event/drivertypes",
                                  "/v1/iam/policy", "/v1/iam/organization", "/v1/iam/serviceaccount", "/v1/application",
                                  "/v1/serviceclass", "/v1/serviceinstance"])
def test_what_a_later_version_brings_says_so(seed, path):
    status, body = seed.call("POST" if path == "/v1/event" else "GET", path, {} if path == "/v1/event" else None, cookie=True)
    assert (status, body["code"]) == (501, 501)
    assert body["message"] == "Endpoint is not implemented in this version of Dispatch"


@pytest.mark.parametrize("prefix", ["./", ".//", ""])
def test_source_archives_of_each_client(server, name, prefix):
    source = harness.pack({"hello.py": HELLO}, prefix=prefix)
    reply = server.api("POST", "/v1/function", {"name": name, "source": source, "image": "python3"})
    assert reply.status == 201
    server.wait_status("function", name)


def test_a_source_archive_without_an_end(server, name):
    source = harness.pack({"hello.py": HELLO}, trailer=False)
    reply = server.api("POST", "/v1/function", {"name": name, "source": source, "image": "python3"})
    assert reply.status == 201
    server.wait_status("function", name)
