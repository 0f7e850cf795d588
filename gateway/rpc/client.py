"""The other end: what the commands need of the services, without the contract's words leaving this room.

Requests and answers are JSON-ready dicts in the contract's own field names; only batches of payments stay messages, because
there are many. Every failed call is a `CallFailed`.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import grpc
from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc import error_details_pb2 as details  # type: ignore[import-untyped]
from google.rpc import status_pb2

from bankgate.v1 import (
    access_pb2,
    access_pb2_grpc,
    groups_pb2,
    groups_pb2_grpc,
    operations_pb2,
    operations_pb2_grpc,
    payments_pb2,
    payments_pb2_grpc,
    plans_pb2,
    plans_pb2_grpc,
    replay_pb2,
    replay_pb2_grpc,
    screening_pb2,
    screening_pb2_grpc,
    statements_pb2,
    statements_pb2_grpc,
    types_pb2,
)
from formats.json_form import BadForm, read_json
from gateway.payment import PaymentOrder
from gateway.rpc.convert import order_of
from gateway.rpc.json_names import misfits
from gateway.rpc.metadata import BYTES_MAX_KEY, DETAILS_KEY, SESSION_KEY

ERROR_BYTES_MAX: Final = 4 * 1024 * 1024
ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024
CHUNK: Final = 1024 * 1024

_MISFITS_MAX: Final = 20  # told of one payment

R = TypeVar("R")
M = TypeVar("M", bound=Message)

PaymentMessage = types_pb2.PaymentRequest
"""A payment as it travels. Opaque to the commands."""

_STUBS: Final[Mapping[str, tuple[Any, Any]]] = {
    "PaymentService": (payments_pb2_grpc.PaymentServiceStub, payments_pb2),
    "StatementService": (statements_pb2_grpc.StatementServiceStub, statements_pb2),
    "OperationsService": (operations_pb2_grpc.OperationsServiceStub, operations_pb2),
    "PlanService": (plans_pb2_grpc.PlanServiceStub, plans_pb2),
    "ScreeningService": (screening_pb2_grpc.ScreeningServiceStub, screening_pb2),
    "ReleaseGroupService": (groups_pb2_grpc.ReleaseGroupServiceStub, groups_pb2),
    "AccessService": (access_pb2_grpc.AccessServiceStub, access_pb2),
}


@dataclass(frozen=True, slots=True)
class ClientTls:
    """PEM bytes: the authority to believe, and what to show of oneself. The key is open; keep it short-lived."""

    ca: bytes | None
    certificate: bytes | None
    key: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Target:
    """Where a service listens."""

    address: str
    tls: ClientTls | None = None
    token: str | None = None  # a bearer token, over TLS only


@dataclass(frozen=True, slots=True)
class Broken:
    """One broken rule of a refused call."""

    field: str
    rule: str
    text: str


class CallFailed(Exception):
    """A call that was not answered as hoped. `code` is the gRPC status code's name; `broken` what the service listed."""

    _UNREACHABLE: Final = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "UNAUTHENTICATED"})
    _OF_PEOPLE: Final = frozenset({"SESSION_ENDED", "SIGN_IN_REFUSED"})

    def __init__(self, code: str, text: str, broken: tuple[Broken, ...] = (), total: int = 0, reason: str = "") -> None:
        self.code = code
        self.reason = reason  # of gateway/rpc/errors.py, where the service gave one
        self.text = text
        self.broken = broken
        self.total = total
        super().__init__(f"{text} [{code}]")

    @property
    def unreachable(self) -> bool:
        """Whether the service was not reached, or not let us in: nothing is wrong with what was asked. A person whom it does
        not let in has given something wrong, or has to sign in again."""
        return self.code in self._UNREACHABLE and self.reason not in self._OF_PEOPLE

    @property
    def again(self) -> bool:
        """Whether the same call may work in a moment."""
        return self.code == "UNAVAILABLE"


_CHOICES = frozenset(name.removeprefix("INSTANT_CHOICE_") for name in types_pb2.InstantChoice.DESCRIPTOR.values_by_name)


class BadPayment(ValueError):
    """JSON that is no payment of the contract. Names the field."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What became of one batch. Places in `violations`, `conflicts` and `warnings` count from 0 within the batch."""

    batch: int
    stored: int
    known: int
    violations: tuple[dict[str, Any], ...]
    conflicts: tuple[dict[str, Any], ...]
    error: str
    warnings: tuple[dict[str, Any], ...] = ()
    send_windows: tuple[dict[str, Any], ...] = ()


# -- JSON and messages -----------------------------------------------------------------------------------------------------


