"""The function store in an object store: every operation of a function, what goes wrong with a store, and crashes."""
import contextlib
import email.utils
import os
import shutil
import signal
import socket
import subprocess
import time

import pytest

import harness
import s3

CODE = "def handle(ctx, payload):\n    return {number}\n"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    running = s3.Store(str(tmp_path_factory.mktemp("s3")))
    try:
        yield running.start()
    finally:
        running.stop()


@pytest.fixture
def way(store):
    between = s3.Way(store)
    yield between
    between.finish()


@contextlib.contextmanager
def serving(*options, wait=True):
    running = harness.Server(options=options)
    try:
        yield running.start(wait)
    finally:
        running.finish()


@pytest.fixture
def bucket(store, name):
    """An empty one of the test's own."""
    made = f"b-{name[-40:]}"
    os.mkdir(os.path.join(store.root, made))
    return made


@pytest.fixture
def kept(store, bucket):
    """A server whose functions are in `bucket`."""
    with serving(*store.minio(), "--s3-bucket", bucket) as running:
        running.image("python3", harness.PYTHON_BASE)
        yield running


def created(server, name, number=1, **more):
    return server.api("POST", "/v1/function", {"name": name, "image": "python3", **more,
                                               "source": harness.pack({"handler.py": CODE.format(number=number)})})


def forget_sources(server, layers=True):
    """The copies of sources, and what was made of them."""
    sources = os.path.join(server.state, "server", "sources")
    for name in os.listdir(sources):
        os.unlink(os.path.join(sources, name))
    if layers:
        for name in os.listdir(os.path.join(server.state, "layers")):
            if name.startswith("fn-"):
                shutil.rmtree(os.path.join(server.state, "layers", name))


def runs_again(server, name, output):
    """Once its layer is made again; until then runs fail and say so."""
    harness.poll(lambda: server.api("POST", f"/v1/runs?functionName={name}", {"blocking": True}).json.get("output")
                 == output, 30, f"{output} of a run")


def noise(megabytes):
    """A source that no packer makes smaller."""
    return {"handler.py": CODE.format(number=7), "noise": os.urandom(megabytes << 20)}


def key_of(url):
    return url.split("/", 3)[3]


def test_a_function_lives_in_the_object_store(kept, store, bucket, name):
    found = kept.function(name, CODE.format(number=1))
    assert found["sourceURL"].startswith(f"minio://{bucket}/")
    assert store.objects(bucket) == {key_of(found["sourceURL"])}
    assert kept.run(name)["output"] == 1
    again = kept.update(name, CODE.format(number=2))
    assert again["sourceURL"] != found["sourceURL"] and kept.run(name)["output"] == 2
    harness.poll(lambda: store.objects(bucket) == {key_of(again["sourceURL"])}, what="the old object to go")
    reply = kept.api("PUT", f"/v1/function/{name}", {"name": name, "image": "python3", "memory": 256})
    assert reply.status == 200 and kept.wait_status("function", name)["sourceURL"] == again["sourceURL"]
    assert kept.api("DELETE", f"/v1/function/{name}").status == 200
    harness.poll(lambda: not store.objects(bucket), what="the object to go")


def test_functions_of_one_source_share_an_object_until_the_last_is_gone(kept, store, bucket, name):
    urls = {kept.function(name + suffix, CODE.format(number=3))["sourceURL"] for suffix in "ab"}
    assert len(urls) == 1 and len(store.objects(bucket)) == 1
    assert kept.api("DELETE", f"/v1/function/{name}a").status == 200
    assert kept.run(name + "b")["output"] == 3 and len(store.objects(bucket)) == 1
    assert kept.api("DELETE", f"/v1/function/{name}b").status == 200
    harness.poll(lambda: not store.objects(bucket), what="the object to go")


def test_two_servers_in_one_bucket_do_not_touch_each_other(kept, store, bucket, name):
    url = kept.function(name, CODE.format(number=3))["sourceURL"]
    with serving(*store.minio(), "--s3-bucket", bucket) as other:
        other.image("python3", harness.PYTHON_BASE)
        assert other.function(name, CODE.format(number=3))["sourceURL"] != url
        assert other.api("DELETE", f"/v1/function/{name}").status == 200
        harness.poll(lambda: store.objects(bucket) == {key_of(url)}, what="the other's object to go")
    assert kept.run(name)["output"] == 3


def test_sources_come_back_after_a_restart_without_copies(kept, name):
    kept.function(name, CODE.format(number=4))
    kept.stop()
    forget_sources(kept)
    kept.start()
    runs_again(kept, name, 4)


