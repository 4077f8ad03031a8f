"""The nodejs agent over the invocation channel."""
import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import time

import pytest

import wire
from test_python3 import BROKEN, HEAD
from wire import AgentGone, frame, fields_bytes

pytestmark = pytest.mark.skipif(shutil.which("node", path="/usr/bin:/bin") is None, reason="no /usr/bin/node")

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
ECHO = "module.exports = (context, payload) => payload;\n"
SEEN = """
module.exports = (context, payload) =>
    Buffer.isBuffer(payload) ? ['bytes', payload.toString('hex')] : [payload === null ? 'null' : typeof payload, payload];
"""
CONTEXT = "module.exports = (context) => context;\n"
MIB = 1 << 20


def test_hello_of_the_quickstart(start):
    agent = start("nodejs", {"hello.js": (EXAMPLES / "nodejs/hello.js").read_text()}, "./hello.js")
    reply = agent.call({"name": "user"})
    assert reply.body == b'{"myField":"Hello, user from Nowhere"}'
    assert reply.lines() == ["messages to stdout show up in logs"]
    assert reply.logs[2] == b""
    assert agent.call(b"", content_type=None).json == {"myField": "Hello, Noone from Nowhere"}
    reply = agent.call(method="GET", path="/hello?name=Jon&place=Winterfell", content_type=None, source="endpoint")
    assert reply.json == {"myField": "Hello, Jon from Winterfell"}


# payloads

@pytest.mark.parametrize("content_type,body,kind,value", [
    ("application/json", b' {"a": [1, 2.5, -3e2, true, false, null, "\\u00e9\\ud83d\\ude00\\n"]} ', "object",
     {"a": [1, 2.5, -300, True, False, None, "é😀\n"]}),
    ("application/json; charset=utf-8", '"ü"'.encode(), "string", "ü"),
    ("application/problem+json", b"[]", "object", []),
    ("application/json", b"", "null", None),
    (None, b"", "null", None),
    ("text/plain", "grüß".encode(), "string", "grüß"),
    ("text/plain", b"a\xffb", "string", "a\ufffdb"),
    ("application/base64", b"AAH/\r\n", "bytes", "0001ff"),
    ("application/x-www-form-urlencoded", b"a=1&b=x+y%21&a=2&c", "object", {"a": ["1", "2"], "b": "x y!", "c": ""}),
    ("application/octet-stream", b"\x00\xff", "bytes", "00ff"),
    ("application/octet-stream", b"", "null", None),
    (None, b"raw", "bytes", b"raw".hex()),
    ("application/json", b'{"k":1,"k":2}', "object", {"k": 2}),
    ("application/json", b'{"__proto__": {"polluted": 1}}', "object", {"__proto__": {"polluted": 1}}),
    ("application/json", b'"\\ud800x"', "string", "\ufffdx"),
    ("application/json", b'"\\\\ud800x"', "string", "\\ud800x"),
])
def test_a_runs_payload_is_decoded_by_its_content_type(node, content_type, body, kind, value):
    assert node(SEEN).call(body, content_type=content_type).json == [kind, value]


@pytest.mark.parametrize("method,path,content_type,body,kind,value", [
    ("GET", "/x?a=1&b=&a=2&c=%C3%A4+%26", None, b"", "object", {"a": ["1", "2"], "b": "", "c": "ä &"}),
    ("POST", "/x?q=1", None, b"", "object", {}),
    ("POST", "/x", "application/json; charset=utf-8", b'{"a":1}', "object", {"a": 1}),
    ("PUT", "/x", "application/x-www-form-urlencoded", b"k=v&k=w", "object", {"k": ["v", "w"]}),
    ("POST", "/x", "text/plain", b"text", "bytes", b"text".hex()),
    ("POST", "/x", "image/png", b"\x89PNG", "bytes", b"\x89PNG".hex()),
])
def test_an_endpoints_payload_follows_the_gateways_table(node, method, path, content_type, body, kind, value):
    reply = node(SEEN).call(body, method=method, path=path, content_type=content_type, source="endpoint")
    assert reply.json == [kind, value]


def test_broken_json_is_an_input_error_in_gos_words(node):
    agent = node(ECHO)
    for body, message in BROKEN:
        reply = agent.call(body)
        assert reply.error == {"type": "InputError", "message": "Invalid Input: " + message, "stacktrace": []}
        assert reply.status == 400
    assert agent.call(b"1").json == 1


# context

def test_the_context_of_a_run(node):
    agent = node(CONTEXT, specialise={"secrets": {"key": "value"}, "timeout_ms": 5000})
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


def test_the_context_of_an_endpoints_call(node):
    context = node(CONTEXT).call(method="GET", path="/hello/x?name=Jon", content_type=None, source="endpoint").json
    assert context["httpContext"]["args"] == "name=Jon" and context["httpContext"]["method"] == "GET"
    assert "event" not in context and "deadline" not in context and context["secrets"] == {}


def test_a_runs_own_secrets_win_and_are_gone_after_it(node):
    agent = node("module.exports = (c, p) => { const s = c.secrets; c.secrets = null; return s; };",
                 specialise={"secrets": {"a": "1", "b": "2"}})
    assert agent.call({}, secrets={"b": "run", "c": "3"}).json == {"a": "1", "b": "run", "c": "3"}
    assert agent.call({}).json == {"a": "1", "b": "2"}


