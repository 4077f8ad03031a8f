"""The native agent over the invocation channel."""
import pathlib
import subprocess

import pytest

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"


def sh(body):
    return {"f": "#!/bin/sh\n" + body}


@pytest.fixture(params=["shell", "c"])
def hello(request, start, tmp_path):
    if request.param == "shell":
        return start("native", {"hello.sh": (EXAMPLES / "native/hello.sh").read_text()}, "./hello.sh")
    program = tmp_path / "hello"
    subprocess.run(["cc", "-O2", "-o", program, EXAMPLES / "native/hello.c"], check=True)
    return start("native", {"hello": program.read_bytes()}, "./hello")


def test_hello_of_the_quickstart(hello):
    reply = hello.call({"name": "user"})
    assert reply.body == b'{"myField":"Hello, user from Nowhere"}'
    assert reply.json == {"myField": "Hello, user from Nowhere"}
    assert reply.lines(2) == ["messages to stderr show up in logs"]
    assert hello.call(b"").json == {"myField": "Hello, Noone from Nowhere"}
    query = hello.call(method="GET", path="/x?name=Jon&place=Winterfell", content_type=None, source="endpoint")
    assert query.json == {"myField": "Hello, Jon from Winterfell"}
