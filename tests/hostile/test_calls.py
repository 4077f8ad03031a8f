"""What callers of endpoints may send beside broken HTTP: bombs of parameters, content types, hosts, and fields that pretend to be
Dispatch's own. Each has a stated answer."""
import json
import re

import pytest

import corpus
import harness

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
LARGE = "-asan" in harness.BUILD or "-tsan" in harness.BUILD
SEES = ("def handle(ctx, payload):\n    if isinstance(payload, bytes):\n        return ['bytes', len(payload)]\n"
        "    if isinstance(payload, dict):\n        return ['dict', len(payload), sum(len(v) for v in payload.values()), sorted(payload)[:3]]\n"
        "    return [type(payload).__name__, payload]\n")
CONTEXT = "def handle(ctx, payload):\n    return ctx\n"


@pytest.fixture(scope="module")
def sees(server):
    server.function("sees", SEES, memory=512)
    server.endpoint("sees", "sees", ["/sees"], ["GET", "POST"])
    server.function("shows", CONTEXT)
    server.endpoint("shows", "shows", ["/shows", "/long"], ["GET", "POST"])
    server.endpoint("hosted", "sees", ["/hosted"], ["GET"], hosts=["named.example"])
    return server


def assert_input_error(reply):
    assert reply.status == 400 and reply.json["message"] and "\n" not in reply.json["message"], reply


@pytest.mark.parametrize("query, wanted", [
    ("a=1&a=2", ["dict", 1, 2, ["a"]]), ("a", ["dict", 1, 0, ["a"]]), ("=b", ["dict", 1, 1, [""]]), ("&&&", ["dict", 0, 0, []]),
    ("a=1;b=2", ["dict", 1, 5, ["a"]]), ("a=b=c", ["dict", 1, 3, ["a"]]), ("a+b=c+d", ["dict", 1, 3, ["a b"]]),
    ("%61=%62", ["dict", 1, 1, ["a"]]), ("a[]=1&a[]=2", ["dict", 1, 2, ["a[]"]]), ("__proto__=1&constructor=2", ["dict", 2, 2, ["__proto__", "constructor"]]),
    ("a=%00", ["dict", 1, 1, ["a"]]), ("a=%0d%0aX:%20y", ["dict", 1, 6, ["a"]]), ("?a=b", ["dict", 1, 1, ["?a"]]),
])
def test_a_query_is_read_one_way(sees, query, wanted):
    assert sees.gateway("GET", f"/sees?{query}").json == wanted
    if not query.startswith("?"):
        assert sees.gateway("POST", "/sees", query, FORM).json == wanted


@pytest.mark.parametrize("query", ["a=%", "a=%4", "a=%zz", "%=a", "a=%u0041"])
def test_an_escape_that_is_none_is_an_input_error_or_itself(sees, query):
    for reply in (sees.gateway("GET", f"/sees?{query}"), sees.gateway("POST", "/sees", query, FORM)):
        if reply.status == 200:
            assert reply.json[:2] == ["dict", 1], reply
        else:
            assert_input_error(reply)


def test_escaped_bytes_that_are_no_utf_8_never_break_the_reply(sees):
    for reply in (sees.gateway("GET", "/sees?a=%ff%fe"), sees.gateway("POST", "/sees", "%c0%af=%ed%a0%80", FORM)):
        assert reply.status in (200, 400), reply
        json.loads(reply.body)


@pytest.mark.parametrize("count, status", [(10000, 200), (10001, 400), (100000, 400)])
def test_parameters_end_at_a_limit(sees, count, status):
    text = "&".join(f"k{at}=v" for at in range(count))
    reply = sees.gateway("POST", "/sees", text, FORM)
    assert reply.status == status, reply
    if status == 200:
        assert reply.json[1] == count
    else:
        assert_input_error(reply)
    same = sees.gateway("POST", "/sees", "&".join(["k=v"] * count), FORM)
    assert same.status == status, same


def test_a_key_and_a_value_of_a_megabyte(sees):
    assert sees.gateway("POST", "/sees", "k" * 1000000 + "=" + "v" * 1000000, FORM).json[:3] == ["dict", 1, 1000000]
    assert sees.gateway("POST", "/sees", "%41" * 1000000, FORM).json[:2] == ["dict", 1]


def test_names_whose_old_hashes_collide(sees):
    text = "&".join("".join("Aa" if at >> bit & 1 else "BB" for bit in range(13)) + "=1" for at in range(1 << 13))
    assert sees.gateway("POST", "/sees", text, FORM).json[1] == 1 << 13


