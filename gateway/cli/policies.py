"""`bankgate policies`: whether the policies are usable, and what they would say of payments. Reads files alone, unless the
store is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway import clock
from gateway.approvers import groups_asked, too_few, without_people
from gateway.banks import bank_of
from gateway.cli.output import (
    PROBLEMS,
    USAGE,
    CommandFailed,
    Json,
    Language,
    out,
    print_error,
    print_json,
    print_table,
    print_warning,
    run,
)
from gateway.cli.serve import loaded
from gateway.cli.standalone import orders_of_file
from gateway.config import Configuration
from gateway.config_load import MAIN_FILE, ConfigurationProblems, Problem, load
from gateway.payment import PaymentOrder
from gateway.policies import POLICIES, load_policies
from gateway.policy.document import Policies
from gateway.policy.document_rules import groups_of
from gateway.policy.judge import judge_in_order, questions
from gateway.policy.known import Known, Needs, Used
from gateway.policy.subject import Subject
from gateway.policy.texts import answer
from gateway.policy.verdict import Finding, Verdict
from gateway.validation import OrderCheck

if TYPE_CHECKING:
    from gateway.people.records import Account

app = typer.Typer(no_args_is_help=True, add_completion=False, help="The rules that say what may go.")

_NOTHING = ("passed: no rule stands against it", "放行：无规则阻止")
_LONG_KNOWN = timedelta(days=36_500)

Caller = Annotated[
    str | None, typer.Option(help="Who submits. Absent: the only caller there is in the configuration.", show_default=False)
]


@app.callback()
def _group() -> None:
    """The rules that say what may go."""


@app.command()
def check(
    directory: Annotated[
        Path, typer.Argument(help="Configuration directory, with policies/ in it.", envvar="BANKGATE_CONFIG")
    ] = Path(),
    *,
    with_store: Annotated[
        bool, typer.Option("--store", help="Look into the store too: whether the groups that policies ask have enough members.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say everything that is wrong with the policies, and which are in force today."""
    configuration, policies, problems = _read(directory)
    now = clock.now()
    rows = [] if policies is None else _rows(policies, now)
    asked = _groups(configuration, policies, now)
    if with_store:
        problems += _without_members(configuration, asked)
    if as_json:
        told = [{"file": one.file, "key": one.key, "problem": one.problem, "hint": one.hint} for one in problems]
        print_json({"ok": not problems, "policies": rows, "groups": asked, "problems": told})
    for problem in () if as_json else problems:
        print_error(str(problem))
    if not as_json and policies is not None:
        if rows:
            print_table(("policy", "version", "valid", "in force", "default", "rules"), [list(row.values()) for row in rows])
        else:
            out().print("there are no policies: everything passes")
        for group, count in asked.items():
            out().print(f"group {group}: one payment may need {count} of it", markup=False)
    for warning in () if configuration is None else without_people(configuration, asked):
        print_warning(warning)
    if problems:
        raise typer.Exit(PROBLEMS)


