"""The folder of a bank's samples, read into memory at once, so that nothing that is judged later needs a file.

    requests/NAME.json               payments, in the form of SubmitPaymentsRequest
    expected/NAME.MESSAGE.xml        what the bank must get for requests/NAME.json in MESSAGE ("pain.001.001.09"), byte for byte
                                     (.json and .txt for banks whose messages are no XML)
    requests/NAME.settings.toml      the [bank_settings] of a connection, where the sample needs others than the plugin's own
    inbound/NAME.xml, NAME.sta, …    a file as the bank sends it
    inbound/NAME.expected.jsonl      its records, as `bankgate parse FILE --json` prints them (what is empty may be left out)
    bad/NAME.json                    payments that the bank would refuse; NAME may end in ".MESSAGE"; NAME.settings.toml as above
    bad/NAME.rules                   what must be found: a line each, "payments[0].amount sepa.amount-max", with "warning"
                                     after it where it is one; a first line "on YYYY-MM-DD" says the day of sending, which is
                                     the first execution date otherwise
    exempt.toml                      rules of the card this bank is exempt from: rule = "reason", or [rule] subject = "reason"

A file that ends in ".proposed" waits to be read by a person.
"""

import tomllib
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Final

from formats.conformance.requests import BadRequest, SamplePayment, day_of, payments_of
from formats.conformance.samples import BadSample, Exemptions, InboundSample, Problem, RequestSample, Samples
from formats.json_form import BadForm, read_json

PROPOSED: Final = ".proposed"
RECORDS: Final = ".expected.jsonl"
RULES: Final = ".rules"
SETTINGS: Final = ".settings.toml"
WARNING: Final = "warning"
_REMARKS: Final = frozenset({"README.md", ".gitkeep"})


Takes = Callable[[Mapping[str, object]], tuple[str, ...]]
"""The messages that the bank takes under such [bank_settings]; raises `BadBankSettings`."""


def read_samples(folder: Path, takes: Takes = lambda _settings: ()) -> Samples:
    """The samples of a folder. Raises nothing for what the files hold: it is told."""
    if not folder.is_dir():
        missing = Problem(
            place=str(folder),
            problem="there is no such folder, so there are no samples.",
            direction="Make it, with requests/, expected/, inbound/ and bad/ in it, or name another with --samples.",
        )
        return Samples(folder=str(folder), problems=(missing,))
    return _Folder(folder, takes).read()


class _Unusable(Exception):
    """A file that is not used, why, and what to do."""

    def __init__(self, place: str, problem: str, direction: str) -> None:
        self.found = Problem(place=place, problem=problem, direction=direction)
        super().__init__(problem)


