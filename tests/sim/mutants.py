"""Gateways that break one rule each. The simulation must catch every one of them, or it proves nothing about the rule."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from channels.channel import Arrival, ChannelError, Receipt
from formats.instant import FALL_BACK_REASONS
from gateway import apply
from gateway import delivery as delivery_module
from gateway.delivery import Courier
from gateway.discrepancies import Origin
from gateway.fall_back import second_attempt
from gateway.intake import Intake
from gateway.lifecycle import DELIVERY_TABLE, PAYMENT_TABLE, DeliveryEvent, DeliveryState, PaymentEvent, PaymentState
from gateway.outcome import Recorder
from gateway.prepare import Preparer
from gateway.reasons import ours
from gateway.send_window import AROUND_THE_CLOCK, Standing
from gateway.store.records import Delivery, DeliveryChange, Keys, PaymentFilter, Reason
from gateway.store.rows import delivery_of
from gateway.store.sqlite import changes, deliveries, events
from gateway.store.store import Stale, StoreUnavailable
from tests.sim.bank import LEASE
from tests.sim.disk import FallibleDb
from tests.sim.settings import WORLDS, WorldKind


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """`broken`: makes the gateway so. `seeds`: within how many it must be caught, from `first` on, where one is known to be near.
    `says`: how the checkers put it."""

    world: str
    broken: Callable[[], Any]
    seeds: int
    says: str
    first: int = 0
    kind: WorldKind | None = None


def _patched(target: object, name: str, value: object) -> Callable[[], Any]:
    return lambda: patch.object(target, name, value)


# -- sending -----------------------------------------------------------------------------------------------------------------


async def _commit_after_send(self: Courier, delivery: Delivery, event: DeliveryEvent) -> None:
    """The bytes first, the intent afterwards."""
    with suppress(ChannelError):
        await self.channel.send(self._parcel(delivery))
        await _started_and_sent(self, delivery, event)


async def _started_and_sent(courier: Courier, delivery: Delivery, event: DeliveryEvent) -> None:
    for what, reason in ((event, "send-again"), (DeliveryEvent.CONFIRMED, "confirmed")):
        delivery = await courier.store.change_delivery(
            DeliveryChange(
                delivery_id=delivery.delivery_id,
                fence=delivery.fence,
                state=delivery.state,
                event=what,
                next_state=DELIVERY_TABLE[delivery.state, what],
                reason=ours(reason),
                lease_until=courier.clock(),
                payment_event=PaymentEvent.MESSAGE_SENT if what is DeliveryEvent.CONFIRMED else None,
            )
        )


async def _recover_as_not_sent(self: Courier) -> None:
    found, _ = await self.store.list_deliveries(delivery_module._sending(self.connection.id), limit=100)
    for one in found:
        if (one.delivery_id, one.attempt) not in self.started:
            with suppress(Stale):
                await self.recorder.not_sent(one, "found sending", doubted=False)


_lost_track = Courier._lost_track


async def _timeout_as_not_sent(self: Courier, delivery: Delivery, why: str) -> None:
    if "longer than its lease" in why:
        await self.recorder.not_sent(delivery, why, doubted=False)
    else:
        await _lost_track(self, delivery, why)


async def _doubt_as_not_sent(self: Courier, delivery: Delivery, why: str) -> None:
    if "cut" in why or "lost" in why:
        await self.recorder.not_sent(delivery, why, doubted=False)
    else:
        await _lost_track(self, delivery, why)


async def _doubt_as_success(self: Courier, delivery: Delivery, why: str) -> None:

    if "cut" in why:
        await self.recorder.confirmed(delivery, Receipt(evidence="hope", detail=why, at=self.clock()))
    else:
        await _lost_track(self, delivery, why)


def _quiet_by_the_wall_clock(self: Courier, delivery: Delivery) -> bool:
    quiet = timedelta(seconds=self.connection.settings.guarantee.quiet_seconds)
    return self.clock() - (delivery.doubt_since or delivery.updated_at) >= quiet


_not_sent = Recorder.not_sent


async def _repeat_answers_for_the_first(self: Recorder, sending: Delivery, why: str, *, doubted: bool) -> None:
    await _not_sent(self, sending, why, doubted=False)


async def _nothing(*_: Any, **__: Any) -> None:
    return None


@contextmanager
def _never_looks_back() -> Iterator[None]:
    """What was found sending stays so: nobody recovers it, and no lease of a send ends."""
    with patch.object(Courier, "recover", _nothing), patch.object(Courier, "advance", _not_what_is_sending):
        yield


_advance = Courier.advance


async def _not_what_is_sending(self: Courier, delivery: Delivery) -> None:
    if delivery.state is not DeliveryState.SENDING:
        await _advance(self, delivery)


@contextmanager
def _sql(old: str, new: str) -> Iterator[None]:
    """The production code, with one condition of a statement gone."""
    execute, struck = FallibleDb.execute, [0]

    def other(self: FallibleDb, sql: str, values: Any = ()) -> Any:
        struck[0] += old in sql
        return execute(self, sql.replace(old, new), values)

    with patch.object(FallibleDb, "execute", other):
        yield
    assert struck[0], "there is no such statement any more"


@contextmanager
def _stopped_is_nothing() -> Iterator[None]:
    def blind(row: Any, moment: Any) -> Delivery:
        return replace(delivery_of(row, moment), stopped=False)

    with _sql("AND NOT (stopped AND ?)", "AND (1 OR ?)"), patch.object(deliveries, "delivery_of", blind):
        yield


async def _always_open(*_: Any) -> Standing:
    return AROUND_THE_CLOCK


async def _no_count(*_: Any) -> int:
    return 0


@contextmanager
def _unbounded() -> Iterator[None]:
    with patch.object(Courier, "_too_many_in_flight", _no_count), patch.object(Preparer, "_count", _no_count):
        yield


# -- answers -----------------------------------------------------------------------------------------------------------------

_keep = Intake.keep


async def _keep_or_not(self: Intake, arrival: Arrival) -> None:
    with suppress(StoreUnavailable):
        await _keep(self, arrival)


_apply_opened = Intake.apply_opened


async def _read_before_applied(self: Intake, source: Any, applier: Any) -> str | None:
    await self.store.finish_inbound(applier._inbound_file_id, state="read")
    return await _apply_opened(self, source, applier)


_read_waiting: Callable[[Intake], Awaitable[int]] = Intake.read_waiting


async def _silence_is_refusal(self: Intake) -> int:
    where = PaymentFilter(connection_id=self.connection.id, states=(PaymentState.SENT,))
    silent = [one.payment_id for one in (await self.store.list_payments(where, limit=100))[0] if one.may_fall_back]
    candidates = await self.store.find_candidates(self.connection.id, Keys(payment_ids=tuple(silent)))
    origin = Origin(connection_id=self.connection.id, inbound_file_id=0, source="mutant")
    await self.store.change_payments([second_attempt(one, Reason(code="TIME"), origin, None, "") for one in candidates])
    return await _read_waiting(self)


@contextmanager
def _echo_is_refusal() -> Iterator[None]:
    with ExitStack() as stack:
        for name, value in (
            ("gateway.news.is_duplicate", lambda _: False),
            ("gateway.apply.is_duplicate", lambda _: False),
            ("gateway.apply.handed_over_once", lambda _: True),
            ("gateway.apply.executed_after_all", lambda *_: False),
        ):
            stack.enter_context(patch(name, value))
        yield


# -- store and feed ----------------------------------------------------------------------------------------------------------

_follow = changes._follow


def _no_event(tx: Any, change: Any, standing: Any, updates: list[Any], found: list[Any]) -> None:
    _follow(tx, change, standing, updates, [])


_events_after = events.events_after


def _skips_one(db: Any, quiet: Any, cursor: str, **named: Any) -> Any:
    """A cursor that is one too far after a page."""
    found = _events_after(db, quiet, cursor, **named)
    return found[1:] if len(found) > 2 else found


_tell_delivery = deliveries.tell_delivery


def _untold(tx: Any, delivery_key: int, event: str, *more: Any) -> None:
    if event != "lost_track":
        _tell_delivery(tx, delivery_key, event, *more)


_change_of = apply.change_of


def _unknown(told: Any, candidate: Any, *more: Any) -> Any:
    return _change_of(told, replace(candidate, bank_status=None), *more)


def _status_is_news(tx: Any, change: Any, standing: Any, updates: list[Any], found: list[Any]) -> None:
    standing.bank_status = None
    _follow(tx, change, standing, updates, found)


@contextmanager
def _everything_is_news() -> Iterator[None]:
    """Whatever a file says is told, though it was said before."""
    with patch.object(apply, "change_of", _unknown), patch.object(changes, "_follow", _status_is_news):
        yield


async def _no_second_debit(*_: Any) -> list[Any]:
    return []


_LAX = {"instant": {"offered": True, "fall_back_codes": [*FALL_BACK_REASONS, "DU01"]}}
_TWO_ATTEMPTS = {"retry": {"first_seconds": 5, "longest_seconds": 300, "attempts_max": 2, "lease_seconds": LEASE}}
DOUBLE = "was executed 2 times"

CONTROLS: dict[str, Mutant] = {
    "sends again without asking": Mutant(
        world="blind",
        kind=WorldKind(guarantee="blind", claimed="idempotent"),
        broken=ExitStack,
        first=10,
        seeds=40,
        says=DOUBLE,
    ),
    "asks, and sends again without the quiet time": Mutant(
        world="queryable", broken=_patched(Courier, "_absence_counts", lambda *_: True), seeds=60, says=DOUBLE
    ),
    "commits after it sent": Mutant(
        world="blind", broken=_patched(Courier, "_send", _commit_after_send), seeds=10, says="no attempt to send it is on record"
    ),
}

MUTANTS: dict[str, Mutant] = {
    "counts the quiet time by a clock that can be set": Mutant(
        world="queryable", broken=_patched(Courier, "_absence_counts", _quiet_by_the_wall_clock), first=75, seeds=800, says=DOUBLE
    ),
    "takes what it finds sending for not sent": Mutant(
        world="blind", broken=_patched(Courier, "recover", _recover_as_not_sent), first=7, seeds=60, says=DOUBLE
    ),
    "takes a time-out for not sent": Mutant(
        world="blind", broken=_patched(Courier, "_lost_track", _timeout_as_not_sent), first=40, seeds=400, says=DOUBLE
    ),
    "takes a cut connection for not sent": Mutant(
        world="blind", broken=_patched(Courier, "_lost_track", _doubt_as_not_sent), seeds=60, says=DOUBLE
    ),
    "takes a cut connection for success": Mutant(
        world="blind", broken=_patched(Courier, "_lost_track", _doubt_as_success), first=61, seeds=60, says="has never seen it"
    ),
    "never looks back at what is sending": Mutant(world="blind", broken=_never_looks_back, seeds=60, says="nobody sees it"),
    "lets the last writer win": Mutant(
        world="blind",
        broken=lambda: _sql("fence = ? AND state = ? AND NOT", "(1 OR fence = ?) AND (1 OR state = ?) AND NOT"),
        seeds=200,
        says="says it was",
    ),
    "looks at the state, and not at the fence": Mutant(
        world="queryable",
        kind=replace(WORLDS["queryable"], bad_seconds=8000.0, late_writers=0.9),
        broken=lambda: _sql("fence = ? AND state = ? AND NOT", "(1 OR fence = ?) AND state = ? AND NOT"),
        first=861,
        seeds=400,
        says=DOUBLE,
    ),
    "sends what was stopped": Mutant(world="lies", broken=_stopped_is_nothing, seeds=200, says="was stopped, and attempt"),
    "sends at any hour": Mutant(
        world="bounds", broken=_patched(Courier, "_standing", _always_open), seeds=100, says="by its clock, and the window is"
    ),
    "has no bound on what is under way": Mutant(
        world="bounds", broken=_unbounded, first=184, seeds=200, says="messages are under way or in doubt at once"
    ),
    "tells no story of a doubt": Mutant(
        world="blind", broken=_patched(deliveries, "tell_delivery", _untold), seeds=40, says="its events rebuild"
    ),
    "tells nobody of a second debit": Mutant(
        world="careless", broken=_patched(apply, "booked_twice", _no_second_debit), first=3, seeds=200, says="nobody is told"
    ),
    "tells again what a file said": Mutant(world="blind", broken=_everything_is_news, first=3, seeds=40, says="tells again what"),
    "takes the answer to a repeat for one to the first": Mutant(
        world="idempotent",
        kind=replace(WORLDS["idempotent"], settings=_TWO_ATTEMPTS),
        broken=_patched(Recorder, "not_sent", _repeat_answers_for_the_first),
        first=389,
        seeds=400,
        says="payment",
    ),
    "says 'got it' of what it could not keep": Mutant(
        world="blind", broken=_patched(Intake, "keep", _keep_or_not), first=48, seeds=200, says="at the bank it is"
    ),
    "calls an answer read before it was applied": Mutant(
        world="blind",
        broken=_patched(Intake, "apply_opened", _read_before_applied),
        first=270,
        seeds=200,
        says="at the bank it is",
    ),
    "takes silence for a refusal": Mutant(
        world="instant-blind", broken=_patched(Intake, "read_waiting", _silence_is_refusal), first=6, seeds=40, says=DOUBLE
    ),
    "takes an echo for a refusal": Mutant(
        world="instant-idempotent",
        kind=replace(WORLDS["instant-idempotent"], instant=1.0, settings=_LAX),
        broken=_echo_is_refusal,
        first=8,
        seeds=300,
        says="payment",
    ),
    "moves a payment without an event": Mutant(
        world="blind", broken=_patched(changes, "_follow", _no_event), seeds=10, says="its events rebuild"
    ),
    "skips an event of the feed": Mutant(
        world="blind", broken=_patched(events, "events_after", _skips_one), seeds=10, says="a watcher who stopped and resumed"
    ),
    "cancels what is in a message": Mutant(
        world="blind",
        broken=lambda: patch.dict(PAYMENT_TABLE, {(PaymentState.BATCHED, PaymentEvent.CANCEL): PaymentState.CANCELLED}),
        seeds=200,
        says="which no rule allows",
    ),
}
