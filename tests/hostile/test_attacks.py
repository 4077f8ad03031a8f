"""Attacks from inside a function, by a program of the tenant's own that a function of each language starts. What each has to
come to is in docs/threat-model.md."""
import os
import socket
import subprocess
import threading
import time

import pytest

import harness

HERE = os.path.dirname(os.path.abspath(__file__))

PYTHON = """import subprocess
def handle(ctx, payload):
    return subprocess.run(["/function/attack", *payload.split()], capture_output=True, text=True).stdout
"""
NODE = """const { spawnSync } = require('child_process');
module.exports = (context, payload) => spawnSync('/function/attack', payload.split(' ').filter(Boolean), { maxBuffer: 1 << 22 }).stdout.toString();
"""
JAVA = """import java.util.*;
public class Handler {
    public String handle(Object context, String payload) throws Exception {
        List<String> command = new ArrayList<>(List.of("/function/attack"));
        for (String each : payload.split(" ")) if (!each.isEmpty()) command.add(each);
        return new String(new ProcessBuilder(command).start().getInputStream().readAllBytes());
    }
}
"""
NATIVE = """#!/bin/sh
exec /function/attack $(tr -d '"')
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("attack") / "attack")
    subprocess.run(["gcc", "-O1", "-static", "-Wno-nonnull", "-o", path, os.path.join(HERE, "attack.c")], check=True)
    with open(path, "rb") as file:
        return file.read()


MADE = {"python3": ({"handler.py": PYTHON}, "handler.handle"), "nodejs": ({"handler.js": NODE}, "./handler.js"),
        "native": ({"run": NATIVE}, "./run")}
if os.path.exists("/usr/bin/javac") and os.path.exists(os.path.join(harness.BUILD, "runtimes", "java", "manifest")):
    MADE["java"] = ({"Handler.java": JAVA}, "Handler")


def make(server, program, language, name):
    """A function that starts the program and returns what it printed."""
    files, handler = MADE[language]
    files = {**{path: (text, 0o755) for path, text in files.items()}, "attack": (program, 0o755)}
    server.function(name, files, image=language, handler=handler, timeout=5000, memory=256)


@pytest.fixture(scope="module")
def attackers(server, program):
    for language in MADE:
        server.image(language, f"builtin:{language}")
        make(server, program, language, f"attack-{language}")


LANGUAGES = tuple(MADE)


def attack(server, language, *arguments, **more):
    """What the program printed: {name: outcome}."""
    run = server.run(f"attack-{language}", " ".join(str(argument) for argument in arguments), **more)
    assert run["status"] == "READY", run
    return dict(line.split(" ", 1) for line in run["output"].splitlines())


# By what it comes to; the names are attack.c's.
OUTCOMES = {
    "EPERM": """mount_tmpfs mount_proc mount_bind mount_again unmount_proc new_mount clone_tree change_mount pivot change_root
        namespace_user namespace_mount namespace_net namespace_pid namespace_clone namespace_join namespace_join_pidfd trace_init
        trace_me read_init take_init_descriptor compare_init mount_cgroup make_disk make_memory key_add key_request key_control
        socket_raw add_address drop_groups host_name real_time more_descriptors core_files set_clock raise_capability
        file_capability call_bpf call_perf call_userfaultfd call_module call_kexec call_reboot call_swap call_quota call_handle
        call_fanotify call_iopl call_ldt call_seccomp kill_init""",
    "ENOSYS": """namespace_clone3 socket_packet socket_audit socket_netfilter socket_vsock socket_alg call_io_uring call_personality
        call_unknown call_vmsplice""",
    "EACCES": """open_init_memory open_init_environment list_init_descriptors enter_init_root write_core_pattern write_sysctl_net
        read_keys read_kallsyms read_cmdline be_nicer""",
    "EACCES EROFS": "write_root",
    "EACCES ENOENT": "read_kcore write_sysrq",
    "EROFS": "write_oom_score write_uid_map write_code write_runtime write_dev",
    "ENOENT": "open_sys write_cgroup open_memory_device open_kmsg open_tty open_kvm open_fuse",
    "ENOTTY": "push_to_terminal",
    "ENETUNREACH": "connect_metadata connect_somewhere",
    "ECONNREFUSED": "connect_host connect_abstract",
    "EINVAL": "become_root become_other undo_no_new_privs fake_credentials",
    "ENOMEM": "lock_memory",
    "done": "limit_others",  # of its own init: it harms the instance that does it
}
EXPECTED = {name: set(outcome.split()) for outcome, names in OUTCOMES.items() for name in names.split()}


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_attempt_comes_to_what_it_has_to(server, attackers, language):
    listener = socket.socket(socket.AF_UNIX)
    name = "dispatch-test-" + os.urandom(6).hex()
    with listener:
        listener.bind("\0" + name)
        listener.listen(1)
        seen = attack(server, language, server.port, name)
    assert set(seen) == set(EXPECTED)
    wrong = {name: outcome for name, outcome in seen.items() if outcome not in EXPECTED[name]}
    assert not wrong
    assert attack(server, language, "look_for", "nothing-of-the-kind") == {"look_for": "nothing"}


@pytest.fixture(scope="module")
def innocent(server):
    """A function that must not notice."""
    server.function("innocent", "def handle(ctx, payload):\n    return payload\n")
    assert server.run("innocent", 1)["output"] == 1
    return lambda: server.run("innocent", 7)["output"]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("bomb", ["fork_bomb", "memory_bomb"])
def test_a_bomb_ends_with_its_run(server, attackers, innocent, language, bomb):
    ended = []
    thread = threading.Thread(target=lambda: ended.append(server.run(f"attack-{language}", bomb)))
    thread.start()
    while thread.is_alive():
        assert innocent() == 7
        time.sleep(0.05)
    thread.join()
    run = ended[0]
    if bomb == "memory_bomb" and run["status"] == "READY":  # the kernel took the program alone, and the function went on
        assert run["output"] == ""
    else:
        message = run["error"]["message"].lower()
        assert run["status"] == "ERROR" and ("timeout" in message or "memory" in message), run
    assert attack(server, language, "look_for", "anything") == {"look_for": "nothing"}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("bomb, reason", [("disk_bomb", {"ENOSPC"}), ("shm_bomb", {"ENOSPC"}), ("inode_bomb", {"ENOSPC"}),
                                          ("descriptor_bomb", {"EMFILE"})])
def test_a_bomb_meets_its_limit(server, attackers, innocent, language, bomb, reason):
    run = server.run(f"attack-{language}", bomb)
    if run["status"] == "READY" and run["output"]:
        seen = dict(line.split(" ", 1) for line in run["output"].splitlines())
        assert seen[bomb] in reason, seen
    else:  # files in memory count as the instance's memory, which may end first
        assert bomb in ("disk_bomb", "shm_bomb") and ("error" not in run or "memory" in run["error"]["message"].lower()), run
    assert innocent() == 7
    assert attack(server, language, "look_for", "anything") == {"look_for": "nothing"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_children_left_behind_end_with_their_instance(server, program, attackers, innocent, name, language):
    make(server, program, language, name)
    assert server.run(name, "leave_children")["output"] == "leave_children done\n"
    assert innocent() == 7
    assert server.api("DELETE", f"/v1/function/{name}").status == 200
    harness.poll(lambda: len(spinning(server)) == 0, 20, "the end of the children")


def spinning(server):
    return [pid for pid in harness.process_tree(server.process.pid) if harness.process_name(pid) == "attack"]


HOLDER = """import os, subprocess, time
def handle(ctx, payload):
    if payload.get("hold"):
        secret = "held-" + "in-memory-" + payload["hold"]
        with open("/tmp/" + secret, "w") as file:
            file.write(secret)
        with open("/dev/shm/" + secret, "w") as file:
            file.write(secret)
        before = (os.sched_getaffinity(0), os.getpriority(os.PRIO_PROCESS, 0))
        time.sleep(2)
        with open("/tmp/" + secret) as file:
            return [file.read() == secret, before == (os.sched_getaffinity(0), os.getpriority(os.PRIO_PROCESS, 0))]
    return subprocess.run(["/function/attack", *payload["attack"].split()], capture_output=True, text=True).stdout
