"""What all commands share: headers, settings, the configuration file, replies of every kind, usage errors."""
import json
import os
import socket
import stat
import subprocess

import pytest

import recorder

ONE = {"kind": "Function", "name": "hello", "status": "READY"}


def write_config(path, port, **more):
    context = {"host": "127.0.0.1", "port": port, "scheme": "http", "organization": "", "project": "", "cookie": "",
               "insecure": False, **more}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"current": "here", "contexts": {"here": context}}))


def test_headers_of_every_call(api, dispatch):
    api.reply("GET", "/v1/function", [])
    dispatch("get", "function", "--organization", "acme", "--project=shop")
    headers = api.last.headers
    assert headers["X-Dispatch-Org"] == "acme" and headers["X-Dispatch-Project"] == "shop"
    assert headers["Accept"] == "application/json" and headers["User-Agent"].startswith("dispatch/")
    assert headers["Accept-Encoding"] == "gzip"
    assert "Cookie" not in headers and "Authorization" not in headers and "Content-Type" not in headers
    dispatch("version")
    assert api.last.headers["X-Dispatch-Org"] == "" and api.last.headers["X-Dispatch-Project"] == ""


def test_credentials_are_a_token_or_a_cookie(api, dispatch, tmp_path):
    dispatch("get", "endpoint")
    assert api.last.headers["Cookie"] == "unset"
    dispatch("get", "endpoint", env={"DISPATCH_TOKEN": "t0"})
    assert api.last.headers["Authorization"] == "Bearer t0" and "Cookie" not in api.last.headers
    write_config(tmp_path / ".dispatch" / "config.json", api.port, cookie="session=1")
    dispatch("get", "function")
    assert api.last.headers["Cookie"] == "session=1"


def test_a_service_account_signs_its_claim(api, dispatch, tmp_path):
    import base64
    key = tmp_path / "key.pem"
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
    dispatch("get", "endpoint", "--service-account", "robot", "--organization", "acme", "--jwt-private-key", str(key))
    token = api.last.headers["Authorization"].removeprefix("Bearer ")
    head, claims, signature = token.split(".")
    decode = lambda part: base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))  # noqa: E731
    assert json.loads(decode(head))["alg"] == "RS256"
    claims = json.loads(decode(claims))
    assert claims["iss"] == "acme/robot" and claims["exp"] - claims["iat"] == 3660
    public, data, sig = tmp_path / "pub.pem", tmp_path / "data", tmp_path / "sig"
    subprocess.run(["openssl", "rsa", "-in", key, "-pubout", "-out", public], check=True, capture_output=True)
    data.write_text(token.rsplit(".", 1)[0])
    sig.write_bytes(decode(signature))
    subprocess.run(["openssl", "dgst", "-sha256", "-verify", public, "-signature", sig, data], check=True, capture_output=True)
    count = len(api.requests)
    result = dispatch("get", "endpoint", "--service-account", "robot", "--jwt-private-key", "none")
    assert result.code == 1 and result.err == "error reading key file: open none: no such file or directory\n"
    assert len(api.requests) == count


def test_flag_wins_over_environment_over_context(api, dispatch, tmp_path):
    api.reply("GET", "/v1/function", [])
    write_config(tmp_path / ".dispatch" / "config.json", api.port, organization="context")
    dispatch.bare("get", "function")
    assert api.last.headers["X-Dispatch-Org"] == "context"
    dispatch.bare("get", "function", env={"DISPATCH_ORGANIZATION": "environment"})
    assert api.last.headers["X-Dispatch-Org"] == "environment"
    dispatch.bare("get", "function", "--organization=flag", env={"DISPATCH_ORGANIZATION": "environment"})
    assert api.last.headers["X-Dispatch-Org"] == "flag"


def test_nothing_configured_is_this_machine(dispatch):
    result = dispatch.bare("get", "function", "--port", "1")
    assert result.code == 1 and result.err.startswith("cannot reach http://127.0.0.1:1: connection refused")
    assert "dispatch-server" in result.err and result.err.count("\n") == 1
    assert dispatch.bare("get", "function", "--port", "x").err == 'invalid port "x": must be 1 to 65535\n'


def test_a_unix_socket_is_a_host(dispatch, tmp_path):
    path = str(tmp_path / "api.sock")
    api = recorder.Api(path)
    try:
        api.reply("GET", "/v1/function/hello", ONE)
        assert dispatch.bare("get", "function", "hello", "-o", "name", "--host", f"unix:{path}").out == "hello\n"
        assert dispatch.bare("get", "function", "hello", "-o", "name", env={"DISPATCH_HOST": f"unix:{path}"}).out == "hello\n"
    finally:
        api.finish()
    os.unlink(path)
    assert f"cannot reach the socket {path}: no such file or directory" in dispatch.bare("get", "function", "--host", f"unix:{path}").err


