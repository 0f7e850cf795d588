"""Gateways that break one rule of talking to a front machine each, as `tests.sim.mutants` has some that send files."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from channels.channel import ChannelError, Fate, FateReport, Receipt
from formats.dialects.dialect import Dialect
from formats.dialects.tables import StatusTable
from formats.dialogue import Asked, Asking, Heard
from formats.exchange import Exchange, read_exchange
from formats.report import Reason, TransactionStatus
from gateway.delivery import Courier
from gateway.dialogue.channel import DialogueChannel
from gateway.dialogue.conversation import Conversation
from gateway.outcome import Recorder
from tests.sim.mutants import DOUBLE, Mutant
from tests.sim.settings import WorldKind

_request = Conversation._request
_refused = Recorder.refused
_receipt = DialogueChannel._receipt_or_error
_parse = Dialect.parse


def _world(**pins: Any) -> WorldKind:
    """A kind of life in which this is there to be broken."""
    return WorldKind(guarantee="drawn", front={"person": "", "statements": False, **pins})


async def _under_a_new_number(self: Conversation, content: bytes, asked: Asked) -> Any:
    """A repeat gets another serial number of the same shape."""
    if asked.kind is Asking.PAYMENT and asked.repeat:
        for serial in asked.serials:
            content = content.replace(serial.encode(), (serial[:-2] + f"{(int(serial[-2:]) + 1) % 100:02d}").encode())
    return await _request(self, content, asked)


async def _not_found_is_final(self: DialogueChannel, parcel: Any) -> FateReport:
    delivery, given = await self._of(parcel)
    try:
        found = await self._ask(delivery, given)
    except ChannelError as fault:
        return FateReport(fate=Fate.UNKNOWN, evidence="none", detail=str(fault))
    fate = Fate.ARRIVED if found.found else Fate.DID_NOT_ARRIVE if found.all_missing else Fate.UNKNOWN
    return FateReport(fate=fate, evidence="mutant", detail=found.words)


@contextmanager
def _not_found_at_once() -> Iterator[None]:
    with (
        patch.object(DialogueChannel, "fate", _not_found_is_final),
        patch.object(Courier, "_absence_counts", lambda *_: True),
    ):
        yield


async def _knows_without_asking(*_: Any, doubted: bool) -> Receipt | None:
    return None


@contextmanager
def _never_asks_first() -> Iterator[None]:
    with patch.object(DialogueChannel, "_known_before", _knows_without_asking):
        yield


async def _refusal_of_any_attempt(self: Recorder, sending: Any, outcome: Any, *, doubted: bool) -> None:
    await _refused(self, sending, outcome, doubted=False)


def _no_attempt_before(self: DialogueChannel, heard: Heard, *, doubted: bool, repeat: bool) -> Receipt:
    return _receipt(self, heard, doubted=False, repeat=False)


@contextmanager
def _refusals_are_believed() -> Iterator[None]:
    with (
        patch.object(Recorder, "refused", _refusal_of_any_attempt),
        patch.object(DialogueChannel, "_receipt_or_error", _no_attempt_before),
    ):
        yield


def _unknown_is_failure(self: StatusTable, code: str) -> str:
    if code in self.settled or code in self.returned:
        return "ACSC"
    return "PDNG" if code in self.pending else "RJCT"


def _missing_is_a_status(self: Any, source: Any) -> Iterator[Any]:
    yield from _parse(self, source)
    exchange: Exchange = read_exchange(source)
    if exchange.asked is not None and exchange.asked.kind is Asking.STATUS:
        for serial in self.hear(exchange).missing:
            yield TransactionStatus(
                original_payment_information_id=None,
                original_instruction_id=None,
                original_end_to_end_id=None,
                status="PDNG",
                reasons=(Reason(code="mutant"),),
                serial_number=serial,
            )


async def _not_kept(*_: Any) -> None:
    return None


def _patched(target: object, name: str, value: object) -> Callable[[], Any]:
    return lambda: patch.object(target, name, value)


FRONT: dict[str, Mutant] = {
    "gives what is in doubt a new serial number": Mutant(
        world="front",
        kind=_world(bank="cib", guarantee="idempotent", batch=False),
        broken=_patched(Conversation, "_request", _under_a_new_number),
        seeds=40,
        says="was given to nobody",
    ),
    "takes 'not found' for final at once": Mutant(
        world="front", kind=_world(bank="icbc", guarantee="final"), broken=_not_found_at_once, first=3, seeds=60, says=DOUBLE
    ),
    "sends again without asking": Mutant(
        world="front",
        kind=_world(bank="boc", guarantee="queryable", claimed="idempotent"),
        broken=_never_asks_first,
        first=10,
        seeds=40,
        says=DOUBLE,
    ),
    "reads an unknown code as a failure": Mutant(
        world="front",
        kind=_world(bank="icbc"),
        broken=_patched(StatusTable, "status", _unknown_is_failure),
        first=22,
        seeds=60,
        says="at the bank it is",
    ),
    "believes the refusal of a repeat": Mutant(
        world="front",
        kind=_world(bank="cib", guarantee="idempotent", batch=False, wrong_codes=0.7),
        broken=_refusals_are_believed,
        first=194,
        seeds=60,
        says="and the bank had executed it",
    ),
    "makes a status of 'no such record'": Mutant(
        world="front",
        kind=_world(bank="icbc"),
        broken=_patched(Dialect, "parse", _missing_is_a_status),
        seeds=40,
        says="is sent, and the bank has never got it",
    ),
    "acts on a reply that it has not kept": Mutant(
        world="front",
        kind=_world(bank="icbc"),
        broken=_patched(DialogueChannel, "_kept", _not_kept),
        seeds=5,
        says="nobody has kept the reply",
    ),
}
