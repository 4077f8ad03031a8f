"""`make bench` measures; here it is only seen to work, with few of everything, and that what it writes has its names and form.
No figure is judged."""
import json
import os
import re
import subprocess

import harness
import pytest

PARTS = ["rest", "inner", "cold", "registered"]


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    if "-asan" in harness.BUILD or "-tsan" in harness.BUILD:
        pytest.skip("a build with sanitizers has figures of the sanitizers")
    if harness.TLS:
        pytest.skip("the load of the benchmarks speaks HTTP in clear")
    folder = tmp_path_factory.mktemp("bench")
    done = subprocess.run([os.path.join(harness.ROOT, "bench", "run"), "--quick", "--no-peers", "--only", *PARTS, "--out", folder,
                           "--json", folder / "bench.json"], capture_output=True, text=True, check=False,
                          timeout=600 * harness.PATIENCE)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    with open(folder / "bench.json", encoding="utf-8") as file:
        figures = {figure["name"]: figure for figure in json.load(file)}
    report = [path for path in folder.iterdir() if path.suffix == ".md"]
    return figures, report[0].read_text(encoding="utf-8")


def test_every_figure_has_a_unit_and_either_a_value_or_the_reason_why_not(result):
    figures, _ = result
    for name, figure in figures.items():
        assert isinstance(figure["unit"], str), name
        if figure.get("missing"):
            assert figure["value"] is None, figure
        elif "value" in figure:
            assert isinstance(figure["value"], (int, float)), figure
        else:
            assert 0 < figure["p50"] <= figure["p99"], figure


def test_all_the_names_are_there_also_of_what_was_not_run(result):
    figures, _ = result
    for name in ("warm_python_us", "warm_python_cpu_us", "warm_python_rps_core", "warm_native_rps_core", "warm_node_rps",
                 "cold_python_ahead_ms", "cold_python_template_ms", "cold_python_zygote_ms", "cold_python_sandbox_ms",
                 "cold_50_last_ms", "cold_sustained_per_s", "cold_native_ms", "cold_node_stem_ms", "idle_python_mb",
                 "idle_python_template_mb", "idle_native_mb", "live_idle_python", "registered_functions", "change_visible_ms",
                 "route_match_ns", "run_records_per_s", "rest_pss_mb", "rest_ready_ms"):
        assert name in figures, name
    assert figures["warm_python_us"]["missing"] == "not part of this run"


def test_what_was_run_has_values(result):
    figures, report = result
    for name in ("rest_pss_mb", "rest_ready_ms", "route_match_ns", "run_records_per_s", "cold_native_ms", "cold_50_last_ms",
                 "cold_sustained_per_s", "registered_functions", "change_visible_ms"):
        assert not figures[name].get("missing"), (figures[name], report[-3000:])
    assert figures["registered_functions"]["value"] == 1000
    assert figures["cold_sustained_per_s"]["left_behind"] == 0, figures["cold_sustained_per_s"]


def test_the_report_names_the_machine_and_what_is_missing(result):
    _, report = result
    assert re.search(r"^Commit .*\bcores, .*kernel ", report, re.M)
    assert "Load average before it began: " in report
    assert "- `warm_python_us`: not part of this run" in report
    assert report.rstrip().endswith("Left behind on the host by all of it: nothing."), report[-600:]
