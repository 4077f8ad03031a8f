"""The original's clients on the wire, over a raw socket: no library sends an empty header, or a DELETE with a Content-Type,
the way they do. One keep-alive connection, bodies chunked, headers in the order of Go's http client."""
import json
import socket

import harness


class GoClient:
    def __init__(self, port, organization="", project=None, cookie=None):
        self.port, self.organization, self.project, self.cookie = port, organization, project, cookie
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30 * harness.PATIENCE)
        self.file = self.socket.makefile("rb")

    def close(self):
        self.file.close()
        self.socket.close()

    def call(self, method, path, body=None):
        """(status, JSON or None)."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", "User-Agent: Go-http-client/1.1"]
        if body is not None:
            lines.append("Transfer-Encoding: chunked")
        lines.append("Accept: application/json")
        if method in ("POST", "PUT", "DELETE"):
            lines.append("Content-Type: application/json")
        if self.cookie is not None:
            lines.append(f"Cookie: {self.cookie}")
        lines.append(f"X-Dispatch-Org: {self.organization}")
        if self.project is not None:
            lines.append(f"X-Dispatch-Project: {self.project}")
        lines.append("Accept-Encoding: gzip")
        data = json.dumps(body).encode() + b"\n"
        chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data) if body is not None else b""
        self.socket.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + chunks)
        return self.read()

    def read(self):
        status = int(self.file.readline().split()[1])
        headers = {}
        while (line := self.file.readline().strip()):
            key, value = line.decode().split(":", 1)
            headers[key.lower()] = value.strip()
        body = b"" if status == 204 else self.file.read(int(headers.get("content-length", 0)))
        if body:
            assert headers["content-type"].startswith("application/json"), headers
        assert "content-encoding" not in headers
        return status, json.loads(body) if body else None

    def settled(self, path, wanted="READY"):
        """Polls until the object has left its in-between states."""
        def look():
            status, body = self.call("GET", path)
            assert status == 200, (status, body)
            return body if body["status"] in ("READY", "ERROR") else None
        found = harness.poll(look, 30, f"{path} {wanted}")
        assert found["status"] == wanted, (found["status"], found["reason"])
        return found
