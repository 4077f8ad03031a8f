"""Functions with a network: what they reach, what they do not, and what is left of it."""
import json
import os

import pytest

import harness
import world

pytestmark = pytest.mark.skipif(world.why_not() is not None, reason=str(world.why_not()))

PROBE = r'''
import errno, os, socket, struct, sys, threading, time

def attempt(action):
    """What it gave, or the name of the error."""
    try:
        return action()
    except socket.gaierror as error:
        return "NONAME" if error.errno == socket.EAI_NONAME else "GAI%d" % error.errno
    except socket.timeout:
        return "TIMEOUT"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))

def call(host, port=80, timeout=5):
    """The greeting of who listens there."""
    def action():
        with socket.create_connection((host, port), timeout) as sock:
            return sock.makefile().readline().strip().split(" ")[0]
    return attempt(action)

def resolve(name):
    return attempt(lambda: sorted({item[4][0] for item in socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)}))

def handle(ctx, payload):
    space = dict(globals())
    exec(payload, space)
    return space["result"]
'''


@pytest.fixture(scope="module")
def outside():
    made = world.World()
    try:
        yield made
    finally:
        made.finish()


@pytest.fixture(scope="module")
def server(outside):
    running = world.WorldServer(outside)
    try:
        running.start()
        running.image("python3", harness.PYTHON_BASE)
        yield running
    finally:
        running.finish()


def inside(server, name, **network):
    server.function(name, PROBE, timeout=30000, **({"network": network} if network else {}))

    def evaluate(code):
        run = server.run(name, code if "result" in code else f"result = {code}")
        assert run["status"] == "READY", run
        return run.get("output")
    return evaluate


@pytest.fixture(scope="module")
def free(server):
    """A function that reaches all that is not forbidden."""
    return inside(server, "free", mode="egress")


def test_without_a_network_nothing_is_reached(server):
    none = inside(server, "none")
    assert none("call('198.18.0.10')") == "ENETUNREACH"


def test_the_outside_is_reached_by_address_and_by_name(free):
    assert free("call('198.18.0.10')") == "hello"
    assert free("resolve('allowed.example')") == ["198.18.0.10"]
    assert free("call('other.example')") == "hello"