class _Folder:
    """Reads one folder; what cannot be used is told in `problems`."""

    def __init__(self, folder: Path, takes: Takes) -> None:
        self._folder = folder
        self._takes = takes
        self._messages = takes({})
        self._problems: list[Problem] = []

    def read(self) -> Samples:
        requests = [
            RequestSample(
                file=self._name(path), payments=payments, expected=self._expected(path.stem), settings=self._settings(path)
            )
            for path in self._files("requests")
            if not path.name.endswith(SETTINGS) and (payments := self._payments(path)) is not None
        ]
        inbound = [
            InboundSample(file=self._name(path), content=path.read_bytes(), expected=self._records(path))
            for path in self._files("inbound")
            if not path.name.endswith(RECORDS)
        ]
        bad = [
            sample
            for path in self._files("bad")
            if path.suffix != RULES and not path.name.endswith(SETTINGS) and (sample := self._bad(path)) is not None
        ]
        self._strays({sample.name for sample in requests})
        return Samples(
            folder=str(self._folder),
            requests=tuple(requests),
            inbound=tuple(inbound),
            bad=tuple(bad),
            exempt=self._exemptions(),
            problems=tuple(self._problems),
        )

    def _name(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix()

    def _tell(self, path: Path, problem: str, direction: str) -> None:
        found = Problem(place=self._name(path), problem=problem, direction=direction)
        if found not in self._problems:
            self._problems.append(found)

    def _files(self, part: str) -> list[Path]:
        """The files of one part; proposals are told of and not used."""
        found = []
        for path in sorted((self._folder / part).iterdir()) if (self._folder / part).is_dir() else ():
            if path.name.endswith(PROPOSED):
                wanted = self._name(path).removesuffix(PROPOSED)
                self._tell(
                    path, "waits to be read.", f"Read it against the bank's guide; where it is right, rename it to {wanted}."
                )
            elif path.is_file() and path.name not in _REMARKS:
                found.append(path)
        return found

    def _payments(self, path: Path) -> tuple[SamplePayment, ...] | None:
        form = 'Write {"payments": [ … ]} in the words of SubmitPaymentsRequest.'
        try:
            return payments_of(read_json(path.read_text(encoding="utf-8")))
        except (BadRequest, BadForm) as error:
            self._tell(path, f"{error}.", form)
        except UnicodeDecodeError as error:
            self._tell(path, f"is no JSON ({error}).", form)
        return None

    def _settings(self, path: Path) -> dict[str, object]:
        """The settings beside a sample; none where they cannot be used, which is told."""
        file = path.with_name(path.stem + SETTINGS)
        try:
            settings = tomllib.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
            self._takes(settings)
        except ValueError as error:  # BadBankSettings is one
            self._tell(file, f"are no settings of this bank ({error}).", "Write the keys of its [bank_settings].")
            return {}
        return settings

    def _messages_of(self, stem: str) -> tuple[str, ...]:
        return self._takes(self._settings(self._folder / "requests" / f"{stem}.json"))

    def _expected(self, stem: str) -> dict[str, bytes]:
        found = {}
        for path in self._files_of_request(stem):
            found[path.name.removeprefix(f"{stem}.").removesuffix(path.suffix)] = path.read_bytes()
        return found

    def _files_of_request(self, stem: str) -> list[Path]:
        folder = self._folder / "expected"
        files = sorted(folder.iterdir()) if folder.is_dir() else []
        names = {f"{stem}.{message}" for message in self._messages_of(stem)}
        return [path for path in files if path.suffix != PROPOSED and path.stem in names]

    def _strays(self, requests: set[str]) -> None:
        """Expected files without a request or of a message the bank does not take; rules and records without their sample."""
        used = {path for name in requests for path in self._files_of_request(name)}
        for path in self._files("expected"):
            if path not in used:
                takes = ", ".join(self._messages) or "nothing"
                direction = f"Name it NAME.MESSAGE.xml, with requests/NAME.json beside it and a MESSAGE of {takes}."
                self._tell(path, "belongs to no request and message.", direction)
        for path in (*self._files("bad"), *self._files("requests")):
            name = next((path.name.removesuffix(end) for end in (RULES, SETTINGS) if path.name.endswith(end)), None)
            if name is not None and not path.with_name(f"{name}.json").exists():
                self._tell(path, "belongs to no sample.", f"Write {path.parent.name}/{name}.json, or delete it.")
        stems = [path.stem for path in self._files("inbound") if not path.name.endswith(RECORDS)]
        for path in self._files("inbound"):
            if path.name.endswith(RECORDS) and path.name.removesuffix(RECORDS) not in stems:
                self._tell(path, "belongs to no sample.", "Put the bank's file beside it, under the same name, or delete it.")
        for stem in sorted({stem for stem in stems if stems.count(stem) > 1}):
            direction = "Give each file a name of its own, as both would have the same expected records."
            self._tell(self._folder / "inbound" / stem, "two files have this name.", direction)

    def _records(self, path: Path) -> tuple[dict[str, object], ...] | None:
        file = path.with_name(path.stem + RECORDS)
        if not file.exists():
            return None
        try:
            lines = [read_json(line) for line in file.read_text(encoding="utf-8").split("\n") if line.strip()]
        except ValueError as error:
            self._tell(
                file, f"is no JSON Lines ({error}).", f"Write one record a line, as bankgate parse {path.name} --json does."
            )
            return None
        return tuple(line if isinstance(line, dict) else {"kind": line} for line in lines)

    def _bad(self, path: Path) -> BadSample | None:
        payments = self._payments(path)
        if payments is None:
            return None
        message = next((name for name in self._messages if path.stem.endswith(f".{name}")), None)
        try:
            on, expected = self._rules(path.with_suffix(RULES), day_of(payments))
        except _Unusable as unusable:
            self._problems.append(unusable.found)
            return None
        return BadSample(
            file=self._name(path), payments=payments, on=on, message=message, expected=expected, settings=self._settings(path)
        )

    def _rules(self, file: Path, on: date) -> tuple[date, tuple[tuple[str, ...], ...] | None]:
        """The day and the expected findings of a bad sample; None: not said yet."""
        if not file.exists():
            return on, None
        found = []
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            words = line.split()
            try:
                if words[:1] == ["on"] and number == 1:
                    on = date.fromisoformat(words[1])
                elif words and not line.startswith("#"):
                    field, rule, *severity = words
                    if severity not in ([], [WARNING]):
                        raise ValueError(line)  # told below
                    found.append((field, rule, *severity))
            except (ValueError, IndexError):
                direction = 'Write a line a finding, "payments[0].amount sepa.amount-max"; the first may be "on YYYY-MM-DD".'
                raise _Unusable(self._name(file), f"line {number} says no finding.", direction) from None
        return on, tuple(found)

    def _exemptions(self) -> Exemptions:
        file = self._folder / "exempt.toml"
        direction = 'Write RULE = "reason", or a table [RULE] with SUBJECT = "reason"; the rules are those of the card.'
        try:
            content = tomllib.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        except ValueError as error:
            self._tell(file, f"is no TOML ({error}).", direction)
            return {}
        exempt: dict[str, str | dict[str, str]] = {}
        for rule, reason in content.items():
            texts = list(reason.values()) if isinstance(reason, dict) else [reason]
            if texts and all(isinstance(text, str) and text.strip() for text in texts):
                exempt[rule] = reason
            else:
                self._tell(file, f"{rule} gives no reason.", direction)
        return exempt
