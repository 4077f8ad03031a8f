"""YAML that is not what it should be, in a file of the client (-f) and in the server's configuration: one clear line, exit status 1,
and little memory, whatever it is."""
import os
import re
import resource
import subprocess

import pytest

import harness

SANITIZED = "-asan" in harness.BUILD or "-tsan" in harness.BUILD
ADDRESS_SPACE = 192 << 20  # of the client; libraries and all take some 60 MiB of it
LAUGHS = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n" + "".join(
    f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 10)}]\n" for at in range(1, 12))
TEXTS = "".join(f"b{at}: &b{at} [{', '.join([f'*b{at - 1}'] * 9)}]\n" for at in range(1, 9))

# name: (bytes, pattern of the error)
CASES = {
    "an alias bomb": (LAUGHS.encode(), "100000 values, aliases counted"),
    "an alias bomb of long texts": (b"b0: &b0 [" + b"x" * 100000 + b"]\n" + TEXTS.encode(), "8 MiB of text, aliases counted|100000 values"),
    "an anchor to itself": (b"a: &a [*a]\n", "anchor that is not complete"),
    "an anchor to its parent": (b"&a {b: {c: *a}}\n", "anchor that is not complete"),
    "an alias of nothing": (b"a: *b\n", "anchor"),
    "an anchor on a key": (b"&a b: c\n", "anchor on a key"),
    "too many anchors": (b"".join(b"k%d: &a%d x\n" % (at, at) for at in range(300)), "256 anchors"),
    "merge keys": (b"a: &a {b: 1}\nc:\n  <<: *a\n", "merge keys"),
    "merge keys of a list": (b"a: &a {b: 1}\nc: {<<: [*a, *a]}\n", "merge keys"),
    "200 levels of lists": (b"a: " + b"[" * 200 + b"]" * 200 + b"\n", "deeper than 128"),
    "200 levels of objects": (b"{a: " * 200 + b"1" + b"}" * 200, "deeper than 128"),
    "200 levels by indentation": (b"".join(b" " * at + b"a:\n" for at in range(200)), "deeper than 128"),
    "100,000 levels of lists": (b"a: " + b"[" * 100000, "deeper than 128|YAML|yaml"),
    "100,000 levels of dashes": (b"- " * 100000, "deeper than 128|yaml"),
    "100,000 question marks": (b"? " * 100000, "deeper than 128|yaml|scalar"),
    "a tag of Python": (b"a: !!python/object/apply:os.system ['touch /tmp/dispatch-escaped']\n", "tag"),
    "a tag of Ruby": (b"--- !ruby/object:Gem::Installer\ni: x\n", "tag"),
    "a tag of Java": (b"!!javax.script.ScriptEngineManager [!!java.net.URLClassLoader [[]]]\n", "tag"),
    "a tag of one's own": (b"a: !mine 1\n", "tag"),
    "binary": (b"a: !!binary aGVsbG8=\n", "tag"),
    "a set": (b"a: !!set {b, c}\n", "tag"),
    "a tag that lies": (b"a: !!int x\n", "not what its tag says"),
    "a directive of another version": (b"%YAML 3.0\n--- {a: 1}\n", "yaml"),
    "a directive of a tag": (b"%TAG ! tag:example.com,2000:\n--- !x {a: 1}\n", "tag"),
    "NUL": (b"a: b\0c\n", "yaml|control"),
    "NUL, escaped": (b'a: "b\\0c"\n', "NUL|not|unknown|yaml"),
    "NUL in a key": (b'"a\\0b": c\n', "NUL"),
    "a control character": (b"a: \x01\n", "yaml|control"),
    "UTF-16, little endian": ("a: b\n".encode("utf-16"), "yaml"),
    "UTF-16, big endian": (b"\xfe\xff" + "a: b\n".encode("utf-16-be"), "yaml"),
    "UTF-32": ("a: b\n".encode("utf-32"), "yaml"),
    "bytes that are no UTF-8": (b"a: \xff\xfe\n", "yaml"),
    "overlong UTF-8": (b"a: \xc0\xaf\n", "yaml"),
    "a surrogate in UTF-8": (b"a: \xed\xa0\x80\n", "yaml"),
    "tabs": (b"a:\n\tb: c\n", "yaml"),
    "a key twice": (b"a: 1\na: 2\n", "there already"),
    "a key twice in a flow": (b"{a: 1, 'a': 2}\n", "there already"),
    "a list for a key": (b"[a, b]: c\n", "key that is not a scalar"),
    "an object for a key": (b"{a: b}: c\n", "key that is not a scalar"),
    "no end of a quote": (b'a: "b\n', "yaml"),
    "no end of a flow": (b"a: [b\n", "yaml"),
    "a list at the top": (b"- a\n- b\n", "mapping|keys at its top"),
    "a text at the top": (b"hello\n", "mapping|keys at its top"),
    "garbage": (bytes(range(1, 256)) * 40, "yaml"),
    "a million keys": (b"".join(b"k%d: 1\n" % at for at in range(300000)), "100000 values|larger than|MiB"),
    "a text of 5 MiB": (b"a: " + b"x" * (5 << 20) + b"\n", "larger than"),
    "an integer past 64 bits": (b"timeout: 99999999999999999999999\n", "number|range|kind|not a|takes|unknown|integer"),
}


