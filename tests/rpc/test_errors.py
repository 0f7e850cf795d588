"""One mapping from named errors to statuses: none forgotten, details never larger than a client can take."""

from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2 as details
from hypothesis import given
from hypothesis import strategies as st

from formats.errors import Unrenderable, Violation
from gateway import errors
from gateway.lifecycle import IllegalTransition, PaymentEvent, PaymentState
from gateway.rpc.errors import Budget, failure_of
from gateway.rpc.metadata import BYTES_MAX_KEY
from gateway.store.store import OutcomeUnknown, Stale, StoreUnavailable

VIOLATION = Violation(field="amount", rule="r", source="s", message_en="e" * 200, message_zh="中" * 100)
ORDERS = tuple(errors.OrderViolation(index=n, payment_reference="p", violation=VIOLATION) for n in range(300))
CONFLICT = errors.OrderConflict(index=0, payment_reference="p", payment_id="1", fields=())

EXAMPLES: dict[type[Exception], tuple[Exception, grpc.StatusCode]] = {
    errors.Invalid: (errors.Invalid(ORDERS), grpc.StatusCode.INVALID_ARGUMENT),
    errors.Conflict: (errors.Conflict((CONFLICT,)), grpc.StatusCode.ALREADY_EXISTS),
    errors.Forbidden: (errors.Forbidden("no"), grpc.StatusCode.PERMISSION_DENIED),
    errors.NotFound: (errors.NotFound("no"), grpc.StatusCode.NOT_FOUND),
    errors.TooLate: (errors.TooLate("no", "sent"), grpc.StatusCode.FAILED_PRECONDITION),
    errors.TooMany: (errors.TooMany("no"), grpc.StatusCode.RESOURCE_EXHAUSTED),
    errors.LimitReached: (errors.LimitReached("no", "calls_per_second", 0.5), grpc.StatusCode.RESOURCE_EXHAUSTED),
    errors.BadRequest: (errors.BadRequest("on", "no"), grpc.StatusCode.INVALID_ARGUMENT),
    errors.NotSignedIn: (errors.NotSignedIn("no"), grpc.StatusCode.UNAUTHENTICATED),
    errors.SignInRefused: (errors.SignInRefused("no"), grpc.StatusCode.UNAUTHENTICATED),
    errors.FactorNeeded: (errors.FactorNeeded("no"), grpc.StatusCode.PERMISSION_DENIED),
    errors.FactorRefused: (errors.FactorRefused("no"), grpc.StatusCode.PERMISSION_DENIED),
    errors.PeopleNotSetUp: (errors.PeopleNotSetUp("no"), grpc.StatusCode.FAILED_PRECONDITION),
}


def test_every_error_of_the_gateway_has_a_status() -> None:
    declared = {one for one in errors.GatewayError.__subclasses__() if one.__module__ == errors.__name__}
    assert set(EXAMPLES) == declared  # others (of lists in files) come to commands and the worker's log, and to no caller
    for error, code in EXAMPLES.values():
        assert failure_of(error).code is code


def test_errors_of_other_rooms_have_theirs() -> None:
    assert failure_of(Unrenderable((VIOLATION,))).code is grpc.StatusCode.INVALID_ARGUMENT
    illegal = IllegalTransition(PaymentState.SENT, PaymentEvent.CANCEL)
    assert failure_of(illegal).code is grpc.StatusCode.FAILED_PRECONDITION
    assert failure_of(Stale()).code is grpc.StatusCode.ABORTED


def test_nobody_is_told_that_nothing_was_stored_where_that_is_not_known() -> None:
    known, unknown = failure_of(StoreUnavailable("disk full")), failure_of(OutcomeUnknown("connection lost"))
    assert "nothing was stored" in known.text
    assert "nothing was stored" not in unknown.text
    assert "send the same again" in unknown.text
    assert (unknown.code, unknown.reason) == (grpc.StatusCode.UNAVAILABLE, "OUTCOME_UNKNOWN")


def test_a_conflict_without_known_fields_still_names_the_reference() -> None:
    (entry,) = failure_of(errors.Conflict((CONFLICT,))).broken
    assert entry.field == "payments[0].payment_reference"


def test_what_has_no_name_is_internal_and_keeps_its_words_to_the_log() -> None:
    failure = failure_of(RuntimeError("DE89370400440532013000"))
    assert failure.code is grpc.StatusCode.INTERNAL
    assert "DE89" not in failure.text


@given(cap=st.integers(min_value=8192, max_value=200_000))
def test_details_keep_to_the_cap_in_base64_beside_the_other_trailers(cap: int) -> None:
    status = failure_of(errors.Invalid(ORDERS)).status(Budget(cap))
    assert len(status.SerializeToString()) * 4 / 3 + 400 <= cap
    info = details.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.metadata["total"] == "300"
    assert 1 <= int(info.metadata["shown"]) <= 300


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        (None, 8192),
        ((("other", "1"),), 8192),
        (((BYTES_MAX_KEY, "100000"),), 100_000),
        (((BYTES_MAX_KEY, "1"),), 8192),
        (((BYTES_MAX_KEY, "9" * 40),), 4 * 1024 * 1024),
        (((BYTES_MAX_KEY, "-5"),), 8192),
        (((BYTES_MAX_KEY, "٣"),), 8192),
        (((BYTES_MAX_KEY, b"100"),), 8192),
    ],
)
def test_a_cap_is_taken_within_reason_and_nonsense_is_the_default(metadata: Any, expected: int) -> None:
    assert Budget.of(metadata).trailer_bytes == expected