def test_secrets_never_appear_in_environment_or_descriptors(node):
    agent = node("""
        const fs = require('fs');
        module.exports = () => [process.env, fs.readdirSync('/proc/self/fd').map((fd) => {
            try { return fs.readlinkSync('/proc/self/fd/' + fd); } catch { return ''; }
        })];
        """, specialise={"secrets": {"token": "hush-hush"}})
    environment, links = agent.call({}).json
    assert "hush-hush" not in json.dumps(environment)
    assert not [link for link in links if "memfd:secrets" in link]


def test_the_environment_is_the_functions(node):
    agent = node("""
        const atLoad = process.env.GREETING;
        module.exports = () => [atLoad, process.env.EMPTY, process.cwd(), require('child_process').execSync('echo $GREETING', {encoding: 'utf8'}),
            new Date(0).getHours(), process.argv.length, process.argv[1]];
        """, specialise={"env": {"GREETING": "hé = llo", "EMPTY": "", "TZ": "Asia/Tokyo"}})
    folder = str(agent.folder)
    assert agent.call({}).json == ["hé = llo", "", folder, "hé = llo\n", 9, 2, folder + "/f.js"]


# results

@pytest.mark.parametrize("expression,value", [
    ("undefined", None), ("null", None), ("true", True), ("1.5", 1.5), ("-1", -1), ("NaN", None), ("new Date(0)", "1970-01-01T00:00:00.000Z"),
    ("({a: undefined, b: () => 1, c: [undefined]})", {"c": [None]}), ("new Map([[1, 2]])", {}), ("[[[]]]", [[[]]]),
    (r"'\x00\x1f\"\\é😀\u2028'", '\x00\x1f"\\é😀\u2028'), (r"'\ud800'", "\ufffd"), (r"'\\ud800'", "\\ud800"), (r"'\ude00\ud83d\ude00'", "\ufffd😀"),
    ("new (class A { constructor() { this.x = 1; } })()", {"x": 1}), ("Object.create(null, {x: {value: 1, enumerable: true}})", {"x": 1}),
    ("({toJSON: () => 'own'})", "own"), ("Promise.resolve(7)", 7), ("({then: (f) => f(8)})", 8),
    ("new Promise((resolve) => setTimeout(resolve, 5, 'later'))", "later"), ("(async () => { await null; return [1]; })()", [1]),
])
def test_results_are_json(node, expression, value):
    reply = node("module.exports = () => %s;\n" % expression).call({})
    assert reply.status == 200 and reply.json == value


@pytest.mark.parametrize("expression,message", [
    ("10n", "the result cannot be sent as JSON: Do not know how to serialize a BigInt"),
    ("({a: {b: 10n}})", "Do not know how to serialize a BigInt"),
    ("((o) => (o.self = o, o))({})", "the result cannot be sent as JSON: Converting circular structure to JSON"),
    ("(() => 1)", "it is a function"), ("Symbol('s')", "it is a symbol"),
    ("({toJSON() { throw new TypeError('no json of me'); }})", "no json of me"),
    ("((o) => { for (let i = 0; i < 600; i++) o = [o]; return o; })([])", "nested deeper than 512 levels"),
    ("((o) => { for (let i = 0; i < 1e5; i++) o = [o]; return o; })([])", "the result cannot be sent as JSON: "),
])
def test_a_result_that_is_not_json_is_a_function_error(node, expression, message):
    agent = node("module.exports = async (c, p) => p ? %s : 'fine';\n" % expression)
    reply = agent.call(1)
    assert reply.error["type"] == "FunctionError" and message in reply.error["message"]
    assert reply.status == 500 and reply.error["stacktrace"] == []
    assert agent.call(0).json == "fine"


@pytest.mark.parametrize("expression", [
    "Buffer.from([0, 255])", "new Uint8Array([0, 255])", "new Uint8Array([9, 0, 255]).subarray(1)", "new Uint8Array([0, 255]).buffer",
    "new DataView(new Uint8Array([0, 255]).buffer)", "new Uint16Array([65280])"])
def test_bytes_go_out_as_they_are(node, expression):
    reply = node("module.exports = () => %s;\n" % expression).call({})
    assert dict(reply.fields)["content-type"] == b"application/octet-stream"
    assert reply.body == b"\x00\xff"


OURS = "const { Response } = require('dispatch');\nmodule.exports = (c, p) => %s;\n"
WEB = "module.exports = (c, p) => %s;\n"


def test_a_response_object_sets_status_fields_and_body(node):
    reply = node(OURS % "new Response({a: 1}, {status: 201, headers: {'X-One': 'é', 'Set-Cookie': ['a=1', 'b=2']}})").call({})
    assert (reply.status, reply.json) == (201, {"a": 1})
    assert reply.fields[2:] == [("x-one", "é".encode()), ("set-cookie", b"a=1"), ("set-cookie", b"b=2")]


@pytest.mark.parametrize("source", [OURS, WEB])
@pytest.mark.parametrize("expression,status,content_type,body", [
    ("new Response('<p>', {headers: {'Content-Type': 'text/html'}})", 200, b"text/html", b"<p>"),
    ("new Response('text', {status: 404})", 404, b"text/plain; charset=utf-8", b"text"),
    ("new Response(null, {status: 204})", 204, None, b""),
    ("new Response(Buffer.from('x'), {headers: [['content-type', 'image/x']]})", 200, b"image/x", b"x"),
])
def test_a_response_objects_body_has_a_type(node, source, expression, status, content_type, body):
    reply = node(source % expression).call({})
    got = dict(reply.fields).get("content-type")
    assert (reply.status, got and got.lower().replace(b";charset", b"; charset"), reply.body) == (status, content_type, body)
    assert reply.error_type is None


