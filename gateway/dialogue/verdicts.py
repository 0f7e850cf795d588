"""Which of the records in a reply count: a refusal of what was said is not always one of what is paid.

Two replies to payments prove no rejection of a payment, whatever status stands in them. One that refuses the request without
judging each payment of it: that is the message's, which is refused, and its payments wait for a person; as a status it would also
prove that the bank has them. And one to a repeat, while an earlier attempt may have arrived: the bank refuses the second ("seen
before", "not enough on the account") and has executed the first.

A reply that rejects each payment of its request, first time, is the bank's verdict on them: it had them, and they failed.
"""

import io
from collections.abc import Iterator
from typing import BinaryIO

from formats.codes import verdict
from formats.dialogue import Asking, DialogueBank, Outcome
from formats.errors import Unparsable
from formats.exchange import Exchange, read_exchange, write_exchange
from formats.report import ReportRecord, TransactionStatus, Verdict


def records_that_count(bank: DialogueBank, source: BinaryIO) -> Iterator[ReportRecord]:
    """The records of a kept reply, without rejections that it does not prove. Raises `Unparsable`."""
    proves_rejections = _proves_rejections(bank, read_exchange(source))
    source.seek(0)
    for record in bank.parse(source):
        if proves_rejections or not isinstance(record, TransactionStatus) or verdict(record.status) is not Verdict.REJECTED:
            yield record


def rejects_each(bank: DialogueBank, exchange: Exchange) -> bool:
    """Whether a reply to payments gives a proven rejection of each of them. What cannot be read gives none."""
    asked = exchange.asked
    if asked is None or not asked.serials:
        return False
    try:
        records = list(bank.parse(io.BytesIO(write_exchange(exchange))))
    except Unparsable:
        return False
    statuses = [one for one in records if isinstance(one, TransactionStatus)]
    rejected = {one.serial_number for one in statuses if verdict(one.status) is Verdict.REJECTED}
    return rejected == set(asked.serials) and len(statuses) == len(asked.serials)


def _proves_rejections(bank: DialogueBank, exchange: Exchange) -> bool:
    asked = exchange.asked
    if asked is None or asked.kind is not Asking.PAYMENT:
        return True
    return not asked.repeat and (bank.hear(exchange).outcome is not Outcome.REFUSED or rejects_each(bank, exchange))
