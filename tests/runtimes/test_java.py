"""The java agent over the invocation channel."""
import json
import os
import pathlib
import random
import re
import signal
import struct
import subprocess
import zipfile

import pytest

import wire
from conftest import agent_argv, agent_environment, compile_source, runtime_folder
from test_python3 import BROKEN, HEAD
from wire import AgentGone, frame

pytestmark = pytest.mark.skipif(not (runtime_folder("java") / "agent.jar").exists() or not os.path.exists("/usr/bin/java"),
                                reason="no /usr/bin/java, or built without a JDK")

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples" / "java"
MIB = 1 << 20
IMPORTS = """
import dispatch.*;
import java.io.*;
import java.math.*;
import java.nio.file.*;
import java.time.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.function.*;
import java.util.stream.*;
"""

# One compilation for all: name to the body of a class.
CLASSES = {
    "Echo": "public Object handle(Map<String, Object> c, Object p) { return p; }",
    "Seen": """public Object handle(Map<String, Object> c, Object p) {
        if (p instanceof byte[]) return Arrays.asList("bytes", HexFormat.of().formatHex((byte[]) p));
        String type = p == null ? "null" : p instanceof Map ? "map" : p instanceof List ? "list" : p.getClass().getSimpleName();
        return Arrays.asList(type, p); }""",
    "Context": "public Object handle(Map<String, Object> c, Object p) { return c; }",
    "Secrets": """public Object handle(Map<String, Object> c, Object p) { Object s = c.get("secrets"); c.put("secrets", null); return s; }""",
    "Environment": """static final String AT_LOAD = System.getenv("GREETING");
        public Object handle(Map<String, Object> c, Object p) throws Exception {
            String child = new String(new ProcessBuilder("sh", "-c", "echo $GREETING").start().getInputStream().readAllBytes(), "UTF-8");
            return Arrays.asList(AT_LOAD, System.getenv("EMPTY"), child, System.getProperty("user.dir"), System.getenv(), TimeZone.getDefault().getID()); }""",
    "Descriptors": """public Object handle(Map<String, Object> c, Object p) throws Exception {
            List<String> links = new ArrayList<>();
            for (File each : new File("/proc/self/fd").listFiles())
                try { links.add(Files.readSymbolicLink(each.toPath()).toString()); } catch (IOException e) { }
            return Arrays.asList(System.getenv(), links,
                new String(new ProcessBuilder("ls", "-l", "/proc/self/fd").start().getInputStream().readAllBytes())); }""",
    "Results": """
        public enum Colour { RED }
        public record Point(int x, List<String> names) { }
        public static class Bean { private int size = 3; public String getName() { return "n"; } public boolean isGood() { return true; } public int getSize() { return size; } }
        public static class Fields { private int a = 1; String b = "two"; transient int skipped = 3; static int also = 4; }
        public static class Throws { public int getX() { throw new IllegalArgumentException("no x"); } }
        public static class Nothing { }
        static Object loop() { List<Object> list = new ArrayList<>(); list.add(list); return list; }
        public Object handle(Map<String, Object> c, String which) throws Exception {
            switch (which) {
            case "null": return null;
            case "numbers": return new Object[] {1, 2L, (short) 3, (byte) 4, 1.5, 2.5f, 1e300, new BigInteger("10").pow(30), new BigDecimal("0.10"), new java.util.concurrent.atomic.AtomicLong(7)};
            case "text": return "\\u0000\\u001f\\"\\\\\\u00e9\\ud83d\\ude00\\n";
            case "half": return "a\\ud800b";
            case "map": return new TreeMap<>(Map.of(1, "a", 2, 'b'));
            case "enum": return Map.of(Colour.RED, Colour.RED);
            case "record": return new Point(1, List.of("a"));
            case "bean": return new Bean();
            case "fields": return new Fields();
            case "arrays": return new Object[] {new int[] {1, 2}, new boolean[] {true}, new String[] {"s"}, new byte[] {1, 2}};
            case "stream": return Stream.of(1, 2).map(n -> n * 2);
            case "optional": return List.of(Optional.of(1), Optional.empty(), OptionalInt.of(2));
            case "time": return List.of(Instant.EPOCH, LocalDate.of(2018, 10, 4), Duration.ofSeconds(90), new Date(0), UUID.fromString("00000000-0000-0000-0000-000000000001"), Paths.get("/a/b"));
            case "future": return CompletableFuture.supplyAsync(() -> "later");
            case "bytes": return new byte[] {0, -1};
            case "loop": return loop();
            case "nan": return List.of(Double.NaN);
            case "infinity": return Float.NEGATIVE_INFINITY;
            case "thread": return Map.of("a", new Object());
            case "throws": return new Throws();
            case "nothing": return new Nothing();
            case "key": { Map<String, Integer> map = new HashMap<>(); map.put(null, 1); return map; }
            case "lazy": return Stream.of(1).map(n -> { throw new IllegalArgumentException("lazy " + n); });
            case "failed": return CompletableFuture.failedFuture(new InputError("failed later"));
            }
            throw new IllegalStateException(which); }""",
    "Responses": """public Object handle(Map<String, Object> c, String which) {
            switch (which) {
            case "all": return new Response(Map.of("a", 1), 201, new LinkedHashMap<>(Map.of("X-One", "\\u00e9"))).header("Set-Cookie", List.of("a=1", "b=2"));
            case "html": return new Response("<p>").header("Content-Type", "text/html");
            case "text": return new Response("text");
            case "bytes": return new Response(new byte[] {'x'}).status(404);
            case "empty": return new Response().status(204);
            case "problem": return new Response(List.of()).header("content-type", "application/problem+json");
            case "status": return new Response(1).status(99);
            case "name": return new Response(1).header("A B", "1");
            case "inject": return new Response(1).header("A", "x\\r\\nInjected: 1");
            case "length": return new Response(1).header("Content-Length", 5);
            case "ours": return new Response(1).header("Dispatch-Error", "x");
            case "type": return new Response(1).header("Content-Type", "a\\u0001b");
            case "many": { Response r = new Response(1); for (int i = 0; i < 200; i++) r.header("a" + i, ""); return r; }
            case "object": return new Response(new Object());
            }
            throw new IllegalStateException(which); }""",
    "Throws": """
        static class Odd extends RuntimeException { public String getMessage() { throw new RuntimeException("no text"); } }
        static class InputError extends Exception { InputError(String m) { super(m); } }
        static void deep() { throw new NoSuchElementException("missing"); }
        static int endless(int n) { return endless(n + 1) + 1; }
        public Object handle(Map<String, Object> c, Object p) throws Throwable {
            switch (String.valueOf(p)) {
            case "argument": throw new IllegalArgumentException("not so");
            case "format": return Integer.parseInt("x1");
            case "cast": return (String) (Object) 1;
            case "ours": throw new dispatch.InputError("blame the caller");
            case "own": throw new InputError("by its name");
            case "deep": deep();
            case "odd": throw new Odd();
            case "stack": return endless(0);
            case "chain": try { deep(); } catch (RuntimeException e) { throw new IOException("outer", e); }
            case "error": throw new AssertionError("bare");
            case "empty": throw new Exception();
            case "huge": throw new Exception("x".repeat(1 << 20));
            case "exit": System.exit(3);
            case "halt": Runtime.getRuntime().halt(9);
            case "heap": { List<byte[]> all = new ArrayList<>(); while (true) all.add(new byte[1 << 20]); }
            case "garbage": { for (int i = 0; i < 2000; i++) p = new byte[1 << 20]; return "collected"; }
            case "array": return new int[Integer.MAX_VALUE];
            case "interrupt": Thread.currentThread().interrupt(); return "interrupted";
            }
            return p; }""",
    "Prints": """public Object handle(Map<String, Object> c, Object p) throws Exception {
            System.out.printf("print %d%n", 1);
            System.out.write("bytes\\n".getBytes());
            new FileOutputStream(FileDescriptor.out).write("descriptor\\n".getBytes());
            new ProcessBuilder("echo", "child").inheritIO().start().waitFor();
            System.out.println("after-child \\u00e9");
            System.out.print("part");
            System.err.println("error");
            System.out.print("ial");
            System.err.print("last");
            System.out.close();
            return null; }""",
    "Printed": """static { System.out.println("at load"); System.err.print("and so"); }
        public Object handle(Map<String, Object> c, int count) { for (int i = 0; i < count; i++) System.out.println("x".repeat(99)); return null; }""",
    "Waits": """public Object handle(Map<String, Object> c, String file) throws Exception {
            System.out.println("first");
            while (file != null && Files.size(Paths.get(file)) == 0) Thread.sleep(1);
            return new byte[1000000]; }""",
    "Threads": """public Object handle(Map<String, Object> c, Object p) throws Exception {
            ExecutorService pool = Executors.newFixedThreadPool(4);
            for (int i = 0; i < 40; i++) { int n = i; pool.submit(() -> System.out.println("thread " + n)); }
            pool.shutdown(); pool.awaitTermination(10, TimeUnit.SECONDS);
            Thread dies = new Thread(() -> { throw new IllegalStateException("alone"); }); dies.start(); dies.join();
            return null; }""",
    "Sizes": """public Object handle(Map<String, Object> c, Object p) {
            if (p instanceof byte[]) { byte[] b = (byte[]) p; for (int i = 0; i < b.length / 2; i++) { byte s = b[i]; b[i] = b[b.length - 1 - i]; b[b.length - 1 - i] = s; } return b; }
            return p instanceof Integer ? new byte[(Integer) p] : p; }""",
    "Text": """public Object handle(Map<String, Object> c, int size) { return "x".repeat(size); }""",
    "Usage": """public Object handle(Map<String, Object> c, String p) throws Exception {
            if (p.equals("sleep")) { Thread.sleep(210); return null; }
            long end = ProcessHandle.current().info().totalCpuDuration().get().toMillis() + 200, n = 0;
            while (ProcessHandle.current().info().totalCpuDuration().get().toMillis() < end) n++;
            return null; }""",
    "Slow": """static { Runtime.getRuntime().addShutdownHook(new Thread(() -> { try { Files.writeString(Paths.get(System.getenv("BYE")), "bye"); } catch (Exception e) { } })); }
        public Object handle(Map<String, Object> c, int ms) throws Exception { System.out.println("begun"); Thread.sleep(ms); return "done"; }""",
    "Open": """public Object handle(Map<String, Object> c, Object p) { System.out.println("x"); return new File("/proc/self/fd").list().length; }""",
    "Isolated": """public Object handle(Map<String, Object> c, String name) {
            try { return Class.forName(name).getClassLoader().getName(); } catch (ClassNotFoundException e) { return "none"; } }""",
    "Later": """public Object handle(Map<String, Object> c, Object p) {
            Thread later = new Thread(() -> { while (!new File((String) p).exists()) Thread.onSpinWait(); System.exit(4); });
            later.setDaemon(true);
            if (p != null) later.start();
            return p; }""",
    # what a handler may take
    "TakesList": "public Object handle(Map<String, Object> c, List<Integer> p) { int sum = 0; for (int each : p) sum += each; return sum; }",
    "TakesString": "public Object handle(Map<String, Object> c, String p) { return p; }",
    "TakesBytes": "public Object handle(Map<String, Object> c, byte[] p) { return p == null ? -1 : new String(p); }",
    "TakesLong": "public static Object handle(Object c, long p) { return p; }",
    "TakesBigDecimal": "public Object handle(Map<String, Object> c, BigDecimal p) { return p.toPlainString(); }",
    "TakesRecord": """
        public enum Size { SMALL, LARGE }
        public record Item(String name, int count, Optional<Double> price, Size size, LocalDate day, Map<String, List<Long>> more, int[] list, Object any) {
            public Item { if (count < 0) throw new IllegalArgumentException("count is negative"); } }
        public Object handle(Map<String, Object> c, Item p) { return p; }""",
    "TakesBean": """
        public static class Base { private String id; public String getId() { return id; } }
        public static class Bean extends Base { private String name = "none"; private int twice; public double open;
            public String getName() { return name; } public void setName(String n) { name = n; }
            public int getTwice() { return twice; } public void setTwice(int n) { twice = 2 * n; } }
        public Object handle(Map<String, Object> c, Bean p) { return p; }""",
    "TakesFunction": None,
    "TakesBase": None,
    "Methods": """public static Object other(Map<String, Object> c, Object p) { return "other"; }
        Object handle(Map<String, Object> c, Object p) { return "not public"; }""",
    "Two": "public Object handle(Object c, String p) { return 1; } public Object handle(Object c, List<?> p) { return 2; }",
    "BadInit": "static { if (true) throw new IllegalStateException(\"cannot begin\"); } public Object handle(Object c, Object p) { return 1; }",
    "BadConstructor": "BadConstructor() throws IOException { throw new IOException(\"no file\"); } public Object handle(Object c, Object p) { return 1; }",
    "NeedsMore": "NeedsMore(int n) { } public Object handle(Object c, Object p) { return 1; }",
    "Nothing": "",
    "Exits": "static { System.exit(5); } public Object handle(Object c, Object p) { return 1; }",
}
WHOLE = {
    "TakesFunction": """public class TakesFunction implements BiFunction<Map<String, Object>, TakesFunction.In, Object> {
        public record In(String name) { } public Object apply(Map<String, Object> c, In p) { return p.name(); } }""",
    "TakesBase": """public class TakesBase extends Base<Set<String>> {
        public Object apply(Map<String, Object> c, Set<String> p) { return p.size(); } }
        abstract class Base<T> implements BiFunction<Map<String, Object>, T, Object> { }""",
}


