"""The gateway's named errors as gRPC statuses: one mapping, for every service (design, section 8).

Details follow the Google API error model (google/rpc/error_details.proto): BadRequest lists the broken rules, ErrorInfo says
how many there are in all and how many fitted, RetryInfo and PreconditionFailure where they help. They travel in HTTP/2
trailers, which clients cap; the comment at SubmitPayments in payments.proto is the contract that `Budget` keeps.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, ClassVar

import grpc
import structlog
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2 as details  # type: ignore[import-untyped]
from google.rpc import status_pb2

from formats.bank import UnknownBank
from formats.errors import Unrenderable, Violation
from gateway.errors import (
    BadRequest,
    Conflict,
    FactorNeeded,
    FactorRefused,
    Forbidden,
    Invalid,
    LimitReached,
    NotFound,
    NotSignedIn,
    OrderViolation,
    PeopleNotSetUp,
    SignInRefused,
    TooLate,
    TooMany,
)
from gateway.lifecycle import IllegalTransition
from gateway.rpc.metadata import BYTES_MAX_KEY, DETAILS_KEY
from gateway.rpc.present import violation_field
from gateway.store.store import OutcomeUnknown, Stale, StoreUnavailable
from gateway.tokens import TokenKeysUnavailable
from keys.seal import KeyUnavailable

DOMAIN = "bankgate"

log = structlog.get_logger(__name__)


class Unauthenticated(Exception):
    """The one who calls is none of the configured callers. The operator's or the caller's to act on. `kind`: one word for it."""

    def __init__(self, text: str, kind: str = "unknown") -> None:
        self.kind = kind
        super().__init__(text)


class PermissionsChanged(Exception):
    """What the caller of an open stream may do has changed, and the stream ends. Open it again: the new permissions count."""


class Draining(Exception):
    """The service is shutting down; the call was not started, or its stream ends here. Try again: another one answers."""


class Unimplemented(Exception):
    """The contract has this call, this release does not answer it. Says what to use instead."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How many bytes of details one caller's client can take.

    A client's cap counts the headers as they would travel without compression, binary values in base64 (RFC 9113, section
    6.5.2; gRPC over HTTP/2, "Binary-Header"), and the other trailers beside it: three quarters of the cap, less 600 bytes.
    """

    LARGEST: ClassVar[int] = 4 * 1024 * 1024

    trailer_bytes: int = 8 * 1024  # what every gRPC client takes unless it was told otherwise

    @property
    def detail_bytes(self) -> int:
        return (self.trailer_bytes - 600) * 3 // 4

    @staticmethod
    def of(metadata: Iterable[tuple[str, Any]] | None) -> "Budget":
        """What the caller's request metadata asks for, within reason; anything unreadable is the default."""
        default = Budget()
        for key, value in metadata or ():
            if key == BYTES_MAX_KEY:
                text = str(value)
                if text.isascii() and text.isdigit():
                    return Budget(min(max(int(text[:12]), default.trailer_bytes), Budget.LARGEST))
        return default


@dataclass(frozen=True, slots=True)
class Failure:
    """A status before it is cut to what the client can take. `broken` are the entries of BadRequest."""

    code: grpc.StatusCode
    reason: str  # of ErrorInfo: UPPER_SNAKE_CASE
    text: str
    broken: Sequence[details.BadRequest.FieldViolation] = ()
    metadata: tuple[tuple[str, str], ...] = ()
    more: tuple[Message, ...] = ()

    def status(self, budget: Budget) -> status_pb2.Status:
        """The status with as many of the broken rules as fit, and the count of all of them."""
        info = details.ErrorInfo(reason=self.reason, domain=DOMAIN, metadata=dict(self.metadata))
        status = status_pb2.Status(code=self.code.value[0], message=self.text)
        others = [_packed(message) for message in self.more]
        bad_request = details.BadRequest()
        if self.broken:
            info.metadata["total"] = info.metadata["shown"] = str(len(self.broken))
            room = budget.detail_bytes - status.ByteSize() - info.ByteSize() - sum(m.ByteSize() for m in others) - 200
            for entry in self.broken:
                room -= entry.ByteSize() + 4  # its tag and length
                if room < 0:
                    break
                bad_request.field_violations.append(entry)
            info.metadata["shown"] = str(len(bad_request.field_violations))
        status.details.append(_packed(info))
        if self.broken:
            status.details.append(_packed(bad_request))
        status.details.extend(others)
        return status


