"""Base images from registries and from this host's disk: real ones on loopback, and hostile ones."""
import contextlib
import glob
import http.client
import http.server
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import tempfile
import threading

import pytest

import containers
import harness
import oci
from harness import PATIENCE

# All that a base image for native must have; to run functions it takes programs().
PLAIN = oci.tar(oci.folder("etc"), oci.member("etc/made", "by hand"))


# Counts what the layers have brought.
PROGRAM = """#!/bin/busybox sh
set -- /layer/*
/bin/busybox echo $#
"""


def programs():
    """A shell. The native agent needs nothing of an image, no C library either."""
    shell = shutil.which("busybox")
    if shell is None or b"/lib64/ld-" in pathlib.Path(shell).read_bytes()[:1 << 16]:
        pytest.skip("no busybox that needs no library (busybox-static: tools/install-deps test)")
    yield oci.member("bin/busybox", pathlib.Path(shell).read_bytes(), mode=0o755)


@pytest.fixture(scope="module")
def disk():
    """A folder that everybody can read, as a job that fetches is nobody in particular."""
    folder = tempfile.mkdtemp(prefix="dispatch-pull-")
    os.chmod(folder, 0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    running = oci.Registry(tmp_path_factory.mktemp("registry"))
    yield running
    running.finish()


@contextlib.contextmanager
def serving(*options):
    running = harness.Server(options=options)
    try:
        yield running.start()
    finally:
        running.finish()


@pytest.fixture(scope="module")
def server(disk, registry):
    with serving("--image-folders", disk, "--registry-insecure", registry.name, "--registry-local", registry.name) as running:
        yield running


def made(server, name, reference, language="native", **more):
    """The base image once its fate is known."""
    body = {"name": name, "dockerUrl": reference, "language": language, **more}
    assert server.api("POST", "/v1/baseimage", body).status == 201
    return harness.poll(lambda: settled(server, name), 90, f"the end of {name}")


def settled(server, name, kind="baseimage"):
    found = server.api("GET", f"/v1/{kind}/{name}").json
    return found if found["status"] in ("READY", "ERROR") else None


def failed(server, name, reference, *words, **more):
    found = made(server, name, reference, **more)
    reason = " ".join(found.get("reason") or [])
    assert found["status"] == "ERROR", found
    for word in words:
        assert word in reason, reason
    left_nothing(server)
    return reason


def left_nothing(server):
    staging = os.path.join(server.state, "staging")
    harness.poll(lambda: os.listdir(staging) == [], 20, "an empty staging folder")


def layers_of(server, found):
    """The folders of its layers, lowest first."""
    folder = os.path.join(server.state, "layers")
    names = []
    for name in found["backingObject"]["layers"]:
        if name.startswith("stack-"):
            with open(os.path.join(folder, name, "layers"), encoding="ascii") as file:
                names += file.read().split()
        else:
            names.append(name)
    return [os.path.join(folder, name) for name in names]


def ready(server, name, reference, **more):
    found = made(server, name, reference, **more)
    assert found["status"] == "READY", found
    left_nothing(server)
    return layers_of(server, found)


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


@pytest.mark.parametrize("packing", ["", "+gzip", "+zstd"])
@pytest.mark.parametrize("docker", [False, True])
def test_a_registry_in_every_media_type(server, registry, name, packing, docker):
    if docker and packing != "+gzip":
        pytest.skip("docker's own media types in a registry know gzip alone")
    layer = oci.tar(oci.member("etc/made", name))
    reference = registry.push_image(f"types/{name[-30:].strip('-').lower()}", oci.Image(layer, packing=packing, docker=docker))
    assert read(ready(server, name, reference)[0], "etc/made") == name


@pytest.mark.parametrize("form", ["oci", "oci-archive", "docker-archive"])
def test_this_hosts_disk(server, disk, name, form):
    image = oci.Image(oci.tar(oci.member("etc/made", name)))
    path = os.path.join(disk, name)
    write = {"oci": image.layout, "oci-archive": image.oci_archive, "docker-archive": image.docker_archive}[form]
    write(path)
    assert read(ready(server, name, f"{form}:{path}")[0], "etc/made") == name
    assert read(ready(server, f"{name}-tag", f"{form}:{path}:latest")[0], "etc/made") == name
    failed(server, f"{name}-other", f"{form}:{path}:other", "no such image")


def test_paths_outside_the_administrators_folders(server, disk, name):
    failed(server, f"{name}-1", "oci:/etc", "--image-folders")
    failed(server, f"{name}-2", f"oci-archive:{disk}/../../etc/shadow", "no such image")
    os.symlink("/etc", os.path.join(disk, "leads-out"))
    failed(server, f"{name}-3", f"oci:{disk}/leads-out", "no such image")


def test_what_a_layer_brings_and_what_it_does_not(server, disk, name):
    lower = oci.tar(oci.member("a/kept", "kept"), oci.member("b/hidden", "hidden"), oci.member("gone", "gone"))
    upper = oci.tar(oci.member("b/.wh..wh..opq"), oci.member("b/new", "new"), oci.member(".wh.gone"),
                    oci.member("bin/su", "su", mode=0o4755), oci.member("dev/sda", type=b"4", devmajor=8),
                    oci.hardlink("bin/sudo", "bin/su"), oci.link("etc/abs", "/etc/passwd"),
                    oci.member("etc/with", "attribute", pax_headers={"SCHILY.xattr.user.note": "kept",
                                                                     "SCHILY.xattr.user.overlay.redirect": "/etc"}))
    layers = ready(server, name, "oci:" + oci.Image(lower, upper).layout(os.path.join(disk, name)))
    assert os.getxattr(os.path.join(layers[1], "b"), "user.overlay.opaque") == b"y"
    gone = os.lstat(os.path.join(layers[1], "gone"))
    assert os.path.stat.S_ISCHR(gone.st_mode) and gone.st_rdev == 0
    assert os.stat(os.path.join(layers[1], "bin/su")).st_mode & 0o7777 == 0o755
    assert os.path.samefile(os.path.join(layers[1], "bin/su"), os.path.join(layers[1], "bin/sudo"))
    assert not os.path.lexists(os.path.join(layers[1], "dev/sda"))
    assert os.readlink(os.path.join(layers[1], "etc/abs")) == "/etc/passwd"
    assert os.listxattr(os.path.join(layers[1], "etc/with")) == ["user.note"]


def test_many_layers_are_one_stack_and_run(server, disk, name):
    layers = [oci.tar(oci.member(f"layer/{i}", str(i))) for i in range(40)]
    image = oci.Image(*layers[:-1], oci.tar(*programs(), oci.member("layer/39", "39")), config={"Env": ["PATH=/bin"]})
    found = ready(server, name, "oci:" + image.layout(os.path.join(disk, name)))
    assert [os.listdir(os.path.join(each, "layer")) for each in found] == [[str(i)] for i in range(40)]
    server.image(name, name)
    server.function(name, {"handler": (PROGRAM, 0o755)}, image=name)
    assert server.run(name)["output"] == 40


def image_made(server, name, reference, **more):
    """An image that stands on a reference itself, once its fate is known."""
    reply = server.api("POST", "/v1/image", {"name": name, "baseImageName": reference, **more})
    assert reply.status == 201, reply
    return harness.poll(lambda: settled(server, name, "image"), 90, f"the end of {name}")


def labelled(language):
    return {"Env": ["PATH=/bin"], "Labels": {"io.dispatchframework.language": language}}


def test_an_image_from_elsewhere_says_its_language_by_a_label(server, disk, name):
    image = oci.Image(oci.tar(*programs(), oci.member("layer/0", name)), config=labelled("native"))
    found = image_made(server, name, "oci:" + image.layout(os.path.join(disk, name)))
    assert found["status"] == "READY" and found["language"] == "native", found
    server.function(name, {"handler": (PROGRAM, 0o755)}, image=name)
    assert server.run(name)["output"] == 1
    other = oci.Image(PLAIN, config=labelled("python3"))
    reply = server.api("PUT", f"/v1/image/{name}", {"baseImageName": "oci:" + other.layout(os.path.join(disk, name + "-2"))})
    assert reply.status == 200, reply
    found = harness.poll(lambda: settled(server, name, "image"), 90, "the other image")
    assert found["status"] == "ERROR" and "no 'python3' in its PATH" in found["reason"][0], found
    assert server.run(name)["output"] == 1
    left_nothing(server)


@pytest.mark.parametrize("config, words", [({}, "--language LANGUAGE"), (labelled("cobol"), "no runtime for cobol"),
                                           (labelled("x" * 5000), "no runtime for xxx"), (labelled("http"), "no runtime for http"),
                                           ({"Labels": {"io.dispatchframework.language": 7}}, "--language LANGUAGE")],
                         ids=["none", "other", "long", "agent", "number"])
def test_an_image_from_elsewhere_without_a_language_of_ours(server, disk, name, config, words):
    image = oci.Image(PLAIN, config=config)
    found = image_made(server, name, "oci:" + image.layout(os.path.join(disk, name)))
    assert found["status"] == "ERROR" and words in found["reason"][0], found
    assert "io.dispatchframework.language" in found["reason"][0]
    left_nothing(server)


MALFORMED = ["team/Image:1", "a//b", "http://registry.example.com/x", "x:y:z", "x@sha256:12", "x: y", "oci:relative/path", "-x/y",
             "docker-archive:x/y"]


@pytest.mark.parametrize("reference", MALFORMED)
def test_a_malformed_reference_is_refused_at_once(server, name, reference):
    for kind, field, more in (("baseimage", "dockerUrl", {"language": "native"}), ("image", "baseImageName", {}),
                              ("function", "functionImage", {})):
        reply = server.api("POST", f"/v1/{kind}", {"name": name, field: reference, **more})
        assert reply.status == 422, (kind, reply)
        message = reply.json["message"]
        assert message.startswith(f"{field} in body: '{reference}'") and "\n" not in message, message
        assert server.api("GET", f"/v1/{kind}/{name}").status == 404


def test_an_exported_function_has_the_blobs_of_its_base(server, disk, name, tmp_path):
    """As they came, by their own digests; and it answers as it does here."""
    image = oci.Image(oci.tar(*programs(), oci.member("layer/0", name)), oci.tar(oci.member("layer/1", name)),
                      config={"Env": ["PATH=/bin", "OF_THE_BASE=1"]})
    ready(server, name, "oci:" + image.layout(os.path.join(disk, name)))
    server.image(name, name)
    server.function(name, {"handler": (PROGRAM, 0o755)}, image=name)
    assert server.run(name)["output"] == 2
    server.cli("export", "function", name, f"oci:{tmp_path}/layout", timeout_s=120)
    layout = containers.Layout(tmp_path / "layout")
    assert [each["digest"] for each in layout.manifest["layers"][:2]] == [oci.sha256(each) for each in image.blobs]
    assert layout.config["rootfs"]["diff_ids"][:2] == [oci.sha256(each) for each in image.plain]
    assert "OF_THE_BASE=1" in layout.config["config"]["Env"]
    container = containers.Container(layout, tmp_path / "c", name="base")
    try:
        assert container.wait().curl("/", "-H", "Content-Type: application/json", "-d", "1") == (200, "2"), container.said()
        assert container.terminate() == 0, container.said()
    finally:
        container.finish()


def log_of(server, name, kind="baseimage"):
    return server.api("GET", f"/v1/{kind}/{name}/logs").json


def test_the_log_of_a_pull(server, registry, name):
    reference = registry.push_image("logged", oci.Image(PLAIN, oci.tar(oci.member("b", name))))
    done = server.cli("create", "base-image", name, reference, "--language", "native", "--wait", timeout_s=90)
    log = log_of(server, name)
    assert log["over"] and "layer 1 of 2: sha256:" in log["text"] and "layer 2 of 2: sha256:" in log["text"]
    assert "layer 2 of 2: " in done.stderr
    assert server.cli("logs", "base-image", name).stdout == log["text"]
    server.cli("update", "base-image", name, "--url", registry.push_image("logged", oci.Image(PLAIN), "next"), "--wait", timeout_s=90)
    assert "layer 1 of 1: sha256:" in log_of(server, name)["text"] and "of 2" not in log_of(server, name)["text"]


def test_progress_and_an_end_by_delete(name):
    with hostile("hang") as where, serving("--registry-insecure", where, "--registry-local", where) as server:
        reply = server.api("POST", "/v1/baseimage", {"name": name, "dockerUrl": f"{where}/image:latest", "language": "native"})
        assert reply.status == 201, reply
        harness.poll(lambda: "MiB fetched" in log_of(server, name).get("progress", ""), 30, "progress")
        assert server.api("DELETE", f"/v1/baseimage/{name}").status in (200, 204)
        left_nothing(server)
        assert os.listdir(os.path.join(server.state, "layers")) == []


def test_missing_layers_come_back(disk, registry, name):
    """Cleared by hand: from the blobs at a restart, and from the registry where these are gone as well."""
    reference = registry.push_image("cleared", oci.Image(*(oci.tar(oci.member(f"file-{i}", name)) for i in range(6))))
    with serving("--registry-insecure", registry.name, "--registry-local", registry.name) as server:
        layers = ready(server, name, reference)
        for also in ((), ("blobs",)):
            server.stop()
            shutil.rmtree(layers[2])
            for folder in also:
                shutil.rmtree(os.path.join(server.state, folder))
            server.start()
            harness.poll(lambda: os.path.exists(os.path.join(layers[2], "file-2")), 60, "the layer")
            assert settled(server, name) or harness.poll(lambda: settled(server, name), 60, "its end")
            assert settled(server, name)["status"] == "READY"
            left_nothing(server)


def test_layers_are_shared_and_blobs_are_not_fetched_again(server, registry, name):
    common = oci.tar(oci.member("common", name))
    first = registry.push_image("shared", oci.Image(common, PLAIN), "one")
    layers = ready(server, f"{name}-1", first)
    inode = os.stat(layers[0]).st_ino
    second = registry.push_image("shared", oci.Image(common, oci.tar(oci.member("other", name))), "two")
    again = ready(server, f"{name}-2", second)
    assert again[0] == layers[0] and os.stat(again[0]).st_ino == inode and again[1] != layers[1]


@pytest.mark.parametrize("member, words", [
    (oci.member("../escaped"), "'..'"),
    (oci.member("a/../../escaped"), "'..'"),
    (oci.hardlink("passwd", "/etc/passwd"), "absolute"),
    (oci.hardlink("passwd", "../etc/passwd"), "'..'"),
])
def test_hostile_members(server, disk, name, member, words):
    failed(server, name, "oci:" + oci.Image(oci.tar(member)).layout(os.path.join(disk, name)), words, "layer 1 of 1")


def test_a_link_then_written_through(server, disk, name):
    layer = oci.tar(oci.link("a", "/etc"), oci.member("a/passwd", "root::0:0::/:"))
    failed(server, name, "oci:" + oci.Image(layer).layout(os.path.join(disk, name)), "through the link")


def test_another_architecture(server, registry, disk, name):
    other = oci.Image(PLAIN, architecture=oci.OTHER_ARCHITECTURE)
    failed(server, f"{name}-1", registry.push_image("other", other), "wrong architecture")
    failed(server, f"{name}-2", "oci:" + other.layout(os.path.join(disk, name)), "wrong architecture")
    failed(server, f"{name}-3", registry.push("others", "latest", *oci.index_of(other)), "wrong architecture")
    both = oci.index_of(other, oci.Image(oci.tar(oci.member("etc/made", "here"))))
    assert read(ready(server, f"{name}-4", registry.push("both", "latest", *both))[0], "etc/made") == "here"


def spoil(how):
    """Damages the largest blob that is no document."""
    def damage(contents):
        digest = max((each for each in contents if not contents[each].startswith(b"{")), key=lambda each: len(contents[each]))
        contents[digest] = how(contents[digest])
    return damage


@pytest.mark.parametrize("how, words", [(lambda blob: blob[:len(blob) // 2], "truncated"),
                                        (lambda blob: blob + b"more", "wrong digest")], ids=["truncated", "longer"])
def test_damaged_layers(server, disk, name, how, words):
    layer = oci.tar(oci.member("random", os.urandom(200000)))
    failed(server, name, "oci:" + oci.Image(layer).layout(os.path.join(disk, name), damage=spoil(how)), words)


def test_a_layer_that_unpacks_to_something_else(server, disk, name):
    image = oci.Image(PLAIN)
    image.config["rootfs"]["diff_ids"] = ["sha256:" + "0" * 64]
    failed(server, name, "oci:" + image.layout(os.path.join(disk, name)), "wrong digest")


def test_a_manifest_of_ten_megabytes(server, disk, name):
    image = oci.Image(PLAIN)
    image.extra = {"annotations": {"x": "y" * (10 << 20)}}
    failed(server, name, "oci:" + image.layout(os.path.join(disk, name)), "manifest is larger than")


def test_no_such_image_and_nobody_there(server, registry, name):
    failed(server, f"{name}-1", f"{registry.name}/none:latest", registry.name, "no such image")
    with serving("--registry-local", "127.0.0.1:1") as other:
        failed(other, f"{name}-2", "127.0.0.1:1/none:latest", "127.0.0.1:1", "unreachable")


class Hostile(http.server.BaseHTTPRequestHandler):
    mode = "hang"
    asked = threading.Event()

    def do_GET(self):
        if self.mode == "hang":
            self.asked.set()
            self.server.release.wait(300)
            return
        self.send_response(401)
        self.send_header("WWW-Authenticate", f'Bearer realm="http://{self.headers["Host"]}/token",service="s"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def hostile(mode):
    kind = type("Mode", (Hostile,), {"mode": mode})
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind)
    running.daemon_threads = True
    running.release = threading.Event()
    threading.Thread(target=running.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{running.server_address[1]}"
    finally:
        running.release.set()
        running.shutdown()
        running.server_close()


def test_a_registry_that_hangs(name):
    with hostile("hang") as where, serving("--registry-insecure", where, "--registry-local", where,
                                           "--registry-timeout", str(2 * PATIENCE)) as server:
        failed(server, name, f"{where}/image:latest", where, "it hangs")


def test_a_401_that_never_ends(name):
    with hostile("401") as where, serving("--registry-insecure", where, "--registry-local", where) as server:
        failed(server, name, f"{where}/image:latest", where, "not authorised", "registrySecret")


class Relay(http.server.BaseHTTPRequestHandler):
    """Before a registry: notes the blobs that were asked for whole, and holds one of them back."""

    def do_GET(self):
        relay = self.server
        status, headers, body = relay.registry.call("GET", self.path, headers={"Accept": self.headers.get("Accept", "*/*")})
        digest = self.path.rpartition("/")[2]
        if "/blobs/" in self.path:
            relay.asked.append(digest)
        self.send_response(status)
        for key in ("Content-Type", "Docker-Content-Digest", "Docker-Distribution-Api-Version"):
            if key in headers:
                self.send_header(key, headers[key])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if digest == relay.slow:
            self.wfile.write(body[:len(body) // 2])
            self.wfile.flush()
            relay.released.wait(300)
            if relay.cuts:
                self.close_connection = True
                return
        with contextlib.suppress(OSError):
            self.wfile.write(body[len(body) // 2:] if digest == relay.slow else body)

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def relayed(registry, slow):
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Relay)
    running.daemon_threads, running.registry, running.slow = True, registry, slow
    running.asked, running.released, running.cuts = [], threading.Event(), False
    running.name = f"127.0.0.1:{running.server_address[1]}"
    threading.Thread(target=running.serve_forever, daemon=True).start()
    try:
        yield running
    finally:
        running.released.set()
        running.shutdown()
        running.server_close()


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_pull_that_is_broken_off_goes_on_at_a_start(registry, name, how):
    image = oci.Image(oci.tar(oci.member("first", name)), oci.tar(oci.member("second", os.urandom(1 << 20))))
    digests = [oci.sha256(each) for each in image.blobs]
    registry.push_image("broken", image, how)
    with relayed(registry, digests[1]) as relay, serving("--registry-insecure", relay.name, "--registry-local",
                                                         relay.name) as server:
        body = {"name": name, "dockerUrl": f"{relay.name}/broken:{how}", "language": "native"}
        assert server.api("POST", "/v1/baseimage", body).status == 201
        harness.poll(lambda: set(digests) <= set(relay.asked), 60, "both blobs to be asked for")
        getattr(server, how)()
        relay.slow = None
        relay.asked.clear()
        relay.released.set()
        server.start()
        found = harness.poll(lambda: settled(server, name), 120, "its end")
        assert found["status"] == "READY", found
        assert read(layers_of(server, found)[0], "first") == name
        left_nothing(server)
        relay.asked.clear()
        assert server.api("DELETE", f"/v1/baseimage/{name}").status in (200, 204)
        ready(server, f"{name}-2", f"{relay.name}/broken:{how}")
        assert not set(digests) & set(relay.asked), "layers that are there were fetched again"


def test_a_connection_that_breaks_costs_what_was_not_whole(registry, name):
    image = oci.Image(oci.tar(oci.member("first", name)), oci.tar(oci.member("second", os.urandom(1 << 20))))
    digests = [oci.sha256(each) for each in image.blobs]
    registry.push_image("cut", image)
    with relayed(registry, digests[1]) as relay, serving("--registry-insecure", relay.name, "--registry-local",
                                                         relay.name) as server:
        relay.cuts = True
        body = {"name": name, "dockerUrl": f"{relay.name}/cut", "language": "native"}
        assert server.api("POST", "/v1/baseimage", body).status == 201
        whole = os.path.join(server.state, "staging", "*", "*", "layout/blobs/sha256", digests[0][7:])
        harness.poll(lambda: glob.glob(whole) or glob.glob(whole.replace("/*/*/", "/*/")), 60, "the first blob")
        harness.poll(lambda: digests[1] in relay.asked, 60, "the second to be asked for")
        relay.released.set()
        found = harness.poll(lambda: settled(server, name), 120, "its end")
        assert found["status"] == "ERROR" and "truncated" in found["reason"][0], found
        left_nothing(server)
        relay.slow = None
        relay.asked.clear()
        server.cli("update", "base-image", name, "--url", f"{relay.name}/cut:latest")
        server.wait_status("baseimage", name, timeout_s=90)
        assert digests[0] not in relay.asked and digests[1] in relay.asked


def kill_server(server):
    """The unprivileged process alone; spawn starts it again."""
    os.kill(server.server_pid(), signal.SIGKILL)


ENDS = {"server": kill_server, "spawn": harness.Server.kill, "stop": harness.Server.stop}


@pytest.mark.parametrize("end", ENDS)
def test_blobs_that_were_whole_outlive_whoever_fetched_them(registry, name, end):
    image = oci.Image(oci.tar(oci.member("first", name)), oci.tar(oci.member("second", os.urandom(1 << 20))))
    digests = [oci.sha256(each) for each in image.blobs]
    registry.push_image("outlive", image, end)
    with relayed(registry, digests[1]) as relay, serving("--registry-insecure", relay.name, "--registry-local",
                                                         relay.name) as server:
        body = {"name": name, "dockerUrl": f"{relay.name}/outlive:{end}", "language": "native"}
        assert server.api("POST", "/v1/baseimage", body).status == 201
        whole = os.path.join(server.state, "staging", "job-*", "layout/blobs/sha256", digests[0][7:])
        harness.poll(lambda: glob.glob(whole) and digests[1] in relay.asked, 60, "one blob, and the other asked for")
        relay.slow = None
        relay.asked.clear()
        ENDS[end](server)
        relay.released.set()
        if server.process is None:
            server.start()
        found = harness.poll(lambda: answered(server, name), 120, "its end")
        assert found["status"] == "READY", found
        assert read(layers_of(server, found)[0], "first") == name
        assert digests[0] not in relay.asked and digests[1] in relay.asked
        left_nothing(server)


def answered(server, name):
    """As settled, of a server that may be away for a moment."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        return settled(server, name)
    return None


def test_a_blob_of_a_killed_fetch_that_is_damaged_is_fetched_again(registry, name):
    """As after a power cut: its name is there, what it holds is not."""
    image = oci.Image(oci.tar(oci.member("first", name)), oci.tar(oci.member("second", os.urandom(1 << 20))))
    digests = [oci.sha256(each) for each in image.blobs]
    registry.push_image("torn", image)
    with relayed(registry, digests[1]) as relay, serving("--registry-insecure", relay.name, "--registry-local",
                                                         relay.name) as server:
        body = {"name": name, "dockerUrl": f"{relay.name}/torn", "language": "native"}
        assert server.api("POST", "/v1/baseimage", body).status == 201
        whole = os.path.join(server.state, "staging", "job-*", "layout/blobs/sha256", digests[0][7:])
        harness.poll(lambda: glob.glob(whole) and digests[1] in relay.asked, 60, "one blob, and the other asked for")
        server.kill()
        relay.slow = None
        relay.asked.clear()
        relay.released.set()
        with open(glob.glob(whole)[0], "r+b") as file:
            file.write(bytes(16))
        server.start()
        found = harness.poll(lambda: settled(server, name), 120, "its end")
        assert found["status"] == "READY", found
        assert read(layers_of(server, found)[0], "first") == name
        assert digests[0] in relay.asked
        left_nothing(server)


def test_no_room_on_the_disk(registry, tmp_path, name):
    """Is the reason, and what is fetched once there is room and somebody asks again."""
    server = harness.Server(folder=str(tmp_path), options=("--registry-insecure", registry.name, "--registry-local", registry.name))
    os.mkdir(server.state)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", server.state], check=True)
    reference = registry.push_image("large", oci.Image(oci.tar(oci.member("large", os.urandom(30 << 20))), packing=""))
    try:
        server.start()
        assert server.api("POST", "/v1/baseimage", {"name": name, "dockerUrl": reference, "language": "native"}).status == 201

        found = harness.poll(lambda: settled(server, name), 90, "its end")
        assert found["status"] == "ERROR" and "no space on this host" in found["reason"][0], found
        left_nothing(server)
        subprocess.run(["mount", "-o", "remount,size=256m", server.state], check=True)
        server.cli("update", "base-image", name, "--url", reference)
        server.wait_status("baseimage", name, timeout_s=120)
    finally:
        server.finish()
        subprocess.run(["umount", "-l", server.state], check=False)


def test_tls_and_a_password(disk, name):
    registry = oci.Registry(os.path.join(disk, name), user=("me", "secret word"), tls=True)
    try:
        reference = registry.push_image("private", oci.Image(PLAIN, config=labelled("native")))
        with serving("--registry-local", registry.name, "--registry-ca", os.path.join(registry.path, "ca.crt")) as server:
            failed(server, f"{name}-1", reference, "not authorised")
            secret = {"name": "login", "secrets": {"username": "me", "password": "secret word"}}
            assert server.api("POST", "/v1/secret", secret).status == 201
            assert read(ready(server, f"{name}-2", reference, registrySecret="login")[0], "etc/made") == "by hand"
            failed(server, f"{name}-3", reference, "registrySecret", registrySecret="none")
            assert image_made(server, f"{name}-1", reference, registrySecret="login")["status"] == "READY"
            reason = image_made(server, f"{name}-2", reference, registrySecret="none")["reason"][0]
            assert "secret none not found" in reason, reason
        with serving("--registry-local", registry.name, "--registry-ca", os.path.join(registry.path, "ca.crt")) as server:
            reason = image_made(server, f"{name}-3", reference)["reason"][0]
            assert "not authorised" in reason and "registrySecret" in reason, reason
        with serving("--registry-local", registry.name) as server:
            failed(server, f"{name}-4", reference, "certificate", "--registry-ca")
    finally:
        registry.finish()


def test_an_image_without_the_languages_interpreter(server, disk, name):
    reference = "oci:" + oci.Image(PLAIN).layout(os.path.join(disk, name))
    failed(server, name, reference, "no 'python3' in its PATH", language="python3")


def peak_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:"))


@pytest.mark.slow
def test_memory_does_not_follow_the_size_of_an_image(registry):
    def image(name, megabytes):
        layer = oci.tar(oci.folder("etc"), *(oci.member(f"etc/{name}-{each}", os.urandom(1 << 20)) for each in range(megabytes)))
        return registry.push_image(f"memory/{name}", oci.Image(layer))
    with serving("--registry-insecure", registry.name, "--registry-local", registry.name) as server:
        assert made(server, "small", image("small", 1))["status"] == "READY"
        processes = {"spawn": server.process.pid, "server": server.server_pid()}
        before = {name: peak_kib(pid) for name, pid in processes.items()}
        assert made(server, "large", image("large", 96))["status"] == "READY"
        grown = {name: peak_kib(pid) - before[name] for name, pid in processes.items()}
        assert max(grown.values()) < 16 << 10, grown


def program_for(loader, content=b""):
    """As much of an ELF file as says what loads it."""
    name = loader.encode() + b"\0"
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    return head + struct.pack("<IIQQQQQQ", 3, 4, 120, 0, 0, len(name), len(name), 1) + name + content


GNU, MUSL = "/lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1"


def with_program(path, content, *more, **env):
    return oci.Image(oci.tar(oci.member(path, content, mode=0o755), *more), config={"Env": [f"{k}={v}" for k, v in env.items()]})


def glibc(version):
    return oci.member("usr/lib64/libc.so.6", b"\0GLIBC_2.2.5\0GLIBC_2.9\0GLIBC_" + version.encode() + b"\0GLIBC_PRIVATE\0")


def java_of(version):
    return with_program("opt/jdk/bin/java", program_for(GNU), oci.member("opt/jdk/release", f'MODULES="java.base"\nJAVA_VERSION="{version}"\n'),
                        oci.link("bin/java", "/opt/jdk/bin/java"), PATH="/bin")


def node_of(version):
    return with_program("bin/node", program_for(GNU, bytes(200000) + f"node.js/v{version}\0".encode()))


@pytest.mark.parametrize("language, image, words", [
    ("python3", with_program("bin/python3", program_for(MUSL)), "is built for musl"),
    ("nodejs", with_program("bin/node", program_for(MUSL)), "is built for musl"),
    ("java", with_program("bin/java", program_for(MUSL)), "is built for musl"),
    ("nodejs", node_of("16.20.2"), "/bin/node of the image is version 16.20.2, and the agent for nodejs needs 18 or newer"),
    ("java", java_of("11.0.2"), "/bin/java of the image is version 11.0.2, and the agent for java needs 17 or newer"),
    ("java", java_of("1.8.0_412"), "/bin/java of the image is version 1.8.0, and the agent for java needs 17 or newer"),
    ("python3", with_program("bin/python3.7", program_for(GNU), oci.link("bin/python3", "python3.7")), "is version 3.7, and the agent"),
    ("python3", with_program("bin/python3", program_for(GNU), glibc("2.17")), "GNU C library is version 2.17, and the agent for python3 needs 2."),
    ("nodejs", with_program("bin/node", program_for(GNU), glibc("2.17")), "GNU C library is version 2.17"),
    ("java", with_program("bin/java", program_for(GNU), glibc("2.17")), "GNU C library is version 2.17"),
    ("python3", with_program("bin/python3", b"#!/bin/sh\n"), "no 'python3' in its PATH"),
    ("python3", with_program("bin/python3", program_for(GNU)[:70]), "no 'python3' in its PATH"),
])
def test_an_interpreter_that_the_agent_does_not_fit(server, disk, name, language, image, words):
    needs(language)
    failed(server, name, "oci:" + image.layout(os.path.join(disk, name)), words, language=language)


@pytest.mark.parametrize("language, image", [("nodejs", node_of("18.0.0")), ("java", java_of("17.0.1")), ("java", java_of("25")),
                                             ("python3", with_program("bin/python3", program_for(GNU), glibc("2.99"))),
                                             ("native", with_program("lib/ld-musl-x86_64.so.1", program_for(MUSL)))])
def test_an_interpreter_that_the_agent_fits(server, disk, name, language, image):
    needs(language)
    ready(server, name, "oci:" + image.layout(os.path.join(disk, name)), language=language)


def needs(language):
    if not os.path.exists(os.path.join(harness.BUILD, "runtimes", language, "manifest")):
        pytest.skip(f"the {language} runtime is not built here")