@pytest.fixture(scope="module")
def functions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("functions")
    for name, body in CLASSES.items():
        text = WHOLE.get(name) or "public class %s { %s }" % (name, body)
        (folder / (name + ".java")).write_text(IMPORTS + text + "\n")
    (folder / "one" / "two").mkdir(parents=True)
    (folder / "one" / "two" / "Deep.java").write_text("package one.two;\npublic class Deep { public Object handle(Object c, Object p) { return new Near().text(); } }\n"
                                                     "class Near { String text() { return \"deep\"; } }\n")
    for package in ("a", "b"):
        (folder / package).mkdir()
        (folder / package / "Twice.java").write_text("package %s;\npublic class Twice { public int handle(Object c, Object p) { return 1; } }\n" % package)
    assert compile_source("java", folder) == ""
    return folder


@pytest.fixture
def java(start, functions):
    return lambda handler, **how: start("java", {}, handler, folder=functions, **how)


def test_hello_of_the_quickstart(start):
    agent = start("java", {"Hello.java": (EXAMPLES / "Hello.java").read_text()}, "")
    reply = agent.call({"name": "user"})
    assert reply.body == b'{"myField":"Hello, user from Nowhere"}'
    assert reply.lines() == ["messages to stdout show up in logs"]
    assert reply.logs[2] == b""
    assert agent.call(b"", content_type=None).json == {"myField": "Hello, Noone from Nowhere"}
    reply = agent.call(method="GET", path="/hello?name=Jon&place=Winterfell", content_type=None, source="endpoint")
    assert reply.json == {"myField": "Hello, Jon from Winterfell"}