@app.command()
def explain(
    request: Annotated[Path, typer.Argument(metavar="REQUEST.json", help="The JSON form of SubmitPaymentsRequest.")],
    *,
    config: Annotated[Path, typer.Option("--config", help="Configuration directory.", envvar="BANKGATE_CONFIG")],
    caller: Caller = None,
    submitted_by: Annotated[str | None, typer.Option(help="The person who enters it.", show_default=False)] = None,
    at: Annotated[str | None, typer.Option(help="When (2026-11-25T10:00+01:00). Absent: now.", show_default=False)] = None,
    known: Annotated[bool, typer.Option("--known", help="As if every creditor's account had long been paid.")] = False,
    language: Annotated[Language, typer.Option(help="In which language; --json has both.")] = Language.EN,
    as_json: Json = False,
) -> None:
    """Say which rules would say what of the payments of a file, in order, as if they were today's first. Nothing is sent."""
    configuration = loaded(config)
    try:
        policies = load_policies(config, configuration)
    except ConfigurationProblems as error:
        raise CommandFailed("\n".join(map(str, error.problems))) from None
    orders = orders_of_file(request)
    wanted = _Wanted(configuration, _caller(caller, configuration), submitted_by, _moment(at))
    subjects = [_subject(wanted, place, order) for place, order in enumerate(orders)]
    verdicts = _verdicts(policies, subjects, wanted.at, known=known)
    if as_json:
        print_json([_as_json(order, verdict) for order, verdict in zip(orders, verdicts, strict=True)])
        return
    for order, verdict in zip(orders, verdicts, strict=True):
        words = [answer(finding) for finding in verdict.findings] or [_NOTHING]
        for line in (chinese if language is Language.ZH else english for english, chinese in words):
            out().print(f"{order.payment_reference}  {line}", markup=False)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Under which circumstances payments are judged."""

    configuration: Configuration
    caller: str
    submitted_by: str | None
    at: datetime


def _read(directory: Path) -> tuple[Configuration | None, Policies | None, list[Problem]]:
    """The configuration, where there is one; the policies; and what is wrong with them and with the configuration that they name
    things of."""
    problems: list[Problem] = []
    configuration = None
    try:
        configuration = load(directory) if (directory / MAIN_FILE).exists() else None
    except ConfigurationProblems as error:
        problems += error.problems
    try:
        return configuration, load_policies(directory, configuration), problems
    except ConfigurationProblems as error:
        return configuration, None, [*problems, *error.problems]


def _groups(configuration: Configuration | None, policies: Policies | None, now: datetime) -> dict[str, int]:
    if policies is None:
        return {}
    return groups_of(policies.in_force(now.date())) if configuration is None else groups_asked(configuration, policies, now)


def _without_members(configuration: Configuration | None, asked: dict[str, int]) -> list[Problem]:
    if configuration is None:
        raise CommandFailed("--store: there is no usable bankgate.toml in this directory that names a store", USAGE)
    accounts = run(lambda: _accounts(configuration))
    return [Problem(POLICIES, "", problem, "see: bankgate people list") for problem in too_few(configuration, asked, accounts)]


async def _accounts(configuration: Configuration) -> "list[Account]":
    from gateway.store.address import is_postgres, sqlite_file
    from gateway.store.factory import open_store

    if not is_postgres(configuration.store) and not sqlite_file(configuration.store, configuration.directory).exists():
        return []  # nobody yet; a look makes no database
    store = open_store(configuration.store, configuration.directory, clock.now, database=configuration.database)
    await store.open()
    try:
        return await store.accounts()
    finally:
        await store.close()


def _rows(policies: Policies, now: datetime) -> list[dict[str, Any]]:
    in_force = policies.in_force(now.date())
    return [
        {
            "policy": one.id,
            "version": one.version,
            "valid": f"{one.valid_from} to {one.valid_until}" if one.valid_until else f"from {one.valid_from}",
            "in_force": "yes" if one in in_force else "no",
            "default": one.default,
            "rules": sum(1 for _ in one.rules()),
        }
        for one in policies.documents
    ]


def _caller(name: str | None, configuration: Configuration) -> str:
    names = [caller.name for caller in configuration.callers]
    if name is None and len(names) == 1:
        return names[0]
    if name not in names:
        raise CommandFailed(f"--caller: say which of {', '.join(names)}", USAGE)
    return name


def _moment(text: str | None) -> datetime:
    if text is None:
        return clock.now()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise CommandFailed(f"--at {text}: is no moment with its offset; write 2026-11-25T10:00+01:00", USAGE)
    return moment.astimezone(UTC)


def _subject(wanted: _Wanted, place: int, order: PaymentOrder) -> Subject:
    """A payment as the service would store it. Raises `CommandFailed` for one that it would not take."""
    settings = wanted.configuration.connections.get(order.connection_id)
    if settings is None:
        known = ", ".join(wanted.configuration.connections)
        raise CommandFailed(f"payments[{place}].connection_id: there is no connection of that name; there are: {known}")
    payment_id = f"{place + 1:032x}"
    checked = OrderCheck(settings, bank_of(settings)).check(order, payment_id, wanted.at.date())
    if checked.violations:
        lines = [f"payments[{place}].{one.field}: {one.message_en} [{one.rule}]" for one in checked.violations]
        raise CommandFailed("\n".join(lines))
    return Subject(
        payment_id=payment_id,
        caller=wanted.caller,
        connection_id=order.connection_id,
        submitted_at=wanted.at,
        submitted_by=wanted.submitted_by,
        terms=checked.terms,
        transfer=checked.transfer,
    )


def _verdicts(policies: Policies, subjects: Sequence[Subject], now: datetime, *, known: bool) -> list[Verdict]:
    """In order, each counted for the next; nothing was paid before."""
    needs = Needs()
    for subject in subjects:
        needs |= questions(policies, subject, now)
    paid = now - _LONG_KNOWN if known else None
    looked_up = Known(usage=dict.fromkeys(needs.usage, Used()), creditors=dict.fromkeys(needs.creditors, paid))
    return [Verdict(findings=findings) for findings in judge_in_order(policies, subjects, looked_up, now)]


def _as_json(order: PaymentOrder, verdict: Verdict) -> dict[str, Any]:
    return {
        "payment_reference": order.payment_reference,
        "outcome": verdict.outcome.name.lower(),
        "findings": [_finding(finding) for finding in verdict.findings],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "version": finding.version,
        "outcome": finding.outcome.name.lower(),
        "text_en": finding.text_en,
        "text_zh": finding.text_zh,
        "facts": dict(finding.facts),
        "steps": [{"group": step.group, "count": step.count} for step in finding.steps],
    }