@pytest.mark.parametrize("text,message", [
    ("{", "unexpected EOF"), ("[]", "not an object"), ('{"currant": ""}', 'unknown key "currant"'),
    ('{"contexts": {"a": {"hots": "x"}}}', 'unknown key "hots" in context "a"')])
def test_a_broken_config_file_is_an_error(dispatch, tmp_path, text, message):
    path = tmp_path / "c.json"
    path.write_text(text)
    assert dispatch("get", "function", "--config", str(path)).err == f"Error reading config file {path}: {message}\n"


def test_config_files_that_cannot_be_read(dispatch, tmp_path):
    missing = dispatch("get", "function", env={"DISPATCH_CONFIG": "P.json"})
    assert (missing.code, missing.err) == (1, "Error reading config file P.json: open P.json: no such file or directory\n")
    (tmp_path / "plain").write_text("{}")
    assert dispatch("get", "function", "--config", "plain").err == 'Error reading config file plain: Unsupported Config Type ""\n'


def test_a_yaml_config_file_works(api, dispatch, tmp_path):
    api.reply("GET", "/v1/function", [])
    (tmp_path / "c.yaml").write_text(f"current: a\ncontexts:\n  a:\n    host: 127.0.0.1\n    port: {api.port}\n    scheme: http\n")
    assert dispatch.bare("get", "function", "--config", "c.yaml").code == 0
    assert dispatch.bare("context", "set", "a", "--config", "c.yaml").out == "Set context to a\n"
    assert (tmp_path / "c.yaml").read_text().startswith("current: a\n")


def test_contexts_are_listed_set_and_deleted(dispatch, tmp_path):
    path = tmp_path / ".dispatch" / "config.json"
    write_config(path, 8080, cookie="hush")
    content = json.loads(path.read_text())
    content["contexts"]["there"] = {**content["contexts"]["here"], "host": "there.example.com"}
    path.write_text(json.dumps(content))
    for command in (("manage", "context"), ("context",), ("context", "list")):
        result = dispatch.bare(*command)
        assert result.code == 0 and "* here" in result.out and "hush" not in result.out and "CONTEXT" in result.out
    assert json.loads(dispatch.bare("manage", "context", "-o", "json").out)["here"]["cookie"] == "hush"
    assert dispatch.bare("manage", "context", "--set", "there").out == "Set context to there\n"
    assert path.read_text().startswith('{\n    "current": "there",\n    "contexts": {\n        "here": {\n')
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert dispatch.bare("context", "current").out == "there\n"
    missing = dispatch.bare("manage", "context", "-s", "nowhere")
    assert (missing.code, missing.out, missing.err) == (1, "", "No such context nowhere\n")
    assert dispatch.bare("context", "delete", "there").out == "Deleted context there\n"
    assert dispatch.bare("context", "current").code == 1


def test_errors_show_the_code_of_the_body(api, dispatch):
    api.reply("GET", "/v1/function/x", {"code": 605, "message": "name\x1b[31m bad"}, status=422)
    result = dispatch("get", "function", "x")
    assert (result.code, result.out, result.err) == (1, "", "[Code: 605] name\\x1b[31m bad\n")
    api.reply("GET", "/v1/function/y", {}, status=500)
    assert dispatch("get", "function", "y").err == "[Code: 0] \n"
    api.reply("GET", "/v1/function/z", b'{"code":404,"message":"no type"}', status=404, content_type=None)
    assert dispatch("get", "function", "z").err == "[Code: 404] no type\n"
    api.reply("GET", "/v1/function/w", b"", status=502, content_type=None)
    assert dispatch("get", "function", "w").err == "unexpected error received from server: HTTP status 502 with an empty body\n"


def test_long_errors_are_shown_whole(api, dispatch):
    api.reply("GET", "/v1/function/x", {"code": 500, "message": "x" * 5000 + "\nend"}, status=500)
    assert dispatch("get", "function", "x").err == f"[Code: 500] {'x' * 5000}\nend\n"


@pytest.mark.parametrize("status", [200, 404])
def test_other_content_types_are_refused(api, dispatch, status):
    api.reply("GET", "/v1/function/x", b"<html>", status=status, content_type="text/html")
    result = dispatch("get", "function", "x")
    assert (result.code, result.out) == (1, "")
    assert result.err == 'unexpected error received from server: no consumer: "text/html"\n'