# payloads

@pytest.mark.parametrize("content_type,body,kind,value", [
    ("application/json", b' {"a": [1, 2.5, -3e2, true, false, null, "\\u00e9\\ud83d\\ude00\\n"]} ', "map",
     {"a": [1, 2.5, -300, True, False, None, "é😀\n"]}),
    ("application/json; charset=utf-8", '"ü"'.encode(), "String", "ü"),
    ("application/problem+json", b"[]", "list", []),
    ("application/json", b"", "null", None),
    (None, b"", "null", None),
    ("text/plain", "grüß".encode(), "String", "grüß"),
    ("text/plain", b"a\xffb", "String", "a\ufffdb"),
    ("application/base64", b"AAH/\r\n", "bytes", "0001ff"),
    ("application/x-www-form-urlencoded", b"a=1&b=x+y%21&a=2&c", "map", {"a": ["1", "2"], "b": "x y!", "c": ""}),
    ("application/octet-stream", b"\x00\xff", "bytes", "00ff"),
    ("application/octet-stream", b"", "null", None),
    (None, b"raw", "bytes", b"raw".hex()),
    ("application/json", b'{"k":1,"k":2}', "map", {"k": 2}),
    ("application/json", b'"\\ud800x"', "String", "\ufffdx"),
    ("application/json", b'"\\ud800\\u0041\\udc00\\ud83d\\ude00"', "String", "\ufffdA\ufffd😀"),
    ("application/json", b'"\\\\ud800x\\/\\b\\f\\n\\r\\t\\""', "String", "\\ud800x/\b\f\n\r\t\""),
    ("application/json", b"2147483647", "Integer", 2147483647),
    ("application/json", b"-2147483649", "Long", -2147483649),
    ("application/json", b"9223372036854775807", "Long", 9223372036854775807),
    ("application/json", b"9223372036854775808", "BigInteger", 9223372036854775808),
    ("application/json", b"-0", "Integer", 0),
    ("application/json", b"1e2", "Double", 100.0),
])
def test_a_runs_payload_is_decoded_by_its_content_type(java, content_type, body, kind, value):
    assert java("Seen").call(body, content_type=content_type).json == [kind, value]


@pytest.mark.parametrize("method,path,content_type,body,kind,value", [
    ("GET", "/x?a=1&b=&a=2&c=%C3%A4+%26", None, b"", "map", {"a": ["1", "2"], "b": "", "c": "ä &"}),
    ("POST", "/x?q=1", None, b"", "map", {}),
    ("POST", "/x", "application/json; charset=utf-8", b'{"a":1}', "map", {"a": 1}),
    ("PUT", "/x", "application/x-www-form-urlencoded", b"k=v&k=w", "map", {"k": ["v", "w"]}),
    ("POST", "/x", "text/plain", b"text", "bytes", b"text".hex()),
])
def test_an_endpoints_payload_follows_the_gateways_table(java, method, path, content_type, body, kind, value):
    reply = java("Seen").call(body, method=method, path=path, content_type=content_type, source="endpoint")
    assert reply.json == [kind, value]


