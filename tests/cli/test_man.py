"""The manual pages that the programs write: without a complaint of mandoc, and whole."""
import os
import re
import shutil
import subprocess

import pytest

import recorder

SERVER = os.path.join(recorder.BUILD, "dispatch-server")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("man")
    subprocess.run([recorder.DISPATCH, "help", "--man", str(folder)], check=True, env={**os.environ, "SOURCE_DATE_EPOCH": "86400"})
    return folder


def commands():
    """Each command that help names, from the root down, with its own flags."""
    def walk(words):
        text = subprocess.run([recorder.DISPATCH, *words, "--help"], capture_output=True, text=True, check=True).stdout
        flags = re.search(r"^Flags:\n((?:  .*\n)+)", text, re.M).group(1)
        yield words, re.findall(r"--[a-z-]+", "\n".join(re.findall(r"^ +(?:-\w, )?--[a-z-]+", flags, re.M)))
        listed = re.search(r"^Available Commands:\n((?:  .*\n)+)", text, re.M)
        for name in re.findall(r"^  (\S+)", listed.group(1), re.M) if listed else []:
            yield from walk([*words, name])
    return list(walk([]))


def lint(path):
    if not shutil.which("mandoc"):
        pytest.skip("mandoc is not installed")
    return subprocess.run(["mandoc", "-Tlint", "-Wwarning", str(path)], capture_output=True, text=True, check=False).stdout


def plain(path):
    """The page as text without the overstrikes."""
    out = subprocess.run(["mandoc", "-Tutf8", "-Owidth=400", str(path)], capture_output=True, text=True, check=True).stdout
    return re.sub(".\b", "", out)


def test_each_command_has_a_page_with_all_its_flags(pages):
    found = commands()
    assert {"-".join(["dispatch", *words]) + ".1" for words, _ in found} == set(os.listdir(pages))
    assert len(found) > 30
    for words, flags in found:
        source = (pages / ("-".join(["dispatch", *words]) + ".1")).read_text().replace("\\-", "-")
        assert flags and [flag for flag in flags if flag not in source] == []
        assert '"1970-01-02"' in source


def test_mandoc_has_no_complaint(pages):
    assert [lint(pages / name) for name in sorted(os.listdir(pages)) if lint(pages / name)] == []


def test_a_page_reads_well(pages):
    if not shutil.which("mandoc"):
        pytest.skip("mandoc is not installed")
    text = plain(pages / "dispatch-create-function.1")
    assert "dispatch-create-function - Create a function from a file or a directory" in text
    assert "dispatch create function NAME PATH [flags]" in text
    assert "what to call: hello.handle, ./hello.js, ./program; needed for a directory" in text
    assert "dispatch create function hello ./hello.py --image python3 --wait" in text
    assert "''" not in text and "{\"name\": \"user\"}" in plain(pages / "dispatch-exec.1")


def test_the_server_has_a_page_with_every_option(tmp_path):
    page = tmp_path / "dispatch-server.8"
    printed = subprocess.run([SERVER, "--options-man"], capture_output=True, text=True, check=True).stdout
    page.write_text(printed)
    assert lint(page) == ""
    help_text = subprocess.run([SERVER, "--help"], capture_output=True, text=True, check=True).stdout
    options = re.findall(r"^  (--[a-z-]+)", help_text, re.M)
    text = printed.replace("\\-", "-")
    assert len(options) > 20 and [option for option in options if f".B {option}" not in text] == []
    assert "DISPATCH_STATE_DIR" in text


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    result = subprocess.run([recorder.DISPATCH, "help", "--man", str(tmp_path / "none")], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"open {tmp_path}/none/dispatch.1: no such file or directory\n"
