"""`bankgate replay` without a service, and the outcomes it records and compares."""

import asyncio
import hashlib
import json
import re
import shlex
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from gateway.cli.replay_local import _listed
from gateway.clock import now
from gateway.expectations import sent_messages, store_expected
from gateway.replay import Replay
from gateway.store.factory import open_store
from gateway.store.sqlite import SqliteStore
from keys.plain import PlainSeal

ROOT = Path(__file__).parents[2]
ANSWERS = ROOT / "docs" / "examples" / "replay" / "answers"
SENT = ROOT / "docs" / "examples" / "replay" / "sent.xml"
PAYMENTS = ROOT / "docs" / "examples" / "replay" / "payments.json"
EXPECTED = ROOT / "docs" / "examples" / "replay" / "expected.json"


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go, watched by the tests."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def answers_in(folder: Path, **changed: tuple[str, str]) -> Path:
    """A copy of the example's answers in which one text of a file is another."""
    folder.mkdir()
    for file in sorted(ANSWERS.iterdir()):
        text = file.read_text(encoding="utf-8")
        old, new = changed.get(f"file{file.name[0]}", ("", ""))
        assert old in text
        (folder / file.name).write_text(text.replace(old, new) if old else text, encoding="utf-8")
    return folder


def test_the_guide_s_command_shows_the_outcome_it_promises(
    bankgate: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(ROOT)
    guide = (ROOT / "docs" / "tester.md").read_text(encoding="utf-8").replace("\\\n", " ")
    commands = re.findall(r"^bankgate (replay docs/examples/replay/.*?)(?:   #.*)?$", guide, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        done = bankgate(*shlex.split(command))
        assert (done.code, "the outcome is as expected" in done.out) == (0, True), done.err


def test_the_recorded_outcome_is_the_golden_one_to_the_byte(bankgate: Any, tmp_path: Path) -> None:
    """What varies between runs must not stand in it: the example's was looked through by hand, entry by entry."""
    done = bankgate("replay", ANSWERS, "--sent", SENT, "--record", tmp_path / "found.json")
    assert done.code == 1  # a report about a foreign message is in there, and nothing was said to be expected
    assert (tmp_path / "found.json").read_bytes() == EXPECTED.read_bytes()


def test_each_change_is_told_with_its_code_in_words_its_place_and_its_key(bankgate: Any) -> None:
    done = bankgate("replay", ANSWERS, "--sent", SENT)
    assert "INV-4712: sent → rejected  AC04: The account is closed. (Account closed 2026-10-31)" in done.out
    assert "[line 17, record 5, report 1, transaction 2; by message_id+payment_information_id+instruction_id]" in done.out
    assert "INV-4714: no news in these files" in done.out
    assert "expected payments at the end: 1 rejected, 1 sent, 2 settled" in done.out
    assert "3-foreign.xml: unmatched: " in done.err
    chinese = bankgate("replay", ANSWERS, "--sent", SENT, "--language", "zh")
    assert "AC04: 账户已销户。" in chinese.out
    assert "状态报告所指报文并非由本连接发出。" in chinese.err


def test_json_has_every_result_as_a_line_and_both_languages(bankgate: Any) -> None:
    done = bankgate("replay", ANSWERS, "--payments", PAYMENTS, "--json")
    results = [json.loads(line) for line in done.out.splitlines()]
    assert [next(iter(result)) for result in results].count("change") == 4
    rejected = results[1]["change"]["reason"]
    assert (rejected["code"], rejected["text_en"], rejected["text_zh"]) == ("AC04", "The account is closed.", "账户已销户。")
    assert {result["payment"]["payment_reference"] for result in results if "payment" in result} == {
        "INV-4711",
        "INV-4712",
        "INV-4713",
        "INV-4714",
    }


def test_another_outcome_than_expected_is_told_fact_by_fact_with_exit_status_1(bankgate: Any, tmp_path: Path) -> None:
    folder = answers_in(tmp_path / "answers", file1=("<Cd>AC04</Cd>", "<Cd>AC06</Cd>"), file2=("INV-4713", "INV-4714"))
    done = bankgate("replay", folder, "--sent", SENT, "--expect", EXPECTED)
    assert done.code == 1
    assert 'expected, and did not happen: 1-status.xml: INV-4712: sent → rejected, {"bank_text": "Account closed' in done.err
    assert "happened, and was not expected: 2-statement.xml: mismatch" in done.err
    assert "expected, and did not happen: at the end INV-4713 is settled" in done.err
    assert "happened, and was not expected: at the end INV-4713 is sent" in done.err


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[1]", "as --record writes it"),
        ("{", "is not JSON"),
        ('{"files": [{}]}', "files[0]"),
        ('{"files": [{"file": "a", "changes": 3}]}', "files[0].changes"),
        ('{"files": [], "payments": [1]}', "payments"),
        ('{"files": [], "other": 1}', "as --record writes it"),
    ],
)
def test_what_is_no_outcome_is_refused_before_anything_is_read(bankgate: Any, tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "golden.json").write_text(content, encoding="utf-8")
    done = bankgate("replay", ANSWERS, "--sent", SENT, "--expect", tmp_path / "golden.json")
    assert (done.code, says in done.err) == (2, True), done.err
    assert done.out == ""


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "--connection ID"),
        (("--bank", "sepa", "--connection", "house"), "leave out --connection"),
        (("--sent", SENT, "--config", "x"), "leave out --connection and --config"),
        (("--sent", SENT, "--commit"), "--commit"),
        (("--config", "x", "--connection", "house", "--commit"), "--commit"),
        (("--bank", "sepa", "--sealed"), "--sealed"),
        (("--bank", "nobody"), "nobody"),
    ],
)
def test_options_that_do_not_go_together_are_refused_with_the_way_out(bankgate: Any, options: tuple[Any, ...], says: str) -> None:
    done = bankgate("replay", ANSWERS, *options)
    assert (done.code, says in done.err) == (2, True), done.err


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"payments": 1}', "expected"),
        ('{"payments": [1]}', "payments[0]"),
        ('{"payments": [{"payment_reference": "a", "amount": "x", "currency": "EUR"}]}', "payments[0].amount"),
        ('{"payments": [{"payment_reference": "a", "currency": "EUR"}]}', "payments[0]"),
        ('{"payments": [{"payment_reference": "a", "amount": "1", "currency": "EUR", "instruction_id": 1}]}', "instruction_id"),
        ('{"payments": [{"unknown": "a"}]}', "unknown"),
        ('{"message": "a", "payments": []}', "'message'"),
        (r'{"payments": [{"payment_reference": "\ud800", "amount": "1", "currency": "EUR"}]}', "half a character"),
        (r'{"payments": [{"\udfff": "a"}]}', "half a character"),
        (
            (
                '{"payments": [{"payment_reference": "a", "amount": "1", "currency": "EUR"},'
                ' {"payment_reference": "a", "amount": "1", "currency": "EUR"}]}'
            ),
            "'a' stands twice",
        ),
    ],
)
def test_expected_payments_that_cannot_be_read_are_named(bankgate: Any, tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "payments.json").write_text(content, encoding="utf-8")
    done = bankgate("replay", ANSWERS, "--payments", tmp_path / "payments.json")
    assert (done.code, says in done.err) == (1, True), done.err


