"""Packages that an image adds to its base: installed with an index of the tests' own internet (package_index.py), by the
real pip, in the sandbox that they have everywhere."""
import glob
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest

import harness
import oci
import world

pytestmark = pytest.mark.skipif(world.why_not() is not None or not glob.glob("/usr/share/python-wheels/pip-*.whl"),
                                reason=str(world.why_not() or "python3-pip-whl is missing (tools/install-deps run)"))

INDEX, PORT = "198.18.0.10", 8080
ENVIRONMENT = ["--build-env", f"PIP_INDEX_URL=http://{INDEX}:{PORT}/simple", "--build-env", f"PIP_TRUSTED_HOST={INDEX}",
               "--build-env", "PIP_RETRIES=0"]
USES = "import fine\ndef handle(ctx, payload):\n    return fine.VERSION\n"


@pytest.fixture(scope="module")
def outside():
    made = world.World()
    try:
        yield made
    finally:
        made.finish()


def in_internet(outside, *command, **more):
    return [*("nsenter", f"--net={outside.path(outside.internet)}"), *command]


@pytest.fixture(scope="module")
def disk():
    """A folder for images that the server may read."""
    folder = tempfile.mkdtemp(prefix="images-")
    os.chmod(folder, 0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def server(outside, disk):
    running = world.WorldServer(outside, options=[*ENVIRONMENT, "--image-folders", disk])
    index = None
    try:
        marks = json.dumps({"STATE": running.state, "PORT": str(running.port)})
        index = subprocess.Popen(in_internet(outside, sys.executable, os.path.join(world.HERE, "package_index.py"), INDEX,
                                             str(PORT), marks), stdout=subprocess.PIPE, text=True)
        assert index.stdout.readline() == "ready\n"
        running.start()
        assert running.api("POST", "/v1/baseimage", {"name": "base", "dockerUrl": harness.PYTHON_BASE,
                                                     "language": "python3"}).status == 201
        running.wait_status("baseimage", "base")
        yield running
    finally:
        running.finish()
        if index is not None:
            index.kill()
            index.wait()
            index.stdout.close()


@pytest.fixture
def small(outside, server):
    """A second server, with little room for builds and a list of what is allowed."""
    folder = tempfile.mkdtemp(prefix="allowed-")
    os.chmod(folder, 0o755)
    allowed = pathlib.Path(folder) / "allowed"
    allowed.write_text("pypi:*\n")
    running = world.WorldServer(outside, options=[*ENVIRONMENT, "--build-timeout-ms", str(int(10000 * harness.PATIENCE)), "--build-disk-mib", "48",
                                                  "--build-memory-mib", "256", "--package-allow", str(allowed)])
    try:
        running.start()
        running.allowed = allowed
        yield running
    finally:
        running.finish()
        shutil.rmtree(folder)


def create(server, name, manifest, base=harness.PYTHON_BASE, headers=None):
    reply = server.api("POST", "/v1/image", {"name": name, "baseImageName": base,
                                             "runtimeDependencies": {"manifest": manifest}}, headers=headers)
    assert reply.status == 201, reply
    return reply.json


def update(server, name, manifest, base="base"):
    reply = server.api("PUT", f"/v1/image/{name}", {"name": name, "baseImageName": base,
                                                    "runtimeDependencies": {"manifest": manifest}})
    assert reply.status == 200, reply


def failed(server, name, manifest):
    create(server, name, manifest)
    return "\n".join(server.wait_status("image", name, "ERROR", timeout_s=60)["reason"])


def log_of(server, name):
    return server.api("GET", f"/v1/image/{name}/logs").json["text"]


def layers(server, pattern="deps-*"):
    return sorted(os.path.basename(path) for path in glob.glob(os.path.join(server.state, "layers", pattern)))


def staging_is_empty(server):
    return harness.poll(lambda: not os.listdir(os.path.join(server.state, "staging")), what="an empty staging folder")


def index(outside, method, path):
    code = f"import urllib.request as u; print(u.urlopen(u.Request('http://{INDEX}:{PORT}{path}', method='{method}')).read().decode())"
    return subprocess.run(in_internet(outside, sys.executable, "-c", code), capture_output=True, text=True, check=True,
                          timeout=30).stdout


def test_a_package_and_what_it_needs_are_there_for_functions(server):
    create(server, "plain", "needs\n", "base")
    image = server.wait_status("image", "plain")
    assert image["language"] == "python3" and len(image["backingObject"]["layers"]) == 2
    server.function("plain", USES, image="plain")
    assert server.run("plain")["output"] == "2.0"
    found = {(p["type"], p["name"], p["version"], p["from"]) for p in server.api("GET", "/v1/image/plain/packages").json["packages"]}
    assert {("pypi", "fine", "2.0", "image"), ("pypi", "needs", "1.0", "image")} <= found
    assert any(kind == "deb" and name == "python3" and origin == "base" for kind, name, _, origin in found)
    staging_is_empty(server)


def moved(root, program="python3"):
    """The members of an image: a root of Debian whose interpreter is at another place."""
    yield oci.folder("usr/local/bin")
    for folder, folders, files in os.walk(root):
        for name in sorted(folders + files):
            path = os.path.join(folder, name)
            within = os.path.relpath(path, root)
            if os.path.islink(path):
                target = os.readlink(path)
                if within == f"usr/bin/{program}":
                    target = os.path.normpath(os.path.join("/usr/bin", target)) if "/" in target else target
                    yield oci.link(f"usr/local/bin/{program}", target)
                else:
                    yield oci.link(within, target)
            elif os.path.isdir(path):
                if within != "usr/local/bin":
                    yield oci.folder(within)
            else:
                with open(path, "rb") as file:
                    is_program = os.path.dirname(within) == "usr/bin" and name.startswith(f"{program}.")
                    yield oci.member(f"usr/local/bin/{name}" if is_program else within, file.read(),
                                     mode=os.stat(path).st_mode & 0o777)


def test_a_base_image_with_its_interpreter_elsewhere(server, disk):
    layer = server.wait_status("baseimage", "base")["backingObject"]["layers"][0]
    image = oci.Image(oci.tar(*moved(os.path.join(server.state, "layers", layer))), packing="",
                      config={"Env": ["PATH=/usr/local/bin:/usr/bin:/bin"]})
    reference = "oci:" + image.layout(os.path.join(disk, "elsewhere"))
    assert server.api("POST", "/v1/baseimage", {"name": "elsewhere", "dockerUrl": reference, "language": "python3"}).status == 201
    found = server.wait_status("baseimage", "elsewhere", timeout_s=120)["backingObject"]["layers"]
    assert not os.path.lexists(os.path.join(server.state, "layers", found[0], "usr/bin/python3"))
    create(server, "elsewhere", "needs\n", "elsewhere")
    image = server.wait_status("image", "elsewhere", timeout_s=120)
    assert image["backingObject"]["layers"][:-1] == found
    server.function("elsewhere", "import fine, sys\ndef handle(ctx, payload):\n    return [fine.VERSION, sys.executable]\n",
                    image="elsewhere")
    assert server.run("elsewhere")["output"] == ["2.0", "/usr/local/bin/python3"]
    staging_is_empty(server)


@pytest.mark.skipif(not os.path.exists("/usr/bin/javac") or not os.path.exists(os.path.join(harness.BUILD, "runtimes", "java", "manifest")),
                    reason="no JDK: sudo tools/install-deps test")
def test_a_compiler_runs_with_the_interpreter_of_its_image(server, disk):
    server.image("java-builtin", "builtin:java")
    layer = server.api("GET", "/v1/image/java-builtin").json["backingObject"]["layers"][0]
    image = oci.Image(oci.tar(*moved(os.path.join(server.state, "layers", layer), "java")), packing="",
                      config={"Env": ["PATH=/usr/local/bin:/usr/bin:/bin"]})
    reference = "oci:" + image.layout(os.path.join(disk, "java-elsewhere"))
    assert server.api("POST", "/v1/baseimage", {"name": "java-elsewhere", "dockerUrl": reference, "language": "java"}).status == 201
    found = server.wait_status("baseimage", "java-elsewhere", timeout_s=120)["backingObject"]["layers"]
    assert not os.path.lexists(os.path.join(server.state, "layers", found[0], "usr/bin/java"))
    server.image("java-elsewhere", "java-elsewhere")
    server.function("java-elsewhere", {"Twice.java": "public class Twice { public Object handle(Object context, String payload) "
                                       "{ return payload + payload + System.getProperty(\"java.vendor\").isEmpty(); } }"}, image="java-elsewhere")
    assert server.run("java-elsewhere", "a")["output"] == "aafalse"
    staging_is_empty(server)


def test_the_same_packages_are_installed_once_in_an_organization(server):
    create(server, "once", "fine==1.0\n", "base")
    first = server.wait_status("image", "once")["backingObject"]["layers"]
    create(server, "twice", "fine==1.0\n", "base")
    assert server.wait_status("image", "twice")["backingObject"]["layers"] == first
    assert log_of(server, "twice") == "" and "building fine" not in log_of(server, "twice")
    create(server, "other", "fine==1.0\n", headers={"X-Dispatch-Org": "another"})
    other = harness.poll(lambda: server.api("GET", "/v1/image/other", headers={"X-Dispatch-Org": "another"}).json
                         if server.api("GET", "/v1/image/other", headers={"X-Dispatch-Org": "another"}).json["status"] == "READY"
                         else None, timeout_s=60)
    assert other["backingObject"]["layers"][0] == first[0] and other["backingObject"]["layers"][1] != first[1]


def test_a_layer_that_is_made_again_has_the_same_files(server):
    def content():
        found = {}
        for folder, _, files in os.walk(os.path.join(server.state, "layers", layer)):
            for file in files:
                with open(os.path.join(folder, file), "rb") as opened:
                    found[os.path.relpath(os.path.join(folder, file), server.state)] = opened.read()
        return found
    create(server, "again", "needs\nfine==1.0\n", "base")
    layer = server.wait_status("image", "again")["backingObject"]["layers"][1]
    first = content()
    assert any(path.endswith(".pyc") for path in first)
    os.rename(os.path.join(server.state, "layers", layer), os.path.join(server.folder, "gone"))
    update(server, "again", "needs\nfine==1.0\n")
    assert server.wait_status("image", "again")["backingObject"]["layers"][1] == layer
    assert content() == first


def test_another_image_takes_its_functions_along_or_leaves_them(server):
    create(server, "moving", "fine==1.0\n", "base")
    server.wait_status("image", "moving")
    server.function("moving", USES, image="moving")
    assert server.run("moving")["output"] == "1.0"
    update(server, "moving", "fine==2.0\n")
    server.wait_status("image", "moving")
    server.wait_status("function", "moving")
    assert server.run("moving")["output"] == "2.0"
    update(server, "moving", "")
    server.wait_status("image", "moving")
    reason = server.wait_status("function", "moving", "ERROR")["reason"]
    assert "image moving is another now" in reason[0] and "goes on with the image as it was" in reason[0]
    assert "No module named 'fine'" in reason[1]
    assert server.run("moving")["output"] == "2.0"
    update(server, "moving", "fine==1.0\n")
    server.wait_status("image", "moving")
    server.wait_status("function", "moving")
    assert server.run("moving")["output"] == "1.0"


def test_a_package_that_does_not_exist(server):
    before = layers(server)
    reason = failed(server, "missing", "no-such-package\n")
    assert "dependencies were not installed: ERROR:" in reason and "no-such-package" in reason and "\n" not in reason
    assert "no-such-package" in log_of(server, "missing")
    assert "were not installed" not in log_of(server, "missing")  # that is the reason, which whoever waits is told anyway
    assert layers(server) == before
    staging_is_empty(server)


def test_a_hostile_package_gets_nowhere(server):
    before = layers(server)
    reason = failed(server, "hostile", "hostile\n")
    assert "this package is hostile" in reason
    line = next(line for line in log_of(server, "hostile").splitlines() if "FOUND " in line)
    found = json.loads(line.split("FOUND ", 1)[1])
    assert found.pop("shadow") in ("EACCES", "ENOENT")
    assert found.pop("state") == "ENOENT"
    assert found.pop("root") in ("EACCES", "ENOENT", "[]")  # the image's own
    assert found.pop("loopback") == "ECONNREFUSED"  # its own loopback, on which nobody listens
    assert found.pop("metadata") in ("EACCES", "EHOSTUNREACH", "ENETUNREACH", "ECONNREFUSED", "TimeoutError", "ETIMEDOUT")
    assert found.pop("outside") == "EROFS" and found.pop("top") == "EROFS"
    assert found.pop("memory") == "EACCES"
    assert found.pop("kill") in ("None", "EPERM")  # the kernel passes over a signal to process 1
    assert found.pop("setuid") in ("EINVAL", "EPERM")  # there is no such user in there
    assert set(found.values()) == {"EPERM"}, found
    assert layers(server) == before
    staging_is_empty(server)


def test_what_is_left_behind_is_made_harmless(server):
    create(server, "setuid", "setuid\n", "base")
    layer = os.path.join(server.state, "layers", server.wait_status("image", "setuid")["backingObject"]["layers"][1])
    assert os.stat(os.path.join(layer, "usr/bin/su")).st_mode & 0o7777 == 0o755
    assert os.stat(os.path.join(layer, "usr/bin/secret")).st_mode & 0o7777 == 0o644
    assert not os.path.exists(os.path.join(layer, ".dispatch-work"))
    assert "is no file, folder or link" in failed(server, "device", "device\n")


def test_a_process_that_a_package_leaves_running_ends_with_the_build(server):
    create(server, "daemon", "daemon\n", "base")
    server.wait_status("image", "daemon", timeout_s=60)


def test_a_log_without_end_is_cut(server):
    create(server, "talkative", "talkative\n", "base")
    server.wait_status("image", "talkative", timeout_s=60)


def in_memory(folder):
    return subprocess.run(["stat", "-f", "-c", "%T", folder], capture_output=True, text=True, check=True).stdout.strip() == "tmpfs"


def test_bounds_of_a_build(small):
    assert "the build took longer than" in failed(small, "sleepy", "sleepy\n")
    said = failed(small, "greedy", "greedy\n")
    # A state directory in memory (/tmp is that on Debian 13) counts as both.
    assert "more than its 48 MiB of disk" in said or (in_memory(small.state) and "more than its 256 MiB of memory" in said)
    assert "more than its 256 MiB of memory" in failed(small, "hungry", "hungry\n")
    assert layers(small) == []
    staging_is_empty(small)


def test_only_what_is_allowed_is_installed(small):
    small.allowed.write_text("# what we know\npypi:Needs=1.*\n")
    reason = failed(small, "listed", "needs\n")
    assert "not on the list of allowed packages" in reason and "pypi:fine 2.0" in reason and "needs" not in reason
    small.allowed.write_text("pypi:needs\npypi:f*=2.0\n")
    update(small, "listed", "needs\n", harness.PYTHON_BASE)
    small.wait_status("image", "listed")
    small.allowed.write_text("cobol:x\n")
    assert "line 1: 'cobol:x' is not TYPE:NAME" in failed(small, "broken", "fine\n")


def test_deleting_an_image_stops_its_build(server):
    create(server, "stopped", "sleepy\n", "base")
    harness.poll(lambda: "sleepy" in log_of(server, "stopped"), what="the build")
    assert server.api("DELETE", "/v1/image/stopped").status == 200
    staging_is_empty(server)
    assert server.api("GET", "/v1/image/stopped/logs").status == 404


def test_a_change_stops_the_build_before_it(server):
    create(server, "changed", "sleepy\n", "base")
    harness.poll(lambda: "sleepy" in log_of(server, "changed"), what="the build")
    update(server, "changed", "fine\n")
    server.wait_status("image", "changed")
    assert "sleepy" not in log_of(server, "changed")


def test_a_log_is_followed_while_it_grows(server, outside):
    create(server, "followed", "gated\n", "base")
    harness.poll(lambda: "gated" in index(outside, "GET", "/waiting"), what="the build")
    reply = server.api("GET", "/v1/image/followed/logs").json
    assert "gated" in reply["text"] and reply["over"] is False
    index(outside, "POST", "/gate/gated")
    text = reply["text"]
    while not reply["over"]:
        reply = server.api("GET", f"/v1/image/followed/logs?offset={reply['offset']}&wait=20").json
        text += reply["text"]
    assert text == log_of(server, "followed") and "Successfully" in text
    assert server.api("GET", "/v1/image/followed").json["status"] == "READY"
    assert server.api("GET", "/v1/image/followed/logs?wait=31").status == 422
    assert server.api("GET", "/v1/image/followed/logs?offset=x").status == 422
    assert server.api("GET", "/v1/function/followed/logs").status == 404


def test_a_server_that_is_killed_in_a_build_begins_it_again(server, outside):
    create(server, "killed", "gated\nfine==1.0\n", "base")
    harness.poll(lambda: "Collecting" in log_of(server, "killed"), what="the build")
    server.kill()
    server.start()
    index(outside, "POST", "/gate/gated")
    server.wait_status("image", "killed", timeout_s=60)
    staging_is_empty(server)
    server.function("killed", USES, image="killed")
    assert server.run("killed")["output"] == "1.0"


def test_an_image_goes_on_by_itself_when_the_server_alone_is_killed(server, outside):
    create(server, "goes-on", "fine==1.0\ngated\n", "base")
    harness.poll(lambda: "Collecting" in log_of(server, "goes-on"), what="the build")
    pid = server.server_pid()
    os.kill(pid, signal.SIGKILL)
    harness.poll(lambda: server.server_pid() not in (None, pid), 60, "another server")
    server.wait_ready(60)
    index(outside, "POST", "/gate/gated")
    server.wait_status("image", "goes-on", timeout_s=60)
    staging_is_empty(server)
    server.function("goes-on", USES, image="goes-on")
    assert server.run("goes-on")["output"] == "1.0"


def test_the_client_prints_the_log_and_the_packages(server):
    with open(os.path.join(server.folder, "requirements.txt"), "w", encoding="ascii") as file:
        file.write("fine==2.0\nneeds\n")
    done = server.cli("create", "image", "printed", "base", "--runtime-deps", file.name, "--wait")
    assert done.stdout == "Created image: printed\n"
    assert "Collecting fine==2.0" in done.stderr and "Successfully installed" in done.stderr and "\x1b" not in done.stderr
    assert "Collecting fine==2.0" in server.cli("logs", "image", "printed").stdout
    wide = server.cli("get", "image", "printed", "-o", "wide").stdout
    assert any(line.split("|")[1].split() == ["fine"] for line in wide.splitlines() if line.count("|") == 3)
    bill = json.loads(server.cli("get", "image", "printed", "--sbom").stdout)
    assert bill["bomFormat"] == "CycloneDX" and bill["specVersion"] == "1.5"
    urls = [component.get("purl") for component in bill["components"]]
    assert "pkg:pypi/fine@2.0" in urls and any(url and url.startswith("pkg:deb/") for url in urls)
    done = server.cli("create", "image", "unprinted", "base", "--runtime-deps", file.name, "--wait", "-o", "json")
    assert json.loads(done.stdout)["status"] == "READY"


def test_an_index_out_of_reach_is_a_clear_error(server, outside):
    running = world.WorldServer(outside, options=["--build-env", "PIP_INDEX_URL=http://198.18.0.11:9/simple",
                                                  "--build-env", "PIP_RETRIES=1",
                                                  "--build-env", "PIP_TRUSTED_HOST=198.18.0.11"])
    try:
        running.start()
        reason = failed(running, "offline", "fine\n")
        assert "the index of packages cannot be reached" in reason and "Connection refused" in reason
    finally:
        running.finish()


def test_lists_that_a_language_has_not_are_refused(server):
    """A list whose language has none is refused by name."""
    reply = server.api("POST", "/v1/image", {"name": "nothing", "baseImageName": harness.NATIVE_BASE,
                                             "runtimeDependencies": {"manifest": "x\n"}})
    assert reply.status == 201
    assert "take no runtimeDependencies" in server.wait_status("image", "nothing", "ERROR")["reason"][0]
    reply = server.api("POST", "/v1/image", {"name": "locked", "baseImageName": "base", "runtimeDependencies":
                                             {"manifest": "fine\n", "lock": "x"}})
    assert reply.status == 201
    assert "lock" in server.wait_status("image", "locked", "ERROR")["reason"][0]
