"""The ERP of the demo: what it says to the gateway and what it hears, over gRPC with its client certificate."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Self

from gateway.rpc.client import CallFailed, Client, ClientTls, Target

_STATE = "PAYMENT_STATE_"


@dataclass(frozen=True, slots=True)
class Submitted:
    reference: str
    already_known: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The latest event of a payment. `code` and the texts are its reason."""

    reference: str
    state: str
    code: str
    text_en: str
    text_zh: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A message that was in doubt: what was at stake, what went wrong, and what proved that the bank has it."""

    message_id: str
    connection_id: str
    payments: int
    control_sum: str  # of all its payments
    sendings: int  # how often its bytes were given to the bank: 1 is what one wants to see
    trouble: str  # of the attempt whose outcome is unknown, in the channel's words
    proof: str  # where the evidence was found: "pain.002.001.10 MB-P002-1", "sftp.listing", …
    detail: str


class Erp:
    """Use with `async with`."""

    def __init__(self, address: str, authority: bytes, certificate: bytes, key: bytes) -> None:
        self._client = Client(Target(address, ClientTls(authority, certificate, key)))

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *fault: Any) -> None:
        await self._client.__aexit__(*fault)

    async def submit(self, payments: Sequence[dict[str, Any]]) -> list[Submitted]:
        """Raises `CallFailed` with what the gateway has to say against it."""
        answer = await self._client.call("PaymentService", "SubmitPayments", {"payments": list(payments)})
        return [Submitted(p["payment_reference"], p.get("already_known", False)) for p in answer["payments"]]

    async def events(self) -> AsyncIterator[Ended]:
        """Every state change from the beginning, and then those to come."""
        async for event in self._client.watch("", (), stop_at_end=False):
            reason = event.get("reason", {})
            yield Ended(
                reference=event["payment_reference"],
                state=event["state"].removeprefix(_STATE).lower(),
                code=reason.get("code", ""),
                text_en=reason.get("text_en", ""),
                text_zh=reason.get("text_zh", ""),
                source=event.get("source", ""),
            )

    async def any_in(self, *states: str) -> bool:
        """Whether any payment stands in one of these states."""
        wanted = [_STATE + state.upper() for state in states]
        answer = await self._client.call("PaymentService", "ListPayments", {"page": {"size": 1}, "states": wanted})
        return bool(answer.get("payments"))

    async def deliveries_in_doubt(self) -> list[dict[str, Any]]:
        """The deliveries that are in doubt now, as the contract's Delivery."""
        request = {"states": ["DELIVERY_STATE_IN_DOUBT"], "page": {"size": 1000}}
        answer = await self._client.call("OperationsService", "ListDeliveries", request)
        found: list[dict[str, Any]] = answer.get("deliveries", [])
        return found

    async def in_doubt(self) -> set[str]:
        """Message ids of the deliveries that are in doubt now."""
        return {delivery["message_id"] for delivery in await self.deliveries_in_doubt()}

    async def resolve(self, listed: Mapping[str, Any], arrived: bool, reason: str) -> None:
        """A person's decision about a delivery as it was listed when they began to ask: about its attempt of then."""
        request = {
            "delivery_id": listed["delivery_id"],
            "resolution": "RESOLUTION_ARRIVED" if arrived else "RESOLUTION_DID_NOT_ARRIVE",
            "reason": reason,
            "attempt": listed.get("attempts", 0),
        }
        await self._client.call("OperationsService", "ResolveDelivery", request)

    async def doubts(self, message_ids: set[str]) -> list[Doubt]:
        """What became of messages that were in doubt and are so no longer."""
        answer = await self._client.call("OperationsService", "ListDeliveries", {"page": {"size": 1000}})
        found = []
        for listed in answer.get("deliveries", ()):
            if listed["message_id"] in message_ids:
                shown = await self._client.call("OperationsService", "GetDelivery", {"delivery_id": listed["delivery_id"]})
                found += _doubt(shown["delivery"])
        return found

    async def closing_balance(self, iban: str) -> Decimal | None:
        """Of the account's newest statement; None if there is none."""
        request = {"iban": iban, "message": "camt.053", "page": {"size": 1000}}
        answer = await self._client.call("StatementService", "ListStatements", request)
        closings = [
            (balance["date"], balance)
            for statement in answer.get("statements", ())
            for balance in statement.get("balances", ())
            if balance["type"] == "CLBD"
        ]
        if not closings:
            return None
        balance = max(closings, key=lambda item: item[0])[1]
        amount = Decimal(balance["amount"])
        return -amount if balance["credit_debit"] == "DBIT" else amount

    async def told_balance(self, account: str) -> Decimal | None:
        """The newest word of a bank that answers at once about an account's booked balance [ITBD]; None if it said nothing."""
        answer = await self._client.call("StatementService", "ListStatements", {"iban": account, "page": {"size": 100}})
        for statement in answer.get("statements", ()):
            for balance in statement.get("balances", ()):
                if balance["type"] == "ITBD":
                    return Decimal(balance["amount"])
        return None


def _doubt(delivery: dict[str, Any]) -> list[Doubt]:
    """The doubt about a delivery, if evidence settled it."""
    lost = [attempt for attempt in delivery.get("attempt_log", ()) if attempt.get("outcome") == "lost_track"]
    proofs = [evidence for evidence in delivery.get("evidence", ()) if evidence["verdict"] == "arrived"]
    if not proofs:
        return []
    return [
        Doubt(
            message_id=delivery["message_id"],
            connection_id=delivery["connection_id"],
            payments=delivery.get("payment_count", 0),
            control_sum=delivery.get("control_sum", ""),
            sendings=delivery.get("attempts", 0),
            trouble=lost[0].get("detail", "") if lost else "",
            proof=proofs[0]["source"],
            detail=proofs[0].get("detail", ""),
        )
    ]


__all__ = ["CallFailed", "Doubt", "Ended", "Erp", "Submitted"]
