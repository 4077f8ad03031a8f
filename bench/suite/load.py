"""The load: bench/native/client.c, which times each exchange, and wrk for throughput, both on a core of their own."""
import json
import os
import re
import subprocess
from dataclasses import dataclass, field

import harness

from . import BENCH, machine

CLIENT = os.path.join(harness.BUILD, "bench", "native", "bench-client")


class Failed(Exception):
    """Why something could not be measured, in one line."""


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


@dataclass
class Exchange:
    us: float
    status: int
    run: str
    path: str


@dataclass
class Sample:
    """What one drive of a target found."""
    latencies_us: list = field(default_factory=list)
    rps: float = 0
    cpu_us: float = 0  # a request
    failed: int = 0


def exchanges(port, host, connections=1, paths=(), path=None, count=0, seconds=0.0, timeout_s=600, cpu=machine.LOAD_CPU):
    """One exchange for each of the paths, or `path` again and again; (exchanges, seconds in all)."""
    command = machine.pinned(CLIENT, "-p", str(port), "-H", host, "-c", str(connections), cpu=cpu)
    command += ["-n", str(count)] if count else ["-s", str(seconds)] if path else []
    command += [path] if path else []
    try:
        done = subprocess.run(command, input="".join(f"{each}\n" for each in paths), capture_output=True, text=True,
                              check=False, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise Failed(f"no reply within {timeout_s} s") from None
    if done.returncode != 0:
        raise Failed(done.stderr.strip() or f"the client ended with {done.returncode}")
    *lines, total = done.stdout.splitlines()
    found = []
    for line in lines:
        took, status, run, asked = line.split(" ", 3)
        found.append(Exchange(int(took) / 1000, int(status), run, asked))
    return found, int(total.split()[1]) / 1e9


def latency(target, seconds):
    """One connection, one exchange after the other."""
    before = machine.tree_cpu_us(target.pid)
    found, _ = exchanges(target.port, target.host, path=target.path, seconds=seconds)
    spent = machine.tree_cpu_us(target.pid) - before
    return Sample([each.us for each in found], cpu_us=spent / len(found), failed=sum(each.status != 200 for each in found))


def throughput(target, connections, seconds, cpus=(machine.LOAD_CPU,)):
    before = machine.tree_cpu_us(target.pid)
    done = subprocess.run(["taskset", "-c", ",".join(map(str, cpus)), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s",
                           os.path.join(BENCH, "report.lua"), "-H", f"Host: {target.host}",
                           f"http://127.0.0.1:{target.port}{target.path}"], capture_output=True, text=True, check=False,
                          timeout=seconds + 60)
    report = re.search(r"^REPORT (.*)$", done.stdout, re.M)
    found = json.loads(report.group(1)) if report else {"requests": 0}
    spent = machine.tree_cpu_us(target.pid) - before
    if found["requests"] == 0:
        raise Failed(f"{target.name} answered nothing under wrk: {(done.stdout + done.stderr).strip()[-200:]}")
    return Sample(rps=found["requests"] * 1e6 / found["duration_us"], cpu_us=spent / found["requests"], failed=found["failed"])
