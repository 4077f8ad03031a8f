"""TLS on the API and on the gateway: versions, certificates, bodies, bad clients, reload, upgrade, and the client."""
import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading

import pytest

import harness
from harness import BUILD, DEFAULT_HOST, PATIENCE, Server, clean_environment, free_port, poll

ECHO = """
def handle(ctx, payload):
    return {"scheme": ctx["httpContext"]["scheme"], "uri": ctx["httpContext"]["request_uri"], "payload": payload}
"""
COUNT = """
calls = []
def handle(ctx, payload):
    calls.append(1)
    return len(calls)
"""


def openssl(*arguments, input=None):
    done = subprocess.run(["openssl", *arguments], input=input, capture_output=True, text=True, timeout=30 * PATIENCE)
    assert done.returncode == 0, done.stderr
    return done.stdout


def make_ca(folder):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
            "/CN=test CA", "-keyout", f"{folder}/ca.key", "-out", f"{folder}/ca.crt")


def make_certificate(folder, name, hosts, days=30, key=("ec", "-pkeyopt", "ec_paramgen_curve:P-256")):
    """Signed by the folder's CA: NAME.crt and NAME.key. Written aside and renamed, as careful tools do."""
    fresh = f"{folder}/fresh-{name}"
    openssl("req", "-newkey", *key, "-nodes", "-subj", f"/CN={name}", "-keyout", f"{fresh}.key", "-out", f"{fresh}.csr")
    with open(f"{fresh}.ext", "w", encoding="ascii") as file:
        file.write("subjectAltName=" + ",".join(f"IP:{h}" if h[0].isdigit() else f"DNS:{h}" for h in hosts))
    openssl("x509", "-req", "-in", f"{fresh}.csr", "-CA", f"{folder}/ca.crt", "-CAkey", f"{folder}/ca.key",
            "-CAcreateserial", "-days", str(days), "-extfile", f"{fresh}.ext", "-out", f"{fresh}.crt")
    os.rename(f"{fresh}.crt", f"{folder}/{name}.crt")
    os.rename(f"{fresh}.key", f"{folder}/{name}.key")
    os.chmod(f"{folder}/{name}.key", 0o600)


class TlsServer(Server):
    """A server that speaks both, on four ports."""

    def __init__(self, options=(), certificate=None):
        super().__init__(options=options)
        self.tls_port, self.gateway_tls_port = free_port(), free_port()
        self.options += ["--enable-tls", "--tls-port", str(self.tls_port), "--gateway-tls-port",
                         str(self.gateway_tls_port)]
        make_ca(self.folder)
        if certificate:
            make_certificate(self.folder, *certificate)
            name = certificate[0]
            self.options += ["--tls-certificate", f"{self.folder}/{name}.crt", "--tls-certificate-key",
                             f"{self.folder}/{name}.key"]

    def trusting(self, **more):
        context = ssl.create_default_context(cafile=f"{self.folder}/ca.crt")
        for key, value in more.items():
            setattr(context, key, value)
        return context

    def connect(self, port=None, context=None, host="localhost"):
        plain = socket.create_connection(("127.0.0.1", port or self.tls_port), timeout=20 * PATIENCE)
        try:
            return (context or self.trusting()).wrap_socket(plain, server_hostname=host)
        except BaseException:
            plain.close()
            raise

    def curl(self, *arguments, port=None, path="/healthz", check=True):
        done = subprocess.run(["curl", "-sS", "--noproxy", "*", "--cacert", f"{self.folder}/ca.crt", *arguments,
                               f"https://localhost:{port or self.tls_port}{path}"], capture_output=True,
                              timeout=60 * PATIENCE)
        assert not check or done.returncode == 0, done.stderr
        return done


@pytest.fixture(scope="module")
def server():
    running = TlsServer(certificate=("site", ["localhost", "127.0.0.1"]))
    try:
        running.start()
        running.image("python3", harness.PYTHON_BASE)
        running.function("echo", ECHO)
        running.endpoint("echo", "echo", ["/echo"], ["GET", "POST"])
        yield running
    finally:
        running.finish()


