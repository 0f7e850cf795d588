"""The door of every service: who calls, may they, and what they are told when it does not work.

A servicer's method is written as `async def Method(self, caller, request)` and wrapped with `unary("action")` or
`streaming("action")`: it starts when the caller is known and allowed, and may raise any named error.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import wraps
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import grpc
import structlog

from gateway.callers import Caller, Callers
from gateway.errors import BadRequest, FactorNeeded, Forbidden, LimitReached, NotSignedIn
from gateway.limits import Allowance, Limits
from gateway.people.desk import SignedIn, Source
from gateway.people.permissions import permissions_of
from gateway.quotas import Quotas
from gateway.refused_calls import NOBODY, RefusedCalls
from gateway.rpc.drain import Drain
from gateway.rpc.errors import Draining, PermissionsChanged, Unauthenticated, Unimplemented, abort, failure_of
from gateway.rpc.identity import Identity, Networks, Shown, shown_by
from gateway.store.store import StoreUnavailable
from gateway.telemetry import Metrics, span
from gateway.tokens import TokenKeysUnavailable, Tokens

if TYPE_CHECKING:
    from bankgate.v1 import types_pb2
    from gateway.service import Gateway

_END: Final = object()
PEOPLE: Final = "people"
ENROL_FIRST: Final = "add a second factor first: until then nothing else can be done / 请先添加第二因素"
PAGE_DEFAULT = 100
PAGE_MAX = 1000
HEARD_SECONDS = 1.0
TOLD_SECONDS = 2.0
WHY_MAX = 300  # characters of a refusal that are written down
_VERBS: Final = {
    "people": "carry people who sign in (people)",
    "audit": "read the audit log (audit)",
    "statements": "read statements (statements)",
}

log = structlog.get_logger(__name__)

Context = grpc.aio.ServicerContext[Any, Any]
S = TypeVar("S", bound="Servicer")
Request = TypeVar("Request")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Carried:
    """The person of a call, as the door found them: what is asked about them in the same call reads no session again."""

    token: str
    source: Source
    signed_in: SignedIn


carried: ContextVar[Carried | None] = ContextVar("bankgate_rpc_carried", default=None)
"""Of this call: each call of gRPC is a task of its own."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long streams may stand still; 0: for ever."""

    quiet_seconds: float = 0
    unread_seconds: float = 0


