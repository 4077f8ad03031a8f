"""Agents with several runs in hand: async handlers of python3 and nodejs over the invocation channel.

Whether runs overlap is seen by a gate: what waits there goes on only when another run opens it.
"""
import json
import signal
import struct
import sys

import pytest

import wire
from wire import CREDIT, DATA, END, RESET, frame

MIB = 1 << 20

PYTHON = '''
import asyncio

gates, arrived, cancelled = {}, [], []

async def wait(context, key):
    arrived.append(key)
    print("waits at", key)
    try:
        await gates.setdefault(key, asyncio.Event()).wait()
    except asyncio.CancelledError:
        cancelled.append(key)
        raise
    print("passed", key)
    return "past " + key

async def ignore(context, key):
    arrived.append(key)
    gate = gates.setdefault(key, asyncio.Event())
    while not gate.is_set():
        try:
            await gate.wait()
        except asyncio.CancelledError:
            cancelled.append(key)
    return "past " + key

async def handle(context, payload):
    if "wait" in payload:
        return await wait(context, payload["wait"])
    if "ignore" in payload:
        return await ignore(context, payload["ignore"])
    if "open" in payload:
        gates.setdefault(payload["open"], asyncio.Event()).set()
    if "large" in payload:
        return "x" * payload["large"]
    if "raise" in payload:
        await asyncio.sleep(0)
        raise {"value": ValueError, "key": KeyError, "exit": SystemExit}[payload["raise"]]("on purpose")
    return {"arrived": arrived, "cancelled": cancelled}
'''

NODE = '''
const gates = new Map(), arrived = [], cancelled = [];
const gate = (key) => {
    if (!gates.has(key)) {
        const one = {};
        one.passed = new Promise((resolve) => { one.open = resolve; });
        gates.set(key, one);
    }
    return gates.get(key);
};

async function wait(context, key) {
    arrived.push(key);
    console.log('waits at', key);
    await Promise.race([gate(key).passed, new Promise((resolve, reject) => {
        context.signal.addEventListener('abort', () => { cancelled.push(key); reject(context.signal.reason); });
    })]);
    console.log('passed', key);
    return 'past ' + key;
}

async function ignore(context, key) {
    arrived.push(key);
    context.signal.addEventListener('abort', () => cancelled.push(key));
    await gate(key).passed;
    return 'past ' + key;
}

module.exports = async (context, payload) => {
    if ('wait' in payload)
        return wait(context, payload.wait);
    if ('ignore' in payload)
        return ignore(context, payload.ignore);
    if ('open' in payload)
        gate(payload.open).open();
    if ('large' in payload)
        return 'x'.repeat(payload.large);
    if ('raise' in payload) {
        await null;
        if (payload.raise === 'exit')
            process.exit(3);
        throw payload.raise === 'value' ? new TypeError('on purpose') : new Error('on purpose');
    }
    return { arrived, cancelled };
};
'''


@pytest.fixture(params=["python3", "nodejs"])
def several(request, start):
    def begin(concurrency=100, **more):
        if request.param == "python3":
            return start("python3", {"several.py": PYTHON}, "several.handle", specialise={"concurrency": concurrency}, **more)
        return start("nodejs", {"several.js": NODE}, "./several.js", specialise={"concurrency": concurrency}, **more)
    begin.language = request.param
    return begin


def send(agent, payload):
    stream = agent.begin(content_type="application/json")
    agent.send_body(stream, json.dumps(payload).encode())
    return stream


def until(agent, key, value):
    """Asks until the handler has seen what is expected; each question is a run beside the others."""
    while value not in agent.call({}).json[key]:
        pass


def test_a_hundred_runs_wait_in_one_process_together(several):
    agent = several(101)
    streams = [send(agent, {"wait": "gate"}) for _ in range(100)]
    while len(agent.call({}).json["arrived"]) < 100:
        pass
    assert all(agent.replies[stream].fields is None for stream in streams)
    agent.call({"open": "gate"})
    assert [agent.finish(stream).json for stream in streams] == ["past gate"] * 100


def test_runs_end_in_any_order_each_with_its_own_log(several):
    agent = several()
    streams = {key: send(agent, {"wait": key}) for key in "abc"}
    until(agent, "arrived", "c")
    for key in "bca":
        agent.call({"open": key})
        reply = agent.finish(streams[key])
        assert reply.json == "past " + key
        assert reply.lines() == ["waits at " + key, "passed " + key]


