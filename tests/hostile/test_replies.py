"""What a function may do to its caller and to the server: replies that are none, frames that no agent sends, rings and pipes that
lie, floods, and processes that end, hang on or multiply. The caller gets a stated answer, the next run works, and the server's memory
stays bounded.

The handlers that play an agent write frames (src/wire/frame.h) into the ring (src/wire/ring.h) that they find in their own memory,
where the agent has it.
"""
import json
import textwrap

import pytest

import harness

LARGE = "-asan" in harness.BUILD or "-tsan" in harness.BUILD
HEAD, DATA, END, RESET, CREDIT, UPGRADE, LOG, SPECIALISE, READY, FAILED, SECRETS = range(1, 12)

PLAYER = textwrap.dedent("""
    import ctypes, os, struct, time
    HEAD, DATA, END, RESET, CREDIT, UPGRADE, LOG, SPECIALISE, READY, FAILED, SECRETS = range(1, 12)
    FILE, WOKEN, WAKES = 3, 4, 5  # the agent's descriptors: the rings, what wakes it, what wakes the server
    PAGE, SIZE = 4096, 65536
    SERVER, AGENT = 0, 128        # their halves of the page, and what is in each
    WRITTEN, TAKEN, SLEEPS, WANTS_ROOM, WAITS_ROOM = range(0, 20, 4)
    told = 0

    def rings():
        with open("/proc/self/maps") as file:
            return next((int(line.split("-")[0], 16) for line in file if "memfd:ring" in line), None)

    def word(offset):
        return ctypes.c_uint32.from_address(rings() + offset)

    def wake(sleeps=None):
        global told
        now = (sleeps or word(SERVER + SLEEPS)).value
        if now != told:
            told = now
            os.write(WAKES, b"x")

    def send(data):
        base = rings()
        written, taken = word(AGENT + WRITTEN), word(SERVER + TAKEN)
        sleeps, waits = word(SERVER + SLEEPS), word(AGENT + WAITS_ROOM)
        while data:
            room = SIZE - (written.value - taken.value) % 2**32
            at = written.value % SIZE
            piece = data[:min(room, SIZE - at)]
            ctypes.memmove(base + PAGE + SIZE + at, piece, len(piece))
            written.value += len(piece)
            data = data[len(piece):]
            if sleeps.value != told:
                wake(sleeps)
            if not piece:
                waits.value = 1
                full = ctypes.c_uint32((written.value - SIZE) % 2**32)
                ctypes.CDLL(None).syscall(202, ctypes.byref(taken), 0, full, (ctypes.c_long * 2)(0, 10**7), None, 0)
                waits.value = 0

    def frame(kind, payload=b"", stream=None, length=None, flags=0, reserved=0):
        return struct.pack("<IBBHI", len(payload) if length is None else length, kind, flags, reserved, turn if stream is None else stream) + payload

    def fields(*pairs):
        return b"".join(struct.pack("<HI", len(n), len(v)) + n + v for n, v in pairs)

    def ok(**more):
        return frame(HEAD, fields((b":status", b"200")))

    usage = struct.pack("<QQQQQ", 1, 1, 1, 1, 1)
    turn = 0

    def handle(ctx, payload):
        global turn
        turn += 1
        if payload == "next":
            return "fine"
        ACT
        return "own reply"
""")

