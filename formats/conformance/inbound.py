"""What is judged of a bank's way in: samples, golden values, unknown status words, broken files."""

import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from formats.codes import verdict
from formats.conformance.card import Case, Found, many
from formats.conformance.mutants import mutants
from formats.conformance.samples import InboundSample, Problem
from formats.dialogue import Asking, DialogueBank
from formats.errors import Unparsable
from formats.exchange import read_exchange, write_exchange
from formats.report import ReportRecord, Verdict, as_json

MUTANTS_A_SAMPLE = 120
_PLACES_A_WORD = 8
UNKNOWN_STATUS = "QQQQ"  # in no code set
_UNKNOWN_TEXT, _UNKNOWN_VALUE = b">QQQQ<", b'"QQQQ"'
_SHORT_WORD = re.compile(rb"""(?<=[>"])[A-Za-z0-9_-]{1,12}(?=[<"])""")
_READS_NOTHING = "the bank sends nothing back (capabilities.reads is empty)"
_STATUS_KINDS = ("pain.002",)
_STATUSES = ("group_status", "status")
_STATUS_RECORDS = ("status_report", "payment_information_status", "transaction_status")
_FILE = (
    "Put a file as the bank sends it into inbound/ (names, accounts and amounts made up), and run `bankgate banks propose {}`."
)


def records_of(case: Case, sample: InboundSample) -> list[dict[str, Any]]:
    """The records of a sample as `bankgate parse --json` prints them, without what is empty. Raises `Unparsable`."""
    return [trimmed(as_json(record, sample.base_name)) for record in _parsed(case, sample.content)]


def trimmed(value: Any) -> Any:
    """A record without what is null or empty: so a record may grow by fields that say nothing, and nothing with a value goes
    unseen."""
    if isinstance(value, Mapping):
        kept = {name: trimmed(inside) for name, inside in value.items()}
        return {name: inside for name, inside in kept.items() if inside not in (None, [], {}, "")}
    return [trimmed(inside) for inside in value] if isinstance(value, list) else value


def _parsed(case: Case, content: bytes) -> list[ReportRecord]:
    return list(case.bank.parse(io.BytesIO(content)))


def _kinds(case: Case, sample: InboundSample) -> set[str]:
    """The messages of a sample; none where it cannot be read."""
    try:
        return {str(record["message"]) for record in records_of(case, sample) if record["kind"] == "document"}
    except Unparsable:
        return set()


def judge_samples_read(case: Case) -> Found:
    """A file with its expected records for each kind of message the bank sends, and none of a kind it is not said to send."""
    reads = case.bank.capabilities.reads
    if not reads:
        return Found(looked_at="", not_applicable=_READS_NOTHING)
    problems = []
    met: set[str] = set()
    for sample in case.samples.inbound:
        for message in _kinds(case, sample):
            kinds = {kind for kind in reads if message == kind or message.startswith(f"{kind}.")}
            met |= kinds
            if not kinds:
                direction = (
                    f"Add {message.rpartition('.001.')[0] or message} to capabilities.reads in {case.plugin}, or delete it."
                )
                problem = f"is {message}, which the bank is not said to send."
                problems.append(Problem(place=sample.file, problem=problem, direction=direction, subject=message))
    for kind in reads:
        if kind not in met:
            direction = _FILE.format(case.bank.name)
            problem = f"no sample shows {kind} as this bank sends it."
            problems.append(Problem(place="inbound/", problem=problem, direction=direction, subject=kind))
    return Found(looked_at=f"{many(len(reads), 'kind')}, {many(len(case.samples.inbound), 'file')}", problems=tuple(problems))