@dataclass(slots=True)
class Door:
    """What every servicer holds."""

    gateway: "Gateway"
    identity: Identity
    limits: Limits
    metrics: Metrics
    drain: Drain
    clock: Callable[[], datetime]
    refused: RefusedCalls
    quotas: Quotas
    patience: Patience = field(default_factory=Patience)
    proxies: Networks = ()
    under_way: "set[_Observed]" = field(default_factory=set)
    streams: "set[_Stream]" = field(default_factory=set)
    quiet: asyncio.Event = field(default_factory=asyncio.Event)

    async def idle(self) -> None:
        """Until no call is under way."""
        while self.under_way:
            self.quiet.clear()
            await self.quiet.wait()

    async def enter(self, context: Context, action: str) -> Caller:
        """The caller, who may do this. Raises `Unauthenticated`, `TokenKeysUnavailable`, `Forbidden` or `Draining`."""
        shown = shown_by(context, self.proxies)
        caller, person = await self._let_in(shown, action)
        carried.set(person)
        return caller

    async def let_in(self, shown: Shown, action: str, *, used: bool = True) -> Caller:
        """The caller that showed this, likewise. `used`: it is a call, and not a look at one that is under way."""
        return (await self._let_in(shown, action, used=used))[0]

    async def _let_in(self, shown: Shown, action: str, *, used: bool = True) -> tuple[Caller, Carried | None]:
        caller = await self.identity.of(shown)
        if not caller.may(action):
            allowed = ", ".join(sorted(caller.actions)) or "none"
            raise _Closed(
                f"caller {caller.name!r} may not {_VERBS.get(action, action)}: its actions are {allowed}",
                caller.name,
            )
        if self.drain.started:
            raise Draining
        if not shown.session or action == PEOPLE:
            return caller, None
        return await self._carrying(caller, shown, action, used=used)

    async def _carrying(self, caller: Caller, shown: Shown, action: str, *, used: bool) -> tuple[Caller, Carried]:
        """The caller with no more than the roles of the person whom it carries allow, and with who that is. AccessService looks
        at sessions itself."""
        if not caller.may(PEOPLE):
            raise Forbidden(f"caller {caller.name!r} may not carry people: it needs the action {PEOPLE}")
        source = Source(caller=caller.name, address=shown.person_address)
        signed_in = await self.gateway.people.session_of(shown.session, source, used=used)
        person = signed_in.acting.person
        if signed_in.session.enrolling or person is None:
            raise FactorNeeded(ENROL_FIRST)
        allowed = {one.value for one in permissions_of(person.roles)} | {PEOPLE}  # it goes on carrying the person
        narrowed = caller.within(allowed, person.connections)
        if not narrowed.may(action):
            raise _Closed(f"{person.name} may not {action}: no role of theirs allows it", caller.name)
        narrowed = replace(narrowed, person=person.name, factor=signed_in.session.factor, address=shown.person_address)
        return narrowed, Carried(shown.session, source, signed_in)

    def change(self, callers: Callers, tokens: Tokens) -> None:
        """Other callers from now on; what limits have counted stays counted. Open streams are looked at by `look_at_streams`."""
        self.identity.callers, self.identity.tokens = callers, tokens
        self.limits.change(callers.limits)

    async def look_at_streams(self) -> None:
        """Ends the open streams whose caller would not be let in any more, or may do something else by now."""
        for stream in tuple(self.streams):
            await asyncio.sleep(0)  # many of them with tokens are some work, and calls go on meanwhile
            if not stream.ended.done():
                problem = await self._problem_of(stream)
                if problem is not None and not stream.ended.done():
                    stream.ended.set_result(problem)

    async def _problem_of(self, stream: "_Stream") -> Exception | None:
        try:
            now = await self.let_in(stream.shown, stream.action, used=False)
        except Draining:  # has its own way to end streams
            return None
        except StoreUnavailable:  # whether a session still is one is found out later
            return None
        except (Unauthenticated, Forbidden, NotSignedIn, FactorNeeded, TokenKeysUnavailable) as error:
            return error
        return None if now == stream.caller else PermissionsChanged()

    def count_refused(self, caller: str, error: Exception) -> None:
        """Counts a call that was refused. `caller`: "" where nobody knows who it is."""
        match error:
            case LimitReached():
                reason = error.limit
            case Unauthenticated():
                reason = error.kind
            case Forbidden():
                reason = error.missing
            case TokenKeysUnavailable():
                reason = "token-keys-unavailable"
            case _:
                return
        self.metrics.calls_refused_total.labels(caller, reason).inc()


class _Closed(Forbidden):
    """No permission of the caller's has the action."""

    def __init__(self, text: str, caller: str) -> None:
        self.caller = caller
        super().__init__(text, "action")


@dataclass(slots=True, eq=False)
class _Stream:
    """An open stream: who opened it, and the problem that ends it."""

    shown: Shown
    action: str
    caller: Caller
    ended: "asyncio.Future[Exception]"


class Servicer:
    """Base of the servicers."""

    def __init__(self, door: Door) -> None:
        self.door = door

    @property
    def gateway(self) -> "Gateway":
        return self.door.gateway


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
                    caller = await servicer.door.enter(context, action)
                    observed.limited(caller, request)
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
                    stream = await _admitted(servicer.door, context, action, request, observed)
                    heard = _heard(servicer.door, stream.caller, request)
                    async with aclosing(method(servicer, stream.caller, heard)) as answers:  # type: ignore[type-var]
                        await _answer(servicer.door, context, stream, answers)
                except Exception as error:
                    await observed.fail(context, error)

        return call

    return wrap


async def _admitted(door: Door, context: Context, action: str, request: Any, observed: "_Observed") -> _Stream:
    """The open stream, as `Door.enter` says. A refused stream of requests is heard up to its first one before it ends: a client
    in Python's asyncio that is still writing when the status comes loses it, and reports INTERNAL instead of the reason
    (github.com/grpc/grpc/issues/36066)."""
    try:
        shown = shown_by(context, door.proxies)
        caller = await door.let_in(shown, action)
        return observed.opened(_Stream(shown, action, caller, asyncio.get_running_loop().create_future()))
    except Exception:
        if isinstance(request, AsyncIterator):
            with suppress(TimeoutError):
                await asyncio.wait_for(anext(request, None), HEARD_SECONDS)
        raise


