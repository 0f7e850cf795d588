"""`bankgate approvals`: payments that rules stopped, and what people decide about them.

The session stands in the environment or in a file, never on the command line; so does the second factor, which is asked for on
the terminal where none is given.
"""

from base64 import b64encode
from typing import Annotated, Any, Final

import typer

from gateway.cli import connect
from gateway.cli.connect import Connection, Limit, ReasonOption, service_call
from gateway.cli.output import USAGE, CommandFailed, Json, Language, out, print_json, print_table, reason_words, state_word
from gateway.cli.passkey import UsePasskey, touched
from gateway.cli.session import SessionFile, second_factor, token_if_any, token_of
from gateway.rpc.client import Target

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Payments that rules stopped, and what people decide about them."
)

_STATES: Final = ("awaiting_approval", "held")
Lang = Annotated[Language, typer.Option(help="In which language findings are told; --json has both.")]
Digest = Annotated[
    str,
    typer.Option(help="The digest that `approvals show` printed. What is decided is that content, and no other."),
]


@app.command("list")
@connect.calls_a_service
def list_approvals(
    *,
    connection: Connection = None,
    state: Annotated[list[str] | None, typer.Option(help="awaiting_approval or held; absent: both.")] = None,
    limit: Limit = 100,
    language: Lang = Language.EN,
    service: connect.Service,
    as_json: Json = False,
) -> None:
    """Show the payments that wait for people, the longest waiting first."""
    states = [word.replace("-", "_") for word in state or ()]
    for word in states:
        if word not in _STATES:
            raise CommandFailed(f"--state {word}: there are {', '.join(_STATES)}", USAGE)
    request = {
        "page": {"size": limit},
        "connection_id": connection or "",
        "states": [f"PAYMENT_STATE_{word.upper()}" for word in states],
    }
    found = service_call(service.as_target(), "OperationsService", "ListApprovals", request).get("approvals", [])
    if as_json:
        print_json(found)
        return
    print_table(
        ("payment", "connection", "state", "amount", "creditor", "since", "why"),
        [
            (
                one["payment_id"],
                one.get("connection_id"),
                state_word(one.get("state")),
                _amount(one),
                _request(one).get("creditor", {}).get("name", ""),
                one.get("payment", {}).get("updated_at", "")[:16],
                reason_words(one.get("reason"), language),
            )
            for one in found
        ],
    )


@app.command("show")
@connect.calls_a_service
def show(
    payment_id: str,
    *,
    session_file: SessionFile = None,
    language: Lang = Language.EN,
    service: connect.Service,
    as_json: Json = False,
) -> None:
    """Show one payment: what would go to the bank, what rules found, who approved it, who is asked next, and its digest."""
    request = {"payment_id": payment_id}
    target, session = service.as_target(), token_if_any(session_file)  # a person sees names of which others see the initials
    answer = service_call(target, "OperationsService", "GetApproval", request, session=session)
    _show(answer["approval"], language, as_json=as_json)


@app.command("approve")
@connect.calls_a_service
def approve(
    payment_id: str,
    *,
    digest: Digest,
    reason: Annotated[str, typer.Option(help="What there is to say about it; may be left out.")] = "",
    session_file: SessionFile = None,
    passkey: UsePasskey = False,
    language: Lang = Language.EN,
    service: connect.Service,
    as_json: Json = False,
) -> None:
    """Approve a payment as the person of the session. Asks for a second factor."""
    target, session = service.as_target(), token_of(session_file)
    factor = _factor(target, session, payment_id, "approve", passkey=passkey)
    request = {"approval_id": payment_id, "approve": True, "reason": reason, "digest": digest, "second_factor": factor}
    answer = service_call(target, "OperationsService", "DecideApproval", request, session=session)
    _show(answer["approval"], language, as_json=as_json)


@app.command("refuse")
@connect.calls_a_service
def refuse(
    payment_id: str,
    *,
    digest: Digest,
    reason: ReasonOption,
    session_file: SessionFile = None,
    passkey: UsePasskey = False,
    language: Lang = Language.EN,
    service: connect.Service,
    as_json: Json = False,
) -> None:
    """Refuse a payment that waits or is held. That is final: what is to be paid all the same is submitted anew."""
    target, session = service.as_target(), token_of(session_file)
    factor = _factor(target, session, payment_id, "refuse", passkey=passkey)
    request = {"approval_id": payment_id, "approve": False, "reason": reason, "digest": digest, "second_factor": factor}
    answer = service_call(target, "OperationsService", "DecideApproval", request, session=session)
    _show(answer["approval"], language, as_json=as_json)


