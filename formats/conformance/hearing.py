"""What is judged of a bank that answers at once: that what proves nothing is heard as nothing proven."""

import io
from collections.abc import Iterator
from datetime import date
from typing import Final

from formats.conformance.card import Case, Found, many
from formats.conformance.samples import InboundSample, Problem
from formats.dialogue import Asked, Asking, DialogueBank, Heard, Outcome
from formats.errors import Unparsable
from formats.exchange import Exchange, read_exchange

CUTS_A_REPLY: Final = 24
_DAY: Final = date(2026, 1, 5)
_NO_REPLIES: Final = {
    "an empty reply": b"",
    "bytes in no encoding": b"\xff\xfe\x00\x80",
    "a web page": b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>",
    "XML of nobody's": b"<a><b>0</b></a>",
    "JSON of nobody's": b'{"a":"0"}',
    "a word": b"OK",
}


def judge_hears(case: Case) -> Found:
    """An empty, strange or cut reply to a payment is unknown, and to a question no answer; `hear` raises at none of them."""
    bank = case.bank
    if not isinstance(bank, DialogueBank):
        return Found(looked_at="the bank answers with files, and nothing is heard")
    direction = f"Let hear of {case.plugin} say UNKNOWN unless what was asked about stands in the reply, whole."
    problems = []
    tried = 0
    for kind in (Asking.PAYMENT, *sorted(bank.dialogue.asks)):
        asked = Asked(kind=kind, function=kind.value, account="1", serials=("1",), package="2", since=_DAY, until=_DAY)
        for what, reply in _NO_REPLIES.items():
            tried += 1
            if _proves(kind, bank.hear(Exchange(reply=reply, asked=asked))):
                problems.append(
                    Problem(place=case.plugin, problem=f"{what} to {kind} is taken for an answer.", direction=direction)
                )
    for sample in case.samples.inbound:
        for at, exchange in _cut(sample):
            tried += 1
            if exchange.asked is not None and _proves(exchange.asked.kind, bank.hear(exchange)):
                problem = f"cut after {at} bytes it is still taken for an answer."
                problems.append(Problem(place=sample.file, problem=problem, direction=direction))
                break
    return Found(looked_at=many(tried, "reply that proves nothing", "replies that prove nothing"), problems=tuple(problems))


def _proves(kind: Asking, heard: Heard) -> bool:
    """Whether something follows from it: of a payment anything but unknown, of a question an answer."""
    if kind is Asking.PAYMENT:
        return heard.outcome is not Outcome.UNKNOWN
    return heard.outcome is Outcome.TAKEN or bool(heard.found or heard.missing)


def _cut(sample: InboundSample) -> Iterator[tuple[int, Exchange]]:
    """A kept clear exchange whose reply ends too early, at places all over it."""
    try:
        exchange = read_exchange(io.BytesIO(sample.content))
    except Unparsable:
        return
    whole = exchange.reply.rstrip()
    if exchange.asked is None or exchange.opened is not None:
        return
    for number in range(CUTS_A_REPLY):
        at = len(whole) * number // CUTS_A_REPLY
        yield at, Exchange(reply=whole[:at], asked=exchange.asked)
    yield len(whole) - 1, Exchange(reply=whole[:-1], asked=exchange.asked)
