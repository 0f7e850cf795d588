"""Whether an approval comes in time for the bank: until when it has to be given, and what is said of one that comes later."""

from datetime import datetime, time

from formats.model import PaymentTerms
from gateway.policy.texts import Words
from gateway.send_window import SendWindow
from gateway.window_answer import window_answer


def approve_by(window: SendWindow, terms: PaymentTerms) -> datetime | None:
    """When the last window for the requested date closes (UTC). None: around the clock, or the calendar does not reach that day.

    Approved later than that, the payment leaves in a later window, or not at all where the connection refuses late ones.
    """
    day = window.first_bank_day(terms.requested_execution_date)
    if day is None:
        return None
    opening = window.standing(terms.payment_type, datetime.combine(day, time(0), window.zone)).opening
    return None if opening is None or opening.day != day else opening.closes_at


def late_words(window: SendWindow, terms: PaymentTerms, at: datetime) -> Words | None:
    """What is said of an approval at that moment (aware) that comes after the last window for the requested date; else None."""
    answer = window_answer(window, terms, at)
    if not answer.late:
        return None
    requested = terms.requested_execution_date
    return (
        f"This approval comes after the last window for {requested}. {answer.text_en}",
        f"该审批晚于 {requested} 的最后发送窗口。{answer.text_zh}",
    )
