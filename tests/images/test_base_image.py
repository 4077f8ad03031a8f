"""`dispatch-server base-image`: roots of Debian's packages as OCI images."""
import base64
import gzip
import hashlib
import json
import os
import shutil
import signal
import subprocess
import tarfile

import pytest

import debian
import harness
import oci

pytestmark = pytest.mark.slow


def blob(layout, digest):
    with open(os.path.join(layout, "blobs", *digest.split(":")), "rb") as file:
        return file.read()


def manifest_of(layout):
    with open(os.path.join(layout, "index.json"), encoding="utf-8") as file:
        entry = json.load(file)["manifests"][0]
    return entry["digest"], json.loads(blob(layout, entry["digest"]))


@pytest.fixture(scope="module")
def native():
    return debian.layout("native")


@pytest.fixture(scope="module")
def members(native):
    _, manifest = manifest_of(native)
    path = os.path.join(native, "blobs", *manifest["layers"][0]["digest"].split(":"))
    with tarfile.open(path) as tar:
        return {member.name.removeprefix("./"): member for member in tar}


def test_two_runs_give_the_same_digest(native, tmp_path):
    status, output, errors = debian.base_image("native", "--suite", debian.SUITE, "--mirror", debian.MIRROR, "--quiet",
                                               "--output", f"oci:{tmp_path}/again:v1")
    assert status == 0, errors
    digest, _ = manifest_of(native)
    assert output == f"{digest} oci:{tmp_path}/again:v1\n"
    assert manifest_of(str(tmp_path / "again"))[0] == digest


