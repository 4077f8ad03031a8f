"""Completion: what the client offers for a line, and the three shells with the functions that it prints."""
import os
import select
import shutil
import subprocess
import time

import pytest

import recorder

FUNCTIONS = [{"name": "hello"}, {"name": "help-desk"}, {"name": "shop"}, {"name": "$(touch pwned)"}, {"name": "a b"},
             {"name": "-rf"}, {"name": ""}, {"name": 5}, 7]


@pytest.fixture
def served(api):
    api.reply("GET", "/v1/function", FUNCTIONS)
    api.reply("GET", "/v1/image", [{"name": "python3"}, {"name": "nodejs"}])
    api.reply("GET", "/v1/baseimage", [{"name": "python3-base"}])
    api.reply("GET", "/v1/secret", [{"meta": {"name": "database"}}, {"name": "mail"}])
    api.reply("GET", "/v1/runs", [{"name": "run-1"}, {"name": "run-2"}])
    return api


@pytest.fixture
def offers(dispatch):
    def of(*words, env=None):
        result = dispatch("__complete", *words, env=env)
        assert (result.err, result.code) == ("", 0)
        *lines, last = result.out.splitlines()
        return [line.split("\t")[0] for line in lines], last
    return of


@pytest.mark.parametrize("words,expected,last", [
    (["cre"], ["create"], ":none"),
    (["get", "f"], ["function"], ":none"),
    (["get", "functions"], ["functions"], ":none"),
    (["get", "baseim"], ["baseimage", "baseimages"], ":none"),
    (["help", "cre"], ["create"], ":none"),
    (["help", "create", "fun"], ["function"], ":none"),
    (["--host", "cre"], [], ":none"),
    (["--outp"], ["--output"], ":none"),
    (["get", "function", "--sort"], ["--sort-by"], ":none"),
    (["get", "function", "--json"], [], ":none"),
    (["create", "function", "--sch"], ["--schema-in", "--schema-out", "--scheme"], ":none"),
    (["-o", ""], ["json", "yaml", "wide", "name"], ":none"),
    (["get", "-o", "y"], ["yaml"], ":none"),
    (["--output=j"], ["--output=json"], ":none"),
    (["--scheme", "http"], ["http", "https"], ":none"),
    (["--insecure="], ["--insecure=true", "--insecure=false"], ":none"),
    (["create", "endpoint", "a", "b", "--method", "GET,P"], ["GET,POST", "GET,PUT", "GET,PATCH"], ":none"),
    (["create", "function", "x", ""], [], ":files"),
    (["create", "-f", ""], [], ":files"),
    (["create", "--file=a"], [], ":files"),
    (["apply", "-w", ""], [], ":folders"),
    (["completion", ""], ["bash", "zsh", "fish"], ":none"),
    (["no-such", "command", ""], [], ":none"),
    (["version", "--", "--outp"], [], ":none"),
])
def test_tables_alone_answer(api, offers, words, expected, last):
    assert offers(*words) == (expected, last)
    assert api.requests == []


def test_names_come_from_the_server(served, offers):
    assert offers("exec", "") == (["hello", "help-desk", "shop"], ":none")
    assert offers("get", "functions", "he") == (["hello", "help-desk"], ":none")
    assert offers("exec", "hello", "") == ([], ":none")
    assert offers("create", "function", "x", "p", "--image", "") == (["python3", "nodejs"], ":none")
    assert offers("update", "function", "x", "--image=n") == (["--image=nodejs"], ":none")
    assert offers("exec", "x", "--secret", "mail,d") == (["mail,database"], ":none")
    assert offers("create", "image", "x", "") == (["python3-base"], ":none")
    assert offers("get", "runs", "hello", "") == (["run-1", "run-2"], ":none")
    assert "functionName=hello" in served.last.path


def test_the_line_says_where_the_server_is(served, dispatch):
    def out(*words):
        return dispatch.bare("__complete", *words).out
    assert out("--host", "127.0.0.1", f"--port={served.port}", "--scheme", "http", "--organization", "acme", "exec", "sh") == "shop\n:none\n"
    assert served.last.headers["X-Dispatch-Org"] == "acme"
    assert out("exec", "--port", "1", "") == ":none\n"


def test_contexts_come_from_the_configuration(dispatch, tmp_path):
    (tmp_path / ".dispatch").mkdir()
    (tmp_path / ".dispatch" / "config.json").write_text('{"current": "gone", "contexts": {"home": {}, "work": {}, "a b": {}}}')
    assert dispatch.bare("__complete", "context", "set", "").out == "home\nwork\n:none\n"
    assert dispatch.bare("__complete", "manage", "context", "--set", "w").out == "work\n:none\n"


@pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nnot json", b"\0\0\0",
                                   b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"])
def test_errors_are_silent(api, offers, reply):
    api.raw(reply)
    assert offers("exec", "") == ([], ":none")


def test_a_broken_configuration_is_silent(dispatch, tmp_path):
    (tmp_path / ".dispatch").mkdir()
    (tmp_path / ".dispatch" / "config.json").write_text("{")
    result = dispatch.bare("__complete", "exec", "")
    assert (result.out, result.err, result.code) == (":none\n", "", 0)


