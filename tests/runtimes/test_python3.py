"""The python3 agent over the invocation channel."""
import json
import math
import os
import pathlib
import signal
import struct
import time

import pytest

import wire
from wire import AgentGone, frame, fields_bytes

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
ECHO = "def handle(context, payload):\n    return payload\n"
SEEN = "def handle(context, payload):\n    return [type(payload).__name__, repr(payload)]\n"
CONTEXT = "def handle(context, payload):\n    return context\n"
MIB = 1 << 20


def test_hello_of_the_quickstart(start):
    agent = start("python3", {"hello.py": (EXAMPLES / "python3/hello.py").read_text()}, "hello.handle")
    reply = agent.call({"name": "user"})
    assert reply.json == {"myField": "Hello, user from Nowhere"}
    assert reply.body == b'{"myField":"Hello, user from Nowhere"}'
    assert reply.lines() == ["messages to stdout show up in logs"]
    assert reply.logs[2] == b""
    assert agent.call(b"", content_type=None).json == {"myField": "Hello, Noone from Nowhere"}
    reply = agent.call(method="GET", path="/hello?name=Jon&place=Winterfell", content_type=None, source="endpoint")
    assert reply.json == {"myField": "Hello, Jon from Winterfell"}


# payloads

RUN_PAYLOADS = [
    ("application/json", b' {"a": [1, 2.5, -3e2, true, false, null, "\\u00e9\\ud83d\\ude00\\n"]} ',
     {"a": [1, 2.5, -300.0, True, False, None, "é😀\n"]}),
    ("application/json; charset=utf-8", '"ü"'.encode(), "ü"),
    ('Application/JSON ; charset="UTF-8"', b"3", 3),
    ("application/problem+json", b"[]", []),
    ("application/x+json", b"{}", {}),
    ("application/json", b"", None),
    (None, b"", None),
    ("text/plain", "grüß".encode(), "grüß"),
    ("text/plain; charset=utf-8", b"{}", "{}"),
    ("text/plain", b"a\xffb", "a\ufffdb"),
    ("application/base64", b"AAH/\r\n", b"\x00\x01\xff"),
    ("application/x-www-form-urlencoded", b"a=1&b=x+y%21&a=2&c", {"a": ["1", "2"], "b": "x y!", "c": ""}),
    ("application/octet-stream", b"\x00\xff", b"\x00\xff"),
    (None, b"raw", b"raw"),
    ("no type at all", b"raw", b"raw"),
    ("application/json", b"123456789012345678901234567890", 123456789012345678901234567890),
    ("application/json", b"-0", 0),
    ("application/json", b'{"k":1,"k":2}', {"k": 2}),
    ("application/json", b'"\\ud800x"', "\ufffdx"),
]


@pytest.mark.parametrize("content_type,body,value", RUN_PAYLOADS)
def test_a_runs_payload_is_decoded_by_its_content_type(python, content_type, body, value):
    reply = python(SEEN).call(body, content_type=content_type)
    assert reply.json == [type(value).__name__, repr(value)]


ENDPOINT_PAYLOADS = [
    ("GET", "/x?a=1&b=&a=2&c=%C3%A4+%26", None, b"", {"a": ["1", "2"], "b": "", "c": "ä &"}),
    ("GET", "/x", None, b"", {}),
    ("GET", "/x?n=5", "application/json", b'{"ignored":1}', {"n": "5"}),
    ("HEAD", "/x?q=%zz%4", None, b"", {"q": "%zz%4"}),
    ("OPTIONS", "/x?q=1", None, b"", {"q": "1"}),
    ("POST", "/x?q=1", None, b"", {}),
    ("DELETE", "/x", None, b"", {}),
    ("POST", "/x", "application/json; charset=utf-8", b'{"a":1}', {"a": 1}),
    ("PUT", "/x", "application/x-www-form-urlencoded; charset=utf-8", b"k=v&k=w", {"k": ["v", "w"]}),
    ("POST", "/x", "text/plain", b"text", b"text"),
    ("POST", "/x", "image/png", b"\x89PNG", b"\x89PNG"),
    ("POST", "/x", None, b"{}", b"{}"),
]


@pytest.mark.parametrize("method,path,content_type,body,value", ENDPOINT_PAYLOADS)
def test_an_endpoints_payload_follows_the_gateways_table(python, method, path, content_type, body, value):
    reply = python(SEEN).call(body, method=method, path=path, content_type=content_type, source="endpoint")
    assert reply.json == [type(value).__name__, repr(value)]


