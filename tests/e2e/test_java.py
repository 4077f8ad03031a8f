"""Functions in Java, in their sandboxes: compiled when they are built, and what test_nodejs.py asks of Node.js."""
import json
import os
import pathlib

import pytest

import harness

pytestmark = pytest.mark.skipif(not os.path.exists("/usr/bin/javac") or not os.path.exists(os.path.join(harness.BUILD, "runtimes", "java", "manifest")),
                                reason="no JDK: sudo tools/install-deps test")

IMPORTS = "import dispatch.*;\nimport java.nio.file.*;\nimport java.util.*;\n"
EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples" / "java"


@pytest.fixture(scope="module")
def java(server):
    server.image("java", "dispatchframework/java-base:0.0.13")
    return server


@pytest.fixture
def make(java, name):
    def make_function(files, **how):
        files = {"Handler.java": IMPORTS + "public class Handler { %s }\n" % files} if isinstance(files, str) else files
        return java.function(name, files, image="java", **how)
    return make_function


def body(code):
    return "public Object handle(Map<String, Object> context, Object payload) throws Exception { %s }" % code


def test_a_function_is_compiled_runs_and_logs(java, make, name):
    make(body('System.out.println("to " + payload); System.err.println("oops"); return List.of(payload);'))
    for word in ("first", "second"):
        run = java.run(name, word)
        assert run["output"] == [word] and run["status"] == "READY"
        assert run["logs"] == {"stdout": [f"to {word}"], "stderr": ["oops"]}
    assert java.message(name, '"m"')["payload"] == ["m"]


@pytest.mark.parametrize("files, handler", [
    ({"org/example/Deep.java": "package org.example; public class Deep { public Object handle(Object c, Object p) { return Near.same(p); } }",
      "org/example/Near.java": "package org.example; class Near { static Object same(Object o) { return o; } }"}, "org.example.Deep"),
    ({"src/main/java/org/example/Deep.java": "package org.example; public class Deep { public Object handle(Object c, Object p) { return p; } }"}, "Deep"),
    ({"Hello.java": "import java.util.function.BiFunction; public class Hello implements BiFunction<Object, Object, Object> "
                    "{ public Object apply(Object c, Object p) { return p; } }"}, None),
])
def test_sources_of_every_layout(java, make, name, files, handler):
    make(files, handler=handler)
    assert java.run(name, {"a": [1]})["output"] == {"a": [1]}


@pytest.mark.parametrize("files, handler, text", [
    ({"A.java": "public class A {\n  int x = ;\n}\n"}, None, "the source does not compile: A.java:2: illegal start of expression"),
    ({"A.java": "public class A {\n  Missing x;\n}\n"}, None, "A.java:2: cannot find symbol"),
    ({"A.java": "public class A { public Object handle(Object c, Object p) { return p; } }"}, "org.Gone", "no class 'org.Gone'"),
    ({"A.java": "class A { }"}, None, "has no public method handle(context, payload)"),
    ({"A.java": "class A { }", "B.java": "class B { }"}, None, "handler is required"),
    ({"A.java": "public class A { static { System.exit(7); } public Object handle(Object c, Object p) { return p; } }"}, None, "System.exit() was called"),
    ({"A.java": "public class A { static { if (true) throw new IllegalStateException(\"not today\"); } public Object handle(Object c, Object p) { return p; } }"}, None,
     "java.lang.IllegalStateException: not today"),
])
def test_a_source_or_handler_that_does_not_work_is_the_status(make, files, handler, text):
    reason = "\n".join(make(files, handler=handler, wanted="ERROR")["reason"])
    assert text in reason and "/runtime/" not in reason and "dispatch.agent" not in reason


def test_a_source_that_is_mended_becomes_ready(java, make, name):
    make({"A.java": "public class A {"}, wanted="ERROR")
    java.update(name, {"A.java": "public class A { public int handle(Object c, Object p) { return 2; } }"}, image="java")
    assert java.run(name)["output"] == 2


@pytest.mark.parametrize("code, kind, text", [
    ('throw new IllegalArgumentException("bad input");', "InputError", "bad input"), ('throw new Exception("bad");', "FunctionError", "bad"),
    ("return new Object();", "FunctionError", "java.lang.Object"), ("System.exit(3);", "FunctionError", "System.exit()"),
    ("Runtime.getRuntime().halt(5);", "FunctionError", "ended with status 5"),
    ('new ProcessBuilder("sh", "-c", "kill -9 $PPID").start().waitFor(); Thread.sleep(20000);', "FunctionError", "killed by signal 9"),
])
def test_what_goes_wrong_ends_one_run_alone(java, make, name, code, kind, text):
    make("static int runs; " + body('System.out.println("before"); if ("well".equals(payload)) return ++runs; if (true) { %s } return null;' % code), maxInstances=1)
    assert java.run(name, "well")["output"] == 1
    for _ in range(2):
        run = java.run(name)
        assert run["status"] == "ERROR" and run["error"]["type"] == kind and text in run["error"]["message"], run
        assert java.run(name, "well")["status"] == "READY"


@pytest.mark.parametrize("code", ["while (true) { }", "Thread.sleep(60000); return null;"])
def test_past_its_deadline_a_run_names_the_limit(java, make, name, code):
    make(body("if (payload != null) return payload; %s" % code), timeout=1500)
    error = java.message(name, "null")["context"]["error"]
    assert error["type"] == "FunctionError" and "timeout of 1500 ms" in error["message"]
    assert java.run(name, "next")["output"] == "next"


