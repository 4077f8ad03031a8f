"""exec and get run."""
import base64
import json
import subprocess

import pytest

import recorder

A = {"name": "0b3e2f0a-7d7e-4b64-9d36-0f9b1c6d2f01", "functionName": "hello", "status": "READY", "executedTime": 1538689412,
     "finishedTime": 1538689413}
B = {**A, "name": "1b3e2f0a-7d7e-4b64-9d36-0f9b1c6d2f01", "executedTime": 1538689500, "finishedTime": 0}
SINCE = "since=-62135596800"


def test_exec_sends_standard_input_and_prints_bytes_as_they_are(api, dispatch):
    output = b"\x00\xff no newline"
    api.reply("POST", "/v1/runs", {"outputBytes": base64.b64encode(output).decode(), "httpContext": {}})
    result = dispatch("exec", "hello", stdin=b'{"name": "user"}\n')
    assert (result.code, result.out_bytes, result.err) == (0, output, "")
    assert api.last.line == "POST /v1/runs?functionName=hello"
    assert api.last.body == (b'{"blocking":true,"httpContext":{"Accept":"application/json","Content-Type":"application/json"},'
                             b'"inputBytes":"' + base64.b64encode(b'{"name": "user"}\n') + b'"}')


def test_exec_without_input_leaves_it_out(api, dispatch):
    api.reply("POST", "/v1/runs", {"httpContext": {}})
    result = dispatch("exec", "hello", "-a", "text/plain", "-c", "text/csv", "--secret", "s1", "--secret", "s2")
    assert (result.code, result.out_bytes, result.err) == (0, b"", "")
    assert api.last.json == {"blocking": True, "httpContext": {"Accept": "text/plain", "Content-Type": "text/csv"},
                             "secrets": ["s1", "s2"]}


def test_exec_takes_a_202_in_silence(api, dispatch):
    api.reply("POST", "/v1/runs", {"name": A["name"]}, status=202)
    result = dispatch("exec", "hello", stdin=b"x")
    assert (result.code, result.out_bytes, result.err) == (0, b"", "")


def test_exec_reports_errors_with_its_prefix(api, dispatch):
    api.reply("POST", "/v1/runs", {"code": 404, "message": "function hello not found"}, status=404)
    result = dispatch("exec", "hello")
    assert (result.code, result.out, result.err) == (1, "", "api client error: [Code: 404] function hello not found\n")


@pytest.mark.parametrize("flags,blocking", [(["--wait"], True), (["--all"], None), (["--input", '{"a": [1]}'], None)])
def test_exec_in_solos_form_does_not_read_standard_input(api, dispatch, flags, blocking):
    api.reply("POST", "/v1/runs", {**A, "output": {"x": 1}}, status=202)
    with subprocess.Popen(["sleep", "60"], stdout=subprocess.PIPE) as never:
        process = subprocess.run([recorder.DISPATCH, "exec", "hello", *flags], stdin=never.stdout, capture_output=True, timeout=30,
                                 check=False, env=dispatch.environment(DISPATCH_HOST="127.0.0.1", DISPATCH_SCHEME="http",
                                                                       DISPATCH_PORT=str(api.port)))
        never.kill()
    shown = json.loads(process.stdout)
    assert process.returncode == 0 and shown["output"] == {"x": 1} and process.stdout.startswith(b'{\n    "')
    expected = {"input": {"a": [1]} if "--input" in flags else {}, "reason": None, "secrets": [], "services": None, "tags": None}
    if blocking:
        expected["blocking"] = True
    assert api.last.json == expected


def test_exec_with_bad_json_input_sends_nothing(api, dispatch):
    result = dispatch("exec", "hello", "--input", "{")
    assert result.code == 1 and result.err.startswith("Error when parsing function parameters {") and api.requests == []


def test_get_runs_asks_since_ever_and_aligns_numbers(api, dispatch):
    api.reply("GET", "/v1/runs", [A, B])
    result = dispatch("get", "runs")
    assert api.last.line == f"GET /v1/runs?{SINCE}"
    assert result.out == (
        "                   ID                  | FUNCTION | STATUS |  STARTED   |  FINISHED   \n"
        "--------------------------------------------------------------------------------\n"
        f"  {A['name']} | hello    | READY  | 1538689412 | 1538689413  \n"
        f"  {B['name']} | hello    | READY  | 1538689500 |          0  \n")


def test_get_runs_of_a_function_and_one_run(api, dispatch):
    api.reply("GET", "/v1/runs", [A])
    api.reply("GET", f"/v1/runs/{A['name']}", A)
    assert dispatch("get", "run", "hello").code == 0
    assert api.last.line == f"GET /v1/runs?functionName=hello&{SINCE}"
    result = dispatch("get", "run", "hello", A["name"], "-o", "json")
    assert api.last.line == f"GET /v1/runs/{A['name']}?functionName=hello&{SINCE}"
    assert json.loads(result.out)["name"] == A["name"]


def test_last_keeps_the_newest_as_a_list(api, dispatch):
    api.reply("GET", "/v1/runs", [B, A])
    shown = json.loads(dispatch("get", "runs", "--last", "-o", "json").out)
    assert [run["name"] for run in shown] == [B["name"]]
    same = [{**A, "executedAt": "2018-10-04T21:43:32.1Z"}, {**B, "executedTime": A["executedTime"],
                                                            "executedAt": "2018-10-04T21:43:32.2Z"}]
    api.replies.clear()
    api.reply("GET", "/v1/runs", same)
    assert dispatch("get", "runs", "--last", "-o", "name").out == B["name"] + "\n"


def test_follow_goes_on_with_rows_only(api, dispatch):
    api.reply("GET", "/v1/runs", [A])
    api.reply("GET", "/v1/runs", [B])
    api.reply("GET", "/v1/runs", {"code": 500, "message": "enough"}, status=500)
    result = dispatch("get", "runs", "-f")
    lines = result.out.splitlines()
    assert result.code == 1 and result.err == "[Code: 500] enough\n"
    assert len(lines) == 4 and B["name"] in lines[3] and "ID" not in lines[3]
    since = [int(request.path.split("since=")[1]) for request in api.requests]
    assert since[0] == -62135596800 and since[2] >= since[1] > 1500000000
