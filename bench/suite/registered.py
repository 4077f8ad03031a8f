"""What registered functions cost: 10 to 1,000,000 of them, none with a process; memory of the server, time to be ready, how soon
a change is visible, a page of a list, and the latency of one that runs."""
import glob
import os
import shutil
import sqlite3
import statistics
import time
import uuid

import harness

from . import load, machine
from .targets import Server, source

TITLE = "Registered functions"
NAME = "registered"


def multiply(path, count):
    """Copies of the one function in the store, under other names and ids: what as many creates of it would have left."""
    with sqlite3.connect(path) as store:
        kind, organization, project, document, internal = store.execute(
            "SELECT kind, organization, project, document, internal FROM resource WHERE name = ? AND kind LIKE 'function'",
            (NAME,)).fetchone()
        old = store.execute("SELECT id FROM resource WHERE name = ? AND kind = ?", (NAME, kind)).fetchone()[0]
        have = store.execute("SELECT count(*) FROM resource WHERE kind = ?", (kind,)).fetchone()[0]
        now = time.time_ns() // 1000

        def rows():
            for number in range(have, count):
                name, made = f"{NAME}-{number}", str(uuid.UUID(int=(0x4 << 76) | (0x8 << 62) | number))
                texts = [text.replace(old, made).replace(f'"{NAME}"', f'"{name}"') for text in (document, internal)]
                yield (kind, organization, project, name, made, 1, now + number, now + number, *texts)
        store.executemany("INSERT INTO resource VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows())
    store.close()


def move(server, path):
    reply = server.api("PUT", f"/v1/endpoint/{NAME}", {"name": NAME, "function": NAME, "uris": [path], "methods": ["GET"],
                                                       "protocols": ["http", "https"], "enabled": True})
    if reply.status != 200:
        raise load.Failed(f"the endpoint could not be changed: {reply}")


def changes_visible(server, times):
    """ms from the start of a change of an endpoint until the gateway answers by it."""
    found = []
    for number in range(times):
        path = f"/seen-{number}"
        begun = time.perf_counter()
        move(server, path)
        harness.poll(lambda asked=path: server.gateway("GET", asked).status == 200, 10, "the change")
        found.append((time.perf_counter() - begun) * 1000)
    return found, path


def step(context, server, count):
    if count > 1:
        multiply(glob.glob(os.path.join(server.state, "server", "dispatch.db"))[0], count)
    begun = time.perf_counter()
    server.start(wait=False)
    server.wait_ready(1200)
    ready_s = time.perf_counter() - begun
    pss = machine.pss_mb([server.server_pid()])
    server.gateway("GET", f"/{NAME}?name=Jon")
    seen, path = changes_visible(server, 5 if context.quick else 40)
    begun = time.perf_counter()
    page = server.api("GET", "/v1/function?limit=100")
    page_ms = (time.perf_counter() - begun) * 1000
    if page.status != 200 or len(page.json) != min(count, 100):
        raise load.Failed(f"a page of the list has {len(page.json)} of 100 functions")
    found, _ = load.exchanges(server.gateway_port, harness.DEFAULT_HOST, path=f"{path}?name=Jon", count=200 if context.quick else 3000)
    move(server, f"/{NAME}")
    server.stop()
    return {"count": count, "ready_s": ready_s, "pss_mb": pss, "seen": seen, "page_ms": page_ms, "us": [each.us for each in found]}


def measure(context):
    counts = [10, 1000] if context.quick else [count for count in (10, 1000, 10_000, 100_000, 1_000_000) if count <= context.registered]
    server = Server(os.path.join(context.folder, "registered"))
    steps = []
    try:
        server.start()
        server.served(NAME, "python3", source("python3"))
        server.stop()
        for count in [1, *counts]:
            try:
                steps.append(step(context, server, count))
            except (AssertionError, OSError, load.Failed) as error:
                context.missing.append(f"{count:,} registered functions: {error}")
                break
    finally:
        server.finish()
        shutil.rmtree(server.folder, ignore_errors=True)
    if len(steps) < 2:
        raise load.Failed("no number of registered functions could be measured")
    report(context, steps)


def report(context, steps):
    base, last = steps[0], steps[-1]

    def bytes_each(each):
        return max(0.0, (each["pss_mb"] - base["pss_mb"]) * (1 << 20) / (each["count"] - 1))
    context.figures.value("registered_functions", last["count"], bytes_each=round(bytes_each(last)),
                          ready_s=round(last["ready_s"], 2), latency_us=round(statistics.median(last["us"]), 1))
    context.figures.spread("change_visible_ms", last["seen"], "ms", functions=last["count"])
    rows = [["functions", "ready, s", "server's Pss, MB", "bytes a function", "change visible, p50 ms", "p99 ms", "a page of 100, ms",
             "hello, p50 us"]]
    rows += [[f"{each['count']:,}", f"{each['ready_s']:.2f}", f"{each['pss_mb']:.1f}",
              f"{bytes_each(each):,.0f}" if each["count"] > 1 else "", f"{statistics.median(each['seen']):.1f}",
              f"{load.percentile(each['seen'], 0.99):.1f}", f"{each['page_ms']:.1f}", f"{statistics.median(each['us']):.0f}"]
             for each in steps]
    context.section(TITLE, f"""Functions in the store, of which one runs; the others are copies of it under other names. A change is an endpoint's: from before the
request to the API until the gateway answers by it, each on a connection of its own.

{context.table(rows)}
""")
    points = [each for each in steps if each["count"] > 1]
    context.plot_lines("registered", "Cost by number of registered functions", "registered functions", "",
                       {"server's Pss, MB": [(each["count"], each["pss_mb"]) for each in points],
                        "change visible, p50 ms": [(each["count"], statistics.median(each["seen"])) for each in points],
                        "hello, p50 us": [(each["count"], statistics.median(each["us"])) for each in points],
                        "ready, ms": [(each["count"], each["ready_s"] * 1000) for each in points]}, log_x=True, log_y=True)
