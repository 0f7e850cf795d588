"""`bankgate banks`: which bank plugins there are, a new one, its card, and what its samples would expect today."""

import keyword
import re
from collections.abc import Iterator
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.markup import escape
from rich.table import Table

import formats
from formats import banks
from formats.bank import ENTRY_POINT_GROUP, BankFormat, discover
from formats.conformance.card import Card, Line, Verdict
from formats.conformance.proposals import proposals
from formats.conformance.suite import case_of, score
from gateway.cli.bank_codes import codes
from gateway.cli.output import PROBLEMS, USAGE, CommandFailed, Json, Language, out, print_json, print_table
from gateway.cli.scaffold import SAMPLE_FOLDERS, files_of, package_of
from gateway.cli.standalone import as_dict
from gateway.errors import OrderViolation

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Bank plugins.")
app.command()(codes)

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{1,40}")
_STYLES: Final = {Verdict.DONE: "green", Verdict.FAILED: "bold red", Verdict.EXEMPT: "yellow"}
_VERDICTS_ZH: Final = {Verdict.DONE: "通过", Verdict.FAILED: "失败", Verdict.EXEMPT: "豁免"}

SamplesOption = Annotated[
    Path | None,
    typer.Option(
        "--samples", help="Folder of the samples. Absent: samples/ of the package; for our own, tests/formats/banks/NAME."
    ),
]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Show the bank plugins there are."""
    rows = [_described(bank) for _, bank in sorted(_plugins().items())]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("bank", "sends", "reads", "currencies", "time zone"),
        [
            (
                row["name"],
                ", ".join(_span(message) for message in row["sends"]),
                ", ".join(row["reads"]),
                ", ".join(row["currencies"] or ("any",)),
                row["time_zone"],
            )
            for row in rows
        ],
    )


def _plugins() -> dict[str, BankFormat]:
    """The plugins by name. Raises `CommandFailed` where one cannot even be loaded."""
    try:
        return discover()
    except Exception as error:  # whatever is wrong in somebody's plugin
        raise CommandFailed(f"a bank plugin cannot be loaded: {type(error).__name__}: {error}") from error


def _plugin(name: str) -> BankFormat:
    found = _plugins()
    if name not in found:
        raise CommandFailed(f"no bank plugin is called {name!r}; there are: {', '.join(sorted(found))}", USAGE)
    return found[name]


def _described(bank: BankFormat) -> dict[str, Any]:
    can = bank.capabilities
    return {
        "name": bank.name,
        "sends": [
            {
                "message": name,
                "valid_from": validity.valid_from.isoformat() if validity.valid_from else None,
                "valid_until": validity.valid_until.isoformat() if validity.valid_until else None,
            }
            for name, validity in can.sends.items()
        ],
        "reads": list(can.reads),
        "currencies": sorted(can.currencies) if can.currencies is not None else None,
        "transfers_max": can.transfers_max,
        "horizon_days": can.horizon_days,
        "time_zone": can.time_zone,
    }


def _span(message: dict[str, Any]) -> str:
    text = str(message["message"])
    if message["valid_from"]:
        text += f" from {message['valid_from']}"
    if message["valid_until"]:
        text += f" until {message['valid_until']}"
    return text


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the plugin: small letters, digits and _.")],
    into: Annotated[Path | None, typer.Option(help="Folder to make. Absent: bankgate-NAME.", file_okay=False)] = None,
) -> None:
    """Write a new plugin: a package with an empty bank, a folder for its samples, and tests that say what is missing."""
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise CommandFailed(f"{name!r}: a name starts with a small letter and goes on with small letters, digits and _", USAGE)
    if name in _plugins():
        raise CommandFailed(f"there is a plugin {name!r} already")
    folder = into or Path(f"bankgate-{name.replace('_', '-')}")
    files = {folder / path: text for path, text in files_of(name).items()}
    for path in files:
        if path.exists():
            raise CommandFailed(f"{path} exists already, and is left as it is")
    samples = folder / package_of(name) / "samples"
    try:
        for part in SAMPLE_FOLDERS:
            (samples / part).mkdir(parents=True, exist_ok=True)
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            out().print(f"wrote {path}", markup=False)
    except OSError as error:
        raise CommandFailed(f"{error.filename or folder}: {error.strerror}") from None
    out().print(
        f"Next: cd {folder}; pip install --no-deps -e .; pytest\nThe tests fail and say what to fill in (docs/add-a-bank.md).",
        markup=False,
    )


@app.command("score")
def score_(
    name: Annotated[str | None, typer.Argument(help="The plugin; absent: all.")] = None,
    samples: SamplesOption = None,
    as_json: Json = False,
    language: Annotated[Language, typer.Option(help="In which language rules are named; --json has both.")] = Language.EN,
) -> None:
    """Print the card of a plugin: every rule done, failed, or exempt with its reason. Exit status 1 where one failed."""
    chosen = [_plugin(name)] if name else [bank for _, bank in sorted(_plugins().items())]
    if samples is not None and name is None:
        raise CommandFailed("--samples is the folder of one plugin; name it", USAGE)
    cards = [score(bank, *_whereabouts(bank, samples)) for bank in chosen]
    if as_json:
        print_json([_card(card) for card in cards])
    else:
        for card in cards:
            _show(card, language)
    if not all(card.passed for card in cards):
        raise typer.Exit(PROBLEMS)


@app.command()
def propose(name: Annotated[str, typer.Argument(help="The plugin.")], samples: SamplesOption = None) -> None:
    """Write what the samples would expect today, where nothing or something else is expected, as FILE.proposed to be read."""
    bank = _plugin(name)
    folder, plugin = _whereabouts(bank, samples)
    if not folder.is_dir():
        raise CommandFailed(f"{folder}: there is no such folder; name the samples' with --samples", USAGE)
    count = 0
    for file, content in proposals(case_of(bank, folder, plugin)):
        path = folder / f"{file}.proposed"
        try:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        except OSError as error:
            raise CommandFailed(f"{path}: {error.strerror}") from None
        out().print(f"wrote {path}", markup=False)
        count += 1
    todo = (
        "Read each against the bank's guide; where it is right, take .proposed off its name." if count else "nothing to propose"
    )
    out().print(todo, markup=False)


def _whereabouts(bank: BankFormat, samples: Path | None) -> tuple[Path, str]:
    """The folder of a bank's samples, and how its plugin's file is called."""
    own = Path(banks.__path__[0]) / f"{bank.name}.py"
    if own.exists():
        root = Path(formats.__file__).parents[1]
        return samples or _near(root / "tests" / "formats" / "banks" / bank.name), f"formats/banks/{bank.name}.py"
    for file in _outside(bank):
        return samples or _near(file.parent / "samples"), "/".join(file.parts[-2:])
    return samples or Path("samples"), "the plugin"


def _outside(bank: BankFormat) -> Iterator[Path]:
    """The file of an outside package's plugin."""
    for point in entry_points(group=ENTRY_POINT_GROUP):
        loaded = point.load()
        if getattr(loaded, "BANK", loaded) is bank:
            spec = find_spec(point.module)
            if spec is not None and spec.origin is not None:
                yield Path(spec.origin)


