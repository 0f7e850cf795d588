"""What an operator can set, as data. One directory: `bankgate.toml` and `connections/<id>.toml`.

Read once, validated whole; every problem is named with its file and key. Secrets stand as references ("file:…", "env:…") and
are resolved only by the process and at the moment that needs them, so that `serve` never holds a private key of a bank
connection.
"""

from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from gateway.habits_settings import HabitsSettings
from gateway.payee_settings import PayeeSettings
from gateway.people.person import Role
from gateway.screening_settings import ScreeningSettings


class Settings(BaseModel):
    """Base: unknown keys are mistakes, and settings do not change after start."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Seconds = Annotated[float, Field(ge=0, le=31 * 86400)]


def _time_of_day(value: object) -> time:
    """A time in words ("16:30") or as TOML writes it (16:30:00)."""
    try:
        found = time.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        found = None
    if not isinstance(found, time) or found.tzinfo is not None:
        raise ValueError('must be a time of day such as "16:30", in the bank\'s time zone')
    return found


def _calendar_date(value: object) -> date:
    """A date in words ("2026-12-24") or as TOML writes it (2026-12-24)."""
    try:
        found = date.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        found = None
    if not isinstance(found, date) or isinstance(found, datetime):
        raise ValueError('must be a date such as "2026-12-24"')  # noqa: TRY004 - pydantic's problem, not a fault of ours
    return found


def _amount(value: object) -> Decimal:
    """An amount in words ("50000.00"): a number of TOML may have passed through binary fractions."""
    try:
        found = Decimal(value) if isinstance(value, str) else None
    except InvalidOperation:
        found = None
    if found is None or not found.is_finite() or found <= 0:
        raise ValueError('must be an amount above zero in quotes, such as "50000.00"')
    return found


TimeOfDay = Annotated[time, BeforeValidator(_time_of_day)]
CalendarDate = Annotated[date, BeforeValidator(_calendar_date)]
Amount = Annotated[Decimal, BeforeValidator(_amount)]


class TlsSettings(Settings):
    """The server's certificate and key, and whose client certificates are believed."""

    certificate: str  # reference to a PEM chain
    key: str  # reference to an encrypted PKCS#8 PEM key
    key_passphrase: str  # reference
    client_ca: str | None = None  # reference to the PEM certificates that may issue client certificates
    client_certificates: Literal["required", "none"] = "required"  # at `address`; "none": callers come with tokens alone


class ListenSettings(Settings):
    address: str = "127.0.0.1:50051"
    token_address: str | None = None  # a second one, with TLS, that asks for no client certificate: for callers with tokens
    proxies: tuple[str, ...] = ()  # networks whose x-forwarded-for is believed; none: the other end is who it is
    tls: TlsSettings | None = None  # None: plaintext, which is only allowed on loopback
    metrics_address: str | None = None  # "127.0.0.1:9464"; None: off
    message_bytes_max: int = Field(default=16 * 1024 * 1024, ge=64 * 1024, le=1024 * 1024 * 1024)  # of one call; no way to none
    drain_seconds: Seconds = 20
    request_seconds: Seconds = 60  # for a call's request to come in whole where no client certificate is asked for; 0: no bound
    stream_quiet_seconds: Seconds = 900  # after which a stream of requests that brings none is ended; 0: never
    stream_unread_seconds: Seconds = 120  # after which a stream of answers that nobody reads is ended; 0: never


TokenAlgorithm = Literal["RS256", "PS256", "ES256", "EdDSA"]
"""Signatures of a key pair only: with a shared secret (HS…) or none, whoever can check a token can make one."""