@pytest.mark.parametrize("body", [b"{", b"[1]", b'"x"', b"7"])
def test_a_reply_that_is_no_object_is_an_error_not_a_crash(api, dispatch, body):
    api.reply("GET", "/v1/function/x", body)
    result = dispatch("get", "function", "x")
    assert result.code == 1 and result.err.startswith("unexpected error received from server: ")


@pytest.mark.parametrize("body", [b"{}", b"[1]", b"[[]]"])
def test_a_list_that_is_no_list_is_an_error(api, dispatch, body):
    api.reply("GET", "/v1/function", body)
    result = dispatch("get", "function")
    assert result.code == 1 and result.err.startswith("unexpected error received from server: the reply is not a list")


def test_an_empty_object_is_a_row_of_blanks(api, dispatch):
    api.reply("GET", "/v1/function/x", b"")
    result = dispatch("get", "function", "x")
    assert result.code == 0 and "Thu Jan  1 00:00:00 UTC 1970" in result.out


@pytest.mark.parametrize("reply,words", [
    (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{}", "broke off"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{", "broke off"),
    (b"", "broke off"),
    (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "HTTP status 302"),
    (b"SSH-2.0-OpenSSH\r\n", "unexpected reply")])
def test_broken_replies_are_one_clear_line(api, dispatch, reply, words):
    api.raw(reply)
    result = dispatch("get", "function")
    assert result.code == 1 and words in result.err and result.err.count("\n") == 1 and result.out == ""
    assert len(api.requests) == 1


def test_plain_http_behind_https_says_so(api, dispatch):
    result = dispatch("get", "function", "--scheme", "https")
    assert result.code == 1 and "--scheme http" in result.err and result.err.count("\n") == 1


def test_any_2xx_is_a_success(api, dispatch):
    for status in (200, 201, 202, 203):
        api.replies.clear()
        api.reply("POST", "/v1/endpoint", {"name": "e"}, status=status)
        assert dispatch("create", "endpoint", "e", "f").out == "Created endpoint: e\n"


def test_hostile_texts_do_not_reach_the_terminal(api, dispatch):
    evil = {**ONE, "name": "a\x1b]0;x\x07b\n  c\u202e\u009b", "functionImageURL": "x" * 10000}
    api.reply("GET", "/v1/function", [evil])
    for form in ("", "wide", "name"):
        out = dispatch("get", "function", "-o", form).out
        assert not any(ord(c) < 32 and c != "\n" or 0x7f <= ord(c) < 0xa0 or c == "\u202e" for c in out)
        assert "a\\x1b]0;x\\x07b\\n" in out


def test_version(api, dispatch):
    api.reply("GET", "/v1/version", {"version": "9.9", "commit": "c"})
    client = dispatch("version").out.splitlines()[0].removeprefix("Client: ")
    assert dispatch("version").out == f"Client: {client}\nServer: 9.9\n"
    for flags in (("--json",), ("-o", "json")):
        out = dispatch("version", *flags).out
        assert out.startswith('{\n  "client": {\n    "version": ') and json.loads(out)["server"] == {"version": "9.9", "commit": "c"}
    api.replies.clear()
    result = dispatch("version")
    assert (result.code, result.out, result.err) == (1, f"Client: {client}\n", "[Code: 404] nothing here\n")


@pytest.mark.parametrize("args,message", [
    (["create", "function", "x"], "accepts 2 arg(s), received 1"),
    (["get", "function", "a", "b"], "accepts at most 1 arg(s), received 2"),
    (["update", "function"], "accepts between 1 and 2 arg(s), received 0"),
    (["get", "function", "--x"], "unknown flag: --x"), (["get", "function", "--x=1"], "unknown flag: --x"),
    (["get", "function", "-x"], "unknown shorthand flag: 'x' in -x"),
    (["get", "function", "-o"], "flag needs an argument: 'o' in -o"),
    (["get", "function", "--output"], "flag needs an argument: --output"),
    (["create", "function", "f", "p", "--memory", "lots"],
     'invalid argument "lots" for "--memory" flag: must be a whole number')])
def test_usage_errors(api, dispatch, args, message):
    result = dispatch(*args)
    assert (result.code, result.out) == (1, "") and api.requests == []
    assert result.err.startswith(f"Error: {message}\nUsage:\n  dispatch {args[0]} {args[1]}")


