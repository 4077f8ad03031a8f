"""Revisions, entity tags and the conditions of RFC 9110: an update made from an old copy undoes nothing."""
import concurrent.futures

import pytest

import harness

HELLO = "def handle(ctx, payload):\n    return 1\n"
KINDS = ("baseimage", "image", "function", "secret", "endpoint", "api")


def body_of(kind, name):
    return {
        "baseimage": {"name": name, "dockerUrl": harness.PYTHON_BASE, "language": "python3"},
        "image": {"name": name, "baseImageName": harness.PYTHON_BASE},
        "function": {"name": name, "source": harness.pack({"hello.py": HELLO}), "image": "python3"},
        "secret": {"name": name, "secrets": {"a": "b"}},
        "endpoint": {"name": name, "function": "any", "uris": [f"/{name}"], "methods": ["GET"], "enabled": True},
        "api": {"name": name, "function": "any", "uris": [f"/{name}"], "methods": ["GET"], "enabled": True},
    }[kind]


def make(server, kind, name):
    """Created and settled; the reply of a GET."""
    reply = server.api("POST", f"/v1/{kind}", body_of(kind, name))
    assert reply.status in (200, 201), reply
    assert reply.headers["ETag"]
    if kind in ("baseimage", "image", "function"):
        server.wait_status(kind, name)
    return server.api("GET", f"/v1/{kind}/{name}")


@pytest.mark.parametrize("kind", KINDS)
def test_the_tag_of_a_reply_serves_one_update(server, name, kind):
    got = make(server, kind, name)
    assert isinstance(got.json["revision"], str) and got.json["revision"]
    update = {key: value for key, value in body_of(kind, name).items() if key != "source"}
    first = server.api("PUT", f"/v1/{kind}/{name}", update, {"If-Match": got.headers["ETag"]})
    assert first.status in (200, 201), first
    assert first.headers["ETag"] != got.headers["ETag"]
    assert first.json["revision"] != got.json["revision"]
    again = server.api("PUT", f"/v1/{kind}/{name}", update, {"If-Match": got.headers["ETag"]})
    assert again.status == 412 and again.json["code"] == 412 and "If-Match" in again.json["message"], again
    assert server.api("DELETE", f"/v1/{kind}/{name}", headers={"If-Match": got.headers["ETag"]}).status == 412
    assert server.api("PUT", f"/v1/{kind}/{name}", update, {"If-Match": first.headers["ETag"]}).status in (200, 201)


@pytest.mark.parametrize("kind", KINDS)
def test_a_read_with_the_tag_it_has_is_a_304(server, name, kind):
    got = make(server, kind, name)
    again = server.api("GET", f"/v1/{kind}/{name}", headers={"If-None-Match": got.headers["ETag"]})
    assert (again.status, again.body, again.headers["ETag"]) == (304, b"", got.headers["ETag"])
    weak = server.api("GET", f"/v1/{kind}/{name}", headers={"If-None-Match": f'"x", W/{got.headers["ETag"]}'})
    assert weak.status == 304
    assert server.api("GET", f"/v1/{kind}/{name}", headers={"If-None-Match": "*"}).status == 304
    assert server.api("GET", f"/v1/{kind}/{name}", headers={"If-None-Match": '"x"'}).status == 200
    assert server.api("GET", f"/v1/{kind}/none-such", headers={"If-None-Match": "*"}).status == 404


def test_a_304_never_hides_that_a_status_moved(server, name):
    made = server.api("POST", "/v1/function", body_of("function", name))
    tags = {made.headers["ETag"]}
    def ready():
        reply = server.api("GET", f"/v1/function/{name}", headers={"If-None-Match": ", ".join(tags)})
        assert reply.status == 200, "it was not seen READY yet"
        tags.add(reply.headers["ETag"])
        return reply.json["status"] == "READY"
    harness.poll(ready, 30, "READY, seen by conditional reads")
    assert server.api("GET", f"/v1/function/{name}", headers={"If-None-Match": ", ".join(tags)}).status == 304


def test_a_status_that_moved_is_no_conflict(server, name):
    made = server.api("POST", "/v1/image", body_of("image", name))
    server.wait_status("image", name)
    assert server.api("PUT", f"/v1/image/{name}", body_of("image", name), {"If-Match": made.headers["ETag"]}).status == 200


