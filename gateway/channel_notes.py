"""What a channel remembers, kept in the store: any worker goes on where another one died."""

from dataclasses import dataclass

from gateway.store.store import Store


@dataclass(frozen=True, slots=True)
class StoreNotes:
    """`channels.ebics.notes.Notes` over the store."""

    store: Store

    async def read(self, name: str) -> str | None:
        return await self.store.channel_note(name)

    async def write(self, name: str, text: str, *, was: str | None) -> bool:
        return await self.store.put_channel_note(name, text, was=was)
