"""Lists: filters by tag and by field, pages, and where each is refused."""
import http.client
import os
import re
import urllib.parse

import pytest

import harness

HELLO = "def handle(ctx, payload):\n    return payload\n"
NAMES = [f"n{number:02}" for number in range(25)]


def scope():
    """An organization and project of the test's own, so that lists are the test's alone."""
    return {"X-Dispatch-Org": "o" + os.urandom(4).hex(), "X-Dispatch-Project": "p" + os.urandom(4).hex()}


def make(server, headers, name, **fields):
    reply = server.api("POST", "/v1/secret", {"name": name, "secrets": {"k": name}, **fields}, headers)
    assert reply.status == 201, reply


def tags(**values):
    return [{"key": key, "value": value} for key, value in values.items()]


def names(reply):
    assert reply.status == 200, reply
    return [each["name"] for each in reply.json]


def next_of(reply):
    link = reply.headers.get("Link")
    if link is None:
        return None
    found = re.fullmatch(r'<([^<>"]+)>; rel="next"', link)
    assert found, link
    return found[1]


def pages(server, path, headers):
    """The pages of a list, following its links."""
    while path:
        reply = server.api("GET", path, headers=headers)
        assert reply.status == 200, reply
        yield reply.json
        path = next_of(reply)


def test_tags_are_stored_returned_and_replaced(server, name):
    sent = tags(Application="shop", tier="front")
    reply = server.api("POST", "/v1/secret", {"name": name, "secrets": {}, "tags": sent})
    assert reply.json["tags"] == sent
    assert server.api("GET", f"/v1/secret/{name}").json["tags"] == sent
    assert server.api("PUT", f"/v1/secret/{name}", {"secrets": {}, "tags": tags(a="b")}).json["tags"] == tags(a="b")
    assert server.api("PUT", f"/v1/secret/{name}", {"secrets": {}}).json["tags"] is None


def test_all_tags_that_are_asked_for_must_hold(server):
    headers = scope()
    make(server, headers, "a", tags=tags(app="shop", tier="front"))
    make(server, headers, "b", tags=tags(app="shop", tier="back"))
    make(server, headers, "c", tags=tags(app="blog"))
    make(server, headers, "d")
    def asked(*wanted):
        query = urllib.parse.urlencode([("tags", each) for each in wanted])
        return names(server.api("GET", f"/v1/secret?{query}", headers=headers))
    assert asked("app") == ["a", "b", "c"]
    assert asked("app=shop") == ["a", "b"]
    assert asked("app=shop", "tier=back") == ["b"]
    assert asked("app=shop", "tier") == ["a", "b"]
    assert asked("app=shop", "app=blog") == []
    assert asked("app=") == [] and asked("none") == [] and asked("APP") == []
    assert asked("") == ["a", "b", "c", "d"]


@pytest.mark.parametrize("kind, body", [
    ("baseimage", {"dockerUrl": harness.PYTHON_BASE, "language": "python3"}),
    ("image", {"baseImageName": harness.PYTHON_BASE}),
    ("secret", {"secrets": {}}),
    ("endpoint", {"function": "f", "uris": ["/a"]}),
    ("api", {"function": "f", "uris": ["/a"]}),
])
def test_each_kind_has_tags(server, kind, body):
    headers = scope()
    for name, given in (("with", tags(Application="shop")), ("without", None)):
        sent = {**body, "name": name, "tags": given, **({"uris": [f"/{name}"]} if "uris" in body else {})}
        assert server.api("POST", f"/v1/{kind}", sent, headers).status in (200, 201)
    assert names(server.api("GET", f"/v1/{kind}?tags=Application%3Dshop", headers=headers)) == ["with"]


def test_functions_and_runs_have_tags(server, name):
    server.function(name, HELLO, tags=tags(app=name))
    assert names(server.api("GET", f"/v1/function?tags=app%3D{name}")) == [name]
    first = server.run(name, 1, tags=tags(batch="one", mark=name))
    second = server.run(name, 2, tags=tags(batch="two", mark=name))
    assert first["tags"] == tags(batch="one", mark=name)
    server.run(name, 3)
    runs = lambda query: names(server.api("GET", f"/v1/runs?functionName={name}&{query}"))
    assert runs("tags=batch%3Done") == [first["name"]]
    assert runs(f"tags=mark%3D{name}") == [second["name"], first["name"]]
    assert runs("tags=none") == []
    assert server.api("GET", f"/v1/runs/{first['name']}").json["tags"] == first["tags"]


def test_a_run_that_is_not_waited_for_keeps_its_tags(server, name):
    server.function(name, HELLO)
    run = server.run(name, 1, blocking=False, tags=tags(batch="one"))
    assert run["tags"] == tags(batch="one")
    def over():
        found = server.api("GET", f"/v1/runs?functionName={name}&tags=batch%3Done&status=READY").json
        return [each["name"] for each in found] == [run["name"]]
    harness.poll(over, 20, "the run, READY, by its tag")


