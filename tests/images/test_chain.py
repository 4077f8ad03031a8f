"""The whole way: a base image of Debian's packages in a registry with TLS and a password, packages of PyPI, npm and Maven on
it, functions whose sources are in an object store, called by API and endpoint; and the same functions elsewhere, as exported
images that crun runs from a layout and podman from the registry."""
import base64
import concurrent.futures
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import uuid

import pytest

import debian
import harness
import oci
import s3
import test_deps_real
from containers import Container, Layout, Podman, need

pytestmark = [pytest.mark.slow, pytest.mark.skipif(debian.missing() is not None, reason=str(debian.missing()))]
USER = ("ann", "pass-of-ann")


class Case:
    def __init__(self, language, files, payload, why_not, locked=None, **lists):
        self.language, self.files, self.payload, self.why_not = language, files, payload, why_not
        self.lists, self.locked = lists, locked

    def write(self, folder):
        """Its lists of packages as files; the path of the manifest."""
        os.makedirs(folder, exist_ok=True)
        names = {"requirements": "requirements.txt", "package": "package.json", "lock": "package-lock.json", "pom": "pom.xml"}
        for kind, text in self.lists.items():
            with open(os.path.join(folder, names[kind]), "w", encoding="utf-8") as file:
                file.write(text)
        return os.path.join(folder, names[next(iter(self.lists))])


PYTHON = {"handler.py": """import numpy, requests
def handle(context, payload):
    asked = requests.Request("GET", "http://example.org/", params={"n": payload["n"]}).prepare()
    return {"sum": int(numpy.arange(payload["n"]).sum()), "url": asked.url, "versions": [numpy.__version__, requests.__version__]}
"""}
NODE = {"handler.js": """const _ = require('lodash');
const { v5 } = require('uuid');
module.exports = (context, payload) => ({ sum: _.sum(_.range(payload.n)), id: v5('dispatch', v5.URL), version: _.VERSION });
"""}
JAVA = {"Handler.java": """import java.util.Map;
import java.util.TreeMap;
import java.util.function.BiFunction;
import org.apache.commons.lang3.StringUtils;
public class Handler implements BiFunction<Map<String, Object>, Map<String, Object>, Object> {
    @Override
    public Object apply(Map<String, Object> context, Map<String, Object> payload) {
        Map<String, Object> reply = new TreeMap<>();
        reply.put("reversed", StringUtils.reverse(String.valueOf(payload.get("text"))));
        reply.put("java", System.getProperty("java.vm.name"));
        return reply;
    }
}
"""}
WANTED = {"lodash": "^4.17.20", "uuid": "^9.0.0"}
PACKAGE = {"name": "app", "version": "1.0.0", "dependencies": WANTED}
LOCK = {"name": "app", "version": "1.0.0", "lockfileVersion": 3, "requires": True, "packages": {
    "": PACKAGE,
    "node_modules/lodash": {
        "version": "4.17.20", "resolved": "https://registry.npmjs.org/lodash/-/lodash-4.17.20.tgz",
        "integrity": "sha512-PlhdFcillOINfeV7Ni6oF1TAEayyZBoZ8bcshTHqOYJYlrqzRK5hagpagky5o4HfCzzd1TRkXPMFq6cKk9rGmA=="},
    "node_modules/uuid": {
        "version": "9.0.0", "resolved": "https://registry.npmjs.org/uuid/-/uuid-9.0.0.tgz",
        "integrity": "sha512-MXcSTerfPa4uqyzStbRoTgt5XIe3x5+42+q1sDuy3R5MDk66URdLMOZe5aPX/SQd+kuYAh0FdP/pO28IkQyTeg=="}}}
NO_JAVA = None if os.path.exists(os.path.join(harness.BUILD, "runtimes/java/agent.jar")) else "no agent for java in this build"
CASES = {
    "python3": Case("python3", PYTHON, {"n": 5}, test_deps_real.PYPI, requirements="requests\nnumpy\n"),
    "nodejs": Case("nodejs", NODE, {"n": 5}, test_deps_real.NPM, package=json.dumps(PACKAGE)),
    "nodejs-locked": Case("nodejs", NODE, {"n": 5}, test_deps_real.NPM, locked="4.17.20", package=json.dumps(PACKAGE),
                          lock=json.dumps(LOCK)),
    "java": Case("java", JAVA, {"text": "abc"}, NO_JAVA or test_deps_real.MAVEN, pom=test_deps_real.POM),
}


