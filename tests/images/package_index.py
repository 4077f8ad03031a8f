"""An index of Python packages for tests: `package_index.py ADDRESS PORT` serves, as PyPI does (PEP 503), source packages
whose build is code of the package itself (PEP 517, a backend in the tree), one for each thing that a package can try.
Below /npm/ it is a registry as npm has it, with the packages of NPM.
GET /gate/NAME is answered when POST /gate/NAME was asked for: so a build waits until a test lets it go on. It prints a
line when it listens."""
import gzip
import hashlib
import http.server
import io
import json
import sys
import tarfile
import threading

BACKEND = r'''
import base64, errno, hashlib, io, json, os, socket, subprocess, sys, urllib.request, zipfile

NAME, VERSION, INDEX = %(name)r, %(version)r, %(index)r

def attempt(what):
    try:
        return repr(what())
    except OSError as error:
        return errno.errorcode.get(error.errno, "E%%s" %% error.errno)
    except Exception as error:
        return type(error).__name__

def call(*arguments):
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(*arguments) < 0:
        raise OSError(ctypes.get_errno(), "")
    return 0

def hook():
%(hook)s

def build_wheel(folder, config_settings=None, metadata_directory=None):
    hook()
    name = "%%s-%%s-py3-none-any.whl" %% (NAME, VERSION)
    info = "%%s-%%s.dist-info" %% (NAME, VERSION)
    files = {
        NAME + "/__init__.py": "VERSION = %%r\n" %% VERSION,
        info + "/METADATA": "Metadata-Version: 2.1\nName: %%s\nVersion: %%s\n" %% (NAME, VERSION) + %(requires)r,
        info + "/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = info + "/RECORD"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
        wheel.writestr(record, "".join(path + ",,\n" for path in [*files, record]))
    return name
'''

HOOKS = {
    "fine": "    print('building fine')",
    "needs": "    pass",
    "hostile": r"""
    host = json.load(open("host.json")) if os.path.exists("host.json") else {}
    found = {
        "shadow": attempt(lambda: open("/etc/shadow").read()),
        "state": attempt(lambda: os.listdir("STATE")),
        "root": attempt(lambda: os.listdir("/root")),
        "loopback": attempt(lambda: socket.create_connection(("127.0.0.1", PORT), 2)),
        "metadata": attempt(lambda: socket.create_connection(("169.254.169.254", 80), 2)),
        "outside": attempt(lambda: open("/usr/lib/evil", "w")),
        "top": attempt(lambda: open("/evil", "w")),
        "mount": attempt(lambda: call(165, b"none", b"/tmp", b"tmpfs", 0, None)),
        "unshare": attempt(lambda: call(272, 0x10000000)),
        "setuid": attempt(lambda: os.setuid(0)),
        "chroot": attempt(lambda: os.chroot("/tmp")),
        "kill": attempt(lambda: os.kill(1, 9)),
        "memory": attempt(lambda: [open("/proc/%s/mem" % pid, "rb+") for pid in os.listdir("/proc")
                                   if pid.isdigit() and b"inside" in open("/proc/%s/cmdline" % pid, "rb").read()]),
    }
    open("/function/left-behind", "w").write("x")
    print("FOUND " + json.dumps(found), flush=True)
    raise SystemExit("ERROR: this package is hostile")
""",
    "sleepy": "    import threading; threading.Event().wait()",
    "daemon": "    subprocess.Popen(['sleep', '1000'], start_new_session=True, stdin=-3, stdout=-3, stderr=-3)",
    "gated": "    urllib.request.urlopen(INDEX + '/gate/' + NAME).read()",
    "greedy": r"""
    for number in range(100000):
        with open("/function/.dispatch-work/tmp/%d" % number, "wb") as file:
            file.write(b"x" * (1 << 20))
""",
    "hungry": "    held = [bytearray(b'x') * (1 << 24) for _ in range(1000)]",
    "talkative": "    [print('x' * 1000) for _ in range(20000)]",
    "setuid": r"""
    path = "/function/usr/bin"
    os.makedirs(path)
    open(path + "/su", "w").write("x")
    os.chmod(path + "/su", 0o4711)
    open(path + "/secret", "w").write("x")
    os.chmod(path + "/secret", 0)
""",
    "device": "    os.mkfifo('/function/pipe')",
}
REQUIRES = {"needs": "Requires-Dist: fine\n"}
VERSIONS = {"fine": ["1.0", "2.0"]}


MARKS = {}  # words in the code of packages that stand for something of this machine


def marked(text):
    for mark, value in MARKS.items():
        text = text.replace(mark, value)
    return text