class TokenIssuerSettings(Settings):
    """An issuer whose bearer tokens are believed (`gateway.tokens`)."""

    issuer: str = Field(min_length=1, max_length=500)  # as the tokens' iss says it, letter by letter
    audience: tuple[str, ...] = Field(min_length=1)  # one of them stands in aud
    keys: str  # "https://…" or "file:PATH": its public keys, as a JSON Web Key Set
    ca: str | None = None  # reference to PEM certificates that the https address is checked with; None: the system's
    algorithms: tuple[TokenAlgorithm, ...] = Field(default=("RS256", "PS256", "ES256", "EdDSA"), min_length=1)
    types: tuple[str, ...] = Field(default=("at+jwt",), min_length=1)  # typ; "" stands for tokens without one
    lifetime_max_seconds: Annotated[float, Field(ge=1, le=31 * 86400)] = 7200  # from iat to exp
    cache_seconds: Annotated[float, Field(ge=60, le=86_400)] = 300  # after which keys are read again
    keep_seconds: Annotated[float, Field(ge=60, le=31 * 86400)] = 86_400  # old keys count so long when that fails


Action = Literal["submit", "read", "cancel", "statements", "operate", "replay", "approve", "audit", "people"]


class CallerTokenSettings(Settings):
    """Whose tokens are this caller's: those of one subject, or of one client, at one of the `[[tokens]]` issuers."""

    issuer: str
    subject: str | None = None  # sub
    client_id: str | None = None  # client_id, or azp where there is none


class PermissionSettings(Settings):
    """What a caller may do: all of it together. Several permissions stand beside each other; each payment needs one whole."""

    actions: tuple[Action, ...] = Field(min_length=1)
    connections: tuple[str, ...] = Field(min_length=1)  # ids, or "*"
    accounts: tuple[str, ...] = ("*",)  # of ours: IBANs or other ids, or "*"
    currencies: tuple[str, ...] = ("*",)
    amount_max: dict[str, Amount] | None = None  # of one payment, by currency; no other currency then
    valid_from: CalendarDate | None = None  # in UTC, both inclusive
    valid_until: CalendarDate | None = None


class LimitSettings(Settings):
    """How much of one caller is taken: in a day by all processes together, of the rest by each. Above it a call is refused and
    told when to come again."""

    calls_per_second: Annotated[float, Field(ge=0.01, le=1_000_000)] = 10_000
    payments_per_second: Annotated[float, Field(ge=0.01, le=1_000_000)] = 100_000  # submitted and checked
    payments_per_day: int | None = Field(default=None, ge=1)  # new ones, in UTC days; None: no end
    calls_at_once: int = Field(default=1_000, ge=1, le=2_000)
    streams_at_once: int = Field(default=100, ge=1, le=2_000)
    message_bytes_max: int | None = Field(default=None, ge=1024)  # of one request; None: listen.message_bytes_max


SIMPLE_ACTIONS: tuple[Action, ...] = ("submit", "read", "cancel", "statements")


