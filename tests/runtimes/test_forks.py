"""Instances that come from templates and zygotes: like booted ones, apart from each other and from what they came from."""
import os
import re
import zlib

import pytest

import forks
from forks import INVALID, NOT_FOUND, NOT_IMPLEMENTED, TEMPLATE, UNAVAILABLE, ZYGOTE

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="dispatch-spawn runs as root")


@pytest.fixture(scope="module")
def spawn():
    running = forks.Spawn()
    try:
        yield running
    finally:
        running.finish()


@pytest.fixture
def code(spawn, request):
    """Makes the test's function out of its text."""
    name = "fn-%s-%08x" % (re.sub("[^a-z0-9]+", "-", request.node.name.lower())[:40].strip("-"), zlib.crc32(request.node.name.encode()))
    return lambda text, file="f.py": spawn.function(name, {file: text})


SELF = """
import os, resource
def read(path):
    with open(path) as file:
        return file.read()
def handle(context, payload):
    limits = {name: resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT_")}
    return {"status": read("/proc/self/status"), "mounts": read("/proc/self/mountinfo"), "cgroup": read("/proc/self/cgroup"),
            "environ": dict(os.environ), "cwd": os.getcwd(), "limits": limits, "groups": os.getgroups(), "ppid": os.getppid(),
            "ids": os.getresuid() + os.getresgid(), "session": os.getsid(0) == os.getpid(), "host": os.uname().nodename,
            "fds": {fd: os.readlink("/proc/self/fd/" + fd) for fd in os.listdir("/proc/self/fd") if int(fd) <= 3},
            "oom": read("/proc/self/oom_score_adj"), "nice": os.nice(0), "scheduler": os.sched_getscheduler(0),
            "processes": [name for name in os.listdir("/proc") if name.isdigit()], "tmp": os.listdir("/tmp"),
            "uid_map": read("/proc/self/uid_map").split()[::2],
            "namespaces": {name: os.readlink("/proc/self/ns/" + name) for name in os.listdir("/proc/self/ns")}}
"""
# what differs between any two processes, and the filter by which a fork loses setns
DIFFERS = re.compile("(?m)^(Pid|Tgid|NStgid|NSpid|NSpgid|NSsid|Vm.*|Rss.*|.*ctxt_switches|Seccomp_filters|State|FDSize|SigQ):.*\n")


def plain(seen):
    seen = dict(seen, status=DIFFERS.sub("", seen["status"]), processes=len(seen["processes"]))
    numbers = r"^\d+ \d+ \d+:\d+ |(?<=/fd/)\d+|(?<=[ug]id=)\d+"
    seen["mounts"] = sorted(re.sub(numbers, "", line) for line in seen["mounts"].splitlines())
    seen["fds"] = {fd: re.sub(r"\d+", "N", target) for fd, target in seen["fds"].items()}
    namespaces = seen.pop("namespaces")
    return seen, namespaces


def test_a_forked_instance_is_like_a_booted_one(spawn, code):
    layer = code(SELF)
    _, booted = spawn.start("python3", layer)
    booted.specialise()
    template, _ = spawn.template("python3", layer)
    _, forked = spawn.start("python3", layer, origin=template)
    assert forked.ready() == ""
    zygote, channel = spawn.start("python3", role=ZYGOTE)
    assert channel.ready() == ""
    _, late = spawn.start("python3", layer, origin=zygote)
    late.specialise()
    expected, other = plain(booted.call(b"{}").json)
    for one in (forked, late):
        seen, namespaces = plain(one.call(b"{}").json)
        assert seen == expected
        assert expected["ids"] == [1000] * 6 and "CapBnd:\t0000000000000000" in expected["status"]
        for name in ("user", "mnt", "pid", "ipc", "uts", "net", "cgroup"):
            assert namespaces[name] != other[name], name
        other = namespaces


def test_siblings_share_nothing_that_changes(spawn, code):
    layer = code("import random\nseen = []\ndef handle(c, p):\n    seen.append(p)\n    return [len(seen), random.random()]\n")
    template, _ = spawn.template("python3", layer)
    channels = [spawn.start("python3", layer, origin=template)[1] for _ in range(3)]
    for channel in channels:
        assert channel.ready() == ""
    replies = [channel.call(b"1").json for channel in channels]
    assert [reply[0] for reply in replies] == [1, 1, 1]
    assert len({reply[1] for reply in replies}) == 3
    assert channels[0].call(b"1").json[0] == 2