@pytest.mark.parametrize("expression,why", [
    ("new Response(1, {status: 99})", "status 99"), ("new Response(1, {status: '200'})", "status '200'"),
    ("new Response(1, {headers: {'A B': '1'}})", "is not allowed"), ("new Response(1, {headers: {A: 'x\\r\\nInjected: 1'}})", "not allowed"),
    ("new Response(1, {headers: {'Content-Length': '5'}})", "not allowed"), ("new Response(1, {headers: {'Dispatch-Error': 'x'}})", "not allowed"),
    ("new Response(1, {headers: {':status': '200'}})", "not allowed"), ("new Response(1n)", "BigInt"),
    ("new Response(1, {headers: {'Content-Type': 'a\\x01b'}})", "control characters"),
    ("new Response(1, {headers: Array.from({length: 200}, (_, i) => ['a' + i, ''])})", "more than 100 header fields"),
    ("new Response(1, {headers: [1, 2]})", "neither an object nor pairs"),
])
def test_a_wrong_response_object_is_a_function_error(node, expression, why):
    reply = node(OURS % expression).call({})
    assert reply.error["type"] == "FunctionError" and why in reply.error["message"]


def test_a_module_named_dispatch_of_the_functions_own_wins(start):
    agent = start("nodejs", {"f.js": "module.exports = () => require('dispatch').mine;\n",
                             "node_modules/dispatch/index.js": "exports.mine = 1;\n"}, "./f.js")
    assert agent.call({}).json == 1


# errors

THROWS = """
class InputError extends Error {}
class Odd extends Error { get message() { throw new Error('no text'); } get stack() { throw 1; } }
function deep() { throw new Error('missing'); }
async function later(error) { await null; throw error; }
module.exports = function handle(context, payload) {
    switch (payload) {
    case 'type': return null.x;
    case 'own type': throw new TypeError('wrong kind');
    case 'range': throw new RangeError('too far');
    case 'input': throw new InputError('not so');
    case 'named': throw Object.assign(new Error('by name'), { name: 'InputError' });
    case 'plain': return deep();
    case 'string': throw 'just text';
    case 'null': throw null;
    case 'object': throw { code: 5 };
    case 'reject': return Promise.reject(new Error('rejected'));
    case 'reject type': return later(new TypeError('async type'));
    case 'reject undefined': return Promise.reject();
    case 'odd': throw new Odd();
    case 'recursion': return handle(context, payload);
    case 'empty': throw new Error();
    case 'cause': try { deep(); } catch (cause) { throw new Error('outer', { cause }); }
    }
    return payload;
};
"""


@pytest.mark.parametrize("payload,kind,message", [
    ("type", "InputError", "Cannot read properties of null (reading 'x')"), ("own type", "InputError", "wrong kind"),
    ("range", "FunctionError", "too far"), ("input", "InputError", "not so"), ("named", "InputError", "by name"),
    ("plain", "FunctionError", "missing"), ("string", "FunctionError", "just text"),
    ("null", "FunctionError", "null was thrown, which is no Error"),
    ("object", "FunctionError", "{ code: 5 } was thrown, which is no Error"), ("reject", "FunctionError", "rejected"),
    ("reject type", "InputError", "async type"), ("reject undefined", "FunctionError", "undefined was thrown, which is no Error"),
    ("odd", "FunctionError", "an error without a message"), ("recursion", "FunctionError", "Maximum call stack size exceeded"),
    ("empty", "FunctionError", "Error"), ("cause", "FunctionError", "outer"),
])
def test_what_a_handler_throws_is_an_error_with_its_trace(node, payload, kind, message):
    agent = node(THROWS)
    reply = agent.call(payload)
    assert (reply.error["type"], reply.error["message"]) == (kind, message)
    assert reply.status == (400 if kind == "InputError" else 500)
    trace = "\n".join(reply.error["stacktrace"])
    if "was thrown" not in message and payload not in ("string", "odd"):
        assert "(f.js:" in trace or " f.js:" in trace
    assert "driver.js" not in trace and str(agent.folder) not in trace and "node:internal" not in trace
    assert agent.call("still there").json == "still there"


def test_a_trace_names_line_and_cause(node):
    trace = node(THROWS).call("cause").error["stacktrace"]
    assert trace[0] == "Error: outer" and trace[1].strip().startswith("at handle (f.js:")
    assert "caused by Error: missing" in trace and any(line.strip().startswith("at deep (f.js:") for line in trace)


def test_a_huge_error_stays_within_bounds(node):
    reply = node("module.exports = () => { throw new Error('é'.repeat(1e6)); };\n").call({})
    assert reply.error["type"] == "FunctionError" and len(reply.body) < 300_000


# what gets out of hand ends the run in hand, and the process behind it

def ends_with(agent, status):
    try:
        while True:
            agent.receive()
    except (AgentGone, ConnectionResetError):
        pass
    assert agent.wait() == status


