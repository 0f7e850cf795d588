"""Mistakes in the file of a connection to a Chinese bank: each is told with file, key, and a way out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from gateway.config_load import ConfigurationProblems, Problem, load
from gateway.demo.fronts import FRONTS, PACE, connection_toml

MAIN: Final = 'store = "sqlite:///bankgate.db"\n[[callers]]\nname = "erp"\nplaintext = true\n'
SIGNING: Final = frozenset({"icbc", "spdb"})


def text_of(bank: str) -> str:
    ready: dict[str, Any] = {"host": "127.0.0.1", "port": 9000}
    if bank in SIGNING:
        ready["sign"] = {"host": "127.0.0.1", "port": 449}
    pace: Mapping[str, Any] = PACE
    return connection_toml(bank, ready, pace)


def problems_of(directory: Path, text: str) -> list[Problem]:
    (directory / "connections").mkdir()
    (directory / "bankgate.toml").write_text(MAIN, encoding="utf-8")
    (directory / "connections" / "bank.toml").write_text(text, encoding="utf-8")
    for name in ("cmb.key.pem", "bank.pub"):  # of cmb_cloud: looked for, not opened
        (directory / "keys").mkdir(exist_ok=True)
        (directory / "keys" / name).touch()
    try:
        load(directory)
    except ConfigurationProblems as error:
        return list(error.problems)
    return []


@pytest.mark.parametrize("bank", sorted(FRONTS))
def test_the_files_of_the_demo_have_no_mistake(bank: str, tmp_path: Path) -> None:
    assert problems_of(tmp_path, text_of(bank)) == []


URL: Final = '"http://127.0.0.1:9000"'
SIGN: Final = ', sign_service = {url = "http://127.0.0.1:449"}'


@pytest.mark.parametrize(
    ("bank", "old", "new", "key", "says"),
    [
        ("icbc", '"http_form"', '"form"', "channel.shape", "'http_raw', 'http_form' or 'tcp'"),
        ("icbc", "http_form", "tcp", "channel", "host and port say where"),
        ("icbc", URL, '"http://127.0.0.1:9000/servlet"', "channel.url", "the rest stands in path"),
        ("icbc", URL, '"http://10.0.0.5:9000"', "channel.url", "Use TLS"),
        ("icbc", "shape =", "shap = 1, shape =", "channel.shap", "did you mean shape?"),
        ("icbc", "connect = 2", "connect = 9", "channel.timeouts.connect", "shorter than total"),
        ("icbc", "connect = 2", "connect = 0", "channel.timeouts.connect", "must be more than 0"),
        ("icbc", SIGN, "", "channel.sign_service", 'sign_service = {url = "http://'),
        ("spdb", SIGN, "", "channel.sign_service", 'sign_service = {url = "http://'),
        ("spdb", '"http://127.0.0.1:449"', '"127.0.0.1:449"', "channel.sign_service.url", "http:// or https://"),
        ("pingan", 'framing = "pingan222", ', "", "channel.framing", "name it"),
        ("icbc", "group_cis", "group_ci", "bank_settings.group_ci", "did you mean group_cis?"),
        ("icbc", '"990000000000001"', "990000000000001", "bank_settings.group_cis", "in quotes"),
        ("icbc", "group_cis =", "beps_cap = -1, group_cis =", "bank_settings.beps_cap", "more than 0"),
        ("icbc", "group_cis =", 'rejected_codes = "6", group_cis =', "bank_settings.rejected_codes", "must be a list"),
        ("cib", "env:DEMO_FRONT_PASSWORD", "secret99", "channel.secrets.password", "env:NAME"),
        ("icbc", "shape =", 'secrets = {pin = "env:X"}, shape =', "channel.secrets.pin", "take it out"),
        ("icbc", "ask_after_seconds", "ask_after", "dialogue.ask_after", "did you mean ask_after_seconds?"),
        ("icbc", "quiet = []", 'quiet = [{begins = "23:00", ends = "25:00"}]', "dialogue.quiet[0].ends", "time of day"),
        ("icbc", "quiet = []", 'quiet = [{begins = "23:00", ends = "23:00"}]', "dialogue.quiet[0]", "quiet = []"),
        ("icbc", '"queryable"', '"idempotent"', "guarantee.kind", 'kind = "queryable"'),
        ("icbc", '"queryable"', '"blind"', "guarantee.kind", 'kind = "queryable"'),
    ],
)
def test_a_mistake_is_told_with_its_key_and_a_way_out(bank: str, old: str, new: str, key: str, says: str, tmp_path: Path) -> None:
    text = text_of(bank)
    assert old in text
    found = [one for one in problems_of(tmp_path, text.replace(old, new)) if one.key == key]
    assert [one.file for one in found] == ["connections/bank.toml"]
    assert says in str(found[0])
    assert "secret99" not in str(found[0])


def test_a_bank_that_wants_our_own_seal_is_not_spoken_to_without_one(tmp_path: Path) -> None:
    text = "".join(line for line in text_of("cmb_cloud").splitlines(keepends=True) if not line.startswith("seal"))
    (found,) = problems_of(tmp_path, text)
    assert found.key == "seal"
    assert 'kind = "cmb_cloud"' in found.hint
