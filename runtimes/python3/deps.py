"""Installs what a requirements.txt names into DISPATCH_DEPS_ROOT, by pip, with the image's own interpreter.

Bytecode is made afterwards, checked by no time (PEP 552), so that a start compiles nothing and the same packages are
the same bytes each time.
"""
import glob
import os
import re
import subprocess
import sys

WHEELS = "/usr/share/python-wheels/pip-*.whl"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
UNREACHABLE = re.compile(r"Failed to establish a new connection: [^'\")]*|(Connect|Read)Timeout|CERTIFICATE_VERIFY_FAILED[^)]*")


def environment():
    values = dict(os.environ, PYTHONHASHSEED="0", PYTHONDONTWRITEBYTECODE="1", PIP_NO_INPUT="1", PIP_NO_COLOR="1",
                  PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_PROGRESS_BAR="off", PIP_ROOT_USER_ACTION="ignore",
                  PIP_BREAK_SYSTEM_PACKAGES="1", SOURCE_DATE_EPOCH="315532800")
    values.pop("DISPATCH_DEPS_LOCK", None)
    if os.path.exists(CERTIFICATES):
        values.setdefault("SSL_CERT_FILE", CERTIFICATES)
        values.setdefault("PIP_CERT", CERTIFICATES)
    return values


def pip(arguments):
    wheels = sorted(glob.glob(WHEELS))
    if not wheels:
        sys.exit("ERROR: there is no pip at %s" % WHEELS)
    command = [sys.executable, "-X", "utf8", wheels[-1] + "/pip"] + arguments
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               encoding="utf-8", errors="replace")
    unreachable = None
    for line in process.stdout:
        print(line, end="", flush=True)
        found = UNREACHABLE.search(line)
        unreachable = found.group(0) if found else unreachable
    status = process.wait()
    if status != 0 and unreachable:  # all that pip says at last is that it found no package
        print("ERROR: the index of packages cannot be reached: %s" % unreachable, flush=True)
    return status


def compile_all(root):
    import compileall
    import py_compile
    sys.setrecursionlimit(10000)
    # what a package has for other versions of Python does not compile: it is not needed either
    compileall.compile_dir(root, maxlevels=64, quiet=2, stripdir=root, prependdir="/",
                           invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)


def bytecode_remove(root):
    for folder, folders, files in os.walk(root, topdown=False):
        for name in files:
            if name.endswith((".pyc", ".pyo")) and os.path.basename(folder) == "__pycache__":
                os.unlink(os.path.join(folder, name))


def main():
    root, listed = os.environ["DISPATCH_DEPS_ROOT"], os.environ["DISPATCH_DEPS_FILE"]
    status = pip(["install", "--root", root, "--no-compile", "--no-cache-dir",
                  "--no-warn-script-location", "-r", listed])
    if status != 0:
        return status
    for top in ("usr", "opt"):
        folder = os.path.join(root, top)
        if os.path.isdir(folder):
            bytecode_remove(folder)
            compile_all(folder)
    return 0


sys.exit(main())
