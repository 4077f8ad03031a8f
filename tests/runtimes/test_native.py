"""The native agent over the invocation channel."""
import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

import wire
from wire import frame

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
MIB = 1 << 20


@pytest.fixture
def shell(start):
    return lambda body, **how: start("native", {"f": "#!/bin/sh\n" + body}, "./f", **how)


@pytest.fixture
def program(start, tmp_path):
    """A C program of which only main's body is given."""
    def compile_and_start(body, **how):
        source = tmp_path / "f.c"
        source.write_text("#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <signal.h>\n"
                          "#include <unistd.h>\n#include <sys/wait.h>\nint main(void) {%s return 0; }" % body)
        subprocess.run(["cc", "-O1", "-w", "-o", tmp_path / "f", source], check=True)
        return start("native", {"f": (tmp_path / "f").read_bytes()}, "./f", **how)
    return compile_and_start


@pytest.fixture(params=["shell", "c"])
def hello(request, start, tmp_path):
    if request.param == "shell":
        return start("native", {"hello.sh": (EXAMPLES / "native/hello.sh").read_text()}, "./hello.sh")
    binary = tmp_path / "hello"
    subprocess.run(["cc", "-O2", "-o", binary, EXAMPLES / "native/hello.c"], check=True)
    return start("native", {"hello": binary.read_bytes()}, "./hello")


def test_hello_of_the_quickstart(hello):
    reply = hello.call({"name": "user"})
    assert reply.body == b'{"myField":"Hello, user from Nowhere"}'
    assert reply.json == {"myField": "Hello, user from Nowhere"}
    assert reply.lines(2) == ["messages to stderr show up in logs"]
    assert hello.call(b"").json == {"myField": "Hello, Noone from Nowhere"}
    query = hello.call(method="GET", path="/x?name=Jon&place=Winterfell", content_type=None, source="endpoint")
    assert query.json == {"myField": "Hello, Jon from Winterfell"}


# input

@pytest.mark.parametrize("body,content_type,how,stdin", [
    (b' {"a" : 1} ', "application/json", {}, b' {"a" : 1} '),
    (b"", "application/json", {}, b""),
    (b"a=1&b=2&a=3", "application/x-www-form-urlencoded", {}, b'{"a":["1","3"],"b":"2"}'),
    (b"\x00\xff", "image/png", {}, b"\x00\xff"),
    (b"text\n", "text/plain", {}, b"text\n"),
    (b"AAE=", "application/base64", {}, b"\x00\x01"),
    (b"", None, {"method": "GET", "path": "/?q=%41", "source": "endpoint"}, b'{"q":"A"}'),
    (b"", None, {"source": "endpoint"}, b"{}"),
])
def test_standard_input_is_the_payload(shell, body, content_type, how, stdin):
    agent = shell("cat > got; echo 1\n")
    agent.call(body, content_type=content_type, **how)
    assert (agent.folder / "got").read_bytes() == stdin


def test_broken_json_is_an_input_error_and_nothing_runs(shell):
    agent = shell("touch ran\n")
    assert agent.call(b"{").error["type"] == "InputError"
    assert not (agent.folder / "ran").exists()


def test_the_context_is_in_its_descriptor(shell):
    agent = shell("test \"$DISPATCH_CONTEXT_FD\" = 3 && cat <&3\n", specialise={"secrets": {"k": "v"}, "timeout_ms": 7})
    context = agent.call({}, fields=[("dispatch-deadline", "2018-10-04T21:43:32Z")], secrets={"r": "s"}).json
    assert context["secrets"] == {"k": "v", "r": "s"} and context["deadline"] == "2018-10-04T21:43:32Z"
    assert context["request"]["method"] == "POST"


def test_a_program_that_reads_nothing_is_fine(shell):
    agent = shell("echo '[1]'\n")
    assert agent.call(b"x" * (10 * MIB), content_type="application/octet-stream").json == [1]


def test_environment_folder_and_descriptors(shell):
    agent = shell("pwd; echo $GREETING; ls -l /proc/self/fd | sed 's/ (deleted)//' >&2\n",
                  specialise={"env": {"GREETING": "hi"}})
    reply = agent.call(b"")
    assert reply.body.decode().splitlines() == [str(agent.folder), "hi"]
    links = dict(line.split()[-3::2] for line in reply.lines(2) if " -> " in line)
    assert [links[fd].split(":")[0] for fd in "0123"] == ["pipe", "pipe", "pipe", "/memfd"]
    assert not [link for link in links.values() if link.startswith("socket:") or "secrets" in link]


def test_signals_are_as_a_program_expects_them(program):
    agent = program('signal(SIGTERM, SIG_DFL); struct sigaction a; sigaction(SIGPIPE, 0, &a); printf("%d", a.sa_handler == SIG_DFL);')
    assert agent.call(b"").json == 1


# output

