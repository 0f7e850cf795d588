"""`bankgate explain`: what a bank's code means, in plain words."""

from typing import Annotated

import typer

from formats.codes import meanings
from gateway.cli.output import PROBLEMS, Json, Language, out, print_error, print_json

Codes = Annotated[
    list[str], typer.Argument(metavar="CODE…", help="AC04, RJCT, PMNT-RCDT-ESCT, NTRF, RJCR …; as it stands in the file.")
]


def explain(
    codes: Codes,
    *,
    language: Annotated[Language, typer.Option("--language", help="In which language.")] = Language.EN,
    as_json: Json = False,
) -> None:
    """Say what codes of banks mean: statuses, reasons, bookings, cancellations, charges. Everything a code can mean, by kind."""
    found = {code: meanings(code) for code in codes}
    if as_json:
        print_json([{"code": code, **one._asdict()} for code, all_of in found.items() for one in all_of])
    chinese = language is Language.ZH
    for code, all_of in found.items():
        if not all_of:
            print_error(f"{code}: no table has this code; ask the bank what it means")
        for one in () if as_json else all_of:
            kind, text = (one.kind_zh, one.text_zh) if chinese else (one.kind_en, one.text_en)
            out().print(f"{code} ({kind}): {text}", markup=False)
    if not all(found.values()):
        raise typer.Exit(PROBLEMS)
