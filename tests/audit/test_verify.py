"""Tampering at any line and any field is found and located, whatever whoever tampers with the table knows."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.audit.anchor import Beginning, beginning_of
from gateway.audit.chain import AuditHead, AuditRow, Part, chained, line_hash
from gateway.audit.checkpoint import Checkpoint, Claim, claim_of, content_of
from gateway.audit.form import as_json, checkpoint_as_json, checkpoint_of_json, masked, of_json, without
from gateway.audit.merkle import Frontier, root_of
from gateway.audit.record import AuditRecord
from gateway.audit.verify import Fault, Kind, Verifier

AT = datetime(2026, 11, 25, 10, 0, tzinfo=UTC)
SIZE = 6


def log_of(size: int, name: str = "a") -> list[AuditRow]:
    records = [
        (
            AT + timedelta(seconds=number),
            AuditRecord(
                action="payment.cancelled",
                actor=f"person: p{number}",
                object_kind="payment",
                object_id=f"{name}{number}",
                caller="erp",
                address="192.0.2.7",
                factor="totp 1",
                detail='{"why":"twice"}',
            ),
        )
        for number in range(size)
    ]
    salts = [f"{name}{number:015}".encode() for number in range(3 * size)]
    return chained(AuditHead(), records, salts)[0]


ROWS = log_of(SIZE)


def claim(rows: Sequence[AuditRow]) -> Claim:
    root = root_of([row.hash for row in rows])
    return claim_of(content_of(log=rows[0].hash, size=len(rows), root=root, head=rows[-1].hash, made_at=AT))


def verdict(rows: Sequence[AuditRow], *claims: Claim, pieces: int = 2) -> Fault | None:
    verifier = Verifier(claims)
    for at in range(0, len(rows), pieces):
        verifier.take(rows[at : at + pieces])
    return verifier.finish()


def kind_of(found: Fault | None) -> tuple[int, Kind] | None:
    return None if found is None else (found.number, found.kind)


def other(value: object) -> object:
    if isinstance(value, datetime):
        return value + timedelta(microseconds=1)
    if isinstance(value, bytes):
        return bytes([value[0] ^ 1]) + value[1:]
    return f"{value}x"


def test_an_honest_log_fits_and_so_does_an_empty_one() -> None:
    assert verdict(ROWS, claim(ROWS), claim(ROWS[:3])) is None
    assert verdict([]) is None


@pytest.mark.parametrize("field", [name for name in AuditRow.__slots__ if name != "number"])
def test_a_change_of_any_field_of_any_line_is_located(field: str) -> None:
    for place in range(SIZE):
        rows = [*ROWS]
        rows[place] = replace(rows[place], **{field: other(getattr(rows[place], field))})
        found = verdict(rows)
        assert kind_of(found) == (place + 1, Kind.ALTERED), (place, found)


def test_a_line_that_was_written_anew_with_its_hash_is_located_by_the_line_behind_it() -> None:
    for place in range(SIZE - 2):
        rows = [*ROWS]
        rows[place] = replace(rows[place], outcome="refused")
        rows[place] = replace(rows[place], hash=line_hash(rows[place]))
        found = verdict(rows)
        assert kind_of(found) == (place + 1, Kind.ALTERED)


def test_a_line_taken_out_is_missed() -> None:
    for place in range(SIZE - 1):
        rows = ROWS[:place] + ROWS[place + 1 :]
        found = verdict(rows)
        assert kind_of(found) == (place + 1, Kind.MISSING)


def renumbered(rows: Sequence[AuditRow]) -> list[AuditRow]:
    return [replace(row, number=place + 1) for place, row in enumerate(rows)]


def test_a_line_taken_out_is_missed_where_the_rest_got_other_numbers() -> None:
    for place in range(SIZE - 1):
        found = verdict(renumbered(ROWS[:place] + ROWS[place + 1 :]))
        assert kind_of(found) == (place + 1, Kind.MISSING)


def test_a_line_put_in_is_told_apart() -> None:
    for place in range(1, SIZE):
        (strange,), _ = chained(
            AuditHead(number=place, hash=ROWS[place - 1].hash),
            [(AT, AuditRecord(action="x", actor="y", object_kind="z", object_id="1"))],
            [b"1" * 16] * 3,
        )
        found = verdict(renumbered([*ROWS[:place], strange, *ROWS[place:]]))
        assert kind_of(found) == (place + 2, Kind.INSERTED)


def test_two_lines_that_changed_places_are_told_apart() -> None:
    for place in range(SIZE - 1):
        rows = [*ROWS]
        rows[place], rows[place + 1] = rows[place + 1], rows[place]
        found = verdict(renumbered(rows), pieces=SIZE)
        assert kind_of(found) == (place + 1, Kind.REORDERED)


def test_a_log_cut_off_at_its_end_fits_in_itself_and_not_a_checkpoint() -> None:
    assert verdict(ROWS[:4]) is None
    found = verdict(ROWS[:4], claim(ROWS[:2]), claim(ROWS))
    assert found == Fault(number=5, kind=Kind.CUT_OFF, text="cut off at the end: a checkpoint tells of 6 lines, and there are 4")
    assert verdict([], claim(ROWS)) is not None


def test_a_log_written_anew_fits_in_itself_and_not_a_checkpoint() -> None:
    anew = log_of(SIZE, "b")
    assert verdict(anew) is None
    found = verdict(anew, claim(ROWS[:3]))
    assert kind_of(found) == (1, Kind.OTHER_LOG)
    head = AuditHead(number=4, hash=ROWS[3].hash)
    tail, _ = chained(head, [(AT, AuditRecord(action="x", actor="y", object_kind="z", object_id="1"))] * 2, [b"1" * 16] * 6)
    found = verdict([*ROWS[:4], *tail], claim(ROWS[:3]), claim(ROWS))
    assert kind_of(found) == (4, Kind.OTHER_LOG), "after what the first checkpoint vouches for"


def test_erasing_and_masking_leave_the_log_as_sound_as_it_was() -> None:
    rows = [masked(ROWS[0]), without(ROWS[1], Part.WHO), without(ROWS[2], *Part), *ROWS[3:]]
    verifier = Verifier([claim(ROWS)])
    verifier.take(rows)
    assert (verifier.finish(), verifier.erased, verifier.head.number) == (None, 3, SIZE)


def test_a_line_comes_back_from_json_as_it_was() -> None:

    for row in (ROWS[0], masked(ROWS[1])):
        assert of_json(json.dumps(as_json(row))) == row


def _without_hash(line: str) -> str:
    return line.replace('"hash"', '"hesh"')


@pytest.mark.parametrize(
    "breaking",
    [
        lambda line: "",
        lambda line: "[]",
        _without_hash,
        lambda line: line.replace('"number": 1', '"number": "1"'),
        lambda line: line.replace('"number": 1', '"number": true'),
        lambda line: line.replace("2026-11-25T", "yesterday"),
        lambda line: line.replace("000Z", "000"),
        lambda line: line.replace('"outcome": "done"', '"outcome": null'),
        lambda line: line.replace('"outcome": "done"', '"outcome": 7'),
        lambda line: "[" * 100_000,
    ],
)
def test_what_is_no_line_of_an_export_is_refused_in_words(breaking: Callable[[str], str]) -> None:

    line = json.dumps(as_json(ROWS[0]))
    with pytest.raises(ValueError, match="is not a line of an export"):
        of_json(breaking(line))


@pytest.mark.parametrize("text", ["", "7", "{}", '{"form":"x","log":"","size":1,"root":"","head":""}'])
def test_what_is_no_checkpoint_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match="is not a checkpoint"):
        claim_of(text)


def beginning(size: int) -> Beginning:
    tree = Frontier()
    tree.extend(row.hash for row in ROWS[:size])
    content = content_of(log=ROWS[0].hash, size=size, root=tree.root, head=ROWS[size - 1].hash, made_at=AT)
    return beginning_of(Checkpoint(size=size, made_at=AT, content=content, frontier=tree.packed))


@pytest.mark.parametrize("size", range(1, SIZE))
def test_a_log_whose_first_lines_went_is_verified_from_its_checkpoint_on(size: int) -> None:
    def of(rows: Sequence[AuditRow], *claims: Claim) -> tuple[int, Kind] | None:
        verifier = Verifier(claims, beginning(size))
        verifier.take(rows)
        return kind_of(verifier.finish())

    rest = ROWS[size:]
    assert of(rest, claim(ROWS), claim(ROWS[:size]), claim(ROWS[:1])) is None
    assert of(rest[1:]) == ((size + 1, Kind.MISSING) if rest[1:] else None)
    assert of([replace(rest[0], outcome="x"), *rest[1:]]) == (size + 1, Kind.ALTERED)
    assert of(ROWS) == (1, Kind.INSERTED), "lines that were to be gone are there"
    other = log_of(SIZE, "b")
    assert of(rest, claim(other[:size])) == (size, Kind.OTHER_LOG)
    assert of(other[size:]) == (size + 1, Kind.ALTERED)
    assert of(rest[:-1], claim(ROWS)) == (SIZE, Kind.CUT_OFF)


def test_a_checkpoint_whose_frontier_is_not_of_its_root_is_no_beginning() -> None:
    content = content_of(log=ROWS[0].hash, size=3, root=root_of([row.hash for row in ROWS[:3]]), head=ROWS[2].hash, made_at=AT)
    for frontier, says in ((bytes(64), "is not of its root"), (bytes(32), "no frontier of 3"), (b"", "no frontier of 3")):
        with pytest.raises(ValueError, match=says):
            beginning_of(Checkpoint(size=3, made_at=AT, content=content, frontier=frontier))


def test_a_checkpoint_in_an_export_comes_back_as_it_was_and_a_broken_one_is_told() -> None:
    content = content_of(log=ROWS[0].hash, size=3, root=bytes(32), head=ROWS[2].hash, made_at=AT)
    kept = Checkpoint(size=3, made_at=AT, content=content, frontier=bytes(64), public_key="pem", signature=b"s")
    text = json.dumps(checkpoint_as_json(kept))
    assert checkpoint_of_json(text) == kept
    assert checkpoint_of_json(json.dumps(as_json(ROWS[0]))) is None
    for broken in (
        '{"checkpoint": 7}',
        text.replace("bankgate-checkpoint-1", "x"),
        text.replace('"frontier"', '"x"'),
        "{",
        "[" * 9999,
    ):
        with pytest.raises(ValueError, match="is not a checkpoint of an export"):
            checkpoint_of_json(broken)
