"""Front machines (前置机) and banks' interfaces that answer at once: one request, one reply, and the truth about both.

No file channel: the gateway says what a bank's plugin made (`formats.dialogue`), and builds its own `Channel` around this.
`NotSent`: not a byte of the request left us, or only the sign service saw it, which tells the bank nothing. `InDoubt`: it was
begun and not answered whole. A reply that came whole is returned, whatever it says; nothing is repeated here.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Protocol
from urllib.parse import urlencode, urlsplit

from channels.channel import ChannelError, InDoubt, NotSent
from channels.frontend_frames import BadFrame, framed, unframed
from channels.frontend_http import HttpLine
from channels.frontend_pace import shared_pace
from channels.frontend_profile import FrontendProfile
from channels.frontend_tcp import TcpLine
from channels.https_client import plainly
from channels.references import References

_TARGET: Final = re.compile(r"[!-~]{0,2000}")
_RESULT: Final = re.compile(rb"<result>\s*([^<]{0,100}?)\s*</result>", re.IGNORECASE)
_PARTS: Final = {
    "sign": re.compile(rb"<sign>(.*)</sign>", re.IGNORECASE | re.DOTALL),
    "sic": re.compile(rb"<sic>(.*)</sic>", re.IGNORECASE | re.DOTALL),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """A request as a bank's plugin made it: `body` for raw routes, `fields` for forms; `target` is appended to the path."""

    body: bytes = field(default=b"", repr=False)  # they hold passwords and tokens
    fields: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    charset: str = "gbk"
    content_type: str | None = None
    target: str = field(default="", repr=False)
    purpose: Literal["payment", "question"] = "question"


class NotSealed(NotSent):
    """The sign service gave no signature: the operator's, and nothing was sent."""


class NotOpened(ChannelError):
    """The sign service gave no clear content. `refused`: it said that the signature does not hold, which is security's; else it
    could not be asked, and asking again may help."""

    def __init__(self, text: str, *, refused: bool) -> None:
        self.refused = refused
        super().__init__(text)


class Exchanger(Protocol):
    """One route to one front machine. Opens nothing before it is used."""

    async def exchange(self, request: Carried) -> bytes:
        """The whole reply. Raises `NotSent` and `InDoubt`."""

    async def seal(self, content: bytes) -> bytes:
        """Signed by the sign service. Raises `NotSealed`."""

    async def open(self, content: bytes) -> bytes:
        """Verified by the sign service: what was signed. Raises `NotOpened`."""

    def secrets(self) -> Mapping[str, str]:
        """What envelopes need, read now and held nowhere. Raises `channels.references.Unresolved`."""

    async def check(self) -> tuple[str, ...]:
        """Tries the route without saying anything; each problem in words, empty if all is well."""

    async def close(self) -> None:
        """Ends what is open. Harmless to call twice."""


def build_exchanger(
    profile: FrontendProfile,
    *,
    secret: Callable[[str], bytes],
    certificate: Callable[[str], bytes],
    base: Path,
    pauses: tuple[float, float] = (0.0, 0.0),
) -> "Frontend":
    """The exchanger of a profile. Reads no secret and connects to nothing. `secret`, `certificate` and `base` as in
    `channels.profiles.build_channel`. `pauses`: seconds after a payment and after a question, where the profile says nothing."""
    return Frontend(profile, References(secret=secret, certificate=certificate, base=base), pauses)