async def _answer(door: Door, context: Context, stream: _Stream, answers: AsyncIterator[Any]) -> None:
    """Writes the answers of a stream until they end or something ends it. Interrupts the wait for an answer, and no writing but
    one that nobody reads."""
    seconds = door.patience.unread_seconds or None
    while True:
        following = asyncio.ensure_future(anext(answers, _END))
        try:
            await asyncio.wait((following, stream.ended), return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not following.done():
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
        if stream.ended.done():
            await asyncio.gather(following, return_exceptions=True)  # it may have come at the same time; it is not told any more
            raise stream.ended.result()
        answer = following.result()
        if answer is _END:
            return
        try:
            async with asyncio.timeout(seconds):
                await context.write(answer)
        except TimeoutError:
            raise LimitReached(
                f"nothing was read for {seconds:g} seconds", "stream_unread_seconds", 1.0, stream.caller.name
            ) from None


def _heard(door: Door, caller: Caller, requests: Any) -> Any:
    """The requests of a stream within the caller's limits; what is no stream is heard already."""
    if not isinstance(requests, AsyncIterator):
        return requests
    return Heard(requests, door.limits.of(caller.name), door.patience.quiet_seconds)


class Heard:
    """Requests as they come, as long as they come and none is too large."""

    def __init__(self, requests: AsyncIterator[Any], allowance: Allowance, quiet_seconds: float) -> None:
        self._requests = requests
        self._allowance = allowance
        self._seconds = quiet_seconds or None

    def __aiter__(self) -> "Heard":
        return self

    async def __anext__(self) -> Any:
        try:
            async with asyncio.timeout(self._seconds):
                request = await anext(self._requests)
        except TimeoutError:
            raise LimitReached(
                f"nothing came for {self._seconds:g} seconds", "stream_quiet_seconds", 1.0, self._allowance.name
            ) from None
        if self._allowance.settings.message_bytes_max is not None:
            self._allowance.heard(request.ByteSize())
        return request


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
        self._allowance: Allowance | None = None
        self._stream: _Stream | None = None

    def __enter__(self) -> "_Observed":
        self._started = perf_counter()
        self._door.under_way.add(self)
        self._span.__enter__()
        return self

    def limited(self, caller: Caller, request: Any = None, *, stream: bool = False) -> None:
        """Counts the call among those of its caller until it ends. Raises `LimitReached`."""
        allowance = self._door.limits.of(caller.name)
        allowance.begin(perf_counter(), stream=stream)
        self._allowance = allowance
        if request is not None and allowance.settings.message_bytes_max is not None:
            allowance.heard(request.ByteSize())

    def opened(self, stream: _Stream) -> _Stream:
        """Counts a stream likewise, and has it looked at as long as it is open."""
        self.limited(stream.caller, stream=True)
        self._stream = stream
        self._door.streams.add(stream)
        return stream

    def caller_of(self, error: Exception) -> str:
        """The name of who calls, as far as it is known; "" if it is not."""
        if isinstance(error, _Closed | LimitReached):
            return error.caller
        return "" if self._allowance is None else self._allowance.name

    async def fail(self, context: Context, error: Exception) -> NoReturn:
        """Ends the call with the error's status."""
        if context.done():  # the client is gone, and with it whoever could be told
            self._code = grpc.StatusCode.CANCELLED
            raise error
        failure = failure_of(error)
        self._code = failure.code
        name = self.caller_of(error)
        self._door.count_refused(name, error)
        if isinstance(error, (Forbidden, Unauthenticated)):
            address = shown_by(context, self._door.proxies).address
            await self._door.refused.note(name or NOBODY, address, self._method, str(error)[:WHY_MAX])
        log.info("rpc.refused", method=self._method, code=failure.code.name, reason=failure.reason)
        async with asyncio.timeout(
            TOLD_SECONDS
        ):  # a client that reads nothing is not waited for: it finds the status when it does
            await abort(context, failure)
        raise AssertionError("abort does not return")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        code = self._code
        if error is not None and code is grpc.StatusCode.OK:
            code = grpc.StatusCode.CANCELLED
        self._span.__exit__(kind, error, trace)
        if self._allowance is not None:
            self._allowance.end(stream=self._stream is not None)
        if self._stream is not None:
            self._door.streams.discard(self._stream)
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
