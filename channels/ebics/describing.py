"""What a bank says about itself and our access: HPD, HTD, HKD, HAA, and its protocols HAC and PTK, asked for by a person.

Only questions: the protocols are asked for by dates, so that the bank goes on offering to the gateway what it has not shown yet.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from channels.channel import ChannelError
from channels.ebics import orders
from channels.ebics.correspondent import Correspondent
from channels.ebics.errors import BadAnswer
from channels.ebics.order_data import (
    BankParameters,
    CustomerData,
    OrderRight,
    read_customer,
    read_haa,
    read_hpd,
)
from channels.ebics.ordering import Declined, inquire
from channels.ebics.protocol import Step, read_hac
from channels.ebics.rights import missing_rights

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """None: the bank does not tell; `refused` says why, by order type."""

    bank: BankParameters | None  # HPD
    user: CustomerData | None  # HTD
    customer: CustomerData | None  # HKD
    available: tuple[OrderRight, ...] | None  # HAA
    protocol: tuple[Step, ...] | None  # HAC
    text: str | None  # PTK
    refused: tuple[tuple[str, str], ...]


async def described(here: Correspondent, days: int) -> Description:
    """Asks for everything; what the bank does not tell is left out. Raises `NotReady`, `KeyTrouble`, `Unreachable`."""
    session, version = await here.ready(), here.version
    now = here.clock().date()
    dates = orders.DateRange(start=now - timedelta(days=days), end=now)
    refused: list[tuple[str, str]] = []

    async def ask(name: str, read: Callable[[bytes], Read], nothing: Read, on: orders.DateRange | None = None) -> Read | None:
        try:
            data = await inquire(session, orders.download(name, on))
            return nothing if data is None else read(data)
        except (Declined, BadAnswer) as problem:
            refused.append((name, str(problem)))
            return None

    return Description(
        bank=await ask("HPD", lambda data: read_hpd(data, version), None),
        user=await ask("HTD", lambda data: read_customer(data, version, "HTD"), None),
        customer=await ask("HKD", lambda data: read_customer(data, version, "HKD"), None),
        available=await ask("HAA", lambda data: read_haa(data, version), ()),
        protocol=await ask("HAC", read_hac, (), dates),
        text=await ask("PTK", lambda data: data.decode("utf-8" if _is_utf8(data) else "latin-1"), "", dates),
        refused=tuple(refused),
    )


async def lacking(here: Correspondent) -> tuple[str, ...]:
    """What is set to be sent or fetched and the bank does not list among our rights (HTD), in words. A bank that does not tell
    them is no problem."""
    profile = here.profile
    wanted = [(where, sent.order()) for where, sent in profile.uploads]
    wanted += [(f"downloads[{place}]", found.order()) for place, found in enumerate(profile.downloads)]
    try:
        data = await inquire(await here.ready(), orders.download("HTD"))
        found = None if data is None else read_customer(data, here.version, "HTD")
    except Declined:
        return ()
    except ChannelError as problem:
        return (f"asking for our rights (HTD): {problem}",)
    ours = [user for user in (found.users if found else ()) if user.user_id == profile.user_id]
    return missing_rights(wanted, ours[0]) if ours else ()


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
