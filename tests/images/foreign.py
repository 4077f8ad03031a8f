"""Images for tests of functions that are images: OCI layouts made of a few files."""
import functools
import glob
import io
import os
import shutil
import subprocess
import tarfile

import pytest

import oci

HERE = os.path.dirname(os.path.abspath(__file__))


def layer(files):
    """A tar of {path: bytes, text, or (bytes, mode); or ("link", target); or ("host", path on this host)}."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.mode = 0o644
            if isinstance(content, tuple) and content[0] == "host":
                info = tar.gettarinfo(content[1], name)
                info.uid = info.gid = 0
                info.uname = info.gname = ""
                with open(content[1], "rb") as file:
                    tar.addfile(info, file if info.isreg() else None)
                continue
            if isinstance(content, tuple) and content[0] == "link":
                member.type, member.linkname = tarfile.SYMTYPE, content[1]
                tar.addfile(member)
                continue
            content, member.mode = content if isinstance(content, tuple) else (content, 0o644)
            content = content.encode() if isinstance(content, str) else content
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


class Layout:
    """An image of such layers, written as an OCI layout."""

    def __init__(self, folder, layers, config):
        self.image = oci.Image(*layers, config=config)
        self.folder = self.image.layout(folder)

    @property
    def reference(self):
        return f"oci:{self.folder}:latest"


@functools.cache
def server_program():
    """foreign_server.c as a static program."""
    cc = shutil.which("cc") or pytest.skip("there is no C compiler")
    path = os.path.join(HERE, "foreign_server.c")
    out = os.path.join(os.environ.get("PYTEST_TMP", "/tmp"), f"foreign-server-{os.getpid()}")
    subprocess.run([cc, "-O1", "-static", "-o", out, path], check=True)
    try:
        with open(out, "rb") as file:
            return file.read()
    finally:
        os.unlink(out)


def host_files(*packages):
    """What Debian's packages on this host have, as a layer's files."""
    files = {}
    for package in packages:
        listed = subprocess.run(["dpkg", "-L", package], capture_output=True, text=True, check=False)
        if listed.returncode != 0:
            pytest.skip(f"{package} is not installed")
        for path in listed.stdout.splitlines():
            if path.startswith(("/usr/share/doc", "/usr/share/man", "/usr/share/lintian")):
                continue
            if os.path.islink(path) or os.path.isfile(path):
                files[path.lstrip("/")] = ("host", path)
    return files


@functools.cache
def python_layer():
    """Debian's python3 of this host, without pip and the like."""
    minor = "3." + os.path.basename(sorted(glob.glob("/usr/bin/python3.[0-9]*[0-9]"))[0]).split(".")[1]
    files = host_files(f"python{minor}-minimal", f"libpython{minor}-minimal", f"libpython{minor}-stdlib", "libc6", "zlib1g",
                       "libexpat1", "libssl3", "libbz2-1.0", "liblzma5", "libffi8", "media-types")
    files = {name: content for name, content in files.items() if "/test/" not in name and "__pycache__" not in name}
    for folder in ("lib", "lib64", "bin", "sbin"):
        files = {(f"usr/{name}" if name.startswith(folder + "/") and os.path.islink("/" + folder) else name): content
                 for name, content in files.items()}
        files[folder] = ("link", "usr/" + folder)
    files["usr/bin/python3"] = ("link", f"python{minor}")
    return layer(files)
