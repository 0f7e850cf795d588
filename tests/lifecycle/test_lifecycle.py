"""The two tables of gateway/lifecycle.py: nothing missing, nothing unreachable, and the promises of their docstring.

Everything is finite and small, so everything is tried: no sampling.
"""

import subprocess
import sys
from collections.abc import Iterable, Mapping
from enum import StrEnum
from itertools import combinations_with_replacement, permutations
from pathlib import Path
from typing import TypeVar

import pytest

from gateway.lifecycle import (
    ATTEMPT_STARTS,
    DELIVERY_TABLE,
    FINAL_DELIVERY_STATES,
    FINAL_PAYMENT_STATES,
    NEWS,
    PAYMENT_TABLE,
    DeliveryEvent,
    DeliveryState,
    IllegalTransition,
    PaymentEvent,
    PaymentState,
    advance,
    moves,
)

ROOT = Path(__file__).resolve().parents[2]

S = TypeVar("S", bound=StrEnum)
V = TypeVar("V", bound=StrEnum)

P, E = PaymentState, PaymentEvent
D, F = DeliveryState, DeliveryEvent

BEFORE_A_MESSAGE = frozenset({P.RECEIVED, P.HELD, P.AWAITING_APPROVAL, P.APPROVED})
WITH_THE_BANK = frozenset({P.SENT, P.ACCEPTED, P.SETTLED, P.RETURNED, P.REJECTED})
CONTRADICTIONS = frozenset(
    {
        (P.REJECTED, E.BANK_SETTLED),
        (P.REJECTED, E.BANK_RETURNED),
        (P.SETTLED, E.BANK_REJECTED),
        (P.RETURNED, E.BANK_REJECTED),
    }
)
CONTRADICTORY_PAIRS = [(E.BANK_REJECTED, E.BANK_SETTLED), (E.BANK_REJECTED, E.BANK_RETURNED)]
# The last news that moves a payment highest, for every set without a contradiction.
RANK = {E.BANK_PENDING: P.SENT, E.BANK_ACCEPTED: P.ACCEPTED, E.BANK_SETTLED: P.SETTLED, E.BANK_RETURNED: P.RETURNED}

TABLES = [
    pytest.param(PAYMENT_TABLE, P.RECEIVED, FINAL_PAYMENT_STATES, E, id="payment"),
    pytest.param(DELIVERY_TABLE, D.READY, FINAL_DELIVERY_STATES, F, id="delivery"),
]


def reachable(table: Mapping[tuple[S, V], S], first: S) -> set[S]:
    """Every state that some events lead to, `first` among them."""
    found, frontier = {first}, [first]
    while frontier:
        state = frontier.pop()
        following = {after for (before, _), after in table.items() if before == state} - found
        found |= following
        frontier.extend(following)
    return found


def outcome(state: PaymentState, events: Iterable[PaymentEvent]) -> PaymentState | None:
    """Where the events lead in this order; None if one of them is illegal when it comes."""
    for event in events:
        try:
            state = advance(PAYMENT_TABLE, state, event)
        except IllegalTransition:
            return None
    return state


@pytest.mark.parametrize(("table", "first", "final", "events"), TABLES)
def test_every_state_can_be_reached(table, first, final, events) -> None:
    assert reachable(table, first) == set(type(first))


@pytest.mark.parametrize(("table", "first", "final", "events"), TABLES)
def test_every_event_is_possible_somewhere(table, first, final, events) -> None:
    assert {event for _, event in table} == set(events)


@pytest.mark.parametrize(("table", "first", "final", "events"), TABLES)
def test_final_states_are_exactly_those_without_a_way_out(table, first, final, events) -> None:
    left = {state for (state, _), following in table.items() if state != following}
    assert set(type(first)) - left == final


@pytest.mark.parametrize(("table", "first", "final", "events"), TABLES)
def test_every_state_can_still_come_to_an_end(table, first, final, events) -> None:
    for state in type(first):
        assert reachable(table, state) & final, state


def test_news_is_answered_in_every_state_the_bank_can_know_but_for_the_contradictions() -> None:
    unanswered = {(state, news) for state in WITH_THE_BANK for news in NEWS if (state, news) not in PAYMENT_TABLE}
    assert unanswered == CONTRADICTIONS


def test_no_news_moves_a_payment_the_bank_cannot_know() -> None:
    assert not {(state, news) for state, news in PAYMENT_TABLE if news in NEWS and state not in WITH_THE_BANK}


def test_the_proof_that_a_message_arrived_is_welcome_at_any_time_after_batching() -> None:
    for state in WITH_THE_BANK:
        assert advance(PAYMENT_TABLE, state, E.MESSAGE_SENT) == state
    assert advance(PAYMENT_TABLE, P.BATCHED, E.MESSAGE_SENT) == P.SENT


@pytest.mark.parametrize("size", range(1, 5))
def test_news_commutes(size: int) -> None:
    """Every multiset of news, from every state, in every order: one and the same state, or illegal in all of them."""
    for start in sorted(WITH_THE_BANK):
        for news in combinations_with_replacement(sorted(NEWS), size):
            endings = {outcome(start, order) for order in set(permutations(news))}
            assert len(endings) == 1, (start, news, endings)


