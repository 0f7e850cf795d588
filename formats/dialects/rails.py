"""Which of China's payment systems a payment takes: 大额 (HVPS), 小额 (BEPS), 超级网银 (IBPS), or the bank's own books.

Caps and hours differ by bank and change; each is a setting, with these defaults:

| system | hours (default) | cap (default) | where the default is from |
|---|---|---|---|
| HVPS | legal working days, 08:30-17:00 | none | bank guides, undated; today's practice opens the evening before and ends 17:15 |
| BEPS | around the clock | 1,000,000.00 | news of January 2020; 50,000 in older texts |
| IBPS | around the clock | 1,000,000.00 | common practice; 50,000 in CIB's document V4.0.4 |

The hours are for `[send_window]` of a connection (calendar "CN", a kind a service level); nothing here looks at a clock.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from formats.dialects.facts import Facts


class Rail(StrEnum):
    IN_BANK = "IN_BANK"
    HVPS = "HVPS"
    BEPS = "BEPS"
    IBPS = "IBPS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The largest amount of one payment, in yuan."""

    beps: Decimal = Decimal("1000000.00")
    ibps: Decimal = Decimal("1000000.00")


DEFAULT: Final = Limits()


def rail_of(facts: Facts, amount: Decimal, limits: Limits = DEFAULT) -> Rail:
    """The caller's choice (`cn.rail`) where there is one. Else: inside the bank its own books; urgent by IBPS up to its cap,
    above by HVPS; normal by BEPS up to its cap, above by HVPS."""
    if facts.own_bank:
        return Rail.IN_BANK
    if facts.rail in {Rail.HVPS, Rail.BEPS, Rail.IBPS}:
        return Rail(facts.rail)
    if facts.urgent:
        return Rail.IBPS if amount <= limits.ibps else Rail.HVPS
    return Rail.BEPS if amount <= limits.beps else Rail.HVPS


def is_fast(facts: Facts, amount: Decimal, limits: Limits = DEFAULT) -> bool:
    """For banks that are told "urgent" or "normal" and no system: HVPS and IBPS are the fast ones, so that a payment above BEPS's
    cap is fast too. Inside the bank the caller's word counts."""
    rail = rail_of(facts, amount, limits)
    return facts.urgent if rail is Rail.IN_BANK else rail is not Rail.BEPS


def over_cap(facts: Facts, amount: Decimal, limits: Limits = DEFAULT) -> Decimal | None:
    """The cap of the system that the caller chose, where the amount is above it."""
    cap = {"BEPS": limits.beps, "IBPS": limits.ibps}.get(facts.rail)
    if cap is None or facts.own_bank or not (isinstance(amount, Decimal) and amount.is_finite()):
        return None
    return cap if amount > cap else None
