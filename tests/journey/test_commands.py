"""The commands of the guides, run as written against real processes."""

import asyncio
import csv
import io
import json
import os
import signal
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.demo.cast import creditor_iban
from gateway.demo.scenery import SFTP_ACCOUNT
from keys.profiles import build_seal, parse_profile

PAYMENTS = 3_000


async def bankgate(stage: Any, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """Runs a command as the ERP would; its exit status, output and complaints."""
    process = await start(stage, *arguments, **environment)
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def start(stage: Any, *arguments: str, **environment: str) -> asyncio.subprocess.Process:
    tls = stage.directory / "erp"
    if not tls.exists():
        tls.mkdir()
        (tls / "ca.crt").write_bytes(stage.made.authority)
        (tls / "client.crt").write_bytes(stage.made.erp_certificate)
        (tls / "client.key").touch(mode=0o600)
        (tls / "client.key").write_bytes(stage.made.erp_key)
    base = {"PATH": os.environ["PATH"], "BANKGATE_TLS_DIR": str(tls), "BANKGATE_TARGET": stage.address, "COLUMNS": "200"}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway.main", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={**base, **environment}, cwd=stage.directory,
    )  # fmt: skip


def write_csv(path: Path, count: int) -> None:
    columns = ["payment_reference", "connection_id", "debtor_account.iban", "amount", "currency", "creditor.name",
               "creditor_account.iban", "remittance_information.unstructured"]  # fmt: skip
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(columns)
        for n in range(count):
            amount = f"{n % 90 + 1}.{n % 100:02d}"
            rows.writerow([f"C-{n}", "acme-sftp", SFTP_ACCOUNT, amount, "EUR", f"Payee {n}", creditor_iban(n), f"Invoice {n}"])


@pytest.mark.timeout(170)
async def test_submitting_a_file_again_after_a_kill_pays_nothing_twice_and_every_command_tells_the_same_story(
    make_stage: Any,
) -> None:
    stage = await make_stage(pace="[batching]\nwait_seconds = 0.5\ntransfers_max = 1000\n\n[schedule]\nfetch_seconds = 0.3\n")
    await stage.start("serve")
    write_csv(stage.directory / "payments.csv", PAYMENTS)

    killed = await start(stage, "submit", "payments.csv")
    async with stage.erp() as erp:
        while not await erp.any_in("approved"):  # noqa: ASYNC110 - another process brings it about
            await asyncio.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    await killed.communicate()
    code, out, err = await bankgate(stage, "submit", "payments.csv", "--json")
    assert code == 0, err
    summary = json.loads(out)
    assert summary["stored"] + summary["known"] == PAYMENTS

    await stage.start("worker")
    async with stage.erp() as erp:
        await stage.until(lambda: none_waiting(erp), 90)
    code, out, err = await bankgate(stage, "watch", "--until-idle", "--json")
    assert code == 0, err
    events = [json.loads(line) for line in out.splitlines()]
    last = {event["payment_reference"]: event["state"] for event in events}
    assert len(last) == PAYMENTS
    assert set(last.values()) == {"PAYMENT_STATE_SETTLED"}
    books = await stage.control("GET", "/books?payments=no")
    assert (books["paid_twice"], books["totals"]["executed"]) == ([], PAYMENTS)

    code, out, _ = await bankgate(stage, "deliveries", "list", "--json")
    deliveries = json.loads(out)
    assert code == 0
    assert sum(d["payment_count"] for d in deliveries) == PAYMENTS
    code, out, _ = await bankgate(stage, "deliveries", "show", deliveries[0]["delivery_id"])
    assert code == 0
    assert "sftp.rename" in out
    code, out, _ = await bankgate(stage, "connections", "list")
    assert code == 0
    assert "acme-sftp" in out
    code, out, _ = await bankgate(stage, "discrepancies", "list", "--json")
    assert (code, json.loads(out)) == (0, [])

    answers = stage.directory / "answers"
    answers.mkdir()
    message_id = deliveries[0]["message_id"]
    (answers / "1.xml").write_text(
        '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.10"><CstmrPmtStsRpt><GrpHdr><MsgId>X</MsgId>'
        "<CreDtTm>2026-11-25T10:00:00Z</CreDtTm></GrpHdr><OrgnlGrpInfAndSts>"
        f"<OrgnlMsgId>{message_id}</OrgnlMsgId><OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId><GrpSts>RJCT</GrpSts>"
        "</OrgnlGrpInfAndSts></CstmrPmtStsRpt></Document>",
        encoding="utf-8",
    )
    code, out, err = await bankgate(stage, "replay", "answers", "--connection", "acme-sftp")
    assert code == 1, (out, err)
    assert "contradict" in out + err
    code, out, _ = await bankgate(stage, "discrepancies", "list", "--json")
    assert json.loads(out) == []  # a replay applied nothing