@pytest.mark.parametrize("code,message", [
    ("setTimeout(() => { throw new Error('in a timer'); }, 1); return new Promise(() => {});", "in a timer"),
    ("Promise.reject(new Error('unheard')); return new Promise(() => {});", "unheard"),
    ("Promise.reject(new TypeError('unheard')); return 1;", "unheard"),
    ("Promise.reject(new Error('unheard')); return null;", "unheard"),
    ("process.nextTick(() => { throw new Error('in a tick'); }); return 1;", "in a tick"),
    ("queueMicrotask(() => { throw new Error('in a microtask'); }); return 1;", "in a microtask"),
    ("return (async () => { await new Promise(setImmediate); Promise.reject(new Error('late and unheard')); return 1; })();", "late and unheard"),
    ("new (require('events'))().emit('error', new Error('no listener'));", "no listener"),
    ("setTimeout(() => { throw null; }, 1); return new Promise(() => {});", "null was thrown, which is no Error"),
])
def test_what_nobody_catches_ends_the_run_and_the_process(node, code, message):
    agent = node("module.exports = (c, p) => { console.log('before'); %s };\n" % code)
    reply = agent.call({})
    assert reply.error["message"] == message and reply.lines() == ["before"]
    if "listener" not in code:
        assert reply.error["type"] == "FunctionError" and dict(reply.fields)["dispatch-last"] == b"1"
        ends_with(agent, 1)


@pytest.mark.parametrize("code,message", [
    ("process.exit(3)", "the handler called process.exit(3)"), ("process.exit()", "the handler called process.exit(0)"),
    ("await null; process.exit(4)", "the handler called process.exit(4)"),
])
def test_an_exit_ends_the_run_and_the_process(node, code, message):
    agent = node("module.exports = async (c, p) => { process.stdout.write('before'); %s };\n" % code)
    reply = agent.call({})
    assert (reply.error["type"], reply.error["message"]) == ("FunctionError", message)
    assert reply.lines() == ["before"] and "f.js" in "\n".join(reply.error["stacktrace"])
    assert dict(reply.fields)["dispatch-last"] == b"1"
    agent.wait()


def test_an_abort_ends_the_channel(node):
    agent = node("module.exports = () => process.abort();\n")
    with pytest.raises(AgentGone):
        agent.call({})
    assert agent.wait() == -signal.SIGABRT


def test_a_heap_that_is_full_ends_the_process_with_the_status_that_says_so(node):
    agent = node("module.exports = () => { const kept = []; for (;;) kept.push(new Array(1000).fill({})); };\n", memory_mib=64)
    with pytest.raises(AgentGone):
        agent.call({})
    assert agent.wait() == 71


def test_garbage_is_collected_within_the_memory(node):
    agent = node("""
        module.exports = () => {
            let kept;
            for (let i = 0; i < 3e5; i++) kept = new Array(100).fill(i);
            return kept.length;
        };""", memory_mib=64)
    assert agent.call({}).json == 100


LEFT = """
module.exports = (c, p) => {
    if (p === 'leave') {
        setTimeout(() => { console.log('late'); process.stderr.write('late error\\n'); }, 5);
        setTimeout(() => require('fs').writeSync(1, 'late bytes\\n'), 5);
        return 'left';
    }
    if (p === 'wait') return new Promise((resolve) => setTimeout(() => { console.log('mine'); resolve('waited'); }, 100));
    if (p === 'break') { setTimeout(() => { throw new Error('left behind'); }, 20); return 'left'; }
    return p;
};
"""


def test_what_a_run_leaves_behind_does_not_show_in_the_next(node):
    agent = node(LEFT)
    assert agent.call("leave").json == "left"
    reply = agent.call("wait")
    assert reply.json == "waited" and reply.logs[2] == b""
    assert [line for line in reply.lines() if "late bytes" not in line] == ["mine"]
    assert b"late\n" in agent.import_logs[1] and b"late error\n" in agent.import_logs[2]


def test_a_child_that_outlives_its_run_is_not_in_the_next_ones_log(node):
    agent = node("""
        const { spawn } = require('child_process');
        module.exports = (c, p) => {
            if (p) { spawn('sh', ['-c', 'sleep 0.1; echo late; touch done'], { stdio: ['ignore', 'inherit', 'inherit'] }); return 1; }
            console.log('mine');
        };""")
    agent.call(1)
    deadline = time.monotonic() + 20
    while not (agent.folder / "done").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert agent.call(0).lines() == ["mine"]


def test_a_run_is_not_to_blame_for_what_an_earlier_one_left(node):
    agent = node(LEFT)
    streams = []
    for what in ("break", "wait"):  # the second is there before the first breaks
        streams.append(agent.begin(content_type="application/json"))
        agent.send_body(streams[-1], json.dumps(what).encode())
    assert agent.finish(streams[0]).json == "left"
    reply = agent.finish(streams[1])
    assert reply.json == "waited" and reply.lines() == ["mine"]
    assert dict(reply.fields)["dispatch-last"] == b"1"
    ends_with(agent, 1)
    assert b"left behind" in agent.import_logs[2]


def test_what_breaks_between_runs_ends_the_process(node):
    agent = node(LEFT)
    assert agent.call("break").json == "left"
    with pytest.raises(AgentGone):
        while True:
            agent.take()
    assert agent.wait() == 1 and b"after its run: Error: left behind" in agent.import_logs[2]


def test_promises_run_on_beside_each_other(node):
    agent = node("""
        const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
        module.exports = async (c, p) => (await Promise.all([sleep(20), sleep(20), 5]))[2] + p;""")
    assert [agent.call(n).json for n in range(3)] == [5, 6, 7]


# loading

FN = "(c, p) => p"


