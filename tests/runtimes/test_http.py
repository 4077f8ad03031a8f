"""The agent of functions that are images, over the invocation channel: the image's process is a server of the test's."""
import contextlib
import json
import os
import signal
import socket
import stat

import pytest

import conftest
from wire import Agent, AgentGone

# Answers each request with what it got; some paths do something else. Speaks on $PORT, one thread.
ECHO = r'''
import http.server, json, os, signal, sys, time
print("up on", os.environ["PORT"], flush=True)
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.split("?")[0]
        if path == "/exit":
            os._exit(3)
        if path == "/abort":
            os.kill(os.getpid(), signal.SIGABRT)
        if path == "/secrets":
            folder = os.environ["DISPATCH_SECRETS_DIR"]
            out = {name: open(os.path.join(folder, name)).read() for name in sorted(os.listdir(folder))}
            return self.reply(200, json.dumps(out).encode(), [("Content-Type", "application/json")])
        if path == "/print":
            print("out", body.decode(), flush=True)
            print("err", body.decode(), file=sys.stderr, flush=True)
        if path.startswith("/status/"):
            return self.reply(int(path[8:]), body, [("Content-Type", self.headers.get("Content-Type") or "text/plain")])
        if path == "/big":
            return self.reply(200, b"x" * int(self.path.split("?")[1]), [("Content-Type", "text/plain")])
        if path == "/stream":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.send_header("Content-Type", "text/plain")
            self.end_headers()
            for piece in (b"one ", b"two ", b"three"):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
            return
        seen = {"method": self.command, "path": self.path, "headers": {k: self.headers.get_all(k) for k in self.headers},
                "body": body.decode("latin-1"), "pid": os.getpid(), "peer": self.client_address[1],
                "env": dict(os.environ), "cwd": os.getcwd(), "argv": sys.argv[1:]}
        self.reply(200, json.dumps(seen).encode(), [("Content-Type", "application/json"), ("X-Twice", "a"), ("X-Twice", "b"),
                                                    ("Dispatch-Error", "SystemError"), ("Keep-Alive", "x")])
    def reply(self, status, body, fields):
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = answer
    def log_message(self, *args):
        pass
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
'''

# Sends the bytes of the file `reply` for each request; "close" as argument: and hangs up.
RAW = r'''
import os, socket, sys
server = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
while True:
    peer, _ = server.accept()
    while True:
        data = b""
        while b"\r\n\r\n" not in data:
            try:
                piece = peer.recv(65536)
            except OSError:
                piece = b""
            if not piece:
                break
            data += piece
        if not data:
            break
        try:
            with open(sys.argv[1], "rb") as file:
                peer.sendall(file.read())
        except OSError:
            break
        if "close" in sys.argv:
            break
    peer.close()
'''

# A function image of the original: the outer API of CONTRACT 8.2. The payload's "do" says what to answer.
MESSAGES = r'''
import http.server, json, os, sys, time
started = time.monotonic()
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        late = time.monotonic() - started < float(os.environ.get("LATE", "0"))
        self.reply(503 if late else 200, b"{}") if self.path == "/healthz" else self.reply(404, b"{}")
    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        payload = message["payload"]
        if isinstance(payload, dict) and "raw" in payload:
            return self.reply(payload.get("status", 200), payload["raw"].encode())
        print("printed", flush=True)
        context = {"error": payload.get("error") if isinstance(payload, dict) else None,
                   "logs": {"stdout": ["one", "two"], "stderr": None}}
        self.reply(200, json.dumps({"context": context, "payload": {"got": message, "path": self.path}}).encode())
    def reply(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
'''


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def image(tmp_path):
    """image(source, ...): the agent with a Python program as the image's process, READY unless ready=False."""
    agents = []

    def start(source, args=(), argv=None, protocol="http", cwd=None, ready=True, specialise=None, env=None, secrets=None):
        folder = tmp_path / ("image%d" % len(agents))
        folder.mkdir()
        (folder / "server.py").write_text(source)
        argv = argv if argv is not None else ["/usr/bin/python3", str(folder / "server.py"), *map(str, args)]
        command = conftest.agent_argv("http")[:1] + [str(folder / "secrets")]
        agent = Agent(command, folder, env={**(env or {})})
        agents.append(agent)
        agent.folder, agent.port = folder, free_port()
        handler = {"argv": argv, "cwd": str(cwd or folder), "protocol": protocol}
        agent.failed = agent.specialise(json.dumps(handler), secrets=secrets,
                                        env={"PORT": str(agent.port), **(specialise or {}).pop("env", {})},
                                        **{"start_timeout_ms": 15000, **(specialise or {})})
        assert (agent.failed is None) == ready, agent.failed
        return agent

    yield start
    for agent in agents:
        agent.close()
    # In a sandbox the image's process ends with it; here nobody else ends it.
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                ours = str(tmp_path).encode() + b"/" in file.read()
            if ours:
                os.kill(int(pid), signal.SIGKILL)


