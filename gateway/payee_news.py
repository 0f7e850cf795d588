"""What a bank's status report says of payees, as answers of the verification that are kept beside our own (docs/payee.md)."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from gateway.apply_parts import Told
from gateway.payee.check import BANK, PayeeCheck, answer_of_status


def payee_checks(statuses: Sequence[Told], matched: Mapping[str, str], created: str | None, now: datetime) -> list[PayeeCheck]:
    """The answers among the statuses of one report, for the payments that these found (`matched`: key to payment id).

    `created`: when the bank wrote the report, as it says; so the same report read again gives the same answers.
    """
    said = _moment(created) or now
    found = []
    for told in statuses:
        answer = answer_of_status(told.news.bank_status, told.news.reason_codes)
        if answer is not None and told.key in matched:
            check = PayeeCheck(
                payment_id=matched[told.key], provider=BANK, asked_at=said, answered_at=max(said, now), digest="", answer=answer
            )
            found.append(check)
    return found


def _moment(text: str | None) -> datetime | None:
    """A moment as ISO 20022 writes it; one without a zone is taken as UTC. None: there is none, or it is malformed."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
