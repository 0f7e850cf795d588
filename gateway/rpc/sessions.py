"""Who acts: the caller alone, or a signed-in person whom it carries. For every service.

A person's call has the session's token in the metadata `bankgate-session`, and the person's own address, which only the caller
sees, in `bankgate-address`. The session is read from the store once in each call, so that what was taken away is gone at once.
"""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from functools import wraps
from typing import Any, Final, TypeVar, cast

from gateway.callers import Caller
from gateway.errors import FactorNeeded, Forbidden, NotSignedIn
from gateway.people.desk import ENDED, SignedIn, Source
from gateway.people.person import Acting
from gateway.rpc.door import ENROL_FIRST, Context, Door, Servicer, carried, unary
from gateway.rpc.identity import PERSON_ADDRESS, plain_address, single
from gateway.rpc.metadata import SESSION_KEY

_TOKEN_LENGTH_MAX: Final = 256

S = TypeVar("S", bound=Servicer)
Request = TypeVar("Request")
Answer = TypeVar("Answer")
C = TypeVar("C", bound=Callable[..., Any])

_context: ContextVar[Context] = ContextVar("bankgate_rpc_context")


def source_of(context: Context, caller: Caller) -> Source:
    """Where a call comes from: the person's address as the caller tells it, if it may carry people, else the caller's own."""
    told = plain_address(single(context, PERSON_ADDRESS)) if caller.may("people") else ""
    return Source(caller=caller.name, address=told or caller.address)


async def signed_in_of(door: Door, context: Context, caller: Caller) -> SignedIn | None:
    """The signed-in person of a call; None: it has no session. Raises `NotSignedIn`, `Forbidden`."""
    token = single(context, SESSION_KEY)
    if not token:
        return None
    if not caller.may("people"):
        raise Forbidden(f"caller {caller.name!r} may not carry people: it needs the action people")
    if len(token) > _TOKEN_LENGTH_MAX:
        raise NotSignedIn(ENDED)
    known, source = carried.get(), source_of(context, caller)
    if known is not None and (known.token, known.source) == (token, source):
        return known.signed_in
    return await door.gateway.people.session_of(token, source)


async def acting_of(door: Door, context: Context, caller: Caller) -> Acting:
    """Who acts in a call. Raises `NotSignedIn` for a session that is none (any more), `FactorNeeded` for one that only enrols."""
    signed_in = await signed_in_of(door, context, caller)
    if signed_in is None:
        return Acting(caller=caller.name, address=caller.address)
    if signed_in.session.enrolling:
        raise FactorNeeded(ENROL_FIRST)
    return signed_in.acting


async def acting_in(servicer: Servicer, caller: Caller) -> Acting:
    """As `acting_of`, within a method that is wrapped by `in_session`."""
    return await acting_of(servicer.door, _context.get(), caller)


def with_source(
    method: Callable[[S, Source, Request], Awaitable[Answer]],
) -> Callable[[S, Request, Context], Awaitable[Answer]]:
    """For methods that nobody has to be signed in for; the caller needs the action people."""

    @wraps(method)
    async def inner(servicer: S, caller: Caller, request: Request) -> Answer:
        return await method(servicer, source_of(_context.get(), caller), request)

    return in_session(unary("people")(inner))


def with_person(
    method: Callable[[S, SignedIn, Request], Awaitable[Answer]],
) -> Callable[[S, Request, Context], Awaitable[Answer]]:
    """For methods of a signed-in person, who may still be enrolling; the caller needs the action people."""

    @wraps(method)
    async def inner(servicer: S, caller: Caller, request: Request) -> Answer:
        signed_in = await signed_in_of(servicer.door, _context.get(), caller)
        if signed_in is None:
            raise NotSignedIn(f"sign in first, and send the session's token as metadata {SESSION_KEY}")
        return await method(servicer, signed_in, request)

    return in_session(unary("people")(inner))


def in_session(call: C) -> C:
    """Keeps the context beside the call, which is a task of its own, for `acting_in`: methods of the door get none."""

    @wraps(call)
    async def remembering(servicer: Servicer, request: Any, context: Context) -> Any:
        token = _context.set(context)
        try:
            return await call(servicer, request, context)
        finally:
            _context.reset(token)

    return cast("C", remembering)