@pytest.mark.parametrize("code", [
    "List<Object> kept = new ArrayList<>(); while (true) kept.add(new int[10000]);",  # Java gives up
    "List<Object> kept = new ArrayList<>(); while (true) { java.nio.ByteBuffer b = java.nio.ByteBuffer.allocateDirect(1 << 20); kept.add(b); }",
])
def test_over_its_memory_a_run_names_the_limit(java, make, name, code):
    make(body("if (payload != null) return payload; %s" % code), memory=128, timeout=40000)
    run = java.run(name, None)
    assert run["status"] == "ERROR" and "memory limit of 128 MiB" in run["error"]["message"], run["error"]
    assert java.run(name, "next")["output"] == "next"


def test_garbage_does_not_count(java, make, name):
    make(body("byte[] kept = null; for (int i = 0; i < 2000; i++) kept = new byte[1 << 20]; return kept.length;"), memory=128)
    assert java.run(name)["output"] == 1 << 20


def test_an_endpoint_gets_what_a_response_object_says(java, make, name):
    make(body('return new Response(new byte[] {-1, 0}).status(201).header("Content-Type", "image/x").header("X-Query", ((Map<?, ?>) payload).get("q"));'))
    java.endpoint(name, name, [f"/{name}"])
    reply = java.gateway("GET", f"/{name}?q=1")
    assert (reply.status, reply.body, reply.headers["Content-Type"], reply.headers["X-Query"]) == (201, b"\xff\x00", "image/x", "1")


def test_secrets_and_environment(java, make, name):
    assert java.api("POST", "/v1/secret", {"name": name, "secrets": {"key": "hush-hush"}}).status == 201
    make(body('return List.of(context.get("secrets"), System.getenv(), new String(Files.readAllBytes(Paths.get("/proc/self/environ"))).replace((char) 0, (char) 32), '
              'TimeZone.getDefault().getID());'), secrets=[name], env={"GREETING": "ahoy", "JAVA_TOOL_OPTIONS": "-version", "TZ": "Asia/Tokyo"})
    secrets, environment, first, zone = java.run(name)["output"]
    assert secrets["key"] == "hush-hush" and json.loads(secrets[name]) == {"key": "hush-hush"}
    assert environment["GREETING"] == "ahoy" and "hush-hush" not in json.dumps(environment) + first and zone == "Asia/Tokyo"


def test_the_sandbox_is_a_sandbox(java, make, name):
    make("""static String attempt(Path file) { try { Files.writeString(file, ""); return null; } catch (Exception e) { return e.getClass().getSimpleName(); } }
        """ + body("""
        List<Object> seen = new ArrayList<>();
        for (String each : new String[] {"/function/x", "/usr/x", "/function/.dispatch/classes/x", "/tmp/x", "relative"}) seen.add(attempt(Paths.get(each)));
        seen.add(new String(new ProcessBuilder("id", "-u").start().getInputStream().readAllBytes()).trim());
        seen.add(Files.exists(Paths.get("/etc/shadow")));
        int outside = 0;
        for (java.net.NetworkInterface each : Collections.list(java.net.NetworkInterface.getNetworkInterfaces())) outside += each.isLoopback() ? 0 : 1;
        seen.add(outside);
        seen.add(HexFormat.of().formatHex(java.security.MessageDigest.getInstance("SHA-256").digest("x".getBytes())).substring(0, 8));
        javax.net.ssl.TrustManagerFactory trust = javax.net.ssl.TrustManagerFactory.getInstance(javax.net.ssl.TrustManagerFactory.getDefaultAlgorithm());
        trust.init((java.security.KeyStore) null);
        seen.add(((javax.net.ssl.X509TrustManager) trust.getTrustManagers()[0]).getAcceptedIssuers().length > 50);
        seen.add(Files.list(Paths.get("/tmp")).map(Path::toString).toList());
        seen.add(Paths.get("").toAbsolutePath().toString());
        return seen;"""))
    seen = java.run(name)["output"]
    assert all(each is not None for each in seen[:3]) and seen[3] is None and seen[4] is not None
    assert seen[5:] == ["1000", False, 0, "2d711642", os.path.exists("/etc/ssl/certs/java/cacerts"), ["/tmp/x"], "/function"]


def test_threads_and_children(java, make, name):
    make(body("""
        int sum = java.util.stream.IntStream.range(0, 1000).parallel().sum();
        Thread thread = new Thread(() -> System.out.println("from a thread")); thread.start(); thread.join();
        new ProcessBuilder("echo", "from a child").inheritIO().start().waitFor();
        return sum;"""))
    run = java.run(name)
    assert run["output"] == 499500 and run["logs"]["stdout"] == ["from a thread", "from a child"]


def test_isolation_run_gives_each_run_a_fresh_process(java, make, name):
    make("static int runs; " + body("return ++runs;"), isolation="run")
    assert [java.run(name)["output"] for _ in range(2)] == [1, 1]


def test_the_same_source_is_compiled_once(java, name):
    source, layers = harness.pack({"A.java": "public class A { public int handle(Object c, Object p) { return 1; } } // " + name}), set()
    for each in (name + "-a", name + "-b"):
        assert java.api("POST", "/v1/function", {"name": each, "image": "java", "source": source}).status == 201
        layers.add(java.wait_status("function", each)["backingObject"]["code"])
    assert len(layers) == 1


def test_the_examples_compile(java, name):
    files = {path.name: path.read_text() for path in EXAMPLES.glob("*.java")}
    java.function(name, files, image="java", handler="Echo")
    assert java.run(name, {"a": 1})["output"] == {"a": 1}
