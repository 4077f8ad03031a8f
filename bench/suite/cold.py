"""Cold starts: whole requests over HTTP to functions without a process, by the kind of start in the server's own record of
the run; one after the other, 50 at once, and sustained with everything cleared after."""
import json
import os
import shutil
import statistics
import subprocess
import time

import harness

from . import load, machine
from .targets import BOUND, FETCHED, PEERS, Peer, configured, left_over, server_of, source, workerd_program

TITLE = "Cold starts"
CLEARED_S = 60
# A sandbox that was there already is handed over in less; one that is made takes longer.
MADE_MS = 0.3
ROUNDS = 3  # each function so often: from the zygote, and once it is worth one from its template


class Start:
    """One cold start: what the caller saw, and what the server's record says of it."""

    def __init__(self, exchange, record):
        self.total_ms = exchange.us / 1000
        self.kind = record.get("start") or "none"
        self.timing = {stage: us / 1000 for stage, us in (record.get("timing") or {}).items()}
        self.import_ms = self.timing.get("import", 0)
        self.sandbox_ms = self.timing.get("sandbox", 0)

    @property
    def ms(self):
        """Without the handler's own imports."""
        return self.total_ms - self.import_ms


def starts_of(context, server, found):
    """Of the replies that are a 200; the others are told of in the report, with the first one's reason."""
    wrong = [each for each in found if each.status != 200]
    if wrong:
        reason = server.record(wrong[0].run).get("reason") if wrong[0].run != "-" else None
        what = f"{len(wrong)} of {len(found)} replies were no 200, the first {wrong[0].status} for {wrong[0].path}: {reason}"
        if len(wrong) == len(found):
            raise load.Failed(what)
        context.missing.append(f"some cold starts: {what}")
    return [Start(each, server.record(each.run)) for each in found if each.status == 200]


def cleared(server):
    """Until no instance is left: functions without a process."""
    try:
        harness.poll(lambda: server.instances() == 0, CLEARED_S, "every instance gone")
    except AssertionError:
        raise load.Failed(f"{server.instances()} instances were still there after {CLEARED_S} s") from None


def in_a_row(context, server, names):
    found, _ = load.exchanges(server.gateway_port, harness.DEFAULT_HOST, paths=[f"/{name}?name=Jon" for name in names])
    return starts_of(context, server, found)


def language_starts(context, language, count, fresh_count):
    """Starts of a language in all the ways that this server has, with where they came from."""
    starts = []
    with server_of(context.folder, f"cold-{language}") as server:
        names = [f"cold-{number}" for number in range(count)]
        server.served_many(names, language, source(language), idleTimeout=1000)
        for _ in range(ROUNDS):
            cleared(server)
            starts += in_a_row(context, server, names)
        server.restart()  # and now nothing is there of any function
        starts += in_a_row(context, server, names)
        # A fresh process for each run: what has been forked ahead, and what has not yet.
        server.served("fresh", language, source(language), isolation="run")
        starts += in_a_row(context, server, ["fresh"] * fresh_count)
    return [start for start in starts if start.kind != "hot"]


def by_kind(starts):
    kinds = {}
    for start in starts:
        kinds.setdefault(start.kind, []).append(start)
    return kinds


def put(context, name, starts, why):
    if not starts:
        context.figures.missing(name, why, "ms")
        return
    context.figures.spread(name, [start.ms for start in starts], "ms", context.cold_peers, count=len(starts),
                           import_ms=round(statistics.median(start.import_ms for start in starts), 2))


def python_figures(context, starts):
    kinds = by_kind(starts)
    seen = ", ".join(f"{len(of)} {kind}" for kind, of in sorted(kinds.items())) or "none"
    made = [start for start in starts if start.kind in ("template", "zygote") and start.sandbox_ms >= MADE_MS]
    ready = [start for start in kinds.get("template", []) if start.sandbox_ms < MADE_MS]
    put(context, "cold_python_ahead_ms", kinds.get("ahead", []), f"no run had a start of kind ahead (there were: {seen})")
    put(context, "cold_python_template_ms", ready, f"no run started from a template in a prepared sandbox (there were: {seen})")
    put(context, "cold_python_zygote_ms", kinds.get("zygote", []), f"no run had a start of kind zygote (there were: {seen})")
    put(context, "cold_python_sandbox_ms", made,
        f"no run started from a template or zygote with a sandbox made on the way (there were: {seen})")
    put(context, "cold_python_boot_ms", kinds.get("boot", []), f"no run had a start of kind boot (there were: {seen})")


