"""A real object store for the tests: versitygw (HACKING.md says why that one), from the Go module proxy, built once into
build/tools; S3_SERVER names another program of it. What cannot be had is a reason to skip."""
import contextlib
import functools
import os
import shutil
import subprocess
import tempfile
import threading

import pytest

import harness

MODULE = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
GO_WANTED = (1, 24)
ACCESS_KEY, SECRET_KEY = "dispatch-tests", "of-no-worth-to-anybody"
TOOLS = os.path.join(harness.ROOT, "build", "tools")


def go_version(go):
    try:
        words = subprocess.run([go, "version"], capture_output=True, text=True, check=True, timeout=60).stdout.split()
        return tuple(int(part) for part in words[2].removeprefix("go").split(".")[:2])
    except (OSError, subprocess.SubprocessError, IndexError, ValueError):
        return (0, 0)


@functools.cache
def program():
    """The path of versitygw, and why there is none."""
    given = os.environ.get("S3_SERVER") or shutil.which("versitygw")
    if given:
        return given, ""
    built = os.path.join(TOOLS, "versitygw")
    if os.access(built, os.X_OK):
        return built, ""
    go = shutil.which("go") or "/usr/local/go/bin/go"
    if go_version(go) < GO_WANTED:
        return None, "no S3 server: versitygw needs go %d.%d or later to be built" % GO_WANTED
    os.makedirs(TOOLS, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=TOOLS) as cache:
        environment = {**os.environ, "GOBIN": cache, "GOCACHE": os.path.join(cache, "cache"), "GOFLAGS": "-buildvcs=false"}
        made = subprocess.run([go, "install", "-trimpath", "-ldflags=-s -w", MODULE], capture_output=True, text=True,
                              env=environment, cwd=cache, timeout=900)
        if made.returncode != 0:
            return None, f"no S3 server: {made.stderr.strip().splitlines()[-1:]}"
        os.replace(os.path.join(cache, "versitygw"), built)
    return built, ""


class Store:
    """One S3 server on loopback, over a folder: buckets are folders in it, objects files."""

    def __init__(self, folder, *options):
        self.root = os.path.join(folder, "objects")
        self.uploads_folder = ".sgwtmp/multipart"
        self.users = os.path.join(folder, "users")
        self.port = harness.free_port()
        self.options = list(options)
        self.process = None
        self.log_path = os.path.join(folder, "s3.log")
        os.makedirs(self.root, exist_ok=True)
        os.makedirs(self.users, exist_ok=True)

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        found, why = program()
        if found is None:
            pytest.skip(why)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [found, "--port", self.address, "--iam-dir", self.users, *self.options, "posix", self.root],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, "ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY})
        harness.poll(self.answers, 30, "the S3 server")
        return self

    def answers(self):
        assert self.process.poll() is None, self.log()
        with contextlib.suppress(OSError):
            with harness.socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        return False

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()[-4000:]

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def objects(self, bucket="dispatch"):
        """The keys in a bucket."""
        top = os.path.join(self.root, bucket)
        found = set()
        for folder, folders, files in os.walk(top):
            folders[:] = [name for name in folders if not name.startswith(".sgwtmp")]
            found.update(os.path.relpath(os.path.join(folder, name), top) for name in files)
        return found

    def uploads(self, bucket="dispatch"):
        """Parts of uploads that are not over."""
        top = os.path.join(self.root, bucket, self.uploads_folder)
        return {os.path.join(folder, name) for folder, _, files in os.walk(top) for name in files}

    def minio(self):
        """The server's options for it, as the original has them."""
        return ["--storage", "minio", "--minio-address", self.address, "--minio-username", ACCESS_KEY,
                "--minio-password", SECRET_KEY]


class Way:
    """What stands between a server and its store: passes connections on, but may answer in its place, hold a request
    back, or let only so many bytes of bodies through."""

    def __init__(self, store):
        self.store = store
        self.listener = harness.socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.answers = []  # of the next requests, as bytes; {date} is filled in
        self.heads = []
        self.bytes_left = None  # None: no bound
        self.stopped = threading.Event()  # bytes_left was reached
        self.on = True
        threading.Thread(target=self.accept, daemon=True).start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def accept(self):
        while self.on:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with contextlib.suppress(OSError), connection:
            head = b""
            while b"\r\n\r\n" not in head:
                got = connection.recv(65536)
                if not got:
                    return
                head += got
            self.heads.append(head.split(b"\r\n\r\n")[0].decode())
            if self.answers:
                connection.sendall(self.answers.pop(0))
                connection.shutdown(harness.socket.SHUT_WR)
                while connection.recv(65536):
                    pass
                return
            with harness.socket.create_connection(("127.0.0.1", self.store.port)) as onward:
                threading.Thread(target=self.back, args=(onward, connection), daemon=True).start()
                self.forth(head, connection, onward)

    def forth(self, data, connection, onward):
        while data:
            if self.bytes_left is not None:
                data = data[:max(self.bytes_left, 0)]
                self.bytes_left -= len(data)
                if not data or self.bytes_left <= 0:
                    onward.sendall(data)
                    self.stopped.set()
                    while connection.recv(65536):  # until the other side gives up
                        if self.bytes_left is None:
                            return
                    return
            onward.sendall(data)
            data = connection.recv(65536)

    @staticmethod
    def back(onward, connection):
        with contextlib.suppress(OSError):
            while True:
                data = onward.recv(65536)
                if not data:
                    connection.shutdown(harness.socket.SHUT_WR)
                    return
                connection.sendall(data)

    def finish(self):
        self.on = False
        self.listener.close()


def error(status, code, **headers):
    """An answer of a store."""
    body = f"<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>because</Message></Error>"
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return (f"HTTP/1.1 {status} Odd\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n{fields}"
            f"Connection: close\r\n\r\n{body}").encode()
