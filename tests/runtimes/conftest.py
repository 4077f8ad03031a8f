"""Real agents from the build directory (BUILD_DIR, default build/), outside of any sandbox."""
import os
import pathlib
import shlex
import textwrap

import pytest

from wire import Agent

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BUILD_DIR", ROOT / "build")).resolve()


def agent_argv(language):
    """The manifest's command line, with /runtime where it is here."""
    folder = BUILD / "runtimes" / language
    for line in (folder / "manifest").read_text().splitlines():
        if line.startswith("argv="):
            return [word.replace("/runtime", str(folder), 1) if word.startswith("/runtime/") else word
                    for word in shlex.split(line[5:])]
    raise AssertionError("manifest of %s has no argv" % language)


@pytest.fixture
def start(tmp_path):
    """start(language, {file: text}, handler, ...): an agent of a function, READY unless ready=False."""
    agents = []

    def start_agent(language, files, handler="", ready=True, specialise=None, **how):
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
        agent = Agent(agent_argv(language), folder, **how)
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
