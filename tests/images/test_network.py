"""Functions with a network: what they reach, what they do not, whatever they try, and what is left of it."""
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import threading

import pytest

import harness
import world

pytestmark = pytest.mark.skipif(world.why_not() is not None, reason=str(world.why_not()))

PROBE = r'''
import ctypes, errno, os, resource, socket, struct, threading, time

def attempt(action):
    """What it gave, or the name of the error."""
    try:
        return action()
    except socket.gaierror as error:
        return {socket.EAI_NONAME: "NONAME", socket.EAI_AGAIN: "AGAIN"}.get(error.errno, "GAI%d" % error.errno)
    except socket.timeout:
        return "TIMEOUT"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))

def call(host, port=80, timeout=5):
    """The greeting of who listens there."""
    def action():
        with socket.create_connection((host, port), timeout) as sock:
            return sock.makefile().readline().strip().split(" ")[0]
    return attempt(action)

def resolve(name):
    return attempt(lambda: sorted({item[4][0] for item in socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)}))

def gateway():
    with open("/etc/resolv.conf") as file:
        return file.readline().split()[1]

def question(name, kind, ident=7):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!HHHHHH", ident, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, 1)

def ask(name, kind, tcp=False, raw=None):
    """(rcode, truncated, answers, bytes) of the resolver's reply."""
    data = raw or question(name, kind)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as sock:
        sock.settimeout(15)
        sock.connect((gateway(), 53))
        sock.sendall((struct.pack("!H", len(data)) if tcp else b"") + data)
        if tcp:
            want, = struct.unpack("!H", sock.recv(2, socket.MSG_WAITALL))
            reply = sock.recv(want, socket.MSG_WAITALL)
        else:
            reply = sock.recv(4096)
    ident, flags, _, answers = struct.unpack("!HHHH", reply[:8])
    assert ident == 7
    return [flags & 15, bool(flags & 0x200), answers, len(reply)]

def own_address():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("198.18.0.10", 9))
        return sock.getsockname()[0]

def handle(ctx, payload):
    space = dict(globals())
    exec(payload, space)
    return space["result"]
'''


@pytest.fixture(scope="module")
def outside():
    made = world.World()
    try:
        yield made
    finally:
        made.finish()


@pytest.fixture(scope="module")
def server(outside):
    running = world.WorldServer(outside)
    try:
        running.start()
        running.image("python3", harness.PYTHON_BASE)
        running.image("native", harness.NATIVE_BASE)
        yield running
    finally:
        running.finish()


@pytest.fixture
def another(outside):
    """A second server on the same host."""
    running = world.WorldServer(outside)
    try:
        yield running.start()
    finally:
        running.finish()


def inside(server, name, allow=None, mode="egress"):
    network = {"mode": mode, **({"allow": allow} if allow else {})}
    server.function(name, PROBE, timeout=40000, network=network)

    def evaluate(code):
        run = server.run(name, code if "result" in code else f"result = {code}")
        assert run["status"] == "READY", run
        return run.get("output")
    return evaluate


@pytest.fixture(scope="module")
def free(server):
    """A function that reaches all that is not forbidden."""
    return inside(server, "free")


@pytest.fixture(scope="module")
def listed(server):
    """One with an allow-list."""
    return inside(server, "listed", ["allowed.example", "*.wild.example", "loopback.example", "metadata.example",
                                     "host.example", "mixed.example", "alias.example", "10.77.0.0/24"])


def uplinks():
    return re.findall(r"\b(dp[0-9a-f]{12})@", world.sh("ip -o link"))


def tables():
    return re.findall(r"table inet (dispatch_[0-9a-f]{16})", world.sh("nft list tables"))


def dns_of(server):
    return [pid for pid in harness.process_children(server.process.pid) if harness.process_name(pid) == "dispatch-dns"]


def router_of(server):
    """The path of the router's namespace: one that spawn holds and does not live in."""
    folder = f"/proc/{server.process.pid}/fd"
    own = os.readlink(f"/proc/{server.process.pid}/ns/net")
    for fd in os.listdir(folder):
        with contextlib.suppress(OSError):
            target = os.readlink(f"{folder}/{fd}")
            if target.startswith("net:[") and target != own and "up@" in world.sh("ip -o link", f"{folder}/{fd}"):
                return f"{folder}/{fd}"
    return None


