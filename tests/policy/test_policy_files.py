"""Policy files: what is right is read, and every mistake is told with its file and key, its value never repeated."""

import copy
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config import Configuration
from gateway.config_load import ConfigurationProblems, Problem
from gateway.policies import _document, load_policies
from gateway.policy.document_rules import fingerprint, groups_of
from tests.policy.cases import OURS, THEIRS

GOOD = f"""
id = "rules"
version = 7
valid_from = 2026-01-01
default = "approval"
default_steps = [{{ group = "cfo" }}]
scope = {{ connections = ["house"] }}

[rates]
base = "EUR"
date = 2026-11-01
per_unit = {{ USD = "0.9" }}

[lists.suppliers]
accounts = ["{THEIRS}"]

[[limits]]
id = "day"
period = "day"
amount = "1000.00"
currency = "EUR"
per = ["caller"]
outcome = "hold"

[[chains]]
id = "large"
when = {{ amount_above = "100", currency = "EUR", creditor_not_in = ["suppliers"] }}
steps = [{{ group = "clerks", count = 2 }}, {{ group = "cfo" }}]

[[restrictions]]
id = "only"
what = "currency"
allowed = ["EUR", "USD"]
outcome = "block"
"""


def write(directory: Path, content: str, name: str = "rules.toml") -> Path:
    (directory / "policies").mkdir(exist_ok=True)
    (directory / "policies" / name).write_text(content, encoding="utf-8")
    return directory


def problems_of(directory: Path, *arguments: Any) -> list[str]:
    with pytest.raises(ConfigurationProblems) as found:
        load_policies(directory, *arguments)
    return [str(problem) for problem in found.value.problems]


def configuration(directory: Path) -> Configuration:
    account = {"iban": OURS, "holder": "Example AG"}
    house = {"id": "house", "initiating_party": "x", "channel": {}, "accounts": [account], "time_zone": "Asia/Shanghai"}
    return Configuration.model_validate({"directory": directory, "callers": [{"name": "erp"}], "connections": {"house": house}})


def test_no_folder_is_no_policy(tmp_path: Path) -> None:
    assert load_policies(tmp_path).documents == ()


