"""The commands that talk to a service, against a real one."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from bankgate.v1 import replay_pb2, replay_pb2_grpc
from gateway.replay_space import AT_ONCE_MAX

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def test_submitting_a_file_twice_stores_it_once(bankgate: Any, service: str, examples: Path) -> None:
    arguments = ("submit", examples / "payments.jsonl", "--connection", "house", "--target", service)
    first = bankgate(*arguments)
    assert (first.code, first.out.split(";")[0]) == (0, "3 stored, 0 known before, 0 refused, of 3")
    again = json.loads(bankgate(*arguments, "--json").out)
    assert (again["stored"], again["known"], again["refused"]) == (0, 3, 0)


def test_csv_and_json_lines_say_the_same_payment(bankgate: Any, service: str, examples: Path, tmp_path: Path) -> None:
    assert bankgate("submit", examples / "payments.csv", "--connection", "house", "--target", service).code == 0
    same = {
        "payment_reference": "2026-2002",
        "amount": "99.90",
        "currency": "EUR",
        "creditor": {"name": "Fournisseur, SARL", "postal_address": {"town_name": "Paris", "country": "FR"}},
        "creditor_account": {"iban": "FR1420041010050500013M02606"},
        "payment_type": {"service_level": "SEPA"},
        "charge_bearer": "SLEV",
        "remittance_information": {"structured": [{"creditor_reference_type": "SCOR", "creditor_reference": "RF18539007547034"}]},
    }
    file = tmp_path / "same.jsonl"
    file.write_text(json.dumps(same), encoding="utf-8")
    done = bankgate("submit", file, "--connection", "house", "--target", service, "--json")
    assert (done.code, json.loads(done.out)["known"]) == (0, 1)


@pytest.fixture
def broken(examples: Path, tmp_path: Path) -> Path:
    file = tmp_path / "broken.jsonl"
    text = (examples / "payments.jsonl").read_text(encoding="utf-8")
    file.write_text("\n" + text.replace("IE29AIBK93115212345678", "IE28AIBK93115212345678"), encoding="utf-8")
    return file


def test_a_broken_rule_is_named_with_the_line_of_the_file(bankgate: Any, service: str, broken: Path) -> None:
    done = bankgate("submit", broken, "--connection", "house", "--target", service)
    assert done.code == 1
    assert f"{broken}:2: creditor_account.iban:" in done.err
    assert "[iban.check-digits]" in done.err
    assert "0 stored, 0 known before, 3 refused, of 3" in done.out


def test_a_dry_run_says_the_same_and_stores_nothing(bankgate: Any, service: str, broken: Path, examples: Path) -> None:
    done = bankgate("submit", broken, "--connection", "house", "--target", service, "--dry-run", "--json")
    assert done.code == 1
    (violation,) = json.loads(done.out)["violations"]
    assert (violation["line"], violation["field"], violation["payment_reference"]) == (2, "creditor_account.iban", "2026-1001")
    good = bankgate("submit", examples / "payments.jsonl", "--connection", "house", "--target", service, "--dry-run")
    assert (good.code, good.out) == (0, "3 payments checked: would be taken\n")
    assert bankgate("watch", "--until-idle", "--target", service).out == ""


def test_a_warning_is_marked_with_the_line_of_the_file_and_the_payment_is_stored(
    bankgate: Any, service: str, examples: Path, tmp_path: Path
) -> None:
    payment = json.loads((examples / "payments.jsonl").read_text(encoding="utf-8").splitlines()[0])
    payment["creditor"]["postal_address"] = {"town_name": "Dublin", "country": "IE", "address_line": ["Dublin 2"]}
    file = tmp_path / "doubtful.jsonl"
    file.write_text(json.dumps(payment), encoding="utf-8")
    tried = bankgate("submit", file, "--connection", "house", "--target", service, "--dry-run")
    done = bankgate("submit", file, "--connection", "house", "--target", service)
    for answer in (tried, done):
        assert answer.code == 0
        assert f"warning: {file}:1: creditor.postal_address.address_line[0]: " in answer.err
    assert "1 stored, 0 known before, 0 refused, of 1" in done.out


def test_other_content_under_a_known_reference_names_line_and_fields(
    bankgate: Any, service: str, examples: Path, tmp_path: Path
) -> None:
    bankgate("submit", examples / "payments.jsonl", "--connection", "house", "--target", service)
    file = tmp_path / "changed.jsonl"
    file.write_text((examples / "payments.jsonl").read_text(encoding="utf-8").replace("1250.00", "1250.01"), encoding="utf-8")
    done = bankgate("submit", file, "--connection", "house", "--target", service)
    assert done.code == 1
    assert f"{file}:1: '2026-1001' is known with other content; it differs in amount" in done.err


def test_watching_resumes_after_a_token(bankgate: Any, service: str, examples: Path) -> None:
    bankgate("submit", examples / "payments.jsonl", "--connection", "house", "--target", service)
    events = [json.loads(line) for line in bankgate("watch", "--until-idle", "--json", "--target", service).out.splitlines()]
    assert [event["payment_reference"] for event in events] == ["2026-1001", "2026-1002", "2026-1003"]
    assert events[0]["state"] == "PAYMENT_STATE_APPROVED"
    token = events[1]["resume_token"]
    rest = bankgate("watch", "--until-idle", "--after", token, "--target", service)
    assert "2026-1003  approved   Passed every check" in rest.out
    assert "2026-1002" not in rest.out
    foreign = bankgate("watch", "--until-idle", "--after", "not-a-token", "--target", service)
    assert foreign.code == 1
    assert "resume" in foreign.err


def test_operations_show_what_there_is(bankgate: Any, service: str) -> None:
    (house,) = json.loads(bankgate("connections", "list", "--json", "--target", service).out)
    assert (house["connection_id"], house["channel"], house["guarantee"]) == ("house", "folder", "blind")
    assert "house" in bankgate("connections", "list", "--target", service).out
    assert json.loads(bankgate("deliveries", "list", "--state", "in_doubt", "--json", "--target", service).out) == []
    assert json.loads(bankgate("discrepancies", "list", "--json", "--target", service).out) == []
    missing = bankgate("deliveries", "show", "nothing", "--target", service)
    assert missing.code == 1
    assert "no such delivery" in missing.err
    short = bankgate("deliveries", "resolve", "x", "--arrived", "--reason", "short", "--target", service)
    assert (short.code, "reason" in short.err) == (1, True)
    assert bankgate("deliveries", "list", "--state", "lost", "--target", service).code == 2
    assert bankgate("deliveries", "list", "--state", "in-doubt", "--target", service).code == 0


def test_a_replay_of_an_unreadable_file_changes_nothing_and_says_so(bankgate: Any, service: str, tmp_path: Path) -> None:
    (tmp_path / "answers").mkdir()
    (tmp_path / "answers" / "a.xml").write_text("<nothing/>", encoding="utf-8")
    done = bankgate("replay", tmp_path / "answers", "--connection", "house", "--target", service)
    assert done.code == 1
    assert "a.xml: unreadable" in done.err
    assert "nothing was changed" in done.out
    assert bankgate("replay", tmp_path / "nowhere", "--connection", "house", "--target", service).code == 2
    assert bankgate("replay", tmp_path / "answers", "--connection", "haus", "--target", service).code == 1


def test_files_of_one_name_in_two_directories_are_two_files_and_one_named_twice_is_one(
    bankgate: Any, service: str, tmp_path: Path
) -> None:
    for directory, account in (("one", b"10020030/1"), ("two", b"10020030/2")):
        (tmp_path / directory).mkdir()
        (tmp_path / directory / "a.sta").write_bytes(
            b":20:S\n:25:" + account + b"\n:28C:1\n:60F:C261124EUR0,00\n:62F:C261125EUR0,00\n-\n"
        )
    paths = [tmp_path / "one" / "a.sta", tmp_path / "two" / "a.sta", tmp_path / "one"]
    done = bankgate("replay", *paths, "--connection", "house", "--target", service, "--json")
    assert (done.code, done.err) == (0, "")
    files = [json.loads(line)["file"] for line in done.out.splitlines()]
    assert [(file["file"], file["message"]) for file in files] == [(str(path), "MT940") for path in paths[:2]]


@pytest.mark.skipif(
    not Path("/proc/self/mem").exists(), reason="there is no /proc here, where a file that cannot be read is found"
)
def test_a_file_that_cannot_be_read_is_one_error_and_the_next_one_is_replayed(
    bankgate: Any, service: str, tmp_path: Path
) -> None:
    (tmp_path / "a.sta").write_bytes(b":20:S\n:25:10020030/1\n:28C:1\n:60F:C261124EUR0,00\n:62F:C261124EUR0,00\n-\n")
    done = bankgate("replay", "/proc/self/mem", tmp_path / "a.sta", "--connection", "house", "--target", service)
    assert done.code == 1
    assert "error: mem: unreadable: The file cannot be read: Input/output error" in done.err
    assert done.err.count("error: ") == 1
    assert "a.sta: MT940" in done.out


def test_a_service_refuses_one_replay_too_many_and_takes_it_once_another_has_ended(bankgate: Any, service: str) -> None:
    requests = [replay_pb2.ReplayRequest(connection_id="house", name="a.sta", chunk=b"x")]
    held = [Held(service, requests) for _ in range(AT_ONCE_MAX)]
    try:
        for replay in held:
            replay.wait_until_told()
        refused = bankgate("replay", EXAMPLES / "request.json", "--connection", "house", "--target", service)
        assert (refused.code, f"{AT_ONCE_MAX} replays are running here" in refused.err) == (1, True)
    finally:
        for replay in held:
            replay.end()
    again = bankgate("replay", EXAMPLES / "request.json", "--connection", "house", "--target", service)
    assert "request.json: unreadable" in again.err


class Held:
    """A replay whose first file is done and whose stream of requests stays open."""

    def __init__(self, service: str, requests: list[replay_pb2.ReplayRequest]) -> None:
        self._over = threading.Event()
        self._channel = grpc.insecure_channel(service)

        def sending() -> Iterator[replay_pb2.ReplayRequest]:
            yield from requests
            yield replay_pb2.ReplayRequest(name="b.sta", chunk=b"y")
            self._over.wait(30)

        self._answers = replay_pb2_grpc.ReplayServiceStub(self._channel).Replay(sending())

    def wait_until_told(self) -> None:
        assert next(self._answers).problem.file == "a.sta"

    def end(self) -> None:
        self._over.set()
        list(self._answers)
        self._channel.close()


def test_payments_too_large_for_one_message_of_the_call_are_sent_in_several(bankgate: Any, service: str, tmp_path: Path) -> None:
    payment = {"connection_id": "house", "remittance_information": {"unstructured": ["x" * 1900] * 30}}
    file = tmp_path / "large.jsonl"
    file.write_text("\n".join(json.dumps({**payment, "payment_reference": f"L-{n}"}) for n in range(400)), encoding="utf-8")
    done = bankgate("submit", file, "--target", service, "--json")
    summary = json.loads(done.out)
    assert (done.code, summary["refused"], summary["errors"]) == (1, 400, [])
    assert {violation["line"] for violation in summary["violations"]} == set(range(1, 401))


def test_a_service_that_is_not_there_is_exit_code_three(bankgate: Any, examples: Path) -> None:
    done = bankgate("submit", examples / "payments.jsonl", "--connection", "house", "--target", "127.0.0.1:1")
    assert done.code == 3
    assert "127.0.0.1:1" in done.err
    assert "Run the same command again" in done.err
    assert "Traceback" not in done.err
    assert bankgate("watch", "--until-idle", "--target", "127.0.0.1:1").code == 3
    assert bankgate("connections", "list", "--target", "127.0.0.1:1").code == 3


def test_targets_that_cannot_be_meant_are_usage_errors(bankgate: Any, examples: Path, tmp_path: Path) -> None:
    for arguments in (
        ("--target", "nonsense"),
        ("--target", "bank.example:50051"),
        ("--tls-dir", tmp_path),
        ("--cert", tmp_path / "none"),
        ("--token", "env:SOME_TOKEN"),
    ):
        done = bankgate("submit", examples / "payments.jsonl", *arguments)
        assert (done.code, done.out) == (2, "")
