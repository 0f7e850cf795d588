"""`bankgate demo --bank NAME`: a Chinese bank's front machine on this machine, shown as it happens, and judged at the end."""

import asyncio
import shutil
import tempfile
from collections import Counter
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from gateway.cli.demo import CANNOT, FAILED, FINE, SHOWN_MAX
from gateway.cli.output import USAGE
from gateway.demo.erp import Doubt
from gateway.demo.front_play import FrontDemo, FrontOutcome
from gateway.demo.fronts import FRONTS
from gateway.demo.processes import DidNotStart
from gateway.demo.scenery import SQLITE
from keys.seal import KeyUnavailable


def run_front_demo(
    bank: str, directory: Path | None = None, *, keep: bool = False, store: str = SQLITE, console: Console | None = None
) -> int:
    """As `gateway.cli.demo.run_demo`, for one of `FRONTS`."""
    console = console or Console()
    if bank not in FRONTS:
        console.print(f"there is no demo of a bank {bank!r}; there are: {', '.join(sorted(FRONTS))}")
        return USAGE
    place = directory or Path(tempfile.mkdtemp(prefix="bankgate-demo-"))
    place.mkdir(parents=True, exist_ok=directory is None, mode=0o700)
    try:
        outcome = asyncio.run(_play(bank, place, console, store))
    except (DidNotStart, KeyUnavailable) as problem:
        console.print(f"[red]{problem}[/red]")
        console.print(f"logs: {place}")
        return CANNOT
    _show(outcome, console)
    if outcome.failures or keep or directory is not None:
        console.print(f"everything is left in {place}: logs, configuration, database")
        return FAILED if outcome.failures else FINE
    shutil.rmtree(place)
    return FINE


async def _play(bank: str, place: Path, console: Console, store: str) -> FrontOutcome:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        demo = FrontDemo(bank, place, lambda text: progress.console.print(f"[dim]·[/dim] {text}"), store)
        task = progress.add_task("payments at their end", total=len(demo.outcome.parts))
        return await demo.run(lambda done, total: progress.update(task, completed=done, total=total))


def _show(outcome: FrontOutcome, console: Console) -> None:
    console.print()
    console.print(_outcomes(outcome))
    console.print(f"[bold]Answers that were lost[/bold]: {len(outcome.doubted)} messages were in doubt, and none was guessed at.")
    for doubt in outcome.doubted:
        console.print(_doubt_in_words(doubt))
    console.print(f"The bank executed {outcome.executed} payments; twice, by its own books: {outcome.executed_twice or 'none'}.")
    if outcome.balance is None:
        console.print("This bank's documents describe no balance question; the books were compared directly.")
    else:
        books, told = outcome.balance
        mark = "[green]✓ agrees[/green]" if books == told else "[red]✗ differs[/red]"
        console.print(f"Balance by the bank's books {books:,.2f} CNY, as it told us {told:,.2f} CNY: {mark}")
    marks = ", ".join(f"{what} {seconds:.1f}" for what, seconds in outcome.seconds.items())
    console.print(f"Seconds since the start: {marks}.")
    if outcome.failures:
        console.print("[red]Not as expected:[/red]")
        for failure in outcome.failures[:SHOWN_MAX]:
            console.print(f"  [red]·[/red] {failure}")
    else:
        console.print(f"[green]All {len(outcome.parts)} payments ended as expected.[/green]")


def _outcomes(outcome: FrontOutcome) -> Table:
    """One row for each story and end, with the reason in plain words."""
    title = f"What became of every payment at {outcome.bank}"
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for column, justify in (("payment", "left"), ("number", "right"), ("end", "left"), ("why", "left")):
        table.add_column(column, overflow="fold", justify=justify)  # type: ignore[arg-type]
    rows: Counter[tuple[str, str, str]] = Counter()
    for part in outcome.parts:
        ended = outcome.ended.get(part.reference)
        state = ended.state if ended else "unheard of"
        mark = "[green]✓[/green]" if state == part.state else "[red]✗[/red]"
        colour = {"settled": "green", "rejected": "red", "returned": "yellow"}.get(state, "white")
        code = ended.code if ended else ""
        words = f"{code}: {ended.text_en}\n{ended.text_zh}" if ended else ""
        rows[part.story, f"{mark} [{colour}]{state}[/{colour}]", words] += 1
    for (story, end, words), count in sorted(rows.items(), key=lambda row: -row[1]):
        table.add_row(story, str(count), end, words)
    return table


def _doubt_in_words(doubt: Doubt) -> str:
    times = "once" if doubt.sendings == 1 else f"{doubt.sendings} times"
    return f"  · {doubt.message_id}, sent {times}\n    [green]the proof:[/green] {doubt.proof} ({doubt.detail})"
