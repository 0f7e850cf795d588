"""Who calls us, and what they may do.

A caller is a line of the configuration: known by the SHA-256 fingerprint of its client certificate, by the issuer and subject
of its bearer token, by both where both are configured, or, on a plaintext loopback listener only, the one caller marked
`plaintext`. Nobody else gets past the door, and what no permission allows is refused.
"""

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Final, Literal

from gateway.addresses import is_within
from gateway.config import CallerSettings, CallerTokenSettings, LimitSettings, PermissionSettings
from gateway.policy.subject import account_key_of

EVERY_CONNECTION: Final = "*"
EVERY: Final = EVERY_CONNECTION  # account, currency, likewise

Missing = Literal["action", "connection", "account", "currency", "amount"]
"""What a permission would have to allow besides, for something that is refused."""


@dataclass(frozen=True, slots=True)
class Money:
    """What of a payment or statement permissions look at. `account`: ours, as `account_key_of` writes it; "" if there is none.
    `amount` None: there is none (a statement), and no permission that bounds amounts is about it."""

    account: str
    currency: str
    amount: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """What may be done: all of it together. None: not limited in this respect."""

    actions: frozenset[str]
    connections: frozenset[str] = frozenset({EVERY})
    accounts: frozenset[str] | None = None
    currencies: frozenset[str] | None = None
    amount_max: tuple[tuple[str, Decimal], ...] | None = None  # by currency
    valid_from: date | None = None
    valid_until: date | None = None

    @property
    def about_money(self) -> bool:
        """Whether it looks at more than action and connection."""
        return self.accounts is not None or self.currencies is not None or self.amount_max is not None

    def on(self, connection_id: str | None) -> bool:
        """Whether it is about this connection; None: about any."""
        return connection_id is None or EVERY in self.connections or connection_id in self.connections

    def on_account(self, money: Money) -> bool:
        return self.accounts is None or money.account in self.accounts

    def in_currency(self, money: Money) -> bool:
        if self.currencies is not None and money.currency not in self.currencies:
            return False
        return self.amount_max is None or any(currency == money.currency for currency, _ in self.amount_max)

    def of_amount(self, money: Money) -> bool:
        if self.amount_max is None:
            return True
        return money.amount is not None and money.amount <= dict(self.amount_max).get(money.currency, Decimal(0))

    def in_force(self, day: date) -> bool:
        return (self.valid_from is None or self.valid_from <= day) and (self.valid_until is None or day <= self.valid_until)


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller as every use case of the gateway sees it. `connections` holds ids, or "*" for all there are.

    With `permissions` these alone count; without, it may do all of its actions on all of its connections.
    """

    name: str
    connections: tuple[str, ...]
    actions: frozenset[str]
    permissions: tuple[Permission, ...] = ()
    needs: frozenset[str] = field(default=frozenset(), compare=False)  # "certificate", "token": all of it has to be shown
    networks: tuple[IPv4Network | IPv6Network, ...] = ()  # none: from anywhere
    dated: bool = False  # whether what it may do changes with the day
    address: str = field(default="", compare=False)  # from where this call came; "" where it came from nowhere else
    person: str = ""  # the signed-in person whom it carries in this call; "": nobody
    factor: str = field(default="", compare=False)  # the second factor that the person's session was last signed off with

    def __post_init__(self) -> None:
        if not self.permissions and not self.dated:
            simple = Permission(actions=self.actions, connections=frozenset(self.connections))
            object.__setattr__(self, "permissions", (simple,))

    @property
    def acts(self) -> str:
        """The name of whoever acts: the person's, where it carries one, else its own."""
        return self.person or self.name

    @property
    def actor(self) -> str:
        """Likewise, as histories and the audit log show it (`Acting.name`)."""
        return f"person: {self.person}" if self.person else f"caller: {self.name}"

    def at(self, day: date) -> "Caller":
        """The same caller with the permissions that are in force on a day."""
        if not self.dated:
            return self
        left = tuple(permission for permission in self.permissions if permission.in_force(day))
        return replace(self, permissions=left, actions=frozenset().union(*(p.actions for p in left)))

    def within(self, actions: AbstractSet[str], connections: Iterable[str]) -> "Caller":
        """The same caller with no more than this left of what it may do: while it carries a person who may do that."""
        wanted = frozenset(connections)
        left = tuple(
            replace(one, actions=one.actions & actions, connections=_both(one.connections, wanted)) for one in self.permissions
        )
        left = tuple(one for one in left if one.actions and one.connections)
        reached = frozenset[str]().union(*(one.connections for one in left))
        return replace(
            self,
            permissions=left,
            actions=frozenset[str]().union(*(one.actions for one in left)),
            connections=tuple(sorted(reached)),
        )

    def lacks(self, action: str, connection_id: str | None = None, money: Money | None = None) -> Missing | None:
        """What its permissions do not reach: the first of action, connection, account, currency and amount at which none of them
        is left; None: it may. Without a connection or money, whether it may for any."""
        left = [permission for permission in self.permissions if action in permission.actions]
        if not left:
            return "action"
        left = [permission for permission in left if permission.on(connection_id)]
        if not left:
            return "connection"
        if money is None:
            return None
        steps: tuple[tuple[Missing, Callable[[Permission, Money], bool]], ...] = (
            ("account", Permission.on_account),
            ("currency", Permission.in_currency),
            ("amount", Permission.of_amount),
        )
        for missing, allows in steps:
            left = [permission for permission in left if allows(permission, money)]
            if not left:
                return missing
        return None

    def may(self, action: str, connection_id: str | None = None, money: Money | None = None) -> bool:
        """Whether it may do this, and, if a connection or money is named, there and with it."""
        return self.lacks(action, connection_id, money) is None

    def is_limited(self, action: str) -> bool:
        """Whether more than action and connection decides, so that each payment or statement has to be looked at."""
        return any(permission.about_money for permission in self.permissions if action in permission.actions)

    def connections_for(self, action: str) -> tuple[str, ...] | None:
        """The ids of the connections on which it may do this; None: on all there are."""
        found = {one for permission in self.permissions if action in permission.actions for one in permission.connections}
        return None if EVERY in found else tuple(sorted(found))

    def allowed_connections(self, action: str, all_ids: Iterable[str]) -> tuple[str, ...]:
        """Those of the ids on which it may do this, in the order given."""
        return tuple(connection_id for connection_id in all_ids if self.may(action, connection_id))

    def may_call_from(self, address: str) -> bool:
        """Whether its entry lets it call from this address; an address that is none is nowhere."""
        return not self.networks or is_within(address, self.networks)