def pid_of_agent(server, address):
    """A process of the sandbox with that address, as the host knows it."""
    for pid in harness.process_tree(server.process.pid):
        with contextlib.suppress(AssertionError):
            if f"inet {address}/" in world.sh("ip -o addr", f"/proc/{pid}/ns/net"):
                return pid
    return None


# What is not there before it is needed


def test_a_server_without_such_functions_has_nothing_of_it(outside, another):
    before = set(uplinks()), set(tables()), world.sh("sysctl -n net.ipv4.ip_forward")
    another.image("python3", harness.PYTHON_BASE)
    none = inside(another, "none", mode="none")
    assert none("call('198.18.0.10')") == "ENETUNREACH"
    assert none("os.path.exists('/etc/resolv.conf')") in (True, False)
    assert dns_of(another) == [] and router_of(another) is None
    assert (set(uplinks()), set(tables()), world.sh("sysctl -n net.ipv4.ip_forward")) == before
    assert not os.path.exists(os.path.join(another.state, "network"))


# What is reached


def test_the_outside_is_reached_by_address_and_by_name(free):
    assert free("call('198.18.0.10')") == "hello"
    assert free("resolve('allowed.example')") == ["198.18.0.10"]
    assert free("resolve('ALLOWED.Example')") == ["198.18.0.10"]
    assert free("call('other.example')") == "hello"
    assert free("resolve('alias.example')") == ["198.18.0.10"]
    assert free("resolve('two.example')") == ["198.18.0.10", "198.18.0.11"]
    assert free("call('lan.example')") == "hello"


def test_large_data_comes_back_whole(free):
    assert free("""
with socket.create_connection(("198.18.0.10", 80), 10) as sock:
    stream = sock.makefile("rwb")
    stream.readline()
    sent = os.urandom(3 << 20)
    threading.Thread(target=lambda: (stream.write(sent), stream.flush())).start()
    got = b""
    while len(got) < len(sent):
        got += sock.recv(1 << 16)
result = got == sent""") is True


def test_its_own_loopback_works_and_low_ports_are_open(free):
    assert free("""
listener = socket.create_server(("127.0.0.1", 80))
client = socket.create_connection(("localhost", 80))
result = client.getpeername()[1]""") == 80


def test_the_host_turned_forwarding_on_for_it(free):
    assert free("call('198.18.0.10')") == "hello"
    assert world.sh("sysctl -n net.ipv4.ip_forward") == "1\n"


# Allow-lists


def test_only_names_of_the_list_are_known(listed, outside):
    before = len(outside.asked())
    assert listed("resolve('other.example')") == "NONAME"
    assert listed("resolve('allowed.example.other.example')") == "NONAME"
    assert listed("resolve('xallowed.example')") == "NONAME"
    assert listed("resolve('wild.example')") == "NONAME"
    # Nothing left the host: a name may carry a secret away.
    assert len(outside.asked()) == before
    assert listed("resolve('allowed.example')") == ["198.18.0.10"]
    assert listed("resolve('a.b.wild.example')") == ["198.18.0.12"]


def test_an_address_is_open_once_its_name_was_asked_for_and_to_that_sandbox_alone(server):
    one = inside(server, "one", ["allowed.example", "alias.example"])
    two = inside(server, "two", ["allowed.example"])
    assert one("call('198.18.0.10')") == "EHOSTUNREACH"
    assert one("call('allowed.example')") == "hello"
    assert one("call('198.18.0.10')") == "hello"
    assert one("call('198.18.0.11')") == "EHOSTUNREACH"
    assert two("call('198.18.0.10')") == "EHOSTUNREACH"


def test_ranges_and_addresses_of_the_list_are_open_and_no_neighbours(server, listed):
    assert listed("call('10.77.0.2')") == "hello"
    narrow = inside(server, "narrow", ["198.18.0.11", "198.18.0.12/31"])
    assert narrow("[call('198.18.0.%d' % last) for last in (10, 11, 12)]") == ["EHOSTUNREACH", "hello", "hello"]
    assert narrow("call('10.77.0.2')") == "EHOSTUNREACH"
    everything = inside(server, "everything", ["0.0.0.0/0"])
    assert everything("[call('198.18.0.10'), call('10.77.0.2'), call('169.254.169.254')]") == ["hello", "hello",
                                                                                             "EHOSTUNREACH"]


