"""At rest: memory of server and spawn without a function, and how soon after their start they are ready."""
import os
import select
import shutil
import statistics
import subprocess
import time

import harness

from . import load, machine
from .targets import Server

TITLE = "At rest"


def start_until_ready(server):
    """(process, ms): from the start of `dispatch-server` to its line that says so."""
    before = time.perf_counter()
    process = subprocess.Popen(server.command(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                               env=harness.clean_environment(), start_new_session=True)
    text = b""
    while b"ready in" not in text:
        chunk = os.read(process.stderr.fileno(), 65536) if select.select([process.stderr], [], [], 20)[0] else b""
        if not chunk:
            process.terminate()
            process.wait(30)
            raise load.Failed("the server did not become ready: " + (text.decode().strip().splitlines() or ["it said nothing"])[-1])
        text += chunk
    return process, (time.perf_counter() - before) * 1000


def measure(context):
    fresh, again, memory = [], [], []
    for number in range(2 if context.quick else 10):
        server = Server(os.path.join(context.folder, f"rest-{number}"))
        try:
            for times in (fresh, again):
                process, ms = start_until_ready(server)
                try:
                    times.append(ms)
                    if times is again:
                        time.sleep(1)  # at rest, by definition
                        memory.append(machine.pss_mb(harness.process_tree(process.pid)))
                finally:
                    process.terminate()
                    process.wait(30)
                    process.stderr.close()
        finally:
            shutil.rmtree(server.folder, ignore_errors=True)
    context.figures.spread("rest_ready_ms", fresh + again, "ms")
    context.figures.value("rest_pss_mb", statistics.median(memory), "MB")
    rows = [["", "p50", "worst"], ["memory (sum of Pss), MB", f"{statistics.median(memory):.1f}", f"{max(memory):.1f}"],
            ["ready, fresh state, ms", f"{statistics.median(fresh):.0f}", f"{max(fresh):.0f}"],
            ["ready, existing state, ms", f"{statistics.median(again):.0f}", f"{max(again):.0f}"]]
    context.section(TITLE, f"""`dispatch-spawn` and the server, no function, one second after ready; ready is the time from the start of `dispatch-server` to its
line that says so ({len(fresh)} starts with a fresh state directory, as many with one that exists).

{context.table(rows)}
""")
