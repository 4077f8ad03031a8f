"""Functions from their making to their records: statuses and reasons, what a handler sees, runs and their errors."""
import base64
import datetime
import json
import os
import subprocess

import pytest

import harness


def test_a_syntax_error_is_the_status_with_its_place(server, name):
    found = server.function(name, "def handle(ctx, payload)\n    return 1\n", wanted="ERROR")
    text = "\n".join(found["reason"])
    assert "SyntaxError" in text and "handler.py" in text and "line 1" in text


def test_a_missing_handler_is_the_status(server, name):
    found = server.function(name, {"code.py": "x = 1\n"}, handler="code.nothing", wanted="ERROR")
    assert "nothing" in "\n".join(found["reason"])


def test_a_missing_file_is_the_status(server, name):
    found = server.function(name, {"code.py": "x = 1\n"}, handler="gone.handle", wanted="ERROR")
    assert "gone" in "\n".join(found["reason"])


def test_a_crash_at_import_is_the_status_with_its_trace(server, name):
    code = "def broken():\n    raise RuntimeError('too early')\nbroken()\ndef handle(ctx, payload):\n    return 1\n"
    text = "\n".join(server.function(name, code, wanted="ERROR")["reason"])
    assert "too early" in text and "broken" in text


def test_an_exit_at_import_is_the_status_and_no_hang(server, name):
    code = "import os\nos._exit(7)\n"
    assert server.function(name, code, wanted="ERROR")["reason"]


def test_a_run_of_a_function_in_error_is_a_409_with_the_reason(server, name):
    server.function(name, "import nothing_like_that\n", wanted="ERROR")
    reply = server.api("POST", f"/v1/runs?functionName={name}", {"blocking": True, "input": {}})
    assert reply.status == 409 and "nothing_like_that" in reply.json["message"]


def test_a_function_in_error_is_mended_by_an_update(server, name):
    server.function(name, "def handle(\n", wanted="ERROR")
    server.update(name, "def handle(ctx, payload):\n    return 'mended'\n")
    assert server.run(name)["output"] == "mended"


def test_a_run_waits_for_a_function_that_is_not_ready_yet(server, name):
    server.function(name, "import time\ntime.sleep(1)\ndef handle(ctx, payload):\n    return 'slow start'\n", wanted=None)
    assert server.run(name)["output"] == "slow start"


def test_an_update_is_what_the_next_run_sees(server, name):
    server.function(name, "def handle(ctx, payload):\n    return 1\n")
    assert server.run(name)["output"] == 1
    server.update(name, "def handle(ctx, payload):\n    return 2\n")
    assert [server.run(name)["output"] for _ in range(3)] == [2, 2, 2]


def test_a_function_deleted_and_made_again_has_none_of_the_old_runs(server, name):
    server.function(name, "def handle(ctx, payload):\n    return 1\n")
    server.run(name)
    assert server.api("DELETE", f"/v1/function/{name}").status == 200
    assert server.api("POST", f"/v1/runs?functionName={name}", {"blocking": True, "input": 1}).status == 404
    server.function(name, "def handle(ctx, payload):\n    return 2\n")
    assert server.run(name)["output"] == 2
    assert len(server.api("GET", f"/v1/runs?functionName={name}").json) == 1


def test_a_module_beside_the_handler_can_be_imported(server, name):
    files = {"main.py": "from lib.words import word\nimport other\ndef handle(ctx, payload):\n    return word + other.x\n",
             "lib/__init__.py": "", "lib/words.py": "word = 'hello '\n", "other.py": "x = 'world'\n"}
    server.function(name, files, handler="main.handle")
    assert server.run(name)["output"] == "hello world"


def test_secrets_reach_the_handler_flat_and_by_name(server, name):
    values = {"user": "white-rabbit", "password": "im-late"}
    assert server.api("POST", "/v1/secret", {"name": name, "secrets": values}).status == 201
    server.function(name, "def handle(ctx, payload):\n    return ctx['secrets']\n", secrets=[name])
    seen = server.run(name)["output"]
    assert {key: seen[key] for key in values} == values
    assert json.loads(seen[name]) == values


