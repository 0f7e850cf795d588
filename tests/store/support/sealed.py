"""What `bankgate audit verify` finds out about the events of a store."""

from pathlib import Path

from gateway.audit.events import Stream
from gateway.audit.verify import Verifier
from gateway.sealed_events import StreamReport, check_events, newest_seals
from gateway.store.store import Store


async def reports(store: Store, archives: Path | None = None) -> dict[Stream, StreamReport]:
    """The log has to fit."""
    told_to, verifier = await newest_seals(store), Verifier()
    verifier.take(await store.audit_rows(0, 10_000))
    assert verifier.finish() is None
    return await check_events(store, told_to, verifier.seals, archives)


async def numbers(store: Store) -> list[tuple[int, int, int]]:
    """Of each stream, where all fits: how many events are sealed, were compared, and are not sealed yet."""
    found = await reports(store)
    assert [report.problems for report in found.values()] == [[], []]
    assert [report.fault for report in found.values()] == [None, None]
    return [(report.sealed, report.checked, report.unsealed) for report in found.values()]
