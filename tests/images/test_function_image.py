"""Any OCI image as a function: its own server in our sandbox, limits and records."""
import concurrent.futures
import glob
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading

import pytest

import foreign
import harness
import oci
import world
from harness import PATIENCE, poll

METHODS = "GET,HEAD,POST,PUT,DELETE,PATCH"
# What /raw?KEY of foreign_server.c answers, and what is said of it.
NO_REPLIES = {"lengths": "", "smuggle": "", "split": "", "interim": "interim replies", "headers": "", "line": "",
              "hangup": "without a reply", "half": "within the reply's body", "upgrade": "switched protocols", "smtp": ""}
# The outer API of a function image of the original (CONTRACT 8.2).
MESSAGES = r'''
import http.server, json, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.reply(200 if self.path == "/healthz" else 404, b"{}")
    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        payload, context = message["payload"], {"error": None, "logs": {"stdout": ["said"], "stderr": None}}
        if payload == "raw":
            return self.reply(200, b"this is no message")
        if isinstance(payload, dict) and "fail" in payload:
            context["error"] = {"type": payload["fail"], "message": "as asked", "stacktrace": ["line 1"]}
        answer = {"got": payload, "secrets": message["context"].get("secrets"), "version": os.environ.get("VERSION")}
        self.reply(200, json.dumps({"context": context, "payload": None if context["error"] else answer}).encode())
    def reply(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
http.server.HTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
'''


def image(folder, files=None, layers=None, **config):
    """The layout of an image with foreign_server.c as /server, unless layers are given."""
    if layers is None:
        layers = [foreign.layer({"server": (foreign.server_program(), 0o755), **(files or {})})]
    return foreign.Layout(folder, layers, {"Entrypoint": ["/server"], **config})


@pytest.fixture(scope="module")
def layouts():
    """A folder that everybody can read, as a job that fetches is nobody in particular."""
    folder = tempfile.mkdtemp(prefix="dispatch-layouts-")
    os.chmod(folder, 0o755)
    try:
        yield pathlib.Path(folder)
    finally:
        shutil.rmtree(folder)


def server_of(layouts, *options):
    known = subprocess.run([os.path.join(harness.BUILD, "dispatch-server"), "--help"], capture_output=True, text=True, check=True)
    if "--image-folders" not in known.stdout:
        pytest.skip("this server fetches no images")
    return harness.Server(options=["--image-folders", str(layouts), *options])


@pytest.fixture
def folder(layouts):
    return layouts / os.urandom(6).hex()


def endpoint(server, name):
    """Everything of the host NAME.example."""
    server.cli("create", "endpoint", name, name, "--domain", f"{name}.example", "--path", "/*", "--method", METHODS)


def create(server, name, layout, *flags, wanted="READY"):
    """Creates the function and its endpoint; the function as it came out."""
    server.cli("create", "function", name, "--function-image", layout.reference, *flags)
    function = server.wait_status("function", name, wanted, timeout_s=60)
    endpoint(server, name)
    return function


@pytest.fixture(scope="module")
def running(layouts):
    """A server with the function `web`."""
    server = server_of(layouts)
    try:
        server.start()
        create(server, "web", image(layouts / "web", Env=["VERSION=one", "PATH=/"]), "--memory", "64")
        yield server
    finally:
        server.finish()


def ask(server, name, path, method="GET", body=None, headers=None, **more):
    return server.gateway(method, path, body, headers, host=f"{name}.example", **more)


def reason(function):
    return "\n".join(function["reason"])


def last_run(server, name):
    """The newest record of the function, once it is there."""
    def newest():
        runs = server.api("GET", f"/v1/runs?functionName={name}").json
        return max(runs, key=lambda run: run["executedAt"]) if runs else None
    return poll(newest, what="a run's record")


# Behind an endpoint