# name: (what the handler does, the statuses that its caller may see)
CHANNEL = {
    "a line end in a value": ("send(frame(HEAD, fields((b':status', b'200'), (b'x', b'a\\r\\nset-cookie: b'))))", {502}),
    "a line end in a name": ("send(frame(HEAD, fields((b':status', b'200'), (b'x\\r\\ny', b'a'))))", {502}),
    "a NUL in a value": ("send(frame(HEAD, fields((b':status', b'200'), (b'x', b'a\\0b'))))", {502}),
    "a line end in the content type": ("send(frame(HEAD, fields((b':status', b'200'), (b'content-type', b'a\\r\\nx: y'))))", {502}),
    "an empty name": ("send(frame(HEAD, fields((b':status', b'200'), (b'', b'a'))))", {502}),
    "blanks in a name": ("send(frame(HEAD, fields((b':status', b'200'), (b'a b', b'a'))))", {502}),
    "status 99": ("send(frame(HEAD, fields((b':status', b'99'))))", {502}),
    "status 101": ("send(frame(HEAD, fields((b':status', b'101'))))", {502}),
    "status 1000": ("send(frame(HEAD, fields((b':status', b'1000'))))", {502}),
    "status -200": ("send(frame(HEAD, fields((b':status', b'-200'))))", {502}),
    "status 2e2": ("send(frame(HEAD, fields((b':status', b'2e2'))))", {502}),
    "an empty status": ("send(frame(HEAD, fields((b':status', b''))))", {502}),
    "an error of an unknown type": ("send(frame(HEAD, fields((b':status', b'500'), (b'dispatch-error', b'Oops'))))", {502}),
    "two heads": ("send(ok() + ok())", {502}),
    "a body before the head": ("send(frame(DATA, b'x'))", {502}),
    "an end before the head": ("send(frame(END, usage))", {502}),
    "an answer twice": ("send(ok() + frame(DATA, b'1') + frame(END, usage) + ok() + frame(END, usage))", {200, 500, 502}),
    "an answer, and its own behind it": ("send(ok() + frame(DATA, b'1') + frame(END, usage))", {200, 500, 502}),
    "a run that is over": ("send(frame(HEAD, fields((b':status', b'200')), stream=turn + 7))", {502}),
    "a run that never was": ("send(frame(DATA, b'x', stream=0xffffffff))", {502}),
    "a run of the past": ("send(frame(LOG, b'\\1x', stream=1) if turn > 1 else frame(LOG, b'\\1x', stream=99))", {502}),
    "a frame of the channel": ("send(frame(READY, stream=0))", {502}),
    "a failure of the channel": ("send(frame(FAILED, b'{}', stream=0))", {502}),
    "a frame of the server": ("send(frame(SPECIALISE, fields((b'function', b'f')), stream=0))", {502}),
    "secrets to the server": ("send(frame(SECRETS, b'{}'))", {502}),
    "an upgrade": ("send(frame(UPGRADE, b''))", {502}),
    "a reset": ("send(frame(RESET))", {502}),
    "a type that is none": ("send(frame(77, b'x'))", {502}),
    "type 0": ("send(frame(0, b''))", {502}),
    "flags": ("send(frame(DATA, b'x', flags=1))", {502}),
    "reserved bits": ("send(frame(DATA, b'x', reserved=1))", {502}),
    "an over-long frame": ("send(frame(DATA, b'x', length=0xffffffff))", {502}),
    "an empty body frame": ("send(ok() + frame(DATA, b''))", {502}),
    "a usage of the wrong size": ("send(ok() + frame(END, b'123'))", {502}),
    "a usage past its time": ("send(ok() + frame(DATA, b'1') + frame(END, struct.pack('<QQQQQ', 2**64 - 1, 2**64 - 1, 2**64 - 1, 2**64 - 1, 2**64 - 1)))", {200, 500, 502}),
    "credit for what was not sent": ("send(frame(CREDIT, struct.pack('<I', 0xffffffff)))", {502}),
    "credit of the wrong size": ("send(frame(CREDIT, b'123', length=3))", {502}),
    "a log without a stream": ("send(frame(LOG, b'\\7x'))", {502}),
    "an empty log": ("send(frame(LOG, b''))", {502}),
    "fields cut off": ("send(frame(HEAD, struct.pack('<HI', 5, 5) + b'abc'))", {502}),
    "fields of lengths that wrap": ("send(frame(HEAD, struct.pack('<HI', 5, 0xfffffffe) + b'abcde'))", {502}),
    "300 fields": ("send(frame(HEAD, fields(*[(b'a', b'b')] * 300)))", {502}),
    "128 KiB of fields": ("send(frame(HEAD, fields((b':status', b'200'), *[(b'x%d' % n, b'v' * 1000) for n in range(120)])))", {200, 500, 502}),
    "half a frame, and nothing more": ("send(frame(DATA, b'x')[:7]); os._exit(0)", {500, 502}),
    "text": ("send(b'HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nhi')", {502}),
    "a gigabyte": ("send(ok())\n    piece = frame(DATA, b'x' * 131072)\n    for _ in range(8192): send(piece)", {502}),
    "no end": ("send(ok())\n    piece = frame(DATA, b'x' * 131072)\n    while True: send(piece)", {502}),
    "more than its window": ("send(ok() + frame(DATA, b'x' * 131072) * 40 + frame(END, usage))", {200, 500, 502}),
    "a gigabyte of logs": ("piece = frame(LOG, b'\\1' + b'x' * 100000)\n    for _ in range(10000): send(piece)\n    send(ok() + frame(DATA, b'1') + frame(END, usage))", {200}),
    "a closed channel": ("os.closerange(3, 6)", {200, 500, 502}),  # its reply is in the ring all the same
    "half a frame, and silence": ("send(frame(DATA, b'x')[:7])", {504}),
}

