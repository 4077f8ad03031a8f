"""System dependencies: Debian's packages on the built-in image, by the real mmdebstrap and apt-get from Debian's mirror,
in the sandbox that they have everywhere. What a hostile package could do is in tests/unit/sandbox/test_root.c."""
import glob
import json
import os
import re
import subprocess

import pytest

import debian
import harness

pytestmark = [pytest.mark.slow, pytest.mark.skipif(debian.missing_host() is not None, reason=str(debian.missing_host()))]

USES = """
import ctypes, os, subprocess
def handle(ctx, payload):
    yaml = ctypes.CDLL("libyaml-0.so.2")
    yaml.yaml_get_version_string.restype = ctypes.c_char_p
    jq = subprocess.run(["jq", "-c", ".a"], input='{"a":[1,2]}', capture_output=True, text=True, check=True).stdout
    return {"yaml": yaml.yaml_get_version_string().decode(), "jq": jq, "uid": os.getuid()}
"""


@pytest.fixture(scope="module")
def server():
    running = harness.Server()
    try:
        running.start()
        create(running, "tools", [{"name": "libyaml-0-2"}, {"name": "jq"}])
        running.wait_status("image", "tools", timeout_s=300)
        yield running
    finally:
        running.finish()


def create(server, name, packages, wanted=201):
    reply = server.api("POST", "/v1/image", {"name": name, "baseImageName": harness.PYTHON_BASE,
                                             "systemDependencies": {"packages": packages}})
    assert reply.status == wanted, reply
    return reply


def layers_of(server, name):
    return server.api("GET", f"/v1/image/{name}").json["backingObject"]["layers"]


def failed(server, name, packages):
    create(server, name, packages)
    return "\n".join(server.wait_status("image", name, "ERROR", timeout_s=120)["reason"])


def staging_is_empty(server):
    return harness.poll(lambda: not os.listdir(os.path.join(server.state, "staging")), what="an empty staging folder")


def test_function_uses_a_library_and_a_program(server):
    server.function("uses", USES, image="tools")
    output = server.run("uses")["output"]
    assert output["jq"] == "[1,2]\n" and output["yaml"].startswith("0.2.") and output["uid"] == 1000
    staging_is_empty(server)


def test_layers_are_a_root_of_the_host_s_release_and_the_packages(server):
    root, packages = layers_of(server, "tools")
    assert root.startswith("debroot-python3-") and packages.startswith("system-")
    folder = os.path.join(server.state, "layers", packages)
    assert os.path.exists(os.path.join(folder, "usr/bin/jq"))
    odd = [os.path.join(at, name) for at, folders, files in os.walk(folder) for name in folders + files
           if (status := os.lstat(os.path.join(at, name))).st_uid != 0 or status.st_gid != 0
           or (not os.path.islink(os.path.join(at, name)) and status.st_mode & 0o7000)]
    assert odd == []
    for gone in ("var/lib/apt/dispatch-lists", "var/cache/apt/dispatch-archives", "usr/sbin/policy-rc.d", "etc/resolv.conf",
                 "tmp", "dev", "proc", "run"):
        assert not os.path.lexists(os.path.join(folder, gone)), gone
    assert glob.glob(os.path.join(folder, "var/log/**/*.log"), recursive=True) == []


def test_log_and_catalogue_say_what_was_installed(server):
    text = server.api("GET", "/v1/image/tools/logs").json["text"]
    assert "Setting up jq" in text and "installing essential packages" in text
    found = {p["name"]: p for p in server.api("GET", "/v1/image/tools/packages").json["packages"] if p["type"] == "deb"}
    assert found["jq"]["from"] == "image" and found["libjq1"]["from"] == "image" and found["jq"]["version"]
    assert found["python3"]["from"] == "base"