BROKEN = [
    (b'{"a":x}', "invalid character 'x' looking for beginning of value"),
    (b'{"a":1', "unexpected end of JSON input"),
    (b"{'a':1}", "invalid character '\\'' looking for beginning of object key string"),
    (b'{"a" 1}', "invalid character '1' after object key"),
    (b'{"a":1 "b"}', "invalid character '\"' after object key:value pair"),
    (b"[1 2]", "invalid character '2' after array element"),
    (b"[1,]", "invalid character ']' looking for beginning of value"),
    (b"1 2", "invalid character '2' after top-level value"),
    (b"trux", "invalid character 'x' in literal true (expecting 'e')"),
    (b"1.x", "invalid character 'x' after decimal point in numeric literal"),
    (b"1e", "unexpected end of JSON input"),
    (b"01", "invalid character '1' after top-level value"),
    (b'"a\nb"', "invalid character '\\n' in string literal"),
    (b'"\\q"', "invalid character 'q' in string escape code"),
    (b'"\\u12g4"', "invalid character 'g' in \\u hexadecimal character escape"),
    (b'"\xff"', "invalid UTF-8 in string literal"),
    (b"\xef\xbb\xbf1", "invalid character 'ï' looking for beginning of value"),
    (b"[" * 600 + b"]" * 600, "nested deeper than 512 levels"),
    (b"NaN", "invalid character 'N' looking for beginning of value"),
]


@pytest.mark.parametrize("body,message", BROKEN)
def test_broken_json_is_an_input_error_in_gos_words(python, body, message):
    agent = python(ECHO)
    reply = agent.call(body)
    assert reply.error == {"type": "InputError", "message": "Invalid Input: " + message, "stacktrace": []}
    assert reply.status == 400
    reply = agent.call(body, source="endpoint")
    assert reply.error["message"] == "request body is not json"
    assert agent.call(b"1").json == 1


def test_bad_base64_is_an_input_error(python):
    reply = python(ECHO).call(b"AA=B", content_type="application/base64")
    assert reply.error["type"] == "InputError" and "illegal base64 data at input byte 3" in reply.error["message"]


def test_too_many_form_fields_are_an_input_error(python):
    agent = python("def handle(context, payload):\n    return len(payload['a'])\n")
    form = "application/x-www-form-urlencoded"
    assert agent.call(b"&".join([b"a=1"] * 10000), content_type=form).json == 10000
    assert agent.call(b"&".join([b"a=1"] * 10001), content_type=form).error["type"] == "InputError"


# context

def test_the_context_of_a_run(python):
    agent = python(CONTEXT, specialise={"secrets": {"key": "value"}, "timeout_ms": 5000})
    event = {"eventType": "t", "eventID": "1"}
    context = agent.call({}, path="/any?x=1", fields=[
        ("dispatch-run-id", "r"), ("dispatch-deadline", "2018-10-04T21:43:32Z"), ("dispatch-timeout-ms", "5000"),
        ("dispatch-event", json.dumps(event)), ("dispatch-http-context", '{"Content-Type": "application/json"}'),
        ("x-one-two", "1"), ("x-one-two", "2"), ("host", "h")]).json
    assert context == {
        "secrets": {"key": "value"},
        "request": {"uri": "/any?x=1", "method": "POST", "header": {
            "Content-Type": ["application/json"], "X-One-Two": ["1", "2"], "Host": ["h"]}},
        "httpContext": {"Content-Type": "application/json"},
        "event": event, "deadline": "2018-10-04T21:43:32Z", "timeout": 5000}


def test_the_context_of_an_endpoints_call(python):
    context = python(CONTEXT).call(method="GET", path="/hello/x?name=Jon&b=%20", content_type=None,
                                   source="endpoint").json
    assert context["httpContext"] == {
        "args": "name=Jon&b=%20", "request": "GET /hello/x?name=Jon&b=%20 HTTP/1.1", "uri": "/hello/x",
        "request_uri": "/hello/x?name=Jon&b=%20", "scheme": "http", "server_protocol": "HTTP/1.1",
        "upstream_uri": "/hello/x", "method": "GET"}
    assert "event" not in context and "deadline" not in context and context["secrets"] == {}


def test_a_context_field_that_is_no_object_is_left_out(python):
    context = python(CONTEXT).call({}, fields=[("dispatch-event", '{"broken'), ("dispatch-http-context", "[]"),
                                               ("dispatch-timeout-ms", "soon")]).json
    assert set(context) == {"secrets", "request"}