def test_numpy_of_a_template_is_there_and_reseeded(spawn, code):
    pytest.importorskip("numpy")
    layer = code("import numpy\ndef handle(c, p):\n    return [float(numpy.random.random()), float(numpy.ones(9).sum())]\n")
    template, _ = spawn.template("python3", layer, threads=1)
    channels = [spawn.start("python3", layer, origin=template)[1] for _ in range(2)]
    replies = []
    for one in channels:
        assert one.ready() == ""
        replies.append(one.call(b"{}").json)
    assert replies[0][1] == 9.0 and replies[0][0] != replies[1][0]


def test_an_async_handler_is_forked_before_its_loop_begins(spawn, code):
    layer = code("import asyncio\nasync def handle(c, p):\n    await asyncio.sleep(0)\n    return p\n")
    template, _ = spawn.template("python3", layer, concurrency=4)
    for _ in range(2):
        _, channel = spawn.start("python3", layer, origin=template)
        assert channel.ready() == ""
        assert channel.call(b"3").json == 3 and channel.call(b"4").json == 4


def test_secrets_of_a_template_are_those_of_its_instances(spawn, code):
    layer = code("def handle(c, p):\n    return c['secrets']\n")
    template, _ = spawn.template("python3", layer, secrets={"a": "b"})
    _, channel = spawn.start("python3", layer, origin=template)
    channel.ready()
    assert channel.call(b"{}").json == {"a": "b"}


def test_a_native_template_starts_programs(spawn, code):
    layer = code("#!/bin/sh\ncat; echo note >&2\n", "run")
    template, _ = spawn.template("native", layer)
    for _ in range(2):
        _, channel = spawn.start("native", layer, origin=template)
        assert channel.ready() == ""
        reply = channel.call(b'{"x": 1}')
        assert reply.json == {"x": 1} and reply.lines(2) == ["note"]


@pytest.mark.parametrize("what, text", [
    ("starts a thread", "import threading, time\nthreading.Thread(target=time.sleep, args=(99,), daemon=True).start()"),
    ("starts a process", "import subprocess\nkept = subprocess.Popen(['/bin/sleep', '99'])"),
    ("leaves a descriptor open: socket", "import socket\nkept = socket.socket()"),
    ("leaves a descriptor open: pipe", "import os\nkept = os.pipe()"),
    ("leaves a descriptor open: anon_inode:[eventpoll]", "import select\nkept = select.epoll()"),
    ("leaves a descriptor open: /function/f.py", "kept = open(__file__)"),
    ("shares memory", "import mmap\nkept = mmap.mmap(-1, 4096)"),
    ("sets a timer", "import signal\nsignal.alarm(999)"),
    ("writes a file: /tmp/cache", "open('/tmp/cache', 'w').close()"),
])
def test_no_template_of_what_a_fork_would_share_or_miss(spawn, code, what, text):
    layer = code(text + "\ndef handle(c, p):\n    return 1\n")
    number, channel = spawn.start("python3", layer, role=TEMPLATE)
    channel.send_specialise()
    assert channel.ready().startswith("importing the handler " + what)
    refused = spawn.started(spawn.ask("python3", layer, origin=number))
    assert (refused.ok, refused.code) == (0, NOT_IMPLEMENTED)
    spawn.kill(number)
    assert spawn.exited(number) == (1, 9)


def test_devices_are_no_reason_against_a_template(spawn, code):
    layer = code("kept = open('/dev/urandom', 'rb')\ndef handle(c, p):\n    return len(kept.read(4))\n")
    template, _ = spawn.template("python3", layer)
    _, channel = spawn.start("python3", layer, origin=template)
    assert channel.ready() == ""
    assert channel.call(b"{}").json == 4