def test_a_copy_that_is_missing_is_fetched_for_a_build(kept, name):
    kept.function(name, CODE.format(number=4))
    forget_sources(kept, layers=False)
    reply = kept.api("PUT", f"/v1/function/{name}", {"name": name, "image": "python3", "memory": 256})
    assert reply.status == 200 and kept.wait_status("function", name)["memory"] == 256
    assert kept.run(name)["output"] == 4


def test_an_object_that_was_changed_is_not_run(kept, store, bucket, name):
    url = kept.function(name, CODE.format(number=5))["sourceURL"]
    with open(os.path.join(store.root, bucket, key_of(url)), "r+b") as file:
        file.seek(30)
        file.write(b"bad")
    forget_sources(kept, layers=False)
    assert kept.api("PUT", f"/v1/function/{name}", {"name": name, "image": "python3"}).status == 200
    found = kept.wait_status("function", name, "ERROR")
    assert "not the function's source" in found["reason"][0]
    assert kept.run(name)["output"] == 5


def test_an_object_that_is_gone_is_a_reason(kept, store, bucket, name):
    url = kept.function(name, CODE.format(number=5))["sourceURL"]
    os.unlink(os.path.join(store.root, bucket, key_of(url)))
    forget_sources(kept, layers=False)
    assert kept.api("PUT", f"/v1/function/{name}", {"name": name, "image": "python3"}).status == 200
    assert "the object is not there" in kept.wait_status("function", name, "ERROR")["reason"][0]
    kept.update(name, CODE.format(number=6))
    assert kept.run(name)["output"] == 6


def test_what_is_wrong_with_a_function_is_said_before_it_is_uploaded(kept, store, bucket, name):
    assert created(kept, name, image="no-such-image").status == 404
    assert created(kept, "-" + name).status == 422
    assert created(kept, name).status == 201
    assert created(kept, name, 2).status == 409
    assert len(store.objects(bucket)) == 1


def test_large_sources_go_up_in_parts(kept, store, bucket, name):
    found = kept.function(name, noise(40))
    assert os.path.getsize(os.path.join(store.root, bucket, key_of(found["sourceURL"]))) > 40 << 20
    assert not store.uploads(bucket)
    kept.stop()
    forget_sources(kept)
    kept.start()
    runs_again(kept, name, 7)


def test_the_secret_key_is_in_no_command_line_and_no_log(kept, name):
    kept.function(name, CODE.format(number=1))
    for pid in harness.process_tree(kept.process.pid):
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            assert s3.SECRET_KEY.encode() not in file.read()
    assert s3.SECRET_KEY not in kept.log(10000)


def test_minio_makes_its_bucket_at_the_first_start_alone(store, name):
    bucket = f"b-{name[-40:]}"
    with serving(*store.minio(), "--s3-bucket", bucket) as server:
        harness.poll(lambda: os.path.isdir(os.path.join(store.root, bucket)), what="the bucket")
        server.image("python3", harness.PYTHON_BASE)
        server.function(name, CODE.format(number=1))
        shutil.rmtree(os.path.join(store.root, bucket))
        reply = created(server, name + "2", 2)
        assert reply.status == 502 and "the bucket is not there" in reply.json["message"], reply
        assert server.api("GET", f"/v1/function/{name}2").status == 404
        assert server.run(name)["output"] == 1
        server.restart()
        harness.poll(lambda: "the bucket is not there" in server.log(), what="the line")
        assert not os.path.exists(os.path.join(store.root, bucket))
        harness.poll(lambda: server.run(name)["output"] == 1, what="the function that is built")


@pytest.mark.parametrize("option, reason", [
    (("--minio-username", "somebody-else"), "wrong credentials"),
    (("--minio-password", "another"), "wrong credentials"),
    (("--s3-region", "eu-west-1"), "it expects another region"),
], ids=["access-key", "secret-key", "region"])
def test_wrong_settings_are_told_at_the_start_and_to_callers(store, bucket, name, option, reason):
    with serving(*store.minio(), "--s3-bucket", bucket, *option) as server:
        harness.poll(lambda: reason in server.log(), what="the line in the log")
        server.image("python3", harness.PYTHON_BASE)
        reply = created(server, name)
        assert reply.status == 502 and reason in reply.json["message"], reply
        assert server.api("GET", f"/v1/function/{name}").status == 404
        assert option[1] not in reply.text or option[0] == "--s3-region"


def test_an_access_key_without_rights_is_told_so(store, bucket, name):
    found, _ = s3.program()
    user = f"user-{name[-6:]}"
    subprocess.run([found, "admin", "--access", s3.ACCESS_KEY, "--secret", s3.SECRET_KEY, "--endpoint-url",
                    f"http://{store.address}", "create-user", "-a", user, "-s", "secret", "-r", "user"], check=True,
                   capture_output=True, timeout=60)
    with serving(*store.minio(), "--s3-bucket", bucket, "--minio-username", user, "--minio-password", "secret") as server:
        server.image("python3", harness.PYTHON_BASE)
        reply = created(server, name)
        assert reply.status == 502 and "no permission" in reply.json["message"], reply


