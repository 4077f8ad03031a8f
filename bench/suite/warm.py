"""Hello, warm: latency and processor time over one connection, throughput by connections, ours and the peers interleaved."""
import statistics

from . import load, machine
from .targets import Function, server_of, source

TITLE = "Hello, warm"
OURS = {"python3": "dispatch python3", "native": "dispatch native", "nodejs": "dispatch nodejs"}
BOTH = "both cores"  # a key beside numbers of connections


class Warm:
    """All samples: {(target, connections): [Sample]}, latencies under connections 0."""

    def __init__(self, names):
        self.names, self.samples = names, {}

    def add(self, name, key, sample):
        self.samples.setdefault((name, key), []).append(sample)

    def latencies(self, name):
        return [us for sample in self.samples.get((name, 0), []) for us in sample.latencies_us]

    def middle(self, name, key, field):
        found = [getattr(sample, field) for sample in self.samples.get((name, key), [])]
        return statistics.median(found) if found else None

    def failed(self, name):
        return sum(sample.failed for (of, _), samples in self.samples.items() if of == name for sample in samples)


def start_ours(context, server):
    targets = []
    for language, label in OURS.items():
        try:
            server.served(f"hello-{language}", language, source(language))
            targets.append(Function(server, f"hello-{language}", label))
        except (AssertionError, OSError, load.Failed) as error:
            context.missing.append(f"{label}: {error}")
    return targets


def on_both_cores(target, connections, seconds):
    """The target and the load share all cores, as plain node behind nginx does where it is deployed."""
    machine.spread(target.pid, machine.CPUS)
    try:
        return load.throughput(target, connections, seconds, machine.CPUS)
    finally:
        machine.spread(target.pid, [machine.WORK_CPU])


def node_pair(peers, on):
    """nginx and the node behind it count as one: both go where one goes."""
    if "node" in peers and "node behind nginx" in peers:
        machine.spread(peers["node"].pid, on)


def drive_all(context, warm, targets, peers, connections):
    def sample(target, key, take, *arguments):
        try:
            warm.add(target.name, key, take(target, *arguments))
        except load.Failed as error:
            context.missing.append(f"{target.name}, {key or 'one'} connections: {error}")
    for target in targets:
        sample(target, 0, load.latency, context.seconds)
    for count in connections:
        for target in targets:
            sample(target, count, load.throughput, count, context.seconds)
    for target in targets:
        if "node" in target.name or "workerd" in target.name:
            node_pair(peers, machine.CPUS)
            sample(target, BOTH, on_both_cores, 32, context.seconds)
            node_pair(peers, [machine.WORK_CPU])


def measure(context):
    connections = (32,) if context.quick else (1, 4, 16, 32, 64, 256)
    with server_of(context.folder, "warm") as server:
        ours = start_ours(context, server)
        peers = context.peers
        targets = [*ours, *peers.values()]
        for target in targets:
            load.exchanges(target.port, target.host, path=target.path, connections=8, count=500)  # so that nothing is cold
        warm = Warm([target.name for target in targets])
        for _ in range(context.rounds):
            drive_all(context, warm, targets, peers, connections)
    context.warm = warm
    figures_of(context, warm, set(peers))
    if warm.samples:
        context.section(TITLE, text_of(context, warm))
    plots(context, warm)


def figures_of(context, warm, peers):
    for language, short in (("python3", "python"), ("native", "native"), ("nodejs", "node")):
        label = OURS[language]
        if not warm.latencies(label):
            continue
        figures = context.figures
        figures.spread(f"warm_{short}_us", warm.latencies(label), "us", {peer: warm.latencies(peer) for peer in peers})
        for name, key, field, unit in ((f"warm_{short}_cpu_us", 0, "cpu_us", "us"), (f"warm_{short}_rps_core", 32, "rps", "1/s")):
            figures.value(name, warm.middle(label, key, field), unit,
                          {peer: warm.middle(peer, key, field) for peer in peers if warm.middle(peer, key, field)})
    if warm.middle(OURS["nodejs"], BOTH, "rps"):
        context.figures.value("warm_node_rps", warm.middle(OURS["nodejs"], BOTH, "rps"), "1/s",
                              {peer: warm.middle(peer, BOTH, "rps") for peer in peers if warm.middle(peer, BOTH, "rps")})


def text_of(context, warm):
    rows = [["", "requests/s a core", "of nginx", "p50 us", "p99 us", "CPU us/request", "requests/s, both cores", "failed"]]
    nginx = warm.middle("nginx, fixed reply", 32, "rps")
    for name in warm.names:
        latencies, rps = warm.latencies(name), warm.middle(name, 32, "rps")
        if not latencies or not rps:
            continue
        both = warm.middle(name, BOTH, "rps")
        rows.append([name, f"{rps:,.0f}", f"{rps / nginx:.2f}" if nginx else "-", f"{statistics.median(latencies):,.0f}",
                     f"{load.percentile(latencies, 0.99):,.0f}", f"{warm.middle(name, 0, 'cpu_us'):.1f}",
                     f"{both:,.0f}" if both else "", str(warm.failed(name))])
    return f"""`GET /hello?name=Jon` with keep-alive. Latency and processor time (of all processes of what is measured) over one connection
by bench/native/client.c, each exchange timed by itself; requests a second by wrk over 32 connections. The load is on core
{machine.LOAD_CPU}, what is measured, with all its processes, on core {machine.WORK_CPU}; for "both cores" load and measured share both.
Medians of {context.rounds} interleaved rounds of {context.seconds} s; percentiles over all of them. Node behind nginx are two programs: its
processor time is nginx's alone.

{context.table(rows)}
"""


def plots(context, warm):
    context.plot_distribution("latency", "Latency of hello, one connection", "us", {name: warm.latencies(name) for name in warm.names})
    counts = sorted({key for _, key in warm.samples if isinstance(key, int) and key > 0})
    if len(counts) > 1:
        context.plot_lines("throughput", "Requests a second of one core, by connections", "connections", "requests/s",
                           {name: [(count, warm.middle(name, count, "rps")) for count in counts
                                   if warm.middle(name, count, "rps")] for name in warm.names}, log_x=True)
