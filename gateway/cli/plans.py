"""`bankgate plans`: beneficiaries, templates and standing orders of a running service."""

import json
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from formats.json_form import BadForm, read_json
from gateway.cli import connect
from gateway.cli.connect import Limit, service_call
from gateway.cli.output import USAGE, CommandFailed, Json, out, print_json, print_table

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Beneficiaries, templates and standing orders, kept by each caller."
)

_PUT: Final = {
    "beneficiary": "PutBeneficiary",
    "template": "PutTemplate",
    "standing_order": "PutStandingOrder",
}
_LISTS: Final = {
    "beneficiaries": "ListBeneficiaries",
    "templates": "ListTemplates",
    "standing_orders": "ListStandingOrders",
}
_ENDS: Final = {
    "beneficiary": "EndBeneficiary",
    "template": "EndTemplate",
    "standing_order": "EndStandingOrder",
}

Id = Annotated[str, typer.Argument(metavar="ID", help="As the caller gave it.")]
Reason = Annotated[str, typer.Option(help="Why; kept in the history.")]
Ended = Annotated[bool, typer.Option("--ended", help="Those that have ended, too.")]


@app.command("put")
@connect.calls_a_service
def put(
    file: Annotated[Path, typer.Argument(help='JSON: {"beneficiary": …}, {"template": …} or {"standing_order": …}.')],
    *,
    reason: Reason = "",
    service: connect.Service,
    as_json: Json = False,
) -> None:
    """Add a beneficiary, a template or a standing order, or change one."""
    try:
        content = read_json(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandFailed(f"{file}: {error.strerror}", USAGE) from None
    except (BadForm, UnicodeDecodeError) as error:
        raise CommandFailed(f"{file}: {error}") from None
    kinds = [kind for kind in _PUT if isinstance(content, dict) and kind in content]
    if len(kinds) != 1:
        raise CommandFailed(f"{file}: holds one of {', '.join(_PUT)}, as PlanService takes it")
    answer = service_call(service.as_target(), "PlanService", _PUT[kinds[0]], {"reason": reason, **content})
    _show(answer[kinds[0]], as_json=as_json)


@app.command("list")
@connect.calls_a_service
def list_plans(
    kind: Annotated[str, typer.Argument(help="beneficiaries, templates or standing-orders.")],
    *,
    ended: Ended = False,
    limit: Limit = 100,
    service: connect.Service,
    as_json: Json = False,
) -> None:
    """Show what is kept, newest first; of standing orders with the next payments."""
    word = kind.replace("-", "_")
    if word not in _LISTS:
        raise CommandFailed(f"{kind}: there are {', '.join(name.replace('_', '-') for name in _LISTS)}", USAGE)
    request = {"page": {"size": limit}, "include_ended": ended}
    found = service_call(service.as_target(), "PlanService", _LISTS[word], request).get(word, [])
    _table(found, as_json=as_json)


@app.command("search")
@connect.calls_a_service
def search(
    query: Annotated[str, typer.Argument(help="Beginnings of words, pinyin in full or initials, or an account's last digits.")],
    *,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=50)] = 10,
    service: connect.Service,
    as_json: Json = False,
) -> None:
    """Find beneficiaries."""
    request = {"query": query, "limit": limit}
    answer = service_call(service.as_target(), "PlanService", "SearchBeneficiaries", request)
    _table(answer.get("beneficiaries", []), as_json=as_json)
    if answer.get("more_may_fit") and not as_json:
        out().print("very many fit, and not all were looked at: type more / 匹配过多，未全部检索，请输入更多字符", markup=False)


@app.command("show")
@connect.calls_a_service
def show(beneficiary_id: Id, *, service: connect.Service, as_json: Json = False) -> None:
    """Show a beneficiary and every change of it."""
    answer = service_call(service.as_target(), "PlanService", "GetBeneficiary", {"beneficiary_id": beneficiary_id})
    if as_json:
        print_json(answer)
        return
    _show(answer["beneficiary"], as_json=False)
    for change in answer.get("history", ()):
        fields = ", ".join(change.get("fields", ())) or _word(change.get("state"))
        words = f"version {change.get('version')}, {change.get('changed_by')}: {fields}  {change.get('reason', '')}"
        out().print(f"{change.get('changed_at', '')[:19]} {words}", markup=False)


