"""`bankgate demo`: the main job on this machine, shown as it happens, and judged at the end."""

import asyncio
import shutil
import tempfile
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from gateway.demo.play import Demo, Outcome
from gateway.demo.processes import DidNotStart

FINE, FAILED, CANNOT = 0, 1, 3


def run_demo(directory: Path | None = None, *, keep: bool = False, console: Console | None = None) -> int:
    """Plays the demo; exit status 0 only if every payment ended as expected.

    `directory`: where to play, which must not exist yet; by default a temporary place that is removed unless `keep` is set or
    something went wrong.
    """
    console = console or Console()
    place = directory or Path(tempfile.mkdtemp(prefix="bankgate-demo-"))
    place.mkdir(parents=True, exist_ok=directory is None)
    try:
        outcome = asyncio.run(_play(place, console))
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


async def _play(place: Path, console: Console) -> Outcome:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("payments at their end", total=None)
        demo = Demo(place, lambda text: progress.console.print(f"[dim]·[/dim] {text}"))
        return await demo.run(lambda done, total: progress.update(task, completed=done, total=total))


def _show(outcome: Outcome, console: Console) -> None:
    console.print(_outcomes(outcome))
    refused = Table(title="Refused at the door, nothing stored", title_justify="left")
    for column in ("what was asked", "answer", "why"):
        refused.add_column(column, overflow="fold")
    refused.add_row("same reference, same content", "OK", "answered as before; stored once")
    for story, refusal in outcome.refusals.items():
        why = "\n".join(f"{broken.field}: {broken.text}" for broken in refusal.broken) or refusal.text
        refused.add_row(story, refusal.code, why)
    console.print(refused)
    for line in outcome.doubted:
        console.print(f"[yellow]in doubt[/yellow] after a lost answer, resolved by evidence: {line}")
    balances = Table(title="Statements against payments", title_justify="left")
    for column in ("account", "opening", "opening − settled payments", "statement closes at", ""):
        balances.add_column(column, justify="left" if column == "account" else "right")
    for account, opening, expected, closing in outcome.balances:
        agrees = "[green]agrees[/green]" if closing == expected else "[red]differs[/red]"
        balances.add_row(f"…{account[-4:]}", f"{opening:,.2f}", f"{expected:,.2f}", f"{closing or 0:,.2f}", agrees)
    console.print(balances)
    marks = ", ".join(f"{what} {seconds:.1f} s" for what, seconds in outcome.seconds.items())
    console.print(f"executed twice at the bank: {outcome.executed_twice}   ·   {marks}")
    if outcome.failures:
        console.print("[red]Not as expected:[/red]")
        for failure in outcome.failures[:20]:
            console.print(f"  [red]·[/red] {failure}")
    else:
        console.print(f"[green]All {len(outcome.parts)} payments ended as expected.[/green]")


def _outcomes(outcome: Outcome) -> Table:
    """One row for each story, connection and end, with the reason in plain words."""
    table = Table(title="What became of every payment", title_justify="left")
    for column in ("payments", "connection", "end", "reason", "说明", "as expected"):
        table.add_column(column, overflow="fold")
    rows: Counter[tuple[str, ...]] = Counter()
    for part in outcome.parts:
        ended = outcome.ended.get(part.reference)
        state, code = (ended.state, ended.code) if ended else ("nothing heard", "")
        as_expected = (state, code) == (part.expected.state, part.expected.code)
        words = (ended.text_en, ended.text_zh) if ended else ("", "")
        shown_code = "" if code.startswith("bankgate.") else f"{code}: "
        rows[
            part.expected.story,
            part.request["connection_id"],
            state,
            shown_code + words[0],
            words[1],
            "[green]yes[/green]" if as_expected else "[red]no[/red]",
        ] += 1
    for (story, connection, state, reason, reason_zh, good), count in sorted(rows.items(), key=lambda row: -row[1]):
        colour = {"settled": "green", "rejected": "red", "returned": "yellow"}.get(state, "white")
        table.add_row(f"{count} × {story}", connection, f"[{colour}]{state}[/{colour}]", reason, reason_zh, good)
    return table
