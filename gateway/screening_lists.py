"""Screening lists from their files: read whole, dated, with their digests, and every bad row told with file and line.

A list with a bad row is refused as a whole, unless its settings say `tolerant`; then what could not be read is counted
and stays in the digest. A file that is no such list, or has no entry although others publish it, is refused in any case; one that
is not plausible beside the list that it is to replace is refused where the settings say so."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import BinaryIO, Final

from gateway.policy.screening.entries import ListAction, ScreeningList
from gateway.policy.screening.files import Broken, Reading
from gateway.policy.screening.files_ofac import read_ofac_csv
from gateway.policy.screening.files_ofac_advanced import read_ofac_advanced
from gateway.policy.screening.files_own import read_csv, read_toml
from gateway.policy.screening.files_tables import read_eu_csv, read_opensanctions_csv, read_opensanctions_ftm
from gateway.policy.screening.files_xml import read_eu, read_ofac_xml, read_un
from gateway.policy.screening.plausible import Bounds, Taken, implausible
from gateway.policy.screening.screen import Screen, ScreenRules
from gateway.screening_settings import ListSettings, ScreeningSettings

LIST_BYTES_MAX: Final = 4 * 1024 * 1024 * 1024
_CHUNK: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, order=True)
class ListProblem:
    """One mistake in a list's file; `line` 0 where it is the file as a whole."""

    file: str
    line: int
    problem: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.problem}" if self.line else f"{self.file}: {self.problem}"