@pytest.fixture
def stopped():
    servers = []

    def make(*arguments, **more):
        servers.append(TlsServer(*arguments, **more))
        return servers[-1]
    yield make
    for each in servers:
        each.finish()


def receive_all(sock):
    received = b""
    while chunk := sock.recv(65536):
        received += chunk
    return received


def ask(sock, path="/healthz", host="localhost", more=b""):
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n".encode() + more + b"\r\n")


# Versions

@pytest.mark.parametrize("version, taken", [("-tls1", False), ("-tls1_1", False), ("-tls1_2", True), ("-tls1_3", True)])
def test_versions(server, version, taken):
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{server.tls_port}", version, "-cipher",
                           "ALL:@SECLEVEL=0", "-CAfile", f"{server.folder}/ca.crt", "-alpn", "h2,http/1.1"],
                          input="", capture_output=True, text=True, timeout=30 * PATIENCE)
    if taken:
        assert "Verify return code: 0 (ok)" in done.stdout and "ALPN protocol: http/1.1" in done.stdout
        assert "Secure Renegotiation IS supported" in done.stdout or version == "-tls1_3"
        assert "Compression: NONE" in done.stdout
    else:
        assert "alert protocol version" in done.stderr


@pytest.mark.parametrize("cipher", ["AES128-SHA", "AES256-GCM-SHA384", "ECDHE-ECDSA-AES256-SHA384", "NULL"])
def test_ciphers_without_forward_secrecy_or_authentication_are_refused(server, cipher):
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{server.tls_port}", "-tls1_2", "-cipher",
                           f"{cipher}:@SECLEVEL=0"], input="", capture_output=True, text=True, timeout=30 * PATIENCE)
    assert "handshake failure" in done.stderr


def test_a_client_that_offers_http_2_alone_is_refused(server):
    context = server.trusting()
    context.set_alpn_protocols(["h2"])
    with pytest.raises(ssl.SSLError, match="no application protocol|NO_APPLICATION_PROTOCOL"):
        server.connect(context=context).close()


# Requests

def test_curl_verifies_and_both_faces_answer(server):
    assert json.loads(server.curl().stdout)["version"]
    reply = server.curl("-H", f"Host: {DEFAULT_HOST}", port=server.gateway_tls_port, path="/echo?a=1")
    assert json.loads(reply.stdout) == {"scheme": "https", "uri": "/echo?a=1", "payload": {"a": "1"}}
    plain = server.gateway("GET", "/echo?a=1").json
    assert plain["scheme"] == "http"


