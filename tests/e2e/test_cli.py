"""The client's files, logs, edits and waits against the real server."""
import json
import os

import pytest

import harness

APP = f"""\
kind: Image
name: talker
baseImageName: {harness.PYTHON_BASE}
---
kind: Function
name: talk
image: talker
sourcePath: talk.py
---
kind: API
name: talk-api
function: talk
authentication: public
uris: [/talk]
methods: [GET]
"""
TALK = """\
import sys

def handle(context, payload):
    print("said", payload.get("word"))
    print("whispered", file=sys.stderr)
    return payload
"""


@pytest.fixture
def app(server, tmp_path):
    (tmp_path / "app.yaml").write_text(APP)
    (tmp_path / "talk.py").write_text(TALK)
    done = server.cli("apply", "-f", "app.yaml", "--wait", "-a", "shop", cwd=tmp_path)
    assert done.stdout == "Applied Image: talker\nApplied Function: talk\nApplied API: talk-api\n"
    yield tmp_path
    server.cli("delete", "-f", "app.yaml", cwd=tmp_path, check=False)


def test_an_application_is_applied_found_and_deleted(server, app):
    again = server.cli("apply", "-f", "app.yaml", "--wait", cwd=app)
    assert again.stdout == "Applied Image: talker\nApplied Function: talk\nApplied API: talk-api\n"
    server.cli("update", "-f", "app.yaml", "-a", "shop", cwd=app)
    server.cli("create", "secret", "other", "/dev/stdin", input="{}")
    assert server.cli("get", "function", "-l", "Application=shop", "-o", "name").stdout == "talk\n"
    assert server.cli("get", "function", "-l", "Application=none", "-o", "name").stdout == ""
    row = server.cli("get", "api", "talk-api").stdout.splitlines()[2].split("|")
    assert row[5].strip().endswith("/dispatch-server/talk") and row[6].strip() == "public"
    deleted = server.cli("delete", "-f", "app.yaml", cwd=app)
    assert deleted.stdout == "Deleted Image: talker\nDeleted Function: talk\nDeleted API: talk-api\n"
    assert server.cli("wait", "function", "talk", "--for", "deleted").stdout == "function talk is deleted\n"
    server.cli("delete", "secret", "other")


def test_logs_go_where_the_handler_sent_them(server, app):
    server.cli("exec", "talk", "--input", '{"word": "one"}', "--wait")
    run = json.loads(server.cli("exec", "talk", "--input", '{"word": "two"}', "--wait").stdout)
    newest = server.cli("logs", "talk")
    assert (newest.stdout, newest.stderr) == ("said two\n", "whispered\n")
    assert server.cli("logs", "talk", "--run", run["name"]).stdout == "said two\n"
    assert server.cli("wait", "run", run["name"]).stdout == f"run {run['name']} is READY\n"
    listed = server.cli("get", "runs", "talk", "--by", "started", "-o", "name").stdout.split()
    assert listed[0] == run["name"]
    assert server.cli("get", "runs", "talk", "--last", "-o", "name").stdout.split() == [run["name"]]


def test_an_edit_reaches_the_server_and_a_stale_one_does_not(server, app):
    editor = app / "editor"
    editor.write_text("#!/bin/sh\nsed -i '$ a timeout: 4321' \"$1\"\n")
    editor.chmod(0o755)
    environment = {"EDITOR": str(editor), "VISUAL": "", "TMPDIR": str(app)}
    assert server.cli("edit", "function", "talk", env=environment).stdout == "Updated function: talk\n"
    server.cli("wait", "function", "talk")
    assert json.loads(server.cli("get", "function", "talk", "-o", "json").stdout)["timeout"] == 4321
    dispatch = os.path.join(harness.BUILD, "dispatch")  # where the server is comes by the environment
    editor.write_text(f"#!/bin/sh\n{dispatch} update function talk --memory 300 >/dev/null\nsed -i 's/4321/1234/' \"$1\"\n")
    crossed = server.cli("edit", "function", "talk", env=environment, check=False)
    assert crossed.returncode == 1 and "[Code: 409]" in crossed.stderr and "Your changes are in" in crossed.stderr
    server.cli("wait", "function", "talk")
    shown = json.loads(server.cli("get", "function", "talk", "-o", "json").stdout)
    assert (shown["timeout"], shown["memory"]) == (4321, 300)
    assert [name for name in os.listdir(app) if name.startswith("dispatch-talk")]


def test_what_a_dry_run_shows_is_what_the_server_takes(server, app):
    server.cli("delete", "-f", "app.yaml", cwd=app)
    shown = server.cli("create", "-f", "app.yaml", "--dry-run", "-o", "json", cwd=app).stdout
    decoder, at, requests = json.JSONDecoder(), 0, []
    while at < len(shown):
        request, at = decoder.raw_decode(shown, at)
        requests.append(request)
        at += 1
    assert "talker" not in server.cli("get", "images", "-o", "name").stdout.split()
    assert [server.api(r["method"], r["path"], r["body"]).status for r in requests] == [201, 201, 200]


def test_a_crossed_revision_in_a_file_is_refused(server, app):
    (app / "old.yaml").write_text(APP.split("---")[0] + "revision: '0'\n")
    crossed = server.cli("update", "-f", "old.yaml", cwd=app, check=False)
    assert crossed.returncode == 1 and crossed.stderr.startswith("[Code: 409]")
