"""Runs gpg, a separate program, in a home of its own that exists for one operation.

Nothing of the user's ~/.gnupg is used, and nothing outlives the operation: the home is a private directory (mode 0700) that is
filled from the configured key files and removed again, and the agent, which gpg needs for private keys, is a child that ends with
it. Private keys enter the home in their encrypted form only; passphrases go through pipes, never into arguments, files or the
agent's cache.

One thread moves everything: source, content, status and passphrases are pumped through pipes as they are ready, so memory does
not grow with the file, and the caller's objects are never touched by another thread.
"""

import contextlib
import fcntl
import os
import selectors
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import IO, BinaryIO, Final, Protocol

from keys.seal import KeyUnavailable

_CHUNK: Final = 256 * 1024
_PIPE_BYTES: Final = 1024 * 1024  # what an unprivileged process may ask of Linux
_STATUS_BYTES_MAX: Final = 256 * 1024  # a message with some hundred recipients says a few dozen KiB
_ENDING_SECONDS: Final = 5

# No file of the user's, no network, no question, no trust database, nothing from the key files but the keys.
_ALWAYS: Final = (
    *("--no-options", "--batch", "--no-tty", "--quiet", "--no-greeting", "--no-verbose", "--exit-on-status-write-error"),
    *(
        "--no-auto-key-locate",
        "--no-auto-key-retrieve",
        "--disable-dirmngr",
        "--no-auto-check-trustdb",
        "--trust-model",
        "always",
    ),
    *("--pinentry-mode", "loopback", "--no-random-seed-file", "--lock-never", "--no-autostart"),
)
_AGENT: Final = (
    *("--quiet", "--disable-scdaemon", "--no-allow-external-cache"),
    *("--max-cache-ttl", "0", "--default-cache-ttl", "0"),
    # Measuring how fast this machine is takes longer than everything else. This is OpenPGP's largest count.
    *("--s2k-count", "65011712"),
)


class Sink(Protocol):
    """Where bytes go."""

    def write(self, data: bytes, /) -> object: ...


class StatusFlood(Exception):
    """gpg said more about a message than it says about any real one."""


@dataclass(slots=True)
class Passphrases:
    """The answers to gpg's questions, by the 16 digits of a key. Remembers for which keys they were wanted."""

    by_key: Mapping[str, bytes] = field(repr=False)
    asked: list[str] = field(default_factory=list)

    def answer(self, key_id: str) -> bytes:
        """The passphrase, or an empty one for a key that is not ours, or that was not opened by it the first time."""
        known = b"" if key_id in self.asked else self.by_key.get(key_id, b"")
        self.asked.append(key_id)
        return known


NO_PASSPHRASES: Final[Mapping[str, bytes]] = {}


@dataclass(frozen=True, slots=True)
class Ended:
    """What a run of gpg came to: its exit code, and its status lines without the prefix, as they came."""

    code: int
    status: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Gpg:
    """A home in use. `at` is the moment that gpg takes for now."""

    program: str
    home: Path
    at: datetime

    def run(
        self,
        *arguments: str,
        source: BinaryIO | None = None,
        out: Sink | None = None,
        passphrases: Mapping[str, bytes] = NO_PASSPHRASES,
    ) -> Ended:
        """Feeds `source` to gpg and what it writes to `out`. Raises what these raise, `StatusFlood`, and `KeyUnavailable` where
        gpg cannot be started."""
        with contextlib.ExitStack() as pipes:
            status, status_end = _pipe(pipes)
            command_end, command = _pipe(pipes)
            channels = ("--status-fd", str(status_end.fileno()), "--command-fd", str(command_end.fileno()))
            # gpg takes a number for a date of 1970 and later; "!" stops the clock there.
            when = ("--faked-system-time", f"{int(self.at.timestamp())}!")
            process = _start(
                [self.program, "--homedir", str(self.home), *_ALWAYS, *when, *channels, *arguments],
                self.home,
                subprocess.DEVNULL if source is None else subprocess.PIPE,
                (status_end.fileno(), command_end.fileno()),
            )
            try:
                status_end.close()
                command_end.close()
                talk = _Talk(command, Passphrases(passphrases))
                _pump(process, source, out, status, talk)
                return Ended(process.wait(), tuple(talk.lines))
            finally:
                _end(process)


