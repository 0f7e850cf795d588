"""The door of every service: who calls, may they, and what they are told when it does not work.

A servicer's method is written as `async def Method(self, caller, request)` and wrapped with `unary("action")` or
`streaming("action")`: it starts when the caller is known and allowed, and may raise any named error.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache, wraps
from time import perf_counter
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from urllib.parse import unquote

import grpc
import structlog
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from gateway.callers import Caller, Callers
from gateway.errors import BadRequest, Forbidden
from gateway.refused_calls import NOBODY, RefusedCalls
from gateway.rpc.drain import Drain
from gateway.rpc.errors import Draining, Unauthenticated, Unimplemented, abort, failure_of
from gateway.telemetry import Metrics, span

if TYPE_CHECKING:
    from bankgate.v1 import types_pb2
    from gateway.service import Gateway

PAGE_DEFAULT = 100
PAGE_MAX = 1000
HEARD_SECONDS = 1.0
WHY_MAX = 300  # characters of a refusal that are written down
ADDRESS_MAX = 100

log = structlog.get_logger(__name__)

Context = grpc.aio.ServicerContext[Any, Any]
S = TypeVar("S", bound="Servicer")
Request = TypeVar("Request")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Door:
    """What every servicer holds."""

    gateway: "Gateway"
    callers: Callers
    metrics: Metrics
    drain: Drain
    clock: Callable[[], datetime]
    tls: bool
    refused: RefusedCalls
    under_way: "set[_Observed]" = field(default_factory=set)
    quiet: asyncio.Event = field(default_factory=asyncio.Event)

    async def idle(self) -> None:
        """Until no call is under way."""
        while self.under_way:
            self.quiet.clear()
            await self.quiet.wait()

    def enter(self, context: Context, action: str) -> Caller:
        """The caller, who may do this. Raises `Unauthenticated`, `Forbidden` or `Draining`."""
        caller = replace(self.identify(context.auth_context()), address=peer_address(context.peer()))
        if not caller.may(action):
            raise Forbidden(
                f"caller {caller.name!r} may not {action}: its actions are {', '.join(sorted(caller.actions)) or 'none'}"
            )
        if self.drain.started:
            raise Draining
        return caller

    def identify(self, auth: Mapping[str, Any]) -> Caller:
        """Who is at the other end of the connection."""
        certificates = tuple(auth.get("x509_pem_cert") or ())
        if not certificates:
            if self.tls or self.callers.plaintext is None:
                raise Unauthenticated("no client certificate was shown, and no caller is configured with plaintext = true")
            return self.callers.plaintext
        fingerprint, expires = _certificate(bytes(certificates[0]))
        caller = self.callers.by_fingerprint(fingerprint)
        if caller is None:
            raise Unauthenticated(
                f"no caller is configured with the client certificate whose SHA-256 fingerprint is {fingerprint}"
            )
        if self.clock() > expires:  # checked when the connection was made, and connections live long
            raise Unauthenticated(f"the client certificate of caller {caller.name!r} expired at {expires.isoformat()}")
        return caller

    async def note_refused(self, context: Context, method: str, error: Exception) -> None:
        """Writes a refused call down."""
        name = NOBODY
        with suppress(Unauthenticated):
            name = self.identify(context.auth_context()).name
        await self.refused.note(name, peer_address(context.peer()), method, str(error)[:WHY_MAX])


def peer_address(peer: str) -> str:
    """The network address of "ipv4:192.0.2.7:50112", without the port; a socket of this machine as it is named."""
    kind, _, rest = unquote(peer).partition(":")
    return rest.rpartition(":")[0].strip("[]") if kind in {"ipv4", "ipv6"} else peer[:ADDRESS_MAX]


class Servicer:
    """Base of the servicers."""

    def __init__(self, door: Door) -> None:
        self.door = door

    @property
    def gateway(self) -> "Gateway":
        return self.door.gateway


@lru_cache(maxsize=1024)
def _certificate(pem: bytes) -> tuple[str, datetime]:
    certificate = x509.load_pem_x509_certificate(pem)
    return certificate.fingerprint(SHA256()).hex(), certificate.not_valid_after_utc


def unary(
    action: str,
) -> Callable[[Callable[[S, Caller, Request], Awaitable[Answer]]], Callable[[S, Request, Context], Awaitable[Answer]]]:
    """Wraps a method that answers once."""

    def wrap(method: Callable[[S, Caller, Request], Awaitable[Answer]]) -> Callable[[S, Request, Context], Awaitable[Answer]]:
        name = method.__qualname__  # "PaymentServicer.SubmitPayments"

        @wraps(method)
        async def call(servicer: S, request: Request, context: Context) -> Answer:
            with _Observed(servicer.door, name) as observed:
                try:
                    caller = servicer.door.enter(context, action)
                    return await method(servicer, caller, request)
                except Exception as error:
                    return await observed.fail(context, error)

        return call

    return wrap


def streaming(
    action: str,
) -> Callable[[Callable[[S, Caller, Request], AsyncIterator[Any]]], Callable[[S, Request, Context], Any]]:
    """Wraps a method that answers many times, given as an async generator. It has to mind `drain` itself."""

    def wrap(method: Callable[[S, Caller, Request], AsyncIterator[Any]]) -> Callable[[S, Request, Context], Any]:
        name = method.__qualname__  # "PaymentServicer.SubmitPayments"

        @wraps(method)
        async def call(servicer: S, request: Request, context: Context) -> None:
            with _Observed(servicer.door, name) as observed:
                try:
                    caller = await _admitted(servicer.door, context, action, request)
                    async with aclosing(method(servicer, caller, request)) as answers:  # type: ignore[type-var]
                        async for answer in answers:
                            await context.write(answer)
                except Exception as error:
                    await observed.fail(context, error)

        return call

    return wrap


async def _admitted(door: Door, context: Context, action: str, request: Any) -> Caller:
    """The caller, as `Door.enter` says. A refused stream of requests is heard up to its first one before it ends: a client
    in Python's asyncio that is still writing when the status comes loses it, and reports INTERNAL instead of the reason
    (github.com/grpc/grpc/issues/36066)."""
    try:
        return door.enter(context, action)
    except Exception:
        if isinstance(request, AsyncIterator):
            with suppress(TimeoutError):
                await asyncio.wait_for(anext(request, None), HEARD_SECONDS)
        raise


def not_in_this_release(text: str) -> Any:
    """A method of the contract that this release does not answer; the text says what to use instead."""

    async def call(_servicer: Any, _request: Any, context: Context) -> Any:
        await abort(context, failure_of(Unimplemented(text)))

    return call


class _Observed:
    """Counts and times one call, however it ends: answered, failed, or cancelled by its caller."""

    def __init__(self, door: Door, method: str) -> None:
        self._door = door
        self._method = method
        self._code = grpc.StatusCode.OK
        self._span = span(method)

    def __enter__(self) -> "_Observed":
        self._started = perf_counter()
        self._door.under_way.add(self)
        self._span.__enter__()
        return self

    async def fail(self, context: Context, error: Exception) -> NoReturn:
        """Ends the call with the error's status."""
        if context.done():  # the client is gone, and with it whoever could be told
            self._code = grpc.StatusCode.CANCELLED
            raise error
        failure = failure_of(error)
        self._code = failure.code
        if isinstance(error, (Forbidden, Unauthenticated)):
            await self._door.note_refused(context, self._method, error)
        log.info("rpc.refused", method=self._method, code=failure.code.name, reason=failure.reason)
        await abort(context, failure)
        raise AssertionError("abort does not return")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        code = self._code
        if error is not None and code is grpc.StatusCode.OK:
            code = grpc.StatusCode.CANCELLED
        self._span.__exit__(kind, error, trace)
        self._door.under_way.discard(self)
        self._door.quiet.set()
        self._door.metrics.rpc_total.labels(self._method, code.name).inc()
        self._door.metrics.rpc_seconds.labels(self._method).observe(perf_counter() - self._started)


# -- arguments that many calls share ---------------------------------------------------------------------------------------


def page_of(page: "types_pb2.Page") -> tuple[int, str | None]:
    """Size and token of a page request. Raises `BadRequest`."""
    if page.size > PAGE_MAX:
        raise BadRequest("page.size", f"a page has 1 to {PAGE_MAX} items; 0 means {PAGE_DEFAULT}")
    return page.size or PAGE_DEFAULT, page.token or None


def row_id(field: str, text: str) -> int:
    """The number behind an id that is a number. Raises `BadRequest`."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise BadRequest(field, "must be an id as this service gave it: digits only")
    return int(text)


def aware(moment: Any) -> datetime | None:
    """A Timestamp as a moment. Call it for fields that are set; raises `BadRequest` outside the calendar."""
    try:
        return datetime.fromtimestamp(moment.seconds + moment.nanos / 1e9, UTC)
    except (OverflowError, ValueError, OSError):
        raise BadRequest("timestamp", "lies outside the years 1 to 9999") from None
