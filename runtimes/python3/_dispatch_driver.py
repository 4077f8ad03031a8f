"""What is easier said in Python than in C: finding and importing the handler, and telling what went wrong.

Start-up time is every instance's: nothing is imported here that the interpreter has not loaded by itself, and
what only errors need is imported when one happens.
"""
import io
import posix
import sys

import _dispatch

ASYNC_FILE = __file__.rpartition("/")[0] + "/_dispatch_async.py"
loaded = None  # the handler
waiting = None  # the module for async ones
INPUT_ERROR, FUNCTION_ERROR, SYSTEM_ERROR = "InputError", "FunctionError", "SystemError"


class LoadError(Exception):
    """The handler is not there; the message says all, a trace would only show the agent."""


class Log(io.RawIOBase):
    """The binary end of sys.stdout and sys.stderr: what is written is the agent's at once."""

    def __init__(self, fd, write, name):
        self.fd = fd
        self.write = write
        self.name = name

    def writable(self):
        return True

    def fileno(self):
        return self.fd

    def close(self):
        """Stays open: a wrapper that a handler made and dropped must not end the log."""

    def __del__(self):
        pass


def log_stream(fd, write, name):
    stream = io.TextIOWrapper(Log(fd, write, name), encoding="utf-8", errors="backslashreplace", newline="\n",
                              line_buffering=True)
    stream.mode = "w"
    return stream


def is_dir(path):
    try:
        return posix.stat(path).st_mode & 0o170000 == 0o040000
    except OSError:
        return False


def is_file(path):
    try:
        return posix.stat(path).st_mode & 0o170000 == 0o100000
    except OSError:
        return False


def add_site_folders():
    """The image's installed packages, without the cost of the site module unless some .pth file needs it."""
    version = "python%d.%d" % sys.version_info[:2]
    folders = ["/usr/local/lib/%s/dist-packages" % version, "/usr/local/lib/%s/site-packages" % version,
               "/usr/lib/python3/dist-packages", "%s/lib/%s/site-packages" % (sys.prefix, version)]
    with_pth = []
    for folder in dict.fromkeys(folders):
        try:
            names = posix.listdir(folder)
        except OSError:
            continue
        sys.path.append(folder)
        if any(name.endswith(".pth") and name != "distutils-precedence.pth" for name in names):
            with_pth.append(folder)
    if with_pth:
        import site
        for folder in with_pth:
            site.addsitedir(folder)


def add_builtins():
    """exit and quit, which the site module would define."""
    import builtins
    builtins.exit = builtins.quit = sys.exit


def default_handler(folder):
    files = sorted(name for name in posix.listdir(folder) if name.endswith(".py"))
    if len(files) != 1:
        raise LoadError("no handler is named, and /function has %s: name one as file.function"
                        % ("no *.py file" if not files else "more than one *.py file: " + ", ".join(files[:10])))
    return files[0][:-3] + ".handle"


def split_handler(handler):
    """'dir/file.handle' or 'pkg.mod.func' to module and function."""
    name = handler[2:] if handler.startswith("./") else handler
    module, _, function = name.replace("/", ".").rpartition(".")
    if not module or not function or ".." in module or module.startswith("."):
        raise LoadError("handler '%s' is not of the form file.function" % handler)
    return module, function


def is_taken(name):
    """Whether an import of it would find what the interpreter has in itself, whatever lies in sys.path."""
    import _imp
    return name in sys.modules or name in sys.builtin_module_names or _imp.is_frozen(name)


def import_file(name, path):
    external = sys.modules["_frozen_importlib_external"]
    bootstrap = sys.modules["_frozen_importlib"]
    loader = external.SourceFileLoader(name, path)
    module = bootstrap.module_from_spec(external.spec_from_file_location(name, path, loader=loader))
    loader.exec_module(module)
    return module


