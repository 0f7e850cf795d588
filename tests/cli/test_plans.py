"""`bankgate plans` against a real service."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

BENEFICIARY = {
    "beneficiary_id": "sup-7",
    "creditor": {"name": "上海远洋物流", "postal_address": {"town_name": "上海", "country": "CN"}},
    "creditor_account": {"iban": "DE89370400440532013000"},
}
TEMPLATE = {"template_id": "rent", "beneficiary_id": "sup-7", "payment": {"connection_id": "house", "amount": "{amount}"}}
ORDER = {"standing_order_id": "o-1", "template_id": "rent", "schedule": {"frequency": "FREQUENCY_MONTHLY_LAST_DAY"}}


def test_what_is_put_from_a_file_is_found_planned_paused_and_ended(bankgate: Any, service: str, tmp_path: Path) -> None:
    for name, content in (("beneficiary", BENEFICIARY), ("template", TEMPLATE), ("standing_order", ORDER)):
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps({name: content}), encoding="utf-8")
        assert bankgate("plans", "put", file, "--target", service).code == 0
    found = bankgate("plans", "search", "yuanyang", "--target", service)
    assert (found.code, "上海远洋物流" in found.out, "DE89" in found.out) == (0, True, False)
    shown = bankgate("plans", "show", "sup-7", "--target", service)
    assert "version 1, caller: " in shown.out
    orders = bankgate("plans", "list", "standing-orders", "--target", service)
    assert "lacks amount" in orders.out
    paused = json.loads(bankgate("plans", "pause", "o-1", "--reason", "x", "--target", service, "--json").out)
    assert paused["state"] == "PLAN_STATE_PAUSED"
    assert bankgate("plans", "resume", "o-1", "--target", service).code == 0
    assert bankgate("plans", "days", "o-1", "--target", service).code == 0
    assert bankgate("plans", "end", "o-1", "--target", service).code == 0
    assert bankgate("plans", "end", "rent", "--kind", "template", "--target", service).code == 0
    assert json.loads(bankgate("plans", "list", "templates", "--target", service, "--json").out) == []


def test_what_is_no_plan_is_refused_in_words(bankgate: Any, service: str, tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text("{}", encoding="utf-8")
    done = bankgate("plans", "put", file, "--target", service)
    assert (done.code, "holds one of" in done.err) == (1, True)
    file.write_text('{"beneficiary": {"beneficiary_id": "x", "creditors": {"name": "V"}}}', encoding="utf-8")
    done = bankgate("plans", "put", file, "--target", service)
    assert (done.code, "beneficiary.creditors: there is no such field (did you mean creditor?)" in done.err) == (1, True)
    assert bankgate("plans", "put", tmp_path / "none.json", "--target", service).code == 2
    assert bankgate("plans", "list", "bills", "--target", service).code == 2
    assert bankgate("plans", "end", "o-1", "--kind", "bill", "--target", service).code == 2
    assert bankgate("plans", "end", "o-1", "--target", service).code == 1


def test_a_recall_of_what_the_bank_does_not_have_says_what_to_do_instead(bankgate: Any, service: str, examples: Path) -> None:
    assert bankgate("submit", examples / "payments.jsonl", "--connection", "house", "--target", service).code == 0
    reference = json.loads((examples / "payments.jsonl").read_text(encoding="utf-8").splitlines()[0])["payment_reference"]
    done = bankgate("recall", reference, "--reason", "DUPL", "--target", service)
    assert (done.code, "sends no recalls" in done.err) == (1, True)
    done = bankgate("recall", reference, "--reason", "WHIM", "--target", service)
    assert (done.code, "ExternalCancellationReason1Code" in done.err) == (1, True)


def test_the_guide_works_as_it_is_written(
    bankgate: Any, directory: Path, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its three files, and its commands one after another, in an empty folder."""
    page = (Path(__file__).parents[2] / "docs" / "plans.md").read_text(encoding="utf-8").partition("## Standing orders")[2]
    (directory / "connections" / "house.toml").rename(directory / "connections" / "house-bank.toml")
    service = request.getfixturevalue("service")
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    files = [json.loads(text) for kind, text in blocks if kind == "json"]
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    for name, content in zip(("beneficiary", "template", "order"), files, strict=True):
        Path(f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    (commands,) = [text for kind, text in blocks if not kind]
    out = {}
    for line in commands.splitlines():
        done = bankgate(*shlex.split(line)[1:], "--target", service)
        assert done.code == 0, (line, done.err)
        out[" ".join(line.split()[1:3])] = done.out
    assert "Vermieter GmbH" in out["plans search"]
    assert "1 stored" in " ".join(out["submit today.jsonl"].split())
    paid = json.loads(Path("today.jsonl").read_text(encoding="utf-8"))
    assert (paid["amount"], paid["creditor"]["name"]) == ("850.00", "Vermieter GmbH")
    assert paid["remittance_information"] == {"unstructured": ["Rent 2026-12"]}
    refused = bankgate("plans", "fill", "rent", "--value", "amount=1", "--target", service)
    assert (refused.code, "no value for due_month" in refused.err) == (1, True)
    assert bankgate("plans", "fill", "rent", "--value", "amount", "--target", service).code == 2
