"""`bankgate groups`: payments that leave together.

Callers close, release and cancel their own groups; people look at closed groups and approve or refuse all payments of one that
wait for approval, with the session and the second factor as in `bankgate approvals`.
"""

from typing import Annotated, Any, Final

import typer

from gateway.cli import connect
from gateway.cli.connect import Connection, Limit, ReasonOption, service_call
from gateway.cli.output import USAGE, CommandFailed, Json, Language, out, print_json, print_table, reason_words, state_word
from gateway.cli.session import SessionFile, second_factor, token_if_any, token_of

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Payments that leave together: release groups, and what they wait for."
)

_SERVICE: Final = "ReleaseGroupService"
_STATES: Final = ("open", "closed", "released", "cancelled")
Group = Annotated[str, typer.Argument(metavar="GROUP", help="The name, with --connection; or the id that `groups list` shows.")]
GroupId = Annotated[str, typer.Argument(metavar="GROUP_ID", help="The id that `groups list` and `approvals show --json` give.")]
Payments = Annotated[int, typer.Option("--payments", min=1, help="How many payments there must be.")]
Sums = Annotated[
    list[str], typer.Option("--sum", help="What they must come to, by currency: EUR=1200.50; once for each currency.")
]
Why = Annotated[str, typer.Option(help="Why; kept with the group.")]
Lang = Annotated[Language, typer.Option(help="In which language it is told; --json has both.")]
Digest = Annotated[
    str, typer.Option(help="The digest that `groups review` printed. What is decided is that content, and no other.")
]


@app.command("list")
@connect.calls_a_service
def list_groups(
    *,
    connection: Connection = None,
    state: Annotated[list[str] | None, typer.Option(help="open, closed, released or cancelled; absent: all.")] = None,
    limit: Limit = 100,
    language: Lang = Language.EN,
    service: connect.Service,
    as_json: Json = False,
) -> None:
    """Show the caller's groups, newest first."""
    for word in state or ():
        if word not in _STATES:
            raise CommandFailed(f"--state {word}: there are {', '.join(_STATES)}", USAGE)
    request = {
        "page": {"size": limit},
        "connection_id": connection or "",
        "states": [f"RELEASE_GROUP_STATE_{word.upper()}" for word in state or ()],
    }
    found = service_call(service.as_target(), _SERVICE, "ListReleaseGroups", request).get("groups", [])
    if as_json:
        print_json(found)
        return
    print_table(
        ("group", "connection", "state", "payments", "what it waits for", "id"),
        [
            (
                one["release_group"],
                one["connection_id"],
                _word(one),
                sum(int(count.get("payments", 0)) for count in one.get("counts", ())) or one.get("expected", {}).get(_NUMBER, ""),
                one.get(f"text_{language.value}", ""),
                one["group_id"],
            )
            for one in found
        ],
    )


@app.command("show")
@connect.calls_a_service
def show(
    group: Group,
    *,
    connection: Connection = None,
    language: Lang = Language.EN,
    service: connect.Service,
    as_json: Json = False,
) -> None:
    """Show one group: how many payments, what they come to, where they stand, and when they would leave."""
    answer = service_call(service.as_target(), _SERVICE, "GetReleaseGroup", {"group": _name(group, connection)})
    _show(answer["group"], language, as_json=as_json)


@app.command("close")
@connect.calls_a_service
def close(
    group: Group,
    *,
    payments: Payments,
    sums: Sums,
    connection: Connection = None,
    session_file: SessionFile = None,
    language: Lang = Language.EN,
    service: connect.Service,
    as_json: Json = False,
) -> None:
    """Close a group: nothing is added any more, and it goes once all of its payments are approved."""
    request = {"group": _name(group, connection), "expected": _figures(payments, sums)}
    _act(service, "CloseReleaseGroup", request, session_file, language, as_json=as_json)


@app.command("release")
@connect.calls_a_service
def release(
    group: Group,
    *,
    payments: Payments,
    sums: Sums,
    reason: Why = "",
    connection: Connection = None,
    session_file: SessionFile = None,
    language: Lang = Language.EN,
    service: connect.Service,
    as_json: Json = False,
) -> None:
    """Let a closed group go without the payments that were rejected or cancelled: say how many are left and what they come to."""
    request = {"group": _name(group, connection), "expected": _figures(payments, sums), "reason": reason}
    _act(service, "ReleaseRest", request, session_file, language, as_json=as_json)


@app.command("cancel")
@connect.calls_a_service
def cancel(
    group: Group,
    *,
    reason: Why = "",
    connection: Connection = None,
    session_file: SessionFile = None,
    language: Lang = Language.EN,
    service: connect.Service,
    as_json: Json = False,
) -> None:
    """Cancel a group that was not released, with every payment of it."""
    request = {"group": _name(group, connection), "reason": reason}
    _act(service, "CancelReleaseGroup", request, session_file, language, as_json=as_json)


