"""What `apply.NewsApplier` holds of a file while it reads on."""

from dataclasses import dataclass, field

from formats.report import Entry, PaymentInformationStatus, StatusReport
from gateway.lifecycle import PaymentEvent
from gateway.matching import News
from gateway.store.records import Delivery, Reason


@dataclass(frozen=True, slots=True)
class Facts:
    """The status word of a group or block and the reason that goes with it."""

    status: str
    reason: Reason
    place: str


@dataclass(slots=True, kw_only=True)
class Group:
    """The pain.002 group being read: its message, its delivery, and who got news of their own."""

    delivery: Delivery | None
    status: str | None
    event: PaymentEvent
    news: StatusReport
    place: str
    blocks: list[tuple[PaymentInformationStatus, str]] = field(default_factory=list)  # each with its place
    own_news: set[str] = field(default_factory=set)
    refused: bool = False  # the bank speaks of a message that cannot be with it


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One piece of news waiting in the batch: `key` is unique within the file, `place` is for people."""

    key: str
    place: str
    news: News


@dataclass(slots=True, kw_only=True)
class Line:
    """One entry waiting in the batch, with the news of each of its transactions."""

    position: int
    entry: Entry
    news: list[News | None]
    places: list[str]
    payment_ids: list[str | None]
