"""Recalls on their way: each gets a message of its own, once, which the courier then carries like any other; and the payment's
events tell where it stands."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.connection import Connection
from gateway.prepare import new_message_id
from gateway.reasons import ours
from gateway.store.recalls import RecallState
from gateway.store.records import NewDelivery
from gateway.store.store import Clock, Store

RECALLS_A_TURN: Final = 100


@dataclass(slots=True)
class Recaller:
    """The recalls of one connection, for its sending lane."""

    store: Store
    connection: Connection
    clock: Clock
    new_id: Callable[[datetime], str] = new_message_id

    async def form(self) -> None:
        """Gives every recall that has none its message. Where the bank takes none any more they wait, and are shown waiting."""
        message = self.connection.settings.recalls.message
        if message is None:
            return
        for recall in await self.store.recalls_to_form(self.connection.id, RECALLS_A_TURN):
            now = self.clock()
            message_id = self.new_id(now)
            await self.store.form_recall(
                recall.recall_id,
                NewDelivery(
                    delivery_id=f"d{message_id[2:].lower()}",
                    connection_id=self.connection.id,
                    message_id=message_id,
                    message_name=message,
                    file_name=self.connection.file_name(message_id, now),
                    creation_date_time=now.replace(microsecond=0),
                    blocks=(),
                    due_at=now,
                ),
            )

    async def tell(self) -> None:
        """Tells of the recalls whose message got further."""
        for recall in await self.store.open_recalls(self.connection.id):
            if recall.state not in {recall.told, RecallState.REQUESTED}:
                await self.store.tell_recall(recall, ours(f"recall-{recall.state.value.replace('_', '-')}"))