def test_only_what_was_sent_can_be_expected(bankgate: Any) -> None:
    done = bankgate("replay", ANSWERS, "--sent", ANSWERS / "1-status.xml")
    assert (done.code, "is a pain.002.001.10; what was sent is a pain.001" in done.err) == (1, True)


def test_the_payments_of_a_sent_file_keep_their_blocks_and_ids() -> None:
    payments = sent_messages(lambda: SENT.open("rb"))
    assert [(p.message_id, p.payment_information_id, p.transfer.instruction_id) for p in payments] == [
        ("PAY-2026-11-24", "PAY-2026-11-24-1", f"P-{number}") for number in range(1, 5)
    ]
    assert [str(p.transfer.amount) for p in payments] == ["1250.00", "99.90", "400.00", "40.00"]
    assert [p.transfer.instruction_id for p in _listed(PAYMENTS)] == [p.transfer.instruction_id for p in payments]


def test_instruction_ids_that_count_from_one_in_each_message_tell_no_payment(bankgate: Any, tmp_path: Path) -> None:
    """Else the status of the second message's payment 1 would be laid to the first message's."""
    other = SENT.read_text(encoding="utf-8").replace("PAY-2026-11-24", "PAY-OTHER").replace("INV-47", "BILL-")
    (tmp_path / "other.xml").write_text(other, encoding="utf-8")
    done = bankgate("replay", ANSWERS, "--sent", SENT, "--sent", tmp_path / "other.xml", "--json")
    changes = [json.loads(line)["change"] for line in done.out.splitlines() if line.startswith('{"change"')]
    assert [(change["payment_reference"], change["matched_by"]) for change in changes][:2] == [
        ("INV-4711", "end_to_end_id"),
        ("INV-4712", "end_to_end_id"),
    ]


