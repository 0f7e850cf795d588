"""What waits for the one writer of a process, and how it is answered: shared by the stores."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True, eq=False)
class Job:
    """An operation handed in, and whoever waits for its result."""

    operation: Any
    loop: asyncio.AbstractEventLoop | None  # None: a thread waits on a concurrent future
    future: Any
    result: Any = None
    error: BaseException | None = None


def answer(jobs: Iterable[Job]) -> None:
    """Answers the operations of one transaction: one call into each event loop, however many wait there."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Job]] = defaultdict(list)
    for job in jobs:
        if job.loop is not None:
            by_loop[job.loop].append(job)
        elif job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)
    for loop, waiting in by_loop.items():
        with suppress(RuntimeError):  # the loop is gone, and so is everybody who waited in it
            loop.call_soon_threadsafe(_settle, waiting)


def _settle(jobs: list[Job]) -> None:
    for job in jobs:
        if job.future.done():  # cancelled meanwhile
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)
