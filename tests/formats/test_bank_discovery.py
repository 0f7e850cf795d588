"""How bank plugins are found: in the folder, through entry points, and what happens when one is wrong."""

import ast
import io
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO

import pytest

from formats import bank, banks
from formats.bank import BankFormat, Capabilities, UnknownBank, bank_named, discover
from formats.errors import Violation
from formats.model import CreditTransfer, PaymentInitiation, PaymentTerms
from formats.report import ReportRecord

LINES_PER_BANK = 60


class Foreign:
    """A bank of another package, which knows nothing of `IsoBank`."""

    name = "foreign"
    capabilities = Capabilities(sends={}, reads=())

    def check(
        self, terms: PaymentTerms, transfer: CreditTransfer, on: date, message_name: str | None = None
    ) -> tuple[Violation, ...]:
        return ()

    def render(self, message: PaymentInitiation, out: BinaryIO) -> None:
        out.write(b"foreign")

    def parse(self, source: BinaryIO) -> Iterator[ReportRecord]:
        return iter(())


def installed(monkeypatch: pytest.MonkeyPatch, *plugins: object) -> None:
    points = [SimpleNamespace(load=lambda plugin=plugin: plugin) for plugin in plugins]
    monkeypatch.setattr(bank, "entry_points", lambda group: points if group == "bankgate.formats" else [])


def test_our_own_banks_are_found_and_have_the_shape_of_a_bank() -> None:
    found = discover()
    assert {"iso20022", "sepa"} <= found.keys()
    for name, plugin in found.items():
        assert isinstance(plugin, BankFormat)
        assert plugin.name == name


def test_a_module_of_another_package_is_found_by_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, SimpleNamespace(BANK=Foreign()))
    out = io.BytesIO()
    bank_named("foreign").render(None, out)  # type: ignore[arg-type]
    assert out.getvalue() == b"foreign"


def test_an_entry_point_may_name_the_bank_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = Foreign()
    installed(monkeypatch, plugin)
    assert bank_named("foreign") is plugin


def test_two_banks_of_one_name_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, Foreign(), Foreign())
    with pytest.raises(ValueError, match="two bank plugins are called 'foreign'"):
        discover()


def test_a_plugin_without_a_bank_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, SimpleNamespace(BANK="not a bank"))
    with pytest.raises(TypeError, match="defines no BANK"):
        discover()


def test_an_unknown_bank_is_named_together_with_the_known_ones() -> None:
    with pytest.raises(UnknownBank) as raised:
        bank_named("nonesuch")
    assert raised.value.name == "nonesuch"
    assert {"iso20022", "sepa"} <= set(raised.value.known)
    assert "sepa" in str(raised.value)


@pytest.mark.parametrize("path", sorted(Path(banks.__path__[0]).glob("*.py")), ids=lambda path: path.stem)
def test_a_bank_that_is_data_stays_a_short_file(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    makes_iso_bank = any(isinstance(node, ast.Name) and node.id == "IsoBank" for node in ast.walk(ast.parse(text)))
    assert not makes_iso_bank or len(text.splitlines()) <= LINES_PER_BANK


def test_a_banks_tests_beside_it_are_taken_for_no_bank(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "test_beside.py").write_text("raise AssertionError('imported')\n", encoding="utf-8")
    monkeypatch.setattr(banks, "__path__", [*banks.__path__, str(tmp_path)])
    assert "iso20022" in discover()