class ScreeningProblems(Exception):
    """The operator's: lists cannot be used, so nothing can be said to be clean. Carries the problems of all lists."""

    def __init__(self, problems: list[ListProblem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def load_screen(directory: Path, settings: ScreeningSettings, before: Mapping[str, Taken] | None = None) -> Screen:
    """All lists of the settings, ready to judge. Takes seconds for long lists. `before`: the lists in use, which those that are
    not plausible beside them do not replace. Raises `ScreeningProblems`."""
    lists: list[ScreeningList] = []
    problems: list[ListProblem] = []
    for one in settings.lists:
        try:
            lists.append(read_list(directory, one))
        except ScreeningProblems as error:
            problems += error.problems
    bounds = bounds_of(settings)
    for found in lists:
        doubt = implausible(found, (before or {}).get(found.id), bounds[found.id])
        if doubt is not None and before and found.id in before and bounds[found.id].when == "refuse":
            problems.append(ListProblem(found.source, 0, f"is not taken in place of the list in use: {doubt[0]}"))
    problems += _decisions_about_nothing(lists, settings)
    if problems:
        raise ScreeningProblems(problems)
    rules = ScreenRules(hold_score=settings.hold_score, block_score=settings.block_score, told_max=settings.told_max)
    return Screen(lists, rules)


def files_stamp(directory: Path, settings: ScreeningSettings) -> str:
    """Changes when a file of the lists does, without reading them: to look often and load seldom."""
    parts = []
    for one in settings.lists:
        for name in one.files.values():
            try:
                found = (directory / name).stat()
                parts.append(f"{name}:{found.st_ino}:{found.st_size}:{found.st_mtime_ns}")
            except OSError as error:
                parts.append(f"{name}:{error.errno}")
    return hashlib.sha256("\n".join((settings.model_dump_json(), *parts)).encode()).hexdigest()


def read_list(directory: Path, settings: ListSettings) -> ScreeningList:
    """One list. Raises `ScreeningProblems`."""
    try:
        with ExitStack() as opened:
            sources = {key: opened.enter_context((directory / name).open("rb")) for key, name in settings.files.items()}
            digests = [_sha256(source) for source in sources.values()]
            modified = datetime.fromtimestamp((directory / settings.file).stat().st_mtime, UTC).date()
            if settings.sha256 not in {None, digests[0]}:
                raise Broken("has another SHA-256 than the settings say")
            reading = _read(settings, sources)
    except OSError as error:
        raise ScreeningProblems([ListProblem(settings.file, 0, f"cannot be read: {error.strerror}")]) from None
    except Broken as error:
        raise ScreeningProblems([ListProblem(settings.file, error.line or 0, str(error))]) from None
    if reading.problems and not settings.tolerant:
        told = [ListProblem(settings.file, line or 0, text) for line, text in reading.problems]
        if reading.failed > len(told):
            told.append(ListProblem(settings.file, 0, f"has {reading.failed - len(told)} more rows that cannot be read"))
        raise ScreeningProblems(told)
    if not reading.entries and settings.kind != "own":
        raise ScreeningProblems([ListProblem(settings.file, 0, "has no entry in it")])
    return ScreeningList(
        id=settings.id,
        kind=settings.kind,
        source=settings.file,
        date=settings.date or reading.dated or modified,
        sha256=digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest(),
        action=ListAction(settings.action),
        entries=tuple(reading.entries),
        skipped=reading.failed,
        notices=tuple(f"{text}, {count} times" if count > 1 else text for text, count in reading.notices.items()),
        lift_blocks=settings.decisions_lift_blocks,
    )


def bounds_of(settings: ScreeningSettings) -> dict[str, Bounds]:
    """By list, within which it is plausible. One whose content is pinned was looked at by whoever pinned it."""
    return {
        one.id: Bounds(
            entries_min=0 if one.kind == "own" or one.sha256 else one.entries_min,
            shrinks_percent_max=100 if one.sha256 else one.may_shrink_percent,
            may_be_older=one.kind == "own" or one.sha256 is not None,
            old_after_days=one.old_after_days,
            when=one.when_implausible,
        )
        for one in settings.lists
    }


def old_lists(lists: tuple[ScreeningList, ...], settings: ScreeningSettings, today: date) -> Iterator[tuple[ScreeningList, int]]:
    """The lists that are older than they may be, and by how many days they are old."""
    limits = {one.id: one.old_after_days for one in settings.lists}
    for one in lists:
        limit, age = limits.get(one.id), (today - one.date).days
        if limit is not None and age > limit:
            yield one, age


def _sha256(source: BinaryIO) -> str:
    digest, size = hashlib.sha256(), 0
    while chunk := source.read(_CHUNK):
        size += len(chunk)
        if size > LIST_BYTES_MAX:
            raise Broken(f"is larger than {LIST_BYTES_MAX // 2**30} GiB")
        digest.update(chunk)
    source.seek(0)
    return digest.hexdigest()


_READERS: Final[Mapping[str, Callable[[BinaryIO], Reading]]] = {
    "ofac-xml": read_ofac_xml,
    "ofac-advanced": read_ofac_advanced,
    "un-xml": read_un,
    "eu-xml": read_eu,
    "eu-csv": read_eu_csv,
    "opensanctions-csv": read_opensanctions_csv,
    "opensanctions-ftm": read_opensanctions_ftm,
}


def _read(settings: ListSettings, sources: Mapping[str, BinaryIO]) -> Reading:
    main = sources["file"]
    if settings.kind == "own":
        read = read_toml if settings.file.lower().endswith(".toml") else read_csv
        return read(main, passes=settings.action == "pass")
    if settings.kind == "ofac-csv":
        return read_ofac_csv(main, sources["alias_file"], sources.get("address_file"), sources.get("comments_file"))
    return _READERS[settings.kind](main)


def _decisions_about_nothing(lists: list[ScreeningList], settings: ScreeningSettings) -> Iterator[ListProblem]:
    """Decisions about lists that the settings do not have: a slip that would leave every hit standing."""
    known = {one.id for one in settings.lists}
    for one in lists:
        for entry in one.entries:
            decided = entry.not_the_same
            if decided is not None and decided.list_id not in known:
                yield ListProblem(one.source, 0, f"{entry.entry_id}: there is no list {decided.list_id!r}")