# name: (what the handler does to the rings and pipes, the statuses that its caller may see)
RINGS = {
    "more written than fits": ("word(AGENT + WRITTEN).value += SIZE + 1; wake()", {502}),
    "written, going back": ("word(AGENT + WRITTEN).value -= 1; wake()", {502}),
    "written, and nothing there": ("word(AGENT + WRITTEN).value += 500; wake()", {502}),
    "more taken than was put in": ("word(AGENT + TAKEN).value += 1", {200, 502}),
    "a ring and more not taken": ("word(AGENT + TAKEN).value -= SIZE + 1", {200, 502}),
    "taken, going back": ("word(AGENT + TAKEN).value -= 5", {200}),
    "no room for the server": ("word(AGENT + TAKEN).value = word(SERVER + WRITTEN).value - SIZE", {200}),
    "sleeps that it has not slept": ("word(AGENT + SLEEPS).value += 12345", {200}),
    "room that it does not want": ("word(AGENT + WANTS_ROOM).value = 7; word(AGENT + WAITS_ROOM).value = 7", {200}),
    "indexes of the server": ("[setattr(word(SERVER + n), 'value', 0xdeadbeef) for n in (WRITTEN, TAKEN, SLEEPS, WANTS_ROOM, WAITS_ROOM)]", {200, 500, 502, 504}),
    "zeros over all of it": ("ctypes.memset(rings(), 0, PAGE + 2 * SIZE); wake()", {200, 500, 502, 504}),
    "ones over all of it": ("ctypes.memset(rings(), 255, PAGE + 2 * SIZE); wake()", {502}),
    "a hole in the file": ("ctypes.CDLL(None).fallocate(FILE, 3, ctypes.c_long(0), ctypes.c_long(PAGE + 2 * SIZE)); wake()", {200, 500, 502, 504}),
    "scribbles for a while": ("base, end = rings(), time.monotonic() + 0.5\n    while time.monotonic() < end:\n"
                              "        noise = os.urandom(256)\n        ctypes.memmove(base, noise, 256)\n"
                              "        ctypes.memmove(base + PAGE + SIZE + 256 * (noise[0] % 200), noise, 256)\n"
                              "        try: os.write(WAKES, b'x')\n        except OSError: pass", {200, 500, 502, 504}),
    "a file of another size": ("failed = 0\n    for size in (0, 4096, 1 << 30):\n        try: os.ftruncate(FILE, size)\n"
                               "        except PermissionError: failed += 1\n    assert failed == 3", {200}),
    "no memory behind the rings": ("ctypes.CDLL(None).munmap(ctypes.c_void_p(rings()), PAGE + 2 * SIZE)\n    return 'x'", {500, 502}),
    "a wake for nothing": ("os.write(WAKES, b'x' * 100)", {502}),
    "wakes without end": ("while True:\n        try: os.write(WAKES, b'x' * 4096)\n        except BlockingIOError: pass", {502}),
    "a full pipe": ("os.set_blocking(WAKES, False)\n    try:\n        while True: os.write(WAKES, b'x')\n    except BlockingIOError: pass", {502}),
    "pipes that block": ("os.set_blocking(WAKES, True); os.set_blocking(WOKEN, True)", {200}),
    "a pipe that nobody reads": ("os.close(WOKEN)", {200, 500, 502}),
    "a pipe that nobody writes to": ("os.close(WAKES)", {200, 500, 502}),
    "pipes that are changed for others": ("r, w = os.pipe(); os.dup2(r, WOKEN); os.dup2(w, WAKES)", {500, 502, 504}),
    "pipes of one byte": ("import fcntl; fcntl.fcntl(WAKES, 1031, 4096); fcntl.fcntl(WOKEN, 1031, 4096)", {200}),
    "a read of its own wakes": ("import threading; threading.Thread(target=lambda: [os.read(WOKEN, 1) for _ in range(5)], daemon=True).start()", {200, 500, 502}),
    "a child, which has nothing of it": ("pid = os.fork()\n    if pid == 0:\n        held = rings() is not None\n"
                                         "        for fd in (FILE, WOKEN, WAKES):\n            try: os.fstat(fd); held = True\n"
                                         "            except OSError: pass\n        os._exit(held)\n    assert os.waitpid(pid, 0)[1] == 0", {200}),
    "a child that the agent does not hear of": ("import mmap\n    pid = ctypes.CDLL(None).syscall(57)\n    if pid == 0:\n"
                                                "        if rings() is not None: os._exit(1)\n"
                                                "        mine = mmap.mmap(FILE, PAGE + 2 * SIZE)\n"
                                                "        mine[AGENT:AGENT + 4] = struct.pack('<I', (struct.unpack('<I', mine[AGENT:AGENT + 4])[0] + 9999999) % 2**32)\n"
                                                "        os.write(WAKES, b'x'); os._exit(0)\n    assert os.waitpid(pid, 0)[1] == 0", {502}),
}

