"""Users of the bank with their states and keys, and what their signatures are worth.

NEW ── INI ──▶ INI done ── HIA ──▶ INITIALISED ── the bank compares the letters ──▶ READY ── SPR ──▶ LOCKED
    ── HIA ──▶ HIA done ── INI ──▶
    ── H3K ───────────────────────▶ READY: the certificates are an authority's, and no letter is compared
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from keys.ebics_keys import EbicsKey
from simulator.customer import Customer
from simulator.ebics.archive import Archive, Signer
from simulator.ebics.names import Fault
from simulator.ebics.settings import EbicsUserSettings
from simulator.ledger import Refusal


class State(StrEnum):
    NEW = "new"
    INI_DONE = "ini-done"
    HIA_DONE = "hia-done"
    INITIALISED = "initialised"
    READY = "ready"
    LOCKED = "locked"


USER_STATUS: Final = {"new": 2, "ini-done": 3, "hia-done": 4, "initialised": 5, "ready": 1, "locked": 6}
"""The Status of HTD and HKD. The schemas say only that it is a number from 0 to 99; 1 for ready is usual, the others are ours."""
_AFTER: Final = {
    (State.NEW, "INI"): State.INI_DONE,
    (State.NEW, "HIA"): State.HIA_DONE,
    (State.INI_DONE, "HIA"): State.INITIALISED,
    (State.HIA_DONE, "INI"): State.INITIALISED,
    (State.NEW, "H3K"): State.READY,
}


@dataclass(slots=True, kw_only=True)
class User:
    """One user. `keys` by use: Signature, Authentication, Encryption. `seen`: the last step that a protocol has shown."""

    customer: Customer
    partner_id: str
    settings: EbicsUserSettings
    state: State = State.NEW
    keys: dict[str, EbicsKey] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.settings.id

    def may(self, order_type: str) -> bool:
        return not self.settings.orders or order_type in self.settings.orders


class Subscribers:
    """All users of all customers, loaded at the start and kept at every change."""

    def __init__(self, customers: Mapping[str, Customer], archive: Archive, *, explicit: bool) -> None:
        self._archive = archive
        self._explicit = explicit
        self._users: dict[tuple[str, str], User] = {}
        for customer in customers.values():
            table = customer.settings.ebics
            for settings in table.users if table else ():
                assert table is not None  # noqa: S101 - it has users
                user = User(customer=customer, partner_id=table.partner, settings=settings)
                if kept := archive.subscriber(table.partner, settings.id):
                    user.state, user.keys, user.seen = State(kept[0]), kept[1], kept[2]
                self._users[table.partner, settings.id] = user

    def all(self) -> list[User]:
        return list(self._users.values())

    def find(self, partner_id: str, user_id: str) -> User | None:
        return self._users.get((partner_id, user_id))

    def known(self, partner_id: str, user_id: str) -> User:
        """Raises `Fault`: a user the bank does not have, or is not to say it has."""
        user = self.find(partner_id, user_id)
        if user is None:
            raise Fault("091003" if self._explicit else "091002", "the user is unknown, or its state does not allow this")
        return user

    def ready(self, partner_id: str, user_id: str) -> User:
        """Raises `Fault` unless the user may use the bank."""
        user = self.known(partner_id, user_id)
        if user.state is not State.READY:
            raise self.wrong_state(user)
        return user

    def wrong_state(self, user: User) -> Fault:
        said = f"the user is {user.state}" if self._explicit else "the user is unknown, or its state does not allow this"
        return Fault("091004" if self._explicit else "091002", said)

    def check_awaits(self, user: User, order_type: str) -> None:
        """Raises `Fault` unless the user's state waits for INI, HIA or H3K."""
        if (user.state, order_type) not in _AFTER:
            raise self.wrong_state(user)

    def take_keys(self, user: User, order_type: str, keys: Mapping[str, EbicsKey]) -> None:
        """INI, HIA or H3K, which the user's state waits for. Raises `Fault` where one key comes twice."""
        after = _AFTER[user.state, order_type]
        check_different(user.keys | dict(keys))
        user.keys.update(keys)
        user.state = State.READY if after is State.INITIALISED and user.settings.activation == "auto" else after
        self.keep(user)

    def change_keys(self, user: User, keys: Mapping[str, EbicsKey]) -> None:
        """PUB, HCA, HCS. Raises `Fault`."""
        if any(user.keys[use].public_key_hash == key.public_key_hash for use, key in keys.items()):
            raise Fault("091218", "the new key is the old one")
        check_different(user.keys | dict(keys))
        user.keys.update(keys)
        self.keep(user)

    def keep(self, user: User) -> None:
        self._archive.keep_subscriber(user.partner_id, user.id, user.state.value, user.keys, user.seen)

    def command(self, partner_id: str, user_id: str, command: str) -> User:
        """The tester's: activate, lock, reset. Raises `Refusal`."""
        user = self.find(partner_id, user_id)
        if user is None:
            raise Refusal(f"no such user; there are: {', '.join('/'.join(known) for known in sorted(self._users))}")
        if command == "activate":
            if user.state not in {State.INITIALISED, State.LOCKED} or len(user.keys) < 3:
                raise Refusal(f"a user is activated when all its keys are there; this one is {user.state}")
            user.state = State.READY
        elif command == "lock":
            user.state = State.LOCKED
        elif command == "reset":
            user.state, user.keys = State.NEW, {}
        else:
            raise Refusal("the commands are activate, lock and reset")
        self.keep(user)
        return user


def check_different(keys: Mapping[str, EbicsKey]) -> None:
    """Raises `Fault` (091218) where two uses share a key."""
    if len({key.public_key_hash for key in keys.values()}) < len(keys):
        raise Fault("091218", "the three keys of a user are three different ones")


def suffices(signers: Iterable[Signer]) -> bool:
    """Whether signatures of these classes authorise an order: one E, or two of A and B with one A at least."""
    levels = [signer.level for signer in signers]
    return "E" in levels or ("A" in levels and sum(level in {"A", "B"} for level in levels) >= 2)
