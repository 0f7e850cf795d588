"""What is remembered of people, as the store gives it: accounts, factors, sessions, challenges, tries. Nothing secret in
clear."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gateway.people.person import Person, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A person's account. `version` grows with every change: whoever changes it names the version they saw."""

    name: str
    roles: frozenset[Role]
    groups: frozenset[str] = frozenset()
    connections: tuple[str, ...] = ("*",)
    password: str | None = None  # argon2id; None: none yet, or signed in elsewhere
    subject: str | None = None  # issuer and subject of the one who signs in by OpenID Connect; None: signs in here
    disabled: bool = False
    sealed: bool = False  # for emergencies: can be used only while somebody has opened it
    enrolment: str | None = None  # SHA-256, hex, of the code by which the person begins
    enrolment_until: datetime | None = None
    created_at: datetime
    updated_at: datetime
    version: int = 1

    @property
    def person(self) -> Person:
        """As the rest of the gateway sees them."""
        return Person(name=self.name, roles=self.roles, groups=self.groups, connections=self.connections)


class FactorKind(StrEnum):
    TOTP = "totp"
    PASSKEY = "passkey"
    RECOVERY_CODE = "recovery_code"


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """A second factor. `content`: the encrypted secret (TOTP), JSON of the public key (passkey), HMAC (recovery code).

    `counter`: the last step that counted (TOTP), the signature counter (passkey), 1 once it was used (recovery code).
    """

    factor_id: str
    name: str  # whose
    kind: FactorKind
    label: str
    content: str
    credential_id: str | None = None  # passkeys: base64url
    counter: int = 0
    confirmed: bool = True
    created_at: datetime
    used_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A signed-in person's session. The token itself is nowhere: `token_sha256` is its SHA-256 in hex."""

    session_id: str
    token_sha256: str
    name: str
    caller: str
    address: str
    enrolling: bool  # until a second factor is there: nothing else can be done
    factor: str  # "totp 3f…": what it was last signed off with; "" for none
    created_at: datetime
    seen_at: datetime
    fresh_at: datetime | None  # when a second factor was given last
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """Something asked once and answered once, before `expires_at`. `content` is what the answer is held against (JSON)."""

    challenge_id: str
    name: str  # who may answer; "" if that is not known yet
    kind: str  # "sign-in", "registration", "factor", "nonce"
    content: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Pausing:
    """So many tries are free; then pauses double from the first to the longest."""

    free: int
    first_seconds: int
    longest_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tries:
    """Wrong tries under one key, since the last right one. `paused_until` None: none was so many."""

    count: int
    last_at: datetime
    paused_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A sealed account was opened, by whom, why and until when; and who looked at it afterwards."""

    opening_id: str
    name: str
    opened_by: str
    reason: str
    opened_at: datetime
    open_until: datetime
    reviewed_at: datetime | None = None
    reviewed_by: str | None = None
    review: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What one security officer wants, until another one confirms it. `content` is JSON by kind: "put", "reset"."""

    proposal_id: str
    kind: str
    name: str
    content: str
    asked_by: str
    asked_at: datetime
    expires_at: datetime
