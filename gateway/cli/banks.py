"""`bankgate banks`: which bank plugins there are, a new one, and what can be said of one today."""

import io
import keyword
import re
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

import typer

from formats.bank import BankFormat, UnknownBank, bank_named, discover
from formats.errors import Unparsable, Unrenderable, refusing
from formats.model import Account, Agent, CreditTransfer, Party, PaymentTerms, PostalAddress
from formats.schemas import SchemaUnavailable, SchemaViolation, validate_outbound
from gateway import clock
from gateway.cli.output import PROBLEMS, USAGE, CommandFailed, Json, out, print_json, print_table
from gateway.cli.standalone import Judged, initiation

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Bank plugins.")

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{1,40}")

_PLUGIN: Final = '''"""{title}: what this bank takes and gives, as data.

Source: name here the bank's implementation guide, its version and date. Everything below is a start and not the bank's word.
"""

from formats.bank import Capabilities, Validity
from formats.iso20022 import IsoBank

BANK = IsoBank(
    name="{name}",
    capabilities=Capabilities(
        sends={{"pain.001.001.09": Validity()}},
        reads=("pain.002", "camt.052", "camt.053", "camt.054"),
        currencies=frozenset({{"EUR"}}),
        time_zone="Europe/Berlin",
    ),
)
'''

