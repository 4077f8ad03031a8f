"""The collector of garbage: what nothing refers to goes, and nothing else; by itself, by the API and by the command; with
builds and runs under way, and with servers that are killed."""
import contextlib
import json
import os
import random
import signal
import subprocess
import threading

import pytest

import harness
import s3

CODE = "def handle(ctx, payload):\n    return {number}\n"
HEX = "0123456789abcdef" * 4


@contextlib.contextmanager
def serving(*options):
    running = harness.Server(options=options)
    try:
        running.start()
        running.image("python3", harness.PYTHON_BASE)
        yield running
    finally:
        running.finish()


@pytest.fixture(scope="module")
def eager():
    """A server that waits for nothing before it removes."""
    with serving("--gc-grace", "0") as running:
        yield running


def folder(server, *parts):
    return os.path.join(server.state, *parts)


def layers(server):
    return set(os.listdir(folder(server, "layers")))


def plant(server, name, files=None):
    """A layer that no build has made."""
    path = folder(server, "layers", name)
    os.mkdir(path)
    for file, text in (files or {"data": "x" * 100000}).items():
        with open(os.path.join(path, file), "w", encoding="utf-8") as out:
            out.write(text)
    return path


def collect(server, method="POST"):
    reply = server.api(method, "/v1/gc")
    assert reply.status == 200, reply
    return reply.json


def removed(report):
    return {(thing["kind"], thing["name"]) for thing in report["removed"]}


def command(server, *arguments):
    return subprocess.run([os.path.join(harness.BUILD, "dispatch-server"), "gc", "--state-dir", server.state, *arguments],
                          capture_output=True, text=True, env=harness.clean_environment(), timeout=60 * harness.PATIENCE)


def test_what_nothing_refers_to_goes_and_the_rest_stays(eager, name):
    eager.function(name, CODE.format(number=1))
    before = layers(eager)
    path = plant(eager, "oci-" + HEX[:40])
    source = folder(eager, "server", "sources", HEX)
    with open(source, "w", encoding="utf-8") as file:
        file.write("nobody's")
    seen = collect(eager, "GET")
    assert seen["dryRun"] and {("layer", "oci-" + HEX[:40]), ("source", HEX)} <= removed(seen)
    assert os.path.exists(path) and os.path.exists(source)
    done = collect(eager)
    assert not done["dryRun"] and removed(done) >= {("layer", "oci-" + HEX[:40]), ("source", HEX)}
    assert done["bytes"] >= 100000
    harness.poll(lambda: layers(eager) <= before, what="the layer to go")
    assert not os.path.exists(source)
    assert eager.run(name)["output"] == 1
    assert done["kept"]["layer"]["count"] >= 2 and done["kept"]["source"]["count"] >= 1
    text = eager.api("GET", "/metrics").text
    assert "dispatch_kept_layers " in text and "dispatch_gc_removed_bytes_total " in text


def test_a_layer_of_a_stack_stays_as_long_as_the_stack(eager):
    plant(eager, "oci-aa")
    plant(eager, "oci-bb")
    plant(eager, "stack-cc", {"layers": "oci-aa\noci-bb\n"})
    assert ("layer", "stack-cc") in removed(collect(eager))
    harness.poll(lambda: "stack-cc" not in layers(eager), what="the stack to go")
    assert {("layer", "oci-aa"), ("layer", "oci-bb")} <= removed(collect(eager))
    harness.poll(lambda: not {"oci-aa", "oci-bb"} & layers(eager), what="its layers to go")


def test_blobs_that_nothing_names_go(eager):
    blobs = folder(eager, "blobs", "a" * 40)
    os.makedirs(blobs)
    with open(os.path.join(blobs, HEX), "w", encoding="utf-8") as file:
        file.write("blob")
    assert ("blob", HEX) in removed(collect(eager))
    harness.poll(lambda: not os.path.exists(blobs), what="the blob and its folder to go")


def test_logs_of_builds_of_nothing_go(eager):
    log = folder(eager, "server", "logs", "00000000-0000-4000-8000-000000000000.log")
    os.makedirs(os.path.dirname(log), exist_ok=True)
    with open(log, "w", encoding="utf-8") as file:
        file.write("a line\n")
    assert ("log", os.path.basename(log)) in removed(collect(eager))
    assert not os.path.exists(log)


