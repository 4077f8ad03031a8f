"""What a function can see and do, found out from inside one (threats and outcomes are in SECURITY.md)."""
import json
import os
import socket
import threading

import pytest

import harness

PROBE = r'''
import ctypes, errno, glob, os, socket, stat

def attempt(action):
    """None when it worked, else the name of the error."""
    try:
        action()
        return None
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))
    except Exception as error:
        return type(error).__name__

def status():
    with open("/proc/self/status") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)

def syscall(number, *arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    ctypes.set_errno(0)
    result = libc.syscall(number, *arguments)
    return None if result >= 0 else errno.errorcode.get(ctypes.get_errno(), "?")

def handle(ctx, payload):
    return eval(payload)
'''


@pytest.fixture(scope="module")
def inside(server):
    server.function("inside", PROBE, timeout=20000)

    def evaluate(expression):
        run = server.run("inside", expression)
        assert run["status"] == "READY", run
        return run.get("output")
    return evaluate


def test_the_user_is_none_of_the_hosts(inside):
    uids = inside("[os.getuid(), os.geteuid(), os.getgid(), os.getegid(), os.getgroups()]")
    assert uids[0] == uids[1] and uids[2] == uids[3]
    assert uids[4] == [] or set(uids[4]) <= {uids[2]}
    assert not {"root", "dispatch"} & set(filter(None, [inside("os.environ.get('USER')")]))


def test_there_are_no_capabilities_and_no_new_privileges(inside):
    status = inside("status()")
    for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[key], 16) == 0, (key, status[key])
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"


def test_every_namespace_is_its_own(inside):
    names = ("mnt", "pid", "ipc", "uts", "user", "net")
    seen = inside("{name: os.readlink('/proc/self/ns/' + name) for name in %r}" % (names,))
    for name in names:
        assert seen[name] != os.readlink(f"/proc/self/ns/{name}"), name


def test_other_processes_are_invisible(inside):
    pids = inside("sorted(int(name) for name in os.listdir('/proc') if name.isdigit())")
    assert len(pids) <= 4 and max(pids) < 1000
    lines = inside("[open('/proc/%s/cmdline' % name, 'rb').read().decode() for name in os.listdir('/proc') if name.isdigit()]")
    assert not any("dispatch-server" in line or "state-dir" in line for line in lines)


def test_the_root_is_read_only(inside):
    for path in ("/new", "/etc/new", "/usr/new", "/function/new", "/runtime/new", "/var/new", "/proc/new", "/dev/new"):
        result = inside("attempt(lambda: open(%r, 'w'))" % path)
        assert result in ("EROFS", "EACCES", "EPERM", "ENOENT"), (path, result)
    assert inside("attempt(lambda: os.chmod('/etc/passwd', 0o777))") in ("EROFS", "EPERM")


def test_tmp_is_private_and_small(inside, server):
    assert inside("attempt(lambda: open('/tmp/mine', 'w').write('x'))") is None
    assert not os.path.exists("/tmp/mine")
    size = inside("(lambda s: s.f_blocks * s.f_frsize)(os.statvfs('/tmp'))")
    assert 1 << 20 <= size <= 1 << 30
    flags = inside("os.statvfs('/tmp').f_flag")
    assert flags & os.ST_NOSUID and flags & os.ST_NODEV
    server.function("neighbour", PROBE)
    assert server.run("neighbour", "os.listdir('/tmp')")["output"] == []


def test_no_file_has_more_rights_than_its_caller(inside):
    found = inside("[p for top in ('/usr/bin', '/usr/sbin', '/usr/lib', '/bin') for p in glob.glob(top + '/*')"
                   " if not os.path.islink(p) and os.lstat(p).st_mode & (stat.S_ISUID | stat.S_ISGID) and os.path.isfile(p)]")
    assert found == []


def test_the_hosts_files_are_not_there(inside, server):
    for path in (server.state, "/root", "/home", "/etc/shadow", "/boot", harness.ROOT, "/var/lib/dispatch", "/usr/local/bin"):
        content = inside("attempt(lambda: os.listdir(%r) if os.path.isdir(%r) else open(%r).read())" % (path, path, path))
        empty = inside("os.path.isdir(%r) and os.listdir(%r) == []" % (path, path))
        assert content is not None or empty, path


def test_the_hosts_mounts_are_not_there(inside):
    mounts = inside("open('/proc/self/mountinfo').read()")
    for line in mounts.splitlines():
        target, options = line.split()[4], line.split()[5].split(",")
        assert "ro" in options or target.startswith(("/tmp", "/dev", "/proc")), line
        if target != "/":
            assert "nosuid" in options, line
        assert not target.startswith((harness.ROOT, "/sys", "/home", "/root", "/var/lib/dispatch")), line


def test_there_is_no_network(inside, server):
    assert inside("[name for _, name in socket.if_nameindex()]") in ([], ["lo"])
    for address in ("127.0.0.1", "169.254.169.254", "8.8.8.8"):
        port = server.port if address == "127.0.0.1" else 80
        assert inside("attempt(lambda: socket.create_connection((%r, %d), 1))" % (address, port)) is not None
    assert inside("attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))") in ("EPERM", "EACCES", "ENOSYS")
    assert inside("attempt(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3))") is not None