def failure_of(error: Exception) -> Failure:
    """The named error as a failure. An error without a name is INTERNAL, logged with an id the caller can quote."""
    for kind, failure in _FAILURES.items():
        if isinstance(error, kind):
            return failure(error)
    return _unforeseen(error)


async def abort(context: grpc.aio.ServicerContext[Any, Any], failure: Failure) -> None:
    """Ends the call with the failure, cut to what the client can take. Never returns: gRPC raises to unwind the handler."""
    status = failure.status(Budget.of(context.invocation_metadata()))
    await context.abort(failure.code, status.message, ((DETAILS_KEY, status.SerializeToString()),))


def _unforeseen(error: Exception) -> Failure:
    incident = token_hex(4)
    log.error("rpc.unforeseen", incident=incident, exc_info=error)
    return Failure(
        grpc.StatusCode.INTERNAL,
        "INTERNAL",
        f"something unforeseen went wrong here; the operator finds it in the log as incident {incident}",
        metadata=(("incident", incident),),
    )


def _retry(reason: str, text: str, seconds: int) -> Failure:
    more = (details.RetryInfo(retry_delay=Duration(seconds=seconds)),)
    return Failure(grpc.StatusCode.UNAVAILABLE, reason, text, more=more)


def _limit(error: LimitReached) -> Failure:
    more: tuple[Message, ...] = ()
    if error.seconds is not None:
        delay = Duration()
        delay.FromNanoseconds(max(1, round(error.seconds * 1_000)) * 1_000_000)
        more = (details.RetryInfo(retry_delay=delay),)
    return Failure(_CODE.RESOURCE_EXHAUSTED, "LIMIT_REACHED", str(error), metadata=(("limit", error.limit),), more=more)