# What needs no frames. The statuses of the reply; then the next run works.
HANDLERS = {
    "SIGKILL to itself": ("import os\ndef handle(ctx, payload):\n    if payload == 'next': return 'fine'\n    os.kill(os.getpid(), 9)\n", {500, 502}),
    "SIGSTOP to itself": ("import os\ndef handle(ctx, payload):\n    if payload == 'next': return 'fine'\n    os.kill(os.getpid(), 19)\n", {504}),
    "os._exit": ("import os\ndef handle(ctx, payload):\n    if payload == 'next': return 'fine'\n    os._exit(0)\n", {500, 502}),
    "sys.exit": ("import sys\ndef handle(ctx, payload):\n    if payload == 'next': return 'fine'\n    sys.exit(0)\n", {500}),
    "abort": ("import os\ndef handle(ctx, payload):\n    if payload == 'next': return 'fine'\n    os.abort()\n", {500, 502}),
    "a crash": ("import ctypes\ndef handle(ctx, payload):\n    if payload == 'next': return 'fine'\n    ctypes.string_at(0)\n", {500, 502}),
    "kill of everything": ("import os\ndef handle(ctx, payload):\n    if payload == 'next': return 'fine'\n    os.kill(-1, 9)\n    return 'alive'\n", {200, 500, 502}),
    "all descriptors closed": ("import os\ndef handle(ctx, payload):\n    if payload == 'next': return 'fine'\n    os.closerange(0, 1000)\n    return 'x'\n", {200, 500, 502}),
    "standard descriptors closed": ("import os\ndef handle(ctx, payload):\n    if payload == 'next': return 'fine'\n    os.closerange(0, 3)\n    return 'x'\n", {200, 500, 502}),
    "children that hold on": ("import os, time\ndef handle(ctx, payload):\n    if payload == 'next': return 'fine'\n    for _ in range(5):\n        if os.fork() == 0:\n            os.setsid()\n            time.sleep(600)\n            os._exit(0)\n    return 'x'\n", {200}),
    "children that answer too": ("import os\ndef handle(ctx, payload):\n    if payload == 'next': return 'fine'\n    os.fork()\n    return 'x'\n", {200, 502}),
    "threads that never end": ("import threading, time\ndef handle(ctx, payload):\n    if payload == 'next': return 'fine'\n    for _ in range(5): threading.Thread(target=time.sleep, args=(600,), daemon=False).start()\n    return 'x'\n", {200}),
    "a recursion without end": ("def handle(ctx, payload):\n    if payload == 'next': return 'fine'\n    return handle(ctx, payload)\n", {500}),
    "a result that holds itself": ("def handle(ctx, payload):\n    if payload == 'next': return 'fine'\n    a = []\n    a.append(a)\n    return a\n", {500}),
    "a result nested too deep": ("def handle(ctx, payload):\n    if payload == 'next': return 'fine'\n    a = []\n    for _ in range(100000): a = [a]\n    return a\n", {500}),
    "a result of lone surrogates": ("def handle(ctx, payload):\n    if payload == 'next': return 'fine'\n    return '\\ud800'\n", {200, 500}),
    "a gigabyte of prints": ("def handle(ctx, payload):\n    if payload == 'next': return 'fine'\n    line = 'x' * 99999\n    for _ in range(10000): print(line)\n    return 'x'\n", {200}),
    "prints without a line end": ("import sys\ndef handle(ctx, payload):\n    if payload == 'next': return 'fine'\n    sys.stdout.write('x' * 5000000)\n    return 'x'\n", {200}),
    "prints of control characters": ("def handle(ctx, payload):\n    if payload == 'next': return 'fine'\n    print('\\x1b[2J\\0\\r\\n\\u2028' + chr(0xfffe))\n    return 'x'\n", {200}),
    "prints of bytes that are no text": ("import sys\ndef handle(ctx, payload):\n    if payload == 'next': return 'fine'\n    sys.stdout.buffer.write(bytes(range(256)) * 1000)\n    return 'x'\n", {200}),
    "an error of a megabyte": ("def handle(ctx, payload):\n    if payload == 'next': return 'fine'\n    raise RuntimeError('x' * 1000000)\n", {500, 502}),
    "an error of line ends": ("def handle(ctx, payload):\n    if payload == 'next': return 'fine'\n    raise RuntimeError('a\\r\\nX-Injected: b\\0\\ud800')\n", {500}),
    "an exception whose text fails": ("class E(Exception):\n    def __str__(self): raise self\ndef handle(ctx, payload):\n    if payload == 'next': return 'fine'\n    raise E()\n", {500}),
}

