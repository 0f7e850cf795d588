"""HTTPS: a parcel is one request, and what the bank's status means is written in its profile.

`NotSent` only where two witnesses agree that no byte left (`https_client.never_sent`). `Refused` and a receipt only on an
answer that came whole. Everything else is `InDoubt`: a 5xx, a redirect, silence, a cut in either direction. A client
certificate that is refused under TLS 1.3 is in doubt too: the alert comes after we began to send (RFC 8446, section 4.4.2.4).
"""

import asyncio
import base64
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import aiohttp
from aiohttp import hdrs
from pydantic import ConfigDict, TypeAdapter, ValidationError

from channels.channel import (
    ChannelError,
    Fate,
    FateReport,
    Guarantee,
    InDoubt,
    Keep,
    NotSent,
    Parcel,
    Receipt,
    Refused,
    Unreachable,
)
from channels.content import BadArrival, Fetch, Incoming, fit_to_send, on_offer, verified
from channels.https_client import HttpsClient, Progress, bounded, cause, never_sent, plainly
from channels.https_profile import HttpsProfile
from channels.references import References, Unresolved
from channels.settings import Settings

_ANSWER_MAX = 1 << 20  # bytes of an answer that we read to see it end; nothing in them is used
_LIST_MAX = 16 << 20  # bytes of a list of files
_ASKING_ERRORS = (aiohttp.ClientError, OSError, ValueError)  # a time-out is an OSError


class _Listed(Settings):
    """One element of a JSON list of files. Other keys are the bank's own affair."""

    model_config = ConfigDict(extra="ignore")

    name: str
    size: int | None = None


