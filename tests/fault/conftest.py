"""`fresh` on a file system of its own in memory, so that layers are made and removed quickly."""
import shutil
import subprocess
import tempfile

import pytest

import harness

DISK_MIB = 1024


@pytest.fixture
def disk():
    """A folder that is a file system of DISK_MIB."""
    folder = tempfile.mkdtemp(prefix="dispatch-test-")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=755", "none", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=False)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def fresh(disk):
    running = harness.Server(folder=disk)
    try:
        yield running.start()
    finally:
        running.finish()