def test_big_bodies_both_ways(server):
    body = json.dumps({"x": "y" * 6000000}).encode()
    path = os.path.join(server.folder, "body.json")
    with open(path, "wb") as file:
        file.write(body)
    for extra in ([], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect: 100-continue"], ["--tls-max", "1.2"]):
        reply = server.curl("-H", f"Host: {DEFAULT_HOST}", "-H", "Content-Type: application/json", "--data-binary",
                            f"@{path}", *extra, port=server.gateway_tls_port, path="/echo")
        assert json.loads(reply.stdout)["payload"] == json.loads(body)


def test_the_limits_hold(server):
    reply = server.curl("-H", f"Host: {DEFAULT_HOST}", "-H", "Content-Type: application/json", "-d",
                        "x" * 100, "-H", "Content-Length: 99999999", "-i", "--max-time", "20",
                        port=server.gateway_tls_port, path="/echo", check=False)
    assert b" 413 " in reply.stdout
    reply = server.curl("-H", "X: " + "y" * 70000, "-i", check=False)
    assert b" 431 " in reply.stdout


def test_pipelined_requests_in_one_record_and_byte_by_byte(server):
    with server.connect() as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * 50 +
                     b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert receive_all(sock).count(b"HTTP/1.1 200 OK") == 51
    with server.connect() as sock:
        for byte in b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n":
            sock.sendall(bytes([byte]))
        assert receive_all(sock).startswith(b"HTTP/1.1 200 OK")


def test_expect_100_continue(server):
    with server.connect() as sock:
        sock.sendall(b"POST /v1/secret HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
                     b"Expect: 100-continue\r\nConnection: close\r\n\r\n")
        assert sock.recv(65536).startswith(b"HTTP/1.1 100 ")
        sock.sendall(b"{}")
        assert b"HTTP/1.1 4" in receive_all(sock)


def test_the_end_is_told_and_the_clients_end_is_answered(server):
    """An EOF without close_notify raises in Python."""
    with server.connect(context=server.trusting()) as sock:
        ask(sock, more=b"Connection: close\r\n")
        assert receive_all(sock).startswith(b"HTTP/1.1 200 OK")
    with server.connect() as sock:
        ask(sock)
        assert sock.recv(65536).startswith(b"HTTP/1.1 200 OK")
        with sock.unwrap() as plain:  # waits for the server's close_notify
            assert plain.recv(1) == b""


# Clients that do something else

def test_http_in_clear_gets_a_400_that_says_so(server):
    for method in ("GET", "POST", "DELETE", "OPTIONS"):
        reply = harness.request(server.tls_port, method, "/v1/function")
        assert reply.status == 400 and "https://" in reply.json["message"]
    assert "https://" in harness.request(server.gateway_tls_port, "GET", "/echo").json["message"]


@pytest.mark.parametrize("sent", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x16\x03\x01\xff\xff",
                                  b"\x15\x03\x03\x00\x02\x02\x28", bytes(range(255, 5, -1)) * 2, b"\x80" * 100],
                         ids=["nothing", "a-byte", "half-a-hello", "a-record-too-long", "an-alert", "noise", "more-noise"])
def test_clients_that_go_away_in_the_handshake_hurt_nobody(server, sent):
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", server.tls_port), timeout=10) as sock:
            with contextlib.suppress(ConnectionError):
                sock.sendall(sent)
    assert json.loads(server.curl().stdout)["version"]


def test_500_handshakes_that_hang_leave_room(server):
    with contextlib.ExitStack() as stack:
        hanging = [stack.enter_context(socket.create_connection(("127.0.0.1", server.tls_port), timeout=10))
                   for _ in range(500)]
        for sock in hanging[::2]:
            sock.sendall(b"\x16\x03\x01")
        assert json.loads(server.curl().stdout)["version"]


def test_a_handshake_that_trickles_is_ended(stopped):
    server = stopped(["--tls-handshake-timeout-ms", "500"]).start()
    with socket.create_connection(("127.0.0.1", server.tls_port), timeout=20 * PATIENCE) as sock:
        sock.settimeout(0.1)
        for byte in b"\x16\x03\x01\x02\x00" + b"\x01" * 500:
            try:
                sock.sendall(bytes([byte]))
                if sock.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
        else:
            raise AssertionError("the server waits for ever")


# Certificates

def test_a_pair_of_its_own_with_a_warning(stopped):
    server = stopped().start()
    assert server.log().count("certificate that signs itself") == 1
    kept = os.path.join(server.state, "server", "self-signed.pem")
    assert os.stat(kept).st_mode & 0o777 == 0o600
    with open(kept, "rb") as file:
        pair = file.read()
    trusting = ssl.create_default_context(cafile=os.path.join(server.state, "server", "self-signed.crt"))
    for host in ("localhost", "127.0.0.1", "::1", socket.gethostname(), DEFAULT_HOST, "dispatch.local"):
        with server.connect(context=trusting, host=host) as sock:
            ask(sock, more=b"Connection: close\r\n")
            assert receive_all(sock).startswith(b"HTTP/1.1 200 OK")
    with pytest.raises(ssl.SSLCertVerificationError):
        server.connect(context=trusting, host="elsewhere.example")
    server.restart()
    with open(kept, "rb") as file:
        assert file.read() == pair
    server.stop()
    with open(kept, "wb") as file:
        file.write(pair[:200])
    server.start()
    server.connect(context=ssl.create_default_context(cafile=os.path.join(server.state, "server", "self-signed.crt"))).close()


