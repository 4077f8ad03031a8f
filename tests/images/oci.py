"""Images for tests: OCI layouts, OCI archives and docker archives made by hand, so that they may also be wrong in one place;
and Debian's docker-registry on loopback, in clear, through TLS, and with a password."""
import base64
import contextlib
import gzip
import hashlib
import http.client
import io
import json
import os
import platform
import shutil
import ssl
import subprocess
import tarfile

import pytest

import harness

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
OTHER_ARCHITECTURE = {"amd64": "arm64", "arm64": "amd64"}[ARCHITECTURE]
OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker."


def need(*programs):
    missing = [each for each in programs if shutil.which(each) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: run tools/install-deps test")


def sha256(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def member(name, content=b"", mode=0o644, type=tarfile.REGTYPE, link="", **more):
    """A member of a tar; content may be text."""
    info = tarfile.TarInfo(name)
    content = content.encode() if isinstance(content, str) else content
    info.size, info.mode, info.type, info.linkname = len(content), mode, type, link
    for key, value in more.items():
        setattr(info, key, value)
    return info, content


def link(name, target):
    return member(name, type=tarfile.SYMTYPE, link=target, mode=0o777)


def hardlink(name, target):
    return member(name, type=tarfile.LNKTYPE, link=target)


def folder(name, mode=0o755):
    return member(name, type=tarfile.DIRTYPE, mode=mode)


def tar(*members, format=tarfile.PAX_FORMAT):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=format) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def zstd(content):
    need("zstd")
    return subprocess.run(["zstd", "-q", "-c"], input=content, capture_output=True, check=True).stdout


PACKINGS = {"": lambda content: content, "+gzip": lambda content: gzip.compress(content, 1, mtime=0), "+zstd": zstd}


class Image:
    """Plain layers (tars) and a configuration. What is wrong with it is set before it is written."""

    def __init__(self, *layers, config=None, architecture=ARCHITECTURE, packing="+gzip", docker=False):
        self.plain = list(layers)
        self.config = {"architecture": architecture, "os": "linux", "config": config or {},
                       "rootfs": {"type": "layers", "diff_ids": [sha256(each) for each in layers]}}
        suffix = packing.replace("+", ".") if docker else packing
        self.layer_type = (DOCKER + "image.rootfs.diff.tar" if docker else OCI + "layer.v1.tar") + suffix
        self.config_type = DOCKER + "container.image.v1+json" if docker else OCI + "config.v1+json"
        self.manifest_type = DOCKER + "distribution.manifest.v2+json" if docker else OCI + "manifest.v1+json"
        self.blobs = [PACKINGS[packing](each) for each in layers]
        self.extra = {}  # of the manifest

    def parts(self):
        """{digest: content} of everything, and the digest and size of the manifest."""
        config = json.dumps(self.config).encode()
        layers = [{"mediaType": self.layer_type, "digest": sha256(each), "size": len(each)} for each in self.blobs]
        manifest = json.dumps({"schemaVersion": 2, "mediaType": self.manifest_type, "layers": layers,
                               "config": {"mediaType": self.config_type, "digest": sha256(config), "size": len(config)},
                               **self.extra}).encode()
        contents = {sha256(each): each for each in (*self.blobs, config, manifest)}
        return contents, {"mediaType": self.manifest_type, "digest": sha256(manifest), "size": len(manifest)}

    def layout(self, path, tag="latest", damage=None):
        """Written as an OCI layout; damage(contents) may spoil blobs after their digests were taken."""
        contents, descriptor = self.parts()
        if damage:
            damage(contents)
        return write_layout(path, contents, [(descriptor, tag)])

    def oci_archive(self, path, tag="latest"):
        contents, descriptor = self.parts()
        with tarfile.open(path, "w") as archive:
            for name, content in layout_files(contents, [(descriptor, tag)]).items():
                info, body = member(name, content)
                archive.addfile(info, io.BytesIO(body))
        return str(path)

    def docker_archive(self, path, name="test/image:latest"):
        config = json.dumps(self.config).encode()
        listed = [{"Config": hashlib.sha256(config).hexdigest() + ".json", "RepoTags": [name],
                   "Layers": [f"{hashlib.sha256(each).hexdigest()}/layer.tar" for each in self.plain]}]
        files = {listed[0]["Config"]: config, "manifest.json": json.dumps(listed).encode()}
        files.update(zip(listed[0]["Layers"], self.plain))
        with tarfile.open(path, "w") as archive:
            for name, content in files.items():
                info, body = member(name, content)
                archive.addfile(info, io.BytesIO(body))
        return str(path)


def layout_files(contents, descriptors):
    listed = [{**descriptor, "annotations": {"org.opencontainers.image.ref.name": tag}} for descriptor, tag in descriptors]
    files = {"oci-layout": json.dumps({"imageLayoutVersion": "1.0.0"}).encode(),
             "index.json": json.dumps({"schemaVersion": 2, "manifests": listed}).encode()}
    files.update({"blobs/" + digest.replace(":", "/"): content for digest, content in contents.items()})
    return files


def write_layout(path, contents, descriptors):
    for name, content in layout_files(contents, descriptors).items():
        target = os.path.join(str(path), name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as file:
            file.write(content)
    for each, _, _ in os.walk(str(path)):
        os.chmod(each, 0o755)
    return str(path)


def index_of(*images):
    """An OCI index of several images (platforms): contents and descriptor, as Image.parts has them."""
    contents, listed = {}, []
    for image in images:
        more, descriptor = image.parts()
        contents.update(more)
        listed.append({**descriptor, "platform": {"os": "linux", "architecture": image.config["architecture"]}})
    index = json.dumps({"schemaVersion": 2, "mediaType": OCI + "index.v1+json", "manifests": listed}).encode()
    contents[sha256(index)] = index
    return contents, {"mediaType": OCI + "index.v1+json", "digest": sha256(index), "size": len(index)}


def htpasswd(path, user, password):
    """bcrypt, as docker-registry wants it; perl's crypt has it."""
    hashed = subprocess.run(["perl", "-e", "print crypt($ARGV[0], q($2y$05$abcdefghijklmnopqrstuu))", password],
                            check=True, capture_output=True, text=True).stdout
    assert hashed.startswith("$2y$"), "this system's crypt has no bcrypt"
    with open(path, "w", encoding="ascii") as file:
        file.write(f"{user}:{hashed}\n")


def certificate(path):
    """A certificate for 127.0.0.1 that vouches for itself: files ca.crt and key.pem in a folder; the folder's name."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:TRUE",
                    "-keyout", os.path.join(path, "key.pem"), "-out", os.path.join(path, "ca.crt")], check=True, capture_output=True)
    return path


class Registry:
    """Debian's docker-registry on loopback; user is (name, password)."""

    def __init__(self, path, user=None, tls=False):
        need("docker-registry")
        self.path, self.port, self.user, self.tls = str(path), harness.free_port(), user, tls
        os.makedirs(self.path, exist_ok=True)
        self.name = f"127.0.0.1:{self.port}"
        served = {"addr": self.name}
        config = {"version": "0.1", "log": {"level": "error"}, "http": served,
                  "storage": {"filesystem": {"rootdirectory": os.path.join(self.path, "data")}}}
        if tls:
            self.certificates = certificate(self.path)
            served["tls"] = {"certificate": os.path.join(self.path, "ca.crt"), "key": os.path.join(self.path, "key.pem")}
        if user:
            htpasswd(os.path.join(self.path, "htpasswd"), *user)
            config["auth"] = {"htpasswd": {"realm": "test", "path": os.path.join(self.path, "htpasswd")}}
        with open(os.path.join(self.path, "registry.yml"), "w", encoding="utf-8") as file:  # JSON is YAML
            json.dump(config, file)
        self.log = open(os.path.join(self.path, "registry.log"), "wb")
        self.process = subprocess.Popen(["docker-registry", "serve", file.name], stdout=self.log, stderr=self.log)
        harness.poll(self.answers, 20, "the registry")

    def answers(self):
        assert self.process.poll() is None, "docker-registry ended"
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.call("GET", "/v2/")[0] == 200
        return False

    def call(self, method, path, body=None, headers=None):
        """Status, headers and body."""
        headers = dict(headers or {})
        if self.user:
            headers["Authorization"] = "Basic " + base64.b64encode(":".join(self.user).encode()).decode()
        if self.tls:
            context = ssl.create_default_context(cafile=os.path.join(self.path, "ca.crt"))
            asked = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=20, context=context)
        else:
            asked = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(asked):
            asked.request(method, path, body, headers)
            reply = asked.getresponse()
            return reply.status, dict(reply.getheaders()), reply.read()

    def push(self, repository, tag, contents, descriptor):
        """Blobs and manifests as they are; the registry refuses a wrong digest itself."""
        for digest, content in contents.items():
            if digest == descriptor["digest"] or content.startswith(b'{"schemaVersion"'):
                continue
            status, headers, _ = self.call("POST", f"/v2/{repository}/blobs/uploads/")
            assert status == 202, status
            where = headers["Location"].split(self.name, 1)[1] + f"&digest={digest}"
            status, _, body = self.call("PUT", where, content, {"Content-Type": "application/octet-stream"})
            assert status == 201, body
        for digest, content in sorted(contents.items(), key=lambda each: each[0] == descriptor["digest"]):
            if digest != descriptor["digest"] and not content.startswith(b'{"schemaVersion"'):
                continue
            media = json.loads(content)["mediaType"]
            name = tag if digest == descriptor["digest"] else digest
            status, _, body = self.call("PUT", f"/v2/{repository}/manifests/{name}", content, {"Content-Type": media})
            assert status == 201, body
        return f"{self.name}/{repository}:{tag}"

    def push_image(self, repository, image, tag="latest"):
        return self.push(repository, tag, *image.parts())

    def finish(self):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()
