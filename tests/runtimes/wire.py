"""The server's side of the invocation channel (src/wire/frame.h), enough of it to play against a real agent."""
import ctypes
import fcntl
import json
import mmap
import os
import platform
import select
import struct
import subprocess
import time

HEAD, DATA, END, RESET, CREDIT, UPGRADE, LOG, SPECIALISE, READY, FAILED, SECRETS = range(1, 12)
PAYLOAD_MAX = 131072
WINDOW = 262144
TIMEOUT = 20.0
SYS_FUTEX, FUTEX_WAKE = {"x86_64": 202, "aarch64": 98}[platform.machine()], 1


def frame(kind, stream, payload=b""):
    return struct.pack("<IBBHI", len(payload), kind, 0, 0, stream) + payload


def fields_bytes(pairs):
    out = b""
    for name, value in pairs:
        name = name.encode() if isinstance(name, str) else name
        value = value.encode() if isinstance(value, str) else value
        out += struct.pack("<HI", len(name), len(value)) + name + value
    return out


def fields_parse(payload):
    out, at = [], 0
    while at < len(payload):
        name_len, value_len = struct.unpack_from("<HI", payload, at)
        at += 6
        out.append((payload[at:at + name_len].decode(), payload[at + name_len:at + name_len + value_len]))
        at += name_len + value_len
    return out


class Reply:
    """What came back on one stream."""

    def __init__(self):
        self.fields, self.body, self.logs, self.usage, self.reset = None, b"", {1: b"", 2: b""}, None, False

    @property
    def status(self):
        return int(dict(self.fields)[":status"])

    @property
    def error_type(self):
        value = dict(self.fields).get("dispatch-error")
        return value.decode() if value is not None else None

    @property
    def error(self):
        assert self.error_type is not None, "no error but %r" % self.body[:200]
        error = json.loads(self.body)
        assert error["type"] == self.error_type
        return error

    @property
    def json(self):
        assert self.error_type is None, self.body
        assert dict(self.fields)["content-type"] == b"application/json"
        return json.loads(self.body)

    def lines(self, stream=1):
        return self.logs[stream].decode().splitlines()


class AgentGone(Exception):
    pass