async def none_waiting(erp: Any) -> bool:
    return not await erp.any_in("approved", "batched", "sent", "accepted")


@pytest.mark.timeout(60)
async def test_the_process_that_answers_callers_cannot_open_a_private_key_of_a_connection(
    make_stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = await make_stage()
    await stage.start("serve")
    sealed = stage.directory / "answer.p7m"
    for name, value in stage.made.passphrases.bank.items():
        monkeypatch.setenv(name, value)
    table = tomllib.loads((stage.made.bank / "simulator.toml").read_text(encoding="utf-8"))["customers"][0]["seal"]
    bank = build_seal(parse_profile(table), stage.made.bank, lambda: datetime.now(UTC))
    with sealed.open("wb") as out:
        bank.seal(io.BytesIO(b"<Document/>"), out)
    code, _, err = await bankgate(stage, "replay", str(sealed), "--sealed", "--connection", "acme-sftp")
    assert code != 0
    assert "DEMO_SEAL_KEY" in err
    assert "Traceback" not in err


@pytest.mark.timeout(60)
async def test_nobody_there_is_exit_status_3_and_bad_input_is_1_without_a_traceback(make_stage: Any) -> None:
    stage = await make_stage()
    (stage.directory / "bad.jsonl").write_text('{"payment_reference": "A", "amount": "x"}\nnot json\n', encoding="utf-8")
    code, _, err = await bankgate(stage, "watch", "--until-idle")
    assert (code, "Traceback" in err) == (3, False)
    await stage.start("serve")
    code, out, err = await bankgate(stage, "submit", "bad.jsonl")
    assert (code, "Traceback" in err) == (1, False)
    assert "line 2" in out + err or ":2" in out + err


@pytest.mark.timeout(90)
async def test_a_quarantined_file_is_kept_and_read_again_when_an_operator_says_so(make_stage: Any) -> None:
    stage = await make_stage()
    await stage.start("serve")
    await stage.start("worker")
    await stage.control("POST", "/moods", {"mood": "garbage", "count": 1, "value": "truncated", "sealed": True})
    write_csv(stage.directory / "payments.csv", 5)
    code, _, err = await bankgate(stage, "submit", "payments.csv")
    assert code == 0, err

    async def quarantined() -> list[dict[str, Any]]:
        code, out, err = await bankgate(stage, "inbound", "list", "--state", "quarantined", "--json")
        assert code == 0, err
        found: list[dict[str, Any]] = json.loads(out)
        return found

    await stage.until(quarantined)
    (file,) = await quarantined()
    assert file["problem"]
    code, out, _ = await bankgate(stage, "discrepancies", "list")
    assert (code, "unreadable" in out) == (0, True)
    async with stage.erp() as erp:
        await stage.until(lambda: none_waiting(erp))  # the bank's other file told the whole story
    code, out, err = await bankgate(stage, "inbound", "reread", file["inbound_file_id"])
    assert code == 0, err
    await stage.until(quarantined)  # it is still what it was, and says so again
