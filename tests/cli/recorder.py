"""A recording HTTP server on an ephemeral loopback port, and the real client run against it.

Every request is kept whole. Replies are given ahead: reply(method, path, ...) queues one for that method and path (the
last one stays), raw(bytes) answers the next connection with exactly those bytes.
"""
import http.server
import json
import os
import socket
import socketserver
import subprocess
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("BUILD_DIR") or os.path.join(ROOT, "build"))
DISPATCH = os.path.join(BUILD, "dispatch")
TIMEOUT_S = 60


class Request:
    def __init__(self, method, path, headers, body):
        self.method, self.path, self.headers, self.body = method, path, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def line(self):
        return f"{self.method} {self.path}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        api = self.server.api
        length = int(self.headers.get("Content-Length") or 0)
        request = Request(self.command, self.path, self.headers, self.rfile.read(length))
        with api.lock:
            api.requests.append(request)
            if api.raw_reply is not None:
                self.wfile.write(api.raw_reply)
                self.wfile.flush()
                self.close_connection = True
                return
            queue = api.replies.get((self.command, self.path.split("?")[0]), [(404, b'{"code":404,"message":"nothing here"}',
                                                                               {"Content-Type": "application/json"})])
            status, body, headers = queue.pop(0) if len(queue) > 1 else queue[0]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status != 204:
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def address_string(self):
        return "client"

    def log_message(self, *_):
        pass


class TcpServer(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


class UnixServer(socketserver.ThreadingMixIn, http.server.HTTPServer):
    address_family = socket.AF_UNIX
    daemon_threads = True

    def server_bind(self):
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", 0


class Api:
    def __init__(self, unix_path=None):
        self.requests, self.replies, self.raw_reply = [], {}, None
        self.lock = threading.Lock()
        self.server = UnixServer(unix_path, Handler) if unix_path else TcpServer(("127.0.0.1", 0), Handler)
        self.server.api = self
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def reply(self, method, path, body=b"", status=200, content_type="application/json", headers=None):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        headers = {**({"Content-Type": content_type} if content_type else {}), **(headers or {})}
        self.replies.setdefault((method, path), []).append((status, body, headers))

    def raw(self, reply):
        self.raw_reply = reply

    def finish(self):
        self.server.shutdown()
        self.server.server_close()

    @property
    def last(self):
        return self.requests[-1]

    @property
    def lines(self):
        return [request.line for request in self.requests]


class Result:
    def __init__(self, process):
        self.code = process.returncode
        self.out_bytes, self.err_bytes = process.stdout, process.stderr

    @property
    def out(self):
        return self.out_bytes.decode()

    @property
    def err(self):
        return self.err_bytes.decode()


class Client:
    """The built client in a home of its own."""

    def __init__(self, home, port):
        self.home, self.port = str(home), port

    def environment(self, **more):
        kept = {key: value for key, value in os.environ.items()
                if not key.startswith("DISPATCH_") and not key.lower().endswith("_proxy")}
        return {**kept, "HOME": self.home, "TZ": "UTC", "LC_ALL": "C.UTF-8", **more}

    def bare(self, *args, stdin=b"", env=None, cwd=None):
        """Without anything that says where the server is."""
        return Result(subprocess.run([DISPATCH, *args], input=stdin, env=self.environment(**(env or {})),
                                     cwd=cwd or self.home, capture_output=True, timeout=TIMEOUT_S, check=False))

    def __call__(self, *args, stdin=b"", env=None, cwd=None):
        where = {"DISPATCH_HOST": "127.0.0.1", "DISPATCH_PORT": str(self.port), "DISPATCH_SCHEME": "http"}
        return self.bare(*args, stdin=stdin, env={**where, **(env or {})}, cwd=cwd)