@pytest.mark.parametrize("files,handler", [
    ({"hello.js": ECHO}, ""), ({"hello.js": ECHO}, "./hello.js"), ({"hello.js": ECHO}, "hello.js"), ({"hello.js": ECHO}, "./hello"),
    ({"hello.js": "exports.handle = %s" % FN}, "./hello.js"), ({"hello.js": "exports.handle = %s" % FN}, "hello.handle"),
    ({"hello.js": "exports.other = %s" % FN}, "hello.other"), ({"hello.js": "exports.other = %s" % FN}, "./hello.other"),
    ({"dir/hello.js": "exports.other = %s" % FN}, "dir/hello.other"), ({"hello.js": "exports.default = %s" % FN}, "./hello.js"),
    ({"hello.mjs": "export default %s" % FN}, "./hello.mjs"), ({"hello.mjs": "export default %s" % FN}, ""),
    ({"hello.mjs": "export const handle = %s" % FN}, "./hello.mjs"), ({"hello.mjs": "export const other = %s" % FN}, "hello.other"),
    ({"hello.mjs": "const x = await Promise.resolve(%s); export default x" % FN}, "./hello.mjs"),
    ({"hello.js": "export default %s" % FN, "package.json": '{"type": "module"}'}, "./hello.js"),
    ({"hello.js": "export default %s" % FN, "package.json": '{"type": "module"}'}, ""),
    ({"hello.cjs": ECHO, "package.json": '{"type": "module"}'}, "./hello.cjs"),
    ({"a.js": "x", "lib/main.js": ECHO, "package.json": '{"main": "lib/main"}'}, ""),
    ({"dir/index.js": ECHO}, "./dir"), ({"dir/package.json": '{"main": "m.mjs"}', "dir/m.mjs": "export default %s" % FN}, "dir"),
    ({"f.js": "const lib = require('left');\nmodule.exports = (c, p) => lib(p);\n",
      "node_modules/left/package.json": '{"name": "left", "main": "l.js"}', "node_modules/left/l.js": "module.exports = (p) => p;"}, "./f.js"),
    ({"f.mjs": "import lib from 'left';\nimport { own } from './own.mjs';\nexport default (c, p) => own(lib(p));\n", "own.mjs": "export const own = (p) => p;",
      "node_modules/left/index.js": "module.exports = (p) => p;"}, "./f.mjs"),
    ({"f.js": "module.exports = async (c, p) => (await import('./m.mjs')).default(p);", "m.mjs": "export default (p) => p;"}, "./f.js"),
])
def test_handlers_that_load(start, files, handler):
    assert start("nodejs", files, handler).call([1]).json == [1]


@pytest.mark.parametrize("files,handler,message,trace", [
    ({"f.js": "module.exports = (c, p => {\n"}, "./f.js", "SyntaxError: ", "f.js"),
    ({"f.mjs": "export default (c, p => {\n"}, "./f.mjs", "SyntaxError: ", None),
    ({"f.js": "require('no-such-module');\n"}, "./f.js", "Error: Cannot find module 'no-such-module'", "f.js"),
    ({"f.mjs": "import 'no-such-module';\n"}, "./f.mjs", "Cannot find package 'no-such-module'", None),
    ({"f.mjs": "import { nothing } from './g.mjs';\n", "g.mjs": ""}, "./f.mjs", "does not provide an export named 'nothing'", None),
    ({"f.js": "exports.x = 1;\n"}, "./f.js", "module './f.js' exports no function: module.exports = (context, payload)", None),
    ({"f.js": "exports.x = 1;\n"}, "f.x", "'x' in module './f.js' is not a function but number", None),
    ({"f.js": ECHO}, "f.nothing", "module './f.js' has no function 'nothing'", None),
    ({"f.js": ECHO}, "./g.js", "no module './g.js' in /function", None),
    ({"f.js": ECHO}, "../f.js", "handler '../f.js' is not in the function's source", None),
    ({"f.js": "null.x;\n"}, "./f.js", "TypeError: Cannot read properties of null", "f.js:1"),
    ({"f.mjs": "throw new Error('at import');\n"}, "./f.mjs", "Error: at import", "f.mjs:1"),
    ({"f.js": "throw 'text';\n"}, "./f.js", "text", None),
    ({"f.js": "process.exit(4);\n"}, "./f.js", "process.exit(4) was called while importing it", "f.js"),
    ({"f.mjs": "await new Promise(() => {});\nexport default 1;\n"}, "./f.mjs", "its top-level await waits for something that will never happen", None),
    ({"f.mjs": "export default 1;\nsetTimeout(() => { throw new Error('in a timer'); }, 1);\nawait new Promise((r) => setTimeout(r, 5000));\n"}, "./f.mjs",
     "Error: in a timer", "f.mjs:2"),
    ({"f.mjs": "Promise.reject(new Error('unheard'));\nawait new Promise((r) => setTimeout(r, 5000));\n"}, "./f.mjs", "Error: unheard", "f.mjs:1"),
    ({"a.js": ECHO, "b.js": ECHO}, "", "more than one: a.js, b.js: name one as ./file.js", None),
    ({"readme": ""}, "", "/function has no *.js file", None),
    ({"package.json": "{"}, "", "package.json is no JSON", None),
    ({"package.json": '{"main": "gone"}'}, "", "package.json names 'gone' as main, which is not there", None),
])
def test_a_handler_that_cannot_be_loaded_says_why(start, files, handler, message, trace):
    agent = start("nodejs", files, ready=False)
    error = agent.specialise(handler)
    assert error["type"] == "FunctionError"
    assert error["message"].startswith("cannot load the handler: ") and message in error["message"]
    text = "\n".join(error["stacktrace"])
    assert trace is None or trace in text
    assert "driver.js" not in text and "node:internal" not in text and str(agent.folder) not in text + error["message"]
    assert agent.wait() == 1


