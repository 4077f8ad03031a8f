"""Functions in Node.js, in their sandboxes: what test_functions.py and test_limits.py ask of Python."""
import concurrent.futures
import json

import pytest

import harness


@pytest.fixture(scope="module")
def nodejs(server):
    server.image("nodejs", "dispatchframework/nodejs-base:0.0.13-knative")
    return server


@pytest.fixture
def make(nodejs, name):
    def make_function(files, **how):
        files = {"handler.js": files} if isinstance(files, str) else files
        return nodejs.function(name, files, image="nodejs", **how)
    return make_function


def body(code):
    return "module.exports = async (context, payload) => { %s };\n" % code


def test_a_function_runs_and_logs(nodejs, make, name):
    make(body("console.log('to', payload); console.error('oops'); require('fs').writeSync(1, 'raw\\n'); return [payload];"))
    for word in ("first", "second"):
        run = nodejs.run(name, word)
        assert run["output"] == [word] and run["status"] == "READY"
        assert run["logs"] == {"stdout": [f"to {word}", "raw"], "stderr": ["oops"]}
    assert nodejs.message(name, '"m"')["payload"] == ["m"]


@pytest.mark.parametrize("reference", ["dispatchframework/nodejs-base", "builtin:nodejs", "docker.io/dispatchframework/nodejs-base:any"])
def test_references_to_the_base_image(nodejs, name, reference):
    assert nodejs.image(name, reference)["language"] == "nodejs"


@pytest.mark.parametrize("files, handler", [
    ({"hello.mjs": "export default (c, p) => p;"}, None),
    ({"hello.mjs": "export const handle = (c, p) => p;"}, "hello.handle"),
    ({"src/app.js": "import lib from 'lib'; export default (c, p) => lib(p);", "package.json": '{"type": "module"}',
      "node_modules/lib/package.json": '{"main": "l.cjs"}', "node_modules/lib/l.cjs": "module.exports = (p) => p;"}, "./src/app.js"),
])
def test_modules_of_every_kind(nodejs, make, name, files, handler):
    make(files, handler=handler)
    assert nodejs.run(name, {"a": [1]})["output"] == {"a": [1]}


@pytest.mark.parametrize("files, handler, text", [
    ("module.exports = (c => {\n", None, "SyntaxError"), ("null.x;\n", None, "Cannot read properties of null"),
    ("require('nothing-like-that');\n", None, "nothing-like-that"), ("exports.a = 1;\n", None, "exports no function"),
    ("process.exit(7);\n", None, "process.exit(7) was called"), ("x", "./gone.js", "no module './gone.js'"),
    ({"a.mjs": "await new Promise(() => {});"}, None, "top-level await"),
    ("process.kill(process.pid, 'SIGKILL');\n", None, "killed by signal 9"),
])
def test_a_handler_that_cannot_be_loaded_is_the_status(nodejs, make, name, files, handler, text):
    reason = "\n".join(make(files, handler=handler, wanted="ERROR")["reason"])
    assert text in reason and "/runtime/" not in reason


def test_a_syntax_error_names_its_place(make):
    assert "handler.js:2" in "\n".join(make("const a = 1;\nconst a = 2;\n", wanted="ERROR")["reason"])


@pytest.mark.parametrize("code, kind, text", [
    ("throw new TypeError('bad type');", "InputError", "bad type"), ("throw new Error('bad');", "FunctionError", "bad"),
    ("throw null;", "FunctionError", "null was thrown"), ("return 10n;", "FunctionError", "BigInt"),
    ("process.exit(3);", "FunctionError", "process.exit(3)"), ("setTimeout(() => { throw new Error('later'); }); await new Promise(() => {});", "FunctionError", "later"),
    ("Promise.reject(new Error('unheard'));", "FunctionError", "unheard"),
    ("require('child_process').execSync('kill -9 $PPID');", "FunctionError", "killed by signal 9"),
    ("process.abort();", "FunctionError", "killed by signal 6"), ("process.reallyExit(5);", "FunctionError", "ended with status 5"),
])
def test_what_goes_wrong_ends_one_run_alone(nodejs, make, name, code, kind, text):
    make("let runs = 0;\n" + body("console.log('before'); if (payload === 'well') return ++runs; %s" % code), maxInstances=1)
    assert nodejs.run(name, "well")["output"] == 1
    for _ in range(2):
        run = nodejs.run(name)
        assert run["status"] == "ERROR" and run["error"]["type"] == kind and text in run["error"]["message"], run
        assert nodejs.run(name, "well")["status"] == "READY"


def test_runs_at_once_survive_one_that_breaks_its_process(nodejs, make, name):
    make(body("if (payload % 8 === 0) setTimeout(() => { throw new Error('mine'); }); "
              "await new Promise((resolve) => setTimeout(resolve, 20)); return payload;"), maxInstances=2)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda number: nodejs.run(name, number), range(32)))
    for number, run in enumerate(runs):
        if number % 8 == 0:
            assert run["status"] == "ERROR" and run["error"]["message"] == "mine", run
        else:
            assert run.get("output") == number, run


@pytest.mark.parametrize("code", ["for (;;);", "await new Promise(() => {});", "await new Promise((resolve) => setTimeout(resolve, 60000));"])
def test_past_its_deadline_a_run_names_the_limit(nodejs, make, name, code):
    make(body("if (payload) return payload; %s" % code), timeout=700)
    error = nodejs.message(name, "null")["context"]["error"]
    assert error["type"] == "FunctionError" and "timeout of 700 ms" in error["message"]
    assert nodejs.run(name, "next")["output"] == "next"