@app.command("fill")
@connect.calls_a_service
def fill(
    template_id: Annotated[str, typer.Argument(metavar="TEMPLATE", help="As the caller gave it.", show_default=False)],
    *,
    reference: Annotated[str, typer.Option(help="The payment_reference of the payment.")] = "",
    beneficiary: Annotated[str, typer.Option(help="Another beneficiary than the template's.")] = "",
    value: Annotated[list[str] | None, typer.Option(help="BLANK=VALUE, as often as there are blanks.")] = None,
    to: Annotated[Path | None, typer.Option("--out", help="Add it to this .jsonl, which `submit` takes. Absent: shown.")] = None,
    service: connect.Service,
) -> None:
    """Fill in a template. Nothing is stored or paid: what comes out is a payment to look at and submit."""
    values = dict(one.partition("=")[::2] for one in value or ())
    if len(values) < len(value or ()) or not all("=" in one for one in value or ()):
        raise CommandFailed("--value takes BLANK=VALUE, each blank once", USAGE)
    request = {"template_id": template_id, "beneficiary_id": beneficiary, "values": values, "payment_reference": reference}
    answer = service_call(service.as_target(), "PlanService", "FillTemplate", request)
    if open_blanks := answer.get("open_blanks"):
        raise CommandFailed(f"there is no value for {', '.join(open_blanks)}: --value BLANK=VALUE")
    if to is None:
        print_json(answer["payment"])
        return
    with to.open("a", encoding="utf-8") as file:
        file.write(json.dumps(answer["payment"], ensure_ascii=False) + "\n")


@app.command("pause")
@connect.calls_a_service
def pause(standing_order_id: Id, *, reason: Reason = "", service: connect.Service, as_json: Json = False) -> None:
    """Pause a standing order: payments that fall due meanwhile are skipped."""
    _turn(service, "PauseStandingOrder", standing_order_id, reason, as_json=as_json)


@app.command("resume")
@connect.calls_a_service
def resume(standing_order_id: Id, *, reason: Reason = "", service: connect.Service, as_json: Json = False) -> None:
    """Go on with a paused standing order."""
    _turn(service, "ResumeStandingOrder", standing_order_id, reason, as_json=as_json)


@app.command("end")
@connect.calls_a_service
def end(
    plan_id: Id,
    *,
    kind: Annotated[str, typer.Option(help="beneficiary, template or standing-order.")] = "standing-order",
    reason: Reason = "",
    service: connect.Service,
    as_json: Json = False,
) -> None:
    """End a standing order, a template or a beneficiary. Its history stays."""
    word = kind.replace("-", "_")
    if word not in _ENDS:
        raise CommandFailed(f"--kind {kind}: there are {', '.join(name.replace('_', '-') for name in _ENDS)}", USAGE)
    answer = service_call(service.as_target(), "PlanService", _ENDS[word], {f"{word}_id": plan_id, "reason": reason})
    _show(answer[word], as_json=as_json)


@app.command("days")
@connect.calls_a_service
def days(standing_order_id: Id, *, limit: Limit = 100, service: connect.Service, as_json: Json = False) -> None:
    """Show what became of each day of a standing order, newest first."""
    request = {"standing_order_id": standing_order_id, "page": {"size": limit}}
    found = service_call(service.as_target(), "PlanService", "ListOccurrences", request).get("occurrences", [])
    if as_json:
        print_json(found)
        return
    print_table(
        ("due", "state", "payment", "why"),
        [(one["due_date"], _word(one.get("state")), one.get("payment_id", ""), one.get("detail", "")) for one in found],
    )


def _turn(service: connect.Service, method: str, plan_id: str, reason: str, *, as_json: bool) -> None:
    request = {"standing_order_id": plan_id, "reason": reason}
    answer = service_call(service.as_target(), "PlanService", method, request)
    _show(answer["standing_order"], as_json=as_json)


def _show(plan: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(plan)
    else:
        _table([plan], as_json=False)


def _table(plans: list[dict[str, Any]], *, as_json: bool) -> None:
    """Accounts are left out here: `--json` has them."""
    if as_json:
        print_json(plans)
        return
    print_table(
        ("id", "state", "version", "name", "used", "next"),
        [
            (
                next((plan[name] for name in ("standing_order_id", "template_id", "beneficiary_id") if name in plan), ""),
                _word(plan.get("state")),
                plan.get("version"),
                plan.get("creditor", {}).get("name") or plan.get("name") or plan.get("note", ""),
                plan.get("used", ""),
                ", ".join(_upcoming(one) for one in plan.get("next", ())),
            )
            for plan in plans
        ],
    )


def _upcoming(one: dict[str, Any]) -> str:
    if one.get("skipped"):
        return f"{one['due_date']} skipped"
    lacks = one.get("open_blanks")
    return f"{one['execution_date']} lacks {', '.join(lacks)}" if lacks else str(one["execution_date"])


def _word(value: str | None) -> str:
    """PLAN_STATE_ACTIVE → active."""
    return (value or "").removeprefix("PLAN_STATE_").removeprefix("OCCURRENCE_STATE_").lower()