def test_a_block_status_reaches_the_payments_of_its_block_only(bankgate: Any, tmp_path: Path) -> None:
    text = SENT.read_text(encoding="utf-8")
    block = re.search(r"    <PmtInf>.*</PmtInf>\n", text, re.DOTALL)
    assert block is not None
    second = block[0].replace("PAY-2026-11-24-1", "PAY-2026-11-24-2").replace("INV-", "SEC-").replace("P-", "Q-")
    (tmp_path / "sent.xml").write_text(text.replace(block[0], block[0] + second), encoding="utf-8")
    status = (ANSWERS / "1-status.xml").read_text(encoding="utf-8").replace("PAY-2026-11-24-1", "PAY-2026-11-24-2")
    status = re.sub(r"<TxInfAndSts>.*</TxInfAndSts>", "<PmtInfSts>RJCT</PmtInfSts>", status, flags=re.DOTALL)
    (tmp_path / "status.xml").write_text(status, encoding="utf-8")
    done = bankgate("replay", tmp_path / "status.xml", "--sent", tmp_path / "sent.xml", "--json")
    changes = [json.loads(line)["change"] for line in done.out.splitlines() if line.startswith('{"change"')]
    assert {change["payment_reference"] for change in changes} == {f"SEC-471{number}" for number in range(1, 5)}
    assert {change["place"] for change in changes} == {"record 3, report 1, block 1"}


def test_directories_are_read_whole_in_the_order_of_names_wherever_they_lie(bankgate: Any, tmp_path: Path) -> None:
    for name in ("b/2.xml", "b/10.xml", "a.xml", ".hidden.xml", ".git/x.xml"):
        file = tmp_path / "answers" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("<nothing/>", encoding="utf-8")
    done = bankgate("replay", tmp_path / "answers", "--bank", "iso20022", "--json")
    told = [json.loads(line) for line in done.out.splitlines()]
    assert [result["file"]["file"] for result in told if "file" in result] == ["a.xml", "b/10.xml", "b/2.xml"]


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="no /proc here, where a file that cannot be read is found")
def test_a_file_that_cannot_be_read_is_one_error_and_the_rest_goes_on(bankgate: Any) -> None:
    done = bankgate("replay", "/proc/self/mem", ANSWERS / "1-status.xml", "--sent", SENT)
    assert done.code == 1
    assert [line for line in done.err.splitlines() if line.startswith("error: ")] == [
        "error: mem: unreadable: The file cannot be read: Input/output error"
    ]
    assert "1-status.xml: pain.002.001.10, 5 records, 2 changes" in done.out


# -- on a copy -------------------------------------------------------------------------------------------------------------


def fill(directory: Path) -> None:
    """Puts the example's payments into the store of a configuration, as sent."""

    async def filling() -> None:
        store = open_store("sqlite:///bankgate.db", directory)
        await store.open()
        await store_expected(store, "house", sent_messages(lambda: SENT.open("rb")), now())
        await store.close()

    asyncio.run(filling())


def digests(directory: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(directory.glob("bankgate.db*"))}