class CallerSettings(Settings):
    """A named caller, known by its client certificate (SHA-256 fingerprint), its token, or both where both are given;
    `plaintext` names the caller of a plaintext loopback listener (at most one). It may do what `permissions` say, or else what
    `connections` and `actions` say."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")
    certificate_sha256: tuple[str, ...] = ()
    token: CallerTokenSettings | None = None
    plaintext: bool = False
    addresses: tuple[str, ...] = ()  # networks it may call from; none given: from anywhere
    connections: tuple[str, ...] = ("*",)
    actions: tuple[Action, ...] = SIMPLE_ACTIONS
    permissions: tuple[PermissionSettings, ...] = ()
    limits: LimitSettings = LimitSettings()


class DatabaseSettings(Settings):
    """How the PostgreSQL of `store` is reached. Secrets by reference; the address stands in `store`."""

    password: str | None = None  # reference; None: the server asks for none, or for a client certificate
    client_certificate: str | None = None  # reference to a file: the drivers read it themselves
    client_key: str | None = None  # likewise; encrypted PKCS#8 PEM
    client_key_passphrase: str | None = None  # reference
    readers: int = Field(default=4, ge=1, le=200)  # connections of one process that read; it has a few more, for writing
    connect_seconds: Annotated[float, Field(ge=1, le=300)] = 10
    statement_seconds: Annotated[float, Field(ge=1, le=86_400)] = 60  # after which the server ends a statement
    idle_seconds: Annotated[float, Field(ge=1, le=3600)] = 10  # after which it ends a transaction that nobody works in
    application_name: str = Field(default="bankgate", pattern=r"^[\x20-\x7e]{1,63}$")  # as the server shows its sessions


class RetentionSettings(Settings):
    """How long the database keeps what is at its end. No payment goes without a verified archive (`bankgate store archive`)."""

    months: int | None = Field(default=None, ge=2, le=1200)  # whole months, beside the current one; None: for ever
    audit_months: int | None = Field(default=None, ge=1, le=1200)  # of lines of the audit log, for `audit prune`; None: for ever
    upload_notes_days: int = Field(default=90, ge=7, le=36_500)  # of an EBICS upload whose message is not to be sent any more


class AuditSettings(Settings):
    """The audit log's checkpoints (docs/audit.md): over so many new lines, or so long after the first of them; and the seals over
    events."""

    checkpoint_key: str | None = None  # reference, "store:…" or "pkcs11:…"; P-256 or RSA. None: they are not signed
    checkpoint_key_passphrase: str | None = None  # reference; of a key outside the key store
    checkpoint_rows: int = Field(default=1_000, ge=1, le=1_000_000)
    checkpoint_seconds: Annotated[float, Field(ge=60, le=604_800)] = 3600
    seal_seconds: Annotated[float, Field(ge=1, le=86_400)] = 300  # an event waits for its seal so long, if not for 10,000 others


class WorkerSettings(Settings):
    """How one `bankgate worker` looks after the lanes of the connections (two each: one sends, one fetches)."""

    lanes_at_once: int = Field(default=4, ge=1, le=1000)
    lane_lease_seconds: Annotated[float, Field(ge=1, le=3600)] = (
        10  # silent for so long, it is taken for dead and its lanes go on
    )


class TelemetrySettings(Settings):
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
    otlp_endpoint: str | None = None  # OpenTelemetry traces are sent only when set


class AccountSettings(Settings):
    """An account that the connection may pay from, with its holder and bank: the defaults of a payment's debtor side."""

    iban: str | None = None
    other_id: str | None = None
    other_scheme: str | None = None
    currency: str | None = None
    holder: str  # the debtor's name
    holder_address: dict[str, Any] | None = None  # keys of bankgate.v1.PostalAddress
    holder_lei: str | None = None
    agent_bic: str | None = None
    agent_clearing_system_id: str | None = None
    agent_clearing_system_member_id: str | None = None


class GuaranteeSettings(Settings):
    """What may be done about a message whose arrival is unknown (design, section 5, rule 4)."""

    kind: Literal["idempotent", "queryable", "blind"] = "blind"
    evidence: str | None = None  # idempotent: where the bank confirmed it ("letter of 2026-03-02, item 4")
    absence_is_final: bool = False  # queryable: the bank promises that "not there" means it never will be
    quiet_seconds: Seconds = 3600  # queryable: "not there" counts only after this long; longer than the longest possible send


class BatchingSettings(Settings):
    wait_seconds: Seconds = 0.0  # how long the first payment waits for company
    transfers_max: int = Field(default=10_000, ge=1)  # in one message; the bank's own limit applies too


class ScheduleSettings(Settings):
    fetch_seconds: Seconds = 60.0  # between fetches; 0: only on FetchNow
    ask_seconds: Seconds = 60.0  # between questions about a message in doubt (queryable)


LEASE_USED = 0.8  # of a lease, by one send; the rest is for recording the outcome while it is still ours to record


class RetrySettings(Settings):
    """For NotSent, and for repeats under IDEMPOTENT."""

    first_seconds: Seconds = 2.0
    longest_seconds: Seconds = 600.0
    attempts_max: int = Field(default=50, ge=1)
    lease_seconds: Seconds = 900.0  # how long one send may take before others call it in doubt
    in_flight_max: int = Field(
        default=100, ge=1, le=1000
    )  # messages not known to have arrived; at so many no more are formed or started


class KindWindowSettings(Settings):
    """Hours of their own for one kind of payment, by service level, local instrument or both (a code or the bank's own word)."""

    service_level: str | None = None
    local_instrument: str | None = None
    around_the_clock: bool = False  # every day, at any hour
    opens: TimeOfDay | None = None  # None: as for the other kinds
    cut_off: TimeOfDay | None = None  # likewise