@pytest.mark.parametrize("content_type, wanted", [
    ("application/json;charset=UTF-8", ["dict", 1, 1, ["a"]]), ("APPLICATION/JSON", ["dict", 1, 1, ["a"]]),
    ("application/json ; a=\"b;c\"", ["dict", 1, 1, ["a"]]), ("application/vnd.x+json", ["dict", 1, 1, ["a"]]),
    ("application/json-patch", ["bytes", 9]), ("text/plain", ["bytes", 9]), ("application/octet-stream", ["bytes", 9]),
    ("multipart/form-data; boundary=x", ["bytes", 9]), ("multipart/mixed", ["bytes", 9]), ("image/png", ["bytes", 9]),
    ("application/xml", ["bytes", 9]), ("x/y", ["bytes", 9]), (None, ["bytes", 9]),
])
def test_a_content_type_decides_what_a_body_is(sees, content_type, wanted):
    assert sees.gateway("POST", "/sees", '{"a":"b"}', {"Content-Type": content_type} if content_type else {}).json == wanted


@pytest.mark.parametrize("content_type", ["json", "application/", "/json", "application json", "a/b/c", "", ";", "application/json, text/plain", "a b/c"])
def test_a_content_type_that_is_none_is_a_415(sees, content_type):
    reply = sees.gateway("POST", "/sees", "{}", {"Content-Type": content_type})
    assert reply.status == 415 and len(reply.json["message"]) < 300, reply


def test_two_content_types_are_read_as_the_first(sees):
    data = (f"POST /sees HTTP/1.1\r\nHost: {harness.DEFAULT_HOST}\r\nConnection: close\r\nContent-Type: application/json\r\n"
            "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}").encode()
    assert corpus.responses(corpus.exchange(sees.gateway_port, [data]))[0][0] in (200, 400, 415)


@pytest.mark.parametrize("host, status", [
    ("named.example", 200), ("NAMED.Example", 200), ("named.example:8081", 200), ("named.example.", 200), ("named.example.:1", 200),
    ("x.named.example", 404), ("named.example.evil", 404), ("named", 404), ("[::1]", 404), ("[::1]:80", 404), ("127.0.0.1", 404),
    ("named.example..", 404), (".named.example", 404), ("named%2eexample", 404), ("xn--named.example", 404), ("*", 404),
])
def test_a_host_is_matched_as_the_name_that_it_is(sees, host, status):
    assert sees.gateway("GET", "/hosted", host=host).status == status


def test_the_target_wins_over_host(sees):
    def status(target, host):
        data = f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
        return corpus.responses(corpus.exchange(sees.gateway_port, [data]))[0][0]
    assert status("http://named.example/hosted", "other.example") == 200
    assert status("http://other.example/hosted", "named.example") == 404
    assert status("HTTP://NAMED.example:80/hosted?a=b", "") == 200


def test_fields_that_pretend_to_be_ours_do_not_count(sees):
    lies = {"Dispatch-Run-Id": "00000000-0000-4000-8000-000000000000", "Dispatch-Function": "other", "Dispatch-Source": "run",
            "Dispatch-Deadline": "2100-01-01T00:00:00Z", "Dispatch-Timeout-Ms": "999999999", "Dispatch-Event": '{"eventType": "lie"}',
            "Dispatch-Http-Context": '{"lie": 1}', "Dispatch-Error": "InputError", "X-Forwarded-For": "1.2.3.4"}
    reply = sees.gateway("GET", "/shows?a=b", headers=lies)
    assert reply.status == 200, reply
    context = reply.json
    assert context.get("event") is None and "lie" not in json.dumps(context.get("httpContext"))
    assert not context["deadline"].startswith("2100") and context["timeout"] < 999999999
    assert reply.headers["Dispatch-Run-Id"] != lies["Dispatch-Run-Id"]
    assert re.search(r"\?a=b$", context["request"]["uri"])


def test_fields_reach_the_function_as_they_are_and_no_further(sees):
    data = (b"GET /shows HTTP/1.1\r\nHost: " + harness.DEFAULT_HOST.encode() + b"\r\nConnection: close\r\nX-A: \xff\xfe\r\nX-A: \"q\\\r\n"
            b"X-B: {\"a\": 1}\r\n\r\n")
    status, _, body = corpus.responses(corpus.exchange(sees.gateway_port, [data]))[0]
    header = json.loads(body)["request"]["header"]
    assert status == 200 and len(header["X-A"]) == 2 and header["X-B"] == ['{"a": 1}']


@pytest.mark.parametrize("length", [1000, 8000, 30000])
def test_a_long_path_is_a_404_and_a_long_query_is_read(sees, length):
    assert sees.gateway("GET", "/" + "a" * length).status == 404
    assert sees.gateway("GET", "/" + "a/" * (length // 2)).status == 404
    assert sees.gateway("GET", "/sees?a=" + "b" * length).json == ["dict", 1, length, ["a"]]


def test_path_past_the_head_is_a_414(sees):
    data = b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"
    assert corpus.responses(corpus.exchange(sees.gateway_port, [data]))[0][0] == 414


def test_the_server_is_no_larger_for_it(sees):
    with open(f"/proc/{sees.server_pid()}/status", encoding="utf-8") as file:
        peak_kb = int(next(line for line in file if line.startswith("VmHWM:")).split()[1])
    assert LARGE or peak_kb < 150 << 10, f"{peak_kb} KiB at its peak"