def test_blobs_are_what_they_are_called(native):
    folder = os.path.join(native, "blobs", "sha256")
    for name in os.listdir(folder):
        assert hashlib.sha256(blob(native, f"sha256:{name}")).hexdigest() == name
    _, manifest = manifest_of(native)
    config = json.loads(blob(native, manifest["config"]["digest"]))
    plain = gzip.decompress(blob(native, manifest["layers"][0]["digest"]))
    assert config["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(plain).hexdigest()]


def test_image_runs_as_a_user_and_says_what_it_is(native):
    _, manifest = manifest_of(native)
    config = json.loads(blob(native, manifest["config"]["digest"]))
    assert config["os"] == "linux"
    assert config["config"]["User"] == "1000:1000"
    assert any(line.startswith("PATH=/usr/local/sbin:") for line in config["config"]["Env"])
    assert config["config"]["Labels"]["io.dispatchframework.language"] == "native"
    assert config["config"]["Labels"]["io.dispatchframework.suite"] == debian.SUITE
    assert config["config"]["Cmd"] == ["/bin/sh"]


def test_nothing_of_this_machine_or_moment_is_in_it(members, native):
    _, manifest = manifest_of(native)
    config = json.loads(blob(native, manifest["config"]["digest"]))
    for name in ("etc/hostname", "etc/resolv.conf", "etc/machine-id", "var/cache/ldconfig/aux-cache"):
        assert name not in members
    assert not [name for name in members if name.startswith(("var/log/", "var/lib/apt/lists/deb", "var/cache/apt/archives/p"))
                and members[name].isfile()]
    assert not [name for name, member in members.items() if member.isdev()]
    newest = max(member.mtime for member in members.values())
    made = subprocess.run(["date", "-d", config["created"], "+%s"], capture_output=True, text=True, check=True).stdout
    assert newest <= int(made)


def test_apt_and_the_manifests_packages_are_in_it(members):
    for name in ("usr/bin/apt-get", "usr/bin/dpkg", "etc/apt/sources.list", "usr/bin/mawk", "bin/dash"):
        assert name in members or f"usr/{name}" in members
    assert members["usr/bin/passwd"].mode & 0o4000, "owners and modes are the packages' own"
    assert members["etc/shadow"].gid == 42


def test_skopeo_takes_it_into_an_archive(native, tmp_path):
    copied = subprocess.run(["skopeo", "--insecure-policy", "copy", "--quiet", f"oci:{native}:latest",
                             f"oci-archive:{tmp_path}/image.tar:latest"], capture_output=True, text=True, check=False)
    assert copied.returncode == 0, copied.stderr


@pytest.mark.parametrize("arguments, said", [
    ([], "name one language"),
    (["nonesuch"], "there is no runtime for 'nonesuch': it can be one of "),
    (["native", "--suite", "Book worm"], "--suite takes a codename such as bookworm"),
    (["native", "--output", "/tmp/x"], "--output takes oci:FOLDER, oci-archive:FILE or docker://REFERENCE"),
    (["native", "--nonesuch"], "unrecognized option '--nonesuch'"),
])
def test_a_mistake_is_one_line(arguments, said):
    status, output, errors = debian.base_image(*arguments)
    assert (status, output) == (2, "")
    assert said in errors and errors.count("\n") == 1


def test_a_release_that_does_not_exist_leaves_nothing(tmp_path):
    debian.need()
    status, output, errors = debian.base_image("native", "--suite", "nonesuch", "--mirror", debian.MIRROR, "--output",
                                               f"oci:{tmp_path}/image")
    assert (status, output) == (1, "")
    assert "the release 'nonesuch' at " in errors and "404" in errors
    assert os.listdir(tmp_path) == []


def test_a_package_that_is_missing_is_apts_own_error(tmp_path):
    """A mirror that has the release, without the packages of the manifest."""
    debian.need()
    status, _, errors = debian.base_image("python3", "--suite", debian.SUITE, "--quiet", "--mirror",
                                          f"deb {debian.MIRROR} {debian.SUITE} non-free-firmware", "--output",
                                          f"oci:{tmp_path}/image")
    assert status == 1
    assert "mmdebstrap: " in errors
    assert os.listdir(tmp_path) == []


def test_a_bad_epoch_is_refused(tmp_path):
    status, _, errors = debian.base_image("native", "--suite", debian.SUITE, "--output", f"oci:{tmp_path}/image",
                                          SOURCE_DATE_EPOCH="yesterday")
    assert (status, errors) == (2, "base-image: SOURCE_DATE_EPOCH is 'yesterday', not a number of seconds\n")


# Where it goes. A root of Debian takes a minute, which is not what is looked at here.


@pytest.fixture
def quick(tmp_path, monkeypatch):
    """An mmdebstrap that brings one file at once."""
    root = tmp_path / "bin" / "root.tar"
    root.parent.mkdir()
    root.write_bytes(oci.tar(oci.folder("etc"), oci.member("etc/made", "quickly")))
    program = root.parent / "mmdebstrap"
    program.write_text(f"#!/bin/sh\nexec cat {root}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{root.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()

    def make(destination, *more):
        done = debian.base_image("native", "--suite", debian.SUITE, "--output", destination, *more, SOURCE_DATE_EPOCH="1")
        assert os.listdir(tmp_path / "temporary") == []
        return done
    return make


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_that_is_ended_leaves_nothing(tmp_path, number):
    """An mmdebstrap that is in the middle of its work, with a child that holds the folder."""
    program, temporary = tmp_path / "bin" / "mmdebstrap", tmp_path / "temporary"
    program.parent.mkdir()
    temporary.mkdir()
    # As the real one: it waits for its worker, which alone cleans up.
    program.write_text("""#!/bin/sh
trap : TERM
(root=$(mktemp -d "$TMPDIR/mmdebstrap.XXXXXX"); trap 'rm -r "$root"; kill $waits; exit 1' TERM; sleep 1000 & waits=$!; echo begun >&2; wait) &
worker=$!
while kill -0 $worker 2>/dev/null; do wait $worker; done
""")
    program.chmod(0o755)
    environment = harness.clean_environment(PATH=f"{program.parent}:{os.environ['PATH']}", TMPDIR=str(temporary), SOURCE_DATE_EPOCH="1")
    with subprocess.Popen([os.path.join(harness.BUILD, "dispatch-server"), "base-image", "native", "--suite", "bookworm", "--output",
                           f"oci:{tmp_path}/made"], env=environment, stderr=subprocess.PIPE, text=True,
                          preexec_fn=lambda: signal.signal(number, signal.SIG_DFL)) as running:  # a background job ignores SIGINT
        assert running.stderr.readline() == "begun\n"
        assert len(os.listdir(temporary)) == 1
        running.send_signal(number)
        said = running.stderr.read()
    assert (running.returncode, said) == (1, f"base-image: ended by signal {int(number)}\n")
    assert os.listdir(temporary) == [] and sorted(os.listdir(tmp_path)) == ["bin", "temporary"]


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    running = oci.Registry(tmp_path_factory.mktemp("registry"), user=("ann", "pass-of-ann"), tls=True)
    yield running
    running.finish()


def auth_file(path, registry, password):
    word = base64.b64encode(f"ann:{password}".encode()).decode()
    path.write_text(json.dumps({"auths": {registry.name: {"auth": word}}}))
    return str(path)


@pytest.mark.parametrize("given", ["file", "folder"])
def test_a_registry_with_tls_and_a_password_gets_it(quick, locked, tmp_path, given):
    authority = os.path.join(locked.path, "ca.crt")
    if given == "folder":
        (tmp_path / "trusted").mkdir()
        authority = os.path.dirname(shutil.copy(authority, tmp_path / "trusted" / "ours.pem"))
    status, output, errors = quick(f"docker://{locked.name}/{given}/base:1", "--registry-ca", authority, "--authfile",
                                   auth_file(tmp_path / "auth.json", locked, "pass-of-ann"))
    assert status == 0, errors
    status, headers, _ = locked.call("GET", f"/v2/{given}/base/manifests/1",
                                     headers={"Accept": "application/vnd.oci.image.manifest.v1+json"})
    assert (status, headers["Docker-Content-Digest"]) == (200, output.split()[0])


def test_a_registry_that_does_not_take_it_says_what_helps(quick, locked, tmp_path):
    to, trusted = f"docker://{locked.name}/a/b", ["--registry-ca", os.path.join(locked.path, "ca.crt")]
    plain = oci.Registry(tmp_path / "plain")
    try:
        for destination, options, said in (
                (to, [], "; --registry-ca names one to trust"),
                (to, trusted, "; --authfile has the credentials"),
                (to, [*trusted, "--authfile", auth_file(tmp_path / "auth.json", locked, "guess")], "; --authfile has the credentials"),
                (f"docker://{plain.name}/a/b", [], "; --insecure is for a registry without TLS"),
                (f"docker://127.0.0.1:{harness.free_port()}/a/b", trusted, "connection refused")):
            status, output, errors = quick(destination, *options)
            assert (status, output) == (1, "") and errors.startswith(f"base-image: skopeo copy to {destination}: "), errors
            assert errors.endswith(said + "\n") and errors.count("\n") == 1, errors
    finally:
        plain.finish()


@pytest.mark.parametrize("options, said", [
    (["--registry-ca", "/nowhere"], "--registry-ca: open /nowhere"),
    (["--registry-ca", "/etc/hostname"], "--registry-ca: /etc/hostname has no certificates"),
    (["--authfile", "/nowhere"], "--authfile: open /nowhere: No such file or directory"),
])
def test_credentials_are_looked_at_first(quick, options, said):
    status, output, errors = quick("docker://127.0.0.1:1/a", *options)
    assert (status, output) == (2, "") and said in errors and errors.count("\n") == 1, errors


def test_an_archive_is_what_a_layout_is(quick, tmp_path):
    digests = {quick(destination)[1].split()[0] for destination in (f"oci:{tmp_path}/layout", f"oci-archive:{tmp_path}/image.tar:v1")}
    looked = subprocess.run(["skopeo", "inspect", f"oci-archive:{tmp_path}/image.tar:v1"], capture_output=True, text=True, check=True)
    assert digests == {json.loads(looked.stdout)["Digest"]}
