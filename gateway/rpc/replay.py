"""ReplayService: what would these bank files change?"""

# ruff: noqa: N802 - the methods are named by the contract

import asyncio
from collections.abc import AsyncIterator

from bankgate.v1 import replay_pb2 as pb
from bankgate.v1 import replay_pb2_grpc as services
from gateway.callers import Caller
from gateway.errors import BadRequest, TooMany
from gateway.replay import Chunk, ReplayedChange, ReplayedFile, ReplayedProblem
from gateway.rpc.door import Servicer, streaming
from gateway.rpc.present import PAYMENT_STATES, reason_message

CHUNK_MAX = 1024 * 1024
NAME_MAX = 255
QUIET_SECONDS = 120.0  # between two chunks


class ReplayServicer(Servicer, services.ReplayServiceServicer):
    """Files in, changes out."""

    @streaming("replay")
    async def Replay(self, caller: Caller, requests: AsyncIterator[pb.ReplayRequest]) -> AsyncIterator[pb.ReplayResponse]:
        first = await anext(requests, None)
        if first is None:
            raise BadRequest("connection_id", "the first chunk names the connection; nothing was sent")
        if not first.connection_id:
            raise BadRequest("connection_id", "the first chunk names the connection")
        if not first.name:
            raise BadRequest("name", "the first chunk of a file names it")
        results = self.gateway.replay(caller, first.connection_id, _chunks(first, requests), first.sealed, first.commit)
        async for result in self.door.drain.until(results):
            yield response_of(result)


async def _chunks(first: pb.ReplayRequest, rest: AsyncIterator[pb.ReplayRequest]) -> AsyncIterator[Chunk]:
    """The chunks with the name of their file. What the first chunk says of the whole call may only be repeated."""
    name = _checked(first, first)
    yield name, None if first.abandoned else first.chunk
    while (request := await _next(rest)) is not None:
        name = _checked(request, first) or name
        yield name, None if request.abandoned else request.chunk


async def _next(requests: AsyncIterator[pb.ReplayRequest]) -> pb.ReplayRequest | None:
    """The next request; None at the end. Raises `TooMany` where none comes: few replays run at once, and others wait."""
    try:
        async with asyncio.timeout(QUIET_SECONDS):
            return await anext(requests, None)
    except TimeoutError:
        raise TooMany(f"nothing came for {QUIET_SECONDS:g} seconds; the replay's place is for others now") from None


def _checked(request: pb.ReplayRequest, first: pb.ReplayRequest) -> str:
    if len(request.chunk) > CHUNK_MAX:
        raise BadRequest("chunk", f"{len(request.chunk)} bytes in one chunk; at most {CHUNK_MAX} are taken")
    if len(request.name) > NAME_MAX:
        raise BadRequest("name", f"at most {NAME_MAX} characters")
    if request.connection_id not in {"", first.connection_id}:
        raise BadRequest("connection_id", "one call replays the files of one connection")
    return request.name


def response_of(result: ReplayedChange | ReplayedProblem | ReplayedFile) -> pb.ReplayResponse:
    """One result as it travels."""
    match result:
        case ReplayedChange():
            change = pb.ReplayedChange(
                file=result.file,
                payment_id=result.payment_id,
                payment_reference=result.payment_reference,
                to=PAYMENT_STATES[result.after],
                reason=reason_message(result.reason),
                matched_by=result.matched_by,
                place=result.place,
                line=result.line or 0,
            )
            setattr(change, "from", PAYMENT_STATES[result.before])  # the field's name is a Python keyword
            return pb.ReplayResponse(change=change)
        case ReplayedProblem():
            problem = pb.ReplayedProblem(
                file=result.file,
                kind=result.kind,
                summary_en=result.summary_en,
                summary_zh=result.summary_zh,
                evidence=result.evidence,
                line=result.line or 0,
            )
            return pb.ReplayResponse(problem=problem)
        case ReplayedFile():
            file = pb.ReplayedFile(
                file=result.file,
                message=result.message or "",
                records=result.records,
                changes=result.changes,
                problems=result.problems,
                committed=result.committed,
            )
            return pb.ReplayResponse(file=file)