@pytest.mark.parametrize("printed,content_type,body", [
    ("'{\"a\": 1}\\n\\n'", b"application/json", b'{"a": 1}'),
    ("'  42 \\n'", b"application/json", b"42"),
    ("''", b"application/json", b"null"),
    ("' \\n'", b"application/json", b"null"),
    ("'just words\\n'", b"text/plain; charset=utf-8", b"just words\n"),
    ("'{\"a\": 1} {}'", b"text/plain; charset=utf-8", b'{"a": 1} {}'),
    ("'\\377\\000x'", b"application/octet-stream", b"\xff\x00x"),
])
def test_standard_output_is_the_payload(shell, printed, content_type, body):
    reply = shell("printf %s\n" % printed).call(b"")
    assert (reply.status, dict(reply.fields)["content-type"], reply.body) == (200, content_type, body)


def test_10_mib_through_a_program_that_reads_and_writes_at_once(start):
    agent = start("native", {"f": "#!/bin/sh\nexec cat\n"}, "./f")
    body = os.urandom(10 * MIB)
    reply = agent.call(body, content_type="application/octet-stream")
    assert reply.body == body


def test_10_mib_of_log_beside_10_mib_of_output(shell):
    agent = shell("head -c 10485760 /dev/zero | tr '\\0' x >&2 & head -c 10485760 /dev/zero; wait\n")
    reply = agent.call(b"x" * (10 * MIB), content_type="application/octet-stream")
    assert len(reply.body) == 10 * MIB
    assert reply.lines(2)[-1] == "[log truncated: more than log-bytes-max, 1048576 bytes, was printed]"


def test_output_over_its_limit_ends_the_program(shell):
    reply = shell("yes\n", specialise={"reply_bytes_max": 100000}).call(b"")
    assert reply.error["type"] == "FunctionError" and "reply-bytes-max, 100000" in reply.error["message"]


def test_standard_error_is_the_log_as_it_comes(shell):
    agent = shell("echo first >&2; cat >/dev/null; echo second >&2; printf third >&2\n")
    stream = agent.begin(content_type="text/plain")
    agent.send_body(stream, b"x")
    reply = agent.finish(stream)
    assert reply.logs == {1: b"", 2: b"first\nsecond\nthird"}


def test_a_log_line_does_not_wait_for_the_end(shell):
    agent = shell("echo first >&2; read line < go; echo 1\n")
    os.mkfifo(agent.folder / "go")
    stream = agent.begin(content_type=None)
    agent.send_body(stream, b"")
    agent.take()
    assert agent.replies[stream].logs[2] == b"first\n"
    (agent.folder / "go").write_text("now\n")
    assert agent.finish(stream).json == 1


# errors

def test_an_exit_status_is_a_function_error_with_the_last_lines(shell):
    agent = shell("for i in $(seq 30); do echo line $i >&2; done; echo output; exit 3\n")
    error = agent.call(b"").error
    assert error["type"] == "FunctionError"
    assert error["message"] == "./f ended with exit status 3: line 30"
    assert error["stacktrace"] == ["line %d" % i for i in range(11, 31)]


def test_a_silent_failure_has_a_message_too(shell):
    assert shell("exit 1\n").call(b"").error == {
        "type": "FunctionError", "message": "./f ended with exit status 1", "stacktrace": []}


@pytest.mark.parametrize("name", ["SEGV", "ABRT", "TERM", "FPE"])
def test_a_signal_is_a_function_error_that_names_it(shell, name):
    agent = shell("echo dying >&2; kill -%s $$; sleep 9\n" % name)
    error = agent.call(b"").error
    assert error["type"] == "FunctionError" and "killed by signal SIG%s" % name in error["message"]
    assert error["message"].endswith(": dying")
    assert agent.process.poll() is None


def test_sigkill_is_a_system_error_and_the_end_of_the_agent(shell):
    agent = shell("kill -KILL $$\n")
    error = agent.call(b"").error
    assert error["type"] == "SystemError" and "memory limit" in error["message"]
    assert agent.wait() == 137


def test_a_caller_that_goes_away_ends_the_program(shell):
    agent = shell("echo $$ > pid; exec sleep 100\n")
    stream = agent.begin(content_type=None)
    agent.send_body(stream, b"")
    deadline = time.monotonic() + 10
    while not (agent.folder / "pid").exists() or not (agent.folder / "pid").read_text().strip():
        assert time.monotonic() < deadline
    pid = int((agent.folder / "pid").read_text())
    agent.send(frame(wire.RESET, stream))
    while os.path.exists("/proc/%d" % pid):
        assert time.monotonic() < deadline
    (agent.folder / "f").write_text("#!/bin/sh\necho 2\n")
    assert agent.call(b"").json == 2


def test_the_channels_end_ends_the_program(shell):
    agent = shell("exec sleep 100\n")
    stream = agent.begin(content_type=None)
    agent.send_body(stream, b"")
    time.sleep(0.2)
    agent.channel.close()
    assert agent.wait() == 0


@pytest.mark.parametrize("leftover", [
    "sleep 100 &", "setsid sleep 100 &", "(setsid sh -c 'sleep 100 & sleep 100' &)", "nohup sleep 100 >/dev/null 2>&1 &",
    "(trap '' TERM HUP INT; sleep 100) &",
])
def test_what_a_run_leaves_behind_is_killed(shell, leftover):
    agent = shell("%s\necho 1\n" % leftover)
    assert agent.call(b"").json == 1
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(agent.process.pid)], capture_output=True, text=True)
    assert children.stdout == ""
    assert agent.call(b"").json == 1