def test_an_opened_address_is_closed_again_after_its_time(server, listed, outside):
    outside.names["brief.wild.example"] = {"a": ["198.18.0.12"], "ttl": 5}
    outside.publish()
    assert listed("resolve('brief.wild.example')") == ["198.18.0.12"]
    elements = json.loads(world.sh("nft -j list set inet dispatch names", router_of(server)))["nftables"][1]["set"]["elem"]
    timeouts = [one["elem"]["timeout"] for one in elements if one["elem"]["val"]["concat"][1] == "198.18.0.12"]
    assert timeouts and max(timeouts) <= 3600


def test_the_list_of_an_update_holds_from_its_first_run_on(server):
    probe = inside(server, "changing", ["198.18.0.10"])
    assert probe("[call('198.18.0.10'), call('198.18.0.11')]") == ["hello", "EHOSTUNREACH"]
    server.update("changing", PROBE, network={"mode": "egress", "allow": ["198.18.0.11"]}, timeout=40000)
    assert probe("[call('198.18.0.10'), call('198.18.0.11')]") == ["EHOSTUNREACH", "hello"]
    server.update("changing", PROBE, network={"mode": "none"}, timeout=40000)
    assert probe("call('198.18.0.11')") == "ENETUNREACH"


@pytest.mark.parametrize("allow, message", [
    (["exa mple"], "network.allow.0"), (["a.example", "10.0.0.1/8"], "network.allow.1"), (["::1"], "network.allow.0"),
    (["*"], "network.allow.0"), (["a.*.example"], "network.allow.0"), (["127.0.0.1"], "out of reach of every function"),
    (["169.254.0.0/16"], "out of reach of every function"), (["1.2.3"], "network.allow.0"), ([""], "network.allow.0"),
    (["x" * 60 + "." + "y" * 60 + "." + "z" * 60 + f".e{n}" for n in range(30)], "4032 characters in all"),
])
def test_a_list_that_means_nothing_is_refused(server, name, allow, message):
    reply = server.api("POST", "/v1/function", {"name": name, "image": "python3", "source": harness.pack({"h.py": PROBE}),
                                                "network": {"mode": "egress", "allow": allow}})
    assert reply.status == 422 and message in reply.json["message"], reply


# What is out of reach


@pytest.mark.parametrize("who", ["free", "listed"])
def test_the_host_is_out_of_reach_by_each_of_its_addresses(request, server, outside, who):
    probe = request.getfixturevalue(who)
    uplink = re.search(r"inet ([0-9.]+)", world.sh(f"ip -o -4 addr show {uplinks()[0]}")).group(1)
    world.sh("ip addr replace 192.168.88.1/24 dev out")  # one that it got later
    targets = [("198.18.0.1", 7002), ("192.168.77.1", 7002), ("192.168.88.1", 7002), ("10.77.0.1", 7002), (uplink, 7002),
               ("198.18.0.1", server.port), ("198.18.0.255", 7002), ("198.18.0.1", 22)]
    found = probe(f"[call(*target) for target in {targets}]")
    assert set(found) == {"EHOSTUNREACH"}, list(zip(targets, found))
    assert probe(f"call(gateway(), 7002)") == "EHOSTUNREACH"
    assert probe("[call('127.0.0.1', 7001), call('127.0.0.53', 53)]") == ["ECONNREFUSED", "ECONNREFUSED"]


@pytest.mark.parametrize("who", ["free", "listed"])
def test_metadata_link_local_multicast_and_reserved_addresses_are_out_of_reach(request, who):
    probe = request.getfixturevalue(who)
    targets = ["169.254.169.254", "169.254.170.2", "169.254.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192",
               "240.0.0.1"]
    found = probe(f"[call(target) for target in {targets}]")
    assert set(found) <= {"EHOSTUNREACH", "ENETUNREACH", "EINVAL"}, list(zip(targets, found))
    assert probe("""
def send(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.settimeout(1)
        sock.connect((address, 7002))
        sock.send(b"x")
        return sock.recv(1)
result = [attempt(lambda: send(address)) for address in ("224.0.0.1", "255.255.255.255", "239.255.255.250")]
result = [one for one in result if one not in ("EHOSTUNREACH", "ENETUNREACH", "TIMEOUT", "EINVAL")]""") == []