@pytest.mark.parametrize("code", [
    "const kept = []; for (;;) kept.push(new Array(1000).fill({}));",  # V8 gives up
    "const kept = []; for (;;) kept.push(Buffer.alloc(1 << 20, 1));",  # the kernel kills
    "let kept = 'x'; for (;;) kept = [kept, JSON.stringify(kept)];",
])
def test_over_its_memory_a_run_names_the_limit(nodejs, make, name, code):
    make(body("if (payload) return payload; %s" % code), memory=64, timeout=40000)
    run = nodejs.run(name, None)
    assert run["status"] == "ERROR" and "memory limit of 64 MiB" in run["error"]["message"], run["error"]
    assert nodejs.run(name, "next")["output"] == "next"


def test_too_much_memory_for_a_load_is_the_status(make):
    found = make("const kept = [];\nfor (;;) kept.push(new Array(1000).fill({}));\n", memory=64, wanted="ERROR")
    assert "memory limit of 64 MiB" in "\n".join(found["reason"])


def test_garbage_does_not_count(nodejs, make, name):
    make(body("let kept; for (let i = 0; i < 3e5; i++) kept = new Array(100).fill(i); return kept.length;"), memory=64)
    assert nodejs.run(name)["output"] == 100


def test_an_endpoint_gets_what_a_response_object_says(nodejs, make, name):
    make("const { Response } = require('dispatch');\nmodule.exports = (c, p) => new Response(Buffer.from([255, 0]), "
         "{status: 201, headers: {'Content-Type': 'image/x', 'X-Query': p.q}});\n")
    nodejs.endpoint(name, name, [f"/{name}"])
    reply = nodejs.gateway("GET", f"/{name}?q=1")
    assert (reply.status, reply.body, reply.headers["Content-Type"], reply.headers["X-Query"]) == (201, b"\xff\x00", "image/x", "1")


def test_bytes_in_and_out(nodejs, make, name):
    make(body("return Buffer.from(payload).reverse();"))
    message = nodejs.message(name, b"\x00\x01\xff", "application/octet-stream")
    assert message["payload"] == "/wEA" and message["payloadEncoding"] == "base64"


def test_secrets_and_environment(nodejs, make, name):
    assert nodejs.api("POST", "/v1/secret", {"name": name, "secrets": {"key": "hush-hush"}}).status == 201
    make(body("return [context.secrets, process.env, require('fs').readFileSync('/proc/self/environ', 'latin1').replaceAll('\\0', ' ')];"),
         secrets=[name], env={"GREETING": "ahoy", "NODE_OPTIONS": "--inspect", "TZ": "Asia/Tokyo"})
    secrets, environment, first = nodejs.run(name)["output"]
    assert secrets["key"] == "hush-hush" and json.loads(secrets[name]) == {"key": "hush-hush"}
    assert environment["GREETING"] == "ahoy" and "hush-hush" not in json.dumps(environment) + first


def test_the_sandbox_is_a_sandbox(nodejs, make, name):
    make(body("""
        const fs = require('fs'), net = require('net'), { execFileSync } = require('child_process');
        const attempt = (action) => { try { action(); return null; } catch (error) { return error.code; } };
        return [attempt(() => fs.writeFileSync('/function/x', '')), attempt(() => fs.writeFileSync('/usr/x', '')), attempt(() => fs.writeFileSync('/tmp/x', '')),
            execFileSync('id', ['-u'], { encoding: 'utf8' }).trim(), fs.existsSync('/root/.ssh') || fs.existsSync('/etc/shadow'),
            Object.values(require('os').networkInterfaces()).flat().filter((each) => !each.internal).length,
            require('crypto').createHash('sha256').update('x').digest('hex').slice(0, 8), new Date(0).toLocaleTimeString('de', { timeZone: 'Europe/Berlin' }),
            await new Promise((resolve) => net.connect(9229, '127.0.0.1').on('error', (error) => resolve(error.code)).on('connect', () => resolve('open')))];
        """))
    seen = nodejs.run(name)["output"]
    assert seen[0] in ("EROFS", "EACCES") and seen[1] in ("EROFS", "EACCES") and seen[2] is None
    assert seen[3:] == ["1000", False, 0, "2d711642", "01:00:00", "ECONNREFUSED"]


def test_threads_children_and_workers(nodejs, make, name):
    make({"handler.js": """
        const { Worker } = require('worker_threads'), { fork } = require('child_process'), { pbkdf2 } = require('crypto');
        const wait = (emitter, event) => new Promise((resolve, reject) => emitter.on('error', reject).on(event, resolve));
        module.exports = async () => [
            await wait(new Worker("require('worker_threads').parentPort.postMessage('thread')", { eval: true }), 'message'),
            await wait(fork('./child.js'), 'message'),
            (await Promise.all(Array.from({ length: 8 }, () => new Promise((resolve) => pbkdf2('p', 's', 1000, 8, 'sha256', (e, key) => resolve(key)))))).length,
        ];""", "child.js": "process.send('child');\n"}, handler="./handler.js")
    assert nodejs.run(name)["output"] == ["thread", "child", 8]


def test_isolation_run_gives_each_run_a_fresh_process(nodejs, make, name):
    make("let runs = 0;\nmodule.exports = () => ++runs;\n", isolation="run")
    assert [nodejs.run(name)["output"] for _ in range(2)] == [1, 1]