def payment_from_json(content: Any) -> PaymentMessage:
    """A payment from the JSON form of `PaymentRequest` (names as in the contract, or in lowerCamelCase). Raises `BadPayment`."""
    if not isinstance(content, dict):
        raise BadPayment("a payment is a JSON object")
    choice = content.get("instant")
    if isinstance(choice, str) and choice.upper() in _CHOICES:  # the short name of the contract's value
        content = {**content, "instant": f"INSTANT_CHOICE_{choice.upper()}"}
    problems = list(islice(misfits(content, PaymentMessage.DESCRIPTOR), _MISFITS_MAX))
    if problems:
        raise BadPayment("; ".join(problems))
    try:
        return json_format.ParseDict(content, PaymentMessage(), max_recursion_depth=20)
    except json_format.ParseError as error:
        raise BadPayment(" ".join(str(error).split())) from None


def payments_from_json(content: Any) -> list[PaymentMessage]:
    """The payments of the JSON form of `SubmitPaymentsRequest`. Raises `BadPayment`, naming every payment that is none."""
    if not isinstance(content, dict) or not isinstance(content.get("payments"), list) or len(content) != 1:
        raise BadPayment('expected the JSON form of SubmitPaymentsRequest: {"payments": [ … ]}')
    payments = []
    problems = []
    for place, item in enumerate(content["payments"]):
        try:
            payments.append(payment_from_json(item))
        except BadPayment as error:
            problems.append(f"payments[{place}]: {error}")
    if problems:
        raise BadPayment("\n".join(problems))
    return payments


def orders_from_messages(messages: Iterable[PaymentMessage]) -> list[PaymentOrder]:
    """The gateway's orders, for commands that work without a service."""
    return [order_of(message) for message in messages]


def as_dict(message: Message) -> dict[str, Any]:
    """A message as JSON-ready dict, in the contract's own names."""
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


# -- calls -----------------------------------------------------------------------------------------------------------------


