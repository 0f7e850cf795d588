"""Callers are read again while `serve` runs: a certificate taken out, a token's subject, a permission, a limit.

Only [[callers]] and [[tokens]] are taken from the new file; everything else needs a new start, and that is said. A directory
with problems changes nothing: the callers that are known stay, and every problem is logged as an error.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog

from gateway.callers import Callers
from gateway.config import Configuration
from gateway.config_load import MAIN_FILE, ConfigurationProblems
from gateway.rpc.door import Door
from gateway.tokens import Tokens, tokens_of
from keys.seal import KeyUnavailable

LOOK_SECONDS: Final = 2.0
"""Between two looks at the file's time, and at the callers of open streams."""

Stamp = tuple[int, int, int] | None

log = structlog.get_logger(__name__)


class Rereading:
    """Looks after the callers of one server. `load` reads the directory; None: the callers never change. `tell` is told each
    configuration that was read, again until it worked: it writes down what is another one."""

    def __init__(
        self,
        configuration: Configuration,
        door: Door,
        clock: Callable[[], datetime],
        load: Callable[[Path], Configuration] | None,
        tell: Callable[[Configuration], Awaitable[None]] | None = None,
    ) -> None:
        self._configuration = configuration
        self._door = door
        self._clock = clock
        self._load = load
        self._tell = tell
        self._file = configuration.directory / MAIN_FILE
        self._stamp = self._look()
        self._untold: Configuration | None = None
        self._asked = asyncio.Event()

    def now(self) -> None:
        """Reads again at once, whatever the file's time says."""
        self._stamp = None
        self._asked.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._asked.wait()
            except TimeoutError:
                pass
            self._asked.clear()
            try:
                await self.look()
            except Exception as error:
                log.exception("callers.not-looked-at", exc_info=error)

    async def look(self) -> None:
        """Takes new callers if the file is another, then ends the streams of those that may not be here any more."""
        stamp = self._look()
        if self._load is not None and stamp != self._stamp:
            self._stamp = stamp
            await self._read(self._load)
        await self._door.look_at_streams()
        if self._tell is not None and self._untold is not None:
            await self._tell(self._untold)  # after it counts: who is taken out goes at once, also where nothing can be written
            self._untold = None

    async def _read(self, load: Callable[[Path], Configuration]) -> None:
        known = self._configuration
        problems: list[str] = []
        try:
            found = await asyncio.to_thread(load, known.directory)
            tokens = self._door.identity.tokens
            if found.tokens != known.tokens:  # else the keys that were read stay read
                tokens = tokens_of(found.tokens, found.directory, self._clock)
        except ConfigurationProblems as error:
            problems = [str(one) for one in error.problems]
        except (KeyUnavailable, ValueError, OSError) as error:
            problems = [str(error)]
        if problems:
            log.error("callers.not-read", problems=problems, kept="the callers from before")
            return
        self._configuration = self._untold = found
        if (found.callers, found.tokens) == (known.callers, known.tokens):
            log.info("callers.unchanged")
        else:
            self._change(known, found, tokens)
        if found.model_copy(update={"callers": known.callers, "tokens": known.tokens}) != known:
            log.warning("configuration.other-parts-changed", counts="from the next start on")

    def _change(self, known: Configuration, found: Configuration, tokens: Tokens) -> None:
        self._door.change(Callers(found.callers), tokens)
        names = {one.name: one for one in found.callers}, {one.name: one for one in known.callers}
        changed = sorted(name for name in names[0].keys() | names[1].keys() if names[0].get(name) != names[1].get(name))
        log.warning("callers.changed", callers=changed, tokens=found.tokens != known.tokens)

    def _look(self) -> Stamp:
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
