"""HTTP/1.1 on both ports, byte by byte: strict where leniency lets requests be smuggled, patient where the network is
slow (RFC 9110, RFC 9112)."""
import re
import socket
import time

import pytest

import harness

PORTS = ["port", "gateway_port"]


def answers(received):
    return len(re.findall(rb"HTTP/1\.1 \d{3} ", received))


@pytest.fixture(params=PORTS)
def port(server, request):
    return getattr(server, request.param)


@pytest.mark.parametrize("head", [
    pytest.param(b"Content-Length: 5\r\nContent-Length: 6\r\n", id="two lengths"),
    pytest.param(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", id="length and chunked"),
    pytest.param(b"Content-Length: +5\r\n", id="signed length"),
    pytest.param(b"Content-Length: 5, 6\r\n", id="list of lengths"),
    pytest.param(b"Content-Length: 0x5\r\n", id="hexadecimal length"),
    pytest.param(b"Content-Length: 99999999999999999999\r\n", id="length past 64 bits"),
    pytest.param(b"Transfer-Encoding: xchunked\r\n", id="unknown coding"),
    pytest.param(b"Transfer-Encoding: chunked, identity\r\n", id="chunked not last"),
    pytest.param(b"Transfer-Encoding : chunked\r\n", id="blank before the colon"),
    pytest.param(b"X-Folded: a\r\n b\r\n", id="folded"),
    pytest.param(b"X-Bare: a\nContent-Length: 5\r\n", id="bare LF"),
    pytest.param(b"X-Nul: a\0b\r\n", id="NUL"),
    pytest.param(b"X-Return: a\rb\r\n", id="bare CR"),
    pytest.param(b": empty\r\n", id="no name"),
    pytest.param(b"Host: other\r\n", id="two hosts"),
])
def test_an_ambiguous_head_is_a_400_and_the_end_of_the_connection(port, head):
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    received = harness.raw(port, b"POST /v1/function HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n" + head +
                           b"\r\n" + b"0\r\n\r\n" + smuggled, 3)
    assert received.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 ")), received[:200]
    assert answers(received) == 1, received


@pytest.mark.parametrize("line", [b"GET /\r\n", b"GET / HTTP/9.9\r\n", b"GET  / HTTP/1.1\r\n", b"G@T / HTTP/1.1\r\n",
                                  b"GET / HTTP/1.1 \r\n", b"GET \x01 HTTP/1.1\r\n", b"\x16\x03\x01\x02\x00\r\n"])
def test_a_bad_request_line(port, line):
    received = harness.raw(port, line + b"Host: a\r\n\r\n", 3)
    assert received.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 ", b"HTTP/1.1 505 ")), received[:200]
    assert answers(received) == 1


@pytest.mark.parametrize("chunks", [b"5\nhello\r\n0\r\n\r\n", b"5 \r\nhello\r\n0\r\n\r\n", b"-1\r\n", b"FFFFFFFFFFFFFFFFF\r\n",
                                    b"5\r\nhelloX\r\n0\r\n\r\n", b"zz\r\n"])
def test_a_bad_chunk_is_a_400(port, chunks):
    received = harness.raw(port, b"POST /v1/secret HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                           b"Transfer-Encoding: chunked\r\n\r\n" + chunks, 3)
    # The gateway may have answered 404 before it read the body; it must not take the rest for a request then.
    assert received.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 404 ")), received[:200]
    assert answers(received) == 1


def test_a_missing_host_is_a_400(port):
    assert harness.raw(port, b"GET /healthz HTTP/1.1\r\n\r\n", 3).startswith(b"HTTP/1.1 400 ")


def test_pipelined_requests_are_answered_in_order(server):
    paths = [b"/v1/version", b"/nothing", b"/v1/image", b"/v1/version"]
    data = b"".join(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path for path in paths[:-1])
    data += b"GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % paths[-1]
    received = harness.raw(server.port, data)
    statuses = [part.split(b" ", 1)[0] for part in received.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"404", b"200", b"200"]


def test_pipelined_runs_are_answered_in_order(server):
    server.function("delayed", "import time\ndef handle(ctx, payload):\n    time.sleep(float(payload['s']))\n"
                    "    return payload['n']\n")
    server.endpoint("delayed", "delayed", ["/delayed"])
    host = harness.DEFAULT_HOST.encode()
    data = b"".join(b"GET /delayed?n=%d&s=%s HTTP/1.1\r\nHost: %s\r\n%s\r\n" % (n, s, host, close) for n, s, close in (
        (1, b"0.3", b""), (2, b"0", b""), (3, b"0.1", b"Connection: close\r\n")))
    received = harness.raw(server.gateway_port, data)
    assert [received.index(b'"%d"' % n) for n in (1, 2, 3)] == sorted(received.index(b'"%d"' % n) for n in (1, 2, 3))


def test_a_request_that_comes_byte_by_byte(server):
    data = b"GET /v1/version HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(data)):
            client.sendall(data[at:at + 1])
        assert client.recv(65536).startswith(b"HTTP/1.1 200")


def test_slow_clients_do_not_hold_up_others(server):
    slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
    try:
        for client in slow:
            client.sendall(b"POST /v1/function HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n")
        before = time.monotonic()
        assert server.api("GET", "/v1/version").status == 200
        assert time.monotonic() - before < 2 * harness.PATIENCE
    finally:
        for client in slow:
            client.close()


def test_expect_100_continue(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(b"POST /v1/secret HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
                       b"Expect: 100-continue\r\nConnection: close\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 100 ")
        client.sendall(b"{}")
        assert client.recv(65536).startswith(b"HTTP/1.1 422 ")


def test_too_many_or_too_long_header_fields_are_a_431(port):
    many = b"".join(b"X-%d: a\r\n" % number for number in range(200))
    assert harness.raw(port, b"GET / HTTP/1.1\r\nHost: a\r\n" + many + b"\r\n", 3).startswith(b"HTTP/1.1 431 ")
    long = b"X-Long: " + b"a" * (80 << 10) + b"\r\n"
    assert harness.raw(port, b"GET / HTTP/1.1\r\nHost: a\r\n" + long + b"\r\n", 3).startswith(b"HTTP/1.1 431 ")


def test_http_1_0_is_answered_and_closed(server):
    received = harness.raw(server.port, b"GET /v1/version HTTP/1.0\r\n\r\n")
    assert b" 200 " in received.split(b"\r\n")[0] and received.endswith(b"}") or received.rstrip().endswith(b"}")


def test_head_has_the_length_and_no_body(server):
    received = harness.raw(server.port, b"HEAD /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 3)
    head, body = received.split(b"\r\n\r\n", 1)
    assert body == b"" and head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 405"))


def test_garbage_never_ends_the_server(server):
    import random
    source = random.Random(7)
    for _ in range(60):
        harness.raw(server.port, source.randbytes(source.randrange(1, 600)), 2, shut=True)
        harness.raw(server.gateway_port, source.randbytes(source.randrange(1, 600)), 2, shut=True)
    assert server.api("GET", "/v1/version").status == 200
