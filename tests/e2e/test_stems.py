"""Functions in Node.js and Java start from stems: processes that were booted without code. What a claimed one is, what it cannot
see, and that nothing depends on there being one."""
import contextlib
import os
import shutil
import signal

import pytest

import harness

NODE = """
const fs = require('fs');
let runs = 0;
module.exports = (context, payload) => {
    if (payload === 'fill')
        for (const kept = [];;)
            kept.push(Buffer.alloc(1 << 20, 1));
    const attempt = (action) => { try { action(); return null; } catch (error) { return error.code; } };
    return {
        mark: '%s', runs: ++runs, files: fs.readdirSync('/function'), cwd: process.cwd(), folder: __dirname, argv: process.argv.slice(1),
        write: attempt(() => fs.writeFileSync('/function/new', '')), remove: attempt(() => fs.unlinkSync('/function/handler.js')),
        mounts: fs.readFileSync('/proc/self/mountinfo', 'utf8').split('\\n').filter((line) => line.includes(' /function ')),
        tmp: fs.readdirSync('/tmp'), env: process.env.MARK, secret: context.secrets.word,
        kept: attempt(() => fs.writeFileSync('/tmp/kept', 'x')),
    };
};
"""
JAVA = """
import java.io.File;
import java.util.*;
public class Handler {
    public Object handle(Map<String, Object> context, Object payload) {
        return Map.of("mark", "%s", "file", new File("/function/Handler.java").exists(), "cwd", System.getProperty("user.dir"));
    }
}
"""


@pytest.fixture(scope="module")
def host():
    server = harness.Server(options=["--loops", "1"])
    try:
        server.start()
        server.image("nodejs", "dispatchframework/nodejs-base:0.0.13-knative")
        yield server
    finally:
        processes = harness.process_tree(server.process.pid)
        with open(os.path.join(server.state, "cgroups"), encoding="utf-8") as file:
            folders = file.read().split("\n")[:-1]
        server.finish()
    harness.poll(lambda: not [pid for pid in processes if harness.is_alive(pid)], 20, "every process to be gone")
    assert folders and not [folder for folder in folders if os.path.exists(folder)]


@pytest.fixture
def make(host, name):
    def make_function(mark, suffix="", **how):
        return host.function(name + suffix, {"handler.js": NODE % mark, f"{mark}.txt": ""}, image="nodejs", isolation="run", **how)
    return make_function


def stems(host):
    return [row for row in host.api("GET", "/v1/instances").json if row["kind"] == "stem" and row["state"] == "parked"]


def run_from_stem(host, function, payload=None):
    """Runs until one came from a stem: the first may have had to boot, for want of one."""
    def claimed():
        harness.poll(lambda: stems(host), 60, "a stem")
        run = host.run(function, payload)
        return run if run["start"] == "stem" else None
    return harness.poll(claimed, 120, "a start from a stem")


def test_after_a_boot_functions_of_the_image_start_from_stems(host, make, name):
    make("first")
    for _ in range(3):
        run = run_from_stem(host, name)
        output = run["output"]
        assert output["mark"] == "first" and output["runs"] == 1, "each has a process of its own"
        assert output["cwd"] == output["folder"] == "/function" and output["argv"] == ["/function/handler.js"]
        assert set(run["timing"]) == {"queue", "sandbox", "start", "import", "handler"}


def test_a_function_that_never_ran_starts_from_the_stem_of_another(host, make, name):
    make("one")
    run_from_stem(host, name)
    make("two", "-other", env={"MARK": "mine"})
    output = run_from_stem(host, name + "-other")["output"]
    assert output["mark"] == "two" and output["env"] == "mine"


def test_what_one_function_left_no_other_sees(host, make, name):
    make("one", env={"MARK": "of one"})
    make("two", "-other")
    for _ in range(2):
        first, second = run_from_stem(host, name)["output"], run_from_stem(host, name + "-other")["output"]
        assert sorted(first["files"]) == ["handler.js", "one.txt"] and sorted(second["files"]) == ["handler.js", "two.txt"]
        assert first["tmp"] == second["tmp"] == [] and first["kept"] is None
        assert first["env"] == "of one" and "env" not in second


def test_the_code_cannot_be_changed_from_inside(host, make, name):
    make("kept")
    output = run_from_stem(host, name)["output"]
    assert output["write"] == "EROFS" and output["remove"] == "EROFS"
    assert len(output["mounts"]) == 1 and {"ro", "nosuid", "nodev"} <= set(output["mounts"][0].split()[5].split(","))


def test_the_limits_are_the_functions(host, make, name):
    make("small", memory=160)
    run = run_from_stem(host, name)
    assert run["output"]["mark"] == "small"
    for _ in range(2):
        harness.poll(lambda: stems(host), 60, "a stem")
        failed = host.run(name, "fill")
        assert failed["status"] == "ERROR" and "memory" in failed["error"]["message"].lower(), failed
    assert host.run(name)["output"]["mark"] == "small"


def test_new_code_is_what_the_next_claim_gets(host, make, name):
    make("before")
    assert run_from_stem(host, name)["output"]["mark"] == "before"
    host.update(name, {"handler.js": NODE % "after"}, image="nodejs", isolation="run")
    host.wait_status("function", name)
    output = run_from_stem(host, name)["output"]
    assert output["mark"] == "after" and output["files"] == ["handler.js"]


def agents_of(host):
    """Processes of the nodejs agent below this server."""
    found = []
    for pid in harness.process_tree(host.process.pid):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if b"/runtime/main.js" in file.read():
                    found.append(pid)
    return found


def test_a_killed_stem_costs_nobody_an_answer(host, make, name):
    make("alive")
    run_from_stem(host, name)
    for _ in range(3):
        harness.poll(lambda: stems(host), 60, "a stem")
        for pid in agents_of(host):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        run = host.run(name)
        assert run.get("output", {}).get("mark") == "alive", run
    run_from_stem(host, name)


def test_with_a_network_an_instance_is_booted(host, make, name):
    make("inside", "-other")
    run_from_stem(host, name + "-other")
    host.function(name, {"handler.js": NODE % "outside"}, image="nodejs", isolation="run", network={"mode": "egress"})
    harness.poll(lambda: stems(host), 60, "a stem")
    starts = [host.run(name)["start"] for _ in range(3)]  # the first may be in the instance that showed that it works
    assert set(starts[1:]) == {"boot"} and starts[0] in ("hot", "boot")


@pytest.mark.skipif(shutil.which("javac") is None, reason="no JDK is installed")
def test_java_starts_from_stems_too(host, name):
    host.image("java", "builtin:java")
    for mark in ("one", "two"):
        host.function(f"{name}-{mark}", {"Handler.java": JAVA % mark}, image="java", isolation="run")
    for mark in ("one", "two", "one"):
        def of_java():
            return [row for row in stems(host) if row["language"] == "java"]
        run = host.run(f"{name}-{mark}")
        harness.poll(of_java, 120, "a stem")
        run = harness.poll(lambda: next((run for run in [host.run(f"{name}-{mark}")] if run["start"] == "stem"), None), 120, "a claim")
        assert run["output"] == {"mark": mark, "file": True, "cwd": "/function"}
