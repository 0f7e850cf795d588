"""`bankgate banks codes`: what a bank code (联行号) says, and which branches a directory has of a name."""

from pathlib import Path
from typing import Annotated, Any

import typer

from formats.dialects.cnaps import BANK_CLASSES, check_digit, has_shape, is_consistent
from formats.errors import Unparsable
from gateway.bank_directory import load_directory
from gateway.cli.output import PROBLEMS, CommandFailed, Json, print_json, print_table


def codes(
    words: Annotated[list[str], typer.Argument(help="A bank code of 12 digits, or words of a branch's name and city.")],
    directory: Annotated[
        Path | None, typer.Option(help="CSV with the columns code (行号) and name (行名).", exists=True, dir_okay=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Look at a Chinese bank code, or search a directory of branches by name."""
    text = " ".join(words)
    found: list[dict[str, Any]] = []
    if directory is not None:
        try:
            branches = load_directory(directory).search(text, limit=50)
        except Unparsable as problem:
            raise CommandFailed(f"{directory}: {problem}", PROBLEMS) from None
        found = [_described(branch.code, branch.name, branch.city) for branch in branches]
    elif has_shape(text):
        found = [_described(text, "", "")]
    else:
        raise CommandFailed("no 12 digits, and no --directory to search in", PROBLEMS)
    if as_json:
        print_json(found)
        return
    print_table(
        ("code", "branch", "city", "bank", "check digit"),
        [(one["code"], one["name"], one["city"], one["bank_zh"] or "-", one["check"]) for one in found],
    )
    if not found:
        raise CommandFailed("the directory has no such branch", PROBLEMS)


def _described(code: str, name: str, city: str) -> dict[str, Any]:
    english, chinese = BANK_CLASSES.get(code[:3], ("", ""))
    check = "right" if is_consistent(code) else f"should be {check_digit(code[:11])}"
    return {"code": code, "name": name, "city": city, "bank_en": english, "bank_zh": chinese, "check": check}