def test_a_header_that_is_not_utf8_does_not_break_the_context(python):
    context = python(CONTEXT).call({}, fields=[("x-a", b"caf\xe9\"\\")]).json
    assert context["request"]["header"]["X-A"] == ["caf\ufffd\"\\"]


def test_a_runs_own_secrets_win_and_are_gone_after_it(python):
    agent = python("def handle(c, p):\n    s = c['secrets']\n    c['secrets'] = None\n    return s\n",
                   specialise={"secrets": {"a": "1", "b": "2"}})
    assert agent.call({}, secrets={"b": "run", "c": "3"}).json == {"a": "1", "b": "run", "c": "3"}
    assert agent.call({}).json == {"a": "1", "b": "2"}


def test_secrets_never_appear_in_environment_or_descriptors(python):
    agent = python("""
        import os
        def handle(context, payload):
            found = []
            for fd in os.listdir("/proc/self/fd"):
                try:
                    found.append(os.readlink("/proc/self/fd/" + fd))
                except OSError:
                    pass
            return [dict(os.environ), found]
        """, specialise={"secrets": {"token": "hush-hush"}})
    environment, links = agent.call({}).json
    assert "hush-hush" not in json.dumps(environment)
    assert not [link for link in links if "memfd:secrets" in link]


def test_the_environment_is_the_functions(python):
    agent = python("""
        import os, subprocess
        at_import = os.environ["GREETING"]
        def handle(context, payload):
            return [at_import, os.getenv("EMPTY"), subprocess.check_output("echo $GREETING", shell=True, text=True),
                    os.getcwd()]
        """, specialise={"env": {"GREETING": "hé = llo", "EMPTY": ""}})
    assert agent.call({}).json == ["hé = llo", "", "hé = llo\n", str(agent.folder)]


# results

RESULTS = [
    ("None", None), ("True", True), ("10**30", 10**30), ("-1", -1), ("1.5", 1.5), ("1e300", 1e300), ("(1, 2)", [1, 2]),
    ("{1: 2, None: 3, True: 4, 'x': 5, 1.5: 6}", {"1": 4, "null": 3, "x": 5, "1.5": 6}),
    ("'\\x00\\x1f\"\\\\é😀'", '\x00\x1f"\\é😀'), ("'\\ud800'", "?"), ("[[[]]]", [[[]]]),
    ("__import__('collections').OrderedDict(a=1)", {"a": 1}), ("__import__('enum').IntEnum('E', 'A')['A']", 1),
]


@pytest.mark.parametrize("expression,value", RESULTS)
def test_results_are_json(python, expression, value):
    reply = python("def handle(c, p):\n    return %s\n" % expression).call({})
    assert reply.status == 200 and reply.json == value


UNUSABLE = [
    ("{1, 2}", "Object of type set is not JSON serializable"),
    ("{'a': object()}", "Object of type object is not JSON serializable"),
    ("{'a': b'x'}", "Object of type bytes is not JSON serializable"),
    ("{(1, 2): 3}", "keys must be str, int, float, bool or None, not tuple"),
    ("[float('nan')]", "Out of range float values are not JSON compliant"),
    ("float('-inf')", "Out of range float values are not JSON compliant"),
    ("(lambda l: (l.append(l), l)[1])([])", "nested deeper than 512 levels, or refers to itself"),
    ("(x for x in [1])", "Object of type generator is not JSON serializable"),
]


@pytest.mark.parametrize("expression,message", UNUSABLE)
def test_a_result_that_is_not_json_is_a_function_error(python, expression, message):
    agent = python("def handle(c, p):\n    return %s if p else 'fine'\n" % expression)
    reply = agent.call(1)
    assert reply.error["type"] == "FunctionError" and message in reply.error["message"]
    assert reply.status == 500
    assert agent.call(0).json == "fine"


@pytest.mark.parametrize("expression", ["b'\\x00\\xff'", "bytearray(b'\\x00\\xff')", "memoryview(b'\\x00\\xff')"])
def test_bytes_go_out_as_they_are(python, expression):
    reply = python("def handle(c, p):\n    return %s\n" % expression).call({})
    assert dict(reply.fields)["content-type"] == b"application/octet-stream"
    assert reply.body == b"\x00\xff"


RESPONSE = "from dispatch import Response\ndef handle(c, p):\n    return %s\n"


