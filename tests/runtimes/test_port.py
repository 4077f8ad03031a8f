"""Both agents over TCP $PORT, as in a pod: the Function Runtime API."""
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time

import pytest

from conftest import agent_argv, agent_environment

MESSAGE = "application/vnd.dispatch.message+json"
MIB = 1 << 20
HELLO = """
import sys
def handle(context, payload):
    print("out")
    print("err", file=sys.stderr)
    if payload == "value": raise ValueError("bad")
    if payload == "key": raise KeyError("worse")
    if payload == "context": return context
    if payload == "bytes": return b"\\xff\\x00"
    if payload == "text": return b"plain"
    return [payload] if not isinstance(payload, bytes) else len(payload)
"""


class Server:
    def __init__(self, language, folder, handler="", env=None, wait=True):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        environment = {"PATH": "/usr/bin:/bin", "PORT": str(self.port), "DISPATCH_FUNCTION_DIR": str(folder),
                       "DISPATCH_HANDLER": handler}
        environment.update({**agent_environment(language), **(env or {})})
        self.process = subprocess.Popen(agent_argv(language), env=environment, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 20
        while wait:
            assert time.monotonic() < deadline and self.process.poll() is None, self.process.communicate()
            with contextlib.suppress(OSError):
                if self.get("/healthz")[0] == 200:
                    break

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def request(self, method, path, body=None, headers=None, connection=None):
        connection = connection or self.connect()
        connection.request(method, path, body, headers or {})
        reply = connection.getresponse()
        return reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read()

    def get(self, path):
        return self.request("GET", path)

    def post(self, value, accept=None, source=None, **headers):
        headers = {k.replace("_", "-"): v for k, v in headers.items()}
        headers.setdefault("Content-Type", "application/json")
        if accept:
            headers["Accept"] = accept
        if source:
            headers["Dispatch-Source"] = source
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return self.request("POST", "/any/path", body, headers)

    def raw(self, data, shut=True):
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as s:
            s.sendall(data)
            if shut:
                s.shutdown(socket.SHUT_WR)
            out = b""
            while piece := s.recv(65536):
                out += piece
            return out

    def finish(self):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


@pytest.fixture
def serve(tmp_path):
    servers = []

    def start(files, language="python3", **how):
        for name, text in files.items():
            (tmp_path / name).write_text(text)
            (tmp_path / name).chmod(0o755)
        servers.append(Server(language, tmp_path, **how))
        return servers[-1]

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.process.kill()
            server.process.communicate()


@pytest.fixture
def server(serve):
    return serve({"f.py": HELLO}, handler="f.handle")


def test_healthz(server):
    status, headers, body = server.get("/healthz")
    assert (status, headers["content-type"], body) == (200, "application/json", b"{}")
    assert server.request("HEAD", "/healthz")[2] == b""
    assert server.request("POST", "/healthz", b"1", {"Content-Type": "application/json"})[2] == b"[1]"


def test_an_invocation(server):
    status, headers, body = server.post({"a": 1})
    assert (status, headers["content-type"], body) == (200, "application/json", b'[{"a":1}]')
    assert "date" in headers and headers["server-timing"].startswith("handler;dur=")
    assert server.get("/x?name=Jon")[2] == b'[{"name":"Jon"}]'


@pytest.mark.parametrize("payload,status,kind", [("value", 400, "InputError"), ("key", 500, "FunctionError")])
def test_errors_are_statuses(server, payload, status, kind):
    got, headers, body = server.post(payload)
    error = json.loads(body)
    assert (got, error["type"], headers["dispatch-error"]) == (status, kind, kind)
    assert any("f.py" in line for line in error["stacktrace"])


def test_broken_json(server):
    assert json.loads(server.post(b"{")[2])["message"] == "request body is not json"
    assert json.loads(server.post(b"{", source="run")[2])["message"] == "Invalid Input: unexpected end of JSON input"


def test_the_whole_message_on_request(server):
    status, headers, body = server.post(1, accept="text/html, %s;q=0.9" % MESSAGE)
    assert (status, headers["content-type"]) == (200, MESSAGE)
    assert json.loads(body) == {"context": {"logs": {"stdout": ["out"], "stderr": ["err"]}}, "payload": [1]}
    message = json.loads(server.post("value", accept=MESSAGE)[2])
    assert message["context"]["error"]["type"] == "InputError" and message["payload"] is None
    assert message["context"]["logs"]["stdout"] == ["out"]


def test_bytes_in_a_message(server):
    message = json.loads(server.post("bytes", accept=MESSAGE)[2])
    assert (message["payload"], message["payloadEncoding"]) == ("/wA=", "base64")
    message = json.loads(server.post("text", accept=MESSAGE)[2])
    assert message["payload"] == "plain" and "payloadEncoding" not in message


def test_a_message_as_the_request(server):
    request = {"context": {"secrets": {"s": "1"}, "deadline": "then", "own": [1]}, "payload": "context"}
    status, headers, body = server.post(request, Content_Type=MESSAGE)
    message = json.loads(body)
    assert status == 200 and headers["content-type"] == MESSAGE
    context = message["payload"]
    assert context["secrets"] == {"s": "1"} and context["deadline"] == "then" and context["own"] == [1]
    assert message["context"] == {"logs": {"stdout": ["out"], "stderr": ["err"]}}
    for broken in (b"[]", b"{", b'"x"'):
        message = json.loads(server.post(broken, Content_Type=MESSAGE)[2])
        assert message["context"]["error"]["type"] == "InputError"
    assert json.loads(server.post({}, Content_Type=MESSAGE)[2])["payload"] == [None]


def test_the_originals_outer_api_by_environment(serve):
    server = serve({"f.py": HELLO}, env={"DISPATCH_RUNTIME_API": "message"})
    status, headers, body = server.post({"context": {"secrets": {}}, "payload": "key"})
    assert (status, headers["content-type"]) == (200, "application/json")
    assert json.loads(body)["context"]["error"]["type"] == "FunctionError"


def test_the_context_in_a_pod(serve, tmp_path):
    secrets = tmp_path / "secrets"
    (secrets / "..data").mkdir(parents=True)
    (secrets / "password").write_text("one")
    (secrets / "db.json").write_text('{"user": "u", "password": "two"}')
    server = serve({"f.py": HELLO}, handler="f.handle",
                   env={"DISPATCH_SECRETS_DIR": str(secrets), "d_secret_old": '{"user": "v"}', "d_secret_bad": "no json"})
    context = json.loads(server.post("context", X_One="1", Dispatch_Timeout_Ms="99", Dispatch_Deadline="d",
                                     Dispatch_Event='{"e":1}')[2])
    secret = context["secrets"]
    assert set(secret) == {"password", "user", "db", "old"}
    assert json.loads(secret["db"]) == {"user": "u", "password": "two"} and json.loads(secret["old"]) == {"user": "v"}
    assert context["timeout"] == 99 and context["deadline"] == "d" and context["event"] == {"e": 1}
    assert context["request"]["header"]["X-One"] == ["1"] and context["httpContext"]["uri"] == "/any/path"


def test_logs_go_to_the_processs_own_output(server):
    for _ in range(3):
        server.post(1)
    out, err = server.finish()
    assert (out, err) == (b"out\n" * 3, b"err\n" * 3)
    assert server.process.returncode == 0


def test_keep_alive_and_pipelining(server):
    connection = server.connect()
    for i in range(5):
        assert server.request("POST", "/", b"%d" % i, {"Content-Type": "application/json"}, connection)[2] == b"[%d]" % i
        assert server.request("GET", "/healthz", connection=connection)[2] == b"{}"
    one = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n%d"
    health = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
    answer = server.raw(one % 1 + health + one % 2 + health + health + one % 3)
    assert answer.count(b"HTTP/1.1 200 OK") == 6
    assert [part[-3:] for part in answer.split(b"HTTP/1.1")[1:]] == [b"[1]", b"\n{}", b"[2]", b"\n{}", b"\n{}", b"[3]"]


def test_chunked_bodies_and_expect_continue(server):
    chunked = (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
               b"Expect: 100-continue\r\nConnection: close\r\n\r\n2\r\n[1\r\n2\r\n,2\r\n1\r\n]\r\n0\r\n\r\n")
    answer = server.raw(chunked)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK") and answer.endswith(b"[[1,2]]")


@pytest.mark.parametrize("data,status", [
    (b"NONSENSE\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n12", 400),
    (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: h\r\nA: " + b"x" * 70000 + b"\r\n\r\n", 431),
    (b"GET / HTTP/1.1\r\nHost: h\r\n" + b"".join(b"A%d: x\r\n" % i for i in range(150)) + b"\r\n", 431),
])
def test_hostile_requests_are_refused(server, data, status):
    answer = server.raw(data)
    assert answer.startswith(b"HTTP/1.1 %d " % status) and b"Connection: close" in answer
    assert server.post(1)[2] == b"[1]"


def test_a_request_that_never_ends_stops_nobody(server):
    with socket.create_connection(("127.0.0.1", server.port)) as s:
        s.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc")
        assert server.post(1)[2] == b"[1]"


def test_several_connections_take_turns(server):
    results = []
    threads = [threading.Thread(target=lambda i=i: results.append((i, server.post(i)[2]))) for i in range(20)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert sorted(results) == [(i, b"[%d]" % i) for i in range(20)]


def test_10_mib_in(server):
    assert server.post(b"x" * (10 * MIB), Content_Type="application/octet-stream")[2] == b"%d" % (10 * MIB)


def test_10_mib_out(serve):
    server = serve({"f.py": "def handle(c, p):\n    return bytes(10 << 20)\n"})
    assert server.get("/")[2] == bytes(10 * MIB)


def test_a_response_object_over_http(serve):
    server = serve({"f.py": "from dispatch import Response\ndef handle(c, p):\n    return Response(status=p, headers={'X': 'y'})\n"})
    status, headers, body = server.post(204)
    assert (status, headers["x"], body) == (204, "y", b"") and "content-length" not in headers
    assert server.post(301)[0] == 301


def test_sigterm_finishes_the_request_at_hand(serve):
    server = serve({"f.py": "import time\ndef handle(c, p):\n    time.sleep(0.5)\n    return 1\n"})
    idle = server.connect()
    idle.connect()
    result = []
    thread = threading.Thread(target=lambda: result.append(server.post(1)))
    thread.start()
    time.sleep(0.25)
    server.process.send_signal(signal.SIGTERM)
    thread.join()
    assert result[0][2] == b"1" and result[0][1]["connection"] == "close"
    assert server.process.wait(5) == 0


def test_a_handler_that_cannot_be_loaded_ends_the_process(serve):
    server = serve({"f.py": "import nope\n"}, wait=False)
    out, err = server.process.communicate(timeout=10)
    assert server.process.returncode == 1 and b"No module named 'nope'" in err


def test_a_port_that_is_taken_is_said(serve, server):
    second = serve({}, handler="f.handle", env={"PORT": str(server.port)}, wait=False)
    out, err = second.process.communicate(timeout=10)
    assert second.process.returncode == 70 and err.startswith(b"dispatch agent: bind port %d" % server.port)


def test_native_over_http(serve):
    server = serve({"f": "#!/bin/sh\necho log >&2\ncat\n"}, language="native", handler="./f")
    assert server.post({"a": 1})[2] == b'{"a": 1}'
    message = json.loads(server.post({"a": 1}, accept=MESSAGE)[2])
    assert message == {"context": {"logs": {"stdout": None, "stderr": ["log"]}}, "payload": {"a": 1}}


def test_native_answers_healthz_during_a_run_and_holds_its_timeout(serve):
    server = serve({"f": "#!/bin/sh\nexec sleep 60\n"}, language="native", handler="./f", env={"TIMEOUT": "700"})
    result = []
    thread = threading.Thread(target=lambda: result.append(server.post(1)))
    thread.start()
    time.sleep(0.2)
    assert server.get("/healthz")[2] == b"{}" and not result
    thread.join()
    assert result[0][0] == 500
    assert json.loads(result[0][2])["message"] == "Function execution exceeded the timeout"
