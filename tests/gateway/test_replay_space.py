"""A replay takes no more of the machine than it was given, and gives it back however it ends."""

from collections.abc import AsyncIterator

import pytest

from gateway.errors import TooMany
from gateway.replay import Replay
from gateway.replay_space import FREE_BYTES_LEFT, ReplaySpace

MIB = 1024 * 1024


def test_a_file_larger_than_the_most_is_refused_before_it_is_kept() -> None:
    space = ReplaySpace(file_bytes_max=10)
    spool = space.spool("a.xml")
    spool.write(b"1234567890")
    with pytest.raises(TooMany, match=r"a\.xml: larger than 10 bytes"):
        spool.write(b"1")
    assert spool.tell() == 10


def test_all_files_together_have_one_bound_and_a_closed_one_gives_its_room_back() -> None:
    space = ReplaySpace(space_bytes_max=10)
    first, second = space.spool("a"), space.spool("b")
    first.write(b"123456")
    with pytest.raises(TooMany, match="temporary space"):
        second.write(b"12345")
    first.close()
    first.close()
    second.write(b"1234567890")


def test_the_last_of_the_disk_is_not_taken() -> None:
    space = ReplaySpace(free_bytes=lambda: FREE_BYTES_LEFT - 1)
    spool = space.spool("a")
    spool.write(bytes(15 * MIB))
    with pytest.raises(TooMany, match="disk"):
        spool.write(bytes(2 * MIB))
    spool.close()


def test_one_replay_too_many_is_refused_and_the_place_of_one_that_failed_is_free_again() -> None:
    space = ReplaySpace(at_once_max=1)
    with space.admitted(), pytest.raises(TooMany, match="1 replays are running"), space.admitted():
        pass

    def failing() -> None:
        with space.admitted():
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    with space.admitted():
        pass


async def test_a_replay_that_is_broken_off_gives_its_room_back(make_desk) -> None:
    desk = await make_desk()
    space = ReplaySpace(space_bytes_max=100)

    async def uploaded() -> AsyncIterator[tuple[str, bytes | None]]:
        yield "a", b"x" * 90
        raise ZeroDivisionError

    replay = Replay(desk.store, desk.intake, commit=False, space=space)
    with pytest.raises(ZeroDivisionError):
        [result async for result in replay.run(uploaded(), sealed=False)]
    space.spool("b").write(b"x" * 100)