def test_an_unknown_command(dispatch):
    result = dispatch("x")
    assert (result.code, result.out) == (1, "")
    assert result.err == "Error: unknown command \"x\" for \"dispatch\"\nRun 'dispatch --help' for usage.\n"


@pytest.mark.parametrize("args", [[], ["get"], ["create"], ["delete"], ["update"], ["manage"], ["get", "nonsense"], ["--help"],
                                  ["create", "function", "-h"], ["help", "exec"]])
def test_help_goes_to_standard_output(api, dispatch, args):
    result = dispatch(*args)
    assert (result.code, result.err) == (0, "") and "Usage:\n  dispatch" in result.out and api.requests == []


def every_command():
    found, todo = [], [[]]
    while todo:
        path = todo.pop()
        found.append(path)
        text = subprocess.run([recorder.DISPATCH, *path, "--help"], capture_output=True, text=True, check=True).stdout
        if "Available Commands:\n" in text:
            listed = text.split("Available Commands:\n")[1].split("\n\n")[0]
            todo += [path + [line.split()[0]] for line in listed.splitlines()]
    return found


def test_every_command_has_help_that_names_it():
    commands = every_command()
    assert len(commands) > 30
    for path in commands:
        text = subprocess.run([recorder.DISPATCH, *path, "--help"], capture_output=True, text=True, check=True).stdout
        assert f"  {' '.join(['dispatch', *path])}" in text and "--help" in text and len(text.splitlines()[0]) > 10


def test_formats(api, dispatch):
    api.reply("GET", "/v1/function", [ONE])
    result = dispatch("get", "function", "-o", "xml")
    assert result.code == 1 and result.out == "invalid format option [yaml|json]\n" and api.requests == []
    assert dispatch("get", "function", "-o", "jsonpath").out.startswith("  NAME  |")
    assert dispatch("get", "function", "--json").out.startswith("[\n")


def test_flags_may_stand_anywhere(api, dispatch):
    api.reply("GET", "/v1/function/-dash", ONE)
    assert dispatch("-o", "name", "get", "--organization", "o", "function", "--", "-dash").out == "hello\n"
    assert api.last.headers["X-Dispatch-Org"] == "o"


def test_a_reader_that_goes_away_is_no_noise(api, dispatch):
    api.reply("GET", "/v1/function", [{**ONE, "name": f"f{i}"} for i in range(20000)])
    environment = dispatch.environment(DISPATCH_HOST="127.0.0.1", DISPATCH_PORT=str(api.port), DISPATCH_SCHEME="http")
    with subprocess.Popen([recorder.DISPATCH, "get", "function"], env=environment, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b"" and process.wait(30) == 1


def test_a_full_disk_is_an_error(api, dispatch):
    api.reply("GET", "/v1/function", [ONE])
    environment = dispatch.environment(DISPATCH_HOST="127.0.0.1", DISPATCH_PORT=str(api.port), DISPATCH_SCHEME="http")
    with open("/dev/full", "w", encoding="utf-8") as full:
        process = subprocess.run([recorder.DISPATCH, "get", "function"], env=environment, stdout=full, stderr=subprocess.PIPE,
                                 check=False, timeout=30)
    assert process.returncode == 1 and b"no space left" in process.stderr


def test_a_reply_past_the_limit_is_refused(dispatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        environment = dispatch.environment(DISPATCH_HOST="127.0.0.1", DISPATCH_SCHEME="http",
                                           DISPATCH_PORT=str(listener.getsockname()[1]))
        with subprocess.Popen([recorder.DISPATCH, "get", "function"], env=environment, stderr=subprocess.PIPE) as process:
            connection, _ = listener.accept()
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
            try:
                for _ in range(70):
                    connection.sendall(b" " * (1 << 20))
            except OSError:
                pass
            connection.close()
            assert b"larger than 64 MiB" in process.stderr.read() and process.wait(30) == 1


def words_of(path):
    usage = subprocess.run([recorder.DISPATCH, *path, "--help"], capture_output=True, text=True, check=True).stdout
    line = usage.split("Usage:\n")[1].splitlines()[0]
    return [word.strip("[]") for word in line.split()[1 + len(path):] if word.strip("[]") not in ("flags", "command")]


def test_no_command_dies_of_its_own_table(dispatch):
    editor = {"EDITOR": "true", "VISUAL": ""}
    for path in every_command():
        for arguments, output in (([], "yaml"), (words_of(path), "")):
            result = dispatch(*path, *arguments, "-o", output, env=editor)
            assert result.code in (0, 1) and "Assertion" not in result.err, [path, arguments, result.err]