def admin(store, *arguments):
    found, _ = s3.program()
    subprocess.run([found, "admin", "--access", s3.ACCESS_KEY, "--secret", s3.SECRET_KEY, "--endpoint-url",
                    f"http://{store.address}", *arguments], check=True, capture_output=True, timeout=60)


def test_a_key_that_changes_is_read_at_a_restart(store, bucket, tmp_path, name):
    """Until then uploads say so, and functions go on."""
    user, key = f"user-{name[-6:]}", tmp_path / "key"
    admin(store, "create-user", "-a", user, "-s", "first", "-r", "admin")
    key.write_text("first\n")
    options = ["--storage", "s3", "--s3-endpoint", f"http://{store.address}", "--s3-path-style", "--s3-bucket", bucket,
               "--s3-access-key", user, "--s3-secret-key-file", str(key)]
    with serving(*options) as server:
        server.image("python3", harness.PYTHON_BASE)
        server.function(name, CODE.format(number=1))
        admin(store, "update-user", "-a", user, "-s", "second")
        key.write_text("second\n")

        def refused():
            reply = created(server, name + os.urandom(3).hex(), 2)
            return reply if reply.status == 502 else None
        assert "wrong credentials" in harness.poll(refused, what="the store to know the new key").json["message"]
        assert server.run(name)["output"] == 1
        server.restart()
        assert created(server, name + "-2", 2).status == 201
        server.wait_status("function", name + "-2")


def test_a_store_that_is_away_is_told_and_taken_up_again(tmp_path, name):
    store = s3.Store(str(tmp_path))
    with serving(*store.minio()) as server:
        server.image("python3", harness.PYTHON_BASE)
        reply = created(server, name)
        assert reply.status == 503 and "unreachable" in reply.json["message"], reply
        assert server.api("GET", f"/v1/function/{name}").status == 404
        try:
            store.start()
            assert created(server, name).status == 201  # and the bucket was made
            server.wait_status("function", name)
        finally:
            store.stop()
        assert server.run(name)["output"] == 1
        assert server.api("DELETE", f"/v1/function/{name}").status == 200


def test_a_store_that_never_answers_is_not_waited_for(name):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        options = ["--storage", "minio", "--minio-address", f"127.0.0.1:{silent.getsockname()[1]}", "--minio-username",
                   "a", "--minio-password", "b", "--s3-timeout-ms", "1000"]
        with serving(*options) as server:
            server.image("python3", harness.PYTHON_BASE)
            reply = created(server, name)
            assert reply.status == 503 and "no answer" in reply.json["message"], reply


def test_a_store_that_is_busy_is_asked_again(store, way, bucket, name):
    with serving(*store.minio(), "--minio-address", way.address, "--s3-bucket", bucket) as server:
        server.image("python3", harness.PYTHON_BASE)
        way.answers += [s3.error(503, "SlowDown"), s3.error(500, "InternalError")]
        server.function(name, CODE.format(number=1))
        assert not way.answers


def test_a_clock_that_differs_is_made_up_for(store, way, bucket, name):
    with serving(*store.minio(), "--minio-address", way.address, "--s3-bucket", bucket) as server:
        server.image("python3", harness.PYTHON_BASE)
        server.function(name, CODE.format(number=1))
        way.heads.clear()
        ahead = time.time() + 3600
        skewed = s3.error(403, "RequestTimeTooSkewed", Date=email.utils.formatdate(ahead, usegmt=True))
        way.answers += [skewed, skewed]
        reply = created(server, name + "2", 2)
        assert reply.status == 502 and "clocks" in reply.json["message"], reply
        dates = [line.split()[1] for head in way.heads for line in head.split("\r\n") if line.startswith("x-amz-date")]
        assert dates[-1][:11] >= time.strftime("%Y%m%dT%H", time.gmtime(ahead))[:11] > dates[0][:11], dates


def test_a_server_killed_in_an_upload_leaves_no_half_object(store, way, bucket, name):
    options = [*store.minio(), "--minio-address", way.address, "--s3-bucket", bucket, "--s3-part-mib", "5"]
    source = harness.pack(noise(18))
    body = {"name": name, "image": "python3", "source": source}
    with serving(*options) as server:
        server.image("python3", harness.PYTHON_BASE)
        assert created(server, name + "-first").status == 201
        before = store.objects(bucket)
        way.bytes_left = 12 << 20
        with contextlib.closing(harness.connection(server.port)) as asked:
            asked.request("POST", "/v1/function", harness.json.dumps(body), {"Content-Type": "application/json"})
            assert way.stopped.wait(60 * harness.PATIENCE)
            assert store.uploads(bucket)
            os.kill(server.server_pid(), signal.SIGKILL)
            with pytest.raises((OSError, harness.http.client.HTTPException)):
                asked.getresponse()
        way.bytes_left = None
        server.wait_ready()
        assert store.objects(bucket) == before
        assert server.api("GET", f"/v1/function/{name}").status == 404
        assert server.api("POST", "/v1/function", body).status == 201
        server.wait_status("function", name)
        assert not store.uploads(bucket)
        assert server.run(name)["output"] == 7