def test_images_that_are_deleted_leave_nothing_and_those_that_share_stay(name):
    with serving("--gc-grace", "0") as server:
        server.image("native", harness.NATIVE_BASE)
        assert server.api("POST", "/v1/image", {"name": "other", "baseImageName": harness.PYTHON_BASE}).status == 201
        server.wait_status("image", "other")
        server.function(name, CODE.format(number=1), image="other")
        assert server.api("DELETE", "/v1/image/python3").status == 200
        assert server.api("DELETE", "/v1/image/native").status == 200
        for base in (harness.PYTHON_BASE, harness.NATIVE_BASE):
            server.api("DELETE", f"/v1/baseimage/{base.replace('/', '%2F')}")
        collect(server)
        harness.poll(lambda: not any(layer.startswith("builtin-native") for layer in layers(server)), what="native to go")
        assert any(layer.startswith("builtin-python3") for layer in layers(server))
        assert server.run(name)["output"] == 1


def test_what_is_young_stays(name):
    with serving() as server:
        plant(server, "oci-young")
        assert not removed(collect(server))
        assert "oci-young" in layers(server)
        server.stop()
        os.utime(folder(server, "layers", "oci-young"), (1, 1))
        server.start()
        harness.poll(lambda: "oci-young" not in layers(server), what="the old layer to go by itself")


def test_a_layer_stays_until_the_run_that_uses_it_is_over(eager, name):
    code = ("import os, time\ndef handle(ctx, payload):\n    open('/tmp/begun', 'w').close()\n    time.sleep(payload)\n"
            "    return sorted(os.listdir('/function'))\n")
    before = layers(eager)
    eager.function(name, {"handler.py": code, "late.py": "x = 1\n"}, handler="handler.handle")
    mine = layers(eager) - before
    assert len(mine) == 1
    outputs = []
    runner = threading.Thread(target=lambda: outputs.append(eager.run(name, 3)))
    runner.start()
    harness.poll(lambda: eager.api("GET", "/metrics").text.find("dispatch_instances_busy 1") >= 0, what="the run to begin")
    assert eager.api("DELETE", f"/v1/function/{name}").status == 200
    collect(eager)
    runner.join()
    assert "late.py" in outputs[0].get("output", []) or outputs[0].get("error"), outputs
    harness.poll(lambda: not mine & layers(eager), what="the layer to go")


def test_one_source_in_two_organizations_is_two_things(eager, name):
    def call(organization, method, path, body=None):
        return eager.api(method, path, body, {"X-Dispatch-Org": organization})
    urls = set()
    for organization in ("org-a", "org-b"):
        assert call(organization, "POST", "/v1/baseimage", {"name": "py", "imageURL": "builtin:python3",
                                                            "language": "python3"}).status == 201
        harness.poll(lambda: call(organization, "GET", "/v1/baseimage/py").json["status"] == "READY", 60, "the base image")
        assert call(organization, "POST", "/v1/image", {"name": "py", "baseImageName": "py"}).status == 201
        harness.poll(lambda: call(organization, "GET", "/v1/image/py").json["status"] == "READY", 60, "the image")
        made = call(organization, "POST", "/v1/function", {"name": name, "image": "py", "source": harness.pack(
            {"handler.py": CODE.format(number=9)})})
        assert made.status == 201, made
        urls.add(made.json["sourceURL"])
        harness.poll(lambda: call(organization, "GET", f"/v1/function/{name}").json["status"] == "READY", 60, "the function")
    assert len(urls) == 2
    assert call("org-a", "DELETE", f"/v1/function/{name}").status == 200
    collect(eager)
    reply = call("org-b", "POST", f"/v1/runs?functionName={name}", {"blocking": True})
    assert reply.status == 200 and reply.json["output"] == 9


