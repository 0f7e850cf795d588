"""What a payment knows of its release group (`gateway.store.groups`)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """`waits`: no message takes the payment, whatever its state."""

    group_id: str
    name: str
    waits: bool
