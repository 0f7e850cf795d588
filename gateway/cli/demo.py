"""`bankgate demo`: the main job on this machine, shown as it happens, and judged at the end."""

import asyncio
import shutil
import tempfile
from collections import Counter
from pathlib import Path

from rich.box import SIMPLE_HEAD
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
    console.print(_refusals(outcome))
    for line in outcome.doubted:
        console.print(f"[yellow]In doubt[/yellow] after a lost answer, never sent again, settled by evidence: {line}\n")
    console.print(_balances(outcome))
    marks = ", ".join(f"{what} {seconds:.1f} s" for what, seconds in outcome.seconds.items())
    console.print(f"Executed twice, by the bank's own books: {outcome.executed_twice}. Seconds since the start: {marks}.")
    if outcome.failures:
        console.print("[red]Not as expected:[/red]")
        for failure in outcome.failures[:20]:
            console.print(f"  [red]·[/red] {failure}")
    else:
        console.print(f"[green]All {len(outcome.parts)} payments ended as expected.[/green]")


def _outcomes(outcome: Outcome) -> Table:
    """One row for each story, connection and end, with the reason in plain words."""
    table = _table("What became of every payment", "payments", "end", "why", "as expected")
    rows: Counter[tuple[str, ...]] = Counter()
    for part in outcome.parts:
        ended = outcome.ended.get(part.reference)
        state, code = (ended.state, ended.code) if ended else ("nothing heard", "")
        as_expected = (state, code) == (part.expected.state, part.expected.code)
        words = f"{ended.text_en} {ended.text_zh}" if ended else ""
        shown_code = "" if code.startswith("bankgate.") else f"{code}: "
        colour = {"settled": "green", "rejected": "red", "returned": "yellow"}.get(state, "white")
        rows[
            f"{part.expected.story}, {part.request['connection_id']}",
            f"[{colour}]{state}[/{colour}]",
            shown_code + words,
            "[green]yes[/green]" if as_expected else "[red]no[/red]",
        ] += 1
    for (story, *cells), count in sorted(rows.items(), key=lambda row: -row[1]):
        table.add_row(f"{count} × {story}", *cells)
    return table


def _refusals(outcome: Outcome) -> Table:
    """What the gateway said no to, and how it said it."""
    table = _table("Asked again, or refused at the door: nothing stored", "asked", "answer", "why")
    table.add_row("same reference, same content", "OK", "the same answer again; stored once")
    for story, refusal in outcome.refusals.items():
        broken = {one.field.removeprefix("payments[0]."): one.text.partition(" [")[0] for one in refusal.broken}
        texts: dict[str, list[str]] = {}
        for field, text in broken.items():
            texts.setdefault(text, []).append(field)
        why = "\n".join(f"{', '.join(fields)}: {text}" for text, fields in texts.items())
        table.add_row(story, refusal.code, why or refusal.text)
    return table


def _balances(outcome: Outcome) -> Table:
    table = _table("Statements against payments", "account", "opening", "less settled payments", "statement closes at", "")
    for account, opening, expected, closing in outcome.balances:
        agrees = "[green]agrees[/green]" if closing == expected else "[red]differs[/red]"
        table.add_row(f"…{account[-4:]}", f"{opening:,.2f}", f"{expected:,.2f}", f"{closing or 0:,.2f}", agrees)
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