def test_broken_json_is_an_input_error_in_gos_words(java):
    agent = java("Echo")
    for body, message in BROKEN:
        reply = agent.call(body)
        assert reply.error == {"type": "InputError", "message": "Invalid Input: " + message, "stacktrace": []}
        assert reply.status == 400
    assert agent.call(b"1").json == 1


def any_json(source, depth=0):
    kind = source.randrange(6 if depth > 4 else 8)
    if kind < 2:
        return source.choice([None, True, False, "", 0, -1, 10**17, -10**18, 10**19, 2**63, -2**63, 0.1, 1e-7, 1.5e300, 5e-324])
    if kind < 4:
        return "".join(chr(source.choice([source.randrange(128), source.randrange(0x80, 0xd800), source.randrange(0xe000, 0x110000)]))
                       for _ in range(source.randrange(12)))
    if kind < 6:
        return source.choice([source.randrange(-10**6, 10**6), source.uniform(-1e9, 1e9), source.randrange(10**40)])
    if kind == 6:
        return [any_json(source, depth + 1) for _ in range(source.randrange(6))]
    return {str(any_json(source, 9)): any_json(source, depth + 1) for _ in range(source.randrange(6))}


def test_any_json_comes_back_as_it_was(java):
    agent, source = java("Echo"), random.Random(7)
    for _ in range(400):
        value = any_json(source)
        for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)):
            assert agent.call(text.encode()).json == value, text
    deep = "[" * 512 + "]" * 512
    assert agent.call(deep.encode()).body == deep.encode()


def test_an_integer_without_end_is_the_callers_fault(java):
    error = java("Echo").call(b"9" * 100_000).error
    assert error["type"] == "InputError" and "too many digits" in error["message"]


@pytest.mark.parametrize("handler,body,value", [
    ("TakesList", b"[1, 2, 3.0]", 6), ("TakesString", b'"a"', "a"), ("TakesString", b"null", None), ("TakesBytes", b' {"a":1}', ' {"a":1}'),
    ("TakesBytes", b"", -1), ("TakesLong", b"9007199254740993", 9007199254740993), ("TakesLong", b"1e3", 1000),
    ("TakesBigDecimal", b"0.1000000000000000000000000000000000001", "0.1000000000000000000000000000000000001"),
    ("TakesFunction", b'{"name": "f", "unknown": 1}', "f"), ("TakesBase", b'["a", "b", "a"]', 2),
    ("TakesRecord", b'{"name":"n","count":2,"price":1.5,"size":"LARGE","day":"2018-10-04","more":{"a":[1,2]},"list":[1],"any":{"x":[0.1]}}',
     {"name": "n", "count": 2, "price": 1.5, "size": "LARGE", "day": "2018-10-04", "more": {"a": [1, 2]}, "list": [1], "any": {"x": [0.1]}}),
    ("TakesRecord", b'{"count":2}', {"name": None, "count": 2, "price": None, "size": None, "day": None, "more": None, "list": None, "any": None}),
    ("TakesBean", b'{"name":"n","twice":2,"open":0.5,"id":"i"}', {"name": "n", "twice": 4, "open": 0.5, "id": "i"}),
    ("TakesBean", b"{}", {"name": "none", "twice": 0, "open": 0.0, "id": None}),
])
def test_a_handler_gets_what_it_declares(java, handler, body, value):
    assert java(handler).call(body).json == value


@pytest.mark.parametrize("handler,body,message", [
    ("TakesList", b"{}", "payload is an object, and the function takes an array"),
    ("TakesList", b'[1, "2"]', "payload[1] is a string, and the function takes a number"),
    ("TakesList", b"[1.5]", "payload[0] is not an integer"), ("TakesList", b"[3000000000]", "payload[0] is too large for a Integer"),
    ("TakesList", b"[1e999999999]", "payload[0] is not an integer"),
    ("TakesString", b"1", "payload is a number, and the function takes a string"), ("TakesLong", b"", "payload is null, and the function takes a long"),
    ("TakesRecord", b'{"name": "x"}', "payload.count is missing"), ("TakesRecord", b'{"count":1,"size":"HUGE"}', "payload.size is none of the values of Size"),
    ("TakesRecord", b'{"count":1,"day":"soon"}', "payload.day is not a LocalDate"), ("TakesRecord", b'{"count":1,"more":{"a":[null,{}]}}', "payload.more.a[1] is an object"),
    ("TakesRecord", b'{"count":-1}', "count is negative"), ("TakesRecord", b"[]", "payload is an array, and the function takes a Item"),
    ("TakesBean", b'{"twice":{}}', "payload.twice is an object, and the function takes a number"),
])
def test_a_payload_that_does_not_fit_is_an_input_error_that_says_where(java, handler, body, message):
    agent = java(handler)
    reply = agent.call(body)
    assert reply.error["type"] == "InputError" and message in reply.error["message"], reply.error
    assert reply.status == 400


def test_text_and_bytes_for_a_handler_that_declares_them(java):
    assert java("TakesString").call(b"text", content_type="text/plain").json == "text"
    agent = java("TakesBytes")
    assert agent.call(b"bytes", content_type="application/octet-stream").json == "bytes"
    assert agent.call(b"text", content_type="text/plain").json == "text"
    error = java("TakesRecord").call(b"\x00", content_type="application/octet-stream").error
    assert error["type"] == "InputError" and "payload is bytes" in error["message"]


# context

