"""The real dispatch-spawn with the test as its server (src/wire/spawn.h), real agents in real sandboxes: what starts from
templates and zygotes. As root only. The image is the host itself, seen read-only."""
import array
import os
import pathlib
import re
import select
import shutil
import socket
import struct
import subprocess
import tempfile
import time

from conftest import BUILD, ROOT
import wire
from wire import TIMEOUT, Agent, READY, LOG, SPECIALISE, fields_bytes, frame


def operations():
    """enum spawn_op, from its header."""
    text = (ROOT / "src" / "wire" / "spawn.h").read_text()
    text = re.sub(r"/\*.*?\*/", "", text[text.index("enum spawn_op"):], flags=re.S)
    found, number = {}, 0
    for name, _, value in re.findall(r"SPAWN_(\w+)( = (\d+))?", text[:text.index("}")]):
        number = int(value or number)
        found[name] = number
        number += 1
    return found


OPS = operations()
STARTED, EXITED, START, KILL = (OPS[name] for name in ("STARTED", "EXITED", "START", "KILL"))
TEXT_MAX = 480
INSTANCE, TEMPLATE, ZYGOTE, STEM = range(4)
NOT_FOUND, INVALID, NOT_IMPLEMENTED, UNAVAILABLE = 4, 1, 16, 18
FRAME_MAX = 8192
ARGV = {"python3": ["/usr/bin/python3", "-I", "-S", "-B", "-X", "utf8", "/runtime/main.py"],
        "native": ["/runtime/dispatch-agent-native"]}


class Channel(Agent):
    """The server's end of an instance's channel."""

    def __init__(self, fds):
        self.channel, self.buffer, self.next_stream = wire.Channel(fds), b"", 1
        self.replies, self.credit, self.import_logs = {}, {}, {1: b"", 2: b""}

    def close(self):
        self.channel.close()

    def printed(self):
        return ""

    def send_specialise(self):
        self.send(frame(SPECIALISE, 0, fields_bytes([("function", "f"), ("handler", "")])))

    def begin_call(self, body):
        """A run of which no reply is awaited."""
        stream = self.begin(content_type="application/json")
        self.send_body(stream, body)
        return stream

    def ready(self):
        """The text that came with READY."""
        while True:
            kind, stream, payload = self.receive()
            assert stream == 0
            if kind == READY:
                return payload.decode()
            assert kind == LOG, payload
            self.import_logs[payload[0]] += payload[1:]


class Started:
    def __init__(self, frame, fds):
        (self.ok, self.code, self.sandbox_us, self.fork_us, self.prepared, _) = struct.unpack_from("<6I", frame, 16)
        self.text = frame[-TEXT_MAX:].split(b"\0")[0].decode()
        self.channel = Channel(fds) if fds else None


