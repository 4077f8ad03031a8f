"""Functions as portable OCI images: exported, checked by others' tools, run elsewhere, pushed to a registry."""
import contextlib
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import tempfile
import threading

import pytest

import harness
import openapi
from containers import OUTSIDE, Container, Layout, Registry, need

PYTHON = """
import os, sys
def handle(context, payload):
    if payload == "who":
        return [os.getuid(), os.access("/", os.W_OK)]
    if payload == "secret":
        return context["secrets"]
    if payload == "bad":
        raise ValueError("no")
    print("seen")
    return {"got": payload, "level": os.environ.get("LEVEL")}
"""
NODE = """module.exports = (context, payload) => ({ got: payload, level: process.env.LEVEL });
"""
NATIVE = """#!/bin/sh
read -r line
printf '{"got": %s, "level": "%s"}' "$line" "$LEVEL"
"""
JAVA = """
import java.util.HashMap;
import java.util.Map;
import java.util.function.BiFunction;

public class Handler implements BiFunction<Map<String, Object>, Object, Object> {
    @Override
    public Object apply(Map<String, Object> context, Object payload) {
        Map<String, Object> reply = new HashMap<>();
        reply.put("got", payload);
        reply.put("level", System.getenv("LEVEL"));
        return reply;
    }
}
"""
SOURCES = {"python3": {"handler.py": PYTHON}, "nodejs": {"handler.js": NODE}, "native": {"handler": (NATIVE, 0o755)}}


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    made = Registry(tmp_path_factory.mktemp("registry"))
    yield made
    made.finish()


@pytest.fixture(scope="module")
def server(registry):
    made = harness.Server(options=["--registry-local", "127.0.0.1", "--registry-insecure", "127.0.0.1"]).start()
    made.description = openapi.description_of(made)
    for language, files in SOURCES.items():
        made.image(language, f"builtin:{language}")
        made.function(f"hello-{language}", files, image=language, env={"LEVEL": "7"})
    yield made
    made.finish()


def export(server, name, path, *more):
    server.cli("export", "function", name, f"oci:{path}", *more, timeout_s=120)
    return Layout(path)


@pytest.fixture(scope="module")
def layouts(server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("layouts")
    return {language: export(server, f"hello-{language}", folder / language) for language in SOURCES}


def answers_alike(server, layout, language, tmp_path):
    here = server.run(f"hello-{language}", {"a": [1, "é"]})["output"]
    container = Container(layout, tmp_path / "c", name=language)
    try:
        status, body = container.wait().curl("/any", "-H", "Content-Type: application/json", "-d", '{"a": [1, "é"]}')
        assert status == 200 and json.loads(body) == here == {"got": {"a": [1, "é"]}, "level": "7"}, container.said()
        assert container.terminate() == 0, container.said()
    finally:
        container.finish()


@pytest.mark.parametrize("language", SOURCES)
def test_an_exported_function_answers_elsewhere_as_it_does_here(server, layouts, language, tmp_path):
    answers_alike(server, layouts[language], language, tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/usr/bin/javac") or not os.path.exists(
    os.path.join(harness.BUILD, "runtimes/java/agent.jar")), reason="no JDK, or no agent for java in this build")
def test_so_does_one_in_java(server, tmp_path):
    server.image("java", "builtin:java")
    server.function("hello-java", {"Handler.java": JAVA}, image="java", env={"LEVEL": "7"})
    answers_alike(server, export(server, "hello-java", tmp_path / "layout"), "java", tmp_path)


def test_it_runs_as_nobody_on_a_root_that_nobody_writes_to(server, layouts, tmp_path):
    container = Container(layouts["python3"], tmp_path / "c", name="who")
    try:
        _, body = container.wait().curl("/", "-H", "Content-Type: application/json", "-d", '"who"')
        assert json.loads(body) == [65532, False]
        status, body = container.curl("/", "-H", "Content-Type: application/json", "-d", '"bad"')
        assert status == 400 and json.loads(body)["type"] == "InputError"
    finally:
        container.finish()


