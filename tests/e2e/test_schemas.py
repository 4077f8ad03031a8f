"""Schemas of functions: a bad one is refused when the function is made; inputs and outputs are held to a good one, in both
forms of a run and at endpoints; updates and restarts keep and change them."""
import json
import threading
import time

import pytest

import harness

ECHO = "def handle(ctx, payload):\n    return payload\n"
RAN = "import sys\ndef handle(ctx, payload):\n    print('ran')\n    print('oops', file=sys.stderr)\n    return payload['value']\n"
PERSON = {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "required": ["name"],
          "properties": {"name": {"type": "string", "minLength": 1}, "age": {"type": "integer", "minimum": 0}},
          "additionalProperties": False}
OLD = {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"n": {"type": "integer"}},
       "items": [{"$ref": "#/definitions/n"}], "additionalItems": False}


def refusal(server, schema, field="in"):
    body = {"name": "refused", "image": "python3", "source": harness.pack({"handler.py": ECHO}), "schema": {field: schema}}
    reply = server.api("POST", "/v1/function", body)
    assert reply.status == 422, reply
    assert server.api("GET", "/v1/function/refused").status == 404
    return reply.json["message"]


@pytest.fixture(scope="module")
def person(server):
    server.function("person", ECHO, schema={"in": PERSON, "out": None})
    server.endpoint("person", "person", ["/person"], ["GET", "POST"])
    return server


