"""Who calls us, and what they may do.

A caller is a line of the configuration: known by the SHA-256 fingerprint of its client certificate, or, on a plaintext
loopback listener only, the one caller marked `plaintext`. Nobody else gets past the door.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from gateway.config import CallerSettings

EVERY_CONNECTION = "*"


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller as every use case of the gateway sees it. `connections` holds ids, or "*" for all there are; `address`: from where
    this call came, "" where it came from nowhere else."""

    name: str
    connections: tuple[str, ...]
    actions: frozenset[str]
    address: str = field(default="", compare=False)

    def may(self, action: str, connection_id: str | None = None) -> bool:
        """Whether it may do this, and, if a connection is named, on that connection."""
        if action not in self.actions:
            return False
        return connection_id is None or self.may_use(connection_id)

    def may_use(self, connection_id: str) -> bool:
        """Whether the connection is one of its own, whatever the action."""
        return EVERY_CONNECTION in self.connections or connection_id in self.connections

    def allowed_connections(self, all_ids: Iterable[str]) -> tuple[str, ...]:
        """Those of the ids that are its own, in the order given."""
        return tuple(connection_id for connection_id in all_ids if self.may_use(connection_id))


def normal_fingerprint(text: str) -> str:
    """A SHA-256 fingerprint as we compare it: 64 lower-case hex digits. Colons and blanks (as openssl prints) are dropped."""
    return text.replace(":", "").replace(" ", "").lower()


class Callers:
    """The callers of a configuration, by how they identify themselves."""

    def __init__(self, settings: Iterable[CallerSettings]) -> None:
        self._by_fingerprint: dict[str, Caller] = {}
        self._plaintext: Caller | None = None
        for entry in settings:
            caller = Caller(entry.name, entry.connections, frozenset(entry.actions))
            for fingerprint in entry.certificate_sha256:
                self._by_fingerprint[normal_fingerprint(fingerprint)] = caller
            if entry.plaintext:
                self._plaintext = caller

    def by_fingerprint(self, fingerprint: str) -> Caller | None:
        """The caller with this client certificate."""
        return self._by_fingerprint.get(normal_fingerprint(fingerprint))

    @property
    def plaintext(self) -> Caller | None:
        """The caller that a plaintext loopback listener takes everybody for."""
        return self._plaintext