RESPONSES = {
    "a line end in a value": ("None, 200, {'X': 'a\\r\\nSet-Cookie: b'}", {500}),
    "a line end in a name": ("None, 200, {'X\\r\\nY': 'a'}", {500}),
    "a NUL in a value": ("None, 200, {'X': 'a\\0b'}", {500}),
    "a blank in a name": ("None, 200, {'X Y': 'a'}", {500}),
    "an empty name": ("None, 200, {'': 'a'}", {500}),
    "a name that is no ASCII": ("None, 200, {'\\u00fc': 'a'}", {500}),
    "a value that is no Latin-1": ("None, 200, {'X': '\\u2028'}", {200, 500}),
    "a value that is a number": ("None, 200, {'X': 5}", {200, 500}),
    "a value that is nothing": ("None, 200, {'X': None}", {200, 500}),
    "1,000 fields": ("None, 200, {'X%d' % n: 'a' for n in range(1000)}", {500}),
    "a megabyte of fields": ("None, 200, {'X': 'a' * 1000000}", {500}),
    "status 99": ("None, 99", {500}),
    "status 101": ("None, 101", {500}),
    "status 1000": ("None, 1000", {500}),
    "status 0": ("None, 0", {500}),
    "status -200": ("None, -200", {500}),
    "status in text": ("None, '200'", {500}),
    "status of 2^70": ("None, 2**70", {500}),
    "status that is real": ("None, 200.5", {500}),
    "status that is true": ("None, True", {500}),
    "a length of its own": ("b'abc', 200, {'Content-Length': '5'}", {200, 500}),
    "two lengths": ("b'abc', 200, [('Content-Length', '5'), ('Content-Length', '6')]", {200, 500}),
    "chunked": ("b'abc', 200, {'Transfer-Encoding': 'chunked'}", {200, 500}),
    "a connection of its own": ("b'abc', 200, {'Connection': 'upgrade', 'Upgrade': 'websocket', 'Keep-Alive': 'a', 'Trailer': 'x', 'TE': 'x'}", {200, 500}),
    "fields of ours": ("b'abc', 200, {'Dispatch-Run-Id': 'x', 'Server-Timing': 'x', 'Date': 'x', 'Dispatch-Error': 'InputError'}", {200, 500}),
    "a content type that is none": ("b'abc', 200, {'Content-Type': 'a\\r\\nb'}", {500}),
    "204 with a body": ("b'abc', 204", {204}),
    "304 with a body": ("b'abc', 304", {304}),
    "12 MiB": ("b'x' * (12 << 20), 200", {500, 502}),
}


