"""What is measured while it runs: functions of ours behind the gateway, and peers that give the same answer."""
import concurrent.futures
import contextlib
import os
import re
import shutil
import signal
import subprocess
import time

import harness

from . import BENCH, ROOT, load, machine

EXPECTED = {"myField": "Hello, Jon from Nowhere"}
PEERS = os.path.join(BENCH, "peers")
FETCHED = os.path.join(ROOT, "build", "bench")
BASES = {"python3": harness.PYTHON_BASE, "native": harness.NATIVE_BASE, "nodejs": "dispatchframework/nodejs-base",
         "java": "dispatchframework/java-base"}
# A peer or a server never outlives this process, whatever ends it.
BOUND = ["setpriv", "--pdeathsig", "TERM"]


class Server(harness.Server):
    """A server of ours on the core of what is measured, that ends with this process."""

    states = []  # the state directories of all servers of this run

    def __init__(self, folder, options=()):
        super().__init__(folder, options)
        self.states.append(self.state)
        self.images = set()

    def command(self):
        return [*BOUND, *machine.pinned(*super().command())]

    def base(self, language):
        if language not in self.images:
            self.image(language, BASES[language])
            self.images.add(language)

    def metrics(self):
        """{name: sum of its samples}, and each sample that has labels, {name{labels}: value}"""
        found = {}
        for line in harness.request(self.port, "GET", "/metrics").text.splitlines():
            match = re.match(r"^(\w+)(\{[^}]*\})? (\S+)$", line)
            if match:
                name, labels, value = match.groups()
                found[name] = found.get(name, 0) + float(value)
                if labels:
                    found[name + labels] = float(value)
        return found

    def instances(self):
        """Of functions: busy or idle, not what is parked for the next start."""
        found = self.metrics()
        return int(found.get('dispatch_pool_processes{pool="idle"}', 0) + found.get("dispatch_instances_busy", 0))

    def parked(self, pool):
        return int(self.metrics().get(f'dispatch_pool_processes{{pool="{pool}"}}', 0))

    def served(self, name, language, files, **fields):
        """A function and its endpoint /NAME."""
        self.base(language)
        self.function(name, files, image=language, **fields)
        self.endpoint(name, name, [f"/{name}"])

    def served_many(self, names, language, files, **fields):
        self.base(language)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda name: self.served(name, language, files, **fields), names))

    def record(self, run):
        """The server's own record of a run; it is written a moment after the reply."""
        def written():
            reply = self.api("GET", f"/v1/runs/{run}")
            return reply.json if reply.status == 200 else None
        return harness.poll(written, 10, f"the record of run {run}")


@contextlib.contextmanager
def server_of(folder, name, options=()):
    server = Server(os.path.join(folder, name), options)
    try:
        server.start()
        yield server
    finally:
        server.finish()
        shutil.rmtree(server.folder, ignore_errors=True)


def source(language):
    """The hello of the examples: {file name: content}."""
    if language == "native":
        program = os.path.join(FETCHED, "hello")
        os.makedirs(FETCHED, exist_ok=True)
        subprocess.run(["cc", "-O2", "-static", "-o", program, os.path.join(ROOT, "examples/native/hello.c")], check=True)
        with open(program, "rb") as file:
            return {"hello": (file.read(), 0o755)}
    name = {"python3": "hello.py", "nodejs": "hello.js", "java": "Hello.java"}[language]
    with open(os.path.join(ROOT, "examples", language, name), "rb") as file:
        return {name: file.read()}


class Function:
    """A function of ours as a target."""

    def __init__(self, server, name, label):
        self.name, self.port, self.host = label, server.gateway_port, harness.DEFAULT_HOST
        self.path, self.pid = f"/{name}?name=Jon", server.process.pid
        reply = server.gateway("GET", self.path)
        if reply.status != 200 or reply.json != EXPECTED:
            raise load.Failed(f"{label} answers {reply}")


