"""What a seal over events is made of, and that whatever happens to one of them is found and named."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit.chain import moment_text
from gateway.audit.events import EventSeal, LoggedEvent, Stream, leaf_at, reason_code, seal_hash, seal_line, seal_name, sealed
from gateway.audit.events_verify import AHEAD, Comparer, EventFault, SealChain
from gateway.audit.merkle import root_of
from gateway.audit.verify import Kind

AT = datetime(2026, 11, 25, 10, 0, 0, 123456, tzinfo=UTC)
SALT = bytes(range(32))
PAYMENTS = Stream.PAYMENTS


def event(number: int, **changed: object) -> LoggedEvent:
    at = AT + timedelta(seconds=number)
    texts = (f"payment-{number}", moment_text(at), "sent", "batched", "MSG-1", "bankgate.sent")
    given = {"cursor": f"7.{number}", "month": "2026-11", "occurred_at": at, "texts": texts, "source": "gateway"}
    return LoggedEvent(**(given | {"reason": "bankgate.sent"} | changed))  # type: ignore[arg-type]  # as the fields are


def seals_of(events: Sequence[LoggedEvent], rows: int) -> list[EventSeal]:
    found: list[EventSeal] = []
    for at in range(0, len(events), rows):
        last = found[-1] if found else None
        found.append(sealed(PAYMENTS, last, events[at : at + rows], salt=SALT, now=AT))
    return found


def compared(seals: Sequence[EventSeal], events: Sequence[LoggedEvent]) -> Comparer:
    comparer = Comparer(PAYMENTS)
    for seal in seals:
        comparer.take_seal(seal)
    comparer.take_events(events)
    comparer.compare(last_seal=True, last_event=True)
    return comparer


def found(fault: EventFault | None) -> tuple[int, Kind] | None:
    return None if fault is None else (fault.number, fault.kind)


EVENTS = [event(number) for number in range(1, 8)]
SEALS = seals_of(EVENTS, 3)


def test_a_leaf_and_a_seal_are_what_the_page_says_they_are() -> None:
    """By hand, with nothing of ours: docs/audit.md."""

    def netstrings(*texts: str) -> bytes:
        return b"".join(f"{len(text.encode())}:{text},".encode() for text in texts)

    salt = hashlib.sha256(SALT + b"1").digest()
    hidden = hmac.new(salt, netstrings("person: 李伟", '["AC04","","","已销户"]'), hashlib.sha256).hexdigest()
    shown = event(1, source="person: 李伟", reason='["AC04","","","已销户"]', texts=(*EVENTS[0].texts[:5], "AC04"))
    clear = ("payment-1", "2026-11-25T10:00:01.123456Z", "sent", "batched", "MSG-1", "AC04")
    leaf = hashlib.sha256(netstrings("bankgate-event-1", "payment_events", *clear, hidden)).digest()
    assert leaf_at(PAYMENTS, shown, SALT, 1) == leaf
    seal = sealed(PAYMENTS, None, [shown], salt=SALT, now=AT)
    root = hashlib.sha256(b"\0" + leaf).hexdigest()
    told = netstrings("bankgate-seal-1", "payment_events", "1", "1", "2026-11", root, "0" * 64)
    assert (seal.root.hex(), seal.hash) == (root, hashlib.sha256(told).digest())
    line = seal_line(seal)
    assert (line.action, line.object_kind, line.object_id) == ("events.sealed", "event_seal", "payment_events:1")
    assert line.detail == f'{{"count":1,"hash":"{seal.hash.hex()}","month":"2026-11","root":"{root}"}}'


@pytest.mark.parametrize(
    ("reason", "code"), [("", ""), ("AC04", "AC04"), ('["AC04","","","x"]', "AC04"), ("[]", ""), ("[", ""), ("[" * 9999, "")]
)
def test_the_code_of_a_reason_is_read_whatever_stands_there(reason: str, code: str) -> None:
    assert reason_code(reason) == code


def test_honest_events_fit_and_what_comes_after_the_seals_is_left() -> None:
    comparer = compared(SEALS, [*EVENTS, event(8), event(9)])
    assert (comparer.fault, comparer.checked, [one.object_id for one in comparer.left]) == (None, 7, ["payment-8", "payment-9"])
    assert compared([], []).fault is None


@pytest.mark.parametrize("field", ["source", "reason", *range(6)])
def test_a_change_of_any_field_of_any_event_is_located(field: str | int) -> None:
    for place, one in enumerate(EVENTS):
        if isinstance(field, int):
            changed = replace(one, texts=(*one.texts[:field], one.texts[field] + "x", *one.texts[field + 1 :]))
        else:
            changed = replace(one, **{field: "x"})
        comparer = compared(SEALS, [*EVENTS[:place], changed, *EVENTS[place + 1 :]])
        assert found(comparer.fault) == (place + 1, Kind.ALTERED), (place, field)
        assert comparer.fault is not None
        assert comparer.fault.object_id == changed.object_id


@given(st.integers(1, 7), st.integers(1, 7), st.booleans())
def test_events_that_were_removed_are_located_wherever_they_stood(first: int, count: int, more: bool) -> None:
    left = EVENTS[: first - 1] + EVENTS[first - 1 + count :] + ([event(8)] if more else [])
    fault = compared(SEALS, left).fault
    assert found(fault) == (first, Kind.MISSING)
    assert fault is not None
    last = min(first + count - 1, 7)
    assert fault.text.startswith(f"event {first}: missing" if last == first else f"events {first} to {last}: missing")


@given(st.integers(0, 6))
def test_an_event_that_was_put_in_or_moved_is_located(place: int) -> None:
    strange = event(50, cursor=EVENTS[place].cursor)
    fault = compared(SEALS, [*EVENTS[:place], strange, *EVENTS[place:]]).fault
    assert found(fault) == (place + 1, Kind.INSERTED)
    assert fault is not None
    assert "payment-50" in fault.text
    if place < 6:
        cursors = (EVENTS[place].cursor, EVENTS[place + 1].cursor)
        swapped = [replace(EVENTS[place + 1], cursor=cursors[0]), replace(EVENTS[place], cursor=cursors[1])]
        fault = compared(SEALS, [*EVENTS[:place], *swapped, *EVENTS[place + 2 :]]).fault
        assert found(fault) == (place + 1, Kind.REORDERED)


def test_it_is_the_same_whatever_pieces_events_and_seals_come_in() -> None:
    many = [event(number) for number in range(1, 4 * AHEAD)]
    seals = seals_of(many, 100)
    broken = [*many[:700], *many[701:]]
    comparer, left, waiting = Comparer(PAYMENTS), list(broken), list(seals)
    while comparer.fault is None and not (comparer.done and not waiting):
        if comparer.wants_seals and waiting:
            comparer.take_seal(waiting.pop(0))
        else:
            comparer.take_events(left[:37])
            del left[:37]
        comparer.compare(last_seal=not waiting, last_event=not left)
    assert (comparer.checked, found(comparer.fault)) == (700, (701, Kind.MISSING))


def told_of(seals: Sequence[EventSeal]) -> dict[str, tuple[str, int]]:
    return {seal_name(seal.stream, seal.first_number): (seal.hash.hex(), line) for line, seal in enumerate(seals, 5)}


def problem(seals: Sequence[EventSeal], told: dict[str, tuple[str, int]], told_to: int = 0) -> str:
    chain = SealChain(PAYMENTS, told, told_to)
    for seal in seals:
        chain.take(seal)
    return chain.finish() or ""


def anew(seal: EventSeal, **changed: object) -> EventSeal:
    """As somebody would make it who knows how: all that a seal has in itself fits."""
    bare = replace(seal, **changed)  # type: ignore[arg-type]  # fields of a seal
    bare = replace(bare, root=root_of(bare.leaf_data()), event_count=len(bare.leaves) // 32)
    return replace(bare, hash=seal_hash(bare))


def test_seals_that_the_log_tells_of_fit_and_one_line_binds_all_before_it() -> None:
    assert problem(SEALS, told_of(SEALS)) == ""
    assert problem(SEALS, dict([list(told_of(SEALS).items())[-1]])) == ""
    assert problem([], {}) == ""


def test_a_seal_that_was_altered_removed_or_made_anew_is_found() -> None:
    told = told_of(SEALS)
    first, second, third = SEALS
    assert "the seal is altered: its leaves" in problem([replace(first, leaves=bytes(96)), second, third], told)
    assert "not one leaf for each" in problem([replace(first, leaves=b""), second, third], told)
    for changed in ({"month": "2026-12"}, {"previous_hash": SALT}, {"hash": SALT}):
        assert "payment_events 4 to 6: the seal is altered: its hash" in problem([first, replace(second, **changed), third], told)
    assert "a seal is missing" in problem([first, third], told)
    assert "line 7 tells of the seal payment_events:7, and there is no such seal" in problem([first, second], told)
    other = anew(second, leaves=bytes(96))
    assert "payment_events 4 to 6: the seal is not the one that line 6 tells of" in problem([first, other, third], told)
    rest = anew(third, previous_hash=other.hash)
    last_only = dict([list(told.items())[-1]])
    assert "payment_events 7 to 7: the seal is not the one that line 7" in problem([first, other, rest], last_only)
    early = dict([next(iter(told.items()))])
    assert "4 to 7: no line of the log tells of a seal over these" in problem(SEALS, early, told_to=7)
    assert problem(SEALS, early, told_to=3) == "", "those behind were made while the log was read"
