"""The python3 agent over the invocation channel."""
import json
import pathlib

import pytest

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
ECHO = "def handle(context, payload):\n    return payload\n"


def test_hello_of_the_quickstart(start):
    agent = start("python3", {"hello.py": (EXAMPLES / "python3/hello.py").read_text()}, "hello.handle")
    reply = agent.call({"name": "user"})
    assert reply.json == {"myField": "Hello, user from Nowhere"}
    assert reply.body == b'{"myField":"Hello, user from Nowhere"}'
    assert reply.lines() == ["messages to stdout show up in logs"]
    assert reply.logs[2] == b""
    assert agent.call(b"", content_type=None).json == {"myField": "Hello, Noone from Nowhere"}
    reply = agent.call(method="GET", path="/hello?name=Jon&place=Winterfell", content_type=None, source="endpoint")
    assert reply.json == {"myField": "Hello, Jon from Winterfell"}