@pytest.mark.parametrize("schema, place, why", [
    ({"type": "objekt"}, "#/type", "schemas"),
    ({"properties": {"a": {"minimum": "0"}}}, "#/properties/a/minimum", "number"),
    ({"properties": {"a": {"pattern": "("}}}, "#/properties/a", "parenthes"),
    ({"properties": {"a": {"pattern": "a++"}}}, "#/properties/a", "nothing to repeat"),
    ({"pattern": "^\\Z"}, "#: pattern", "ECMA-262"),
    ({"$ref": "https://example.com/other.json"}, "$ref", "nothing is fetched"),
    ({"$ref": "#/$defs/gone"}, "$ref", "'/$defs/gone', which is not there"),
    ({"$ref": "#"}, "#", "never ends"),
    ({"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"anyOf": [{"$ref": "#"}]}}}, "#", "never ends"),
    ({"$schema": "http://json-schema.org/draft-04/schema#", "exclusiveMinimum": True, "minimum": 0}, "$schema", "draft-07"),
    ({"$schema": "https://example.com/mine"}, "$schema", "2020-12"),
    ({"required": ["a", "a"]}, "#/required", "are the same"),
    ({"multipleOf": 0}, "#/multipleOf", "greater than 0"),
])
def test_a_bad_schema_is_refused_with_its_place_and_why(server, schema, place, why):
    for field in ("in", "out"):
        text = refusal(server, schema, field)
        assert text.startswith(f"schema.{field}: ") and place in text and why in text


def test_an_update_with_a_bad_schema_changes_nothing(server, name):
    server.function(name, ECHO, schema={"in": PERSON})
    sent = {"name": name, "image": "python3", "source": harness.pack({"handler.py": ECHO}), "schema": {"in": {"type": 1}}}
    assert server.api("PUT", f"/v1/function/{name}", sent).status == 422
    assert server.api("GET", f"/v1/function/{name}").json["schema"]["in"] == PERSON
    assert server.run(name, 1)["error"]["type"] == "InputError"


@pytest.mark.parametrize("value, place, why", [
    (None, '""', "of type object, not null"),
    ([1], '""', "not array"),
    ({"age": 1}, '""', 'the member "name" is missing'),
    ({"name": ""}, '"/name"', "at least 1 characters"),
    ({"name": "x", "age": 1.5}, '"/age"', "of type integer, not number"),
    ({"name": "x", "age": -1}, '"/age"', "at least 0"),
    ({"name": "x", "a/b~": 1}, '"/a~1b~0"', "not allowed"),
])
def test_an_input_that_violates_the_schema_is_an_input_error(person, value, place, why):
    run = person.run("person", value)
    assert run["status"] == "ERROR" and run["error"]["type"] == "InputError"
    message = run["error"]["message"]
    assert message.startswith(f"the input violates schema.in at {place}: ") and why in message and "(#" in message
    assert run["logs"] == {"stdout": None, "stderr": None} and "output" not in run


def test_an_input_that_fits_runs(person):
    assert person.run("person", {"name": "x", "age": 3.0})["output"] == {"name": "x", "age": 3.0}


def test_the_message_form_of_a_run_says_the_same(person):
    message = person.message("person", b'{"name": 1}')
    assert message["context"]["error"]["type"] == "InputError" and message["payload"] is None
    assert 'at "/name": it must be of type string, not integer' in message["context"]["error"]["message"]
    assert person.message("person", b'{"name": "n"}')["payload"] == {"name": "n"}
    assert person.message("person", b"name: y\n", "application/yaml")["payload"] == {"name": "y"}


def test_an_endpoint_answers_400(person):
    reply = person.gateway("POST", "/person", {"name": "x", "age": "old"})
    assert reply.status == 400 and reply.json["code"] == 400
    assert reply.json["error"]["type"] == "InputError" and 'at "/age"' in reply.json["message"]
    assert person.gateway("POST", "/person", {"name": "x"}).json == {"name": "x"}


def test_a_query_and_a_form_are_held_to_the_schema_as_objects(person):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert person.gateway("GET", "/person?name=a%20b").json == {"name": "a b"}
    assert person.gateway("POST", "/person", b"name=a+b", form).json == {"name": "a b"}
    for reply in (person.gateway("GET", "/person?name=a&name=b"), person.gateway("POST", "/person", b"name=a&name=b", form)):
        assert reply.status == 400 and 'at "/name": it must be of type string, not array' in reply.json["message"]
    assert person.gateway("GET", "/person").status == 400
    assert 'at "/age": it must be of type integer, not string' in person.gateway("GET", "/person?name=a&age=1").json["message"]


def test_bytes_are_no_json(person):
    reply = person.gateway("POST", "/person", b"\x00\x01", {"Content-Type": "application/octet-stream"})
    assert reply.status == 400 and "not JSON" in reply.json["message"] and "schema.in" in reply.json["message"]
    reply = person.gateway("POST", "/person", b'{"name":', {"Content-Type": "application/json"})
    assert reply.status == 400 and reply.json["message"] == "request body is not json"
    assert "duplicate" in person.message("person", b'{"name":"a","name":"b"}')["context"]["error"]["message"]


def test_text_of_a_run_is_a_string(server, name):
    server.function(name, ECHO, schema={"in": {"type": "string", "pattern": "^a+$"}})
    assert server.message(name, b"aaa", "text/plain")["payload"] == "aaa"
    assert "does not match" in server.message(name, b"aab", "text/plain")["context"]["error"]["message"]


def test_no_input_is_null_and_may_be_allowed(server, name):
    server.function(name, ECHO, schema={"in": {"type": ["null", "object"]}})
    run = server.run(name, None)
    assert run["status"] == "READY" and run.get("output") is None
    assert server.message(name)["payload"] is None


@pytest.mark.parametrize("schema", [{"in": None, "out": None}, {"in": {}, "out": {}}, {}])
def test_no_schema_and_an_empty_one_let_everything_through(server, name, schema):
    server.function(name, ECHO, schema=schema)
    assert server.run(name, [1, "x"])["output"] == [1, "x"]
    assert server.message(name, b"\x00\xff", "application/octet-stream")["payload"] is not None


def test_an_output_that_violates_the_schema_is_a_function_error_with_logs(server, name):
    server.function(name, RAN, schema={"out": {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}})
    server.endpoint(name, name, [f"/{name}"], ["POST"])
    assert server.run(name, {"value": [1, 2]})["output"] == [1, 2]
    run = server.run(name, {"value": [1, "x"]})
    assert run["status"] == "ERROR" and run["error"]["type"] == "FunctionError" and "output" not in run
    assert 'the output violates schema.out at "/1": it must be of type integer, not string' in run["error"]["message"]
    assert run["logs"] == {"stdout": ["ran"], "stderr": ["oops"]}
    message = server.message(name, b'{"value": [1, 1.0]}')
    assert message["context"]["error"]["type"] == "FunctionError" and message["payload"] is None
    assert "the items 0 and 1 are the same" in message["context"]["error"]["message"]
    assert message["context"]["logs"]["stdout"] == ["ran"]
    reply = server.gateway("POST", f"/{name}", {"value": {}})
    assert reply.status == 500 and reply.json["error"]["type"] == "FunctionError"
    assert server.gateway("POST", f"/{name}", {"value": [3]}).json == [3]


def test_bytes_as_output_are_no_json(server, name):
    server.function(name, "def handle(ctx, payload):\n    return b'\\x00\\x01'\n", schema={"out": {"type": "string"}})
    assert "the output is not JSON" in server.run(name, 1)["error"]["message"]


def test_an_error_of_the_handler_is_not_held_to_the_schema(server, name):
    server.function(name, "def handle(ctx, payload):\n    raise ValueError('mine')\n", schema={"out": {"type": "object"}})
    error = server.run(name, 1)["error"]
    assert error["type"] == "InputError" and "mine" in error["message"]


def test_draft_07_is_another_dialect(server, name):
    server.function(name, ECHO, schema={"in": OLD})
    assert server.run(name, [1])["output"] == [1]
    assert 'at "/0"' in server.run(name, ["x"])["error"]["message"]
    assert 'at "/1"' in server.run(name, [1, 2])["error"]["message"]


def test_an_update_of_a_schema_takes_effect(server, name):
    server.function(name, ECHO, schema={"in": {"type": "integer"}})
    assert server.run(name, "x")["error"]["type"] == "InputError"
    server.update(name, ECHO, schema={"in": {"type": "string"}})
    assert server.run(name, "x")["output"] == "x"
    assert server.run(name, 1)["error"]["type"] == "InputError"
    server.update(name, ECHO, schema={"in": None, "out": None})
    assert [server.run(name, value)["output"] for value in (1, "x")] == [1, "x"]


def test_a_run_that_nobody_waits_for_is_checked_too(server, name):
    server.function(name, ECHO, schema={"in": {"type": "integer"}})
    run = server.run(name, "x", blocking=False)["name"]
    found = harness.poll(lambda: [r for r in [server.api("GET", f"/v1/runs/{run}?functionName={name}").json]
                                  if r["status"] in ("READY", "ERROR")], what="the run")[0]
    assert found["status"] == "ERROR" and found["error"]["type"] == "InputError"


def test_a_restart_keeps_the_schemas(fresh):
    fresh.image("python3", harness.PYTHON_BASE)
    fresh.function("kept", ECHO, schema={"in": PERSON, "out": {"required": ["age"]}})
    fresh.restart()
    fresh.wait_status("function", "kept")
    assert fresh.api("GET", "/v1/function/kept").json["schema"] == {"in": PERSON, "out": {"required": ["age"]}}
    assert fresh.run("kept", {})["error"]["type"] == "InputError"
    assert fresh.run("kept", {"name": "x"})["error"]["type"] == "FunctionError"
    assert fresh.run("kept", {"name": "x", "age": 1})["output"] == {"name": "x", "age": 1}


@pytest.mark.parametrize("schema, value", [
    ({"pattern": "^(a+)+$"}, "a" * 40 + "b"),
    ({"pattern": "(x+x+)+[yz]"}, "x" * 20000),
    ({"pattern": "(.*)*(.*)*(.*)*[yz]"}, "x" * 3000),
    ({"pattern": "x*[yz]"}, "x" * 1000000),
    ({"$defs": {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(30)} | {"d30": {"type": "integer"}},
      "$ref": "#/$defs/d0"}, 1),
], ids=["nested", "doubled", "stars", "quadratic", "references"])
def test_what_was_made_to_be_slow_ends_at_a_bound_that_is_named(server, name, schema, value):
    server.function(name, ECHO, schema={"in": schema})
    error = server.run(name, value)["error"]
    assert error["type"] == "InputError" and "cannot be checked against schema.in" in error["message"]
    assert "limit of" in error["message"]


def test_what_is_large_and_honest_passes(server, name):
    """More than a loop has time for, in both directions."""
    items = {"type": "array", "uniqueItems": True, "items": {"type": "object", "required": ["id"], "properties": {
        "id": {"type": "integer", "minimum": 0}, "name": {"type": "string", "pattern": "^item [0-9]+$"}}}}
    server.function(name, "def handle(ctx, payload):\n    return payload if len(payload) > 1 else payload * 2\n",
                    schema={"in": items, "out": items})
    value = [{"id": i, "name": f"item {i}"} for i in range(50000)]
    assert server.run(name, value)["output"] == value
    value[49999]["name"] = "nothing"
    assert 'schema.in at "/49999/name": it does not match' in server.run(name, value)["error"]["message"]
    run = server.run(name, [{"id": 1, "more": "x" * 50000}])
    assert run["error"]["type"] == "FunctionError" and "the items 0 and 1 are the same" in run["error"]["message"]


def test_a_slow_check_does_not_hold_up_others(server, name):
    """While one caller after the other asks for what ends at the bound, the others are answered."""
    server.function(name, ECHO, schema={"in": {"pattern": "^(a+)+$"}})
    server.function(name + "-other", ECHO)
    over = time.monotonic() + 2

    def attack():
        while time.monotonic() < over:
            server.run(name, "a" * 40 + "b")

    attackers = [threading.Thread(target=attack) for _ in range(4)]
    for attacker in attackers:
        attacker.start()
    answers = 0
    while time.monotonic() < over:
        assert server.run(name + "-other", 1)["output"] == 1
        answers += 1
    for attacker in attackers:
        attacker.join()
    assert answers > 0


def test_the_command_line_sends_schemas(server, name, tmp_path):
    (tmp_path / "f.py").write_text(ECHO)
    (tmp_path / "in.json").write_text(json.dumps(PERSON))
    (tmp_path / "bad.json").write_text(json.dumps({"type": "objekt"}))
    bad = server.cli("create", "function", name, str(tmp_path / "f.py"), "--image", "python3", "--handler", "f.handle",
                     "--schema-in", str(tmp_path / "bad.json"), check=False)
    assert bad.returncode == 1 and "schema.in: #/type" in bad.stderr
    server.cli("create", "function", name, str(tmp_path / "f.py"), "--image", "python3", "--handler", "f.handle",
               "--schema-in", str(tmp_path / "in.json"))
    server.wait_status("function", name)
    assert server.run(name, {"age": 1})["error"]["type"] == "InputError"