def test_a_missing_folder_is_told(start, tmp_path):
    agent = start("nodejs", {"f.js": ECHO}, ready=False, env={"DISPATCH_FUNCTION_DIR": str(tmp_path / "none")})
    assert "the function's folder" in agent.specialise("./f.js")["message"]


def test_a_crash_at_import_ends_the_channel(start):
    agent = start("nodejs", {"f.js": "process.kill(process.pid, 'SIGKILL');\n"}, ready=False)
    with pytest.raises(AgentGone):
        agent.specialise("./f.js")
    assert agent.wait() == -signal.SIGKILL


def test_what_is_printed_at_import_goes_to_stream_0(start):
    agent = start("nodejs", {"f.js": "console.log('one');\nrequire('fs').writeSync(1, 'two\\n');\nprocess.stderr.write('three');\n" + ECHO}, "./f.js")
    assert agent.import_logs == {1: b"one\ntwo\n", 2: b"three"}
    assert agent.call(1).logs == {1: b"", 2: b""}


# logs

def test_all_that_is_printed_is_logged_in_order(node):
    reply = node("""
        const { execFileSync, spawnSync } = require('child_process');
        const fs = require('fs');
        module.exports = () => {
            console.log('print %d', 1, { a: [1] });
            process.stdout.write(Buffer.from('buffer\\n'));
            fs.writeSync(1, 'descriptor\\n');
            spawnSync('echo', ['child'], { stdio: 'inherit' });
            console.info('after-child');
            process.stdout.write('part');
            console.error('error');
            console.warn('warning');
            process.stdout.write('ial');
            fs.writeSync(2, 'last');
        };""").call({})
    assert reply.lines(1) == ["print 1 { a: [ 1 ] }", "buffer", "descriptor", "child", "after-child", "partial"]
    assert reply.lines(2) == ["error", "warning", "last"]


def test_a_line_is_sent_as_it_is_printed(node):
    agent = node("""
        const fs = require('fs');
        module.exports = async () => {
            console.log('first');
            while (!fs.readFileSync('go', 'utf8')) await new Promise((resolve) => setTimeout(resolve, 1));
        };""")
    go = agent.folder / "go"
    go.write_text("")
    stream = agent.begin(content_type=None)
    agent.send_body(stream, b"")
    agent.take()
    assert agent.replies[stream].logs[1] == b"first\n" and agent.replies[stream].fields is None
    go.write_text("yes")
    assert agent.finish(stream).json is None


@pytest.mark.parametrize("how", ["console.log('x'.repeat(99))", "require('fs').writeSync(1, 'x'.repeat(99) + '\\n')"])
def test_a_log_past_its_limit_is_cut_and_marked(node, how):
    agent = node("module.exports = (c, p) => { for (let i = 0; i < p; i++) %s; };\n" % how, specialise={"log_bytes_max": 1050})
    lines = agent.call(50).lines()
    assert lines[:10] == ["x" * 99] * 10
    assert lines[-1] == "[log truncated: more than log-bytes-max, 1050 bytes, was printed]"
    assert len(lines) == 12 and lines[10] == "x" * 50
    assert agent.call(3).lines() == ["x" * 99] * 3


def test_streams_stay_open_whatever_the_handler_does(node):
    agent = node("""
        module.exports = (c, p) => new Promise((resolve) => {
            process.stdout.end('a\\n', () => { process.stdout.destroy(); process.stderr.destroySoon(); console.log('b'); resolve(1); });
        });""")
    for _ in range(2):
        assert agent.call({}).logs[1] == b"a\nb\n"


def test_a_worker_thread_prints_into_the_run(node):
    reply = node("""
        const { Worker } = require('worker_threads');
        module.exports = () => new Promise((resolve, reject) => new Worker("console.log('from a thread')", { eval: true }).on('exit', resolve).on('error', reject));
        """).call({})
    assert reply.json == 0 and reply.lines() == ["from a thread"]


# size and flow

def test_10_mib_in_and_out(node):
    agent = node("module.exports = (c, p) => typeof p === 'string' ? p : p.reverse();\n")
    body = os.urandom(10 * MIB)
    assert agent.call(body, content_type="application/octet-stream").body == body[::-1]
    text = "x" * (10 * MIB - 2)
    assert agent.call(text).json == text


def test_a_reply_waits_for_credit(node):
    agent = node("module.exports = (c, p) => Buffer.alloc(p);\n")
    stream = agent.begin(content_type="application/json")
    agent.send_body(stream, b"%d" % (3 * wire.WINDOW))
    reply = agent.replies[stream]
    while len(reply.body) < wire.WINDOW:
        agent.take(give_credit=False)
    with pytest.raises(AssertionError, match="no frame"):
        agent.take(timeout=0.3, give_credit=False)
    assert len(reply.body) == wire.WINDOW
    agent.send(frame(wire.CREDIT, stream, struct.pack("<I", 1 << 30)))
    assert len(agent.finish(stream).body) == 3 * wire.WINDOW