def test_a_response_object_sets_status_fields_and_body(python):
    reply = python(RESPONSE % "Response({'a': 1}, status=201, headers={'X-One': 'é', 'Set-Cookie': ['a=1', 'b=2']})").call({})
    assert (reply.status, reply.json) == (201, {"a": 1})
    assert reply.fields[2:] == [("x-one", "é".encode()), ("set-cookie", b"a=1"), ("set-cookie", b"b=2")]


@pytest.mark.parametrize("expression,status,content_type,body", [
    ("Response('<p>', headers={'Content-Type': 'text/html'})", 200, b"text/html", b"<p>"),
    ("Response('text')", 200, b"text/plain; charset=utf-8", b"text"),
    ("Response(b'x', 404)", 404, b"application/octet-stream", b"x"),
    ("Response(status=204)", 204, None, b""),
    ("Response([], headers=[('content-type', 'application/problem+json')])", 200, b"application/problem+json", b"[]"),
])
def test_a_response_objects_body_has_a_type(python, expression, status, content_type, body):
    reply = python(RESPONSE % expression).call({})
    assert (reply.status, dict(reply.fields).get("content-type"), reply.body) == (status, content_type, body)
    assert reply.error_type is None


@pytest.mark.parametrize("expression,why", [
    ("Response(1, status=99)", "status 99"), ("Response(1, status='200')", "status '200'"),
    ("Response(1, headers={'A B': '1'})", "is not allowed"), ("Response(1, headers={'A': 'x\\r\\nInjected: 1'})", "not allowed"),
    ("Response(1, headers={'Content-Length': '5'})", "not allowed"), ("Response(1, headers={'Dispatch-Error': 'x'})", "not allowed"),
    ("Response(1, headers={':status': '200'})", "not allowed"), ("Response({1})", "set is not JSON"),
    ("Response(1, headers={'Content-Type': 'a\\nb'})", "control characters"),
    ("Response(1, headers=[('a%d' % i, '') for i in range(200)])", "more than 100 header fields"),
])
def test_a_wrong_response_object_is_a_function_error(python, expression, why):
    reply = python(RESPONSE % expression).call({})
    assert reply.error["type"] == "FunctionError" and why in reply.error["message"]


def test_a_module_named_dispatch_of_the_functions_own_wins(start):
    agent = start("python3", {"f.py": "import dispatch\ndef handle(c, p):\n    return dispatch.mine\n",
                              "dispatch.py": "mine = 1\n"}, "f.handle")
    assert agent.call({}).json == 1


# errors

RAISES = """
class Odd(Exception):
    def __str__(self):
        raise RuntimeError("no text")
def deep():
    raise KeyError("missing")
def handle(context, payload):
    if payload == "value": raise ValueError("not so")
    if payload == "type": raise TypeError("wrong kind")
    if payload == "key": deep()
    if payload == "exit": raise SystemExit(3)
    if payload == "exit0":
        import sys
        sys.exit()
    if payload == "interrupt": raise KeyboardInterrupt
    if payload == "base": raise BaseException("bare")
    if payload == "odd": raise Odd
    if payload == "recursion": return handle(context, [context]) if payload == [] else (lambda f: f(f))(lambda f: f(f))
    if payload == "chain":
        try:
            deep()
        except KeyError as e:
            raise RuntimeError("outer") from e
    return payload
"""


@pytest.mark.parametrize("payload,kind,message", [
    ("value", "InputError", "not so"), ("type", "InputError", "wrong kind"), ("key", "FunctionError", "'missing'"),
    ("exit", "FunctionError", "the handler called sys.exit(3)"), ("exit0", "FunctionError", "the handler called sys.exit()"),
    ("interrupt", "FunctionError", "KeyboardInterrupt"), ("base", "FunctionError", "bare"), ("odd", "FunctionError", "Odd"),
    ("recursion", "FunctionError", "maximum recursion depth exceeded"), ("chain", "FunctionError", "outer"),
])
def test_what_a_handler_raises_is_an_error_with_its_trace(python, payload, kind, message):
    agent = python(RAISES)
    reply = agent.call(payload)
    assert reply.error["type"] == kind and reply.error["message"].startswith(message)
    assert reply.status == (400 if kind == "InputError" else 500)
    trace = "\n".join(reply.error["stacktrace"])
    assert "f.py" in trace and "in handle" in trace
    assert "_dispatch" not in trace and "main.py" not in trace
    assert agent.call("still there").json == "still there"