def _near(path: Path) -> Path:
    """The path as seen from here, where it is below."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _show(card: Card, language: Language) -> None:
    """The card for people."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for _ in range(2):
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    chinese = language is Language.ZH
    for line in card.lines:
        verdict = _VERDICTS_ZH[line.verdict] if chinese else line.verdict.value
        title = line.title_zh if chinese else line.title_en
        text = f"{title}: {line.text}" if line.text else title
        table.add_row(f"[{_STYLES[line.verdict]}]{verdict}[/]", line.rule, escape(text))
        for problem in line.problems:
            table.add_row("", "", escape(f"- {problem}"))
    counts = ", ".join(f"{card.count(verdict)} {verdict.value}" for verdict in Verdict)
    console = out()
    console.print(f"[bold]{escape(card.bank)}[/]: {counts}; samples in {escape(card.samples)}")
    console.print(table)


def _card(card: Card) -> dict[str, Any]:
    """The card for machines. Violations have the words of `bankgate.v1.Violation`."""
    rules = [{"rule": line.rule, "verdict": line.verdict.value, **_line(line)} for line in card.lines]
    return {"bank": card.bank, "samples": card.samples, "passed": card.passed, "rules": rules}


def _line(line: Line) -> dict[str, Any]:
    return {
        "title_en": line.title_en,
        "title_zh": line.title_zh,
        "text": line.text,
        "problems": [
            {
                "place": problem.place,
                "problem": problem.problem,
                "direction": problem.direction,
                "subject": problem.subject or None,
                "violations": [
                    as_dict(OrderViolation(index=index, payment_reference="", violation=violation))
                    for index, violation in problem.violations
                ],
            }
            for problem in line.problems
        ],
    }
