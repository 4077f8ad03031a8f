"""What an idle instance costs: one for each of N functions; MemAvailable before and after, divided, and the sum of Pss."""
import harness

from . import load, machine
from .targets import server_of, source

TITLE = "Memory of idle functions"


def instance_memory(context, language, steps, options=(), name=None):
    """[(functions, MB of MemAvailable a function, MB of Pss a function)]; each function has one idle instance."""
    points, made, name = [], 0, name or language
    with server_of(context.folder, f"memory-{name}", options) as server:
        server.served("first", language, source(language))
        load.exchanges(server.gateway_port, harness.DEFAULT_HOST, paths=["/first?name=Jon"])
        available, pss = machine.available_mb(), machine.pss_mb(harness.process_tree(server.process.pid))
        for count in steps:
            names = [f"idle-{number}" for number in range(made, count)]
            server.served_many(names, language, source(language), idleTimeout=3_600_000)
            found, _ = load.exchanges(server.gateway_port, harness.DEFAULT_HOST, paths=[f"/{each}?name=Jon" for each in names])
            made = count
            bad = [each for each in found if each.status != 200]
            if bad:
                raise load.Failed(f"{len(bad)} of {len(found)} replies were no 200, the first {bad[0].status}")
            alive = server.instances()
            points.append((alive - 1, (available - machine.available_mb()) / made,
                           (machine.pss_mb(harness.process_tree(server.process.pid)) - pss) / made))
            if alive < made:  # it has let go of some: more make no difference
                break
    return points


def measure(context):
    steps = [8, 16] if context.quick else [50, 100, 200, context.live]
    rows = [["", "functions", "MB, MemAvailable / N", "MB, Pss / N"]]
    lines = {}
    for language, name in (("python3", "idle_python_mb"), ("native", "idle_native_mb"), ("nodejs", "idle_node_mb"))[:2 if context.quick else 3]:
        try:
            points = instance_memory(context, language, [step for step in steps if language == "python3" or step <= 200])
        except (AssertionError, OSError, load.Failed) as error:
            context.figures.missing(name, str(error).splitlines()[0], "MB")
            continue
        count, available, pss = points[-1]
        if available > 0:
            context.figures.value(name, available, "MB", functions=count, pss_mb=round(pss, 2))
        else:
            context.figures.missing(name, "MemAvailable grew meanwhile: other work gave back more than this took", "MB")
        lines[language] = [(alive, mb) for alive, mb, _ in points]
        rows += [[language, f"{alive:,}", f"{mb:.2f}", f"{each:.2f}"] for alive, mb, each in points]
        if language == "python3":
            asked = steps[-1]
            context.figures.value("live_idle_python", count, asked=asked,
                                  stopped_by="as many as this run asked for (--live)" if count >= asked else
                                  "the server let go of others: its memory for idle instances is bounded")
    templates(context)
    context.section(TITLE, f"""Each function has answered once and its instance is idle. All included: server, `dispatch-spawn`, inits, cgroups, what the kernel
keeps for them; page cache and dentries that can be dropped are not counted.

{context.table(rows)}
""")
    context.plot_lines("memory", "Memory of an idle function, by their number", "idle functions", "MB a function", lines, log_x=True)


def templates(context):
    """Whether the figure of python3 is with or without templates is what the server's own figures say."""
    python = context.figures.get("idle_python_mb")
    if python is None or python.get("value") is None:
        context.figures.missing("idle_python_template_mb", "idle python3 instances could not be measured", "MB")
        return
    context.figures.missing("idle_python_template_mb", "this server keeps no template beside an idle instance", "MB")