def test_on_a_copy_of_the_store_the_outcome_is_the_same_and_the_store_keeps_every_byte(
    bankgate: Any, directory: Path, tmp_path: Path, temporary: Path
) -> None:
    fill(directory)
    before = digests(directory)
    golden = json.loads(EXPECTED.read_text(encoding="utf-8"))
    (tmp_path / "golden.json").write_text(json.dumps({"files": golden["files"]}), encoding="utf-8")
    done = bankgate("replay", ANSWERS, "--config", directory, "--connection", "house", "--expect", tmp_path / "golden.json")
    assert (done.code, "the outcome is as expected" in done.out) == (0, True), done.err
    assert digests(directory).items() >= before.items()
    assert list(temporary.iterdir()) == []


def test_sealed_files_go_through_the_connection_s_seal_first(
    bankgate: Any, directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[int] = []

    def opening(_self: PlainSeal, source: BinaryIO, out: BinaryIO) -> None:
        opened.append(out.write(source.read()))

    fill(directory)
    monkeypatch.setattr(PlainSeal, "open", opening)
    asked = ("replay", ANSWERS, "--config", directory, "--connection", "house")
    assert bankgate(*asked, "--record", tmp_path / "opened.json").code == 1
    assert opened == []
    assert bankgate(*asked, "--sealed", "--expect", tmp_path / "opened.json").code == 0
    assert opened == [file.stat().st_size for file in sorted(ANSWERS.iterdir())]


def test_a_running_service_s_store_can_be_copied_and_answers_the_same_over_the_wire(
    bankgate: Any, directory: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    fill(directory)
    service = request.getfixturevalue("service")
    on_copy = bankgate("replay", ANSWERS, "--config", directory, "--connection", "house", "--record", tmp_path / "copy.json")
    assert on_copy.code == 1
    asked = bankgate("replay", ANSWERS, "--connection", "house", "--target", service, "--expect", tmp_path / "copy.json")
    assert (asked.code, "the outcome is as expected" in asked.out) == (0, True), asked.err


def test_a_replay_that_breaks_off_midway_leaves_the_store_as_it_was_and_no_copy_behind(
    bankgate: Any, directory: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(directory)
    before = digests(directory)
    replayed = Replay.file

    async def until_the_second(self: Replay, name: str, source: BinaryIO, *, sealed: bool) -> AsyncIterator[Any]:
        if name.startswith("2"):
            raise KeyboardInterrupt
        async for result in replayed(self, name, source, sealed=sealed):
            yield result

    monkeypatch.setattr(Replay, "file", until_the_second)
    done = bankgate("replay", ANSWERS, "--config", directory, "--connection", "house")
    assert done.code != 0
    assert "INV-4711: sent → accepted" in done.out
    assert digests(directory).items() >= before.items()
    assert list(temporary.iterdir()) == []


def test_what_is_no_store_of_ours_is_named(bankgate: Any, directory: Path) -> None:
    missing = bankgate("replay", ANSWERS, "--config", directory, "--connection", "house")
    assert (missing.code, "there is no database" in missing.err) == (1, True)
    (directory / "bankgate.db").write_bytes(b"SQLite format 3\0" + bytes(100))
    assert bankgate("replay", ANSWERS, "--config", directory, "--connection", "house").code == 1
    assert bankgate("replay", ANSWERS, "--config", directory, "--connection", "haus").code == 2


def test_a_copy_is_readable_by_its_owner_only_and_opening_it_leaves_the_store_alone(directory: Path, tmp_path: Path) -> None:
    from gateway.store.factory import open_copy

    fill(directory)
    before = digests(directory)
    folder = tmp_path / "copy"
    folder.mkdir()
    store = open_copy("sqlite:///bankgate.db", directory, folder, connection_id="house")
    assert isinstance(store, SqliteStore)
    assert (folder / "copy.db").stat().st_mode & 0o077 == 0
    assert digests(directory).items() >= before.items()


def test_what_a_killed_replay_left_behind_goes_with_the_next_and_what_is_in_use_stays(bankgate: Any, temporary: Path) -> None:
    import fcntl

    dead, living = temporary / "bankgate-replay-dead", temporary / "bankgate-replay-living"
    for folder in (dead, living):
        folder.mkdir()
        (folder / "alive").touch()
        (folder / "copy.db").touch()
    with (living / "alive").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        bankgate("replay", ANSWERS, "--sent", SENT)
    assert [folder.name for folder in temporary.iterdir()] == ["bankgate-replay-living"]