def test_a_reply_over_its_limit_names_it(node):
    agent = node("module.exports = (c, p) => 'x'.repeat(p);\n", specialise={"reply_bytes_max": 1000})
    assert len(agent.call(998).body) == 1000
    for size in (999, 10**6):
        error = agent.call(size).error
        assert error["type"] == "FunctionError" and "reply-bytes-max" in error["message"] and "1000" in error["message"]


@pytest.mark.parametrize("source", [
    "const ran = [];\nmodule.exports = (c, p) => { ran.push(p); return ran; };\n",
    "const ran = [];\nmodule.exports = async (c, p) => { await new Promise((r) => setTimeout(r, 2)); ran.push(p); return ran; };\n"])
def test_streams_at_once_are_run_one_after_the_other(node, source):
    agent = node(source)
    streams = [agent.begin(content_type="application/json") for _ in range(5)]
    for stream in reversed(streams):
        agent.send_body(stream, b"%d" % stream)
    replies = [agent.finish(stream).json for stream in streams]
    assert sorted(max(replies, key=len)) == [1, 2, 3, 4, 5]
    assert sorted(map(len, replies)) == [1, 2, 3, 4, 5]


def test_frames_may_arrive_byte_by_byte(node):
    agent = node(ECHO)
    agent.replies[1], agent.credit[1] = wire.Reply(), wire.WINDOW
    data = frame(wire.HEAD, 1, fields_bytes([(":method", "POST"), (":path", "/"), (":source", "run"), ("content-type", "application/json")]))
    for byte in data + frame(wire.DATA, 1, b"[1,") + frame(wire.DATA, 1, b"2]") + frame(wire.END, 1):
        agent.send(bytes([byte]))
    assert agent.finish(1).json == [1, 2]


def test_a_reset_during_the_run_drops_the_reply(node):
    agent = node("""
        const fs = require('fs');
        module.exports = async (c, p) => {
            while (p && !fs.readFileSync('go', 'utf8')) await new Promise((resolve) => setTimeout(resolve, 1));
            return Buffer.alloc(1e6);
        };""")
    (agent.folder / "go").write_text("")
    stream = agent.begin()
    agent.send_body(stream, b"1")
    agent.send(frame(wire.RESET, stream))
    (agent.folder / "go").write_text("go")
    assert len(agent.call(0).body) == 10**6


def test_usage_is_reported(node):
    agent = node("""
        module.exports = (c, p) => {
            if (p === 'sleep') return new Promise((resolve) => setTimeout(resolve, 210));
            const end = process.cpuUsage().user + 200000;
            while (process.cpuUsage().user < end);
        };""")
    handler_us, _, peak, _, _ = agent.call("sleep").usage
    assert handler_us >= 200_000 and 4 * MIB < peak < 500 * MIB
    handler_us, cpu_us, _, _, _ = agent.call("burn").usage
    assert cpu_us >= 190_000 and handler_us >= cpu_us / 4


def test_waiting_costs_no_processor(node):
    agent = node(ECHO)
    agent.call(1)

    def cpu():
        return sum(map(int, pathlib.Path("/proc/%d/stat" % agent.process.pid).read_text().rsplit(")", 1)[1].split()[11:13]))
    before = cpu()
    time.sleep(0.5)
    assert cpu() - before <= 5  # ticks of 10 ms; a loop that polls takes 50


# ends

def test_the_agent_ends_when_the_channel_closes(node):
    agent = node("setInterval(() => {}, 1000);\n" + ECHO)
    agent.channel.end()
    assert agent.wait() == 0


@pytest.mark.parametrize("wait", ["await new Promise((resolve) => setTimeout(resolve, 300));", "const end = Date.now() + 300; while (Date.now() < end);"])
def test_sigterm_finishes_the_run_at_hand(node, wait):
    agent = node("module.exports = async () => { console.log('begun'); %s return 'done'; };\n" % wait)
    stream = agent.begin()
    agent.send_body(stream, b"1")
    agent.take()
    agent.process.send_signal(signal.SIGTERM)
    assert agent.finish(stream).json == "done"
    assert agent.wait() == 0


def test_sigterm_ends_an_idle_agent(node):
    agent = node(ECHO)
    agent.process.send_signal(signal.SIGTERM)
    assert agent.wait() == 0


def test_a_caller_that_left_does_not_stop_the_agent_from_ending(node):
    agent = node("module.exports = async () => { console.log('begun'); await new Promise((resolve) => setTimeout(resolve, 100)); };\n")
    stream = agent.begin()
    agent.send_body(stream, b"1")
    agent.take()
    agent.channel.end()
    assert agent.wait() == 0


def test_exit_listeners_run(node):
    agent = node("process.on('exit', () => require('fs').writeFileSync('bye', ''));\n" + ECHO)
    agent.channel.end()
    agent.wait()
    assert (agent.folder / "bye").exists()


@pytest.mark.parametrize("data", [
    b"\xff" * 12, frame(99, 1), frame(wire.DATA, 7, b"x"), frame(wire.READY, 0), HEAD + HEAD, frame(wire.SPECIALISE, 0, b""),
    struct.pack("<IBBHI", 200000, 2, 0, 0, 1), b"".join(frame(wire.HEAD, i, b"") for i in range(1, 200)),
])
def test_a_server_that_breaks_the_protocol_ends_the_agent(node, data):
    agent = node(ECHO)
    try:
        agent.send(data)
        while True:
            agent.receive()
    except (AgentGone, OSError):
        pass
    assert agent.wait() == 70
    assert "dispatch agent: " in agent.printed()