def test_runs_by_status(server, name):
    server.function(name, "def handle(ctx, payload):\n    return 1 // payload\n")
    good, bad = server.run(name, 1), server.run(name, 0)
    assert bad["status"] == "ERROR"
    runs = lambda status: names(server.api("GET", f"/v1/runs?functionName={name}&status={status}"))
    assert runs("READY") == [good["name"]] and runs("ERROR") == [bad["name"]] and runs("CREATING") == []


def test_runs_since(server, name):
    server.function(name, HELLO)
    run = server.run(name, 1)
    runs = lambda since: names(server.api("GET", f"/v1/runs?functionName={name}&since={since}"))
    assert runs(-62135596800) == runs(0) == runs(run["finishedTime"]) == [run["name"]]
    assert runs(run["finishedTime"] + 3600) == [] and runs(2**63 - 1) == []


def test_images_by_language_functions_by_state_and_endpoints_by_function(server, name):
    server.image(name, harness.NATIVE_BASE)
    assert name in names(server.api("GET", "/v1/image?language=native"))
    assert name not in names(server.api("GET", "/v1/image?language=python3"))
    assert names(server.api("GET", "/v1/image?language=cobol")) == []
    server.function(name, "def handle(\n", wanted="ERROR")
    assert name in names(server.api("GET", "/v1/function?state=ERROR"))
    assert name not in names(server.api("GET", "/v1/function?state=READY"))
    server.endpoint(name, f"f-{name}", [f"/{name}"])
    for kind in ("endpoint", "api"):
        assert names(server.api("GET", f"/v1/{kind}?function=f-{name}")) == [name]
        assert names(server.api("GET", f"/v1/{kind}?function=other")) == []


def test_a_parameter_of_another_list_is_passed_over(server):
    headers = scope()
    make(server, headers, "a")
    assert names(server.api("GET", "/v1/secret?state=nonsense&since=x&unknown=1", headers=headers)) == ["a"]


@pytest.mark.parametrize("path, code, message", [
    ("/v1/secret?limit=abc", 601, 'limit in query must be of type int64: "abc"'),
    ("/v1/secret?limit=1.5", 601, 'limit in query must be of type int64: "1.5"'),
    ("/v1/secret?limit=99999999999999999999", 601, 'limit in query must be of type int64: "99999999999999999999"'),
    ("/v1/secret?limit=0", 606, "limit in query should be greater than or equal to 1"),
    ("/v1/secret?limit=-1", 606, "limit in query should be greater than or equal to 1"),
    ("/v1/runs?limit=abc", 601, 'limit in query must be of type int64: "abc"'),
    ("/v1/runs?since=", None, None),
    ("/v1/runs?since=abc", 601, 'since in query must be of type int64: "abc"'),
    ("/v1/runs?status=DONE", 606,
     "status in query should be one of [INITIALIZED CREATING READY UPDATING ERROR DELETING DELETED]"),
    ("/v1/function?state=ready", 606,
     "state in query should be one of [INITIALIZED CREATING READY UPDATING ERROR DELETING DELETED]"),
    ("/v1/secret?" + "&".join(["tags=a"] * 17), 603, "tags in query should have at most 16 items"),
])
def test_values_that_are_none(server, path, code, message):
    reply = server.api("GET", path)
    if code is None:
        assert reply.status == 200, reply
    else:
        assert (reply.status, reply.json["code"], reply.json["message"]) == (422, code, message)


@pytest.mark.parametrize("query", ["limit=%zz", "a=%"])
def test_a_query_that_is_none(server, query):
    assert server.api("GET", f"/v1/secret?{query}").status == 400


def test_pages(server):
    headers = scope()
    for name in NAMES:
        make(server, headers, name)
    assert names(server.api("GET", "/v1/secret", headers=headers)) == NAMES
    assert server.api("GET", "/v1/secret", headers=headers).headers.get("Link") is None
    for limit in (1, 7, 24, 25, 26, 5000):
        got = list(pages(server, f"/v1/secret?limit={limit}", headers))
        assert [each["name"] for page in got for each in page] == NAMES
        assert all(len(page) == limit for page in got[:-1]) and got[-1], limit
    assert names(server.api("GET", "/v1/secret?limit=", headers=headers)) == NAMES