def test_the_context_of_a_run(java):
    agent = java("Context", specialise={"secrets": {"key": "value"}, "timeout_ms": 5000})
    event = {"eventType": "t", "eventID": "1"}
    context = agent.call({}, path="/any?x=1", fields=[
        ("dispatch-run-id", "r"), ("dispatch-deadline", "2018-10-04T21:43:32Z"), ("dispatch-timeout-ms", "5000"),
        ("dispatch-event", json.dumps(event)), ("dispatch-http-context", '{"Content-Type": "application/json"}'),
        ("x-one-two", "1"), ("x-one-two", "2"), ("host", "h")]).json
    assert context == {
        "secrets": {"key": "value"},
        "request": {"uri": "/any?x=1", "method": "POST", "header": {
            "Content-Type": ["application/json"], "X-One-Two": ["1", "2"], "Host": ["h"]}},
        "httpContext": {"Content-Type": "application/json"},
        "event": event, "deadline": "2018-10-04T21:43:32Z", "timeout": 5000}


def test_a_runs_own_secrets_win_and_are_gone_after_it(java):
    agent = java("Secrets", specialise={"secrets": {"a": "1", "b": "2"}})
    assert agent.call({}, secrets={"b": "run", "c": "3"}).json == {"a": "1", "b": "run", "c": "3"}
    assert agent.call({}).json == {"a": "1", "b": "2"}


def test_secrets_and_the_channel_are_out_of_sight(java):
    agent = java("Descriptors", specialise={"secrets": {"token": "hush-hush"}})
    environment, links, childs = agent.call({}).json
    assert "hush-hush" not in json.dumps(environment)
    assert not [link for link in links if "memfd:secrets" in link]
    ours = os.readlink("/proc/%d/fd/4" % agent.process.pid)
    assert ours.startswith("pipe:") and ours not in childs


def test_the_environment_is_the_functions(java):
    agent = java("Environment", specialise={"env": {"GREETING": "hé = llo", "EMPTY": "", "TZ": "Asia/Tokyo"}})
    at_load, empty, child, folder, environment, zone = agent.call({}).json
    assert (at_load, empty, child, folder) == ("hé = llo", "", "hé = llo\n", str(agent.folder))
    assert environment["HOME"] == "/tmp" and zone == "Asia/Tokyo"


# results

@pytest.mark.parametrize("which,value", [
    ("null", None), ("numbers", [1, 2, 3, 4, 1.5, 2.5, 1e300, 10**30, 0.1, 7]), ("text", '\x00\x1f"\\é😀\n'), ("half", "a\ufffdb"),
    ("map", {"1": "a", "2": "b"}), ("enum", {"RED": "RED"}), ("record", {"x": 1, "names": ["a"]}),
    ("bean", {"name": "n", "good": True, "size": 3}), ("fields", {"a": 1, "b": "two"}), ("arrays", [[1, 2], [True], ["s"], "AQI="]),
    ("stream", [2, 4]), ("optional", [1, None, 2]),
    ("time", ["1970-01-01T00:00:00Z", "2018-10-04", "PT1M30S", "1970-01-01T00:00:00Z", "00000000-0000-0000-0000-000000000001", "/a/b"]),
    ("future", "later"),
])
def test_results_are_json(java, which, value):
    reply = java("Results").call(which)
    assert reply.status == 200 and reply.json == value


@pytest.mark.parametrize("which,message", [
    ("loop", "nested deeper than 512 levels"), ("nan", "JSON has no number NaN"), ("infinity", "JSON has no number -Infinity"),
    ("thread", "there is a java.lang.Object in it"), ("throws", "the getter of Results$Throws.x threw"),
    ("nothing", "which has no properties"), ("key", "null as a key"), ("lazy", "lazy 1"),
])
def test_a_result_that_is_not_json_is_a_function_error(java, which, message):
    agent = java("Results")
    reply = agent.call(which)
    assert reply.error["type"] == "FunctionError" and message in reply.error["message"], reply.error
    assert reply.status == 500 and agent.call("null").json is None


def test_bytes_go_out_as_they_are(java):
    reply = java("Results").call("bytes")
    assert dict(reply.fields)["content-type"] == b"application/octet-stream" and reply.body == b"\x00\xff"


def test_a_response_object_sets_status_fields_and_body(java):
    reply = java("Responses").call("all")
    assert (reply.status, reply.json) == (201, {"a": 1})
    assert reply.fields[2:] == [("x-one", "é".encode()), ("set-cookie", b"a=1"), ("set-cookie", b"b=2")]


@pytest.mark.parametrize("which,status,content_type,body", [
    ("html", 200, b"text/html", b"<p>"), ("text", 200, b"text/plain; charset=utf-8", b"text"),
    ("bytes", 404, b"application/octet-stream", b"x"), ("empty", 204, None, b""), ("problem", 200, b"application/problem+json", b"[]"),
])
def test_a_response_objects_body_has_a_type(java, which, status, content_type, body):
    reply = java("Responses").call(which)
    assert (reply.status, dict(reply.fields).get("content-type"), reply.body) == (status, content_type, body)
    assert reply.error_type is None


@pytest.mark.parametrize("which,why", [
    ("status", "status 99"), ("name", "is not allowed"), ("inject", "not allowed"), ("length", "not allowed"), ("ours", "not allowed"),
    ("type", "control characters"), ("many", "more than 100 header fields"), ("object", "java.lang.Object"),
])
def test_a_wrong_response_object_is_a_function_error(java, which, why):
    agent = java("Responses")
    reply = agent.call(which)
    assert reply.error["type"] == "FunctionError" and why in reply.error["message"]
    assert agent.call("text").body == b"text"


# errors

