"""Ids that we make."""

import re
import uuid

from gateway.payment import new_payment_id, new_uetr


def test_payment_ids_are_uuids_of_version_7_that_grow_and_fit_an_instruction_id() -> None:
    made = [new_payment_id() for _ in range(2000)]
    assert len(set(made)) == 2000
    assert all(re.fullmatch(r"[0-9a-f]{32}", one) for one in made)
    assert {(uuid.UUID(one).version, uuid.UUID(one).variant) for one in made} == {(7, uuid.RFC_4122)}
    moments = [one[:12] for one in made]
    assert moments == sorted(moments)


def test_uetrs_are_uuids_of_version_4_in_the_form_iso_wants() -> None:
    made = [new_uetr() for _ in range(2000)]
    assert len(set(made)) == 2000
    pattern = r"[a-f0-9]{8}-[a-f0-9]{4}-4[a-f0-9]{3}-[89ab][a-f0-9]{3}-[a-f0-9]{12}"  # ISO 20022, UUIDv4Identifier
    assert all(re.fullmatch(pattern, one) for one in made)
    assert {uuid.UUID(one).version for one in made} == {4}