def test_a_call_arrives_as_it_was_sent(running):
    reply = ask(running, "web", "/head?q=1&q=2", headers={"X-One": "1", "traceparent": "00-1-2-01"})
    assert reply.status == 200 and reply.text.startswith("GET /head?q=1&q=2 HTTP/1.1\r\n")
    fields = dict(line.split(": ", 1) for line in reply.text.split("\r\n")[1:] if line)
    assert (fields["Host"], fields["X-One"], fields["Traceparent"]) == ("web.example", "1", "00-1-2-01")
    assert (fields["Dispatch-Function"], fields["Dispatch-Run-Id"]) == ("web", reply.headers["Dispatch-Run-Id"])
    assert "Dispatch-Deadline" in fields and "Connection" not in fields


@pytest.mark.parametrize("body,kind", [(b"\x00\xff\r\n", "image/png"), (b"a=1&b=2", "application/x-www-form-urlencoded"),
                                       (b'{"a": [1,  2]}', "application/json"), (b"x" * 900000, "text/plain")])
def test_a_body_comes_back_to_the_byte(running, body, kind):
    reply = ask(running, "web", "/echo", "POST", body, {"Content-Type": kind})
    assert (reply.status, reply.body, reply.headers["Content-Type"]) == (200, body, kind)


@pytest.mark.parametrize("status", [201, 204, 301, 404, 418, 500, 503])
def test_status_and_fields_are_the_program_s(running, status):
    reply = ask(running, "web", f"/status?{status}")
    assert reply.status == status and reply.headers.get_all("Set-Cookie") == ["a=1", "b=2"]


def test_head_has_no_body(running):
    reply = ask(running, "web", "/", "HEAD")
    assert reply.status == 200 and reply.body == b""


# Runs

def test_a_run_posts_its_input_and_its_payload_is_the_reply(running):
    run = running.api("POST", "/v1/runs?functionName=web", {"blocking": True, "input": {"a": 1}}).json
    assert run["status"] == "READY" and run["output"] == "hello from one"
    done = running.cli("exec", "web", input='{"name": "user"}')
    assert json.loads(done.stdout)["payload"] == "hello from one"


def test_a_run_is_recorded_with_its_log(running):
    ask(running, "web", "/print?words")
    run = last_run(running, "web")
    assert run["status"] == "READY" and run["logs"] == {"stdout": ["out words"], "stderr": ["err words"]}
    assert run["usage"]["cpuMicros"] >= 0 and run["start"] in ("hot", "boot")


def test_what_one_run_printed_is_not_in_the_next(running):
    ask(running, "web", "/print?first")
    ask(running, "web", "/env?VERSION")
    assert last_run(running, "web")["logs"] == {"stdout": None, "stderr": None}


# The sandbox

def test_the_environment_is_the_image_s_and_the_function_s(running, folder):
    create(running, "env", image(folder, Env=["A=image", "B=image"]), "--env", "B=function")
    assert [ask(running, "env", f"/env?{name}").text for name in "ABC"] == ["image", "function", "(none)"]
    assert ask(running, "env", "/env?PORT").text == "8080"


def test_it_runs_as_the_sandbox_s_user_whatever_the_image_says(running, folder):
    create(running, "user", image(folder, User="root:root"))
    assert ask(running, "user", "/ids").text.split()[:2] == ["1000", "1000"]


@pytest.mark.parametrize("path,wanted", [("/file", "Read-only file system"), ("/server", "Read-only file system"),
                                         ("/tmp/file", "written"), ("/run/file", "written"), ("/dev/shm/file", "written")])
def test_it_writes_to_memory_alone(running, path, wanted):
    assert ask(running, "web", f"/write?{path}").text == wanted


def test_what_an_image_has_in_the_place_of_a_mount_does_not_matter(running, folder):
    layout = image(folder, {"tmp": ("link", "/etc"), "proc": ("link", "/"), "dev": "a file", "function": ("link", "/nowhere"),
                            "etc/motd": "the image's\n"})
    create(running, "odd", layout)
    assert ask(running, "odd", "/write?/tmp/file").text == "written"
    assert ask(running, "odd", "/read?/etc/motd").text == "the image's\n"
    assert "MemTotal" in ask(running, "odd", "/read?/proc/meminfo").text