def import_module(name, folder):
    """Imports the handler's module; one whose name Python has taken for itself is loaded from its file all the same."""
    path = "%s/%s.py" % (folder, name.replace(".", "/"))
    if is_file(path) and is_taken(name):
        return import_file(name, path)
    try:
        __import__(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise LoadError("no module '%s' in /function" % name) from None
        raise
    return sys.modules[name]


def find(handler, folder):
    handler = handler or default_handler(folder)
    name, attribute = split_handler(handler)
    module = import_module(name, folder)
    try:
        function = getattr(module, attribute)
    except AttributeError:
        raise LoadError("module '%s' has no function '%s'" % (name, attribute)) from None
    if not callable(function):
        raise LoadError("'%s' in module '%s' is not a function but %s" % (attribute, name, type(function).__name__))
    return function


def load(handler, folder, environment):
    """The handler, or why there is none: (type, message, trace)."""
    global loaded
    posix.environ.clear()
    posix.environ.update(environment)
    if not folder.startswith("/"):
        folder = posix.getcwd()  # the agent has gone there
    sys.path.insert(0, folder)
    try:
        loaded = find(handler, folder)
        return loaded
    except LoadError as error:
        return FUNCTION_ERROR, "cannot load the handler: %s" % error, []
    except SystemExit as error:
        return FUNCTION_ERROR, "cannot load the handler: sys.exit(%s) was called while importing it" \
            % shown(error.code), trace_of(error)
    except BaseException as error:
        return FUNCTION_ERROR, "cannot load the handler: %s: %s" % (type(error).__name__, message_of(error)), \
            trace_of(error)


def is_async(function):
    """Whether it waits without keeping the thread: async def, also behind decorators, partial() and __call__."""
    for _ in range(32):
        inner = getattr(function, "__wrapped__", None) or getattr(function, "func", None)
        if inner is None or not callable(inner):
            break
        function = inner
    for each in (function, getattr(type(function), "__call__", None)):
        each = getattr(each, "__func__", each)
        flags = getattr(getattr(each, "__code__", None), "co_flags", 0)
        if flags & 0x80 or getattr(each, "_is_coroutine_mark", None) or getattr(each, "_is_coroutine", None):
            return True
    return False


def async_module():
    global waiting
    waiting = waiting or import_file("_dispatch_async", ASYNC_FILE)
    return waiting


def loop(handler):
    async_module().serve(handler)


def shown(code):
    return "" if code is None else repr(code)


def message_of(error):
    try:
        return str(error) or type(error).__name__
    except BaseException:
        return type(error).__name__


def ours(tb):
    name = tb.tb_frame.f_code.co_filename
    return name == __file__ or name == ASYNC_FILE or name.startswith("<frozen importlib")


def trace_of(error):
    """The stack trace as lines, from the first frame that is the handler's."""
    try:
        import traceback
        tb = error.__traceback__
        while tb is not None and ours(tb):
            tb = tb.tb_next
        text = "".join(traceback.format_exception(type(error), error, tb))
        return text.splitlines()
    except BaseException:
        return []


def explain(error):
    """An exception of the handler as (type, message, trace)."""
    if isinstance(error, SystemExit):
        return FUNCTION_ERROR, "the handler called sys.exit(%s)" % shown(error.code), trace_of(error)
    # without a traceback it was the call itself that failed: the handler takes other arguments
    blames_input = isinstance(error, (ValueError, TypeError)) and error.__traceback__ is not None
    return INPUT_ERROR if blames_input else FUNCTION_ERROR, message_of(error), trace_of(error)


def to_field(text):
    return text if isinstance(text, bytes) else str(text).encode("utf-8")


def unpack(result):
    """None, or a response object's (status, headers, content type, body). See lib/dispatch.py."""
    if not getattr(type(result), "__dispatch_response__", False):
        return None
    status = result.status
    if not isinstance(status, int) or not 200 <= status <= 599:
        raise ValueError("status %r is not a number from 200 to 599" % (status,))
    headers = result.headers or {}
    pairs = headers.items() if hasattr(headers, "items") else headers
    fields, content_type = [], None
    for name, values in pairs:
        for value in values if isinstance(values, (list, tuple)) else (values,):
            name, value = to_field(name).lower(), to_field(value)
            if name == b"content-type":
                content_type = value
            else:
                fields.append((name, value))
    if content_type is not None and any(byte < 32 or byte == 127 for byte in content_type):
        raise ValueError("content type %r has control characters" % content_type)
    return status, fields, content_type, result.body


# What most handlers import, for a process that has no handler yet.
PRELOADED = ("json", "os", "re", "collections", "functools", "itertools", "datetime", "time", "math", "random",
             "base64", "hashlib", "logging", "typing", "dataclasses", "urllib.parse", "traceback", "dispatch")


def forking(child):
    """Before this process is parked to be forked from, and in each that was forked."""
    if child:
        random = sys.modules.get("numpy.random")  # Python's own generator looks after itself
        if random is not None:
            random.seed()
        return
    if is_async(loaded):
        async_module()
    if loaded is None:
        for name in PRELOADED:
            try:
                __import__(name)
            except ImportError:
                pass
    import gc
    gc.collect()
    gc.freeze()  # a collection in a fork must not write to every page that it shares


def main(folder):
    sys.stdout = sys.__stdout__ = log_stream(1, _dispatch.write_stdout, "<stdout>")
    sys.stderr = sys.__stderr__ = log_stream(2, _dispatch.write_stderr, "<stderr>")
    add_site_folders()
    add_builtins()
    sys.path.append(folder + "/lib")
    handler = sys.argv[1] if len(sys.argv) > 1 else None
    sys.argv = [""]
    return _dispatch.serve(load, explain, unpack, is_async, loop, forking, handler)