def languages(context):
    """{language: [Start]} of all that can be had here."""
    count, found = 8 if context.quick else context.starts, {"nodejs": []}
    for language in ("python3", "native") if context.quick else ("python3", "native", "nodejs", "java"):
        many = count if language == "python3" else count // 5 + 1
        try:
            found[language] = language_starts(context, language, many, 4 if context.quick else 100)
        except (AssertionError, OSError, load.Failed) as error:
            context.missing.append(f"cold starts of {language}: {error}")
            found[language] = []
    return found


def at_once(context):
    """50 functions without a process, asked at once: how long until the last has answered."""
    count, lasts = 50, []
    with server_of(context.folder, "cold-50") as server:
        names = [f"at-once-{number}" for number in range(count)]
        server.served_many(names, "python3", source("python3"), idleTimeout=1000)
        for _ in range(1 if context.quick else 5):
            cleared(server)
            found, _ = load.exchanges(server.gateway_port, harness.DEFAULT_HOST, connections=count,
                                      paths=[f"/{name}?name=Jon" for name in names])
            starts_of(context, server, found)
            lasts.append(max(each.us for each in found) / 1000)
    context.figures.spread("cold_50_last_ms", lasts, "ms")
    return lasts


def sustained(context):
    """Functions each of whose runs has a fresh process that is cleared after it: cold starts without an end."""
    count, rounds = (16, 1) if context.quick else (context.starts, 6)
    with server_of(context.folder, "cold-sustained") as server:
        names = [f"fresh-{number}" for number in range(count)]
        server.served_many(names, "python3", source("python3"), isolation="run", idleTimeout=1000)
        cleared(server)
        paths = [f"/{name}?name=Jon" for name in names] * rounds
        found, took = load.exchanges(server.gateway_port, harness.DEFAULT_HOST, connections=8, paths=paths)
        kinds = by_kind(starts_of(context, server, found[-200:]))
        cleared(server)
        more = 0
        try:
            harness.poll(lambda: sandboxes(server) <= parked(server), CLEARED_S, "the sandboxes gone")
        except AssertionError:
            more = sandboxes(server) - parked(server)
    leaks = left_over(context)
    context.figures.value("cold_sustained_per_s", len(found) / took, "1/s", starts=len(found), left_behind=len(leaks), sandboxes_left=more,
                          kinds={kind: len(of) for kind, of in kinds.items()})
    return len(found), took, leaks, more


def sandboxes(server):
    """Those that have a process in them: each has an init."""
    return sum(harness.process_name(pid) == "dispatch-init" for pid in harness.process_tree(server.process.pid))


def parked(server):
    """Those that are kept for the next start, as far as the server says: prepared ones for templates are two each at most."""
    return sum(server.parked(pool) for pool in ("ahead", "template", "zygote", "stem")) + 2 * server.parked("template")


# Peers: what starting costs elsewhere, the command alone or until the first answer.

def timed(command, count):
    times = []
    for _ in range(count):
        begun = time.perf_counter()
        done = subprocess.run([*BOUND, *machine.pinned(*command)], capture_output=True, text=True, check=False, timeout=60)
        times.append((time.perf_counter() - begun) * 1000)
        if done.returncode != 0:
            raise load.Failed((done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1])
    return times


def bubblewrap(_context, count):
    return timed(["bwrap", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "true"],
                 count)


def crun(context, count):
    """A bundle on this machine's own root, read-only, with the namespaces of crun's own specification."""
    bundle = os.path.join(context.folder, "crun")
    os.makedirs(bundle)
    subprocess.run(["crun", "spec"], cwd=bundle, check=True, capture_output=True)
    path = os.path.join(bundle, "config.json")
    with open(path, encoding="utf-8") as file:
        config = json.load(file)
    config["root"] = {"path": "/", "readonly": True}
    config["process"].update(args=["true"], terminal=False)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(config, file)
    name = f"dispatch-bench-{os.getpid()}"
    try:
        # A hybrid cgroup tree is nothing that crun takes.
        return timed(["crun", "--cgroup-manager=disabled", "run", "--bundle", bundle, name], count)
    finally:
        subprocess.run(["crun", "delete", "--force", name], capture_output=True, check=False)


def docker(_context, count):
    done = subprocess.run(["docker", "info", "--format", "{{.ServerVersion}}"], capture_output=True, text=True, check=False, timeout=30)
    if done.returncode != 0 or not done.stdout.strip():
        raise load.Failed("its daemon does not run here")
    images = subprocess.run(["docker", "images", "-q"], capture_output=True, text=True, check=False, timeout=30).stdout.split()
    if not images:
        raise load.Failed("it has no image, and none is fetched")
    return timed(["docker", "run", "--rm", "--network", "none", "--entrypoint", "true", images[0]], min(count, 10))


