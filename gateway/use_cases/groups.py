"""What a caller does with its release groups: looking at them, closing them, releasing the rest, cancelling.

Nothing here lets a payment leave: the lane of the bank does, once a group is complete (`gateway.release_groups`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

from gateway.audit.lines import detail_text
from gateway.audit.record import AuditRecord
from gateway.banks import bank_of
from gateway.callers import Caller, Missing
from gateway.errors import BadRequest, NotFound, TooLate
from gateway.lifecycle import PaymentState
from gateway.people.person import Acting
from gateway.policy.texts import Words
from gateway.reasons import ours
from gateway.release_groups import KIND, figures_detail, figures_words, passed_words, without_zeros
from gateway.store.groups import LOST, Figures, GroupAct, GroupKey, GroupState, ReleaseGroup
from gateway.store.records import Payment
from gateway.use_cases.desk import Desk, page_of_own
from gateway.use_cases.permitted import money_of, refusal
from gateway.window_answer import WindowAnswer, window_answer
from gateway.window_settings import send_window

MEMBERS_READ: Final = 500
TOLD_MAX: Final = 20  # payments that keep a group back
_NONE: Final = "there is no such release group of yours"
_BACK: Final = (PaymentState.RECEIVED, PaymentState.HELD, PaymentState.AWAITING_APPROVAL)
_BACK_OR_LOST: Final = (*_BACK, *sorted(LOST))
_WAITS: Final = frozenset({GroupState.OPEN, GroupState.CLOSED})


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupName:
    """Which group: by its id, or by connection and name."""

    group_id: str = ""
    connection_id: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownGroup:
    """`windows`: of the different terms of its payments, where the connection has a send window and the group is not over.
    `late`: a requested date has passed while it waits."""

    group: ReleaseGroup
    windows: tuple[WindowAnswer, ...] = ()
    late: Words | None = None
    keeping_back: tuple[Payment, ...] = ()  # the first of the payments that it waits for, or lost


class Groups(Desk):
    """The use cases of a caller with payments that leave together."""

    async def release_groups(
        self, caller: Caller, connection_id: str | None, states: Sequence[GroupState], limit: int, token: str | None
    ) -> tuple[list[ReleaseGroup], str | None]:
        """The caller's, newest first; without those of whose payments it may not read all."""
        self._authorise(caller, "read", connection_id)
        visible = self._visible(caller, "read", connection_id)
        found, following = await page_of_own(
            caller,
            "read",
            lambda _: True,
            lambda size, before: self._store.release_groups(
                caller=caller.name, connection_ids=visible, states=states, limit=size, before=before
            ),
            limit=limit,
            token=token,
        )
        return [group for group in found if await self._forbidden(caller, "read", group) is None], following

    async def release_group(self, caller: Caller, which: GroupName) -> ShownGroup:
        """One of the caller's. Raises NotFound."""
        self._authorise(caller, "read")
        return await self._shown(await self._group_of(caller, "read", which))

    async def group_of(self, payment: Payment) -> ReleaseGroup | None:
        """The group of a payment that its caller was shown."""
        return None if payment.group is None else await self._store.release_group(payment.group.group_id, figures=False)

    async def close_group(self, caller: Caller, acting: Acting, which: GroupName, expected: Figures) -> ShownGroup:
        """Closes a group whose payments come to what is expected. Done before with the same figures, it is answered alike.

        Raises TooLate, naming what is there, if they do not.
        """
        expected = _some(expected)
        self._authorise(caller, "submit")
        group = await self._group_of(caller, "submit", which)
        act = _act(acting, "release_group.closed", group, figures_detail(group.key, expected))
        after = await self._store.close_group(group.group_id, expected, act)
        if after.state is GroupState.OPEN:
            raise TooLate(
                f"the group is not complete: it has {figures_words(after.submitted)}, {figures_words(expected)} are expected. "
                "Submit what is missing, or name what is there; it stays open / "
                f"放行组不完整：现有 {figures_words(after.submitted)}，应有 {figures_words(expected)}，仍为开放状态",
                after.state.value,
            )
        if after.state is GroupState.CANCELLED or after.expected != expected:
            raise TooLate(
                f"the group is {after.state.value}, with {figures_words(after.expected)} / "
                f"放行组已处于 {after.state.value} 状态，为 {figures_words(after.expected)}",
                after.state.value,
            )
        return await self._shown(after)

    async def release_rest(self, caller: Caller, acting: Acting, which: GroupName, expected: Figures, reason: str) -> ShownGroup:
        """Lets a closed group go without what was rejected or cancelled. Raises TooLate if something else is left."""
        expected = _some(expected)
        self._authorise(caller, "submit")
        group = await self._group_of(caller, "submit", which)
        detail = {**figures_detail(group.key, expected), "reason": reason, "was": figures_words(group.expected)}
        after = await self._store.take_rest(
            group.group_id, expected, _act(acting, "release_group.rest_released", group, detail, reason)
        )
        if after.state in {GroupState.OPEN, GroupState.CANCELLED} or after.expected != expected:
            close_first = " Close it first." if after.state is GroupState.OPEN else ""
            raise TooLate(
                f"the group is {after.state.value}, and {figures_words(after.rest)} of it are left; "
                f"{figures_words(expected)} are expected.{close_first} / "
                f"放行组状态为 {after.state.value}，现余 {figures_words(after.rest)}，应有 {figures_words(expected)}",
                after.state.value,
            )
        return await self._shown(after)

    async def cancel_group(self, caller: Caller, acting: Acting, which: GroupName, reason: str) -> ShownGroup:
        """Cancels a group with every payment of it. A second cancellation is answered like the first. Raises TooLate."""
        self._authorise(caller, "cancel")
        group = await self._group_of(caller, "cancel", which)
        detail = {**figures_detail(group.key, group.rest or Figures(number_of_transactions=0, control_sums=())), "reason": reason}
        act = _act(acting, "release_group.cancelled", group, detail, reason)
        after = await self._store.cancel_group(group.group_id, act, ours("cancelled", reason))
        if after.state is not GroupState.CANCELLED:
            raise TooLate(
                f"the group is {after.state.value}: cancel single payments of it that are in no message yet / "
                f"放行组状态为 {after.state.value}，只能逐笔撤销尚未编入报文的付款",
                after.state.value,
            )
        return await self._shown(after)

    # -- which ---------------------------------------------------------------------------------------------------------

    async def _group_of(self, caller: Caller, action: str, which: GroupName) -> ReleaseGroup:
        """The caller's group, with whose every payment it may do this. Raises BadRequest, NotFound, Forbidden."""
        group_id = which.group_id
        if not group_id:
            if not (which.connection_id and which.name):
                raise BadRequest("group", "name the group by group_id, or by connection_id and release_group")
            group_id = GroupKey(caller.name, which.connection_id, which.name).group_id
        found = await self._store.release_group(group_id)
        if found is None or found.key.caller != caller.name:
            raise NotFound(_NONE)
        if await self._forbidden(caller, "read" if caller.may("read") else action, found) is not None:
            raise NotFound(_NONE)
        missing = await self._forbidden(caller, action, found)
        if missing is not None:
            raise refusal(caller, action, found.key.connection_id, missing)
        return found

    async def _forbidden(self, caller: Caller, action: str, group: ReleaseGroup) -> Missing | None:
        """What the caller's permissions lack for any payment of the group; None: nothing."""
        missing = caller.lacks(action, group.key.connection_id)
        if missing is not None or not caller.is_limited(action):
            return missing
        after: str | None = None
        while True:
            page, after = await self._store.group_members(group.group_id, limit=MEMBERS_READ, after=after)
            for one in page:
                missing = caller.lacks(action, group.key.connection_id, money_of(one.payment))
                if missing is not None:
                    return missing
            if after is None:
                return None

    async def _shown(self, group: ReleaseGroup) -> ShownGroup:
        settings = self._configuration.connections.get(group.key.connection_id)
        if settings is None or group.state not in _WAITS:
            return ShownGroup(group=group)
        now = self.now()
        window = send_window(settings)
        zone = ZoneInfo(settings.time_zone or bank_of(settings).capabilities.time_zone)
        terms = await self._store.group_terms(group.group_id)
        back = _BACK if group.rest == (group.expected or group.submitted) else _BACK_OR_LOST
        found, _ = await self._store.group_members(group.group_id, states=back, limit=TOLD_MAX)
        return ShownGroup(
            group=group,
            keeping_back=tuple(one.payment for one in found),
            windows=() if window is None else tuple(window_answer(window, one, now) for one in terms),
            late=passed_words(terms[0].requested_execution_date if terms else None, now.astimezone(zone).date()),
        )


def _some(expected: Figures) -> Figures:
    if expected.number_of_transactions < 1:
        raise BadRequest(
            "expected.number_of_transactions", "say how many payments are to go: at least one; else cancel the group"
        )
    return without_zeros(expected)


def _act(acting: Acting, action: str, group: ReleaseGroup, detail: dict[str, Any], reason: str = "") -> GroupAct:
    """What is done, with its line of the audit log."""
    line = AuditRecord(
        action=action,
        actor=acting.name,
        object_kind=KIND,
        object_id=group.group_id,
        caller=acting.caller,
        address=acting.address,
        detail=detail_text(detail),
    )
    return GroupAct(by=acting.name, reason=reason, audit=(line,))