@pytest.fixture
def raw(image, tmp_path):
    """raw(bytes, ...): what a run gets from a server that answers so."""
    def ask(reply, *args, **how):
        (tmp_path / "reply").write_bytes(reply)
        agent = image(RAW, [tmp_path / "reply", *args], specialise={"reply_bytes_max": 100000})
        agent.last = agent.call(b"", method="GET", path="/", content_type=None, source="endpoint", **how)
        return agent
    return ask


def refusal(reply):
    return dict(reply.fields).get("dispatch-bad-reply", b"").decode()


# Requests

def test_a_request_arrives_as_it_was_sent(image):
    agent = image(ECHO, ["a b", "ü"])
    seen = agent.call(b"\x00\xff", method="PUT", path="/x/%20?q=1&q=2", content_type="image/png", source="endpoint",
                      fields=[("host", "shop.example"), ("x-a", "1"), ("x-a", "2"), ("traceparent", "00-1-2-01"),
                              ("dispatch-run-id", "r"), ("dispatch-function", "f")]).json
    assert (seen["method"], seen["path"], seen["body"]) == ("PUT", "/x/%20?q=1&q=2", "\x00\xff")
    headers = seen["headers"]
    assert headers["Host"] == ["shop.example"] and headers["X-A"] == ["1", "2"]
    assert headers["Content-Type"] == ["image/png"] and headers["Content-Length"] == ["2"]
    assert headers["Traceparent"] == ["00-1-2-01"] and headers["Dispatch-Run-Id"] == ["r"]
    assert headers["Dispatch-Function"] == ["f"]
    assert seen["argv"] == ["a b", "ü"] and seen["cwd"] == str(agent.folder)


def test_a_get_has_no_length_and_head_no_body(image):
    agent = image(ECHO)
    seen = agent.call(b"", method="GET", path="/", content_type=None, source="endpoint").json
    assert "Content-Length" not in seen["headers"] and seen["headers"]["Host"] == ["localhost"]
    reply = agent.call(b"", method="HEAD", path="/", content_type=None, source="endpoint")
    assert reply.status == 200 and reply.body == b""
    assert agent.call(b"", method="GET", path="/", content_type=None, source="endpoint").json["pid"] == seen["pid"]


def test_a_reply_goes_back_with_its_fields(image):
    reply = image(ECHO).call({"a": 1}, source="endpoint")
    fields = [(name, value) for name, value in reply.fields if name.lower() == "x-twice"]
    assert [value for _, value in fields] == [b"a", b"b"]
    assert reply.error_type is None and "Keep-Alive" not in dict(reply.fields)
    assert json.loads(reply.json["body"]) == {"a": 1}


def test_chunks_are_joined(image):
    reply = image(ECHO).call(b"", method="GET", path="/stream", content_type=None, source="endpoint")
    assert reply.body == b"one two three"


def test_a_connection_is_used_again(image):
    agent = image(ECHO)
    peers = [agent.call({}).json["peer"] for _ in range(3)]
    assert peers[0] == peers[1] == peers[2]