def test_secrets_stay_out_of_the_image_and_come_from_a_folder(server, tmp_path):
    assert server.api("POST", "/v1/secret", {"name": "db", "secrets": {"password": "pa55-w0rd-of-db"}}).status == 201
    server.function("with-secret", SOURCES["python3"], image="python3", secrets=["db"])
    layout = export(server, "with-secret", tmp_path / "layout")
    for blob in os.listdir(tmp_path / "layout/blobs/sha256"):
        assert b"pa55-w0rd" not in layout.blob("sha256:" + blob)
    assert all(b"pa55-w0rd" not in each for each in layout.layers())
    container = Container(layout, tmp_path / "c", env=['d_secret_db={"password":"pa55-w0rd-of-db"}'], name="secret")
    try:
        _, body = container.wait().curl("/", "-H", "Content-Type: application/json", "-d", '"secret"')
        assert json.loads(body)["password"] == "pa55-w0rd-of-db"
    finally:
        container.finish()


def test_the_same_function_has_the_same_digest_again_and_on_another_server(server, layouts, tmp_path):
    again = export(server, "hello-python3", tmp_path / "again")
    other = harness.Server().start()
    try:
        other.image("python3", "builtin:python3")
        other.function("hello-python3", SOURCES["python3"], image="python3", env={"LEVEL": "7"})
        elsewhere = export(other, "hello-python3", tmp_path / "elsewhere")
    finally:
        other.finish()
    assert layouts["python3"].digest == again.digest == elsewhere.digest


def test_what_changes_the_function_changes_the_digest(server, layouts, tmp_path):
    server.function("changing", SOURCES["native"], image="native", env={"LEVEL": "7"})
    first = export(server, "changing", tmp_path / "first")
    server.update("changing", SOURCES["native"], image="native", env={"LEVEL": "8"})
    second = export(server, "changing", tmp_path / "second")
    assert first.digest != second.digest
    assert [each["digest"] for each in first.manifest["layers"]] == [each["digest"] for each in second.manifest["layers"]]


def test_the_description_says_what_an_engine_needs(layouts):
    layout = layouts["python3"]
    config = layout.config["config"]
    assert (layout.config["os"], layout.config["created"]) == ("linux", "1970-01-01T00:00:00Z")
    assert config["User"] == "65532:65532" and config["WorkingDir"] == "/function" and config["StopSignal"] == "SIGTERM"
    assert config["ExposedPorts"] == {"8080/tcp": {}} and "PORT=8080" in config["Env"] and "LEVEL=7" in config["Env"]
    assert config["Labels"]["org.opencontainers.image.title"] == "hello-python3"
    assert config["Labels"]["io.dispatchframework.language"] == "python3"
    assert len(layout.config["history"]) == len(layout.manifest["layers"]) == 3
    members = [tarfile.open(fileobj=io.BytesIO(each)).getmembers() for each in layout.layers()]
    assert {(each.uid, each.gid) for each in sum(members, [])} == {(0, 0)}
    assert not any(each.mode & 0o6000 for each in sum(members, []))
    assert [each.name for each in members[2]] == ["function", "function/handler.py"]
    assert all(each.name.split("/")[0] == "runtime" for each in members[1])


def test_skopeo_takes_layout_and_archive(server, layouts, tmp_path):
    need("skopeo")
    done = server.cli("export", "function", "hello-native", "oci-archive:" + str(tmp_path / "a.tar") + ":v7", "-o", "json")
    said = json.loads(done.stdout)
    assert said["digest"] == layouts["native"].digest
    for source in (f"oci:{layouts['native'].path}:latest", f"oci-archive:{tmp_path}/a.tar:v7"):
        looked = subprocess.run(["skopeo", "inspect", source], capture_output=True, text=True)
        assert looked.returncode == 0, looked.stderr
        assert json.loads(looked.stdout)["Digest"] == said["digest"]
    copied = subprocess.run(["skopeo", "--insecure-policy", "copy", f"oci-archive:{tmp_path}/a.tar:v7",
                             f"dir:{tmp_path}/copied"], capture_output=True, text=True)
    assert copied.returncode == 0, copied.stderr