def test_another_sandbox_is_out_of_reach(server, free):
    other = inside(server, "other")
    address = other("""
listener = socket.create_server(("0.0.0.0", 9000))
threading.Thread(target=lambda: [listener.accept() for _ in range(9)], daemon=True).start()
result = own_address()""")
    assert other(f"attempt(lambda: bool(socket.create_connection(('{address}', 9000), 2)))") is True
    assert free(f"call('{address}', 9000)") == "EHOSTUNREACH"
    assert free(f"""
parts = [int(part) for part in own_address().split(".")]
result = sorted({{call(".".join(map(str, parts[:3] + [last])), 9000) for last in range(1, 30) if last != parts[3]}})"""
                ) == ["EHOSTUNREACH"]


def test_no_connection_comes_in_from_the_host_or_the_outside(server, outside):
    probe = inside(server, "listening")
    address = probe("""
listener = socket.create_server(("0.0.0.0", 9001))
result = own_address()""")
    with socket.socket() as sock:
        sock.settimeout(1)
        with pytest.raises(OSError):
            sock.connect((address, 9001))
    world.sh(f"ip route add {address}/32 via 198.18.0.1", world.World.path(outside.internet))
    found = world.sh(f"timeout 2 bash -c 'exec 3<>/dev/tcp/{address}/9001' && echo in || echo out",
                     world.World.path(outside.internet))
    assert found == "out\n"


def test_there_is_no_way_by_ipv6(free):
    found = free("[attempt(lambda: socket.create_connection(target, 2)) for target in "
                 "(('fd00:ec2::254', 80), ('2001:db8::1', 80), ('fe80::1', 80), ('::1', 80))]")
    assert set(found) <= {"ENETUNREACH", "EADDRNOTAVAIL", "EINVAL"}, found
    assert free("attempt(lambda: socket.create_connection(('::ffff:169.254.169.254', 80), 2))") == "EHOSTUNREACH"
    assert free("open('/proc/net/if_inet6').read() if os.path.exists('/proc/net/if_inet6') else ''") == ""
    assert free("ask('allowed.example', 28)[:3]") == [0, False, 0]


# What somebody inside may try


def test_raw_sockets_and_changes_of_its_network_are_refused(free):
    assert free("""
def netlink(kind, flags, body):
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as sock:
        sock.send(struct.pack("=IHHII", 16 + len(body), kind, flags | 5, 1, 0) + body)
        code, = struct.unpack("=i", sock.recv(4096)[16:20])
        return errno.errorcode[-code] if code else "done"
address = struct.pack("=BBBBI", 2, 32, 0, 0, 2) + struct.pack("=HH4s", 8, 2, socket.inet_aton("10.9.9.9"))
route = struct.pack("=BBBBBBBBI", 2, 0, 0, 0, 254, 4, 0, 1, 0) + struct.pack("=HHI", 8, 4, 1)
down = struct.pack("=BxHiII", 0, 0, 2, 0, 1)
result = [
    attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) and "made"),
    attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) and "made"),
    netlink(20, 0x600, address), netlink(24, 0x400, route), netlink(16, 0, down),
    attempt(lambda: open("/proc/sys/net/ipv4/ip_forward", "w").write("1")),
    attempt(lambda: open("/proc/sys/net/ipv6/conf/all/disable_ipv6", "w").write("0")),
    attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).setsockopt(0, 19, 1)),  # IP_TRANSPARENT
]""") == ["EPERM", "EPERM", "EPERM", "EPERM", "EPERM", "EROFS", "EROFS", "EPERM"]
    assert free("attempt(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x300))") in ("EPERM", "ENOSYS",
                                                                                               "EAFNOSUPPORT")
    assert free("attempt(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12))") in ("EPERM", "ENOSYS")