def test_large_bodies_go_both_ways(image):
    agent = image(ECHO, specialise={"reply_bytes_max": 4 << 20})
    body = b"z" * (3 << 20)
    assert agent.call(body, path="/status/200", content_type="text/plain", source="endpoint").body == body


@pytest.mark.parametrize("status", [200, 201, 302, 404, 500, 503])
def test_an_endpoint_gets_the_status_and_the_body(image, status):
    reply = image(ECHO).call(b"body", path="/status/%d" % status, content_type="text/plain", source="endpoint")
    assert (reply.status, reply.body, reply.error_type) == (status, b"body", None)


@pytest.mark.parametrize("status,kind", [(400, "InputError"), (404, "InputError"), (500, "FunctionError"), (503, "FunctionError")])
def test_a_run_fails_with_a_status_that_is_an_error(image, status, kind):
    error = image(ECHO).call(b"why it is so", path="/status/%d" % status, content_type="text/plain").error
    assert error["type"] == kind
    assert ("status %d" % status) in error["message"] and error["message"].endswith(": why it is so")


def test_a_run_s_error_can_be_told_as_the_language_servers_of_the_original_do(image):
    told = {"type": "InputError", "message": "no \"name\"", "stacktrace": ["a", "b\u00e9"]}
    assert image(ECHO).call(told, path="/status/500").error == told


# Start

def test_the_environment_has_the_port_and_no_secret(image):
    env = image(ECHO, secrets={"password": "hunter2"}, specialise={"env": {"A": "1"}}).call({}).json["env"]
    assert env["A"] == "1" and env["PORT"].isdigit()
    assert "hunter2" not in json.dumps(env)


def test_secrets_are_files_of_their_own(image):
    agent = image(ECHO, secrets={"password": "hunter2", "database": '{"user":"u"}'})
    ask = {"method": "GET", "path": "/secrets", "content_type": None, "source": "endpoint"}
    assert agent.call(b"", **ask).json == {"database.json": '{"user":"u"}', "password": "hunter2"}
    folder = agent.folder / "secrets"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "password").stat().st_mode) == 0o400
    more = agent.call(b"", secrets={"extra": "one run's"}, **ask).json
    assert more["extra"] == "one run's" and more["password"] == "hunter2"


def test_a_secret_whose_key_is_no_file_name_fails_the_start(image):
    failed = image(ECHO, secrets={"../x": "y"}, ready=False).failed
    assert "'../x' cannot be the name of a file" in failed["message"]


@pytest.mark.parametrize("argv,words", [
    ([], "neither an Entrypoint nor a Cmd"),
    ([1], "no text"),
    (["no-such-program"], "has no program 'no-such-program' in its PATH"),
    (["/no/such"], "has no program '/no/such'"),
    (["/etc/passwd"], "cannot be executed"),
])
def test_what_cannot_be_started_says_why(image, argv, words):
    failed = image("", argv=argv, ready=False).failed
    assert failed["type"] == "FunctionError" and words in failed["message"]


def test_a_folder_that_is_not_there_is_named(image):
    assert "no folder '/no/where', its WorkingDir" in image(ECHO, cwd="/no/where", ready=False).failed["message"]


def test_a_crash_at_start_shows_what_was_printed(image):
    failed = image("import sys; print('first'); sys.exit('it is broken')", ready=False).failed
    assert failed["message"].startswith("the image's process ended with exit status 1 before it listened on port ")
    assert failed["message"].endswith(": it is broken")
    assert failed["stacktrace"][-1] == "it is broken" and "first" in failed["stacktrace"]


def test_a_process_that_leaves_the_foreground_is_told_so(image):
    failed = image("import os, time\nif os.fork(): os._exit(0)\ntime.sleep(5)", ready=False).failed
    assert "must stay in the foreground" in failed["message"]