@contextlib.contextmanager
def home(keys: bytes, at: datetime) -> Iterator[Gpg]:
    """A home with these keys (packets as `gpg --export` and `--export-secret-keys` write them) for as long as the context lasts.

    Raises `KeyUnavailable` where gpg is missing or cannot work.
    """
    program, agent = _program("gpg"), _program("gpg-agent")
    with _directory() as place, _agent(agent, place):
        gpg = Gpg(program, place, at)
        gpg.run("--ignore-time-conflict", "--import", source=BytesIO(keys))
        yield gpg


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise KeyUnavailable(f"the seal kind openpgp needs the program {name}, which is not installed: install the package gnupg")
    return found


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    try:
        place = Path(tempfile.mkdtemp(prefix="bankgate-"))  # mode 0700
    except OSError as problem:
        raise KeyUnavailable(
            f"no private directory for gpg can be made below {tempfile.gettempdir()}: {problem.strerror}"
        ) from None
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextlib.contextmanager
def _agent(program: str, place: Path) -> Iterator[None]:
    """An agent of our own, as a child: one that gpg starts would go into the background and outlive it.

    It is given its socket the way service managers do (option --supervised), and gpg finds that socket in the home.
    """
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(place / "S.gpg-agent"))
            listening.listen(8)
            words = [program, "--homedir", str(place), "--supervised", *_AGENT]
            # The socket must be descriptor 3 of the agent; a shell puts it there and then becomes the agent.
            script = 'exec "$@" 3<&0 </dev/null'
            process = _start(["/bin/sh", "-c", script, "sh", *words], place, listening.fileno(), (), LISTEN_FDS="1")
    except OSError as problem:
        raise KeyUnavailable(f"gpg cannot work below {place}: {problem}; set TMPDIR to a short path") from None
    try:
        yield
        if process.poll() is not None:
            raise KeyUnavailable(
                f"{program} ended by itself, or does not know the option --supervised; GnuPG 2.2 or 2.4 is needed"
            )
    finally:
        _end(process)


def _start(
    words: list[str], place: Path, source: int, descriptors: tuple[int, ...], **environment: str
) -> subprocess.Popen[bytes]:
    """Its diagnostics are thrown away: they name the persons of the keys. The status lines say what is to be known."""
    base = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(place), "LC_ALL": "C"}
    try:
        return subprocess.Popen(  # noqa: S603  # the program was looked up; no word comes from a message
            words,
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=place,
            env=base | environment,
            pass_fds=descriptors,
            bufsize=0,
        )
    except OSError as problem:
        raise KeyUnavailable(f"{words[0]} cannot be started: {problem.strerror}") from None


def _end(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(_ENDING_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _pipe(stack: contextlib.ExitStack) -> tuple[BinaryIO, BinaryIO]:
    """The reading and the writing end, unbuffered, closed with the stack."""
    reading, writing = os.pipe()
    return (
        stack.enter_context(os.fdopen(reading, "rb", buffering=0)),
        stack.enter_context(os.fdopen(writing, "wb", buffering=0)),
    )


class _Talk:
    """The status lines, and the answers to what they ask."""

    def __init__(self, command: BinaryIO, passphrases: Passphrases) -> None:
        self.lines: list[str] = []
        self._command = command
        self._passphrases = passphrases
        self._wanted = ""
        self._rest = b""
        self._size = 0

    def take(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > _STATUS_BYTES_MAX:
            raise StatusFlood
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            words = line.decode("utf-8", "replace").removeprefix("[GNUPG:] ")
            self.lines.append(words)
            keyword, _, rest = words.partition(" ")
            if keyword == "NEED_PASSPHRASE":
                self._wanted = rest.partition(" ")[0]
            elif keyword in {"GET_HIDDEN", "GET_LINE", "GET_BOOL"}:
                self._answer(self._passphrases.answer(self._wanted) if keyword == "GET_HIDDEN" else b"")
                self._wanted = ""

    def _answer(self, words: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):  # gpg has ended by itself; its exit code says why
            self._command.write(words + b"\n")


def _pump(process: subprocess.Popen[bytes], source: BinaryIO | None, out: Sink | None, status: BinaryIO, talk: _Talk) -> None:
    """Until gpg has closed its content and its status."""
    with selectors.DefaultSelector() as selector:
        selector.register(status, selectors.EVENT_READ)
        open_ends = 1
        if process.stdout is not None:
            _enlarge(process.stdout)
            selector.register(process.stdout, selectors.EVENT_READ)
            open_ends = 2
        feeder = None
        if process.stdin is not None and source is not None:
            _enlarge(process.stdin)
            feeder = _Feeder(process.stdin, source)
            selector.register(process.stdin, selectors.EVENT_WRITE)
        while open_ends:
            for key, _ in selector.select():
                if feeder is not None and key.fileobj is feeder.pipe:
                    if not feeder.feed():
                        selector.unregister(feeder.pipe)
                        feeder.pipe.close()
                elif data := os.read(key.fd, _CHUNK):
                    if key.fileobj is status:
                        talk.take(data)
                    elif out is not None:
                        out.write(data)
                else:
                    selector.unregister(key.fileobj)
                    open_ends -= 1


def _enlarge(pipe: IO[bytes]) -> None:
    """A larger pipe is a faster one. Not everywhere is there such a thing, nor is it always granted."""
    with contextlib.suppress(OSError, AttributeError):
        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


class _Feeder:
    """Writes `source` into a pipe that takes only so much at once."""

    def __init__(self, pipe: IO[bytes], source: BinaryIO) -> None:
        os.set_blocking(pipe.fileno(), False)
        self.pipe = pipe
        self._source = source
        self._kept = memoryview(b"")

    def feed(self) -> bool:
        """One piece; False at the end, or where gpg takes no more."""
        if not self._kept:
            self._kept = memoryview(self._source.read(_CHUNK))
            if not self._kept:
                return False
        try:
            written = os.write(self.pipe.fileno(), self._kept)
        except BlockingIOError:
            return True
        except BrokenPipeError:
            return False
        self._kept = self._kept[written:]
        return True
