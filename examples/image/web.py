"""An HTTP server that knows nothing of Dispatch: as an image it is a function all the same."""
import http.server
import json
import os


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.reply(200, {"path": self.path, "run": self.headers.get("Dispatch-Run-Id")})

    def do_POST(self):
        given = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            name = json.loads(given or b"{}").get("name", "Noone")
        except (ValueError, AttributeError):
            self.reply(400, {"type": "InputError", "message": "the input is no JSON object", "stacktrace": []})
            return
        print("greeting", name, flush=True)  # to the run's log
        self.reply(200, {"myField": f"Hello, {name}", "secret": secret("password")})

    def reply(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def secret(key):
    """A secret is a file; there is none unless the function names one."""
    try:
        with open(os.path.join("/run/secrets", key), encoding="utf-8") as file:
            return len(file.read()) * "*"
    except FileNotFoundError:
        return None


http.server.HTTPServer(("", int(os.environ.get("PORT", "8080"))), Handler).serve_forever()
