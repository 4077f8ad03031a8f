"""Packages from the real registries, through the real tools. They are left out where these cannot be reached."""
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
import zipfile

import pytest

import harness

pytestmark = pytest.mark.slow


def why_not(url):
    if os.geteuid() != 0 or shutil.which("nft") is None:
        return "a network for builds needs root and nft"
    try:
        with urllib.request.urlopen(url, timeout=20):
            return None
    except urllib.error.HTTPError:
        return None
    except OSError as error:
        return f"{url} cannot be reached: {error}"


PYPI = why_not("https://pypi.org/simple/six/")
NPM = why_not("https://registry.npmjs.org/lodash")
MAVEN = why_not("https://repo.maven.apache.org/maven2/")


VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
found = JsonStrictValidator(SchemaVersion.V1_5).validate_str(sys.stdin.read())
sys.exit(None if found is None else str(found.data)[-2000:])
"""


def bill_is_valid(text):
    """By CycloneDX's own schema, as its library has it."""
    folder = os.path.join(harness.BUILD, "cyclonedx-validator")
    os.makedirs(harness.BUILD, exist_ok=True)
    with open(folder + ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        fetched = subprocess.run([os.path.join(harness.ROOT, "tools", "fetch-validator"), folder, "cyclonedx"], capture_output=True,
                                 text=True)
    if fetched.returncode != 0:
        pytest.skip(fetched.stderr.strip())
    done = subprocess.run(["/usr/bin/python3", "-c", VALIDATE], input=text, env={**os.environ, "PYTHONPATH": folder},
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def server():
    running = harness.Server()
    try:
        yield running.start()
    finally:
        running.finish()


def image(server, name, base, manifest, lock=None):
    dependencies = {"manifest": manifest, **({"lock": lock} if lock else {})}
    reply = server.api("POST", "/v1/image", {"name": name, "baseImageName": base, "runtimeDependencies": dependencies})
    assert reply.status == 201, reply
    return server.wait_status("image", name, timeout_s=240)


def packages(server, name):
    return {(p["type"], p["name"]): p["version"] for p in server.api("GET", f"/v1/image/{name}/packages").json["packages"]
            if p["from"] == "image"}


@pytest.mark.skipif(PYPI is not None, reason=str(PYPI))
def test_requests_and_numpy(server):
    image(server, "science", harness.PYTHON_BASE, "requests\nnumpy\n")
    server.function("science", "import numpy, requests\ndef handle(ctx, payload):\n"
                    "    return [int(numpy.arange(payload).sum()), requests.__name__]\n", image="science")
    assert server.run("science", 5)["output"] == [10, "requests"]
    found = packages(server, "science")
    assert {("pypi", "requests"), ("pypi", "numpy"), ("pypi", "urllib3")} <= set(found)


@pytest.mark.skipif(PYPI is not None, reason=str(PYPI))
def test_the_bill_of_materials_is_one(server):
    image(server, "bill", harness.PYTHON_BASE, "six\n")
    bill_is_valid(server.cli("get", "image", "bill", "--sbom").stdout)


@pytest.mark.skipif(PYPI is not None, reason=str(PYPI))
def test_the_python_image_of_the_seed(server):
    server.cli("create", "seed-images")
    server.wait_status("image", "python3", timeout_s=240)
    server.function("seeded", "import requests\ndef handle(ctx, payload):\n    return requests.__name__\n", image="python3")
    assert server.run("seeded")["output"] == "requests"


@pytest.mark.skipif(PYPI is not None, reason=str(PYPI))
def test_a_name_that_pypi_has_not(server):
    reply = server.api("POST", "/v1/image", {"name": "nowhere", "baseImageName": harness.PYTHON_BASE, "runtimeDependencies":
                                             {"manifest": "dispatch-no-such-package-here==1\n"}})
    assert reply.status == 201
    reason = server.wait_status("image", "nowhere", "ERROR", timeout_s=120)["reason"][0]
    assert "No matching distribution found for dispatch-no-such-package-here" in reason


LIST = json.dumps({"name": "app", "version": "1.0.0", "dependencies": {"lodash": "^4.17.0", "uuid": "^9.0.0"}})
HANDLER = {"app.mjs": "import _ from 'lodash';\nimport { v4 } from 'uuid';\nimport { createRequire } from 'module';\n"
           "const require = createRequire(import.meta.url);\n"
           "export default (context, payload) => [_.sum(payload), v4().length, require('lodash') === _];\n"}


@pytest.mark.skipif(NPM is not None, reason=str(NPM))
def test_two_packages_of_npm(server):
    image(server, "npm", "builtin:nodejs", LIST)
    server.function("npm", HANDLER, image="npm")
    assert server.run("npm", [1, 2])["output"] == [3, 36, True]
    assert set(packages(server, "npm")) == {("npm", "lodash"), ("npm", "uuid")}


@pytest.mark.skipif(NPM is not None or shutil.which("npm") is None, reason=str(NPM or "npm is missing"))
def test_npm_with_a_lock_file(server, tmp_path):
    (tmp_path / "package.json").write_text(json.dumps({"name": "app", "version": "1.0.0",
                                                       "dependencies": {"lodash": "4.17.20", "uuid": "9.0.0"}}))
    subprocess.run(["npm", "install", "--package-lock-only", "--no-audit"], cwd=tmp_path, check=True, capture_output=True,
                   timeout=120)
    (tmp_path / "package.json").write_text(json.dumps({"name": "app", "version": "1.0.0",
                                                       "dependencies": {"lodash": "^4.17.20", "uuid": "^9.0.0"}}))
    lock = json.loads((tmp_path / "package-lock.json").read_text())
    lock["packages"][""]["dependencies"] = {"lodash": "^4.17.20", "uuid": "^9.0.0"}
    (tmp_path / "package-lock.json").write_text(json.dumps(lock))
    server.cli("create", "image", "locked", "builtin:nodejs", "--runtime-deps", str(tmp_path / "package.json"), "--wait",
               timeout_s=240)
    assert packages(server, "locked") == {("npm", "lodash"): "4.17.20", ("npm", "uuid"): "9.0.0"}


POM = """<project><modelVersion>4.0.0</modelVersion><groupId>x</groupId><artifactId>app</artifactId><version>1</version>
<dependencies><dependency><groupId>org.apache.commons</groupId><artifactId>commons-lang3</artifactId>
<version>3.14.0</version></dependency></dependencies></project>"""
JAVA = {"Hello.java": """import org.apache.commons.lang3.StringUtils;
import java.util.Map;
public class Hello {
    public Object handle(Map<String, Object> context, String payload) { return StringUtils.reverse(payload); }
}
"""}


WITH_MAVEN = pytest.mark.skipif(MAVEN is not None or shutil.which("javac") is None or not os.path.exists("/usr/share/maven"),
                                reason=str(MAVEN or "a JDK and Maven are missing"))


@WITH_MAVEN
def test_a_library_of_maven(server):
    image(server, "maven", "builtin:java", POM)
    assert packages(server, "maven") == {("maven", "org.apache.commons/commons-lang3"): "3.14.0"}
    server.function("maven", JAVA, image="maven", handler="Hello")
    assert server.run("maven", "abc")["output"] == "cba"


def pom(*dependencies, more=""):
    listed = "".join(f"<dependency>{''.join(f'<{key}>{value}</{key}>' for key, value in each.items())}</dependency>"
                     for each in dependencies)
    return ("<project><modelVersion>4.0.0</modelVersion><groupId>x</groupId><artifactId>app</artifactId><version>1</version>"
            f"<dependencies>{listed}</dependencies>{more}</project>")


def maven_fails(server, name, manifest):
    """The reason, one line of Maven's words; and that it left nothing."""
    def layers():
        return {each for each in os.listdir(os.path.join(server.state, "layers")) if each.startswith("deps-")}
    before = layers()
    reply = server.api("POST", "/v1/image", {"name": name, "baseImageName": "builtin:java",
                                             "runtimeDependencies": {"manifest": manifest}})
    assert reply.status == 201, reply
    reason = server.wait_status("image", name, "ERROR", timeout_s=240)["reason"]
    assert len(reason) == 1 and reason[0].startswith("dependencies were not installed: [ERROR] "), reason
    assert "\n" not in reason[0] and layers() == before
    harness.poll(lambda: not os.listdir(os.path.join(server.state, "staging")), what="an empty staging folder")
    return reason[0]


@WITH_MAVEN
def test_a_library_that_maven_has_not(server, name):
    reason = maven_fails(server, name, pom({"groupId": "org.apache.commons", "artifactId": "commons-lang3", "version": "99.99"}))
    assert "Could not find artifact org.apache.commons:commons-lang3:jar:99.99" in reason, reason


@WITH_MAVEN
def test_versions_that_maven_cannot_bring_together(server, name):
    reason = maven_fails(server, name, pom(
        {"groupId": "org.webjars.npm", "artifactId": "loose-envify", "version": "1.4.0"},
        {"groupId": "org.webjars.npm", "artifactId": "js-tokens", "version": "[2.0.0]"}))
    assert "Could not resolve version conflict among" in reason and "js-tokens:jar:[2.0.0,2.0.0]" in reason, reason


@WITH_MAVEN
def test_a_file_of_the_host_is_no_library(server, name):
    """One that is there and that everybody may read, by the two ways in which a pom.xml may name a file."""
    folder = tempfile.mkdtemp(prefix="dispatch-host-")
    try:
        os.chmod(folder, 0o755)
        library = {"groupId": "of.the", "artifactId": "host", "version": "1"}
        jar = os.path.join(folder, "of/the/host/1/host-1.jar")
        os.makedirs(os.path.dirname(jar))
        with zipfile.ZipFile(jar, "w") as archive:
            archive.writestr("secret", "of this host")
        with open(jar.removesuffix("jar") + "pom", "w", encoding="ascii") as file:
            file.write("<project><modelVersion>4.0.0</modelVersion><groupId>of.the</groupId><artifactId>host</artifactId>"
                       "<version>1</version></project>")
        reason = maven_fails(server, name, pom({**library, "scope": "system", "systemPath": jar}))
        assert "Could not find artifact of.the:host:jar:1 at specified path" in reason, reason
        repository = f"<repositories><repository><id>host</id><url>file://{folder}</url></repository></repositories>"
        reason = maven_fails(server, name + "-2", pom(library, more=repository))
        assert "Could not find artifact of.the:host:" in reason, reason
    finally:
        shutil.rmtree(folder)
