"""`bankgate screening hits, clear, cleared, revoke`: hits that people decide to be somebody else.

The session stands in the environment or in a file, never on the command line; so does the second factor, which is asked for on
the terminal where none is given.
"""

from typing import Annotated, Any

import typer

from gateway.cli import connect
from gateway.cli.connect import Connection, Limit, ReasonOption, service_call
from gateway.cli.output import USAGE, CommandFailed, Json, Language, out, print_json, print_table
from gateway.cli.session import SessionFile, second_factor, token_of

SERVICE = "ScreeningService"
Until = Annotated[str, typer.Option(help="The last day it is to count, as 2026-12-31; absent: 90 days from now.")]
Lang = Annotated[Language, typer.Option(help="In which language findings are told; --json has both.")]


@connect.calls_a_service
def hits(
    payment_id: str, *, until: Until = "", language: Lang = Language.EN, service: connect.Service, as_json: Json = False
) -> None:
    """Show what the lists found in a payment, and what `screening clear` asks for."""
    request = {"payment_id": payment_id, "valid_until": until}
    found = service_call(service.as_target(), SERVICE, "ListScreeningHits", request)
    if as_json:
        print_json(found)
        return
    print_table(
        ("hit", "outcome", "score", "why", "can be cleared", "entry digest"),
        [
            (
                f"{one['list_id']}/{one['entry_id']}",
                one.get("outcome"),
                one.get("score", 0),
                one.get(f"text_{language.value}"),
                "yes" if one.get("clearable") else one.get("why_not", "no"),
                one.get("entry_digest"),
            )
            for one in found.get("hits", [])
        ],
    )
    out().print(f"digest {found.get('digest', '')}", markup=False)


@connect.calls_a_service
def clear(
    payment_id: str,
    *,
    hit: Annotated[str, typer.Option(help="Which: LIST/ENTRY, as `screening hits` prints it.")],
    entry_digest: Annotated[str, typer.Option(help="What the entry said: its digest, as `screening hits` prints it.")],
    digest: Annotated[str, typer.Option(help="The payment's digest, likewise.")],
    reason: ReasonOption,
    until: Until = "",
    session_file: SessionFile = None,
    service: connect.Service,
    as_json: Json = False,
) -> None:
    """Clear a hit as the person of the session: the payee is not that entry. Later payments to it are not held by the entry."""
    list_id, _, entry_id = hit.partition("/")
    if not list_id or not entry_id:
        raise CommandFailed(f"--hit {hit}: is LIST/ENTRY, as `bankgate screening hits` prints it", USAGE)
    target, session = service.as_target(), token_of(session_file)
    request = {
        "payment_id": payment_id,
        "digest": digest,
        "list_id": list_id,
        "entry_id": entry_id,
        "entry_digest": entry_digest,
        "valid_until": until,
        "reason": reason,
        "second_factor": second_factor(),
    }
    answer = service_call(target, SERVICE, "ClearScreeningHit", request, session=session)
    _show(answer.get("clearances", []), as_json=as_json)


@connect.calls_a_service
def cleared(
    *,
    connection: Connection = None,
    ended: Annotated[bool, typer.Option("--ended", help="Also those that are over or revoked.")] = False,
    limit: Limit = 100,
    service: connect.Service,
    as_json: Json = False,
) -> None:
    """Show who was cleared of being on a list, the newest first."""
    request = {"page": {"size": limit}, "connection_id": connection or "", "include_ended": ended}
    _show(service_call(service.as_target(), SERVICE, "ListScreeningClearances", request).get("clearances", []), as_json=as_json)


@connect.calls_a_service
def revoke(
    clearance_id: str,
    *,
    reason: ReasonOption,
    session_file: SessionFile = None,
    service: connect.Service,
    as_json: Json = False,
) -> None:
    """End a clearance for good, as the person of the session."""
    target, session = service.as_target(), token_of(session_file)
    request = {"clearance_id": clearance_id, "reason": reason, "second_factor": second_factor()}
    answer = service_call(target, SERVICE, "RevokeScreeningClearance", request, session=session)
    _show([answer["clearance"]], as_json=as_json)


def _show(found: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    print_table(
        ("clearance", "hit", "listed", "payee", "account", "until", "by", "why", "revoked"),
        [
            (
                one["clearance_id"],
                f"{one.get('list_id')}/{one.get('entry_id')}",
                one.get("value"),
                one.get("creditor_name"),
                one.get("creditor_account"),
                one.get("valid_until"),
                one.get("person"),
                one.get("reason"),
                f"{one['revoked_at'][:16]} by {one.get('revoked_by')}" if one.get("revoked_at") else "",
            )
            for one in found
        ],
    )