def test_a_source_that_is_not_its_own_goes_nowhere(server, outside, free):
    # From inside it cannot even be tried ...
    assert free("""
def freebind():
    with socket.socket() as sock:
        sock.setsockopt(0, 15, 1)
        sock.bind(("198.18.0.77", 0))
        sock.settimeout(2)
        sock.connect(("198.18.0.10", 80))
        return "through"
result = attempt(freebind)""") in ("EINVAL", "ENETUNREACH", "EADDRNOTAVAIL", "EPERM")
    # ... so root does, from the sandbox's own namespace: with an address of another sandbox, and of nobody.
    address = free("own_address()")
    netns = f"/proc/{pid_of_agent(server, address)}/ns/net"
    neighbour = address.rsplit(".", 1)[0] + "." + str(int(address.rsplit(".", 1)[1]) + 1)
    for spoofed in (neighbour, "203.0.113.5", "198.18.0.1"):
        world.sh(f"ip addr add {spoofed}/32 dev eth0", netns)
        found = world.sh("timeout 3 python3 -c 'import socket; s = socket.socket(); s.settimeout(1); "
                         f"s.bind((\"{spoofed}\", 0)); s.connect((\"198.18.0.10\", 80))' 2>/dev/null "
                         "&& echo through || echo lost", netns)
        world.sh(f"ip addr del {spoofed}/32 dev eth0", netns)
        assert found == "lost\n", spoofed
    assert free("call('198.18.0.10')") == "hello"


def test_names_that_lead_inside_are_not_answered(free, listed):
    for name in ("loopback.example", "metadata.example", "host.example", "mixed.example"):
        assert free(f"resolve('{name}')") == "NONAME", name
        assert listed(f"resolve('{name}')") == "NONAME", name
    assert free("resolve('localhost')") == ["127.0.0.1"]


def test_a_name_that_changes_to_the_host_opens_nothing(server, outside, listed):
    outside.names["rebind.wild.example"] = {"a": ["198.18.0.12"], "ttl": 0}
    outside.publish()
    assert listed("call('rebind.wild.example')") == "hello"
    outside.names["rebind.wild.example"] = {"a": ["198.18.0.1"], "ttl": 0}
    outside.publish()
    assert listed("call('rebind.wild.example', 7002)") == "NONAME"
    assert listed("call('198.18.0.1', 7002)") == "EHOSTUNREACH"


def test_answers_of_somebody_else_do_not_count(free):
    assert free("""
found = {}
def one(name):
    found[name] = ask(name, 1)[:3]
threads = [threading.Thread(target=one, args=(name,)) for name in ("spoofed-id.example", "spoofed-question.example")]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
result = sorted(found.values())""") == [[2, False, 0], [2, False, 0]]


def test_each_question_leaves_by_a_port_and_an_id_of_its_own(free, outside):
    before = len(outside.asked())
    free("result = [ask('allowed.example', 1) for _ in range(40)] and None")
    asked = [line for line in outside.asked()[before:] if line[1] == "allowed.example"]
    assert len(asked) >= 40
    assert len({line[3] for line in asked}) > 30 and len({line[4] for line in asked}) > 30


def test_what_does_not_fit_is_asked_for_again_by_tcp(free):
    assert free("ask('big.example', 16)[:3]") == [0, True, 0]
    rcode, truncated, answers, size = free("ask('big.example', 16, tcp=True)")
    assert (rcode, truncated, answers) == (0, False, 1) and size > 4000
    assert free("ask('allowed.example', 1, tcp=True)[:3]") == [0, False, 1]


def test_questions_that_are_none_are_refused(free):
    assert free("ask('', 0, raw=struct.pack('!HHHHHH', 7, 0x100, 2, 0, 0, 0) + b'\\0\\0\\1\\0\\1')[0]") == 1
    assert free("ask('', 0, raw=struct.pack('!HHHHHH', 7, 0x100, 1, 0, 0, 0) + b'\\xc0\\x0c\\0\\1\\0\\1')[0]") == 1
    assert free("[ask('allowed.example', kind)[0] for kind in (252, 255)]") == [4, 4]
    assert free("ask('nowhere.example', 1)[0]") == 3
    assert free("""
with socket.create_connection((gateway(), 53), 5) as sock:
    sock.sendall(b"\\xff\\xff" + bytes(4000))
    result = attempt(lambda: sock.recv(1)) in (b"", "ECONNRESET")""") is True


