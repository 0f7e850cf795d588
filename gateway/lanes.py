"""The lanes: each connection has two, one more judges payments before they reach any of them, one makes those of standing orders.

The messages of a connection go out on the lane of its own name, its answers are fetched and read on another.
"""

from typing import Final

REVIEW_LANE: Final = "review:"  # no connection can have this name, nor a lane of its answers
"""Judges payments in the order in which they were stored: one lane for the whole gateway, so that limits count once."""

PLANS_LANE: Final = "plans:"
"""Makes the payments of standing orders."""


def fetch_lane(connection_id: str) -> str:
    """The lane on which a connection's answers are fetched and read."""
    return f"fetch:{connection_id}"