def test_the_addon_shares_no_names_with_node(node):
    from conftest import runtime_folder
    text = subprocess.check_output(["nm", "-D", "--defined-only", str(runtime_folder("nodejs") / "dispatch.node")], text=True)
    assert all(name.startswith(("napi_", "node_api_", "_")) for name in (line.split()[-1] for line in text.splitlines())), text


def test_it_works_without_memfds(node):
    agent = node("module.exports = (c, p) => { console.log('x'); return p; };\n", memfds=False)
    assert agent.call(5).json == 5 and agent.call(5).logs[1] == b"x\n"


def test_descriptors_are_not_inherited(node):
    agent = node("module.exports = () => require('child_process').execFileSync('ls', ['-l', '/proc/self/fd'], { encoding: 'utf8' });\n")
    links = agent.call({}).json
    ours = os.readlink("/proc/%d/fd/4" % agent.process.pid)
    assert ours.startswith("pipe:") and ours not in links


def test_a_child_of_the_handlers_has_a_channel_of_its_own(start):
    agent = start("nodejs", {"f.js": """
        const { fork } = require('child_process');
        module.exports = () => new Promise((resolve) => fork('./child.js').on('message', resolve));
        """, "child.js": "process.send('hello from ' + typeof process.send);\n"}, "./f.js")
    assert agent.call({}).json == "hello from function"


def test_a_thousand_runs_leave_nothing_behind(node):
    agent = node("module.exports = async (c, p) => { console.log('x'); return require('fs').readdirSync('/proc/self/fd').length; };\n")
    before = agent.call({"a": [1] * 100}).json
    for _ in range(1000):
        assert agent.call({"a": [1] * 100}).json == before
    assert agent.call({}).usage[2] < 150 * MIB


# over TCP

def test_the_function_runtime_api_on_a_port(tmp_path):
    from test_port import MESSAGE, Server
    (tmp_path / "f.js").write_text("""
        module.exports = async (context, payload) => {
            console.log('out');
            console.error('err');
            if (payload === 'type') throw new TypeError('bad');
            if (payload === 'slow') await new Promise(() => {});
            if (payload === 'wait') await new Promise((resolve) => setTimeout(resolve, 300));
            return Buffer.isBuffer(payload) ? payload.length : [payload];
        };""")
    server = Server("nodejs", tmp_path, env={"TIMEOUT": "700"})
    try:
        assert server.post({"a": 1})[0::2] == (200, b'[{"a":1}]')
        assert server.get("/x?name=Jon")[2] == b'[{"name":"Jon"}]'
        status, headers, body = server.post("type")
        assert (status, headers["dispatch-error"], json.loads(body)["message"]) == (400, "InputError", "bad")
        message = json.loads(server.post(1, accept=MESSAGE)[2])
        assert message == {"context": {"logs": {"stdout": ["out"], "stderr": ["err"]}}, "payload": [1]}
        assert server.post(b"x" * (10 * MIB), Content_Type="application/octet-stream")[2] == b"%d" % (10 * MIB)
        one = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n%d"
        health = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
        answer = server.raw(one % 1 + health + one % 2 + one % 3)
        assert [part[-3:] for part in answer.split(b"HTTP/1.1")[1:]] == [b"[1]", b"\n{}", b"[2]", b"[3]"]
        import threading
        results = []
        threads = [threading.Thread(target=lambda i=i: results.append((i, server.post(i)[2]))) for i in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(results) == [(i, b"[%d]" % i) for i in range(10)]
        thread = threading.Thread(target=lambda: results.append(server.post("slow")))
        thread.start()
        assert server.get("/healthz")[2] == b"{}"  # beside the run, which waits
        thread.join()
        assert results[-1][0] == 500 and json.loads(results[-1][2])["message"] == "Function execution exceeded the timeout"
        assert server.process.wait(20) == 1  # what runs the pod starts it again
    finally:
        if server.process.poll() is None:
            server.process.kill()
        server.process.communicate()


def test_sigterm_on_a_port_finishes_the_request_at_hand(tmp_path):
    import threading
    from test_port import Server
    (tmp_path / "f.js").write_text("module.exports = () => new Promise((resolve) => setTimeout(resolve, 500, 1));\n")
    server = Server("nodejs", tmp_path)
    idle = server.connect()
    idle.connect()
    result = []
    thread = threading.Thread(target=lambda: result.append(server.post(1)))
    thread.start()
    time.sleep(0.25)
    server.process.send_signal(signal.SIGTERM)
    thread.join()
    assert result[0][2] == b"1" and result[0][1]["connection"] == "close"
    assert server.process.wait(20) == 0
    server.process.communicate()


def test_a_port_that_is_taken_is_said(tmp_path):
    from test_port import Server
    (tmp_path / "f.js").write_text(ECHO)
    server = Server("nodejs", tmp_path)
    second = Server("nodejs", tmp_path, env={"PORT": str(server.port)}, wait=False)
    try:
        out, err = second.process.communicate(timeout=20)
        assert second.process.returncode == 70 and err.startswith(b"dispatch agent: bind port %d" % server.port)
    finally:
        server.process.kill()
        server.process.communicate()


def test_a_handler_that_cannot_be_loaded_ends_the_process(tmp_path):
    from test_port import Server
    (tmp_path / "f.js").write_text("require('nope');\n")
    server = Server("nodejs", tmp_path, wait=False)
    out, err = server.process.communicate(timeout=20)
    assert server.process.returncode == 1 and b"Cannot find module 'nope'" in err
