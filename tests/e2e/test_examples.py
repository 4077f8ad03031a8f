"""The commands of examples/README.md, taken from there and run in their order against one server."""
import os
import re
import subprocess

import pytest

import harness

JAVA = pytest.mark.skipif(not os.path.exists("/usr/bin/javac") or not os.path.exists(os.path.join(harness.BUILD, "runtimes", "java", "manifest")),
                          reason="no JDK: sudo tools/install-deps test")
README = os.path.join(harness.ROOT, "examples", "README.md")


def transcript():
    """[(heading, command, lines of output)] from the blocks of the README."""
    steps, heading, inside = [], "images", False
    with open(README, encoding="utf-8") as file:
        for line in file.read().splitlines():
            if line.startswith("```"):
                inside = not inside
            elif not inside:
                heading = line[3:] if line.startswith("## ") else heading
            elif line.startswith("$ "):
                steps.append((heading, line[2:], []))
            else:
                steps[-1][2].append(line)
    return steps


def shell(server, command, scratch):
    """As a user's shell runs it, but for the port and where files go."""
    command = command.replace("127.0.0.1:8081", f"127.0.0.1:{server.gateway_port}").replace("/tmp/", f"{scratch}/")
    environment = harness.clean_environment(PATH=harness.BUILD + ":" + os.environ["PATH"], DISPATCH_CONFIG=server.config,
                                            HOME=server.folder, no_proxy="*")
    return subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=harness.ROOT, env=environment, text=True,
                          capture_output=True, timeout=60 * harness.PATIENCE)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """{heading: [(command, expected, what came)]}; one server, in the README's order."""
    server, scratch, results = harness.Server(), tmp_path_factory.mktemp("examples"), {}
    try:
        server.start()
        for heading, command, expected in transcript():
            done = shell(server, command, scratch)
            results.setdefault(heading, []).append((command, expected, done))
        yield results
    finally:
        server.finish()


@pytest.mark.parametrize("heading", ["images", "hello", "echo", "debug", "logs", "meeting", "i-have-a-secret", "http-request",
                                     "order", pytest.param("java", marks=JAVA)])
def test_the_commands_of_the_readme_do_what_it_says(ran, heading):
    assert ran[heading]
    for command, expected, done in ran[heading]:
        assert done.returncode == 0, (command, done)
        assert done.stdout.splitlines() == expected, (command, done)


def test_every_section_of_the_readme_is_tested(ran):
    assert set(ran) == {"images", "hello", "echo", "debug", "logs", "meeting", "i-have-a-secret", "http-request", "order", "java"}


def test_every_example_is_in_the_readme():
    with open(README, encoding="utf-8") as file:
        text = file.read()
    for language in ("python3", "nodejs", "java", "native"):
        for name in os.listdir(os.path.join(harness.ROOT, "examples", language)):
            if re.search(r"\.(py|js|mjs|java|sh|c)$", name):
                assert f"({language}/{name})" in text, name