def test_a_trace_names_the_line_and_the_cause(python):
    trace = python(RAISES).call("chain").error["stacktrace"]
    assert trace[0] == "Traceback (most recent call last):"
    assert trace[-1] == "RuntimeError: outer"
    assert "KeyError: 'missing'" in trace
    assert '    raise RuntimeError("outer") from e' in [line.replace("        ", "    ") for line in trace] \
        or any("raise RuntimeError" in line for line in trace)


def test_a_handler_with_the_wrong_parameters_is_a_function_error(python):
    reply = python("def handle(payload):\n    return 1\n").call({})
    assert reply.error["type"] == "FunctionError" and "takes 1 positional argument but 2 were given" in reply.error["message"]


def test_a_huge_error_stays_within_bounds(python):
    reply = python("def handle(c, p):\n    raise Exception('é' * 10**6)\n").call({})
    assert reply.error["type"] == "FunctionError" and len(reply.body) < 300_000


# loading

@pytest.mark.parametrize("files,handler", [
    ({"hello.py": ECHO}, ""), ({"hello.py": ECHO}, "hello.handle"), ({"hello.py": ECHO}, "./hello.handle"),
    ({"pkg/mod.py": ECHO}, "pkg.mod.handle"), ({"dir/file.py": ECHO}, "dir/file.handle"),
    ({"pkg/__init__.py": ECHO}, "pkg.handle"), ({"my-func.py": ECHO}, "my-func.handle"),
    ({"io.py": ECHO}, "io.handle"), ({"main.py": ECHO}, "main.handle"), ({"os.py": ECHO}, "os.handle"),
    ({"zipimport.py": ECHO}, "zipimport.handle"), ({"_abc.py": ECHO}, "_abc.handle"), ({"_stat.py": ECHO}, "_stat.handle"),
    ({"f.py": "import lib.a\ndef handle(c, p):\n    return lib.a.echo(p)\n", "lib/a.py": "def echo(p):\n    return p\n"}, "f.handle"),
    ({"f.py": "class H:\n    def __call__(self, c, p):\n        return p\nhandle = H()\n"}, "f.handle"),
])
def test_handlers_that_load(start, files, handler):
    assert start("python3", files, handler).call([1]).json == [1]


@pytest.mark.parametrize("source,handler,message,trace", [
    ("def handle(c, p:\n", "f.handle", "SyntaxError", "f.py"),
    ("import no_such_module\n", "f.handle", "ModuleNotFoundError: No module named 'no_such_module'", "import no_such_module"),
    ("x = 1\n", "f.handle", "module 'f' has no function 'handle'", None),
    ("handle = 5\n", "f.handle", "is not a function but int", None),
    ("1/0\n", "f.handle", "ZeroDivisionError: division by zero", "ZeroDivisionError"),
    ("import sys\nsys.exit(4)\n", "f.handle", "sys.exit(4) was called while importing it", "sys.exit"),
    ("exit()\n", "f.handle", "sys.exit() was called", None),
    (ECHO, "g.handle", "no module 'g' in /function", None),
    (ECHO, "f", "handler 'f' is not of the form file.function", None),
    (ECHO, "../f.handle", "is not of the form", None),
    (ECHO, ".handle", "is not of the form", None),
    ("\x00\n", "f.handle", "null bytes", None),
    ("raise KeyboardInterrupt\n", "f.handle", "KeyboardInterrupt", "f.py"),
])
def test_a_handler_that_cannot_be_loaded_says_why(start, source, handler, message, trace):
    agent = start("python3", {"f.py": source}, ready=False)
    error = agent.specialise(handler)
    assert error["type"] == "FunctionError"
    assert error["message"].startswith("cannot load the handler: ") and message in error["message"]
    text = "\n".join(error["stacktrace"])
    assert trace is None or trace in text
    assert "_dispatch_driver" not in text and "importlib" not in text
    assert agent.wait() == 1


def test_more_than_one_file_needs_a_handler(start):
    agent = start("python3", {"a.py": ECHO, "b.py": ECHO}, ready=False)
    assert "more than one *.py file: a.py, b.py" in agent.specialise("")["message"]


def test_a_missing_folder_is_a_system_error(start, tmp_path):
    agent = start("python3", {"f.py": ECHO}, ready=False, env={"DISPATCH_FUNCTION_DIR": str(tmp_path / "none")})
    assert agent.specialise("f.handle")["type"] == "SystemError"


