"""api: SOLO's form of an endpoint, exact request and table; and what dry runs and applications add to every kind."""
import json

import pytest

API = {"authentication": "public", "cors": True, "enabled": True, "function": "hello", "hosts": ["a.example.com"],
       "id": "6d4a2b7e-8f5c-4f0e-9d59-0a3f0a0f3f11", "kind": "API", "methods": ["GET", "POST"], "name": "a1",
       "protocols": ["http", "https"], "status": "READY", "tags": [], "uris": ["/acme/a", "/acme/b"]}


def test_create_api_sends_solos_body(api, dispatch):
    api.reply("POST", "/v1/api", API)
    assert dispatch("create", "api", "a1", "hello").out == "Created api: a1\n"
    assert api.last.body == (b'{"authentication":"public","enabled":true,"function":"hello","hosts":[],"methods":["GET"],'
                             b'"name":"a1","protocols":["http","https"],"tags":[],"uris":["/"]}')
    assert api.last.headers["Cookie"] == "unset"
    assert dispatch("create", "api", "a1", "hello", "--auth", "basic", "-m", "GET,POST", "-m", "PUT", "-p", "/a,/b", "-d", "x.y",
                    "--cors", "--disable", "--https-only").code == 0
    assert api.last.body == (b'{"authentication":"basic","cors":true,"function":"hello","hosts":["x.y"],'
                             b'"methods":["GET","POST","PUT"],"name":"a1","protocols":["https"],"tags":[],"uris":["/a","/b"]}')


def test_the_table_has_full_urls(api, dispatch, tmp_path):
    api.reply("GET", "/v1/api", [API])
    result = dispatch("get", "api")
    assert result.err == "" and api.last.line == "GET /v1/api"
    lines = result.out.splitlines()
    assert [cell.strip() for cell in lines[0].split("|")] == ["NAME", "FUNCTION", "PROTOCOL", "METHOD", "DOMAIN", "PATH", "AUTH",
                                                              "STATUS", "ENABLED"]
    rows = [[cell.strip() for cell in line.split("|")] for line in lines[2:6]]
    assert rows[0] == ["a1", "hello", "http", "GET", "a.example.com", "http://127.0.0.1:8081/acme/a", "public", "READY", "true"]
    assert [row[5] for row in rows[1:]] == ["https://127.0.0.1:8444/acme/a", "http://127.0.0.1:8081/acme/b",
                                            "https://127.0.0.1:8444/acme/b"]
    assert set(lines[1]) == {"-"} and lines[6] == lines[1]
    config = tmp_path / "c.json"
    config.write_text(json.dumps({"current": "c", "contexts": {"c": {"host": "::1", "api-http-port": 80, "api-https-port": 443}}}))
    api.reply("GET", "/v1/api/a1", API)
    shown = dispatch("get", "apis", "a1", "--config", str(config)).out
    assert "http://127.0.0.1/acme/a " in shown and "https://127.0.0.1/acme/b " in shown


def test_json_of_an_api_is_flat_and_in_solos_order(api, dispatch):
    api.reply("GET", "/v1/api/a1", {**API, "createdTime": 1, "org": "x", "tags": None})
    shown = json.loads(dispatch("get", "api", "a1", "-o", "json").out)
    assert list(shown) == sorted(API) and shown["tags"] is None
    yaml = dispatch("get", "api", "a1", "-o", "yaml").out
    assert yaml.startswith("authentication: public\n") and "meta" not in yaml and "\ntags: []\n" in yaml


@pytest.mark.parametrize("word", ["api", "apis"])
def test_delete_and_update_api(api, dispatch, word):
    api.reply("DELETE", "/v1/api/a1", API)
    assert dispatch("delete", word, "a1").out == "Deleted api: a1\n"
    api.reply("GET", "/v1/api/a1", {**API, "revision": "4"})
    api.reply("PUT", "/v1/api/a1", API)
    assert dispatch("update", word, "a1", "--auth", "basic", "--disable").out == "Updated api: a1\n"
    assert api.last.json == {**API, "revision": "4", "authentication": "basic", "enabled": False}


@pytest.mark.parametrize("args,collection", [
    (["image", "x", "b"], "image"), (["base-image", "x", "u"], "baseimage"), (["endpoint", "x", "f"], "endpoint"),
    (["api", "x", "f"], "api"), (["secret", "x", "s.json"], "secret"), (["function", "x", "f.py", "--image", "i"], "function")])
def test_an_application_is_a_tag(api, dispatch, tmp_path, args, collection):
    (tmp_path / "s.json").write_text("{}")
    (tmp_path / "f.py").write_text("")
    api.reply("POST", f"/v1/{collection}", {"name": "x"}, status=201)
    result = dispatch("create", *args, "--application", "shop")
    assert (result.err, result.code) == ("", 0)
    assert api.last.json["tags"] == [{"key": "Application", "value": "shop"}]
    count = len(api.requests)
    dry = dispatch("create", *args, "-a", "shop", "--dry-run")
    assert (dry.err, dry.code) == ("", 0) and len(api.requests) == count
    first, rest = dry.out.split("\n", 1)
    assert first == f"POST /v1/{collection}" and json.loads(rest) == api.last.json
    as_json = json.loads(dispatch("create", *args, "-a", "shop", "--dry-run", "-o", "json").out)
    assert as_json == {"method": "POST", "path": f"/v1/{collection}", "body": api.last.json}
    assert dispatch("create", *args, "--dry-run", "-o", "name").out == "x\n"


def test_update_replaces_the_application(api, dispatch):
    tags = [{"key": "Application", "value": "old"}, {"key": "k", "value": "v"}]
    api.reply("GET", "/v1/image/x", {"name": "x", "tags": tags})
    api.reply("PUT", "/v1/image/x", {"name": "x"})
    assert dispatch("update", "image", "x", "-a", "new").code == 0
    assert api.last.json["tags"] == [{"key": "k", "value": "v"}, {"key": "Application", "value": "new"}]


def test_application_is_taken_and_ignored_where_nothing_is_created(api, dispatch):
    api.reply("GET", "/v1/function", [])
    api.reply("POST", "/v1/runs", {"httpContext": {}})
    assert dispatch("get", "function", "-a", "shop").code == 0 and api.last.line == "GET /v1/function"
    assert dispatch("exec", "f", "--application", "shop").code == 0 and "tags" not in api.last.json


def test_a_dry_run_of_an_update_or_a_delete_sends_nothing(api, dispatch):
    result = dispatch("update", "function", "f", "--memory", "512", "--dry-run")
    assert result.out == 'PUT /v1/function/f\n{\n    "name": "f",\n    "memory": 512\n}\n'
    assert dispatch("delete", "function", "f", "--dry-run").out == "DELETE /v1/function/f\n"
    refused = dispatch("create", "image", "bad name", "b", "--dry-run")
    assert (refused.code, refused.out) == (1, "") and refused.err.startswith("[Code: 605] name should start with")
    assert "nothing to change" in dispatch("update", "function", "f", "--dry-run").err
    assert api.requests == []