def test_a_good_file_is_read_with_zones_and_own_accounts(tmp_path: Path) -> None:
    policies = load_policies(write(tmp_path, GOOD), configuration(tmp_path))
    assert [(one.id, one.version) for one in policies.documents] == [("rules", 7)]
    assert str(policies.zone("house")) == "Asia/Shanghai"
    assert policies.own_accounts == {OURS}
    assert groups_of(policies.documents) == {"clerks": 2, "cfo": 1}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("version = 7", "version = 0", "version: must be at least 1"),
        ("version = 7", 'version = "7"', "version: must be a number"),
        ("valid_from = 2026-01-01", "", "valid_from: is required"),
        ("valid_from = 2026-01-01", 'valid_from = "soon"', 'valid_from: must be a date such as "2026-12-24"'),
        ("valid_from = 2026-01-01", "valid_from = 2026-01-01\nvalid_until = 2025-12-31", "valid_until: is before valid_from"),
        ('default = "approval"', 'default = "maybe"', "default: must be 'pass', 'approval' or 'hold'"),
        ('default = "approval"', "", "default: is required"),
        ('default_steps = [{ group = "cfo" }]', "", 'default_steps: is required with default = "approval" (who approves'),
        ('default = "approval"', 'default = "hold"', 'default_steps: has no meaning without default = "approval"'),
        ('["house"] }', "[] }", "scope.connections: must not be empty"),
        ("scope =", "scop =", "scop: there is no such setting (did you mean scope?)"),
        ('base = "EUR"', 'base = "USD"', "rates.per_unit.USD: is the base itself, whose rate is 1"),
        ('base = "EUR"', 'base = "EURO"', 'rates.base: must be a currency of ISO 4217, such as "EUR"'),
        ('"0.9"', "0.9", 'rates.per_unit.USD: must be an amount in quotes, such as "10000.00"'),
        ('"0.9"', '"0"', "rates.per_unit.USD: must be more than 0"),
        (THEIRS, THEIRS[:-1] + "9", "lists.suppliers.accounts[0]: looks like an IBAN and is none"),
        ('"1000.00"', "1000.50", "limits[0].amount: must be an amount in quotes"),
        ('"1000.00"', '"-1"', "limits[0].amount: must be an amount in quotes"),
        ('"1000.00"', '"1e3"', "limits[0].amount: must be an amount in quotes"),
        ('period = "day"', 'period = "week"', "limits[0].period: must be 'payment', 'day' or 'month'"),
        ('period = "day"', 'period = "payment"', "limits[0].per: has no meaning for the limit of a single payment"),
        ('per = ["caller"]', 'per = ["caller", "caller"]', "limits[0].per: names something twice"),
        ('per = ["caller"]', 'per = ["payer"]', "limits[0].per[0]: must be "),
        ('per = ["caller"]', "convert = true", None),
        ('outcome = "hold"', 'outcome = "approval"', 'limits[0].steps: is required with outcome = "approval"'),
        ('outcome = "hold"', 'outcome = "pass"', "limits[0].outcome: must be 'approval', 'hold' or 'block'"),
        ('outcome = "hold"', 'outcome = "hold"\nrecheck = true', "limits[0].recheck: has no meaning without outcome"),
        ('outcome = "hold"', 'outcome = "hold"\ntext_en = "{amount.x}"', "limits[0].text_en: may name these in braces"),
        ('outcome = "hold"', 'outcome = "hold"\ntext_en = "{limit"', "limits[0].text_en: has a brace without its partner"),
        ('outcome = "hold"', 'outcome = "hold"\ntext_en = "{0}"', "limits[0].text_en: may name these in braces"),
        ('id = "day"', 'id = "Day"', "limits[0].id: does not have the form"),
        ('id = "large"', 'id = "day"', "chains[0].id: another rule of this document is called day"),
        ('currency = "EUR", creditor', "creditor", "chains[0].when.currency: is required with amount_above"),
        (
            'amount_above = "100", currency = "EUR"',
            "convert = true",
            "chains[0].when.convert: belongs to amount_above",
        ),
        ('amount_above = "100", ', "", "chains[0].when.currency: belongs to amount_above and amount_up_to"),
        ('"100", ', '"100", amount_up_to = "100", ', "chains[0].when.amount_up_to: is not more than amount_above"),
        (
            'currency = "EUR", creditor',
            'currency = "USD", convert = true, creditor',
            "when.currency: must be the base of [rates]",
        ),
        (
            'creditor_not_in = ["suppliers"]',
            'creditor_lists = ["supplier"]',
            "there is no [lists.supplier] (did you mean suppliers?)",
        ),
        ('creditor_not_in = ["suppliers"]', 'connections = ["other"]', "when.connections: shares nothing with scope.connections"),
        ("count = 2", "count = 0", "chains[0].steps[0].count: must be at least 1"),
        ("count = 2", "count = true", "chains[0].steps[0].count: must be a number"),
        ('allowed = ["EUR", "USD"]', "", "restrictions[0]: must have one of allowed and forbidden"),
        ('allowed = ["EUR", "USD"]', 'allowed = ["EUR", "usd"]', "restrictions[0].allowed[1]: must be a currency of ISO 4217"),
        ('what = "currency"', 'what = "hours"', 'restrictions[0].allowed[0]: must be hours of the day such as "08:00-18:30"'),
        ('what = "currency"', 'what = "charge_bearer"', "restrictions[0].allowed[0]: must be one of CRED, DEBT, SHAR, SLEV"),
    ],
)
def test_every_mistake_is_told_with_file_and_key(tmp_path: Path, old: str, new: str, told: str | None) -> None:
    assert old in GOOD
    write(tmp_path, GOOD.replace(old, new, 1))
    if told is None:
        assert load_policies(tmp_path)
        return
    problems = problems_of(tmp_path)
    assert all(problem.startswith("policies/rules.toml: ") for problem in problems)
    assert any(told in problem for problem in problems), problems


def test_hours_over_midnight_are_two_entries(tmp_path: Path) -> None:
    content = GOOD.replace('what = "currency"', 'what = "hours"').replace('["EUR", "USD"]', '["22:00-06:00"]')
    (problem,) = problems_of(write(tmp_path, content))
    assert "must end later than it begins" in problem


def test_all_mistakes_are_told_at_once_also_behind_one_of_shape(tmp_path: Path) -> None:
    content = (
        GOOD.replace("count = 2", "count = 0").replace('["suppliers"]', '["nobody"]').replace('per = ["caller"]', "typo = 1")
    )
    keys = {problem.split(": ")[1] for problem in problems_of(write(tmp_path, content))}
    assert keys == {"chains[0].steps[0].count", "chains[0].when.creditor_not_in[0]", "limits[0].typo"}


def test_no_problem_repeats_a_value(tmp_path: Path) -> None:
    wrong = THEIRS[:-1] + "9"
    allowed = GOOD.replace('allowed = ["EUR", "USD"]', f'allowed = ["{wrong}"]')
    for content in (GOOD.replace(THEIRS, wrong), allowed.replace('what = "currency"', 'what = "creditor_account"')):
        (problem,) = problems_of(write(tmp_path, content))
        assert "looks like an IBAN and is none" in problem
        assert wrong not in problem