def test_a_template_that_is_killed_leaves_its_instances(spawn, code):
    layer = code("def handle(c, p):\n    return p\n")
    template, _ = spawn.template("python3", layer)
    number, channel = spawn.start("python3", layer, origin=template)
    assert channel.ready() == ""
    spawn.kill(template)
    assert spawn.exited(template) == (1, 9)
    assert channel.call(b"7").json == 7
    refused = spawn.started(spawn.ask("python3", layer, origin=template))
    assert (refused.ok, refused.code) == (0, NOT_FOUND)
    spawn.kill(number)
    assert spawn.exited(number) == (1, 9)
    assert spawn.processes_end(layer)


def test_an_instance_that_ends_tells_how(spawn, code):
    layer = code("import os\ndef handle(c, p):\n    os._exit(p)\n")
    template, _ = spawn.template("python3", layer)
    number, channel = spawn.start("python3", layer, origin=template)
    channel.ready()
    channel.begin_call(b"5")
    assert spawn.exited(number) == (0, 5)


def test_spares_are_there_before_they_are_needed(spawn, code):
    layer = code("def handle(c, p):\n    return p\n")
    template, _ = spawn.template("python3", layer, spares=2)
    def spares_are_ready():  # their inits, and that of the template
        return spawn.names(layer).count("dispatch-init") == 3
    assert spawn.until(spares_are_ready)
    for _ in range(4):
        number = spawn.ask("python3", layer, origin=template)
        started = spawn.started(number)
        assert started.ok and started.prepared, started.text
        assert started.channel.ready() == ""
        assert started.channel.call(b"1").json == 1
        spawn.kill(number)
        assert spawn.exited(number) == (1, 9)
        assert spawn.until(spares_are_ready)
    other = spawn.started(spawn.ask("python3", layer, origin=template, memory=128))
    assert other.ok and not other.prepared  # other limits
    spawn.kill(template)
    assert spawn.exited(template) == (1, 9)


def test_nobody_starts_from_another_organization_s(spawn, code):
    layer = code("def handle(c, p):\n    return p\n")
    template, _ = spawn.template("python3", layer)
    zygote, channel = spawn.start("python3", role=ZYGOTE)
    channel.ready()
    other = spawn.function(layer + "-2", {"f.py": "def handle(c, p):\n    return 2\n"})
    for origin, more in ((template, {"organization": "other"}), (zygote, {"organization": "other"}),
                         (template, {"code": other}), (zygote, {"language": "native"})):
        refused = spawn.started(spawn.ask(**dict({"language": "python3", "code": layer, "origin": origin}, **more)))
        assert (refused.ok, refused.code) == (0, INVALID), more


# What a tenant's own code in a template tries. It has the descriptors that spawn hands to a fork server.
HOSTILE = """
import ctypes, os, select, socket, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
NAMESPACES = 0x7e020000
def outcome(result):
    return "done" if result >= 0 else os.strerror(ctypes.get_errno())
def pair():
    for fd in range(3, 12):
        try:
            one = socket.socket(fileno=os.dup(fd))
        except OSError:
            continue
        if one.family == socket.AF_UNIX and one.type == socket.SOCK_SEQPACKET:
            return one
        one.close()
def pidfd():
    for fd in os.listdir("/proc/self/fd"):
        try:
            if "pidfd" in os.readlink("/proc/self/fd/" + fd):
                return int(fd)
        except OSError:
            pass
    return -1
def sleep():
    select.select([], [], [], 300)
def handle(c, p):
    return 1
"""


def test_a_template_that_does_not_answer_is_killed(spawn, code):
    layer = code(HOSTILE + "os.register_at_fork(before=sleep)\n")
    template, _ = spawn.template("python3", layer)
    refused = spawn.started(spawn.ask("python3", layer, origin=template))
    assert (refused.ok, refused.code) == (0, UNAVAILABLE)
    assert spawn.exited(template) == (1, 9)
    assert "template of function %s (organization org) does not answer" % layer in spawn.log()
    assert spawn.processes_end(layer)


@pytest.mark.parametrize("words", ["b'short'", "struct.pack('<IIQii', 4, 0, 1, 7, 0)", "struct.pack('<IIQii', 9, 0, 0, 0, 0)",
                                   "struct.pack('<IIQii', 3, 0, 0, 0, 0) + b'more'"], ids=["short", "done", "unknown", "long"])
