"""The report: Markdown with a table of all budgets, sections of the benchmarks, and plots as SVG beside it."""
import os
import re

from . import BENCH, load
from .figures import BUDGETS, verdict

RESULTS = os.path.join(BENCH, "results")
COLOURS = ["#1f5fa8", "#2b8a3e", "#c2571a", "#6c757d", "#8b3a8b", "#b8860b", "#3a8f8f", "#a83232", "#555599", "#7a5c3e"]


def table(rows):
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def number(value):
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:g}"


def budget_table(figures):
    rows = [["figure", "unit", "p50 or value", "p99", "budget", "", "best peer", "ratio"]]
    for figure in figures.ordered():
        _, budget, tail, more = BUDGETS.get(figure["name"], ("", None, None, False))
        first = figure.get("p50", figure.get("value"))
        peers = {name: of.get("p50", of.get("value")) for name, of in figure.get("peers", {}).items()}
        best = (max if more else min)(peers, key=peers.get) if peers else None
        rows.append([figure["name"], figure["unit"], number(first) if first is not None else "missing", number(figure.get("p99")),
                     number(budget) + (f" / {number(tail)}" if tail else ""), verdict(figure),
                     f"{best} {number(peers[best])}" if best else "", f"{first / peers[best]:.2f}" if best and first and peers[best] else ""])
    return table(rows)


class Plots:
    """SVG files of one run; matplotlib is asked for only when there is something to draw."""

    def __init__(self, folder):
        self.folder, self.made = folder, []

    def _figure(self, title, x_label, y_label):
        import matplotlib
        matplotlib.use("svg")
        matplotlib.rcParams.update({"svg.hashsalt": "dispatch", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
        from matplotlib import pyplot
        figure, axes = pyplot.subplots(figsize=(8, 4.5))
        axes.set_title(title)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        axes.grid(True, alpha=0.25)
        return pyplot, figure, axes

    def _save(self, pyplot, figure, name):
        os.makedirs(self.folder, exist_ok=True)
        figure.tight_layout()
        figure.savefig(os.path.join(self.folder, f"{name}.svg"), metadata={"Date": None})
        pyplot.close(figure)
        self.made.append(name)

    def lines(self, name, title, x_label, y_label, lines, log_x=False, log_y=False):
        lines = {label: points for label, points in lines.items() if points}
        if not lines:
            return
        pyplot, figure, axes = self._figure(title, x_label, y_label)
        for place, (label, points) in enumerate(lines.items()):
            axes.plot(*zip(*points), marker="o", markersize=3, label=label, color=COLOURS[place % len(COLOURS)])
        if log_x:
            axes.set_xscale("log")
        if log_y:
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
        axes.legend(frameon=False, fontsize=8)
        self._save(pyplot, figure, name)

    def distribution(self, name, title, unit, samples):
        """The share of exchanges that took at most so long, to the 99.9th of each."""
        samples = {label: sorted(values) for label, values in samples.items() if values}
        if not samples:
            return
        pyplot, figure, axes = self._figure(title, unit, "share of requests")
        shares = [at / 400 for at in range(1, 400)] + [0.998, 0.999]
        for place, (label, values) in enumerate(samples.items()):
            axes.plot([load.percentile(values, share) for share in shares], shares, label=label,
                      color=COLOURS[place % len(COLOURS)])
        axes.set_xscale("log")
        axes.legend(frameon=False, fontsize=8)
        self._save(pyplot, figure, name)

    def bars(self, name, title, unit, samples):
        """p50 as a bar, p99 as its whisker, on a logarithmic scale."""
        samples = {label: values for label, values in samples.items() if values}
        if not samples:
            return
        pyplot, figure, axes = self._figure(title, unit, "")
        labels = list(samples)
        middles = [load.percentile(samples[label], 0.5) for label in labels]
        tails = [max(0, load.percentile(samples[label], 0.99) - middle) for label, middle in zip(labels, middles)]
        axes.barh(labels, middles, xerr=[[0] * len(labels), tails], color=COLOURS[0], ecolor=COLOURS[3], height=0.6)
        axes.set_xscale("log")
        axes.invert_yaxis()
        for place, middle in enumerate(middles):
            axes.text(middle, place, f" {middle:.2f}", va="center", fontsize=8)
        self._save(pyplot, figure, name)


def name_of(host, today):
    return f"{today}-" + re.sub(r"[^a-z0-9]+", "-", host["cpu"].lower()).strip("-")


def text_of(context, host, today, command):
    parts = [f"""# {today}, {host['cpu']}

Commit {host['commit']}. {host['cores']} cores, {host['memory_mib']:,} MiB, {host['system']}, kernel {host['kernel']}, cgroup {host['cgroup']}; built by
{host['compiler']}. By `{command}`. Load average before it began: {context.load:.1f}; above zero other work ran
at the same time, and what is absolute is worse for it: compare ratios, and measure again on a quiet machine.

## Budgets

p50 or value of each figure beside its budget and the best of the peers; peers of cold starts are whole commands or servers that start.

{budget_table(context.figures)}
"""]
    reasons = [f"- `{figure['name']}`: {figure['missing']}" for figure in context.figures.ordered() if figure.get("missing")]
    if reasons:
        parts.append("Figures that could not be taken:\n\n" + "\n".join(reasons) + "\n")
    for title, text, plots in context.sections:
        parts.append(f"## {title}\n\n{text.strip()}\n")
        parts += [f"![{plot}]({os.path.basename(context.plots.folder)}/{plot}.svg)\n" for plot in plots]
    parts.append("Versions: " + "; ".join(context.versions) + ".\n")
    if context.missing:
        parts.append("Not measured:\n\n" + "\n".join(f"- {line.splitlines()[0]}" for line in context.missing) + "\n")
    parts.append("Left behind on the host by all of it: " + ("; ".join(context.left) if context.left else "nothing") + ".\n")
    return "\n".join(parts)
