"""A registry on loopback, and images run by crun: what an exported function meets elsewhere. Real programs only."""
import contextlib
import gzip
import hashlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile

import pytest

import harness


def need(*programs):
    missing = [each for each in programs if shutil.which(each) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: run tools/install-deps test")


class Registry:
    """Debian's docker-registry, with a password where one is given."""

    def __init__(self, folder, user=None):
        need("docker-registry")
        self.folder, self.port = str(folder), harness.free_port()
        self.name = f"127.0.0.1:{self.port}"
        auth = {}
        if user:
            hashed = subprocess.run(["perl", "-e", "print crypt($ARGV[0], q($2y$05$abcdefghijklmnopqrstuu))", user[1]],
                                    check=True, capture_output=True, text=True).stdout
            path = os.path.join(self.folder, "htpasswd")
            with open(path, "w", encoding="ascii") as file:
                file.write(f"{user[0]}:{hashed}\n")
            auth = {"auth": {"htpasswd": {"realm": "test", "path": path}}}
        config = os.path.join(self.folder, "registry.yml")
        with open(config, "w", encoding="utf-8") as file:  # JSON is YAML
            json.dump({"version": "0.1", "log": {"level": "error"}, "http": {"addr": self.name}, **auth,
                       "storage": {"filesystem": {"rootdirectory": os.path.join(self.folder, "data")}}}, file)
        self.log = open(os.path.join(self.folder, "registry.log"), "wb")
        self.process = subprocess.Popen(["docker-registry", "serve", config], stdout=self.log, stderr=self.log)
        harness.poll(self.answers, 20, "the registry")

    def answers(self):
        assert self.process.poll() is None, "docker-registry ended"
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.get("/v2/")[0] in (200, 401)

    def get(self, path, user=None):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)) as asked:
            headers = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
            if user:
                import base64
                headers["Authorization"] = "Basic " + base64.b64encode(":".join(user).encode()).decode()
            asked.request("GET", path, headers=headers)
            reply = asked.getresponse()
            return reply.status, reply.read()

    def finish(self):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()


class Layout:
    """An OCI image layout in a folder, read as the specification has it."""

    def __init__(self, path):
        self.path = str(path)
        with open(os.path.join(self.path, "oci-layout"), encoding="utf-8") as file:
            assert json.load(file) == {"imageLayoutVersion": "1.0.0"}
        with open(os.path.join(self.path, "index.json"), encoding="utf-8") as file:
            self.index = json.load(file)
        self.digest = self.index["manifests"][0]["digest"]
        self.manifest = json.loads(self.blob(self.digest))
        self.config = json.loads(self.blob(self.manifest["config"]["digest"]))

    def blob(self, digest):
        with open(os.path.join(self.path, "blobs", *digest.split(":")), "rb") as file:
            content = file.read()
        assert "sha256:" + hashlib.sha256(content).hexdigest() == digest
        return content

    def layers(self):
        """The tars, lowest first, each held to its diffID."""
        found = [gzip.decompress(self.blob(each["digest"])) for each in self.manifest["layers"]]
        assert ["sha256:" + hashlib.sha256(each).hexdigest() for each in found] == self.config["rootfs"]["diff_ids"]
        return found

    def unpack(self, root):
        """A root of it; skopeo and crun trust layers, so whiteouts are all there is to look at."""
        os.makedirs(root)
        for index, layer in enumerate(self.layers()):
            path = f"{root}.{index}.tar"
            with open(path, "wb") as file:
                file.write(layer)
            with tarfile.open(path) as archive:
                names = archive.getnames()
            for name in names:
                folder, base = os.path.split(name)
                if base.startswith(".wh.") and base != ".wh..wh..opq":
                    subprocess.run(["rm", "-rf", os.path.join(root, folder, base[4:])], check=True)
            subprocess.run(["tar", "-xpf", path, "-C", root, "--exclude=.wh.*"], check=True)
            os.unlink(path)
        return root


# crun refuses a host that has both kinds of cgroups, though it is to make none: it is shown one kind.
HYBRID = os.path.isdir("/sys/fs/cgroup/unified")
OUTSIDE = ["unshare", "-m", "--propagation", "private", "sh", "-c", "umount -R /sys/fs/cgroup && "
           "mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec \"$@\"", "sh"] if HYBRID else []


