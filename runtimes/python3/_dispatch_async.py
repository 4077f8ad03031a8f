"""Async handlers: one event loop, on which the runs of an instance wait beside each other.

Imported only for a handler that is async, which has asyncio loaded most likely anyway.
"""
import asyncio
import contextvars
import sys
import traceback

import _dispatch

# The run that the code at work belongs to; tasks and asyncio.to_thread inherit it. 0: none.
current = contextvars.ContextVar("dispatch_run", default=0)


def log_to(stream):
    return lambda data: _dispatch.log(current.get(), stream, data)


class Agent:
    def __init__(self, handler, loop):
        self.handler = handler
        self.loop = loop
        self.tasks = {}
        self.channel, self.wake = _dispatch.descriptors()
        self.tick = None
        self.looks = False  # soon
        self.over = False

    async def run(self, number, context, payload):
        try:
            result = self.handler(context, payload)
            if hasattr(type(result), "__await__"):
                result = await result
        except BaseException as error:
            _dispatch.fail(number, error)
        else:
            _dispatch.reply(number, result)
        self.over_with(number)

    def over_with(self, number):
        del self.tasks[number]
        if not self.looks:  # there is room for what no descriptor tells of any more
            self.looks = True
            self.loop.call_soon(self.look)

    def begin(self, number, context, payload):
        own = contextvars.copy_context()
        own.run(current.set, number)
        self.tasks[number] = own.run(self.loop.create_task, self.run(number, context, payload))

    def look(self):
        """Takes what is there: runs that begin, runs to be cancelled, the end."""
        self.looks = False
        if self.over:
            return
        while True:
            taken = _dispatch.take()
            if taken is None:
                break
            if taken is False:
                self.end()
                return
            self.begin(*taken)
        number = _dispatch.cancelled()
        while number:
            if number in self.tasks:
                self.cancel(number, self.tasks[number])
            number = _dispatch.cancelled()
        wait_ms = _dispatch.wait_ms()
        if wait_ms >= 0 and self.tick is None:
            self.tick = self.loop.call_later(wait_ms / 1000, self.on_tick)

    def cancel(self, number, task):
        def cancelled(task):
            if self.tasks.get(number) is task:  # it had not begun: run() was never entered
                _dispatch.fail(number, asyncio.CancelledError())
                self.over_with(number)
        task.add_done_callback(cancelled)
        task.cancel()

    def on_tick(self):
        self.tick = None
        self.look()

    def on_wake(self):
        self.loop.remove_reader(self.wake)  # SIGTERM is told once
        self.look()

    def end(self):
        self.over = True
        self.loop.remove_reader(self.channel)
        self.loop.stop()


def serve(handler):
    for name, stream in (("__stdout__", 1), ("__stderr__", 2)):
        wrapper = getattr(sys, name)
        wrapper.reconfigure(write_through=True)  # half a line must not wait for the other half among those of others
        wrapper.buffer.write = log_to(stream)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    agent = Agent(handler, loop)
    loop.add_reader(agent.channel, agent.look)
    loop.add_reader(agent.wake, agent.on_wake)
    loop.call_soon(agent.look)
    while not agent.over:
        try:
            loop.run_forever()
        except BaseException:  # SystemExit of a task that no run waits for: it ends that task
            traceback.print_exc()