def test_a_flood_of_questions_does_not_starve_others(server, free, outside):
    flood = inside(server, "flood")
    flood("""
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.connect((gateway(), 53))
data = question("mute.example", 1)
for _ in range(20000):
    attempt(lambda: sock.send(data))
held = [attempt(lambda: socket.create_connection((gateway(), 53), 1)) for _ in range(30)]
result = None""")
    assert free("resolve('allowed.example')") == ["198.18.0.10"]
    assert free("ask('allowed.example', 1, tcp=True)[:3]") == [0, False, 1]


def test_connections_of_one_sandbox_are_bounded(server, free):
    many = inside(server, "many")
    opened = many("""
resource.setrlimit(resource.RLIMIT_NOFILE, (2000, 4096))
socks, good = [], 0
for _ in range(1500):
    sock = socket.socket()
    sock.settimeout(3)
    socks.append(sock)
    outcome = attempt(lambda: sock.connect(("198.18.0.10", 80)))
    if outcome is not None:
        break
    good += 1
result = [good, outcome]""")
    assert opened[0] <= 1024 and opened[1] == "EHOSTUNREACH", opened
    assert opened[0] >= 900, opened
    assert free("call('198.18.0.11')") == "hello"


# Native code


NATIVE = r"""
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* host port pairs from $TARGETS; a line for each. */
int main(void)
{
        char host[256], port[16];
        const char *at = getenv("TARGETS");
        for (int used; at && sscanf(at, "%255s %15s%n", host, port, &used) == 2; at += used) {
                struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
                int bad = getaddrinfo(host, port, &hints, &found);
                if (bad) {
                        printf("%s\n", bad == EAI_NONAME ? "NONAME" : "other");
                        continue;
                }
                int fd = socket(found->ai_family, SOCK_STREAM, 0);
                struct timeval limit = {.tv_sec = 5};
                setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
                char greeting[8] = "";
                if (connect(fd, found->ai_addr, found->ai_addrlen) < 0)
                        printf("%s\n", errno == EHOSTUNREACH ? "EHOSTUNREACH" : errno == ECONNREFUSED ? "ECONNREFUSED"
                                       : errno == ENETUNREACH ? "ENETUNREACH" : strerror(errno));
                else
                        printf("%.*s\n", (int)read(fd, greeting, 5), greeting);
                close(fd);
        }
        printf("%s\n", socket(AF_INET, SOCK_RAW, 1) < 0 && errno == EPERM ? "EPERM" : "raw");
        return 0;
}
"""


def test_the_same_holds_for_native_code(server, tmp_path):
    source, program = tmp_path / "probe.c", tmp_path / "probe"
    source.write_text(NATIVE)
    subprocess.run(["cc", "-o", program, source], check=True)
    targets = [("allowed.example", 80, "hello"), ("other.example", 80, "NONAME"), ("198.18.0.11", 80, "EHOSTUNREACH"),
               ("198.18.0.1", 7002, "EHOSTUNREACH"), ("127.0.0.1", 7001, "ECONNREFUSED"),
               ("169.254.169.254", 80, "EHOSTUNREACH"), ("10.77.0.2", 80, "hello"), ("loopback.example", 7001, "NONAME")]
    server.function("native-probe", {"probe": (program.read_bytes(), 0o755)}, image="native", timeout=40000,
                    env={"TARGETS": " ".join(f"{host} {port}" for host, port, _ in targets)},
                    network={"mode": "egress", "allow": ["allowed.example", "10.77.0.0/24", "loopback.example"]})
    found = server.message("native-probe")
    said = json.dumps(found)
    for (host, port, wanted), line in zip(targets, re.findall(r"(hello|[A-Z]{5,})(?=\\n|\\\\n|\")", said)):
        assert line == wanted, (host, port, said)
    assert said.count("EHOSTUNREACH") == 3 and said.count("EPERM") == 1, said


# Its life