def test_secrets_are_files_and_not_in_the_environment(running, folder):
    running.api("POST", "/v1/secret", {"name": "database", "secrets": {"password": "hunter2", "user": "u"}})
    create(running, "secret", image(folder), "--secret", "database")
    assert ask(running, "secret", "/read?/run/secrets/password").text == "hunter2"
    assert json.loads(ask(running, "secret", "/read?/run/secrets/database.json").text) == {"password": "hunter2", "user": "u"}
    assert "hunter2" not in ask(running, "secret", "/read?/proc/self/environ").text
    running.api("PUT", "/v1/secret/database", {"name": "database", "secrets": {"password": "changed"}})
    poll(lambda: ask(running, "secret", "/read?/run/secrets/password").text == "changed", what="the new secret")


def test_a_low_port_is_as_good_as_another(running, folder):
    create(running, "low", image(folder, Env=["PORT=80"]))
    assert ask(running, "low", "/env?PORT").text == "80"


def test_a_network_to_the_outside_changes_nothing_else(running, folder):
    if world.why_not():
        pytest.skip(world.why_not())
    create(running, "egress", image(folder, Env=["PORT=80"]), "--network", "egress")
    assert ask(running, "egress", "/").status == 200
    assert "nameserver" in ask(running, "egress", "/read?/etc/resolv.conf").text


def test_an_image_may_have_many_layers(running, folder):
    layers = [foreign.layer({f"part{i}": str(i), "last": str(i)}) for i in range(30)]
    create(running, "many", image(folder, layers=[*layers, foreign.layer({"server": (foreign.server_program(), 0o755)})]))
    assert [ask(running, "many", f"/read?/part{i}").text for i in (0, 15, 29)] == ["0", "15", "29"]
    assert ask(running, "many", "/read?/last").text == "29"


# Limits

def test_a_deadline_is_a_504_and_the_next_call_works(running, folder):
    create(running, "slow", image(folder), "--timeout", "500")
    assert ask(running, "slow", "/hold").status == 504
    assert ask(running, "slow", "/").status == 200
    assert "exceeded the timeout of 500 ms" in reason(next(run for run in running.api("GET", "/v1/runs?functionName=slow").json
                                                           if run["status"] == "ERROR"))


def test_too_much_memory_is_told_and_the_next_call_works(running):
    reply = ask(running, "web", "/grow")
    assert reply.status == 500 and "memory limit of 64 MiB" in reply.json["message"]
    assert ask(running, "web", "/").status == 200


def test_a_process_that_ends_in_a_run_is_told_and_the_next_call_works(running):
    reply = ask(running, "web", "/exit?3")
    assert reply.status == 500 and "ended with status 3 before it answered" in reply.json["message"]
    assert ask(running, "web", "/").status == 200


def test_calls_at_once_get_instances_of_their_own(running):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: ask(running, "web", "/ids"), range(40)))
    assert {reply.status for reply in replies} == {200}


@pytest.mark.parametrize("how", NO_REPLIES)
def test_what_is_no_reply_is_a_502_and_the_next_call_works(running, how):
    reply = ask(running, "web", f"/raw?{how}")
    assert reply.status == 502, reply
    assert "the reply of function web is no reply" in reply.json["message"] and NO_REPLIES[how] in reply.json["message"]
    assert ask(running, "web", "/").text == "hello from one"


@pytest.mark.parametrize("how", ["huge", "gigabyte"])
def test_a_reply_without_end_is_an_error_that_names_the_limit(running, how):
    reply = ask(running, "web", f"/raw?{how}")
    assert reply.status == 500 and "larger than reply-bytes-max" in reply.json["message"]
    assert ask(running, "web", "/").text == "hello from one"


