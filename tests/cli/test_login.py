"""login and logout: what is asked, and what the configuration file holds afterwards."""
import json
import stat
import subprocess

import pytest


@pytest.fixture
def key(tmp_path):
    subprocess.run(["openssl", "genrsa", "-out", tmp_path / "key.pem", "2048"], check=True, capture_output=True)
    return "key.pem"


def config_of(tmp_path):
    path = tmp_path / ".dispatch" / "config.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and path.read_text().startswith('{\n    "current"')
    return json.loads(path.read_text())


def test_a_service_account_is_kept_in_a_new_context(api, dispatch, tmp_path, key):
    api.reply("GET", "/home", {"message": "Home Page"})
    result = dispatch("login", "--service-account", "robot", "--jwt-private-key", key, "--organization", "acme")
    assert (result.out, result.err) == ("You have successfully logged in\n", "")
    assert api.last.line == "GET /home" and api.last.headers["X-Dispatch-Org"] == "acme"
    assert api.last.headers["Authorization"].startswith("Bearer ey")
    assert config_of(tmp_path) == {"current": "127-0-0-1", "contexts": {"127-0-0-1": {
        "host": "127.0.0.1", "port": api.port, "scheme": "http", "organization": "acme", "project": "", "cookie": "",
        "insecure": False, "serviceaccount": "robot", "jwtprivatekey": str(tmp_path / "key.pem")}}}
    api.reply("GET", "/v1/endpoint", [])
    assert dispatch.bare("get", "endpoint").code == 0
    assert api.last.headers["Authorization"].startswith("Bearer ey")


def test_logout_forgets_all_credentials(api, dispatch, tmp_path):
    (tmp_path / ".dispatch").mkdir()
    context = {"host": "h", "port": 1, "scheme": "http", "organization": "o", "project": "", "cookie": "c", "insecure": True,
               "serviceaccount": "s", "jwtprivatekey": "k"}
    (tmp_path / ".dispatch" / "config.json").write_text(json.dumps({"current": "x", "contexts": {"x": context, "y": context}}))
    assert dispatch("logout").out == "You have successfully logged out\n"
    written = config_of(tmp_path)["contexts"]
    assert written["x"] == {"host": "h", "port": 1, "scheme": "http", "organization": "o", "project": "", "cookie": "",
                            "insecure": True}
    assert written["y"] == context and api.requests == []


def test_logout_without_a_configuration_makes_none(api, dispatch, tmp_path):
    assert dispatch("logout").out == "You have successfully logged out\n"
    assert not (tmp_path / ".dispatch").exists() and api.requests == []


def test_a_refusal_keeps_nothing(api, dispatch, tmp_path):
    api.reply("GET", "/home", {"code": 401, "message": "unauthenticated for invalid credentials"}, status=401)
    result = dispatch("login", "--token", "t")
    assert (result.code, result.out) == (1, "")
    assert result.err == "error logging in: [Code: 401] unauthenticated for invalid credentials\n"
    assert not (tmp_path / ".dispatch").exists()


def test_a_token_is_checked_but_never_written(api, dispatch, tmp_path):
    api.reply("GET", "/home", {"message": "Home Page"})
    assert dispatch("login", "--token", "hush-token").code == 0
    assert "hush" not in (tmp_path / ".dispatch" / "config.json").read_text()


def test_login_without_credentials_says_what_it_needs(api, dispatch):
    result = dispatch("login")
    assert result.code == 1 and "--service-account" in result.err and result.err.count("\n") == 1 and api.requests == []