def test_podman_runs_it(layouts):
    need("podman", "nsenter")
    folder = tempfile.mkdtemp(prefix="pod")  # podman wants a short path
    podman = [*OUTSIDE, "podman", "--root", f"{folder}/root", "--runroot", f"{folder}/run", "--storage-driver", "vfs",
              "--cgroup-manager", "cgroupfs", "--events-backend", "file"]
    name = f"dispatch-test-{os.getpid()}"
    try:
        pulled = subprocess.run([*podman, "pull", "-q", f"oci:{layouts['native'].path}:latest"], capture_output=True, text=True)
        if pulled.returncode != 0:
            pytest.skip(f"podman takes no image here: {pulled.stderr[-300:]}")
        started = subprocess.run([*podman, "run", "-d", "--name", name, "--network", "none", "--cgroups", "disabled", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024",
                                  "--read-only", pulled.stdout.strip()], capture_output=True, text=True)
        if started.returncode != 0:
            pytest.skip(f"podman starts no container here: {started.stderr[-300:]}")
        pid = subprocess.run([*podman, "inspect", "-f", "{{.State.Pid}}", name], capture_output=True, text=True).stdout.strip()
        inside = ["nsenter", f"--net=/proc/{pid}/ns/net", "curl", "-sS", "http://127.0.0.1:8080/"]
        harness.poll(lambda: subprocess.run([*inside[:-1], inside[-1] + "healthz"], capture_output=True).stdout == b"{}", 30,
                     "/healthz")
        done = subprocess.run([*inside, "-H", "Content-Type: application/json", "-d", "[1]"], capture_output=True, text=True)
        assert json.loads(done.stdout) == {"got": [1], "level": "7"}
        stopped = subprocess.run([*podman, "stop", "-t", "20", name], capture_output=True, text=True)
        assert stopped.returncode == 0, stopped.stderr
        code = subprocess.run([*podman, "inspect", "-f", "{{.State.ExitCode}}", name], capture_output=True, text=True)
        assert code.stdout.strip() == "0"
    finally:
        subprocess.run([*podman, "rm", "-f", name], capture_output=True)
        subprocess.run([*podman, "rmi", "-af"], capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


# Where it goes


def test_what_is_there_is_not_written_over(server, tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/mine").write_text("mine")
    for destination in (f"oci-archive:{tmp_path}/file", f"oci:{tmp_path}/folder", f"oci:{tmp_path}/file"):
        done = server.cli("export", "function", "hello-native", destination, check=False)
        assert done.returncode == 1 and "is there already" in done.stderr, done.stderr
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"] and (tmp_path / "file").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    export(server, "hello-native", tmp_path / "empty")


def test_a_full_disk_leaves_nothing(server, tmp_path):
    mount = tmp_path / "small"
    mount.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount)], capture_output=True).returncode != 0:
        pytest.skip("no right to mount a small disk")
    try:
        for destination in (f"oci:{mount}/layout", f"oci-archive:{mount}/archive"):
            done = server.cli("export", "function", "hello-python3", destination, check=False)
            assert done.returncode == 1 and "no space left on device" in done.stderr, done.stderr
        assert os.listdir(mount) == []
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_what_cannot_be_exported_says_why(server):
    server.function("broken", "def handle(", wanted="ERROR")
    for arguments, text in ((("broken", "oci:x"), "function broken is ERROR"), (("nope", "oci:x"), "function nope not found"),
                            (("hello-native", "tar:x"), "say oci:PATH"), (("hello-native", "oci:"), "PATH is empty"),
                            (("hello-native", "docker://REF@sha256:1"), "without a digest")):
        done = server.cli("export", "function", *arguments, check=False, cwd=server.folder)
        assert done.returncode == 1 and text in done.stderr and done.stderr.count("\n") == 1, (arguments, done.stderr)
    assert not os.path.exists(os.path.join(server.folder, "x"))


