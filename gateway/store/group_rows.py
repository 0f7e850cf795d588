"""Release groups from rows, for every store. The columns are those of the stores' SELECTs, in one order."""

import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from gateway.lifecycle import PAYMENT_TABLE, PaymentEvent, PaymentState, moves
from gateway.store import codec
from gateway.store.groups import LOST, NO_MEMBER, Figures, GroupKey, GroupState, ReleaseGroup, figures_of
from gateway.store.rows import Moment

COLUMNS: Final = """
g.release_key, g.caller, g.connection_id, g.name, g.state, g.version, g.number_of_transactions, g.control_sums, g.created_at,
g.closed_at, g.closed_by, g.ended_at, g.ended_by, g.reason
"""
CANCELLABLE: Final = tuple(state.value for state in moves(PAYMENT_TABLE, PaymentEvent.CANCEL))
Totals = Mapping[tuple[str, PaymentState], tuple[int, Decimal]]
"""By currency and state: how many, and what they come to."""


def sums_column(figures: Figures) -> str:
    """The control sums as JSON: {"EUR": "1200.50"}."""
    return json.dumps({currency: f"{amount:f}" for currency, amount in figures.control_sums}, separators=(",", ":"))


def expected_of(number: int | None, sums: str | None) -> Figures | None:
    """The figures of two columns."""
    if number is None or sums is None:
        return None
    found = {currency: Decimal(amount) for currency, amount in json.loads(sums).items()}
    return Figures(number_of_transactions=number, control_sums=tuple(sorted(found.items())))


def totals_of(rows: Iterable[Sequence[Any]]) -> Totals:
    """currency, state, amount of each payment. Summed as decimals: SQLite would sum as binary floating point."""
    totals: dict[tuple[str, PaymentState], tuple[int, Decimal]] = {}
    for currency, state, amount in rows:
        key = (currency, codec.PAYMENT_STATES[state])
        number, total = totals.get(key, (0, Decimal(0)))
        totals[key] = (number + 1, total + Decimal(amount))
    return totals


def group_of(
    row: Sequence[Any], moment: Moment, *, counts: Iterable[Sequence[Any]] = (), totals: Totals | None = None
) -> ReleaseGroup:
    """`row` has `COLUMNS`; `counts` state and number; `totals` (instead of counts) what they come to, too."""
    members = {codec.PAYMENT_STATES[state]: number for state, number in counts}
    for (_, state), (number, _) in (totals or {}).items():
        members[state] = members.get(state, 0) + number
    return ReleaseGroup(
        key=GroupKey(row[1], row[2], row[3]),
        state=GroupState(row[4]),
        version=row[5],
        expected=expected_of(row[6], row[7]),
        created_at=moment(row[8]),
        closed_at=None if row[9] is None else moment(row[9]),
        closed_by=row[10],
        ended_at=None if row[11] is None else moment(row[11]),
        ended_by=row[12],
        reason=row[13],
        members=members,
        submitted=None if totals is None else figures_of(totals, NO_MEMBER),
        rest=None if totals is None else figures_of(totals, LOST),
    )