def test_output_of_a_child_in_the_background_is_kept(shell):
    reply = shell("(echo '\"child\"') &\nwait\n").call(b"")
    assert reply.json == "child"


def test_closed_output_does_not_hang(shell):
    assert shell("exec >&- 2>&-; sleep 0.2\n").call(b"").json is None


# loading

@pytest.mark.parametrize("files,handler", [
    ({"run": "#!/bin/sh\necho 1\n"}, ""), ({"run": "#!/bin/sh\necho 1\n"}, "run"), ({"run": "#!/bin/sh\necho 1\n"}, "./run"),
    ({"bin/a b": "#! /bin/sh -e\necho 1\n"}, "./bin/a b"),
])
def test_programs_that_load(start, files, handler):
    assert start("native", files, handler).call(b"").json == 1


def test_a_script_without_the_executable_bit_runs_by_its_shebang(start):
    agent = start("native", {"f": "#!/bin/sh -u\necho 1\n"}, ready=False)
    (agent.folder / "f").chmod(0o644)
    assert agent.specialise("./f") is None
    if os.geteuid() == 0:
        assert agent.call(b"").json == 1


def elf(machine=62, kind=3, cls=2):
    return b"\x7fELF" + bytes([cls, 1, 1]) + bytes(9) + kind.to_bytes(2, "little") + machine.to_bytes(2, "little") + bytes(100)


@pytest.mark.parametrize("content,mode,handler,message", [
    ("#!/bin/sh\n", 0o755, "./g", "no file './g' in the function's source"),
    ("#!/bin/sh\n", 0o755, "/bin/sh", "is not a path in the function's source"),
    ("#!/bin/sh\n", 0o755, "../f", "is not a path in the function's source"),
    ("#!/bin/sh\n", 0o755, "./x/../../f", "is not a path in the function's source"),
    ("#!/bin/sh\n", 0o755, ".", "is not a file"),
    ("echo no shebang\n", 0o755, "./f", "neither a program nor a script that starts with #!"),
    ("", 0o755, "./f", "neither a program nor a script"),
    ("#!/no/such/interpreter -x\n", 0o755, "./f", "the interpreter '/no/such/interpreter' of './f' is not in the image"),
    ("#!/bin/sh\r\necho\r\n", 0o755, "./f", "DOS line ends"),
    (elf(183), 0o755, "./f", "built for another processor"),
    (elf(62, cls=1), 0o755, "./f", "built for another processor"),
    (elf(62, kind=1), 0o755, "./f", "is not a program"),
    (b"\x7fELF", 0o755, "./f", "cut short"),
    (elf(), 0o644, "./f", "is not executable"),
])
def test_a_program_that_cannot_run_is_told_at_deployment(start, content, mode, handler, message):
    agent = start("native", {"f": content}, ready=False)
    (agent.folder / "f").chmod(mode)
    error = agent.specialise(handler)
    assert error["type"] == "FunctionError" and message in error["message"], error
    assert agent.wait() == 1


def test_a_missing_loader_is_told_at_deployment(start, tmp_path):
    (tmp_path / "f.c").write_text("int main(void) { return 0; }")
    subprocess.run(["cc", "-o", tmp_path / "f", tmp_path / "f.c", "-Wl,--dynamic-linker=/lib/ld-none.so.1"], check=True)
    agent = start("native", {"f": (tmp_path / "f").read_bytes()}, ready=False)
    assert "the loader '/lib/ld-none.so.1' of './f' is not in the image" in agent.specialise("./f")["message"]


def test_two_files_need_a_handler(start):
    agent = start("native", {"a": "#!/bin/sh\n", "b": "#!/bin/sh\n"}, ready=False)
    assert "more than one file" in agent.specialise("")["message"]


# ends

def test_usage_has_the_programs_own_time_and_memory(program):
    agent = program("volatile char *p = malloc(80 << 20); for (long i = 0; i < 80 << 20; i += 512) p[i] = 1; for (volatile long i = 0; i < 200000000; i++);")
    handler_us, cpu_us, peak, _, _ = agent.call(b"").usage
    assert cpu_us > 50_000 and handler_us >= cpu_us * 0.5 and peak > 64 << 20


def test_500_runs_leave_nothing_behind(shell):
    agent = shell("cat\n")
    def count():
        return len(os.listdir("/proc/%d/fd" % agent.process.pid))
    assert agent.call({"a": 1}).json == {"a": 1}
    before = count()
    for i in range(500):
        assert agent.call({"a": i}).json == {"a": i}
    assert count() == before


def test_sigterm_finishes_the_run_at_hand(shell):
    agent = shell("sleep 0.5; echo 1\n")
    stream = agent.begin(content_type=None)
    agent.send_body(stream, b"")
    time.sleep(0.2)
    agent.process.send_signal(signal.SIGTERM)
    assert agent.finish(stream).json == 1
    assert agent.wait() == 0