@pytest.fixture(scope="module")
def other(server):
    server.function("other", "def handle(ctx, payload):\n    return 'here'\n")
    return server


def peak_kb(server):
    with open(f"/proc/{server.server_pid()}/status", encoding="utf-8") as file:
        return int(next(line for line in file if line.startswith("VmHWM:")).split()[1])


def play(server, name, code, statuses, timeout_ms=4000):
    """The reply to a call, twice; after each the function and another one answer. The reply itself."""
    server.function(name, code, maxInstances=1, timeout=timeout_ms, memory=256)
    server.endpoint(name, name, [f"/{name}"], ["POST"])
    for _ in range(2):
        reply = server.gateway("POST", f"/{name}", '"act"', {"Content-Type": "application/json"}, timeout_s=60)
        assert reply.status in statuses, reply
        assert reply.headers.get_all("Content-Length", []) in ([str(len(reply.body))], []), reply.headers
        assert "X-Injected" not in reply.headers and "set-cookie" not in reply.headers
        if reply.status >= 500:
            document = reply.json
            assert document["code"] == reply.status and document["message"] and len(reply.body) < 1100000, reply
        following = harness.poll(lambda: next_run(server, name), 20, "the next run")
        assert following == "fine"
        assert server.run("other")["output"] == "here"
    assert LARGE or peak_kb(server) < 300 << 10, f"{peak_kb(server)} KiB at its peak"
    return reply


def next_run(server, name):
    """A frame that came too late ends an instance, and a run on it is a 502 once; then there is a new one."""
    reply = server.gateway("POST", f"/{name}", '"next"', {"Content-Type": "application/json"})
    return reply.json if reply.status == 200 else None


def player(act, statuses):
    """The agent's own reply goes where the handler has written, so that who is to be caught waits for it."""
    return PLAYER.replace("ACT", act if 200 in statuses else act + "\n    time.sleep(60)")


@pytest.mark.parametrize("case", CHANNEL)
def test_frames_that_no_agent_sends(other, name, case):
    act, statuses = CHANNEL[case]
    play(other, name, player(act, statuses), statuses, 60000 if "gigabyte" in case else 4000)


@pytest.mark.parametrize("case", RINGS)
def test_rings_and_pipes_that_lie(other, name, case):
    act, statuses = RINGS[case]
    play(other, name, player(act, statuses), statuses)