@pytest.fixture(scope="module")
def disk():
    """A folder that the server's user can read."""
    folder = tempfile.mkdtemp(prefix="dispatch-chain-")
    os.chmod(folder, 0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def registry(disk, tmp_path_factory):
    need("docker-registry", "skopeo")
    running = oci.Registry(tmp_path_factory.mktemp("registry"), user=USER, tls=True)
    running.authority = shutil.copy(os.path.join(running.path, "ca.crt"), disk)
    running.auth_file = os.path.join(disk, "auth.json")
    with open(running.auth_file, "w", encoding="ascii") as file:
        json.dump({"auths": {running.name: {"auth": base64.b64encode(":".join(USER).encode()).decode()}}}, file)
    os.chmod(running.authority, 0o644)
    yield running
    running.finish()


class Bases:
    """Base images by `dispatch-server base-image`, two at a time: each into the registry, and some into an archive as well."""

    def __init__(self, registry, disk):
        self.registry, self.disk = registry, disk
        self.pool = concurrent.futures.ThreadPoolExecutor(2)
        languages = ["python3", "nodejs", *(["java"] if NO_JAVA is None else [])]
        self.pushes = {language: self.pool.submit(self.push, language) for language in languages}
        self.archives = {language: self.pool.submit(self.again, language) for language in languages if language != "python3"}

    def reference(self, language):
        return f"{self.registry.name}/dispatch/{language}-base:1"

    def archive(self, language):
        return f"oci-archive:{self.disk}/{language}.tar:again"

    def make(self, language, destination, *more):
        status, output, errors = debian.base_image(language, "--suite", debian.SUITE, "--mirror", debian.MIRROR, "--quiet",
                                                   "--output", destination, *more)
        assert (status, errors) == (0, ""), errors
        digest, where = output.split()
        assert where == destination
        return digest

    def push(self, language):
        return self.make(language, "docker://" + self.reference(language), "--authfile", self.registry.auth_file,
                         "--registry-ca", self.registry.authority)

    def again(self, language):
        return self.make(language, self.archive(language))

    def pushed(self, language):
        """Its digest, once it is in the registry."""
        return self.pushes[language].result()

    def archived(self, language):
        return self.archives[language].result()


@pytest.fixture(scope="module")
def bases(registry, disk):
    made = Bases(registry, disk)
    yield made
    made.pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def kept_in(storage, folder):
    """Options of a server for one kind of store."""
    if storage == "file":
        yield []
        return
    store = s3.Store(str(folder))
    try:
        yield store.start().minio()
    finally:
        store.stop()


class Chain(harness.Server):
    """A server that makes each case's function once."""

    def __init__(self, storage, bases, options):
        registry = bases.registry
        super().__init__(options=["--registry-local", registry.name, "--registry-ca", registry.authority, "--registry-auth-file",
                                  registry.auth_file, "--image-registry", registry.name + "/functions", "--image-folders",
                                  bases.disk, *options])
        self.storage, self.bases, self.cases = storage, bases, {}

    def base(self, language):
        """From the registry, by the server's credentials or a secret's; where sources are files, from the archive."""
        self.bases.pushed(language)
        reference, secret = self.bases.reference(language), ["--registry-secret", "registry"] if language == "python3" else []
        if self.storage == "file":
            self.bases.archived(language)
            reference = self.bases.archive(language)
        name = f"{language}-base"
        if self.api("GET", f"/v1/baseimage/{name}").status == 404:
            self.cli("create", "base-image", name, reference, "--language", language, "--wait", *secret, timeout_s=240)
        return self.wait_status("baseimage", name)

    def case(self, key):
        """The name of its function, which is READY."""
        case = CASES[key]
        if case.why_not is not None:
            pytest.skip(case.why_not)
        if key not in self.cases:
            self.base(case.language)
            manifest = case.write(os.path.join(self.folder, key))
            self.cli("create", "image", key, f"{case.language}-base", "--runtime-deps", manifest, "--wait", timeout_s=240)
            self.cases[key] = self.function(key, case.files, image=key, **({"handler": "Handler"} if key == "java" else {}))
            self.endpoint(key, key, uris=["/" + key], methods=["POST"])
        return case


@contextlib.contextmanager
def serving(storage, bases, folder):
    with kept_in(storage, folder) as options:
        running = Chain(storage, bases, options)
        try:
            secret = {"name": "registry", "secrets": dict(zip(("username", "password"), USER))}
            assert running.start().api("POST", "/v1/secret", secret).status == 201
            yield running
        finally:
            running.finish()


@pytest.fixture(scope="module")
def server(bases, tmp_path_factory):
    with serving("minio", bases, tmp_path_factory.mktemp("objects")) as running:
        yield running


@pytest.fixture(scope="module")
def from_disk(bases, tmp_path_factory):
    """Sources are files, and base images come from archives."""
    with serving("file", bases, tmp_path_factory.mktemp("files")) as running:
        yield running


EACH = pytest.mark.parametrize("key", list(CASES))
EACH_LANGUAGE = pytest.mark.parametrize("key", [key for key in CASES if key != "nodejs-locked"])
JSON = ("-H", "Content-Type: application/json", "-d")


def registry_manifest(registry, repository, tag):
    """Its digest, and the manifest."""
    status, headers, body = registry.call("GET", f"/v2/{repository}/manifests/{tag}",
                                          headers={"Accept": "application/vnd.oci.image.manifest.v1+json"})
    assert status == 200, body
    return headers["Docker-Content-Digest"], json.loads(body)


def reply(server, key):
    """What the function says here: by the API and by its endpoint alike."""
    case = server.case(key)
    output = server.run(key, case.payload)["output"]
    answer = server.gateway("POST", "/" + key, case.payload)
    assert answer.status == 200 and answer.json == output, answer
    return output


@EACH
def test_it_answers_here_with_packages_of_its_registry(server, key):
    case, output = server.case(key), reply(server, key)
    if case.language == "python3":
        assert (output["sum"], output["url"]) == (10, "http://example.org/?n=5")
    elif case.language == "nodejs":
        assert (output["sum"], output["id"]) == (10, str(uuid.uuid5(uuid.NAMESPACE_URL, "dispatch")))
        assert (output["version"] == case.locked) == bool(case.locked)
    else:
        assert output["reversed"] == "cba"
    assert server.cases[key]["sourceURL"].startswith("minio://")


def test_a_base_image_with_another_password_is_refused(server, bases):
    """That of its secret counts, though the server's own would do."""
    bases.pushed("python3")
    secret = {"name": "wrong", "secrets": {"username": USER[0], "password": "guess"}}
    assert server.api("POST", "/v1/secret", secret).status == 201
    body = {"name": "refused", "dockerUrl": bases.reference("python3"), "language": "python3", "registrySecret": "wrong"}
    assert server.api("POST", "/v1/baseimage", body).status == 201
    assert "not authorised" in server.wait_status("baseimage", "refused", "ERROR", timeout_s=120)["reason"][0]


@EACH_LANGUAGE
def test_its_bill_of_materials_is_valid_and_names_all(server, key):
    wanted = {"python3": ["pkg:pypi/requests@", "pkg:pypi/numpy@"], "nodejs": ["pkg:npm/lodash@", "pkg:npm/uuid@"],
              "java": ["pkg:maven/org.apache.commons/commons-lang3@3.14.0"]}[server.case(key).language]
    text = server.cli("get", "image", key, "--sbom").stdout
    assert not [each for each in [*wanted, "pkg:deb/debian/libc6@"] if each not in text]
    test_deps_real.bill_is_valid(text)


@EACH
def test_crun_runs_what_was_exported_to_a_layout(server, key, tmp_path):
    here = reply(server, key)
    server.cli("export", "function", key, f"oci:{tmp_path}/layout", timeout_s=240)
    layout = Layout(tmp_path / "layout")
    base = registry_manifest(server.bases.registry, f"dispatch/{CASES[key].language}-base", "1")[1]
    assert layout.manifest["layers"][0]["digest"] == base["layers"][0]["digest"], "the base's layer is as it came"
    container = Container(layout, tmp_path / "c", name="chain")
    try:
        status, body = container.wait().curl("/", *JSON, json.dumps(CASES[key].payload))
        assert status == 200 and json.loads(body) == here, container.said()
        assert container.terminate() == 0, container.said()
    finally:
        container.finish()


def test_it_answers_with_its_source_in_a_file_and_its_base_from_an_archive(from_disk):
    assert reply(from_disk, "nodejs")["sum"] == 10
    assert from_disk.cases["nodejs"]["sourceURL"].startswith("file://")


@EACH_LANGUAGE
def test_podman_runs_what_was_pushed_to_the_registry(server, key, registry):
    here = reply(server, key)
    said = server.cli("export", "function", key, f"docker://{registry.name}/exported/{key}:v1", "--registry-secret", "registry",
                      timeout_s=240).stdout
    digest = registry_manifest(registry, f"exported/{key}", "v1")[0]
    assert digest in said

    def pushed():
        return server.api("GET", f"/v1/function/{key}").json["functionImageURL"].partition("@")[2]
    assert harness.poll(pushed, 300, "the push by itself") == digest
    podman = Podman()
    try:
        podman.start(f"docker://{registry.name}/exported/{key}:v1", "--authfile", registry.auth_file, "--cert-dir",
                     registry.certificates)
        assert json.loads(podman.curl("/", *JSON, json.dumps(CASES[key].payload))) == here
        assert podman.stop() == 0
    finally:
        podman.finish()


@pytest.mark.parametrize("language", ["nodejs", pytest.param("java", marks=pytest.mark.skipif(
    NO_JAVA is not None, reason=str(NO_JAVA)))])
def test_a_base_image_is_the_same_again_in_a_registry_and_an_archive(bases, registry, language):
    digest = bases.pushed(language)
    assert registry_manifest(registry, f"dispatch/{language}-base", "1")[0] == digest
    assert bases.archived(language) == digest
    looked = subprocess.run(["skopeo", "inspect", bases.archive(language)], capture_output=True, text=True, check=True)
    assert json.loads(looked.stdout)["Digest"] == digest
