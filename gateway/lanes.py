"""The two lanes of a connection: its messages go out on the lane of its own name, its answers are fetched and read on another.
And the one of standing orders, which belongs to no connection: an id of one has no colon."""

from typing import Final

PLANS_LANE: Final = "plans:"


def fetch_lane(connection_id: str) -> str:
    """The lane on which a connection's answers are fetched and read."""
    return f"fetch:{connection_id}"