def test_the_hosts_abstract_sockets_are_out_of_reach(inside):
    listener = socket.socket(socket.AF_UNIX)
    name = "\0dispatch-test-" + os.urandom(6).hex()
    with listener:
        listener.bind(name)
        listener.listen(1)
        result = inside("attempt(lambda: socket.socket(socket.AF_UNIX).connect(%r))" % name)
    assert result in ("ECONNREFUSED", "EPERM", "EACCES")


@pytest.mark.parametrize("what, expression", [
    ("mount", "ctypes.CDLL(None, use_errno=True).mount(b'none', b'/tmp', b'tmpfs', 0, None)"),
    ("umount", "ctypes.CDLL(None, use_errno=True).umount2(b'/proc', 2)"),
    ("chroot", "0 if attempt(lambda: os.chroot('/tmp')) is None else -1"),
    ("unshare user", "ctypes.CDLL(None, use_errno=True).unshare(0x10000000)"),
    ("unshare mount", "ctypes.CDLL(None, use_errno=True).unshare(0x00020000)"),
    ("ptrace the init", "ctypes.CDLL(None, use_errno=True).ptrace(16, 1, 0, 0)"),
    ("become root", "0 if attempt(lambda: os.setuid(0)) is None else -1"),
    ("set the host name", "0 if attempt(lambda: __import__('socket').sethostname('mine')) is None else -1"),
    ("make a device", "0 if attempt(lambda: os.mknod('/tmp/sda', 0o600 | stat.S_IFBLK, 0x800)) is None else -1"),
    ("keyring", "0 if syscall(250, 0, -3, 0) is None else -1"),
    ("bpf", "0 if syscall(321, 0, 0, 0) is None else -1"),
    ("perf", "0 if syscall(298, 0, 0, -1, -1, 0) is None else -1"),
    ("io_uring", "0 if syscall(425, 1, 0) is None else -1"),
    ("userfaultfd", "0 if syscall(323, 0) is None else -1"),
    ("reboot", "0 if syscall(169, 0, 0, 0) is None else -1"),
    ("kexec", "0 if syscall(246, 0, 0, 0, 0) is None else -1"),
    ("open by handle", "0 if syscall(304, 0, 0, 0) is None else -1"),
    ("a kernel module", "0 if syscall(175, 0, 0, 0) is None else -1"),
    ("a higher priority", "0 if attempt(lambda: os.setpriority(os.PRIO_PROCESS, 0, -10)) is None else -1"),
])
def test_what_needs_rights_is_refused(inside, what, expression):
    assert inside(expression) != 0, what


def test_clone3_is_unknown_and_threads_and_children_work(inside):
    assert inside("syscall(435, 0, 0)") == "ENOSYS"
    assert inside("__import__('concurrent.futures').futures.ThreadPoolExecutor(2).submit(lambda: 7).result()") == 7
    assert inside("__import__('subprocess').run(['/bin/sh', '-c', 'echo hi'], capture_output=True, text=True).stdout") == "hi\n"


def test_only_its_own_descriptors_are_open(inside):
    targets = inside("{fd: os.readlink('/proc/self/fd/' + fd) for fd in os.listdir('/proc/self/fd')"
                     " if os.path.lexists('/proc/self/fd/' + fd)}")
    assert len(targets) <= 16, targets
    assert not any("dispatch.db" in target or "secret.key" in target or "cgroup" in target for target in targets.values())


def test_sysctls_and_cgroups_cannot_be_written(inside):
    for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/net/ipv4/ip_forward", "/proc/sysrq-trigger"):
        assert inside("attempt(lambda: open(%r, 'w'))" % path) is not None, path
    assert inside("attempt(lambda: os.listdir('/sys/fs/cgroup'))") is not None or \
        inside("attempt(lambda: os.mkdir('/sys/fs/cgroup/mine'))") is not None


def test_two_instances_of_a_function_have_different_users(server):
    server.function("twins", PROBE + "\nimport time\ndef twin(ctx, payload):\n    time.sleep(0.5)\n"
                    "    return open('/proc/self/uid_map').read().split()\n", handler="handler.twin")
    outputs = []
    threads = [threading.Thread(target=lambda: outputs.append(server.run("twins", None)["output"])) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outputs) == 2 and outputs[0] != outputs[1], outputs


def test_a_child_left_behind_does_not_outlive_its_instance(server):
    code = ("import subprocess\ndef handle(ctx, payload):\n"
            "    subprocess.Popen(['/bin/sleep', '98765'], start_new_session=True)\n    return 1\n")
    server.function("leaver", code)
    assert server.run("leaver")["output"] == 1
    assert server.api("DELETE", "/v1/function/leaver").status == 200

    def sleepers():
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    if b"98765" in file.read() and harness.is_alive(int(pid)):
                        found.append(pid)
            except OSError:
                pass
        return found
    harness.poll(lambda: not sleepers(), 10, "the child's end")