class Peer:
    """A program that answers GET /hello?name=Jon; started, and told to end, as one group of processes."""

    def __init__(self, name, command, port, version, cpu=machine.WORK_CPU):
        self.name, self.port, self.version, self.host, self.path = name, port, version, "localhost", "/hello?name=Jon"
        begun = time.perf_counter()
        self.process = subprocess.Popen([*BOUND, *machine.pinned(*command, cpu=cpu)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
                                        env=harness.clean_environment(), start_new_session=True)
        self.pid = self.process.pid
        try:
            harness.poll(self.answers, 20, name)
        except AssertionError:
            self.finish()
            raise
        self.ready_ms = (time.perf_counter() - begun) * 1000

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name} ended with {self.process.returncode}")
        try:
            return harness.request(self.port, "GET", self.path, timeout_s=2).json == EXPECTED
        except (OSError, ValueError):
            return False

    def finish(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            self.process.wait()


def configured(folder, name, **values):
    """A file of bench/peers with its words in capitals replaced, in a folder of this run."""
    with open(os.path.join(PEERS, name), encoding="utf-8") as file:
        text = file.read()
    for word, value in values.items():
        text = text.replace(word, str(value))
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def nginx_program():
    done = subprocess.run([os.path.join(BENCH, "fetch-nginx"), os.path.join(FETCHED, "nginx")], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        raise load.Failed(done.stderr.strip())
    return done.stdout.strip()


def workerd_program():
    """workerd from npm, in build/."""
    folder = os.path.join(FETCHED, "workerd")
    program = os.path.join(folder, "node_modules", ".bin", "workerd")
    if not os.path.exists(program):
        os.makedirs(folder, exist_ok=True)
        done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--no-save", "--prefix", folder, "workerd"], cwd=folder,
                              capture_output=True, text=True, check=False, timeout=300)
        if done.returncode != 0:
            raise load.Failed("npm could not install workerd: " + (done.stderr.strip().splitlines() or ["?"])[0])
    return program


def static_nginx(folder, _):
    program, port = nginx_program(), harness.free_port()
    where = os.path.join(folder, "nginx")
    return Peer("nginx, fixed reply", [program, "-p", where, "-c", configured(where, "nginx.conf", PORT=port)], port,
                machine.first_line(program, "-v"))


def uwsgi(_folder, _):
    port = harness.free_port()
    return Peer("uWSGI", ["uwsgi", "--plugin", "python3", "--http11-socket", f"127.0.0.1:{port}", "--processes", "1",
                          "--disable-logging", "--need-app", "--wsgi-file", os.path.join(PEERS, "hello_wsgi.py")],
                port, "uWSGI " + machine.first_line("uwsgi", "--version"))


def gunicorn(_folder, _):
    port = harness.free_port()
    return Peer("gunicorn", ["gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", "1", "--worker-class", "gthread",
                             "--threads", "1", "--keep-alive", "60", "--log-level", "error", "--chdir", PEERS,
                             "hello_wsgi:application"], port, machine.first_line("gunicorn", "--version"))


def node(_folder, _):
    port = harness.free_port()
    return Peer("node", ["node", os.path.join(PEERS, "hello.js"), str(port)], port,
                "node " + machine.first_line("node", "--version"))


def node_behind_nginx(folder, started):
    if "node" not in started:
        raise load.Failed("there is no node to stand behind it")
    program, port = nginx_program(), harness.free_port()
    where = os.path.join(folder, "proxy")
    peer = Peer("node behind nginx", [program, "-p", where, "-c",
                                      configured(where, "nginx-proxy.conf", UPSTREAM=started["node"].port, PORT=port)],
                port, None)
    return peer


def workerd(folder, _):
    program, port = workerd_program(), harness.free_port()
    where = os.path.join(folder, "workerd")
    path = configured(where, "workerd.capnp", PORT=port)
    shutil.copy(os.path.join(PEERS, "worker.js"), where)
    return Peer("workerd", [program, "serve", path], port, machine.first_line(program, "--version"))


PEER_MAKERS = {"nginx, fixed reply": static_nginx, "uWSGI": uwsgi, "gunicorn": gunicorn, "node": node,
               "node behind nginx": node_behind_nginx, "workerd": workerd}


def start_peers(folder, stack, missing):
    """Those that can be had here, {name: Peer}; the reasons of the others go to `missing`."""
    started = {}
    for name, make in PEER_MAKERS.items():
        try:
            started[name] = make(folder, started)
            stack.callback(started[name].finish)
        except (OSError, AssertionError, load.Failed, subprocess.SubprocessError) as error:
            missing.append(f"{name}: {error}")
    unit = machine.first_line("unitd", "--version")
    if unit == "?":
        missing.append("NGINX Unit: the distribution has no package of it")
    return started


def left_over(context):
    """What the servers of this run have left on the host, as lines; those of others come and go meanwhile."""
    trees = [f"dispatch-{path_hash(state):016x}" for state in Server.states]
    return sorted(line for line in harness.left_behind()
                  if context.folder in line or any(tree in line for tree in trees))


def path_hash(path):
    """By which a server names its cgroup tree (FNV-1a, src/spawn/state.c)."""
    found = 0xcbf29ce484222325
    for byte in os.fsencode(os.path.realpath(path)):
        found = (found ^ byte) * 0x100000001b3 % (1 << 64)
    return found
