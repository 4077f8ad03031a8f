"""docs/troubleshooting.md: what it quotes is what the programs say, and its commands do what it says that they do."""
import glob
import os
import re
import shutil
import subprocess

import pytest

import harness

DOCUMENT = os.path.join(harness.ROOT, "docs", "troubleshooting.md")
ONE = "def handle(ctx, payload):\n    return [payload, len(ctx['secrets'])]\n"
# Texts of the C library, and such as are put together of parts; test_layers.py holds the latter.
ELSEWHERE = {"Resource temporarily unavailable", "Too many open files", "No space left on device",
             "there is no layer 'builtin-...'", "there is no layer 'fn-...'"}


def document():
    with open(DOCUMENT, encoding="utf-8") as file:
        return file.read()


def commands(heading):
    """The blocks of commands below a heading of the document, as one script."""
    section = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", document(), re.M | re.S)
    return "\n".join(re.findall(r"^```sh\n(.*?)^```", section.group(1), re.M | re.S))


def sources():
    """All text of the programs, with literals that are broken over lines joined."""
    text = ""
    for path in glob.glob(os.path.join(harness.ROOT, "src", "**", "*.c"), recursive=True):
        with open(path, encoding="utf-8") as file:
            text += re.sub(r'"\s*\n\s*"', "", file.read())
    return text


def quoted():
    """The texts of the first column of each table of failures."""
    for line in document().splitlines():
        if line.startswith("| ") and not line.startswith(("| ---", "| the ", "| answer")):
            yield from re.findall(r"`([^`]+)`", line.split(" | ")[0])


def test_each_line_that_it_quotes_is_one_that_the_programs_say():
    text = sources()
    said = list(quoted())
    assert len(said) > 40
    missing = []
    for each in said:
        pieces = [piece.strip() for piece in re.split(r"\.\.\.|\bN\b|\bM\b|\bADDRESS\b|\bPATH\b", each)]
        pieces = [piece.strip("'").strip() for piece in pieces if len(piece.strip(" '")) > 2]
        missing += [piece for piece in pieces if piece not in text and each not in ELSEWHERE]
    assert not missing, missing


@pytest.fixture
def made(fresh):
    fresh.image("python3", harness.PYTHON_BASE)
    for number in range(3):
        assert fresh.api("POST", "/v1/secret", {"name": f"s{number}", "secrets": {f"k{number}": "v"}}).status == 201
    fresh.function("one", ONE, secrets=["s0", "s1"])
    fresh.endpoint("one", "one", ["/one"], methods=["POST"])
    assert fresh.run("one", 1)["output"] == [1, 4]
    return fresh


def follow(server, heading, folder):
    done = subprocess.run(["bash", "-euc", commands(heading)], capture_output=True, text=True, env=harness.clean_environment(
        STATE=server.state, BACKUP=os.path.join(folder, "backup"), BACKUP_KEY=os.path.join(folder, "key")))
    assert done.returncode == 0, done.stderr


def works(server):
    reply = server.gateway("POST", "/one", {"a": 1})
    return reply.status == 200 and reply.json == [{"a": 1}, 4]


@pytest.mark.parametrize("lost", ["the server's folder", "everything"])
def test_a_backup_of_a_running_server_is_restored_as_the_document_says(made, tmp_path, lost):
    made.function("two", ONE + "# two\n")
    follow(made, "Back up", tmp_path)
    assert made.api("DELETE", "/v1/function/two").status in (200, 204)
    made.function("three", ONE + "# three\n")
    made.stop()
    if lost == "everything":
        owner = os.stat(os.path.join(made.state, "server")).st_uid
        for each in os.listdir(made.state):
            path = os.path.join(made.state, each)
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
        os.mkdir(os.path.join(made.state, "server"))  # of a server that was installed anew
        os.chown(os.path.join(made.state, "server"), owner, owner)
    follow(made, "Restore", tmp_path)
    made.start()
    harness.poll(lambda: works(made), 60, "the function of the backup")
    assert made.run("two", 2)["output"] == [2, 0]
    assert made.api("GET", "/v1/function/three").status == 404
    assert made.api("GET", "/v1/secret/s2").json["secrets"] == {"k2": "v"}
    made.restart()
    assert works(made)


def test_a_lost_key_is_given_up_as_the_document_says(made, tmp_path):
    made.stop()
    os.unlink(os.path.join(made.state, "server", "secret.key"))
    follow(made, "A lost key", tmp_path)
    made.start()
    assert made.api("GET", "/v1/secret/s0").status == 404
    for number in range(2):
        assert made.api("POST", "/v1/secret", {"name": f"s{number}", "secrets": {f"k{number}": "w"}}).status == 201
    harness.poll(lambda: works(made), 60, "the function with its new secrets")