def test_the_bucket_in_the_host_and_tls_by_a_ca_of_ones_own(tmp_path, name):
    certificate, key = str(tmp_path / "tls.crt"), str(tmp_path / "tls.key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=s3.localhost",
                    "-addext", "subjectAltName=DNS:s3.localhost,DNS:*.s3.localhost", "-keyout", key, "-out",
                    certificate], check=True, capture_output=True, timeout=60)
    store = s3.Store(str(tmp_path), "--cert", certificate, "--key", key)
    store.options += ["--virtual-domain", f"s3.localhost:{store.port}"]
    secret = tmp_path / "secret"
    secret.write_text(s3.SECRET_KEY + "\n")
    options = ["--storage", "s3", "--s3-endpoint", f"https://s3.localhost:{store.port}", "--s3-bucket", "functions",
               "--s3-prefix", "team/dispatch", "--s3-access-key", s3.ACCESS_KEY, "--s3-secret-key-file", str(secret)]
    os.mkdir(os.path.join(store.root, "functions"))
    try:
        store.start()
        with serving(*options) as server:
            harness.poll(lambda: "certificate is not trusted" in server.log(), what="the line in the log")
        with serving(*options, "--s3-ca", certificate) as server:
            server.image("python3", harness.PYTHON_BASE)
            url = server.function(name, CODE.format(number=8))["sourceURL"]
            assert url.startswith("s3://functions/team/dispatch/")
            assert store.objects("functions") == {key_of(url)}
            server.stop()
            forget_sources(server)
            server.start()
            runs_again(server, name, 8)
    finally:
        store.stop()


def test_functions_made_before_stay_files_and_go_on(store, bucket, name):
    with serving() as server:
        server.image("python3", harness.PYTHON_BASE)
        url = server.function(name, CODE.format(number=1))["sourceURL"]
        assert url.startswith("file:///")
        server.stop()
        server.options = [*store.minio(), "--s3-bucket", bucket]
        server.start()
        assert server.api("GET", f"/v1/function/{name}").json["sourceURL"] == url
        assert server.update(name, CODE.format(number=2))["sourceURL"].startswith("minio://")
        assert server.run(name)["output"] == 2
        server.stop()
        server.options = []
        server.start()
        assert server.run(name)["output"] == 2
        forget_sources(server, layers=False)
        assert server.api("PUT", f"/v1/function/{name}", {"name": name, "image": "python3"}).status == 200
        assert "--storage minio or s3" in server.wait_status("function", name, "ERROR")["reason"][0]


@pytest.mark.parametrize("options, text", [
    (["--storage", "tape"], "--storage takes file, minio or s3"),
    (["--storage", "s3", "--s3-access-key", "a", "--s3-secret-key", "b"], "--storage s3 needs --s3-bucket"),
    (["--storage", "minio"], "--storage minio needs --minio-username"),
    (["--storage", "minio", "--minio-username", "a"], "--storage minio needs --minio-password"),
    (["--storage", "minio", "--minio-username", "a", "--minio-password", "b", "--minio-address", "http://a/b"],
     "--minio-address takes HOST:PORT"),
    (["--storage", "minio", "--minio-username", "a", "--minio-password", "b", "--s3-prefix", "../x"], "--s3-prefix takes"),
    (["--storage", "minio", "--minio-username", "a", "--minio-password", "b", "--s3-bucket", "Big"], "--s3-bucket takes"),
    (["--storage", "minio", "--minio-username", "a", "--s3-secret-key-file", "/nowhere"], "--s3-secret-key-file: open"),
    (["--storage", "minio", "--minio-username", "a", "--minio-password", "b", "--s3-ca", "/etc/hostname"],
     "--s3-ca is for an endpoint that begins with https://"),
], ids=lambda value: " ".join(value)[-40:] if isinstance(value, list) else None)
def test_options_that_do_not_fit_are_one_line(options, text):
    done = subprocess.run([os.path.join(harness.BUILD, "dispatch-server"), "--state-dir", "/nonexistent", *options],
                          capture_output=True, text=True, env=harness.clean_environment(), timeout=60)
    assert done.returncode == 1 and text in done.stderr and done.stderr.count("\n") == 1, done.stderr