def limits():
    if not SANITIZED:
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CPU, (60, 60))


def run(command, folder, stdin=subprocess.DEVNULL):
    return subprocess.run(command, stdin=stdin, capture_output=True, preexec_fn=limits, timeout=60 * harness.PATIENCE, check=False,
                          env=harness.clean_environment(HOME=str(folder)))


def client(folder, path, stdin=subprocess.DEVNULL, verb="create"):
    return run([os.path.join(harness.BUILD, "dispatch"), verb, "-f", str(path)], folder, stdin)


def server(folder, path):
    return run([os.path.join(harness.BUILD, "dispatch-server"), "--config", str(path), "--state-dir", str(folder / "state")], folder)


def assert_one_line(done, pattern):
    text = done.stderr.decode("utf-8", "strict")
    assert done.returncode in (1, 2) and done.stdout == b"", done
    assert len(text.strip().splitlines()) == 1 and len(text) < 600, text[:2000]
    assert re.search(pattern, text), text
    assert not any(ord(letter) < 32 and letter != "\n" for letter in text), text


@pytest.mark.parametrize("case", CASES)
def test_a_file_of_the_client(tmp_path, case):
    path = tmp_path / "bad.yaml"
    path.write_bytes(CASES[case][0])
    done = client(tmp_path, path)
    assert_one_line(done, CASES[case][1] + "|not a mapping|kind|larger than")
    assert b"bad.yaml" in done.stderr
    assert not os.path.exists("/tmp/dispatch-escaped")


@pytest.mark.parametrize("case", CASES)
def test_the_configuration_of_the_server(tmp_path, case):
    path = tmp_path / "bad.yaml"
    path.write_bytes(CASES[case][0])
    assert_one_line(server(tmp_path, path), CASES[case][1] + "|larger than|unknown|no option|takes")


@pytest.mark.parametrize("program", [client, server])
def test_a_sparse_gigabyte_is_refused_after_its_limit(tmp_path, program):
    path = tmp_path / "bad.yaml"
    with open(path, "wb") as file:
        file.write(b"a: ")
        file.truncate(1 << 30)
    assert_one_line(program(tmp_path, path), "larger than")


@pytest.mark.parametrize("program", [client, server])
@pytest.mark.parametrize("path", ["/dev/zero", "/dev/stdin"])
def test_what_has_no_end_is_refused_after_its_limit(tmp_path, program, path):
    if path == "/dev/stdin":
        with subprocess.Popen(["cat", "/dev/zero"], stdout=subprocess.PIPE) as endless:
            command = [os.path.join(harness.BUILD, "dispatch"), "create", "-f", "-"] if program is client else [
                os.path.join(harness.BUILD, "dispatch-server"), "--config", path, "--state-dir", str(tmp_path / "state")]
            done = run(command, tmp_path, endless.stdout)
            endless.kill()
    else:
        done = program(tmp_path, path)
    assert_one_line(done, "larger than")


def test_a_folder_and_what_is_not_there(tmp_path):
    assert_one_line(client(tmp_path, tmp_path), "directory")
    assert_one_line(client(tmp_path, tmp_path / "none"), "No such file|no such file")
    assert_one_line(server(tmp_path, tmp_path), "directory")
    assert_one_line(server(tmp_path, tmp_path / "none"), "No such file|no such file")


def test_many_documents_end_at_a_limit(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_bytes(b"---\nkind: Secret\nname: s\nsecrets: {}\n" * 2000)
    assert_one_line(client(tmp_path, path), "more than 1000 documents")


def test_documents_behind_a_bad_one_are_not_begun(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_bytes(b"kind: Secret\nname: s\nsecrets: {}\n---\nkind: Nothing\nname: t\n")
    assert_one_line(client(tmp_path, path), "Nothing")


def test_a_utf_8_bom_and_a_nul_file_name(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_bytes(b"\xef\xbb\xbfkind: Nothing\nname: t\n")
    assert_one_line(client(tmp_path, path), "Nothing")
