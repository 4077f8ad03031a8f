"""Images for tests of functions that are images: OCI layouts made of a few files."""
import functools
import glob
import gzip
import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import tarfile

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


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
    """An OCI image layout in a folder, one image in it."""

    def __init__(self, folder, layers, config):
        self.folder = str(folder)
        os.makedirs(os.path.join(self.folder, "blobs", "sha256"))
        packed = []
        for plain in layers:
            digest, size = self.blob(gzip.compress(plain, 1, mtime=0))
            packed.append({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest, "size": size})
        image = {"architecture": ARCHITECTURES[platform.machine()], "os": "linux", "config": config,
                 "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(plain).hexdigest() for plain in layers]}}
        digest, size = self.blob(json.dumps(image).encode())
        manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": packed,
                    "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": size}}
        self.digest, size = self.blob(json.dumps(manifest).encode())
        self.write("oci-layout", {"imageLayoutVersion": "1.0.0"})
        self.write("index.json", {"schemaVersion": 2, "manifests": [{
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": self.digest, "size": size,
            "annotations": {"org.opencontainers.image.ref.name": "latest"}}]})
        os.chmod(self.folder, 0o755)

    def blob(self, content):
        digest = hashlib.sha256(content).hexdigest()
        with open(os.path.join(self.folder, "blobs", "sha256", digest), "wb") as file:
            file.write(content)
        return "sha256:" + digest, len(content)

    def write(self, name, document):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            json.dump(document, file)

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