def test_a_crash_at_import_ends_the_channel(start):
    agent = start("python3", {"f.py": "import os\nos.kill(os.getpid(), 9)\n"}, ready=False)
    with pytest.raises(AgentGone):
        agent.specialise("f.handle")
    assert agent.wait() == -signal.SIGKILL


def test_what_is_printed_at_import_goes_to_stream_0(start):
    agent = start("python3", {"f.py": "import sys, os\nprint('one')\nos.write(1, b'two\\n')\nprint('three', file=sys.stderr, end='')\n" + ECHO},
                  "f.handle")
    assert agent.import_logs == {1: b"one\ntwo\n", 2: b"three"}
    assert agent.call(1).logs == {1: b"", 2: b""}


# logs

def test_all_that_is_printed_is_logged_in_order(python):
    reply = python("""
        import logging, os, subprocess, sys, ctypes
        def handle(context, payload):
            print("print")
            sys.stdout.buffer.write(b"buffer\\n")
            os.write(1, b"descriptor\\n")
            subprocess.run(["echo", "child"])
            print("after", "child", sep="-")
            ctypes.CDLL(None).puts(b"stdio")
            ctypes.CDLL(None).fflush(None)
            sys.stdout.write("part")
            logging.warning("logging")
            subprocess.run("echo child-error >&2", shell=True)
            print("error", file=sys.stderr)
            sys.__stdout__.write("ial")
            os.write(2, b"last")
        """).call({})
    assert reply.lines(1) == ["print", "buffer", "descriptor", "child", "after-child", "stdio", "partial"]
    assert reply.lines(2) == ["WARNING:root:logging", "child-error", "error", "last"]


def test_a_line_is_sent_as_it_is_printed(python):
    agent = python("""
        import sys
        def handle(context, payload):
            print("first")
            while not open("go").read():
                pass
        """)
    go = agent.folder / "go"
    go.write_text("")
    stream = agent.begin(content_type=None)
    agent.send_body(stream, b"")
    agent.take()
    assert agent.replies[stream].logs[1] == b"first\n" and agent.replies[stream].fields is None
    go.write_text("yes")
    assert agent.finish(stream).json is None


def test_logs_of_one_run_do_not_show_in_the_next(python):
    agent = python("import os\ndef handle(c, p):\n    print(p)\n    os.write(1, b'raw %d' % p)\n")
    for i in range(3):
        assert agent.call(i).logs[1] == b"%d\nraw %d" % (i, i)


@pytest.mark.parametrize("how", ["print('x' * 99)", "os.write(1, b'x' * 99 + b'\\n')", "sys.stdout.buffer.write(b'x' * 99 + b'\\n')"])
def test_a_log_past_its_limit_is_cut_and_marked(python, how):
    agent = python("import os, sys\ndef handle(c, p):\n    for _ in range(p):\n        %s\n" % how,
                   specialise={"log_bytes_max": 1050})
    reply = agent.call(50)
    lines = reply.lines()
    assert lines[:10] == ["x" * 99] * 10
    assert lines[-1] == "[log truncated: more than log-bytes-max, 1050 bytes, was printed]"
    assert len(lines) == 12 and lines[10] == "x" * 50
    assert agent.call(3).lines() == ["x" * 99] * 3


def test_descriptors_that_are_full_do_not_stop_the_handler(python):
    agent = python("import subprocess\ndef handle(c, p):\n    return subprocess.run(['head', '-c', str(p), '/dev/zero']).returncode >= 0\n",
                   specialise={"log_bytes_max": 4 * MIB})
    reply = agent.call(3 * MIB)
    assert reply.json is True
    assert reply.logs[1].startswith(b"\0" * MIB + b"\n[log truncated")
    assert agent.call(10).logs[1] == b"\0" * 10


def test_a_stream_of_the_handlers_own_is_flushed(python):
    reply = python("""
        import io, sys
        sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8")
        def handle(context, payload):
            print("wrapped")
            sys.stderr.close()
        """).call({})
    assert reply.logs[1] == b"wrapped\n"


def test_closed_streams_come_no_harm(python):
    agent = python("import sys\ndef handle(c, p):\n    print('a')\n    sys.stdout.close()\n")
    agent.call({})
    assert agent.call({}).logs[1] == b"a\n" or agent.call({}).error_type is not None


def test_threads_may_print_at_any_time(python):
    agent = python("""
        import threading
        def handle(context, payload):
            def work(n):
                for i in range(200):
                    print("%d %d" % (n, i))
            threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
            [t.start() for t in threads]
            [t.join() for t in threads]
        """)
    for _ in range(3):
        reply = agent.call({})
        assert sorted(reply.lines()) == sorted("%d %d" % (n, i) for n in range(4) for i in range(200))


