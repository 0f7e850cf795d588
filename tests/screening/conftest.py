"""Lists of invented names, and payments to screen against them."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from formats.model import Account, Agent, CreditTransfer, Party, PaymentTerms
from gateway.policy.screening.entries import ListAction, ListEntry, ScreeningList
from gateway.policy.screening.screen import Screen, ScreenRules
from gateway.policy.subject import Subject
from gateway.screening_lists import ScreeningProblems, read_list
from gateway.screening_settings import ListSettings

TODAY = date(2026, 11, 26)
MakeScreen = Callable[..., Screen]
MakeSubject = Callable[..., Subject]


def made_list(*entries: ListEntry, name: str = "watch", action: str = "block", sha256: str = "0" * 64) -> ScreeningList:
    return ScreeningList(
        id=name,
        kind="own",
        source=f"{name}.csv",
        date=date(2026, 11, 20),
        sha256=sha256,
        action=ListAction(action),
        entries=entries,
    )


@pytest.fixture
def screen() -> MakeScreen:
    def make(*lists: ScreeningList, **rules: Any) -> Screen:
        return Screen(lists, ScreenRules(**rules))

    return make


@pytest.fixture
def subject() -> MakeSubject:
    def make(name: str | None = "Rosa Bianchi", account: str | None = "CH9300762011623852957", **transfer: Any) -> Subject:
        own = Account(iban="DE89370400440532013000")
        return Subject(
            payment_id="p1",
            caller="erp",
            connection_id="house",
            submitted_at=datetime(2026, 11, 26, 9, tzinfo=UTC),
            submitted_by=None,
            terms=PaymentTerms(
                debtor=Party(name="Muster GmbH"),
                debtor_account=own,
                debtor_agent=Agent(bic="COBADEFFXXX"),
                requested_execution_date=TODAY,
            ),
            transfer=CreditTransfer(
                instruction_id="1",
                end_to_end_id="1",
                amount=Decimal("10.00"),
                currency="EUR",
                creditor=Party(name=name),
                creditor_account=Account(iban=account) if account else None,
                **transfer,
            ),
        )

    return make


ALT = '36,1,"aka","FROLOFF, Boris",-0- \r\n36,2,"fka","THE HAMMER",-0- \r\n'


class Lists:
    """A directory of lists; reading one gives the list."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def settings(self, content: str | bytes, kind: str = "own", file: str = "list.csv", **more: Any) -> ListSettings:
        (self.path / file).write_bytes(content if isinstance(content, bytes) else content.encode())
        return ListSettings.model_validate({"id": "watch", "file": file, "kind": kind, **more})

    def read(self, content: str | bytes, kind: str = "own", file: str = "list.csv", **more: Any) -> ScreeningList:
        return read_list(self.path, self.settings(content, kind, file, **more))

    def problems(self, content: str | bytes, kind: str = "own", file: str = "list.csv", **more: Any) -> list[str]:
        with pytest.raises(ScreeningProblems) as error:
            self.read(content, kind, file, **more)
        return [str(problem) for problem in error.value.problems]


@pytest.fixture
def lists(tmp_path: Path) -> Lists:
    (tmp_path / "alt.csv").write_text(ALT, encoding="utf-8")
    return Lists(tmp_path)
