"""A host and an internet for tests of sandboxes with a network, both made of network namespaces: no packet leaves the
machine. The calling process enters the host's namespace, so that servers that it starts are there, and what they do to
routes, rules and settings is done to that host.

        internet (198.18.0.0/24: a resolver on .53, services on .10, .11, .12)
           |  198.18.0.1
         host (also 192.168.77.1, a service on it and on its loopback; 10.77.0.0/24 behind another interface: its LAN)
"""
import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

import harness

CLONE_NEWNET = 0x40000000
HERE = os.path.dirname(os.path.abspath(__file__))
LIBC = ctypes.CDLL(None, use_errno=True)
RESOLVER = "198.18.0.53"
NAMES = {
    "allowed.example": {"a": ["198.18.0.10"]},
    "other.example": {"a": ["198.18.0.11"]},
    "*.wild.example": {"a": ["198.18.0.12"]},
    "two.example": {"a": ["198.18.0.10", "198.18.0.11"]},
    "alias.example": {"cname": "allowed.example", "a": ["198.18.0.10"]},
    "loopback.example": {"a": ["127.0.0.1"]},
    "metadata.example": {"a": ["169.254.169.254"]},
    "host.example": {"a": ["198.18.0.1"]},
    "mixed.example": {"a": ["198.18.0.10", "169.254.169.254"]},
    "big.example": {"a": ["198.18.0.10"], "txt": 4000},
    "lan.example": {"a": ["10.77.0.2"]},
    "spoofed-id.example": {"a": ["198.18.0.10"], "wrong": "id"},
    "spoofed-question.example": {"a": ["198.18.0.10"], "wrong": "question"},
    "mute.example": {"mute": True},
}


def why_not():
    """The reason for which there is no such world here, or None."""
    if os.geteuid() != 0:
        return "network namespaces are made by root"
    missing = [name for name in ("ip", "nft", "nsenter", "unshare") if shutil.which(name) is None]
    return f"{', '.join(missing)} is missing (tools/install-deps run test)" if missing else None


def check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def sh(script, netns=None):
    inside = ["nsenter", f"--net={netns}"] if netns else []
    done = subprocess.run([*inside, "sh", "-ec", script], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, (script, done.stdout, done.stderr)
    return done.stdout


class World:
    def __init__(self, forward=False):
        self.folder = tempfile.mkdtemp(prefix="world-")
        self.processes = []
        self.zone = os.path.join(self.folder, "zone.json")
        self.asked_path = os.path.join(self.folder, "asked")
        self.names = json.loads(json.dumps(NAMES))
        self.resolv = os.path.join(self.folder, "resolv.conf")
        with open(self.resolv, "w", encoding="ascii") as file:
            file.write(f"nameserver {RESOLVER}\n")
        open(self.asked_path, "w", encoding="ascii").close()
        self.publish()
        self.home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        check(LIBC.unshare(CLONE_NEWNET))
        try:
            self.build(forward)
        except BaseException:
            self.finish()
            raise

    def build(self, forward):
        self.internet = self.namespace()
        self.lan = self.namespace()
        sh(f"""ip link set lo up
            ip link add out type veth peer name wan netns {self.internet}
            ip link add lan0 type veth peer name wan netns {self.lan}
            ip addr add 198.18.0.1/24 dev out; ip link set out up
            ip addr add 192.168.77.1/24 dev out
            ip addr add 10.77.0.1/24 dev lan0; ip link set lan0 up
            ip route add default via 198.18.0.2
            echo {int(forward)} > /proc/sys/net/ipv4/ip_forward""")
        sh("""ip link set lo up; ip link set wan up
            for last in 2 10 11 12 53; do ip addr add 198.18.0.$last/24 dev wan; done
            ip addr add 169.254.169.254/32 dev lo
            ip route add default via 198.18.0.1""", self.path(self.internet))
        sh("ip link set lo up; ip link set wan up; ip addr add 10.77.0.2/24 dev wan; ip route add default via 10.77.0.1",
           self.path(self.lan))
        sh("ip route add 169.254.169.254/32 via 198.18.0.2")
        self.serve(self.internet, self.zone, "198.18.0.10:80,198.18.0.11:80,198.18.0.12:80,169.254.169.254:80")
        self.serve(self.lan, "", "10.77.0.2:80")
        self.serve(None, "", "127.0.0.1:7001,0.0.0.0:7002")

    @staticmethod
    def path(pid):
        return f"/proc/{pid}/ns/net"

    def namespace(self):
        holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo made; exec cat"], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)
        self.processes.append(holder)
        assert holder.stdout.readline() == "made\n"
        return holder.pid

    def serve(self, namespace, zone, places):
        inside = ["nsenter", f"--net={self.path(namespace)}"] if namespace else []
        server = subprocess.Popen([*inside, sys.executable, os.path.join(HERE, "internet.py"), zone, places],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.processes.append(server)
        assert server.stdout.readline() == "ready\n"

    def publish(self):
        """What the resolver answers from now on: self.names."""
        with open(self.zone + ".new", "w", encoding="ascii") as file:
            json.dump({"names": self.names, "log": self.asked_path}, file)
        os.replace(self.zone + ".new", self.zone)

    def asked(self):
        """The questions that came: (transport, name, type, port, id)."""
        with open(self.asked_path, encoding="ascii") as file:
            return [tuple(line.split()) for line in file]

    def finish(self):
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            process.wait()
            for stream in (process.stdin, process.stdout):
                stream.close()
        check(LIBC.setns(self.home, CLONE_NEWNET))
        os.close(self.home)
        shutil.rmtree(self.folder, ignore_errors=True)


class WorldServer(harness.Server):
    """A dispatch-server on the world's host, with its resolv.conf."""

    def __init__(self, world, **more):
        super().__init__(**more)
        self.world = world

    def command(self):
        return ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', self.world.resolv,
                *super().command()]
