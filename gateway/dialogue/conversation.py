"""One exchange with a bank that answers at once: wrapped, sealed, carried, opened, heard; signed in where the bank wants that.

What leaves is made of the stored content and of what is only good now. Whatever goes wrong before the channel begins is
`NotSent`. A reply whose seal does not hold proves nothing; it is kept all the same.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from channels.channel import ChannelError, NotSent
from channels.frontend import Carried, Exchanger
from formats.dialogue import Asked, Asking, DialogueBank, Heard, Outcome, Request, Wrapping
from formats.exchange import Exchange
from gateway.masking import mask_text
from gateway.store.store import Clock

_TEXT_MAX = 200

Sealing = Callable[[bytes], Awaitable[bytes]]


@dataclass(slots=True)
class SignedIn:
    """The sign-in of a connection in this process: both of its channels use one, because a bank may end the older of two."""

    token: str | None = field(default=None, repr=False)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """With one bank, over one line. `seal` and `open`: the connection's own keys or the sign service of the line.

    `digits` gives so many random decimal digits. `secrets` are read at each exchange and held nowhere.
    """

    bank: DialogueBank
    line: Exchanger
    seal: Sealing
    open: Sealing
    secrets: Callable[[], Mapping[str, str]]
    zone: ZoneInfo
    clock: Clock
    digits: Callable[[int], str]
    signed_in: SignedIn

    def now(self) -> datetime:
        """Now, where the bank is."""
        return self.clock().astimezone(self.zone)

    def fresh(self) -> str:
        """See `formats.dialogue.Wrapping`."""
        return f"{self.now():%y%m%d%H%M%S}{self.digits(8)}"

    async def have(self, content: bytes, asked: Asked) -> tuple[Exchange, Heard]:
        """Says it and hears the answer. Raises `NotSent`, `InDoubt`, `Refused`: what the line says about carrying it."""
        stale = self.signed_in.token
        if self.bank.dialogue.signs_in and stale is None:
            await self._sign_in(stale)
        exchange, heard = await self._once(content, asked)
        if heard.outcome is Outcome.SIGN_IN and self.bank.dialogue.signs_in:
            await self._sign_in(self.signed_in.token if stale is None else stale)
            exchange, heard = await self._once(content, asked)
        return exchange, heard

    async def _once(self, content: bytes, asked: Asked) -> tuple[Exchange, Heard]:
        asked = replace(asked, at=self.now().replace(microsecond=0))
        try:
            request = await self._request(content, asked)
        except ChannelError:
            raise
        except Exception as fault:  # whatever it is, nothing was said
            raise NotSent(f"preparing the request: {type(fault).__name__}") from fault
        reply = without_secrets(await self.line.exchange(request), self.bank.dialogue.secret_elements)
        try:
            part = self.bank.to_open(reply)
            opened = None if part is None else await self.open(part)
        except Exception as fault:  # the reply came, and nobody can vouch for it
            text = f"the reply's seal does not hold: {type(fault).__name__}"
            return Exchange(reply=reply, asked=asked), Heard(outcome=Outcome.UNKNOWN, text=text)
        exchange = Exchange(reply=reply, asked=asked, opened=opened)
        try:
            return exchange, self.bank.hear(exchange)
        except Exception as fault:  # a plugin that breaks its promise: the reply is kept all the same, and proves nothing
            return exchange, Heard(outcome=Outcome.UNKNOWN, text=f"the reply was not understood: {type(fault).__name__}")

    async def _request(self, content: bytes, asked: Asked) -> Carried:
        wrapping = Wrapping(at=self.now(), fresh=self.fresh(), token=self.signed_in.token, secrets=self.secrets())
        to_seal = self.bank.to_seal(content, asked, wrapping)
        if to_seal is not None:
            wrapping = replace(wrapping, sealed=await self.seal(to_seal))
        return _carried(self.bank.wrap(content, asked, wrapping), asked.kind)

    async def _sign_in(self, stale: str | None) -> None:
        """Signs in, unless another exchange has done so since `stale` was the token. Its reply is a secret: it is not kept."""
        async with self.signed_in.lock:
            if self.signed_in.token is not None and self.signed_in.token != stale:
                return
            self.signed_in.token = None
            content = self.bank.sign_in(self.fresh(), self.now())
            if content is None:
                return
            asked = Asked(kind=Asking.SIGN_IN, function="sign_in")
            try:
                request = await self._request(content, asked)
                reply = await self.line.exchange(request)
                self.signed_in.token = self.bank.token_of(reply)
                heard = self.bank.hear(Exchange(reply=reply, asked=asked))
            except NotSent:
                raise
            except Exception as fault:  # a sign-in pays nothing: whatever became of it, what it was for did not leave
                raise NotSent(f"signing in: {type(fault).__name__}") from fault
            if self.signed_in.token is None:
                words = " ".join(filter(None, (heard.code and f"[{heard.code}]", mask_text(heard.text)[:_TEXT_MAX])))
                raise NotSent(f"the bank refused the sign-in: {words or 'it does not say why'}")


def without_secrets(reply: bytes, elements: Sequence[str]) -> bytes:
    """A reply without the text of these elements. It is markup in an encoding in which "<" is one byte, and part of no other
    character (UTF-8, GBK, GB18030)."""
    for name in elements:
        begin = rb"(<" + re.escape(name.encode()) + rb"(?:\s[^<>]*)?>)[^<]*(?=</)"
        reply = re.sub(begin, rb"\1", reply)
    return reply


def _carried(request: Request, kind: Asking) -> Carried:
    return Carried(
        body=request.body,
        fields=request.fields,
        charset=request.charset,
        content_type=request.content_type,
        target=request.target,
        purpose="payment" if kind is Asking.PAYMENT else "question",
    )