@app.command("release")
@connect.calls_a_service
def release(
    payment_id: str,
    *,
    digest: Digest,
    review: Annotated[int, typer.Option(min=1, help="The version of the review that `approvals show` printed.")],
    reason: ReasonOption,
    session_file: SessionFile = None,
    passkey: UsePasskey = False,
    language: Lang = Language.EN,
    service: connect.Service,
    as_json: Json = False,
) -> None:
    """Release a payment that rules hold, after a look at what they found. It goes on to those who have to approve it, if any."""
    target, session = service.as_target(), token_of(session_file)
    request = {
        "payment_id": payment_id,
        "reason": reason,
        "digest": digest,
        "review_version": review,
        "second_factor": _factor(target, session, payment_id, "release", passkey=passkey),
    }
    answer = service_call(target, "OperationsService", "ReleaseHeldPayment", request, session=session)
    _show(answer["approval"], language, as_json=as_json)


def _factor(target: Target, session: str, payment_id: str, choice: str, *, passkey: bool) -> dict[str, str]:
    """A second factor for one choice about one payment: what a passkey signs is bound to both."""
    if not passkey:
        return second_factor()
    answer = service_call(target, "OperationsService", "GetApproval", {"payment_id": payment_id}, session=session)
    approval = answer["approval"]
    bound_to = approval.get("bound_to", {}).get(choice)
    if bound_to is None:
        raise CommandFailed(f"payment {payment_id} is {state_word(approval.get('state'))}: there is nothing to {choice}")
    wanted = {"bound_to": b64encode(bytes.fromhex(bound_to)).decode()}
    asked = service_call(target, "AccessService", "BeginFactor", wanted, session=session)
    words = f"{choice}: {_amount(approval)}, {_request(approval).get('creditor', {}).get('name', '')} ({payment_id})"
    return {"assertion": touched(asked.get("passkey_options_json", ""), words), "challenge_id": asked["challenge_id"]}


def _request(approval: dict[str, Any]) -> dict[str, Any]:
    request: dict[str, Any] = approval.get("payment", {}).get("request", {})
    return request


def _amount(approval: dict[str, Any]) -> str:
    request = _request(approval)
    return f"{request.get('amount', '')} {request.get('currency', '')}".strip()


def _show(approval: dict[str, Any], language: Language, *, as_json: bool) -> None:
    if as_json:
        print_json(approval)
        return
    for line in _lines(approval, language):
        out().print(line, markup=False)


def _lines(approval: dict[str, Any], language: Language) -> list[str]:
    request, review = _request(approval), approval.get("review", {})
    account = request.get("creditor_account", {})
    lines = [
        f"{'payment':15} {approval['payment_id']}",
        f"{'connection':15} {approval.get('connection_id', '')}",
        f"{'state':15} {state_word(approval.get('state'))}  {reason_words(approval.get('reason'), language)}",
        f"{'amount':15} {_amount(approval)}, on {request.get('requested_execution_date', '')}",
        f"{'creditor':15} {request.get('creditor', {}).get('name', '')}, {account.get('iban') or account.get('other_id', '')}",
        f"{'digest':15} {approval.get('digest', '')}",
        f"{'review':15} version {approval.get('review_version', 0)}",
    ]
    if not approval.get("intact"):
        lines.append("What is stored is not what was judged: it can only be refused.")
    lines += [
        f"{finding.get('outcome', ''):15} {finding.get(f'text_{language.value}', '')} "
        f"[{finding.get('rule', '')}, version {finding.get('version', '')}]"
        for finding in review.get("findings", ())
    ]
    payee = approval.get("payee", {})
    if payee.get("suggested_name"):
        lines.append(f"{'held under':15} {payee['suggested_name']} (says {payee.get('provider', '')})")
    for chain in review.get("chains", ()):
        for step in chain.get("steps", ()):
            given = ", ".join(step.get("approved_by", ())) or "nobody yet"
            mark = "  <- next" if step.get("due") else ""
            lines.append(f"{'approvals':15} {step.get('count', 1)} of {step.get('group', '')}: {given}{mark}")
    lines += [
        f"{one.get('decided_at', '')[:19]} {one.get('choice', '')} by {one.get('person', '')} ({one.get('factor', '')})"
        f"{': ' + one['reason'] if one.get('reason') else ''}"
        for one in review.get("decisions", ())
    ]
    late = approval.get(f"late_{language.value}")
    return [*lines, late] if late else lines