def ends_with(server, text):
    server.start(wait=False)
    status = server.process.wait(20 * PATIENCE)
    server.process = None
    lines = server.log().splitlines()
    assert status != 0 and text in lines[-1], server.log()
    assert len([line for line in lines if "level=error" in line or not line.startswith("time=")]) == 1, server.log()
    os.unlink(server.log_path)


def test_wrong_files_are_one_clear_line(stopped):
    server = stopped(certificate=("site", ["localhost"]))
    folder = server.folder
    make_certificate(folder, "other", ["localhost"])
    weak = ("rsa:1024", "-sha256")
    make_certificate(folder, "weak", ["localhost"], key=weak)
    with open(f"{folder}/rubbish", "w", encoding="ascii") as file:
        file.write("rubbish\n")
    with open(f"{folder}/locked.key", "w", encoding="ascii") as file:
        file.write(openssl("ec", "-in", f"{folder}/site.key", "-aes128", "-passout", "pass:secret"))

    def of(certificate, key):
        server.options = server.options[:5] + ["--tls-certificate", certificate, "--tls-certificate-key", key]

    site, key = f"{folder}/site.crt", f"{folder}/site.key"
    for certificate, private, text in (
            (f"{folder}/none.crt", key, f"--tls-certificate: open {folder}/none.crt: No such file or directory"),
            (site, f"{folder}/none.key", f"--tls-certificate-key: open {folder}/none.key: No such file or directory"),
            (folder, key, f"{folder} is not a file"),
            (f"{folder}/rubbish", key, "rubbish holds no certificate in PEM form"),
            (site, f"{folder}/rubbish", "rubbish holds no private key in PEM form"),
            (site, f"{folder}/other.key", "other.key does not belong to the certificate"),
            (site, f"{folder}/locked.key", "locked.key is encrypted"),
            (f"{folder}/weak.crt", f"{folder}/weak.key", "ee key too small")):
        of(certificate, private)
        ends_with(server, text)
    server.options = server.options[:5] + ["--tls-certificate", site]
    ends_with(server, "each certificate needs its key")
    server.options = ["--disable-http"]
    ends_with(server, "give --enable-tls with it")


def test_an_expired_certificate_is_a_warning(stopped):
    server = stopped(certificate=("site", ["localhost"], -1)).start()
    assert "site.crt has expired" in server.log()
    done = server.curl(check=False)
    assert done.returncode == 60


def test_the_certificate_follows_the_name(stopped):
    server = stopped(certificate=("first", ["first.example", "localhost"]))
    make_certificate(server.folder, "second", ["second.example", "*.wild.example"])
    server.options += ["--tls-certificate", f"{server.folder}/second.crt", "--tls-certificate-key",
                       f"{server.folder}/second.key"]
    server.start()
    for host, name in (("first.example", "first"), ("second.example", "second"), ("a.wild.example", "second"),
                       ("localhost", "first")):
        with server.connect(host=host) as sock:
            assert dict(pair[0] for pair in sock.getpeercert()["subject"])["commonName"] == name
    with pytest.raises(ssl.SSLCertVerificationError):
        server.connect(host="third.example")


def test_a_key_that_root_alone_may_read(stopped):
    server = stopped(certificate=("site", ["localhost"]))
    os.chmod(server.folder, 0o700)
    server.start()
    server.connect().close()


# Ports

def test_without_http_the_plain_ports_are_closed(stopped):
    server = stopped(["--disable-http"], certificate=("site", ["localhost"]))
    server.start(wait=False)
    poll(lambda: "ready in" in server.log(), 15, "ready")
    assert json.loads(server.curl().stdout)["version"]
    for port in (server.port, server.gateway_port):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
    assert "serving HTTP traffic" not in server.log()
    assert server.cli("--host", f"unix:{server.state}/dispatch.sock", "get", "functions").returncode == 0