@app.command("review")
@connect.calls_a_service
def review(
    group_id: GroupId, *, limit: Limit = 100, language: Lang = Language.EN, service: connect.Service, as_json: Json = False
) -> None:
    """Show a closed group to those who approve: its payments that wait for approval, and the digest of the whole of it."""
    request = {"group_id": group_id, "page": {"size": limit}}
    answer = service_call(service.as_target(), _SERVICE, "GetGroupApproval", request)
    if as_json:
        print_json(answer)
        return
    _show(answer["group"], language, as_json=False)
    out().print(f"{'digest':15} {answer['digest']}", markup=False)
    out().print(f"{'to approve':15} {answer.get('awaiting', 0)}", markup=False)
    print_table(
        ("payment", "amount", "creditor", "why"),
        [_waiting(one, language) for one in answer.get("approvals", ())],
    )


@app.command("approve")
@connect.calls_a_service
def approve(
    group_id: GroupId,
    *,
    digest: Digest,
    reason: Annotated[str, typer.Option(help="What there is to say about it; may be left out.")] = "",
    session_file: SessionFile = None,
    language: Lang = Language.EN,
    service: connect.Service,
    as_json: Json = False,
) -> None:
    """Approve all payments of a group that wait for approval, as the person of the session. Asks for one second factor."""
    _decide(service, group_id, {"approve": True, "reason": reason, "digest": digest}, session_file, language, as_json=as_json)


@app.command("refuse")
@connect.calls_a_service
def refuse(
    group_id: GroupId,
    *,
    digest: Digest,
    reason: ReasonOption,
    session_file: SessionFile = None,
    language: Lang = Language.EN,
    service: connect.Service,
    as_json: Json = False,
) -> None:
    """Refuse all payments of a group that wait for approval. That is final."""
    _decide(service, group_id, {"approve": False, "reason": reason, "digest": digest}, session_file, language, as_json=as_json)


_NUMBER: Final = "number_of_transactions"


def _name(group: str, connection: str | None) -> dict[str, str]:
    return {"connection_id": connection, "release_group": group} if connection else {"group_id": group}


def _figures(payments: int, sums: list[str]) -> dict[str, Any]:
    pairs = [one.partition("=") for one in sums]
    if any(not (currency and amount) for currency, _, amount in pairs) or len({pair[0] for pair in pairs}) < len(pairs):
        raise CommandFailed("--sum: once for each currency, as EUR=1200.50", USAGE)
    return {_NUMBER: payments, "control_sums": {currency: amount for currency, _, amount in pairs}}


def _act(
    service: connect.Service,
    method: str,
    request: dict[str, Any],
    session_file: SessionFile,
    language: Language,
    *,
    as_json: bool,
) -> None:
    answer = service_call(service.as_target(), _SERVICE, method, request, session=token_if_any(session_file))
    _show(answer["group"], language, as_json=as_json)


def _decide(
    service: connect.Service, group_id: str, wish: dict[str, Any], session_file: SessionFile, language: Language, *, as_json: bool
) -> None:
    target, session = service.as_target(), token_of(session_file)
    request = {"group_id": group_id, **wish, "second_factor": second_factor()}
    answer = service_call(target, _SERVICE, "DecideGroup", request, session=session)
    if as_json:
        print_json(answer)
        return
    out().print(f"{'decided':15} {answer.get('decided', 0)} payments", markup=False)
    _show(answer["group"], language, as_json=False)


def _show(group: dict[str, Any], language: Language, *, as_json: bool) -> None:
    if as_json:
        print_json(group)
        return
    lines = [
        f"{'group':15} {group['release_group']} on {group['connection_id']}, of {group.get('caller', '')}",
        f"{'id':15} {group['group_id']}",
        f"{'state':15} {_word(group)}  {group.get(f'text_{language.value}', '')}",
    ]
    for name in ("expected", "submitted", "rest"):
        if name in group:
            sums = ", ".join(f"{amount} {currency}" for currency, amount in sorted(group[name].get("control_sums", {}).items()))
            lines.append(f"{name:15} {group[name].get(_NUMBER, 0)} payments, {sums}")
    lines += [f"{state_word(count.get('state')):15} {count.get('payments', 0)}" for count in group.get("counts", ())]
    for word in ("closed", "ended"):
        if group.get(f"{word}_at"):
            lines.append(f"{word:15} {group[f'{word}_at'][:19]} by {group.get(f'{word}_by', '')}")
    for one in group.get("keeping_back", ()):
        why = reason_words(one.get("reason"), language)
        lines.append(f"{'keeps it back':15} {one['payment_reference']}  {state_word(one.get('state'))}  {why}")
    lines += [f"{'window':15} {one.get(f'description_{language.value}', '')}" for one in group.get("send_windows", ())]
    late = group.get(f"late_{language.value}")
    for line in [*lines, late] if late else lines:
        out().print(line, markup=False)


def _waiting(approval: dict[str, Any], language: Language) -> tuple[str, str, str, str]:
    request = approval.get("payment", {}).get("request", {})
    return (
        approval["payment_id"],
        f"{request.get('amount', '')} {request.get('currency', '')}",
        request.get("creditor", {}).get("name", ""),
        approval.get("reason", {}).get(f"text_{language.value}", ""),
    )


def _word(group: dict[str, Any]) -> str:
    """RELEASE_GROUP_STATE_OPEN → open."""
    return str(group.get("state", "")).removeprefix("RELEASE_GROUP_STATE_").lower()
