"""This machine: its cores, its memory, what its kernel says of processes, and versions of programs."""
import contextlib
import os
import platform
import re
import subprocess

import harness

from . import ROOT

CPUS = sorted(os.sched_getaffinity(0))
# The load on one core, what is measured on another; with one core alone they share it.
LOAD_CPU, WORK_CPU = CPUS[0], CPUS[-1]


def pinned(*command, cpu=WORK_CPU):
    return ["taskset", "-c", str(cpu), *command]


def spread(pid, cpus):
    """Lets a process and all below it, with their threads, run on these cores."""
    for each in harness.process_tree(pid):
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{each}/task"):
                os.sched_setaffinity(int(thread), cpus)


def tree_cpu_us(pid):
    """Processor time of a process and all below it so far."""
    total = 0
    for each in harness.process_tree(pid):
        with contextlib.suppress(OSError):
            with open(f"/proc/{each}/stat", encoding="utf-8", errors="replace") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            total += sum(map(int, fields[11:15]))
    return total * 1_000_000 // os.sysconf("SC_CLK_TCK")


def pss_mb(pids):
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
                total += int(re.search(r"^Pss:\s+(\d+) kB", file.read(), re.M).group(1))
    return total / 1024


def available_mb():
    """MemAvailable, with what the kernel only keeps because nobody asked for it back given up first."""
    with contextlib.suppress(OSError), open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
        file.write("2\n")  # dentries and inodes: they would count as used
    with open("/proc/meminfo", encoding="ascii") as file:
        return int(re.search(r"^MemAvailable:\s+(\d+) kB", file.read(), re.M).group(1)) / 1024


def first_line(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        return (done.stdout + done.stderr).strip().splitlines()[0]
    except (OSError, IndexError, subprocess.TimeoutExpired):
        return "?"


def describe():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = re.search(r"^(?:model name|Model)\s*:\s*(.*)$", file.read(), re.M)
    with open("/etc/os-release", encoding="utf-8") as file:
        system = re.search(r'^PRETTY_NAME="(.*)"$', file.read(), re.M).group(1)
    with open("/proc/meminfo", encoding="ascii") as file:
        memory = int(file.read().split()[1]) // 1024
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False)
    return {"cpu": model.group(1).strip() if model else platform.machine(), "cores": len(CPUS), "memory_mib": memory,
            "system": system, "kernel": platform.release(), "commit": commit.stdout.strip() or "?",
            "compiler": first_line("gcc", "--version"), "cgroup": "v2" if os.path.exists("/sys/fs/cgroup/cgroup.controllers")
            else "v1"}