def test_a_server_that_does_not_answer_is_given_up(offers):
    import socket
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert offers("exec", "--port", str(listener.getsockname()[1]), "") == ([], ":none")


def test_completion_alone_is_for_bash(dispatch):
    assert dispatch.bare("completion").out == dispatch.bare("completion", "bash").out != ""
    result = dispatch.bare("completion", "tcsh")
    assert (result.code, result.err) == (1, 'no completion for "tcsh": must be bash, zsh or fish\n')


LINES = [
    ("dispatch get func", ["function"]),
    ("dispatch exec he", ["hello", "help-desk"]),
    ("dispatch --output=j", ["json"]),
    ("dispatch exec x --secret ma", ["mail"]),
    ("dispatch create -f one", ["one file.yaml", "one.yaml"]),
    ("dispatch create --file=one.", ["one.yaml"]),
    ("dispatch apply -w sub", ["subfolder"]),
    ("dispatch exec x ", []),
]


@pytest.fixture
def shell(served, dispatch, tmp_path):
    """Runs a shell in a folder with some files, where `dispatch` is the client and the server the recorder."""
    for name in ("one.yaml", "one file.yaml"):
        (tmp_path / name).write_text("")
    (tmp_path / "subfolder").mkdir()
    env = dispatch.environment(DISPATCH_HOST="127.0.0.1", DISPATCH_PORT=str(served.port), DISPATCH_SCHEME="http",
                               PATH=os.path.dirname(recorder.DISPATCH) + os.pathsep + os.environ["PATH"], TERM="xterm")

    def run(*command, **more):
        if not shutil.which(command[0]):
            pytest.skip(f"{command[0]} is not installed")
        result = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=recorder.TIMEOUT_S,
                                check=False, **more)
        assert result.stderr == ""
        return result.stdout.splitlines()
    run.env, run.folder = env, tmp_path
    yield run
    assert not (tmp_path / "pwned").exists()


BASH = r"""
source <(dispatch completion bash)
COMP_LINE=$1 COMP_POINT=${#1}
words=$1
[[ $words == *' ' ]] && blank=y
words=${words//=/ = }
read -ra COMP_WORDS <<<"$words"
[[ -n $blank ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_dispatch dispatch "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}" 2>/dev/null
printf '%s\n' "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize("line,expected", LINES)
def test_bash(shell, line, expected):
    assert sorted(filter(None, shell("bash", "--norc", "-c", BASH, "bash", line))) == expected


@pytest.mark.parametrize("line,expected", LINES)
def test_fish(shell, line, expected):
    offered = shell("fish", "--no-config", "-c", f"dispatch completion fish | source; complete -C '{line}'")
    prefix = "--output=" if "--output=" in line else "--file=" if "--file=" in line else ""
    plain = [entry.split("\t")[0].removeprefix(prefix).rstrip("/").replace("\\ ", " ") for entry in offered]
    assert sorted(plain) == expected


ZSH = r"""
autoload -U compinit && compinit -u -d "$HOME/.zcompdump"
source <(dispatch completion zsh)
[[ ${_comps[dispatch]} == _dispatch ]] || print -r -- "not registered"
_describe() { print -rl -- "${(@P)4}" }
_files() { print -r -- "files $*" }
compset() { : }
words=("${(@s: :)1}")
CURRENT=$#words
_dispatch
"""


@pytest.mark.parametrize("line,expected", [
    ("dispatch get func", ["function:List functions, or show one"]), ("dispatch exec he", ["hello", "help-desk"]),
    ("dispatch --output=j", ["--output=json"]), ("dispatch create -f one", ["files "]), ("dispatch apply -w sub", ["files -/"]),
    ("dispatch exec x ", [])])
def test_zsh(shell, line, expected):
    assert shell("zsh", "-f", "-c", ZSH, "zsh", line) == expected


def screen(shell, command, ready, keys, wanted):
    """A shell on a terminal: after what starts it has printed `ready`, types keys until `wanted` shows."""
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not installed")
    import pty
    master, slave = pty.openpty()
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=shell.env, cwd=shell.folder, close_fds=True,
                               start_new_session=True)
    os.close(slave)
    seen, deadline, typed = b"", time.monotonic() + recorder.TIMEOUT_S, False
    try:
        while time.monotonic() < deadline and wanted not in seen:
            if not typed and ready in seen:
                os.write(master, keys)
                typed = True
            if select.select([master], [], [], 1)[0]:
                seen += os.read(master, 4096)
    finally:
        process.kill()
        process.wait()
        os.close(master)
    assert wanted in seen, seen.decode(errors="replace")


def test_zsh_on_a_terminal(shell):
    (shell.folder / ".zshrc").write_text('autoload -U compinit && compinit -u\nsource <(dispatch completion zsh)\nPS1="rea""dy> "\n')
    screen(shell, ["zsh", "-i"], b"ready> ", b"dispatch create endpoint x sh\t", b"endpoint x shop")


def test_bash_on_a_terminal(shell):
    (shell.folder / "rc").write_text('source <(dispatch completion)\nPS1="rea""dy> "\n')
    screen(shell, ["bash", "--rcfile", "rc", "-i"], b"ready> ", b"dispatch create endpoint x sh\t", b"endpoint x shop")