class SendWindowSettings(Settings):
    """When the bank takes messages (`gateway.send_window`). Times are in the connection's time zone."""

    calendar: str  # "TARGET", "CH", "CN", "GB", "US", "WEEKDAYS", "EVERY_DAY"
    closed: tuple[CalendarDate, ...] = ()  # days on which this bank is closed, over the calendar
    open: tuple[CalendarDate, ...] = ()  # days on which it works although the calendar says closed, or does not know
    opens: TimeOfDay = time(0)
    cut_off: TimeOfDay | None = None  # None: until the day ends
    lead_seconds: Seconds = 60.0  # before the cut-off, from which on payments no longer wait for company
    missed: Literal["wait", "refuse"] = "wait"  # what misses the last window for its requested date
    kinds: tuple[KindWindowSettings, ...] = ()


class AlarmSettings(Settings):
    """After how long in a queue somebody is told. 0: never."""

    in_review_seconds: Seconds = 900.0  # a payment that the rules of this house have not been applied to
    awaiting_approval_seconds: Seconds = 14_400.0  # a payment that waits for people; and once its execution date is over, anyway
    release_group_seconds: Seconds = 604_800.0  # a release group that did not go; and once a date of its payments is over, anyway
    approved_seconds: Seconds = 900.0  # an approved payment that is in no message although the window is open
    ready_seconds: Seconds = 900.0  # a message that has not left although it may
    in_doubt_seconds: Seconds = 3600.0  # a message the bank may or may not have
    unanswered_seconds: Seconds = 3 * 86400.0  # a message the bank has and has said nothing about
    unread_seconds: Seconds = 1800.0  # a file of the bank that was fetched and not read


class QuietSettings(Settings):
    """Hours of the bank's day in which it is neither asked nor sent anything; over midnight where `begins` is the later one."""

    begins: TimeOfDay
    ends: TimeOfDay

    @model_validator(mode="after")
    def _some_time(self) -> Self:
        if self.begins == self.ends:
            raise ValueError("begins and ends are the same time of day, which is no time at all; for no quiet hours: quiet = []")
        return self


class DialogueSettings(Settings):
    """How a bank that answers at once is talked to (`formats.dialogue`); None: as its plugin says."""

    ask_after_seconds: Seconds | None = None  # from the send to the first question; each pause is twice the one before
    ask_longest_seconds: Annotated[float, Field(ge=1, le=31 * 86400)] = 1800.0  # the longest pause between two questions
    repeat_after_seconds: Seconds | None = None  # idempotent: so long after a doubt the same serial number may go out again
    not_found_wait_seconds: Seconds | None = None  # so long "no such record" proves nothing
    returns_days: int | None = Field(default=None, ge=0, le=365)  # after success, while it may still come back; 0: it never does
    returns_seconds: Annotated[float, Field(ge=1, le=31 * 86400)] = 21_600.0  # between questions about such payments
    statement_seconds: Seconds = 900.0  # between questions for the statement of the current day; 0: none is asked for
    balance_seconds: Seconds = 900.0  # likewise for balances
    quiet: tuple[QuietSettings, ...] | None = None


class InstantSettings(Settings):
    """What the bank agreed about instant payments; None: as the bank's plugin says."""

    offered: bool | None = None
    fall_back_codes: tuple[str, ...] | None = None  # reasons of a rejection after which instant-else-normal goes out as normal


class RecallSettings(Settings):
    """What the bank agreed about recalls of payments that it has: camt.055 over the route of payments, over EBICS as an order
    of its own (`[channel.recalls]`)."""

    message: str | None = None  # the version it takes, "camt.055.001.09"; None: it takes none
    case: bool = True  # the message opens a case [Case/Id]; some banks want none