class Container:
    """One run of an image by crun: read-only root, no capabilities, the image's user, a network of its own."""

    def __init__(self, layout, folder, env=(), name="c"):
        need("crun", "nsenter")
        self.folder, self.name = str(folder), f"dispatch-test-{os.getpid()}-{name}"
        os.makedirs(self.folder)
        self.state = os.path.join(self.folder, "state")
        layout.unpack(os.path.join(self.folder, "rootfs"))
        config = layout.config["config"]
        uid, gid = map(int, config["User"].split(":"))
        spec = {
            "ociVersion": "1.0.0",
            "root": {"path": "rootfs", "readonly": True},
            "process": {"args": config["Entrypoint"] + config.get("Cmd", []), "env": config["Env"] + list(env),
                        "cwd": config["WorkingDir"], "user": {"uid": uid, "gid": gid}, "noNewPrivileges": True,
                        "capabilities": {}},
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
                       {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
                       {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev"]}],
            "linux": {"namespaces": [{"type": each} for each in ("pid", "mount", "ipc", "uts", "network")]},
        }
        with open(os.path.join(self.folder, "config.json"), "w", encoding="utf-8") as file:
            json.dump(spec, file)
        self.output = open(os.path.join(self.folder, "output"), "wb")
        self.pid_file = os.path.join(self.folder, "pid")
        self.process = subprocess.Popen(
            [*OUTSIDE, "crun", "--root", self.state, "--cgroup-manager=disabled", "run", "--pid-file", self.pid_file, "--bundle",
             self.folder, self.name], stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output)

    def pid(self):
        with open(self.pid_file, encoding="ascii") as file:
            return int(file.read())

    def said(self):
        self.output.flush()
        with open(self.output.name, encoding="utf-8", errors="replace") as file:
            return file.read()

    def curl(self, path="/", *arguments):
        """From inside its network: status and body."""
        done = subprocess.run(["nsenter", f"--net=/proc/{self.pid()}/ns/net", "curl", "-sS", "-m", "30", "-w", "\n%{http_code}",
                               *arguments, f"http://127.0.0.1:8080{path}"], capture_output=True, text=True)
        if done.returncode != 0:
            raise OSError(done.stderr)
        body, _, status = done.stdout.rpartition("\n")
        return int(status), body

    def wait(self):
        def healthy():
            assert self.process.poll() is None, self.said()
            with contextlib.suppress(OSError, ValueError, FileNotFoundError):
                return self.curl("/healthz") == (200, "{}")
        harness.poll(healthy, 30, "/healthz")
        return self

    def terminate(self):
        """SIGTERM as a container engine sends it; the exit status."""
        os.kill(self.pid(), signal.SIGTERM)
        return self.process.wait(20 * harness.PATIENCE)

    def finish(self):
        with contextlib.suppress(OSError, ValueError):
            os.kill(self.pid(), signal.SIGKILL)
        self.process.wait(20)
        self.output.close()
        subprocess.run(["crun", "--root", self.state, "--cgroup-manager=disabled", "delete", "-f", self.name],
                       capture_output=True)


class Podman:
    """podman with images and containers of its own, in a folder that goes with it."""

    def __init__(self):
        need("podman", "nsenter")
        self.folder = tempfile.mkdtemp(prefix="pod")  # podman wants a short path
        self.name = f"dispatch-test-{os.getpid()}-{os.path.basename(self.folder)}"
        for driver in ("overlay", "vfs"):
            self.command = [*OUTSIDE, "podman", "--root", f"{self.folder}/{driver}", "--runroot", f"{self.folder}/run-{driver}",
                            "--storage-driver", driver, "--cgroup-manager", "cgroupfs", "--events-backend", "file"]
            if self("info", check=False).returncode == 0:
                break

    def __call__(self, *arguments, check=True):
        done = subprocess.run([*self.command, *arguments], capture_output=True, text=True, timeout=300 * harness.PATIENCE)
        assert not check or done.returncode == 0, done.stderr
        return done

    def start(self, reference, *more):
        """A container of it; skips where podman starts none at all."""
        image = self("pull", "-q", *more, reference).stdout.strip()
        started = self("run", "-d", "--name", self.name, "--network", "none", "--cgroups", "disabled", "--ulimit", "nofile=1024:1024",
                       "--ulimit", "nproc=1024:1024", "--read-only", image, check=False)
        if started.returncode != 0:
            pytest.skip(f"podman starts no container here: {started.stderr[-300:]}")
        harness.poll(lambda: self.curl("/healthz") == "{}", 90, "/healthz")
        return self

    def curl(self, path, *arguments):
        pid = self("inspect", "-f", "{{.State.Pid}}", self.name).stdout.strip()
        return subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", "curl", "-sS", "-m", "30", *arguments,
                               f"http://127.0.0.1:8080{path}"], capture_output=True, text=True).stdout

    def stop(self):
        """Its exit status after what a host says that goes down."""
        self("stop", "-t", "20", self.name)
        return int(self("inspect", "-f", "{{.State.ExitCode}}", self.name).stdout)

    def finish(self):
        for arguments in (("rm", "-f", self.name), ("rmi", "-af")):
            self(*arguments, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)
