"""What an idle instance costs: one for each of N functions; MemAvailable before and after, divided, and the sum of Pss."""
import harness

from . import load, machine
from .targets import server_of, source

TITLE = "Memory of idle functions"


# An import that takes long enough for the function to be worth a template at once.
WITH_TEMPLATE = b"import asyncio, decimal, email.message, http.client, xml.dom.minidom  # noqa\n"


KINDS = (("python3", "idle_python_mb", b""), ("native", "idle_native_mb", b""),
         ("python3", "idle_python_template_mb", WITH_TEMPLATE), ("nodejs", "idle_node_mb", b""))


def instance_memory(context, language, steps, name, before=b""):
    """[(functions, MB of MemAvailable a function, MB of Pss a function)]; each function has one idle instance."""
    points, made = [], 0
    files = {of: before + text if before else text for of, text in source(language).items()}
    with server_of(context.folder, f"memory-{name}") as server:
        server.served("first", language, files)
        load.exchanges(server.gateway_port, harness.DEFAULT_HOST, paths=["/first?name=Jon"])
        available, pss = machine.available_mb(), machine.pss_mb(harness.process_tree(server.process.pid))
        for count in steps:
            names = [f"idle-{number}" for number in range(made, count)]
            server.served_many(names, language, files, idleTimeout=3_600_000)
            found, _ = load.exchanges(server.gateway_port, harness.DEFAULT_HOST, paths=[f"/{each}?name=Jon" for each in names])
            made = count
            bad = [each for each in found if each.status != 200]
            if bad:
                raise load.Failed(f"{len(bad)} of {len(found)} replies were no 200, the first {bad[0].status}")
            alive = server.instances()
            if before:
                wait_for_templates(server, made)
            points.append((alive - 1, (available - machine.available_mb()) / made,
                           (machine.pss_mb(harness.process_tree(server.process.pid)) - pss) / made))
            if alive < made:  # it has let go of some: more make no difference
                break
    return points


def wait_for_templates(server, count):
    """Until each function has its template parked, or no more come."""
    try:
        harness.poll(lambda: server.parked("template") >= count, 30, "a template of each function")
    except AssertionError:
        raise load.Failed(f"{server.parked('template')} of {count} functions had a template after 30 s") from None


def measure(context):
    steps = [8, 16] if context.quick else [50, 100, 200, context.live]
    rows = [["", "functions", "MB, MemAvailable / N", "MB, Pss / N"]]
    lines = {}
    for language, name, before in KINDS[:2 if context.quick else len(KINDS)]:
        try:
            points = instance_memory(context, language, [step for step in steps if name == "idle_python_mb" or step <= 200], name, before)
        except (AssertionError, OSError, load.Failed) as error:
            context.figures.missing(name, str(error).splitlines()[0], "MB")
            continue
        count, available, pss = points[-1]
        if available > 0:
            context.figures.value(name, available, "MB", functions=count, pss_mb=round(pss, 2))
        else:
            context.figures.missing(name, "MemAvailable grew meanwhile: other work gave back more than this took", "MB")
        label = language + (" with template and imports" if before else "")
        lines[label] = [(alive, mb) for alive, mb, _ in points]
        rows += [[label, f"{alive:,}", f"{mb:.2f}", f"{each:.2f}"] for alive, mb, each in points]
        if name == "idle_python_mb":
            asked = steps[-1]
            context.figures.value("live_idle_python", count, asked=asked,
                                  stopped_by="as many as this run asked for (--live)" if count >= asked else
                                  "the server let go of others: its memory for idle instances is bounded")
    context.section(TITLE, f"""Each function has answered once and its instance is idle. All included: server, `dispatch-spawn`, inits, cgroups, what the kernel
keeps for them; page cache and dentries that can be dropped are not counted. With template: the handler imports half a dozen modules,
so that the function gets a template, which is parked beside its instance and counted.

{context.table(rows)}
""")
    context.plot_lines("memory", "Memory of an idle function, by their number", "idle functions", "MB a function", lines, log_x=True)