def test_a_template_that_says_what_nobody_asked_for_is_killed(spawn, code, words):
    layer = code(HOSTILE + "pair().send(%s)\nsleep()\n" % words)
    number, channel = spawn.start("python3", layer, role=TEMPLATE)
    channel.send_specialise()
    assert spawn.exited(number) == (1, 9)
    assert "says what nobody has asked for" in spawn.log()


def test_a_template_that_says_early_that_it_is_parked_forks_nothing(spawn, code):
    layer = code(HOSTILE + "pair().send(struct.pack('<IIQii', 3, 0, 0, 0, 0))\nsleep()\n")
    number, channel = spawn.start("python3", layer, role=TEMPLATE)
    channel.send_specialise()
    refused = spawn.started(spawn.ask("python3", layer, origin=number))
    assert not refused.ok and refused.code in (NOT_IMPLEMENTED, UNAVAILABLE)
    spawn.kill(number)
    assert spawn.exited(number) == (1, 9)


def test_a_number_that_a_template_makes_up_names_nobody_else(spawn, code):
    """It says that process 1 of the sandbox was forked, or one that is not there: the instance is its own loss."""
    layer = code(HOSTILE + """
one = pair()
one.send(struct.pack('<IIQii', 3, 0, 0, 0, 0))
number = 0
while True:
    asked = one.recv(64)
    number += 1
    one.send(struct.pack('<IIQii', 4, 0, number, 1 if number == 1 else 31000, 0))
""")
    template, channel = spawn.start("python3", layer, role=TEMPLATE)
    channel.send_specialise()
    assert spawn.until(lambda: spawn.started(spawn.ask("python3", layer, origin=template)).ok)
    spawn.kill(template)
    assert spawn.exited(template) == (1, 9)
    spawn.kill_all()
    assert spawn.processes_end(layer)
    _, other = spawn.start("native", spawn.function(layer + "-other", {"run": "#!/bin/sh\necho 1\n"}))
    assert other.specialise() is None and other.call(b"").json == 1


def test_a_template_that_holds_on_to_a_process_in_a_sandbox_is_killed(spawn, code):
    """A process in a pid namespace whose parent outside does not reap it keeps the namespace."""
    layer = code(HOSTILE + """
def stay():
    fd = pidfd()
    if fd >= 0 and os.fork() == 0:
        if libc.setns(fd, NAMESPACES) == 0 and os.fork() == 0:
            sleep()
        sleep()
    while fd >= 0 and not os.path.exists("/proc/%d/task" % (os.getpid() + 2)):
        pass
forks = [stay]
os.register_at_fork(before=lambda: forks.pop()() if forks else None)
""")
    template, _ = spawn.template("python3", layer)
    started_as = spawn.ask("python3", layer, origin=template)
    started = spawn.started(started_as)
    if started.ok:
        spawn.kill(started_as)
        assert spawn.exited(started_as) == (1, 9)
    spawn.until(lambda: "holds on to a process" in spawn.log() or not spawn.processes(layer))
    spawn.kill(template)
    spawn.exited(template)
    assert spawn.processes_end(layer)


CAPABLE = HOSTILE + """
def tries(fd):
    results = {"join": outcome(libc.setns(fd, NAMESPACES)), "capabilities": open("/proc/self/status").read().split("CapEff:")[1].split()[0]
               if os.path.exists("/proc/self/status") else "?"}
    results["join one"] = outcome(libc.setns(fd, 0x20000000))
    results["mount"] = outcome(libc.mount(b"none", b"/tmp", b"tmpfs", 0, None))
    results["remount"] = outcome(libc.mount(None, b"/proc", None, 32 | 4096, None))
    results["unshare"] = outcome(libc.unshare(0x10000000))
    results["hostname"] = outcome(libc.sethostname(b"x", 1))
    results["chroot"] = outcome(libc.chroot(b"/tmp"))
    results["netlink"] = outcome(libc.socket(16, 3, 0))
    results["netfilter"] = outcome(libc.socket(16, 3, 12))
    results["raw"] = outcome(libc.socket(2, 3, 255))
    results["packet"] = outcome(libc.socket(17, 3, 0))
    inet = libc.socket(2, 2, 0)
    results["tables"] = outcome(libc.setsockopt(inet, 0, 64, b"x" * 96, 96))
    results["interface"] = outcome(libc.ioctl(inet, 0x8914, b"lo" + bytes(38)))
    results["bridge"] = outcome(libc.ioctl(inet, 0x89a0, b"br0" + bytes(13)))
    results["high half"] = outcome(libc.syscall(16, inet, ctypes.c_ulong(0x1000089a0), b"br0" + bytes(13)))
    results["clone3"] = outcome(libc.syscall(435, None, 0))
    results["device"] = outcome(libc.mknod(b"/tmp/disk", 0o60600, 0x800))
    return results
def before():
    fd = pidfd()
    read, write = os.pipe()
    if os.fork() == 0:
        os.write(write, repr(tries(fd)).encode())
        os._exit(0)
    os.wait()
    global found
    found = eval(os.read(read, 65536))
    os.close(read)
    os.close(write)
once = [before]
os.register_at_fork(before=lambda: once.pop()() if once else None)
def handle(c, p):
    return found
"""


