"""`bankgate audit verify`: whether the log is as it was written, against the database or an export of it."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

from gateway.audit.chain import AuditRow
from gateway.audit.checkpoint import Checkpoint, Claim, claim_of
from gateway.audit.form import of_json
from gateway.audit.verify import Verifier
from gateway.checkpoints import is_signed_by
from gateway.cli.output import USAGE, CommandFailed
from gateway.store import codec
from gateway.store.audit import AuditStore

PAGE: Final = 5_000
LINE_CHARACTERS_MAX: Final = 1_000_000
SHOWN_MAX: Final = 20  # problems of one kind


@dataclass(slots=True)
class Vouched:
    """Checkpoints, and what was wrong with any of them."""

    claims: list[Claim] = field(default_factory=list)
    signed: int = 0
    unsigned: int = 0
    problems: list[str] = field(default_factory=list)

    def add(self, checkpoint: Checkpoint, key: str | None, called: str) -> None:
        """`key`: PEM; None: the key that stands beside the checkpoint, which proves only that it was not altered since."""
        try:
            claim = claim_of(checkpoint.content)
        except ValueError as error:
            self.problems.append(f"{called}: {error}")
            return
        by = key or checkpoint.public_key
        if checkpoint.signature is None:
            self.unsigned += 1
            if key is not None:
                self.problems.append(f"{called} is not signed, and a key was given to check it with")
        elif by is None or not is_signed_by(checkpoint, by):
            self.problems.append(f"{called} is not signed by {'the key given' if key else 'the key beside it'}")
        else:
            self.signed += 1
        self.claims.append(claim)


def read_checkpoint(path: Path) -> Checkpoint:
    """A file as `bankgate audit checkpoint` and proof bundles have it, with its signature (.sig) and key (.pem) beside it."""
    try:
        content = path.read_text(encoding="utf-8")
        signature, key = path.with_suffix(".sig"), path.with_suffix(".pem")
        signed = signature.read_bytes() if signature.is_file() else None
        beside = key.read_text(encoding="utf-8") if key.is_file() else None
        claim = claim_of(content)
    except (OSError, ValueError) as error:
        raise CommandFailed(f"{path}: {error}", USAGE) from None
    return Checkpoint(size=claim.size, made_at=codec.EPOCH, content=content, frontier=b"", public_key=beside, signature=signed)


async def of_store(store: AuditStore) -> AsyncIterator[Sequence[AuditRow]]:
    """All lines, some at a time. By their numbers: a line whose number is taken twice cannot be in a database."""
    after = 0
    while rows := await store.audit_rows(after, PAGE):
        yield rows
        after = rows[-1].number


async def of_export(path: Path) -> AsyncIterator[Sequence[AuditRow]]:
    """All lines of an export. Raises `CommandFailed` naming the line of the file that is none."""
    try:
        with path.open(encoding="utf-8") as file:
            lines = _lines(path, file)
            while piece := list(islice(lines, PAGE)):
                yield piece
    except (OSError, UnicodeDecodeError) as error:
        raise CommandFailed(f"{path} cannot be read: {error}") from None


def _lines(path: Path, file: Any) -> Iterator[AuditRow]:
    place = 0
    while text := file.readline(LINE_CHARACTERS_MAX):
        place += 1
        try:
            yield of_json(text)
        except ValueError as error:
            raise CommandFailed(f"{path}, line {place} {error}") from None


async def verdict(pieces: AsyncIterator[Sequence[AuditRow]], vouched: Vouched, *, whole: bool = False) -> dict[str, Any]:
    """What to tell: "ok", the first fault, and what was looked at. `whole`: no line is masked, so whatever is gone was erased."""
    verifier = Verifier(vouched.claims)
    async with aclosing(pieces) as all_pieces:  # type: ignore[type-var]  # an async generator, as both above are
        async for piece in all_pieces:
            verifier.take(piece)
            if verifier.fault is not None:
                break
    fault = verifier.finish()
    problems = [*vouched.problems]
    if whole and fault is None:
        problems += (
            f"line {number}: {part} is gone, and no line tells who erased it and why"
            for number, part in verifier.untold[:SHOWN_MAX]
        )
    return {
        "ok": fault is None and not problems,
        "log": verifier.log,
        "lines": verifier.head.number,
        "head": verifier.head.hash.hex(),
        "root": verifier.root.hex(),
        "lines_with_erased_parts": verifier.erased,
        "checkpoints_signed": vouched.signed,
        "checkpoints_unsigned": vouched.unsigned,
        "fault": None if fault is None else {"number": fault.number, "kind": fault.kind.value, "text": fault.text},
        "problems": problems,
    }