@pytest.mark.parametrize("size", range(1, 5))
def test_news_without_a_contradiction_ends_in_the_highest_state_it_names(size: int) -> None:
    for news in combinations_with_replacement(sorted(NEWS), size):
        contradictory = any(set(pair) <= set(news) for pair in CONTRADICTORY_PAIRS)
        if contradictory:
            expected = None
        elif E.BANK_REJECTED in news:
            expected = P.REJECTED
        else:
            expected = max((RANK[event] for event in news), key=list(RANK.values()).index)
        assert outcome(P.SENT, news) == expected, news


@pytest.mark.parametrize(("one", "other"), CONTRADICTORY_PAIRS)
def test_contradictory_news_is_illegal_in_both_orders_and_the_first_stays(one: PaymentEvent, other: PaymentEvent) -> None:
    for first, second in ((one, other), (other, one)):
        stays = advance(PAYMENT_TABLE, P.SENT, first)
        with pytest.raises(IllegalTransition):
            advance(PAYMENT_TABLE, stays, second)


def test_news_told_twice_changes_nothing_the_second_time() -> None:
    for (_state, event), following in PAYMENT_TABLE.items():
        if event in NEWS:
            assert advance(PAYMENT_TABLE, following, event) == following


def test_a_payment_the_bank_may_have_can_be_batched_again_only_after_its_instant_form_was_refused() -> None:
    others = {pair: following for pair, following in PAYMENT_TABLE.items() if pair[1] is not E.INSTANT_REFUSED}
    for state in WITH_THE_BANK:
        assert not reachable(others, state) & {*BEFORE_A_MESSAGE, P.BATCHED, P.CANCELLED}, state


def test_an_instant_refusal_leads_back_only_where_no_money_can_have_moved() -> None:
    assert moves(PAYMENT_TABLE, E.INSTANT_REFUSED) == {P.SENT: P.APPROVED, P.ACCEPTED: P.APPROVED}
    assert E.INSTANT_REFUSED not in NEWS


def test_a_payment_can_be_cancelled_until_it_is_in_a_message_and_not_after() -> None:
    assert set(moves(PAYMENT_TABLE, E.CANCEL)) == BEFORE_A_MESSAGE


def test_nothing_leaves_before_approval() -> None:
    assert set(moves(PAYMENT_TABLE, E.BATCH)) == {P.APPROVED}
    assert set(moves(PAYMENT_TABLE, E.MESSAGE_SENT)) == {P.BATCHED, P.HELD, *WITH_THE_BANK}


def test_a_delivery_that_ended_is_never_sent_again() -> None:
    for state in (D.SENT, D.REFUSED, D.ABANDONED):
        assert reachable(DELIVERY_TABLE, state) <= {state, D.SENT}


def test_a_message_that_was_given_up_is_believed_to_be_with_the_bank_on_its_word_alone() -> None:
    for state in (D.REFUSED, D.ABANDONED):
        assert {event for before, event in DELIVERY_TABLE if before == state} == {F.FOUND}


def test_doubt_is_left_only_by_evidence_or_where_a_repeat_is_harmless() -> None:
    leaving = {event: following for (state, event), following in DELIVERY_TABLE.items() if state == D.IN_DOUBT}
    assert leaving == {F.FOUND: D.SENT, F.FOUND_MISSING: D.READY, F.REFUSED: D.REFUSED, F.SEND_AGAIN: D.SENDING}


def test_a_lost_track_is_a_doubt_and_never_a_retry() -> None:
    assert moves(DELIVERY_TABLE, F.LOST_TRACK) == {D.SENDING: D.IN_DOUBT}


def test_sending_is_entered_only_by_the_events_that_count_as_an_attempt() -> None:
    entering = {event for (_, event), following in DELIVERY_TABLE.items() if following == D.SENDING}
    assert entering == ATTEMPT_STARTS


def test_a_delivery_is_given_up_only_before_it_left() -> None:
    assert set(moves(DELIVERY_TABLE, F.ABANDON)) == {D.READY}


def test_an_illegal_pair_names_state_and_event() -> None:
    with pytest.raises(IllegalTransition, match="'cancel' is not possible in state 'sent'") as caught:
        advance(PAYMENT_TABLE, P.SENT, E.CANCEL)
    assert (caught.value.state, caught.value.event) == (P.SENT, E.CANCEL)


@pytest.mark.parametrize(("table", "first", "final", "events"), TABLES)
def test_moves_and_advance_tell_the_same(table, first, final, events) -> None:
    for event in events:
        told = moves(table, event)
        for state in type(first):
            if state in told:
                assert advance(table, state, event) == told[state]
            else:
                with pytest.raises(IllegalTransition):
                    advance(table, state, event)


def test_the_page_docs_lifecycle_is_drawn_from_these_tables() -> None:
    command = [sys.executable, str(ROOT / "deploy" / "scripts" / "lifecycle_diagram.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
