"""Every interleaving of two senders, the network, the bank, a reader, a person and time, up to stated bounds: the promises hold
in every state, and from every state there is a way to an end. The code that is run is the gateway's own (`machine.py`)."""

import pytest

from deploy.scripts.lifecycle_diagram import OUT_OF_DOUBT
from gateway.lifecycle import DELIVERY_TABLE, PAYMENT_TABLE, DeliveryEvent, DeliveryState, PaymentEvent, PaymentState
from tests.model.promises import ended, ended_or_visible, says_what_the_bank_says
from tests.model.state import Rules
from tests.model.worlds import CONTROLS, WORLDS, caught, explored, named

pytestmark = pytest.mark.xdist_group("model")
D, F = DeliveryState, DeliveryEvent
P, E = PaymentState, PaymentEvent

# Rows that make a late word legal, and that nothing comes to: a payment is never ahead of its message, and what is heard of a
# message that is sent already is kept as evidence.
NEVER_MET_DELIVERY = {(D.SENT, F.FOUND), (D.SENT, F.CONFIRMED)}
NEVER_MET_PAYMENT = {(state, E.MESSAGE_SENT) for state in (P.SENT, P.ACCEPTED, P.SETTLED, P.RETURNED)}


@pytest.mark.parametrize("rules", WORLDS, ids=named)
def test_no_interleaving_breaks_a_promise_and_each_can_come_to_an_end(rules: Rules) -> None:
    world = explored(rules)
    print(world.found.line())
    assert not world.found.wrong, world.found.story()
    if rules.person != "none":
        world.require_a_way("no way from here to an end", ended, person=True)
    by_itself = ended if rules.final and not rules.decisions and not rules.stops else ended_or_visible
    world.require_a_way("no way from here to an end, or to where a person sees it, without a person", by_itself, person=False)
    if rules.verdicts:
        world.require_a_way("no way from here to what the bank says", says_what_the_bank_says, person=True)
    assert not world.found.wrong, world.found.story()


@pytest.mark.parametrize("rules", CONTROLS, ids=named)
def test_a_gateway_or_a_world_that_is_wrong_is_caught_with_the_way_to_it(rules: Rules) -> None:
    found = caught(rules)
    print(found.story())
    assert found.wrong, f"{rules.name}: nothing was found in {found.states:,} states"


def test_every_row_of_both_tables_is_met_but_for_those_that_are_known_to_be_idle() -> None:
    deliveries = set().union(*(explored(rules).found.delivery_rows for rules in WORLDS))
    payments = set().union(*(explored(rules).found.payment_rows for rules in WORLDS))
    assert set(DELIVERY_TABLE) - deliveries == NEVER_MET_DELIVERY
    assert set(PAYMENT_TABLE) - payments == NEVER_MET_PAYMENT
    assert deliveries <= set(DELIVERY_TABLE)
    assert payments <= set(PAYMENT_TABLE)


@pytest.mark.parametrize("guarantee", OUT_OF_DOUBT)
def test_the_page_says_which_events_lead_out_of_doubt_under_each_guarantee(guarantee: str) -> None:
    kind, _, final = guarantee.partition(", ")
    worlds = [rules for rules in WORLDS if rules.kind == kind.lower() and rules.final == (final == "final")]
    seen = {event for rules in worlds for state, event in explored(rules).found.delivery_rows if state == D.IN_DOUBT}
    assert {event.value for event in OUT_OF_DOUBT[guarantee]} == seen