def _both(one: frozenset[str], other: frozenset[str]) -> frozenset[str]:
    """The connections that are in both."""
    if EVERY in one:
        return other
    return one if EVERY in other else one & other


def normal_fingerprint(text: str) -> str:
    """A SHA-256 fingerprint as we compare it: 64 lower-case hex digits. Colons and blanks (as openssl prints) are dropped."""
    return text.replace(":", "").replace(" ", "").lower()


def client_of(claims: Mapping[str, Any]) -> str | None:
    """The client that a token was issued to: `client_id` (RFC 9068, section 2.2), or `azp` where there is none (OpenID Connect
    Core, section 2)."""
    found = claims.get("client_id", claims.get("azp"))
    return found if isinstance(found, str) else None


class Callers:
    """The callers of a configuration, by how they identify themselves."""

    def __init__(self, settings: Iterable[CallerSettings]) -> None:
        self._by_fingerprint: dict[str, Caller] = {}
        self._by_token: dict[tuple[str, str, str], Caller] = {}
        self._plaintext: Caller | None = None
        self.limits: dict[str, LimitSettings] = {}
        for entry in settings:
            caller = caller_of(entry)
            self.limits[entry.name] = entry.limits
            for fingerprint in entry.certificate_sha256:
                self._by_fingerprint[normal_fingerprint(fingerprint)] = caller
            if entry.token is not None:
                self._by_token[token_key(entry.token)] = caller
            if entry.plaintext:
                self._plaintext = caller

    def by_fingerprint(self, fingerprint: str) -> Caller | None:
        """The caller with this client certificate."""
        return self._by_fingerprint.get(normal_fingerprint(fingerprint))

    def by_token(self, claims: Mapping[str, Any]) -> Caller | None:
        """The caller that a token's verified claims name; None if none, or if subject and client are two different callers."""
        issuer, subject = str(claims.get("iss")), str(claims.get("sub"))
        keys = [(issuer, "subject", subject), (issuer, "client_id", client_of(claims) or "")]
        found = {caller.name: caller for key in keys if (caller := self._by_token.get(key)) is not None}
        return next(iter(found.values())) if len(found) == 1 else None

    @property
    def plaintext(self) -> Caller | None:
        """The caller that a plaintext loopback listener takes everybody for who shows no token."""
        return self._plaintext


def token_key(token: CallerTokenSettings) -> tuple[str, str, str]:
    """What a caller's tokens are found by: issuer, which claim, its value."""
    kind, value = ("client_id", token.client_id) if token.subject is None else ("subject", token.subject)
    return token.issuer, kind, value or ""


def caller_of(entry: CallerSettings) -> Caller:
    """The caller of an entry."""
    permissions = tuple(_permission(one) for one in entry.permissions)
    needs = [("certificate", bool(entry.certificate_sha256)), ("token", entry.token is not None)]
    return Caller(
        entry.name,
        tuple(sorted(frozenset().union(*(one.connections for one in permissions)))) if permissions else entry.connections,
        frozenset().union(*(one.actions for one in permissions)) if permissions else frozenset(entry.actions),
        permissions,
        needs=frozenset(name for name, needed in needs if needed),
        networks=tuple(ip_network(text) for text in entry.addresses),
        dated=any(one.valid_from is not None or one.valid_until is not None for one in permissions),
    )


def _permission(one: PermissionSettings) -> Permission:
    return Permission(
        actions=frozenset(one.actions),
        connections=frozenset(one.connections),
        accounts=None if EVERY in one.accounts else frozenset(account_key_of(text) for text in one.accounts),
        currencies=None if EVERY in one.currencies else frozenset(one.currencies),
        amount_max=None if one.amount_max is None else tuple(sorted(one.amount_max.items())),
        valid_from=one.valid_from,
        valid_until=one.valid_until,
    )