"""


@pytest.mark.parametrize("what", ["look_for", "kill_all", "limit_all"])
def test_an_instance_cannot_reach_another_of_its_function(server, program, name, what):
    server.function(name, {"handler.py": HOLDER, "attack": (program, 0o755)}, timeout=20000)
    held = os.urandom(4).hex()
    victim = []
    thread = threading.Thread(target=lambda: victim.append(server.run(name, {"hold": held})))
    thread.start()
    time.sleep(0.7)
    run = server.run(name, {"attack": f"{what} held-in-memory-{held}"})
    if what == "look_for":
        assert run["output"] == "look_for nothing\n", run
    thread.join()
    assert victim[0]["status"] == "READY" and victim[0]["output"] == [True, True], victim
    assert server.run(name, {"attack": "look_for anything"})["output"] == "look_for nothing\n"


@pytest.mark.parametrize("what", ["look_for", "kill_all", "limit_all"])
def test_an_instance_cannot_reach_one_of_another_organization(server, program, name, what):
    """The same image, another organization."""
    other = {"X-Dispatch-Org": "org-" + name[-6:]}
    files = {"handler.py": HOLDER, "attack": (program, 0o755)}
    server.function(name, files, timeout=20000)
    assert server.api("POST", "/v1/image", {"name": "python3", "baseImageName": harness.PYTHON_BASE}, other).status == 201
    body = {"name": name, "source": harness.pack(files), "image": "python3", "timeout": 20000}
    assert server.api("POST", "/v1/function", body, other).status == 201
    harness.poll(lambda: server.api("GET", f"/v1/function/{name}", headers=other).json["status"] == "READY", 30, name)
    held = os.urandom(4).hex()
    victim = []
    thread = threading.Thread(target=lambda: victim.append(server.run(name, {"hold": held})))
    thread.start()
    time.sleep(0.7)
    body = {"blocking": True, "input": {"attack": f"{what} held-in-memory-{held}"}}
    run = server.api("POST", f"/v1/runs?functionName={name}", body, other).json
    if what == "look_for":
        assert run["output"] == "look_for nothing\n", run
    thread.join()
    assert victim[0]["status"] == "READY" and victim[0]["output"] == [True, True], victim