def _packed(message: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(message)
    return packed


def _broken(order: OrderViolation) -> details.BadRequest.FieldViolation:
    violation = order.violation
    return details.BadRequest.FieldViolation(
        field=violation_field(order.index, violation.field),
        description=_sentence(violation),
        reason=violation.rule,
        localized_message=details.LocalizedMessage(locale="zh-CN", message=violation.message_zh),
    )


def _sentence(violation: Violation) -> str:
    """The rule in words with its source and, where one exists, a safe fix: BadRequest has no fields of their own for them."""
    fix = f" Fix: {violation.fix}" if violation.fix else ""
    return f"{violation.message_en} [{violation.source}]{fix}"


def _conflicts(error: Conflict) -> list[details.BadRequest.FieldViolation]:
    return [
        details.BadRequest.FieldViolation(
            field=violation_field(conflict.index, field),
            description=f"Differs from {_earlier(conflict.payment_id)} under the same payment_reference.",
            reason="payment-reference.conflict",
            localized_message=details.LocalizedMessage(
                locale="zh-CN", message=f"与相同参考号下{_earlier_zh(conflict.payment_id)}的内容不一致。"
            ),
        )
        for conflict in error.conflicts
        for field in conflict.fields or ("payment_reference",)
    ]


def _earlier(payment_id: str) -> str:
    return f"what payment {payment_id} stored" if payment_id else "an earlier payment of this call"


def _earlier_zh(payment_id: str) -> str:
    return f"已存付款 {payment_id} " if payment_id else "本次调用中前一笔付款"


def _too_late(state: str, text: str) -> Failure:
    violation = details.PreconditionFailure.Violation(type="STATE", subject=state, description=text)
    more = (details.PreconditionFailure(violations=[violation]),)
    return Failure(_CODE.FAILED_PRECONDITION, "TOO_LATE", text, metadata=(("state", state),), more=more)


def _argument(error: BadRequest) -> Failure:
    entry = details.BadRequest.FieldViolation(field=error.field, description=str(error), reason="argument.invalid")
    return Failure(_CODE.INVALID_ARGUMENT, "ARGUMENT_INVALID", f"{error.field}: {error}", [entry])


def _unrenderable(error: Unrenderable) -> Failure:
    orders = [OrderViolation(index=0, payment_reference="", violation=violation) for violation in error.violations]
    text = "the payment cannot be said in this message"
    return Failure(_CODE.INVALID_ARGUMENT, "PAYMENTS_INVALID", text, [_broken(order) for order in orders])


_CODE = grpc.StatusCode
_FAILURES: Mapping[type[Exception], Callable[[Any], Failure]] = {
    Invalid: lambda e: Failure(_CODE.INVALID_ARGUMENT, "PAYMENTS_INVALID", str(e), [_broken(v) for v in e.violations]),
    Unrenderable: _unrenderable,
    Conflict: lambda e: Failure(_CODE.ALREADY_EXISTS, "REFERENCE_CONFLICT", str(e), _conflicts(e)),
    BadRequest: _argument,
    Forbidden: lambda e: Failure(_CODE.PERMISSION_DENIED, "FORBIDDEN", str(e), metadata=(("missing", e.missing),)),
    Unauthenticated: lambda e: Failure(_CODE.UNAUTHENTICATED, "CALLER_UNKNOWN", str(e), metadata=(("kind", e.kind),)),
    LimitReached: _limit,
    NotSignedIn: lambda e: Failure(_CODE.UNAUTHENTICATED, "SESSION_ENDED", str(e)),
    SignInRefused: lambda e: Failure(_CODE.UNAUTHENTICATED, "SIGN_IN_REFUSED", str(e)),
    FactorNeeded: lambda e: Failure(_CODE.PERMISSION_DENIED, "FACTOR_REQUIRED", str(e)),
    FactorRefused: lambda e: Failure(_CODE.PERMISSION_DENIED, "FACTOR_REFUSED", str(e)),
    PeopleNotSetUp: lambda e: Failure(_CODE.FAILED_PRECONDITION, "PEOPLE_NOT_SET_UP", str(e)),
    NotFound: lambda e: Failure(_CODE.NOT_FOUND, "NOT_FOUND", str(e)),
    TooLate: lambda e: _too_late(e.state, str(e)),
    IllegalTransition: lambda e: _too_late(e.state.value, str(e)),
    TooMany: lambda e: Failure(_CODE.RESOURCE_EXHAUSTED, "TOO_MANY", str(e)),
    UnknownBank: lambda e: Failure(_CODE.INVALID_ARGUMENT, "BANK_UNKNOWN", str(e)),
    Unimplemented: lambda e: Failure(_CODE.UNIMPLEMENTED, "NOT_IN_THIS_RELEASE", str(e)),
    Stale: lambda _: Failure(_CODE.ABORTED, "CHANGED_MEANWHILE", "somebody changed it meanwhile; read it again and decide again"),
    OutcomeUnknown: lambda _: _retry(  # before its base, which says that nothing was stored
        "OUTCOME_UNKNOWN",
        "the connection to the store broke while it was writing, so all of the call was done or nothing; send the same again:"
        " what is stored already is answered as known",
        2,
    ),
    StoreUnavailable: lambda _: _retry(
        "STORE_UNAVAILABLE", "the store cannot be written just now; nothing was stored; send again", 2
    ),
    KeyUnavailable: lambda e: _retry("KEY_UNAVAILABLE", str(e), 30),
    TokenKeysUnavailable: lambda e: _retry("TOKEN_KEYS_UNAVAILABLE", str(e), 5),
    PermissionsChanged: lambda _: _retry(
        "PERMISSIONS_CHANGED", "what you may do was changed; open the stream again, with your resume_token if you have one", 1
    ),
    Draining: lambda _: _retry("SHUTTING_DOWN", "shutting down; send again, or come back with your resume_token", 1),
}