def test_a_wrong_port_is_named_with_the_right_one(image):
    port = free_port()
    source = "import socket, time\ns = socket.create_server(('127.0.0.1', %d))\ntime.sleep(60)" % port
    failed = image(source, ready=False, specialise={"start_timeout_ms": 1000}).failed
    assert "nothing listens on port" in failed["message"] and "--env PORT=" in failed["message"]


def test_a_slow_start_is_waited_for(image):
    agent = image("import time\ntime.sleep(0.7)\n" + ECHO)
    assert agent.call({}).status == 200


def test_a_server_on_the_other_loopback_address_is_found(image):
    if not os.path.exists("/proc/net/if_inet6"):
        pytest.skip("this host has no IPv6")
    agent = image(ECHO.replace('http.server.HTTPServer(("127.0.0.1"',
                               'import socket\nclass Six(http.server.HTTPServer): address_family = socket.AF_INET6\nSix(("::1"'))
    assert agent.call({}).status == 200


# Logs

def test_what_a_run_prints_is_in_its_log(image):
    agent = image(ECHO)
    reply = agent.call(b"hello", path="/print", content_type="text/plain")
    assert reply.lines(1) == ["out hello"] and reply.lines(2) == ["err hello"]
    assert agent.call({}).lines(1) == []


def test_the_log_of_a_run_is_bounded(image):
    source = ECHO.replace('if path == "/print":', 'if path == "/print":\n            sys.stdout.write("y" * 3000000)')
    reply = image(source, specialise={"log_bytes_max": 10000}).call(b"", path="/print", content_type="text/plain")
    assert len(reply.logs[1]) < 12000 and b"truncated" in reply.logs[1]


# Ends

def test_a_process_that_exits_in_a_run_takes_the_agent_along(image):
    agent = image(ECHO)
    with pytest.raises(AgentGone):
        agent.call({}, path="/exit")
    assert agent.process.wait(10) == 3


def test_a_process_that_is_killed_takes_the_agent_along(image):
    agent = image(ECHO)
    with pytest.raises(AgentGone):
        agent.call({}, path="/abort")
    assert agent.process.wait(10) == -signal.SIGABRT


def test_a_process_that_ends_while_idle_takes_the_agent_along(image):
    agent = image(ECHO)
    os.kill(agent.call({}).json["pid"], signal.SIGTERM)
    assert agent.process.wait(10) == -signal.SIGTERM


# Hostile replies

@pytest.mark.parametrize("reply", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
    b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    b"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 99 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 700 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    b"HTTP/3 200 OK\r\n\r\n",
    b"hello there\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" * 100,
    b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100000 + b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1000000,
])
def test_what_is_no_reply_is_refused(raw, reply):
    agent = raw(reply)
    assert agent.last.status == 502 and refusal(agent.last), agent.last.fields
    assert agent.process.wait(10) == 1


@pytest.mark.parametrize("reply,words", [
    (b"", "without a reply"),
    (b"HTTP/1.1 200 OK\r\nContent-Le", "within the reply's head"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "within the reply's body"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "within the reply's body"),
])
def test_a_connection_closed_too_early_is_refused(raw, reply, words):
    assert words in refusal(raw(reply, "close").last)


