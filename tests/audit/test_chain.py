"""The canonical form, against values made by hand with printf, openssl and sha256sum, as docs/audit.md says."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from gateway.audit.chain import AuditHead, AuditRow, Part, chained, fault_of, line_hash, netstrings, part_digest
from gateway.audit.record import AuditRecord

AT = datetime(2026, 11, 25, 10, 0, 0, 123456, tzinfo=UTC)
RECORD = AuditRecord(
    action="payment.cancelled",
    actor="person: 李伟",
    object_kind="payment",
    object_id="01JD",
    caller="erp",
    address="192.0.2.7",
    factor="totp 1",
    detail='{"a":1}',
)
SALTS = [bytes([0x11] * 16), bytes([0x22] * 16), bytes([0x33] * 16)]


def test_a_netstring_counts_bytes_not_characters() -> None:
    assert netstrings("person: 李伟", "") == b"14:person: \xe6\x9d\x8e\xe4\xbc\x9f,0:,"


def test_the_canonical_form_of_a_line_is_what_public_tools_make() -> None:
    """printf '14:person: 李伟,9:192.0.2.7,6:totp 1,' | openssl dgst -sha256 -mac HMAC -macopt hexkey:1111…, and so on."""
    (row,), head = chained(AuditHead(), [(AT, RECORD)], SALTS)
    assert row.who_digest.hex() == "d27cacf37244538844502685f97ff70d4293e95d8c143122bff4d104cff8f0c5"
    assert row.object_digest.hex() == "2421eb8f1b1b9c9bb5af00cf6d3edc68d437c8051aaa482249c799519b0db0d4"
    assert row.detail_digest.hex() == "3166311af67f8a4c382a3a4d36a8814e6fcb7b2f163809b4d7339ec398a485e3"
    assert row.hash.hex() == "2b9136c765e35f79b6f65131b1df5450a0a1e8736ba180faf5429a27f66f90e1"
    assert head == AuditHead(number=1, hash=row.hash)


def test_the_moment_counts_whatever_zone_it_is_told_in() -> None:
    (row,), _ = chained(AuditHead(), [(AT, RECORD)], SALTS)
    (other,), _ = chained(AuditHead(), [(AT.astimezone(timezone(timedelta(hours=8))), RECORD)], SALTS)
    assert other.hash == row.hash


def a_row() -> AuditRow:
    (row,), _ = chained(AuditHead(number=6, hash=bytes(range(32))), [(AT, RECORD)], SALTS)
    return row


FIELDS = list(AuditRow.__slots__)


@pytest.mark.parametrize("field", FIELDS)
def test_a_change_of_any_field_is_seen(field: str) -> None:
    """Also one that makes two neighbouring texts other texts of the same letters."""
    row = a_row()
    value = getattr(row, field)
    changed = {str: f"{value}x", int: 8, bytes: bytes(len(value) if isinstance(value, bytes) else 0)}.get(type(value))
    broken = replace(row, **{field: changed if changed is not None else AT + timedelta(microseconds=1)})
    assert fault_of(row) is None
    assert str(fault_of(broken)).startswith("altered: ")


def test_letters_do_not_pass_from_one_field_to_the_next_unseen() -> None:
    row = a_row()
    assert fault_of(replace(row, action="payment.cancelledp", object_kind="ayment")) is not None
    assert fault_of(replace(row, actor="person: 李伟1", address="92.0.2.7")) is not None


def test_an_erased_part_leaves_the_line_as_sound_as_it_was() -> None:
    gone = replace(a_row(), actor=None, address=None, factor=None, who_salt=None)
    assert (fault_of(gone), gone.erased) == (None, (Part.WHO,))
    assert line_hash(gone) == a_row().hash
    assert fault_of(replace(gone, actor="person: other")) == "altered: who is half erased"
    assert fault_of(replace(a_row(), actor=None)) == "altered: who is not what was written"


def test_without_the_salt_nobody_tries_names_until_one_fits() -> None:
    assert part_digest(SALTS[0], "person: 李伟") != part_digest(SALTS[1], "person: 李伟")