class Spawn:
    """A spawn of its own, with layers `host` (the host's root) and one for each function."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="dispatch-forks-", dir="/dev/shm"))
        self.folder.chmod(0o755)
        self.layers = self.folder / "state" / "layers"
        (self.layers / "host").mkdir(parents=True)
        subprocess.run(["mount", "--bind", "/", self.layers / "host"], check=True)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(self.folder / "socket"))
        (self.folder / "socket").chmod(0o777)
        self.listener.listen(1)
        self.listener.settimeout(TIMEOUT)
        player = next(BUILD.glob("tests/unit/sandbox/player"))
        self.process = subprocess.Popen(
            [BUILD / "dispatch-spawn", "--state-dir", self.folder / "state", "--runtime-dir", BUILD / "runtimes",
             "--loops", "1", "--drain-ms", "2000", "--ready-ms", "5000", "--listen", "api=tcp:127.0.0.1:0",
             "--build-helper", player, "--server", player, "--", "dispatch-server"],
            env=dict(os.environ, DISPATCH_TEST_SOCKET=str(self.folder / "socket")),
            stderr=open(self.folder / "log", "wb"))
        self.control, _ = self.listener.accept()
        _, rights, _, _ = self.control.recvmsg(512, socket.CMSG_SPACE(64))
        links = array.array("i")
        links.frombytes(rights[0][2])
        for fd in links:
            os.set_inheritable(fd, False)
        self.links = [socket.socket(fileno=fd) for fd in links]
        self.link = self.links[1]
        self.link.settimeout(TIMEOUT)
        self.links[0].send(struct.pack("<IIQ", OPS["READY"], 0, 0))
        self.last_id, self.exits = 0, {}

    def log(self):
        return (self.folder / "log").read_text()

    def finish(self):
        self.process.terminate()
        try:
            assert self.process.wait(20) == 0, self.log()
        finally:
            self.process.kill()
            self.process.wait()
            for one in self.links + [self.control, self.listener]:
                one.close()
            subprocess.run(["umount", "-l", self.layers / "host"], check=True)
            shutil.rmtree(self.folder)

    def function(self, name, files):
        """A layer with this code."""
        folder = self.layers / name
        folder.mkdir()
        for path, text in files.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            file.chmod(0o755)
        folder.chmod(0o755)
        return name

    def ask(self, language, code="", role=INSTANCE, origin=0, spares=0, function=None, organization="org", memory=256,
            pids=64, argv=None):
        self.last_id += 1
        words = b"".join(word.encode() + b"\0" for word in argv or ARGV[language])
        self.link.send(struct.pack("<IIQIIQ72s72s80s80s24sI", START, 0, self.last_id, role, spares, origin,
                                   organization.encode(), (function or code or "zygote").encode(), language.encode(),
                                   code.encode(), b"default", 1) + b"host".ljust(640, b"\0") +
                       struct.pack("<5I1024s", memory, 1000, pids, 64, len(argv or ARGV[language]), words))
        return self.last_id

    def kill(self, number):
        self.link.send(struct.pack("<IIQ", KILL, 0, number))

    def kill_all(self):
        for number in range(1, self.last_id + 1):
            self.kill(number)

    def receive(self):
        data, rights, _, _ = self.link.recvmsg(FRAME_MAX, socket.CMSG_SPACE(16))
        op, _, number = struct.unpack_from("<IIQ", data)
        fds = array.array("i")
        if rights:
            fds.frombytes(rights[0][2])
        for fd in fds:
            os.set_inheritable(fd, False)
        return op, number, data, list(fds)

    def started(self, number):
        while True:
            op, found, data, fds = self.receive()
            if op == STARTED:
                assert found == number
                return Started(data, fds)
            assert op == EXITED
            self.exits[found] = struct.unpack_from("<Ii", data, 16)

    def exited(self, number):
        """(by a signal, which or the exit status)"""
        while number not in self.exits:
            op, found, data, _ = self.receive()
            assert op == EXITED, (op, found)
            self.exits[found] = struct.unpack_from("<Ii", data, 16)
        return self.exits[number]

    def start(self, language, code="", **more):
        """The number and the channel of what must start."""
        number = self.ask(language, code, **more)
        started = self.started(number)
        assert started.ok, started.text
        return number, started.channel

    def processes(self, function):
        """Of that function's sandboxes; all of this spawn's without a name."""
        record = (self.folder / "state" / "cgroups").read_text().split("\n")[0]
        name = "/" + os.path.basename(record) + "/"
        found = []
        for entry in os.listdir("/proc"):
            try:
                text = (pathlib.Path("/proc") / entry / "cgroup").read_text() if entry.isdigit() else ""
            except OSError:
                continue
            if any(name in line and (function is None or "/fn-%s/" % function in line) for line in text.split("\n")):
                found.append(int(entry))
        return found

    def names(self, function):
        """Of the programs of those processes."""
        found = []
        for number in self.processes(function):
            try:
                found.append(pathlib.Path("/proc/%d/comm" % number).read_text().strip())
            except OSError:
                pass
        return found

    @staticmethod
    def until(condition):
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            if time.monotonic() > deadline:
                return False
            select.select([], [], [], 0.01)
        return True

    def processes_end(self, function):
        return self.until(lambda: not self.processes(function))

    def template(self, language, code, handler="", secrets=None, spares=0, **more):
        """Its number, once it is parked."""
        number, channel = self.start(language, code, role=TEMPLATE, spares=spares)
        assert channel.specialise(handler, secrets=secrets, **more) is None
        return number, channel