def until_answer(command_of, count):
    """From the start of a program until it has answered a request."""
    times = []
    for _ in range(count):
        port = harness.free_port()
        peer = Peer("peer", command_of(port), port, None)
        peer.finish()
        times.append(peer.ready_ms)
    return times


def node(_context, count):
    return until_answer(lambda port: ["node", os.path.join(PEERS, "hello.js"), str(port)], count)


def workerd(context, count):
    program, folder = workerd_program(), os.path.join(context.folder, "workerd-cold")

    def command(port):
        path = configured(folder, "workerd.capnp", PORT=port)
        shutil.copy(os.path.join(PEERS, "worker.js"), folder)
        return [program, "serve", path]
    return until_answer(command, count)


def python(_context, count):
    return timed(["python3", "-I", "-c", "import json"], count)


COLD_PEERS = {"bubblewrap, true": bubblewrap, "crun, true": crun, "docker run, true": docker, "python3 -c 'import json'": python,
              "node, first answer": node, "workerd, first answer": workerd}


def peers(context):
    """In every round each once or a few times, {peer: [ms]}."""
    found = {}
    for name, take in COLD_PEERS.items():
        try:
            found[name] = take(context, 2 if context.quick else 20)
        except (OSError, AssertionError, load.Failed, subprocess.SubprocessError) as error:
            context.missing.append(f"{name}: {error}")
            found[name] = []
    return {name: times for name, times in found.items() if times}


def measure(context):
    os.makedirs(FETCHED, exist_ok=True)
    context.cold_peers = peers(context) if context.with_peers else {}
    found = languages(context)
    python_figures(context, found["python3"])
    put(context, "cold_native_ms", found["native"], "no cold start of native was seen")
    put(context, "cold_node_stem_ms", by_kind(found["nodejs"]).get("stem", []), "no run had a start of kind stem")
    if "java" in found:
        put(context, "cold_java_stem_ms", by_kind(found["java"]).get("stem", []), "no run had a start of kind stem")
    parts = [text_of(context, found)]
    for name, take, says in (("cold_50_last_ms", at_once, text_at_once), ("cold_sustained_per_s", sustained, text_sustained)):
        try:
            parts.append(says(take(context)))
        except (AssertionError, OSError, load.Failed) as error:
            context.figures.missing(name, str(error).splitlines()[0])
    context.section(TITLE, "\n".join(parts))
    lines = {f"{language}, {kind}": [start.ms for start in of] for language, starts in found.items()
             for kind, of in by_kind(starts).items()}
    context.plot_bars("cold", "Cold start, whole request without the handler's own imports, and peers", "ms",
                      {**lines, **context.cold_peers})


def text_of(context, found):
    rows = [["", "starts", "p50 ms", "p99 ms", "whole, p50 ms", "handler's import", "queue", "sandbox", "start", "handler"]]
    for language, starts in found.items():
        for kind, of in sorted(by_kind(starts).items()):
            times = [start.ms for start in of]
            stages = [statistics.median(start.timing.get(stage, 0) for start in of)
                      for stage in ("import", "queue", "sandbox", "start", "handler")]
            rows.append([f"{language}, {kind}", str(len(of)), f"{statistics.median(times):.2f}", f"{load.percentile(times, 0.99):.2f}",
                         f"{statistics.median(start.total_ms for start in of):.2f}", *(f"{stage:.2f}" for stage in stages)])
    for name, times in context.cold_peers.items():
        rows.append([name, str(len(times)), f"{statistics.median(times):.2f}", f"{load.percentile(times, 0.99):.2f}",
                     *[""] * 6])
    return f"""Whole requests over HTTP to functions without a process, one after the other, each another function: as they are after
their instances have left, three times, and again after the server was restarted; then runs of a function with `isolation: run`, each in a fresh
process. The kind of start and the stages are those of the server's own record of each run; p50 and p99 are without the handler's own
imports, which stand beside them. Peers: the command from start to end, or until the first answer.

{context.table(rows)}
"""


def text_at_once(lasts):
    return f"""50 functions without a process, asked at once over 50 connections: the last reply after {statistics.median(lasts):.1f} ms
(p50 of {len(lasts)}; worst {max(lasts):.1f}).
"""


def text_sustained(result):
    count, took, leaks, more = result
    left = f"{more} sandboxes and {len(leaks)} other things: {'; '.join(leaks)[:500]}" if leaks or more else "nothing"
    return f"""Sustained: {count} cold starts over 8 connections in {took:.1f} s, {count / took:.0f} a second, each process cleared after
its run. Left behind, beside what is parked for the next start (sandboxes; after the server, processes, cgroups, mounts, network
namespaces): {left}.
"""
