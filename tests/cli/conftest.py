"""Fixtures: `api` records what the client sends, `dispatch` is the client in an empty home."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import recorder  # noqa: E402


@pytest.fixture
def api():
    running = recorder.Api()
    yield running
    running.finish()


@pytest.fixture
def dispatch(api, tmp_path):
    return recorder.Client(tmp_path, api.port)
