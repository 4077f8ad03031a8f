"""logs, wait, and the end of what follows by a signal."""
import signal
import subprocess

import pytest

import recorder

OLD = {"name": "r1", "functionName": "f", "status": "READY", "executedTime": 5, "logs": {"stdout": ["old"], "stderr": None}}
NEW = {"name": "r2", "functionName": "f", "status": "ERROR", "executedTime": 6,
       "logs": {"stdout": ["to out", "\x1b[1mbold"], "stderr": ["to err"]}}


def test_logs_are_those_of_the_newest_run(api, dispatch):
    api.reply("GET", "/v1/runs", [OLD, NEW])
    result = dispatch("logs", "f")
    assert (result.out, result.err, result.code) == ("to out\n\x1b[1mbold\n", "to err\n", 0)
    assert api.last.line == "GET /v1/runs?functionName=f&since=-62135596800&limit=1"


def test_logs_of_one_run(api, dispatch):
    api.reply("GET", "/v1/runs/r1", OLD)
    assert dispatch("logs", "f", "--run", "r1").out == "old\n"
    assert api.last.line == "GET /v1/runs/r1?functionName=f&since=-62135596800"
    result = dispatch("logs", "f", "--run", "r9")
    assert (result.code, result.err) == (1, "[Code: 404] nothing here\n")


def test_logs_without_a_run_say_so(api, dispatch):
    api.reply("GET", "/v1/runs", [])
    assert dispatch("logs", "f").err == "there is no run of function f\n"
    assert dispatch("logs", "").code == 1 and dispatch("logs", "f", "-f", "--run", "x").code == 1


def test_following_prints_each_run_once_when_it_is_over(api, dispatch):
    running = {"name": "r3", "functionName": "f", "status": "INITIALIZED", "executedTime": 7}
    over = {**running, "status": "READY", "logs": {"stdout": ["third"], "stderr": []}}
    for reply in ([], [OLD], [running, OLD], [over, OLD, NEW], [over], []):
        api.reply("GET", "/v1/runs", reply)
    api.reply("GET", "/v1/runs", {"code": 500, "message": "enough"}, status=500)
    result = dispatch("logs", "f", "-f")
    assert (result.code, result.out) == (1, "old\nto out\n\x1b[1mbold\nthird\n")
    assert result.err == "to err\n[Code: 500] enough\n"


def follow(dispatch, api, *args):
    environment = dispatch.environment(DISPATCH_HOST="127.0.0.1", DISPATCH_PORT=str(api.port), DISPATCH_SCHEME="http")
    return subprocess.Popen([recorder.DISPATCH, *args], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize("args", [("logs", "f", "-f"), ("get", "runs", "--follow", "--no-headers")])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_following_in_peace(api, dispatch, args, number):
    api.reply("GET", "/v1/runs", [OLD])
    with follow(dispatch, api, *args) as process:
        assert process.stdout.readline() != b""
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out, err) == (0, b"", b"")


def test_wait_until_ready(api, dispatch):
    for status in ("CREATING", "CREATING", "READY"):
        api.reply("GET", "/v1/image/x", {"name": "x", "status": status})
    result = dispatch("wait", "image", "x")
    assert (result.out, result.err, result.code) == ("image x is READY\n", "", 0) and len(api.requests) == 3


def test_wait_until_deleted(api, dispatch):
    api.reply("GET", "/v1/api/x", {"name": "x", "status": "DELETING"})
    api.reply("GET", "/v1/api/x", {"code": 404, "message": "gone"}, status=404)
    assert dispatch("wait", "api", "x", "--for", "deleted").out == "API x is deleted\n"


def test_waits_that_end_badly(api, dispatch):
    api.reply("GET", "/v1/function/x", {"name": "x", "status": "ERROR", "reason": ["no handler"]})
    assert dispatch("wait", "function", "x").err == "function x is in ERROR: no handler\n"
    assert dispatch("wait", "function", "y").err == "[Code: 404] nothing here\n"
    api.reply("GET", "/v1/image/x", {"name": "x", "status": "CREATING"})
    slow = dispatch("wait", "image", "x", "--timeout", "100ms")
    assert slow.code == 1 and "still CREATING" in slow.err and "--timeout" in slow.err
    assert "must be READY or deleted" in dispatch("wait", "image", "x", "--for", "luck").err


def test_wait_for_a_run(api, dispatch):
    api.reply("GET", "/v1/runs/r1", {**OLD, "status": "INITIALIZED"})
    api.reply("GET", "/v1/runs/r1", OLD)
    assert dispatch("wait", "run", "r1").out == "run r1 is READY\n"
