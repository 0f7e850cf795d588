"""`bankgate demo`: the main job on this machine, shown as it happens, and judged at the end."""

import asyncio
import shutil
import tempfile
from collections import Counter
from decimal import Decimal
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from gateway.demo.erp import Doubt
from gateway.demo.play import Demo, Outcome
from gateway.demo.processes import DidNotStart
from gateway.demo.scenery import SQLITE

FINE, FAILED, CANNOT = 0, 1, 3
SHOWN_MAX = 20


def run_demo(directory: Path | None = None, *, keep: bool = False, store: str = SQLITE, console: Console | None = None) -> int:
    """Plays the demo over an empty `store`; exit status 0 only if every payment ended as expected.

    `directory`: where to play, which must not exist yet; by default a temporary place that is removed unless `keep` is set or
    something went wrong.
    """
    console = console or Console()
    place = directory or Path(tempfile.mkdtemp(prefix="bankgate-demo-"))
    place.mkdir(parents=True, exist_ok=directory is None, mode=0o700)
    try:
        outcome = asyncio.run(_play(place, console, store))
    except DidNotStart as problem:
        console.print(f"[red]{problem}[/red]")
        console.print(f"logs: {place}")
        return CANNOT
    _show(outcome, console)
    if outcome.failures:
        console.print(f"everything is left in {place}: logs, configuration, database")
        return FAILED
    if directory is None and not keep:
        shutil.rmtree(place)
    else:
        console.print(f"everything is left in {place}: logs, configuration, database")
    return FINE


async def _play(place: Path, console: Console, store: str) -> Outcome:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        demo = Demo(place, lambda text: progress.console.print(f"[dim]·[/dim] {text}"), store)
        task = progress.add_task("payments at their end", total=len(demo.outcome.parts))
        return await demo.run(lambda done, total: progress.update(task, completed=done, total=total))


def _show(outcome: Outcome, console: Console) -> None:
    console.print()
    console.print(_outcomes(outcome))
    console.print(_refusals(outcome))
    for doubt in outcome.doubted:
        console.print(_doubt_in_words(doubt))
    console.print(_balances(outcome))
    twice = "none" if not outcome.executed_twice else f"[red]{outcome.executed_twice}[/red]"
    console.print(f"Payments executed twice, by the bank's own books: {twice}.")
    marks = ", ".join(f"{what} {seconds:.1f}" for what, seconds in outcome.seconds.items())
    console.print(f"Seconds since the start: {marks}.")
    if outcome.failures:
        console.print("[red]Not as expected:[/red]")
        for failure in outcome.failures[:SHOWN_MAX]:
            console.print(f"  [red]·[/red] {failure}")
        if len(outcome.failures) > SHOWN_MAX:
            console.print(f"  and {len(outcome.failures) - SHOWN_MAX} more")
    else:
        console.print(f"[green]All {len(outcome.parts)} payments ended as expected.[/green]")


def _outcomes(outcome: Outcome) -> Table:
    """One row for each story and end, with how many of either connection, and the reason in plain words."""
    kinds = {part.request["connection_id"]: part.request["connection_id"].rpartition("-")[2].upper() for part in outcome.parts}
    table = _table("What became of every payment", "payment", *kinds.values(), "end", "why")
    rows: dict[tuple[str, ...], Counter[str]] = {}
    for part in outcome.parts:
        ended = outcome.ended.get(part.reference)
        state, code = (ended.state, ended.code) if ended else ("unheard of", "")
        as_expected = (state, code) == (part.expected.state, part.expected.code)
        mark = "[green]✓[/green]" if as_expected else "[red]✗[/red]"
        colour = {"settled": "green", "rejected": "red", "returned": "yellow"}.get(state, "white")
        words = f"{'' if code.startswith('bankgate.') else f'{code}: '}{ended.text_en}\n{ended.text_zh}" if ended else ""
        row = (part.expected.story, f"{mark} [{colour}]{state}[/{colour}]", words)
        rows.setdefault(row, Counter())[part.request["connection_id"]] += 1
    for (story, end, words), count in sorted(rows.items(), key=lambda row: -row[1].total()):
        table.add_row(story, *(str(count[kind] or "") for kind in kinds), end, words)
    return table


def _refusals(outcome: Outcome) -> Table:
    """What the gateway said no to, and how it said it."""
    table = _table("Asked again, or refused at the door; nothing was stored", "asked", "answered")
    table.add_row("same reference, same content", "OK\nThe first answer again; the payment exists once.")
    for story, refusal in outcome.refusals.items():
        fields_by_text: dict[str, list[str]] = {}
        for one in refusal.broken:
            field, text = one.field.removeprefix("payments[0]."), one.text.partition(" [")[0]
            fields_by_text.setdefault(text, []).append(field)
        why = "\n".join(f"{', '.join(fields)}: {text}" for text, fields in fields_by_text.items())
        table.add_row(story, f"{refusal.code}\n{why or refusal.text}")
    return table


def _doubt_in_words(doubt: Doubt) -> str:
    """What a lost answer meant, and what settled the doubt."""
    return (
        f"[bold]The answer that was lost[/bold]\n\n"
        f"{doubt.connection_id} handed the bank the message {doubt.message_id}: {doubt.payments} payments, "
        f"{Decimal(doubt.control_sum):,.2f} EUR. Then the line broke, before the bank had said whether it took the file. "
        f"It may have it or not: sending once more could pay {doubt.payments} payees twice, forgetting it could pay none. "
        f"So the gateway called it [yellow]in doubt[/yellow], sent nothing again, and looked for proof.\n"
        f"[green]The proof:[/green] {doubt.proof} ({doubt.detail}). The bank has the message; its bytes were sent "
        f"{'once' if doubt.sendings == 1 else f'{doubt.sendings} times'}.\n"
    )


def _balances(outcome: Outcome) -> Table:
    table = _table(
        "The bank's statements against the payments", "account", "opened with", "less what settled", "statement says", ""
    )
    for column in table.columns[1:4]:
        column.justify = "right"
    for account, opening, expected, closing in outcome.balances:
        agrees = "[green]✓ agrees[/green]" if closing == expected else "[red]✗ differs[/red]"
        said = "nothing" if closing is None else f"{closing:,.2f}"
        table.add_row(f"…{account[-4:]}", f"{opening:,.2f}", f"{expected:,.2f}", said, agrees)
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", justify="right" if column.isupper() else "left")
    return table