class ConnectionSettings(Settings):
    """One file under `connections/`; its stem is `id`. `channel` and `seal` are checked by their rooms."""

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")
    bank: str = "iso20022"
    message: str | None = None  # None: the plugin's default of the day
    initiating_party: str
    initiating_party_id: str | None = None  # [OrgId/Othr/Id]
    accounts: tuple[AccountSettings, ...] = Field(min_length=1)
    time_zone: str | None = None  # None: the plugin's
    channel: dict[str, Any]
    seal: dict[str, Any] = Field(default_factory=lambda: {"kind": "plain"})
    guarantee: GuaranteeSettings = GuaranteeSettings()
    batching: BatchingSettings = BatchingSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    retry: RetrySettings = RetrySettings()
    characters: Literal["transliterate", "refuse"] = "transliterate"  # texts the scheme does not carry: written so that it does
    schemas: str | None = None  # a directory of XSDs from the bank, which win over the official ones; relative to the directory
    instant: InstantSettings = InstantSettings()
    recalls: RecallSettings = RecallSettings()
    send_window: SendWindowSettings | None = None  # None: always open
    alarms: AlarmSettings = AlarmSettings()
    bank_settings: dict[str, Any] = Field(default_factory=dict)  # of a bank that answers at once; checked by its plugin
    dialogue: DialogueSettings = DialogueSettings()  # for such banks
    file_name: str = "{message_id}.xml"  # of what is sent; {message_id}, {connection_id}, {date}; the seal adds its suffix


class PeopleOidcSettings(Settings):
    """People who sign in at an identity provider (OpenID Connect). Their accounts follow its claims at every sign-in."""

    issuer: str
    audience: str  # our client id there
    jwks: str  # "file:PATH" or "https://…": the keys of the issuer
    name_claim: str = "preferred_username"
    roles_claim: str = "groups"  # a list of texts; its values are looked up in `roles` and `groups`
    roles: dict[str, Role] = Field(min_length=1)
    groups: dict[str, str] = Field(default_factory=dict)  # groups of approval chains
    connections: tuple[str, ...] = ("*",)
    second_factor_acr: tuple[str, ...] = ()  # values of `acr`, or of `amr` (RFC 8176), that say a second factor was given there
    second_factor_amr: tuple[str, ...] = ()


class PeopleSettings(Settings):
    """People with accounts (docs/people.md)."""

    key: str | None = None  # reference to 32 bytes; without it nobody can sign in
    relying_party: str | None = None  # the domain of passkeys: that of the page people use, or one above it; None: no passkeys
    origins: tuple[str, ...] = ()  # where that page is served: "https://pay.example.com"
    title: str = Field(default="bankgate", max_length=64)  # as authenticators show it
    idle_seconds: Annotated[float, Field(ge=60, le=86_400)] = 900  # after which an unused session ends
    session_seconds: Annotated[float, Field(ge=300, le=7 * 86_400)] = 36_000  # after which any session ends
    sessions_max: int = Field(default=5, ge=1, le=100)  # of one person; the oldest gives way
    fresh_seconds: Annotated[float, Field(ge=30, le=3600)] = 300  # how long a second factor counts as fresh for changes of access
    challenge_seconds: Annotated[float, Field(ge=30, le=900)] = 180  # to answer a question for a factor, or to finish signing in
    enrolment_hours: int = Field(default=72, ge=1, le=720)  # in which a person begins with the code that an officer handed over
    emergency_minutes: int = Field(
        default=60, ge=5, le=1440
    )  # a sealed account stays open, if the command does not say otherwise
    oidc: PeopleOidcSettings | None = None


class Configuration(Settings):
    """The whole, validated. `directory` is where relative references start."""

    directory: Path
    store: str = "sqlite:///bankgate.db"
    database: DatabaseSettings = DatabaseSettings()
    retention: RetentionSettings = RetentionSettings()
    listen: ListenSettings = ListenSettings()
    worker: WorkerSettings = WorkerSettings()
    audit: AuditSettings = AuditSettings()
    tokens: tuple[TokenIssuerSettings, ...] = ()
    callers: tuple[CallerSettings, ...] = ()
    telemetry: TelemetrySettings = TelemetrySettings()
    people: PeopleSettings = PeopleSettings()
    bank_directory: str | None = None  # CSV of Chinese branches, for hints; relative to the directory
    screening: ScreeningSettings = ScreeningSettings()
    habits: HabitsSettings = HabitsSettings()
    payee: PayeeSettings = PayeeSettings()
    connections: dict[str, ConnectionSettings] = Field(default_factory=dict)