class Frontend:
    """An `Exchanger`. Exchanges of one login keep their pauses, whichever object they go through."""

    def __init__(self, profile: FrontendProfile, references: References, pauses: tuple[float, float]) -> None:
        self._profile = profile
        self._references = references
        said = (profile.payment_pause, profile.question_pause)
        payment, question = (usual if one is None else one for one, usual in zip(said, pauses, strict=True))
        self._pauses: dict[str, float] = {"payment": payment, "question": question}
        self._pace = shared_pace(profile.address, profile.login)
        self._tcp = TcpLine(profile, references) if profile.shape == "tcp" else None
        self._http = None if self._tcp else self._line()
        service = profile.sign_service
        self._signer = (
            None
            if service is None
            else HttpLine(profile.sign_route(), references, version="1.1", reply_bytes_max=service.reply_bytes_max)
        )

    def _line(self) -> HttpLine:
        profile = self._profile
        most = profile.reply_bytes_max
        return HttpLine(profile.route(), self._references, version=profile.http_version, reply_bytes_max=most)

    async def exchange(self, request: Carried) -> bytes:
        """See `Exchanger.exchange`."""
        try:
            wire, content_type = self._wire(request)
        except (ValueError, LookupError) as error:
            raise NotSent(f"the request cannot be written: {_words(error)}") from error
        line = self._tcp or self._http
        if line is not None:
            await line.prepare()
        async with self._pace.turn(self._pauses[request.purpose]):
            if self._tcp is not None:
                reply = await self._tcp.say(wire)
            elif self._http is not None:
                reply = await self._http.post(f"{self._profile.path}{request.target}", wire, content_type)
        try:
            return unframed(self._profile.framing, reply)
        except BadFrame as error:
            raise InDoubt(f"answered with what is no message: {error}") from error

    def _wire(self, request: Carried) -> tuple[bytes, str]:
        """What leaves and, over HTTP, its type. Raises `ValueError`, `LookupError` (an unknown charset)."""
        if not _TARGET.fullmatch(request.target):
            raise ValueError("the target has characters that no address has")
        if self._profile.shape == "http_form":
            if not request.fields:
                raise ValueError('the bank has no form for this request; shape "http_form" is not for it')
            body = urlencode(request.fields, encoding=request.charset, errors="strict").encode("ascii")
            return body, request.content_type or "application/x-www-form-urlencoded"
        if not request.body:
            raise ValueError(f'the bank has no body for this request; shape "{self._profile.shape}" is not for it')
        return framed(self._profile.framing, request.body), request.content_type or self._profile.content_type

    async def seal(self, content: bytes) -> bytes:
        """See `Exchanger.seal`."""
        service = self._profile.sign_service
        if service is None:
            raise NotSealed("there is no sign_service in the profile")
        try:
            reply = await self._ask(content, service.sign_content_type)
        except ChannelError as error:
            raise NotSealed(f"the sign service gave no answer: {error}") from error
        return _part(reply, "sign", NotSealed).strip()

    async def open(self, content: bytes) -> bytes:
        """See `Exchanger.open`."""
        service = self._profile.sign_service
        if service is None:
            raise NotOpened("there is no sign_service in the profile", refused=False)
        try:
            reply = await self._ask(content, service.verify_content_type)
        except ChannelError as error:
            raise NotOpened(f"the sign service gave no answer: {error}", refused=False) from error
        return _part(reply, "sic", lambda text: NotOpened(text, refused=True))

    async def _ask(self, content: bytes, content_type: str) -> bytes:
        service, line = self._profile.sign_service, self._signer
        if service is None or line is None:
            raise NotSent("there is no sign_service in the profile")
        return await line.post(service.path, content, content_type)

    def secrets(self) -> Mapping[str, str]:
        """See `Exchanger.secrets`."""
        read = self._references.text
        return {name: read(f"secrets.{name}", reference, private=True) for name, reference in self._profile.secrets.items()}

    async def check(self) -> tuple[str, ...]:
        """See `Exchanger.check`: reads secrets and certificates, and connects to each of the two programs."""
        problems: list[str] = []
        try:
            await asyncio.to_thread(self.secrets)
        except ChannelError as error:
            problems.append(str(error))
        for line in (self._http, self._signer):
            if line is not None:
                try:
                    await line.prepare()
                except ChannelError as error:
                    problems.append(str(error))
        if self._tcp is not None:
            try:
                _, writer = await self._tcp.connect()
                writer.transport.abort()
            except ChannelError as error:
                problems.append(f"{self._profile.address}: {error}")
        else:
            problems += await self._reached("url", self._profile.url)
        if self._profile.sign_service is not None:
            problems += await self._reached("sign_service.url", self._profile.sign_service.url)
        return tuple(problems)

    async def _reached(self, setting: str, url: str | None) -> list[str]:
        """Connects to where a URL leads, and says nothing."""
        parts = urlsplit(url or "")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            async with asyncio.timeout(self._profile.timeouts.connect):
                _, writer = await asyncio.open_connection(parts.hostname, port)
        except OSError as error:
            return [f"{setting}: {url} is not reached: {plainly(error)}"]
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()
        return []

    async def close(self) -> None:
        """See `Exchanger.close`."""
        for line in (self._http, self._signer):
            if line is not None:
                await line.close()


def _part(reply: bytes, name: str, failure: Callable[[str], ChannelError]) -> bytes:
    """An element of what a sign service answers: a small document that is HTML by its looks, and in which `result` is 0 where
    all is well. It may hold XML of its own, so the last end counts."""
    result = _RESULT.search(reply)
    if result is not None and result[1] != b"0":
        raise failure(f"the sign service says result {result[1].decode('ascii', 'replace')}")
    found = _PARTS[name].search(reply)
    if found is None or not found[1].strip():
        raise failure(f"the sign service answered without <{name}>")
    return found[1]


def _words(error: Exception) -> str:
    """A character outside the charset is not repeated: it may be part of a name."""
    if isinstance(error, UnicodeError):
        return "a text has a character that the bank's charset has not"
    return str(error)
