"""What a new user does first, word for word, and that all of it is still there after a stop and after kill -9."""
import json
import os
import re
import signal
import subprocess

import pytest

import harness
from harness import DEFAULT_HOST, ROOT

MESSAGE = ('{"context":{"logs":{"stdout":["messages to stdout show up in logs"],"stderr":null}},'
           '"payload":{"myField":"Hello, user from Nowhere"}}')


def table_row(text, name):
    rows = [line for line in text.splitlines() if line.split("|")[0].strip() == name]
    assert len(rows) == 1, text
    return [cell.strip() for cell in rows[0].split("|")]


def transcript_begins(server):
    done = server.cli("create", "image", "python3", harness.PYTHON_BASE, "--wait")
    assert done.stdout == "Created image: python3\n"
    assert table_row(server.cli("get", "images").stdout, "python3")[3] == "READY"
    done = server.cli("create", "function", "--image", "python3", "hello", "./examples/python3/hello.py", "--wait")
    assert done.stdout == "Created function: hello\n"
    assert table_row(server.cli("get", "function").stdout, "hello")[2] == "READY"


def transcript_ends(server):
    done = server.cli("exec", "hello", input='{"name": "user"}\n')
    assert json.dumps(json.loads(done.stdout), separators=(",", ":")) == MESSAGE
    done = server.cli("create", "endpoint", "get-hello", "hello", "--method", "GET", "--method", "POST", "--path", "/hello")
    assert done.stdout == "Created endpoint: get-hello\n"
    check_endpoint(server)


def check_endpoint(server):
    url = f"{harness.SCHEME}://127.0.0.1:{server.gateway_port}/hello?name=Jon"
    done = subprocess.run(["curl", "-sSk", "--noproxy", "*", url, "-H", f"Host: {DEFAULT_HOST}"], capture_output=True,
                          text=True, check=True, env=harness.clean_environment(), timeout=30)
    assert done.stdout.strip() == '{"myField":"Hello, Jon from Nowhere"}'


@pytest.mark.smoke
def test_the_transcript_of_the_quickstart(fresh):
    transcript_begins(fresh)
    transcript_ends(fresh)


def test_everything_is_there_after_a_stop_and_a_start(fresh):
    transcript_begins(fresh)
    assert fresh.stop() == 0
    fresh.start()
    transcript_ends(fresh)
    fresh.restart()
    check_endpoint(fresh)
    done = fresh.cli("exec", "hello", input='{"name": "user"}\n')
    assert json.loads(done.stdout)["payload"] == {"myField": "Hello, user from Nowhere"}
    runs = fresh.api("GET", "/v1/runs?functionName=hello&since=-62135596800").json
    assert len(runs) >= 2


def test_everything_is_there_after_kill_9_of_the_first_process(fresh):
    transcript_begins(fresh)
    fresh.kill()
    fresh.start()
    transcript_ends(fresh)
    fresh.kill()
    fresh.start()
    check_endpoint(fresh)


def test_everything_is_there_after_kill_9_of_the_server(fresh):
    transcript_begins(fresh)
    pid = fresh.server_pid()
    assert pid, "the unprivileged server process was not found"
    os.kill(pid, signal.SIGKILL)
    harness.poll(lambda: fresh.server_pid() not in (None, pid) and fresh.is_ready(), 15, "a server started anew")
    transcript_ends(fresh)


@pytest.mark.parametrize("language", ["shell", "c"])
def test_an_executable_is_a_function(server, tmp_path, language):
    function = f"hello-{language}"
    if language == "c":
        program = tmp_path / "hello"
        subprocess.run(["cc", "-O2", "-o", program, f"{ROOT}/examples/native/hello.c"], check=True)
    else:
        program = f"{ROOT}/examples/native/hello.sh"
    server.cli("create", "function", "--image", "native", function, str(program), "--wait")
    message = json.loads(server.cli("exec", function, input='{"name": "user"}\n').stdout)
    assert message["payload"] == {"myField": "Hello, user from Nowhere"}
    server.cli("create", "endpoint", f"get-{function}", function, "--method", "GET", "--path", f"/{function}")
    reply = server.gateway("GET", f"/{function}?name=Jon")
    assert (reply.status, reply.json) == (200, {"myField": "Hello, Jon from Nowhere"})


def test_a_table_has_the_layout_of_the_original_client(server):
    text = server.cli("get", "images").stdout
    header, dashes, *rows = text.splitlines()
    assert header.startswith("  ") and header.endswith("  ")
    assert [cell.strip() for cell in header.split("|")] == ["NAME", "DESTINATION", "BASEIMAGE", "STATUS", "CREATED DATE"]
    assert re.fullmatch("-+", dashes)
    assert len(rows) == 2 and all(len(row) == len(header) for row in rows)


def test_an_empty_list_is_a_header_and_dashes(fresh):
    lines = fresh.cli("get", "functions").stdout.splitlines()
    assert len(lines) == 2 and "NAME" in lines[0] and set(lines[1]) == {"-"}


def test_output_formats(server, name):
    server.function(name, "def handle(ctx, payload):\n    return 1\n")
    one = server.cli("get", "function", name, "-o", "json").stdout
    assert one.startswith("{\n    \"") and one.endswith("}\n") and json.loads(one)["name"] == name
    listed = json.loads(server.cli("get", "function", "-o", "json").stdout)
    assert isinstance(listed, list) and name in [each["name"] for each in listed]
    text = server.cli("get", "function", name, "-o", "yaml").stdout
    assert "meta:" in text and f"name: {name}" in text and "status: READY" in text
    assert name in server.cli("get", "function", "-o", "name").stdout


def test_the_client_names_an_error_and_its_code(server):
    done = server.cli("get", "function", "none", check=False)
    assert done.returncode == 1 and done.stdout == ""
    assert "[Code: 404]" in done.stderr and "function none not found" in done.stderr


def test_version_of_client_and_server(server):
    lines = server.cli("version").stdout.splitlines()
    assert lines[0].startswith("Client: ") and lines[1].startswith("Server: ")
    assert server.api("GET", "/v1/version").json["version"] == lines[1].removeprefix("Server: ")
