"""The commands among pipes: standard streams that are closed, full, narrow in characters, or read to their first line only."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "gateway.main"]
ROOT = Path(__file__).parents[2]

STATEMENT = """{bic}
:20:STARTUMS
:25:10020030/1234567
:28C:1/1
:60F:C261124EUR100,00
:61:2611251125D1,50NTRFNONREF//BANKREF
:86:Zahlung an Müller und 张三
:62F:C261125EUR98,50
-
"""


@pytest.fixture
def statement(tmp_path: Path) -> Path:
    path = tmp_path / "statement.sta"
    path.write_text(STATEMENT.format(bic=""), encoding="utf-8")
    return path


def run(command: str, *, input_: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    """A shell line in which BANKGATE is the command; buffered, as commands in pipes are."""
    variables = {**os.environ, "BANKGATE": " ".join(COMMAND), "PYTHONPATH": str(ROOT), **environment}
    variables.pop("PYTHONUNBUFFERED", None)
    return subprocess.run(["bash", "-c", command], input=input_, capture_output=True, env=variables, timeout=60, check=False)


def test_a_reader_that_has_seen_enough_is_no_problem_of_the_input(statement: Path) -> None:
    done = run(f"$BANKGATE parse --json {statement} | true; exit ${{PIPESTATUS[0]}}")
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here, a file that is always full")
def test_a_full_disk_is_an_error_in_words(statement: Path) -> None:
    done = run(f"$BANKGATE parse --json {statement} > /dev/full")
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: ")
    assert b"Traceback" not in done.stderr
    assert b"ignored" not in done.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-"])
def test_closed_streams_never_give_a_traceback(statement: Path, closed: str) -> None:
    done = run(f"$BANKGATE parse --json {statement} {closed}")
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)


def test_standard_input_that_is_closed_is_an_empty_file() -> None:
    done = run("$BANKGATE parse --json - <&-")
    assert done.returncode == 1
    assert json.loads(done.stdout)["problem"] == "the file is empty"


def test_json_is_utf_8_in_a_terminal_that_knows_ascii_only_and_words_are_escaped(statement: Path) -> None:
    done = run(f"$BANKGATE parse --json {statement}", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "Müller" in done.stdout.decode("utf-8")
    assert run(f"$BANKGATE parse {statement}", PYTHONIOENCODING="ascii").returncode == 0


def test_a_pipe_is_read_like_a_file_though_it_cannot_be_read_twice(statement: Path) -> None:
    for command in ("parse --json", "check"):
        done = run(f"$BANKGATE {command} <(cat {statement})")
        assert (done.returncode, done.stderr) == (0, b"")
    done = run("$BANKGATE parse --json -", input_=statement.read_bytes())
    assert [json.loads(line)["kind"] for line in done.stdout.splitlines()] == ["document", "statement", "entry"]


def test_a_file_whose_name_is_not_utf_8_is_read_and_named(statement: Path) -> None:
    odd = os.fsencode(statement.parent) + b"/b\xff.sta"
    try:
        Path(os.fsdecode(odd)).write_bytes(statement.read_bytes())
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    done = run(f"$BANKGATE parse --json {statement.parent}/b*.sta")
    assert done.returncode == 0
    assert {Path(json.loads(line)["file"]).name for line in done.stdout.splitlines()} == {"b\\xff.sta"}
