"""Which payments one question can ask about: of one account and one request, and as many as the bank takes at once. Pure."""

from collections.abc import Iterable
from zoneinfo import ZoneInfo

from formats.dialogue import Asked, Asking, Sought
from gateway.store.serials import GivenSerial

Question = tuple[Sought, ...]


def questions(serials: Iterable[GivenSerial], most: int, zone: ZoneInfo) -> list[Question]:
    """The questions, in the order of the serial numbers. `most`: in one question. `zone`: the bank's."""
    groups: dict[tuple[str, str | None, str], list[Sought]] = {}
    for one in serials:
        groups.setdefault((one.delivery_id, one.package, one.account.number), []).append(_sought(one, zone))
    return [tuple(group[start : start + most]) for group in groups.values() for start in range(0, len(group), most)]


def _sought(given: GivenSerial, zone: ZoneInfo) -> Sought:
    return Sought(
        serial=given.serial,
        package=given.package,
        account=given.account,
        sent_on=given.first_sent_on or given.given_at.astimezone(zone).date(),
        bank_reference=given.bank_reference,
    )


def about(question: Question) -> Asked:
    """What its reply will be kept with."""
    account = question[0].account
    return Asked(
        kind=Asking.STATUS,
        function=Asking.STATUS.value,
        account=account.number,
        currency=account.currency,
        serials=tuple(one.serial for one in question),
        package=question[0].package,
    )