def judge_golden_values(case: Case) -> Found:
    """Each file gives exactly the expected records."""
    problems = []
    count = 0
    for sample in case.samples.inbound:
        try:
            found = records_of(case, sample)
        except Unparsable as error:
            direction = f"Repair the sample, or teach {case.plugin} to read it."
            problems.append(Problem(place=sample.file, problem=f"cannot be read: {error}.", direction=direction))
            continue
        place = f"inbound/{sample.base_name.rpartition('.')[0]}.expected.jsonl"
        again = (
            f"run `bankgate banks propose {case.bank.name}`, read {place}.proposed against the file, then rename it to {place}."
        )
        if sample.expected is None:
            problem = f"the expected records of {sample.file} are missing."
            problems.append(Problem(place=place, problem=problem, direction=f"{again[0].upper()}{again[1:]}"))
            continue
        count += len(found)
        difference = _difference(sample.expected, found)
        if difference:
            direction = f"If {case.plugin} is right now, {again}"
            problems.append(Problem(place=place, problem=f"{difference}.", direction=direction))
    return _over_samples(case, f"{many(count, 'record')} of {many(len(case.samples.inbound), 'file')}", problems)


def _over_samples(case: Case, looked_at: str, problems: Sequence[Problem]) -> Found:
    if not case.bank.capabilities.reads:
        return Found(looked_at="", not_applicable=_READS_NOTHING)
    if not case.samples.inbound:
        direction = _FILE.format(case.bank.name)
        return Found(
            looked_at="", problems=(Problem(place="inbound/", problem="there is no file to judge by.", direction=direction),)
        )
    return Found(looked_at=looked_at, problems=tuple(problems))


def _difference(expected: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]) -> str:
    """Where the records differ first; empty where they do not."""
    for number, (wanted, record) in enumerate(zip(expected, found, strict=False), start=1):
        for path, one, other in _differences(trimmed(wanted), record):
            return f"line {number}, {path}: expected {_short(one)}, read {_short(other)}"
    if len(expected) != len(found):
        return f"{len(expected)} records are expected, and {len(found)} are read"
    return ""


_ABSENT = object()


