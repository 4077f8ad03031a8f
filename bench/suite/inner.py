"""Two parts by themselves, each in a process of its own: finding a route, and storing records of runs."""
import os
import shutil
import statistics
import subprocess

import harness

from . import ROOT, load, machine

TITLE = "Routes and records"
NATIVE = os.path.join(harness.BUILD, "bench", "native")


def lines_of(*command):
    done = subprocess.run(machine.pinned(*command), capture_output=True, text=True, check=False, timeout=600)
    if done.returncode != 0:
        raise load.Failed(done.stderr.strip() or f"{command[0]} ended with {done.returncode}")
    return {name: float(value) for name, value in (line.split() for line in done.stdout.splitlines())}


def routes(context, endpoints):
    lookups = 100_000 if context.quick else 3_000_000
    rounds = [lines_of(os.path.join(NATIVE, "bench-routes"), str(endpoints), str(lookups)) for _ in range(context.rounds)]
    return {what: min(each[what] for each in rounds) for what in rounds[0]}


def find_my_way(context):
    """The router of Node.js that is known for its speed, on the same routes; from npm."""
    folder = os.path.join(ROOT, "build", "bench", "find-my-way")
    if not os.path.isdir(os.path.join(folder, "node_modules", "find-my-way")):
        os.makedirs(folder, exist_ok=True)
        done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--no-save", "--prefix", folder, "find-my-way"], cwd=folder,
                              capture_output=True, text=True, check=False, timeout=300)
        if done.returncode != 0:
            raise load.Failed("npm could not install find-my-way: " + (done.stderr.strip().splitlines() or ["?"])[0])
    shutil.copy(os.path.join(ROOT, "bench", "peers", "routes.js"), folder)
    return min(lines_of("node", os.path.join(folder, "routes.js"), "10000", "100000" if context.quick else "1000000")["exact-again"]
               for _ in range(context.rounds))


def records(context):
    """Records a second, and the processor time of one in us; the folder is on the disk that the bench runs on."""
    found = []
    for _ in range(context.rounds):
        folder = os.path.join(context.folder, "records")
        os.makedirs(folder)
        try:
            found.append(lines_of(os.path.join(NATIVE, "bench-records"), folder, "20000" if context.quick else "262144"))
        finally:
            shutil.rmtree(folder)
    return statistics.median(each["appended"] for each in found), statistics.median(each["cpu"] for each in found) / 1000


def measure(context):
    peers = {}
    try:
        if context.with_peers:
            peers["find-my-way"] = find_my_way(context)
    except (OSError, load.Failed, subprocess.SubprocessError) as error:
        context.missing.append(f"find-my-way: {error}")
    found = routes(context, 10_000)
    context.figures.value("route_match_ns", found["exact-again"], "ns", peers, scattered=found["exact"], prefix=found["prefix"],
                          none=found["none"])
    rate, cpu_us = records(context)
    context.figures.value("run_records_per_s", rate, "1/s", cpu_us=round(cpu_us, 2))
    rows = [["route among 10,000", "ns"], *([name, f"{ns:.0f}"] for name, ns in (
        ("the same again and again", found["exact-again"]), ("in an order that no cache foresees", found["exact"]),
        ("a prefix, likewise", found["prefix"]), ("of no route, likewise", found["none"]), *peers.items()))]
    context.section(TITLE, f"""The best of {context.rounds} rounds, as other work on the machine only ever adds; find-my-way has the same one route again and again.

{context.table(rows)}

Records of runs (a small JSON handler, one line of log) handed over and stored, SQLite with `synchronous = FULL`: {rate:,.0f} a second,
{cpu_us:.1f} us of processor time each.
""")