def packed(folder, files):
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as archive:
        for path, text in files.items():
            member = tarfile.TarInfo("%s/%s" % (folder, path))
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return out.getvalue()


def sdist(name, version, index):
    hook = marked(HOOKS[name])
    files = {
        "PKG-INFO": "Metadata-Version: 2.1\nName: %s\nVersion: %s\n" % (name, version),
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        "backend.py": BACKEND % {"name": name, "version": version, "index": index, "hook": hook,
                                 "requires": REQUIRES.get(name, "")},
    }
    return packed("%s-%s" % (name, version), files)


# What an install script of npm's tries. Only what it prints leaves the sandbox.
SCRIPT = r"""
const fs = require('fs'), net = require('net');
const attempt = (what) => { try { return String(what()); } catch (error) { return error.code || error.name; } };
const call = (host, port) => new Promise((done) => {
  const socket = net.connect({ host, port, timeout: 2000 }, () => done('connected'));
  socket.on('error', (error) => done(error.code)).on('timeout', () => done('ETIMEDOUT'));
});
(async () => {
  const found = {
    shadow: attempt(() => fs.readFileSync('/etc/shadow')), state: attempt(() => fs.readdirSync('STATE')),
    secret: attempt(() => fs.readFileSync('SECRET')),
    loopback: await call('127.0.0.1', PORT), metadata: await call('169.254.169.254', 80),
    outside: attempt(() => fs.writeFileSync('/usr/lib/evil', 'x')), top: attempt(() => fs.writeFileSync('/evil', 'x')),
    setuid: attempt(() => process.setuid(0)), user: String(process.getuid() === 0),
  };
  fs.writeFileSync('/function/left-behind', 'x');
  console.error('npm ERR! FOUND ' + JSON.stringify(found));
  process.exit(7);
})();
"""
NPM = {  # name: {version: the rest of its package.json}
    "fine": {"1.0.0": {}, "2.0.0": {}},
    "old-friend": {"1.0.0": {"peerDependencies": {"fine": "^1.0.0"}}},
    "hostile": {"1.0.0": {"scripts": {"install": "node script.js"}}},
}


def npm_tarball(name, version):
    package = {"name": name, "version": version, **NPM[name][version]}
    return packed("package", {"package.json": json.dumps(package), "script.js": marked(SCRIPT),
                              "index.js": "exports.version = %s;\n" % json.dumps(version)})


def npm_document(name, index):
    versions = {version: {"name": name, "version": version, **more, "dist": {
        "tarball": "%s/npm/files/%s/%s.tgz" % (index, name, version),
        "shasum": hashlib.sha1(npm_tarball(name, version)).hexdigest()}} for version, more in NPM[name].items()}
    return {"name": name, "dist-tags": {"latest": max(versions)}, "versions": versions}


class Handler(http.server.BaseHTTPRequestHandler):
    def reply(self, status, body, kind="text/html"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def gate(self, name):
        return self.server.gates.setdefault(name, threading.Event())

    def do_POST(self):
        self.gate(self.path.rsplit("/", 1)[1]).set()
        self.reply(200, b"")

    def do_GET(self):
        parts = self.path.strip("/").split("/")
        if parts[0] == "gate":
            self.server.waiting.add(parts[1])
            self.gate(parts[1]).wait()
            self.reply(200, b"")
        elif parts[0] == "waiting":
            self.reply(200, json.dumps(sorted(self.server.waiting)).encode())
        elif parts[0] == "simple" and parts[1] in HOOKS:
            links = ["<a href='/files/%s-%s.tar.gz'>%s-%s.tar.gz</a>" % (parts[1], version, parts[1], version)
                     for version in VERSIONS.get(parts[1], ["1.0"])]
            self.reply(200, "\n".join(links).encode())
        elif parts[0] == "files":
            name, version = parts[1][:-len(".tar.gz")].rsplit("-", 1)
            self.reply(200, sdist(name, version, self.server.index), "application/gzip")
        elif parts[:2] == ["npm", "files"]:
            self.reply(200, npm_tarball(parts[2], parts[3].removesuffix(".tgz")), "application/octet-stream")
        elif parts[0] == "npm" and parts[1] in NPM:
            self.reply(200, json.dumps(npm_document(parts[1], self.server.index)).encode(), "application/json")
        else:
            self.reply(404, b"{}" if parts[0] == "npm" else b"", "application/json")

    def log_message(self, *arguments):
        pass


def main(address, port, marks):
    server = http.server.ThreadingHTTPServer((address, int(port)), Handler)
    server.daemon_threads = True
    server.gates, server.waiting = {}, set()
    server.index = "http://%s:%s" % (address, port)
    MARKS.update(json.loads(marks))
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