@pytest.mark.parametrize("payload,kind,message", [
    ("argument", "InputError", "not so"), ("format", "InputError", 'For input string: "x1"'), ("cast", "InputError", "cannot be cast"),
    ("ours", "InputError", "blame the caller"), ("own", "InputError", "by its name"), ("deep", "FunctionError", "missing"),
    ("odd", "FunctionError", "Throws$Odd"), ("stack", "FunctionError", "java.lang.StackOverflowError"), ("chain", "FunctionError", "outer"),
    ("error", "FunctionError", "bare"), ("empty", "FunctionError", "java.lang.Exception"),
    ("array", "FunctionError", "Requested array size exceeds VM limit"),
])
def test_what_a_handler_throws_is_an_error_with_its_trace(java, payload, kind, message):
    agent = java("Throws")
    reply = agent.call(payload)
    error = reply.error
    assert error["type"] == kind and message in error["message"]
    assert reply.status == (400 if kind == "InputError" else 500)
    assert not [line for line in error["stacktrace"] if "dispatch.agent" in line or "reflect" in line]
    assert payload == "stack" or re.match(r"\tat Throws\.handle\(Throws\.java:\d+\)", error["stacktrace"][-1]) or payload == "chain"
    assert agent.call(1).json == 1


def test_a_trace_names_line_and_cause(java):
    trace = java("Throws").call("chain").error["stacktrace"]
    assert trace[0] == "java.io.IOException: outer"
    assert "Caused by: java.util.NoSuchElementException: missing" in trace
    assert [line for line in trace if re.match(r"\tat Throws\.deep\(Throws\.java:\d+\)", line)]


def test_a_failed_future_is_what_it_failed_with(java):
    error = java("Results").call("failed").error
    assert (error["type"], error["message"]) == ("InputError", "failed later")


def test_a_huge_error_stays_within_bounds(java):
    reply = java("Throws").call("huge")
    assert reply.error["message"].startswith("xxx") and len(reply.body) < 256 << 10


def test_an_exit_ends_the_run_and_the_process(java):
    agent = java("Throws")
    error = agent.call("exit").error
    assert error["message"] == "the handler called System.exit()"
    assert re.match(r"\tat Throws\.handle\(", error["stacktrace"][-1])
    assert agent.wait() == 1


def test_a_halt_ends_the_channel(java):
    agent = java("Throws")
    with pytest.raises(AgentGone):
        agent.call("halt")
    assert agent.wait() == 9


def test_an_exit_between_runs_ends_the_process(java, tmp_path):
    agent = java("Later")
    now = tmp_path / "now"
    assert agent.call(str(now)).json == str(now)
    now.touch()
    assert agent.wait() == 4


def test_a_heap_that_is_full_ends_the_process_with_the_status_that_says_so(java):
    agent = java("Throws", memory_mib=64)
    with pytest.raises(AgentGone):
        agent.call("heap", timeout=60)
    assert agent.wait() == 71


def test_garbage_is_collected_within_the_memory(java):
    agent = java("Throws", memory_mib=128)
    reply = agent.call("garbage", timeout=60)
    assert reply.json == "collected" and reply.usage[2] < 200 * MIB


def test_an_interrupt_that_is_left_behind_harms_nobody(java):
    agent = java("Throws")
    assert agent.call("interrupt").json == "interrupted"
    assert agent.call("next").json == "next"


# loading

@pytest.mark.parametrize("handler,value", [
    ("one.two.Deep", "deep"), ("Deep", "deep"), ("Methods::other", "other"), ("Methods::handle", "not public"), ("a.Twice", 1),
])
def test_handlers_that_load(java, handler, value):
    assert java(handler).call({}).json == value


@pytest.mark.parametrize("handler,message", [
    ("", "no handler is named, and /function has more than one *.java file"), ("Missing", "no class 'Missing' in the function"),
    ("one.two.Missing", "no class 'one.two.Missing'"), ("two.Deep", "no class 'two.Deep'"), ("Twice", "more than one class Twice: name it as a.Twice or b.Twice"),
    ("Nothing", "class Nothing is no java.util.function.BiFunction and has no public method handle(context, payload)"),
    ("Methods", "has no public method handle"), ("Methods::missing", "has no method missing"), ("Two", "more than one method handle"),
    ("BadInit", "java.lang.IllegalStateException: cannot begin"), ("BadConstructor", "java.io.IOException: no file"),
    ("NeedsMore", "class NeedsMore has no constructor without parameters"), ("java.util.List", "has no public method handle"),
    ("Exits", "System.exit() was called while loading it"), ("../Echo", "no class '../Echo'"), ("Base", "is abstract"),
])
def test_a_handler_that_cannot_be_loaded_says_why(java, handler, message):
    agent = java(handler, ready=False)
    error = agent.specialise(handler)
    assert error["type"] == "FunctionError"
    assert error["message"].startswith("cannot load the handler: ") and message in error["message"], error
    assert not [line for line in error["stacktrace"] if "dispatch.agent" in line]
    assert agent.wait() == 1


def test_a_missing_class_that_a_handler_needs_is_named(start, tmp_path):
    agent = start("java", {"F.java": "public class F extends G { public int handle(Object c, Object p) { return 1; } }",
                           "G.java": "public class G { }"}, ready=False)
    (agent.folder / ".dispatch" / "classes" / "G.class").unlink()
    assert "java.lang.NoClassDefFoundError: G" in agent.specialise("F")["message"]


def test_a_source_that_was_not_compiled_says_so(start):
    agent = start("java", {}, ready=False, folder=EXAMPLES)
    assert "its source has nothing that was compiled" in agent.specialise("Echo")["message"]


def test_a_missing_folder_is_told(java, tmp_path):
    agent = java("Echo", ready=False, env={"DISPATCH_FUNCTION_DIR": str(tmp_path / "none")})
    assert "the function's folder" in agent.specialise("Echo")["message"]


def test_what_is_printed_at_load_goes_to_stream_0(java):
    agent = java("Printed")
    assert agent.import_logs == {1: b"at load\n", 2: b"and so"}
    assert agent.call(1).lines() == ["x" * 99]


# compiling

