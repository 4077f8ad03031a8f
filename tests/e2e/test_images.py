"""Images that this version cannot make end in ERROR and say why, and so does a function on one; nothing is accepted and
then ignored."""
import pytest

import harness

HELLO = "def handle(ctx, payload):\n    return 1\n"


def reason_of(server, kind, name):
    return "\n".join(server.wait_status(kind, name, "ERROR")["reason"])


@pytest.mark.parametrize("base, dependencies, why", [
    (harness.NATIVE_BASE, {"manifest": "requests\n"}, "images for native take no runtimeDependencies"),
    (harness.PYTHON_BASE, {"manifest": "requests\n", "lock": "x"}, "dependencies of python3 have none"),
])
def test_dependencies_that_a_language_has_not(server, name, base, dependencies, why):
    reply = server.api("POST", "/v1/image", {"name": name, "baseImageName": base, "runtimeDependencies": dependencies})
    assert reply.status == 201, reply
    assert why in reason_of(server, "image", name)
    function = {"name": name, "image": name, "source": harness.pack({"hello.py": HELLO})}
    assert server.api("POST", "/v1/function", function).status == 201
    reason = reason_of(server, "function", name)
    assert f"image {name} is in ERROR" in reason and why in reason
    # without them it works, and so does the function that waited for it
    assert server.api("PUT", f"/v1/image/{name}", {"baseImageName": harness.PYTHON_BASE}).status == 200
    server.wait_status("image", name)
    server.wait_status("function", name)


@pytest.mark.parametrize("language", ["powershell", "clojure", "cobol"])
def test_languages_without_a_runtime(server, name, language):
    body = {"name": name, "dockerUrl": f"dispatchframework/{language}-base:0.0.13", "language": language}
    assert server.api("POST", "/v1/baseimage", body).status == 201
    reason = reason_of(server, "baseimage", name)
    assert language in reason and "runtime" in reason, reason
    assert server.api("POST", "/v1/image", {"name": name, "baseImageName": name}).status == 201
    assert language in reason_of(server, "image", name)


@pytest.mark.parametrize("reference", ["127.0.0.1:1/team/thing:1", "127.0.0.1:1/library/python:3.12",
                                       "127.0.0.1:1/x@sha256:" + "0" * 64])
def test_references_to_registries(server, name, reference):
    body = {"name": name, "dockerUrl": reference, "language": "python3"}
    assert server.api("POST", "/v1/baseimage", body).status == 201
    reason = reason_of(server, "baseimage", name)
    assert "registry 127.0.0.1:1" in reason and ("unreachable" in reason or "not installed" in reason), reason


def test_a_language_that_is_not_the_images(server, name):
    body = {"name": name, "dockerUrl": harness.PYTHON_BASE, "language": "nodejs"}
    assert server.api("POST", "/v1/baseimage", body).status == 201
    assert "language is nodejs" in reason_of(server, "baseimage", name)


def test_an_image_of_a_base_image_that_is_deleted_keeps_working(server, name):
    assert server.api("POST", "/v1/baseimage", {"name": name, "dockerUrl": harness.PYTHON_BASE, "language": ""}).status == 201
    server.image(name, name)
    assert server.api("DELETE", f"/v1/baseimage/{name}").status == 200
    server.function(name, HELLO, image=name)
    assert server.run(name)["output"] == 1


@pytest.mark.parametrize("field, value, message", [
    ("services", ["db"], "services"),
    ("sourceURL", "http://example.com/x.tgz", "sourceURL"),
])
def test_what_a_function_cannot_have_is_refused_by_name(server, name, field, value, message):
    body = {"name": name, "image": "python3", "source": harness.pack({"hello.py": HELLO}), field: value}
    if field == "sourceURL":
        del body["source"]
    reply = server.api("POST", "/v1/function", body)
    assert reply.status == 422 and message in reply.json["message"] and "not available" in reply.json["message"], reply
