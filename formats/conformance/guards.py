"""Sees whether code reads a clock, throws dice, or touches a file, the network, a process or the environment.

How sound it is. Two nets, both on the calling thread only:

* a profiling function (`sys.setprofile`) is told of every built-in function that Python code calls, however it was imported, so
  that `from datetime import datetime; datetime.now()` is seen, which no replaced module attribute would catch;
* an audit hook (PEP 578) is told of opened files, sockets, processes and the like, also by C code of the
  standard library.

Not seen: what a C extension does on its own without an audit event (lxml told to parse a path, say), other threads, and what is
done once at first use before the guard stands (imports, schema files), which is why callers run everything once beforehand.
What is seen is reported, not prevented.
"""

import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from functools import lru_cache
from random import Random
from threading import get_ident
from types import FrameType

_BUILTIN_MODULES = frozenset({"time", "_socket", "_ssl", "select", "_posixsubprocess", "_uuid", "_random"})
_SYSTEM_MODULES = frozenset({"posix", "nt"})
_SYSTEM_HARMLESS = frozenset({"fspath"})
_CLOCKS = frozenset({"now", "utcnow", "today"})
_OPENERS = frozenset({("io", "open"), ("_io", "open"), ("io", "open_code"), ("_io", "open_code")})
_EVENTS = ("open", "os.", "socket.", "subprocess.", "shutil.", "tempfile.", "glob.", "sqlite3.", "urllib.", "http.", "ftplib.")
_ENVIRONMENT = frozenset({type(os.environ).__getitem__.__code__, type(os.environ).__iter__.__code__})
_LIBRARY = os.__file__.removesuffix("os.py")

_watching: dict[int, list[str]] = {}  # thread → what was seen; the audit hook cannot be taken away again, so it looks here


@contextmanager
def watched() -> Iterator[list[str]]:
    """Everything of the outside world that this thread touches inside, as "time.time (called at plugin.py:31)", each once."""
    _install()
    seen: list[str] = []
    before = sys.getprofile()
    collecting = gc.isenabled()
    gc.disable()  # a collection runs others' callbacks and finalisers: hypothesis, for one, reads the clock in its own
    _watching[get_ident()] = seen
    sys.setprofile(_profiler(seen))
    try:
        yield seen
    finally:
        sys.setprofile(before)
        del _watching[get_ident()]
        if collecting:
            gc.enable()


def _profiler(seen: list[str]) -> Callable[[FrameType, str, object], None]:
    def profile(frame: FrameType, event: str, called: object) -> None:
        if event == "c_call":
            name = _forbidden(called)
            if name is not None:
                _note(seen, name, frame)
        elif event == "call" and frame.f_code in _ENVIRONMENT:
            _note(seen, "os.environ", frame.f_back or frame)

    return profile


def _forbidden(called: object) -> str | None:
    """The name of a built-in that reaches outside, or None."""
    name = str(getattr(called, "__name__", ""))
    module = getattr(called, "__module__", None)
    owner = getattr(called, "__self__", None)
    if module in _BUILTIN_MODULES or (module in _SYSTEM_MODULES and name not in _SYSTEM_HARMLESS):
        return f"{'os' if module in _SYSTEM_MODULES else module}.{name}"
    if (module, name) in _OPENERS:
        return "open"
    if name in _CLOCKS and isinstance(owner, type) and issubclass(owner, date):
        return f"{owner.__name__}.{name}"
    if isinstance(owner, Random):
        return f"random.{name}"
    if type(owner).__module__ in ("_socket", "socket"):
        return f"socket.{name}"
    return None


def _note(seen: list[str], what: str, frame: FrameType) -> None:
    inner = frame
    while _is_standard(inner.f_code.co_filename) and inner.f_back is not None:
        inner = inner.f_back  # whoever called the standard library is whom to tell
    place = "/".join(inner.f_code.co_filename.replace("\\", "/").split("/")[-2:])
    text = f"{what} (called at {place}:{inner.f_lineno})"
    if text not in seen:
        seen.append(text)


def _is_standard(file: str) -> bool:
    return file.startswith("<frozen") or (file.startswith(_LIBRARY) and "site-packages" not in file)


@lru_cache(maxsize=1)
def _install() -> None:
    sys.addaudithook(_audit)


def _audit(event: str, _arguments: tuple[object, ...]) -> None:
    seen = _watching.get(get_ident()) if _watching else None
    if seen is not None and event.startswith(_EVENTS):
        frame = sys._getframe(1)
        _note(seen, f"audit event {event}", frame)