def test_a_changed_secret_is_what_the_next_run_sees(server, name):
    assert server.api("POST", "/v1/secret", {"name": name, "secrets": {"k": "old"}}).status == 201
    server.function(name, "def handle(ctx, payload):\n    return ctx['secrets']['k']\n", secrets=[name])
    assert server.run(name)["output"] == "old"
    assert server.api("PUT", f"/v1/secret/{name}", {"name": name, "secrets": {"k": "new"}}).status == 201
    assert server.run(name)["output"] == "new"


def test_a_secret_of_one_run_is_gone_with_it(server, name):
    assert server.api("POST", "/v1/secret", {"name": name, "secrets": {"only": "once"}}).status == 201
    server.function(name, "def handle(ctx, payload):\n    return ctx['secrets'].get('only')\n")
    assert server.run(name, secrets=[name])["output"] == "once"
    assert server.run(name).get("output") is None


def test_a_secret_that_does_not_exist_is_an_error_of_the_run(server, name):
    server.function(name, "def handle(ctx, payload):\n    return 1\n")
    run = server.run(name, secrets=["none-such"])
    assert run["status"] == "ERROR" and "secret none-such not found" in run["error"]["message"]


def test_secrets_are_nowhere_on_disk_in_clear(server, name):
    value = "clear-" + os.urandom(12).hex()
    assert server.api("POST", "/v1/secret", {"name": name, "secrets": {"k": value}}).status == 201
    server.function(name, "def handle(ctx, payload):\n    return len(ctx['secrets']['k'])\n", secrets=[name])
    assert server.run(name)["output"] == len(value)
    needles = [value.encode(), base64.b64encode(value.encode())[:-4]]
    for top, _, files in os.walk(server.state):
        for file in files:
            if not os.path.isfile(os.path.join(top, file)):
                continue
            with open(os.path.join(top, file), "rb") as opened:
                content = opened.read()
            assert not any(needle in content for needle in needles), os.path.join(top, file)
    assert value not in server.log(10000)


def test_the_key_of_the_secrets_is_for_one_user_alone(server):
    keys = [os.path.join(top, file) for top, _, files in os.walk(server.state) for file in files if file == "secret.key"]
    assert len(keys) == 1 and os.stat(keys[0]).st_mode & 0o777 == 0o600


def test_secrets_are_not_in_the_environment(server, name):
    assert server.api("POST", "/v1/secret", {"name": name, "secrets": {"KEY": "hidden-value"}}).status == 201
    server.function(name, "import os\ndef handle(ctx, payload):\n    return dict(os.environ)\n", secrets=[name])
    assert "hidden-value" not in json.dumps(server.run(name)["output"])


def test_environment_variables_of_a_function(server, name):
    server.function(name, "import os\ndef handle(ctx, payload):\n    return os.environ.get('GREETING')\n",
                    env={"GREETING": "ahoy"})
    assert server.run(name)["output"] == "ahoy"


def test_what_a_handler_prints_is_the_log_of_its_run(server, name):
    code = ("import sys, os\ndef handle(ctx, payload):\n    print('to', payload)\n    print('oops', file=sys.stderr)\n"
            "    os.write(1, b'raw\\n')\n")
    server.function(name, code)
    for word in ("first", "second"):
        logs = server.run(name, word)["logs"]
        assert sorted(logs["stdout"]) == sorted([f"to {word}", "raw"]) and logs["stderr"] == ["oops"]


def test_a_log_past_its_limit_is_cut_and_says_so(server, name):
    code = "def handle(ctx, payload):\n    for i in range(40000):\n        print('x' * 99)\n    return 'done'\n"
    server.function(name, code)
    run = server.run(name)
    assert run["output"] == "done"
    lines = run["logs"]["stdout"]
    assert sum(len(line) + 1 for line in lines) <= (1 << 20) + 500
    assert any("limit of 1048576 bytes" in line for line in lines[-1:] + (run["logs"]["stderr"] or [])[-1:]), lines[-1]