def test_a_link_keeps_the_other_parameters(server):
    headers = scope()
    for name in NAMES[:9]:
        make(server, headers, name, tags=tags(**{"a b": "c&d", "odd": str(NAMES.index(name) % 2)}))
    query = urllib.parse.urlencode([("limit", 2), ("tags", "a b=c&d"), ("tags", "odd=0"), ("other", '<">')])
    got = list(pages(server, f"/v1/secret?{query}", headers))
    assert [each["name"] for page in got for each in page] == NAMES[0:9:2]
    target = next_of(server.api("GET", f"/v1/secret?{query}", headers=headers))
    kept = urllib.parse.parse_qsl(urllib.parse.urlsplit(target).query)
    assert kept[:-1] == [("limit", "2"), ("tags", "a b=c&d"), ("tags", "odd=0"), ("other", '<">')]
    assert kept[-1][0] == "cursor" and target.startswith("/v1/secret?")


def test_pages_stay_what_they_are_while_entries_come_and_go(server):
    headers = scope()
    for name in NAMES[:10]:
        make(server, headers, name)
    first = server.api("GET", "/v1/secret?limit=4", headers=headers)
    assert names(first) == NAMES[:4]
    for gone in (NAMES[0], NAMES[3], NAMES[5]):
        assert server.api("DELETE", f"/v1/secret/{gone}", headers=headers).status == 204
    make(server, headers, "a-before")
    make(server, headers, "n04a")
    rest = [each["name"] for page in pages(server, next_of(first), headers) for each in page]
    assert rest == [NAMES[4], "n04a"] + NAMES[6:10]


def test_a_cursor_of_another_list_or_that_was_changed_is_refused(server):
    headers, others = scope(), scope()
    for name in NAMES[:3]:
        make(server, headers, name)
    target = next_of(server.api("GET", "/v1/secret?limit=1", headers=headers))
    cursor = target.split("cursor=")[1]
    def refused(path, headers=headers):
        reply = server.api("GET", path, headers=headers)
        assert reply.status == 400 and reply.json["code"] == 400 and "cursor" in reply.json["message"], reply
    for place in range(0, len(cursor), 7):
        refused("/v1/secret?cursor=" + cursor[:place] + ("0" if cursor[place] != "0" else "1") + cursor[place + 1:])
    for wrong in ("x", "00", cursor[:-2], cursor + "61", "a" * 4000, "%00", NAMES[0]):
        refused(f"/v1/secret?cursor={wrong}")
    refused(f"/v1/secret?cursor={cursor}", others)
    refused(f"/v1/image?cursor={cursor}")
    refused(f"/v1/runs?cursor={cursor}")


def test_a_cursor_outlives_the_server(fresh):
    headers = scope()
    for name in NAMES[:3]:
        make(fresh, headers, name)
    target = next_of(fresh.api("GET", "/v1/secret?limit=1", headers=headers))
    fresh.restart()
    assert [each["name"] for page in pages(fresh, target, headers) for each in page] == NAMES[1:3]


def test_pages_of_base_images_are_the_organizations(server):
    headers = scope()
    for name in NAMES[:3]:
        body = {"name": name, "dockerUrl": harness.PYTHON_BASE, "language": "python3"}
        assert server.api("POST", "/v1/baseimage", body, headers).status == 201
    for project in ("one", "two"):
        got = list(pages(server, "/v1/baseimage?limit=2", {**headers, "X-Dispatch-Project": project}))
        assert [[each["name"] for each in page] for page in got] == [NAMES[:2], NAMES[2:3]]


def test_pages_of_runs_while_others_come(server, name):
    server.function(name, HELLO)
    made = [server.run(name, number)["name"] for number in range(5)]
    path = f"/v1/runs?functionName={name}&limit=2"
    first = server.api("GET", path)
    assert names(first) == [made[4], made[3]]
    server.run(name, 5)
    rest = [each["name"] for page in pages(server, next_of(first), {}) for each in page]
    assert rest == made[2::-1]
    every = [each["name"] for page in pages(server, path, {}) for each in page]
    assert len(every) == 6 and len(set(every)) == 6


def test_a_list_without_limit_is_bounded_and_says_so(server, name):
    """1000 runs are the most that one reply has; the rest is behind the link."""
    server.function(name, HELLO)
    server.endpoint(name, name, [f"/{name}"])
    connection = http.client.HTTPConnection("127.0.0.1", server.gateway_port, timeout=30 * harness.PATIENCE)
    for _ in range(1003):
        connection.request("GET", f"/{name}", headers={"Host": harness.DEFAULT_HOST})
        assert connection.getresponse().read()
    connection.close()
    reply = harness.poll(lambda: (got := server.api("GET", f"/v1/runs?functionName={name}")).headers.get("Link") and got,
                         20, "more than a page of runs")
    assert len(reply.json) == 1000
    rest = server.api("GET", next_of(reply))
    assert len(rest.json) == 3 and rest.headers.get("Link") is None
    assert len({each["name"] for each in reply.json + rest.json}) == 1003