@pytest.mark.parametrize("wrong", ['W/{tag}', '"nonsense"', '"1', "W/*", '"0"', ", ,"])
def test_what_does_not_match(server, name, wrong):
    tag = make(server, "secret", name).headers["ETag"]
    reply = server.api("PUT", f"/v1/secret/{name}", body_of("secret", name), {"If-Match": wrong.format(tag=tag)})
    assert reply.status == 412, reply


@pytest.mark.parametrize("right", ["*", '"x", {tag}', '{tag},"y"', 'W/{tag} , {tag}', '"{revision}"'])
def test_what_matches(server, name, right):
    got = make(server, "secret", name)
    match = right.format(tag=got.headers["ETag"], revision=got.json["revision"])
    assert server.api("PUT", f"/v1/secret/{name}", body_of("secret", name), {"If-Match": match}).status == 201


def test_conditions_in_several_fields_are_one_list(server, name):
    tag = make(server, "secret", name).headers["ETag"]
    reply = harness.raw(server.port, (f"GET /v1/secret/{name} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nIf-None-Match: \"a\"\r\n"
                                      f"If-None-Match: {tag}\r\n\r\n").encode())
    assert reply.startswith(b"HTTP/1.1 304 "), reply


@pytest.mark.parametrize("kind", KINDS)
def test_a_create_that_must_not_replace(server, name, kind):
    star = {"If-None-Match": "*"}
    first = server.api("POST", f"/v1/{kind}", body_of(kind, name), star)
    assert first.status in (200, 201), first
    assert server.api("POST", f"/v1/{kind}", body_of(kind, name), star).status == 412
    assert server.api("POST", f"/v1/{kind}", body_of(kind, name)).status == 409
    assert server.api("PUT", f"/v1/{kind}/{name}", body_of(kind, name), star).status == 412


@pytest.mark.parametrize("kind", KINDS)
def test_an_old_revision_in_the_body_is_a_409(server, name, kind):
    got = make(server, kind, name).json
    assert server.api("PUT", f"/v1/{kind}/{name}", got).status in (200, 201)
    reply = server.api("PUT", f"/v1/{kind}/{name}", got)
    assert reply.status == 409 and reply.json["code"] == 409 and "changed meanwhile" in reply.json["message"], reply
    for revision in ("", None):
        reply = server.api("PUT", f"/v1/{kind}/{name}", {**got, "revision": revision, "meta": None})
        assert reply.status in (200, 201), reply
    reply = server.api("PUT", f"/v1/{kind}/{name}", {**got, "revision": "nonsense"})
    assert reply.status == 409, reply


def test_a_revision_that_is_no_string_is_a_400(server, name):
    make(server, "image", name)
    reply = server.api("PUT", f"/v1/image/{name}", {**body_of("image", name), "revision": 1})
    assert reply.status == 400 and "revision of type string" in reply.json["message"], reply


def test_a_resource_made_anew_is_another(server, name):
    """Both are at their first revision: the copy and the tag of the one are not those of the other."""
    old = make(server, "secret", name)
    assert server.api("DELETE", f"/v1/secret/{name}").status == 204
    new = make(server, "secret", name)
    assert new.json["revision"] == old.json["revision"] and new.json["id"] != old.json["id"]
    tag = {"If-Match": old.headers["ETag"]}
    assert server.api("PUT", f"/v1/secret/{name}", body_of("secret", name), tag).status == 412
    assert server.api("GET", f"/v1/secret/{name}", headers={"If-None-Match": old.headers["ETag"]}).status == 200
    assert server.api("PUT", f"/v1/secret/{name}", old.json).status == 409
    assert server.api("PUT", f"/v1/secret/{name}", new.json).status == 201


def test_of_many_updates_made_from_one_copy_one_is_done(server, name):
    got = make(server, "secret", name)
    def update(number):
        body = {"name": name, "secrets": {"number": str(number)}}
        return number, server.api("PUT", f"/v1/secret/{name}", body, {"If-Match": got.headers["ETag"]}).status
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        done = list(pool.map(update, range(32)))
    winners = [number for number, status in done if status == 201]
    assert len(winners) == 1 and {status for _, status in done} == {201, 412}
    assert server.api("GET", f"/v1/secret/{name}").json["secrets"] == {"number": str(winners[0])}