def test_an_error_is_of_its_run_alone(several):
    agent = several()
    waits = send(agent, {"wait": "gate"})
    failed = agent.call({"raise": "value"})
    assert (failed.error["type"], failed.error["message"]) == ("InputError", "on purpose")
    assert failed.error["stacktrace"] and "several." in "".join(failed.error["stacktrace"])
    assert "_dispatch_async" not in "".join(failed.error["stacktrace"])
    assert agent.call({"raise": "key"}).error["type"] == "FunctionError"
    agent.call({"open": "gate"})
    assert agent.finish(waits).json == "past gate"


def test_a_reset_cancels_one_run_and_says_when_it_is_over(several):
    agent = several()
    streams = {key: send(agent, {"wait": key}) for key in ("stays", "goes")}
    until(agent, "arrived", "goes")
    agent.send(frame(RESET, streams["goes"]))
    reply = agent.finish(streams["goes"])
    assert reply.reset and reply.fields is None and reply.body == b""
    assert agent.call({}).json["cancelled"] == ["goes"]
    agent.call({"open": "stays"})
    assert agent.finish(streams["stays"]).json == "past stays"


def test_a_run_that_ignores_its_cancel_is_over_only_when_it_ends(several):
    agent = several()
    stream = send(agent, {"ignore": "gate"})
    until(agent, "arrived", "gate")
    agent.send(frame(RESET, stream))
    until(agent, "cancelled", "gate")
    assert not agent.replies[stream].reset
    agent.call({"open": "gate"})
    assert agent.finish(stream).reset


def test_resets_before_the_run_and_twice_and_of_what_is_over(several):
    agent = several()
    begun = agent.begin(content_type="application/json")
    agent.send(frame(RESET, begun) + frame(RESET, begun) + frame(END, begun))
    assert agent.finish(begun).reset
    done = send(agent, {})
    agent.finish(done)
    agent.send(frame(RESET, done))
    assert agent.call({}).json["cancelled"] == []


def test_a_reset_together_with_its_request_ends_the_run(several):
    agent = several()
    for _ in range(20):
        stream = agent.next_stream
        pairs = wire.fields_bytes([(":method", "POST"), (":path", "/"), (":source", "run"), ("content-type", "application/json")])
        agent.next_stream += 1
        agent.replies[stream], agent.credit[stream] = wire.Reply(), wire.WINDOW
        agent.send(frame(wire.HEAD, stream, pairs) + frame(DATA, stream, b'{"wait": "never"}') + frame(END, stream))
        agent.send(frame(RESET, stream))
        assert agent.finish(stream).reset
    assert agent.call({}).json["arrived"] == agent.call({}).json["cancelled"]


def test_a_reply_that_has_no_credit_holds_up_no_other(several):
    agent = several()
    stream = send(agent, {"large": 3 * wire.WINDOW})
    while len(agent.replies[stream].body) < wire.WINDOW:
        agent.take(give_credit=False)
    other = send(agent, {})
    while agent.replies[other].usage is None:
        agent.take(give_credit=False)
    assert agent.replies[stream].usage is None and len(agent.replies[stream].body) == wire.WINDOW
    agent.send(frame(CREDIT, stream, struct.pack("<I", 3 * wire.WINDOW)))
    assert len(agent.finish(stream).json) == 3 * wire.WINDOW


def test_requests_whose_pieces_are_mixed_come_together(several):
    agent = several()
    bodies = [json.dumps({"wait": str(i) * (50000 + i)}).encode() for i in range(8)]
    streams = [agent.begin(content_type="application/json") for _ in bodies]
    for at in range(0, max(map(len, bodies)), 10000):
        for stream, body in zip(reversed(streams), reversed(bodies)):
            if body[at:at + 10000]:
                agent.send(frame(DATA, stream, body[at:at + 10000]))
    agent.send(b"".join(frame(END, stream) for stream in streams))
    for stream, body in zip(streams, bodies):
        key = json.loads(body)["wait"]
        agent.call({"open": key})
        assert agent.finish(stream).json == "past " + key


def test_sigterm_lets_those_in_hand_finish(several):
    agent = several()
    streams = [send(agent, {"ignore": "gate"}), send(agent, {"wait": "gate"})]
    opener = agent.begin(content_type="application/json")
    until(agent, "arrived", "gate")
    agent.process.send_signal(signal.SIGTERM)
    agent.send_body(opener, json.dumps({"open": "gate"}).encode())
    for stream in streams:
        assert agent.finish(stream).json == "past gate"
    assert agent.wait() == 0