def sources(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.mark.parametrize("files,said", [
    ({"F.java": "public class F {\n  int x = ;\n}\n"}, r"F.java:2: illegal start of expression"),
    ({"F.java": "public class F {\n  int x = y;\n  int z = w;\n}\n"}, r"F.java:2: cannot find symbol.*variable y.* \(and 1 more error\)"),
    ({"a/b/F.java": "package a.b;\nclass F { Missing m; int x = \"\"; String s = 1; }\n"}, r"a/b/F.java:2: .*\(and 2 more errors\)"),
    ({"F.java": "public class G { }\n"}, r"F.java:1: class G is public, should be declared in a file named G.java"),
    ({"F.java": "import org.example.X;\nclass F { }\n"}, r"F.java:1: package org.example does not exist"),
    ({"F.java": "class F { dispatch.agent.Main m; }\n"}, r"F.java:1: package dispatch.agent does not exist"),
    ({"F.java": "class F { }\n", ".dispatch/classes/x": ""}, "the source has a folder .dispatch/classes"),
])
def test_a_source_that_does_not_compile_says_where_in_one_line(tmp_path, files, said):
    printed = compile_source("java", sources(tmp_path, files))
    assert re.match(said, printed) and printed.count("\n") == 1, printed


def test_a_source_with_nothing_to_compile_is_fine(tmp_path):
    assert compile_source("java", sources(tmp_path, {"notes.txt": "x"})) == ""
    assert not (tmp_path / ".dispatch").exists()


def test_no_annotation_processor_runs(tmp_path):
    service = {"META-INF/services/javax.annotation.processing.Processor": "org.example.Missing\n"}
    assert compile_source("java", sources(tmp_path, {"A.java": "class A { }", **service})) == ""


def test_a_maven_layout_is_compiled_without_its_tests_and_finds_its_resources(start):
    agent = start("java", {
        "src/main/java/org/example/F.java": """
            package org.example;
            public class F { public Object handle(Object c, Object p) throws Exception {
                return new String(F.class.getResourceAsStream("/text.txt").readAllBytes()); } }""",
        "src/main/resources/text.txt": "a resource",
        "src/test/java/org/example/FTest.java": "package org.example; import org.junit.Test; class FTest { }",
    }, "org.example.F")
    assert agent.call({}).json == "a resource"


def test_jars_of_the_source_are_there_to_compile_and_to_run(start, tmp_path):
    library = sources(tmp_path / "library", {"org/lib/Lib.java": "package org.lib; public class Lib { public static int f() { return 42; } }"})
    assert compile_source("java", library) == ""

    def jar(names):
        path = tmp_path / "made.jar"
        with zipfile.ZipFile(path, "w") as made:
            for name in names:
                made.write(library / ".dispatch" / "classes" / name, name)
        return path.read_bytes()
    text = "public class F { public int handle(Object c, Object p) { return org.lib.Lib.f(); } }"
    assert start("java", {"F.java": text, "lib/lib.jar": jar(["org/lib/Lib.class"])}).call({}).json == 42
    function = sources(tmp_path / "function", {"F.java": text})
    (function / "lib.jar").write_bytes(jar(["org/lib/Lib.class"]))
    assert compile_source("java", function) == ""
    with zipfile.ZipFile(tmp_path / "f.jar", "w") as made:
        made.write(function / ".dispatch" / "classes" / "F.class", "F.class")
    agent = start("java", {"f.jar": (tmp_path / "f.jar").read_bytes(), "lib/lib.jar": jar(["org/lib/Lib.class"])}, "F")
    assert agent.call({}).json == 42


def test_a_functions_classes_and_the_agents_do_not_meet(java):
    agent = java("Isolated")
    assert agent.call("dispatch.agent.Main").json == "none"
    assert agent.call("dispatch.agent.JsonReader").json == "none"
    assert agent.call("dispatch.Response").json == "app"
    assert agent.call("Echo").json == "function"


# logs

def test_all_that_is_printed_is_logged_in_order(java):
    reply = java("Prints").call({})
    assert reply.lines(1) == ["print 1", "bytes", "descriptor", "child", "after-child é", "partial"]
    assert reply.lines(2) == ["error", "last"]


def test_a_line_is_sent_as_it_is_printed(java, tmp_path):
    agent, go = java("Waits"), tmp_path / "go"
    go.write_text("")
    stream = agent.begin(content_type="application/json")
    agent.send_body(stream, json.dumps(str(go)).encode())
    agent.take()
    assert agent.replies[stream].logs[1] == b"first\n" and agent.replies[stream].fields is None
    go.write_text("yes")
    assert len(agent.finish(stream).body) == 10**6


def test_a_log_past_its_limit_is_cut_and_marked(java):
    agent = java("Printed", specialise={"log_bytes_max": 1050})
    lines = agent.call(50).lines()
    assert lines[:10] == ["x" * 99] * 10
    assert lines[-1] == "[log truncated: more than log-bytes-max, 1050 bytes, was printed]"
    assert agent.call(3).lines() == ["x" * 99] * 3


def test_threads_print_into_the_run(java):
    reply = java("Threads").call({})
    assert sorted(reply.lines(1)) == sorted("thread %d" % n for n in range(40))
    assert "alone" in reply.logs[2].decode()


# size and flow

def test_10_mib_in_and_out(java):
    agent = java("Sizes", memory_mib=512)
    body = os.urandom(10 * MIB)
    assert agent.call(body, content_type="application/octet-stream").body == body[::-1]
    text = "x" * (10 * MIB - 2)
    assert agent.call(text).json == text


def test_a_reply_waits_for_credit(java):
    agent = java("Sizes")
    stream = agent.begin(content_type="application/json")
    agent.send_body(stream, b"%d" % (3 * wire.WINDOW))
    reply = agent.replies[stream]
    while len(reply.body) < wire.WINDOW:
        agent.take(give_credit=False)
    with pytest.raises(AssertionError, match="no frame"):
        agent.take(timeout=0.3, give_credit=False)
    agent.send(frame(wire.CREDIT, stream, struct.pack("<I", 1 << 30)))
    assert len(agent.finish(stream).body) == 3 * wire.WINDOW


def test_a_reply_over_its_limit_names_it(java):
    agent = java("Text", specialise={"reply_bytes_max": 1000})
    assert len(agent.call(998).body) == 1000
    for size in (999, 10**6):
        error = agent.call(size).error
        assert error["type"] == "FunctionError" and "reply-bytes-max, 1000 bytes" in error["message"]
    agent = java("Sizes", specialise={"reply_bytes_max": 1000})
    assert len(agent.call(1000).body) == 1000
    assert "reply-bytes-max, 1000 bytes" in agent.call(1001).error["message"]


def test_streams_at_once_are_run_one_after_the_other(java):
    agent = java("Echo")
    streams = [agent.begin(content_type="application/json") for _ in range(20)]
    for number, stream in reversed(list(enumerate(streams))):
        agent.send_body(stream, b"%d" % number)
    assert [agent.finish(stream).json for stream in streams] == list(range(20))


def test_a_reset_during_the_run_drops_the_reply(java, tmp_path):
    agent, go = java("Waits"), tmp_path / "go"
    go.write_text("")
    stream = agent.begin(content_type="application/json")
    agent.send_body(stream, json.dumps(str(go)).encode())
    agent.send(frame(wire.RESET, stream))
    go.write_text("go")
    assert len(agent.call(b"null").body) == 10**6


def test_usage_is_reported(java):
    agent = java("Usage")
    handler_us, _, peak, _, _ = agent.call("sleep").usage
    assert handler_us >= 200_000 and 4 * MIB < peak < 500 * MIB
    _, cpu_us, _, _, _ = agent.call("burn").usage
    assert cpu_us >= 150_000


# ends

def test_the_agent_ends_when_the_channel_closes_and_shutdown_hooks_run(java, tmp_path):
    agent = java("Slow", specialise={"env": {"BYE": str(tmp_path / "bye")}})
    agent.channel.end()
    assert agent.wait() == 0
    assert (tmp_path / "bye").read_text() == "bye"


def test_sigterm_finishes_the_run_at_hand(java):
    agent = java("Slow")
    stream = agent.begin(content_type="application/json")
    agent.send_body(stream, b"300")
    agent.take()
    agent.process.send_signal(signal.SIGTERM)
    assert agent.finish(stream).json == "done"
    assert agent.wait() == 0


def test_sigterm_ends_an_idle_agent(java):
    agent = java("Echo")
    agent.process.send_signal(signal.SIGTERM)
    assert agent.wait() == 0


@pytest.mark.parametrize("data", [
    b"\xff" * 12, frame(99, 1), frame(wire.DATA, 7, b"x"), HEAD + HEAD, frame(wire.SPECIALISE, 0, b""),
    struct.pack("<IBBHI", 200000, 2, 0, 0, 1),
])
def test_a_server_that_breaks_the_protocol_ends_the_agent(java, data):
    agent = java("Echo")
    try:
        agent.send(data)
        while True:
            agent.receive()
    except (AgentGone, OSError):
        pass
    assert agent.wait() == 70
    assert "dispatch agent: " in agent.printed()


def test_the_library_shares_no_names_with_java():
    text = subprocess.check_output(["nm", "-D", "--defined-only", str(runtime_folder("java") / "libdispatch-java.so")], text=True)
    assert all(name == "JNI_OnLoad" or name.startswith("_") for name in (line.split()[-1] for line in text.splitlines())), text


def test_it_works_without_memfds(java):
    agent = java("Slow", memfds=False)
    assert agent.call(0).json == "done" and agent.call(0).logs[1] == b"begun\n"


def test_a_thousand_runs_leave_nothing_behind(java):
    agent = java("Open")
    before = [agent.call({"a": [1] * 100}).json for _ in range(10)]
    after = [agent.call({"a": [1] * 100}).json for _ in range(1000)]
    assert min(after[-10:]) <= max(before), after  # now and then the JVM looks at a file of its cgroup
    assert agent.call({}).usage[2] < 200 * MIB


# over TCP

@pytest.fixture
def serve(functions):
    from test_port import Server
    servers = []

    def start_server(handler, **env):
        servers.append(Server("java", functions, handler, env))
        return servers[-1]
    yield start_server
    for server in servers:
        server.process.kill()
        server.process.communicate()


def test_the_function_runtime_api_on_a_port(serve):
    from test_port import MESSAGE
    server = serve("Throws")
    assert server.get("/healthz")[::2] == (200, b"{}")
    status, headers, body = server.post({"a": 1})
    assert (status, headers["content-type"], json.loads(body)) == (200, "application/json", {"a": 1})
    status, headers, body = server.post("argument")
    assert status == 400 and headers["dispatch-error"] == "InputError" and json.loads(body)["message"] == "not so"
    status, _, body = server.post("deep", accept=MESSAGE)
    assert json.loads(body)["context"]["error"]["type"] == "FunctionError"


def test_a_run_over_its_time_ends_with_its_process(serve):
    server = serve("Slow", TIMEOUT="200")
    assert server.post(0)[0] == 200
    status, _, body = server.post(5000)
    assert status == 500 and json.loads(body)["message"] == "Function execution exceeded the timeout"
    assert server.process.wait(20) == 1


def test_an_exit_over_a_port_is_told(serve):
    server = serve("Throws", TIMEOUT="10000")
    status, _, body = server.post("exit")
    assert status == 500 and "System.exit()" in json.loads(body)["message"]
    assert server.process.wait(20) == 1


def test_sigterm_on_a_port_finishes_the_request_at_hand(serve):
    import threading
    server, replies = serve("Slow"), []
    thread = threading.Thread(target=lambda: replies.append(server.post(400)))
    thread.start()
    assert server.process.stdout.readline() == b"begun\n"
    server.process.send_signal(signal.SIGTERM)
    thread.join()
    assert replies[0][0] == 200 and json.loads(replies[0][2]) == "done"
    assert server.process.wait(20) == 0


def test_a_handler_that_cannot_be_loaded_ends_the_process(functions):
    environment = {"PATH": "/usr/bin:/bin", "PORT": "0", "DISPATCH_FUNCTION_DIR": str(functions), **agent_environment("java")}
    done = subprocess.run(agent_argv("java") + ["Missing"], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "no class 'Missing'" in done.stderr