@pytest.mark.parametrize("case", HANDLERS)
def test_what_a_handler_does_to_its_process(other, name, case):
    code, statuses = HANDLERS[case]
    play(other, name, code, statuses, 10000 if "gigabyte" in case else 4000)


@pytest.mark.parametrize("case", RESPONSES)
def test_a_response_that_is_none(other, name, case):
    arguments, statuses = RESPONSES[case]
    code = ("from dispatch import Response\ndef handle(ctx, payload):\n    if payload == 'next': return 'fine'\n"
            f"    return Response({arguments})\n")
    reply = play(other, name, code, statuses)
    for field in ("Transfer-Encoding", "Upgrade", "Trailer", "TE", "Keep-Alive"):
        assert field not in reply.headers, reply.headers
    if reply.status == 200:
        assert len(reply.headers.get_all("Date")) == 1 and "GMT" in reply.headers["Date"]
        assert len(reply.headers["Dispatch-Run-Id"]) == 36


def test_logs_of_a_flood_are_kept_up_to_their_limit_and_say_so(other, name):
    other.function(name, "def handle(ctx, payload):\n    for _ in range(300): print('x' * 99999)\n    return 1\n", timeout=20000)
    run = other.run(name)
    text = json.dumps(run["logs"])
    assert len(text) < 3 << 20 and "truncated" in text


NATIVE = {
    "a gigabyte": ("#!/bin/sh\nhead -c 1000000000 /dev/zero\n", {500, 502}),
    "no end": ("#!/bin/sh\nwhile :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done\n", {500, 502, 504}),
    "no line end": ("#!/bin/sh\nprintf '{\"a\": 1}'\n", {200}),
    "nothing": ("#!/bin/sh\n", {200}),
    "an answer before its input": ("#!/bin/sh\nexec 0</dev/null\necho '\"x\"'\n", {200}),
    "an answer, and then no end": ("#!/bin/sh\necho '\"x\"'\nexec sleep 600\n", {504}),
    "a child that holds the output": ("#!/bin/sh\n(sleep 600) &\necho '\"x\"'\n", {200, 504}),
    "a child in a session of its own": ("#!/bin/sh\nsetsid sleep 600 &\necho '\"x\"'\n", {200, 504}),
    "a gigabyte of errors": ("#!/bin/sh\nhead -c 1000000000 /dev/zero >&2\necho 1\n", {200, 500, 504}),
    "kill of everything": ("#!/bin/sh\nkill -9 -1\necho 1\n", {200, 500, 502}),
    "kill of its agent": ("#!/bin/sh\nkill -9 $PPID\necho 1\n", {500, 502}),
    "frames on descriptor 3": ("#!/bin/sh\nprintf '\\1\\0\\0\\0\\2\\0\\0\\0\\1\\0\\0\\0x' >&3\necho 1\n", {200, 500}),
    "status 255": ("#!/bin/sh\nexit 255\n", {500}),
    "json and more": ("#!/bin/sh\necho '{} x'\n", {200}),
    "bytes": ("#!/bin/sh\nhead -c 1000 /dev/urandom\n", {200}),
}


@pytest.mark.parametrize("case", NATIVE)
def test_what_a_program_answers(other, name, case):
    code, statuses = NATIVE[case]
    reply = other.api("POST", "/v1/function", {"name": name, "source": harness.pack({"run.sh": (code, 0o755)}), "image": "native",
                                               "handler": "./run.sh", "timeout": 3000, "memory": 128})
    assert reply.status == 201, reply
    other.wait_status("function", name)
    other.endpoint(name, name, [f"/{name}"], ["POST"])
    for _ in range(2):
        reply = other.gateway("POST", f"/{name}", b"x" * 3000000, {"Content-Type": "application/octet-stream"}, timeout_s=60)
        assert reply.status in statuses, reply
        assert other.run("other")["output"] == "here"
    assert LARGE or peak_kb(other) < 300 << 10