def test_a_second_answer_reaches_nobody(running):
    assert ask(running, "web", "/raw?twice").text == "one"
    assert ask(running, "web", "/").text == "hello from one"


# Start

def test_a_crash_at_start_is_in_the_reason_with_its_last_words(running, folder):
    function = create(running, "crash", image(folder, Env=["CRASH=there is no database"]), wanted="ERROR")
    assert "the image's process ended with exit status 7 before it listened on port 8080" in function["reason"][0]
    assert function["reason"][-1] == "there is no database" and "reading the configuration" in function["reason"]
    done = running.cli("create", "function", "crash2", "--function-image", image(str(folder) + "2", Env=["CRASH=no"]).reference,
                       "--wait", check=False)
    assert done.returncode == 1 and "ended with exit status 7" in done.stderr


def test_a_slow_start_is_waited_for(running, folder):
    create(running, "late", image(folder, Env=["LATE_MS=1500"]))
    assert ask(running, "late", "/").status == 200


def test_a_wrong_port_is_named_with_what_to_do(layouts):
    server = server_of(layouts, "--start-timeout-ms", "2000")
    try:
        server.start()
        function = create(server, "wrong", image(layouts / "wrong", Cmd=["9999"]), wanted="ERROR")
        assert "nothing listens on port 8080, which PORT names" in function["reason"][0]
        assert "the image listens on port 9999: let it read PORT, or say --env PORT=9999" in function["reason"][0]
        server.cli("update", "function", "wrong", "--env", "PORT=9999", "--wait")
        assert ask(server, "wrong", "/").status == 200
    finally:
        server.finish()


@pytest.mark.parametrize("config,words", [({"Entrypoint": None}, "neither an Entrypoint nor a Cmd"),
                                          ({"Entrypoint": ["/nothing"]}, "has no program '/nothing'"),
                                          ({"WorkingDir": "/nowhere"}, "no folder '/nowhere', its WorkingDir"),
                                          ({"Env": ["PORT=http"]}, "it takes a port from 1 to 65535")])
def test_an_image_that_cannot_be_started_says_why(running, folder, name, config, words):
    assert words in reason(create(running, name, image(folder, **config), wanted="ERROR"))


# Updates and crashes

