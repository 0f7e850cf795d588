"""The files of a ZIP archive from a bank, one after another, for whoever keeps or shows each as a file of its own.

Why each alone: a bank puts the answers to many payments into one archive, and one file of it that cannot be read says nothing
against the others. What cannot be unpacked has no bytes of its own; it stays in its archive, which is kept raw in any case.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import BinaryIO, Final

from formats.container import NESTED, is_container, unpacked
from formats.errors import Unparsable
from gateway.store.store import Store

ARCHIVE: Final = "ZIP"  # in place of the name of a message
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """`name`: as it is told, below its archive's. `content` is good until the next member; None: it cannot be unpacked, or is an
    archive itself, which `problem` says."""

    name: str
    content: BinaryIO | None
    problem: str = ""


async def members_of(archive: str, source: BinaryIO) -> AsyncGenerator[Member, None]:
    """The files in an archive of that name. Raises `Unparsable` before the first where the archive itself is not to be trusted.

    To be closed by whoever does not ask for the last (`contextlib.aclosing`).
    """
    with closing(unpacked(source)) as members:
        while (found := await asyncio.to_thread(next, members, None)) is not None:
            name, content = f"{archive}/{found[0]}", found[1]
            if isinstance(content, Unparsable):
                yield Member(name=name, content=None, problem=content.problem)
            elif await asyncio.to_thread(is_container, content):
                yield Member(name=name, content=None, problem=NESTED)
            else:
                yield Member(name=name, content=content)


def left_inside(stuck: Sequence[Member]) -> str:
    """Why an archive is put aside whose other files were read."""
    first = stuck[0]
    more = f", and {len(stuck) - 1} more" if len(stuck) > 1 else ""
    return f"{first.name.rpartition('/')[2]}: {first.problem}{more}; the other files of the archive stand by themselves"


def kept(store: Store, source: BinaryIO) -> tuple[int, str, int]:
    """The bytes of a stream as a finished document: its number, SHA-256 and size. For threads."""
    writer = store.document_writer("inbound")
    try:
        source.seek(0)
        while chunk := source.read(_CHUNK):
            writer.write(chunk)
        return writer.finish()
    except BaseException:
        writer.discard()
        raise