_TEST: Final = '''"""{title}: the plugin keeps its own promises. Add the bank's samples as golden values beside this file."""

from datetime import date
from decimal import Decimal
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from formats.bank import BankFormat
from formats.model import Account, Agent, CreditTransfer, Party, PaymentTerms

_SPEC = spec_from_file_location("{name}", Path(__file__).with_name("{name}.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
_MODULE = module_from_spec(_SPEC)
_SPEC.loader.exec_module(_MODULE)
BANK = _MODULE.BANK

ON = date(2026, 11, 25)
TERMS = PaymentTerms(
    debtor=Party(name="Debtor"),
    debtor_account=Account(iban="DE89370400440532013000"),
    debtor_agent=Agent(bic="COBADEFFXXX"),
    requested_execution_date=ON,
)
TRANSFER = CreditTransfer(
    instruction_id="I-1",
    end_to_end_id="E-1",
    amount=Decimal("1.00"),
    currency="EUR",
    creditor=Party(name="Creditor"),
    creditor_account=Account(iban="DE89370400440532013000"),
)


def test_it_has_the_shape_of_a_plugin() -> None:
    assert isinstance(BANK, BankFormat)
    assert BANK.name == "{name}"


def test_a_plain_payment_is_taken() -> None:
    assert BANK.check(TERMS, TRANSFER, ON) == ()
'''


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Show the bank plugins there are."""
    rows = [_described(bank) for _, bank in sorted(discover().items())]
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
    into: Annotated[Path, typer.Option(help="Directory for the plugin and its test.", file_okay=False)] = Path(),
) -> None:
    """Write a plugin of data only, with its test: a working start for a bank that speaks ISO 20022."""
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise CommandFailed(f"{name!r}: a name starts with a small letter and goes on with small letters, digits and _", USAGE)
    if name in discover():
        raise CommandFailed(f"there is a plugin {name!r} already")
    title = name.replace("_", " ").title()
    files = {into / f"{name}.py": _PLUGIN, into / f"test_{name}.py": _TEST}
    for path in files:
        if path.exists():
            raise CommandFailed(f"{path} exists already, and is left as it is")
    try:
        into.mkdir(parents=True, exist_ok=True)
        for path, text in files.items():
            path.write_text(text.format(name=name, title=title), encoding="utf-8")
            out().print(f"wrote {path}", markup=False)
    except OSError as error:
        raise CommandFailed(f"{into}: {error.strerror}") from None
    out().print(
        "Next: write down the bank's guide in it; put it into formats/banks/, or into a package of your own with an entry point\n"
        f'[project.entry-points."bankgate.formats"]  {name} = "your_package.{name}:BANK"',
        markup=False,
    )


@app.command()
def score(name: Annotated[str | None, typer.Argument(help="The plugin; absent: all.")] = None, as_json: Json = False) -> None:
    """Judge a plugin by what can be judged today: found, checks, renders the same bytes twice, keeps to the schema, reads back.

    The card of the conformance kit (samples, fuzzing, rule coverage) comes with the kit.
    """
    try:
        banks = [bank_named(name)] if name else [bank for _, bank in sorted(discover().items())]
    except UnknownBank as error:
        raise CommandFailed(str(error), USAGE) from None
    cards = {bank.name: _judge(bank) for bank in banks}
    if as_json:
        print_json([{"bank": name, "checks": checks} for name, checks in cards.items()])
    else:
        for bank_name, checks in cards.items():
            print_table(("check", "result"), list(checks.items()), title=bank_name)
        out().print("The conformance kit's card (samples, fuzzing, rule coverage) is not part of this release.")
    if any(result != "good" for checks in cards.values() for result in checks.values()):
        raise typer.Exit(PROBLEMS)


def _judge(bank: BankFormat) -> dict[str, str]:
    """Every check by name: "good", or what is not."""
    on = clock.now().astimezone(ZoneInfo(bank.capabilities.time_zone)).date()
    results = {"found by its name": "good" if bank_named(bank.name) is bank or discover()[bank.name].name == bank.name else "no"}
    for name, validity in bank.capabilities.sends.items():
        if validity.covers(on):
            results.update(_judge_message(bank, name, on))
    return results


def _judge_message(bank: BankFormat, name: str, on: date) -> dict[str, str]:
    judged = [_sample(bank, on, number) for number in (1, 2)]
    broken = [violation for one in judged for violation in refusing(bank.check(one.terms, one.transfer, on, name))]
    results = {f"{name}: takes a plain payment": "good" if not broken else "; ".join(f"{v.field} [{v.rule}]" for v in broken)}
    try:
        first, second = (_rendered(bank, judged, name, on) for _ in range(2))
    except Unrenderable as error:
        return {**results, f"{name}: renders": str(error)}
    results[f"{name}: same message, same bytes"] = "good" if first == second else "two renderings differ"
    try:
        validate_outbound(io.BytesIO(first), name)
        results[f"{name}: keeps to the schema"] = "good"
    except (SchemaViolation, SchemaUnavailable) as error:
        results[f"{name}: keeps to the schema"] = str(error)
    try:
        kinds = [record.kind for record in bank.parse(io.BytesIO(first))]
        results[f"{name}: reads back"] = "good" if kinds.count("payment") == len(judged) else f"{kinds.count('payment')} of 2"
    except Unparsable as error:
        results[f"{name}: reads back"] = str(error)
    return results


def _rendered(bank: BankFormat, judged: list[Judged], name: str, on: date) -> bytes:
    buffer = io.BytesIO()
    bank.render(initiation(judged, name, on), buffer)
    return buffer.getvalue()


def _sample(bank: BankFormat, on: date, number: int) -> Judged:
    """An ordinary payment, in a currency of the bank."""
    currencies = bank.capabilities.currencies
    currency = "EUR" if currencies is None or "EUR" in currencies else min(currencies)
    address = PostalAddress(street_name="Main Street", building_number="1", post_code="10115", town_name="Berlin", country="DE")
    terms = PaymentTerms(
        debtor=Party(name="Debtor", postal_address=address),
        debtor_account=Account(iban="DE89370400440532013000"),
        debtor_agent=Agent(bic="COBADEFFXXX"),
        requested_execution_date=on,
    )
    transfer = CreditTransfer(
        instruction_id=f"I-{number}",
        end_to_end_id=f"E-{number}",
        amount=Decimal(number),
        currency=currency,
        creditor=Party(name="Creditor", postal_address=address),
        creditor_account=Account(iban="DE89370400440532013000"),
        creditor_agent=Agent(bic="COBADEFFXXX"),
    )
    return Judged(terms, transfer, ())
