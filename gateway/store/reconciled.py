"""What has to change so that the discrepancies of a chain of statements are those that are found now. The same in every store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.store.records import BY_ITSELF, NewDiscrepancy


def chain_key(connection_id: str, chain: str) -> str:
    """How the keys of the discrepancies of a chain of statements begin (`gateway.continuity`)."""
    return f"chain:{connection_id}:{chain}:"


@dataclass(frozen=True, slots=True)
class Kept:
    """A stored discrepancy, as far as this asks: whether it is open, who resolved it, and its English summary."""

    is_open: bool
    resolved_by: str | None
    summary_en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """`new` are to be added; `again` to be opened, and `changed` told in other words; the keys `gone` resolve by themselves."""

    new: tuple[NewDiscrepancy, ...]
    again: tuple[NewDiscrepancy, ...]
    changed: tuple[NewDiscrepancy, ...]
    gone: tuple[str, ...]

    @property
    def counts(self) -> tuple[int, int]:
        """How many are told anew, and how many resolve."""
        return len(self.new) + len(self.again), len(self.gone)


def changes(known: Mapping[str, Kept], found: Sequence[NewDiscrepancy]) -> Changes:
    """One that is found no more resolves by itself; one found again that had resolved by itself is open again. What a person
    resolved stays so."""
    current = {item.key: item for item in found}
    again, changed = [], []
    for key, kept in known.items():
        item = current.get(key)
        if item is not None and not kept.is_open and kept.resolved_by == BY_ITSELF:
            again.append(item)
        elif item is not None and kept.is_open and item.summary_en != kept.summary_en:
            changed.append(item)
    return Changes(
        new=tuple(item for key, item in current.items() if key not in known),
        again=tuple(again),
        changed=tuple(changed),
        gone=tuple(key for key, kept in known.items() if kept.is_open and key not in current),
    )


def prefix_end(prefix: str) -> str:
    """The first key after all that begin with `prefix`, in the order of code points."""
    return f"{prefix}\U0010ffff"
