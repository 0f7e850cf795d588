"""How far a feed was searched in vain."""

from collections import OrderedDict
from threading import Lock
from typing import Any, Generic, TypeVar

P = TypeVar("P", int, tuple[int, int])
REMEMBERED = 1024


class Quiet(Generic[P]):
    """Remembers it, so that a reader whose events are rare does not search the same stretch again. `P`: a place in the feed."""

    def __init__(self) -> None:
        self._searched: OrderedDict[Any, P] = OrderedDict()
        self._lock = Lock()

    def start(self, feed: Any, cursor: P) -> P:
        """From where to search: after what was searched before, but not before `cursor`."""
        with self._lock:
            return max(cursor, self._searched.get((feed, cursor), cursor))

    def note(self, feed: Any, cursor: P, until: P) -> None:
        """Nothing of this feed lies after `cursor` up to `until`, inclusive."""
        with self._lock:
            self._searched[feed, cursor] = until
            self._searched.move_to_end((feed, cursor))
            while len(self._searched) > REMEMBERED:
                self._searched.popitem(last=False)
