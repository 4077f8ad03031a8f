"""Drives the real programs: starts `dispatch-server` on free ports with a state directory of its own, and talks to it
as a user does, by the command line and by HTTP.

Nothing here sleeps in order to wait: every wait polls a condition until a deadline and fails loudly past it.
"""
import base64
import contextlib
import functools
import gzip
import http.client
import io
import json
import os
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tarfile
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.abspath(os.environ.get("BUILD_DIR") or os.path.join(ROOT, "build"))
# A sanitizer makes everything slower; deadlines are for broken programs, not for slow ones.
PATIENCE = int(os.environ.get("PATIENCE") or (5 if any(word in BUILD for word in ("-asan", "-tsan")) else 1))
SERVER_OPTIONS = (os.environ.get("SERVER_OPTIONS") or "").split()
# With TLS=1 the servers speak HTTPS alone, on the ports that are otherwise in clear, and so do the tests.
TLS = bool(os.environ.get("TLS"))
SCHEME = "https" if TLS else "http"
SANITIZER_REPORT = re.compile(r"^.*(?:ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:).*$", re.M)
PYTHON_BASE = "dispatchframework/python3-base:0.0.13-knative"
NATIVE_BASE = "dispatchframework/native-base"
DEFAULT_HOST = "default.dispatch-server.dispatch.local"
READY_S = 15 * PATIENCE


def poll(condition, timeout_s=10, what="the condition"):
    """The first true value of condition(), asked again and again."""
    deadline = time.monotonic() + timeout_s * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout_s * PATIENCE} s")
        time.sleep(0.01)


def free_port():
    """Below those that the kernel gives to connections (ip_local_port_range), one of which could take it meanwhile."""
    while True:
        port = random.SystemRandom().randrange(10240, 32768)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def clean_environment(**more):
    """This process's environment without anything that steers Dispatch or a proxy."""
    kept = {key: value for key, value in os.environ.items()
            if not key.startswith("DISPATCH_") and not key.lower().endswith("_proxy")}
    return {**kept, **more}


def trusting():
    """A TLS context that takes any certificate: what is looked at here is not who answers."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def dial(port, timeout_s=30):
    """A socket to a server of the tests, in clear or as TLS says."""
    plain = socket.create_connection(("127.0.0.1", port), timeout=timeout_s * PATIENCE)
    return trusting().wrap_socket(plain) if TLS else plain


def connection(port, timeout_s=30):
    """Likewise, for HTTP."""
    connect = functools.partial(http.client.HTTPSConnection, context=trusting()) if TLS else http.client.HTTPConnection
    return connect("127.0.0.1", port, timeout=timeout_s * PATIENCE)


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:400]!r}>"


def request(port, method, path, body=None, headers=None, timeout_s=30):
    """One HTTP exchange on a connection of its own. A dict or list as body goes out as JSON."""
    headers = dict(headers or {})
    if isinstance(body, (dict, list)):
        body = json.dumps(body)
        headers.setdefault("Content-Type", "application/json")
    if isinstance(body, str):
        body = body.encode()
    with contextlib.closing(connection(port, timeout_s)) as asked:
        try:
            asked.request(method, path, body=body, headers=headers)
        except (BrokenPipeError, ConnectionResetError):
            if asked.sock is None:
                raise
            # it may have answered before it read all
        reply = asked.getresponse()
        return Reply(reply.status, reply.headers, reply.read())


def raw(port, data, timeout_s=10, shut=False):
    """Sends bytes as they are and returns all that comes until the server closes or says nothing more for a while."""
    with dial(port, timeout_s) as sock:
        sock.sendall(data)
        if shut:
            sock.shutdown(socket.SHUT_WR)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while True:
                try:
                    chunk = sock.recv(65536)
                except TimeoutError:
                    break
                if not chunk:
                    return received
                received += chunk
        return received


def pack(files, prefix="./", trailer=True):
    """A source archive as the clients make it: base64 of a gzip'd ustar. {name: text, bytes, or (bytes, mode)}."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            content, mode = content if isinstance(content, tuple) else (content, 0o644)
            content = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(prefix + name)
            member.size, member.mode = len(content), mode
            archive.addfile(member, io.BytesIO(content))
        end = stream.tell()
    data = stream.getvalue()
    if not trailer:  # as the SOLO client: no end-of-archive blocks, the last member without padding
        data = data[:end - (-len(content)) % 512]
    return base64.b64encode(gzip.compress(data)).decode()


