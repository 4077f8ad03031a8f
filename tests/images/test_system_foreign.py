"""System dependencies on base images that are no built-in ones: Debian's, as `dispatch-server base-image` makes it, with a
repository of its own in it, whose packages mean harm; and one that is neither Debian nor Ubuntu."""
import gzip
import hashlib
import io
import json
import os
import pathlib
import shutil
import subprocess
import tarfile
import tempfile

import pytest

import containers
import debian
import harness
import oci

pytestmark = [pytest.mark.slow, pytest.mark.skipif(debian.missing_host() is not None, reason=str(debian.missing_host()))]

# What a package's script may try; each line that begins with "found" is one that it should not have come to.
EVIL = """#!/bin/sh
exec >>/usr/share/evil/found 2>/dev/null
chroot / true && echo found chroot
mount -t tmpfs none /mnt && echo found mount
unshare -U true && echo found a user namespace
mknod /usr/share/evil/disk b 7 0 && echo found a device
ls /proc/1/root/etc && echo found the root of init
cat /etc/shadow- /var/lib/dispatch/server/secret.key && echo found the host
(exec 3<>/dev/tcp/127.0.0.1/22) && echo found the host\\'s network
mkfifo /usr/share/evil/pipe
cp /bin/true /usr/share/evil/root && chown 0:0 /usr/share/evil/root && chmod 6755 /usr/share/evil/root
ln -s /etc/passwd /usr/share/evil/link
ln /usr/share/evil/root /usr/share/evil/again
rm -rf /usr/share/base-files
setsid sleep 1000 &
kill -9 1
exit 0
"""


def deb(folder, name, version, script=None, files=()):
    """A package; its entry for the repository's index."""
    root = folder / f"{name}-{version}"
    (root / "DEBIAN").mkdir(parents=True)
    control = f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: Nobody <nobody@example.com>\nDescription: test\n"
    (root / "DEBIAN/control").write_text(control)
    if script:
        (root / "DEBIAN/postinst").write_text(script)
        (root / "DEBIAN/postinst").chmod(0o755)
    for path, content in files:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    out = folder / f"{name}_{version}_all.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", str(root), str(out)], check=True, capture_output=True)
    content = out.read_bytes()
    return out.name, content, control + f"Filename: ./{out.name}\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n\n"


def repository(folder):
    folder.mkdir()
    packages = [deb(folder, "evil", "1.0", EVIL, [("usr/share/evil/file", "evil\n")]),
                deb(folder, "good", "1.0", None, [("usr/share/good/version", "1.0\n")]),
                deb(folder, "good", "2.0", None, [("usr/share/good/version", "2.0\n")]),
                deb(folder, "broken", "1.0", "#!/bin/sh\necho this one cannot be configured >&2\nexit 3\n"),
                deb(folder, "huge", "1.0", "#!/bin/sh\ndd if=/dev/zero of=/huge bs=1M 2>&1\n")]
    return oci.tar(oci.folder("repo"), *(oci.member(f"repo/{name}", content) for name, content, _ in packages),
                   oci.member("repo/Packages", "".join(entry for _, _, entry in packages)), oci.folder("etc"), oci.folder("etc/apt"),
                   oci.member("etc/apt/sources.list", "deb [trusted=yes] file:/repo ./\n"))


def layer_of(layout):
    """The plain tar of a layout with one layer."""
    def blob(digest):
        with open(os.path.join(layout, "blobs", *digest.split(":")), "rb") as file:
            return file.read()
    with open(os.path.join(layout, "index.json"), encoding="utf-8") as file:
        manifest = json.loads(blob(json.load(file)["manifests"][0]["digest"]))
    return gzip.decompress(blob(manifest["layers"][0]["digest"]))


