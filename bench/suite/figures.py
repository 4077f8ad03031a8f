"""The figures: what build/bench.json is made of, each with the budget that it has, its peers, or why it is missing."""
import json
import statistics

from .load import percentile

# name: (unit, budget of p50 or value, budget of p99, is more better?)
BUDGETS = {
    "warm_python_us": ("us", 75, 150, False),
    "warm_python_cpu_us": ("us", 12, None, False),
    "warm_python_rps_core": ("1/s", 80_000, None, True),
    "warm_native_rps_core": ("1/s", 100_000, None, True),
    "warm_node_rps": ("1/s", None, None, True),
    "cold_python_ahead_ms": ("ms", 0.4, 1.5, False),
    "cold_python_template_ms": ("ms", 1.0, 2.5, False),
    "cold_python_zygote_ms": ("ms", 1.0, 2.5, False),
    "cold_python_sandbox_ms": ("ms", 2.2, 5, False),
    "cold_50_last_ms": ("ms", 35, None, False),
    "cold_sustained_per_s": ("1/s", 500, None, True),
    "cold_native_ms": ("ms", 0.5, 3, False),
    "cold_node_stem_ms": ("ms", 5, None, False),
    "idle_python_mb": ("MB", 1.1, None, False),
    "idle_python_template_mb": ("MB", 1.5, None, False),
    "idle_native_mb": ("MB", 0.6, None, False),
    "live_idle_python": ("", 10_000, None, True),
    "registered_functions": ("", 1_000_000, None, True),
    "change_visible_ms": ("ms", 10, None, False),
    "route_match_ns": ("ns", 60, None, False),
    "run_records_per_s": ("1/s", 300_000, None, True),
    "rest_pss_mb": ("MB", 10, None, False),
    "rest_ready_ms": ("ms", 50, None, False),
}
# These are in every run of all benchmarks, with a value or with the reason why there is none.
REQUIRED = tuple(BUDGETS)


def rounded(value):
    return value if isinstance(value, int) else round(value, 2 if abs(value) < 100 else 1)


def spread_of(values):
    """p50 and p99 of many values."""
    return {"p50": rounded(statistics.median(values)), "p99": rounded(percentile(values, 0.99))}


class Figures:
    def __init__(self):
        self.found = {}

    def _put(self, name, unit, what, peers):
        figure = {"name": name, "unit": BUDGETS[name][0] if name in BUDGETS else unit, **what}
        if peers:
            figure["peers"] = peers
        self.found[name] = figure

    def spread(self, name, values, unit="", peers=None, **more):
        """p50 and p99 of measured values; those of peers likewise, {peer: values}."""
        self._put(name, unit, {**spread_of(values), **more},
                  {peer: spread_of(of) for peer, of in (peers or {}).items() if of})

    def value(self, name, value, unit="", peers=None, **more):
        self._put(name, unit, {"value": rounded(value), **more},
                  {peer: {"value": rounded(of)} for peer, of in (peers or {}).items()})

    def missing(self, name, reason, unit=""):
        if name not in self.found:
            self._put(name, unit, {"value": None, "missing": reason}, None)

    def complete(self, reason):
        """Whatever has not been looked at is said to be missing."""
        for name in REQUIRED:
            self.missing(name, reason)

    def get(self, name):
        return self.found.get(name)

    def ordered(self):
        places = {name: place for place, name in enumerate(REQUIRED)}
        return sorted(self.found.values(), key=lambda figure: (places.get(figure["name"], len(places)), figure["name"]))

    def write(self, path):
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.ordered(), file, indent=2)
            file.write("\n")


def verdict(figure):
    """"met", "missed", or "" where there is no budget or no figure."""
    _, budget, tail, more = BUDGETS.get(figure["name"], ("", None, None, False))
    first = figure.get("p50", figure.get("value"))
    if first is None or budget is None:
        return ""
    good = first >= budget if more else first <= budget
    if good and tail is not None and "p99" in figure:
        good = figure["p99"] <= tail
    return "met" if good else "missed"
