"""Events, identities, services: exact requests and texts; the server of this version answers 501 to them."""
import json
import re

import pytest

T = 1538689412  # Thu Oct  4 21:43:32 UTC 2018
DATE = "Thu Oct  4 21:43:32 UTC 2018"
RULES = [{"actions": ["get"], "resources": ["*"], "subjects": ["u@example.com"]}]

OBJECTS = {
    "subscription": ("event/subscriptions", {"createdTime": T, "eventType": "a.b", "function": "f", "name": "x", "status": "READY"},
                     ["NAME", "EVENT TYPE", "FUNCTION NAME", "STATUS", "CREATED DATE"], ["x", "a.b", "f", "READY", DATE]),
    "eventdrivertype": ("event/drivertypes", {"image": "i", "expose": True, "name": "x", "created-time": T},
                        ["NAME", "IMAGE", "EXPOSE"], ["x", "i", "true"]),
    "eventdriver": ("event/drivers", {"config": [{"key": "k", "value": "v"}, {"key": "flag"}], "name": "x", "reason": ["r1", "r2"],
                                      "secrets": ["s1", "s2"], "url": "http://u", "status": "READY", "type": "t"},
                    ["NAME", "TYPE", "STATUS", "SECRETS", "CONFIG", "URL", "REASON"],
                    ["x", "t", "READY", "s1,s2", "k=v", "http://u", "r1, r2"]),
    "serviceinstance": ("serviceinstance", {"binding": {"status": "READY"}, "name": "x", "serviceClass": "c", "servicePlan": "p",
                                            "status": "ERROR"},
                        ["NAME", "CLASS", "PLAN", "PROVISIONED", "BOUND", "STATUS"], ["x", "c", "p", "false", "true", "ERROR"]),
    "serviceclass": ("serviceclass", {"bindable": True, "broker": "b", "name": "x", "plans": [{"name": "p1"}, {"name": "p2"}],
                                      "status": "READY"},
                     ["NAME", "BROKER", "BINDABLE", "PLANS", "STATUS"], ["x", "b", "true", "p1 p2", "READY"]),
    "application": ("application", {"name": "x", "status": "READY", "createdTime": T}, ["NAME", "STATUS", "CREATED DATE"],
                    ["x", "READY", DATE]),
    "iam organization": ("iam/organization", {"name": "x", "createdTime": T}, ["NAME", "CREATED DATE"], ["x", DATE]),
    "iam serviceaccount": ("iam/serviceaccount", {"name": "x", "createdTime": T, "publicKey": "a2V5"}, ["NAME", "CREATED DATE"],
                           ["x", DATE]),
    "iam policy": ("iam/policy", {"name": "x", "createdTime": T, "global": True, "rules": RULES}, ["NAME", "GLOBAL", "CREATED DATE"],
                   ["x", "true", DATE]),
}


def command(verb, kind):
    return ["iam", verb, kind[4:]] if kind.startswith("iam ") else [verb, kind]


def cells(line):
    return [cell.strip() for cell in line.split("|")]


@pytest.mark.parametrize("kind", OBJECTS)
def test_tables_of_one_and_of_all(api, dispatch, kind):
    path, document, titles, row = OBJECTS[kind]
    api.reply("GET", f"/v1/{path}", [document])
    api.reply("GET", f"/v1/{path}/x", document)
    for arguments in ([], ["x"]):
        result = dispatch(*command("get", kind), *arguments)
        lines = [line for line in result.out.splitlines() if not line.startswith("Note:")]
        assert result.err == "" and cells(lines[0]) == titles and cells(lines[2]) == row
    assert api.lines == [f"GET /v1/{path}", f"GET /v1/{path}/x"]
    assert api.last.headers["Cookie"] == "unset"
    assert json.loads(dispatch(*command("get", kind), "-o", "json").out)[0].items() >= document.items()
    assert dispatch(*command("get", kind), "-o", "name", "--no-headers", "--sort-by", "name").out == "x\n"
    assert "\nname: x\n" in "\n" + dispatch(*command("get", kind), "x", "-o", "yaml").out


def test_drivers_have_a_line_for_each_setting_and_dashes_between(api, dispatch):
    api.reply("GET", "/v1/event/drivers", [OBJECTS["eventdriver"][1]])
    lines = dispatch("get", "event-drivers").out.splitlines()
    assert cells(lines[3]) == ["", "", "", "", "flag", "", ""] and set(lines[4]) == {"-"}