class Client:
    """A connection to a service. Use with `async with`."""

    def __init__(self, target: Target, *, timeout: float = 30.0) -> None:
        self._target = target
        self._timeout = timeout

    async def __aenter__(self) -> Self:
        options = [
            ("grpc.max_metadata_size", ERROR_BYTES_MAX),
            ("grpc.absolute_max_metadata_size", ERROR_BYTES_MAX),
            ("grpc.max_receive_message_length", ANSWER_BYTES_MAX),
            ("grpc.max_send_message_length", ANSWER_BYTES_MAX),
            ("grpc.keepalive_time_ms", 60_000),
        ]
        tls = self._target.tls
        if tls is None:
            self._channel = grpc.aio.insecure_channel(self._target.address, options=options)
        else:
            credentials = grpc.ssl_channel_credentials(tls.ca, tls.key, tls.certificate)
            if self._target.token is not None:
                shown = grpc.access_token_call_credentials(self._target.token)
                credentials = grpc.composite_channel_credentials(credentials, shown)
            self._channel = grpc.aio.secure_channel(self._target.address, credentials, options=options)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._channel.close(None)

    async def call(
        self, service: str, method: str, request: Mapping[str, Any] | None = None, *, session: str = ""
    ) -> dict[str, Any]:
        """One call with one answer, both as JSON-ready dicts, under a person's session if one is given. Raises `CallFailed`."""
        stub_class, module = _STUBS[service]
        message = _request(dict(request or {}), getattr(module, f"{method}Request")())
        return as_dict(await self._unary(getattr(stub_class(self._channel), method), message, session))

    async def check(
        self, payments: Sequence[PaymentMessage], on: str = ""
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
        """A dry run of up to 1,000 payments: violations, conflicts, warnings and send windows."""
        request = payments_pb2.CheckPaymentsRequest(payments=payments, on=on)
        answer = await self._unary(payments_pb2_grpc.PaymentServiceStub(self._channel).CheckPayments, request)
        violations, conflicts, warnings, windows = (
            [as_dict(item) for item in items]
            for items in (answer.violations, answer.conflicts, answer.warnings, answer.send_windows)
        )
        return violations, conflicts, warnings, windows

    async def submit(self, batches: AsyncIterator[Sequence[PaymentMessage]]) -> AsyncIterator[Acknowledged]:
        """Batches in, acknowledgements out, in order. What was acknowledged is durable. Raises `CallFailed`, and what the
        batches' own source raised."""

        async def requests() -> AsyncIterator[payments_pb2.SubmitPaymentsRequest]:
            async for batch in batches:
                yield payments_pb2.SubmitPaymentsRequest(payments=batch)

        sent = _Sent(requests())
        stream = payments_pb2_grpc.PaymentServiceStub(self._channel).SubmitPaymentStream(sent)
        async for answer in _answers(stream, sent):
            known = sum(payment.already_known for payment in answer.payments)
            yield Acknowledged(
                batch=answer.batch,
                stored=len(answer.payments) - known,
                known=known,
                violations=tuple(as_dict(item) for item in answer.violations),
                conflicts=tuple(as_dict(item) for item in answer.conflicts),
                error=answer.error,
                warnings=tuple(as_dict(item) for payment in answer.payments for item in payment.warnings),
                send_windows=tuple(
                    {"index": index, "payment_reference": payment.payment_reference, "send_window": as_dict(payment.send_window)}
                    for index, payment in enumerate(answer.payments)
                    if payment.HasField("send_window")
                ),
            )

    async def watch(self, token: str, connection_ids: Sequence[str], *, stop_at_end: bool) -> AsyncIterator[dict[str, Any]]:
        """Events after a resume token. Raises `CallFailed`."""
        request = payments_pb2.WatchPaymentEventsRequest(
            resume_token=token, connection_ids=connection_ids, stop_at_end=stop_at_end
        )
        async for answer in _answers(payments_pb2_grpc.PaymentServiceStub(self._channel).WatchPaymentEvents(request)):
            for event in answer.events:
                yield as_dict(event)

    async def replay(
        self, connection_id: str, chunks: AsyncIterator[tuple[str, bytes | None]], *, commit: bool, sealed: bool
    ) -> AsyncIterator[dict[str, Any]]:
        """What the files would change: dicts with one of the keys change, problem and file. A chunk that is None gives its file
        up. Raises `CallFailed`, and what the chunks' own source raised."""

        async def requests() -> AsyncIterator[replay_pb2.ReplayRequest]:
            async for name, chunk in chunks:
                yield replay_pb2.ReplayRequest(
                    connection_id=connection_id,
                    commit=commit,
                    sealed=sealed,
                    name=name,
                    chunk=chunk or b"",
                    abandoned=chunk is None,
                )

        sent = _Sent(requests())
        async for answer in _answers(replay_pb2_grpc.ReplayServiceStub(self._channel).Replay(sent), sent):
            yield as_dict(answer)

    async def _unary(self, method: Any, message: Message, session: str = "") -> Any:
        signed_in = ((SESSION_KEY, session),) if session else ()
        metadata = ((BYTES_MAX_KEY, str(ERROR_BYTES_MAX)), *signed_in)
        try:
            return await method(message, timeout=self._timeout, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            raise _failed(error) from None


class _Sent(AsyncIterator[R]):
    """The requests of a stream. gRPC swallows an error of their source and cancels the call: it is kept here, to be told."""

    def __init__(self, source: AsyncIterator[R]) -> None:
        self._source = source
        self.error: Exception | None = None

    async def __anext__(self) -> R:
        try:
            return await anext(self._source)
        except StopAsyncIteration:
            raise
        except Exception as error:
            self.error = error
            raise


async def _answers(stream: Any, sent: _Sent[Any] | None = None) -> AsyncIterator[Any]:
    try:
        async for answer in stream:
            yield answer
    except (grpc.aio.AioRpcError, asyncio.CancelledError) as error:
        if sent is not None and sent.error is not None:
            raise sent.error from None
        if isinstance(error, grpc.aio.AioRpcError):
            raise _failed(error) from None
        raise
    finally:
        stream.cancel()


def _failed(error: grpc.aio.AioRpcError) -> CallFailed:
    broken: list[Broken] = []
    total, reason = 0, ""
    metadata: Any = error.trailing_metadata()  # its stub knows one entry only
    for key, value in metadata or ():
        if key != DETAILS_KEY or not isinstance(value, bytes):
            continue
        for detail in status_pb2.Status.FromString(value).details:
            bad_request, info = details.BadRequest(), details.ErrorInfo()
            if detail.Unpack(bad_request):
                broken += [Broken(v.field, v.reason, v.description) for v in bad_request.field_violations]
            elif detail.Unpack(info):
                total, reason = int(info.metadata.get("total", "0")), info.reason
    return CallFailed(error.code().name, error.details() or "", tuple(broken), total, reason)


def _request(content: dict[str, Any], message: M) -> M:
    """The message of its JSON form, which a person may have written. Raises `CallFailed` as the service would."""
    try:
        return json_format.ParseDict(content, message, max_recursion_depth=20)
    except json_format.ParseError as error:
        kind: Any = message.DESCRIPTOR  # its stub knows another kind beside it
        problems = list(islice(misfits(content, kind), _MISFITS_MAX)) or [" ".join(str(error).split())]
        raise CallFailed("INVALID_ARGUMENT", "; ".join(problems)) from None


def parse_json(text: str) -> Any:
    """Strict JSON (`formats.json_form`). Raises `BadPayment`."""
    try:
        return read_json(text)
    except BadForm as error:
        raise BadPayment(str(error)) from None