def layout_tar(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files:
            member = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def link(name, target, kind=tarfile.SYMTYPE):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def liar(body):
    """A server that sends this as any image; its port."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve():
        with contextlib.suppress(OSError):
            while True:
                peer, _ = listening.accept()
                with peer:
                    peer.recv(65536)
                    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-tar\r\nContent-Length: %d\r\n\r\n"
                                 % len(body) + body)
    threading.Thread(target=serve, daemon=True).start()
    return listening


ZERO = "blobs/sha256/" + "0" * 64
EMPTY = b'{"schemaVersion":2,"manifests":[]}'


@pytest.mark.parametrize("files, text", [
    ([("../evil", b"x")], "no place there"),
    ([("/etc/evil", b"x")], "no place there"),
    ([("blobs/sha256/../../../evil", b"x")], "no place there"),
    ([(link("blobs", "/tmp"), b"")], "is no file"),
    ([(link(ZERO, "/etc/passwd"), b"")], "is no file"),
    ([(link("index.json", "oci-layout", tarfile.LNKTYPE), b"")], "is no file"),
    ([(ZERO, b"not zero")], "another digest"),
    ([("oci-layout", b"{}"), ("oci-layout", b"{}")], "twice"),
    ([("oci-layout", b"{}"), ("index.json", b"nothing")], "no JSON"),
    ([("oci-layout", b"{}"), ("index.json", EMPTY)], "exactly one image"),
    ([("index.json", b'{"manifests":[{"digest":"sha256:' + b"1" * 64 + b'","size":1}]}'), ("oci-layout", b"{}")], "missing"),
    ([], "exactly one image"),
])
@pytest.mark.parametrize("scheme", ["oci", "oci-archive"])
def test_a_server_that_lies_writes_nothing(files, text, scheme, tmp_path):
    listening = liar(layout_tar(files))
    try:
        done = subprocess.run([os.path.join(harness.BUILD, "dispatch"), "--host", "127.0.0.1", "--port",
                               str(listening.getsockname()[1]), "--scheme", "http", "export", "function", "f",
                               f"{scheme}:{tmp_path}/out"], capture_output=True, text=True, timeout=60,
                              env=harness.clean_environment(HOME=str(tmp_path)))
    finally:
        listening.close()
    assert done.returncode == 1 and text in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert os.listdir(tmp_path) == []


def test_a_caller_that_goes_stops_the_job(server):
    with harness.dial(server.port) as asked:
        asked.sendall(b"GET /v1/function/hello-nodejs/image HTTP/1.1\r\nHost: x\r\n\r\n")

        def builds():
            return [pid for pid in harness.process_tree(server.process.pid) if "dispatch-build" in harness.process_name(pid)]
        harness.poll(builds, 20, "the job")
    harness.poll(lambda: not builds(), 20, "the end of the job")
    assert server.api("GET", "/v1/function/hello-nodejs").status == 200


# Registries


def test_a_push_is_in_the_registry_and_the_same_image(server, registry, layouts):
    done = server.cli("export", "function", "hello-native", f"docker://{registry.name}/team/hello:v1", timeout_s=120)
    digest = layouts["native"].digest
    assert f"{registry.name}/team/hello@{digest}" in done.stdout
    status, body = registry.get("/v2/team/hello/manifests/v1")
    assert status == 200 and json.loads(body) == layouts["native"].manifest


def test_a_push_answers_as_is_described(server, registry, layouts):
    reply = server.api("POST", "/v1/function/hello-native/image", {"reference": f"{registry.name}/team/plain:v2"},
                       timeout_s=120)
    assert reply.status == 200 and reply.json["digest"] == layouts["native"].digest
    gone = server.api("POST", "/v1/function/hello-native/image", {"reference": f"127.0.0.1:{harness.free_port()}/a/b"},
                      timeout_s=120)
    assert gone.status == 503 and "unreachable" in gone.json["message"]
    named = server.api("POST", "/v1/function/hello-native/image", {"reference": f"{registry.name}/a", "registrySecret": "no"})
    assert named.status == 404


def test_a_push_shows_how_it_goes_on(server, registry):
    reply = harness.request(server.port, "POST", "/v1/function/hello-native/image", {"reference": f"{registry.name}/team/progress"},
                       {"Accept": "application/x-ndjson"}, timeout_s=120)
    lines = [json.loads(each) for each in reply.text.splitlines()]
    assert reply.status == 200 and "image" in lines[-1] and all("progress" in each for each in lines[:-1]) and len(lines) > 3


def test_failures_of_a_push_tell_what_to_do(server, registry, tmp_path):
    locked = Registry(tmp_path, user=("ann", "pass-of-ann"))
    try:
        nobody = f"127.0.0.1:{harness.free_port()}"
        for reference, text in ((f"{locked.name}/a/b", "not authorised"), (f"{nobody}/a/b", "unreachable"),
                                (f"{registry.name}/A/b", "no such repository")):
            done = server.cli("export", "function", "hello-native", f"docker://{reference}", check=False, timeout_s=120)
            assert done.returncode == 1 and text in done.stderr, done.stderr
        secret = {"name": "locked", "secrets": {"username": "ann", "password": "pass-of-ann"}}
        assert server.api("POST", "/v1/secret", secret).status == 201
        wrong = {"name": "wrong", "secrets": {"username": "ann", "password": "guess"}}
        assert server.api("POST", "/v1/secret", wrong).status == 201
        done = server.cli("export", "function", "hello-native", f"docker://{locked.name}/a/b", "--registry-secret", "wrong",
                          check=False, timeout_s=120)
        assert done.returncode == 1 and "not authorised" in done.stderr and "guess" not in done.stderr, done.stderr
        server.cli("export", "function", "hello-native", f"docker://{locked.name}/a/b", "--registry-secret", "locked",
                   timeout_s=120)
        assert locked.get("/v2/a/b/manifests/latest", ("ann", "pass-of-ann"))[0] == 200
        assert "pass-of-ann" not in server.log(10000)
    finally:
        locked.finish()


def pushed(server, name):
    found = server.api("GET", f"/v1/function/{name}").json
    return found if "@sha256:" in found["functionImageURL"] else None


def condition(found, kind):
    return next((each for each in found["conditions"] if each["type"] == kind), None)


def test_ready_functions_are_pushed_and_tell_where(registry, tmp_path):
    made = harness.Server(folder=str(tmp_path / "s"), options=[
        "--registry-local", "127.0.0.1", "--registry-insecure", "127.0.0.1", "--image-registry", f"{registry.name}/fn"]).start()
    try:
        made.image("native", "builtin:native")
        first = made.function("one", SOURCES["native"], image="native")
        assert first["functionImageURL"].startswith("dispatch/")  # nothing is said before it is true
        one = harness.poll(lambda: pushed(made, "one"), 60, "the push")
        name, digest = one["functionImageURL"].removeprefix(registry.name + "/").split("@")
        assert registry.get(f"/v2/{name}/manifests/{digest}")[0] == 200
        assert condition(one, "ImagePushed")["status"] == "True"
        made.update("one", {"handler": (NATIVE + "# changed\n", 0o755)}, image="native")
        assert pushed(made, "one"), "an update does not forget what the registry has"
        harness.poll(lambda: pushed(made, "one")["functionImageURL"] != one["functionImageURL"], 60, "the second push")
        made.function("two", SOURCES["native"], image="native")
        made.kill()  # before, or in the middle of, its push
        made.start()
        harness.poll(lambda: pushed(made, "two"), 60, "the push after a restart")
    finally:
        made.finish()


def test_a_registry_that_is_away_is_told_and_delays_nothing(tmp_path):
    made = harness.Server(folder=str(tmp_path / "s"), options=[
        "--registry-local", "127.0.0.1", "--image-registry", f"127.0.0.1:{harness.free_port()}/fn"]).start()
    try:
        made.image("native", "builtin:native")
        made.function("one", SOURCES["native"], image="native")

        def told():
            return condition(made.api("GET", "/v1/function/one").json, "ImagePushed")
        found = harness.poll(told, 60, "the reason")
        assert found["status"] == "False" and "unreachable" in found["message"]
        assert made.api("GET", "/v1/function/one").json["functionImageURL"].startswith("dispatch/")
    finally:
        made.finish()


def test_without_a_registry_nothing_is_pushed(server):
    found = server.api("GET", "/v1/function/hello-native").json
    assert found["functionImageURL"].startswith("dispatch/") and condition(found, "ImagePushed") is None
    assert server.api("GET", "/v1/image/native").json["imageDestination"].startswith("dispatch/")


@contextlib.contextmanager
def pushing(folder, prefix):
    made = harness.Server(folder=str(folder), options=[
        "--registry-local", "127.0.0.1", "--registry-insecure", "127.0.0.1", "--image-registry", prefix])
    try:
        yield made.start()
    finally:
        made.finish()


def image_pushed(server, name):
    found = server.api("GET", f"/v1/image/{name}").json
    return found if "@sha256:" in found["imageDestination"] else None


def test_ready_images_are_pushed_and_are_base_images_elsewhere(registry, tmp_path):
    digests = []
    for folder in ("one", "two"):
        with pushing(tmp_path / folder, f"{registry.name}/{folder}") as made:
            assert made.image("base", "builtin:native")["imageDestination"].startswith("dispatch/")
            found = harness.poll(lambda: image_pushed(made, "base"), 60, "the push")
            assert condition(found, "ImagePushed")["status"] == "True"
            assert found["imageDestination"].startswith(f"{registry.name}/{folder}/image-{found['id']}@sha256:")
            table = made.cli("get", "image", "base").stdout
            assert found["imageDestination"] in table, table
            digests.append(found["imageDestination"].rpartition("@")[2])
            if folder == "one":
                origin = found["imageDestination"]
                continue
            # What the first server pushed, by the language that its label says.
            body = {"name": "again", "baseImageName": origin}
            assert made.api("POST", "/v1/image", body).status == 201
            assert made.wait_status("image", "again")["language"] == "native"
            made.function("hello", SOURCES["native"], image="again", env={"LEVEL": "7"})
            assert made.run("hello", "x")["output"] == {"got": "x", "level": "7"}
            # Whose blobs go on as they came.
            again = harness.poll(lambda: image_pushed(made, "again"), 60, "the push of the image from elsewhere")
            layers = [json.loads(registry.get(f"/v2/{name}/manifests/{digest}")[1])["layers"] for name, digest in
                      (each["imageDestination"].removeprefix(registry.name + "/").split("@") for each in (found, again))]
            assert layers[0] == layers[1]
            # An update is pushed again, and until then what the registry has stands there.
            reply = made.api("PUT", "/v1/image/again", {"baseImageName": "builtin:python3", "imageDestination": "mine"})
            assert reply.status == 200 and reply.json["imageDestination"] == again["imageDestination"]
            harness.poll(lambda: image_pushed(made, "again")["imageDestination"] != again["imageDestination"], 60, "the second push")
            assert made.api("DELETE", "/v1/image/base").status == 200
    assert digests[0] == digests[1]


def test_an_image_that_cannot_be_pushed_says_why_and_is_tried_again_at_a_start(registry, tmp_path):
    with pushing(tmp_path / "s", f"127.0.0.1:{harness.free_port()}/fn") as made:
        made.image("base", "builtin:native")
        found = harness.poll(lambda: condition(made.api("GET", "/v1/image/base").json, "ImagePushed"), 60, "the reason")
        assert found["status"] == "False" and "unreachable" in found["message"]
        assert made.api("GET", "/v1/image/base").json["imageDestination"].startswith("dispatch/")
        assert "push an image" in made.log(10000)
        made.kill()
        made.options[made.options.index("--image-registry") + 1] = f"{registry.name}/later"
        made.start()
        harness.poll(lambda: image_pushed(made, "base"), 60, "the push after a restart")


def processes_with(word):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
            if word.encode() in file.read():
                found.append(int(pid))
    return found


def test_deleting_an_image_ends_its_push(tmp_path):
    need("skopeo")
    with socket.create_server(("127.0.0.1", 0)) as silent, \
            pushing(tmp_path / "s", f"127.0.0.1:{silent.getsockname()[1]}/fn") as made:
        word = f"image-{made.image('base', 'builtin:native')['id']}"
        harness.poll(lambda: processes_with(word), 60, "the push")
        assert made.api("DELETE", "/v1/image/base").status == 200
        harness.poll(lambda: not processes_with(word), 30, "the end of the push")
        made.image("next", "builtin:native")