def test_policies_show_their_rules_when_wide(api, dispatch):
    api.reply("GET", "/v1/iam/policy", [OBJECTS["iam policy"][1]])
    plain = dispatch("iam", "get", "policies").out
    assert plain.startswith("Note: rule contents are omitted, please use --wide or -w to print them\n")
    for flag in ("-w", "--wide", "-owide"):
        wide = dispatch("iam", "get", "policies", flag).out
        assert "Note" not in wide and cells(wide.splitlines()[0])[3] == "RULES"
        assert json.loads("".join(cells(line)[3] for line in wide.splitlines()[2:])) == RULES


@pytest.mark.parametrize("kind,text", [
    ("subscription", "Deleted subscription"), ("eventdrivertype", "Deleted driver types"), ("eventdriver", "Deleted drivers"),
    ("serviceinstance", "Deleted service instance"), ("application", "Deleted application"),
    ("iam organization", "Deleted Organization"), ("iam policy", "Deleted policy"), ("iam serviceaccount", "Deleted ServiceAccount")])
def test_deletes(api, dispatch, kind, text):
    api.reply("DELETE", f"/v1/{OBJECTS[kind][0]}/x", {"name": "x"})
    assert dispatch(*command("delete", kind), "x").out == f"{text}: x\n"


def test_create_subscription(api, dispatch):
    api.reply("POST", "/v1/event/subscriptions", {"name": "x"}, status=201)
    result = dispatch("create", "subscription", "f", "--name", "n", "--event-type", "a.b", "--secret", "s1,s2", "--secret", "s3")
    assert result.out == "created subscription: x\n"
    assert api.last.body == b'{"eventType":"a.b","function":"f","name":"n","secrets":["s1","s2","s3"],"tags":null}'
    assert dispatch("create", "subscriptions", "f").code == 0
    body = api.last.json
    assert re.fullmatch(r"[a-z]+-[a-z]+-\d{6}", body.pop("name")) and body == {"eventType": "", "function": "f", "secrets": [], "tags": None}


def test_create_driver_types_and_drivers(api, dispatch):
    api.reply("POST", "/v1/event/drivertypes", {"name": "t"}, status=201)
    assert dispatch("create", "event-driver-type", "t", "img").out == "Created event driver type: t\n"
    assert api.last.body == b'{"config":null,"image":"img","expose":true,"name":"t","tags":[]}'
    assert dispatch("create", "eventdriver-types", "t", "img", "--expose=false").code == 0 and api.last.json["expose"] is False
    api.reply("POST", "/v1/event/drivers", {"name": "d"}, status=201)
    result = dispatch("create", "eventdriver", "t", "--name", "d", "-s", "a=1,2", "--set", "b", "--set", "c=d=e", "--secret", "s")
    assert (result.out, result.code) == ("Created event driver: d\n", 0)
    assert result.err == "Invalid Configuration Format, should be --set key=value or --set key\n"
    assert api.last.body == (b'{"config":[{"key":"a","value":"1,2"},{"key":"b"}],"name":"d","reason":null,"secrets":["s"],'
                             b'"expose":false,"tags":[],"type":"t"}')
    assert dispatch("create", "eventdriver", "t").code == 0
    assert api.last.json["config"] is None and re.fullmatch(r"[a-z]+-[a-z]+-\d{6}", api.last.json["name"])


def test_a_refused_vcenter_driver_has_a_note(api, dispatch):
    result = dispatch("create", "eventdriver", "vcenter")
    lines = result.err.splitlines()
    assert result.code == 1 and lines[0].startswith("Note: vcenter") and lines[1] == "[Code: 404] nothing here"