class Channel:
    """The server's end of a pair of rings and the pipes (src/wire/ring.h). The agent's ends are `theirs`."""
    RING, PAGE, HALF = 65536, 4096, 128
    WRITTEN, TAKEN, SLEEPS, WAITS_ROOM = 0, 4, 8, 16

    def __init__(self, fds=None):
        """One of its own, or that of the descriptors that spawn has sent."""
        ring, self.wake, self.peer = fds or self.make()
        self.map = mmap.mmap(ring, self.PAGE + 2 * self.RING)
        os.set_blocking(self.wake, False)
        os.set_blocking(self.peer, False)
        self.written = self.taken = 0
        if fds:
            os.close(ring)

    def make(self):
        ring = os.memfd_create("ring", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(ring, self.PAGE + 2 * self.RING)
        fcntl.fcntl(ring, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
        wake, theirs_out = os.pipe2(os.O_CLOEXEC)
        theirs_in, peer = os.pipe2(os.O_CLOEXEC)
        self.theirs = (ring, theirs_in, theirs_out)
        return ring, wake, peer

    def get(self, half, field):
        return ctypes.c_uint32.from_buffer(self.map, half * self.HALF + field).value  # in one access, which struct's is not

    def set(self, half, field, value):
        ctypes.c_uint32.from_buffer(self.map, half * self.HALF + field).value = value & 0xffffffff

    def given(self):
        for fd in self.theirs:
            os.close(fd)

    def wake_agent(self):
        """It may not sleep: it bears a byte too many."""
        try:
            os.write(self.peer, b"x")
        except BlockingIOError:
            pass

    def send(self, data, timeout):
        """BrokenPipeError: the agent has gone."""
        deadline = time.monotonic() + timeout
        view = memoryview(data)
        while view:
            room = self.RING - ((self.written - self.get(1, self.TAKEN)) & 0xffffffff)
            at = self.written % self.RING
            piece = view[:min(room, self.RING - at)]
            self.map[self.PAGE + at:self.PAGE + at + len(piece)] = bytes(piece)
            self.written += len(piece)
            self.set(0, self.WRITTEN, self.written)
            view = view[len(piece):]
            self.wake_agent()
            assert time.monotonic() < deadline, "no room in the ring"
            if not piece:
                time.sleep(0.001)

    def receive(self, timeout):
        """Some bytes; none: the agent has gone. None: nothing came."""
        deadline = time.monotonic() + timeout
        gone = False
        while True:
            count = (self.get(1, self.WRITTEN) - self.taken) & 0xffffffff
            assert count <= self.RING
            if count:
                return self.take(count)
            if gone:
                return b""
            self.set(0, self.SLEEPS, self.get(0, self.SLEEPS) + 1)
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            if select.select([self.wake], [], [], min(left, 0.05))[0]:  # and look again: what is stored here is in no order
                gone = os.read(self.wake, 64) == b""

    def take(self, count):
        at, base = self.taken % self.RING, self.PAGE + self.RING
        first = min(count, self.RING - at)
        data = self.map[base + at:base + at + first] + self.map[base:base + count - first]
        self.taken += count
        self.set(0, self.TAKEN, self.taken)
        if self.get(1, self.WAITS_ROOM):
            word = ctypes.c_uint32.from_buffer(self.map, self.TAKEN)
            ctypes.CDLL(None).syscall(SYS_FUTEX, ctypes.byref(word), FUTEX_WAKE, 1000, None, None, 0)
        return data

    def end(self):
        """It hears no more from us, as when a server has gone; we still hear it."""
        if self.peer is not None:
            os.close(self.peer)
        self.peer = None

    def close(self):
        self.end()
        if self.wake is not None:
            os.close(self.wake)
        self.wake = None


class Agent:
    """A real agent process with a channel at descriptors 3 to 5, and memfds at 1 and 2 as in a sandbox."""

    def __init__(self, argv, folder, env=None, memfds=True):
        self.channel, self.buffer, self.next_stream = Channel(), b"", 1
        self.replies, self.credit, self.import_logs = {}, {}, {1: b"", 2: b""}
        self.outputs = [self.memfd() if memfds else os.open("/dev/null", os.O_WRONLY) for _ in range(2)]
        environment = {"PATH": "/usr/bin:/bin", "DISPATCH_FUNCTION_DIR": str(folder)}
        environment.update(env or {})
        null = os.open("/dev/null", os.O_RDONLY)
        sources = (null, self.outputs[0], self.outputs[1], *self.channel.theirs)

        def wire_up():
            high = [fcntl_dup(fd) for fd in sources]
            for target, fd in enumerate(high):
                os.dup2(fd, target, inheritable=True)

        self.process = subprocess.Popen(argv, preexec_fn=wire_up, close_fds=False, env=environment)
        self.channel.given()
        os.close(null)

    @staticmethod
    def memfd():
        fd = os.memfd_create("output", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(fd, 1 << 20)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
        return fd

    def close(self):
        self.channel.close()
        if self.process.poll() is None:
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for fd in self.outputs:
            os.close(fd)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # sending

    def send(self, data):
        self.channel.send(data, TIMEOUT)

    def specialise(self, handler="", secrets=None, env=None, **more):
        pairs = [("function", "f"), ("handler", handler)]
        pairs += [(name.replace("_", "-"), str(value)) for name, value in more.items()]
        pairs += [("env-" + name, value) for name, value in (env or {}).items()]
        text = json.dumps(secrets).encode() if secrets is not None else b""
        for at in range(0, len(text), PAYLOAD_MAX):
            self.send(frame(SECRETS, 0, text[at:at + PAYLOAD_MAX]))
        self.send(frame(SPECIALISE, 0, fields_bytes(pairs)))
        while True:
            kind, stream, payload = self.receive()
            assert stream == 0
            if kind == LOG:
                self.import_logs[payload[0]] += payload[1:]
            elif kind == READY:
                return None
            else:
                assert kind == FAILED
                return json.loads(payload)

    def begin(self, method="POST", path="/", source="run", content_type=None, fields=(), secrets=None):
        stream = self.next_stream
        self.next_stream += 1
        pairs = [(":method", method), (":path", path), (":scheme", "http"), (":source", source)]
        if content_type is not None:
            pairs.append(("content-type", content_type))
        out = frame(HEAD, stream, fields_bytes(pairs + list(fields)))
        if secrets is not None:
            out += frame(SECRETS, stream, json.dumps(secrets).encode())
        self.send(out)
        self.replies[stream], self.credit[stream] = Reply(), WINDOW
        return stream

    def send_body(self, stream, body):
        """Sends within the window; takes replies meanwhile, as the server's loop does."""
        at = 0
        while at < len(body):
            while self.credit[stream] == 0:
                self.take()
            piece = body[at:at + min(PAYLOAD_MAX, self.credit[stream])]
            self.send(frame(DATA, stream, piece))
            self.credit[stream] -= len(piece)
            at += len(piece)
        self.send(frame(END, stream))

    # receiving

    def receive(self, timeout=TIMEOUT):
        deadline = time.monotonic() + timeout
        while True:
            if len(self.buffer) >= 12:
                length, kind, flags, reserved, stream = struct.unpack_from("<IBBHI", self.buffer)
                assert flags == 0 and reserved == 0 and length <= PAYLOAD_MAX
                if len(self.buffer) >= 12 + length:
                    payload = self.buffer[12:12 + length]
                    self.buffer = self.buffer[12 + length:]
                    return kind, stream, payload
            data = self.channel.receive(deadline - time.monotonic())
            assert data is not None, "no frame from the agent"
            if not data:
                raise AgentGone(self.printed())
            self.buffer += data

    def take(self, timeout=TIMEOUT, give_credit=True):
        kind, stream, payload = self.receive(timeout)
        if stream == 0:
            assert kind == LOG
            self.import_logs[payload[0]] += payload[1:]
            return kind, stream
        reply = self.replies[stream]
        assert reply.usage is None and not reply.reset, "something behind the end"
        if kind == LOG:
            assert reply.fields is None
            reply.logs[payload[0]] += payload[1:]
        elif kind == HEAD:
            reply.fields = fields_parse(payload)
        elif kind == DATA:
            reply.body += payload
            if give_credit:
                try:
                    self.send(frame(CREDIT, stream, struct.pack("<I", len(payload))))
                except OSError:
                    pass  # it has ended; what it sent is still to be read
        elif kind == END:
            reply.usage = struct.unpack("<QQQQQ", payload)
        elif kind == RESET:
            assert not reply.reset
            reply.reset = True
        elif kind == CREDIT:
            self.credit[stream] += struct.unpack("<I", payload)[0]
        else:
            raise AssertionError("frame of type %d" % kind)
        return kind, stream

    def finish(self, stream, timeout=TIMEOUT):
        while self.replies[stream].usage is None and not self.replies[stream].reset:
            self.take(timeout)
        return self.replies[stream]

    def call(self, body=b"", content_type="application/json", timeout=TIMEOUT, **how):
        """One whole invocation. A body that is no bytes is sent as JSON."""
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        stream = self.begin(content_type=content_type, **how)
        self.send_body(stream, body)
        return self.finish(stream, timeout)

    def printed(self):
        """What is in the memfds, for a message."""
        try:
            return b"".join(os.pread(fd, os.lseek(fd, 0, os.SEEK_CUR), 0) for fd in self.outputs).decode()
        except OSError:
            return ""

    def wait(self, timeout=TIMEOUT):
        return self.process.wait(timeout)


def fcntl_dup(fd):
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 50)