def test_a_reply_until_the_connection_closes_is_one(raw):
    agent = raw(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nall of it", "close")
    assert (agent.last.status, agent.last.body) == (200, b"all of it")


def test_a_second_answer_is_not_the_next_run_s(raw):
    agent = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\noneHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    assert agent.last.body == b"one"
    assert agent.call(b"", method="GET", path="/", content_type=None, source="endpoint").body == b"one"


def test_interim_replies_are_skipped(raw):
    agent = raw(b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" * 3 + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert (agent.last.status, agent.last.body) == (200, b"ok")


@pytest.mark.parametrize("reply", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 300000,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"ffff\r\n" .replace(b"ffff", b"%x" % 65535) + b"x" * 65535 + b"\r\n"
    + b"%x\r\n" % 65535 + b"x" * 65535 + b"\r\n0\r\n\r\n",
])
def test_a_reply_over_the_limit_is_an_error_that_names_it(raw, reply):
    agent = raw(reply)
    assert agent.last.error["message"] == "the reply is larger than reply-bytes-max, 100000 bytes"
    assert agent.process.poll() is None


def test_no_control_character_comes_through_a_field(raw):
    agent = raw(b"HTTP/1.1 200 OK\r\nX-Good: tab\there\r\nContent-Length: 0\r\nDate: x\r\n\r\n")
    assert ("X-Good", b"tab\there") in agent.last.fields and "Date" not in dict(agent.last.fields)


# Messages (CONTRACT 8.2)

@pytest.fixture
def original(image):
    return lambda **how: image(MESSAGES, protocol="dispatch", **how)


def test_a_message_goes_there_and_comes_back(original):
    agent = original(secrets={"k": "v"})
    reply = agent.call({"a": [1]}, fields=[("dispatch-deadline", "2018-10-04T21:43:32Z")])
    got = reply.json["got"]
    assert got["payload"] == {"a": [1]} and reply.json["path"] == "/"
    assert got["context"]["secrets"] == {"k": "v"} and got["context"]["deadline"] == "2018-10-04T21:43:32Z"
    assert sorted(reply.lines(1)) == ["one", "printed", "two"] and reply.lines(2) == []


@pytest.mark.parametrize("body,content_type,payload,encoding", [
    (b"", None, None, None),
    (b"text", "text/plain", "text", None),
    (b"\xff\x00", "application/octet-stream", "/wA=", "base64"),
    (b"a=1", "application/x-www-form-urlencoded", {"a": "1"}, None),
])
def test_a_payload_is_put_into_the_message(original, body, content_type, payload, encoding):
    got = original().call(body, content_type=content_type).json["got"]
    assert got["payload"] == payload and got.get("payloadEncoding") == encoding


@pytest.mark.parametrize("kind", ["InputError", "FunctionError", "SystemError"])
def test_an_error_in_a_message_is_the_run_s(original, kind):
    told = {"type": kind, "message": "so", "stacktrace": ["1", "2"]}
    assert original().call({"error": told}).error == told


def test_an_error_of_an_unknown_type_is_the_function_s(original):
    error = original().call({"error": {"type": "Oops", "message": "m", "stacktrace": None}}).error
    assert error == {"type": "FunctionError", "message": "m", "stacktrace": []}


@pytest.mark.parametrize("answer,words", [
    ("", "no JSON"), ("nope", "no JSON"), ("[]", "no JSON object"), ("{}", "neither context nor payload"),
    ('{"context": 1}', "context is no object"), ('{"context":{"error":"x"}}', "context.error is no object"),
    ('{"context":{"error":{}}}', "no message"), ('{"context":{"logs":[]}}', "context.logs is no object"),
    ('{"context":{"logs":{"stdout":"x"}}}', "no list of strings"), ('{"context":{"logs":{"stderr":[1]}}}', "no list of strings"),
    ('{"payload":1}x', "no JSON"),
])
def test_what_is_no_message_is_refused(original, answer, words):
    agent = original()
    assert words in refusal(agent.call({"raw": answer}))
    assert agent.process.wait(10) == 1


def test_a_message_with_another_status_is_refused(original):
    assert "status 500" in refusal(original().call({"raw": '{"payload":1}', "status": 500}))


def test_healthz_is_waited_for(original):
    assert original(env={"LATE": "0.6"}).call({}).status == 200


def test_a_healthz_that_stays_bad_is_told(original):
    failed = original(env={"LATE": "60"}, ready=False, specialise={"start_timeout_ms": 1000}).failed
    assert "GET /healthz is answered with 503" in failed["message"]


def test_the_program_is_static_so_that_it_runs_in_any_image():
    program = conftest.BUILD / "runtimes" / "http" / "dispatch-agent-http"
    assert b"ld-linux" not in program.read_bytes()[:4096]