@pytest.fixture(scope="module")
def server():
    options = subprocess.run([os.path.join(harness.BUILD, "dispatch-server"), "--options-markdown"], capture_output=True, text=True,
                             check=True).stdout
    if "--image-folders" not in options:
        pytest.skip("this server takes no base images from disk")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="dispatch-images-"))  # below a folder that everybody may enter
    folder.chmod(0o755)
    oci.Image(layer_of(debian.layout("native")), repository(folder / "build")).layout(folder / "debian")
    oci.Image(oci.tar(oci.folder("bin"), oci.member("bin/sh", b"\x7fELF", 0o755))).layout(folder / "bare")
    running = harness.Server(options=["--image-folders", str(folder), "--build-disk-mib", "512"])
    try:
        running.start()
        for name in ("debian", "bare"):
            reply = running.api("POST", "/v1/baseimage", {"name": name, "dockerUrl": f"oci:{folder}/{name}:latest",
                                                          "language": "native"})
            assert reply.status == 201, reply
        running.wait_status("baseimage", "debian", timeout_s=120)
        yield running
    finally:
        running.finish()
        shutil.rmtree(folder)


def create(server, name, packages, base="debian"):
    reply = server.api("POST", "/v1/image", {"name": name, "baseImageName": base, "systemDependencies": {"packages": packages}})
    assert reply.status == 201, reply


def made(server, name, packages):
    create(server, name, packages)
    layers = server.wait_status("image", name, timeout_s=120)["backingObject"]["layers"]
    return os.path.join(server.state, "layers", layers[-1])


def failed(server, name, packages, base="debian"):
    create(server, name, packages, base)
    return "\n".join(server.wait_status("image", name, "ERROR", timeout_s=120)["reason"])


def staging_is_empty(server):
    return harness.poll(lambda: not os.listdir(os.path.join(server.state, "staging")), what="an empty staging folder")


def test_a_version_that_is_asked_for_is_the_one(server):
    for version in ("1.0", "2.0"):
        layer = made(server, f"good-{version[0]}", [{"name": "good", "version": version}])
        with open(os.path.join(layer, "usr/share/good/version"), encoding="utf-8") as file:
            assert file.read() == f"{version}\n"
    server.function("good", {"go": "#!/bin/sh\ncat /usr/share/good/version\n"}, image="good-2", handler="./go")
    assert "2.0" in str(server.run("good")["output"])


def test_a_hostile_package_leaves_nothing_but_files(server):
    layer = made(server, "evil", [{"name": "evil"}])
    staging_is_empty(server)  # it held a hard link of what has several
    with open(os.path.join(layer, "usr/share/evil/found"), encoding="utf-8") as file:
        assert file.read() == ""
    status = os.lstat(os.path.join(layer, "usr/share/evil/root"))
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (0, 0, 0o755)
    assert status.st_nlink == 2
    assert os.getxattr(os.path.join(layer, "usr/share/evil/root"), "user.dispatch.owner") == b"0:0:6755"
    assert os.readlink(os.path.join(layer, "usr/share/evil/link")) == "/etc/passwd"
    for name in ("pipe", "disk"):
        assert not os.path.lexists(os.path.join(layer, "usr/share/evil", name))


def test_an_export_has_owners_and_modes_as_the_packages_do(server, tmp_path):
    made(server, "evil-too", [{"name": "evil"}])
    server.function("evil", {"go": "#!/bin/sh\necho 1\n"}, image="evil-too", handler="./go")
    server.cli("export", "function", "evil", f"oci:{tmp_path}/layout", timeout_s=120)
    found = []
    for layer in containers.Layout(tmp_path / "layout").layers()[1:]:
        with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
            found += [(each.uid, each.gid, each.mode) for each in archive if each.name == "usr/share/evil/root"]
    assert found == [(0, 0, 0o6755)]


@pytest.mark.parametrize("package, said", [
    ("broken", "apt-get: dpkg: error processing package broken"),
    ("missing", "Unable to locate package missing"),
])
def test_the_tools_own_error_is_the_reason(server, package, said):
    assert said in failed(server, package, [{"name": package}])
    staging_is_empty(server)


def test_the_disk_of_a_build_is_bounded(server):
    create(server, "huge", [{"name": "huge"}])
    reason = "\n".join(server.wait_status("image", "huge", "ERROR", timeout_s=120)["reason"])
    assert "apt-get: dpkg: error processing package huge" in reason
    staging_is_empty(server)


def test_an_image_without_apt_says_so(server):
    server.wait_status("baseimage", "bare", timeout_s=60)
    assert "the base image has no apt-get" in failed(server, "bare", [{"name": "good"}], base="bare")