def test_two_files_of_one_version_with_different_content(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    write(tmp_path, GOOD.replace("1000.00", "2000.00"), "z.toml")
    (problem,) = problems_of(tmp_path)
    assert problem.startswith("policies/z.toml: version: policies/rules.toml is version 7 of rules too, and says otherwise")
    write(tmp_path, GOOD, "z.toml")
    assert len(load_policies(tmp_path).documents) == 1


def test_a_rule_changes_only_by_a_new_version(tmp_path: Path) -> None:
    (before,) = load_policies(write(tmp_path, GOOD)).documents
    earlier = {(before.id, before.version): fingerprint(before)}
    write(tmp_path, GOOD.replace('amount = "1000.00"', "amount = 1000") + "\n# a comment\n")
    assert load_policies(tmp_path, None, earlier), "the same, written otherwise"
    write(tmp_path, GOOD.replace("1000.00", "2000.00"))
    assert problems_of(tmp_path, None, earlier) == [
        "policies/rules.toml: version: version 7 of rules was in use with another content (what changes gets a new version: 8)"
    ]
    write(tmp_path, GOOD.replace("1000.00", "2000.00").replace("version = 7", "version = 8"))
    assert load_policies(tmp_path, None, earlier)


def test_rules_of_two_documents_are_told_apart_by_their_ids(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    write(
        tmp_path,
        GOOD.replace('id = "rules"', 'id = "second"').replace('"large"', '"larger"').replace('"only"', '"o"'),
        "two.toml",
    )
    (problem,) = problems_of(tmp_path)
    assert problem.startswith(
        "policies/two.toml: limits[0].id: a rule of policies/rules.toml, another document, is called day too"
    )


def test_a_connection_or_caller_that_does_not_exist_is_no_scope(tmp_path: Path) -> None:
    content = GOOD.replace('["house"] }', '["hous"] }').replace("creditor_not_in", 'callers = ["eerp"], creditor_not_in')
    assert problems_of(write(tmp_path, content), configuration(tmp_path)) == [
        "policies/rules.toml: chains[0].when.callers[0]: there is no caller eerp (did you mean erp?)",
        "policies/rules.toml: scope.connections[0]: there is no connection hous (did you mean house?)",
    ]
    write(tmp_path, GOOD.replace("version = 7", "version = 8"), "newer.toml")
    assert load_policies(tmp_path, configuration(tmp_path)), "an older version is kept as it was"


def test_a_rule_over_too_many_totals_is_refused(tmp_path: Path) -> None:
    names = ", ".join(f'"c{number}"' for number in range(101))
    content = GOOD.replace('per = ["caller"]', f"convert = true\nwhen = {{ callers = [{names}] }}")
    (problem,) = problems_of(write(tmp_path, content))
    assert problem.startswith("policies/rules.toml: limits[0].when: runs over 202 totals for each payment, more than 200")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("rules.toml", b"id = ", "policies/rules.toml: is not TOML"),
        ("rules.toml", b'id = "\xff"', "policies/rules.toml: is not UTF-8 text (at byte 6)"),
        ("rules.toml", b"#" * (1024 * 1024 + 1), "policies/rules.toml: is too large to be a policy"),
        ("RULES.TOML", b"", "policies/RULES.TOML: is not read under this name (call it RULES.toml)"),
    ],
)
def test_files_that_cannot_be_policies(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / name).write_bytes(content)
    assert problems_of(tmp_path)[0].startswith(told)


def test_the_digest_of_the_set_changes_with_all_that_decides(tmp_path: Path) -> None:
    first = load_policies(write(tmp_path, GOOD), configuration(tmp_path))
    alone = load_policies(tmp_path)
    write(tmp_path, GOOD.replace("1000.00", "1000.01"))
    assert len({first.digest, alone.digest, load_policies(tmp_path).digest, load_policies(tmp_path / "none").digest}) == 4


VALUES = st.one_of(
    st.none().map(lambda _: DROP),
    st.booleans(),
    st.integers(-5, 10**20),
    st.floats(),
    st.sampled_from(["", "EUR", "house", "list:suppliers", "{", "{limit}", "2026-01-01", "99:00-24:00", THEIRS, "\x00", "会计"]),
    st.dates(),
    st.sampled_from([[], [[]], [{}], {}, {"x": 1}, ["EUR", "EUR"], [1]]),
)
DROP = object()


def places_of(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in a table, its own among them."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for name, inner in inside for place in places_of(inner, (*path, name)))][bool(not path) :]


@settings(max_examples=150)
@given(st.lists(st.tuples(st.integers(0, 1000), VALUES), min_size=1, max_size=4))
def test_a_table_of_any_shape_is_read_or_told_and_never_a_fault(changes: list[tuple[int, Any]]) -> None:
    table: Any = tomllib.loads(GOOD)
    for number, value in changes:
        places = places_of(table)
        if not places:
            break
        *path, last = places[number % len(places)]
        inner = table
        for name in path:
            inner = inner[name]
        if value is DROP:
            del inner[last]
        else:
            inner[last] = copy.deepcopy(value)
    problems: list[Problem] = []
    document = _document(table, "policies/x.toml", problems)
    assert problems or document is not None
    assert THEIRS not in "".join(map(str, problems))