def test_an_update_is_without_a_gap(running, folder):
    create(running, "moving", image(folder, Env=["VERSION=one"]))
    replies, over = [], threading.Event()

    def keep_asking():
        while not over.is_set():
            replies.append(ask(running, "moving", "/"))

    threads = [threading.Thread(target=keep_asking) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        running.cli("update", "function", "moving", "--function-image",
                    image(str(folder) + "2", Env=["VERSION=two", "LATE_MS=300"]).reference, "--wait")
        poll(lambda: ask(running, "moving", "/").text == "hello from two", what="the new version")
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert {reply.status for reply in replies} == {200}
    assert {reply.text for reply in replies} <= {"hello from one", "hello from two"}


def test_an_update_that_fails_leaves_what_serves(running, folder):
    create(running, "kept", image(folder, Env=["VERSION=one"]))
    running.cli("update", "function", "kept", "--function-image", image(str(folder) + "2", Env=["CRASH=no"]).reference)
    assert "exit status 7" in reason(running.wait_status("function", "kept", "ERROR"))
    assert ask(running, "kept", "/").text == "hello from one"


def test_it_serves_again_after_kill_9(layouts):
    server = server_of(layouts)
    try:
        server.start()
        create(server, "web", image(layouts / "killed", Env=["VERSION=one"]))
        old = server.server_pid()
        os.kill(old, 9)
        poll(lambda: server.server_pid() not in (None, old) and server.is_ready(), what="another server")
        assert ask(server, "web", "/").text == "hello from one"
        server.kill()
        server.start()
        assert ask(server, "web", "/").text == "hello from one"
        assert server.api("GET", "/v1/function/web").json["status"] == "READY"
    finally:
        server.finish()


def test_layers_that_were_removed_are_fetched_again(layouts):
    server = server_of(layouts)
    try:
        server.start()
        create(server, "web", image(layouts / "removed", Env=["VERSION=one"]))
        server.stop()
        for layer in os.listdir(os.path.join(server.state, "layers")):
            shutil.rmtree(os.path.join(server.state, "layers", layer))
        server.start()
        poll(lambda: ask(server, "web", "/").text == "hello from one", 30, "the layers")
        server.wait_status("function", "web")
    finally:
        server.finish()


def test_a_layer_that_was_removed_from_a_stack_is_fetched_again(layouts):
    server = server_of(layouts)
    layers = [foreign.layer({f"file-{i}": str(i)}) for i in range(6)]
    layers.append(foreign.layer({"server": (foreign.server_program(), 0o755)}))
    try:
        server.start()
        create(server, "web", image(layouts / "stacked", layers=layers, Env=["VERSION=one"]))
        folder = os.path.join(server.state, "layers")
        gone, = [each for each in os.listdir(folder) if os.path.exists(os.path.join(folder, each, "file-3"))]
        server.stop()
        shutil.rmtree(os.path.join(folder, gone))
        server.start()
        poll(lambda: os.path.exists(os.path.join(folder, gone, "file-3")), 60, "the layer")
        server.wait_status("function", "web", timeout_s=60)
        assert ask(server, "web", "/").text == "hello from one"
    finally:
        server.finish()


# The definition

def test_the_definition_names_the_image(running):
    function = running.api("GET", "/v1/function/web").json
    assert function["functionImage"] == function["functionImageURL"]
    assert function["backingObject"]["image"]["protocol"] == "http"
    table = running.cli("get", "function", "web").stdout
    assert function["functionImage"][:12] in table


@pytest.mark.parametrize("more,words", [({"image": "x"}, "image in body does not go with functionImage"),
                                        ({"source": "eA=="}, "source in body does not go with functionImage"),
                                        ({"handler": "x"}, "handler in body does not go with functionImage"),
                                        ({"protocol": "grpc"}, "protocol")])
def test_what_contradicts_the_image_is_refused(running, more, words):
    reply = running.api("POST", "/v1/function", {"name": "both", "functionImage": "web:1", **more})
    assert reply.status == 422 and words in reply.json["message"]


def test_a_secret_for_the_registry_must_be_there(running):
    reply = running.api("POST", "/v1/function", {"name": "both", "functionImage": "web:1", "registrySecret": "none"})
    assert reply.status == 404 and "secret none not found" in reply.json["message"]


def test_yaml_makes_one_too(running, folder, tmp_path):
    (tmp_path / "f.yaml").write_text(f"kind: Function\nname: yaml\nfunctionImage: {image(folder).reference}\nmemory: 64\n")
    running.cli("create", "-f", str(tmp_path / "f.yaml"))
    running.wait_status("function", "yaml")
    running.cli("delete", "function", "yaml")


def test_a_function_moves_from_source_to_image_and_back(running, folder, tmp_path):
    running.image("native", harness.NATIVE_BASE)
    (tmp_path / "f.sh").write_text("#!/bin/sh\necho '\"from source\"'\n")
    (tmp_path / "f.sh").chmod(0o755)
    output = lambda: running.api("POST", "/v1/runs?functionName=both", {"blocking": True, "input": 1}).json["output"]
    running.cli("create", "function", "both", str(tmp_path / "f.sh"), "--image", "native", "--wait")
    assert output() == "from source"
    running.cli("update", "function", "both", "--function-image", image(folder, Env=["VERSION=one"]).reference, "--wait")
    assert output() == "hello from one"
    running.cli("update", "function", "both", str(tmp_path / "f.sh"), "--image", "native", "--wait")
    assert output() == "from source"


# Other people's programs

def test_busybox_httpd_is_a_function(running, folder):
    busybox = shutil.which("busybox") or pytest.skip("busybox is not installed")
    if b"ld-linux" in open(busybox, "rb").read(4096):
        pytest.skip("this busybox is not static")
    files = {"bin/busybox": ("host", os.path.realpath(busybox)), "www/index.html": "a page\n"}
    create(running, "busybox", foreign.Layout(folder, [foreign.layer(files)], {
        "Entrypoint": ["/bin/busybox", "httpd", "-f", "-h", "/www"], "Cmd": ["-p", "8080"]}))
    assert ask(running, "busybox", "/index.html").text == "a page\n"
    assert ask(running, "busybox", "/none").status == 404


@pytest.fixture(scope="module")
def python_image(layouts):
    def make(files, **config):
        return foreign.Layout(layouts / os.urandom(6).hex(), [foreign.python_layer(), foreign.layer(files)], config)
    return make


def test_python_s_http_server_is_a_function(running, python_image):
    layout = python_image({"srv/page.txt": "served by python\n"}, Cmd=["python3", "-m", "http.server", "8080"], WorkingDir="/srv",
                          Env=["PATH=/usr/bin"])
    create(running, "python", layout)
    assert ask(running, "python", "/page.txt").text == "served by python\n"
    assert ask(running, "python", "/none").status == 404
    assert "GET /none" in "\n".join(last_run(running, "python")["logs"]["stderr"])


@pytest.mark.slow
def test_node_is_a_function(running, folder):
    node = "/usr/bin/node"
    if not os.path.exists(node):
        pytest.skip("nodejs is not installed")
    libraries = [line.split("=>")[1].split("(")[0].strip() for line in
                 subprocess.run(["ldd", node], capture_output=True, text=True, check=True).stdout.splitlines() if "=> /" in line]
    loader = subprocess.run(["patchelf", "--print-interpreter", node], capture_output=True, text=True, check=True).stdout.strip() \
        if shutil.which("patchelf") else "/lib64/ld-linux-x86-64.so.2"
    files = {"usr/bin/node": ("host", os.path.realpath(node)), loader.lstrip("/"): ("host", os.path.realpath(loader)),
             "app.js": "require('http').createServer((q, r) => { console.log(q.url); r.end('node ' + process.version); })"
                       ".listen(process.env.PORT);"}
    for library in libraries:
        files[library.lstrip("/")] = ("host", os.path.realpath(library))
    for package in ("acorn", "acorn-walk", "cjs-module-lexer", "undici"):  # Debian's node reads these modules of its own there
        for path in glob.glob(f"/usr/share/nodejs/{package}/**", recursive=True):
            if os.path.isfile(path):
                files[path.lstrip("/")] = ("host", os.path.realpath(path))
    create(running, "node", foreign.Layout(folder, [foreign.layer(files)], {"Cmd": ["/usr/bin/node", "/app.js"]}))
    assert ask(running, "node", "/x").text.startswith("node v")
    assert last_run(running, "node")["logs"]["stdout"] == ["/x"]


def test_the_example_is_a_function(running, python_image):
    with open(os.path.join(harness.ROOT, "examples", "image", "web.py"), encoding="utf-8") as file:
        layout = python_image({"app/web.py": file.read()}, Cmd=["python3", "web.py"], WorkingDir="/app", Env=["PATH=/usr/bin"])
    create(running, "example", layout)
    done = running.cli("exec", "example", input='{"name": "user"}')
    message = json.loads(done.stdout)
    assert message["payload"] == {"myField": "Hello, user", "secret": None}
    assert message["context"]["logs"]["stdout"] == ["greeting user"]
    assert ask(running, "example", "/status").json["path"] == "/status"
    failed = running.api("POST", "/v1/runs?functionName=example", {"blocking": True, "input": [1]}).json
    assert (failed["error"]["type"], failed["error"]["message"]) == ("InputError", "the input is no JSON object")


# Where it comes from

def test_an_image_of_a_registry_with_a_password(layouts, folder, tmp_path):
    oci.need("skopeo")
    registry = oci.Registry(tmp_path, user=("puller", "let me in"))
    server = server_of(layouts, "--registry-insecure", registry.name, "--registry-local", registry.name)
    try:
        server.start()
        name = registry.push_image("team/web", image(folder, Env=["VERSION=one"]).image, "1")
        server.cli("create", "function", "web", "--function-image", name)
        function = server.wait_status("function", "web", "ERROR", timeout_s=60)
        assert registry.name in reason(function) and "not authorised" in reason(function)
        server.api("POST", "/v1/secret", {"name": "pull", "secrets": {"username": "puller", "password": "let me in"}})
        server.cli("update", "function", "web", "--registry-secret", "pull", "--wait", timeout_s=120)
        endpoint(server, "web")
        assert ask(server, "web", "/").text == "hello from one"
        server.cli("create", "function", "none", "--function-image", f"{registry.name}/team/none:1", "--registry-secret", "pull")
        assert "no such image" in reason(server.wait_status("function", "none", "ERROR", timeout_s=60))
    finally:
        server.finish()
        registry.finish()


@pytest.mark.parametrize("verb", ["delete", "update"])
def test_what_is_not_wanted_any_more_is_not_fetched_on(layouts, folder, verb):
    oci.need("skopeo")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30 * PATIENCE)
        name = f"127.0.0.1:{silent.getsockname()[1]}"
        server = server_of(layouts, "--registry-insecure", name, "--registry-local", name)
        jobs = lambda: [pid for pid in harness.process_tree(server.process.pid) if harness.process_name(pid) in ("dispatch-build", "skopeo")]
        try:
            server.start()
            server.cli("create", "function", "web", "--function-image", f"{name}/web:1")
            with silent.accept()[0]:
                assert jobs()
                if verb == "delete":
                    server.cli("delete", "function", "web")
                else:
                    server.cli("update", "function", "web", "--function-image", image(folder).reference, "--wait")
                poll(lambda: not jobs(), 20, "the end of the job")
        finally:
            server.finish()