def test_a_template_with_the_capabilities_of_its_instances_comes_to_nothing(spawn, code):
    """Its user id owns their user namespaces, so it is all-powerful in one once it has entered it; its filter is not."""
    layer = code(CAPABLE)
    template, _ = spawn.template("python3", layer)
    _, channel = spawn.start("python3", layer, origin=template)
    assert channel.ready() == ""
    found = channel.call(b"{}").json
    assert found.pop("join") == "done"
    found.pop("capabilities")
    assert found.pop("device") != "done"
    assert set(found.values()) <= {"Operation not permitted", "Function not implemented"}, found


def test_an_instance_does_not_reach_its_template(spawn, code):
    layer = code(HOSTILE + """
def handle(c, p):
    fds = {fd: os.readlink("/proc/self/fd/" + fd) for fd in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + fd)}
    return {"processes": sorted(int(name) for name in os.listdir("/proc") if name.isdigit()), "own": [1, os.getpid()],
            "pair": pair() is not None, "pidfd": pidfd(), "fds": sorted(fds), "parent": os.getppid(),
            "setns": outcome(libc.setns(os.open("/proc/self/ns/net", 0), NAMESPACES)),
            "setns pidfd": outcome(libc.setns(os.pidfd_open(os.getpid()), NAMESPACES)),
            "trace": outcome(libc.ptrace(16, 1, 0, 0)), "clone3": outcome(libc.syscall(435, None, 0)),
            "memory": outcome(libc.open(b"/proc/1/mem", 0)), "everybody": outcome(libc.kill(1, 9))}
""")
    template, _ = spawn.template("python3", layer, secrets={"s": "hidden"})
    _, channel = spawn.start("python3", layer, origin=template)
    channel.ready()
    found = channel.call(b"{}").json
    assert found["processes"] == found["own"] and found["parent"] == 1
    assert not found["pair"] and found["pidfd"] == -1
    assert found["setns"] == found["setns pidfd"] == found["trace"] == "Operation not permitted"
    assert found["clone3"] == "Function not implemented"
    assert found["memory"] == "Permission denied"
    assert channel.call(b"{}").json["own"] == found["own"]


def test_a_template_sees_nothing_of_the_host_nor_of_others(spawn, code):
    layer = code("""
import os
seen = {"processes": sorted(int(name) for name in os.listdir("/proc") if name.isdigit()), "own": [1, os.getpid()],
        "uid": os.getuid(), "status": open("/proc/self/status").read(), "root": os.path.exists("/etc/shadow") and os.access("/etc/shadow", 4)}
try:
    seen["memory"] = os.open("/proc/1/mem", os.O_RDONLY)
except OSError as error:
    seen["memory"] = error.strerror
def handle(c, p):
    return seen
""")
    other = spawn.function(layer + "-other", {"f.py": "def handle(c, p):\n    return 1\n"})
    kept, _ = spawn.template("python3", other)
    template, _ = spawn.template("python3", layer)
    _, channel = spawn.start("python3", layer, origin=template)
    channel.ready()
    seen = channel.call(b"{}").json
    assert seen["processes"] == seen["own"]
    assert seen["uid"] > 65536 and not seen["root"]
    for line in ("CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"):
        assert line in seen["status"]
    assert seen["memory"] == "Permission denied"
