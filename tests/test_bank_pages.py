"""docs/banks/ says of each bank what its plugin says, and its connection file is one that bankgate takes."""

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from channels.frontend_profile import FrontendProfile
from gateway.config import DialogueSettings, GuaranteeSettings
from gateway.config_load import ConfigurationProblems, load
from gateway.rpc.client import orders_from_messages, payments_from_json
from simulator.settings import load_settings

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "deploy" / "scripts" / "banks_page.py"
PAGES = runpy.run_path(str(SCRIPT))
BANKS: dict[str, Any] = PAGES["plugins"]()
SECTIONS = (
    "What works · 已支持",
    "What does not · 未支持",
    "Ask the bank · 上线前请向银行确认",
    "The connection file · 连接文件",
)


def notes(name: str) -> str:
    return (ROOT / "docs" / "banks" / "notes" / f"{name}.md").read_text(encoding="utf-8")


def test_the_pages_are_written_from_the_plugins() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_bank_that_left_keeps_its_notes() -> None:
    assert {path.stem for path in (ROOT / "docs" / "banks" / "notes").glob("*.md")} == set(BANKS)


@pytest.mark.parametrize("name", BANKS)
def test_a_bank_says_its_certainty_and_every_section_in_both_languages(name: str) -> None:
    text = notes(name)
    assert "**Certainty: " in text
    assert "**可信度：" in text
    assert tuple(re.findall(r"^## (.+)$", text, re.MULTILINE)) == SECTIONS


@pytest.mark.parametrize("name", BANKS)
def test_settings_that_the_questions_lead_to_exist(name: str) -> None:
    questions = notes(name).partition(f"## {SECTIONS[2]}")[2].partition("## ")[0]
    known = {*type(BANKS[name].settings).model_fields, *FrontendProfile.model_fields}
    named = {word for line in re.findall(r"→ ((?:.*(?:,\n +)?)*)", questions) for word in re.findall(r"`([^`]+)`", line)}
    named = {word.removeprefix("[channel] ") for word in named} - {"[guarantee]"}
    assert named
    assert named <= known


@pytest.mark.parametrize("name", BANKS)
def test_every_setting_has_its_words_in_english_and_chinese(name: str) -> None:
    for key, field in type(BANKS[name].settings).model_fields.items():
        english, bar, chinese = (field.description or "").rpartition(" | ")
        assert bar, key
        assert english, key
        assert re.search(r"[一-鿿]", chinese), key


@pytest.mark.parametrize("name", BANKS)
def test_the_connection_file_of_a_page_loads_as_it_stands(name: str, tmp_path: Path) -> None:
    (content,) = re.findall(r"^```toml\n(.*?)^```$", notes(name), re.MULTILINE | re.DOTALL)
    (tmp_path / "connections").mkdir()
    (tmp_path / "bankgate.toml").write_text('[[callers]]\nname = "erp"\nplaintext = true\n', encoding="utf-8")
    (tmp_path / "connections" / f"{name}-main.toml").write_text(content, encoding="utf-8")
    for reference in re.findall(r'"file:([^"]+)"', content):
        (tmp_path / reference).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / reference).touch(mode=0o600)
    try:
        loaded = load(tmp_path)
    except ConfigurationProblems as error:
        pytest.fail(str(error))
    connection = loaded.connections[f"{name}-main"]
    assert connection.bank == name
    assert connection.guarantee.kind == ("idempotent" if BANKS[name].dialogue.same_serial_is_safe else "queryable")


def test_the_guides_name_every_key_of_a_connection_to_such_a_bank() -> None:
    tables = (FrontendProfile.model_fields, DialogueSettings.model_fields, GuaranteeSettings.model_fields)
    keys = {key for table in tables for key in table} - {"kind"}
    for page in ("docs/chinese-banks.md", "docs/chinese-banks.zh.md"):
        said = set(re.findall(r"[a-z_0-9]+", (ROOT / page).read_text(encoding="utf-8")))
        assert keys <= said, page


def test_the_walk_through_is_configured_as_it_stands(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "from-front-machine-to-credit.zh.md").read_text(encoding="utf-8")
    named = re.findall(r"`([\w/.-]+\.(?:toml|json))`：\n\n```(?:toml|json)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert [name for name, _ in named] == [
        "bank/simulator.toml",
        "house/bankgate.toml",
        "house/connections/cib-main.toml",
        "payment.json",
    ]
    for name, content in named:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    assert load_settings(tmp_path / "bank" / "simulator.toml").front is not None
    try:
        connection = load(tmp_path / "house").connections["cib-main"]
    except ConfigurationProblems as error:
        pytest.fail(str(error))
    (order,) = orders_from_messages(payments_from_json(json.loads((tmp_path / "payment.json").read_text(encoding="utf-8"))))
    assert order.connection_id == connection.id