def test_a_server_that_goes_ends_the_process(several):
    agent = several()
    send(agent, {"wait": "gate"})
    until(agent, "arrived", "gate")
    agent.channel.close()
    assert agent.wait() == 0


def test_an_exit_is_told_to_its_run_and_the_process_ends_after_the_others(several):
    agent = several()
    if several.language == "python3":
        failed = agent.call({"raise": "exit"})
        assert failed.error["message"] == "the handler called sys.exit('on purpose')"
        assert agent.call({}).json["arrived"] == []
        return
    waits = send(agent, {"wait": "gate"})
    until(agent, "arrived", "gate")
    failed = agent.call({"raise": "exit"})
    assert failed.error["message"] == "the handler called process.exit(3)"
    other = agent.finish(waits)
    assert other.error["message"] == "another run in the same process called process.exit(3)"
    assert agent.wait() == 1


def test_cpu_time_is_shared_out(several):
    agent = several()
    streams = [send(agent, {"wait": "gate"}) for _ in range(10)]
    while len(agent.call({}).json["arrived"]) < 10:
        pass
    agent.call({"large": 8 * MIB})
    agent.call({"open": "gate"})
    shares = [agent.finish(stream).usage[1] for stream in streams]
    assert max(shares) <= 2 * min(shares) + 20000, shares


def test_a_handler_of_one_at_a_time_is_refused_and_says_why(start):
    sync = "def handle(context, payload):\n    return 1\n"
    agent = start("python3", {"f.py": sync}, ready=False)
    error = agent.specialise("f.handle", concurrency=2)
    assert error["type"] == "FunctionError"
    assert error["message"] == ("cannot load the handler: it takes one run at a time, and the function asks for 2 "
                                "(concurrency): that is for handlers that are async (python3: async def; nodejs)")
    assert agent.wait() == 1


@pytest.mark.parametrize("code", [
    "import functools\nasync def f(greeting, context, payload):\n    return greeting + payload\n"
    "handle = functools.partial(f, 'hi ')\n",
    "class Handler:\n    async def __call__(self, context, payload):\n        return 'hi ' + payload\nhandle = Handler()\n",
    "class Handler:\n    async def run(self, context, payload):\n        return 'hi ' + payload\nhandle = Handler().run\n",
    "import functools\ndef polite(f):\n    @functools.wraps(f)\n    def wrapper(context, payload):\n"
    "        return f(context, 'hi ' + payload)\n    return wrapper\n"
    "@polite\nasync def handle(context, payload):\n    return payload\n",
])
@pytest.mark.parametrize("concurrency", [1, 2])
def test_python_sees_what_is_async(start, code, concurrency):
    agent = start("python3", {"f.py": code}, "f.handle", specialise={"concurrency": concurrency})
    assert agent.call("you").json == "hi you"
    assert agent.call("there").json == "hi there"


def test_python_threads_and_half_lines_stay_with_their_run(start):
    code = ("import asyncio, sys, threading\n"
            "gate = None\n"
            "async def handle(context, payload):\n"
            "    global gate\n"
            "    gate = gate or asyncio.Barrier(2)\n"
            "    print(payload, end=' ')\n"
            "    await gate.wait()\n"
            "    await asyncio.to_thread(print, 'thread of', payload, end=' ')\n"
            "    await gate.wait()\n"
            "    sys.stderr.write('err ' + payload)\n"
            "    await gate.wait()\n"
            "    print('end of', payload)\n")
    if sys.version_info < (3, 11):
        pytest.skip("asyncio.Barrier is there from Python 3.11 on")
    agent = start("python3", {"f.py": code}, "f.handle", specialise={"concurrency": 2})
    streams = [send(agent, key) for key in "ab"]
    for key, stream in zip("ab", streams):
        reply = agent.finish(stream)
        assert reply.lines() == ["%s thread of %s end of %s" % (key, key, key)]
        assert reply.logs[2].decode() == "err " + key


def test_python_background_tasks_do_not_end_the_loop(start):
    code = ("import asyncio, sys\n"
            "async def bad():\n    sys.exit(3)\n"
            "tasks = []\n"
            "async def handle(context, payload):\n"
            "    tasks.append(asyncio.ensure_future(bad()))\n"
            "    await asyncio.sleep(0)\n"
            "    await asyncio.sleep(0)\n"
            "    return payload\n")
    agent = start("python3", {"f.py": code}, "f.handle", specialise={"concurrency": 2})
    assert agent.call(1).json == 1
    assert agent.call(2).json == 2
