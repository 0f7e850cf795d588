"""`bankgate screening`: whether somebody stands on a list, which lists there are, and what people decided about hits."""

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from formats import checks
from gateway import clock
from gateway.cli import screening_decisions
from gateway.cli.output import PROBLEMS, CommandFailed, Json, Language, print_json, print_table, print_warning
from gateway.cli.serve import loaded
from gateway.config import Configuration
from gateway.policy.screening.plausible import implausible
from gateway.policy.screening.screen import Looked, Screen
from gateway.policy.verdict import Finding, Outcome, verdict_of
from gateway.screening_lists import bounds_of, load_screen, old_lists

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Screening lists: who is on them, which there are, and who was cleared."
)

for _name in ("hits", "clear", "cleared", "revoke"):
    app.command(_name)(getattr(screening_decisions, _name))

Config = Annotated[Path, typer.Option(help="The configuration directory.", envvar="BANKGATE_CONFIG")]
_DECISION: Final = ("list", "entry", "entry_digest")


@app.command("check")
def check(  # noqa: PLR0917 - typer's: the options of a command
    name: Annotated[str, typer.Argument(help="The name of a payee.")],
    account: Annotated[str, typer.Option(help="The payee's account: IBAN or other number.")] = "",
    bic: Annotated[str, typer.Option(help="The payee's bank.")] = "",
    country: Annotated[str, typer.Option(help="Where the payee is, ISO 3166-1.")] = "",
    config: Config = Path(),
    language: Annotated[Language, typer.Option(help="The language of the reasons.")] = Language.EN,
    as_json: Json = False,
) -> None:
    """Say what screening would find in a payment to NAME. Exit status 1 if it would hold or block it."""
    screen = _screen(loaded(config))
    looked = Looked(
        names=(("creditor", name),),
        account="".join(account.split()).upper(),
        bics=(("creditor_agent", bic),) if bic else (),
        countries=tuple(
            (where, code.upper())
            for where, code in (("creditor", country), ("creditor_account", _iban_country(account)), ("creditor_agent", bic[4:6]))
            if code
        ),
    )
    findings = screen.look(looked, clock.now().date())
    outcome = verdict_of(findings).outcome
    if as_json:
        told = [_told(finding) for finding in findings]
        print_json({"outcome": outcome.name.lower(), "screen": screen.digest, "findings": told})
    else:
        texts = (finding.text_zh if language is Language.ZH else finding.text_en for finding in findings)
        rows = zip(findings, texts, strict=True)
        print_table(
            ("outcome", "score", "rule", "why", "for a decision: list, entry, digest"),
            [(one.outcome.name.lower(), one.score, one.rule, text, _decision(one)) for one, text in rows],
        )
        if not findings:
            typer.echo(f"nothing on {len(screen.lists)} lists")
    if outcome > Outcome.PASS:
        raise typer.Exit(PROBLEMS)


@app.command("lists")
def lists(config: Config = Path(), as_json: Json = False) -> None:
    """Read all lists and say how old and long they are. Exit status 1 if one is older or shorter than its settings allow."""
    configuration = loaded(config)
    screen = _screen(configuration)
    today = clock.now().date()
    old = {one.id: age for one, age in old_lists(screen.lists, configuration.screening, today)}
    if as_json:
        print_json(
            {
                "screen": screen.digest,
                "lists": [
                    {
                        "id": one.id,
                        "kind": one.kind,
                        "file": one.source,
                        "action": one.action.value,
                        "date": one.date.isoformat(),
                        "age_days": (today - one.date).days,
                        "old": one.id in old,
                        "entries": len(one.entries),
                        "names": one.names,
                        "skipped": one.skipped,
                        "unknown": list(one.notices),
                        "sha256": one.sha256,
                    }
                    for one in screen.lists
                ],
            }
        )
    else:
        print_table(
            ("list", "kind", "action", "date", "entries", "names", "left out", "sha256", "file"),
            [
                (
                    *(one.id, one.kind, one.action.value, one.date.isoformat(), len(one.entries), one.names, one.skipped),
                    *(one.sha256, one.source),
                )
                for one in screen.lists
            ],
        )
        typer.echo(f"screen {screen.digest}")
    for one in screen.lists:
        for text in one.notices:
            print_warning(f"list {one.id} has what no reader knows, and is read without it: {text}")
    for name, age in old.items():
        print_warning(f"list {name} is {age} days old: fetch a newer one")
    bounds = bounds_of(configuration.screening)
    small = {one.id: words for one in screen.lists if (words := implausible(one, None, bounds[one.id])) is not None}
    for name, (text, _) in small.items():
        print_warning(f"list {name} is not plausible: {text}")
    if old or small:
        raise typer.Exit(PROBLEMS)


def _screen(configuration: Configuration) -> Screen:
    if not configuration.screening.lists:
        raise CommandFailed("the configuration has no screening lists: [[screening.lists]] in bankgate.toml")
    return load_screen(configuration.directory, configuration.screening)


def _iban_country(account: str) -> str:
    compact = "".join(account.split()).upper()
    return compact[:2] if checks.iban_fault(compact) is None else ""


def _told(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "version": finding.version,
        "outcome": finding.outcome.name.lower(),
        "score": finding.score,
        "text_en": finding.text_en,
        "text_zh": finding.text_zh,
        "facts": dict(finding.facts),
    }


def _decision(finding: Finding) -> str:
    facts = dict(finding.facts)
    return ", ".join(facts[name] for name in _DECISION if name in facts)
