"""Schemas that a user brings from a bank: which commands take them, and what is said of broken ones."""

import json
from pathlib import Path
from typing import Any

import pytest

from formats.schemas import schema_text

ON = ("--on", "2026-11-25")
NINE = "pain.001.001.09"


@pytest.fixture
def strict(tmp_path: Path) -> Path:
    """A directory with a schema of the bank's, by which an id has at most ten characters."""
    directory = tmp_path / "schemas"
    directory.mkdir()
    text = (schema_text(NINE) or b"").replace(b'<xs:maxLength value="35"/>', b'<xs:maxLength value="10"/>')
    (directory / "from-the-bank.xsd").write_bytes(text)
    (directory / "README.txt").write_text("what the bank says", encoding="utf-8")
    return directory


@pytest.fixture
def message(bankgate: Any, examples: Path, tmp_path: Path) -> Path:
    file = tmp_path / "message.xml"
    assert bankgate("render", examples / "request.json", "--bank", "iso20022", *ON, "--out", file).code == 0
    return file


def test_check_and_parse_judge_by_the_schema_of_the_bank(bankgate: Any, message: Path, strict: Path) -> None:
    assert bankgate("check", message, *ON).code == 0
    done = bankgate("check", message, *ON, "--schemas", strict)
    assert done.code == 1
    assert "MsgId" in done.err
    for options, valid in (((), True), (("--schemas", strict), False)):
        document = json.loads(bankgate("parse", message, "--json", *options).out.splitlines()[0])
        assert document["schema_valid"] is valid


def test_a_directory_that_is_not_right_is_a_mistake_of_usage_that_names_the_file(
    bankgate: Any, message: Path, strict: Path, tmp_path: Path
) -> None:
    (strict / "broken.xsd").write_text("<html/>", encoding="utf-8")
    for command in ("check", "parse"):
        done = bankgate(command, message, "--schemas", strict)
        assert (done.code, f"{strict / 'broken.xsd'}: is no XML schema" in done.err) == (2, True)
        assert bankgate(command, message, "--schemas", tmp_path / "none").code == 2


def test_a_connection_says_which_schemas_judge_it_and_a_broken_one_is_a_mistake(
    bankgate: Any, directory: Path, strict: Path
) -> None:
    (directory / "out").mkdir()
    strict.rename(directory / "bank-schemas")
    connection = directory / "connections" / "house.toml"
    connection.write_text('schemas = "bank-schemas"\n' + connection.read_text(encoding="utf-8"), encoding="utf-8")
    done = bankgate("connections", "check", "--config", directory)
    assert done.code == 0
    assert f"{NINE}: judged by bank-schemas/from-the-bank.xsd (SHA-256 " in done.out
    (row,) = json.loads(bankgate("connections", "check", "--config", directory, "--json").out)
    assert [(one["message"], one["file"], len(one["sha256"])) for one in row["schemas"]] == [
        (NINE, "bank-schemas/from-the-bank.xsd", 64)
    ]
    (directory / "bank-schemas" / "other.xsd").write_text("<html", encoding="utf-8")
    done = bankgate("config", "check", directory)
    assert done.code == 1
    assert "connections/house.toml: schemas: bank-schemas/other.xsd: is not well-formed XML" in done.err.replace("\n", " ")