def test_a_port_in_use_names_its_option(stopped):
    for port, flag in (("tls_port", "--tls-port"), ("gateway_tls_port", "--gateway-tls-port")):
        server = stopped()
        with socket.create_server(("127.0.0.1", getattr(server, port))):
            ends_with(server, f"is in use; choose another with {flag}")


def test_an_endpoint_for_https_only(server):
    server.function("count", COUNT)
    server.endpoint("secure", "count", ["/secure"], protocols=["https"])
    for _ in range(3):
        reply = server.gateway("GET", "/secure")
        assert reply.status == 400 and reply.text.startswith('{"message":"Please use HTTPS protocol"')
        assert reply.json == {"message": "Please use HTTPS protocol", "code": 400}
    reply = server.curl("-H", f"Host: {DEFAULT_HOST}", port=server.gateway_tls_port, path="/secure")
    assert reply.stdout == b"1"
    server.endpoint("clear", "count", ["/clear"], protocols=["http"])
    assert server.gateway("GET", "/clear").status == 200
    assert server.curl("-H", f"Host: {DEFAULT_HOST}", port=server.gateway_tls_port, path="/clear").stdout == b"3"


# Changes while it runs

class Load:
    """Callers that ask without a pause, each request on a connection of its own or all on one; none may fail. With
    `closes`, a kept connection may end before a request on it is taken: then clients send it again on another (RFC 9112
    section 9.3.1)."""

    def __init__(self, server, callers=4, closes=False):
        self.server, self.closes, self.stop, self.failures, self.done, self.names = server, closes, threading.Event(), [], 0, set()
        self.threads = [threading.Thread(target=self.run, args=(i % 2 == 0,)) for i in range(callers)]

    def once(self, sock, kept):
        try:
            ask(sock, "/echo?x=1", DEFAULT_HOST)
            reply = sock.recv(65536)
        except (ConnectionError, ssl.SSLEOFError):
            if not self.closes or not kept:
                raise
            reply = b""
        if self.closes and kept and reply == b"":
            return False
        assert reply.startswith(b"HTTP/1.1 200 OK"), reply
        self.done += 1
        return b"Connection: close" not in reply

    def run(self, keeps):
        context, sock, kept = self.server.trusting(), None, False
        try:
            while not self.stop.is_set():
                if sock is None:
                    sock = self.server.connect(self.server.gateway_tls_port, context)
                    self.names.add(dict(pair[0] for pair in sock.getpeercert()["subject"])["commonName"])
                kept = self.once(sock, kept) and keeps
                if not kept:
                    sock.close()
                    sock = None
        except Exception as error:  # whatever it is, it is a failed request
            self.failures.append(repr(error))
        finally:
            if sock is not None:
                sock.close()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        poll(lambda: self.done > 20 or self.failures, 30, "requests")
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def more(self, count=30):
        target = self.done + count
        poll(lambda: self.done > target or self.failures, 60, "more requests")


def certificate_name(server, port=None):
    with server.connect(port) as sock:
        return sock.getpeercert()["serialNumber"]


def test_reload_under_load_loses_nothing(stopped):
    server = stopped(certificate=("site", ["localhost"])).start()
    server.image("python3", harness.PYTHON_BASE)
    server.function("echo", ECHO)
    server.endpoint("echo", "echo", ["/echo"])
    seen = {certificate_name(server)}
    with Load(server) as load:
        for _ in range(5):
            make_certificate(server.folder, "site", ["localhost"])
            server.process.send_signal(signal.SIGHUP)
            poll(lambda: certificate_name(server) not in seen and certificate_name(server, server.gateway_tls_port)
                 not in seen, 20, "the new certificate")
            seen.add(certificate_name(server))
            load.more()
    assert not load.failures, load.failures
    assert len(seen) == 6

    pid, before = server.server_pid(), certificate_name(server)
    with open(f"{server.folder}/site.key", "w", encoding="ascii") as file:
        file.write("rubbish")
    server.process.send_signal(signal.SIGHUP)
    poll(lambda: "certificates stay as they were" in server.log(), 10, "the refusal")
    assert certificate_name(server) == before and server.server_pid() == pid