def process_children(pid):
    found = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                found += [int(child) for child in file.read().split()]
    return found


def process_tree(pid):
    tree = [pid]
    for child in process_children(pid):
        tree += process_tree(child)
    return tree


def process_name(pid):
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
            return file.read().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Server:
    """One dispatch-server with its folder, ports and client configuration."""

    def __init__(self, folder=None, options=()):
        self.folder = folder or tempfile.mkdtemp(prefix="dispatch-test-")
        self.owns_folder = folder is None
        os.makedirs(self.folder, exist_ok=True)
        self.state = os.path.join(self.folder, "state")
        self.port, self.gateway_port = free_port(), free_port()
        self.options = list(options)
        self.process = None
        self.description = None  # an openapi.Description: what api() holds each exchange to
        self.log_path = os.path.join(self.folder, "server.log")
        self.config = os.path.join(self.folder, "config.json")
        self.write_config()

    def write_config(self):
        context = {"host": "127.0.0.1", "port": self.port, "scheme": SCHEME, "organization": "",
                   "cookie": "", "insecure": TLS}
        with open(self.config, "w", encoding="utf-8") as file:
            json.dump({"current": "test", "contexts": {"test": context}}, file)

    # Life

    def command(self):
        secure = ["--enable-tls", "--disable-http"] if TLS else []
        port, gateway_port = ("--tls-port", "--gateway-tls-port") if TLS else ("--port", "--gateway-port")
        return [os.path.join(BUILD, "dispatch-server"), "--state-dir", self.state, port, str(self.port), gateway_port,
                str(self.gateway_port), *secure, *SERVER_OPTIONS, *self.options]

    def start(self, wait=True):
        assert self.process is None
        self.log_offset = os.path.getsize(self.log_path) if os.path.exists(self.log_path) else 0
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=clean_environment(), start_new_session=True)
        if wait:
            self.wait_ready()
        return self

    def is_ready(self):
        try:
            return request(self.port, "GET", "/readyz", timeout_s=2).status == 200
        except OSError:
            return False
        except http.client.HTTPException:
            return False

    def wait_ready(self, timeout_s=15):
        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"dispatch-server ended with {self.process.returncode}:\n{self.log()}")
            return self.is_ready()
        try:
            poll(ready, timeout_s, "/readyz")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()}") from None

    def stop(self):
        """SIGTERM, as an init system does; returns the exit status."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.terminate()
        try:
            status = self.process.wait(20 * PATIENCE)
        except subprocess.TimeoutExpired:
            tree = [(pid, process_name(pid)) for pid in process_tree(self.process.pid)]
            self.kill()
            raise AssertionError(f"dispatch-server did not stop after SIGTERM; left: {tree}\n{self.log()}") from None
        self.process = None
        return status

    def kill(self):
        """SIGKILL to the first process alone: what a crash of spawn is. Its children must notice by themselves."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            self.process.wait()
            self.process = None

    def restart(self):
        self.stop()
        return self.start()

    def server_pid(self):
        """The process that listens: the unprivileged child of spawn."""
        listening = None
        for pid in process_children(self.process.pid):
            with contextlib.suppress(OSError):
                with open(f"/proc/{pid}/status", encoding="utf-8") as file:
                    uid = [line.split()[1] for line in file if line.startswith("Uid:")][0]
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    line = file.read()
                if b"dispatch" in line and uid != "0" and listening is None:
                    listening = pid
        return listening

    def finish(self):
        try:
            self.stop()
        finally:
            if self.process is not None:
                self.kill()
            log = self.log(100000)
            if self.owns_folder:
                shutil.rmtree(self.folder, ignore_errors=True)
        found = SANITIZER_REPORT.search(log)
        assert not found, log[found.start():found.start() + 6000]

    def log(self, lines=40):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as file:
                return "\n".join(file.read().splitlines()[-lines:])
        except FileNotFoundError:
            return ""

    # The ways to talk to it

    def api(self, method, path, body=None, headers=None, **more):
        reply = request(self.port, method, path, body, {"Accept": "application/json", **(headers or {})}, **more)
        if self.description is not None:
            self.description.check(method, path, body, reply)
        return reply

    def gateway(self, method, path, body=None, headers=None, host=DEFAULT_HOST, **more):
        return request(self.gateway_port, method, path, body, {"Host": host, **(headers or {})}, **more)

    def cli(self, *arguments, input=None, check=True, env=None, cwd=ROOT, timeout_s=60):
        """Runs the client. A str comes back in stdout and stderr."""
        done = subprocess.run([os.path.join(BUILD, "dispatch"), *arguments], input=input, capture_output=True, text=True,
                              cwd=cwd, timeout=timeout_s * PATIENCE,
                              env=clean_environment(DISPATCH_CONFIG=self.config, HOME=self.folder, TZ="UTC",
                                                    **(env or {})))
        if check and done.returncode != 0:
            raise AssertionError(f"dispatch {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
                                 f"\n--- server\n{self.log(20)}")
        return done

    # What tests do all the time

    def wait_status(self, kind, name, wanted="READY", timeout_s=30):
        """Polls until the resource has left its in-between states; asserts which one it came to."""
        def settled():
            reply = self.api("GET", f"/v1/{kind}/{name}")
            assert reply.status == 200, reply
            return reply.json if reply.json["status"] in ("READY", "ERROR") else None
        found = poll(settled, timeout_s, f"{kind} {name} {wanted}")
        assert found["status"] == wanted, (found["status"], found.get("reason"), self.log(10))
        return found

    def image(self, name, base):
        reply = self.api("POST", "/v1/image", {"name": name, "baseImageName": base})
        assert reply.status in (201, 409), reply
        return self.wait_status("image", name)

    def function(self, name, files, image="python3", handler=None, wanted="READY", **fields):
        """Creates a function and waits for its status. files: {name: content}, or the text of handler.py."""
        if isinstance(files, str):
            files = {"handler.py": files}
        body = {"name": name, "source": pack(files), "image": image, **fields}
        if handler:
            body["handler"] = handler
        reply = self.api("POST", "/v1/function", body)
        assert reply.status == 201, reply
        return self.wait_status("function", name, wanted) if wanted else reply.json

    def update(self, name, files, image="python3", **fields):
        files = {"handler.py": files} if isinstance(files, str) else files
        reply = self.api("PUT", f"/v1/function/{name}", {"name": name, "source": pack(files), "image": image, **fields})
        assert reply.status == 200, reply
        return self.wait_status("function", name)

    def endpoint(self, name, function, uris=("/",), methods=("GET",), **fields):
        reply = self.api("POST", "/v1/endpoint", {"name": name, "function": function, "uris": list(uris), "methods":
                                                  list(methods), "protocols": ["http", "https"], "enabled": True,
                                                  **fields})
        assert reply.status == 200, reply
        return reply.json

    def run(self, function, payload=None, blocking=True, status=None, **fields):
        """A run with `input`; the whole run comes back."""
        reply = self.api("POST", f"/v1/runs?functionName={function}", {"blocking": blocking, "input": payload, **fields})
        assert reply.status == (status or (200 if blocking else 202)), reply
        return reply.json

    def message(self, function, body=b"", content_type="application/json", **fields):
        """A run with `inputBytes` as the SEED client sends it; the message of contract 8.3 comes back."""
        sent = {"blocking": True, "httpContext": {"Accept": "application/json", "Content-Type": content_type}, **fields}
        if body:
            sent["inputBytes"] = base64.b64encode(body if isinstance(body, bytes) else body.encode()).decode()
        reply = self.api("POST", f"/v1/runs?functionName={function}", sent)
        assert reply.status == 200, reply
        return json.loads(base64.b64decode(reply.json["outputBytes"]))


def left_behind():
    """What a server may leave on the host: processes, cgroups, mounts, network namespaces with a name, sockets in
    /run. Sets of strings, to be compared before and after."""
    found = set()
    for entry in os.listdir("/proc"):
        if entry.isdigit() and is_alive(int(entry)):
            with contextlib.suppress(OSError):
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    line = file.read().replace(b"\0", b" ").decode(errors="replace").strip()
                if "dispatch-" in line.split(" ")[0] or "/runtime/" in line or "dispatch-server" in line:
                    found.add(f"process {entry} {line[:120]}")
    for top, folders, _ in os.walk("/sys/fs/cgroup"):
        if top.count("/") > 8:
            folders.clear()
        found.update(f"cgroup {os.path.join(top, name)}" for name in folders if "dispatch" in os.path.join(top, name))
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        found.update(f"mount {line.split()[4]}" for line in file if "dispatch" in line)
    with contextlib.suppress(FileNotFoundError):
        found.update(f"netns {name}" for name in os.listdir("/run/netns") if "dispatch" in name)
    return found
