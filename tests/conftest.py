"""Fixtures: `server` is one running server for a whole module, with the images python3 and native; `fresh` is one for a
single test, which may stop, kill and restart it; `machine` finds out what a server left behind."""
import os

import pytest

import harness
import openapi


def pytest_configure(config):
    for name in ("dispatch", "dispatch-server"):
        path = os.path.join(harness.BUILD, name)
        if not os.access(path, os.X_OK):
            pytest.exit(f"{path} is missing; run make (or set BUILD_DIR)", returncode=3)


@pytest.fixture(scope="module")
def server():
    running = harness.Server()
    try:
        running.start()
        running.description = openapi.description_of(running)
        running.image("python3", harness.PYTHON_BASE)
        running.image("native", harness.NATIVE_BASE)
        yield running
    finally:
        running.finish()


@pytest.fixture
def fresh():
    running = harness.Server()
    try:
        yield running.start()
    finally:
        running.finish()


@pytest.fixture
def name(request):
    """A resource name of the test's own."""
    return request.node.name.split("[")[0].removeprefix("test_").replace("_", "-")[:50] + os.urandom(3).hex()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """The end of the server's log goes with each failure."""
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        for fixture in ("server", "fresh"):
            if fixture in item.funcargs:
                report.sections.append(("server log", item.funcargs[fixture].log()))