def test_dispatch_dns_has_no_rights_and_comes_back_when_it_dies(server, free, listed):
    assert free("resolve('allowed.example')") == ["198.18.0.10"]
    pid, = dns_of(server)
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    assert {int(status[key], 16) for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2" and "0" not in status["Uid"].split()
    os.kill(pid, signal.SIGKILL)
    harness.poll(lambda: dns_of(server) not in ([], [pid]), what="dispatch-dns again")
    assert free("resolve('other.example')") == ["198.18.0.11"]
    assert listed("[resolve('allowed.example'), resolve('other.example'), call('allowed.example')]") == [
        ["198.18.0.10"], "NONAME", "hello"]


def test_two_servers_and_the_hosts_own_rules_do_not_disturb_each_other(server, free, another):
    world.sh("nft 'add table inet theirs; add chain inet theirs forward { type filter hook forward priority 0; policy accept; }'")
    try:
        theirs = world.sh("nft list table inet theirs")
        another.image("python3", harness.PYTHON_BASE)
        second = inside(another, "free")
        addresses = free("own_address()"), second("own_address()")
        assert addresses[0] != addresses[1]
        assert free("call('allowed.example')") == second("call('allowed.example')") == "hello"
        assert second(f"call('{addresses[0]}', 9000)") == free(f"call('{addresses[1]}', 9000)") == "EHOSTUNREACH"
        assert len(uplinks()) == len(tables()) == 2
        pools = {line.split()[0] for line in world.sh("ip route").splitlines() if line.startswith("100.") and "/18" in line}
        assert len(pools) == 2
        another.stop()
        assert len(uplinks()) == len(tables()) == 1
        assert free("call('allowed.example')") == "hello"
        assert world.sh("nft list table inet theirs") == theirs
    finally:
        world.sh("nft delete table inet theirs")


def test_rules_that_somebody_removes_come_back_at_once(server, free):
    for removal in ("nft flush ruleset", f"nft delete table inet {tables()[0]}", f"nft flush table inet {tables()[0]}"):
        world.sh(removal)
        harness.poll(lambda: tables() and "masquerade" in world.sh(f"nft list table inet {tables()[0]}"), what=removal)
        harness.poll(lambda: free("call('allowed.example')") == "hello", what=f"the outside after {removal}")
        assert free("[call('198.18.0.1', 7002), call('192.168.77.1', 7002)]") == ["EHOSTUNREACH", "EHOSTUNREACH"]


def test_a_firewall_that_drops_what_is_forwarded_is_warned_of(another):
    world.sh("nft 'add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }'")
    try:
        another.image("python3", harness.PYTHON_BASE)
        probe = inside(another, "free")
        assert "the host's firewall drops what sandboxes with a network send" in another.log()
        assert probe("call('198.18.0.10', 80, 1)") == "TIMEOUT"
        world.sh("""nft 'add rule ip filter FORWARD iifname "dp*" accept'
            nft 'add rule ip filter FORWARD oifname "dp*" ct state established,related accept'""")
        assert probe("call('198.18.0.10')") == "hello"
        assert probe("call('198.18.0.1', 7002)") == "EHOSTUNREACH"
    finally:
        world.sh("nft delete table ip filter")


def test_nothing_is_left_after_a_stop(outside, another):
    before = uplinks(), tables(), world.sh("ip route")
    another.image("python3", harness.PYTHON_BASE)
    assert inside(another, "free")("call('allowed.example')") == "hello"
    assert uplinks() != before[0] and tables() != before[1]
    tree = harness.process_tree(another.process.pid)
    assert another.stop() == 0
    assert (uplinks(), tables(), world.sh("ip route")) == before
    assert not [pid for pid in tree if harness.is_alive(pid)]
    assert not os.path.exists(os.path.join(another.state, "network"))


def test_nothing_is_left_of_a_killed_server_once_it_is_back(outside, another):
    before = uplinks(), tables(), world.sh("ip route")
    another.image("python3", harness.PYTHON_BASE)
    probe = inside(another, "free")
    assert probe("call('allowed.example')") == "hello"
    tree = harness.process_tree(another.process.pid)
    another.kill()
    harness.poll(lambda: not [pid for pid in tree if harness.is_alive(pid)], what="the end of all its processes")
    harness.poll(lambda: (uplinks(), world.sh("ip route")) == (before[0], before[2]), what="the end of its interface")
    another.start()
    assert tables() == before[1]
    assert probe("call('allowed.example')") == "hello"
    another.kill()
    another.start()  # without egress in between
    another.stop()
    assert (uplinks(), tables(), world.sh("ip route")) == before


def test_sandboxes_leave_no_interface_behind(server, free):
    router = router_of(server)

    def interfaces():
        return set(re.findall(r" ([sa]\d+)@", world.sh("ip -o link", router)))
    before = interfaces()
    for turn in range(5):
        short = inside(server, f"short-{turn}", ["allowed.example"])
        assert short("call('allowed.example')") == "hello"
        assert interfaces() - before
        assert server.api("DELETE", f"/v1/function/short-{turn}").status == 200
    harness.poll(lambda: interfaces() <= before, what="the end of their interfaces")


def test_names_are_resolved_while_other_sandboxes_start(server):
    watch = inside(server, "watch")
    server.function("starting", PROBE, timeout=40000, network={"mode": "egress"}, isolation="run")
    done = threading.Event()

    def starts():
        while not done.is_set():
            server.run("starting", "result = None")
    others = [threading.Thread(target=starts) for _ in range(3)]
    for other in others:
        other.start()
    try:
        assert watch("""
end, seen = time.monotonic() + 3, set()
while time.monotonic() < end:
    with open("/etc/resolv.conf") as file:
        seen.add(file.read().startswith("nameserver "))
seen.add(resolve("allowed.example") == ["198.18.0.10"])
result = sorted(seen)""") == [True]
    finally:
        done.set()
        for other in others:
            other.join()


def test_a_route_of_the_hosts_is_kept_out_of_the_pool(outside):
    world.sh("ip route add 100.64.0.0/11 via 198.18.0.2; ip route add 100.96.0.0/12 via 198.18.0.2")
    running = world.WorldServer(outside)
    try:
        running.start()
        running.image("python3", harness.PYTHON_BASE)
        address = inside(running, "free")("own_address()")
        assert 112 <= int(address.split(".")[1]) <= 127
    finally:
        running.finish()
        world.sh("ip route del 100.64.0.0/11; ip route del 100.96.0.0/12")


def refused(running):
    """Why a function with a network is not READY."""
    running.start()
    running.image("python3", harness.PYTHON_BASE)
    found = running.function("free", PROBE, wanted="ERROR", network={"mode": "egress"})
    assert running.function("none", PROBE, wanted="READY")
    return " ".join(found["reason"])


def test_a_range_that_is_all_taken_is_a_clear_error(outside):
    world.sh("ip route add 172.31.0.0/24 via 198.18.0.2")
    running = world.WorldServer(outside, options=["--network-range", "172.31.0.0/24"])
    try:
        assert "choose another range with --network-range" in refused(running)
    finally:
        running.finish()
        world.sh("ip route del 172.31.0.0/24")


def test_an_option_that_is_no_range_is_a_clear_error(outside):
    running = world.WorldServer(outside, options=["--network-range", "100.64.0.1/10"])
    try:
        running.start(wait=False)
        assert running.process.wait(10 * harness.PATIENCE) != 0
        running.process = None
        assert "--network-range must be a range of IPv4 addresses, from /8 to /26" in running.log()
    finally:
        running.finish()


class Crippled(world.WorldServer):
    """On a host that lacks something."""
    lack = ""

    def command(self):
        return ["unshare", "--mount", "sh", "-c", self.lack + ' && exec "$@"', "sh", *super().command()]


def test_a_host_without_nft_says_so(outside):
    running = Crippled(outside)
    running.lack = "mount -t tmpfs none /usr/sbin"
    try:
        assert "needs the program nft: install the package nftables" in refused(running)
    finally:
        running.finish()
    assert len(uplinks()) <= 1


def test_a_host_that_may_not_change_its_network_says_so(outside):
    running = Crippled(outside)
    running.lack = "exec capsh --drop=cap_net_admin -- -c 'exec \"$@\"' sh \"$@\"; true"
    import shutil
    if shutil.which("capsh") is None:
        pytest.skip("capsh (libcap2-bin) is missing")
    try:
        assert "CAP_NET_ADMIN" in refused(running)
    finally:
        running.finish()