@pytest.mark.parametrize("code, kind, text", [
    ("raise ValueError('bad value')", "InputError", "bad value"),
    ("raise TypeError('bad type')", "InputError", "bad type"),
    ("raise KeyError('k')", "FunctionError", "k"),
    ("return {1, 2}", "FunctionError", ""),
    ("import sys; sys.exit(3)", "FunctionError", ""),
])
def test_a_failed_run_is_a_200_with_the_error_inside(server, name, code, kind, text):
    server.function(name, f"def handle(ctx, payload):\n    print('before')\n    {code}\n")
    message = server.message(name, '{"x": 1}')
    error = message["context"]["error"]
    assert error["type"] == kind and text in error["message"]
    assert message["payload"] is None and message["context"]["logs"]["stdout"] == ["before"]
    run = server.run(name, {"x": 1})
    assert run["status"] == "ERROR" and run["error"]["type"] == kind and run["reason"]
    done = server.cli("exec", name, input='{"x": 1}')
    assert json.loads(done.stdout)["context"]["error"]["type"] == kind


def test_an_unserialisable_input_of_a_run(server, name):
    server.function(name, "def handle(ctx, payload):\n    return payload\n")
    error = server.message(name, "{broken")["context"]["error"]
    assert error["type"] == "InputError" and error["message"].startswith("Invalid Input: ")


def test_bytes_in_and_out(server, name):
    server.function(name, "def handle(ctx, payload):\n    return bytes(payload)[::-1]\n")
    message = server.message(name, b"\x00\x01\xff", "application/octet-stream")
    assert base64.b64decode(message["payload"]) == b"\xff\x01\x00" and message["payloadEncoding"] == "base64"
    assert server.message(name, b"abc", "application/octet-stream")["payload"] == "cba"
    server.endpoint(name, name, [f"/{name}"], ["POST"])
    reply = server.gateway("POST", f"/{name}", b"\x00\x01\xff", {"Content-Type": "application/octet-stream"})
    assert reply.status == 200 and reply.body == b"\xff\x01\x00"


def test_a_handler_may_set_the_whole_response(server, name):
    code = ("def handle(ctx, payload):\n"
            "    return {'x': 1}\n")
    server.function(name, code)
    server.endpoint(name, name, [f"/{name}"])
    reply = server.gateway("GET", f"/{name}")
    assert reply.headers["Content-Type"].startswith("application/json") and reply.json == {"x": 1}


def test_what_the_context_holds(server, name):
    code = "def handle(ctx, payload):\n    return {k: ctx.get(k) for k in ('timeout', 'deadline', 'request', 'httpContext')}\n"
    server.function(name, code, timeout=7000)
    server.endpoint(name, name, [f"/{name}"])
    seen = server.gateway("GET", f"/{name}?q=1", headers={"X-Mine": "yes"}).json
    assert seen["timeout"] == 7000
    deadline = datetime.datetime.fromisoformat(seen["deadline"].replace("Z", "+00:00"))
    assert deadline - datetime.datetime.now(datetime.timezone.utc) < datetime.timedelta(seconds=8)
    assert seen["request"]["uri"] == f"/{name}?q=1" and seen["request"]["method"] == "GET"
    headers = {key.lower(): value for key, value in seen["request"]["header"].items()}
    assert headers["x-mine"] == ["yes"]
    assert seen["httpContext"]["method"] == "GET"


def test_a_run_has_its_record(server, name):
    server.function(name, "def handle(ctx, payload):\n    return payload['x'] * 2\n")
    run = server.run(name, {"x": 21})
    assert run["output"] == 42 and run["status"] == "READY" and run["functionName"] == name
    found = server.api("GET", f"/v1/runs/{run['name']}").json
    assert found["output"] == 42 and found["input"] == {"x": 21}
    assert found["start"] in ("hot", "ahead", "template", "zygote", "boot") and found["timing"]["handler"] >= 0
    assert found["usage"]["memoryPeakBytes"] > 0
    for key in ("executedAt", "finishedAt"):
        assert datetime.datetime.fromisoformat(found[key].replace("Z", "+00:00"))


