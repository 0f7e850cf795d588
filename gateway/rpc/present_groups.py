"""Release groups in the words of the contract, and back."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from bankgate.v1 import groups_pb2 as pb
from bankgate.v1 import types_pb2
from formats.errors import Violation
from gateway.errors import BadRequest
from gateway.release_groups import standing_words
from gateway.rpc.convert import amount_of
from gateway.rpc.present import PAYMENT_STATES, decimal_text, moment, reason_message, send_window_message
from gateway.store.groups import Figures, GroupState, ReleaseGroup
from gateway.use_cases.groups import GroupName, ShownGroup

_STATES: Final = {state: pb.ReleaseGroupState.Value(f"RELEASE_GROUP_STATE_{state.name}") for state in GroupState}
_STATE_OF: Final = {value: state for state, value in _STATES.items()}
NUMBER_MAX: Final = 1_000_000_000
_CURRENCY_LENGTH: Final = 3


def group_message(group: ReleaseGroup, shown: ShownGroup | None = None) -> pb.ReleaseGroup:
    """A group; with `shown` also what a list leaves out."""
    text_en, text_zh = standing_words(group)
    windows = () if shown is None else shown.windows
    late_en, late_zh = (None if shown is None else shown.late) or ("", "")
    return pb.ReleaseGroup(
        group_id=group.group_id,
        release_group=group.key.name,
        connection_id=group.key.connection_id,
        caller=group.key.caller,
        state=_STATES[group.state],
        expected=_figures(group.expected),
        submitted=_figures(group.submitted),
        rest=_figures(group.rest),
        counts=[pb.GroupCount(state=PAYMENT_STATES[state], payments=number) for state, number in sorted(group.members.items())],
        text_en=text_en,
        text_zh=text_zh,
        created_at=moment(group.created_at),
        closed_at=moment(group.closed_at),
        closed_by=group.closed_by,
        ended_at=moment(group.ended_at),
        ended_by=group.ended_by,
        reason=group.reason,
        send_windows=[one for window in windows if (one := send_window_message(window)) is not None],
        late_en=late_en,
        late_zh=late_zh,
        keeping_back=[
            pb.KeepingBack(
                payment_id=one.payment_id,
                payment_reference=one.payment_reference,
                state=PAYMENT_STATES[one.state],
                reason=reason_message(one.reason),
            )
            for one in (() if shown is None else shown.keeping_back)
        ],
    )


def shown_message(shown: ShownGroup) -> pb.ReleaseGroup:
    """A group that was asked for by itself."""
    return group_message(shown.group, shown)


def standing_message(group: ReleaseGroup, *, waits: bool) -> types_pb2.ReleaseGroupStanding:
    """What a payment that was asked for by itself tells of its group."""
    text_en, text_zh = standing_words(group)
    return types_pb2.ReleaseGroupStanding(group_id=group.group_id, waits=waits, text_en=text_en, text_zh=text_zh)


def figures_of(message: pb.GroupFigures) -> Figures:
    """What a caller expects. Raises BadRequest."""
    if message.number_of_transactions > NUMBER_MAX:
        raise BadRequest("expected.number_of_transactions", f"at most {NUMBER_MAX}")
    sums: dict[str, Decimal] = {}
    for currency, text in message.control_sums.items():
        problems: list[Violation] = []
        amount = amount_of(text, "expected.control_sums", problems)
        if amount is None or problems or len(currency) != _CURRENCY_LENGTH:
            raise BadRequest("expected.control_sums", 'is by currency, with amounts as texts: {"EUR": "1200.50"}')
        sums[currency] = amount
    return Figures(number_of_transactions=message.number_of_transactions, control_sums=tuple(sorted(sums.items())))


def name_of(message: pb.GroupName) -> GroupName:
    return GroupName(group_id=message.group_id, connection_id=message.connection_id, name=message.release_group)


def states_of(values: Sequence[int]) -> tuple[GroupState, ...]:
    """Raises BadRequest for one that this service does not know."""
    for place, value in enumerate(values):
        if value not in _STATE_OF:
            raise BadRequest(f"states[{place}]", "is not a state this service knows")
    return tuple(_STATE_OF[value] for value in values)  # type: ignore[index]


def _figures(figures: Figures | None) -> pb.GroupFigures | None:
    if figures is None:
        return None
    sums = {currency: decimal_text(amount) for currency, amount in figures.control_sums}
    return pb.GroupFigures(number_of_transactions=figures.number_of_transactions, control_sums=sums)
