"""What channels remember: durable, shared, and written only over what the writer knows."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.config import Configuration, RetentionSettings
from gateway.lifecycle import DeliveryEvent
from gateway.store.store import Store
from gateway.telemetry import Metrics
from gateway.worker import Worker
from tests.store.conftest import OpenAnother
from tests.store.support.make import HandClock, formed, moved


async def test_a_note_is_read_as_it_was_written_by_whoever_opens_the_store(store: Store, another: OpenAnother) -> None:
    assert await store.channel_note("a/subscription") is None
    assert await store.put_channel_note("a/subscription", "one 好", was=None)
    assert await store.channel_note("a/subscription") == "one 好"
    assert await (await another()).channel_note("a/subscription") == "one 好"
    assert await store.channel_note("a/upload/1") is None


async def test_a_note_is_written_only_over_what_its_writer_knows(store: Store) -> None:
    assert await store.put_channel_note("n", "one", was=None)
    assert not await store.put_channel_note("n", "two", was=None)
    assert not await store.put_channel_note("n", "two", was="other")
    assert not await store.put_channel_note("absent", "two", was="one")
    assert await store.channel_note("n") == "one"
    assert await store.put_channel_note("n", "two", was="one")
    assert await store.channel_note("n") == "two"


async def test_of_many_who_write_over_the_same_text_one_does(store: Store, another: OpenAnother) -> None:
    other = await another()
    await store.put_channel_note("n", "zero", was=None)
    writers = [(store, other)[number % 2].put_channel_note("n", f"by {number}", was="zero") for number in range(10)]
    assert sum(await asyncio.gather(*writers)) == 1


# -- what is forgotten -----------------------------------------------------------------------------------------------------

SCOPE = "ebics/HOST/PARTNER/USER/H004"
ENDS = {
    "ready": (),
    "sending": (DeliveryEvent.STARTED,),
    "in_doubt": (DeliveryEvent.STARTED, DeliveryEvent.LOST_TRACK),
    "missing": (DeliveryEvent.STARTED, DeliveryEvent.LOST_TRACK, DeliveryEvent.FOUND_MISSING),
    "sent": (DeliveryEvent.STARTED, DeliveryEvent.CONFIRMED),
    "refused": (DeliveryEvent.STARTED, DeliveryEvent.REFUSED),
    "abandoned": (DeliveryEvent.ABANDON,),
}


async def noted(store: Store, what: str) -> str:
    """A message that stands so, with a note of its upload: the note's name."""
    delivery = await formed(store, 1, name=what)
    writer = store.document_writer("sealed")
    writer.write(what.encode())
    document_id, sha256, size = writer.finish()
    delivery = await store.attach_document(delivery.delivery_id, delivery.fence, document_id, sha256, size)
    for event in ENDS[what]:
        delivery = await moved(store, delivery, event)
    name = f"{SCOPE}/upload/{sha256.lower()}"
    assert await store.put_channel_note(name, what, was=None)
    return name


@pytest.mark.parametrize(("what", "stays"), [(what, what in {"ready", "sending", "in_doubt", "missing"}) for what in ENDS])
async def test_a_note_goes_while_its_message_may_be_sent_again_or_stays_for_ever(
    store: Store, clock: HandClock, what: str, stays: bool
) -> None:
    name = await noted(store, what)
    clock.advance(days=400)
    assert await store.forget_upload_notes(clock() - timedelta(days=90), limit=10) == (not stays)
    assert (await store.channel_note(name) is not None) is stays


async def test_a_young_note_or_one_about_something_else_goes_with_the_old_ones(store: Store, clock: HandClock) -> None:
    others = [f"{SCOPE}/subscription", f"{SCOPE}/key-change", f"{SCOPE}/HCS/{'a' * 64}", f"ebics/H/P/upload/H005/{'b' * 50}", "n"]
    for name in others:
        await store.put_channel_note(name, "kept", was=None)
    old = await noted(store, "sent")
    clock.advance(days=89)
    assert await store.forget_upload_notes(clock() - timedelta(days=90), limit=10) == 0
    clock.advance(days=2)
    young = f"{SCOPE}/upload/{'c' * 64}"
    await store.put_channel_note(young, "kept", was=None)
    assert await store.forget_upload_notes(clock() - timedelta(days=90), limit=10) == 1
    assert await store.channel_note(old) is None
    assert [await store.channel_note(name) for name in (*others, young)] == ["kept"] * 6


async def test_a_note_whose_message_left_with_its_month_stays_and_more_go_at_once_than_allowed(
    store: Store, clock: HandClock
) -> None:
    for number in range(5):
        await store.put_channel_note(f"{SCOPE}/upload/{number:064x}", "of a message that is archived", was=None)
    clock.advance(days=91)
    before = clock() - timedelta(days=90)
    assert [await store.forget_upload_notes(before, limit=2) for _ in range(4)] == [2, 2, 1, 0]


async def test_a_worker_forgets_sooner_or_later_than_the_settings_say(store: Store, clock: HandClock, tmp_path: Path) -> None:
    configuration = Configuration(directory=tmp_path, retention=RetentionSettings(upload_notes_days=30))
    worker = Worker(configuration, store, now=clock, measures=Metrics())
    name = await noted(store, "sent")
    clock.advance(days=30)
    await worker.forget_notes()
    assert await store.channel_note(name) is not None
    clock.advance(seconds=1)
    await worker.forget_notes()
    assert await store.channel_note(name) is None
