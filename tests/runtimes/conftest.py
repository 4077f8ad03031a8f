"""Real agents from the build directory (BUILD_DIR, default build/), outside of any sandbox."""
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import textwrap

import pytest

from wire import Agent

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BUILD_DIR", ROOT / "build")).resolve()


def runtime_folder(language):
    """The folder that is /runtime in a sandbox; in a sanitized build with the sanitized variant in it."""
    shipped = BUILD / "runtimes" / language
    file = {"native": "dispatch-agent-native", "python3": "_dispatch.abi3.so", "nodejs": "dispatch.node",
            "http": "dispatch-agent-http", "java": "libdispatch-java.so"}[language]
    variant = BUILD / "tests" / "runtimes" / file
    if not variant.exists():
        return shipped
    folder = BUILD / "tests" / "runtimes" / "runtime" / language
    if not folder.exists():
        shutil.copytree(shipped, folder, ignore=shutil.ignore_patterns("*.p", file))
        (folder / file).symlink_to(variant)
    return folder


def sanitizer_environment():
    """What a sanitized extension needs of an interpreter that is not: the library first. Leaks of Python's are not ours."""
    if not (BUILD / "tests" / "runtimes" / "_dispatch.abi3.so").exists():
        return {}
    libraries = [subprocess.check_output(["gcc", "-print-file-name=" + name], text=True).strip()
                 for name in ("libasan.so", "libubsan.so")]
    return {"LD_PRELOAD": " ".join(libraries), "ASAN_OPTIONS": "abort_on_error=1:detect_leaks=0:quarantine_size_mb=1:detect_stack_use_after_return=1",
            "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}


def agent_environment(language):
    return sanitizer_environment() if language != "native" else {}


def agent_argv(language, memory_mib=256, key="argv"):
    """The manifest's command line, with /runtime where it is here."""
    folder = runtime_folder(language)
    for line in (folder / "manifest").read_text().splitlines():
        if line.startswith(key + "="):
            line = re.sub(r"\{memory:(\d+)\}", lambda share: str(max(1, memory_mib * int(share[1]) // 100)), line)
            return [re.sub("(^|:)/runtime/", lambda found: "%s%s/" % (found[1], folder), word)
                    for word in shlex.split(line[len(key) + 1:])]
    raise AssertionError("manifest of %s has no %s" % (language, key))


def compile_source(language, folder):
    """What the function's build does with its source; returns what the compiler had to say."""
    done = subprocess.run(agent_argv(language, 512, "compile"), cwd=folder, stdout=subprocess.PIPE, text=True, timeout=120)
    assert (done.returncode == 0) == (done.stdout == ""), done
    return done.stdout


@pytest.fixture
def start(tmp_path):
    """start(language, {file: text}, handler, ...): an agent of a function, READY unless ready=False."""
    agents = []

    def start_agent(language, files, handler="", ready=True, specialise=None, folder=None, **how):
        if folder is None:
            folder = tmp_path / ("function%d" % len(agents))
            folder.mkdir()
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(text, bytes):
                path.write_bytes(text)
            else:
                path.write_text(textwrap.dedent(text).lstrip("\n"))
            if language == "native":
                path.chmod(0o755)
        if language == "java" and files:
            assert compile_source(language, folder) == ""
        how["env"] = {**agent_environment(language), **how.get("env", {})}
        argv = [word.replace("=/function", "=%s" % folder) for word in agent_argv(language, how.pop("memory_mib", 256))]
        agent = Agent(argv, folder, **how)
        agents.append(agent)
        agent.folder = folder
        if ready:
            failed = agent.specialise(handler, **(specialise or {}))
            assert failed is None, failed
        return agent

    yield start_agent
    for agent in agents:
        agent.close()


@pytest.fixture
def python(start):
    return lambda source, handler="f.handle", **how: start("python3", {"f.py": source}, handler, **how)


@pytest.fixture
def node(start):
    return lambda source, handler="./f.js", **how: start("nodejs", {"f.js": source}, handler, **how)