def test_a_thread_may_outlive_its_run(python):
    agent = python("""
        import threading
        done = threading.Event()
        def handle(context, payload):
            if payload == "start":
                threading.Thread(target=lambda: (print("late"), done.set())).start()
                return 1
            return done.wait(5)
        """)
    assert agent.call("start").json == 1
    assert agent.call("wait").json is True


def test_a_fork_of_the_handler_is_not_the_agent(python):
    agent = python("""
        import os
        def handle(context, payload):
            pid = os.fork()
            if pid == 0:
                print("from the child")
                return "nobody hears this"
            os.waitpid(pid, 0)
            return "parent"
        """)
    for _ in range(2):
        reply = agent.call({})
        assert reply.json == "parent" and reply.logs[1] == b"from the child\n"


def test_multiprocessing_works(python):
    agent = python("""
        import multiprocessing
        def handle(context, payload):
            child = multiprocessing.get_context("fork").Process(target=lambda: __import__("time").sleep(60))
            child.start()
            child.terminate()
            child.join()
            return child.exitcode
        """)
    assert agent.call({}).json == -signal.SIGTERM
    assert agent.call({}).json == -signal.SIGTERM


# size and flow

def test_10_mib_in_and_out(python):
    agent = python("def handle(c, p):\n    return p[::-1]\n")
    body = os.urandom(10 * MIB)
    reply = agent.call(body, content_type="application/octet-stream")
    assert reply.body == body[::-1]
    text = "x" * (10 * MIB - 2)
    assert agent.call(text).json == text


def test_a_reply_waits_for_credit(python):
    agent = python("def handle(c, p):\n    return bytes(p)\n")
    stream = agent.begin(content_type="application/json")
    agent.send_body(stream, b"%d" % (3 * wire.WINDOW))
    reply = agent.replies[stream]
    while len(reply.body) < wire.WINDOW:
        agent.take(give_credit=False)
    with pytest.raises(AssertionError, match="no frame"):
        agent.take(timeout=0.3, give_credit=False)
    assert len(reply.body) == wire.WINDOW
    agent.send(frame(wire.CREDIT, stream, struct.pack("<I", 1)))
    agent.take(give_credit=False)
    assert len(reply.body) == wire.WINDOW + 1
    agent.send(frame(wire.CREDIT, stream, struct.pack("<I", 1 << 30)))
    assert len(agent.finish(stream).body) == 3 * wire.WINDOW


def test_a_reply_over_its_limit_names_it(python):
    agent = python("def handle(c, p):\n    return 'x' * p\n", specialise={"reply_bytes_max": 1000})
    assert len(agent.call(998).body) == 1000
    for size in (999, 10**6):
        error = agent.call(size).error
        assert error["type"] == "FunctionError" and "reply-bytes-max" in error["message"] and "1000" in error["message"]


def test_streams_at_once_are_run_in_their_order(python):
    agent = python("ran = []\ndef handle(c, p):\n    ran.append(p)\n    return list(ran)\n")
    streams = [agent.begin(content_type="application/json") for _ in range(5)]
    for stream in reversed(streams[1:]):
        agent.send_body(stream, b"%d" % stream)
    agent.send_body(streams[0], b"1")
    replies = [agent.finish(stream).json for stream in streams]
    assert sorted(max(replies, key=len)) == [1, 2, 3, 4, 5]


def test_frames_may_arrive_byte_by_byte(python):
    agent = python(ECHO)
    agent.replies[1], agent.credit[1] = wire.Reply(), wire.WINDOW
    data = frame(wire.HEAD, 1, fields_bytes([(":method", "POST"), (":path", "/"), (":source", "run"),
                                            ("content-type", "application/json")]))
    for byte in data + frame(wire.DATA, 1, b"[1,") + frame(wire.DATA, 1, b"2]") + frame(wire.END, 1):
        agent.send(bytes([byte]))
    assert agent.finish(1).json == [1, 2]


def test_a_reset_request_is_not_run(python):
    agent = python("ran = []\ndef handle(c, p):\n    ran.append(p)\n    return ran\n")
    stream = agent.begin()
    agent.send(frame(wire.RESET, stream))
    agent.send(frame(wire.DATA, stream, b"1"))
    assert agent.call(2).json == [2]


