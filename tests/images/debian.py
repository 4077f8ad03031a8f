"""Roots of Debian's packages for the tests, made once by `dispatch-server base-image` and kept in the build folder as
long as the program that makes them stays the same."""
import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import urllib.error
import urllib.request

import pytest

import harness

MIRROR = os.environ.get("DEBIAN_MIRROR") or "http://deb.debian.org/debian"
SUITE = "bookworm"
KEPT = os.path.join(harness.BUILD, "test-images")


@functools.cache
def missing():
    """Why no such root can be made here, or None."""
    for program in ("mmdebstrap", "skopeo", "apt-get"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    try:
        urllib.request.urlopen(f"{MIRROR}/dists/{SUITE}/InRelease", timeout=20).close()
    except (OSError, urllib.error.URLError) as error:
        return f"Debian's mirror {MIRROR} cannot be reached: {error}"
    return None


def missing_host():
    """Why system dependencies cannot be installed on a built-in image here, or None."""
    if os.geteuid() != 0:
        return "sandboxes need root"
    for program in ("mmdebstrap", "nft", "mke2fs"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    if not os.path.exists("/dev/loop-control"):
        return "there are no loop devices"
    with open("/etc/os-release", encoding="utf-8") as file:
        if "ID=debian\n" not in file.read():
            return "this host is not Debian"
    return missing()


def need():
    if missing():
        pytest.skip(missing())


def base_image(*arguments, **environment):
    """Runs the command; (exit status, standard output, standard error)."""
    done = subprocess.run([os.path.join(harness.BUILD, "dispatch-server"), "base-image", *arguments],
                          capture_output=True, text=True, timeout=900, check=False,
                          env=harness.clean_environment(**environment))
    return done.returncode, done.stdout, done.stderr


def layout(language):
    """The path of an OCI layout with a base image of that language, tag `latest`."""
    need()
    digest = hashlib.sha256()
    for name in ("dispatch-build", os.path.join("runtimes", language, "manifest")):
        with open(os.path.join(harness.BUILD, name), "rb") as file:
            digest.update(file.read())
    os.makedirs(KEPT, exist_ok=True)
    path = os.path.join(KEPT, f"{language}-{digest.hexdigest()[:16]}")
    with open(os.path.join(KEPT, f"{language}.lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(path):
            status, _, errors = base_image(language, "--suite", SUITE, "--mirror", MIRROR, "--quiet", "--output", f"oci:{path}")
            assert status == 0, errors
    return path