def test_origin_of_a_package_goes_with_its_layer(server):
    create(server, "shared", [{"name": "jq"}, {"name": "libyaml-0-2"}])
    server.wait_status("image", "shared")
    for name in ("tools", "shared"):
        found = {p["name"]: p for p in server.api("GET", f"/v1/image/{name}/packages").json["packages"] if p["type"] == "deb"}
        for package in ("jq", "libjq1"):
            assert re.fullmatch(rf"https?://\S+/pool/(updates/)?main/j/jq/{package}_\S+\.deb", found[package]["origin"]), found[package]
        assert "origin" not in found["python3"]
    origin = found["jq"]["origin"]
    bill = json.loads(server.cli("get", "image", "shared", "--sbom").stdout)
    assert [c["externalReferences"] for c in bill["components"] if c["name"] == "jq"] == [[{"type": "distribution", "url": origin}]]
    wide = server.cli("get", "image", "shared", "-o", "wide").stdout
    assert "ORIGIN" in wide and origin in wide


def test_same_packages_in_any_order_are_the_same_layer(server):
    create(server, "again", [{"name": "jq"}, {"name": "libyaml-0-2"}, {"name": "jq", "version": ""}])
    server.wait_status("image", "again")
    assert layers_of(server, "again") == layers_of(server, "tools")
    assert server.api("GET", "/v1/image/again/logs").json["text"] == ""


def test_layer_that_is_made_again_has_the_same_files(server):
    def content(layer):
        command = "find . -mindepth 1 -printf '%p %y %m %U %G %l ' \\( -type f -printf '%s %T@ ' -exec sha256sum {} \\; -o -printf '\\n' \\) | LC_ALL=C sort"
        return subprocess.run(["sh", "-c", command], cwd=os.path.join(server.state, "layers", layer), capture_output=True,
                              text=True, check=True).stdout
    root, layer = layers_of(server, "tools")
    before = content(layer)
    os.rename(os.path.join(server.state, "layers", layer), os.path.join(server.state, "layers", f"{layer}.old"))
    create(server, "remade", [{"name": "jq"}, {"name": "libyaml-0-2"}])
    server.wait_status("image", "remade", timeout_s=120)
    assert layers_of(server, "remade") == [root, layer]
    assert content(layer) == before and "usr/bin/jq" in before


@pytest.mark.parametrize("packages, said", [
    ([{"name": "nonesuch-package"}], "apt-get: Unable to locate package nonesuch-package"),
    ([{"name": "jq", "version": "99.9"}], "apt-get: Version '99.9' for 'jq' was not found"),
    ([{"name": "jq"}, {"name": "jq", "version": "1"}], "system dependencies name 'jq' with two versions"),
])
def test_what_cannot_be_installed_is_apts_own_error(server, name, packages, said):
    assert said in failed(server, name, packages)
    staging_is_empty(server)
    assert len(glob.glob(os.path.join(server.state, "layers", "system-*"))) <= 2


def test_client_takes_the_file_of_packages(server, tmp_path):
    (tmp_path / "system.json").write_text(json.dumps({"packages": [{"name": "libyaml-0-2"}, {"name": "jq"}]}))
    server.cli("create", "image", "by-file", harness.PYTHON_BASE, "--system-deps", str(tmp_path / "system.json"), "--wait")
    assert layers_of(server, "by-file") == layers_of(server, "tools")


def test_a_build_that_is_deleted_leaves_nothing(server):
    create(server, "gone", [{"name": "libgdal32"}])
    harness.poll(lambda: "Fetched" in server.api("GET", "/v1/image/gone/logs").json["text"], timeout_s=60, what="apt-get at work")
    assert server.api("DELETE", "/v1/image/gone").status in (200, 202, 204)
    staging_is_empty(server)
    def devices():
        return subprocess.run(["losetup", "--list", "--noheadings", "--output", "BACK-FILE"], capture_output=True, text=True,
                              check=False).stdout
    # The kernel frees a device once whatever has it open for a moment (udev, blkid) is through.
    harness.poll(lambda: server.state not in devices(), what="no loop device")
