"""The ledger that none of us wrote: mock-bank, over its HTTP interface (see its README, "Endpoints")."""

import asyncio
import hashlib
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import aiohttp

from simulator.books import Booked
from simulator.ledger import Answer, LedgerDown, Refusal, Verdict
from simulator.mockbank_process import MockBankProcess
from simulator.money import from_minor
from simulator.settings import MockBankSettings

_TIMEOUT = aiohttp.ClientTimeout(total=120, sock_connect=5)


class MockLedger:
    """Talks to one mock-bank; `process` is set if it is ours to stop.

    `identity` stays the same for as long as the bank's memory does: its database file, or the address of a throw-away bank.
    """

    def __init__(self, url: str, process: MockBankProcess | None = None, identity: str | None = None) -> None:
        self.url = url
        self._identity = identity or url
        self._process = process
        self._session = aiohttp.ClientSession(base_url=url, timeout=_TIMEOUT)
        self._senders: dict[int, str] = {}  # message id of a status report → who sent the file it is about
        # Between a file's answer being released and our knowing whose it is, nobody may collect.
        self._lock = asyncio.Lock()

    @classmethod
    async def start(cls, settings: MockBankSettings, base: Path) -> "MockLedger":
        """Joins the mock-bank of `settings.url`, or starts one. Raises `LedgerDown`."""
        if settings.url is not None:
            ledger = cls(settings.url)
            try:
                await ledger.today()
            except LedgerDown:
                await ledger.close()
                raise
            return ledger
        process = await asyncio.to_thread(MockBankProcess.start, settings, base)
        return cls(process.url, process, settings.database)

    async def submit(self, customer: str, file: Path) -> Verdict:
        """`POST /payments`: 202 decided, 422 rejected whole."""
        body = await asyncio.to_thread(file.read_bytes)
        async with self._lock:
            answer = await self._ask("POST", "/payments", data=body, headers={"Content-Type": "application/xml"}, fine=(202, 422))
            self._senders.update({entry["id"]: customer for entry in answer["queued"] if entry.get("id") is not None})
        return Verdict(
            message_id=answer["msg_id"],
            status=answer["status"],
            reason=answer["reason"],
            accepted=answer["accepted"],
            rejected=answer["rejected"],
        )

    async def collect(self) -> tuple[Answer, ...]:
        """`GET /_mock/mailbox?leave`: looking takes nothing, so a crash before `confirm` loses nothing."""
        async with self._lock:
            rows = await self._ask("GET", "/_mock/mailbox?leave")
            if not rows:
                return ()
            names = {row["id"]: (row["iban"], row["id"], row["account_number"]) for row in await self.accounts()}
            return tuple(
                Answer(
                    key=self._key(row),
                    kind=row["type"],
                    customer=self._senders.get(row["id"]),
                    account_names=tuple(name for name in names.get(row["account"], ()) if name),
                    body=row["body"].encode("utf-8"),
                )
                for row in rows
            )

    async def confirm(self, answers: tuple[Answer, ...]) -> None:
        """`GET /_mock/mailbox` takes everything, so what came meanwhile is put back with `POST …/unread`."""
        if not answers:
            return
        expected = {answer.key for answer in answers}
        async with self._lock:
            for row in await self._ask("GET", "/_mock/mailbox"):
                if self._key(row) not in expected:
                    await self._ask("POST", f"/_mock/mailbox/{row['id']}/unread")

    async def advance(self, days: int) -> Mapping[str, Any]:
        outcome: Mapping[str, Any] = await self._ask("POST", f"/_mock/advance?days={days}")
        return outcome

    async def today(self) -> date:
        state = await self._ask("GET", "/_mock/state")
        return datetime.fromisoformat(state["clock"]["now"]).date()

    async def open_account(self, account: Mapping[str, Any]) -> Mapping[str, Any]:
        fields = dict(account)
        if any(row["id"] == fields.get("id") for row in await self.accounts()):
            changed: Mapping[str, Any] = await self._ask("PATCH", f"/_mock/accounts/{fields.pop('id')}", json=fields)
            return changed
        opened: Mapping[str, Any] = await self._ask("POST", "/_mock/accounts", json=fields, fine=(201,))
        return opened

    async def accounts(self) -> list[Mapping[str, Any]]:
        held: list[Mapping[str, Any]] = await self._ask("GET", "/_mock/accounts")
        return held

    async def payments(self) -> list[Mapping[str, Any]]:
        return [_booked(row) for row in reversed(await self._ask("GET", "/_mock/payments"))]

    async def close(self) -> None:
        await self._session.close()
        if self._process is not None:
            await asyncio.to_thread(self._process.stop)

    def _key(self, row: Mapping[str, Any]) -> str:
        # Message ids begin at 1 again after a reset; the content, which names the day and the file, tells such two apart.
        digest = hashlib.sha256(row["body"].encode("utf-8")).hexdigest()[:16]
        return f"{self._identity}/{row['id']}/{digest}"

    async def _ask(self, method: str, path: str, fine: tuple[int, ...] = (200,), **request: Any) -> Any:
        try:
            async with self._session.request(method, path, **request) as response:
                answer = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise LedgerDown(f"mock-bank at {self.url}: {method} {path.partition('?')[0]}: {error!r}") from error
        if response.status in fine:
            return answer
        said = answer.get("error", "") if isinstance(answer, dict) else ""
        if 400 <= response.status < 500:
            raise Refusal(f"mock-bank: {said} [{response.status}]")
        raise LedgerDown(f"mock-bank answers {response.status}: {said}")


def _booked(row: Mapping[str, Any]) -> Booked:
    return Booked(
        message_id=row["msg_id"],
        payment_information_id=row["pmt_inf_id"],
        instruction_id=row["instruction_id"],
        end_to_end_id=row["end_to_end_id"],
        debtor_account=row["debtor_iban"],
        creditor_account=row["creditor_iban"],
        amount=format(from_minor(row["amount"] or 0, row["currency"] or ""), "f"),
        currency=row["currency"],
        executed=row["status"] != "rejected",
        status=row["status"],
        reason=row["reason"] or row.get("return_reason"),
    )