def _differences(wanted: Any, found: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        for name in (*wanted, *(name for name in found if name not in wanted)):
            inside = f"{path}.{name}" if path else str(name)
            yield from _differences(wanted.get(name, _ABSENT), found.get(name, _ABSENT), inside)
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for index, (one, other) in enumerate(zip(wanted, found, strict=True)):
            yield from _differences(one, other, f"{path}[{index}]")
    elif wanted is not found and wanted != found:
        yield path, wanted, found


def _short(value: Any) -> str:
    return "nothing" if value is _ABSENT else json.dumps(value, ensure_ascii=False)[:120]


def judge_unknown_status(case: Case) -> Found:
    """A status word nobody knows means pending: it neither rejects nor settles a payment, and is kept verbatim.

    Every short word of every file is replaced by an unknown one in turn, wherever the bank puts its status and whether the plugin
    hands on the bank's words or translates them.
    """
    problems = []
    tried = 0
    for sample in case.samples.inbound:
        before = _statuses(case, sample.content)
        tried += len({word for word, _ in before or ()})
        for problem in _guesses(case, sample.content, before or []):
            direction = (
                f"Let {case.plugin} hand on a word it does not know; formats.codes.verdict calls it pending. Where the file"
                " says it in no short word, exempt.toml."
            )
            problems.append(Problem(place=sample.file, problem=problem, direction=direction))
    announced = any(kind.startswith(_STATUS_KINDS) for kind in case.bank.capabilities.reads)
    announced = announced or (isinstance(case.bank, DialogueBank) and Asking.STATUS in case.bank.dialogue.asks)
    if not tried and not announced:
        return Found(looked_at="", not_applicable="the bank sends no status reports (no pain.002 in capabilities.reads)")
    if not tried and case.samples.inbound:
        problem = "no status in any sample, so an unknown one could not be tried."
        problems.append(Problem(place="inbound/", problem=problem, direction=_FILE.format(case.bank.name)))
    return _over_samples(case, f"{many(tried, 'status word')} replaced by {UNKNOWN_STATUS}", problems)


def _statuses(case: Case, content: bytes) -> list[tuple[str, Verdict]] | None:
    """The statuses of a file in order, each with what it means; None where it cannot be read."""
    try:
        records = [as_json(record, "") for record in _parsed(case, content)]
    except Unparsable:
        return None
    words = [record.get(name) for record in records if record["kind"] in _STATUS_RECORDS for name in _STATUSES]
    return [(word, verdict(word)) for word in words if word]


def _unknown_words(reply: bytes, *, each: bool) -> Iterator[tuple[str, bytes]]:
    """Every short word, and the text with the unknown one in its place: everywhere, and, for banks whose word for a state stands
    for other things too ("0"), at each of its first places alone."""
    for word in sorted(set(_SHORT_WORD.findall(reply))):
        shown = word.decode("latin-1")
        yield shown, reply.replace(b">%b<" % word, _UNKNOWN_TEXT).replace(b'"%b"' % word, _UNKNOWN_VALUE)
        parts = reply.split(b">%b<" % word, _PLACES_A_WORD) if each else []
        for place in range(1, len(parts)):
            before, after = parts[:place], parts[place:]
            yield shown, (b">%b<" % word).join(before) + _UNKNOWN_TEXT + (b">%b<" % word).join(after)


def _guesses(case: Case, content: bytes, before: Sequence[tuple[str, Verdict]]) -> Iterator[str]:
    """What is wrong with how unknown words in a file are read."""
    # Statuses no replaced word has made pending yet. A dialect translates its own words, and its pending ones stay pending.
    own = isinstance(case.bank, DialogueBank)
    unsettled = {word for word, meaning in before if not (own and meaning is Verdict.PENDING)}
    reply, kept_again = parts_of(content)
    for word, text in _unknown_words(reply, each=own) if before else ():
        after = _statuses(case, kept_again(text))
        if after is None or len(after) != len(before):
            continue  # the word told what kind of file or record it is
        for (was, meant), (says, means) in zip(before, after, strict=True):
            if means is not meant and means in (Verdict.REJECTED, Verdict.SETTLED):
                yield f"with {UNKNOWN_STATUS} in place of {word} a payment ({was}) is {means.value}."
                return
            if was == word and says not in (was, UNKNOWN_STATUS):
                yield f"{UNKNOWN_STATUS} in place of {was} is told as {says}, and not verbatim."
                return
            if means is Verdict.PENDING and says != was:
                unsettled.discard(was)
    for word in sorted(unsettled):
        yield f"no unknown word in the file makes the status {word} an unknown one."


def parts_of(content: bytes) -> tuple[bytes, Callable[[bytes], bytes]]:
    """What a bank said in a file, and how another text is kept in its place: of a kept exchange its reply, else the file."""
    try:
        exchange = read_exchange(io.BytesIO(content))
    except Unparsable:
        return content, lambda text: text
    if exchange.asked is None:
        return content, lambda text: text
    opened = exchange.opened is not None
    return exchange.text, lambda text: write_exchange(replace(exchange, **{"opened" if opened else "reply": text}))


def _broken(case: Case, sample: InboundSample) -> Iterator[tuple[str, bytes]]:
    """Broken variants of a file, and of what the bank says in a kept exchange."""
    yield from mutants(sample.content, sample.file, MUTANTS_A_SAMPLE)
    reply, kept_again = parts_of(sample.content)
    if isinstance(case.bank, DialogueBank) and reply is not sample.content:
        for how, text in mutants(reply, f"{sample.file}/reply", MUTANTS_A_SAMPLE):
            yield f"the reply: {how}", kept_again(text)


def _heard(bank: DialogueBank, content: bytes) -> None:
    """`hear` is given what can be read as an exchange."""
    try:
        exchange = read_exchange(io.BytesIO(content))
    except Unparsable:
        return
    bank.hear(exchange)


def judge_mutants(case: Case) -> Found:
    """Whatever a broken file holds, it is read or refused as Unparsable, and nothing else happens."""
    problems = []
    tried = 0
    for sample in case.samples.inbound:
        for number, (how, content) in enumerate(_broken(case, sample)):
            tried += 1
            try:
                if isinstance(case.bank, DialogueBank):
                    _heard(case.bank, content)
                _parsed(case, content)
            except Unparsable:
                continue
            except Exception as error:  # that it is not Unparsable is the finding
                direction = (
                    f"Let parse of {case.plugin} raise Unparsable, with the line, for what it cannot read; hear never raises."
                )
                problem = f"mutant {number} ({how}) raised {type(error).__name__}: {str(error)[:160]}."
                problems.append(Problem(place=sample.file, problem=problem, direction=direction))
                break
    return _over_samples(case, f"{tried} broken files", problems)