def test_a_run_that_does_not_block_is_a_202_and_goes_on(server, name):
    server.function(name, "def handle(ctx, payload):\n    return payload + 1\n")
    run = server.run(name, 1, blocking=False)
    assert run["status"] in ("INITIALIZED", "CREATING")
    done = harness.poll(lambda: (found := server.api("GET", f"/v1/runs/{run['name']}").json)["status"] == "READY" and found,
                        10, "the run")
    assert done["output"] == 2


def test_many_runs_at_once(server, name):
    import concurrent.futures
    server.function(name, "import time\ndef handle(ctx, payload):\n    time.sleep(0.05)\n    return payload\n")
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        outputs = list(pool.map(lambda number: server.run(name, number)["output"], range(64)))
    assert outputs == list(range(64))


def test_isolation_run_gives_each_run_a_fresh_process(server, name):
    code = "count = 0\ndef handle(ctx, payload):\n    global count\n    count += 1\n    return count\n"
    server.function(name, code, isolation="run")
    assert [server.run(name)["output"] for _ in range(3)] == [1, 1, 1]


SHELL = "#!/bin/sh\n"


def test_a_program_that_fails_is_a_function_error_with_its_log(server, name):
    server.function(name, {"run.sh": (SHELL + "echo trouble >&2\nexit 3\n", 0o755)}, image="native", handler="./run.sh")
    message = server.message(name, "{}")
    assert message["context"]["error"]["type"] == "FunctionError" and "3" in message["context"]["error"]["message"]
    assert message["context"]["logs"]["stderr"] == ["trouble"]


def test_a_program_gets_its_payload_on_standard_input_and_its_context_on_a_descriptor(server, name):
    script = SHELL + 'eval "context=\\$(cat <&$DISPATCH_CONTEXT_FD)"\nprintf \'{"context":%s,"payload":%s}\' "$context" "$(cat)"\n'
    server.function(name, {"run.sh": (script, 0o755)}, image="native", handler="./run.sh", timeout=9000)
    output = server.run(name, [1, {"a": "b"}])["output"]
    assert output["payload"] == [1, {"a": "b"}] and output["context"]["timeout"] == 9000


def test_output_of_a_program_that_is_no_json_is_text(server, name):
    server.function(name, {"run.sh": (SHELL + "cat >/dev/null\necho just words\n", 0o755)}, image="native")
    assert server.run(name, {})["output"].rstrip("\n") == "just words"


def test_a_program_that_reads_nothing(server, name):
    server.function(name, {"run.sh": (SHELL + "echo '{\"ok\": true}'\n", 0o755)}, image="native")
    assert server.run(name, "x" * 300000)["output"] == {"ok": True}


def test_a_link_that_leaves_the_directory_is_an_error_of_the_client(server, name, tmp_path):
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "main.py").write_text("def handle(ctx, payload):\n    return 1\n")
    (folder / "out").symlink_to("/etc/passwd")
    done = server.cli("create", "function", name, str(folder), "--image", "python3", "--handler", "main.handle", check=False)
    assert done.returncode == 1 and "out" in done.stderr and "Traceback" not in done.stderr
    assert server.api("GET", f"/v1/function/{name}").status == 404


@pytest.mark.parametrize("member", ["../evil.py", "/evil.py", "a/../../evil.py"])
def test_an_archive_that_leaves_its_folder_is_refused(server, name, member):
    source = harness.pack({"main.py": "def handle(ctx, payload):\n    return 1\n", member: "evil\n"}, prefix="")
    reply = server.api("POST", "/v1/function", {"name": name, "source": source, "image": "python3",
                                               "handler": "main.handle"})
    if reply.status == 201:
        server.wait_status("function", name, "ERROR")
    else:
        assert reply.status in (400, 422), reply
    assert not subprocess.run(["find", server.state, "-name", "evil.py"], capture_output=True, text=True).stdout
