"""How a connection talks to a bank that answers at once: the plugin's waits, and the operator's over them. Pure."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from formats.dialogue import DialogueBank, HeldAccount
from gateway.config import AccountSettings, ConnectionSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """All waits of one connection. `quiet`: from and until in the bank's day, in which nothing is said."""

    ask_after: timedelta
    ask_longest: timedelta
    repeat_after: timedelta
    not_found_wait: timedelta
    returns: timedelta
    returns_every: timedelta
    statement_every: timedelta | None
    balance_every: timedelta | None
    quiet: tuple[tuple[time, time], ...]
    zone: ZoneInfo  # the bank's

    def quiet_until(self, at: datetime) -> datetime | None:
        """When the quiet hours end that `at` (in the bank's time zone) lies in; None: it lies in none."""
        for begins, ends in self.quiet:
            now = at.time().replace(tzinfo=None)
            inside = begins <= now < ends if begins <= ends else now >= begins or now < ends
            if inside:
                end = datetime.combine(at.date(), ends, at.tzinfo)
                return end if end > at else end + timedelta(days=1)
        return None

    def next_question(self, asked: int) -> timedelta:
        """The pause before the next question about a payment that was asked about so often: twice as long each time."""
        return min(self.ask_longest, self.ask_after * (1 << min(asked, 20)))


def manner_of(settings: ConnectionSettings, bank: DialogueBank) -> Manner:
    """The manner of a connection whose settings are good."""
    own, dialogue = settings.dialogue, bank.dialogue
    return Manner(
        ask_after=_seconds(own.ask_after_seconds, dialogue.ask_after_seconds),
        ask_longest=timedelta(seconds=own.ask_longest_seconds),
        repeat_after=_seconds(own.repeat_after_seconds, dialogue.repeat_after_seconds),
        not_found_wait=_seconds(own.not_found_wait_seconds, dialogue.not_found_wait_seconds),
        returns=timedelta(days=dialogue.returns_days if own.returns_days is None else own.returns_days),
        returns_every=timedelta(seconds=own.returns_seconds),
        statement_every=timedelta(seconds=own.statement_seconds) or None,
        balance_every=timedelta(seconds=own.balance_seconds) or None,
        quiet=dialogue.quiet if own.quiet is None else tuple((hours.begins, hours.ends) for hours in own.quiet),
        zone=ZoneInfo(settings.time_zone or bank.capabilities.time_zone),
    )


def _seconds(own: float | None, theirs: float) -> timedelta:
    return timedelta(seconds=theirs if own is None else own)


def held_account(account: AccountSettings) -> HeldAccount:
    """An account of ours as a bank wants it named."""
    return HeldAccount(
        number=account.other_id or account.iban or "",
        currency=account.currency or "CNY",
        holder=account.holder,
        bank_code=account.agent_clearing_system_member_id,
    )
