"""What goes wrong in this part of the room, by name."""

from collections.abc import Iterator
from contextlib import contextmanager

from channels.channel import ChannelError
from keys.seal import BadSeal


class BadAnswer(ChannelError):
    """The bytes are no answer of the bank to what was asked: broken, not authenticated, or about something else. Nothing in them
    may be believed; whether an order arrived is as open as if no answer had come. `code` is stable, as those of `BadSeal`."""

    def __init__(self, code: str, detail: str) -> None:
        self.code = code
        self.detail = detail
        super().__init__(f"{detail} [{code}]")


@contextmanager
def as_bad_answer() -> Iterator[None]:
    """What the key room refuses is an answer that cannot be believed."""
    try:
        yield
    except BadSeal as problem:
        raise BadAnswer(problem.code, problem.detail) from None