def test_builds_and_collections_at_once_lose_nothing(eager, name):
    stop = threading.Event()
    failures = []

    def collector():
        while not stop.is_set():
            reply = eager.api("POST", "/v1/gc")
            if reply.status not in (200, 503):
                failures.append(reply)

    threads = [threading.Thread(target=collector) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for number in range(8):
            eager.function(f"{name}-{number % 3}-{number}", CODE.format(number=number % 3))
            if number >= 3:
                assert eager.api("DELETE", f"/v1/function/{name}-{number % 3}-{number - 3}").status == 200
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failures
    for number in range(5, 8):
        assert eager.run(f"{name}-{number % 3}-{number}")["output"] == number % 3


@pytest.mark.slow
def test_servers_killed_in_collections_lose_nothing_and_leave_nothing(name):
    seed = int(os.environ.get("GC_SEED") or random.randrange(1 << 30))
    print("GC_SEED", seed)
    chance = random.Random(seed)
    with serving("--gc-grace", "0") as server:
        made = set()
        for number in range(int(os.environ.get("GC_ROUNDS") or 30)):
            plant(server, f"oci-round{number}")
            body = {"name": f"{name}-{number}", "image": "python3", "source": harness.pack(
                {"handler.py": CODE.format(number=number)})}
            with contextlib.suppress(OSError, harness.http.client.HTTPException):
                if server.api("POST", "/v1/function", body).status == 201:
                    made.add(number)
            asked = [threading.Thread(target=quietly, args=(server,)) for _ in range(2)]
            for thread in asked:
                thread.start()
            threading.Event().wait(chance.random() * 0.05)  # allowed: where in the pass it is killed is chance
            if number % 2:
                os.kill(server.server_pid() or server.process.pid, signal.SIGKILL)
            else:
                server.kill()
                server.start()
            for thread in asked:
                thread.join()
            harness.poll(server.is_ready, 30, "/readyz")
        for number in made:
            server.wait_status("function", f"{name}-{number}")
            assert server.run(f"{name}-{number}")["output"] == number
        harness.poll(lambda: server.api("POST", "/v1/gc").status == 200, 30, "a collection")
        harness.poll(lambda: not any(layer.startswith("oci-round") for layer in layers(server)), what="the layers to go")
        harness.poll(lambda: not os.listdir(folder(server, "staging")), 30, "staging to be empty")


def quietly(server):
    with contextlib.suppress(OSError, harness.http.client.HTTPException):
        server.api("POST", "/v1/gc")


def test_the_command_asks_the_server_that_runs(eager):
    plant(eager, "oci-command")
    seen = command(eager, "--dry-run")
    assert seen.returncode == 0 and "oci-command" in seen.stdout and "would be removed" in seen.stdout, seen
    assert "kept: layer " in seen.stdout
    done = command(eager, "--json")
    assert done.returncode == 0 and ("layer", "oci-command") in removed(json.loads(done.stdout))
    harness.poll(lambda: "oci-command" not in layers(eager), what="the layer to go")


def test_the_command_works_on_a_server_that_is_stopped(name):
    with serving() as server:
        server.function(name, CODE.format(number=1))
        server.stop()
        before = layers(server)
        plant(server, "oci-stopped")
        seen = command(server, "--dry-run", "--gc-grace", "0")
        assert seen.returncode == 0 and "oci-stopped" in seen.stdout, seen
        assert "oci-stopped" in layers(server)
        done = command(server, "--gc-grace", "0")
        assert done.returncode == 0 and "oci-stopped" in done.stdout and name not in done.stdout, done
        assert layers(server) == before
        server.start()
        assert server.run(name)["output"] == 1


def test_the_command_says_what_is_wrong(tmp_path):
    program = os.path.join(harness.BUILD, "dispatch-server")

    def run(*arguments):
        return subprocess.run([program, "gc", *arguments], capture_output=True, text=True, timeout=60,
                              env=harness.clean_environment())
    assert run("--nonsense").returncode == 2
    gone = run("--state-dir", str(tmp_path / "none"))
    assert gone.returncode == 2 and "there is no state directory" in gone.stderr
    assert not os.path.exists(tmp_path / "none")
    assert run("--help").returncode == 0 and "--dry-run" in run("--help").stdout


def test_objects_and_uploads_of_nobody_go_from_the_object_store(tmp_path, name):
    store = s3.Store(str(tmp_path))
    try:
        store.start()
        with serving(*store.minio(), "--gc-grace", "0") as server:
            url = server.function(name, CODE.format(number=1))["sourceURL"]
            mine = url.split("/", 3)[3]
            stray = mine.split("/")[0] + "/" + HEX
            foreign = "elsewhere/" + HEX
            for key in (stray, foreign):
                os.makedirs(os.path.join(store.root, "dispatch", os.path.dirname(key)), exist_ok=True)
                with open(os.path.join(store.root, "dispatch", key), "w", encoding="utf-8") as file:
                    file.write("stray")
            assert ("object", stray) in removed(collect(server, "GET"))
            assert ("object", stray) in removed(collect(server))
            harness.poll(lambda: store.objects() == {mine, foreign}, what="the object to go")
            store.stop()
            reply = collect(server)
            assert "unreachable" in reply["problem"]
            assert command(server).returncode == 3
            assert server.run(name)["output"] == 1
    finally:
        store.stop()
