"""Instances that come from templates and zygotes: like booted ones, apart from each other and from what they came from."""
import os
import re
import zlib

import pytest

import forks
from forks import INVALID, NOT_FOUND, NOT_IMPLEMENTED, TEMPLATE, ZYGOTE

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
    template, channel = spawn.start("python3", layer, role=TEMPLATE)
    assert channel.specialise(env={"OPENBLAS_NUM_THREADS": "1"}) is None
    channels = [spawn.start("python3", layer, origin=template)[1] for _ in range(2)]
    replies = []
    for one in channels:
        assert one.ready() == ""
        replies.append(one.call(b"{}").json)
    assert replies[0][1] == 9.0 and replies[0][0] != replies[1][0]


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
