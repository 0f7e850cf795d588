"""How long one waits after so many wrong tries. Pure.

A try is counted before it is looked at, so that many at once are no more than one after the other; what was right takes it back.
Pauses grow and end: whoever knows a name can slow its owner down by minutes, and never shut them out.
"""

from datetime import timedelta
from typing import Final

from gateway.people.records import Pausing

FORGOTTEN_AFTER: Final = timedelta(hours=24)  # without a further try

ACCOUNT: Final = Pausing(free=5, first_seconds=2, longest_seconds=300)
"""Of one name, wherever the tries come from: five minutes at most, since strangers can cause it."""
ADDRESS: Final = Pausing(free=20, first_seconds=2, longest_seconds=3600)
"""Of one address, whatever names it tries."""
FACTOR: Final = Pausing(free=3, first_seconds=5, longest_seconds=900)
"""Of second factors, after the right password or in a session: a code of six digits has a million values."""


def pause_after(tries: int, rule: Pausing) -> timedelta:
    """From the try of that number (1 is the first) to the next one that is looked at."""
    over = tries - rule.free
    if over <= 0:
        return timedelta(0)
    return timedelta(seconds=min(rule.first_seconds * 2 ** min(over - 1, 20), rule.longest_seconds))
