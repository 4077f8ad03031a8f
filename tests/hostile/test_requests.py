"""Requests that are not what they should be (RFC 9110, RFC 9112), on the API port and on the gateway: each case of http/ gets
its answer whole and however it is cut; what a refused one is followed by is never taken for a request."""
import random

import pytest

import corpus
import harness

CASES = corpus.cases()
ECHO = "def handle(ctx, payload):\n    return 'echo'\n"
CUTS = 3  # splits of each case beside the whole and the byte by byte
BYTEWISE_MAX = 400


class Port:
    """One of the two faces: its port, the words of the cases there, and a request that is answered with 200."""

    def __init__(self, server, role):
        self.role = role
        if role == "api":
            self.number, self.words = server.port, corpus.head_words("/v1/version", "/v1/image", "localhost")
        else:
            self.number = server.gateway_port
            self.words = corpus.head_words("/echo", "/echo", harness.DEFAULT_HOST)
        self.last = (f"GET {self.words['GET']}?last HTTP/1.1\r\nHost: {self.words['HOST']}\r\n"
                     "Connection: close\r\n\r\n").encode()


@pytest.fixture(scope="module")
def echo_server(server):
    server.function("echo", ECHO)
    server.endpoint("echo", "echo", ["/echo"], ["GET", "POST"])
    return server


@pytest.fixture(params=["api", "gateway"])
def port(echo_server, request):
    return Port(echo_server, request.param)


def check(port, case, pieces):
    replies = corpus.responses(corpus.exchange(port.number, [*pieces, port.last], 20 * harness.PATIENCE))
    expected = case.api if port.role == "api" else case.gateway
    statuses = [status for status, _, _ in replies]
    if not case.closes:
        expected = [*expected, 200]
    assert statuses == expected, (case.id, port.role, replies)
    if case.closes:
        assert b"\r\nConnection: close" in replies[-1][1] or statuses[-1] == 505, (case.id, replies)


def cuts_of(data, source):
    """The splits to try: some in two, one in many, and byte by byte where that is not too much."""
    for _ in range(CUTS):
        at = source.randrange(1, len(data))
        yield [data[:at], data[at:]]
    step = source.randrange(2, 40)
    if len(data) < 20000:
        yield [data[at:at + step] for at in range(0, len(data), step)]
    if len(data) <= BYTEWISE_MAX:
        yield [data[at:at + 1] for at in range(len(data))]


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_a_request_gets_its_answer_however_it_is_cut(port, case):
    data = case.data(port.words)
    check(port, case, [data])
    source = random.Random(case.id)
    for pieces in cuts_of(data, source):
        check(port, case, pieces)


def test_a_client_that_leaves_in_the_middle_disturbs_nobody(echo_server):
    for role in ("api", "gateway"):
        port = Port(echo_server, role)
        source = random.Random(1)
        for case in CASES:
            data = case.data(port.words)[:4000]
            with corpus.connect(port.number) as sock:
                corpus.send(sock, [data[:source.randrange(0, len(data))]])
        assert corpus.responses(corpus.exchange(port.number, [port.last]))[0][0] == 200


@pytest.mark.parametrize("role", ["api", "gateway"])
def test_the_server_stays_small_and_says_nothing(echo_server, role):
    """Whatever was sent above, the process is as large as a server with one function is, and its log holds no complaint."""
    with open(f"/proc/{echo_server.server_pid()}/status", encoding="utf-8") as file:
        peak_kb = int(next(line for line in file if line.startswith("VmHWM:")).split()[1])
    if "-asan" not in harness.BUILD and "-tsan" not in harness.BUILD:
        assert peak_kb < 150 << 10, f"{peak_kb} KiB at its peak"
    assert not harness.SANITIZER_REPORT.search(echo_server.log(100000))
