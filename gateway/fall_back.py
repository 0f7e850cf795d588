"""Instant-else-normal: what proves that the bank refused the instant payment, and what speaks against that afterwards.

A payment goes out a second time only if it is certain that its first message is not executed. That takes all of these:

* a status report that names our message and this payment, and nothing that is not theirs, says RJCT of the payment, its block or
  the whole message, and nothing weaker (CANC, a word we do not know, silence, a time-out of ours, a refusal at the bank's door
  and a person's "did not arrive" prove nothing here);
* every reason code it gives is on the connection's list, it gives at least one, and none at any level hints at a duplicate;
* the message was surely handed over once only: after a doubt and a repeat, the refusal may be the repeat's while the first copy
  is being executed (decision 17);
* no money has moved: the payment is sent or accepted, not settled or returned.

What the bank then says of the refused message moves the payment no more. If it says that it executed it after all, the second
attempt is held back, or, where it has left, a person is told to call the bank at once.
"""

from collections.abc import Collection
from datetime import datetime

from formats.codes import explain
from formats.instant import PROVEN_REFUSAL
from gateway import discrepancies as say
from gateway.discrepancies import Origin
from gateway.lifecycle import PAYMENT_TABLE, PaymentEvent, PaymentState, advance
from gateway.matching import NOT_PROVIDED, Match, News
from gateway.payment import new_uetr
from gateway.reasons import ours
from gateway.store.records import Candidate, Delivery, HoldBack, NextAttempt, PaymentChange, Reason

NOT_KNOWN_TO_BE_SENT = frozenset({PaymentState.BATCHED, PaymentState.HELD})
_MONEY_MOVED = frozenset({PaymentEvent.BANK_SETTLED, PaymentEvent.BANK_RETURNED})


def is_proven(status: str | None, codes: Collection[str], allowed: Collection[str]) -> bool:
    """Whether a status with these reason codes is a refusal after which a normal payment may be made."""
    return (status or "").strip() == PROVEN_REFUSAL and bool(codes) and all(code in allowed for code in codes)


def handed_over_once(delivery: Delivery | None) -> bool:
    """Whether the bank cannot have two copies of the message: no attempt was made after one that was in doubt."""
    return delivery is not None and (delivery.attempt == 1 or delivery.doubt_since is None)


def is_surely_meant(news: News, found: Match) -> bool:
    """Whether nothing in the news speaks of another payment than the one it was matched with: no other id, no other amount."""
    return not found.amount_differs and news.instruction_id in {None, *NOT_PROVIDED, found.candidate.instruction_id}


def may_fall_back(candidate: Candidate) -> bool:
    """Whether the payment waits for the bank's verdict on its instant attempt, and wants to go as a normal one if refused."""
    return candidate.may_fall_back and (candidate.state, PaymentEvent.INSTANT_REFUSED) in PAYMENT_TABLE


def second_attempt(
    candidate: Candidate, refusal: Reason, origin: Origin, report_created: str | None, matched_by: str
) -> PaymentChange:
    """The change that sends the payment out again as a normal one. `refusal` is the bank's reason."""
    words_en, words_zh = explain(refusal.code)
    return PaymentChange(
        payment_id=candidate.payment_id,
        version=candidate.version,
        event=PaymentEvent.INSTANT_REFUSED,
        state=advance(PAYMENT_TABLE, candidate.state, PaymentEvent.INSTANT_REFUSED),
        reason=Reason(
            code=ours("instant-refused").code,
            text_en=f"Instant payment refused by the bank ({refusal.code}: {words_en}) It goes out again as a normal payment.",
            text_zh=f"银行拒绝即时付款（{refusal.code}：{words_zh}），将作为普通付款重新发出。",
            bank_text=f"{refusal.code} {refusal.bank_text}".strip(),
        ),
        source=origin.source,
        place=origin.place,
        matched_by=matched_by,
        next_attempt=NextAttempt(uetr=new_uetr() if candidate.uetr else None, report_created=report_created),
    )


def speaks_against(event: PaymentEvent, told: str | None, refused: str | None) -> bool:
    """Whether news about a refused attempt says that it is executed after all. `told` and `refused` are the moments at which the
    bank wrote the news and the refusal.

    An acceptance written before the refusal is the refusal's own past, read late. One that is not surely older than it is taken
    for a change of mind.
    """
    if event is PaymentEvent.BANK_ACCEPTED:
        return not _surely_not_after(told, refused)
    return event in _MONEY_MOVED


def _surely_not_after(one: str | None, other: str | None) -> bool:
    try:
        return datetime.fromisoformat(one or "") <= datetime.fromisoformat(other or "")
    except (ValueError, TypeError):  # not a moment; or one with a time zone beside one without
        return False


class Debits:
    """Which line of a statement booked which payment: two lines of one statement are two debits."""

    def __init__(self) -> None:
        self._lines: dict[str, str] = {}

    def new_statement(self) -> None:
        self._lines.clear()

    def is_second(self, key: str, news: News, candidate: Candidate) -> bool:
        """Whether this is another debit than the one that is known already, of a payment that went out twice."""
        if news.must_match or news.event is not PaymentEvent.BANK_SETTLED:
            return False
        theirs, known = news.account_servicer_reference, candidate.account_servicer_reference
        another_line = self._lines.setdefault(candidate.payment_id, key) != key
        another_reference = theirs is not None and known is not None and theirs != known
        return another_line or another_reference


def executed_after_all(key: str, news: News, candidate: Candidate, told: str | None, debits: Debits) -> bool:
    """Whether this news about a payment with two attempts says that both are, or will be, executed."""
    if candidate.superseded:
        return speaks_against(news.event, told, candidate.report_created)
    if candidate.state in NOT_KNOWN_TO_BE_SENT:
        return news.event in _MONEY_MOVED  # money has moved, and the second attempt has not: it was the first
    return debits.is_second(key, news, candidate)


def hold_back(origin: Origin, key: str, event: PaymentEvent, payment_id: str, message_id: str | None) -> HoldBack:
    """Keeps the second attempt from going out, and tells a person. `message_id` is that of the attempt the news is about."""
    says = event.value.removeprefix("bank_")
    return HoldBack(
        payment_id=payment_id,
        reason=ours("perhaps-executed", origin.source),
        source=origin.source,
        place=origin.place,
        held=say.refused_and_executed(origin, key, says, payment_id, message_id),
        left=say.paid_twice(origin, key, says, payment_id, message_id),
    )