# Function images of the original

@pytest.fixture(scope="module")
def original(running, python_image):
    layout = python_image({"server.py": MESSAGES}, Entrypoint=["python3", "/server.py"], Env=["PATH=/usr/bin", "VERSION=one"],
                          Labels={"io.dispatchframework.functionTemplate": "/function-template"})
    running.api("POST", "/v1/secret", {"name": "s", "secrets": {"key": "value"}})
    function = create(running, "original", layout, "--secret", "s")
    assert function["backingObject"]["image"]["protocol"] == "dispatch"
    return running


def run(server, value):
    return server.api("POST", "/v1/runs?functionName=original", {"blocking": True, "input": value}).json


def test_a_message_goes_there_and_comes_back(original):
    done = run(original, {"a": 1})
    assert done["output"]["got"] == {"a": 1} and done["output"]["version"] == "one"
    assert done["output"]["secrets"]["key"] == "value"
    assert done["logs"] == {"stdout": ["said"], "stderr": None}


@pytest.mark.parametrize("kind", ["InputError", "FunctionError", "SystemError"])
def test_an_error_of_a_message_is_the_run_s(original, kind):
    done = run(original, {"fail": kind})
    assert done["status"] == "ERROR" and done["error"] == {"type": kind, "message": "as asked", "stacktrace": ["line 1"]}


def test_what_is_no_message_is_refused(original):
    done = run(original, "raw")
    assert done["status"] == "ERROR" and "no reply: the message: it is no JSON" in done["error"]["message"]
    assert run(original, 1)["output"]["got"] == 1


def test_an_endpoint_speaks_messages_too(original):
    assert ask(original, "original", "/x?name=Jon").json["got"] == {"name": "Jon"}
    assert ask(original, "original", "/", "POST", {"fail": "InputError"}).status == 400
