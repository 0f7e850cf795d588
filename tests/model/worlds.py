"""The worlds that are looked at, in two sizes; and the couriers that do wrong, each of which must be caught."""

from dataclasses import replace
from functools import cache

from channels.channel import ChannelError, Guarantee
from gateway.delivery import Courier
from gateway.lifecycle import DELIVERY_TABLE, DeliveryEvent, advance
from gateway.outcome import Recorder
from gateway.reasons import ours
from gateway.store.records import Delivery, DeliveryChange
from tests.model.explore import Exploration, Found
from tests.model.promises import PROMISES, executed_once, given_up_is_true_and_told
from tests.model.state import Rules

FINAL = Rules(name="QUERYABLE, final", kind="queryable", final=True)
WORLDS = (
    replace(FINAL, person="none"),
    Rules(name="QUERYABLE, not final", kind="queryable", person="none"),
    Rules(name="BLIND", kind="blind", person="none"),
    Rules(name="IDEMPOTENT", kind="idempotent", knows_copies=True, person="none"),
    Rules(
        name="IDEMPOTENT, and what the bank says", kind="idempotent", knows_copies=True, person="none", senders=1, verdicts=True
    ),
    replace(FINAL, name="reader and person step by step", senders=1, fine=True),
    replace(FINAL, name="a payment's whole life", senders=1, verdicts=True, decisions=True),
    Rules(name="instant, else normal", kind="blind", senders=1, verdicts=True, instant=True, attempts=1),
    Rules(name="a send window that closes", kind="idempotent", knows_copies=True, senders=1, person="none", windows=True),
    Rules(name="a person who is wrong", kind="blind", senders=1, verdicts=True, person="wrong", decisions=True),
    replace(FINAL, name="a message that is stopped", senders=1, stops=True, attempts_max=3),
    Rules(name="a door that lies", kind="blind", senders=1, verdicts=True, door_lies=True, decisions=True, attempts=1),
)
LARGER = (
    replace(FINAL, name="QUERYABLE, final, with a person"),
    replace(FINAL, name="QUERYABLE, final, 3 attempts", attempts=3, attempts_max=3),
    replace(FINAL, name="QUERYABLE, final, longer times", lease=2, quiet=3),
    replace(FINAL, name="QUERYABLE, final, slow network", lease=2, flight=2, quiet=5),
    Rules(name="QUERYABLE, not final, with a person", kind="queryable"),
    Rules(name="BLIND, with a person, 3 attempts", kind="blind", attempts=3, attempts_max=3),
    Rules(name="IDEMPOTENT, with a person", kind="idempotent", knows_copies=True),
    Rules(name="IDEMPOTENT, 3 attempts", kind="idempotent", knows_copies=True, person="none", attempts=3, attempts_max=3),
    replace(FINAL, name="reader and person, 3 attempts", senders=1, fine=True, attempts=3, attempts_max=3),
    Rules(name="reader step by step, verdicts", kind="blind", senders=1, fine=True, person="none", verdicts=True, attempts=1),
    Rules(name="two senders and a wrong person", kind="blind", person="wrong"),
    Rules(
        name="instant, and a bank that lies",
        kind="blind",
        senders=1,
        verdicts=True,
        instant=True,
        lies_about_instant=True,
        attempts=1,
    ),
)


@cache
def explored(rules: Rules) -> Exploration:
    """All of a world, once for all the tests that want to know of it."""
    exploration = Exploration(rules, PROMISES)
    exploration.run()
    return exploration


def named(rules: Rules) -> str:
    """The id of a test."""
    return rules.name.replace(" ", "-").replace(",", "").replace("'", "")


# -- controls ------------------------------------------------------------------------------------------------------------------


class SendsAgain(Courier):
    """What is in doubt is simply sent once more, whatever the guarantee."""

    async def _doubt(self, delivery: Delivery) -> None:
        await self._send(delivery, DeliveryEvent.SEND_AGAIN)