def test_a_reset_during_the_run_drops_the_reply(python):
    agent = python("def handle(c, p):\n    while p and not open('go').read(): pass\n    return bytes(10**6)\n")
    (agent.folder / "go").write_text("")
    stream = agent.begin()
    agent.send_body(stream, b"1")
    agent.send(frame(wire.RESET, stream))
    (agent.folder / "go").write_text("go")
    assert len(agent.call(0).body) == 10**6


def test_usage_is_reported(python):
    agent = python("import time\ndef handle(c, p):\n    if p == 'sleep': time.sleep(0.2)\n    else:\n        end = time.process_time() + 0.2\n        while time.process_time() < end: pass\n")
    handler_us, cpu_us, peak, _, _ = agent.call("sleep").usage
    assert 200_000 <= handler_us < 5_000_000 and cpu_us < 100_000 and 4 * MIB < peak < 500 * MIB
    handler_us, cpu_us, _, _, _ = agent.call("burn").usage
    assert cpu_us >= 200_000 and handler_us >= cpu_us - 10_000


# ends

def test_the_agent_ends_when_the_channel_closes(python):
    agent = python(ECHO)
    agent.channel.end()
    assert agent.wait() == 0


def test_sigterm_finishes_the_run_at_hand(python):
    agent = python("import time\ndef handle(c, p):\n    time.sleep(0.5)\n    return 'done'\n")
    stream = agent.begin()
    agent.send_body(stream, b"1")
    time.sleep(0.2)
    agent.process.send_signal(signal.SIGTERM)
    assert agent.finish(stream).json == "done"
    assert agent.wait() == 0


def test_exit_of_the_process_ends_the_channel(python):
    agent = python("import os\ndef handle(c, p):\n    os._exit(9)\n")
    with pytest.raises(AgentGone):
        agent.call({})
    assert agent.wait() == 9


def test_atexit_handlers_run(python):
    agent = python("import atexit\natexit.register(lambda: open('bye', 'w').close())\n" + ECHO)
    agent.channel.end()
    agent.wait()
    assert (agent.folder / "bye").exists()


HEAD = frame(wire.HEAD, 1, fields_bytes([(":method", "POST")]))


@pytest.mark.parametrize("data", [
    b"\xff" * 12, frame(99, 1), frame(wire.DATA, 7, b"x"), frame(wire.READY, 0), HEAD + HEAD,
    HEAD + frame(wire.END, 1) + frame(wire.DATA, 1, b"x"), frame(wire.SPECIALISE, 0, b""),
    frame(wire.HEAD, 1, b"\x05\x00\xff\xff\xff\xffabcde"), struct.pack("<IBBHI", 200000, 2, 0, 0, 1),
    b"".join(frame(wire.HEAD, i, b"") for i in range(1, 200)),
])
def test_a_server_that_breaks_the_protocol_ends_the_agent(python, data):
    agent = python("def handle(c, p):\n    import time\n    time.sleep(0.2)\n")
    try:
        agent.send(data)
        while True:
            agent.receive()
    except (AgentGone, OSError):
        pass
    assert agent.wait() == 70
    assert "dispatch agent: " in agent.printed()


def test_a_request_before_specialise_ends_the_agent(start):
    agent = start("python3", {"f.py": ECHO}, ready=False)
    agent.send(HEAD)
    with pytest.raises(AgentGone):
        agent.receive()
    assert agent.wait() == 70


def test_it_works_without_memfds(python):
    agent = python("def handle(c, p):\n    print('x')\n    return p\n", memfds=False)
    assert agent.call(5).json == 5 and agent.call(5).logs[1] == b"x\n"


def test_descriptors_are_not_inherited(python):
    agent = python("""
        import subprocess
        def handle(context, payload):
            return subprocess.check_output(["ls", "-l", "/proc/self/fd"], text=True)
        """)
    text = agent.call({}).json
    assert "socket:" not in text and "memfd:ring" not in text and os.readlink("/proc/%d/fd/4" % agent.process.pid) not in text


def test_a_thousand_runs_leave_nothing_behind(python):
    agent = python("import os\ndef handle(c, p):\n    print('x')\n    return len(os.listdir('/proc/self/fd'))\n")
    before = agent.call({"a": [1] * 100}).json
    for _ in range(1000):
        assert agent.call({"a": [1] * 100}).json == before
    peak = agent.call({}).usage[2]
    for _ in range(1000):
        agent.call({"a": "x" * 1000})
    assert agent.call({}).usage[2] < peak + 2 * MIB