def test_emit(api, dispatch, tmp_path):
    api.reply("POST", "/v1/event", {})
    assert dispatch("emit", "a.b", "--data", '{"x": [1]}', "--content-type", "text/x").out == "event emitted\n"
    event = api.last.json
    assert list(event) == ["eventType", "cloudEventsVersion", "source", "eventID", "eventTime", "contentType", "data"]
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", event.pop("eventID"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event.pop("eventTime"))
    assert event == {"eventType": "a.b", "cloudEventsVersion": "0.1", "source": "dispatch", "contentType": "application/json",
                     "data": {"x": [1]}}
    (tmp_path / "d.json").write_text("7")
    assert dispatch("emit", "e", "--data-from-file", "d.json", "--event-id", "i", "--event-type-version", "2", "--source-id", "s",
                    "--event-schema-url", "http://s").code == 0
    assert list(api.last.json) == ["eventType", "eventTypeVersion", "cloudEventsVersion", "source", "eventID", "eventTime", "schemaURL",
                                   "contentType", "data"]
    assert api.last.json["contentType"] == "text/plain; charset=utf-8" and api.last.json["data"] == 7
    (tmp_path / "raw").write_bytes(b"\xff\x00")
    assert dispatch("emit", "e", "--data-from-file", "raw", "--binary").code == 0
    assert api.last.json["data"] == "/wA=" and api.last.json["contentType"] == "application/octet-stream"
    assert dispatch("emit", "e").code == 0 and not {"data", "contentType"} & set(api.last.json)


@pytest.mark.parametrize("args,message", [
    (["--data", "no"], "unexpected error received from server: json: error calling MarshalJSON for type json.RawMessage: "),
    (["--data-from-file", "raw"], "unexpected error received from server: json: error calling MarshalJSON for type json.RawMessage: "),
    (["--data-from-file", "none"], "Error reading event data: open none: no such file or directory"),
    (["--data", "1", "--data-from-file", "raw"], "Error reading event data: --data and --data-from-file are mutually exclusive")])
def test_emit_sends_nothing_bad(api, dispatch, tmp_path, args, message):
    (tmp_path / "raw").write_bytes(b"\xff\x00")
    result = dispatch("emit", "e", *args)
    assert result.code == 1 and result.err.startswith(message) and api.requests == []


def test_create_identities(api, dispatch, tmp_path):
    for path in ("organization", "policy", "serviceaccount"):
        api.reply("POST", f"/v1/iam/{path}", {"name": "x"}, status=201)
    assert dispatch("iam", "create", "organization", "x").out == "Created organization: x\n"
    assert api.last.body == b'{"name":"x"}'
    result = dispatch("iam", "create", "policy", "x", "-s", "a,b", "-s", "c", "-a", "get", "-r", "*", "--global")
    assert result.out == "Created policy: x\n"
    assert api.last.body == (b'{"global":true,"name":"x","rules":[{"actions":["get"],"resources":["*"],"subjects":["a","b","c"]}]}')
    dispatch("iam", "create", "policy", "x")
    assert api.last.body == b'{"name":"x","rules":[{"actions":[""],"resources":[""],"subjects":[""]}]}'
    (tmp_path / "k.pem").write_text("key")
    assert dispatch("iam", "create", "serviceaccount", "x", "--public-key", "k.pem").out == "Create service account: x\n"
    assert api.last.body == b'{"name":"x","publicKey":"a2V5"}'
    count = len(api.requests)
    missing = dispatch("iam", "create", "serviceaccount", "x")
    assert (missing.code, missing.err) == (1, "Error reading public key file: open : no such file or directory\n")
    assert len(api.requests) == count


def test_create_service_instance(api, dispatch):
    api.reply("POST", "/v1/serviceinstance", {"name": "x"}, status=201)
    result = dispatch("create", "serviceinstance", "x", "c", "p", "--params", '{"a": 1}', "--secret", "s", "--binding-params", "[]",
                      "--binding-secret", "t,u", "--binding-secret-key", "k")
    assert result.out == "Created serviceinstance: x\n"
    assert api.last.body == (b'{"binding":{"bindingSecret":"k","parameters":[],"reason":null,"secretParameters":["t","u"]},"name":"x",'
                             b'"parameters":{"a":1},"reason":null,"secretParameters":["s"],"serviceClass":"c","servicePlan":"p","tags":null}')
    assert dispatch("create", "serviceinstance", "x", "c", "p", "--params", "{").code == 1


def test_what_the_server_does_not_have_is_said(api, dispatch):
    api.reply("GET", "/v1/event/subscriptions", {"code": 501, "message": "Subscription is not implemented in this version of Dispatch"},
              status=501)
    result = dispatch("get", "subscriptions")
    assert (result.code, result.err) == (1, "[Code: 501] Subscription is not implemented in this version of Dispatch\n")
