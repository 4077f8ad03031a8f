"""Signing for a service account: by the program openssl, with any key that it should not have."""
import os
import stat
import subprocess

import pytest

WRONG = "holds no RSA private key in PEM without a passphrase\n"


def sign(dispatch, key, env=None):
    return dispatch("get", "endpoint", "--service-account", "acme/robot", "--jwt-private-key", str(key), env=env)


def openssl(*args):
    subprocess.run(["openssl", *args], check=True, capture_output=True)


@pytest.mark.parametrize("name", ["key.pem", "-key.pem", "a:b.pem", "file:key", "ä ö.pem"])
def test_a_key_may_have_any_name(api, dispatch, tmp_path, name):
    openssl("genrsa", "-out", str(tmp_path / name), "2048")
    api.reply("GET", "/v1/endpoint", [])
    result = dispatch("get", "endpoint", "--service-account", "acme/robot", f"--jwt-private-key={name}")
    assert (result.err, result.code) == ("", 0)
    assert len(api.last.headers["Authorization"].split(".")) == 3


def test_other_keys_are_refused(api, dispatch, tmp_path):
    made = {"ec": ("ecparam", "-genkey", "-name", "prime256v1", "-out"), "pss": ("genpkey", "-algorithm", "rsa-pss", "-out"),
            "locked": ("genrsa", "-aes128", "-passout", "pass:x", "-out")}
    for name, arguments in made.items():
        openssl(*arguments, str(tmp_path / name))
    (tmp_path / "empty").write_text("")
    (tmp_path / "text").write_text("no key\n")
    for name in (*made, "empty", "text"):
        result = sign(dispatch, tmp_path / name)
        assert (result.code, result.err) == (1, f"{tmp_path / name} {WRONG}")
    assert api.requests == []


def test_keys_that_cannot_be_read(api, dispatch, tmp_path):
    result = sign(dispatch, tmp_path)
    assert (result.code, result.err) == (1, f"error reading key file: read {tmp_path}: is a directory\n")
    assert sign(dispatch, "").err == "a service account needs --jwt-private-key FILE\n"
    assert api.requests == []


def test_a_missing_openssl_is_one_line(api, dispatch, tmp_path):
    openssl("genrsa", "-out", str(tmp_path / "key.pem"), "2048")
    result = sign(dispatch, tmp_path / "key.pem", env={"PATH": str(tmp_path)})
    assert (result.code, result.err) == (1, "signing for a service account needs the program openssl, which is not on the "
                                            "PATH: install it, or give --token\n")
    assert api.requests == []


def test_an_openssl_that_misbehaves_is_one_line(api, dispatch, tmp_path):
    (tmp_path / "key.pem").write_text("x")
    program = tmp_path / "bin" / "openssl"
    program.parent.mkdir()
    for script, message in (("exec yes", "signing with the service account's key: openssl: its output is larger than 2048 bytes\n"),
                            ("exit 0", f"{tmp_path / 'key.pem'} {WRONG}")):
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(stat.S_IRWXU)
        result = sign(dispatch, tmp_path / "key.pem", env={"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"})
        assert (result.code, result.err) == (1, message)
    assert api.requests == []
