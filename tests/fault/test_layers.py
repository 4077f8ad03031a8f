"""Layers and sources that somebody removed by hand: noticed, and made again where what they are made of is there."""
import contextlib
import glob
import os
import shutil
import sqlite3

import pytest

import harness

ONE = "def handle(ctx, payload):\n    return 1\n"


@pytest.fixture
def made(fresh):
    fresh.image("python3", harness.PYTHON_BASE)
    fresh.function("one", ONE)
    fresh.endpoint("one", "one", ["/one"])
    assert fresh.run("one")["output"] == 1
    return fresh


def remove(server, pattern):
    found = glob.glob(os.path.join(server.state, "layers", pattern))
    assert found
    for each in found:
        shutil.rmtree(each)
    return found


def answers(server):
    reply = server.gateway("GET", "/one")
    return reply.status == 200 and reply.json == 1


@pytest.mark.parametrize("pattern", ["builtin-python3-*", "fn-*", "*"])
def test_layers_that_are_gone_at_a_start_are_made_again(made, pattern):
    made.stop()
    gone = remove(made, pattern)
    made.start()
    harness.poll(lambda: answers(made), 60, "an answer of the function")
    assert all(os.path.isdir(each) for each in gone)
    assert made.run("one")["output"] == 1


def test_the_layer_of_an_image_that_goes_while_it_serves_is_made_again(made):
    gone = remove(made, "builtin-python3-*")
    reply = made.api("POST", "/v1/function", {"name": "two", "image": "python3", "source": harness.pack({"h.py": ONE})})
    assert reply.status == 201, reply
    found = harness.poll(lambda: ready(made, "two"), 60, "the second function")
    assert found["status"] == "READY" and found["reason"] is None
    assert os.path.isdir(gone[0])


def ready(server, name):
    found = server.api("GET", f"/v1/function/{name}").json
    return found if found["status"] == "READY" else None


@pytest.mark.parametrize("pattern", ["builtin-python3-*", "fn-*"])
def test_a_call_that_finds_its_layer_gone_has_it_made_again(made, pattern):
    made.stop()
    made.start()  # without instances
    remove(made, pattern)
    harness.poll(lambda: answers(made), 60, "an answer of the function")


def test_an_image_whose_layer_has_another_name_now_takes_its_functions_along(made):
    """As after an upgrade of the host's packages: the layer that is made anew has another digest."""
    made.stop()
    gone = remove(made, "builtin-python3-*")[0]
    database = os.path.join(made.state, "server", "dispatch.db")
    owner = os.stat(database)
    old, new = os.path.basename(gone), "builtin-python3-" + "0" * 32
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE resource SET internal = replace(internal, ?, ?)", (old, new))
        connection.commit()
    os.chown(database, owner.st_uid, owner.st_gid)
    made.start()
    harness.poll(lambda: answers(made), 60, "an answer of the function")
    assert made.api("GET", "/v1/image/python3").json["backingObject"]["layers"] == [old]
    assert made.wait_status("function", "one")["status"] == "READY"


def test_a_source_that_is_gone_too_is_said_and_an_update_repairs_it(made):
    made.stop()
    remove(made, "fn-*")
    for source in glob.glob(os.path.join(made.state, "server", "sources", "*")):
        os.unlink(source)
    made.start()
    run = made.run("one")
    assert run["error"]["type"] == "SystemError" and "there is no layer 'fn-" in run["error"]["message"]
    made.update("one", ONE + "# again\n")
    assert made.run("one")["output"] == 1
    made.update("one", ONE)
    assert made.run("one")["output"] == 1