_LIST = TypeAdapter(list[str | _Listed])


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    reason: str

    @property
    def evidence(self) -> str:
        return f"http {self.status}"


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the status path says: `same` is None where the answer gives nothing to compare."""

    status: int
    same: bool | None
    detail: str


class HttpsChannel:
    """A `Channel` over HTTP. Safe to use from one task at a time."""

    def __init__(
        self,
        profile: HttpsProfile,
        *,
        guarantee: Guarantee,
        absence_is_final: bool,
        references: References,
        clock: Callable[[], datetime],
    ) -> None:
        self._profile = profile
        self._guarantee = guarantee
        self._troubles: list[str] = []
        self._absence_is_final = absence_is_final
        self._clock = clock
        self._client = HttpsClient(profile, references)

    @property
    def kind(self) -> str:
        return "https"

    @property
    def guarantee(self) -> Guarantee:
        return self._guarantee

    @property
    def troubles(self) -> tuple[str, ...]:
        return tuple(self._troubles)

    # Sending

    async def send(self, parcel: Parcel) -> Receipt:
        """See `Channel.send`. Evidence: "http <status>"."""
        fit_to_send(parcel, self._profile.file_bytes_max)
        progress = Progress()
        body = _body(parcel, progress)
        try:
            await self._prepare(body)
            answer = await self._exchange(parcel, body, progress)
        finally:
            with suppress(RuntimeError):  # aiohttp's writer, cancelled but not yet gone, still holds it and closes it
                await body.aclose()
        return await self._meaning(parcel, answer)

    async def _prepare(self, body: AsyncGenerator[bytes, None]) -> None:
        try:
            await self._client.open()
            await anext(body)  # a parcel of one chunk is proved against its hash before we connect
        except Exception as error:  # whatever it is: no connection was made
            raise NotSent(str(error) if isinstance(error, ChannelError) else f"preparing: {plainly(error)}") from error

    async def _exchange(self, parcel: Parcel, body: AsyncGenerator[bytes, None], progress: Progress) -> _Answer:
        """One request and its whole answer."""
        put = self._profile.upload_mode == "put"
        path = _join(self._profile.upload_path, parcel.name) if put else self._profile.upload_path
        request = self._client.upload(
            "PUT" if put else "POST", path, body=body, headers=self._headers(parcel, put=put), progress=progress
        )
        try:
            async with request as response:
                if response.status in self._profile.success_statuses:
                    # A "yes" before all was said is not about all. The last write may be seen just after the answer to it.
                    async with asyncio.timeout(self._profile.timeouts.read):
                        await progress.whole.wait()
                async for _ in bounded(response, _ANSWER_MAX):
                    pass
                return _Answer(response.status, _phrase(response.status))
        except Exception as error:
            original = cause(error)
            await self._client.close()  # a renewed certificate or key is read at the next try
            if never_sent(original, progress):
                raise NotSent(f"no connection: {plainly(original)}") from error
            raise InDoubt(f"the request was begun and not answered whole: {plainly(original)}") from error

    def _headers(self, parcel: Parcel, *, put: bool) -> dict[str, str]:
        profile = self._profile
        digest = base64.b64encode(bytes.fromhex(parcel.sha256)).decode()
        headers: dict[str, str] = {hdrs.CONTENT_TYPE: profile.content_type, hdrs.CONTENT_LENGTH: str(parcel.size)}
        if "digest" in profile.digest_headers:
            headers["Digest"] = f"sha-256={digest}"
        if "content-digest" in profile.digest_headers:
            headers["Content-Digest"] = f"sha-256=:{digest}:"
        if profile.idempotency_header is not None:
            headers[profile.idempotency_header] = parcel.key
        if put:
            headers[hdrs.IF_NONE_MATCH] = "*"  # create, never replace (RFC 9110, section 13.1.2)
        elif profile.file_name_header is not None:
            headers[profile.file_name_header] = parcel.name
        return headers

    async def _meaning(self, parcel: Parcel, answer: _Answer) -> Receipt:
        """What the profile says about the status; what it does not know is doubt."""
        profile, said = self._profile, f"the bank answered {answer.status} {answer.reason}"
        if answer.status in profile.success_statuses:
            return self._receipt(answer, f"{said} to {parcel.size} bytes of {parcel.name}")
        if answer.status in profile.already_statuses:
            return await self._already(parcel, answer, said)
        if answer.status in profile.refuse_statuses:
            raise Refused(answer.evidence, said)
        if answer.status in profile.not_taken_statuses:
            raise NotSent(f"{said}, which by the profile means that it took nothing")
        raise InDoubt(f"{said}, which proves nothing")

    async def _already(self, parcel: Parcel, answer: _Answer, said: str) -> Receipt:
        """The bank has something by this name: is it ours?"""
        if self._profile.conflict_means_arrived:
            return self._receipt(answer, f"{said}: by the profile it has {parcel.name} whole")
        if self._profile.status_base is None:
            raise InDoubt(f"{said}, and there is no status_path to see whether what it has is ours")
        try:
            seen = await self._see(self._profile.status_base, parcel)
        except _ASKING_ERRORS as error:
            raise InDoubt(f"{said}, and looking at what it has failed: {plainly(error)}") from error
        if seen.status == HTTPStatus.OK and seen.same is True:
            return self._receipt(answer, f"{said}: {seen.detail}")
        if seen.status == HTTPStatus.OK and seen.same is False:
            raise Refused("name.taken", f"{said}: {seen.detail}")
        raise InDoubt(f"{said}, and what it has cannot be compared: {seen.detail}")

    # Asking

    async def fate(self, parcel: Parcel) -> FateReport:
        """See `Channel.fate`. Evidence: "http.head" or "http.get"."""
        base, evidence = self._profile.status_base, f"http.{self._profile.status_method.lower()}"
        if base is None:
            return FateReport(
                fate=Fate.UNKNOWN, evidence="none", detail="this route has no status_path: the bank cannot be asked"
            )
        try:
            await self._client.open()
            seen = await self._see(base, parcel)
        except (Unresolved, *_ASKING_ERRORS) as error:
            await self._client.close()
            return FateReport(fate=Fate.UNKNOWN, evidence="none", detail=f"asking failed: {plainly(error)}")
        fate = Fate.UNKNOWN
        if seen.status == HTTPStatus.OK and seen.same is not False:
            fate = Fate.ARRIVED
        elif seen.status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE) and self._absence_is_final:
            fate = Fate.DID_NOT_ARRIVE if seen.status == HTTPStatus.NOT_FOUND else Fate.UNKNOWN  # 410: it was there
        return FateReport(fate=fate, evidence=evidence, detail=seen.detail)

    async def _see(self, base: str, parcel: Parcel) -> _Seen:
        """Asks the status path. Raises what aiohttp raises."""
        profile = self._profile
        async with self._client.ask(profile.status_method, _join(base, parcel.name)) as response:
            status = response.status
            if status != HTTPStatus.OK:
                return _Seen(status, None, f"{profile.status_method} says {status} {_phrase(status)}")
            header = profile.status_sha256_header
            digest = response.headers.get(header, "").strip().lower() if header else ""
            size = response.headers.get(hdrs.CONTENT_LENGTH) if profile.status_shows_size else None
        if digest:
            same = digest == parcel.sha256.lower()
            return _Seen(status, same, f"{parcel.name} is there, {'equal' if same else 'another file'} by SHA-256")
        if size is not None:
            same = size == str(parcel.size)
            return _Seen(status, same, f"{parcel.name} is there with {size} bytes" + ("" if same else f", not {parcel.size}"))
        return _Seen(status, None, f"{parcel.name} is there; the answer tells neither size nor hash")

    # Fetching

    async def receive(self, keep: Keep) -> int:
        """See `Channel.receive`. The bank's order is kept; a kept file is acknowledged as the profile says."""
        self._troubles = []
        if self._profile.list_path is None:
            return 0
        try:
            await self._client.open()
            listed = await self._listed(self._profile.list_path)
        except (ChannelError, *_ASKING_ERRORS) as error:
            await self._client.close()
            raise Unreachable(f"listing what the bank offers failed: {plainly(error)}") from error
        offers = [offer for offer in listed if on_offer(offer.name, self._profile)]

        async def take(offer: _Listed) -> str:
            incoming = Incoming(
                name=offer.name, size=offer.size, limit=self._profile.file_bytes_max, stream=lambda: self._download(offer.name)
            )
            return await incoming.hand_to(keep)

        fetch = Fetch(
            offers=offers,
            take=take,
            release=self._release,
            trouble=self._troubles.append,
            broken=lambda error: isinstance(error, _ASKING_ERRORS),
        )
        return await fetch.run(self._profile.files_per_fetch)

    async def _listed(self, path: str) -> list[_Listed]:
        async with self._client.ask("GET", path) as response:
            if response.status == HTTPStatus.NO_CONTENT:
                return []
            _must_be_ok(response)
            content = b"".join([piece async for piece in bounded(response, _LIST_MAX)])
        if self._profile.list_format == "lines":
            return [_Listed(name=line.strip()) for line in content.decode().splitlines() if line.strip()]
        try:
            elements = _LIST.validate_json(content)
        except ValidationError as error:
            raise BadArrival("the list is not a JSON array of names or of objects with name and size") from error
        return [element if isinstance(element, _Listed) else _Listed(name=element) for element in elements]

    async def _download(self, name: str) -> AsyncGenerator[bytes, None]:
        async with self._client.ask("GET", _fill(self._profile.file_template, name)) as response:
            _must_be_ok(response)
            async for piece in bounded(response, self._profile.file_bytes_max):
                yield piece

    async def _release(self, offer: _Listed, _digest: str) -> None:
        profile = self._profile
        path = _fill(profile.acknowledge_path or profile.file_template, offer.name)
        async with self._client.ask(profile.acknowledge_method, path) as response:
            gone = response.status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)  # a repeated DELETE finds nothing: done
            if not (200 <= response.status < 300 or (gone and profile.acknowledge_method == "DELETE")):
                raise BadArrival(f"the acknowledgement was answered with {response.status}")

    # The other side, seen

    async def check(self) -> tuple[str, ...]:
        """See `Channel.check`: connects with our certificate, and lists what is on offer or asks for the base address."""
        path = self._profile.list_path
        try:
            await self._client.open()
            if path is not None:
                await self._listed(path)
                return ()
            async with self._client.ask("HEAD", "/") as response:
                status = response.status
        except Unresolved as error:
            return (str(error),)
        except (ChannelError, *_ASKING_ERRORS) as error:
            return (f"{'list_path' if path else 'base_url'}: {plainly(error)}",)
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) or status >= 500:
            return (f"base_url: the bank answers {status} {_phrase(status)}",)
        return ()

    async def close(self) -> None:
        """See `Channel.close`."""
        await self._client.close()

    def _receipt(self, answer: _Answer, detail: str) -> Receipt:
        return Receipt(evidence=answer.evidence, detail=detail, at=self._clock())


async def _body(parcel: Parcel, progress: Progress) -> AsyncGenerator[bytes, None]:
    """The content as aiohttp takes it. Its first step gives nothing: it only reads ahead, so that the caller can prove a
    small parcel before connecting; aiohttp then takes the rest and comes back once more after writing the last piece."""
    async with aclosing(verified(parcel)) as chunks:
        first = await anext(chunks, b"")
        yield b""
        if first:
            yield first
        async for chunk in chunks:
            yield chunk
    progress.whole.set()


def _must_be_ok(response: Any) -> None:
    if response.status != HTTPStatus.OK:
        raise BadArrival(f"the bank answered {response.status} {_phrase(response.status)}")


def _phrase(status: int) -> str:
    """Our own words for a status; the bank's own phrase is free text and stays out of logs."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "(no standard meaning)"


def _join(path: str, name: str) -> str:
    return f"{path.rstrip('/')}/{quote(name, safe='')}"


def _fill(template: str, name: str) -> str:
    return template.replace("{name}", quote(name, safe=""))
