"""The pieces of a bank's file that are under way while it is applied."""

from dataclasses import dataclass, field

from formats.report import Entry, PaymentInformationStatus, StatusReport
from gateway.lifecycle import PaymentEvent
from gateway.matching import News
from gateway.store.records import Delivery, Reason


@dataclass(frozen=True, slots=True)
class Facts:
    """The status word of a group or block, its reason, and whether it proves that instant payments are refused."""

    status: str
    reason: Reason
    refuses: bool


@dataclass(slots=True, kw_only=True)
class Group:
    """The pain.002 group being read: its message, its delivery, and who got news of their own."""

    delivery: Delivery | None
    status: str | None
    event: PaymentEvent
    news: StatusReport
    blocks: list[PaymentInformationStatus] = field(default_factory=list)
    own_news: set[str] = field(default_factory=set)
    refused: bool = False  # the bank speaks of a message that cannot be with it
    once: bool = False  # the bank surely got the message once only


@dataclass(slots=True, kw_only=True)
class Line:
    """One entry waiting in the batch, with the news of each of its transactions."""

    position: int
    entry: Entry
    news: list[News | None]
    payment_ids: list[str | None]