def test_reload_without_tls_ends_nothing(fresh):
    pid = fresh.server_pid()
    fresh.process.send_signal(signal.SIGHUP)
    poll(lambda: "TLS is off" in fresh.log(), 10, "the line")
    os.kill(pid, signal.SIGHUP)
    assert fresh.api("GET", "/healthz").status == 200 and fresh.server_pid() == pid


def test_upgrade_under_load_loses_nothing(stopped):
    server = stopped(certificate=("site", ["localhost"])).start()
    server.image("python3", harness.PYTHON_BASE)
    server.function("echo", ECHO)
    server.endpoint("echo", "echo", ["/echo"])
    old = server.server_pid()
    with Load(server, closes=True) as load:
        server.process.send_signal(signal.SIGUSR2)
        poll(lambda: not harness.is_alive(old) or load.failures, 60, "the end of the older server")
        load.more()
    assert not load.failures, load.failures


# The client

def client(server, *arguments, env=None, host="localhost"):
    return subprocess.run([os.path.join(BUILD, "dispatch"), "--host", host, "--port", str(server.tls_port), *arguments],
                          capture_output=True, text=True, timeout=60 * PATIENCE,
                          env=clean_environment(HOME=server.folder, **(env or {})))


def test_the_client_verifies_and_says_what_to_do(server):
    done = client(server, "get", "functions")
    assert done.returncode == 1 and done.stdout == ""
    assert "cannot verify" in done.stderr and "--cacert FILE" in done.stderr and "--insecure" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    ca = f"{server.folder}/ca.crt"
    assert "echo" in client(server, "--cacert", ca, "get", "functions").stdout
    assert "echo" in client(server, "get", "functions", env={"DISPATCH_CACERT": ca}).stdout
    assert "echo" in client(server, "--insecure", "get", "functions").stdout
    config = os.path.join(server.folder, "tls.json")
    with open(config, "w", encoding="ascii") as file:
        json.dump({"current": "a", "contexts": {"a": {"scheme": "https", "cacert": ca}}}, file)
    assert "echo" in client(server, "--config", config, "get", "functions").stdout


def test_the_client_checks_the_host_name(stopped):
    server = stopped(certificate=("site", ["elsewhere.example"])).start()
    done = client(server, "--cacert", f"{server.folder}/ca.crt", "get", "functions")
    assert done.returncode == 1 and "localhost" in done.stderr and "cannot verify" in done.stderr
    assert client(server, "--insecure", "get", "functions").returncode == 0


def test_the_client_on_wrong_files_and_ports(server):
    done = client(server, "--cacert", "/nonexistent", "get", "functions")
    assert done.returncode == 1 and "cannot use the certificates of --cacert /nonexistent" in done.stderr
    done = client(server, "--scheme", "http", "get", "functions")
    assert done.returncode == 1 and "this port takes HTTPS alone" in done.stderr
    done = subprocess.run([os.path.join(BUILD, "dispatch"), "--host", "localhost", "--port", str(server.port), "get",
                           "functions"], capture_output=True, text=True, env=clean_environment(HOME=server.folder))
    assert done.returncode == 1 and "add --scheme http" in done.stderr


def test_what_holds_in_clear_holds_with_tls_alone():
    """What each connection of the tests goes through by the harness, once more through TLS."""
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/e2e/test_gateway.py",
                           "tests/e2e/test_seed_wire.py", "tests/e2e/test_quickstart.py", "tests/e2e/test_server.py", "-k",
                           "test_seed_wire or transcript or leaves_nothing or sigterm_lets or query or exact_before"],
                          capture_output=True, text=True, cwd=harness.ROOT, env={**os.environ, "TLS": "1"},
                          timeout=600 * PATIENCE)
    assert done.returncode == 0, done.stdout[-6000:]