class CommitsAfter(Courier):
    """Sends first and writes it down when it worked."""

    async def _send(self, delivery: Delivery, event: DeliveryEvent) -> None:
        try:
            receipt = await self.channel.send(self._parcel(delivery))
        except ChannelError:
            return  # the next turn tries again
        started = DeliveryChange(
            delivery_id=delivery.delivery_id,
            fence=delivery.fence,
            state=delivery.state,
            event=event,
            next_state=advance(DELIVERY_TABLE, delivery.state, event),
            reason=ours("confirmed"),
        )
        await self.recorder.confirmed(await self.store.change_delivery(started), receipt)


class ForgetsTheClock(Courier):
    """Takes "not there" for final without waiting."""

    def _absence_counts(self, delivery: Delivery) -> bool:
        return True


class BelievesAbsence(Courier):
    """Takes "not there" for final after the quiet time, where nobody promised that it is."""

    def _absence_counts(self, delivery: Delivery) -> bool:
        since = delivery.doubt_since or delivery.updated_at
        return (self.clock() - since).total_seconds() >= self.connection.settings.guarantee.quiet_seconds


class RetriesLostTracks(Courier):
    """Takes an answer that did not come for a message that did not leave."""

    async def _lost_track(self, delivery: Delivery, why: str) -> None:
        await self.recorder.not_sent(delivery, why, doubted=False)


class IgnoresItsLease(Courier):
    """Sends however long it was stopped since it wrote down that it would."""

    async def _send(self, delivery: Delivery, event: DeliveryEvent) -> None:
        started = await self.store.change_delivery(
            DeliveryChange(
                delivery_id=delivery.delivery_id,
                fence=delivery.fence,
                state=delivery.state,
                event=event,
                next_state=advance(DELIVERY_TABLE, delivery.state, event),
                lease_until=self.clock(),
            )
        )
        try:
            receipt = await self.channel.send(self._parcel(started))
        except ChannelError as problem:
            await self._lost_track(started, str(problem))
        else:
            await self.recorder.confirmed(started, receipt)


class HeldWhileDoubted(Courier):
    """Believes a door that refuses a repeat, though the attempt before it may have arrived."""

    def __post_init__(self) -> None:
        Courier.__post_init__(self)
        believed = self.recorder.refused

        class Gullible(Recorder):
            async def refused(self, sending, outcome, *, doubted):  # type: ignore[no-untyped-def]
                await believed(sending, outcome, doubted=False)

        self.recorder = Gullible(self.store, self.connection, self.clock, self.metrics)


CONTROLS = (
    Rules(name="naive resend, BLIND", kind="blind", senders=1, courier=SendsAgain),
    Rules(name="IDEMPOTENT is claimed and not so", kind=Guarantee.IDEMPOTENT.value, senders=1, person="none"),
    replace(FINAL, name="commit after send", senders=1, courier=CommitsAfter),
    replace(FINAL, name="quiet time as long as the flight", flight=2, quiet=2, person="none"),
    replace(FINAL, name="absence believed at once", courier=ForgetsTheClock),
    Rules(name="absence taken as final where it is not", kind="queryable", senders=1, courier=BelievesAbsence),
    replace(FINAL, name="a lost answer taken for not sent", senders=1, courier=RetriesLostTracks),
    replace(FINAL, name="a sender that ignores its lease", courier=IgnoresItsLease),
    Rules(
        name="a refused repeat believed",
        kind="idempotent",
        knows_copies=True,
        senders=1,
        person="none",
        courier=HeldWhileDoubted,
    ),
)


def caught(rules: Rules) -> Found:
    """What the control comes to: a payment executed twice if there is a way to that, else one given up that the bank has."""
    twice = Exploration(rules, [executed_once]).run()
    return twice if twice.wrong else Exploration(rules, [given_up_is_true_and_told]).run()
