"""Packages that an image adds for Node.js: what goes wrong is npm's own words, and nothing is left of it. The real npm, with
a registry of the tests' own internet (package_index.py)."""
import json
import os
import shutil
import subprocess
import sys

import pytest

import harness
import world
from test_deps import INDEX, PORT, in_internet, layers, log_of, outside, staging_is_empty  # noqa: F401 (a fixture)

NPM = any(os.path.exists(path) for path in ("/usr/lib/node_modules/npm", "/usr/share/nodejs/npm"))
pytestmark = pytest.mark.skipif(world.why_not() is not None or shutil.which("node") is None or not NPM,
                                reason=str(world.why_not() or "node or npm is missing (tools/install-deps run test)"))
USES = {"handler.js": "module.exports = () => require('fine').version;\n"}


@pytest.fixture(scope="module")
def server(outside, tmp_path_factory):  # noqa: F811
    running = world.WorldServer(outside, options=["--build-env", f"npm_config_registry=http://{INDEX}:{PORT}/npm/",
                                                  "--build-env", "npm_config_fetch_retries=0"])
    index = None
    try:
        secret = tmp_path_factory.mktemp("host") / "secret"
        secret.write_text("of this host")
        os.chmod(secret, 0o644)
        marks = json.dumps({"STATE": running.state, "PORT": str(running.port), "SECRET": str(secret)})
        index = subprocess.Popen(in_internet(outside, sys.executable, os.path.join(world.HERE, "package_index.py"), INDEX,
                                             str(PORT), marks), stdout=subprocess.PIPE, text=True)
        assert index.stdout.readline() == "ready\n"
        running.start()
        yield running
    finally:
        running.finish()
        if index is not None:
            index.kill()
            index.wait()
            index.stdout.close()


def made(server, name, wanted, lock=None, **package):
    text = json.dumps({"name": "app", "version": "1.0.0", **package})
    reply = server.api("POST", "/v1/image", {"name": name, "baseImageName": "builtin:nodejs", "runtimeDependencies": {
        "manifest": text, **({"lock": lock} if lock is not None else {})}})
    assert reply.status == 201, reply
    return server.wait_status("image", name, wanted, timeout_s=120)


def failed(server, name, **more):
    """The reason, one line; and that it left nothing."""
    before = layers(server)
    reason = made(server, name, "ERROR", **more)["reason"]
    assert len(reason) == 1 and reason[0].startswith("dependencies were not installed: npm "), reason
    assert "\n" not in reason[0] and layers(server) == before
    staging_is_empty(server)
    return reason[0]


def test_a_package_is_there_for_functions(server, name):
    made(server, name, "READY", dependencies={"fine": "^1.0.0"})
    server.function(name, USES, image=name)
    assert server.run(name)["output"] == "1.0.0"


def test_a_package_that_does_not_exist(server, name):
    reason = failed(server, name, dependencies={"no-such-package": "1.0.0"})
    assert "E404" in reason and "no-such-package" in reason, reason
    assert "E404" in log_of(server, name)


def test_a_version_that_does_not_exist(server, name):
    reason = failed(server, name, dependencies={"fine": "^9.0.0"})
    assert "ETARGET" in reason and "fine@^9.0.0" in reason, reason


def test_versions_that_do_not_fit_each_other(server, name):
    reason = failed(server, name, dependencies={"fine": "2.0.0", "old-friend": "1.0.0"})
    assert "ERESOLVE" in reason and "unable to resolve dependency tree" in reason, reason
    assert 'peer fine@"^1.0.0" from old-friend@1.0.0' in log_of(server, name)


def test_a_lock_that_does_not_fit_its_list(server, name):
    lock = {"name": "app", "version": "1.0.0", "lockfileVersion": 3, "requires": True, "packages": {
        "": {"name": "app", "version": "1.0.0", "dependencies": {"fine": "1.0.0"}},
        "node_modules/fine": {"version": "1.0.0", "resolved": f"http://{INDEX}:{PORT}/npm/files/fine/1.0.0.tgz"}}}
    reason = failed(server, name, lock=json.dumps(lock), dependencies={"fine": "2.0.0"})
    assert "package.json and package-lock.json" in reason or "EUSAGE" in reason, reason


def test_a_package_that_is_not_the_one_that_was_locked(server, name):
    wanted = {"name": "app", "version": "1.0.0", "dependencies": {"fine": "1.0.0"}}
    lock = {"name": "app", "version": "1.0.0", "lockfileVersion": 3, "requires": True, "packages": {
        "": wanted, "node_modules/fine": {"version": "1.0.0", "resolved": f"http://{INDEX}:{PORT}/npm/files/fine/1.0.0.tgz",
                                          "integrity": "sha512-" + "A" * 86 + "=="}}}
    reason = failed(server, name, lock=json.dumps(lock), dependencies={"fine": "1.0.0"})
    assert "EINTEGRITY" in reason, reason


def test_a_list_that_is_no_json(server, name):
    reply = server.api("POST", "/v1/image", {"name": name, "baseImageName": "builtin:nodejs",
                                             "runtimeDependencies": {"manifest": "lodash\n"}})
    assert reply.status == 201, reply
    assert "JSON" in server.wait_status("image", name, "ERROR", timeout_s=120)["reason"][0]


@pytest.mark.parametrize("where", ["a package", "the list itself"])
def test_an_install_script_gets_nowhere(server, where, name):
    if where == "a package":
        reason = failed(server, name, dependencies={"hostile": "1.0.0"})
    else:
        script = "node node_modules/fine/script.js"
        reason = failed(server, name, dependencies={"fine": "1.0.0"}, scripts={"install": script})
    assert "code 7" in reason, reason
    line = next(line for line in log_of(server, name).splitlines() if "FOUND {" in line)
    found = json.loads(line.split("FOUND ", 1)[1])
    assert found.pop("shadow") in ("EACCES", "ENOENT")
    assert found.pop("state") == "ENOENT" and found.pop("secret") == "ENOENT"
    assert found.pop("loopback") == "ECONNREFUSED"  # its own, on which nobody listens
    assert found.pop("metadata") in ("EACCES", "EHOSTUNREACH", "ENETUNREACH", "ECONNREFUSED", "ETIMEDOUT")
    assert found.pop("outside") == "EROFS" and found.pop("top") == "EROFS"
    assert found.pop("setuid") in ("EINVAL", "EPERM") and found.pop("user") == "false"
    assert not found
