"""The lifecycle's tables as SQL, for set-based statements of every store: states are words of our own, and few, so they stand in
the statement itself, which is then planned once."""

from collections.abc import Iterable, Mapping

from gateway.lifecycle import PaymentState


def in_states(states: Iterable[PaymentState]) -> str:
    """`state IN (…)`; never true of no states."""
    words = ", ".join(repr(state.value) for state in states)
    return f"state IN ({words})" if words else "FALSE"


def following(follow: Mapping[PaymentState, PaymentState], column: str = "state") -> str:
    """`CASE state …`: the state that follows each."""
    cases = " ".join(f"WHEN '{state.value}' THEN '{after.value}'" for state, after in follow.items())
    return f"CASE {column} {cases} END"
