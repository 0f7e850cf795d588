"""What must hold in every state of every world, and what counts as an end. Each is None, or what is wrong in words."""

from gateway.lifecycle import PaymentState
from tests.model.state import FLYING, Rules, State

GIVEN_UP = frozenset({"refused", "abandoned"})
WITH_THE_BANK = frozenset({"sent", "accepted", "settled", "returned"})
UNDER_WAY = frozenset({"ready", "sending", "in_doubt"})


def executed_once(rules: Rules, state: State) -> str | None:
    """Never pay twice. Only a person who decides what is not so, or a bank that breaks its word, can bring it about."""
    if state.mistaken or rules.lies_about_instant or rules.door_lies:
        return None
    return "executed twice at the bank" if sum(bank.executed for bank in state.bank) > 1 else None


def sent_is_proven(_rules: Rules, state: State) -> str | None:
    """Nothing is called sent that the bank does not have."""
    for row, bank in zip(state.books.rows, state.bank, strict=True):
        if row is not None and row.state == "sent" and not bank.has_it and not state.mistaken:
            return "called sent, and the bank does not have it"
    return None


def given_up_is_true_and_told(rules: Rules, state: State) -> str | None:
    """What is refused or abandoned is not with the bank and cannot come to it any more; and a person was told in any case."""
    for number, (row, bank) in enumerate(zip(state.books.rows, state.bank, strict=True)):
        if row is None or row.state not in GIVEN_UP:
            continue
        never_left = row.attempt == 0
        if not never_left and not any(whose == f"d{number}" for _, whose in state.books.told):
            return f"{row.state}, and nobody was told"
        under_way = any(n == number for n, _ in state.network) or any(
            p.copy.where == FLYING and p.copy.message == number for p in state.senders
        )
        if (bank.has_it or under_way) and not (state.mistaken or rules.door_lies):
            return f"{row.state}, and the bank has it or may yet get it"
    return None


def found_after_giving_up_is_told(_rules: Rules, state: State) -> str | None:
    """A payment that a person, or the caller, ended while its message was with the bank: somebody is told."""
    pay = state.pay
    if pay.message is None or pay.state not in {"cancelled", "rejected"}:
        return None
    row = state.books.rows[pay.message]
    ended_by_us = pay.state == "cancelled" or state.bank[pay.message].verdict not in {"rejected", "instant refused"}
    if row is not None and row.state == "sent" and ended_by_us and not _told(state, "contradiction", f"d{pay.message}"):
        return f"the payment is {pay.state}, its message is with the bank, and nobody was told"
    return None


def payments_stand_where_their_message_does(_rules: Rules, state: State) -> str | None:
    """Doubt is about the message, verdicts are about the payment; the two never part."""
    pay = state.pay
    if pay.message is None:
        return None
    row = state.books.rows[pay.message]
    assert row is not None
    if (pay.state == PaymentState.BATCHED) != (row.state in UNDER_WAY) and not (pay.state == "held" and row.stopped):
        return f"the payment is {pay.state}, its message {row.state}"
    if pay.state in WITH_THE_BANK and row.state != "sent":
        return f"the payment is {pay.state}, its message {row.state}"
    if pay.state == PaymentState.HELD and row.state not in GIVEN_UP and not row.stopped:
        return f"the payment is held, and its message {row.state}"
    return None


def verdicts_are_the_banks(_rules: Rules, state: State) -> str | None:
    """Nobody but the bank settles, rejects or returns what it has."""
    pay = state.pay
    if pay.message is None or pay.state not in {"settled", "returned"}:
        return None
    verdict = state.bank[pay.message].verdict
    fits = {"settled": {"settled", "returned", "instant refused and executed"}, "returned": {"returned"}}[pay.state]
    return None if verdict in fits else f"the payment is {pay.state}, the bank's verdict {verdict or 'not there yet'}"


def no_wait_is_hidden(_rules: Rules, state: State) -> str | None:
    """A doubt about which nothing happens by itself any more was told."""
    for number, row in enumerate(state.books.rows):
        if row is None or row.state != "in_doubt" or row.due is not None:
            continue
        if not _told(state, "in_doubt", f"d{number}"):
            return "in doubt, nothing is done about it, and nobody was told"
    return None


def a_start_came_before_the_bytes(_rules: Rules, state: State) -> str | None:
    """The intent is in the books before the first byte leaves."""
    for number, (row, bank) in enumerate(zip(state.books.rows, state.bank, strict=True)):
        on_its_way = any(n == number for n, _ in state.network)
        if (bank.has_it or on_its_way) and (row is None or row.attempt == 0):
            return "bytes left, and the books know of no attempt"
    return None


PROMISES = (
    executed_once,
    sent_is_proven,
    given_up_is_true_and_told,
    found_after_giving_up_is_told,
    payments_stand_where_their_message_does,
    verdicts_are_the_banks,
    no_wait_is_hidden,
    a_start_came_before_the_bytes,
)

# -- ends ----------------------------------------------------------------------------------------------------------------------


def ended(_rules: Rules, state: State) -> bool:
    """The bank has it, or it is certain that it never will, and the payment says so."""
    pay = state.pay
    if pay.message is None:
        return pay.state in {"rejected", "cancelled"}
    row = state.books.rows[pay.message]
    return row is not None and (row.state == "sent" or row.state in GIVEN_UP)


def ended_or_visible(rules: Rules, state: State) -> bool:
    """Or it waits for a person where a person sees it: a message in doubt is counted and listed; a held payment is listed."""
    pay = state.pay
    row = None if pay.message is None else state.books.rows[pay.message]
    waits = pay.state in {"held", "awaiting_approval"} or (row is not None and row.state == "in_doubt")
    return waits or ended(rules, state)


def says_what_the_bank_says(rules: Rules, state: State) -> bool:
    """The payment's state is the bank's verdict, or a person was told that the two do not fit."""
    pay = state.pay
    if pay.message is None or not state.bank[pay.message].verdict:
        return ended_or_visible(rules, state)
    return pay.state == state.bank[pay.message].verdict or bool(state.books.told)


def _told(state: State, kind: str, whose: str) -> bool:
    return (kind, whose) in state.books.told
